//! Mathematical functions, written once over the vector operations.

pub(crate) mod double;
pub(crate) mod single;

/// The methods of `Floats` that are mathematical functions, for the f32 vector of an instruction set.
macro_rules! f32_functions {
    ($S:ty) => {
        $crate::simd::math::f32_functions!($S: exp exp2 ln log2 sin cos tanh erf sigmoid gelu gelu_tanh silu);
        #[inline(always)]
        fn exp_sub(self, peak: Self) -> Self {
            $crate::simd::math::single::exp_sub::<$S>(self, peak)
        }
        #[inline(always)]
        fn pow(self, exponent: Self) -> Self {
            $crate::simd::math::single::pow::<$S>(self, exponent)
        }
    };
    ($S:ty: $($name:ident)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            $crate::simd::math::single::$name::<$S>(self)
        }
    )*};
}
pub(crate) use f32_functions;
