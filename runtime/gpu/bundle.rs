//! Kernels compiled ahead of time: a file that a program embeds or reads, so that no compiler is needed where
//! it runs.
//!
//! The file: `twbundle`, a version, the number of entries, the entries, and a checksum of all before. An entry
//! is an architecture, the hash of a text, a kernel's name and its code. Numbers are little-endian.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Architecture, record};
use crate::device::Device;
use crate::device::gpu::compile_for;
use crate::error::{DeviceError, Error};

const MAGIC: &[u8; 8] = b"twbundle";
const VERSION: u32 = 1;

/// Compiled kernels of a program for one or more architectures.
///
/// A kernel's text depends on shapes (through block sizes, alignment and divisibility), so `compile` takes
/// calls with the shapes that matter; others are compiled where the program runs, if there is a compiler.
///
/// ```
/// use tilewright::Bundle;
/// use tilewright::prelude::*;
///
/// #[kernel]
/// fn double<T: Float, N>(x: &Tensor<T, N>, out: &mut Tensor<T, N>) {
///     for n in tile(N) {
///         out[n] = (x[n] * 2.0).cast();
///     }
/// }
///
/// let calls = || double(&Tensor::<f32>::zeros(1024), &mut Tensor::zeros(1024));
/// match Bundle::compile(&["sm_90a".parse()?], calls) {
///     Ok(bundle) => assert_eq!(Bundle::from_bytes(&bundle.to_bytes())?, bundle),
///     Err(error) => println!("{error}"), // no NVRTC on this machine
/// }
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    entries: BTreeMap<(String, u128), Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    kernel: String,
    code: Arc<[u8]>,
}

/// FNV-1a of 128 bits: the same in every version of Rust.
pub(crate) fn hash(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

fn damaged(reason: &str) -> Error {
    DeviceError::Bundle { reason: reason.to_string() }.into()
}

impl Bundle {
    /// Compiles every kernel that `calls` launches, for each architecture; nothing is computed. NVRTC or
    /// hipRTC must be on this machine (for AMD's, clang with its AMDGPU target and lld do too), a GPU need not.
    ///
    /// # Errors
    /// `calls` fails, the compiler is not there, or it rejects a text.
    pub fn compile(
        architectures: &[Architecture],
        calls: impl Fn() -> Result<(), Error>,
    ) -> Result<Bundle, Error> {
        let mut bundle = Bundle::default();
        for architecture in architectures {
            let (result, units) = record(*architecture, &calls);
            result?;
            for unit in units {
                let key = (architecture.to_string(), hash(unit.text.as_bytes()));
                if bundle.entries.contains_key(&key) {
                    continue;
                }
                let code = compile_for(*architecture, &unit.kernel, &unit.text)?.into();
                bundle.entries.insert(key, Entry { kernel: unit.kernel, code });
            }
        }
        Ok(bundle)
    }

    /// What is in it: architecture, kernel, bytes of code.
    ///
    /// ```
    /// assert_eq!(tilewright::Bundle::default().iter().count(), 0);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.entries.iter().map(|((architecture, _), entry)| {
            (architecture.as_str(), entry.kernel.as_str(), entry.code.len())
        })
    }

    /// Takes another's kernels in.
    ///
    /// ```
    /// let mut all = tilewright::Bundle::default();
    /// all.extend(tilewright::Bundle::default());
    /// ```
    pub fn extend(&mut self, other: Bundle) {
        self.entries.extend(other.entries);
    }

    /// As a file has it.
    ///
    /// ```
    /// assert!(tilewright::Bundle::default().to_bytes().starts_with(b"twbundle"));
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let mut put = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        };
        put(&VERSION.to_le_bytes());
        put(&(self.entries.len() as u64).to_le_bytes());
        for ((architecture, text), entry) in &self.entries {
            put(architecture.as_bytes());
            put(&text.to_le_bytes());
            put(entry.kernel.as_bytes());
            put(&entry.code);
        }
        let sum = hash(&bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// What [`Bundle::to_bytes`] gave, from a file or `include_bytes!`.
    ///
    /// ```
    /// assert!(tilewright::Bundle::from_bytes(b"something else").is_err());
    /// ```
    ///
    /// # Errors
    /// It is no bundle, of another version, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Bundle, Error> {
        let (body, sum) = bytes.split_last_chunk::<16>().ok_or_else(|| damaged("it is too short"))?;
        let mut rest =
            body.strip_prefix(MAGIC).ok_or_else(|| damaged("it does not begin with `twbundle`"))?;
        if u128::from_le_bytes(*sum) != hash(body) {
            return Err(damaged("its checksum is wrong: it was cut off or changed"));
        }
        let mut part = || {
            let (length, after) = rest.split_first_chunk::<8>()?;
            let (part, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
            rest = after;
            Some(part)
        };
        let ends = || damaged("it ends within an entry");
        if part().ok_or_else(ends)? != VERSION.to_le_bytes() {
            return Err(damaged("it is of another version of tilewright: compile it again"));
        }
        let count =
            part().and_then(|part| Some(u64::from_le_bytes(part.try_into().ok()?))).ok_or_else(ends)?;
        let mut bundle = Bundle::default();
        for _ in 0..count {
            let name = |part: &[u8]| String::from_utf8(part.to_vec()).ok();
            let architecture = part().and_then(name).ok_or_else(ends)?;
            let text = part().and_then(|part| Some(u128::from_le_bytes(part.try_into().ok()?)));
            let kernel = part().and_then(name).ok_or_else(ends)?;
            let code = part().ok_or_else(ends)?.into();
            bundle.entries.insert((architecture, text.ok_or_else(ends)?), Entry { kernel, code });
        }
        if !rest.is_empty() {
            return Err(damaged("bytes follow its last entry"));
        }
        Ok(bundle)
    }

    /// Into a file: `.twb` by custom.
    ///
    /// ```no_run
    /// tilewright::Bundle::default().write("kernels.twb")?;
    /// # Ok::<(), tilewright::Error>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        std::fs::write(path, self.to_bytes())
            .map_err(|error| damaged(&format!("{}: {error}", path.display())))
    }

    /// From a file.
    ///
    /// ```
    /// let error = tilewright::Bundle::read("there is no such file.twb").unwrap_err();
    /// assert!(error.to_string().contains("no such file"));
    /// ```
    ///
    /// # Errors
    /// The file cannot be read, or as for [`Bundle::from_bytes`].
    pub fn read(path: impl AsRef<Path>) -> Result<Bundle, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| damaged(&format!("{}: {error}", path.display())))?;
        let bundle = Bundle::from_bytes(&bytes);
        if let Err(Error::Device(DeviceError::Bundle { reason })) = &bundle {
            return Err(damaged(&format!("{}: {reason}", path.display())));
        }
        bundle
    }
}

