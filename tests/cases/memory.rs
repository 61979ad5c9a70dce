//! Every form of index, in loads and in stores.

use crate::check::{Within, check, there};
use crate::data::{Layout, SIZES, indices, tame};
use tilewright::prelude::*;

#[kernel]
fn moved<T: Element, M, N>(
    x: &Tensor<T, (M, N)>,
    same: &mut Tensor<T, (M, N)>,
    turned: &mut Tensor<T, (N, M)>,
) {
    for (m, n) in tile((M, N)) {
        same[(m, n)] = x[(m, n)];
        turned[(n, m)] = x[(m, n)];
    }
}

#[test]
fn copies_and_transposes_of_every_type_and_layout() {
    macro_rules! of {
        ($($ty:ident)*) => {$(
            for (at, n) in SIZES.into_iter().enumerate() {
                let (m, layout) = ([1, 5, 33][at % 3], Layout::ALL[at % 5]);
                let x = tame::<$ty>(at as u64, &[m, n], layout);
                let (same, turned) = (Tensor::<$ty>::zeros((m, n)), Tensor::<$ty>::zeros((n, m)));
                check!(moved::<$ty>(&x) -> same, turned; [Within::Exact]; "m=2,n=7"; format!("{m}×{n} {layout:?}"));
            }
        )*};
    }
    of!(f32 f64 f16 bf16 f8e4m3 f8e5m2 i8 u8 i16 u16 i32 u32 i64 bool);
}

#[kernel]
fn gathers<V, M, D>(
    table: &Tensor<f32, (V, D)>,
    ids: &Tensor<i32, M>,
    columns: &Tensor<i64, (M, D)>,
    rows: &mut Tensor<f32, (M, D)>,
    lanes: &mut Tensor<f32, (M, D)>,
    grouped: &mut Tensor<f32, (M, D)>,
) {
    for m in tile(M) {
        rows[(m, ..)] = table[(ids[m], ..)];
        lanes[(m, ..)] = table[(ids[m], columns[(m, ..)])];
        grouped[(m, ..)] = table[(ids[m], D.index() / 4)];
    }
}

#[kernel]
fn windows<M, N>(
    x: &Tensor<f32, (M, N)>,
    out: &mut Tensor<f32, (M, N)>,
    diagonal: &mut Tensor<f32, M>,
    shift: i32,
) {
    assert!(M <= N);
    for m in tile(M) {
        for n in tile(N) {
            let left = x.at((m, n - 1)).or(0.0);
            let right = x.at((m, n + shift)).or(-1.0);
            out[(m, n)] = left + x[(m, n)] * 2.0 + right;
        }
        diagonal[m] = x[(m, m.index())];
    }
}

#[test]
fn gathers_windows_and_diagonals() {
    for (at, d) in SIZES.into_iter().take(12).enumerate() {
        let (v, m, layout) = (9, [1, 6, 20][at % 3], Layout::ALL[at % 5]);
        let table = tame::<f32>(at as u64, &[v, d], layout);
        let ids = indices(1, &[m], v);
        let columns = indices(2, &[m, d], d).cast::<i64>().unwrap();
        let (rows, lanes, grouped) =
            (Tensor::<f32>::zeros((m, d)), Tensor::<f32>::zeros((m, d)), Tensor::<f32>::zeros((m, d)));
        check!(gathers(&table, &ids, &columns) -> rows, lanes, grouped; [Within::Exact]; "m=2"; format!("{m}×{d} {layout:?}"));
        let (m, n) = (d.min(9), d);
        let x = tame::<f32>(3, &[m, n], layout);
        let (out, diagonal) = (Tensor::<f32>::zeros((m, n)), Tensor::<f32>::zeros(m));
        for shift in [0, 1, -2, 40, i32::MAX, i32::MIN] {
            let name = format!("{m}×{n} {layout:?} {shift}");
            crate::check::run(
                &name,
                &(out.clone(), diagonal.clone()),
                &["out", "diagonal"],
                &[Within::Ulps(2.0), Within::Exact],
                &[Config::new(), Config::new().set("n", 5).set("m", 2)],
                |(out, diagonal)| windows::reference(&x, out, diagonal, shift),
                |config, (out, diagonal)| windows::with(config, &there(&x), out, diagonal, shift),
            );
        }
    }
}

#[kernel]
fn control<B, M, N>(
    x: &Tensor<f32, (B, M, N)>,
    lengths: &Tensor<i32, B>,
    out: &mut Tensor<f32, (B, N)>,
    last: &mut Tensor<f32, (B, N)>,
) {
    assert!(N <= 2048);
    for b in each(B) {
        let mut acc = zeros::<f32>(N);
        let mut tail = zeros::<f32>(N);
        for m in tile(M, 0..lengths[b]) {
            acc += x[(b, m, ..)].sum(m);
        }
        for m in each(M) {
            if m >= lengths[b] {
                break;
            }
            if m % 2 == 1 {
                continue;
            }
            tail = x[(b, m, ..)] + tail * 0.5;
        }
        for i in unroll(0..2) {
            acc = acc + i as f32;
        }
        out[(b, ..)] = acc;
        last[(b, ..)] = tail;
    }
}

#[test]
fn loops_with_bounds_from_data_break_and_continue() {
    for (at, n) in [1, 7, 33, 130].into_iter().enumerate() {
        let (b, m) = (5, 11);
        let x = tame::<f32>(at as u64, &[b, m, n], Layout::ALL[at]);
        let lengths = Tensor::from_vec(b, vec![0, 3, 11, 400, -2]).unwrap();
        let (out, last) = (Tensor::<f32>::zeros((b, n)), Tensor::<f32>::zeros((b, n)));
        check!(control(&x, &lengths) -> out, last; [Within::Sum(m, 4.0)]; "m=2"; n);
    }
}

crate::golden::golden!(moved, gathers, windows, control);
