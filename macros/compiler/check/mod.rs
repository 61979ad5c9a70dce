//! The rules that need the whole kernel; those of one expression are checked while it is parsed.
//!
//! In: a parsed kernel. Out: nothing, or diagnostics. A kernel that passes has no race, does not
//! show its block sizes, and keeps nothing of unbounded size on chip.

mod blocks;
mod bounds;
mod grid;
mod loops;
mod races;

use crate::diagnostics::Diagnostics;
use crate::ir::Kernel;

/// Checks the rules that a kernel must obey although the parser had to leave out what was wrong in it:
/// those that no missing statement can make look broken.
pub fn check_incomplete(kernel: &Kernel, errors: &mut Diagnostics) {
    grid::check_reductions(kernel, errors);
    races::check_stores(kernel, errors);
}

/// Checks every rule and reports every breach.
pub fn check(kernel: &Kernel, errors: &mut Diagnostics) {
    grid::check_reductions(kernel, errors);
    races::check_stores(kernel, errors);
    races::check_reads(kernel, errors);
    loops::check_stores(kernel, errors);
    loops::check_blocks(kernel, errors);
    blocks::check_block_sizes(kernel, errors);
    bounds::check_whole_dimensions(kernel, errors);
}
