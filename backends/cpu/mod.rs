//! Loop nests to SIMD Rust.

use proc_macro2::TokenStream;
use quote::quote;
use tilewright_compiler::ir::{Kernel, ParamKind};

/// Not there yet: an error when the kernel is launched.
#[must_use]
pub fn emit(kernel: &Kernel, krate: &syn::Path) -> TokenStream {
    let name = kernel.name.to_string();
    let tensors = kernel.params.iter().map(|(_, param)| {
        let name = &param.name;
        match param.kind {
            ParamKind::Tensor { .. } => quote!(let _ = &*#name;),
            ParamKind::Scalar { .. } => quote!(let _ = #name;),
        }
    });
    quote! {
        #(#tensors)*
        ::core::result::Result::Err(#krate::Error::Launch(#krate::LaunchError::Assert {
            kernel: #name,
            text: "this backend exists",
        }))
    }
}
