//! The instructions: a configuration of the unit, and loops over the contracted axis.
//!
//! Stable Rust has no names for them yet, so they are written as text.

use super::few::Lines;
use super::{Block, Form};
use crate::simd::InstructionSet;
use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::sync::OnceLock;

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_a_row: [u16; 16],
    rows: [u8; 16],
}

/// All eight registers are whole tiles.
static WHOLE: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    bytes_a_row: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// The unit in use by this thread: configured, until it is dropped.
pub(super) struct Unit(());

impl Unit {
    /// Whether there is one, with tiles of bytes and of bf16, and the kernel lets this process use it.
    pub(super) fn is_available(isa: InstructionSet) -> bool {
        static FOUND: OnceLock<bool> = OnceLock::new();
        isa == InstructionSet::Avx512 && *FOUND.get_or_init(|| has_tiles() && may_use_tiles())
    }

    /// Only where [`Unit::is_available`].
    pub(super) fn enter() -> Unit {
        // SAFETY: the unit is there, and the configuration is one that it has: 64 readable bytes.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, readonly, preserves_flags))
        };
        Unit(())
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        // SAFETY: the unit was configured; nobody else on this thread uses it.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

fn has_tiles() -> bool {
    const BF16: u32 = 1 << 22;
    const TILES: u32 = 1 << 24;
    const BYTES: u32 = 1 << 25;
    const STATE: u64 = 3 << 17;
    if !std::arch::is_x86_feature_detected!("avx512f") {
        return false;
    }
    // SAFETY: a processor with AVX-512 has this leaf, and `xgetbv`, as its system enables vectors.
    let (features, state) = unsafe { (__cpuid_count(7, 0).edx, system_state()) };
    features & (BF16 | TILES | BYTES) == BF16 | TILES | BYTES && state & STATE == STATE
}

#[target_feature(enable = "xsave")]
unsafe fn system_state() -> u64 {
    // SAFETY: the caller says that the system enables `xgetbv`.
    unsafe { _xgetbv(0) }
}

/// Linux lets a process use tiles once it has asked: `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
fn may_use_tiles() -> bool {
    const ARCH_PRCTL: i64 = 158;
    let mut result = ARCH_PRCTL;
    // SAFETY: a system call that takes two numbers, and touches no memory of ours.
    unsafe {
        asm!("syscall", inlateout("rax") result, in("rdi") 0x1023, in("rsi") 18, out("rcx") _, out("r11") _,
            options(nostack));
    }
    result == 0
}

/// Two tiles of the left operand, two of the right one, their four products.
macro_rules! tiles {
    (A $part:literal) => {
        concat!(
            "tileloadd tmm4, [{a0} + {row} + 1024 * ",
            $part,
            "]\ntileloadd tmm5, [{a1} + {row} + 1024 * ",
            $part,
            "]\n"
        )
    };
    (B $part:literal) => {
        concat!(
            "tileloadd tmm6, [{b0} + {line} + 1024 * ",
            $part,
            "]\ntileloadd tmm7, [{b1} + {line} + 1024 * ",
            $part,
            "]\n"
        )
    };
    (M $op:literal) => {
        concat!(
            $op,
            " tmm0, tmm4, tmm6\n",
            $op,
            " tmm1, tmm4, tmm7\n",
            $op,
            " tmm2, tmm5, tmm6\n",
            $op,
            " tmm3, tmm5, tmm7\n"
        )
    };
}

/// Functions that multiply 32 rows and 32 columns: for each step the named loads and products.
macro_rules! kernels {
    ($($name:ident $op:literal $b_step:literal: $($what:ident $part:tt)*;)*) => {$(
        /// # Safety
        /// The unit is configured; the block's operands are readable, and its sums writable.
        unsafe fn $name<T>(task: &Block<T>) {
            // SAFETY: the caller's contract.
            unsafe {
                asm!(
                    "test {sums:l}, {sums:l}",
                    "jz 3f",
                    "tileloadd tmm0, [{c0} + {ldc}]",
                    "tileloadd tmm1, [{c0} + {ldc} + 64]",
                    "tileloadd tmm2, [{c1} + {ldc}]",
                    "tileloadd tmm3, [{c1} + {ldc} + 64]",
                    "jmp 2f",
                    "3:",
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    concat!($(kernels!($what $part $op)),*),
                    "prefetcht1 [{soon}]",
                    "prefetcht1 [{soon} + 64]",
                    "prefetcht1 [{soon} + 128]",
                    "prefetcht1 [{soon} + 192]",
                    "prefetcht1 [{soon} + 256]",
                    "prefetcht1 [{soon} + 320]",
                    "prefetcht1 [{soon} + 384]",
                    "prefetcht1 [{soon} + 448]",
                    "prefetcht1 [{soon} + 512]",
                    "prefetcht1 [{soon} + 576]",
                    "prefetcht1 [{soon} + 640]",
                    "prefetcht1 [{soon} + 704]",
                    "prefetcht1 [{soon} + 768]",
                    "prefetcht1 [{soon} + 832]",
                    "prefetcht1 [{soon} + 896]",
                    "prefetcht1 [{soon} + 960]",
                    "add {soon}, 1024",
                    "add {a0}, {step}",
                    "add {a1}, {step}",
                    concat!("add {b0}, ", $b_step),
                    concat!("add {b1}, ", $b_step),
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{c0} + {ldc}], tmm0",
                    "tilestored [{c0} + {ldc} + 64], tmm1",
                    "tilestored [{c1} + {ldc}], tmm2",
                    "tilestored [{c1} + {ldc} + 64], tmm3",
                    a0 = inout(reg) task.a[0] => _,
                    a1 = inout(reg) task.a[1] => _,
                    b0 = inout(reg) task.b[0] => _,
                    b1 = inout(reg) task.b[1] => _,
                    steps = inout(reg) task.steps => _,
                    soon = inout(reg) task.soon => _,
                    step = in(reg) task.a_step,
                    row = in(reg) task.a_row,
                    line = in(reg) super::LINE,
                    c0 = in(reg) task.c,
                    c1 = in(reg) task.c.wrapping_add(super::LINES * task.ldc),
                    ldc = in(reg) task.ldc * size_of::<T>(),
                    sums = in(reg) usize::from(task.accumulate),
                    options(nostack),
                );
            }
        }
    )*};
    (A $part:literal $op:literal) => { tiles!(A $part) };
    (B $part:literal $op:literal) => { tiles!(B $part) };
    (M $any:tt $op:literal) => { tiles!(M $op) };
}
// Of parts (i, j) those with i + j ≤ 2, with as few loads as there can be.
kernels! {
    halves_11 "tdpbf16ps" 1024: A 0 B 0 M x;
    halves_12 "tdpbf16ps" 2048: A 0 B 1 M x B 0 M x;
    halves_13 "tdpbf16ps" 3072: A 0 B 2 M x B 1 M x B 0 M x;
    halves_21 "tdpbf16ps" 1024: B 0 A 1 M x A 0 M x;
    halves_22 "tdpbf16ps" 2048: A 1 B 1 M x B 0 M x A 0 M x B 1 M x;
    halves_23 "tdpbf16ps" 3072: A 1 B 0 M x A 0 M x B 2 M x B 1 M x A 1 M x;
    halves_31 "tdpbf16ps" 1024: B 0 A 2 M x A 1 M x A 0 M x;
    halves_32 "tdpbf16ps" 2048: A 0 B 1 M x B 0 M x A 2 M x A 1 M x B 1 M x;
    halves_33 "tdpbf16ps" 3072: A 2 B 0 M x A 0 M x B 2 M x B 1 M x A 1 M x B 0 M x;
    bytes_ss "tdpbssd" 1024: A 0 B 0 M x;
    bytes_su "tdpbsud" 1024: A 0 B 0 M x;
    bytes_us "tdpbusd" 1024: A 0 B 0 M x;
    bytes_uu "tdpbuud" 1024: A 0 B 0 M x;
}

