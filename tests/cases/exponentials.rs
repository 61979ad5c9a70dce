//! Sums of exponentials below a maximum, whose terms are computed less precisely where they are next to nothing.

use tilewright::prelude::*;
use tilewright::simd::InstructionSet;

#[kernel]
fn shares<M, N>(x: &Tensor<f32, (M, N)>, of_exp: &mut Tensor<f32, M>, of_exp_sub: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        of_exp[m] = exp(row - row.max(N)).sum(N);
        of_exp_sub[m] = exp_sub(row, row.max(N)).sum(N);
    }
}

/// A sum that one pass finds with the maximum, which is written twice.
#[kernel]
fn one_sum<M, N>(x: &Tensor<f32, (M, N)>, peaks: &mut Tensor<f32, M>, sums: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        sums[m] = exp(row - row.max(N)).sum(N);
        peaks[m] = row.max(N);
    }
}

/// The same where a maximum of −∞ is none; a lane loop follows, which needs both.
#[kernel]
fn one_sum_sub<M, N>(
    x: &Tensor<f32, (M, N)>,
    peaks: &mut Tensor<f32, M>,
    sums: &mut Tensor<f32, M>,
    hits: &mut Tensor<f32, M>,
) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let peak = row.max(N);
        let sum = exp_sub(row, peak).sum(N);
        let hit = select(row == peak, sum, 0.0).sum(N);
        peaks[m] = peak;
        sums[m] = sum;
        hits[m] = hit;
    }
}

/// The pass computes what it reduces, and a loop after it writes lanes, which needs both results.
#[kernel]
fn log_softmax<T: Float, M, N>(
    x: &Tensor<T, (M, N)>,
    temperature: &Tensor<f32, M>,
    bias: &Tensor<f32, N>,
    out: &mut Tensor<f32, (M, N)>,
    below: &mut Tensor<f32, (M, N)>,
) {
    for m in tile(M) {
        let row = x[(m, ..)].cast::<f32>() * temperature[m] + bias[..];
        let peak = row.max(N);
        let sum = exp(row - peak).sum(N);
        let all = ln(sum) + peak;
        out[(m, ..)] = row - all;
        below[(m, ..)] = (row - peak) / sum;
    }
}

/// Between the maximum and the sum is a loop over another axis, and both need a number of the row.
#[kernel]
fn apart<M, N, K>(
    x: &Tensor<f32, (M, N)>,
    scale: &Tensor<f32, M>,
    z: &Tensor<f32, (M, K)>,
    out: &mut Tensor<f32, M>,
) {
    for m in tile(M) {
        let row = x[(m, ..)] * scale[m];
        let peak = row.max(N);
        let other = (z[(m, ..)] - peak).sum(K);
        out[m] = exp(row - peak).sum(N) + other;
    }
}

/// Elements are chosen, maybe outside.
#[kernel]
fn picked<M, N, V>(
    x: &Tensor<f32, (M, N)>,
    table: &Tensor<f32, V>,
    picks: &Tensor<i32, (M, N)>,
    out: &mut Tensor<f32, M>,
) {
    for m in tile(M) {
        let row = x[(m, ..)] + table[picks[(m, ..)]];
        out[m] = exp(row - row.max(N)).sum(N);
    }
}

/// Terms of a sum that are stored too.
#[kernel]
fn stored<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>, sums: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        sums[m] = e.sum(N);
        out[(m, ..)] = e;
    }
}

/// NaN if there is one, else the largest.
fn nan_or_largest(row: &[f32]) -> f32 {
    let nan_or_more = |most: f32, x: &f32| if most.is_nan() || x.is_nan() { f32::NAN } else { most.max(*x) };
    row.iter().fold(f32::NEG_INFINITY, nan_or_more)
}

/// In f64, of the difference as f32 has it. `of_nothing`: where the maximum is −∞.
fn sum_of_row(row: &[f32], of_nothing: f64) -> f64 {
    let peak = nan_or_largest(row);
    if peak == f32::NEG_INFINITY {
        return of_nothing;
    }
    if peak.is_nan() { f64::NAN } else { row.iter().map(|x| f64::from(x - peak).exp()).sum() }
}

