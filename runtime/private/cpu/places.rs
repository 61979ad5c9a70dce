//! Indices into tensors that may be outside: checked, and reported where nobody said what is there.

use super::lanes::zero;
use crate::element::{Element, Vector as Of};
use crate::launch::Faults;
use crate::simd::{Lane, Masks, Simd, Vector};

/// The place of an element, or of lanes with one stride, in a tensor: the sum of its dimensions' parts.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    offset: isize,
    inside: bool,
    tensor: usize,
    faults: Option<&'a Faults>,
    /// Whether a load asks the caches for what comes next.
    asks: bool,
    /// What it asks for is so many elements ahead, of the row that is read next,
    row: isize,
    /// and so many bytes further.
    further: usize,
}

impl<'a> Place<'a> {
    /// The first element. Without `faults`, indices outside are not reported.
    #[inline(always)]
    #[must_use]
    pub fn new(tensor: usize, faults: Option<&'a Faults>) -> Place<'a> {
        Place { offset: 0, inside: true, tensor, faults, asks: true, row: 0, further: AHEAD }
    }

    /// Adds an index that is in range.
    #[inline(always)]
    #[must_use]
    pub fn exact(mut self, index: isize, stride: isize) -> Place<'a> {
        self.offset += index * stride;
        self
    }

    /// Adds an index into a dimension of `length`.
    #[inline(always)]
    #[must_use]
    pub fn checked(mut self, index: i64, length: i32, stride: isize, dimension: usize) -> Place<'a> {
        if index < 0 || index >= i64::from(length) {
            self.inside = false;
            if let Some(faults) = self.faults {
                faults.report(self.tensor, dimension, index);
            }
        } else {
            self.offset += index as isize * stride;
        }
        self
    }

    /// Tells a load where the next row is: `stride` elements further, if rows fit into the caches. Where rows of
    /// `length` do not follow one another in memory, it asks for that row instead of for what is [`AHEAD`]. Where a
    /// loop reads rows that were read before, it asks as far beyond the row that is `ahead` of them, so that this
    /// comes while the loop writes.
    #[inline(always)]
    #[must_use]
    pub fn ask_for_row(mut self, stride: isize, length: usize, ahead: Option<usize>) -> Place<'a> {
        if stride.unsigned_abs() <= LONGEST_ROW {
            let is_apart = stride != length as isize;
            let rows = ahead.unwrap_or(usize::from(is_apart));
            self.row = stride.wrapping_mul(rows as isize);
            self.further = if is_apart { 0 } else { AHEAD };
        }
        self
    }

    /// Has a load of lanes from `position` on in piece number `piece` of a row ask for what is next.
    #[inline(always)]
    #[must_use]
    pub fn ask_for_piece(mut self, next: &NextRow, piece: isize, position: usize) -> Place<'a> {
        self.row = next.row + next.each_piece * piece + next.each_lane * position as isize;
        self.further = next.further;
        self
    }

    /// Has a load ask only in the first `slot` of an unrolled loop: one that computes little would else wait for what
    /// it asks for, and others will read the row after it.
    #[inline(always)]
    #[must_use]
    pub fn ask_at_times(mut self, slot: usize) -> Place<'a> {
        self.asks = slot == 0;
        self
    }

    /// Has a load ask for what is so [`far`].
    #[inline(always)]
    #[must_use]
    pub fn ask_far(mut self, far: isize) -> Place<'a> {
        self.row = far;
        self.further = 0;
        self
    }

    /// Has a load ask for nothing: others ask for what it reads, or the processor brings it on its own; or that is the same
    /// for each row, so that the caches have it after the first. Nor for the first: to tell that apart would cost more in
    /// short rows.
    #[inline(always)]
    #[must_use]
    pub fn ask_for_nothing(mut self) -> Place<'a> {
        self.asks = false;
        self
    }

    /// Whether all indices were in range.
    #[inline(always)]
    #[must_use]
    pub fn inside(&self) -> bool {
        self.inside
    }

    /// In elements, from the tensor's first.
    #[inline(always)]
    #[must_use]
    pub fn offset(&self) -> isize {
        self.offset
    }

    /// `n` lanes from here; `otherwise` if the place is outside.
    ///
    /// # Safety
    /// `from` is the tensor's first element, and for each dimension the index that was added, and the
    /// `n - 1` after it in the dimensions that `stride` belongs to, are in range or were checked.
    #[inline(always)]
    pub unsafe fn load<S: Simd, E: Element>(
        &self,
        from: *const E,
        stride: isize,
        n: usize,
        otherwise: Of<S, E>,
    ) -> Of<S, E> {
        if self.inside {
            if S::LANES > 1 && stride == 1 && self.asks {
                ask::<E, false>(from.wrapping_offset(self.offset + self.row).wrapping_byte_add(self.further));
            }
            // SAFETY: promised by the caller.
            unsafe { E::load_strided::<S>(from.offset(self.offset), stride, n) }
        } else {
            otherwise
        }
    }

    /// Writes `n` lanes here, if the place is inside.
    ///
    /// # Safety
    /// As for [`Place::load`], and the elements may be written.
    #[inline(always)]
    pub unsafe fn store<S: Simd, E: Element>(&self, to: *mut E, stride: isize, n: usize, lanes: Of<S, E>) {
        if self.inside {
            if S::LANES > 1 && stride == 1 {
                ask::<E, true>(to.wrapping_offset(self.offset).wrapping_byte_add(AHEAD));
            }
            // SAFETY: promised by the caller.
            unsafe { E::store_strided::<S>(to.offset(self.offset), stride, lanes, n) }
        }
    }

    /// As `store`; past the caches if `stream`, for lanes that fill a vector where one may be stored so. They are those
    /// from the `at`th on of a loop over lanes, whole vectors before them: all are aligned if the first one is.
    ///
    /// # Safety
    /// As for [`Place::store`]; `at` is a multiple of `LANES` if `n` is `LANES` and `stride` 1.
    #[inline(always)]
    pub unsafe fn store_or_stream<S: Simd, E: Element>(
        &self,
        to: *mut E,
        stride: isize,
        n: usize,
        lanes: Of<S, E>,
        (stream, at): (bool, usize),
    ) {
        let first = to.wrapping_offset(self.offset);
        let is_aligned = first.wrapping_sub(at).addr().is_multiple_of(S::LANES * size_of::<E>());
        if stream && stride == 1 && n == S::LANES && is_aligned && self.inside {
            // SAFETY: promised by the caller; aligned.
            unsafe { E::stream::<S>(first, lanes) }
        } else {
            // SAFETY: promised by the caller.
            unsafe { self.store::<S, E>(to, stride, n, lanes) }
        }
    }

    /// Each lane a place of its own, from here on.
    #[inline(always)]
    #[must_use]
    pub fn lanes<S: Simd>(self, n: usize) -> Places<'a, S> {
        let live = if self.inside { S::Mask::first_lanes(n) } else { S::Mask::splat(false) };
        Places { place: self, offsets: S::I64::splat(self.offset as i64), live }
    }
}

