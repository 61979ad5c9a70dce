// What kernels call: the functions of simt.h.
#include <cstdint>
#include <cstring>

#include "scheduler.h"

namespace simt {

namespace {

// Where shared memory starts in PTX addresses. Not 0, so that a null pointer is not an address.
constexpr unsigned shared_base = 1024;
// Fruitless yields in a row that are taken for a deadlock.
constexpr unsigned long patience = 1 << 20;

}  // namespace

const Index& thread_index() { return machine->threads[size_t(machine->current)].index; }
const Index& block_index() { return machine->block; }
const Index& block_size() { return machine->launch.block; }
const Index& grid_size() { return machine->launch.grid; }
int thread() { return machine->current; }
int lane() { return machine->threads[size_t(machine->current)].lane; }
int warp_size() { return machine->launch.kernel.warp; }
unsigned char* shared_memory() { return reinterpret_cast<unsigned char*>(machine->shared); }

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
    give_way();
    me.waits_for = nullptr;
}

void preempt() {
    if (!seeded() || next_chance() % 4) return;
    give_way();
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

// A lane that waits at a barrier never comes to the collective where others wait for it.
void check_not_awaited(Place place) {
    const Machine& m = *machine;
    int warp = m.launch.kernel.warp, base = m.current / warp * warp;
    for (Mask left = m.meeting[base / warp]; left; left &= left - 1) {
        const Thread& other = m.threads[size_t(base + __builtin_ctzll(left))];
        if (other.lanes >> (m.current - base) & 1)
            fail("divergence: a barrier in %s, line %d, while lane %d waits in a warp collective in %s, line %d", place.function, place.line, other.lane, other.place.function, other.place.line);
    }
}

}  // namespace

void barrier_all(Place place) {
    Machine& m = *machine;
    if (m.live < m.n_threads) fail("__syncthreads in %s, line %d, after %d threads have ended", place.function, place.line, m.n_threads - m.live);
    const Barrier& all = m.barrier[0];
    if (all.arrived && !same_place(all.place, place))
        fail("divergence: __syncthreads in %s, line %d, while others wait at another one in %s, line %d", place.function, place.line, all.place.function, all.place.line);
    int me = m.current;
    if (arrive(0, m.n_threads, place)) return preempt();
    check_not_awaited(place);
    m.barrier[0].waiting.push_back(me);
    block_current("__syncthreads", place);
}

void barrier(int number, int threads, Place place) {
    int me = machine->current;
    if (arrive(number, threads, place)) return preempt();
    check_not_awaited(place);
    machine->barrier[number].waiting.push_back(me);
    block_current("bar.sync", place);
}

void barrier_arrive(int number, int threads, Place place) {
    arrive(number, threads, place);
    preempt();
}

namespace {

int lane_at(int base, Mask lanes) { return base + __builtin_ctzll(lanes); }

// The caller's collective needs `other`, which has ended or waits elsewhere.
[[noreturn]] void fail_to_meet(int other, Mask lanes, Place place) {
    const Thread& t = machine->threads[size_t(other)];
    if (t.done) fail("a warp collective in %s, line %d, waits for lane %d, which has ended", place.function, place.line, t.lane);
    if (!t.lanes)
        fail("divergence: a warp collective in %s, line %d, while lane %d waits: %s in %s, line %d", place.function, place.line, t.lane, t.waits_for, t.place.function, t.place.line);
    fail("divergence: a warp collective in %s, line %d, mask %llx, while lane %d waits in another one in %s, line %d, mask %llx", place.function, place.line, lanes, t.lane, t.place.function, t.place.line, t.lanes);
}

}  // namespace

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

    // Those who wait in a collective must wait in this one; all others must still be able to come. One of
    // those who wait stands for all, as they were compared when they came; the last to come looks at each.
    Thread& self = m.threads[size_t(me)];
    Mask others = lanes & ~(Mask(1) << (me - base)), here = m.meeting[base / warp] & others, absent = others & ~here;
    Mask can_run = (m.ready[base / 64] >> (base % 64));
    if (Mask gone = absent & ~can_run) fail_to_meet(lane_at(base, gone), lanes, place);
    for (Mask left = absent ? here & -here : here; left; left &= left - 1) {
        const Thread& other = m.threads[size_t(lane_at(base, left))];
        if (other.lanes != lanes || !same_place(other.place, place)) fail_to_meet(lane_at(base, left), lanes, place);
    }
    bool last = !absent;
    m.meeting[base / warp] |= lanes & ~others;
    self.lanes = lanes;
    self.value = value;
    self.result = result;
    self.place = place;
    if (!last) return block_current("warp collective", place);

    Meeting meeting;
    meeting.lanes = lanes;
    for (Mask left = lanes; left; left &= left - 1) {
        const Thread& thread = m.threads[size_t(lane_at(base, left))];
        meeting.value[thread.lane] = thread.value;
        meeting.result[thread.lane] = thread.result;
    }
    finish(meeting, each);
    m.meeting[base / warp] &= ~lanes;
    for (Mask left = lanes; left; left &= left - 1) {
        m.threads[size_t(lane_at(base, left))].lanes = 0;
        set_ready(lane_at(base, left));
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