/// 32 rows by 32 columns of a product.
///
/// # Safety
/// The block's operands lie in these forms, are readable, and its sums writable: f32 for halves, i32 for bytes.
pub(super) unsafe fn multiply<T>(_: &Unit, forms: (Form, Form), task: &Block<T>) {
    // SAFETY: the same contract; there is a `Unit`, so it is configured.
    unsafe {
        match forms {
            (Form::Halves(1), Form::Halves(1)) => halves_11(task),
            (Form::Halves(1), Form::Halves(2)) => halves_12(task),
            (Form::Halves(1), Form::Halves(_)) => halves_13(task),
            (Form::Halves(2), Form::Halves(1)) => halves_21(task),
            (Form::Halves(2), Form::Halves(2)) => halves_22(task),
            (Form::Halves(2), Form::Halves(_)) => halves_23(task),
            (Form::Halves(_), Form::Halves(1)) => halves_31(task),
            (Form::Halves(_), Form::Halves(2)) => halves_32(task),
            (Form::Halves(_), Form::Halves(_)) => halves_33(task),
            (Form::Bytes { signed: true }, Form::Bytes { signed: true }) => bytes_ss(task),
            (Form::Bytes { signed: true }, Form::Bytes { signed: false }) => bytes_su(task),
            (Form::Bytes { signed: false }, Form::Bytes { signed: true }) => bytes_us(task),
            (Form::Bytes { signed: false }, Form::Bytes { signed: false }) => bytes_uu(task),
            (Form::Halves(_), Form::Bytes { .. }) | (Form::Bytes { .. }, Form::Halves(_)) => {
                unreachable!("sums are of one type")
            }
        }
    }
}

