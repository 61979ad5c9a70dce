//! Loops whose operands of products are copied ahead of their use: which they are, and their text.

use std::collections::HashSet;

use super::Emitter;
use super::describe::{Copy, Region};
use tilewright_compiler::ir::{AxisId, AxisKind, Block, Index, Op, Stmt, ValueId};
use tilewright_compiler::schedule::{bounds, is_leaf, operands};

/// A loop with its staged operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RingPlan {
    /// The loop.
    pub axis: AxisId,
    /// Loads whose blocks change with the loop, with the axis that their product contracts.
    pub moving: Vec<(ValueId, AxisId)>,
    /// Loads that stay the same in it.
    pub fixed: Vec<(ValueId, AxisId)>,
}

impl Emitter<'_> {
    /// The operands of a loop that can be copied ahead; none if there is nothing to gain.
    pub fn ring_of(&self, axes: &[AxisId], body: &Block) -> Option<RingPlan> {
        let [axis] = *axes else { return None };
        let AxisKind::Tile { .. } = self.kernel.axes[axis].kind else { return None };
        let mut inside = HashSet::new();
        let mut stored = Vec::new();
        collect(body, &mut inside, &mut stored);
        let mut ring = RingPlan { axis, moving: Vec::new(), fixed: Vec::new() };
        for stmt in body {
            let Stmt::Let(value) = stmt else { continue };
            let Op::Dot(lhs, rhs, contracted) = self.kernel.values[*value].op else { continue };
            if !self.uses.contains_key(value) {
                continue;
            }
            for side in [lhs, rhs] {
                let Op::Load { tensor, index, .. } = &self.kernel.values[side].op else { continue };
                let known = |value: ValueId| self.is_known_before(value, axis, &inside);
                let overwritten = stored.iter().any(|other| self.tensor(*other) == self.tensor(*tensor));
                let scalars = index.iter().filter_map(Index::value).all(known);
                if !self.is_staged(side) || overwritten || !scalars {
                    continue;
                }
                let list = if self.axes(side).contains(axis) { &mut ring.moving } else { &mut ring.fixed };
                if !list.contains(&(side, contracted)) {
                    list.push((side, contracted));
                }
            }
        }
        (!ring.moving.is_empty()).then_some(ring)
    }

    /// Whether a scalar has its value before a loop begins.
    fn is_known_before(&self, value: ValueId, axis: AxisId, inside: &HashSet<ValueId>) -> bool {
        if is_leaf(self.kernel, value) {
            let of_axis = |other: &AxisId| *other == axis;
            return !matches!(
                &self.kernel.values[value].op,
                Op::AxisIndex(a) | Op::AxisBegin(a) | Op::AxisEnd(a) | Op::AxisLen(a) if of_axis(a)
            ) && operands(self.kernel, value)
                .iter()
                .all(|of| self.is_known_before(*of, axis, inside));
        }
        !inside.contains(&value)
    }

    /// The one loop of a kernel whose copies a warp of its own can make: all else waits for it, and what it
    /// copies hangs on nothing that is computed.
    pub fn producer_loop(&self, body: &Block) -> Option<AxisId> {
        let mut rings = Vec::new();
        self.all_rings(body, &mut rings);
        let [ring] = &rings[..] else { return None };
        for stmt in body {
            match stmt {
                Stmt::Let(value) => {
                    let op = &self.kernel.values[*value].op;
                    if matches!(op, Op::Reduce(..) | Op::Fold(_) | Op::Dot(..)) {
                        return None;
                    }
                }
                Stmt::For { axes, body, .. } => {
                    let pure = |value: &ValueId| self.is_pure(*value);
                    let scalars = |load: &(ValueId, AxisId)| {
                        let Op::Load { index, .. } = &self.kernel.values[load.0].op else { return false };
                        index.iter().filter_map(Index::value).all(|v| pure(&v))
                    };
                    let fits = axes[..] == [ring.axis]
                        && bounds(self.kernel, ring.axis).iter().all(pure)
                        && ring.moving.iter().all(scalars)
                        && !breaks(body);
                    return fits.then_some(ring.axis);
                }
                Stmt::Assign(..) => {}
                Stmt::Store { .. } | Stmt::If { .. } | Stmt::Break | Stmt::Continue => return None,
                Stmt::Assert { .. } => {}
            }
        }
        None
    }

    /// Whether that loop has as many turns in every program.
    pub fn is_even(&self) -> bool {
        let is_even = |axis| bounds(self.kernel, axis).iter().all(|bound| self.is_the_same(*bound));
        !self.grid.is_empty() && self.producer.is_some_and(is_even)
    }

    /// Whether a scalar is the same for all programs.
    fn is_the_same(&self, value: ValueId) -> bool {
        let of_grid = matches!(
            &self.kernel.values[value].op,
            Op::AxisIndex(axis) | Op::AxisBegin(axis) | Op::AxisEnd(axis) | Op::AxisLen(axis)
                if self.grid.contains(axis)
        );
        !of_grid && operands(self.kernel, value).iter().all(|of| self.is_the_same(*of))
    }

    fn all_rings(&self, block: &Block, rings: &mut Vec<RingPlan>) {
        for stmt in block {
            match stmt {
                Stmt::For { axes, body, .. } => {
                    rings.extend(self.ring_of(axes, body));
                    self.all_rings(body, rings);
                }
                Stmt::If { then, otherwise, .. } => {
                    self.all_rings(then, rings);
                    self.all_rings(otherwise, rings);
                }
                Stmt::Let(_)
                | Stmt::Assign(..)
                | Stmt::Store { .. }
                | Stmt::Break
                | Stmt::Continue
                | Stmt::Assert { .. } => {}
            }
        }
    }

    /// Whether a scalar comes from arguments and the place in the grid alone.
    fn is_pure(&self, value: ValueId) -> bool {
        let reads = matches!(
            self.kernel.values[value].op,
            Op::Load { .. } | Op::Read(_) | Op::Reduce(..) | Op::Fold(_) | Op::Dot(..)
        );
        !reads
            && self.axes(value).is_empty()
            && operands(self.kernel, value).iter().all(|of| self.is_pure(*of))
    }

    /// Before the loop: the slots, how a block is fetched, what stays, and the first copies.
    pub fn open_ring(&mut self, ring: &RingPlan) {
        let name = self.names.axis(ring.axis);
        let number = self.rings.len();
        self.rings.push(ring.axis);
        for (load, contracted) in &ring.moving {
            self.declare_shared(*load, *contracted, true);
        }
        let fetch = self.fetch(ring, number);
        let barriers = self.regions.len();
        self.regions.push(Region::Barriers);
        self.prologue_end.push_str(&format!(
            "    Ring<Axis_{name}, TW_BULK_{number}> {name}_ring(shared + TW_AT_{barriers});\n"
        ));
        if self.producer == Some(ring.axis) {
            self.produce(ring, &fetch);
        }
        self.line(&fetch);
        for (load, contracted) in &ring.fixed {
            if !self.in_shared.contains_key(load) {
                self.declare_shared(*load, *contracted, false);
                let block = self.block_of(*load);
                self.line(format!(
                    "copy_block<{}>(Everyone(), {}, {});",
                    block.site, block.exists, block.rest
                ));
            }
        }
        if !ring.fixed.is_empty() {
            self.line("commit_copies();");
            if self.producer == Some(ring.axis) {
                self.line("wait_copies<0>();");
                self.line("fence_async();");
                self.line("sync_program();");
            }
        }
        self.line(format!("{name}_ring.start({name}_fetch, {name}_first, {name}_last);"));
    }

    /// A function that begins the copies of one turn.
    fn fetch(&mut self, ring: &RingPlan, number: usize) -> String {
        let name = self.names.axis(ring.axis);
        let mut text = format!(
            "const auto {name}_fetch = [&](auto crew, int {name}_at, int slot, u64* landed) {{\n    \
             Axis_{name} {name};\n    {name}.at({name}_at, {name}_last);\n"
        );
        for (load, _) in &ring.moving {
            let block = self.block_of(*load);
            let Op::Load { tensor, index, .. } = self.kernel.values[*load].op.clone() else { continue };
            let at = self.copies.len();
            self.copies.push(Copy {
                tensor: self.tensor_number(tensor),
                index: axes_of(&index),
                ring: number,
            });
            // A block of a part of a dimension may end where the dimension goes on.
            let parts = index.iter().filter_map(|part| match part {
                Index::Axis { axis, .. } if self.is_part(*axis) => {
                    Some(format!("{}.is_full()", self.names.axis(*axis)))
                }
                Index::Axis { .. } | Index::Scalar(_) | Index::Gather(_) => None,
            });
            let parts: Vec<String> = parts.collect();
            let whole = if parts.is_empty() { "true".into() } else { parts.join(" && ") };
            let corner = index.iter().rev().map(|part| match part {
                Index::Axis { axis, .. } => format!("{}.begin", self.names.axis(*axis)),
                Index::Scalar(value) | Index::Gather(value) => self.scalar(*value),
            });
            let corner: Vec<String> = corner.collect();
            let (shared, rest) = block.rest.split_once(", ").unwrap_or((&block.rest, ""));
            text.push_str(&format!(
                "    stage<{}>(crew, landed, {}, {whole}, {shared}.slot(slot), TW_MAP_{at}, at({}), {rest});\n",
                block.site,
                block.exists,
                corner.join(", ")
            ));
        }
        text.push_str("};");
        text
    }

    /// The part of the program that the producer runs, before all others begin.
    fn produce(&mut self, ring: &RingPlan, fetch: &str) {
        let name = self.names.axis(ring.axis);
        let before = std::mem::take(&mut self.code);
        let depth = std::mem::replace(&mut self.depth, 1);
        self.line("#if TW_PRODUCERS");
        self.line("if (threadIdx.x >= TW_THREADS) {");
        self.depth = 2;
        self.line("few_registers();");
        if self.is_even {
            self.open_programs();
            self.line(self.place());
        }
        for value in self.pure_scalars.clone() {
            let (elem, name) = (self.names.elem(self.elem(value)), self.names.value(value));
            let expression = self.compute(value, None);
            self.line(format!("[[maybe_unused]] const {elem} {name} = {expression};"));
        }
        for (load, contracted) in &ring.moving {
            let text = self.shared_text(*load, *contracted);
            self.line(text);
        }
        let (first, last) = self.loop_range(ring.axis);
        self.line(format!("const int {name}_first = {first}, {name}_last = {last};"));
        self.line(fetch);
        self.line(format!("{name}_ring.produce({name}_fetch, {name}_first, {name}_last);"));
        if self.is_even {
            self.depth = 2;
            self.line("}");
        }
        self.line("return;");
        self.depth = 1;
        self.line("}");
        self.line("many_registers();");
        self.line("#endif");
        let text = std::mem::replace(&mut self.code, before);
        self.depth = depth;
        self.prologue_end.push_str(&text);
    }

    /// Remembers a scalar that the producer may need.
    pub fn note_scalar(&mut self, value: ValueId) {
        if self.loops.is_empty() && self.is_pure(value) {
            self.pure_scalars.push(value);
        }
    }
}

