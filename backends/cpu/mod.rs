//! Loop nests to SIMD Rust.
//!
//! A kernel becomes one generic function `body<S: Simd, …>`, which runs one program of the grid, an
//! instance of it for each instruction set, and the launch: shapes, block sizes, workspace. Every
//! operation is a call of the vector library; a lane loop calls them on vectors of `S`, everything
//! outside lane loops on scalars (the instruction set `One`).
//!
//! ```text
//! lanes N:  v2 = abs(v0 - v1)       lanes::<S, 1, false>(0, …, |x1, n, slot, unit| {
//!                                       let v3 = Vector::sub(v0, splat::<S, f32>(v1));
//!                                       let v2 = Vector::abs(v3);
//!                                   })
//! ```

mod data;
mod dots;
mod early;
mod four;
mod late;
mod launch;
mod memory;
mod names;
mod nodes;
mod one_pass;
mod outputs;
mod pipeline;
mod reduce;
mod rows;
mod sizes;
mod steps;
mod values;
mod work;

use pipeline::Overlap;
use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use std::cell::RefCell;
use steps::MOST_ROWS;
use tilewright_compiler::ir::{AxisId, ElementBound, Kernel, ValueId};
use tilewright_compiler::schedule::{Refusal, Schedule, schedule};

/// The body of the launch function: an expression of type `Result<(), Error>`. Its `&Config` is called
/// `config`, at mixed site.
#[must_use]
pub fn emit(kernel: &Kernel, krate: &syn::Path) -> TokenStream {
    let config = names::plain("config");
    match schedule(kernel).and_then(|schedule| emit_schedule(kernel, &schedule, krate, &config)) {
        Ok(tokens) => tokens,
        Err(Refusal { span, message, help }) => {
            let message = format!("{message}\n= help: {help}");
            quote_spanned! {span=> ::core::compile_error!(#message) }
        }
    }
}

/// The schedule in words.
#[must_use]
pub fn schedule_in_words(kernel: &Kernel) -> String {
    let schedule = match schedule(kernel) {
        Ok(schedule) => schedule,
        Err(refusal) => return refusal.message,
    };
    let emitter = Emitter::new(kernel, &schedule, &syn::parse_quote!(::tilewright));
    let pipelines = emitter.pipelines();
    let together = emitter.rows_in_steps().into_iter().map(|axis| {
        let name = &schedule.kernel.axes[axis].key;
        let overlap = pipelines.iter().find(|rows| rows.axis == axis).and_then(|rows| rows.overlap);
        let pipeline = overlap.map(|overlap| match overlap {
            Overlap::Both => "one at a time past the caches: the first lane loop goes with the row before, the last one with the row after",
            Overlap::Early => "long ones one at a time: the first lane loop goes with the row before",
            Overlap::Late => "one at a time past the caches: the last lane loop goes with the row after",
        });
        let pipeline = pipeline.map_or_else(String::new, |words| format!("each {name}: {words}\n"));
        format!("each {name}: up to {MOST_ROWS} short ones take each lane loop together\n{pipeline}")
    });
    let words = together.fold(schedule.to_string(), |words, line| words + &line);
    words + &emitter.passes_in_words() + &emitter.pieces_in_words()
}

fn emit_schedule(
    kernel: &Kernel,
    schedule: &Schedule,
    krate: &syn::Path,
    config: &syn::Ident,
) -> Result<TokenStream, Refusal> {
    let emitter = Emitter::new(kernel, schedule, krate);
    let args = emitter.args_struct();
    let body = emitter.body()?;
    let instances = emitter.instances();
    let launch = emitter.launch(config)?;
    let (ours, theirs) = emitter.arguments();
    let rest = hygienic(quote! {
        #args
        #body
        #instances
        #launch
    });
    Ok(quote! {{
        let (#(#ours,)*) = (#(#theirs,)*);
        #rest
    }})
}

/// The same tokens with names that never meet the user's variables.
fn hygienic(tokens: TokenStream) -> TokenStream {
    let resolve = |tree: TokenTree| match tree {
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), hygienic(group.stream()));
            inner.set_span(group.span().resolved_at(Span::mixed_site()));
            TokenTree::Group(inner)
        }
        mut leaf @ (TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_)) => {
            leaf.set_span(leaf.span().resolved_at(Span::mixed_site()));
            leaf
        }
    };
    tokens.into_iter().map(resolve).collect()
}

