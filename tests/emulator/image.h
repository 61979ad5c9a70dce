// What the fake NVRTC calls a cubin: this header, then a shared object that g++ built from the kernel's text.
#pragma once
#include <cstdint>
#include <cstring>

struct Image {
    char magic[8];
    char architecture[16];  // "sm_90a"; "compute_80" for PTX
    uint64_t bytes;         // of the shared object
    uint64_t checksum;      // of the shared object
};
constexpr char image_magic[9] = "TWCUBIN1";

// FNV-1a.
inline uint64_t checksum(const void* data, uint64_t bytes, uint64_t hash = 0xcbf29ce484222325u) {
    for (uint64_t i = 0; i < bytes; ++i) hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3u;
    return hash;
}
