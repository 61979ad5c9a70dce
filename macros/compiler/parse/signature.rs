//! Generics and parameters: dimensions, element types, tensors, scalars.

use super::types::{self, ELEM_HELP, Named};
use super::{Lowering, Thing, names};
use crate::diagnostics::Diagnostics;
use crate::ir::{
    Arena, ConstParam, Dim, DimId, Elem, ElementBound, ElementParam, FunctionParam, Kernel, Op, Param,
    ParamKind,
};
use crate::signature::{Generic, Signature, SignatureParam};
use proc_macro2::{Ident, Span};
use syn::spanned::Spanned;

const PARAM_HELP: &str =
    "parameters are `&Tensor<f32, (M, N)>`, `&mut Tensor<…>` and scalars (f32, f64, i32, i64, usize, bool)";
/// Most dimensions a tensor may have.
const MAX_RANK: usize = 8;

/// The kernel without a body, and what callers see; no signature if callers cannot be served.
pub(crate) fn parse_signature(item: &syn::ItemFn, errors: &mut Diagnostics) -> (Kernel, Option<Signature>) {
    let mut parser = Parser {
        kernel: empty(&item.sig.ident),
        generics: Vec::new(),
        params: Vec::new(),
        whole: true,
        has_f64: has_f64(item),
        errors,
    };
    parser.refuse_qualifiers(&item.sig);
    for generic in &item.sig.generics.params {
        parser.generic(generic, item.sig.generics.where_clause.as_ref());
    }
    for input in &item.sig.inputs {
        parser.param(input);
    }
    parser.check_dims_are_fixed();
    let Parser { kernel, generics, params, whole, .. } = parser;
    let signature = Signature {
        attrs: item.attrs.clone(),
        vis: item.vis.clone(),
        name: item.sig.ident.clone(),
        generics,
        params,
    };
    (kernel, whole.then_some(signature))
}

/// A kernel with nothing in it.
pub(crate) fn empty(name: &Ident) -> Kernel {
    Kernel {
        name: name.clone(),
        dims: Arena::default(),
        elements: Arena::default(),
        consts: Arena::default(),
        functions: Arena::default(),
        params: Arena::default(),
        axes: Arena::default(),
        values: Arena::default(),
        vars: Arena::default(),
        names: Default::default(),
        remarks: Default::default(),
        body: Vec::new(),
    }
}

struct Parser<'e> {
    kernel: Kernel,
    generics: Vec<Generic>,
    params: Vec<SignatureParam>,
    /// Whether all parameters and generics were understood.
    whole: bool,
    /// Whether a tensor is f64: then f64 scalars stay f64, else they arrive as f32.
    has_f64: bool,
    errors: &'e mut Diagnostics,
}

