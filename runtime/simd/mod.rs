//! The vector vocabulary: what generated code and the microkernels are written in.
//!
//! A [`Simd`] is an instruction set. All its vector types have the same number of lanes, so that one
//! loop can mix element types: with AVX-512 an `F32` is one register of 16 lanes and an `F64` two of 8.
//! Scalars are the instruction set `One`, whose vectors are plain Rust scalars: the same function
//! serves a lane loop and a scalar position.
//!
//! Generated code calls every operation by its full path (`Vector::add(a, b)`), and the instruction
//! set's types carry the dispatch. Every function here is `#[inline(always)]`: it ends up inside a
//! function with the right `#[target_feature]`: [`with_avx2!`](crate::simd::with_avx2) and
//! [`with_avx512!`](crate::simd::with_avx512) declare one. Functions without that attribute are not
//! inlined into each other's loops, so closures and helpers are `#[inline(always)]` too.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod dot;
mod eighth;
mod features;
mod four;
mod isa;
mod math;
mod memory;
mod odd;
mod one;
mod portable;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub(crate) use eighth::{E4M3, E5M2};
pub use features::{with_avx2, with_avx512};
pub use four::{Four, Singles, Vectors};
pub use isa::InstructionSet;
pub(crate) use isa::is_amd;
pub use math::Window;
pub(crate) use math::divide_by;
pub use memory::Memory;
pub(crate) use memory::bf16_bits;
pub use odd::Odd;
pub use one::One;
pub use portable::{Bits, Lanes, Portable};

/// The scalar a lane holds: f32, f64, i32, u32, i64 or bool. Every element type computes in one of them.
pub trait Lane: Copy + Send + Sync + 'static {
    /// The vector of this scalar in an instruction set.
    type Of<S: Simd>: Vector<Scalar = Self, Mask = S::Mask>;
    /// Four vectors as one, each from its number.
    fn four<S: Simd>(part: impl FnMut(usize) -> Self::Of<S>) -> Self::Of<Four<S>>;
    /// One of four vectors; `at < 4`.
    fn part<S: Simd>(of: Self::Of<Four<S>>, at: usize) -> Self::Of<S>;
}

macro_rules! lanes {
    ($($T:ident = $Of:ident in $Four:ident;)*) => {$(
        impl Lane for $T {
            type Of<S: Simd> = S::$Of;
            #[inline(always)]
            fn four<S: Simd>(part: impl FnMut(usize) -> S::$Of) -> Self::Of<Four<S>> {
                $Four::from_parts(part)
            }
            #[inline(always)]
            fn part<S: Simd>(of: Self::Of<Four<S>>, at: usize) -> S::$Of {
                of.0[at]
            }
        }
    )*};
}
lanes! {
    f32 = F32 in Singles;
    f64 = F64 in Vectors;
    i32 = I32 in Vectors;
    u32 = U32 in Vectors;
    i64 = I64 in Vectors;
    bool = Mask in Vectors;
}

