//! One launch on a GPU: collects arguments, makes the plan, packs, runs.

use std::sync::Arc;

use smallvec::SmallVec;

use super::recipes::{self, Recipe};
use super::{Architecture, Function, Kernel, Memory, Plan, Problem, record};
use crate::config::Config;
use crate::device::gpu::{Call, Gpu, Step};
use crate::device::graph;
use crate::element::Kind;
use crate::error::{Error, LaunchError};
use crate::explain::{self, Explanation};
use crate::launch::{Argument, Meta, View};

/// Of an encoded tensor map.
const TENSOR_MAP_BYTES: usize = 128;
const TENSOR_MAP_ALIGN: usize = 64;
/// Of the devices that recorded launches are for: an H100's.
const RECORDED_MULTIPROCESSORS: u32 = 132;

/// A launch whose arguments are being collected.
pub struct Run<'l> {
    pub(crate) kernel: &'static Kernel,
    pub(crate) meta: &'static Meta,
    pub(crate) config: &'l Config,
    pub(crate) tensors: &'l [Argument<'l>],
    pub(crate) target: Destination,
    pub(crate) dims: SmallVec<[i32; 8]>,
    pub(crate) kinds: SmallVec<[Kind; 4]>,
    pub(crate) consts: SmallVec<[i64; 4]>,
    pub(crate) functions: SmallVec<[&'static Function; 2]>,
    pub(crate) memory: SmallVec<[Memory; 6]>,
    pub(crate) scalars: SmallVec<[SmallVec<[u8; 8]>; 4]>,
    /// If it is to be explained instead of run: what is known so far.
    pub(crate) explanation: Option<Explanation>,
}

