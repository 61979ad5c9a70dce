//! Kernels of every kind on the CPU, against plain loops.

use tilewright::prelude::*;
use tilewright::simd::InstructionSet;
use tilewright::{Config, Explanation, Tensor};

#[kernel]
fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = (e / e.sum(N)).cast();
    }
}

#[kernel]
fn rms_norm<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        out[(m, ..)] = row * rsqrt((row * row).mean(N) + 1e-5);
    }
}

#[kernel]
fn add<M, N>(x: &Tensor<f32, (M, N)>, y: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        out[(m, n)] = x[(m, n)] + y[(m, n)];
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

/// Sizes that leave tails everywhere.
const SIZES: [usize; 8] = [1, 2, 7, 15, 17, 33, 65, 129];

fn random(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_769).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn tensor(shape: &[usize], seed: u32) -> Tensor<f32> {
    Tensor::from_vec(shape.to_vec(), random(shape.iter().product(), seed)).expect("it runs")
}

fn configs() -> Vec<Config> {
    let available = InstructionSet::ALL.into_iter().filter(|set| set.is_available());
    available.map(|set| Config::new().instruction_set(set)).collect()
}

#[track_caller]
fn close(found: &Tensor<f32>, expected: &[f32], tolerance: f32) {
    let found = found.to_vec();
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let near = (found - expected).abs() <= tolerance * (1.0 + expected.abs());
        assert!(near || (found.is_nan() && expected.is_nan()), "at {at}: {found} instead of {expected}");
    }
}

#[test]
fn softmax_rows_sum_to_one() {
    for config in configs() {
        for n in SIZES {
            let x = tensor(&[5, n], 1);
            let mut y = Tensor::<f32>::zeros([5, n]);
            softmax::with(&config, &x, &mut y).expect("it runs");
            let values = x.to_vec();
            let mut expected = Vec::new();
            for row in values.chunks(n) {
                let peak = row.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
                let sum: f32 = row.iter().map(|x| (x - peak).exp()).sum();
                expected.extend(row.iter().map(|x| (x - peak).exp() / sum));
            }
            close(&y, &expected, 1e-5);
        }
    }
}

#[test]
fn add_adds() {
    for config in configs() {
        for n in SIZES {
            let (x, y) = (tensor(&[3, n], 1), tensor(&[3, n], 2));
            let mut out = Tensor::<f32>::zeros([3, n]);
            add::with(&config, &x, &y, &mut out).expect("it runs");
            let expected: Vec<f32> = x.to_vec().iter().zip(y.to_vec()).map(|(x, y)| x + y).collect();
            close(&out, &expected, 0.0);
        }
    }
}

