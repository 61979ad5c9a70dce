//! Block sizes and spreads: which axis goes over which threads, and how far.

use super::architecture::Matrix;
use super::plan::{MOST_BITS, bits};
use super::spread::{LANE_BITS, Spread};
use super::{AxisKind, Dot, Kernel, Problem, Region};
use crate::element::Kind;

/// Registers that the values of a tile may take of a thread, together.
const TILE_BITS: u32 = 12;
/// Programs below which blocks are made smaller, so that all of a GPU has work.
const MANY_PROGRAMS: i64 = 128;

/// Which threads an axis is spread over. Axes that stand in one tile differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The lowest thread bits: memory is contiguous along it, or it is the columns of a product.
    Lanes,
    /// The thread bits above, or the rows of a product.
    Outer,
    /// Registers only.
    Alone,
    /// No tile.
    None,
}

/// The position of an axis in the order of tiles.
fn rank(kernel: &Kernel, axis: usize) -> usize {
    kernel.order.iter().position(|at| *at == axis).unwrap_or(0)
}

/// The matrix instructions that a product goes to: those of the architecture for shorter floats, NVIDIA's for
/// bytes, and for f32 if asked for, else none.
pub(super) fn cores(problem: &Problem<'_>, dot: &Dot) -> Matrix {
    let [lhs, rhs, result] = [dot.lhs, dot.rhs, dot.result].map(|elem| elem.kind(problem.kinds));
    match (lhs, result) {
        _ if lhs != rhs => Matrix::None,
        (Kind::F16 | Kind::Bf16 | Kind::F8E4m3 | Kind::F8E5m2, Kind::F32) => problem.architecture.matrix(),
        (Kind::I8 | Kind::U8, Kind::I32) if !problem.architecture.is_amd() => problem.architecture.matrix(),
        (Kind::F32, Kind::F32) if problem.takes_tf32() => Matrix::Mma,
        _ => Matrix::None,
    }
}

/// The same for a kernel: what its first product goes to decides how all are spread.
pub(super) fn cores_of_kernel(problem: &Problem<'_>) -> Matrix {
    let all = problem.kernel.dots.iter().map(|dot| cores(problem, dot));
    all.reduce(|a, b| if a == b { a } else { Matrix::None }).unwrap_or(Matrix::None)
}

