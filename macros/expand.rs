//! `#[kernel]` and `#[kernels]`: parse, check, then the public face around what the backends emit.

#![allow(clippy::wildcard_enum_match_arm, reason = "syn's enums are open: other items stay as they are")]

use crate::options;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use tilewright_compiler::check::check;
use tilewright_compiler::diagnostics::Diagnostics;
use tilewright_compiler::ir::{Callee, Elem, Kernel, Op};
use tilewright_compiler::parse::{Helpers, parse_kernel};
use tilewright_compiler::signature::{Generic, Signature, SignatureParam};

/// `#[kernel] fn`.
pub(crate) fn kernel(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Diagnostics::default();
    let krate = options::krate(options, &mut errors);
    let item: syn::ItemFn = match syn::parse2(item.clone()) {
        Ok(item) => item,
        Err(error) => {
            let error = syn::Error::new(
                error.span(),
                format!("{error}\n= help: `#[kernel]` stands before a function"),
            );
            let errors = errors.to_compile_errors();
            let error = error.to_compile_error();
            return quote!(#errors #error #item);
        }
    };
    let tokens = expand(&item, &Helpers::default(), &krate, &mut errors);
    let errors = errors.to_compile_errors();
    quote!(#errors #tokens)
}

/// `#[kernels] mod`.
pub(crate) fn kernels(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Diagnostics::default();
    let krate = options::krate(options, &mut errors);
    let module = syn::parse2::<syn::ItemMod>(item.clone());
    let (mut module, items) = match module {
        Ok(mut module) => match module.content.take() {
            Some((brace, items)) => (syn::ItemMod { content: Some((brace, Vec::new())), ..module }, items),
            None => {
                errors.error(
                    module.ident.span(),
                    "a `#[kernels]` module has its kernels in braces",
                    "write `#[kernels] mod name { … }` in this file",
                );
                let errors = errors.to_compile_errors();
                return quote!(#errors #item);
            }
        },
        Err(error) => {
            errors.error(
                error.span(),
                format!("{error}"),
                "`#[kernels]` stands before a module: `#[kernels] mod name { … }`",
            );
            let errors = errors.to_compile_errors();
            return quote!(#errors #item);
        }
    };
    let mut helpers = Helpers::default();
    let mut rest = Vec::new();
    for item in items {
        match item {
            syn::Item::Fn(function) if is_kernel(&function).is_none() && Helpers::is_helper(&function) => {
                helpers.add_function(function);
            }
            syn::Item::Const(mut constant) => {
                helpers.add_constant(&constant);
                let allow = "kernels use its value while they are built";
                constant.attrs.push(syn::parse_quote!(#[allow(dead_code, reason = #allow)]));
                rest.push(syn::Item::Const(constant));
            }
            item => rest.push(item),
        }
    }
    let mut tokens = TokenStream::new();
    for item in rest {
        match item {
            syn::Item::Fn(mut function) => match is_kernel(&function) {
                Some(at) => {
                    let attribute = function.attrs.remove(at);
                    let krate = kernel_krate(&attribute, &krate, &mut errors);
                    tokens.extend(expand(&function, &helpers, &krate, &mut errors));
                }
                None => function.to_tokens(&mut tokens),
            },
            item => item.to_tokens(&mut tokens),
        }
    }
    let errors = errors.to_compile_errors();
    let items = quote!(#errors #tokens);
    if let Some((_, content)) = &mut module.content {
        content.push(syn::Item::Verbatim(items));
    }
    module.into_token_stream()
}

/// Where the attribute `#[kernel]` stands among the function's.
fn is_kernel(function: &syn::ItemFn) -> Option<usize> {
    function
        .attrs
        .iter()
        .position(|attr| attr.path().segments.last().is_some_and(|last| last.ident == "kernel"))
}

/// `#[kernel(crate = path)]` inside a `#[kernels]` module.
fn kernel_krate(attribute: &syn::Attribute, outer: &syn::Path, errors: &mut Diagnostics) -> syn::Path {
    match &attribute.meta {
        syn::Meta::List(list) => options::krate(list.tokens.clone(), errors),
        syn::Meta::Path(_) | syn::Meta::NameValue(_) => outer.clone(),
    }
}

/// One kernel: its mistakes go to `errors`, and the signature is there even so.
fn expand(item: &syn::ItemFn, helpers: &Helpers, krate: &syn::Path, errors: &mut Diagnostics) -> TokenStream {
    let before = errors.count();
    let (kernel, signature) = parse_kernel(item, helpers, errors);
    if let Some(kernel) = &kernel {
        check(kernel, errors);
    }
    let Some(signature) = signature else { return TokenStream::new() };
    let face = Face { signature: &signature, krate };
    match kernel.filter(|_| errors.count() == before) {
        Some(kernel) => face.emit(&Bodies {
            run: tilewright_backends::cpu::emit(&kernel, krate),
            reference: tilewright_backends::reference::emit(&kernel, krate),
            checks: device_checks(&kernel, krate),
            schedule: tilewright_backends::cpu::schedule_in_words(&kernel),
            source: tilewright_backends::gpu::source(&kernel).map_err(|refusal| refusal.message),
        }),
        None => face.emit(&face.broken()),
    }
}

/// What stands in the functions.
struct Bodies {
    run: TokenStream,
    reference: TokenStream,
    checks: TokenStream,
    schedule: String,
    /// For GPUs; else why not.
    source: Result<String, String>,
}

/// The kernel as its callers see it.
struct Face<'k> {
    signature: &'k Signature,
    krate: &'k syn::Path,
}

impl Face<'_> {
    fn emit(&self, bodies: &Bodies) -> TokenStream {
        let Signature { attrs, vis, name, .. } = self.signature;
        let krate = self.krate;
        let (generics, arguments) = (self.generics(), self.generic_arguments());
        let (params, names) = (self.params(), self.signature.params.iter().map(SignatureParam::name));
        let config = Ident::new("config", Span::mixed_site());
        let Bodies { run, reference, checks, schedule, source } = bodies;
        let explained = self.signature.params.iter().map(SignatureParam::name);
        let source = self.source(source);
        let docs = format!("The kernel [`{name}`](fn@{name}) beyond a plain call.");
        let site = Span::mixed_site();
        let allow =
            quote_spanned!(site=> #[allow(clippy::too_many_arguments, reason = "as many as the kernel has")]);
        let result = quote_spanned!(site=> ::core::result::Result<(), #krate::Error>);
        let explanation = quote_spanned!(site=> ::core::result::Result<#krate::Explanation, #krate::Error>);
        quote_spanned! {site=>
            #(#attrs)*
            #allow
            #vis fn #name #generics (#params) -> #result {
                <#name>::with::<#arguments>(&#krate::Config::new(), #(#names),*)
            }
            #[doc = #docs]
            #[allow(non_camel_case_types, missing_debug_implementations, reason = "named like the kernel, and has no values")]
            #vis enum #name {}
            #[allow(dead_code, reason = "not every kernel is used in every way")]
            impl #name {
                /// Runs the kernel with block sizes from `config`.
                ///
                /// # Errors
                /// If the arguments do not fit the kernel or each other, if `config` names something the
                /// kernel lacks, or if an index from the data lies outside a tensor.
                #allow
                #vis fn with #generics (#config: &#krate::Config, #params) -> #result {
                    #checks
                    #run
                }
                /// Runs the kernel slowly and watched: programs in shuffled order at two block sizes.
                ///
                /// # Errors
                /// Those of a plain call, and any sign that the result depends on order or blocks.
                #allow
                #vis fn reference #generics (#params) -> #result {
                    #reference
                }
                /// What a launch with these arguments would do, without doing it: the schedule, blocks, threads,
                /// how products are computed, bytes and operations, and how long that takes.
                ///
                /// # Errors
                /// Those of a plain call that do not depend on the data.
                #allow
                #vis fn explain #generics (#params) -> #explanation {
                    #krate::private::explain(|| <#name>::with::<#arguments>(&#krate::Config::new(), #(#explained),*))
                }
                /// The schedule for CPUs in words: which loops run over which axes, and what is kept in buffers.
                #[must_use]
                #vis fn schedule() -> &'static str {
                    #schedule
                }
                #source
            }
        }
    }

    /// `source` and the text that it gives.
    fn source(&self, source: &Result<String, String>) -> TokenStream {
        let (krate, vis, name) = (self.krate, &self.signature.vis, self.signature.name.to_string());
        let site = Span::mixed_site();
        let (text, result) = match source {
            Ok(text) => (
                quote_spanned!(site=> const GPU_SOURCE: &'static str = #text;),
                quote_spanned!(site=> ::core::result::Result::Ok(Self::GPU_SOURCE)),
            ),
            Err(reason) => (
                TokenStream::new(),
                quote_spanned! {site=>
                    ::core::result::Result::Err(
                        #krate::private::LaunchError::NoGpuForm { kernel: #name, reason: #reason }.into()
                    )
                },
            ),
        };
        quote_spanned! {site=>
            #text
            /// The kernel in the language of a GPU's compiler, without prelude and constants.
            ///
            /// # Errors
            /// It uses something that has no GPU form.
            #vis fn source(target: #krate::Target) -> ::core::result::Result<&'static str, #krate::Error> {
                let _ = target;
                #result
            }
        }
    }

    /// The bodies of a kernel with mistakes: they use the parameters, and are never reached.
    fn broken(&self) -> Bodies {
        let krate = self.krate;
        let names = self.signature.params.iter().map(SignatureParam::name);
        let generics = self.signature.generics.iter().map(|generic| match generic {
            Generic::Const(name, _) => quote!(let _ = #name;),
            Generic::Float(name, _) | Generic::Element(name, _) | Generic::Function(name, ..) => {
                quote_spanned!(Span::mixed_site()=> let _: ::core::marker::PhantomData<#name>;)
            }
        });
        let body = quote_spanned! {Span::mixed_site()=>
            #(#generics)*
            let _ = (#(#names,)*);
            ::core::result::Result::Ok::<(), #krate::Error>(())
        };
        let config = Ident::new("config", Span::mixed_site());
        let run = quote_spanned!(Span::mixed_site()=> let _ = #config; #body);
        Bodies {
            run,
            reference: body,
            checks: TokenStream::new(),
            schedule: String::new(),
            source: Err(String::new()),
        }
    }

    fn generics(&self) -> TokenStream {
        let krate = self.krate;
        let generics = self.signature.generics.iter().map(|generic| match generic {
            Generic::Float(name, bound) | Generic::Element(name, bound) => quote!(#name: #bound),
            Generic::Function(name, args, out) => {
                quote_spanned!(Span::mixed_site()=> #name: #krate::private::DeviceFn<(#(#args,)*), Out = #out>)
            }
            Generic::Const(name, ty) => quote_spanned!(Span::mixed_site()=> const #name: #ty),
        });
        quote_spanned!(Span::mixed_site()=> <#(#generics),*>)
    }

    fn generic_arguments(&self) -> TokenStream {
        let arguments = self.signature.generics.iter().map(|generic| match generic {
            Generic::Const(name, _) => quote!({ #name }),
            Generic::Float(name, _) | Generic::Element(name, _) | Generic::Function(name, ..) => {
                quote!(#name)
            }
        });
        quote!(#(#arguments),*)
    }

    fn params(&self) -> TokenStream {
        let params = self.signature.params.iter().map(|param| match param {
            SignatureParam::Tensor { name, ty, writable } => {
                let reference = if *writable { quote!(&mut) } else { quote!(&) };
                quote!(#name: #reference #ty)
            }
            SignatureParam::Scalar { name, ty } => quote!(#name: #ty),
        });
        quote!(#(#params),*)
    }
}

/// `const _: fn(f32) -> f32 = path;` for each `#[device]` function, so that rustc reports a wrong type.
fn device_checks(kernel: &Kernel, krate: &syn::Path) -> TokenStream {
    let mut tokens = TokenStream::new();
    for (_, value) in kernel.values.iter() {
        let Op::Call(Callee::Path(path), args) = &value.op else { continue };
        let args = args.iter().map(|arg| scalar(kernel.values[*arg].ty.elem, krate));
        let result = scalar(value.ty.elem, krate);
        let span = value.span.resolved_at(Span::mixed_site());
        tokens.extend(quote_spanned!(span=> const _: fn(#(#args),*) -> #result = #path;));
    }
    tokens
}

/// The Rust scalar of a compute type.
pub(crate) fn scalar(elem: Elem, krate: &syn::Path) -> TokenStream {
    match elem {
        Elem::F32 => quote!(f32),
        Elem::F64 => quote!(f64),
        Elem::F16 => quote!(#krate::f16),
        Elem::BF16 => quote!(#krate::bf16),
        Elem::F8E4M3 => quote!(#krate::f8e4m3),
        Elem::F8E5M2 => quote!(#krate::f8e5m2),
        Elem::I8 => quote!(i8),
        Elem::U8 => quote!(u8),
        Elem::I16 => quote!(i16),
        Elem::U16 => quote!(u16),
        Elem::I32 => quote!(i32),
        Elem::U32 => quote!(u32),
        Elem::I64 => quote!(i64),
        Elem::Bool => quote!(bool),
        Elem::Param(_) => quote!(f32),
    }
}
