//! `mean` becomes `sum / count`, and a `dot` with a vector a sum of products: both then fuse.

use super::is_leaf;
use crate::ir::{AxisId, AxisKind, BinaryOp, Block, Elem, Kernel, Op, ReduceOp, Stmt, Type, Value, ValueId};

/// Rewrites the kernel in place.
pub(super) fn lower(kernel: &mut Kernel) {
    let body = std::mem::take(&mut kernel.body);
    kernel.body = lower_block(kernel, body);
}

fn lower_block(kernel: &mut Kernel, block: Block) -> Block {
    let mut lowered = Vec::with_capacity(block.len());
    for stmt in block {
        match stmt {
            Stmt::Let(value) => {
                if is_leaf(kernel, value) {
                    continue;
                }
                lower_value(kernel, value, &mut lowered);
                lowered.push(Stmt::Let(value));
            }
            Stmt::For { axes, body, span } => {
                let body = lower_block(kernel, body);
                lowered.push(Stmt::For { axes, body, span });
            }
            Stmt::If { condition, then, otherwise } => {
                let (then, otherwise) = (lower_block(kernel, then), lower_block(kernel, otherwise));
                lowered.push(Stmt::If { condition, then, otherwise });
            }
            Stmt::Assign(..) | Stmt::Store { .. } | Stmt::Break | Stmt::Continue | Stmt::Assert { .. } => {
                lowered.push(stmt);
            }
        }
    }
    lowered
}

/// Rewrites `value`; what it now needs goes before it.
fn lower_value(kernel: &mut Kernel, value: ValueId, before: &mut Block) {
    let Value { op, ty, .. } = kernel.values[value].clone();
    if let Op::Reduce(ReduceOp::Mean, of, axis) = op {
        // mean(x) -> sum(x) / count
        let sum = let_value(kernel, value, Op::Reduce(ReduceOp::Sum, of, axis), ty.clone(), before);
        let count = count(kernel, value, axis);
        let scalar = Type { elem: ty.elem, axes: Default::default() };
        let count = let_value(kernel, value, Op::Cast(count), scalar, before);
        kernel.values[value].op = Op::Binary(BinaryOp::Div, sum, count);
    }
    if let Op::Dot(lhs, rhs, axis) = op {
        // dot(x, y, k) -> sum(x * y, k), where one side has no axis of its own: nothing is read twice
        let (left, right) = (&kernel.values[lhs].ty.axes, &kernel.values[rhs].ty.axes);
        if !left.includes(right) && !right.includes(left) {
            return;
        }
        let product = Type { elem: ty.elem, axes: left.union(right) };
        let [lhs, rhs] = [lhs, rhs].map(|side| widen(kernel, side, ty.elem, before));
        let product = let_value(kernel, value, Op::Binary(BinaryOp::Mul, lhs, rhs), product, before);
        kernel.values[value].op = Op::Reduce(ReduceOp::Sum, product, axis);
    }
}

fn widen(kernel: &mut Kernel, value: ValueId, elem: Elem, before: &mut Block) -> ValueId {
    let ty = &kernel.values[value].ty;
    if ty.elem == elem {
        return value;
    }
    let ty = Type { elem, axes: ty.axes.clone() };
    let_value(kernel, value, Op::Cast(value), ty, before)
}

fn count(kernel: &mut Kernel, at: ValueId, axis: AxisId) -> ValueId {
    let op = match &kernel.axes[axis].kind {
        AxisKind::Whole { dim } => Op::Dim(*dim),
        AxisKind::Tile { .. } | AxisKind::Each { .. } | AxisKind::Unroll { .. } => Op::AxisLen(axis),
    };
    let ty = Type { elem: Elem::I32, axes: Default::default() };
    let span = kernel.values[at].span;
    kernel.values.push(Value { op, ty, span })
}

fn let_value(kernel: &mut Kernel, at: ValueId, op: Op, ty: Type, before: &mut Block) -> ValueId {
    let span = kernel.values[at].span;
    let value = kernel.values.push(Value { op, ty, span });
    before.push(Stmt::Let(value));
    value
}
