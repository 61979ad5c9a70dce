//! Whole kernels on ragged sizes: normalisations, linear layers, attention, pooling.

use crate::check::{Within, check, there};
use crate::data::{Layout, SIZES, tame};
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
pub(crate) fn layer_norm<T: Float, M, N>(
    x: &Tensor<T, (M, N)>,
    g: &Tensor<T, N>,
    b: &Tensor<T, N>,
    out: &mut Tensor<T, (M, N)>,
    epsilon: f32,
) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let centred = row - row.mean(N);
        let variance = (centred * centred).mean(N);
        out[(m, ..)] = (centred * rsqrt(variance + epsilon) * g[..] + b[..]).cast();
    }
}

#[kernel]
fn rms_norm<T: Float, M, N>(x: &Tensor<T, (M, N)>, g: &Tensor<T, N>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        out[(m, ..)] = (row * rsqrt((row * row).mean(N) + 1e-5) * g[..]).cast();
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
fn pooling<B, L, D>(x: &Tensor<f32, (B, L, D)>, lengths: &Tensor<i32, B>, out: &mut Tensor<f32, (B, D)>) {
    assert!(D <= 1024);
    for b in each(B) {
        let mut acc = zeros::<f32>(D);
        for t in tile(L, 0..lengths[b]) {
            acc += x[(b, t, ..)].sum(t);
        }
        out[(b, ..)] = acc / max(lengths[b], 1).cast::<f32>();
    }
}

/// Rows of every width, in f32 and the half types.
#[test]
fn normalisations_of_rows() {
    macro_rules! of {
        ($ty:ident $near:expr) => {
            for (at, n) in SIZES.into_iter().enumerate() {
                let (m, layout) = ([1, 4, 35][at % 3], Layout::ALL[at % 5]);
                let context = format!("{m}×{n} {layout:?}");
                let x = tame::<$ty>(at as u64, &[m, n], layout);
                let (g, b) = (tame::<$ty>(1, &[n], Layout::Narrowed), tame::<$ty>(2, &[n], Layout::Strided));
                let out = Tensor::<$ty>::zeros((m, n));
                check!(softmax::<$ty>(&x) -> out; [Within::Sum($near, 1.0)]; "m=3", "stream=1"; context);
                check!(rms_norm::<$ty>(&x, &g) -> out; [Within::Sum($near, 8.0)]; "m=3"; context);
                let run = |out: &mut Tensor<$ty>| layer_norm::reference(&x, &g, &b, out, 1e-2);
                crate::check::run(&format!("layer_norm {context}"), &(out,), &["out"], &[Within::Sum($near, 64.0)],
                    &[Config::new(), Config::new().set("m", 3)], |(out,)| run(out),
                    |config, (out,)| layer_norm::with(config, &there(&x), &there(&g), &there(&b), out, 1e-2));
            }
        };
    }
    of!(f32 64);
    of!(f16 64);
    of!(bf16 64);
}

/// What the first loop keeps is read by the last one, which also reads its row again and a row of gains; the total is
/// stored, and its reciprocal computed, between the two.
#[kernel]
fn gated_softmax<M, N>(
    x: &Tensor<f32, (M, N)>,
    gain: &Tensor<f32, N>,
    out: &mut Tensor<f32, (M, N)>,
    gates: &mut Tensor<f32, (M, N)>,
    total: &mut Tensor<f32, M>,
) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let gate = tanh(row);
        let e = exp(gate - gate.max(N));
        let sum = e.sum(N);
        total[m] = sum;
        let part = 1.0 / sum;
        gates[(m, ..)] = gate * part;
        out[(m, ..)] = gate * e * part + row * gain[..];
    }
}

/// Rows of each matrix of a batch.
#[kernel]
fn batched_softmax<B, M, N>(x: &Tensor<f32, (B, M, N)>, out: &mut Tensor<f32, (B, M, N)>) {
    for (b, m) in (each(B), tile(M)) {
        let row = x[(b, m, ..)];
        let e = exp(row - row.max(N));
        out[(b, m, ..)] = e / e.sum(N);
    }
}

/// The last loop reads elsewhere, and may read outside.
#[kernel]
fn picked_softmax<M, N, V>(
    x: &Tensor<f32, (M, N)>,
    table: &Tensor<f32, V>,
    picks: &Tensor<i32, (M, N)>,
    out: &mut Tensor<f32, (M, N)>,
) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = e / e.sum(N) + table[picks[(m, ..)]];
    }
}

