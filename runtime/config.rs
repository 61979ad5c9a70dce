//! Block sizes and other tunables of one launch, by name.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::error::ConfigError;
use crate::simd::InstructionSet;

/// Values for the tunables of a kernel, by name: the block size of each tiled axis under the axis' name,
/// `threads`, the most threads that a launch uses, `stream` (see [`Config::stream`]) and `tf32` (see [`Config::tf32`]).
/// What it does not name is chosen at launch.
///
/// Keys are checked at launch against those that the kernel has; block sizes are clamped to the bounds
/// that the kernel pins.
///
/// ```
/// use tilewright::Config;
/// let config = Config::new().set("m", 64).set("n", 256);
/// assert_eq!(config.to_string(), "m=64,n=256");
/// assert_eq!("m=64,n=256".parse(), Ok(config));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    entries: Vec<(Cow<'static, str>, i32)>,
    instruction_set: Option<InstructionSet>,
}

/// A key that every kernel has.
const THREADS: &str = "threads";
/// Another two.
const STREAM: &str = "stream";
const TF32: &str = "tf32";
/// The keys of which 0 is a value.
pub(crate) const SWITCHES: [&str; 2] = [STREAM, TF32];
/// In text, the key of what [`Config::instruction_set`] sets.
const INSTRUCTION_SET: &str = "isa";

impl Config {
    /// Everything is chosen at launch.
    ///
    /// ```
    /// assert_eq!(tilewright::Config::new().to_string(), "");
    /// ```
    #[must_use]
    pub const fn new() -> Config {
        Config { entries: Vec::new(), instruction_set: None }
    }

    /// Sets one value; the last one set for a key counts.
    ///
    /// ```
    /// let config = tilewright::Config::new().set("m", 32).set("m", 64);
    /// assert_eq!(config.get("m"), Some(64));
    /// ```
    #[must_use]
    pub fn set(mut self, key: impl Into<Cow<'static, str>>, value: i32) -> Config {
        let key = key.into();
        match self.entries.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.entries.push((key, value)),
        }
        self
    }

    /// Limits the launch to this many threads; the calling thread is one of them.
    ///
    /// ```
    /// assert_eq!(tilewright::Config::new().threads(1).to_string(), "threads=1");
    /// ```
    #[must_use]
    pub fn threads(self, limit: usize) -> Config {
        self.set(THREADS, i32::try_from(limit).unwrap_or(i32::MAX))
    }

    /// Whether a CPU writes outputs past its caches, if the kernel reads nothing of them: good for what nobody reads
    /// soon, bad for what the next kernel reads. If nothing is said, large outputs are written so. On a GPU it
    /// changes nothing.
    ///
    /// ```
    /// assert_eq!(tilewright::Config::new().stream(true).to_string(), "stream=1");
    /// ```
    #[must_use]
    pub fn stream(self, past: bool) -> Config {
        self.set(STREAM, i32::from(past))
    }

    /// What [`Config::stream`] set.
    pub(crate) fn streams(&self) -> Option<bool> {
        self.get(STREAM).map(|value| value != 0)
    }

    /// Lets products of f32 round their operands to 10 bits of mantissa (TF32, to nearest) and go to matrix
    /// cores, where a GPU has ones that take it: NVIDIA's. Sums stay f32. Elsewhere it changes nothing.
    ///
    /// ```
    /// assert_eq!(tilewright::Config::new().tf32().to_string(), "tf32=1");
    /// ```
    #[must_use]
    pub fn tf32(self) -> Config {
        self.set(TF32, 1)
    }

    /// Whether [`Config::tf32`] was called.
    pub(crate) fn takes_tf32(&self) -> bool {
        self.get(TF32).is_some_and(|value| value != 0)
    }

    /// Runs the launch on this instruction set instead of the best that the processor has.
    ///
    /// ```
    /// use tilewright::{Config, simd::InstructionSet};
    /// let config = Config::new().instruction_set(InstructionSet::Scalar);
    /// assert_eq!(config.to_string(), "isa=scalar");
    /// ```
    #[must_use]
    pub fn instruction_set(mut self, set: InstructionSet) -> Config {
        self.instruction_set = Some(set);
        self
    }

    /// What [`Config::instruction_set`] set.
    pub(crate) fn wanted_instruction_set(&self) -> Option<InstructionSet> {
        self.instruction_set
    }

    /// The value set for a key.
    ///
    /// ```
    /// assert_eq!(tilewright::Config::new().get("m"), None);
    /// ```
    #[must_use]
    pub fn get(&self, key: &str) -> Option<i32> {
        self.entries.iter().find(|(known, _)| known == key).map(|&(_, value)| value)
    }

    /// The limit that [`Config::threads`] set.
    pub(crate) fn thread_limit(&self) -> Option<usize> {
        self.get(THREADS).and_then(|limit| usize::try_from(limit).ok())
    }

    /// Refuses keys that a kernel does not have, and values below 1.
    pub(crate) fn check(
        &self,
        kernel: &'static str,
        known: impl Iterator<Item = &'static str> + Clone,
    ) -> Result<(), ConfigError> {
        for (key, value) in &self.entries {
            if ![THREADS, STREAM, TF32].contains(&&**key) && !known.clone().any(|name| name == key) {
                return Err(unknown_key(kernel, key, known));
            }
            let least = if SWITCHES.contains(&&**key) { 0 } else { 1 };
            if *value < least {
                return Err(ConfigError::Value { key: key.to_string(), value: *value });
            }
        }
        Ok(())
    }
}

