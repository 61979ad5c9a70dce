//! Sums of products without passes of their own: the first product clears the sum, and a sum that is stored
//! as it is can be made where it goes to.
//!
//! ```text
//! for each m                          for each block of k: b0[m, n] += dot of …, the first one clears
//!   lanes n: acc = 0            →     unless b0 is a part of out:
//! for each block of k                   for each m
//!   b0[m, n] += dot of …                  lanes n: store out = acc
//! for each m
//!   lanes n: store out = acc
//! ```
//!
//! A row that is added on the way, a bias, is added by the last product.

use super::{Accumulate, BufferId, Dot, Node, Operand, Schedule, each_node};
use crate::ir::{
    AxisId, AxisKind, BinaryOp, DimId, Elem, Index, Kernel, Literal, Op, ParamId, ParamKind, ValueId,
};

/// A buffer that may be a part of a tensor: the kernel stores it there as it is, or with a row added, once, and reads
/// no element of the tensor.
#[derive(Clone, Debug)]
pub struct Output {
    /// The buffer.
    pub buffer: BufferId,
    /// The tensor.
    pub tensor: ParamId,
    /// One a dimension: each axis of the buffer once, and indices of the grid.
    pub index: Vec<Index>,
    /// A vector along the last axis of the buffer that is added on the way.
    pub plus: Option<Row>,
}

/// A vector that is added to each row of a buffer by the last part of the buffer's one product.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its tensor.
    pub tensor: ParamId,
    /// The dimension that the product sums over.
    pub over: DimId,
}

/// Leaves clearing to products, and finds what may be made in outputs.
pub(super) fn sums(schedule: &mut Schedule) {
    let mut body = std::mem::take(&mut schedule.body);
    clear_by_products(schedule, &mut body);
    copies(schedule, &mut body);
    schedule.body = body;
}

fn clear_by_products(schedule: &Schedule, nodes: &mut Vec<Node>) {
    let mut at = 0;
    while at < nodes.len() {
        match &mut nodes[at] {
            Node::Sequential { body, .. } | Node::Sum { body, .. } => clear_by_products(schedule, body),
            Node::If { then, otherwise, .. } => {
                clear_by_products(schedule, then);
                clear_by_products(schedule, otherwise);
            }
            Node::Loop { .. }
            | Node::Compute { .. }
            | Node::Keep { .. }
            | Node::Fetch { .. }
            | Node::Accumulate { .. }
            | Node::Assign { .. }
            | Node::Store { .. }
            | Node::Dot(_)
            | Node::Copy { .. }
            | Node::Shortcut { .. }
            | Node::Break
            | Node::Continue => {}
        }
        let user = cleared(schedule, &nodes[at]).and_then(|buffer| {
            let later = nodes[at + 1..].iter().position(|node| touches(schedule, node, buffer))?;
            Some((buffer, at + 1 + later))
        });
        if let Some((into, user)) = user
            && matches!(nodes[user], Node::Sequential { .. })
            && only_sums(schedule, &nodes[user..=user], into)
        {
            let mut body = vec![nodes.remove(user)];
            first_clears(&mut body, into);
            let clear = std::mem::replace(&mut nodes[at], Node::Break);
            nodes.insert(user, Node::Sum { into, body, clear: vec![clear] });
            nodes.remove(at);
            continue;
        }
        at += 1;
    }
}

/// The innermost nodes of a nest of loops without reductions, and the axes of these.
fn innermost(node: &Node) -> Option<(Vec<AxisId>, &[Node])> {
    let (mut axes, mut node) = (Vec::new(), node);
    while let Node::Loop { axis, reductions, body, .. } = node {
        if !reductions.is_empty() {
            return None;
        }
        axes.push(*axis);
        match &body[..] {
            [inner @ Node::Loop { .. }] => node = inner,
            rest => return Some((axes, rest)),
        }
    }
    None
}