/// Bytes ahead of contiguous lanes that the caches are asked for. A processor's own prefetching ends with a page, where
/// the next row of a matrix often begins; so a row comes while the one before it is computed.
const AHEAD: usize = 4096;

/// How many elements ahead the caches are asked for a row that is read while the one before it is computed: 16 KiB, or
/// 10 if rows are also written past the caches meanwhile; or whole rows of `length` where these are `stride` apart.
#[inline(always)]
#[must_use]
pub fn far<E: Element>(stride: isize, length: usize, writes: bool) -> isize {
    let bytes = if writes { 10 << 10 } else { 16 << 10 };
    let elements = bytes / Ord::max(size_of::<E>(), 1);
    let rows = elements / Ord::max(length, 1);
    if stride == length as isize || rows == 0 {
        elements as isize
    } else {
        stride.wrapping_mul(rows as isize)
    }
}

/// Elements of a row that stay in the caches until it is read. Rows of 4096 f32 were measured to be 1.25 to 1.3 times
/// as fast (rms norm from and to memory), of 65,536 1.15 times, of 131,072 not (an EPYC of family 26 with 1 MiB of
/// L2).
const LONGEST_ROW: usize = 1 << 16;

/// Asks the caches for an element, to be written or read. A hint, at any address.
#[inline(always)]
fn ask<E, const WRITES: bool>(at: *const E) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T0, _mm_prefetch};
        let at = at.cast();
        // SAFETY: reads and writes nothing.
        unsafe { if WRITES { _mm_prefetch::<_MM_HINT_ET0>(at) } else { _mm_prefetch::<_MM_HINT_T0>(at) } }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}

