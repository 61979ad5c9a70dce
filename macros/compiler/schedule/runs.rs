//! Cuts a block into runs of elementwise work and what stands between them.
//!
//! A `dot` ends a run only where something needs its result, so that work after it which does not
//! joins the run before it. `acc = x + dot(…)` becomes `acc = x` and a `dot` that adds onto `acc`.

use super::{Refusal, bounds, operands};
use crate::ir::{AxisId, BinaryOp, Index, Kernel, Op, ParamId, Stmt, ValueId, VarId};
use std::collections::{HashMap, HashSet};

/// A part of a block.
#[derive(Debug)]
pub(super) enum Segment {
    /// Elementwise work in program order.
    Run(Vec<Item>),
    /// A matrix product.
    Dot(DotPlan),
    /// A sequential loop.
    Sequential { axis: AxisId, first: bool, body: Vec<Segment> },
    /// A branch on a scalar.
    If { condition: ValueId, then: Vec<Segment>, otherwise: Vec<Segment> },
    /// Of the innermost sequential loop.
    Break,
    /// Of the innermost sequential loop.
    Continue,
}

/// A step of a run.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// Compute a value.
    Let(ValueId),
    /// Put a value into its buffer: a `dot` reads it there.
    Keep(ValueId),
    /// Assign to a variable.
    Assign(VarId, ValueId),
    /// Store to a tensor.
    Store { tensor: ParamId, index: Vec<Index>, value: ValueId },
}

/// A matrix product, before buffers are known. Fields as in [`super::Dot`].
#[derive(Debug)]
pub(super) struct DotPlan {
    pub value: ValueId,
    pub lhs: ValueId,
    pub rhs: ValueId,
    pub contracted: AxisId,
    pub rows: Option<AxisId>,
    pub columns: Option<AxisId>,
    pub around: Vec<AxisId>,
    /// The variable that the result goes to, and whether it is added.
    pub target: Option<(VarId, bool)>,
}

impl DotPlan {
    /// The axes of the result as its buffer has them.
    pub(super) fn layout(&self) -> Vec<AxisId> {
        self.around.iter().copied().chain(self.rows).chain(self.columns).collect()
    }
}

/// Whether a `dot` reads an operand from the tensor itself: each index a bare axis or a scalar.
pub(super) fn is_in_memory(kernel: &Kernel, value: ValueId) -> bool {
    let Op::Load { tensor, index, default: None } = &kernel.values[value].op else { return false };
    let bare = |index: &Index| match index {
        Index::Axis { offset, .. } => offset.is_none(),
        Index::Scalar(_) => true,
        Index::Gather(_) => false,
    };
    !super::is_writable(kernel, *tensor) && index.iter().all(bare)
}

/// Cuts the program's body.
pub(super) fn cut(kernel: &mut Kernel, order: &[AxisId], body: &[Stmt]) -> Result<Vec<Segment>, Refusal> {
    let uses = count_uses(kernel);
    let mut cutter = Cutter { kernel, order, uses, layouts: HashMap::new() };
    Ok(cutter.block(body))
}

fn count_uses(kernel: &Kernel) -> Vec<u32> {
    let mut uses = vec![0; kernel.values.len()];
    let mut add = |value: ValueId| uses[value.at()] += 1;
    for (_, value) in kernel.values.iter() {
        value.op.operands().into_iter().for_each(&mut add);
    }
    for (axis, _) in kernel.axes.iter() {
        bounds(kernel, axis).into_iter().for_each(&mut add);
    }
    crate::walk::each_statement(&kernel.body, &mut |stmt, _| match stmt {
        Stmt::Assign(_, value) | Stmt::If { condition: value, .. } => add(*value),
        Stmt::Store { index, value, .. } => {
            add(*value);
            index.iter().filter_map(Index::value).for_each(&mut add);
        }
        Stmt::Let(_) | Stmt::For { .. } | Stmt::Break | Stmt::Continue | Stmt::Assert { .. } => {}
    });
    uses
}

struct Cutter<'k> {
    kernel: &'k Kernel,
    order: &'k [AxisId],
    uses: Vec<u32>,
    /// The layout of variables that a `dot` writes.
    layouts: HashMap<VarId, Vec<AxisId>>,
}

