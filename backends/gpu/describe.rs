//! What the launch must know of a kernel's text, as a constant.

use super::Emitter;
use crate::meta;
use proc_macro2::TokenStream;
use quote::quote;
use tilewright_compiler::ir::{AxisId, AxisKind, Elem, ParamKind};

/// A part of shared memory.
pub(crate) enum Region {
    /// For reductions: 16 bytes a thread.
    Scratch,
    /// A block of a tile; `slots`: one a turn that is under way.
    Tile { axes: Vec<AxisId>, elem: Elem, slots: bool },
    /// A block of a product's left side, if it does not stay in registers.
    Held { axes: Vec<AxisId>, elem: Elem, dot: usize },
    /// Those of a ring's slots.
    Barriers,
}

/// The axes and types of a product of two matrices.
pub(crate) struct DotRoles {
    pub rows: AxisId,
    pub columns: AxisId,
    pub contracted: AxisId,
    pub lhs: Elem,
    pub rhs: Elem,
    pub result: Elem,
}

/// An operand that is copied ahead of its use.
pub(crate) struct Copy {
    /// Among the tensors.
    pub tensor: usize,
    /// Of each of its dimensions: the axis along it; none where one index is taken.
    pub index: Vec<Option<AxisId>>,
    /// The loop, in order.
    pub ring: usize,
}

/// A place that may move vectors: memory is contiguous along `axis`.
#[derive(PartialEq, Eq)]
pub(crate) struct Site {
    /// Among the tensors.
    pub tensor: usize,
    pub axis: AxisId,
}

impl Emitter<'_> {
    /// A `private::gpu::Kernel` expression, constant; `source` is one that gives the text.
    pub fn descriptor(&self, source: &TokenStream, private: &TokenStream) -> TokenStream {
        let gpu = quote!(#private::gpu);
        let kernel = self.kernel;
        let name = self.names.kernel();
        let tunable = meta::tunable_axes(kernel);
        let axes = kernel.axes.iter().map(|(axis, info)| {
            let name = self.names.axis(axis);
            let grid = self.grid.contains(&axis);
            match &info.kind {
                AxisKind::Tile { dim, begin, end, .. } => {
                    let (dim, part) = (dim.at(), begin.is_some() || end.is_some());
                    let launch = tunable.iter().position(|known| *known == axis).unwrap_or(0);
                    quote!(#gpu::Axis { name: #name, kind: #gpu::AxisKind::Tile { dim: #dim, axis: #launch, part: #part }, grid: #grid })
                }
                AxisKind::Whole { dim } => {
                    let dim = dim.at();
                    quote!(#gpu::Axis { name: #name, kind: #gpu::AxisKind::Whole { dim: #dim }, grid: #grid })
                }
                AxisKind::Each { .. } | AxisKind::Unroll { .. } => {
                    quote!(#gpu::Axis { name: #name, kind: #gpu::AxisKind::Scalar, grid: #grid })
                }
            }
        });
        let grid = self.grid.iter().map(|axis| axis.at());
        let order = self.order.iter().map(|axis| axis.at());
        let sets = self.sets.borrow();
        let together = sets.iter().filter(|set| !set.is_empty()).map(|set| {
            let axes = set.iter().map(|axis| axis.at());
            quote!(&[#(#axes),*])
        });
        let dots = self.dots.iter().map(|dot| {
            let (rows, columns, contracted) = (dot.rows.at(), dot.columns.at(), dot.contracted.at());
            let [lhs, rhs, result] = [dot.lhs, dot.rhs, dot.result].map(|elem| element(elem, &gpu));
            quote!(#gpu::Dot { rows: #rows, columns: #columns, contracted: #contracted, lhs: #lhs, rhs: #rhs, result: #result })
        });
        let regions = self.regions.iter().map(|region| match region {
            Region::Scratch => quote!(#gpu::Region::Scratch),
            Region::Tile { axes, elem, slots } => {
                let (axes, elem) = (axes.iter().map(|axis| axis.at()), element(*elem, &gpu));
                quote!(#gpu::Region::Tile { axes: &[#(#axes),*], elem: #elem, slots: #slots })
            }
            Region::Held { axes, elem, dot } => {
                let (axes, elem) = (axes.iter().map(|axis| axis.at()), element(*elem, &gpu));
                quote!(#gpu::Region::Held { axes: &[#(#axes),*], elem: #elem, dot: #dot })
            }
            Region::Barriers => quote!(#gpu::Region::Barriers),
        });
        let copies = self.copies.iter().map(|copy| {
            let (tensor, ring) = (copy.tensor, copy.ring);
            let index = copy.index.iter().map(|axis| match axis {
                Some(axis) => {
                    let axis = axis.at();
                    quote!(::core::option::Option::Some(#axis))
                }
                None => quote!(::core::option::Option::None),
            });
            quote!(#gpu::Copy { tensor: #tensor, index: &[#(#index),*], ring: #ring })
        });
        let (rings, producer, even) = (self.rings.len(), self.producer.is_some(), self.is_even);
        let sites = self.sites.iter().map(|site| {
            let (tensor, axis) = (site.tensor, site.axis.at());
            quote!(#gpu::Site { tensor: #tensor, axis: #axis })
        });
        let elements = kernel.elements.iter().map(|(_, element)| element.name.to_string());
        let consts = kernel.consts.iter().map(|(id, constant)| {
            let (name, is_bool) = (self.names.constant(id), constant.elem == Elem::Bool);
            quote!((#name, #is_bool))
        });
        let tensors = kernel.params.iter().filter_map(|(_, param)| match &param.kind {
            ParamKind::Tensor { elem, .. } => Some(element(*elem, &gpu)),
            ParamKind::Scalar { .. } => None,
        });
        quote! {
            #gpu::Kernel {
                name: #name,
                source: #source,
                axes: &[#(#axes),*],
                grid: &[#(#grid),*],
                order: &[#(#order),*],
                together: &[#(#together),*],
                dots: &[#(#dots),*],
                regions: &[#(#regions),*],
                copies: &[#(#copies),*],
                rings: #rings,
                producer: #producer,
                even: #even,
                sites: &[#(#sites),*],
                tensors: &[#(#tensors),*],
                elements: &[#(#elements),*],
                consts: &[#(#consts),*],
            }
        }
    }
}

fn element(elem: Elem, gpu: &TokenStream) -> TokenStream {
    let kind = |name: &str| {
        let name = syn::Ident::new(name, proc_macro2::Span::mixed_site());
        quote!(#gpu::Elem::Of(#gpu::Kind::#name))
    };
    match elem {
        Elem::F32 => kind("F32"),
        Elem::F64 => kind("F64"),
        Elem::F16 => kind("F16"),
        Elem::BF16 => kind("Bf16"),
        Elem::F8E4M3 => kind("F8E4m3"),
        Elem::F8E5M2 => kind("F8E5m2"),
        Elem::I8 => kind("I8"),
        Elem::U8 => kind("U8"),
        Elem::I16 => kind("I16"),
        Elem::U16 => kind("U16"),
        Elem::I32 => kind("I32"),
        Elem::U32 => kind("U32"),
        Elem::I64 => kind("I64"),
        Elem::Bool => kind("Bool"),
        Elem::Param(id) => {
            let at = id.at();
            quote!(#gpu::Elem::Param(#at))
        }
    }
}
