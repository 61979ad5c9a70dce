//! 16 lanes of f64 in two registers.

use super::intrinsic;
use crate::simd::portable::Bits;
use crate::simd::{Floats, Masks, Vector};
use std::arch::x86_64::*;

/// 16 lanes of f64 in two registers.
#[derive(Clone, Copy, Debug)]
pub struct F64x16(pub(super) __m512d, pub(super) __m512d);

macro_rules! unary {
    ($($name:ident = |$a:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            let low = { let $a = self.0; intrinsic!($value) };
            let high = { let $a = self.1; intrinsic!($value) };
            F64x16(low, high)
        }
    )*};
}
macro_rules! binary {
    ($($name:ident = |$a:ident, $b:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            let low = { let ($a, $b) = (self.0, other.0); intrinsic!($value) };
            let high = { let ($a, $b) = (self.1, other.1); intrinsic!($value) };
            F64x16(low, high)
        }
    )*};
}
macro_rules! comparison {
    ($($name:ident = $predicate:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Bits<16> {
            let low = intrinsic!(_mm512_cmp_pd_mask::<$predicate>(self.0, other.0));
            let high = intrinsic!(_mm512_cmp_pd_mask::<$predicate>(self.1, other.1));
            Bits(u16::from(low) | u16::from(high) << 8)
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
            let x = self.$op(F64x16(self.1, self.0));
            let x = x.$op(F64x16(intrinsic!(_mm512_shuffle_f64x2::<0b_01_00_11_10>(x.0, x.0)), x.1));
            let x = x.$op(F64x16(intrinsic!(_mm512_shuffle_f64x2::<0b_10_11_00_01>(x.0, x.0)), x.1));
            let x = x.$op(F64x16(intrinsic!(_mm512_permute_pd::<0b_0101_0101>(x.0)), x.1));
            intrinsic!(_mm512_cvtsd_f64(x.0))
        }
    )*};
}

impl Vector for F64x16 {
    type Scalar = f64;
    type Mask = Bits<16>;
    const LANES: usize = 16;
    #[inline(always)]
    fn splat(x: f64) -> Self {
        let half = intrinsic!(_mm512_set1_pd(x));
        F64x16(half, half)
    }
    #[inline(always)]
    fn from_lanes(mut f: impl FnMut(usize) -> f64) -> Self {
        let mut lanes = [0.0; 16];
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = f(i);
        }
        let (low, high) = lanes.split_at(8);
        intrinsic!(F64x16(_mm512_loadu_pd(low.as_ptr()), _mm512_loadu_pd(high.as_ptr())))
    }
    #[inline(always)]
    fn lane(self, i: usize) -> f64 {
        let mut lanes = [0.0; 16];
        let (low, high) = lanes.split_at_mut(8);
        intrinsic!(_mm512_storeu_pd(low.as_mut_ptr(), self.0));
        intrinsic!(_mm512_storeu_pd(high.as_mut_ptr(), self.1));
        lanes[i & 15]
    }
    #[inline(always)]
    fn select(mask: Bits<16>, then: Self, otherwise: Self) -> Self {
        let (low, high) = (mask.0 as u8, (mask.0 >> 8) as u8);
        intrinsic!(F64x16(
            _mm512_mask_blend_pd(low, otherwise.0, then.0),
            _mm512_mask_blend_pd(high, otherwise.1, then.1),
        ))
    }
    #[inline(always)]
    fn first(self, n: usize, other: Self) -> Self {
        Self::select(Masks::first_lanes(n), self, other)
    }
    binary! {
        add = |a, b| _mm512_add_pd(a, b);
        sub = |a, b| _mm512_sub_pd(a, b);
        mul = |a, b| _mm512_mul_pd(a, b);
        div = |a, b| _mm512_div_pd(a, b);
        max = |a, b| _mm512_mask_mov_pd(_mm512_max_pd(a, b), _mm512_cmp_pd_mask::<_CMP_UNORD_Q>(a, a), a);
        min = |a, b| _mm512_mask_mov_pd(_mm512_min_pd(a, b), _mm512_cmp_pd_mask::<_CMP_UNORD_Q>(a, a), a);
    }
    #[inline(always)]
    fn rem(self, other: Self) -> Self {
        Self::from_lanes(|i| self.lane(i) % other.lane(i))
    }
    unary! {
        neg = |a| _mm512_xor_pd(a, _mm512_set1_pd(-0.0));
        abs = |a| _mm512_abs_pd(a);
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

impl Floats for F64x16 {
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        intrinsic!(F64x16(_mm512_fmadd_pd(self.0, by.0, plus.0), _mm512_fmadd_pd(self.1, by.1, plus.1),))
    }
    unary! {
        floor = |a| _mm512_roundscale_pd::<0x09>(a);
        ceil = |a| _mm512_roundscale_pd::<0x0A>(a);
        round = |a| _mm512_roundscale_pd::<0x08>(a);
        trunc = |a| _mm512_roundscale_pd::<0x0B>(a);
        sqrt = |a| _mm512_sqrt_pd(a);
        rsqrt = |a| _mm512_div_pd(_mm512_set1_pd(1.0), _mm512_sqrt_pd(a));
        recip = |a| _mm512_div_pd(_mm512_set1_pd(1.0), a);
    }
    binary! {
        larger = |a, b| _mm512_max_pd(a, b);
        smaller = |a, b| _mm512_min_pd(a, b);
        // As for f32.
        or_nan = |a, b| _mm512_fixupimm_pd::<0>(a, b, _mm512_set1_epi64(0x11));
    }
    #[inline(always)]
    fn relu(self) -> Self {
        Vector::max(self, Self::splat(0.0))
    }
    lanewise!(exp exp2 ln log2 sin cos tanh erf sigmoid gelu gelu_tanh silu: unary);
    lanewise!(exp_sub pow: binary);
}
