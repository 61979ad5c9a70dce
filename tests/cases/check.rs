//! How a kernel is compared with its reference.
//!
//! Every kernel runs on each instruction set that the processor has, with each given config, into
//! outputs that hold the same old values as the reference's. Integers and bools must be equal, and so
//! must NaN and infinities; floats may be apart as [`Within`] says.

use crate::data::Sample;
use crate::emulated;
use tilewright::LaunchError;
use tilewright::prelude::*;
use tilewright::simd::InstructionSet;

/// How far an output may be from the reference.
#[derive(Clone, Copy, Debug)]
pub enum Within {
    /// Not at all: the operation is exact, or rounded once.
    Exact,
    /// So many units in the last place of the element type: functions are within 2 of the true value,
    /// which the reference rounds.
    Ulps(f64),
    /// A sum of so many terms of at most the given size, each rounded in f32 (or f64, for f64): one
    /// rounding a term at worst, and one of the element type.
    Sum(usize, f64),
}

impl Within {
    /// A sum of `terms` products of `E` of size 4 at most. Of floats of 8 bits the H100's matrix cores keep some 14
    /// bits, counted from the largest of an instruction's addends.
    pub fn products<E: Sample>(terms: usize) -> Within {
        let is_eighth = (1..=4).contains(&E::PRECISION.0);
        Within::Sum(if is_eighth { 4 * terms } else { terms }, 4.0 * terms as f64)
    }

    fn bound<E: Sample>(self, wanted: f64) -> f64 {
        let (digits, least) = E::PRECISION;
        let exponent = if wanted == 0.0 { least } else { wanted.abs().log2().floor() as i32 };
        let ulp = f64::from(exponent.max(least) - digits + 1).exp2();
        match self {
            Within::Exact => 0.0,
            Within::Ulps(ulps) => ulps * ulp,
            Within::Sum(terms, size) => {
                let epsilon = f64::from(1 - digits.max(24)).exp2();
                epsilon * (terms as f64 + 4.0) * size + ulp
            }
        }
    }
}

/// The outputs of a kernel: a tuple of tensors.
pub trait Outputs: Sized {
    /// Tensors of their own with the same values and layouts.
    fn fresh(&self) -> Self;
    /// The same on a device.
    fn on(&self, device: &Device) -> Self;
    /// # Panics
    /// Some element is too far from the wanted one.
    fn compare(&self, wanted: &Self, names: &[&str], within: &[Within], context: &str);
}

macro_rules! outputs {
    ($($ty:ident $at:tt),*) => {
        impl<$($ty: Sample),*> Outputs for ($(Tensor<$ty>,)*) {
            fn fresh(&self) -> Self {
                ($(copy(&self.$at),)*)
            }
            fn on(&self, device: &Device) -> Self {
                ($(moved(&self.$at, device),)*)
            }
            fn compare(&self, wanted: &Self, names: &[&str], within: &[Within], context: &str) {
                $(compare(&self.$at, &wanted.$at, names[$at], within[$at.min(within.len() - 1)], context);)*
            }
        }
    };
}

outputs!(A 0);
outputs!(A 0, B 1);
outputs!(A 0, B 1, C 2);
outputs!(A 0, B 1, C 2, D 3);
outputs!(A 0, B 1, C 2, D 3, E 4);
outputs!(A 0, B 1, C 2, D 3, E 4, F 5);
outputs!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
outputs!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
outputs!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
outputs!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
outputs!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
outputs!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
outputs!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13);

/// The dimensions by their strides, and back.
fn order<E: Element>(tensor: &Tensor<E>) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..tensor.rank()).collect();
    order.sort_by_key(|dimension| std::cmp::Reverse(tensor.strides()[*dimension].unsigned_abs()));
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(at, dimension)| back[*dimension] = at);
    (order, back)
}

/// On a device; a transposed tensor stays one.
fn moved<E: Element>(tensor: &Tensor<E>, device: &Device) -> Tensor<E> {
    let (order, back) = order(tensor);
    tensor.permute(&order).unwrap().to(device).unwrap().permute(&back).unwrap()
}

thread_local! {
    /// Where the kernel that is called takes its inputs.
    static DEVICE: std::cell::RefCell<Option<Device>> = const { std::cell::RefCell::new(None) };
}

/// An input of a kernel, where it runs.
pub fn there<E: Element>(tensor: &Tensor<E>) -> Tensor<E> {
    DEVICE
        .with_borrow(|device| device.as_ref().map_or_else(|| tensor.clone(), |device| moved(tensor, device)))
}

