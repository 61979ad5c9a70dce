//! `#[device]` functions as text, and calls of them.
//!
//! Two functions of different crates may have one name, so texts call by number (`FN_0`), and a function's own
//! text leaves its name open (`FN_SELF`): the launch gives names to all that a kernel reaches.

use super::Emitter;
use std::fmt::Write;
use tilewright_compiler::ir::{Arena, AxisSet, Callee, Device, Elem, Kernel, Param, ParamKind, ValueId};
use tilewright_compiler::schedule::is_leaf;

/// A function's text.
pub struct DeviceText {
    /// Its definition, under the name `FN_SELF`.
    pub source: String,
    /// What it calls `FN_0`, `FN_1`, …, with the types of their arguments.
    pub functions: Vec<(Callee, Vec<Elem>)>,
}

/// Emits a `#[device]` function.
#[must_use]
pub fn emit_device(device: &Device) -> DeviceText {
    let kernel = as_kernel(device);
    let mut emitter = Emitter::new(&kernel, &[]);
    emitter.parameters = "";
    let parameters: Vec<String> = kernel
        .params
        .iter()
        .zip(&device.args)
        .map(|((id, _), (_, elem))| format!("{} {}", emitter.names.elem(*elem), emitter.names.param(id)))
        .collect();
    let result = emitter.names.elem(device.values[device.result].ty.elem);
    let mut source = format!("TW_DEVICE {result} FN_SELF({}) {{\n", parameters.join(", "));
    for value in &device.body {
        if !is_leaf(&kernel, *value) {
            let (elem, name) =
                (emitter.names.elem(device.values[*value].ty.elem), emitter.names.value(*value));
            let expression = emitter.compute(*value, None);
            // Writing to a String does not fail.
            let _ = writeln!(source, "    const {elem} {name} = {expression};");
        }
    }
    let returned = emitter.scalar(device.result);
    let _ = writeln!(source, "    return {returned};\n}}");
    DeviceText { source, functions: emitter.functions.take() }
}

/// The function's values in a kernel that has its arguments for scalars.
fn as_kernel(device: &Device) -> Kernel {
    let mut params = Arena::default();
    for (name, elem) in &device.args {
        let ty = syn::parse_quote!(f32);
        params.push(Param { name: name.clone(), kind: ParamKind::Scalar { elem: *elem, ty } });
    }
    Kernel {
        name: device.name.clone(),
        dims: Arena::default(),
        elements: Arena::default(),
        consts: Arena::default(),
        functions: Arena::default(),
        params,
        axes: Arena::default(),
        values: device.values.clone(),
        vars: Arena::default(),
        names: Default::default(),
        remarks: Default::default(),
        body: Vec::new(),
    }
}

impl Emitter<'_> {
    /// A call of a `#[device]` function.
    pub fn call(&self, callee: &Callee, arguments: &[ValueId], at: Option<&AxisSet>) -> String {
        let mut functions = self.functions.borrow_mut();
        let number = functions.iter().position(|(known, _)| is_same(known, callee)).unwrap_or_else(|| {
            functions.push((callee.clone(), arguments.iter().map(|value| self.elem(*value)).collect()));
            functions.len() - 1
        });
        let arguments: Vec<String> = arguments.iter().map(|value| self.operand(*value, at)).collect();
        format!("FN_{number}({})", arguments.join(", "))
    }
}

fn is_same(a: &Callee, b: &Callee) -> bool {
    match (a, b) {
        (Callee::Param(a), Callee::Param(b)) => a == b,
        (Callee::Path(a), Callee::Path(b)) => a == b,
        (Callee::Param(_), Callee::Path(_)) | (Callee::Path(_), Callee::Param(_)) => false,
    }
}
