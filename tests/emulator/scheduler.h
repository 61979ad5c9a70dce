// The state of the emulated machine, between the scheduler and what kernels call.
#pragma once
#include <csetjmp>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "fiber.h"
#include "machine.h"

namespace simt {

constexpr size_t most_threads = 1024;
constexpr int barriers = 16;

struct Copy {
    void* to;
    const void* from;
    unsigned bytes;
};
// The cp.async copies of a GPU thread that have not landed.
struct Copies {
    std::vector<Copy> open;
    std::vector<std::vector<Copy>> groups;
};

struct Thread {
    Context context;
    Index index;
    int lane;
    bool done;
    // What it waits for, and where; null while it is ready.
    const char* waits_for;
    Place place;
    // Of the collective that it waits in.
    Mask lanes;
    const void* value;
    void* result;
};

struct Barrier {
    int arrived, expected;  // expected: 0 until the first comes
    Place place;
    std::vector<int> waiting;
};

struct Landing {
    unsigned long due;
    detail::Deferred* copy;
};

// How a block's threads are chosen when there is a seed.
enum class Manner { DrainAWarp, Scatter, LeaveOneWarpBehind, Backwards };

struct Machine {
    Launch launch;
    Index block;
    int n_threads, live, current;
    std::vector<Thread> threads;
    uint64_t ready[most_threads / 64];
    // Of each warp, the lanes that wait in a collective.
    Mask meeting[most_threads / 32];
    Barrier barrier[barriers];
    std::vector<Landing> landings;
    std::unordered_map<const void*, std::unique_ptr<char[]>> memory[most_threads];
    Copies copies[most_threads];
    bool used_memory;
    unsigned long ticks, idle;
    // Chance.
    uint64_t chance;
    uint64_t launches = 0;
    Manner manner;
    int behind;
    // Memory.
    char* stacks = nullptr;
    char* arena = nullptr;  // most_shared + 2 pages, between moats
    char *shared = nullptr, *mapped_begin, *mapped_end;
    void* signal_stack = nullptr;
    // The block runner, and how to get back to it.
    Context runner;
    sigjmp_buf escape;
    Ending ending;
    std::string failure;

    ~Machine();
};

// Set while a launch runs on this CPU thread.
extern __attribute__((tls_model("initial-exec"))) thread_local Machine* machine;

// Waits until another thread makes the current one ready.
void block_current(const char* waits_for, Place place);
// Chooses the next thread, perhaps the current one, and returns when the current one is chosen again.
void give_way();
// Copy i of `landings` happens.
void land(size_t i);

inline int warp_of(int thread) { return thread / machine->launch.kernel.warp; }
inline void set_ready(int thread) {
    machine->ready[thread / 64] |= uint64_t(1) << (thread % 64);
    machine->threads[thread].waits_for = nullptr;
}
inline void clear_ready(int thread) { machine->ready[thread / 64] &= ~(uint64_t(1) << (thread % 64)); }
inline bool seeded() { return machine->chance != 0; }

inline uint32_t next_chance() {
    uint64_t& x = machine->chance;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return uint32_t(x >> 32);
}

inline bool same_place(Place a, Place b) {
    return a.line == b.line && (a.function == b.function || strcmp(a.function, b.function) == 0);
}

}  // namespace simt
