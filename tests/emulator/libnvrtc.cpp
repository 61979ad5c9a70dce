// libnvrtc.so.13 without CUDA: kernels are compiled for the CPU by g++, with simt.h in front.
//
// Next to this library lie libcuda.so.1, which kernels are linked to, simt.h, and cache/, which holds
// compiled texts by their hash. Variables: TW_EMULATOR_CXX (g++), TW_EMULATOR_FLAGS (more options),
// TW_EMULATOR_CACHE=off, TW_EMULATOR_KEEP=<folder> (where texts are left, for debuggers).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image.h"

typedef int Result;
enum : Result { Success = 0, InvalidInput = 3, InvalidProgram = 4, InvalidOption = 5, CompilationFailed = 6, NoNames = 8, InternalError = 11 };

#define API extern "C" __attribute__((visibility("default"))) Result

extern char** environ;

namespace {

struct Program {
    std::string text, name, log, image;
    bool for_ptx = false;
};

std::string variable(const char* name, const char* otherwise) {
    const char* text = getenv(name);
    return text && *text ? text : otherwise;
}

// --- What the text says ---

struct Entry {
    std::string name, threads;
};

bool is_name(char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Just behind the parenthesis that closes the one at `open`.
size_t behind_parentheses(const std::string& text, size_t open) {
    int depth = 0;
    for (size_t i = open; i < text.size(); ++i) {
        if (text[i] == '(') ++depth;
        if (text[i] == ')' && --depth == 0) return i + 1;
    }
    return text.size();
}

// extern "C" __global__ void __launch_bounds__(threads, …) name(…
std::vector<Entry> find_entries(const std::string& text) {
    static const std::string start = "extern \"C\" __global__", bounds = "__launch_bounds__";
    std::vector<Entry> entries;
    for (size_t at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) {
        Entry entry;
        entry.threads = "0";
        size_t open = text.find('(', at);
        if (open == std::string::npos) break;
        size_t bound = text.find(bounds, at);
        if (bound != std::string::npos && bound < open) {
            size_t end = behind_parentheses(text, open), comma = open + 1;
            while (comma < end - 1 && text[comma] != ',') comma = text[comma] == '(' ? behind_parentheses(text, comma) : comma + 1;
            entry.threads = text.substr(open + 1, comma - open - 1);
            open = text.find('(', end);
            if (open == std::string::npos) break;
        }
        size_t end = open;
        while (end > at && !is_name(text[end - 1])) --end;
        size_t begin = end;
        while (begin > at && is_name(text[begin - 1])) --begin;
        entry.name = text.substr(begin, end - begin);
        entries.push_back(entry);
    }
    return entries;
}

// What the fake driver looks for: the kernel's runner and its properties.
std::string launchers(const std::string& text) {
    std::string code = "\n#ifndef TW_WARP\n#define TW_WARP 32\n#endif\n";
    for (const Entry& entry : find_entries(text)) {
        const std::string& name = entry.name;
        code += "extern \"C\" SIMT_API void " + name + "__run(const void* arguments) { simt::call(" + name + ", arguments); }\n";
        code += "extern \"C\" SIMT_API const simt::Kernel " + name + "__kernel = {" + name + "__run, simt::argument_bytes(" + name + "), " + entry.threads + ", TW_WARP};\n";
    }
    return code;
}

// --- Options ---

struct Options {
    std::string architecture = "compute_52";  // as the real one's default, nearly
    std::vector<std::string> for_gcc;
};

// Definitions and include paths go on; g++ does not know the others.
Result read_options(int n, const char* const* given, Options& options, std::string& log) {
    for (int i = 0; i < n; ++i) {
        std::string option = given[i], value;
        size_t equals = option.find('=');
        if (equals != std::string::npos) value = option.substr(equals + 1);
        std::string name = option.substr(0, equals);
        if ((name == "--gpu-architecture" || name == "-arch") && value.empty() && i + 1 < n) value = given[++i];
        if (name == "--gpu-architecture" || name == "-arch") {
            // libhiprtc's; its names are checked there.
            bool amd = value.rfind("gfx", 0) == 0 && value.size() < 16;
            if (amd) options.for_gcc.push_back(value.size() == 7 ? "-DTW_WARP=32" : "-DTW_WARP=64");  // gfx1100, gfx942
            size_t digits = value.rfind("sm_", 0) == 0 ? 3 : value.rfind("compute_", 0) == 0 ? 8 : 0, end = digits;
            while (end < value.size() && isdigit(static_cast<unsigned char>(value[end]))) ++end;
            std::string suffix = value.substr(end);
            if (!amd && (!digits || end == digits || value.size() > 15 || (suffix != "" && suffix != "a" && suffix != "f"))) {
                log = "nvrtc: error: invalid value for --gpu-architecture (-arch)\n";
                return InvalidOption;
            }
            options.architecture = value;
        } else if (name == "--define-macro") {
            options.for_gcc.push_back("-D" + value);
        } else if (option.rfind("-D", 0) == 0 || option.rfind("-U", 0) == 0) {
            options.for_gcc.push_back(option);
        } else if (option.empty() || option[0] != '-') {
            log = "nvrtc: error: unrecognized option " + option + " found\n";
            return InvalidOption;
        }
    }
    return Success;
}

std::string digits_of(const std::string& architecture) {
    std::string digits;
    for (char c : architecture)
        if (isdigit(static_cast<unsigned char>(c))) digits += c;
    return digits;
}

// --- g++ ---

std::string own_folder() {
    Dl_info info;
    dladdr(reinterpret_cast<void*>(own_folder), &info);
    char whole[4096];
    std::string path = realpath(info.dli_fname, whole) ? whole : info.dli_fname;
    return path.substr(0, path.rfind('/'));
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
}
bool write_file(const std::string& path, const std::string& bytes) {
    std::ofstream file(path, std::ios::binary);
    file << bytes;
    return bool(file.flush());
}

// Runs a command in `folder` with its outputs in a file; its exit code, -1 if it did not start.
int run_command(const std::vector<std::string>& words, const std::string& output) {
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t child;
    int status = -1, started = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (started != 0 || waitpid(child, &status, 0) < 0) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
}

std::vector<std::string> command_for(const Program& program, const Options& options, const std::string& folder) {
    std::vector<std::string> words = {variable("TW_EMULATOR_CXX", "g++"), "-std=c++17", "-O1", "-g1", "-fPIC", "-shared", "-w",
        "-DTW_EMULATED", "-fvisibility=hidden", "-fno-strict-aliasing", "-fno-gnu-unique", "-ffp-contract=off",
        // An index outside a local array and a misaligned access trap; the machine turns that into an error.
        "-fsanitize=bounds,alignment", "-fsanitize-undefined-trap-on-error"};
    if (program.text.find("define TW_ARCH") == std::string::npos) words.push_back("-DTW_ARCH=" + digits_of(options.architecture));
    words.insert(words.end(), options.for_gcc.begin(), options.for_gcc.end());
    std::istringstream more(variable("TW_EMULATOR_FLAGS", ""));
    for (std::string word; more >> word;) words.push_back(word);
    for (const std::string& word : {std::string("-include"), folder + "/simt.h", std::string("-Wl,-Bsymbolic"), std::string("-Wl,-z,defs"), "-L" + folder}) words.push_back(word);
    return words;
}

// The shared object of a program's text, or an empty string and the log.
std::string compile(Program& program, const Options& options) {
    const std::string folder = own_folder();
    std::vector<std::string> words = command_for(program, options, folder);
    const std::string text = program.text + launchers(program.text);

    std::string all = text + read_file(folder + "/simt.h");
    for (const std::string& word : words) all += word + "\n";
    char hash[17];
    snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(checksum(all.data(), all.size())));
    const bool caches = variable("TW_EMULATOR_CACHE", "on") != "off";
    const std::string cached = folder + "/cache/" + hash + ".so";
    if (caches) {
        std::string bytes = read_file(cached);
        if (!bytes.empty()) return bytes;
    }

    std::string kept = variable("TW_EMULATOR_KEEP", "");
    char temporary[] = "/tmp/tilewright-nvrtc-XXXXXX";
    if (kept.empty() && !mkdtemp(temporary)) {
        program.log = "no temporary folder in /tmp\n";
        return "";
    }
    const std::string base = kept.empty() ? std::string(temporary) : kept;
    const std::string stem = base + "/" + (kept.empty() ? "program" : hash), source = stem + ".cpp", object = stem + ".so", log = stem + ".log";
    write_file(source, text);
    for (const std::string& word : {source, std::string("-o"), object, std::string("-l:libcuda.so.1"), std::string("-lm")}) words.push_back(word);

    int status = run_command(words, log);
    program.log = read_file(log);
    if (status < 0) program.log += "the emulator needs a C++ compiler, and " + words[0] + " does not start: install g++ or set TW_EMULATOR_CXX\n";
    replace_all(program.log, source, program.name);
    std::string bytes = status == 0 ? read_file(object) : "";
    if (!bytes.empty() && caches) {
        // Another process may write the same: the rename is atomic.
        const std::string fresh = cached + "." + std::to_string(getpid()) + "." + std::to_string(reinterpret_cast<uintptr_t>(&program));
        if (write_file(fresh, bytes)) rename(fresh.c_str(), cached.c_str());
    }
    if (kept.empty()) {
        for (const std::string& file : {source, object, log}) unlink(file.c_str());
        rmdir(base.c_str());
    }
    return bytes;
}

}  // namespace

