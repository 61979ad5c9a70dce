// Matrix cores of NVIDIA's GPUs: mma.sync, a warp at a time, and the fragments that it shares with wgmma.

template <class E> struct IsHalf { static constexpr bool value = false, is_bf16 = false; };
template <> struct IsHalf<f16> { static constexpr bool value = true, is_bf16 = false; };
template <> struct IsHalf<bf16> { static constexpr bool value = true, is_bf16 = true; };

// Whether the bits of a spread from `from` on are registers or count warps.
template <class S> constexpr bool rest_is_free(int from) {
    for (int i = from; i < S::bits; ++i)
        if (S::table[i] != R && S::table[i] < warp_bits) return false;
    return true;
}
template <class S> constexpr bool starts_with(int a, int b, int c, int d) {
    return S::bits >= 4 && S::table[0] == a && S::table[1] == b && S::table[2] == c && S::table[3] == d;
}
template <class S> constexpr bool all_registers(int from) {
    for (int i = from; i < S::bits; ++i)
        if (S::table[i] != R) return false;
    return true;
}

// One of four that lie in registers.
TW_DEVICE int pick(const int (&of)[4], int i) { return i & 2 ? (i & 1 ? of[3] : of[2]) : (i & 1 ? of[1] : of[0]); }

// Two halves in a word, the first in the low bits.
template <class E> TW_DEVICE u32 word_of(E low, E high) { return u32(low.bits) | u32(high.bits) << 16; }

#if !defined(TW_CUDA) || TW_CUDA < 89
// Two f8e4m3 in the upper halves of 16 bits as two f16: the fields move to an f16's, whose exponent counts from
// 8 less; NaN would be 480.
TW_DEVICE u32 halves_of_e4m3(u32 pair) {
    u32 rest = pair >> 1 & 0x3f803f80u, x = (pair & 0x80008000u) | rest, nan = (rest + 0x00800080u & 0x40004000u) >> 14;
#if defined(TW_EMULATED)
    u16 low = narrow_f16(widen(f16{u16(x)}) * 256.0f).bits, high = narrow_f16(widen(f16{u16(x >> 16)}) * 256.0f).bits;
    x = u32(low) | u32(high) << 16;
#elif defined(__HIP__)
    typedef __attribute__((ext_vector_type(2))) _Float16 Pair;
    Pair scaled;
    TW_COPY(&scaled, &x, 4);
    scaled *= Pair{256.0f16, 256.0f16};
    TW_COPY(&x, &scaled, 4);
#else
    asm("mul.rn.f16x2 %0, %0, %1;" : "+r"(x) : "r"(0x5c005c00u));
#endif
    return x | nan * 0x7fffu;
}
// Four f8 as four f16, which hold them exactly: two words.
template <class E> TW_DEVICE void halves_of(u32 bytes, u32& low, u32& high) {
    // Each byte in the upper half of 16 bits.
    low = (bytes & 0xffu) << 8 | (bytes & 0xff00u) << 16;
    high = (bytes >> 8 & 0xff00u) | (bytes & 0xff000000u);
    if constexpr (Same<E, f8e4m3>::value) {
        low = halves_of_e4m3(low);
        high = halves_of_e4m3(high);
    }
}
#endif

#if defined(TW_CUDA)

// The rows of an accumulator: 8 of them count lanes, and a register bit another 8. The columns: pairs.
template <class S> constexpr bool is_rows() { return starts_with<S>(2, 3, 4, R) && rest_is_free<S>(4); }
template <class S> constexpr bool is_columns() { return starts_with<S>(R, 0, 1, R) && rest_is_free<S>(4); }
// Whether columns of one product are the contracted axis of the next, without leaving registers.
template <class S> constexpr bool is_contracted() { return is_columns<S>() && all_registers<S>(3); }

struct Fragment {
    u32 x[4];
};

// The left operand of 16 rows and 16 contracted positions from an accumulator's registers.
template <class Rows, class K, class E, class Ts>
TW_DEVICE Fragment fragment_of(const Tile<E, Ts>& tile, const K& axis, int m, int k16) {
    Fragment f;
    TW_UNROLL for (int j = 0; j < 4; ++j) {
        int row = 2 * m + j % 2, column = 4 * k16 + j / 2 * 2;
        E low = axis.has(column) ? tile[Ts::template pair<Rows>(row, column)] : E{};
        E high = axis.has(column + 1) ? tile[Ts::template pair<Rows>(row, column + 1)] : E{};
        f.x[j] = word_of(low, high);
    }
    return f;
}

