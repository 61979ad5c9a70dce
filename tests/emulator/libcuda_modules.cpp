// The driver's modules and functions: a module is a shared object that the fake NVRTC had g++ build.
#include <cstdlib>
#include <fstream>

#include <dlfcn.h>
#include <unistd.h>

#include "driver.h"
#include "image.h"

namespace {

// Whether a device runs an image: the same major version and no later minor one; "a" means exactly this one,
// and so do AMD's names.
bool fits(const std::string& image) {
    if (on_amd() || image.rfind("gfx", 0) == 0) return on_amd() && image == amd_architecture();
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
    if (!fits(image->architecture)) REFUSE(NoBinaryForGpu, std::string("the image is for ") + image->architecture + ", the device is " + (on_amd() ? amd_architecture() : "sm_" + std::to_string(architecture())));
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
        known = new Function{module, name, *static_cast<const simt::Kernel*>(kernel), on_amd() ? limits().shared_per_block : 48 << 10};
        functions.insert(known);
    }
    *function = known;
    return Success;
}
API cuModuleGetGlobal_v2(Address*, size_t*, Module*, const char*) { REFUSE(NotFound, "the emulator has no global variables"); }

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
