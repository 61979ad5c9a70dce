//! Walking the IR: the operands of a value, the statements of a block with what encloses them.

use crate::ir::{AxisId, AxisKind, BinaryOp, Fold, Index, Kernel, Literal, Op, Stmt, ValueId, VarId};

/// References to the operands of an [`Op`], shared or exclusive as `$iter` and `$value` are.
macro_rules! operands {
    ($op:expr, $iter:ident, $value:path) => {
        match $op {
            Op::Literal(_)
            | Op::Dim(_)
            | Op::Param(_)
            | Op::Const(_)
            | Op::Each(_)
            | Op::AxisIndex(_)
            | Op::AxisBegin(_)
            | Op::AxisEnd(_)
            | Op::AxisLen(_)
            | Op::Read(_) => Vec::new(),
            Op::Broadcast(value) | Op::Unary(_, value) | Op::Cast(value) | Op::Reduce(_, value, _) => {
                vec![value]
            }
            Op::Binary(_, lhs, rhs) | Op::Compare(_, lhs, rhs) | Op::Dot(lhs, rhs, _) => vec![lhs, rhs],
            Op::Select(condition, then, otherwise) => vec![condition, then, otherwise],
            Op::Call(_, args) => args.$iter().collect(),
            Op::Fold(Fold { value, init, result, .. }) => vec![value, init, result],
            Op::Load { index, default, .. } => index.$iter().filter_map($value).chain(default).collect(),
        }
    };
}

impl Op {
    /// The values this one is computed from, in order; a closure's body and parameters are not among
    /// them, its result is.
    #[must_use]
    pub fn operands(&self) -> Vec<ValueId> {
        let operands: Vec<&ValueId> = operands!(self, iter, Index::value_ref);
        operands.into_iter().copied().collect()
    }

    /// [`Op::operands`], to be changed.
    pub fn operands_mut(&mut self) -> Vec<&mut ValueId> {
        operands!(self, iter_mut, Index::value_mut)
    }

    /// What a reduction or fold removes: its operand and the axis.
    #[must_use]
    pub fn reduction(&self) -> Option<(ValueId, AxisId)> {
        if let Op::Reduce(_, value, axis) = self {
            Some((*value, *axis))
        } else if let Op::Fold(fold) = self {
            Some((fold.value, fold.axis))
        } else {
            None
        }
    }

    /// What a `dot` multiplies.
    #[must_use]
    pub fn factors(&self) -> Option<(ValueId, ValueId)> {
        if let Op::Dot(lhs, rhs, _) = self { Some((*lhs, *rhs)) } else { None }
    }

    /// The variable that a read reads.
    #[must_use]
    pub fn read(&self) -> Option<VarId> {
        if let Op::Read(var) = self { Some(*var) } else { None }
    }
}

impl Index {
    /// [`Index::value`], to be changed.
    pub fn value_mut(&mut self) -> Option<&mut ValueId> {
        match self {
            Index::Axis { offset, .. } => offset.as_mut(),
            Index::Scalar(value) | Index::Gather(value) => Some(value),
        }
    }

    /// The value in it, if any: an offset, a scalar or a gather.
    #[must_use]
    pub fn value(&self) -> Option<ValueId> {
        self.value_ref().copied()
    }

    fn value_ref(&self) -> Option<&ValueId> {
        match self {
            Index::Axis { offset, .. } => offset.as_ref(),
            Index::Scalar(value) | Index::Gather(value) => Some(value),
        }
    }
}

/// Calls `visit` for every statement of `block` and of the blocks in it, in program order, with the
/// axes of the loops around it, outermost first.
pub fn each_statement<'k>(block: &'k [Stmt], visit: &mut impl FnMut(&'k Stmt, &[AxisId])) {
    walk(block, &mut Vec::new(), visit);
}

fn walk<'k>(block: &'k [Stmt], around: &mut Vec<AxisId>, visit: &mut impl FnMut(&'k Stmt, &[AxisId])) {
    for stmt in block {
        visit(stmt, around);
        match stmt {
            Stmt::For { axes, body, .. } => {
                around.extend(axes);
                walk(body, around, visit);
                around.truncate(around.len() - axes.len());
            }
            Stmt::If { then, otherwise, .. } => {
                walk(then, around, visit);
                walk(otherwise, around, visit);
            }
            Stmt::Let(_)
            | Stmt::Assign(..)
            | Stmt::Store { .. }
            | Stmt::Break
            | Stmt::Continue
            | Stmt::Assert { .. } => {}
        }
    }
}

/// Whether two indices are the same but for the values in them.
fn same_shape(lhs: &Index, rhs: &Index) -> bool {
    match (lhs, rhs) {
        (Index::Axis { axis: l, offset: a }, Index::Axis { axis: r, offset: b }) => {
            l == r && a.is_some() == b.is_some()
        }
        (Index::Scalar(_), Index::Scalar(_)) | (Index::Gather(_), Index::Gather(_)) => true,
        _ => false,
    }
}

impl Kernel {
    /// Whether two values are the same expression: same operations on the same leaves. Reads of
    /// variables are never the same, because something may have been assigned in between.
    #[must_use]
    pub fn same_value(&self, lhs: ValueId, rhs: ValueId) -> bool {
        if lhs == rhs {
            return true;
        }
        self.same_step(lhs, rhs, |l, r| self.same_value(l, r))
    }

    /// Whether two values are the same operation on operands of which `same` says it.
    #[must_use]
    pub fn same_step(
        &self,
        lhs: ValueId,
        rhs: ValueId,
        mut same: impl FnMut(ValueId, ValueId) -> bool,
    ) -> bool {
        let (lhs, rhs) = (&self.values[lhs], &self.values[rhs]);
        lhs.ty == rhs.ty && Self::same_op(&lhs.op, &rhs.op) && {
            let (lhs, rhs) = (lhs.op.operands(), rhs.op.operands());
            lhs.len() == rhs.len() && lhs.into_iter().zip(rhs).all(|(l, r)| same(l, r))
        }
    }

