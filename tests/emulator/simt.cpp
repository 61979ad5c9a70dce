// The scheduler: one fiber for each GPU thread of a block, blocks one after the other, on one CPU thread.
//
// A fiber runs until it waits. Then the scheduler chooses another that is ready: the next in order with
// seed 0, else whichever is likely to break a program that forgot to synchronise. When nobody is ready,
// asynchronous copies land; when there are none either, the block is dead and the launch fails.
#include "machine.h"

#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <numeric>
#include <unordered_map>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#if !defined(__x86_64__)
#define SIMT_UCONTEXT
#endif
#ifdef SIMT_UCONTEXT
#include <ucontext.h>
#endif

namespace simt {
namespace {

constexpr size_t page = 4096, stack_bytes = 256 * 1024, most_threads = 1024;
// Unmapped memory on either side of shared memory: far strays hit it too.
constexpr size_t moat = 64 << 20;
constexpr size_t most_shared = 256 * 1024;
// Where shared memory starts in PTX addresses. Not 0, so that a null pointer is not an address.
constexpr unsigned shared_base = 1024;
constexpr unsigned char poison = 0xFF;
constexpr int barriers = 16;
// Fruitless yields in a row that are taken for a deadlock.
constexpr unsigned long patience = 1 << 20;

// --- Fibers ---

#ifdef SIMT_UCONTEXT
struct Context {
    ucontext_t registers;
};
void switch_context(Context& from, Context& to) { swapcontext(&from.registers, &to.registers); }
void start_context(Context& context, char* stack, void (*entry)()) {
    getcontext(&context.registers);
    context.registers.uc_stack.ss_sp = stack;
    context.registers.uc_stack.ss_size = stack_bytes;
    context.registers.uc_link = nullptr;
    makecontext(&context.registers, entry, 0);
}
#else
// The registers that a call keeps lie on the fiber's own stack.
struct Context {
    void* stack_pointer;
};
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
void switch_context(Context& from, Context& to) { simt_switch(&from.stack_pointer, to.stack_pointer); }
void start_context(Context& context, char* stack, void (*entry)()) {
    void** top = reinterpret_cast<void**>(stack + stack_bytes);
    *--top = nullptr;  // the entry's return address: it never returns; it also aligns the stack
    *--top = reinterpret_cast<void*>(entry);
    for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
    context.stack_pointer = top;
}
#endif

// --- The machine ---

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

thread_local std::unique_ptr<Machine> own;
// Set while a launch runs on this CPU thread.
thread_local Machine* machine = nullptr;

Machine::~Machine() {
    if (stacks) munmap(stacks, most_threads * (stack_bytes + page));
    if (arena) munmap(arena - moat, 2 * moat + most_shared + 2 * page);
    if (signal_stack) munmap(signal_stack, 64 * 1024);
}

int warp_of(int thread) { return thread / machine->launch.kernel.warp; }
int lane_of(int thread) { return thread % machine->launch.kernel.warp; }
bool is_ready(int thread) { return machine->ready[thread / 64] >> (thread % 64) & 1; }
void set_ready(int thread) {
    machine->ready[thread / 64] |= uint64_t(1) << (thread % 64);
    machine->threads[thread].waits_for = nullptr;
}
void clear_ready(int thread) { machine->ready[thread / 64] &= ~(uint64_t(1) << (thread % 64)); }
bool seeded() { return machine->chance != 0; }

uint32_t next_chance() {
    uint64_t& x = machine->chance;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return uint32_t(x >> 32);
}

// The first ready thread from `from` on, around the block; -1 if there is none.
int ready_from(int from) {
    const Machine& m = *machine;
    int words = (m.n_threads + 63) / 64;
    if (from >= m.n_threads) from = 0;
    uint64_t word = m.ready[from / 64] & ~uint64_t(0) << (from % 64);
    for (int i = from / 64, tried = 0; tried <= words; ++tried) {
        if (word) return i * 64 + __builtin_ctzll(word);
        i = i + 1 == words ? 0 : i + 1;
        word = m.ready[i];
    }
    return -1;
}

// --- Asynchronous copies ---

void land(size_t i) {
    Machine& m = *machine;
    std::unique_ptr<detail::Deferred> copy(m.landings[i].copy);
    m.landings.erase(m.landings.begin() + long(i));
    m.idle = 0;
    copy->land();
}

void land_due_copies() {
    Machine& m = *machine;
    ++m.ticks;
    for (size_t i = 0; i < m.landings.size();) {
        if (m.landings[i].due <= m.ticks) land(i);
        else ++i;
    }
}

// --- Who is next ---

int choose_adversarially() {
    Machine& m = *machine;
    int warp = m.launch.kernel.warp, base = m.current / warp * warp;
    int anyone = ready_from(int(next_chance() % unsigned(m.n_threads)));
    if (anyone < 0) return -1;
    switch (m.manner) {
    case Manner::Scatter: return anyone;
    case Manner::DrainAWarp:
        if (next_chance() % 64) {
            int next = ready_from(m.current + 1);
            if (next >= 0 && next / warp * warp == base && next > m.current) return next;
            next = ready_from(base);
            if (next >= 0 && next / warp * warp == base) return next;
        }
        return anyone;
    case Manner::LeaveOneWarpBehind:
        if (anyone / warp == m.behind && next_chance() % 256) {
            int other = ready_from((m.behind + 1) * warp);
            return other >= 0 ? other : anyone;
        }
        return anyone;
    case Manner::Backwards:
        if (next_chance() % 64)
            for (int word = (m.n_threads - 1) / 64; word >= 0; --word)
                if (m.ready[word]) return word * 64 + 63 - __builtin_clzll(m.ready[word]);
        return anyone;
    }
    return anyone;
}

std::string whom(int thread) {
    char text[80];
    snprintf(text, sizeof text, "thread %d (warp %d, lane %d)", thread, warp_of(thread), lane_of(thread));
    return text;
}

// Who waits where: one line for neighbours that wait in the same place.
std::string who_waits() {
    const Machine& m = *machine;
    std::string text;
    for (int begin = 0, end; begin < m.n_threads; begin = end) {
        const Thread& first = m.threads[begin];
        auto same = [&](const Thread& t) { return t.done == first.done && t.waits_for == first.waits_for && (!t.waits_for || t.place.line == first.place.line); };
        for (end = begin + 1; end < m.n_threads && same(m.threads[end]);) ++end;
        char line[300];
        if (first.done) snprintf(line, sizeof line, "\n  threads %d to %d have ended", begin, end - 1);
        else if (first.waits_for)
            snprintf(line, sizeof line, "\n  threads %d to %d wait: %s in %s, line %d", begin, end - 1, first.waits_for, first.place.function, first.place.line);
        else snprintf(line, sizeof line, "\n  threads %d to %d can run", begin, end - 1);
        if (text.size() < 4000) text += line;
    }
    return text;
}

[[noreturn]] void end_launch(Ending ending, const std::string& what) {
    Machine& m = *machine;
    char block[100];
    snprintf(block, sizeof block, "block %u of %u, ", m.block.x, m.launch.grid.x);
    m.ending = ending;
    m.failure = block + (m.current >= 0 ? whom(m.current) : "at its end") + ": " + what + (m.current >= 0 ? who_waits() : "");
    siglongjmp(m.escape, 1);
}

// The next thread to run. Time passes: copies land.
int choose() {
    Machine& m = *machine;
    if (!m.landings.empty()) land_due_copies();
    for (;;) {
        int next = seeded() ? choose_adversarially() : ready_from(m.current + 1);
        if (next >= 0) return next;
        if (m.landings.empty()) fail("deadlock: every thread waits");
        land(seeded() ? next_chance() % m.landings.size() : 0);
    }
}

void run_thread(int next) {
    Machine& m = *machine;
    if (next == m.current) return;
    Thread& from = m.threads[m.current];
    m.current = next;
    switch_context(from.context, m.threads[next].context);
}

// Waits until another thread makes this one ready.
void block_current(const char* waits_for, Place place) {
    Thread& me = machine->threads[machine->current];
    me.waits_for = waits_for;
    me.place = place;
    clear_ready(machine->current);
    run_thread(choose());
}

// --- A thread's life ---

// Those who wait for a thread that has ended wait for ever.
void check_nobody_waits_for(int ended) {
    Machine& m = *machine;
    const Barrier& all = m.barrier[0];
    if (all.expected == m.n_threads && all.arrived)
        fail("a thread ended while %d others wait for it at __syncthreads in %s, line %d", all.arrived, all.place.function, all.place.line);
    int warp = m.launch.kernel.warp, base = ended / warp * warp;
    for (int other = base; other < base + warp && other < m.n_threads; ++other) {
        const Thread& t = m.threads[other];
        if (!t.done && t.lanes >> (ended - base) & 1)
            fail("a lane ended while others wait for it in a warp collective in %s, line %d", t.place.function, t.place.line);
    }
}

void live_thread() {
    Machine& m = *machine;
    int me = m.current;
    m.launch.kernel.run(m.launch.arguments);
    m.threads[me].done = true;
    clear_ready(me);
    m.idle = 0;
    check_nobody_waits_for(me);
    if (--m.live == 0) switch_context(m.threads[me].context, m.runner);
    run_thread(choose());
    abort();  // nobody makes an ended thread ready
}

// --- Memory ---

char* reserve(size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("the GPU emulator reserves memory");
        abort();
    }
    return static_cast<char*>(memory);
}

void create_memory(Machine& m) {
    if (m.stacks) return;
    // An unmapped page below each stack.
    m.stacks = reserve(most_threads * (stack_bytes + page));
    for (size_t i = 0; i < most_threads; ++i) mprotect(m.stacks + i * (stack_bytes + page) + page, stack_bytes, PROT_READ | PROT_WRITE);
    m.arena = reserve(2 * moat + most_shared + 2 * page) + moat;
    m.signal_stack = mmap(nullptr, 64 * 1024, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

// Shared memory ends with a page where its size allows, so that the first byte beyond is unmapped:
//
//   moat | guard zone | shared memory, aligned to 1024 | guard zone of less than 1024 bytes | moat
void map_shared(Machine& m, size_t bytes) {
    size_t end = most_shared + 2 * page, begin = (end - bytes) / 1024 * 1024;
    mprotect(m.arena, most_shared + 2 * page, PROT_NONE);
    m.shared = m.arena + begin;
    m.mapped_begin = m.arena + begin / page * page;
    m.mapped_end = m.arena + end;
    mprotect(m.mapped_begin, size_t(m.mapped_end - m.mapped_begin), PROT_READ | PROT_WRITE);
}

const char* first_overwritten(const char* begin, const char* end) {
    for (; begin < end; ++begin)
        if (static_cast<unsigned char>(*begin) != poison) return begin;
    return nullptr;
}

void check_guards(Machine& m) {
    m.current = -1;
    const char* end = m.shared + m.launch.shared_bytes;
    const char* bad = first_overwritten(m.mapped_begin, m.shared);
    if (!bad) bad = first_overwritten(end, m.mapped_end);
    if (bad) fail("shared memory was written outside: at byte %ld of %u", long(bad - m.shared), m.launch.shared_bytes);
}

// --- A block ---

void reset_block(Machine& m, Index block) {
    m.block = block;
    m.live = m.n_threads;
    m.current = 0;
    m.ticks = m.idle = 0;
    for (uint64_t& word : m.ready) word = 0;
    for (Barrier& barrier : m.barrier) {
        barrier.arrived = barrier.expected = 0;
        barrier.waiting.clear();
    }
    for (int i = 0; i < m.n_threads; ++i) {
        Thread& thread = m.threads[size_t(i)];
        unsigned x = m.launch.block.x, y = m.launch.block.y, n = unsigned(i);
        thread.index = {n % x, n / x % y, n / x / y};
        thread.done = false;
        thread.waits_for = nullptr;
        thread.lanes = 0;
        start_context(thread.context, m.stacks + size_t(i) * (stack_bytes + page) + page, live_thread);
        set_ready(i);
    }
    if (m.used_memory)
        for (int i = 0; i < m.n_threads; ++i) {
            m.memory[i].clear();
            m.copies[i].open.clear();
            m.copies[i].groups.clear();
        }
    m.used_memory = false;
    memset(m.mapped_begin, poison, size_t(m.mapped_end - m.mapped_begin));
    if (seeded()) {
        m.manner = Manner(next_chance() % 4);
        m.behind = int(next_chance() % unsigned((m.n_threads + m.launch.kernel.warp - 1) / m.launch.kernel.warp));
        m.current = int(next_chance() % unsigned(m.n_threads));
    }
}

void check_block(Machine& m) {
    check_guards(m);
    if (!m.landings.empty()) fail("%zu asynchronous copies were in flight when the block ended", m.landings.size());
    for (int i = 0; i < barriers; ++i)
        if (m.barrier[i].arrived) fail("%d of %d threads had arrived at barrier %d when the block ended", m.barrier[i].arrived, m.barrier[i].expected, i);
}

void run_block(Machine& m, Index block) {
    reset_block(m, block);
    switch_context(m.runner, m.threads[size_t(m.current)].context);
    check_block(m);
}

// In order with seed 0, else shuffled.
std::vector<unsigned> order_of_blocks(const Launch& launch) {
    std::vector<unsigned> order(size_t(launch.grid.x) * launch.grid.y * launch.grid.z);
    std::iota(order.begin(), order.end(), 0u);
    if (seeded())
        for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[next_chance() % i]);
    return order;
}

// --- Signals: what the kernel's machine code may not do ---

struct sigaction previous[NSIG];
constexpr int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};

std::string describe_fault(const char* at) {
    const Machine& m = *machine;
    char text[200];
    if (at >= m.arena - moat && at < m.arena + most_shared + 2 * page + moat) {
        snprintf(text, sizeof text, "byte %ld of the block's %u bytes of shared memory", long(at - m.shared), m.launch.shared_bytes);
        return text;
    }
    if (at >= m.stacks && at < m.stacks + most_threads * (stack_bytes + page)) return "the end of the thread's stack: its local variables are too large";
    std::string known = m.launch.describe ? m.launch.describe(at) : "";
    if (!known.empty()) return known;
    snprintf(text, sizeof text, "%p, which is no memory of the device", static_cast<const void*>(at));
    return text;
}

void on_signal(int signal, siginfo_t* info, void* context) {
    if (machine) {
        if (signal == SIGSEGV || signal == SIGBUS) end_launch(Ending::IllegalAddress, "illegal access to " + describe_fault(static_cast<const char*>(info->si_addr)));
        end_launch(Ending::IllegalInstruction,
                   signal == SIGFPE ? "an integer was divided by zero" : "an index outside a local array, or a misaligned access (a check of g++ trapped)");
    }
    // Not ours: as before.
    const struct sigaction& before = previous[signal];
    if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(signal, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) before.sa_handler(signal);
    else ::signal(signal, SIG_DFL);  // and the instruction runs again
}

void install_signal_handlers() {
    static const bool installed = [] {
        for (int signal : signals) {
            struct sigaction action = {};
            action.sa_sigaction = on_signal;
            action.sa_flags = SA_SIGINFO | SA_ONSTACK;
            sigaction(signal, &action, &previous[signal]);
        }
        return true;
    }();
    (void)installed;
}

void run_blocks(Machine& m) {
    for (unsigned n : order_of_blocks(m.launch)) {
        Index grid = m.launch.grid;
        run_block(m, {n % grid.x, n / grid.x % grid.y, n / grid.x / grid.y});
    }
}

}  // namespace