/// The buffer that a node clears, if it does nothing else.
fn cleared(schedule: &Schedule, node: &Node) -> Option<BufferId> {
    let (_, nodes) = innermost(node)?;
    let (var, value) = match nodes {
        [Node::Assign { var, value }] => (*var, *value),
        [Node::Compute { value: computed, keep: None }, Node::Assign { var, value }] if computed == value => {
            (*var, *value)
        }
        _ => return None,
    };
    schedule.variables[var.at()].filter(|_| is_zero(&schedule.kernel, value))
}

fn is_zero(kernel: &Kernel, value: ValueId) -> bool {
    let op = &kernel.values[value].op;
    if let Op::Broadcast(of) = op {
        return is_zero(kernel, *of);
    }
    // The bits of -0.0 are others.
    matches!(op, Op::Literal(Literal::Int(0)))
        || matches!(op, Op::Literal(Literal::Float(x)) if x.to_bits() == 0)
}

/// Whether all that touches a buffer are products that add onto all of it.
fn only_sums(schedule: &Schedule, nodes: &[Node], buffer: BufferId) -> bool {
    let of = |nodes: &[Node]| only_sums(schedule, nodes, buffer);
    nodes.iter().all(|node| match node {
        Node::Dot(dot) if dot.into == buffer => {
            let is_operand = |side: &Operand| matches!(side, Operand::Buffer(b) if *b == buffer);
            dot.accumulate == Accumulate::Always
                && !is_operand(&dot.lhs)
                && !is_operand(&dot.rhs)
                && schedule.buffers[buffer.0].axes.iter().all(|axis| dot.layout().any(|of| of == *axis))
        }
        Node::Sequential { body, .. } => of(body),
        Node::If { then, otherwise, .. } => of(then) && of(otherwise),
        Node::Compute { .. }
        | Node::Keep { .. }
        | Node::Fetch { .. }
        | Node::Accumulate { .. }
        | Node::Assign { .. }
        | Node::Store { .. }
        | Node::Loop { .. }
        | Node::Dot(_)
        | Node::Sum { .. }
        | Node::Copy { .. }
        | Node::Shortcut { .. }
        | Node::Break
        | Node::Continue => !touches(schedule, node, buffer),
    })
}

fn first_clears(nodes: &mut [Node], buffer: BufferId) {
    for node in nodes {
        match node {
            Node::Dot(dot) if dot.into == buffer => dot.accumulate = Accumulate::AfterFirst,
            Node::Sequential { body, .. } | Node::Sum { body, .. } => first_clears(body, buffer),
            Node::If { then, otherwise, .. } => {
                first_clears(then, buffer);
                first_clears(otherwise, buffer);
            }
            Node::Loop { .. }
            | Node::Compute { .. }
            | Node::Keep { .. }
            | Node::Fetch { .. }
            | Node::Accumulate { .. }
            | Node::Assign { .. }
            | Node::Store { .. }
            | Node::Dot(_)
            | Node::Copy { .. }
            | Node::Shortcut { .. }
            | Node::Break
            | Node::Continue => {}
        }
    }
}

/// Whether a node reads or writes a buffer, in itself or inside.
fn touches(schedule: &Schedule, node: &Node, buffer: BufferId) -> bool {
    let any = |nodes: &[Node]| nodes.iter().any(|node| touches(schedule, node, buffer));
    match node {
        Node::Compute { value, keep } => *keep == Some(buffer) || reads(schedule, *value) == Some(buffer),
        Node::Keep { buffer: other, .. } | Node::Fetch { buffer: other, .. } => *other == buffer,
        Node::Accumulate { state, .. } => *state == Some(buffer),
        Node::Assign { var, .. } => schedule.variables[var.at()] == Some(buffer),
        Node::Loop { reductions, body, .. } => {
            let of = |state: Option<BufferId>| state == Some(buffer);
            reductions.iter().any(|reduction| of(reduction.state) || of(reduction.keep)) || any(body)
        }
        Node::Dot(Dot { lhs, rhs, into, .. }) => {
            let is_operand = |side: &Operand| matches!(side, Operand::Buffer(b) if *b == buffer);
            *into == buffer || is_operand(lhs) || is_operand(rhs)
        }
        Node::Sequential { body, .. } => any(body),
        Node::Sum { into, body, clear } => *into == buffer || any(body) || any(clear),
        Node::Copy { buffer: other, body } => *other == buffer || any(body),
        Node::If { then, otherwise, .. } => any(then) || any(otherwise),
        Node::Shortcut { otherwise, .. } => touches(schedule, otherwise, buffer),
        Node::Store { .. } | Node::Break | Node::Continue => false,
    }
}

