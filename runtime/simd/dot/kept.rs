//! Packed operands that outlive a launch: those of tensors that are seldom written, as weights are.

use super::Packed;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many times the bytes of the memory are kept: two layouts of floats of 8 bits, which are widened.
const MOST: usize = 8;

/// The packed operands of one memory. They are right for as long as nobody writes to it: who may write forgets them.
#[derive(Debug)]
pub struct Kept {
    wanted: AtomicBool,
    /// Bytes of all together, at most.
    most: usize,
    /// The oldest first.
    packed: Mutex<Vec<Arc<Packed>>>,
}

impl Kept {
    /// Nothing, and nothing wanted, of a memory of so many bytes.
    ///
    /// ```
    /// assert!(!tilewright::simd::dot::Kept::new(64).is_wanted());
    /// ```
    #[must_use]
    pub const fn new(bytes: usize) -> Kept {
        let most = bytes.saturating_mul(MOST);
        Kept { wanted: AtomicBool::new(false), most, packed: Mutex::new(Vec::new()) }
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

    /// The first one that `is_right`, or else what `pack` makes. If there are too many then, the oldest go.
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
        if found(&all).is_none() {
            all.push(Arc::clone(&packed));
            let mut bytes: usize = all.iter().map(|packed| packed.bytes()).sum();
            let mut oldest = 0;
            while bytes > self.most && oldest < all.len() {
                bytes -= all[oldest].bytes();
                oldest += 1;
            }
            all.drain(..oldest);
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
        let pack = || unsafe { Packed::new(isa, source, &[], 3, 4, 1) };
        let (kept, mut count) = (Kept::new(size_of_val(&b)), 0);
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

    #[test]
    fn of_too_many_the_oldest_go() {
        let (isa, b) = (InstructionSet::Scalar, [1.0f32; 16]);
        let side = |first: usize| Strided::new(b.as_ptr(), 4, 1).at(first, 0);
        // SAFETY: a column of four.
        let pack = |source: Strided| unsafe { Packed::new(isa, source, &[], 1, 4, 1) };
        let bytes = pack(side(0)).bytes();
        let kept = Kept { wanted: AtomicBool::new(true), most: 2 * bytes, packed: Mutex::default() };
        let has = |first: usize| {
            let is_it = |packed: &Packed| packed.is_of(isa, side(first), &[], (1, 4), 1);
            let mut had = true;
            drop(kept.get_or_pack(is_it, || {
                had = false;
                pack(side(first))
            }));
            had
        };
        assert_eq!([has(0), has(1), has(0), has(1)], [false, false, true, true]);
        assert_eq!([has(2), has(1), has(0)], [false, true, false]);
        assert_eq!(kept.lock().len(), 2);
    }
}
