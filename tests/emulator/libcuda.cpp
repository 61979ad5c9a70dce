// libcuda.so.1 without a GPU: the functions of the CUDA driver that a runtime needs, with the checks that
// the real one makes and some that it does not. Everything runs at once, on the calling thread.
//
// A failed call prints its reason; cuGetErrorString returns it as well, on the same thread.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include <dlfcn.h>
#include <unistd.h>

#include "image.h"
#include "machine.h"
#include "memory.h"

// The real ABI: handles are pointers, results and enums are ints.
typedef int Result;
typedef int Device;
typedef unsigned long long Address;

enum : Result {
    Success = 0,
    InvalidValue = 1,
    OutOfMemory = 2,
    NotInitialized = 3,
    InvalidDevice = 101,
    InvalidImage = 200,
    InvalidContext = 201,
    NoBinaryForGpu = 209,
    InvalidHandle = 400,
    NotFound = 500,
    IllegalAddress = 700,
    ContextIsDestroyed = 709,
    IllegalInstruction = 715,
    LaunchFailed = 719,
    NotSupported = 801,
};

#define API extern "C" __attribute__((visibility("default"))) Result

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
        {ContextIsDestroyed, {"CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"}},
        {IllegalInstruction, {"CUDA_ERROR_ILLEGAL_INSTRUCTION", "an illegal instruction was encountered"}},
        {LaunchFailed, {"CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"}},
        {NotSupported, {"CUDA_ERROR_NOT_SUPPORTED", "operation not supported"}},
    };
    return table;
}

std::recursive_mutex lock;
using Hold = std::lock_guard<std::recursive_mutex>;

thread_local Result last_error = Success;
thread_local const char* last_message = "";

// Says why a call fails. Texts live for ever: callers keep them as 'static.
Result refuse(Result error, const char* function, const std::string& why) {
    Hold hold(lock);
    static std::set<std::string> texts;
    last_error = error;
    last_message = texts.insert(std::string(function) + ": " + why).first->c_str();
    if (!getenv("TW_EMULATOR_QUIET")) fprintf(stderr, "GPU emulator: %s\n", last_message);
    return error;
}
#define REFUSE(error, ...) return refuse(error, __func__, __VA_ARGS__)

unsigned long long number_from(const char* variable, unsigned long long otherwise) {
    const char* text = getenv(variable);
    return text && *text ? strtoull(text, nullptr, 0) : otherwise;
}

// --- Devices ---

int n_devices() { return int(number_from("TW_EMULATOR_DEVICES", 1)); }
// 80 for compute capability 8.0.
int architecture() { return int(number_from("TW_EMULATOR_ARCH", 80)); }

struct Limits {
    int shared_per_block, shared_per_multiprocessor, threads_per_multiprocessor;
};
Limits limits() {
    switch (architecture()) {
    case 75: return {64 << 10, 64 << 10, 1024};
    case 80: case 87: return {163 << 10, 164 << 10, 2048};
    case 86: case 89: case 120: return {99 << 10, 100 << 10, 1536};
    default: return {227 << 10, 228 << 10, 2048};
    }
}

bool initialized = false;

bool is_device(Device device) { return device >= 0 && device < n_devices() && device < 16; }

// --- Handles ---

struct Context {
    Device device;
    int retained;
};
Context primary[16];
thread_local Context* current = nullptr;

struct Event {
    bool recorded;
    std::chrono::steady_clock::time_point at;
};

struct Function;
struct Module {
    void* library;
    std::map<std::string, Function*> functions;
};
struct Function {
    Module* module;
    std::string name;
    simt::Kernel kernel;
    int most_shared;
};

std::set<void*> streams, events, modules, functions, host_allocations, pools;

bool is_stream(void* stream) {
    // 1 and 2 are the legacy and the per-thread default stream.
    Hold hold(lock);
    return reinterpret_cast<uintptr_t>(stream) <= 2 || streams.count(stream);
}
bool is_one_of(const std::set<void*>& handles, void* handle) {
    Hold hold(lock);
    return handles.count(handle) != 0;
}

#define NEED_CONTEXT() \
    if (!initialized) REFUSE(NotInitialized, "cuInit was not called"); \
    if (!current) REFUSE(InvalidContext, "no context is current on this thread"); \
    if (!current->retained) REFUSE(ContextIsDestroyed, "the current context was released")
