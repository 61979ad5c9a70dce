//! Statements: loops, conditions, variables, and the shared loops of elementwise values.

use super::Emitter;
use super::rings::RingPlan;
use tilewright_compiler::ir::{AxisId, AxisKind, AxisSet, Block, Index, Op, ParamId, Stmt, ValueId, VarId};
use tilewright_compiler::schedule::{Refusal, is_leaf, operands};

/// Elementwise work on tiles with the same axes.
#[derive(Default)]
pub(crate) struct Group {
    axes: Option<AxisSet>,
    items: Vec<Item>,
}

/// A step of a shared loop.
enum Item {
    Let(ValueId),
    Assign(VarId, ValueId),
    Store(ParamId, Vec<Index>, ValueId),
}

/// A sequential `for`.
pub(crate) struct OpenLoop {
    /// How many loops it is.
    n_axes: usize,
    /// Where `break` goes if it leaves several.
    label: String,
    left: bool,
}

impl Emitter<'_> {
    /// What one program does.
    pub fn program(&mut self, body: &Block) -> Result<(), Refusal> {
        self.count_uses(body);
        self.producer = self.producer_loop(body);
        self.prologue();
        self.prologue_at = self.code.len();
        self.declare_variables();
        self.block(body)
    }

    /// Counts the uses of all values that a statement with an effect needs.
    fn count_uses(&mut self, block: &Block) {
        let mut needed: Vec<ValueId> = Vec::new();
        self.effects(block, &mut needed);
        let mut seen: std::collections::HashSet<ValueId> = std::collections::HashSet::new();
        while let Some(value) = needed.pop() {
            *self.uses.entry(value).or_default() += 1;
            if seen.insert(value) {
                needed.extend(operands(self.kernel, value));
            }
        }
    }

    fn effects(&self, block: &Block, needed: &mut Vec<ValueId>) {
        for stmt in block {
            match stmt {
                Stmt::Assign(_, value) => needed.push(*value),
                Stmt::Store { index, value, .. } => {
                    needed.extend(index.iter().filter_map(Index::value));
                    needed.push(*value);
                }
                Stmt::For { axes, body, .. } => {
                    for axis in axes {
                        needed.extend(tilewright_compiler::schedule::bounds(self.kernel, *axis));
                    }
                    self.effects(body, needed);
                }
                Stmt::If { condition, then, otherwise } => {
                    needed.push(*condition);
                    self.effects(then, needed);
                    self.effects(otherwise, needed);
                }
                Stmt::Let(_) | Stmt::Break | Stmt::Continue | Stmt::Assert { .. } => {}
            }
        }
    }

    /// Which block of the grid this is.
    fn prologue(&mut self) {
        self.line("TW_SHARED(shared);");
        self.line("unsigned program = blockIdx.x;");
        let grouped = self.grouped();
        if let Some((rows, columns)) = grouped {
            let [m, n] = [rows, columns].map(|axis| self.names.axis(axis));
            self.line("// Programs that share operands run close together, so that these stay in the cache.");
            self.line(format!(
                "const Place2 place = grouped(program, args.{m}_programs, args.{n}_programs);"
            ));
            for (name, part) in [(&m, "row"), (&n, "column")] {
                self.line(format!("Axis_{name} {name};"));
                self.line(format!(
                    "{name}.at(args.{name}_first + place.{part} * Axis_{name}::step, args.{name}_last);"
                ));
            }
            self.line(format!("program /= unsigned(args.{m}_programs) * unsigned(args.{n}_programs);"));
        }
        let skipped = if grouped.is_some() { 2 } else { 0 };
        for axis in self.grid.iter().rev().skip(skipped) {
            let name = self.names.axis(*axis);
            let index = format!("int(program % unsigned(args.{name}_programs))");
            if self.is_blocked(*axis) {
                self.line(format!("Axis_{name} {name};"));
                self.line(format!(
                    "{name}.at(args.{name}_first + {index} * Axis_{name}::step, args.{name}_last);"
                ));
            } else {
                self.line(format!("const int {name} = args.{name}_first + {index};"));
            }
            self.line(format!("program /= unsigned(args.{name}_programs);"));
        }
        for (axis, info) in self.kernel.axes.iter() {
            let name = self.names.axis(axis);
            match info.kind {
                AxisKind::Whole { dim } => {
                    let length = self.names.dim(dim);
                    self.line(format!("Axis_{name} {name};"));
                    self.line(format!("{name}.at(0, args.{length});"));
                }
                AxisKind::Tile { .. } if !self.grid.contains(&axis) => {
                    self.line(format!("Axis_{name} {name};"))
                }
                AxisKind::Tile { .. } | AxisKind::Each { .. } | AxisKind::Unroll { .. } => {}
            }
        }
        self.line("(void)program;");
        self.line("(void)shared;");
    }

    /// The last two axes of the grid, if they are the rows and columns of a product.
    fn grouped(&self) -> Option<(AxisId, AxisId)> {
        let [.., rows, columns] = *self.grid else { return None };
        let both = AxisSet::new([rows, columns]);
        let is_product = |(id, value): (ValueId, &tilewright_compiler::ir::Value)| {
            matches!(value.op, Op::Dot(..)) && *self.axes(id) == both
        };
        let blocked = self.is_blocked(rows) && self.is_blocked(columns);
        (blocked && self.kernel.values.iter().any(is_product)).then_some((rows, columns))
    }

    fn declare_variables(&mut self) {
        let kernel = self.kernel;
        for (id, var) in kernel.vars.iter() {
            let (elem, name) = (self.names.elem(var.ty.elem), self.names.var(id));
            if var.ty.axes.is_empty() {
                self.line(format!("{elem} {name};"));
            } else {
                let axes = self.axes_type(&var.ty.axes);
                self.line(format!("Tile<{elem}, {axes}> {name};"));
            }
        }
    }

    fn block(&mut self, block: &Block) -> Result<(), Refusal> {
        for (at, stmt) in block.iter().enumerate() {
            match stmt {
                Stmt::Let(value) => {
                    if let Some((var, sum)) = self.adds_to(*value, &block[at + 1..]) {
                        self.added.insert(*value, (var, sum));
                    }
                    self.value(*value)?;
                }
                Stmt::Assign(var, value) if self.added.values().any(|added| *added == (*var, *value)) => {}
                Stmt::Assign(var, value) => self.assign(*var, *value),
                Stmt::Store { tensor, index, value, .. } => self.store(*tensor, index, *value),
                Stmt::For { axes, body, .. } => self.sequential(axes, body)?,
                Stmt::If { condition, then, otherwise } => {
                    self.flush();
                    let condition = self.scalar(*condition);
                    self.line(format!("if ({condition}) {{"));
                    self.nested(then)?;
                    if !otherwise.is_empty() {
                        self.line("} else {");
                        self.nested(otherwise)?;
                    }
                    self.line("}");
                }
                Stmt::Break => self.leave(),
                Stmt::Continue => {
                    self.flush();
                    self.line("continue;");
                }
                Stmt::Assert { .. } => {}
            }
        }
        self.flush();
        Ok(())
    }

    fn nested(&mut self, block: &Block) -> Result<(), Refusal> {
        self.flush();
        self.depth += 1;
        let result = self.block(block);
        self.depth -= 1;
        result
    }

    fn leave(&mut self) {
        self.flush();
        match self.loops.last_mut() {
            Some(open) if open.n_axes > 1 => {
                open.left = true;
                let go = format!("goto {};", open.label);
                self.line(go);
            }
            _ => self.line("break;"),
        }
    }

    fn sequential(&mut self, axes: &[AxisId], body: &Block) -> Result<(), Refusal> {
        self.flush();
        self.n_labels += 1;
        let label = format!("done_{}", self.n_labels);
        self.loops.push(OpenLoop { n_axes: axes.len(), label: label.clone(), left: false });
        let ring = self.ring_of(axes, body);
        for axis in axes {
            self.open_loop(*axis, ring.as_ref());
            self.depth += 1;
        }
        self.block(body)?;
        for _ in axes {
            self.depth -= 1;
            self.line("}");
        }
        if let Some(ring) = &ring {
            self.line(format!("{}_ring.finish();", self.names.axis(ring.axis)));
            for (load, _) in ring.moving.iter().chain(&ring.fixed) {
                self.in_shared.remove(load);
            }
        }
        if self.loops.pop().is_some_and(|open| open.left) {
            self.line(format!("{label}:;"));
        }
        Ok(())
    }

    fn open_loop(&mut self, axis: AxisId, ring: Option<&RingPlan>) {
        let name = self.names.axis(axis);
        match self.kernel.axes[axis].kind.clone() {
            AxisKind::Tile { .. } => {
                let (first, last) = self.loop_range(axis);
                self.line(format!("const int {name}_first = {first}, {name}_last = {last};"));
                let dimension = self.kernel.axes[axis].kind.dim().map(|dim| self.names.dim(dim));
                let dimension = dimension.unwrap_or_default().trim_start_matches("dim_").to_string();
                self.line(format!("// for {name} in tile({dimension})"));
                ring.into_iter().for_each(|ring| self.open_ring(ring));
                let advance = if ring.is_some() { format!(", {name}_ring.advance()") } else { String::new() };
                self.line(format!(
                    "for (int {name}_at = {name}_first; {name}_at < {name}_last; {name}_at += Axis_{name}::step{advance}) {{"
                ));
                self.line(format!("    {name}.at({name}_at, {name}_last);"));
                if let Some(ring) = ring {
                    self.line(format!("    {name}_ring.turn({name}_fetch);"));
                    // From here on, this turn's slot is meant.
                    for (load, _) in &ring.moving {
                        let text = format!("{}.slot({name}_ring.slot)", self.block_name(*load));
                        self.in_shared.insert(*load, text);
                    }
                }
            }
            AxisKind::Each { dim, begin, end } => {
                let (first, last) = self.range(begin, end, dim);
                self.line(format!(
                    "for (int {name} = {first}, {name}_last = {last}; {name} < {name}_last; ++{name}) {{"
                ));
            }
            AxisKind::Unroll { begin, end } => {
                self.line(format!("TW_UNROLL for (int {name} = {begin}; {name} < {end}; ++{name}) {{"));
            }
            AxisKind::Whole { .. } => {}
        }
    }

    /// First index and end of a loop over blocks.
    pub fn loop_range(&mut self, axis: AxisId) -> (String, String) {
        match self.kernel.axes[axis].kind.clone() {
            AxisKind::Tile { dim, begin, end, .. } => self.range(begin, end, dim),
            AxisKind::Whole { .. } | AxisKind::Each { .. } | AxisKind::Unroll { .. } => {
                ("0".into(), "0".into())
            }
        }
    }

    fn range(
        &mut self,
        begin: Option<ValueId>,
        end: Option<ValueId>,
        dim: tilewright_compiler::ir::DimId,
    ) -> (String, String) {
        let length = format!("args.{}", self.names.dim(dim));
        let first = begin.map_or("0".into(), |value| format!("max_of(0, {})", self.scalar(value)));
        let last = end.map_or(length.clone(), |value| format!("min_of({}, {length})", self.scalar(value)));
        (first, last)
    }

    /// A value where it stands.
    fn value(&mut self, value: ValueId) -> Result<(), Refusal> {
        if is_leaf(self.kernel, value) || self.done.contains(&value) || !self.uses.contains_key(&value) {
            return Ok(());
        }
        match &self.kernel.values[value].op {
            Op::Dot(lhs, rhs, axis) => {
                let (lhs, rhs, axis) = (*lhs, *rhs, *axis);
                self.flush();
                self.comment(value).into_iter().for_each(|comment| self.line(comment));
                return self.dot(value, lhs, rhs, axis);
            }
            Op::Reduce(op, of, axis) => {
                let (op, of, axis) = (*op, *of, *axis);
                self.flush();
                self.comment(value).into_iter().for_each(|comment| self.line(comment));
                self.reduce(value, op, of, axis);
                return Ok(());
            }
            Op::Fold(fold) => {
                let fold = fold.clone();
                self.flush();
                return self.fold(value, &fold);
            }
            Op::Load { tensor, index, default } => {
                if self.is_staged(value) {
                    return Ok(());
                }
                if default.is_none() && self.is_affine(index) && !self.axes(value).is_empty() {
                    let (tensor, index) = (*tensor, index.clone());
                    self.flush_stores();
                    self.comment(value).into_iter().for_each(|comment| self.line(comment));
                    self.load_tile(value, tensor, &index);
                    return Ok(());
                }
            }
            Op::Read(_)
            | Op::Broadcast(_)
            | Op::Unary(..)
            | Op::Binary(..)
            | Op::Compare(..)
            | Op::Select(..)
            | Op::Cast(_)
            | Op::Call(..)
            | Op::Literal(_)
            | Op::Dim(_)
            | Op::Param(_)
            | Op::Const(_)
            | Op::Each(_)
            | Op::AxisIndex(_)
            | Op::AxisBegin(_)
            | Op::AxisEnd(_)
            | Op::AxisLen(_) => {}
        }
        if self.axes(value).is_empty() {
            let (elem, name) = (self.names.elem(self.elem(value)), self.names.value(value));
            self.comment(value).into_iter().for_each(|comment| self.line(comment));
            let expression = self.compute(value, None);
            self.line(format!("const {elem} {name} = {expression};"));
            self.note_scalar(value);
            self.defined.insert(value);
            return Ok(());
        }
        self.add(self.axes(value).clone(), Item::Let(value));
        Ok(())
    }

    fn assign(&mut self, var: VarId, value: ValueId) {
        let axes = self.kernel.vars[var].ty.axes.clone();
        if axes.is_empty() {
            let (name, value) = (self.names.var(var), self.scalar(value));
            self.line(format!("{name} = {value};"));
            return;
        }
        self.add(axes, Item::Assign(var, value));
    }

    fn store(&mut self, tensor: ParamId, index: &[Index], value: ValueId) {
        let mut axes = self.axes(value).clone();
        for part in index {
            match part {
                Index::Axis { axis, .. } => axes = axes.union(&AxisSet::new([*axis])),
                Index::Gather(of) => axes = axes.union(self.axes(*of)),
                Index::Scalar(_) => {}
            }
        }
        if self.must_sync(tensor) {
            self.flush();
            self.line("sync_program();");
        }
        if axes.is_empty() {
            self.flush();
            self.store_scalar(tensor, index, value);
        } else if self.is_affine(index) && axes == *self.axes(value) {
            let tile = self.tile(value);
            self.flush();
            self.store_tile(tensor, index, &tile, &axes);
        } else {
            self.add(axes, Item::Store(tensor, index.to_vec(), value));
        }
    }

    fn add(&mut self, axes: AxisSet, item: Item) {
        if self.group.axes.as_ref() != Some(&axes) {
            self.flush();
            self.group.axes = Some(axes);
        }
        self.group.items.push(item);
    }

    /// Loads must not overtake stores.
    fn flush_stores(&mut self) {
        if self.group.items.iter().any(|item| matches!(item, Item::Store(..))) {
            self.flush();
        }
    }

    /// The name of a tile that holds the value; a value that is only in a loop gets one.
    pub fn tile(&mut self, value: ValueId) -> String {
        if self.defined.contains(&value) {
            return self.names.value(value);
        }
        let in_group = self.group.items.iter().any(|item| matches!(item, Item::Let(v) if *v == value));
        if in_group {
            self.escaping.insert(value);
            self.flush();
            return self.names.value(value);
        }
        // A leaf: an index tile.
        self.flush();
        let (axes, elem) = (self.axes_type(self.axes(value)), self.names.elem(self.elem(value)));
        let name = self.names.part(value, &format!("tile_{}", self.n_labels));
        self.n_labels += 1;
        self.line(format!("Tile<{elem}, {axes}> {name};"));
        let expression = self.operand(value, Some(&self.axes(value).clone()));
        self.line(format!("each({axes}, i) {name}[i] = {expression};"));
        name
    }

    /// Writes the pending loop.
    pub fn flush(&mut self) {
        let group = std::mem::take(&mut self.group);
        let Some(axes) = group.axes else { return };
        let mut inside: std::collections::HashMap<ValueId, usize> = std::collections::HashMap::new();
        for item in &group.items {
            let used = match item {
                Item::Let(value) => operands(self.kernel, *value),
                Item::Assign(_, value) => vec![*value],
                Item::Store(_, index, value) => {
                    index.iter().filter_map(Index::value).chain([*value]).collect()
                }
            };
            used.into_iter().for_each(|value| *inside.entry(value).or_default() += 1);
        }
        let ty = self.axes_type(&axes);
        let mut lines = Vec::new();
        for item in &group.items {
            match item {
                Item::Let(value) => {
                    let all = self.uses.get(value).copied().unwrap_or(0);
                    let outside = all > inside.get(value).copied().unwrap_or(0);
                    let (name, elem) = (self.names.value(*value), self.names.elem(self.elem(*value)));
                    let expression = self.compute(*value, Some(&axes));
                    if outside || self.escaping.contains(value) || all > 0 {
                        lines.extend(self.comment(*value));
                    }
                    if outside || self.escaping.contains(value) {
                        self.line(format!("Tile<{elem}, {ty}> {name};"));
                        lines.push(format!("{name}[i] = {expression};"));
                        self.defined.insert(*value);
                    } else if all > 0 {
                        lines.push(format!("const {elem} {name} = {expression};"));
                    }
                }
                Item::Assign(var, value) => {
                    let (name, value) = (self.names.var(*var), self.operand(*value, Some(&axes)));
                    lines.push(format!("{name}[i] = {value};"));
                }
                Item::Store(tensor, index, value) => {
                    lines.push(self.store_element(*tensor, index, *value, &axes));
                }
            }
        }
        match &lines[..] {
            [] => {}
            [one] => self.line(format!("each({ty}, i) {one}")),
            _ => {
                self.line(format!("each({ty}, i) {{"));
                lines.iter().for_each(|line| self.line(format!("    {line}")));
                self.line("}");
            }
        }
    }
}
