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
    // What lies at an address outside shared memory and stacks, for messages; may be null.
    std::string (*describe)(const void* address);
};

enum class Ending {
    Finished,
    Failed,          // simt::fail, a deadlock, a divergence, an overwritten guard zone
    IllegalAddress,  // memory that is not mapped
    IllegalInstruction,
};

// Runs every block. `failure` says what went wrong and in which thread.
Ending run(const Launch& launch, std::string& failure);

}  // namespace simt
