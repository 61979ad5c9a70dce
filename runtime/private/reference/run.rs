//! Running a kernel's programs twice: other block sizes, another order, the same result.

use super::axes::Span;
use crate::error::Error;
use crate::launch::{Faults, Meta};
use smallvec::SmallVec;
use std::cell::RefCell;

/// A parallel loop of the grid.
#[derive(Clone, Copy, Debug)]
pub struct GridLoop {
    /// First and last index plus 1, within the dimension.
    pub span: Span,
    /// Bounds of the block size; `(1, 1)` for `each` and `unroll`.
    pub block: (i32, i32),
}

/// Tensors of any element type, between runs.
pub trait Memories {
    /// The length of a dimension.
    fn length(&self, dimension: usize) -> usize;
    /// A run begins: back to the values before the launch.
    fn begin(&self);
    /// It has ended: the first one's result is kept.
    fn end(&self);
    /// Whether the last run's result is the first one's.
    ///
    /// # Errors
    /// It is not.
    fn agree(&self) -> Result<(), Error>;
}

/// One program of a run.
pub struct Program<'a> {
    number: u32,
    run: Run,
    spans: SmallVec<[Span; 4]>,
    log: &'a Log,
}

/// Which of the two runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    First,
    Second,
}

/// What went wrong.
#[derive(Default)]
struct Log {
    faults: Faults,
    race: RefCell<Option<Error>>,
}

impl Program<'_> {
    /// Its part of axis `at` of the grid.
    #[must_use]
    pub fn axis(&self, at: usize) -> Span {
        self.spans[at]
    }

    /// The blocks of a sequential `tile` loop.
    #[must_use = "these are the turns of a loop"]
    pub fn blocks(&self, span: Span, bounds: (i32, i32)) -> impl Iterator<Item = Span> + use<> {
        blocks(span, self.run.block(span.count(), bounds))
    }

    /// Its name in the maps of writers and readers.
    pub(super) fn name(&self) -> u32 {
        self.number + 1
    }

    /// An index outside a tensor.
    pub(super) fn report(&self, tensor: usize, dimension: usize, index: i64) {
        self.log.faults.report(tensor, dimension, index);
    }

    /// Two programs met in an element; the first such error stays.
    pub(super) fn race(&self, error: impl FnOnce() -> Error) {
        self.log.race.borrow_mut().get_or_insert_with(error);
    }
}

impl Run {
    /// Uneven sizes that cut even short axes, and few enough blocks that long ones do not take forever.
    fn block(self, count: usize, (least, most): (i32, i32)) -> i32 {
        let wanted = match self {
            Run::First => count.div_ceil(6).max(5),
            Run::Second => count.div_ceil(11).max(3),
        };
        i32::try_from(wanted).unwrap_or(i32::MAX).min(most).max(least).max(1)
    }
}

/// The part of a dimension that loop bounds leave.
#[must_use]
pub fn clamped(id: u32, begin: i32, end: i32, length: i32) -> Span {
    let begin = begin.clamp(0, length);
    Span { id, begin, end: end.clamp(begin, length) }
}

/// A span in pieces of `block`.
#[must_use = "these are the turns of a loop"]
pub fn blocks(span: Span, block: i32) -> impl Iterator<Item = Span> {
    let step = usize::try_from(block.max(1)).unwrap_or(1);
    (span.begin..span.end).step_by(step).map(move |begin| {
        let end = begin.saturating_add(block.max(1)).min(span.end);
        Span { id: span.id, begin, end }
    })
}

/// Runs all programs twice and compares.
///
/// Returns an index outside a tensor, which the launch reports once its outputs are written.
///
/// # Errors
/// Two programs touched an element that one of them wrote, or the results depend on the block size.
pub fn run(
    meta: &'static Meta,
    memories: &[&dyn Memories],
    grid: &[GridLoop],
    program: impl Fn(&Program<'_>),
) -> Result<Result<(), Error>, Error> {
    let log = Log::default();
    for run in [Run::First, Run::Second] {
        memories.iter().for_each(|memory| memory.begin());
        run_once(run, grid, &log, &program);
        if let Some(race) = log.race.borrow_mut().take() {
            return Err(race);
        }
        memories.iter().for_each(|memory| memory.end());
    }
    memories.iter().try_for_each(|memory| memory.agree())?;
    Ok(fault(meta, memories, &log))
}

fn fault(meta: &'static Meta, memories: &[&dyn Memories], log: &Log) -> Result<(), Error> {
    let Some(fault) = log.faults.first() else { return Ok(()) };
    Err(Error::IndexOutOfBounds {
        kernel: meta.kernel,
        tensor: meta.tensors[fault.tensor].name,
        dimension: fault.dimension,
        index: fault.index,
        length: memories[fault.tensor].length(fault.dimension),
    })
}

fn run_once(run: Run, grid: &[GridLoop], log: &Log, program: &impl Fn(&Program<'_>)) {
    let axes: Vec<Vec<Span>> = grid
        .iter()
        .map(|axis| blocks(axis.span, run.block(axis.span.count(), axis.block)).collect())
        .collect();
    let count = axes.iter().map(Vec::len).product::<usize>();
    for number in shuffled(count, run) {
        let mut rest = number as usize;
        let mut spans: SmallVec<[Span; 4]> = SmallVec::with_capacity(axes.len());
        for axis in &axes {
            spans.push(axis[rest % axis.len()]);
            rest /= axis.len();
        }
        program(&Program { number, run, spans, log });
    }
}

/// `0..count` in an order that looks random and is always the same (Fisher and Yates; xorshift).
fn shuffled(count: usize, run: Run) -> Vec<u32> {
    let mut order: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    let mut state = if run == Run::First { 0x9E37_79B9_7F4A_7C15_u64 } else { 0xD1B5_4A32_D192_ED03 };
    for last in (1..order.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(last, (state % (last as u64 + 1)) as usize);
    }
    order
}
