//! Products on a matrix unit, and of bytes in its tiles.

use super::*;

/// Computes the product on the unit; false: it is not for that.
///
/// # Safety
/// As [`dot_f32`], and the unit is available.
unsafe fn on_unit<T: Number>(isa: InstructionSet, problem: &Problem<T>, scratch: &mut Scratch) -> bool {
    let Some(way) = amx::Way::of(isa, problem) else { return false };
    // SAFETY: the same contract.
    unsafe { amx::product(isa, way, problem, scratch) };
    true
}

/// Whether a test of the matrix unit has one.
fn has_unit() -> bool {
    let has = has_matrix_unit(InstructionSet::Avx512);
    if !has {
        println!("skipped: this processor has no matrix unit, or its system does not lend it");
    }
    has
}

/// Whether a test of bytes in tiles has what multiplies them.
fn multiplies_bytes() -> bool {
    let has = amx::multiplies(InstructionSet::Avx512, amx::Form::Bytes { signed: true });
    if !has {
        println!("skipped: this processor has no instruction for products of bytes");
    }
    has
}

macro_rules! unit_claims {
    ($($claim:ident if $has:ident: $dot:ident, $C:ty, [$($A:ty, $B:ty);*];)*) => {$(
        #[test]
        fn $claim() {
            if !$has() {
                return;
            }
            let (isa, random) = (InstructionSet::Avx512, &mut Random(23));
            // Whole tiles, and parts of them; one step, and several blocks of them.
            for (m, n, k) in [(160, 192, 64), (129, 161, 70), (140, 530, 1040), (141, 150, 33), (300, 120, 16)] {
                $({
                    let sides = |f: usize, random: &mut Random| {
                        [(k as isize, 1), (k as isize + 3, 1), (1, f as isize), (1, f as isize + 5), (2 * k as isize, 2), (-(k as isize), 1)][random.below(6)]
                    };
                    for _ in 0..if k > 100 { 1 } else { 3 } {
                        let (left, right) = (sides(m, random), sides(n, random));
                        let (a, b) = (Side::<$A>::with(random, (m, k), left), Side::<$B>::with(random, (n, k), right));
                        let what = format!("{} {} {left:?} {right:?}", <$A>::NAME, <$B>::NAME);
                        check::<$C>((m, n, k), random, |i, p| a.lane(i, p), |j, p| b.lane(j, p), &what, |c, ldc, accumulate| {
                            let scratch = &mut Scratch::new();
                            let problem = Problem { m, n, k, a: a.strided(), b: Operand::Strided(b.strided()), c, ldc, accumulate };
                            // SAFETY: the operands have these sizes, the unit is available.
                            unsafe { assert!(on_unit::<$C>(isa, &problem, scratch), "the unit refuses {what}") };
                        });
                        // SAFETY: as above.
                        let packed = unsafe { Packed::new(isa, b.strided(), &[], n, k, m) };
                        check::<$C>((m, n, k), random, |i, p| a.lane(i, p), |j, p| b.lane(j, p), &what, |c, ldc, accumulate| {
                            let tile = packed.tile(0, 0, 0);
                            // SAFETY: as above.
                            unsafe { $dot(isa, m, n, k, a.strided(), tile, c, ldc, accumulate, &mut Scratch::new()) };
                        });
                    }
                })*
            }
        }
    )*};
}
unit_claims! {
    a_matrix_unit_multiplies_floats_of_every_length if has_unit: dot_f32, f32,
        [f32, f32; f32, f16; f32, bf16; f16, f32; f16, f16; f16, f8e4m3; bf16, f32; bf16, f16; bf16, bf16; f8e5m2, f8e4m3];
    tiles_of_bytes_of_either_sign_are_multiplied if multiplies_bytes: dot_i32, i32, [i8, i8; i8, u8; u8, i8; u8, u8];
}

