//! Checked tile IR → loop nests, for machines that run one program on one thread with vectors.
//!
//! The statements of a block are cut into *runs* of elementwise work, at every `dot`, loop and `if`.
//! A run becomes loops over its axes, as few as its reductions allow; the innermost is the vector loop:
//!
//! ```text
//! let row = x[(m, ..)];             for each m
//! let e = exp(row - row.max(N));      lanes N: v1 = max of x
//! out[(m, ..)] = (e / …).cast();      lanes N: e = exp(x - v1), kept in b0[N]; v4 = sum of e
//!                                     lanes N: store out = b0 / v4
//! ```
//!
//! Where a value has fewer axes than the loops around it, it is a plain scalar. A value that another
//! loop needs is computed again if that is cheap (`row` above), else kept in a buffer that has only
//! the axes of the loops that its uses do not share.
//!
//! Stages: `repeats` (reductions written twice), `lower` (mean → sum / count), `branches` (on const parameters),
//! `forward` (variables whose content is known), `order` (which axis is inside which), `runs`, `cost` (what is computed
//! again), `fuse` (loops), `place` (scopes and buffers), `sums` (products without passes before and after), `spread`
//! (variances without one).

mod branches;
mod cost;
mod forward;
mod fuse;
mod lower;
mod order;
mod peaks;
mod place;
mod print;
mod repeats;
mod runs;
mod spread;
mod sums;
#[cfg(test)]
mod tests;

use crate::ir::{AxisId, Elem, Index, Kernel, ParamId, Stmt, ValueId, VarId};
pub use cost::operation_cost;
pub use peaks::{exponent, is_at_most, is_term, unspread};
use proc_macro2::Span;
pub use sums::Output;

/// A kernel as loop nests.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The kernel with what scheduling rewrote.
    pub kernel: Kernel,
    /// The axes of the grid that are parallel, outermost first.
    pub grid: Vec<AxisId>,
    /// What one program does.
    pub body: Vec<Node>,
    /// Tile buffers in the workspace.
    pub buffers: Vec<Buffer>,
    /// The buffer of each variable that has axes.
    pub variables: Vec<Option<BufferId>>,
    /// The buffers that may be parts of outputs.
    pub outputs: Vec<Output>,
}

/// A position in [`Schedule::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(pub usize);

/// Memory for a tile. Each axis has room for a whole block; the last one is contiguous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Outermost first.
    pub axes: Vec<AxisId>,
    /// Of the value in it.
    pub elem: Elem,
    /// An `argmax` remembers the extreme beside its index.
    pub extreme_of: Option<Elem>,
}

/// A step of a program.
#[derive(Clone, Debug)]
pub enum Node {
    /// Computes a value; in a lane loop a vector of it.
    Compute {
        /// The value.
        value: ValueId,
        /// Where it is kept for another loop.
        keep: Option<BufferId>,
    },
    /// Puts a value, which is in scope, into a buffer.
    Keep {
        /// The value.
        value: ValueId,
        /// The buffer.
        buffer: BufferId,
    },
    /// Reads a value back from its buffer.
    Fetch {
        /// The value.
        value: ValueId,
        /// The buffer.
        buffer: BufferId,
    },
    /// One step of a reduction that a loop around it lists.
    Accumulate {
        /// The reduction.
        value: ValueId,
        /// Its state, if not in registers.
        state: Option<BufferId>,
    },
    /// Assigns to a variable.
    Assign {
        /// The variable.
        var: VarId,
        /// Its new content.
        value: ValueId,
    },
    /// Stores to a tensor.
    Store {
        /// The tensor.
        tensor: ParamId,
        /// One a dimension.
        index: Vec<Index>,
        /// What is stored.
        value: ValueId,
    },
    /// One index of a tile axis after the other; with `lanes` a vector at a time.
    Loop {
        /// The axis.
        axis: AxisId,
        /// The vector loop.
        lanes: bool,
        /// Reductions over the axis: they start before and end after.
        reductions: Vec<Reduction>,
        /// What is done for each.
        body: Vec<Node>,
    },
    /// A `dot` on memory.
    Dot(Dot),
    /// Products onto a buffer, of which the first clears it.
    Sum {
        /// The buffer.
        into: BufferId,
        /// The products.
        body: Vec<Node>,
        /// Clears the buffer if there was none.
        clear: Vec<Node>,
    },
    /// Stores a buffer that is in [`Schedule::outputs`]; nothing to do if it is a part of its tensor.
    Copy {
        /// The buffer.
        buffer: BufferId,
        /// Stores it.
        body: Vec<Node>,
    },
    /// A sequential loop of the kernel.
    Sequential {
        /// `tile`, `each` or `unroll`.
        axis: AxisId,
        /// Whether this is the first axis of its `for`: what `break` leaves.
        first: bool,
        /// What is done for each block.
        body: Vec<Node>,
    },
    /// A reduction that is known if a condition holds.
    Shortcut {
        /// The reduced value.
        value: ValueId,
        /// A scalar bool.
        condition: ValueId,
        /// The value if it holds.
        known: ValueId,
        /// The lane loop that finds it if not.
        otherwise: Box<Node>,
    },
    /// On a scalar.
    If {
        /// A scalar bool.
        condition: ValueId,
        /// If it holds.
        then: Vec<Node>,
        /// If not.
        otherwise: Vec<Node>,
    },
    /// Of the innermost sequential loop.
    Break,
    /// Of the innermost sequential loop.
    Continue,
}

