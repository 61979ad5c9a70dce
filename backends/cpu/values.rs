//! One value: an operand where it is used, an operation where it is computed.

use super::data::Lane;
use super::one_pass::Exponential;
use super::pipeline::Beside;
use super::rows::Pieces;
use super::{Emitter, names};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use std::cell::{Cell, RefCell};
use tilewright_compiler::ir::{
    AxisId, AxisKind, BinaryOp, Callee, CompareOp, Elem, Fold, Op, ParamId, UnaryOp, ValueId,
};
use tilewright_compiler::schedule::{Node, each_node, exponent, is_at_most, is_term};

/// A lane loop while its body is emitted.
#[derive(Default)]
pub struct LaneLoop {
    /// What must hold for lanes to be contiguous in all tensors.
    pub contiguous: RefCell<Vec<TokenStream>>,
    /// Values of a `fold`'s closure, all of which are vectors here.
    pub closure: RefCell<Vec<ValueId>>,
    pub has_reduction: Cell<bool>,
    /// Its vectors are four as one.
    pub in_fours: Cell<bool>,
    /// It calls functions.
    pub is_heavy: bool,
    /// Tensors that earlier loops over the same row read too, and later ones do not: of these, the caches can be
    /// asked for the next row.
    pub last_reads: Vec<ParamId>,
    /// Tensors that later loops over the same row read too.
    pub early_reads: Vec<ParamId>,
    /// How many rows further that row is.
    pub rows_ahead: TokenStream,
    /// Tensors of which it reads a row that no loop before it read, nor a neighbour's.
    pub far_reads: Vec<ParamId>,
    /// Its reductions have one accumulator each, wherever a row is: which of two zeros a maximum is depends on that.
    pub has_one_slot: bool,
    /// Tensors of which it reads a row in pieces.
    pub pieces: Vec<Pieces>,
    /// Loads of what it loads before.
    pub repeats: Vec<ValueId>,
    /// Tensors that others ask the caches for.
    pub asked: Vec<ParamId>,
    /// What comes before its body: that of neighbouring rows.
    pub beside: Beside,
    /// An exponential that it takes in the row's window; its maximum is of numbers then.
    pub in_window: Option<Exponential>,
}

/// Where code stands: what an operation works on.
#[derive(Clone, Copy)]
pub enum At<'l> {
    /// On scalars.
    Scalar,
    /// On vectors along an axis.
    Lanes(AxisId, &'l LaneLoop),
}

