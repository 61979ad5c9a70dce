//! Vectors as arrays, lane by lane from [`One`](super::One): the `scalar` instruction set, and the
//! parts of the others that have no instructions of their own. Runs anywhere, under Miri too.

use super::{Cast, Floats, Integers, Masks, Simd, Vector};

/// Portable Rust, four lanes.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

// SAFETY: nothing is overridden.
unsafe impl super::Memory for Portable {
    type Set = Portable;
}

// SAFETY: the vector types are arrays, which need no target feature; 4 lanes.
unsafe impl Simd for Portable {
    const LANES: usize = 4;
    const NAME: &'static str = "scalar";
    type F32 = Lanes<f32, 4>;
    type F64 = Lanes<f64, 4>;
    type I32 = Lanes<i32, 4>;
    type U32 = Lanes<u32, 4>;
    type I64 = Lanes<i64, 4>;
    type Mask = Bits<4>;
    #[inline(always)]
    fn iota(first: i32) -> Lanes<i32, 4> {
        Lanes::from_lanes(|i| first.wrapping_add(i as i32))
    }
    #[inline(always)]
    fn to_bits(x: Self::F32) -> Self::I32 {
        Lanes::from_lanes(|i| x.0[i].to_bits() as i32)
    }
    #[inline(always)]
    fn from_bits(bits: Self::I32) -> Self::F32 {
        Lanes::from_lanes(|i| f32::from_bits(bits.0[i] as u32))
    }
}

/// `N` lanes in an array; `N` is a power of two up to 16.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Lanes<T, const N: usize>(pub(crate) [T; N]);

/// One truth value a lane, lane `i` in bit `i`; the bits from `N` up are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bits<const N: usize>(pub(crate) u16);

/// A scalar that can be a lane: a vector of [`One`](super::One).
pub trait Scalar: Vector<Scalar = Self, Mask = bool> + Default {}
impl<T: Vector<Scalar = T, Mask = bool> + Default> Scalar for T {}

macro_rules! lanewise {
    ($($name:ident)*: unary) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            Self::from_lanes(|i| T::$name(self.0[i]))
        }
    )*};
    ($($name:ident)*: binary) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            Self::from_lanes(|i| T::$name(self.0[i], other.0[i]))
        }
    )*};
    ($($name:ident)*: comparison) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Bits<N> {
            Bits::from_lanes(|i| T::$name(self.0[i], other.0[i]))
        }
    )*};
    ($($name:ident = $op:ident)*: reduction) => {$(
        #[inline(always)]
        fn $name(self) -> T {
            let mut lanes = self.0;
            let mut width = N;
            while width > 1 {
                width /= 2;
                for i in 0..width {
                    lanes[i] = lanes[i].$op(lanes[i + width]);
                }
            }
            lanes[0]
        }
    )*};
}

impl<T: Scalar, const N: usize> Vector for Lanes<T, N> {
    type Scalar = T;
    type Mask = Bits<N>;
    const LANES: usize = N;
    #[inline(always)]
    fn splat(x: T) -> Self {
        Lanes([x; N])
    }
    #[inline(always)]
    fn from_lanes(mut f: impl FnMut(usize) -> T) -> Self {
        let mut lanes = [T::default(); N];
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = f(i);
        }
        Lanes(lanes)
    }
    #[inline(always)]
    fn lane(self, i: usize) -> T {
        self.0[i & (N - 1)]
    }
    #[inline(always)]
    fn select(mask: Bits<N>, then: Self, otherwise: Self) -> Self {
        Self::from_lanes(|i| T::select(mask.lane(i), then.0[i], otherwise.0[i]))
    }
    #[inline(always)]
    fn first(self, n: usize, other: Self) -> Self {
        Self::from_lanes(|i| T::select(i < n, self.0[i], other.0[i]))
    }
    lanewise!(add sub mul div rem max min: binary);
    lanewise!(neg abs: unary);
    lanewise!(eq ne lt le gt ge: comparison);
    lanewise!(reduce_add = add reduce_mul = mul reduce_max = max reduce_min = min: reduction);
}

impl<T: Scalar + Integers, const N: usize> Integers for Lanes<T, N> {
    lanewise!(and or xor shl shr: binary);
    lanewise!(not: unary);
}

