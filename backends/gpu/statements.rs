//! Statements: conditions, variables, and the shared loops of elementwise values.

use super::Emitter;
use tilewright_compiler::ir::{AxisSet, Block, Index, Op, ParamId, Stmt, ValueId, VarId};
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

impl Emitter<'_> {
    /// What one program does.
    pub fn program(&mut self, body: &Block) -> Result<(), Refusal> {
        self.count_uses(body);
        self.producer = self.producer_loop(body);
        self.is_even = self.is_even();
        self.prologue();
        self.declare_variables();
        self.block(body)?;
        if self.is_even {
            self.line("end_program();");
            self.depth -= 1;
            self.line("}");
        }
        Ok(())
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

    pub fn block(&mut self, block: &Block) -> Result<(), Refusal> {
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
            self.remark(value).into_iter().for_each(|remark| self.line(remark));
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
            self.remark(value).into_iter().for_each(|remark| self.line(remark));
            self.store_scalar(tensor, index, value);
        } else if self.is_affine(index) && axes == *self.axes(value) {
            let tile = self.tile(value);
            self.flush();
            self.remark(value).into_iter().for_each(|remark| self.line(remark));
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
                    lines.extend(self.remark(*value));
                    let (name, value) = (self.names.var(*var), self.operand(*value, Some(&axes)));
                    lines.push(format!("{name}[i] = {value};"));
                }
                Item::Store(tensor, index, value) => {
                    lines.extend(self.remark(*value));
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