impl Emitter<'_> {
    pub fn elem(&self, value: ValueId) -> Elem {
        self.kernel.values[value].ty.elem
    }

    fn has_axis(&self, value: ValueId, axis: AxisId) -> bool {
        self.kernel.values[value].ty.axes.contains(axis)
    }

    pub fn is_vector(&self, value: ValueId, at: At<'_>) -> bool {
        match at {
            At::Scalar => false,
            At::Lanes(axis, lanes) => self.has_axis(value, axis) || lanes.closure.borrow().contains(&value),
        }
    }

    /// The instruction set of a place.
    pub fn set(&self, at: At<'_>) -> TokenStream {
        match at {
            At::Scalar => {
                let private = &self.private;
                quote!(#private::simd::One)
            }
            At::Lanes(_, lanes) if lanes.in_fours.get() => {
                let private = &self.private;
                quote!(#private::simd::Four<__S>)
            }
            At::Lanes(..) => quote!(__S),
        }
    }

    /// How many lanes there are.
    pub fn n_lanes(&self, at: At<'_>) -> TokenStream {
        match at {
            At::Scalar => quote!(1),
            At::Lanes(..) => {
                let n = names::plain("n");
                quote!(#n)
            }
        }
    }

    /// The type of a value of an element type.
    pub fn ty(&self, elem: Elem, at: At<'_>) -> TokenStream {
        let (scalar, private) = (self.scalar(elem), &self.private);
        match (at, self.lane(elem)) {
            (At::Scalar, Lane::F32 | Lane::F64 | Lane::I32 | Lane::U32 | Lane::I64 | Lane::Bool) => scalar,
            (At::Scalar | At::Lanes(..), _) => {
                let set = self.set(at);
                quote!(<#scalar as #private::simd::Lane>::Of<#set>)
            }
        }
    }

    /// A value where its axes are fixed, or a vector if it is one here.
    pub fn plain(&self, value: ValueId, at: At<'_>) -> TokenStream {
        let in_closure = self.closure.borrow().contains(&value);
        if in_closure {
            let name = names::value(value);
            return quote!(#name);
        }
        match &self.kernel.values[value].op {
            Op::Literal(literal) => self.literal(*literal, self.elem(value)),
            Op::Dim(dim) => {
                let dim = names::dim(*dim);
                quote!(#dim)
            }
            Op::Param(param) => {
                let param = names::param(*param);
                quote!(#param)
            }
            Op::Const(id) => {
                let constant = &self.kernel.consts[*id];
                let name = &constant.name;
                if constant.elem == Elem::Bool {
                    return quote!(#name);
                }
                let text = format!("the const parameter {name} does not fit an i32");
                quote!(const {
                    assert!(#name as i128 == (#name as i32) as i128, #text);
                    #name as i32
                })
            }
            Op::Each(axis) | Op::AxisBegin(axis) => {
                let begin = names::begin(*axis);
                quote!(#begin)
            }
            Op::AxisEnd(axis) => {
                let end = names::end(*axis);
                quote!(#end)
            }
            Op::AxisLen(axis) => {
                let (begin, end) = (names::begin(*axis), names::end(*axis));
                quote!((#end - #begin))
            }
            Op::AxisIndex(axis) => self.axis_index(*axis, at),
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
            | Op::Load { .. } => {
                let name = names::value(value);
                quote!(#name)
            }
        }
    }

    /// The global indices along an axis.
    pub fn axis_index(&self, axis: AxisId, at: At<'_>) -> TokenStream {
        let index = self.scalar_index(axis);
        match at {
            At::Lanes(lanes, _) if lanes == axis => {
                let (private, set) = (&self.private, self.set(at));
                quote!(<#set as #private::simd::Simd>::iota(#index))
            }
            At::Scalar | At::Lanes(..) => index,
        }
    }

    /// The global index along an axis; in a lane loop over it, that of the first lane.
    pub fn scalar_index(&self, axis: AxisId) -> TokenStream {
        let (begin, position) = (names::begin(axis), names::position(axis));
        if let AxisKind::Whole { .. } = self.kernel.axes[axis].kind {
            return quote!(#position as i32);
        }
        quote!((#begin + #position as i32))
    }

    /// [`Self::scalar_index`] as an offset into memory: on 64 bits, so that a loop steps by addresses.
    pub fn offset_index(&self, axis: AxisId) -> TokenStream {
        let (begin, position) = (names::begin(axis), names::position(axis));
        if let AxisKind::Whole { .. } = self.kernel.axes[axis].kind {
            return quote!(#position as isize);
        }
        quote!((#begin as isize + #position as isize))
    }

    /// A value as an operand: in a lane loop always a vector.
    pub fn operand(&self, value: ValueId, at: At<'_>) -> TokenStream {
        let plain = self.plain(value, at);
        match at {
            At::Lanes(..) if !self.is_vector(value, at) => self.splat(plain, self.elem(value), at),
            At::Lanes(..) | At::Scalar => plain,
        }
    }

    pub fn splat(&self, scalar: TokenStream, elem: Elem, at: At<'_>) -> TokenStream {
        let (lane, set, private) = (self.scalar(elem), self.set(at), &self.private);
        match (self.lane(elem), at) {
            (Lane::Generic(_), At::Lanes(..)) => {
                quote!(#private::cpu::splat::<#set, #lane>(#private::simd::Vector::lane(#scalar, 0)))
            }
            (_, At::Scalar) => scalar,
            (_, At::Lanes(..)) => quote!(#private::cpu::splat::<#set, #lane>(#scalar)),
        }
    }

    /// The expression that computes a value.
    pub fn compute(&self, value: ValueId, at: At<'_>) -> TokenStream {
        let private = &self.private;
        let simd = quote!(#private::simd);
        let operand = |value: &ValueId| self.operand(*value, at);
        if let At::Lanes(_, lanes @ LaneLoop { in_window: Some(exponential), .. }) = at
            && exponential.value == value
        {
            let (set, window, of) = (self.set(at), names::plain("window"), operand(&exponential.of));
            let sum = self.accumulator(exponential.sum, lanes);
            return quote!(#window.add::<#set>(#sum, #of));
        }
        match &self.kernel.values[value].op {
            Op::Read(var) => self.read_variable(*var, at),
            Op::Broadcast(of) => operand(of),
            Op::Unary(op, of) => {
                let family = self.exponential(value).unwrap_or_else(|| unary(*op));
                let (path, of) = (family.path(self.elem(*of), &simd), operand(of));
                quote!(#path(#of))
            }
            Op::Binary(op, lhs, rhs) => {
                if let (BinaryOp::Div, Lane::F32, At::Lanes(..)) = (op, self.lane(self.elem(value)), at)
                    && self.is_vector(*lhs, at)
                    && !self.is_vector(*rhs, at)
                {
                    // One divisor for all lanes.
                    let (lhs, rhs, set) = (operand(lhs), self.plain(*rhs, at), self.set(at));
                    return quote!(#private::cpu::divide_by::<#set>(#lhs, #rhs));
                }
                let family = self.exponential(value).unwrap_or_else(|| binary(*op));
                let path = family.path(self.elem(*lhs), &simd);
                let (lhs, rhs) = (operand(lhs), operand(rhs));
                quote!(#path(#lhs, #rhs))
            }
            Op::Compare(op, lhs, rhs) => {
                let (name, lhs, rhs) = (compare(*op), operand(lhs), operand(rhs));
                quote!(#simd::Vector::#name(#lhs, #rhs))
            }
            Op::Select(condition, then, otherwise) => {
                let (condition, then, otherwise) = (operand(condition), operand(then), operand(otherwise));
                quote!(#simd::Vector::select(#condition, #then, #otherwise))
            }
            Op::Cast(of) => self.cast(operand(of), self.elem(*of), self.elem(value), at),
            Op::Call(callee, args) => self.call(callee, args, at),
            Op::Load { .. } => self.load(value, at),
            Op::Literal(_)
            | Op::Dim(_)
            | Op::Param(_)
            | Op::Const(_)
            | Op::Each(_)
            | Op::AxisIndex(_)
            | Op::AxisBegin(_)
            | Op::AxisEnd(_)
            | Op::AxisLen(_) => self.plain(value, at),
            // Loops and `dot` nodes compute these.
            Op::Reduce(..) | Op::Fold(_) | Op::Dot(..) => {
                let fault = "internal fault of tilewright: a reduction outside its loop";
                quote!(::core::compile_error!(#fault))
            }
        }
    }

    /// 0 as a scalar.
    pub fn zero(&self, elem: Elem) -> TokenStream {
        let (private, element) = (&self.private, self.element(elem));
        quote!(#private::cpu::zero::<#private::simd::One, #element>())
    }

    /// Whether nodes of a lane loop compute functions of many instructions.
    pub fn are_heavy(&self, nodes: &[Node]) -> bool {
        let is_function = |value: &ValueId| is_heavy(&self.kernel.values[*value].op);
        let mut found = false;
        each_node(nodes, &mut |node| {
            if let Node::Compute { value, .. } = node {
                found |= is_function(value);
            }
            if let Node::Accumulate { value, .. } = node
                && let Op::Fold(fold) = &self.kernel.values[*value].op
            {
                found |= fold.body.iter().any(is_function);
            }
        });
        found
    }

    /// How to compute an exponential of what is not above 0.
    fn exponential(&self, value: ValueId) -> Option<Family> {
        let (of, peak) = exponent(self.kernel, value)?;
        let takes_peak = matches!(self.kernel.values[value].op, Op::Binary(..));
        let is_at_most = is_at_most(self.kernel, of, peak);
        is_at_most.then(|| match (takes_peak, is_term(self.kernel, value)) {
            (false, false) => Family::Floats("exp_down"),
            (false, true) => Family::Floats("exp_term"),
            (true, false) => Family::Floats("exp_below"),
            (true, true) => Family::Floats("exp_sub_term"),
        })
    }

    fn call(&self, callee: &Callee, args: &[ValueId], at: At<'_>) -> TokenStream {
        let (private, set) = (&self.private, self.set(at));
        let types = args.iter().map(|arg| self.scalar(self.elem(*arg)));
        let operands = args.iter().map(|arg| self.operand(*arg, at));
        let function = match callee {
            Callee::Path(path) => quote!(#path),
            Callee::Param(id) => {
                let name = &self.kernel.functions[*id].name;
                quote!(#name)
            }
        };
        quote!(<#function as #private::DeviceFn<(#(#types,)*)>>::vector::<#set>((#(#operands,)*)))
    }

    /// To nearest even; float to integer saturates; integers wrap.
    pub fn cast(&self, of: TokenStream, from: Elem, to: Elem, at: At<'_>) -> TokenStream {
        if from == to {
            return of;
        }
        let private = &self.private;
        let (source, target, set) = (self.ty(from, at), self.ty(to, at), self.set(at));
        let mut cast = of;
        if self.lane(from) != self.lane(to) {
            cast = match to {
                Elem::F16 | Elem::BF16 | Elem::F8E4M3 | Elem::F8E5M2 | Elem::Param(_) => {
                    let (element, scalar) = (self.element(to), self.scalar(from));
                    quote!(#private::cpu::convert_to_float::<#set, #element, #scalar>(#cast))
                }
                Elem::F32
                | Elem::F64
                | Elem::I8
                | Elem::U8
                | Elem::I16
                | Elem::U16
                | Elem::I32
                | Elem::U32
                | Elem::I64
                | Elem::Bool => quote!(#private::cpu::convert::<#source, #target>(#cast)),
            };
        }
        let is_float = matches!(self.lane(from), Lane::F32 | Lane::F64);
        let element = self.element(to);
        match to {
            Elem::I8 | Elem::U8 | Elem::I16 | Elem::U16 if is_float => {
                let (low, high) = (self.extreme(to, true), self.extreme(to, false));
                quote!(#private::cpu::narrow::<#target>(#cast, #low, #high))
            }
            Elem::I8
            | Elem::U8
            | Elem::I16
            | Elem::U16
            | Elem::F16
            | Elem::BF16
            | Elem::F8E4M3
            | Elem::F8E5M2
            | Elem::Param(_) => {
                quote!(<#element as #private::Element>::round::<#set>(#cast))
            }
            Elem::F32 | Elem::F64 | Elem::I32 | Elem::U32 | Elem::I64 | Elem::Bool => cast,
        }
    }

    /// A closure of `fold` on two operands.
    pub fn fold_step(&self, fold: &Fold, lhs: TokenStream, rhs: TokenStream, at: At<'_>) -> TokenStream {
        let inner: Vec<ValueId> = fold.body.iter().copied().chain([fold.lhs, fold.rhs]).collect();
        if let At::Lanes(_, lanes) = at {
            lanes.closure.replace(inner.clone());
        }
        self.closure.replace(vec![fold.lhs, fold.rhs]);
        let (left, right) = (names::value(fold.lhs), names::value(fold.rhs));
        let lets =
            fold.body.iter().filter(|value| !tilewright_compiler::schedule::is_leaf(self.kernel, **value));
        let lets: Vec<TokenStream> = lets
            .map(|value| {
                let (name, compute) = (names::value(*value), self.compute(*value, at));
                quote!(let #name = #compute;)
            })
            .collect();
        let result = self.operand(fold.result, at);
        self.closure.replace(Vec::new());
        if let At::Lanes(_, lanes) = at {
            lanes.closure.replace(Vec::new());
        }
        quote!({ let (#left, #right) = (#lhs, #rhs); #(#lets)* #result })
    }
}

/// Whether an operation is a function of many instructions.
fn is_heavy(op: &Op) -> bool {
    matches!(op, Op::Call(..))
        || matches!(op, Op::Binary(BinaryOp::Pow | BinaryOp::ExpSub | BinaryOp::Rem, ..))
        || matches!(op, Op::Unary(op, _) if matches!(unary(*op), Family::Floats(_)))
}

/// Which trait has an operation.
enum Family {
    Any(&'static str),
    Bits(&'static str),
    Floats(&'static str),
    Integers(&'static str),
}

impl Family {
    fn path(self, elem: Elem, simd: &TokenStream) -> TokenStream {
        let (family, name) = match self {
            Family::Any(name) => ("Vector", name),
            Family::Bits(name) if elem == Elem::Bool => ("Masks", name),
            Family::Bits(name) | Family::Integers(name) => ("Integers", name),
            Family::Floats(name) => ("Floats", name),
        };
        let (family, name) = (names::plain(family), names::plain(name));
        quote!(#simd::#family::#name)
    }
}

fn unary(op: UnaryOp) -> Family {
    match op {
        UnaryOp::Neg => Family::Any("neg"),
        UnaryOp::Abs => Family::Any("abs"),
        UnaryOp::Not => Family::Bits("not"),
        UnaryOp::Floor => Family::Floats("floor"),
        UnaryOp::Ceil => Family::Floats("ceil"),
        UnaryOp::Round => Family::Floats("round"),
        UnaryOp::Trunc => Family::Floats("trunc"),
        UnaryOp::Sqrt => Family::Floats("sqrt"),
        UnaryOp::Rsqrt => Family::Floats("rsqrt"),
        UnaryOp::Recip => Family::Floats("recip"),
        UnaryOp::Exp => Family::Floats("exp"),
        UnaryOp::Exp2 => Family::Floats("exp2"),
        UnaryOp::Ln => Family::Floats("ln"),
        UnaryOp::Log2 => Family::Floats("log2"),
        UnaryOp::Sin => Family::Floats("sin"),
        UnaryOp::Cos => Family::Floats("cos"),
        UnaryOp::Tanh => Family::Floats("tanh"),
        UnaryOp::Erf => Family::Floats("erf"),
        UnaryOp::Sigmoid => Family::Floats("sigmoid"),
        UnaryOp::Relu => Family::Floats("relu"),
        UnaryOp::Gelu => Family::Floats("gelu"),
        UnaryOp::GeluTanh => Family::Floats("gelu_tanh"),
        UnaryOp::Silu => Family::Floats("silu"),
    }
}

fn binary(op: BinaryOp) -> Family {
    match op {
        BinaryOp::Add => Family::Any("add"),
        BinaryOp::Sub => Family::Any("sub"),
        BinaryOp::Mul => Family::Any("mul"),
        BinaryOp::Div => Family::Any("div"),
        BinaryOp::Rem => Family::Any("rem"),
        BinaryOp::Max => Family::Any("max"),
        BinaryOp::Min => Family::Any("min"),
        BinaryOp::Pow => Family::Floats("pow"),
        BinaryOp::ExpSub => Family::Floats("exp_sub"),
        BinaryOp::And => Family::Bits("and"),
        BinaryOp::Or => Family::Bits("or"),
        BinaryOp::Xor => Family::Bits("xor"),
        BinaryOp::Shl => Family::Integers("shl"),
        BinaryOp::Shr => Family::Integers("shr"),
    }
}

fn compare(op: CompareOp) -> Ident {
    names::plain(match op {
        CompareOp::Eq => "eq",
        CompareOp::Ne => "ne",
        CompareOp::Lt => "lt",
        CompareOp::Le => "le",
        CompareOp::Gt => "gt",
        CompareOp::Ge => "ge",
    })
}
