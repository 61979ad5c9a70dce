//! The core of the language on small inputs, against plain loops: small enough for Miri, which runs it
//! on the scalar path, and for AddressSanitizer, which runs it on all.

use tilewright::prelude::*;
use tilewright::simd::InstructionSet;

#[kernel]
fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = (e / e.sum(N)).cast();
    }
}

#[kernel]
fn linear_gelu<T: Float, M, N, K>(
    x: &Tensor<T, (M, K)>,
    w: &Tensor<T, (N, K)>,
    b: &Tensor<T, N>,
    out: &mut Tensor<T, (M, N)>,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = gelu(acc + b[n]).cast();
    }
}

#[kernel]
fn attention<T: Float, const CAUSAL: bool, B, H, G, S, L, D>(
    q: &Tensor<T, (B, H, S, D)>,
    k: &Tensor<T, (B, G, L, D)>,
    v: &Tensor<T, (B, G, L, D)>,
    out: &mut Tensor<T, (B, H, S, D)>,
    scale: f32,
) {
    assert!(H % G == 0 && S <= L && D <= 256);
    for (b, h, s) in (each(B), each(H), tile(S)) {
        let g = h / (H / G);
        let mut peak = full::<f32>(s, f32::NEG_INFINITY);
        let mut total = zeros::<f32>(s);
        let mut acc = zeros::<f32>((s, D));
        let end = if CAUSAL { s.end() + (L - S) } else { L };
        for t in tile(L, 0..end) {
            let mut score = dot(q[(b, h, s, ..)], k[(b, g, t, ..)], D) * scale;
            if CAUSAL {
                score = select(s.index() + (L - S) >= t.index(), score, f32::NEG_INFINITY);
            }
            let next = max(peak, score.max(t));
            let p = exp_sub(score, next);
            let fade = exp_sub(peak, next);
            total = total * fade + p.sum(t);
            acc = acc * fade + dot(p.cast::<T>(), v[(b, g, t, ..)], t);
            peak = next;
        }
        out[(b, h, s, ..)] = (acc / total).cast();
    }
}

#[kernel]
fn embedding<T: Float, M, V, D>(
    ids: &Tensor<i64, M>,
    table: &Tensor<T, (V, D)>,
    out: &mut Tensor<T, (M, D)>,
) {
    for m in tile(M) {
        out[(m, ..)] = table[(ids[m], ..)];
    }
}

#[kernel]
fn shifted<M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>, by: i32) {
    for m in tile(M) {
        out[m] = x.at(m + by).or(-1.0);
    }
}

fn sets() -> impl Iterator<Item = Config> {
    let available = InstructionSet::ALL.into_iter().filter(|set| set.is_available());
    available.map(|set| Config::new().instruction_set(set))
}

fn noise(seed: u64) -> impl FnMut(&[usize]) -> f32 {
    let mut state = seed;
    move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }
}

fn assert_close(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    for (at, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g - w).abs() <= 1e-5 * (1.0 + w.abs()), "element {at}: {g} is not {w}");
    }
}

#[test]
fn softmax_equals_plain_loops_on_ragged_sizes() -> Result<(), Error> {
    for (m, n) in [(1, 1), (2, 3), (3, 17), (5, 33)] {
        let x = Tensor::<f32>::from_fn((m, n), noise(1));
        let mut want = Vec::new();
        for row in x.to_vec().chunks(n) {
            let peak = row.iter().copied().fold(f32::MIN, f32::max);
            let total: f32 = row.iter().map(|x| (x - peak).exp()).sum();
            want.extend(row.iter().map(|x| (x - peak).exp() / total));
        }
        for config in sets() {
            let mut y = Tensor::<f32>::zeros((m, n));
            softmax::with(&config, &x, &mut y)?;
            assert_close(&y.to_vec(), &want);
        }
    }
    Ok(())
}

