//! What generated CPU code calls besides the vectors: lane loops, checked indices, reductions, tile
//! buffers, block sizes.
//!
//! Generated code follows a tensor's pointer only through [`Place`] and [`Places`], which check, or
//! with indices that are in range by construction: an axis over a dimension runs within `0 .. length`,
//! and the launch has made sure that all tensors agree on the length; a lane loop names only lanes
//! below the end of its axis, a whole vector from a multiple of its lanes on. Tile buffers have room for a whole block of each of their axes, and the
//! launch makes no block longer than the one that the workspace was sized for.

mod blocks;
mod buffers;
mod dot;
mod lanes;
mod places;
mod reduce;

pub use blocks::{
    Blocks, are_long, blocks, bound, columns, columns_in_turn, depth, few_rows, per_program,
    per_program_of_pipelined_rows, rows,
};
pub use buffers::{Slots, fill, room, rows_at_once};
pub(crate) use dot::is_packed_or_kept;
pub use dot::{PackedSide, SharedPacked, Side, dot, pack};
pub use lanes::{convert, convert_to_float, divide_by, each_of_four, fours, lanes, narrow, splat, zero};
pub use places::{NextRow, Place, Places, far};
pub use reduce::{Extreme, Peak, live};

pub use crate::simd::Window;
