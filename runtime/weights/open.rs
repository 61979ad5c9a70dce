//! A file, a directory or an index → checked places of tensors.

use super::bytes::Bytes;
use super::error::{IndexFault, WeightsError};
use super::header::{Entry, Header, check_file};
use super::index::read_index;
use super::{Place, Weights};
use crate::device::Device;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

/// How the bytes of a file come into memory.
pub(crate) type Reader = fn(&Path) -> Result<Bytes, WeightsError>;

/// Opens whatever `path` is.
pub(crate) fn open(path: &Path, read: Reader) -> Result<Weights, WeightsError> {
    let path = if path.is_dir() { choose(path)? } else { path.to_owned() };
    if path.extension().is_some_and(|e| e == "json") {
        open_index(&path, read)
    } else {
        open_single(&path, read)
    }
}

/// The index if there is one, else the single file; never a glob.
fn choose(directory: &Path) -> Result<PathBuf, WeightsError> {
    let candidates = [directory.join(INDEX), directory.join(SINGLE)];
    if let Some(path) = candidates.into_iter().find(|p| p.is_file()) {
        return Ok(path);
    }
    let io = |source| WeightsError::Io { path: directory.to_owned(), source };
    let names = std::fs::read_dir(directory).map_err(io)?.flatten();
    let names = names.map(|e| e.file_name().to_string_lossy().into_owned());
    let weights = names.filter(|n| n.ends_with(".safetensors") || n.ends_with(".json"));
    let mut found: Vec<String> = weights.take(16).collect();
    found.sort_unstable();
    Err(WeightsError::NothingToOpen { directory: directory.to_owned(), found })
}

fn open_single(path: &Path, read: Reader) -> Result<Weights, WeightsError> {
    let bytes = read(path)?;
    from_bytes(path, bytes)
}

/// One file that is in memory.
pub(crate) fn from_bytes(path: &Path, bytes: Bytes) -> Result<Weights, WeightsError> {
    let Header { entries, metadata, data } = checked(path, &bytes)?;
    let places = entries.into_iter().map(|e| place(e, 0, data)).collect();
    Ok(Weights {
        path: path.to_owned(),
        files: vec![bytes],
        places,
        metadata,
        device: Device::cpu(),
        keep_packed: false,
    })
}

fn checked(path: &Path, bytes: &Bytes) -> Result<Header, WeightsError> {
    check_file(bytes.as_slice()).map_err(|fault| WeightsError::File { file: path.to_owned(), fault })
}

fn place(entry: Entry, file: usize, data: usize) -> (String, Place) {
    let Entry { name, dtype, shape, begin, end } = entry;
    (name, Place { file, dtype, shape, begin: data + begin, end: data + end })
}

fn open_index(path: &Path, read: Reader) -> Result<Weights, WeightsError> {
    let map = read_index(path)?;
    let refuse = |fault| WeightsError::Index { file: path.to_owned(), fault };
    let shards: BTreeSet<&String> = map.values().collect();
    let mut weights = Weights {
        path: path.to_owned(),
        files: Vec::new(),
        places: BTreeMap::new(),
        metadata: BTreeMap::new(),
        device: Device::cpu(),
        keep_packed: false,
    };
    for shard in shards {
        let beside = path.with_file_name(shard);
        if !beside.is_file() {
            let tensor = map.iter().find(|(_, s)| *s == shard).map(|(t, _)| t.clone()).unwrap_or_default();
            return Err(refuse(IndexFault::MissingShard { tensor, shard: shard.clone() }));
        }
        let bytes = read(&beside)?;
        let Header { entries, metadata, data } = checked(&beside, &bytes)?;
        for entry in entries {
            let (tensor, shard) = (entry.name.clone(), shard.clone());
            match map.get(&entry.name) {
                Some(place) if *place == shard => {}
                Some(other) => {
                    return Err(refuse(IndexFault::InTwoShards { tensor, shard, other: other.clone() }));
                }
                None => return Err(refuse(IndexFault::NotInIndex { tensor, shard })),
            }
            weights.places.extend([place(entry, weights.files.len(), data)]);
        }
        weights.files.push(bytes);
        // Shards agree on their metadata in practice; where they do not, the first one counts.
        for (key, value) in metadata {
            weights.metadata.entry(key).or_insert(value);
        }
    }
    match map.iter().find(|(tensor, _)| !weights.places.contains_key(*tensor)) {
        Some((tensor, shard)) => {
            Err(refuse(IndexFault::NotInShard { tensor: tensor.clone(), shard: shard.clone() }))
        }
        None => Ok(weights),
    }
}
