//! Tile IR to the C++ text that CUDA and HIP share.
//!
//! One program is one block of threads. A value with axes is a `Tile` in registers, whose layout the
//! prelude (`runtime/gpu/prelude/`) derives from one *spread* an axis; elementwise values with the same axes
//! share a loop over a thread's elements. The text is complete at build time: blocks, spreads, element
//! types and alignment come as named constants, which `runtime/gpu/` chooses at launch.
//!
//! ```text
//! let row = x[(m, ..)];              Tile<T, Axes_m_N> v0; load<…>(v0, args.x.data, …);
//! let e = exp(row - row.max(N));     reduce<false>(v1, v0, N, …);
//!                                    each(Axes_m_N, i) { v3[i] = exp_of(v0[i] - v1.of<Axes_m_N>(i)); }
//! ```

mod describe;
mod device;
mod dots;
mod loops;
mod memory;
mod names;
mod prologue;
mod reduce;
mod rings;
mod statements;
mod values;

pub use device::{DeviceText, emit_device};

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use names::Names;
use proc_macro2::TokenStream;
use tilewright_compiler::ir::{
    AxisId, AxisKind, AxisSet, Callee, Elem, Kernel, Op, ParamKind, Stmt, ValueId, VarId,
};
use tilewright_compiler::schedule::{Refusal, gpu_form};
use tilewright_compiler::walk::each_statement;

/// A kernel's C++ text, and what its launch must know of it.
pub struct Text {
    /// The kernel, without prelude and constants.
    pub source: String,
    /// A `tilewright::private::gpu::Kernel` expression, constant; the text in it is the kernel's
    /// `GPU_SOURCE`.
    pub descriptor: TokenStream,
    /// The `#[device]` functions that the text calls `FN_0`, `FN_1`, …, with the types of their arguments.
    pub functions: Vec<(Callee, Vec<Elem>)>,
}