#define NEED_STREAM(stream) \
    if (!is_stream(stream)) REFUSE(InvalidHandle, "the stream does not exist, or was destroyed")

void* pointer(Address address) { return reinterpret_cast<void*>(address); }

}  // namespace

// --- For tests ---

// Why the last call that failed on this thread did.
extern "C" __attribute__((visibility("default"))) const char* twEmulatorMessage() { return last_message; }
// How many device allocations are live.
extern "C" __attribute__((visibility("default"))) size_t twEmulatorLiveAllocations() { return memory::live_allocations(); }

// --- Errors, versions, devices ---

API cuInit(unsigned flags) {
    if (flags) REFUSE(InvalidValue, "flags must be 0");
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
    if (!is_device(ordinal)) REFUSE(InvalidDevice, "there is no device " + std::to_string(ordinal));
    *device = ordinal;
    return Success;
}
API cuDeviceGetName(char* name, int bytes, Device device) {
    if (!is_device(device)) REFUSE(InvalidDevice, "no such device");
    snprintf(name, size_t(bytes), "Emulated GPU sm_%d", architecture());
    return Success;
}
API cuDeviceTotalMem_v2(size_t* bytes, Device device) {
    if (!is_device(device)) REFUSE(InvalidDevice, "no such device");
    *bytes = memory::limit();
    return Success;
}
API cuDeviceComputeCapability(int* major, int* minor, Device device) {
    if (!is_device(device)) REFUSE(InvalidDevice, "no such device");
    *major = architecture() / 10;
    *minor = architecture() % 10;
    return Success;
}
API cuDeviceGetUuid_v2(char* uuid, Device device) {
    if (!is_device(device)) REFUSE(InvalidDevice, "no such device");
    memset(uuid, 0, 16);
    memcpy(uuid, "emulated GPU", 12);
    uuid[15] = char(device);
    return Success;
}
API cuDeviceGetUuid(char* uuid, Device device) { return cuDeviceGetUuid_v2(uuid, device); }
API cuDeviceGetAttribute(int* value, int attribute, Device device) {
    if (!is_device(device)) REFUSE(InvalidDevice, "no such device");
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
    if (!is_device(device)) REFUSE(InvalidDevice, "no such device");
    Hold hold(lock);
    primary[device].device = device;
    ++primary[device].retained;
    *context = &primary[device];
    return Success;
}
API cuDevicePrimaryCtxRelease_v2(Device device) {
    if (!is_device(device)) REFUSE(InvalidDevice, "no such device");
    Hold hold(lock);
    if (!primary[device].retained) REFUSE(InvalidContext, "released more often than retained");
    --primary[device].retained;
    return Success;
}
API cuDevicePrimaryCtxGetState(Device device, unsigned* flags, int* active) {
    if (!is_device(device)) REFUSE(InvalidDevice, "no such device");
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
    if (!streams.erase(stream)) REFUSE(InvalidHandle, "the stream does not exist, or was destroyed");
    // The byte is kept, so that no other stream gets the address.
    return Success;
}
API cuStreamSynchronize(void* stream) {
    NEED_CONTEXT();
    NEED_STREAM(stream);
    return Success;
}
API cuStreamQuery(void* stream) { return cuStreamSynchronize(stream); }
API cuStreamWaitEvent(void* stream, void* event, unsigned) {
    NEED_STREAM(stream);
    if (!is_one_of(events, event)) REFUSE(InvalidHandle, "the event does not exist, or was destroyed");
    return Success;
}
API cuStreamAttachMemAsync(void*, Address, size_t, unsigned) { return Success; }
API cuStreamIsCapturing(void* stream, int* status) {
    NEED_STREAM(stream);
    *status = 0;
    return Success;
}
API cuLaunchHostFunc(void* stream, void (*function)(void*), void* data) {
    NEED_STREAM(stream);
    function(data);
    return Success;
}

