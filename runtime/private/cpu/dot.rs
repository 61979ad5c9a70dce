//! Matrix products of generated code: what a `dot` becomes.

use crate::element::{Element, Kind};
use crate::explain::is_explaining;
use crate::launch::for_each;
use crate::simd::dot::{
    Kept, Operand, Packed, Scratch, Strided, dot_f64, dot_i32, dot_i64, dot_u32, is_as_good_as_packed,
    linear_f32,
};
use crate::simd::{InstructionSet, is_amd};
use std::cell::RefCell;
use std::sync::Arc;

/// An operand in memory: element `(free, contracted)` is at `ptr + free * f + contracted * c`.
#[derive(Clone, Copy, Debug)]
pub struct Side<E> {
    /// The first element.
    pub ptr: *const E,
    /// The stride of the axis that stays.
    pub free: isize,
    /// The stride of the axis that is summed over.
    pub contracted: isize,
}

impl<E: Element> Side<E> {
    fn strided(self) -> Strided {
        Strided { ptr: self.ptr.cast(), kind: E::KIND, free: self.free, contracted: self.contracted }
    }
}

/// Where the right operand is in what the launch packed.
#[derive(Clone, Copy, Debug)]
pub struct PackedSide<'a> {
    /// All of it.
    pub packed: Option<&'a Packed>,
    /// Which matrix.
    pub batch: usize,
    /// The first column.
    pub column: usize,
    /// The first contracted index.
    pub depth: usize,
}

/// The rows, columns and contracted length of a product.
pub type Shape = (usize, usize, usize);

/// Scalars that products are summed in.
pub trait Sum: Element {
    /// The library's product. Only f32 adds `plus`.
    ///
    /// # Safety
    /// As [`dot`].
    #[expect(clippy::too_many_arguments, reason = "a matrix product has these")]
    unsafe fn product(
        isa: InstructionSet,
        shape: Shape,
        lhs: Strided,
        rhs: Strided,
        packed: Option<PackedSide<'_>>,
        plus: *const Self,
        c: *mut Self,
        ldc: usize,
        accumulate: bool,
        scratch: &mut Scratch,
    );
}

/// A packed operand, which a launch has or shares.
pub type SharedPacked = Arc<Packed>;

/// What a program reads of a right operand that may be packed.
fn right(packed: Option<PackedSide<'_>>, rhs: Strided, k: usize) -> Operand {
    let tile = packed.and_then(|side| {
        let packed = side.packed.filter(|_| k > 0)?;
        Some(packed.tile(side.batch, side.column, side.depth))
    });
    tile.map_or(Operand::Strided(rhs), Operand::from)
}

impl Sum for f32 {
    unsafe fn product(
        isa: InstructionSet,
        shape: Shape,
        lhs: Strided,
        rhs: Strided,
        packed: Option<PackedSide<'_>>,
        plus: *const f32,
        c: *mut f32,
        ldc: usize,
        accumulate: bool,
        scratch: &mut Scratch,
    ) {
        // SAFETY: promised by the caller.
        unsafe { linear_f32(isa, shape, lhs, right(packed, rhs, shape.2), plus, c, ldc, accumulate, scratch) }
    }
}

impl Sum for i32 {
    unsafe fn product(
        isa: InstructionSet,
        (m, n, k): Shape,
        lhs: Strided,
        rhs: Strided,
        packed: Option<PackedSide<'_>>,
        plus: *const i32,
        c: *mut i32,
        ldc: usize,
        accumulate: bool,
        scratch: &mut Scratch,
    ) {
        debug_assert!(plus.is_null(), "only f32 adds a row");
        // SAFETY: promised by the caller.
        unsafe { dot_i32(isa, m, n, k, lhs, right(packed, rhs, k), c, ldc, accumulate, scratch) }
    }
}

macro_rules! sums {
    ($($T:ident: $product:ident;)*) => {$(
        impl Sum for $T {
            unsafe fn product(
                isa: InstructionSet,
                (m, n, k): Shape,
                lhs: Strided,
                rhs: Strided,
                _: Option<PackedSide<'_>>,
                plus: *const $T,
                c: *mut $T,
                ldc: usize,
                accumulate: bool,
                scratch: &mut Scratch,
            ) {
                debug_assert!(plus.is_null(), "only f32 adds a row");
                // SAFETY: promised by the caller.
                unsafe { $product(isa, m, n, k, lhs, rhs, c, ldc, accumulate, scratch) }
            }
        }
    )*};
}
sums! {
    f64: dot_f64;
    u32: dot_u32;
    i64: dot_i64;
}

thread_local! {
    /// The panels of products on this thread.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
}

