//! Blocks, spreads and shared memory of one launch: the constants that its text is compiled with.

use std::fmt::Write;

use super::spread::{LANE_BITS, Spread};
use super::{Architecture, AxisKind, Function, Kernel, Memory, PRELUDE, Region, functions};
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
    /// What the text is for.
    pub architecture: Architecture,
    /// Shared memory that a program may have, in bytes.
    pub most_shared: u32,
}

/// Constants of a launch.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Of each axis: where blocks start, in elements; 0 without blocks.
    pub steps: Vec<i32>,
    spreads: Vec<Spread>,
    /// Threads of a program.
    pub threads: u32,
    /// Dynamic shared memory of a program.
    pub shared: u32,
    offsets: Vec<u32>,
    vectors: Vec<usize>,
}

/// The bits that count to `n - 1`.
fn bits(n: i32) -> u32 {
    u32::try_from(n.max(1)).map_or(0, |n| n.next_power_of_two().trailing_zeros())
}

/// Registers that the values of a tile may take of a thread, together.
const TILE_BITS: u32 = 12;
/// Elements of a tile that a thread can hold; beyond that, compilers take minutes.
const MOST_ELEMENTS: u64 = 512;
/// Longest whole dimension that a tile can hold.
pub(super) const MOST_BITS: u32 = 17;

/// Which threads an axis is spread over. Axes that stand in one tile differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The lowest thread bits: memory is contiguous along it, or it is the columns of a product.
    Lanes,
    /// The thread bits above, or the rows of a product.
    Outer,
    /// Registers only.
    Alone,
    /// No tile.
    None,
}

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
            let plan = Plan::with_steps(problem, &roles, steps.clone());
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

    fn with_steps(problem: &Problem<'_>, roles: &[Role], steps: Vec<i32>) -> Plan {
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
            fragments(kernel, roles, &widths)
        };
        let (offsets, shared) = place(problem, &widths, threads);
        Plan { steps, spreads, threads, shared, offsets, vectors }
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
        let _ = writeln!(out, "#define TW_THREADS {}", self.threads);
        for part in PRELUDE {
            out.push_str(part);
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
        let constants = steps.chain(evens).chain(vectors).chain(kinds).chain(consts).chain(functions);
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

/// The position of an axis in the order of tiles.
fn rank(kernel: &Kernel, axis: usize) -> usize {
    kernel.order.iter().position(|at| *at == axis).unwrap_or(0)
}

fn roles(kernel: &Kernel) -> Vec<Role> {
    let mut roles = vec![Role::None; kernel.axes.len()];
    let fits = |roles: &[Role], axis: usize, role: Role| {
        let clashes = |set: &&'static [usize]| {
            set.contains(&axis) && set.iter().any(|other| *other != axis && roles[*other] == role)
        };
        !kernel.together.iter().any(clashes)
    };
    let mut give = |axis: usize, wanted: &[Role]| {
        if roles[axis] == Role::None {
            let role = wanted.iter().copied().find(|role| fits(&roles, axis, *role));
            roles[axis] = role.unwrap_or(Role::Alone);
        }
    };
    for dot in kernel.dots {
        give(dot.rows, &[Role::Outer, Role::Lanes]);
        give(dot.columns, &[Role::Lanes, Role::Outer]);
        give(dot.contracted, &[Role::Lanes, Role::Outer]);
    }
    for axis in kernel.order.iter().rev() {
        if !matches!(kernel.axes[*axis].kind, AxisKind::Scalar) {
            give(*axis, &[Role::Lanes, Role::Outer]);
        }
    }
    roles
}

/// Block sizes: the config's, else ones that give every program a few thousand elements.
fn steps(problem: &Problem<'_>, roles: &[Role]) -> Vec<i32> {
    let kernel = problem.kernel;
    let mut steps = vec![0; kernel.axes.len()];
    let mut free = Vec::new();
    for (at, axis) in kernel.axes.iter().enumerate() {
        match axis.kind {
            AxisKind::Whole { dim } => steps[at] = problem.dims[dim].max(1),
            AxisKind::Tile { dim, axis, .. } => {
                let bounds = &problem.meta.axes[axis];
                let wanted = problem.config.get(bounds.key);
                let length = problem.dims[dim].max(1);
                let heuristic = if is_of_dot(kernel, at) { dot_step(problem, at, length) } else { 1 };
                steps[at] = wanted.unwrap_or(heuristic).clamp(bounds.min, bounds.max.min(1 << MOST_BITS));
                if wanted.is_none() && !is_of_dot(kernel, at) {
                    free.push(at);
                }
            }
            AxisKind::Scalar => {}
        }
    }
    // Lanes first, so that memory is read in long strips.
    free.sort_by_key(|at| (roles[*at] != Role::Lanes, std::cmp::Reverse(rank(kernel, *at))));
    for at in free {
        grow(problem, &mut steps, at);
    }
    steps
}

fn is_of_dot(kernel: &Kernel, axis: usize) -> bool {
    kernel.dots.iter().any(|dot| [dot.rows, dot.columns, dot.contracted].contains(&axis))
}

fn dot_step(problem: &Problem<'_>, axis: usize, length: i32) -> i32 {
    let of_result = problem.kernel.dots.iter().any(|dot| dot.rows == axis || dot.columns == axis);
    let short = 1 << bits(length);
    if of_result { short.clamp(16, 64) } else { short.clamp(16, 32) }
}

