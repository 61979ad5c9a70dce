//! Claims about launches, over kernels written as generated code would be.

use super::*;
use crate::error::ConfigError;
use std::sync::atomic::{AtomicUsize, Ordering};

const AXES: &[AxisMeta] = &[AxisMeta { key: "m", min: 1, max: 8 }];

const fn tensor(name: &'static str, dims: &'static [usize], writable: bool) -> TensorMeta {
    TensorMeta { name, dims, writable, in_place: true }
}

/// `out[(m, n)] = x[(m, n)] + 1`.
static INCREMENT: Meta = Meta {
    kernel: "increment",
    dims: &["M", "N"],
    tensors: &[tensor("x", &[0, 1], false), tensor("out", &[0, 1], true)],
    axes: AXES,
};

/// As above, but the kernel reads elsewhere than it writes.
static ELSEWHERE: Meta = Meta {
    kernel: "elsewhere",
    tensors: &[TensorMeta { in_place: false, ..tensor("x", &[0, 1], false) }, tensor("out", &[0, 1], true)],
    ..INCREMENT
};

struct Views {
    x: View<i32>,
    out: View<i32>,
}

fn at(view: &View<i32>, m: i32, n: i32) -> *mut i32 {
    view.ptr.wrapping_offset(m as isize * view.strides[0] + n as isize * view.strides[1])
}

/// # Safety
/// The views are those of a finished launch, and no other program has these rows.
unsafe fn increment(views: &Views, program: &mut Program<'_>) {
    for m in program.begin[0]..program.end[0] {
        for n in 0..views.out.dims[1] {
            // SAFETY: m and n are inside both tensors, and the row is this program's.
            unsafe { at(&views.out, m, n).write(at(&views.x, m, n).read() + 1) };
        }
    }
}

fn launch(meta: &'static Meta, config: &Config, x: &Tensor<i32>, out: &mut Tensor<i32>) -> Result<(), Error> {
    let mut launch = Launch::new(meta, config)?;
    let views = Views { x: launch.read(0, x)?, out: launch.write(1, out)? };
    launch.finish()?;
    let grid = [GridAxis { begin: 0, end: launch.dim(0), block: launch.block(0, 0, 2) }];
    // SAFETY: the grid's blocks are distinct rows of both tensors.
    unsafe { launch.run(&views, &grid, 0, increment) }
}

fn call(x: &Tensor<i32>, out: &mut Tensor<i32>) -> Result<(), Error> {
    launch(&INCREMENT, &Config::new(), x, out)
}