/// Rows of `n` that a sum of exponentials may get wrong.
fn rows(n: usize) -> Vec<Vec<f32>> {
    let wave = |at: usize| ((at * 7919) % 1009) as f32 / 504.0 - 1.0;
    let rows: [&dyn Fn(usize) -> f32; 31] = [
        &|at| wave(at),
        &|at| 1000.0 + wave(at) * 8.0,
        &|at| wave(at) * 60.0,
        &|at| wave(at) * 1e30,
        &|_| -3.5,
        &|_| 1.1,
        &|_| 1000.1,
        &|at| if at == 0 { 0.0 } else { -16.0 + wave(at) },
        &|at| if at + 1 == n { 0.0 } else { -87.0 + wave(at) },
        &|at| if at == 0 { 100.0 } else { wave(at) * 4.0 },
        &|at| if at % 3 == 0 { wave(at) } else { f32::NEG_INFINITY },
        &|at| if at % 3 == 0 { wave(at) } else { -1e9 },
        &|_| f32::NEG_INFINITY,
        &|at| if at == n / 2 { f32::NAN } else { wave(at) },
        &|at| if at == n / 2 { f32::INFINITY } else { wave(at) },
        &|at| if at == n / 2 { f32::NAN } else { f32::NEG_INFINITY },
        // The first element is far from the others, or none.
        &|at| if at == 0 { f32::NEG_INFINITY } else { 5.0 * wave(at) },
        &|at| if at == 0 { f32::INFINITY } else { wave(at) },
        &|at| if at == 0 { f32::NAN } else { wave(at) },
        &|at| if at == 0 { -1e9 } else { 30.0 + wave(at) },
        &|at| if at == 0 { -1e9 } else { -30.0 + wave(at) },
        &|at| if at == 0 { -50.0 } else { 28.0 + wave(at) },
        &|at| if at == 0 { -50.0 } else { 60.0 + 20.0 * wave(at) },
        &|at| if at == 0 { -70_000.0 } else { wave(at) },
        // The last one is.
        &|at| if at + 1 == n { 3e38 } else { wave(at) },
        &|at| if at + 1 == n { 119.0 } else { wave(at) - 1.0 },
        &|at| if at + 1 == n { 123.0 } else { wave(at) - 1.0 },
        &|at| if at == n / 2 { f32::NAN } else { 200.0 * wave(at) },
        // All are far from 0.
        &|at| 65_000.0 + wave(at),
        &|at| -65_000.0 + 2.0 * wave(at),
        &|at| 1e7 + 4.0 * (at % 30) as f32,
    ];
    rows.iter().map(|row| (0..n).map(row).collect()).collect()
}

#[test]
fn sums_of_exponentials_are_precise_wherever_a_row_is() {
    let has_one_pass = |schedule: &str| schedule.contains("one pass of lanes N");
    assert!([one_sum::schedule(), one_sum_sub::schedule()].into_iter().all(has_one_pass));
    assert!(![shares::schedule(), stored::schedule()].into_iter().any(has_one_pass));
    for n in [1, 2, 15, 64, 100, 1200, 4099] {
        let rows = rows(n);
        let x = Tensor::<f32>::from_fn((rows.len(), n), |at| rows[at[0]][at[1]]);
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            for m in [1, 4, 14] {
                let config = Config::new().instruction_set(set).set("m", m);
                let [mut exps, mut exp_subs, mut one, mut sub, mut peaks, mut peaks_sub, mut hits] =
                    std::array::from_fn(|_| Tensor::<f32>::zeros(rows.len()));
                shares::with(&config, &x, &mut exps, &mut exp_subs).unwrap();
                one_sum::with(&config, &x, &mut peaks, &mut one).unwrap();
                one_sum_sub::with(&config, &x, &mut peaks_sub, &mut sub, &mut hits).unwrap();
                let found = [exps, exp_subs, one, sub, peaks, peaks_sub, hits].map(|found| found.to_vec());
                for (at, row) in rows.iter().enumerate() {
                    let [exps, exp_subs, one, sub, peak, peak_sub, hits] =
                        std::array::from_fn(|of| found[of][at]);
                    let (wanted, wanted_sub) = (sum_of_row(row, f64::NAN), sum_of_row(row, 0.0));
                    for (found, wanted) in
                        [(exps, wanted), (exp_subs, wanted_sub), (one, wanted), (sub, wanted_sub)]
                    {
                        let fits = (f64::from(found) - wanted).abs() <= 2e-6 * wanted
                            || wanted.is_nan() && found.is_nan();
                        assert!(fits, "row {at} of {n}, {set:?}, m = {m}: {found} is not {wanted}");
                    }
                    let largest = nan_or_largest(row);
                    for peak in [peak, peak_sub] {
                        let fits = peak == largest || peak.is_nan() && largest.is_nan();
                        assert!(fits, "row {at} of {n}, {set:?}, m = {m}: {peak} is not {largest}");
                    }
                    // NaN is not the maximum that it makes NaN.
                    let count = row.iter().filter(|x| **x == largest).count();
                    let wanted = if count == 0 { 0.0 } else { count as f64 * wanted_sub };
                    let fits =
                        (f64::from(hits) - wanted).abs() <= 4e-6 * wanted || wanted.is_nan() && hits.is_nan();
                    assert!(fits, "row {at} of {n}, {set:?}, m = {m}: {hits} is not {wanted}");
                }
            }
        }
    }
}

