//! Operations, element types and access patterns on the CPU, against the reference.

use tilewright::prelude::*;
use tilewright::simd::InstructionSet;
use tilewright::{Config, Error, Tensor};

#[kernel]
fn transpose<T: Element, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (N, M)>) {
    for (m, n) in tile((M, N)) {
        out[(n, m)] = x[(m, n)];
    }
}

/// Sums over an outer dimension: the state is a row.
#[kernel]
fn pool<M, N>(
    x: &Tensor<f32, (M, N)>,
    mean: &mut Tensor<f32, N>,
    most: &mut Tensor<f32, N>,
    at: &mut Tensor<i32, N>,
) {
    for n in tile(N) {
        let column = x[(.., n)];
        mean[n] = column.mean(M);
        most[n] = column.max(M);
        at[n] = column.argmax(M);
    }
}

#[kernel]
fn extremes<M, N>(
    x: &Tensor<f32, (M, N)>,
    least: &mut Tensor<i32, M>,
    spread: &mut Tensor<f32, M>,
    any: &mut Tensor<bool, M>,
) {
    for m in tile(M) {
        let row = x[(m, ..)];
        least[m] = row.argmin(N);
        spread[m] = row.max(N) - row.min(N);
        any[m] = (row > 0.9).any(N);
    }
}

#[kernel]
fn folded<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        out[m] = x[(m, ..)].fold(N, 0.0, |a, b| a + b);
    }
}

/// The closure sees the variable as it was where the closure stands, and a value that another
/// reduction gives.
#[kernel]
fn folded_with_captures<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>) {
    for m in each(M) {
        let row = x[(m, ..)];
        let least = row.min(N);
        let mut scale = 1.0;
        let peak = row.fold(N, f32::NEG_INFINITY, |a, b| max(a, max(b * scale, least)));
        scale = 5.0;
        out[m] = peak * scale;
    }
}

/// In each block the second store overwrites what the first wrote.
#[kernel]
fn shifted<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for m in tile(M) {
        for n in tile(N, 0..N - 1).block(32) {
            out[(m, n)] = x[(m, n)];
            out[(m, n + 1)] = -x[(m, n)];
        }
    }
}

/// Each lane reads from an index of its own.
#[kernel]
fn permute<M, N>(x: &Tensor<f32, (M, N)>, order: &Tensor<i64, N>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        out[(m, n)] = x[(m, order[n])];
    }
}

#[kernel]
fn neighbours<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        out[(m, n)] = x.at((m, n - 1)).or(0.0) + x[(m, n)] + x.at((m + 1, n + 1)).or(10.0);
    }
}

#[kernel]
fn integers<M, N>(
    x: &Tensor<i8, (M, N)>,
    y: &Tensor<u8, (M, N)>,
    out: &mut Tensor<i64, (M, N)>,
    sum: &mut Tensor<i32, M>,
) {
    for m in tile(M) {
        let (a, b) = (x[(m, ..)].cast::<i32>(), y[(m, ..)].cast::<i32>());
        let c = (a / b) * 3 + a % b - (a << (b & 3));
        out[(m, ..)] = c.cast::<i64>();
        sum[m] = c.sum(N);
    }
}

#[kernel]
fn rms_norm<T: Float, M, N>(x: &Tensor<T, (M, N)>, g: &Tensor<T, N>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)].cast::<f32>();
        out[(m, ..)] = (row * rsqrt((row * row).mean(N) + 1e-6) * g[..]).cast();
    }
}

#[kernel]
fn doubles<M, N, K>(x: &Tensor<f64, (M, K)>, y: &Tensor<f64, (K, N)>, out: &mut Tensor<f64, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f64>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], y[(k, n)], k);
        }
        out[(m, n)] = exp(acc * 0.125);
    }
}