/// `c[i * ldc + j] = (accumulate ? c : 0) + Σ_p lhs(i, p) · rhs(j, p)` for `i < m`, `j < n`, `p < k`; then, of f32,
/// `+ plus[j]`, unless that is null.
///
/// # Safety
/// All those elements of `lhs` and `rhs` are readable and those of `c` writable (and initialised if
/// `accumulate`), and `n` elements of `plus` readable, unless it is null; `c` overlaps none of them; the processor has
/// `isa`; `packed` was packed from what `rhs` is a part of.
#[expect(clippy::too_many_arguments, reason = "a matrix product has these")]
pub unsafe fn dot<L: Element, R: Element, C: Sum>(
    isa: InstructionSet,
    shape: Shape,
    lhs: Side<L>,
    rhs: Side<R>,
    packed: Option<PackedSide<'_>>,
    plus: *const C,
    c: *mut C,
    ldc: usize,
    accumulate: bool,
) {
    let (lhs, rhs) = (lhs.strided(), rhs.strided());
    SCRATCH.with_borrow_mut(|scratch| {
        // SAFETY: promised by the caller.
        unsafe { C::product(isa, shape, lhs, rhs, packed, plus, c, ldc, accumulate, scratch) }
    });
}

/// Operands of no more elements are laid out by each thread for itself, if threads take a block of rows each.
const WORTH_PACKING: usize = 1 << 18;

/// Whether a right operand of several blocks of rows is packed for all of them.
fn is_packed(
    (isa, threads): (InstructionSet, usize),
    rhs: Strided,
    (columns, depth): (usize, usize),
    (rows, block): (i32, i32),
) -> bool {
    let suits = Packed::suits(isa, rhs.kind, block.max(0) as usize, columns, depth);
    if rows <= block || !suits || is_as_good_as_packed(isa, rhs) {
        return false;
    }
    // Others would wait for what they can do themselves, and then fetch it from another thread's cache.
    let readers = (rows.max(0) as u32).div_ceil(block.max(1) as u32) as usize;
    !(threads > 1 && readers <= threads && columns.saturating_mul(depth) <= WORTH_PACKING)
}

/// Rows and elements from which on one block gains by an operand that is kept packed, of any type.
const WORTH_KEEPING: (i32, usize) = (13, 1 << 12);

/// Whether a right operand is packed: for a launch, or to be kept for all that come.
pub(crate) fn is_packed_or_kept(
    (isa, threads): (InstructionSet, usize),
    rhs: Strided,
    (columns, depth): (usize, usize),
    (rows, block): (i32, i32),
    kept: bool,
) -> bool {
    if !kept {
        return is_packed((isa, threads), rhs, (columns, depth), (rows, block));
    }
    // Fewer rows of halves read lines in place as fast as memory brings them. Those of f32 read panels, which lie one
    // after the other: one row of lines that are a step of the sum each 1.1 times as fast, 5 to 12 such rows 1.2 to 2.5
    // times, 8 to 12 rows of lines that are summed 1.0 to 1.3 times (an EPYC of family 26).
    let few = if rhs.free == 1 { rows == 1 || rows >= 5 } else { rows >= 8 };
    (rows >= WORTH_KEEPING.0 || few && rhs.kind == Kind::F32 && is_amd())
        && columns.saturating_mul(depth) > WORTH_KEEPING.1
        && Packed::suits(isa, rhs.kind, block.max(0) as usize, columns, depth)
}

/// Fewer elements than this are packed by the calling thread: waking another takes longer.
const WORTH_SHARING: usize = 1 << 16;

/// A right operand as it is packed for all programs, if it is read by more than one block of rows; or what is kept of
/// it, packed on so many threads if it is not there yet.
///
/// # Safety
/// `rhs` and its batches are readable, and nobody writes to them, for as long as the result lives, and if it is kept,
/// until that is forgotten; the processor has `isa`.
#[must_use]
pub unsafe fn pack<E: Element>(
    (isa, threads): (InstructionSet, usize),
    rhs: Side<E>,
    batches: &[(usize, isize)],
    (columns, depth): (usize, usize),
    (rows, block): (i32, i32),
    kept: Option<&Kept>,
) -> Option<Arc<Packed>> {
    let empty = columns == 0 || depth == 0 || batches.iter().any(|(length, _)| *length == 0);
    // A broadcast operand has as many copies as its shape says: more than there is memory for.
    let repeated = |(length, stride): (usize, isize)| length > 1 && stride == 0;
    let own = [(columns, rhs.free), (depth, rhs.contracted)];
    if empty || batches.iter().copied().chain(own).any(repeated) || is_explaining() {
        return None;
    }
    let shape = (columns, depth);
    let (at_once, source) = (block.max(0) as usize, rhs.strided());
    if !is_packed_or_kept((isa, threads), source, shape, (rows, block), kept.is_some()) {
        return None;
    }
    let share = |count: usize, work: &(dyn Fn(usize) + Sync)| {
        let matrices = batches.iter().fold(1usize, |all, (length, _)| all.saturating_mul(*length));
        let elements = matrices.saturating_mul(columns.saturating_mul(depth));
        for_each(if elements < WORTH_SHARING { 1 } else { threads }, count, &work);
    };
    // SAFETY: promised by the caller.
    Some(unsafe {
        match kept {
            Some(kept) => kept.get_or_pack(
                |packed| packed.is_of(isa, source, batches, shape, at_once),
                || Packed::to_keep(isa, source, batches, shape, at_once, share),
            ),
            None => Arc::new(Packed::new(isa, source, batches, columns, depth, at_once)),
        }
    })
}
