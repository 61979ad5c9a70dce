//! Tensors that go to a GPU and back.

use std::fmt::Debug;
use tilewright::prelude::*;

use tilewright::{Element, LaunchError, TensorError};

use super::{Outcome, device, inside, softmax};

fn round_trip<T: Element + PartialEq + Debug>(values: Vec<T>) -> Outcome {
    let device = device()?;
    let n = values.len();
    let x = Tensor::from_vec((2, n / 2), values.clone())?;
    let there = x.to(&device)?;
    assert_eq!(there.device(), device);
    assert_eq!(there.to(&Device::cpu())?.to_vec(), values);
    let turned = there.transpose(0, 1)?;
    assert_eq!(turned.to(&Device::cpu())?.to_vec(), x.transpose(0, 1)?.to_vec());
    assert_eq!(x.transpose(0, 1)?.to(&device)?.to(&Device::cpu())?.to_vec(), x.transpose(0, 1)?.to_vec());
    let part = there.narrow(1, 1, n / 2 - 1)?.flip(1)?;
    assert_eq!(part.to(&Device::cpu())?.to_vec(), x.narrow(1, 1, n / 2 - 1)?.flip(1)?.to_vec());
    Ok(())
}

#[test]
fn large_tensors_arrive_whole() -> Outcome {
    if !inside(module_path!(), "large_tensors_arrive_whole", &[]) {
        return Ok(());
    }
    // Several turns of the pinned buffers, and a part of one.
    let values: Vec<i32> = (0..5 * (2 << 20) + 77).map(|at: i32| at.wrapping_mul(-1_640_531_535)).collect();
    let tensor = Tensor::from_vec(values.len(), values.clone())?.to(&device()?)?;
    assert_eq!(tensor.to(&Device::cpu())?.to_vec(), values);
    Ok(())
}

#[test]
fn tensors_go_to_a_device_and_back_in_every_type_and_view() -> Outcome {
    if !inside(module_path!(), "tensors_go_to_a_device_and_back_in_every_type_and_view", &[]) {
        return Ok(());
    }
    round_trip((0..10).map(|i| i as f32 * 0.5).collect())?;
    round_trip((0..10).map(|i| f64::from(i) * 0.5).collect())?;
    round_trip((0..10).map(|i| f16::from_f32(i as f32)).collect())?;
    round_trip((0..10).map(|i| bf16::from_f32(i as f32)).collect())?;
    round_trip((0..10i8).collect())?;
    round_trip((0..10u8).collect())?;
    round_trip((0..10i16).collect())?;
    round_trip((0..10u16).collect())?;
    round_trip((0..10i32).collect())?;
    round_trip((0..10u32).collect())?;
    round_trip((0..10i64).collect())?;
    round_trip((0..10).map(|i| i % 3 == 0).collect::<Vec<bool>>())?;
    let empty = Tensor::<f32>::zeros((3, 0)).to(&device()?)?.to(&Device::cpu())?;
    assert_eq!(empty.shape(), [3, 0]);
    let zeros = Tensor::<f32>::zeros_on((3, 5), &device()?)?.to(&Device::cpu())?;
    assert_eq!(zeros.to_vec(), [0.0; 15]);
    Ok(())
}

#[test]
fn the_host_cannot_touch_a_devices_elements() -> Outcome {
    if !inside(module_path!(), "the_host_cannot_touch_a_devices_elements", &[]) {
        return Ok(());
    }
    let mut x = Tensor::<f32>::arange(6).reshape((2, 3))?.to(&device()?)?;
    let refused = |result: Result<(), TensorError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, TensorError::OnDevice { .. }), "{error:?}");
        assert!(error.to_string().contains(".to(&Device::cpu())"), "{error}");
    };
    refused(x.read().map(drop));
    refused(x.write().map(drop));
    refused(x.iter().map(drop));
    refused(x.try_to_vec().map(drop));
    refused(x.get((0, 0)).map(drop));
    refused(x.set((0, 0), 1.0));
    refused(x.fill(1.0));
    refused(x.copy().map(drop));
    refused(x.cast::<f64>().map(drop));
    println!("{x:?}");
    let mut out = Tensor::<f32>::zeros((2, 3));
    assert!(softmax::reference(&x, &mut out).is_err());
    let error = softmax(&x, &mut out).unwrap_err();
    assert!(matches!(error, Error::Launch(LaunchError::Devices { .. })), "{error}");
    Ok(())
}

#[test]
fn tensors_are_copied_between_devices_in_place() -> Outcome {
    if !inside(module_path!(), "tensors_are_copied_between_devices_in_place", &[]) {
        return Ok(());
    }
    let device = device()?;
    let host = |x: &Tensor<i32>| Ok::<_, Error>(x.to(&Device::cpu())?.to_vec());
    let numbers = Tensor::<i32>::arange(6).reshape((2, 3))?;
    let mut x = Tensor::<i32>::full((2, 3), 7).to(&device)?;
    x.copy_from(&numbers.flip(1)?)?;
    assert_eq!(host(&x)?, [2, 1, 0, 5, 4, 3]);
    // A view that is not contiguous: what lies between stays.
    x.narrow(1, 1, 2)?.copy_from(&Tensor::full((2, 2), 9))?;
    assert_eq!(host(&x)?, [2, 9, 9, 5, 9, 9]);
    x.flip(1)?.flip(0)?.copy_from(&numbers)?;
    assert_eq!(host(&x)?, [5, 4, 3, 2, 1, 0]);
    // On the device, and back to the host's memory.
    let mut y = Tensor::zeros_on((2, 3), &device)?;
    y.copy_from(&x)?;
    y.select(0, 1)?.copy_from(&x.select(0, 0)?.to(&Device::cpu())?)?;
    assert_eq!(host(&y)?, [5, 4, 3, 5, 4, 3]);
    let mut here = Tensor::zeros((3, 2));
    here.copy_from(&y.transpose(0, 1)?)?;
    assert_eq!(here.to_vec(), [5, 5, 4, 4, 3, 3]);
    y.narrow(0, 0, 0)?.copy_from(&Tensor::zeros((0, 3)))?;
    // Refused: another shape, its own storage, a broadcast view.
    assert!(matches!(y.copy_from(&here), Err(Error::Tensor(TensorError::Shape { .. }))));
    assert!(matches!(y.clone().copy_from(&y), Err(Error::Tensor(TensorError::Busy))));
    assert!(matches!(y.flip(1)?.copy_from(&y), Err(Error::Tensor(TensorError::Busy))));
    let mut broadcast = y.select(0, 0)?.broadcast_to((4, 3))?;
    assert!(matches!(broadcast.copy_from(&Tensor::zeros((4, 3))), Err(Error::Tensor(_))));
    assert_eq!(host(&y)?, [5, 4, 3, 5, 4, 3]);
    Ok(())
}
