// The driver's launches, which run at once, and the tensor maps that kernels read.
#include <cstring>

#include "driver.h"
#include "memory.h"

namespace {

constexpr size_t most_argument_bytes = 32 << 10;

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

// Checks a launch, and copies its arguments: the caller may change its buffer once the call has returned.
Result prepare(Launch& to, const char* call, Function* function, simt::Index grid, simt::Index block, unsigned shared_bytes, void** parameters, void** extra) {
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
    if (bytes > most_argument_bytes) return invalid("more than 32 KiB of arguments");
    to = {name, function, grid, block, shared_bytes, std::string(static_cast<const char*>(arguments), bytes)};
    return Success;
}

struct LaunchConfig {
    unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
    void *stream, *attributes;
    unsigned n_attributes;
};

}  // namespace

Result run(const Launch& launch) {
    const char* name = launch.name.c_str();
    alignas(128) char aligned[most_argument_bytes];
    memcpy(aligned, launch.arguments.data(), launch.arguments.size());

    std::string why;
    simt::Launch all = {launch.function->kernel, aligned, launch.grid, launch.block, launch.shared_bytes, number_from("TW_EMULATOR_SEED", 0), unsigned(number_from("TW_EMULATOR_SECONDS", 120))};
    land_copies();
    memory::Access open;
    simt::Ending ending = simt::run(all, why);
    if (ending == simt::Ending::Finished) {
        why = memory::find_overwritten();
        if (!why.empty()) ending = simt::Ending::IllegalAddress;
    }
    switch (ending) {
    case simt::Ending::Finished: return Success;
    case simt::Ending::Failed: return refuse(LaunchFailed, name, why);
    case simt::Ending::IllegalAddress: return refuse(IllegalAddress, name, why);
    case simt::Ending::TimedOut: return refuse(LaunchTimeout, name, why);
    case simt::Ending::IllegalInstruction: return refuse(IllegalInstruction, name, why);
    }
    return Success;
}

API cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                   unsigned block_z, unsigned shared_bytes, void* stream, void** parameters, void** extra) {
    NEED_CONTEXT();
    NEED_FUNCTION(function);
    Launch launch;
    Result result = prepare(launch, __func__, function, {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, parameters, extra);
    if (result != Success || capture(stream, launch)) return result;
    NEED_STREAM(stream);
    return run(launch);
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
    // Tests of recorded launches leave tensors in host memory.
    const char* host = getenv("TW_EMULATOR_HOST_MEMORY");
    if (!(host && *host) && !memory::contains(data, 1, why)) REFUSE(InvalidValue, why);
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
