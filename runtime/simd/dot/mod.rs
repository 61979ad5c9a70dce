//! Matrix products: packing and register-blocked microkernels, plain functions per instruction set.
//!
//! ```text
//!            j ->                     the right operand as panels, each [k][panel width]:
//!          +--------+                 packed once per launch (Packed), or rows of a tensor whose
//!          |  b     | p               j is contiguous, or packed here into the scratch memory
//!          +--------+
//!  +----+  +--------+
//!  | a  |  |  c     | i               the left operand as rows `ROW` apart in the scratch memory,
//!  +----+  +--------+                 so that a microkernel has one pointer and constant offsets
//!    p
//! ```
//!
//! A microkernel keeps a few rows by one panel of `c` in registers. Few rows (or columns)
//! against an operand whose contracted axis is contiguous are inner products, unpacked.
//! Shorter floats and small integers are widened while they are packed or loaded.

mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod describe;
mod inner;
mod kept;
mod kernels;
mod layout;
mod memory;
mod micro;
mod packed;
mod portable;
mod product;
mod register;
#[cfg(test)]
mod tests;

use super::InstructionSet;
use crate::element::{Element, Kind};
pub use amx::TiledTile;
pub(crate) use describe::{Described, describe, unit_multiply_adds};
pub use kept::Kept;
pub use memory::Scratch;
pub(crate) use micro::hidden;
pub(crate) use packed::is_as_good_as_packed;
pub use packed::{Packed, PackedTile, has_matrix_unit, panel_width};
use product::{Problem, product};

/// An operand in memory: element `(f, c)` is at `ptr + f · free + c · contracted`, counted in elements;
/// strides may be 0 or negative.
#[derive(Clone, Copy, Debug)]
pub struct Strided {
    /// Element `(0, 0)`, aligned for its type.
    pub ptr: *const u8,
    /// The type of the elements.
    pub kind: Kind,
    /// The stride of the axis that stays: rows of the left operand, columns of the right.
    pub free: isize,
    /// The stride of the axis that is summed over.
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
        let elements = free as isize * self.free + contracted as isize * self.contracted;
        Strided { ptr: self.ptr.wrapping_offset(elements * self.kind.size() as isize), ..self }
    }

    /// The same elements with the axes exchanged.
    pub(super) fn transposed(self) -> Strided {
        Strided { free: self.contracted, contracted: self.free, ..self }
    }
}

/// The right operand of [`dot_f32`].
#[derive(Clone, Copy, Debug)]
pub enum Operand {
    /// In memory, as it is.
    Strided(Strided),
    /// Packed once for many products.
    Packed(PackedTile),
    /// The same in tiles: for a matrix unit, or bytes for vectors.
    Tiled(TiledTile),
}

impl From<Strided> for Operand {
    fn from(strided: Strided) -> Operand {
        Operand::Strided(strided)
    }
}

impl From<PackedTile> for Operand {
    fn from(tile: PackedTile) -> Operand {
        Operand::Packed(tile)
    }
}

