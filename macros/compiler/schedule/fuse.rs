//! A run becomes loops: as few, and as far inside each other, as its reductions allow.
//!
//! One axis at a time, outermost first. The items with the axis take odd phases, those without it even
//! ones; a value that is reduced over the axis is there from the next even phase on. All items of an
//! odd phase share one loop over the axis; inside it, the next axis.

use super::place::Placer;
use super::runs::Item;
use super::{operands, reduced};
use crate::ir::{AxisId, AxisSet, Index, Op, ParamId, ValueId, VarId};
use std::collections::{BTreeMap, HashMap};
use std::slice::from_ref;

/// An item with the axes of its loops and the items before it that it waits for.
pub(super) struct Step {
    pub item: Item,
    /// The axes that it runs over.
    space: AxisSet,
    /// The axis that it reduces.
    reduces: Option<AxisId>,
    after: Vec<usize>,
    /// Those of them whose loop over an axis must end before this one's begins.
    apart: Vec<(usize, AxisId)>,
}

impl Placer<'_> {
    /// The items of a run that do something at their place, with what each waits for.
    pub(super) fn steps(&self, items: &[Item]) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut at: HashMap<ValueId, usize> = HashMap::new();
        let mut assigned: HashMap<VarId, usize> = HashMap::new();
        let mut reads: HashMap<VarId, Vec<usize>> = HashMap::new();
        let mut touched: HashMap<ParamId, Vec<usize>> = HashMap::new();
        // What each floating value waits for.
        let mut floats: HashMap<ValueId, Vec<usize>> = HashMap::new();
        for item in items {
            let used = self.used_by(item);
            let mut after: Vec<usize> = Vec::new();
            for value in &used {
                after.extend(at.get(value));
                after.extend(floats.get(value).into_iter().flatten());
            }
            let next = steps.len();
            match item {
                Item::Let(value) => {
                    let op = &self.kernel.values[*value].op;
                    let read = if let Op::Read(var) = op { Some(*var) } else { None };
                    after.extend(read.and_then(|var| assigned.get(&var)));
                    if !self.anchored[value.at()] {
                        floats.insert(*value, after);
                        continue;
                    }
                    if !self.live[value.at()] {
                        continue;
                    }
                    if let Some(var) = read {
                        reads.entry(var).or_default().push(next);
                    }
                    if let Op::Load { tensor, .. } = self.kernel.values[*value].op
                        && super::is_writable(self.kernel, tensor)
                    {
                        let touched = touched.entry(tensor).or_default();
                        after.extend(touched.iter());
                        touched.push(next);
                    }
                    at.insert(*value, next);
                }
                Item::Keep(_) => {}
                Item::Assign(var, _) => {
                    after.extend(reads.get(var).into_iter().flatten());
                    after.extend(assigned.insert(*var, next));
                }
                Item::Store { tensor, .. } => {
                    let touched = touched.entry(*tensor).or_default();
                    after.extend(touched.iter());
                    touched.push(next);
                }
            }
            let (space, reduces) = self.space(item);
            let apart = self.apart(item, &steps);
            steps.push(Step { item: item.clone(), space, reduces, after, apart });
        }
        steps
    }

    /// Earlier stores to the same tensor, with the axes at whose different indices both may name one
    /// element: `out[n] = a; out[n + 1] = b`.
    fn apart(&self, item: &Item, steps: &[Step]) -> Vec<(usize, AxisId)> {
        let Item::Store { tensor, index, .. } = item else { return Vec::new() };
        let mut apart = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            let Item::Store { tensor: other, index: earlier, .. } = &step.item else { continue };
            let part = |(this, that): (&Index, &Index)| match this {
                Index::Axis { axis, .. } if self.kernel.same_index(from_ref(this), from_ref(that)) => {
                    Some(*axis)
                }
                Index::Axis { .. } | Index::Scalar(_) | Index::Gather(_) => None,
            };
            let agree: Vec<AxisId> = index.iter().zip(earlier).filter_map(part).collect();
            if other == tensor {
                apart.extend(step.space.iter().filter(|axis| !agree.contains(axis)).map(|axis| (at, axis)));
            }
        }
        apart
    }

    fn used_by(&self, item: &Item) -> Vec<ValueId> {
        match item {
            Item::Let(value) => operands(self.kernel, *value),
            Item::Keep(value) | Item::Assign(_, value) => vec![*value],
            Item::Store { index, value, .. } => {
                index.iter().filter_map(Index::value).chain([*value]).collect()
            }
        }
    }

    fn space(&self, item: &Item) -> (AxisSet, Option<AxisId>) {
        let axes = |value: ValueId| self.kernel.values[value].ty.axes.clone();
        match item {
            Item::Let(value) => match reduced(self.kernel, *value) {
                Some((of, axis)) => (axes(of), Some(axis)),
                None => (axes(*value), None),
            },
            Item::Keep(value) => (axes(*value), None),
            Item::Assign(var, _) => (self.kernel.vars[*var].ty.axes.clone(), None),
            Item::Store { index, value, .. } => {
                let index = index.iter().map(|index| match index {
                    Index::Axis { axis, .. } => AxisSet::new([*axis]),
                    Index::Gather(value) => axes(*value),
                    Index::Scalar(_) => AxisSet::default(),
                });
                (index.fold(axes(*value), |all, axes| all.union(&axes)), None)
            }
        }
    }

    /// Places the steps `which` into the open scope, in loops over the axes that are not open.
    pub(super) fn fuse(&mut self, steps: &[Step], which: &[usize]) {
        let open = self.open_axes();
        let is_left = |axis: &AxisId, step: usize| !open.contains(axis) && steps[step].space.contains(*axis);
        let next = |axis: &&AxisId| which.iter().any(|step| is_left(axis, *step));
        let Some(axis) = self.order.iter().find(next).copied() else {
            for step in which {
                self.place_item(&steps[*step].item);
            }
            return;
        };
        let is_read = |step: usize| match steps[step].item {
            Item::Let(value) => matches!(self.kernel.values[value].op, Op::Read(_)),
            Item::Keep(_) | Item::Assign(..) | Item::Store { .. } => false,
        };
        for (phase, group) in phases(steps, which, axis, &is_read) {
            if phase % 2 == 0 {
                self.fuse(steps, &group);
                continue;
            }
            let is_last =
                |step: &usize| self.order.iter().all(|other| *other == axis || !is_left(other, *step));
            let lanes = group.iter().all(is_last);
            self.open_loop(axis, lanes);
            self.fuse(steps, &group);
            self.close_loop();
        }
    }
}

