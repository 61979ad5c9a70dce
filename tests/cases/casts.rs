//! Casts between all pairs of element types.

use crate::check::{Within, check};
use crate::data::{Layout, SIZES, wild};
use tilewright::prelude::*;

/// A kernel that casts one type to all twelve, and its test.
macro_rules! casts {
    ($($kernel:ident $test:ident $ty:ident;)*) => {$(
        #[kernel]
        fn $kernel<N>(
            x: &Tensor<$ty, N>, a: &mut Tensor<f32, N>, b: &mut Tensor<f64, N>, c: &mut Tensor<f16, N>,
            d: &mut Tensor<bf16, N>, e: &mut Tensor<i8, N>, f: &mut Tensor<u8, N>, g: &mut Tensor<i16, N>,
            h: &mut Tensor<u16, N>, i: &mut Tensor<i32, N>, j: &mut Tensor<u32, N>, k: &mut Tensor<i64, N>,
            l: &mut Tensor<bool, N>,
        ) {
            for n in tile(N) {
                let v = x[n];
                a[n] = v.cast::<f32>();
                b[n] = v.cast::<f64>();
                c[n] = v.cast::<f16>();
                d[n] = v.cast::<bf16>();
                e[n] = v.cast::<i8>();
                f[n] = v.cast::<u8>();
                g[n] = v.cast::<i16>();
                h[n] = v.cast::<u16>();
                i[n] = v.cast::<i32>();
                j[n] = v.cast::<u32>();
                k[n] = v.cast::<i64>();
                l[n] = v.cast::<bool>();
            }
        }
        #[test]
        fn $test() {
            for (at, size) in SIZES.into_iter().enumerate() {
                let x = wild::<$ty>(at as u64 + 7, &[size], Layout::ALL[at % 4]);
                let (a, b, c, d) = (Tensor::<f32>::zeros(size), Tensor::<f64>::zeros(size), Tensor::<f16>::zeros(size), Tensor::<bf16>::zeros(size));
                let (e, f, g, h) = (Tensor::<i8>::zeros(size), Tensor::<u8>::zeros(size), Tensor::<i16>::zeros(size), Tensor::<u16>::zeros(size));
                let (i, j, k, l) = (Tensor::<i32>::zeros(size), Tensor::<u32>::zeros(size), Tensor::<i64>::zeros(size), Tensor::<bool>::zeros(size));
                check!($kernel(&x) -> a, b, c, d, e, f, g, h, i, j, k, l; [Within::Exact]; "n=5"; size);
            }
        }
    )*};
}

casts! {
    from_f32 f32_casts_to_every_type f32;
    from_f64 f64_casts_to_every_type f64;
    from_f16 f16_casts_to_every_type f16;
    from_bf16 bf16_casts_to_every_type bf16;
    from_i8 i8_casts_to_every_type i8;
    from_u8 u8_casts_to_every_type u8;
    from_i16 i16_casts_to_every_type i16;
    from_u16 u16_casts_to_every_type u16;
    from_i32 i32_casts_to_every_type i32;
    from_u32 u32_casts_to_every_type u32;
    from_i64 i64_casts_to_every_type i64;
    from_bool bool_casts_to_every_type bool;
}
