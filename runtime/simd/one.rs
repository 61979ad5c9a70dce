//! The instruction set of scalars: every vector has one lane and is a plain Rust scalar.
//!
//! It defines what every operation means; the other instruction sets are tested against it.

use super::{Cast, Floats, Integers, Masks, Simd, Vector, math};

/// Scalars. Inside a function with target features its operations use them (`mul_add` becomes one
/// instruction); without, they are what Rust's own scalars do.
#[derive(Clone, Copy, Debug)]
pub struct One;

// SAFETY: nothing is overridden.
unsafe impl super::Memory for One {
    type Set = One;
}

// SAFETY: the vector types are scalars, which need no target feature; 1 lane.
unsafe impl Simd for One {
    const LANES: usize = 1;
    const NAME: &'static str = "one";
    type F32 = f32;
    type F64 = f64;
    type I32 = i32;
    type U32 = u32;
    type I64 = i64;
    type Mask = bool;
    #[inline(always)]
    fn iota(first: i32) -> i32 {
        first
    }
    #[inline(always)]
    fn to_bits(x: f32) -> i32 {
        x.to_bits() as i32
    }
    #[inline(always)]
    fn from_bits(bits: i32) -> f32 {
        f32::from_bits(bits as u32)
    }
}

/// What all scalars share.
macro_rules! common {
    () => {
        type Scalar = Self;
        type Mask = bool;
        const LANES: usize = 1;
        #[inline(always)]
        fn splat(x: Self) -> Self {
            x
        }
        #[inline(always)]
        fn from_lanes(mut f: impl FnMut(usize) -> Self) -> Self {
            f(0)
        }
        #[inline(always)]
        fn lane(self, _: usize) -> Self {
            self
        }
        #[inline(always)]
        fn select(mask: bool, then: Self, otherwise: Self) -> Self {
            if mask { then } else { otherwise }
        }
        #[inline(always)]
        fn first(self, n: usize, other: Self) -> Self {
            if n > 0 { self } else { other }
        }
        #[inline(always)]
        fn reduce_add(self) -> Self {
            self
        }
        #[inline(always)]
        fn reduce_mul(self) -> Self {
            self
        }
        #[inline(always)]
        fn reduce_max(self) -> Self {
            self
        }
        #[inline(always)]
        fn reduce_min(self) -> Self {
            self
        }
    };
}

macro_rules! comparisons {
    () => {
        #[inline(always)]
        fn eq(self, other: Self) -> bool {
            self == other
        }
        #[inline(always)]
        fn ne(self, other: Self) -> bool {
            self != other
        }
        #[inline(always)]
        fn lt(self, other: Self) -> bool {
            self < other
        }
        #[inline(always)]
        fn le(self, other: Self) -> bool {
            self <= other
        }
        #[inline(always)]
        fn gt(self, other: Self) -> bool {
            self > other
        }
        #[inline(always)]
        fn ge(self, other: Self) -> bool {
            self >= other
        }
    };
}

macro_rules! binary {
    ($($name:ident = |$a:ident, $b:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            let ($a, $b) = (self, other);
            $value
        }
    )*};
}

macro_rules! unary {
    ($($name:ident = |$a:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            let $a = self;
            $value
        }
    )*};
}

macro_rules! integer {
    ($T:ident, abs = $abs:expr) => {
        impl Vector for $T {
            common!();
            comparisons!();
            binary! {
                add = |a, b| a.wrapping_add(b);
                sub = |a, b| a.wrapping_sub(b);
                mul = |a, b| a.wrapping_mul(b);
                div = |a, b| if b == 0 { 0 } else { a.wrapping_div(b) };
                rem = |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) };
                max = |a, b| Ord::max(a, b);
                min = |a, b| Ord::min(a, b);
            }
            unary! {
                neg = |a| a.wrapping_neg();
                abs = |a| $abs(a);
            }
        }
        impl Integers for $T {
            binary! {
                and = |a, b| a & b;
                or = |a, b| a | b;
                xor = |a, b| a ^ b;
                shl = |a, b| a.wrapping_shl(b as u32);
                shr = |a, b| a.wrapping_shr(b as u32);
            }
            unary! {
                not = |a| !a;
            }
        }
    };
}
integer!(i32, abs = i32::wrapping_abs);
integer!(u32, abs = std::convert::identity);
integer!(i64, abs = i64::wrapping_abs);