/// The steps in groups by phase. A read of a variable waits for the first that needs it: then it need
/// not be kept for that.
fn phases(
    steps: &[Step],
    which: &[usize],
    axis: AxisId,
    is_read: &dyn Fn(usize) -> bool,
) -> BTreeMap<u32, Vec<usize>> {
    let mut phase_of: HashMap<usize, u32> = HashMap::new();
    for &at in which {
        let inside = steps[at].space.contains(axis);
        let known = steps[at].after.iter().filter_map(|before| Some((*before, *phase_of.get(before)?)));
        let least = known.map(|(before, phase)| {
            let apart = if inside && steps[at].apart.contains(&(before, axis)) { 2 } else { 0 };
            phase + distance(&steps[before], inside, axis).max(apart)
        });
        let phase = least.fold(u32::from(inside), u32::max);
        phase_of.insert(at, phase);
    }
    for &at in which.iter().rev().filter(|at| is_read(**at)) {
        let inside = steps[at].space.contains(axis);
        let users = which.iter().filter(|user| steps[**user].after.contains(&at));
        let latest = users.map(|user| {
            let apart = distance(&steps[at], steps[*user].space.contains(axis), axis);
            phase_of.get(user).map_or(0, |phase| phase.saturating_sub(apart))
        });
        if let (Some(latest), Some(phase)) = (latest.min(), phase_of.get_mut(&at))
            && latest > *phase
            && (latest % 2 == 1) == inside
        {
            *phase = latest;
        }
    }
    let mut groups: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for &at in which {
        groups.entry(phase_of.get(&at).copied().unwrap_or(0)).or_default().push(at);
    }
    groups
}

/// How many phases after `before` a step is that waits for it.
fn distance(before: &Step, inside: bool, axis: AxisId) -> u32 {
    let was_inside = before.space.contains(axis);
    match (was_inside, inside) {
        (true, true) if before.reduces == Some(axis) => 2,
        (true, true) | (false, false) => 0,
        (true, false) | (false, true) => 1,
    }
}
