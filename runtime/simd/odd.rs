//! Rounding to odd: what is rounded again to fewer digits then is as if it had been rounded once.
//!
//! Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to
//! odd", 2008.

use super::Lane;

/// Scalars that round to an f32 to odd: an inexact result has its last bit set.
pub trait Odd: Lane {
    /// The neighbouring f32 whose last bit is set, or this value if f32 has it.
    fn odd(self) -> f32;
}

impl Odd for f64 {
    fn odd(self) -> f32 {
        let near = self as f32;
        let bits = near.to_bits();
        if f64::from(near) == self || self.is_nan() || self.is_infinite() || bits & 1 == 1 {
            return near;
        }
        // The neighbour on the other side of `self`: one step in the bits is one in size.
        f32::from_bits(if f64::from(near).abs() > self.abs() { bits - 1 } else { bits + 1 })
    }
}

impl Odd for i64 {
    fn odd(self) -> f32 {
        let size = self.unsigned_abs();
        // f64 holds 53 bits; what is below the last 12 only says that there is more.
        let kept = if size >> 52 == 0 { size } else { size >> 12 << 12 | u64::from(size & 0xFFF != 0) << 12 };
        let size = (kept as f64).odd();
        if self < 0 { -size } else { size }
    }
}

impl Odd for i32 {
    fn odd(self) -> f32 {
        f64::from(self).odd()
    }
}

impl Odd for u32 {
    fn odd(self) -> f32 {
        f64::from(self).odd()
    }
}

impl Odd for f32 {
    fn odd(self) -> f32 {
        self
    }
}

impl Odd for bool {
    fn odd(self) -> f32 {
        f32::from(u8::from(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    #[test]
    fn halves_are_rounded_once() {
        // Just above the middle of two halves: through the nearest f32 the tie would go to even, down.
        let middle = 1.0 + f64::from(f16::EPSILON) / 2.0;
        let above = middle + 2f64.powi(-40);
        assert_eq!(f16::from_f32(above as f32).to_f32(), 1.0);
        assert_eq!(f16::from_f32(above.odd()).to_f64(), 1.0 + f64::from(f16::EPSILON));
        assert_eq!(f16::from_f32((-above).odd()).to_f64(), -1.0 - f64::from(f16::EPSILON));
        assert_eq!(f16::from_f32(middle.odd()).to_f64(), 1.0);
        // 2^30 + 2^22 is a middle in bf16; one more is above it.
        assert_eq!(
            bf16::from_f32(((1i32 << 30) + (1 << 22) + 1).odd()).to_f64(),
            f64::from((1 << 30) + (1 << 23))
        );
        assert_eq!(
            bf16::from_f32(((1i64 << 62) + (1 << 54) + 1).odd()).to_f64(),
            (2f64.powi(62)) + 2f64.powi(55)
        );
        assert_eq!(1e-300f64.odd(), f32::from_bits(1));
        assert_eq!((-1e-300f64).odd(), -f32::from_bits(1));
        assert_eq!(1e300f64.odd(), f32::MAX);
        assert_eq!(f64::INFINITY.odd(), f32::INFINITY);
    }
}