API cuEventCreate(void** event, unsigned) {
    NEED_CONTEXT();
    Hold hold(lock);
    *event = new Event{false, {}};
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
    *static_cast<Event*>(event) = {true, std::chrono::steady_clock::now()};
    return Success;
}
API cuEventSynchronize(void* event) {
    if (!is_one_of(events, event)) REFUSE(InvalidHandle, "the event does not exist, or was destroyed");
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

// --- Memory ---

namespace {

Result allocate(const char* function, Address* address, size_t bytes) {
    if (!bytes) return refuse(InvalidValue, function, "0 bytes");
    void* start;
    if (memory::allocate(bytes, current->device, start) != memory::Outcome::Done)
        return refuse(OutOfMemory, function, std::to_string(bytes) + " bytes, with " + std::to_string(memory::in_use(current->device)) + " of " + std::to_string(memory::limit()) + " in use");
    *address = reinterpret_cast<Address>(start);
    return Success;
}
Result release(const char* function, Address address) {
    if (!address) return Success;
    std::string why;
    return memory::release(pointer(address), why) == memory::Outcome::Done ? Success : refuse(InvalidValue, function, why);
}

enum class Side { Host, Device };

Result check_side(const char* function, Side side, const void* address, size_t bytes, const char* name) {
    std::string why;
    if (side == Side::Device && !memory::contains(address, bytes, why)) return refuse(InvalidValue, function, std::string(name) + ": " + why);
    if (side == Side::Host && memory::is_device_memory(address)) return refuse(InvalidValue, function, std::string(name) + " should be host memory: " + memory::describe(address));
    if (side == Side::Host && !address) return refuse(InvalidValue, function, std::string(name) + " is null");
    return Success;
}
Result copy(const char* function, Side to_side, void* to, Side from_side, const void* from, size_t bytes) {
    if (!bytes) return Success;
    if (Result error = check_side(function, to_side, to, bytes, "the target")) return error;
    if (Result error = check_side(function, from_side, from, bytes, "the source")) return error;
    memmove(to, from, bytes);
    return Success;
}

}  // namespace

API cuMemAlloc_v2(Address* address, size_t bytes) {
    NEED_CONTEXT();
    return allocate(__func__, address, bytes);
}
API cuMemAllocAsync(Address* address, size_t bytes, void* stream) {
    NEED_CONTEXT();
    NEED_STREAM(stream);
    return allocate(__func__, address, bytes);
}
API cuMemAllocFromPoolAsync(Address* address, size_t bytes, void*, void* stream) { return cuMemAllocAsync(address, bytes, stream); }
API cuMemFree_v2(Address address) {
    NEED_CONTEXT();
    return release(__func__, address);
}
API cuMemFreeAsync(Address address, void* stream) {
    NEED_CONTEXT();
    NEED_STREAM(stream);
    return release(__func__, address);
}
API cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
    NEED_CONTEXT();
    *total = memory::limit();
    *free_bytes = *total - memory::in_use(current->device);
    return Success;
}
API cuMemGetAddressRange_v2(Address* start, size_t* bytes, Address address) {
    void* begin;
    size_t size;
    Device device;
    if (!memory::range(pointer(address), begin, size, device)) REFUSE(InvalidValue, "no live device memory");
    if (start) *start = reinterpret_cast<Address>(begin);
    if (bytes) *bytes = size;
    return Success;
}

API cuMemHostAlloc(void** memory, size_t bytes, unsigned) {
    NEED_CONTEXT();
    Hold hold(lock);
    *memory = malloc(bytes);
    if (!*memory) REFUSE(OutOfMemory, "host memory");
    memset(*memory, 0xFF, bytes);
    host_allocations.insert(*memory);
    return Success;
}
API cuMemAllocHost_v2(void** memory, size_t bytes) { return cuMemHostAlloc(memory, bytes, 0); }
API cuMemFreeHost(void* memory) {
    Hold hold(lock);
    if (!host_allocations.erase(memory)) REFUSE(InvalidValue, "not allocated by cuMemHostAlloc, or freed twice");
    free(memory);
    return Success;
}
API cuMemHostRegister_v2(void*, size_t, unsigned) { return Success; }
API cuMemHostUnregister(void*) { return Success; }

