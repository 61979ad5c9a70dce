//! Element types: what a tensor stores, and how lanes are loaded from and stored to memory.

use crate::simd::{self as lanes, E4M3, E5M2, Integers, Lane, Masks, Simd, bf16_bits};
use crate::{f8e4m3, f8e5m2};
use half::{bf16, f16};

/// The vector that elements of type `E` compute in, under the instruction set `S`.
pub type Vector<S, E> = <<E as Element>::Lane as Lane>::Of<S>;

/// An element type of tensors: f32, f64, f16, bf16, f8e4m3, f8e5m2, i8, u8, i16, u16, i32, u32, i64, bool.
///
/// # Safety
/// Every bit pattern of `size_of::<Self>()` zero bytes is a value; the loads and stores touch exactly
/// the elements that they document.
pub unsafe trait Element:
    Copy + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static
{
    /// What it computes in: f32 for shorter floats, i32 for small integers, else itself.
    type Lane: Lane;
    /// As in messages and in safetensors headers, in lower case: `f32`, `bf16`, `i64`, `bool`.
    const NAME: &'static str;
    /// The same as a value.
    const KIND: Kind;
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
    /// Writes all lanes, past the caches for types that have a way; to be followed by `S::settle()`.
    ///
    /// # Safety
    /// `to .. to + LANES` is writable, and `to` a multiple of its bytes.
    unsafe fn stream<S: Simd>(to: *mut Self, lanes: Vector<S, Self>);
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

/// Storage types that compute in f32: f32, f16, bf16, f8e4m3, f8e5m2. The bound of a generic kernel.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not compute in f32, so no kernel with `T: Float` takes it",
    label = "not a `Float` element type",
    note = "`Float` is f32, f16, bf16, f8e4m3 and f8e5m2; write an f64 kernel with `f64` in its signature"
)]
pub trait Float: Element<Lane = f32> {}

/// Which element type: the same facts as [`Element`]'s, as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the types'")]
pub enum Kind {
    F32,
    F64,
    F16,
    Bf16,
    F8E4m3,
    F8E5m2,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    Bool,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 14] = [
        Kind::F32,
        Kind::F64,
        Kind::F16,
        Kind::Bf16,
        Kind::F8E4m3,
        Kind::F8E5m2,
        Kind::I8,
        Kind::U8,
        Kind::I16,
        Kind::U16,
        Kind::I32,
        Kind::U32,
        Kind::I64,
        Kind::Bool,
    ];

    /// As in messages: `f32`, `bf16`, `bool`.
    ///
    /// ```
    /// assert_eq!(tilewright::element::Kind::Bf16.name(), "bf16");
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::F32 => "f32",
            Kind::F64 => "f64",
            Kind::F16 => "f16",
            Kind::Bf16 => "bf16",
            Kind::F8E4m3 => "f8e4m3",
            Kind::F8E5m2 => "f8e5m2",
            Kind::I8 => "i8",
            Kind::U8 => "u8",
            Kind::I16 => "i16",
            Kind::U16 => "u16",
            Kind::I32 => "i32",
            Kind::U32 => "u32",
            Kind::I64 => "i64",
            Kind::Bool => "bool",
        }
    }

    /// Bytes of an element.
    ///
    /// ```
    /// assert_eq!(tilewright::element::Kind::F16.size(), 2);
    /// ```
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Kind::F64 | Kind::I64 => 8,
            Kind::F32 | Kind::I32 | Kind::U32 => 4,
            Kind::F16 | Kind::Bf16 | Kind::I16 | Kind::U16 => 2,
            Kind::F8E4m3 | Kind::F8E5m2 | Kind::I8 | Kind::U8 | Kind::Bool => 1,
        }
    }

    /// As in a safetensors header: `F32`, `BF16`, `F8_E4M3`, `BOOL`.
    ///
    /// ```
    /// assert_eq!(tilewright::element::Kind::F8E4m3.safetensors(), "F8_E4M3");
    /// ```
    #[must_use]
    pub const fn safetensors(self) -> &'static str {
        match self {
            Kind::F32 => "F32",
            Kind::F64 => "F64",
            Kind::F16 => "F16",
            Kind::Bf16 => "BF16",
            Kind::F8E4m3 => "F8_E4M3",
            Kind::F8E5m2 => "F8_E5M2",
            Kind::I8 => "I8",
            Kind::U8 => "U8",
            Kind::I16 => "I16",
            Kind::U16 => "U16",
            Kind::I32 => "I32",
            Kind::U32 => "U32",
            Kind::I64 => "I64",
            Kind::Bool => "BOOL",
        }
    }

    /// By the name in a safetensors header: `F32`, `BF16`, `BOOL`.
    ///
    /// ```
    /// use tilewright::element::Kind;
    /// assert_eq!(Kind::from_safetensors("BF16"), Some(Kind::Bf16));
    /// assert_eq!(Kind::from_safetensors("F8_E5M2"), Some(Kind::F8E5m2));
    /// assert_eq!(Kind::from_safetensors("F8_E8M0"), None);
    /// ```
    #[must_use]
    pub fn from_safetensors(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.safetensors() == name)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl Float for f32 {}
