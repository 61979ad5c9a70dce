//! `#[device]`: a scalar function and the type of the same name that carries its vector body.
//!
//! Both come from the checked IR, so that the function means in plain Rust what it means in a kernel:
//! the function is the vector body on scalars.

use crate::expand::scalar;
use crate::options;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use tilewright_backends::gpu::emit_device;
use tilewright_compiler::diagnostics::Diagnostics;
use tilewright_compiler::ir::{BinaryOp, Callee, CompareOp, Device, Elem, Literal, Op, UnaryOp, ValueId};
use tilewright_compiler::parse::{Helpers, parse_device};

/// `#[device] fn`.
pub(crate) fn device(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Diagnostics::default();
    let krate = options::krate(options, &mut errors);
    let function: syn::ItemFn = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            errors.error(error.span(), error.to_string(), "`#[device]` stands before a function");
            let errors = errors.to_compile_errors();
            return quote!(#errors #item);
        }
    };
    let device = parse_device(&function, &Helpers::default(), &mut errors);
    let errors = errors.to_compile_errors();
    match device {
        Some(device) => {
            let tokens = Emitter { device: &device, krate: &krate }.emit(&function);
            quote!(#errors #tokens)
        }
        None => {
            let broken = emit_broken(&function);
            quote!(#errors #broken)
        }
    }
}

/// The signature of a function with mistakes, so that its callers still resolve.
fn emit_broken(function: &syn::ItemFn) -> TokenStream {
    let syn::ItemFn { attrs, vis, sig, .. } = function;
    let name = &sig.ident;
    let site = Span::mixed_site();
    quote_spanned! {site=>
        #(#attrs)*
        #[allow(unused_variables, dead_code, reason = "the function has mistakes")]
        #vis #sig { ::core::panic!() }
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code, reason = "named like the function")]
        #vis enum #name {}
    }
}

struct Emitter<'d> {
    device: &'d Device,
    krate: &'d syn::Path,
}

