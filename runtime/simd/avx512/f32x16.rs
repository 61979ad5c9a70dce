//! 16 lanes of f32.

use super::{Avx512, intrinsic};
use crate::simd::portable::Bits;
use crate::simd::{Floats, Vector, math};
use std::arch::x86_64::*;

/// 16 lanes of f32 in a register.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct F32x16(pub(super) __m512);

macro_rules! unary {
    ($($name:ident = |$a:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            let $a = self.0;
            F32x16(intrinsic!($value))
        }
    )*};
}
macro_rules! binary {
    ($($name:ident = |$a:ident, $b:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            let ($a, $b) = (self.0, other.0);
            F32x16(intrinsic!($value))
        }
    )*};
}
macro_rules! comparison {
    ($($name:ident = $predicate:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Bits<16> {
            Bits(intrinsic!(_mm512_cmp_ps_mask::<$predicate>(self.0, other.0)))
        }
    )*};
}
/// Halves are combined until one lane is left.
macro_rules! reduction {
    ($($name:ident = $op:ident;)*) => {$(
        #[inline(always)]
        fn $name(self) -> f32 {
            let x = self.$op(F32x16(intrinsic!(_mm512_shuffle_f32x4::<0b_01_00_11_10>(self.0, self.0))));
            let x = x.$op(F32x16(intrinsic!(_mm512_shuffle_f32x4::<0b_10_11_00_01>(x.0, x.0))));
            let x = x.$op(F32x16(intrinsic!(_mm512_permute_ps::<0b_01_00_11_10>(x.0))));
            let x = x.$op(F32x16(intrinsic!(_mm512_permute_ps::<0b_10_11_00_01>(x.0))));
            intrinsic!(_mm512_cvtss_f32(x.0))
        }
    )*};
}

/// Looks for NaN once, not at every step.
macro_rules! extreme {
    ($($name:ident = $op:ident;)*) => {$(
        #[inline(always)]
        fn $name(self) -> f32 {
            let x = self.0;
            let nan = intrinsic!(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x));
            let x = intrinsic!($op(x, _mm512_shuffle_f32x4::<0b_01_00_11_10>(x, x)));
            let x = intrinsic!($op(x, _mm512_shuffle_f32x4::<0b_10_11_00_01>(x, x)));
            let x = intrinsic!($op(x, _mm512_permute_ps::<0b_01_00_11_10>(x)));
            let x = intrinsic!($op(x, _mm512_permute_ps::<0b_10_11_00_01>(x)));
            if nan == 0 { intrinsic!(_mm512_cvtss_f32(x)) } else { f32::NAN }
        }
    )*};
}

impl Vector for F32x16 {
    type Scalar = f32;
    type Mask = Bits<16>;
    const LANES: usize = 16;
    #[inline(always)]
    fn splat(x: f32) -> Self {
        F32x16(intrinsic!(_mm512_set1_ps(x)))
    }
    #[inline(always)]
    fn from_lanes(mut f: impl FnMut(usize) -> f32) -> Self {
        let mut lanes = [0.0; 16];
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = f(i);
        }
        F32x16(intrinsic!(_mm512_loadu_ps(lanes.as_ptr())))
    }
    #[inline(always)]
    fn lane(self, i: usize) -> f32 {
        let mut lanes = [0.0; 16];
        intrinsic!(_mm512_storeu_ps(lanes.as_mut_ptr(), self.0));
        lanes[i & 15]
    }
    #[inline(always)]
    fn select(mask: Bits<16>, then: Self, otherwise: Self) -> Self {
        F32x16(intrinsic!(_mm512_mask_blend_ps(mask.0, otherwise.0, then.0)))
    }
    #[inline(always)]
    fn first(self, n: usize, other: Self) -> Self {
        Self::select(crate::simd::Masks::first_lanes(n), self, other)
    }
    binary! {
        add = |a, b| _mm512_add_ps(a, b);
        sub = |a, b| _mm512_sub_ps(a, b);
        mul = |a, b| _mm512_mul_ps(a, b);
        div = |a, b| _mm512_div_ps(a, b);
        // The instruction gives `b` where either is NaN.
        max = |a, b| or_nan(_mm512_max_ps(a, b), a);
        min = |a, b| or_nan(_mm512_min_ps(a, b), a);
    }
    #[inline(always)]
    fn rem(self, other: Self) -> Self {
        Self::from_lanes(|i| self.lane(i) % other.lane(i))
    }
    unary! {
        neg = |a| _mm512_xor_ps(a, _mm512_set1_ps(-0.0));
        abs = |a| _mm512_abs_ps(a);
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
    }
    extreme! {
        reduce_max = _mm512_max_ps;
        reduce_min = _mm512_min_ps;
    }
}

impl Floats for F32x16 {
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        F32x16(intrinsic!(_mm512_fmadd_ps(self.0, by.0, plus.0)))
    }
    unary! {
        floor = |a| _mm512_roundscale_ps::<0x09>(a);
        ceil = |a| _mm512_roundscale_ps::<0x0A>(a);
        round = |a| _mm512_roundscale_ps::<0x08>(a);
        trunc = |a| _mm512_roundscale_ps::<0x0B>(a);
        sqrt = |a| _mm512_sqrt_ps(a);
        rsqrt = |a| _mm512_div_ps(_mm512_set1_ps(1.0), _mm512_sqrt_ps(a));
        recip = |a| _mm512_div_ps(_mm512_set1_ps(1.0), a);
    }
    binary! {
        larger = |a, b| _mm512_max_ps(a, b);
        smaller = |a, b| _mm512_min_ps(a, b);
    }
    #[inline(always)]
    fn or_nan(self, other: Self) -> Self {
        F32x16(or_nan(self.0, other.0))
    }
    #[inline(always)]
    fn relu(self) -> Self {
        Vector::max(self, Self::splat(0.0))
    }
    math::f32_functions!(Avx512);
}

/// `b` where it is NaN, else `a`.
#[inline(always)]
fn or_nan(a: __m512, b: __m512) -> __m512 {
    // Four bits for each kind of number that `b` may be, the lowest for NaNs, quiet and signalling: 0 gives `a`, 1 `b`.
    intrinsic!(_mm512_fixupimm_ps::<0>(a, b, _mm512_set1_epi32(0x11)))
}