/// The axes of an index; none for scalars.
fn axes_of(index: &[Index]) -> Vec<Option<AxisId>> {
    let axis = |part: &Index| match part {
        Index::Axis { axis, .. } => Some(*axis),
        Index::Scalar(_) | Index::Gather(_) => None,
    };
    index.iter().map(axis).collect()
}

/// All that is defined in a block, and the tensors stored to.
fn collect(block: &Block, inside: &mut HashSet<ValueId>, stored: &mut Vec<tilewright_compiler::ir::ParamId>) {
    for stmt in block {
        match stmt {
            Stmt::Let(value) => {
                inside.insert(*value);
            }
            Stmt::Store { tensor, .. } => stored.push(*tensor),
            Stmt::For { body, .. } => collect(body, inside, stored),
            Stmt::If { then, otherwise, .. } => {
                collect(then, inside, stored);
                collect(otherwise, inside, stored);
            }
            Stmt::Assign(..) | Stmt::Break | Stmt::Continue | Stmt::Assert { .. } => {}
        }
    }
}

/// Whether a block may leave its loop.
fn breaks(block: &Block) -> bool {
    block.iter().any(|stmt| match stmt {
        Stmt::Break => true,
        Stmt::If { then, otherwise, .. } => breaks(then) || breaks(otherwise),
        Stmt::For { body, .. } => breaks(body),
        Stmt::Let(_) | Stmt::Assign(..) | Stmt::Store { .. } | Stmt::Continue | Stmt::Assert { .. } => false,
    })
}
