// Switching between stacks: in assembly on x86-64, a few nanoseconds; elsewhere, or with -DSIMT_UCONTEXT,
// through the C library, which makes a system call each time.
#pragma once
#include <cstddef>

#if !defined(__x86_64__)
#define SIMT_UCONTEXT
#endif
#ifdef SIMT_UCONTEXT
#include <ucontext.h>
#endif

namespace simt {

constexpr size_t stack_bytes = 256 * 1024;

struct Context {
#ifdef SIMT_UCONTEXT
    ucontext_t registers;
#else
    // The registers that a call keeps lie on the fiber's own stack.
    void* stack_pointer;
#endif
};

// Returns when somebody switches back to `from`.
void switch_context(Context& from, Context& to);
// The first switch to `context` calls `entry` on the stack of `stack_bytes` at `stack`. It must not return.
void start_context(Context& context, char* stack, void (*entry)());

}  // namespace simt