/// Rows that are written while the next one is computed: one, fewer and more than take steps together, with and
/// without a last vector that is not whole; also where a program has one row.
#[test]
fn rows_that_are_written_late() {
    let is_late = |schedule: &str| schedule.contains("with the row after");
    let schedules = [
        softmax::schedule(),
        gated_softmax::schedule(),
        batched_softmax::schedule(),
        picked_softmax::schedule(),
    ];
    assert!(schedules.into_iter().all(is_late));
    for (m, n) in [(0, 5), (3, 0), (1, 1), (1, 700), (3, 64), (9, 17), (10, 100), (11, 700), (4, 2049)] {
        for layout in [Layout::Dense, Layout::Transposed] {
            let context = format!("{m}×{n} {layout:?}");
            let x = tame::<f32>(m as u64, &[m, n], layout);
            let gain = tame::<f32>(1, &[n], Layout::Strided);
            let (out, total) = (Tensor::<f32>::zeros((m, n)), Tensor::<f32>::zeros(m));
            let gates = Tensor::<f32>::zeros((n, m)).transpose(0, 1).unwrap();
            let within = [Within::Sum(64, 1.0), Within::Sum(64, 1.0), Within::Sum(n, 4.0)];
            check!(softmax::<f32>(&x) -> out; [Within::Sum(64, 1.0)]; "stream=1", "stream=1,m=1", "stream=1,m=7", "stream=0"; context);
            check!(gated_softmax(&x, &gain) -> out, gates, total; within; "stream=1", "stream=1,m=1", "stream=1,m=7"; context);
            let picks = Tensor::<i32>::from_fn((m, n), |at| (at[0] + at[1]) as i32 % 5);
            let table = tame::<f32>(3, &[5], Layout::Dense);
            check!(picked_softmax(&x, &table, &picks) -> out; [Within::Sum(64, 8.0)]; "stream=1", "stream=1,m=3"; context);
        }
    }
    let x = tame::<f32>(1, &[3, 5, 33], Layout::Narrowed);
    let out = Tensor::<f32>::zeros((3, 5, 33));
    check!(batched_softmax(&x) -> out; [Within::Sum(64, 1.0)]; "stream=1", "stream=1,m=2"; "in a batch");
}

/// A rotary embedding: two halves of a row are read at once.
#[kernel]
fn rope<T: Float, M, P, H>(
    x: &Tensor<T, (M, P, H)>,
    cosine: &Tensor<f32, (M, H)>,
    sine: &Tensor<f32, (M, H)>,
    out: &mut Tensor<T, (M, P, H)>,
) {
    assert!(P == 2);
    for (m, h) in tile((M, H)) {
        let (a, b) = (x[(m, 0, h)].cast::<f32>(), x[(m, 1, h)].cast::<f32>());
        out[(m, 0, h)] = (a * cosine[(m, h)] - b * sine[(m, h)]).cast();
        out[(m, 1, h)] = (b * cosine[(m, h)] + a * sine[(m, h)]).cast();
    }
}

/// Pieces that are no row, as others lie between them, or each is read elsewhere.
#[kernel]
fn outer_thirds<M, P, H>(x: &Tensor<f32, (M, P, H)>, out: &mut Tensor<f32, (M, H)>) {
    assert!(P == 3);
    for m in tile(M) {
        out[(m, ..)] = x[(m, 0, ..)] - x[(m, 2, ..)];
    }
}

#[test]
fn pieces_of_rows() {
    assert!(rope::schedule().contains("2 pieces of x"), "{}", rope::schedule());
    assert!(!outer_thirds::schedule().contains("pieces"), "{}", outer_thirds::schedule());
    for (at, layout) in Layout::ALL.into_iter().enumerate() {
        for (m, h) in [(1, 1), (7, 32), (19, 33), (5, 200)] {
            let context = format!("{m} × {h} {layout:?}");
            let angles = [1, 2].map(|seed| tame::<f32>(seed, &[m, h], Layout::Dense));
            let x = tame::<f32>(at as u64, &[m, 2, h], layout);
            let out = Tensor::<f32>::zeros((m, 2, h));
            check!(rope::<f32>(&x, &angles[0], &angles[1]) -> out; [Within::Sum(2, 4.0)]; "m=3", "h=16", "stream=1", "stream=1,h=16"; context);
            let x = tame::<bf16>(at as u64, &[m, 2, h], layout);
            let out = Tensor::<bf16>::zeros((m, 2, h));
            check!(rope::<bf16>(&x, &angles[0], &angles[1]) -> out; [Within::Sum(2, 4.0)]; "m=3", "h=16", "stream=1", "stream=1,h=16"; context);
            let x = tame::<f32>(at as u64, &[m, 3, h], layout);
            let out = Tensor::<f32>::zeros((m, h));
            check!(outer_thirds(&x) -> out; [Within::Sum(2, 4.0)]; "m=3"; context);
        }
    }
}