fn unknown_key(kernel: &'static str, key: &str, known: impl Iterator<Item = &'static str>) -> ConfigError {
    let known: Vec<_> = known.collect();
    let nearest = known
        .iter()
        .copied()
        .map(|name| (distance(key, name), name))
        .filter(|&(distance, name)| distance <= name.len().max(key.len()) / 2)
        .min()
        .map(|(_, name)| name);
    ConfigError::UnknownKey { kernel, key: key.to_owned(), nearest, known }
}

/// Levenshtein's: how many letters to insert, delete or replace.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, &other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[to.len()]
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (key, value)) in self.entries.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{key}={value}")?;
        }
        if let Some(set) = self.instruction_set {
            let comma = if self.entries.is_empty() { "" } else { "," };
            write!(f, "{comma}{INSTRUCTION_SET}={}", set.name())?;
        }
        Ok(())
    }
}

impl FromStr for Config {
    type Err = ConfigError;

    /// Reads what `Display` writes; spaces around keys and values do not matter.
    fn from_str(text: &str) -> Result<Config, ConfigError> {
        let mut config = Config::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (key, value) = split_entry(entry)?;
            if key == INSTRUCTION_SET && config.instruction_set.is_none() {
                let known = InstructionSet::ALL.into_iter().find(|set| set.name() == value);
                let set = known.ok_or_else(|| ConfigError::Syntax { text: entry.to_owned() })?;
                config = config.instruction_set(set);
                continue;
            }
            if config.get(key).is_some() || key == INSTRUCTION_SET {
                return Err(ConfigError::Twice { key: key.to_owned() });
            }
            let value = value.parse().map_err(|_| ConfigError::Syntax { text: entry.to_owned() })?;
            config = config.set(key.to_owned(), value);
        }
        Ok(config)
    }
}

fn split_entry(entry: &str) -> Result<(&str, &str), ConfigError> {
    let syntax = || ConfigError::Syntax { text: entry.to_owned() };
    let (key, value) = entry.split_once('=').ok_or_else(syntax)?;
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() {
        return Err(syntax());
    }
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_configs_parse_back() {
        for config in [
            Config::new(),
            Config::new().set("m", 1),
            Config::new().set("m", 64).threads(2),
            Config::new().stream(false).set("m", 2),
            Config::new().set("m", 8).instruction_set(InstructionSet::Avx2),
        ] {
            assert_eq!(config.to_string().parse(), Ok(config));
        }
        assert_eq!(" m = 3 , n=4,".parse(), Ok(Config::new().set("m", 3).set("n", 4)));
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in ["m", "m=", "=3", "m=x", "m=3.5", "m=99999999999", "isa=sse"] {
            assert!(matches!(text.parse::<Config>(), Err(ConfigError::Syntax { .. })), "{text}");
        }
        assert_eq!("m=1,m=2".parse::<Config>(), Err(ConfigError::Twice { key: "m".into() }));
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        let check = |config: Config| config.check("k", ["rows", "n"].into_iter());
        assert_eq!(check(Config::new().set("rows", 2).set("n", 3).threads(1)), Ok(()));
        let error = check(Config::new().set("row", 2)).expect_err("no such key");
        assert!(matches!(&error, ConfigError::UnknownKey { nearest: Some("rows"), .. }), "{error}");
        let error = check(Config::new().set("quux", 2)).expect_err("no such key");
        assert_eq!(error.to_string(), "k: there is no config key `quux`; use one of rows, n");
        assert!(matches!(check(Config::new().set("n", 0)), Err(ConfigError::Value { .. })));
    }
}
