//! Figures that can be told beforehand, and rates that cannot but have an order.

use super::machine::{bandwidth, multiply_adds, unit};
use super::*;
use crate::simd::InstructionSet;

#[test]
fn numbers_have_three_digits() {
    let of = [0.0, 512.0, 1536.0, 98_304.0, 2_147_483_648.0, 5.5e12];
    assert_eq!(of.map(scaled), ["0 ", "512 ", "1.54 k", "98.3 k", "2.15 G", "5.50 T"]);
    let of =
        [0.0, 0.5e-6, 12.34e-6, 999e-6, 0.0123].map(|seconds| duration(Duration::from_secs_f64(seconds)));
    assert_eq!(of, ["0.00 µs", "0.50 µs", "12.3 µs", "999 µs", "12.3 ms"]);
}

#[test]
fn a_call_that_panics_leaves_nothing_explaining() {
    let result = std::panic::catch_unwind(|| explain(|| panic!("on purpose")));
    assert!(result.is_err());
    assert!(!is_explaining());
}

#[test]
fn explanations_nest() {
    let ((_, inner), outer) = explain(|| {
        let inner = explain(|| assert!(is_explaining()));
        assert!(is_explaining(), "the outer one goes on");
        inner
    });
    assert!(inner.is_empty() && outer.is_empty() && !is_explaining());
}

#[test]
#[cfg_attr(any(miri, sanitized), ignore = "measures time")]
fn the_machine_has_rates() {
    for isa in InstructionSet::ALL.into_iter().filter(|isa| isa.is_available()) {
        let rate = multiply_adds(isa, 1);
        assert!(rate > 1e8, "{isa:?}: {rate}");
        assert_eq!(unit(isa, 1) > 0.0, crate::simd::dot::has_matrix_unit(isa), "{isa:?}");
        for (read, written) in [(1e5, 0.0), (0.0, 1e5), (1e5, 1e5), (2e5, 1e5)] {
            let rate = bandwidth(isa, 1, read, written);
            assert!(rate > 1e8, "{isa:?}, {read} in and {written} out: {rate}");
        }
    }
}