/// A block being cut.
#[derive(Default)]
struct Cut {
    segments: Vec<Segment>,
    run: Vec<Item>,
    /// Products that nothing has needed so far.
    pending: Vec<DotPlan>,
    values: HashSet<ValueId>,
    vars: HashSet<VarId>,
}

impl Cut {
    fn flush(&mut self) {
        if !self.run.is_empty() {
            self.segments.push(Segment::Run(std::mem::take(&mut self.run)));
        }
        self.segments.extend(self.pending.drain(..).map(Segment::Dot));
        self.values.clear();
        self.vars.clear();
    }

    fn wait_for(&mut self, kernel: &Kernel, value: ValueId) {
        let reads = matches!(kernel.values[value].op, Op::Read(var) if self.vars.contains(&var));
        if reads
            || self.values.contains(&value)
            || operands(kernel, value).iter().any(|v| self.values.contains(v))
        {
            self.flush();
        }
    }

    fn push_dot(&mut self, kernel: &Kernel, plan: DotPlan) {
        for side in [plan.lhs, plan.rhs] {
            self.wait_for(kernel, side);
            if !is_in_memory(kernel, side) {
                self.run.push(Item::Keep(side));
            }
        }
        match plan.target {
            Some((var, _)) => {
                if self.vars.contains(&var) {
                    self.flush();
                }
                self.vars.insert(var);
            }
            None => {
                self.values.insert(plan.value);
            }
        }
        self.pending.push(plan);
    }

    fn end(mut self) -> Vec<Segment> {
        self.flush();
        self.segments
    }
}