API cuMemcpyHtoD_v2(Address to, const void* from, size_t bytes) {
    NEED_CONTEXT();
    return copy(__func__, Side::Device, pointer(to), Side::Host, from, bytes);
}
API cuMemcpyDtoH_v2(void* to, Address from, size_t bytes) {
    NEED_CONTEXT();
    return copy(__func__, Side::Host, to, Side::Device, pointer(from), bytes);
}
API cuMemcpyDtoD_v2(Address to, Address from, size_t bytes) {
    NEED_CONTEXT();
    return copy(__func__, Side::Device, pointer(to), Side::Device, pointer(from), bytes);
}
API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* stream) {
    NEED_STREAM(stream);
    return cuMemcpyHtoD_v2(to, from, bytes);
}
API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* stream) {
    NEED_STREAM(stream);
    return cuMemcpyDtoH_v2(to, from, bytes);
}
API cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void* stream) {
    NEED_STREAM(stream);
    return cuMemcpyDtoD_v2(to, from, bytes);
}
API cuMemcpyPeerAsync(Address to, Context*, Address from, Context*, size_t bytes, void* stream) { return cuMemcpyDtoDAsync_v2(to, from, bytes, stream); }

API cuMemsetD8_v2(Address to, unsigned char value, size_t n) {
    NEED_CONTEXT();
    if (!n) return Success;
    if (Result error = check_side(__func__, Side::Device, pointer(to), n, "the target")) return error;
    memset(pointer(to), value, n);
    return Success;
}
API cuMemsetD8Async(Address to, unsigned char value, size_t n, void* stream) {
    NEED_STREAM(stream);
    return cuMemsetD8_v2(to, value, n);
}
API cuMemsetD32_v2(Address to, unsigned value, size_t n) {
    NEED_CONTEXT();
    if (!n) return Success;
    if (to % 4) REFUSE(InvalidValue, "the target is not aligned to 4 bytes");
    if (Result error = check_side(__func__, Side::Device, pointer(to), 4 * n, "the target")) return error;
    for (size_t i = 0; i < n; ++i) static_cast<unsigned*>(pointer(to))[i] = value;
    return Success;
}
API cuMemsetD32Async(Address to, unsigned value, size_t n, void* stream) {
    NEED_STREAM(stream);
    return cuMemsetD32_v2(to, value, n);
}

API cuDeviceGetDefaultMemPool(void** pool, Device device) {
    if (!is_device(device)) REFUSE(InvalidDevice, "no such device");
    *pool = &primary[device];
    return Success;
}
API cuDeviceGetMemPool(void** pool, Device device) { return cuDeviceGetDefaultMemPool(pool, device); }
API cuDeviceSetMemPool(Device, void*) { return Success; }
API cuMemPoolSetAttribute(void*, int, void*) { return Success; }
API cuMemPoolGetAttribute(void*, int, void* value) {
    memset(value, 0, 4);
    return Success;
}
API cuMemPoolTrimTo(void*, size_t) { return Success; }

// --- Modules and functions ---

namespace {

// Whether a device runs an image: the same major version and no later minor one; "a" means exactly this one.
bool fits(const std::string& image) {
    bool virtual_one = image.rfind("compute_", 0) == 0;
    int version = atoi(image.c_str() + (virtual_one ? 8 : 3));
    if (image.back() == 'a') return version == architecture();
    if (virtual_one) return version <= architecture();
    return version / 10 == architecture() / 10 && version <= architecture();
}

// The dynamic loader takes only files.
void* load_library(const void* data, size_t bytes, std::string& why) {
    char path[] = "/tmp/tilewright-emulated-XXXXXX";
    int file = mkstemp(path);
    if (file < 0) {
        why = "no temporary file in /tmp";
        return nullptr;
    }
    bool written = write(file, data, bytes) == ssize_t(bytes);
    close(file);
    void* library = written ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (!library) why = written ? dlerror() : "/tmp is full";
    unlink(path);
    return library;
}

}  // namespace

