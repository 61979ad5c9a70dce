//! Helpers: functions over tiles, axes and scalars, lowered where they are called.
//!
//! The body is lowered once for each call, in the caller's place, with the parameters bound to what
//! was passed; it sees none of the caller's names.

use super::statement::tile_elem;
use super::{Lowering, Place, Thing, types};
use crate::ir::Elem;
use proc_macro2::Span;
use std::collections::HashMap;
use syn::spanned::Spanned;

/// What a `#[kernels] mod` offers to its kernels.
#[derive(Clone, Debug, Default)]
pub struct Helpers {
    functions: HashMap<String, syn::ItemFn>,
    constants: HashMap<String, syn::Expr>,
}

impl Helpers {
    /// Adds a function.
    pub fn add_function(&mut self, function: syn::ItemFn) {
        self.functions.insert(function.sig.ident.to_string(), function);
    }

    /// Adds a `const`, whose value kernels can then use.
    pub fn add_constant(&mut self, constant: &syn::ItemConst) {
        let (value, ty) = (&constant.expr, &constant.ty);
        let typed: syn::Expr = syn::parse_quote!((#value) as #ty);
        self.constants.insert(constant.ident.to_string(), typed);
    }

    /// Whether a function is a helper: it takes or gives a `Tile` or an `Axis`.
    #[must_use]
    pub fn is_helper(function: &syn::ItemFn) -> bool {
        let special = |ty: &syn::Type| tile_elem(ty).is_some() || is_axis(ty);
        let params = function.sig.inputs.iter().any(|input| match input {
            syn::FnArg::Typed(typed) => special(&typed.ty),
            syn::FnArg::Receiver(_) => false,
        });
        params || matches!(&function.sig.output, syn::ReturnType::Type(_, ty) if special(ty))
    }

    pub(crate) fn function(&self, name: &str) -> Option<syn::ItemFn> {
        self.functions.get(name).cloned()
    }

    pub(crate) fn constant(&self, name: &str) -> Option<syn::Expr> {
        self.constants.get(name).cloned()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.functions.keys().cloned()
    }
}

const PARAM_HELP: &str = "a helper takes `Tile<f32>`, `Axis` and scalars by name";

impl Lowering<'_> {
    /// Lowers the body of a helper here.
    pub(crate) fn call_helper(&mut self, helper: &syn::ItemFn, args: &[&syn::Expr], span: Span) -> Thing {
        let name = helper.sig.ident.to_string();
        if self.inlining.contains(&name) {
            return self.fail(
                span,
                format!("the helper {name} calls itself"),
                "helpers are inlined: write a loop",
            );
        }
        let params: Vec<&syn::FnArg> = helper.sig.inputs.iter().collect();
        let things: Vec<Thing> = args.iter().map(|arg| self.helper_arg(arg)).collect();
        if params.len() != args.len() {
            let (wanted, given) = (params.len(), args.len());
            return self.fail(
                span,
                format!("{name} takes {wanted} arguments, but {given} were given"),
                format!("its signature is `{}`", signature_text(helper)),
            );
        }
        self.scopes.open(true);
        self.elem_aliases.push(HashMap::new());
        for ((param, thing), arg) in params.into_iter().zip(things).zip(args) {
            self.bind_param(&name, param, thing, arg.span());
        }
        self.inlining.push(name.clone());
        let place = self.place;
        if let Place::Inside { .. } = place {
            self.place = Place::Inside { loops: 0 };
        }
        let result = self.statements(&helper.block, true);
        let result = self.helper_result(&name, helper, result);
        self.place = place;
        self.inlining.pop();
        self.elem_aliases.pop();
        self.scopes.close();
        result
    }

    fn helper_arg(&mut self, arg: &syn::Expr) -> Thing {
        let thing = self.expr(arg);
        match thing {
            Thing::Var(_) => self.snapshot(thing, arg.span()),
            thing => thing,
        }
    }

    fn bind_param(&mut self, helper: &str, param: &syn::FnArg, thing: Thing, span: Span) {
        let syn::FnArg::Typed(typed) = param else {
            self.fail(param.span(), "a helper has no `self`", PARAM_HELP);
            return;
        };
        let thing = self.helper_param(helper, &typed.ty, thing, span);
        self.bind_pattern(&typed.pat, thing, span);
    }

    /// What was passed, as what the helper declares.
    fn helper_param(&mut self, helper: &str, ty: &syn::Type, thing: Thing, span: Span) -> Thing {
        if matches!(thing, Thing::Poison) {
            return Thing::Poison;
        }
        if is_axis(ty) {
            return match thing {
                Thing::Axis(axis) => Thing::Axis(axis),
                Thing::Dim(dim) => Thing::Axis(self.whole_axis(dim)),
                _ => self.fail(
                    span,
                    format!("{helper} takes an axis here"),
                    "pass the variable of a `tile` loop, or a dimension",
                ),
            };
        }
        let tile = tile_elem(ty);
        let Some(name) = types::type_name(tile.unwrap_or(ty)) else {
            return self.fail(ty.span(), "this parameter of a helper is not understood", PARAM_HELP);
        };
        let Some(operand) = self.operand(thing, span) else { return Thing::Poison };
        let Some(elem) = self.helper_elem(&name, self.elem_of(operand), ty.span()) else {
            return Thing::Poison;
        };
        let Some(value) = self.coerce(operand, elem, &format!("a parameter of {helper}"), span) else {
            return Thing::Poison;
        };
        let axes = self.ty(value).axes.clone();
        if tile.is_none() && !axes.is_empty() {
            let axes = self.axes_text(&axes);
            return self.fail(
                span,
                format!("{helper} takes a scalar here, but this is a tile with the axes {axes}"),
                "declare the parameter as `Tile<…>`",
            );
        }
        Thing::Value(value)
    }

    /// An element type in a helper's signature; an unknown name is a generic, which the first
    /// argument of that type fixes.
    fn helper_elem(&mut self, name: &str, given: Option<Elem>, span: Span) -> Option<Elem> {
        let known = types::elem_named(name, &self.kernel.elements);
        let alias = self.elem_aliases.last().and_then(|aliases| aliases.get(name)).copied();
        match (alias, known, given) {
            (Some(elem), ..) => Some(elem),
            (None, types::Named::Elem(elem), _) if !matches!(elem, Elem::Param(_)) => Some(elem),
            (None, types::Named::Later, _) => self.elem_by_name(name, span),
            (None, _, given) => {
                let elem = given.unwrap_or(Elem::F32);
                if let Some(aliases) = self.elem_aliases.last_mut() {
                    aliases.insert(name.to_string(), elem);
                }
                Some(elem)
            }
        }
    }

    fn helper_result(&mut self, name: &str, helper: &syn::ItemFn, result: Thing) -> Thing {
        let syn::ReturnType::Type(_, ty) = &helper.sig.output else {
            return match result {
                Thing::Poison => Thing::Poison,
                _ => Thing::Unit,
            };
        };
        let elem = tile_elem(ty).or(Some(&**ty)).and_then(types::type_name);
        match (result, elem) {
            (Thing::Poison, _) => Thing::Poison,
            (result @ Thing::Tuple(_), _) | (result, None) => result,
            (result, Some(elem)) => {
                let Some(elem) = self.elem_by_name_or_alias(&elem, ty.span()) else { return Thing::Poison };
                let Some(operand) = self.operand(result, helper.sig.ident.span()) else {
                    return Thing::Poison;
                };
                let at = self.span_of(operand);
                self.coerce(operand, elem, &format!("the result of {name}"), at)
                    .map_or(Thing::Poison, Thing::Value)
            }
        }
    }
}

fn is_axis(ty: &syn::Type) -> bool {
    types::type_name(ty).as_deref() == Some("Axis")
}

fn signature_text(helper: &syn::ItemFn) -> String {
    quote::ToTokens::to_token_stream(&helper.sig).to_string()
}
