//! Launches that were planned before: the same kernel on the same shapes needs no plan.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use smallvec::SmallVec;

use super::{Plan, Problem};
use crate::device::gpu::{Call, Function, Gpu};

/// A plan with its compiled kernel.
pub(super) struct Recipe {
    pub plan: Plan,
    pub function: Arc<Function>,
}

impl Recipe {
    /// Its launch.
    pub fn call(&self, programs: u32) -> Call<'_> {
        let (threads, shared) = (self.plan.all_threads(), self.plan.shared);
        Call { function: &self.function, programs, threads, shared }
    }
}

/// All that a plan hangs on, as numbers.
pub(super) type Key = SmallVec<[i64; 64]>;

/// Recipes that are kept; beyond that, all are forgotten and made again.
const MOST: usize = 4096;
/// Addresses matter by their remainder: what vectors and the copy engine ask for.
const ALIGNMENT: u64 = 16;

static FOUND: AtomicU64 = AtomicU64::new(0);
static MADE: AtomicU64 = AtomicU64::new(0);

/// Of this process: launches on GPUs that found a recipe, and those that made one.
///
/// ```
/// let (found, made) = tilewright::private::gpu::recipes();
/// assert_eq!((found, made), (0, 0));
/// ```
#[must_use]
pub fn recipes() -> (u64, u64) {
    (FOUND.load(Ordering::Relaxed), MADE.load(Ordering::Relaxed))
}

/// The key of a launch.
pub(super) fn key(problem: &Problem<'_>, gpu: &'static Gpu) -> Key {
    let mut key = Key::new();
    let address = |pointer: *const ()| pointer.addr() as i64;
    key.push(address(std::ptr::from_ref(problem.kernel).cast()));
    key.push(address(std::ptr::from_ref(gpu).cast()));
    key.extend(problem.kinds.iter().map(|kind| *kind as i64));
    key.extend(problem.consts.iter().copied());
    key.extend(problem.functions.iter().map(|function| address(std::ptr::from_ref(*function).cast())));
    key.extend(problem.dims.iter().map(|dim| i64::from(*dim)));
    for (first, last) in problem.ranges {
        key.push(i64::from(*first));
        key.push(i64::from(*last));
    }
    // Block sizes by the kernel's own list: no key of the config that matters is not in it.
    key.extend(problem.meta.axes.iter().map(|axis| problem.config.get(axis.key).map_or(-1, i64::from)));
    key.push(i64::from(problem.takes_tf32()));
    for memory in problem.memory {
        key.push((memory.address % ALIGNMENT) as i64);
        key.extend(memory.strides.iter().copied());
    }
    key
}

type Recipes = Mutex<HashMap<Box<[i64]>, Arc<Recipe>>>;

fn all() -> &'static Recipes {
    static ALL: OnceLock<Recipes> = OnceLock::new();
    ALL.get_or_init(Mutex::default)
}

pub(super) fn find(key: &Key) -> Option<Arc<Recipe>> {
    let all = all().lock().unwrap_or_else(PoisonError::into_inner);
    let recipe = all.get(&key[..]).map(Arc::clone);
    FOUND.fetch_add(u64::from(recipe.is_some()), Ordering::Relaxed);
    recipe
}

pub(super) fn keep(key: &Key, recipe: Recipe) -> Arc<Recipe> {
    MADE.fetch_add(1, Ordering::Relaxed);
    let recipe = Arc::new(recipe);
    let mut all = all().lock().unwrap_or_else(PoisonError::into_inner);
    if all.len() >= MOST {
        all.clear();
    }
    all.insert(key.to_vec().into_boxed_slice(), Arc::clone(&recipe));
    recipe
}
