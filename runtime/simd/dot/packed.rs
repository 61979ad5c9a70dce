//! A right operand packed once for all programs of a launch.

use super::amx::{self, Form, LINES, Task, TiledTile, Which};
use super::kernels::Number;
use super::layout::lay_out;
use super::memory::{Buffer, give, take};
use super::{Operand, Strided};
use crate::element::Kind;
use crate::simd::InstructionSet;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicBool, Ordering};

/// Block sizes of columns of products with `n` columns should be multiples of this: panels of a [`Packed`] operand
/// begin there.
///
/// ```
/// use tilewright::simd::{InstructionSet, dot::panel_width};
/// assert!(panel_width(InstructionSet::Scalar, 100) > 0);
/// ```
#[must_use]
pub fn panel_width(isa: InstructionSet, n: usize) -> usize {
    if n > 64 && amx::is_available(isa) { 2 * LINES } else { f32::kernels(isa).panel(n) }
}

/// Whether products with this instruction set go to a matrix unit, if they are large.
///
/// ```
/// use tilewright::simd::{InstructionSet, dot::has_matrix_unit};
/// assert!(!has_matrix_unit(InstructionSet::Scalar));
/// ```
#[must_use]
pub fn has_matrix_unit(isa: InstructionSet) -> bool {
    amx::is_available(isa)
}

/// Right operands as panels `[batch][panel][k][panel width]`, widened to f32, or in tiles, as for a matrix unit.
#[derive(Debug)]
pub struct Packed {
    buffer: Option<Buffer>,
    /// Its buffer is freed when it goes, not used again.
    is_kept: bool,
    source: Strided,
    batches: Batches,
    panels: usize,
    n: usize,
    k: usize,
    width: usize,
    /// If in tiles.
    form: Option<Form>,
    /// A number that tiles cannot hold: then nobody reads them.
    odd: AtomicBool,
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

/// The form and the columns of panels.
fn shape_of_panels(
    isa: InstructionSet,
    kind: Kind,
    rows: usize,
    (n, k): (usize, usize),
) -> (Option<Form>, usize) {
    let form = amx::form_of_packed(isa, kind, rows, n, k);
    (form, if form.is_some() { LINES } else { f32::kernels(isa).panel(n) })
}

impl Packed {
    /// Fewer elements than this are packed by the calling thread: waking another takes longer.
    const WORTH_SHARING: usize = 1 << 16;

    /// Whether an operand of this kind is better packed for products of `rows` rows at once. Bytes are only packed
    /// for what multiplies them in tiles: a matrix unit, or AVX-512 VNNI.
    ///
    /// ```
    /// use tilewright::element::Kind;
    /// use tilewright::simd::{InstructionSet, dot::Packed};
    ///
    /// assert!(Packed::suits(InstructionSet::Scalar, Kind::Bf16, 64, 100, 100));
    /// assert!(!Packed::suits(InstructionSet::Scalar, Kind::I8, 64, 100, 100));
    /// ```
    #[must_use]
    pub fn suits(isa: InstructionSet, kind: Kind, rows: usize, n: usize, k: usize) -> bool {
        let is_byte = matches!(kind, Kind::I8 | Kind::U8);
        !amx::is_left_in_place(isa, kind, rows, n, k)
            && (!is_byte || amx::form_of_packed(isa, kind, rows, n, k).is_some())
    }

    /// Packs `n` columns by `k` contracted elements (f32 and shorter floats; bytes where [`Packed::suits`] says so)
    /// for products of `rows` rows at once. `batches` are lengths and strides (in elements) of up to four further axes, outermost
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
    ///     Packed::pack(InstructionSet::Scalar, b, &[(2, 12)], 3, 4, 1, |count, work| (0..count).for_each(work))
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
        rows: usize,
        share: impl FnOnce(usize, &(dyn Fn(usize) + Sync)),
    ) -> Packed {
        // SAFETY: the same contract.
        unsafe { Packed::pack_into(take, isa, source, batches, (n, k), rows, share) }
    }

    /// As [`Packed::pack`], to be kept: in memory of its own, which nobody gets when it goes.
    ///
    /// # Safety
    /// As [`Packed::pack`].
    pub(crate) unsafe fn pack_to_keep(
        isa: InstructionSet,
        source: Strided,
        batches: &[(usize, isize)],
        (n, k): (usize, usize),
        rows: usize,
        share: impl FnOnce(usize, &(dyn Fn(usize) + Sync)),
    ) -> Packed {
        // SAFETY: the same contract.
        let mut packed = unsafe { Packed::pack_into(Buffer::new, isa, source, batches, (n, k), rows, share) };
        packed.is_kept = true;
        packed
    }