/// A computed operand, a batch axis inside the program, and a matrix times a vector.
#[kernel]
fn products<B, M, N, K>(
    x: &Tensor<f32, (B, M, K)>,
    y: &Tensor<f32, (B, N, K)>,
    v: &Tensor<f32, K>,
    out: &mut Tensor<f32, (B, M, N)>,
    row: &mut Tensor<f32, (B, M)>,
) {
    assert!(K <= 64);
    for (b, m, n) in (tile(B), tile(M), tile(N)) {
        out[(b, m, n)] = dot(relu(x[(b, m, ..)]), y[(b, n, ..)] * 2.0, K);
    }
}

#[kernel]
fn until<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>, limit: f32) {
    for m in each(M) {
        let mut sum = 0.0;
        for n in each(N) {
            if sum > limit {
                break;
            }
            if x[(m, n)] < 0.0 {
                continue;
            }
            sum += x[(m, n)];
        }
        out[m] = sum;
    }
}

const SIZES: [usize; 9] = [1, 2, 3, 7, 16, 17, 33, 65, 130];

fn configs() -> Vec<Config> {
    let available = InstructionSet::ALL.into_iter().filter(|set| set.is_available());
    available.map(|set| Config::new().instruction_set(set)).collect()
}

fn noise(shape: &[usize], seed: u32) -> Tensor<f32> {
    let mut state = seed;
    Tensor::from_fn(shape.to_vec(), |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
}

#[track_caller]
fn close(got: Vec<f64>, want: Vec<f64>) {
    assert_eq!(got.len(), want.len());
    for (at, (got, want)) in got.iter().zip(&want).enumerate() {
        let near = (got - want).abs() <= 1e-4 * (1.0 + want.abs()) || (got.is_nan() && want.is_nan());
        assert!(near || got == want, "at {at}: {got} instead of {want}");
    }
}

/// Runs a case on every instruction set and size, and compares what it fills with the reference.
macro_rules! claims {
    ($($claim:ident: |$m:ident, $n:ident| $kernel:ident($($input:expr),*; $($out:expr),*; $($scalar:expr),*);)*) => {$(
        #[test]
        fn $claim() -> Result<(), Error> {
            for config in configs() {
                for $n in SIZES {
                    for $m in [1, 5, 18] {
                        let mut got = ($($out,)*);
                        let mut want = ($($out,)*);
                        call!($kernel::with, [&config,], ($($input),*), got, ($($out),*), ($($scalar),*));
                        call!($kernel::reference, [], ($($input),*), want, ($($out),*), ($($scalar),*));
                        compare!(got, want, ($($out),*));
                    }
                }
            }
            Ok(())
        }
    )*};
}
macro_rules! call {
    ($f:path, [$($c:tt)*], ($($i:expr),*), $o:ident, ($a:expr), ($($s:expr),*)) => { $f($($c)* $(&$i,)* &mut $o.0, $($s),*)? };
    ($f:path, [$($c:tt)*], ($($i:expr),*), $o:ident, ($a:expr, $b:expr), ($($s:expr),*)) => { $f($($c)* $(&$i,)* &mut $o.0, &mut $o.1, $($s),*)? };
    ($f:path, [$($c:tt)*], ($($i:expr),*), $o:ident, ($a:expr, $b:expr, $d:expr), ($($s:expr),*)) => { $f($($c)* $(&$i,)* &mut $o.0, &mut $o.1, &mut $o.2, $($s),*)? };
}
macro_rules! compare {
    ($g:ident, $w:ident, ($a:expr)) => {
        close($g.0.numbers(), $w.0.numbers())
    };
    ($g:ident, $w:ident, ($a:expr, $b:expr)) => {{
        close($g.0.numbers(), $w.0.numbers());
        close($g.1.numbers(), $w.1.numbers())
    }};
    ($g:ident, $w:ident, ($a:expr, $b:expr, $d:expr)) => {{
        close($g.0.numbers(), $w.0.numbers());
        close($g.1.numbers(), $w.1.numbers());
        close($g.2.numbers(), $w.2.numbers())
    }};
}

trait Numbers {
    fn numbers(&self) -> Vec<f64>;
}
macro_rules! numbers {
    ($($T:ty: |$x:ident| $as:expr;)*) => {$(
        impl Numbers for Tensor<$T> {
            fn numbers(&self) -> Vec<f64> {
                self.to_vec().into_iter().map(|$x| $as).collect()
            }
        }
    )*};
}
numbers! {
    f32: |x| x.into();
    f64: |x| x;
    i32: |x| x.into();
    i64: |x| x as f64;
    bool: |x| x.into();
    bf16: |x| x.into();
}

fn zeros<T: Element>(shape: &[usize]) -> Tensor<T> {
    Tensor::zeros(shape.to_vec())
}

claims! {
    a_transposed_store_equals_the_reference: |m, n| transpose(noise(&[m, n], 1); zeros::<f32>(&[n, m]););
    bf16_moves_unchanged: |m, n| transpose(Tensor::from_fn([m, n], |at| bf16::from_f32(at[0] as f32)); zeros::<bf16>(&[n, m]););
    reductions_over_an_outer_axis_equal_the_reference: |m, n| pool(noise(&[m, n], 2); zeros::<f32>(&[n]), zeros::<f32>(&[n]), zeros::<i32>(&[n]););
    extremes_equal_the_reference: |m, n| extremes(noise(&[m, n], 3); zeros::<i32>(&[m]), zeros::<f32>(&[m]), zeros::<bool>(&[m]););
    a_fold_equals_the_reference: |m, n| folded(noise(&[m, n], 4); zeros::<f32>(&[m]););
    a_fold_with_captures_equals_the_reference: |m, n| folded_with_captures(noise(&[m, n], 4); zeros::<f32>(&[m]););
    overlapping_stores_equal_the_reference: |m, n| shifted(noise(&[m, n], 4); zeros::<f32>(&[m, n]););
    a_gather_along_lanes_equals_the_reference: |m, n| permute(noise(&[m, n], 5), Tensor::from_fn(n, |at| ((at[0] * 7) % n) as i64); zeros::<f32>(&[m, n]););
    shifted_loads_with_defaults_equal_the_reference: |m, n| neighbours(noise(&[m, n], 6); zeros::<f32>(&[m, n]););
    integer_arithmetic_equals_the_reference: |m, n| integers(
        Tensor::from_fn([m, n], |at| (at[0] * 31 + at[1] * 7) as i8), Tensor::from_fn([m, n], |at| (at[0] + at[1] * 5) as u8);
        zeros::<i64>(&[m, n]), zeros::<i32>(&[m]););
    rms_norm_equals_the_reference: |m, n| rms_norm(noise(&[m, n], 7), noise(&[n], 8); zeros::<f32>(&[m, n]););
    f64_products_equal_the_reference: |m, n| doubles(noise64(&[m, n], 9), noise64(&[n, m], 10); zeros::<f64>(&[m, m]););
    products_of_computed_operands_equal_the_reference: |m, n| products(
        noise(&[2, m, n % 64 + 1], 9), noise(&[2, 19, n % 64 + 1], 10), noise(&[n % 64 + 1], 11);
        zeros::<f32>(&[2, m, 19]), zeros::<f32>(&[2, m]););
    break_and_continue_equal_the_reference: |m, n| until(noise(&[m, n], 12); zeros::<f32>(&[m]); 2.0);
}

fn noise64(shape: &[usize], seed: u32) -> Tensor<f64> {
    let values = noise(shape, seed).to_vec();
    Tensor::from_vec(shape.to_vec(), values.into_iter().map(f64::from).collect())
        .expect("as many numbers as the shape has")
}

#[test]
fn an_output_may_be_the_input_where_each_element_is_read_before_it_is_written() {
    #[kernel]
    fn scale<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
        for m in tile(M) {
            out[(m, ..)] = x[(m, ..)] * 2.0;
        }
    }
    let mut x = noise(&[3, 5], 1);
    let before = x.to_vec();
    let same = x.clone();
    if scale(&same, &mut x).is_ok() {
        assert!(x.to_vec().iter().zip(before).all(|(after, before)| *after == before * 2.0));
    }
}
