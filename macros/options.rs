//! `#[kernel(crate = path)]`: where the library is.

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::spanned::Spanned;
use tilewright_compiler::diagnostics::Diagnostics;

/// The path in `crate = path`, or `::tilewright`.
pub(crate) fn krate(options: TokenStream, errors: &mut Diagnostics) -> syn::Path {
    let mut krate: syn::Path = syn::parse_quote_spanned!(Span::mixed_site()=> ::tilewright);
    let span = options.span();
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("crate") {
            krate = meta.value()?.call(syn::Path::parse_mod_style)?;
            Ok(())
        } else {
            Err(meta.error("unknown option"))
        }
    });
    if let Err(error) = parser.parse2(options) {
        let span = if error.span().source_text().is_some() { error.span() } else { span };
        errors.error(
            span,
            format!("these options are not understood: {error}"),
            "the only one is `crate = path`",
        );
    }
    krate
}
