//! Good files: every element type comes back as it went in, aligned or not, mapped or read.

use std::path::PathBuf;
use tilewright::prelude::*;
use tilewright::weights::{Dtype, Stored, WeightsError, save, save_with_metadata};

/// A file of this test's own, removed at the end.
struct Path(PathBuf);

impl Path {
    fn new(name: &str) -> Path {
        Path(std::env::temp_dir().join(format!("tilewright-{name}-{}.safetensors", std::process::id())))
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

fn tensor<T: Element>(elements: &[T]) -> Tensor<T> {
    Tensor::from_slice(elements.len(), elements).expect("the length is the slice's")
}

fn comes_back<T: Element>(elements: &[T]) -> Result<(), WeightsError> {
    let path = Path::new(T::NAME);
    let [x, empty, scalar] = [tensor(elements), Tensor::zeros((0, 3)), Tensor::scalar(elements[0])];
    save(&path.0, &[("x", &x), ("empty", &empty), ("scalar", &scalar)])?;
    let bytes = std::fs::read(&path.0).unwrap_or_default();
    for weights in [Weights::open(&path.0)?, Weights::open_copied(&path.0)?, Weights::from_bytes(bytes)?] {
        let read: Tensor<T> = weights.get("x")?;
        assert_eq!(read.to_vec(), elements, "{}", T::NAME);
        assert_eq!(weights.get::<T>("empty")?.shape(), [0, 3]);
        assert_eq!(weights.get::<T>("scalar")?.shape(), [0; 0]);
        assert_eq!(weights.info("x").map(|info| info.dtype), Dtype::of::<T>());
        assert_eq!(weights.convert::<T>("x")?.to_vec(), elements);
    }
    Ok(())
}

#[test]
fn every_element_type_comes_back() -> Result<(), WeightsError> {
    comes_back(&[0.0f32, -1.5, f32::MAX, f32::MIN_POSITIVE, f32::INFINITY])?;
    comes_back(&[0.0f64, -1.5, f64::MAX, f64::MIN_POSITIVE, f64::NEG_INFINITY])?;
    comes_back(&[f16::from_f32(1.5), f16::MAX, f16::MIN])?;
    comes_back(&[bf16::from_f32(1.5), bf16::MAX, bf16::MIN])?;
    comes_back(&[f8e4m3::from_f32(1.5), f8e4m3::MAX, f8e4m3::MIN])?;
    comes_back(&[f8e5m2::from_f32(1.5), f8e5m2::MAX, f8e5m2::MIN])?;
    comes_back(&[0i8, i8::MIN, i8::MAX])?;
    comes_back(&[0u8, 1, u8::MAX])?;
    comes_back(&[0i16, i16::MIN, i16::MAX])?;
    comes_back(&[0u16, 1, u16::MAX])?;
    comes_back(&[0i32, i32::MIN, i32::MAX])?;
    comes_back(&[0u32, 1, u32::MAX])?;
    comes_back(&[0i64, i64::MIN, i64::MAX])?;
    comes_back(&[false, true, true, false])
}

/// A file with this header, and these bytes behind it.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

#[test]
fn unaligned_tensors_are_copied_and_aligned_ones_borrowed() -> Result<(), WeightsError> {
    let path = Path::new("unaligned");
    let data: Vec<u8> = 2.5f32.to_le_bytes().into_iter().chain((-7i64).to_le_bytes()).collect();
    let fields = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"I64","shape":[1],"data_offsets":[4,12]}}"#;
    for padding in 0..9 {
        let header = format!("{fields}{}", " ".repeat(padding));
        std::fs::write(&path.0, file(&header, &data)).unwrap_or_else(|e| panic!("{e}"));
        let weights = Weights::open(&path.0)?;
        let (a, b) = (weights.get::<f32>("a")?, weights.get::<i64>("b")?);
        assert_eq!((a.to_vec(), b.to_vec()), (vec![2.5], vec![-7]), "padding {padding}");
        // A copy may be written, the file may not.
        let start = 8 + header.len();
        assert_eq!(a.is_read_only(), start.is_multiple_of(4), "padding {padding}");
        assert_eq!(b.is_read_only(), (start + 4).is_multiple_of(8), "padding {padding}");
    }
    Ok(())
}

