//! The entry points: `#[kernel]`, `#[kernels]`, `#[device]`, `#[derive(Weights)]`.

mod weights;

/// Binds a structure to the tensors of a checkpoint; the attributes are described at
/// `tilewright::weights::Bind`.
#[proc_macro_derive(Weights, attributes(weight, weights))]
pub fn derive_weights(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    weights::expand(syn::parse_macro_input!(input as syn::DeriveInput)).into()
}
