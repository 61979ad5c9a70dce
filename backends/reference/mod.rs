//! Checked tile IR to plain scalar Rust.
//!
//! One `let` a value, with the span of the user's expression, over the tile library in the runtime
//! (`private::reference`), which runs it twice and watches over it.
//!
//! ```text
//! let row = x[(m, ..)];       let v0 = x_memory.load(program, &[At::axis(axis_m), At::axis(axis_N)]);
//! row - row.max(N)            let v1 = reference::reduce_max(&v0, axis_N);
//!                             let v2 = reference::sub(&v0, &v1);
//! ```

/// `quote!` whose names are nobody else's: locals do not meet the user's.
macro_rules! quote_here {
    ($($tokens:tt)*) => { ::quote::quote_spanned!(::proc_macro2::Span::mixed_site()=> $($tokens)*) };
}

mod names;
mod statements;
mod values;

use crate::meta;
use names::Names;
use proc_macro2::TokenStream;
use statements::Emitter;
use tilewright_compiler::ir::{AxisId, AxisKind, Elem, Kernel, ParamId, ParamKind, Stmt};

/// The body of `name::reference(…)`: a block of type `Result<(), Error>` over the kernel's parameters.
#[must_use]
pub fn emit(kernel: &Kernel, krate: &syn::Path) -> TokenStream {
    let names = Names::new(kernel, krate);
    let mut emitter = Emitter::new(kernel, &names);
    let (before, grid) = split(kernel);
    let arguments = emit_arguments(kernel, &names);
    let before = emitter.prologue(before);
    let memories = emit_memories(kernel, &names);
    let run = grid.map(|(axes, body)| emit_run(kernel, &names, &mut emitter, axes, body));
    let commits = emit_commits(kernel, &names);
    let private = &names.private;
    quote_here! {
        #[allow(
            unused,
            non_snake_case,
            clippy::all,
            clippy::pedantic,
            reason = "written by a macro"
        )]
        let ended: ::core::result::Result<(), #private::Error> = {
            #arguments
            #before
            ::core::mem::drop(launch);
            #memories
            let ended = #run?;
            #commits
            ended
        };
        ended
    }
}

/// The grid's axes and body.
type Grid<'k> = (&'k [AxisId], &'k [Stmt]);

/// What comes before the grid, and the grid.
fn split(kernel: &Kernel) -> (&[Stmt], Option<Grid<'_>>) {
    match kernel.body.split_last() {
        Some((Stmt::For { axes, body, .. }, before)) => (before, Some((axes, body))),
        Some(_) | None => (&kernel.body, None),
    }
}

/// The launch's checks, and a local for each dimension, const parameter and scalar.
fn emit_arguments(kernel: &Kernel, names: &Names<'_>) -> TokenStream {
    let private = &names.private;
    let meta = meta::emit(kernel, names.krate);
    let tensors = meta::tensors(kernel).into_iter().enumerate().map(|(at, id)| {
        let param = &kernel.params[id];
        let name = &param.name;
        match param.kind {
            ParamKind::Tensor { writable: true, .. } => quote_here!(launch.write(#at, &mut *#name)?;),
            ParamKind::Tensor { .. } | ParamKind::Scalar { .. } => quote_here!(launch.read(#at, #name)?;),
        }
    });
    let dims = kernel.dims.iter().map(|(id, _)| {
        let (name, at) = (names.dim(id), id.at());
        quote_here!(let #name: i32 = launch.dim(#at);)
    });
    let whole = kernel.axes.iter().filter_map(|(id, axis)| {
        let AxisKind::Whole { dim } = axis.kind else { return None };
        let (name, id, dim, reference) = (names.axis(id), id.0, names.dim(dim), &names.reference);
        Some(quote_here!(let #name = #reference::Span::whole(#id, #dim);))
    });
    let consts = kernel.consts.iter().map(|(id, param)| {
        let (local, name) = (names.constant(id), &param.name);
        let text = name.to_string();
        if param.elem == Elem::Bool {
            quote_here!(let #local: bool = #name;)
        } else {
            quote_here!(let #local: i32 = launch.int(#text, #name)?;)
        }
    });
    let scalars = kernel.params.iter().filter_map(|(id, _)| emit_scalar(kernel, names, id));
    let nonempty = meta::nonempty_dims(kernel).into_iter().map(|dim| {
        let (name, text) = (names.dim(dim), format!("{} > 0", kernel.dims[dim].name));
        quote_here!(launch.assert(#name > 0, #text)?;)
    });
    quote_here! {
        static META: #private::Meta = #meta;
        let config = #private::Config::new();
        let mut launch = #private::Launch::new(&META, &config)?;
        #(#tensors)*
        launch.finish()?;
        #(#dims)*
        #(#whole)*
        #(#consts)*
        #(#scalars)*
        #(#nonempty)*
    }
}

fn emit_scalar(kernel: &Kernel, names: &Names<'_>, id: ParamId) -> Option<TokenStream> {
    let ParamKind::Scalar { elem, .. } = &kernel.params[id].kind else { return None };
    let (local, name) = (names.param(id), &kernel.params[id].name);
    let text = name.to_string();
    let checked = match elem {
        Elem::F32 => quote_here!(launch.float(#text, #name)?),
        Elem::I32 => quote_here!(launch.int(#text, #name)?),
        Elem::F64
        | Elem::F16
        | Elem::BF16
        | Elem::F8E4M3
        | Elem::F8E5M2
        | Elem::I8
        | Elem::U8
        | Elem::I16
        | Elem::U16
        | Elem::U32
        | Elem::I64
        | Elem::Bool
        | Elem::Param(_) => quote_here!(#name),
    };
    let ty = names.elem(*elem);
    Some(quote_here!(let #local: #ty = #checked;))
}

fn emit_memories(kernel: &Kernel, names: &Names<'_>) -> TokenStream {
    let reference = &names.reference;
    let memories = meta::tensors(kernel).into_iter().enumerate().map(|(at, id)| {
        let (local, name) = (names.param(id), &kernel.params[id].name);
        quote_here!(let #local = #reference::Memory::new(&META, #at, &*#name)?;)
    });
    quote_here!(#(#memories)*)
}

fn emit_run(
    kernel: &Kernel,
    names: &Names<'_>,
    emitter: &mut Emitter<'_>,
    axes: &[AxisId],
    body: &[Stmt],
) -> TokenStream {
    let reference = &names.reference;
    let memories = meta::tensors(kernel).into_iter().map(|id| names.param(id));
    let loops = axes.iter().map(|axis| emitter.grid_loop(*axis));
    let loops: Vec<TokenStream> = loops.collect();
    let spans = axes.iter().enumerate().map(|(at, axis)| {
        let local = names.axis(*axis);
        quote_here!(let #local = program.axis(#at);)
    });
    let body = emitter.block(body);
    quote_here! {
        #reference::run(&META, &[#(&#memories),*], &[#(#loops),*], |program| {
            #(#spans)*
            #body
        })
    }
}

fn emit_commits(kernel: &Kernel, names: &Names<'_>) -> TokenStream {
    let commits = meta::tensors(kernel).into_iter().filter_map(|id| {
        let ParamKind::Tensor { writable: true, .. } = kernel.params[id].kind else { return None };
        let (local, name) = (names.param(id), &kernel.params[id].name);
        Some(quote_here!(#local.commit(&mut *#name)?;))
    });
    quote_here!(#(#commits)*)
}
