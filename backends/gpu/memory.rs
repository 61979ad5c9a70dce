//! Loads and stores: whole tiles along axes, or element by element with checked indices.

use super::{Emitter, describe::Site};
use crate::meta;
use tilewright_compiler::ir::{
    AxisId, AxisKind, AxisSet, DimId, Elem, Index, Op, ParamId, ParamKind, ValueId,
};

impl Emitter<'_> {
    pub fn tensor(&self, tensor: ParamId) -> (Elem, &[DimId]) {
        match &self.kernel.params[tensor].kind {
            ParamKind::Tensor { elem, dims, .. } => (*elem, dims),
            ParamKind::Scalar { .. } => (Elem::F32, &[]),
        }
    }

    pub fn tensor_number(&self, tensor: ParamId) -> usize {
        meta::tensors(self.kernel).iter().position(|id| *id == tensor).unwrap_or(0)
    }

    /// Whether every part of an index is a scalar or an axis of its own.
    pub fn is_affine(&self, index: &[Index]) -> bool {
        let mut seen: Vec<AxisId> = Vec::new();
        index.iter().all(|part| match part {
            Index::Axis { axis, offset } => {
                let new = !seen.contains(axis);
                seen.push(*axis);
                new && offset.is_none()
            }
            Index::Scalar(_) => true,
            Index::Gather(_) => false,
        })
    }

    /// The number of a load or store that moves vectors; none if its memory is not contiguous along the
    /// tile's last axis.
    pub fn site(&mut self, tensor: ParamId, index: &[Index], last: Option<AxisId>) -> String {
        let Some(Index::Axis { axis, offset: None }) = index.last() else { return "1".into() };
        // Where a loop runs over a part, the last vector would reach beyond it.
        if last != Some(*axis) || self.is_part(*axis) {
            return "1".into();
        }
        let site = Site { tensor: self.tensor_number(tensor), axis: *axis };
        let at = self.sites.iter().position(|known| *known == site).unwrap_or_else(|| {
            self.sites.push(site);
            self.sites.len() - 1
        });
        format!("TW_VECTOR_{at}")
    }

    /// Whether an axis runs over a part of its dimension.
    pub fn is_part(&self, axis: AxisId) -> bool {
        match &self.kernel.axes[axis].kind {
            AxisKind::Tile { begin, end, .. } => begin.is_some() || end.is_some(),
            AxisKind::Whole { .. } | AxisKind::Each { .. } | AxisKind::Unroll { .. } => false,
        }
    }

    /// `args.x.data` moved by the scalar parts of an index.
    pub fn base(&self, tensor: ParamId, index: &[Index]) -> String {
        let name = self.names.param(tensor);
        let mut base = format!("args.{name}.data");
        for (at, part) in index.iter().enumerate() {
            if let Index::Scalar(value) = part {
                base.push_str(&format!(" + args.{name}.stride[{at}] * i64({})", self.scalar(*value)));
            }
        }
        base
    }

    /// `along(stride, axis)` for each axis of an index.
    pub fn along(&self, tensor: ParamId, index: &[Index]) -> Vec<(AxisId, String)> {
        let name = self.names.param(tensor);
        let part = |(at, part): (usize, &Index)| match part {
            Index::Axis { axis, .. } => {
                Some((*axis, format!("along(args.{name}.stride[{at}], {})", self.names.axis(*axis))))
            }
            Index::Scalar(_) | Index::Gather(_) => None,
        };
        index.iter().enumerate().filter_map(part).collect()
    }

    /// Whether a scalar part can be outside its dimension.
    fn is_checked(&self, value: ValueId, dim: DimId) -> bool {
        if let Op::Each(axis) = self.kernel.values[value].op {
            return self.kernel.axes[axis].kind.dim() != Some(dim);
        }
        true
    }

    fn check(&self, index: &str, tensor: ParamId, at: usize, silent: bool) -> String {
        let (_, dims) = self.tensor(tensor);
        let length = self.names.dim(dims[at]);
        if silent {
            return format!("within({index}, args.{length})");
        }
        let number = self.tensor_number(tensor);
        format!("inside({index}, args.{length}, args.fault, args.launch, {number}, {at})")
    }

    /// Whether the scalar parts are inside: `true`, or a condition.
    pub fn exists(&self, tensor: ParamId, index: &[Index]) -> String {
        let (_, dims) = self.tensor(tensor);
        let checks: Vec<String> = index
            .iter()
            .enumerate()
            .filter_map(|(at, part)| match part {
                Index::Scalar(value) if self.is_checked(*value, dims[at]) => {
                    Some(self.check(&format!("i64({})", self.scalar(*value)), tensor, at, false))
                }
                Index::Scalar(_) | Index::Axis { .. } | Index::Gather(_) => None,
            })
            .collect();
        if checks.is_empty() { "true".into() } else { checks.join(" && ") }
    }

    /// `tensor[index]` into a tile of its own.
    pub fn load_tile(&mut self, value: ValueId, tensor: ParamId, index: &[Index]) {
        let axes = self.axes(value).clone();
        let last = self.ordered(&axes).last().copied();
        let (site, exists) = (self.site(tensor, index, last), self.exists(tensor, index));
        let (ty, name) = (self.axes_type(&axes), self.names.value(value));
        let elem = self.names.elem(self.elem(value));
        let (base, along) = (self.base(tensor, index), self.along(tensor, index));
        let along: Vec<String> = along.into_iter().map(|(_, text)| text).collect();
        self.line(format!("Tile<{elem}, {ty}> {name};"));
        self.line(format!(
            "load<{site}>({exists}, {name}, {base}, cast<{elem}>(0.0f), {});",
            along.join(", ")
        ));
        self.defined.insert(value);
    }

    /// `tensor[index] = tile`.
    pub fn store_tile(&mut self, tensor: ParamId, index: &[Index], tile: &str, axes: &AxisSet) {
        let last = self.ordered(axes).last().copied();
        let (site, exists) = (self.site(tensor, index, last), self.exists(tensor, index));
        let (base, along) = (self.base(tensor, index), self.along(tensor, index));
        let along: Vec<String> = along.into_iter().map(|(_, text)| text).collect();
        self.line(format!("store<{site}>({exists}, {tile}, {base}, {});", along.join(", ")));
    }

    /// Conditions and the offset of one element.
    fn element(
        &self,
        tensor: ParamId,
        index: &[Index],
        at: Option<&AxisSet>,
        silent: bool,
    ) -> (Vec<String>, String) {
        let name = self.names.param(tensor);
        let (_, dims) = self.tensor(tensor);
        let (mut conditions, mut terms) = (Vec::new(), Vec::new());
        if let Some(axes) = at {
            let ty = self.axes_type(axes);
            for axis in self.ordered(axes) {
                let axis = self.names.axis(axis);
                conditions.push(format!("{axis}.has({ty}::of<Axis_{axis}>(i))"));
            }
        }
        for (d, part) in index.iter().enumerate() {
            let (position, checked) = match part {
                Index::Axis { axis, offset } => {
                    let axis_name = self.names.axis(*axis);
                    let ty = at.map(|axes| self.axes_type(axes)).unwrap_or_default();
                    let position = format!("i64({axis_name}.index({ty}::of<Axis_{axis_name}>(i)))");
                    match offset {
                        Some(offset) => (format!("({position} + {})", self.operand(*offset, at)), true),
                        None => (position, false),
                    }
                }
                Index::Scalar(value) => {
                    (format!("i64({})", self.scalar(*value)), self.is_checked(*value, dims[d]))
                }
                Index::Gather(value) => (format!("i64({})", self.operand(*value, at)), true),
            };
            if checked {
                conditions.push(self.check(&position, tensor, d, silent));
            }
            terms.push(format!("args.{name}.stride[{d}] * {position}"));
        }
        let offset = if terms.is_empty() { "0".into() } else { terms.join(" + ") };
        (conditions, offset)
    }

    /// The expression of one loaded element.
    pub fn load_element(
        &self,
        tensor: ParamId,
        index: &[Index],
        default: Option<ValueId>,
        value: ValueId,
        at: Option<&AxisSet>,
    ) -> String {
        let (conditions, offset) = self.element(tensor, index, at, default.is_some());
        let (name, elem) = (self.names.param(tensor), self.names.elem(self.elem(value)));
        let load = format!("args.{name}.data[{offset}]");
        if conditions.is_empty() {
            return load;
        }
        let pad = default.map_or_else(|| format!("cast<{elem}>(0.0f)"), |default| self.operand(default, at));
        format!("({} ? {load} : {pad})", conditions.join(" && "))
    }

    /// The statement that stores one element.
    pub fn store_element(&self, tensor: ParamId, index: &[Index], value: ValueId, axes: &AxisSet) -> String {
        let (mut conditions, offset) = self.element(tensor, index, Some(axes), false);
        conditions.insert(0, format!("is_owner<{}>()", self.axes_type(axes)));
        let (name, value) = (self.names.param(tensor), self.operand(value, Some(axes)));
        format!("if ({}) args.{name}.data[{offset}] = {value};", conditions.join(" && "))
    }

    /// `tensor[scalars] = scalar`: one thread stores.
    pub fn store_scalar(&mut self, tensor: ParamId, index: &[Index], value: ValueId) {
        let (mut conditions, offset) = self.element(tensor, index, None, false);
        conditions.insert(0, "threadIdx.x == 0".into());
        let (name, value) = (self.names.param(tensor), self.scalar(value));
        self.line(format!("if ({}) args.{name}.data[{offset}] = {value};", conditions.join(" && ")));
    }

    /// Whether some thread may still have to read what this store overwrites: of the tensor itself, or of one
    /// that may be the same view.
    pub fn must_sync(&self, stored: ParamId) -> bool {
        let (elem, dims) = self.tensor(stored);
        self.kernel.values.iter().any(|(_, value)| {
            let Op::Load { tensor, .. } = &value.op else { return false };
            let (other, other_dims) = self.tensor(*tensor);
            other == elem && other_dims.len() == dims.len()
        })
    }
}