/// What all parts of the emission share.
pub(crate) struct Emitter<'s> {
    pub schedule: &'s Schedule,
    pub kernel: &'s Kernel,
    /// The kernel before scheduling.
    pub original: &'s Kernel,
    /// `::tilewright::private`.
    pub private: TokenStream,
    /// Axes of the loops that are open, outermost first.
    pub open: RefCell<Vec<AxisId>>,
    /// Labels of the sequential loops that are open.
    pub labels: RefCell<Vec<syn::Lifetime>>,
    /// The parameters of a `fold`'s closure while its body is emitted.
    pub closure: RefCell<Vec<ValueId>>,
}

impl<'s> Emitter<'s> {
    fn new(original: &'s Kernel, schedule: &'s Schedule, krate: &syn::Path) -> Emitter<'s> {
        Emitter {
            schedule,
            original,
            kernel: &schedule.kernel,
            private: quote!(#krate::private),
            open: RefCell::default(),
            labels: RefCell::default(),
            closure: RefCell::default(),
        }
    }

    /// The kernel's generics: as parameters with bounds, and as arguments.
    pub fn generics(&self) -> (TokenStream, TokenStream) {
        let (kernel, private) = (self.kernel, &self.private);
        let (mut parameters, mut arguments) = (TokenStream::new(), TokenStream::new());
        for (_, element) in kernel.elements.iter() {
            let (name, bound) = (&element.name, bound(element.bound));
            parameters.extend(quote!(#name: #private::#bound,));
            arguments.extend(quote!(#name,));
        }
        for (id, function) in kernel.functions.iter() {
            let name = &function.name;
            let args = function.args.iter().map(|elem| self.scalar(*elem));
            let result = self.scalar(kernel.functions[id].result);
            parameters.extend(quote!(#name: #private::DeviceFn<(#(#args,)*), Out = #result>,));
            arguments.extend(quote!(#name,));
        }
        for (_, constant) in kernel.consts.iter() {
            let (name, ty) = (&constant.name, &constant.ty);
            parameters.extend(quote!(const #name: #ty,));
            arguments.extend(quote!(#name,));
        }
        (parameters, arguments)
    }

    /// The generics that are types, as arguments.
    pub fn type_parameters(&self) -> TokenStream {
        let elements = self.kernel.elements.iter().map(|(_, element)| &element.name);
        let functions = self.kernel.functions.iter().map(|(_, function)| &function.name);
        let names = elements.chain(functions);
        quote!(#(#names,)*)
    }

    /// One function for each instruction set.
    fn instances(&self) -> TokenStream {
        let private = &self.private;
        let (parameters, arguments) = self.generics();
        let instance = |name: TokenStream, set: TokenStream| {
            quote! {
                unsafe fn #name<#parameters>(args: &Args<#arguments>, program: &mut #private::Program<'_>) {
                    // SAFETY: promised by the caller.
                    unsafe { body::<#private::simd::#set, #arguments>(args, program) }
                }
            }
        };
        let scalar = instance(quote!(scalar), quote!(Portable));
        let avx2 = instance(quote!(avx2), quote!(Avx2));
        let avx512 = instance(quote!(avx512), quote!(Avx512));
        quote! {
            #scalar
            #[cfg(target_arch = "x86_64")]
            #private::simd::with_avx2! { #avx2 }
            #[cfg(target_arch = "x86_64")]
            #private::simd::with_avx512! { #avx512 }
        }
    }
}

fn bound(bound: ElementBound) -> TokenStream {
    match bound {
        ElementBound::Float => quote!(Float),
        ElementBound::Element => quote!(Element),
    }
}

#[cfg(test)]
mod tests {
    use tilewright_compiler::diagnostics::Diagnostics;
    use tilewright_compiler::ir::Kernel;
    use tilewright_compiler::parse::{Helpers, parse_kernel};

    /// The kernel that a text is.
    pub fn kernel(source: &str) -> Kernel {
        let item: syn::ItemFn = syn::parse_str(source).expect("the kernel is Rust");
        let mut errors = Diagnostics::default();
        let (kernel, _) = parse_kernel(&item, &Helpers::default(), &mut errors);
        kernel.unwrap_or_else(|| panic!("{source}: {:?}", errors.take()))
    }
}
