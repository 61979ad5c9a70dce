//! 8 lanes of f32.

use super::{Avx2, intrinsic, widen};
use crate::simd::portable::Bits;
use crate::simd::{Floats, Vector, math};
use std::arch::x86_64::*;

/// 8 lanes of f32 in a register.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct F32x8(pub(super) __m256);

macro_rules! unary {
    ($($name:ident = |$a:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            let $a = self.0;
            F32x8(intrinsic!($value))
        }
    )*};
}
macro_rules! binary {
    ($($name:ident = |$a:ident, $b:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            let ($a, $b) = (self.0, other.0);
            F32x8(intrinsic!($value))
        }
    )*};
}
macro_rules! comparison {
    ($($name:ident = $predicate:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Bits<8> {
            Bits(intrinsic!(_mm256_movemask_ps(_mm256_cmp_ps::<$predicate>(self.0, other.0))) as u16)
        }
    )*};
}
/// Halves are combined until one lane is left.
macro_rules! reduction {
    ($($name:ident = $op:ident;)*) => {$(
        #[inline(always)]
        fn $name(self) -> f32 {
            let x = self.$op(F32x8(intrinsic!(_mm256_permute2f128_ps::<1>(self.0, self.0))));
            let x = x.$op(F32x8(intrinsic!(_mm256_permute_ps::<0b_01_00_11_10>(x.0))));
            let x = x.$op(F32x8(intrinsic!(_mm256_permute_ps::<0b_10_11_00_01>(x.0))));
            intrinsic!(_mm256_cvtss_f32(x.0))
        }
    )*};
}

impl Vector for F32x8 {
    type Scalar = f32;
    type Mask = Bits<8>;
    const LANES: usize = 8;
    #[inline(always)]
    fn splat(x: f32) -> Self {
        F32x8(intrinsic!(_mm256_set1_ps(x)))
    }
    #[inline(always)]
    fn from_lanes(mut f: impl FnMut(usize) -> f32) -> Self {
        let mut lanes = [0.0; 8];
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = f(i);
        }
        F32x8(intrinsic!(_mm256_loadu_ps(lanes.as_ptr())))
    }
    #[inline(always)]
    fn lane(self, i: usize) -> f32 {
        let mut lanes = [0.0; 8];
        intrinsic!(_mm256_storeu_ps(lanes.as_mut_ptr(), self.0));
        lanes[i & 7]
    }
    #[inline(always)]
    fn select(mask: Bits<8>, then: Self, otherwise: Self) -> Self {
        F32x8(intrinsic!(_mm256_blendv_ps(otherwise.0, then.0, _mm256_castsi256_ps(widen(mask)))))
    }
    #[inline(always)]
    fn first(self, n: usize, other: Self) -> Self {
        Self::select(crate::simd::Masks::first_lanes(n), self, other)
    }
    binary! {
        add = |a, b| _mm256_add_ps(a, b);
        sub = |a, b| _mm256_sub_ps(a, b);
        mul = |a, b| _mm256_mul_ps(a, b);
        div = |a, b| _mm256_div_ps(a, b);
        // The instruction gives `b` where either is NaN.
        max = |a, b| _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a));
        min = |a, b| _mm256_blendv_ps(_mm256_min_ps(a, b), a, _mm256_cmp_ps::<_CMP_UNORD_Q>(a, a));
    }
    #[inline(always)]
    fn rem(self, other: Self) -> Self {
        Self::from_lanes(|i| self.lane(i) % other.lane(i))
    }
    unary! {
        neg = |a| _mm256_xor_ps(a, _mm256_set1_ps(-0.0));
        abs = |a| _mm256_andnot_ps(_mm256_set1_ps(-0.0), a);
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

impl Floats for F32x8 {
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        F32x8(intrinsic!(_mm256_fmadd_ps(self.0, by.0, plus.0)))
    }
    unary! {
        floor = |a| _mm256_round_ps::<0x09>(a);
        ceil = |a| _mm256_round_ps::<0x0A>(a);
        round = |a| _mm256_round_ps::<0x08>(a);
        trunc = |a| _mm256_round_ps::<0x0B>(a);
        sqrt = |a| _mm256_sqrt_ps(a);
        rsqrt = |a| _mm256_div_ps(_mm256_set1_ps(1.0), _mm256_sqrt_ps(a));
        recip = |a| _mm256_div_ps(_mm256_set1_ps(1.0), a);
    }
    binary! {
        larger = |a, b| _mm256_max_ps(a, b);
        smaller = |a, b| _mm256_min_ps(a, b);
        // All bits set are a NaN.
        or_nan = |a, b| _mm256_or_ps(a, _mm256_cmp_ps::<_CMP_UNORD_Q>(b, b));
    }
    #[inline(always)]
    fn relu(self) -> Self {
        Vector::max(self, Self::splat(0.0))
    }
    math::f32_functions!(Avx2);
}
