//! Floats of 8 bits in lanes: widened to f32, and rounded from it.
//!
//! "OCP 8-bit Floating Point Specification (OFP8)", 2023. Rounding saturates: a number beyond the largest becomes the
//! largest, as the conversion instructions of GPUs do it. An infinity stays one where there is one, so that loading
//! and storing changes nothing.

use super::{Integers, Simd, Vector};

/// A format of 8 bits: a sign, an exponent, a mantissa.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eighth {
    /// Bits of the mantissa.
    mantissa: i32,
    /// What the exponent counts from.
    bias: i32,
    /// The bits of infinity, or past all others if there is none.
    infinity: i32,
    /// The first bits that are NaN.
    nan: i32,
    /// The largest number.
    largest: f32,
}

/// `f8e4m3`: no infinities.
pub(crate) const E4M3: Eighth = Eighth { mantissa: 3, bias: 7, infinity: 0x80, nan: 0x7F, largest: 448.0 };
/// `f8e5m2`: the upper half of an f16.
pub(crate) const E5M2: Eighth = Eighth { mantissa: 2, bias: 15, infinity: 0x7C, nan: 0x7D, largest: 57344.0 };

impl Eighth {
    /// The exponent of the last bit of the smallest numbers.
    const fn last(self) -> i32 {
        1 - self.bias - self.mantissa
    }

    /// The numbers with these bits, which are `0 ..= 255`.
    #[inline(always)]
    pub(crate) fn widen<S: Simd>(self, bits: S::I32) -> S::F32 {
        let int = S::I32::splat;
        let (sign, rest) = (bits.and(int(0x80)).shl(int(24)), bits.and(int(0x7F)));
        let normal = rest.shl(int(23 - self.mantissa)).add(int((127 - self.bias) << 23));
        // Multiples of the last bit, by a float that has no subnormals on its way.
        let small: S::F32 = super::Cast::cast(rest);
        let small = S::to_bits(small.mul(S::F32::splat(power_of_two(self.last()))));
        let size = S::I32::select(rest.lt(int(1 << self.mantissa)), small, normal);
        let size = S::I32::select(rest.ge(int(self.infinity)), int(f32::INFINITY.to_bits() as i32), size);
        let size = S::I32::select(rest.ge(int(self.nan)), int(f32::NAN.to_bits() as i32), size);
        S::from_bits(size.or(sign))
    }

    /// The bits of the nearest numbers, of two the even one; NaN stays NaN.
    #[inline(always)]
    pub(crate) fn narrow<S: Simd>(self, x: S::F32) -> S::I32 {
        let int = S::I32::splat;
        let bits = S::to_bits(x);
        let sign = bits.shr(int(24)).and(int(0x80));
        let size = S::clamp(S::from_bits(bits.and(int(0x7FFF_FFFF))), 0.0, self.largest);
        let (of_size, unused) = (S::to_bits(size), 23 - self.mantissa);
        let odd = of_size.shr(int(unused)).and(int(1));
        let normal = of_size.add(odd).add(int((1 << (unused - 1)) - 1)).shr(int(unused));
        let normal = normal.sub(int((127 - self.bias) << self.mantissa));
        // The sum's last bit is the last bit of the smallest numbers, so adding rounds.
        let magic = S::F32::splat(power_of_two(self.last() + 23));
        let small = S::to_bits(size.add(magic)).sub(S::to_bits(magic));
        let is_small = size.lt(S::F32::splat(power_of_two(1 - self.bias)));
        let rounded = S::I32::select(is_small, small, normal);
        let rounded = S::I32::select(x.ne(x), int(0x7F), rounded);
        // Its bits would be a sign: there is none.
        if self.infinity > 0x7F {
            return rounded.or(sign);
        }
        let is_infinite = bits.and(int(0x7FFF_FFFF)).eq(int(f32::INFINITY.to_bits() as i32));
        S::I32::select(is_infinite, int(self.infinity), rounded).or(sign)
    }
}

/// `2^n` for `n` within -126 ..= 127.
const fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::One;
    use crate::weights::small::{Small, decode};

    /// All patterns as the reader of weights knows them, and all numbers, the middles between them and their
    /// neighbours rounded to what is nearest.
    #[test]
    fn all_numbers_are_widened_and_rounded_to_the_nearest() {
        for (format, small) in [(E4M3, Small::E4M3), (E5M2, Small::E5M2)] {
            let widen = |bits: u8| format.widen::<One>(i32::from(bits));
            let finite: Vec<u8> = (0..0x80).filter(|bits| widen(*bits).is_finite()).collect();
            let nearest = |x: f32| {
                let size = f64::from(x.abs()).min(f64::from(format.largest));
                let distance = |bits: u8| ((f64::from(widen(bits)) - size).abs(), bits & 1);
                let all = finite.iter().copied();
                all.min_by(|a, b| distance(*a).partial_cmp(&distance(*b)).unwrap()).unwrap()
            };
            let check = |x: f32| {
                let bits = format.narrow::<One>(x);
                let sign = i32::from(x.is_sign_negative()) << 7;
                let stays = x.is_infinite() && format.infinity < 0x80;
                let size = if stays { format.infinity } else { i32::from(nearest(x)) };
                assert_eq!(bits, size | sign, "{x:e}");
            };
            for bits in 0..=255u8 {
                let (ours, known) = (widen(bits), decode(small, bits));
                assert!(ours.to_bits() == known.to_bits() || (ours.is_nan() && known.is_nan()), "{bits:#x}");
            }
            for bits in finite.iter().copied() {
                let (x, next) = (widen(bits), widen(bits + 1));
                let middle = if next.is_finite() { (x + next) / 2.0 } else { x * 1.0625 };
                for x in [x, middle, middle.next_up(), middle.next_down()] {
                    check(x);
                    check(-x);
                }
            }
            for x in [f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, 1e-30, -1e-45] {
                check(x);
            }
            assert!(widen(format.narrow::<One>(f32::NAN) as u8).is_nan());
        }
    }
}
