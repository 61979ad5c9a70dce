//! Floats of 8 bits: [`f8e4m3`] and [`f8e5m2`].
//!
//! "OCP 8-bit Floating Point Specification (OFP8)", 2023; the conversions are `runtime/simd/eighth.rs`.

use crate::simd::{E4M3, E5M2, Odd, One};
use std::cmp::Ordering;
use std::fmt;

macro_rules! eighths {
    ($(#[$doc:meta] $T:ident: $FORMAT:ident, $name:literal, $max:literal, $tiny:literal;)*) => {$(
        #[$doc]
        ///
        /// Arithmetic happens in f32: kernels load it widened, and narrow what they store by `.cast()`.
        ///
        /// ```
        #[doc = concat!("use tilewright::", $name, ";")]
        ///
        #[doc = concat!("let x = ", $name, "::from_f32(1.3);")]
        /// assert_eq!(x.to_f32(), 1.25);
        #[doc = concat!("assert_eq!(", $name, "::from_f32(1e9), ", $name, "::MAX);")]
        #[doc = concat!("assert_eq!(", $name, "::from_bits(x.to_bits()), x);")]
        /// ```
        #[expect(non_camel_case_types, reason = "a number type, named as f32 is")]
        #[derive(Clone, Copy, Default)]
        #[repr(transparent)]
        pub struct $T(u8);

        impl $T {
            /// The largest number.
            pub const MAX: $T = $T($max);
            /// The least number.
            pub const MIN: $T = $T($max | 0x80);
            /// The smallest positive normal number.
            pub const MIN_POSITIVE: $T = $T($tiny);
            /// One that is no number.
            pub const NAN: $T = $T(0x7F);

            /// The number with these bits.
            #[must_use]
            pub const fn from_bits(bits: u8) -> $T {
                $T(bits)
            }
            /// Its bits.
            #[must_use]
            pub const fn to_bits(self) -> u8 {
                self.0
            }
            /// The nearest, of two the even one; numbers larger than the largest become that, and so do infinities
            /// where there is none.
            #[must_use]
            pub fn from_f32(x: f32) -> $T {
                $T($FORMAT.narrow::<One>(x) as u8)
            }
            /// As [`Self::from_f32`], rounded once.
            #[must_use]
            pub fn from_f64(x: f64) -> $T {
                $T::from_f32(x.odd())
            }
            /// Exact.
            #[must_use]
            pub fn to_f32(self) -> f32 {
                $FORMAT.widen::<One>(i32::from(self.0))
            }
            /// Exact.
            #[must_use]
            pub fn to_f64(self) -> f64 {
                f64::from(self.to_f32())
            }
            /// Whether it is no number.
            #[must_use]
            pub fn is_nan(self) -> bool {
                self.to_f32().is_nan()
            }
        }

        impl PartialEq for $T {
            fn eq(&self, other: &$T) -> bool {
                self.to_f32() == other.to_f32()
            }
        }
        impl PartialOrd for $T {
            fn partial_cmp(&self, other: &$T) -> Option<Ordering> {
                self.to_f32().partial_cmp(&other.to_f32())
            }
        }
        impl From<$T> for f32 {
            fn from(x: $T) -> f32 {
                x.to_f32()
            }
        }
        impl From<$T> for f64 {
            fn from(x: $T) -> f64 {
                x.to_f64()
            }
        }
        impl fmt::Debug for $T {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.to_f32(), f)
            }
        }
        impl fmt::Display for $T {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.to_f32(), f)
            }
        }
    )*};
}

eighths! {
    /// 4 bits of exponent and 3 of mantissa, up to 448, without infinities: for weights and activations.
    f8e4m3: E4M3, "f8e4m3", 0x7E, 0x08;
    /// 5 bits of exponent and 2 of mantissa, up to 57344: the upper half of an f16, for gradients.
    f8e5m2: E5M2, "f8e5m2", 0x7B, 0x04;
}
