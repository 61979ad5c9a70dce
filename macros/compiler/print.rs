//! The IR as text, a line a statement: for golden tests and messages about internal faults.
//!
//! ```text
//! kernel softmax<M, N>(x: T {M, N}, out: mut T {M, N})
//! grid (m in tile(M))
//!   v0 = load x[m, N]  : T {m, N}
//!   v1 = max v0 over N  : T {m}
//! ```
//! Leaves stand where they are used: `M`, `scale`, `1.0`, `end(s)`.

use crate::ir::{
    AxisId, AxisKind, AxisSet, Block, Callee, Elem, Index, Kernel, Literal, Op, ParamKind, ReduceOp, Stmt,
    ValueId,
};
use std::fmt::Write;

/// The kernel as text.
#[must_use]
pub fn print(kernel: &Kernel) -> String {
    let mut printer = Printer { kernel, text: String::new() };
    printer.header();
    printer.block(&kernel.body, 0);
    printer.text
}

struct Printer<'k> {
    kernel: &'k Kernel,
    text: String,
}

impl Printer<'_> {
    fn line(&mut self, depth: usize, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{}{line}", "  ".repeat(depth));
    }

    fn header(&mut self) {
        let kernel = self.kernel;
        let dims: Vec<String> = kernel.dims.iter().map(|(_, dim)| dim.name.to_string()).collect();
        let params: Vec<String> = kernel
            .params
            .iter()
            .map(|(_, param)| match &param.kind {
                ParamKind::Tensor { elem, dims, writable } => {
                    let dims: Vec<String> =
                        dims.iter().map(|dim| kernel.dims[*dim].name.to_string()).collect();
                    let word = if *writable { "mut " } else { "" };
                    format!("{}: {word}{} {{{}}}", param.name, self.elem(*elem), dims.join(", "))
                }
                ParamKind::Scalar { elem, .. } => format!("{}: {}", param.name, self.elem(*elem)),
            })
            .collect();
        let line = format!("kernel {}<{}>({})", kernel.name, dims.join(", "), params.join(", "));
        self.line(0, &line);
    }

    fn block(&mut self, block: &Block, depth: usize) {
        for stmt in block {
            self.stmt(stmt, depth);
        }
    }

    fn stmt(&mut self, stmt: &Stmt, depth: usize) {
        match stmt {
            Stmt::Let(value) => self.define(*value, depth),
            Stmt::Assign(var, value) => {
                let line = format!("{} := {}", self.kernel.vars[*var].name, self.value(*value));
                self.line(depth, &line);
            }
            Stmt::Store { tensor, index, value, .. } => {
                let line = format!(
                    "store {}[{}] = {}",
                    self.kernel.params[*tensor].name,
                    self.index(index),
                    self.value(*value)
                );
                self.line(depth, &line);
            }
            Stmt::For { axes, body, .. } => {
                let grid = axes.first().is_some_and(|axis| self.kernel.axes[*axis].grid);
                let loops: Vec<String> = axes.iter().map(|axis| self.axis_header(*axis)).collect();
                let line = format!("{} ({})", if grid { "grid" } else { "for" }, loops.join(", "));
                self.line(depth, &line);
                self.block(body, depth + 1);
            }
            Stmt::If { condition, then, otherwise } => {
                let line = format!("if {}", self.value(*condition));
                self.line(depth, &line);
                self.block(then, depth + 1);
                if !otherwise.is_empty() {
                    self.line(depth, "else");
                    self.block(otherwise, depth + 1);
                }
            }
            Stmt::Break => self.line(depth, "break"),
            Stmt::Continue => self.line(depth, "continue"),
            Stmt::Assert { condition, text, .. } => {
                let line = format!("assert {} ({text:?})", self.value(*condition));
                self.line(depth, &line);
            }
        }
    }

    fn define(&mut self, id: ValueId, depth: usize) {
        let value = &self.kernel.values[id];
        if let Op::Fold(fold) = &value.op {
            let line = format!("closure (v{}, v{})", fold.lhs.0, fold.rhs.0);
            self.line(depth, &line);
            for part in &fold.body {
                self.define(*part, depth + 1);
            }
        }
        let line = format!(
            "v{} = {}  : {}{}",
            id.0,
            self.op(id),
            self.elem(value.ty.elem),
            self.axes(&value.ty.axes)
        );
        self.line(depth, &line);
    }

    fn axis(&self, axis: AxisId) -> String {
        self.kernel.axes[axis].key.clone()
    }

    fn axes(&self, axes: &AxisSet) -> String {
        if axes.is_empty() {
            return String::new();
        }
        let names: Vec<String> = axes.iter().map(|axis| self.axis(axis)).collect();
        format!(" {{{}}}", names.join(", "))
    }

    fn axis_header(&self, axis: AxisId) -> String {
        let name = self.axis(axis);
        let range = |begin: &Option<ValueId>, end: &Option<ValueId>| match (begin, end) {
            (None, None) => String::new(),
            (begin, end) => {
                let text =
                    |bound: &Option<ValueId>| bound.map_or_else(String::new, |value| self.value(value));
                format!(", {}..{}", text(begin), text(end))
            }
        };
        match &self.kernel.axes[axis].kind {
            AxisKind::Tile { dim, begin, end, block } => {
                let dim = &self.kernel.dims[*dim].name;
                let block = match (block.min, block.max) {
                    (1, i32::MAX) => String::new(),
                    (min, max) if min == max => format!(".block({min})"),
                    (min, max) => format!(".block({min}..={max})"),
                };
                format!("{name} in tile({dim}{}){block}", range(begin, end))
            }
            AxisKind::Each { dim, begin, end } => {
                format!("{name} in each({}{})", self.kernel.dims[*dim].name, range(begin, end))
            }
            AxisKind::Unroll { begin, end } => format!("{name} in unroll({begin}..{end})"),
            AxisKind::Whole { dim } => format!("{name} in whole({})", self.kernel.dims[*dim].name),
        }
    }

    fn elem(&self, elem: Elem) -> String {
        crate::parse::elem_text(elem, &self.kernel.elements)
    }

    fn index(&self, index: &[Index]) -> String {
        let parts: Vec<String> = index
            .iter()
            .map(|part| match part {
                Index::Axis { axis, offset: None } => self.axis(*axis),
                Index::Axis { axis, offset: Some(offset) } => {
                    format!("{} + {}", self.axis(*axis), self.value(*offset))
                }
                Index::Scalar(value) => self.value(*value),
                Index::Gather(value) => format!("gather {}", self.value(*value)),
            })
            .collect();
        parts.join(", ")
    }

    /// A leaf as what it is, anything else as its number.
    fn value(&self, id: ValueId) -> String {
        match &self.kernel.values[id].op {
            Op::Literal(_)
            | Op::Dim(_)
            | Op::Param(_)
            | Op::Const(_)
            | Op::Each(_)
            | Op::AxisBegin(_)
            | Op::AxisEnd(_)
            | Op::AxisLen(_) => self.op(id),
            Op::AxisIndex(_)
            | Op::Read(_)
            | Op::Broadcast(_)
            | Op::Unary(..)
            | Op::Binary(..)
            | Op::Compare(..)
            | Op::Select(..)
            | Op::Cast(_)
            | Op::Call(..)
            | Op::Reduce(..)
            | Op::Fold(_)
            | Op::Dot(..)
            | Op::Load { .. } => format!("v{}", id.0),
        }
    }

    fn op(&self, id: ValueId) -> String {
        let kernel = self.kernel;
        match &kernel.values[id].op {
            Op::Literal(Literal::Float(float)) => {
                format!("{float:?}{}", self.elem(kernel.values[id].ty.elem))
            }
            Op::Literal(Literal::Int(int)) => format!("{int}{}", self.elem(kernel.values[id].ty.elem)),
            Op::Literal(Literal::Bool(bool)) => bool.to_string(),
            Op::Dim(dim) => kernel.dims[*dim].name.to_string(),
            Op::Param(param) => kernel
                .params
                .iter()
                .nth(param.at())
                .map_or_else(|| format!("arg{}", param.0), |(_, p)| p.name.to_string()),
            Op::Const(param) => kernel.consts[*param].name.to_string(),
            Op::Each(axis) => self.axis(*axis),
            Op::AxisIndex(axis) => format!("index({})", self.axis(*axis)),
            Op::AxisBegin(axis) => format!("begin({})", self.axis(*axis)),
            Op::AxisEnd(axis) => format!("end({})", self.axis(*axis)),
            Op::AxisLen(axis) => format!("len({})", self.axis(*axis)),
            Op::Read(var) => format!("read {}", kernel.vars[*var].name),
            Op::Broadcast(value) => format!("broadcast {}", self.value(*value)),
            Op::Unary(op, value) => format!("{} {}", name(op), self.value(*value)),
            Op::Binary(op, lhs, rhs) => format!("{} {} {}", name(op), self.value(*lhs), self.value(*rhs)),
            Op::Compare(op, lhs, rhs) => format!("{} {} {}", name(op), self.value(*lhs), self.value(*rhs)),
            Op::Select(c, a, b) => format!("select {} {} {}", self.value(*c), self.value(*a), self.value(*b)),
            Op::Cast(value) => format!("cast {}", self.value(*value)),
            Op::Call(callee, args) => self.call(callee, args),
            Op::Reduce(op, value, axis) => self.reduction(*op, *value, *axis),
            Op::Fold(fold) => format!(
                "fold {} over {} from {} giving {}",
                self.value(fold.value),
                self.axis(fold.axis),
                self.value(fold.init),
                self.value(fold.result)
            ),
            Op::Dot(lhs, rhs, axis) => {
                format!("dot {} {} over {}", self.value(*lhs), self.value(*rhs), self.axis(*axis))
            }
            Op::Load { tensor, index, default } => {
                let default = default.map_or_else(String::new, |value| format!(" or {}", self.value(value)));
                format!("load {}[{}]{default}", kernel.params[*tensor].name, self.index(index))
            }
        }
    }

    fn call(&self, callee: &Callee, args: &[ValueId]) -> String {
        let name = match callee {
            Callee::Path(path) => {
                let names: Vec<String> =
                    path.segments.iter().map(|segment| segment.ident.to_string()).collect();
                names.join("::")
            }
            Callee::Param(function) => self.kernel.functions[*function].name.to_string(),
        };
        let args: Vec<String> = args.iter().map(|arg| self.value(*arg)).collect();
        format!("call {name}({})", args.join(", "))
    }

    fn reduction(&self, op: ReduceOp, value: ValueId, axis: AxisId) -> String {
        format!("{} {} over {}", name(&op), self.value(value), self.axis(axis))
    }
}

/// `GeluTanh` as `gelu_tanh`.
fn name(op: &impl std::fmt::Debug) -> String {
    let mut text = String::new();
    for (at, letter) in format!("{op:?}").chars().enumerate() {
        if letter.is_uppercase() && at > 0 {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
