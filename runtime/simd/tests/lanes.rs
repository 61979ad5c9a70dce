//! Lane by lane, every operation equals the scalar one.

use super::{Check, Random, everywhere_and_of_four};
use crate::simd::{Cast, Floats, Integers, Lane, Masks, Simd, Vector};
use std::fmt::Debug;

/// Values to try, and equality that takes NaNs as equal and zeros as different.
trait Values: Lane + Debug + Vector<Scalar = Self, Mask = bool> {
    fn edges() -> Vec<Self>;
    fn random(bits: u64) -> Self;
    fn same(self, other: Self) -> bool;
}

macro_rules! float_values {
    ($T:ident, $U:ident) => {
        impl Values for $T {
            fn edges() -> Vec<$T> {
                let tiny = $T::from_bits(1);
                let some = [0.0, 0.5, 1.0, 1.5, 2.5, 3.0, 1e-3, 255.5, 1e9, 2147483648.0, 4294967295.0, 1e19];
                let more = [$T::MAX, $T::MIN_POSITIVE, tiny, $T::INFINITY, $T::NAN, $T::EPSILON, 88.0, 104.5];
                some.iter().chain(&more).flat_map(|&x| [x, -x]).collect()
            }
            fn random(bits: u64) -> $T {
                match bits % 3 {
                    0 => $T::from_bits((bits >> 2) as $U),
                    1 => (bits as i16) as $T / 256.0,
                    _ => (bits >> 8) as i32 as $T / 1e7,
                }
            }
            fn same(self, other: $T) -> bool {
                self.to_bits() == other.to_bits() || (self.is_nan() && other.is_nan())
            }
        }
    };
}
float_values!(f32, u32);
float_values!(f64, u64);

macro_rules! integer_values {
    ($($T:ident)*) => {$(
        impl Values for $T {
            fn edges() -> Vec<$T> {
                let some = [0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 255, 65535, $T::MAX, $T::MIN, $T::MAX - 1];
                some.into_iter().flat_map(|x| [x, (0 as $T).wrapping_sub(x)]).collect()
            }
            fn random(bits: u64) -> $T {
                (bits >> 2) as $T >> (bits % 3 * 10)
            }
            fn same(self, other: $T) -> bool {
                self == other
            }
        }
    )*};
}
integer_values!(i32 u32 i64);

impl Values for bool {
    fn edges() -> Vec<bool> {
        vec![false, true]
    }
    fn random(bits: u64) -> bool {
        bits & 1 != 0
    }
    fn same(self, other: bool) -> bool {
        self == other
    }
}

/// Pairs of values in blocks of lanes: all edges against all, then random ones.
fn blocks<S: Simd, T: Values>(mut f: impl FnMut(&[T], &[T])) {
    let edges = T::edges();
    let mut pairs: Vec<(T, T)> = edges.iter().flat_map(|&a| edges.iter().map(move |&b| (a, b))).collect();
    let mut random = Random(1);
    let count = if cfg!(miri) { 16 } else { 2000 };
    pairs.extend((0..count).map(|_| (T::random(random.next()), T::random(random.next()))));
    while !pairs.len().is_multiple_of(S::LANES) {
        pairs.push(pairs[0]);
    }
    for block in pairs.chunks(S::LANES) {
        let (a, b): (Vec<T>, Vec<T>) = block.iter().copied().unzip();
        f(&a, &b);
    }
}

fn equal<T: Values, X: Values>(set: &str, name: &str, a: T, b: T, got: X, expected: X) {
    assert!(got.same(expected), "{set}: {name}({a:?}, {b:?}) is {got:?}, not {expected:?}");
}

