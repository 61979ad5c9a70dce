//! Blocks, spreads and shared memory of one launch: the constants that its text is compiled with.

use std::fmt::Write;

use super::architecture::Matrix;
use super::blocks::Role;
use super::blocks::{cores_of_kernel, fragments, roles, shrink, stays, steps, strips};
use super::maps::{TensorMap, map_of};
use super::spread::Spread;
use super::{Architecture, AxisKind, DOT_PRELUDE, Function, Kernel, Memory, PRELUDE, Region, functions};
use crate::config::Config;
use crate::device::gpu::FunctionKey;
use crate::element::Kind;
use crate::error::LaunchError;
use crate::launch::Meta;

/// What a plan is made for.
pub(crate) struct Problem<'a> {
    pub kernel: &'static Kernel,
    pub meta: &'static Meta,
    pub config: &'a Config,
    /// Lengths, as `Meta::dims`.
    pub dims: &'a [i32],
    /// The generic element types.
    pub kinds: &'a [Kind],
    /// The const parameters.
    pub consts: &'a [i64],
    /// The `#[device]` functions that the text calls, in order.
    pub functions: &'a [&'static Function],
    /// The tensors.
    pub memory: &'a [Memory],
    /// First index and end of each grid axis.
    pub ranges: &'a [(i32, i32)],
    /// What the text is for.
    pub architecture: Architecture,
    /// Whether the driver knows tensor maps.
    pub has_maps: bool,
    /// Shared memory that a program may have, in bytes.
    pub most_shared: u32,
    /// Multiprocessors of the device.
    pub multiprocessors: u32,
}

impl Problem<'_> {
    /// Whether products of f32 go to matrix cores.
    pub fn takes_tf32(&self) -> bool {
        self.config.takes_tf32() && matches!(self.architecture.matrix(), Matrix::Mma | Matrix::Wgmma)
    }
}

/// Constants of a launch.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Of each axis: where blocks start, in elements; 0 without blocks.
    pub steps: Vec<i32>,
    spreads: Vec<Spread>,
    /// Threads of a program that compute.
    threads: u32,
    /// Threads that only copy.
    producers: u32,
    /// Whether programs' threads stay for further programs.
    pub persistent: bool,
    /// Turns of a loop that are under way at once.
    stages: u32,
    /// Of each operand that is copied ahead: its place among `maps`.
    mapped: Vec<Option<usize>>,
    /// For the copy engine; they end the argument block.
    pub maps: Vec<TensorMap>,
    /// Dynamic shared memory of a program.
    pub shared: u32,
    offsets: Vec<u32>,
    vectors: Vec<usize>,
}

/// The bits that count to `n - 1`.
pub(super) fn bits(n: i32) -> u32 {
    u32::try_from(n.max(1)).map_or(0, |n| n.next_power_of_two().trailing_zeros())
}

/// Elements of a tile that a thread can hold; beyond that, compilers take minutes.
const MOST_ELEMENTS: u64 = 512;
/// Longest whole dimension that a tile can hold.
pub(super) const MOST_BITS: u32 = 17;
/// Threads that copy, where some do nothing else: four warps, as registers are handed over by four.
const PRODUCERS: u32 = 128;
/// Turns under way, at most; the first that fit are taken.
const STAGES: [u32; 3] = [4, 3, 2];

impl Plan {
    /// Chooses all constants.
    ///
    /// # Errors
    /// A whole dimension is too long for a tile, or the tiles for shared memory.
    pub fn new(problem: &Problem<'_>) -> Result<Plan, LaunchError> {
        let kernel = problem.kernel;
        for axis in kernel.axes {
            if let AxisKind::Whole { dim } = axis.kind
                && bits(problem.dims[dim]) > MOST_BITS
            {
                let (kernel, dimension) = (problem.meta.kernel, problem.meta.dims[dim]);
                let length = problem.dims[dim];
                return Err(LaunchError::TileTooLong { kernel, dimension, length, most: 1 << MOST_BITS });
            }
        }
        let roles = roles(kernel);
        let mut steps = steps(problem, &roles);
        loop {
            // AMD's copies pass through registers: two turns are all that gain.
            let stages = if problem.architecture.is_amd() { &STAGES[2..] } else { &STAGES };
            let mut plan = Plan::with_steps(problem, &roles, steps.clone(), stages[0]);
            for stages in &stages[1..] {
                if plan.shared > problem.most_shared {
                    plan = Plan::with_steps(problem, &roles, steps.clone(), *stages);
                }
            }
            let elements = plan.elements_a_thread(kernel);
            if plan.shared <= problem.most_shared && elements <= MOST_ELEMENTS {
                return Ok(plan);
            }
            if !shrink(problem, &mut steps) {
                if elements > MOST_ELEMENTS {
                    let kernel = problem.meta.kernel;
                    return Err(LaunchError::TileTooLarge { kernel, elements, most: MOST_ELEMENTS });
                }
                let (kernel, bytes) = (problem.meta.kernel, plan.shared);
                return Err(LaunchError::SharedMemory { kernel, bytes, most: problem.most_shared });
            }
        }
    }

