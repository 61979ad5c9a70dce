//! Products plus a bias, which the last product adds where the sum is made in the output; and what looks like these.

use crate::check::{Within, check, there};
use crate::data::{Layout, SIZES, tame};
use tilewright::prelude::*;

#[kernel]
fn linear<T: Float, B, M, N, K>(
    x: &Tensor<T, (B, M, K)>,
    w: &Tensor<T, (N, K)>,
    bias: &Tensor<f32, N>,
    out: &mut Tensor<f32, (B, M, N)>,
) {
    for (b, m, n) in (each(B), tile(M), tile(N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(b, m, k)], w[(n, k)], k);
        }
        out[(b, m, n)] = acc + bias[n];
    }
}

/// In one product.
#[kernel]
fn whole_linear<M, N, K>(
    x: &Tensor<f32, (M, K)>,
    w: &Tensor<f32, (N, K)>,
    bias: &Tensor<f32, N>,
    out: &mut Tensor<f32, (M, N)>,
) {
    assert!(K <= 1024);
    for (m, n) in tile((M, N)) {
        let acc = dot(x[(m, ..)], w[(n, ..)], K);
        out[(m, n)] = bias[n] + acc;
    }
}

/// Two products of one length into one sum: the bias is added once.
#[kernel]
fn recurrent<M, N, K>(
    x: &Tensor<f32, (M, K)>,
    w: &Tensor<f32, (N, K)>,
    bias: &Tensor<f32, N>,
    out: &mut Tensor<f32, (M, N)>,
) {
    assert!(K <= 1024);
    for (m, n) in tile((M, N)) {
        let mut acc = dot(x[(m, ..)], w[(n, ..)], K);
        acc = acc + dot(x[(m, ..)], w[(n, ..)], K);
        out[(m, n)] = acc + bias[n];
    }
}

/// A variable that is a sum again: its first content has no bias.
#[kernel]
fn gated_linear<M, N, K>(
    x: &Tensor<f32, (M, K)>,
    w: &Tensor<f32, (N, K)>,
    bias: &Tensor<f32, N>,
    gate: &mut Tensor<f32, (M, N)>,
    out: &mut Tensor<f32, (M, N)>,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        if M > 3 {
            gate[(m, n)] = acc;
        }
        acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = acc + bias[n];
    }
}

/// A product that another product reads before the bias is added.
#[kernel]
fn read_product<R, M, N, K>(
    x: &Tensor<f32, (M, K)>,
    w: &Tensor<f32, (N, K)>,
    g: &Tensor<f32, (R, M)>,
    bias: &Tensor<f32, N>,
    out: &mut Tensor<f32, (R, N)>,
    with_bias: &mut Tensor<f32, (M, N)>,
) {
    assert!(K <= 1024 && M <= 64 && R <= 64);
    for n in tile(N) {
        let product = dot(x[(.., ..)], w[(n, ..)], K);
        out[(.., n)] = dot(g[(.., ..)], product, M);
        with_bias[(.., n)] = product + bias[n];
    }
}

/// The last block of `k` may not be reached.
#[kernel]
fn stopped_linear<M, N, K>(
    x: &Tensor<f32, (M, K)>,
    w: &Tensor<f32, (N, K)>,
    bias: &Tensor<f32, N>,
    out: &mut Tensor<f32, (M, N)>,
    stop: i32,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K).block(16) {
            if k.begin() >= stop {
                break;
            }
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = acc + bias[n];
    }
}

/// A bias is added by the last product, where the output is summed in place.
#[test]
fn biases_are_added_once() {
    let adds = |schedule: &str| schedule.contains("the last product adds bias");
    assert!(adds(linear::schedule()) && adds(whole_linear::schedule()) && !adds(stopped_linear::schedule()));
    for (at, k) in SIZES.into_iter().chain([0, 500]).enumerate() {
        let (m, n) = (SIZES[(at * 3 + 2) % 12], SIZES[(at * 5 + 4) % 12]);
        let (left, right) = (Layout::ALL[at % 5], Layout::ALL[(at + 2) % 5]);
        let context = format!("{m}×{n}×{k} {left:?} {right:?}");
        let within = [Within::Sum(k + 8, 4.0 * k as f64 + 4.0)];
        let (x, w) = (tame::<f32>(1, &[2, m, k], left), tame::<f32>(2, &[n, k], right));
        let (half, half_w) = (tame::<f16>(1, &[2, m, k], left), tame::<f16>(2, &[n, k], right));
        let one = x.narrow(0, 0, 1).unwrap().reshape([m, k]).unwrap();
        let all = Tensor::<f32>::zeros((2, m, n));
        let out = Tensor::<f32>::zeros((m, n));
        for bias in [Layout::Dense, Layout::Strided].map(|layout| tame::<f32>(3, &[n], layout)) {
            check!(linear::<f32>(&x, &w, &bias) -> all; within; "k=11", "m=5,n=40,k=11"; context);
            check!(linear::<f16>(&half, &half_w, &bias) -> all; within; "m=5,n=40,k=11"; context);
            check!(whole_linear(&one, &w, &bias) -> out; within; "m=5,n=40"; context);
            let twice = [Within::Sum(2 * k + 8, 8.0 * k as f64 + 4.0)];
            check!(recurrent(&one, &w, &bias) -> out; twice; "m=5,n=40"; context);
            if m <= 64 {
                let (g, first) = (tame::<f32>(5, &[9, m], Layout::Dense), Tensor::<f32>::zeros((9, n)));
                let deep = [Within::Sum(k * m + 8, (64 * k * m) as f64 + 4.0), within[0]];
                check!(read_product(&one, &w, &g, &bias) -> first, out; deep; "n=40"; context);
            }
            let gate = Tensor::<f32>::zeros((m, n));
            check!(gated_linear(&one, &w, &bias) -> gate, out; within; "m=5,n=40,k=11"; context);
            for stop in [0, 16, 1000] {
                crate::check::run(
                    &format!("stopped_linear {context} {stop}"),
                    &(out.clone(),),
                    &["out"],
                    &within,
                    &[Config::new()],
                    |(out,)| stopped_linear::reference(&one, &w, &bias, out, stop),
                    |config, (out,)| {
                        stopped_linear::with(config, &there(&one), &there(&w), &there(&bias), out, stop)
                    },
                );
            }
        }
    }
}
