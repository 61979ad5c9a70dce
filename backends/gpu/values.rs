//! One value: an operand where it is used, an operation where it is computed.

use super::Emitter;
use tilewright_compiler::ir::{AxisSet, BinaryOp, CompareOp, Elem, Literal, Op, UnaryOp, ValueId};

impl Emitter<'_> {
    /// A value without axes.
    pub fn scalar(&self, value: ValueId) -> String {
        self.operand(value, None)
    }

    /// A value as an operand: for element `i` of tiles with the axes `at`, or a scalar.
    pub fn operand(&self, value: ValueId, at: Option<&AxisSet>) -> String {
        let name = |axis| self.names.axis(axis);
        if self.closure.contains(&value) {
            return self.names.value(value);
        }
        match &self.kernel.values[value].op {
            Op::Literal(literal) => self.literal(*literal, self.elem(value)),
            Op::Dim(dim) => format!("args.{}", self.names.dim(*dim)),
            Op::Param(param) => format!("{}{}", self.parameters, self.names.param(*param)),
            Op::Const(constant) => self.names.constant(*constant),
            Op::Each(axis) => name(*axis),
            Op::AxisBegin(axis) => format!("{}.begin", name(*axis)),
            Op::AxisEnd(axis) => format!("{}.end", name(*axis)),
            Op::AxisLen(axis) => format!("({0}.end - {0}.begin)", name(*axis)),
            Op::AxisIndex(axis) => {
                let axes = at.map_or_else(|| AxisSet::new([*axis]), Clone::clone);
                format!("{0}.index({1}::of<Axis_{0}>(i))", name(*axis), self.axes_type(&axes))
            }
            Op::Read(_)
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
            | Op::Load { .. } => self.held(value, at),
        }
    }

    /// A computed value.
    fn held(&self, value: ValueId, at: Option<&AxisSet>) -> String {
        let (name, axes) = (self.names.value(value), self.axes(value));
        match at {
            Some(at) if !axes.is_empty() && self.defined.contains(&value) => {
                if axes == at {
                    format!("{name}[i]")
                } else {
                    format!("{name}.of<{}>(i)", self.axes_type(at))
                }
            }
            _ => name,
        }
    }

    fn literal(&self, literal: Literal, elem: Elem) -> String {
        match (literal, elem) {
            (Literal::Bool(value), _) => value.to_string(),
            (Literal::Int(value), Elem::I64) if value == i64::MIN => "(-9223372036854775807ll - 1)".into(),
            (Literal::Int(value), Elem::I64) => format!("i64({value}ll)"),
            (Literal::Int(value), Elem::I32) if value == i64::from(i32::MIN) => "(-2147483647 - 1)".into(),
            (Literal::Int(value), Elem::I32) => value.to_string(),
            (Literal::Int(value), _) => format!("{}({value}ll)", self.names.elem(elem)),
            (Literal::Float(value), Elem::F64) => float64(value),
            (Literal::Float(value), Elem::F32) => float32(value),
            (Literal::Float(value), _) => format!("cast<{}>({})", self.names.elem(elem), float64(value)),
        }
    }

    fn is_float(&self, elem: Elem) -> bool {
        elem.is_float(&self.kernel.elements)
    }

    /// Whether C++'s own operators mean the same.
    fn is_plain(&self, elem: Elem) -> bool {
        matches!(elem, Elem::F32 | Elem::F64)
    }

    /// What a comparison or arithmetic sees of an element: shorter floats as f32.
    fn wide(&self, value: ValueId, at: Option<&AxisSet>) -> String {
        let operand = self.operand(value, at);
        if matches!(self.elem(value), Elem::F16 | Elem::BF16 | Elem::F8E4M3 | Elem::F8E5M2 | Elem::Param(_)) {
            return format!("wide({operand})");
        }
        operand
    }

    /// The expression that computes a value, for element `i` of tiles with the axes `at`, or as a scalar.
    pub fn compute(&self, value: ValueId, at: Option<&AxisSet>) -> String {
        let elem = self.elem(value);
        match &self.kernel.values[value].op {
            Op::Read(var) => {
                let name = self.names.var(*var);
                if at.is_some() && !self.kernel.vars[*var].ty.axes.is_empty() {
                    format!("{name}[i]")
                } else {
                    name
                }
            }
            Op::Broadcast(of) => self.operand(*of, at),
            Op::Unary(op, of) => self.unary(*op, *of, elem, at),
            Op::Binary(op, lhs, rhs) => self.binary(*op, *lhs, *rhs, at),
            Op::Compare(op, lhs, rhs) => {
                let symbol = match op {
                    CompareOp::Eq => "==",
                    CompareOp::Ne => "!=",
                    CompareOp::Lt => "<",
                    CompareOp::Le => "<=",
                    CompareOp::Gt => ">",
                    CompareOp::Ge => ">=",
                };
                format!("({} {symbol} {})", self.wide(*lhs, at), self.wide(*rhs, at))
            }
            Op::Select(condition, then, otherwise) => format!(
                "({} ? {} : {})",
                self.operand(*condition, at),
                self.operand(*then, at),
                self.operand(*otherwise, at)
            ),
            Op::Cast(of) => {
                let operand = self.operand(*of, at);
                if self.elem(*of) == elem {
                    operand
                } else {
                    format!("cast<{}>({operand})", self.names.elem(elem))
                }
            }
            Op::Load { tensor, index, default } => self.load_element(*tensor, index, *default, value, at),
            Op::Call(callee, arguments) => self.call(callee, arguments, at),
            Op::Literal(_)
            | Op::Dim(_)
            | Op::Param(_)
            | Op::Const(_)
            | Op::Each(_)
            | Op::AxisIndex(_)
            | Op::AxisBegin(_)
            | Op::AxisEnd(_)
            | Op::AxisLen(_)
            | Op::Reduce(..)
            | Op::Fold(_)
            | Op::Dot(..) => self.operand(value, at),
        }
    }

    fn unary(&self, op: UnaryOp, of: ValueId, elem: Elem, at: Option<&AxisSet>) -> String {
        let x = self.operand(of, at);
        let name = match op {
            UnaryOp::Neg if self.is_plain(elem) => return format!("(-{x})"),
            UnaryOp::Neg => "neg",
            UnaryOp::Not if elem == Elem::Bool => return format!("(!{x})"),
            UnaryOp::Not => return format!("{}(~{x})", self.names.elem(elem)),
            UnaryOp::Abs => "abs_of",
            UnaryOp::Floor => "floor_of",
            UnaryOp::Ceil => "ceil_of",
            UnaryOp::Round => "round_of",
            UnaryOp::Trunc => "trunc_of",
            UnaryOp::Sqrt => "sqrt_of",
            UnaryOp::Rsqrt => "rsqrt_of",
            UnaryOp::Recip => "recip_of",
            UnaryOp::Exp => "exp_of",
            UnaryOp::Exp2 => "exp2_of",
            UnaryOp::Ln => "ln_of",
            UnaryOp::Log2 => "log2_of",
            UnaryOp::Sin => "sin_of",
            UnaryOp::Cos => "cos_of",
            UnaryOp::Tanh => "tanh_of",
            UnaryOp::Erf => "erf_of",
            UnaryOp::Sigmoid => "sigmoid_of",
            UnaryOp::Relu => "relu_of",
            UnaryOp::Gelu => "gelu_of",
            UnaryOp::GeluTanh => "gelu_tanh_of",
            UnaryOp::Silu => "silu_of",
        };
        format!("{name}({x})")
    }

    /// Both operands have one element type.
    fn binary(&self, op: BinaryOp, lhs: ValueId, rhs: ValueId, at: Option<&AxisSet>) -> String {
        let elem = self.elem(lhs);
        let (x, y) = (self.operand(lhs, at), self.operand(rhs, at));
        let (float, bits) = (self.is_float(elem), elem != Elem::Bool);
        let symbol = |symbol: &str| format!("({x} {symbol} {y})");
        let call = |name: &str| format!("{name}({x}, {y})");
        let wrapped = |symbol: &str| format!("{}({x} {symbol} {y})", self.names.elem(elem));
        match op {
            BinaryOp::Add if float => symbol("+"),
            BinaryOp::Sub if float => symbol("-"),
            BinaryOp::Mul if float => symbol("*"),
            BinaryOp::Div if float => symbol("/"),
            BinaryOp::Rem if float => call("remainder_of"),
            BinaryOp::Add => call("add"),
            BinaryOp::Sub => call("sub"),
            BinaryOp::Mul => call("mul"),
            BinaryOp::Div => call("quotient"),
            BinaryOp::Rem => call("remainder"),
            BinaryOp::Max => call("max_of"),
            BinaryOp::Min => call("min_of"),
            BinaryOp::Pow => call("pow_of"),
            BinaryOp::ExpSub => call("exp_sub"),
            BinaryOp::And if bits => wrapped("&"),
            BinaryOp::Or if bits => wrapped("|"),
            BinaryOp::Xor if bits => wrapped("^"),
            BinaryOp::And => symbol("&&"),
            BinaryOp::Or => symbol("||"),
            BinaryOp::Xor => symbol("!="),
            BinaryOp::Shl => call("shl"),
            BinaryOp::Shr => call("shr"),
        }
    }
}

fn float32(value: f64) -> String {
    let narrow = value as f32;
    if narrow.is_nan() {
        "from_bits(0x7fc00000u)".into()
    } else if narrow.is_infinite() {
        format!("from_bits({:#x}u)", narrow.to_bits())
    } else {
        format!("{narrow:e}f")
    }
}

fn float64(value: f64) -> String {
    if value.is_finite() { format!("{value:e}") } else { format!("from_bits({:#x}ull)", value.to_bits()) }
}
