//! 8 lanes of f64 in two registers.

use super::{intrinsic, widen};
use crate::simd::portable::Bits;
use crate::simd::{Floats, Masks, Vector};
use std::arch::x86_64::*;

/// 8 lanes of f64 in two registers.
#[derive(Clone, Copy, Debug)]
pub struct F64x8(pub(super) __m256d, pub(super) __m256d);

macro_rules! unary {
    ($($name:ident = |$a:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            let low = { let $a = self.0; intrinsic!($value) };
            let high = { let $a = self.1; intrinsic!($value) };
            F64x8(low, high)
        }
    )*};
}
macro_rules! binary {
    ($($name:ident = |$a:ident, $b:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            let low = { let ($a, $b) = (self.0, other.0); intrinsic!($value) };
            let high = { let ($a, $b) = (self.1, other.1); intrinsic!($value) };
            F64x8(low, high)
        }
    )*};
}
macro_rules! comparison {
    ($($name:ident = $predicate:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Bits<8> {
            let low = intrinsic!(_mm256_movemask_pd(_mm256_cmp_pd::<$predicate>(self.0, other.0)));
            let high = intrinsic!(_mm256_movemask_pd(_mm256_cmp_pd::<$predicate>(self.1, other.1)));
            Bits((low | high << 4) as u16)
        }
    )*};
}
macro_rules! lanewise {
    ($($name:ident)*: unary) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            Self::from_lanes(|i| Floats::$name(self.lane(i)))
        }
    )*};
    ($($name:ident)*: binary) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            Self::from_lanes(|i| Floats::$name(self.lane(i), other.lane(i)))
        }
    )*};
}
/// Halves are combined until one lane is left.
macro_rules! reduction {
    ($($name:ident = $op:ident;)*) => {$(
        #[inline(always)]
        fn $name(self) -> f64 {
            let x = self.$op(F64x8(self.1, self.0));
            let x = x.$op(F64x8(intrinsic!(_mm256_permute4x64_pd::<0b_01_00_11_10>(x.0)), x.1));
            let x = x.$op(F64x8(intrinsic!(_mm256_permute_pd::<0b_0101>(x.0)), x.1));
            intrinsic!(_mm256_cvtsd_f64(x.0))
        }
    )*};
}

impl Vector for F64x8 {
    type Scalar = f64;
    type Mask = Bits<8>;
    const LANES: usize = 8;
    #[inline(always)]
    fn splat(x: f64) -> Self {
        let half = intrinsic!(_mm256_set1_pd(x));
        F64x8(half, half)
    }
    #[inline(always)]
    fn from_lanes(mut f: impl FnMut(usize) -> f64) -> Self {
        let mut lanes = [0.0; 8];
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = f(i);
        }
        let (low, high) = lanes.split_at(4);
        intrinsic!(F64x8(_mm256_loadu_pd(low.as_ptr()), _mm256_loadu_pd(high.as_ptr())))
    }
    #[inline(always)]
    fn lane(self, i: usize) -> f64 {
        let mut lanes = [0.0; 8];
        let (low, high) = lanes.split_at_mut(4);
        intrinsic!(_mm256_storeu_pd(low.as_mut_ptr(), self.0));
        intrinsic!(_mm256_storeu_pd(high.as_mut_ptr(), self.1));
        lanes[i & 7]
    }
    #[inline(always)]
    fn select(mask: Bits<8>, then: Self, otherwise: Self) -> Self {
        let mask = widen(mask);
        let low = intrinsic!(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(mask)));
        let high = intrinsic!(_mm256_cvtepi32_epi64(_mm256_extracti128_si256::<1>(mask)));
        intrinsic!(F64x8(
            _mm256_blendv_pd(otherwise.0, then.0, _mm256_castsi256_pd(low)),
            _mm256_blendv_pd(otherwise.1, then.1, _mm256_castsi256_pd(high)),
        ))
    }
    #[inline(always)]
    fn first(self, n: usize, other: Self) -> Self {
        Self::select(Masks::first_lanes(n), self, other)
    }
    binary! {
        add = |a, b| _mm256_add_pd(a, b);
        sub = |a, b| _mm256_sub_pd(a, b);
        mul = |a, b| _mm256_mul_pd(a, b);
        div = |a, b| _mm256_div_pd(a, b);
        max = |a, b| _mm256_blendv_pd(_mm256_max_pd(a, b), a, _mm256_cmp_pd::<_CMP_UNORD_Q>(a, a));
        min = |a, b| _mm256_blendv_pd(_mm256_min_pd(a, b), a, _mm256_cmp_pd::<_CMP_UNORD_Q>(a, a));
    }
    #[inline(always)]
    fn rem(self, other: Self) -> Self {
        Self::from_lanes(|i| self.lane(i) % other.lane(i))
    }
    unary! {
        neg = |a| _mm256_xor_pd(a, _mm256_set1_pd(-0.0));
        abs = |a| _mm256_andnot_pd(_mm256_set1_pd(-0.0), a);
    }
    comparison! {
        eq = _CMP_EQ_OQ;
        ne = _CMP_NEQ_UQ;
        lt = _CMP_LT_OQ;
        le = _CMP_LE_OQ;
        gt = _CMP_GT_OQ;
        ge = _CMP_GE_OQ;
    }
    reduction! {
        reduce_add = add;
        reduce_mul = mul;
        reduce_max = max;
        reduce_min = min;
    }
}

impl Floats for F64x8 {
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        intrinsic!(F64x8(_mm256_fmadd_pd(self.0, by.0, plus.0), _mm256_fmadd_pd(self.1, by.1, plus.1),))
    }
    unary! {
        floor = |a| _mm256_round_pd::<0x09>(a);
        ceil = |a| _mm256_round_pd::<0x0A>(a);
        round = |a| _mm256_round_pd::<0x08>(a);
        trunc = |a| _mm256_round_pd::<0x0B>(a);
        sqrt = |a| _mm256_sqrt_pd(a);
        rsqrt = |a| _mm256_div_pd(_mm256_set1_pd(1.0), _mm256_sqrt_pd(a));
        recip = |a| _mm256_div_pd(_mm256_set1_pd(1.0), a);
    }
    binary! {
        larger = |a, b| _mm256_max_pd(a, b);
        smaller = |a, b| _mm256_min_pd(a, b);
        // All bits set are a NaN.
        or_nan = |a, b| _mm256_or_pd(a, _mm256_cmp_pd::<_CMP_UNORD_Q>(b, b));
    }
    #[inline(always)]
    fn relu(self) -> Self {
        Vector::max(self, Self::splat(0.0))
    }
    lanewise!(exp exp2 ln log2 sin cos tanh erf sigmoid gelu gelu_tanh silu: unary);
    lanewise!(exp_sub pow: binary);
}