macro_rules! binary {
    ($S:ident, $T:ident, $a:ident, $b:ident, $Trait:ident: $($name:ident)*) => {$({
        let got = $Trait::$name(vector::<$S, $T>($a), vector::<$S, $T>($b));
        for i in 0..$S::LANES {
            let expected = $Trait::$name($a[i], $b[i]);
            equal($S::NAME, stringify!($name), $a[i], $b[i], Vector::lane(got, i), expected);
        }
    })*};
}
macro_rules! unary {
    ($S:ident, $T:ident, $a:ident, $Trait:ident: $($name:ident)*) => {$({
        let got = $Trait::$name(vector::<$S, $T>($a));
        for i in 0..$S::LANES {
            equal($S::NAME, stringify!($name), $a[i], $a[i], Vector::lane(got, i), $Trait::$name($a[i]));
        }
    })*};
}
/// The order of the sum: halves upon halves.
macro_rules! reductions {
    ($S:ident, $T:ident, $a:ident: $($name:ident = $op:ident)*) => {$({
        let mut rest = $a.to_vec();
        while rest.len() > 1 {
            let (low, high) = rest.split_at(rest.len() / 2);
            rest = low.iter().zip(high).map(|(&x, &y)| Vector::$op(x, y)).collect();
        }
        let got = Vector::$name(vector::<$S, $T>($a));
        assert!(got.same(rest[0]), "{}: {}({:?}) is {got:?}, not {:?}", $S::NAME, stringify!($name), $a, rest[0]);
    })*};
}
macro_rules! casts {
    ($S:ident, $T:ident, $a:ident: $($To:ident)*) => {$({
        let got: <$To as Lane>::Of<$S> = vector::<$S, $T>($a).cast();
        for i in 0..$S::LANES {
            let expected: $To = $a[i].cast();
            equal($S::NAME, stringify!($To), $a[i], $a[i], Vector::lane(got, i), expected);
        }
    })*};
}

fn vector<S: Simd, T: Values>(lanes: &[T]) -> T::Of<S> {
    Vector::from_lanes(|i| lanes[i])
}

fn check_vector<S: Simd, T: Values>() {
    blocks::<S, T>(|a, b| {
        binary!(S, T, a, b, Vector: add sub mul div rem max min eq ne lt le gt ge);
        unary!(S, T, a, Vector: neg abs);
        let (x, y) = (vector::<S, T>(a), vector::<S, T>(b));
        let splat = <T::Of<S> as Vector>::splat(a[0]);
        for n in 0..=S::LANES {
            let first = Vector::first(x, n, y);
            let mask = <S::Mask as Masks>::first_lanes(n);
            let selected = <T::Of<S> as Vector>::select(mask, x, y);
            for i in 0..S::LANES {
                let expected = if i < n { a[i] } else { b[i] };
                equal(S::NAME, "first", a[i], b[i], Vector::lane(first, i), expected);
                equal(S::NAME, "select", a[i], b[i], Vector::lane(selected, i), expected);
                equal(S::NAME, "splat", a[0], a[0], Vector::lane(splat, i), a[0]);
            }
        }
    });
}

