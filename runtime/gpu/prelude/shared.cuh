// Tiles in shared memory: their layout, and how they come there.

// A tile in shared memory, the last axis contiguous. It lies there as panels of at most 128 bytes of a row;
// the 16-byte pieces of a line change places with the line, so that neither rows nor columns of pieces fall
// into one bank. These are the swizzles of the copy engine and of wgmma too, for lines of 32, 64 and 128
// bytes.
template <class E, class As> struct Shared;
template <class E, class... As> struct Shared<E, Axes<As...>> {
    typedef Axes<As...> axes;
    typedef E element;
    E* data;

    template <class First, class... More> struct Shape {
        static constexpr int inner = Shape<More...>::inner;
        static constexpr int rows = First::block * Shape<More...>::rows;
    };
    template <class Last> struct Shape<Last> {
        static constexpr int inner = Last::block;
        static constexpr int rows = 1;
    };
    static constexpr int inner = Shape<As...>::inner, rows = Shape<As...>::rows, size = inner * rows;
    // Elements of a piece, pieces of a row, of a line of a panel.
    static constexpr int piece = 16 / int(sizeof(E)), pieces = inner / piece;
    static constexpr int line_pieces = pieces < 1 ? 1 : pieces < 8 ? pieces : 8;
    static constexpr int line = pieces < 1 ? inner : line_pieces * piece, panels = inner / line;
    static constexpr int line_bytes = line * int(sizeof(E));
    // Where the next of several of them starts.
    static constexpr int pitch = (size * int(sizeof(E)) + 1023) / 1024 * 1024 / int(sizeof(E));

    static TW_DEVICE int offset(int row, int column) {
        if (pieces < 2) return row * inner + column;
        constexpr int rows_a_swizzle = 8 / line_pieces;
        int at = column % line / piece ^ (row / rows_a_swizzle & (line_pieces - 1));
        return column / line * (rows * line) + row * line + at * piece + column % piece;
    }
    TW_DEVICE E& at(int row, int column) const { return data[offset(row, column)]; }
    // One of several.
    TW_DEVICE Shared slot(int i) const { return Shared{data + i * pitch}; }
};

// A left operand that stays where it was computed, contracted along `axis`.
template <class E, class Ts, class K> struct InRegisters {
    const Tile<E, Ts>& tile;
    const K& axis;
};

// --- Asynchronous copies from global to shared memory ---

#if defined(TW_EMULATED)
TW_DEVICE void copy_16(void* to, const void* from) { simt::copy_async(to, from, 16); }
TW_DEVICE void commit_copies() { simt::commit_copies(); }
template <int Left> TW_DEVICE void wait_copies() { simt::wait_copies(Left); }
#elif defined(__HIP__)
TW_DEVICE void copy_16(void* to, const void* from) { *reinterpret_cast<Word<16>*>(to) = *reinterpret_cast<const Word<16>*>(from); }
TW_DEVICE void commit_copies() {}
template <int Left> TW_DEVICE void wait_copies() {}
#else
TW_DEVICE u32 shared_address(const void* p) { return u32(__cvta_generic_to_shared(p)); }
TW_DEVICE void copy_16(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}
TW_DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int Left> TW_DEVICE void wait_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory"); }
#endif

