//! Conversions between element types.

use std::any::Any;

use super::Tensor;
use crate::element::{Element, Kind};
use crate::error::TensorError;
use crate::simd::{Lane, Odd};

/// A value in one of the types that elements compute in.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    F32(f32),
    F64(f64),
    I32(i32),
    U32(u32),
    I64(i64),
    Bool(bool),
}

/// The lane's value. There are no other lane types: `Lane` is implemented for these six.
fn number<L: Lane>(lane: L) -> Number {
    let lane: &dyn Any = &lane;
    None.or_else(|| lane.downcast_ref().copied().map(Number::F32))
        .or_else(|| lane.downcast_ref().copied().map(Number::F64))
        .or_else(|| lane.downcast_ref().copied().map(Number::I32))
        .or_else(|| lane.downcast_ref().copied().map(Number::U32))
        .or_else(|| lane.downcast_ref().copied().map(Number::I64))
        .or_else(|| lane.downcast_ref().copied().map(Number::Bool))
        .unwrap_or(Number::Bool(false))
}

/// The element nearest to a value: floats round to nearest even and saturate to integers (NaN is 0),
/// integers wrap to narrower ones, `bool` is `!= 0`.
pub(crate) fn convert<U: Element>(number: Number) -> U {
    let mut element = U::default().to_lane();
    let lane: &mut dyn Any = &mut element;
    if let Some(lane) = lane.downcast_mut::<f32>() {
        *lane = if is_short::<U>() { to_odd(number) } else { to_f32(number) };
    } else if let Some(lane) = lane.downcast_mut::<f64>() {
        *lane = to_f64(number);
    } else if let Some(lane) = lane.downcast_mut::<i64>() {
        *lane = to_i64(number);
    } else if let Some(lane) = lane.downcast_mut::<i32>() {
        *lane = saturated::<U>(number).unwrap_or(to_i64(number)) as i32;
    } else if let Some(lane) = lane.downcast_mut::<u32>() {
        *lane = saturated::<U>(number).unwrap_or(to_i64(number)) as u32;
    } else if let Some(lane) = lane.downcast_mut::<bool>() {
        *lane = to_bool(number);
    }
    U::from_lane(element)
}

/// A float that is shorter than its lane.
fn is_short<U: Element>() -> bool {
    matches!(U::KIND, Kind::F16 | Kind::Bf16 | Kind::F8E4m3 | Kind::F8E5m2)
}

/// An f32 that rounds to the same shorter float as the number itself.
fn to_odd(number: Number) -> f32 {
    match number {
        Number::F64(x) => x.odd(),
        Number::I32(x) => i64::from(x).odd(),
        Number::U32(x) => i64::from(x).odd(),
        Number::I64(x) => x.odd(),
        Number::F32(_) | Number::Bool(_) => to_f32(number),
    }
}

fn to_f32(number: Number) -> f32 {
    match number {
        Number::F32(x) => x,
        Number::F64(x) => x as f32,
        Number::I32(x) => x as f32,
        Number::U32(x) => x as f32,
        Number::I64(x) => x as f32,
        Number::Bool(x) => f32::from(u8::from(x)),
    }
}

fn to_f64(number: Number) -> f64 {
    match number {
        Number::F32(x) => f64::from(x),
        Number::F64(x) => x,
        Number::I32(x) => f64::from(x),
        Number::U32(x) => f64::from(x),
        Number::I64(x) => x as f64,
        Number::Bool(x) => f64::from(u8::from(x)),
    }
}

fn to_i64(number: Number) -> i64 {
    match number {
        Number::F32(x) => x as i64,
        Number::F64(x) => x as i64,
        Number::I32(x) => i64::from(x),
        Number::U32(x) => i64::from(x),
        Number::I64(x) => x,
        Number::Bool(x) => i64::from(x),
    }
}

fn to_bool(number: Number) -> bool {
    match number {
        Number::F32(x) => x != 0.0,
        Number::F64(x) => x != 0.0,
        Number::I32(x) => x != 0,
        Number::U32(x) => x != 0,
        Number::I64(x) => x != 0,
        Number::Bool(x) => x,
    }
}

/// A float clamped to the range of an integer type of at most 32 bits.
fn saturated<U: Element>(number: Number) -> Option<i64> {
    let float = match number {
        Number::F32(x) => f64::from(x),
        Number::F64(x) => x,
        Number::I32(_) | Number::U32(_) | Number::I64(_) | Number::Bool(_) => return None,
    };
    Some(match U::NAME {
        "i8" => i64::from(float as i8),
        "u8" => i64::from(float as u8),
        "i16" => i64::from(float as i16),
        "u16" => i64::from(float as u16),
        "u32" => i64::from(float as u32),
        _ => i64::from(float as i32),
    })
}

impl<T: Element> Tensor<T> {
    /// A tensor of its own with the elements converted: to nearest even; floats saturate to integers
    /// (NaN is 0), integers wrap to narrower ones, `bool` is `!= 0`.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// let x = Tensor::from_vec(4, vec![1.5f32, -2.7, 300.0, f32::NAN])?;
    /// assert_eq!(x.cast::<i8>()?.to_vec(), [1, -2, 127, 0]);
    /// assert_eq!(x.cast::<bf16>()?.get(1)?, bf16::from_f32(-2.7));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The storage is being written.
    pub fn cast<U: Element>(&self) -> Result<Tensor<U>, TensorError> {
        let mut cast = Tensor::try_zeros(self.shape)?;
        let mut guard = cast.write()?;
        let mut slots = guard.iter_mut();
        self.each(|element| {
            if let Some(slot) = slots.next() {
                *slot = convert(number(element.to_lane()));
            }
        })?;
        drop(guard);
        Ok(cast)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    /// Just above the middle of two short floats: through f32 it would be a tie, and round down.
    #[test]
    fn short_floats_are_rounded_once() {
        fn above<U: Element>(x: f64) -> U {
            convert(Number::F64(x + 2f64.powi(-40)))
        }
        assert_eq!(above::<bf16>(1.0 + 2f64.powi(-8)).to_f64(), 1.0 + 2f64.powi(-7));
        assert_eq!(above::<f16>(1.0 + 2f64.powi(-11)).to_f64(), 1.0 + 2f64.powi(-10));
        assert_eq!(above::<f8e4m3>(1.0 + 2f64.powi(-4)).to_f64(), 1.125);
        assert_eq!(above::<f8e5m2>(1.0 + 2f64.powi(-3)).to_f64(), 1.25);
        let x = (1i64 << 62) + (1 << 54) + 1;
        assert_eq!(convert::<bf16>(Number::I64(x)).to_f64(), 2f64.powi(62) + 2f64.powi(55));
        assert_eq!(convert::<bf16>(Number::I32((1 << 24) + (1 << 16) + 1)).to_f64(), 16_908_288.0);
        assert_eq!(convert::<f32>(Number::F64(1.0 + 2f64.powi(-24))), 1.0);
    }
}
