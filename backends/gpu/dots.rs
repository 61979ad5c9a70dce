//! Products of tiles: operands through shared memory or from registers, the result in registers.

use super::Emitter;
use super::describe::{DotRoles, Region};
use tilewright_compiler::ir::{AxisId, BinaryOp, Op, Stmt, ValueId, VarId};
use tilewright_compiler::schedule::{Refusal, is_leaf};

/// How the block of a load comes to shared memory: parts of the call.
pub(crate) struct BlockText {
    pub site: String,
    pub exists: String,
    /// The tile there, the memory, and its axes.
    pub rest: String,
}

impl Emitter<'_> {
    /// Whether a load goes straight from memory to shared memory, because only products use it.
    pub fn is_staged(&self, value: ValueId) -> bool {
        let Op::Load { index, default: None, .. } = &self.kernel.values[value].op else { return false };
        let mut by_dots = 0;
        for (id, other) in self.kernel.values.iter() {
            if let Op::Dot(lhs, rhs, _) = other.op
                && self.uses_of_dot(id) > 0
            {
                by_dots += usize::from(lhs == value) + usize::from(rhs == value);
            }
        }
        self.is_affine(index)
            && self.axes(value).len() >= 2
            && by_dots > 0
            && self.uses.get(&value).copied().unwrap_or(0) == by_dots
    }

    fn uses_of_dot(&self, dot: ValueId) -> usize {
        self.uses.get(&dot).copied().unwrap_or(0)
    }

    pub fn dot(
        &mut self,
        value: ValueId,
        lhs: ValueId,
        rhs: ValueId,
        contracted: AxisId,
    ) -> Result<(), Refusal> {
        let result = self.accumulator(value);
        let roles = self.roles(value, lhs, rhs, contracted);
        let k = self.names.axis(contracted);
        let here: Vec<ValueId> = [lhs, rhs]
            .into_iter()
            .filter(|side| self.is_staged(*side) && !self.in_shared.contains_key(side))
            .collect();
        if !here.is_empty() {
            self.line("sync_program();");
            for side in &here {
                self.declare_shared(*side, contracted, false);
                let block = self.block_of(*side);
                self.line(format!(
                    "copy_block<{}>(Everyone(), {}, {});",
                    block.site, block.exists, block.rest
                ));
            }
            self.line("commit_copies();");
            self.line("wait_copies<0>();");
            self.line("fence_async();");
            self.line("sync_program();");
        }
        let a = self.operand_text(value, "a", lhs, contracted, roles.as_deref());
        let b = self.operand_text(value, "b", rhs, contracted, None);
        match roles {
            Some(roles) => self.line(format!("dot<{roles}, Axis_{k}>({result}, {a}, {b});")),
            None => self.line(format!("dot_plain<Axis_{k}>({result}, {a}, {b});")),
        }
        // In a loop, the next turn copies them anew.
        for side in here {
            self.in_shared.remove(&side);
        }
        Ok(())
    }

    /// `Axis_m, Axis_n` of a product of matrices; none for more axes.
    fn roles(&mut self, value: ValueId, lhs: ValueId, rhs: ValueId, contracted: AxisId) -> Option<String> {
        let [left, right] = [lhs, rhs].map(|side| self.axes(side).without(contracted));
        if left.len() != 1 || right.len() != 1 || self.axes(value).len() != 2 {
            return None;
        }
        let [rows, columns] = [&left, &right].map(|set| set.iter().next().unwrap_or(contracted));
        self.dots.push(DotRoles {
            rows,
            columns,
            contracted,
            lhs: self.elem(lhs),
            rhs: self.elem(rhs),
            result: self.elem(value),
        });
        Some(format!("Axis_{}, Axis_{}", self.names.axis(rows), self.names.axis(columns)))
    }

    /// The tile that a product adds to: the other summand where there is one, else zeros.
    fn accumulator(&mut self, value: ValueId) -> String {
        if let Some((var, sum)) = self.added.get(&value).copied() {
            self.flush();
            self.remark(sum).into_iter().for_each(|remark| self.line(remark));
            self.done.insert(sum);
            return self.names.var(var);
        }
        let summand = self.summand(value);
        if let Some((sum, summand)) = summand {
            let tile = self.tile(summand);
            // Both are now in this tile; their own names are aliases.
            let (axes, elem) = (self.axes_type(self.axes(value)), self.names.elem(self.elem(value)));
            let name = self.names.value(sum);
            self.line(format!("Tile<{elem}, {axes}> {name} = {tile};"));
            self.done.insert(sum);
            self.defined.insert(sum);
            self.defined.insert(value);
            return name;
        }
        let (axes, elem) = (self.axes_type(self.axes(value)), self.names.elem(self.elem(value)));
        let name = self.names.value(value);
        self.line(format!("Tile<{elem}, {axes}> {name};"));
        self.line(format!("each({axes}, i) {name}[i] = 0;"));
        self.defined.insert(value);
        name
    }

    /// `acc += dot`: the next statements read the variable, add, and assign, and nothing else sees the product
    /// or the sum. Gives the variable and the sum.
    pub fn adds_to(&self, value: ValueId, next: &[Stmt]) -> Option<(VarId, ValueId)> {
        let Op::Dot(..) = self.kernel.values[value].op else { return None };
        let once = |value: ValueId| self.uses.get(&value).copied().unwrap_or(0) == 1;
        let (mut read, mut sum) = (None, None);
        for stmt in next {
            match stmt {
                Stmt::Let(other) if is_leaf(self.kernel, *other) => {}
                Stmt::Let(other) => {
                    let op = &self.kernel.values[*other].op;
                    if let Op::Read(var) = op
                        && read.is_none()
                        && once(*other)
                    {
                        read = Some((*other, *var));
                    } else if let Op::Binary(BinaryOp::Add, lhs, rhs) = op
                        && let Some((of, _)) = read
                        && ([*lhs, *rhs] == [of, value] || [*lhs, *rhs] == [value, of])
                        && sum.is_none()
                        && once(*other)
                        && once(value)
                    {
                        sum = Some(*other);
                    } else {
                        return None;
                    }
                }
                Stmt::Assign(var, assigned) => {
                    let ((_, of), sum) = (read?, sum?);
                    let same = self.kernel.vars[*var].ty == self.kernel.values[value].ty;
                    return (of == *var && sum == *assigned && same).then_some((of, sum));
                }
                Stmt::Store { .. }
                | Stmt::For { .. }
                | Stmt::If { .. }
                | Stmt::Break
                | Stmt::Continue
                | Stmt::Assert { .. } => return None,
            }
        }
        None
    }

    /// `x + dot` where nothing else uses the product, and `x` is there already: the sum and `x`.
    fn summand(&self, value: ValueId) -> Option<(ValueId, ValueId)> {
        if self.uses_of_dot(value) != 1 {
            return None;
        }
        self.kernel.values.iter().find_map(|(sum, info)| {
            let Op::Binary(BinaryOp::Add, lhs, rhs) = info.op else { return None };
            let other = if lhs == value {
                rhs
            } else if rhs == value {
                lhs
            } else {
                return None;
            };
            let here = self.defined.contains(&other) && self.axes(other) == self.axes(value);
            let live = self.uses.get(&sum).copied().unwrap_or(0) > 0;
            (here && live && info.ty == self.kernel.values[value].ty).then_some((sum, other))
        })
    }

    /// The expression that names an operand; one that was computed is brought to where the product reads it.
    fn operand_text(
        &mut self,
        dot: ValueId,
        side: &str,
        value: ValueId,
        contracted: AxisId,
        held: Option<&str>,
    ) -> String {
        if let Some(text) = self.in_shared.get(&value) {
            return text.clone();
        }
        let name = self.names.part(dot, side);
        let order = self.shared_order(value, contracted);
        let shared = self.shared_type(value, &order);
        let region = self.regions.len();
        let elem = self.names.elem(self.elem(value));
        let tile = self.tile(value);
        let listed = order.last().into_iter().chain(order.iter().rev().skip(1).rev());
        let listed: Vec<String> = listed.map(|axis| self.names.axis(*axis)).collect();
        let listed = listed.join(", ");
        let memory = format!("{{reinterpret_cast<{elem}*>(shared + TW_AT_{region})}}");
        if let (Some(roles), Some(last)) = (held, self.dots.len().checked_sub(1)) {
            self.regions.push(Region::Held { axes: order, elem: self.elem(value), dot: last });
            let types = [self.dots[last].result, self.dots[last].rhs].map(|elem| self.names.elem(elem));
            self.line(format!(
                "const auto {name} = hold<{roles}, {}, {}>({shared}{memory}, {tile}, {listed});",
                types[0], types[1]
            ));
            return name;
        }
        self.regions.push(Region::Tile { axes: order, elem: self.elem(value), slots: false });
        self.line(format!("const {shared} {name} = {memory};"));
        self.line(format!("put({name}, {tile}, {listed});"));
        name
    }

    /// What a staged load's block is called: after its tensor, and by number where that has several.
    pub fn block_name(&self, load: ValueId) -> String {
        let tensor_of = |value: ValueId| {
            let Op::Load { tensor, .. } = &self.kernel.values[value].op else { return None };
            self.is_staged(value).then_some(*tensor)
        };
        let Some(tensor) = tensor_of(load) else { return self.names.part(load, "block") };
        let first = self.kernel.values.iter().find(|(value, _)| tensor_of(*value) == Some(tensor));
        if first.is_some_and(|(value, _)| value != load) {
            return self.names.part(load, "block");
        }
        self.names.block(tensor)
    }

    fn shared_type(&self, value: ValueId, order: &[AxisId]) -> String {
        let types: Vec<String> =
            order.iter().map(|axis| format!("Axis_{}", self.names.axis(*axis))).collect();
        format!("Shared<{}, Axes<{}>>", self.names.elem(self.elem(value)), types.join(", "))
    }

    /// Declares where in shared memory the blocks of a load lie.
    pub fn declare_shared(&mut self, load: ValueId, contracted: AxisId, slots: bool) {
        let order = self.shared_order(load, contracted);
        let (region, elem) = (self.regions.len(), self.elem(load));
        self.regions.push(Region::Tile { axes: order, elem, slots });
        self.shared_at.insert(load, region);
        let text = self.shared_text(load, contracted);
        self.line(text);
        self.in_shared.insert(load, self.block_name(load));
    }

    /// That declaration.
    pub fn shared_text(&self, load: ValueId, contracted: AxisId) -> String {
        let shared = self.shared_type(load, &self.shared_order(load, contracted));
        let (elem, name) = (self.names.elem(self.elem(load)), self.block_name(load));
        let region = self.shared_at.get(&load).copied().unwrap_or(0);
        format!("const {shared} {name} = {{reinterpret_cast<{elem}*>(shared + TW_AT_{region})}};")
    }

    /// How a staged load's block is copied: the inner axis comes first, then the others from the outermost.
    pub fn block_of(&mut self, load: ValueId) -> BlockText {
        let Op::Load { tensor, index, .. } = self.kernel.values[load].op.clone() else {
            return BlockText { site: "1".into(), exists: "false".into(), rest: String::new() };
        };
        let along = self.along(tensor, &index);
        let inner = along.last().map(|(axis, _)| *axis);
        let (site, exists) = (self.site(tensor, &index, inner), self.exists(tensor, &index));
        let mut others = self.ordered(self.axes(load));
        others.retain(|axis| Some(*axis) != inner);
        let find = |axis: AxisId| along.iter().find(|(a, _)| *a == axis).map(|(_, text)| text.clone());
        let listed: Vec<String> = inner.into_iter().chain(others).filter_map(find).collect();
        let name = self.block_name(load);
        BlockText {
            site,
            exists,
            rest: format!("{name}, {}, {}", self.base(tensor, &index), listed.join(", ")),
        }
    }

    /// The axes of an operand in shared memory: as they are in its tensor, else the contracted one last.
    fn shared_order(&self, value: ValueId, contracted: AxisId) -> Vec<AxisId> {
        let mut order = self.ordered(self.axes(value));
        let mut last = contracted;
        if let Op::Load { tensor, index, .. } = &self.kernel.values[value].op
            && self.is_staged(value)
            && let Some((axis, _)) = self.along(*tensor, index).last()
        {
            last = *axis;
        }
        order.retain(|axis| *axis != last);
        order.push(last);
        order
    }
}
