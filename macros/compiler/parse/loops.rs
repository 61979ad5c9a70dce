//! `for` over `tile`, `each` and `unroll`; the outermost is the grid.

use super::literal::Number;
use super::statement::source;
use super::{Lowering, Place, Thing, index::peel};
use crate::ir::{Axis, AxisId, AxisKind, BinaryOp, BlockBounds, DimId, Elem, Literal, Op, Stmt, ValueId};
use proc_macro2::{Ident, Span};
use syn::spanned::Spanned;

const HEADER_HELP: &str =
    "loops run over `tile(M)`, `tile(M, a..b)`, `each(M)`, `unroll(0..4)`, or a tuple of these";
/// Most axes that a grid may have.
const MAX_GRID_AXES: usize = 8;

/// One loop of a header before its axis exists.
struct Header<'p> {
    pat: &'p syn::Pat,
    kind: AxisKind,
    origin: String,
}

/// `None` where the header was wrong; all its names are then poisoned.
type Headers<'p> = Option<Vec<Header<'p>>>;

impl Lowering<'_> {
    /// `for (m, n) in tile((M, N)) { … }`.
    pub(crate) fn for_loop(&mut self, stmt: &syn::ExprForLoop) {
        let span = stmt.for_token.span;
        if let Some(label) = &stmt.label {
            self.fail(
                label.span(),
                "loops have no labels",
                "`break` and `continue` act on the innermost loop",
            );
        }
        let Some((grid, place)) = self.loop_place(span) else { return };
        let headers = self.headers(&stmt.pat, &stmt.expr);
        if grid && headers.as_ref().is_some_and(|headers| headers.len() > MAX_GRID_AXES) {
            self.fail(
                span,
                format!("a grid has at most {MAX_GRID_AXES} axes"),
                "move some of the loops inside",
            );
        }
        self.scopes.open(false);
        let axes: Vec<AxisId> = match headers {
            Some(headers) => headers.into_iter().filter_map(|header| self.make_axis(header, grid)).collect(),
            None => {
                self.poison_pattern(&stmt.pat);
                Vec::new()
            }
        };
        let said = format!("for {} in {}", source(&stmt.pat), source(&stmt.expr));
        self.kernel.remarks.loops.extend(axes.iter().map(|axis| (*axis, said.clone())));
        self.place = place;
        let (_, body) = self.in_block(|this| this.statements(&stmt.body, false));
        self.place = match (grid, place) {
            (true, _) => Place::Behind,
            (false, Place::Inside { loops }) => Place::Inside { loops: loops - 1 },
            (false, place) => place,
        };
        self.scopes.close();
        if !axes.is_empty() {
            self.emit(Stmt::For { axes, body, span });
        }
    }

    /// Whether a loop here is the grid, and where its body stands.
    fn loop_place(&mut self, span: Span) -> Option<(bool, Place)> {
        match self.place {
            Place::Outside => Some((true, Place::Inside { loops: 0 })),
            Place::Inside { loops } => Some((false, Place::Inside { loops: loops + 1 })),
            Place::Behind => {
                self.fail(
                    span,
                    "a second outermost loop: several phases in one kernel come in a later version",
                    "write a second kernel, or put both into one loop",
                );
                None
            }
            Place::Scalar => {
                self.fail(
                    span,
                    "a loop where only scalars are",
                    "a `#[device]` function and a closure of `fold` have no loops",
                );
                None
            }
        }
    }

    fn headers<'p>(&mut self, pat: &'p syn::Pat, expr: &syn::Expr) -> Headers<'p> {
        match peel(expr) {
            syn::Expr::Tuple(tuple) => {
                let parts: Vec<&syn::Expr> = tuple.elems.iter().collect();
                let pats = self.split(pat, parts.len())?;
                let each: Vec<Headers<'p>> =
                    pats.into_iter().zip(parts).map(|(pat, part)| self.headers(pat, part)).collect();
                let each: Option<Vec<Vec<Header<'p>>>> = each.into_iter().collect();
                Some(each?.into_iter().flatten().collect())
            }
            syn::Expr::MethodCall(call) if call.method == "block" => {
                let headers = self.headers(pat, &call.receiver);
                self.blocks_of(headers?, call)
            }
            syn::Expr::Call(call) => self.header_call(pat, call),
            syn::Expr::Range(range) => {
                self.fail(
                    range.span(),
                    "a plain range is not a loop of the language",
                    "write `unroll(0..4)`, or `each(N, a..b)` and `tile(N, a..b)` over a dimension",
                );
                None
            }
            other => {
                self.fail(other.span(), "this is not something to loop over", HEADER_HELP);
                None
            }
        }
    }

    /// The parts of a tuple pattern that must have `count` of them.
    fn split<'p>(&mut self, pat: &'p syn::Pat, count: usize) -> Option<Vec<&'p syn::Pat>> {
        match pat {
            syn::Pat::Paren(paren) => self.split(&paren.pat, count),
            syn::Pat::Tuple(tuple) if tuple.elems.len() == count => Some(tuple.elems.iter().collect()),
            pat if count == 1 => Some(vec![pat]),
            pat => {
                let names = ["m", "n", "k", "l"][..count.min(4)].join(", ");
                self.fail(
                    pat.span(),
                    format!("the header has {count} loops, but not as many names"),
                    format!("name each: `({names}, …)`").replace(", …", if count > 4 { ", …" } else { "" }),
                );
                None
            }
        }
    }

    fn header_call<'p>(&mut self, pat: &'p syn::Pat, call: &syn::ExprCall) -> Headers<'p> {
        let name = match peel(&call.func) {
            syn::Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
            _ => None,
        };
        let args: Vec<&syn::Expr> = call.args.iter().collect();
        match (name.as_deref(), args.as_slice()) {
            (Some("unroll"), [range]) => {
                let kind = self.unrolled(range)?;
                Some(vec![Header { pat, kind, origin: "unroll(…)".to_string() }])
            }
            (Some(word @ ("tile" | "each")), [dims]) => self.over(pat, word, dims, None),
            (Some(word @ ("tile" | "each")), [dims, range]) => {
                let bounds = self.bounds(range);
                self.over(pat, word, dims, Some(bounds?))
            }
            (Some(word @ ("tile" | "each" | "unroll")), _) => {
                self.fail(
                    call.func.span(),
                    format!("{word} takes a dimension and perhaps a range"),
                    HEADER_HELP,
                );
                None
            }
            (name, _) => {
                let near = name.and_then(|name| super::names::nearest(name, ["tile", "each", "unroll"]));
                let help =
                    near.map_or_else(|| HEADER_HELP.to_string(), |near| format!("did you mean {near}?"));
                self.fail(call.func.span(), "this is not something to loop over", help);
                None
            }
        }
    }

    /// `tile(M)`, `tile((M, N))`, `each(B, a..b)`.
    fn over<'p>(
        &mut self,
        pat: &'p syn::Pat,
        word: &str,
        dims: &syn::Expr,
        bounds: Option<(Option<ValueId>, Option<ValueId>)>,
    ) -> Headers<'p> {
        if let syn::Expr::Tuple(tuple) = peel(dims) {
            if bounds.is_some() {
                self.fail(
                    dims.span(),
                    "a range belongs to one dimension",
                    format!("write `({word}(M, a..b), {word}(N))`"),
                );
                return None;
            }
            let pats = self.split(pat, tuple.elems.len())?;
            let each: Vec<Headers<'p>> = pats
                .into_iter()
                .zip(&tuple.elems)
                .map(|(pat, dim)| self.over(pat, word, dim, None))
                .collect();
            let each: Option<Vec<Vec<Header<'p>>>> = each.into_iter().collect();
            return Some(each?.into_iter().flatten().collect());
        }
        let dim = self.dim_expr(dims, word)?;
        let origin = format!("{word}({})", self.dim_name(dim));
        let (begin, end) = bounds.unwrap_or((None, None));
        let kind = match word {
            "tile" => AxisKind::Tile { dim, begin, end, block: BlockBounds { min: 1, max: i32::MAX } },
            _ => AxisKind::Each { dim, begin, end },
        };
        Some(vec![Header { pat, kind, origin }])
    }

    fn dim_expr(&mut self, expr: &syn::Expr, word: &str) -> Option<DimId> {
        match self.expr(expr) {
            Thing::Dim(dim) => Some(dim),
            Thing::Axis(axis) if matches!(self.kernel.axes[axis].kind, AxisKind::Whole { .. }) => {
                self.kernel.axes[axis].kind.dim()
            }
            Thing::Poison => None,
            _ => {
                let help = "name a dimension: a generic without a bound that a tensor has; a plain count is `unroll(0..4)`";
                self.fail(expr.span(), format!("{word} runs over a dimension, and this is none"), help);
                None
            }
        }
    }

    /// `a..b` as scalars; a missing end is the dimension's, a missing begin or a literal 0 its first index.
    fn bounds(&mut self, expr: &syn::Expr) -> Option<(Option<ValueId>, Option<ValueId>)> {
        let syn::Expr::Range(range) = peel(expr) else {
            self.fail(expr.span(), "the second argument is a range", "write `tile(L, a..b)`");
            return None;
        };
        let mut bound = |side: &Option<Box<syn::Expr>>| match side {
            None => Some(None),
            Some(expr) => {
                let thing = self.expr(expr);
                self.scalar_i32(thing, "a bound of a loop", expr.span()).map(Some)
            }
        };
        let (begin, end) = (bound(&range.start), bound(&range.end));
        let (begin, end) = (begin?, end?);
        let end = match (&range.limits, end) {
            (syn::RangeLimits::Closed(dots), Some(end)) => {
                let one = self.number_as(Number::Int(1), Elem::I32, dots.span())?;
                let ty = self.ty(end).clone();
                Some(self.push(Op::Binary(BinaryOp::Add, end, one), ty, dots.span()))
            }
            (_, end) => end,
        };
        let is_zero = |value: &ValueId| matches!(self.kernel.values[*value].op, Op::Literal(Literal::Int(0)));
        Some((begin.filter(|value| !is_zero(value)), end))
    }

    /// `0..4`, or `4`.
    fn unrolled(&mut self, expr: &syn::Expr) -> Option<AxisKind> {
        let help = "the bounds are numbers: `unroll(0..4)`; over a length known at launch, use `each(N)`";
        let (begin, end) = match peel(expr) {
            syn::Expr::Range(range) => {
                let begin = range.start.as_ref().map_or(Some(0), |start| self.whole_number(start, help));
                let end = match &range.end {
                    Some(end) => self.whole_number(end, help),
                    None => {
                        self.fail(expr.span(), "unroll needs an end", help);
                        None
                    }
                };
                let closed = matches!(range.limits, syn::RangeLimits::Closed(_));
                (begin?, end?.saturating_add(i32::from(closed)))
            }
            single => (0, self.whole_number(single, help)?),
        };
        Some(AxisKind::Unroll { begin, end })
    }

    fn whole_number(&mut self, expr: &syn::Expr, help: &str) -> Option<i32> {
        let known = match self.expr(expr) {
            Thing::Number(Number::Int(int), _) => Some(int),
            Thing::Value(value) => self.known_int(value),
            Thing::Poison => return None,
            _ => None,
        };
        let Some(int) = known else {
            self.fail(expr.span(), "this is not a number that is known while the kernel is built", help);
            return None;
        };
        let narrow = i32::try_from(int).ok();
        if narrow.is_none() {
            self.fail(expr.span(), format!("{int} does not fit in an i32"), "use a smaller number");
        }
        narrow
    }

    /// An integer made of literals and the module's constants.
    fn known_int(&self, value: ValueId) -> Option<i64> {
        let known = |value: &ValueId| self.known_int(*value);
        match &self.kernel.values[value].op {
            Op::Literal(Literal::Int(int)) => Some(*int),
            Op::Cast(of) => known(of),
            Op::Binary(BinaryOp::Add, lhs, rhs) => known(lhs)?.checked_add(known(rhs)?),
            Op::Binary(BinaryOp::Sub, lhs, rhs) => known(lhs)?.checked_sub(known(rhs)?),
            Op::Binary(BinaryOp::Mul, lhs, rhs) => known(lhs)?.checked_mul(known(rhs)?),
            Op::Binary(BinaryOp::Div, lhs, rhs) => known(lhs)?.checked_div(known(rhs)?),
            _ => None,
        }
    }

    /// `.block(64)`, `.block(16..=128)`, `.block((64, 32))`.
    fn blocks_of<'p>(&mut self, mut headers: Vec<Header<'p>>, call: &syn::ExprMethodCall) -> Headers<'p> {
        let args: Vec<&syn::Expr> = call.args.iter().collect();
        let [arg] = args.as_slice() else {
            self.fail(
                call.method.span(),
                "block takes a size or a range",
                "write `.block(64)` or `.block(16..=128)`",
            );
            return None;
        };
        let sizes: Vec<&syn::Expr> = match peel(arg) {
            syn::Expr::Tuple(tuple) => tuple.elems.iter().collect(),
            _ => vec![arg; headers.len()],
        };
        if sizes.len() != headers.len() {
            self.fail(
                arg.span(),
                format!("{} block sizes for {} loops", sizes.len(), headers.len()),
                "give one for each loop",
            );
            return None;
        }
        for (header, size) in headers.iter_mut().zip(sizes) {
            let bounds = self.block_bounds(size)?;
            match &mut header.kind {
                AxisKind::Tile { block, .. } => *block = bounds,
                AxisKind::Each { .. } | AxisKind::Unroll { .. } | AxisKind::Whole { .. } => {
                    self.fail(call.method.span(), "only a `tile` loop has blocks", "remove `.block(…)`");
                    return None;
                }
            }
        }
        Some(headers)
    }

    fn block_bounds(&mut self, expr: &syn::Expr) -> Option<BlockBounds> {
        let help = "write `.block(64)` or `.block(16..=128)` with numbers of at least 1";
        let (min, max) = match peel(expr) {
            syn::Expr::Range(range) => {
                let min = range.start.as_ref().map_or(Some(1), |start| self.whole_number(start, help))?;
                let max = range.end.as_ref().map_or(Some(i32::MAX), |end| self.whole_number(end, help))?;
                let open = matches!(range.limits, syn::RangeLimits::HalfOpen(_)) && range.end.is_some();
                (min, if open { max.saturating_sub(1) } else { max })
            }
            single => {
                let size = self.whole_number(single, help)?;
                (size, size)
            }
        };
        if min < 1 || max < min {
            self.fail(expr.span(), format!("there is no block size from {min} to {max}"), help);
            return None;
        }
        Some(BlockBounds { min, max })
    }

    fn make_axis(&mut self, header: Header<'_>, grid: bool) -> Option<AxisId> {
        let name = match header.pat {
            syn::Pat::Ident(pat)
                if pat.by_ref.is_none() && pat.mutability.is_none() && pat.subpat.is_none() =>
            {
                pat.ident.clone()
            }
            syn::Pat::Wild(wild) => Ident::new("_i", wild.underscore_token.span()),
            syn::Pat::Paren(paren) => return self.make_axis(Header { pat: &paren.pat, ..header }, grid),
            pat => {
                self.fail(pat.span(), "the variable of a loop is a plain name", "write `for m in tile(M)`");
                self.poison_pattern(pat);
                return None;
            }
        };
        let allowed = self.check_new_name(&name);
        let text = name.to_string();
        let key = self.unique_key(&text);
        let thing = |axis| match &header.kind {
            AxisKind::Tile { .. } | AxisKind::Whole { .. } => Thing::Axis(axis),
            AxisKind::Each { .. } | AxisKind::Unroll { .. } => Thing::Each(axis),
        };
        let axis = self.kernel.axes.push(Axis { name, key, kind: header.kind.clone(), grid });
        self.origins.insert(axis, format!("for {text} in {}", header.origin));
        if allowed {
            self.scopes.bind(text, thing(axis));
        }
        Some(axis)
    }
}
