//! Element types: what a tensor stores, and how lanes are loaded from and stored to memory.

use crate::simd::{Lane, Simd};

/// The vector that elements of type `E` compute in, under the instruction set `S`.
pub type Vector<S, E> = <<E as Element>::Lane as Lane>::Of<S>;

/// An element type of tensors: f32, f64, f16, bf16, i8, u8, i16, u16, i32, u32, i64, bool.
///
/// # Safety
/// Every bit pattern of `size_of::<Self>()` zero bytes is a value; the loads and stores touch exactly
/// the elements that they document.
pub unsafe trait Element:
    Copy + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static
{
    /// What it computes in: f32 for f16 and bf16, i32 for small integers, else itself.
    type Lane: Lane;
    /// As in messages and in safetensors headers, in lower case: `f32`, `bf16`, `i64`, `bool`.
    const NAME: &'static str;
    /// Widened.
    fn to_lane(self) -> Self::Lane;
    /// Nearest even to narrower floats; integers wrap.
    fn from_lane(lane: Self::Lane) -> Self;
    /// Rounds lanes to what `Self` can represent (f32 lanes through bf16, i32 lanes through i8):
    /// the value that storing and loading again would give.
    fn round<S: Simd>(lanes: Vector<S, Self>) -> Vector<S, Self>;
    /// `n` elements (`1 ..= LANES`) at `from`; lanes past `n` are zero.
    /// `n == LANES` is the fast path: callers pass it as a constant.
    ///
    /// # Safety
    /// `from .. from + n` is readable, of any alignment that `Self` has.
    unsafe fn load<S: Simd>(from: *const Self, n: usize) -> Vector<S, Self>;
    /// Writes lanes `0..n` (`1 ..= LANES`).
    ///
    /// # Safety
    /// `to .. to + n` is writable.
    unsafe fn store<S: Simd>(to: *mut Self, lanes: Vector<S, Self>, n: usize);
    /// Lane `i < n` from `from.offset(i * stride)`; the others zero. A stride of 1 is as fast as `load`.
    ///
    /// # Safety
    /// Those `n` elements are readable.
    unsafe fn load_strided<S: Simd>(from: *const Self, stride: isize, n: usize) -> Vector<S, Self>;
    /// Lane `i < n` to `to.offset(i * stride)`.
    ///
    /// # Safety
    /// Those `n` elements are writable.
    unsafe fn store_strided<S: Simd>(to: *mut Self, stride: isize, lanes: Vector<S, Self>, n: usize);
    /// Lane `i` from `from.offset(offsets[i])` where the mask is set; the others zero.
    ///
    /// # Safety
    /// The selected elements are readable.
    unsafe fn gather<S: Simd>(from: *const Self, offsets: S::I64, mask: S::Mask) -> Vector<S, Self>;
    /// Lane `i` to `to.offset(offsets[i])` where the mask is set, in order of lanes.
    ///
    /// # Safety
    /// The selected elements are writable.
    unsafe fn scatter<S: Simd>(to: *mut Self, offsets: S::I64, mask: S::Mask, lanes: Vector<S, Self>);
}

/// Storage types that compute in f32: f32, f16, bf16. The bound of a generic kernel.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not compute in f32, so no kernel with `T: Float` takes it",
    label = "not a `Float` element type",
    note = "`Float` is f32, f16 and bf16; write an f64 kernel with `f64` in its signature"
)]
pub trait Float: Element<Lane = f32> {}
