//! Claims about products: equal to three loops, and nothing else is touched.

mod unit;

use super::inner::{ALONE_STEP, Inner, Outer};
use super::kernels::Number;
use super::product::blocks;
use super::register::Stored;
use super::*;
use crate::element::Element;
use crate::{f8e4m3, f8e5m2};
use half::{bf16, f16};

const SIZES: [usize; 18] = [0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 47, 48, 49, 64, 65, 100];

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }
    fn size(&mut self) -> usize {
        SIZES[self.below(if cfg!(miri) { 11 } else { SIZES.len() })]
    }
}

/// What sums are checked in: small integers in floats, so that every order of summation is exact;
/// integers of all sizes, which wrap.
trait Sum: Element {
    const GUARD: Self;
    fn plus(self, l: Self, r: Self) -> Self;
}

macro_rules! sums {
    ($($T:ty: $guard:expr, |$s:ident, $l:ident, $r:ident| $plus:expr;)*) => {$(
        impl Sum for $T {
            const GUARD: $T = $guard;
            fn plus(self, $l: $T, $r: $T) -> $T {
                let $s = self;
                $plus
            }
        }
    )*};
}
sums! {
    f32: -77.0, |s, l, r| s + l * r;
    f64: -77.0, |s, l, r| s + l * r;
    i32: -77, |s, l, r| s.wrapping_add(l.wrapping_mul(r));
    u32: 77, |s, l, r| s.wrapping_add(l.wrapping_mul(r));
    i64: -77, |s, l, r| s.wrapping_add(l.wrapping_mul(r));
}

trait Sample: Element {
    fn sample(random: &mut Random) -> Self;
}
macro_rules! samples {
    ($($T:ty: |$x:ident| $e:expr;)*) => {$(
        impl Sample for $T {
            fn sample(random: &mut Random) -> $T {
                let $x = random.below(1 << 31) as i64;
                $e
            }
        }
    )*};
}
samples! {
    f32: |x| (x % 17 - 8) as f32;
    f64: |x| (x % 17 - 8) as f64;
    f16: |x| f16::from_f32((x % 17 - 8) as f32);
    bf16: |x| bf16::from_f32((x % 17 - 8) as f32);
    f8e4m3: |x| f8e4m3::from_f32((x % 17 - 8) as f32);
    f8e5m2: |x| f8e5m2::from_f32((x % 17 - 8) as f32);
    i8: |x| x as i8;
    u8: |x| x as u8;
    i16: |x| x as i16;
    u16: |x| x as u16;
    i32: |x| (x << 7) as i32;
    u32: |x| (x << 7) as u32;
    i64: |x| (x << 37) ^ (x << 3);
}

/// An operand that ends, and begins, where its memory does, so that AddressSanitizer and Miri see a
/// read outside of it.
struct Side<E> {
    elements: Vec<E>,
    first: isize,
    free: isize,
    contracted: isize,
}

impl<E: Sample> Side<E> {
    fn new(random: &mut Random, free: usize, contracted: usize) -> Side<E> {
        let (f, c) = (free as isize, contracted as isize);
        let gap = random.below(3) as isize;
        let strides = match random.below(9) {
            0 | 1 => (c + gap, 1),
            2 | 3 => (1, f + gap),
            4 => (2 * c + gap, 2),
            5 => (-(c + gap), 1),
            6 => (1, -(f + gap)),
            7 => (-2, 2 * f + gap),
            _ => [(0, 1), (1, 0), (0, 0), (c, -1), (-1, f)][random.below(5)],
        };
        Side::with(random, (free, contracted), strides)
    }

    fn with(random: &mut Random, size: (usize, usize), (free, contracted): (isize, isize)) -> Side<E> {
        let last = [(size.0, free), (size.1, contracted)].map(|(n, s)| n.saturating_sub(1) as isize * s);
        let below: isize = last.into_iter().filter(|end| *end < 0).sum();
        let above: isize = last.into_iter().filter(|end| *end > 0).sum();
        let count = if size.0 * size.1 == 0 { 0 } else { above - below + 1 };
        let elements: Vec<E> = (0..count).map(|_| E::sample(random)).collect();
        Side { elements, first: -below, free, contracted }
    }

    fn strided(&self) -> Strided {
        let ptr = self.elements.as_ptr().wrapping_offset(self.first).cast();
        Strided { ptr, kind: E::KIND, free: self.free, contracted: self.contracted }
    }

    fn lane(&self, f: usize, c: usize) -> E::Lane {
        let at = self.first + f as isize * self.free + c as isize * self.contracted;
        self.elements[at as usize].to_lane()
    }
}

