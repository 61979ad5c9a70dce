//! A test of the tests: bugs planted in the GPU texts, each of which the emulated GPU must notice.

#![allow(dead_code, reason = "only parts of the shared files are used")]
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

#[path = "cases/emulated.rs"]
mod emulated;
#[path = "emulator/mod.rs"]
mod emulator;

use tilewright::prelude::*;
use tilewright::{Architecture, Unit};

#[kernel]
fn softmax<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = e / e.sum(N);
    }
}

#[kernel]
fn product<M, N, K>(a: &Tensor<bf16, (M, K)>, b: &Tensor<bf16, (K, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut sum = zeros::<f32>((m, n));
        for k in tile(K) {
            sum += dot(a[(m, k)], b[(k, n)], k);
        }
        out[(m, n)] = sum;
    }
}

#[kernel]
fn attention<S, L, D>(
    q: &Tensor<bf16, (S, D)>,
    k: &Tensor<bf16, (L, D)>,
    v: &Tensor<bf16, (L, D)>,
    out: &mut Tensor<f32, (S, D)>,
) {
    assert!(D <= 256);
    for s in tile(S) {
        let mut peak = full::<f32>(s, f32::NEG_INFINITY);
        let mut total = zeros::<f32>(s);
        let mut acc = zeros::<f32>((s, D));
        for t in tile(L) {
            let score = dot(q[(s, ..)], k[(t, ..)], D);
            let next = max(peak, score.max(t));
            let p = exp_sub(score, next);
            let fade = exp_sub(peak, next);
            total = total * fade + p.sum(t);
            acc = acc * fade + dot(p.cast::<bf16>(), v[(t, ..)], t);
            peak = next;
        }
        out[(s, ..)] = acc / total;
    }
}

/// One side has its contracted axis inside, the other outside.
#[kernel]
fn rounding<M, N, K>(a: &Tensor<f32, (M, K)>, b: &Tensor<f32, (K, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut sum = zeros::<f32>((m, n));
        for k in tile(K) {
            sum += dot(a[(m, k)], b[(k, n)], k);
        }
        out[(m, n)] = sum;
    }
}

#[kernel]
fn eighths<M, N, K>(a: &Tensor<f8e4m3, (M, K)>, b: &Tensor<f8e4m3, (N, K)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut sum = zeros::<f32>((m, n));
        for k in tile(K) {
            sum += dot(a[(m, k)], b[(n, k)], k);
        }
        out[(m, n)] = sum;
    }
}

#[kernel]
fn across<M, N, K>(a: &Tensor<f8e4m3, (M, K)>, b: &Tensor<f8e4m3, (K, N)>, out: &mut Tensor<f32, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut sum = zeros::<f32>((m, n));
        for k in tile(K) {
            sum += dot(a[(m, k)], b[(k, n)], k);
        }
        out[(m, n)] = sum;
    }
}

fn numbers<T: Float>(rows: usize, columns: usize, seed: u32) -> Tensor<T> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let values: Vec<f32> = (0..rows * columns).map(|_| next()).collect();
    Tensor::from_vec((rows, columns), values).unwrap().cast().unwrap()
}

/// A kernel with arguments: computes, or is recorded.
type Call<'a> = &'a dyn Fn(&mut Tensor<f32>) -> Result<(), Error>;

/// A bug: where, what stands there, and what is put instead.
struct Bug {
    kernel: &'static str,
    architecture: &'static str,
    text: &'static str,
    instead: &'static str,
}

const fn bug(
    kernel: &'static str,
    architecture: &'static str,
    text: &'static str,
    instead: &'static str,
) -> Bug {
    Bug { kernel, architecture, text, instead }
}