/// What a loop asks for that reads a row's pieces at once.
#[derive(Clone, Copy, Debug)]
pub struct NextRow {
    /// So many elements ahead, and so many bytes further,
    row: isize,
    further: usize,
    /// and more for each piece before, and for each lane.
    each_piece: isize,
    each_lane: isize,
}

/// Bytes ahead of a row's pieces that the caches are asked for at most, unless a row has more. Of rows of 4 KiB one was
/// measured to be late (rope of 4096 × 1024 1.1 times), of 8 KiB two to be slower.
const PIECES_AHEAD: isize = 8192;

impl NextRow {
    /// Of so many `rows`, `stride` apart, which have `count` pieces of `length`, `step` elements apart, of which each load
    /// takes `lanes`. Where pieces follow one another and are the whole row, they ask together for a row that follows from
    /// its beginning on, line by line, which memory gives faster than lines in as many places (rope of 4096 × 4096 1.12
    /// times): the next row or a later one, up to a quarter of `rows`, as those of other blocks may be elsewhere. Else as
    /// [`Place::ask_for_row`] does.
    #[inline(always)]
    #[must_use]
    pub fn in_pieces<E: Element>(
        (rows, stride): (usize, isize),
        (length, step, count): (usize, isize, isize),
        lanes: usize,
    ) -> NextRow {
        let is_whole = step == length as isize
            && stride == step.wrapping_mul(count)
            && stride.unsigned_abs() <= LONGEST_ROW;
        if !is_whole {
            let Place { row, further, .. } = Place::new(0, None).ask_for_row(stride, length, None);
            return NextRow { row, further, each_piece: 0, each_lane: 0 };
        }
        let bytes = Ord::max(stride * size_of::<E>() as isize, 1);
        let ahead = Ord::min(PIECES_AHEAD / bytes, (rows / 4) as isize);
        // Else each load would choose anew between a product and 0.
        let (each_piece, each_lane) = (hidden(lanes as isize - step), hidden(count - 1));
        NextRow { row: Ord::max(ahead, 1) * stride, further: 0, each_piece, each_lane }
    }
}

/// The number, of which the compiler knows nothing more.
#[inline(always)]
fn hidden(number: isize) -> isize {
    crate::simd::dot::hidden(std::ptr::without_provenance::<u8>(number as usize)).addr() as isize
}

/// A place for each lane.
#[derive(Clone, Copy)]
pub struct Places<'a, S: Simd> {
    place: Place<'a>,
    offsets: S::I64,
    /// Lanes that exist and are inside.
    live: S::Mask,
}

