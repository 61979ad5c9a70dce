// Matrix cores of the H100: wgmma, four warps at a time, operands from shared memory by descriptors.

#if TW_CUDA == 90

#if defined(TW_EMULATED)
TW_DEVICE u32 shared_address(const void* p) { return simt::shared_offset(p); }
#endif
// How wgmma finds an operand in a tile of shared memory. The contracted axis may be the inner one or not.
template <class S> struct Descriptor {
    // 1: lines of 128 bytes, 2: of 64, 3: of 32.
    static constexpr u64 swizzle = S::line_bytes == 128 ? 1 : S::line_bytes == 64 ? 2 : 3;
    // From 8 lines to the next 8, and, where the contracted axis is not inner, from a panel to the next.
    static constexpr u64 stride = 8 * S::line_bytes, leading = S::rows * S::line_bytes;
    template <bool Inner> static TW_DEVICE u64 at(const S& shared, int row, int column) {
        // Within a line, the hardware adds what the address says to the pattern.
        u32 address = shared_address(shared.data + column / S::line * (S::rows * S::line) + row * S::line + column % S::line);
        return u64(address >> 4 & 0x3fff) | (Inner ? 1ull : leading >> 4) << 16 | (stride >> 4) << 32 | swizzle << 62;
    }
};

// Whether B is laid out for wgmma, and acc spread over whole groups of four warps.
template <class Rows, class Columns, class K, class E, class Bs> constexpr bool takes_wgmma() {
    typedef Shared<E, Bs> S;
    typedef typename Rows::spread Rw;
    typedef typename Columns::spread C;
    // Columns of one warp lie side by side; a part of a panel is not addressed where columns are inner.
    constexpr int columns = 4 * Columns::registers;
    bool adjacent = true;
    for (int i = 3; i < C::bits; ++i) adjacent = adjacent && (C::table[i] == R ? i == 3 || C::table[i - 1] == R : C::table[i] >= 7);
    bool groups = TW_THREADS % 128 == 0 && Rw::bits >= 6 && Rw::table[4] == 5 && Rw::table[5] == 6;
    for (int i = 6; i < Rw::bits; ++i) groups = groups && (Rw::table[i] == R || Rw::table[i] >= 7);
    // Bytes have no transposed operands.
    if (sizeof(E) == 1 && Bs::last != K::id) return false;
    return adjacent && groups && columns >= 16 && S::line_bytes >= 32 && (Bs::last == K::id || columns % S::line == 0 || S::panels == 1 && columns == Columns::block);
}
template <class Rows, class K, class E, class As> constexpr bool takes_wgmma_left() {
    typedef Shared<E, As> S;
    return S::line_bytes >= 32 && (As::last == K::id || sizeof(E) == 2 && S::line == 64);
}

