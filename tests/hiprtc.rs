//! AMD's own runtime and compiler, where there is no GPU: the runtime loads and finds no device, and hipRTC,
//! whose built-ins are not clang's, compiles kernels. `TILEWRIGHT_ROCM` names the folder of their
//! libraries, which `.ci/gpu` fills; without it, this is skipped.

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::PathBuf;
use std::process::Command;
use std::ptr::{null, null_mut};

use tilewright::prelude::*;
use tilewright::{Architecture, DeviceError, Platform, Unit};

#[kernel]
fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = (e / e.sum(N)).cast();
    }
}

#[kernel]
fn linear<T: Float, M, N, K>(x: &Tensor<T, (M, K)>, w: &Tensor<T, (N, K)>, out: &mut Tensor<T, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = tanh(acc).cast();
    }
}

#[kernel]
fn gathered<M, N, D>(table: &Tensor<f64, (N, D)>, ids: &Tensor<i64, M>, out: &mut Tensor<f64, (M, D)>) {
    for m in tile(M) {
        out[(m, ..)] = table[(ids[m], ..)];
    }
}

fn record(architecture: Architecture) -> Result<Vec<Unit>, Error> {
    fn of<T: Float>() -> Result<(), Error> {
        let (x, w) = (Tensor::<T>::zeros((70, 64)), Tensor::<T>::zeros((130, 64)));
        let mut out = Tensor::<T>::zeros((70, 130));
        linear(&x, &w, &mut out)?;
        let mut rows = Tensor::<T>::zeros((70, 130));
        softmax(&out, &mut rows)
    }
    let (done, units) = tilewright::record(architecture, || {
        of::<f32>()?;
        of::<f16>()?;
        of::<bf16>()?;
        let table = Tensor::zeros((9, 33));
        gathered(&table, &Tensor::zeros(5), &mut Tensor::zeros((5, 33)))
    });
    done.map(|()| units)
}

/// Runs the test `name` again where the loader finds ROCm's libraries; false outside.
fn inside(name: &str) -> bool {
    if std::env::var_os("TILEWRIGHT_ROCM_INSIDE").is_some() {
        return true;
    }
    let Some(folder) = std::env::var_os("TILEWRIGHT_ROCM").map(PathBuf::from) else {
        println!("skipped: no ROCm (TILEWRIGHT_ROCM); .ci/gpu unpacks it");
        return false;
    };
    let output = Command::new(std::env::current_exe().expect("a test knows its path"))
        .args(["--exact", name, "--nocapture"])
        .env("LD_LIBRARY_PATH", folder)
        .env("TILEWRIGHT_ROCM_INSIDE", "1")
        .output()
        .expect("a test can run itself");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

#[test]
fn the_runtime_without_a_device_says_so() {
    if !inside("the_runtime_without_a_device_says_so") {
        return;
    }
    if std::path::Path::new("/dev/kfd").exists() {
        println!("skipped: there is a device here");
        return;
    }
    let error = Device::rocm(0).unwrap_err();
    let none = DeviceError::NoDevice { platform: Platform::Rocm, ordinal: 0, count: 0 };
    assert_eq!(error, Error::Device(none));
}

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// # Safety
/// `F` is the function's type.
unsafe fn symbol<F: Copy>(library: *mut c_void, name: &str) -> F {
    let name = CString::new(name).expect("no zero in a name");
    // SAFETY: an open library; the type is the caller's promise.
    unsafe {
        let pointer = dlsym(library, name.as_ptr());
        assert!(!pointer.is_null(), "{name:?}");
        std::mem::transmute_copy(&pointer)
    }
}

/// hipRTC, which was once a part of HIP, and the architectures to compile for: the early one ends the process
/// at newer ones.
fn compiler() -> (*mut c_void, &'static [&'static str]) {
    // SAFETY: RTLD_NOW; the vendor's libraries.
    let open = |name: &std::ffi::CStr| unsafe { dlopen(name.as_ptr(), 2) };
    let recent =
        [c"libhiprtc.so.7", c"libhiprtc.so.6"].map(open).into_iter().find(|library| !library.is_null());
    if let Some(library) = recent {
        return (library, &["gfx90a", "gfx942", "gfx1100", "gfx1201"]);
    }
    let library = open(c"libamdhip64.so.5");
    assert!(!library.is_null(), "no hipRTC loads");
    (library, &["gfx90a"])
}

/// hipRTC's log if the text does not compile, else the size of its code.
fn compile(library: *mut c_void, text: &str, architecture: Architecture) -> Result<usize, String> {
    type Program = *mut c_void;
    type Create = unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const Program,
        *const Program,
    ) -> c_int;
    let text = CString::new(text).expect("no zero in a text");
    let options = [format!("--offload-arch={architecture}"), "-std=c++17".into(), "-O3".into()];
    let options = options.map(|option| CString::new(option).expect("no zero in an option"));
    let options = options.each_ref().map(|option| option.as_ptr());
    // SAFETY: the types are those of hipRTC's documentation, buffers have the sizes it gives.
    unsafe {
        let create: Create = symbol(library, "hiprtcCreateProgram");
        let compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int =
            symbol(library, "hiprtcCompileProgram");
        let log_size: unsafe extern "C" fn(Program, *mut usize) -> c_int =
            symbol(library, "hiprtcGetProgramLogSize");
        let log: unsafe extern "C" fn(Program, *mut u8) -> c_int = symbol(library, "hiprtcGetProgramLog");
        let code_size: unsafe extern "C" fn(Program, *mut usize) -> c_int =
            symbol(library, "hiprtcGetCodeSize");
        let mut program = null_mut();
        assert_eq!(create(&raw mut program, text.as_ptr(), c"k.hip".as_ptr(), 0, null(), null()), 0);
        let mut bytes = 0;
        if compile(program, 3, options.as_ptr()) == 0 {
            assert_eq!(code_size(program, &raw mut bytes), 0);
            return Ok(bytes);
        }
        log_size(program, &raw mut bytes);
        let mut buffer = vec![0; bytes];
        log(program, buffer.as_mut_ptr());
        Err(String::from_utf8_lossy(&buffer).into_owned())
    }
}

#[test]
fn kernels_compile_by_hiprtc() -> Result<(), Error> {
    if !inside("kernels_compile_by_hiprtc") {
        return Ok(());
    }
    let (library, architectures) = compiler();
    for name in architectures {
        let architecture: Architecture = name.parse()?;
        let units = record(architecture)?;
        assert_eq!(units.len(), 7);
        for unit in units {
            match compile(library, &unit.text, architecture) {
                Ok(bytes) => assert!(bytes > 1000, "{} for {name}: {bytes} bytes", unit.kernel),
                Err(log) => panic!("{} for {name}: {log}", unit.kernel),
            }
        }
    }
    Ok(())
}
