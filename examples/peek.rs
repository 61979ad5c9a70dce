use tilewright::prelude::*;
#[kernel]
fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
    for m in tile(M) {
        let row = x[(m, ..)];
        let e = exp(row - row.max(N));
        out[(m, ..)] = (e / e.sum(N)).cast();
    }
}
#[kernel]
fn linear_gelu<T: Float, M, N, K>(
    x: &Tensor<T, (M, K)>,
    w: &Tensor<T, (N, K)>,
    b: &Tensor<T, N>,
    out: &mut Tensor<T, (M, N)>,
) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(n, k)], k);
        }
        out[(m, n)] = gelu(acc + b[n]).cast();
    }
}
#[kernel]
fn attention<T: Float, const CAUSAL: bool, B, H, G, S, L, D>(
    q: &Tensor<T, (B, H, S, D)>,
    k: &Tensor<T, (B, G, L, D)>,
    v: &Tensor<T, (B, G, L, D)>,
    out: &mut Tensor<T, (B, H, S, D)>,
    scale: f32,
) {
    assert!(H % G == 0 && S <= L && D <= 256);
    for (b, h, s) in (each(B), each(H), tile(S)) {
        let g = h / (H / G);
        let mut peak = full::<f32>(s, f32::NEG_INFINITY);
        let mut total = zeros::<f32>(s);
        let mut acc = zeros::<f32>((s, D));
        let end = if CAUSAL { s.end() + (L - S) } else { L };
        for t in tile(L, 0..end) {
            let mut score = dot(q[(b, h, s, ..)], k[(b, g, t, ..)], D) * scale;
            if CAUSAL {
                score = select(s.index() + (L - S) >= t.index(), score, f32::NEG_INFINITY);
            }
            let next = max(peak, score.max(t));
            let p = exp_sub(score, next);
            let fade = exp_sub(peak, next);
            total = total * fade + p.sum(t);
            acc = acc * fade + dot(p.cast::<T>(), v[(b, g, t, ..)], t);
            peak = next;
        }
        out[(b, h, s, ..)] = (acc / total).cast();
    }
}

