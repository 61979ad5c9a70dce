// The emulator's own test: right kernels give right results under every schedule, and planted bugs are caught.
//
//   selftest OUT_DIR     (what build.sh filled)
//
// It loads the fake libraries as a program loads the real ones, and compiles what stands below as text.
#include <atomic>
#include <csignal>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

typedef unsigned long long Address;

std::atomic<int> n_failures{0};
void check(bool holds, const std::string& what) {
    if (holds) return;
    ++n_failures;
    printf("FAILED: %s\n", what.c_str());
}

// --- The libraries ---

void *cuda, *nvrtc;
template <class F> F* symbol(void* library, const char* name) {
    void* found = dlsym(library, name);
    if (!found) {
        printf("FAILED: no %s\n", name);
        exit(1);
    }
    return reinterpret_cast<F*>(found);
}
// Calls a function of a library by its name.
template <class... A> int cu(const char* name, A... arguments) { return symbol<int(A...)>(cuda, name)(arguments...); }
template <class... A> int rtc(const char* name, A... arguments) { return symbol<int(A...)>(nvrtc, name)(arguments...); }
std::string message() { return symbol<const char*()>(cuda, "twEmulatorMessage")(); }

struct Compiled {
    int result;
    std::string log;
    std::vector<char> cubin;
};
Compiled compile(const std::string& text, const char* architecture = "sm_80") {
    Compiled c;
    void* program;
    rtc("nvrtcCreateProgram", &program, text.c_str(), "kernel.cu", 0, static_cast<const char* const*>(nullptr), static_cast<const char* const*>(nullptr));
    std::string option = std::string("--gpu-architecture=") + architecture;
    const char* options[] = {option.c_str(), "--std=c++17", "-default-device", "-Xptxas=-v"};
    c.result = rtc("nvrtcCompileProgram", program, 4, static_cast<const char* const*>(options));
    size_t bytes = 0;
    rtc("nvrtcGetProgramLogSize", program, &bytes);
    std::vector<char> log(bytes);
    rtc("nvrtcGetProgramLog", program, log.data());
    c.log = log.data();
    if (c.result == 0) {
        rtc("nvrtcGetCUBINSize", program, &bytes);
        c.cubin.resize(bytes);
        rtc("nvrtcGetCUBIN", program, c.cubin.data());
    }
    rtc("nvrtcDestroyProgram", &program);
    return c;
}

struct Buffer {
    Address address = 0;
    size_t bytes;
    explicit Buffer(size_t bytes) : bytes(bytes) { check(cu("cuMemAlloc_v2", &address, bytes) == 0, "cuMemAlloc"); }
    ~Buffer() { cu("cuMemFree_v2", address); }
    std::vector<float> read() const {
        std::vector<float> values(bytes / 4);
        check(cu("cuMemcpyDtoH_v2", static_cast<void*>(values.data()), address, bytes) == 0, "cuMemcpyDtoH");
        return values;
    }
    void write(const std::vector<float>& values) { check(cu("cuMemcpyHtoD_v2", address, static_cast<const void*>(values.data()), bytes) == 0, "cuMemcpyHtoD"); }
};

// --- Kernels: y = f(x) by rows of n, with the same arguments ---

struct Arguments {
    void* fault;
    unsigned launch;
    int n;
    Address x, y;
};
constexpr int rows = 7, columns = 300, threads = 128, shared_bytes = 1024;

const char* prelude = R"(
#ifdef TW_EMULATED
#define TW_SHARED(name) unsigned char* name = simt::shared_memory()
#else
#define TW_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]
#endif
struct Fault { unsigned claimed; unsigned launch; int tensor; int dimension; long long index; int length; int pad; };
struct Arguments { Fault* fault; unsigned launch; int n; const float* x; float* y; };
__device__ __forceinline__ float block_max(float v, float* shared) {
    for (int o = 16; o; o >>= 1) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, o));
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
    __syncthreads();
    v = shared[0];
    for (unsigned i = 1; i < blockDim.x / 32; ++i) v = fmaxf(v, shared[i]);
    __syncthreads();
    return v;
}
__device__ __forceinline__ float block_sum(float v, float* shared) {
    for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = v;
    __syncthreads();
    v = 0;
    for (unsigned i = 0; i < blockDim.x / 32; ++i) v += shared[i];
    __syncthreads();
    return v;
}
extern "C" __global__ void __launch_bounds__(128) kernel(const __grid_constant__ Arguments args) {
    TW_SHARED(memory);
    float* shared = reinterpret_cast<float*>(memory);
    const float* x = args.x + blockIdx.x * args.n;
    float* y = args.y + blockIdx.x * args.n;
)";

