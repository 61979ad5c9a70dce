#include "fiber.h"

#ifdef SIMT_UCONTEXT

namespace simt {

void switch_context(Context& from, Context& to) { swapcontext(&from.registers, &to.registers); }

void start_context(Context& context, char* stack, void (*entry)()) {
    getcontext(&context.registers);
    context.registers.uc_stack.ss_sp = stack;
    context.registers.uc_stack.ss_size = stack_bytes;
    context.registers.uc_link = nullptr;
    makecontext(&context.registers, entry, 0);
}

}  // namespace simt

#else

// Saves what the callee must keep and its stack's top in *rdi, and takes the same from rsi.
extern "C" void simt_switch(void** save, void* load);
asm(R"(
.text
.hidden simt_switch
.globl simt_switch
.type simt_switch, @function
simt_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size simt_switch, .-simt_switch
)");

namespace simt {

void switch_context(Context& from, Context& to) { simt_switch(&from.stack_pointer, to.stack_pointer); }

void start_context(Context& context, char* stack, void (*entry)()) {
    void** top = reinterpret_cast<void**>(stack + stack_bytes);
    *--top = nullptr;  // the entry's return address: it never returns; it also aligns the stack
    *--top = reinterpret_cast<void*>(entry);
    for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
    context.stack_pointer = top;
}

}  // namespace simt

#endif
