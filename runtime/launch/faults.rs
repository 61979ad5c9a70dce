//! Where programs report an index that is outside a tensor.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

/// The first index outside a tensor that any program of a launch met. Reporting is cheap and never
/// waits; the launch reads it when all programs have ended.
#[derive(Debug, Default)]
pub struct Faults {
    claimed: AtomicBool,
    tensor: AtomicUsize,
    dimension: AtomicUsize,
    index: AtomicI64,
    no_memory: AtomicBool,
}

/// What was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub tensor: usize,
    pub dimension: usize,
    pub index: i64,
}

impl Faults {
    /// None yet.
    #[must_use]
    pub const fn new() -> Faults {
        Faults {
            claimed: AtomicBool::new(false),
            tensor: AtomicUsize::new(0),
            dimension: AtomicUsize::new(0),
            index: AtomicI64::new(0),
            no_memory: AtomicBool::new(false),
        }
    }

    /// A thread got no workspace, and left its programs to others.
    #[cold]
    pub(crate) fn report_no_memory(&self) {
        self.no_memory.store(true, Ordering::Relaxed);
    }

    /// Exact once all threads have ended.
    pub(crate) fn lacked_memory(&self) -> bool {
        self.no_memory.load(Ordering::Relaxed)
    }

    /// `index` is outside dimension `dimension` of tensor parameter `tensor`. The first report stays.
    #[cold]
    pub fn report(&self, tensor: usize, dimension: usize, index: i64) {
        if !self.claimed.swap(true, Ordering::Relaxed) {
            self.tensor.store(tensor, Ordering::Relaxed);
            self.dimension.store(dimension, Ordering::Relaxed);
            self.index.store(index, Ordering::Relaxed);
        }
    }

    /// Exact once all reporters have ended and the caller knows of it.
    pub(crate) fn first(&self) -> Option<Fault> {
        self.claimed.load(Ordering::Relaxed).then(|| Fault {
            tensor: self.tensor.load(Ordering::Relaxed),
            dimension: self.dimension.load(Ordering::Relaxed),
            index: self.index.load(Ordering::Relaxed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_report_stays() {
        let faults = Faults::new();
        assert_eq!(faults.first(), None);
        faults.report(1, 2, -3);
        faults.report(4, 5, 6);
        assert_eq!(faults.first(), Some(Fault { tensor: 1, dimension: 2, index: -3 }));
    }
}