const char* softmax = R"(
    float m = -3e38f;
    for (int i = threadIdx.x; i < args.n; i += blockDim.x) m = fmaxf(m, x[i]);
    m = block_max(m, shared);
    float s = 0;
    for (int i = threadIdx.x; i < args.n; i += blockDim.x) s += expf(x[i] - m);
    s = block_sum(s, shared);
    for (int i = threadIdx.x; i < args.n; i += blockDim.x) y[i] = expf(x[i] - m) / s;
})";
std::vector<float> softmax_of(const std::vector<float>& x) {
    std::vector<float> y(x.size());
    for (int r = 0; r < rows; ++r) {
        const float* row = &x[size_t(r * columns)];
        double m = -1e300, s = 0;
        for (int i = 0; i < columns; ++i) m = std::fmax(m, row[i]);
        for (int i = 0; i < columns; ++i) s += std::exp(row[i] - m);
        for (int i = 0; i < columns; ++i) y[size_t(r * columns + i)] = float(std::exp(row[i] - m) / s);
    }
    return y;
}

// y[i] = x of the neighbour's place, through shared memory or copies; in blocks of 128.
const char* reversed = R"(
    for (int begin = 0; begin < args.n; begin += blockDim.x) {
        int i = begin + threadIdx.x, last = args.n - begin < 128 ? args.n - begin - 1 : 127;
        if (i < args.n) shared[threadIdx.x] = x[i];
        __syncthreads();
        if (i < args.n) y[i] = shared[last - threadIdx.x];
        __syncthreads();
    }
})";
const char* reversed_by_copies = R"(
    for (int begin = 0; begin < args.n; begin += blockDim.x) {
        int i = begin + threadIdx.x, last = args.n - begin < 128 ? args.n - begin - 1 : 127;
        if (i < args.n) simt::copy_async(shared + threadIdx.x, x + i, 4);
        simt::commit_copies();
        simt::wait_copies(0);
        __syncthreads();
        if (i < args.n) y[i] = shared[last - threadIdx.x];
        __syncthreads();
    }
})";
// As bulk copies and an mbarrier do: thread 0 starts the copy, everyone polls.
const char* reversed_by_deferred = R"(
    int* landed = reinterpret_cast<int*>(shared + 128);
    if (threadIdx.x == 0) *landed = 0;
    __syncthreads();
    int round = 0;
    for (int begin = 0; begin < args.n; begin += blockDim.x) {
        int i = begin + threadIdx.x, n = args.n - begin < 128 ? args.n - begin : 128;
        ++round;
        if (threadIdx.x == 0) {
            const float* from = x + begin;
            simt::defer([=] { std::memcpy(shared, from, n * 4); ++*landed; simt::progress(); });
        }
        simt::await([=] { return *static_cast<volatile int*>(landed) == round; });
        if (i < args.n) y[i] = shared[n - 1 - threadIdx.x];
        __syncthreads();
    }
})";
// A producer warp and consumers, over named barriers.
const char* reversed_by_warps = R"(
    for (int begin = 0; begin < args.n; begin += 96) {
        int n = args.n - begin < 96 ? args.n - begin : 96;
        if (threadIdx.x < 32) {
            for (int i = threadIdx.x; i < n; i += 32) shared[i] = x[begin + i];
            simt::barrier_arrive(1, 128);
            simt::barrier(2, 128);
        } else {
            int i = threadIdx.x - 32, block = begin / 128 * 128;
            simt::barrier(1, 128);
            if (i < n) y[begin + i] = shared[n - 1 - i];
            simt::barrier_arrive(2, 128);
        }
    }
})";
std::vector<float> reversed_of(const std::vector<float>& x, int width) {
    std::vector<float> y(x.size());
    for (int r = 0; r < rows; ++r)
        for (int i = 0; i < columns; ++i) {
            int begin = i / width * width, n = columns - begin < width ? columns - begin : width;
            y[size_t(r * columns + i)] = x[size_t(r * columns + begin + (n - 1 - (i - begin)))];
        }
    return y;
}