/// Calls `dot` for a product with guards around it, and compares.
fn check<C: Sum + Element<Lane = C>>(
    (m, n, k): (usize, usize, usize),
    random: &mut Random,
    a: impl Fn(usize, usize) -> C,
    b: impl Fn(usize, usize) -> C,
    what: &str,
    dot: impl FnOnce(*mut C, usize, bool),
) {
    let (ldc, accumulate) = (n + random.below(3) * 7, random.below(2) == 0);
    let mut c = vec![C::GUARD; 20 + m * ldc + 20];
    let mut expected = c.clone();
    for i in 0..m {
        for j in 0..n {
            let first = if accumulate { C::GUARD } else { C::default() };
            expected[20 + i * ldc + j] = (0..k).fold(first, |sum, p| sum.plus(a(i, p), b(j, p)));
        }
    }
    dot(c[20..].as_mut_ptr(), ldc, accumulate);
    let differs = (0..c.len()).find(|idx| c[*idx] != expected[*idx]);
    if let Some(idx) = differs {
        let at = idx as isize - 20;
        panic!(
            "{what}: {m}×{n}×{k}, ldc {ldc}, accumulate {accumulate}: c[{at}] is {:?}, not {:?}",
            c[idx], expected[idx]
        );
    }
}

fn sets() -> impl Iterator<Item = InstructionSet> {
    InstructionSet::ALL.into_iter().filter(|isa| isa.is_available())
}

macro_rules! claims {
    ($($claim:ident: $dot:ident, $C:ty, [$($A:ty, $B:ty);*], $wrap:expr;)*) => {$(
        #[test]
        fn $claim() {
            for isa in sets() {
                let random = &mut Random(7);
                for _ in 0..if cfg!(miri) { 12 } else { 200 } {
                    $({
                        let (m, n, k) = (random.size(), random.size(), random.size());
                        let (a, b) = (Side::<$A>::new(random, m, k), Side::<$B>::new(random, n, k));
                        let strides = (a.free, a.contracted, b.free, b.contracted);
                        let what = format!("{isa:?} {} {} {strides:?}", <$A>::NAME, <$B>::NAME);
                        let read = (|i, p| a.lane(i, p), |j, p| b.lane(j, p));
                        check::<$C>((m, n, k), random, read.0, read.1, &what, |c, ldc, accumulate| {
                            let (a, b, scratch) = (a.strided(), $wrap(b.strided()), &mut Scratch::new());
                            // SAFETY: the operands have these sizes, the instruction set is available.
                            unsafe { $dot(isa, m, n, k, a, b, c, ldc, accumulate, scratch) }
                        });
                    })*
                }
            }
        }
    )*};
}
claims! {
    products_in_f32_equal_three_loops: dot_f32, f32,
        [f32, f32; f32, bf16; f16, f32; bf16, bf16; f16, f16; bf16, f16; f32, f8e4m3; f8e5m2, f8e5m2], Operand::Strided;
    products_in_f64_equal_three_loops: dot_f64, f64, [f64, f64], std::convert::identity;
    products_in_i32_equal_three_loops_and_wrap: dot_i32, i32,
        [i32, i32; i8, u8; i16, u16; u8, i32; u16, i8], Operand::Strided;
    products_in_i64_equal_three_loops_and_wrap: dot_i64, i64, [i64, i64], std::convert::identity;
    products_in_u32_equal_three_loops_and_wrap: dot_u32, u32, [u32, u32], std::convert::identity;
}

#[test]
fn deep_and_large_products_equal_three_loops() {
    let sizes = [(3, 5, 770), (5, 3, 5000), (1, 9, 5000), (130, 40, 1540), (20, 600, 300), (257, 7, 769)];
    for isa in sets() {
        let random = &mut Random(3);
        for (m, n, k) in sizes.into_iter().take(if cfg!(miri) { 1 } else { sizes.len() }) {
            for layout in 0..4 {
                let strides = |f: usize, right: bool| {
                    if right { (1, f as isize) } else { (k as isize, 1) }
                };
                let a = Side::<f32>::with(random, (m, k), strides(m, layout & 1 == 1));
                let b = Side::<f32>::with(random, (n, k), strides(n, layout & 2 == 2));
                let read = (|i, p| a.lane(i, p), |j, p| b.lane(j, p));
                check(
                    (m, n, k),
                    random,
                    read.0,
                    read.1,
                    &format!("{isa:?} {layout}"),
                    |c, ldc, accumulate| {
                        let (a, b) = (a.strided(), Operand::Strided(b.strided()));
                        // SAFETY: the operands have these sizes, the instruction set is available.
                        unsafe { dot_f32(isa, m, n, k, a, b, c, ldc, accumulate, &mut Scratch::new()) }
                    },
                );
            }
        }
    }
}

