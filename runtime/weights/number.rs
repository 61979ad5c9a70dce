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

/// A number that is about to be rounded to a shorter float, as an f32 that rounds to the same: where f32
/// cannot hold it, the neighbour with an odd mantissa, so that nothing is rounded twice.
pub(crate) fn round_to_odd(number: Number) -> Number {
    match number {
        Number::F64(x) => Number::F32(odd(x)),
        Number::I32(x) => Number::F32(odd(x.into())),
        Number::U32(x) => Number::F32(odd(x.into())),
        Number::I64(x) => Number::F32(odd(sticky(x))),
        Number::F32(_) | Number::Bool(_) => number,
    }
}

/// At most 40 leading bits, the last one set if any bit behind it is: exact in f64, and on the same
/// side of every tie of f32.
fn sticky(x: i64) -> f64 {
    let magnitude = x.unsigned_abs();
    let shift = (64 - magnitude.leading_zeros()).saturating_sub(40);
    let kept = magnitude >> shift;
    let lost = u64::from(kept << shift != magnitude);
    // `kept | lost` has 40 bits, and 2^shift is a power of two: both are exact.
    let rounded = (kept | lost) as f64 * (1u64 << shift) as f64;
    if x < 0 { -rounded } else { rounded }
}

fn odd(x: f64) -> f32 {
    let nearest = x as f32;
    if f64::from(nearest) == x || x.is_nan() {
        return nearest;
    }
    let towards_zero = nearest.to_bits() - u32::from(f64::from(nearest).abs() > x.abs());
    f32::from_bits(towards_zero | 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_rounds_once() {
        // Just above the middle between two bf16: through f32 it would tie and round to even, down.
        let x = 1.0 + 2f64.powi(-8) + 2f64.powi(-40);
        assert_eq!(half::bf16::from_f32(x as f32).to_f64(), 1.0);
        assert_eq!(half::bf16::from_f32(odd(x)).to_f64(), 1.0 + 2f64.powi(-7));
        assert_eq!(half::bf16::from_f32(odd(-x)).to_f64(), -1.0 - 2f64.powi(-7));
        for exact in [0.0, -0.5, 65504.0, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(f64::from(odd(exact)), exact);
        }
        assert!(odd(f64::NAN).is_nan());
        let x = (1i64 << 62) + (1 << 54) + 1;
        assert_eq!(half::bf16::from_f32(odd(x as f64)).to_f64(), 2f64.powi(62));
        assert_eq!(half::bf16::from_f32(odd(sticky(x))).to_f64(), 2f64.powi(62) + 2f64.powi(55));
        assert_eq!(sticky(i64::MIN), i64::MIN as f64);
        assert_eq!(half::f16::from_f32(odd(1e300)), half::f16::INFINITY);
        assert_eq!(half::f16::from_f32(odd(1e-300)).to_f64(), 0.0);
    }
}
