//! The invariants of the IR, checked after the parser in tests and debug builds.
//!
//! In: a kernel. Out: what is broken, in words; a well-formed kernel gives nothing.

use crate::diagnostics::Diagnostics;
use crate::ir::{AxisId, AxisSet, Block, Elem, Index, Kernel, Op, ParamKind, Stmt, ValueId, VarId};
use std::collections::HashSet;

/// What is wrong with a kernel; empty if nothing is.
#[must_use]
pub fn verify(kernel: &Kernel) -> Vec<String> {
    let mut verifier = Verifier {
        kernel,
        faults: Vec::new(),
        values: HashSet::new(),
        vars: HashSet::new(),
        axes: Vec::new(),
    };
    verifier.block(&kernel.body);
    let grids = kernel.body.iter().filter(|stmt| matches!(stmt, Stmt::For { .. })).count();
    if grids != 1 {
        verifier.fault(format!("the body has {grids} grid loops, not one"));
    }
    if !matches!(kernel.body.last(), Some(Stmt::For { .. })) {
        verifier.fault("the grid loop is not the last statement".to_string());
    }
    verifier.faults
}

/// Reports a broken kernel as an internal fault, with the printed IR.
pub fn verify_or_report(kernel: &Kernel, errors: &mut Diagnostics) {
    let faults = verify(kernel);
    if !faults.is_empty() {
        errors.error(
            kernel.name.span(),
            format!("internal fault of tilewright: {}\n{}", faults.join("; "), crate::print::print(kernel)),
            "this is not your mistake: please report it with the kernel",
        );
    }
}

struct Verifier<'k> {
    kernel: &'k Kernel,
    faults: Vec<String>,
    /// Defined here or around.
    values: HashSet<ValueId>,
    /// Declared here or around.
    vars: HashSet<VarId>,
    /// Of the loops around.
    axes: Vec<AxisId>,
}

