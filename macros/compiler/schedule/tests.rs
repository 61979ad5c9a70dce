//! Schedules as they print.

use super::schedule;
use crate::parse::tests::kernel;

fn check(source: &str, expected: &str) {
    let schedule = schedule(&kernel(source)).expect("it has a schedule");
    let printed = schedule.to_string();
    let lines = |text: &str| {
        text.lines().map(|line| line.trim().to_owned()).filter(|l| !l.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(lines(&printed), lines(expected), "\n{printed}");
}

#[test]
fn softmax_is_three_lane_loops_in_one_row_loop() {
    check(
        "fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
            for m in tile(M) {
                let row = x[(m, ..)];
                let e = exp(row - row.max(N));
                out[(m, ..)] = (e / e.sum(N)).cast();
            }
        }",
        "in parallel for each block of m
           for each m
             lanes N
               v0 = x[m, N]
               v1 max over N of v0
             v3 = cast v1
             lanes N
               v0 = x[m, N]
               v2 = cast v0
               v4 = v2 sub v3
               v5 = exp v4, kept in b0[N]
               v6 sum over N of v5
             lanes N
               v5 = b0[N]
               v7 = v5 div v6
               v8 = cast v7
               store out = v8
         buffer b0[N]",
    );
}

#[test]
fn a_variance_comes_from_the_loop_of_its_mean() {
    check(
        "fn layer_norm<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
            for m in tile(M) {
                let row = x[(m, ..)];
                let centred = row - row.mean(N);
                out[(m, ..)] = centred * rsqrt((centred * centred).mean(N) + 1e-5);
            }
        }",
        "in parallel for each block of m
           v12 = cast N
           v15 = cast N
           for each m
             lanes N
               v0 = x[m, N]
               v10 sum over N of v0
               v2 = cast v0
               v16 = v2 mul v2
               v17 sum over N of v16
             v1 = v10 div v12
             v18 = v10 mul v1
             v19 = v17 sub v18
             v20 = v19 add v19
             v21 = v17 lt v20
             v13 = v19 if v21, else
               lanes N
                 v0 = x[m, N]
                 v2 = cast v0
                 v3 = v2 sub v1
                 v4 = v3 mul v3
                 v13 sum over N of v4
             v5 = v13 div v15
             v7 = v5 add 0.00001
             v8 = rsqrt v7
             lanes N
               v0 = x[m, N]
               v2 = cast v0
               v3 = v2 sub v1
               v9 = v3 mul v8
               store out = v9",
    );
}

/// Whether a sum over rows of f32 `x` and `z`, of f64 `y` and of integers `i` is known before its loop.
fn is_known(text: &str) -> bool {
    let (statements, sum) =
        text.rsplit_once(';').map_or(("", text), |(before, sum)| (&text[..=before.len()], sum));
    let source = format!(
        "fn k<M, N, L>(x: &Tensor<f32, (M, N)>, y: &Tensor<f64, (M, N)>, z: &Tensor<f32, (M, L)>,
                       i: &Tensor<i32, (M, N)>, w: &Tensor<f32, (N, L)>, out: &mut Tensor<f32, M>) {{
            assert!(L <= 64 && N <= 64);
            for m in tile(M) {{
                let (x, y, z, i) = (x[(m, ..)], y[(m, ..)], z[(m, ..)], i[(m, ..)]);
                let (mean, other, wide_mean, most) = (x.mean(N), z.mean(L), y.mean(N), x.max(N));
                let (total, square, narrow) = (x.sum(N), x * x, y.cast::<f32>());
                let (average, share) = (total / N.cast::<f32>(), total / M.cast::<f32>());
                let (level, narrow_mean, middle) = (square.mean(N), wide_mean.cast::<f32>(), i.sum(N) / N);
                {statements}
                out[m] = ({sum}).cast::<f32>();
            }}
        }}"
    );
    let schedule = schedule(&kernel(&source)).unwrap_or_else(|refusal| panic!("{sum}: {}", refusal.message));
    schedule.to_string().contains(", else")
}

