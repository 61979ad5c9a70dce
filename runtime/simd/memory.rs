//! Loads and stores of each storage width, that an instruction set may have instructions for.

use super::{E4M3, E5M2, Integers, Simd, Vector};
use crate::{f8e4m3, f8e5m2};
use half::{bf16, f16};

macro_rules! memory {
    ($($load:ident $store:ident: $T:ident = $Of:ident, |$x:ident| $widen:expr, |$y:ident| $narrow:expr;)*) => {$(
        /// Loads and widens.
        ///
        /// # Safety
        /// The `n` elements are readable; `n <= LANES`.
        #[inline(always)]
        unsafe fn $load(from: *const $T, n: usize) -> <Self::Set as Simd>::$Of {
            Vector::from_lanes(|i| {
                if i < n {
                    // SAFETY: `i < n`, and the caller says that `n` elements are readable.
                    let $x = unsafe { from.add(i).read() };
                    $widen
                } else {
                    Default::default()
                }
            })
        }
        /// Narrows and stores.
        ///
        /// # Safety
        /// The `n` elements are writable; `n <= LANES`.
        #[inline(always)]
        unsafe fn $store(to: *mut $T, lanes: <Self::Set as Simd>::$Of, n: usize) {
            for i in 0..n {
                let $y = lanes.lane(i);
                // SAFETY: `i < n`, and the caller says that `n` elements are writable.
                unsafe { to.add(i).write($narrow) };
            }
        }
    )*};
}
/// What [`Element`](crate::Element) is built on. The loads read `n` elements (`1 ..= LANES`) and the
/// other lanes are zero; the stores write `n`; neither touches memory past them. The bodies here
/// are loops over lanes.
///
/// # Safety
/// As [`Simd`]; overriding functions keep to the elements named.
pub unsafe trait Memory: Sized {
    /// The instruction set: `Self`.
    type Set: Simd;
    memory! {
        load_f32 store_f32: f32 = F32, |x| x, |x| x;
        load_f64 store_f64: f64 = F64, |x| x, |x| x;
        load_i64 store_i64: i64 = I64, |x| x, |x| x;
        load_i32 store_i32: i32 = I32, |x| x, |x| x;
        load_u32 store_u32: u32 = U32, |x| x, |x| x;
        load_i16 store_i16: i16 = I32, |x| i32::from(x), |x| x as i16;
        load_u16 store_u16: u16 = I32, |x| i32::from(x), |x| x as u16;
        load_i8 store_i8: i8 = I32, |x| i32::from(x), |x| x as i8;
        load_u8 store_u8: u8 = I32, |x| i32::from(x), |x| x as u8;
        load_bool store_bool: bool = Mask, |x| x, |x| x;
        load_f16 store_f16: f16 = F32, |x| f16::to_f32(x), |x| f16::from_f32(x);
    }
    /// Stores all lanes past the caches, where there is an instruction for that; to be followed by
    /// [`Memory::settle`].
    ///
    /// # Safety
    /// The elements are writable, and the first at a multiple of their size together.
    #[inline(always)]
    unsafe fn stream_f32(to: *mut f32, lanes: <Self::Set as Simd>::F32) {
        // SAFETY: the same elements.
        unsafe { Self::store_f32(to, lanes, Self::Set::LANES) }
    }
    /// [`Memory::stream_f32`] for f16.
    ///
    /// # Safety
    /// As for `stream_f32`.
    #[inline(always)]
    unsafe fn stream_f16(to: *mut f16, lanes: <Self::Set as Simd>::F32) {
        // SAFETY: the same elements.
        unsafe { Self::store_f16(to, lanes, Self::Set::LANES) }
    }
    /// [`Memory::stream_f32`] for the low halves of words.
    ///
    /// # Safety
    /// As for `stream_f32`.
    #[inline(always)]
    unsafe fn stream_i16(to: *mut i16, lanes: <Self::Set as Simd>::I32) {
        // SAFETY: the same elements.
        unsafe { Self::store_i16(to, lanes, Self::Set::LANES) }
    }
    /// [`Memory::stream_f32`] for bf16.
    ///
    /// # Safety
    /// As for `stream_f32`.
    #[inline(always)]
    unsafe fn stream_bf16(to: *mut bf16, lanes: <Self::Set as Simd>::F32) {
        let bits = bf16_bits::<Self::Set>(lanes).shr(Vector::splat(16));
        // SAFETY: the same elements: a bf16 is 16 bits.
        unsafe { Self::stream_i16(to.cast(), bits) }
    }
    /// What was stored past the caches becomes visible before what this thread stores from now on.
    #[inline(always)]
    fn settle() {}
    /// Loads and widens.
    ///
    /// # Safety
    /// The `n` elements are readable; `n <= LANES`.
    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16, n: usize) -> <Self::Set as Simd>::F32 {
        // SAFETY: the same elements: a bf16 is 16 bits.
        let bits = unsafe { Self::load_u16(from.cast(), n) };
        <Self::Set as Simd>::from_bits(bits.shl(Vector::splat(16)))
    }
    /// Rounds to nearest even and stores.
    ///
    /// # Safety
    /// The `n` elements are writable; `n <= LANES`.
    #[inline(always)]
    unsafe fn store_bf16(to: *mut bf16, lanes: <Self::Set as Simd>::F32, n: usize) {
        let bits = bf16_bits::<Self::Set>(lanes).shr(Vector::splat(16));
        // SAFETY: the same elements: a bf16 is 16 bits.
        unsafe { Self::store_i16(to.cast(), bits, n) }
    }
    /// Loads and widens.
    ///
    /// # Safety
    /// The `n` elements are readable; `n <= LANES`.
    #[inline(always)]
    unsafe fn load_f8e4m3(from: *const f8e4m3, n: usize) -> <Self::Set as Simd>::F32 {
        // SAFETY: the same elements: an f8e4m3 is 8 bits.
        E4M3.widen::<Self::Set>(unsafe { Self::load_u8(from.cast(), n) })
    }
    /// Rounds to nearest even, saturates and stores.
    ///
    /// # Safety
    /// The `n` elements are writable; `n <= LANES`.
    #[inline(always)]
    unsafe fn store_f8e4m3(to: *mut f8e4m3, lanes: <Self::Set as Simd>::F32, n: usize) {
        // SAFETY: the same elements: an f8e4m3 is 8 bits.
        unsafe { Self::store_i8(to.cast(), E4M3.narrow::<Self::Set>(lanes), n) }
    }
    /// Loads and widens.
    ///
    /// # Safety
    /// The `n` elements are readable; `n <= LANES`.
    #[inline(always)]
    unsafe fn load_f8e5m2(from: *const f8e5m2, n: usize) -> <Self::Set as Simd>::F32 {
        // SAFETY: the same elements: an f8e5m2 is 8 bits.
        E5M2.widen::<Self::Set>(unsafe { Self::load_u8(from.cast(), n) })
    }
    /// Rounds to nearest even, saturates and stores.
    ///
    /// # Safety
    /// The `n` elements are writable; `n <= LANES`.
    #[inline(always)]
    unsafe fn store_f8e5m2(to: *mut f8e5m2, lanes: <Self::Set as Simd>::F32, n: usize) {
        // SAFETY: the same elements: an f8e5m2 is 8 bits.
        unsafe { Self::store_i8(to.cast(), E5M2.narrow::<Self::Set>(lanes), n) }
    }
    /// Rounded to what an f16 can hold.
    #[inline(always)]
    fn round_f16(x: <Self::Set as Simd>::F32) -> <Self::Set as Simd>::F32 {
        Vector::from_lanes(|i| f16::from_f32(x.lane(i)).to_f32())
    }
}

/// Rounds f32 lanes to bf16, nearest even, in the upper halves of the bits; NaNs stay NaN.
#[inline(always)]
pub(crate) fn bf16_bits<S: Simd>(x: S::F32) -> S::I32 {
    let int = S::I32::splat;
    let bits = S::to_bits(x);
    let odd = bits.shr(int(16)).and(int(1));
    let rounded = bits.add(odd).add(int(0x7FFF));
    let quiet = bits.or(int(0x0040_0000));
    S::I32::select(x.ne(x), quiet, rounded).and(int(0xFFFF_0000_u32 as i32))
}
