//! Running a program for every block of a grid, on this thread or on several.
//!
//! Programs are numbered with the last axis fastest; `crew` shares the numbers out to threads.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::crew::{Crew, Member, Pointer};
use super::faults::Faults;
use super::workspace::Workspace;
use crate::tensor::MAX_RANK;

/// One axis of a grid: blocks of `block` indices from `begin` on, the last one cut off at `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GridAxis {
    /// First index.
    pub begin: i32,
    /// The index past the last. No blocks if it is not above `begin`.
    pub end: i32,
    /// Indices of a block; 1 if less.
    pub block: i32,
}

impl GridAxis {
    pub(super) fn blocks(&self) -> usize {
        let length = (i64::from(self.end) - i64::from(self.begin)).max(0);
        // At most 2³² blocks.
        (length as u64).div_ceil(self.block.max(1) as u64) as usize
    }
}

/// What a program gets: its block of each grid axis and its thread's workspace.
#[derive(Debug)]
pub struct Program<'a> {
    /// The first index of the block, for each grid axis.
    pub begin: [i32; MAX_RANK],
    /// The index past the block's last.
    pub end: [i32; MAX_RANK],
    /// As many bytes as the launch asked for, aligned to 64, with left-over contents.
    pub workspace: *mut u8,
    /// Where to report an index outside a tensor.
    pub faults: &'a Faults,
}

/// `work` for `0 .. count`, on at most `threads` threads.
///
/// # Panics
/// `work` does.
pub(crate) fn for_each<W: Fn(usize) + Sync>(threads: usize, count: usize, work: &W) {
    /// # Safety
    /// None is asked for; programs are unsafe in general.
    unsafe fn program<W: Fn(usize)>(work: &W, program: &mut Program<'_>) {
        work(program.begin[0] as usize);
    }
    let Ok(end) = i32::try_from(count) else {
        (0..count).for_each(work);
        return;
    };
    let grid = [GridAxis { begin: 0, end, block: 1 }];
    let faults = Faults::new();
    let job = Job { args: work, program: program::<W>, grid: &grid, workspace_bytes: 0, faults: &faults };
    // SAFETY: `program` asks for nothing.
    unsafe { job.run(threads) }
}

/// All programs of a launch.
pub(super) struct Job<'a, A> {
    pub args: &'a A,
    pub program: unsafe fn(&A, &mut Program<'_>),
    pub grid: &'a [GridAxis],
    pub workspace_bytes: usize,
    pub faults: &'a Faults,
}

impl<A: Sync> Job<'_, A> {
    /// How many programs there are; more than `usize::MAX` count as that many.
    pub(super) fn programs(&self) -> usize {
        self.grid.iter().fold(1, |product, axis| product.saturating_mul(axis.blocks()))
    }

    /// Runs the programs `claim` hands out.
    ///
    /// # Safety
    /// That of the program, for this grid.
    unsafe fn work(&self, mut claim: impl FnMut() -> Option<std::ops::Range<usize>>) {
        let Some(workspace) = Workspace::take(self.workspace_bytes) else {
            self.faults.report_no_memory();
            return;
        };
        while let Some(claimed) = claim() {
            let mut program = self.place(claimed.start, &workspace);
            for _ in claimed {
                // SAFETY: promised by the caller.
                unsafe { (self.program)(self.args, &mut program) };
                self.advance(&mut program);
            }
        }
    }

    /// The program of a number: its digits, the last axis' last.
    fn place(&self, mut number: usize, workspace: &Workspace) -> Program<'_> {
        let (mut begin, mut end) = ([0; MAX_RANK], [0; MAX_RANK]);
        for (i, axis) in self.grid.iter().enumerate().rev() {
            let blocks = axis.blocks();
            let from = i64::from(axis.begin) + (number % blocks) as i64 * i64::from(axis.block.max(1));
            let to = (from + i64::from(axis.block.max(1))).min(i64::from(axis.end));
            // Both are between the axis' begin and end.
            (begin[i], end[i]) = (from as i32, to as i32);
            number /= blocks;
        }
        Program { begin, end, workspace: workspace.pointer(), faults: self.faults }
    }

    /// To the program of the next number: without the divisions that `place` needs.
    fn advance(&self, program: &mut Program<'_>) {
        for (i, axis) in self.grid.iter().enumerate().rev() {
            let was_last = program.end[i] >= axis.end;
            let begin = if was_last { axis.begin } else { program.end[i] };
            program.begin[i] = begin;
            program.end[i] = begin.saturating_add(axis.block.max(1)).min(axis.end);
            if !was_last {
                return;
            }
        }
    }

    /// Runs all programs, on at most `threads` threads.
    ///
    /// # Safety
    /// That of the program, for each of this grid, concurrently.
    pub(super) unsafe fn run(&self, threads: usize) {
        let programs = self.programs();
        let threads = threads.min(programs);
        if threads <= 1 {
            let mut all = (programs != 0).then_some(0..programs);
            // SAFETY: promised by the caller.
            unsafe { self.work(|| all.take()) };
        } else {
            // SAFETY: promised by the caller.
            unsafe { self.run_on(threads, programs) };
        }
    }

    /// # Safety
    /// As for `run`.
    unsafe fn run_on(&self, threads: usize, programs: usize) {
        let job = Pointer::new(self);
        // SAFETY: `job` points to a `Job<A>`: this one, which `run` keeps until all that was claimed ended.
        let crew = Crew::new(programs, threads, job, |crew, member| unsafe { Self::help(crew, member) });
        if let Some(payload) = crew.run(threads) {
            resume_unwind(payload);
        }
    }

    /// Claims and runs programs until there are none.
    ///
    /// # Safety
    /// `crew.job` points to a `Job<A>`, alive for as long as a claimed program has not ended.
    unsafe fn help(crew: &Crew, member: Member) {
        while let Some(first) = crew.claim(member) {
            let mut claimed = Some(first.clone());
            let mut running = first;
            // SAFETY: a run is claimed and not done, so the job is alive.
            let job = unsafe { &*crew.job.cast::<Self>() };
            let work = AssertUnwindSafe(|| {
                let claim = || {
                    if let Some(first) = claimed.take() {
                        return Some(first);
                    }
                    // The next is claimed before this is done: the job stays alive in between.
                    let next = crew.claim(member);
                    if let Some(next) = &next {
                        crew.finish(std::mem::replace(&mut running, next.clone()).len());
                    }
                    next
                };
                // SAFETY: `Job::run`'s caller promised it.
                unsafe { job.work(claim) }
            });
            if let Err(payload) = catch_unwind(work) {
                crew.report(payload);
            }
            crew.finish(running.len());
        }
    }
}
