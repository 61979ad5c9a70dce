//! A grid axis is split over programs, and a program sees its own block only: it cannot be reduced,
//! folded or contracted.

use crate::diagnostics::Diagnostics;
use crate::ir::{AxisId, Fold, Kernel, Op};

/// Refuses reductions over grid axes.
pub fn check_reductions(kernel: &Kernel, errors: &mut Diagnostics) {
    for (_, value) in kernel.values.iter() {
        if let Some((what, axis)) = removed_axis(&value.op)
            && kernel.axes[axis].grid
        {
            let name = &kernel.axes[axis].name;
            let dim = kernel.axes[axis].kind.dim().map(|dim| kernel.dims[dim].name.to_string());
            let dim = dim.unwrap_or_else(|| name.to_string());
            errors.error(
                value.span,
                format!(
                    "{what} over {name}, which is a grid axis: each program sees only its own block of {dim}"
                ),
                format!(
                    "take {dim} out of the outermost `for`: use the whole dimension (`..` and {dim}), or loop over it inside"
                ),
            );
        }
    }
}

fn removed_axis(op: &Op) -> Option<(&'static str, AxisId)> {
    match op {
        Op::Reduce(_, _, axis) => Some(("a reduction", *axis)),
        Op::Fold(Fold { axis, .. }) => Some(("a fold", *axis)),
        Op::Dot(_, _, axis) => Some(("a dot", *axis)),
        Op::Literal(_)
        | Op::Dim(_)
        | Op::Param(_)
        | Op::Const(_)
        | Op::Each(_)
        | Op::AxisIndex(_)
        | Op::AxisBegin(_)
        | Op::AxisEnd(_)
        | Op::AxisLen(_)
        | Op::Read(_)
        | Op::Broadcast(_)
        | Op::Unary(..)
        | Op::Binary(..)
        | Op::Compare(..)
        | Op::Select(..)
        | Op::Cast(_)
        | Op::Call(..)
        | Op::Load { .. } => None,
    }
}
