//! Tensors and kernels on an NVIDIA GPU, through the driver's interface: on machines without one, over the
//! emulated driver and compiler of tests/emulator. `TILEWRIGHT_DEVICE=cuda:0` takes a real one.

#[path = "emulator/mod.rs"]
mod emulator;
#[path = "gpu/mod.rs"]
mod gpu;

use tilewright::{Device, DeviceError, Error, Platform};

const PLATFORM: Platform = Platform::Cuda;

fn nth(ordinal: usize) -> Result<Device, Error> {
    Device::cuda(ordinal)
}

#[test]
fn without_a_driver_the_error_names_its_library() {
    let here = ["TW_EMULATOR_INSIDE", "TILEWRIGHT_DEVICE"].map(std::env::var_os).iter().any(Option::is_some);
    if std::path::Path::new("/dev/nvidiactl").exists() || here {
        println!("skipped: there is a driver here");
        return;
    }
    let error = Device::cuda(0).unwrap_err();
    assert!(matches!(error, Error::Device(DeviceError::NoDriver { .. })), "{error:?}");
    assert!(error.to_string().contains("libcuda.so.1") && error.to_string().contains("NVIDIA"), "{error}");
}
