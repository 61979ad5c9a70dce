//! From the bytes of a file to checked entries.
//!
//! In: untrusted bytes. Out: entries whose ranges tile the data section exactly, in order of their
//! offsets. Invariant of the output: `begin <= end <= data length`, and `end - begin` is the size of
//! dtype and shape; so later code may slice without asking again.
//!
//! ```text
//! 0        8                    8 + n                       length
//! ├────────┼────────────────────┼──────────┬───────┬────────┤
//! │ n: u64 │ JSON, n bytes      │ tensor   │tensor │ …      │   no holes, no overlap, nothing after
//! └────────┴────────────────────┴──────────┴───────┴────────┘
//! ```

use super::dtype::{ByteLenFault, Dtype};
use super::error::FileFault;
use super::json::{RawEntry, parse_header};
use std::collections::BTreeMap;

/// Bytes of a header, at most: the reference implementation's limit.
pub(crate) const MAX_HEADER: u64 = 100_000_000;

/// A tensor in a file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// From the start of the data section.
    pub begin: usize,
    pub end: usize,
}

/// A checked header.
#[derive(Debug)]
pub(crate) struct Header {
    /// In order of their offsets.
    pub entries: Vec<Entry>,
    pub metadata: BTreeMap<String, String>,
    /// Where the data section begins in the file.
    pub data: usize,
}

/// Reads and checks the header of a whole file.
pub(crate) fn check_file(file: &[u8]) -> Result<Header, FileFault> {
    let text = header_text(file)?;
    let data = 8 + text.len();
    let length = file.len() - data;
    let raw = parse_header(text)?;
    let checked = raw.entries.into_iter().map(|entry| check_entry(entry, length));
    let mut entries = checked.collect::<Result<Vec<Entry>, FileFault>>()?;
    entries.sort_by_key(|e| (e.begin, e.end));
    check_cover(&entries, length)?;
    Ok(Header { entries, metadata: raw.metadata, data })
}

fn header_text(file: &[u8]) -> Result<&str, FileFault> {
    let Some((size, rest)) = file.split_first_chunk::<8>() else {
        return Err(FileFault::TooShort { length: file.len() });
    };
    let length = u64::from_le_bytes(*size);
    if length > MAX_HEADER {
        return Err(FileFault::HeaderTooLarge { length, limit: MAX_HEADER });
    }
    // MAX_HEADER fits a usize of 32 bits.
    let Some(header) = rest.get(..length as usize) else {
        return Err(FileFault::HeaderPastEnd { length, available: rest.len() });
    };
    let text = std::str::from_utf8(header);
    let text = text.map_err(|e| FileFault::HeaderNotUtf8 { at: e.valid_up_to() })?;
    match text.as_bytes().first() {
        Some(b'{') => Ok(text),
        byte => Err(FileFault::HeaderStart { byte: byte.copied() }),
    }
}

fn check_entry(raw: RawEntry, length: usize) -> Result<Entry, FileFault> {
    let RawEntry { name, dtype, shape, begin, end } = raw;
    let Some(dtype) = Dtype::parse(&dtype) else {
        return Err(FileFault::UnknownDtype { tensor: name, dtype });
    };
    if begin > end {
        return Err(FileFault::ReversedOffsets { tensor: name, begin, end });
    }
    if end > length as u64 {
        return Err(FileFault::OutOfRange { tensor: name, begin, end, length });
    }
    // Both fit: they are at most `length`, a usize.
    let (begin, end) = (begin as usize, end as usize);
    let Some(shape) = shape.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<Vec<usize>>>() else {
        return Err(FileFault::ShapeOverflow { tensor: name, dtype, shape: vec![usize::MAX; shape.len()] });
    };
    match dtype.byte_len(&shape) {
        Ok(expected) if expected == end - begin => Ok(Entry { name, dtype, shape, begin, end }),
        Ok(expected) => {
            Err(FileFault::SizeMismatch { tensor: name, dtype, shape, expected, found: end - begin })
        }
        Err(ByteLenFault::Overflow) => Err(FileFault::ShapeOverflow { tensor: name, dtype, shape }),
        Err(ByteLenFault::PartialByte) => Err(FileFault::PartialByte { tensor: name, dtype, shape }),
    }
}

/// Sorted by offset, each entry begins where the one before ended. Empty tensors lie anywhere on a
/// border, but not inside another tensor.
fn check_cover(entries: &[Entry], length: usize) -> Result<(), FileFault> {
    let mut covered = 0;
    let mut last: Option<&Entry> = None;
    for entry in entries {
        if entry.begin > covered {
            return Err(FileFault::Hole { tensor: entry.name.clone(), begin: covered, end: entry.begin });
        }
        if let Some(other) = last.filter(|_| entry.begin < covered) {
            let (tensor, other) = (entry.name.clone(), other.name.clone());
            return Err(FileFault::Overlap {
                tensor,
                other,
                begin: entry.begin,
                end: entry.end.min(covered),
            });
        }
        covered = entry.end;
        last = Some(entry);
    }
    if covered == length { Ok(()) } else { Err(FileFault::TrailingBytes { begin: covered, end: length }) }
}