std::string without(std::string text, const std::string& part, const std::string& instead = "") {
    size_t at = text.find(part);
    check(at != std::string::npos, "the text has no " + part);
    return text.replace(at, part.size(), instead);
}

// --- Running them ---

std::vector<float> input() {
    std::vector<float> x(rows * columns);
    unsigned state = 1;
    for (float& value : x) value = float((state = state * 1664525u + 1013904223u) >> 8) / float(1 << 24) * 8 - 4;
    return x;
}

struct Outcome {
    int result;
    std::string why;
    bool right;
};
Outcome run(const std::string& text, const std::vector<float>& x, const std::vector<float>& expected) {
    Compiled compiled = compile(text);
    if (compiled.result != 0) return {-1, compiled.log, false};
    void *module, *function;
    if (cu("cuModuleLoadData", &module, static_cast<const void*>(compiled.cubin.data()))) return {-1, message(), false};
    check(cu("cuModuleGetFunction", &function, module, "kernel") == 0, "cuModuleGetFunction");
    Outcome outcome;
    {
        Buffer in(x.size() * 4), out(x.size() * 4);
        in.write(x);
        Arguments arguments = {nullptr, 0, columns, in.address, out.address};
        size_t bytes = sizeof arguments;
        void* extra[] = {reinterpret_cast<void*>(1), &arguments, reinterpret_cast<void*>(2), &bytes, nullptr};
        outcome.result = cu("cuLaunchKernel", function, unsigned(rows), 1u, 1u, unsigned(threads), 1u, 1u, unsigned(shared_bytes), static_cast<void*>(nullptr),
                            static_cast<void**>(nullptr), static_cast<void**>(extra));
        outcome.why = outcome.result ? message() : "";
        std::vector<float> y = out.read();
        outcome.right = true;
        for (size_t i = 0; i < y.size(); ++i)
            if (!(std::fabs(y[i] - expected[i]) <= 1e-6f)) outcome.right = false;
    }
    check(cu("cuModuleUnload", module) == 0, "cuModuleUnload");
    return outcome;
}

constexpr int n_seeds = 8;

void expect_right(const char* name, const std::string& body, const std::vector<float>& expected, const char* before = "") {
    for (int seed = 0; seed < n_seeds; ++seed) {
        setenv("TW_EMULATOR_SEED", std::to_string(seed).c_str(), 1);
        Outcome outcome = run(before + std::string(prelude) + body, input(), expected);
        check(outcome.result == 0 && outcome.right, std::string(name) + ", seed " + std::to_string(seed) + ": " + outcome.why);
    }
    printf("right under %d schedules: %s\n", n_seeds, name);
}

// A bug is caught by an error or, if `sign` is empty, by a wrong result too. Which error it is depends on the
// schedule; one of them must hold `sign`.
void expect_caught(const char* name, const std::string& text, const std::vector<float>& expected, const std::string& sign, int seeds = n_seeds) {
    int caught = 0;
    bool signed_once = sign.empty();
    std::string why;
    for (int seed = 0; seed < seeds; ++seed) {
        setenv("TW_EMULATOR_SEED", std::to_string(seed).c_str(), 1);
        Outcome outcome = run(text, input(), expected);
        check(outcome.result != -1, std::string(name) + " does not compile: " + outcome.why);
        bool wrong = outcome.result == 0 && !outcome.right;
        if (outcome.result || (sign.empty() && wrong)) ++caught;
        bool fits = outcome.why.find(sign) != std::string::npos;
        if (why.empty() || (fits && !signed_once)) why = wrong ? "a wrong result" : outcome.why;
        signed_once = signed_once || fits;
    }
    check(signed_once, std::string(name) + ": no message with " + sign + " but " + why);
    check(caught > 0 && (sign.empty() || caught == seeds), std::string(name) + " was caught " + std::to_string(caught) + " times: " + why);
    printf("caught %d of %d: %s\n", caught, seeds, name);
    if (getenv("TW_EMULATOR_VERBOSE")) printf("    %s\n", why.c_str());
}

// --- The cases ---

