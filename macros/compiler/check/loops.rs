//! Stores inside sequential loops: a later turn must not overwrite an earlier one, and what is still
//! being accumulated must not be stored.

use crate::diagnostics::Diagnostics;
use crate::ir::{AxisId, AxisKind, Block, Kernel, Op, Stmt, ValueId, VarId};
use crate::walk::each_statement;
use proc_macro2::Span;

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
