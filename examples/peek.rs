use tilewright::prelude::*;
#[kernel]
fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = (e / e.sum(N)).cast();
    }
}
#[kernel]
fn linear_gelu<T: Float, M, N, K>(
    x: &Tensor<T, (M, K)>,
    w: &Tensor<T, (N, K)>,
    b: &Tensor<T, N>,
    out: &mut Tensor<T, (M, N)>,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = gelu(acc + b[n]).cast();
    }
}
#[kernel]
fn attention<T: Float, const CAUSAL: bool, B, H, G, S, L, D>(
    q: &Tensor<T, (B, H, S, D)>,
    k: &Tensor<T, (B, G, L, D)>,
    v: &Tensor<T, (B, G, L, D)>,
    out: &mut Tensor<T, (B, H, S, D)>,
    scale: f32,
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
}
fn go<T: Float>() -> Result<(), Error> {
    let x = Tensor::<T>::zeros((100, 1000));
    let mut y = Tensor::<T>::zeros((100, 1000));
    let (r, u) = tilewright::record(|| softmax(&x, &mut y));
    r?;
    std::fs::write(format!("/tmp/softmax_{}.cu", T::NAME), &u[0].text).unwrap();
    let w = Tensor::<T>::zeros((512, 1000));
    let b = Tensor::<T>::zeros(512);
    let mut o = Tensor::<T>::zeros((100, 512));
    let (r, u) = tilewright::record(|| linear_gelu(&x, &w, &b, &mut o));
    r?;
    std::fs::write(format!("/tmp/linear_{}.cu", T::NAME), &u[0].text).unwrap();
    println!("{} {}", u[0].threads, u[0].shared);
    let q = Tensor::<T>::zeros((2, 4, 128, 64));
    let mut o = Tensor::<T>::zeros((2, 4, 128, 64));
    let (r, u) = tilewright::record(|| attention::<T, true>(&q, &q, &q, &mut o, 1.0));
    r?;
    std::fs::write(format!("/tmp/attention_{}.cu", T::NAME), &u[0].text).unwrap();
    println!("{} {}", u[0].threads, u[0].shared);
    Ok(())
}
fn main() -> Result<(), Error> {
    go::<f32>()?;
    go::<bf16>()?;
    go::<f16>()
}
