// Loops whose operands are copied ahead of their use, into a ring of slots in shared memory.
//
// The threads that compute begin the copies of a later block each turn (cp.async), or one of them has the
// copy engine bring them (TMA), or a warp of its own does nothing else (TW_PRODUCERS). A slot's barrier
// says that its block has landed.

// How the copy engine sees a tensor (CUtensorMap).
struct __align__(64) TensorMap {
    u64 words[16];
};
// Coordinates of a block, the contiguous dimension first.
template <int Rank> struct At {
    int x[Rank];
};
template <class... Is> TW_DEVICE At<int(sizeof...(Is))> at(Is... x) {
    return {{int(x)...}};
}
// The operand has no map: threads copy it.
struct NoMap {};
[[maybe_unused]] constexpr NoMap no_map = {};

// --- Barriers of memory transactions ---

#if defined(TW_EMULATED)
// 8 bytes: the phase, how many arrive, how many are still to, bytes still to land.
struct Barrier {
    u32 phase : 1, arrivals : 7, left : 8, magic : 16;
    i32 bytes;
    void settle() {
        if (left || bytes) return;
        phase ^= 1;
        left = arrivals;
        simt::progress();
    }
};
static_assert(sizeof(Barrier) == 8, "as large as an mbarrier");
TW_DEVICE Barrier* checked(u64* barrier) {
    Barrier* b = reinterpret_cast<Barrier*>(simt::shared_pointer(simt::shared_offset(barrier), 8));
    if (b->magic != 0x7457) simt::fail("an mbarrier is used before it is initialised");
    return b;
}
TW_DEVICE void barrier_init(u64* barrier, int arrivals) {
    Barrier* b = reinterpret_cast<Barrier*>(simt::shared_pointer(simt::shared_offset(barrier), 8));
    *b = Barrier{0, u32(arrivals), u32(arrivals), 0x7457, 0};
}
TW_DEVICE void fence_barriers() {}
TW_DEVICE void barrier_arrive(u64* barrier) {
    Barrier* b = checked(barrier);
    if (!b->left) simt::fail("more arrive at an mbarrier than it expects");
    --b->left;
    b->settle();
}
TW_DEVICE void barrier_expect(u64* barrier, int bytes) {
    checked(barrier)->bytes += bytes;
    barrier_arrive(barrier);
}
TW_DEVICE void barrier_wait(u64* barrier, u32 parity) {
    simt::preempt();
    simt::await([=] { return checked(barrier)->phase != parity; });
}
// The copy engine: a box, swizzled by address, 0 outside the tensor; then the barrier hears of the bytes.
template <int Rank> TW_DEVICE void copy_box(void* to, const TensorMap& map, At<Rank> corner, u64* barrier) {
    simt::TensorMap m;
    TW_COPY(&m, &map, sizeof m);
    if (m.magic != 0x7457 || m.rank != Rank) simt::fail("a tensor map of rank %d, not %d", m.rank, Rank);
    u32 start = simt::shared_offset(to);
    if (start % 128 || (m.swizzle && start % (256 << (m.swizzle - 1)))) simt::fail("a box lands at %u", start);
    simt::defer([=] {
        long long elements = 1;
        for (int d = 0; d < Rank; ++d) elements *= m.box[d];
        for (long long e = 0; e < elements; ++e) {
            long long rest = e, offset = 0;
            bool inside = true;
            for (int d = 0; d < Rank; ++d) {
                long long x = corner.x[d] + rest % m.box[d];
                rest /= m.box[d];
                inside = inside && x >= 0 && x < (long long)(m.size[d]);
                offset += x * (d ? (long long)(m.stride[d - 1]) : m.element_bytes);
            }
            u32 address = start + u32(e) * m.element_bytes;
            address ^= (address >> 7 & ((1u << m.swizzle) - 1)) << 4;
            unsigned char* cell = simt::shared_pointer(address, m.element_bytes);
            if (inside) TW_COPY(cell, m.data + offset, m.element_bytes);
            else for (int b = 0; b < m.element_bytes; ++b) cell[b] = 0;
        }
        Barrier* b = checked(barrier);
        b->bytes -= i32(elements * m.element_bytes);
        b->settle();
    });
}
#elif TW_CUDA == 90
TW_DEVICE void barrier_init(u64* barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
TW_DEVICE void fence_barriers() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
TW_DEVICE void barrier_arrive(u64* barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
TW_DEVICE void barrier_expect(u64* barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}
TW_DEVICE void barrier_wait(u64* barrier, u32 parity) {
    u32 done;
    do {
        asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                     : "=r"(done) : "r"(shared_address(barrier)), "r"(parity) : "memory");
    } while (!done);
}
#define TW_BULK_COPY(n, coordinates, ...)                                                                                      \
    TW_DEVICE void copy_box(void* to, const TensorMap& map, At<n> c, u64* barrier) {                                           \
        asm volatile("cp.async.bulk.tensor." #n "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {" coordinates "}], [%2];" \
                     ::"r"(shared_address(to)), "l"(&map), "r"(shared_address(barrier)), __VA_ARGS__ : "memory");              \
    }
TW_BULK_COPY(2, "%3, %4", "r"(c.x[0]), "r"(c.x[1]))
TW_BULK_COPY(3, "%3, %4, %5", "r"(c.x[0]), "r"(c.x[1]), "r"(c.x[2]))
TW_BULK_COPY(4, "%3, %4, %5, %6", "r"(c.x[0]), "r"(c.x[1]), "r"(c.x[2]), "r"(c.x[3]))
TW_BULK_COPY(5, "%3, %4, %5, %6, %7", "r"(c.x[0]), "r"(c.x[1]), "r"(c.x[2]), "r"(c.x[3]), "r"(c.x[4]))
#endif

// --- Staging an operand ---

// Without a map, the crew copies. `whole`: the block does not end before its dimension does.
template <int Vector, class Crew, class E, class As, int Rank, class... Along>
TW_DEVICE void stage(Crew crew, u64*, bool exists, bool, const Shared<E, As>& shared, NoMap, At<Rank>, const E* data, const Along&... along) {
    copy_block<Vector>(crew, exists, shared, data, along...);
}
#if TW_MAPS
// With one, the copy engine brings it, panel by panel; a block that ends early is for the crew.
template <int Vector, class Crew, class E, class As, int Rank, class... Along>
TW_DEVICE void stage(Crew crew, u64* barrier, bool exists, bool whole, const Shared<E, As>& shared, const TensorMap& map, At<Rank> corner, const E* data, const Along&... along) {
    typedef Shared<E, As> S;
    if (exists && whole) {
        if (crew.rank() == 0) {
            barrier_expect(barrier, S::size * int(sizeof(E)));
            TW_UNROLL for (int p = 0; p < S::panels; ++p) {
                copy_box(shared.data + p * S::rows * S::line, map, corner, barrier);
                corner.x[0] += S::line;
            }
        }
        return;
    }
    copy_block<Vector>(AtOnce<Crew>(), exists, shared, data, along...);
    fence_async();
    if (Crew::size == 32) __syncwarp();
    if (crew.rank() == 0) barrier_arrive(barrier);
}
#endif

// --- The ring ---

// Four warps hand registers over to eight others: 168 each at the start, then 40 and 232.
#if TW_CUDA == 90 && !defined(TW_EMULATED) && TW_PRODUCERS == 128 && TW_THREADS == 256
TW_DEVICE void few_registers() { asm volatile("setmaxnreg.dec.sync.aligned.u32 40;"); }
TW_DEVICE void many_registers() { asm volatile("setmaxnreg.inc.sync.aligned.u32 232;"); }
#else
TW_DEVICE void few_registers() {}
TW_DEVICE void many_registers() {}
#endif

// Maps: how many operands of a turn the copy engine brings.
template <class Ax, int Maps> struct Ring {
    static constexpr int stages = TW_STAGES;
    u64 *landed, *free;
    u32 parity;          // a bit a slot: that of the turn to come
    int slot, next_slot; // of this turn, of the next copy
    int ahead;           // turns whose copies have begun
    int next, last;      // what is to be copied

    // Once a program; `memory` has room for the barriers.
    TW_DEVICE Ring(unsigned char* memory) : parity(0), slot(0), next_slot(0), ahead(0), next(0), last(0) {
        landed = reinterpret_cast<u64*>(memory);
        free = landed + stages;
#if TW_MAPS
        if (Maps > 0) {
            if (threadIdx.x == 0) {
                for (int s = 0; s < stages; ++s) {
                    barrier_init(landed + s, Maps);
                    barrier_init(free + s, TW_THREADS / 32);
                }
                fence_barriers();
            }
            __syncthreads();
        }
#endif
    }

    // Begins the first copies of a loop over `first .. last`.
    template <class Fetch> TW_DEVICE void start(const Fetch& fetch, int first, int end) {
        next = first;
        last = end;
        next_slot = slot;
        ahead = 0;
        if constexpr (!TW_PRODUCERS) {
            TW_UNROLL for (int s = 0; s < stages - 1; ++s) begin(fetch);
        }
    }

    // This turn's block has landed, for all threads.
    template <class Fetch> TW_DEVICE void turn(const Fetch& fetch) {
        wait_copies<stages - 2>();
        writes_are_due();
        fence_async();
#if TW_MAPS
        if (Maps > 0) barrier_wait(landed + slot, parity >> slot & 1u);
#endif
        if constexpr (!TW_PRODUCERS) {
            sync_program();
            begin(fetch);
        }
    }

    // After a turn.
    TW_DEVICE void advance() {
#if TW_PRODUCERS
        __syncwarp();
        if (threadIdx.x % 32 == 0) barrier_arrive(free + slot);
#endif
        --ahead;
        parity ^= 1u << slot;
        slot = slot + 1 == stages ? 0 : slot + 1;
    }

    // After the loop; a `break` leaves blocks that are still on their way.
    TW_DEVICE void finish() {
        wait_copies<0>();
#if TW_MAPS && !TW_PRODUCERS
        if (Maps > 0) {
            while (ahead > 0) {
                barrier_wait(landed + slot, parity >> slot & 1u);
                advance();
            }
        }
#endif
        sync_program();
    }

    // What the producer does: all copies of the loop, each once its slot is free.
    template <class Fetch> TW_DEVICE void produce(const Fetch& fetch, int first, int end) {
#if TW_PRODUCERS
        if (threadIdx.x >= TW_THREADS + 32) return;
        for (int at = first; at < end; at += Ax::step) {
            // One lane waits for all: another might look when the next phase is over, and wait for ever.
            if (Producer::rank() == 0) barrier_wait(free + slot, (parity >> slot & 1u) ^ 1u);
            __syncwarp();
            fetch(Producer(), at, slot, landed + slot);
            parity ^= 1u << slot;
            slot = slot + 1 == stages ? 0 : slot + 1;
        }
#endif
    }

  private:
    template <class Fetch> TW_DEVICE void begin(const Fetch& fetch) {
        if (next < last) {
            fetch(Everyone(), next, next_slot, landed + next_slot);
            writes_are_for_later();
            next_slot = next_slot + 1 == stages ? 0 : next_slot + 1;
            next += Ax::step;
            ++ahead;
        }
        commit_copies();
    }
};
