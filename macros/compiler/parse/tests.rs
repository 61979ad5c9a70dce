//! What kernels become, and what is said about wrong ones.

use super::{Helpers, parse_kernel};
use crate::diagnostics::Diagnostics;
use crate::print::print;

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
fn three_kernels() {
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
        println!("{}", body(source));
    }
}
