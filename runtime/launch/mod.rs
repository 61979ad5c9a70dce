//! From tensors to running programs: dimensions, aliasing, blocks, the grid.
//!
//! Generated code makes a [`Launch`], hands it every tensor ([`Launch::read`], [`Launch::write`]), closes
//! it with [`Launch::finish`], and runs programs over the views that it got. From `finish` until the
//! launch is dropped it holds the locks of all storages: alone where an output lives, shared elsewhere.

mod caches;
mod crew;
mod explained;
mod faults;
mod grid;
mod meta;
mod overlap;
mod work;
mod workspace;

use std::fmt::Display;
use std::sync::Arc;

use smallvec::SmallVec;

use caches::worth_streaming;

pub use caches::Streams;
pub use faults::Faults;
pub(crate) use grid::for_each;
pub use grid::{GridAxis, Program};
pub use meta::{AxisMeta, Meta, TensorMeta, View};
pub use work::{Access, Extent, Factor, Product, Space, Volume, Work};

use crate::config::Config;
use crate::device::gpu::Gpu;
use crate::device::graph::{Used, capturing, refuse_in_capture};
use crate::device::{Device, cpu};
use crate::element::{Element, Kind};
use crate::error::{DeviceError, Error, LaunchError, Place};
use crate::explain;
use crate::gpu;
use crate::simd::InstructionSet;
use crate::simd::dot::Kept;
use crate::tensor::{MAX_RANK, Storage, Tensor};
use overlap::Span;
use workspace::Workspace;

/// One call of a kernel.
pub struct Launch<'a> {
    meta: &'static Meta,
    config: &'a Config,
    isa: InstructionSet,
    tensors: SmallVec<[Argument<'a>; 6]>,
    dims: SmallVec<[Option<Place>; 8]>,
    /// Of each axis of `Meta::axes`, once chosen.
    blocks: SmallVec<[i32; 4]>,
    work: Option<&'static Work>,
    cost: f64,
    finished: bool,
    faults: Faults,
}

/// A tensor that the launch was given.
pub(crate) struct Argument<'a> {
    /// Into `Meta::tensors`.
    parameter: usize,
    storage: &'a Arc<Storage>,
    kind: Kind,
    span: Span,
    held: Held,
}

impl Argument<'_> {
    /// What a graph keeps of it.
    pub(crate) fn used(&self, meta: &'static Meta) -> Used {
        let TensorMeta { name, writable, .. } = meta.tensors[self.parameter];
        let storage = Arc::clone(self.storage);
        Used { storage, written: writable, kernel: meta.kernel, tensor: name }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    No,
    Shared,
    Exclusive,
}

/// Below this many operations (see [`Launch::cost`]) another thread does not pay for being woken.
const WORTH_A_THREAD: f64 = 400_000.0;