void right_kernels() {
    expect_right("softmax", softmax, softmax_of(input()));
    expect_right("shared memory", reversed, reversed_of(input(), 128));
    expect_right("asynchronous copies", reversed_by_copies, reversed_of(input(), 128));
    expect_right("deferred copies and polling", reversed_by_deferred, reversed_of(input(), 128));
    expect_right("named barriers", reversed_by_warps, reversed_of(input(), 96));
    const char* wide = R"(
    // 64 lanes: the sum over all, and a ballot.
    float s = 0;
    for (int i = threadIdx.x; i < args.n; i += 128) s += 1;
    for (int o = 32; o; o >>= 1) s += __shfl_xor_sync(0xffffffffu, s, o);
    unsigned long long odd = __ballot_sync(~0ull, simt::lane() & 1);
    auto all = simt::gather(int(threadIdx.x));
    bool good = simt::warp_size() == 64 && odd == 0xaaaaaaaaaaaaaaaaull && all[63] == int(threadIdx.x | 63);
    shared[threadIdx.x] = s;
    __syncthreads();
    s = shared[0] + shared[64];
    for (int i = threadIdx.x; i < args.n; i += 128) y[i] = good ? s : 0;
})";
    expect_right("warps of 64 lanes", wide, std::vector<float>(rows * columns, float(columns)), "#define TW_WARP 64\n");
}