/// The GPU of `TILEWRIGHT_DEVICE`, on which all kernels run then, a real one say.
fn device() -> Option<Device> {
    let name = std::env::var("TILEWRIGHT_DEVICE").ok()?;
    Some(name.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// With the same strides where the view is not dense: a transposed output stays one.
fn copy<E: Sample>(tensor: &Tensor<E>) -> Tensor<E> {
    let (order, back) = order(tensor);
    let shape: Vec<usize> = order.iter().map(|dimension| tensor.shape()[*dimension]).collect();
    let mut copy = Tensor::zeros(shape).permute(&back).unwrap();
    copy.copy_from(tensor).unwrap();
    copy
}

/// # Panics
/// Some element of `got` is too far from that of `wanted`.
pub fn compare<E: Sample>(got: &Tensor<E>, wanted: &Tensor<E>, name: &str, within: Within, context: &str) {
    let (got, wanted) = (got.to_vec(), wanted.to_vec());
    assert_eq!(got.len(), wanted.len(), "{context}: {name}");
    for (at, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
        let near = match (got.float(), wanted.float()) {
            (Some(got), Some(wanted)) if got.is_finite() && wanted.is_finite() => {
                (got - wanted).abs() <= within.bound::<E>(wanted)
            }
            (Some(got), Some(wanted)) => got == wanted || (got.is_nan() && wanted.is_nan()),
            _ => got == wanted,
        };
        assert!(near, "{context}: {name}[{at}] is {got:?}, the reference says {wanted:?} ({within:?})");
    }
}

/// The instruction sets of this processor; says once what it lacks.
pub fn instruction_sets() -> impl Iterator<Item = InstructionSet> {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        for set in InstructionSet::ALL.iter().filter(|set| !set.is_available()) {
            eprintln!("not checked: {}, which this processor lacks", set.name());
        }
    });
    InstructionSet::ALL.into_iter().filter(|set| set.is_available())
}

/// Runs a kernel and its reference on copies of `outputs` and compares.
///
/// # Panics
/// They differ, or either fails.
pub fn run<O: Outputs>(
    context: &str,
    outputs: &O,
    names: &[&str],
    within: &[Within],
    configs: &[Config],
    reference: impl FnOnce(&mut O) -> Result<(), Error>,
    kernel: impl Fn(&Config, &mut O) -> Result<(), Error>,
) {
    let mut wanted = outputs.fresh();
    if let Err(error) = reference(&mut wanted) {
        panic!("{context}: the reference fails: {error}");
    }
    if let Some(device) = device() {
        for config in configs {
            let context = format!("{context}, {config}, {device}");
            let mut got = outputs.fresh().on(&device);
            DEVICE.set(Some(device));
            let result = kernel(config, &mut got);
            DEVICE.set(None);
            if let Err(Error::Launch(LaunchError::SharedMemory { .. } | LaunchError::TileTooLarge { .. })) =
                result
            {
                println!("not run: {context}: no room for these blocks");
                continue;
            }
            if let Err(error) = result {
                panic!("{context}: {error}");
            }
            got.on(&Device::cpu()).compare(&wanted, names, within, &context);
        }
        return;
    }
    if emulated::is_there() {
        for config in configs {
            let by_default = [Config::new(), Config::new().tf32()].contains(config);
            emulate(context, outputs, names, within, &wanted, by_default, &|got| kernel(config, got));
        }
        return;
    }
    for set in instruction_sets() {
        for config in configs {
            let config = config.clone().instruction_set(set);
            let context = format!("{context}, {config}");
            let mut got = outputs.fresh();
            if let Err(error) = kernel(&config, &mut got) {
                panic!("{context}: {error}");
            }
            got.compare(&wanted, names, within, &context);
        }
    }
}

/// Runs the GPU text of a kernel, if this launch is taken, and compares.
fn emulate<O: Outputs>(
    context: &str,
    outputs: &O,
    names: &[&str],
    within: &[Within],
    wanted: &O,
    by_default: bool,
    kernel: &dyn Fn(&mut O) -> Result<(), Error>,
) {
    let mut is_taken = None;
    for architecture in emulated::ARCHITECTURES {
        let mut got = outputs.fresh();
        let (result, units) = tilewright::record(emulated::named(architecture), || kernel(&mut got));
        if let Err(Error::Launch(LaunchError::SharedMemory { .. } | LaunchError::TileTooLarge { .. })) =
            result
        {
            println!("not emulated: {context}: {architecture} has no room for these blocks");
            continue;
        }
        if let Err(error) = result {
            panic!("{context}: {error}");
        }
        for unit in &units {
            // The first architecture decides for all.
            if !*is_taken.get_or_insert_with(|| emulated::is_taken(unit)) {
                return;
            }
            if by_default {
                emulated::keep(unit);
            }
            if !emulated::is_run(unit) {
                continue;
            }
            let started = std::time::Instant::now();
            let fault = emulated::launch(unit).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(fault[0], 0, "{context}: a fault is reported: {fault:?}");
            println!("emulated {context}: {architecture}, {} threads, {:?}", unit.threads, started.elapsed());
            got.compare(wanted, names, within, &format!("{context}, emulated {architecture}"));
        }
    }
}

/// `check!(kernel::<f32>(&x, 1.0) -> out, other; within; "m=3,n=5"; "what it is")`: inputs in
/// parentheses, outputs (tensors) behind the arrow, in the order of the signature.
macro_rules! check {
    ($kernel:ident $(::<$($generic:tt),*>)? ($($input:expr),*) -> $($output:ident),*; $within:expr; $($config:literal),*; $context:expr) => {
        $crate::check::run(
            &format!("{} {}", stringify!($kernel), $context),
            &($($output.clone(),)*),
            &[$(stringify!($output)),*],
            &$within,
            &[tilewright::Config::new() $(, $config.parse().unwrap())*],
            |($($output,)*)| $kernel::reference $(::<$($generic),*>)? ($($input,)* $($output),*),
            |config, ($($output,)*)| $kernel::with $(::<$($generic),*>)? (config, $(&$crate::check::there($input),)* $($output),*),
        )
    };
}
pub(crate) use check;