API cuModuleLoadData(Module** module, const void* data) {
    NEED_CONTEXT();
    const Image* image = static_cast<const Image*>(data);
    if (!data || memcmp(image->magic, image_magic, 8)) REFUSE(InvalidImage, "not built by the emulator's NVRTC");
    const void* library_bytes = image + 1;
    if (checksum(library_bytes, image->bytes) != image->checksum) REFUSE(InvalidImage, "the image was changed");
    if (!fits(image->architecture)) REFUSE(NoBinaryForGpu, std::string("the image is for ") + image->architecture + ", the device is sm_" + std::to_string(architecture()));
    std::string why;
    void* library = load_library(library_bytes, image->bytes, why);
    if (!library) REFUSE(InvalidImage, why);
    Hold hold(lock);
    *module = new Module{library, {}};
    modules.insert(*module);
    return Success;
}
API cuModuleLoadDataEx(Module** module, const void* data, unsigned, int*, void**) { return cuModuleLoadData(module, data); }
API cuModuleLoad(Module** module, const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (bytes.size() < sizeof(Image)) REFUSE(InvalidImage, std::string("no image in ") + path);
    if (reinterpret_cast<const Image*>(bytes.data())->bytes != bytes.size() - sizeof(Image)) REFUSE(InvalidImage, "the file is cut short");
    return cuModuleLoadData(module, bytes.data());
}
API cuModuleUnload(Module* module) {
    Hold hold(lock);
    if (!modules.erase(module)) REFUSE(InvalidHandle, "the module does not exist, or was unloaded");
    for (auto& named : module->functions) functions.erase(named.second);
    dlclose(module->library);
    return Success;
}
API cuModuleGetFunction(Function** function, Module* module, const char* name) {
    NEED_CONTEXT();
    Hold hold(lock);
    if (!modules.count(module)) REFUSE(InvalidHandle, "the module does not exist, or was unloaded");
    Function*& known = module->functions[name];
    if (!known) {
        const void* kernel = dlsym(module->library, (std::string(name) + "__kernel").c_str());
        if (!kernel) {
            module->functions.erase(name);
            REFUSE(NotFound, std::string("no kernel ") + name);
        }
        known = new Function{module, name, *static_cast<const simt::Kernel*>(kernel), 48 << 10};
        functions.insert(known);
    }
    *function = known;
    return Success;
}
API cuModuleGetGlobal_v2(Address*, size_t*, Module*, const char*) { REFUSE(NotFound, "the emulator has no global variables"); }

#define NEED_FUNCTION(function) \
    if (!is_one_of(functions, function)) REFUSE(InvalidHandle, "the function does not exist, or its module was unloaded")

API cuFuncSetAttribute(Function* function, int attribute, int value) {
    NEED_FUNCTION(function);
    if (attribute == 8) {
        if (value < 0 || value > limits().shared_per_block)
            REFUSE(InvalidValue, std::to_string(value) + " bytes of dynamic shared memory, the device has " + std::to_string(limits().shared_per_block));
        function->most_shared = value;
    } else if (attribute != 9) {
        REFUSE(InvalidValue, "attribute " + std::to_string(attribute) + " cannot be set");
    }
    return Success;
}
API cuFuncGetAttribute(int* value, int attribute, Function* function) {
    NEED_FUNCTION(function);
    switch (attribute) {
    case 0: *value = function->kernel.threads ? function->kernel.threads : 1024; break;
    case 4: *value = 32; break;  // registers: unknown
    case 5: case 6: *value = architecture(); break;
    case 8: *value = function->most_shared; break;
    default: *value = 0;
    }
    return Success;
}
API cuFuncSetCacheConfig(Function* function, int) {
    NEED_FUNCTION(function);
    return Success;
}
API cuFuncGetModule(Module** module, Function* function) {
    NEED_FUNCTION(function);
    *module = function->module;
    return Success;
}

API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function* function, int threads, size_t shared_bytes) {
    NEED_FUNCTION(function);
    if (threads <= 0) REFUSE(InvalidValue, "no threads");
    int by_threads = limits().threads_per_multiprocessor / ((threads + 31) / 32 * 32);
    int by_shared = int(size_t(limits().shared_per_multiprocessor) / (shared_bytes + 1024));
    *blocks = by_threads < by_shared ? by_threads : by_shared;
    if (*blocks > 32) *blocks = 32;
    return Success;
}
API cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, Function* function, int threads, size_t shared_bytes, unsigned) {
    return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, threads, shared_bytes);
}

// --- Launches ---

