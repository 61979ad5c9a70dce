//! The functions of each instruction set, as tables: differences between targets are data.

use super::inner::{INNER_ROWS, InnerKernel, InnerKernels, OUTER_ROWS, OuterKernel};
use super::layout::Layout;
use super::micro::Micro;
use super::portable;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::element::Kind;
use crate::simd::InstructionSet;
use crate::{f8e4m3, f8e5m2};
use half::{bf16, f16};

/// The functions of an instruction set for products of `T`.
pub(super) struct Kernels<T: 'static> {
    /// Lanes of a register.
    pub(super) lanes: usize,
    /// `micro[registers - 1][rows - 1][whole or with a tail]`.
    pub(super) micro: &'static [&'static [[Micro<T>; 2]]],
    /// `alone[rows - 1]`, of as many registers as there can be: for no other rows than these. None: as for others.
    pub(super) alone: &'static [Micro<T>],
    /// For a few rows, if it is f32 that is multiplied.
    pub(super) few: Option<&'static Few>,
    /// How operands of 32 bits are laid out.
    pub(super) layout: Option<&'static Layout>,
}

/// The functions for products of a few rows.
pub(super) struct Few {
    /// `inner[stored][rows - 1]`.
    pub(super) inner: &'static [[InnerKernels; INNER_ROWS]; 5],
    /// `outer[stored][rows - 1][one contracted element, or several]`.
    pub(super) outer: &'static [[[OuterKernel; 2]; OUTER_ROWS]; 5],
    /// One row of f32, where the processor follows lines.
    pub(super) outer_alone: OuterKernel,
    /// One row by one line after the other, of each stored type, where the processor follows lines.
    pub(super) inner_alone: [InnerKernel; 5],
}

impl<T> Kernels<T> {
    /// Columns of a panel.
    pub(super) fn width(&self) -> usize {
        self.lanes * self.micro.len()
    }

    /// The registers of the next microkernel along `columns` columns: the widest, unless the widest and one
    /// register more remain, which are better halved.
    pub(super) fn registers(&self, columns: usize) -> usize {
        let (left, widest) = (columns.div_ceil(self.lanes), self.micro.len());
        if left == widest + 1 { left.div_ceil(2) } else { left.min(widest) }
    }

    /// Columns of the panels of an operand of `n` columns: as many as the widest microkernel takes, unless that
    /// leaves one register of few, and a narrower one none.
    pub(super) fn panel(&self, n: usize) -> usize {
        let (registers, widest) = (n.div_ceil(self.lanes), self.micro.len());
        let leaves_one = registers % widest == 1 && (2..8 * widest).contains(&registers);
        if widest > 2 && leaves_one && registers.is_multiple_of(widest - 1) {
            self.lanes * (widest - 1)
        } else {
            self.width()
        }
    }
}

/// What products are computed in: f32, f64, i32 (also u32, the same bits) or i64.
pub(super) trait Number: Copy + Default + PartialEq + Send + Sync + 'static {
    /// 1.
    const ONE: Self;
    /// Its functions.
    fn kernels(isa: InstructionSet) -> &'static Kernels<Self>;
    /// Their sum; integers wrap.
    fn plus(self, other: Self) -> Self;
    /// Whether elements of this kind are `Self` as they are.
    fn is_plain(kind: Kind) -> bool;
    /// Element after element, widened to `Self`.
    ///
    /// # Safety
    /// As [`each`].
    unsafe fn widen(kind: Kind, from: *const u8, stride: isize, to: &mut [Self]);
}

/// # Safety
/// `to.len()` elements, `stride` apart, are readable from `from` on.
unsafe fn each<E: Copy, T>(from: *const u8, stride: isize, to: &mut [T], widen: impl Fn(E) -> T) {
    let from = from.cast::<E>();
    for (i, to) in to.iter_mut().enumerate() {
        // SAFETY: promised by the caller.
        *to = widen(unsafe { *from.offset(i as isize * stride) });
    }
}

macro_rules! numbers {
    ($($T:ty, $TABLE:ident, $plus:expr, plain $($PLAIN:ident)|+, { $($KIND:ident: $E:ty => $widen:expr,)* })*) => {$(
        impl Number for $T {
            const ONE: $T = 1 as $T;
            fn kernels(isa: InstructionSet) -> &'static Kernels<$T> {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 => &avx512::$TABLE,
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx2 => &avx2::$TABLE,
                    #[cfg(not(target_arch = "x86_64"))]
                    InstructionSet::Avx512 | InstructionSet::Avx2 => &portable::$TABLE,
                    InstructionSet::Scalar => &portable::$TABLE,
                }
            }
            fn plus(self, other: $T) -> $T {
                $plus(self, other)
            }
            fn is_plain(kind: Kind) -> bool {
                matches!(kind, $(Kind::$PLAIN)|+)
            }
            unsafe fn widen(kind: Kind, from: *const u8, stride: isize, to: &mut [$T]) {
                match kind {
                    // SAFETY: the same contract.
                    $(Kind::$KIND => unsafe { each::<$E, $T>(from, stride, to, $widen) },)*
                    _ => panic!("a product in {} has no operands of {kind}", stringify!($T)),
                }
            }
        }
    )*};
}
numbers! {
    f32, F32, |x: f32, y: f32| x + y, plain F32, {
        F32: f32 => |x| x,
        F16: f16 => f16::to_f32,
        Bf16: bf16 => bf16::to_f32,
        F8E4m3: f8e4m3 => f8e4m3::to_f32,
        F8E5m2: f8e5m2 => f8e5m2::to_f32,
    }
    f64, F64, |x: f64, y: f64| x + y, plain F64, {
        F64: f64 => |x| x,
    }
    i32, I32, i32::wrapping_add, plain I32 | U32, {
        I8: i8 => i32::from,
        U8: u8 => i32::from,
        I16: i16 => i32::from,
        U16: u16 => i32::from,
        I32: i32 => |x| x,
        U32: u32 => |x| x as i32,
    }
    i64, I64, i64::wrapping_add, plain I64, {
        I64: i64 => |x| x,
    }
}
