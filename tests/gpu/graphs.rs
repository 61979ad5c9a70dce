//! Graphs: launches that are captured once and replayed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tilewright::DeviceError;
use tilewright::prelude::*;

use super::kernels::{linear, near};
use super::{Outcome, device, inside, softmax};

#[kernel]
fn doubled<N>(x: &Tensor<f32, N>, out: &mut Tensor<f32, N>) {
    for n in tile(N) {
        out[n] = x[n] * 2.0;
    }
}

#[kernel]
fn gathered<N, M>(x: &Tensor<f32, N>, at: &Tensor<i32, M>, out: &mut Tensor<f32, M>) {
    for m in tile(M) {
        out[m] = x[at[m]];
    }
}

fn wave<T: Float>(shape: (usize, usize), step: f32) -> Result<Tensor<T>, Error> {
    Ok(Tensor::<f32>::from_fn(shape, |at| ((at[0] * shape.1 + at[1]) as f32 * step).sin()).cast()?)
}

fn on_host(x: &Tensor<f32>) -> Result<Vec<f32>, Error> {
    Ok(x.to(&Device::cpu())?.to_vec())
}

#[test]
fn a_graph_computes_with_what_tensors_hold_when_it_runs() -> Outcome {
    // With a copy engine too, whose maps are a part of the arguments.
    for arch in ["80", "90"] {
        let name = "a_graph_computes_with_what_tensors_hold_when_it_runs";
        if !inside(module_path!(), name, &[("TW_EMULATOR_ARCH", arch)]) {
            continue;
        }
        let device = device()?;
        let w = wave::<bf16>((128, 64), 1.3)?;
        let mut x = Tensor::<bf16>::zeros_on((128, 64), &device)?;
        let mut out = Tensor::<bf16>::zeros_on((128, 128), &device)?;
        let graph = device.capture(|| {
            let mut product = Tensor::zeros_on((128, 128), &device)?;
            linear(&x, &w.to(&device)?, &mut product)?;
            softmax(&product.clone(), &mut product)?;
            softmax(&product, &mut out)
        })?;
        assert_eq!((graph.len(), format!("{graph:?}").as_str()), (3, "Graph of 3 launches"));
        near(&out, &Tensor::zeros((128, 128)), 0.0)?;
        // What only the graph still names lives on; what is made now does not take its place.
        let others = [(); 4].map(|()| Tensor::<bf16>::zeros_on((128, 128), &device));
        for step in [0.7, 0.3] {
            let new = wave::<bf16>((128, 64), step)?;
            x.copy_from(&new)?;
            graph.launch()?;
            let (mut product, mut once) = (Tensor::zeros((128, 128)), Tensor::zeros((128, 128)));
            linear(&new, &w, &mut product)?;
            softmax(&product, &mut once)?;
            softmax(&once, &mut product)?;
            near(&out, &product, 1e-3)?;
        }
        for other in others {
            near(&other?, &Tensor::zeros((128, 128)), 0.0)?;
        }
        return Ok(());
    }
    Ok(())
}

#[test]
fn what_a_graph_cannot_hold_is_refused() -> Outcome {
    if !inside(module_path!(), "what_a_graph_cannot_hold_is_refused", &[("TW_EMULATOR_DEVICES", "2")]) {
        return Ok(());
    }
    let (device, other) = (device()?, super::nth(1)?);
    let on = |device: &Device| -> Result<[Tensor<f32>; 2], Error> {
        Ok([Tensor::arange(9).to(device)?, Tensor::zeros_on(9, device)?])
    };
    let [x, mut out] = on(&device)?;
    let empty = device.capture(|| Ok(()))?;
    assert!(empty.is_empty());
    empty.launch()?;
    let refused = |error: Error, text: &str| {
        let capturing = matches!(error, Error::Device(DeviceError::Capturing { .. }));
        assert!(capturing && error.to_string().starts_with(text), "{error}");
    };
    for (wrong, name) in [(&Device::cpu(), "cpu".to_string()), (&other, format!("{other:?}"))] {
        let [x, mut out] = on(wrong)?;
        let error = device.capture(|| doubled(&x, &mut out)).unwrap_err();
        refused(error, &format!("launching doubled on {name} while launches of {device:?} are captured"));
        assert_eq!(on_host(&out)?, [0.0; 9]);
    }
    let nested = device.capture(|| device.capture(|| Ok(())).map(drop));
    refused(nested.unwrap_err(), "capturing another graph");
    refused(device.capture(|| x.to(&Device::cpu()).map(drop)).unwrap_err(), "copying a tensor to the host");
    let copied = device.capture(|| out.copy_from(&Tensor::zeros(9)));
    refused(copied.unwrap_err(), "copying to a tensor");
    refused(device.capture(|| empty.launch()).unwrap_err(), "launching a graph");
    let error = Device::cpu().capture(|| Ok(())).unwrap_err();
    assert!(matches!(error, Error::Device(DeviceError::NoGraphs)), "{error}");
    // What `calls` itself says, and a panic, end the capture.
    let wrong = Tensor::zeros_on(8, &device)?;
    assert!(matches!(device.capture(|| doubled(&wrong, &mut out)), Err(Error::Launch(_))));
    let panicking = AssertUnwindSafe(|| device.capture(|| panic!("in a capture")).map(drop));
    assert!(catch_unwind(panicking).is_err());
    doubled(&x, &mut out)?;
    assert_eq!(on_host(&out)?[..4], [0.0, 2.0, 4.0, 6.0]);
    Ok(())
}

#[test]
fn a_graphs_launches_report_faults() -> Outcome {
    if !inside(module_path!(), "a_graphs_launches_report_faults", &[]) {
        return Ok(());
    }
    let device = device()?;
    let x = Tensor::arange(9).to(&device)?;
    let mut at = Tensor::zeros_on(5, &device)?;
    let mut out = Tensor::zeros_on(5, &device)?;
    let graph = device.capture(|| gathered(&x, &at, &mut out))?;
    graph.launch()?;
    device.synchronize()?;
    at.copy_from(&Tensor::from_vec(5, vec![8, 7, 9, 0, 1])?)?;
    graph.launch()?;
    let error = device.synchronize().unwrap_err();
    assert!(matches!(error, Error::IndexOutOfBounds { kernel: "gathered", index: 9, .. }), "{error}");
    assert_eq!(on_host(&out)?, [8.0, 7.0, 0.0, 0.0, 1.0]);
    Ok(())
}

#[test]
fn threads_capture_and_launch_beside_each_other() -> Outcome {
    if !inside(module_path!(), "threads_capture_and_launch_beside_each_other", &[]) {
        return Ok(());
    }
    let device = device()?;
    let x = Tensor::arange(9).to(&device)?;
    let graphs = || -> Outcome {
        for _ in 0..20 {
            let mut out = Tensor::zeros_on(9, &device)?;
            let graph = device.capture(|| doubled(&x, &mut out))?;
            assert_eq!(on_host(&out)?, [0.0; 9]);
            graph.launch()?;
            assert_eq!(on_host(&out)?[..4], [0.0, 2.0, 4.0, 6.0]);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let handles = [scope.spawn(graphs), scope.spawn(graphs)];
        let launches = graphs();
        handles.into_iter().map(|handle| handle.join().expect("no panic")).fold(launches, Result::and)
    })
}
