//! The same kernels as GPU text, executed on the CPU by tests/emulator: `TILEWRIGHT_EMULATOR=folder`, where
//! `tests/emulator/build.sh folder` built it. Of each kernel a few launches are taken, whatever their
//! number: a compilation takes about a second.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ptr::null_mut;
use std::sync::{Mutex, OnceLock};
use tilewright::element::Kind;
use tilewright::{Architecture, TensorMap, Unit};

/// Launches of a kernel that are taken, at most.
const LAUNCHES: usize = 4;

/// What texts are recorded for: each is compiled by tests/gpu_text.rs.
pub const ARCHITECTURES: [&str; 7] = ["sm_80", "sm_90a", "sm_100a", "gfx90a", "gfx942", "gfx1100", "gfx1201"];

pub fn named(name: &str) -> Architecture {
    name.parse().expect("it is an architecture")
}

/// Whether a text is run: all are, once, and those that differ between architectures on each kind.
pub fn is_run(unit: &Unit) -> bool {
    let multiplies = unit.text.contains(" dot<Axis_");
    match &*unit.architecture.to_string() {
        // The other has warps of 64 threads, and mathematical functions of its own.
        "sm_80" | "gfx942" => true,
        "sm_90a" | "gfx1100" | "gfx1201" => multiplies,
        _ => false,
    }
}

/// Whether there is an emulator.
pub fn is_there() -> bool {
    std::env::var_os("TILEWRIGHT_EMULATOR").is_some()
}

/// Whether this launch is one of those that are emulated.
pub fn is_taken(unit: &Unit) -> bool {
    static TAKEN: OnceLock<Mutex<HashMap<String, usize>>> = OnceLock::new();
    let types = unit.text.lines().filter(|line| {
        line.starts_with("#define TW_TF32") || line.starts_with("typedef") && line.contains(" TYPE_")
    });
    let kernel = types.fold(unit.kernel.clone(), |name, line| name + line);
    let mut taken = TAKEN.get_or_init(Mutex::default).lock().unwrap();
    let count = taken.entry(kernel).or_default();
    // By its constants alone, so that a change of the prelude draws no others.
    let mut hasher = DefaultHasher::new();
    unit.text.lines().filter(|line| line.starts_with("#define TW_")).for_each(|line| line.hash(&mut hasher));
    if *count >= LAUNCHES || (*count > 0 && !hasher.finish().is_multiple_of(4)) {
        return false;
    }
    *count += 1;
    true
}

/// Whether threads stay for one program after the other.
pub fn stays(unit: &Unit) -> bool {
    unit.text.contains("#define TW_PERSISTENT 1\n")
}

/// Keeps the text for tests/gpu_text.rs: in the folder `TILEWRIGHT_TEXTS`.
pub fn keep(unit: &Unit) {
    let Some(folder) = std::env::var_os("TILEWRIGHT_TEXTS") else { return };
    let mut hasher = DefaultHasher::new();
    unit.text.hash(&mut hasher);
    let name = format!("{}-{:016x}.{}.cu", unit.kernel, hasher.finish(), unit.architecture);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(std::path::Path::new(&folder).join(name), &unit.text).unwrap();
}

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

type Handle = *mut c_void;

/// The fake driver and compiler.
struct Libraries {
    driver: usize,
    compiler: usize,
}

fn libraries() -> &'static Libraries {
    static LIBRARIES: OnceLock<Libraries> = OnceLock::new();
    LIBRARIES.get_or_init(|| {
        let folder = std::env::var("TILEWRIGHT_EMULATOR").unwrap();
        let open = |name: &str| {
            let path = CString::new(format!("{folder}/{name}")).unwrap();
            // SAFETY: RTLD_NOW | RTLD_GLOBAL on a library of ours.
            let library = unsafe { dlopen(path.as_ptr(), 0x102) };
            assert!(!library.is_null(), "{folder}/{name}: run tests/emulator/build.sh {folder}");
            library as usize
        };
        let libraries = Libraries { driver: open("libcuda.so.1"), compiler: open("libnvrtc.so.13") };
        // SAFETY: the driver API's signatures.
        unsafe {
            let init: unsafe extern "C" fn(u32) -> c_int = symbol(libraries.driver, c"cuInit");
            assert_eq!(init(0), 0);
        }
        libraries
    })
}

