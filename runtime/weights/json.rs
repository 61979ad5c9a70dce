//! Strict JSON for headers and indices, on serde_json's streaming reader.
//!
//! In: untrusted text. Out: entries in the order written, or the first fault. The safetensors
//! crate's own reader keeps the last of two equal names and skips unknown fields, so two readers can
//! disagree on one file; here names are compared after unescaping and nothing is skipped. Memory is
//! bounded by the text, which is bounded by its caller; nothing is allocated by a number in it.
//!
//! serde's errors are texts. A typed fault therefore travels beside them: the visitor leaves it in
//! `Reader::fault` and stops the parse with any error.

use super::error::FileFault;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// Dimensions of a stored tensor; more is a fault.
pub(crate) const MAX_RANK: usize = 32;
/// Tensors of one file. The largest public checkpoints have half of this over all their shards.
pub(crate) const MAX_TENSORS: usize = 1 << 18;

/// One entry of a header, as written: not yet checked against the data.
#[derive(Debug)]
pub(crate) struct RawEntry {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<u64>,
    pub begin: u64,
    pub end: u64,
}

/// A header as written.
#[derive(Debug, Default)]
pub(crate) struct RawHeader {
    pub entries: Vec<RawEntry>,
    pub metadata: BTreeMap<String, String>,
}

/// A fault with a type, or serde_json's own.
pub(crate) enum JsonError<F> {
    Typed(F),
    Syntax { line: usize, column: usize, message: String },
}

/// Runs `seed` over the whole text.
pub(crate) fn parse<'de, F, S: DeserializeSeed<'de>>(
    text: &'de str,
    fault: &RefCell<Option<F>>,
    seed: S,
) -> Result<S::Value, JsonError<F>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let parsed = seed.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    parsed.map_err(|e| match fault.take() {
        Some(typed) => JsonError::Typed(typed),
        None => JsonError::Syntax { line: e.line(), column: e.column(), message: e.to_string() },
    })
}

/// Parses a header.
pub(crate) fn parse_header(text: &str) -> Result<RawHeader, FileFault> {
    let fault = RefCell::new(None);
    parse(text, &fault, HeaderSeed(&fault)).map_err(|e| match e {
        JsonError::Typed(fault) => fault,
        JsonError::Syntax { line, column, message } => FileFault::HeaderJson { line, column, message },
    })
}

/// Leaves the typed fault and stops the parse.
pub(crate) fn stop<F, E: Error>(slot: &RefCell<Option<F>>, fault: F) -> E {
    slot.replace(Some(fault));
    E::custom("refused")
}

/// What a JSON value is, in few words: for messages about values of the wrong kind.
pub(crate) enum Kind {
    String(String),
    Unsigned(u64),
    /// Any other number, as text.
    Number(String),
    Array,
    Object,
    Other(&'static str),
}

impl Kind {
    pub(crate) fn text(&self) -> String {
        match self {
            Kind::String(s) => format!("the string {:?}", s.chars().take(40).collect::<String>()),
            Kind::Unsigned(n) => n.to_string(),
            Kind::Number(n) => n.clone(),
            Kind::Array => "an array".into(),
            Kind::Object => "an object".into(),
            Kind::Other(word) => (*word).into(),
        }
    }
}

/// Reads a scalar, or only the beginning of an array or object: the caller stops at those.
pub(crate) struct KindSeed;

impl<'de> DeserializeSeed<'de> for KindSeed {
    type Value = Kind;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Kind, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KindSeed {
    type Value = Kind;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_str<E: Error>(self, v: &str) -> Result<Kind, E> {
        Ok(Kind::String(v.to_owned()))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<Kind, E> {
        Ok(Kind::Unsigned(v))
    }
    fn visit_i64<E: Error>(self, v: i64) -> Result<Kind, E> {
        Ok(Kind::Number(v.to_string()))
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<Kind, E> {
        Ok(Kind::Number(format!("{v:?}")))
    }
    fn visit_bool<E: Error>(self, v: bool) -> Result<Kind, E> {
        Ok(Kind::Other(if v { "true" } else { "false" }))
    }
    fn visit_unit<E: Error>(self) -> Result<Kind, E> {
        Ok(Kind::Other("null"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(Kind::Array)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
        Ok(Kind::Object)
    }
}

type Slot<'a> = &'a RefCell<Option<FileFault>>;

struct HeaderSeed<'a>(Slot<'a>);

impl<'de> DeserializeSeed<'de> for HeaderSeed<'_> {
    type Value = RawHeader;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<RawHeader, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed<'_> {
    type Value = RawHeader;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
        let mut header = RawHeader::default();
        let mut names = HashSet::new();
        let mut has_metadata = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                if std::mem::replace(&mut has_metadata, true) {
                    return Err(stop(self.0, FileFault::DuplicateMetadata { key: None }));
                }
                header.metadata = map.next_value_seed(MetadataSeed(self.0))?;
                continue;
            }
            if header.entries.len() == MAX_TENSORS {
                return Err(stop(self.0, FileFault::TooManyTensors { limit: MAX_TENSORS }));
            }
            if !names.insert(name.clone()) {
                return Err(stop(self.0, FileFault::DuplicateName { tensor: name }));
            }
            header.entries.push(map.next_value_seed(EntrySeed { name, fault: self.0 })?);
        }
        Ok(header)
    }
}

struct MetadataSeed<'a>(Slot<'a>);

