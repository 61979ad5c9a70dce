//! How a product will be computed, in words and as multiply-adds: for explanations.

use super::kernels::Number;
use super::product::{Problem, Way};
use super::{Operand, Strided, amx};
use crate::element::Kind;
use crate::simd::InstructionSet;

/// How products of one shape are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    /// In words.
    pub(crate) words: String,
    /// How many instructions of a matrix unit one multiply-add is a part of; 0: vectors do it.
    pub(crate) unit_parts: usize,
    /// Whether bytes are multiplied, several at once.
    pub(crate) of_bytes: bool,
}

/// A product to describe. The pointers of its operands are not followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described {
    /// What is summed: `f32`, `f64`, `i32`, `u32`, `i64`.
    pub(crate) sums: Kind,
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) a: Strided,
    pub(crate) b: Strided,
    /// The right operand is packed once for all programs.
    pub(crate) packed: bool,
    /// And kept for the launches that come.
    pub(crate) kept: bool,
}

/// What [`super::dot_f32`] and its siblings do.
pub(crate) fn describe(isa: InstructionSet, product: &Described) -> Description {
    match product.sums {
        Kind::F64 => of::<f64>(isa, product),
        Kind::I64 => of::<i64>(isa, product),
        Kind::I32 | Kind::U32 | Kind::I16 | Kind::U16 | Kind::I8 | Kind::U8 => of::<i32>(isa, product),
        Kind::F32 | Kind::F16 | Kind::Bf16 | Kind::F8E4m3 | Kind::F8E5m2 | Kind::Bool => {
            of::<f32>(isa, product)
        }
    }
}

fn of<T: Number>(isa: InstructionSet, product: &Described) -> Description {
    let Described { m, n, k, a, b, packed, .. } = *product;
    let form = if packed { amx::form_of_packed(isa, b.kind, m, n, k) } else { None };
    let problem: Problem<T> =
        Problem { m, n, k, a, b: Operand::Strided(b), c: std::ptr::null_mut(), ldc: n, accumulate: true };
    let once = if product.kept {
        ", right operand laid out once and kept"
    } else {
        ", right operand laid out once per launch"
    };
    let place = match packed {
        true => once,
        false if super::product::is_ready(&problem) => ", right operand in place",
        false => ", right operand laid out by each program",
    };
    let vectors = |words: String| Description { words, unit_parts: 0, of_bytes: false };
    let way = match (form, packed) {
        (Some(right), _) => match amx::Form::of::<T>(a.kind) {
            Some(left) => Way::Unit(amx::Way::Tiles(left, right)),
            None => Way::Blocks,
        },
        (None, true) => Way::Blocks,
        (None, false) => Way::of(isa, &problem),
    };
    match way {
        Way::Nothing => vectors("nothing to multiply".to_owned()),
        Way::Unit(way) => {
            let (left, right) = way.forms();
            let is_lines = matches!(way, amx::Way::Lines(..));
            if is_lines || !super::has_matrix_unit(isa) {
                let shape = if is_lines {
                    "inner products of all rows with contiguous lines, in place".to_owned()
                } else {
                    let place = if packed { once } else { ", right operand laid out by each program" };
                    format!("microkernel of 8 x 48 sums (3 registers of 16 lanes){place}")
                };
                let words = format!("{shape}, four bytes a lane (AVX-512 VNNI)");
                return Description { words, unit_parts: 0, of_bytes: true };
            }
            let shape = match way {
                amx::Way::Few(..) | amx::Way::Lines(..) => {
                    "16 lines of the right operand, in place, by all rows"
                }
                amx::Way::Tiles(..) => "32 x 32 sums in tiles",
            };
            let place = match way {
                amx::Way::Few(..) | amx::Way::Lines(..) => "",
                amx::Way::Tiles(..) if packed => once,
                amx::Way::Tiles(..) => ", right operand laid out by each program",
            };
            let split = match (left.parts(), right.parts()) {
                (1, 1) if matches!(left, amx::Form::Bytes { .. }) => ", bytes".to_owned(),
                (1, 1) => ", bf16".to_owned(),
                (l, r) => format!(", {l} x {r} bf16 an element ({} products)", amx::products(left, right)),
            };
            let unit_parts = amx::products(left, right);
            let of_bytes = matches!(left, amx::Form::Bytes { .. });
            Description { words: format!("matrix unit (AMX), {shape}{split}{place}"), unit_parts, of_bytes }
        }
        Way::Inner(few) => {
            let what = if few.rows == m { "row" } else { "column" };
            let several = if few.rows == 1 { "" } else { "s" };
            vectors(format!("inner products of {} {what}{several} with contiguous lines, in place", few.rows))
        }
        Way::Outer => {
            vectors(format!("sums of the right operand's lines, several at a time, in place; rows: {m}"))
        }
        Way::Blocks => {
            let kernels = T::kernels(isa);
            let registers = kernels.registers(n);
            let rows = kernels.micro[registers - 1].len();
            let rows = m.div_ceil(m.div_ceil(rows).max(1)).max(1);
            let (lanes, columns) = (kernels.lanes, registers * kernels.lanes);
            vectors(format!(
                "microkernel of {rows} x {columns} sums ({registers} registers of {lanes} lanes){place}"
            ))
        }
    }
}

/// Multiplies bf16 on the matrix unit, in the first-level cache, so many thousand times: the multiply-adds that
/// this thread did; 0 if there is no unit.
pub(crate) fn unit_multiply_adds(isa: InstructionSet, rounds: usize) -> f64 {
    amx::exercise(isa, rounds)
}