/// The buffer of the variable that a value reads.
fn reads(schedule: &Schedule, value: ValueId) -> Option<BufferId> {
    let Op::Read(var) = schedule.kernel.values[value].op else { return None };
    schedule.variables[var.at()]
}

/// Marks what copies a buffer to a tensor, and lists the buffers.
fn copies(schedule: &mut Schedule, nodes: &mut [Node]) {
    for at in 0..nodes.len() {
        let Some((mut output, row)) = copied(schedule, &nodes[at]) else { continue };
        let is_used_later = nodes[at + 1..].iter().any(|node| touches(schedule, node, output.buffer));
        let (mut products, mut stores) = (0, 0);
        each_node(nodes, &mut |node| {
            products += usize::from(matches!(node, Node::Dot(dot) if dot.into == output.buffer));
            stores += usize::from(matches!(node, Node::Store { tensor, .. } if *tensor == output.tensor));
        });
        if is_used_later || products == 0 || stores != 1 {
            continue;
        }
        if let Some(tensor) = row {
            let Some(over) = last_product(schedule, &nodes[..at], output.buffer).filter(|_| products == 1)
            else {
                continue;
            };
            output.plus = Some(Row { tensor, over });
        }
        let body = vec![std::mem::replace(&mut nodes[at], Node::Break)];
        nodes[at] = Node::Copy { buffer: output.buffer, body };
        schedule.outputs.push(output);
    }
}

/// The output that a node copies a buffer to, and the tensor of a row that it adds.
fn copied(schedule: &Schedule, node: &Node) -> Option<(Output, Option<ParamId>)> {
    let kernel = &schedule.kernel;
    let (mut loops, nodes) = innermost(node)?;
    let [before @ .., Node::Store { tensor, index, value }] = nodes else { return None };
    let (sum, load) = match before {
        [_] => (*value, None),
        [others @ .., Node::Compute { value: all, keep: None }] if all == value => {
            added(schedule, others, *value)?
        }
        _ => return None,
    };
    let buffer = before.iter().find_map(|node| source(schedule, node, sum))?;
    let plus = match load {
        Some(load) => Some(row(schedule, load, *schedule.buffers[buffer.0].axes.last()?)?),
        None => None,
    };
    let ParamKind::Tensor { elem, dims, .. } = &kernel.params[*tensor].kind else { return None };
    let of = &schedule.buffers[buffer.0];
    // A buffer of other elements holds lanes, which are wider.
    if *elem != of.elem || !matches!(elem, Elem::F32 | Elem::F64 | Elem::I32 | Elem::U32 | Elem::I64) {
        return None;
    }
    let is_read =
        kernel.values.iter().any(|(_, value)| matches!(value.op, Op::Load { tensor: t, .. } if t == *tensor));
    let mut axes: Vec<AxisId> = Vec::new();
    for (d, index) in index.iter().enumerate() {
        match index {
            Index::Axis { axis, offset: None } => axes.push(*axis),
            Index::Scalar(value) if is_of_grid(schedule, *value, dims[d]) => {}
            Index::Axis { .. } | Index::Scalar(_) | Index::Gather(_) => return None,
        }
    }
    let mut own = of.axes.clone();
    [&mut axes, &mut own, &mut loops].into_iter().for_each(|axes| axes.sort());
    let output = Output { buffer, tensor: *tensor, index: index.clone(), plus: None };
    (!is_read && !own.is_empty() && axes == own && loops == own).then_some((output, plus))
}

