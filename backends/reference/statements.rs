//! Statements: what stands where.

use super::names::Names;
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use std::collections::HashSet;
use tilewright_compiler::ir::{AxisId, AxisKind, Id, Kernel, Op, Stmt, ValueId, VarId};
use tilewright_compiler::walk::each_statement;

/// Writes the text of one kernel.
#[derive(Clone)]
pub struct Emitter<'k> {
    /// The kernel.
    pub kernel: &'k Kernel,
    /// What things are called.
    pub names: &'k Names<'k>,
    /// The values that have a local here; others are computed where they are used.
    computed: HashSet<ValueId>,
    /// Those of them that are references: the parameters of a fold's closure.
    borrowed: HashSet<ValueId>,
    /// The variables that are declared here.
    declared: HashSet<VarId>,
    /// The loops around, innermost last: what `break` leaves.
    labels: Vec<AxisId>,
}

impl<'k> Emitter<'k> {
    /// At the beginning of a kernel.
    pub fn new(kernel: &'k Kernel, names: &'k Names<'k>) -> Emitter<'k> {
        Emitter {
            kernel,
            names,
            computed: HashSet::new(),
            borrowed: HashSet::new(),
            declared: HashSet::new(),
            labels: Vec::new(),
        }
    }

    /// A reference to a value's tile.
    pub fn operand(&self, value: ValueId) -> TokenStream {
        let span = self.kernel.values[value].span.resolved_at(Span::mixed_site());
        if self.borrowed.contains(&value) {
            let name = self.names.value(value);
            quote_spanned!(span=> #name)
        } else if self.computed.contains(&value) {
            let name = self.names.value(value);
            quote_spanned!(span=> &#name)
        } else {
            let ty = self.tile(self.kernel.values[value].ty.elem);
            let expression = self.expression(value);
            quote_spanned!(span=> &{ let value: #ty = #expression; value })
        }
    }

    fn tile(&self, elem: tilewright_compiler::ir::Elem) -> TokenStream {
        let (reference, elem) = (&self.names.reference, self.names.elem(elem));
        quote_here!(#reference::Tile<#elem>)
    }

    /// Inside a closure with parameters.
    pub fn inside(&self, parameters: &[ValueId]) -> Emitter<'k> {
        let mut inner = self.clone();
        inner.borrowed.extend(parameters);
        inner
    }

    /// A `let` for each value, and the place behind them.
    pub fn lets(mut self, values: &[ValueId]) -> (TokenStream, Emitter<'k>) {
        let lets = values.iter().map(|value| self.value(*value)).collect();
        (lets, self)
    }

    fn value(&mut self, id: ValueId) -> TokenStream {
        let value = &self.kernel.values[id];
        if self.borrowed.contains(&id) || is_leaf(&value.op) {
            return TokenStream::new();
        }
        let span = value.span.resolved_at(Span::mixed_site());
        let (name, ty, expression) = (self.names.value(id), self.tile(value.ty.elem), self.expression(id));
        self.computed.insert(id);
        quote_spanned!(span=> let #name: #ty = #expression;)
    }

    /// Statements in order; what they define ends with them.
    pub fn block(&mut self, block: &[Stmt]) -> TokenStream {
        let outside = (self.computed.clone(), self.declared.clone());
        let declarations: TokenStream = self.declarations(block).collect();
        let stmts: TokenStream = block.iter().map(|stmt| self.statement(stmt)).collect();
        (self.computed, self.declared) = outside;
        quote_here!(#declarations #stmts)
    }

    /// As [`Self::block`], but what is defined stays: for the statements before the grid.
    pub fn prologue(&mut self, block: &[Stmt]) -> TokenStream {
        let declarations: TokenStream = self.declarations(block).collect();
        let stmts: TokenStream = block.iter().map(|stmt| self.statement(stmt)).collect();
        quote_here!(#declarations #stmts)
    }

    /// Variables that several inner blocks share are declared before them.
    fn declarations(&mut self, block: &[Stmt]) -> impl Iterator<Item = TokenStream> {
        let mut shared = Vec::new();
        for at in 0..self.kernel.vars.len() {
            let var = VarId::new(at);
            let users = || block.iter().filter(|stmt| mentions(self.kernel, stmt, var));
            let is_declaration = matches!(users().next(), Some(Stmt::Assign(first, _)) if *first == var);
            if !self.declared.contains(&var) && !is_declaration && users().count() > 1 {
                shared.push(var);
            }
        }
        self.declared.extend(&shared);
        let names: Vec<Ident> = shared.iter().map(|var| self.names.var(*var)).collect();
        let types: Vec<TokenStream> =
            shared.iter().map(|var| self.tile(self.kernel.vars[*var].ty.elem)).collect();
        names.into_iter().zip(types).map(|(name, ty)| quote_here!(let mut #name: #ty;))
    }

    fn statement(&mut self, stmt: &Stmt) -> TokenStream {
        match stmt {
            Stmt::Let(value) => self.value(*value),
            Stmt::Assign(var, value) => self.assign(*var, *value),
            Stmt::Store { tensor, index, value, span } => {
                let (tensor, index, value) =
                    (self.names.param(*tensor), self.index(index), self.operand(*value));
                let span = span.resolved_at(Span::mixed_site());
                quote_spanned!(span=> #tensor.store(program, #index, #value);)
            }
            Stmt::For { axes, body, .. } => {
                let outermost = axes.first().copied();
                self.labels.extend(outermost);
                let text = self.nest(axes, body);
                self.labels.pop();
                text
            }
            Stmt::If { condition, then, otherwise } => {
                let condition = self.operand(*condition);
                let (then, otherwise) = (self.block(then), self.block(otherwise));
                quote_here!(if (#condition).get() { #then } else { #otherwise })
            }
            Stmt::Break => {
                let label = self.labels.last().map(|axis| label(*axis)).into_iter();
                quote_here!(break #(#label)*;)
            }
            Stmt::Continue => quote_here!(continue;),
            Stmt::Assert { condition, text, span } => {
                let condition = self.operand(*condition);
                let span = span.resolved_at(Span::mixed_site());
                quote_spanned!(span=> launch.assert((#condition).get(), #text)?;)
            }
        }
    }

    fn assign(&mut self, var: VarId, value: ValueId) -> TokenStream {
        let (name, tile) = (self.names.var(var), self.operand(value));
        let ty = self.tile(self.kernel.vars[var].ty.elem);
        let span = self.kernel.values[value].span.resolved_at(Span::mixed_site());
        if self.declared.insert(var) {
            quote_spanned!(span=> let mut #name: #ty = ::core::clone::Clone::clone(#tile);)
        } else {
            quote_spanned!(span=> #name = ::core::clone::Clone::clone(#tile);)
        }
    }

    /// Sequential loops, the first outermost.
    fn nest(&mut self, axes: &[AxisId], body: &[Stmt]) -> TokenStream {
        let Some((axis, inner)) = axes.split_first() else { return self.block(body) };
        let (span, bounds) = self.extent(*axis);
        let inner = self.nest(inner, body);
        let (local, label) = (self.names.axis(*axis), label(*axis));
        quote_here!(#label: for #local in program.blocks(#span, #bounds) { #inner })
    }

    /// A loop of the grid.
    pub fn grid_loop(&self, axis: AxisId) -> TokenStream {
        let reference = &self.names.reference;
        let (span, bounds) = self.extent(axis);
        quote_here!(#reference::GridLoop { span: #span, block: #bounds })
    }

    /// The span that a loop runs over, and the bounds of its blocks.
    fn extent(&self, axis: AxisId) -> (TokenStream, TokenStream) {
        let (reference, id) = (&self.names.reference, axis.0);
        let bound = |bound: Option<ValueId>| {
            bound.map(|value| {
                let value = self.operand(value);
                quote_here!((#value).get())
            })
        };
        match &self.kernel.axes[axis].kind {
            AxisKind::Tile { dim, begin, end, .. } | AxisKind::Each { dim, begin, end } => {
                let dim = self.names.dim(*dim);
                let begin = bound(*begin).unwrap_or_else(|| quote_here!(0));
                let end = bound(*end).unwrap_or_else(|| quote_here!(#dim));
                let (min, max) = self.block_bounds(axis);
                (quote_here!(#reference::clamped(#id, #begin, #end, #dim)), quote_here!((#min, #max)))
            }
            AxisKind::Unroll { begin, end } => {
                (quote_here!(#reference::Span { id: #id, begin: #begin, end: #end }), quote_here!((1, 1)))
            }
            AxisKind::Whole { dim } => {
                let dim = self.names.dim(*dim);
                (quote_here!(#reference::Span::whole(#id, #dim)), quote_here!((i32::MAX, i32::MAX)))
            }
        }
    }

    fn block_bounds(&self, axis: AxisId) -> (i32, i32) {
        match &self.kernel.axes[axis].kind {
            AxisKind::Tile { block, .. } => (block.min, block.max),
            AxisKind::Each { .. } | AxisKind::Unroll { .. } | AxisKind::Whole { .. } => (1, 1),
        }
    }
}

fn label(axis: AxisId) -> TokenStream {
    let label = syn::Lifetime::new(&format!("'loop_{}", axis.0), Span::mixed_site());
    quote_here!(#label)
}

/// Leaves are written where they are used.
fn is_leaf(op: &Op) -> bool {
    match op {
        Op::Literal(_)
        | Op::Dim(_)
        | Op::Param(_)
        | Op::Const(_)
        | Op::Each(_)
        | Op::AxisIndex(_)
        | Op::AxisBegin(_)
        | Op::AxisEnd(_)
        | Op::AxisLen(_) => true,
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
        | Op::Load { .. } => false,
    }
}

/// Whether a statement, or one in it, assigns or reads a variable.
fn mentions(kernel: &Kernel, stmt: &Stmt, var: VarId) -> bool {
    let block = std::slice::from_ref(stmt).to_vec();
    let mut found = false;
    each_statement(&block, &mut |stmt, _| match stmt {
        Stmt::Assign(assigned, _) => found |= *assigned == var,
        Stmt::Let(value) => found |= matches!(kernel.values[*value].op, Op::Read(read) if read == var),
        Stmt::Store { .. }
        | Stmt::For { .. }
        | Stmt::If { .. }
        | Stmt::Break
        | Stmt::Continue
        | Stmt::Assert { .. } => {}
    });
    found
}
