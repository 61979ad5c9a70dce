//! 8 lanes of i32 and of u32.

use super::{intrinsic, widen};
use crate::simd::portable::Bits;
use crate::simd::{Integers, Masks, Vector};
use std::arch::x86_64::*;

/// 8 lanes of i32 in a register.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct I32x8(pub(super) __m256i);

/// 8 lanes of u32 in a register.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct U32x8(pub(super) __m256i);

macro_rules! unary {
    ($($name:ident = |$a:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            let $a = self.0;
            Self(intrinsic!($value))
        }
    )*};
}
macro_rules! binary {
    ($($name:ident = |$a:ident, $b:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            let ($a, $b) = (self.0, other.0);
            Self(intrinsic!($value))
        }
    )*};
}
macro_rules! comparison {
    ($flip:expr; $($name:ident = |$a:ident, $b:ident| $not:literal $compare:ident($c:ident, $d:ident);)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Bits<8> {
            // The instruction compares signed numbers.
            let sign = Self::splat($flip);
            let ($a, $b) = (Integers::xor(self, sign).0, Integers::xor(other, sign).0);
            let bits = intrinsic!(_mm256_movemask_ps(_mm256_castsi256_ps($compare($c, $d)))) as u16;
            Bits(bits ^ $not)
        }
    )*};
}
/// Halves are combined until one lane is left.
macro_rules! reduction {
    ($T:ident: $($name:ident = $op:ident;)*) => {$(
        #[inline(always)]
        fn $name(self) -> $T {
            let x = self.$op(Self(intrinsic!(_mm256_permute2x128_si256::<1>(self.0, self.0))));
            let x = x.$op(Self(intrinsic!(_mm256_shuffle_epi32::<0b_01_00_11_10>(x.0))));
            let x = x.$op(Self(intrinsic!(_mm256_shuffle_epi32::<0b_10_11_00_01>(x.0))));
            intrinsic!(_mm256_cvtsi256_si32(x.0)) as $T
        }
    )*};
}
macro_rules! vector {
    ($V:ident, $T:ident, $max:ident, $min:ident, $shr:ident, |$a:ident| $abs:expr, $flip:expr) => {
        impl Vector for $V {
            type Scalar = $T;
            type Mask = Bits<8>;
            const LANES: usize = 8;
            #[inline(always)]
            fn splat(x: $T) -> Self {
                Self(intrinsic!(_mm256_set1_epi32(x as i32)))
            }
            #[inline(always)]
            fn from_lanes(mut f: impl FnMut(usize) -> $T) -> Self {
                let mut lanes = [0; 8];
                for (i, lane) in lanes.iter_mut().enumerate() {
                    *lane = f(i);
                }
                Self(intrinsic!(_mm256_loadu_si256(lanes.as_ptr().cast())))
            }
            #[inline(always)]
            fn lane(self, i: usize) -> $T {
                let mut lanes = [0; 8];
                intrinsic!(_mm256_storeu_si256(lanes.as_mut_ptr().cast(), self.0));
                lanes[i & 7]
            }
            #[inline(always)]
            fn select(mask: Bits<8>, then: Self, otherwise: Self) -> Self {
                Self(intrinsic!(_mm256_blendv_epi8(otherwise.0, then.0, widen(mask))))
            }
            #[inline(always)]
            fn first(self, n: usize, other: Self) -> Self {
                Self::select(Masks::first_lanes(n), self, other)
            }
            binary! {
                add = |a, b| _mm256_add_epi32(a, b);
                sub = |a, b| _mm256_sub_epi32(a, b);
                mul = |a, b| _mm256_mullo_epi32(a, b);
                max = |a, b| $max(a, b);
                min = |a, b| $min(a, b);
            }
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                Self::from_lanes(|i| Vector::div(self.lane(i), other.lane(i)))
            }
            #[inline(always)]
            fn rem(self, other: Self) -> Self {
                Self::from_lanes(|i| Vector::rem(self.lane(i), other.lane(i)))
            }
            unary! {
                neg = |a| _mm256_sub_epi32(_mm256_setzero_si256(), a);
                abs = |$a| $abs;
            }
            comparison! {
                $flip;
                eq = |a, b| 0 _mm256_cmpeq_epi32(a, b);
                ne = |a, b| 0xFF _mm256_cmpeq_epi32(a, b);
                lt = |a, b| 0 _mm256_cmpgt_epi32(b, a);
                le = |a, b| 0xFF _mm256_cmpgt_epi32(a, b);
                gt = |a, b| 0 _mm256_cmpgt_epi32(a, b);
                ge = |a, b| 0xFF _mm256_cmpgt_epi32(b, a);
            }
            reduction! {
                $T:
                reduce_add = add;
                reduce_mul = mul;
                reduce_max = max;
                reduce_min = min;
            }
        }

        impl Integers for $V {
            binary! {
                and = |a, b| _mm256_and_si256(a, b);
                or = |a, b| _mm256_or_si256(a, b);
                xor = |a, b| _mm256_xor_si256(a, b);
                shl = |a, b| _mm256_sllv_epi32(a, _mm256_and_si256(b, _mm256_set1_epi32(31)));
                shr = |a, b| $shr(a, _mm256_and_si256(b, _mm256_set1_epi32(31)));
            }
            unary! {
                not = |a| _mm256_xor_si256(a, _mm256_set1_epi32(-1));
            }
        }
    };
}
vector!(I32x8, i32, _mm256_max_epi32, _mm256_min_epi32, _mm256_srav_epi32, |a| _mm256_abs_epi32(a), 0);
vector!(
    U32x8,
    u32,
    _mm256_max_epu32,
    _mm256_min_epu32,
    _mm256_srlv_epi32,
    |a| _mm256_or_si256(a, a),
    0x8000_0000
);