fn message(found: Result<(), Error>) -> String {
    found.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn every_block_runs_once_on_any_number_of_threads() -> Result<(), Error> {
    for (rows, columns) in [(0, 3), (1, 0), (1, 1), (7, 3), (100, 2)] {
        for threads in [1, 2, 5] {
            for block in [1, 3, 100] {
                let x = Tensor::arange(rows * columns).reshape((rows, columns))?;
                let mut out = Tensor::zeros((rows, columns));
                launch(&INCREMENT, &Config::new().threads(threads).set("m", block), &x, &mut out)?;
                assert!(out.iter()?.zip(x.iter()?).all(|(out, x)| out == x + 1));
            }
        }
    }
    Ok(())
}

#[test]
fn strided_inputs_and_outputs_work() -> Result<(), Error> {
    let x = Tensor::<i32>::arange(6).reshape((2, 3))?;
    let storage = Tensor::zeros((2, 6));
    call(&x.flip(1)?, &mut storage.narrow(1, 3, 3)?)?;
    call(&x.select(0, 0)?.broadcast_to((2, 3))?, &mut storage.narrow(1, 0, 3)?)?;
    assert_eq!(storage.to_vec(), [1, 2, 3, 3, 2, 1, 1, 2, 3, 6, 5, 4]);
    Ok(())
}

#[test]
fn disagreements_name_the_dimension_both_tensors_and_both_lengths() {
    let x = Tensor::zeros((3, 4));
    assert_eq!(
        message(call(&x, &mut Tensor::zeros((3, 5)))),
        "increment: N is 4 in x (dimension 1) but 5 in out (dimension 1); give both the same length"
    );
    assert_eq!(
        message(call(&x, &mut Tensor::zeros(12))),
        "increment: out is (M, N), of rank 2, but the tensor given has rank 1 and shape [12]; reshape it"
    );
    let long = Tensor::scalar(0).broadcast_to((1, 1 << 31)).unwrap_or(x);
    assert_eq!(
        message(call(&long, &mut Tensor::zeros((1, 1)))),
        "increment: N is 2147483648 in x (dimension 1), and a dimension has at most 2147483647 elements; \
         split the tensor"
    );
}

#[test]
fn outputs_that_share_elements_are_refused() -> Result<(), Error> {
    let base = Tensor::<i32>::zeros((4, 8));
    let mut left = base.narrow(1, 0, 4)?;
    call(&base.narrow(1, 4, 4)?, &mut left)?;
    let overlapping = base.narrow(1, 3, 4)?;
    assert_eq!(
        message(call(&overlapping, &mut left)),
        "increment: the output out overlaps x; write to a tensor of its own"
    );
    let square = left.transpose(0, 1)?;
    assert!(matches!(call(&square, &mut left), Err(Error::Launch(LaunchError::Alias { .. }))));
    let mut repeated = base.narrow(0, 0, 1)?.broadcast_to((4, 8))?;
    let found = call(&Tensor::zeros((4, 8)), &mut repeated);
    assert!(matches!(found, Err(Error::Launch(LaunchError::Overlapping { tensor: "out", .. }))));
    Ok(())
}

#[test]
fn the_same_view_works_in_place_only_where_the_kernel_says_so() -> Result<(), Error> {
    let mut out = Tensor::<i32>::arange(6).reshape((2, 3))?;
    call(&out.clone(), &mut out)?;
    assert_eq!(out.to_vec(), [1, 2, 3, 4, 5, 6]);
    let found = launch(&ELSEWHERE, &Config::new(), &out.clone(), &mut out);
    assert_eq!(
        message(found),
        "elsewhere: out and x are the same view, but the kernel does not work in place on them; \
         write to a tensor of its own"
    );
    assert_eq!(out.to_vec(), [1, 2, 3, 4, 5, 6]);
    Ok(())
}

#[test]
fn a_storage_in_use_is_refused_and_freed_after_errors() -> Result<(), Error> {
    let (mut x, mut out) = (Tensor::zeros((2, 2)), Tensor::zeros((2, 2)));
    let (x_view, mut out_view) = (x.clone(), out.clone());
    let guard = out.read()?;
    let found = call(&x_view, &mut out_view);
    assert!(matches!(found, Err(Error::Launch(LaunchError::Busy { tensor: "out", .. }))));
    drop(guard);
    let guard = x.write()?;
    let found = call(&x_view, &mut out_view);
    assert!(matches!(found, Err(Error::Launch(LaunchError::Busy { tensor: "x", .. }))));
    drop(guard);
    let guard = x.read()?;
    call(&x_view, &mut out)?;
    drop(guard);
    x.fill(1)?;
    out.fill(1)?;
    Ok(())
}

#[test]
fn read_only_memory_is_read_and_never_written() -> Result<(), Error> {
    let owner = std::sync::Arc::new(vec![1i32, 2]);
    let first = std::ptr::NonNull::new(owner.as_ptr().cast_mut()).ok_or(NO_MEMORY)?;
    // SAFETY: the vector has two elements, lives in `owner` and is never changed.
    let mut lent = unsafe { Tensor::from_owner(owner, first, (1, 2)) }?;
    let mut out = Tensor::zeros((1, 2));
    call(&lent, &mut out)?;
    assert_eq!(out.to_vec(), [2, 3]);
    let found = call(&out, &mut lent);
    assert!(matches!(found, Err(Error::Launch(LaunchError::ReadOnly { tensor: "out", .. }))));
    Ok(())
}

const NO_MEMORY: Error = Error::Tensor(crate::error::TensorError::Busy);

#[test]
fn configs_override_heuristics_within_the_axis_bounds() -> Result<(), Error> {
    let of_length = |length: usize, config: &Config, heuristic| -> Result<i32, Error> {
        let x = Tensor::<i32>::zeros((length, 1));
        let mut it = Launch::new(&INCREMENT, config)?;
        it.read(0, &x)?;
        Ok(it.block(0, 0, heuristic))
    };
    let block = |config: Config, heuristic| of_length(100, &config, heuristic);
    assert_eq!([0, 1, 3].map(|length| of_length(length, &Config::new(), 4)), [Ok(1), Ok(1), Ok(3)]);
    assert_eq!(block(Config::new(), 4)?, 4);
    assert_eq!(block(Config::new(), 400)?, 8);
    assert_eq!(block(Config::new(), -1)?, 1);
    assert_eq!(block(Config::new().set("m", 7), 4)?, 7);
    assert_eq!(block(Config::new().set("m", 9), 4)?, 8);
    let found = block(Config::new().set("mm", 9), 4);
    assert!(matches!(found, Err(Error::Config(ConfigError::UnknownKey { nearest: Some("m"), .. }))));
    Ok(())
}

#[test]
fn scalars_and_asserts_are_checked() -> Result<(), Error> {
    let config = Config::new();
    let launch = Launch::new(&INCREMENT, &config)?;
    assert_eq!(launch.int("n", 7usize), Ok(7));
    assert_eq!(launch.int("n", -7i64), Ok(-7));
    assert_eq!(
        message(launch.int("n", 1usize << 31).map(drop)),
        "increment: n is 2147483648, which does not fit i32; give a smaller value"
    );
    assert_eq!(launch.float("eps", 0.1f64), Ok(0.1f32));
    assert_eq!(launch.float("eps", f32::INFINITY), Ok(f32::INFINITY));
    assert!(matches!(launch.float("eps", 1e39), Err(Error::Launch(LaunchError::Scalar { ty: "f32", .. }))));
    launch.assert(true, "M == N")?;
    assert_eq!(
        message(launch.assert(false, "M == N")),
        "increment: this call does not satisfy assert!(M == N); call it with shapes that do"
    );
    Ok(())
}

#[test]
fn a_dimension_that_no_tensor_fixes_is_an_error() -> Result<(), Error> {
    let config = Config::new();
    let mut launch = Launch::new(&INCREMENT, &config)?;
    assert!(matches!(launch.finish(), Err(Error::Launch(LaunchError::Unfixed { dimension: "M", .. }))));
    Ok(())
}

/// Runs `program` over `programs` blocks of one index.
fn run<A: Sync>(
    args: &A,
    programs: i32,
    threads: usize,
    program: unsafe fn(&A, &mut Program<'_>),
) -> Result<(), Error> {
    let x = Tensor::<i32>::zeros((3, 2));
    let config = Config::new().threads(threads);
    let mut launch = Launch::new(&INCREMENT, &config)?;
    launch.read(0, &x)?;
    launch.finish()?;
    let grid = [GridAxis { begin: 0, end: programs, block: 1 }];
    // SAFETY: the programs of these tests touch nothing but `args` and their workspace.
    unsafe { launch.run(args, &grid, WORKSPACE, program) }
}

const WORKSPACE: usize = 256;

#[test]
fn the_first_index_outside_a_tensor_is_reported() {
    unsafe fn wild(_: &(), program: &mut Program<'_>) {
        if program.begin[0] >= 5 {
            program.faults.report(0, 1, 7);
        }
    }
    for threads in [1, 3] {
        let error =
            Error::IndexOutOfBounds { kernel: "increment", tensor: "x", dimension: 1, index: 7, length: 2 };
        assert_eq!(run(&(), 20, threads, wild), Err(error));
        assert_eq!(run(&(), 5, threads, wild), Ok(()));
    }
}

#[test]
fn a_panic_in_a_program_reaches_the_caller_and_harms_no_later_launch() -> Result<(), Error> {
    unsafe fn panics(count: &AtomicUsize, program: &mut Program<'_>) {
        count.fetch_add(1, Ordering::Relaxed);
        assert!(program.begin[0] != 3, "the third");
    }
    for threads in [1, 3] {
        let count = AtomicUsize::new(0);
        let found = std::panic::catch_unwind(|| run(&count, 40, threads, panics));
        let payload = found.map(drop).expect_err("a program panics");
        assert!(payload.downcast_ref::<&str>().is_some_and(|text| text.contains("the third")));
    }
    every_block_runs_once_on_any_number_of_threads()
}

#[test]
fn workspaces_are_aligned_and_no_two_programs_share_one() -> Result<(), Error> {
    unsafe fn scribble(wrong: &AtomicUsize, program: &mut Program<'_>) {
        let mark = program.begin[0] as u8;
        for i in 0..WORKSPACE {
            // SAFETY: the workspace has this many bytes.
            unsafe { program.workspace.add(i).write_volatile(mark) };
        }
        // SAFETY: as above.
        let kept = (0..WORKSPACE).all(|i| unsafe { program.workspace.add(i).read_volatile() } == mark);
        let aligned = program.workspace.addr().is_multiple_of(64);
        wrong.fetch_add(usize::from(!kept || !aligned), Ordering::Relaxed);
    }
    let wrong = AtomicUsize::new(0);
    for threads in [1, 4] {
        run(&wrong, 200, threads, scribble)?;
    }
    assert_eq!(wrong.into_inner(), 0);
    Ok(())
}

#[test]
fn launches_nest_and_run_from_many_threads() -> Result<(), Error> {
    unsafe fn nested(count: &AtomicUsize, program: &mut Program<'_>) {
        unsafe fn count_one(count: &AtomicUsize, _: &mut Program<'_>) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let outer = program.workspace;
        assert_eq!(run(count, 5, 2, count_one), Ok(()));
        assert_eq!(outer, program.workspace);
    }
    let count = AtomicUsize::new(0);
    rayon::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|_| assert_eq!(run(&count, 6, 2, nested), Ok(())));
        }
    });
    assert_eq!(count.into_inner(), 4 * 6 * 5);
    Ok(())
}

