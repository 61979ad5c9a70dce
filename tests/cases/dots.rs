//! `dot` on every element type, in every arrangement of axes.

use crate::check::{Within, check, there};
use crate::data::{Layout, SIZES, tame};
use tilewright::prelude::*;

/// x · wᵀ for one type.
macro_rules! products {
    ($($kernel:ident $test:ident $ty:ident as $sum:ident;)*) => {$(
        #[kernel]
        fn $kernel<M, N, K>(x: &Tensor<$ty, (M, K)>, w: &Tensor<$ty, (N, K)>, out: &mut Tensor<$sum, (M, N)>) {
            for (m, n) in tile((M, N)) {
                let mut acc = zeros::<$sum>((m, n));
                for k in tile(K) {
                    acc += dot(x[(m, k)], w[(n, k)], k);
                }
                out[(m, n)] = acc;
            }
        }
        #[test]
        fn $test() {
            for (at, k) in SIZES.into_iter().enumerate() {
                let (m, n) = (SIZES[(at * 5 + 3) % 11], SIZES[(at * 7 + 1) % 11]);
                let (left, right) = (Layout::ALL[at % 5], Layout::ALL[(at / 2) % 5]);
                let x = tame::<$ty>(at as u64, &[m, k], left);
                let w = tame::<$ty>(at as u64 + 50, &[n, k], right);
                let out = Tensor::<$sum>::zeros((m, n));
                check!($kernel(&x, &w) -> out; [Within::products::<$ty>(k)]; "m=3,n=17,k=9"; format!("{m}×{n}×{k} {left:?} {right:?}"));
            }
        }
    )*};
}

products! {
    products_f32 products_of_f32 f32 as f32;
    products_f64 products_of_f64 f64 as f64;
    products_f16 products_of_f16 f16 as f32;
    products_bf16 products_of_bf16 bf16 as f32;
    products_f8e4m3 products_of_f8e4m3 f8e4m3 as f32;
    products_f8e5m2 products_of_f8e5m2 f8e5m2 as f32;
    products_i8 products_of_i8_widen i8 as i32;
    products_u8 products_of_u8_widen u8 as i32;
    products_i16 products_of_i16_widen i16 as i32;
    products_u16 products_of_u16_widen u16 as i32;
    products_i32 products_of_i32 i32 as i32;
    products_u32 products_of_u32 u32 as u32;
    products_i64 products_of_i64 i64 as i64;
}

macro_rules! large {
    ($($kernel:ident $ty:ident as $sum:ident;)*) => {$(
        #[kernel]
        fn $kernel<M, N, K>(x: &Tensor<$ty, (M, K)>, w: &Tensor<$ty, (N, K)>, out: &mut Tensor<$sum, (M, N)>) {
            for (m, n) in tile((M, N)) {
                let mut acc = zeros::<$sum>((m, n));
                for k in tile(K) {
                    acc += dot(x[(m, k)], w[(n, k)], k);
                }
                out[(m, n)] = acc;
            }
        }
    )*};
}
large! {
    large_i8 i8 as i32;
    large_u8 u8 as i32;
    large_f16 f16 as f32;
    large_bf16 bf16 as f32;
    large_f8e4m3 f8e4m3 as f32;
    large_f8e5m2 f8e5m2 as f32;
    large_f32 f32 as f32;
    large_tf32 f32 as f32;
}

/// x · w in f32, of which matrix cores may round the operands.
#[kernel]
fn tf32_columns<M, N, K>(x: &Tensor<f32, (K, M)>, w: &Tensor<f32, (K, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(k, m)], w[(k, n)], k);
        }
        out[(m, n)] = acc;
    }
}

