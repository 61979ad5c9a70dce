//! Conversions.

use super::{F32x16, F64x16, I32x16, U32x16, intrinsic};
use crate::simd::portable::{Bits, Lanes};
use crate::simd::{Cast, Vector};
use std::arch::x86_64::*;

macro_rules! casts {
    ($($From:ty => $To:ty: |$x:ident| $value:expr;)*) => {$(
        impl Cast<$To> for $From {
            #[inline(always)]
            fn cast(self) -> $To {
                let $x = self;
                $value
            }
        }
    )*};
}
/// Through scalars.
macro_rules! lanewise {
    ($($From:ty => $($To:ty)*;)*) => {$($(
        impl Cast<$To> for $From {
            #[inline(always)]
            fn cast(self) -> $To {
                <$To>::from_lanes(|i| self.lane(i).cast())
            }
        }
    )*)*};
}

casts! {
    F32x16 => F32x16: |x| x;
    F32x16 => I32x16: |x| {
        // Out of range the instruction gives MIN: right for too small.
        let y = I32x16(intrinsic!(_mm512_cvttps_epi32(x.0)));
        let y = I32x16::select(x.ge(F32x16::splat(2_147_483_648.0)), I32x16::splat(i32::MAX), y);
        I32x16::select(x.eq(x), y, I32x16::splat(0))
    };
    F32x16 => U32x16: |x| {
        // Out of range the instruction gives MAX: right for too large. NaN becomes 0.
        U32x16(intrinsic!(_mm512_cvttps_epu32(_mm512_max_ps(x.0, _mm512_setzero_ps()))))
    };
    F32x16 => F64x16: |x| intrinsic!(F64x16(
        _mm512_cvtps_pd(_mm512_castps512_ps256(x.0)),
        _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(x.0)),
    ));
    F32x16 => Bits<16>: |x| x.ne(F32x16::splat(0.0));
    F64x16 => F64x16: |x| x;
    F64x16 => F32x16: |x| F32x16(intrinsic!(_mm512_insertf32x8::<1>(
        _mm512_castps256_ps512(_mm512_cvtpd_ps(x.0)),
        _mm512_cvtpd_ps(x.1),
    )));
    F64x16 => Bits<16>: |x| x.ne(F64x16::splat(0.0));
    I32x16 => I32x16: |x| x;
    I32x16 => U32x16: |x| U32x16(x.0);
    I32x16 => F32x16: |x| F32x16(intrinsic!(_mm512_cvtepi32_ps(x.0)));
    I32x16 => F64x16: |x| intrinsic!(F64x16(
        _mm512_cvtepi32_pd(_mm512_castsi512_si256(x.0)),
        _mm512_cvtepi32_pd(_mm512_extracti32x8_epi32::<1>(x.0)),
    ));
    I32x16 => Bits<16>: |x| x.ne(I32x16::splat(0));
    U32x16 => U32x16: |x| x;
    U32x16 => I32x16: |x| I32x16(x.0);
    U32x16 => F32x16: |x| F32x16(intrinsic!(_mm512_cvtepu32_ps(x.0)));
    U32x16 => F64x16: |x| intrinsic!(F64x16(
        _mm512_cvtepu32_pd(_mm512_castsi512_si256(x.0)),
        _mm512_cvtepu32_pd(_mm512_extracti32x8_epi32::<1>(x.0)),
    ));
    U32x16 => Bits<16>: |x| x.ne(U32x16::splat(0));
    Bits<16> => F32x16: |x| F32x16(intrinsic!(_mm512_maskz_mov_ps(x.0, _mm512_set1_ps(1.0))));
    Bits<16> => F64x16: |x| F64x16::select(x, F64x16::splat(1.0), F64x16::splat(0.0));
    Bits<16> => I32x16: |x| I32x16(intrinsic!(_mm512_maskz_set1_epi32(x.0, 1)));
    Bits<16> => U32x16: |x| U32x16(intrinsic!(_mm512_maskz_set1_epi32(x.0, 1)));
}
lanewise! {
    F32x16 => Lanes<i64, 16>;
    F64x16 => I32x16 U32x16 Lanes<i64, 16>;
    I32x16 => Lanes<i64, 16>;
    U32x16 => Lanes<i64, 16>;
    Lanes<i64, 16> => F32x16 F64x16 I32x16 U32x16;
}