#[test]
fn sums_of_three_parts_are_as_good_as_those_of_f32() {
    if !has_unit() {
        return;
    }
    let (isa, random) = (InstructionSet::Avx512, &mut Random(29));
    let (m, n, k) = (160, 128, 512);
    let (a, b) = (reals(random, m * k), reals(random, n * k));
    let (left, right) = (Strided::new(a.as_ptr(), k as isize, 1), Strided::new(b.as_ptr(), k as isize, 1));
    let errors = |by_unit: bool| {
        let mut c = vec![0f32; m * n];
        let problem = Problem {
            m,
            n,
            k,
            a: left,
            b: Operand::Strided(right),
            c: c.as_mut_ptr(),
            ldc: n,
            accumulate: false,
        };
        let scratch = &mut Scratch::new();
        // SAFETY: the operands have these sizes, the unit is available.
        unsafe {
            if by_unit {
                assert!(on_unit(isa, &problem, scratch));
            } else {
                blocks(isa, &problem, scratch);
            }
        }
        let square = |at: usize| {
            let (i, j) = (at / n, at % n);
            let exact: f64 = (0..k).map(|p| f64::from(a[i * k + p]) * f64::from(b[j * k + p])).sum();
            (f64::from(c[at]) - exact).powi(2)
        };
        ((0..m * n).map(square).sum::<f64>() / (m * n) as f64).sqrt()
    };
    let (unit, vectors) = (errors(true), errors(false));
    assert!(unit < 1.5 * vectors, "{unit:e} beside {vectors:e}");
}

#[test]
fn what_a_matrix_unit_cannot_split_comes_out_right() {
    if !has_unit() {
        return;
    }
    let isa = InstructionSet::Avx512;
    let (m, n, k) = (96, 96, 600);
    for (which, special) in
        [(0, f32::INFINITY), (1, f32::NEG_INFINITY), (0, f32::NAN), (1, 3.4e38), (0, f32::MAX)]
    {
        let (mut a, mut b) = (vec![1f32; m * k], vec![1f32; n * k]);
        if which == 0 {
            a[7 * k + 580] = special;
        } else {
            b[7 * k + 580] = special;
        }
        let (left, right) =
            (Strided::new(a.as_ptr(), k as isize, 1), Strided::new(b.as_ptr(), k as isize, 1));
        for packs in [false, true] {
            // SAFETY: the operands have these sizes, the unit is available.
            let packed = unsafe { Packed::new(isa, right, &[], n, k, m) };
            let mut c = vec![0f32; m * n];
            let operand = if packs { packed.tile(0, 0, 0) } else { Operand::Strided(right) };
            // SAFETY: as above.
            unsafe { dot_f32(isa, m, n, k, left, operand, c.as_mut_ptr(), n, false, &mut Scratch::new()) };
            for (at, sum) in c.into_iter().enumerate() {
                let meets = if which == 0 { at / n == 7 } else { at % n == 7 };
                let expected = if meets { special + (k - 1) as f32 } else { k as f32 };
                assert!(sum == expected || (sum.is_nan() && expected.is_nan()), "{special} at {at}: {sum}");
            }
        }
    }
}

/// Lines are read where they are; some are left over.
fn few_rows_of<
    A: Sample + Element<Lane = C>,
    B: Sample + Element<Lane = C>,
    C: Sum + Element<Lane = C> + Number,
>() {
    let (isa, random) = (InstructionSet::Avx512, &mut Random(29));
    for (m, n, k) in
        [(1, 48, 64), (5, 32, 128), (8, 100, 192), (12, 95, 64), (16, 64, 320), (7, 33, 4096 + 128)]
    {
        let (a, b) = (Side::<A>::new(random, m, k), Side::<B>::with(random, (n, k), (k as isize + 5, 1)));
        let what = format!("few rows of {} and {}", A::NAME, B::NAME);
        let is_for_unit = m > 4 || size_of::<B>() == 1;
        check::<C>(
            (m, n, k),
            random,
            |i, p| a.lane(i, p),
            |j, p| b.lane(j, p),
            &what,
            |c, ldc, accumulate| {
                let (scratch, b) = (&mut Scratch::new(), Operand::Strided(b.strided()));
                let problem = Problem { m, n, k, a: a.strided(), b, c, ldc, accumulate };
                // SAFETY: the operands have these sizes, the unit is available.
                unsafe {
                    if !on_unit::<C>(isa, &problem, scratch) {
                        assert!(!is_for_unit, "the unit refuses {what}");
                        blocks(isa, &problem, scratch);
                    }
                }
            },
        );
    }
}

