//! Stores inside sequential loops: a later turn must not overwrite an earlier one, and what is still
//! being accumulated must not be stored.

use crate::diagnostics::Diagnostics;
use crate::ir::{
    AxisId, AxisKind, BinaryOp, Block, Index, Kernel, Literal, Op, ParamId, Stmt, ValueId, VarId,
};
use crate::walk::each_statement;
use proc_macro2::Span;

/// What a loop over blocks leaves in a variable must not be the last block's alone, and stores of one turn
/// must not meet those of another: both would show the block size.
pub fn check_blocks(kernel: &Kernel, errors: &mut Diagnostics) {
    each_statement(&kernel.body, &mut |stmt, around| {
        let Stmt::Assign(var, value) = stmt else { return };
        for axis in around.iter().copied().filter(|axis| is_free_loop(kernel, *axis)) {
            let carried = carried_by(kernel, axis);
            if !carried.contains(var) {
                continue;
            }
            let mut seen = Seen {
                axis,
                var: *var,
                carried: &carried,
                reduces: false,
                continues: false,
                varies: false,
                vars: Vec::new(),
            };
            seen.look(kernel, *value);
            let name = &kernel.vars[*var].name;
            let along = &kernel.axes[axis].name;
            let span = kernel.values[*value].span;
            if seen.reduces && !seen.continues {
                errors.error(
                    span,
                    format!("{name} keeps what the last block of {along} gave: it depends on the block size"),
                    format!(
                        "combine it with what it was, as in `{name} = max({name}, …)`, or pin the block: `.block(64)`"
                    ),
                );
            } else if seen.continues && !seen.varies && counts(kernel, *value) {
                errors.error(
                    span,
                    format!("{name} changes once a block of {along}: it depends on the block size"),
                    format!("use `{along}.index()` or `{along}.len()`, loop with `each`, or pin the block: `.block(64)`"),
                );
            }
        }
    });
    check_meeting_stores(kernel, errors);
}

/// A sequential loop over blocks of a size that the user left open.
fn is_free_loop(kernel: &Kernel, axis: AxisId) -> bool {
    let info = &kernel.axes[axis];
    !info.grid && matches!(info.kind, AxisKind::Tile { .. }) && !kernel.is_pinned(axis)
}

/// What an assigned value is made of.
struct Seen<'k> {
    axis: AxisId,
    /// What is assigned to.
    var: VarId,
    carried: &'k [VarId],
    /// Something along the axis is reduced.
    reduces: bool,
    /// What the variable was is in it.
    continues: bool,
    /// Something that may differ from turn to turn is in it.
    varies: bool,
    vars: Vec<VarId>,
}

impl Seen<'_> {
    fn look(&mut self, kernel: &Kernel, value: ValueId) {
        let op = &kernel.values[value].op;
        if let Op::Read(var) = op {
            if self.carried.contains(var) {
                self.continues |= *var == self.var;
                self.varies |= *var != self.var;
            } else if !self.vars.contains(var) {
                self.vars.push(*var);
                each_statement(&kernel.body, &mut |stmt, _| {
                    if let Stmt::Assign(assigned, value) = stmt
                        && assigned == var
                    {
                        self.look(kernel, *value);
                    }
                });
            }
        }
        let is_fixed = matches!(
            op,
            Op::Read(_)
                | Op::Literal(_)
                | Op::Dim(_)
                | Op::Param(_)
                | Op::Const(_)
                | Op::Broadcast(_)
                | Op::Unary(..)
                | Op::Binary(..)
                | Op::Cast(_)
        );
        self.varies |= !is_fixed || kernel.values[value].ty.axes.contains(self.axis);
        let reduced = op.reduction().map(|(_, axis)| axis);
        let contracted = if let Op::Dot(_, _, axis) = op { Some(*axis) } else { None };
        self.reduces |= [reduced, contracted].contains(&Some(self.axis));
        for operand in op.operands() {
            self.look(kernel, operand);
        }
    }
}

/// Whether doing it twice differs from doing it once.
fn counts(kernel: &Kernel, value: ValueId) -> bool {
    let op = &kernel.values[value].op;
    if let Op::Cast(of) = op {
        return counts(kernel, *of);
    }
    let Op::Binary(op, ..) = op else { return false };
    !matches!(op, BinaryOp::Max | BinaryOp::Min | BinaryOp::And | BinaryOp::Or)
}

/// Two stores to one tensor under a free loop, apart by different offsets along it, may write one element in
/// different turns; which is later depends on the block. Accepted where another position keeps them apart,
/// or where they are apart by the length of what the loop runs over.
fn check_meeting_stores(kernel: &Kernel, errors: &mut Diagnostics) {
    let mut stores: Vec<(ParamId, &[Index], Span, Vec<AxisId>)> = Vec::new();
    each_statement(&kernel.body, &mut |stmt, around| {
        if let Stmt::Store { tensor, index, span, .. } = stmt {
            stores.push((*tensor, index, *span, around.to_vec()));
        }
    });
    for (at, (tensor, index, _, _)) in stores.iter().enumerate() {
        for (other, earlier, _, around) in stores[..at].iter().map(|(t, i, s, a)| (t, *i, s, a)) {
            if tensor != other || are_apart(kernel, index, earlier) {
                continue;
            }
            for axis in around.iter().copied().filter(|axis| is_free_loop(kernel, *axis)) {
                let [first, second] = [earlier, index].map(|index| offset_along(kernel, index, axis));
                let (Some((at_first, first)), Some((at_second, second))) = (first, second) else { continue };
                let same_place = at_first == at_second;
                if same_place && (kernel.same_offset(first, second) || is_length(kernel, axis, first, second))
                {
                    continue;
                }
                let (axis, name) = (&kernel.axes[axis].name, &kernel.params[*tensor].name);
                errors.error(
                    stores[at].2,
                    format!("this store and an earlier one to {name} may meet in different turns of the loop over {axis}: which is last depends on the block size"),
                    "loop with `each`, or pin the block: `tile(…).block(64)`",
                );
            }
        }
    }
}

