//! Buffers that are parts of outputs: products are then summed where they are stored.

use super::values::At;
use super::{Emitter, names};
use proc_macro2::TokenStream;
use quote::quote;
use tilewright_compiler::ir::{AxisId, Index};
use tilewright_compiler::schedule::{BufferId, Dot, Output};

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
        let rows = self.schedule.outputs.iter().filter_map(|output| output.plus.as_ref()).map(|row| {
            let (view, over) = (names::param(row.tensor), names::dim(row.over));
            quote!(&& #view.strides[0] == 1 && #over > 0)
        });
        quote!(!stream.light && launch.is_alone(&[#(#tensors),*]) #(#fits)* #(#rows)*)
    }

    /// The row that a product adds to its sums with the last part of the dimension that it sums over, or null.
    pub fn row_to_add(&self, dot: &Dot) -> TokenStream {
        let row = self.output(dot.into).and_then(|output| output.plus.as_ref());
        let (Some(row), Some(columns)) = (row, dot.columns) else { return quote!(::core::ptr::null()) };
        let (view, over) = (names::param(row.tensor), names::dim(row.over));
        let (end, begin) = (names::end(dot.contracted), names::begin(columns));
        quote!(if args.direct && #end == #over {
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