#[test]
fn linear_gelu_is_gelu_of_a_product() {
    for config in configs() {
        for (m, n, k) in [(1, 1, 1), (3, 17, 33), (65, 129, 7), (130, 300, 520)] {
            let (x, w, b) = (tensor(&[m, k], 1), tensor(&[n, k], 2), tensor(&[n], 3));
            let mut out = Tensor::<f32>::zeros([m, n]);
            linear_gelu::with(&config, &x, &w, &b, &mut out).expect("it runs");
            let (x, w, b) = (x.to_vec(), w.to_vec(), b.to_vec());
            let mut expected = Vec::new();
            for i in 0..m {
                for j in 0..n {
                    let sum: f64 = (0..k).map(|p| f64::from(x[i * k + p]) * f64::from(w[j * k + p])).sum();
                    let x = sum + f64::from(b[j]);
                    // Abramowitz and Stegun 7.1.26 is good to 1.5e-7.
                    let z = (x / 2f64.sqrt()).abs();
                    let t = 1.0 / (1.0 + 0.327_591_1 * z);
                    let poly = t
                        * (0.254_829_592
                            + t * (-0.284_496_736
                                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
                    let erf = (1.0 - poly * (-z * z).exp()).copysign(x);
                    expected.push((x / 2.0 * (1.0 + erf)) as f32);
                }
            }
            close(&out, &expected, 1e-4);
        }
    }
}

#[test]
fn schedule_says_the_loops() {
    println!("{}\n{}", softmax::schedule(), linear_gelu::schedule());
    assert!(softmax::schedule().contains("lanes N"));
    let says_steps =
        |schedule: &str| schedule.contains("each m: up to 4 short ones take each lane loop together");
    assert!(says_steps(softmax::schedule()) && !says_steps(linear_gelu::schedule()));
    // Exponentials hide what is written meanwhile.
    let is_late = |schedule: &str| schedule.contains("with the row after");
    assert!(is_late(softmax::schedule()) && !is_late(rms_norm::schedule()));
}

/// Its axis has the name of a key that every config has.
#[kernel]
fn double<S>(x: &Tensor<f32, S>, out: &mut Tensor<f32, S>) {
    for stream in tile(S) {
        out[stream] = x[stream] * 2.0;
    }
}

#[test]
fn an_axis_does_not_take_the_key_of_every_config() {
    let (x, mut out) = (tensor(&[9], 1), Tensor::zeros(9));
    double::with(&Config::new().stream(true).set("stream2", 4), &x, &mut out).unwrap();
    assert_eq!(out.get(8).unwrap(), 2.0 * x.get(8).unwrap());
    let error = double::with(&Config::new().set("stream", -1), &x, &mut out).unwrap_err();
    assert!(error.to_string().contains("give it 0 or 1"), "{error}");
}

#[test]
fn blocks_beyond_the_dimensions_are_cut_to_them() {
    let (m, n, k) = (5, 7, 9);
    let (x, w, b) = (tensor(&[m, k], 1), tensor(&[n, k], 2), tensor(&[n], 3));
    let (mut out, mut same) = (Tensor::zeros((m, n)), Tensor::zeros((m, n)));
    let huge = Config::new().set("m", 1 << 30).set("n", 1 << 30).set("k", i32::MAX);
    linear_gelu::with(&huge, &x, &w, &b, &mut out).unwrap();
    linear_gelu(&x, &w, &b, &mut same).unwrap();
    close(&out, &same.to_vec(), 1e-6);
}

#[kernels]
mod constants {
    use tilewright::prelude::*;

    const BLOCK: usize = 8;

    /// How long the blocks are: the pinned size, but for the last one.
    #[kernel]
    pub fn lengths<M>(out: &mut Tensor<i32, M>) {
        for m in tile(M).block(BLOCK * 2) {
            out[m] = full::<i32>(m, m.len());
        }
    }
}

#[test]
fn a_constant_of_the_module_pins_a_block() {
    let mut out = Tensor::zeros(40);
    constants::lengths(&mut out).unwrap();
    let expected: Vec<i32> = [vec![16; 32], vec![8; 8]].concat();
    assert_eq!(out.to_vec(), expected);
}

#[kernel]
fn halved<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        out[(m, ..)] = (x[(m, ..)] * 0.5).cast();
    }
}

/// Outputs that go past the caches, of every size of element, whole or not, and aligned or not.
fn halves_of_many<T: Float>(columns: usize) -> Result<(), Error> {
    for set in [InstructionSet::Scalar, InstructionSet::Avx2, InstructionSet::Avx512] {
        if !set.is_available() {
            continue;
        }
        let (rows, config) =
            (36 * 1024 * 1024 / columns / size_of::<T>(), Config::new().instruction_set(set));
        let x =
            Tensor::<f32>::from_fn((rows, columns), |at| ((at[0] * 7 + at[1]) % 200) as f32).cast::<T>()?;
        for first in [0, 3] {
            let part = columns - 2 * first;
            let whole = Tensor::<T>::full((rows, columns), T::from_lane(-1.0));
            halved::with(&config, &x.narrow(1, first, part)?, &mut whole.narrow(1, first, part)?)?;
            let (whole, x) = (whole.read()?, x.read()?);
            for (row, (out, x)) in whole.chunks(columns).zip(x.chunks(columns)).enumerate() {
                let is_right = |(at, (out, x)): (usize, (&T, &T))| {
                    let is_inside = (first..first + part).contains(&at);
                    out.to_lane() == if is_inside { x.to_lane() * 0.5 } else { -1.0 }
                };
                let rights = out.iter().zip(x).enumerate().all(is_right);
                assert!(rights, "{set:?} {columns} from {first}: row {row}");
            }
        }
    }
    Ok(())
}

#[test]
fn large_outputs_are_stored_whole() -> Result<(), Error> {
    halves_of_many::<f32>(1001)?;
    halves_of_many::<bf16>(1024)?;
    halves_of_many::<f16>(1008)
}

