//! Every instruction set gives what scalars give, and the functions are as accurate as documented.

mod accuracy;
mod lanes;
mod memory;

use super::{Four, InstructionSet, One, Portable, Simd};

/// Something to do under an instruction set.
trait Check {
    fn under<S: Simd>();
}

/// Does it under every instruction set that this machine has.
fn everywhere<C: Check>() {
    C::under::<One>();
    C::under::<Portable>();
    #[cfg(target_arch = "x86_64")]
    {
        use super::{Avx2, Avx512, with_avx2, with_avx512};
        with_avx2! { fn avx2<C: Check>() { C::under::<Avx2>() } }
        with_avx512! { fn avx512<C: Check>() { C::under::<Avx512>() } }
        if InstructionSet::Avx2.is_available() {
            // SAFETY: the processor has the features.
            unsafe { avx2::<C>() }
        } else {
            println!("not checked: this machine lacks avx2");
        }
        if InstructionSet::Avx512.is_available() {
            // SAFETY: the processor has the features.
            unsafe { avx512::<C>() }
        } else {
            println!("not checked: this machine lacks avx512");
        }
    }
}

/// Does it under every instruction set that this machine has, and with four vectors as one.
fn everywhere_and_of_four<C: Check>() {
    everywhere::<C>();
    C::under::<Four<Portable>>();
    #[cfg(target_arch = "x86_64")]
    {
        use super::{Avx512, with_avx512};
        with_avx512! { fn avx512<C: Check>() { C::under::<Four<Avx512>>() } }
        if InstructionSet::Avx512.is_available() {
            // SAFETY: the processor has the features.
            unsafe { avx512::<C>() }
        }
    }
}

/// Repeatable random bits (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
}
