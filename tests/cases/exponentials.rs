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

/// In f64, of the difference as f32 has it. `of_nothing`: where the maximum is −∞.
fn sum_of_row(row: &[f32], of_nothing: f64) -> f64 {
    let nan_or_more = |most: f32, x: &f32| if x.is_nan() || *x > most { *x } else { most };
    let peak = row.iter().fold(f32::NEG_INFINITY, nan_or_more);
    if peak == f32::NEG_INFINITY && !row.iter().any(|x| x.is_nan()) {
        return of_nothing;
    }
    if row.iter().any(|x| x.is_nan()) {
        f64::NAN
    } else {
        row.iter().map(|x| f64::from(x - peak).exp()).sum()
    }
}

#[test]
fn sums_of_exponentials_are_precise_wherever_a_row_is() {
    let wave = |at: usize| ((at * 7919) % 1009) as f32 / 504.0 - 1.0;
    for n in [1, 2, 15, 64, 100, 1200, 4099] {
        let rows: [&dyn Fn(usize) -> f32; 14] = [
            &|at| wave(at),
            &|at| 1000.0 + wave(at) * 8.0,
            &|at| wave(at) * 60.0,
            &|at| wave(at) * 1e30,
            &|_| -3.5,
            &|at| if at == 0 { 0.0 } else { -16.0 + wave(at) },
            &|at| if at + 1 == n { 0.0 } else { -87.0 + wave(at) },
            &|at| if at == 0 { 100.0 } else { wave(at) * 4.0 },
            &|at| if at % 3 == 0 { wave(at) } else { f32::NEG_INFINITY },
            &|at| if at % 3 == 0 { wave(at) } else { -1e9 },
            &|_| f32::NEG_INFINITY,
            &|at| if at == n / 2 { f32::NAN } else { wave(at) },
            &|at| if at == n / 2 { f32::INFINITY } else { wave(at) },
            &|at| if at == n / 2 { f32::NAN } else { f32::NEG_INFINITY },
        ];
        let x = Tensor::<f32>::from_fn((rows.len(), n), |at| rows[at[0]](at[1]));
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            for m in [1, 4, 14] {
                let config = Config::new().instruction_set(set).set("m", m);
                let (mut of_exp, mut of_exp_sub) =
                    (Tensor::<f32>::zeros(rows.len()), Tensor::<f32>::zeros(rows.len()));
                shares::with(&config, &x, &mut of_exp, &mut of_exp_sub).unwrap();
                let found = of_exp.to_vec().into_iter().zip(of_exp_sub.to_vec());
                for (row, ((of_exp, of_exp_sub), x)) in found.zip(x.to_vec().chunks(n)).enumerate() {
                    for (found, wanted) in
                        [(of_exp, sum_of_row(x, f64::NAN)), (of_exp_sub, sum_of_row(x, 0.0))]
                    {
                        let fits = (f64::from(found) - wanted).abs() <= 2e-6 * wanted
                            || wanted.is_nan() && found.is_nan();
                        assert!(fits, "row {row} of {n}, {set:?}, m = {m}: {found} is not {wanted}");
                    }
                }
            }
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
