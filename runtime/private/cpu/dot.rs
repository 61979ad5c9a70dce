//! Matrix products of generated code: what a `dot` becomes.

use crate::element::Element;
use crate::simd::InstructionSet;

/// An operand in memory: element `(free, contracted)` is at `ptr + free * f + contracted * c`.
#[derive(Clone, Copy, Debug)]
pub struct Side<E> {
    /// The first element.
    pub ptr: *const E,
    /// The stride of the axis that stays.
    pub free: isize,
    /// The stride of the axis that is summed over.
    pub contracted: isize,
}

/// Lanes that are multiplied and added.
pub trait Sum: Copy {
    /// 0.
    const ZERO: Self;
    /// `self + lhs * rhs`; integers wrap.
    fn plus(self, lhs: Self, rhs: Self) -> Self;
}

macro_rules! sums {
    ($($T:ident: $zero:expr, |$s:ident, $l:ident, $r:ident| $plus:expr;)*) => {$(
        impl Sum for $T {
            const ZERO: $T = $zero;
            #[inline(always)]
            fn plus(self, $l: $T, $r: $T) -> $T {
                let $s = self;
                $plus
            }
        }
    )*};
}
sums! {
    f32: 0.0, |s, l, r| l.mul_add(r, s);
    f64: 0.0, |s, l, r| l.mul_add(r, s);
    i32: 0, |s, l, r| s.wrapping_add(l.wrapping_mul(r));
    u32: 0, |s, l, r| s.wrapping_add(l.wrapping_mul(r));
    i64: 0, |s, l, r| s.wrapping_add(l.wrapping_mul(r));
}

/// `c[i * ldc + j] = (accumulate ? c : 0) + Σ_p lhs(i, p) · rhs(j, p)` for `i < m`, `j < n`, `p < k`.
///
/// # Safety
/// All those elements of `lhs` and `rhs` are readable and those of `c` writable.
#[expect(clippy::too_many_arguments, reason = "a matrix product has these")]
pub unsafe fn dot<L: Element, R: Element, C: Element + Sum>(
    _isa: InstructionSet,
    (m, n, k): (usize, usize, usize),
    lhs: Side<L>,
    rhs: Side<R>,
    c: *mut C,
    ldc: usize,
    accumulate: bool,
) where
    L: Element<Lane = C>,
    R: Element<Lane = C>,
{
    for i in 0..m {
        for j in 0..n {
            // SAFETY: promised by the caller.
            unsafe {
                let c = c.add(i * ldc + j);
                let mut sum = if accumulate { *c } else { C::ZERO };
                for p in 0..k as isize {
                    let l = *lhs.ptr.offset(i as isize * lhs.free + p * lhs.contracted);
                    let r = *rhs.ptr.offset(j as isize * rhs.free + p * rhs.contracted);
                    sum = sum.plus(l.to_lane(), r.to_lane());
                }
                *c = sum;
            }
        }
    }
}
