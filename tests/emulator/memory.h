// Device memory: every allocation is its own mapping between unmapped pages, so that a kernel's stray
// access traps. Memory is NaN (0xFF) when it is allocated, and unmapped but remembered when it is freed.
// Between launches and copies nobody may touch it: host code that follows a device pointer traps too.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace memory {

enum class Outcome { Done, OutOfMemory, Invalid };

// Aligned to 256 bytes.
Outcome allocate(size_t bytes, int device, void*& address);
// `why` says what was wrong: freed before, not the start of an allocation, written outside.
Outcome release(void* address, std::string& why);
// Whether [address, address + bytes) lies within one live allocation.
bool contains(const void* address, size_t bytes, std::string& why);
bool is_device_memory(const void* address);

// While it lives, the allocation around an address, or all of them, can be read and written.
class Access {
public:
    explicit Access(const void* address);
    Access();
    ~Access();
    Access(const Access&) = delete;

private:
    std::vector<uintptr_t> opened;
};

// The allocation that an address lies in or beside, in words; empty if none is near.
std::string describe(const void* address);
// Looks for writes beside the allocations, which did not trap; empty if there were none.
std::string find_overwritten();
// TW_EMULATOR_MEMORY, in bytes.
size_t limit();
size_t in_use(int device);
size_t live_allocations();
// The start and size of the allocation around an address; false if there is none.
bool range(const void* address, void*& start, size_t& bytes, int& device);

}  // namespace memory
