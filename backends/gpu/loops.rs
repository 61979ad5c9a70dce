//! Sequential loops: over blocks, indices or constants; those with operands to copy ahead are rings.

use super::Emitter;
use super::rings::RingPlan;
use tilewright_compiler::ir::{AxisId, AxisKind, Block, DimId, ValueId};
use tilewright_compiler::schedule::Refusal;

/// A sequential `for`.
pub(crate) struct OpenLoop {
    /// How many loops it is.
    n_axes: usize,
    /// Where `break` goes if it leaves several.
    label: String,
    left: bool,
}

impl Emitter<'_> {
    pub fn leave(&mut self) {
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

    pub fn sequential(&mut self, axes: &[AxisId], body: &Block) -> Result<(), Refusal> {
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
        if let Some(said) = self.kernel.remarks.loops.get(&axis) {
            self.line(super::one_line(said));
        }
        match self.kernel.axes[axis].kind.clone() {
            AxisKind::Tile { .. } => {
                let (first, last) = self.loop_range(axis);
                self.line(format!("const int {name}_first = {first}, {name}_last = {last};"));
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

    fn range(&mut self, begin: Option<ValueId>, end: Option<ValueId>, dim: DimId) -> (String, String) {
        let length = format!("args.{}", self.names.dim(dim));
        let first = begin.map_or("0".into(), |value| format!("max_of(0, {})", self.scalar(value)));
        let last = end.map_or(length.clone(), |value| format!("min_of({}, {length})", self.scalar(value)));
        (first, last)
    }
}
