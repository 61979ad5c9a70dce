//! From syn to tile IR: names, axes and element types resolved, every mistake reported.
//!
//! In: the item under `#[kernel]`. Out: an [`ir::Kernel`](crate::ir::Kernel) that satisfies the
//! invariants of `ir.rs`, or diagnostics. What was wrong becomes `Thing::Poison`, which stays silent
//! wherever it is used: one mistake is one message.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "syn's enums are open: all that the language lacks is refused in one arm"
)]

mod arithmetic;
mod calls;
mod control;
mod convert;
mod device;
mod expression;
mod functions;
mod helpers;
mod index;
mod literal;
mod loops;
mod names;
mod reduce;
mod signature;
mod statement;
#[cfg(test)]
pub(crate) mod tests;
mod types;

pub use device::parse_device;
pub use helpers::Helpers;
pub(crate) use types::elem_name as elem_text;

use crate::diagnostics::Diagnostics;
use crate::ir::{AxisId, AxisKind, DimId, Elem, Kernel, Op, Stmt, Type, Value, ValueId};
use crate::signature::Signature;
use literal::Number;
use names::Scopes;
use proc_macro2::Span;
use std::collections::{HashMap, HashSet};

/// Lowers a kernel. `None` if anything was wrong; `errors` then says what.
/// The signature is there whenever the parameters could be understood, so that callers of a broken
/// kernel still resolve.
pub fn parse_kernel(
    item: &syn::ItemFn,
    helpers: &Helpers,
    errors: &mut Diagnostics,
) -> (Option<Kernel>, Option<Signature>) {
    let before = errors.count();
    let (kernel, signature) = signature::parse_signature(item, errors);
    let mut lowering = Lowering::new(kernel, helpers, errors);
    lowering.bind_signature();
    lowering.poison_params(item);
    lowering.kernel_body(&item.block);
    let kernel = lowering.finish();
    let complete = errors.count() == before;
    if !complete && signature.is_some() {
        crate::check::check_incomplete(&kernel, errors);
    }
    if complete && cfg!(debug_assertions) {
        crate::verify::verify_or_report(&kernel, errors);
    }
    (complete.then_some(kernel), signature)
}

/// What a name is bound to, and what an expression gives.
#[derive(Clone, Debug)]
pub(crate) enum Thing {
    /// A value with a type.
    Value(ValueId),
    /// A literal, or arithmetic on literals, that takes the type of what it meets.
    Number(Number, Span),
    /// `.cast()`: takes the element type of what it meets.
    Casting(ValueId, Span),
    /// A `let mut`.
    Var(crate::ir::VarId),
    /// The axis of a `tile` loop, or a whole dimension passed to a helper.
    Axis(AxisId),
    /// The index of an `each` or `unroll` loop.
    Each(AxisId),
    /// A dimension: an integer, or the whole dimension where an axis is wanted.
    Dim(DimId),
    /// A tensor parameter.
    Tensor(crate::ir::ParamId),
    /// `F: Fn(f32) -> f32`.
    Function(crate::ir::FunctionId),
    /// `(a, b)`.
    Tuple(Vec<Thing>),
    /// What a block without a last expression gives.
    Unit,
    /// Something that was wrong and has been reported.
    Poison,
}

/// Where in the program the lowering stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the loops.
    Outside,
    /// In the grid's body, in this many sequential loops.
    Inside { loops: usize },
    /// Behind the grid loop.
    Behind,
    /// In a `#[device]` function or in a closure: scalars only.
    Scalar,
}

/// The state of lowering one kernel.
pub(crate) struct Lowering<'a> {
    kernel: Kernel,
    helpers: &'a Helpers,
    errors: &'a mut Diagnostics,
    scopes: Scopes,
    /// The blocks being built, innermost last. Never empty.
    blocks: Vec<Vec<Stmt>>,
    place: Place,
    /// The assignment that is being lowered, as it was written.
    saying: Option<String>,
    whole: HashMap<DimId, AxisId>,
    keys: HashSet<String>,
    /// Helpers being inlined, innermost last.
    inlining: Vec<String>,
    /// What the generics of these helpers stand for.
    elem_aliases: Vec<HashMap<String, Elem>>,
    /// Where each axis was introduced, in words: `for m in tile(M)`.
    origins: HashMap<AxisId, String>,
}

