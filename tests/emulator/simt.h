// A GPU thread's view of the emulated machine: what CUDA C++ has built in, over fibers on the CPU.
//
// The fake NVRTC puts this file before a kernel's text and gives both to g++. Every GPU thread is a fiber
// that runs alone until it waits: at a barrier, at a warp collective, or in `simt::yield`. Who runs next
// is the scheduler's choice (scheduler.cpp); a right program gives the same result whatever it chooses.
// A failure ends the launch, and the fake driver returns it as an error with a text.
#pragma once
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#define __constant__ static const
// Shared memory is dynamic, through TW_SHARED alone: a static variable would be shared by the whole process.
#define __shared__ static_shared_memory_is_not_emulated

// Exported from libcuda.so.1, where the scheduler lives.
#define SIMT_API __attribute__((visibility("default")))
// The same for the whole life of a GPU thread.
#define SIMT_FIXED __attribute__((visibility("default"), const))

namespace simt {

struct Index {
    unsigned x, y, z;
};

// Where a thread waits, for messages and to tell two collectives apart.
struct Place {
    const char* function;
    int line;
};
inline Place here(const char* function = __builtin_FUNCTION(), int line = __builtin_LINE()) { return {function, line}; }

// --- Who am I ---

SIMT_FIXED const Index& thread_index();
SIMT_FIXED const Index& block_index();
SIMT_FIXED const Index& block_size();
SIMT_FIXED const Index& grid_size();
SIMT_FIXED int thread();     // in the block, x fastest
SIMT_FIXED int lane();       // in the warp
SIMT_FIXED int warp_size();  // 32, or TW_WARP
using Mask = unsigned long long;
// All lanes. 0xffffffff means the same, where warps have 64 lanes too.
constexpr Mask everyone = ~Mask(0);

// --- Failures and choices ---

// Ends the launch.
[[noreturn]] SIMT_API void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));
// An adversarial choice; always 0 with seed 0. `simt::random() % 2` is a coin.
SIMT_API unsigned random();
// For the body of a waiting loop: lets others run. Far too many in a row with no progress are a deadlock.
SIMT_API void yield(Place place = here());
// Says that a polling loop may find something new: call it where an mbarrier changes its phase.
SIMT_API void progress();
// Lets others run, perhaps: put it where a real GPU is likely to change warps.
SIMT_API void preempt();

// Waits until `ready()`.
template <class Ready> inline void await(Ready ready, Place place = here()) {
    while (!ready()) yield(place);
    progress();
}

// --- Shared memory ---

// The block's dynamic shared memory: NaN (0xFF) at first, aligned to 1024, unmapped pages around it.
SIMT_FIXED unsigned char* shared_memory();
// The address that PTX would use. Fails for a pointer to other memory.
SIMT_API unsigned shared_offset(const void* pointer);
// The other way. Fails unless all `bytes` are in shared memory.
SIMT_API unsigned char* shared_pointer(unsigned offset, unsigned bytes = 1);

// --- Barriers of the block ---

// Of all threads; a different line in another thread is a failure, as is a thread that has left.
SIMT_API void barrier_all(Place place = here());
// bar.sync and bar.arrive: barrier 0 to 15, of `threads` threads, a multiple of the warp's size.
SIMT_API void barrier(int number, int threads, Place place = here());
SIMT_API void barrier_arrive(int number, int threads, Place place = here());

// --- Warp collectives ---

namespace detail {
// Lanes that wait for each other, with what each brought and where its result goes.
struct Meeting {
    Mask lanes;
    const void* value[64];
    void* result[64];
};
// The last lane to come runs `finish` for all of them, then all go on.
SIMT_API void meet(Mask lanes, const void* value, void* result, void (*finish)(const Meeting&, void (*each)()),
                   void (*each)(), Place place);
}  // namespace detail

// What every lane brought.
template <class T> struct Everyone {
    const detail::Meeting& meeting;
    bool has(int lane) const { return meeting.lanes >> lane & 1; }
    const T& operator[](int lane) const { return *static_cast<const T*>(meeting.value[lane]); }
};