    /// # Safety
    /// As [`Packed::pack`].
    unsafe fn pack_into(
        memory: impl FnOnce(usize) -> Buffer,
        isa: InstructionSet,
        source: Strided,
        batches: &[(usize, isize)],
        (n, k): (usize, usize),
        rows: usize,
        share: impl FnOnce(usize, &(dyn Fn(usize) + Sync)),
    ) -> Packed {
        let (form, width) = shape_of_panels(isa, source.kind, rows, (n, k));
        let count: usize = batches.iter().map(|(length, _)| length).product();
        let panels = n.div_ceil(width);
        let elements = [panels, k, width].into_iter().fold(count, usize::saturating_mul);
        let panel = form.map_or(k.saturating_mul(width * size_of::<f32>()), |form| form.strip(k));
        let buffer = memory([count, panels].into_iter().fold(panel, usize::saturating_mul));
        let (to, odd) = (buffer.pointer(), AtomicBool::new(false));
        let job = Job { isa, source, batches, n, k, panels, width, panel, form, odd: &odd, to };
        // SAFETY: the caller's contract; the buffer has room for every panel, each of which is written once.
        let pack = |idx: usize| unsafe { job.pack(idx) };
        if elements < Packed::WORTH_SHARING {
            (0..count * panels).for_each(pack);
        } else {
            share(count * panels, &pack);
        }
        let batches = batches.into();
        Packed { buffer: Some(buffer), is_kept: false, source, batches, panels, n, k, width, form, odd }
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.as_ref().map_or(0, Buffer::bytes)
    }

    /// Whether it is what [`Packed::pack`] would make of the same.
    pub(crate) fn is_of(
        &self,
        isa: InstructionSet,
        source: Strided,
        batches: &[(usize, isize)],
        (n, k): (usize, usize),
        rows: usize,
    ) -> bool {
        let place = |side: Strided| (side.ptr, side.kind, side.free, side.contracted);
        (self.n, self.k, place(self.source)) == (n, k, place(source))
            && self.batches[..] == *batches
            && (self.form, self.width) == shape_of_panels(isa, source.kind, rows, (n, k))
    }

    /// Operand `batch` (row-major over the batch axes) from column `j` and contracted index `k` on.
    /// Where no panel begins at `j`, the operand in place: as right, and slower.
    #[must_use]
    pub fn tile(&self, batch: usize, j: usize, k: usize) -> Operand {
        debug_assert!(j <= self.n && k <= self.k, "({j}, {k}) is outside of {} by {}", self.n, self.k);
        let depth = self.form.map_or(1, Form::depth);
        let source = of_batch(self.source, &self.batches, batch).at(j, k);
        let begins = j.is_multiple_of(self.width) && k.is_multiple_of(depth);
        if !begins || self.odd.load(Ordering::Relaxed) {
            return Operand::Strided(source);
        }
        if let Some(form) = self.form {
            let strip = form.strip(self.k);
            let at = (batch * self.panels + j / LINES) * strip + form.strip(k);
            let ptr = self
                .buffer
                .as_ref()
                .map_or(std::ptr::null(), |buffer| buffer.pointer().wrapping_add(at).cast_const());
            return Operand::Tiled(TiledTile { ptr, strip, form, source });
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
        if let Some(buffer) = self.buffer.take()
            && !self.is_kept
        {
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
    /// Bytes of a panel.
    panel: usize,
    form: Option<Form>,
    odd: &'a AtomicBool,
    to: *mut u8,
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
        let to = self.to.wrapping_add(idx * self.panel);
        let columns = self.width.min(self.n - column);
        // SAFETY: the caller's contract.
        unsafe {
            if let Some(form) = self.form {
                let task = Task { which: Which::Right, form, from: source, lines: columns, k: self.k, to };
                if !amx::lay_out_strip(&task) {
                    self.odd.store(true, Ordering::Relaxed);
                }
            } else {
                lay_out(self.isa, source.transposed(), (self.k, columns), to.cast::<f32>(), self.width);
            }
        }
    }
}