impl<'a> Lowering<'a> {
    fn new(kernel: Kernel, helpers: &'a Helpers, errors: &'a mut Diagnostics) -> Self {
        Lowering {
            kernel,
            helpers,
            errors,
            scopes: Scopes::default(),
            blocks: vec![Vec::new()],
            place: Place::Outside,
            saying: None,
            whole: HashMap::new(),
            keys: HashSet::new(),
            inlining: Vec::new(),
            elem_aliases: Vec::new(),
            origins: HashMap::new(),
        }
    }

    fn finish(mut self) -> Kernel {
        self.kernel.body = self.blocks.pop().unwrap_or_default();
        self.kernel
    }

    /// Reports a mistake and gives the poisoned result.
    fn fail(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) -> Thing {
        self.errors.error(span, message, help);
        Thing::Poison
    }

    fn emit(&mut self, stmt: Stmt) {
        if let (Stmt::Assign(_, value) | Stmt::Store { value, .. }, Some(text)) = (&stmt, &self.saying) {
            self.kernel.remarks.values.insert(*value, text.clone());
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(stmt);
        }
    }

    /// Statements that `lower` emits, instead of emitting them here.
    fn in_block<R>(&mut self, lower: impl FnOnce(&mut Self) -> R) -> (R, Vec<Stmt>) {
        self.blocks.push(Vec::new());
        let result = lower(self);
        let block = self.blocks.pop().unwrap_or_default();
        (result, block)
    }

    /// A leaf: a value that needs no place.
    fn leaf(&mut self, op: Op, elem: Elem, span: Span) -> ValueId {
        let ty = Type { elem, axes: crate::ir::AxisSet::default() };
        self.kernel.values.push(Value { op, ty, span })
    }

    /// A value computed here.
    fn push(&mut self, op: Op, ty: Type, span: Span) -> ValueId {
        let tile = !ty.axes.is_empty();
        if tile && self.place == Place::Outside {
            self.fail(
                span,
                "a tile outside the loops: each program computes its own",
                "move this into the outermost `for`",
            );
        }
        let id = self.kernel.values.push(Value { op, ty, span });
        self.emit(Stmt::Let(id));
        id
    }

    fn ty(&self, value: ValueId) -> &Type {
        &self.kernel.values[value].ty
    }

    fn elem(&self, value: ValueId) -> Elem {
        self.kernel.values[value].ty.elem
    }

    fn span(&self, value: ValueId) -> Span {
        self.kernel.values[value].span
    }

    /// The axis of the whole dimension; one for each dimension.
    fn whole_axis(&mut self, dim: DimId) -> AxisId {
        if let Some(axis) = self.whole.get(&dim) {
            return *axis;
        }
        let name = self.kernel.dims[dim].name.clone();
        let key = self.unique_key(&name.to_string());
        let kind = AxisKind::Whole { dim };
        let axis = self.kernel.axes.push(crate::ir::Axis { name, key, kind, grid: false });
        self.whole.insert(dim, axis);
        axis
    }

    fn unique_key(&mut self, name: &str) -> String {
        let numbered = (2..).map(|n| format!("{name}{n}"));
        let mut names = std::iter::once(name.to_string()).chain(numbered);
        // Keys that a config has for every kernel.
        let is_taken =
            |key: &String| ["threads", "stream", "tf32"].contains(&key.as_str()) || self.keys.contains(key);
        let key = names.find(|key| !is_taken(key)).unwrap_or_else(|| name.to_string());
        self.keys.insert(key.clone());
        key
    }

    fn axis_name(&self, axis: AxisId) -> String {
        self.kernel.axes[axis].name.to_string()
    }

    /// `{m, N}`, or `no axes`.
    fn axes_text(&self, axes: &crate::ir::AxisSet) -> String {
        if axes.is_empty() {
            return "no axes".to_string();
        }
        let names: Vec<String> = axes.iter().map(|axis| self.axis_name(axis)).collect();
        format!("{{{}}}", names.join(", "))
    }

    fn dim_name(&self, dim: DimId) -> String {
        self.kernel.dims[dim].name.to_string()
    }

    /// `f32`, or the parameter's name.
    fn elem_name(&self, elem: Elem) -> String {
        types::elem_name(elem, &self.kernel.elements)
    }
}