impl Cutter<'_> {
    fn block(&mut self, block: &[Stmt]) -> Vec<Segment> {
        let sums = self.sums_onto_variables(block);
        let fused: HashSet<ValueId> = sums.values().flat_map(|sum| [sum.dot, sum.add]).collect();
        let mut cut = Cut::default();
        for (at, stmt) in block.iter().enumerate() {
            match stmt {
                Stmt::Let(value) if fused.contains(value) => {}
                Stmt::Let(value) => self.let_value(&mut cut, *value),
                Stmt::Assign(var, value) => match sums.get(&at) {
                    Some(sum) => self.sum(&mut cut, *var, sum),
                    None => {
                        cut.wait_for(self.kernel, *value);
                        if cut.vars.contains(var) {
                            cut.flush();
                        }
                        cut.run.push(Item::Assign(*var, *value));
                    }
                },
                Stmt::Store { tensor, index, value, .. } => {
                    for value in index.iter().filter_map(Index::value).chain([*value]) {
                        cut.wait_for(self.kernel, value);
                    }
                    cut.run.push(Item::Store { tensor: *tensor, index: index.clone(), value: *value });
                }
                Stmt::For { axes, body, .. } => {
                    cut.flush();
                    let mut body = self.block(body);
                    for (at, axis) in axes.iter().enumerate().rev() {
                        body = vec![Segment::Sequential { axis: *axis, first: at == 0, body }];
                    }
                    cut.segments.extend(body);
                }
                Stmt::If { condition, then, otherwise } => {
                    cut.flush();
                    let (then, otherwise) = (self.block(then), self.block(otherwise));
                    cut.segments.push(Segment::If { condition: *condition, then, otherwise });
                }
                Stmt::Break => {
                    cut.flush();
                    cut.segments.push(Segment::Break);
                }
                Stmt::Continue => {
                    cut.flush();
                    cut.segments.push(Segment::Continue);
                }
                Stmt::Assert { .. } => {}
            }
        }
        cut.end()
    }

    fn let_value(&self, cut: &mut Cut, value: ValueId) {
        if let Op::Dot(..) = self.kernel.values[value].op {
            let plan = self.plan(value, None);
            cut.push_dot(self.kernel, plan);
            return;
        }
        // What needs a pending product waits for it; cheap values are computed again where they are
        // used, so their operands count too.
        cut.wait_for(self.kernel, value);
        cut.run.push(Item::Let(value));
    }

    fn sum(&self, cut: &mut Cut, var: VarId, sum: &Sum) {
        if let Some(first) = sum.first {
            cut.wait_for(self.kernel, first);
            if cut.vars.contains(&var) {
                cut.flush();
            }
            cut.run.push(Item::Assign(var, first));
        }
        let plan = self.plan(sum.dot, Some((var, sum.accumulate)));
        cut.push_dot(self.kernel, plan);
    }

    /// Which side has the rows: the columns are the innermost axis of the result, so that they are
    /// contiguous in it.
    fn plan(&self, value: ValueId, target: Option<(VarId, bool)>) -> DotPlan {
        let Op::Dot(lhs, rhs, contracted) = self.kernel.values[value].op else {
            unreachable!("only products are planned")
        };
        let axes = |side: ValueId| &self.kernel.values[side].ty.axes;
        let free = |side: ValueId, other: ValueId| -> Vec<AxisId> {
            self.order
                .iter()
                .copied()
                .filter(|a| axes(side).contains(*a) && !axes(other).contains(*a))
                .collect()
        };
        let place = |axis: Option<&AxisId>| axis.and_then(|axis| self.order.iter().position(|a| a == axis));
        let (mut lhs, mut rhs) = (lhs, rhs);
        if place(free(lhs, rhs).last()) > place(free(rhs, lhs).last()) {
            std::mem::swap(&mut lhs, &mut rhs);
        }
        let (rows, columns) = (free(lhs, rhs).last().copied(), free(rhs, lhs).last().copied());
        let result = &self.kernel.values[value].ty.axes;
        let is_around =
            |axis: &AxisId| result.contains(*axis) && Some(*axis) != rows && Some(*axis) != columns;
        let around = self.order.iter().copied().filter(is_around).collect();
        DotPlan { value, lhs, rhs, contracted, rows, columns, around, target }
    }

    /// The assignments of a block whose value is a `dot`, or a sum of a `dot` and something else, that
    /// nothing else uses.
    fn sums_onto_variables(&mut self, block: &[Stmt]) -> HashMap<usize, Sum> {
        let mut lets = HashMap::new();
        let mut sums = HashMap::new();
        for (at, stmt) in block.iter().enumerate() {
            match stmt {
                Stmt::Let(value) => {
                    lets.insert(*value, at);
                }
                Stmt::Assign(var, value) => {
                    if let Some(sum) = self.sum_onto(block, &lets, at, *var, *value) {
                        sums.insert(at, sum);
                    }
                }
                Stmt::Store { .. }
                | Stmt::For { .. }
                | Stmt::If { .. }
                | Stmt::Break
                | Stmt::Continue
                | Stmt::Assert { .. } => {}
            }
        }
        sums
    }

    fn sum_onto(
        &mut self,
        block: &[Stmt],
        lets: &HashMap<ValueId, usize>,
        at: usize,
        var: VarId,
        value: ValueId,
    ) -> Option<Sum> {
        let is_single_dot = |v: ValueId| {
            matches!(self.kernel.values[v].op, Op::Dot(..)) && self.uses[v.at()] == 1 && lets.contains_key(&v)
        };
        let (dot, first) = if is_single_dot(value) {
            (value, None)
        } else if let Op::Binary(BinaryOp::Add, lhs, rhs) = self.kernel.values[value].op {
            let (dot, other) = if is_single_dot(rhs) { (rhs, lhs) } else { (lhs, rhs) };
            (dot, Some(other))
        } else {
            return None;
        };
        if !is_single_dot(dot) {
            return None;
        }
        let is_here = lets.contains_key(&value) && self.uses[value.at()] == 1;
        if !is_here || self.kernel.values[dot].ty != self.kernel.vars[var].ty {
            return None;
        }
        let layout = self.plan(dot, None).layout();
        if *self.layouts.entry(var).or_insert_with(|| layout.clone()) != layout {
            return None;
        }
        let accumulate = first.is_some();
        // acc = acc + dot(…): what is there stays there.
        let stays = |first: &ValueId| {
            let assigns = |stmt: &Stmt| assigns(stmt, var);
            matches!(self.kernel.values[*first].op, Op::Read(read) if read == var)
                && lets.get(first).is_some_and(|from| !block[*from..at].iter().any(assigns))
        };
        Some(Sum { dot, add: value, first: first.filter(|first| !stays(first)), accumulate })
    }
}

/// `var = first + dot`.
struct Sum {
    dot: ValueId,
    add: ValueId,
    /// Assigned to the variable before.
    first: Option<ValueId>,
    accumulate: bool,
}

fn assigns(stmt: &Stmt, var: VarId) -> bool {
    let mut found = false;
    crate::walk::each_statement(std::slice::from_ref(stmt), &mut |stmt, _| {
        found |= matches!(stmt, Stmt::Assign(to, _) if *to == var);
    });
    found
}