/// The buffer that a node reads a value from.
fn source(schedule: &Schedule, node: &Node, wanted: ValueId) -> Option<BufferId> {
    if let Node::Fetch { value, buffer } = node {
        return (*value == wanted).then_some(*buffer);
    }
    let is_read = matches!(node, Node::Compute { value, keep: None } if *value == wanted);
    is_read.then(|| reads(schedule, wanted)).flatten()
}

/// The two values that a sum adds: what two nodes before it read, of which the second one loads from a tensor.
fn added(schedule: &Schedule, others: &[Node], sum: ValueId) -> Option<(ValueId, Option<ValueId>)> {
    let op = |value: ValueId| &schedule.kernel.values[value].op;
    let Op::Binary(BinaryOp::Add, lhs, rhs) = *op(sum) else { return None };
    let is_load = |value: ValueId| matches!(op(value), Op::Load { .. });
    let (read, load) = if is_load(rhs) { (lhs, rhs) } else { (rhs, lhs) };
    let loads = |node: &Node| matches!(node, Node::Compute { value, keep: None } if *value == load);
    let are_both = others.len() == 2
        && others.iter().any(loads)
        && others.iter().any(|node| source(schedule, node, read).is_some());
    are_both.then_some((read, Some(load)))
}

/// The tensor of f32 that a load reads along `axis`, its only one.
fn row(schedule: &Schedule, load: ValueId, along: AxisId) -> Option<ParamId> {
    let kernel = &schedule.kernel;
    let Op::Load { tensor, index, default: None } = &kernel.values[load].op else { return None };
    let [Index::Axis { axis, offset: None }] = index[..] else { return None };
    let ParamKind::Tensor { elem: Elem::F32, .. } = kernel.params[*tensor].kind else { return None };
    (axis == along && !super::is_writable(kernel, *tensor)).then_some(*tensor)
}

/// The whole dimension that a buffer's product sums over, in one part or several, if that is the last of these nodes that
/// touches the buffer.
fn last_product(schedule: &Schedule, nodes: &[Node], buffer: BufferId) -> Option<DimId> {
    let (axes, columns) = (&schedule.kernel.axes, schedule.buffers[buffer.0].axes.last());
    let is_it = |dot: &Dot| dot.into == buffer && dot.columns.as_ref() == columns;
    let node = nodes.iter().rfind(|node| touches(schedule, node, buffer))?;
    if let Node::Dot(dot) = node {
        let AxisKind::Whole { dim } = axes[dot.contracted].kind else { return None };
        return is_it(dot).then_some(dim);
    }
    let Node::Sum { body, .. } = node else { return None };
    let [Node::Sequential { axis, body, .. }] = &body[..] else { return None };
    let AxisKind::Tile { dim, begin: None, end: None, .. } = axes[*axis].kind else { return None };
    let mut leaves = false;
    each_node(body, &mut |node| leaves |= matches!(node, Node::Break | Node::Continue));
    let mut touching = body.iter().filter(|node| touches(schedule, node, buffer));
    let (Some(Node::Dot(dot)), None) = (touching.next(), touching.next()) else { return None };
    (!leaves && is_it(dot) && dot.contracted == *axis).then_some(dim)
}

/// Whether an index is the grid's and in range by construction.
fn is_of_grid(schedule: &Schedule, value: ValueId, dim: DimId) -> bool {
    let Op::Each(axis) = schedule.kernel.values[value].op else { return false };
    schedule.grid.contains(&axis)
        && matches!(schedule.kernel.axes[axis].kind, AxisKind::Each { dim: of, .. } if of == dim)
}
