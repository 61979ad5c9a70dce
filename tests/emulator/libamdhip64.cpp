// libamdhip64.so.7 without ROCm: HIP's names and numbers over the fake libcuda beside it, whose devices from
// `first_amd` on are AMD's. What HIP does otherwise is here: devices instead of contexts, the properties'
// layout, the end of a launch's `extra`, the names of errors.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "driver.h"

extern "C" {
Result cuInit(unsigned);
Result cuGetErrorString(Result, const char**);
Result cuDeviceGetCount(int*);
Result cuDeviceGetName(char*, int, Device);
Result cuDeviceTotalMem_v2(size_t*, Device);
Result cuDevicePrimaryCtxRetain(Context**, Device);
Result cuCtxGetCurrent(Context**);
Result cuCtxSetCurrent(Context*);
Result cuStreamCreate(void**, unsigned);
Result cuStreamDestroy_v2(void*);
Result cuStreamSynchronize(void*);
Result cuMemHostAlloc(void**, size_t, unsigned);
Result cuEventCreate(void**, unsigned);
Result cuEventDestroy_v2(void*);
Result cuEventRecord(void*, void*);
Result cuEventSynchronize(void*);
Result cuEventElapsedTime(float*, void*, void*);
Result cuStreamBeginCapture_v2(void*, int);
Result cuStreamEndCapture(void*, void**);
Result cuGraphInstantiateWithFlags(void**, void*, unsigned long long);
Result cuGraphLaunch(void*, void*);
Result cuGraphDestroy(void*);
Result cuGraphExecDestroy(void*);
Result cuMemGetInfo_v2(size_t*, size_t*);
Result cuDeviceGetDefaultMemPool(void**, Device);
Result cuMemPoolSetAttribute(void*, int, void*);
Result cuMemAllocAsync(Address*, size_t, void*);
Result cuMemFreeAsync(Address, void*);
Result cuMemAlloc_v2(Address*, size_t);
Result cuMemFree_v2(Address);
Result cuMemsetD8Async(Address, unsigned char, size_t, void*);
Result cuMemcpyHtoDAsync_v2(Address, const void*, size_t, void*);
Result cuMemcpyDtoHAsync_v2(void*, Address, size_t, void*);
Result cuMemcpyDtoDAsync_v2(Address, Address, size_t, void*);
Result cuModuleLoadData(Module**, const void*);
Result cuModuleUnload(Module*);
Result cuModuleGetFunction(Function**, Module*, const char*);
Result cuLaunchKernel(Function*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
}

namespace {

thread_local int device = 0;

std::string environment(const char* name, const char* otherwise) {
    const char* text = getenv(name);
    return text && *text ? text : otherwise;
}

// While it lives, this thread's device is current; CUDA's is again when it goes.
struct Entered {
    Context* before = nullptr;
    Entered() {
        static Context* contexts[first_amd];
        cuInit(0);  // HIP initialises itself
        cuCtxGetCurrent(&before);
        if (!contexts[device]) cuDevicePrimaryCtxRetain(&contexts[device], first_amd + device);
        cuCtxSetCurrent(contexts[device]);
    }
    ~Entered() { cuCtxSetCurrent(before); }
};

// HIP lacks some of CUDA's codes. What the last one was on this thread has a text that says why.
thread_local Result last_of_cuda = Success;
Result code(Result result) {
    if (result) last_of_cuda = result;
    return result == IllegalInstruction ? Result(LaunchFailed) : result;
}

const std::map<Result, const char*>& names() {
    static const std::map<Result, const char*> table = {
        {Success, "hipSuccess"},
        {InvalidValue, "hipErrorInvalidValue"},
        {OutOfMemory, "hipErrorOutOfMemory"},
        {NotInitialized, "hipErrorNotInitialized"},
        {100, "hipErrorNoDevice"},
        {InvalidDevice, "hipErrorInvalidDevice"},
        {InvalidImage, "hipErrorInvalidImage"},
        {InvalidContext, "hipErrorInvalidContext"},
        {NoBinaryForGpu, "hipErrorNoBinaryForGpu"},
        {InvalidHandle, "hipErrorInvalidHandle"},
        {NotFound, "hipErrorNotFound"},
        {IllegalAddress, "hipErrorIllegalAddress"},
        {LaunchTimeout, "hipErrorLaunchTimeOut"},
        {ContextIsDestroyed, "hipErrorContextIsDestroyed"},
        {LaunchFailed, "hipErrorLaunchFailure"},
        {NotSupported, "hipErrorNotSupported"},
        {CaptureUnsupported, "hipErrorStreamCaptureUnsupported"},
        {CaptureUnmatched, "hipErrorStreamCaptureUnmatched"},
    };
    return table;
}

bool exists(int number) {
    int count = 0;
    cuInit(0);
    cuDeviceGetCount(&count);
    return number >= 0 && number < count;
}

}  // namespace

#define ENTERED(call) \
    Entered entered; \
    return code(call)

// --- Devices ---

API hipInit(unsigned flags) { return cuInit(flags); }
API hipGetDeviceCount(int* count) {
    cuInit(0);
    cuDeviceGetCount(count);
    return *count ? Success : 100;
}
API hipDeviceGet(Device* of, int ordinal) {
    if (!exists(ordinal)) return InvalidDevice;
    *of = ordinal;
    return Success;
}
API hipGetDevice(int* current_device) {
    *current_device = device;
    return Success;
}
API hipSetDevice(int number) {
    if (!exists(number)) return InvalidDevice;
    device = number;
    return Success;
}
API hipDeviceGetName(char* name, int bytes, Device of) {
    if (!exists(of)) return InvalidDevice;
    return cuDeviceGetName(name, bytes, first_amd + of);
}
// The fields that are set, at the offsets that they have in ROCm 6 and 7.
API hipGetDevicePropertiesR0600(unsigned char* properties, int of) {
    if (!exists(of)) return InvalidDevice;
    // Not zeros: who reads another field gets nonsense, and who gives less room learns it.
    memset(properties, 0xCC, 1472);
    auto put = [&](size_t at, auto value) { memcpy(properties + at, &value, sizeof value); };
    const std::string architecture = environment("TW_EMULATOR_AMD", "gfx942"), features = architecture.size() == 6 ? ":sramecc+:xnack-" : "";
    cuDeviceGetName(reinterpret_cast<char*>(properties), 256, first_amd + of);
    size_t total = 0;
    cuDeviceTotalMem_v2(&total, first_amd + of);
    put(288, total);
    put(296, size_t(64 << 10));
    put(308, architecture.size() == 7 ? 32 : 64);
    memcpy(properties + 1160, (architecture + features).c_str(), architecture.size() + features.size() + 1);
    return Success;
}

// --- Errors ---

extern "C" __attribute__((visibility("default"))) const char* hipGetErrorName(Result result) {
    auto found = names().find(result);
    return found == names().end() ? "hipErrorUnknown" : found->second;
}
extern "C" __attribute__((visibility("default"))) const char* hipGetErrorString(Result result) {
    const char* text = nullptr;
    cuGetErrorString(result == LaunchFailed && last_of_cuda == IllegalInstruction ? last_of_cuda : result, &text);
    return text ? text : "unknown error";
}

// --- Streams and events ---

API hipStreamCreateWithFlags(void** stream, unsigned flags) { ENTERED(cuStreamCreate(stream, flags)); }
API hipStreamDestroy(void* stream) { ENTERED(cuStreamDestroy_v2(stream)); }
API hipStreamSynchronize(void* stream) { ENTERED(cuStreamSynchronize(stream)); }
API hipHostMalloc(void** memory, size_t bytes, unsigned flags) { ENTERED(cuMemHostAlloc(memory, bytes, flags)); }
API hipEventCreateWithFlags(void** event, unsigned flags) { ENTERED(cuEventCreate(event, flags)); }
API hipEventDestroy(void* event) { ENTERED(cuEventDestroy_v2(event)); }
API hipEventRecord(void* event, void* stream) { ENTERED(cuEventRecord(event, stream)); }
API hipEventSynchronize(void* event) { ENTERED(cuEventSynchronize(event)); }
API hipEventElapsedTime(float* milliseconds, void* begin, void* end) { ENTERED(cuEventElapsedTime(milliseconds, begin, end)); }

// --- Graphs ---

API hipStreamBeginCapture(void* stream, int mode) { ENTERED(cuStreamBeginCapture_v2(stream, mode)); }
API hipStreamEndCapture(void* stream, void** graph) { ENTERED(cuStreamEndCapture(stream, graph)); }
API hipGraphInstantiateWithFlags(void** instance, void* graph, unsigned long long flags) { ENTERED(cuGraphInstantiateWithFlags(instance, graph, flags)); }
API hipGraphLaunch(void* instance, void* stream) { ENTERED(cuGraphLaunch(instance, stream)); }
API hipGraphDestroy(void* graph) { ENTERED(cuGraphDestroy(graph)); }
API hipGraphExecDestroy(void* instance) { ENTERED(cuGraphExecDestroy(instance)); }

// --- Memory ---

API hipMemGetInfo(size_t* free_bytes, size_t* total) { ENTERED(cuMemGetInfo_v2(free_bytes, total)); }
API hipDeviceGetDefaultMemPool(void** pool, int of) { ENTERED(cuDeviceGetDefaultMemPool(pool, first_amd + of)); }
API hipMemPoolSetAttribute(void* pool, int attribute, void* value) { ENTERED(cuMemPoolSetAttribute(pool, attribute, value)); }
API hipMallocAsync(Address* address, size_t bytes, void* stream) { ENTERED(cuMemAllocAsync(address, bytes, stream)); }
API hipFreeAsync(Address address, void* stream) { ENTERED(cuMemFreeAsync(address, stream)); }
API hipMalloc(Address* address, size_t bytes) { ENTERED(cuMemAlloc_v2(address, bytes)); }
API hipFree(Address address) { ENTERED(cuMemFree_v2(address)); }
API hipMemsetD8Async(Address to, unsigned char value, size_t bytes, void* stream) { ENTERED(cuMemsetD8Async(to, value, bytes, stream)); }
API hipMemcpyHtoDAsync(Address to, const void* from, size_t bytes, void* stream) { ENTERED(cuMemcpyHtoDAsync_v2(to, from, bytes, stream)); }
API hipMemcpyDtoHAsync(void* to, Address from, size_t bytes, void* stream) { ENTERED(cuMemcpyDtoHAsync_v2(to, from, bytes, stream)); }
API hipMemcpyDtoDAsync(Address to, Address from, size_t bytes, void* stream) { ENTERED(cuMemcpyDtoDAsync_v2(to, from, bytes, stream)); }

// --- Modules and launches ---

API hipModuleLoadData(Module** module, const void* data) { ENTERED(cuModuleLoadData(module, data)); }
API hipModuleUnload(Module* module) { ENTERED(cuModuleUnload(module)); }
API hipModuleGetFunction(Function** function, Module* module, const char* name) { ENTERED(cuModuleGetFunction(function, module, name)); }
API hipModuleLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                          unsigned block_z, unsigned shared_bytes, void* stream, void** parameters, void** extra) {
    void* translated[5];
    if (extra) {
        // In this order, and HIP_LAUNCH_PARAM_END is 3, where CUDA's is 0.
        auto tag = [&](int i) { return reinterpret_cast<uintptr_t>(extra[i]); };
        if (tag(0) != 1 || tag(2) != 2 || tag(4) != 3) {
            fprintf(stderr, "GPU emulator: hipModuleLaunchKernel: `extra` is not pointer, size, end\n");
            return InvalidValue;
        }
        memcpy(translated, extra, 4 * sizeof *extra);
        translated[4] = nullptr;
    }
    ENTERED(cuLaunchKernel(function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream, parameters, extra ? translated : nullptr));
}