/// A row that is added is one more contracted element, that is 1 on the left.
#[test]
fn a_row_is_added_to_products_of_every_kind() {
    let random = &mut Random(13);
    let large = [(7, 50, 1600), (300, 500, 40), (20, 33, 770), (1, 70, 5000), (9, 65, 768)];
    for isa in sets() {
        for at in 0..if cfg!(miri) { 12 } else { 200 } {
            let small = (random.size(), random.size(), random.size());
            let (m, n, k) = if cfg!(miri) { small } else { *large.get(at).unwrap_or(&small) };
            let (a, b) = (Side::<f32>::new(random, m, k), Side::<f32>::new(random, n, k));
            let halves = Side::<bf16>::new(random, n, k);
            let row: Vec<f32> = (0..n).map(|_| f32::sample(random)).collect();
            let left = |i, p| if p < k { a.lane(i, p) } else { 1.0 };
            let right = |j: usize, p| if p < k { b.lane(j, p) } else { row[j] };
            let half = |j: usize, p| if p < k { halves.lane(j, p) } else { row[j] };
            let run = |b: Operand, c, ldc, accumulate| {
                let (plus, scratch) = (row.as_ptr(), &mut Scratch::new());
                // SAFETY: the operands and the row have these sizes, the instruction set is available.
                unsafe { linear_f32(isa, (m, n, k), a.strided(), b, plus, c, ldc, accumulate, scratch) }
            };
            let what = format!("{isa:?}");
            check((m, n, k + 1), random, left, right, &what, |c, ldc, accumulate| {
                run(Operand::Strided(b.strided()), c, ldc, accumulate);
            });
            check((m, n, k + 1), random, left, half, &what, |c, ldc, accumulate| {
                run(Operand::Strided(halves.strided()), c, ldc, accumulate);
            });
            if k > 0 && n > 0 {
                // SAFETY: the operand has this size; the instruction set is available.
                let packed = unsafe { Packed::new(isa, b.strided(), &[], n, k, m) };
                check((m, n, k + 1), random, left, right, &what, |c, ldc, accumulate| {
                    run(packed.tile(0, 0, 0), c, ldc, accumulate);
                });
            }
        }
    }
}

#[test]
fn few_rows_read_the_other_side_in_place() {
    let random = &mut Random(17);
    let (n, k) = if cfg!(miri) { (35, 20) } else { (1000, 70) };
    for (isa, m) in sets().flat_map(|isa| (1..=13).map(move |m| (isa, m))) {
        let a = Side::<f32>::with(random, (m, k), (k as isize, 1));
        // Lines far apart of contiguous columns, and contiguous lines.
        for strides in [(1, 2 * n as isize), (k as isize + 5, 1)] {
            let b = Side::<f32>::with(random, (n, k), strides);
            let half = Side::<bf16>::with(random, (n, k), strides);
            check(
                (m, n, k),
                random,
                |i, p| a.lane(i, p),
                |j, p| b.lane(j, p),
                "f32",
                |c, ldc, accumulate| {
                    let (a, b) = (a.strided(), Operand::Strided(b.strided()));
                    // SAFETY: the operands have these sizes, the instruction set is available.
                    unsafe { dot_f32(isa, m, n, k, a, b, c, ldc, accumulate, &mut Scratch::new()) }
                },
            );
            check(
                (m, n, k),
                random,
                |i, p| a.lane(i, p),
                |j, p| half.lane(j, p),
                "bf16",
                |c, ldc, accumulate| {
                    let (a, b) = (a.strided(), Operand::Strided(half.strided()));
                    // SAFETY: as above.
                    unsafe { dot_f32(isa, m, n, k, a, b, c, ldc, accumulate, &mut Scratch::new()) }
                },
            );
        }
    }
}

/// Reals in f32 whose products need all of their digits.
fn reals(random: &mut Random, n: usize) -> Vec<f32> {
    (0..n).map(|_| random.below(1 << 24) as f32 / 8_388_608.0 - 1.0).collect()
}