/// An instruction set.
///
/// # Safety
/// Values of the vector types may only be made and used in functions that enable the target features
/// that the implementation names; `LANES` is 1 to 64.
pub unsafe trait Simd: Memory<Set = Self> + Copy + Send + Sync + 'static {
    /// Lanes of every vector.
    const LANES: usize;
    /// As printed and as accepted by `TILEWRIGHT_CPU`.
    const NAME: &'static str;
    /// f32 lanes.
    type F32: Floats<Scalar = f32, Mask = Self::Mask> + CastAll<Self>;
    /// f64 lanes.
    type F64: Floats<Scalar = f64, Mask = Self::Mask> + CastAll<Self>;
    /// i32 lanes: also i8, u8, i16, u16.
    type I32: Integers<Scalar = i32, Mask = Self::Mask> + CastAll<Self>;
    /// u32 lanes.
    type U32: Integers<Scalar = u32, Mask = Self::Mask> + CastAll<Self>;
    /// i64 lanes.
    type I64: Integers<Scalar = i64, Mask = Self::Mask> + CastAll<Self>;
    /// One truth value a lane. Also the vector of `bool`.
    type Mask: Vector<Scalar = bool, Mask = Self::Mask> + Masks + CastAll<Self>;
    /// Lane `i` holds `first + i`, wrapping.
    fn iota(first: i32) -> Self::I32;
    /// The bits of each lane.
    fn to_bits(x: Self::F32) -> Self::I32;
    /// The floats with these bits.
    fn from_bits(bits: Self::I32) -> Self::F32;
    /// `x · 2^n` rounded once; `n` is integral and within ±250, `x` within 2^±40 unless n is within ±120 or 0, ∞, NaN.
    #[inline(always)]
    fn scale(x: Self::F32, n: Self::F32) -> Self::F32 {
        let n: Self::I32 = n.cast();
        let half = n.shr(Self::I32::splat(1));
        x.mul(power_of_two::<Self>(half)).mul(power_of_two::<Self>(n.sub(half)))
    }
    /// Whether [`Simd::scale_floor`] takes any `n`: beyond those that [`Simd::scale`] takes its result is 0 or ∞; 0
    /// for −∞ and NaN for NaN, even where `x` is 0. Not for +∞.
    const SCALES_FAR: bool = false;
    /// `x · 2^⌊n⌋`, for numbers as `scale` takes them, but `n` need not be integral.
    #[inline(always)]
    fn scale_floor(x: Self::F32, n: Self::F32) -> Self::F32 {
        Self::scale(x, n.floor())
    }
    /// `table[i & 7]` in each lane.
    #[inline(always)]
    fn lookup(table: &[f32; 8], index: Self::I32) -> Self::F32 {
        Self::F32::from_lanes(|i| table[(index.lane(i) & 7) as usize])
    }
    /// `table[i & 15]` in each lane.
    #[inline(always)]
    fn lookup16(table: &[f32; 16], index: Self::I32) -> Self::F32 {
        Self::F32::from_lanes(|i| table[(index.lane(i) & 15) as usize])
    }
    /// Whether there are registers for [`Four`] vectors and what functions compute of them.
    const HAS_ROOM_FOR_FOUR: bool = false;
    /// `x` within `low ..= high`; NaN stays.
    #[inline(always)]
    fn clamp(x: Self::F32, low: f32, high: f32) -> Self::F32 {
        Self::at_most(Self::at_least(x, low), high)
    }
    /// `x` from `low` on; NaN stays.
    #[inline(always)]
    fn at_least(x: Self::F32, low: f32) -> Self::F32 {
        Self::F32::select(x.lt(Self::F32::splat(low)), Self::F32::splat(low), x)
    }
    /// `y`, and 0 where `x < least`.
    #[inline(always)]
    fn zero_below(x: Self::F32, least: f32, y: Self::F32) -> Self::F32 {
        Self::F32::select(x.lt(Self::F32::splat(least)), Self::F32::splat(0.0), y)
    }
    /// Whether [`Simd::add_product_from`] is as fast as a sum.
    const ADDS_SOME_PRODUCTS: bool = false;
    /// `sum + a · b`, rounded once, and `sum` where `x < least`.
    #[inline(always)]
    fn add_product_from(x: Self::F32, least: f32, sum: Self::F32, [a, b]: [Self::F32; 2]) -> Self::F32 {
        Self::F32::select(x.lt(Self::F32::splat(least)), sum, a.mul_add(b, sum))
    }
    /// `x` up to `high`; NaN stays.
    #[inline(always)]
    fn at_most(x: Self::F32, high: f32) -> Self::F32 {
        Self::F32::select(x.gt(Self::F32::splat(high)), Self::F32::splat(high), x)
    }
}

/// `2^n` for `n` within -126 ..= 127.
#[inline(always)]
fn power_of_two<S: Simd>(n: S::I32) -> S::F32 {
    S::from_bits(n.add(S::I32::splat(127)).shl(S::I32::splat(23)))
}