    /// The blocks of axes that a config can name.
    pub fn blocks<'p>(&'p self, problem: &'p Problem<'_>) -> impl Iterator<Item = (&'static str, i32)> + 'p {
        problem.kernel.axes.iter().zip(&self.steps).filter_map(|(axis, step)| match axis.kind {
            AxisKind::Tile { axis, .. } => Some((problem.meta.axes[axis].key, *step)),
            AxisKind::Whole { .. } | AxisKind::Scalar => None,
        })
    }

    fn with_steps(problem: &Problem<'_>, roles: &[Role], steps: Vec<i32>, stages: u32) -> Plan {
        let kernel = problem.kernel;
        let mut widths: Vec<u32> = steps.iter().map(|step| bits(*step)).collect();
        for dot in kernel.dots {
            for axis in [dot.rows, dot.columns, dot.contracted] {
                widths[axis] = widths[axis].max(4);
            }
        }
        let vectors: Vec<usize> = kernel
            .sites
            .iter()
            .map(|site| problem.memory[site.tensor].vector(steps[site.axis]).min(1 << widths[site.axis]))
            .collect();
        let (spreads, threads) = if kernel.dots.is_empty() {
            strips(kernel, roles, &widths, &vectors)
        } else {
            fragments(problem, roles, &widths)
        };
        let (offsets, shared) = place(problem, &spreads, &widths, threads, stages);
        let mut plan = Plan {
            steps,
            spreads,
            threads,
            producers: 0,
            persistent: false,
            stages,
            mapped: vec![None; kernel.copies.len()],
            maps: Vec::new(),
            shared,
            offsets,
            vectors,
        };
        plan.map(problem, &widths);
        plan
    }

    /// Leaves what it can to the copy engine, and to a warp that does nothing else.
    fn map(&mut self, problem: &Problem<'_>, widths: &[u32]) {
        let kernel = problem.kernel;
        if !problem.has_maps
            || cores_of_kernel(problem) != Matrix::Wgmma
            || kernel.copies.is_empty()
            || self.threads < 128
        {
            return;
        }
        let blocks: Vec<u32> = widths.iter().map(|bits| 1 << (*bits).min(20)).collect();
        for (copy, mapped) in kernel.copies.iter().zip(&mut self.mapped) {
            if let Some(map) = map_of(problem, copy, &self.steps, &blocks) {
                *mapped = Some(self.maps.len());
                self.maps.push(map);
            }
        }
        if kernel.producer && self.maps.len() == kernel.copies.len() {
            self.producers = PRODUCERS;
            // These take all registers of a multiprocessor; smaller ones share it.
            self.persistent = kernel.even && self.threads == 2 * PRODUCERS;
        }
    }

    /// Of each operand that is copied ahead: its place among `maps`.
    pub fn mapped(&self) -> &[Option<usize>] {
        &self.mapped
    }

    /// Threads of a program.
    pub fn all_threads(&self) -> u32 {
        self.threads + self.producers
    }

    /// How many elements a thread holds of the largest tile.
    fn elements_a_thread(&self, kernel: &Kernel) -> u64 {
        let registers = |axis: usize| self.spreads[axis].registers();
        let tile = |set: &&'static [usize]| set.iter().map(|axis| registers(*axis)).sum::<u32>();
        1u64 << kernel.together.iter().map(tile).max().unwrap_or(0).min(60)
    }

    /// The whole translation unit.
    pub fn text(&self, problem: &Problem<'_>) -> String {
        let kernel = problem.kernel;
        let mut out = problem.architecture.definition();
        let numbers = [
            ("THREADS", self.threads),
            ("PRODUCERS", self.producers),
            ("PERSISTENT", u32::from(self.persistent)),
            ("STAGES", self.stages),
            ("TF32", u32::from(problem.takes_tf32())),
            ("MAPS", u32::try_from(self.maps.len()).unwrap_or(0)),
        ];
        for (name, value) in numbers {
            let _ = writeln!(out, "#define TW_{name} {value}");
        }
        PRELUDE.iter().for_each(|part| out.push_str(part));
        if kernel.regions.iter().any(|region| !matches!(region, Region::Scratch)) {
            DOT_PRELUDE.iter().for_each(|part| out.push_str(part));
        }
        out.push_str("\n// --- The constants of this launch ---\n");
        for (name, kind) in kernel.elements.iter().zip(problem.kinds) {
            let _ = writeln!(out, "typedef {} TYPE_{name};", kind.name());
        }
        for ((name, is_bool), value) in kernel.consts.iter().zip(problem.consts) {
            let ty = if *is_bool { "bool" } else { "i32" };
            let _ = writeln!(out, "constexpr {ty} {name} = {ty}({value}ll);");
        }
        for (at, axis) in kernel.axes.iter().enumerate() {
            if matches!(axis.kind, AxisKind::Scalar) {
                continue;
            }
            let (name, spread) = (axis.name, &self.spreads[at]);
            let even = self.is_even(problem, at);
            let _ = writeln!(out, "#define TW_SPREAD_{name} {}", spread.text());
            let _ = writeln!(out, "#define TW_STEP_{name} {}", self.steps[at]);
            let _ = writeln!(out, "#define TW_EVEN_{name} {even}");
        }
        for (at, width) in self.vectors.iter().enumerate() {
            let _ = writeln!(out, "#define TW_VECTOR_{at} {width}");
        }
        for (at, map) in self.mapped.iter().enumerate() {
            let map = map.map_or("no_map".to_string(), |map| format!("args.maps[{map}]"));
            let _ = writeln!(out, "#define TW_MAP_{at} {map}");
        }
        for ring in 0..kernel.rings {
            let of_ring = |(copy, map): &(&super::Copy, &Option<usize>)| copy.ring == ring && map.is_some();
            let bulk = kernel.copies.iter().zip(&self.mapped).filter(of_ring).count();
            let _ = writeln!(out, "#define TW_BULK_{ring} {bulk}");
        }
        for (at, offset) in self.offsets.iter().enumerate() {
            let _ = writeln!(out, "#define TW_AT_{at} {offset}");
        }
        out.push_str(&functions::text(problem.functions));
        out.push_str("\n// --- The kernel ---\n");
        out.push_str(kernel.source);
        out
    }

    /// What tells this text from others of the program: the kernel, and all that its constants hang on.
    pub fn key(&self, problem: &Problem<'_>) -> FunctionKey {
        let evens = (0..self.steps.len()).map(|at| i64::from(self.is_even(problem, at)));
        let steps = self.steps.iter().map(|step| i64::from(*step));
        let vectors = self.vectors.iter().map(|width| *width as i64);
        let kinds = problem.kinds.iter().map(|kind| *kind as i64);
        let functions = problem.functions.iter().map(|function| std::ptr::from_ref(*function).addr() as i64);
        let consts = problem.consts.iter().copied();
        let maps = self.mapped.iter().map(|map| map.map_or(-1, |at| at as i64));
        let stages = [i64::from(self.stages), i64::from(problem.takes_tf32())];
        let constants = steps
            .chain(evens)
            .chain(maps)
            .chain(stages)
            .chain(vectors)
            .chain(kinds)
            .chain(consts)
            .chain(functions);
        (std::ptr::from_ref(problem.kernel).addr(), constants.collect())
    }

    /// Whether no block of an axis is cut short.
    fn is_even(&self, problem: &Problem<'_>, at: usize) -> bool {
        let room = 1i64 << self.spreads[at].0.len();
        let step = self.steps[at];
        match problem.kernel.axes[at].kind {
            AxisKind::Tile { dim, part, .. } => {
                !part && i64::from(step) == room && problem.dims[dim] % step == 0
            }
            AxisKind::Whole { dim } => i64::from(problem.dims[dim]) == room,
            AxisKind::Scalar => false,
        }
    }

    /// How many programs a grid axis over `first .. last` has.
    pub fn programs(&self, axis: usize, first: i32, last: i32) -> i64 {
        let step = i64::from(self.steps[axis].max(1));
        (i64::from(last) - i64::from(first)).max(0).div_euclid(step)
            + i64::from((i64::from(last) - i64::from(first)).max(0) % step != 0)
    }
}

