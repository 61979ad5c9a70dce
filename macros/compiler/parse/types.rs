//! Element types by name.

use crate::ir::{Arena, Elem, ElementId, ElementParam};

/// The element types of the language with their names.
pub(crate) const ELEMS: &[(&str, Elem)] = &[
    ("f32", Elem::F32),
    ("f64", Elem::F64),
    ("f16", Elem::F16),
    ("bf16", Elem::BF16),
    ("f8e4m3", Elem::F8E4M3),
    ("f8e5m2", Elem::F8E5M2),
    ("i8", Elem::I8),
    ("u8", Elem::U8),
    ("i16", Elem::I16),
    ("u16", Elem::U16),
    ("i32", Elem::I32),
    ("u32", Elem::U32),
    ("i64", Elem::I64),
    ("bool", Elem::Bool),
];

/// Element types that a later version brings.
pub(crate) const LATER: &[&str] = &["u64", "i4", "u4"];

/// What a type name means where a tile's element type is expected.
pub(crate) enum Named {
    /// It is one.
    Elem(Elem),
    /// A later version has it.
    Later,
    /// It is none.
    Unknown,
}

/// The element type called `name`: a parameter's, or one of [`ELEMS`]; `usize` is i32.
pub(crate) fn elem_named(name: &str, elements: &Arena<ElementId, ElementParam>) -> Named {
    let param = elements.iter().find(|(_, param)| param.name == name).map(|(id, _)| Elem::Param(id));
    let known = ELEMS.iter().find(|(known, _)| *known == name).map(|(_, elem)| *elem);
    match param.or(known) {
        Some(elem) => Named::Elem(elem),
        None if matches!(name, "usize" | "isize") => Named::Elem(Elem::I32),
        None if LATER.contains(&name) => Named::Later,
        None => Named::Unknown,
    }
}

/// As written in source.
pub(crate) fn elem_name(elem: Elem, elements: &Arena<ElementId, ElementParam>) -> String {
    if let Elem::Param(id) = elem {
        return elements[id].name.to_string();
    }
    let known = ELEMS.iter().find(|(_, known)| *known == elem);
    known.map_or_else(String::new, |(name, _)| (*name).to_string())
}

/// The last name of a type that is a plain path: `f32`, `half::f16`.
pub(crate) fn type_name(ty: &syn::Type) -> Option<String> {
    match ty {
        syn::Type::Path(path) if path.qself.is_none() => {
            let last = path.path.segments.last()?;
            last.arguments.is_none().then(|| last.ident.to_string())
        }
        syn::Type::Paren(paren) => type_name(&paren.elem),
        syn::Type::Group(group) => type_name(&group.elem),
        _ => None,
    }
}

/// The help for a wrong element type.
pub(crate) const ELEM_HELP: &str = "the element types are f32, f64, f16, bf16, f8e4m3, f8e5m2, i8, u8, i16, u16, i32, u32, i64, bool and generics like `T: Float`";