impl Parser<'_> {
    fn fail(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.whole = false;
        self.errors.error(span, message, help);
    }

    fn refuse_qualifiers(&mut self, sig: &syn::Signature) {
        let words = [
            (sig.constness.map(|word| word.span()), "const"),
            (sig.asyncness.map(|word| word.span()), "async"),
            (sig.unsafety.map(|word| word.span()), "unsafe"),
            (sig.abi.as_ref().map(Spanned::span), "extern"),
        ];
        for (span, word) in words {
            if let Some(span) = span {
                self.fail(span, format!("a kernel cannot be `{word}`"), "write `fn` or `pub fn`");
            }
        }
        if let Some(variadic) = &sig.variadic {
            self.fail(variadic.span(), "a kernel cannot take any number of arguments", PARAM_HELP);
        }
        if let syn::ReturnType::Type(_, ty) = &sig.output {
            self.errors.error(
                ty.span(),
                "a kernel returns nothing: its results are its `&mut Tensor` parameters",
                "remove the return type and store into a `&mut Tensor<…>`",
            );
        }
    }

    fn generic(&mut self, generic: &syn::GenericParam, clause: Option<&syn::WhereClause>) {
        match generic {
            syn::GenericParam::Lifetime(lifetime) => self.fail(
                lifetime.lifetime.span(),
                format!("a kernel has no lifetimes: {} is not needed", lifetime.lifetime),
                "write `&Tensor<…>` and `&mut Tensor<…>` without lifetimes",
            ),
            syn::GenericParam::Const(param) => self.const_param(param),
            syn::GenericParam::Type(param) => {
                let bounds = bounds_of(param, clause);
                match bounds.as_slice() {
                    [] => self.dim(&param.ident),
                    [bound] => self.bounded(&param.ident, bound),
                    [_, second, ..] => self.fail(
                        second.span(),
                        format!("{} has more than one bound", param.ident),
                        "use one of `Float`, `Element`, `Fn(f32) -> f32`, or none for a dimension",
                    ),
                }
            }
        }
    }

    fn dim(&mut self, name: &Ident) {
        if names::is_word(&name.to_string()) {
            self.errors.error(
                name.span(),
                format!("{name} is a word of the language"),
                "choose another name",
            );
        }
        self.kernel.dims.push(Dim { name: name.clone() });
    }

    fn bounded(&mut self, name: &Ident, bound: &syn::TypeParamBound) {
        let path = match bound {
            syn::TypeParamBound::Trait(bound) => bound.path.clone(),
            _ => syn::Path { leading_colon: None, segments: syn::punctuated::Punctuated::new() },
        };
        let last = path.segments.last().cloned();
        let word = last.as_ref().map(|segment| segment.ident.to_string()).unwrap_or_default();
        match (word.as_str(), last.as_ref().map(|segment| &segment.arguments)) {
            ("Float", Some(syn::PathArguments::None)) => {
                self.kernel.elements.push(ElementParam { name: name.clone(), bound: ElementBound::Float });
                self.generics.push(Generic::Float(name.clone(), path));
            }
            ("Element", Some(syn::PathArguments::None)) => {
                self.kernel.elements.push(ElementParam { name: name.clone(), bound: ElementBound::Element });
                self.generics.push(Generic::Element(name.clone(), path));
            }
            ("Fn", Some(syn::PathArguments::Parenthesized(function))) => self.function_param(name, function),
            _ => self.fail(
                bound.span(),
                format!("{name} has a bound that kernels do not know"),
                "use `T: Float`, `T: Element` or `F: Fn(f32) -> f32`; a dimension has no bound",
            ),
        }
    }

    fn function_param(&mut self, name: &Ident, function: &syn::ParenthesizedGenericArguments) {
        let mut scalar = |ty: &syn::Type| {
            let elem = types::type_name(ty).and_then(|name| match name.as_str() {
                "f32" => Some(Elem::F32),
                "f64" => Some(Elem::F64),
                "i32" => Some(Elem::I32),
                "i64" => Some(Elem::I64),
                "u32" => Some(Elem::U32),
                "bool" => Some(Elem::Bool),
                _ => None,
            });
            if elem.is_none() {
                self.whole = false;
                self.errors.error(
                    ty.span(),
                    "a function parameter takes and gives scalars",
                    "use f32, f64, i32, i64, u32 or bool, like `F: Fn(f32) -> f32`",
                );
            }
            elem
        };
        let args: Option<Vec<Elem>> = function.inputs.iter().map(&mut scalar).collect();
        let result = match &function.output {
            syn::ReturnType::Type(_, ty) => scalar(ty).map(|elem| (elem, (**ty).clone())),
            syn::ReturnType::Default => None,
        };
        match (args, result) {
            (Some(args), Some((result, ty))) => {
                self.kernel.functions.push(FunctionParam { name: name.clone(), args, result });
                self.generics.push(Generic::Function(
                    name.clone(),
                    function.inputs.iter().cloned().collect(),
                    ty,
                ));
            }
            _ if matches!(function.output, syn::ReturnType::Default) => {
                self.fail(function.span(), format!("{name} gives nothing"), "write `F: Fn(f32) -> f32`");
            }
            _ => {}
        }
    }

    fn const_param(&mut self, param: &syn::ConstParam) {
        let name = types::type_name(&param.ty).unwrap_or_default();
        let elem = match name.as_str() {
            "bool" => Elem::Bool,
            "usize" | "isize" | "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "i64" | "u64" => Elem::I32,
            _ => {
                return self.fail(
                    param.ty.span(),
                    format!("the const parameter {} is neither a bool nor an integer", param.ident),
                    "use `const NAME: bool` or `const NAME: usize`",
                );
            }
        };
        self.kernel.consts.push(ConstParam { name: param.ident.clone(), ty: param.ty.clone(), elem });
        self.generics.push(Generic::Const(param.ident.clone(), param.ty.clone()));
    }

    fn param(&mut self, input: &syn::FnArg) {
        let typed = match input {
            syn::FnArg::Receiver(receiver) => {
                return self.fail(
                    receiver.self_token.span(),
                    "a kernel is a free function: it has no `self`",
                    PARAM_HELP,
                );
            }
            syn::FnArg::Typed(typed) => typed,
        };
        let syn::Pat::Ident(syn::PatIdent { ident, by_ref: None, mutability: None, subpat: None, .. }) =
            &*typed.pat
        else {
            return self.fail(typed.pat.span(), "a parameter is a plain name", PARAM_HELP);
        };
        if names::is_word(&ident.to_string()) {
            let message = format!("{ident} is a word of the language, so no parameter can be called that");
            self.errors.error(ident.span(), message, "choose another name");
        }
        match &*typed.ty {
            syn::Type::Reference(reference) => self.tensor(ident, reference),
            ty => self.scalar(ident, ty),
        }
    }

    fn tensor(&mut self, name: &Ident, reference: &syn::TypeReference) {
        if let Some(lifetime) = &reference.lifetime {
            self.fail(
                lifetime.span(),
                "a tensor parameter has no lifetime",
                "write `&Tensor<…>` or `&mut Tensor<…>`",
            );
        }
        let Some((elem, dims)) = self.tensor_type(name, &reference.elem) else { return };
        let writable = reference.mutability.is_some();
        if let syn::Type::Path(ty) = &*reference.elem {
            let ty = without_dims(&ty.path, &elem);
            self.params.push(SignatureParam::Tensor { name: name.clone(), ty, writable });
        }
        let Some(kernel_elem) = self.tensor_elem(&elem) else { return };
        let Some(dims) = self.tensor_dims(name, dims.as_ref()) else { return };
        let kind = ParamKind::Tensor { elem: kernel_elem, dims, writable };
        self.kernel.params.push(Param { name: name.clone(), kind });
    }

    /// The element type and, if there, the dimensions in `Tensor<elem, dims>`.
    fn tensor_type(&mut self, name: &Ident, ty: &syn::Type) -> Option<(syn::Type, Option<syn::Type>)> {
        let segment = match ty {
            syn::Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
            _ => None,
        };
        let Some(segment) = segment.filter(|segment| segment.ident == "Tensor") else {
            self.fail(ty.span(), format!("{name} is a reference to something that is no tensor"), PARAM_HELP);
            return None;
        };
        let mut args = match &segment.arguments {
            syn::PathArguments::AngleBracketed(args) => args.args.iter(),
            _ => {
                self.fail(
                    segment.span(),
                    format!("the tensor {name} has no element type"),
                    "write `Tensor<f32, (M, N)>`",
                );
                return None;
            }
        };
        match (args.next(), args.next(), args.next()) {
            (Some(syn::GenericArgument::Type(elem)), None, _) => Some((elem.clone(), None)),
            (Some(syn::GenericArgument::Type(elem)), Some(syn::GenericArgument::Type(dims)), None) => {
                Some((elem.clone(), Some(dims.clone())))
            }
            _ => {
                self.fail(
                    segment.span(),
                    format!("the type of the tensor {name} is not understood"),
                    "write `Tensor<f32, (M, N)>`",
                );
                None
            }
        }
    }

    fn tensor_elem(&mut self, ty: &syn::Type) -> Option<Elem> {
        let name = types::type_name(ty);
        let named = name.as_deref().filter(|name| !matches!(*name, "usize" | "isize"));
        match named.map(|name| types::elem_named(name, &self.kernel.elements)) {
            Some(Named::Elem(elem)) => return Some(elem),
            Some(Named::Later) => {
                let name = name.unwrap_or_default();
                self.errors.error(
                    ty.span(),
                    format!("the element type {name} comes in a later version"),
                    ELEM_HELP,
                );
            }
            Some(Named::Unknown) | None => {
                let name = name.unwrap_or_else(|| "this".to_string());
                self.fail(ty.span(), format!("{name} is not an element type"), ELEM_HELP);
            }
        }
        None
    }

    fn tensor_dims(&mut self, tensor: &Ident, dims: Option<&syn::Type>) -> Option<Vec<DimId>> {
        let Some(dims) = dims else {
            self.errors.error(
                tensor.span(),
                format!("the tensor {tensor} names no dimensions"),
                "write `Tensor<f32, (M, N)>`, where M and N are generics of the kernel; `()` is a single number",
            );
            return None;
        };
        let each: Vec<&syn::Type> = match dims {
            syn::Type::Tuple(tuple) => tuple.elems.iter().collect(),
            syn::Type::Paren(paren) => vec![&*paren.elem],
            single => vec![single],
        };
        if each.len() > MAX_RANK {
            let message = format!("{tensor} has {} dimensions, more than {MAX_RANK}", each.len());
            self.errors.error(dims.span(), message, "merge dimensions that are used together");
            return None;
        }
        let found: Vec<Option<DimId>> = each.into_iter().map(|dim| self.tensor_dim(tensor, dim)).collect();
        found.into_iter().collect()
    }

    fn tensor_dim(&mut self, tensor: &Ident, ty: &syn::Type) -> Option<DimId> {
        let Some(name) = types::type_name(ty) else {
            let help = "name it and declare it as a generic without a bound, like `<M>`";
            self.errors.error(ty.span(), format!("a dimension of {tensor} is not a name"), help);
            return None;
        };
        let found = self.kernel.dims.iter().find(|(_, dim)| dim.name == name).map(|(id, _)| id);
        if found.is_none() {
            let dims: Vec<String> = self.kernel.dims.iter().map(|(_, dim)| dim.name.to_string()).collect();
            let bounded = self.generics.iter().any(|generic| *generic.name() == name);
            let help = match names::nearest(&name, dims.iter().map(String::as_str)) {
                _ if bounded => {
                    format!("{name} is declared with a bound; a dimension is a generic without one")
                }
                Some(near) => {
                    format!("did you mean {near}? Otherwise declare it: `fn {}<{name}>`", self.kernel.name)
                }
                None => {
                    format!("declare it as a generic of the kernel: `fn {}<…, {name}>`", self.kernel.name)
                }
            };
            self.errors.error(ty.span(), format!("unknown dimension {name} in the type of {tensor}"), help);
        }
        found
    }

    fn scalar(&mut self, name: &Ident, ty: &syn::Type) {
        let text = types::type_name(ty).unwrap_or_default();
        let element = self.kernel.elements.iter().find(|(_, param)| param.name == text).map(|(id, _)| id);
        let elem = match text.as_str() {
            _ if element.is_some() => element.map(Elem::Param),
            "f32" => Some(Elem::F32),
            "f64" => Some(if self.has_f64 { Elem::F64 } else { Elem::F32 }),
            "i64" => Some(Elem::I64),
            "usize" | "isize" | "i8" | "u8" | "i16" | "u16" | "i32" | "u32" | "u64" => Some(Elem::I32),
            "bool" => Some(Elem::Bool),
            _ => None,
        };
        match elem {
            Some(elem) => {
                let kind = ParamKind::Scalar { elem, ty: ty.clone() };
                self.kernel.params.push(Param { name: name.clone(), kind });
                self.params.push(SignatureParam::Scalar { name: name.clone(), ty: ty.clone() });
            }
            None if is_option(ty) => self.fail(
                ty.span(),
                format!("{name} is an optional tensor; these come in a later version"),
                "write two kernels, or pass a tensor of zeros",
            ),
            None => self.fail(
                ty.span(),
                format!("the parameter {name} is neither a tensor nor a scalar"),
                PARAM_HELP,
            ),
        }
    }

    fn check_dims_are_fixed(&mut self) {
        if !self.whole || self.params.len() != self.kernel.params.len() {
            return;
        }
        let fixes = |kernel: &Kernel, dim: DimId| {
            kernel.params.iter().any(|(_, param)| match &param.kind {
                ParamKind::Tensor { dims, .. } => dims.contains(&dim),
                ParamKind::Scalar { .. } => false,
            })
        };
        for (id, dim) in self.kernel.dims.iter() {
            if !fixes(&self.kernel, id) {
                let name = &dim.name;
                self.errors.error(
                    name.span(),
                    format!("no tensor has the dimension {name}, so its length is unknown at launch"),
                    format!("use {name} in the type of a tensor, pass it as a scalar (`n: usize`), or remove it; an element type needs a bound: `{name}: Float`"),
                );
            }
        }
    }
}