use std::ffi::{CString, c_char, c_int, c_void};
unsafe extern "C" {
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(lib: *mut c_void, name: *const c_char) -> *mut c_void;
}
struct Lib(*mut c_void);
impl Lib {
    fn open(name: &str) -> Lib {
        let c = CString::new(name).unwrap();
        let p = unsafe { dlopen(c.as_ptr(), 0x102) };
        assert!(!p.is_null(), "{name}");
        Lib(p)
    }
    fn f<T: Copy>(&self, name: &str) -> T {
        let c = CString::new(name).unwrap();
        let p = unsafe { dlsym(self.0, c.as_ptr()) };
        assert!(!p.is_null(), "{name}");
        unsafe { std::mem::transmute_copy(&p) }
    }
}
type P = *mut c_void;
fn emulate(unit: &tilewright::Unit) -> bool {
    let dir = std::env::var("EMU").unwrap();
    let cuda = Lib::open(&format!("{dir}/libcuda.so.1"));
    let rtc = Lib::open(&format!("{dir}/libnvrtc.so.13"));
    unsafe {
        let init: unsafe extern "C" fn(u32) -> c_int = cuda.f("cuInit");
        assert_eq!(init(0), 0);
        let mut ctx: P = std::ptr::null_mut();
        let retain: unsafe extern "C" fn(*mut P, c_int) -> c_int = cuda.f("cuDevicePrimaryCtxRetain");
        assert_eq!(retain(&mut ctx, 0), 0);
        let set: unsafe extern "C" fn(P) -> c_int = cuda.f("cuCtxSetCurrent");
        assert_eq!(set(ctx), 0);
        let create: unsafe extern "C" fn(*mut P, *const c_char, *const c_char, c_int, P, P) -> c_int =
            rtc.f("nvrtcCreateProgram");
        let mut prog: P = std::ptr::null_mut();
        let text = CString::new(unit.text.clone()).unwrap();
        let name = CString::new("k.cu").unwrap();
        assert_eq!(
            create(&mut prog, text.as_ptr(), name.as_ptr(), 0, std::ptr::null_mut(), std::ptr::null_mut()),
            0
        );
        let compile: unsafe extern "C" fn(P, c_int, *const *const c_char) -> c_int =
            rtc.f("nvrtcCompileProgram");
        let o = [
            CString::new(if arch().to_string() == "sm_90a" {
                "--gpu-architecture=sm_90a"
            } else {
                "--gpu-architecture=sm_80"
            })
            .unwrap(),
            CString::new("--std=c++17").unwrap(),
        ];
        let o: Vec<_> = o.iter().map(|s| s.as_ptr()).collect();
        let r = compile(prog, 2, o.as_ptr());
        if r != 0 {
            let size: unsafe extern "C" fn(P, *mut usize) -> c_int = rtc.f("nvrtcGetProgramLogSize");
            let log: unsafe extern "C" fn(P, *mut u8) -> c_int = rtc.f("nvrtcGetProgramLog");
            let mut n = 0;
            size(prog, &mut n);
            let mut b = vec![0u8; n];
            log(prog, b.as_mut_ptr());
            println!("{}", String::from_utf8_lossy(&b).chars().take(3000).collect::<String>());
            return false;
        }
        let size: unsafe extern "C" fn(P, *mut usize) -> c_int = rtc.f("nvrtcGetCUBINSize");
        let get: unsafe extern "C" fn(P, *mut u8) -> c_int = rtc.f("nvrtcGetCUBIN");
        let mut n = 0;
        size(prog, &mut n);
        let mut b = vec![0u8; n];
        get(prog, b.as_mut_ptr());
        let load: unsafe extern "C" fn(*mut P, *const u8) -> c_int = cuda.f("cuModuleLoadData");
        let mut module: P = std::ptr::null_mut();
        assert_eq!(load(&mut module, b.as_ptr()), 0);
        let func: unsafe extern "C" fn(*mut P, P, *const c_char) -> c_int = cuda.f("cuModuleGetFunction");
        let mut fun: P = std::ptr::null_mut();
        let name = CString::new(unit.kernel.clone()).unwrap();
        assert_eq!(func(&mut fun, module, name.as_ptr()), 0);
        let attr: unsafe extern "C" fn(P, c_int, c_int) -> c_int = cuda.f("cuFuncSetAttribute");
        assert_eq!(attr(fun, 8, unit.shared as i32), 0);
        let launch: unsafe extern "C" fn(P, u32, u32, u32, u32, u32, u32, u32, P, *mut P, *mut P) -> c_int =
            cuda.f("cuLaunchKernel");
        let mut args = unit.arguments.clone();
        let mut fault = vec![0u64; 8];
        args[..8].copy_from_slice(&(fault.as_mut_ptr() as u64).to_le_bytes());
        let at = args.len() - 128 * unit.maps.len();
        for (map, to) in unit.maps.iter().zip(args[at..].chunks_mut(128)) {
            #[repr(C, align(64))]
            struct M([u8; 128]);
            let mut m = M([0; 128]);
            let enc: unsafe extern "C" fn(
                *mut M,
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
            ) -> c_int = cuda.f("cuTensorMapEncodeTiled");
            let ones = [1u32; 5];
            let sw = map.line.trailing_zeros() as i32 - 4;
            let r = enc(
                &mut m,
                if map.is_bf16 { 9 } else { 6 },
                map.lengths.len() as u32,
                map.address,
                map.lengths.as_ptr(),
                map.strides.as_ptr(),
                map.block.as_ptr(),
                ones.as_ptr(),
                0,
                sw,
                0,
                0,
            );
            assert_eq!(r, 0, "{map:?}");
            to.copy_from_slice(&m.0);
        }
        let mut len = args.len();
        let mut extra: [P; 5] =
            [1 as P, args.as_mut_ptr().cast(), 2 as P, (&raw mut len).cast(), std::ptr::null_mut()];
        let t = std::time::Instant::now();
        let r = launch(
            fun,
            unit.programs,
            1,
            1,
            unit.threads,
            1,
            1,
            unit.shared,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            extra.as_mut_ptr(),
        );
        println!(
            "  launch {r} {:?} programs {} threads {} fault {}",
            t.elapsed(),
            unit.programs,
            unit.threads,
            fault[0]
        );
        r == 0
    }
}
fn arch() -> tilewright::Architecture {
    std::env::var("ARCH").unwrap_or("sm_80".into()).parse().unwrap()
}
#[kernel]
fn matmul<T: Float, M, N, K>(x: &Tensor<T, (M, K)>, w: &Tensor<T, (K, N)>, out: &mut Tensor<T, (M, N)>) {
    for (m, n) in tile((M, N)) {
        let mut acc = zeros::<f32>((m, n));
        for k in tile(K) {
            acc += dot(x[(m, k)], w[(k, n)], k);
        }
        out[(m, n)] = acc.cast();
    }
}
fn random<T: Float>(shape: &[usize], seed: u32) -> Tensor<T> {
    let mut s = seed.wrapping_mul(2654435761).wrapping_add(1);
    let n = shape.iter().product();
    let v: Vec<f32> = (0..n)
        .map(|_| {
            s = s.wrapping_mul(1664525).wrapping_add(1013904223);
            (s >> 8) as f32 / 8388608.0 - 1.0
        })
        .collect();
    Tensor::from_vec(n, v).unwrap().cast::<T>().unwrap().reshape(shape.to_vec()).unwrap()
}
fn compare<T: Float>(name: &str, a: &Tensor<T>, b: &Tensor<T>) {
    let (a, b) = (a.cast::<f32>().unwrap().to_vec(), b.cast::<f32>().unwrap().to_vec());
    let worst = a
        .iter()
        .zip(&b)
        .map(|(x, y)| if x.is_nan() || y.is_nan() { f32::INFINITY } else { (x - y).abs() })
        .fold(0.0, f32::max);
    println!("{name} {} worst {worst}", T::NAME);
}
fn go<T: Float>() -> Result<(), Error> {
    let x = random::<T>(&[50, 1000], 1);
    let mut y = Tensor::<T>::zeros((50, 1000));
    let mut z = Tensor::<T>::zeros((50, 1000));
    let (r, u) = tilewright::record(arch(), || softmax(&x, &mut y));
    r?;
    std::fs::write(format!("/tmp/softmax_{}_{}.cu", T::NAME, arch()), &u[0].text).unwrap();
    if emulate(&u[0]) {
        softmax(&x, &mut z)?;
        compare("softmax", &y, &z);
    }
    let w = random::<T>(&[130, 1000], 2);
    let b = random::<T>(&[130], 3);
    let mut y = Tensor::<T>::zeros((50, 130));
    let mut z = Tensor::<T>::zeros((50, 130));
    let (r, u) = tilewright::record(arch(), || linear_gelu(&x, &w, &b, &mut y));
    r?;
    std::fs::write(format!("/tmp/linear_{}_{}.cu", T::NAME, arch()), &u[0].text).unwrap();
    if emulate(&u[0]) {
        linear_gelu(&x, &w, &b, &mut z)?;
        compare("linear", &y, &z);
    }
    let x = random::<T>(&[150, 200], 1);
    let w = random::<T>(&[200, 264], 2);
    let mut y = Tensor::<T>::zeros((150, 264));
    let mut z = Tensor::<T>::zeros((150, 264));
    let (r, u) = tilewright::record(arch(), || matmul(&x, &w, &mut y));
    r?;
    std::fs::write(format!("/tmp/matmul_{}_{}.cu", T::NAME, arch()), &u[0].text).unwrap();
    if emulate(&u[0]) {
        matmul(&x, &w, &mut z)?;
        compare("matmul", &y, &z);
    }
    let config = "m=128,n=256,k=64".parse().unwrap();
    let (r, u) = tilewright::record(arch(), || matmul::with(&config, &x, &w, &mut y));
    match r {
        Err(e) => println!("{e}"),
        Ok(()) => {
            std::fs::write(format!("/tmp/matmulbig_{}_{}.cu", T::NAME, arch()), &u[0].text).unwrap();
            y = Tensor::<T>::zeros((150, 264));
            let (r, u) = tilewright::record(arch(), || matmul::with(&config, &x, &w, &mut y));
            r?;
            if emulate(&u[0]) {
                compare("matmulbig", &y, &z);
            }
        }
    }
    let q = random::<T>(&[2, 4, 50, 64], 4);
    let k = random::<T>(&[2, 2, 70, 64], 5);
    let v = random::<T>(&[2, 2, 70, 64], 6);
    let mut y = Tensor::<T>::zeros((2, 4, 50, 64));
    let mut z = Tensor::<T>::zeros((2, 4, 50, 64));
    let (r, u) = tilewright::record(arch(), || attention::<T, true>(&q, &k, &v, &mut y, 0.3));
    r?;
    std::fs::write(format!("/tmp/attention_{}_{}.cu", T::NAME, arch()), &u[0].text).unwrap();
    if emulate(&u[0]) {
        attention::<T, true>(&q, &k, &v, &mut z, 0.3)?;
        compare("attention", &y, &z);
    }
    Ok(())
}
fn main() -> Result<(), Error> {
    go::<f32>()?;
    go::<bf16>()?;
    go::<f16>()
}