API nvrtcVersion(int* major, int* minor) {
    *major = 13;
    *minor = 0;
    return Success;
}
extern "C" __attribute__((visibility("default"))) const char* nvrtcGetErrorString(Result result) {
    switch (result) {
    case Success: return "NVRTC_SUCCESS";
    case 1: return "NVRTC_ERROR_OUT_OF_MEMORY";
    case 2: return "NVRTC_ERROR_PROGRAM_CREATION_FAILURE";
    case InvalidInput: return "NVRTC_ERROR_INVALID_INPUT";
    case InvalidProgram: return "NVRTC_ERROR_INVALID_PROGRAM";
    case InvalidOption: return "NVRTC_ERROR_INVALID_OPTION";
    case CompilationFailed: return "NVRTC_ERROR_COMPILATION";
    case NoNames: return "NVRTC_ERROR_NO_NAME_EXPRESSIONS_AFTER_COMPILATION";
    case InternalError: return "NVRTC_ERROR_INTERNAL_ERROR";
    default: return "NVRTC_ERROR unknown";
    }
}

API nvrtcCreateProgram(Program** program, const char* text, const char* name, int, const char* const*, const char* const*) {
    if (!program || !text) return InvalidInput;
    *program = new Program;
    (*program)->text = text;
    (*program)->name = name && *name ? name : "default_program";
    return Success;
}
API nvrtcDestroyProgram(Program** program) {
    if (!program || !*program) return InvalidProgram;
    delete *program;
    *program = nullptr;
    return Success;
}
API nvrtcCompileProgram(Program* program, int n_options, const char* const* given) {
    if (!program) return InvalidProgram;
    Options options;
    program->log.clear();
    if (Result error = read_options(n_options, given, options, program->log)) return error;
    std::string object = compile(*program, options);
    if (object.empty()) return CompilationFailed;
    Image header = {};
    memcpy(header.magic, image_magic, 8);
    snprintf(header.architecture, sizeof header.architecture, "%s", options.architecture.c_str());
    header.bytes = object.size();
    header.checksum = checksum(object.data(), object.size());
    program->for_ptx = options.architecture.rfind("compute_", 0) == 0;
    program->image.assign(reinterpret_cast<const char*>(&header), sizeof header);
    program->image += object;
    return Success;
}