namespace {

// The bytes of the arguments out of `extra`: pairs of a tag and a pointer. False if it is malformed.
bool find_buffer(void** extra, const void*& buffer, size_t& bytes) {
    buffer = nullptr;
    bytes = ~size_t(0);
    for (int i = 0; i < 6 && extra[i]; i += 2) {
        uintptr_t tag = reinterpret_cast<uintptr_t>(extra[i]);
        if (tag == 1) buffer = extra[i + 1];                             // CU_LAUNCH_PARAM_BUFFER_POINTER
        else if (tag == 2) bytes = *static_cast<size_t*>(extra[i + 1]);  // CU_LAUNCH_PARAM_BUFFER_SIZE
        else return false;
    }
    return buffer && bytes != ~size_t(0);
}

Result launch(const char* call, Function* function, simt::Index grid, simt::Index block, unsigned shared_bytes, void** parameters, void** extra) {
    const std::string name = std::string(call) + " of " + function->name;
    const simt::Kernel& kernel = function->kernel;
    auto invalid = [&](const std::string& why) { return refuse(InvalidValue, name.c_str(), why); };

    unsigned long long threads = 1ull * block.x * block.y * block.z;
    if (!threads || threads > 1024) return invalid(std::to_string(threads) + " threads");
    if (kernel.threads && threads > unsigned(kernel.threads)) return invalid(std::to_string(threads) + " threads, __launch_bounds__ allows " + std::to_string(kernel.threads));
    if (!grid.x || !grid.y || !grid.z || grid.x > 2147483647u || grid.y > 65535 || grid.z > 65535) return invalid("a grid of " + std::to_string(grid.x) + " by " + std::to_string(grid.y) + " by " + std::to_string(grid.z));
    if (shared_bytes > unsigned(function->most_shared))
        return invalid(std::to_string(shared_bytes) + " bytes of shared memory, allowed are " + std::to_string(function->most_shared) + ": see cuFuncSetAttribute");

    const void* arguments = nullptr;
    size_t bytes = kernel.argument_bytes;
    if (parameters && extra) return invalid("both kernelParams and extra");
    if (parameters) arguments = parameters[0];
    else if (!extra || !find_buffer(extra, arguments, bytes)) return invalid("no arguments");
    if (!arguments || bytes != kernel.argument_bytes) return invalid(std::to_string(bytes) + " bytes of arguments, the kernel has " + std::to_string(kernel.argument_bytes));
    if (bytes > 4096 && architecture() < 70) return invalid("more than 4096 bytes of arguments");
    // The caller may change its buffer once the launch has returned; kernels find theirs aligned.
    alignas(128) char aligned[32 << 10];
    if (bytes > sizeof aligned) return invalid("more than 32 KiB of arguments");
    memcpy(aligned, arguments, bytes);

    std::string why;
    simt::Launch all = {kernel, aligned, grid, block, shared_bytes, number_from("TW_EMULATOR_SEED", 0), memory::describe};
    simt::Ending ending = simt::run(all, why);
    if (ending == simt::Ending::Finished) {
        why = memory::find_overwritten();
        if (!why.empty()) ending = simt::Ending::IllegalAddress;
    }
    switch (ending) {
    case simt::Ending::Finished: return Success;
    case simt::Ending::Failed: return refuse(LaunchFailed, name.c_str(), why);
    case simt::Ending::IllegalAddress: return refuse(IllegalAddress, name.c_str(), why);
    case simt::Ending::IllegalInstruction: return refuse(IllegalInstruction, name.c_str(), why);
    }
    return Success;
}

struct LaunchConfig {
    unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
    void *stream, *attributes;
    unsigned n_attributes;
};

}  // namespace

API cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                   unsigned block_z, unsigned shared_bytes, void* stream, void** parameters, void** extra) {
    NEED_CONTEXT();
    NEED_STREAM(stream);
    NEED_FUNCTION(function);
    return launch(__func__, function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, parameters, extra);
}
// Attributes (clusters, programmatic launch) are hints here: a kernel that needs a cluster does not run.
API cuLaunchKernelEx(const LaunchConfig* c, Function* function, void** parameters, void** extra) {
    return cuLaunchKernel(function, c->grid_x, c->grid_y, c->grid_z, c->block_x, c->block_y, c->block_z, c->shared_bytes, c->stream, parameters, extra);
}

// --- Tensor maps ---