void planted_bugs() {
    const std::vector<float> sums = softmax_of(input()), mirror = reversed_of(input(), 128);
    const std::string p = prelude, s = p + softmax, r = p + reversed;
    const std::string sync = "        __syncthreads();\n";

    expect_caught("no barrier between write and read", without(r, sync), mirror, "");
    expect_caught("no barrier between read and the next write", without(r, "shared[last - threadIdx.x];\n" + sync, "shared[last - threadIdx.x];\n"), mirror, "");
    expect_caught("no barrier in a reduction", without(s, "    __syncthreads();\n"), sums, "");
    expect_caught("no barrier before scratch is used again", without(s, "    __syncthreads();\n    return v;", "    return v;"), sums, "");
    expect_caught("copies that nobody waits for", without(p + reversed_by_copies, "simt::wait_copies(0);"), mirror, "");
    expect_caught("a copy that lands after its block", without(p + reversed_by_deferred, "simt::await([=] { return *static_cast<volatile int*>(landed) == round; });"), mirror, "");
    expect_caught("named barrier of too many", without(p + reversed_by_warps, "simt::barrier(1, 128);", "simt::barrier(1, 96);"), reversed_of(input(), 96), "barrier 1 is for 96 threads");

    expect_caught("a shuffle in a branch", without(s, "m = block_max(m, shared);", "if (threadIdx.x < 16) m = __shfl_xor_sync(0xffffffffu, m, 1);\n    m = block_max(m, shared);"), sums, "divergence");
    expect_caught("a shuffle in a branch, and a barrier in the other", without(r, sync, "        if (threadIdx.x % 32 < 16) __shfl_xor_sync(0xffffffffu, 0, 1);\n" + sync), mirror, "divergence");
    expect_caught("two shuffles in two branches", without(s, "m = block_max(m, shared);", "if (threadIdx.x & 1) m = __shfl_xor_sync(0xffffffffu, m, 2);\n    else\n        m = __shfl_xor_sync(0xffffffffu, m, 2);\n    m = block_max(m, shared);"), sums, "divergence");
    expect_caught("a shuffle outside its mask", without(s, "m = block_max(m, shared);", "m = __shfl_xor_sync(0xffffu, m, 1);"), sums, "not in the mask");
    expect_caught("a shuffle from an absent lane", without(s, "m = block_max(m, shared);", "if (threadIdx.x % 32 < 16) m = __shfl_xor_sync(0xffffu, m, 16);"), sums, "does not take part");
    expect_caught("a barrier in a branch", without(r, sync, "        if (threadIdx.x < 64) __syncthreads();\n"), mirror, "__syncthreads");
    expect_caught("a thread leaves before a barrier", without(r, sync, "        if (threadIdx.x == 77) return;\n" + sync), mirror, "ended");
    expect_caught("a lane leaves before a shuffle", without(s, "float s = 0;", "if (threadIdx.x == 77) return;\n    float s = 0;"), sums, "ended");

    expect_caught("a write beyond shared memory", without(r, "shared[threadIdx.x] = x[i]", "shared[threadIdx.x == 5 ? 256 : threadIdx.x] = x[i]"), mirror, "shared memory");
    expect_caught("a write before shared memory", without(r, "shared[threadIdx.x] = x[i]", "shared[threadIdx.x == 5 ? -1 : int(threadIdx.x)] = x[i]"), mirror, "shared memory");
    expect_caught("a read far beyond shared memory", without(r, "shared[last - threadIdx.x]", "shared[last - threadIdx.x + 1000000]"), mirror, "shared memory");
    expect_caught("a shared address out of range", without(r, sync, sync + "        *simt::shared_pointer(simt::shared_offset(memory) + 1024) = 0;\n"), mirror, "shared memory");
    expect_caught("a shared address of other memory", without(r, sync, sync + "        if (simt::shared_offset(x) == 5) return;\n"), mirror, "shared memory");
    expect_caught("a write beyond global memory", without(r, "y[i] = shared", "y[blockIdx.x == 6 && i == 299 ? 300 : i] = shared"), mirror, "allocation");
    expect_caught("a read of a null pointer", without(r, "= x[i]", "= static_cast<const float*>(nullptr)[i]"), mirror, "illegal access");
    expect_caught("an index outside a register array", without(s, "float s = 0;", "float part[4] = {1, 2, 3, 4};\n    float s = 0;\n    y[0] = part[args.n];"), sums, "local array");
    expect_caught("a misaligned vector", without(r, sync, sync + "        y[0] = reinterpret_cast<const float4*>(x + 1)->x + reinterpret_cast<const float4*>(x + 2)->x;\n"), mirror, "misaligned");
    expect_caught("endless recursion", without(without(s, "extern \"C\"", "__device__ float deep(volatile float* v) { volatile float w[64]; w[0] = *v; return deep(w) + w[0]; }\nextern \"C\""), "m = block_max(m, shared);", "m = deep(&m);"), sums, "stack");
    expect_caught("a poll that never ends", without(r, sync, "        simt::await([=] { return false; });\n"), mirror, "deadlock");
    setenv("TW_EMULATOR_SECONDS", "1", 1);
    expect_caught("a loop that never ends", without(r, sync, "        while (*static_cast<volatile float*>(shared) == x[0]) {}\n        for (volatile int j = 0; j >= 0; j = j < 10 ? j + 1 : 0) {}\n"), mirror, "CPU time", 1);
    unsetenv("TW_EMULATOR_SECONDS");
    expect_caught("no __syncwarp between lanes", without(s, "float s = 0;", "shared[threadIdx.x] = m;\n    m = shared[threadIdx.x ^ 1];\n    __syncthreads();\n    float s = 0;"), sums, "");
    expect_caught("a deadlock between barriers", without(r, sync, "        simt::barrier(threadIdx.x < 64 ? 1 : 2, 128);\n"), mirror, "deadlock");
}

