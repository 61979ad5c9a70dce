//! A right operand packed once per launch and shared by all programs.

use super::buffer::Buffer;
use super::{Operand, Strided, pack, panel_width};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{InstructionSet, Portable};
use rayon::prelude::*;
use smallvec::SmallVec;
use std::sync::Mutex;

/// Buffers that no launch uses: the steady state neither allocates nor faults pages.
static IDLE: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());

/// Panels `[batch][panel][k][width]` of a right operand, widened to f32.
#[derive(Debug)]
pub struct Packed {
    panels: Buffer,
    base: *const f32,
    isa: InstructionSet,
    source: Strided,
    batches: SmallVec<[(usize, isize); 4]>,
    n: usize,
    k: usize,
}

// SAFETY: the panels are written while `Packed` is made and only read afterwards; the source pointer is
// followed only by whoever answers for the operand.
unsafe impl Sync for Packed {}
// SAFETY: as above.
unsafe impl Send for Packed {}

/// A part of a [`Packed`] operand: from some column and depth on.
#[derive(Clone, Copy, Debug)]
pub struct PackedTile {
    ptr: *const f32,
    /// Floats from one panel to the next.
    panel: usize,
    width: usize,
}

impl PackedTile {
    /// The first float of panel `j` counted from this tile's first column.
    pub(super) fn panel(self, j: usize) -> *const f32 {
        self.ptr.wrapping_add(j * self.panel)
    }

    /// The same columns from depth `k` on.
    pub(super) fn deeper(self, k: usize) -> PackedTile {
        PackedTile { ptr: self.ptr.wrapping_add(k * self.width), ..self }
    }
}

impl Packed {
    /// Packs `n × k` elements for every batch index; `batches` gives each batch axis' length and stride,
    /// outermost first. Panels are packed in parallel.
    ///
    /// # Safety
    /// Those elements are readable for as long as `self` lives, and `isa` is available.
    #[must_use]
    pub unsafe fn pack(
        isa: InstructionSet,
        source: Strided,
        batches: &[(usize, isize)],
        n: usize,
        k: usize,
    ) -> Packed {
        let width = panel_width(isa);
        let (panels, count) =
            (n.div_ceil(width), batches.iter().map(|(length, _)| length).product::<usize>());
        let floats = panels * k * width;
        let mut memory = take(floats * count * size_of::<f32>());
        let base = Shared(memory.reserve::<f32>(floats * count));
        let one = |at: usize| {
            let (batch, panel) = (at / panels, at % panels);
            let from = offset(source, batches, batch).at(panel * width, 0);
            let columns = width.min(n - panel * width);
            // SAFETY: panel `at` of the buffer is this call's alone, and the caller vouches for the source.
            unsafe { pack_panel(isa, from, columns, k, base.get().add(at * k * width), width) };
        };
        (0..panels * count).into_par_iter().with_min_len(1.max(16384 / (k * width).max(1))).for_each(one);
        let base = base.get().cast_const();
        Packed { panels: memory, base, isa, source, batches: batches.into(), n, k }
    }

    /// The operand from column `j` and depth `k` on, of batch `batch` (row-major over the batch axes).
    /// Where `j` begins no panel, the operand in place, which is slower and as right.
    #[must_use]
    pub fn tile(&self, batch: usize, j: usize, k: usize) -> Operand {
        let width = panel_width(self.isa);
        if !j.is_multiple_of(width) {
            return Operand::Strided(offset(self.source, &self.batches, batch).at(j, k));
        }
        let panel = self.k * width;
        let at = (batch * self.n.div_ceil(width) + j / width) * panel + k * width;
        Operand::Packed(PackedTile { ptr: self.base.wrapping_add(at), panel, width })
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.panels);
        if let Ok(mut idle) = IDLE.lock()
            && idle.len() < 16
        {
            idle.push(buffer);
        }
    }
}

/// The smallest idle buffer that is large enough, or an empty one.
fn take(bytes: usize) -> Buffer {
    let Ok(mut idle) = IDLE.lock() else { return Buffer::default() };
    let fits = idle.iter().enumerate().filter(|(_, buffer)| buffer.bytes() >= bytes);
    let best = fits.min_by_key(|(_, buffer)| buffer.bytes()).map(|(at, _)| at);
    best.map_or_else(Buffer::default, |at| idle.swap_remove(at))
}

fn offset(source: Strided, batches: &[(usize, isize)], mut batch: usize) -> Strided {
    let mut elements = 0;
    for &(length, stride) in batches.iter().rev() {
        elements += (batch % length).cast_signed() * stride;
        batch /= length;
    }
    let bytes = elements * source.kind.size().cast_signed();
    Strided { ptr: source.ptr.wrapping_offset(bytes), ..source }
}

#[derive(Clone, Copy)]
struct Shared(*mut f32);
// SAFETY: every task writes a panel of its own.
unsafe impl Sync for Shared {}
impl Shared {
    fn get(self) -> *mut f32 {
        self.0
    }
}

/// # Safety
/// As for `pack::panel`; `isa` is available.
unsafe fn pack_panel(
    isa: InstructionSet,
    from: Strided,
    columns: usize,
    k: usize,
    to: *mut f32,
    width: usize,
) {
    #[cfg(target_arch = "x86_64")]
    crate::simd::with_avx2! {
        unsafe fn avx2(from: Strided, columns: usize, k: usize, to: *mut f32, width: usize) {
            // SAFETY: the caller's obligations.
            unsafe { pack::panel::<Avx2>(from, columns, k, to, width) }
        }
    }
    #[cfg(target_arch = "x86_64")]
    crate::simd::with_avx512! {
        unsafe fn avx512(from: Strided, columns: usize, k: usize, to: *mut f32, width: usize) {
            // SAFETY: the caller's obligations.
            unsafe { pack::panel::<Avx512>(from, columns, k, to, width) }
        }
    }
    // SAFETY: the caller's obligations, and it names an instruction set that the processor has.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => avx2(from, columns, k, to, width),
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => avx512(from, columns, k, to, width),
            #[cfg(not(target_arch = "x86_64"))]
            InstructionSet::Avx2 | InstructionSet::Avx512 => {
                pack::panel::<Portable>(from, columns, k, to, width)
            }
            InstructionSet::Scalar => pack::panel::<Portable>(from, columns, k, to, width),
        }
    }
}
