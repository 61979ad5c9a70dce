//! Statements: `let`, assignments, loops, `if`, and what is refused.

use super::index::peel;
use super::{Lowering, Place, Thing, names, types};
use crate::ir::{Stmt, Var, VarId};
use proc_macro2::{Ident, Span};
use syn::spanned::Spanned;

impl Lowering<'_> {
    /// The body of a kernel: integers and asserts, then one loop.
    pub(crate) fn kernel_body(&mut self, block: &syn::Block) {
        let before = self.errors.count();
        self.statements(block, false);
        if self.place == Place::Outside && self.errors.count() == before {
            let name = self.kernel.name.clone();
            self.fail(
                name.span(),
                format!("the kernel {name} has no loop, so it stores nothing"),
                "write `for m in tile(M) { … }` and store into a `&mut Tensor`",
            );
        }
    }

    /// All statements of a block in a scope of their own, and what the last one gives if it is `wanted`.
    pub(crate) fn statements(&mut self, block: &syn::Block, wanted: bool) -> Thing {
        self.scopes.open(false);
        let mut result = Thing::Unit;
        let n_stmts = block.stmts.len();
        for (at, stmt) in block.stmts.iter().enumerate() {
            match stmt {
                syn::Stmt::Expr(expr, None) if wanted && at + 1 == n_stmts && gives_value(expr) => {
                    result = self.expr(expr);
                    // What a variable holds is read here, in the block, not where the value is used.
                    if let Thing::Var(_) = result {
                        result = self.snapshot(result, expr.span());
                    }
                }
                stmt => self.statement(stmt),
            }
        }
        self.scopes.close();
        result
    }

    /// `{ … }` as an expression.
    pub(crate) fn block_expr(&mut self, block: &syn::Block) -> Thing {
        self.statements(block, true)
    }

    fn statement(&mut self, stmt: &syn::Stmt) {
        if self.place == Place::Behind && !is_loop(stmt) {
            self.fail(
                stmt.span(),
                "a statement behind the outermost loop",
                "move it before the loop or into it",
            );
            return;
        }
        match stmt {
            syn::Stmt::Local(local) => self.local(local),
            syn::Stmt::Item(item) => self.item(item),
            syn::Stmt::Expr(expr, _) => self.effect(expr),
            syn::Stmt::Macro(stmt) => self.assertion(&stmt.mac),
        }
    }

    /// An expression for what it does.
    pub(crate) fn effect(&mut self, expr: &syn::Expr) {
        match expr {
            syn::Expr::ForLoop(stmt) => self.for_loop(stmt),
            syn::Expr::If(conditional) => self.if_statement(conditional),
            syn::Expr::Block(block) if block.label.is_none() => {
                self.statements(&block.block, false);
            }
            syn::Expr::Paren(paren) => self.effect(&paren.expr),
            syn::Expr::Group(group) => self.effect(&group.expr),
            syn::Expr::Macro(mac) => self.assertion(&mac.mac),
            syn::Expr::Assign(assign) => {
                self.saying = Some(format!("{};", source(expr)));
                self.assign(&assign.left, None, &assign.right);
                self.saying = None;
            }
            syn::Expr::Binary(binary) if is_compound(&binary.op) => {
                self.saying = Some(format!("{};", source(expr)));
                self.assign(&binary.left, Some(&binary.op), &binary.right);
                self.saying = None;
            }
            syn::Expr::Break(stmt) => {
                let plain = stmt.label.is_none() && stmt.expr.is_none();
                self.leave("break", plain, Stmt::Break, stmt.break_token.span);
            }
            syn::Expr::Continue(stmt) => {
                self.leave("continue", stmt.label.is_none(), Stmt::Continue, stmt.continue_token.span);
            }
            other => {
                let thing = self.expr(other);
                if !matches!(thing, Thing::Poison | Thing::Unit) {
                    self.fail(other.span(), "this value is not used", "store it, or bind it with `let`");
                }
            }
        }
    }

    fn leave(&mut self, word: &str, plain: bool, stmt: Stmt, span: Span) {
        if !plain {
            self.fail(span, format!("{word} has no label and no value here"), format!("write `{word};`"));
            return;
        }
        match self.place {
            Place::Inside { loops } if loops > 0 => self.emit(stmt),
            Place::Inside { .. } => {
                self.fail(
                    span,
                    format!("`{word}` in a loop of the grid, whose programs run at the same time"),
                    "put the rest of the body under an `if`",
                );
            }
            Place::Outside | Place::Behind | Place::Scalar => {
                self.fail(
                    span,
                    format!("`{word}` outside a loop"),
                    format!("`{word}` acts on a loop inside the outermost one"),
                );
            }
        }
    }

    fn local(&mut self, local: &syn::Local) {
        let Some(init) = &local.init else {
            self.fail(local.pat.span(), "a `let` without a value", "give it one: `let x = …;`");
            self.poison_pattern(&local.pat);
            return;
        };
        if let Some((token, _)) = &init.diverge {
            self.fail(token.span(), "`let … else` is not in the language", "write a plain `let`");
        }
        let thing = self.expr(&init.expr);
        let known = self.kernel.names.len();
        if let syn::Pat::Ident(ident) = &local.pat
            && ident.mutability.is_some()
        {
            self.saying = Some(format!("let mut {} = {};", ident.ident, source(&init.expr)));
        }
        self.bind_pattern(&local.pat, thing, init.expr.span());
        self.saying = None;
        if self.kernel.names.len() == known + 1 {
            let source = source(&init.expr);
            let unsaid = self.kernel.names.values_mut().find(|(_, source)| source.is_empty());
            unsaid.into_iter().for_each(|(_, said)| said.clone_from(&source));
        }
    }

    /// Binds the names of a pattern; `span` is where the value stands.
    pub(crate) fn bind_pattern(&mut self, pat: &syn::Pat, thing: Thing, span: Span) {
        match pat {
            syn::Pat::Ident(ident) if ident.by_ref.is_none() && ident.subpat.is_none() => {
                if self.check_new_name(&ident.ident) {
                    let thing = if ident.mutability.is_some() {
                        self.new_var(&ident.ident, thing, span)
                    } else {
                        self.snapshot(thing, span)
                    };
                    if let Thing::Value(value) = &thing {
                        let name = || (ident.ident.to_string(), String::new());
                        self.kernel.names.entry(*value).or_insert_with(name);
                    }
                    self.scopes.bind(ident.ident.to_string(), thing);
                }
            }
            syn::Pat::Wild(_) => {
                self.snapshot(thing, span);
            }
            syn::Pat::Paren(paren) => self.bind_pattern(&paren.pat, thing, span),
            syn::Pat::Type(typed) => {
                let thing = self.typed(thing, &typed.ty, span);
                self.bind_pattern(&typed.pat, thing, span);
            }
            syn::Pat::Tuple(tuple) => match thing {
                Thing::Tuple(parts) if parts.len() == tuple.elems.len() => {
                    let parts: Vec<Thing> = parts.into_iter().map(|part| self.snapshot(part, span)).collect();
                    for (pat, part) in tuple.elems.iter().zip(parts) {
                        self.bind_pattern(pat, part, span);
                    }
                }
                Thing::Poison => self.poison_pattern(pat),
                _ => {
                    let n_names = tuple.elems.len();
                    self.fail(
                        span,
                        format!("{n_names} names, but the value has not as many parts"),
                        "give a tuple with one part for each name",
                    );
                    self.poison_pattern(pat);
                }
            },
            other => {
                self.fail(
                    other.span(),
                    "this pattern is not in the language",
                    "bind a name, or a tuple of names",
                );
                self.poison_pattern(other);
            }
        }
    }

    /// All names of a pattern are poisoned, so that their uses stay silent.
    pub(crate) fn poison_pattern(&mut self, pat: &syn::Pat) {
        struct Names(Vec<String>);
        impl<'p> syn::visit::Visit<'p> for Names {
            fn visit_pat_ident(&mut self, pat: &'p syn::PatIdent) {
                self.0.push(pat.ident.to_string());
                syn::visit::visit_pat_ident(self, pat);
            }
        }
        let mut names = Names(Vec::new());
        syn::visit::Visit::visit_pat(&mut names, pat);
        for name in names.0 {
            self.scopes.bind(name, Thing::Poison);
        }
    }

    /// Whether a new name may be bound: it is no word of the language and no generic of the kernel.
    pub(crate) fn check_new_name(&mut self, name: &Ident) -> bool {
        let text = name.to_string();
        let message = if names::is_word(&text) {
            format!("{text} is a word of the language, which cannot be redefined")
        } else {
            match self.scopes.find(&text) {
                Some(Thing::Dim(_)) => format!("{text} is a dimension, which cannot be redefined"),
                Some(Thing::Function(_)) => {
                    format!("{text} is a function parameter, which cannot be redefined")
                }
                _ => return true,
            }
        };
        self.fail(name.span(), message, "choose another name");
        if names::is_word(&text) {
            self.scopes.bind(text, Thing::Poison);
        }
        false
    }

    /// What a thing is now: variables are read, so that later assignments do not show.
    pub(crate) fn snapshot(&mut self, thing: Thing, span: Span) -> Thing {
        match thing {
            Thing::Var(_) => match self.value_of(thing, span) {
                Some(value) => Thing::Value(value),
                None => Thing::Poison,
            },
            Thing::Tuple(parts) => {
                Thing::Tuple(parts.into_iter().map(|part| self.snapshot(part, span)).collect())
            }
            Thing::Casting(_, at) => {
                self.fail(at, "nothing here says what to cast to", "name it: `.cast::<f32>()`")
            }
            Thing::Unit => {
                self.fail(span, "this gives no value", "end the block with an expression without `;`")
            }
            thing => thing,
        }
    }

    fn new_var(&mut self, name: &Ident, thing: Thing, span: Span) -> Thing {
        match self.place {
            Place::Inside { .. } => {}
            Place::Scalar => {
                let help = "use `let`, and another `let` for each later value";
                return self.fail(name.span(), "a `let mut` where only scalars are", help);
            }
            Place::Outside | Place::Behind => {
                let help = "use `let`, and another `let` for each later value; inside the outermost `for`, `let mut` is carried through loops";
                return self.fail(name.span(), "a `let mut` outside the loops", help);
            }
        }
        let Some(value) = self.value_of(thing, span) else { return Thing::Poison };
        let ty = self.ty(value).clone();
        let var = self.kernel.vars.push(Var { name: name.clone(), ty });
        self.emit(Stmt::Assign(var, value));
        Thing::Var(var)
    }

    /// `let x: f32 = …`, `let x: Tile<f32> = …`.
    fn typed(&mut self, thing: Thing, ty: &syn::Type, span: Span) -> Thing {
        if matches!(thing, Thing::Poison) || matches!(ty, syn::Type::Infer(_)) {
            return thing;
        }
        let (inner, tile) = match tile_elem(ty) {
            Some(inner) => (inner.clone(), true),
            None => (ty.clone(), false),
        };
        let Some(name) = types::type_name(&inner) else {
            return self.fail(
                ty.span(),
                "this type is not in the language",
                "leave it out, or write a scalar type or `Tile<f32>`",
            );
        };
        let Some(elem) = self.elem_by_name_or_alias(&name, ty.span()) else { return Thing::Poison };
        let Some(operand) = self.operand(thing, span) else { return Thing::Poison };
        let Some(value) = self.coerce(operand, elem, "this name", span) else { return Thing::Poison };
        let axes = self.ty(value).axes.clone();
        if !tile && !axes.is_empty() {
            let axes = self.axes_text(&axes);
            return self.fail(
                ty.span(),
                format!("this is a tile with the axes {axes}, not a scalar"),
                format!("write `Tile<{name}>`, or leave the type out"),
            );
        }
        Thing::Value(value)
    }

    fn assign(&mut self, target: &syn::Expr, op: Option<&syn::BinOp>, value: &syn::Expr) {
        match peel(target) {
            syn::Expr::Index(index) => self.store(index, op, value, target.span()),
            syn::Expr::Path(_) => {
                let place = self.var_expr(target);
                let mut thing = self.expr(value);
                let Some(var) = place else { return };
                if let Some(op) = op {
                    thing = self.binary_things(Thing::Var(var), target.span(), op, thing, value.span());
                }
                self.assign_var(var, thing, value.span());
            }
            syn::Expr::Tuple(tuple) if op.is_none() => self.assign_tuple(tuple, value),
            syn::Expr::Infer(_) => {
                self.expr(value);
            }
            other => {
                self.fail(
                    other.span(),
                    "nothing can be assigned to this",
                    "assign to a `let mut`, or store into a tensor: `out[(m, n)] = …`",
                );
                self.expr(value);
            }
        }
    }

    fn assign_tuple(&mut self, targets: &syn::ExprTuple, value: &syn::Expr) {
        let vars: Vec<Option<VarId>> = targets.elems.iter().map(|target| self.var_expr(target)).collect();
        let thing = self.expr(value);
        let thing = self.snapshot(thing, value.span());
        match thing {
            Thing::Poison => {}
            Thing::Tuple(parts) if parts.len() == vars.len() => {
                for (var, part) in vars.into_iter().zip(parts) {
                    if let Some(var) = var {
                        self.assign_var(var, part, value.span());
                    }
                }
            }
            _ => {
                self.fail(
                    value.span(),
                    "the value has not as many parts as the left side",
                    "give a tuple with one part for each name",
                );
            }
        }
    }

    fn var_expr(&mut self, target: &syn::Expr) -> Option<VarId> {
        let thing = self.expr(target);
        let name = quote::ToTokens::to_token_stream(target).to_string();
        match thing {
            Thing::Var(var) => Some(var),
            Thing::Poison => None,
            Thing::Tensor(tensor) => {
                let help = format!("say where: `{} = …`", self.load_example(tensor));
                self.fail(target.span(), format!("{name} is a tensor, which is stored into by index"), help);
                None
            }
            Thing::Axis(_) | Thing::Each(_) | Thing::Dim(_) => {
                self.fail(
                    target.span(),
                    format!("{name} is an axis or a dimension, which cannot be assigned"),
                    "declare a `let mut` of another name",
                );
                None
            }
            _ => {
                self.fail(
                    target.span(),
                    format!("{name} is not mutable"),
                    format!("declare it with `let mut {name}`"),
                );
                None
            }
        }
    }

    fn assign_var(&mut self, var: VarId, thing: Thing, span: Span) {
        let Some(operand) = self.operand(thing, span) else { return };
        let Var { name, ty } = self.kernel.vars[var].clone();
        if !self.fits(operand, ty.elem) {
            let (has, wanted) = (self.elem_text(operand), self.elem_name(ty.elem));
            let help =
                format!("a variable keeps its element type; cast the new value: `.cast::<{wanted}>()`");
            self.fail(span, format!("{name} holds {wanted}, but is assigned {has}"), help);
            return;
        }
        let Some(value) = self.convert(operand, ty.elem) else { return };
        let has = self.ty(value).axes.clone();
        if !ty.axes.includes(&has) {
            let (has, wanted) = (self.axes_text(&has), self.axes_text(&ty.axes));
            let help = "a variable keeps its axes; declare it with all of them (`zeros::<f32>((m, n))`), or reduce the new value";
            self.fail(span, format!("{name} has {wanted}, but is assigned a tile with {has}"), help);
            return;
        }
        let value = self.broadcast(value, &ty.axes, span);
        self.emit(Stmt::Assign(var, value));
    }

    fn item(&mut self, item: &syn::Item) {
        match item {
            syn::Item::Const(constant) => {
                let thing = self.expr(&constant.expr);
                let thing = self.typed(thing, &constant.ty, constant.expr.span());
                if self.check_new_name(&constant.ident) {
                    self.scopes.bind(constant.ident.to_string(), thing);
                }
            }
            syn::Item::Fn(function) => {
                let kernel = function.attrs.iter().any(|attr| attr.path().is_ident("kernel"));
                let (what, help) = if kernel {
                    ("a kernel inside a kernel", "move it out; the host calls kernels one after the other")
                } else {
                    ("a function inside a kernel", "put it beside the kernel in a `#[kernels] mod`")
                };
                self.fail(function.sig.ident.span(), what, help);
            }
            other => {
                self.fail(
                    other.span(),
                    "this item is not in the language",
                    "a kernel may hold `const`s; put the rest outside",
                );
            }
        }
    }
}

