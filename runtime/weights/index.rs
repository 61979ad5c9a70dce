//! `model.safetensors.index.json`: which shard holds which tensor.
//!
//! In: untrusted text. Out: names and shards, every shard a plain file name. Other keys than
//! `weight_map` (`metadata` with a total size) are not needed and skipped.

use super::error::{IndexFault, WeightsError};
use super::json::{JsonError, Kind, KindSeed, parse, refuse_scalars, stop};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

/// Bytes of an index, at most.
const MAX_INDEX: u64 = 100_000_000;
/// Tensors over all shards, at most.
const MAX_TENSORS: usize = 1 << 20;

/// Name of the tensor → name of the shard.
pub(crate) type WeightMap = BTreeMap<String, String>;

/// Reads and checks an index.
pub(crate) fn read_index(path: &Path) -> Result<WeightMap, WeightsError> {
    let io = |source| WeightsError::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut text = Vec::new();
    file.take(MAX_INDEX + 1).read_to_end(&mut text).map_err(io)?;
    let checked = if text.len() as u64 > MAX_INDEX {
        Err(IndexFault::TooLarge { length, limit: MAX_INDEX })
    } else {
        check_index(&text)
    };
    checked.map_err(|fault| WeightsError::Index { file: path.to_owned(), fault })
}

fn check_index(text: &[u8]) -> Result<WeightMap, IndexFault> {
    let json = |line, column, message| IndexFault::Json { line, column, message };
    let text = std::str::from_utf8(text).map_err(|e| json(0, e.valid_up_to(), "not UTF-8".into()))?;
    let fault = RefCell::new(None);
    let map = parse(text, &fault, IndexSeed(&fault)).map_err(|e| match e {
        JsonError::Typed(fault) => fault,
        JsonError::Syntax { line, column, message } => json(line, column, message),
    })?;
    for (tensor, shard) in &map {
        if !is_plain_file_name(shard) {
            return Err(IndexFault::ShardName { tensor: tensor.clone(), shard: shard.clone() });
        }
    }
    Ok(map)
}

/// No directory, no drive, no stream, nothing hidden: it can only name a file beside the index.
fn is_plain_file_name(shard: &str) -> bool {
    let forbidden =
        |c: char| c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    shard.len() <= 255
        && shard.ends_with(".safetensors")
        && !shard.starts_with('.')
        && !shard.contains(forbidden)
}

type Slot<'a> = &'a RefCell<Option<IndexFault>>;

struct IndexSeed<'a>(Slot<'a>);

impl<'de> DeserializeSeed<'de> for IndexSeed<'_> {
    type Value = WeightMap;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<WeightMap, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IndexSeed<'_> {
    type Value = WeightMap;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a weight_map")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
        let mut weight_map = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "weight_map" {
                map.next_value::<IgnoredAny>()?;
            } else if weight_map.is_some() {
                return Err(stop(self.0, IndexFault::WeightMap { count: 2 }));
            } else {
                weight_map = Some(map.next_value_seed(WeightMapSeed(self.0))?);
            }
        }
        weight_map.ok_or_else(|| stop(self.0, IndexFault::WeightMap { count: 0 }))
    }
}

struct WeightMapSeed<'a>(Slot<'a>);

impl WeightMapSeed<'_> {
    fn wrong<E: Error>(&self, kind: &Kind) -> E {
        stop(self.0, IndexFault::WeightMapKind { tensor: None, found: kind.text() })
    }
}

impl<'de> DeserializeSeed<'de> for WeightMapSeed<'_> {
    type Value = WeightMap;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<WeightMap, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for WeightMapSeed<'_> {
    type Value = WeightMap;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of file names")
    }
    refuse_scalars!(wrong);
    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.wrong(&Kind::Array))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
        let mut shards = WeightMap::new();
        while let Some(tensor) = map.next_key::<String>()? {
            let kind = map.next_value_seed(KindSeed)?;
            let Kind::String(shard) = kind else {
                let fault = IndexFault::WeightMapKind { tensor: Some(tensor), found: kind.text() };
                return Err(stop(self.0, fault));
            };
            if shards.len() == MAX_TENSORS {
                return Err(stop(self.0, IndexFault::TooManyTensors { limit: MAX_TENSORS }));
            }
            if shards.contains_key(&tensor) {
                return Err(stop(self.0, IndexFault::DuplicateName { tensor }));
            }
            shards.insert(tensor, shard);
        }
        Ok(shards)
    }
}