/// Conversions to every other lane type of the instruction set: to nearest even; float to integer
/// saturates and NaN is 0; to a narrower integer wraps; from mask 0 or 1; to mask `!= 0`.
pub trait CastAll<S: Simd>:
    Cast<S::F32> + Cast<S::F64> + Cast<S::I32> + Cast<S::U32> + Cast<S::I64> + Cast<S::Mask>
{
}
impl<S: Simd, V: Cast<S::F32> + Cast<S::F64> + Cast<S::I32> + Cast<S::U32> + Cast<S::I64> + Cast<S::Mask>>
    CastAll<S> for V
{
}

/// One conversion; see [`CastAll`].
pub trait Cast<To> {
    /// Lane by lane.
    fn cast(self) -> To;
}

/// What every vector can do. Arithmetic on masks: `add` is or, `mul` is and, `max` or, `min` and.
pub trait Vector: Copy {
    /// What a lane holds.
    type Scalar: Copy;
    /// The instruction set's mask.
    type Mask: Vector<Scalar = bool>;
    /// Number of lanes.
    const LANES: usize;
    /// All lanes `x`.
    fn splat(x: Self::Scalar) -> Self;
    /// Lane by lane from a function of the lane number.
    fn from_lanes(f: impl FnMut(usize) -> Self::Scalar) -> Self;
    /// Lane `i` (`i < LANES`; masked with `LANES - 1` otherwise).
    fn lane(self, i: usize) -> Self::Scalar;
    /// `if mask { self } else { other }`.
    fn select(mask: Self::Mask, then: Self, otherwise: Self) -> Self;
    /// Lanes `< n` of `self`, the others from `other`.
    fn first(self, n: usize, other: Self) -> Self;
    /// Lane by lane; integers wrap.
    fn add(self, other: Self) -> Self;
    /// Lane by lane; integers wrap.
    fn sub(self, other: Self) -> Self;
    /// Lane by lane; integers wrap.
    fn mul(self, other: Self) -> Self;
    /// Integers: truncating, `x / 0` is 0, `MIN / -1` wraps.
    fn div(self, other: Self) -> Self;
    /// The sign is the dividend's; integers: `x % 0` is 0.
    fn rem(self, other: Self) -> Self;
    /// NaN in either wins.
    fn max(self, other: Self) -> Self;
    /// NaN in either wins.
    fn min(self, other: Self) -> Self;
    /// Integers wrap.
    fn neg(self) -> Self;
    /// Integers wrap.
    fn abs(self) -> Self;
    /// Lane by lane.
    fn eq(self, other: Self) -> Self::Mask;
    /// Lane by lane; true with NaN.
    fn ne(self, other: Self) -> Self::Mask;
    /// Lane by lane.
    fn lt(self, other: Self) -> Self::Mask;
    /// Lane by lane.
    fn le(self, other: Self) -> Self::Mask;
    /// Lane by lane.
    fn gt(self, other: Self) -> Self::Mask;
    /// Lane by lane.
    fn ge(self, other: Self) -> Self::Mask;
    /// Of all lanes, pairwise.
    fn reduce_add(self) -> Self::Scalar;
    /// Of all lanes, pairwise.
    fn reduce_mul(self) -> Self::Scalar;
    /// Of all lanes; NaN wins.
    fn reduce_max(self) -> Self::Scalar;
    /// Of all lanes; NaN wins.
    fn reduce_min(self) -> Self::Scalar;
}

/// What masks can do.
pub trait Masks: Copy {
    /// Lane by lane.
    fn and(self, other: Self) -> Self;
    /// Lane by lane.
    fn or(self, other: Self) -> Self;
    /// Lane by lane.
    fn xor(self, other: Self) -> Self;
    /// Lane by lane.
    fn not(self) -> Self;
    /// Whether any lane is set.
    fn any(self) -> bool;
    /// Whether all are.
    fn all(self) -> bool;
    /// Lanes `< n` set.
    fn first_lanes(n: usize) -> Self;
    /// Bit `i` is lane `i`.
    fn bits(self) -> u64;
    /// Lane `i` from bit `i`.
    fn from_bits(bits: u64) -> Self;
}

