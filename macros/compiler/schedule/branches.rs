//! A branch on a const parameter that only computes tiles becomes a selection, so that it does not cut a run.
//!
//! ```text
//! if CAUSAL { score = f(score); }    ->    score = select(CAUSAL, f(score), score)
//! ```
//!
//! The parameter is known when the kernel is compiled, so nothing is computed that is not used. What can fault or has
//! loops of its own, loads and reductions, stays behind its branch.

use crate::ir::{Block, Kernel, Op, Stmt, Value, ValueId, VarId};
use std::collections::HashSet;

/// Rewrites the kernel in place.
pub(super) fn branches(kernel: &mut Kernel) {
    let body = std::mem::take(&mut kernel.body);
    kernel.body = rewrite(kernel, body, &mut HashSet::new());
}

/// `declared` are the variables that have been assigned before.
fn rewrite(kernel: &mut Kernel, block: Block, declared: &mut HashSet<VarId>) -> Block {
    let mut rewritten = Vec::with_capacity(block.len());
    for stmt in block {
        match stmt {
            Stmt::For { axes, body, span } => {
                let body = rewrite(kernel, body, &mut declared.clone());
                rewritten.push(Stmt::For { axes, body, span });
            }
            Stmt::If { condition, then, otherwise } => {
                let flat = is_known(kernel, condition)
                    && computes_tiles(kernel, &then, declared)
                    && computes_tiles(kernel, &otherwise, declared);
                if flat {
                    select(kernel, condition, then, true, &mut rewritten);
                    select(kernel, condition, otherwise, false, &mut rewritten);
                } else {
                    let then = rewrite(kernel, then, &mut declared.clone());
                    let otherwise = rewrite(kernel, otherwise, &mut declared.clone());
                    rewritten.push(Stmt::If { condition, then, otherwise });
                }
            }
            Stmt::Assign(var, _) => {
                declared.insert(var);
                rewritten.push(stmt);
            }
            Stmt::Let(_) | Stmt::Store { .. } | Stmt::Break | Stmt::Continue | Stmt::Assert { .. } => {
                rewritten.push(stmt);
            }
        }
    }
    rewritten
}

/// Whether a condition is made of const parameters alone.
fn is_known(kernel: &Kernel, value: ValueId) -> bool {
    match &kernel.values[value].op {
        Op::Const(_) | Op::Literal(_) => true,
        Op::Unary(_, of) | Op::Cast(of) => is_known(kernel, *of),
        Op::Binary(_, lhs, rhs) | Op::Compare(_, lhs, rhs) => {
            is_known(kernel, *lhs) && is_known(kernel, *rhs)
        }
        Op::Dim(_)
        | Op::Param(_)
        | Op::Each(_)
        | Op::AxisIndex(_)
        | Op::AxisBegin(_)
        | Op::AxisEnd(_)
        | Op::AxisLen(_)
        | Op::Read(_)
        | Op::Broadcast(_)
        | Op::Select(..)
        | Op::Call(..)
        | Op::Reduce(..)
        | Op::Fold(_)
        | Op::Dot(..)
        | Op::Load { .. } => false,
    }
}

/// Whether a block assigns nothing but elementwise values, which have axes, to variables that there are.
fn computes_tiles(kernel: &Kernel, block: &[Stmt], declared: &HashSet<VarId>) -> bool {
    block.iter().all(|stmt| match stmt {
        Stmt::Let(value) => is_elementwise(kernel, *value),
        Stmt::Assign(var, value) => declared.contains(var) && !kernel.values[*value].ty.axes.is_empty(),
        Stmt::Store { .. }
        | Stmt::For { .. }
        | Stmt::If { .. }
        | Stmt::Break
        | Stmt::Continue
        | Stmt::Assert { .. } => false,
    })
}

fn is_elementwise(kernel: &Kernel, value: ValueId) -> bool {
    match &kernel.values[value].op {
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
        | Op::Cast(_) => true,
        Op::Call(..) | Op::Reduce(..) | Op::Fold(_) | Op::Dot(..) | Op::Load { .. } => false,
    }
}

/// The block without its branch: variables keep what they have where the condition is not `holds`.
fn select(kernel: &mut Kernel, condition: ValueId, block: Block, holds: bool, into: &mut Block) {
    for stmt in block {
        let Stmt::Assign(var, value) = stmt else {
            into.push(stmt);
            continue;
        };
        let Value { ty, span, .. } = kernel.values[value].clone();
        let had = kernel.values.push(Value { op: Op::Read(var), ty: ty.clone(), span });
        let (then, otherwise) = if holds { (value, had) } else { (had, value) };
        let selected = kernel.values.push(Value { op: Op::Select(condition, then, otherwise), ty, span });
        into.extend([Stmt::Let(had), Stmt::Let(selected), Stmt::Assign(var, selected)]);
    }
}
