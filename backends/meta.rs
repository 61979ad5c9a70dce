//! What both backends say about a kernel to its launch.

use proc_macro2::TokenStream;
use quote::quote;
use tilewright_compiler::ir::{
    AxisId, AxisKind, DimId, Index, Kernel, Op, ParamId, ParamKind, ReduceOp, Stmt,
};
use tilewright_compiler::walk::each_statement;

/// The tensor parameters in order: their position is the `tensor` of `TensorMeta`, `Launch::read` and
/// `Faults::report`.
#[must_use]
pub fn tensors(kernel: &Kernel) -> Vec<ParamId> {
    let tensors = kernel.params.iter().filter(|(_, param)| matches!(param.kind, ParamKind::Tensor { .. }));
    tensors.map(|(id, _)| id).collect()
}

/// The axes with a block size, in order: their position is the `axis` of `AxisMeta` and `Launch::block`.
#[must_use]
pub fn tunable_axes(kernel: &Kernel) -> Vec<AxisId> {
    let tiles = kernel.axes.iter().filter(|(_, axis)| matches!(axis.kind, AxisKind::Tile { .. }));
    tiles.map(|(id, _)| id).collect()
}

/// A `Meta` expression, constant.
#[must_use]
pub fn emit(kernel: &Kernel, krate: &syn::Path) -> TokenStream {
    let private = quote!(#krate::private);
    let name = kernel.name.to_string();
    let dims = kernel.dims.iter().map(|(_, dim)| dim.name.to_string());
    let tensors = tensors(kernel).into_iter().map(|id| emit_tensor(kernel, id, &private));
    let axes = tunable_axes(kernel).into_iter().map(|id| emit_axis(kernel, id, &private));
    quote! {
        #private::Meta {
            kernel: #name,
            dims: &[#(#dims),*],
            tensors: &[#(#tensors),*],
            axes: &[#(#axes),*],
        }
    }
}

fn emit_tensor(kernel: &Kernel, id: ParamId, private: &TokenStream) -> TokenStream {
    let ParamKind::Tensor { dims, writable, .. } = &kernel.params[id].kind else { return TokenStream::new() };
    let name = kernel.params[id].name.to_string();
    let dims = dims.iter().map(|dim| dim.at());
    let in_place = may_share_memory(kernel, id);
    quote! {
        #private::TensorMeta {
            name: #name,
            dims: &[#(#dims),*],
            writable: #writable,
            in_place: #in_place,
        }
    }
}

fn emit_axis(kernel: &Kernel, id: AxisId, private: &TokenStream) -> TokenStream {
    let AxisKind::Tile { block, .. } = &kernel.axes[id].kind else { return TokenStream::new() };
    let (key, min, max) = (&kernel.axes[id].key, block.min, block.max);
    quote!(#private::AxisMeta { key: #key, min: #min, max: #max })
}

/// Whether an input and the output may be the same view: there is one store in the kernel, and the
/// input is loaded only at its index, outside of loops that the store is not in, and before it.
fn may_share_memory(kernel: &Kernel, tensor: ParamId) -> bool {
    let mut stores: Vec<(ParamId, &[Index], Vec<AxisId>)> = Vec::new();
    each_statement(&kernel.body, &mut |stmt, around| {
        if let Stmt::Store { tensor, index, .. } = stmt {
            stores.push((*tensor, index, around.to_vec()));
        }
    });
    let [(output, stored, loops)] = &stores[..] else { return false };
    if tensor == *output {
        return true;
    }
    let (mut shares, mut is_stored) = (true, false);
    each_statement(&kernel.body, &mut |stmt, around| match stmt {
        Stmt::Store { .. } => is_stored = true,
        Stmt::Let(value) => {
            if let Op::Load { tensor: loaded, index, .. } = &kernel.values[*value].op
                && *loaded == tensor
            {
                shares &= !is_stored && around == &loops[..] && kernel.same_index(index, stored);
            }
        }
        Stmt::Assign(..)
        | Stmt::For { .. }
        | Stmt::If { .. }
        | Stmt::Break
        | Stmt::Continue
        | Stmt::Assert { .. } => {}
    });
    shares
}

/// The whole dimensions that `argmax` or `argmin` run over: their length must not be 0, and the launch
/// asserts `N > 0` with just this text.
#[must_use]
pub fn nonempty_dims(kernel: &Kernel) -> Vec<DimId> {
    let mut dims: Vec<DimId> = Vec::new();
    for (_, value) in kernel.values.iter() {
        if let Op::Reduce(ReduceOp::Argmax | ReduceOp::Argmin, _, axis) = value.op
            && let AxisKind::Whole { dim } = kernel.axes[axis].kind
            && !dims.contains(&dim)
        {
            dims.push(dim);
        }
    }
    dims
}
