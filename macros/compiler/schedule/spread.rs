//! Squared deviations from a mean (how far a row is spread), summed in the loop that finds the mean.
//!
//! A layer norm reads a row for its mean and again for what is left of it, squared. Since Σ(x − μ)² = Σx² − μ·Σx, one
//! loop can find both. The difference is as precise as a sum of squares unless most of it cancels: so the second loop
//! stays, for rows whose mean is further from 0 than they spread, and for those that are not finite.
//!
//! ```text
//! lanes N                                 lanes N
//!   v1 sum over N of v0                     v1 sum over N of v0
//! v2 = v1 / N                               v9 = v0 mul v0, v10 sum over N of v9
//! lanes N                           →     v2 = v1 / N
//!   v3 = v0 sub v2, v4 = v3 mul v3        v12 = v10 sub v1 · v2
//!   v5 sum over N of v4                   v5 = v12 if v10 lt v12 add v12, else
//!                                           lanes N: v3 = …, v5 sum over N of v4
//! ```

use super::peaks::unspread;
use super::{Node, Reduction, Schedule};
use crate::ir::{
    AxisId, AxisKind, AxisSet, BinaryOp, CompareOp, Elem, Kernel, Op, ReduceOp, Type, Value, ValueId,
};

/// A sum of squared deviations from a mean.
struct Spread {
    /// Itself.
    value: ValueId,
    /// What deviates.
    of: ValueId,
    mean: ValueId,
    /// The sum that the mean is made of.
    sum: ValueId,
    axis: AxisId,
}

/// Finds such sums in the loops before them.
pub(super) fn spread(schedule: &mut Schedule) {
    spread_in(&mut schedule.kernel, &mut schedule.body);
}

fn spread_in(kernel: &mut Kernel, nodes: &mut Vec<Node>) {
    let mut at = 0;
    while at < nodes.len() {
        if let Node::Loop { body, lanes: false, .. } | Node::Sequential { body, .. } = &mut nodes[at] {
            spread_in(kernel, body);
        } else if let Node::If { then, otherwise, .. } = &mut nodes[at] {
            spread_in(kernel, then);
            spread_in(kernel, otherwise);
        }
        if let Some(spread) = found(kernel, &nodes[at])
            && let Some(first) = nodes[..at].iter().position(|node| finds(node, spread.sum, spread.axis))
            && defines(&nodes[first + 1..at], spread.mean)
            && is_at_hand(kernel, &nodes[first], spread.of)
        {
            let squares = add_squares(kernel, &mut nodes[first], &spread);
            let values = known(kernel, &spread, squares);
            let [.., known, _, condition] = values;
            let otherwise = Box::new(std::mem::replace(&mut nodes[at], Node::Break));
            nodes[at] = Node::Shortcut { value: spread.value, condition, known, otherwise };
            nodes.splice(at..at, values.map(|value| Node::Compute { value, keep: None }));
            at += values.len();
        }
        at += 1;
    }
}

/// The spread that a loop finds, if it does nothing else.
fn found(kernel: &Kernel, node: &Node) -> Option<Spread> {
    let Node::Loop { axis, lanes: true, reductions, body } = node else { return None };
    let [Reduction { value, state: None, keep: None }] = reductions[..] else { return None };
    let has_effects = |node: &Node| {
        let is_kept =
            matches!(node, Node::Compute { keep: Some(_), .. } | Node::Accumulate { state: Some(_), .. });
        is_kept || !matches!(node, Node::Compute { .. } | Node::Accumulate { .. } | Node::Fetch { .. })
    };
    let Op::Reduce(ReduceOp::Sum, square, over) = kernel.values[value].op else { return None };
    let Op::Binary(BinaryOp::Mul, lhs, rhs) = kernel.values[square].op else { return None };
    let (of, mean) = deviation(kernel, lhs)?;
    let is_square = over == *axis && deviation(kernel, rhs) == Some((of, mean));
    if !is_square || body.iter().any(has_effects) {
        return None;
    }
    let Op::Binary(BinaryOp::Div, sum, count) = kernel.values[mean].op else { return None };
    let Op::Reduce(ReduceOp::Sum, summed, along) = kernel.values[sum].op else { return None };
    let elem = kernel.values[value].ty.elem;
    let is_alike = |value: ValueId| kernel.values[value].ty.elem == elem;
    let fits = along == *axis
        && kernel.values[of].ty.axes.contains(*axis)
        && is_same_number(kernel, of, unspread(kernel, summed))
        && is_length(kernel, count, *axis)
        && matches!(elem, Elem::F32 | Elem::F64)
        && [of, mean, sum].into_iter().all(is_alike);
    fits.then_some(Spread { value, of, mean, sum, axis: *axis })
}