/// Where a launch goes.
pub(crate) enum Destination {
    /// Nowhere: its text is kept.
    Record(Architecture),
    /// To a GPU.
    Gpu(&'static Gpu),
    /// To a GPU later, as a part of a graph.
    Capture(&'static Gpu),
}

/// The argument block: values one after the other, each at a multiple of its size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bytes(pub SmallVec<[u8; 768]>);

impl Bytes {
    fn align(&mut self, to: usize) {
        let length = self.0.len().next_multiple_of(to);
        self.0.resize(length, 0);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.align(bytes.len().max(1));
        self.0.extend_from_slice(bytes);
    }
}

/// A scalar argument: its bytes are the device's.
pub trait Scalar: Copy {
    /// Little-endian, as on all GPUs.
    fn bytes(self) -> SmallVec<[u8; 8]>;
}

macro_rules! scalars {
    ($($T:ty)*) => {$(
        impl Scalar for $T {
            fn bytes(self) -> SmallVec<[u8; 8]> {
                SmallVec::from_slice(&self.to_le_bytes())
            }
        }
    )*};
}
scalars! { f32 f64 i8 u8 i16 u16 i32 u32 i64 half::f16 half::bf16 }

macro_rules! eighths {
    ($($T:ty)*) => {$(
        impl Scalar for $T {
            fn bytes(self) -> SmallVec<[u8; 8]> {
                SmallVec::from_slice(&[self.to_bits()])
            }
        }
    )*};
}
eighths! { crate::f8e4m3 crate::f8e5m2 }

impl Scalar for bool {
    fn bytes(self) -> SmallVec<[u8; 8]> {
        SmallVec::from_slice(&[u8::from(self)])
    }
}

impl Run<'_> {
    /// The next tensor of the kernel's signature.
    pub fn tensor<T>(&mut self, view: &View<T>) {
        let rank = self.meta.tensors.get(self.memory.len()).map_or(0, |tensor| tensor.dims.len());
        self.memory.push(Memory {
            address: view.ptr.addr() as u64,
            lengths: SmallVec::from_slice(&view.dims[..rank]),
            strides: view.strides[..rank].iter().map(|stride| *stride as i64).collect(),
            size: size_of::<T>(),
        });
    }

    /// The next scalar of the kernel's signature.
    pub fn scalar(&mut self, value: impl Scalar) {
        self.scalars.push(value.bytes());
    }

    /// Runs it over the grid: first index and end of each axis.
    ///
    /// # Errors
    /// A tile does not fit the device, or what the device says.
    pub fn run(self, ranges: &[(i32, i32)]) -> Result<(), Error> {
        let problem = Problem {
            kernel: self.kernel,
            meta: self.meta,
            config: self.config,
            dims: &self.dims,
            kinds: &self.kinds,
            consts: &self.consts,
            functions: &self.functions,
            memory: &self.memory,
            ranges,
            architecture: match self.target {
                Destination::Record(architecture) => architecture,
                Destination::Gpu(gpu) | Destination::Capture(gpu) => gpu.architecture(),
            },
            has_maps: match self.target {
                Destination::Record(_) => true,
                Destination::Gpu(gpu) | Destination::Capture(gpu) => gpu.has_tensor_maps(),
            },
            most_shared: match self.target {
                Destination::Record(architecture) => architecture.most_shared(),
                Destination::Gpu(gpu) | Destination::Capture(gpu) => gpu.most_shared(),
            },
            multiprocessors: match self.target {
                Destination::Record(_) => RECORDED_MULTIPROCESSORS,
                Destination::Gpu(gpu) | Destination::Capture(gpu) => gpu.multiprocessors(),
            },
        };
        if let Some(explanation) = &self.explanation {
            let plan = Plan::new(&problem)?;
            let (_, programs) = self.arguments(&plan, &problem)?;
            let target = match self.target {
                Destination::Record(_) => problem.architecture.to_string(),
                Destination::Gpu(gpu) | Destination::Capture(gpu) => gpu.to_string(),
            };
            explain::keep(Explanation {
                target,
                threads: plan.all_threads() as usize,
                programs: programs as usize,
                workspace: plan.shared as usize,
                blocks: plan.blocks(&problem).collect(),
                ..explanation.clone()
            });
            return Ok(());
        }
        match self.target {
            Destination::Record(architecture) => {
                let plan = Plan::new(&problem)?;
                let (bytes, programs) = self.arguments(&plan, &problem)?;
                record::keep(record::Unit {
                    kernel: self.kernel.name.to_string(),
                    architecture,
                    text: plan.text(&problem),
                    maps: plan.maps.clone(),
                    threads: plan.all_threads(),
                    shared: plan.shared,
                    programs,
                    arguments: bytes.0.to_vec(),
                });
                Ok(())
            }
            Destination::Gpu(gpu) => {
                let (recipe, programs, mut bytes) = self.prepare(&problem, gpu)?;
                // SAFETY: the block is as the text declares it; the launch that made this holds the storages.
                unsafe { gpu.launch(&recipe.call(programs), &mut bytes.0)? };
                Ok(())
            }
            Destination::Capture(gpu) => {
                let (recipe, programs, bytes) = self.prepare(&problem, gpu)?;
                let Call { threads, shared, .. } = recipe.call(programs);
                let (function, arguments) = (Arc::clone(&recipe.function), bytes.0.to_vec());
                let step = Step { function, programs, threads, shared, arguments };
                graph::keep(step, self.tensors.iter().map(|tensor| tensor.used(self.meta)));
                Ok(())
            }
        }
    }

    /// The compiled kernel, the number of programs, and the argument block.
    fn prepare(&self, problem: &Problem<'_>, gpu: &'static Gpu) -> Result<(Arc<Recipe>, u32, Bytes), Error> {
        let key = recipes::key(problem, gpu);
        let recipe = match recipes::find(&key) {
            Some(recipe) => recipe,
            None => {
                let plan = Plan::new(problem)?;
                let text = || plan.text(problem);
                let key_of_text = plan.key(problem);
                let function = gpu.function(key_of_text, self.meta, self.kernel.name, plan.shared, text)?;
                recipes::keep(&key, Recipe { plan, function })
            }
        };
        let plan = &recipe.plan;
        let (mut bytes, programs) = self.arguments(plan, problem)?;
        let maps_at = bytes.0.len() - TENSOR_MAP_BYTES * plan.maps.len();
        for (copy, at) in self.kernel.copies.iter().zip(plan.mapped()) {
            let Some(at) = at else { continue };
            let mut map = plan.maps[*at].clone();
            map.address = self.memory[copy.tensor].address;
            let first = maps_at + TENSOR_MAP_BYTES * at;
            gpu.encode(&map, &mut bytes.0[first..first + TENSOR_MAP_BYTES])?;
        }
        Ok((recipe, programs, bytes))
    }

    /// The argument block, with room for tensor maps at its end, and how many programs are launched.
    fn arguments(&self, plan: &Plan, problem: &Problem<'_>) -> Result<(Bytes, u32), Error> {
        let mut programs = 1i64;
        let mut bytes = Bytes::default();
        bytes.put(&[0; 8]);
        bytes.put(&[0; 4]);
        for (axis, (first, last)) in self.kernel.grid.iter().zip(problem.ranges) {
            let count = plan.programs(*axis, *first, *last);
            programs = programs.saturating_mul(count);
            for value in [*first, *last, i32::try_from(count).unwrap_or(i32::MAX)] {
                bytes.put(&value.to_le_bytes());
            }
        }
        for memory in &self.memory {
            bytes.put(&memory.address.to_le_bytes());
            for stride in &memory.strides {
                bytes.put(&stride.to_le_bytes());
            }
            if memory.strides.is_empty() {
                bytes.put(&0i64.to_le_bytes());
            }
        }
        for dim in &self.dims {
            bytes.put(&dim.to_le_bytes());
        }
        for scalar in &self.scalars {
            bytes.put(scalar);
        }
        bytes.align(8);
        if !plan.maps.is_empty() {
            bytes.align(TENSOR_MAP_ALIGN);
        }
        let length = bytes.0.len() + TENSOR_MAP_BYTES * plan.maps.len();
        bytes.0.resize(length, 0);
        let fits = i32::try_from(programs).is_ok();
        let Some(programs) = u32::try_from(programs).ok().filter(|_| fits) else {
            return Err(LaunchError::TooManyPrograms { kernel: self.meta.kernel, programs }.into());
        };
        Ok((bytes, if plan.persistent { programs.min(problem.multiprocessors) } else { programs }))
    }
}
