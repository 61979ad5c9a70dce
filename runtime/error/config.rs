//! Why a configuration was refused.

use std::fmt;

/// Why a configuration was refused.
///
/// ```
/// let error = "m=sixty".parse::<tilewright::Config>().unwrap_err();
/// assert_eq!(error.to_string(), "`m=sixty` is not key=value with an integer value; write for example m=64");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The kernel has no such key.
    UnknownKey {
        /// The kernel.
        kernel: &'static str,
        /// The key.
        key: String,
        /// The key of the kernel that is spelled most like it.
        nearest: Option<&'static str>,
        /// All keys of the kernel.
        known: Vec<&'static str>,
    },
    /// A value that no block size or number of threads can have.
    Value {
        /// The key.
        key: String,
        /// The value.
        value: i32,
    },
    /// Text that is not `key=value`.
    Syntax {
        /// The text.
        text: String,
    },
    /// A key is given twice.
    Twice {
        /// The key.
        key: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::UnknownKey { kernel, key, known, .. } if known.is_empty() => {
                write!(
                    f,
                    "{kernel}: there is no config key `{key}`; this kernel has none but `threads`, `stream` and `tf32`"
                )
            }
            ConfigError::UnknownKey { kernel, key, nearest: Some(nearest), known } => write!(
                f,
                "{kernel}: there is no config key `{key}`; did you mean `{nearest}`? (it has {})",
                known.join(", ")
            ),
            ConfigError::UnknownKey { kernel, key, nearest: None, known } => {
                write!(f, "{kernel}: there is no config key `{key}`; use one of {}", known.join(", "))
            }
            ConfigError::Value { key, value } => {
                let least = if crate::config::SWITCHES.contains(&&**key) { "0 or 1" } else { "1 or more" };
                write!(f, "config key `{key}` is {value}; give it {least}")
            }
            ConfigError::Syntax { text } => {
                write!(f, "`{text}` is not key=value with an integer value; write for example m=64")
            }
            ConfigError::Twice { key } => write!(f, "config key `{key}` is given twice; keep one"),
        }
    }
}

impl std::error::Error for ConfigError {}