/// Emits a checked kernel. `private` is the path `::tilewright::private`.
///
/// # Errors
/// An operation that has no GPU form; named, with its span.
pub fn emit(kernel: &Kernel, private: &TokenStream) -> Result<Text, Refusal> {
    let (kernel, grid, body) = gpu_form(kernel)?;
    let mut emitter = Emitter::new(&kernel, &grid);
    emitter.program(&body)?;
    let source = emitter.finish();
    let name = &kernel.name;
    let descriptor = emitter.descriptor(&quote::quote!(<#name>::GPU_SOURCE), private);
    let functions = emitter.functions.take();
    Ok(Text { source, descriptor, functions })
}

/// The text alone.
///
/// # Errors
/// As for [`emit`].
pub fn source(kernel: &Kernel) -> Result<String, Refusal> {
    emit(kernel, &TokenStream::new()).map(|text| text.source)
}

/// The state of an emission.
pub(crate) struct Emitter<'k> {
    pub kernel: &'k Kernel,
    /// Parallel axes, outermost first.
    pub grid: &'k [AxisId],
    pub names: Names,
    /// Axes in the order in which tiles list them: the ones that memory is contiguous along come last.
    pub order: Vec<AxisId>,
    /// The program so far.
    pub code: String,
    pub depth: usize,
    /// Values that exist: as a tile or, without axes, as a scalar.
    pub defined: HashSet<ValueId>,
    /// Elementwise work that shares a loop and is not yet written.
    pub group: statements::Group,
    /// Values that something outside their loop uses.
    pub escaping: HashSet<ValueId>,
    /// Values that another statement already took care of.
    pub done: HashSet<ValueId>,
    /// The sets of axes that tiles have.
    pub sets: RefCell<Vec<AxisSet>>,
    /// Shared memory, in order.
    pub regions: Vec<describe::Region>,
    pub dots: Vec<describe::DotRoles>,
    /// Products that go straight into a variable: it, and the sum that was to be assigned.
    pub added: HashMap<ValueId, (VarId, ValueId)>,
    /// Staged operands that are copied ahead of their use.
    pub copies: Vec<describe::Copy>,
    /// The loops with such operands.
    pub rings: Vec<AxisId>,
    /// The one of them whose copies a warp of its own makes.
    pub producer: Option<AxisId>,
    /// Whether its turns are as many in every program: then threads may take one program after the other.
    pub is_even: bool,
    /// Scalars at the start of the program that hang on arguments alone.
    pub pure_scalars: Vec<ValueId>,
    /// Staged loads whose blocks are declared, and their regions.
    pub in_shared: HashMap<ValueId, String>,
    pub shared_at: HashMap<ValueId, usize>,
    /// What stands between the start of the program and the rest, and where.
    pub prologue_end: String,
    pub prologue_at: usize,
    /// Loads and stores that may move several elements at once.
    pub sites: Vec<describe::Site>,
    /// How often a value is used.
    pub uses: HashMap<ValueId, usize>,
    /// Labels of sequential loops that a `break` leaves through.
    pub loops: Vec<loops::OpenLoop>,
    /// The parameters of a `fold`'s closure while its body is emitted.
    pub closure: Vec<ValueId>,
    /// `#[device]` functions, in the order of their numbers in the text.
    pub functions: RefCell<Vec<(Callee, Vec<Elem>)>>,
    /// What stands before a parameter's name.
    pub parameters: &'static str,
    pub n_labels: usize,
}

impl<'k> Emitter<'k> {
    fn new(kernel: &'k Kernel, grid: &'k [AxisId]) -> Emitter<'k> {
        Emitter {
            kernel,
            grid,
            names: Names::new(kernel),
            order: order(kernel),
            code: String::new(),
            depth: 1,
            defined: HashSet::new(),
            group: statements::Group::default(),
            escaping: HashSet::new(),
            done: HashSet::new(),
            sets: RefCell::default(),
            regions: Vec::new(),
            dots: Vec::new(),
            added: HashMap::new(),
            copies: Vec::new(),
            rings: Vec::new(),
            producer: None,
            is_even: false,
            pure_scalars: Vec::new(),
            in_shared: HashMap::new(),
            shared_at: HashMap::new(),
            prologue_end: String::new(),
            prologue_at: 0,
            sites: Vec::new(),
            uses: HashMap::new(),
            loops: Vec::new(),
            closure: Vec::new(),
            functions: RefCell::default(),
            parameters: "args.",
            n_labels: 0,
        }
    }

    pub fn elem(&self, value: ValueId) -> Elem {
        self.kernel.values[value].ty.elem
    }

    pub fn axes(&self, value: ValueId) -> &'k AxisSet {
        &self.kernel.values[value].ty.axes
    }

    /// The axes of a set in the order of the text.
    pub fn ordered(&self, axes: &AxisSet) -> Vec<AxisId> {
        self.order.iter().copied().filter(|axis| axes.contains(*axis)).collect()
    }

    /// The C++ type of a set of axes: `Axes_m_N`.
    pub fn axes_type(&self, axes: &AxisSet) -> String {
        let mut sets = self.sets.borrow_mut();
        if !sets.contains(axes) {
            sets.push(axes.clone());
        }
        let mut name = String::from("Axes");
        if axes.is_empty() {
            name.push_str("_none");
        }
        for axis in self.ordered(axes) {
            name.push('_');
            name.push_str(&self.names.axis(axis));
        }
        name
    }

    /// A line of the program.
    pub fn line(&mut self, text: impl AsRef<str>) {
        let indent = "    ".repeat(self.depth);
        for line in text.as_ref().lines() {
            let _ = writeln!(self.code, "{indent}{line}");
        }
    }

    /// The `let` that a value comes from, as a comment; none if it has no name of the user's.
    pub fn comment(&self, value: ValueId) -> Option<String> {
        let (name, source) = self.kernel.names.get(&value).filter(|_| self.names.is_named(value))?;
        Some(one_line(&format!("let {name} = {source};")))
    }

    /// The assignment or store that a value goes to, as a comment.
    pub fn remark(&self, value: ValueId) -> Option<String> {
        self.kernel.remarks.values.get(&value).map(|text| one_line(text))
    }

    /// The whole kernel.
    fn finish(&self) -> String {
        let kernel = self.kernel;
        let mut out = String::new();
        let _ = writeln!(out, "// {}", self.names.kernel());
        for (axis, _) in kernel.axes.iter() {
            if self.is_blocked(axis) {
                let (name, at) = (self.names.axis(axis), axis.at());
                let _ = writeln!(
                    out,
                    "typedef Axis<{at}, Spread<TW_SPREAD_{name}>, TW_STEP_{name}, TW_EVEN_{name}> Axis_{name};"
                );
            }
        }
        let mut sets = self.sets.borrow().clone();
        sets.sort_by_key(|set| (set.len(), self.ordered(set)));
        for set in &sets {
            let axes: Vec<String> =
                self.ordered(set).into_iter().map(|a| format!("Axis_{}", self.names.axis(a))).collect();
            let _ = writeln!(out, "typedef Axes<{}> {};", axes.join(", "), self.axes_type(set));
        }
        out.push('\n');
        out.push_str(&self.arguments());
        // Products want registers more than company.
        let least = if self.dots.is_empty() { "" } else { ", 1" };
        let _ = write!(
            out,
            "\nextern \"C\" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS{least})\n{}(const __grid_constant__ Arguments args) {{\n",
            self.names.kernel()
        );
        let (prologue, rest) = self.code.split_at(self.prologue_at);
        out.push_str(prologue);
        out.push_str(&self.prologue_end);
        out.push_str(rest);
        out.push_str("}\n");
        out
    }

    fn arguments(&self) -> String {
        let mut out = String::from("struct Arguments {\n    Fault* fault;\n    unsigned launch;\n");
        for axis in self.grid {
            let name = self.names.axis(*axis);
            let _ = writeln!(out, "    int {name}_first, {name}_last, {name}_programs;");
        }
        for (id, param) in self.kernel.params.iter() {
            if let ParamKind::Tensor { elem, dims, writable } = &param.kind {
                let constant = if *writable { "" } else { "const " };
                let (elem, rank, name) = (self.names.elem(*elem), dims.len(), self.names.param(id));
                let _ = writeln!(out, "    Tensor<{constant}{elem}, {rank}> {name};");
            }
        }
        for (id, _) in self.kernel.dims.iter() {
            let _ = writeln!(out, "    int {};", self.names.dim(id));
        }
        for (id, param) in self.kernel.params.iter() {
            if let ParamKind::Scalar { elem, .. } = &param.kind {
                let _ =
                    writeln!(out, "    {} {};", self.names.scalar(self.kernel, *elem), self.names.param(id));
            }
        }
        if !self.copies.is_empty() {
            out.push_str("#if TW_MAPS\n    TensorMap maps[TW_MAPS];\n#endif\n");
        }
        out.push_str("};\n");
        out
    }

    /// Whether tiles extend along an axis.
    pub fn is_blocked(&self, axis: AxisId) -> bool {
        match self.kernel.axes[axis].kind {
            AxisKind::Tile { .. } | AxisKind::Whole { .. } => true,
            AxisKind::Each { .. } | AxisKind::Unroll { .. } => false,
        }
    }
}