// The general collective: `each(everyone's values, lane)` is the lane's result. `each` has no captures, for
// one lane calls it for all: whatever it needs is in the value. All lanes of `lanes` must come to the same
// place; anything else is reported as divergence.
template <class Result, class T>
inline Result together(const T& value, Result (*each)(const Everyone<T>&, int), Mask lanes = everyone, Place place = here()) {
    static_assert(std::is_trivially_copyable<T>::value && std::is_trivially_copyable<Result>::value, "values are copied as bytes");
    Result result;
    detail::meet(
        lanes, &value, &result,
        [](const detail::Meeting& meeting, void (*erased)()) {
            auto each = reinterpret_cast<Result (*)(const Everyone<T>&, int)>(erased);
            for (int lane = 0; lane < 64; ++lane)
                if (meeting.lanes >> lane & 1) *static_cast<Result*>(meeting.result[lane]) = each(Everyone<T>{meeting}, lane);
        },
        reinterpret_cast<void (*)()>(each), place);
    return result;
}

// A copy of what every lane brought; 0xFF for lanes that did not take part.
template <class T> struct Lanes {
    alignas(T) unsigned char bytes[64 * sizeof(T)];
    const T& operator[](int lane) const { return *reinterpret_cast<const T*>(bytes + lane * sizeof(T)); }
};
template <class T> inline Lanes<T> gather(const T& value, Mask lanes = everyone, Place place = here()) {
    return together<Lanes<T>, T>(
        value,
        [](const Everyone<T>& all, int) {
            Lanes<T> copy;
            std::memset(copy.bytes, 0xFF, sizeof copy.bytes);
            for (int lane = 0; lane < 64; ++lane)
                if (all.has(lane)) std::memcpy(copy.bytes + lane * sizeof(T), &all[lane], sizeof(T));
            return copy;
        },
        lanes, place);
}

// The value of lane `from`, which must take part.
template <class T> inline T shuffle(Mask lanes, const T& value, int from, Place place) {
    struct Question {
        T value;
        int from;
    };
    return together<T, Question>(
        {value, from},
        [](const Everyone<Question>& all, int lane) {
            int from = all[lane].from;
            if (!all.has(from)) fail("lane %d shuffles from lane %d, which does not take part", lane, from);
            return all[from].value;
        },
        lanes, place);
}

// --- Asynchronous copies ---

namespace detail {
struct Deferred {
    virtual void land() = 0;
    virtual ~Deferred() {}
};
SIMT_API void defer(Deferred* copy);  // takes it over
// Memory of one GPU thread, found by its key, zeroed at the block's start.
SIMT_API void* thread_memory(const void* key, size_t bytes);
template <class T> char key_of;
}  // namespace detail

// Runs `land` later: at an adversarial time, at the latest when nobody can go on without. `land` may run on
// any thread and must not wait. Copies that have not landed when the block ends are a failure.
template <class Land> inline void defer(Land land) {
    struct Held final : detail::Deferred {
        Land body;
        explicit Held(Land body) : body(body) {}
        void land() override { body(); }
    };
    detail::defer(new Held(land));
}

// A T for each GPU thread, for the emulation's own state: zeroed when the block starts, never destroyed.
template <class T> inline T& thread_state() {
    static_assert(std::is_trivially_copyable<T>::value, "it starts as zeros and is dropped as bytes");
    return *static_cast<T*>(detail::thread_memory(&detail::key_of<T>, sizeof(T)));
}

// cp.async: a copy lands at any time until its group is waited for.
SIMT_API void copy_async(void* shared, const void* global, unsigned bytes);
SIMT_API void commit_copies();
// Lands all but the newest `groups` committed groups.
SIMT_API void wait_copies(unsigned groups);

// --- A compiled kernel, found by the fake driver as the symbol <name>__kernel ---

struct Kernel {
    void (*run)(const void* arguments);
    unsigned long argument_bytes;
    int threads;  // of __launch_bounds__, 0 if there are none
    int warp;
};
// Calls a kernel of one struct.
template <class Arguments> inline void call(void (*kernel)(Arguments), const void* arguments) {
    kernel(*static_cast<const typename std::remove_const<Arguments>::type*>(arguments));
}
template <class Arguments> constexpr unsigned long argument_bytes(void (*)(Arguments)) { return sizeof(Arguments); }

}  // namespace simt

// --- CUDA's names ---

#define threadIdx (simt::thread_index())
#define blockIdx (simt::block_index())
#define blockDim (simt::block_size())
#define gridDim (simt::grid_size())

inline void __syncthreads(simt::Place place = simt::here()) { simt::barrier_all(place); }
inline void __syncwarp(simt::Mask lanes = simt::everyone, simt::Place place = simt::here()) { simt::gather(char(0), lanes, place); }

