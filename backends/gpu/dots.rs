//! Products of tiles: operands through shared memory, the result in registers.

use super::Emitter;
use super::describe::{DotRoles, Region};
use tilewright_compiler::ir::{AxisId, BinaryOp, Op, ValueId};
use tilewright_compiler::schedule::Refusal;

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
        self.line("__syncthreads();");
        let a = self.operand_in_shared(value, "a", lhs, contracted);
        let b = self.operand_in_shared(value, "b", rhs, contracted);
        self.line("wait_copies<0>();");
        self.line("__syncthreads();");
        let k = self.names.axis(contracted);
        let [left, right] = [lhs, rhs].map(|side| self.axes(side).without(contracted));
        let both = self.axes(value);
        if left.len() == 1 && right.len() == 1 && both.len() == 2 {
            let [rows, columns] = [&left, &right].map(|set| set.iter().next().unwrap_or(contracted));
            self.dots.push(DotRoles {
                rows,
                columns,
                contracted,
                lhs: self.elem(lhs),
                rhs: self.elem(rhs),
                result: self.elem(value),
            });
            let (rows, columns) = (self.names.axis(rows), self.names.axis(columns));
            self.line(format!("dot<Axis_{rows}, Axis_{columns}, Axis_{k}>({result}, {a}, {b});"));
        } else {
            self.line(format!("dot_plain<Axis_{k}>({result}, {a}, {b});"));
        }
        Ok(())
    }

    /// The tile that a product adds to: the other summand where there is one, else zeros.
    fn accumulator(&mut self, value: ValueId) -> String {
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

    /// Brings an operand to shared memory; gives the expression that names it there.
    fn operand_in_shared(&mut self, dot: ValueId, side: &str, value: ValueId, contracted: AxisId) -> String {
        let name = self.names.part(dot, side);
        let order = self.shared_order(value, contracted);
        let elem = self.names.elem(self.elem(value));
        let types: Vec<String> =
            order.iter().map(|axis| format!("Axis_{}", self.names.axis(*axis))).collect();
        let region = self.regions.len();
        self.regions.push(Region::Tile { axes: order.clone(), elem: self.elem(value) });
        let at = format!("reinterpret_cast<{elem}*>(shared + TW_AT_{region})");
        self.line(format!("Shared<{elem}, Axes<{}>> {name} = {{{at}}};", types.join(", ")));
        let inner = order.last().copied();
        if self.is_staged(value)
            && let Op::Load { tensor, index, .. } = self.kernel.values[value].op.clone()
        {
            let (site, exists) = (self.site(tensor, &index, inner), self.exists(tensor, &index));
            let (base, along) = (self.base(tensor, &index), self.along(tensor, &index));
            // The inner axis first, then the others from the outermost on.
            let find = |axis: AxisId| along.iter().find(|(a, _)| *a == axis).map(|(_, text)| text.clone());
            let listed = inner.into_iter().chain(order.iter().rev().skip(1).rev().copied());
            let listed: Vec<String> = listed.filter_map(find).collect();
            self.line(format!("stage<{site}>({exists}, {name}, {base}, {});", listed.join(", ")));
            return name;
        }
        let tile = self.tile(value);
        let listed = inner.into_iter().chain(order.iter().rev().skip(1).rev().copied());
        let listed: Vec<String> = listed.map(|axis| self.names.axis(axis)).collect();
        self.line(format!("put({name}, {tile}, {});", listed.join(", ")));
        name
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