#[test]
fn linear_gelu_equals_its_reference_on_transposed_weights() -> Result<(), Error> {
    let (m, n, k) = (5, 19, 23);
    let x = Tensor::<f32>::from_fn((m, k), noise(2));
    let w = Tensor::<f32>::from_fn((k, n), noise(3)).transpose(0, 1)?;
    let b = Tensor::<f32>::from_fn(n, noise(4));
    let mut want = Tensor::<f32>::zeros((m, n));
    linear_gelu::reference(&x, &w, &b, &mut want)?;
    for config in sets() {
        let mut y = Tensor::<f32>::zeros((m, n));
        linear_gelu::with(&config.set("m", 2).set("k", 9), &x, &w, &b, &mut y)?;
        assert_close(&y.to_vec(), &want.to_vec());
    }
    Ok(())
}

#[test]
fn attention_equals_its_reference_with_grouped_heads() -> Result<(), Error> {
    let (b, h, g, s, l, d) = (1, 2, 1, 3, 7, 5);
    let q = Tensor::<f32>::from_fn((b, h, s, d), noise(5));
    let k = Tensor::<f32>::from_fn((b, g, l, d), noise(6));
    let v = Tensor::<f32>::from_fn((b, g, l, d), noise(7));
    let mut want = Tensor::<f32>::zeros((b, h, s, d));
    attention::reference::<f32, true>(&q, &k, &v, &mut want, 0.4)?;
    for config in sets() {
        let mut y = Tensor::<f32>::zeros((b, h, s, d));
        attention::with::<f32, true>(&config, &q, &k, &v, &mut y, 0.4)?;
        assert_close(&y.to_vec(), &want.to_vec());
    }
    Ok(())
}

#[test]
fn a_wild_gather_is_an_error_and_reads_nothing() {
    let table = Tensor::<f32>::from_fn((4, 6), noise(8));
    for wild in [-1, 4, i64::MIN, i64::MAX, i64::from(i32::MAX)] {
        let ids = Tensor::from_vec(3, vec![1, wild, 2]).expect("three ids");
        for config in sets() {
            let mut y = Tensor::<f32>::full((3, 6), 9.0);
            let error = embedding::with(&config, &ids, &table, &mut y).expect_err("the index is outside");
            let Error::IndexOutOfBounds { tensor, dimension, index, length, .. } = error else {
                panic!("another error: {error}")
            };
            assert_eq!((tensor, dimension, index, length), ("table", 0, wild, 4));
            let rows = y.to_vec();
            assert_eq!(rows[6..12], [0.0; 6]);
            assert_eq!(rows[12..], table.to_vec()[12..18]);
        }
    }
}

#[test]
fn a_default_stands_in_outside_the_bounds() -> Result<(), Error> {
    let x = Tensor::<f32>::from_fn(20, |at| at[0] as f32);
    for by in [-30, -3, 0, 1, 19, 40, i32::MAX, i32::MIN] {
        let want: Vec<f32> = (0..20i64)
            .map(|at| at + i64::from(by))
            .map(|at| if (0..20).contains(&at) { at as f32 } else { -1.0 })
            .collect();
        for config in sets() {
            let mut y = Tensor::<f32>::zeros(20);
            shifted::with(&config, &x, &mut y, by)?;
            assert_close(&y.to_vec(), &want);
        }
    }
    Ok(())
}

#[test]
fn empty_tensors_store_nothing() -> Result<(), Error> {
    for shape in [(0, 3), (3, 0), (0, 0)] {
        let x = Tensor::<f32>::zeros(shape);
        let mut y = Tensor::<f32>::zeros(shape);
        softmax(&x, &mut y)?;
    }
    Ok(())
}

#[test]
fn disagreeing_dimensions_are_named() {
    let x = Tensor::<f32>::zeros((3, 4));
    let mut y = Tensor::<f32>::zeros((3, 5));
    let message = softmax(&x, &mut y).expect_err("4 is not 5").to_string();
    for word in ["softmax", "N", "x", "out", "4", "5"] {
        assert!(message.contains(word), "{message:?} does not name {word}");
    }
}
