// Products of tiles: operands lie in shared memory, the result in registers.

// A tile in shared memory, the last axis contiguous. 16-byte pieces of a row change places with the row,
// so that neither rows nor columns of pieces fall into one bank.
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
    // Elements of a piece, pieces of a row.
    static constexpr int piece = 16 / int(sizeof(E)), pieces = inner / piece;

    static TW_DEVICE int offset(int row, int column) {
        if (pieces < 2) return row * inner + column;
        constexpr int count = pieces < 1 ? 1 : pieces;
        constexpr int mask = count < 8 ? count - 1 : 7, rows_a_line = count < 8 ? 8 / count : 1;
        int at = column / piece ^ (row / rows_a_line & mask);
        return row * inner + at * piece + column % piece;
    }
    TW_DEVICE E& at(int row, int column) const { return data[offset(row, column)]; }
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
// Vector: as for `load`. Ends with `commit_copies`.
template <int Vector, class E, class As, class Inner, class... Outer>
TW_DEVICE void stage(bool any, const Shared<E, As>& shared, const E* data, const Along<Inner>& in, const Along<Outer>&... out) {
    typedef Shared<E, As> S;
    constexpr bool whole = Vector * int(sizeof(E)) >= 16 && S::pieces >= 1;
    constexpr int width = whole ? S::piece : 1;
    constexpr int pieces = S::size / width, a_row = S::inner / width;
    for (int p = threadIdx.x; p < pieces; p += TW_THREADS) {
        int row = p / a_row, column = p % a_row * width;
        long long offset = in.stride * (in.axis.begin + column);
        bool exists = any && in.axis.begin + column < in.axis.end;
        locate(row, offset, exists, out...);
        E* to = &shared.at(row, column);
        if (whole) {
            if (exists) copy_16(to, data + offset);
            else *reinterpret_cast<Word<16>*>(to) = Word<16>{0, 0};
        } else {
            *to = exists ? data[offset] : cast<E>(0.0f);
        }
    }
    commit_copies();
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

// Puts a tile that was computed into shared memory; 0 beyond the ends. The inner axis comes first.
template <class E, class As, class Ts, class Inner, class... Outer>
TW_DEVICE void put(const Shared<E, As>& shared, const Tile<E, Ts>& tile, const Inner& in, const Outer&... out) {
    if (!is_owner<Ts>()) return;
    each(Ts, i) {
        bool exists = in.has(Ts::template of<Inner>(i));
        ((exists = exists && out.has(Ts::template of<Outer>(i))), ...);
        int row = Position<Ts>::row(i, 0, out...);
        shared.at(row, Position<Ts>::along_axis(i, in)) = exists ? tile[i] : cast<E>(0.0f);
    }
}

// --- acc += Σ_k a · b, for any layout and element type ---

// Where an operand's element for element i of the result and position k is.
template <class From, class K> struct Pick {
    template <class Ax> static TW_DEVICE int position(int i, int k) {
        return Ax::id == K::id ? k : Ax::spread::base(threadIdx.x) + Ax::spread::offset(From::template of<Ax>(i));
    }
    template <class Last> static TW_DEVICE void place(Axes<Last>, int i, int k, int& row, int& column) {
        (void)row;
        column = position<Last>(i, k);
    }
    template <class First, class Second, class... More>
    static TW_DEVICE void place(Axes<First, Second, More...>, int i, int k, int& row, int& column) {
        row = row * First::block + position<First>(i, k);
        place(Axes<Second, More...>(), i, k, row, column);
    }
};

template <class T> TW_DEVICE T multiply_add(T a, T b, T c) { return add(mul(a, b), c); }
TW_DEVICE f32 multiply_add(f32 a, f32 b, f32 c) { return fused(a, b, c); }
TW_DEVICE f64 multiply_add(f64 a, f64 b, f64 c) { return fused(a, b, c); }

template <class K, class T, class Rs, class E1, class As, class E2, class Bs>
TW_DEVICE void dot_plain(Tile<T, Rs>& acc, const Shared<E1, As>& a, const Shared<E2, Bs>& b) {
    for (int k = 0; k < K::block; ++k) {
        each(Rs, i) {
            int ar = 0, ac = 0, br = 0, bc = 0;
            Pick<Rs, K>::place(As(), i, k, ar, ac);
            Pick<Rs, K>::place(Bs(), i, k, br, bc);
            acc[i] = multiply_add(cast<T>(a.at(ar, ac)), cast<T>(b.at(br, bc)), acc[i]);
        }
    }
}

// --- Matrix cores ---

#if !defined(__HIP__) && !defined(TW_AMD)
struct Fragment {
    u32 x[4];
};
template <class E> struct IsHalf { static constexpr bool value = false, is_bf16 = false; };
template <> struct IsHalf<f16> { static constexpr bool value = true, is_bf16 = false; };
template <> struct IsHalf<bf16> { static constexpr bool value = true, is_bf16 = true; };

#if defined(TW_EMULATED)
// Four 8×8 matrices of 16-bit elements, or two: lane l names row l of them all.
template <bool Transposed> TW_DEVICE Fragment load_matrices(const void* row) {
    if (reinterpret_cast<unsigned long long>(row) & 15) simt::fail("ldmatrix: not aligned to 16 bytes");
    auto rows = simt::gather(simt::shared_offset(row));
    int lane = simt::lane();
    Fragment f;
    for (int m = 0; m < 4; ++m) {
        u16 pair[2];
        for (int j = 0; j < 2; ++j) {
            int r = Transposed ? lane % 4 * 2 + j : lane / 4, c = Transposed ? lane / 4 : lane % 4 * 2 + j;
            TW_COPY(&pair[j], simt::shared_pointer(rows[m * 8 + r] + 2 * c), 2);
        }
        f.x[m] = u32(pair[0]) | u32(pair[1]) << 16;
    }
    return f;
}
struct MmaOperands {
    u32 a[4], b[2];
};
template <class E> TW_DEVICE void mma_16x8x16(f32 (&d)[4], const Fragment& a, u32 b0, u32 b1) {
    MmaOperands mine = {{a.x[0], a.x[1], a.x[2], a.x[3]}, {b0, b1}};
    auto all = simt::gather(mine);
    int lane = simt::lane();
    for (int e = 0; e < 4; ++e) {
        int row = lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
        f32 sum = d[e];
        for (int k = 0; k < 16; ++k) {
            u32 x = all[row % 8 * 4 + k % 8 / 2].a[row / 8 + k / 8 * 2], y = all[column * 4 + k % 8 / 2].b[k / 8];
            E p{u16(x >> 16 * (k & 1))}, q{u16(y >> 16 * (k & 1))};
            sum += widen(p) * widen(q);
        }
        d[e] = sum;
    }
}
#else
template <bool Transposed> TW_DEVICE Fragment load_matrices(const void* row) {
    Fragment f;
    u32 at = shared_address(row);
    if (Transposed)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(f.x[0]), "=r"(f.x[1]), "=r"(f.x[2]), "=r"(f.x[3]) : "r"(at) : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(f.x[0]), "=r"(f.x[1]), "=r"(f.x[2]), "=r"(f.x[3]) : "r"(at) : "memory");
    return f;
}
template <class E> TW_DEVICE void mma_16x8x16(f32 (&d)[4], const Fragment& a, u32 b0, u32 b1) {
    if (IsHalf<E>::is_bf16)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b0), "r"(b1));
    else
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b0), "r"(b1));
}
#endif

