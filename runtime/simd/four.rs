//! Four vectors as one: each operation is done on all of them before the next one.
//!
//! A function like an exponential is a chain of a dozen operations that wait for one another. A processor runs several
//! chains at once only if their operations come close enough to one another: four chains in step, operation by
//! operation, do where one after the other does not. Needs many registers.

use super::{Cast, Floats, Integers, Masks, Memory, Simd, Vector, math};
use std::marker::PhantomData;

/// The instruction set `S` with four times as many lanes. Its loads and stores are those of any instruction set, lane
/// by lane: code that uses it moves each [`Vector`] of `S` by itself.
#[derive(Clone, Copy, Debug)]
pub struct Four<S>(PhantomData<S>);

/// Four vectors; lanes follow one another.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Vectors<V>(pub(super) [V; 4]);

/// Four vectors of f32.
#[repr(transparent)]
pub struct Singles<S: Simd>(pub(super) [S::F32; 4]);

impl<S: Simd> Clone for Singles<S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: Simd> Copy for Singles<S> {}

impl<V> Vectors<V> {
    /// From each of them.
    #[inline(always)]
    pub(super) fn from_parts(mut f: impl FnMut(usize) -> V) -> Self {
        Vectors([f(0), f(1), f(2), f(3)])
    }
}

impl<S: Simd> Singles<S> {
    /// From each of them.
    #[inline(always)]
    pub(super) fn from_parts(mut f: impl FnMut(usize) -> S::F32) -> Self {
        Singles([f(0), f(1), f(2), f(3)])
    }
}

// SAFETY: what is overridden touches no memory.
unsafe impl<S: Simd> Memory for Four<S> {
    type Set = Four<S>;
    #[inline(always)]
    fn round_f16(x: Singles<S>) -> Singles<S> {
        Singles::from_parts(|i| <S as Memory>::round_f16(x.0[i]))
    }
}

// SAFETY: the vector types are arrays of those of `S`, which are made and used where `S` may be; 64 lanes at most.
unsafe impl<S: Simd> Simd for Four<S> {
    const LANES: usize = {
        assert!(S::LANES <= 16, "four vectors as one are of a set of instructions, not of others as one");
        4 * S::LANES
    };
    const NAME: &'static str = S::NAME;
    type F32 = Singles<S>;
    type F64 = Vectors<S::F64>;
    type I32 = Vectors<S::I32>;
    type U32 = Vectors<S::U32>;
    type I64 = Vectors<S::I64>;
    type Mask = Vectors<S::Mask>;
    #[inline(always)]
    fn iota(first: i32) -> Self::I32 {
        Vectors::from_parts(|i| S::iota(first.wrapping_add((i * S::LANES) as i32)))
    }
    #[inline(always)]
    fn to_bits(x: Self::F32) -> Self::I32 {
        Vectors::from_parts(|i| S::to_bits(x.0[i]))
    }
    #[inline(always)]
    fn from_bits(bits: Self::I32) -> Self::F32 {
        Singles::from_parts(|i| S::from_bits(bits.0[i]))
    }
    #[inline(always)]
    fn scale(x: Self::F32, n: Self::F32) -> Self::F32 {
        Singles::from_parts(|i| S::scale(x.0[i], n.0[i]))
    }
    const SCALES_FAR: bool = S::SCALES_FAR;
    const ADDS_SOME_PRODUCTS: bool = S::ADDS_SOME_PRODUCTS;
    #[inline(always)]
    fn scale_floor(x: Self::F32, n: Self::F32) -> Self::F32 {
        Singles::from_parts(|i| S::scale_floor(x.0[i], n.0[i]))
    }
    #[inline(always)]
    fn lookup(table: &[f32; 8], index: Self::I32) -> Self::F32 {
        Singles::from_parts(|i| S::lookup(table, index.0[i]))
    }
    #[inline(always)]
    fn lookup16(table: &[f32; 16], index: Self::I32) -> Self::F32 {
        Singles::from_parts(|i| S::lookup16(table, index.0[i]))
    }
    #[inline(always)]
    fn at_least(x: Self::F32, low: f32) -> Self::F32 {
        Singles::from_parts(|i| S::at_least(x.0[i], low))
    }
    #[inline(always)]
    fn zero_below(x: Self::F32, least: f32, y: Self::F32) -> Self::F32 {
        Singles::from_parts(|i| S::zero_below(x.0[i], least, y.0[i]))
    }
    #[inline(always)]
    fn add_product_from(x: Self::F32, least: f32, sum: Self::F32, [a, b]: [Self::F32; 2]) -> Self::F32 {
        Singles::from_parts(|i| S::add_product_from(x.0[i], least, sum.0[i], [a.0[i], b.0[i]]))
    }
    #[inline(always)]
    fn at_most(x: Self::F32, high: f32) -> Self::F32 {
        Singles::from_parts(|i| S::at_most(x.0[i], high))
    }
}

