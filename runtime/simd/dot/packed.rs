//! A right operand packed once for all programs of a launch.
//!
//! Each matrix is packed when a program first reads it, by all threads that want it then: it is in their caches for the
//! programs that follow.

use super::amx::{self, Form, LINES, Task, TiledTile, Which};
use super::kernels::Number;
use super::layout::{lay_out, stored};
use super::memory::{Buffer, give, take};
use super::{Operand, Strided};
use crate::element::Kind;
use crate::simd::InstructionSet;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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

/// Whether microkernels read all of each cache line of a right operand where it is: rows of f32 that are so near to each
/// other that two panels cover them. Not for a matrix unit, which needs them in tiles.
#[must_use]
pub(crate) fn is_as_good_as_packed(isa: InstructionSet, source: Strided) -> bool {
    let near = 2 * f32::kernels(isa).width() as isize;
    let is_near = source.kind == Kind::F32 && source.free == 1 && (-near..=near).contains(&source.contracted);
    is_near && !amx::is_available(isa)
}

/// Right operands as panels `[batch][panel][k][panel width]`, widened to f32, or in tiles, as for a matrix unit.
#[derive(Debug)]
pub struct Packed {
    buffer: Option<Buffer>,
    /// Its buffer is freed when it goes, not used again.
    is_kept: bool,
    isa: InstructionSet,
    source: Strided,
    batches: Batches,
    /// How far each batch is packed.
    progress: SmallVec<[Progress; 4]>,
    /// Of one batch.
    panels: usize,
    /// Bytes of a panel.
    panel: usize,
    n: usize,
    k: usize,
    /// Columns of a panel.
    width: usize,
    /// If in tiles.
    form: Option<Form>,
}

/// Turns of a waiting thread's loop before it lets others run.
const SPINS: u32 = if cfg!(miri) { 1 } else { 1000 };

/// How many panels of a batch threads have begun, and have ended.
#[derive(Debug, Default)]
struct Progress {
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// A number that tiles cannot hold: then nobody reads them.
    odd: AtomicBool,
}

