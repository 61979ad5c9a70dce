//! What a launch would do, in words and figures, instead of doing it.

pub(crate) mod machine;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

/// What a kernel decided for one launch: its schedule, and what of that depends on shapes and the machine.
/// `Display` says all of it, a line each.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The kernel.
    pub kernel: &'static str,
    /// Where it runs: `avx512`, or a GPU's name.
    pub target: String,
    /// Threads that run programs; on a GPU, the threads of a program.
    pub threads: usize,
    /// Programs of the grid.
    pub programs: usize,
    /// The block of each tiled axis, by its key in a [`Config`](crate::Config).
    pub blocks: Vec<(&'static str, i32)>,
    /// Bytes of tile buffers of a thread; on a GPU, of shared memory of a program.
    pub workspace: usize,
    /// Each matrix product: how it is computed.
    pub products: Vec<String>,
    /// Bytes of tensors that are read, each once.
    pub bytes_read: f64,
    /// Bytes of tensors that are written, each once.
    pub bytes_written: f64,
    /// Operations on elements; two for each multiply-add of a product.
    pub flops: f64,
    /// Whether `bytes` and `flops` are upper bounds, as a loop's bounds are computed.
    pub at_most: bool,
    /// How long the launch takes, on a CPU.
    pub time: Option<Time>,
    /// The loops, as `name::schedule()` gives them.
    pub schedule: &'static str,
}

/// How long a launch takes, from what this machine was measured to do.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Time {
    /// What reading and writing these bytes takes, by a plain loop over as much memory on as many threads.
    pub memory: Duration,
    /// What the multiply-adds of the products take, and the other operations as if each were one of a vector.
    pub arithmetic: Duration,
    /// What it is likely to take: with functions such as `exp` as long as they are, threads woken, and the
    /// last programs running while other threads have none.
    pub estimate: Duration,
}

impl Time {
    /// No launch is faster: the longer one of `memory` and `arithmetic`.
    ///
    /// ```
    /// use tilewright::prelude::*;
    ///
    /// #[kernel]
    /// fn double<T: Float, N>(x: &Tensor<T, N>, out: &mut Tensor<T, N>) {
    ///     for n in tile(N) {
    ///         out[n] = (x[n] * 2.0).cast();
    ///     }
    /// }
    ///
    /// let (x, mut out) = (Tensor::<f32>::zeros(1000), Tensor::<f32>::zeros(1000));
    /// let time = double::explain(&x, &mut out)?.time.expect("it is for a CPU");
    /// assert!(time.floor() <= time.estimate);
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn floor(&self) -> Duration {
        self.memory.max(self.arithmetic)
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Explanation { kernel, target, threads, programs, workspace, .. } = self;
        let blocks: Vec<String> = self.blocks.iter().map(|(key, block)| format!("{key}={block}")).collect();
        let blocks = if blocks.is_empty() { String::new() } else { format!(" blocks {},", blocks.join(" ")) };
        let is_gpu = self.time.is_none();
        let (on, of) = if is_gpu { (" of ", " each") } else { (" on ", "") };
        writeln!(
            f,
            "{kernel} on {target}: {} program{},{blocks}{on}{threads} thread{}{of}, {} of {}",
            programs,
            plural(*programs),
            plural(*threads),
            bytes(*workspace as f64),
            if is_gpu { "shared memory" } else { "workspace a thread" }
        )?;
        for line in self.schedule.lines() {
            writeln!(f, "  {line}")?;
        }
        for product in &self.products {
            writeln!(f, "product: {product}")?;
        }
        let at_most = if self.at_most { "at most " } else { "" };
        writeln!(
            f,
            "moves {at_most}{} in and {} out, computes {at_most}{} FLOP",
            bytes(self.bytes_read),
            bytes(self.bytes_written),
            scaled(self.flops)
        )?;
        if let Some(time) = &self.time {
            let bound = if time.memory >= time.arithmetic { "memory" } else { "arithmetic" };
            let rate = (self.bytes_read + self.bytes_written) / time.memory.as_secs_f64().max(1e-12);
            let pace = self.flops / time.arithmetic.as_secs_f64().max(1e-12);
            writeln!(
                f,
                "floor {} ({bound}): memory {} at {}B/s, arithmetic {} at {}FLOP/s, as measured here",
                duration(time.floor()),
                duration(time.memory),
                scaled(rate),
                duration(time.arithmetic),
                scaled(pace)
            )?;
            writeln!(f, "estimate {}", duration(time.estimate))?;
        }
        Ok(())
    }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

fn bytes(n: f64) -> String {
    format!("{}B", scaled(n))
}

/// Three digits and a prefix of a thousand's power.
fn scaled(x: f64) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P"];
    let at = if x < 1000.0 { 0 } else { ((x.log10() / 3.0) as usize).min(prefixes.len() - 1) };
    let x = x / 1000f64.powi(at as i32);
    let digits = if x >= 100.0 || x.fract() == 0.0 {
        0
    } else if x >= 10.0 {
        1
    } else {
        2
    };
    format!("{x:.digits$} {}", prefixes[at])
}

fn duration(of: Duration) -> String {
    let micros = of.as_secs_f64() * 1e6;
    let (x, unit) = if micros < 1000.0 { (micros, "µs") } else { (micros / 1e3, "ms") };
    let digits = if x >= 100.0 {
        0
    } else if x >= 10.0 {
        1
    } else {
        2
    };
    format!("{x:.digits$} {unit}")
}

thread_local! {
    static KEPT: RefCell<Option<Vec<Explanation>>> = const { RefCell::new(None) };
}

/// Runs `calls` so that the kernels launched by it on this thread compute nothing, and gives what each would do, in
/// order. Arguments are checked as for a launch. The first explanation for a machine measures it, for some
/// tens of milliseconds.
///
/// ```
/// use tilewright::prelude::*;
///
/// #[kernel]
/// fn double<T: Float, N>(x: &Tensor<T, N>, out: &mut Tensor<T, N>) {
///     for n in tile(N) {
///         out[n] = (x[n] * 2.0).cast();
///     }
/// }
///
/// let (x, mut out) = (Tensor::full(1000, 1.0f32), Tensor::<f32>::zeros(1000));
/// let (result, launches) = tilewright::explain(|| double::with(&Config::new().set("n", 100), &x, &mut out));
/// result?;
/// assert_eq!(launches[0].programs, 10);
/// assert_eq!((launches[0].bytes_read, launches[0].bytes_written), (4000.0, 4000.0));
/// assert_eq!(out.get(0)?, 0.0);
/// println!("{}", launches[0]);
/// # Ok::<(), Error>(())
/// ```
pub fn explain<R>(calls: impl FnOnce() -> R) -> (R, Vec<Explanation>) {
    /// Puts back what was there before, also if `calls` panics.
    struct Restore(Option<Vec<Explanation>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            KEPT.set(self.0.take());
        }
    }
    let _restore = Restore(KEPT.replace(Some(Vec::new())));
    let result = calls();
    let explanations = KEPT.with_borrow_mut(|kept| kept.take().unwrap_or_default());
    (result, explanations)
}

/// Whether launches on this thread are explained.
pub(crate) fn is_explaining() -> bool {
    KEPT.with_borrow(Option::is_some)
}

pub(crate) fn keep(explanation: Explanation) {
    KEPT.with_borrow_mut(|kept| {
        if let Some(kept) = kept {
            kept.push(explanation);
        }
    });
}
