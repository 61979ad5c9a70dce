//! A tile variable that is only read where its content is known becomes that content: it then needs no memory.
//!
//! ```text
//! score = dot(q, k) * scale;         v1 = dot(q, k) * scale
//! peak = max(peak, score.max(t));    v2 = max of v1
//! ```
//!
//! Known is what the same block has assigned before, with no loop or branch in between that assigns it too, and no
//! store.

use crate::ir::{AxisId, AxisKind, BinaryOp, Block, Elem, Kernel, Op, Stmt, ValueId, VarId};
use std::collections::{HashMap, HashSet};

/// Rewrites the kernel in place.
pub(super) fn forward(kernel: &mut Kernel) {
    let mut walk = Walk { kernel, contents: HashMap::new(), lets: HashSet::new(), unknown: HashSet::new() };
    walk.block(&kernel.body);
    let Walk { contents, lets, mut unknown, .. } = walk;
    for (value, info) in kernel.values.iter() {
        // A read without a statement: a closure's.
        if let Op::Read(var) = info.op
            && !lets.contains(&value)
        {
            unknown.insert(var);
        }
    }
    let goes = |var: VarId| {
        let ty = &kernel.vars[var].ty;
        // Elements that are stored with fewer bits than they are computed with would be rounded by their variable.
        let is_exact = matches!(ty.elem, Elem::F32 | Elem::F64 | Elem::I32 | Elem::I64 | Elem::U32);
        is_exact && !ty.axes.is_empty() && !unknown.contains(&var)
    };
    let gone: HashSet<VarId> = kernel.vars.iter().map(|(var, _)| var).filter(|var| goes(*var)).collect();
    let contents: HashMap<ValueId, ValueId> = contents
        .into_iter()
        .filter(|(read, _)| matches!(kernel.values[*read].op, Op::Read(var) if gone.contains(&var)))
        .collect();
    replace(kernel, &contents, &gone);
}

/// Uses other values instead of some, which are no longer computed, and forgets assignments of variables that are gone.
pub(super) fn replace(kernel: &mut Kernel, contents: &HashMap<ValueId, ValueId>, gone: &HashSet<VarId>) {
    let resolve = |value: ValueId| {
        let mut value = value;
        while let Some(content) = contents.get(&value) {
            value = *content;
        }
        value
    };
    let all: Vec<ValueId> = kernel.values.iter().map(|(value, _)| value).collect();
    for value in all {
        kernel.values[value].op.operands_mut().into_iter().for_each(|operand| *operand = resolve(*operand));
    }
    let axes: Vec<AxisId> = kernel.axes.iter().map(|(axis, _)| axis).collect();
    for axis in axes {
        if let AxisKind::Tile { begin, end, .. } | AxisKind::Each { begin, end, .. } =
            &mut kernel.axes[axis].kind
        {
            begin.iter_mut().chain(end).for_each(|bound| *bound = resolve(*bound));
        }
    }
    let body = std::mem::take(&mut kernel.body);
    kernel.body = rewrite(body, gone, &|value| contents.contains_key(&value), &resolve);
}

struct Walk<'k> {
    kernel: &'k Kernel,
    /// What each read reads, where that is known.
    contents: HashMap<ValueId, ValueId>,
    /// Reads that are statements.
    lets: HashSet<ValueId>,
    /// Variables that are read where their content is not known.
    unknown: HashSet<VarId>,
}

impl Walk<'_> {
    /// The variables that the block assigns.
    fn block(&mut self, block: &[Stmt]) -> HashSet<VarId> {
        let mut known: HashMap<VarId, ValueId> = HashMap::new();
        let mut assigned = HashSet::new();
        for stmt in block {
            match stmt {
                Stmt::Let(value) => {
                    if let Op::Read(var) = self.kernel.values[*value].op {
                        self.lets.insert(*value);
                        match known.get(&var) {
                            Some(content)
                                if self.kernel.values[*content].ty == self.kernel.values[*value].ty =>
                            {
                                self.contents.insert(*value, *content);
                            }
                            _ => {
                                self.unknown.insert(var);
                            }
                        }
                    }
                }
                Stmt::Assign(var, value) => {
                    if self.adds_a_product(*value) {
                        // Products are summed in their variable, without a pass for the sum.
                        self.unknown.insert(*var);
                    }
                    known.insert(*var, *value);
                    assigned.insert(*var);
                }
                // What is loaded before a store is not to be loaded again after it: the output may be the same
                // memory.
                Stmt::Store { .. } => known.clear(),
                Stmt::For { body, .. } => {
                    let inside = self.block(body);
                    known.retain(|var, _| !inside.contains(var));
                    assigned.extend(inside);
                }
                Stmt::If { then, otherwise, .. } => {
                    for block in [then, otherwise] {
                        let inside = self.block(block);
                        known.retain(|var, _| !inside.contains(var));
                        assigned.extend(inside);
                    }
                }
                Stmt::Break | Stmt::Continue | Stmt::Assert { .. } => {}
            }
        }
        assigned
    }

    fn adds_a_product(&self, value: ValueId) -> bool {
        let is_product = |value: ValueId| matches!(self.kernel.values[value].op, Op::Dot(..));
        matches!(self.kernel.values[value].op, Op::Binary(BinaryOp::Add, lhs, rhs) if is_product(lhs) || is_product(rhs))
    }
}

fn rewrite(
    block: Block,
    gone: &HashSet<VarId>,
    is_known: &dyn Fn(ValueId) -> bool,
    resolve: &dyn Fn(ValueId) -> ValueId,
) -> Block {
    let mut rewritten = Vec::with_capacity(block.len());
    for stmt in block {
        rewritten.push(match stmt {
            Stmt::Let(value) if is_known(value) => continue,
            Stmt::Assign(var, _) if gone.contains(&var) => continue,
            Stmt::Let(_) | Stmt::Break | Stmt::Continue | Stmt::Assert { .. } => stmt,
            Stmt::Assign(var, value) => Stmt::Assign(var, resolve(value)),
            Stmt::Store { tensor, mut index, value, span } => {
                index.iter_mut().filter_map(|index| index.value_mut()).for_each(|v| *v = resolve(*v));
                Stmt::Store { tensor, index, value: resolve(value), span }
            }
            Stmt::For { axes, body, span } => {
                Stmt::For { axes, body: rewrite(body, gone, is_known, resolve), span }
            }
            Stmt::If { condition, then, otherwise } => Stmt::If {
                condition: resolve(condition),
                then: rewrite(then, gone, is_known, resolve),
                otherwise: rewrite(otherwise, gone, is_known, resolve),
            },
        });
    }
    rewritten
}
