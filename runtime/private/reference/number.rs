//! Arithmetic of lanes: total, and the same on every machine.

use crate::simd::Lane;

/// What every lane converts through: no conversion between lanes loses more than the last step does.
#[derive(Clone, Copy, Debug)]
pub enum Wide {
    /// From f32 and f64.
    Float(f64),
    /// From i32, u32 and i64.
    Int(i64),
    /// From bool.
    Bool(bool),
}

/// What every lane can do. On bool, `add` is or and `mul` is and.
#[expect(missing_docs, reason = "the names are the operations'")]
pub trait Number: Lane + PartialEq + PartialOrd + std::fmt::Debug {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// Integers truncate; `x / 0` is 0.
    fn div(self, other: Self) -> Self;
    /// The sign is the dividend's; integers: `x % 0` is 0.
    fn rem(self, other: Self) -> Self;
    fn neg(self) -> Self;
    fn abs(self) -> Self;
    /// `x != x`.
    fn is_nan(self) -> bool;
    fn wide(self) -> Wide;
    /// Floats to integers saturate, NaN is 0; integers wrap; to bool `!= 0`.
    fn from_wide(wide: Wide) -> Self;
    /// Rounded once.
    fn sum(lanes: &mut dyn Iterator<Item = Self>) -> Self;
    /// Rounded once.
    fn product(lanes: &mut dyn Iterator<Item = Self>) -> Self;
    /// Of `count` lanes; rounded once.
    fn mean(lanes: &mut dyn Iterator<Item = Self>, count: usize) -> Self;
    /// The sum of products, rounded once.
    fn dot(pairs: impl Iterator<Item = (Self, Self)>) -> Self;

    /// NaN in either wins.
    fn larger(self, other: Self) -> Self {
        if other.is_nan() || other > self { other } else { self }
    }
    /// NaN in either wins.
    fn smaller(self, other: Self) -> Self {
        if other.is_nan() || other < self { other } else { self }
    }
}

/// Lanes with bits: integers and bool.
#[expect(missing_docs, reason = "the names are the operations'")]
pub trait Bits: Number {
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn not(self) -> Self;
}

/// Integer lanes. Shift amounts are masked.
#[expect(missing_docs, reason = "the names are the operations'")]
pub trait Integer: Bits {
    fn shl(self, amount: Self) -> Self;
    fn shr(self, amount: Self) -> Self;
}

/// Float lanes: functions are computed in f64 and rounded once.
#[expect(missing_docs, reason = "the names are the operations'")]
pub trait Real: Number {
    fn up(self) -> f64;
    fn down(value: f64) -> Self;
}

/// A sum of f64 with its rounding errors kept beside it (Neumaier 1974; products by Ogita, Rump and
/// Oishi 2005): as if taken in twice the precision.
#[derive(Clone, Copy, Default)]
struct Compensated {
    sum: f64,
    error: f64,
}

impl Compensated {
    fn add(self, x: f64) -> Compensated {
        let sum = self.sum + x;
        let (large, small) = if self.sum.abs() >= x.abs() { (self.sum, x) } else { (x, self.sum) };
        Compensated { sum, error: self.error + ((large - sum) + small) }
    }

    fn add_product(self, a: f64, b: f64) -> Compensated {
        let product = a * b;
        let mut next = self.add(product);
        next.error += a.mul_add(b, -product);
        next
    }

    fn total(self) -> f64 {
        let total = self.sum + self.error;
        if self.sum.is_finite() && total.is_finite() { total } else { self.sum }
    }
}

impl Number for f32 {
    fn add(self, other: f32) -> f32 {
        self + other
    }
    fn sub(self, other: f32) -> f32 {
        self - other
    }
    fn mul(self, other: f32) -> f32 {
        self * other
    }
    fn div(self, other: f32) -> f32 {
        self / other
    }
    fn rem(self, other: f32) -> f32 {
        self % other
    }
    fn neg(self) -> f32 {
        -self
    }
    fn abs(self) -> f32 {
        f32::abs(self)
    }
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }
    fn wide(self) -> Wide {
        Wide::Float(f64::from(self))
    }
    fn from_wide(wide: Wide) -> f32 {
        match wide {
            Wide::Float(x) => x as f32,
            Wide::Int(x) => x as f32,
            Wide::Bool(x) => f32::from(u8::from(x)),
        }
    }
    fn sum(lanes: &mut dyn Iterator<Item = f32>) -> f32 {
        lanes.map(f64::from).sum::<f64>() as f32
    }
    fn product(lanes: &mut dyn Iterator<Item = f32>) -> f32 {
        lanes.map(f64::from).product::<f64>() as f32
    }
    fn mean(lanes: &mut dyn Iterator<Item = f32>, count: usize) -> f32 {
        (lanes.map(f64::from).sum::<f64>() / count as f64) as f32
    }
    fn dot(pairs: impl Iterator<Item = (f32, f32)>) -> f32 {
        // The product of two f32 is exact in f64.
        pairs.map(|(a, b)| f64::from(a) * f64::from(b)).sum::<f64>() as f32
    }
}

