//! A schedule in words: what `name::explain()` says.

use super::{Accumulate, BufferId, Dot, Node, Operand, Schedule};
use crate::ir::{AxisId, Callee, Index, Kernel, Op, ValueId};
use std::fmt::{Display, Formatter, Result, Write};

impl Display for Schedule {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let grid: Vec<String> = self.grid.iter().map(|axis| self.axis(*axis)).collect();
        writeln!(f, "in parallel for each block of {}", grid.join(", "))?;
        self.nodes(f, &self.body, 1)?;
        for (at, buffer) in self.buffers.iter().enumerate() {
            let axes: Vec<String> = buffer.axes.iter().map(|axis| self.axis(*axis)).collect();
            writeln!(f, "buffer b{at}[{}]", axes.join(", "))?;
        }
        Ok(())
    }
}

impl Schedule {
    fn axis(&self, axis: AxisId) -> String {
        self.kernel.axes[axis].key.clone()
    }

    fn place(&self, buffer: BufferId) -> String {
        let axes: Vec<String> = self.buffers[buffer.0].axes.iter().map(|axis| self.axis(*axis)).collect();
        format!("b{}[{}]", buffer.0, axes.join(", "))
    }

    fn nodes(&self, f: &mut Formatter<'_>, nodes: &[Node], depth: usize) -> Result {
        for node in nodes {
            write!(f, "{:1$}", "", 2 * depth)?;
            self.node(f, node, depth)?;
        }
        Ok(())
    }

    fn node(&self, f: &mut Formatter<'_>, node: &Node, depth: usize) -> Result {
        let kernel = &self.kernel;
        match node {
            Node::Compute { value, keep } => {
                write!(f, "v{} = {}", value.0, describe(kernel, *value))?;
                if let Some(buffer) = keep {
                    write!(f, ", kept in {}", self.place(*buffer))?;
                }
                writeln!(f)
            }
            Node::Keep { value, buffer } => writeln!(f, "{} = {}", self.place(*buffer), name(kernel, *value)),
            Node::Fetch { value, buffer } => writeln!(f, "v{} = {}", value.0, self.place(*buffer)),
            Node::Accumulate { value, state } => {
                write!(f, "v{} {}", value.0, describe(kernel, *value))?;
                if let Some(buffer) = state {
                    write!(f, " in {}", self.place(*buffer))?;
                }
                writeln!(f)
            }
            Node::Assign { var, value } => {
                writeln!(f, "{} = {}", kernel.vars[*var].name, name(kernel, *value))
            }
            Node::Store { tensor, value, .. } => {
                writeln!(f, "store {} = {}", kernel.params[*tensor].name, name(kernel, *value))
            }
            Node::Loop { axis, lanes, body, .. } => {
                writeln!(f, "{} {}", if *lanes { "lanes" } else { "for each" }, self.axis(*axis))?;
                self.nodes(f, body, depth + 1)
            }
            Node::Dot(dot) => self.dot(f, dot),
            Node::Sequential { axis, body, .. } => {
                writeln!(f, "in order for each block of {}", self.axis(*axis))?;
                self.nodes(f, body, depth + 1)
            }
            Node::Shortcut { value, condition, known, otherwise } => {
                let [known, condition] = [known, condition].map(|value| name(kernel, *value));
                writeln!(f, "v{} = {known} if {condition}, else", value.0)?;
                self.nodes(f, std::slice::from_ref(otherwise), depth + 1)
            }
            Node::If { condition, then, otherwise } => {
                writeln!(f, "if {}", name(kernel, *condition))?;
                self.nodes(f, then, depth + 1)?;
                if otherwise.is_empty() {
                    return Ok(());
                }
                writeln!(f, "{:1$}else", "", 2 * depth)?;
                self.nodes(f, otherwise, depth + 1)
            }
            Node::Sum { into, body, clear: _ } => {
                writeln!(f, "the first product clears {}", self.place(*into))?;
                self.nodes(f, body, depth + 1)
            }
            Node::Copy { buffer, body } => {
                let tensor = self.outputs.iter().find(|output| output.buffer == *buffer);
                let name = tensor.map_or_else(String::new, |o| self.kernel.params[o.tensor].name.to_string());
                let plus = tensor.and_then(|output| output.plus.as_ref()).map_or_else(String::new, |row| {
                    format!(" and the last product adds {}", self.kernel.params[row.tensor].name)
                });
                writeln!(f, "unless {} is a part of {name}{plus}", self.place(*buffer))?;
                self.nodes(f, body, depth + 1)
            }
            Node::Break => writeln!(f, "break"),
            Node::Continue => writeln!(f, "continue"),
        }
    }