/// A reduction over the axis of a loop.
#[derive(Clone, Debug)]
pub struct Reduction {
    /// The reduced value.
    pub value: ValueId,
    /// Its state, if not in registers: it then is the result too.
    pub state: Option<BufferId>,
    /// Where the result is kept for another loop, if its state is in registers.
    pub keep: Option<BufferId>,
}

/// A matrix product on memory: for all of `around`, `into[rows, columns] (+)= Σ lhs · rhs`.
#[derive(Clone, Debug)]
pub struct Dot {
    /// The value.
    pub value: ValueId,
    /// Has `rows` and `contracted`, and some of `around`.
    pub lhs: Operand,
    /// Has `columns` and `contracted`, and some of `around`.
    pub rhs: Operand,
    /// The contracted axis.
    pub contracted: AxisId,
    /// None: one row.
    pub rows: Option<AxisId>,
    /// None: one column. Contiguous in `into`.
    pub columns: Option<AxisId>,
    /// Axes of the result beyond rows and columns.
    pub around: Vec<AxisId>,
    /// Where the result goes.
    pub into: BufferId,
    /// Onto what is there?
    pub accumulate: Accumulate,
}

impl Dot {
    /// The axes of the result as its buffer has them.
    pub fn layout(&self) -> impl Iterator<Item = AxisId> {
        self.around.iter().copied().chain(self.rows).chain(self.columns)
    }
}

/// Whether a product adds onto what is in its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accumulate {
    /// It replaces that.
    Never,
    /// It does.
    Always,
    /// In a [`Node::Sum`], unless it is the first.
    AfterFirst,
}

/// Where an operand of a `dot` is.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A load: read from the tensor itself.
    Tensor(ValueId),
    /// A buffer.
    Buffer(BufferId),
}

/// Why a kernel cannot be scheduled.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The operation.
    pub span: Span,
    /// What is refused.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// Computes no reduction twice, and has no means and vector products. Means are merged before they become sums, of which
/// others may be the same.
fn simplify(kernel: &mut Kernel) {
    repeats::repeats(kernel);
    lower::lower(kernel);
    repeats::repeats(kernel);
}

/// Schedules a checked kernel.
///
/// # Errors
/// An operation that has no schedule; named, with its span.
pub fn schedule(kernel: &Kernel) -> Result<Schedule, Refusal> {
    let mut kernel = kernel.clone();
    simplify(&mut kernel);
    branches::branches(&mut kernel);
    forward::forward(&mut kernel);
    let order = order::order(&kernel);
    let (grid, body) = split_grid(&kernel)?;
    let runs = runs::cut(&mut kernel, &order, &body)?;
    let anchored = cost::anchored(&kernel, &runs);
    let mut schedule = place::place(kernel, grid, &order, &runs, &anchored);
    sums::sums(&mut schedule);
    spread::spread(&mut schedule);
    Ok(schedule)
}

/// Calls `visit` for each node, in the order in which they run.
pub fn each_node<'n>(nodes: &'n [Node], visit: &mut impl FnMut(&'n Node)) {
    for node in nodes {
        visit(node);
        match node {
            Node::Loop { body, .. } | Node::Sequential { body, .. } | Node::Copy { body, .. } => {
                each_node(body, visit);
            }
            Node::Shortcut { otherwise, .. } => each_node(std::slice::from_ref(otherwise), visit),
            Node::If { then: first, otherwise: second, .. }
            | Node::Sum { body: first, clear: second, .. } => {
                each_node(first, visit);
                each_node(second, visit);
            }
            Node::Compute { .. }
            | Node::Keep { .. }
            | Node::Fetch { .. }
            | Node::Accumulate { .. }
            | Node::Assign { .. }
            | Node::Store { .. }
            | Node::Dot(_)
            | Node::Break
            | Node::Continue => {}
        }
    }
}

