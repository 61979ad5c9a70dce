//! Conversions.

use super::{F32x8, F64x8, I32x8, U32x8, intrinsic};
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
    F32x8 => F32x8: |x| x;
    F32x8 => I32x8: |x| {
        // Out of range the instruction gives MIN: right for too small.
        let y = I32x8(intrinsic!(_mm256_cvttps_epi32(x.0)));
        let y = I32x8::select(x.ge(F32x8::splat(2_147_483_648.0)), I32x8::splat(i32::MAX), y);
        I32x8(intrinsic!(_mm256_and_si256(
            y.0,
            _mm256_castps_si256(_mm256_cmp_ps::<_CMP_ORD_Q>(x.0, x.0)),
        )))
    };
    F32x8 => F64x8: |x| intrinsic!(F64x8(
        _mm256_cvtps_pd(_mm256_castps256_ps128(x.0)),
        _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x.0)),
    ));
    F32x8 => Bits<8>: |x| x.ne(F32x8::splat(0.0));
    F64x8 => F64x8: |x| x;
    F64x8 => F32x8: |x| F32x8(intrinsic!(_mm256_set_m128(_mm256_cvtpd_ps(x.1), _mm256_cvtpd_ps(x.0))));
    F64x8 => Bits<8>: |x| x.ne(F64x8::splat(0.0));
    I32x8 => I32x8: |x| x;
    I32x8 => U32x8: |x| U32x8(x.0);
    I32x8 => F32x8: |x| F32x8(intrinsic!(_mm256_cvtepi32_ps(x.0)));
    I32x8 => F64x8: |x| intrinsic!(F64x8(
        _mm256_cvtepi32_pd(_mm256_castsi256_si128(x.0)),
        _mm256_cvtepi32_pd(_mm256_extracti128_si256::<1>(x.0)),
    ));
    I32x8 => Bits<8>: |x| x.ne(I32x8::splat(0));
    U32x8 => U32x8: |x| x;
    U32x8 => I32x8: |x| I32x8(x.0);
    U32x8 => Bits<8>: |x| x.ne(U32x8::splat(0));
    Bits<8> => F32x8: |x| F32x8::select(x, F32x8::splat(1.0), F32x8::splat(0.0));
    Bits<8> => F64x8: |x| F64x8::select(x, F64x8::splat(1.0), F64x8::splat(0.0));
    Bits<8> => I32x8: |x| I32x8::select(x, I32x8::splat(1), I32x8::splat(0));
    Bits<8> => U32x8: |x| U32x8::select(x, U32x8::splat(1), U32x8::splat(0));
}
lanewise! {
    F32x8 => U32x8 Lanes<i64, 8>;
    F64x8 => I32x8 U32x8 Lanes<i64, 8>;
    I32x8 => Lanes<i64, 8>;
    U32x8 => F32x8 F64x8 Lanes<i64, 8>;
    Lanes<i64, 8> => F32x8 F64x8 I32x8 U32x8;
}
