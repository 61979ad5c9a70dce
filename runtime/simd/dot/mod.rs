//! Matrix products: packing and register-blocked microkernels.
//!
//! Every product is `c[i, j] (+)= Σ_p a(i, p) · b(j, p)`. Operands lie in memory with any strides; a right
//! operand that many programs share is packed once per launch ([`Packed`]). The structure is that of
//! Goto and van de Geijn (Anatomy of High-Performance Matrix Multiplication, 2008): the right operand in
//! panels of a few vectors' width that stay in L1, a left block that stays in L2, and a microkernel that
//! keeps its part of `c` in registers.
//!
//! ```text
//!            panel 0   panel 1              right operand, packed: [panel][k][width]
//!           ┌───────┬───────┬──
//!         k │       │       │
//!           └───────┴───────┴──
//!      ┌──┐ ┌───────┬───────┬──
//!  ROWS│  │ │ registers     │              c
//!      └──┘ └───────┴───────┴──
//! ```
//!
//! The functions are plain: generated code calls them, and they are as fast in a user's debug build as the
//! library was compiled.

mod buffer;
mod float;
mod lanes;
mod pack;
mod packed;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
use super::{Avx2, Avx512};
use super::{InstructionSet, Portable};
use crate::element::{Element, Kind};
use buffer::Buffer;

pub use packed::{Packed, PackedTile};

/// An operand in memory: element `(free, contracted)` lies at `ptr + free * self.free + contracted *
/// self.contracted`, counted in elements of `kind`.
#[derive(Clone, Copy, Debug)]
pub struct Strided {
    /// Element (0, 0).
    pub ptr: *const u8,
    /// Element type.
    pub kind: Kind,
    /// Stride of the axis that the result keeps.
    pub free: isize,
    /// Stride of the axis that is contracted.
    pub contracted: isize,
}

// SAFETY: a pointer and numbers; whoever follows the pointer answers for it.
unsafe impl Send for Strided {}
// SAFETY: as above.
unsafe impl Sync for Strided {}

impl Strided {
    /// An operand of `E` elements at `ptr`.
    #[must_use]
    pub fn new<E: Element>(ptr: *const E, free: isize, contracted: isize) -> Strided {
        Strided { ptr: ptr.cast(), kind: E::KIND, free, contracted }
    }

    /// The same operand from element `(free, contracted)` on.
    #[must_use]
    pub fn at(self, free: usize, contracted: usize) -> Strided {
        let elements = free.cast_signed() * self.free + contracted.cast_signed() * self.contracted;
        let ptr = self.ptr.wrapping_offset(elements * self.kind.size().cast_signed());
        Strided { ptr, ..self }
    }
}

/// A right operand.
#[derive(Clone, Copy, Debug)]
pub enum Operand {
    /// In place; packed on the fly where that pays.
    Strided(Strided),
    /// Packed before the launch's programs ran.
    Packed(PackedTile),
}

/// Reused memory of one thread: the panels of a product.
#[derive(Debug, Default)]
pub struct Scratch {
    left: Buffer,
    right: Buffer,
}

/// Rows and columns of the result, length of the contracted axis.
#[derive(Clone, Copy, Debug)]
struct Shape {
    m: usize,
    n: usize,
    k: usize,
}

/// How many columns a packed panel has: blocks of the right operand's free axis begin at multiples of it.
///
/// ```
/// use tilewright::simd::{InstructionSet, dot::panel_width};
/// assert!(panel_width(InstructionSet::Scalar).is_power_of_two());
/// ```
#[must_use]
pub fn panel_width(isa: InstructionSet) -> usize {
    match isa {
        InstructionSet::Scalar => 8,
        InstructionSet::Avx2 => 16,
        InstructionSet::Avx512 => 32,
    }
}

/// Declares one copy of a generic body for each instruction set, and the function that chooses.
macro_rules! per_instruction_set {
    ($(#[$doc:meta])* $vis:vis unsafe fn $name:ident ( $($arg:ident : $ty:ty),* ) = $scalar:path; $a:path; $b:path) => {
        $(#[$doc])*
        #[expect(clippy::too_many_arguments, reason = "a product has two operands, a result and their sizes")]
        $vis unsafe fn $name(isa: InstructionSet, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            super::with_avx2! {
                unsafe fn avx2($($arg: $ty),*) {
                    // SAFETY: the caller's obligations are the body's.
                    unsafe { $a($($arg),*) }
                }
            }
            #[cfg(target_arch = "x86_64")]
            super::with_avx512! {
                unsafe fn avx512($($arg: $ty),*) {
                    // SAFETY: the caller's obligations are the body's.
                    unsafe { $b($($arg),*) }
                }
            }
            match isa {
                // SAFETY: the caller's obligations are the body's.
                InstructionSet::Scalar => unsafe { $scalar($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above; the caller names an instruction set that the processor has.
                InstructionSet::Avx2 => unsafe { avx2($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                InstructionSet::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(not(target_arch = "x86_64"))]
                // SAFETY: the caller's obligations are the body's.
                InstructionSet::Avx2 | InstructionSet::Avx512 => unsafe { $scalar($($arg),*) },
            }
        }
    };
}

per_instruction_set! {
    /// f32, f16 and bf16 operands (each of its own), computed in f32.
    ///
    /// # Safety
    /// `m × k` elements of `a` and `n × k` of `b` are readable; `c[i * ldc + j]` is writable for `i < m`,
    /// `j < n`, initialised if `accumulate`, and overlaps neither operand; `isa` is available.
    pub unsafe fn dot_f32(m: usize, n: usize, k: usize, a: Strided, b: Operand, c: *mut f32, ldc: usize, accumulate: bool, scratch: &mut Scratch)
        = float::product::<Portable, 4, 2>; float::product::<Avx2, 6, 2>; float::product::<Avx512, 12, 2>
}

macro_rules! lane_products {
    ($($(#[$doc:meta])* $name:ident: $T:ty;)*) => {$(
        per_instruction_set! {
            $(#[$doc])*
            ///
            /// # Safety
            /// As for [`dot_f32`].
            pub unsafe fn $name(m: usize, n: usize, k: usize, a: Strided, b: Strided, c: *mut $T, ldc: usize, accumulate: bool, scratch: &mut Scratch)
                = lanes::product::<Portable, $T>; lanes::product::<Avx2, $T>; lanes::product::<Avx512, $T>
        }
    )*};
}
lane_products! {
    /// f64 operands.
    dot_f64: f64;
    /// i8, u8, i16, u16 and i32 operands; sums wrap.
    dot_i32: i32;
    /// u32 operands; sums wrap.
    dot_u32: u32;
    /// i64 operands; sums wrap.
    dot_i64: i64;
}