void driver_checks() {
    setenv("TW_EMULATOR_SEED", "0", 1);
    std::vector<float> host(1000);
    Address address = 0;
    check(cu("cuMemAlloc_v2", &address, size_t(4000)) == 0, "cuMemAlloc");
    check(address % 256 == 0, "allocations are aligned to 256");
    check(cu("cuMemcpyDtoH_v2", static_cast<void*>(host.data()), address, size_t(4000)) == 0 && std::isnan(host[999]), "memory starts as NaN");
    check(cu("cuMemcpyDtoH_v2", static_cast<void*>(host.data()), address + 4, size_t(4000)) == 1, "a copy out of range");
    check(cu("cuMemcpyHtoD_v2", address - 4, static_cast<const void*>(host.data()), size_t(8)) == 1, "a copy that starts before");
    check(cu("cuMemcpyDtoD_v2", address, Address(host.data()), size_t(8)) == 1, "a copy from host memory as device memory");
    check(cu("cuMemcpyHtoD_v2", address, reinterpret_cast<const void*>(address), size_t(8)) == 1, "a copy from device memory as host memory");
    check(cu("cuMemsetD8_v2", address + 3999, (unsigned char)0, size_t(2)) == 1, "a fill out of range");
    check(cu("cuMemFree_v2", address + 256) == 1, "freeing the middle");
    check(cu("cuMemFree_v2", address) == 0, "freeing");
    check(cu("cuMemFree_v2", address) == 1 && message().find("freed twice") != std::string::npos, "freeing twice");
    check(cu("cuMemcpyDtoH_v2", static_cast<void*>(host.data()), address, size_t(4)) == 1 && message().find("freed") != std::string::npos, "a copy from freed memory");
    setenv("TW_EMULATOR_MEMORY", "10000", 1);
    check(cu("cuMemAlloc_v2", &address, size_t(10001)) == 2, "out of memory");
    unsetenv("TW_EMULATOR_MEMORY");
    const char* text = nullptr;
    cu("cuGetErrorString", 2, &text);
    check(text && strstr(text, "10001"), "cuGetErrorString says why");
    check(cu("cuStreamSynchronize", reinterpret_cast<void*>(12345)) == 400, "a stream that does not exist");

    Compiled broken = compile(std::string(prelude) + "    int x = missing;\n}");
    check(broken.result == 6 && broken.log.find("missing") != std::string::npos && broken.log.find("kernel.cu:") != std::string::npos, "a compile error has a log: " + broken.log);
    Compiled fixed = compile(std::string(prelude) + "    __shared__ float a[4];\n}");
    check(fixed.result == 6, "static shared memory does not compile");
    check(compile(std::string(prelude) + softmax, "sm_banana").result == 5, "an unknown architecture");

    Compiled good = compile(std::string(prelude) + softmax), other = compile(std::string(prelude) + softmax, "sm_90a");
    void *module, *function;
    check(cu("cuModuleLoadData", &module, static_cast<const void*>(other.cubin.data())) == 209, "an image for another GPU");
    good.cubin[good.cubin.size() / 2] ^= 1;
    check(cu("cuModuleLoadData", &module, static_cast<const void*>(good.cubin.data())) == 200, "a changed image");
    good.cubin[good.cubin.size() / 2] ^= 1;
    check(cu("cuModuleLoadData", &module, static_cast<const void*>(good.cubin.data())) == 0, "loading an image");
    check(cu("cuModuleGetFunction", &function, module, "nothing") == 500, "a kernel that is not there");
    check(cu("cuModuleGetFunction", &function, module, "kernel") == 0, "a kernel that is there");
    char arguments[64] = {};
    size_t bytes = 32;
    auto launch = [&](unsigned threads, unsigned shared) {
        void* extra[] = {reinterpret_cast<void*>(1), arguments, reinterpret_cast<void*>(2), &bytes, nullptr};
        return cu("cuLaunchKernel", function, 1u, 1u, 1u, threads, 1u, 1u, shared, static_cast<void*>(nullptr), static_cast<void**>(nullptr), static_cast<void**>(extra));
    };
    check(launch(129, 1024) == 1, "more threads than __launch_bounds__");
    check(launch(2048, 1024) == 1, "more threads than 1024");
    check(launch(128, (48 << 10) + 1) == 1, "more shared memory than 48 KiB");
    check(cu("cuFuncSetAttribute", function, 8, 164 << 10) == 1, "more shared memory than the device has");
    check(cu("cuFuncSetAttribute", function, 8, 163 << 10) == 0, "all shared memory of the device");
    check(launch(128, 163 << 10) == 0, "a launch with all of it");
    bytes = 24;
    check(launch(128, 1024) == 1, "arguments of the wrong size");
    bytes = 32;
    void* parameters[] = {arguments};
    check(cu("cuLaunchKernel", function, 1u, 1u, 1u, 128u, 1u, 1u, 1024u, static_cast<void*>(nullptr), static_cast<void**>(parameters), static_cast<void**>(nullptr)) == 0, "arguments by kernelParams");
    check(cu("cuStreamBeginCapture_v2", static_cast<void*>(nullptr), 2) == 900, "the default stream captures nothing");
    void *stream, *graph, *instance;
    cu("cuStreamCreate", &stream, 1u);
    check(cu("cuStreamEndCapture", stream, &graph) == 903, "the end of a capture that did not begin");
    check(cu("cuStreamBeginCapture_v2", stream, 2) == 0, "a stream captures");
    check(cu("cuStreamSynchronize", stream) == 900, "waiting for a capturing stream");
    check(cu("cuStreamDestroy_v2", stream) == 900, "destroying a capturing stream");
    check(cu("cuLaunchKernel", function, 1u, 1u, 1u, 128u, 1u, 1u, 1024u, stream, static_cast<void**>(parameters), static_cast<void**>(nullptr)) == 0, "a captured launch");
    check(cu("cuLaunchKernel", function, 1u, 1u, 1u, 129u, 1u, 1u, 1024u, stream, static_cast<void**>(parameters), static_cast<void**>(nullptr)) == 1, "a captured launch is checked");
    check(cu("cuStreamEndCapture", stream, &graph) == 0 && cu("cuStreamDestroy_v2", stream) == 0, "the end of a capture");
    check(cu("cuGraphInstantiateWithFlags", &instance, graph, 0ull) == 0 && cu("cuGraphDestroy", graph) == 0, "an instance outlives its graph");
    check(cu("cuGraphInstantiateWithFlags", &graph, graph, 0ull) == 1, "a graph that was destroyed");
    check(cu("cuGraphLaunch", instance, static_cast<void*>(nullptr)) == 0, "a graph's launch");
    check(cu("cuModuleUnload", module) == 0, "unloading");
    check(launch(128, 1024) == 400, "a function whose module was unloaded");
    check(cu("cuGraphLaunch", instance, static_cast<void*>(nullptr)) == 400, "a graph whose function's module was unloaded");
    check(cu("cuGraphExecDestroy", instance) == 0 && cu("cuGraphLaunch", instance, static_cast<void*>(nullptr)) == 1, "an instance that was destroyed");
    check(symbol<size_t()>(cuda, "twEmulatorLiveAllocations")() == 0, "nothing leaks");
    printf("the driver's checks\n");
}