/// `E` in `Tile<E>`.
pub(crate) fn tile_elem(ty: &syn::Type) -> Option<&syn::Type> {
    let syn::Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Tile")?;
    let syn::PathArguments::AngleBracketed(args) = &last.arguments else { return None };
    match args.args.first() {
        Some(syn::GenericArgument::Type(elem)) => Some(elem),
        _ => None,
    }
}

fn gives_value(expr: &syn::Expr) -> bool {
    !matches!(
        expr,
        syn::Expr::ForLoop(_)
            | syn::Expr::Assign(_)
            | syn::Expr::Break(_)
            | syn::Expr::Continue(_)
            | syn::Expr::Macro(_)
    ) && !matches!(expr, syn::Expr::Binary(binary) if is_compound(&binary.op))
}

fn is_loop(stmt: &syn::Stmt) -> bool {
    matches!(stmt, syn::Stmt::Expr(syn::Expr::ForLoop(_), _))
}

fn is_compound(op: &syn::BinOp) -> bool {
    matches!(
        op,
        syn::BinOp::AddAssign(_)
            | syn::BinOp::SubAssign(_)
            | syn::BinOp::MulAssign(_)
            | syn::BinOp::DivAssign(_)
            | syn::BinOp::RemAssign(_)
            | syn::BinOp::BitXorAssign(_)
            | syn::BinOp::BitAndAssign(_)
            | syn::BinOp::BitOrAssign(_)
            | syn::BinOp::ShlAssign(_)
            | syn::BinOp::ShrAssign(_)
    )
}

/// An expression on one line, nearly as it was written.
pub(super) fn source(expr: &impl quote::ToTokens) -> String {
    let mut text = expr.to_token_stream().to_string();
    for (from, to) in [
        (" . ", "."),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (" ,", ","),
        (" :: ", "::"),
        ("=(", "= ("),
        (" [", "["),
        ("[ ", "["),
        (" ]", "]"),
        (" ;", ";"),
    ] {
        text = text.replace(from, to);
    }
    text = text.replace(" .. ", "..");
    // Generic arguments: `full::<f32>(`.
    while let Some((before, after)) = text.split_once("::< ")
        && let Some((arguments, rest)) = after.split_once(" >")
    {
        text = format!("{before}::<{arguments}>{}", rest.strip_prefix(' ').unwrap_or(rest));
    }
    for operator in ["-", "+", "*", "/", "%", "<", ">", "&", "|", "if", "in"] {
        text = text.replace(&format!("{operator}("), &format!("{operator} ("));
    }
    text
}
