//! The GPU texts of tests/cases, compiled for every architecture, and what the compilers made of them: no
//! spills, no serialised matrix operations, matrix instructions where a product of half floats is.
//!
//! `.ci/gpu` writes the texts (`TILEWRIGHT_TEXTS`) and installs the compilers: NVRTC and nvdisasm in
//! `TILEWRIGHT_CUDA_TOOLS`, clang and the LLVM tools of version 19 on the path. What is absent is skipped,
//! and said.

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr::null_mut;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const NVIDIA: [&str; 3] = ["sm_80", "sm_90a", "sm_100a"];
const AMD: [&str; 4] = ["gfx90a", "gfx942", "gfx1100", "gfx1201"];

/// All texts for `architectures`, by name; of each there are at least 60 kernels.
fn texts(architectures: &[&str]) -> Option<Vec<PathBuf>> {
    let Some(folder) = std::env::var_os("TILEWRIGHT_TEXTS") else {
        println!("skipped: no texts (TILEWRIGHT_TEXTS); .ci/gpu writes them");
        return None;
    };
    let files = std::fs::read_dir(folder).expect("the folder of texts is there");
    let mut texts: Vec<PathBuf> = files.map(|file| file.expect("a readable folder").path()).collect();
    texts.retain(|path| path.extension().is_some_and(|extension| extension == "cu"));
    texts.sort();
    texts.retain(|path| architectures.contains(&&*architecture(path)));
    for wanted in architectures {
        let of = texts.iter().filter(|path| architecture(path) == *wanted);
        let mut kernels: Vec<String> = of.clone().map(|path| kernel(path)).collect();
        kernels.dedup();
        assert!(kernels.len() >= 60, "{wanted}: only {} kernels", kernels.len());
        println!("{wanted}: {} texts of {} kernels", of.count(), kernels.len());
    }
    Some(texts)
}

/// `softmax-0123.sm_80.cu`
fn kernel(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    name.rsplit_once('-').map_or(name.clone(), |(kernel, _)| kernel.to_string())
}

fn architecture(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    name.rsplit_once('.').map_or(String::new(), |(_, architecture)| architecture.to_string())
}