pub(super) fn roles(kernel: &Kernel) -> Vec<Role> {
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
pub(super) fn steps(problem: &Problem<'_>, roles: &[Role]) -> Vec<i32> {
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
    spread_out(problem, &mut steps);
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

/// Whether tiles are reduced besides being multiplied, as in attention.
fn reduces(kernel: &Kernel) -> bool {
    kernel.regions.iter().any(|region| matches!(region, Region::Scratch))
}

/// The block of a product's axis that keeps the matrix cores busy.
fn dot_step(problem: &Problem<'_>, axis: usize, length: i32) -> i32 {
    let dots = problem.kernel.dots;
    let is_rows = dots.iter().any(|dot| dot.rows == axis);
    let is_columns = dots.iter().any(|dot| dot.columns == axis);
    let size = dots.first().map_or(4, |dot| dot.lhs.kind(problem.kinds).size() as i32);
    let is_byte = size == 1 && !problem.architecture.is_amd();
    let wanted = match (cores_of_kernel(problem), reduces(problem.kernel)) {
        (Matrix::None, _) if is_rows || is_columns => 64,
        // As many bytes for every type.
        (Matrix::None, _) => (128 / size).min(64),
        (Matrix::Wgmma, true) => 128,
        (Matrix::Wgmma, false) if is_rows => 128,
        (Matrix::Wgmma, false) if is_columns => 256,
        (_, true) => 64,
        (_, false) if is_rows || is_columns => 128,
        (Matrix::Mma, false) if is_byte => 64,
        (Matrix::Mma, false) => 32,
        (_, false) if is_byte => 128,
        (_, false) => 64,
    };
    // An instruction takes 32 bytes, or all of them once.
    let least = if is_byte && !is_rows && !is_columns { 32 } else { 16 };
    (1i32 << bits(length).min(20)).clamp(least, wanted)
}

/// Halves blocks of products while few programs would run.
fn spread_out(problem: &Problem<'_>, steps: &mut [i32]) {
    let kernel = problem.kernel;
    loop {
        let programs = |(at, (first, last)): (&usize, &(i32, i32))| {
            let length = i64::from(*last) - i64::from(*first);
            (length / i64::from(steps[*at].max(1))).max(1)
        };
        let programs = kernel.grid.iter().zip(problem.ranges).map(programs).fold(1, i64::saturating_mul);
        let may = |at: &usize| match kernel.axes[*at].kind {
            AxisKind::Tile { axis, .. } => {
                let bounds = &problem.meta.axes[axis];
                let free = problem.config.get(bounds.key).is_none();
                free && is_of_dot(kernel, *at) && steps[*at] > bounds.min.max(64)
            }
            AxisKind::Whole { .. } | AxisKind::Scalar => false,
        };
        let longest = kernel.grid.iter().copied().filter(may).max_by_key(|at| steps[*at]);
        let Some(at) = longest.filter(|_| programs < MANY_PROGRAMS) else { return };
        steps[at] /= 2;
    }
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
pub(super) fn shrink(problem: &Problem<'_>, steps: &mut [i32]) -> bool {
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
pub(super) fn strips(
    kernel: &Kernel,
    roles: &[Role],
    widths: &[u32],
    vectors: &[usize],
) -> (Vec<Spread>, u32) {
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
pub(super) fn fragments(problem: &Problem<'_>, roles: &[Role], widths: &[u32]) -> (Vec<Spread>, u32) {
    let kernel = problem.kernel;
    let dots = || kernel.dots.iter().flat_map(|dot| [dot.rows, dot.columns]);
    let widest = |role: Role| dots().filter(|at| roles[*at] == role).map(|at| widths[at]).max().unwrap_or(4);
    let (rows, columns) = (widest(Role::Outer).max(4) - 4, widest(Role::Lanes).max(4) - 4);
    let matrix = cores_of_kernel(problem);
    let lane_bits = problem.architecture.warp_bits();
    let (of_rows, of_columns) = match matrix {
        // Groups of four warps have 64 rows; a second group more rows, or other columns.
        Matrix::Wgmma if rows >= 2 => (rows.min(3), u32::from(rows == 2 && columns >= 4 && !reduces(kernel))),
        Matrix::Mma | Matrix::Wgmma | Matrix::Mfma | Matrix::Wmma { .. } | Matrix::None => {
            // About 64 accumulators a thread, in four or eight warps; RDNA spills where there are 128.
            let most = if matches!(matrix, Matrix::Wmma { .. }) { 4 } else { 3 };
            let warps = (rows + columns + 8).saturating_sub(lane_bits + 6).clamp(2, most).min(rows + columns);
            // Where rows are reduced, a row that stays in one warp is reduced without shared memory.
            let of_rows = if reduces(kernel) { warps.min(rows) } else { warps.div_ceil(2).min(rows) };
            (of_rows, (warps - of_rows).min(columns))
        }
    };
    let (row_head, column_head) = heads(problem, matrix);
    let first = lane_bits as i8;
    let split = first + of_rows as i8;
    let spread = |at: usize| match roles[at] {
        Role::Outer => Spread::rows(widths[at], row_head, first..split),
        Role::Lanes => Spread::columns(widths[at], column_head, split..split + of_columns as i8),
        Role::Alone => Spread::strips(widths[at], widths[at], 0..0),
        Role::None => Spread::default(),
    };
    ((0..widths.len()).map(spread).collect(), 1 << (lane_bits + of_rows + of_columns))
}

/// Where the first 16 rows and columns of an accumulator are.
fn heads(problem: &Problem<'_>, matrix: Matrix) -> ([i8; 4], [i8; 4]) {
    const R: i8 = super::spread::REGISTER;
    match matrix {
        Matrix::Mfma => ([0, 1, 2, 3], [R, R, 4, 5]),
        Matrix::Wmma { split: false } => ([0, 1, 2, 3], [4, R, R, R]),
        Matrix::Wmma { split: true } => ([0, 1, 2, 3], [R, R, R, 4]),
        Matrix::None if problem.architecture.warp_bits() == 6 => ([2, 3, 4, 5], [R, 0, 1, R]),
        Matrix::None | Matrix::Mma | Matrix::Wgmma => ([2, 3, 4, R], [R, 0, 1, R]),
    }
}

/// Whether the left side of a product stays in registers: what `hold` of the prelude decides.
pub(super) fn stays(problem: &Problem<'_>, dot: &Dot, spreads: &[Spread], widths: &[u32]) -> bool {
    let matrix = cores(problem, dot);
    let is_half = dot.lhs.kind(problem.kinds).size() == 2;
    if matches!(matrix, Matrix::None | Matrix::Wmma { split: false })
        || !is_half
        || widths[dot.contracted] < 4
    {
        return false;
    }
    let (row_head, column_head) = heads(problem, matrix);
    let starts = |axis: usize, head: [i8; 4]| spreads[axis].0.get(..4) == Some(&head[..]);
    let alone = |axis: usize| spreads[axis].0[4..].iter().all(|bit| *bit == super::spread::REGISTER);
    starts(dot.rows, row_head)
        && starts(dot.columns, column_head)
        && starts(dot.contracted, column_head)
        && alone(dot.contracted)
}
