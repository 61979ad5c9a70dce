//! Variances, which the loop of the mean finds where that costs no precision.

use crate::check::{Within, check};
use crate::data::{Layout, tame};
use crate::models::layer_norm;
use tilewright::prelude::*;
use tilewright::simd::InstructionSet;

#[kernel]
fn variance<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let centred = row - row.mean(N);
        out[m] = (centred * centred).mean(N);
    }
}

/// Of a product, which the loop of its mean reads back.
#[kernel]
fn variance_of_product<M, N, K>(x: &Tensor<f32, (M, K)>, w: &Tensor<f32, (N, K)>, out: &mut Tensor<f32, M>) {
    assert!(K <= 64 && N <= 64);
    for m in tile(M) {
        let product = dot(x[(m, ..)], w[(.., ..)], K);
        let centred = product - product.mean(N);
        out[m] = (centred * centred).mean(N);
    }
}

/// Of one number for all, which is no vector in the loop of its mean.
#[kernel]
fn variance_of_one<M, N>(x: &Tensor<f32, (M, N)>, u: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let same = full::<f32>((m, N), u[m]);
        let apart = same - same.mean(N);
        out[m] = (apart * apart).sum(N) + x[(m, ..)].max(N);
    }
}

#[test]
fn variances_of_products_and_numbers() {
    assert!(variance_of_product::schedule().contains(", else"));
    assert!(!variance_of_one::schedule().contains(", else"));
    for (m, n, k) in [(1, 1, 1), (9, 33, 20), (17, 64, 64)] {
        let (x, w) = (tame::<f32>(1, &[m, k], Layout::Dense), tame::<f32>(2, &[n, k], Layout::Dense));
        let u = Tensor::<f32>::from_fn(m, |at| at[0] as f32);
        let (out, context) = (Tensor::<f32>::zeros(m), format!("{m} {n} {k}"));
        check!(variance_of_product(&x, &w) -> out; [Within::Sum(n * k, (16 * k * k) as f64)]; "m=4"; context);
        check!(variance_of_one(&x, &u) -> out; [Within::Sum(k, 4.0)]; "m=4"; context);
    }
}

/// Rows that are far from 0, or hardly spread, or not finite, have variances as precise as others: what the loop of the
/// mean knows of these is not used.
#[test]
fn variances_are_precise_wherever_a_row_is() {
    assert!(variance::schedule().contains(", else"));
    assert!(layer_norm::schedule().contains(", else"));
    let wave = |at: usize| f64::from(((at * 7919) % 1009) as u32) / 504.0 - 1.0;
    for n in [1, 2, 17, 100, 384, 4099] {
        let (most, tiny) = (f64::from(f32::MAX), f64::from(f32::MIN_POSITIVE));
        let rows: [&dyn Fn(usize) -> f64; 15] = [
            &|at| wave(at),
            &|at| 1.0 + wave(at),
            &|at| 1000.0 + wave(at),
            &|at| -30_000.0 + wave(at) * 100.0,
            &|_| 0.0,
            &|_| 12345.678,
            &|at| if at == 0 { 1e6 } else { wave(at) },
            &|at| if at + 1 == n { -1e6 } else { 3.0 + wave(at) },
            &|at| wave(at) * 1e18,
            &|at| 1.5e19 + wave(at) * 1e18,
            &|at| [1.6e19, 1e19, 0.0][at.min(2)],
            &|_| most / 2.0,
            &|at| wave(at) * tiny,
            &|at| if at == n / 2 { f64::NAN } else { wave(at) },
            &|at| if at == n / 2 { f64::INFINITY } else { wave(at) },
        ];
        let x = Tensor::<f32>::from_fn((rows.len(), n), |at| rows[at[0]](at[1]) as f32);
        let wanted: Vec<f64> = x
            .to_vec()
            .chunks(n)
            .map(|row| {
                let mean = row.iter().copied().map(f64::from).sum::<f64>() / n as f64;
                row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n as f64
            })
            .collect();
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            for m in [1, 4, 15] {
                let mut out = Tensor::<f32>::zeros(rows.len());
                let config = Config::new().instruction_set(set).set("m", m);
                variance::with(&config, &x, &mut out).unwrap();
                for (row, (found, wanted)) in out.to_vec().into_iter().zip(&wanted).enumerate() {
                    // The mean is as precise as a sum of f32; squares may be too large for f32.
                    let largest = x.to_vec()[row * n..][..n]
                        .iter()
                        .fold(0.0_f64, |most, x| most.max(f64::from(x.abs())));
                    let rounding = (largest * 4e-6).powi(2);
                    let near = wanted * 4e-6 + rounding + tiny;
                    let is_beyond = wanted.max(largest) * n as f64 > most && !found.is_finite();
                    let fits = (f64::from(found) - wanted).abs() <= near || wanted.is_nan() && found.is_nan();
                    assert!(fits || is_beyond, "row {row} of {n}, {set:?}, m = {m}: {found} is not {wanted}");
                }
            }
        }
    }
}
