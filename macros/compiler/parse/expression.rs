//! Expressions: one arm for each form of the language; anything else is refused by name.

use super::convert::Operand;
use super::{Lowering, Place, Thing, functions, names, types};
use crate::ir::{AxisId, Elem, Op};
use proc_macro2::Span;
use syn::spanned::Spanned;

impl Lowering<'_> {
    /// Lowers an expression; what is wrong is reported and gives poison.
    pub(crate) fn expr(&mut self, expr: &syn::Expr) -> Thing {
        match expr {
            syn::Expr::Lit(lit) => self.literal(&lit.lit),
            syn::Expr::Path(path) => self.path(path),
            syn::Expr::Paren(paren) => self.expr(&paren.expr),
            syn::Expr::Group(group) => self.expr(&group.expr),
            syn::Expr::Binary(binary) if is_assign(&binary.op) => self.fail(
                binary.op.span(),
                "an assignment where a value is expected",
                "assign in a statement of its own",
            ),
            syn::Expr::Binary(binary) => self.binary_expr(&binary.left, &binary.op, &binary.right),
            syn::Expr::Unary(unary) => self.unary_expr(unary),
            syn::Expr::Index(index) => self.load_expr(index),
            syn::Expr::Call(call) => self.call(call),
            syn::Expr::MethodCall(call) => self.method_call(call),
            syn::Expr::Cast(cast) => self.as_cast(cast),
            syn::Expr::If(conditional) => self.if_expr(conditional),
            syn::Expr::Block(block) if block.label.is_none() => self.block_expr(&block.block),
            syn::Expr::Tuple(tuple) if tuple.elems.is_empty() => Thing::Unit,
            syn::Expr::Tuple(tuple) => Thing::Tuple(tuple.elems.iter().map(|part| self.expr(part)).collect()),
            syn::Expr::Field(field) => self.tuple_field(field),
            syn::Expr::Assign(assign) => self.fail(
                assign.eq_token.span(),
                "an assignment where a value is expected",
                "assign in a statement of its own",
            ),
            other => self.refuse(other),
        }
    }

    /// An expression that must give a value of some type.
    pub(crate) fn operand_expr(&mut self, expr: &syn::Expr) -> Option<Operand> {
        let thing = self.expr(expr);
        self.operand(thing, expr.span())
    }

    /// What has no meaning in a kernel, with what to write instead.
    pub(crate) fn refuse(&mut self, expr: &syn::Expr) -> Thing {
        let (what, help) = match expr {
            syn::Expr::While(_) => {
                ("`while` comes in a later version", "use `for t in tile(L, a..b)` with `break`")
            }
            syn::Expr::Loop(_) => {
                ("`loop` is not in the language", "use `for … in tile(N)`, `each(N)` or `unroll(0..4)`")
            }
            syn::Expr::Match(_) => {
                ("`match` is not in the language", "use `if` on scalars, or `select` on tiles")
            }
            syn::Expr::Return(_) => ("`return` is not allowed in a kernel", "put the rest under an `if`"),
            syn::Expr::Try(_) => ("`?` is not allowed in a kernel", "check with `assert!` before the loops"),
            syn::Expr::Closure(_) => {
                ("a closure stands only in `fold`", "write a helper function in a `#[kernels] mod`")
            }
            syn::Expr::Reference(_) => {
                ("there are no references in a kernel", "remove the `&`: tiles are values")
            }
            syn::Expr::Array(_) | syn::Expr::Repeat(_) => {
                ("there are no arrays in a kernel", "use a tensor, or a tuple")
            }
            syn::Expr::Struct(_) => ("there are no structs in a kernel", "use a tuple, or single values"),
            syn::Expr::Macro(_) => {
                ("this macro is not known in a kernel", "only `assert!` is, before the loops")
            }
            syn::Expr::Range(_) => (
                "a range where a value is expected",
                "ranges stand in `tile(N, a..b)`, `unroll(0..4)` and, as `..`, in an index",
            ),
            syn::Expr::Unsafe(_) => ("there is no `unsafe` in a kernel", "remove it: kernels are safe"),
            syn::Expr::Async(_) | syn::Expr::Await(_) => ("there is no `async` in a kernel", "remove it"),
            syn::Expr::Let(_) => (
                "`if let` is not in the language: optional tensors come in a later version",
                "use `if` on a bool",
            ),
            syn::Expr::Break(_) | syn::Expr::Continue(_) => {
                ("this gives no value", "write it as a statement")
            }
            syn::Expr::ForLoop(_) => ("a loop gives no value", "carry a `let mut` through it and use that"),
            _ => (
                "this expression is not in the language",
                "kernels are made of tiles, scalars, `let`, `for`, `if` and calls",
            ),
        };
        self.fail(expr.span(), what, help)
    }

    fn path(&mut self, path: &syn::ExprPath) -> Thing {
        let span = path.span();
        if path.qself.is_some() {
            return self.fail(
                span,
                "this path is not in the language",
                "use a name, or a constant like `f32::MAX`",
            );
        }
        if let Some(name) = path.path.get_ident() {
            return self.name(&name.to_string(), name.span());
        }
        if let Some(thing) = self.constant_path(&path.path, span) {
            return thing;
        }
        let text = path_text(&path.path);
        self.fail(
            span,
            format!("unknown constant {text}: a kernel cannot see its value while it is built"),
            "pass it as a parameter, or as a const generic; `f32::MAX`, `f32::consts::PI` and the like are known",
        )
    }

    /// What a single name is bound to.
    pub(crate) fn name(&mut self, name: &str, span: Span) -> Thing {
        if let Some(thing) = self.scopes.find(name) {
            return at(thing.clone(), span);
        }
        if let Some(expr) = self.helpers.constant(name) {
            return self.expr(&expr);
        }
        if names::is_word(name) {
            return self.fail(
                span,
                format!("{name} is a function, not a value"),
                format!("call it: `{name}(…)`"),
            );
        }
        let near = names::nearest(name, self.scopes.names());
        let help = match near {
            Some(near) => format!("did you mean {near}?"),
            None => format!(
                "a kernel sees its parameters and its own `let`s; pass {name} as a parameter or a const generic"
            ),
        };
        self.fail(span, format!("unknown name {name}"), help)
    }

    fn tuple_field(&mut self, field: &syn::ExprField) -> Thing {
        let base = self.expr(&field.base);
        match (&base, &field.member) {
            (Thing::Poison, _) => Thing::Poison,
            (Thing::Tuple(parts), syn::Member::Unnamed(at)) => match parts.get(at.index as usize) {
                Some(part) => part.clone(),
                None => {
                    let n_parts = parts.len();
                    self.fail(
                        at.span,
                        format!("this tuple has {n_parts} parts, there is no .{}", at.index),
                        "count from 0",
                    )
                }
            },
            _ => self.fail(
                field.member.span(),
                "only tuples have fields in a kernel",
                "use a method, like `m.index()`",
            ),
        }
    }

    /// `x as f32`.
    fn as_cast(&mut self, cast: &syn::ExprCast) -> Thing {
        let elem = match types::type_name(&cast.ty) {
            Some(name) => self.elem_by_name_or_alias(&name, cast.ty.span()),
            None => {
                self.fail(cast.ty.span(), "this is not an element type", types::ELEM_HELP);
                None
            }
        };
        let operand = self.operand_expr(&cast.expr);
        match (operand, elem) {
            (Some(operand), Some(elem)) => self.cast_operand(operand, elem, cast.as_token.span),
            _ => Thing::Poison,
        }
    }

    /// An explicit cast: a number becomes a literal of the type, anything else is converted.
    pub(crate) fn cast_operand(&mut self, operand: Operand, elem: Elem, span: Span) -> Thing {
        let operand = match operand {
            Operand::Number(number, at) => {
                if number.literal(elem, elem.is_float(&self.kernel.elements)).is_some() {
                    return self.number_as(number, elem, at).map_or(Thing::Poison, Thing::Value);
                }
                operand
            }
            Operand::Value(_) | Operand::Casting(..) => operand,
        };
        match self.settle(operand) {
            Some(value) => Thing::Value(self.cast(value, elem, span)),
            None => Thing::Poison,
        }
    }

    /// An element type by name: in a helper also one of its generics.
    pub(crate) fn elem_by_name_or_alias(&mut self, name: &str, span: Span) -> Option<Elem> {
        match self.elem_aliases.last().and_then(|aliases| aliases.get(name)).copied() {
            Some(elem) => Some(elem),
            None => self.elem_by_name(name, span),
        }
    }

    /// An expression where an axis is wanted: a loop's axis, or a dimension for the whole of it.
    pub(crate) fn axis_expr(&mut self, expr: &syn::Expr) -> Option<AxisId> {
        let thing = match expr {
            syn::Expr::Path(_) | syn::Expr::Paren(_) | syn::Expr::Group(_) | syn::Expr::Field(_) => {
                self.expr(expr)
            }
            syn::Expr::Range(range) if range.start.is_none() && range.end.is_none() => {
                self.fail(expr.span(), "`..` does not say which dimension", "write the dimension's name")
            }
            _ => Thing::Unit,
        };
        match thing {
            Thing::Axis(axis) => Some(axis),
            Thing::Dim(dim) => Some(self.whole_axis(dim)),
            Thing::Each(axis) => {
                let (name, origin) = (self.axis_name(axis), self.origin(axis));
                let help = format!(
                    "use an axis of a `tile` loop, or a dimension; {name} was introduced by `{origin}`"
                );
                self.fail(expr.span(), format!("{name} is a single index, not an axis"), help);
                None
            }
            Thing::Poison => None,
            _ => {
                let help = "name an axis: the variable of a `tile` loop, or a dimension for the whole of it";
                self.fail(expr.span(), "this is not an axis", help);
                None
            }
        }
    }

    /// `for m in tile(M)`: where the axis comes from, for messages.
    pub(crate) fn origin(&self, axis: AxisId) -> String {
        match self.origins.get(&axis) {
            Some(origin) => origin.clone(),
            None => format!("the whole dimension {}", self.axis_name(axis)),
        }
    }

    /// `m.index()` and the like; `None` if the receiver is no axis.
    pub(crate) fn axis_method(&mut self, axis: AxisId, method: &str, span: Span) -> Option<Thing> {
        let scalar = |this: &mut Self, op| Some(Thing::Value(this.leaf(op, Elem::I32, span)));
        match method {
            "index" => {
                let axes = crate::ir::AxisSet::new([axis]);
                let ty = crate::ir::Type { elem: Elem::I32, axes };
                Some(Thing::Value(self.push(Op::AxisIndex(axis), ty, span)))
            }
            "begin" => scalar(self, Op::AxisBegin(axis)),
            "end" => scalar(self, Op::AxisEnd(axis)),
            "len" => scalar(self, Op::AxisLen(axis)),
            _ => None,
        }
    }

    /// Whether effects and loads may stand here; says where they belong if not.
    pub(crate) fn inside(&mut self, what: &str, span: Span) -> bool {
        match self.place {
            Place::Inside { .. } => true,
            Place::Outside | Place::Behind => {
                self.fail(span, format!("{what} outside the loops"), "move it into the outermost `for`");
                false
            }
            Place::Scalar => {
                self.fail(
                    span,
                    format!("{what} where only scalars are"),
                    "a `#[device]` function and a closure of `fold` compute with scalars alone",
                );
                false
            }
        }
    }
}

/// Numbers take the span of where they are used, so that messages point there.
fn at(thing: Thing, span: Span) -> Thing {
    match thing {
        Thing::Number(number, _) => Thing::Number(number, span),
        thing => thing,
    }
}

/// `a::b::c`.
pub(crate) fn path_text(path: &syn::Path) -> String {
    let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    names.join("::")
}

fn is_assign(op: &syn::BinOp) -> bool {
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

/// Reports a name that a later version brings; whether it did.
pub(crate) fn refuse_later(lowering: &mut Lowering<'_>, name: &str, span: Span) -> bool {
    let Some(what) = functions::later(name) else { return false };
    let help = match name {
        "scan" | "cumsum" => "carry a `let mut` through a loop over `each(N)`",
        "scatter" => "store at an index that has each grid axis in a position of its own",
        _ => "reduce over an axis inside one program instead",
    };
    let verb = if what.ends_with('s') && !what.ends_with('`') { "come" } else { "comes" };
    lowering.fail(span, format!("{what} {verb} in a later version"), help);
    true
}
