// libhiprtc.so.7 without ROCm: hands everything to the fake NVRTC beside it, with options as hipRTC has them.
// A text for a gfx9 architecture is compiled for warps of 64 lanes, for a gfx1… one for 32.
#include <cstring>
#include <string>
#include <vector>

typedef int Result;
typedef void* Program;
enum : Result { Success = 0, InvalidOption = 5 };

#define API extern "C" __attribute__((visibility("default"))) Result

extern "C" {
Result nvrtcCreateProgram(Program*, const char*, const char*, int, const char* const*, const char* const*);
Result nvrtcDestroyProgram(Program*);
Result nvrtcCompileProgram(Program, int, const char* const*);
Result nvrtcGetCUBINSize(Program, size_t*);
Result nvrtcGetCUBIN(Program, char*);
Result nvrtcGetProgramLogSize(Program, size_t*);
Result nvrtcGetProgramLog(Program, char*);
const char* nvrtcGetErrorString(Result);
}

API hiprtcVersion(int* major, int* minor) {
    *major = 7;
    *minor = 0;
    return Success;
}
API hiprtcCreateProgram(Program* program, const char* text, const char* name, int n, const char* const* headers, const char* const* names) {
    return nvrtcCreateProgram(program, text, name, n, headers, names);
}
API hiprtcDestroyProgram(Program* program) { return nvrtcDestroyProgram(program); }
API hiprtcCompileProgram(Program program, int n, const char* const* given) {
    static const std::string arch = "--offload-arch=";
    std::vector<std::string> options;
    for (int i = 0; i < n; ++i) {
        std::string option = given[i];
        if (option.rfind(arch, 0) == 0) {
            // gfx90a:sramecc+ and the like: features do not matter here.
            std::string name = option.substr(arch.size(), option.find(':') - arch.size());
            bool known = name.size() >= 6 && name.size() <= 7 && name.rfind("gfx", 0) == 0 && name.find_first_not_of("0123456789abcdef", 3) == std::string::npos;
            if (!known) return InvalidOption;
            options.push_back("--gpu-architecture=" + name);
        } else if (option.rfind("-D", 0) == 0 || option.rfind("-U", 0) == 0 || option.rfind("-O", 0) == 0 || option.rfind("-std=", 0) == 0 || option.rfind("-m", 0) == 0 || option.rfind("-f", 0) == 0) {
            options.push_back(option);
        } else {
            return InvalidOption;  // as clang does with NVRTC's spellings
        }
    }
    if (options.empty() || options[0].rfind("--gpu", 0) != 0) options.insert(options.begin(), "--gpu-architecture=gfx942");
    std::vector<const char*> pointers;
    for (const std::string& option : options) pointers.push_back(option.c_str());
    return nvrtcCompileProgram(program, int(pointers.size()), pointers.data());
}
API hiprtcGetCodeSize(Program program, size_t* bytes) { return nvrtcGetCUBINSize(program, bytes); }
API hiprtcGetCode(Program program, char* to) { return nvrtcGetCUBIN(program, to); }
API hiprtcGetProgramLogSize(Program program, size_t* bytes) { return nvrtcGetProgramLogSize(program, bytes); }
API hiprtcGetProgramLog(Program program, char* to) { return nvrtcGetProgramLog(program, to); }
extern "C" __attribute__((visibility("default"))) const char* hiprtcGetErrorString(Result result) { return nvrtcGetErrorString(result); }
