//! Matrix products: calls of the library on memory.

use super::values::At;
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use tilewright_compiler::ir::{AxisId, AxisKind, Elem, Index, Op, ValueId};
use tilewright_compiler::schedule::{Accumulate, Dot, Node, Operand, Refusal, each_node};

/// A right operand that is packed once per launch, or once for all.
pub struct Pack {
    /// The `dot`.
    pub value: ValueId,
    /// Before the programs run.
    pub launch: TokenStream,
    /// What a program reads.
    pub program: TokenStream,
}

impl Emitter<'_> {
    /// A `dot` node.
    pub fn dot(&self, dot: &Dot) -> Result<TokenStream, Refusal> {
        let private = &self.private;
        self.open.borrow_mut().extend(&dot.around);
        let (lhs_setup, lhs) = self.side(&dot.lhs, dot.rows, dot, "lhs");
        let (rhs_setup, rhs) = self.side(&dot.rhs, dot.columns, dot, "rhs");
        let around_open = |axis: AxisId| dot.around.contains(&axis);
        let (into, offset) = (names::buffer(dot.into), self.buffer_offset(dot.into, &around_open));
        let extent = |axis: Option<AxisId>| axis.map_or_else(|| quote!(1usize), |axis| self.extent(axis));
        let (m, n, k) = (extent(dot.rows), extent(dot.columns), self.extent(dot.contracted));
        let row_stride = dot.rows.map_or_else(|| quote!(1usize), |rows| self.buffer_stride(dot.into, rows));
        let fresh = names::fresh(dot.into);
        let (accumulate, done) = match dot.accumulate {
            Accumulate::Never => (quote!(false), None),
            Accumulate::Always => (quote!(true), None),
            Accumulate::AfterFirst => (quote!(!#fresh), Some(quote!(#fresh = false;))),
        };
        let inside = names::plain("inside");
        let pack = self.packs().into_iter().find(|pack| pack.value == dot.value);
        let packed = match pack {
            Some(pack) => pack.program,
            None => quote!(::core::option::Option::None),
        };
        let plus = self.row_to_add(dot);
        let mut call = quote! {
            let mut #inside = true;
            #lhs_setup
            #rhs_setup
            #private::cpu::dot(
                args.isa, (#m, #n, if #inside { #k } else { 0 }), #lhs, #rhs, #packed, #plus, #into.add(#offset), #row_stride, #accumulate,
            );
        };
        for axis in dot.around.iter().rev() {
            let (position, extent) = (names::position(*axis), self.extent(*axis));
            call = quote!(for #position in 0..#extent { #call });
        }
        let n_open = self.open.borrow().len() - dot.around.len();
        self.open.borrow_mut().truncate(n_open);
        Ok(quote!({ #call #done }))
    }

    /// The right operands that are packed once per launch: read from a tensor by several blocks of rows.
    pub fn packs(&self) -> Vec<Pack> {
        let mut dots = Vec::new();
        each_node(&self.schedule.body, &mut |node| {
            if let Node::Dot(dot) = node {
                dots.push(dot);
            }
        });
        let mut packs = Vec::new();
        for dot in dots {
            packs.extend(self.pack(dot, packs.len()));
        }
        packs
    }

    fn pack(&self, dot: &Dot, at: usize) -> Option<Pack> {
        let private = &self.private;
        let (Operand::Tensor(value), Some(rows), Some(columns)) = (&dot.rhs, dot.rows, dot.columns) else {
            return None;
        };
        let Op::Load { tensor, index, .. } = &self.kernel.values[*value].op else { return None };
        let (AxisKind::Tile { dim: rows_dim, .. }, true) =
            (&self.kernel.axes[rows].kind, self.kernel.axes[rows].grid)
        else {
            return None;
        };
        let (view, (elem, _)) = (names::param(*tensor), self.tensor(*tensor));
        let of_bytes = self.elem(dot.value) == Elem::I32 && matches!(elem, Elem::I8 | Elem::U8);
        if self.elem(dot.value) != Elem::F32 && !of_bytes {
            return None;
        }
        let (mut free, mut contracted, mut batches, mut batch) =
            (Vec::new(), Vec::new(), Vec::new(), quote!(0usize));
        for (d, index) in index.iter().enumerate() {
            let which = match index {
                Index::Axis { axis, .. } if *axis == columns => {
                    free.push(d);
                    continue;
                }
                Index::Axis { axis, .. } if *axis == dot.contracted => {
                    contracted.push(d);
                    continue;
                }
                Index::Axis { axis, .. } => self.scalar_index(*axis),
                Index::Scalar(value) | Index::Gather(value) => self.plain(*value, At::Scalar),
            };
            batches.push(quote!((#view.dims[#d] as usize, #view.strides[#d])));
            batch = quote!((#batch * #view.dims[#d] as usize + #which as usize));
        }
        let ([free], [contracted]) = (&free[..], &contracted[..]) else { return None };
        if batches.len() > 4 {
            return None;
        }
        let (element, number) = (self.element(elem), self.tensor_number(*tensor));
        let (rows_dim, block) = (names::dim(*rows_dim), names::block(rows));
        let launch = quote!(unsafe {
            // SAFETY: the tensor is locked by the launch, which only reads it, and all its elements are readable.
            #private::cpu::pack::<#element>(
                (launch.isa(), launch.threads()?),
                #private::cpu::Side { ptr: #view.ptr.cast_const(), free: #view.strides[#free], contracted: #view.strides[#contracted] },
                &[#(#batches),*],
                (#view.dims[#free] as usize, #view.dims[#contracted] as usize),
                (#rows_dim, #block),
                launch.kept(#number),
            )
        });
        let [column, depth] = [columns, dot.contracted].map(|axis| {
            let begin = names::begin(axis);
            quote!(#begin as usize)
        });
        let inside = names::plain("inside");
        let program = quote!(if #inside {
            ::core::option::Option::Some(#private::cpu::PackedSide {
                packed: args.packed[#at].as_deref(), batch: #batch, column: #column, depth: #depth })
        } else { ::core::option::Option::None });
        Some(Pack { value: dot.value, launch, program })
    }

    /// An operand: statements before, and the `Side`.
    fn side(
        &self,
        operand: &Operand,
        free: Option<AxisId>,
        dot: &Dot,
        name: &str,
    ) -> (TokenStream, TokenStream) {
        let private = &self.private;
        match operand {
            Operand::Buffer(buffer) => {
                let is_around = |axis: AxisId| dot.around.contains(&axis);
                let (name, offset) = (names::buffer(*buffer), self.buffer_offset(*buffer, &is_around));
                let stride = |axis: AxisId| self.buffer_stride(*buffer, axis);
                let (free, contracted) = (free.map_or_else(|| quote!(0), stride), stride(dot.contracted));
                let side = quote!(#private::cpu::Side {
                    ptr: #name.add(#offset).cast_const(), free: #free as isize, contracted: #contracted as isize });
                (TokenStream::new(), side)
            }
            Operand::Tensor(value) => {
                let Op::Load { tensor, index, .. } = &self.kernel.values[*value].op else {
                    return (TokenStream::new(), TokenStream::new());
                };
                let view = names::param(*tensor);
                let place = self.dot_place(*tensor, index, dot);
                let stride = |axis: Option<AxisId>| {
                    let of = index.iter().enumerate().filter(
                        move |(_, index)| matches!(index, Index::Axis { axis: a, .. } if Some(*a) == axis),
                    );
                    let strides = of.map(|(d, _)| quote!(+ #view.strides[#d]));
                    quote!((0isize #(#strides)*))
                };
                let (free, contracted) = (stride(free), stride(Some(dot.contracted)));
                let (name, inside) = (names::plain(name), names::plain("inside"));
                let setup = quote!(let #name = #place; #inside &= #name.inside(););
                let side = quote!(#private::cpu::Side {
                    ptr: #view.ptr.offset(#name.offset()).cast_const(), free: #free, contracted: #contracted });
                (setup, side)
            }
        }
    }

    /// The place of a tensor operand's first element.
    fn dot_place(&self, tensor: tilewright_compiler::ir::ParamId, index: &[Index], dot: &Dot) -> TokenStream {
        let (private, view, number) = (&self.private, names::param(tensor), self.tensor_number(tensor));
        let faults = names::plain("faults");
        let mut place = quote!(#private::cpu::Place::new(#number, ::core::option::Option::Some(#faults)));
        for (d, index) in index.iter().enumerate() {
            match index {
                Index::Axis { axis, .. } => {
                    let begin = names::begin(*axis);
                    let first =
                        if dot.around.contains(axis) { self.scalar_index(*axis) } else { quote!(#begin) };
                    place.extend(quote!(.exact(#first as isize, #view.strides[#d])));
                }
                Index::Scalar(value) | Index::Gather(value) => {
                    let value = self.plain(*value, At::Scalar);
                    place.extend(quote!(.checked(#value as i64, #view.dims[#d], #view.strides[#d], #d)));
                }
            }
        }
        place
    }
}
