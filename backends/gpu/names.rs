//! Names in the text: the kernel's own where C++ allows.

use std::collections::{HashMap, HashSet};

use tilewright_compiler::ir::{AxisId, DimId, Elem, ElementBound, Kernel, ParamId, ValueId, VarId};

/// The names of a kernel's things.
pub(crate) struct Names {
    kernel: String,
    axes: Vec<String>,
    dims: Vec<String>,
    params: Vec<String>,
    elements: Vec<String>,
    consts: Vec<String>,
    values: HashMap<ValueId, String>,
    vars: Vec<String>,
}

/// Words that the prelude or C++ has taken. Values are `v1`, variables `u1`.
const TAKEN: &[&str] = &[
    "R",
    "each",
    "load",
    "store",
    "stage",
    "put",
    "dot",
    "reduce",
    "along",
    "add",
    "sub",
    "mul",
    "neg",
    "cast",
    "wide",
    "widen",
    "fused",
    "args",
    "launch",
    "fault",
    "i",
    "program",
    "scratch",
    "shared",
    "inside",
    "within",
    "exp_sub",
    "alignas",
    "alignof",
    "and",
    "asm",
    "auto",
    "bool",
    "case",
    "catch",
    "char",
    "class",
    "compl",
    "const",
    "constexpr",
    "default",
    "delete",
    "do",
    "double",
    "explicit",
    "export",
    "float",
    "friend",
    "goto",
    "inline",
    "int",
    "long",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "nullptr",
    "operator",
    "or",
    "private",
    "protected",
    "public",
    "register",
    "restrict",
    "short",
    "signed",
    "sizeof",
    "static",
    "switch",
    "template",
    "this",
    "throw",
    "try",
    "typedef",
    "typeid",
    "typename",
    "union",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "xor",
    "main",
    "f16",
    "bf16",
    "f8e4m3",
    "f8e5m2",
    "f32",
    "f64",
    "i8",
    "u8",
    "i16",
    "u16",
    "i32",
    "u32",
    "i64",
    "u64",
    "shl",
    "shr",
    "quotient",
    "remainder",
    "weighted",
    "locate",
    "smaller",
    "greater",
    "Tile",
    "Axes",
    "Axis",
    "Spread",
    "Shared",
    "Tensor",
    "Fault",
    "Arguments",
    "Limits",
    "Found",
    "Place",
    "Pack",
    "Word",
    "Along",
    "Pick",
    "Position",
    "Fragment",
    "Cast",
    "Unsigned",
    "exp",
    "log",
    "sin",
    "cos",
    "tan",
    "floor",
    "ceil",
    "abs",
    "y0",
    "y1",
    "j0",
    "j1",
    "yn",
    "jn",
    "signbit",
    "linux",
    "unix",
    "sine",
    "simt",
    "Copies",
    "crew",
    "place",
    "grouped",
    "Place2",
    "slot",
    "landed",
    "at",
    "hold",
    "Ring",
    "Everyone",
    "Producer",
    "NoMap",
    "no_map",
    "TensorMap",
    "At",
    "Same",
    "Barrier",
    "issue",
    "multiply",
    "wgmma",
    "When",
];

/// A C++ identifier: ASCII, not a keyword, none of ours.
fn identifier(name: &str) -> String {
    let mut plain = String::new();
    for c in name.trim_start_matches("r#").chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            plain.push(c);
        } else {
            plain.push_str(&format!("u{:x}_", u32::from(c)));
        }
    }
    let digits = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let numbered = plain.strip_prefix('v').is_some_and(digits) || plain.strip_prefix('u').is_some_and(digits);
    if TAKEN.contains(&&*plain)
        || numbered
        || plain.starts_with("TW_")
        || plain.starts_with('_')
        || plain.contains("__")
    {
        return format!("{}_of_kernel", plain.trim_start_matches('_').replace("__", "_"));
    }
    plain
}

fn block_of(param: &str) -> String {
    format!("block_of_{param}")
}