#if defined(TW_EMULATED)
// Products that were issued and may not have happened: they happen in order, at the latest when waited for.
struct Pending {
    struct Step {
        virtual void run() = 0;
        virtual ~Step() {}
    };
    Step* steps[128];
    int count;
    bool fenced;
    void run_all() {
        for (int i = 0; i < count; ++i) {
            steps[i]->run();
            delete steps[i];
        }
        count = 0;
    }
};
TW_DEVICE void wgmma_fence() { simt::thread_state<Pending>().fenced = true; }
TW_DEVICE void wgmma_commit() {}
TW_DEVICE void wgmma_wait() {
    simt::preempt();
    simt::thread_state<Pending>().run_all();
    simt::thread_state<Pending>().fenced = false;
}
template <class Run> TW_DEVICE void issue(Run run) {
    Pending& pending = simt::thread_state<Pending>();
    if (!pending.fenced) simt::fail("wgmma without wgmma.fence before");
    const Unfenced unfenced = simt::thread_state<Unfenced>();
    if (unfenced.value || unfenced.met) simt::fail("wgmma reads shared memory, and what was written there was not fenced");
    struct Held : Pending::Step {
        Run body;
        Held(Run body) : body(body) {}
        void run() override { body(); }
    };
    if (pending.count == 128) simt::fail("too many products of wgmma in flight");
    pending.steps[pending.count++] = new Held(run);
    if (simt::random() % 2) pending.run_all();
}
// The element (free, k) of the operand that a descriptor names.
template <class E, bool Inner> TW_DEVICE E element_at(u64 d, int free, int k) {
    static_assert(Inner || sizeof(E) == 2, "wgmma transposes halves only");
    u32 start = u32(d & 0x3fff) << 4, leading = u32(d >> 16 & 0x3fff) << 4, stride = u32(d >> 32 & 0x3fff) << 4;
    int swizzle = 4 - int(d >> 62), line = 16 << swizzle, width = line / 2;
    u32 address = start;
    if (Inner) address += u32(free / 8) * stride + u32(free % 8) * line + u32(k) * u32(sizeof(E));
    else address += u32(free / width) * leading + u32(k / 8) * stride + u32(k % 8) * line + u32(free % width) * 2;
    address ^= (address >> 7 & ((1u << swizzle) - 1)) << 4;
    E e;
    TW_COPY(&e, simt::shared_pointer(address, sizeof(E)), sizeof(E));
    return e;
}
TW_DEVICE f32 multiply_add_bytes(f16 a, f16 b, f32 sum) { return sum + widen(a) * widen(b); }
TW_DEVICE f32 multiply_add_bytes(bf16 a, bf16 b, f32 sum) { return sum + widen(a) * widen(b); }
template <class E, bool InnerA, bool InnerB, class T, class Rs, class Index>
TW_DEVICE void multiply(Tile<T, Rs>& acc, Index index, int n, u64 a, u64 b) {
    issue([=, &acc] {
        int warp = simt::thread() / 32 % 4, lane = simt::lane();
        for (int e = 0; e < n / 2; ++e) {
            int row = 16 * warp + lane / 4 + e / 2 % 2 * 8, column = e / 4 * 8 + lane % 4 * 2 + e % 2;
            T sum = acc[index(e)];
            for (int k = 0; k < 32 / int(sizeof(E)); ++k) sum = T(multiply_add_bytes(element_at<E, InnerA>(a, row, k), element_at<E, InnerB>(b, column, k), sum));
            acc[index(e)] = sum;
        }
    });
}
template <class E, bool InnerB, class Rs, class Index>
TW_DEVICE void multiply(Tile<f32, Rs>& acc, Index index, int n, const Fragment& a, u64 b) {
    auto all = simt::gather(a);
    f32 left[2][16];
    for (int r = 0; r < 2; ++r)
        for (int k = 0; k < 16; ++k) {
            u32 x = all[simt::lane() / 4 * 4 + k % 8 / 2].x[r + k / 8 * 2];
            left[r][k] = widen(E{u16(x >> 16 * (k & 1))});
        }
    struct Copy {
        f32 x[2][16];
    } copy;
    TW_COPY(&copy, left, sizeof copy);
    issue([=, &acc] {
        int lane = simt::lane();
        for (int e = 0; e < n / 2; ++e) {
            int column = e / 4 * 8 + lane % 4 * 2 + e % 2;
            f32 sum = acc[index(e)];
            for (int k = 0; k < 16; ++k) sum += copy.x[e / 2 % 2][k] * widen(element_at<E, InnerB>(b, column, k));
            acc[index(e)] = sum;
        }
    });
}
// The instruction for n columns.
template <int N, class E, bool InnerA, bool InnerB, class T, class Rs, class Index>
TW_DEVICE void wgmma(Tile<T, Rs>& acc, Index index, u64 a, u64 b) { multiply<E, InnerA, InnerB>(acc, index, N, a, b); }
template <int N, class E, bool InnerB, class Rs, class Index>
TW_DEVICE void wgmma(Tile<f32, Rs>& acc, Index index, const Fragment& a, u64 b) { multiply<E, InnerB>(acc, index, N, a, b); }
#else
TW_DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
TW_DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
TW_DEVICE void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory"); }

