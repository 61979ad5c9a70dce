// The scheduler: one fiber for each GPU thread of a block, blocks one after the other, on one CPU thread.
//
// A fiber runs until it waits. Then the scheduler chooses another that is ready: the next in order with
// seed 0, else whichever is likely to break a program that forgot to synchronise. When nobody is ready,
// asynchronous copies land; when there are none either, the block is dead and the launch fails.
#include "scheduler.h"

#include <cstdarg>
#include <cstdio>
#include <csignal>
#include <ctime>
#include <numeric>
#include <optional>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace simt {

__attribute__((tls_model("initial-exec"))) thread_local Machine* machine = nullptr;

namespace {

constexpr size_t page = 4096;
// Unmapped memory on either side of shared memory: far strays hit it too.
constexpr size_t moat = 64 << 20;
constexpr size_t most_shared = 256 * 1024;
constexpr unsigned char poison = 0xFF;

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
    snprintf(text, sizeof text, "thread %d (warp %d, lane %d)", thread, warp_of(thread), machine->threads[size_t(thread)].lane);
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

void explain(Ending ending, const std::string& what) {
    Machine& m = *machine;
    char block[100];
    snprintf(block, sizeof block, "block %u of %u, ", m.block.x, m.launch.grid.x);
    m.ending = ending;
    m.failure = block + (m.current >= 0 ? whom(m.current) : "at its end") + ": " + what + (m.current >= 0 ? who_waits() : "");
}

[[noreturn]] void end_launch(Ending ending, const std::string& what) {
    explain(ending, what);
    siglongjmp(machine->escape, 1);
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

constexpr size_t signal_stack_bytes = 64 * 1024;

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
    m.signal_stack = mmap(nullptr, signal_stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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
    for (Mask& lanes : m.meeting) lanes = 0;
    for (Barrier& barrier : m.barrier) {
        barrier.arrived = barrier.expected = 0;
        barrier.waiting.clear();
    }
    for (int i = 0; i < m.n_threads; ++i) {
        Thread& thread = m.threads[size_t(i)];
        unsigned x = m.launch.block.x, y = m.launch.block.y, n = unsigned(i);
        thread.index = {n % x, n / x % y, n / x / y};
        thread.lane = i % m.launch.kernel.warp;
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

std::string (*describe_memory)(const void*) = [](const void*) { return std::string(); };
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
    std::string known = describe_memory(at);
    if (!known.empty()) return known;
    snprintf(text, sizeof text, "%p, which is no memory of the device", static_cast<const void*>(at));
    return text;
}

// A loop that neither ends nor waits. It may have been interrupted anywhere: the rest is done after the jump.
constexpr int time_is_up = SIGVTALRM;
void on_timer(int) {
    if (machine) siglongjmp(machine->escape, 2);
}

// Of this CPU thread's CPU time; without one where the system has none.
std::optional<timer_t> start_timer(unsigned seconds) {
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = time_is_up;
    event._sigev_un._tid = pid_t(syscall(SYS_gettid));
    timer_t timer;
    itimerspec after = {};
    after.it_value.tv_sec = seconds;
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer)) return {};
    timer_settime(timer, 0, &after, nullptr);
    return timer;
}

void on_signal(int signal, siginfo_t* info, void* context) {
    if (machine) {
        if (signal == SIGSEGV || signal == SIGBUS) end_launch(Ending::IllegalAddress, "illegal access to " + describe_fault(static_cast<const char*>(info->si_addr)));
        end_launch(Ending::IllegalInstruction,
                   signal == SIGFPE ? "an integer was divided by zero" : "an index outside a local array, or a misaligned access (a check of g++ trapped)");
    }
    // Not ours: as before. But a device pointer that host code follows should be known as such.
    std::string known = signal == SIGSEGV ? describe_memory(info->si_addr) : "";
    if (!known.empty()) fprintf(stderr, "GPU emulator: host code touched device memory: %s\n", known.c_str());
    const struct sigaction& before = previous[signal];
    if (before.sa_flags & SA_SIGINFO) before.sa_sigaction(signal, info, context);
    else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) before.sa_handler(signal);
    else ::signal(signal, SIG_DFL);  // and the instruction runs again
}

void run_blocks(Machine& m) {
    for (unsigned n : order_of_blocks(m.launch)) {
        Index grid = m.launch.grid;
        run_block(m, {n % grid.x, n / grid.x % grid.y, n / grid.x / grid.y});
    }
}

}  // namespace

Machine::~Machine() {
    if (stacks) munmap(stacks, most_threads * (stack_bytes + page));
    if (arena) munmap(arena - moat, 2 * moat + most_shared + 2 * page);
    if (signal_stack) munmap(signal_stack, signal_stack_bytes);
}

void block_current(const char* waits_for, Place place) {
    Thread& me = machine->threads[size_t(machine->current)];
    me.waits_for = waits_for;
    me.place = place;
    clear_ready(machine->current);
    run_thread(choose());
}

void give_way() { run_thread(choose()); }

void land(size_t i) {
    Machine& m = *machine;
    std::unique_ptr<detail::Deferred> copy(m.landings[i].copy);
    m.landings.erase(m.landings.begin() + long(i));
    m.idle = 0;
    copy->land();
}

void fail(const char* format, ...) {
    char text[500];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    end_launch(Ending::Failed, text);
}

void catch_signals(std::string (*describe)(const void* address)) {
    describe_memory = describe;
    static const bool installed = [] {
        for (int signal : signals) {
            struct sigaction action = {};
            action.sa_sigaction = on_signal;
            action.sa_flags = SA_SIGINFO | SA_ONSTACK;
            sigaction(signal, &action, &previous[signal]);
        }
        struct sigaction action = {};
        action.sa_handler = on_timer;
        action.sa_flags = SA_ONSTACK;
        sigaction(time_is_up, &action, nullptr);
        return true;
    }();
    (void)installed;
}

Ending run(const Launch& launch, std::string& failure) {
    // Kept for the CPU thread's next launch.
    static thread_local std::unique_ptr<Machine> own;
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
    ours.ss_size = signal_stack_bytes;
    sigaltstack(&ours, &before);
    machine = &m;
    const std::optional<timer_t> timer = start_timer(launch.seconds);
    // A failure jumps here; the fibers are left as they are, without destructors.
    const int jumped = sigsetjmp(m.escape, 1);
    if (jumped == 0) run_blocks(m);
    if (jumped == 2) explain(Ending::TimedOut, "the launch took more than " + std::to_string(launch.seconds) + " s of CPU time: a loop that does not end?");
    machine = nullptr;
    if (timer) timer_delete(*timer);
    sigaltstack(&before, nullptr);
    for (Landing& landing : m.landings) delete landing.copy;
    m.landings.clear();
    failure = m.failure;
    return m.ending;
}

}  // namespace simt
