// The emulated machine as the fake driver sees it: it runs one launch at a time on the calling CPU thread.
#pragma once
#include <string>

#include "simt.h"

namespace simt {

struct Launch {
    Kernel kernel;
    const void* arguments;
    Index grid, block;
    unsigned shared_bytes;
    unsigned long long seed;  // 0: round robin
    unsigned seconds;         // of CPU time, then it ends as TimedOut
};

enum class Ending {
    Finished,
    Failed,          // simt::fail, a deadlock, a divergence, an overwritten guard zone
    IllegalAddress,  // memory that is not mapped
    IllegalInstruction,
    TimedOut,
};

// Catches illegal accesses from now on. `describe` says in words what lies at an address of device memory, or
// nothing. Within a launch they end it; elsewhere they are explained, and then as before.
void catch_signals(std::string (*describe)(const void* address));

// Runs every block. `failure` says what went wrong and in which thread.
Ending run(const Launch& launch, std::string& failure);

}  // namespace simt
