//! The bytes of one file: mapped or read.

use super::error::WeightsError;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Shared by every tensor that borrows from the file; unmapped or freed when the last one goes.
#[derive(Clone)]
pub(crate) enum Bytes {
    /// The file itself. Whoever truncates it kills the process with SIGBUS.
    Mapped(Arc<memmap2::Mmap>),
    /// A copy, aligned to 8 bytes.
    Read { words: Arc<Vec<u64>>, length: usize },
}

impl Bytes {
    /// Maps a file.
    pub(crate) fn map(path: &Path) -> Result<Bytes, WeightsError> {
        let io = |source| WeightsError::Io { path: path.to_owned(), source };
        let file = open_regular(path)?;
        // SAFETY: the mapping is read-only. That nobody writes to or truncates the file
        // while it is mapped cannot be enforced; `Weights::open` documents it, and
        // `Weights::open_copied` is there for those who cannot promise it.
        let map = unsafe { memmap2::MmapOptions::new().map(&file) }.map_err(io)?;
        Ok(Bytes::Mapped(Arc::new(map)))
    }

    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Bytes, WeightsError> {
        let io = |source| WeightsError::Io { path: path.to_owned(), source };
        let mut file = open_regular(path)?;
        let length = file.metadata().map_err(io)?.len();
        let length = usize::try_from(length).map_err(|_| io(std::io::ErrorKind::FileTooLarge.into()))?;
        let mut words = vec![0u64; length.div_ceil(8)];
        file.read_exact(&mut bytes_mut(&mut words)[..length]).map_err(io)?;
        Ok(Bytes::Read { words: Arc::new(words), length })
    }

    /// From memory.
    pub(crate) fn copy(bytes: &[u8]) -> Bytes {
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        bytes_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Bytes::Read { words: Arc::new(words), length: bytes.len() }
    }

    /// All of them.
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Read { words, length } => {
                // SAFETY: any byte of initialised words is a u8; `length` is at most their size in
                // bytes, by the three constructors; the borrow keeps the words alive and unchanged.
                unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), *length) }
            }
        }
    }
}

fn bytes_mut(words: &mut [u64]) -> &mut [u8] {
    let length = size_of_val(words);
    // SAFETY: the same memory, exclusively borrowed; every byte pattern is a u64 and a u8 has no alignment.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), length) }
}

/// Pipes and devices have no length and may block for ever.
fn open_regular(path: &Path) -> Result<File, WeightsError> {
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(io(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file")));
    }
    File::open(path).map_err(io)
}
