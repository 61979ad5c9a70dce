//! `#[derive(Weights)]`: parse the attributes → check them → emit an implementation of `Bind`.
//!
//! ```text
//! #[weight("w", shape = (N, K))] w: Tensor<f32>
//!     → check: scope.field::<Tensor<f32>>("w", &Spec { name: "w", shape: Some(&[N, K]), .. });
//!     → load:  w: loader.field(&Spec { .. })?,
//! ```

mod attributes;

use attributes::{FieldAttributes, Side, StructAttributes, shape_names};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, Ident, Type};
use tilewright_compiler::diagnostics::Diagnostics;

/// The whole derive. With mistakes: compile errors, and an implementation that satisfies callers.
pub(crate) fn expand(input: DeriveInput) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let attributes = StructAttributes::parse(&input, &mut diagnostics);
    let fields = parse_fields(&input, &attributes, &mut diagnostics);
    let errors = diagnostics.to_compile_errors();
    if errors.is_empty() {
        emit(&input, &attributes, &fields)
    } else {
        let placeholder = emit_placeholder(&input, &attributes);
        quote!(#errors #placeholder)
    }
}

/// A field, checked.
struct Field {
    ident: Ident,
    ty: Type,
    attributes: FieldAttributes,
}

fn parse_fields(input: &DeriveInput, of: &StructAttributes, diagnostics: &mut Diagnostics) -> Vec<Field> {
    let help = "write `struct Name { … }` and name each field's tensor with #[weight(\"…\")]";
    let named = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(named) => named,
            Fields::Unnamed(_) | Fields::Unit => {
                diagnostics.error(
                    input.ident.span(),
                    "weights are bound to a struct with named fields",
                    help,
                );
                return Vec::new();
            }
        },
        Data::Enum(_) | Data::Union(_) => {
            diagnostics.error(
                input.ident.span(),
                "weights are bound to a struct, not to an enum or union",
                help,
            );
            return Vec::new();
        }
    };
    let mut fields = Vec::new();
    for field in &named.named {
        let Some(ident) = field.ident.clone() else { continue };
        let Some(attributes) = FieldAttributes::parse(field, &ident, diagnostics) else { continue };
        let field = Field { ident, ty: field.ty.clone(), attributes };
        check_field(&field, of, diagnostics);
        fields.push(field);
    }
    fields
}

/// What wraps the type of a field, judged by its last word.
#[derive(Clone, Copy, PartialEq)]
enum Wrapper {
    Plain,
    Option,
    Vec,
}

fn wrapper(ty: &Type) -> Wrapper {
    let Type::Path(path) = ty else { return Wrapper::Plain };
    match path.path.segments.last() {
        Some(last) if last.ident == "Option" => Wrapper::Option,
        Some(last) if last.ident == "Vec" => Wrapper::Vec,
        _ => Wrapper::Plain,
    }
}

fn check_field(field: &Field, of: &StructAttributes, diagnostics: &mut Diagnostics) {
    let FieldAttributes { name, side, optional, .. } = &field.attributes;
    let wrapper = wrapper(&field.ty);
    let numbers = name.value().matches("{i}").count();
    let ident = &field.ident;
    if wrapper == Wrapper::Vec && numbers != 1 {
        let message =
            format!("`{ident}` is a Vec, but {:?} has {numbers} times {{i}}, not once", name.value());
        diagnostics.error(name.span(), message, "write {i} where the number of the element stands");
    }
    if wrapper != Wrapper::Vec && numbers != 0 {
        let message = format!("{:?} counts with {{i}}, but `{ident}` is no Vec", name.value());
        diagnostics.error(name.span(), message, "make the field a Vec, or write the number");
    }
    match (optional, wrapper) {
        (Some(span), Wrapper::Plain) => {
            let message = format!("`{ident}` is optional, but its type has no room for nothing");
            diagnostics.error(*span, message, "make the field an Option, or drop `optional`");
        }
        (None, Wrapper::Option) => {
            let message = format!("`{ident}` is an Option, but not said to be optional");
            diagnostics.error(field.ty.span(), message, "add `optional` to its #[weight(…)]");
        }
        (Some(_), Wrapper::Option | Wrapper::Vec) | (None, Wrapper::Plain | Wrapper::Vec) => {}
    }
    match side {
        Side::Nested if optional.is_some() && name.value().is_empty() => {
            let message = format!("`{ident}` is optional, but its prefix \"\" fits every name");
            diagnostics.error(name.span(), message, "give it a prefix that tells whether it is there");
        }
        Side::Tensor { tied: Some(tied), .. } if wrapper == Wrapper::Vec => {
            let message = format!("`{ident}` is a Vec and cannot be tied");
            diagnostics.error(
                tied.span(),
                message,
                "put the tensor into a struct of its own and tie it there",
            );
        }
        Side::Tensor { tied: Some(tied), .. } if tied.value() == name.value() => {
            let message = format!("`{ident}` is tied to itself");
            diagnostics.error(
                tied.span(),
                message,
                "name the tensor that stands in where this one is absent",
            );
        }
        Side::Nested | Side::Tensor { .. } => {}
    }
    if let Side::Tensor { shape: Some(shape), .. } = side {
        shape_names(shape).for_each(|name| of.check_dimension(name, diagnostics));
    }
}