impl<'a> Launch<'a> {
    /// A launch without tensors.
    ///
    /// # Errors
    /// The config has a key that the kernel has not, or `TILEWRIGHT_CPU` is wrong.
    pub fn new(meta: &'static Meta, config: &'a Config) -> Result<Launch<'a>, Error> {
        config.check(meta.kernel, meta.axes.iter().map(|axis| axis.key))?;
        Ok(Launch {
            meta,
            config,
            isa: instruction_set(config)?,
            tensors: SmallVec::new(),
            dims: SmallVec::from_elem(None, meta.dims.len()),
            blocks: SmallVec::from_elem(0, meta.axes.len()),
            work: None,
            cost: f64::INFINITY,
            finished: false,
            faults: Faults::new(),
        })
    }

    /// Tensor parameter `parameter`, for reading. The view may be followed between `finish` and the
    /// launch's end.
    ///
    /// # Errors
    /// Its rank or a dimension disagrees, or is too long.
    pub fn read<T: Element>(&mut self, parameter: usize, tensor: &'a Tensor<T>) -> Result<View<T>, Error> {
        self.add(parameter, tensor)
    }

    /// Tensor parameter `parameter`, for reading and writing.
    ///
    /// # Errors
    /// As for `read`; or its memory is read-only, or the view names some element twice.
    pub fn write<T: Element>(
        &mut self,
        parameter: usize,
        tensor: &'a mut Tensor<T>,
    ) -> Result<View<T>, Error> {
        let (kernel, name) = (self.meta.kernel, self.meta.tensors[parameter].name);
        let view = self.add(parameter, tensor)?;
        if tensor.is_read_only() {
            return Err(LaunchError::ReadOnly { kernel, tensor: name }.into());
        }
        if !tensor.is_injective() {
            let strides = tensor.strides().to_vec();
            return Err(LaunchError::Overlapping { kernel, tensor: name, strides }.into());
        }
        Ok(view)
    }

    fn add<T: Element>(&mut self, parameter: usize, tensor: &'a Tensor<T>) -> Result<View<T>, Error> {
        let dims = self.unify(parameter, tensor.shape())?;
        let strides = tensor.strides_array();
        let size = size_of::<T>();
        let span = Span {
            first: tensor.pointer().addr(),
            size,
            shape: tensor.shape_array(),
            strides: strides.map(|stride| stride.wrapping_mul(size.cast_signed())),
            rank: tensor.rank(),
        };
        self.tensors.push(Argument {
            parameter,
            storage: tensor.storage(),
            kind: T::KIND,
            span,
            held: Held::No,
        });
        Ok(View { ptr: tensor.pointer(), dims, strides })
    }

    /// Fixes the dimensions of a parameter or compares them with what earlier ones fixed.
    fn unify(&mut self, parameter: usize, shape: &[usize]) -> Result<[i32; MAX_RANK], LaunchError> {
        let (kernel, meta) = (self.meta.kernel, &self.meta.tensors[parameter]);
        if shape.len() != meta.dims.len() {
            let expected = meta.dims.iter().map(|&dim| self.meta.dims[dim]).collect();
            return Err(LaunchError::Rank { kernel, tensor: meta.name, expected, found: shape.to_vec() });
        }
        let mut lengths = [0; MAX_RANK];
        for (dimension, (&length, &dim)) in shape.iter().zip(meta.dims).enumerate() {
            let second = Place { tensor: meta.name, dimension, length };
            let name = self.meta.dims[dim];
            lengths[dimension] = i32::try_from(length).map_err(|_| LaunchError::TooLong {
                kernel,
                dimension: name,
                place: second,
            })?;
            let first = *self.dims[dim].get_or_insert(second);
            if first.length != length {
                return Err(LaunchError::Dimension { kernel, dimension: name, first, second });
            }
        }
        Ok(lengths)
    }

    /// To be called once, after all tensors: checks that every dimension is known and that no output
    /// shares elements with another argument, and takes the locks.
    ///
    /// # Errors
    /// What those checks say, or a storage is in use.
    pub fn finish(&mut self) -> Result<(), Error> {
        let kernel = self.meta.kernel;
        if let Some(dim) = self.dims.iter().position(Option::is_none) {
            return Err(LaunchError::Unfixed { kernel, dimension: self.meta.dims[dim] }.into());
        }
        self.check_devices()?;
        self.check_capture()?;
        self.check_aliasing()?;
        self.lock()?;
        self.finished = true;
        Ok(())
    }

    fn check_devices(&self) -> Result<(), LaunchError> {
        let Some((first, rest)) = self.tensors.split_first() else { return Ok(()) };
        let device = |argument: &Argument<'_>| argument.storage.gpu().map_or(Device::cpu(), Device::of);
        let Some(other) = rest.iter().find(|other| device(other) != device(first)) else { return Ok(()) };
        let named = |argument: &Argument<'_>| (self.meta(argument).name, format!("{:?}", device(argument)));
        Err(LaunchError::Devices { kernel: self.meta.kernel, first: named(first), second: named(other) })
    }

    /// Refuses another device while this thread captures launches of one.
    fn check_capture(&self) -> Result<(), DeviceError> {
        let gpu = self.gpu_device();
        if gpu.is_some() && gpu.map(std::ptr::from_ref) == capturing().map(std::ptr::from_ref) {
            return Ok(());
        }
        let device = || gpu.map_or(Device::cpu(), Device::of);
        refuse_in_capture(|| format!("launching {} on {:?}", self.meta.kernel, device()))
    }

    /// The GPU that the tensors are on, if any.
    fn gpu_device(&self) -> Option<&'static Gpu> {
        self.tensors.first().and_then(|argument| argument.storage.gpu())
    }

    fn check_aliasing(&self) -> Result<(), LaunchError> {
        for (i, a) in self.tensors.iter().enumerate() {
            for b in &self.tensors[i + 1..] {
                let (meta_a, meta_b) = (self.meta(a), self.meta(b));
                if !(meta_a.writable || meta_b.writable) || !Arc::ptr_eq(a.storage, b.storage) {
                    continue;
                }
                let same_view = a.span.is_same_view(&b.span);
                let one_output = meta_a.writable != meta_b.writable;
                if same_view && one_output && meta_a.in_place && meta_b.in_place {
                    continue;
                }
                if a.span.overlaps(&b.span) {
                    let (output, other) = if meta_b.writable { (meta_b, meta_a) } else { (meta_a, meta_b) };
                    let (kernel, output, other) = (self.meta.kernel, output.name, other.name);
                    return Err(LaunchError::Alias { kernel, output, other, same_view });
                }
            }
        }
        Ok(())
    }

    /// Takes each storage once: alone if an output lives there, else shared.
    fn lock(&mut self) -> Result<(), LaunchError> {
        for i in 0..self.tensors.len() {
            let storage = self.tensors[i].storage;
            let same = |other: &Argument<'_>| Arc::ptr_eq(other.storage, storage);
            if self.tensors[..i].iter().any(same) {
                continue;
            }
            let written = self.tensors.iter().any(|other| same(other) && self.meta(other).writable);
            let taken = if written { storage.lock_exclusive() } else { storage.lock_shared() };
            let tensor = self.meta(&self.tensors[i]).name;
            taken.map_err(|_| LaunchError::Busy { kernel: self.meta.kernel, tensor })?;
            self.tensors[i].held = if written { Held::Exclusive } else { Held::Shared };
        }
        Ok(())
    }

    fn meta(&self, argument: &Argument<'_>) -> &'static TensorMeta {
        &self.meta.tensors[argument.parameter]
    }

    /// The length of dimension `dim` of `Meta::dims`; 0 before a tensor fixed it.
    #[must_use]
    pub fn dim(&self, dim: usize) -> i32 {
        // `unify` refuses lengths that do not fit.
        self.dims[dim].map_or(0, |place| place.length as i32)
    }

    /// An `assert!` of the kernel.
    ///
    /// # Errors
    /// It does not hold.
    pub fn assert(&self, holds: bool, text: &'static str) -> Result<(), Error> {
        if holds { Ok(()) } else { Err(LaunchError::Assert { kernel: self.meta.kernel, text }.into()) }
    }

    /// An integer argument as the kernel computes with it.
    ///
    /// # Errors
    /// It does not fit.
    pub fn int<V: TryInto<i32> + Copy + Display>(&self, name: &'static str, value: V) -> Result<i32, Error> {
        value.try_into().map_err(|_| self.unfit(name, &value, "i32"))
    }

    /// A float argument as the kernel computes with it: to nearest even.
    ///
    /// # Errors
    /// It is finite and beyond the range of f32.
    pub fn float(&self, name: &'static str, value: impl Into<f64>) -> Result<f32, Error> {
        let value = value.into();
        let narrow = value as f32;
        if narrow.is_infinite() && value.is_finite() {
            return Err(self.unfit(name, &value, "f32"));
        }
        Ok(narrow)
    }

    fn unfit(&self, name: &'static str, value: &dyn Display, ty: &'static str) -> Error {
        LaunchError::Scalar { kernel: self.meta.kernel, name, value: value.to_string(), ty }.into()
    }

    /// The block size of axis `axis` of `Meta::axes` along dimension `dim`: the config's, else `heuristic`; within
    /// the axis' bounds, and no longer than the dimension.
    #[must_use]
    pub fn block(&mut self, axis: usize, dim: usize, heuristic: i32) -> i32 {
        let meta = &self.meta.axes[axis];
        let block = self.config.get(meta.key).unwrap_or(heuristic).min(meta.max).max(meta.min);
        let block = block.min(self.dim(dim).max(1));
        self.blocks[axis] = block;
        block
    }

    /// The launch on a GPU, if that is where it goes: what `kernel`'s text needs besides arguments.
    #[must_use]
    pub fn gpu(
        &self,
        kernel: &'static gpu::Kernel,
        kinds: &[Kind],
        consts: &[i64],
        functions: &[&'static gpu::Function],
    ) -> Option<gpu::Run<'_>> {
        let target = match (gpu::recording(), self.gpu_device()) {
            (Some(architecture), _) => gpu::Destination::Record(architecture),
            (None, Some(gpu)) if capturing().is_some() => gpu::Destination::Capture(gpu),
            (None, Some(gpu)) => gpu::Destination::Gpu(gpu),
            (None, None) => return None,
        };
        Some(gpu::Run {
            kernel,
            meta: self.meta,
            config: self.config,
            tensors: &self.tensors,
            target,
            dims: (0..self.dims.len()).map(|dim| self.dim(dim)).collect(),
            kinds: SmallVec::from_slice(kinds),
            consts: SmallVec::from_slice(consts),
            functions: SmallVec::from_slice(functions),
            memory: SmallVec::new(),
            scalars: SmallVec::new(),
            explanation: explain::is_explaining().then(|| self.explanation()),
        })
    }

    /// A kernel that has no GPU form: an error if the launch goes to one.
    ///
    /// # Errors
    /// It does.
    pub fn no_gpu(&self, reason: &'static str) -> Result<(), Error> {
        if gpu::recording().is_some() || self.gpu_device().is_some() {
            return Err(LaunchError::NoGpuForm { kernel: self.meta.kernel, reason }.into());
        }
        Ok(())
    }

    /// Which loops store outputs, of which a kernel reads no element, past the caches: as the config says, or else
    /// those that are so large that they leave these before anyone can read them.
    #[must_use]
    pub fn streams(&self, parameters: &[usize]) -> Streams {
        if let Some(all) = self.config.streams() {
            return Streams { light: all, heavy: all };
        }
        let is_large = |argument: &&Argument<'_>| {
            let Span { size, shape, rank, .. } = &argument.span;
            shape[..*rank].iter().fold(*size, |bytes, length| bytes.saturating_mul(*length))
                >= worth_streaming()
        };
        let mut outputs = self.tensors.iter().filter(|argument| parameters.contains(&argument.parameter));
        // What is also an input is in the caches already.
        Streams::new(outputs.any(|argument| is_large(&argument)) && self.is_alone(parameters))
    }

    /// Whether no other argument is in the same memory as these.
    #[must_use]
    pub fn is_alone(&self, parameters: &[usize]) -> bool {
        let is_alone = |argument: &Argument<'_>| {
            let same = |other: &&Argument<'_>| Arc::ptr_eq(other.storage, argument.storage);
            self.tensors.iter().filter(same).count() == 1
        };
        self.tensors.iter().filter(|argument| parameters.contains(&argument.parameter)).all(is_alone)
    }

    /// Where products keep what they pack of a tensor that is only read, if that is wanted.
    #[must_use]
    pub fn kept(&self, parameter: usize) -> Option<&'a Kept> {
        let storage = self.tensors.iter().find(|argument| argument.parameter == parameter)?.storage;
        let is_written = |argument: &Argument<'_>| {
            Arc::ptr_eq(argument.storage, storage) && self.meta.tensors[argument.parameter].writable
        };
        (storage.kept().is_wanted() && !self.tensors.iter().any(is_written)).then_some(storage.kept())
    }

    /// The instruction set to run.
    #[must_use]
    pub fn isa(&self) -> InstructionSet {
        self.isa
    }

    /// A hint how much work all programs together are, in additions of f32 (a multiply-add is 2, an
    /// `exp` about 10, an element loaded or stored about 4). Little work stays on the calling thread;
    /// without a hint, work is taken for much.
    pub fn cost(&mut self, operations: f64) {
        self.cost = operations;
    }

    /// What the kernel does; also its [`Launch::cost`].
    pub fn work(&mut self, work: &'static Work) {
        self.cost = work.cost(|dim| f64::from(self.dim(dim)));
        self.work = Some(work);
    }

    /// How many threads `run` may use for the work that `cost` named.
    ///
    /// # Errors
    /// `TILEWRIGHT_THREADS` is not a number of threads.
    pub fn threads(&self) -> Result<usize, Error> {
        let limit = cpu::thread_limit()?.min(self.config.thread_limit().unwrap_or(usize::MAX));
        let worth = (self.cost / WORTH_A_THREAD) as usize;
        if limit.min(worth) <= 1 {
            return Ok(1);
        }
        Ok(limit.min(worth).min(rayon::current_num_threads()))
    }

    /// Runs `program` for every block of the grid; several may run at once. Can be called again for a
    /// further phase.
    ///
    /// # Safety
    /// The kernel's tensors are those given to this launch. For any grid position inside `grid`, and
    /// `workspace_bytes` bytes of workspace, `program` may be called with `args`, concurrently with
    /// itself at other positions.
    ///
    /// # Errors
    /// A program met an index outside a tensor.
    ///
    /// # Panics
    /// A program panics, or `finish` did not come first.
    pub unsafe fn run<A: Sync>(
        &mut self,
        args: &A,
        grid: &[GridAxis],
        workspace_bytes: usize,
        program: unsafe fn(&A, &mut Program<'_>),
    ) -> Result<(), Error> {
        assert!(self.finished, "Launch::finish comes before Launch::run");
        assert!(self.gpu_device().is_none(), "programs of the CPU run on its own tensors");
        // A workspace that cannot be is found before anything runs.
        let (kernel, bytes) = (self.meta.kernel, workspace_bytes);
        if Workspace::take(bytes).is_none() {
            return Err(LaunchError::Workspace { kernel, bytes }.into());
        }
        let threads = self.threads()?;
        if explain::is_explaining() {
            explain::keep(self.explained(grid, workspace_bytes, threads));
            return Ok(());
        }
        let job = grid::Job { args, program, grid, workspace_bytes, faults: &self.faults };
        // SAFETY: promised by the caller; `finish` took the locks.
        unsafe { job.run(threads) };
        if self.faults.lacked_memory() {
            return Err(LaunchError::Workspace { kernel, bytes }.into());
        }
        self.faults()
    }

    /// What programs reported, which `run` returns.
    fn faults(&self) -> Result<(), Error> {
        let Some(fault) = self.faults.first() else {
            return Ok(());
        };
        let meta = &self.meta.tensors[fault.tensor];
        let length = self.dims[meta.dims[fault.dimension]].map_or(0, |place| place.length);
        Err(Error::IndexOutOfBounds {
            kernel: self.meta.kernel,
            tensor: meta.name,
            dimension: fault.dimension,
            index: fault.index,
            length,
        })
    }
}

/// The config's instruction set, or what the device runs.
fn instruction_set(config: &Config) -> Result<InstructionSet, LaunchError> {
    match config.wanted_instruction_set() {
        Some(set) if set.is_available() => Ok(set),
        Some(set) => {
            let message = format!("the config asks for {}, but this processor lacks it", set.name());
            Err(LaunchError::InstructionSet { message })
        }
        None => cpu::instruction_set(),
    }
}

impl Drop for Launch<'_> {
    fn drop(&mut self) {
        for argument in &self.tensors {
            match argument.held {
                Held::No => {}
                Held::Shared => argument.storage.unlock_shared(),
                Held::Exclusive => argument.storage.unlock_exclusive(),
            }
        }
    }
}

#[cfg(test)]
mod tests;
