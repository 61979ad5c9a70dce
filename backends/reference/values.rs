//! Values: one expression each.

use super::statements::Emitter;
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use tilewright_compiler::ir::{
    AxisId, BinaryOp, Callee, CompareOp, Fold, FunctionId, Index, Literal, Op, ReduceOp, UnaryOp, ValueId,
};

impl Emitter<'_> {
    /// The expression that computes a value: a tile.
    pub fn expression(&self, id: ValueId) -> TokenStream {
        let value = &self.kernel.values[id];
        let span = value.span.resolved_at(Span::mixed_site());
        let reference = &self.names.reference;
        let elem = self.names.elem(value.ty.elem);
        let scalar = |local: Ident| quote_spanned!(span=> #reference::scalar::<#elem>(#local));
        match &value.op {
            Op::Literal(Literal::Float(x)) => self.float(&elem, *x, span),
            Op::Literal(Literal::Int(x)) => quote_spanned!(span=> #reference::int::<#elem>(#x)),
            Op::Literal(Literal::Bool(x)) => quote_spanned!(span=> #reference::boolean(#x)),
            Op::Dim(dim) => scalar(self.names.dim(*dim)),
            Op::Param(param) => scalar(self.names.param(*param)),
            Op::Const(constant) => scalar(self.names.constant(*constant)),
            Op::Each(axis) | Op::AxisBegin(axis) => self.of_axis(*axis, "first", span),
            Op::AxisIndex(axis) => self.of_axis(*axis, "index", span),
            Op::AxisEnd(axis) => self.of_axis(*axis, "past", span),
            Op::AxisLen(axis) => self.of_axis(*axis, "len", span),
            Op::Read(var) => {
                let var = self.names.var(*var);
                quote_spanned!(span=> ::core::clone::Clone::clone(&#var))
            }
            Op::Broadcast(operand) => {
                let operand = self.operand(*operand);
                let axes = value.ty.axes.iter().map(|axis| self.names.axis(axis));
                quote_spanned!(span=> #reference::Tile::broadcast(#operand, &[#(#axes),*]))
            }
            Op::Unary(op, x) => self.apply(unary(*op), &[*x], None, span),
            Op::Binary(op, lhs, rhs) => self.apply(binary(*op), &[*lhs, *rhs], None, span),
            Op::Compare(op, lhs, rhs) => self.apply(compare(*op), &[*lhs, *rhs], None, span),
            Op::Select(condition, then, otherwise) => {
                self.apply("select", &[*condition, *then, *otherwise], None, span)
            }
            Op::Cast(operand) => self.apply("cast", &[*operand], None, span),
            Op::Call(callee, args) => self.call(callee, args, span),
            Op::Reduce(op, operand, axis) => self.apply(reduction(*op), &[*operand], Some(*axis), span),
            Op::Fold(fold) => self.fold(fold, span),
            Op::Dot(lhs, rhs, axis) => self.apply("dot", &[*lhs, *rhs], Some(*axis), span),
            Op::Load { tensor, index, default } => {
                let (tensor, index) = (self.names.param(*tensor), self.index(index));
                match default.map(|default| self.operand(default)) {
                    None => quote_spanned!(span=> #tensor.load(program, #index)),
                    Some(default) => quote_spanned!(span=> #tensor.load_or(program, #index, #default)),
                }
            }
        }
    }

    /// A function of the tile library on operands, and the axis that it removes.
    fn apply(&self, name: &str, operands: &[ValueId], axis: Option<AxisId>, span: Span) -> TokenStream {
        let (reference, name) = (&self.names.reference, Ident::new(name, span));
        let operands = operands.iter().map(|operand| self.operand(*operand));
        let axis = axis.map(|axis| self.names.axis(axis));
        let axis = axis.iter();
        quote_spanned!(span=> #reference::#name(#(#operands,)* #(#axis)*))
    }

    fn of_axis(&self, axis: AxisId, method: &str, span: Span) -> TokenStream {
        let (axis, method) = (self.names.axis(axis), Ident::new(method, span));
        quote_spanned!(span=> #axis.#method())
    }

    /// Infinities and NaN have no literal.
    fn float(&self, elem: &TokenStream, x: f64, span: Span) -> TokenStream {
        let reference = &self.names.reference;
        let x = if x.is_finite() {
            quote_spanned!(span=> #x)
        } else {
            let bits = x.to_bits();
            quote_spanned!(span=> f64::from_bits(#bits))
        };
        quote_spanned!(span=> #reference::float::<#elem>(#x))
    }

    fn fold(&self, fold: &Fold, span: Span) -> TokenStream {
        let reference = &self.names.reference;
        let (value, init) = (self.operand(fold.value), self.operand(fold.init));
        let axis = self.names.axis(fold.axis);
        let elem = self.names.elem(self.kernel.values[fold.init].ty.elem);
        let (lhs, rhs) = (self.names.value(fold.lhs), self.names.value(fold.rhs));
        let inner = self.inside(&[fold.lhs, fold.rhs]);
        let (body, inner) = inner.lets(&fold.body);
        let result = inner.operand(fold.result);
        quote_spanned! {span=>
            #reference::fold(#value, #axis, #init, |#lhs: &#reference::Tile<#elem>, #rhs: &#reference::Tile<#elem>| {
                #body
                ::core::clone::Clone::clone(#result)
            })
        }
    }

    fn call(&self, callee: &Callee, args: &[ValueId], span: Span) -> TokenStream {
        let reference = &self.names.reference;
        let function = match callee {
            Callee::Path(path) => quote_spanned!(span=> #path),
            Callee::Param(function) => self.parameter(*function, span),
        };
        let operands = args.iter().map(|operand| self.operand(*operand));
        let name = Ident::new(&format!("call{}", args.len()), span);
        quote_spanned!(span=> #reference::#name(#function, #(#operands),*))
    }

    /// A function parameter: its vector body on scalars.
    fn parameter(&self, function: FunctionId, span: Span) -> TokenStream {
        let (private, function) = (&self.names.private, &self.kernel.functions[function]);
        let name = &function.name;
        let types: Vec<TokenStream> = function.args.iter().map(|elem| self.names.elem(*elem)).collect();
        let args: Vec<Ident> =
            (0..types.len()).map(|at| Ident::new(&format!("arg{at}"), Span::mixed_site())).collect();
        quote_spanned! {span=>
            |#(#args: #types),*| {
                <#name as #private::DeviceFn<(#(#types,)*)>>::vector::<#private::simd::One>((#(#args,)*))
            }
        }
    }

    /// The places of an index, one a dimension.
    pub fn index(&self, index: &[Index]) -> TokenStream {
        let reference = &self.names.reference;
        let places = index.iter().map(|index| match index {
            Index::Axis { axis, offset: None } => {
                let axis = self.names.axis(*axis);
                quote_here!(#reference::At::axis(#axis))
            }
            Index::Axis { axis, offset: Some(offset) } => {
                let (axis, offset) = (self.names.axis(*axis), self.operand(*offset));
                quote_here!(#reference::At::shifted(#axis, #offset))
            }
            Index::Scalar(value) | Index::Gather(value) => {
                let value = self.operand(*value);
                quote_here!(#reference::At::value(#value))
            }
        });
        quote_here!(&[#(#places),*])
    }
}

fn unary(op: UnaryOp) -> &'static str {
    match op {
        UnaryOp::Neg => "neg",
        UnaryOp::Not => "not",
        UnaryOp::Abs => "abs",
        UnaryOp::Floor => "floor",
        UnaryOp::Ceil => "ceil",
        UnaryOp::Round => "round",
        UnaryOp::Trunc => "trunc",
        UnaryOp::Sqrt => "sqrt",
        UnaryOp::Rsqrt => "rsqrt",
        UnaryOp::Recip => "recip",
        UnaryOp::Exp => "exp",
        UnaryOp::Exp2 => "exp2",
        UnaryOp::Ln => "ln",
        UnaryOp::Log2 => "log2",
        UnaryOp::Sin => "sin",
        UnaryOp::Cos => "cos",
        UnaryOp::Tanh => "tanh",
        UnaryOp::Erf => "erf",
        UnaryOp::Sigmoid => "sigmoid",
        UnaryOp::Relu => "relu",
        UnaryOp::Gelu => "gelu",
        UnaryOp::GeluTanh => "gelu_tanh",
        UnaryOp::Silu => "silu",
    }
}

fn binary(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "add",
        BinaryOp::Sub => "sub",
        BinaryOp::Mul => "mul",
        BinaryOp::Div => "div",
        BinaryOp::Rem => "rem",
        BinaryOp::Max => "max",
        BinaryOp::Min => "min",
        BinaryOp::Pow => "pow",
        BinaryOp::ExpSub => "exp_sub",
        BinaryOp::And => "and",
        BinaryOp::Or => "or",
        BinaryOp::Xor => "xor",
        BinaryOp::Shl => "shl",
        BinaryOp::Shr => "shr",
    }
}

fn compare(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "eq",
        CompareOp::Ne => "ne",
        CompareOp::Lt => "lt",
        CompareOp::Le => "le",
        CompareOp::Gt => "gt",
        CompareOp::Ge => "ge",
    }
}

fn reduction(op: ReduceOp) -> &'static str {
    match op {
        ReduceOp::Sum => "reduce_sum",
        ReduceOp::Mean => "reduce_mean",
        ReduceOp::Prod => "reduce_prod",
        ReduceOp::Max => "reduce_max",
        ReduceOp::Min => "reduce_min",
        ReduceOp::Argmax => "reduce_argmax",
        ReduceOp::Argmin => "reduce_argmin",
        ReduceOp::Any => "reduce_any",
        ReduceOp::All => "reduce_all",
    }
}
