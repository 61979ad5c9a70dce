// The driver's memory: allocations, copies, fills, pools. What is checked is in memory.cpp.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "driver.h"
#include "memory.h"

// TW_EMULATOR_POOLS=off: a driver without memory in the order of streams.
#define NEED_POOLS() \
    if (const char* pools = getenv("TW_EMULATOR_POOLS")) \
        if (!strcmp(pools, "off")) REFUSE(NotSupported, "this device has no memory pools")

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
    memory::Access open_to(to), open_from(from);
    memmove(to, from, bytes);
    return Success;
}

}  // namespace

API cuMemAlloc_v2(Address* address, size_t bytes) {
    NEED_CONTEXT();
    return allocate(__func__, address, bytes);
}
API cuMemAllocAsync(Address* address, size_t bytes, void* stream) {
    NEED_POOLS();
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
    NEED_POOLS();
    NEED_CONTEXT();
    NEED_STREAM(stream);
    land_copies();
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
namespace {
struct Late {
    Address to;
    const void* from;
    size_t bytes;
    unsigned long long number;
};
std::vector<Late> late;
unsigned long long begun = 0;
}  // namespace
unsigned long long copies_begun() { return begun; }
void land_copies(unsigned long long number) {
    Hold hold(lock);
    while (!late.empty() && late.front().number <= number) {
        Late next = late.front();
        late.erase(late.begin());
        cuMemcpyHtoD_v2(next.to, next.from, next.bytes);
    }
}
API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* stream) {
    NEED_CONTEXT();
    NEED_STREAM(stream);
    Hold hold(lock);
    if (host_allocations.count(const_cast<void*>(from))) {
        late.push_back({to, from, bytes, ++begun});
        return Success;
    }
    land_copies();
    return cuMemcpyHtoD_v2(to, from, bytes);
}
API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* stream) {
    NEED_STREAM(stream);
    land_copies();
    return cuMemcpyDtoH_v2(to, from, bytes);
}
API cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void* stream) {
    NEED_STREAM(stream);
    land_copies();
    return cuMemcpyDtoD_v2(to, from, bytes);
}
API cuMemcpyPeerAsync(Address to, Context*, Address from, Context*, size_t bytes, void* stream) { return cuMemcpyDtoDAsync_v2(to, from, bytes, stream); }

API cuMemsetD8_v2(Address to, unsigned char value, size_t n) {
    NEED_CONTEXT();
    if (!n) return Success;
    if (Result error = check_side(__func__, Side::Device, pointer(to), n, "the target")) return error;
    memory::Access open(pointer(to));
    memset(pointer(to), value, n);
    return Success;
}
API cuMemsetD8Async(Address to, unsigned char value, size_t n, void* stream) {
    NEED_STREAM(stream);
    land_copies();
    return cuMemsetD8_v2(to, value, n);
}
API cuMemsetD32_v2(Address to, unsigned value, size_t n) {
    NEED_CONTEXT();
    if (!n) return Success;
    if (to % 4) REFUSE(InvalidValue, "the target is not aligned to 4 bytes");
    if (Result error = check_side(__func__, Side::Device, pointer(to), 4 * n, "the target")) return error;
    memory::Access open(pointer(to));
    for (size_t i = 0; i < n; ++i) static_cast<unsigned*>(pointer(to))[i] = value;
    return Success;
}
API cuMemsetD32Async(Address to, unsigned value, size_t n, void* stream) {
    NEED_STREAM(stream);
    return cuMemsetD32_v2(to, value, n);
}

// --- Pools: there is one a device, and it keeps nothing ---

API cuDeviceGetDefaultMemPool(void** pool, Device device) {
    NEED_POOLS();
    NEED_DEVICE(device);
    static char pools[16];
    *pool = &pools[device];
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