#[test]
fn squares_around_the_mean_of_the_same_are_known_and_no_others() {
    for sum in [
        "((x - mean) * (x - mean)).sum(N)",
        "((x - mean) * (x - mean)).mean(N)",
        "((x - average) * (x - average)).sum(N)",
        "((square - level) * (square - level)).sum(N)",
        "((y - wide_mean) * (y - wide_mean)).mean(N)",
        "let p = dot(z, w[(.., ..)], L); let c = p - p.mean(N); (c * c).sum(N)",
    ] {
        assert!(is_known(sum), "{sum}");
    }
    for sum in [
        "(x * x).sum(N)",
        "(x - mean).sum(N)",
        "((x - mean) * x).sum(N)",
        "((x - mean) * (x - mean)).max(N)",
        "((x + mean) * (x + mean)).sum(N)",
        "((x - most) * (x - most)).sum(N)",
        "((x - total) * (x - total)).sum(N)",
        "((x - share) * (x - share)).sum(N)",
        "((x - mean) * (x - other)).sum(N)",
        "((x - other) * (x - other)).sum(N)",
        "((x * 2.0 - mean) * (x * 2.0 - mean)).sum(N)",
        "((narrow - narrow_mean) * (narrow - narrow_mean)).sum(N)",
        "((i - middle) * (i - middle)).sum(N)",
        "let t = full::<f32>((m, N), other); let c = t - t.mean(N); (c * c).sum(N)",
    ] {
        assert!(!is_known(sum), "{sum}");
    }
}

#[test]
fn a_product_adds_onto_its_variable_and_the_epilogue_is_one_loop() {
    check(
        "fn linear<M, N, K>(x: &Tensor<f32, (M, K)>, w: &Tensor<f32, (N, K)>, out: &mut Tensor<f32, (M, N)>) {
            for (m, n) in tile((M, N)) {
                let mut acc = zeros::<f32>((m, n));
                for k in tile(K) {
                    acc += dot(x[(m, k)], w[(n, k)], k);
                }
                out[(m, n)] = relu(acc);
            }
        }",
        "in parallel for each block of m, n
           the first product clears b0[m, n]
             in order for each block of k
               b0[m, n] += dot of x[m, k] and w[n, k] over k
           for each m
             lanes n
               v7 = acc
               v8 = relu v7
               store out = v8
         buffer b0[m, n]",
    );
}

#[test]
fn a_product_that_is_stored_as_it_is_is_made_in_the_output() {
    check(
        "fn matmul<B, M, N, K>(x: &Tensor<f32, (B, M, K)>, w: &Tensor<f32, (N, K)>, out: &mut Tensor<f32, (B, M, N)>) {
            for (b, m, n) in (each(B), tile(M), tile(N)) {
                let mut acc = zeros::<f32>((m, n));
                for k in tile(K) {
                    acc += dot(x[(b, m, k)], w[(n, k)], k);
                }
                out[(b, m, n)] = acc;
            }
        }",
        "in parallel for each block of b, m, n
           the first product clears b0[m, n]
             in order for each block of k
               b0[m, n] += dot of x[b, m, k] and w[n, k] over k
           unless b0[m, n] is a part of out
             for each m
               lanes n
                 v9 = acc
                 store out = v9
         buffer b0[m, n]",
    );
}

/// Whether a kernel's product is made in `out`: (its parameters' types, its outputs, the statement in the loop over
/// `k`, those after it).
fn is_direct(elem: &str, sum: &str, after: &str) -> bool {
    let source = format!(
        "fn kernel<M, N, K>(x: &Tensor<f32, (M, K)>, w: &Tensor<f32, (N, K)>, b: &Tensor<f32, N>, c: &Tensor<f32, M>, h: &Tensor<f16, N>, other: &mut Tensor<f32, (M, N)>, out: &mut Tensor<{elem}, (M, N)>) {{
            for (m, n) in tile((M, N)) {{
                let mut acc = zeros::<f32>((m, n));
                for k in tile(K) {{ {sum} }}
                {after}
            }}
        }}"
    );
    let schedule = schedule(&kernel(&source)).expect("it has a schedule");
    schedule.outputs.iter().any(|output| schedule.kernel.params[output.tensor].name == "out")
}

#[test]
fn what_is_not_the_sum_itself_is_not_made_in_the_output() {
    let sum = "acc += dot(x[(m, k)], w[(n, k)], k);";
    for after in ["out[(m, n)] = acc;", "out[(m, n)] = acc + b[n];", "out[(m, n)] = b[n] + acc;"] {
        assert!(is_direct("f32", sum, after), "{after}");
    }
    for (elem, after) in [
        ("f16", "out[(m, n)] = acc.cast();"),
        ("f32", "out[(m, n)] = acc + c[m];"),
        ("f32", "out[(m, n)] = acc + h[n].cast::<f32>();"),
        ("f32", "out[(m, n)] = acc - b[n];"),
        ("f32", "out[(m, n)] = acc + b[n] + b[n];"),
        ("f32", "out[(m, n)] = acc + acc;"),
        (
            "f32",
            "if M > 3 { other[(m, n)] = acc; } acc = zeros::<f32>((m, n)); for k in tile(K) { acc += dot(x[(m, k)], w[(n, k)], k); } out[(m, n)] = acc + b[n];",
        ),
        ("f32", "out[(m, n)] = acc; out[(m, n)] = acc * 2.0;"),
        // One loop stores both.
        ("f32", "out[(m, n)] = acc; other[(m, n)] = b[n] * acc;"),
        ("f32", "if M > 3 { out[(m, n)] = acc; }"),
        ("f32", "out[(m, n)] = out[(m, n)] + acc;"),
        ("f32", "out[(m, n)] = acc; acc = acc * 2.0; other[(m, n)] = acc;"),
    ] {
        assert!(!is_direct(elem, sum, after), "{elem}: {after}");
    }
    assert!(!is_direct("f32", "acc += x[(m, k)].sum(k);", "out[(m, n)] = acc;"));
}