/// Shared memory, one region after the other.
fn place(
    problem: &Problem<'_>,
    spreads: &[Spread],
    widths: &[u32],
    threads: u32,
    stages: u32,
) -> (Vec<u32>, u32) {
    let tile = |axes: &[usize], size: usize| {
        let elements: u32 = axes.iter().map(|axis| widths[*axis]).sum();
        ((size as u64) << elements.min(40)).next_multiple_of(1024)
    };
    let mut at = 0u32;
    let offsets = problem.kernel.regions.iter().map(|region| {
        let bytes = match region {
            Region::Scratch => 16 * u64::from(threads),
            Region::Barriers if problem.has_maps && cores_of_kernel(problem) == Matrix::Wgmma => {
                16 * u64::from(stages)
            }
            Region::Barriers => 0,
            Region::Tile { axes, elem, slots } => {
                tile(axes, elem.kind(problem.kinds).size()) * if *slots { u64::from(stages) } else { 1 }
            }
            Region::Held { axes, elem, dot } => {
                let stays = stays(problem, &problem.kernel.dots[*dot], spreads, widths);
                if stays { 0 } else { tile(axes, elem.kind(problem.kinds).size()) }
            }
        };
        let offset = at;
        // Swizzles count from multiples of 1024.
        at = at.saturating_add(u32::try_from(bytes.next_multiple_of(1024)).unwrap_or(u32::MAX - 1023));
        offset
    });
    let offsets: Vec<u32> = offsets.collect();
    (offsets, at)
}
