//! Inputs: numbers that look random, special values, and tensors in several layouts.

use tilewright::prelude::*;

/// Lengths around every vector width.
pub const SIZES: [usize; 13] = [1, 2, 3, 7, 15, 17, 31, 33, 63, 65, 127, 129, 1000];

/// How a tensor lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Row-major, aligned.
    Dense,
    /// Rows side by side with a gap, starting off any alignment.
    Narrowed,
    /// Every second element.
    Strided,
    /// Backwards.
    Flipped,
    /// Column-major.
    Transposed,
}

impl Layout {
    /// All of them.
    pub const ALL: [Layout; 5] =
        [Layout::Dense, Layout::Narrowed, Layout::Strided, Layout::Flipped, Layout::Transposed];
}

/// Marsaglia's xorshift.
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    pub fn new(seed: u64) -> Random {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        random.next();
        random.next();
        random
    }

    /// 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// In `0.0 .. 1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// In `0 .. below`.
    pub fn below(&mut self, below: usize) -> usize {
        (self.next() % below as u64) as usize
    }
}

/// Element types with test data and a measure of distance.
pub trait Sample: Element {
    /// Between about -2 and 2, without special values; small integers.
    fn tame(random: &mut Random) -> Self;
    /// Any size, and special values.
    fn wild(random: &mut Random) -> Self;
    /// The value, if it is a float.
    fn float(self) -> Option<f64>;
    /// Significant bits, and the exponent of the smallest normal number.
    const PRECISION: (i32, i32);
}

/// Of any magnitude that `digits` of exponent allow, or one of the special values.
fn wild_float(random: &mut Random, largest: f64) -> f64 {
    let specials = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        2.5,
        -3.5,
        1e-40,
        -1e-40,
        largest,
        -largest,
    ];
    match random.below(8) {
        0 => specials[random.below(specials.len())],
        1 => (random.unit() - 0.5) * 200.0,
        2 => {
            let exponent = (random.unit() - 0.5) * 2.0 * largest.log10();
            (random.unit() - 0.5) * 10f64.powf(exponent)
        }
        3 => (random.unit() - 0.5) * 1e-3,
        4 => (random.below(40) as f64 - 20.0) / 2.0,
        _ => (random.unit() - 0.5) * 12.0,
    }
}

macro_rules! float_samples {
    ($($ty:ident: $from:expr, $to:expr, $largest:expr, $precision:expr, $any:expr;)*) => {$(
        impl Sample for $ty {
            fn tame(random: &mut Random) -> $ty {
                ($from)((random.unit() - 0.5) * 4.0)
            }
            fn wild(random: &mut Random) -> $ty {
                let any: Option<fn(u8) -> $ty> = $any;
                match any {
                    // Of so few patterns, all.
                    Some(any) if random.below(2) == 0 => any(random.next() as u8),
                    Some(_) | None => ($from)(wild_float(random, $largest)),
                }
            }
            fn float(self) -> Option<f64> {
                Some(($to)(self))
            }
            const PRECISION: (i32, i32) = $precision;
        }
    )*};
}

float_samples! {
    f32: |x| x as f32, f64::from, 3.4e38, (24, -126), None;
    f64: |x| x, |x| x, 1.7e308, (53, -1022), None;
    f16: f16::from_f64, f16::to_f64, 65504.0, (11, -14), None;
    bf16: bf16::from_f64, bf16::to_f64, 3.38e38, (8, -126), None;
    f8e4m3: f8e4m3::from_f64, f8e4m3::to_f64, 448.0, (4, -6), Some(f8e4m3::from_bits);
    f8e5m2: f8e5m2::from_f64, f8e5m2::to_f64, 57344.0, (3, -14), Some(f8e5m2::from_bits);
}

macro_rules! integer_samples {
    ($($ty:ident)*) => {$(
        impl Sample for $ty {
            fn tame(random: &mut Random) -> $ty {
                (random.below(7) as i64 - 3) as $ty
            }
            fn wild(random: &mut Random) -> $ty {
                match random.below(8) {
                    0 => [$ty::MIN, $ty::MAX, 0, 1, (0 as $ty).wrapping_sub(1)][random.below(5)],
                    1..=3 => random.next() as $ty,
                    _ => (random.below(40) as i64 - 20) as $ty,
                }
            }
            fn float(self) -> Option<f64> {
                None
            }
            const PRECISION: (i32, i32) = (0, 0);
        }
    )*};
}

integer_samples! { i8 u8 i16 u16 i32 u32 i64 }

impl Sample for bool {
    fn tame(random: &mut Random) -> bool {
        random.below(2) == 1
    }
    fn wild(random: &mut Random) -> bool {
        random.below(2) == 1
    }
    fn float(self) -> Option<f64> {
        None
    }
    const PRECISION: (i32, i32) = (0, 0);
}

/// A tensor of tame values.
pub fn tame<E: Sample>(seed: u64, shape: &[usize], layout: Layout) -> Tensor<E> {
    let mut random = Random::new(seed);
    filled(shape, layout, || E::tame(&mut random))
}

/// A tensor of values of any size, and special ones.
pub fn wild<E: Sample>(seed: u64, shape: &[usize], layout: Layout) -> Tensor<E> {
    let mut random = Random::new(seed);
    filled(shape, layout, || E::wild(&mut random))
}

/// A tensor of integers in `0 .. below`.
pub fn indices(seed: u64, shape: &[usize], below: usize) -> Tensor<i32> {
    let mut random = Random::new(seed);
    filled(shape, Layout::Dense, || random.below(below) as i32)
}

/// A tensor that `next` fills in row-major order.
pub fn filled<E: Sample>(shape: &[usize], layout: Layout, mut next: impl FnMut() -> E) -> Tensor<E> {
    let elements: Vec<E> = (0..shape.iter().product()).map(|_| next()).collect();
    let mut tensor = laid_out::<E>(shape, layout);
    tensor.copy_from_slice(&elements).unwrap();
    tensor
}

/// A tensor of zeros in a layout.
fn laid_out<E: Sample>(shape: &[usize], layout: Layout) -> Tensor<E> {
    let Some(last) = shape.len().checked_sub(1) else { return Tensor::zeros(shape) };
    match layout {
        Layout::Dense => Tensor::zeros(shape),
        Layout::Narrowed => {
            let mut wider = shape.to_vec();
            wider[last] += 3;
            Tensor::zeros(wider).narrow(last, 1, shape[last]).unwrap()
        }
        Layout::Strided => {
            let mut wider = shape.to_vec();
            wider.push(2);
            Tensor::zeros(wider).select(last + 1, 1).unwrap()
        }
        Layout::Flipped => Tensor::zeros(shape).flip(last).unwrap(),
        Layout::Transposed => {
            let turned: Vec<usize> = shape.iter().rev().copied().collect();
            let order: Vec<usize> = (0..shape.len()).rev().collect();
            Tensor::zeros(turned).permute(&order).unwrap()
        }
    }
}