#if defined(TW_EMULATED)
// Four 8×8 matrices of 16-bit elements: lane l names row l % 8 of matrix l / 8.
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

// The left operand from shared memory: axes rows and k, in either order.
template <class Rows, class K, class E, class As>
TW_DEVICE Fragment left_fragment(const Shared<E, As>& a, int m, int k16) {
    typedef typename Rows::spread S;
    const int lane = threadIdx.x % 32, q = lane / 8, l = lane % 8;
    const int row = S::base(threadIdx.x & ~31u) + S::offset(2 * m), k = 16 * k16;
    if constexpr (As::last == K::id) return load_matrices<false>(&a.at(row + q % 2 * 8 + l, k + q / 2 * 8));
    else return load_matrices<true>(&a.at(k + q / 2 * 8 + l, row + q % 2 * 8));
}
template <class Rows, class K, class E, class Ts>
TW_DEVICE Fragment left_fragment(const InRegisters<E, Ts, K>& a, int m, int k16) {
    return fragment_of<Rows>(a.tile, a.axis, m, k16);
}

// acc[rows, columns] += Σ_k a · b. b has the axes columns and k in either order.
template <class Rows, class Columns, class K, class E, class Rs, class Left, class Bs>
TW_DEVICE void dot_mma(Tile<f32, Rs>& acc, const Left& a, const Shared<E, Bs>& b) {
    typedef typename Columns::spread C;
    constexpr bool inner = Bs::last == K::id;
    const int lane = threadIdx.x % 32, q = lane / 8, l = lane % 8;
    const int column0 = C::base(threadIdx.x & ~31u);
    TW_UNROLL for (int k16 = 0; k16 < K::block / 16; ++k16) {
        const int k = 16 * k16;
        Fragment fa[Rows::registers / 2];
        TW_UNROLL for (int m = 0; m < Rows::registers / 2; ++m) fa[m] = left_fragment<Rows, K>(a, m, k16);
        // Two column groups of 8 at once.
        TW_UNROLL for (int n = 0; n < Columns::registers / 4; ++n) {
            int column = column0 + C::offset(4 * n) + C::offset(2) * (q / 2);
            Fragment fb;
            if constexpr (inner) fb = load_matrices<false>(&b.at(column + l, k + q % 2 * 8));
            else fb = load_matrices<true>(&b.at(k + q % 2 * 8 + l, column));
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

// --- TF32: floats whose operands are rounded to 10 bits of mantissa; m16n8k8 ---

#if TW_TF32
#if defined(TW_EMULATED)
TW_DEVICE u32 tf32_of(u32 x) { return (x & 0x7f800000u) == 0x7f800000u ? x : (x + 0x1000u) & ~0x1fffu; }
TW_DEVICE void mma_16x8x8(f32 (&d)[4], const Fragment& a, u32 b0, u32 b1) {
    MmaOperands mine = {{a.x[0], a.x[1], a.x[2], a.x[3]}, {b0, b1}};
    auto all = simt::gather(mine);
    int lane = simt::lane();
    for (int e = 0; e < 4; ++e) {
        int row = lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
        f32 sum = d[e];
        for (int k = 0; k < 8; ++k) {
            u32 x = all[row % 8 * 4 + k % 4].a[row / 8 + k / 4 * 2], y = all[column * 4 + k % 4].b[k / 4];
            // The hardware takes no notice of the other bits.
            sum += from_bits(x & ~0x1fffu) * from_bits(y & ~0x1fffu);
        }
        d[e] = sum;
    }
}
#else
TW_DEVICE u32 tf32_of(u32 x) {
    u32 y;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(from_bits(x)));
    return y;
}
TW_DEVICE void mma_16x8x8(f32 (&d)[4], const Fragment& a, u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b0), "r"(b1));
}
#endif

// Four fragments of 8 rows (or columns) and 4 contracted positions each, rounded: x[j] begins at `free[j]`
// and k[j]. Where the contracted axis is inner, ldmatrix moves each float as a pair of halves.
template <bool Inner, class As>
TW_DEVICE Fragment load_tf32(const Shared<f32, As>& s, const int (&free)[4], const int (&k)[4]) {
    const int lane = threadIdx.x % 32, q = lane / 8;
    Fragment f;
    if constexpr (Inner) f = load_matrices<false>(&s.at(pick(free, q) + lane % 8, pick(k, q)));
    else TW_UNROLL for (int j = 0; j < 4; ++j) f.x[j] = bits_of(s.at(k[j] + lane % 4, free[j] + lane / 4));
    TW_UNROLL for (int j = 0; j < 4; ++j) f.x[j] = tf32_of(f.x[j]);
    return f;
}

