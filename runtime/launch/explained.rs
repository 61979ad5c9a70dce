//! What a launch on the CPU would do, instead of doing it.

use std::time::Duration;

use super::work::{Extent, Factor, Product, Space, Work};
use super::{GridAxis, Launch};
use crate::element::Kind;
use crate::explain::{Explanation, Time, machine};
use crate::private::cpu::is_packed_or_kept;
use crate::simd::dot::{Described, Strided, describe};

/// A call before any program runs.
const CALL: f64 = 0.5e-6;
/// Waking other threads and waiting for the last of them.
const WAKING: f64 = 3e-6;
/// The share of the multiply-adds of registers alone that products reach, with operands to be laid out and loaded.
const REACHED: f64 = 0.85;
/// The same of a matrix unit.
const UNIT_REACHED: f64 = 0.5;

impl Launch<'_> {
    /// Bytes of all tensors that are read and that are written: each element once, and no more than are named.
    fn bytes(&self, work: &Work) -> (f64, f64) {
        let mut sums = [0.0; 2];
        for argument in &self.tensors {
            let span = &argument.span;
            let of = |stride: isize, length: usize| if stride == 0 { 1.0 } else { length as f64 };
            let dims = span.shape[..span.rank].iter().zip(&span.strides);
            let own: f64 = dims.map(|(length, stride)| of(*stride, *length)).product();
            for (sum, written) in sums.iter_mut().zip([false, true]) {
                let named = work
                    .accesses
                    .iter()
                    .filter(|access| access.tensor == argument.parameter && access.written == written);
                let named: f64 = named.map(|access| self.times(&access.space)).sum();
                *sum += named.min(own) * span.size as f64;
            }
        }
        (sums[0], sums[1])
    }

    /// What is known on every device; the rest is left empty.
    pub(crate) fn explanation(&self) -> Explanation {
        let work = self.work.unwrap_or(&Work {
            schedule: "",
            volumes: &[],
            accesses: &[],
            products: &[],
            at_most: false,
        });
        let (bytes_read, bytes_written) = self.bytes(work);
        Explanation {
            kernel: self.meta.kernel,
            target: self.isa.name().to_owned(),
            threads: 1,
            programs: 1,
            blocks: Vec::new(),
            workspace: 0,
            products: Vec::new(),
            bytes_read,
            bytes_written,
            flops: work.volumes.iter().map(|volume| volume.flops * self.times(&volume.space)).sum(),
            at_most: work.at_most,
            time: None,
            schedule: work.schedule,
        }
    }

    /// What [`Launch::run`] would do with the same arguments.
    pub(super) fn explained(&self, grid: &[GridAxis], workspace: usize, threads: usize) -> Explanation {
        let programs = grid.iter().fold(1usize, |product, axis| product.saturating_mul(axis.blocks()));
        let threads = threads.min(programs).max(1);
        let axes = self.meta.axes.iter().zip(&self.blocks);
        let mut explanation = Explanation {
            threads,
            programs,
            blocks: axes.map(|(axis, block)| (axis.key, *block)).collect(),
            workspace,
            ..self.explanation()
        };
        let Some(work) = self.work else { return explanation };
        let vectors = machine::multiply_adds(self.isa, threads);
        let (mut multiplying, mut likely) = (0.0, 0.0);
        let mut multiplied = 0.0;
        for product in work.products {
            let described = self.described(product, threads);
            let description = describe(self.isa, &described);
            let times = self.times(&product.space);
            let rate = match description.unit_parts {
                // Four bytes share a lane.
                0 if description.of_bytes => 4.0 * vectors,
                0 => vectors * 4.0 / kind_of_sums(product.sums).size() as f64,
                parts => {
                    let halves = machine::unit(self.isa, threads);
                    if description.of_bytes { 2.0 * halves } else { halves / parts as f64 }
                }
            };
            multiplying += times / rate.max(1.0);
            let reached = if description.unit_parts == 0 { REACHED } else { UNIT_REACHED };
            likely += times / rate.max(1.0) / reached;
            multiplied += 2.0 * times;
            let Described { m, n, k, .. } = described;
            explanation.products.push(format!("{m} x {n} x {k} a program: {}", description.words));
        }
        let single = (explanation.flops - multiplied).max(0.0) / vectors.max(1.0);
        let operations: f64 =
            work.volumes.iter().map(|volume| volume.vectors * self.times(&volume.space)).sum();
        let bytes = explanation.bytes_read + explanation.bytes_written;
        let rate = machine::bandwidth(self.isa, threads, explanation.bytes_read, explanation.bytes_written);
        let memory = if rate > 0.0 { bytes / rate } else { 0.0 };
        let rounds = programs.div_ceil(threads) as f64 * threads as f64 / programs.max(1) as f64;
        // Neither hides the other wholly.
        let likely = memory.hypot(likely + operations / vectors.max(1.0)) * rounds;
        let started = CALL + if threads > 1 { WAKING } else { 0.0 };
        let arithmetic = multiplying + single;
        let of = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        let estimate = of(started + likely);
        explanation.time = Some(Time { memory: of(memory), arithmetic: of(arithmetic), estimate });
        explanation
    }

    /// How often something is done.
    fn times(&self, space: &Space) -> f64 {
        let block = |axis: usize| self.blocks.get(axis).map_or(1.0, |block| f64::from(*block));
        space.times(|dim| f64::from(self.dim(dim)), block)
    }

    fn described(&self, product: &Product, threads: usize) -> Described {
        let extent = |extent: Extent| match extent {
            Extent::One => 1,
            Extent::Block(at) => self.blocks.get(at).copied().unwrap_or(1).max(0) as usize,
            Extent::Whole(dim) => self.dim(dim).max(0) as usize,
        };
        let (m, n, k) = (extent(product.rows), extent(product.columns), extent(product.contracted));
        let (a, b) = (self.side(&product.lhs, product.sums), self.side(&product.rhs, product.sums));
        let packed = product.shared.is_some_and(|rows| {
            let Factor::Tensor { tensor, free, contracted } = product.rhs else { return false };
            let whole = |of: &[usize]| {
                let argument = self.tensors.iter().find(|argument| argument.parameter == tensor);
                argument.map_or(0, |argument| of.iter().map(|dim| argument.span.shape[*dim]).product())
            };
            is_packed_or_kept(
                (self.isa, threads),
                b,
                (whole(free), whole(contracted)),
                (self.dim(rows), m as i32),
                self.kept(tensor).is_some(),
            )
        });
        let kept = match product.rhs {
            Factor::Tensor { tensor, .. } => self.kept(tensor).is_some(),
            Factor::Buffer { .. } => false,
        };
        Described { sums: product.sums, m, n, k, a, b, packed, kept }
    }

    /// An operand's type and strides.
    fn side(&self, factor: &Factor, sums: Kind) -> Strided {
        let nowhere = std::ptr::null();
        match factor {
            Factor::Buffer { contiguous: true } => {
                Strided { ptr: nowhere, kind: sums, free: 1 << 10, contracted: 1 }
            }
            Factor::Buffer { contiguous: false } => {
                Strided { ptr: nowhere, kind: sums, free: 1, contracted: 1 << 10 }
            }
            Factor::Tensor { tensor, free, contracted } => {
                let Some(argument) = self.tensors.iter().find(|argument| argument.parameter == *tensor)
                else {
                    return Strided { ptr: nowhere, kind: sums, free: 1, contracted: 1 };
                };
                let stride = |dims: &[usize]| {
                    dims.iter()
                        .map(|dim| argument.span.strides[*dim] / argument.span.size.cast_signed())
                        .sum()
                };
                Strided {
                    ptr: nowhere,
                    kind: argument.kind,
                    free: stride(free),
                    contracted: stride(contracted),
                }
            }
        }
    }
}

/// What sums take up.
fn kind_of_sums(kind: Kind) -> Kind {
    match kind {
        Kind::F64 | Kind::I64 => kind,
        Kind::F32
        | Kind::F16
        | Kind::Bf16
        | Kind::F8E4m3
        | Kind::F8E5m2
        | Kind::I8
        | Kind::U8
        | Kind::I16
        | Kind::U16
        | Kind::I32
        | Kind::U32
        | Kind::Bool => Kind::F32,
    }
}
