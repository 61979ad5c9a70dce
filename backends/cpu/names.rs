//! Names of generated variables. All are hygienic, so that they never meet the user's.

use proc_macro2::{Ident, Span};
use tilewright_compiler::ir::{AxisId, DimId, ParamId, ValueId, VarId};
use tilewright_compiler::schedule::BufferId;

fn name(prefix: &str, number: usize) -> Ident {
    Ident::new(&format!("{prefix}{number}"), Span::mixed_site())
}

/// A computed value.
pub fn value(value: ValueId) -> Ident {
    name("v", value.at())
}

/// A value of each of a few rows.
pub fn of_rows(value: ValueId) -> Ident {
    name("w", value.at())
}

/// A value of the row whose first loop runs along with the row before.
pub fn early(value: ValueId) -> Ident {
    name("y", value.at())
}

/// A value of the row whose last loop runs along with the row after.
pub fn late(value: ValueId) -> Ident {
    name("z", value.at())
}

/// The state of a reduction.
pub fn state(value: ValueId) -> Ident {
    name("r", value.at())
}

/// A variable without axes.
pub fn var(var: VarId) -> Ident {
    name("u", var.at())
}

/// A parameter: a tensor's view or a scalar.
pub fn param(param: ParamId) -> Ident {
    name("p", param.at())
}

/// How far ahead the caches are asked for a tensor.
pub fn far(param: ParamId) -> Ident {
    name("f", param.at())
}

/// What the caches are asked for where a tensor's rows are read in pieces.
pub fn next_row(param: ParamId) -> Ident {
    name("next", param.at())
}

/// An argument as the caller passed it.
pub fn argument(param: ParamId) -> Ident {
    name("a", param.at())
}

/// The length of a dimension.
pub fn dim(dim: DimId) -> Ident {
    name("d", dim.at())
}

/// The first index of an axis' block; the index of an `each` axis.
pub fn begin(axis: AxisId) -> Ident {
    name("b", axis.at())
}

/// One past the last index of an axis' block.
pub fn end(axis: AxisId) -> Ident {
    name("t", axis.at())
}

/// How many elements of an axis a buffer has room for.
pub fn room(axis: AxisId) -> Ident {
    name("c", axis.at())
}

/// The block size of an axis.
pub fn block(axis: AxisId) -> Ident {
    name("k", axis.at())
}

/// The position in an axis' block, from 0.
pub fn position(axis: AxisId) -> Ident {
    name("x", axis.at())
}

/// A buffer's first element.
pub fn buffer(buffer: BufferId) -> Ident {
    name("m", buffer.0)
}

/// A buffer's first element where a row has its own part.
pub fn of_all_rows(buffer: BufferId) -> Ident {
    name("n", buffer.0)
}

/// The strides of a buffer that may be a part of an output.
pub fn strides(buffer: BufferId) -> Ident {
    name("s", buffer.0)
}

/// Whether no product has been added onto a buffer.
pub fn fresh(buffer: BufferId) -> Ident {
    name("fresh", buffer.0)
}

/// The extremes beside a buffer of indices.
pub fn extremes(buffer: BufferId) -> Ident {
    name("e", buffer.0)
}

/// A name that is not numbered.
pub fn plain(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
