//! `#[weight(…)]` on fields and `#[weights(…)]` on the structure.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{BinOp, DeriveInput, Expr, Ident, Lit, LitInt, LitStr, Path, Token, parenthesized};
use tilewright_compiler::diagnostics::Diagnostics;

/// One dimension of a shape.
pub(super) enum Dim {
    Any,
    Fixed(LitInt),
    Named { times: Option<LitInt>, name: Ident },
}

impl Dim {
    pub(super) fn emit(&self, of: &StructAttributes) -> TokenStream {
        let krate = of.private();
        match self {
            Dim::Any => quote!(#krate::Dim::Any),
            Dim::Fixed(length) => quote!(#krate::Dim::Fixed(#length)),
            Dim::Named { times, name } => {
                let times = times.as_ref().map_or(quote!(1), |t| quote!(#t));
                let local = of.local.contains(name);
                let name = name.to_string();
                quote!(#krate::Dim::Named { times: #times, name: #name, local: #local })
            }
        }
    }
}

/// The names in a shape.
pub(super) fn shape_names(shape: &[Dim]) -> impl Iterator<Item = &Ident> {
    shape.iter().filter_map(|dim| match dim {
        Dim::Named { name, .. } => Some(name),
        Dim::Any | Dim::Fixed(_) => None,
    })
}

/// What a field takes.
pub(super) enum Side {
    Tensor { shape: Option<Vec<Dim>>, tied: Option<LitStr>, convert: bool },
    Nested,
}

/// A field's attribute.
pub(super) struct FieldAttributes {
    /// Name or prefix.
    pub name: LitStr,
    pub side: Side,
    pub optional: Option<Span>,
}

/// The structure's attributes.
#[derive(Default)]
pub(super) struct StructAttributes {
    dims: Option<Vec<Ident>>,
    pub local: Vec<Ident>,
    pub ignore: Vec<LitStr>,
    krate: Option<Path>,
}

impl StructAttributes {
    /// Mistakes are reported; what could be read is returned.
    pub(super) fn parse(input: &DeriveInput, diagnostics: &mut Diagnostics) -> StructAttributes {
        let mut parsed = StructAttributes::default();
        for attribute in input.attrs.iter().filter(|a| a.path().is_ident("weights")) {
            match attribute.parse_args_with(Punctuated::<StructItem, Token![,]>::parse_terminated) {
                Ok(items) => items.into_iter().for_each(|item| parsed.take(item)),
                Err(error) => report(&error, STRUCT_HELP, diagnostics),
            }
        }
        for attribute in input.attrs.iter().filter(|a| a.path().is_ident("weight")) {
            let message = "#[weight(…)] belongs to a field";
            diagnostics.error(attribute.path().span(), message, "on the struct it is called #[weights(…)]");
        }
        for name in &parsed.local {
            if parsed.dims.iter().flatten().any(|d| d == name) {
                let message = format!("the dimension `{name}` is both in `dims` and in `local`");
                diagnostics.error(
                    name.span(),
                    message,
                    "`dims` are shared by the whole model, `local` ones are not: choose",
                );
            }
        }
        parsed
    }

    fn take(&mut self, item: StructItem) {
        match item {
            StructItem::Dims(names) => self.dims.get_or_insert_default().extend(names),
            StructItem::Local(names) => self.local.extend(names),
            StructItem::Ignore(name) => self.ignore.push(name),
            StructItem::Crate(path) => self.krate = Some(path),
        }
    }

    /// Where generated code finds the library.
    pub(super) fn private(&self) -> TokenStream {
        match &self.krate {
            Some(path) => quote!(#path::private::weights),
            None => quote!(::tilewright::private::weights),
        }
    }

    /// With `dims(…)`, every name in a shape is declared.
    pub(super) fn check_dimension(&self, name: &Ident, diagnostics: &mut Diagnostics) {
        let Some(dims) = &self.dims else { return };
        let known: Vec<String> = dims.iter().chain(&self.local).map(|d| format!("`{d}`")).collect();
        if !known.contains(&format!("`{name}`")) {
            let message = format!("the dimension `{name}` is not declared");
            let help = format!("declared are {}; add it to #[weights(dims(…))]", known.join(", "));
            diagnostics.error(name.span(), message, help);
        }
    }
}

const STRUCT_HELP: &str = "#[weights(…)] takes dims(A, B), local(A, B), ignore = \"name\", crate = path";
const FIELD_HELP: &str = "#[weight(…)] takes \"name\", shape = (A, B), tied = \"name\", convert, optional; \
                          or prefix = \"name.{i}.\", optional";

fn report(error: &syn::Error, help: &str, diagnostics: &mut Diagnostics) {
    for error in error.clone() {
        diagnostics.error(error.span(), error.to_string(), help);
    }
}

enum StructItem {
    Dims(Vec<Ident>),
    Local(Vec<Ident>),
    Ignore(LitStr),
    Crate(Path),
}

impl Parse for StructItem {
    fn parse(input: ParseStream<'_>) -> syn::Result<StructItem> {
        if input.peek(Token![crate]) {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            return Ok(StructItem::Crate(input.call(Path::parse_mod_style)?));
        }
        let key: Ident = input.parse()?;
        match key.to_string().as_str() {
            "dims" => Ok(StructItem::Dims(names(input)?)),
            "local" => Ok(StructItem::Local(names(input)?)),
            "ignore" => {
                input.parse::<Token![=]>()?;
                Ok(StructItem::Ignore(input.parse()?))
            }
            _ => Err(syn::Error::new(key.span(), format!("unknown word `{key}`"))),
        }
    }
}

fn names(input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    let content;
    parenthesized!(content in input);
    let names = Punctuated::<Ident, Token![,]>::parse_terminated(&content)?;
    Ok(names.into_iter().collect())
}

/// One item of a field's attribute.
enum FieldItem {
    Name(LitStr),
    Prefix(LitStr),
    Shape(Vec<Dim>),
    Tied(LitStr),
    Convert,
    Optional,
}

struct WithSpan {
    span: Span,
    item: FieldItem,
}

impl Parse for WithSpan {
    fn parse(input: ParseStream<'_>) -> syn::Result<WithSpan> {
        if input.peek(LitStr) {
            let name: LitStr = input.parse()?;
            return Ok(WithSpan { span: name.span(), item: FieldItem::Name(name) });
        }
        let key: Ident = input.parse()?;
        let item = match key.to_string().as_str() {
            "convert" => FieldItem::Convert,
            "optional" => FieldItem::Optional,
            "prefix" => FieldItem::Prefix(value(input)?),
            "tied" => FieldItem::Tied(value(input)?),
            "shape" => {
                input.parse::<Token![=]>()?;
                FieldItem::Shape(parse_shape(input.parse()?)?)
            }
            _ => return Err(syn::Error::new(key.span(), format!("unknown word `{key}`"))),
        };
        Ok(WithSpan { span: key.span(), item })
    }
}

fn value(input: ParseStream<'_>) -> syn::Result<LitStr> {
    input.parse::<Token![=]>()?;
    input.parse()
}

fn parse_shape(shape: Expr) -> syn::Result<Vec<Dim>> {
    if let Expr::Tuple(tuple) = shape {
        return tuple.elems.into_iter().map(parse_dim).collect();
    }
    let dim = if let Expr::Paren(paren) = shape { *paren.expr } else { shape };
    Ok(vec![parse_dim(dim)?])
}

fn parse_dim(dim: Expr) -> syn::Result<Dim> {
    let refuse =
        |span| Err(syn::Error::new(span, "a dimension is a name, a number, a number times a name, or `_`"));
    let span = dim.span();
    if let Expr::Infer(_) = dim {
        return Ok(Dim::Any);
    }
    if let Some(length) = number(&dim) {
        return Ok(Dim::Fixed(length));
    }
    if let Some(name) = ident(&dim) {
        return Ok(Dim::Named { times: None, name });
    }
    let Expr::Binary(product) = dim else { return refuse(span) };
    match (number(&product.left), product.op, ident(&product.right)) {
        (Some(times), BinOp::Mul(_), Some(name)) if times.base10_parse::<usize>().is_ok_and(|t| t > 0) => {
            Ok(Dim::Named { times: Some(times), name })
        }
        _ => refuse(span),
    }
}

fn number(expr: &Expr) -> Option<LitInt> {
    let Expr::Lit(literal) = expr else { return None };
    let Lit::Int(number) = &literal.lit else { return None };
    number.base10_parse::<usize>().is_ok().then(|| number.clone())
}

fn ident(expr: &Expr) -> Option<Ident> {
    let Expr::Path(path) = expr else { return None };
    path.path.get_ident().cloned()
}

impl FieldAttributes {
    /// `None` with a report if the attribute is absent or cannot be read.
    pub(super) fn parse(
        field: &syn::Field,
        ident: &Ident,
        diagnostics: &mut Diagnostics,
    ) -> Option<FieldAttributes> {
        let mut attributes = field.attrs.iter().filter(|a| a.path().is_ident("weight"));
        let Some(attribute) = attributes.next() else {
            let message = format!("the field `{ident}` has no #[weight(…)]");
            let help = "name its tensor, #[weight(\"name\")], or what its names begin with, #[weight(prefix = \"name.\")]";
            diagnostics.error(ident.span(), message, help);
            return None;
        };
        if let Some(second) = attributes.next() {
            let message = format!("the field `{ident}` has #[weight(…)] twice");
            diagnostics.error(second.path().span(), message, "write everything into one");
        }
        match attribute.parse_args_with(Punctuated::<WithSpan, Token![,]>::parse_terminated) {
            Ok(items) => collect(items.into_iter().collect(), attribute.path().span(), diagnostics),
            Err(error) => {
                report(&error, FIELD_HELP, diagnostics);
                None
            }
        }
    }
}

fn collect(items: Vec<WithSpan>, at: Span, diagnostics: &mut Diagnostics) -> Option<FieldAttributes> {
    let (mut name, mut prefix, mut shape, mut tied) = (None, None, None, None);
    let (mut convert, mut optional) = (None, None);
    for WithSpan { span, item } in items {
        let (word, twice) = match item {
            FieldItem::Name(value) => ("a name", name.replace(value).is_some()),
            FieldItem::Prefix(value) => ("`prefix`", prefix.replace(value).is_some()),
            FieldItem::Shape(value) => ("`shape`", shape.replace((span, value)).is_some()),
            FieldItem::Tied(value) => ("`tied`", tied.replace((span, value)).is_some()),
            FieldItem::Convert => ("`convert`", convert.replace(span).is_some()),
            FieldItem::Optional => ("`optional`", optional.replace(span).is_some()),
        };
        if twice {
            diagnostics.error(span, format!("{word} is given twice"), "keep one of them");
        }
    }
    match (name, prefix) {
        (Some(name), None) => {
            let (shape, tied) = (shape.map(|(_, v)| v), tied.map(|(_, v)| v));
            let side = Side::Tensor { shape, tied, convert: convert.is_some() };
            Some(FieldAttributes { name, side, optional })
        }
        (None, Some(prefix)) => {
            let words =
                [("shape", shape.map(|(s, _)| s)), ("tied", tied.map(|(s, _)| s)), ("convert", convert)];
            for (word, span) in words.into_iter().filter_map(|(word, span)| Some((word, span?))) {
                let message = format!("`{word}` is said of a tensor, but `prefix` binds a structure");
                diagnostics.error(span, message, format!("say `{word}` at the fields of that structure"));
            }
            Some(FieldAttributes { name: prefix, side: Side::Nested, optional })
        }
        (Some(_), Some(prefix)) => {
            let message = "a field has a name or a prefix, not both";
            diagnostics.error(prefix.span(), message, "a tensor has a name, a structure a prefix");
            None
        }
        (None, None) => {
            diagnostics.error(at, "this #[weight(…)] has neither a name nor a prefix", FIELD_HELP);
            None
        }
    }
}
