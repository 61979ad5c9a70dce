//! What explanations say of launches: figures that can be counted by hand, and that nothing is run.

use tilewright::prelude::*;
use tilewright::simd::InstructionSet;
use tilewright::{Config, Explanation, explain, record};

#[kernel]
fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = (e / e.sum(N)).cast();
    }
}

#[kernel]
fn matmul<M, N, K>(
    x: &Tensor<f32, (M, K)>,
    w: &Tensor<f32, (N, K)>,
    scale: &Tensor<f32, N>,
    out: &mut Tensor<f32, (M, N)>,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = acc * scale[n];
    }
}

#[kernel]
fn rows_of<M, V, D>(ids: &Tensor<i32, M>, table: &Tensor<f32, (V, D)>, out: &mut Tensor<f32, (M, D)>) {
    for m in tile(M) {
        out[(m, ..)] = table[(ids[m], ..)];
    }
}

#[kernel]
fn running<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let mut sum = zeros::<f32>(());
        for k in tile(M, 0..m.end()) {
            sum += x[k].sum(k);
        }
        out[m] = sum;
    }
}

/// The only launch of a call that succeeds.
fn one(calls: impl FnOnce() -> Result<(), Error>) -> Explanation {
    let (result, mut launches) = explain(calls);
    result.expect("the arguments fit");
    assert_eq!(launches.len(), 1);
    launches.remove(0)
}

fn on(isa: InstructionSet) -> Config {
    Config::new().instruction_set(isa).threads(1)
}

#[test]
fn an_explanation_runs_nothing_and_checks_what_a_launch_checks() {
    let (x, mut out) = (Tensor::full((4, 8), 1.0f32), Tensor::full((4, 8), 7.0f32));
    let explanation = softmax::explain(&x, &mut out).expect("it fits");
    assert_eq!(out.to_vec(), vec![7.0; 32]);
    assert!(explanation.to_string().contains("lanes N"), "{explanation}");

    let (same, plain) =
        (softmax::explain(&x, &mut Tensor::zeros((4, 9))), softmax(&x, &mut Tensor::zeros((4, 9))));
    assert_eq!(same.expect_err("9 is not 8"), plain.expect_err("9 is not 8"));
    softmax(&x, &mut out).expect("it fits");
    assert_eq!(out.to_vec(), vec![0.125; 32], "launches run again");
}

#[test]
fn bytes_and_operations_are_those_of_the_tensors() {
    let (x, mut out) = (Tensor::<f32>::zeros((10, 100)), Tensor::<f32>::zeros((10, 100)));
    let config = on(InstructionSet::Scalar).set("m", 3);
    let it = one(|| softmax::with(&config, &x, &mut out));
    assert_eq!((it.programs, it.threads, &it.blocks[..]), (4, 1, &[("m", 3)][..]));
    assert_eq!((it.bytes_read, it.bytes_written), (4000.0, 4000.0));
    // Maximum, difference, exp, sum and quotient.
    assert_eq!((it.flops, it.at_most), (5000.0, false));

    let row = Tensor::<f32>::zeros((1, 100)).broadcast_to((10, 100)).expect("it repeats");
    assert_eq!(one(|| softmax::with(&config, &row, &mut out)).bytes_read, 400.0);

    let half = Tensor::<bf16>::zeros((10, 100));
    let mut half_out = Tensor::<bf16>::zeros((10, 100));
    let it = one(|| softmax::with(&config, &half, &mut half_out));
    assert_eq!((it.bytes_read, it.bytes_written), (2000.0, 2000.0));
}

#[test]
fn a_gather_moves_what_it_names() {
    let (ids, table) = (Tensor::<i32>::zeros(5), Tensor::<f32>::zeros((1000, 16)));
    let it = one(|| rows_of::with(&on(InstructionSet::Scalar), &ids, &table, &mut Tensor::zeros((5, 16))));
    assert_eq!((it.bytes_read, it.bytes_written), (5.0 * 4.0 + 5.0 * 64.0, 5.0 * 64.0));
}

#[test]
fn computed_bounds_make_upper_bounds() {
    let x = Tensor::<f32>::zeros(64);
    let it = one(|| running::with(&on(InstructionSet::Scalar).set("m", 16), &x, &mut Tensor::zeros(64)));
    assert!(it.at_most && it.to_string().contains("at most"), "{it}");
    assert_eq!(it.bytes_read, 256.0);
}

#[test]
fn products_count_two_operations_and_say_how_they_are_computed() {
    let (m, n, k) = (64, 96, 128);
    let words = |isa: InstructionSet, m: usize| {
        let (x, w) = (Tensor::<f32>::zeros((m, k)), Tensor::<f32>::zeros((n, k)));
        let (scale, mut out) = (Tensor::<f32>::zeros(n), Tensor::zeros((m, n)));
        let config = on(isa).set("m", 32).set("n", 96).set("k", 64);
        one(|| matmul::with(&config, &x, &w, &scale, &mut out))
    };
    let it = words(InstructionSet::Scalar, m);
    // Two for each multiply-add, the sum of each of two blocks, the scale.
    let (product, sums, scale) = (2 * m * n * k, 2 * m * n, m * n);
    assert_eq!(it.flops, (product + sums + scale) as f64, "{it}");
    assert_eq!(it.products.len(), 1);
    assert!(it.products[0].starts_with("32 x 96 x 64 a program: microkernel of "), "{it}");
    assert!(it.products[0].ends_with("laid out once per launch"), "two blocks of rows read it: {it}");
    assert!(words(InstructionSet::Scalar, 32).products[0].ends_with("laid out by each program"));
    for isa in [InstructionSet::Avx2, InstructionSet::Avx512] {
        if isa.is_available() {
            let it = words(isa, 1);
            assert!(it.products[0].contains("inner products of 1 row with"), "{it}");
            assert!(it.target == isa.name() && it.to_string().contains(isa.name()), "{it}");
        }
    }
}

#[test]
fn no_launch_is_expected_below_its_floor() {
    let (x, mut out) = (Tensor::<f32>::zeros((64, 384)), Tensor::zeros((64, 384)));
    let time = softmax::explain(&x, &mut out).expect("it fits").time.expect("it is the CPU's");
    assert!(time.floor() <= time.estimate && time.floor().as_nanos() > 0, "{time:?}");
    assert_eq!(time.floor(), time.memory.max(time.arithmetic));
}

#[test]
fn launches_for_gpus_are_explained_too() {
    let (x, mut out) = (Tensor::<f32>::zeros((64, 384)), Tensor::<f32>::zeros((64, 384)));
    let architecture = "sm_90a".parse().expect("it is one");
    let ((result, launches), texts) = record(architecture, || explain(|| softmax(&x, &mut out)));
    result.expect("it fits");
    assert!(texts.is_empty(), "nothing is recorded while it is explained");
    let it = &launches[0];
    assert!(it.target == "sm_90a" && it.threads >= 32 && it.programs > 0 && it.time.is_none(), "{it}");
    assert_eq!((it.bytes_read, it.blocks[0].0), (64.0 * 384.0 * 4.0, "m"));
    assert!(!it.to_string().contains("floor"), "{it}");
}
