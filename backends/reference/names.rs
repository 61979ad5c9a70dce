//! What generated text calls things: the user's parameters by their own names, locals by names that
//! nobody else uses.

use proc_macro2::{Ident, Span, TokenStream};
use quote::ToTokens;
use tilewright_compiler::ir::{AxisId, ConstId, DimId, Elem, Kernel, ParamId, ValueId, VarId};

/// Names in one kernel's text.
pub struct Names<'k> {
    kernel: &'k Kernel,
    /// The path of this crate for the user.
    pub krate: &'k syn::Path,
    /// `::tilewright::private`.
    pub private: TokenStream,
    /// `::tilewright::private::reference`.
    pub reference: TokenStream,
}

impl<'k> Names<'k> {
    /// Names in `kernel`'s text.
    pub fn new(kernel: &'k Kernel, krate: &'k syn::Path) -> Names<'k> {
        let private = quote_here!(#krate::private);
        let reference = quote_here!(#private::reference);
        Names { kernel, krate, private, reference }
    }

    /// A dimension's length, an `i32`.
    pub fn dim(&self, dim: DimId) -> Ident {
        local(format!("dim_{}", self.kernel.dims[dim].name), Span::mixed_site())
    }

    /// A tensor's `Memory`, or a scalar.
    pub fn param(&self, param: ParamId) -> Ident {
        local(format!("param_{}", self.kernel.params[param].name), Span::mixed_site())
    }

    /// A const parameter as the kernel sees it.
    pub fn constant(&self, constant: ConstId) -> Ident {
        local(format!("const_{}", self.kernel.consts[constant].name), Span::mixed_site())
    }

    /// An axis' `Span`.
    pub fn axis(&self, axis: AxisId) -> Ident {
        local(format!("axis_{}_{}", self.kernel.axes[axis].name, axis.0), Span::mixed_site())
    }

    /// A value's tile, at the user's expression.
    pub fn value(&self, value: ValueId) -> Ident {
        local(format!("v{}", value.0), self.kernel.values[value].span)
    }

    /// A variable's tile: under the user's name where no other variable has it.
    pub fn var(&self, var: VarId) -> Ident {
        let name = &self.kernel.vars[var].name;
        let shared = self.kernel.vars.iter().any(|(other, entry)| other != var && entry.name == *name);
        let text = if shared { format!("var_{name}_{}", var.0) } else { format!("var_{name}") };
        local(text, name.span())
    }

    /// An element type.
    pub fn elem(&self, elem: Elem) -> TokenStream {
        let private = &self.private;
        match elem {
            Elem::F32 => quote_here!(f32),
            Elem::F64 => quote_here!(f64),
            Elem::F16 => quote_here!(#private::f16),
            Elem::BF16 => quote_here!(#private::bf16),
            Elem::F8E4M3 => quote_here!(#private::f8e4m3),
            Elem::F8E5M2 => quote_here!(#private::f8e5m2),
            Elem::I8 => quote_here!(i8),
            Elem::U8 => quote_here!(u8),
            Elem::I16 => quote_here!(i16),
            Elem::U16 => quote_here!(u16),
            Elem::I32 => quote_here!(i32),
            Elem::U32 => quote_here!(u32),
            Elem::I64 => quote_here!(i64),
            Elem::Bool => quote_here!(bool),
            Elem::Param(id) => self.kernel.elements[id].name.to_token_stream(),
        }
    }
}

fn local(name: String, span: Span) -> Ident {
    Ident::new(&name.replace("r#", ""), span.resolved_at(Span::mixed_site()))
}
