//! One order of all axes, outermost first: loops nest in it and buffers are laid out in it.
//!
//! Each load and store votes for the axis of its last dimension, which most tensors have contiguous,
//! to be innermost. A vote counts the more axes the access extends along, as it moves the more elements: a
//! row's sum is stored once and made of a whole row. A store counts twice, because a strided store costs more
//! than a strided load; the operands of a `dot` count little, because the library reads them in any layout.

use crate::ir::{AxisId, Index, Kernel, Op, Stmt};
use crate::walk::each_statement;
use std::collections::HashSet;

/// All axes, outermost first.
pub(super) fn order(kernel: &Kernel) -> Vec<AxisId> {
    let mut votes = vec![0i64; kernel.axes.len()];
    let mut operands = HashSet::new();
    each_statement(&kernel.body, &mut |stmt, _| {
        if let Stmt::Let(value) = stmt
            && let Op::Dot(lhs, rhs, _) = kernel.values[*value].op
        {
            operands.extend([lhs, rhs]);
        }
    });
    each_statement(&kernel.body, &mut |stmt, _| {
        if let Stmt::Store { index, .. } = stmt {
            vote(&mut votes, index, 32);
        }
        let Stmt::Let(value) = stmt else { return };
        let op = &kernel.values[*value].op;
        if let Op::Load { index, .. } = op {
            vote(&mut votes, index, if operands.contains(value) { 1 } else { 16 });
        }
        // A result's columns come from the right operand.
        if let Op::Dot(lhs, rhs, axis) = op {
            let (lhs, rhs) = (&kernel.values[*lhs].ty.axes, &kernel.values[*rhs].ty.axes);
            for free in rhs.iter().filter(|a| a != axis && !lhs.contains(*a)) {
                votes[free.at()] += 8 * AN_AXIS;
            }
        }
    });
    let mut axes: Vec<AxisId> = kernel.axes.iter().map(|(id, _)| id).collect();
    // Ties: grid axes first, then in order of appearance.
    axes.sort_by_key(|axis| (votes[axis.at()], !kernel.axes[*axis].grid, *axis));
    axes
}

/// By how much each further axis of an access makes it count more: about a block's length.
const AN_AXIS: i64 = 64;

fn vote(votes: &mut [i64], index: &[Index], weight: i64) {
    if let Some(Index::Axis { axis, .. }) = index.last() {
        let more = index.iter().filter(|index| matches!(index, Index::Axis { .. })).count() - 1;
        // Tensors have at most 8 dimensions.
        votes[axis.at()] += weight * AN_AXIS.pow(more.min(8) as u32);
    }
}