#[test]
fn one_pass_computes_what_it_reduces() {
    assert!(log_softmax::schedule().contains("one pass of lanes N"));
    for (m, n) in [(0, 3), (3, 0), (1, 1), (5, 17), (9, 100), (3, 1025), (6, 4099)] {
        let x = Tensor::<f32>::from_fn((m, n), |at| ((at[0] * 31 + at[1] * 17) % 93) as f32 / 9.0 - 4.0);
        let half = Tensor::<f16>::from_fn((m, n), |at| f16::from_f32(((at[0] * 7 + at[1] * 5) % 41) as f32));
        // Cold rows are too far apart for one pass.
        let temperature = Tensor::<f32>::from_fn(m, |at| [1.0, 40.0, 0.25, -3.0][at[0] % 4]);
        let bias = Tensor::<f32>::from_fn(n, |at| (at[0] % 7) as f32);
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            for config in [Config::new(), Config::new().stream(true), Config::new().set("m", 3)] {
                let config = config.instruction_set(set);
                let [mut of_x, mut of_half, mut below_x, mut below_half] =
                    std::array::from_fn(|_| Tensor::<f32>::zeros((m, n)));
                log_softmax::with(&config, &x, &temperature, &bias, &mut of_x, &mut below_x).unwrap();
                log_softmax::with(&config, &half, &temperature, &bias, &mut of_half, &mut below_half)
                    .unwrap();
                let half: Vec<f32> = half.to_vec().into_iter().map(f16::to_f32).collect();
                for (found, below, x) in [(of_x, below_x, x.to_vec()), (of_half, below_half, half)] {
                    let (found, below) = (found.to_vec(), below.to_vec());
                    for row in 0..m {
                        let scale = temperature.to_vec()[row];
                        let biased = |at: usize| x[row * n + at].mul_add(scale, (at % 7) as f32);
                        let values: Vec<f32> = (0..n).map(biased).collect();
                        let (sum, peak) = (sum_of_row(&values, f64::NAN), f64::from(nan_or_largest(&values)));
                        for (at, value) in values.into_iter().map(f64::from).enumerate() {
                            let (found, below) = (found[row * n + at], below[row * n + at]);
                            let (wanted, wanted_below) = (value - sum.ln() - peak, (value - peak) / sum);
                            let most = 1e-6 * (1.0 + value.abs() + peak.abs() + sum.ln());
                            let fits = (f64::from(found) - wanted).abs() <= most
                                && (f64::from(below) - wanted_below).abs()
                                    <= (most + 3e-6 * (peak - value)) / sum;
                            assert!(
                                fits,
                                "row {row} of {m} × {n}, {set:?}: {found} and {below}, not {wanted} and {wanted_below}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn one_pass_knows_its_row_whatever_is_between_and_wherever_elements_are() {
    let has_one_pass = |schedule: &str| schedule.contains("one pass of lanes N");
    assert!([apart::schedule(), picked::schedule()].into_iter().all(has_one_pass));
    for (m, n) in [(1, 1), (5, 17), (9, 400), (3, 4099)] {
        let at = |m: usize, n: usize| ((m * 31 + n * 17) % 93) as f32 / 9.0 - 4.0;
        let dense = Tensor::<f32>::from_fn((m, n), |index| at(index[0], index[1]));
        let transposed =
            Tensor::<f32>::from_fn((n, m), |index| at(index[1], index[0])).transpose(0, 1).unwrap();
        // Hot rows are too far apart for one pass.
        let scale = |m: usize| [1.0, 60.0, 0.25][m % 3];
        let scales = Tensor::<f32>::from_fn(m, |at| scale(at[0]));
        let z = Tensor::<f32>::from_fn((m, 3), |at| at[1] as f32);
        let table = Tensor::<f32>::from_fn(3, |at| [0.5, -200.0, 2.0][at[0]]);
        let pick = |m: usize, n: usize| (2 * m + n) % 3;
        let picks = Tensor::<i32>::from_fn((m, n), |at| pick(at[0], at[1]) as i32);
        let wild = Tensor::<i32>::from_fn((m, n), |at| if at[..] == [m - 1, n - 1] { 3 } else { 1 });
        for (x, set) in
            [&dense, &transposed].into_iter().flat_map(|x| InstructionSet::ALL.map(|set| (x, set)))
        {
            if !set.is_available() {
                continue;
            }
            let config = Config::new().instruction_set(set).set("m", 4);
            let (mut of_apart, mut of_picked) = (Tensor::<f32>::zeros(m), Tensor::<f32>::zeros(m));
            apart::with(&config, x, &scales, &z, &mut of_apart).unwrap();
            picked::with(&config, x, &table, &picks, &mut of_picked).unwrap();
            for (row, (apart, picked)) in of_apart.to_vec().into_iter().zip(of_picked.to_vec()).enumerate() {
                let values: Vec<f32> = (0..n).map(|n| at(row, n) * scale(row)).collect();
                let peak = f64::from(nan_or_largest(&values));
                let wanted = sum_of_row(&values, f64::NAN) + 3.0 - 3.0 * peak;
                let fits = (f64::from(apart) - wanted).abs() <= 2e-6 * (wanted.abs() + 3.0 * peak.abs());
                assert!(fits, "row {row} of {n}, {set:?}: {apart} is not {wanted}");
                let values = (0..n).map(|n| at(row, n) + [0.5, -200.0, 2.0][pick(row, n)]);
                let wanted = sum_of_row(&values.collect::<Vec<f32>>(), f64::NAN);
                let fits = (f64::from(picked) - wanted).abs() <= 2e-6 * wanted;
                assert!(fits, "row {row} of {n}, {set:?}: {picked} is not {wanted}");
            }
            let error = picked::with(&config, x, &table, &wild, &mut of_picked).unwrap_err().to_string();
            assert!(error.contains("index 3"), "{error}");
        }
    }
}

/// A subnormal is next to nothing in a sum, but not by itself.
#[test]
fn exponentials_that_are_stored_keep_what_a_sum_would_not_miss() {
    let x = Tensor::<f32>::from_fn((3, 50), |at| if at[1] == 0 { 0.0 } else { -86.0 - at[1] as f32 / 4.0 });
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
        let (mut out, mut sums) = (Tensor::<f32>::zeros((3, 50)), Tensor::<f32>::zeros(3));
        stored::with(&Config::new().instruction_set(set), &x, &mut out, &mut sums).unwrap();
        for (found, x) in out.to_vec().into_iter().zip(x.to_vec()) {
            let wanted = f64::from(x).exp();
            let unit = wanted.max(f64::from(f32::MIN_POSITIVE)) * f64::from(f32::EPSILON);
            assert!((f64::from(found) - wanted).abs() <= unit, "{set:?}: exp({x}) is not {found:e}");
        }
        assert_eq!(sums.to_vec(), [1.0; 3], "{set:?}");
    }
}