/// What a machine that keeps tiles in registers runs: the kernel without repeated reductions, means and vector
/// products, the parallel axes of its grid, and what one program does.
///
/// # Errors
/// An operation that has no schedule; named, with its span.
pub fn gpu_form(kernel: &Kernel) -> Result<(Kernel, Vec<AxisId>, Vec<Stmt>), Refusal> {
    let mut kernel = kernel.clone();
    simplify(&mut kernel);
    let (grid, body) = split_grid(&kernel)?;
    Ok((kernel, grid, body))
}

/// The parallel axes of the grid, and what one program does. An axis whose bounds are known only on
/// the device is not parallel, nor are those inside it.
fn split_grid(kernel: &Kernel) -> Result<(Vec<AxisId>, Vec<Stmt>), Refusal> {
    let mut before = Vec::new();
    for stmt in &kernel.body {
        match stmt {
            Stmt::For { axes, body, span } => {
                let is_known =
                    |axis: &&AxisId| bounds(kernel, **axis).iter().all(|v| kernel.is_launch_constant(*v));
                let n_parallel = axes.iter().take_while(is_known).count().min(8);
                let (grid, rest) = axes.split_at(n_parallel);
                let mut body = body.clone();
                if !rest.is_empty() {
                    body = vec![Stmt::For { axes: rest.to_vec(), body, span: *span }];
                }
                before.extend(body);
                return Ok((grid.to_vec(), before));
            }
            Stmt::Let(value) => before.push(Stmt::Let(*value)),
            Stmt::Assert { .. } => {}
            Stmt::Assign(..) | Stmt::Store { .. } | Stmt::If { .. } | Stmt::Break | Stmt::Continue => {
                return Err(Refusal {
                    span: kernel.name.span(),
                    message: "statements with effects stand outside the loops".into(),
                    help: "move them into the outermost `for`".into(),
                });
            }
        }
    }
    Err(Refusal {
        span: kernel.name.span(),
        message: format!("kernel {} has no loop", kernel.name),
        help: "write `for m in tile(M) { … }` around the work".into(),
    })
}

/// The values that bound an axis.
#[must_use]
pub fn bounds(kernel: &Kernel, axis: AxisId) -> Vec<ValueId> {
    use crate::ir::AxisKind;
    match &kernel.axes[axis].kind {
        AxisKind::Tile { begin, end, .. } | AxisKind::Each { begin, end, .. } => {
            begin.iter().chain(end).copied().collect()
        }
        AxisKind::Unroll { .. } | AxisKind::Whole { .. } => Vec::new(),
    }
}

/// Whether a value has no statement of its own: it is written where it is used.
#[must_use]
pub fn is_leaf(kernel: &Kernel, value: ValueId) -> bool {
    use crate::ir::Op;
    match &kernel.values[value].op {
        Op::Literal(_)
        | Op::Dim(_)
        | Op::Param(_)
        | Op::Const(_)
        | Op::Each(_)
        | Op::AxisIndex(_)
        | Op::AxisBegin(_)
        | Op::AxisEnd(_)
        | Op::AxisLen(_) => true,
        Op::Read(_)
        | Op::Broadcast(_)
        | Op::Unary(..)
        | Op::Binary(..)
        | Op::Compare(..)
        | Op::Select(..)
        | Op::Cast(_)
        | Op::Call(..)
        | Op::Reduce(..)
        | Op::Fold(_)
        | Op::Dot(..)
        | Op::Load { .. } => false,
    }
}

/// The values that a value is computed from where it stands. Of a closure's, those from outside it.
#[must_use]
pub fn operands(kernel: &Kernel, value: ValueId) -> Vec<ValueId> {
    use crate::ir::Op;
    let op = &kernel.values[value].op;
    let Op::Fold(fold) = op else { return op.operands() };
    let used = fold.body.iter().flat_map(|value| kernel.values[*value].op.operands());
    let is_own = |value: &ValueId| [fold.lhs, fold.rhs].contains(value) || fold.body.contains(value);
    let captured = used.chain([fold.result]).filter(|value| !is_own(value));
    [fold.value, fold.init].into_iter().chain(captured).collect()
}

/// What a reduction reduces, and along which axis.
fn reduced(kernel: &Kernel, value: ValueId) -> Option<(ValueId, AxisId)> {
    use crate::ir::Op;
    let op = &kernel.values[value].op;
    if let Op::Reduce(_, of, axis) = op {
        return Some((*of, *axis));
    }
    if let Op::Fold(fold) = op { Some((fold.value, fold.axis)) } else { None }
}

/// Whether a tensor parameter is `&mut`.
#[must_use]
pub fn is_writable(kernel: &Kernel, tensor: ParamId) -> bool {
    use crate::ir::ParamKind;
    match kernel.params[tensor].kind {
        ParamKind::Tensor { writable, .. } => writable,
        ParamKind::Scalar { .. } => false,
    }
}
