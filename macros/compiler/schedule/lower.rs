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
    if let Op::Reduce(ReduceOp::Mean, of, axis) = kernel.values[value].op {
        lower_mean(kernel, value, of, axis, before);
    } else if let Op::Dot(lhs, rhs, axis) = kernel.values[value].op {
        lower_dot(kernel, value, [lhs, rhs], axis, before);
    }
}

/// `mean(x) -> sum(x) / count`
fn lower_mean(kernel: &mut Kernel, value: ValueId, of: ValueId, axis: AxisId, before: &mut Block) {
    let ty = kernel.values[value].ty.clone();
    let sum = let_value(kernel, value, Op::Reduce(ReduceOp::Sum, of, axis), ty.clone(), before);
    let count = count(kernel, value, axis);
    let scalar = Type { elem: ty.elem, axes: Default::default() };
    let count = let_value(kernel, value, Op::Cast(count), scalar, before);
    kernel.values[value].op = Op::Binary(BinaryOp::Div, sum, count);
}

/// `dot(x, y, k) -> sum(x * y, k)`, where one side has no axis of its own: nothing is read twice
fn lower_dot(kernel: &mut Kernel, value: ValueId, sides: [ValueId; 2], axis: AxisId, before: &mut Block) {
    let [left, right] = sides.map(|side| &kernel.values[side].ty.axes);
    if !left.includes(right) && !right.includes(left) {
        return;
    }
    let (axes, elem) = (left.union(right), kernel.values[value].ty.elem);
    let [lhs, rhs] = sides.map(|side| widen(kernel, side, elem, before));
    let product = let_value(kernel, value, Op::Binary(BinaryOp::Mul, lhs, rhs), Type { elem, axes }, before);
    kernel.values[value].op = Op::Reduce(ReduceOp::Sum, product, axis);
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