macro_rules! check_type {
    ($check:ident, $T:ident $(, $more:ident)*) => {
        struct $check;
        impl Check for $check {
            fn under<S: Simd>() {
                check_vector::<S, $T>();
                blocks::<S, $T>(|a, _b| {
                    casts!(S, $T, a: f32 f64 i32 u32 i64 bool);
                    reductions!(S, $T, a: reduce_add = add reduce_mul = mul reduce_max = max reduce_min = min);
                    $($more!(S, $T, a, _b);)*
                });
            }
        }
    };
}
macro_rules! integer {
    ($S:ident, $T:ident, $a:ident, $b:ident) => {
        binary!($S, $T, $a, $b, Integers: and or xor shl shr);
        unary!($S, $T, $a, Integers: not);
    };
}
macro_rules! float {
    ($S:ident, $T:ident, $a:ident, $b:ident) => {
        unary!($S, $T, $a, Floats: floor ceil round trunc sqrt rsqrt recip relu);
        unary!($S, $T, $a, Floats: exp exp2 ln log2 sin cos tanh erf sigmoid gelu gelu_tanh silu);
        binary!($S, $T, $a, $b, Floats: exp_sub pow);
        let (x, y) = (vector::<$S, $T>($a), vector::<$S, $T>($b));
        let got = Floats::mul_add(x, y, x);
        for i in 0..$S::LANES {
            let expected = Floats::mul_add($a[i], $b[i], $a[i]);
            equal($S::NAME, "mul_add", $a[i], $b[i], Vector::lane(got, i), expected);
        }
        let (low, peak) = (Vector::min(x, y), Vector::max(x, y));
        let (down, below) = (Floats::exp_down(Vector::neg(Vector::abs(x))), Floats::exp_below(low, peak));
        for i in 0..$S::LANES {
            let expected = Floats::exp(-$a[i].abs());
            equal($S::NAME, "exp_down", $a[i], $b[i], Vector::lane(down, i), expected);
            let expected = Floats::exp_sub(Vector::lane(low, i), Vector::lane(peak, i));
            equal($S::NAME, "exp_below", $a[i], $b[i], Vector::lane(below, i), expected);
        }
        let (term, sub_term) = (Floats::exp_term(Vector::neg(Vector::abs(x))), Floats::exp_sub_term(low, peak));
        let or_nan = Floats::or_nan(x, y);
        for i in 0..$S::LANES {
            let expected = Floats::exp_term(-$a[i].abs());
            equal($S::NAME, "exp_term", $a[i], $b[i], Vector::lane(term, i), expected);
            let expected = Floats::exp_sub_term(Vector::lane(low, i), Vector::lane(peak, i));
            equal($S::NAME, "exp_sub_term", $a[i], $b[i], Vector::lane(sub_term, i), expected);
            let expected = if $b[i].is_nan() { $b[i] } else { $a[i] };
            equal($S::NAME, "or_nan", $a[i], $b[i], Vector::lane(or_nan, i), expected);
        }
    };
}
macro_rules! mask {
    ($S:ident, $T:ident, $a:ident, $b:ident) => {
        binary!($S, $T, $a, $b, Masks: and or xor);
        unary!($S, $T, $a, Masks: not);
        let mask = vector::<$S, bool>($a);
        let bits = $a.iter().rev().fold(0, |bits, &x| bits << 1 | u64::from(x));
        assert_eq!(mask.bits(), bits);
        assert_eq!(<$S as Simd>::Mask::from_bits(bits).bits(), bits);
        assert_eq!(mask.any(), bits != 0);
        assert_eq!(mask.all(), bits.count_ones() as usize == $S::LANES);
    };
}
check_type!(F32, f32, float);
check_type!(F64, f64, float);
check_type!(I32, i32, integer);
check_type!(U32, u32, integer);
check_type!(I64, i64, integer);
check_type!(Bool, bool, mask);

#[test]
fn f32_lanes_equal_scalars() {
    everywhere_and_of_four::<F32>();
}

#[test]
fn f64_lanes_equal_scalars() {
    everywhere_and_of_four::<F64>();
}

#[test]
fn i32_lanes_equal_scalars() {
    everywhere_and_of_four::<I32>();
}

#[test]
fn u32_lanes_equal_scalars() {
    everywhere_and_of_four::<U32>();
}

#[test]
fn i64_lanes_equal_scalars() {
    everywhere_and_of_four::<I64>();
}

#[test]
fn masks_equal_truth_values() {
    everywhere_and_of_four::<Bool>();
}

/// What works on f32 alone.
struct OfBounds;

impl Check for OfBounds {
    fn under<S: Simd>() {
        blocks::<S, f32>(|a, b| {
            let (x, y) = (vector::<S, f32>(a), vector::<S, f32>(b));
            for least in [0.0, -87.0, f32::INFINITY, f32::NAN] {
                let (kept, down) = (S::zero_below(x, least, y), Vector::neg(x));
                let sum = S::add_product_from(x, least, S::F32::splat(3.0), [y, down]);
                for i in 0..S::LANES {
                    let expected = if a[i] < least { 0.0 } else { b[i] };
                    equal(S::NAME, "zero_below", a[i], b[i], Vector::lane(kept, i), expected);
                    let expected = if a[i] < least { 3.0 } else { b[i].mul_add(-a[i], 3.0) };
                    equal(S::NAME, "add_product_from", a[i], b[i], Vector::lane(sum, i), expected);
                }
            }
        });
    }
}

#[test]
fn lanes_below_a_bound_are_left_out() {
    everywhere_and_of_four::<OfBounds>();
}

struct Iota;

impl Check for Iota {
    fn under<S: Simd>() {
        for first in [0, -3, i32::MAX] {
            for i in 0..S::LANES {
                assert_eq!(S::iota(first).lane(i), first.wrapping_add(i as i32), "{}", S::NAME);
            }
        }
    }
}

#[test]
fn iota_counts_from_its_first_lane() {
    everywhere_and_of_four::<Iota>();
}