/// A panel that a thread packs. It ends whatever happens: others wait for it.
struct Begun<'a>(&'a Progress);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.odd.store(true, Ordering::Relaxed);
        }
        // What this thread wrote is seen by who sees that it ended.
        self.0.ended.fetch_add(1, Ordering::Release);
    }
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

    /// `n` columns by `k` contracted elements (f32 and shorter floats; bytes where [`Packed::suits`] says so)
    /// for products of `rows` rows at once. `batches` are lengths and strides (in elements) of up to four further axes, outermost
    /// first: there is one operand for each combination of their indices.
    ///
    /// ```
    /// use tilewright::simd::InstructionSet;
    /// use tilewright::simd::dot::{Packed, Strided};
    ///
    /// let b = [1.0f32; 2 * 3 * 4];
    /// let b = Strided::new(b.as_ptr(), 4, 1);
    /// // SAFETY: two operands of three columns by four.
    /// let packed = unsafe { Packed::new(InstructionSet::Scalar, b, &[(2, 12)], 3, 4, 1) };
    /// let second = packed.tile(1, 0, 0);
    /// # let _ = second;
    /// ```
    ///
    /// # Safety
    /// The processor has `isa`; all those elements are readable, and nobody writes to them, for as long as `self`
    /// lives.
    ///
    /// # Panics
    /// The operand is of another kind.
    #[must_use]
    pub unsafe fn new(
        isa: InstructionSet,
        source: Strided,
        batches: &[(usize, isize)],
        n: usize,
        k: usize,
        rows: usize,
    ) -> Packed {
        Packed::in_memory(take, isa, source, batches, (n, k), rows)
    }

    /// As [`Packed::new`], to be kept: in memory of its own, which nobody gets when it goes, and packed at once. `share`
    /// is given a count and what to do for each number below it, once, on any threads.
    ///
    /// # Safety
    /// As [`Packed::new`], until it is forgotten: see [`Kept`](super::Kept).
    pub(crate) unsafe fn to_keep(
        isa: InstructionSet,
        source: Strided,
        batches: &[(usize, isize)],
        (n, k): (usize, usize),
        rows: usize,
        share: impl FnOnce(usize, &(dyn Fn(usize) + Sync)),
    ) -> Packed {
        let mut packed = Packed::in_memory(Buffer::new, isa, source, batches, (n, k), rows);
        packed.is_kept = true;
        let pack = |idx: usize| packed.pack(idx / packed.panels, idx % packed.panels);
        share(packed.progress.len() * packed.panels, &pack);
        packed
    }

    /// With nothing packed.
    fn in_memory(
        memory: impl FnOnce(usize) -> Buffer,
        isa: InstructionSet,
        source: Strided,
        batches: &[(usize, isize)],
        (n, k): (usize, usize),
        rows: usize,
    ) -> Packed {
        let (form, width) = shape_of_panels(isa, source.kind, rows, (n, k));
        assert!(
            form.is_some() || stored::<f32>(source.kind).is_some(),
            "operands of {} are not packed",
            source.kind
        );
        let count: usize = batches.iter().map(|(length, _)| length).product();
        let panels = n.div_ceil(width);
        let panel = form.map_or(k.saturating_mul(width * size_of::<f32>()), |form| form.strip(k));
        let buffer = memory([count, panels].into_iter().fold(panel, usize::saturating_mul));
        Packed {
            buffer: Some(buffer),
            is_kept: false,
            isa,
            source,
            batches: batches.into(),
            progress: std::iter::repeat_with(Progress::default).take(count).collect(),
            panels,
            panel,
            n,
            k,
            width,
            form,
        }
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.as_ref().map_or(0, Buffer::bytes)
    }

    /// Whether it is what [`Packed::new`] would make of the same.
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
        if !begins || !self.make_ready(batch) {
            return Operand::Strided(source);
        }
        if let Some(form) = self.form {
            let strip = form.strip(self.k);
            let at = (batch * self.panels + j / LINES) * strip + form.strip(k);
            let ptr = self.memory().wrapping_add(at).cast_const();
            return Operand::Tiled(TiledTile { ptr, strip, form, source });
        }
        let panel = self.k * self.width;
        let at = (batch * self.panels + j / self.width) * panel + k * self.width;
        let ptr = self.memory().cast_const().cast::<f32>().wrapping_add(at);
        Operand::Packed(PackedTile { ptr, panel, width: self.width })
    }

    fn memory(&self) -> *mut u8 {
        self.buffer.as_ref().map_or(std::ptr::null_mut(), Buffer::pointer)
    }

    /// Packs what no thread has begun of a batch, and waits for what others have; false if it cannot be read packed.
    fn make_ready(&self, batch: usize) -> bool {
        let Some(progress) = self.progress.get(batch) else { return false };
        let is_done = || progress.ended.load(Ordering::Acquire) == self.panels;
        if !is_done() {
            loop {
                let panel = progress.begun.fetch_add(1, Ordering::Relaxed);
                if panel >= self.panels {
                    break;
                }
                self.pack(batch, panel);
            }
            // A panel takes microseconds, unless its thread has lost the processor.
            let mut turns = 0;
            while !is_done() {
                if turns < SPINS {
                    turns += 1;
                    std::hint::spin_loop();
                } else {
                    std::thread::yield_now();
                }
            }
        }
        !progress.odd.load(Ordering::Relaxed)
    }

    /// To be called once for each panel of each batch.
    fn pack(&self, batch: usize, panel: usize) {
        let begun = Begun(&self.progress[batch]);
        let column = panel * self.width;
        let source = of_batch(self.source, &self.batches, batch).at(column, 0);
        let to = self.memory().wrapping_add((batch * self.panels + panel) * self.panel);
        let columns = self.width.min(self.n - column);
        // SAFETY: who made this promised that the source is readable; the buffer has room for every panel, which this
        // thread alone writes, and which nobody reads before.
        unsafe {
            if let Some(form) = self.form {
                let task = Task { which: Which::Right, form, from: source, lines: columns, k: self.k, to };
                if !amx::lay_out_strip(&task) {
                    begun.0.odd.store(true, Ordering::Relaxed);
                }
            } else {
                lay_out(self.isa, source.transposed(), (self.k, columns), to.cast::<f32>(), self.width);
            }
        }
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