/// A comment of one line, not too long.
fn one_line(source: &str) -> String {
    let words: Vec<&str> = source.split_whitespace().collect();
    let mut text = words.join(" ");
    if let Some((at, _)) = text.char_indices().nth(100) {
        text.truncate(at);
        text.push('…');
    }
    // A backslash at the end would continue the comment.
    format!("// {}", text.replace('\\', "/"))
}

/// Axes such that those that memory is contiguous along come last.
fn order(kernel: &Kernel) -> Vec<AxisId> {
    let mut score: HashMap<AxisId, i32> = HashMap::new();
    let mut vote = |index: &[tilewright_compiler::ir::Index]| {
        for (at, part) in index.iter().enumerate() {
            if let tilewright_compiler::ir::Index::Axis { axis, .. } = part {
                *score.entry(*axis).or_default() += if at + 1 == index.len() { 4 } else { -1 };
            }
        }
    };
    for (_, value) in kernel.values.iter() {
        if let Op::Load { index, .. } = &value.op {
            vote(index);
        }
    }
    each_statement(&kernel.body, &mut |stmt, _| {
        if let Stmt::Store { index, .. } = stmt {
            vote(index);
        }
    });
    let mut axes: Vec<AxisId> = kernel.axes.iter().map(|(axis, _)| axis).collect();
    axes.sort_by_key(|axis| (score.get(axis).copied().unwrap_or(0), *axis));
    axes
}