// An axis spread as the rows or the columns of an m16n8 accumulator; the rest is registers and warps.
template <class S> constexpr bool rest_is_free(int from) {
    for (int i = from; i < S::bits; ++i)
        if (S::table[i] != R && S::table[i] < 5) return false;
    return true;
}
template <class S> constexpr bool is_mma_rows() {
    return S::bits >= 4 && S::table[0] == 2 && S::table[1] == 3 && S::table[2] == 4 && S::table[3] == R && rest_is_free<S>(4);
}
template <class S> constexpr bool is_mma_columns() {
    return S::bits >= 4 && S::table[0] == R && S::table[1] == 0 && S::table[2] == 1 && S::table[3] == R && rest_is_free<S>(3);
}

// acc[rows, columns] += Σ_k a · b on tensor cores. a has the axes rows and k in either order; b columns and k.
template <class Rows, class Columns, class K, class E, class Rs, class As, class Bs>
TW_DEVICE void dot_mma(Tile<f32, Rs>& acc, const Shared<E, As>& a, const Shared<E, Bs>& b) {
    typedef typename Rows::spread S;
    typedef typename Columns::spread C;
    constexpr bool AInner = As::last == K::id, BInner = Bs::last == K::id;
    const int lane = threadIdx.x % 32, q = lane / 8, l = lane % 8;
    const int row0 = S::base(threadIdx.x & ~31u), column0 = C::base(threadIdx.x & ~31u);
    TW_UNROLL for (int k = 0; k < K::block; k += 16) {
        Fragment fa[Rows::registers / 2];
        TW_UNROLL for (int m = 0; m < Rows::registers / 2; ++m) {
            int row = row0 + S::offset(2 * m);
            fa[m] = AInner ? load_matrices<false>(&a.at(row + q % 2 * 8 + l, k + q / 2 * 8))
                           : load_matrices<true>(&a.at(k + q / 2 * 8 + l, row + q % 2 * 8));
        }
        // Two column groups of 8 at once.
        TW_UNROLL for (int n = 0; n < Columns::registers / 4; ++n) {
            int column = column0 + C::offset(4 * n) + C::offset(2) * (q / 2);
            Fragment fb = BInner ? load_matrices<false>(&b.at(column + l, k + q % 2 * 8))
                                 : load_matrices<true>(&b.at(k + q % 2 * 8 + l, column));
            TW_UNROLL for (int m = 0; m < Rows::registers / 2; ++m) {
                TW_UNROLL for (int half = 0; half < 2; ++half) {
                    f32 d[4];
                    TW_UNROLL for (int e = 0; e < 4; ++e)
                        d[e] = acc[Rs::template pair<Rows>(2 * m + e / 2, 4 * n + 2 * half + e % 2)];
                    mma_16x8x16<E>(d, fa[m], fb.x[2 * half], fb.x[2 * half + 1]);
                    TW_UNROLL for (int e = 0; e < 4; ++e)
                        acc[Rs::template pair<Rows>(2 * m + e / 2, 4 * n + 2 * half + e % 2)] = d[e];
                }
            }
        }
    }
}
#endif

// acc += Σ_k a · b, on matrix cores where the layouts and types are theirs.
template <class Rows, class Columns, class K, class T, class Rs, class E1, class As, class E2, class Bs>
TW_DEVICE void dot(Tile<T, Rs>& acc, const Shared<E1, As>& a, const Shared<E2, Bs>& b) {
#if !defined(__HIP__) && !defined(TW_AMD)
    if constexpr (IsHalf<E1>::value && IsHalf<E2>::value && IsHalf<E1>::is_bf16 == IsHalf<E2>::is_bf16 && sizeof(T) == 4 && K::block % 16 == 0) {
        if constexpr (is_mma_rows<typename Rows::spread>() && is_mma_columns<typename Columns::spread>()) {
            dot_mma<Rows, Columns, K, E1>(acc, a, b);
            return;
        } else if constexpr (is_mma_rows<typename Columns::spread>() && is_mma_columns<typename Rows::spread>()) {
            dot_mma<Columns, Rows, K, E1>(acc, b, a);
            return;
        }
    }
#endif
    dot_plain<K>(acc, a, b);
}