#[test]
fn tensors_outlive_the_weights_and_the_file() -> Result<(), WeightsError> {
    let path = Path::new("outlive");
    save(&path.0, &[("w", &Tensor::full(1000, 3i32))])?;
    let w: Tensor<i32> = Weights::open(&path.0)?.get("w")?;
    save(&path.0, &[("w", &Tensor::full(10, 4i32))])?;
    assert_eq!(w.to_vec(), vec![3; 1000]);
    std::fs::remove_file(&path.0).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(w.to_vec(), vec![3; 1000]);
    Ok(())
}

#[test]
fn borrowed_tensors_refuse_to_be_written() -> Result<(), WeightsError> {
    let path = Path::new("readonly");
    save(&path.0, &[("w", &Tensor::full(4, 3i32))])?;
    let mut w: Tensor<i32> = Weights::open(&path.0)?.get("w")?;
    assert!(w.is_read_only());
    assert!(w.write().is_err());
    let mut copy = w.copy().unwrap_or_else(|e| panic!("{e}"));
    assert!(copy.set(0, 1).is_ok());
    Ok(())
}

#[test]
fn a_bool_that_is_neither_0_nor_1_is_refused() -> Result<(), WeightsError> {
    let text = r#"{"m":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}"#;
    let weights = Weights::from_bytes(file(text, &[0, 1, 2]))?;
    let refused = |error| matches!(error, Some(WeightsError::NotABool { index: 2, byte: 2, .. }));
    assert!(refused(weights.get::<bool>("m").err()));
    assert!(refused(weights.convert::<f32>("m").err()));
    Ok(())
}

#[test]
fn conversions_are_asked_for_and_round_once() -> Result<(), WeightsError> {
    let path = Path::new("convert");
    let halves = tensor(&[f16::from_f32(1.5), f16::INFINITY]);
    let wide = tensor(&[1.0f64 + 2f64.powi(-8) + 2f64.powi(-40), 300.7, -1e300, f64::NAN]);
    let ints = tensor(&[i64::MAX, -1, 300]);
    save(&path.0, &[("h", &halves), ("w", &wide), ("i", &ints), ("b", &tensor(&[true, false]))])?;
    let weights = Weights::open(&path.0)?;
    let refused = weights.get::<f32>("h").err();
    assert!(matches!(refused, Some(WeightsError::DtypeMismatch { stored: Dtype::F16, wanted: "f32", .. })));
    assert_eq!(weights.convert::<f32>("h")?.to_vec(), [1.5, f32::INFINITY]);
    assert_eq!(weights.convert::<bf16>("w")?.get(0).ok(), Some(bf16::from_f32(1.0 + 2f32.powi(-7))));
    assert_eq!(weights.convert::<u8>("w")?.to_vec(), [1, 255, 0, 0]);
    assert_eq!(weights.convert::<i32>("i")?.to_vec(), [-1, -1, 300]);
    assert_eq!(weights.convert::<i8>("b")?.to_vec(), [1, 0]);
    assert_eq!(weights.convert::<bool>("i")?.to_vec(), [true; 3]);
    Ok(())
}

#[test]
fn small_floats_convert_and_packed_types_do_not() -> Result<(), WeightsError> {
    let text = r#"{"e":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]},"f":{"dtype":"F4","shape":[2,2],"data_offsets":[2,4]}}"#;
    let weights = Weights::from_bytes(file(text, &[0x38, 0xfe, 1, 2]))?;
    assert_eq!(weights.convert::<f32>("e")?.to_vec(), [1.0, -448.0]);
    let refused = weights.convert::<f32>("f").err();
    assert!(matches!(refused, Some(WeightsError::Unconvertible { stored: Dtype::F4, .. })));
    assert_eq!(weights.bytes("f")?, [1, 2]);
    Ok(())
}