impl Device {
    /// Gives a device the kernels of a bundle: launches whose text is in it need no compiler. How many are for
    /// this device; none for the CPU, whose kernels are in the program.
    ///
    /// ```
    /// use tilewright::{Bundle, Device};
    /// assert_eq!(Device::cpu().preload(&Bundle::default()), 0);
    /// ```
    pub fn preload(&self, bundle: &Bundle) -> usize {
        let Some(gpu) = self.gpu() else { return 0 };
        let name = gpu.architecture().to_string();
        let fit = bundle.entries.iter().filter(|((architecture, _), _)| *architecture == name);
        let fit: Vec<_> = fit.map(|((_, text), entry)| (*text, Arc::clone(&entry.code))).collect();
        let count = fit.len();
        gpu.preload(fit);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose checksum fits, whatever its body is.
    fn sealed(body: &[u8]) -> Vec<u8> {
        [body, &hash(body).to_le_bytes()].concat()
    }

    /// One kernel for an architecture that no version knows.
    fn whole() -> Bundle {
        let entry = Entry { kernel: "k".into(), code: b"code".as_slice().into() };
        Bundle { entries: BTreeMap::from([(("zz_99z".to_string(), 7), entry)]) }
    }

    #[test]
    fn lengths_that_lie_are_errors_even_with_a_good_checksum() {
        let bytes = whole().to_bytes();
        let body = &bytes[..bytes.len() - 16];
        assert_eq!(Bundle::from_bytes(&sealed(body)), Ok(whole()));
        let refused = |body: &[u8]| {
            matches!(Bundle::from_bytes(&sealed(body)), Err(Error::Device(DeviceError::Bundle { .. })))
        };
        for length in 0..body.len() {
            assert!(refused(&body[..length]), "{length} bytes");
        }
        // Of the version, the count, the count itself, the architecture.
        for at in [8, 20, 28, 36] {
            let mut lying = body.to_vec();
            lying[at..at + 8].fill(0xff);
            assert!(refused(&lying), "a length at {at}");
        }
        assert!(refused(&[body, b"more"].concat()));
    }

    #[test]
    fn a_hash_is_that_of_fnv() {
        // The published values of FNV-1a for nothing and for "a".
        assert_eq!(hash(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(hash(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }
}