/// Packs two by three operands of `n` by `k`, and multiplies with a part of one of them.
fn check_packed<E: Sample + Element<Lane = f32>>(
    packs: InstructionSet,
    isa: InstructionSet,
    random: &mut Random,
) {
    let (n, k) = (1 + random.size(), 1 + random.size());
    let width = panel_width(packs, n);
    let strides = [(k as isize, 1), (1, 6 * n as isize)][random.below(2)];
    let all = Side::<E>::with(random, (6 * n, k), strides);
    let (outer, inner) = (3 * n as isize * all.free, n as isize * all.free);
    let rows = random.size();
    // SAFETY: 2 × 3 operands of these sizes; the instruction set is available.
    let packed = unsafe { Packed::new(packs, all.strided(), &[(2, outer), (3, inner)], n, k, rows) };
    let batch = random.below(6);
    // Now and then no panel begins at the first column.
    let (j0, k0) = (random.below(n.div_ceil(width)) * width, random.below(k));
    let j0 = if random.below(4) == 0 { random.below(n) } else { j0 };
    let (m, n_part, k_part) = (random.size(), 1 + random.below(n - j0), 1 + random.below(k - k0));
    let a = Side::<f32>::new(random, m, k_part);
    let read = (|i, p| a.lane(i, p), |j, p| all.lane(batch * n + j0 + j, k0 + p));
    let what = format!("{} packed for {packs:?} read by {isa:?}", E::NAME);
    check((m, n_part, k_part), random, read.0, read.1, &what, |c, ldc, accumulate| {
        let (a, b) = (a.strided(), packed.tile(batch, j0, k0));
        // SAFETY: the operands have these sizes, the instruction set is available.
        unsafe { dot_f32(isa, m, n_part, k_part, a, b, c, ldc, accumulate, &mut Scratch::new()) }
    });
}

#[test]
fn packed_operands_are_read_by_every_instruction_set_in_slices_and_batches() {
    for (packs, isa) in sets().flat_map(|packs| sets().map(move |isa| (packs, isa))) {
        let random = &mut Random(11);
        for _ in 0..if cfg!(miri) { 5 } else { 60 } {
            check_packed::<f32>(packs, isa, random);
            check_packed::<bf16>(packs, isa, random);
            check_packed::<f16>(packs, isa, random);
        }
    }
}

#[test]
fn an_operand_is_packed_by_all_threads_that_read_it() {
    let (n, k) = if cfg!(miri) { (20, 8) } else { (1000, 400) };
    let random = &mut Random(5);
    let b = Side::<f32>::with(random, (n, k), (k as isize, 1));
    let a = Side::<f32>::with(random, (9, k), (k as isize, 1));
    for isa in sets() {
        // SAFETY: the operand has this size; the instruction set is available.
        let packed = unsafe { Packed::new(isa, b.strided(), &[], n, k, 9) };
        let both = std::sync::Barrier::new(2);
        // The last panel, which one of them may still be packing when the other reads it.
        let first = (n - 1) / panel_width(isa, n) * panel_width(isa, n);
        let columns = n - first;
        let reads = || {
            let (left, right) = (|i, p| a.lane(i, p), |j, p| b.lane(first + j, p));
            let is_first = std::cell::Cell::new(true);
            check((9, columns, k), &mut Random(6), left, right, "by two threads", |c, ldc, accumulate| {
                if is_first.take() {
                    both.wait();
                }
                let (a, b) = (a.strided(), packed.tile(0, first, 0));
                // SAFETY: as above.
                unsafe { dot_f32(isa, 9, columns, k, a, b, c, ldc, accumulate, &mut Scratch::new()) }
            });
        };
        std::thread::scope(|scope| {
            scope.spawn(reads);
            reads();
        });
    }
}