// acc[rows, columns] += Σ_k a · b. Both have their free axis and k in either order.
template <class Rows, class Columns, class K, class Rs, class As, class Bs>
TW_DEVICE void dot_tf32(Tile<f32, Rs>& acc, const Shared<f32, As>& a, const Shared<f32, Bs>& b) {
    typedef typename Rows::spread S;
    typedef typename Columns::spread C;
    const int row0 = S::base(threadIdx.x & ~31u), column0 = C::base(threadIdx.x & ~31u);
    TW_UNROLL for (int k = 0; k < K::block; k += 8) {
        Fragment fa[Rows::registers / 2];
        TW_UNROLL for (int m = 0; m < Rows::registers / 2; ++m) {
            const int row = row0 + S::offset(2 * m);
            fa[m] = load_tf32<As::last == K::id>(a, {row, row + 8, row, row + 8}, {k, k, k + 4, k + 4});
        }
        // Two column groups of 8 at once.
        TW_UNROLL for (int n = 0; n < Columns::registers / 4; ++n) {
            const int column = column0 + C::offset(4 * n), next = column + C::offset(2);
            const Fragment fb = load_tf32<Bs::last == K::id>(b, {column, column, next, next}, {k, k + 4, k, k + 4});
            TW_UNROLL for (int m = 0; m < Rows::registers / 2; ++m) {
                TW_UNROLL for (int half = 0; half < 2; ++half) {
                    f32 d[4];
                    TW_UNROLL for (int e = 0; e < 4; ++e)
                        d[e] = acc[Rs::template pair<Rows>(2 * m + e / 2, 4 * n + 2 * half + e % 2)];
                    mma_16x8x8(d, fa[m], fb.x[2 * half], fb.x[2 * half + 1]);
                    TW_UNROLL for (int e = 0; e < 4; ++e)
                        acc[Rs::template pair<Rows>(2 * m + e / 2, 4 * n + 2 * half + e % 2)] = d[e];
                }
            }
        }
    }
}
#endif

// --- Bytes: m16n8k32. Sums of integers wrap ---

template <class E> struct IsByte { static constexpr bool value = Same<E, i8>::value || Same<E, u8>::value || IsEighth<E>::value; };
// What products of bytes are summed in.
template <class E> struct ByteSum { typedef i32 type; };
template <> struct ByteSum<f8e4m3> { typedef f32 type; };
template <> struct ByteSum<f8e5m2> { typedef f32 type; };

#if defined(TW_EMULATED)
TW_DEVICE f32 multiply_add_bytes(f8e4m3 a, f8e4m3 b, f32 sum) { return sum + widen(a) * widen(b); }
TW_DEVICE f32 multiply_add_bytes(f8e5m2 a, f8e5m2 b, f32 sum) { return sum + widen(a) * widen(b); }
template <class E> TW_DEVICE i32 multiply_add_bytes(E a, E b, i32 sum) { return i32(u32(sum) + u32(i32(a) * i32(b))); }
template <class E> TW_DEVICE E byte_of(u32 word, int i) {
    u8 bits = u8(word >> 8 * i);
    E e;
    TW_COPY(&e, &bits, 1);
    return e;
}
#endif

#if TW_CUDA < 89
template <class E, When<IsEighth<E>::value> = 0> TW_DEVICE void mma_16x8x32(f32 (&d)[4], const Fragment& a, u32 b0, u32 b1) {
    // Which contracted position goes where is the same for both operands.
    const u32 b[2] = {b0, b1};
    TW_UNROLL for (int k = 0; k < 2; ++k) {
        Fragment f;
        u32 low, high;
        halves_of<E>(a.x[2 * k], f.x[0], f.x[2]);
        halves_of<E>(a.x[2 * k + 1], f.x[1], f.x[3]);
        halves_of<E>(b[k], low, high);
        mma_16x8x16<f16>(d, f, low, high);
    }
}
#endif