API cuTensorMapEncodeTiled(simt::TensorMap* map, int type, unsigned rank, void* data, const unsigned long long* size,
                           const unsigned long long* stride, const unsigned* box, const unsigned* element_stride, int interleave,
                           int swizzle, int, int fill) {
    constexpr unsigned char element_bytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
    if (type < 0 || type > 12) REFUSE(InvalidValue, "element type " + std::to_string(type));
    if (rank < 1 || rank > 5) REFUSE(InvalidValue, "rank " + std::to_string(rank));
    if (reinterpret_cast<uintptr_t>(map) % 64) REFUSE(InvalidValue, "the map is not aligned to 64 bytes");
    if (reinterpret_cast<uintptr_t>(data) % 16) REFUSE(InvalidValue, "the data is not aligned to 16 bytes");
    if (interleave) REFUSE(NotSupported, "interleaved layouts are not emulated");
    if (swizzle < 0 || swizzle > 3) REFUSE(NotSupported, "this swizzle is not emulated");
    std::string why;
    if (!memory::contains(data, 1, why)) REFUSE(InvalidValue, why);
    *map = simt::TensorMap();
    unsigned bytes = element_bytes[type];
    for (unsigned i = 0; i < rank; ++i) {
        std::string which = " of dimension " + std::to_string(i);
        if (!size[i] || size[i] > 1ull << 32) REFUSE(InvalidValue, "the size" + which);
        if (!box[i] || box[i] > 256) REFUSE(InvalidValue, "the box" + which + " must be 1 to 256");
        if (element_stride[i] != 1) REFUSE(NotSupported, "element strides other than 1 are not emulated");
        if (i && (stride[i - 1] % 16 || stride[i - 1] >= 1ull << 40)) REFUSE(InvalidValue, "the stride" + which + " is not a multiple of 16 bytes");
        map->size[i] = size[i];
        map->box[i] = static_cast<unsigned short>(box[i]);
        if (i) map->stride[i - 1] = stride[i - 1];
    }
    if (box[0] * bytes % 16) REFUSE(InvalidValue, "the box is not a multiple of 16 bytes wide");
    if (swizzle && box[0] * bytes > 16u << swizzle) REFUSE(InvalidValue, "the box is wider than its swizzle");
    map->data = static_cast<unsigned char*>(data);
    map->rank = static_cast<unsigned char>(rank);
    map->element_bytes = static_cast<unsigned char>(bytes);
    map->swizzle = static_cast<unsigned char>(swizzle);
    map->fill_with_nan = fill != 0;
    map->magic = 0x7457;
    return Success;
}

// --- What cudarc can load and the emulator does not do: an error instead of a missing symbol ---

#define UNSUPPORTED(name) \
    API name() { REFUSE(NotSupported, "not emulated"); }
UNSUPPORTED(cuCtxCreate_v3)
UNSUPPORTED(cuCtxCreate_v4)
UNSUPPORTED(cuCtxDestroy_v2)
UNSUPPORTED(cuCtxGetCacheConfig)
UNSUPPORTED(cuCtxGetLimit)
UNSUPPORTED(cuCtxPopCurrent_v2)
UNSUPPORTED(cuCtxSetCacheConfig)
UNSUPPORTED(cuDestroyExternalMemory)
UNSUPPORTED(cuDevicePrimaryCtxReset_v2)
UNSUPPORTED(cuDevicePrimaryCtxSetFlags_v2)
UNSUPPORTED(cuExternalMemoryGetMappedBuffer)
UNSUPPORTED(cuGetProcAddress_v2)
UNSUPPORTED(cuGraphDestroy)
UNSUPPORTED(cuGraphExecDestroy)
UNSUPPORTED(cuGraphInstantiateWithFlags)
UNSUPPORTED(cuGraphLaunch)
UNSUPPORTED(cuGraphUpload)
UNSUPPORTED(cuImportExternalMemory)
UNSUPPORTED(cuLaunchCooperativeKernel)
UNSUPPORTED(cuLibraryLoadData)
UNSUPPORTED(cuMemAdvise_v2)
UNSUPPORTED(cuMemAllocManaged)
UNSUPPORTED(cuMemPoolCreate)
UNSUPPORTED(cuMemPoolDestroy)
UNSUPPORTED(cuMemPrefetchAsync_v2)
UNSUPPORTED(cuOccupancyAvailableDynamicSMemPerBlock)
UNSUPPORTED(cuOccupancyMaxPotentialBlockSize)
UNSUPPORTED(cuOccupancyMaxPotentialBlockSizeWithFlags)
UNSUPPORTED(cuPointerGetAttribute)
UNSUPPORTED(cuStreamBeginCapture_v2)
UNSUPPORTED(cuStreamEndCapture)