/// Calls `check` for each text on two threads, and reports all complaints together.
fn each(texts: &[PathBuf], check: impl Fn(&Path) -> Result<(), String> + Sync) {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(path) = texts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(complaint) = check(path) {
                        let mut wrong = wrong.lock().expect("no check panics");
                        wrong.push(format!("{}: {complaint}", path.display()));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no check panics");
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether a text multiplies elements of one of `types` in blocks that matrix cores take.
fn has_product(text: &str, types: &[&str]) -> bool {
    let kernel = text.split_once("// --- The kernel ---").map_or("", |(_, kernel)| kernel);
    let is_one = |name: &str| types.iter().any(|ty| text.contains(&format!("typedef {ty} {name};")));
    let operand = kernel.split("Shared<").skip(1).any(|rest| {
        let elem = rest.split(',').next().unwrap_or_default();
        types.contains(&elem) || is_one(elem)
    });
    operand && kernel.contains(" dot<Axis_")
}

const HALVES: &[&str] = &["bf16", "f16"];
const EIGHTHS: &[&str] = &["f8e4m3", "f8e5m2"];

/// Bytes of spill stores in a line of the compiler's log.
fn spilled(line: &str) -> u32 {
    let Some((before, _)) = line.split_once(" bytes spill stores") else { return 0 };
    before.rsplit(' ').next().and_then(|bytes| bytes.parse().ok()).unwrap_or(u32::MAX)
}

unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// NVRTC.
struct Nvrtc(usize);

impl Nvrtc {
    fn open(tools: &Path) -> Nvrtc {
        let folder = tools.join("nvidia/cu13/lib");
        let open = |name: &str| {
            let path =
                CString::new(folder.join(name).to_string_lossy().into_owned()).expect("no zero in a path");
            // SAFETY: RTLD_NOW | RTLD_GLOBAL on the vendor's library.
            let library = unsafe { dlopen(path.as_ptr(), 0x102) };
            assert!(!library.is_null(), "{path:?} does not load");
            library as usize
        };
        // Found by name by the compiler itself later.
        open("libnvrtc-builtins.so.13.0");
        Nvrtc(open("libnvrtc.so.13"))
    }

    /// # Safety
    /// `F` is the function's type.
    unsafe fn symbol<F: Copy>(&self, name: &str) -> F {
        let name = CString::new(name).expect("no zero in a name");
        // SAFETY: the library stays open; the type is the caller's promise.
        unsafe {
            let pointer = dlsym(self.0 as *mut c_void, name.as_ptr());
            assert!(!pointer.is_null(), "{name:?}");
            std::mem::transmute_copy(&pointer)
        }
    }

    /// The cubin and the log.
    fn compile(&self, text: &str, architecture: &str) -> Result<(Vec<u8>, String), String> {
        type Create = unsafe extern "C" fn(
            *mut *mut c_void,
            *const c_char,
            *const c_char,
            c_int,
            *mut c_void,
            *mut c_void,
        ) -> c_int;
        type Size = unsafe extern "C" fn(*mut c_void, *mut usize) -> c_int;
        type Get = unsafe extern "C" fn(*mut c_void, *mut u8) -> c_int;
        let text = CString::new(text).map_err(|error| error.to_string())?;
        let options = [
            format!("--gpu-architecture={architecture}"),
            "--std=c++17".into(),
            "-default-device".into(),
            "-Xptxas=-v".into(),
        ]
        .map(|option| CString::new(option).expect("no zero in an option"));
        let options = options.each_ref().map(|option| option.as_ptr());
        // SAFETY: NVRTC's signatures; the buffers have the sizes it names.
        unsafe {
            let create: Create = self.symbol("nvrtcCreateProgram");
            let compile: unsafe extern "C" fn(*mut c_void, c_int, *const *const c_char) -> c_int =
                self.symbol("nvrtcCompileProgram");
            let destroy: unsafe extern "C" fn(*mut *mut c_void) -> c_int = self.symbol("nvrtcDestroyProgram");
            let read = |size: &str, get: &str, program| {
                let (size, get): (Size, Get) = (self.symbol(size), self.symbol(get));
                let mut length = 0;
                size(program, &raw mut length);
                let mut bytes = vec![0; length];
                get(program, bytes.as_mut_ptr());
                bytes
            };
            let mut program = null_mut();
            create(&raw mut program, text.as_ptr(), c"kernel.cu".as_ptr(), 0, null_mut(), null_mut());
            let result = compile(program, options.len() as c_int, options.as_ptr());
            let log = String::from_utf8_lossy(&read("nvrtcGetProgramLogSize", "nvrtcGetProgramLog", program))
                .into_owned();
            let cubin =
                if result == 0 { read("nvrtcGetCUBINSize", "nvrtcGetCUBIN", program) } else { Vec::new() };
            destroy(&raw mut program);
            if result == 0 {
                Ok((cubin, log))
            } else {
                Err(format!("{architecture}: does not compile:\n{log}"))
            }
        }
    }
}

#[test]
fn every_text_compiles_for_nvidia_without_spills_and_on_tensor_cores() {
    let Some(texts) = texts(&NVIDIA) else { return };
    let Some(tools) = std::env::var_os("TILEWRIGHT_CUDA_TOOLS").map(PathBuf::from) else {
        println!("skipped: no NVRTC (TILEWRIGHT_CUDA_TOOLS); .ci/gpu installs it");
        return;
    };
    let nvrtc = Nvrtc::open(&tools);
    let [products, grouped, bytes, eighth, fetched, rounded, stay] = [const { AtomicUsize::new(0) }; 7];
    each(&texts, |path| {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let (cubin, log) = nvrtc.compile(&text, &architecture(path))?;
        // The vendor's slow path of sin and cos is a call, around which a register is saved.
        let calls = text.contains("= sin_of(") || text.contains("= cos_of(");
        let most = if calls { 8 } else { 0 };
        if let Some(line) = log.lines().find(|line| spilled(line) > most) {
            return Err(line.trim().to_string());
        }
        if let Some(at) = log.find("C75") {
            return Err(log[at..].to_string());
        }
        let listing = || -> Result<String, String> {
            let file = path.with_extension("cubin");
            std::fs::write(&file, &cubin).map_err(|error| error.to_string())?;
            run(Command::new(tools.join("nvidia/cu13/bin/nvdisasm")).arg(&file))
        };
        if has_byte_product(&text) {
            let (listing, groups) = (listing()?, takes_groups(&text));
            let eighths = has_product(&text, EIGHTHS);
            // Of these architectures only the H100 multiplies floats of 8 bits as they are here; others widen them to halves.
            let wanted = match (eighths, groups) {
                (true, true) => "QGMMA",
                (true, false) => "HMMA",
                (false, true) => "IGMMA",
                (false, false) => "IMMA",
            };
            if !listing.contains(wanted) {
                return Err(format!("no {wanted} in a product of bytes"));
            }
            if groups && has_maps(&text) && !listing.contains("UTMALDG") {
                return Err("no UTMALDG in a product of bytes".into());
            }
            let counts = if eighths { &eighth } else { &bytes };
            counts.fetch_add(1, Ordering::Relaxed);
            fetched.fetch_add(usize::from(groups && has_maps(&text)), Ordering::Relaxed);
        }
        stay.fetch_add(usize::from(text.contains("#define TW_PERSISTENT 1\n")), Ordering::Relaxed);
        if text.contains("#define TW_TF32 1\n") {
            rounded.fetch_add(1, Ordering::Relaxed);
            let listing = listing()?;
            if !listing.lines().any(|line| line.contains("HMMA") && line.contains(".TF32")) {
                return Err("no HMMA in a product of f32 that may round".into());
            }
        }
        if has_product(&text, HALVES) {
            products.fetch_add(1, Ordering::Relaxed);
            let listing = listing()?;
            // Blocks of 64 rows and more go to groups of four warps, and copies of theirs to the engine.
            let wanted: &[&str] = if takes_groups(&text) { &["HGMMA"] } else { &["HMMA"] };
            let copies: &[&str] = if has_maps(&text) { &["UTMALDG"] } else { &["LDSM"] };
            grouped.fetch_add(usize::from(has_maps(&text)), Ordering::Relaxed);
            let copies = if takes_groups(&text) && !has_maps(&text) { &[] } else { copies };
            for instruction in wanted.iter().chain(copies) {
                if !listing.contains(instruction) {
                    return Err(format!("no {instruction} in a product of half floats"));
                }
            }
        }
        Ok(())
    });
    assert!(products.into_inner() > 0, "no text has a product of half floats");
    assert!(bytes.into_inner() > 0, "no text has a product of integers of 8 bits");
    assert!(eighth.into_inner() > 0, "no text has a product of floats of 8 bits");
    assert!(fetched.into_inner() > 0, "no text has a product of bytes that the copy engine brings");
    assert!(stay.into_inner() > 0, "in no text threads stay for further programs");
    assert!(rounded.into_inner() > 0, "no text has a product of f32 on tensor cores");
    assert!(grouped.into_inner() > 0, "no text has a product whose operands the copy engine brings");
}

/// Whether a text multiplies bytes along the inner axis of both sides, 32 and more at once.
fn has_byte_product(text: &str) -> bool {
    let bits = text.lines().find_map(|line| line.strip_prefix("#define TW_SPREAD_k "));
    let wide = bits.is_some_and(|bits| bits.split(',').count() >= 5);
    let types = ["i8", "u8", "f8e4m3", "f8e5m2"];
    wide && types.iter().any(|ty| text.contains(&format!("const Shared<{ty}, Axes<Axis_m, Axis_k>>")))
}

/// Whether products of a text go to wgmma: rows over four warps or more.
fn takes_groups(text: &str) -> bool {
    text.starts_with("#define TW_CUDA 90\n") && text.contains(" 2, 3, 4, R, 5, 6")
}

fn has_maps(text: &str) -> bool {
    !text.contains("#define TW_MAPS 0\n")
}

#[test]
fn every_text_compiles_for_amd_without_spills_and_on_matrix_cores() {
    let Some(texts) = texts(&AMD) else { return };
    if Command::new("clang-19").arg("--version").output().is_err() {
        println!("skipped: no clang-19; .ci/gpu installs it");
        return;
    }
    let [products, eighth] = [const { AtomicUsize::new(0) }; 2];
    each(&texts, |path| {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let (architecture, object) = (architecture(path), path.with_extension("co"));
        let clang = [
            "-x",
            "hip",
            "--offload-device-only",
            "--no-gpu-bundle-output",
            "-nogpuinc",
            "-nogpulib",
            "-O3",
            "-std=c++17",
            "-w",
        ];
        run(Command::new("clang-19")
            .args(clang)
            .arg(format!("--offload-arch={architecture}"))
            .arg(path)
            .arg("-o")
            .arg(&object))?;
        let notes = run(Command::new("llvm-readobj-19").arg("--notes").arg(&object))?;
        // Scalar registers spill to lanes of vector registers, not to memory.
        let spills = |line: &&str| line.contains("vgpr_spill_count") && !line.trim_end().ends_with(" 0");
        if let Some(line) = notes.lines().find(spills) {
            return Err(line.trim().to_string());
        }
        let (halves, eighths) = (has_product(&text, HALVES), has_product(&text, EIGHTHS));
        if halves || eighths {
            products.fetch_add(usize::from(halves), Ordering::Relaxed);
            eighth.fetch_add(usize::from(eighths), Ordering::Relaxed);
            let listing = run(Command::new("llvm-objdump-19").arg("-d").arg(&object))?;
            let instruction =
                if architecture.starts_with("gfx9") { "v_mfma_f32_16x16x16" } else { "v_wmma_f32_16x16x16" };
            if !listing.contains(instruction) {
                return Err(format!("no {instruction} in a product of shorter floats"));
            }
        }
        Ok(())
    });
    assert!(products.into_inner() > 0, "no text has a product of half floats");
    assert!(eighth.into_inner() > 0, "no text has a product of floats of 8 bits");
}

/// What a command prints.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
