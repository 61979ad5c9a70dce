//! Reductions along an axis.

use super::Emitter;
use super::describe::Region;
use tilewright_compiler::ir::{AxisId, Fold, ReduceOp, ValueId};
use tilewright_compiler::schedule::{Refusal, is_leaf};

impl Emitter<'_> {
    /// Shared memory for one value a thread.
    fn scratch(&mut self) -> String {
        let at =
            self.regions.iter().position(|region| matches!(region, Region::Scratch)).unwrap_or_else(|| {
                self.regions.push(Region::Scratch);
                self.regions.len() - 1
            });
        format!("shared + TW_AT_{at}")
    }

    /// Declares the result: a tile, or the tile without axes that a scalar comes from.
    fn declare(&mut self, value: ValueId, elem: &str) -> String {
        let axes = self.axes_type(self.axes(value));
        let name = if self.axes(value).is_empty() {
            self.names.part(value, "alone")
        } else {
            self.names.value(value)
        };
        self.line(format!("Tile<{elem}, {axes}> {name};"));
        name
    }

    /// After the reduction: a scalar gets its name.
    fn settle(&mut self, value: ValueId, tile: &str) {
        if self.axes(value).is_empty() {
            let (elem, name) = (self.names.elem(self.elem(value)), self.names.value(value));
            self.line(format!("const {elem} {name} = {tile}[0];"));
        }
        self.defined.insert(value);
    }

    pub fn reduce(&mut self, value: ValueId, op: ReduceOp, of: ValueId, axis: AxisId) {
        let elem = self.names.elem(self.elem(value));
        let combine = match op {
            ReduceOp::Sum | ReduceOp::Mean => "add(a, b)",
            ReduceOp::Prod => "mul(a, b)",
            ReduceOp::Max => "max_of(a, b)",
            ReduceOp::Min => "min_of(a, b)",
            ReduceOp::Any => "(a || b)",
            ReduceOp::All => "(a && b)",
            ReduceOp::Argmax => return self.find(value, "greater", of, axis),
            ReduceOp::Argmin => return self.find(value, "smaller_of", of, axis),
        };
        let identity = match op {
            ReduceOp::Sum | ReduceOp::Mean => format!("cast<{elem}>(0.0f)"),
            ReduceOp::Prod => format!("cast<{elem}>(1.0f)"),
            ReduceOp::Max => format!("Limits<{elem}>::lowest()"),
            ReduceOp::Min => format!("Limits<{elem}>::highest()"),
            ReduceOp::Any => "false".into(),
            ReduceOp::All => "true".into(),
            ReduceOp::Argmax | ReduceOp::Argmin => String::new(),
        };
        let tile = self.tile(of);
        let (result, scratch, axis) = (self.declare(value, &elem), self.scratch(), self.names.axis(axis));
        self.line(format!("reduce<false>({result}, {tile}, {axis}, {identity}, {scratch},"));
        self.line(format!("              []({elem} a, {elem} b) {{ return {combine}; }});"));
        self.settle(value, &result);
    }

    /// `argmax` and `argmin`: elements with their indices.
    fn find(&mut self, value: ValueId, combine: &str, of: ValueId, axis: AxisId) {
        let (tile, elem) = (self.tile(of), self.names.elem(self.elem(of)));
        let (from, to) = (self.axes_type(self.axes(of)), self.axes_type(self.axes(value)));
        let (all, best) = (self.names.part(value, "all"), self.names.part(value, "best"));
        let (scratch, axis) = (self.scratch(), self.names.axis(axis));
        self.line(format!("Tile<Found<{elem}>, {from}> {all};"));
        self.line(format!(
            "each({from}, i) {all}[i] = Found<{elem}>{{{tile}[i], {axis}.index({from}::of<Axis_{axis}>(i))}};"
        ));
        self.line(format!("Tile<Found<{elem}>, {to}> {best};"));
        self.line(format!(
            "reduce<false>({best}, {all}, {axis}, Found<{elem}>{{cast<{elem}>(0.0f), -1}}, {scratch},"
        ));
        self.line(format!(
            "              [](Found<{elem}> a, Found<{elem}> b) {{ return {combine}(a, b); }});"
        ));
        let result = self.declare(value, "i32");
        self.line(format!("each({to}, i) {result}[i] = {best}[i].index;"));
        self.settle(value, &result);
    }

    pub fn fold(&mut self, value: ValueId, fold: &Fold) -> Result<(), Refusal> {
        let elem = self.names.elem(self.elem(value));
        let tile = self.tile(fold.value);
        let (result, scratch) = (self.declare(value, &elem), self.scratch());
        let (axis, init) = (self.names.axis(fold.axis), self.scalar(fold.init));
        let (lhs, rhs) = (self.names.value(fold.lhs), self.names.value(fold.rhs));
        self.line(format!("reduce<true>({result}, {tile}, {axis}, {elem}({init}), {scratch},"));
        self.line(format!("             [&]({elem} {lhs}, {elem} {rhs}) {{"));
        self.closure = vec![fold.lhs, fold.rhs];
        for step in &fold.body {
            if !is_leaf(self.kernel, *step) {
                let (elem, name) = (self.names.elem(self.elem(*step)), self.names.value(*step));
                let expression = self.compute(*step, None);
                self.line(format!("    const {elem} {name} = {expression};"));
            }
        }
        let returned = self.scalar(fold.result);
        self.closure.clear();
        self.line(format!("    return {elem}({returned});"));
        self.line("});");
        self.settle(value, &result);
        Ok(())
    }
}