/// `c[i·ldc + j] = (accumulate ? c[i·ldc + j] : 0) + Σ_p a(i, p) · b(j, p)` for `i < m`, `j < n`,
/// `p < k`. Operands are f32, f16, bf16 or 8-bit floats; sums are f32, in an order that the instruction set chooses.
/// Only those elements of `c` are written.
///
/// ```
/// use tilewright::simd::InstructionSet;
/// use tilewright::simd::dot::{Operand, Scratch, Strided, dot_f32};
///
/// let (a, b, mut c) = ([1.0f32, 2.0], [3.0f32, 4.0, 5.0, 6.0], [0.0f32; 2]);
/// let (a, b) = (Strided::new(a.as_ptr(), 2, 1), Strided::new(b.as_ptr(), 1, 2));
/// let isa = InstructionSet::Scalar;
/// // SAFETY: one row of two elements, two by two, one row of two; no `c` is an operand.
/// unsafe { dot_f32(isa, 1, 2, 2, a, Operand::Strided(b), c.as_mut_ptr(), 2, false, &mut Scratch::new()) };
/// assert_eq!(c, [13.0, 16.0]);
/// ```
///
/// # Safety
/// The processor has `isa`; the named elements of `a` and `b` are readable, those of `c` writable (and
/// initialised if `accumulate`), `c` overlaps neither operand, `ldc >= n`. A packed `b` reaches to
/// column `n` and contracted index `k`.
///
/// # Panics
/// An operand is of another kind.
#[expect(clippy::too_many_arguments, reason = "a matrix product has these")]
pub unsafe fn dot_f32(
    isa: InstructionSet,
    m: usize,
    n: usize,
    k: usize,
    a: Strided,
    b: Operand,
    c: *mut f32,
    ldc: usize,
    accumulate: bool,
    scratch: &mut Scratch,
) {
    // SAFETY: the same contract.
    unsafe { linear_f32(isa, (m, n, k), a, b, std::ptr::null(), c, ldc, accumulate, scratch) }
}

/// [`dot_f32`] of the shape `(m, n, k)`, and then `c[i·ldc + j] += plus[j]`; not if `plus` is null.
///
/// # Safety
/// As [`dot_f32`]; `n` elements of `plus` are readable, and `c` does not overlap them.
///
/// # Panics
/// An operand is of another kind.
#[expect(clippy::too_many_arguments, reason = "a linear layer has these")]
pub unsafe fn linear_f32(
    isa: InstructionSet,
    (m, n, k): (usize, usize, usize),
    a: Strided,
    b: Operand,
    plus: *const f32,
    c: *mut f32,
    ldc: usize,
    accumulate: bool,
    scratch: &mut Scratch,
) {
    // SAFETY: the same contract.
    unsafe { product(isa, &Problem { m, n, k, a, b, c, ldc, accumulate }, plus, scratch) }
}

/// [`dot_f32`] for i8, u8, i16, u16 and i32 operands, in any mixture; sums are i32 and wrap. Only bytes can be
/// packed.
///
/// # Safety
/// As [`dot_f32`].
///
/// # Panics
/// An operand is of another kind.
#[expect(clippy::too_many_arguments, reason = "a matrix product has these")]
pub unsafe fn dot_i32(
    isa: InstructionSet,
    m: usize,
    n: usize,
    k: usize,
    a: Strided,
    b: Operand,
    c: *mut i32,
    ldc: usize,
    accumulate: bool,
    scratch: &mut Scratch,
) {
    // SAFETY: the same contract.
    unsafe { product(isa, &Problem { m, n, k, a, b, c, ldc, accumulate }, std::ptr::null(), scratch) }
}

macro_rules! dots {
    ($($(#[$doc:meta])* $name:ident: $T:ty as $Sum:ty;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// As [`dot_f32`].
        ///
        /// # Panics
        /// An operand is of another kind.
        #[expect(clippy::too_many_arguments, reason = "a matrix product has these")]
        pub unsafe fn $name(
            isa: InstructionSet,
            m: usize,
            n: usize,
            k: usize,
            a: Strided,
            b: Strided,
            c: *mut $T,
            ldc: usize,
            accumulate: bool,
            scratch: &mut Scratch,
        ) {
            let (b, c) = (Operand::Strided(b), c.cast::<$Sum>());
            // SAFETY: the same contract; where the types differ they have the same size and bits.
            unsafe { product(isa, &Problem { m, n, k, a, b, c, ldc, accumulate }, std::ptr::null(), scratch) }
        }
    )*};
}
dots! {
    /// [`dot_f32`] for f64.
    dot_f64: f64 as f64;
    /// [`dot_f32`] for i64; sums wrap.
    dot_i64: i64 as i64;
    /// [`dot_f32`] for u32; sums wrap.
    dot_u32: u32 as i32;
}