#if defined(TW_EMULATED)
template <class E, When<!IsEighth<E>::value || TW_CUDA >= 89> = 0>
TW_DEVICE void mma_16x8x32(typename ByteSum<E>::type (&d)[4], const Fragment& a, u32 b0, u32 b1) {
    MmaOperands mine = {{a.x[0], a.x[1], a.x[2], a.x[3]}, {b0, b1}};
    auto all = simt::gather(mine);
    int lane = simt::lane();
    for (int e = 0; e < 4; ++e) {
        int row = lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
        for (int k = 0; k < 32; ++k) {
            u32 x = all[row % 8 * 4 + k % 16 / 4].a[row / 8 + k / 16 * 2], y = all[column * 4 + k % 16 / 4].b[k / 16];
            d[e] = multiply_add_bytes(byte_of<E>(x, k & 3), byte_of<E>(y, k & 3), d[e]);
        }
    }
}
#else
#define TW_MMA_BYTES(E, kind, sum, constraint)                                                                                     \
    template <class Of, When<Same<Of, E>::value> = 0>                                                                              \
    TW_DEVICE void mma_16x8x32(typename ByteSum<Of>::type (&d)[4], const Fragment& a, u32 b0, u32 b1) {                           \
        asm volatile("mma.sync.aligned.m16n8k32.row.col." sum "." kind "." kind "." sum " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
                     : constraint(d[0]), constraint(d[1]), constraint(d[2]), constraint(d[3])                                      \
                     : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b0), "r"(b1));                                      \
    }
TW_MMA_BYTES(i8, "s8", "s32", "+r")
TW_MMA_BYTES(u8, "u8", "s32", "+r")
#if TW_CUDA >= 89
TW_MMA_BYTES(f8e4m3, "e4m3", "f32", "+f")
TW_MMA_BYTES(f8e5m2, "e5m2", "f32", "+f")
#endif
#endif

// Four fragments of 8 rows (or columns) and 16 contracted positions each: x[j] begins at `free[j]` and k[j].
// Where the contracted axis is inner, ldmatrix moves pairs of bytes; else a thread picks its four.
template <bool Inner, class E, class As>
TW_DEVICE Fragment load_bytes(const Shared<E, As>& s, const int (&free)[4], const int (&k)[4]) {
    const int lane = threadIdx.x % 32, q = lane / 8;
    if constexpr (Inner) return load_matrices<false>(&s.at(pick(free, q) + lane % 8, pick(k, q)));
    else {
        Fragment f;
        TW_UNROLL for (int j = 0; j < 4; ++j) {
            E bytes[4];
            TW_UNROLL for (int i = 0; i < 4; ++i) bytes[i] = s.at(k[j] + lane % 4 * 4 + i, free[j] + lane / 4);
            TW_COPY(&f.x[j], bytes, 4);
        }
        return f;
    }
}

// acc[rows, columns] += Σ_k a · b. Both have their free axis and k in either order.
template <class Rows, class Columns, class K, class E, class T, class Rs, class As, class Bs>
TW_DEVICE void dot_bytes(Tile<T, Rs>& acc, const Shared<E, As>& a, const Shared<E, Bs>& b) {
    typedef typename Rows::spread S;
    typedef typename Columns::spread C;
    typedef typename ByteSum<E>::type Sum;
    const int row0 = S::base(threadIdx.x & ~31u), column0 = C::base(threadIdx.x & ~31u);
    // Bytes picked one by one would all be asked for at the start, and fill the registers.
    constexpr int turns = As::last == K::id && Bs::last == K::id ? K::block / 32 : 1;
    TW_UNROLL_BY(turns) for (int k = 0; k < K::block; k += 32) {
        Fragment fa[Rows::registers / 2];
        TW_UNROLL for (int m = 0; m < Rows::registers / 2; ++m) {
            const int row = row0 + S::offset(2 * m);
            fa[m] = load_bytes<As::last == K::id>(a, {row, row + 8, row, row + 8}, {k, k, k + 16, k + 16});
        }
        // Two column groups of 8 at once.
        TW_UNROLL for (int n = 0; n < Columns::registers / 4; ++n) {
            const int column = column0 + C::offset(4 * n), next = column + C::offset(2);
            const Fragment fb = load_bytes<Bs::last == K::id>(b, {column, column, next, next}, {k, k + 16, k, k + 16});
            TW_UNROLL for (int m = 0; m < Rows::registers / 2; ++m) {
                TW_UNROLL for (int half = 0; half < 2; ++half) {
                    Sum d[4];
                    TW_UNROLL for (int e = 0; e < 4; ++e)
                        d[e] = Sum(acc[Rs::template pair<Rows>(2 * m + e / 2, 4 * n + 2 * half + e % 2)]);
                    mma_16x8x32<E>(d, fa[m], fb.x[2 * half], fb.x[2 * half + 1]);
                    TW_UNROLL for (int e = 0; e < 4; ++e)
                        acc[Rs::template pair<Rows>(2 * m + e / 2, 4 * n + 2 * half + e % 2)] = T(d[e]);
                }
            }
        }
    }
}
#endif
