//! Stored elements of any type → numbers, for conversions.

use super::Dtype;
use super::small::{Small, decode};
use crate::tensor::convert::Number;

/// Reads one element from exactly its bytes. `None`: there is no conversion from this type.
/// U64 does not fit any number that tensors compute in; complex and packed types are not one number.
pub(crate) fn reader(stored: Dtype) -> Option<fn(&[u8]) -> Number> {
    Some(match stored {
        Dtype::F32 => |b| Number::F32(f32::from_le_bytes(array(b))),
        Dtype::F64 => |b| Number::F64(f64::from_le_bytes(array(b))),
        Dtype::F16 => |b| Number::F32(half::f16::from_le_bytes(array(b)).to_f32()),
        Dtype::Bf16 => |b| Number::F32(half::bf16::from_le_bytes(array(b)).to_f32()),
        Dtype::I8 => |b| Number::I32(i8::from_le_bytes(array(b)).into()),
        Dtype::U8 => |b| Number::I32(u8::from_le_bytes(array(b)).into()),
        Dtype::I16 => |b| Number::I32(i16::from_le_bytes(array(b)).into()),
        Dtype::U16 => |b| Number::I32(u16::from_le_bytes(array(b)).into()),
        Dtype::I32 => |b| Number::I32(i32::from_le_bytes(array(b))),
        Dtype::U32 => |b| Number::U32(u32::from_le_bytes(array(b))),
        Dtype::I64 => |b| Number::I64(i64::from_le_bytes(array(b))),
        Dtype::Bool => |b| Number::Bool(b[0] != 0),
        Dtype::F8E4m3 => |b| Number::F32(decode(Small::E4M3, b[0])),
        Dtype::F8E5m2 => |b| Number::F32(decode(Small::E5M2, b[0])),
        Dtype::F8E8m0 => |b| Number::F32(decode(Small::E8M0, b[0])),
        Dtype::F8E4m3fnuz => |b| Number::F32(decode(Small::E4M3FNUZ, b[0])),
        Dtype::F8E5m2fnuz => |b| Number::F32(decode(Small::E5M2FNUZ, b[0])),
        Dtype::U64 | Dtype::C64 | Dtype::F4 | Dtype::F6E2m3 | Dtype::F6E3m2 => return None,
    })
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}
