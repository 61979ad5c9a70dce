//! A right operand packed once for all programs of a launch.

use super::kernels::Number;
use super::layout::lay_out;
use super::memory::{Buffer, give, take};
use super::{Operand, Strided};
use crate::simd::InstructionSet;
use smallvec::SmallVec;

/// Columns of a panel of a [`Packed`] operand of `n` columns: block sizes of columns should be multiples of it.
///
/// ```
/// use tilewright::simd::{InstructionSet, dot::panel_width};
/// assert!(panel_width(InstructionSet::Scalar, 100) > 0);
/// ```
#[must_use]
pub fn panel_width(isa: InstructionSet, n: usize) -> usize {
    f32::kernels(isa).panel(n)
}

/// Fewer elements than this are packed by the calling thread: waking another takes longer.
const WORTH_SHARING: usize = 1 << 16;

/// Right operands of f32 products as panels `[batch][panel][k][panel width]`, widened to f32.
#[derive(Debug)]
pub struct Packed {
    buffer: Option<Buffer>,
    source: Strided,
    batches: Batches,
    panels: usize,
    n: usize,
    k: usize,
    width: usize,
}

/// Lengths and strides of batch axes, outermost first.
type Batches = SmallVec<[(usize, isize); 4]>;

/// The source of operand `batch`, counted row-major.
fn of_batch(source: Strided, batches: &[(usize, isize)], mut batch: usize) -> Strided {
    let mut elements = 0;
    for (length, stride) in batches.iter().rev() {
        elements += (batch % length) as isize * stride;
        batch /= length;
    }
    Strided { ptr: source.ptr.wrapping_offset(elements * source.kind.size() as isize), ..source }
}

impl Packed {
    /// Packs `n` columns by `k` contracted elements (f32, f16 or bf16). `batches` are lengths and strides (in elements) of up to four further axes, outermost
    /// first: there is one operand for each combination of their indices. `share` is given a count and
    /// what to do for each number below it, once, on any threads.
    ///
    /// ```
    /// use tilewright::simd::InstructionSet;
    /// use tilewright::simd::dot::{Packed, Strided};
    ///
    /// let b = [1.0f32; 2 * 3 * 4];
    /// let b = Strided::new(b.as_ptr(), 4, 1);
    /// // SAFETY: two operands of three columns by four.
    /// let packed = unsafe {
    ///     Packed::pack(InstructionSet::Scalar, b, &[(2, 12)], 3, 4, |count, work| (0..count).for_each(work))
    /// };
    /// let second = packed.tile(1, 0, 0);
    /// # let _ = second;
    /// ```
    ///
    /// # Safety
    /// The processor has `isa`; all those elements are readable for as long as `self` lives.
    ///
    /// # Panics
    /// The operand is of another kind.
    #[must_use]
    pub unsafe fn pack(
        isa: InstructionSet,
        source: Strided,
        batches: &[(usize, isize)],
        n: usize,
        k: usize,
        share: impl FnOnce(usize, &(dyn Fn(usize) + Sync)),
    ) -> Packed {
        let width = panel_width(isa, n);
        let count: usize = batches.iter().map(|(length, _)| length).product();
        let panels = n.div_ceil(width);
        let elements = [panels, k, width].into_iter().fold(count, usize::saturating_mul);
        let buffer = take(elements.saturating_mul(size_of::<f32>()));
        let job = Job { isa, source, batches, n, k, panels, width, to: buffer.pointer().cast() };
        // SAFETY: the caller's contract; the buffer has room for every panel, each of which is written once.
        let pack = |idx: usize| unsafe { job.pack(idx) };
        if elements < WORTH_SHARING {
            (0..count * panels).for_each(pack);
        } else {
            share(count * panels, &pack);
        }
        let batches = batches.into();
        Packed { buffer: Some(buffer), source, batches, panels, n, k, width }
    }

    /// Operand `batch` (row-major over the batch axes) from column `j` and contracted index `k` on.
    /// Where no panel begins at `j`, the operand in place: as right, and slower.
    #[must_use]
    pub fn tile(&self, batch: usize, j: usize, k: usize) -> Operand {
        debug_assert!(j <= self.n && k <= self.k, "({j}, {k}) is outside of {} by {}", self.n, self.k);
        if !j.is_multiple_of(self.width) {
            return Operand::Strided(of_batch(self.source, &self.batches, batch).at(j, k));
        }
        let panel = self.k * self.width;
        let at = (batch * self.panels + j / self.width) * panel + k * self.width;
        let base = self.buffer.as_ref().map_or(std::ptr::null(), |buffer| buffer.pointer().cast_const());
        let ptr = base.cast::<f32>().wrapping_add(at);
        Operand::Packed(PackedTile { ptr, panel, width: self.width })
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            give(buffer);
        }
    }
}

/// A part of a [`Packed`] operand, valid while that lives. It knows the width of its panels, so any
/// instruction set can read it; the one it was packed for is fastest.
#[derive(Clone, Copy, Debug)]
pub struct PackedTile {
    /// Its first element.
    pub(super) ptr: *const f32,
    /// Elements from one panel to the next.
    pub(super) panel: usize,
    /// Columns of a panel.
    pub(super) width: usize,
}

// SAFETY: it is a pointer to memory that nobody writes while it is read, valid on any thread.
unsafe impl Send for PackedTile {}
// SAFETY: as above.
unsafe impl Sync for PackedTile {}

/// What the threads that pack share.
struct Job<'a> {
    isa: InstructionSet,
    source: Strided,
    batches: &'a [(usize, isize)],
    n: usize,
    k: usize,
    panels: usize,
    width: usize,
    to: *mut f32,
}

// SAFETY: threads read the source, which nobody writes, and each writes panels of its own.
unsafe impl Sync for Job<'_> {}

impl Job<'_> {
    /// Packs panel `idx`, counted over all batches.
    ///
    /// # Safety
    /// The panel's columns are readable and its place is writable, by nobody else at the time.
    unsafe fn pack(&self, idx: usize) {
        let (batch, column) = (idx / self.panels, idx % self.panels * self.width);
        let source = of_batch(self.source, self.batches, batch).at(column, 0);
        let to = self.to.wrapping_add(idx * self.k * self.width);
        let size = (self.k, self.width.min(self.n - column));
        // SAFETY: the caller's contract.
        unsafe { lay_out(self.isa, source.transposed(), size, to, self.width) }
    }
}