/// Functions that multiply 32 lines with the few rows' parts, which the named tiles hold.
macro_rules! line_kernels {
    ($($name:ident $op:literal $rows_step:literal: $($at:literal $tile:literal)*;)*) => {$(
        /// # Safety
        /// The unit is configured; the lines and rows are readable, and the sums writable.
        unsafe fn $name(task: &Lines) {
            // SAFETY: the caller's contract.
            unsafe {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "2:",
                    $(concat!("tileloadd ", $tile, ", [{rows} + {words} + ", $at, "]"),)*
                    "tileloadd tmm4, [{a} + {line}]",
                    $(concat!($op, " tmm0, tmm4, ", $tile),)*
                    "tileloadd tmm4, [{b} + {line}]",
                    $(concat!($op, " tmm1, tmm4, ", $tile),)*
                    "add {a}, 64",
                    "add {b}, 64",
                    concat!("add {rows}, ", $rows_step),
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{sums} + {words}], tmm0",
                    "tilestored [{sums} + {words} + 1024], tmm1",
                    a = inout(reg) task.strips[0] => _,
                    b = inout(reg) task.strips[1] => _,
                    rows = inout(reg) task.rows => _,
                    steps = inout(reg) task.steps => _,
                    line = in(reg) task.line,
                    words = in(reg) super::LINE,
                    sums = in(reg) task.sums,
                    options(nostack),
                );
            }
        }
    )*};
}
line_kernels! {
    lines_1 "tdpbf16ps" 1024: 0 "tmm5";
    lines_2 "tdpbf16ps" 2048: 0 "tmm5" 1024 "tmm6";
    lines_3 "tdpbf16ps" 3072: 0 "tmm5" 1024 "tmm6" 2048 "tmm7";
    lines_ss "tdpbssd" 1024: 0 "tmm5";
    lines_su "tdpbsud" 1024: 0 "tmm5";
    lines_us "tdpbusd" 1024: 0 "tmm5";
    lines_uu "tdpbuud" 1024: 0 "tmm5";
}

/// 32 lines by 16 rows: the forms of the lines, in one part, and of the rows.
///
/// # Safety
/// The lines are `steps` long as they lie in memory, the rows in tiles, and two tiles of sums are writable.
pub(super) unsafe fn multiply_lines(_: &Unit, forms: (Form, Form), task: &Lines) {
    // SAFETY: the same contract; there is a `Unit`, so it is configured.
    unsafe {
        match forms {
            (Form::Halves(_), Form::Halves(1)) => lines_1(task),
            (Form::Halves(_), Form::Halves(2)) => lines_2(task),
            (Form::Halves(_), Form::Halves(_)) => lines_3(task),
            (Form::Bytes { signed: true }, Form::Bytes { signed: true }) => lines_ss(task),
            (Form::Bytes { signed: true }, Form::Bytes { signed: false }) => lines_su(task),
            (Form::Bytes { signed: false }, Form::Bytes { signed: true }) => lines_us(task),
            (Form::Bytes { signed: false }, Form::Bytes { signed: false }) => lines_uu(task),
            (Form::Halves(_), Form::Bytes { .. }) | (Form::Bytes { .. }, Form::Halves(_)) => {
                unreachable!("sums are of one type")
            }
        }
    }
}
