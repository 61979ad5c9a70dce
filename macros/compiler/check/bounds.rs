//! Whole dimensions have any length, so what must stay on chip over one needs a bound: a carried
//! tile, and the operands and the result of a `dot`.

use crate::diagnostics::Diagnostics;
use crate::ir::{AxisId, AxisKind, BinaryOp, CompareOp, DimId, Kernel, Literal, Op, Stmt, ValueId};
use crate::walk::each_statement;
use proc_macro2::Span;

/// Refuses carried and contracted tiles over whole dimensions that no `assert!` bounds.
pub fn check_whole_dimensions(kernel: &Kernel, errors: &mut Diagnostics) {
    let bounded = bounded_dims(kernel);
    let unbounded = |axis: AxisId| match kernel.axes[axis].kind {
        AxisKind::Whole { dim } => (!bounded.contains(&dim)).then_some(dim),
        AxisKind::Tile { .. } | AxisKind::Each { .. } | AxisKind::Unroll { .. } => None,
    };
    let mut refuse = |what: String, dim: DimId, span: Span| {
        let dim = &kernel.dims[dim].name;
        errors.error(
            span,
            format!("{what} over the whole dimension {dim}, whose length has no bound"),
            format!("write `assert!({dim} <= 256);` before the loops, or loop over {dim} with `tile({dim})`"),
        );
    };
    for (_, var) in kernel.vars.iter() {
        if let Some(dim) = var.ty.axes.iter().find_map(unbounded) {
            refuse(format!("{} is a carried tile", var.name), dim, var.name.span());
        }
    }
    for (_, value) in kernel.values.iter() {
        if let Op::Dot(_, _, axis) = &value.op {
            if let Some(dim) = unbounded(*axis) {
                refuse("a dot contracts".to_owned(), dim, value.span);
            } else if let Some(dim) = value.ty.axes.iter().find_map(unbounded) {
                refuse("a dot gives a tile".to_owned(), dim, value.span);
            }
        }
    }
}

/// The dimensions that an `assert!` bounds by a literal or a const parameter.
fn bounded_dims(kernel: &Kernel) -> Vec<DimId> {
    let mut dims = Vec::new();
    each_statement(&kernel.body, &mut |stmt, _| {
        if let Stmt::Assert { condition, .. } = stmt {
            collect_bounds(kernel, *condition, &mut dims);
        }
    });
    dims
}

fn collect_bounds(kernel: &Kernel, condition: ValueId, dims: &mut Vec<DimId>) {
    let op = &kernel.values[condition].op;
    if let Op::Binary(BinaryOp::And, lhs, rhs) = op {
        collect_bounds(kernel, *lhs, dims);
        collect_bounds(kernel, *rhs, dims);
    } else if let Op::Compare(op, lhs, rhs) = op {
        match op {
            CompareOp::Lt | CompareOp::Le => bound(kernel, *lhs, *rhs, dims),
            CompareOp::Gt | CompareOp::Ge => bound(kernel, *rhs, *lhs, dims),
            CompareOp::Eq => {
                bound(kernel, *lhs, *rhs, dims);
                bound(kernel, *rhs, *lhs, dims);
            }
            CompareOp::Ne => {}
        }
    }
}

fn bound(kernel: &Kernel, small: ValueId, large: ValueId, dims: &mut Vec<DimId>) {
    let constant = matches!(kernel.values[large].op, Op::Literal(Literal::Int(_)) | Op::Const(_));
    if let Op::Dim(dim) = kernel.values[small].op
        && constant
    {
        dims.push(dim);
    }
}