/// Each of the 256 patterns times 1, read in place by few rows and packed for many.
fn all_patterns<E: Element + Copy>(of: impl Fn(u8) -> E, value: impl Fn(E) -> f32) {
    const K: usize = 31;
    let patterns: Vec<E> = (0..=255).map(&of).collect();
    let mut lines = [of(0); 256 * K];
    patterns.iter().enumerate().for_each(|(j, pattern)| lines[j * K + j % K] = *pattern);
    for isa in InstructionSet::ALL.into_iter().filter(|isa| isa.is_available()) {
        for m in [1, 9, 30] {
            for j in 0..K {
                // Only where a line's pattern is, so that no NaN meets a 0.
                let row: Vec<f32> = (0..m * K).map(|p| f32::from(u8::from(p % K == j))).collect();
                let (a, mut c) = (Strided::new(row.as_ptr(), K as isize, 1), vec![0.0f32; m]);
                for at in (j..256).step_by(K) {
                    let b = Strided::new(lines.as_ptr(), K as isize, 1).at(at, 0);
                    // SAFETY: `m` rows and one column of `K` elements, `m` sums.
                    unsafe {
                        dot_f32(
                            isa,
                            m,
                            1,
                            K,
                            a,
                            Operand::Strided(b),
                            c.as_mut_ptr(),
                            1,
                            false,
                            &mut Scratch::new(),
                        );
                    }
                    let wanted = value(patterns[at]);
                    let is_right =
                        |x: &f32| x.to_bits() == wanted.to_bits() || (x.is_nan() && wanted.is_nan());
                    // A sum that begins at 0 has no -0.
                    assert!(
                        c.iter().all(|x| is_right(x) || (*x == 0.0 && wanted == 0.0)),
                        "{isa:?} {m} {at:#x}: {c:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn all_floats_of_eight_bits_are_widened() {
    all_patterns(f8e4m3::from_bits, f8e4m3::to_f32);
    all_patterns(f8e5m2::from_bits, f8e5m2::to_f32);
}

#[test]
#[should_panic(expected = "a product in f32 has no operands of i8")]
fn operands_of_another_kind_are_refused() {
    let random = &mut Random(1);
    let (a, b) = (Side::<i8>::new(random, 9, 9), Side::<f32>::new(random, 9, 9));
    let (mut c, b) = ([0.0; 81], Operand::Strided(b.strided()));
    let isa = InstructionSet::Scalar;
    // SAFETY: the operands have these sizes.
    unsafe { dot_f32(isa, 9, 9, 9, a.strided(), b, c.as_mut_ptr(), 9, false, &mut Scratch::new()) }
}

#[test]
#[should_panic(expected = "a product in i32 has no operands of bf16")]
fn half_floats_are_refused_where_sums_are_integers() {
    let random = &mut Random(1);
    let (a, b) = (Side::<bf16>::with(random, (9, 9), (9, 1)), Side::<i32>::new(random, 9, 9));
    let mut c = [0; 81];
    let isa = InstructionSet::Scalar;
    // SAFETY: the operands have these sizes.
    unsafe {
        dot_i32(
            isa,
            9,
            9,
            9,
            a.strided(),
            Operand::Strided(b.strided()),
            c.as_mut_ptr(),
            9,
            false,
            &mut Scratch::new(),
        );
    }
}

/// The kernels that `follows_lines` chooses, on every processor.
#[test]
fn one_row_meets_lines_one_after_the_other() {
    let random = &mut Random(37);
    for isa in sets() {
        let few = f32::kernels(isa).few.expect("f32 has kernels for few rows");
        for k in [1, 15, 64, 65, 200, 1030] {
            for accumulate in [false, true] {
                let (a, b) = (reals(random, k), reals(random, k));
                let b: Vec<f16> = b.into_iter().map(f16::from_f32).collect();
                let mut sum = 0.5;
                let task = Inner {
                    k,
                    a: a.as_ptr(),
                    lda: 0,
                    b: b.as_ptr().cast(),
                    ldb: 0,
                    asks: true,
                    c: &raw mut sum,
                    row: 0,
                    column: 0,
                    accumulate,
                };
                // SAFETY: `k` elements of either; the set is available.
                unsafe { few.inner_alone[Stored::F16 as usize](&task) };
                let products = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * b.to_f64());
                let expected = products.sum::<f64>() + if accumulate { 0.5 } else { 0.0 };
                let found = f64::from(sum);
                assert!((found - expected).abs() < 1e-4, "{isa:?} {k}: {found}, not {expected}");
            }
        }
        for n in [1, 16, 31, 32, 33, 100] {
            let (a, b) = (reals(random, ALONE_STEP), reals(random, ALONE_STEP * n));
            let mut c = vec![1.0f32; n + 1];
            let task = Outer {
                n,
                a: a.as_ptr(),
                lda: 0,
                b: b.as_ptr().cast(),
                ldb: n as isize,
                c: c.as_mut_ptr(),
                ldc: 0,
            };
            // SAFETY: `ALONE_STEP` lines of `n`, and as many sums.
            unsafe { (few.outer_alone)(&task) };
            for (j, found) in c[..n].iter().enumerate() {
                let expected =
                    1.0 + (0..ALONE_STEP).map(|p| f64::from(a[p]) * f64::from(b[p * n + j])).sum::<f64>();
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-5,
                    "{isa:?} {n} {j}: {found}, not {expected}"
                );
            }
            assert_eq!(c[n], 1.0);
        }
    }
}
