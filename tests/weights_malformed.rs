//! A malformed file gives its typed error: no panic, in bounded time and memory.

use std::path::PathBuf;
use tilewright::weights::{Dtype, FileFault, IndexFault, Weights, WeightsError};

/// A file with this header, and `data` bytes behind it.
fn file(header: &str, data: usize) -> Vec<u8> {
    raw(header.as_bytes(), data)
}

fn raw(header: &[u8], data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(vec![0; data]);
    file
}

/// A file whose only tensor is `a`, described so.
fn entry(fields: &str, data: usize) -> Vec<u8> {
    file(&format!(r#"{{"a":{{{fields}}}}}"#), data)
}

/// A U8 tensor at an offset.
fn u8s(name: &str, begin: usize, end: usize) -> String {
    format!(r#""{name}":{{"dtype":"U8","shape":[{}],"data_offsets":[{begin},{end}]}}"#, end - begin)
}

fn fault(file: &[u8]) -> FileFault {
    match Weights::from_bytes(file) {
        Err(WeightsError::File { fault, .. }) => {
            assert!(fault.to_string().len() > 20, "{fault}");
            fault
        }
        other => panic!("{other:?} for {:?}", String::from_utf8_lossy(&file[..file.len().min(200)])),
    }
}

fn a() -> String {
    "a".to_owned()
}

fn size(dtype: Dtype, shape: &[usize], expected: usize, found: usize) -> FileFault {
    FileFault::SizeMismatch { tensor: a(), dtype, shape: shape.to_vec(), expected, found }
}

fn integer(field: &'static str, found: &str) -> FileFault {
    FileFault::NotAnInteger { tensor: a(), field, found: found.to_owned() }
}

fn kind(field: &'static str, found: &str) -> FileFault {
    let expected = if field == "dtype" { "a string" } else { "an array of integers" };
    FileFault::FieldKind { tensor: a(), field, expected, found: found.to_owned() }
}

#[test]
fn a_file_cut_short_or_with_a_wrong_header_length_is_refused() {
    let huge = |length: u64| length.to_le_bytes().to_vec();
    let limit = 100_000_000;
    let cases = [
        (vec![], FileFault::TooShort { length: 0 }),
        (vec![1, 0, 0, 0, 0, 0, 0], FileFault::TooShort { length: 7 }),
        (huge(0), FileFault::HeaderStart { byte: None }),
        (huge(2), FileFault::HeaderPastEnd { length: 2, available: 0 }),
        (huge(limit), FileFault::HeaderPastEnd { length: limit, available: 0 }),
        (huge(limit + 1), FileFault::HeaderTooLarge { length: limit + 1, limit }),
        (huge(u64::MAX), FileFault::HeaderTooLarge { length: u64::MAX, limit }),
        (huge(1 << 63), FileFault::HeaderTooLarge { length: 1 << 63, limit }),
        (raw(b"{}", 0)[..9].to_vec(), FileFault::HeaderPastEnd { length: 2, available: 1 }),
    ];
    for (file, expected) in cases {
        assert_eq!(fault(&file), expected);
    }
}

#[test]
fn a_header_that_is_no_json_object_is_refused() {
    assert_eq!(fault(&raw(b"{\"\xff\"}", 0)), FileFault::HeaderNotUtf8 { at: 2 });
    assert_eq!(fault(&raw(b"{\"\xed\xa0\x80\":1}", 0)), FileFault::HeaderNotUtf8 { at: 2 });
    assert_eq!(fault(&file(" {}", 0)), FileFault::HeaderStart { byte: Some(b' ') });
    assert_eq!(fault(&file("[]", 0)), FileFault::HeaderStart { byte: Some(b'[') });
    assert_eq!(fault(&file("\u{feff}{}", 0)), FileFault::HeaderStart { byte: Some(0xef) });
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    let nested = format!(r#"{{"a":{{"dtype":{}"#, "[".repeat(100_000));
    let texts = [
        "{",
        "{\"a\"",
        "{}{}",
        "{} x",
        "{}\0\0",
        "{\"a\":}",
        "{,}",
        "{'a':1}",
        "{\"a\\ud800\":1}",
        "{\"a\u{0}\":1}",
        r#"{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[Infinity],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,NaN]}}"#,
        r#"{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[0x1],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1,],"data_offsets":[0,4]}}"#,
        nested.as_str(),
    ];
    for text in texts {
        let found = fault(&file(text, 4));
        assert!(matches!(found, FileFault::HeaderJson { .. }), "{found:?}");
    }
    assert_eq!(fault(&file(&deep, 0)), FileFault::NotAnEntry { tensor: a(), found: "an array".into() });
}

#[test]
fn an_entry_of_the_wrong_form_is_refused() {
    let missing = |field| FileFault::MissingField { tensor: a(), field };
    let twice = |field| FileFault::DuplicateField { tensor: a(), field };
    let not_an_entry = |found: &str| FileFault::NotAnEntry { tensor: a(), found: found.into() };
    let cases = [
        (file(r#"{"a":null}"#, 0), not_an_entry("null")),
        (file(r#"{"a":7}"#, 0), not_an_entry("7")),
        (file(r#"{"a":-7.5}"#, 0), not_an_entry("-7.5")),
        (file(r#"{"a":"b"}"#, 0), not_an_entry("the string \"b\"")),
        (file(r#"{"a":true}"#, 0), not_an_entry("true")),
        (file(r#"{"a":["F32",[1],[0,4]]}"#, 4), not_an_entry("an array")),
        (entry("", 0), missing("dtype")),
        (entry(r#""shape":[1],"data_offsets":[0,4]"#, 4), missing("dtype")),
        (entry(r#""dtype":"F32","data_offsets":[0,4]"#, 4), missing("shape")),
        (entry(r#""dtype":"F32","shape":[1]"#, 4), missing("data_offsets")),
        (entry(r#""dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]"#, 4), twice("dtype")),
        (entry(r#""dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]"#, 4), twice("shape")),
        (
            entry(r#""dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4]"#, 4),
            twice("data_offsets"),
        ),
        (entry(r#""dtype":"F32","\u0064type":"I32","shape":[1],"data_offsets":[0,4]"#, 4), twice("dtype")),
        (
            entry(r#""dtype":"F32","shape":[1],"data_offsets":[0,4],"scale":2"#, 4),
            FileFault::UnknownField { tensor: a(), field: "scale".into() },
        ),
        (entry(r#""dtype":7,"shape":[1],"data_offsets":[0,4]"#, 4), kind("dtype", "7")),
        (entry(r#""dtype":["F32"],"shape":[1],"data_offsets":[0,4]"#, 4), kind("dtype", "an array")),
        (entry(r#""dtype":"F32","shape":1,"data_offsets":[0,4]"#, 4), kind("shape", "1")),
        (entry(r#""dtype":"F32","shape":null,"data_offsets":[0,4]"#, 4), kind("shape", "null")),
        (entry(r#""dtype":"F32","shape":{"0":1},"data_offsets":[0,4]"#, 4), kind("shape", "an object")),
        (
            entry(r#""dtype":"F32","shape":[1],"data_offsets":"0,4""#, 4),
            kind("data_offsets", "the string \"0,4\""),
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(fault(&file), expected);
    }
}

#[test]
fn numbers_that_are_no_64_bit_naturals_are_refused() {
    let shape = |n: &str| entry(&format!(r#""dtype":"F32","shape":[{n}],"data_offsets":[0,4]"#), 4);
    let offset = |n: &str| entry(&format!(r#""dtype":"F32","shape":[1],"data_offsets":[0,{n}]"#), 4);
    let cases = [
        (shape("-1"), integer("shape", "-1")),
        (shape("1.0"), integer("shape", "1.0")),
        (shape("1e0"), integer("shape", "1.0")),
        (shape("18446744073709551616"), integer("shape", "1.8446744073709552e19")),
        (shape("\"1\""), integer("shape", "the string \"1\"")),
        (shape("true"), integer("shape", "true")),
        (shape("null"), integer("shape", "null")),
        (shape("[1]"), integer("shape", "an array")),
        (offset("-4"), integer("data_offsets", "-4")),
        (offset("4.5"), integer("data_offsets", "4.5")),
        (offset("99999999999999999999"), integer("data_offsets", "1e20")),
        (offset("{}"), integer("data_offsets", "an object")),
        (offset("-0"), integer("data_offsets", "-0.0")),
    ];
    for (file, expected) in cases {
        assert_eq!(fault(&file), expected);
    }
}

#[test]
fn dtypes_and_sizes_that_disagree_are_refused() {
    let unknown = |dtype: &str| FileFault::UnknownDtype { tensor: a(), dtype: dtype.into() };
    let dtype = |name: &str| entry(&format!(r#""dtype":"{name}","shape":[1],"data_offsets":[0,4]"#), 4);
    let shaped = |name: &str, shape: &str, bytes: usize| {
        entry(&format!(r#""dtype":"{name}","shape":[{shape}],"data_offsets":[0,{bytes}]"#), bytes)
    };
    let cases = [
        (dtype("float32"), unknown("float32")),
        (dtype("f32"), unknown("f32")),
        (dtype(""), unknown("")),
        (dtype("F32 "), unknown("F32 ")),
        (dtype("I128"), unknown("I128")),
        (dtype("F64"), size(Dtype::F64, &[1], 8, 4)),
        (dtype("BF16"), size(Dtype::Bf16, &[1], 2, 4)),
        (dtype("BOOL"), size(Dtype::Bool, &[1], 1, 4)),
        (shaped("F32", "2,3", 20), size(Dtype::F32, &[2, 3], 24, 20)),
        (shaped("F32", "", 8), size(Dtype::F32, &[], 4, 8)),
        (shaped("F32", "0", 4), size(Dtype::F32, &[0], 0, 4)),
        (shaped("F32", "1", 0), size(Dtype::F32, &[1], 4, 0)),
        (shaped("F4", "3", 1), FileFault::PartialByte { tensor: a(), dtype: Dtype::F4, shape: vec![3] }),
        (
            shaped("F6_E2M3", "2", 2),
            FileFault::PartialByte { tensor: a(), dtype: Dtype::F6E2m3, shape: vec![2] },
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(fault(&file), expected);
    }
}

#[test]
fn shapes_whose_product_overflows_are_refused_in_any_order() {
    let max = usize::MAX;
    let shapes: [&[usize]; 8] = [
        &[max, max],
        &[max, 2],
        &[max],
        &[1 << 32, 1 << 32],
        &[1 << 31, 1 << 31, 4],
        &[max, max, 0],
        &[1 << 62],
        &[1 << 61, 8],
    ];
    for shape in shapes {
        let text = format!(r#""dtype":"F32","shape":{shape:?},"data_offsets":[0,0]"#);
        let expected = FileFault::ShapeOverflow { tensor: a(), dtype: Dtype::F32, shape: shape.to_vec() };
        assert_eq!(fault(&entry(&text, 0)), expected);
    }
    // A zero in front does not hide it.
    let text = format!(r#""dtype":"F32","shape":[0,{max},{max}],"data_offsets":[0,0]"#);
    let expected = FileFault::ShapeOverflow { tensor: a(), dtype: Dtype::F32, shape: vec![0, max, max] };
    assert_eq!(fault(&entry(&text, 0)), expected);
}

#[test]
fn offsets_outside_the_data_or_reversed_are_refused() {
    let at = |begin: u64, end: u64| {
        entry(&format!(r#""dtype":"U8","shape":[4],"data_offsets":[{begin},{end}]"#), 4)
    };
    let reversed = |begin, end| FileFault::ReversedOffsets { tensor: a(), begin, end };
    let outside = |begin, end| FileFault::OutOfRange { tensor: a(), begin, end, length: 4 };
    let count = |count| FileFault::OffsetsCount { tensor: a(), count };
    let offsets = |text: &str| entry(&format!(r#""dtype":"U8","shape":[4],"data_offsets":[{text}]"#), 4);
    let cases = [
        (at(4, 0), reversed(4, 0)),
        (at(u64::MAX, 3), reversed(u64::MAX, 3)),
        (at(1, 5), outside(1, 5)),
        (at(4, 8), outside(4, 8)),
        (at(0, u64::MAX), outside(0, u64::MAX)),
        (at(u64::MAX - 4, u64::MAX), outside(u64::MAX - 4, u64::MAX)),
        (offsets(""), count(0)),
        (offsets("0"), count(1)),
        (offsets("0,4,4"), count(3)),
    ];
    for (file, expected) in cases {
        assert_eq!(fault(&file), expected);
    }
}

#[test]
fn tensors_that_overlap_or_leave_holes_are_refused() {
    let both = |x: String, y: String, data| file(&format!("{{{x},{y}}}"), data);
    let overlap = |tensor: &str, other: &str, begin, end| FileFault::Overlap {
        tensor: tensor.into(),
        other: other.into(),
        begin,
        end,
    };
    let hole = |tensor: &str, begin, end| FileFault::Hole { tensor: tensor.into(), begin, end };
    let cases = [
        (both(u8s("a", 0, 4), u8s("b", 2, 6), 6), overlap("b", "a", 2, 4)),
        (both(u8s("a", 0, 4), u8s("b", 0, 4), 4), overlap("b", "a", 0, 4)),
        (both(u8s("b", 1, 2), u8s("a", 0, 4), 4), overlap("b", "a", 1, 2)),
        (both(u8s("a", 0, 4), u8s("b", 2, 2), 4), overlap("b", "a", 2, 2)),
        (both(u8s("a", 0, 4), u8s("b", 6, 8), 8), hole("b", 4, 6)),
        (both(u8s("a", 4, 8), u8s("b", 6, 8), 8), hole("a", 0, 4)),
        (both(u8s("a", 0, 4), u8s("b", 5, 5), 5), hole("b", 4, 5)),
        (file(&format!("{{{}}}", u8s("a", 0, 4)), 5), FileFault::TrailingBytes { begin: 4, end: 5 }),
        (file("{}", 1), FileFault::TrailingBytes { begin: 0, end: 1 }),
    ];
    for (file, expected) in cases {
        assert_eq!(fault(&file), expected);
    }
}

#[test]
fn names_that_two_readers_could_read_differently_are_refused() {
    let twice = |tensor: &str| FileFault::DuplicateName { tensor: tensor.into() };
    let cases = [
        (file(&format!("{{{},{}}}", u8s("a", 0, 1), u8s("a", 1, 2)), 2), twice("a")),
        (file(&format!("{{{},{}}}", u8s("a", 0, 1), u8s("\\u0061", 1, 2)), 2), twice("a")),
        (file(&format!("{{{},{}}}", u8s("é", 0, 1), u8s("\\u00e9", 1, 2)), 2), twice("é")),
        (file(&format!("{{{},{}}}", u8s("/", 0, 1), u8s("\\/", 1, 2)), 2), twice("/")),
        (file(&format!("{{{},{}}}", u8s("😀", 0, 1), u8s("\\ud83d\\ude00", 1, 2)), 2), twice("😀")),
        (file(&format!("{{{},{}}}", u8s("", 0, 1), u8s("", 1, 2)), 2), twice("")),
    ];
    for (file, expected) in cases {
        assert_eq!(fault(&file), expected);
    }
}

#[test]
fn metadata_holds_strings_once() {
    let metadata = |text: &str| file(&format!(r#"{{"__metadata__":{text}}}"#), 0);
    let wrong = |key: Option<&str>, found: &str| FileFault::MetadataKind {
        key: key.map(str::to_owned),
        found: found.into(),
    };
    let cases = [
        (metadata("null"), wrong(None, "null")),
        (metadata("[]"), wrong(None, "an array")),
        (metadata("\"pt\""), wrong(None, "the string \"pt\"")),
        (metadata(r#"{"format":1}"#), wrong(Some("format"), "1")),
        (metadata(r#"{"format":{"a":"b"}}"#), wrong(Some("format"), "an object")),
        (metadata(r#"{"k":"a","\u006b":"b"}"#), FileFault::DuplicateMetadata { key: Some("k".into()) }),
        (file(r#"{"__metadata__":{},"__metadata__":{}}"#, 0), FileFault::DuplicateMetadata { key: None }),
        (
            file(r#"{"__metadata__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#, 1),
            wrong(Some("shape"), "an array"),
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(fault(&file), expected);
    }
}

#[test]
fn too_many_dimensions_or_tensors_are_refused_soon() {
    let ones = vec!["1"; 33].join(",");
    let many = entry(&format!(r#""dtype":"U8","shape":[{ones}],"data_offsets":[0,1]"#), 1);
    assert_eq!(fault(&many), FileFault::TooManyDimensions { tensor: a(), limit: 32 });
    let zeros = format!(r#"{{"a":{{"data_offsets":[{}]}}}}"#, vec!["0"; 1 << 20].join(","));
    assert_eq!(fault(&file(&zeros, 0)), FileFault::OffsetsCount { tensor: a(), count: 3 });
}

#[test]
fn a_hundred_megabyte_header_of_empty_tensors_is_refused_in_bounded_time() {
    let mut header = String::with_capacity(100_000_000);
    header.push('{');
    let mut i = 0;
    while header.len() < 99_999_900 {
        header.push_str(&format!(r#""{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}},"#));
        i += 1;
    }
    header.pop();
    header.push('}');
    let bytes = file(&header, 0);
    drop(header);
    let start = std::time::Instant::now();
    assert_eq!(fault(&bytes), FileFault::TooManyTensors { limit: 1 << 18 });
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn names_with_path_tricks_are_names_and_nothing_else() -> Result<(), WeightsError> {
    let header =
        format!("{{{},{},{}}}", u8s("../../etc/passwd", 0, 1), u8s("a\\u0000b", 1, 2), u8s("", 2, 3));
    let weights = Weights::from_bytes(file(&header, 3))?;
    assert_eq!(weights.names().collect::<Vec<_>>(), ["", "../../etc/passwd", "a\0b"]);
    assert_eq!(weights.bytes("../../etc/passwd")?, [0]);
    // What is printed of an untrusted name is escaped.
    let Err(error) = weights.bytes("\u{1b}[31mred") else { panic!("there is no such tensor") };
    assert!(!error.to_string().contains('\u{1b}'), "{error}");
    Ok(())
}

#[test]
fn unusual_but_valid_files_open() -> Result<(), WeightsError> {
    for (text, data, count) in [
        ("{}".to_owned(), 0, 0),
        ("{}      ".to_owned(), 0, 0),
        ("{ }\n".to_owned(), 0, 0),
        (format!("{{{},{}}}", u8s("b", 4, 8), u8s("a", 0, 4)), 8, 2),
        (format!("{{{},{},{}}}", u8s("a", 0, 0), u8s("b", 0, 4), u8s("c", 4, 4)), 4, 3),
        (r#"{"a":{"data_offsets":[0,4],"shape":[],"dtype":"F32"}}"#.to_owned(), 4, 1),
        (r#"{"a":{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]}}"#.to_owned(), 3, 1),
        (r#"{"a":{"dtype":"F6_E3M2","shape":[4],"data_offsets":[0,3]}}"#.to_owned(), 3, 1),
        (r#"{"a":{"dtype":"F32","shape":[0,1000000],"data_offsets":[0,0]}}"#.to_owned(), 0, 1),
    ] {
        assert_eq!(Weights::from_bytes(file(&text, data))?.len(), count, "{text}");
    }
    Ok(())
}

/// A directory of this test's own, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("tilewright-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap_or_else(|e| panic!("{e}"));
        Directory(path)
    }

    fn with(self, name: &str, bytes: impl AsRef<[u8]>) -> Directory {
        std::fs::write(self.0.join(name), bytes).unwrap_or_else(|e| panic!("{e}"));
        self
    }

    fn index_fault(&self) -> IndexFault {
        match Weights::open(&self.0) {
            Err(WeightsError::Index { fault, .. }) => {
                assert!(fault.to_string().len() > 20, "{fault}");
                fault
            }
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn index(name: &str, text: &str) -> Directory {
    let shard = file(&format!("{{{}}}", u8s("a", 0, 4)), 4);
    Directory::new(name).with("model.safetensors.index.json", text).with("s.safetensors", shard)
}

#[test]
fn a_malformed_index_is_refused() {
    let kind = |tensor: Option<&str>, found: &str| IndexFault::WeightMapKind {
        tensor: tensor.map(str::to_owned),
        found: found.into(),
    };
    let cases = [
        ("{}", IndexFault::WeightMap { count: 0 }),
        (r#"{"weight_map":{},"weight_map":{}}"#, IndexFault::WeightMap { count: 2 }),
        (r#"{"weight_map":[]}"#, kind(None, "an array")),
        (r#"{"weight_map":7}"#, kind(None, "7")),
        (r#"{"weight_map":{"a":7}}"#, kind(Some("a"), "7")),
        (r#"{"weight_map":{"a":["s.safetensors"]}}"#, kind(Some("a"), "an array")),
        (
            r#"{"weight_map":{"a":"s.safetensors","\u0061":"t.safetensors"}}"#,
            IndexFault::DuplicateName { tensor: a() },
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(index("index", text).index_fault(), expected, "{text}");
    }
    for text in ["", "[", "[]", "{", "nonsense"] {
        let found = index("index-json", text).index_fault();
        assert!(matches!(found, IndexFault::Json { .. }), "{found:?} for {text:?}");
    }
    let found =
        Directory::new("index-utf8").with("model.safetensors.index.json", b"{\"\xff\"}").index_fault();
    assert!(matches!(found, IndexFault::Json { .. }), "{found:?}");
}

#[test]
fn a_shard_is_a_plain_file_name_beside_the_index() {
    let outside = Directory::new("outside").with("s.safetensors", file("{}", 0));
    let absolute = outside.0.join("s.safetensors").display().to_string();
    let long = format!("{}.safetensors", "x".repeat(255));
    let shards = [
        "../s.safetensors",
        "..",
        "sub/s.safetensors",
        "sub\\\\s.safetensors",
        "/etc/passwd",
        absolute.as_str(),
        "c:s.safetensors",
        ".safetensors",
        ".hidden.safetensors",
        "s.bin",
        "",
        "s\\u0000.safetensors",
        "*.safetensors",
        long.as_str(),
    ];
    for shard in shards {
        let found = index("shard-names", &format!(r#"{{"weight_map":{{"a":"{shard}"}}}}"#)).index_fault();
        assert!(matches!(found, IndexFault::ShardName { .. }), "{found:?} for {shard:?}");
    }
}

#[test]
fn an_index_and_its_shards_agree() {
    let map = |text: &str| {
        index("shards", &format!(r#"{{"metadata":{{"total_size":4}},"weight_map":{{{text}}}}}"#))
    };
    let (shard, other) = ("s.safetensors".to_owned(), "t.safetensors".to_owned());
    let missing = IndexFault::MissingShard { tensor: "b".into(), shard: other.clone() };
    assert_eq!(map(r#""a":"s.safetensors","b":"t.safetensors""#).index_fault(), missing);
    let not_in_shard = IndexFault::NotInShard { tensor: "b".into(), shard: shard.clone() };
    assert_eq!(map(r#""a":"s.safetensors","b":"s.safetensors""#).index_fault(), not_in_shard);
    let second = file(&format!("{{{},{}}}", u8s("a", 0, 4), u8s("b", 4, 8)), 8);
    let twice = IndexFault::InTwoShards { tensor: a(), shard: other.clone(), other: shard };
    let both = map(r#""a":"s.safetensors","b":"t.safetensors""#).with("t.safetensors", &second);
    assert_eq!(both.index_fault(), twice);
    let unlisted = IndexFault::NotInIndex { tensor: "b".into(), shard: other };
    assert_eq!(map(r#""a":"t.safetensors""#).with("t.safetensors", &second).index_fault(), unlisted);
}

#[test]
fn a_fault_in_a_shard_names_the_shard() {
    let directory =
        index("bad-shard", r#"{"weight_map":{"a":"s.safetensors"}}"#).with("s.safetensors", b"short");
    match Weights::open(&directory.0) {
        Err(WeightsError::File { file, fault: FileFault::TooShort { length: 5 } }) => {
            assert_eq!(file, directory.0.join("s.safetensors"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn shards_and_single_files_open_mapped_and_copied() -> Result<(), WeightsError> {
    let second = file(&format!("{{{}}}", u8s("b", 0, 2)), 2);
    let text = r#"{"weight_map":{"a":"s.safetensors","b":"t.safetensors"}}"#;
    let directory = index("good", text).with("t.safetensors", &second);
    let json = directory.0.join("model.safetensors.index.json");
    for weights in [Weights::open(&directory.0)?, Weights::open(&json)?, Weights::open_copied(&directory.0)?]
    {
        assert_eq!(weights.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(weights.bytes("b")?, [0, 0]);
    }
    let single = Directory::new("single").with("model.safetensors", &second);
    assert_eq!(Weights::open(&single.0)?.len(), 1);
    assert_eq!(Weights::open(single.0.join("model.safetensors"))?.len(), 1);
    Ok(())
}

#[test]
fn a_directory_without_weights_says_what_it_holds() {
    let directory = Directory::new("nothing").with("adapter.safetensors", b"").with("config.json", b"{}");
    match Weights::open(&directory.0) {
        Err(WeightsError::NothingToOpen { found, .. }) => {
            assert_eq!(found, ["adapter.safetensors", "config.json"]);
        }
        other => panic!("{other:?}"),
    }
    let missing = Weights::open(directory.0.join("model.safetensors"));
    assert!(matches!(missing, Err(WeightsError::Io { .. })), "{missing:?}");
    let device = Weights::open("/dev/null");
    assert!(device.is_err(), "{device:?}");
}

/// A small generator: the same files each time.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize
}

/// Damages a valid file. What still opens must be what the safetensors crate reads, too.
#[test]
fn damaged_files_never_panic_and_never_mean_something_else_to_another_reader() {
    let text = format!(
        r#"{{"__metadata__":{{"format":"pt"}},{},{},"w":{{"dtype":"F16","shape":[2,3],"data_offsets":[6,18]}},"e":{{"dtype":"F32","shape":[0,7],"data_offsets":[18,18]}}}}"#,
        u8s("layer.0.b", 0, 2),
        u8s("layer.1.b", 2, 6)
    );
    let valid = file(&text, 18);
    assert_eq!(Weights::from_bytes(&valid).map(|w| w.len()).ok(), Some(4));
    let digits = b"0123456789[]{},:\"-.eE\\u ";
    let mut state = 0x9e37_79b9_7f4a_7c15;
    let mut opened = 0;
    for _ in 0..20_000 {
        let mut damaged = valid.clone();
        for _ in 0..1 + next(&mut state) % 3 {
            let at = next(&mut state) % damaged.len();
            match next(&mut state) % 6 {
                0 => damaged[at] ^= 1 << (next(&mut state) % 8),
                1 => damaged[at] = next(&mut state) as u8,
                2 => damaged.truncate(at.max(1)),
                3 => damaged.insert(at, digits[next(&mut state) % digits.len()]),
                4 => drop(damaged.remove(at.min(damaged.len() - 1))),
                _ => damaged[at] = digits[next(&mut state) % digits.len()],
            }
            if damaged.is_empty() {
                damaged.push(0);
            }
        }
        if next(&mut state).is_multiple_of(2) && damaged.len() > 26 {
            // Keep the lengths right, so that the damage is reached.
            let header = (damaged.len() - 26) as u64;
            damaged[..8].copy_from_slice(&header.to_le_bytes());
        }
        if let Ok(weights) = Weights::from_bytes(&damaged) {
            opened += 1;
            agrees_with_the_crate(&weights, &damaged);
        }
    }
    assert!(opened > 100, "only {opened} damaged files opened: the damage is too great to show anything");
}

fn agrees_with_the_crate(weights: &Weights, file: &[u8]) {
    let other =
        safetensors::SafeTensors::deserialize(file).unwrap_or_else(|e| panic!("the crate refuses: {e}"));
    assert_eq!(weights.len(), other.len());
    for info in weights.iter() {
        let tensor = other.tensor(info.name).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(info.dtype.to_string(), tensor.dtype().to_string());
        assert_eq!(info.shape, tensor.shape());
        assert_eq!(weights.bytes(info.name).ok(), Some(tensor.data()));
    }
}