// Operands of the instructions' text: accumulators 8 by 8, and their registers.
#define TW_N0 "%0, %1, %2, %3, %4, %5, %6, %7"
#define TW_N1 "%8, %9, %10, %11, %12, %13, %14, %15"
#define TW_N2 "%16, %17, %18, %19, %20, %21, %22, %23"
#define TW_N3 "%24, %25, %26, %27, %28, %29, %30, %31"
#define TW_N4 "%32, %33, %34, %35, %36, %37, %38, %39"
#define TW_N5 "%40, %41, %42, %43, %44, %45, %46, %47"
#define TW_N6 "%48, %49, %50, %51, %52, %53, %54, %55"
#define TW_N7 "%56, %57, %58, %59, %60, %61, %62, %63"
#define TW_N8 "%64, %65, %66, %67, %68, %69, %70, %71"
#define TW_N9 "%72, %73, %74, %75, %76, %77, %78, %79"
#define TW_N10 "%80, %81, %82, %83, %84, %85, %86, %87"
#define TW_N11 "%88, %89, %90, %91, %92, %93, %94, %95"
#define TW_N12 "%96, %97, %98, %99, %100, %101, %102, %103"
#define TW_N13 "%104, %105, %106, %107, %108, %109, %110, %111"
#define TW_N14 "%112, %113, %114, %115, %116, %117, %118, %119"
#define TW_N15 "%120, %121, %122, %123, %124, %125, %126, %127"
#define TW_D8(c) "+f"(acc[index(8 * c + 0)]), "+f"(acc[index(8 * c + 1)]), "+f"(acc[index(8 * c + 2)]), "+f"(acc[index(8 * c + 3)]), "+f"(acc[index(8 * c + 4)]), "+f"(acc[index(8 * c + 5)]), "+f"(acc[index(8 * c + 6)]), "+f"(acc[index(8 * c + 7)])
#define TW_I8(c) "+r"(acc[index(8 * c + 0)]), "+r"(acc[index(8 * c + 1)]), "+r"(acc[index(8 * c + 2)]), "+r"(acc[index(8 * c + 3)]), "+r"(acc[index(8 * c + 4)]), "+r"(acc[index(8 * c + 5)]), "+r"(acc[index(8 * c + 6)]), "+r"(acc[index(8 * c + 7)])

// The instruction for n columns: n / 2 accumulators in d, then a and b. The flags behind them: accumulate,
// negate neither, and which operands have the contracted axis outside.
#define TW_WGMMA_TEXT(n, type, names, a, rest) "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " {" names "}, " a ", " rest ";"
#define TW_WGMMA(n, names, registers, a, b, ta, tb, a0, a1, a2, a3, b0, t0)                                                        \
    template <int N, class E, bool InnerA, bool InnerB, class Rs, class Index, When<N == n && IsHalf<E>::is_bf16> = 0>             \
    TW_DEVICE void wgmma(Tile<f32, Rs>& acc, Index index, u64 x, u64 y) {                                                          \
        asm volatile(TW_WGMMA_TEXT(n, "bf16", names, a, b ", 1, 1, 1, " ta ", " tb) : registers : "l"(x), "l"(y), "n"(!InnerA), "n"(!InnerB)); \
    }                                                                                                                              \
    template <int N, class E, bool InnerA, bool InnerB, class Rs, class Index, When<N == n && Same<E, f16>::value> = 0>            \
    TW_DEVICE void wgmma(Tile<f32, Rs>& acc, Index index, u64 x, u64 y) {                                                          \
        asm volatile(TW_WGMMA_TEXT(n, "f16", names, a, b ", 1, 1, 1, " ta ", " tb) : registers : "l"(x), "l"(y), "n"(!InnerA), "n"(!InnerB)); \
    }                                                                                                                              \
    template <int N, class E, bool InnerB, class Rs, class Index, When<N == n && IsHalf<E>::is_bf16> = 0>                          \
    TW_DEVICE void wgmma(Tile<f32, Rs>& acc, Index index, const Fragment& x, u64 y) {                                              \
        asm volatile(TW_WGMMA_TEXT(n, "bf16", names, "{" a0 ", " a1 ", " a2 ", " a3 "}", b0 ", 1, 1, 1, " t0)                      \
                     : registers : "r"(x.x[0]), "r"(x.x[1]), "r"(x.x[2]), "r"(x.x[3]), "l"(y), "n"(!InnerB));                      \
    }                                                                                                                              \
    template <int N, class E, bool InnerB, class Rs, class Index, When<N == n && Same<E, f16>::value> = 0>                         \
    TW_DEVICE void wgmma(Tile<f32, Rs>& acc, Index index, const Fragment& x, u64 y) {                                              \
        asm volatile(TW_WGMMA_TEXT(n, "f16", names, "{" a0 ", " a1 ", " a2 ", " a3 "}", b0 ", 1, 1, 1, " t0)                       \
                     : registers : "r"(x.x[0]), "r"(x.x[1]), "r"(x.x[2]), "r"(x.x[3]), "l"(y), "n"(!InnerB));                      \
    }