fn emit(input: &DeriveInput, attributes: &StructAttributes, fields: &[Field]) -> TokenStream {
    let krate = attributes.private();
    let (scope, loader) = (local("scope"), local("loader"));
    let ignore = &attributes.ignore;
    let ignore = (!ignore.is_empty()).then(|| quote!(#scope.ignore(&[#(#ignore),*]);));
    let checks = fields.iter().map(|field| emit_check(field, attributes));
    let loads = fields.iter().map(|field| emit_load(field, attributes));
    let body = quote! {
        fn check(#scope: &mut #krate::Scope<'_>) {
            #ignore
            #(#checks)*
        }
        fn load(#loader: &#krate::Loader<'_>) -> ::core::result::Result<Self, #krate::WeightsError> {
            ::core::result::Result::Ok(Self { #(#loads)* })
        }
    };
    emit_impl(input, attributes, &body)
}

/// A parameter of the emitted functions: the same name whatever span the tokens around it carry.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

fn emit_placeholder(input: &DeriveInput, attributes: &StructAttributes) -> TokenStream {
    let krate = attributes.private();
    let body = quote! {
        fn check(_: &mut #krate::Scope<'_>) {}
        fn load(_: &#krate::Loader<'_>) -> ::core::result::Result<Self, #krate::WeightsError> {
            ::core::unreachable!()
        }
    };
    emit_impl(input, attributes, &body)
}

fn emit_impl(input: &DeriveInput, attributes: &StructAttributes, body: &TokenStream) -> TokenStream {
    let krate = attributes.private();
    let ident = &input.ident;
    let name = ident.to_string();
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #krate::Bind for #ident #ty_generics #where_clause {
            const NAME: &'static str = #name;
            #body
        }
    }
}

/// A type that is no field of weights is reported at the type, and once.
fn at(ty: &Type) -> Span {
    ty.span().resolved_at(Span::mixed_site())
}

fn emit_check(field: &Field, of: &StructAttributes) -> TokenStream {
    let Field { ident, ty, attributes } = field;
    let text = ident.to_string();
    let (name, scope) = (&attributes.name, local("scope"));
    let at = at(ty);
    match &attributes.side {
        Side::Nested => {
            let optional = attributes.optional.is_some();
            quote_spanned!(at=> #scope.nested::<#ty>(#text, #name, #optional);)
        }
        Side::Tensor { .. } => {
            let spec = emit_spec(attributes, of);
            quote_spanned!(at=> #scope.field::<#ty>(#text, #spec);)
        }
    }
}

fn emit_load(field: &Field, of: &StructAttributes) -> TokenStream {
    let Field { ident, ty, attributes } = field;
    let (name, loader) = (&attributes.name, local("loader"));
    let at = at(ty);
    let value = match &attributes.side {
        Side::Nested => quote_spanned!(at=> #loader.nested::<#ty>(#name)?),
        Side::Tensor { .. } => {
            let spec = emit_spec(attributes, of);
            quote_spanned!(at=> #loader.field::<#ty>(#spec)?)
        }
    };
    quote!(#ident: #value,)
}

fn emit_spec(attributes: &FieldAttributes, of: &StructAttributes) -> TokenStream {
    let krate = of.private();
    let name = &attributes.name;
    let optional = attributes.optional.is_some();
    let Side::Tensor { shape, tied, convert } = &attributes.side else { return TokenStream::new() };
    let some = |value: Option<TokenStream>| match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    };
    let tied = some(tied.as_ref().map(|tied| quote!(#tied)));
    let dims = shape.as_ref().map(|dims| {
        let dims = dims.iter().map(|dim| dim.emit(of));
        quote!(&[#(#dims),*])
    });
    let shape = some(dims);
    quote! {
        &#krate::Spec { name: #name, shape: #shape, tied: #tied, convert: #convert, optional: #optional }
    }
}
