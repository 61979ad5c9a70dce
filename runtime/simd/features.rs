//! The target features of each instruction set, in one place.

/// Declares functions with the target features of `Avx2`.
///
/// ```
/// # #[cfg(target_arch = "x86_64")]
/// # fn main() {
/// use tilewright::simd::{Avx2, Floats, InstructionSet, Simd, Vector, with_avx2};
///
/// with_avx2! {
///     fn e() -> f32 {
///         <Avx2 as Simd>::F32::splat(1.0).exp().lane(7)
///     }
/// }
/// if InstructionSet::Avx2.is_available() {
///     // SAFETY: the processor has the features.
///     assert_eq!(unsafe { e() }, std::f32::consts::E);
/// }
/// # }
/// # #[cfg(not(target_arch = "x86_64"))]
/// # fn main() {}
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __with_avx2 {
    ($($item:item)*) => {$(
        #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
        $item
    )*};
}

/// Declares functions with the target features of `Avx512`.
#[doc(hidden)]
#[macro_export]
macro_rules! __with_avx512 {
    ($($item:item)*) => {$(
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd")]
        #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,lzcnt,popcnt")]
        $item
    )*};
}

pub use __with_avx2 as with_avx2;
pub use __with_avx512 as with_avx512;
