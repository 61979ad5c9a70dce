//! `if`, as a statement and as an expression.

use super::convert::Operand;
use super::{Lowering, Place, Thing};
use crate::ir::{BinaryOp, Op, Stmt, Type, UnaryOp, ValueId, Var};
use proc_macro2::{Ident, Span};
use syn::spanned::Spanned;

/// Up to so many operations of both branches are simply computed, and the result selected.
const CHEAP: usize = 8;

impl Lowering<'_> {
    fn condition(&mut self, expr: &syn::Expr) -> Option<ValueId> {
        let thing = self.expr(expr);
        self.scalar_bool(thing, "the condition of an `if`", expr.span())
    }

    /// `if` as a statement.
    pub(crate) fn if_statement(&mut self, conditional: &syn::ExprIf) {
        let condition = self.condition(&conditional.cond);
        let (_, then) = self.in_block(|this| this.statements(&conditional.then_branch, false));
        let (_, otherwise) = self.in_block(|this| {
            if let Some((_, branch)) = &conditional.else_branch {
                this.effect(branch);
            }
        });
        let Some(condition) = condition else { return };
        if self.place == Place::Outside {
            self.hoist(condition, then, otherwise);
        } else {
            self.emit(Stmt::If { condition, then, otherwise });
        }
    }

    /// Outside the loops a branch holds only scalars and asserts: `if c { assert!(p) }` is
    /// `assert!(!c || p)`.
    fn hoist(&mut self, condition: ValueId, then: Vec<Stmt>, otherwise: Vec<Stmt>) {
        let span = self.span(condition);
        let ty = self.ty(condition).clone();
        let mut negated = None;
        for (stmts, holds) in [(then, true), (otherwise, false)] {
            for stmt in stmts {
                let Stmt::Assert { condition: claim, text, span: at } = stmt else {
                    self.emit(stmt);
                    continue;
                };
                let excuse = if holds {
                    *negated.get_or_insert_with(|| {
                        self.push(Op::Unary(UnaryOp::Not, condition), ty.clone(), span)
                    })
                } else {
                    condition
                };
                let claim = self.push(Op::Binary(BinaryOp::Or, excuse, claim), ty.clone(), at);
                self.emit(Stmt::Assert { condition: claim, text, span: at });
            }
        }
    }

    /// `if` as an expression: a `select` of cheap values, else a variable assigned in both branches.
    pub(crate) fn if_expr(&mut self, conditional: &syn::ExprIf) -> Thing {
        let condition = self.condition(&conditional.cond);
        let (then, then_block) = self.in_block(|this| this.statements(&conditional.then_branch, true));
        let Some((_, branch)) = &conditional.else_branch else {
            if matches!(then, Thing::Poison) {
                return Thing::Poison;
            }
            return self.fail(
                conditional.if_token.span,
                "this `if` gives no value when its condition fails",
                "add an `else`",
            );
        };
        let (otherwise, else_block) = self.in_block(|this| this.expr(branch));
        let Some(condition) = condition else { return Thing::Poison };
        let mut branches =
            Branches { condition, blocks: [then_block, else_block], span: conditional.if_token.span };
        let thing =
            self.join_branches(&mut branches, then, conditional.then_branch.span(), otherwise, branch.span());
        match thing {
            Some(parts) => self.finish_branches(branches, parts),
            None => Thing::Poison,
        }
    }

    /// Pairs up what both branches give, each pair with a common type.
    fn join_branches(
        &mut self,
        branches: &mut Branches,
        then: Thing,
        then_span: Span,
        otherwise: Thing,
        else_span: Span,
    ) -> Option<Parts> {
        match (then, otherwise) {
            (Thing::Tuple(a), Thing::Tuple(b)) if a.len() == b.len() => {
                let parts: Vec<Option<Parts>> = a
                    .into_iter()
                    .zip(b)
                    .map(|(a, b)| self.join_branches(branches, a, then_span, b, else_span))
                    .collect();
                Some(Parts::Tuple(parts.into_iter().collect::<Option<_>>()?))
            }
            (then, otherwise) => {
                let (a, b) = (
                    self.branch_operand(branches, 0, then, then_span),
                    self.branch_operand(branches, 1, otherwise, else_span),
                );
                let (a, b) = (a?, b?);
                let elem = self.common_kept("if", &[a, b], branches.span)?;
                let a = self.branch_value(branches, 0, |this| this.convert(a, elem))?;
                let b = self.branch_value(branches, 1, |this| this.convert(b, elem))?;
                let axes = self.join(&[a, b], branches.span)?;
                Some(Parts::Pair(a, b, Type { elem, axes }))
            }
        }
    }

    fn branch_operand(
        &mut self,
        branches: &mut Branches,
        which: usize,
        thing: Thing,
        span: Span,
    ) -> Option<Operand> {
        self.branch_value(branches, which, |this| this.operand(thing, span))
    }

    /// Lowers more at the end of one branch.
    fn branch_value<R>(
        &mut self,
        branches: &mut Branches,
        which: usize,
        lower: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let (result, stmts) = self.in_block(lower);
        branches.blocks[which].extend(stmts);
        result
    }

    fn finish_branches(&mut self, branches: Branches, parts: Parts) -> Thing {
        let all_cheap = branches.blocks.iter().flatten().all(|stmt| self.is_cheap(stmt));
        let n_ops: usize = branches.blocks.iter().map(Vec::len).sum();
        let pure = matches!(self.place, Place::Outside | Place::Scalar);
        if pure || (all_cheap && n_ops <= CHEAP) {
            for stmt in branches.blocks.into_iter().flatten() {
                self.emit(stmt);
            }
            return self.select_parts(branches.condition, &parts, branches.span);
        }
        let Branches { condition, blocks: [mut then, mut otherwise], span } = branches;
        let mut vars = Vec::new();
        self.assign_parts(&parts, span, &mut then, &mut otherwise, &mut vars);
        self.emit(Stmt::If { condition, then, otherwise });
        let mut vars = vars.into_iter();
        self.read_parts(&parts, span, &mut vars)
    }

    fn select_parts(&mut self, condition: ValueId, parts: &Parts, span: Span) -> Thing {
        match parts {
            Parts::Tuple(parts) => {
                Thing::Tuple(parts.iter().map(|part| self.select_parts(condition, part, span)).collect())
            }
            Parts::Pair(a, b, ty) => Thing::Value(self.push(Op::Select(condition, *a, *b), ty.clone(), span)),
        }
    }

    fn assign_parts(
        &mut self,
        parts: &Parts,
        span: Span,
        then: &mut Vec<Stmt>,
        otherwise: &mut Vec<Stmt>,
        vars: &mut Vec<crate::ir::VarId>,
    ) {
        match parts {
            Parts::Tuple(parts) => {
                for part in parts {
                    self.assign_parts(part, span, then, otherwise, vars);
                }
            }
            Parts::Pair(a, b, ty) => {
                let var = self.kernel.vars.push(Var { name: Ident::new("branch", span), ty: ty.clone() });
                let start = self.zeros_of(ty.elem, &ty.axes, span);
                self.emit(Stmt::Assign(var, start));
                for (value, block) in [(*a, &mut *then), (*b, &mut *otherwise)] {
                    let (value, stmts) = self.in_block(|this| this.broadcast(value, &ty.axes, span));
                    block.extend(stmts);
                    block.push(Stmt::Assign(var, value));
                }
                vars.push(var);
            }
        }
    }

    fn read_parts(
        &mut self,
        parts: &Parts,
        span: Span,
        vars: &mut impl Iterator<Item = crate::ir::VarId>,
    ) -> Thing {
        match parts {
            Parts::Tuple(parts) => {
                Thing::Tuple(parts.iter().map(|part| self.read_parts(part, span, vars)).collect())
            }
            Parts::Pair(_, _, ty) => match vars.next() {
                Some(var) => Thing::Value(self.push(Op::Read(var), ty.clone(), span)),
                None => Thing::Poison,
            },
        }
    }

    /// Whether a statement may run although its branch is not taken: it has no effect, touches no
    /// memory and costs little.
    fn is_cheap(&self, stmt: &Stmt) -> bool {
        let Stmt::Let(value) = stmt else { return false };
        match &self.kernel.values[*value].op {
            Op::Literal(_)
            | Op::Dim(_)
            | Op::Param(_)
            | Op::Const(_)
            | Op::Each(_)
            | Op::AxisIndex(_)
            | Op::AxisBegin(_)
            | Op::AxisEnd(_)
            | Op::AxisLen(_)
            | Op::Read(_)
            | Op::Broadcast(_)
            | Op::Unary(..)
            | Op::Binary(..)
            | Op::Compare(..)
            | Op::Select(..)
            | Op::Cast(_) => true,
            Op::Call(..) | Op::Reduce(..) | Op::Fold(_) | Op::Dot(..) | Op::Load { .. } => false,
        }
    }

    /// `assert!(condition, "message")` before the loops.
    pub(crate) fn assertion(&mut self, mac: &syn::Macro) {
        let name = mac.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let span = mac.path.span();
        if name != "assert" {
            let near = name.starts_with("assert") || name.starts_with("debug_assert");
            let help = if near {
                "write `assert!(a == b)`"
            } else {
                "only `assert!` is known in a kernel, before the loops"
            };
            self.fail(span, format!("the macro {name}! is not known in a kernel"), help);
            return;
        }
        if self.place != Place::Outside {
            self.fail(
                span,
                "`assert!` inside the loops",
                "move it before the loops, where the launch checks it",
            );
            return;
        }
        let parse = syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        let args = match mac.parse_body_with(parse) {
            Ok(args) => args,
            Err(error) => {
                self.fail(
                    error.span(),
                    format!("this assertion is not understood: {error}"),
                    "write `assert!(condition)`",
                );
                return;
            }
        };
        let Some(expr) = args.first() else {
            self.fail(span, "assert! without a condition", "write `assert!(D <= 256)`");
            return;
        };
        let thing = self.expr(expr);
        let Some(condition) = self.scalar_bool(thing, "what is asserted", expr.span()) else { return };
        let text = assert_text(expr, args.iter().nth(1));
        self.emit(Stmt::Assert { condition, text, span: expr.span() });
    }
}

/// The message if there is one, else the condition as written.
fn assert_text(expr: &syn::Expr, message: Option<&syn::Expr>) -> String {
    if let Some(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. })) = message {
        return text.value();
    }
    quote::ToTokens::to_token_stream(expr).to_string()
}

/// Both branches of an `if` expression, still open.
struct Branches {
    condition: ValueId,
    blocks: [Vec<Stmt>; 2],
    span: Span,
}

/// What both branches give, in pairs of one type.
enum Parts {
    Pair(ValueId, ValueId, Type),
    Tuple(Vec<Parts>),
}
