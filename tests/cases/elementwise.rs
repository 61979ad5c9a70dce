//! Elementwise operations: one kernel computes a family of them, one output each.

use crate::check::{Within, check, there};
use crate::data::{Layout, SIZES, Sample, wild};
use tilewright::prelude::*;

/// A kernel over `T: Float` (or a fixed type) of one operand `x`, with an output for each row.
macro_rules! of_one {
    ($name:ident $ty:ident, $($out:ident = $value:expr;)*) => {
        #[kernel]
        fn $name<N>(a: &Tensor<$ty, N>, $($out: &mut Tensor<$ty, N>),*) {
            for n in tile(N) {
                let x = a[n];
                $($out[n] = ($value).cast();)*
            }
        }
    };
    ($name:ident<$ty:ident>, $($out:ident = $value:expr;)*) => {
        #[kernel]
        fn $name<$ty: Float, N>(a: &Tensor<$ty, N>, $($out: &mut Tensor<$ty, N>),*) {
            for n in tile(N) {
                let x = a[n];
                $($out[n] = ($value).cast();)*
            }
        }
    };
}

/// The same of two operands `x` and `y`.
macro_rules! of_two {
    ($name:ident $ty:ident, $($out:ident = $value:expr;)*) => {
        #[kernel]
        fn $name<N>(a: &Tensor<$ty, N>, b: &Tensor<$ty, N>, $($out: &mut Tensor<$ty, N>),*) {
            for n in tile(N) {
                let (x, y) = (a[n], b[n]);
                $($out[n] = ($value).cast();)*
            }
        }
    };
    ($name:ident<$ty:ident>, $($out:ident = $value:expr;)*) => {
        #[kernel]
        fn $name<$ty: Float, N>(a: &Tensor<$ty, N>, b: &Tensor<$ty, N>, $($out: &mut Tensor<$ty, N>),*) {
            for n in tile(N) {
                let (x, y) = (a[n], b[n]);
                $($out[n] = ($value).cast();)*
            }
        }
    };
}

/// Comparisons, whose outputs are bools.
macro_rules! comparisons {
    ($($name:ident $ty:ident),*) => {$(
        #[kernel]
        fn $name<N>(
            a: &Tensor<$ty, N>, b: &Tensor<$ty, N>,
            eq: &mut Tensor<bool, N>, ne: &mut Tensor<bool, N>, lt: &mut Tensor<bool, N>,
            le: &mut Tensor<bool, N>, gt: &mut Tensor<bool, N>, ge: &mut Tensor<bool, N>,
            chosen: &mut Tensor<$ty, N>,
        ) {
            for n in tile(N) {
                let (x, y) = (a[n], b[n]);
                eq[n] = x == y;
                ne[n] = x != y;
                lt[n] = x < y;
                le[n] = x <= y;
                gt[n] = x > y;
                ge[n] = x >= y;
                chosen[n] = select(x < y, x, y);
            }
        }
    )*};
}

of_one! { roundings<T>,
    to_neg = -x; to_abs = abs(x); to_floor = floor(x); to_ceil = ceil(x); to_round = round(x); to_trunc = trunc(x); to_relu = relu(x);
}
of_one! { roundings_f64 f64,
    to_neg = -x; to_abs = abs(x); to_floor = floor(x); to_ceil = ceil(x); to_round = round(x); to_trunc = trunc(x); to_relu = relu(x);
}
of_one! { functions<T>,
    to_sqrt = sqrt(x); to_rsqrt = rsqrt(x); to_recip = recip(x); to_exp = exp(x); to_exp2 = exp2(x); to_ln = ln(x); to_log2 = log2(x);
    to_tanh = tanh(x); to_erf = erf(x);
}
of_one! { functions_f64 f64,
    to_sqrt = sqrt(x); to_rsqrt = rsqrt(x); to_recip = recip(x); to_exp = exp(x); to_exp2 = exp2(x); to_ln = ln(x); to_log2 = log2(x);
    to_tanh = tanh(x); to_erf = erf(x);
}
of_one! { waves<T>, to_sin = sin(x); to_cos = cos(x); }
of_one! { waves_f64 f64, to_sin = sin(x); to_cos = cos(x); }
of_one! { activations<T>,
    to_sigmoid = sigmoid(x); to_gelu = gelu(x); to_gelu_tanh = gelu_tanh(x); to_silu = silu(x);
}
of_one! { activations_f64 f64,
    to_sigmoid = sigmoid(x); to_gelu = gelu(x); to_gelu_tanh = gelu_tanh(x); to_silu = silu(x);
}
of_two! { arithmetic<T>,
    to_add = x + y; to_sub = x - y; to_mul = x * y; to_div = x / y; to_rem = x % y; to_max = max(x, y); to_min = min(x, y);
}
of_two! { arithmetic_f64 f64,
    to_add = x + y; to_sub = x - y; to_mul = x * y; to_div = x / y; to_rem = x % y; to_max = max(x, y); to_min = min(x, y);
}
of_two! { powers<T>, to_pow = pow(x, y); to_exp_sub = exp_sub(x, y); }
of_two! { powers_f64 f64, to_pow = pow(x, y); to_exp_sub = exp_sub(x, y); }

