// libcuda.so.1 without a GPU: the functions of the CUDA driver that a runtime needs, with the checks that
// the real one makes and some that it does not. Everything runs at once, on the calling thread.
//
// Here: errors, devices, contexts, streams, events. A failed call prints its reason; cuGetErrorString
// returns it as well, on the same thread.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "driver.h"
#include "memory.h"

std::recursive_mutex lock;
std::set<void*> streams, events, modules, functions, host_allocations;
bool initialized = false;
thread_local Context* current = nullptr;

namespace {

const std::map<Result, std::pair<const char*, const char*>>& errors() {
    static const std::map<Result, std::pair<const char*, const char*>> table = {
        {Success, {"CUDA_SUCCESS", "no error"}},
        {InvalidValue, {"CUDA_ERROR_INVALID_VALUE", "invalid argument"}},
        {OutOfMemory, {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"}},
        {NotInitialized, {"CUDA_ERROR_NOT_INITIALIZED", "initialization error"}},
        {InvalidDevice, {"CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"}},
        {InvalidImage, {"CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"}},
        {InvalidContext, {"CUDA_ERROR_INVALID_CONTEXT", "invalid device context"}},
        {NoBinaryForGpu, {"CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"}},
        {InvalidHandle, {"CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"}},
        {NotFound, {"CUDA_ERROR_NOT_FOUND", "named symbol not found"}},
        {IllegalAddress, {"CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"}},
        {LaunchTimeout, {"CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"}},
        {ContextIsDestroyed, {"CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"}},
        {IllegalInstruction, {"CUDA_ERROR_ILLEGAL_INSTRUCTION", "an illegal instruction was encountered"}},
        {LaunchFailed, {"CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"}},
        {NotSupported, {"CUDA_ERROR_NOT_SUPPORTED", "operation not supported"}},
        {CaptureUnsupported, {"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"}},
        {CaptureUnmatched, {"CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "the capture was not initiated in this stream"}},
    };
    return table;
}

thread_local Result last_error = Success;
thread_local const char* last_message = "";

int n_devices() {
    unsigned long long n = number_from("TW_EMULATOR_DEVICES", 1);
    return n < first_amd ? int(n) : first_amd;
}

Context primary[16];

struct Event {
    bool recorded;
    std::chrono::steady_clock::time_point at;
    unsigned long long copies;  // begun before it
};

}  // namespace

Result refuse(Result error, const char* function, const std::string& why) {
    Hold hold(lock);
    // Texts live for ever: callers keep them as 'static.
    static std::set<std::string> texts;
    last_error = error;
    last_message = texts.insert(std::string(function) + ": " + why).first->c_str();
    if (!getenv("TW_EMULATOR_QUIET")) fprintf(stderr, "GPU emulator: %s\n", last_message);
    return error;
}

unsigned long long number_from(const char* variable, unsigned long long otherwise) {
    const char* text = getenv(variable);
    return text && *text ? strtoull(text, nullptr, 0) : otherwise;
}

int architecture() { return int(number_from("TW_EMULATOR_ARCH", 80)); }

std::string amd_architecture() {
    const char* text = getenv("TW_EMULATOR_AMD");
    return text && *text ? text : "gfx942";
}
bool on_amd() { return current && current->device >= first_amd; }

Limits limits() {
    if (on_amd()) return {64 << 10, 64 << 10, 2048};
    switch (architecture()) {
    case 75: return {64 << 10, 64 << 10, 1024};
    case 80: case 87: return {163 << 10, 164 << 10, 2048};
    case 86: case 89: case 120: return {99 << 10, 100 << 10, 1536};
    default: return {227 << 10, 228 << 10, 2048};
    }
}

bool is_device(Device device) { return device >= 0 && device % first_amd < n_devices() && device < 16; }

bool is_one_of(const std::set<void*>& handles, void* handle) {
    Hold hold(lock);
    return handles.count(handle) != 0;
}
bool is_stream(void* stream) {
    // 1 and 2 are the legacy and the per-thread default stream.
    return reinterpret_cast<uintptr_t>(stream) <= 2 || is_one_of(streams, stream);
}

// --- For tests ---

// Why the last call that failed on this thread did.
extern "C" __attribute__((visibility("default"))) const char* twEmulatorMessage() { return last_message; }
// How many device allocations are live.
extern "C" __attribute__((visibility("default"))) size_t twEmulatorLiveAllocations() { return memory::live_allocations(); }

// --- Errors, versions, devices ---

API cuInit(unsigned flags) {
    if (flags) REFUSE(InvalidValue, "flags must be 0");
    simt::catch_signals(memory::describe);
    initialized = true;
    return Success;
}
API cuDriverGetVersion(int* version) {
    *version = 13000;
    return Success;
}
API cuGetErrorName(Result error, const char** text) {
    auto found = errors().find(error);
    *text = found == errors().end() ? nullptr : found->second.first;
    return *text ? Success : InvalidValue;
}
API cuGetErrorString(Result error, const char** text) {
    auto found = errors().find(error);
    *text = found == errors().end() ? nullptr : found->second.second;
    if (error && error == last_error) *text = last_message;
    return *text ? Success : InvalidValue;
}

API cuDeviceGetCount(int* count) {
    if (!initialized) REFUSE(NotInitialized, "cuInit was not called");
    *count = n_devices();
    return Success;
}
API cuDeviceGet(Device* device, int ordinal) {
    if (!initialized) REFUSE(NotInitialized, "cuInit was not called");
    if (ordinal < 0 || ordinal >= n_devices()) REFUSE(InvalidDevice, "there is no device " + std::to_string(ordinal));
    *device = ordinal;
    return Success;
}
API cuDeviceGetName(char* name, int bytes, Device device) {
    NEED_DEVICE(device);
    if (device >= first_amd) snprintf(name, size_t(bytes), "Emulated GPU %s", amd_architecture().c_str());
    else snprintf(name, size_t(bytes), "Emulated GPU sm_%d", architecture());
    return Success;
}
API cuDeviceTotalMem_v2(size_t* bytes, Device device) {
    NEED_DEVICE(device);
    *bytes = memory::limit();
    return Success;
}
API cuDeviceComputeCapability(int* major, int* minor, Device device) {
    NEED_DEVICE(device);
    *major = architecture() / 10;
    *minor = architecture() % 10;
    return Success;
}
API cuDeviceGetUuid_v2(char* uuid, Device device) {
    NEED_DEVICE(device);
    memset(uuid, 0, 16);
    memcpy(uuid, "emulated GPU", 12);
    uuid[15] = char(device);
    return Success;
}
API cuDeviceGetUuid(char* uuid, Device device) { return cuDeviceGetUuid_v2(uuid, device); }
API cuDeviceGetAttribute(int* value, int attribute, Device device) {
    NEED_DEVICE(device);
    switch (attribute) {
    case 1: case 2: case 3: *value = 1024; break;               // threads of a block, in x, in y
    case 4: *value = 64; break;                                 // in z
    case 5: *value = 2147483647; break;                         // blocks of a grid in x
    case 6: case 7: *value = 65535; break;                      // in y, in z
    case 8: *value = 48 << 10; break;                           // shared memory of a block
    case 10: *value = 32; break;                                // warp size
    case 12: case 82: *value = 65536; break;                    // registers of a block, of a multiprocessor
    case 13: *value = 1000000; break;                           // clock, kHz
    case 16: *value = int(number_from("TW_EMULATOR_MULTIPROCESSORS", 8)); break;
    case 36: *value = 1000000; break;                           // memory clock, kHz
    case 37: *value = 256; break;                               // memory bus, bits
    case 38: *value = 4 << 20; break;                           // L2
    case 39: *value = limits().threads_per_multiprocessor; break;
    case 31: case 41: case 90: case 95: *value = 1; break;      // concurrent kernels, unified addresses, preemption, cooperative launch
    case 75: *value = architecture() / 10; break;
    case 76: *value = architecture() % 10; break;
    case 81: *value = limits().shared_per_multiprocessor; break;
    case 97: *value = limits().shared_per_block; break;         // with cuFuncSetAttribute
    case 106: *value = 32; break;                               // blocks of a multiprocessor
    case 111: *value = 1024; break;                             // reserved shared memory of a block
    case 115: *value = 1; break;                                // memory pools
    case 127: *value = architecture() >= 90; break;             // tensor maps
    default: *value = 0;
    }
    return Success;
}

// --- Contexts ---

API cuDevicePrimaryCtxRetain(Context** context, Device device) {
    NEED_DEVICE(device);
    Hold hold(lock);
    primary[device].device = device;
    ++primary[device].retained;
    *context = &primary[device];
    return Success;
}
API cuDevicePrimaryCtxRelease_v2(Device device) {
    NEED_DEVICE(device);
    Hold hold(lock);
    if (!primary[device].retained) REFUSE(InvalidContext, "released more often than retained");
    --primary[device].retained;
    return Success;
}
API cuDevicePrimaryCtxGetState(Device device, unsigned* flags, int* active) {
    NEED_DEVICE(device);
    *flags = 0;
    *active = primary[device].retained > 0;
    return Success;
}
API cuCtxSetCurrent(Context* context) {
    if (context && (context < primary || context >= primary + 16)) REFUSE(InvalidContext, "the context does not exist");
    current = context;
    return Success;
}
API cuCtxGetCurrent(Context** context) {
    *context = current;
    return Success;
}
API cuCtxPushCurrent_v2(Context* context) { return cuCtxSetCurrent(context); }
API cuCtxGetDevice(Device* device) {
    NEED_CONTEXT();
    *device = current->device;
    return Success;
}
API cuCtxSynchronize() {
    NEED_CONTEXT();
    return Success;
}
API cuCtxSetFlags(unsigned) { return Success; }
API cuCtxSetLimit(int, size_t) { return Success; }
API cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    *least = *greatest = 0;
    return Success;
}

// --- Streams and events ---

API cuStreamCreate(void** stream, unsigned) {
    NEED_CONTEXT();
    Hold hold(lock);
    *stream = new char;
    streams.insert(*stream);
    return Success;
}
API cuStreamCreateWithPriority(void** stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
API cuStreamDestroy_v2(void* stream) {
    Hold hold(lock);
    if (is_capturing(stream)) REFUSE(CaptureUnsupported, "the stream captures a graph");
    if (!streams.erase(stream)) REFUSE(InvalidHandle, "the stream does not exist, or was destroyed");
    // The byte is kept, so that no other stream gets the address.
    return Success;
}
API cuStreamSynchronize(void* stream) {
    NEED_CONTEXT();
    NEED_STREAM(stream);
    land_copies();
    return Success;
}
API cuStreamQuery(void* stream) { return cuStreamSynchronize(stream); }
API cuStreamWaitEvent(void* stream, void* event, unsigned) {
    NEED_STREAM(stream);
    if (!is_one_of(events, event)) REFUSE(InvalidHandle, "the event does not exist, or was destroyed");
    return Success;
}
API cuStreamAttachMemAsync(void*, Address, size_t, unsigned) { return Success; }
API cuLaunchHostFunc(void* stream, void (*function)(void*), void* data) {
    NEED_STREAM(stream);
    function(data);
    return Success;
}

API cuEventCreate(void** event, unsigned) {
    NEED_CONTEXT();
    Hold hold(lock);
    *event = new Event{false, {}, 0};
    events.insert(*event);
    return Success;
}
API cuEventDestroy_v2(void* event) {
    Hold hold(lock);
    if (!events.erase(event)) REFUSE(InvalidHandle, "the event does not exist, or was destroyed");
    return Success;
}
API cuEventRecord(void* event, void* stream) {
    NEED_STREAM(stream);
    Hold hold(lock);
    if (!events.count(event)) REFUSE(InvalidHandle, "the event does not exist, or was destroyed");
    *static_cast<Event*>(event) = {true, std::chrono::steady_clock::now(), copies_begun()};
    return Success;
}
API cuEventSynchronize(void* event) {
    if (!is_one_of(events, event)) REFUSE(InvalidHandle, "the event does not exist, or was destroyed");
    land_copies(static_cast<Event*>(event)->copies);
    return Success;
}
API cuEventQuery(void* event) { return cuEventSynchronize(event); }
API cuEventElapsedTime_v2(float* milliseconds, void* begin, void* end) {
    Hold hold(lock);
    if (!events.count(begin) || !events.count(end)) REFUSE(InvalidHandle, "an event does not exist, or was destroyed");
    Event *from = static_cast<Event*>(begin), *to = static_cast<Event*>(end);
    if (!from->recorded || !to->recorded) REFUSE(InvalidHandle, "an event was not recorded");
    *milliseconds = std::chrono::duration<float, std::milli>(to->at - from->at).count();
    return Success;
}
API cuEventElapsedTime(float* milliseconds, void* begin, void* end) { return cuEventElapsedTime_v2(milliseconds, begin, end); }
