//! Races: no two programs write the same element, and none reads what another writes.
//!
//! A store is safe when each grid axis stands in a position of its own, bare or plus or minus a
//! launch constant: then different programs name different elements. All stores to one tensor must
//! agree on those positions and constants, or one program's `out[m]` could be another's `out[m + 1]`.

use crate::diagnostics::Diagnostics;
use crate::ir::{AxisId, Index, Kernel, Op, ParamId, Stmt, ValueId};
use crate::walk::each_statement;
use proc_macro2::Span;

/// One store statement.
struct Store<'k> {
    tensor: ParamId,
    index: &'k [Index],
    value: ValueId,
    span: Span,
}

fn stores(kernel: &Kernel) -> Vec<Store<'_>> {
    let mut all = Vec::new();
    each_statement(&kernel.body, &mut |stmt, _| {
        if let Stmt::Store { tensor, index, value, span } = stmt {
            all.push(Store { tensor: *tensor, index, value: *value, span: *span });
        }
    });
    all
}

/// Every grid axis in a position of its own, every other axis bare somewhere, and agreement between
/// the stores to one tensor.
pub fn check_stores(kernel: &Kernel, errors: &mut Diagnostics) {
    let stores = stores(kernel);
    for (at, store) in stores.iter().enumerate() {
        let grid: Vec<AxisId> = kernel.axes.iter().filter(|(_, axis)| axis.grid).map(|(id, _)| id).collect();
        let safe = grid.iter().filter(|axis| check_grid_axis(kernel, store, **axis, errors)).count();
        if safe < grid.len() {
            continue;
        }
        check_injective(kernel, store, errors);
        if let Some(earlier) = stores[..at].iter().find(|other| other.tensor == store.tensor) {
            check_agreement(kernel, earlier, store, &grid, errors);
        }
    }
}

fn check_grid_axis(kernel: &Kernel, store: &Store, axis: AxisId, errors: &mut Diagnostics) -> bool {
    let (name, tensor) = (&kernel.axes[axis].name, &kernel.params[store.tensor].name);
    let standing = store.index.iter().filter_map(|index| kernel.axis_of_index(index));
    let mut found = standing.filter(|(standing, _)| *standing == axis);
    match found.next() {
        None => {
            errors.error(
                store.span,
                format!("a race: the store to {tensor} leaves out the grid axis {name}, so several programs write the same elements"),
                format!("index {tensor} with {name} in a position of its own, or take {name} out of the outermost `for` and reduce over it"),
            );
            false
        }
        Some((_, Some(offset))) if !kernel.is_launch_constant(offset) => {
            errors.error(
                store.span,
                format!("a race: in the store to {tensor} something is added to the grid axis {name} that differs between programs"),
                format!("use {name} bare, or plus or minus a number that is the same for the whole launch"),
            );
            false
        }
        Some(_) => true,
    }
}

/// Every axis that the value extends along must stand bare, or two lanes could meet in one element.
fn check_injective(kernel: &Kernel, store: &Store, errors: &mut Diagnostics) {
    let bare: Vec<AxisId> =
        store.index.iter().filter_map(|index| kernel.axis_of_index(index)).map(|(axis, _)| axis).collect();
    let gathered = store.index.iter().filter_map(|index| match index {
        Index::Gather(value) => Some(&kernel.values[*value].ty.axes),
        Index::Axis { .. } | Index::Scalar(_) => None,
    });
    let mut needed: Vec<AxisId> = kernel.values[store.value].ty.axes.iter().collect();
    needed.extend(gathered.flat_map(|axes| axes.iter()));
    if let Some(axis) = needed.into_iter().find(|axis| !bare.contains(axis)) {
        let (name, tensor) = (&kernel.axes[axis].name, &kernel.params[store.tensor].name);
        errors.error(
            store.span,
            format!("the store to {tensor} has {name} only inside a computed index, so two elements of the value may meet in one place"),
            format!("give {name} a position of its own; `scatter`, which allows this, comes in a later version"),
        );
    }
}

fn check_agreement(
    kernel: &Kernel,
    earlier: &Store,
    later: &Store,
    grid: &[AxisId],
    errors: &mut Diagnostics,
) {
    let place = |store: &Store, axis: AxisId| {
        store.index.iter().position(|index| kernel.axis_of_index(index).is_some_and(|(a, _)| a == axis))
    };
    for axis in grid {
        let (Some(first), Some(second)) = (place(earlier, *axis), place(later, *axis)) else {
            continue;
        };
        // The whole part: `b + f` and `b - f` both have `f` beside `b`.
        let same = kernel.same_index(&earlier.index[first..=first], &later.index[second..=second]);
        if first != second || !same {
            let (name, tensor) = (&kernel.axes[*axis].name, &kernel.params[later.tensor].name);
            errors.error(
                later.span,
                format!("a race: two stores to {tensor} use the grid axis {name} differently, so one program may write what another does"),
                format!("index {tensor} with {name} in the same position and with the same offset in both stores"),
            );
        }
    }
}

/// A `&mut` tensor is read only at the index at which it is stored, and before that.
pub fn check_reads(kernel: &Kernel, errors: &mut Diagnostics) {
    let mut stored: Vec<ParamId> = Vec::new();
    let all = stores(kernel);
    each_statement(&kernel.body, &mut |stmt, _| match stmt {
        Stmt::Store { tensor, .. } => stored.push(*tensor),
        Stmt::Let(value) => {
            let value = &kernel.values[*value];
            if let Op::Load { tensor, index, .. } = &value.op {
                check_read(kernel, *tensor, index, value.span, &all, stored.contains(tensor), errors);
            }
        }
        Stmt::Assign(..)
        | Stmt::For { .. }
        | Stmt::If { .. }
        | Stmt::Break
        | Stmt::Continue
        | Stmt::Assert { .. } => {}
    });
}

fn check_read(
    kernel: &Kernel,
    tensor: ParamId,
    index: &[Index],
    span: Span,
    all: &[Store],
    after: bool,
    errors: &mut Diagnostics,
) {
    let mut of_tensor = all.iter().filter(|store| store.tensor == tensor);
    let name = &kernel.params[tensor].name;
    if of_tensor.any(|store| !kernel.same_index(store.index, index)) {
        errors.error(
            span,
            format!("a race: {name} is read here at another index than the one it is stored at, so a program may read what another writes"),
            format!("read {name} at the index of its store, or read from a second tensor"),
        );
    } else if after {
        errors.error(
            span,
            format!("{name} is read after it was stored"),
            format!("keep the stored value in a `let` and use that, or read {name} before the store"),
        );
    }
}