impl MetadataSeed<'_> {
    fn kind<E: Error>(&self, key: Option<String>, kind: &Kind) -> E {
        stop(self.0, FileFault::MetadataKind { key, found: kind.text() })
    }
}

impl<'de> DeserializeSeed<'de> for MetadataSeed<'_> {
    type Value = BTreeMap<String, String>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

/// The visits of every scalar: each ends in `self.wrong(kind)`.
macro_rules! refuse_scalars {
    ($wrong:ident) => {
        fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
            Err(self.$wrong(&Kind::String(v.to_owned())))
        }
        fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
            Err(self.$wrong(&Kind::Unsigned(v)))
        }
        fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> {
            Err(self.$wrong(&Kind::Number(v.to_string())))
        }
        fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
            Err(self.$wrong(&Kind::Number(format!("{v:?}"))))
        }
        fn visit_bool<E: Error>(self, v: bool) -> Result<Self::Value, E> {
            Err(self.$wrong(&Kind::Other(if v { "true" } else { "false" })))
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Err(self.$wrong(&Kind::Other("null")))
        }
    };
}
pub(crate) use refuse_scalars;

impl MetadataSeed<'_> {
    fn wrong<E: Error>(&self, kind: &Kind) -> E {
        self.kind(None, kind)
    }
}

impl<'de> Visitor<'de> for MetadataSeed<'_> {
    type Value = BTreeMap<String, String>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }
    refuse_scalars!(wrong);
    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.wrong(&Kind::Array))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut metadata = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = match map.next_value_seed(KindSeed)? {
                Kind::String(value) => value,
                kind
                @ (Kind::Unsigned(_) | Kind::Number(_) | Kind::Array | Kind::Object | Kind::Other(_)) => {
                    return Err(self.kind(Some(key), &kind));
                }
            };
            if metadata.contains_key(&key) {
                return Err(stop(self.0, FileFault::DuplicateMetadata { key: Some(key) }));
            }
            metadata.insert(key, value);
        }
        Ok(metadata)
    }
}

struct EntrySeed<'a> {
    name: String,
    fault: Slot<'a>,
}