impl Number for f64 {
    fn add(self, other: f64) -> f64 {
        self + other
    }
    fn sub(self, other: f64) -> f64 {
        self - other
    }
    fn mul(self, other: f64) -> f64 {
        self * other
    }
    fn div(self, other: f64) -> f64 {
        self / other
    }
    fn rem(self, other: f64) -> f64 {
        self % other
    }
    fn neg(self) -> f64 {
        -self
    }
    fn abs(self) -> f64 {
        f64::abs(self)
    }
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }
    fn wide(self) -> Wide {
        Wide::Float(self)
    }
    fn from_wide(wide: Wide) -> f64 {
        match wide {
            Wide::Float(x) => x,
            Wide::Int(x) => x as f64,
            Wide::Bool(x) => f64::from(u8::from(x)),
        }
    }
    fn sum(lanes: &mut dyn Iterator<Item = f64>) -> f64 {
        lanes.fold(Compensated::default(), Compensated::add).total()
    }
    fn product(lanes: &mut dyn Iterator<Item = f64>) -> f64 {
        lanes.product()
    }
    fn mean(lanes: &mut dyn Iterator<Item = f64>, count: usize) -> f64 {
        f64::sum(lanes) / count as f64
    }
    fn dot(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
        pairs.fold(Compensated::default(), |sum, (a, b)| sum.add_product(a, b)).total()
    }
}

impl Real for f32 {
    fn up(self) -> f64 {
        f64::from(self)
    }
    fn down(value: f64) -> f32 {
        value as f32
    }
}

impl Real for f64 {
    fn up(self) -> f64 {
        self
    }
    fn down(value: f64) -> f64 {
        value
    }
}

/// Integers: arithmetic wraps.
macro_rules! integers {
    ($($ty:ident: $abs:expr;)*) => {$(
        impl Number for $ty {
            fn add(self, other: $ty) -> $ty {
                self.wrapping_add(other)
            }
            fn sub(self, other: $ty) -> $ty {
                self.wrapping_sub(other)
            }
            fn mul(self, other: $ty) -> $ty {
                self.wrapping_mul(other)
            }
            fn div(self, other: $ty) -> $ty {
                if other == 0 { 0 } else { self.wrapping_div(other) }
            }
            fn rem(self, other: $ty) -> $ty {
                if other == 0 { 0 } else { self.wrapping_rem(other) }
            }
            fn neg(self) -> $ty {
                self.wrapping_neg()
            }
            fn abs(self) -> $ty {
                $abs(self)
            }
            fn is_nan(self) -> bool {
                false
            }
            fn wide(self) -> Wide {
                Wide::Int(i64::from(self))
            }
            fn from_wide(wide: Wide) -> $ty {
                match wide {
                    Wide::Float(x) => x as $ty,
                    Wide::Int(x) => x as $ty,
                    Wide::Bool(x) => $ty::from(x),
                }
            }
            fn sum(lanes: &mut dyn Iterator<Item = $ty>) -> $ty {
                lanes.fold(0, $ty::wrapping_add)
            }
            fn product(lanes: &mut dyn Iterator<Item = $ty>) -> $ty {
                lanes.fold(1, $ty::wrapping_mul)
            }
            fn mean(lanes: &mut dyn Iterator<Item = $ty>, count: usize) -> $ty {
                Self::sum(lanes).div(count as $ty)
            }
            fn dot(pairs: impl Iterator<Item = ($ty, $ty)>) -> $ty {
                pairs.fold(0, |sum, (a, b)| sum.wrapping_add(a.wrapping_mul(b)))
            }
        }
        impl Bits for $ty {
            fn and(self, other: $ty) -> $ty {
                self & other
            }
            fn or(self, other: $ty) -> $ty {
                self | other
            }
            fn xor(self, other: $ty) -> $ty {
                self ^ other
            }
            fn not(self) -> $ty {
                !self
            }
        }
        impl Integer for $ty {
            fn shl(self, amount: $ty) -> $ty {
                self.wrapping_shl(amount as u32)
            }
            fn shr(self, amount: $ty) -> $ty {
                self.wrapping_shr(amount as u32)
            }
        }
    )*};
}

integers! {
    i32: i32::wrapping_abs;
    i64: i64::wrapping_abs;
    u32: std::convert::identity;
}

impl Number for bool {
    fn add(self, other: bool) -> bool {
        self | other
    }
    fn sub(self, other: bool) -> bool {
        self ^ other
    }
    fn mul(self, other: bool) -> bool {
        self & other
    }
    fn div(self, other: bool) -> bool {
        self & other
    }
    fn rem(self, _: bool) -> bool {
        false
    }
    fn neg(self) -> bool {
        self
    }
    fn abs(self) -> bool {
        self
    }
    fn is_nan(self) -> bool {
        false
    }
    fn wide(self) -> Wide {
        Wide::Bool(self)
    }
    fn from_wide(wide: Wide) -> bool {
        match wide {
            Wide::Float(x) => x != 0.0,
            Wide::Int(x) => x != 0,
            Wide::Bool(x) => x,
        }
    }
    fn sum(lanes: &mut dyn Iterator<Item = bool>) -> bool {
        lanes.fold(false, |any, lane| any | lane)
    }
    fn product(lanes: &mut dyn Iterator<Item = bool>) -> bool {
        lanes.fold(true, |all, lane| all & lane)
    }
    fn mean(lanes: &mut dyn Iterator<Item = bool>, _: usize) -> bool {
        bool::sum(lanes)
    }
    fn dot(pairs: impl Iterator<Item = (bool, bool)>) -> bool {
        pairs.fold(false, |any, (a, b)| any | (a & b))
    }
}

impl Bits for bool {
    fn and(self, other: bool) -> bool {
        self & other
    }
    fn or(self, other: bool) -> bool {
        self | other
    }
    fn xor(self, other: bool) -> bool {
        self ^ other
    }
    fn not(self) -> bool {
        !self
    }
}