#[test]
fn a_workspace_larger_than_memory_is_an_error_and_nothing_runs() -> Result<(), Error> {
    unsafe fn never(ran: &std::sync::atomic::AtomicBool, _: &mut Program<'_>) {
        ran.store(true, std::sync::atomic::Ordering::Relaxed);
    }
    for bytes in [usize::MAX, isize::MAX as usize - 4096] {
        let (x, config, ran) =
            (Tensor::<i32>::zeros((3, 2)), Config::new(), std::sync::atomic::AtomicBool::new(false));
        let mut launch = Launch::new(&INCREMENT, &config)?;
        launch.read(0, &x)?;
        launch.finish()?;
        let grid = [GridAxis { begin: 0, end: 3, block: 1 }];
        // SAFETY: `never` has no obligations.
        let result = unsafe { launch.run(&ran, &grid, bytes, never) };
        let kernel = INCREMENT.kernel;
        assert_eq!(result, Err(LaunchError::Workspace { kernel, bytes }.into()));
        assert!(!ran.into_inner());
    }
    Ok(())
}

#[test]
fn grids_count_their_last_axis_fastest_and_clip_at_the_end() {
    unsafe fn collect(seen: &std::sync::Mutex<Vec<[i32; 4]>>, program: &mut Program<'_>) {
        let block = [program.begin[0], program.end[0], program.begin[1], program.end[1]];
        seen.lock().expect("no program panics").push(block);
    }
    let seen = std::sync::Mutex::new(Vec::new());
    let grid =
        [GridAxis { begin: 1, end: 4, block: 2 }, GridAxis { begin: i32::MAX - 3, end: i32::MAX, block: 2 }];
    let job =
        grid::Job { args: &seen, program: collect, grid: &grid, workspace_bytes: 0, faults: &Faults::new() };
    // SAFETY: `collect` has no obligations.
    unsafe { job.run(1) };
    let max = i32::MAX;
    let expected =
        [[1, 3, max - 3, max - 1], [1, 3, max - 1, max], [3, 4, max - 3, max - 1], [3, 4, max - 1, max]];
    assert_eq!(seen.into_inner().expect("no program panics"), expected);
}