/// A cross entropy: nothing of it is written by lanes. Its target may be outside.
#[kernel]
fn loss<T: Float, M, N>(logits: &Tensor<T, (M, N)>, targets: &Tensor<i32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let row = logits[(m, ..)];
        let peak = row.max(N);
        out[m] = ln(exp(row - peak).sum(N)) + peak - logits[(m, targets[m])].cast::<f32>();
    }
}

/// The first loop finds three things, of rows of two tensors and of one that is the same for all rows; the loop that it
/// goes with writes, and one between the two reduces as well.
#[kernel]
fn ranged<M, N>(
    x: &Tensor<f32, (M, N)>,
    y: &Tensor<i32, (M, N)>,
    bound: &Tensor<f32, N>,
    out: &mut Tensor<f32, (M, N)>,
    mean: &mut Tensor<f32, M>,
    hit: &mut Tensor<bool, M>,
) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let others = y[(m, ..)];
        let most = row.max(N);
        let least = min(row, bound[..]).min(N);
        let any = (row > bound[..]).any(N) | (others > 90).any(N);
        let centre = (row - most).mean(N);
        mean[m] = centre;
        hit[m] = any;
        out[(m, ..)] = exp(row - most) + (centre - least);
    }
}

/// The first loop reads elsewhere, and may read outside; the loop that it goes with writes.
#[kernel]
fn picked_peak<M, N, V>(
    x: &Tensor<f32, (M, N)>,
    table: &Tensor<f32, V>,
    picks: &Tensor<i32, (M, N)>,
    out: &mut Tensor<f32, (M, N)>,
) {
    for m in tile(M) {
        let peak = max(x[(m, ..)], table[picks[(m, ..)]]).max(N);
        out[(m, ..)] = exp(x[(m, ..)] - peak);
    }
}

/// The first loop needs a value of its row: it goes with no other.
#[kernel]
fn scaled<M, N>(x: &Tensor<f32, (M, N)>, scale: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let row = x[(m, ..)] * scale[m];
        out[m] = exp(row - row.max(N)).sum(N);
    }
}

/// Rows that are read while the one before is computed: short ones because a config asks for it, and long ones; one row,
/// and fewer and more than a program has; rows that are apart.
#[test]
fn rows_that_are_read_early() {
    let is_early = |schedule: &str| schedule.contains("the first lane loop goes with the row before");
    let schedules = [
        softmax::schedule(),
        batched_softmax::schedule(),
        loss::schedule(),
        ranged::schedule(),
        picked_peak::schedule(),
    ];
    assert!(schedules.into_iter().all(is_early));
    assert!(
        ![gated_softmax::schedule(), scaled::schedule(), layer_norm::schedule()].into_iter().any(is_early)
    );
    for (m, n) in
        [(0, 5), (0, 2000), (3, 0), (1, 1), (3, 17), (9, 100), (1, 1024), (3, 1500), (40, 1025), (5, 4099)]
    {
        for layout in [Layout::Dense, Layout::Narrowed, Layout::Transposed] {
            let context = format!("{m}×{n} {layout:?}");
            let x = tame::<f32>((m + n) as u64, &[m, n], layout);
            let half = tame::<f16>((m + n) as u64, &[m, n], layout);
            let targets = Tensor::<i32>::from_fn(m, |at| (at[0] * 7 % n.max(1)) as i32);
            let y = Tensor::<i32>::from_fn((n, m), |at| ((at[0] * 31 + at[1] * 17) % 93) as i32)
                .transpose(0, 1)
                .unwrap();
            let bound = Tensor::<f32>::from_fn(n, |at| 0.5 + at[0] as f32 / n as f32);
            let (out, mean) = (Tensor::<f32>::zeros((m, n)), Tensor::<f32>::zeros(m));
            let (losses, hit) = (Tensor::<f32>::zeros(m), Tensor::<bool>::zeros(m));
            let within = [Within::Sum(64, 1.0), Within::Sum(n, 4.0), Within::Exact];
            // Rows of length 0 have no target.
            if n > 0 {
                check!(loss::<f32>(&x, &targets) -> losses; [Within::Sum(64, 8.0)]; "m=1", "m=7", "stream=1", "stream=1,m=3"; context);
                check!(loss::<f16>(&half, &targets) -> losses; [Within::Sum(64, 8.0)]; "m=7", "stream=1"; context);
            }
            check!(ranged(&x, &y, &bound) -> out, mean, hit; within; "m=1", "m=7", "stream=1", "stream=1,m=3"; context);
            let (table, picks) = (
                tame::<f32>(3, &[5], Layout::Dense),
                Tensor::<i32>::from_fn((m, n), |at| (at[0] + at[1]) as i32 % 5),
            );
            check!(picked_peak(&x, &table, &picks) -> out; [Within::Sum(64, 4.0)]; "m=7", "stream=1"; context);
            check!(scaled(&x, &mean) -> losses; [Within::Sum(64, 8.0)]; "stream=1"; context);
            check!(softmax::<f32>(&x) -> out; [Within::Sum(64, 1.0)]; "stream=1", "stream=1,m=7"; context);
        }
    }
}