#[kernel]
fn products<B, M, N, K>(
    x: &Tensor<f32, (B, M, K)>,
    w: &Tensor<f32, (N, K)>,
    out: &mut Tensor<f32, (B, M, N)>,
) {
    for (b, m, n) in (each(B), tile(M), tile(N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(b, m, k)], w[(n, k)], k);
        }
        out[(b, m, n)] = acc;
    }
}

/// What a matrix product stores in views of every kind, and that it stores nothing beside them.
#[test]
fn products_are_stored_in_views_of_every_kind() -> Result<(), Error> {
    let whole = |shape: &[usize]| Tensor::from_vec(shape.to_vec(), vec![-7.0; shape.iter().product()]);
    for (b, m, n, k) in [(1, 1, 1, 1), (2, 33, 17, 40), (3, 5, 70, 0), (2, 40, 129, 700)] {
        // Whole numbers: no order of sums rounds.
        let numbers = |count: usize, step: usize| (0..count).map(|i| ((i * step) % 7) as f32 - 3.0).collect();
        let x: Vec<f32> = numbers(b * m * k, 5);
        let w: Vec<f32> = numbers(n * k, 3);
        let mut expected = Vec::new();
        for row in 0..b * m {
            for column in 0..n {
                let products = (0..k).map(|p| x[row * k + p] * w[column * k + p]);
                expected.push(products.sum::<f32>());
            }
        }
        let (x, w) = (Tensor::from_vec(vec![b, m, k], x)?, Tensor::from_vec(vec![n, k], w)?);
        type View = fn(&Tensor<f32>, [usize; 3]) -> Result<Tensor<f32>, Error>;
        let views: [(&str, [usize; 3], View); 5] = [
            ("all", [b, m, n], |of, _| Ok(of.clone())),
            ("a part", [b, m + 3, n + 5], |of, [_, m, n]| Ok(of.narrow(1, 2, m)?.narrow(2, 1, n)?)),
            ("rows apart", [m, b, n], |of, _| Ok(of.transpose(0, 1)?)),
            ("columns apart", [b, n, m], |of, _| Ok(of.transpose(1, 2)?)),
            ("backwards", [b, m, n], |of, _| Ok(of.flip(1)?)),
        ];
        for config in configs() {
            for block in [16, 64] {
                let config = config.clone().set("m", block).set("n", block).set("k", 32);
                for (name, shape, view) in &views {
                    let all = whole(shape)?;
                    let mut out = view(&all, [b, m, n])?;
                    products::with(&config, &x, &w, &mut out)?;
                    assert_eq!(out.to_vec(), expected, "{name} {b}×{m}×{n}×{k}, {config:?}");
                    let untouched = all.to_vec().iter().filter(|x| **x == -7.0).count();
                    let inside = expected.iter().filter(|x| **x == -7.0).count();
                    assert_eq!(untouched, all.len() - out.len() + inside, "{name} {b}×{m}×{n}×{k}");
                }
                // Beside an input, in the same memory.
                let both = whole(&[b, m, k + n])?;
                both.narrow(2, 0, k)?.copy_from(&x)?;
                let mut out = both.narrow(2, k, n)?;
                products::with(&config, &both.narrow(2, 0, k)?, &w, &mut out)?;
                assert_eq!(out.to_vec(), expected, "beside x {b}×{m}×{n}×{k}, {config:?}");
            }
        }
    }
    Ok(())
}

#[kernel]
fn matmul<M, N, K>(x: &Tensor<f32, (M, K)>, w: &Tensor<f32, (K, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(k, n)], k);
        }
        out[(m, n)] = acc;
    }
}

/// One row and lines along its sums: panels are kept where that is the faster way, and give the same.
#[test]
fn a_row_with_a_kept_operand_is_as_without() -> Result<(), Error> {
    let (n, k) = (300, 700);
    let (x, fresh) = (tensor(&[1, k], 1), tensor(&[k, n], 2));
    let kept = fresh.copy()?;
    kept.keep_packed();
    // Other processors read the lines in place.
    let is_amd = std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("AuthenticAMD"));
    let words = matmul::explain(&x, &kept, &mut Tensor::zeros((1, n)))?.to_string();
    assert!(!is_amd || words.contains("laid out once and kept"), "{words}");
    for config in configs() {
        let mut outs = [Tensor::<f32>::zeros((1, n)), Tensor::<f32>::zeros((1, n))];
        let [first, second] = &mut outs;
        matmul::with(&config, &x, &kept, first)?;
        matmul::with(&config, &x, &fresh, second)?;
        close(first, &second.to_vec(), 1e-4);
    }
    Ok(())
}