template <class T> inline T __shfl_sync(simt::Mask lanes, T value, int from, int width = simt::warp_size(), simt::Place place = simt::here()) {
    int lane = simt::lane();
    return simt::shuffle(lanes, value, (lane & ~(width - 1)) | (from & (width - 1)), place);
}
template <class T> inline T __shfl_xor_sync(simt::Mask lanes, T value, int mask, int width = simt::warp_size(), simt::Place place = simt::here()) {
    int lane = simt::lane(), from = lane ^ mask;
    return simt::shuffle(lanes, value, from / width == lane / width ? from : lane, place);
}
template <class T> inline T __shfl_up_sync(simt::Mask lanes, T value, unsigned by, int width = simt::warp_size(), simt::Place place = simt::here()) {
    int lane = simt::lane(), from = lane - int(by);
    return simt::shuffle(lanes, value, from >= (lane & ~(width - 1)) ? from : lane, place);
}
template <class T> inline T __shfl_down_sync(simt::Mask lanes, T value, unsigned by, int width = simt::warp_size(), simt::Place place = simt::here()) {
    int lane = simt::lane(), from = lane + int(by);
    return simt::shuffle(lanes, value, from <= (lane | (width - 1)) ? from : lane, place);
}
// 32 bits for warps of 32 lanes; the caller of a wider one takes all 64.
inline simt::Mask __ballot_sync(simt::Mask lanes, int predicate, simt::Place place = simt::here()) {
    return simt::together<simt::Mask, int>(
        predicate,
        [](const simt::Everyone<int>& all, int) {
            simt::Mask set = 0;
            for (int lane = 0; lane < 64; ++lane)
                if (all.has(lane) && all[lane]) set |= simt::Mask(1) << lane;
            return set;
        },
        lanes, place);
}
inline int __any_sync(simt::Mask lanes, int predicate, simt::Place place = simt::here()) { return __ballot_sync(lanes, predicate, place) != 0; }
inline int __all_sync(simt::Mask lanes, int predicate, simt::Place place = simt::here()) { return __ballot_sync(lanes, !predicate, place) == 0; }

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __nanosleep(unsigned) { simt::preempt(); }
[[noreturn]] inline void __trap() { simt::fail("__trap()"); }

// Launches on several CPU threads may share memory, so these are atomic for the CPU too.
inline unsigned atomicCAS(unsigned* at, unsigned expected, unsigned desired) {
    simt::preempt();
    __atomic_compare_exchange_n(at, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
inline int atomicCAS(int* at, int expected, int desired) {
    return int(atomicCAS(reinterpret_cast<unsigned*>(at), unsigned(expected), unsigned(desired)));
}
template <class T> inline T atomicExch(T* at, T value) { simt::preempt(); return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST); }
inline int atomicAdd(int* at, int value) { simt::preempt(); return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); }
inline unsigned atomicAdd(unsigned* at, unsigned value) { simt::preempt(); return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); }
inline unsigned long long atomicAdd(unsigned long long* at, unsigned long long value) { simt::preempt(); return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); }
inline float atomicAdd(float* at, float value) {
    simt::preempt();
    float before, after;
    __atomic_load(at, &before, __ATOMIC_SEQ_CST);
    do after = before + value;
    while (!__atomic_compare_exchange(at, &before, &after, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return before;
}

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
template <class To, class From> inline To simt_bits(From from) {
    To to;
    static_assert(sizeof to == sizeof from, "the same bits");
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline unsigned __float_as_uint(float x) { return simt_bits<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return simt_bits<float>(x); }
inline int __float_as_int(float x) { return simt_bits<int>(x); }
inline float __int_as_float(int x) { return simt_bits<float>(x); }
inline long long __double_as_longlong(double x) { return simt_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return simt_bits<double>(x); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
template <class T> inline T __ldg(const T* at) { return *at; }

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace simt {
// What the fake cuTensorMapEncodeTiled writes into the 128 bytes of a CUtensorMap.
struct alignas(64) TensorMap {
    unsigned char* data;
    unsigned long long size[5];    // elements, the contiguous dimension first
    unsigned long long stride[4];  // bytes, of dimensions 1 to 4
    unsigned short box[5];         // elements
    unsigned char rank, element_bytes;
    unsigned char swizzle;         // 0 none, 1: 32 bytes, 2: 64, 3: 128
    unsigned char fill_with_nan;
    unsigned short magic;          // 0x7457
};
static_assert(sizeof(TensorMap) == 128, "as large as CUtensorMap");
}  // namespace simt
