// Tiles in registers: which thread holds which element.
//
// A block of threads holds a tile together. Along each of its axes the elements are spread by the bits of
// their position: Spread<R, 0, 1, R> says that bit 0 of the position counts a thread's registers, bits 1
// and 2 are bits 0 and 1 of the thread's number, bit 3 again counts registers. The axes of a tile use
// different thread bits; a thread bit that no axis uses means that several threads hold the same element.
// Matrix cores' fragments are such spreads too, and a tile without an axis is a tile with a slice of
// another's layout, so broadcasting and combining tiles moves nothing between threads.

constexpr int R = -1;

// Bit i of a position: R a register bit, else a bit of the thread's number.
template <int... Bits> struct Spread {
    static constexpr int bits = sizeof...(Bits);
    static constexpr int block = 1 << bits;
    static constexpr int table[bits + 1] = {Bits..., 0};
    // How many elements a thread holds.
    static constexpr int registers = 1 << ((Bits == R ? 1 : 0) + ... + 0);
    // The thread bits in use.
    static constexpr unsigned threads = ((Bits == R ? 0u : 1u << (Bits & 31)) | ... | 0u);
    // How many of a thread's elements lie side by side.
    static constexpr int run() {
        int n = 0;
        while (n < bits && table[n] == R) ++n;
        return 1 << n;
    }
    // The position of register r, less what the thread adds.
    static constexpr int offset(int r) {
        int position = 0;
        for (int i = 0; i < bits; ++i) {
            if (table[i] == R) {
                position |= (r & 1) << i;
                r >>= 1;
            }
        }
        return position;
    }
    // What the thread adds.
    static TW_DEVICE int base(unsigned thread) {
        int position = 0;
        TW_UNROLL for (int i = 0; i < bits; ++i)
            if (table[i] != R) position |= int(thread >> table[i] & 1u) << i;
        return position;
    }
};

// An axis of the kernel: Id tells axes apart, blocks are Step long (S may have room for more), and Even
// says that all blocks fill S.
template <int Id, class S, int Step, bool Even> struct Axis {
    typedef S spread;
    static constexpr int id = Id, block = S::block, step = Step, registers = S::registers;
    int begin, end;  // the indices of this block
    int base;        // where this thread's elements start in it

    TW_DEVICE Axis() : begin(0), end(0), base(S::base(threadIdx.x)) {}
    // The block that starts at `first` of a range that ends at `last`.
    TW_DEVICE void at(int first, int last) {
        begin = first;
        end = Even || last - first > step ? first + step : last;
    }
    // The index of register r.
    TW_DEVICE int index(int r) const { return begin + base + S::offset(r); }
    // Whether the block does not end early.
    TW_DEVICE bool is_full() const { return end - begin == block; }
    // Whether it is one.
    TW_DEVICE bool has(int r) const { return Even || index(r) < end; }
};

// The axes of a tile, outermost first.
template <class... As> struct Axes;

template <> struct Axes<> {
    static constexpr int count = 1;
    static constexpr unsigned threads = 0;
    static constexpr bool disjoint = true;
    template <class A> static constexpr bool contains() { return false; }
    template <class A> static constexpr int of(int) { return 0; }
    template <class From> static constexpr int from(int) { return 0; }
    template <class B, class From> static constexpr int join(int, int) { return 0; }
    template <class B> static constexpr int pair(int, int) { return 0; }
    static constexpr int run() { return 1; }
    static constexpr int last = -1;
};

template <class A, class... As> struct Axes<A, As...> {
    typedef Axes<As...> rest;
    static constexpr int count = A::registers * rest::count;
    static constexpr unsigned threads = A::spread::threads | rest::threads;
    // Whether no two axes share a thread bit.
    static constexpr bool disjoint = (A::spread::threads & rest::threads) == 0 && rest::disjoint;
    template <class B> static constexpr bool contains() { return A::id == B::id || rest::template contains<B>(); }
    // Along B, the register of element i.
    template <class B> static constexpr int of(int i) {
        return A::id == B::id ? i / rest::count : rest::template of<B>(i % rest::count);
    }
    // The element here that element i of a tile with axes `From` meets.
    template <class From> static constexpr int from(int i) {
        return From::template of<A>(i) * rest::count + rest::template from<From>(i);
    }
    // The element here at register r of B and, along the other axes, at element i of `From`.
    template <class B, class From> static constexpr int join(int i, int r) {
        return (A::id == B::id ? r : From::template of<A>(i)) * rest::count + rest::template join<B, From>(i, r);
    }
    // The element at register r of B and register c of the other axis.
    template <class B> static constexpr int pair(int r, int c) {
        return (A::id == B::id ? r : c) * rest::count + rest::template pair<B>(r, c);
    }
    // The last axis.
    static constexpr int last = sizeof...(As) == 0 ? A::id : rest::last;
    // How many elements lie side by side along the last axis.
    static constexpr int run() { return sizeof...(As) == 0 ? A::spread::run() : rest::run(); }
};

// For each element that this thread holds of a tile with these axes.
#define each(axes, i) TW_UNROLL for (int i = 0; i < axes::count; ++i)

template <class E, class As> struct Tile;
template <class E, class... As> struct Tile<E, Axes<As...>> {
    typedef Axes<As...> axes;
    typedef E element;
    static_assert(axes::disjoint, "two axes of a tile share a thread bit");
    E at[axes::count];

    TW_DEVICE E& operator[](int i) { return at[i]; }
    TW_DEVICE E operator[](int i) const { return at[i]; }
    // What element i of a tile with the axes `From` sees of this one.
    template <class From> TW_DEVICE E of(int i) const { return at[axes::template from<From>(i)]; }
};

