//! Puts each step into the loops that `fuse` opens, and decides how values reach their uses.
//!
//! The stack of open scopes is Rust's own: a value computed in a scope that is still open is a local
//! variable. A floating value is computed again in the outermost open scope that has its axes. Any
//! other is kept in a buffer, whose axes are those that definition and uses do not share a loop over.

use super::runs::{DotPlan, Item, Segment, is_in_memory};
use super::{
    Accumulate, Buffer, BufferId, Dot, Node, Operand, Reduction, Schedule, bounds, is_leaf, operands, reduced,
};
use crate::ir::{AxisId, Index, Kernel, Op, ReduceOp, Stmt, ValueId, VarId};
use std::collections::{HashMap, HashSet};

/// Schedules the segments of a program.
pub(super) fn place(
    kernel: Kernel,
    grid: Vec<AxisId>,
    order: &[AxisId],
    segments: &[Segment],
    anchored: &[bool],
) -> Schedule {
    let mut placer = Placer {
        kernel: &kernel,
        order,
        anchored,
        live: live(&kernel, segments),
        scopes: vec![Scope::default()],
        n_scopes: 1,
        defined: HashMap::new(),
        kept: HashMap::new(),
        buffers: Vec::new(),
        shared: Vec::new(),
        variables: vec![None; kernel.vars.len()],
    };
    placer.variables(segments);
    placer.segments(segments);
    let mut body = placer.scopes.pop().map(|scope| scope.nodes).unwrap_or_default();
    let (kept, mut buffers, shared) = (placer.kept, placer.buffers, placer.shared);
    let variables = placer.variables;
    let is_anchored = |value: &&ValueId| anchored[value.at()];
    let kept = kept.iter().filter(|(value, _)| is_anchored(value)).map(|(v, b)| (*v, *b)).collect();
    keep(&mut body, &kept);
    for (buffer, shared) in buffers.iter_mut().zip(&shared) {
        buffer.axes.retain(|axis| !shared.contains(axis));
    }
    Schedule { kernel, grid, body, buffers, variables, outputs: Vec::new() }
}

/// An open scope.
#[derive(Default)]
struct Scope {
    /// Unique.
    number: usize,
    /// The axis of its loop; none for a block.
    axis: Option<AxisId>,
    lanes: bool,
    values: HashSet<ValueId>,
    nodes: Vec<Node>,
    reductions: Vec<Reduction>,
}

/// Scopes around a definition, outermost first: number and axis.
type Path = Vec<(usize, Option<AxisId>)>;

pub(super) struct Placer<'k> {
    pub kernel: &'k Kernel,
    pub order: &'k [AxisId],
    pub anchored: &'k [bool],
    /// What effects need, directly or not.
    pub live: Vec<bool>,
    scopes: Vec<Scope>,
    n_scopes: usize,
    defined: HashMap<ValueId, Path>,
    kept: HashMap<ValueId, BufferId>,
    buffers: Vec<Buffer>,
    /// The axes that all uses of a buffer share with its definition.
    shared: Vec<HashSet<AxisId>>,
    variables: Vec<Option<BufferId>>,
}

fn live(kernel: &Kernel, segments: &[Segment]) -> Vec<bool> {
    let mut live = vec![false; kernel.values.len()];
    mark_block(kernel, segments, &mut live);
    live
}

fn mark(kernel: &Kernel, value: ValueId, live: &mut Vec<bool>) {
    if !std::mem::replace(&mut live[value.at()], true) {
        for operand in kernel.values[value].op.operands() {
            mark(kernel, operand, live);
        }
        if let Op::Fold(fold) = &kernel.values[value].op {
            fold.body.iter().for_each(|value| mark(kernel, *value, live));
        }
    }
}

