//! Loads and stores of every element type touch the elements they name and no others.

use super::{Check, Random, everywhere};
use crate::element::{Element, Kind};
use crate::simd::{Simd, Vector};
use crate::{f8e4m3, f8e5m2};
use half::{bf16, f16};

/// Bytes after which any access is outside of the allocation that Miri and the guards watch.
const GUARD: u8 = 0xA5;

fn random_elements<E: Element>(n: usize) -> Vec<E> {
    let mut random = Random(7);
    (0..n).map(|_| element(random.next())).collect()
}

/// Of random bits: any bit pattern, or a plausible number.
fn element<E: Element>(bits: u64) -> E {
    let bytes = if E::KIND == Kind::Bool { (bits & 1).to_ne_bytes() } else { bits.to_ne_bytes() };
    // SAFETY: 8 bytes are enough, and every bit pattern is a value (bool: 0 or 1).
    unsafe { bytes.as_ptr().cast::<E>().read_unaligned() }
}

/// The bytes of an element; all NaNs alike.
fn bytes<E: Element>(x: E) -> Vec<u8> {
    #[expect(clippy::eq_op, reason = "only NaN differs from itself")]
    if x != x {
        return vec![0xFF; size_of::<E>()];
    }
    // SAFETY: element types have no padding.
    unsafe { std::slice::from_raw_parts((&raw const x).cast::<u8>(), size_of::<E>()) }.to_vec()
}

fn check_loads<S: Simd, E: Element>() {
    let data = random_elements::<E>(64);
    for n in 1..=S::LANES {
        // Of its own allocation, so that reading past it is seen by Miri.
        let exact: Box<[E]> = data[..n].into();
        // SAFETY: `n` elements.
        let lanes = unsafe { E::load::<S>(exact.as_ptr(), n) };
        let zero = E::default();
        for (i, &element) in data.iter().enumerate().take(S::LANES) {
            let expected = if i < n { element } else { zero };
            let got = E::from_lane(lanes.lane(i));
            assert_eq!(
                bytes(got),
                bytes(E::from_lane(expected.to_lane())),
                "{} {} {n} {i}",
                S::NAME,
                E::NAME
            );
        }
        for stride in [1, 3, -2, 0] {
            let start = if stride < 0 { 40 } else { 0 };
            // SAFETY: `start + i * stride` is within 0..64.
            let lanes = unsafe { E::load_strided::<S>(data.as_ptr().add(start), stride, n) };
            for i in 0..n {
                let expected = data[(start as isize + i as isize * stride) as usize];
                assert_eq!(bytes(E::from_lane(lanes.lane(i))), bytes(E::from_lane(expected.to_lane())));
            }
        }
    }
}

fn check_stores<S: Simd, E: Element>() {
    let data = random_elements::<E>(16);
    for n in 1..=S::LANES {
        for stride in [1, 3] {
            let size = size_of::<E>();
            let mut target = vec![[GUARD; 16]; 64];
            let to = target.as_mut_ptr().cast::<E>();
            let lanes: crate::element::Vector<S, E> = Vector::from_lanes(|i| data[i].to_lane());
            // SAFETY: the target has 1024 bytes.
            unsafe { E::store_strided::<S>(to.add(1), stride as isize, lanes, n) };
            let flat = target.as_flattened();
            for (i, cell) in flat.chunks(size).enumerate() {
                let at = i.wrapping_sub(1);
                if at / stride < n && at.is_multiple_of(stride) {
                    // SAFETY: the cell has been written, or the comparison below is of guards.
                    let got = unsafe { cell.as_ptr().cast::<E>().read_unaligned() };
                    let expected = E::from_lane(data[at / stride].to_lane());
                    assert_eq!(bytes(got), bytes(expected), "{} {} {n} {i}", S::NAME, E::NAME);
                } else {
                    assert!(cell.iter().all(|&x| x == GUARD), "{} {}: {n} lanes, cell {i}", S::NAME, E::NAME);
                }
            }
        }
    }
}

fn check_rounding<S: Simd, E: Element>(values: impl Fn(u64) -> E::Lane) {
    let mut random = Random(3);
    for _ in 0..if cfg!(miri) { 10 } else { 2000 } {
        let inputs: Vec<E::Lane> = (0..S::LANES).map(|_| values(random.next())).collect();
        let lanes: crate::element::Vector<S, E> = Vector::from_lanes(|i| inputs[i]);
        let rounded = E::round::<S>(lanes);
        let mut stored = vec![E::default(); S::LANES];
        // SAFETY: `LANES` elements.
        unsafe { E::store::<S>(stored.as_mut_ptr(), lanes, S::LANES) };
        for i in 0..S::LANES {
            let expected = bytes(E::from_lane(inputs[i]));
            assert_eq!(bytes(stored[i]), expected, "{} stores {}", S::NAME, E::NAME);
            assert_eq!(bytes(E::from_lane(rounded.lane(i))), expected, "{} rounds {}", S::NAME, E::NAME);
        }
    }
}

fn check_indexed<S: Simd, E: Element>() {
    let data = random_elements::<E>(64);
    let mut random = Random(11);
    for _ in 0..if cfg!(miri) { 4 } else { 100 } {
        let mask_bits = random.next() as u32 & ((1 << S::LANES) - 1);
        let offsets: Vec<i64> = (0..S::LANES)
            .map(|i| if mask_bits >> i & 1 != 0 { (random.next() % 64) as i64 } else { 1 << 40 })
            .collect();
        let mask: S::Mask = Vector::from_lanes(|i| mask_bits >> i & 1 != 0);
        let at: S::I64 = Vector::from_lanes(|i| offsets[i]);
        let mut target = vec![E::default(); 64];
        let mut expected = target.clone();
        // SAFETY: the selected offsets are within 0..64.
        let lanes = unsafe {
            let lanes = E::gather::<S>(data.as_ptr(), at, mask);
            E::scatter::<S>(target.as_mut_ptr(), at, mask, lanes);
            lanes
        };
        for i in 0..S::LANES {
            let selected = mask_bits >> i & 1 != 0;
            let value = if selected { data[offsets[i] as usize] } else { E::default() };
            let value = E::from_lane(value.to_lane());
            assert_eq!(bytes(E::from_lane(lanes.lane(i))), bytes(value));
            if selected {
                expected[offsets[i] as usize] = value;
            }
        }
        assert!(target.iter().zip(&expected).all(|(&a, &b)| bytes(a) == bytes(b)));
    }
}

struct Elements;

impl Check for Elements {
    fn under<S: Simd>() {
        macro_rules! all {
            ($($T:ty: $values:expr;)*) => {$(
                check_loads::<S, $T>();
                check_stores::<S, $T>();
                check_indexed::<S, $T>();
                check_rounding::<S, $T>($values);
            )*};
        }
        let float = |bits| match bits % 2 {
            0 => f32::from_bits((bits >> 8) as u32),
            _ => (bits >> 8) as i32 as f32 / 1e6,
        };
        all! {
            f32: float;
            f16: float;
            bf16: float;
            f8e4m3: float;
            f8e5m2: float;
            f64: f64::from_bits;
            i8: |bits| bits as i32;
            u8: |bits| bits as i32;
            i16: |bits| bits as i32;
            u16: |bits| bits as i32;
            i32: |bits| bits as i32;
            u32: |bits| bits as u32;
            i64: |bits| bits as i64;
            bool: |bits| bits & 1 != 0;
        }
    }
}

#[test]
fn loads_and_stores_of_every_type_and_length_touch_only_their_elements() {
    everywhere::<Elements>();
}
