//! The threads of one launch.
//!
//! Each claims runs of program numbers, the calling thread from the first on, the others, which are rayon's,
//! from the last back: so most programs of a launch are on the thread that had them in a launch like it before, and
//! what they read and write is in its cache. Runs are the shorter the fewer programs are left, so that all threads end
//! at about the same time (guided self-scheduling, Polychronopoulos and Kuck 1987). A launch ends when its programs
//! have ended, not when its helpers have: one that comes late finds nothing to claim and touches nothing of the
//! launch. While a launch waits for its programs it does nothing else. A program waits at most for launches of its own
//! and for what other programs are packing, which wait for nobody; so waiting inside a rayon thread cannot deadlock.
//!
//! Waking a sleeping thread costs more than a small launch. So a helper that found nothing more to claim
//! lingers for some microseconds, where the next launch meets it without a system call.

use std::any::Any;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// A run is this part of what is left for a thread.
const PART: u32 = 8;
/// Units of programs for each thread, of which a run has one at least: claiming takes time.
const UNITS: usize = 64;

/// Turns of the caller's loop before it sleeps: about 20 µs.
const SPINS: u32 = if cfg!(miri) { 1 } else { 1000 };

/// How long a helper lingers. A model's next launch comes sooner.
const LINGER: Duration = Duration::from_micros(if cfg!(miri) { 0 } else { 50 });

/// What the threads of a launch share. Helpers own a share of it, and touch `job` only between claiming
/// programs and reporting them done.
pub(super) struct Crew {
    /// How many units the caller has claimed, and in the upper half how many helpers have.
    claimed: AtomicU64,
    done: AtomicUsize,
    programs: usize,
    threads: u32,
    /// How many units there are.
    units: u32,
    /// Programs of a unit.
    unit: usize,
    pub job: Pointer,
    work: fn(&Crew, Member),
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    caller: Thread,
}

/// Which end of a launch's programs a thread begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// The first.
    Caller,
    /// The last.
    Helper,
}

/// The address of a job, of a type that `Crew::work` knows.
pub(super) struct Pointer(*const ());

impl Pointer {
    pub(super) fn new<J: Sync>(job: &J) -> Pointer {
        Pointer(std::ptr::from_ref(job).cast())
    }

    pub(super) fn cast<J>(&self) -> *const J {
        self.0.cast()
    }
}

// SAFETY: it is made from a reference to something Sync.
unsafe impl Send for Pointer {}
// SAFETY: as above.
unsafe impl Sync for Pointer {}

impl Crew {
    /// For `programs` programs on `threads` threads; `work` claims until there is nothing to claim.
    pub(super) fn new(programs: usize, threads: usize, job: Pointer, work: fn(&Crew, Member)) -> Arc<Crew> {
        // So that the units of all threads fit into 32 bits.
        let threads = threads.clamp(1, 1 << 20);
        let unit = (programs / (threads * UNITS)).max(1);
        Arc::new(Crew {
            claimed: AtomicU64::new(0),
            done: AtomicUsize::new(0),
            programs,
            threads: threads as u32,
            // At most twice as many as there should be, as `unit` is rounded down.
            units: programs.div_ceil(unit) as u32,
            unit,
            job,
            work,
            panic: Mutex::new(None),
            caller: std::thread::current(),
        })
    }

    /// Works on this thread and `threads - 1` others until all programs are done; what a panicking one
    /// left.
    pub(super) fn run(self: &Arc<Crew>, threads: usize) -> Option<Box<dyn Any + Send>> {
        // Inside a rayon pool the helpers must be of that pool, and waking them is cheap.
        let outside = rayon::current_thread_index().is_none();
        let met = if outside { BOARD.post(self, threads - 1) } else { 0 };
        for _ in met..threads - 1 {
            let crew = Arc::clone(self);
            rayon::spawn(move || {
                (crew.work)(&crew, Member::Helper);
                drop(crew);
                if outside {
                    BOARD.linger();
                }
            });
        }
        (self.work)(self, Member::Caller);
        self.wait();
        lock(&self.panic).take()
    }

