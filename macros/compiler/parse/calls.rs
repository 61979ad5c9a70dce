//! Calls: functions of the language, helpers, `#[device]` functions, and methods.

use super::convert::Operand;
use super::expression::{path_text, refuse_later};
use super::{Lowering, Place, Thing, functions, names, types};
use crate::ir::{Callee, Elem, FunctionId, Op, Type, ValueId};
use proc_macro2::Span;
use syn::spanned::Spanned;

impl Lowering<'_> {
    /// `f(a, b)`.
    pub(crate) fn call(&mut self, call: &syn::ExprCall) -> Thing {
        let syn::Expr::Path(path) = super::index::peel(&call.func) else {
            return self.fail(call.func.span(), "only functions with a name can be called", "write `f(x)`");
        };
        if path.qself.is_some() {
            return self.fail(
                path.span(),
                "this path is not in the language",
                "name a function: `exp(x)`, or your own `#[device]` function",
            );
        }
        let args: Vec<&syn::Expr> = call.args.iter().collect();
        match path.path.segments.last() {
            Some(last) if path.path.segments.len() == 1 => self.call_name(last, &args, path),
            Some(last) if is_float_function(&path.path) => {
                self.call_function(&last.ident.to_string(), &args, last.ident.span())
            }
            _ => self.call_device(&path.path, &args),
        }
    }

    fn call_name(&mut self, segment: &syn::PathSegment, args: &[&syn::Expr], path: &syn::ExprPath) -> Thing {
        let (name, span) = (segment.ident.to_string(), segment.ident.span());
        match self.scopes.find(&name) {
            Some(Thing::Function(function)) => {
                let function = *function;
                return self.call_param(function, args, span);
            }
            Some(Thing::Poison) => return Thing::Poison,
            Some(_) => {
                return self.fail(
                    span,
                    format!("{name} is a value here, not a function"),
                    "rename one of the two",
                );
            }
            None => {}
        }
        if refuse_later(self, &name, span) {
            return Thing::Poison;
        }
        if let Some(helper) = self.helpers.function(&name) {
            return self.call_helper(&helper, args, span);
        }
        match name.as_str() {
            "zeros" | "full" => self.call_filled(segment, args),
            "dot" => match args {
                [lhs, rhs, axis] => self.dot(lhs, rhs, axis, span),
                _ => self.wrong_count("dot", 3, args.len(), "dot(a, b, k)", span),
            },
            "select" => self.call_operands(
                "select",
                "select(condition, then, otherwise)",
                args,
                span,
                |this, [c, t, o]| this.select(c, t, o, span),
            ),
            "outer" => {
                self.call_operands("outer", "outer(a, b)", args, span, |this, [a, b]| this.outer(a, b, span))
            }
            "fold" => match args {
                [value, axis, init, closure] => match self.operand_expr(value) {
                    Some(value) => self.fold(value, axis, init, closure, span),
                    None => Thing::Poison,
                },
                _ => self.wrong_count("fold", 4, args.len(), "x.fold(n, 0.0, |a, b| a + b)", span),
            },
            "tile" | "each" | "unroll" => self.fail(
                span,
                format!("{name} stands only in the header of a `for`"),
                format!("write `for m in {name}(…) {{ … }}`"),
            ),
            "Some" | "None" => self.fail(
                span,
                "optional tensors come in a later version",
                "write two kernels, or pass a tensor of zeros",
            ),
            _ if functions::is_function(&name) => self.call_function(&name, args, span),
            _ => self.call_unknown(&name, args, path),
        }
    }

    /// A name that the language does not know: misspelt, or a `#[device]` function.
    fn call_unknown(&mut self, name: &str, args: &[&syn::Expr], path: &syn::ExprPath) -> Thing {
        let known: Vec<String> = names::words().map(str::to_string).chain(self.helpers.names()).collect();
        let extends = |near: &str| name.starts_with(near) || near.starts_with(name);
        if let Some(near) =
            names::nearest(name, known.iter().map(String::as_str)).filter(|near| !extends(near))
        {
            let help = format!(
                "did you mean {near}? A `#[device]` function of yours with this name is called by path: `self::{name}(x)`"
            );
            return self.fail(path.span(), format!("unknown function {name}"), help);
        }
        if let Some(op) = functions::reduction(name) {
            let method = super::reduce::reduce_name(op);
            return self.fail(
                path.span(),
                format!("{name} is a method"),
                format!("write `x.{method}(n)`, where n is the axis to remove"),
            );
        }
        self.call_device(&path.path, args)
    }

    fn call_function(&mut self, name: &str, args: &[&syn::Expr], span: Span) -> Thing {
        let Some(function) = functions::function(name) else {
            return self.fail(
                span,
                format!("unknown function {name}"),
                "this is no function of the language",
            );
        };
        if let ("max" | "min", [_, axis]) = (name, args)
            && let syn::Expr::Path(_) = axis
            && let Some(axis_name) = self.names_an_axis(axis)
        {
            let help = format!("to reduce over {axis_name}, write `x.{name}({axis_name})`");
            return self.fail(
                axis.span(),
                format!("{name} takes two values, but {axis_name} is an axis"),
                help,
            );
        }
        match self.operands(args) {
            Some(operands) => self.function(function, name, &operands, span),
            None => Thing::Poison,
        }
    }

    /// The name of the axis or dimension that an expression is, if it is one.
    fn names_an_axis(&self, expr: &syn::Expr) -> Option<String> {
        let syn::Expr::Path(path) = expr else { return None };
        let name = path.path.get_ident()?.to_string();
        matches!(self.scopes.find(&name), Some(Thing::Axis(_))).then_some(name)
    }

    /// All arguments, also when one of them is wrong, so that all mistakes are reported.
    fn operands(&mut self, args: &[&syn::Expr]) -> Option<Vec<Operand>> {
        let operands: Vec<Option<Operand>> = args.iter().map(|arg| self.operand_expr(arg)).collect();
        operands.into_iter().collect()
    }

    fn call_operands<const N: usize>(
        &mut self,
        name: &str,
        usage: &str,
        args: &[&syn::Expr],
        span: Span,
        then: impl FnOnce(&mut Self, [Operand; N]) -> Thing,
    ) -> Thing {
        let Some(operands) = self.operands(args) else { return Thing::Poison };
        let n_args = operands.len();
        match <[Operand; N]>::try_from(operands) {
            Ok(operands) => then(self, operands),
            Err(_) => self.wrong_count(name, N, n_args, usage, span),
        }
    }

    fn wrong_count(&mut self, name: &str, wanted: usize, given: usize, usage: &str, span: Span) -> Thing {
        let plural = if wanted == 1 { "" } else { "s" };
        self.fail(
            span,
            format!("{name} takes {wanted} argument{plural}, but {given} were given"),
            format!("write `{usage}`"),
        )
    }

    /// `zeros::<f32>((m, n))` and `full::<f32>(m, value)`.
    fn call_filled(&mut self, segment: &syn::PathSegment, args: &[&syn::Expr]) -> Thing {
        let (name, span) = (segment.ident.to_string(), segment.ident.span());
        let elem = match self.turbofish(&segment.arguments, span) {
            Ok(Some(elem)) => elem,
            Err(()) => return Thing::Poison,
            Ok(None) => {
                let help = format!("name it: `{name}::<f32>(…)`");
                return self.fail(span, format!("{name} does not say which element type it has"), help);
            }
        };
        match (name.as_str(), args) {
            ("zeros", [axes]) => match self.axes_expr(axes) {
                Some(axes) => Thing::Value(self.zeros_of(elem, &axes, span)),
                None => Thing::Poison,
            },
            ("full", [axes, value]) => self.full(elem, axes, value),
            ("zeros", _) => self.wrong_count("zeros", 1, args.len(), "zeros::<f32>((m, n))", span),
            _ => self.wrong_count("full", 2, args.len(), "full::<f32>((m, n), 1.0)", span),
        }
    }

    fn full(&mut self, elem: Elem, axes: &syn::Expr, value: &syn::Expr) -> Thing {
        let (axes, operand) = (self.axes_expr(axes), self.operand_expr(value));
        let (Some(axes), Some(operand)) = (axes, operand) else { return Thing::Poison };
        let Some(value_id) = self.coerce(operand, elem, "this tile", value.span()) else {
            return Thing::Poison;
        };
        let has = self.ty(value_id).axes.clone();
        if !axes.includes(&has) {
            let (has, wanted) = (self.axes_text(&has), self.axes_text(&axes));
            return self.fail(
                value.span(),
                format!("the value has the axes {has}, but the tile has {wanted}"),
                "fill with a scalar",
            );
        }
        let at = self.span(value_id);
        Thing::Value(self.broadcast(value_id, &axes, at))
    }

    /// The element type in `::<f32>`.
    fn turbofish(&mut self, args: &syn::PathArguments, span: Span) -> Result<Option<Elem>, ()> {
        let generics = match args {
            syn::PathArguments::None => return Ok(None),
            syn::PathArguments::AngleBracketed(args) => args,
            syn::PathArguments::Parenthesized(_) => {
                self.fail(span, "this is not an element type", types::ELEM_HELP);
                return Err(());
            }
        };
        self.elem_argument(generics, span)
    }

    fn elem_argument(
        &mut self,
        args: &syn::AngleBracketedGenericArguments,
        span: Span,
    ) -> Result<Option<Elem>, ()> {
        let mut each = args.args.iter();
        match (each.next(), each.next()) {
            (Some(syn::GenericArgument::Type(syn::Type::Infer(_))), None) => Ok(None),
            (Some(syn::GenericArgument::Type(ty)), None) => match types::type_name(ty) {
                Some(name) => self.elem_by_name_or_alias(&name, ty.span()).map(Some).ok_or(()),
                None => {
                    self.fail(ty.span(), "this is not an element type", types::ELEM_HELP);
                    Err(())
                }
            },
            _ => {
                self.fail(span, "one element type is expected here", "write `::<f32>`");
                Err(())
            }
        }
    }

    /// `F(x)`: a function that the caller names.
    fn call_param(&mut self, function: FunctionId, args: &[&syn::Expr], span: Span) -> Thing {
        let param = &self.kernel.functions[function];
        let (name, wanted, result) = (param.name.to_string(), param.args.clone(), param.result);
        let Some(operands) = self.operands(args) else { return Thing::Poison };
        if operands.len() != wanted.len() {
            return self.wrong_count(&name, wanted.len(), operands.len(), &format!("{name}(x)"), span);
        }
        let values: Vec<Option<ValueId>> = operands
            .into_iter()
            .zip(wanted)
            .zip(args)
            .map(|((operand, elem), arg)| {
                self.coerce(operand, elem, &format!("an argument of {name}"), arg.span())
            })
            .collect();
        let Some(values) = values.into_iter().collect::<Option<Vec<ValueId>>>() else { return Thing::Poison };
        self.push_call(Callee::Param(function), values, result, span)
    }

    /// A `#[device]` function by path. Its type is taken to be that of its arguments; the expansion
    /// lets rustc check that.
    fn call_device(&mut self, path: &syn::Path, args: &[&syn::Expr]) -> Thing {
        let span = path.segments.last().map_or_else(|| path.span(), |last| last.ident.span());
        let name = path_text(path);
        if path.segments.iter().any(|segment| !segment.arguments.is_none()) {
            return self.fail(
                span,
                format!("{name} is called with generic arguments, which `#[device]` functions do not have"),
                "remove them",
            );
        }
        let Some(operands) = self.operands(args) else { return Thing::Poison };
        let mut values = Vec::new();
        for operand in operands {
            let value = match operand {
                Operand::Number(..) if self.fits(operand, Elem::F32) => self.convert(operand, Elem::F32),
                operand => self.settle(operand),
            };
            let Some(value) = value else { return Thing::Poison };
            let Some(elem) = self.compute_elem(self.elem(value), &name, span) else { return Thing::Poison };
            values.push(self.cast(value, elem, span));
        }
        let Some(first) = values.first() else {
            return self.fail(
                span,
                format!("{name} is called without arguments"),
                "a `#[device]` function takes scalars and gives one",
            );
        };
        let result = self.elem(*first);
        self.push_call(Callee::Path(path.clone()), values, result, span)
    }

    fn push_call(&mut self, callee: Callee, values: Vec<ValueId>, elem: Elem, span: Span) -> Thing {
        match self.join(&values, span) {
            Some(axes) => Thing::Value(self.push(Op::Call(callee, values), Type { elem, axes }, span)),
            None => Thing::Poison,
        }
    }

    /// `x.method(…)`.
    pub(crate) fn method_call(&mut self, call: &syn::ExprMethodCall) -> Thing {
        let (name, span) = (call.method.to_string(), call.method.span());
        let args: Vec<&syn::Expr> = call.args.iter().collect();
        if refuse_later(self, &name, span) {
            return Thing::Poison;
        }
        match name.as_str() {
            "or" => return self.load_or(call, &args),
            "at" => {
                return self.fail(
                    span,
                    "`.at(…)` needs a default for indices outside the tensor",
                    "write `x.at((m, n)).or(0.0)`",
                );
            }
            "block" => {
                return self.fail(
                    span,
                    "block belongs to the header of a `for`",
                    "write `for m in tile(M).block(64)`",
                );
            }
            _ => {}
        }
        let receiver = self.expr(&call.receiver);
        if let Some(thing) = self.axis_receiver(&receiver, &name, &args, span) {
            return thing;
        }
        let Some(operand) = self.operand(receiver, call.receiver.span()) else {
            return Thing::Poison;
        };
        self.value_method(operand, call, &name, &args, span)
    }

    /// `m.index()`, `N.len()`.
    fn axis_receiver(
        &mut self,
        receiver: &Thing,
        name: &str,
        args: &[&syn::Expr],
        span: Span,
    ) -> Option<Thing> {
        if !matches!(name, "index" | "begin" | "end" | "len") {
            return match receiver {
                Thing::Axis(axis) => {
                    let axis = self.axis_name(*axis);
                    Some(self.fail(span, format!("the axis {axis} has no method {name}"), format!("an axis has index(), begin(), end() and len(); positions are values: `{axis}.index().{name}(…)`")))
                }
                _ => None,
            };
        }
        if !args.is_empty() {
            return Some(self.fail(span, format!("{name} takes no arguments"), format!("write `.{name}()`")));
        }
        match receiver {
            Thing::Axis(axis) => self.axis_method(*axis, name, span),
            Thing::Each(axis) => match name {
                "index" => Some(Thing::Each(*axis)),
                _ => {
                    let axis = self.axis_name(*axis);
                    Some(self.fail(
                        span,
                        format!("{axis} is a single index, which has no {name}"),
                        format!("use {axis} itself, it is an integer"),
                    ))
                }
            },
            Thing::Dim(dim) => match name {
                "index" => {
                    let axis = self.whole_axis(*dim);
                    self.axis_method(axis, name, span)
                }
                "begin" => Some(Thing::Value(self.zero(Elem::I32, span))),
                _ => Some(Thing::Dim(*dim)),
            },
            Thing::Poison => Some(Thing::Poison),
            _ => Some(self.fail(
                span,
                format!("{name} is a method of axes, and this is none"),
                "use the variable of a `tile` loop, or a dimension",
            )),
        }
    }

    /// `x.at((m, n)).or(0.0)`.
    fn load_or(&mut self, call: &syn::ExprMethodCall, args: &[&syn::Expr]) -> Thing {
        let span = call.method.span();
        let (syn::Expr::MethodCall(at), [default]) = (super::index::peel(&call.receiver), args) else {
            return self.fail(span, "`.or(default)` belongs to `.at(…)`", "write `x.at((m, n)).or(0.0)`");
        };
        if at.method != "at" {
            return self.fail(span, "`.or(default)` belongs to `.at(…)`", "write `x.at((m, n)).or(0.0)`");
        }
        let mut indices = at.args.iter();
        let (Some(index), None) = (indices.next(), indices.next()) else {
            return self.fail(
                at.method.span(),
                "`.at` takes one index",
                "write `x.at((m, n)).or(0.0)`, with one tuple",
            );
        };
        match self.tensor_expr(&at.receiver) {
            Some(tensor) => self.load(tensor, index, Some((default, default.span())), at.receiver.span()),
            None => Thing::Poison,
        }
    }

    fn value_method(
        &mut self,
        operand: Operand,
        call: &syn::ExprMethodCall,
        name: &str,
        args: &[&syn::Expr],
        span: Span,
    ) -> Thing {
        match (name, args) {
            ("cast", []) => self.cast_method(operand, call.turbofish.as_ref(), span),
            ("cast", _) => {
                self.fail(span, "cast takes its type between `::<` and `>`", "write `.cast::<f32>()`")
            }
            ("fold", [axis, init, closure]) => self.fold(operand, axis, init, closure, span),
            ("fold", _) => self.wrong_count("fold", 3, args.len(), "x.fold(n, 0.0, |a, b| a + b)", span),
            ("max" | "min", [other]) if self.is_scalar(operand) && !self.gives_axis(other) => {
                self.call_with(operand, name, args, span)
            }
            _ => match functions::reduction(name) {
                Some(op) => match (args, self.settle(operand)) {
                    ([axis], Some(value)) => self.reduce(op, value, axis, span),
                    (_, None) => Thing::Poison,
                    (_, Some(_)) => self.wrong_count(name, 1, args.len(), &format!("x.{name}(n)"), span),
                },
                None => self.call_with(operand, name, args, span),
            },
        }
    }

    fn is_scalar(&self, operand: Operand) -> bool {
        match operand {
            Operand::Value(value) => self.ty(value).axes.is_empty(),
            Operand::Number(..) => true,
            Operand::Casting(..) => false,
        }
    }

    fn gives_axis(&self, expr: &syn::Expr) -> bool {
        let syn::Expr::Path(path) = super::index::peel(expr) else { return false };
        let bound = path.path.get_ident().and_then(|name| self.scopes.find(&name.to_string()));
        matches!(bound, Some(Thing::Axis(_))) && self.place != Place::Scalar
    }

    /// A method that is a function of the table: `x.exp()`.
    fn call_with(&mut self, operand: Operand, name: &str, args: &[&syn::Expr], span: Span) -> Thing {
        let function = functions::method(name)
            .or_else(|| matches!(name, "max" | "min").then(|| functions::function(name)).flatten());
        let Some(function) = function else {
            let help = match names::nearest(name, functions::methods()) {
                Some(near) => format!("did you mean {near}?"),
                None if functions::is_function(name) => format!("call it as a function: `{name}(x)`"),
                None => "tiles have cast, sum, mean, prod, max, min, argmax, argmin, any, all, fold, and mathematics like exp".to_string(),
            };
            return self.fail(span, format!("unknown method {name}"), help);
        };
        let Some(rest) = self.operands(args) else { return Thing::Poison };
        let operands: Vec<Operand> = std::iter::once(operand).chain(rest).collect();
        self.function(function, name, &operands, span)
    }

    fn cast_method(
        &mut self,
        operand: Operand,
        turbofish: Option<&syn::AngleBracketedGenericArguments>,
        span: Span,
    ) -> Thing {
        let elem = match turbofish {
            None => None,
            Some(args) => match self.elem_argument(args, span) {
                Ok(elem) => elem,
                Err(()) => return Thing::Poison,
            },
        };
        match (elem, operand) {
            (Some(elem), operand) => self.cast_operand(operand, elem, span),
            (None, Operand::Number(number, span)) => Thing::Number(number, span),
            (None, operand) => {
                self.settle(operand).map_or(Thing::Poison, |value| Thing::Casting(value, span))
            }
        }
    }
}

/// `f32::exp`, `f64::max`.
fn is_float_function(path: &syn::Path) -> bool {
    let mut segments = path.segments.iter();
    let is_float = segments.next().is_some_and(|first| first.ident == "f32" || first.ident == "f64");
    let name = segments.next().map(|second| second.ident.to_string());
    is_float && segments.next().is_none() && name.is_some_and(|name| functions::is_function(&name))
}