/// xᵀ · w of bytes: the contracted axis is inner on neither side.
macro_rules! byte_columns {
    ($($kernel:ident $ty:ident as $sum:ident;)*) => {
        $(#[kernel]
        fn $kernel<M, N, K>(x: &Tensor<$ty, (K, M)>, w: &Tensor<$ty, (K, N)>, out: &mut Tensor<$sum, (M, N)>) {
            for (m, n) in tile((M, N)) {
                let mut acc = zeros::<$sum>((m, n));
                for k in tile(K) {
                    acc += dot(x[(k, m)], w[(k, n)], k);
                }
                out[(m, n)] = acc;
            }
        })*
        #[test]
        fn products_of_bytes_along_an_outer_axis() {
            let (m, n, k) = (70, 100, 80);
            $({
                let x = tame::<$ty>(1, &[k, m], Layout::Dense);
                let w = tame::<$ty>(2, &[k, n], Layout::Dense);
                let out = Tensor::<$sum>::zeros((m, n));
                check!($kernel(&x, &w) -> out; [Within::products::<$ty>(k)]; ; "bytes");
            })*
        }
    };
}
byte_columns! {
    columns_i8 i8 as i32;
    columns_u8 u8 as i32;
    columns_f8e4m3 f8e4m3 as f32;
    columns_f8e5m2 f8e5m2 as f32;
}

/// Numbers that need no rounding: what matrix cores give is as near as other sums.
#[test]
fn products_on_matrix_cores_that_round() {
    for (m, n, k) in [(150, 200, 328), (33, 17, 21)] {
        let whole = |seed, shape: &[usize]| {
            tame::<bf16>(seed, shape, Layout::Dense).cast::<f32>().expect("nobody writes")
        };
        let (out, within) = (Tensor::<f32>::zeros((m, n)), Within::Sum(k, 4.0 * k as f64));
        let context = format!("{m}×{n}×{k}");
        let (x, w) = (whole(1, &[m, k]), whole(2, &[n, k]));
        check!(large_tf32(&x, &w) -> out; [within]; "tf32=1", "tf32=1,m=128,n=128,k=32"; context);
        let (x, w) = (whole(1, &[k, m]), whole(2, &[k, n]));
        check!(tf32_columns(&x, &w) -> out; [within]; "tf32=1", "tf32=1,m=128,n=128,k=32"; context);
    }
}

/// Blocks as large as those of large problems: on the H100 threads stay for one program after the other.
#[kernel]
fn pinned<M, N, K>(x: &Tensor<f16, (M, K)>, w: &Tensor<f16, (K, N)>, out: &mut Tensor<f16, (M, N)>) {
    for (m, n) in (tile(M).block(128), tile(N).block(256)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(k, n)], k);
        }
        out[(m, n)] = acc.cast();
    }
}

#[test]
fn products_of_large_blocks() {
    let (m, n, k) = (300, 520, 200);
    let x = tame::<f16>(1, &[m, k], Layout::Dense);
    let w = tame::<f16>(2, &[k, n], Layout::Dense);
    let out = Tensor::<f16>::zeros((m, n));
    check!(pinned(&x, &w) -> out; [Within::Sum(k, 4.0 * k as f64)]; ; format!("{m}×{n}×{k}"));
}

/// Several blocks along each axis: matrix cores and rings take their whole way.
#[test]
fn products_over_several_blocks() {
    let (m, n, k) = (150, 200, 336);
    macro_rules! dense {
        ($($kernel:ident $ty:ident as $sum:ident;)*) => {$({
            let x = tame::<$ty>(1, &[m, k], Layout::Dense);
            let w = tame::<$ty>(2, &[n, k], Layout::Dense);
            let out = Tensor::<$sum>::zeros((m, n));
            let text = format!("{m}×{n}×{k}");
            check!($kernel(&x, &w) -> out; [Within::products::<$ty>(k)]; "m=128,n=128,k=64"; text);
        })*};
    }
    dense! {
        large_i8 i8 as i32;
        large_u8 u8 as i32;
        large_f16 f16 as f32;
        large_bf16 bf16 as f32;
        large_f8e4m3 f8e4m3 as f32;
        large_f8e5m2 f8e5m2 as f32;
        large_f32 f32 as f32;
    }
}