#[test]
fn more_dimensions_than_a_tensor_has_are_an_error_when_asked_for() -> Result<(), WeightsError> {
    let text = r#"{"x":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}"#;
    let weights = Weights::from_bytes(file(text, &[7]))?;
    assert!(matches!(weights.get::<u8>("x"), Err(WeightsError::Tensor { .. })));
    assert!(matches!(weights.convert::<f32>("x"), Err(WeightsError::Tensor { .. })));
    assert_eq!(weights.bytes("x")?, [7]);
    Ok(())
}

#[test]
fn views_are_saved_in_row_major_order() -> Result<(), WeightsError> {
    let path = Path::new("views");
    let x = Tensor::from_fn((2, 3), |i| (10 * i[0] + i[1]) as i32);
    let transposed = x.transpose(0, 1).unwrap_or_else(|e| panic!("{e}"));
    save(&path.0, &[("t", &transposed)])?;
    let read: Tensor<i32> = Weights::open(&path.0)?.get("t")?;
    assert_eq!((read.shape(), read.to_vec()), (&[3, 2][..], vec![0, 10, 1, 11, 2, 12]));
    Ok(())
}

#[test]
fn saving_is_atomic_and_refuses_equal_names() -> Result<(), WeightsError> {
    let path = Path::new("atomic");
    let x = Tensor::scalar(1.0f32);
    save_with_metadata(&path.0, &[("x", &x)], &[("format", "pt")])?;
    let twice: [(&str, &dyn Stored); 2] = [("x", &x), ("x", &x)];
    assert!(matches!(save(&path.0, &twice), Err(WeightsError::SavedTwice { tensor }) if tensor == "x"));
    assert!(matches!(save(&path.0, &[("__metadata__", &x)]), Err(WeightsError::Save { .. })));
    let weights = Weights::open(&path.0)?;
    assert_eq!(weights.metadata().get("format").map(String::as_str), Some("pt"));
    let folder = std::env::temp_dir().join("tilewright-no-such-folder").join("x.safetensors");
    assert!(matches!(save(folder, &[("x", &x)]), Err(WeightsError::Io { .. })));
    let name = path.0.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let left = std::fs::read_dir(std::env::temp_dir()).map(|entries| {
        entries.flatten().filter(|e| e.file_name().to_string_lossy().contains(&format!(".{name}."))).count()
    });
    assert_eq!(left.ok(), Some(0), "a part was left behind");
    Ok(())
}

#[cfg(unix)]
#[test]
fn saved_files_have_ordinary_permissions() -> Result<(), WeightsError> {
    use std::os::unix::fs::PermissionsExt;
    let (saved, ordinary) = (Path::new("saved"), Path::new("ordinary"));
    save(&saved.0, &[("x", &Tensor::scalar(1.0f32))])?;
    std::fs::write(&ordinary.0, b"").unwrap_or_else(|e| panic!("{e}"));
    let mode = |path: &Path| std::fs::metadata(&path.0).map(|m| m.permissions().mode()).ok();
    assert_eq!(mode(&saved), mode(&ordinary));
    Ok(())
}

#[test]
fn an_unknown_name_suggests_the_nearest() -> Result<(), WeightsError> {
    let path = Path::new("nearest");
    let x = Tensor::scalar(1.0f32);
    save(&path.0, &[("bert.pooler.dense.weight", &x), ("classifier.weight", &x)])?;
    let weights = Weights::open(&path.0)?;
    let nearest = |name: &str| match weights.get::<f32>(name) {
        Err(WeightsError::UnknownTensor { nearest, .. }) => nearest,
        other => panic!("{other:?}"),
    };
    assert_eq!(nearest("pooler.dense.weight").as_deref(), Some("bert.pooler.dense.weight"));
    assert_eq!(nearest("clasifier.weight").as_deref(), Some("classifier.weight"));
    assert_eq!(nearest("something_else"), None);
    Ok(())
}