#[test]
fn a_rows_sum_runs_along_the_row_though_its_result_does_not() {
    check(
        "fn sums<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, M>) {
            for m in tile(M) {
                out[m] = x[(m, ..)].sum(N);
            }
        }",
        "in parallel for each block of m
           for each m
             lanes N
               v0 = x[m, N]
               v1 sum over N of v0
             store out = v1",
    );
}

#[test]
fn a_branch_on_a_const_parameter_does_not_cut_the_loop() {
    check(
        "fn bounded<const LOW: bool, M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
            for m in tile(M) {
                let mut y = x[(m, ..)] * 2.0;
                if LOW {
                    y = max(y, 0.0);
                } else {
                    y = y - 1.0;
                }
                out[(m, ..)] = y;
            }
        }",
        "in parallel for each block of m
           for each m
             lanes N
               v1 = x[m, N]
               v3 = v1 mul 2
               v6 = v3 max 0
               v12 = if LOW then v6 else v3
               v9 = v12 sub 1
               v14 = if LOW then v12 else v9
               store out = v14",
    );
}

#[test]
fn a_variable_that_a_loop_changes_keeps_its_memory() {
    check(
        "fn sums<M, N, K>(x: &Tensor<f32, (M, N, K)>, out: &mut Tensor<f32, (M, N)>) {
            for (m, n) in tile((M, N)) {
                let mut y = zeros::<f32>((m, n));
                let mut z = x[(m, n, 0)];
                for k in each(K) {
                    z = z * 2.0;
                    y = y + z * x[(m, n, k)];
                }
                out[(m, n)] = y;
            }
        }",
        "in parallel for each block of m, n
           for each m
             lanes n
               v1 = 0
               y = v1
               v3 = x[m, n, 0]
               z = v3
           in order for each block of k
             for each m
               lanes n
                 v4 = z
                 v6 = v4 mul 2
                 z = v6
                 v7 = y
                 v8 = z
                 v10 = x[m, n, k]
                 v11 = v8 mul v10
                 v12 = v7 add v11
                 y = v12
           for each m
             lanes n
               v13 = y
               store out = v13
         buffer b0[m, n]
         buffer b1[m, n]",
    );
}

#[test]
fn products_are_summed_in_their_variable_and_what_is_stored_is_not_loaded_again() {
    check(
        "fn both<M, N, K>(a: &Tensor<f32, (M, K)>, w: &Tensor<f32, (K, N)>, out: &mut Tensor<f32, (M, N)>) {
            assert!(K <= 64);
            for (m, n) in tile((M, N)) {
                let mut acc = dot(a[(m, ..)], w[(.., n)], K);
                acc = acc + dot(a[(m, ..)], w[(.., n)], K);
                out[(m, n)] = acc;
            }
        }",
        "in parallel for each block of m, n
           b0[m, n] = dot of a[m, K] and w[K, n] over K
           b0[m, n] += dot of a[m, K] and w[K, n] over K
           unless b0[m, n] is a part of out
             for each m
               lanes n
                 v11 = acc
                 store out = v11
         buffer b0[m, n]",
    );
    check(
        "fn twice<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>, sums: &mut Tensor<f32, M>) {
            for m in tile(M) {
                let mut y = x[(m, ..)];
                out[(m, ..)] = y * 2.0;
                sums[m] = y.sum(N);
            }
        }",
        "in parallel for each block of m
           for each m
             lanes N
               v0 = x[m, N]
               y = v0
               v1 = y
               v3 = v1 mul 2
               store out = v3
               v4 = y
               v5 sum over N of v4
             store sums = v5
         buffer b0[m, N]",
    );
}

#[test]
fn a_branch_on_a_scalar_or_around_a_load_stays() {
    for (condition, value) in [("a > 0", "y + 1.0"), ("LOW", "x[(m, ..)]")] {
        let source = format!(
            "fn kept<const LOW: bool, M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>, a: i32) {{
                for m in tile(M) {{
                    let mut y = x[(m, ..)] * 2.0;
                    if {condition} {{ y = {value}; }}
                    out[(m, ..)] = y;
                }}
            }}"
        );
        let printed = schedule(&kernel(&source)).expect("it has a schedule").to_string();
        assert!(printed.contains("\n  if "), "{printed}");
    }
}
