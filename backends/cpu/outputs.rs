//! Buffers that are parts of outputs: products are then summed where they are stored.

use super::values::At;
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use tilewright_compiler::ir::{AxisId, AxisKind, DimId, Index};
use tilewright_compiler::schedule::{BufferId, Dot, Node, Output, each_node};

impl Emitter<'_> {
    /// What a buffer may be a part of.
    pub fn output(&self, buffer: BufferId) -> Option<&Output> {
        self.schedule.outputs.iter().find(|output| output.buffer == buffer)
    }

    /// The dimension of each axis of the buffer.
    fn dimensions(&self, output: &Output) -> Vec<usize> {
        let of = |axis: &AxisId| {
            let is_it = |index: &Index| matches!(index, Index::Axis { axis: a, .. } if a == axis);
            output.index.iter().position(is_it)
        };
        self.schedule.buffers[output.buffer.0].axes.iter().filter_map(of).collect()
    }

    /// Whether the buffers of a launch are parts of its outputs. An output that is another argument too is
    /// not written before that is read; one that leaves the caches is stored past them.
    pub fn is_direct(&self) -> TokenStream {
        if self.schedule.outputs.is_empty() {
            return quote!(false);
        }
        let tensors = self.schedule.outputs.iter().map(|output| self.tensor_number(output.tensor));
        let fits = self.schedule.outputs.iter().flat_map(|output| {
            let (view, dimensions) = (names::param(output.tensor), self.dimensions(output));
            let outer = dimensions.len().saturating_sub(1);
            dimensions.into_iter().enumerate().map(move |(at, d)| {
                if at == outer {
                    quote!(&& #view.strides[#d] == 1)
                } else {
                    quote!(&& #view.strides[#d] >= 0)
                }
            })
        });
        let rows = self.schedule.outputs.iter().filter_map(|output| output.plus).map(|row| {
            let view = names::param(row);
            quote!(&& #view.strides[0] == 1)
        });
        let products = self.added_by().into_iter().map(|(_, dim)| {
            let dim = names::dim(dim);
            quote!(&& #dim > 0)
        });
        quote!(!stream.light && launch.is_alone(&[#(#tensors),*]) #(#fits)* #(#rows)* #(#products)*)
    }

    /// The products that add a row at last, and the dimension that they sum over.
    fn added_by(&self) -> Vec<(BufferId, DimId)> {
        let mut products = Vec::new();
        each_node(&self.schedule.body, &mut |node| {
            let Node::Dot(dot) = node else { return };
            let adds = self.output(dot.into).is_some_and(|output| output.plus.is_some());
            if let (true, AxisKind::Tile { dim, .. } | AxisKind::Whole { dim }) =
                (adds, &self.kernel.axes[dot.contracted].kind)
            {
                products.push((dot.into, *dim));
            }
        });
        products
    }

    /// The row that a product adds to its sums with the last part of the dimension that it sums over, or null.
    pub fn row_to_add(&self, dot: &Dot) -> TokenStream {
        let row = self.output(dot.into).and_then(|output| output.plus);
        let dim = self.added_by().into_iter().find(|(buffer, _)| *buffer == dot.into);
        let (Some(row), Some((_, dim)), Some(columns)) = (row, dim, dot.columns) else {
            return quote!(::core::ptr::null());
        };
        let (view, dim) = (names::param(row), names::dim(dim));
        let (end, begin) = (names::end(dot.contracted), names::begin(columns));
        quote!(if args.direct && #end == #dim {
            #view.ptr.cast_const().offset(#begin as isize)
        } else {
            ::core::ptr::null()
        })
    }

    /// The first element and the strides of a buffer; `own` is its place in the workspace.
    pub fn output_locals(&self, output: &Output, own: TokenStream) -> TokenStream {
        let (private, buffer) = (&self.private, output.buffer);
        let (name, strides, view) =
            (names::buffer(buffer), names::strides(buffer), names::param(output.tensor));
        let number = self.tensor_number(output.tensor);
        let mut place = quote!(#private::cpu::Place::new(#number, ::core::option::Option::None));
        for (d, index) in output.index.iter().enumerate() {
            let first = match index {
                Index::Axis { axis, .. } => {
                    let begin = names::begin(*axis);
                    quote!(#begin)
                }
                Index::Scalar(value) | Index::Gather(value) => self.plain(*value, At::Scalar),
            };
            place.extend(quote!(.exact(#first as isize, #view.strides[#d])));
        }
        let axes = &self.schedule.buffers[buffer.0].axes;
        let outer = 0..axes.len().saturating_sub(1);
        let rooms = outer.clone().map(|at| {
            let inner = axes[at + 1..].iter().map(|axis| names::room(*axis));
            quote!(1 #(* #inner)*)
        });
        let dimensions = self.dimensions(output);
        let outer = &dimensions[outer];
        quote! {
            let (#name, #strides) = if args.direct {
                (#view.ptr.offset(#place.offset()), [#(#view.strides[#outer] as usize),*])
            } else {
                (#own, [#(#rooms),*])
            };
        }
    }
}