impl Float for f16 {}
impl Float for bf16 {}
impl Float for f8e4m3 {}
impl Float for f8e5m2 {}

/// The functions that go lane by lane, the same for all types.
macro_rules! one_by_one {
    () => {
        #[inline(always)]
        unsafe fn load_strided<S: Simd>(from: *const Self, stride: isize, n: usize) -> Vector<S, Self> {
            if stride == 1 {
                // SAFETY: the same elements.
                return unsafe { Self::load::<S>(from, n) };
            }
            lanes::Vector::from_lanes(|i| {
                if i < n {
                    // SAFETY: `i < n`; the caller says that this element is readable.
                    unsafe { from.offset(i as isize * stride).read() }.to_lane()
                } else {
                    Default::default()
                }
            })
        }
        #[inline(always)]
        unsafe fn store_strided<S: Simd>(to: *mut Self, stride: isize, lanes: Vector<S, Self>, n: usize) {
            if stride == 1 {
                // SAFETY: the same elements.
                return unsafe { Self::store::<S>(to, lanes, n) };
            }
            for i in 0..n {
                let value = Self::from_lane(lanes::Vector::lane(lanes, i));
                // SAFETY: `i < n`; the caller says that this element is writable.
                unsafe { to.offset(i as isize * stride).write(value) };
            }
        }
        #[inline(always)]
        unsafe fn gather<S: Simd>(from: *const Self, offsets: S::I64, mask: S::Mask) -> Vector<S, Self> {
            let bits = Masks::bits(mask);
            lanes::Vector::from_lanes(|i| {
                if bits >> i & 1 != 0 {
                    // SAFETY: the lane is selected; the caller says that its element is readable.
                    unsafe { from.offset(lanes::Vector::lane(offsets, i) as isize).read() }.to_lane()
                } else {
                    Default::default()
                }
            })
        }
        #[inline(always)]
        unsafe fn scatter<S: Simd>(to: *mut Self, offsets: S::I64, mask: S::Mask, lanes: Vector<S, Self>) {
            let bits = Masks::bits(mask);
            for i in 0..S::LANES {
                if bits >> i & 1 != 0 {
                    let value = Self::from_lane(lanes::Vector::lane(lanes, i));
                    // SAFETY: the lane is selected; the caller says that its element is writable.
                    unsafe { to.offset(lanes::Vector::lane(offsets, i) as isize).write(value) };
                }
            }
        }
    };
}

/// All lanes, past the caches for types that have a way.
macro_rules! stream {
    ($S:ident, $to:ident, $lanes:ident, $store:ident) => {
        $S::$store($to, $lanes, $S::LANES)
    };
    ($S:ident, $to:ident, $lanes:ident, $store:ident $stream:ident) => {
        $S::$stream($to, $lanes)
    };
}

