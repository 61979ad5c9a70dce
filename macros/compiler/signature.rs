//! What the caller of a kernel sees: the function's signature less what only the kernel's body needs.

use proc_macro2::Ident;

/// The public face of a kernel.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Doc comments and other attributes of the function.
    pub attrs: Vec<syn::Attribute>,
    /// As written.
    pub vis: syn::Visibility,
    /// The kernel's name.
    pub name: Ident,
    /// The generics that stay, in the order of the declaration: dimensions are gone.
    pub generics: Vec<Generic>,
    /// In the order of the declaration.
    pub params: Vec<SignatureParam>,
}

/// A generic parameter that callers can name.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a kernel has few generics")]
pub enum Generic {
    /// `T: Float`, with the bound as written.
    Float(Ident, syn::Path),
    /// `T: Element`, with the bound as written.
    Element(Ident, syn::Path),
    /// `F: Fn(f32) -> f32`: argument and result types.
    Function(Ident, Vec<syn::Type>, syn::Type),
    /// `const CAUSAL: bool`.
    Const(Ident, syn::Type),
}

impl Generic {
    /// As written.
    #[must_use]
    pub fn name(&self) -> &Ident {
        match self {
            Generic::Float(name, _)
            | Generic::Element(name, _)
            | Generic::Function(name, ..)
            | Generic::Const(name, _) => name,
        }
    }
}

/// A parameter as callers pass it.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a kernel has few parameters")]
pub enum SignatureParam {
    /// `&Tensor<T>`, or `&mut` if `writable`.
    Tensor {
        /// As written.
        name: Ident,
        /// `Tensor<f32>`: as written, less the dimensions.
        ty: syn::Path,
        /// `&mut`.
        writable: bool,
    },
    /// A scalar of the type that the user wrote.
    Scalar {
        /// As written.
        name: Ident,
        /// As written.
        ty: syn::Type,
    },
}

impl SignatureParam {
    /// As written.
    #[must_use]
    pub fn name(&self) -> &Ident {
        match self {
            SignatureParam::Tensor { name, .. } | SignatureParam::Scalar { name, .. } => name,
        }
    }
}