#[kernel]
fn batched<B, M, N, K>(
    x: &Tensor<f32, (B, M, K)>,
    y: &Tensor<f32, (B, K, N)>,
    out: &mut Tensor<f32, (B, M, N)>,
) {
    assert!(K <= 256);
    for (b, m, n) in (tile(B), tile(M), tile(N)) {
        out[(b, m, n)] = dot(x[(b, m, ..)], y[(b, .., n)], K);
    }
}

#[kernel]
fn vectors<M, K>(
    x: &Tensor<f32, (M, K)>,
    v: &Tensor<f32, K>,
    by_vector: &mut Tensor<f32, M>,
    with_self: &mut Tensor<f32, M>,
) {
    assert!(K <= 1024);
    for m in tile(M) {
        by_vector[m] = dot(x[(m, ..)], v[..], K);
        with_self[m] = dot(x[(m, ..)], x[(m, ..)], K);
    }
}

#[kernel]
fn computed<M, N, K>(
    x: &Tensor<f32, (M, K)>,
    y: &Tensor<f32, (K, N)>,
    ids: &Tensor<i32, M>,
    out: &mut Tensor<f32, (M, N)>,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc = acc * 0.5 + dot(tanh(x[(ids[m], k)]), abs(y[(k, n)]), k);
        }
        out[(m, n)] = acc;
    }
}

#[test]
fn batch_axes_vectors_and_computed_operands() {
    for (at, k) in [1, 3, 17, 33, 100].into_iter().enumerate() {
        for (b, m, n) in [(1, 1, 1), (3, 5, 18), (2, 33, 7)] {
            let (context, near) = (format!("{b}×{m}×{n}×{k}"), [Within::Sum(k, 4.0 * k as f64)]);
            let layout = Layout::ALL[at % 5];
            let x = tame::<f32>(1, &[b, m, k], layout);
            let y = tame::<f32>(2, &[b, k, n], layout);
            let out = Tensor::<f32>::zeros((b, m, n));
            check!(batched(&x, &y) -> out; near; "b=2,m=3,n=5"; context);
            let (x, v) = (tame::<f32>(3, &[m, k], layout), tame::<f32>(4, &[k], layout));
            let (by_vector, with_self) = (Tensor::<f32>::zeros(m), Tensor::<f32>::zeros(m));
            check!(vectors(&x, &v) -> by_vector, with_self; near; "m=3"; context);
            let y = tame::<f32>(5, &[k, n], layout);
            let ids = crate::data::indices(6, &[m], m);
            let out = Tensor::<f32>::zeros((m, n));
            let pinned = Config::new().set("k", 4096);
            crate::check::run(
                &context,
                &(out,),
                &["out"],
                &near,
                &[pinned],
                |(out,)| whole(&x, &y, &ids, out),
                |config, (out,)| computed::with(config, &there(&x), &there(&y), &there(&ids), out),
            );
        }
    }
}

/// What `computed` gives when `k` is one block: its decay makes the result depend on the block.
fn whole(x: &Tensor<f32>, y: &Tensor<f32>, ids: &Tensor<i32>, out: &mut Tensor<f32>) -> Result<(), Error> {
    let (k, n) = (x.shape()[1], y.shape()[1]);
    let (x, y) = (x.to_vec(), y.to_vec());
    let rows = ids.to_vec().into_iter().flat_map(|row| {
        let x = &x[row as usize * k..][..k];
        let one = |j: usize| {
            (0..k).map(|p| f64::from(x[p]).tanh() * f64::from(y[p * n + j].abs())).sum::<f64>() as f32
        };
        (0..n).map(one).collect::<Vec<f32>>()
    });
    out.copy_from_slice(&rows.collect::<Vec<f32>>())?;
    Ok(())
}

crate::golden::golden!(products_f32, products_i8, batched, vectors, computed);