macro_rules! elements {
    ($($T:ident: $Lane:ident, $KIND:ident, $load:ident, $store:ident $($stream:ident)?,
        |$wide:ident| $to:expr, |$narrow:ident| $from:expr, |$x:ident| $round:expr;)*) => {$(
        // SAFETY: zero bytes are 0 or false; the loads and stores are those of `Memory`, and loops
        // over the `n` or selected elements.
        unsafe impl Element for $T {
            type Lane = $Lane;
            const NAME: &'static str = Kind::$KIND.name();
            const KIND: Kind = Kind::$KIND;
            #[inline(always)]
            fn to_lane(self) -> $Lane {
                let $wide = self;
                $to
            }
            #[inline(always)]
            fn from_lane(lane: $Lane) -> Self {
                let $narrow = lane;
                $from
            }
            #[inline(always)]
            fn round<S: Simd>($x: Vector<S, Self>) -> Vector<S, Self> {
                $round
            }
            #[inline(always)]
            unsafe fn load<S: Simd>(from: *const Self, n: usize) -> Vector<S, Self> {
                // SAFETY: the same contract.
                unsafe { S::$load(from, n) }
            }
            #[inline(always)]
            unsafe fn store<S: Simd>(to: *mut Self, lanes: Vector<S, Self>, n: usize) {
                // SAFETY: the same contract.
                unsafe { S::$store(to, lanes, n) }
            }
            #[inline(always)]
            unsafe fn stream<S: Simd>(to: *mut Self, lanes: Vector<S, Self>) {
                // SAFETY: the same contract.
                unsafe { stream!(S, to, lanes, $store $($stream)?) }
            }
            one_by_one!();
        }
    )*};
}
elements! {
    f32: f32, F32, load_f32, store_f32 stream_f32, |x| x, |x| x, |x| x;
    f64: f64, F64, load_f64, store_f64, |x| x, |x| x, |x| x;
    f16: f32, F16, load_f16, store_f16 stream_f16, |x| x.to_f32(), |x| f16::from_f32(x), |x| S::round_f16(x);
    bf16: f32, Bf16, load_bf16, store_bf16 stream_bf16, |x| x.to_f32(), |x| bf16::from_f32(x),
        |x| S::from_bits(bf16_bits::<S>(x));
    f8e4m3: f32, F8E4m3, load_f8e4m3, store_f8e4m3, |x| x.to_f32(), |x| f8e4m3::from_f32(x),
        |x| E4M3.widen::<S>(E4M3.narrow::<S>(x));
    f8e5m2: f32, F8E5m2, load_f8e5m2, store_f8e5m2, |x| x.to_f32(), |x| f8e5m2::from_f32(x),
        |x| E5M2.widen::<S>(E5M2.narrow::<S>(x));
    i8: i32, I8, load_i8, store_i8, |x| i32::from(x), |x| x as i8, |x| sign_extend::<S>(x, 24);
    u8: i32, U8, load_u8, store_u8, |x| i32::from(x), |x| x as u8, |x| x.and(lanes::Vector::splat(0xFF));
    i16: i32, I16, load_i16, store_i16, |x| i32::from(x), |x| x as i16, |x| sign_extend::<S>(x, 16);
    u16: i32, U16, load_u16, store_u16, |x| i32::from(x), |x| x as u16, |x| x.and(lanes::Vector::splat(0xFFFF));
    i32: i32, I32, load_i32, store_i32, |x| x, |x| x, |x| x;
    u32: u32, U32, load_u32, store_u32, |x| x, |x| x, |x| x;
    i64: i64, I64, load_i64, store_i64, |x| x, |x| x, |x| x;
    bool: bool, Bool, load_bool, store_bool, |x| x, |x| x, |x| x;
}

/// Keeps the low `32 - unused` bits, as a signed number.
#[inline(always)]
fn sign_extend<S: Simd>(x: S::I32, unused: i32) -> S::I32 {
    let unused = lanes::Vector::splat(unused);
    x.shl(unused).shr(unused)
}
