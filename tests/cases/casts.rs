//! Casts between all pairs of element types.

use crate::check::{Within, check};
use crate::data::{Layout, SIZES, wild};
use tilewright::prelude::*;

/// A kernel that casts one type to all fourteen, and its test.
macro_rules! casts {
    ($($kernel:ident $test:ident $ty:ident;)*) => {$(
        #[kernel]
        fn $kernel<N>(
            x: &Tensor<$ty, N>, a: &mut Tensor<f32, N>, b: &mut Tensor<f64, N>, c: &mut Tensor<f16, N>,
            d: &mut Tensor<bf16, N>, e: &mut Tensor<i8, N>, f: &mut Tensor<u8, N>, g: &mut Tensor<i16, N>,
            h: &mut Tensor<u16, N>, i: &mut Tensor<i32, N>, j: &mut Tensor<u32, N>, k: &mut Tensor<i64, N>,
            l: &mut Tensor<bool, N>, o: &mut Tensor<f8e4m3, N>, p: &mut Tensor<f8e5m2, N>,
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
                o[n] = v.cast::<f8e4m3>();
                p[n] = v.cast::<f8e5m2>();
            }
        }
        #[test]
        fn $test() {
            for (at, size) in SIZES.into_iter().enumerate() {
                let x = wild::<$ty>(at as u64 + 7, &[size], Layout::ALL[at % 4]);
                let (a, b, c, d) = (Tensor::<f32>::zeros(size), Tensor::<f64>::zeros(size), Tensor::<f16>::zeros(size), Tensor::<bf16>::zeros(size));
                let (e, f, g, h) = (Tensor::<i8>::zeros(size), Tensor::<u8>::zeros(size), Tensor::<i16>::zeros(size), Tensor::<u16>::zeros(size));
                let (i, j, k, l) = (Tensor::<i32>::zeros(size), Tensor::<u32>::zeros(size), Tensor::<i64>::zeros(size), Tensor::<bool>::zeros(size));
                let (o, p) = (Tensor::<f8e4m3>::zeros(size), Tensor::<f8e5m2>::zeros(size));
                check!($kernel(&x) -> a, b, c, d, e, f, g, h, i, j, k, l, o, p; [Within::Exact]; "n=5"; size);
            }
        }
    )*};
}

casts! {
    from_f32 f32_casts_to_every_type f32;
    from_f64 f64_casts_to_every_type f64;
    from_f16 f16_casts_to_every_type f16;
    from_bf16 bf16_casts_to_every_type bf16;
    from_f8e4m3 f8e4m3_casts_to_every_type f8e4m3;
    from_f8e5m2 f8e5m2_casts_to_every_type f8e5m2;
    from_i8 i8_casts_to_every_type i8;
    from_u8 u8_casts_to_every_type u8;
    from_i16 i16_casts_to_every_type i16;
    from_u16 u16_casts_to_every_type u16;
    from_i32 i32_casts_to_every_type i32;
    from_u32 u32_casts_to_every_type u32;
    from_i64 i64_casts_to_every_type i64;
    from_bool bool_casts_to_every_type bool;
}

/// The bits, among a guess and its neighbours, whose value is nearest; of two the even ones.
fn nearest(x: f64, guess: u16, value: impl Fn(u16) -> f64) -> u16 {
    let candidates = [guess.saturating_sub(1), guess, guess + 1];
    let candidates = candidates.into_iter().filter(|bits| !value(*bits).is_nan());
    let distance = |bits: &u16| ((value(*bits) - x).abs(), bits & 1);
    candidates.min_by(|a, b| distance(a).partial_cmp(&distance(b)).unwrap()).unwrap()
}

/// Values just beside the middle of two half floats: through the nearest f32 they would round wrongly.
#[test]
fn casts_to_half_types_round_once() {
    let halves = |bits: i32| f64::from(bits).exp2();
    let wide: Vec<f64> = [11, 8, 4, 3]
        .into_iter()
        .flat_map(|digits| [1.0, 1.0 + halves(1 - digits)].map(|base| base + halves(-digits)))
        .flat_map(|middle| [middle, middle + halves(-40), middle - halves(-40)])
        .flat_map(|x| [x, -x, x * 1e-7, x * 1000.0])
        .collect();
    let n = wide.len();
    let x = Tensor::from_vec(n, wide.clone()).unwrap();
    let (a, b, c, d) = (Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n));
    let (e, f, g, h) = (Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n));
    let (i, j, k, l) = (Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n));
    let (o, p) = (Tensor::zeros(n), Tensor::zeros(n));
    check!(from_f64(&x) -> a, b, c, d, e, f, g, h, i, j, k, l, o, p; [Within::Exact]; ; "beside middles");
    let (mut a, mut b, mut c, mut d) =
        (Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n));
    let (mut e, mut f, mut g, mut h) =
        (Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n));
    let (mut i, mut j, mut k, mut l) =
        (Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n));
    let (mut o, mut p) = (Tensor::zeros(n), Tensor::zeros(n));
    from_f64(
        &x, &mut a, &mut b, &mut c, &mut d, &mut e, &mut f, &mut g, &mut h, &mut i, &mut j, &mut k, &mut l,
        &mut o, &mut p,
    )
    .unwrap();
    for (at, x) in wide.into_iter().enumerate() {
        let near = nearest(x, f16::from_f64(x).to_bits(), |bits| f16::from_bits(bits).to_f64());
        assert_eq!(c.to_vec()[at].to_bits(), near, "{x:e} to f16");
        let near = nearest(x, bf16::from_f64(x).to_bits(), |bits| bf16::from_bits(bits).to_f64());
        assert_eq!(d.to_vec()[at].to_bits(), near, "{x:e} to bf16");
        let near = nearest(x, o.to_vec()[at].to_bits().into(), |bits| f8e4m3::from_bits(bits as u8).to_f64());
        assert_eq!(u16::from(o.to_vec()[at].to_bits()), near, "{x:e} to f8e4m3");
        let near = nearest(x, p.to_vec()[at].to_bits().into(), |bits| f8e5m2::from_bits(bits as u8).to_f64());
        assert_eq!(u16::from(p.to_vec()[at].to_bits()), near, "{x:e} to f8e5m2");
    }
    let x = Tensor::from_vec(
        4,
        vec![(1i64 << 62) + (1 << 54) + 1, -(1 << 40) - (1 << 32) - 1, 2049, i64::MIN + 1],
    )
    .unwrap();
    let n = 4;
    let (a, b, c, d) = (Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n));
    let (e, f, g, h) = (Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n));
    let (i, j, k, l) = (Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n), Tensor::zeros(n));
    let (o, p) = (Tensor::zeros(n), Tensor::zeros(n));
    check!(from_i64(&x) -> a, b, c, d, e, f, g, h, i, j, k, l, o, p; [Within::Exact]; ; "beside middles");
}
