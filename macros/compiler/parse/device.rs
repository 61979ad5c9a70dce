//! `#[device]` functions: scalars in, one scalar out, no loops, no memory.

use super::signature::empty;
use super::{Helpers, Lowering, Place, Thing, names, types};
use crate::diagnostics::Diagnostics;
use crate::ir::{Device, Elem, Param, ParamKind, Stmt};
use proc_macro2::Ident;
use syn::spanned::Spanned;

const HELP: &str = "a `#[device]` function is `fn name(x: f32) -> f32`, with f32, f64, i32, i64, u32 or bool";

/// Lowers a `#[device]` function. `None` if anything was wrong; `errors` then says what.
pub fn parse_device(item: &syn::ItemFn, helpers: &Helpers, errors: &mut Diagnostics) -> Option<Device> {
    let before = errors.count();
    let args = arguments(item, errors);
    let result_elem = result(item, errors);
    check_generics(item, errors);
    let mut kernel = empty(&item.sig.ident);
    for (name, elem, ty) in &args {
        kernel
            .params
            .push(Param { name: name.clone(), kind: ParamKind::Scalar { elem: *elem, ty: ty.clone() } });
    }
    let mut lowering = Lowering::new(kernel, helpers, errors);
    lowering.place = Place::Scalar;
    lowering.bind_signature();
    lowering.poison_params(item);
    let thing = lowering.statements(&item.block, true);
    let wanted = result_elem.map(|(elem, _)| elem);
    let result = match (thing, wanted) {
        (Thing::Poison, _) | (_, None) => None,
        (thing, Some(elem)) => {
            let span = item.sig.ident.span();
            let operand = lowering.operand(thing, span);
            operand.and_then(|operand| {
                let at = lowering.span_of(operand);
                lowering.coerce(operand, elem, "the result", at)
            })
        }
    };
    let kernel = lowering.finish();
    if errors.count() != before {
        return None;
    }
    let body =
        kernel.body.iter().filter_map(|stmt| if let Stmt::Let(value) = stmt { Some(*value) } else { None });
    Some(Device {
        name: item.sig.ident.clone(),
        args: args.into_iter().map(|(name, elem, _)| (name, elem)).collect(),
        body: body.collect(),
        result: result?,
        values: kernel.values,
    })
}

/// The scalar types of a device function.
fn scalar(ty: &syn::Type) -> Option<Elem> {
    match types::type_name(ty)?.as_str() {
        "f32" => Some(Elem::F32),
        "f64" => Some(Elem::F64),
        "i32" => Some(Elem::I32),
        "i64" => Some(Elem::I64),
        "u32" => Some(Elem::U32),
        "bool" => Some(Elem::Bool),
        _ => None,
    }
}

fn arguments(item: &syn::ItemFn, errors: &mut Diagnostics) -> Vec<(Ident, Elem, syn::Type)> {
    let mut args = Vec::new();
    for input in &item.sig.inputs {
        match input {
            syn::FnArg::Typed(syn::PatType { pat, ty, .. }) => match (&**pat, scalar(ty)) {
                (syn::Pat::Ident(name), Some(elem)) if name.by_ref.is_none() && name.mutability.is_none() => {
                    if names::is_word(&name.ident.to_string()) {
                        errors.error(
                            name.span(),
                            format!("{} is a word of the language", name.ident),
                            "choose another name",
                        );
                    }
                    args.push((name.ident.clone(), elem, (**ty).clone()));
                }
                (syn::Pat::Ident(_), None) => {
                    errors.error(ty.span(), "a `#[device]` function takes scalars", HELP)
                }
                _ => errors.error(pat.span(), "an argument is a plain name", HELP),
            },
            syn::FnArg::Receiver(receiver) => {
                errors.error(receiver.self_token.span, "a `#[device]` function has no `self`", HELP)
            }
        }
    }
    if item.sig.inputs.is_empty() {
        errors.error(item.sig.ident.span(), "a `#[device]` function takes at least one scalar", HELP);
    }
    if item.sig.inputs.len() > 4 {
        errors.error(item.sig.ident.span(), "a `#[device]` function takes at most four scalars", HELP);
    }
    args
}

fn result(item: &syn::ItemFn, errors: &mut Diagnostics) -> Option<(Elem, syn::Type)> {
    let found = match &item.sig.output {
        syn::ReturnType::Type(_, ty) => scalar(ty).map(|elem| (elem, (**ty).clone())),
        syn::ReturnType::Default => None,
    };
    if found.is_none() {
        errors.error(item.sig.output.span(), "a `#[device]` function gives one scalar", HELP);
    }
    found
}

fn check_generics(item: &syn::ItemFn, errors: &mut Diagnostics) {
    if let Some(generic) = item.sig.generics.params.first() {
        errors.error(generic.span(), "a `#[device]` function has no generics", HELP);
    }
    for (token, word) in [
        (item.sig.asyncness.map(|t| t.span), "async"),
        (item.sig.unsafety.map(|t| t.span), "unsafe"),
        (item.sig.constness.map(|t| t.span), "const"),
    ] {
        if let Some(span) = token {
            errors.error(span, format!("a `#[device]` function cannot be `{word}`"), HELP);
        }
    }
}