/// # Safety
/// `F` is the function's type.
unsafe fn symbol<F: Copy>(library: usize, name: &CStr) -> F {
    // SAFETY: the library is open; the type is the caller's promise.
    unsafe {
        let pointer = dlsym(library as Handle, name.as_ptr());
        assert!(!pointer.is_null(), "{name:?}");
        std::mem::transmute_copy(&pointer)
    }
}

/// Compiles and runs a launch in place: the addresses in it are those of tensors of this process, which is
/// the emulated GPU's memory too. Gives the fault record, or the compiler's log or the launch's code.
pub fn launch(unit: &Unit) -> Result<[i64; 5], String> {
    // SAFETY: signatures of the driver API and of NVRTC; the argument block is as the kernel's text has it.
    unsafe {
        let image = compile(unit)?;
        let driver = libraries().driver;
        let retain: unsafe extern "C" fn(*mut Handle, c_int) -> c_int =
            symbol(driver, c"cuDevicePrimaryCtxRetain");
        let enter: unsafe extern "C" fn(Handle) -> c_int = symbol(driver, c"cuCtxSetCurrent");
        let load: unsafe extern "C" fn(*mut Handle, *const u8) -> c_int = symbol(driver, c"cuModuleLoadData");
        let find: unsafe extern "C" fn(*mut Handle, Handle, *const c_char) -> c_int =
            symbol(driver, c"cuModuleGetFunction");
        let allow: unsafe extern "C" fn(Handle, c_int, c_int) -> c_int =
            symbol(driver, c"cuFuncSetAttribute");
        type Launch = unsafe extern "C" fn(
            Handle,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            Handle,
            *mut Handle,
            *mut Handle,
        ) -> c_int;
        let run: Launch = symbol(driver, c"cuLaunchKernel");
        let (mut context, mut module, mut function) = (null_mut(), null_mut(), null_mut());
        assert_eq!(retain(&raw mut context, 0), 0);
        assert_eq!(enter(context), 0);
        assert_eq!(load(&raw mut module, image.as_ptr()), 0);
        let name = CString::new(unit.kernel.as_str()).unwrap();
        assert_eq!(find(&raw mut function, module, name.as_ptr()), 0);
        assert_eq!(allow(function, 8, unit.shared as c_int), 0);
        let mut fault = [0u64; 5];
        let mut arguments = unit.arguments.clone();
        arguments[..8].copy_from_slice(&(fault.as_mut_ptr() as u64).to_le_bytes());
        let maps_at = arguments.len() - MAP * unit.maps.len();
        for (map, to) in unit.maps.iter().zip(arguments[maps_at..].chunks_mut(MAP)) {
            encode(map, to);
        }
        let mut length = arguments.len();
        let mut extra: [Handle; 5] = [
            std::ptr::without_provenance_mut(1),
            arguments.as_mut_ptr().cast(),
            std::ptr::without_provenance_mut(2),
            (&raw mut length).cast(),
            null_mut(),
        ];
        // Where threads stay for further programs, let there be some.
        let stay = stays(unit);
        if unit.programs > 0 {
            let result = run(
                function,
                if stay { unit.programs.min(3) } else { unit.programs },
                1,
                1,
                unit.threads,
                1,
                1,
                unit.shared,
                null_mut(),
                null_mut(),
                extra.as_mut_ptr(),
            );
            if result != 0 {
                return Err(format!("the emulated launch of {} fails with {result}", unit.kernel));
            }
        }
        Ok(fault.map(u64::cast_signed))
    }
}