/// Where an axis stands in an index, and at which offset.
fn offset_along(kernel: &Kernel, index: &[Index], axis: AxisId) -> Option<(usize, Option<ValueId>)> {
    let of_axis = |(at, part): (usize, &Index)| {
        kernel.axis_of_index(part).filter(|(a, _)| *a == axis).map(|(_, offset)| (at, offset))
    };
    index.iter().enumerate().find_map(of_axis)
}

/// Whether some position holds different literals.
fn are_apart(kernel: &Kernel, lhs: &[Index], rhs: &[Index]) -> bool {
    let literal = |part: &Index| {
        let Index::Scalar(value) = part else { return None };
        if let Op::Literal(Literal::Int(n)) = kernel.values[*value].op { Some(n) } else { None }
    };
    lhs.iter().zip(rhs).any(|(l, r)| matches!((literal(l), literal(r)), (Some(l), Some(r)) if l != r))
}

/// Whether one offset is none and the other the end of the axis' range, which starts at 0.
fn is_length(kernel: &Kernel, axis: AxisId, first: Option<ValueId>, second: Option<ValueId>) -> bool {
    let AxisKind::Tile { dim, begin: None, end, .. } = &kernel.axes[axis].kind else { return false };
    let offset = match (first, second) {
        (None, Some(offset)) | (Some(offset), None) => offset,
        (None, None) | (Some(_), Some(_)) => return false,
    };
    match end {
        Some(end) => kernel.same_value(*end, offset),
        None => matches!(kernel.values[offset].op, Op::Dim(of) if of == *dim),
    }
}

/// Each sequential loop's axis stands bare in the stores under it; under a loop over blocks no stored
/// value depends on a variable that the loop carries.
pub fn check_stores(kernel: &Kernel, errors: &mut Diagnostics) {
    each_statement(&kernel.body, &mut |stmt, around| {
        let Stmt::Store { tensor, index, value, span } = stmt else { return };
        let standing: Vec<AxisId> =
            index.iter().filter_map(|index| kernel.axis_of_index(index)).map(|(axis, _)| axis).collect();
        let name = &kernel.params[*tensor].name;
        for axis in around.iter().filter(|axis| !kernel.axes[**axis].grid) {
            if !standing.contains(axis) {
                let axis = &kernel.axes[*axis].name;
                errors.error(
                    *span,
                    format!("a later turn of the loop over {axis} overwrites this store to {name}"),
                    format!("move the store behind the loop, or index {name} with {axis}"),
                );
            } else {
                check_partial(kernel, *axis, *value, *span, errors);
            }
        }
    });
}

fn check_partial(kernel: &Kernel, axis: AxisId, value: ValueId, span: Span, errors: &mut Diagnostics) {
    let AxisKind::Tile { .. } = kernel.axes[axis].kind else { return };
    let carried = carried_by(kernel, axis);
    if let Some(var) = depends_on(kernel, value, &carried) {
        let (axis, var) = (&kernel.axes[axis].name, &kernel.vars[var].name);
        errors.error(
            span,
            format!("{var} is still partial in {axis} here: what is stored depends on the block size"),
            format!("store it behind the loop over {axis}, or loop with `each`"),
        );
    }
}

/// The variables declared outside the loop over `axis` and assigned inside it.
fn carried_by(kernel: &Kernel, axis: AxisId) -> Vec<VarId> {
    let (mut outside, mut carried) = (Vec::new(), Vec::new());
    collect(&kernel.body, axis, false, &mut outside, &mut carried);
    carried
}

fn collect(block: &Block, axis: AxisId, inside: bool, outside: &mut Vec<VarId>, carried: &mut Vec<VarId>) {
    for stmt in block {
        match stmt {
            Stmt::Assign(var, _) if !inside => outside.push(*var),
            Stmt::Assign(var, _) if outside.contains(var) => carried.push(*var),
            Stmt::For { axes, body, .. } => {
                collect(body, axis, inside || axes.contains(&axis), outside, carried);
            }
            Stmt::If { then, otherwise, .. } => {
                collect(then, axis, inside, outside, carried);
                collect(otherwise, axis, inside, outside, carried);
            }
            Stmt::Assign(..)
            | Stmt::Let(_)
            | Stmt::Store { .. }
            | Stmt::Break
            | Stmt::Continue
            | Stmt::Assert { .. } => {}
        }
    }
}

fn depends_on(kernel: &Kernel, value: ValueId, vars: &[VarId]) -> Option<VarId> {
    let op = &kernel.values[value].op;
    if let Op::Read(var) = op {
        return vars.contains(var).then_some(*var);
    }
    op.operands().into_iter().find_map(|operand| depends_on(kernel, operand, vars))
}