impl<T: Scalar + Floats, const N: usize> Floats for Lanes<T, N> {
    #[inline(always)]
    fn mul_add(self, by: Self, plus: Self) -> Self {
        Self::from_lanes(|i| self.0[i].mul_add(by.0[i], plus.0[i]))
    }
    lanewise!(floor ceil round trunc sqrt rsqrt recip exp exp_down exp_term exp2 ln log2 sin cos tanh erf: unary);
    lanewise!(sigmoid relu gelu gelu_tanh silu: unary);
    lanewise!(exp_sub exp_below exp_sub_term pow: binary);
}

macro_rules! bitwise {
    ($($name:ident = |$a:ident, $b:ident| $value:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, other: Self) -> Self {
            let ($a, $b) = (self.0, other.0);
            Bits($value & Self::ALL)
        }
    )*};
}

impl<const N: usize> Bits<N> {
    const ALL: u16 = (u16::MAX) >> (16 - N);
}

impl<const N: usize> Vector for Bits<N> {
    type Scalar = bool;
    type Mask = Self;
    const LANES: usize = N;
    #[inline(always)]
    fn splat(x: bool) -> Self {
        Bits(if x { Self::ALL } else { 0 })
    }
    #[inline(always)]
    fn from_lanes(mut f: impl FnMut(usize) -> bool) -> Self {
        let mut bits = 0;
        for i in 0..N {
            bits |= u16::from(f(i)) << i;
        }
        Bits(bits)
    }
    #[inline(always)]
    fn lane(self, i: usize) -> bool {
        self.0 >> (i & (N - 1)) & 1 != 0
    }
    #[inline(always)]
    fn select(mask: Self, then: Self, otherwise: Self) -> Self {
        Bits((then.0 & mask.0) | (otherwise.0 & !mask.0))
    }
    #[inline(always)]
    fn first(self, n: usize, other: Self) -> Self {
        Self::select(Self::first_lanes(n), self, other)
    }
    bitwise! {
        add = |a, b| a | b;
        sub = |a, b| a ^ b;
        mul = |a, b| a & b;
        div = |a, b| a & b;
        rem = |a, b| a & !a & b;
        max = |a, b| a | b;
        min = |a, b| a & b;
        eq = |a, b| !(a ^ b);
        ne = |a, b| a ^ b;
        lt = |a, b| !a & b;
        le = |a, b| !a | b;
        gt = |a, b| a & !b;
        ge = |a, b| a | !b;
    }
    #[inline(always)]
    fn neg(self) -> Self {
        self
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self
    }
    #[inline(always)]
    fn reduce_add(self) -> bool {
        self.any()
    }
    #[inline(always)]
    fn reduce_mul(self) -> bool {
        self.all()
    }
    #[inline(always)]
    fn reduce_max(self) -> bool {
        self.any()
    }
    #[inline(always)]
    fn reduce_min(self) -> bool {
        self.all()
    }
}

impl<const N: usize> Masks for Bits<N> {
    bitwise! {
        and = |a, b| a & b;
        or = |a, b| a | b;
        xor = |a, b| a ^ b;
    }
    #[inline(always)]
    fn not(self) -> Self {
        Bits(!self.0 & Self::ALL)
    }
    #[inline(always)]
    fn any(self) -> bool {
        self.0 != 0
    }
    #[inline(always)]
    fn all(self) -> bool {
        self.0 == Self::ALL
    }
    #[inline(always)]
    fn first_lanes(n: usize) -> Self {
        Bits(if n >= N { Self::ALL } else { Self::ALL & ((1 << n) - 1) })
    }
    #[inline(always)]
    fn bits(self) -> u64 {
        u64::from(self.0)
    }
    #[inline(always)]
    fn from_bits(bits: u64) -> Self {
        Bits(bits as u16 & Self::ALL)
    }
}

impl<T: Scalar + Cast<U>, U: Scalar, const N: usize> Cast<Lanes<U, N>> for Lanes<T, N> {
    #[inline(always)]
    fn cast(self) -> Lanes<U, N> {
        Lanes::from_lanes(|i| self.0[i].cast())
    }
}
impl<T: Scalar + Cast<bool>, const N: usize> Cast<Bits<N>> for Lanes<T, N> {
    #[inline(always)]
    fn cast(self) -> Bits<N> {
        Bits::from_lanes(|i| self.0[i].cast())
    }
}
impl<U: Scalar, const N: usize> Cast<Lanes<U, N>> for Bits<N>
where
    bool: Cast<U>,
{
    #[inline(always)]
    fn cast(self) -> Lanes<U, N> {
        Lanes::from_lanes(|i| self.lane(i).cast())
    }
}
impl<const N: usize> Cast<Bits<N>> for Bits<N> {
    #[inline(always)]
    fn cast(self) -> Self {
        self
    }
}