/// Whether a value is another one, if need be in the type that is computed in.
fn is_same_number(kernel: &Kernel, value: ValueId, other: ValueId) -> bool {
    let Op::Cast(of) = kernel.values[value].op else { return value == other };
    let elem = |value: ValueId| kernel.values[value].ty.elem;
    let is_computed_in = elem(of).compute(&kernel.elements) == Some(elem(value));
    value == other || is_computed_in && unspread(kernel, of) == other
}

/// `of - mean`, where the axes of both are put aside.
fn deviation(kernel: &Kernel, value: ValueId) -> Option<(ValueId, ValueId)> {
    let Op::Binary(BinaryOp::Sub, of, mean) = kernel.values[unspread(kernel, value)].op else { return None };
    Some((unspread(kernel, of), unspread(kernel, mean)))
}

/// Whether a value is how many indices an axis has.
fn is_length(kernel: &Kernel, value: ValueId, axis: AxisId) -> bool {
    let Op::Cast(count) = kernel.values[value].op else { return false };
    let op = &kernel.values[count].op;
    let is_whole = |of| matches!(kernel.axes[axis].kind, AxisKind::Whole { dim } if dim == of);
    matches!(op, Op::AxisLen(of) if *of == axis) || matches!(op, Op::Dim(dim) if is_whole(*dim))
}

/// Whether a lane loop along an axis sums up to a value, in registers.
fn finds(node: &Node, sum: ValueId, along: AxisId) -> bool {
    let Node::Loop { axis, lanes: true, reductions, body } = node else { return false };
    let is_sum = |reduction: &Reduction| reduction.value == sum && reduction.state.is_none();
    let adds = |node: &Node| matches!(node, Node::Accumulate { value, state: None } if *value == sum);
    *axis == along && reductions.iter().any(is_sum) && body.iter().any(adds)
}

fn defines(nodes: &[Node], wanted: ValueId) -> bool {
    let is_it = |node: &Node| matches!(node, Node::Compute { value, .. } | Node::Fetch { value, .. } if *value == wanted);
    nodes.iter().any(is_it)
}

/// Whether a loop has a value, or what it is a cast of.
fn is_at_hand(kernel: &Kernel, node: &Node, value: ValueId) -> bool {
    let Node::Loop { body, .. } = node else { return false };
    defines(body, value) || matches!(kernel.values[value].op, Op::Cast(of) if defines(body, of))
}

/// Has the loop of the mean sum squares too: the value of that sum.
fn add_squares(kernel: &mut Kernel, node: &mut Node, spread: &Spread) -> ValueId {
    let of = kernel.values[spread.of].ty.clone();
    let square = push(kernel, spread, Op::Binary(BinaryOp::Mul, spread.of, spread.of), of);
    let ty = kernel.values[spread.sum].ty.clone();
    let squares = push(kernel, spread, Op::Reduce(ReduceOp::Sum, square, spread.axis), ty);
    if let Node::Loop { reductions, body, .. } = node {
        reductions.push(Reduction { value: squares, state: None, keep: None });
        let in_type = (!defines(body, spread.of)).then_some(spread.of);
        let computed = in_type.into_iter().chain([square]);
        body.extend(computed.map(|value| Node::Compute { value, keep: None }));
        body.push(Node::Accumulate { value: squares, state: None });
    }
    squares
}

/// What the mean takes from the squares, what is left, twice that, and whether it is more than what was taken from.
fn known(kernel: &mut Kernel, spread: &Spread, squares: ValueId) -> [ValueId; 4] {
    let ty = kernel.values[spread.sum].ty.clone();
    let is = Type { elem: Elem::Bool, axes: AxisSet::clone(&ty.axes) };
    let taken = push(kernel, spread, Op::Binary(BinaryOp::Mul, spread.sum, spread.mean), ty.clone());
    let left = push(kernel, spread, Op::Binary(BinaryOp::Sub, squares, taken), ty.clone());
    let twice = push(kernel, spread, Op::Binary(BinaryOp::Add, left, left), ty);
    let is_most = push(kernel, spread, Op::Compare(CompareOp::Lt, squares, twice), is);
    [taken, left, twice, is_most]
}

fn push(kernel: &mut Kernel, spread: &Spread, op: Op, ty: Type) -> ValueId {
    let span = kernel.values[spread.value].span;
    kernel.values.push(Value { op, ty, span })
}
