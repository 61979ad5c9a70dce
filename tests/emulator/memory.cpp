#include "memory.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

#include <sys/mman.h>

namespace memory {
namespace {

constexpr size_t page = 4096, alignment = 256;
constexpr unsigned char poison = 0xFF;
// How many freed allocations stay unmapped before their addresses may be used again.
constexpr size_t remembered = 4096;

//   unmapped page | guard zone | the allocation, aligned to 256 | guard zone below 256 bytes | unmapped page
struct Allocation {
    char* mapping;
    size_t mapped, bytes;
    int device;
    unsigned long number;
    bool live;
    int users;  // how many Access objects hold it open

    char* end_of_pages() const { return mapping + mapped - page; }
};

std::recursive_mutex lock;
std::map<uintptr_t, Allocation> allocations;  // live and remembered, by their start
std::deque<uintptr_t> freed;
size_t used[16];
unsigned long count, live;

using Entry = std::map<uintptr_t, Allocation>::iterator;

size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

// The allocation whose mapping, with its unmapped pages, an address lies in.
Entry find(const void* address) {
    uintptr_t at = reinterpret_cast<uintptr_t>(address);
    Entry next = allocations.lower_bound(at);
    for (int tries = 0; tries < 2; ++tries) {
        if (next != allocations.end()) {
            uintptr_t begin = reinterpret_cast<uintptr_t>(next->second.mapping);
            if (at >= begin && at < begin + next->second.mapped) return next;
        }
        if (next == allocations.begin()) break;
        --next;
    }
    return allocations.end();
}

std::string in_words(Entry entry, const void* address) {
    char text[200];
    const Allocation& a = entry->second;
    snprintf(text, sizeof text, "byte %ld of allocation %lu of device %d, which has %zu bytes%s", long(reinterpret_cast<uintptr_t>(address) - entry->first),
             a.number, a.device, a.bytes, a.live ? "" : " and was freed");
    return text;
}

const char* first_overwritten(const char* begin, const char* end) {
    for (; begin < end; ++begin)
        if (static_cast<unsigned char>(*begin) != poison) return begin;
    return nullptr;
}

void open(Allocation& a) {
    if (a.users++ == 0) mprotect(a.mapping + page, a.mapped - 2 * page, PROT_READ | PROT_WRITE);
}
void close(Allocation& a) {
    if (--a.users == 0 && a.live) mprotect(a.mapping + page, a.mapped - 2 * page, PROT_NONE);
}

// The caller has opened it.
std::string overwritten(Entry entry) {
    const Allocation& a = entry->second;
    char* start = reinterpret_cast<char*>(entry->first);
    const char* bad = first_overwritten(a.mapping + page, start);
    if (!bad) bad = first_overwritten(start + a.bytes, a.end_of_pages());
    return bad ? "memory was written outside: " + in_words(entry, bad) : "";
}

}  // namespace

size_t limit() {
    const char* text = getenv("TW_EMULATOR_MEMORY");
    return text ? strtoull(text, nullptr, 0) : size_t(1) << 30;
}

Outcome allocate(size_t bytes, int device, void*& address) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    if (bytes > limit() || used[device] + bytes > limit()) return Outcome::OutOfMemory;
    size_t inner = round_up(round_up(bytes, alignment), page);
    void* mapping = mmap(nullptr, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) return Outcome::OutOfMemory;
    char* begin = static_cast<char*>(mapping) + page;
    if (mprotect(begin, inner, PROT_READ | PROT_WRITE)) {
        munmap(mapping, inner + 2 * page);
        return Outcome::OutOfMemory;
    }
    memset(begin, poison, inner);
    address = begin + inner - round_up(bytes, alignment);
    allocations[reinterpret_cast<uintptr_t>(address)] = {static_cast<char*>(mapping), inner + 2 * page, bytes, device, ++count, true, 0};
    mprotect(begin, inner, PROT_NONE);
    used[device] += bytes;
    ++live;
    return Outcome::Done;
}

Outcome release(void* address, std::string& why) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    Entry entry = find(address);
    if (entry == allocations.end()) {
        why = "it is no device memory";
        return Outcome::Invalid;
    }
    if (!entry->second.live || entry->first != reinterpret_cast<uintptr_t>(address)) {
        why = (entry->second.live ? "not the start: " : "freed twice: ") + in_words(entry, address);
        return Outcome::Invalid;
    }
    Allocation& a = entry->second;
    open(a);
    why = overwritten(entry);
    a.live = false;
    used[a.device] -= a.bytes;
    --live;
    mmap(a.mapping, a.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    freed.push_back(entry->first);
    if (freed.size() > remembered) {
        Entry oldest = allocations.find(freed.front());
        munmap(oldest->second.mapping, oldest->second.mapped);
        allocations.erase(oldest);
        freed.pop_front();
    }
    return why.empty() ? Outcome::Done : Outcome::Invalid;
}

bool contains(const void* address, size_t bytes, std::string& why) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    Entry entry = find(address);
    if (entry == allocations.end()) {
        why = "it is no device memory";
        return false;
    }
    size_t offset = reinterpret_cast<uintptr_t>(address) - entry->first;
    const Allocation& a = entry->second;
    if (!a.live || offset > a.bytes || bytes > a.bytes - offset) {
        why = std::to_string(bytes) + " bytes from " + in_words(entry, address);
        return false;
    }
    return true;
}

bool is_device_memory(const void* address) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    return find(address) != allocations.end();
}

Access::Access(const void* address) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    Entry entry = find(address);
    if (entry == allocations.end() || !entry->second.live) return;
    open(entry->second);
    opened.push_back(entry->first);
}
Access::Access() {
    std::lock_guard<std::recursive_mutex> hold(lock);
    for (auto& entry : allocations) {
        if (!entry.second.live) continue;
        open(entry.second);
        opened.push_back(entry.first);
    }
}
Access::~Access() {
    std::lock_guard<std::recursive_mutex> hold(lock);
    for (uintptr_t start : opened) {
        Entry entry = allocations.find(start);
        if (entry != allocations.end() && entry->second.live) close(entry->second);
    }
}

std::string describe(const void* address) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    Entry entry = find(address);
    return entry == allocations.end() ? "" : in_words(entry, address);
}

std::string find_overwritten() {
    std::lock_guard<std::recursive_mutex> hold(lock);
    Access all;
    for (Entry entry = allocations.begin(); entry != allocations.end(); ++entry) {
        if (!entry->second.live) continue;
        std::string found = overwritten(entry);
        if (found.empty()) continue;
        // Once is enough: the next launch is not to blame.
        char* start = reinterpret_cast<char*>(entry->first);
        memset(entry->second.mapping + page, poison, size_t(start - entry->second.mapping) - page);
        memset(start + entry->second.bytes, poison, size_t(entry->second.end_of_pages() - start) - entry->second.bytes);
        return found;
    }
    return "";
}

size_t in_use(int device) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    return used[device];
}
size_t live_allocations() {
    std::lock_guard<std::recursive_mutex> hold(lock);
    return live;
}

bool range(const void* address, void*& start, size_t& bytes, int& device) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    Entry entry = find(address);
    if (entry == allocations.end() || !entry->second.live) return false;
    start = reinterpret_cast<void*>(entry->first);
    bytes = entry->second.bytes;
    device = entry->second.device;
    return true;
}

}  // namespace memory