macro_rules! float_vector {
    ($T:ident) => {
        impl Vector for $T {
            common!();
            comparisons!();
            binary! {
                add = |a, b| a + b;
                sub = |a, b| a - b;
                mul = |a, b| a * b;
                div = |a, b| a / b;
                rem = |a, b| a % b;
                // A NaN in `b` fails the comparison and is the other branch.
                max = |a, b| if a > b || a.is_nan() { a } else { b };
                min = |a, b| if a < b || a.is_nan() { a } else { b };
            }
            unary! {
                neg = |a| -a;
                abs = |a| $T::abs(a);
            }
        }
    };
}
float_vector!(f32);
float_vector!(f64);

macro_rules! float_basics {
    ($T:ident) => {
        #[inline(always)]
        fn mul_add(self, by: Self, plus: Self) -> Self {
            $T::mul_add(self, by, plus)
        }
        unary! {
            floor = |a| $T::floor(a);
            ceil = |a| $T::ceil(a);
            round = |a| $T::round_ties_even(a);
            trunc = |a| $T::trunc(a);
            sqrt = |a| $T::sqrt(a);
            rsqrt = |a| 1.0 / $T::sqrt(a);
            recip = |a| 1.0 / a;
            relu = |a| Vector::max(a, 0.0);
        }
    };
}

impl Floats for f32 {
    float_basics!(f32);
    math::f32_functions!(One);
}

impl Floats for f64 {
    float_basics!(f64);
    unary! {
        exp = |a| f64::exp(a);
        exp2 = |a| f64::exp2(a);
        ln = |a| f64::ln(a);
        log2 = |a| f64::log2(a);
        sin = |a| f64::sin(a);
        cos = |a| f64::cos(a);
        tanh = |a| f64::tanh(a);
        erf = |a| math::double::erf(a);
        sigmoid = |a| math::double::sigmoid(a);
        gelu = |a| math::double::gelu(a);
        gelu_tanh = |a| math::double::gelu_tanh(a);
        silu = |a| math::double::silu(a);
    }
    binary! {
        exp_sub = |a, peak| if peak == f64::NEG_INFINITY { 0.0 } else { f64::exp(a - peak) };
        pow = |a, b| f64::powf(a, b);
    }
}

impl Vector for bool {
    common!();
    binary! {
        add = |a, b| a | b;
        sub = |a, b| a ^ b;
        mul = |a, b| a & b;
        div = |a, b| a & b;
        rem = |a, b| a & !a & b;
        max = |a, b| a | b;
        min = |a, b| a & b;
        eq = |a, b| a == b;
        ne = |a, b| a != b;
        lt = |a, b| !a & b;
        le = |a, b| !a | b;
        gt = |a, b| a & !b;
        ge = |a, b| a | !b;
    }
    unary! {
        neg = |a| a;
        abs = |a| a;
    }
}

impl Masks for bool {
    binary! {
        and = |a, b| a & b;
        or = |a, b| a | b;
        xor = |a, b| a ^ b;
    }
    unary! {
        not = |a| !a;
    }
    #[inline(always)]
    fn any(self) -> bool {
        self
    }
    #[inline(always)]
    fn all(self) -> bool {
        self
    }
    #[inline(always)]
    fn first_lanes(n: usize) -> bool {
        n > 0
    }
    #[inline(always)]
    fn bits(self) -> u64 {
        u64::from(self)
    }
    #[inline(always)]
    fn from_bits(bits: u64) -> bool {
        bits & 1 != 0
    }
}

// Rust's `as` saturates floats to integers (NaN to 0), wraps integers and rounds to nearest even.
macro_rules! casts {
    ($($from:ident: $($to:ident)*;)*) => {$($(
        impl Cast<$to> for $from {
            #[inline(always)]
            fn cast(self) -> $to {
                self as $to
            }
        }
    )*)*};
}
casts! {
    f32: f32 f64 i32 u32 i64;
    f64: f32 f64 i32 u32 i64;
    i32: f32 f64 i32 u32 i64;
    u32: f32 f64 i32 u32 i64;
    i64: f32 f64 i32 u32 i64;
}
macro_rules! bool_casts {
    ($($T:ident)*) => {$(
        impl Cast<bool> for $T {
            #[inline(always)]
            fn cast(self) -> bool {
                self != 0 as $T
            }
        }
        impl Cast<$T> for bool {
            #[inline(always)]
            fn cast(self) -> $T {
                u8::from(self) as $T
            }
        }
    )*};
}
bool_casts!(f32 f64 i32 u32 i64);
impl Cast<bool> for bool {
    #[inline(always)]
    fn cast(self) -> bool {
        self
    }
}
