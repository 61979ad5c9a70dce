//! The start of a program: which block of the grid it is, its axes and variables.

use super::Emitter;
use tilewright_compiler::ir::{AxisId, AxisKind, AxisSet, Op, ValueId};

impl Emitter<'_> {
    /// Which block of the grid this is.
    pub fn prologue(&mut self) {
        if let Some(said) = self.grid.first().and_then(|axis| self.kernel.remarks.loops.get(axis)) {
            self.line(super::one_line(said));
        }
        self.line("TW_SHARED(shared);");
        self.line("(void)shared;");
        let place = self.place();
        if self.is_even {
            self.prologue_at = self.code.len();
            self.open_programs();
            self.line(&place);
        } else {
            self.line("unsigned program = blockIdx.x;");
            self.line(&place);
            self.prologue_at = self.code.len();
        }
    }

    /// Opens the loop over the programs that are one after the other the same threads' work.
    pub fn open_programs(&mut self) {
        let counts =
            self.grid.iter().map(|axis| format!("unsigned(args.{}_programs)", self.names.axis(*axis)));
        let counts: Vec<String> = counts.collect();
        self.line(format!("each_program(program, {}) {{", counts.join(" * ")));
        self.depth += 1;
    }

    /// The axes at the block of `program`, as text.
    pub fn place(&self) -> String {
        let mut lines = Vec::new();
        let grouped = self.grouped();
        if let Some((rows, columns)) = grouped {
            let [m, n] = [rows, columns].map(|axis| self.names.axis(axis));
            lines.push(
                "// Programs that share operands run close together, so that these stay in the cache.".into(),
            );
            lines.push(format!(
                "const Place2 place = grouped(program, args.{m}_programs, args.{n}_programs);"
            ));
            for (name, part) in [(&m, "row"), (&n, "column")] {
                lines.push(format!("Axis_{name} {name};"));
                lines.push(format!(
                    "{name}.at(args.{name}_first + place.{part} * Axis_{name}::step, args.{name}_last);"
                ));
            }
            lines.push(format!("program /= unsigned(args.{m}_programs) * unsigned(args.{n}_programs);"));
        }
        let skipped = if grouped.is_some() { 2 } else { 0 };
        for axis in self.grid.iter().rev().skip(skipped) {
            let name = self.names.axis(*axis);
            let index = format!("int(program % unsigned(args.{name}_programs))");
            if self.is_blocked(*axis) {
                lines.push(format!("Axis_{name} {name};"));
                lines.push(format!(
                    "{name}.at(args.{name}_first + {index} * Axis_{name}::step, args.{name}_last);"
                ));
            } else {
                lines.push(format!("const int {name} = args.{name}_first + {index};"));
            }
            lines.push(format!("program /= unsigned(args.{name}_programs);"));
        }
        for (axis, info) in self.kernel.axes.iter() {
            let name = self.names.axis(axis);
            match info.kind {
                AxisKind::Whole { dim } => {
                    let length = self.names.dim(dim);
                    lines.push(format!("Axis_{name} {name};"));
                    lines.push(format!("{name}.at(0, args.{length});"));
                }
                AxisKind::Tile { .. } if !self.grid.contains(&axis) => {
                    lines.push(format!("Axis_{name} {name};"));
                }
                AxisKind::Tile { .. } | AxisKind::Each { .. } | AxisKind::Unroll { .. } => {}
            }
        }
        lines.push("(void)program;".into());
        lines.join("\n")
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

    pub fn declare_variables(&mut self) {
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
}