impl EntrySeed<'_> {
    fn wrong<E: Error>(&self, kind: &Kind) -> E {
        stop(self.fault, FileFault::NotAnEntry { tensor: self.name.clone(), found: kind.text() })
    }
    fn missing<E: Error>(&self, field: &'static str) -> E {
        stop(self.fault, FileFault::MissingField { tensor: self.name.clone(), field })
    }
    fn once<E: Error>(&self, field: &'static str, seen: bool) -> Result<(), E> {
        let fault = || FileFault::DuplicateField { tensor: self.name.clone(), field };
        if seen { Err(stop(self.fault, fault())) } else { Ok(()) }
    }
    fn dtype<E: Error>(&self, kind: Kind) -> Result<String, E> {
        match kind {
            Kind::String(dtype) => Ok(dtype),
            Kind::Unsigned(_) | Kind::Number(_) | Kind::Array | Kind::Object | Kind::Other(_) => {
                let fault = FileFault::FieldKind {
                    tensor: self.name.clone(),
                    field: "dtype",
                    expected: "a string",
                    found: kind.text(),
                };
                Err(stop(self.fault, fault))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for EntrySeed<'_> {
    type Value = RawEntry;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<RawEntry, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed<'_> {
    type Value = RawEntry;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with dtype, shape and data_offsets")
    }
    refuse_scalars!(wrong);
    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.wrong(&Kind::Array))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEntry, A::Error> {
        let (mut dtype, mut shape, mut offsets) = (None, None, None);
        let numbers = |field, limit| NumbersSeed { tensor: &self.name, field, limit, fault: self.fault };
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "dtype" => {
                    self.once("dtype", dtype.is_some())?;
                    dtype = Some(self.dtype(map.next_value_seed(KindSeed)?)?);
                }
                "shape" => {
                    self.once("shape", shape.is_some())?;
                    shape = Some(map.next_value_seed(numbers("shape", MAX_RANK))?);
                }
                "data_offsets" => {
                    self.once("data_offsets", offsets.is_some())?;
                    offsets = Some(map.next_value_seed(numbers("data_offsets", 2))?);
                }
                _ => {
                    let fault = FileFault::UnknownField { tensor: self.name.clone(), field };
                    return Err(stop(self.fault, fault));
                }
            }
        }
        let dtype = dtype.ok_or_else(|| self.missing("dtype"))?;
        let shape = shape.ok_or_else(|| self.missing("shape"))?;
        let offsets = offsets.ok_or_else(|| self.missing("data_offsets"))?;
        let &[begin, end] = offsets.as_slice() else {
            let fault = FileFault::OffsetsCount { tensor: self.name, count: offsets.len() };
            return Err(stop(self.fault, fault));
        };
        Ok(RawEntry { name: self.name, dtype, shape, begin, end })
    }
}

/// An array of at most `limit` non-negative integers.
struct NumbersSeed<'a> {
    tensor: &'a str,
    field: &'static str,
    limit: usize,
    fault: Slot<'a>,
}

impl NumbersSeed<'_> {
    fn wrong<E: Error>(&self, kind: &Kind) -> E {
        let expected = "an array of integers";
        let (tensor, found) = (self.tensor.to_owned(), kind.text());
        stop(self.fault, FileFault::FieldKind { tensor, field: self.field, expected, found })
    }
    fn excess(&self, tensor: String) -> FileFault {
        if self.field == "shape" {
            FileFault::TooManyDimensions { tensor, limit: self.limit }
        } else {
            FileFault::OffsetsCount { tensor, count: self.limit + 1 }
        }
    }
}

impl<'de> DeserializeSeed<'de> for NumbersSeed<'_> {
    type Value = Vec<u64>;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Vec<u64>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NumbersSeed<'_> {
    type Value = Vec<u64>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of integers")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u64>, A::Error> {
        let mut numbers = Vec::new();
        while let Some(kind) = seq.next_element_seed(KindSeed)? {
            let tensor = self.tensor.to_owned();
            let Kind::Unsigned(number) = kind else {
                let fault = FileFault::NotAnInteger { tensor, field: self.field, found: kind.text() };
                return Err(stop(self.fault, fault));
            };
            if numbers.len() == self.limit {
                return Err(stop(self.fault, self.excess(tensor)));
            }
            numbers.push(number);
        }
        Ok(numbers)
    }
    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Vec<u64>, A::Error> {
        Err(self.wrong(&Kind::Object))
    }
    refuse_scalars!(wrong);
}
