//! A launch like one before makes no plan and no allocation; one that differs in anything a plan hangs on
//! makes its own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use tilewright::prelude::*;

use super::kernels::{linear, near};
use super::{Outcome, device, inside, nth, softmax};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread asks for.
struct Counting;

// SAFETY: the system's allocator does all of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // After a thread's values are gone nothing is counted.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// As `softmax`, in all but what it computes.
#[kernel]
fn centred<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        out[(m, ..)] = (row - row.mean(N)).cast();
    }
}

#[device]
fn twice(x: f32) -> f32 {
    x * 2.0
}

#[device]
fn negated(x: f32) -> f32 {
    -x
}

#[kernel]
fn mapped<F: Fn(f32) -> f32, const ADD: bool, M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        let one = if ADD { 1.0 } else { 0.0 };
        out[m] = F(x[m]) + one;
    }
}

/// Plans that `launch` makes.
fn plans(launch: impl FnOnce() -> Outcome) -> Result<u64, Error> {
    let before = tilewright::private::gpu::recipes().1;
    launch()?;
    Ok(tilewright::private::gpu::recipes().1 - before)
}

fn numbers<T: Float>(m: usize, n: usize) -> Result<Tensor<T>, Error> {
    Ok(Tensor::<f32>::from_fn((m, n), |at| (at[0] + at[1] % 7) as f32).cast()?)
}

#[test]
fn a_launch_like_one_before_needs_no_plan() -> Outcome {
    if !inside(module_path!(), "a_launch_like_one_before_needs_no_plan", &[]) {
        return Ok(());
    }
    let device = device()?;
    let check = |x: &Tensor<f16>, out: &Tensor<f16>, config: &str| {
        let (mut here, mut there) = (Tensor::zeros(x.shape()), out.clone());
        softmax(&x.to(&Device::cpu())?, &mut here)?;
        let made = plans(|| softmax::with(&config.parse()?, x, &mut there))?;
        near(&there, &here, 4e-3).map(|()| made)
    };
    let fresh = |m, n| Tensor::<f16>::zeros_on((m, n), &device);
    let x = numbers(5, 72)?.to(&device)?;
    assert_eq!(check(&x, &fresh(5, 72)?, "")?, 1, "the first");
    assert_eq!(check(&x, &fresh(5, 72)?, "")?, 0, "the same again");
    assert_eq!(check(&numbers(5, 72)?.to(&device)?, &fresh(5, 72)?, "")?, 0, "another tensor of that shape");
    assert_eq!(check(&x, &fresh(5, 72)?, "m=2")?, 1, "another config");
    // Of the same strides and addresses: only the length differs.
    assert_eq!(check(&x.narrow(1, 0, 64)?, &fresh(5, 72)?.narrow(1, 0, 64)?, "")?, 1, "another length");
    assert_eq!(check(&x.narrow(0, 0, 3)?, &fresh(3, 72)?, "")?, 1, "another count of rows");
    // Of the same shape and address: only the stride differs. Then only the address does.
    let wide = numbers(5, 152)?.to(&device)?;
    assert_eq!(check(&wide.narrow(1, 0, 72)?, &fresh(5, 72)?, "")?, 1, "another stride");
    assert_eq!(check(&wide.narrow(1, 1, 72)?, &fresh(5, 72)?, "")?, 1, "another alignment");
    assert_eq!(check(&wide.narrow(1, 9, 72)?, &fresh(5, 72)?, "")?, 0, "an address aligned alike");
    Ok(())
}

#[test]
fn launches_of_another_kind_make_plans_of_their_own() -> Outcome {
    let name = "launches_of_another_kind_make_plans_of_their_own";
    if !inside(module_path!(), name, &[("TW_EMULATOR_DEVICES", "2")]) {
        return Ok(());
    }
    let on = |device: &Device| -> Result<[u64; 3], Error> {
        let x = numbers::<f32>(5, 72)?;
        let mut here = Tensor::zeros((5, 72));
        let (there, half) = (x.to(device)?, x.cast::<f16>()?.to(device)?);
        let (mut out, mut out_half) =
            (Tensor::zeros_on((5, 72), device)?, Tensor::zeros_on((5, 72), device)?);
        let first = plans(|| softmax(&there, &mut out))?;
        let kind = plans(|| softmax(&half, &mut out_half))?;
        let kernel = plans(|| centred(&there, &mut out))?;
        centred(&x, &mut here)?;
        near(&out, &here, 1e-5)?;
        softmax(&x, &mut here)?;
        near(&out_half, &here.cast()?, 4e-3)?;
        Ok([first, kind, kernel])
    };
    assert_eq!(on(&nth(0)?)?, [1, 1, 1], "a type, a kernel");
    assert_eq!(on(&nth(1)?)?, [1, 1, 1], "on another device");
    assert_eq!(on(&nth(1)?)?, [0, 0, 0], "again");

    let x = Tensor::from_fn(40, |at| at[0] as f32).to(&device()?)?;
    let mut out = Tensor::zeros_on(40, &device()?)?;
    let mut third = |launch: &dyn Fn(&mut Tensor<f32>) -> Outcome| {
        let made = plans(|| launch(&mut out))?;
        Ok::<_, Error>((made, out.to(&Device::cpu())?.to_vec()[3]))
    };
    assert_eq!(third(&|out| mapped::<twice, false>(&x, out))?, (1, 6.0));
    assert_eq!(third(&|out| mapped::<twice, true>(&x, out))?, (1, 7.0), "another constant");
    assert_eq!(third(&|out| mapped::<negated, true>(&x, out))?, (1, -2.0), "another function");
    assert_eq!(third(&|out| mapped::<twice, true>(&x, out))?, (0, 7.0));
    Ok(())
}

#[test]
fn a_launch_like_one_before_allocates_nothing() -> Outcome {
    // Where there is a copy engine: its maps are made anew for each launch.
    let name = "a_launch_like_one_before_allocates_nothing";
    if !inside(module_path!(), name, &[("TW_EMULATOR_ARCH", "90")]) {
        return Ok(());
    }
    let device = device()?;
    let (a, b) = (numbers::<bf16>(128, 64)?.to(&device)?, numbers::<bf16>(128, 64)?.to(&device)?);
    let mut product = Tensor::zeros_on((128, 128), &device)?;
    let mut rows = Tensor::zeros_on((128, 128), &device)?;
    for turn in 0..3 {
        let before = ALLOCATIONS.get();
        linear(&a, &b, &mut product)?;
        softmax(&product, &mut rows)?;
        let made = ALLOCATIONS.get() - before;
        assert!(turn == 0 || made == 0, "{made} allocations in turn {turn}");
    }
    // Other addresses, the same recipe: a map of the first tensor's would give the first product.
    let c = Tensor::<bf16>::zeros_on((128, 64), &device)?;
    assert_eq!(plans(|| linear(&a, &c, &mut product))?, 0);
    near(&product, &Tensor::zeros((128, 128)), 0.0)
}