impl Emitter<'_> {
    fn emit(&self, function: &syn::ItemFn) -> TokenStream {
        let syn::ItemFn { attrs, vis, sig, .. } = function;
        let (krate, name) = (self.krate, &sig.ident);
        let names: Vec<&Ident> = self.device.args.iter().map(|(name, _)| name).collect();
        let types: Vec<TokenStream> = self.device.args.iter().map(|(_, elem)| scalar(*elem, krate)).collect();
        let result_elem = self.device.values[self.device.result].ty.elem;
        let out = scalar(result_elem, krate);
        let (args, body, result) = (self.arg_types(), self.body(), self.operand(self.device.result));
        let lanes = self.lanes(result_elem);
        let checks = self.checks();
        let gpu = self.gpu();
        quote_spanned! {Span::mixed_site()=>
            #(#attrs)*
            #[inline]
            #vis fn #name(#(#names: #types),*) -> #out {
                <#name as #krate::private::DeviceFn<(#(#types,)*)>>::vector::<#krate::private::simd::One>((#(#names,)*))
            }
            #[doc(hidden)]
            #[allow(non_camel_case_types, missing_debug_implementations, dead_code, reason = "named like the function")]
            #vis enum #name {}
            impl #krate::private::DeviceFn<(#(#types,)*)> for #name {
                type Out = #out;
                const GPU: &'static #krate::private::gpu::Function = #gpu;
                #[inline(always)]
                #[allow(clippy::all, clippy::pedantic, unused, reason = "written by a macro")]
                fn vector<S: #krate::private::simd::Simd>((#(#names,)*): (#(#args,)*)) -> #lanes {
                    #checks
                    #body
                    #result
                }
            }
        }
    }

    /// The function's GPU text, with those that it calls.
    fn gpu(&self) -> TokenStream {
        let krate = self.krate;
        let (text, name) = (emit_device(self.device), self.device.name.to_string());
        let callees = text.functions.iter().filter_map(|(callee, types)| {
            let Callee::Path(path) = callee else { return None };
            let types = types.iter().map(|elem| scalar(*elem, krate));
            Some(
                quote_spanned!(Span::mixed_site()=> <#path as #krate::private::DeviceFn<(#(#types,)*)>>::GPU),
            )
        });
        let source = text.source;
        quote_spanned! {Span::mixed_site()=>
            &#krate::private::gpu::Function { name: #name, source: #source, callees: &[#(#callees),*] }
        }
    }

    fn arg_types(&self) -> Vec<TokenStream> {
        self.device.args.iter().map(|(_, elem)| self.lanes(*elem)).collect()
    }

    /// The vector of an element type.
    fn lanes(&self, elem: Elem) -> TokenStream {
        let (krate, scalar) = (self.krate, scalar(elem, self.krate));
        quote_spanned!(Span::mixed_site()=> <#scalar as #krate::private::simd::Lane>::Of<S>)
    }

    fn body(&self) -> TokenStream {
        let lets = self.device.body.iter().map(|value| {
            let (name, lanes, op) =
                (local(*value), self.lanes(self.device.values[*value].ty.elem), self.op(*value));
            quote_spanned!(Span::mixed_site()=> let #name: #lanes = #op;)
        });
        quote!(#(#lets)*)
    }

    fn elem(&self, value: ValueId) -> Elem {
        self.device.values[value].ty.elem
    }

    /// An argument, a literal, or the local of a computed value.
    fn operand(&self, value: ValueId) -> TokenStream {
        match &self.device.values[value].op {
            Op::Param(param) => {
                let name = &self.device.args[param.at()].0;
                quote!(#name)
            }
            Op::Literal(literal) => self.literal(*literal, self.elem(value)),
            Op::Unary(..)
            | Op::Binary(..)
            | Op::Compare(..)
            | Op::Select(..)
            | Op::Cast(_)
            | Op::Call(..)
            | Op::Broadcast(_)
            | Op::Dim(_)
            | Op::Const(_)
            | Op::Each(_)
            | Op::AxisIndex(_)
            | Op::AxisBegin(_)
            | Op::AxisEnd(_)
            | Op::AxisLen(_)
            | Op::Read(_)
            | Op::Reduce(..)
            | Op::Fold(_)
            | Op::Dot(..)
            | Op::Load { .. } => local(value).into_token_stream(),
        }
    }

    fn literal(&self, literal: Literal, elem: Elem) -> TokenStream {
        let (krate, lanes) = (self.krate, self.lanes(elem));
        let value = match (literal, elem) {
            (Literal::Float(float), Elem::F64) => {
                let bits = float.to_bits();
                quote!(f64::from_bits(#bits))
            }
            (Literal::Float(float), _) => {
                let bits = (float as f32).to_bits();
                quote!(f32::from_bits(#bits))
            }
            (Literal::Int(int), elem) => {
                let scalar = scalar(elem, krate);
                quote!((#int as #scalar))
            }
            (Literal::Bool(value), _) => quote!(#value),
        };
        quote_spanned!(Span::mixed_site()=> <#lanes as #krate::private::simd::Vector>::splat(#value))
    }

    fn op(&self, value: ValueId) -> TokenStream {
        let krate = self.krate;
        let simd = quote_spanned!(Span::mixed_site()=> #krate::private::simd);
        match &self.device.values[value].op {
            Op::Unary(op, of) => {
                let (path, of) = (unary_path(*op, self.elem(*of), &simd), self.operand(*of));
                quote!(#path(#of))
            }
            Op::Binary(op, lhs, rhs) => {
                let path = binary_path(*op, self.elem(*lhs), &simd);
                let (lhs, rhs) = (self.operand(*lhs), self.operand(*rhs));
                quote!(#path(#lhs, #rhs))
            }
            Op::Compare(op, lhs, rhs) => {
                let (name, lhs, rhs) = (compare_name(*op), self.operand(*lhs), self.operand(*rhs));
                quote!(#simd::Vector::#name(#lhs, #rhs))
            }
            Op::Select(condition, then, otherwise) => {
                let (condition, then, otherwise) =
                    (self.operand(*condition), self.operand(*then), self.operand(*otherwise));
                quote!(#simd::Vector::select(#condition, #then, #otherwise))
            }
            Op::Cast(of) => {
                let (to, of) = (self.lanes(self.elem(value)), self.operand(*of));
                quote_spanned!(Span::mixed_site()=> #simd::Cast::<#to>::cast(#of))
            }
            Op::Call(Callee::Path(path), args) => {
                let types = args.iter().map(|arg| scalar(self.elem(*arg), krate));
                let args = args.iter().map(|arg| self.operand(*arg));
                quote_spanned!(Span::mixed_site()=> <#path as #krate::private::DeviceFn<(#(#types,)*)>>::vector::<S>((#(#args,)*)))
            }
            Op::Broadcast(of) => self.operand(*of),
            Op::Literal(_)
            | Op::Param(_)
            | Op::Dim(_)
            | Op::Const(_)
            | Op::Each(_)
            | Op::AxisIndex(_)
            | Op::AxisBegin(_)
            | Op::AxisEnd(_)
            | Op::AxisLen(_)
            | Op::Read(_)
            | Op::Call(Callee::Param(_), _)
            | Op::Reduce(..)
            | Op::Fold(_)
            | Op::Dot(..)
            | Op::Load { .. } => {
                quote!(::core::compile_error!("internal fault of tilewright: no scalar operation"))
            }
        }
    }

    /// See `expand::device_checks`.
    fn checks(&self) -> TokenStream {
        let calls = self.device.body.iter().filter_map(|value| {
            let Op::Call(Callee::Path(path), args) = &self.device.values[*value].op else { return None };
            let args = args.iter().map(|arg| scalar(self.elem(*arg), self.krate));
            let result = scalar(self.elem(*value), self.krate);
            let span = self.device.values[*value].span.resolved_at(Span::mixed_site());
            Some(quote_spanned!(span=> const _: fn(#(#args),*) -> #result = #path;))
        });
        quote!(#(#calls)*)
    }
}

fn local(value: ValueId) -> Ident {
    format_ident!("v{}", value.0, span = Span::mixed_site())
}

fn is_float(elem: Elem) -> bool {
    matches!(elem, Elem::F32 | Elem::F64)
}

fn unary_path(op: UnaryOp, elem: Elem, simd: &TokenStream) -> TokenStream {
    match op {
        UnaryOp::Neg => quote!(#simd::Vector::neg),
        UnaryOp::Abs => quote!(#simd::Vector::abs),
        UnaryOp::Not if elem == Elem::Bool => quote!(#simd::Masks::not),
        UnaryOp::Not => quote!(#simd::Integers::not),
        UnaryOp::Floor => quote!(#simd::Floats::floor),
        UnaryOp::Ceil => quote!(#simd::Floats::ceil),
        UnaryOp::Round => quote!(#simd::Floats::round),
        UnaryOp::Trunc => quote!(#simd::Floats::trunc),
        UnaryOp::Sqrt => quote!(#simd::Floats::sqrt),
        UnaryOp::Rsqrt => quote!(#simd::Floats::rsqrt),
        UnaryOp::Recip => quote!(#simd::Floats::recip),
        UnaryOp::Exp => quote!(#simd::Floats::exp),
        UnaryOp::Exp2 => quote!(#simd::Floats::exp2),
        UnaryOp::Ln => quote!(#simd::Floats::ln),
        UnaryOp::Log2 => quote!(#simd::Floats::log2),
        UnaryOp::Sin => quote!(#simd::Floats::sin),
        UnaryOp::Cos => quote!(#simd::Floats::cos),
        UnaryOp::Tanh => quote!(#simd::Floats::tanh),
        UnaryOp::Erf => quote!(#simd::Floats::erf),
        UnaryOp::Sigmoid => quote!(#simd::Floats::sigmoid),
        UnaryOp::Relu => quote!(#simd::Floats::relu),
        UnaryOp::Gelu => quote!(#simd::Floats::gelu),
        UnaryOp::GeluTanh => quote!(#simd::Floats::gelu_tanh),
        UnaryOp::Silu => quote!(#simd::Floats::silu),
    }
}

fn binary_path(op: BinaryOp, elem: Elem, simd: &TokenStream) -> TokenStream {
    let bits = if elem == Elem::Bool { quote!(#simd::Masks) } else { quote!(#simd::Integers) };
    debug_assert!(is_float(elem) || !matches!(op, BinaryOp::Pow | BinaryOp::ExpSub));
    match op {
        BinaryOp::Add => quote!(#simd::Vector::add),
        BinaryOp::Sub => quote!(#simd::Vector::sub),
        BinaryOp::Mul => quote!(#simd::Vector::mul),
        BinaryOp::Div => quote!(#simd::Vector::div),
        BinaryOp::Rem => quote!(#simd::Vector::rem),
        BinaryOp::Max => quote!(#simd::Vector::max),
        BinaryOp::Min => quote!(#simd::Vector::min),
        BinaryOp::Pow => quote!(#simd::Floats::pow),
        BinaryOp::ExpSub => quote!(#simd::Floats::exp_sub),
        BinaryOp::And => quote!(#bits::and),
        BinaryOp::Or => quote!(#bits::or),
        BinaryOp::Xor => quote!(#bits::xor),
        BinaryOp::Shl => quote!(#simd::Integers::shl),
        BinaryOp::Shr => quote!(#simd::Integers::shr),
    }
}

fn compare_name(op: CompareOp) -> Ident {
    let name = match op {
        CompareOp::Eq => "eq",
        CompareOp::Ne => "ne",
        CompareOp::Lt => "lt",
        CompareOp::Le => "le",
        CompareOp::Gt => "gt",
        CompareOp::Ge => "ge",
    };
    Ident::new(name, Span::mixed_site())
}