impl Names {
    pub fn new(kernel: &Kernel) -> Names {
        let unique = |names: Vec<String>| {
            let mut seen: Vec<String> = Vec::new();
            for name in names {
                let mut name = identifier(&name);
                while seen.contains(&name) {
                    name.push('_');
                }
                seen.push(name);
            }
            seen
        };
        let axes: Vec<String> = unique(kernel.axes.iter().map(|(_, axis)| axis.key.clone()).collect());
        // One scope holds axes, what loops over them declare, variables and values.
        let mut seen: HashSet<String> = axes.iter().cloned().collect();
        for axis in &axes {
            seen.extend(["first", "last", "at", "ring", "fetch"].map(|part| format!("{axis}_{part}")));
        }
        let params = unique(kernel.params.iter().map(|(_, param)| param.name.to_string()).collect());
        seen.extend(params.iter().map(|name| block_of(name)));
        let mut free = |name: &str, number: usize| {
            let plain = identifier(name);
            let name = if seen.contains(&plain) { format!("{plain}_{number}") } else { plain };
            // A name that is taken even so falls back to a numbered one, which no user's name is.
            seen.insert(name.clone()).then_some(name)
        };
        let vars = kernel
            .vars
            .iter()
            .map(|(id, var)| free(&var.name.to_string(), id.at()).unwrap_or_else(|| format!("u{}", id.at())));
        let vars = vars.collect();
        let mut named: Vec<_> = kernel.names.iter().map(|(id, (name, _))| (id, name)).collect();
        named.sort();
        let values = named.into_iter().filter_map(|(id, name)| Some((*id, free(name, id.at())?))).collect();
        Names {
            values,
            vars,
            kernel: identifier(&kernel.name.to_string()),
            axes,
            dims: unique(kernel.dims.iter().map(|(_, dim)| dim.name.to_string()).collect()),
            params,
            elements: unique(kernel.elements.iter().map(|(_, element)| element.name.to_string()).collect()),
            consts: unique(kernel.consts.iter().map(|(_, constant)| constant.name.to_string()).collect()),
        }
    }

    pub fn kernel(&self) -> String {
        self.kernel.clone()
    }
    pub fn axis(&self, axis: AxisId) -> String {
        self.axes[axis.at()].clone()
    }
    /// As a field of the arguments: a tensor may have the same name as a dimension.
    pub fn dim(&self, dim: DimId) -> String {
        format!("dim_{}", self.dims[dim.at()])
    }
    pub fn param(&self, param: ParamId) -> String {
        format!("arg_{}", self.params[param.at()])
    }
    /// A tensor's block in shared memory.
    pub fn block(&self, param: ParamId) -> String {
        block_of(&self.params[param.at()])
    }
    pub fn constant(&self, constant: tilewright_compiler::ir::ConstId) -> String {
        format!("CONST_{}", self.consts[constant.at()])
    }
    pub fn value(&self, value: ValueId) -> String {
        self.values.get(&value).cloned().unwrap_or_else(|| format!("v{}", value.at()))
    }

    /// What belongs to a value: no user's name is like it.
    pub fn part(&self, value: ValueId, part: &str) -> String {
        format!("v{}_{part}", value.at())
    }

    /// Whether the user named it.
    pub fn is_named(&self, value: ValueId) -> bool {
        self.values.contains_key(&value)
    }
    pub fn var(&self, var: VarId) -> String {
        self.vars[var.at()].clone()
    }

    /// The type of an element in memory and in tiles.
    pub fn elem(&self, elem: Elem) -> String {
        match elem {
            Elem::F32 => "f32",
            Elem::F64 => "f64",
            Elem::F16 => "f16",
            Elem::BF16 => "bf16",
            Elem::F8E4M3 => "f8e4m3",
            Elem::F8E5M2 => "f8e5m2",
            Elem::I8 => "i8",
            Elem::U8 => "u8",
            Elem::I16 => "i16",
            Elem::U16 => "u16",
            Elem::I32 => "i32",
            Elem::U32 => "u32",
            Elem::I64 => "i64",
            Elem::Bool => "bool",
            Elem::Param(id) => return format!("TYPE_{}", self.elements[id.at()]),
        }
        .into()
    }

    /// The type that a scalar argument has: a generic one arrives as what it computes in.
    pub fn scalar(&self, kernel: &Kernel, elem: Elem) -> String {
        match elem {
            Elem::Param(id) if kernel.elements[id].bound == ElementBound::Float => "f32".into(),
            Elem::F16 | Elem::BF16 | Elem::F8E4M3 | Elem::F8E5M2 => "f32".into(),
            Elem::I8 | Elem::U8 | Elem::I16 | Elem::U16 => "i32".into(),
            Elem::F32 | Elem::F64 | Elem::I32 | Elem::U32 | Elem::I64 | Elem::Bool | Elem::Param(_) => {
                self.elem(elem)
            }
        }
    }
}