impl Verifier<'_> {
    fn fault(&mut self, text: String) {
        self.faults.push(text);
    }

    fn block(&mut self, block: &Block) {
        let (values, vars) = (self.values.clone(), self.vars.clone());
        for stmt in block {
            self.stmt(stmt);
        }
        (self.values, self.vars) = (values, vars);
    }

    fn stmt(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Let(value) => self.define(*value),
            Stmt::Assign(var, value) => {
                self.used(*value, "an assignment");
                if self.kernel.values[*value].ty != self.kernel.vars[*var].ty {
                    self.fault(format!("the variable {} changes its type", self.kernel.vars[*var].name));
                }
                self.vars.insert(*var);
            }
            Stmt::Store { tensor, index, value, .. } => {
                self.used(*value, "a store");
                let axes = self.index(index);
                let ty = &self.kernel.values[*value].ty;
                if !axes.includes(&ty.axes) {
                    self.fault(format!("a store of v{} leaves out an axis", value.0));
                }
                match &self.kernel.params[*tensor].kind {
                    ParamKind::Tensor { elem, dims, writable } => {
                        if !writable || *elem != ty.elem || dims.len() != index.len() {
                            self.fault(format!(
                                "a store to {} does not fit it",
                                self.kernel.params[*tensor].name
                            ));
                        }
                    }
                    ParamKind::Scalar { .. } => self.fault("a store to a scalar".to_string()),
                }
            }
            Stmt::For { axes, body, .. } => {
                if axes.is_empty() {
                    self.fault("a loop without axes".to_string());
                }
                let n_around = self.axes.len();
                self.axes.extend(axes);
                self.block(body);
                self.axes.truncate(n_around);
            }
            Stmt::If { condition, then, otherwise } => {
                self.scalar(*condition, Elem::Bool, "a condition");
                self.block(then);
                self.block(otherwise);
            }
            Stmt::Assert { condition, .. } => self.scalar(*condition, Elem::Bool, "an assertion"),
            Stmt::Break | Stmt::Continue => {}
        }
    }

    fn is_leaf(op: &Op) -> bool {
        matches!(
            op,
            Op::Literal(_)
                | Op::Dim(_)
                | Op::Param(_)
                | Op::Const(_)
                | Op::Each(_)
                | Op::AxisBegin(_)
                | Op::AxisEnd(_)
                | Op::AxisLen(_)
        )
    }

    fn used(&mut self, value: ValueId, by: &str) {
        if !Self::is_leaf(&self.kernel.values[value].op) && !self.values.contains(&value) {
            self.fault(format!("v{} is used by {by} before it is defined", value.0));
        }
    }

    fn scalar(&mut self, value: ValueId, elem: Elem, what: &str) {
        self.used(value, what);
        let ty = &self.kernel.values[value].ty;
        if ty.elem != elem || !ty.axes.is_empty() {
            self.fault(format!("{what}, v{}, is no scalar of its type", value.0));
        }
    }

    fn index(&mut self, index: &[Index]) -> AxisSet {
        let mut all = AxisSet::default();
        for part in index {
            match part {
                Index::Axis { axis, offset } => {
                    if let Some(offset) = offset {
                        self.scalar(*offset, Elem::I32, "an offset");
                    }
                    all = all.union(&AxisSet::new([*axis]));
                }
                Index::Scalar(value) | Index::Gather(value) => {
                    self.used(*value, "an index");
                    let ty = &self.kernel.values[*value].ty;
                    if !matches!(ty.elem, Elem::I32 | Elem::I64) {
                        self.fault(format!("the index v{} is no i32 or i64", value.0));
                    }
                    if matches!(part, Index::Scalar(_)) != ty.axes.is_empty() {
                        self.fault(format!(
                            "the index v{} is a tile where a scalar is meant, or the reverse",
                            value.0
                        ));
                    }
                    all = all.union(&ty.axes);
                }
            }
        }
        all
    }

    fn define(&mut self, id: ValueId) {
        let value = &self.kernel.values[id];
        if let Op::Fold(fold) = &value.op {
            self.values.extend(fold.body.iter().copied());
            self.values.extend([fold.lhs, fold.rhs]);
        }
        for operand in value.op.operands() {
            self.used(operand, &format!("v{}", id.0));
        }
        for axis in value.ty.axes.iter() {
            let whole = matches!(self.kernel.axes[axis].kind, crate::ir::AxisKind::Whole { .. });
            if !whole && !self.axes.contains(&axis) {
                self.fault(format!(
                    "v{} extends along {}, whose loop is not around it",
                    id.0, self.kernel.axes[axis].name
                ));
            }
        }
        self.check_type(id);
        if !self.values.insert(id) {
            self.fault(format!("v{} is computed twice", id.0));
        }
    }

    fn check_type(&mut self, id: ValueId) {
        let value = &self.kernel.values[id];
        let ty = |id: ValueId| &self.kernel.values[id].ty;
        let union = |ids: &[ValueId]| ids.iter().fold(AxisSet::default(), |all, id| all.union(&ty(*id).axes));
        let has = &value.ty;
        let fine = match &value.op {
            Op::Literal(_)
            | Op::Dim(_)
            | Op::Param(_)
            | Op::Const(_)
            | Op::Each(_)
            | Op::AxisBegin(_)
            | Op::AxisEnd(_)
            | Op::AxisLen(_) => has.axes.is_empty(),
            Op::AxisIndex(axis) => has.elem == Elem::I32 && has.axes == AxisSet::new([*axis]),
            Op::Read(var) => self.vars.contains(var) && self.kernel.vars[*var].ty == *has,
            Op::Broadcast(of) => ty(*of).elem == has.elem && has.axes.includes(&ty(*of).axes),
            Op::Unary(_, of) => ty(*of) == has,
            Op::Cast(of) => ty(*of).axes == has.axes,
            Op::Binary(_, a, b) => {
                ty(*a).elem == has.elem && ty(*b).elem == has.elem && has.axes == union(&[*a, *b])
            }
            Op::Compare(_, a, b) => {
                ty(*a).elem == ty(*b).elem && has.elem == Elem::Bool && has.axes == union(&[*a, *b])
            }
            Op::Select(c, a, b) => {
                ty(*c).elem == Elem::Bool
                    && ty(*a).elem == has.elem
                    && ty(*b).elem == has.elem
                    && has.axes == union(&[*c, *a, *b])
            }
            Op::Call(_, args) => has.axes == union(args),
            Op::Reduce(_, of, axis) => {
                ty(*of).axes.contains(*axis) && has.axes == ty(*of).axes.without(*axis)
            }
            Op::Fold(fold) => {
                ty(fold.value).axes.contains(fold.axis)
                    && has.axes == ty(fold.value).axes.without(fold.axis)
                    && [fold.value, fold.init, fold.result].iter().all(|part| ty(*part).elem == has.elem)
            }
            Op::Dot(a, b, axis) => {
                ty(*a).axes.contains(*axis)
                    && ty(*b).axes.contains(*axis)
                    && has.axes == union(&[*a, *b]).without(*axis)
            }
            Op::Load { .. } => true,
        };
        if !fine {
            self.fault(format!("v{} has the wrong type", id.0));
        }
        if let Op::Load { tensor, index, .. } = &value.op {
            let (axes, elem) = (has.axes.clone(), has.elem);
            let tensor_elem = match &self.kernel.params[*tensor].kind {
                ParamKind::Tensor { elem, dims, .. } if dims.len() == index.len() => Some(*elem),
                ParamKind::Tensor { .. } | ParamKind::Scalar { .. } => None,
            };
            if self.index(index) != axes || tensor_elem != Some(elem) {
                self.fault(format!("the load v{} does not fit its tensor", id.0));
            }
        }
    }
}