fn mark_block(kernel: &Kernel, segments: &[Segment], live: &mut Vec<bool>) {
    for segment in segments {
        match segment {
            Segment::Run(items) => {
                for item in items {
                    match item {
                        // Computed only for others.
                        Item::Let(_) => {}
                        Item::Keep(value) | Item::Assign(_, value) => mark(kernel, *value, live),
                        Item::Store { index, value, .. } => {
                            index.iter().filter_map(Index::value).for_each(|v| mark(kernel, v, live));
                            mark(kernel, *value, live);
                        }
                    }
                }
            }
            Segment::Dot(plan) => [plan.lhs, plan.rhs].into_iter().for_each(|v| mark(kernel, v, live)),
            Segment::Sequential { axis, body, .. } => {
                bounds(kernel, *axis).into_iter().for_each(|v| mark(kernel, v, live));
                mark_block(kernel, body, live);
            }
            Segment::If { condition, then, otherwise } => {
                mark(kernel, *condition, live);
                mark_block(kernel, then, live);
                mark_block(kernel, otherwise, live);
            }
            Segment::Break | Segment::Continue => {}
        }
    }
}

impl Placer<'_> {
    /// Gives every variable with axes its buffer, in the layout that its `dot` wants.
    fn variables(&mut self, segments: &[Segment]) {
        let mut layouts = HashMap::new();
        layouts_of(segments, &mut layouts);
        let mut assigned = HashSet::new();
        crate::walk::each_statement(&self.kernel.body, &mut |stmt, _| {
            if let Stmt::Assign(var, _) = stmt {
                assigned.insert(*var);
            }
        });
        for (var, variable) in self.kernel.vars.iter() {
            let axes = &variable.ty.axes;
            let is_gone = !assigned.contains(&var);
            if is_gone || axes.is_empty() && !layouts.contains_key(&var) {
                continue;
            }
            let sorted = || self.order.iter().copied().filter(|axis| axes.contains(*axis)).collect();
            let layout = layouts.remove(&var).unwrap_or_else(sorted);
            self.variables[var.at()] = Some(self.buffer(layout, variable.ty.elem, None, None));
        }
    }

    fn buffer(
        &mut self,
        axes: Vec<AxisId>,
        elem: crate::ir::Elem,
        of: Option<crate::ir::Elem>,
        shared: Option<HashSet<AxisId>>,
    ) -> BufferId {
        self.buffers.push(Buffer { axes, elem, extreme_of: of });
        self.shared.push(shared.unwrap_or_default());
        BufferId(self.buffers.len() - 1)
    }

    fn segments(&mut self, segments: &[Segment]) {
        for segment in segments {
            match segment {
                Segment::Run(items) => {
                    let steps = self.steps(items);
                    let all: Vec<usize> = (0..steps.len()).collect();
                    self.fuse(&steps, &all);
                }
                Segment::Dot(plan) => self.dot(plan),
                Segment::Sequential { axis, first, body } => {
                    bounds(self.kernel, *axis).into_iter().for_each(|v| self.need(v));
                    let body = self.block(body);
                    self.push(Node::Sequential { axis: *axis, first: *first, body });
                }
                Segment::If { condition, then, otherwise } => {
                    self.need(*condition);
                    let (then, otherwise) = (self.block(then), self.block(otherwise));
                    self.push(Node::If { condition: *condition, then, otherwise });
                }
                Segment::Break => self.push(Node::Break),
                Segment::Continue => self.push(Node::Continue),
            }
        }
    }

    fn block(&mut self, segments: &[Segment]) -> Vec<Node> {
        self.open(None, false);
        self.segments(segments);
        self.scopes.pop().map(|scope| scope.nodes).unwrap_or_default()
    }

    fn dot(&mut self, plan: &DotPlan) {
        let [lhs, rhs] = [plan.lhs, plan.rhs].map(|side| {
            if is_in_memory(self.kernel, side) {
                operands(self.kernel, side).into_iter().for_each(|v| self.need(v));
                return Operand::Tensor(side);
            }
            Operand::Buffer(self.kept_buffer(side))
        });
        let (into, accumulate) = match plan.target {
            Some((var, accumulate)) => (self.variables[var.at()], accumulate),
            None => (None, false),
        };
        let accumulate = if accumulate { Accumulate::Always } else { Accumulate::Never };
        let into = into.unwrap_or_else(|| {
            let elem = self.kernel.values[plan.value].ty.elem;
            let buffer = self.buffer(plan.layout(), elem, None, None);
            self.kept.insert(plan.value, buffer);
            self.defined.insert(plan.value, self.path());
            buffer
        });
        let DotPlan { value, contracted, rows, columns, .. } = *plan;
        let around = plan.around.clone();
        self.push(Node::Dot(Dot { value, lhs, rhs, contracted, rows, columns, around, into, accumulate }));
    }

    fn open(&mut self, axis: Option<AxisId>, lanes: bool) {
        let number = self.n_scopes;
        self.n_scopes += 1;
        self.scopes.push(Scope { number, axis, lanes, ..Scope::default() });
    }

    pub(super) fn open_loop(&mut self, axis: AxisId, lanes: bool) {
        self.open(Some(axis), lanes);
    }

    pub(super) fn close_loop(&mut self) {
        let Some(scope) = self.scopes.pop() else { return };
        let (Some(axis), lanes) = (scope.axis, scope.lanes) else { return };
        for reduction in &scope.reductions {
            let path = self.path();
            self.defined.insert(reduction.value, path);
            if reduction.state.is_none() {
                self.scope().values.insert(reduction.value);
            }
        }
        self.push(Node::Loop { axis, lanes, reductions: scope.reductions, body: scope.nodes });
    }

    pub(super) fn open_axes(&self) -> Vec<AxisId> {
        self.scopes.iter().filter_map(|scope| scope.axis).collect()
    }

    fn scope(&mut self) -> &mut Scope {
        self.scopes.last_mut().expect("the outermost scope stays open")
    }

    fn push(&mut self, node: Node) {
        self.scope().nodes.push(node);
    }

    fn path(&self) -> Path {
        self.scopes.iter().map(|scope| (scope.number, scope.axis)).collect()
    }

    pub(super) fn place_item(&mut self, item: &Item) {
        match item {
            Item::Let(value) => {
                operands(self.kernel, *value).into_iter().for_each(|v| self.need(v));
                match reduced(self.kernel, *value) {
                    Some((_, axis)) => self.accumulate(*value, axis),
                    None => self.compute(self.scopes.len() - 1, *value),
                }
            }
            Item::Keep(value) => {
                self.need(*value);
                let buffer = self.kept_buffer(*value);
                if !self.anchored[value.at()] {
                    self.push(Node::Keep { value: *value, buffer });
                }
            }
            Item::Assign(var, value) => {
                self.need(*value);
                self.push(Node::Assign { var: *var, value: *value });
            }
            Item::Store { tensor, index, value } => {
                index.iter().filter_map(Index::value).chain([*value]).for_each(|v| self.need(v));
                self.push(Node::Store { tensor: *tensor, index: index.clone(), value: *value });
            }
        }
    }

    fn compute(&mut self, scope: usize, value: ValueId) {
        let path: Path = self.scopes[..=scope].iter().map(|scope| (scope.number, scope.axis)).collect();
        self.defined.insert(value, path);
        self.scopes[scope].values.insert(value);
        self.scopes[scope].nodes.push(Node::Compute { value, keep: None });
    }

    /// One step of a reduction: its state is local where the loop stands if no other axis is open
    /// inside the loop, else a buffer over those axes.
    fn accumulate(&mut self, value: ValueId, axis: AxisId) {
        let Some(at) = self.scopes.iter().rposition(|scope| scope.axis == Some(axis)) else { return };
        let inside = self.scopes[at + 1..].iter().any(|scope| scope.axis.is_some());
        let state = inside.then(|| {
            let path: Path = self.scopes[..at].iter().map(|scope| (scope.number, scope.axis)).collect();
            self.defined.insert(value, path.clone());
            self.kept_at(value, &path)
        });
        self.scopes[at].reductions.push(Reduction { value, state, keep: None });
        self.push(Node::Accumulate { value, state });
    }

    /// The buffer of a value that a `dot` or a loop elsewhere reads from here.
    fn kept_buffer(&mut self, value: ValueId) -> BufferId {
        // A `dot` stands outside all loops: only what no loop encloses is shared.
        let path: Path = self.path().into_iter().take_while(|(_, axis)| axis.is_none()).collect();
        self.kept_at(value, &path)
    }

    fn kept_at(&mut self, value: ValueId, path: &Path) -> BufferId {
        let defined = self.defined.get(&value);
        let common =
            defined.map_or(0, |defined| defined.iter().zip(path).take_while(|(a, b)| a == b).count());
        let shared: HashSet<AxisId> = path[..common].iter().filter_map(|(_, axis)| *axis).collect();
        if let Some(buffer) = self.kept.get(&value) {
            self.shared[buffer.0].retain(|axis| shared.contains(axis));
            return *buffer;
        }
        let ty = &self.kernel.values[value].ty;
        let axes = self.order.iter().copied().filter(|axis| ty.axes.contains(*axis)).collect();
        let is_index =
            matches!(self.kernel.values[value].op, Op::Reduce(ReduceOp::Argmax | ReduceOp::Argmin, ..));
        let of =
            reduced(self.kernel, value).filter(|_| is_index).map(|(of, _)| self.kernel.values[of].ty.elem);
        let buffer = self.buffer(axes, ty.elem, of, Some(shared));
        self.kept.insert(value, buffer);
        buffer
    }

    /// Sees to it that `value` is in scope here.
    fn need(&mut self, value: ValueId) {
        if is_leaf(self.kernel, value) || self.scopes.iter().any(|scope| scope.values.contains(&value)) {
            return;
        }
        let scope = self.scope_for(value);
        if !self.anchored[value.at()] {
            let inner = self.scopes.split_off(scope + 1);
            operands(self.kernel, value).into_iter().for_each(|v| self.need(v));
            self.scopes.extend(inner);
            self.compute(scope, value);
            return;
        }
        let path = self.path();
        let buffer = self.kept_at(value, &path);
        self.scopes[scope].values.insert(value);
        self.scopes[scope].nodes.push(Node::Fetch { value, buffer });
    }

    /// The outermost open scope whose loops fix all axes of a value, and in which its block is open.
    fn scope_for(&self, value: ValueId) -> usize {
        let axes = &self.kernel.values[value].ty.axes;
        let blocks = self.scopes.iter().rposition(|scope| scope.axis.is_none()).unwrap_or(0);
        let mut left: HashSet<AxisId> = axes.iter().collect();
        for (at, scope) in self.scopes.iter().enumerate() {
            if let Some(axis) = scope.axis {
                left.remove(&axis);
            }
            if at >= blocks && left.is_empty() {
                return at;
            }
        }
        self.scopes.len() - 1
    }
}

