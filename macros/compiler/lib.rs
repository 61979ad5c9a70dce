//! parse → check → schedule: from the tokens of a `#[kernel]` function to loop nests, for no target
//! in particular. A plain library: nothing here needs rustc to test.

mod asserted;
pub mod check;
pub mod diagnostics;
pub mod ir;
pub mod parse;
pub mod print;
pub mod schedule;
pub mod signature;
pub mod verify;
pub mod walk;