fn has_f64(item: &syn::ItemFn) -> bool {
    let is_f64 = |input: &syn::FnArg| {
        let syn::FnArg::Typed(typed) = input else { return false };
        let syn::Type::Reference(reference) = &*typed.ty else { return false };
        let syn::Type::Path(path) = &*reference.elem else { return false };
        let Some(syn::PathSegment { arguments: syn::PathArguments::AngleBracketed(args), .. }) =
            path.path.segments.last()
        else {
            return false;
        };
        matches!(args.args.first(), Some(syn::GenericArgument::Type(elem)) if types::type_name(elem).as_deref() == Some("f64"))
    };
    item.sig.inputs.iter().any(is_f64)
}

/// `Tensor<f32, (M, N)>` as `Tensor<f32>`.
fn without_dims(path: &syn::Path, elem: &syn::Type) -> syn::Path {
    let mut path = path.clone();
    if let Some(last) = path.segments.last_mut() {
        last.arguments = syn::PathArguments::AngleBracketed(syn::parse_quote!(<#elem>));
    }
    path
}

fn is_option(ty: &syn::Type) -> bool {
    match ty {
        syn::Type::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == "Option"),
        _ => false,
    }
}

/// The bounds of a generic, also those in the where clause.
fn bounds_of(param: &syn::TypeParam, clause: Option<&syn::WhereClause>) -> Vec<syn::TypeParamBound> {
    let mut bounds: Vec<syn::TypeParamBound> = param.bounds.iter().cloned().collect();
    for predicate in clause.into_iter().flat_map(|clause| &clause.predicates) {
        if let syn::WherePredicate::Type(predicate) = predicate
            && types::type_name(&predicate.bounded_ty).is_some_and(|name| param.ident == name)
        {
            bounds.extend(predicate.bounds.iter().cloned());
        }
    }
    bounds
}

impl Lowering<'_> {
    /// Binds dimensions, constants, functions and parameters by name.
    pub(crate) fn bind_signature(&mut self) {
        self.scopes.open(false);
        let dims: Vec<_> =
            self.kernel.dims.iter().map(|(id, dim)| (dim.name.clone(), Thing::Dim(id))).collect();
        let functions: Vec<_> =
            self.kernel.functions.iter().map(|(id, f)| (f.name.clone(), Thing::Function(id))).collect();
        let consts: Vec<_> = self.kernel.consts.iter().map(|(id, c)| (c.name.clone(), id, c.elem)).collect();
        let params: Vec<_> =
            self.kernel.params.iter().map(|(id, p)| (p.name.clone(), id, p.kind.clone())).collect();
        for (name, thing) in dims.into_iter().chain(functions) {
            self.bind_once(&name, thing);
        }
        for (name, id, elem) in consts {
            let value = self.leaf(Op::Const(id), elem, name.span());
            self.bind_once(&name, Thing::Value(value));
        }
        for (name, id, kind) in params {
            let thing = match kind {
                ParamKind::Tensor { .. } => Thing::Tensor(id),
                ParamKind::Scalar { elem, .. } => Thing::Value(self.leaf(Op::Param(id), elem, name.span())),
            };
            self.bind_once(&name, thing);
        }
    }

    fn bind_once(&mut self, name: &Ident, thing: Thing) {
        let text = name.to_string();
        if self.scopes.find(&text).is_some() {
            let message = format!("{name} is declared twice in the signature");
            self.errors.error(name.span(), message, "choose another name for one of them");
        }
        self.scopes.bind(text, thing);
    }

    /// Poisons parameters that the signature could not give a meaning, so that their uses stay silent.
    pub(crate) fn poison_params(&mut self, item: &syn::ItemFn) {
        for input in &item.sig.inputs {
            if let syn::FnArg::Typed(typed) = input
                && let syn::Pat::Ident(pat) = &*typed.pat
            {
                let name = pat.ident.to_string();
                if self.scopes.find(&name).is_none() {
                    self.scopes.bind(name, Thing::Poison);
                }
            }
        }
    }
}