#[test]
fn few_rows_go_to_a_matrix_unit() {
    if !has_unit() {
        return;
    }
    few_rows_of::<f32, bf16, f32>();
    few_rows_of::<f16, bf16, f32>();
    few_rows_of::<bf16, bf16, f32>();
    few_rows_of::<f8e4m3, bf16, f32>();
}

#[test]
fn few_rows_of_bytes_meet_lines_in_place() {
    if !multiplies_bytes() {
        return;
    }
    few_rows_of::<i8, i8, i32>();
    few_rows_of::<i8, u8, i32>();
    few_rows_of::<u8, i8, i32>();
    few_rows_of::<u8, u8, i32>();
}

/// Bytes at the ends of their range, rows and lines that end anywhere, rows whose elements are apart.
#[test]
fn bytes_of_every_length_sum_to_the_last_bit() {
    let random = &mut Random(31);
    for isa in sets() {
        for (m, n, k) in
            [(1, 1, 1), (1, 9, 63), (3, 50, 65), (4, 7, 200), (5, 33, 129), (12, 30, 77), (13, 64, 100)]
        {
            for far in [1, 3] {
                let left = (far * k as isize, far);
                let a = Side::<i8>::with(random, (m, k), left);
                let b = Side::<i8>::with(random, (n, k), (k as isize, 1));
                check::<i32>(
                    (m, n, k),
                    random,
                    |i, p| a.lane(i, p),
                    |j, p| b.lane(j, p),
                    "bytes",
                    |c, ldc, accumulate| {
                        let b = Operand::Strided(b.strided());
                        // SAFETY: the operands have these sizes; `sets` are those that the processor has.
                        unsafe {
                            dot_i32(isa, m, n, k, a.strided(), b, c, ldc, accumulate, &mut Scratch::new())
                        };
                    },
                );
            }
        }
        for (x, y) in [(i8::MIN, i8::MIN), (i8::MIN, i8::MAX), (i8::MAX, i8::MAX)] {
            for (m, n, k) in [(2, 40, 300), (40, 70, 300)] {
                let (a, b, mut c) = (vec![x; m * k], vec![y; n * k], vec![0; m * n]);
                let (a, b) =
                    (Strided::new(a.as_ptr(), k as isize, 1), Strided::new(b.as_ptr(), k as isize, 1));
                let (b, scratch) = (Operand::Strided(b), &mut Scratch::new());
                // SAFETY: as above.
                unsafe { dot_i32(isa, m, n, k, a, b, c.as_mut_ptr(), n, false, scratch) };
                let sum = i32::from(x) * i32::from(y) * k as i32;
                assert!(c.iter().all(|found| *found == sum), "{isa:?} {x} {y} {m} {n} {k}");
            }
        }
    }
}

/// An infinity of the lines meets parts that are 0.
#[test]
fn few_rows_meet_infinities() {
    if !has_unit() {
        return;
    }
    let (isa, m, n, k) = (InstructionSet::Avx512, 8, 80, 64);
    let (a, mut b) = (vec![1f32; m * k], vec![bf16::ONE; n * k]);
    b[40 * k + 9] = bf16::INFINITY;
    b[70 * k + 9] = bf16::NAN;
    let (left, right) = (Strided::new(a.as_ptr(), k as isize, 1), Strided::new(b.as_ptr(), k as isize, 1));
    let mut c = vec![1f32; m * n];
    let (scratch, b) = (&mut Scratch::new(), Operand::Strided(right));
    // SAFETY: the operands have these sizes, the unit is available.
    unsafe { dot_f32(isa, m, n, k, left, b, c.as_mut_ptr(), n, true, scratch) };
    for (at, sum) in c.into_iter().enumerate() {
        let is_right = match at % n {
            40 => sum == f32::INFINITY,
            70 => sum.is_nan(),
            _ => sum == 65.0,
        };
        assert!(is_right, "{at}: {sum}");
    }
}