Ending run(const Launch& launch, std::string& failure) {
    install_signal_handlers();
    if (!own) own.reset(new Machine);
    Machine& m = *own;
    m.launch = launch;
    m.n_threads = int(launch.block.x * launch.block.y * launch.block.z);
    create_memory(m);
    map_shared(m, launch.shared_bytes);
    m.threads.resize(size_t(m.n_threads));
    m.used_memory = true;
    m.landings.clear();
    // The n-th launch of a CPU thread has the same schedule every time.
    m.chance = launch.seed ? (launch.seed * 1000003 + ++m.launches) * 0x9E3779B97F4A7C15ull : 0;
    
    m.ending = Ending::Finished;
    m.failure.clear();

    stack_t before, ours = {};
    ours.ss_sp = m.signal_stack;
    ours.ss_size = 64 * 1024;
    sigaltstack(&ours, &before);
    machine = &m;
    // A failure jumps here; the fibers are left as they are, without destructors.
    if (sigsetjmp(m.escape, 1) == 0) run_blocks(m);
    machine = nullptr;
    sigaltstack(&before, nullptr);
    for (Landing& landing : m.landings) delete landing.copy;
    m.landings.clear();
    failure = m.failure;
    return m.ending;
}

// --- What kernels call ---

const Index& thread_index() { return machine->threads[size_t(machine->current)].index; }
const Index& block_index() { return machine->block; }
const Index& block_size() { return machine->launch.block; }
const Index& grid_size() { return machine->launch.grid; }
int thread() { return machine->current; }
int lane() { return lane_of(machine->current); }
int warp_size() { return machine->launch.kernel.warp; }
unsigned char* shared_memory() { return reinterpret_cast<unsigned char*>(machine->shared); }

