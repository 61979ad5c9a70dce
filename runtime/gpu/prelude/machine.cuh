// What the compiler of each target leaves to us. HIP without its headers: the built-ins by their own names.

#if defined(__HIP__) && !defined(__HIPCC_RTC__)
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(n, ...) __attribute__((amdgpu_flat_work_group_size(n, n)))
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))

struct ThreadIndex {
    __device__ operator unsigned() const { return __builtin_amdgcn_workitem_id_x(); }
};
struct BlockIndex {
    __device__ operator unsigned() const { return __builtin_amdgcn_workgroup_id_x(); }
};
struct ThreadIndices {
    [[no_unique_address]] ThreadIndex x;
};
struct BlockIndices {
    [[no_unique_address]] BlockIndex x;
};
static constexpr __device__ ThreadIndices threadIdx = {};
static constexpr __device__ BlockIndices blockIdx = {};

__device__ __forceinline__ void __syncthreads() {
    __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
    __builtin_amdgcn_s_barrier();
    __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
__device__ __forceinline__ unsigned atomicExch(unsigned* at, unsigned desired) {
    return __atomic_exchange_n(at, desired, __ATOMIC_RELAXED);
}
#endif

// hipRTC has those of its own, but for this.
#if defined(__HIP__) && !defined(__grid_constant__)
#define __grid_constant__
#endif

// Threads of a warp (a wavefront).
#if defined(TW_WARP)
#elif defined(TW_AMD) && TW_AMD < 0x1000
#define TW_WARP 64
#else
#define TW_WARP 32
#endif

// Whether products of halves go to matrix cores.
#if defined(TW_CUDA) || TW_AMD == 0x90a || (TW_AMD >= 0x940 && TW_AMD <= 0x950) || TW_AMD >= 0x1100
#define TW_MATRIX 1
#else
#define TW_MATRIX 0
#endif
