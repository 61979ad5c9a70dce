//! The functions of the language by name: adding one is adding a row.

use crate::ir::{BinaryOp, ReduceOp, UnaryOp};

/// What a function on tiles does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// One float operand, in its compute type.
    Float(UnaryOp),
    /// One operand of any number type, in its compute type.
    Number(UnaryOp),
    /// Two float operands, in their compute type.
    Floats(BinaryOp),
    /// Two operands, which keep their type.
    Keep(BinaryOp),
}

use Function::{Float, Floats, Keep};

/// Name, meaning, and whether Rust has it as a method too (`x.exp()`), under which names.
const FUNCTIONS: &[(&str, Function, &[&str])] = &[
    ("abs", Function::Number(UnaryOp::Abs), &["abs"]),
    ("ceil", Float(UnaryOp::Ceil), &["ceil"]),
    ("cos", Float(UnaryOp::Cos), &["cos"]),
    ("erf", Float(UnaryOp::Erf), &["erf"]),
    ("exp", Float(UnaryOp::Exp), &["exp"]),
    ("exp2", Float(UnaryOp::Exp2), &["exp2"]),
    ("exp_sub", Floats(BinaryOp::ExpSub), &["exp_sub"]),
    ("floor", Float(UnaryOp::Floor), &["floor"]),
    ("gelu", Float(UnaryOp::Gelu), &["gelu"]),
    ("gelu_tanh", Float(UnaryOp::GeluTanh), &["gelu_tanh"]),
    ("ln", Float(UnaryOp::Ln), &["ln"]),
    ("log", Float(UnaryOp::Ln), &[]),
    ("log2", Float(UnaryOp::Log2), &["log2"]),
    ("max", Keep(BinaryOp::Max), &[]),
    ("min", Keep(BinaryOp::Min), &[]),
    ("pow", Floats(BinaryOp::Pow), &["pow", "powf", "powi"]),
    ("recip", Float(UnaryOp::Recip), &["recip"]),
    ("relu", Float(UnaryOp::Relu), &["relu"]),
    ("round", Float(UnaryOp::Round), &["round", "round_ties_even"]),
    ("rsqrt", Float(UnaryOp::Rsqrt), &["rsqrt"]),
    ("sigmoid", Float(UnaryOp::Sigmoid), &["sigmoid"]),
    ("silu", Float(UnaryOp::Silu), &["silu"]),
    ("sin", Float(UnaryOp::Sin), &["sin"]),
    ("sqrt", Float(UnaryOp::Sqrt), &["sqrt"]),
    ("tanh", Float(UnaryOp::Tanh), &["tanh"]),
    ("trunc", Float(UnaryOp::Trunc), &["trunc"]),
];

/// Methods that remove an axis.
const REDUCTIONS: &[(&str, ReduceOp)] = &[
    ("sum", ReduceOp::Sum),
    ("mean", ReduceOp::Mean),
    ("prod", ReduceOp::Prod),
    ("max", ReduceOp::Max),
    ("min", ReduceOp::Min),
    ("argmax", ReduceOp::Argmax),
    ("argmin", ReduceOp::Argmin),
    ("any", ReduceOp::Any),
    ("all", ReduceOp::All),
];

/// Methods that are neither.
const METHODS: &[&str] = &["cast", "at", "or", "fold", "index", "begin", "end", "len", "block"];

/// What a later version brings: name and what it is.
const LATER: &[(&str, &str)] = &[
    ("atomic_add", "atomics"),
    ("atomic_min", "atomics"),
    ("atomic_max", "atomics"),
    ("atomic_and", "atomics"),
    ("atomic_or", "atomics"),
    ("atomic_xor", "atomics"),
    ("atomic_exchange", "atomics"),
    ("atomic_cas", "atomics"),
    ("scatter", "`scatter`"),
    ("scan", "`scan`"),
    ("cumsum", "`cumsum`"),
    ("sort", "`sort`"),
    ("rand", "random numbers"),
    ("randint", "random numbers"),
    ("device_print", "`device_print`"),
];

/// The free function called `name`.
pub(crate) fn function(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|(known, ..)| *known == name).map(|(_, function, _)| *function)
}

/// The function whose method is called `name`.
pub(crate) fn method(name: &str) -> Option<Function> {
    FUNCTIONS.iter().find(|(.., methods)| methods.contains(&name)).map(|(_, function, _)| *function)
}

/// The reduction called `name`.
pub(crate) fn reduction(name: &str) -> Option<ReduceOp> {
    REDUCTIONS.iter().find(|(known, _)| *known == name).map(|(_, op)| *op)
}

/// What `name` is, if a later version brings it.
pub(crate) fn later(name: &str) -> Option<&'static str> {
    LATER.iter().find(|(known, _)| *known == name).map(|(_, what)| *what)
}

/// Whether there is a free function called `name`.
pub(crate) fn is_function(name: &str) -> bool {
    function(name).is_some()
}

/// The names of all free functions.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|(name, ..)| *name)
}

/// The names of all methods.
pub(crate) fn methods() -> impl Iterator<Item = &'static str> {
    let functions = FUNCTIONS.iter().flat_map(|(.., methods)| methods.iter().copied());
    functions.chain(REDUCTIONS.iter().map(|(name, _)| *name)).chain(METHODS.iter().copied())
}
