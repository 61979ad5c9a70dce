//! Block sizes do not show: `m.begin()`, `m.end()` and `m.len()` of a block that is not pinned reach
//! the bounds of loops only, and no `mean` is over such a block, or the result would depend on what
//! the tuner chose.

use crate::diagnostics::Diagnostics;
use crate::ir::{AxisId, AxisKind, Kernel, Op, ReduceOp, Stmt, ValueId, VarId};
use crate::walk::each_statement;
use std::collections::HashMap;

/// Refuses block sizes in values, indices and conditions.
pub fn check_block_sizes(kernel: &Kernel, errors: &mut Diagnostics) {
    check_means(kernel, errors);
    let tainted = Taint::of(kernel);
    let mut refuse = |value: ValueId| {
        if let Some(axis) = tainted.axis(value) {
            let name = &kernel.axes[axis].name;
            errors.error(
                kernel.values[value].span,
                format!("the block size of {name} shows in a value: the result would depend on tuning"),
                format!("use {name}.begin() and {name}.end() in loop bounds only, use {name}.index() for positions, or pin the block with `.block(64)`"),
            );
        }
    };
    for (_, value) in kernel.values.iter() {
        let shows = !value.ty.axes.is_empty() || matches!(value.op, Op::Load { .. } | Op::Call(..));
        if shows {
            value.op.operands().into_iter().for_each(&mut refuse);
        }
    }
    each_statement(&kernel.body, &mut |stmt, _| match stmt {
        Stmt::Store { index, value, .. } => {
            index.iter().filter_map(|index| index.value()).chain([*value]).for_each(&mut refuse);
        }
        Stmt::If { condition, .. } | Stmt::Assert { condition, .. } => refuse(*condition),
        Stmt::Let(_) | Stmt::Assign(..) | Stmt::For { .. } | Stmt::Break | Stmt::Continue => {}
    });
}

/// Refuses means over a block of a loop: they divide by its length.
fn check_means(kernel: &Kernel, errors: &mut Diagnostics) {
    for (_, value) in kernel.values.iter() {
        let Op::Reduce(ReduceOp::Mean, _, axis) = value.op else { continue };
        let info = &kernel.axes[axis];
        if let AxisKind::Tile { dim, .. } = info.kind
            && !info.grid
            && !kernel.is_pinned(axis)
        {
            let (name, dim) = (&info.name, &kernel.dims[dim].name);
            errors.error(
                value.span,
                format!("the mean over {name} is that of one block, whose size would show in the result"),
                format!("add up `.sum({name})` and divide by {dim} behind the loop, or take the mean over the whole dimension {dim}"),
            );
        }
    }
}

/// Which scalars depend on which axis' block size.
struct Taint {
    values: HashMap<ValueId, AxisId>,
}

impl Taint {
    fn of(kernel: &Kernel) -> Taint {
        let mut vars: HashMap<VarId, AxisId> = HashMap::new();
        loop {
            let taint = Taint::pass(kernel, &vars);
            let before = vars.len();
            each_statement(&kernel.body, &mut |stmt, _| {
                if let Stmt::Assign(var, value) = stmt
                    && let Some(axis) = taint.axis(*value)
                {
                    vars.entry(*var).or_insert(axis);
                }
            });
            if vars.len() == before {
                return taint;
            }
        }
    }

    /// Values are defined before they are used, so one pass in order reaches all.
    fn pass(kernel: &Kernel, vars: &HashMap<VarId, AxisId>) -> Taint {
        let mut values = HashMap::new();
        for (id, value) in kernel.values.iter() {
            let own = if let Op::AxisBegin(axis) | Op::AxisEnd(axis) | Op::AxisLen(axis) = &value.op {
                (!kernel.is_pinned(*axis)).then_some(*axis)
            } else if let Op::Read(var) = &value.op {
                vars.get(var).copied()
            } else {
                value.op.operands().iter().find_map(|operand| values.get(operand).copied())
            };
            if let Some(axis) = own {
                values.insert(id, axis);
            }
        }
        Taint { values }
    }

    fn axis(&self, value: ValueId) -> Option<AxisId> {
        self.values.get(&value).copied()
    }
}
