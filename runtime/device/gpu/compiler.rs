//! NVRTC and hipRTC: from the text of a kernel to the device's code. Their functions differ by name alone.

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::OnceLock;

use super::clang;
use super::library::Library;
use crate::device::Platform;
use crate::error::DeviceError;
use crate::gpu::Architecture;

type Program = *mut c_void;
type Size = unsafe extern "C" fn(Program, *mut usize) -> c_int;
type Bytes = unsafe extern "C" fn(Program, *mut u8) -> c_int;

/// The compiler's functions.
pub(super) struct Compiler {
    platform: Platform,
    version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int,
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int,
    log_size: Size,
    log: Bytes,
    code_size: Size,
    code: Bytes,
    destroy: unsafe extern "C" fn(*mut Program) -> c_int,
}

/// The code of a text for any architecture whose compiler is on this machine.
pub(crate) fn compile_for(
    architecture: Architecture,
    kernel: &str,
    text: &str,
) -> Result<Vec<u8>, DeviceError> {
    let (platform, name) = (architecture.platform(), architecture.to_string());
    match Compiler::get(platform) {
        Ok(compiler) => compiler.compile(kernel, text, &name),
        Err(error) if platform == Platform::Rocm => clang::compile(kernel, text, &name).unwrap_or(Err(error)),
        Err(error) => Err(error),
    }
}

impl Compiler {
    /// The compiler of this process.
    pub fn get(platform: Platform) -> Result<&'static Compiler, DeviceError> {
        static COMPILERS: [OnceLock<Result<Compiler, DeviceError>>; 2] = [const { OnceLock::new() }; 2];
        let compiler = platform.pick(&COMPILERS[0], &COMPILERS[1]);
        compiler.get_or_init(|| Compiler::load(platform)).as_ref().map_err(Clone::clone)
    }

    fn load(platform: Platform) -> Result<Compiler, DeviceError> {
        // NVRTC 13.0 finds its own second library only if that is loaded already.
        if platform == Platform::Cuda
            && let Ok(library) = Library::open(platform, &["libnvrtc-builtins.so.13.0"])
        {
            library.keep();
        }
        let libraries = platform.compilers();
        let library = Library::open(platform, libraries);
        let library = library.map_err(|reason| DeviceError::NoCompiler { platform, libraries, reason })?;
        macro_rules! symbol {
            ($cuda:literal, $rocm:literal) => {
                // SAFETY: the types are those of NVRTC's and hipRTC's documentation.
                unsafe { library.symbol(platform.pick($cuda, $rocm))? }
            };
        }
        let compiler = Compiler {
            platform,
            version: symbol!("nvrtcVersion", "hiprtcVersion"),
            create: symbol!("nvrtcCreateProgram", "hiprtcCreateProgram"),
            compile: symbol!("nvrtcCompileProgram", "hiprtcCompileProgram"),
            log_size: symbol!("nvrtcGetProgramLogSize", "hiprtcGetProgramLogSize"),
            log: symbol!("nvrtcGetProgramLog", "hiprtcGetProgramLog"),
            code_size: symbol!("nvrtcGetCUBINSize", "hiprtcGetCodeSize"),
            code: symbol!("nvrtcGetCUBIN", "hiprtcGetCode"),
            destroy: symbol!("nvrtcDestroyProgram", "hiprtcDestroyProgram"),
        };
        library.keep();
        Ok(compiler)
    }

    /// Major and minor version.
    pub fn version(&self) -> (i32, i32) {
        let (mut major, mut minor) = (0, 0);
        // SAFETY: two places to write to.
        unsafe { (self.version)(&raw mut major, &raw mut minor) };
        (major, minor)
    }

    /// Compiles `text` for an architecture such as `sm_90a` or `gfx942`.
    pub fn compile(&self, kernel: &str, text: &str, architecture: &str) -> Result<Vec<u8>, DeviceError> {
        let fails = |log: String| DeviceError::Compile { kernel: kernel.to_string(), log };
        let source = CString::new(text).map_err(|error| fails(error.to_string()))?;
        let options = match self.platform {
            Platform::Cuda => {
                [format!("--gpu-architecture={architecture}"), "--std=c++17".into(), "-default-device".into()]
            }
            Platform::Rocm => [format!("--offload-arch={architecture}"), "-std=c++17".into(), "-O3".into()],
        };
        let options = options.map(|option| CString::new(option).unwrap_or_default());
        let options = options.each_ref().map(|option| option.as_ptr());
        let mut program = std::ptr::null_mut();
        // SAFETY: the strings end in zero and live through the calls; there are no headers; the program is
        // used until it is destroyed.
        unsafe {
            let name = self.platform.pick(c"kernel.cu", c"kernel.hip").as_ptr();
            let created =
                (self.create)(&raw mut program, source.as_ptr(), name, 0, std::ptr::null(), std::ptr::null());
            if created != 0 {
                return Err(fails(format!("the compiler does not take it: code {created}")));
            }
            let result = (self.compile)(program, options.len() as c_int, options.as_ptr());
            let output = if result == 0 {
                Ok(read(program, self.code_size, self.code))
            } else {
                let log = read(program, self.log_size, self.log);
                let log = String::from_utf8_lossy(&log).trim_end_matches('\0').to_string();
                Err(fails(with_lines(&log, text)))
            };
            (self.destroy)(&raw mut program);
            output
        }
    }
}

/// # Safety
/// A live program, and two functions of the compiler that give a size and that many bytes.
unsafe fn read(program: Program, size: Size, bytes: Bytes) -> Vec<u8> {
    let mut length = 0;
    // SAFETY: the buffer has the size that the first call gives.
    unsafe {
        size(program, &raw mut length);
        let mut buffer = vec![0; length];
        bytes(program, buffer.as_mut_ptr());
        buffer
    }
}

/// A log, and the lines of the text around its first error: `kernel.cu(12): error` or `kernel.hip:12:`.
fn with_lines(log: &str, text: &str) -> String {
    let number = log.split(['(', ':']).find_map(|part| part.split(')').next()?.parse::<usize>().ok());
    let Some(number) = number else { return log.to_string() };
    let first = number.saturating_sub(3).max(1);
    let lines = text.lines().enumerate().skip(first - 1).take(5);
    let lines: Vec<String> = lines.map(|(at, line)| format!("{:5} | {line}", at + 1)).collect();
    format!("{log}\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_log_brings_the_lines_that_it_speaks_of() {
        let text = "one\ntwo\nthree\nfour\nfive\nsix\nseven";
        let log = super::with_lines("kernel.cu(4): error: bad", text);
        assert!(
            log.contains("    4 | four") && log.contains("    2 | two") && !log.contains("seven"),
            "{log}"
        );
        assert_eq!(super::with_lines("no number", text), "no number");
    }
}