// Of threads that hold the same elements, one.
template <class As> TW_DEVICE bool is_owner() {
    return (threadIdx.x & (TW_THREADS - 1u) & ~As::threads) == 0;
}

#if TW_PERSISTENT
// Threads stay for one program after the other: copies for the next begin while this one's result is stored.
#define each_program(program, count) for (unsigned nth = blockIdx.x, program = nth; nth < (count); nth += gridDim.x, program = nth)
#else
#define each_program(program, count) if (unsigned program = blockIdx.x; true)
#endif

// The block of a matrix that a program computes.
struct Place2 {
    int row, column;
};
// Eight rows of blocks at a time, column by column.
TW_DEVICE Place2 grouped(unsigned program, int rows, int columns) {
    const unsigned at = program % (unsigned(rows) * unsigned(columns)), group = 8u * unsigned(columns);
    const int first = int(at / group) * 8, size = rows - first < 8 ? rows - first : 8, rest = int(at % group);
    return {first + rest % size, rest / size};
}

// --- Memory ---

// The first index outside a tensor is reported here.
struct Fault {
    unsigned claimed, launch;
    int tensor, dimension;
    long long index;
    int length, pad;
};

// A tensor: strides in elements.
template <class E, int Rank> struct Tensor {
    E* data;
    long long stride[Rank == 0 ? 1 : Rank];
};

// Whether `index` is within 0 .. length; if not, says so.
TW_DEVICE bool inside(long long index, int length, Fault* fault, unsigned launch, int tensor, int dimension) {
    if (index >= 0 && index < length) return true;
    // Not compare and swap, which wants a pair of registers, and spills them where a loop has none to give.
    if (atomicExch(&fault->claimed, 1u) == 0u) {
        fault->launch = launch;
        fault->tensor = tensor;
        fault->dimension = dimension;
        fault->index = index;
        fault->length = length;
    }
    return false;
}
// The same, but silent.
TW_DEVICE bool within(long long index, int length) {
    return index >= 0 && index < length;
}

// 1, 2, 4, 8 or 16 bytes at once.
template <int Bytes> struct Word;
template <> struct Word<1> { u8 x; };
template <> struct Word<2> { u16 x; };
template <> struct Word<4> { u32 x; };
template <> struct Word<8> { u64 x; };
template <> struct __align__(16) Word<16> { u64 x, y; };

// V elements, moved as whole words.
template <class E, int V> struct Pack {
    static constexpr int bytes = V * int(sizeof(E)) < 16 ? V * int(sizeof(E)) : 16;
    static constexpr int words = V * int(sizeof(E)) / bytes;
    E at[V];
    TW_DEVICE void load(const E* from) {
        TW_UNROLL for (int w = 0; w < words; ++w) {
            Word<bytes> word = reinterpret_cast<const Word<bytes>*>(from)[w];
            TW_COPY(reinterpret_cast<char*>(at) + w * bytes, &word, bytes);
        }
    }
    TW_DEVICE void store(E* to) const {
        TW_UNROLL for (int w = 0; w < words; ++w) {
            Word<bytes> word;
            TW_COPY(&word, reinterpret_cast<const char*>(at) + w * bytes, bytes);
            reinterpret_cast<Word<bytes>*>(to)[w] = word;
        }
    }
};

constexpr int smaller(int a, int b) { return a < b ? a : b; }

// What the standard library calls is_same and enable_if.
template <bool Holds> struct Whether;
template <> struct Whether<true> { typedef int type; };
template <bool Holds> using When = typename Whether<Holds>::type;

// An axis and its stride in memory.
template <class Ax> struct Along {
    typedef Ax of;
    static constexpr int block = Ax::block;
    long long stride;
    const Ax& axis;
};
template <class Ax> TW_DEVICE Along<Ax> along(long long stride, const Ax& axis) {
    return Along<Ax>{stride, axis};
}

// tile[i] = data[Σ stride · index]; elements that do not exist are `pad`.
// Vector: how many elements, from a multiple of Vector on along the tile's last axis, lie side by side and
// aligned, and exist together.
template <int Vector, class E, class As, class... Axs>
TW_DEVICE void load(bool exists, Tile<E, As>& tile, const E* data, E pad, const Along<Axs>&... along) {
    constexpr int V = smaller(Vector, As::run());
    TW_UNROLL for (int i = 0; i < As::count; i += V) {
        if ((along.axis.has(As::template of<Axs>(i)) && ... && exists)) {
            Pack<E, V> pack;
            pack.load(data + ((along.stride * along.axis.index(As::template of<Axs>(i))) + ... + 0ll));
            TW_UNROLL for (int v = 0; v < V; ++v) tile[i + v] = pack.at[v];
        } else {
            TW_UNROLL for (int v = 0; v < V; ++v) tile[i + v] = pad;
        }
    }
}

// The other way; of threads that hold the same elements, one stores.
template <int Vector, class E, class As, class... Axs>
TW_DEVICE void store(bool exists, const Tile<E, As>& tile, E* data, const Along<Axs>&... along) {
    constexpr int V = smaller(Vector, As::run());
    if (!exists || !is_owner<As>()) return;
    TW_UNROLL for (int i = 0; i < As::count; i += V) {
        if ((along.axis.has(As::template of<Axs>(i)) && ... && exists)) {
            Pack<E, V> pack;
            TW_UNROLL for (int v = 0; v < V; ++v) pack.at[v] = tile[i + v];
            pack.store(data + ((along.stride * along.axis.index(As::template of<Axs>(i))) + ... + 0ll));
        }
    }
}
