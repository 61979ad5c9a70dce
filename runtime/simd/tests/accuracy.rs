//! Errors in units of the last place, against f64.

use super::{Check, everywhere, everywhere_and_of_four};
use crate::simd::math::{Window, divide_by, double};
use crate::simd::{Floats, Simd, Vector};

type Function<V> = fn(V) -> V;
type Row<V> = (&'static str, Function<V>, fn(f64) -> f64, f64);

/// The functions of one argument: name, in f32 lanes, in f64, most units of the last place.
fn functions<S: Simd>() -> Vec<Row<S::F32>> {
    vec![
        ("exp", <S::F32>::exp, f64::exp, 1.0),
        ("exp2", <S::F32>::exp2, f64::exp2, 1.0),
        ("ln", <S::F32>::ln, f64::ln, 2.0),
        ("log2", <S::F32>::log2, f64::log2, 2.0),
        ("sin", <S::F32>::sin, f64::sin, 2.0),
        ("cos", <S::F32>::cos, f64::cos, 2.0),
        ("tanh", <S::F32>::tanh, f64::tanh, 2.0),
        ("erf", <S::F32>::erf, double::erf, 2.0),
        ("sigmoid", <S::F32>::sigmoid, double::sigmoid, 2.0),
        ("gelu", <S::F32>::gelu, double::gelu, 2.0),
        ("gelu_tanh", <S::F32>::gelu_tanh, double::gelu_tanh, 2.0),
        ("silu", <S::F32>::silu, double::silu, 2.0),
        ("rsqrt", <S::F32>::rsqrt, |x| 1.0 / x.sqrt(), 2.0),
        ("recip", <S::F32>::recip, |x| 1.0 / x, 0.5),
        ("sqrt", <S::F32>::sqrt, f64::sqrt, 0.5),
    ]
}

/// How far `got` is from `exact`, in units of the last place of the f32 next to it.
fn ulps(got: f32, exact: f64) -> f64 {
    if got.is_nan() || exact.is_nan() {
        return if got.is_nan() && exact.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if exact as f32 == got {
        // Also infinities, and rounding within half a unit.
        return if got.is_infinite() { 0.0 } else { distance(got, exact) };
    }
    // The neighbour of MAX counts as 2^128.
    let got = if got.is_infinite() {
        (f64::from(f32::MAX) * (1.0 + 2f64.powi(-24))).copysign(f64::from(got))
    } else {
        f64::from(got)
    };
    (got - exact).abs() / unit(exact)
}

fn distance(got: f32, exact: f64) -> f64 {
    (f64::from(got) - exact).abs() / unit(exact)
}

/// The spacing of f32 at `x`.
fn unit(x: f64) -> f64 {
    let exponent = (x.abs().to_bits() >> 52) as i32 - 1023;
    2f64.powi(exponent.clamp(-126, 127) - 23)
}

/// The largest error and where, over every `step`-th bit pattern.
fn sweep<S: Simd>(step: usize, function: Function<S::F32>, exact: fn(f64) -> f64) -> (f64, f32) {
    let mut worst = (0.0, 0.0);
    let mut patterns = (0..=u32::MAX).step_by(step);
    loop {
        let mut inputs = [0f32; 16];
        let mut n = 0;
        for (slot, bits) in inputs.iter_mut().zip(patterns.by_ref().take(S::LANES)) {
            *slot = f32::from_bits(bits);
            n += 1;
        }
        if n == 0 {
            return worst;
        }
        let y = function(Vector::from_lanes(|i| inputs[i]));
        for (i, &x) in inputs.iter().enumerate().take(n) {
            let error = ulps(y.lane(i), exact(f64::from(x)));
            if error > worst.0 {
                worst = (error, x);
            }
        }
    }
}

fn check<S: Simd>(step: usize) {
    let mut wrong = Vec::new();
    for (name, function, exact, most) in functions::<S>() {
        let (error, at) = sweep::<S>(step, function, exact);
        println!("{name:10} {error:.3} ulp at {at:e}");
        if error > most {
            wrong.push(format!("{name}: {error} ulp at {at:e}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

struct Accuracy;

impl Check for Accuracy {
    fn under<S: Simd>() {
        // Lanes equal scalars (`lanes.rs`): the widest set stands for all.
        if S::NAME == widest() {
            check::<S>(4_001);
        }
    }
}

fn widest() -> &'static str {
    let available = crate::simd::InstructionSet::ALL.into_iter().rfind(|set| set.is_available());
    available.map_or("scalar", |set| set.name())
}

#[test]
fn f32_functions_are_as_accurate_as_documented() {
    if cfg!(miri) {
        println!("not checked: too many values for an interpreter");
        return;
    }
    everywhere::<Accuracy>();
}

struct Terms;

impl Check for Terms {
    fn under<S: Simd>() {
        if S::NAME != widest() {
            return;
        }
        for bits in (0x8000_0000..0xff80_0000_u32).step_by(1_009) {
            let x = f32::from_bits(bits);
            let terms = [
                <S::F32>::exp_term(Vector::splat(x)),
                <S::F32>::exp_sub_term(Vector::splat(x), all::<S>(0.0)),
            ];
            let exact = f64::from(x).exp();
            for term in terms.map(|term| f64::from(term.lane(0))) {
                let most =
                    exact * (2f64.powi(-23) + 2f64.powi(-28) * f64::from(-x)) + f64::from(-87_f32).exp();
                assert!((term - exact).abs() <= most, "exp({x}) is not {term:e}");
                assert!((term - exact).abs() <= unit(exact) + 2f64.powi(-29), "exp({x}) is not {term:e}");
            }
        }
        let nan = <S::F32>::exp_term(Vector::splat(f32::NAN)).lane(0);
        assert!(nan.is_nan() && <S::F32>::exp_term(Vector::splat(f32::NEG_INFINITY)).lane(0) == 0.0);
    }
}

struct InWindows;

impl Check for InWindows {
    fn under<S: Simd>() {
        for first in [0.0_f32, 0.3, -7.7, 88.0, -1234.5, 50_000.0, -65_536.0] {
            let window = Window::from(first);
            let plus = |sum: f32, x: f32| window.add::<S>(Vector::splat(sum), Vector::splat(x)).lane(0);
            let term = |x| plus(0.0, x);
            for step in 0..4_000 {
                // The largest, and another one that is summed with it.
                let max = first + (step % 400) as f32 * 0.3;
                let x = max - step as f32 * 0.005;
                let Some(sum) = window.sum(max, plus(term(x), max), 9) else {
                    panic!("{max} is in the window from {first}")
                };
                let wanted = f64::from(x - max).exp() + 1.0;
                let error = (f64::from(sum) - wanted).abs() / wanted;
                assert!(
                    error <= 3.0 * f64::from(f32::EPSILON),
                    "{x} and {max} from {first}: {sum}, not {wanted}"
                );
            }
            assert_eq!([plus(7.0, f32::NEG_INFINITY), plus(7.0, first - 47.0)], [7.0; 2]);
            assert_eq!(term(first - 47.0), 0.0);
            assert!(term(first - 45.0) > 0.0);
            assert!(term(f32::NAN).is_nan());
            // Where the sum has no place for what matters, there is none.
            let far = [first + 121.0, first - 2.0, 1e9, -1e9, f32::INFINITY, f32::NEG_INFINITY];
            for max in far {
                assert!(window.sum(max, term(max), 9).is_none(), "{max} is out of the window from {first}");
            }
            assert!(
                window.sum(first, f32::NAN, 9).is_none() && window.sum(first, f32::INFINITY, 9).is_none()
            );
        }
        // All the same, or not.
        let term = |window: Window, x| window.add::<S>(Vector::splat(0.0), Vector::splat(x)).lane(0);
        let window = Window::from(0.5);
        let [one, less] = [0.5, -0.5].map(|x| term(window, x));
        assert!(window.sum(0.5, one, 1).is_none() && window.sum(0.5, one + one, 2).is_none());
        assert!(window.sum(0.5, one + less, 2).is_some() && window.sum(0.6, one + one, 2).is_some());
        // From -20 on instead.
        for first in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e9, -70_000.0] {
            let window = Window::from(first);
            for max in [-20.0, 99.0] {
                let sum = window.sum(max, term(window, max), 9);
                assert!(sum.is_some_and(|sum| (sum - 1.0).abs() < 3e-7), "from {first}: {sum:?}");
            }
        }
    }
}

fn all<S: Simd>(x: f32) -> S::F32 {
    Vector::splat(x)
}

#[test]
fn exponentials_in_sums_are_as_precise_as_documented() {
    if cfg!(miri) {
        println!("not checked: too many values for an interpreter");
        return;
    }
    everywhere::<Terms>();
}

#[test]
fn sums_in_windows_are_precise_or_none() {
    everywhere_and_of_four::<InWindows>();
}

struct Quotients;

impl Check for Quotients {
    fn under<S: Simd>() {
        if S::NAME != widest() {
            return;
        }
        let special = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-42, 1e-38, f32::MAX];
        let usual = [3.0, -7.0, 0.1, 384.0, 1.999_999_9, 1e-19, -1e19, 0.25, -1e30, 12_345.678, 0.999_999_94];
        for by in special.into_iter().chain(usual) {
            let (mut inexact, mut count) = (0, 0);
            for bits in (0..=u32::MAX).step_by(40_009).chain(special.map(f32::to_bits)) {
                let x = f32::from_bits(bits);
                let (got, want) = (divide_by::<S>(Vector::splat(x), by).lane(0), x / by);
                let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
                count += 1;
                inexact += usize::from(!same && want.abs() > 1e-35);
                assert!(same || got.to_bits().abs_diff(want.to_bits()) == 1, "{x:e} / {by:e} = {got:e}");
            }
            assert!(inexact * 10_000 < count, "by {by:e}: {inexact} of {count}");
        }
    }
}

#[test]
fn quotients_by_one_number_are_rounded() {
    if cfg!(miri) {
        println!("not checked: too many values for an interpreter");
        return;
    }
    everywhere::<Quotients>();
}

/// The values are from 40-digit arithmetic.
#[test]
fn f64_erf_and_gelu_are_within_a_few_units_of_the_last_place() {
    // (x, erf(x), gelu(x))
    const CASES: [(f64, f64, f64); 12] = [
        (-37.5, -1.0, -1.7270073785932332e-306),
        (-20.25, -1.0, -3.596804726522879e-90),
        (-8.125, -1.0, -1.817409802360835e-15),
        (-3.0, -0.9999779095030014, -0.0040496940948902835),
        (-1.5, -0.9661051464753108, -0.1002108019032871),
        (-1.25, -0.9229001282564583, -0.13206221708356908),
        (-0.5, -0.5204998778130465, -0.15426876936299344),
        (0.125, 0.1403162048013338, 0.06871727810376412),
        (0.96875, 0.8293191505933152, 0.8076129983045103),
        (1.0, 0.8427007929497149, 0.8413447460685429),
        (1.75, 0.9866716712191824, 1.67989647548832),
        (5.5, 0.9999999999999927, 5.499999895557407),
    ];
    let ulps = |got: f64, exact: f64| got.to_bits().abs_diff(exact.to_bits());
    for (x, erf, gelu) in CASES {
        let errors = (ulps(double::erf(x), erf), ulps(double::gelu(x), gelu));
        println!("{x}: {errors:?}");
        assert!(errors.0 <= 2 && errors.1 <= 8, "at {x}: {errors:?} units of the last place");
    }
}