/// What is kept of a tensor is what a product of its own would have laid out: for views, for every instruction set and
/// block, and after somebody has written to it.
#[test]
fn products_with_kept_operands_are_those_without() -> Result<(), Error> {
    let (m, n, k) = (40, 150, 70);
    let (x, bias) = (tensor(&[m, k], 1), tensor(&[n], 2));
    let fresh = tensor(&[2 * n, k], 3);
    let mut kept = fresh.copy()?;
    kept.keep_packed();
    let mut outs = [Tensor::<f32>::zeros((m, n)), Tensor::<f32>::zeros((m, n))];
    let compare = |kept: &Tensor<f32>, fresh: &Tensor<f32>, outs: &mut [Tensor<f32>; 2]| {
        for config in configs() {
            for block in [1, 9, 64] {
                let config = config.clone().set("m", block).set("n", 96).threads(block as usize);
                for begin in [0, 1, n] {
                    let [first, second] = &mut *outs;
                    first.fill(f32::NAN)?;
                    second.fill(0.0)?;
                    linear_gelu::with(&config, &x, &kept.narrow(0, begin, n)?, &bias, first)?;
                    linear_gelu::with(&config, &x, &fresh.narrow(0, begin, n)?, &bias, second)?;
                    close(first, &second.to_vec(), 1e-5);
                }
            }
        }
        Ok::<(), Error>(())
    };
    compare(&kept, &fresh, &mut outs)?;
    let (w, other) = (kept.narrow(0, 0, n)?, fresh.narrow(0, 0, n)?);
    let words = |w: &Tensor<f32>| linear_gelu::explain(&x, w, &bias, &mut Tensor::zeros((m, n)));
    let is_kept = |said: Explanation| said.to_string().contains("laid out once and kept");
    assert!(is_kept(words(&w)?) && !is_kept(words(&other)?));
    let changed = tensor(&[2 * n, k], 4);
    kept.copy_from(&changed)?;
    compare(&kept, &changed, &mut outs)?;
    // Written by a kernel.
    let (sum, mut of_both) = (tensor(&[2 * n, k], 5), Tensor::zeros((2 * n, k)));
    add(&changed, &sum, &mut of_both)?;
    add(&changed, &sum, &mut kept)?;
    compare(&kept, &of_both, &mut outs)
}

#[kernel]
fn normalised<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>, largest: &mut Tensor<i32, M>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        let p = e / e.sum(N);
        out[(m, ..)] = p - p.mean(N);
        largest[m] = row.argmax(N);
    }
}

/// Rows take steps together in groups whose size depends on their length: every rest of a group, on either side of
/// each length, also where the output is the input.
#[test]
fn rows_that_take_steps_together_are_as_each_alone() -> Result<(), Error> {
    for config in configs() {
        for n in [1, 15, 17, 511, 512, 513, 1024, 1025, 2048, 2100] {
            for (rows, block) in [(1, 64), (3, 64), (4, 64), (7, 5), (9, 64), (6, 1)] {
                let x = tensor(&[rows, n], 3);
                let mut out = Tensor::<f32>::zeros((rows, n));
                let mut largest = Tensor::<i32>::zeros(rows);
                let config = config.clone().set("m", block);
                normalised::with(&config, &x, &mut out, &mut largest)?;
                let (mut expected, mut at) = (Vec::new(), Vec::new());
                for row in x.to_vec().chunks(n) {
                    let peak = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let sum: f32 = row.iter().map(|x| (x - peak).exp()).sum();
                    expected.extend(row.iter().map(|x| (x - peak).exp() / sum - 1.0 / n as f32));
                    at.push(row.iter().position(|x| *x == peak).map_or(-1, |at| at as i32));
                }
                close(&out, &expected, 1e-5);
                assert_eq!(largest.to_vec(), at, "{rows} x {n}");
                let mut both = x.copy()?;
                let same = both.clone();
                softmax::with(&config, &same, &mut both)?;
                let mut apart = Tensor::<f32>::zeros((rows, n));
                softmax::with(&config, &x, &mut apart)?;
                assert_eq!(both.to_vec(), apart.to_vec(), "{rows} x {n}");
            }
        }
    }
    Ok(())
}