/// What integer vectors can do beyond [`Vector`]. Shift amounts are taken modulo the width.
pub trait Integers: Vector {
    /// Bitwise.
    fn and(self, other: Self) -> Self;
    /// Bitwise.
    fn or(self, other: Self) -> Self;
    /// Bitwise.
    fn xor(self, other: Self) -> Self;
    /// Bitwise.
    fn not(self) -> Self;
    /// Left.
    fn shl(self, amount: Self) -> Self;
    /// Right; arithmetic on signed types.
    fn shr(self, amount: Self) -> Self;
}

/// What float vectors can do beyond [`Vector`]. The mathematical functions are within 2 ulp on f32
/// over the whole range (exceptions are documented at the function), and within 2 ulp of correctly
/// rounded on f64; f64 `sigmoid`, `silu` and `gelu_tanh` are composed from the standard library's `exp` and are a few ulp off.
#[expect(missing_docs, reason = "the names are the functions'")]
pub trait Floats: Vector {
    /// The larger one; `other` where `self` is NaN.
    #[inline(always)]
    #[must_use]
    fn larger(self, other: Self) -> Self {
        Self::select(self.gt(other), self, other)
    }
    /// The smaller one; `other` where `self` is NaN.
    #[inline(always)]
    #[must_use]
    fn smaller(self, other: Self) -> Self {
        Self::select(self.lt(other), self, other)
    }
    /// NaN where either is, else `self`.
    #[inline(always)]
    #[must_use]
    fn or_nan(self, other: Self) -> Self {
        Self::select(other.eq(other), self, other)
    }
    /// `self * by + plus`, rounded once where the instruction set has it.
    fn mul_add(self, by: Self, plus: Self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    /// Half to even.
    fn round(self) -> Self;
    fn trunc(self) -> Self;
    fn sqrt(self) -> Self;
    fn rsqrt(self) -> Self;
    fn recip(self) -> Self;
    fn exp(self) -> Self;
    /// `exp(self - peak)`, and 0 where `peak` is −∞.
    fn exp_sub(self, peak: Self) -> Self;
    /// [`Floats::exp`] of lanes that are `<= 0` or NaN; of others, any number.
    #[inline(always)]
    #[must_use]
    fn exp_down(self) -> Self {
        self.exp()
    }
    /// [`Floats::exp_sub`] of lanes that are `<= peak`, or of which the peak is NaN; of others, any number.
    #[inline(always)]
    #[must_use]
    fn exp_below(self, peak: Self) -> Self {
        self.exp_sub(peak)
    }
    /// [`Floats::exp_down`], of lanes that are `<= 0` or NaN, as a term of a sum in which one is 1: in f32 off by `2^-28 |x|` of
    /// itself more than that, which is less than 2^-29 and a few units of its last place, and 0 below -87.
    #[inline(always)]
    #[must_use]
    fn exp_term(self) -> Self {
        self.exp_down()
    }
    /// [`Floats::exp_below`] as such a term.
    #[inline(always)]
    #[must_use]
    fn exp_sub_term(self, peak: Self) -> Self {
        self.exp_below(peak)
    }
    fn exp2(self) -> Self;
    fn ln(self) -> Self;
    fn log2(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tanh(self) -> Self;
    fn erf(self) -> Self;
    fn sigmoid(self) -> Self;
    fn relu(self) -> Self;
    /// `x/2 · (1 + erf(x/√2))`; the limit −0 at −∞.
    fn gelu(self) -> Self;
    /// `x/2 · (1 + tanh(√(2/π)(x + 0.044715 x³)))`; the limit −0 at −∞.
    fn gelu_tanh(self) -> Self;
    /// `x · sigmoid(x)`; the limit −0 at −∞.
    fn silu(self) -> Self;
    fn pow(self, exponent: Self) -> Self;
}
