//! What kernels become, and what is said about wrong ones.

use super::{Helpers, parse_kernel};
use crate::diagnostics::Diagnostics;
use crate::ir::Kernel;
use crate::print::print;

/// A kernel that nothing is wrong with.
pub(crate) fn kernel(source: &str) -> Kernel {
    let item: syn::ItemFn = syn::parse_str(source).expect("the kernel is Rust");
    let mut errors = Diagnostics::default();
    let (kernel, _) = parse_kernel(&item, &Helpers::default(), &mut errors);
    let found = errors.take();
    assert!(found.is_empty(), "{source}\n{found:?}");
    kernel.expect("there are no errors")
}

/// The printed IR, or the messages.
fn lower(source: &str) -> Result<String, Vec<String>> {
    let item: syn::ItemFn = syn::parse_str(source).expect("the test is Rust");
    let mut errors = Diagnostics::default();
    let (kernel, _) = parse_kernel(&item, &Helpers::default(), &mut errors);
    let found: Vec<String> = errors.take().into_iter().map(|error| error.message).collect();
    match kernel {
        Some(kernel) if found.is_empty() => Ok(print(&kernel)),
        _ => Err(found),
    }
}

fn body(source: &str) -> String {
    match lower(source) {
        Ok(text) => text,
        Err(errors) => panic!("{source}\n{errors:#?}"),
    }
}

#[test]
fn the_kernels_of_the_language_description_parse() {
    for source in [
        "fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
            for m in tile(M) {
                let row = x[(m, ..)];
                let e = exp(row - row.max(N));
                out[(m, ..)] = (e / e.sum(N)).cast();
            }
        }",
        "pub fn linear_gelu<T: Float, M, N, K>(
            x: &Tensor<T, (M, K)>, w: &Tensor<T, (N, K)>, b: &Tensor<T, N>, out: &mut Tensor<T, (M, N)>,
        ) {
            for (m, n) in tile((M, N)) {
                let mut acc = zeros::<f32>((m, n));
                for k in tile(K) {
                    acc += dot(x[(m, k)], w[(n, k)], k);
                }
                out[(m, n)] = gelu(acc + b[n]).cast();
            }
        }",
        "pub fn attention<T: Float, const CAUSAL: bool, B, H, G, S, L, D>(
            q: &Tensor<T, (B, H, S, D)>, k: &Tensor<T, (B, G, L, D)>, v: &Tensor<T, (B, G, L, D)>,
            out: &mut Tensor<T, (B, H, S, D)>, scale: f32,
        ) {
            assert!(H % G == 0 && S <= L && D <= 256);
            for (b, h, s) in (each(B), each(H), tile(S)) {
                let g = h / (H / G);
                let mut peak = full::<f32>(s, f32::NEG_INFINITY);
                let mut total = zeros::<f32>(s);
                let mut acc = zeros::<f32>((s, D));
                let end = if CAUSAL { s.end() + (L - S) } else { L };
                for t in tile(L, 0..end) {
                    let mut score = dot(q[(b, h, s, ..)], k[(b, g, t, ..)], D) * scale;
                    if CAUSAL {
                        score = select(s.index() + (L - S) >= t.index(), score, f32::NEG_INFINITY);
                    }
                    let next = max(peak, score.max(t));
                    let p = exp_sub(score, next);
                    let fade = exp_sub(peak, next);
                    total = total * fade + p.sum(t);
                    acc = acc * fade + dot(p.cast::<T>(), v[(b, g, t, ..)], t);
                    peak = next;
                }
                out[(b, h, s, ..)] = (acc / total).cast();
            }
        }",
    ] {
        assert!(body(source).contains("store out"));
    }
}