impl<S: Simd> Places<'_, S> {
    /// Adds indices that are in range.
    #[inline(always)]
    #[must_use]
    pub fn exact(mut self, index: S::I64, stride: isize) -> Self {
        self.offsets = self.offsets.add(index.mul(S::I64::splat(stride as i64)));
        self
    }

    /// Adds indices into a dimension of `length`.
    #[inline(always)]
    #[must_use]
    pub fn checked(mut self, index: S::I64, length: i32, stride: isize, dimension: usize) -> Self {
        let inside = Masks::and(index.ge(S::I64::splat(0)), index.lt(S::I64::splat(i64::from(length))));
        let outside = Masks::and(self.live, Masks::not(inside));
        if let Some(faults) = self.place.faults
            && Masks::any(outside)
        {
            let lane = Masks::bits(outside).trailing_zeros() as usize;
            faults.report(self.place.tensor, dimension, index.lane(lane));
        }
        self.live = Masks::and(self.live, inside);
        self.exact(index, stride)
    }

    /// The elements; `otherwise` where a lane is outside.
    ///
    /// # Safety
    /// `from` is the tensor's first element, and every index that was added as exact is in range.
    #[inline(always)]
    pub unsafe fn load<E: Element>(&self, from: *const E, otherwise: Of<S, E>) -> Of<S, E> {
        // SAFETY: lanes in `live` have all indices in range.
        let lanes = unsafe { E::gather::<S>(from, self.offsets, self.live) };
        <E::Lane as Lane>::Of::<S>::select(self.live, lanes, otherwise)
    }

    /// Writes the lanes that are inside.
    ///
    /// # Safety
    /// As for [`Places::load`], and the elements may be written.
    #[inline(always)]
    pub unsafe fn store<E: Element>(&self, to: *mut E, lanes: Of<S, E>) {
        // SAFETY: lanes in `live` have all indices in range.
        unsafe { E::scatter::<S>(to, self.offsets, self.live, lanes) };
    }

    /// The elements or zeros.
    ///
    /// # Safety
    /// As for [`Places::load`].
    #[inline(always)]
    pub unsafe fn load_or_zero<E: Element>(&self, from: *const E) -> Of<S, E> {
        // SAFETY: promised by the caller.
        unsafe { self.load(from, zero::<S, E>()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{AHEAD, LONGEST_ROW, NextRow, Place, far};
    use crate::f16;

    #[test]
    fn a_row_ahead_is_some_kilobytes_or_whole_rows_where_they_are_apart() {
        assert_eq!([far::<f32>(4096, 4096, false), far::<f32>(4096, 4096, true)], [4096, 2560]);
        assert_eq!([far::<u8>(64, 64, false), far::<f64>(64, 64, false)], [16384, 2048]);
        assert_eq!([far::<f32>(1200, 1024, false), far::<f32>(-1200, 1024, true)], [4800, -2400]);
        assert_eq!([far::<f32>(9000, 8192, false), far::<f32>(0, 0, false)], [4096, 4096]);
    }

    #[test]
    fn pieces_ask_for_a_row_ahead_line_by_line() {
        // Rows of three pieces of 64: each asks from where it is.
        let asked = |next: &NextRow, piece, position| {
            let place = Place::new(0, None).ask_for_piece(next, piece, position as usize);
            assert_eq!(place.further, 0);
            place.row + 64 * piece + position
        };
        let lines = |rows| -> Vec<isize> {
            let next = NextRow::in_pieces::<f32>((rows, 192), (64, 64, 3), 16);
            [0, 16, 32, 48].iter().flat_map(|at| [0, 1, 2].map(|piece| asked(&next, piece, *at))).collect()
        };
        // Of rows of 768 bytes ten, or a quarter of all, or one.
        let wanted = |ahead: isize| (0..12).map(|line| 192 * ahead + 16 * line).collect::<Vec<_>>();
        assert_eq!([1000, 40, 32, 3, 0].map(lines), [10, 10, 8, 1, 1].map(wanted));
        // Of 6 KiB one, of 12 one; of 4 two, whose elements have two bytes here.
        let next = |length| NextRow::in_pieces::<f32>((1000, 3 * length), (length as usize, length, 3), 16);
        assert_eq!((next(512).row, next(512).each_piece, next(512).each_lane), (1536, 16 - 512, 2));
        assert_eq!((next(1024).row, next(0).row), (3072, 0));
        assert_eq!(NextRow::in_pieces::<f16>((1000, 2048), (1024, 1024, 2), 16).row, 4096);
        // Elsewhere there is something between the pieces, or the rows, or a row is longer than what is read.
        for (stride, length, step) in [(192, 60, 64), (200, 64, 64), (128, 64, 64), (-192, 64, -64)] {
            let next = NextRow::in_pieces::<f32>((1000, stride), (length, step, 3), 16);
            let place = Place::new(0, None).ask_for_piece(&next, 1, 16);
            assert_eq!((place.row, place.further), (stride, 0));
        }
        // Of a row too long to stay in the caches the next is not asked for, but what follows each load.
        let long = 2 * LONGEST_ROW as isize;
        let next = NextRow::in_pieces::<f32>((1000, long), (LONGEST_ROW, long / 2, 2), 16);
        assert_eq!((next.row, next.further, next.each_piece, next.each_lane), (0, AHEAD, 0, 0));
    }

    #[test]
    fn the_next_row_is_asked_for_if_it_is_apart_or_read_for_the_last_time() {
        let asked = |stride, length, ahead| {
            let place = Place::new(0, None).ask_for_row(stride, length, ahead);
            (place.row, place.further)
        };
        assert_eq!(asked(64, 64, None), (0, AHEAD));
        assert_eq!(asked(128, 64, None), (128, 0));
        assert_eq!(asked(-64, 64, None), (-64, 0));
        assert_eq!(asked(64, 64, Some(4)), (256, AHEAD));
        assert_eq!(asked(128, 64, Some(4)), (512, 0));
        assert_eq!(asked(LONGEST_ROW as isize + 1, 64, Some(1)), (0, AHEAD));
    }
}
