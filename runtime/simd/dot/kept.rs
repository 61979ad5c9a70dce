//! Packed operands that outlive a launch: those of tensors that are seldom written, as weights are.

use super::Packed;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many layouts of one memory are kept: weights of a whole model may be in one.
const MOST: usize = 1 << 12;

/// The packed operands of one memory. They are right for as long as nobody writes to it: who may write forgets them.
#[derive(Debug, Default)]
pub struct Kept {
    wanted: AtomicBool,
    packed: Mutex<Vec<Arc<Packed>>>,
}

impl Kept {
    /// Nothing, and nothing wanted.
    ///
    /// ```
    /// assert!(!tilewright::simd::dot::Kept::new().is_wanted());
    /// ```
    #[must_use]
    pub const fn new() -> Kept {
        Kept { wanted: AtomicBool::new(false), packed: Mutex::new(Vec::new()) }
    }

    /// From now on products keep what they pack.
    pub(crate) fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether products keep what they pack.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// The first one that `is_right`, or else what `pack` makes.
    pub(crate) fn get_or_pack(
        &self,
        is_right: impl Fn(&Packed) -> bool,
        pack: impl FnOnce() -> Packed,
    ) -> Arc<Packed> {
        let found = |all: &[Arc<Packed>]| all.iter().find(|packed| is_right(packed)).map(Arc::clone);
        if let Some(packed) = found(&self.lock()) {
            return packed;
        }
        // Without the lock: another launch may pack the same, which costs time once.
        let packed = Arc::new(pack());
        let mut all = self.lock();
        if found(&all).is_none() && all.len() < MOST {
            all.push(Arc::clone(&packed));
        }
        packed
    }

    /// Nothing is right any more.
    pub(crate) fn forget(&self) {
        if self.is_wanted() {
            self.lock().clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Packed>>> {
        self.packed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Packed, Strided};
    use super::*;
    use crate::simd::InstructionSet;

    #[test]
    fn an_operand_is_packed_once_until_it_is_forgotten() {
        let (isa, b) = (InstructionSet::Scalar, [1.0f32; 12]);
        let source = Strided::new(b.as_ptr(), 4, 1);
        // SAFETY: three columns by four.
        let pack = || unsafe { Packed::pack(isa, source, &[], 3, 4, 1, |n, work| (0..n).for_each(work)) };
        let (kept, mut count) = (Kept::new(), 0);
        kept.want();
        let mut get = |shape: (usize, usize), source: Strided| {
            let counted = || {
                count += 1;
                pack()
            };
            drop(kept.get_or_pack(|packed| packed.is_of(isa, source, &[], shape, 1), counted));
            count
        };
        assert_eq!([get((3, 4), source), get((3, 4), source)], [1, 1]);
        // Another part of the memory, another shape, other strides: never the same.
        assert_eq!(get((3, 4), source.at(0, 1)), 2);
        assert_eq!(get((4, 3), source), 3);
        assert_eq!(get((3, 4), Strided { free: 1, contracted: 4, ..source }), 4);
        assert_eq!(get((3, 4), source), 4);
        kept.forget();
        assert_eq!(get((3, 4), source), 5);
    }
}
