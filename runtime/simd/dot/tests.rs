//! Products against plain loops: every kind, instruction set, ragged size and layout.

use super::*;
use half::{bf16, f16};

const SIZES: [usize; 14] = [0, 1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 64, 65, 100];

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
    fn size(&mut self) -> usize {
        SIZES[self.below(if cfg!(miri) { 8 } else { SIZES.len() as u64 }) as usize]
    }
}

/// `rows × k` elements somewhere at the very end of an allocation, with strides of one of four layouts.
fn operand<E: Element>(
    random: &mut Random,
    rows: usize,
    k: usize,
    make: impl Fn(i64) -> E,
) -> (Vec<E>, Strided, Vec<E>) {
    let values: Vec<E> = (0..rows * k).map(|_| make(random.below(64) as i64 - 32)).collect();
    let (free, contracted) = match random.below(4) {
        0 => (k as isize, 1),
        1 => (1, rows as isize),
        2 => (k as isize * 3, 3),
        _ => (-(k as isize), -1),
    };
    let places: Vec<isize> =
        (0..rows * k).map(|at| (at / k) as isize * free + (at % k) as isize * contracted).collect();
    let lowest = places.iter().copied().min().unwrap_or(0);
    let highest = places.iter().copied().max().unwrap_or(-1);
    let mut memory = vec![E::default(); (highest - lowest + 1) as usize];
    for (value, place) in values.iter().zip(&places) {
        memory[(place - lowest) as usize] = *value;
    }
    let base = memory.as_ptr().wrapping_offset(-lowest);
    (memory, Strided::new(base, free, contracted), values)
}

fn sets() -> impl Iterator<Item = InstructionSet> {
    InstructionSet::ALL.into_iter().filter(|set| set.is_available())
}

const GUARD: f32 = 12345.0;

fn check_floats<E: Element<Lane = f32>>(seed: u64, make: fn(i64) -> E) {
    let mut random = Random(seed);
    for round in 0..if cfg!(miri) { 8 } else { 120 } {
        let (m, n, k) = (random.size(), random.size(), random.size() * if round % 16 == 0 { 9 } else { 1 });
        let (_a, left, a) = operand(&mut random, m, k, make);
        let (_b, right, b) = operand(&mut random, n, k, make);
        let (ldc, accumulate) = (n + random.below(3) as usize, random.below(2) == 0);
        for isa in sets() {
            for packed in [false, true] {
                let mut c = vec![GUARD; m * ldc];
                // SAFETY: the operand outlives the pack, and the set is available.
                let pack = packed.then(|| unsafe { Packed::pack(isa, right, &[], n, k) });
                let operand = pack.as_ref().map_or(Operand::Strided(right), |pack| pack.tile(0, 0, 0));
                let scratch = &mut Scratch::default();
                // SAFETY: operands and result have these sizes.
                unsafe { dot_f32(isa, m, n, k, left, operand, c.as_mut_ptr(), ldc, accumulate, scratch) };
                for (at, got) in c.iter().enumerate() {
                    let (i, j) = (at / ldc.max(1), at % ldc.max(1));
                    let sum: f64 = (0..k)
                        .map(|p| {
                            f64::from(a[i * k + p].to_lane())
                                * if j < n { f64::from(b[j * k + p].to_lane()) } else { 0.0 }
                        })
                        .sum();
                    let want = if j >= n {
                        f64::from(GUARD)
                    } else {
                        sum + if accumulate { f64::from(GUARD) } else { 0.0 }
                    };
                    let near = (f64::from(*got) - want).abs() <= 1e-5 * (k as f64 + want.abs());
                    assert!(near, "{isa:?} {m}×{n}×{k} packed {packed} at ({i}, {j}): {got} is not {want}");
                }
            }
        }
    }
}

#[test]
fn float_products_equal_plain_loops_and_stay_in_bounds() {
    check_floats::<f32>(1, |x| x as f32 / 8.0);
    check_floats::<f16>(2, |x| f16::from_f32(x as f32 / 8.0));
    check_floats::<bf16>(3, |x| bf16::from_f32(x as f32 / 8.0));
}

macro_rules! exact {
    ($name:ident: $E:ty as $T:ty, $dot:ident, $make:expr) => {
        #[test]
        fn $name() {
            let mut random = Random(9);
            for _ in 0..if cfg!(miri) { 6 } else { 60 } {
                let (m, n, k) = (random.size(), random.size(), random.size());
                let (_a, left, a) = operand::<$E>(&mut random, m, k, $make);
                let (_b, right, b) = operand::<$E>(&mut random, n, k, $make);
                for isa in sets() {
                    let mut c = vec![3 as $T; m * n];
                    let scratch = &mut Scratch::default();
                    // SAFETY: operands and result have these sizes.
                    unsafe { $dot(isa, m, n, k, left, right, c.as_mut_ptr(), n, true, scratch) };
                    for (at, got) in c.iter().enumerate() {
                        let products =
                            (0..k).map(|p| (a[at / n * k + p] as i64).wrapping_mul(b[at % n * k + p] as i64));
                        let want = products.fold(3i64, i64::wrapping_add) as $T;
                        assert_eq!(*got, want, "{isa:?} {m}×{n}×{k}");
                    }
                }
            }
        }
    };
}
exact!(f64_products_are_exact_on_integers: f64 as f64, dot_f64, |x| x as f64);
exact!(i32_products_wrap: i32 as i32, dot_i32, |x| (x as i32).wrapping_mul(40_000_003));
exact!(i8_products_widen: i8 as i32, dot_i32, |x| x as i8);
exact!(u8_products_widen: u8 as i32, dot_i32, |x| x as u8);
exact!(i64_products_wrap: i64 as i64, dot_i64, |x| x.wrapping_mul(4_000_000_000_000_000_003));
exact!(u32_products_wrap: u32 as u32, dot_u32, |x| (x as u32).wrapping_mul(40_000_003));

#[test]
fn slices_of_a_packed_operand_are_its_parts() {
    let mut random = Random(4);
    let (n, k, batches) = (70, 90, 3);
    let b: Vec<f32> = (0..batches * n * k).map(|_| random.below(64) as f32).collect();
    let a: Vec<f32> = (0..5 * k).map(|_| random.below(64) as f32).collect();
    for isa in sets() {
        let source = Strided::new(b.as_ptr(), k as isize, 1);
        // SAFETY: `b` has these elements and outlives the pack.
        let packed = unsafe { Packed::pack(isa, source, &[(batches, (n * k) as isize)], n, k) };
        for (batch, j, p) in [(0, 0, 0), (1, 32, 10), (2, 64, 89), (2, 5, 7)] {
            let (width, depth) = (n - j, k - p);
            let mut c = vec![0.0; 5 * width];
            let left = Strided::new(&raw const a[p], k as isize, 1);
            // SAFETY: the slices lie inside the operands.
            unsafe {
                dot_f32(
                    isa,
                    5,
                    width,
                    depth,
                    left,
                    packed.tile(batch, j, p),
                    c.as_mut_ptr(),
                    width,
                    false,
                    &mut Scratch::default(),
                )
            };
            for (at, got) in c.iter().enumerate() {
                let (row, column) = (at / width, batch * n * k + (j + at % width) * k);
                let want: f32 = (p..k).map(|p| a[row * k + p] * b[column + p]).sum();
                assert_eq!(*got, want, "{isa:?} batch {batch} from ({j}, {p})");
            }
        }
    }
}