    fn dot(&self, f: &mut Formatter<'_>, dot: &Dot) -> Result {
        let operand = |operand: &Operand| match operand {
            Operand::Tensor(value) => describe(&self.kernel, *value),
            Operand::Buffer(buffer) => self.place(*buffer),
        };
        let sign = if dot.accumulate == Accumulate::Never { "=" } else { "+=" };
        let (lhs, rhs, over) = (operand(&dot.lhs), operand(&dot.rhs), self.axis(dot.contracted));
        writeln!(f, "{} {sign} dot of {lhs} and {rhs} over {over}", self.place(dot.into))
    }
}

/// A value where it is used: leaves as they are, others by number.
fn name(kernel: &Kernel, value: ValueId) -> String {
    if super::is_leaf(kernel, value) { describe(kernel, value) } else { format!("v{}", value.0) }
}

fn describe(kernel: &Kernel, value: ValueId) -> String {
    let name = |value: &ValueId| name(kernel, *value);
    let key = |axis: &AxisId| kernel.axes[*axis].key.clone();
    match &kernel.values[value].op {
        Op::Literal(literal) => match literal {
            crate::ir::Literal::Float(x) => format!("{x}"),
            crate::ir::Literal::Int(x) => format!("{x}"),
            crate::ir::Literal::Bool(x) => format!("{x}"),
        },
        Op::Dim(dim) => kernel.dims[*dim].name.to_string(),
        Op::Param(param) => kernel.params[*param].name.to_string(),
        Op::Const(id) => kernel.consts[*id].name.to_string(),
        Op::Each(axis) => key(axis),
        Op::AxisIndex(axis) => format!("{}.index", key(axis)),
        Op::AxisBegin(axis) => format!("{}.begin", key(axis)),
        Op::AxisEnd(axis) => format!("{}.end", key(axis)),
        Op::AxisLen(axis) => format!("{}.len", key(axis)),
        Op::Read(var) => kernel.vars[*var].name.to_string(),
        Op::Broadcast(of) => name(of),
        Op::Unary(op, of) => format!("{op:?} {}", name(of)).to_lowercase(),
        Op::Binary(op, lhs, rhs) => format!("{} {op:?} {}", name(lhs), name(rhs)).to_lowercase(),
        Op::Compare(op, lhs, rhs) => format!("{} {op:?} {}", name(lhs), name(rhs)).to_lowercase(),
        Op::Select(condition, then, otherwise) => {
            format!("if {} then {} else {}", name(condition), name(then), name(otherwise))
        }
        Op::Cast(of) => format!("cast {}", name(of)),
        Op::Call(callee, args) => {
            let args = args.iter().map(name).collect::<Vec<_>>().join(", ");
            match callee {
                Callee::Path(path) => {
                    let parts: Vec<String> =
                        path.segments.iter().map(|part| part.ident.to_string()).collect();
                    format!("call {} on {args}", parts.join("::"))
                }
                Callee::Param(id) => format!("call {} on {args}", kernel.functions[*id].name),
            }
        }
        Op::Reduce(op, of, axis) => {
            format!("{} over {} of {}", format!("{op:?}").to_lowercase(), key(axis), name(of))
        }
        Op::Fold(fold) => format!("fold over {} of {}", key(&fold.axis), name(&fold.value)),
        Op::Dot(lhs, rhs, axis) => format!("dot over {} of {} and {}", key(axis), name(lhs), name(rhs)),
        Op::Load { tensor, index, .. } => {
            let mut text = format!("{}[", kernel.params[*tensor].name);
            for (at, index) in index.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                let index = match index {
                    Index::Axis { axis, offset: None } => key(axis),
                    Index::Axis { axis, offset: Some(offset) } => format!("{} + {}", key(axis), name(offset)),
                    Index::Scalar(value) | Index::Gather(value) => name(value),
                };
                let _ = write!(text, "{comma}{index}");
            }
            text + "]"
        }
    }
}
