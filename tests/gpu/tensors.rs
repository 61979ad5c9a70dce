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
    refused(Tensor::zeros((2, 3)).copy_from(&x));
    println!("{x:?}");
    let mut out = Tensor::<f32>::zeros((2, 3));
    assert!(softmax::reference(&x, &mut out).is_err());
    let error = softmax(&x, &mut out).unwrap_err();
    assert!(matches!(error, Error::Launch(LaunchError::Devices { .. })), "{error}");
    Ok(())
}