// The same for bytes, whose contracted axis is inner: 32 of it. Floats have two flags more.
#define TW_WGMMA_BYTES_OF(n, E, kind, sum, registers, rest)                                                                        \
    template <int N, class Of, bool InnerA, bool InnerB, class T, class Rs, class Index, When<N == n && Same<Of, E>::value> = 0>   \
    TW_DEVICE void wgmma(Tile<T, Rs>& acc, Index index, u64 x, u64 y) {                                                            \
        asm volatile("wgmma.mma_async.sync.aligned.m64n" #n "k32." sum "." kind "." kind " {" TW_NAMES_##n "}, " rest ";"          \
                     : registers##n : "l"(x), "l"(y));                                                                             \
    }
#define TW_WGMMA_BYTES(n, a, b)                                                                                                    \
    TW_WGMMA_BYTES_OF(n, f8e4m3, "e4m3", "f32", TW_REGISTERS_, a ", " b ", 1, 1, 1")                                               \
    TW_WGMMA_BYTES_OF(n, f8e5m2, "e5m2", "f32", TW_REGISTERS_, a ", " b ", 1, 1, 1")                                               \
    TW_WGMMA_BYTES_OF(n, i8, "s8", "s32", TW_INTEGERS_, a ", " b ", 1")                                                            \
    TW_WGMMA_BYTES_OF(n, u8, "u8", "s32", TW_INTEGERS_, a ", " b ", 1")

#define TW_NAMES_16 TW_N0
#define TW_REGISTERS_16 TW_D8(0)
TW_WGMMA(16, TW_NAMES_16, TW_REGISTERS_16, "%8", "%9", "%10", "%11", "%8", "%9", "%10", "%11", "%12", "%13")
#define TW_INTEGERS_16 TW_I8(0)
TW_WGMMA_BYTES(16, "%8", "%9")
#define TW_NAMES_32 TW_N0 ", " TW_N1
#define TW_REGISTERS_32 TW_D8(0), TW_D8(1)
TW_WGMMA(32, TW_NAMES_32, TW_REGISTERS_32, "%16", "%17", "%18", "%19", "%16", "%17", "%18", "%19", "%20", "%21")
#define TW_INTEGERS_32 TW_I8(0), TW_I8(1)
TW_WGMMA_BYTES(32, "%16", "%17")
#define TW_NAMES_64 TW_N0 ", " TW_N1 ", " TW_N2 ", " TW_N3
#define TW_REGISTERS_64 TW_D8(0), TW_D8(1), TW_D8(2), TW_D8(3)
TW_WGMMA(64, TW_NAMES_64, TW_REGISTERS_64, "%32", "%33", "%34", "%35", "%32", "%33", "%34", "%35", "%36", "%37")
#define TW_INTEGERS_64 TW_I8(0), TW_I8(1), TW_I8(2), TW_I8(3)
TW_WGMMA_BYTES(64, "%32", "%33")
#define TW_NAMES_128 TW_N0 ", " TW_N1 ", " TW_N2 ", " TW_N3 ", " TW_N4 ", " TW_N5 ", " TW_N6 ", " TW_N7
#define TW_REGISTERS_128 TW_D8(0), TW_D8(1), TW_D8(2), TW_D8(3), TW_D8(4), TW_D8(5), TW_D8(6), TW_D8(7)
TW_WGMMA(128, TW_NAMES_128, TW_REGISTERS_128, "%64", "%65", "%66", "%67", "%64", "%65", "%66", "%67", "%68", "%69")
#define TW_INTEGERS_128 TW_I8(0), TW_I8(1), TW_I8(2), TW_I8(3), TW_I8(4), TW_I8(5), TW_I8(6), TW_I8(7)
TW_WGMMA_BYTES(128, "%64", "%65")
#define TW_NAMES_256 TW_N0 ", " TW_N1 ", " TW_N2 ", " TW_N3 ", " TW_N4 ", " TW_N5 ", " TW_N6 ", " TW_N7 ", " TW_N8 ", " TW_N9 ", " TW_N10 ", " TW_N11 ", " TW_N12 ", " TW_N13 ", " TW_N14 ", " TW_N15
#define TW_REGISTERS_256 TW_D8(0), TW_D8(1), TW_D8(2), TW_D8(3), TW_D8(4), TW_D8(5), TW_D8(6), TW_D8(7), TW_D8(8), TW_D8(9), TW_D8(10), TW_D8(11), TW_D8(12), TW_D8(13), TW_D8(14), TW_D8(15)
TW_WGMMA(256, TW_NAMES_256, TW_REGISTERS_256, "%128", "%129", "%130", "%131", "%128", "%129", "%130", "%131", "%132", "%133")
#define TW_INTEGERS_256 TW_I8(0), TW_I8(1), TW_I8(2), TW_I8(3), TW_I8(4), TW_I8(5), TW_I8(6), TW_I8(7), TW_I8(8), TW_I8(9), TW_I8(10), TW_I8(11), TW_I8(12), TW_I8(13), TW_I8(14), TW_I8(15)
TW_WGMMA_BYTES(256, "%128", "%129")
#endif

// The left operand of 64 rows: a place in shared memory, or fragments that are made before any product begins.
template <class Rows, class K, class E, class As> struct LeftInShared {
    static constexpr bool inner = As::last == K::id;
    const Shared<E, As>& a;
    TW_DEVICE u64 at(int m, int k16) const {
        typedef typename Rows::spread S;
        const int row = S::base(threadIdx.x & ~127u) + S::offset(2 * m), k = k16 * (32 / int(sizeof(E)));
        return Descriptor<Shared<E, As>>::template at<inner>(a, inner ? row : k, inner ? k : row);
    }
    template <int N, bool InnerB, class T, class Rs, class Index>
    TW_DEVICE void multiply_by(Tile<T, Rs>& acc, Index index, int m, int k16, u64 b) const {
        wgmma<N, E, inner, InnerB>(acc, index, at(m, k16), b);
    }
};
template <class Rows, class K, class E> struct LeftInRegisters {
    Fragment fragments[Rows::registers / 2][K::block / 16];
    template <int N, bool InnerB, class Rs, class Index>
    TW_DEVICE void multiply_by(Tile<f32, Rs>& acc, Index index, int m, int k16, u64 b) const {
        wgmma<N, E, InnerB>(acc, index, fragments[m][k16], b);
    }
};
template <class Rows, class K, class E, class As> TW_DEVICE LeftInShared<Rows, K, E, As> left_of(const Shared<E, As>& a) {
    return {a};
}
template <class Rows, class K, class E, class Ts> TW_DEVICE LeftInRegisters<Rows, K, E> left_of(const InRegisters<E, Ts, K>& a) {
    LeftInRegisters<Rows, K, E> left;
    TW_UNROLL for (int m = 0; m < Rows::registers / 2; ++m)
        TW_UNROLL for (int k16 = 0; k16 < K::block / 16; ++k16) left.fragments[m][k16] = fragment_of<Rows>(a.tile, a.axis, m, k16);
    return left;
}

// acc[rows, columns] += Σ_k a · b. b has the axes columns and k in either order; an instruction takes 32 bytes of k.
template <class Rows, class Columns, class K, class E, class T, class Rs, class Left, class Bs>
TW_DEVICE void dot_wgmma(Tile<T, Rs>& acc, const Left& a, const Shared<E, Bs>& b) {
    constexpr bool inner = Bs::last == K::id;
    constexpr int deep = 32 / int(sizeof(E));
    constexpr int columns = 4 * Columns::registers, width = smaller(columns, 256);
    const int column0 = Columns::spread::base(threadIdx.x & ~127u);
    const auto left = left_of<Rows, K>(a);
    wgmma_fence();
    TW_UNROLL for (int m = 0; m < Rows::registers / 2; ++m) {
        TW_UNROLL for (int n = 0; n < columns / width; ++n) {
            // Accumulator e of the instruction: pairs of columns, of the two rows in turn.
            const auto index = [=](int e) { return Rs::template pair<Rows>(2 * m + e / 2 % 2, n * (width / 4) + e / 4 * 2 + e % 2); };
            TW_UNROLL for (int k16 = 0; k16 < K::block / deep; ++k16) {
                const int column = column0 + n * width, k = k16 * deep;
                const u64 right = Descriptor<Shared<E, Bs>>::template at<inner>(b, inner ? column : k, inner ? k : column);
                left.template multiply_by<width, inner>(acc, index, m, k16, right);
            }
        }
    }
    wgmma_commit();
    wgmma_wait();
}
#endif