#[test]
fn a_config_says_whether_outputs_go_past_the_caches() -> Result<(), Error> {
    let (x, mut out) = (Tensor::<i32>::zeros((2, 2)), Tensor::<i32>::zeros((2, 2)));
    for (config, wanted) in
        [(Config::new(), false), (Config::new().stream(false), false), (Config::new().stream(true), true)]
    {
        let mut launch = Launch::new(&INCREMENT, &config)?;
        launch.read(0, &x)?;
        launch.write(1, &mut out)?;
        let Streams { light, heavy } = launch.streams(&[1]);
        assert_eq!([light, heavy], [wanted; 2], "{config}");
    }
    Ok(())
}

#[test]
fn little_work_stays_on_the_calling_thread() -> Result<(), Error> {
    let config = Config::new();
    let mut launch = Launch::new(&INCREMENT, &config)?;
    launch.cost(10_000.0);
    assert_eq!(launch.threads()?, 1);
    launch.cost(1e12);
    assert_eq!(launch.threads()?, crate::Device::cpu().threads()?);
    Ok(())
}

#[test]
fn launches_from_many_threads_at_once_run_each_program_once() {
    unsafe fn count_one(count: &AtomicUsize, program: &mut Program<'_>) {
        count.fetch_add(program.end[0] as usize, Ordering::Relaxed);
    }
    let launches = if cfg!(miri) { 3 } else { 300 };
    std::thread::scope(|scope| {
        for threads in 2..6 {
            scope.spawn(move || {
                for programs in 1..launches {
                    let count = AtomicUsize::new(0);
                    assert_eq!(run(&count, programs, threads, count_one), Ok(()));
                    assert_eq!(count.into_inner() as i32, programs * (programs + 1) / 2);
                }
            });
        }
    });
}