/// A kernel over `x`, `y: f32 {M, N}`, `t: T {M, N}`, `i: i32 {M, N}`, `b: bool {M, N}` with these
/// statements in its grid loop over `m`.
fn in_kernel(statements: &str) -> String {
    format!(
        "fn test<T: Float, E: Element, const C: bool, const Q: usize, F: Fn(f32) -> f32, M, N, K>(
            x: &Tensor<f32, (M, N)>, y: &Tensor<f32, (M, N)>, t: &Tensor<T, (M, N)>, i: &Tensor<i32, (M, N)>,
            b: &Tensor<bool, (M, N)>, u: &Tensor<u8, (M, N)>, l: &Tensor<i64, (M, N)>, d: &Tensor<f64, (M, N)>,
            h: &Tensor<f16, (M, N)>, e: &Tensor<E, (M, N)>, table: &Tensor<f32, (K, N)>, row: &Tensor<f32, N>,
            one: &Tensor<f32, ()>,
            s: f32, count: usize, flag: bool, ts: T, long: i64, wide: f64,
            out: &mut Tensor<f32, (M, N)>, rows: &mut Tensor<f32, M>, ints: &mut Tensor<i32, (M, N)>, ts_out: &mut Tensor<T, (M, N)>,
            doubles: &mut Tensor<f64, (M, N)>, bools: &mut Tensor<bool, (M, N)>, moved: &mut Tensor<E, (M, N)>, bytes: &mut Tensor<u8, (M, N)>,
        ) {{ assert!(N <= 64); for m in tile(M) {{ {statements} }} }}"
    )
}

