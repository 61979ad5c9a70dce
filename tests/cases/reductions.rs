//! Every reduction, over the last and over the first axis, on every element type.

use crate::check::{Within, check};
use crate::data::{Layout, SIZES, tame, wild};
use tilewright::prelude::*;

/// Sums of one type, over rows and over columns.
macro_rules! sums {
    ($($kernel:ident $test:ident $ty:ident as $sum:ident;)*) => {$(
        #[kernel]
        fn $kernel<M, N>(
            x: &Tensor<$ty, (M, N)>, rows: &mut Tensor<$sum, M>, columns: &mut Tensor<$sum, (M, N)>,
            products: &mut Tensor<$sum, M>,
        ) {
            for m in tile(M) {
                let row = x[(m, ..)];
                rows[m] = row.sum(N);
                products[m] = (row.cast::<$sum>() / 8 + 1).prod(N);
                columns[(m, ..)] = row.cast::<$sum>() - row.sum(N);
            }
        }
        #[test]
        fn $test() {
            for (at, n) in SIZES.into_iter().enumerate() {
                let (m, layout) = ([1, 3, 17][at % 3], Layout::ALL[at % 5]);
                let x = tame::<$ty>(at as u64, &[m, n], layout);
                let (rows, columns, products) = (Tensor::<$sum>::zeros(m), Tensor::<$sum>::zeros((m, n)), Tensor::<$sum>::zeros(m));
                let sum = Within::Sum(n, 2.0 * n as f64);
                check!($kernel(&x) -> rows, columns, products; [sum, sum, Within::Ulps(2.0 * n as f64 + 4.0)]; "m=2"; format!("{m}×{n} {layout:?}"));
            }
        }
    )*};
}

sums! {
    sums_f64 sums_of_f64 f64 as f64;
    sums_i8 sums_of_i8_widen i8 as i32;
    sums_u8 sums_of_u8_widen u8 as i32;
    sums_i16 sums_of_i16_widen i16 as i32;
    sums_u16 sums_of_u16_widen u16 as i32;
    sums_i32 sums_of_i32 i32 as i32;
    sums_u32 sums_of_u32 u32 as u32;
    sums_i64 sums_of_i64 i64 as i64;
}

#[kernel]
fn sums_float<T: Float, M, N>(
    x: &Tensor<T, (M, N)>,
    rows: &mut Tensor<f32, M>,
    mean: &mut Tensor<T, M>,
    products: &mut Tensor<f32, M>,
) {
    for m in tile(M) {
        let row = x[(m, ..)];
        rows[m] = row.sum(N);
        mean[m] = row.mean(N).cast();
        products[m] = (row * 0.125 + 1.0).prod(N);
    }
}

#[test]
fn sums_means_and_products_of_floats() {
    macro_rules! of {
        ($ty:ident) => {
            for (at, n) in SIZES.into_iter().enumerate() {
                let (m, layout) = ([1, 3, 17][at % 3], Layout::ALL[at % 5]);
                let x = tame::<$ty>(at as u64, &[m, n], layout);
                let (rows, mean, products) = (Tensor::<f32>::zeros(m), Tensor::<$ty>::zeros(m), Tensor::<f32>::zeros(m));
                check!(sums_float::<$ty>(&x) -> rows, mean, products;
                    [Within::Sum(n, 2.0), Within::Sum(4, 2.0), Within::Ulps(2.0 * n as f64 + 4.0)]; "m=2"; format!("{m}×{n} {layout:?}"));
            }
        };
    }
    of!(f32);
    of!(f16);
    of!(bf16);
    of!(f8e4m3);
    of!(f8e5m2);
}

/// Extremes of one type: they keep the type and are exact.
macro_rules! extremes {
    ($($kernel:ident $test:ident $ty:ident;)*) => {$(
        #[kernel]
        fn $kernel<M, N>(
            x: &Tensor<$ty, (M, N)>, most: &mut Tensor<$ty, M>, least: &mut Tensor<$ty, M>,
            at_most: &mut Tensor<i32, M>, at_least: &mut Tensor<i32, M>,
        ) {
            for m in tile(M) {
                let row = x[(m, ..)];
                most[m] = row.max(N);
                least[m] = row.min(N);
                at_most[m] = row.argmax(N);
                at_least[m] = row.argmin(N);
            }
        }
        #[test]
        fn $test() {
            for (at, n) in SIZES.into_iter().enumerate() {
                let (m, layout) = ([5, 3, 17][at % 3], Layout::ALL[at % 5]);
                for x in [wild::<$ty>(at as u64, &[m, n], layout), tame::<$ty>(at as u64, &[m, n], layout)] {
                    let (most, least) = (Tensor::<$ty>::zeros(m), Tensor::<$ty>::zeros(m));
                    let (at_most, at_least) = (Tensor::<i32>::zeros(m), Tensor::<i32>::zeros(m));
                    check!($kernel(&x) -> most, least, at_most, at_least; [Within::Exact]; "m=2"; format!("{m}×{n} {layout:?}"));
                }
            }
        }
    )*};
}

