//! Which values are computed where they stand, and which wherever they are used.
//!
//! A value *floats* if computing it again is cheaper than keeping it: loads from tensors that the
//! kernel only reads, and a few cheap operations on them. All others are *anchored*: reductions,
//! expensive functions, scalars, loads from tensors that the kernel writes, and reads of variables that
//! change before the last use.

use super::runs::{Item, Segment, is_in_memory};
use super::{bounds, is_leaf, is_writable, operands};
use crate::ir::{BinaryOp, Index, Kernel, Op, UnaryOp, ValueId};
use std::collections::HashMap;

/// Floating values cost at most this; a load costs 1.
const LIMIT: u32 = 8;

/// By value: whether it is anchored.
pub(super) fn anchored(kernel: &Kernel, segments: &[Segment]) -> Vec<bool> {
    let mut uses =
        Uses { kernel, n_runs: 0, defined: HashMap::new(), used: HashMap::new(), changed: HashMap::new() };
    uses.block(segments);
    let mut costs = Costs { kernel, uses: &uses, memo: vec![None; kernel.values.len()] };
    kernel.values.iter().map(|(value, _)| costs.cost(value).anchored).collect()
}

/// Which run computes a value and which use it. What stands between runs is a run of its own.
struct Uses<'k> {
    kernel: &'k Kernel,
    n_runs: usize,
    defined: HashMap<ValueId, usize>,
    used: HashMap<ValueId, Vec<usize>>,
    /// Reads that an assignment in the same run follows.
    changed: HashMap<ValueId, bool>,
}

impl Uses<'_> {
    fn block(&mut self, segments: &[Segment]) {
        for segment in segments {
            self.n_runs += 1;
            let run = self.n_runs;
            match segment {
                Segment::Run(items) => self.run(run, items),
                Segment::Dot(plan) => {
                    for side in [plan.lhs, plan.rhs] {
                        self.uses(run, side);
                        if is_in_memory(self.kernel, side) {
                            operands(self.kernel, side).into_iter().for_each(|v| self.uses(run, v));
                        }
                    }
                    self.defined.insert(plan.value, run);
                }
                Segment::Sequential { axis, body, .. } => {
                    bounds(self.kernel, *axis).into_iter().for_each(|v| self.uses(run, v));
                    self.block(body);
                }
                Segment::If { condition, then, otherwise } => {
                    self.uses(run, *condition);
                    self.block(then);
                    self.block(otherwise);
                }
                Segment::Break | Segment::Continue => {}
            }
        }
    }

    fn run(&mut self, run: usize, items: &[Item]) {
        let mut reads: Vec<(ValueId, crate::ir::VarId)> = Vec::new();
        for item in items {
            match item {
                Item::Let(value) => {
                    self.defined.insert(*value, run);
                    operands(self.kernel, *value).into_iter().for_each(|v| self.uses(run, v));
                    if let Op::Read(var) = self.kernel.values[*value].op {
                        reads.push((*value, var));
                    }
                }
                Item::Keep(value) => self.uses(run, *value),
                Item::Assign(var, value) => {
                    self.uses(run, *value);
                    for (read, _) in reads.iter().filter(|(_, of)| of == var) {
                        self.changed.insert(*read, true);
                    }
                }
                Item::Store { index, value, .. } => {
                    let index = index.iter().filter_map(Index::value);
                    index.chain([*value]).for_each(|v| self.uses(run, v));
                }
            }
        }
    }

    fn uses(&mut self, run: usize, value: ValueId) {
        self.used.entry(value).or_default().push(run);
    }

    fn is_used_elsewhere(&self, value: ValueId) -> bool {
        let here = self.defined.get(&value);
        self.used.get(&value).is_some_and(|runs| runs.iter().any(|run| Some(run) != here))
    }
}

#[derive(Clone, Copy)]
struct Cost {
    anchored: bool,
    cost: u32,
    /// Reads a variable, directly or through floating values.
    reads: bool,
}

struct Costs<'k> {
    kernel: &'k Kernel,
    uses: &'k Uses<'k>,
    memo: Vec<Option<Cost>>,
}