    /// The next run of programs for a thread, if any is left.
    pub(super) fn claim(&self, member: Member) -> Option<Range<usize>> {
        let halves = |claimed: u64| (claimed as u32, (claimed >> 32) as u32);
        let run = |claimed: u64| {
            let (first, last) = halves(claimed);
            let left = self.units - first - last;
            (left / (PART * self.threads)).max(1).min(left)
        };
        let claim = |claimed: u64| {
            let run = u64::from(run(claimed));
            (run > 0).then(|| claimed + if member == Member::Caller { run } else { run << 32 })
        };
        let claimed = self.claimed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).ok()?;
        let ((first, last), run) = (halves(claimed), run(claimed));
        let first = if member == Member::Caller { first } else { self.units - last - run };
        let end = (first + run) as usize;
        Some(first as usize * self.unit..end.saturating_mul(self.unit).min(self.programs))
    }

    /// So many more of the claimed programs have ended.
    pub(super) fn finish(&self, programs: usize) {
        if self.done.fetch_add(programs, Ordering::AcqRel) + programs == self.programs {
            self.caller.unpark();
        }
    }

    /// A program panicked; to be followed by its `finish`.
    pub(super) fn report(&self, payload: Box<dyn Any + Send>) {
        *lock(&self.panic) = Some(payload);
    }

    /// Until all programs are done.
    fn wait(&self) {
        for _ in 0..SPINS {
            if self.done.load(Ordering::Acquire) == self.programs {
                return;
            }
            std::hint::spin_loop();
        }
        while self.done.load(Ordering::Acquire) != self.programs {
            std::thread::park();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

static BOARD: Board =
    Board { posted: AtomicUsize::new(0), state: Mutex::new(Lingering { free: 0, posted: Vec::new() }) };

/// Where launches meet lingering helpers.
struct Board {
    /// `state.posted.len()`, to be looked at without the lock.
    posted: AtomicUsize,
    state: Mutex<Lingering>,
}

struct Lingering {
    /// Helpers that linger and that no post waits for.
    free: usize,
    /// Each for one lingering helper, which takes it before it leaves.
    posted: Vec<Arc<Crew>>,
}

impl Board {
    /// Engages up to `wanted` lingering helpers; how many.
    fn post(&self, crew: &Arc<Crew>, wanted: usize) -> usize {
        let mut state = lock(&self.state);
        let met = wanted.min(state.free);
        state.free -= met;
        state.posted.extend(std::iter::repeat_n(crew, met).cloned());
        self.posted.store(state.posted.len(), Ordering::Release);
        met
    }

    /// Serves launches until none has come for a while.
    fn linger(&self) {
        lock(&self.state).free += 1;
        let mut since = Instant::now();
        loop {
            let late = since.elapsed() >= LINGER;
            if let Some(crew) = self.take(late) {
                (crew.work)(&crew, Member::Helper);
                drop(crew);
                lock(&self.state).free += 1;
                since = Instant::now();
            } else if late {
                return;
            }
            std::hint::spin_loop();
        }
    }

    /// A posted launch; if there is none and the helper `leaves`, it is free no longer.
    fn take(&self, leaves: bool) -> Option<Arc<Crew>> {
        if !leaves && self.posted.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut state = lock(&self.state);
        let taken = state.posted.pop();
        self.posted.store(state.posted.len(), Ordering::Release);
        if taken.is_none() && leaves {
            state.free -= 1;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_claimed_once_from_either_end() {
        for (programs, threads) in [(1, 2), (2, 2), (7, 3), (64, 2), (1000, 2), (12_345, 7)] {
            for caller_every in 1..4 {
                let crew = Crew::new(programs, threads, Pointer::new(&()), |_, _| ());
                let mut claimed = vec![0; programs];
                for turn in 0.. {
                    let is_caller = turn % caller_every == 0;
                    let member = if is_caller { Member::Caller } else { Member::Helper };
                    let Some(run) = crew.claim(member) else { break };
                    if turn == 0 {
                        assert_eq!(run.start, 0);
                    }
                    claimed[run].iter_mut().for_each(|count| *count += 1);
                }
                assert!(claimed.iter().all(|count| *count == 1), "{programs} on {threads}: {claimed:?}");
            }
        }
    }
}