// In a child process, which dies of it.
void host_access() {
    Buffer buffer(64);
    pid_t child = fork();
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), 2);
        volatile float value = *reinterpret_cast<volatile float*>(buffer.address);
        _exit(value == 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "host code that reads device memory");
    printf("host code cannot read device memory\n");
}

// As tests do that run in parallel: right launches beside failing ones.
void several_threads(void* context) {
    setenv("TW_EMULATOR_SEED", "3", 1);
    const std::vector<float> expected = softmax_of(input());
    const std::string right = std::string(prelude) + softmax, bad = without(right, "m = block_max", "if (threadIdx.x == 99) args.y[2200] = 1;\n    m = block_max");
    std::vector<std::thread> workers;
    for (int worker = 0; worker < 4; ++worker)
        workers.emplace_back([&, worker] {
            cu("cuCtxSetCurrent", context);
            for (int i = 0; i < 20; ++i) {
                bool fails = worker % 2 && i % 3 == 0;
                Outcome outcome = run(fails ? bad : right, input(), expected);
                check(fails ? outcome.result == 700 : outcome.result == 0 && outcome.right, "beside other threads: " + outcome.why);
            }
        });
    for (std::thread& worker : workers) worker.join();
    printf("launches from four threads at once\n");
}

}  // namespace

int main(int n, char** arguments) {
    std::string folder = n > 1 ? arguments[1] : ".";
    setenv("TW_EMULATOR_QUIET", "1", 0);
    setvbuf(stdout, nullptr, _IOLBF, 0);
    cuda = dlopen((folder + "/libcuda.so.1").c_str(), RTLD_NOW | RTLD_LOCAL);
    nvrtc = dlopen((folder + "/libnvrtc.so.13").c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!cuda || !nvrtc) {
        printf("FAILED: %s\n", dlerror());
        return 1;
    }
    void* context;
    check(cu("cuCtxSynchronize") == 3, "nothing works before cuInit");
    check(cu("cuInit", 0u) == 0 && cu("cuDevicePrimaryCtxRetain", &context, 0) == 0, "the context");
    check(cu("cuCtxSynchronize") == 201, "nothing works without a context");
    cu("cuCtxSetCurrent", context);
    right_kernels();
    planted_bugs();
    driver_checks();
    host_access();
    several_threads(context);
    printf(n_failures ? "%d FAILED\n" : "all held\n", n_failures.load());
    return n_failures != 0;
}
