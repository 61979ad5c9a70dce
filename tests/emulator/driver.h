// What the files of the fake libcuda share: results, handles, and the checks that most functions start with.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "machine.h"

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
    LaunchTimeout = 702,
    ContextIsDestroyed = 709,
    IllegalInstruction = 715,
    LaunchFailed = 719,
    NotSupported = 801,
    CaptureUnsupported = 900,
    CaptureUnmatched = 903,
};

#define API extern "C" __attribute__((visibility("default"))) Result

// Says why a call fails: printed, and kept for cuGetErrorString.
Result refuse(Result error, const char* function, const std::string& why);
#define REFUSE(error, ...) return refuse(error, __func__, __VA_ARGS__)

unsigned long long number_from(const char* variable, unsigned long long otherwise);

// --- Devices ---

// 80 for compute capability 8.0: TW_EMULATOR_ARCH.
int architecture();
// "gfx942": TW_EMULATOR_AMD.
std::string amd_architecture();
// libamdhip64 calls this library with devices from here on.
constexpr Device first_amd = 8;

struct Limits {
    int shared_per_block, shared_per_multiprocessor, threads_per_multiprocessor;
};
Limits limits();

bool is_device(Device device);

// Whether this thread's context is an AMD device's.
bool on_amd();

// --- Handles ---

struct Context {
    Device device;
    int retained;
};
extern thread_local Context* current;
extern bool initialized;

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

// Guards the handles.
extern std::recursive_mutex lock;
using Hold = std::lock_guard<std::recursive_mutex>;
extern std::set<void*> streams, events, modules, functions, host_allocations;

// Copies from pinned memory land as late as they may: when the host waits for them, or the stream does more.
// Those up to a number, of those begun so far.
void land_copies(unsigned long long number = ~0ull);
unsigned long long copies_begun();

bool is_one_of(const std::set<void*>& handles, void* handle);
bool is_stream(void* stream);

// --- Launches, at once or as a part of a graph ---

struct Launch {
    std::string name;
    Function* function;
    simt::Index grid, block;
    unsigned shared_bytes;
    std::string arguments;
};
Result run(const Launch& launch);
// Adds it to what a stream captures; false if it captures nothing.
bool capture(void* stream, const Launch& launch);
bool is_capturing(void* stream);

inline void* pointer(Address address) { return reinterpret_cast<void*>(address); }

#define NEED_DEVICE(device) \
    if (!is_device(device)) REFUSE(InvalidDevice, "there is no device " + std::to_string(device))
#define NEED_CONTEXT() \
    if (!initialized) REFUSE(NotInitialized, "cuInit was not called"); \
    if (!current) REFUSE(InvalidContext, "no context is current on this thread"); \
    if (!current->retained) REFUSE(ContextIsDestroyed, "the current context was released")
#define NEED_STREAM(stream) \
    if (!is_stream(stream)) REFUSE(InvalidHandle, "the stream does not exist, or was destroyed"); \
    if (is_capturing(stream)) REFUSE(CaptureUnsupported, "the stream captures a graph, and only launches are emulated there")
#define NEED_FUNCTION(function) \
    if (!is_one_of(functions, function)) REFUSE(InvalidHandle, "the function does not exist, or its module was unloaded")