/// Integer operations of one type, and their test.
macro_rules! integers {
    ($($kernel:ident $test:ident $ty:ident;)*) => {$(
        of_two! { $kernel $ty,
            to_add = x + y; to_sub = x - y; to_mul = x * y; to_div = x / y; to_rem = x % y; to_max = max(x, y); to_min = min(x, y);
            to_and = x & y; to_or = x | y; to_xor = x ^ y; to_shl = x << y; to_shr = x >> y;
        }
        #[test]
        fn $test() {
            each_input::<$ty>(|a, b, context| {
                let [add, sub, mul, div, rem, max, min, and, or, xor, shl, shr] = outputs::<$ty, 12>(a);
                check!($kernel(a, b) -> add, sub, mul, div, rem, max, min, and, or, xor, shl, shr;
                    [Within::Exact]; "n=5"; context);
            });
        }
    )*};
}

integers! {
    integers_i8 operations_on_i8_wrap_and_are_total i8;
    integers_u8 operations_on_u8_wrap_and_are_total u8;
    integers_i16 operations_on_i16_wrap_and_are_total i16;
    integers_u16 operations_on_u16_wrap_and_are_total u16;
    integers_i32 operations_on_i32_wrap_and_are_total i32;
    integers_u32 operations_on_u32_wrap_and_are_total u32;
    integers_i64 operations_on_i64_wrap_and_are_total i64;
}

/// Integer operations of one operand.
macro_rules! of_one_integer {
    ($($kernel:ident $ty:ident),*; $test:ident) => {
        $(of_one! { $kernel $ty, to_neg = -x; to_not = !x; to_abs = abs(x); })*
        #[test]
        fn $test() {
            $(each_input::<$ty>(|a, _, context| {
                let [neg, not, abs] = outputs::<$ty, 3>(a);
                check!($kernel(a) -> neg, not, abs; [Within::Exact]; ; context);
            });)*
        }
    };
}

of_one_integer! {
    unary_i8 i8, unary_u8 u8, unary_i16 i16, unary_u16 u16, unary_i32 i32, unary_i64 i64;
    integers_negate_and_invert
}

comparisons! { compare_f32 f32, compare_f64 f64, compare_f16 f16, compare_bf16 bf16, compare_f8e4m3 f8e4m3, compare_f8e5m2 f8e5m2, compare_i8 i8, compare_u8 u8,
compare_i16 i16, compare_u16 u16, compare_i32 i32, compare_u32 u32, compare_i64 i64 }

/// Calls `f` with two wild inputs of every size and layout.
fn each_input<E: Sample>(f: impl Fn(&Tensor<E>, &Tensor<E>, &str)) {
    for (at, size) in SIZES.into_iter().enumerate() {
        for (layout, other) in [
            (Layout::Dense, Layout::Dense),
            (Layout::Narrowed, Layout::Strided),
            (Layout::Flipped, Layout::Narrowed),
        ] {
            let seed = at as u64 + 1;
            let (a, b) = (wild::<E>(seed, &[size], layout), wild::<E>(seed + 100, &[size], other));
            f(&a, &b, &format!("{} of {size}, {layout:?} {other:?}", E::NAME));
        }
    }
}

/// Outputs like `a`.
fn outputs<E: Sample, const N: usize>(a: &Tensor<E>) -> [Tensor<E>; N] {
    std::array::from_fn(|_| Tensor::zeros(a.shape()))
}

/// The float families for one type.
macro_rules! floats {
    ($($test:ident $ty:ident [$($generic:tt)*] $roundings:ident $functions:ident $waves:ident $activations:ident
        $arithmetic:ident $powers:ident $ulps:literal $weighted:literal $faded:literal;)*) => {$(
        #[test]
        fn $test() {
            let near = [Within::Ulps($ulps)];
            each_input::<$ty>(|a, b, context| {
                let [neg, abs, floor, ceil, round, trunc, relu] = outputs::<$ty, 7>(a);
                check!($roundings $($generic)* (a) -> neg, abs, floor, ceil, round, trunc, relu; [Within::Exact]; ; context);
                let [sqrt, rsqrt, recip, exp, exp2, ln, log2, tanh, erf] = outputs::<$ty, 9>(a);
                check!($functions $($generic)* (a) -> sqrt, rsqrt, recip, exp, exp2, ln, log2, tanh, erf; near; ; context);
                let [sin, cos] = outputs::<$ty, 2>(a);
                check!($waves $($generic)* (a) -> sin, cos; near; ; context);
                let [sigmoid, gelu, gelu_tanh, silu] = outputs::<$ty, 4>(a);
                check!($activations $($generic)* (a) -> sigmoid, gelu, gelu_tanh, silu; [Within::Ulps($weighted)]; ; context);
                let [add, sub, mul, div, rem, max, min] = outputs::<$ty, 7>(a);
                check!($arithmetic $($generic)* (a, b) -> add, sub, mul, div, rem, max, min; [Within::Exact]; "n=5"; context);
                let [pow, exp_sub] = outputs::<$ty, 2>(a);
                // The difference under exp_sub is rounded in the compute type: half a unit of 104 in f32.
                check!($powers $($generic)* (a, b) -> pow, exp_sub; [Within::Ulps($ulps), Within::Ulps($faded)]; ; context);
            });
        }
    )*};
}