#[test]
fn the_language_is_accepted() {
    for statements in [
        "out[(m, ..)] = x[(m, ..)] + y[(m, ..)];",
        "out[(m, N)] = x[(m, N)];",
        "out[(m, ..)] = x[(m, ..)] + t[(m, ..)];",
        "out[(m, ..)] = t[(m, ..)];",
        "ts_out[(m, ..)] = t[(m, ..)];",
        "ts_out[(m, ..)] = x[(m, ..)].cast();",
        "ts_out[(m, ..)] = (t[(m, ..)] * 0.5).cast();",
        "moved[(m, ..)] = e[(m, ..)];",
        "moved[(m, ..)] = select(b[(m, ..)], e[(m, ..)], e[(m, ..)]);",
        "ints[(m, ..)] = i[(m, ..)] + u[(m, ..)] * 3;",
        "ints[(m, ..)] = (i[(m, ..)] << 2) & 0xff ^ 1 | (i[(m, ..)] >> 3) % 7;",
        "bytes[(m, ..)] = (u[(m, ..)] + 1).cast();",
        "bytes[(m, ..)] = max(u[(m, ..)], 3);",
        "doubles[(m, ..)] = d[(m, ..)] * 2.0 + wide;",
        "doubles[(m, ..)] = x[(m, ..)].cast() + d[(m, ..)];",
        "out[(m, ..)] = h[(m, ..)] + t[(m, ..)];",
        "out[(m, ..)] = max(t[(m, ..)], 0.0);",
        "ts_out[(m, ..)] = max(t[(m, ..)], 0.0);",
        "ts_out[(m, ..)] = max(t[(m, ..)], ts);",
        "bools[(m, ..)] = x[(m, ..)] > 0.0 && !b[(m, ..)] || i[(m, ..)] == 3;",
        "bools[(m, ..)] = t[(m, ..)] > 0.1 && flag;",
        "out[(m, ..)] = select(x[(m, ..)] >= 0.0, x[(m, ..)], -1.0);",
        "out[(m, ..)] = x[(m, ..)].exp().sqrt().abs() + -x[(m, ..)];",
        "out[(m, ..)] = exp2(ln(log2(rsqrt(recip(sin(cos(tanh(erf(sigmoid(relu(x[(m, ..)])))))))))));",
        "out[(m, ..)] = gelu_tanh(silu(floor(ceil(round(trunc(pow(x[(m, ..)], 2)))))));",
        "rows[m] = x[(m, ..)].sum(N) + x[(m, ..)].mean(N) + x[(m, ..)].prod(N) + x[(m, ..)].min(N);",
        "rows[m] = x[(m, ..)].argmax(N).cast::<f32>() + x[(m, ..)].argmin(N) as f32;",
        "rows[m] = select(b[(m, ..)].any(N) && b[(m, ..)].all(N), 1.0, 0.0);",
        "rows[m] = x[(m, ..)].fold(N, 0.0, |a, b| a + b * 2.0);",
        "rows[m] = x[(m, ..)].fold(N, f32::NEG_INFINITY, |a: f32, b: f32| if a > b { a } else { b });",
        "rows[m] = t[(m, ..)].fold(N, 0.0, |a, b| { let c = a + b; c });",
        "rows[m] = (x[(m, ..)] / (N as f32)).sum(N) * (count as f32) + core::f32::consts::PI + f32::MAX;",
        "let mut acc = zeros::<f32>(m); for n in tile(N) { acc += x[(m, n)].sum(n); } rows[m] = acc;",
        "let mut acc = zeros::<f32>(m); for n in tile(N, 1..N - 1).block(16) { acc += x[(m, n)].sum(n); } rows[m] = acc;",
        "let mut acc = zeros::<f32>(m); for n in tile(N, ..=3).block(16..=128) { acc += x[(m, n)].sum(n); } rows[m] = acc;",
        "for n in each(N) { out[(m, n)] = x[(m, n)]; }",
        "let mut acc = zeros::<f32>(m); for k in each(N) { if k > count { break; } if k == 3 { continue; } acc += x[(m, k)]; } rows[m] = acc;",
        "let mut acc = zeros::<f32>(m); for (a, b) in (unroll(0..2), unroll(3)) { acc += (a * b) as f32; } rows[m] = acc;",
        "out[(m, ..)] = x[(m, ..)] + row[..] + one[()];",
        "out[(m, ..)] = x.at((m + 1, ..)).or(0.0) + x.at((m - 1, N)).or(f32::NAN);",
        "out[(m, ..)] = x[(m + count, ..)] + x[(1 + m - count + 2, ..)];",
        "out[(m, ..)] = table[(i[(m, 0)], ..)] + table[(l[(m, 0)] + long, ..)];",
        "out[(m, ..)] = table[(u[(m, 0)], ..)];",
        "out[(m, ..)] = table[(m.index() % K, ..)];",
        "out[(m, ..)] = table[(m + i[(m, 0)], ..)];",
        "rows[m] = x[(m, m.index() % N)];",
        "let q = select(m.index() >= N.index(), 1.0, 0.0); out[(m, ..)] = x[(m, ..)] * q;",
        "out[(m, ..)] = outer(rows_of(x[(m, 0)]), row[..]);",
        "out[(m, ..)] = outer(x[(m, 0)], row[..]);",
        "out[(m, ..)] += x[(m, ..)];",
        "out[(m, ..)] = out[(m, ..)] * 2.0;",
        "let (a, b) = (x[(m, ..)], y[(m, ..)]); let c = (a, b); out[(m, ..)] = c.0 + c.1;",
        "let a = { let q = x[(m, ..)]; q * 2.0 }; let a = a + 1.0; out[(m, ..)] = a;",
        "let a: f32 = 3.0; let c: Tile<f32> = x[(m, ..)]; out[(m, ..)] = c * a;",
        "const EPS: f32 = 1e-5; out[(m, ..)] = x[(m, ..)] + EPS;",
        "let k = if C { 1.0 } else { 2.0 }; out[(m, ..)] = x[(m, ..)] * k;",
        "let k = if flag { 1 } else if count > 3 { 2 } else { Q }; ints[(m, ..)] = i[(m, ..)] * k;",
        "let k = if flag { x[(m, ..)] } else { y[(m, ..)] * 2.0 }; out[(m, ..)] = k;",
        "let k = if flag { x[(m, ..)].cast() } else { t[(m, ..)] }; ts_out[(m, ..)] = k;",
        "let (p, q) = if flag { (1.0, x[(m, 0)]) } else { (s, x[(m, 1)]) }; rows[m] = p * q;",
        "let mut a = x[(m, ..)]; if flag { a = a * 2.0; } else { a = 0.0; } out[(m, ..)] = a;",
        "let mut a = x[(m, 0)]; let mut b = x[(m, 1)]; (a, b) = (b, a); rows[m] = a - b;",
        "if C { out[(m, ..)] = x[(m, ..)]; } else { out[(m, ..)] = y[(m, ..)]; }",
        "out[(m, ..)] = F(x[(m, ..)]) + ext::act::mish(t[(m, ..)]) + mish(2.0);",
        "out[(m, ..)] = f32::max(x[(m, ..)], 1.0);",
        "let big = s.max(3.0).min(4.0); out[(m, ..)] = x[(m, ..)] * big;",
        "out[(m, ..)] = full::<f32>((m, N), s) + zeros::<f32>((m, N)) + full::<f32>((m, N), x[(m, 0)]);",
        "rows[m] = dot(x[(m, ..)], y[(m, ..)], N);",
        "rows[m] = dot(x[(m, ..)], row[..].cast(), N);",
        "ints[(m, ..)] = full::<i32>((m, N), 1_000 - 24) + -(5);",
        "ints[(m, ..)] = (m.index() * N + N.index()) % (Q + 1);",
        "out[(m, ..)] = (x[(m, ..)] as f64).cast();",
        "_ = x[(m, ..)]; out[(m, ..)] = x[(m, ..)];",
        "let r = exp_sub(x[(m, ..)], 1.0); out[(m, ..)] = r;",
        "for p in tile(M) { for q in tile(N) { out[(m, q)] = x[(m, q)] + (p.end() - p.end()) as f32; } }",
    ] {
        body(&in_kernel(statements));
    }
}