impl Costs<'_> {
    fn cost(&mut self, value: ValueId) -> Cost {
        if let Some(known) = self.memo[value.at()] {
            return known;
        }
        let cost = self.compute(value);
        self.memo[value.at()] = Some(cost);
        cost
    }

    fn compute(&mut self, value: ValueId) -> Cost {
        let kernel = self.kernel;
        if is_leaf(kernel, value) {
            return Cost { anchored: false, cost: 0, reads: false };
        }
        let anchor = Cost { anchored: true, cost: 0, reads: false };
        let Some(own) = own_cost(kernel, value) else { return anchor };
        let mut total =
            Cost { anchored: false, cost: own, reads: matches!(kernel.values[value].op, Op::Read(_)) };
        for operand in operands(kernel, value) {
            let operand = self.cost(operand);
            total.cost += operand.cost;
            total.reads |= operand.reads;
        }
        let changes = total.reads && (self.uses.is_used_elsewhere(value) || self.reads_change(value));
        if kernel.values[value].ty.axes.is_empty() || total.cost > LIMIT || changes { anchor } else { total }
    }

    /// A read of a variable that the run assigns afterwards.
    fn reads_change(&self, value: ValueId) -> bool {
        self.uses.changed.contains_key(&value)
    }
}

/// About how many operations of vectors one operation is.
#[must_use]
pub fn operation_cost(op: &Op) -> u32 {
    match op {
        Op::Literal(_)
        | Op::Dim(_)
        | Op::Param(_)
        | Op::Const(_)
        | Op::Each(_)
        | Op::AxisIndex(_)
        | Op::AxisBegin(_)
        | Op::AxisEnd(_)
        | Op::AxisLen(_)
        | Op::Broadcast(_)
        | Op::Dot(..) => 0,
        Op::Read(_) | Op::Compare(..) | Op::Select(..) | Op::Cast(_) | Op::Reduce(..) => 1,
        Op::Unary(op, _) => unary_cost(*op),
        Op::Binary(op, ..) => binary_cost(*op),
        Op::Load { index, .. } => {
            1 + 2 * index.iter().filter(|index| matches!(index, Index::Gather(_))).count() as u32
        }
        Op::Call(..) | Op::Fold(_) => 20,
    }
}

/// What the operation costs; none if it is never done twice.
fn own_cost(kernel: &Kernel, value: ValueId) -> Option<u32> {
    let op = &kernel.values[value].op;
    let may_change = matches!(op, Op::Load { tensor, .. } if is_writable(kernel, *tensor));
    let is_once = matches!(op, Op::Call(..) | Op::Reduce(..) | Op::Fold(_) | Op::Dot(..));
    (!may_change && !is_once).then(|| operation_cost(op))
}

fn unary_cost(op: UnaryOp) -> u32 {
    match op {
        UnaryOp::Neg
        | UnaryOp::Not
        | UnaryOp::Abs
        | UnaryOp::Floor
        | UnaryOp::Ceil
        | UnaryOp::Round
        | UnaryOp::Trunc
        | UnaryOp::Relu => 1,
        UnaryOp::Sqrt | UnaryOp::Rsqrt | UnaryOp::Recip => 6,
        UnaryOp::Exp
        | UnaryOp::Exp2
        | UnaryOp::Ln
        | UnaryOp::Log2
        | UnaryOp::Sin
        | UnaryOp::Cos
        | UnaryOp::Tanh
        | UnaryOp::Erf
        | UnaryOp::Sigmoid
        | UnaryOp::Gelu
        | UnaryOp::GeluTanh
        | UnaryOp::Silu => 20,
    }
}

fn binary_cost(op: BinaryOp) -> u32 {
    match op {
        BinaryOp::Add
        | BinaryOp::Sub
        | BinaryOp::Mul
        | BinaryOp::Max
        | BinaryOp::Min
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::Shl
        | BinaryOp::Shr => 1,
        BinaryOp::Div => 4,
        BinaryOp::Rem | BinaryOp::Pow | BinaryOp::ExpSub => 20,
    }
}