macro_rules! in_step {
    ($trait:ident: $($name:ident)*: unary) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            Self::from_parts(|i| $trait::$name(self.0[i]))
        }
    )*};
    ($trait:ident: $($name:ident)*: binary) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            Self::from_parts(|i| $trait::$name(self.0[i], other.0[i]))
        }
    )*};
    ($trait:ident: $($name:ident)*: comparison) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self::Mask {
            Vectors::from_parts(|i| $trait::$name(self.0[i], other.0[i]))
        }
    )*};
    ($($name:ident = $op:ident)*: reduction) => {$(
        #[inline(always)]
        fn $name(self) -> Self::Scalar {
            self.0[0].$op(self.0[2]).$op(self.0[1].$op(self.0[3])).$name()
        }
    )*};
}

/// What both kinds share; `Part` is a vector of `S`.
macro_rules! vector {
    ($Part:ty) => {
        type Scalar = <$Part as Vector>::Scalar;
        type Mask = Vectors<<$Part as Vector>::Mask>;
        const LANES: usize = 4 * <$Part as Vector>::LANES;
        #[inline(always)]
        fn splat(x: Self::Scalar) -> Self {
            Self::from_parts(|_| Vector::splat(x))
        }
        #[inline(always)]
        fn from_lanes(mut f: impl FnMut(usize) -> Self::Scalar) -> Self {
            Self::from_parts(|part| {
                Vector::from_lanes(|i| f(part * <$Part as Vector>::LANES + i))
            })
        }
        #[inline(always)]
        fn lane(self, i: usize) -> Self::Scalar {
            let lanes = <$Part as Vector>::LANES;
            self.0[i / lanes % 4].lane(i % lanes)
        }
        #[inline(always)]
        fn select(mask: Self::Mask, then: Self, otherwise: Self) -> Self {
            Self::from_parts(|i| Vector::select(mask.0[i], then.0[i], otherwise.0[i]))
        }
        #[inline(always)]
        fn first(self, n: usize, other: Self) -> Self {
            let lanes = <$Part as Vector>::LANES;
            Self::from_parts(|i| self.0[i].first(n.saturating_sub(i * lanes).min(lanes), other.0[i]))
        }
        in_step!(Vector: add sub mul div rem max min: binary);
        in_step!(Vector: neg abs: unary);
        in_step!(Vector: eq ne lt le gt ge: comparison);
        in_step!(reduce_add = add reduce_mul = mul reduce_max = max reduce_min = min: reduction);
    };
}

impl<V: Vector> Vector for Vectors<V> {
    vector!(V);
}

impl<S: Simd> Vector for Singles<S> {
    vector!(S::F32);
}

impl<V: Integers> Integers for Vectors<V> {
    in_step!(Integers: and or xor shl shr: binary);
    in_step!(Integers: not: unary);
}

impl<V: Vector + Masks> Masks for Vectors<V> {
    in_step!(Masks: and or xor: binary);
    in_step!(Masks: not: unary);
    #[inline(always)]
    fn any(self) -> bool {
        self.0.into_iter().any(Masks::any)
    }
    #[inline(always)]
    fn all(self) -> bool {
        self.0.into_iter().all(Masks::all)
    }
    #[inline(always)]
    fn first_lanes(n: usize) -> Self {
        Self::from_parts(|i| V::first_lanes(n.saturating_sub(i * V::LANES).min(V::LANES)))
    }
    #[inline(always)]
    fn bits(self) -> u64 {
        (0..4).fold(0, |bits, i| bits | self.0[i].bits() << (i * V::LANES))
    }
    #[inline(always)]
    fn from_bits(bits: u64) -> Self {
        Self::from_parts(|i| V::from_bits(bits >> (i * V::LANES)))
    }
}

/// Of f64, whose functions are those of the standard library.
impl<V: Floats> Floats for Vectors<V> {
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        Self::from_parts(|i| self.0[i].mul_add(by.0[i], plus.0[i]))
    }
    in_step!(Floats: larger smaller or_nan exp_sub exp_below exp_sub_term pow: binary);
    in_step!(Floats: floor ceil round trunc sqrt rsqrt recip relu exp exp_down exp_term exp2 ln log2: unary);
    in_step!(Floats: sin cos tanh erf sigmoid gelu gelu_tanh silu: unary);
}

impl<S: Simd> Floats for Singles<S> {
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        Self::from_parts(|i| self.0[i].mul_add(by.0[i], plus.0[i]))
    }
    in_step!(Floats: larger smaller or_nan: binary);
    in_step!(Floats: floor ceil round trunc sqrt rsqrt recip relu: unary);
    math::f32_functions!(Four<S>);
}

impl<V: Cast<To>, To: Vector> Cast<Vectors<To>> for Vectors<V>
where
    V: Copy,
{
    #[inline(always)]
    fn cast(self) -> Vectors<To> {
        Vectors::from_parts(|i| self.0[i].cast())
    }
}
impl<S: Simd, V: Cast<S::F32> + Copy> Cast<Singles<S>> for Vectors<V> {
    #[inline(always)]
    fn cast(self) -> Singles<S> {
        Singles::from_parts(|i| self.0[i].cast())
    }
}
impl<S: Simd, To: Vector> Cast<Vectors<To>> for Singles<S>
where
    S::F32: Cast<To>,
{
    #[inline(always)]
    fn cast(self) -> Vectors<To> {
        Vectors::from_parts(|i| self.0[i].cast())
    }
}
impl<S: Simd> Cast<Singles<S>> for Singles<S> {
    #[inline(always)]
    fn cast(self) -> Self {
        self
    }
}