#[test]
fn mistakes_are_named() {
    let mut wrong = Vec::new();
    for (statements, message) in [
        ("out[(m, ..)] = x[(m, ..)].cast::<u4>();", "the element type u4 comes in a later version"),
        ("out[(m, ..)] = x[(m, ..)].cast::<Foo>();", "Foo is not an element type"),
        ("out[(m, ..)] = exp(x[(m, ..)].cast());", "nothing here says what to cast to"),
        (
            "out[(m, ..)] = i[(m, ..)] + 1.5;",
            "`+` joins different element types: i32 on the left, a float on the right",
        ),
        ("bytes[(m, ..)] = u[(m, ..)] + 1;", "the value is i32, but bytes holds u8"),
        ("bytes[(m, ..)] = max(u[(m, ..)], 300);", "max joins different element types: u8 and an integer"),
        ("out[(m, ..)] = m;", "m is an axis, not a value"),
        ("out[(m, ..)] = x;", "x is a tensor in memory, not a value"),
        ("out[(m, ..)] = x[(m, ..)] + F;", "F is a function, not a value"),
        ("out = x[(m, ..)];", "out is a tensor, which is stored into by index"),
        ("let a = x[(m, ..)]; a = x[(m, ..)];", "a is not mutable"),
        ("x[(m, ..)];", "this value is not used"),
        ("out[(m, 0..3)] = x[(m, ..)];", "a part of a dimension cannot stand in an index"),
        ("out[(m, ..)] = x[(m, ..)][0];", "this is not a tensor, so it has no index"),
        ("out[(m, ..)] = sum(x[(m, ..)], N);", "sum is a method"),
        ("out[(m, ..)] = x[(m, ..)].max(m.index());", "this is not an axis"),
        ("out[(m, ..)] = max(x[(m, ..)], m);", "max takes two values, but m is an axis"),
        ("out[(m, ..)] = exp(x[(m, ..)], 2.0);", "exp takes one operand, but 2 were given"),
        ("out[(m, ..)] = exp(i[(m, ..)]);", "exp is for floats, but its operand is i32"),
        ("out[(m, ..)] = x[(m, ..)] & 3;", "`&` works on bits, but the operands are f32"),
        ("bools[(m, ..)] = b[(m, ..)] + b[(m, ..)];", "`+` needs numbers, but both sides are bool"),
        ("rows[m] = b[(m, ..)].sum(N);", "sum is for numbers, but the tile holds bool"),
        ("rows[m] = x[(m, ..)].any(N);", "any is for bools, but the tile holds f32"),
        ("out[(m, ..)] = match flag { true => 1.0, false => 2.0 };", "`match` is not in the language"),
        ("let f = |a| a; ", "a closure stands only in `fold`"),
        ("out[(m, ..)] = x[(m, ..)]?;", "`?` is not allowed in a kernel"),
        ("println!(\"hi\");", "the macro println! is not known in a kernel"),
        ("assert!(N > 3);", "`assert!` inside the loops"),
        ("for n in 0..3 { }", "a plain range is not a loop of the language"),
        ("for n in tiles(N) { out[(m, n)] = x[(m, n)]; }", "this is not something to loop over"),
        ("for (n, k) in tile(N) { out[(m, n)] = x[(m, n)]; }", "the variable of a loop is a plain name"),
        ("for n in tile(N).block(0) { out[(m, n)] = x[(m, n)]; }", "there is no block size from 0 to 0"),
        ("'a: for n in tile(N) { break; }", "loops have no labels"),
        ("for n in each(N) { rows[m] = x[(m, ..)].sum(n); }", "n is a single index, not an axis"),
        ("out[(m, ..)] = zeros((m, N));", "zeros does not say which element type it has"),
        ("out[(m, ..)] = zeros::<f32>((m, N, m));", "the axis m stands twice in one tile"),
        ("out.scatter(m, 1.0);", "`scatter` comes in a later version"),
        ("out[(m, ..)] = rand(3, (m, N));", "random numbers come in a later version"),
        ("let a; out[(m, ..)] = a;", "a `let` without a value"),
        ("let [a, b] = x[(m, ..)]; out[(m, ..)] = a;", "this pattern is not in the language"),
        ("struct A; out[(m, ..)] = x[(m, ..)];", "this item is not in the language"),
        ("#[kernel] fn inner() {} out[(m, ..)] = x[(m, ..)];", "a kernel inside a kernel"),
        ("out[(m, ..)] = x[(m, ..)] * config::EPS;", "unknown constant config::EPS"),
        ("out[(m, ..)] = x[(m, ..)].exp;", "only tuples have fields in a kernel"),
        ("out[(m, ..)] = &x[(m, ..)];", "there are no references in a kernel"),
        ("out[(m, ..)] = \"a\";", "only numbers and bools are values in a kernel"),
        ("out[(m, ..)] = x.at((m, ..));", "`.at(…)` needs a default"),
        ("rows[m] = x[(m, ..)].fold(N, 0.0, 3);", "fold needs a closure"),
        ("rows[m] = x[(m, ..)].fold(N, 0.0, |a, b| x[(0, 0)]);", "a load where only scalars are"),
        ("out[(m, ..)] = if flag { x[(m, ..)] };", "this `if` gives no value when its condition fails"),
        ("out[(m, ..)] = x[(m, ..)] + ghost(y[(m, ..)], z);", "unknown name z"),
        ("if let Some(q) = flag { }", "`if let` is not in the language"),
        ("out[(m, ..)] = F(x[(m, ..)], 1.0);", "F takes 1 argument, but 2 were given"),
        ("out[(m, ..)] = F(d[(m, ..)]);", "the value is f64, but an argument of F holds f32"),
        ("ints[(m, ..)] = 3000000000 + i[(m, ..)];", "`+` joins different element types"),
        ("out[(m, K)] = x[(m, ..)];", "K is a whole dimension, but the second dimension of out is N"),
        ("rows[m + 1.5] = 1.0;", "what is added to an axis is an i32, but this is a float"),
        ("out[(m, ..)] = e[(m, ..)] > e[(m, ..)];", "`>` computes, but E: Element can only be moved"),
        ("let dot = 3; rows[m] = 1.0;", "dot is a word of the language, which cannot be redefined"),
        ("device_print(m);", "`device_print` comes in a later version"),
    ] {
        match lower(&in_kernel(statements)) {
            Err(messages) if messages.len() == 1 && messages[0].starts_with(message) => {}
            found => wrong.push(format!("{statements}\nexpected one message: {message}\nfound {found:#?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn statements_before_the_loop_are_scalars_and_asserts() {
    let text = body(
        "fn f<const C: bool, M>(x: &mut Tensor<f32, M>) {
            let half = M / 2;
            if C { assert!(half > 3, \"too short\"); } else { assert!(M == 1); }
            for m in tile(M) { x[m] = half as f32; }
        }",
    );
    assert_eq!(
        text,
        "kernel f<M>(x: mut f32 {M})
v3 = div M 2i32  : i32
v5 = gt v3 3i32  : bool
v9 = not C  : bool
v10 = or v9 v5  : bool
assert v10 (\"too short\")
v8 = eq M 1i32  : bool
v11 = or C v8  : bool
assert v11 (\"M == 1\")
grid (m in tile(M))
  v12 = cast v3  : f32
  store x[m] = v12
"
    );
}

/// Every kernel that is left when one token is taken out of a correct one.
fn damaged(source: &str) -> Vec<syn::ItemFn> {
    fn flat(tokens: proc_macro2::TokenStream, out: &mut Vec<String>) {
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                        proc_macro2::Delimiter::Brace => ("{", "}"),
                        proc_macro2::Delimiter::Bracket => ("[", "]"),
                        proc_macro2::Delimiter::None => ("", ""),
                    };
                    out.push(open.to_string());
                    flat(group.stream(), out);
                    out.push(close.to_string());
                }
                proc_macro2::TokenTree::Punct(punct) => {
                    let space = if punct.spacing() == proc_macro2::Spacing::Alone { " " } else { "" };
                    out.push(format!("{}{space}", punct.as_char()));
                }
                other => out.push(format!(" {other} ")),
            }
        }
    }
    let mut tokens = Vec::new();
    flat(source.parse().expect("the source is Rust"), &mut tokens);
    let without = |at: usize| {
        let rest: String =
            tokens.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, token)| token.as_str()).collect();
        syn::parse_str(&rest).ok()
    };
    (0..tokens.len()).filter_map(without).collect()
}

#[test]
fn a_missing_token_never_panics_the_compiler() {
    let source = "fn attention<T: Float, const CAUSAL: bool, F: Fn(f32) -> f32, B, S, L, D>(
            q: &Tensor<T, (B, S, D)>, k: &Tensor<T, (B, L, D)>, ids: &Tensor<i64, (B, S)>,
            out: &mut Tensor<T, (B, S, D)>, scale: f32, flag: bool,
        ) {
            assert!(S % 3 == 0 && S <= L && D <= 256, \"sizes\");
            for (b, s) in (each(B), tile(S).block(16..=64)) {
                let mut peak = full::<f32>(s, f32::NEG_INFINITY);
                let mut acc = zeros::<f32>((s, D));
                let (g, h) = (b / 2, if CAUSAL { s.end() + (L - S) } else { L });
                for t in tile(L, 0..h) {
                    let mut score = dot(q[(b, s, ..)], k.at((g, t + 1, D)).or(0.0), D) * scale;
                    if flag { score = select(s.index() >= t.index(), score, -1.0); } else { continue; }
                    let next = max(peak, score.max(t)).exp();
                    acc += dot(exp_sub(score, next).cast::<T>(), k[(b, t, ..)], t);
                    peak = F(next) + x::y(scale) + score.fold(t, 0.0, |a, b| { a + b });
                }
                let c = 3;
                out[(b, s, ..)] = (acc / peak).cast();
                out[(b, s, ..)] += k[(ids[(b, s)], 0, ..)] as f32;
            }
        }";
    let kernels = damaged(source);
    assert!(kernels.len() > 50, "only {} kernels are still Rust", kernels.len());
    for item in kernels {
        let mut errors = Diagnostics::default();
        let (kernel, _) = parse_kernel(&item, &Helpers::default(), &mut errors);
        let found = errors.take();
        assert!(
            kernel.is_some() != found.iter().any(|_| true),
            "a kernel or messages, never both or neither"
        );
        let internal = found.iter().find(|error| error.message.contains("internal fault"));
        assert!(internal.is_none(), "{internal:?}");
    }
}