floats! {
    functions_of_f32 f32 [::<f32>] roundings functions waves activations arithmetic powers 3.0 3.0 70.0;
    functions_of_f16 f16 [::<f16>] roundings functions waves activations arithmetic powers 1.0 1.0 1.0;
    functions_of_bf16 bf16 [::<bf16>] roundings functions waves activations arithmetic powers 1.0 1.0 1.0;
    functions_of_f64 f64 [] roundings_f64 functions_f64 waves_f64 activations_f64 arithmetic_f64 powers_f64 4.0 8.0 600.0;
}

/// Tests of comparisons.
macro_rules! compared {
    ($($kernel:ident $ty:ident),*) => {
        #[test]
        fn comparisons_and_select_of_every_type() {
            $(each_input::<$ty>(|a, b, context| {
                let [eq, ne, lt, le, gt, ge]: [Tensor<bool>; 6] = std::array::from_fn(|_| Tensor::zeros(a.shape()));
                let chosen = Tensor::<$ty>::zeros(a.shape());
                check!($kernel(a, b) -> eq, ne, lt, le, gt, ge, chosen; [Within::Exact]; ; context);
            });)*
        }
    };
}

compared! { compare_f32 f32, compare_f64 f64, compare_f16 f16, compare_bf16 bf16, compare_f8e4m3 f8e4m3, compare_f8e5m2 f8e5m2, compare_i8 i8, compare_u8 u8,
compare_i16 i16, compare_u16 u16, compare_i32 i32, compare_u32 u32, compare_i64 i64 }

#[kernel]
fn logic<N>(
    a: &Tensor<bool, N>,
    b: &Tensor<bool, N>,
    and: &mut Tensor<bool, N>,
    or: &mut Tensor<bool, N>,
    xor: &mut Tensor<bool, N>,
    not: &mut Tensor<bool, N>,
    same: &mut Tensor<bool, N>,
    chosen: &mut Tensor<bool, N>,
) {
    for n in tile(N) {
        let (x, y) = (a[n], b[n]);
        and[n] = x && y;
        or[n] = x | y;
        xor[n] = x ^ y;
        not[n] = !x;
        same[n] = x == y;
        chosen[n] = select(x, y, !y);
    }
}

#[test]
fn logic_on_bools() {
    each_input::<bool>(|a, b, context| {
        let [and, or, xor, not, same, chosen] = outputs::<bool, 6>(a);
        check!(logic(a, b) -> and, or, xor, not, same, chosen; [Within::Exact]; "n=3"; context);
    });
}

#[kernel]
fn broadcasts<M, N>(
    x: &Tensor<f32, (M, N)>,
    row: &Tensor<f32, N>,
    column: &Tensor<f32, M>,
    out: &mut Tensor<f32, (M, N)>,
    products: &mut Tensor<f32, (N, M)>,
    scale: f32,
    count: usize,
    flip: bool,
) {
    for (m, n) in tile((M, N)) {
        let sign = if flip { -1.0 } else { 1.0 };
        out[(m, n)] = (x[(m, n)] + row[n] - column[m]) * scale + sign * count.cast::<f32>();
        products[(n, m)] = outer(column[m], row[n]) + m.index().cast::<f32>();
    }
}

#[test]
fn tiles_align_by_name_and_scalars_broadcast() {
    for (m, n) in [(1, 1), (3, 17), (17, 3), (33, 65)] {
        for layout in Layout::ALL {
            let x = crate::data::tame::<f32>(1, &[m, n], layout);
            let row = crate::data::tame::<f32>(2, &[n], layout);
            let column = crate::data::tame::<f32>(3, &[m], layout);
            let (out, products) = (Tensor::<f32>::zeros((m, n)), Tensor::<f32>::zeros((n, m)));
            let call = |flip: bool| {
                let context = format!("{m}×{n} {layout:?} {flip}");
                crate::check::run(
                    &context,
                    &(out.clone(), products.clone()),
                    &["out", "products"],
                    &[Within::Ulps(16.0)],
                    &[Config::new(), Config::new().set("m", 2).set("n", 5)],
                    |(out, products)| broadcasts::reference(&x, &row, &column, out, products, 1.5, 7, flip),
                    |config, (out, products)| {
                        let (x, row, column) = (there(&x), there(&row), there(&column));
                        broadcasts::with(config, &x, &row, &column, out, products, 1.5, 7, flip)
                    },
                );
            };
            call(false);
            call(true);
        }
    }
}