    /// Whether two operations are the same but for their operands.
    fn same_op(lhs: &Op, rhs: &Op) -> bool {
        match (lhs, rhs) {
            // -0.0 is another number than 0.0.
            (Op::Literal(Literal::Float(l)), Op::Literal(Literal::Float(r))) => l.to_bits() == r.to_bits(),
            (Op::Literal(l), Op::Literal(r)) => l == r,
            (Op::Dim(l), Op::Dim(r)) => l == r,
            (Op::Param(l), Op::Param(r)) => l == r,
            (Op::Const(l), Op::Const(r)) => l == r,
            (Op::Each(l), Op::Each(r))
            | (Op::AxisIndex(l), Op::AxisIndex(r))
            | (Op::AxisBegin(l), Op::AxisBegin(r))
            | (Op::AxisEnd(l), Op::AxisEnd(r))
            | (Op::AxisLen(l), Op::AxisLen(r)) => l == r,
            (Op::Broadcast(_), Op::Broadcast(_))
            | (Op::Cast(_), Op::Cast(_))
            | (Op::Select(..), Op::Select(..)) => true,
            (Op::Unary(l, _), Op::Unary(r, _)) => l == r,
            (Op::Binary(l, ..), Op::Binary(r, ..)) => l == r,
            (Op::Compare(l, ..), Op::Compare(r, ..)) => l == r,
            (Op::Reduce(l, _, a), Op::Reduce(r, _, b)) => l == r && a == b,
            (Op::Dot(_, _, l), Op::Dot(_, _, r)) => l == r,
            // What indices are computed from are operands.
            (Op::Load { tensor: l, index: a, .. }, Op::Load { tensor: r, index: b, .. }) => {
                l == r && a.len() == b.len() && a.iter().zip(b).all(|(l, r)| same_shape(l, r))
            }
            _ => false,
        }
    }

    /// Whether two indices name the same elements.
    #[must_use]
    pub fn same_index(&self, lhs: &[Index], rhs: &[Index]) -> bool {
        let same = |(lhs, rhs): (&Index, &Index)| match (lhs, rhs) {
            (Index::Axis { axis: l, offset: a }, Index::Axis { axis: r, offset: b }) => {
                l == r && self.same_offset(*a, *b)
            }
            (Index::Scalar(l), Index::Scalar(r)) | (Index::Gather(l), Index::Gather(r)) => {
                self.same_value(*l, *r)
            }
            _ => false,
        };
        lhs.len() == rhs.len() && lhs.iter().zip(rhs).all(same)
    }

    /// Whether two offsets are the same expression.
    #[must_use]
    pub fn same_offset(&self, lhs: Option<ValueId>, rhs: Option<ValueId>) -> bool {
        match (lhs, rhs) {
            (None, None) => true,
            (Some(lhs), Some(rhs)) => self.same_value(lhs, rhs),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// Whether a scalar is the same for all programs of a launch: made of dimensions, parameters,
    /// const parameters and literals alone.
    #[must_use]
    pub fn is_launch_constant(&self, value: ValueId) -> bool {
        let op = &self.values[value].op;
        let leaf = match op {
            Op::Literal(_) | Op::Dim(_) | Op::Param(_) | Op::Const(_) => true,
            Op::Unary(..) | Op::Binary(..) | Op::Compare(..) | Op::Select(..) | Op::Cast(_) => {
                !op.operands().is_empty()
            }
            Op::Each(_)
            | Op::AxisIndex(_)
            | Op::AxisBegin(_)
            | Op::AxisEnd(_)
            | Op::AxisLen(_)
            | Op::Read(_)
            | Op::Broadcast(_)
            | Op::Call(..)
            | Op::Reduce(..)
            | Op::Fold(_)
            | Op::Dot(..)
            | Op::Load { .. } => false,
        };
        leaf && op.operands().iter().all(|operand| self.is_launch_constant(*operand))
    }

    /// The axis that stands in one position of an index, bare or plus or minus something, with that
    /// something: `m`, `m + 1`, and `b`, `b - 1` for the scalar of an `each` or `unroll` loop.
    #[must_use]
    pub fn axis_of_index(&self, index: &Index) -> Option<(AxisId, Option<ValueId>)> {
        match index {
            Index::Axis { axis, offset } => Some((*axis, *offset)),
            Index::Scalar(value) => self.axis_of_scalar(*value),
            Index::Gather(_) => None,
        }
    }

    fn axis_of_scalar(&self, value: ValueId) -> Option<(AxisId, Option<ValueId>)> {
        let each =
            |value: ValueId| if let Op::Each(axis) = self.values[value].op { Some(axis) } else { None };
        if let Op::Binary(op @ (BinaryOp::Add | BinaryOp::Sub), lhs, rhs) = self.values[value].op {
            let left = each(lhs).map(|axis| (axis, Some(rhs)));
            let right = || each(rhs).map(|axis| (axis, Some(lhs)));
            return if op == BinaryOp::Add { left.or_else(right) } else { left };
        }
        each(value).map(|axis| (axis, None))
    }

    /// Whether the user pinned the axis' block to one size, or it has none.
    #[must_use]
    pub fn is_pinned(&self, axis: AxisId) -> bool {
        match &self.axes[axis].kind {
            AxisKind::Tile { block, .. } => block.min == block.max,
            AxisKind::Each { .. } | AxisKind::Unroll { .. } | AxisKind::Whole { .. } => true,
        }
    }
}