const BUGS: &[Bug] = &[
    // Threads that stay for further programs.
    bug("product", "sm_90a", "nth < (count); nth += gridDim.x", "nth < gridDim.x; nth += gridDim.x"),
    bug("product", "sm_90a", "nth += gridDim.x, program = nth)", "nth += gridDim.x)"),
    bug("product", "sm_90a", "        next_slot = slot;\n", "        next_slot = slot = 0;\n"),
    // Reductions: barriers, partners, ends.
    bug(
        "softmax",
        "sm_80",
        "    sync_program();\n    shared[threadIdx.x] = v;",
        "    shared[threadIdx.x] = v;",
    ),
    bug("softmax", "sm_80", "shared[threadIdx.x] = v;\n    sync_program();", "shared[threadIdx.x] = v;"),
    bug(
        "softmax",
        "sm_80",
        "__shfl_xor_sync(0xffffffffu, words.part[i], mask)",
        "__shfl_xor_sync(0xffffffffu, words.part[i], mask ^ 1)",
    ),
    bug("softmax", "sm_80", "if (at < warp_bits) return", "if (at <= warp_bits) return"),
    bug("softmax", "sm_80", "axis.has(r) ? cast<T>", "true ? cast<T>"),
    bug("softmax", "sm_80", "combine(part[0], part[r])", "combine(part[0], part[1])"),
    bug("softmax", "gfx942", "return other_lane(v, 1 << at);", "return other_lane(v, 1 << at & 31);"),
    // The ring: what is waited for, and for how long slots are kept.
    bug("product", "sm_80", "wait_copies<stages - 2>();", "wait_copies<stages - 1>();"),
    bug(
        "product",
        "sm_80",
        "            sync_program();\n            begin(fetch);",
        "            begin(fetch);",
    ),
    bug(
        "product",
        "sm_80",
        "            begin(fetch);\n        }\n    }",
        "            begin(fetch);\n            begin(fetch);\n        }\n    }",
    ),
    bug(
        "product",
        "sm_80",
        "next_slot = next_slot + 1 == stages ? 0 : next_slot + 1;",
        "next_slot = next_slot + 1 == stages - 1 ? 0 : next_slot + 1;",
    ),
    bug("product", "sm_80", "        commit_copies();\n    }\n};", "    }\n};"),
    bug("product", "sm_80", "copy_16(to, data + offset);", "copy_16(to, data + offset + 8);"),
    bug("product", "sm_80", ": Word<16>{0, 0};", ": Word<16>{~0ull, ~0ull};"),
    // Fragments of mma.sync: halves, floats that are rounded.
    bug(
        "product",
        "sm_80",
        "&a.at(row + q % 2 * 8 + l, k + q / 2 * 8)",
        "&a.at(row + q / 2 * 8 + l, k + q % 2 * 8)",
    ),
    bug("product", "sm_80", "load_matrices<true>(&b.at", "load_matrices<false>(&b.at"),
    bug(
        "product",
        "sm_80",
        "acc[Rs::template pair<Rows>(2 * m + e / 2, 4 * n + 2 * half + e % 2)] = d[e];",
        "acc[Rs::template pair<Rows>(2 * m + e % 2, 4 * n + 2 * half + e / 2)] = d[e];",
    ),
    bug(
        "product",
        "sm_80",
        "int at = column % line / piece ^ (row / rows_a_swizzle & (line_pieces - 1));",
        "int at = column % line / piece & (row / rows_a_swizzle & (line_pieces - 1));",
    ),
    bug(
        "attention",
        "sm_80",
        "int row = 2 * m + j % 2, column = 4 * k16 + j / 2 * 2;",
        "int row = 2 * m + j / 2, column = 4 * k16 + j % 2 * 2;",
    ),
    bug(
        "rounding",
        "sm_80",
        "s.at(k[j] + lane % 4, free[j] + lane / 4)",
        "s.at(k[j] + lane / 8, free[j] + lane / 4)",
    ),
    bug("rounding", "sm_80", "lane % 8, pick(k, q)", "lane % 8, pick(k, q & 1)"),
    bug(
        "rounding",
        "sm_80",
        "{row, row + 8, row, row + 8}, {k, k, k + 4, k + 4}",
        "{row, row + 8, row, row + 8}, {k, k + 4, k, k + 4}",
    ),
    bug("attention", "sm_80", "f.x[j] = word_of(low, high);", "f.x[j] = word_of(high, low);"),
    bug("attention", "sm_80", "E low = axis.has(column) ? tile", "E low = true ? tile"),
    // wgmma: descriptors, fences, waits.
    bug("product", "sm_90a", "stride = 8 * S::line_bytes,", "stride = 16 * S::line_bytes,"),
    bug("product", "sm_90a", "leading = S::rows * S::line_bytes;", "leading = S::line_bytes;"),
    bug("product", "sm_90a", "swizzle = S::line_bytes == 128 ? 1", "swizzle = S::line_bytes == 128 ? 2"),
    bug("product", "sm_90a", "    wgmma_commit();\n    wgmma_wait();", "    wgmma_commit();"),
    bug("product", "sm_90a", "    wgmma_fence();\n    TW_UNROLL", "    TW_UNROLL"),
    bug(
        "product",
        "sm_90a",
        "inner ? column : k, inner ? k : column);\n                left",
        "inner ? column : 16, inner ? k : column);\n                left",
    ),
    bug(
        "attention",
        "sm_90a",
        "        wait_copies<0>();\n        fence_async();\n        sync_program();\n",
        "        wait_copies<0>();\n        sync_program();\n",
    ),
    // TMA and barriers.
    bug(
        "product",
        "sm_90a",
        "if (Maps > 0) barrier_wait(landed + slot, parity >> slot & 1u);\n#endif\n        if constexpr",
        "\n#endif\n        if constexpr",
    ),
    bug(
        "product",
        "sm_90a",
        "if (Producer::rank() == 0) barrier_wait(free + slot, (parity >> slot & 1u) ^ 1u);",
        "",
    ),
    bug(
        "product",
        "sm_90a",
        "barrier_wait(free + slot, (parity >> slot & 1u) ^ 1u);",
        "barrier_wait(free + slot, parity >> slot & 1u);",
    ),
    bug(
        "product",
        "sm_90a",
        "barrier_expect(barrier, S::size * int(sizeof(E)));",
        "barrier_expect(barrier, S::size);",
    ),
    bug("product", "sm_90a", "barrier_init(landed + s, Maps);", "barrier_init(landed + s, Maps + 1);"),
    bug("product", "sm_90a", "barrier_init(free + s, TW_THREADS / 32);", "barrier_init(free + s, 1);"),
    bug("product", "sm_90a", "corner.x[0] += S::line;", "corner.x[1] += S::line;"),
    bug(
        "product",
        "sm_90a",
        "copy_box(shared.data + p * S::rows * S::line,",
        "copy_box(shared.data + p * S::line,",
    ),
    bug(
        "product",
        "sm_90a",
        "            parity ^= 1u << slot;\n            slot = slot + 1 == stages ? 0 : slot + 1;\n        }\n#endif",
        "            slot = slot + 1 == stages ? 0 : slot + 1;\n        }\n#endif",
    ),
    // Bytes: 32 contracted positions an instruction, and floats that become halves.
    bug("eighths", "sm_90a", "constexpr int deep = 32 / int(sizeof(E));", "constexpr int deep = 16;"),
    bug("eighths", "sm_90a", "k = k16 * (32 / int(sizeof(E)));", "k = k16 * 16;"),
    bug(
        "eighths",
        "sm_80",
        "{row, row + 8, row, row + 8}, {k, k, k + 16, k + 16}",
        "{row, row + 8, row, row + 8}, {k, k + 16, k, k + 16}",
    ),
    bug("eighths", "sm_80", "halves_of<E>(b[k], low, high);", "halves_of<E>(b[k], high, low);"),
    bug("eighths", "sm_80", "pair >> 1 & 0x3f803f80u", "pair >> 1 & 0x3f003f80u"),
    bug(
        "eighths",
        "gfx942",
        "halves_of<E>(bytes, halves[0], halves[1]);",
        "halves_of<E>(bytes, halves[0], halves[0]);",
    ),
    bug("across", "sm_100a", "s.at(k[j] + lane % 4 * 4 + i,", "s.at(k[j] + lane % 4 + 4 * i,"),
    // AMD's fragments, and operands that pass through shared memory.
    bug("product", "gfx942", "first = k + (lane_halves < 16 ? lane / 16 * lane_halves : 0);", "first = k;"),
    bug("product", "gfx942", "::type>(d, fb, fa[m]);", "::type>(d, fa[m], fb);"),
    bug("product", "gfx1201", "f = free + lane % 16,", "f = free + lane % 8,"),
    bug("product", "gfx1100", "f = free + lane % 16,", "f = free + lane / 2,"),
    bug("attention", "gfx942", "int at = k16 * lane_halves + j;", "int at = k16 + j;"),
    bug(
        "attention",
        "gfx1100",
        "    wrote_shared();\n    fence_async();\n    sync_program();\n}",
        "    wrote_shared();\n}",
    ),
    bug("attention", "gfx1100", "exists ? tile[i] : E{};", "tile[i];"),
];

