//! The nodes of a schedule, and the function around them.

use super::reduce::UNROLL;
use super::values::{At, LaneLoop};
use super::{Emitter, names};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use tilewright_compiler::ir::{AxisId, AxisKind, DimId, ParamKind, ValueId};
use tilewright_compiler::schedule::{Node, Reduction, Refusal};

impl Emitter<'_> {
    /// What one program does.
    pub fn body(&self) -> Result<TokenStream, Refusal> {
        let private = &self.private;
        let (parameters, arguments) = self.generics();
        let locals = self.locals();
        let nodes = self.nodes(&self.schedule.body, At::Scalar)?;
        let stream = names::plain("stream");
        let settle = (!self.streamed().is_empty())
            .then(|| quote!(if #stream.light { <__S as #private::simd::Memory>::settle(); }));
        Ok(quote! {
            #[inline(always)]
            #[allow(unused, unused_labels, clippy::all, reason = "written by a macro")]
            unsafe fn body<__S: #private::simd::Simd, #parameters>(
                args: &Args<#arguments>,
                program: &mut #private::Program<'_>,
            ) {
                // SAFETY: `tilewright::private::cpu` says why: every index is in range by construction
                // or checked, and the launch sized the workspace for these buffers.
                unsafe {
                    #locals
                    #nodes
                    #settle
                }
            }
        })
    }

    /// Arguments, the program's block of the grid, buffers and variables.
    fn locals(&self) -> TokenStream {
        let kernel = self.kernel;
        let mut tokens = TokenStream::new();
        let fields = self.fields();
        tokens.extend(fields.iter().map(|(name, _)| quote!(let #name = args.#name;)));
        let (faults, stream) = (names::plain("faults"), names::plain("stream"));
        tokens.extend(quote!(let #faults = program.faults; let #stream = args.stream;));
        for (axis, info) in kernel.axes.iter() {
            let (begin, end) = (names::begin(axis), names::end(axis));
            if let AxisKind::Whole { dim } = info.kind {
                let dim = names::dim(dim);
                tokens.extend(quote!(let (#begin, #end) = (0i32, #dim);));
            }
            if let Some(at) = self.schedule.grid.iter().position(|a| *a == axis) {
                tokens.extend(quote!(let (#begin, #end) = (program.begin[#at], program.end[#at]);));
            }
        }
        for (at, buffer) in self.schedule.buffers.iter().enumerate() {
            let id = tilewright_compiler::schedule::BufferId(at);
            let (name, stored) = (names::buffer(id), self.stored(buffer.elem));
            let own = quote!(program.workspace.add(args.slots[#at]).cast::<#stored>());
            tokens.extend(match self.output(id) {
                Some(output) => self.output_locals(output, own),
                None => quote!(let #name = #own;),
            });
            if let Some(elem) = buffer.extreme_of {
                let (extremes, stored) = (names::extremes(id), self.stored(elem));
                tokens.extend(
                    quote!(let #extremes = program.workspace.add(args.extremes[#at]).cast::<#stored>();),
                );
            }
        }
        for (var, info) in kernel.vars.iter() {
            if self.schedule.variables[var.at()].is_none() {
                let (name, ty) = (names::var(var), self.ty(info.ty.elem, At::Scalar));
                let zero = self.zero(info.ty.elem);
                tokens.extend(quote!(let mut #name: #ty = #zero;));
            }
        }
        tokens
    }

    /// The fields of `Args` that a program names: views, scalars, dimensions, blocks, room.
    pub fn fields(&self) -> Vec<(proc_macro2::Ident, TokenStream)> {
        let (kernel, private) = (self.kernel, &self.private);
        let mut fields = Vec::new();
        for (id, param) in kernel.params.iter() {
            let ty = match &param.kind {
                ParamKind::Tensor { elem, .. } => {
                    let element = self.element(*elem);
                    quote!(#private::View<#element>)
                }
                ParamKind::Scalar { elem, .. } => self.ty(*elem, At::Scalar),
            };
            fields.push((names::param(id), ty));
        }
        fields.extend(kernel.dims.iter().map(|(id, _)| (names::dim(id), quote!(i32))));
        for (axis, info) in kernel.axes.iter() {
            fields.push((names::room(axis), quote!(usize)));
            if let AxisKind::Tile { .. } = info.kind {
                fields.push((names::block(axis), quote!(i32)));
            }
        }
        fields
    }

    pub fn nodes(&self, nodes: &[Node], at: At<'_>) -> Result<TokenStream, Refusal> {
        nodes.iter().map(|node| self.node(node, at)).collect()
    }

    pub fn node(&self, node: &Node, at: At<'_>) -> Result<TokenStream, Refusal> {
        Ok(match node {
            Node::Compute { value, keep } => {
                let (compute, name) = (self.compute(*value, at), names::value(*value));
                let keep = keep.map(|buffer| self.write_buffer(buffer, quote!(#name), at));
                let ty = self.ty(self.elem(*value), at);
                quote!(let #name: #ty = #compute; #keep)
            }
            Node::Keep { value, buffer } => self.write_buffer(*buffer, self.operand(*value, at), at),
            Node::Fetch { value, buffer } => self.let_value(*value, self.read_buffer(*buffer, at), at),
            Node::Accumulate { value, state } => self.step(*value, *state, at),
            Node::Assign { var, value } => {
                let operand = self.operand(*value, at);
                match self.schedule.variables[var.at()] {
                    Some(buffer) => self.write_buffer(buffer, operand, at),
                    None => {
                        let name = names::var(*var);
                        quote!(#name = #operand;)
                    }
                }
            }
            Node::Store { tensor, index, value } => self.store(*tensor, index, *value, at),
            Node::Loop { axis, lanes: true, reductions, body } => {
                self.lane_loop(*axis, reductions, body, LaneLoop::default())?
            }
            Node::Loop { axis, lanes: false, reductions, body } => self.row_loop(*axis, reductions, body)?,
            Node::Dot(dot) => self.dot(dot)?,
            Node::Sequential { axis, first, body } => self.sequential(*axis, *first, body)?,
            Node::Shortcut { value, condition, known, otherwise } => {
                let otherwise = self.node(otherwise, at)?;
                self.shortcut(*value, [*condition, *known], &otherwise)
            }
            Node::If { condition, then, otherwise } => {
                let condition = self.plain(*condition, At::Scalar);
                let (then, otherwise) = (self.nodes(then, at)?, self.nodes(otherwise, at)?);
                quote!(if #condition { #then } else { #otherwise })
            }
            Node::Sum { into, body, clear } => {
                let fresh = names::fresh(*into);
                let (body, clear) = (self.nodes(body, at)?, self.nodes(clear, at)?);
                quote!(let mut #fresh = true; #body if #fresh { #clear })
            }
            Node::Copy { buffer: _, body } => {
                let body = self.nodes(body, at)?;
                quote!(if !args.direct { #body })
            }
            Node::Break => {
                let label = self.labels.borrow().last().cloned();
                quote!(break #label;)
            }
            Node::Continue => quote!(continue;),
        })
    }

    /// A reduction that is known if a condition holds; `otherwise` finds it.
    pub fn shortcut(
        &self,
        value: ValueId,
        [condition, known]: [ValueId; 2],
        otherwise: &TokenStream,
    ) -> TokenStream {
        let name = names::value(value);
        let [condition, known] = [condition, known].map(|value| self.plain(value, At::Scalar));
        let found = quote!(if #condition { #known } else { #otherwise #name });
        self.let_value(value, found, At::Scalar)
    }

    fn let_value(&self, value: ValueId, tokens: TokenStream, at: At<'_>) -> TokenStream {
        let (name, ty) = (names::value(value), self.ty(self.elem(value), at));
        quote!(let #name: #ty = #tokens;)
    }

    pub fn extent(&self, axis: AxisId) -> TokenStream {
        let (begin, end) = (names::begin(axis), names::end(axis));
        quote!((#end - #begin) as usize)
    }

    pub fn lane_loop(
        &self,
        axis: AxisId,
        reductions: &[Reduction],
        body: &[Node],
        info: LaneLoop,
    ) -> Result<TokenStream, Refusal> {
        let private = &self.private;
        let rows = self.open.borrow().last().copied();
        let info = LaneLoop {
            is_heavy: self.are_heavy(body),
            pieces: self.pieces(rows, axis, body),
            repeats: self.repeats(body),
            ..info
        };
        let at = At::Lanes(axis, &info);
        self.open.borrow_mut().push(axis);
        let one = self.nodes(body, at);
        let mut contiguous = info.contiguous.borrow().clone();
        contiguous.extend(info.beside.contiguous.iter().cloned());
        let takes_four = self.takes_four(body, at) && !info.beside.writes;
        let four = takes_four.then(|| self.in_fours(axis, body, &info)).transpose();
        self.open.borrow_mut().pop();
        let (one, four) = (one?, four?);
        // Cheap reductions wait for their accumulator: four at a time hide that.
        let unrolls = info.has_reduction.get() && !info.is_heavy && !info.has_one_slot;
        let n_slots = if unrolls || takes_four { UNROLL } else { 1 };
        let unroll = if unrolls { UNROLL } else { 1 };
        let slots = |r: &Reduction| if self.is_beside_window(r.value, &info) { 1 } else { n_slots };
        let starts = reductions.iter().map(|r| self.start(r, at, slots(r)));
        let finishes = reductions.iter().map(|r| self.finish(r, at, slots(r)));
        let beside = &info.beside.tokens;
        let (position, extent) = (names::position(axis), self.extent(axis));
        let [n, slot, unit, done] = ["n", "slot", "unit", "done"].map(names::plain);
        let is_heavy = info.is_heavy;
        let ask_for_pieces = self.ask_for_pieces(&info.pieces, rows, axis);
        let four = four.map_or_else(|| quote!(0), |four| quote!(if #unit { #four } else { 0 }));
        Ok(quote! {
            #(#starts)*
            let #unit = true #(&& #contiguous)*;
            #ask_for_pieces
            let #done = #four;
            #private::cpu::lanes::<__S, #unroll, #is_heavy>(
                #done,
                #extent,
                #unit,
                #[inline(always)]
                |#position: usize, #n: usize, #slot: usize, #unit: bool| { #beside #one },
            );
            #(#finishes)*
        })
    }

    fn sequential(&self, axis: AxisId, first: bool, body: &[Node]) -> Result<TokenStream, Refusal> {
        let private = &self.private;
        let label = syn::Lifetime::new(&format!("'l{}", axis.at()), Span::mixed_site());
        if first {
            self.labels.borrow_mut().push(label.clone());
        }
        let body = self.nodes(body, At::Scalar);
        if first {
            self.labels.borrow_mut().pop();
        }
        let (body, begin, end) = (body?, names::begin(axis), names::end(axis));
        Ok(match &self.kernel.axes[axis].kind {
            AxisKind::Tile { dim, begin: from, end: to, .. } => {
                let (from, to) = self.bounds(*from, *to, *dim);
                let (dim, block) = (names::dim(*dim), names::block(axis));
                quote! {
                    #label: for (#begin, #end) in #private::cpu::blocks(#from, #to, #dim, #block) { #body }
                }
            }
            AxisKind::Each { dim, begin: from, end: to } => {
                let (from, to) = self.bounds(*from, *to, *dim);
                let dim = names::dim(*dim);
                quote! {
                    #label: for (#begin, #end) in #private::cpu::blocks(#from, #to, #dim, 1) { #body }
                }
            }
            AxisKind::Unroll { begin: from, end: to } => quote!(#label: for #begin in #from..#to { #body }),
            AxisKind::Whole { dim } => {
                let dim = names::dim(*dim);
                quote!(#label: for #begin in 0..#dim { #body })
            }
        })
    }

    /// First index and the one past the last, as scalars.
    pub fn bounds(
        &self,
        begin: Option<ValueId>,
        end: Option<ValueId>,
        dim: DimId,
    ) -> (TokenStream, TokenStream) {
        let begin = begin.map_or_else(|| quote!(0i32), |value| self.plain(value, At::Scalar));
        let dim = names::dim(dim);
        let end = end.map_or_else(|| quote!(#dim), |value| self.plain(value, At::Scalar));
        (begin, end)
    }
}