fn layouts_of(segments: &[Segment], layouts: &mut HashMap<VarId, Vec<AxisId>>) {
    for segment in segments {
        match segment {
            Segment::Dot(plan) => {
                if let Some((var, _)) = plan.target {
                    layouts.insert(var, plan.layout());
                }
            }
            Segment::Sequential { body, .. } => layouts_of(body, layouts),
            Segment::If { then, otherwise, .. } => {
                layouts_of(then, layouts);
                layouts_of(otherwise, layouts);
            }
            Segment::Run(_) | Segment::Break | Segment::Continue => {}
        }
    }
}

/// Notes at each definition where its value is kept.
fn keep(nodes: &mut [Node], kept: &HashMap<ValueId, BufferId>) {
    for node in nodes {
        match node {
            // A value computed anew is kept by `Node::Keep`, if at all.
            Node::Compute { value, keep } => *keep = kept.get(value).copied(),
            Node::Loop { reductions, body, .. } => {
                for reduction in reductions.iter_mut().filter(|reduction| reduction.state.is_none()) {
                    reduction.keep = kept.get(&reduction.value).copied();
                }
                self::keep(body, kept);
            }
            Node::Sequential { body, .. } | Node::Copy { body, .. } => self::keep(body, kept),
            Node::Shortcut { otherwise, .. } => self::keep(std::slice::from_mut(otherwise), kept),
            Node::If { then: first, otherwise: second, .. }
            | Node::Sum { body: first, clear: second, .. } => {
                self::keep(first, kept);
                self::keep(second, kept);
            }
            Node::Keep { .. }
            | Node::Fetch { .. }
            | Node::Accumulate { .. }
            | Node::Assign { .. }
            | Node::Store { .. }
            | Node::Dot(_)
            | Node::Break
            | Node::Continue => {}
        }
    }
}
