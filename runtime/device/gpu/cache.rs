//! Compiled kernels on disk: a file each, named by a hash of everything that went into it.
//!
//! The folder is `TILEWRIGHT_CACHE`, else `tilewright` in the user's cache folder. A file is written under
//! another name and renamed, so that nobody reads half of one; it says its length and a checksum, and what
//! does not fit them is compiled again. A folder that cannot be written is no error: the kernel runs anyway.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const MAGIC: &[u8; 8] = b"twcode01";

/// Where files are, if the system says.
fn folder() -> Option<PathBuf> {
    let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    of("TILEWRIGHT_CACHE")
        .or_else(|| of("XDG_CACHE_HOME").map(|folder| folder.join("tilewright")))
        .or_else(|| of("HOME").map(|folder| folder.join(".cache/tilewright")))
}

fn hash(parts: &[&str], salt: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    salt.hash(&mut hasher);
    parts.hash(&mut hasher);
    hasher.finish()
}

fn path(parts: &[&str]) -> Option<PathBuf> {
    let name = format!("{:016x}{:016x}.kernel", hash(parts, 1), hash(parts, 2));
    folder().map(|folder| folder.join(name))
}

/// What was kept for these parts: text, architecture, compiler.
pub(super) fn get(parts: &[&str]) -> Option<Vec<u8>> {
    unpack(&std::fs::read(path(parts)?).ok()?)
}

/// Keeps it for next time, if the folder can be written.
pub(super) fn put(parts: &[&str], code: &[u8]) {
    let Some(path) = path(parts) else { return };
    // A cache that cannot be written only costs time.
    let _ = write(&path, &pack(code));
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let fresh = path.with_extension(format!("{}-{number}", std::process::id()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&fresh, bytes)?;
    std::fs::rename(&fresh, path)
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn pack(code: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(code.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&checksum(code).to_le_bytes());
    bytes.extend_from_slice(code);
    bytes
}

fn unpack(bytes: &[u8]) -> Option<Vec<u8>> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (sum, code) = rest.split_first_chunk::<8>()?;
    let fits = u64::from_le_bytes(*length) == code.len() as u64 && u64::from_le_bytes(*sum) == checksum(code);
    fits.then(|| code.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_not_used() {
        let packed = pack(b"the code");
        assert_eq!(unpack(&packed).as_deref(), Some(&b"the code"[..]));
        for length in 0..packed.len() {
            assert_eq!(unpack(&packed[..length]), None, "{length} bytes");
        }
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 1;
            assert_eq!(unpack(&damaged), None, "byte {at}");
        }
    }

    #[test]
    fn every_part_counts() {
        assert_ne!(hash(&["a", "b"], 1), hash(&["ab", ""], 1));
        assert_ne!(hash(&["a", "b"], 1), hash(&["a", "b"], 2));
    }
}