API nvrtcGetCUBINSize(Program* program, size_t* bytes) {
    if (!program || program->image.empty()) return InvalidProgram;
    // There is none for a virtual architecture.
    *bytes = program->for_ptx ? 0 : program->image.size();
    return Success;
}
API nvrtcGetCUBIN(Program* program, char* to) {
    if (!program || program->image.empty() || program->for_ptx) return InvalidProgram;
    memcpy(to, program->image.data(), program->image.size());
    return Success;
}
API nvrtcGetPTXSize(Program* program, size_t* bytes) {
    if (!program || program->image.empty()) return InvalidProgram;
    *bytes = program->image.size();
    return Success;
}
API nvrtcGetPTX(Program* program, char* to) {
    if (!program || program->image.empty()) return InvalidProgram;
    memcpy(to, program->image.data(), program->image.size());
    return Success;
}
API nvrtcGetProgramLogSize(Program* program, size_t* bytes) {
    if (!program) return InvalidProgram;
    *bytes = program->log.size() + 1;
    return Success;
}
API nvrtcGetProgramLog(Program* program, char* to) {
    if (!program) return InvalidProgram;
    memcpy(to, program->log.c_str(), program->log.size() + 1);
    return Success;
}

// Kernels are extern "C": their names are what they are.
API nvrtcAddNameExpression(Program* program, const char*) { return program ? Success : InvalidProgram; }
API nvrtcGetLoweredName(Program* program, const char* name, const char** lowered) {
    *lowered = name;
    return program ? Success : InvalidProgram;
}
API nvrtcGetNumSupportedArchs(int* n) {
    *n = 6;
    return Success;
}
API nvrtcGetSupportedArchs(int* list) {
    const int known[] = {75, 80, 86, 89, 90, 100};
    memcpy(list, known, sizeof known);
    return Success;
}