// What this thread wrote to shared memory becomes visible to wgmma, once threads have met.
#if defined(TW_EMULATED)
TW_DEVICE void writes_are_for_later() {
    Unfenced& unfenced = simt::thread_state<Unfenced>();
    unfenced.later = unfenced.later || unfenced.value;
    unfenced.value = false;
}
TW_DEVICE void writes_are_due() {
    Unfenced& unfenced = simt::thread_state<Unfenced>();
    unfenced.value = unfenced.value || unfenced.later;
    unfenced.later = false;
}
TW_DEVICE void wrote_shared() { simt::thread_state<Unfenced>().value = true; }
TW_DEVICE void fence_async() { simt::thread_state<Unfenced>().value = false; }
#else
TW_DEVICE void wrote_shared() {}
TW_DEVICE void writes_are_for_later() {}
TW_DEVICE void writes_are_due() {}
TW_DEVICE void fence_async() {
#if TW_CUDA == 90
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
#endif

// The threads that bring an operand to shared memory together: those that compute, or a warp of its own.
struct Everyone {
    static constexpr int size = TW_THREADS;
    static constexpr bool asynchronous = true;
    static TW_DEVICE int rank() { return int(threadIdx.x); }
};
struct Producer {
    static constexpr int size = 32;
    static constexpr bool asynchronous = false;
    static TW_DEVICE int rank() { return int(threadIdx.x) - TW_THREADS; }
};
// The same threads, without asynchronous copies.
template <class Crew> struct AtOnce : Crew {
    static constexpr bool asynchronous = false;
};

// Row `row` of the outer axes: its offset in memory and whether it exists.
TW_DEVICE void locate(int, long long&, bool&) {}
template <class Ax, class... More>
TW_DEVICE void locate(int row, long long& offset, bool& exists, const Along<Ax>& first, const Along<More>&... more) {
    constexpr int below = (1 * ... * More::block);
    int index = first.axis.begin + row / below;
    offset += first.stride * index;
    exists = exists && index < first.axis.end;
    locate(row % below, offset, exists, more...);
}

// Begins to copy the block of `data` that the axes name; 0 where they end. The inner axis comes first here.
// Vector: as for `load`.
template <int Vector, class Crew, class E, class As, class Inner, class... Outer>
TW_DEVICE void copy_block(Crew crew, bool any, const Shared<E, As>& shared, const E* data, const Along<Inner>& in, const Along<Outer>&... out) {
    typedef Shared<E, As> S;
    constexpr bool whole = Vector * int(sizeof(E)) >= 16 && S::pieces >= 1;
    constexpr int width = whole ? S::piece : 1;
    constexpr int pieces = S::size / width, a_row = S::inner / width, turns = (pieces + Crew::size - 1) / Crew::size;
    const auto copy = [&](int p) {
        int row = p / a_row, column = p % a_row * width;
        long long offset = in.stride * (in.axis.begin + column);
        bool exists = any && in.axis.begin + column < in.axis.end;
        locate(row, offset, exists, out...);
        E* to = &shared.at(row, column);
        if constexpr (whole) {
            if (exists && Crew::asynchronous) copy_16(to, data + offset);
            else *reinterpret_cast<Word<16>*>(to) = exists ? *reinterpret_cast<const Word<16>*>(data + offset) : Word<16>{0, 0};
        } else {
            *to = exists ? data[offset] : E{};
        }
    };
    if constexpr (turns <= 8) {
        TW_UNROLL for (int t = 0; t < turns; ++t)
            if (pieces % Crew::size == 0 || crew.rank() + t * Crew::size < pieces) copy(crew.rank() + t * Crew::size);
    } else {
        for (int p = crew.rank(); p < pieces; p += Crew::size) copy(p);
    }
    wrote_shared();
}

// Position of this thread's element i in the rows (all axes but the last) and columns of a shared tile.
template <class From> struct Position {
    template <class Ax> static TW_DEVICE int along_axis(int i, const Ax& axis) {
        return axis.base + Ax::spread::offset(From::template of<Ax>(i));
    }
    static TW_DEVICE int row(int, int sum) { return sum; }
    template <class Ax, class... More> static TW_DEVICE int row(int i, int sum, const Ax& axis, const More&... more) {
        return row(i, sum * Ax::block + along_axis(i, axis), more...);
    }
};

// Puts a tile that was computed into shared memory, once all are done with what was there; 0 beyond the
// ends. The inner axis comes first.
template <class E, class As, class Ts, class Inner, class... Outer>
TW_DEVICE void put(const Shared<E, As>& shared, const Tile<E, Ts>& tile, const Inner& in, const Outer&... out) {
    sync_program();
    if (is_owner<Ts>()) {
        each(Ts, i) {
            bool exists = in.has(Ts::template of<Inner>(i));
            ((exists = exists && out.has(Ts::template of<Outer>(i))), ...);
            int row = Position<Ts>::row(i, 0, out...);
            shared.at(row, Position<Ts>::along_axis(i, in)) = exists ? tile[i] : E{};
        }
    }
    wrote_shared();
    fence_async();
    sync_program();
}
