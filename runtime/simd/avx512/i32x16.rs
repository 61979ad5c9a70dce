//! 16 lanes of i32 and of u32.

use super::intrinsic;
use crate::simd::portable::Bits;
use crate::simd::{Integers, Masks, Vector};
use std::arch::x86_64::*;

/// 16 lanes of i32 in a register.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct I32x16(pub(super) __m512i);

/// 16 lanes of u32 in a register.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct U32x16(pub(super) __m512i);

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
    ($($name:ident = $compare:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Bits<16> {
            Bits(intrinsic!($compare(self.0, other.0)))
        }
    )*};
}
/// Halves are combined until one lane is left.
macro_rules! reduction {
    ($T:ident: $($name:ident = $op:ident;)*) => {$(
        #[inline(always)]
        fn $name(self) -> $T {
            let x = self.$op(Self(intrinsic!(_mm512_shuffle_i32x4::<0b_01_00_11_10>(self.0, self.0))));
            let x = x.$op(Self(intrinsic!(_mm512_shuffle_i32x4::<0b_10_11_00_01>(x.0, x.0))));
            let x = x.$op(Self(intrinsic!(_mm512_shuffle_epi32::<0b_01_00_11_10>(x.0))));
            let x = x.$op(Self(intrinsic!(_mm512_shuffle_epi32::<0b_10_11_00_01>(x.0))));
            intrinsic!(_mm512_cvtsi512_si32(x.0)) as $T
        }
    )*};
}
macro_rules! vector {
    ($V:ident, $T:ident, $max:ident, $min:ident, $shr:ident, |$a:ident| $abs:expr,
        $lt:ident $le:ident $gt:ident $ge:ident) => {
        impl Vector for $V {
            type Scalar = $T;
            type Mask = Bits<16>;
            const LANES: usize = 16;
            #[inline(always)]
            fn splat(x: $T) -> Self {
                Self(intrinsic!(_mm512_set1_epi32(x as i32)))
            }
            #[inline(always)]
            fn from_lanes(mut f: impl FnMut(usize) -> $T) -> Self {
                let mut lanes = [0; 16];
                for (i, lane) in lanes.iter_mut().enumerate() {
                    *lane = f(i);
                }
                Self(intrinsic!(_mm512_loadu_si512(lanes.as_ptr().cast())))
            }
            #[inline(always)]
            fn lane(self, i: usize) -> $T {
                let mut lanes = [0; 16];
                intrinsic!(_mm512_storeu_si512(lanes.as_mut_ptr().cast(), self.0));
                lanes[i & 15]
            }
            #[inline(always)]
            fn select(mask: Bits<16>, then: Self, otherwise: Self) -> Self {
                Self(intrinsic!(_mm512_mask_blend_epi32(mask.0, otherwise.0, then.0)))
            }
            #[inline(always)]
            fn first(self, n: usize, other: Self) -> Self {
                Self::select(Masks::first_lanes(n), self, other)
            }
            binary! {
                add = |a, b| _mm512_add_epi32(a, b);
                sub = |a, b| _mm512_sub_epi32(a, b);
                mul = |a, b| _mm512_mullo_epi32(a, b);
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
                neg = |a| _mm512_sub_epi32(_mm512_setzero_si512(), a);
                abs = |$a| $abs;
            }
            comparison! {
                eq = _mm512_cmpeq_epi32_mask;
                ne = _mm512_cmpneq_epi32_mask;
                lt = $lt;
                le = $le;
                gt = $gt;
                ge = $ge;
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
                and = |a, b| _mm512_and_si512(a, b);
                or = |a, b| _mm512_or_si512(a, b);
                xor = |a, b| _mm512_xor_si512(a, b);
                shl = |a, b| _mm512_sllv_epi32(a, _mm512_and_si512(b, _mm512_set1_epi32(31)));
                shr = |a, b| $shr(a, _mm512_and_si512(b, _mm512_set1_epi32(31)));
            }
            unary! {
                not = |a| _mm512_xor_si512(a, _mm512_set1_epi32(-1));
            }
        }
    };
}
vector!(
    I32x16, i32, _mm512_max_epi32, _mm512_min_epi32, _mm512_srav_epi32, |a| _mm512_abs_epi32(a),
    _mm512_cmplt_epi32_mask _mm512_cmple_epi32_mask _mm512_cmpgt_epi32_mask _mm512_cmpge_epi32_mask
);
vector!(
    U32x16, u32, _mm512_max_epu32, _mm512_min_epu32, _mm512_srlv_epi32, |a| _mm512_or_si512(a, a),
    _mm512_cmplt_epu32_mask _mm512_cmple_epu32_mask _mm512_cmpgt_epu32_mask _mm512_cmpge_epu32_mask
);