/// Bytes of an encoded tensor map.
const MAP: usize = 128;

#[repr(C, align(64))]
struct EncodedMap([u8; MAP]);

/// # Safety
/// The libraries are those of tests/emulator.
unsafe fn encode(map: &TensorMap, to: &mut [u8]) {
    type Encode = unsafe extern "C" fn(
        *mut EncodedMap,
        c_int,
        u32,
        u64,
        *const u64,
        *const u64,
        *const u32,
        *const u32,
        c_int,
        c_int,
        c_int,
        c_int,
    ) -> c_int;
    let mut encoded = EncodedMap([0; MAP]);
    let kind = match map.kind.size() {
        1 => 0,
        _ if map.kind == Kind::Bf16 => 9,
        _ => 6,
    };
    let swizzle = map.line.trailing_zeros() as c_int - 4;
    // SAFETY: the driver API's signature.
    let code = unsafe {
        let encode: Encode = symbol(libraries().driver, c"cuTensorMapEncodeTiled");
        let (lengths, strides, block) = (map.lengths.as_ptr(), map.strides.as_ptr(), map.block.as_ptr());
        let (rank, ones) = (map.lengths.len() as u32, [1u32; 5]);
        encode(
            &raw mut encoded,
            kind,
            rank,
            map.address,
            lengths,
            strides,
            block,
            ones.as_ptr(),
            0,
            swizzle,
            0,
            0,
        )
    };
    assert_eq!(code, 0, "{map:?} is not encoded");
    to.copy_from_slice(&encoded.0);
}

/// # Safety
/// The libraries are those of tests/emulator.
unsafe fn compile(unit: &Unit) -> Result<Vec<u8>, String> {
    let compiler = libraries().compiler;
    // SAFETY: NVRTC's signatures.
    unsafe {
        type Create =
            unsafe extern "C" fn(*mut Handle, *const c_char, *const c_char, c_int, Handle, Handle) -> c_int;
        let create: Create = symbol(compiler, c"nvrtcCreateProgram");
        let compile: unsafe extern "C" fn(Handle, c_int, *const *const c_char) -> c_int =
            symbol(compiler, c"nvrtcCompileProgram");
        let log_size: unsafe extern "C" fn(Handle, *mut usize) -> c_int =
            symbol(compiler, c"nvrtcGetProgramLogSize");
        let log: unsafe extern "C" fn(Handle, *mut u8) -> c_int = symbol(compiler, c"nvrtcGetProgramLog");
        let size: unsafe extern "C" fn(Handle, *mut usize) -> c_int = symbol(compiler, c"nvrtcGetCUBINSize");
        let get: unsafe extern "C" fn(Handle, *mut u8) -> c_int = symbol(compiler, c"nvrtcGetCUBIN");
        let destroy: unsafe extern "C" fn(*mut Handle) -> c_int = symbol(compiler, c"nvrtcDestroyProgram");
        let (mut program, mut bytes) = (null_mut(), 0);
        let text = CString::new(unit.text.as_str()).unwrap();
        assert_eq!(
            create(&raw mut program, text.as_ptr(), c"kernel.cu".as_ptr(), 0, null_mut(), null_mut()),
            0
        );
        // An image is for one device; the emulated one is an H100 (TW_EMULATOR_ARCH), whatever the text is for.
        let options = [c"--gpu-architecture=sm_90a".as_ptr(), c"--std=c++17".as_ptr()];
        if compile(program, 2, options.as_ptr()) != 0 {
            log_size(program, &raw mut bytes);
            let mut text = vec![0; bytes];
            log(program, text.as_mut_ptr());
            return Err(format!("{} does not compile:\n{}", unit.kernel, String::from_utf8_lossy(&text)));
        }
        assert_eq!(size(program, &raw mut bytes), 0);
        let mut image = vec![0; bytes];
        assert_eq!(get(program, image.as_mut_ptr()), 0);
        destroy(&raw mut program);
        Ok(image)
    }
}
