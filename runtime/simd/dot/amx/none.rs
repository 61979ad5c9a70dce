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