/// Which of two zeros a maximum is does not depend on where its row is in a program.
#[kernel]
fn inverse_peaks<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>, inverse: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let peak = row.max(N);
        let e = exp(row - peak);
        inverse[m] = 1.0 / peak;
        out[(m, ..)] = e / e.sum(N);
    }
}

#[test]
fn rows_that_are_read_early_have_the_same_zeros() {
    for n in [128, 1100] {
        let x = Tensor::<f32>::from_fn((8, n), |at| [0.0, -0.0, -1.0][(at[1] / 16).min(2)]);
        let (mut out, mut inverse) = (Tensor::<f32>::zeros((8, n)), Tensor::<f32>::zeros(8));
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let mut found = Vec::new();
            for m in [1, 3, 8] {
                let config = Config::new().instruction_set(set).stream(true).set("m", m);
                inverse_peaks::with(&config, &x, &mut out, &mut inverse).unwrap();
                found.extend(inverse.to_vec());
            }
            assert!(found.iter().all(|value| *value == found[0]), "{found:?}");
        }
    }
}

/// What a row holds stays its own: a NaN, an infinity, nothing but -∞.
#[test]
fn rows_that_are_read_early_do_not_mix() {
    for n in [33, 1200] {
        let x = Tensor::<f32>::from_fn((6, n), |at| match at {
            [1, 5] => f32::NAN,
            [3, _] => f32::NEG_INFINITY,
            [4, 7] => f32::INFINITY,
            [row, column] => (row * 3 + column % 11) as f32,
            _ => 0.0,
        });
        let (targets, config) = (Tensor::<i32>::zeros(6), Config::new().stream(true));
        let (mut losses, mut out) = (Tensor::<f32>::zeros(6), Tensor::<f32>::zeros((6, n)));
        loss::with(&config, &x, &targets, &mut losses).unwrap();
        softmax::with(&config, &x, &mut out).unwrap();
        let is_nan: Vec<bool> = losses.to_vec().iter().map(|loss| loss.is_nan()).collect();
        assert_eq!(is_nan, [false, true, false, true, true, false]);
        let rows: Vec<bool> = out.to_vec().chunks(n).map(|row| row.iter().all(|p| p.is_nan())).collect();
        assert_eq!(rows, is_nan);
        let mut wanted = Tensor::<f32>::zeros((6, n));
        softmax::reference(&x, &mut wanted).unwrap();
        crate::check::compare(&out, &wanted, "out", Within::Sum(64, 1.0), "with infinities");
        // In place: each row is read ahead before it is written.
        let (peaks, mut wanted) = (Tensor::<f32>::zeros(1), Tensor::<f32>::zeros((6, n)));
        let picks = Tensor::<i32>::zeros((6, n));
        picked_peak::reference(&x, &peaks, &picks, &mut wanted).unwrap();
        let mut same = x.clone();
        picked_peak::with(&config, &x, &peaks, &picks, &mut same).unwrap();
        crate::check::compare(&same, &wanted, "out", Within::Sum(64, 1.0), "in place");
        let outside = Tensor::<i32>::from_fn((6, n), |at| i32::from(at == [5, n - 1]));
        let error = picked_peak::with(&config, &x, &peaks, &outside, &mut out).unwrap_err();
        assert!(error.to_string().contains("table"), "{error}");
        let wild = Tensor::<i32>::from_fn(6, |at| if at == [4] { n as i32 } else { 0 });
        let error = loss::with(&config, &x, &wild, &mut losses).unwrap_err();
        assert!(error.to_string().contains("logits"), "{error}");
    }
}