/// Doubles a block while the largest tile that it is in stays small, and the axis is not covered.
fn grow(problem: &Problem<'_>, steps: &mut [i32], at: usize) {
    let kernel = problem.kernel;
    let AxisKind::Tile { dim, axis, .. } = kernel.axes[at].kind else { return };
    let bounds = &problem.meta.axes[axis];
    let size = |steps: &[i32]| {
        let tile = |set: &&'static [usize]| set.iter().map(|axis| bits(steps[*axis])).sum::<u32>();
        kernel.together.iter().filter(|set| set.contains(&at)).map(tile).max().unwrap_or(0)
    };
    let goal = if kernel.dots.is_empty() { TILE_BITS - 1 } else { TILE_BITS };
    while size(steps) < goal && steps[at] < problem.dims[dim] {
        let next = (steps[at].max(1) * 2).clamp(bounds.min, bounds.max);
        if next <= steps[at] {
            break;
        }
        steps[at] = next;
    }
}

/// Halves the longest block of a product that neither the kernel nor the config fixes; false if there is
/// none.
fn shrink(problem: &Problem<'_>, steps: &mut [i32]) -> bool {
    let kernel = problem.kernel;
    let may = |at: &usize| match kernel.axes[*at].kind {
        AxisKind::Tile { axis, .. } => {
            let bounds = &problem.meta.axes[axis];
            steps[*at] > bounds.min.max(1) && problem.config.get(bounds.key).is_none()
        }
        AxisKind::Whole { .. } | AxisKind::Scalar => false,
    };
    let longest = (0..steps.len()).filter(may).max_by_key(|at| steps[*at]);
    if let Some(at) = longest {
        steps[at] = (steps[at] / 2).max(1);
    }
    longest.is_some()
}

/// Without products: lanes run along memory, vectors first.
fn strips(kernel: &Kernel, roles: &[Role], widths: &[u32], vectors: &[usize]) -> (Vec<Spread>, u32) {
    let widest = |role: Role| {
        (0..widths.len()).filter(|at| roles[*at] == role).map(|at| widths[at]).max().unwrap_or(0)
    };
    let run = vectors.iter().max().map_or(0, |width| width.trailing_zeros()).min(widest(Role::Lanes));
    let tile = kernel
        .together
        .iter()
        .map(|set| set.iter().map(|axis| widths[*axis]).sum::<u32>())
        .max()
        .unwrap_or(0);
    // About eight elements a thread; a warp at least.
    let threads = tile.saturating_sub(3).clamp(LANE_BITS, if tile > 14 { 10 } else { 8 });
    let lanes = (widest(Role::Lanes) - run).min(threads);
    let outer = (threads - lanes).min(widest(Role::Outer));
    let threads = (lanes + outer).max(LANE_BITS);
    let spread = |at: usize| {
        let width = widths[at];
        match roles[at] {
            Role::Lanes => Spread::strips(width, run, 0..lanes as i8),
            Role::Outer => Spread::strips(width, 0, lanes as i8..(lanes + outer) as i8),
            Role::Alone => Spread::strips(width, width, 0..0),
            Role::None => Spread::default(),
        }
    };
    ((0..widths.len()).map(spread).collect(), 1 << threads)
}

/// With products: the layout of matrix cores' accumulators.
fn fragments(kernel: &Kernel, roles: &[Role], widths: &[u32]) -> (Vec<Spread>, u32) {
    let dots = || kernel.dots.iter().flat_map(|dot| [dot.rows, dot.columns]);
    let widest = |role: Role| dots().filter(|at| roles[*at] == role).map(|at| widths[at]).max().unwrap_or(4);
    let (rows, columns) = (widest(Role::Outer).max(4) - 4, widest(Role::Lanes).max(4) - 4);
    let warps = (rows + columns).min(2);
    // Where rows are reduced, a row that stays in one warp is reduced without shared memory.
    let reduces = kernel.regions.iter().any(|region| matches!(region, Region::Scratch));
    let of_rows = if reduces { warps.min(rows) } else { warps.div_ceil(2).min(rows) };
    let of_columns = (warps - of_rows).min(columns);
    let first = LANE_BITS as i8;
    let split = first + of_rows as i8;
    let spread = |at: usize| match roles[at] {
        Role::Outer => Spread::rows(widths[at], first..split),
        Role::Lanes => Spread::columns(widths[at], (split..split + of_columns as i8).collect()),
        Role::Alone => Spread::strips(widths[at], widths[at], 0..0),
        Role::None => Spread::default(),
    };
    ((0..widths.len()).map(spread).collect(), 1 << (LANE_BITS + of_rows + of_columns))
}

/// Shared memory, one region after the other.
fn place(problem: &Problem<'_>, widths: &[u32], threads: u32) -> (Vec<u32>, u32) {
    let mut at = 0u32;
    let offsets = problem.kernel.regions.iter().map(|region| {
        let bytes = match region {
            Region::Scratch => 16 * u64::from(threads),
            Region::Tile { axes, elem } => {
                let elements: u32 = axes.iter().map(|axis| widths[*axis]).sum();
                (elem.kind(problem.kinds).size() as u64) << elements.min(40)
            }
        };
        let offset = at;
        at = at.saturating_add(u32::try_from(bytes.next_multiple_of(128)).unwrap_or(u32::MAX - 127));
        offset
    });
    let offsets: Vec<u32> = offsets.collect();
    (offsets, at)
}