void fail(const char* format, ...) {
    char text[500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    end_launch(Ending::Failed, text);
}

unsigned random() { return seeded() ? next_chance() : 0; }
void progress() { machine->idle = 0; }

void yield(Place place) {
    Machine& m = *machine;
    Thread& me = m.threads[size_t(m.current)];
    me.waits_for = "polling";
    me.place = place;
    ++m.idle;
    // Everyone has polled in vain for a while: only a copy can help.
    if (m.idle > 4ul * unsigned(m.live) + 64 && !m.landings.empty()) land(seeded() ? next_chance() % m.landings.size() : 0);
    if (m.idle > patience) fail("deadlock: the threads that can run poll for ever");
    run_thread(choose());
    me.waits_for = nullptr;
}

void preempt() {
    if (!seeded() || next_chance() % 4) return;
    run_thread(choose());
}

unsigned shared_offset(const void* pointer) {
    const Machine& m = *machine;
    long offset = static_cast<const char*>(pointer) - m.shared;
    if (offset < 0 || offset >= long(m.launch.shared_bytes)) fail("a pointer that should be to shared memory is not: byte %ld of %u", offset, m.launch.shared_bytes);
    return unsigned(offset) + shared_base;
}
unsigned char* shared_pointer(unsigned offset, unsigned bytes) {
    const Machine& m = *machine;
    if (offset < shared_base || offset - shared_base + uint64_t(bytes) > m.launch.shared_bytes)
        fail("%u bytes at %ld are not within the block's %u bytes of shared memory", bytes, long(offset) - long(shared_base), m.launch.shared_bytes);
    return shared_memory() + (offset - shared_base);
}

namespace {

// Counts the caller in; true if it was the last, and the others are ready then.
bool arrive(int number, int expected, Place place) {
    Machine& m = *machine;
    if (number < 0 || number >= barriers) fail("there is no barrier %d", number);
    Barrier& barrier = m.barrier[number];
    int warp = m.launch.kernel.warp;
    if (expected <= 0 || expected > m.n_threads || (expected != m.n_threads && expected % warp))
        fail("barrier %d of %d threads: not a multiple of %d up to %d", number, expected, warp, m.n_threads);
    if (barrier.arrived && barrier.expected != expected)
        fail("barrier %d is for %d threads here, in %s, line %d, and for %d in %s, line %d", number, expected, place.function, place.line, barrier.expected, barrier.place.function, barrier.place.line);
    barrier.expected = expected;
    barrier.place = place;
    if (++barrier.arrived < expected) return false;
    barrier.arrived = 0;
    for (int waiting : barrier.waiting) set_ready(waiting);
    barrier.waiting.clear();
    m.idle = 0;
    return true;
}

}  // namespace

void barrier_all(Place place) {
    Machine& m = *machine;
    if (m.live < m.n_threads) fail("__syncthreads in %s, line %d, after %d threads have ended", place.function, place.line, m.n_threads - m.live);
    const Barrier& all = m.barrier[0];
    if (all.arrived && (all.place.line != place.line || strcmp(all.place.function, place.function)))
        fail("divergence: __syncthreads in %s, line %d, while others wait at another one in %s, line %d", place.function, place.line, all.place.function, all.place.line);
    int me = m.current;
    if (arrive(0, m.n_threads, place)) return preempt();
    m.barrier[0].waiting.push_back(me);
    block_current("__syncthreads", place);
}

void barrier(int number, int threads, Place place) {
    int me = machine->current;
    if (arrive(number, threads, place)) return preempt();
    machine->barrier[number].waiting.push_back(me);
    block_current("bar.sync", place);
}

void barrier_arrive(int number, int threads, Place place) {
    arrive(number, threads, place);
    preempt();
}

namespace detail {

void meet(Mask lanes, const void* value, void* result, void (*finish)(const Meeting&, void (*)()), void (*each)(), Place place) {
    Machine& m = *machine;
    int me = m.current, warp = m.launch.kernel.warp, base = me / warp * warp;
    // The last warp of a block may be cut short.
    int width = m.n_threads - base < warp ? m.n_threads - base : warp;
    Mask all = width == 64 ? ~Mask(0) : (Mask(1) << width) - 1;
    if (lanes == 0xFFFFFFFFu) lanes = all;
    lanes &= all;
    if (!(lanes >> (me - base) & 1)) fail("lane %d is not in the mask %llx of its own warp collective in %s, line %d", me - base, lanes, place.function, place.line);

    Thread& self = m.threads[size_t(me)];
    bool last = true;
    for (int lane = 0; lane < width; ++lane) {
        const Thread& other = m.threads[size_t(base + lane)];
        if (!(lanes >> lane & 1) || base + lane == me) continue;
        if (other.done) fail("a warp collective in %s, line %d, waits for lane %d, which has ended", place.function, place.line, lane);
        if (!other.lanes) {
            last = false;
            if (!is_ready(base + lane))
                fail("divergence: a warp collective in %s, line %d, while lane %d waits: %s in %s, line %d", place.function, place.line, lane, other.waits_for, other.place.function, other.place.line);
        } else if (other.lanes != lanes || other.place.line != place.line || strcmp(other.place.function, place.function)) {
            fail("divergence: a warp collective in %s, line %d, mask %llx, while lane %d waits in another one in %s, line %d, mask %llx", place.function, place.line, lanes, lane, other.place.function, other.place.line, other.lanes);
        }
    }
    self.lanes = lanes;
    self.value = value;
    self.result = result;
    self.place = place;
    if (!last) return block_current("warp collective", place);

    Meeting meeting;
    meeting.lanes = lanes;
    for (int lane = 0; lane < width; ++lane) {
        if (!(lanes >> lane & 1)) continue;
        meeting.value[lane] = m.threads[size_t(base + lane)].value;
        meeting.result[lane] = m.threads[size_t(base + lane)].result;
    }
    finish(meeting, each);
    for (int lane = 0; lane < width; ++lane) {
        if (!(lanes >> lane & 1)) continue;
        m.threads[size_t(base + lane)].lanes = 0;
        if (base + lane != me) set_ready(base + lane);
    }
    m.idle = 0;
    preempt();
}

void defer(Deferred* copy) {
    Machine& m = *machine;
    // With a seed a copy lands at once, soon, late, or when nobody can go on without it.
    unsigned long after = 2ul * unsigned(m.n_threads);
    if (seeded()) {
        unsigned chance = next_chance() % 4;
        if (chance == 0) {
            std::unique_ptr<Deferred> now(copy);
            now->land();
            return;
        }
        after = chance == 1 ? next_chance() % 64 : chance == 2 ? next_chance() % (8u * unsigned(m.n_threads)) : ~0ul / 2;
    }
    m.landings.push_back({m.ticks + after, copy});
}

void* thread_memory(const void* key, size_t bytes) {
    Machine& m = *machine;
    m.used_memory = true;
    std::unique_ptr<char[]>& memory = m.memory[m.current][key];
    if (!memory) memory.reset(new char[bytes]());
    return memory.get();
}

}  // namespace detail

void copy_async(void* shared, const void* global, unsigned bytes) {
    if (bytes != 4 && bytes != 8 && bytes != 16) fail("cp.async of %u bytes: only 4, 8 and 16 exist", bytes);
    if ((reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global)) % bytes) fail("cp.async: %p or %p is not aligned to %u bytes", shared, global, bytes);
    shared_pointer(shared_offset(shared), bytes);
    machine->used_memory = true;
    if (random() % 2) memcpy(shared, global, bytes);
    else machine->copies[machine->current].open.push_back({shared, global, bytes});
}
void commit_copies() {
    Copies& mine = machine->copies[machine->current];
    machine->used_memory = true;
    mine.groups.push_back(std::move(mine.open));
    mine.open.clear();
}
void wait_copies(unsigned groups) {
    std::vector<std::vector<Copy>>& mine = machine->copies[machine->current].groups;
    if (mine.size() <= groups) return;
    long done = long(mine.size() - groups);
    for (long i = 0; i < done; ++i)
        for (const Copy& copy : mine[size_t(i)]) memcpy(copy.to, copy.from, copy.bytes);
    mine.erase(mine.begin(), mine.begin() + done);
}

}  // namespace simt
