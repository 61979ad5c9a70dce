//! A kernel's text and what its launch must know of it: constants that the macro emits.

use crate::element::Kind;

/// A kernel as C++ text.
#[derive(Debug)]
pub struct Kernel {
    /// The entry point.
    pub name: &'static str,
    /// The text, without prelude and constants.
    pub source: &'static str,
    /// All axes.
    pub axes: &'static [Axis],
    /// The parallel ones, outermost first, as positions in `axes`.
    pub grid: &'static [usize],
    /// `axes` in the order in which tiles list them; memory is contiguous along the last.
    pub order: &'static [usize],
    /// Sets of axes that tiles have.
    pub together: &'static [&'static [usize]],
    /// Products of matrices.
    pub dots: &'static [Dot],
    /// Shared memory.
    pub regions: &'static [Region],
    /// Operands that are copied ahead of their use.
    pub copies: &'static [Copy],
    /// Loops with such operands.
    pub rings: usize,
    /// Whether a warp of its own can make all those copies.
    pub producer: bool,
    /// Whether those are as many in every program.
    pub even: bool,
    /// Accesses that may move vectors.
    pub sites: &'static [Site],
    /// Element types of the tensors.
    pub tensors: &'static [Elem],
    /// Names of the generic element types.
    pub elements: &'static [&'static str],
    /// Names of the const parameters, and whether they are truth values.
    pub consts: &'static [(&'static str, bool)],
}

/// A `#[device]` function as C++ text.
#[derive(Debug)]
pub struct Function {
    /// As the user wrote it.
    pub name: &'static str,
    /// Its definition; it calls itself `FN_SELF` and others `FN_0`, `FN_1`, …
    pub source: &'static str,
    /// Those others.
    pub callees: &'static [&'static Function],
}

/// An axis.
#[derive(Debug)]
pub struct Axis {
    /// In the text.
    pub name: &'static str,
    /// What it is.
    pub kind: AxisKind,
    /// One of the grid.
    pub grid: bool,
}

/// What an axis is. `dim` is a position in `Meta::dims`.
#[derive(Debug)]
pub enum AxisKind {
    /// Blocked; `axis` is its position in `Meta::axes`; `part`: over a part of the dimension only.
    Tile {
        /// The dimension.
        dim: usize,
        /// In `Meta::axes`.
        axis: usize,
        /// Whether bounds were given.
        part: bool,
    },
    /// A whole dimension.
    Whole {
        /// The dimension.
        dim: usize,
    },
    /// No tile extends along it.
    Scalar,
}

/// An element type.
#[derive(Clone, Copy, Debug)]
pub enum Elem {
    /// This one.
    Of(Kind),
    /// The generic of this position.
    Param(usize),
}

/// A product of two matrices: axes as positions in `Kernel::axes`.
#[derive(Debug)]
pub struct Dot {
    /// Of the left side alone.
    pub rows: usize,
    /// Of the right side alone.
    pub columns: usize,
    /// Of both.
    pub contracted: usize,
    /// Type of the left side.
    pub lhs: Elem,
    /// Type of the right side.
    pub rhs: Elem,
    /// Type of the result.
    pub result: Elem,
}

/// A part of shared memory.
#[derive(Debug)]
pub enum Region {
    /// 16 bytes a thread.
    Scratch,
    /// A block of each of the axes.
    Tile {
        /// Positions in `Kernel::axes`.
        axes: &'static [usize],
        /// Of the elements.
        elem: Elem,
        /// One a turn of a loop that is under way.
        slots: bool,
    },
    /// The left side of a product, if it does not stay in registers.
    Held {
        /// Positions in `Kernel::axes`.
        axes: &'static [usize],
        /// Of the elements.
        elem: Elem,
        /// In `Kernel::dots`.
        dot: usize,
    },
    /// Barriers of a ring's slots.
    Barriers,
}

/// An operand that is copied to shared memory ahead of its use.
#[derive(Debug)]
pub struct Copy {
    /// Among the tensors.
    pub tensor: usize,
    /// Of each of the tensor's dimensions: the axis along it, in `Kernel::axes`; none where one index is
    /// taken.
    pub index: &'static [Option<usize>],
    /// The loop.
    pub ring: usize,
}

/// A tensor that is read or written along an axis by vectors, if its layout allows.
#[derive(Debug)]
pub struct Site {
    /// Among the tensors.
    pub tensor: usize,
    /// In `Kernel::axes`.
    pub axis: usize,
}

impl Elem {
    /// The type, where the generics are `kinds`.
    pub(crate) fn kind(self, kinds: &[Kind]) -> Kind {
        match self {
            Elem::Of(kind) => kind,
            Elem::Param(at) => kinds.get(at).copied().unwrap_or(Kind::F32),
        }
    }
}