/// What is around an output stays, and an output may be the input.
#[test]
fn late_writes_stay_in_their_place() {
    let config = Config::new().stream(true);
    let (x, whole) = (tame::<f32>(5, &[9, 100], Layout::Dense), Tensor::<f32>::from_fn((11, 130), |_| 7.0));
    let mut wanted = Tensor::zeros((9, 100));
    softmax::reference(&x, &mut wanted).unwrap();
    let mut part = whole.narrow(0, 1, 9).unwrap().narrow(1, 16, 100).unwrap();
    softmax::with(&config, &x, &mut part).unwrap();
    crate::check::compare(&part, &wanted, "out", Within::Sum(64, 1.0), "a part");
    part.copy_from(&Tensor::from_fn((9, 100), |_| 7.0)).unwrap();
    assert!(whole.to_vec().iter().all(|x| *x == 7.0));
    let mut same = x.clone();
    softmax::with(&config, &x, &mut same).unwrap();
    crate::check::compare(&same, &wanted, "out", Within::Sum(64, 1.0), "in place");
    let picks = Tensor::<i32>::from_fn((9, 100), |at| if at == [4, 99] { 5 } else { 0 });
    let table = Tensor::<f32>::zeros(5);
    let error = picked_softmax::with(&config, &x, &table, &picks, &mut part).unwrap_err();
    assert!(error.to_string().contains("table"), "{error}");
}

#[test]
fn linear_layers_of_ragged_sizes() {
    for (at, k) in SIZES.into_iter().enumerate() {
        let (m, n) = (SIZES[(at * 3 + 2) % 12], SIZES[(at * 5 + 4) % 12]);
        let (left, right) = (Layout::ALL[at % 5], Layout::ALL[(at + 2) % 5]);
        let context = format!("{m}×{n}×{k} {left:?} {right:?}");
        let (x, w, b) =
            (tame::<f32>(1, &[m, k], left), tame::<f32>(2, &[n, k], right), tame::<f32>(3, &[n], left));
        let out = Tensor::<f32>::zeros((m, n));
        check!(linear_gelu::<f32>(&x, &w, &b) -> out; [Within::Sum(k + 8, 4.0 * k as f64 + 4.0)]; "m=5,n=40,k=11"; context);
    }
}

#[test]
fn attention_causal_grouped_and_ragged() {
    macro_rules! of {
        ($ty:ident $causal:literal $near:expr) => {
            for (b, h, g, s, l, d) in
                [(1, 1, 1, 1, 1, 1), (2, 4, 2, 9, 12, 6), (1, 3, 1, 33, 65, 16), (1, 2, 2, 17, 129, 33)]
            {
                let layout = if s % 2 == 0 { Layout::Dense } else { Layout::Narrowed };
                let q = tame::<$ty>(1, &[b, h, s, d], layout);
                let k = tame::<$ty>(2, &[b, g, l, d], layout);
                let v = tame::<$ty>(3, &[b, g, l, d], Layout::Dense);
                let out = Tensor::<$ty>::zeros((b, h, s, d));
                let configs = [
                    Config::new(),
                    Config::new().set("s", 4).set("t", 5),
                    Config::new().set("s", 7).set("t", 64),
                ];
                crate::check::run(
                    &format!("attention {b} {h} {g} {s} {l} {d}"),
                    &(out,),
                    &["out"],
                    &[$near],
                    &configs,
                    |(out,)| attention::reference::<$ty, $causal>(&q, &k, &v, out, 0.3),
                    |config, (out,)| {
                        let (q, k, v) = (there(&q), there(&k), there(&v));
                        attention::with::<$ty, $causal>(config, &q, &k, &v, out, 0.3)
                    },
                );
            }
        };
    }
    of!(f32 false Within::Sum(64, 4.0));
    of!(f32 true Within::Sum(64, 4.0));
    // The probabilities are rounded to bf16 against another peak in each block.
    of!(bf16 true Within::Sum(1 << 17, 2.0));
}

#[test]
fn pooling_over_lengths_from_data() {
    for d in [1, 8, 33, 384] {
        let x = tame::<f32>(1, &[4, 10, d], Layout::Narrowed);
        let lengths = Tensor::from_vec(4, vec![10, 1, 0, 7]).unwrap();
        let out = Tensor::<f32>::zeros((4, d));
        check!(pooling(&x, &lengths) -> out; [Within::Sum(10, 2.0)]; "t=3"; d);
    }
}

crate::golden::golden!(softmax, layer_norm, rms_norm, linear_gelu, attention, pooling);

#[test]
fn the_text_of_attention_has_the_kernels_names_and_its_lets() {
    let text = attention::source(tilewright::Target::Cuda).unwrap();
    for line in [
        "// let g = h / (H / G);",
        "// let p = exp_sub(score, next);",
        "peak[i] = next[i];",
        "block_of_k.slot(t_ring.slot)",
    ] {
        assert!(text.contains(line), "no `{line}`");
    }
}
