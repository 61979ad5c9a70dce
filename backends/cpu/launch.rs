//! The launch: from arguments to running programs.

use super::values::At;
use super::{Emitter, names};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use std::collections::HashSet;
use tilewright_compiler::ir::{AxisKind, Callee, Elem, Index, Op, ParamId, ParamKind, ReduceOp, Stmt};
use tilewright_compiler::schedule::{BufferId, Node, Operand, Refusal, each_node, is_leaf};

impl Emitter<'_> {
    /// What all programs share.
    pub fn args_struct(&self) -> TokenStream {
        let private = &self.private;
        let (parameters, _) = self.generics();
        let types = self.type_parameters();
        let (n, n_packed) = (self.schedule.buffers.len(), self.packs().len());
        let fields = self.fields().into_iter().map(|(name, ty)| quote!(#name: #ty,));
        quote! {
            #[allow(unused, reason = "written by a macro")]
            struct Args<#parameters> {
                isa: #private::InstructionSet,
                slots: [usize; #n],
                extremes: [usize; #n],
                packed: [::core::option::Option<#private::cpu::SharedPacked>; #n_packed],
                stream: #private::Streams,
                direct: bool,
                generics: ::core::marker::PhantomData<fn() -> (#types)>,
                #(#fields)*
            }
        }
    }

    /// Everything after the functions.
    pub fn launch(&self, config: &Ident) -> Result<TokenStream, Refusal> {
        let (kernel, private) = (self.kernel, &self.private);
        let (_, arguments) = self.generics();
        let (meta, tensors, scalars) = (self.meta(), self.launch_tensors(), self.launch_scalars());
        let dims = kernel.dims.iter().map(|(id, _)| {
            let (name, at) = (names::dim(id), id.at());
            quote!(let #name = launch.dim(#at);)
        });
        let asserts = self.asserts();
        let gpu = self.gpu_launch();
        let (blocks, rooms, slots, work) = (self.blocks(), self.rooms(), self.slots(), self.work());
        let fields = self.fields().into_iter().map(|(name, _)| name);
        let grid = self.grid();
        let packs = self.packs().into_iter().map(|pack| pack.launch);
        let (slot_names, extreme_names) = self.slot_names();
        let direct = self.is_direct();
        let streamed = self.streamed().into_iter().map(|id| self.tensor_number(id));
        let stream = names::plain("stream");
        Ok(quote! {
            #meta
            let mut launch = #private::Launch::new(&META, #config)?;
            #tensors
            launch.finish()?;
            #(#dims)*
            #scalars
            #asserts
            #work
            #gpu
            let #stream = launch.streams(&[#(#streamed),*]);
            #blocks
            #rooms
            let direct = #direct;
            let mut slots = <#private::cpu::Slots as ::core::default::Default>::default();
            #slots
            let args = Args::<#arguments> {
                isa: launch.isa(),
                slots: [#(#slot_names),*],
                extremes: [#(#extreme_names),*],
                packed: [#(#packs),*],
                stream: #stream,
                direct,
                generics: ::core::marker::PhantomData,
                #(#fields),*
            };
            let program: unsafe fn(&Args<#arguments>, &mut #private::Program<'_>) = match launch.isa() {
                #private::InstructionSet::Scalar => scalar::<#arguments>,
                #[cfg(target_arch = "x86_64")]
                #private::InstructionSet::Avx2 => avx2::<#arguments>,
                #[cfg(target_arch = "x86_64")]
                #private::InstructionSet::Avx512 => avx512::<#arguments>,
                #[allow(unreachable_patterns, reason = "other targets have no other instruction set")]
                _ => scalar::<#arguments>,
            };
            // SAFETY: the views are those of the tensors given to this launch, which made all lengths
            // agree; the workspace has room for every buffer at these block sizes.
            unsafe { launch.run(&args, &[#(#grid),*], slots.bytes(), program) }
        })
    }

    /// The arguments: our names and the user's.
    pub fn arguments(&self) -> (Vec<Ident>, Vec<&Ident>) {
        self.kernel.params.iter().map(|(id, param)| (names::argument(id), &param.name)).unzip()
    }

    fn meta(&self) -> TokenStream {
        let (kernel, private) = (self.kernel, &self.private);
        let name = kernel.name.to_string();
        let dims = kernel.dims.iter().map(|(_, dim)| dim.name.to_string());
        let in_place = self.in_place();
        let tensors = kernel.params.iter().filter_map(|(id, param)| match &param.kind {
            ParamKind::Tensor { dims, writable, .. } => {
                let name = param.name.to_string();
                let dims = dims.iter().map(|dim| dim.at());
                let in_place = in_place.contains(&id);
                Some(quote!(#private::TensorMeta {
                    name: #name, dims: &[#(#dims),*], writable: #writable, in_place: #in_place }))
            }
            ParamKind::Scalar { .. } => None,
        });
        let axes = self.blocked().into_iter().filter_map(|axis| match &kernel.axes[axis].kind {
            AxisKind::Tile { block, .. } => {
                let (key, min, max) = (&kernel.axes[axis].key, block.min, block.max);
                Some(quote!(#private::AxisMeta { key: #key, min: #min, max: #max }))
            }
            AxisKind::Each { .. } | AxisKind::Unroll { .. } | AxisKind::Whole { .. } => None,
        });
        quote! {
            static META: #private::Meta = #private::Meta {
                kernel: #name,
                dims: &[#(#dims),*],
                tensors: &[#(#tensors),*],
                axes: &[#(#axes),*],
            };
        }
    }

    /// The same launch on a GPU: its text, and the arguments in the order of the text's.
    fn gpu_launch(&self) -> TokenStream {
        let (kernel, private) = (self.original, &self.private);
        let text = match crate::gpu::emit(kernel, private) {
            Ok(text) => text,
            Err(refusal) => {
                let reason = refusal.message;
                return quote!(launch.no_gpu(#reason)?;);
            }
        };
        let descriptor = text.descriptor;
        let kinds = kernel.elements.iter().map(|(_, element)| {
            let name = &element.name;
            quote!(<#name as #private::Element>::KIND)
        });
        let consts = kernel.consts.iter().map(|(_, constant)| {
            let name = &constant.name;
            quote!(#name as i64)
        });
        let arguments = kernel.params.iter().map(|(id, param)| match &param.kind {
            ParamKind::Tensor { .. } => {
                let view = names::param(id);
                quote!(gpu.tensor(&#view);)
            }
            ParamKind::Scalar { elem, .. } => {
                let value = match elem {
                    Elem::I32 | Elem::F32 | Elem::F64 | Elem::I64 | Elem::Bool => names::param(id),
                    Elem::F16
                    | Elem::BF16
                    | Elem::F8E4M3
                    | Elem::F8E5M2
                    | Elem::I8
                    | Elem::U8
                    | Elem::I16
                    | Elem::U16
                    | Elem::U32
                    | Elem::Param(_) => names::argument(id),
                };
                quote!(gpu.scalar(#value);)
            }
        });
        let ranges = self.ranges();
        let functions = text.functions.iter().map(|(callee, types)| {
            let types = types.iter().map(|elem| self.scalar(*elem));
            let function = match callee {
                Callee::Path(path) => quote!(#path),
                Callee::Param(id) => {
                    let name = &kernel.functions[*id].name;
                    quote!(#name)
                }
            };
            quote!(<#function as #private::DeviceFn<(#(#types,)*)>>::GPU)
        });
        quote! {
            static GPU: #private::gpu::Kernel = #descriptor;
            if let ::core::option::Option::Some(mut gpu) = launch.gpu(&GPU, &[#(#kinds),*], &[#(#consts),*], &[#(#functions),*]) {
                #(#arguments)*
                return gpu.run(&[#(#ranges),*]);
            }
        }
    }

    /// First index and end of each grid axis.
    fn ranges(&self) -> Vec<TokenStream> {
        let (kernel, private) = (self.kernel, &self.private);
        let axis = |axis: &tilewright_compiler::ir::AxisId| match &kernel.axes[*axis].kind {
            AxisKind::Tile { dim, begin, end, .. } | AxisKind::Each { dim, begin, end } => {
                let (begin, end) = self.bounds(*begin, *end, *dim);
                let dim = names::dim(*dim);
                quote!(#private::cpu::bound(#begin, #end, #dim))
            }
            AxisKind::Unroll { begin, end } => quote!((#begin, #end)),
            AxisKind::Whole { dim } => {
                let dim = names::dim(*dim);
                quote!((0, #dim))
            }
        };
        self.schedule.grid.iter().map(axis).collect()
    }

    fn launch_tensors(&self) -> TokenStream {
        let tensors = self.kernel.params.iter().filter_map(|(id, param)| match &param.kind {
            ParamKind::Tensor { writable, .. } => {
                let (name, view, at) = (names::argument(id), names::param(id), self.tensor_number(id));
                let method = names::plain(if *writable { "write" } else { "read" });
                Some(quote!(let #view = launch.#method(#at, #name)?;))
            }
            ParamKind::Scalar { .. } => None,
        });
        quote!(#(#tensors)*)
    }

    fn launch_scalars(&self) -> TokenStream {
        let private = &self.private;
        let scalars = self.kernel.params.iter().filter_map(|(id, param)| match &param.kind {
            ParamKind::Scalar { elem, .. } => {
                let (name, local, text) = (names::argument(id), names::param(id), param.name.to_string());
                let value = match elem {
                    Elem::I32 => quote!(launch.int(#text, #name)?),
                    Elem::F32 => quote!(launch.float(#text, #name)?),
                    Elem::F64 => quote!(<f64 as ::core::convert::From<_>>::from(#name)),
                    Elem::I64 => quote!(<i64 as ::core::convert::From<_>>::from(#name)),
                    Elem::Bool => quote!(#name),
                    Elem::F16
                    | Elem::BF16
                    | Elem::F8E4M3
                    | Elem::F8E5M2
                    | Elem::I8
                    | Elem::U8
                    | Elem::I16
                    | Elem::U16
                    | Elem::U32
                    | Elem::Param(_) => quote!(#private::Element::to_lane(#name)),
                };
                Some(quote!(let #local = #value;))
            }
            ParamKind::Tensor { .. } => None,
        });
        quote!(#(#scalars)*)
    }

    /// The scalars before the grid, and what is asserted about them.
    fn asserts(&self) -> TokenStream {
        let kernel = self.kernel;
        let mut tokens = TokenStream::new();
        for stmt in &kernel.body {
            match stmt {
                Stmt::Let(value) if !is_leaf(kernel, *value) => {
                    let (name, compute) = (names::value(*value), self.compute(*value, At::Scalar));
                    let ty = self.ty(self.elem(*value), At::Scalar);
                    tokens.extend(quote!(let #name: #ty = #compute;));
                }
                Stmt::Assert { condition, text, .. } => {
                    let condition = self.plain(*condition, At::Scalar);
                    tokens.extend(quote!(launch.assert(#condition, #text)?;));
                }
                Stmt::Let(_)
                | Stmt::Assign(..)
                | Stmt::Store { .. }
                | Stmt::For { .. }
                | Stmt::If { .. }
                | Stmt::Break
                | Stmt::Continue => {}
            }
        }
        for (_, value) in kernel.values.iter() {
            if let Op::Reduce(op @ (ReduceOp::Argmax | ReduceOp::Argmin), _, axis) = value.op
                && let AxisKind::Whole { dim } = kernel.axes[axis].kind
            {
                let name = if op == ReduceOp::Argmax { "argmax" } else { "argmin" };
                let text = format!("{name} over {0} of length 0: {0} > 0", kernel.dims[dim].name);
                let dim = names::dim(dim);
                tokens.extend(quote!(launch.assert(#dim > 0, #text)?;));
            }
        }
        tokens
    }

    /// `let c0 = …;` for each axis: how many elements a buffer has room for.
    fn rooms(&self) -> TokenStream {
        let private = &self.private;
        let rooms = self.kernel.axes.iter().map(|(axis, info)| {
            let (room, block) = (names::room(axis), names::block(axis));
            let length = match info.kind {
                AxisKind::Tile { .. } => quote!(#block),
                AxisKind::Whole { dim } => {
                    let dim = names::dim(dim);
                    quote!(#dim)
                }
                AxisKind::Each { .. } | AxisKind::Unroll { .. } => quote!(1),
            };
            quote!(let #room = #private::cpu::room(#length);)
        });
        quote!(#(#rooms)*)
    }

    fn slots(&self) -> TokenStream {
        let (slots, extremes) = self.slot_names();
        let lets = self.schedule.buffers.iter().enumerate().zip(slots.into_iter().zip(extremes)).map(
            |((at, buffer), (slot, extreme))| {
                // The outermost axis needs no padding, but room is at least the block.
                let rooms = buffer.axes.iter().map(|axis| names::room(*axis).to_token_stream());
                let none = self.output(BufferId(at)).map(|_| quote!(usize::from(!direct)));
                let rooms: Vec<_> = rooms.chain(none).chain(self.copies(BufferId(at))).collect();
                let stored = self.stored(buffer.elem);
                let beside = match buffer.extreme_of {
                    Some(elem) => {
                        let stored = self.stored(elem);
                        quote!(slots.add(&[#(#rooms),*], ::core::mem::size_of::<#stored>()))
                    }
                    None => quote!(0),
                };
                quote! {
                    let #slot = slots.add(&[#(#rooms),*], ::core::mem::size_of::<#stored>());
                    let #extreme = #beside;
                }
            },
        );
        quote!(#(#lets)*)
    }

    fn slot_names(&self) -> (Vec<Ident>, Vec<Ident>) {
        let name = |prefix: &str| {
            (0..self.schedule.buffers.len()).map(|at| names::plain(&format!("{prefix}{at}"))).collect()
        };
        (name("slot"), name("extremes"))
    }

    fn grid(&self) -> Vec<TokenStream> {
        let (kernel, private) = (self.kernel, &self.private);
        let axis = |axis: &tilewright_compiler::ir::AxisId| match &kernel.axes[*axis].kind {
            AxisKind::Tile { dim, begin, end, .. } => {
                let ((begin, end), block) = (self.bounds(*begin, *end, *dim), names::block(*axis));
                let dim = names::dim(*dim);
                quote!({
                    let (begin, end) = #private::cpu::bound(#begin, #end, #dim);
                    #private::GridAxis { begin, end, block: #block }
                })
            }
            AxisKind::Each { dim, begin, end } => {
                let (begin, end) = self.bounds(*begin, *end, *dim);
                let dim = names::dim(*dim);
                quote!({
                    let (begin, end) = #private::cpu::bound(#begin, #end, #dim);
                    #private::GridAxis { begin, end, block: 1 }
                })
            }
            AxisKind::Unroll { begin, end } => {
                quote!(#private::GridAxis { begin: #begin, end: #end, block: 1 })
            }
            AxisKind::Whole { dim } => {
                let dim = names::dim(*dim);
                quote!(#private::GridAxis { begin: 0, end: #dim, block: 1 })
            }
        };
        self.schedule.grid.iter().map(axis).collect()
    }

    /// Tensors that may be the same view as another: outputs, and inputs that are read only at the index
    /// that is stored, and in the schedule only before or with the store.
    fn in_place(&self) -> HashSet<ParamId> {
        let mut stores: Vec<(ParamId, &[Index])> = Vec::new();
        each_node(&self.schedule.body, &mut |node| {
            if let Node::Store { tensor, index, .. } = node {
                stores.push((*tensor, index));
            }
        });
        let mut refused: HashSet<ParamId> = HashSet::new();
        let mut stored = false;
        let mut loads_of = |value, stored: bool| {
            if let Op::Load { tensor, index, .. } = &self.kernel.values[value].op
                && (stored || stores.iter().any(|(_, at)| !self.kernel.same_index(index, at)))
            {
                refused.insert(*tensor);
            }
        };
        each_node(&self.schedule.body, &mut |node| match node {
            Node::Compute { value, .. } => loads_of(*value, stored),
            Node::Dot(dot) => {
                for side in [&dot.lhs, &dot.rhs] {
                    if let Operand::Tensor(value) = side {
                        loads_of(*value, true);
                    }
                }
            }
            Node::Store { .. } => stored = true,
            Node::Keep { .. }
            | Node::Fetch { .. }
            | Node::Accumulate { .. }
            | Node::Assign { .. }
            | Node::Loop { .. }
            | Node::Sequential { .. }
            | Node::Sum { .. }
            | Node::Copy { .. }
            | Node::Shortcut { .. }
            | Node::If { .. }
            | Node::Break
            | Node::Continue => {}
        });
        let is_tensor = |kind: &ParamKind| matches!(kind, ParamKind::Tensor { .. });
        let tensors = self.kernel.params.iter().filter(|(_, param)| is_tensor(&param.kind)).map(|(id, _)| id);
        tensors.filter(|id| !refused.contains(id)).collect()
    }
}
