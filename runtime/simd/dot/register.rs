//! What a microkernel needs of a vector register.

/// One register of lanes that are multiplied and added.
///
/// # Safety
/// All functions need the target features of the instruction set that the register belongs to.
pub(super) trait Register: Copy {
    /// What a lane holds.
    type Scalar: Copy + Default + 'static;
    /// Chooses the first so many lanes.
    type Mask: Copy;
    /// How many lanes.
    const LANES: usize;
    /// The first `n` lanes, `n <= LANES`.
    unsafe fn mask(n: usize) -> Self::Mask;
    /// All lanes 0.
    unsafe fn zero() -> Self;
    /// All lanes `x`.
    unsafe fn splat(x: Self::Scalar) -> Self;
    /// `LANES` readable elements, of any alignment.
    unsafe fn load(from: *const Self::Scalar) -> Self;
    /// The masked elements, which are readable; the others are 0 and not touched.
    unsafe fn load_first(from: *const Self::Scalar, mask: Self::Mask) -> Self;
    /// To `LANES` writable elements.
    unsafe fn store(self, to: *mut Self::Scalar);
    /// To the masked elements, which are writable; the others are not touched.
    unsafe fn store_first(self, to: *mut Self::Scalar, mask: Self::Mask);
    /// Lane by lane; integers wrap.
    unsafe fn add(self, other: Self) -> Self;
    /// `self · by + plus`; integers wrap.
    unsafe fn mul_add(self, by: Self, plus: Self) -> Self;
    /// Brings a cache line to the second-level cache; any address.
    #[inline(always)]
    unsafe fn prefetch_far(at: *const Self::Scalar) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a prefetch of any address does nothing that a program can see.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(at.cast());
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = at;
    }
    /// Brings a cache line near; any address.
    #[inline(always)]
    unsafe fn prefetch(at: *const Self::Scalar) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a prefetch of any address does nothing that a program can see.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(at.cast());
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = at;
    }
}

/// The types in memory that are widened to f32 lanes while they are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// Any 32 bits, as they are.
    Bits32,
    /// f16.
    F16,
    /// bf16.
    Bf16,
    /// f8e4m3.
    E4m3,
    /// f8e5m2.
    E5m2,
}

impl Stored {
    pub(super) const fn from_index(index: usize) -> Stored {
        match index {
            0 => Stored::Bits32,
            1 => Stored::F16,
            2 => Stored::Bf16,
            3 => Stored::E4m3,
            _ => Stored::E5m2,
        }
    }

    pub(super) const fn size(self) -> usize {
        match self {
            Stored::Bits32 => 4,
            Stored::F16 | Stored::Bf16 => 2,
            Stored::E4m3 | Stored::E5m2 => 1,
        }
    }
}

/// f32 registers that also widen, add up and transpose.
///
/// # Safety
/// As [`Register`].
pub(super) trait Widening: Register<Scalar = f32> {
    /// `LANES` readable elements.
    unsafe fn widen(stored: Stored, from: *const u8) -> Self;
    /// `n <= LANES` readable elements; the other lanes are 0.
    unsafe fn widen_first(stored: Stored, from: *const u8, n: usize) -> Self;
    /// Of all lanes.
    unsafe fn sum(self) -> f32;
    /// Of all lanes of each.
    #[inline(always)]
    unsafe fn sums(lines: &[Self; 16]) -> [f32; 16] {
        let mut sums = [0.0; 16];
        for (sum, line) in sums.iter_mut().zip(lines) {
            // SAFETY: the same contract.
            *sum = unsafe { line.sum() };
        }
        sums
    }
    /// Writes `LANES` rows, `ld` apart, of the first `columns` of `lines[column]`, for rows `< rows`.
    unsafe fn store_transposed(lines: &[Self; 16], to: *mut f32, ld: usize, rows: usize, columns: usize);
    /// `LANES` rows, `ld` apart, of the elements of `LANES` lines of 32 bits, which are `stride` apart.
    #[inline(always)]
    unsafe fn copy_transposed(from: *const f32, stride: isize, to: *mut f32, ld: usize) {
        // SAFETY: the same contract.
        unsafe {
            let mut lines = [Self::zero(); 16];
            for (i, line) in lines.iter_mut().enumerate().take(Self::LANES) {
                *line = Self::load(from.wrapping_offset(i as isize * stride));
            }
            Self::store_transposed(&lines, to, ld, Self::LANES, Self::LANES);
        }
    }
}
