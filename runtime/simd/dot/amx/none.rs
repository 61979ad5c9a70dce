//! Where there is no matrix unit that we know.

use super::super::Scratch;
use super::super::product::Problem;
use super::{Block, Form, Task};
use crate::simd::InstructionSet;

/// The right to use a matrix unit.
pub(super) struct Unit;

impl Unit {
    pub(super) fn is_available(_: InstructionSet) -> bool {
        false
    }

    pub(super) fn enter() -> Unit {
        Unit
    }
}

/// # Safety
/// Never called.
pub(super) unsafe fn lay_out(_: &Task) -> bool {
    false
}

/// # Safety
/// Never called.
pub(super) unsafe fn multiply<T>(_: &Unit, _: (Form, Form), _: &Block<T>) {}

/// # Safety
/// Never called.
pub(super) unsafe fn few_rows<T>(_: InstructionSet, _: (Form, Form), _: &Problem<T>, _: &mut Scratch) {}

pub(super) mod vnni {
    //! Nor vectors that multiply bytes.

    use super::super::super::Scratch;
    use super::super::super::product::Problem;
    use super::super::{Form, Rows, Strips};
    use crate::simd::InstructionSet;

    pub(in super::super) const STEPS: usize = 1;

    pub(in super::super) fn is_available(_: InstructionSet) -> bool {
        false
    }

    pub(in super::super) fn is_few<T>(_: &Problem<T>) -> bool {
        false
    }

    /// # Safety
    /// Never called.
    pub(in super::super) unsafe fn block<T>(_: &Problem<T>, _: (Form, Form), _: &Rows, _: &Strips) {}

    /// # Safety
    /// Never called.
    pub(in super::super) unsafe fn few_rows<T>(_: (Form, Form), _: &Problem<T>, _: &mut Scratch) {}
}