extremes! {
    extremes_f32 extremes_of_f32 f32;
    extremes_f64 extremes_of_f64 f64;
    extremes_f16 extremes_of_f16 f16;
    extremes_bf16 extremes_of_bf16 bf16;
    extremes_f8e4m3 extremes_of_f8e4m3 f8e4m3;
    extremes_f8e5m2 extremes_of_f8e5m2 f8e5m2;
    extremes_i8 extremes_of_i8 i8;
    extremes_u8 extremes_of_u8 u8;
    extremes_i16 extremes_of_i16 i16;
    extremes_u16 extremes_of_u16 u16;
    extremes_i32 extremes_of_i32 i32;
    extremes_u32 extremes_of_u32 u32;
    extremes_i64 extremes_of_i64 i64;
}

#[kernel]
fn columns<M, N>(
    x: &Tensor<f32, (M, N)>,
    total: &mut Tensor<f32, N>,
    most: &mut Tensor<f32, N>,
    at: &mut Tensor<i32, N>,
    positive: &mut Tensor<bool, N>,
    small: &mut Tensor<bool, N>,
) {
    for n in tile(N) {
        let column = x[(.., n)];
        total[n] = column.sum(M);
        most[n] = column.max(M);
        at[n] = column.argmax(M);
        positive[n] = (column > 1.5).any(M);
        small[n] = (column < 1.9).all(M);
    }
}

#[kernel]
fn folded<M, N>(
    x: &Tensor<i32, (M, N)>,
    bits: &mut Tensor<i32, M>,
    any: &mut Tensor<bool, M>,
    all: &mut Tensor<bool, M>,
) {
    for m in tile(M) {
        let row = x[(m, ..)];
        bits[m] = row.fold(N, 0, |a, b| a ^ b);
        any[m] = (row == 3).any(N);
        all[m] = (row != 3).all(N);
    }
}

#[kernel]
fn blocks<M, N>(x: &Tensor<f32, (M, N)>, total: &mut Tensor<f32, M>, most: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let mut sum = zeros::<f32>(m);
        let mut peak = full::<f32>(m, f32::NEG_INFINITY);
        for n in tile(N) {
            sum += x[(m, n)].sum(n);
            peak = max(peak, x[(m, n)].max(n));
        }
        total[m] = sum;
        most[m] = peak;
    }
}

#[test]
fn reductions_over_an_outer_axis_by_closure_and_block_by_block() {
    for (at, n) in SIZES.into_iter().enumerate() {
        let (m, layout) = ([1, 4, 19][at % 3], Layout::ALL[at % 5]);
        let context = format!("{m}×{n} {layout:?}");
        let x = tame::<f32>(at as u64, &[m, n], layout);
        let (total, most, place) =
            (Tensor::<f32>::zeros(n), Tensor::<f32>::zeros(n), Tensor::<i32>::zeros(n));
        let (positive, small) = (Tensor::<bool>::zeros(n), Tensor::<bool>::zeros(n));
        let sum = Within::Sum(m, 2.0);
        check!(columns(&x) -> total, most, place, positive, small; [sum, Within::Exact]; "n=5"; context);
        let i = tame::<i32>(at as u64, &[m, n], layout);
        let (bits, any, all) = (Tensor::<i32>::zeros(m), Tensor::<bool>::zeros(m), Tensor::<bool>::zeros(m));
        check!(folded(&i) -> bits, any, all; [Within::Exact]; "m=2"; context);
        let (total, most) = (Tensor::<f32>::zeros(m), Tensor::<f32>::zeros(m));
        check!(blocks(&x) -> total, most; [Within::Sum(n, 2.0), Within::Exact]; "n=7", "m=2,n=64"; context);
    }
}

crate::golden::golden!(sums_float, columns, folded, blocks);