/// What the emulated launch gives; an error is a bug noticed.
fn run(
    call: Call,
    out: &mut Tensor<f32>,
    architecture: Architecture,
    change: impl Fn(&str) -> String,
) -> Result<(), String> {
    let (result, units) = tilewright::record(architecture, || call(out));
    result.map_err(|error| error.to_string())?;
    for unit in units {
        let fault = emulated::launch(&Unit { text: change(&unit.text), ..unit })?;
        if fault[0] != 0 {
            return Err("a fault is reported".into());
        }
    }
    Ok(())
}

/// Whether an element is off by more than a hundredth, or of the largest by more than a thousandth.
fn differs(got: &Tensor<f32>, wanted: &Tensor<f32>) -> bool {
    let wanted = wanted.to_vec();
    let largest = wanted.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let near = |got: f32, wanted: f32| (got - wanted).abs() <= (0.01 * wanted.abs()).max(0.001 * largest);
    got.to_vec().into_iter().zip(wanted).any(|(got, wanted)| !near(got, wanted))
}

#[test]
fn every_planted_bug_is_noticed() {
    let variables = [
        ("TW_EMULATOR_ARCH", "90"),
        ("TW_EMULATOR_HOST_MEMORY", "1"),
        ("TW_EMULATOR_QUIET", "1"),
        ("TW_EMULATOR_SECONDS", "20"),
    ];
    if !emulator::inside("every_planted_bug_is_noticed", &variables) {
        return;
    }
    let Some(folder) = emulator::folder() else { return };
    // SAFETY: the only test of its process.
    unsafe { std::env::set_var("TILEWRIGHT_EMULATOR", folder) };
    let x = numbers::<f32>(5, 1000, 1);
    let (a, b) = (numbers::<bf16>(136, 328, 2), numbers::<bf16>(328, 264, 3));
    // Scores far below 0: an exponential that forgets where a block ends overflows.
    let far = |rows, seed, factor: f32| {
        let values: Vec<f32> = numbers::<f32>(rows, 64, seed).to_vec();
        let values = values.iter().map(|value| factor * (1.0 + value)).collect();
        Tensor::from_vec((rows, 64), values).unwrap().cast::<bf16>().unwrap()
    };
    let (q, k, v) = (far(130, 4, 1.5), far(150, 5, -1.5), numbers::<bf16>(150, 64, 6));
    let blocks: Config = "m=128,n=128,k=64".parse().unwrap();
    let (left, right) = (a.cast::<f32>().unwrap(), b.cast::<f32>().unwrap());
    let softmax = |out: &mut Tensor<f32>| softmax(&x, out);
    let product = |out: &mut Tensor<f32>| product::with(&blocks, &a, &b, out);
    let rounding = |out: &mut Tensor<f32>| rounding::with(&Config::new().tf32(), &left, &right, out);
    let attention = |out: &mut Tensor<f32>| attention(&q, &k, &v, out);
    let (c, d) = (numbers::<f8e4m3>(136, 336, 7), numbers::<f8e4m3>(264, 336, 8));
    let eighths = |out: &mut Tensor<f32>| eighths::with(&blocks, &c, &d, out);
    let e = numbers::<f8e4m3>(336, 264, 9);
    let across = |out: &mut Tensor<f32>| across(&c, &e, out);
    let kernels: [(&str, Call, (usize, usize)); 6] = [
        ("softmax", &softmax, (5, 1000)),
        ("product", &product, (136, 264)),
        ("rounding", &rounding, (136, 264)),
        ("attention", &attention, (130, 64)),
        ("eighths", &eighths, (136, 264)),
        ("across", &across, (136, 264)),
    ];
    let mut missed = Vec::new();
    for (name, call, shape) in kernels {
        let mut wanted = Tensor::zeros(shape);
        call(&mut wanted).unwrap();
        for architecture in ["sm_80", "sm_90a", "sm_100a", "gfx942", "gfx1100", "gfx1201"] {
            let target = emulated::named(architecture);
            let bugs = BUGS.iter().filter(|bug| (bug.kernel, bug.architecture) == (name, architecture));
            let mut got = Tensor::zeros(shape);
            run(call, &mut got, target, str::to_string).unwrap();
            assert!(!differs(&got, &wanted), "{name} is wrong on {architecture} without a bug");
            for bug in bugs {
                let noticed = (0..4).any(|seed| {
                    // SAFETY: as above.
                    unsafe { std::env::set_var("TW_EMULATOR_SEED", seed.to_string()) };
                    let mut got = Tensor::zeros(shape);
                    let change = |text: &str| {
                        assert!(
                            text.contains(bug.text),
                            "no such text in {name} for {architecture}: {}",
                            bug.text
                        );
                        text.replacen(bug.text, bug.instead, 1)
                    };
                    run(call, &mut got, target, change).is_err() || differs(&got, &wanted)
                });
                if !noticed {
                    missed.push(format!("{name} for {architecture}: {} → {}", bug.text, bug.instead));
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} of {} bugs are missed:\n{}", missed.len(), BUGS.len(), missed.join("\n"));
}
