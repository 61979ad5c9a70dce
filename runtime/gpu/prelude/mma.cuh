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

// Two halves in a word, the first in the low bits.
template <class E> TW_DEVICE u32 word_of(E low, E high) { return u32(low.bits) | u32(high.bits) << 16; }

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
        E low = axis.has(column) ? tile[Ts::template pair<Rows>(row, column)] : cast<E>(0.0f);
        E high = axis.has(column + 1) ? tile[Ts::template pair<Rows>(row, column + 1)] : cast<E>(0.0f);
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
    if constexpr (Inner) f = load_matrices<false>(&s.at((q < 2 ? free[q % 2] : free[2 + q % 2]) + lane % 8, q < 2 ? k[q % 2] : k[2 + q % 2]));
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

// --- Bytes: m16n8k32, sums wrap ---

template <class E> struct IsByte { static constexpr bool value = Same<E, i8>::value || Same<E, u8>::value; };

#if defined(TW_EMULATED)
template <class E> TW_DEVICE void mma_16x8x32(i32 (&d)[4], const Fragment& a, u32 b0, u32 b1) {
    MmaOperands mine = {{a.x[0], a.x[1], a.x[2], a.x[3]}, {b0, b1}};
    auto all = simt::gather(mine);
    int lane = simt::lane();
    for (int e = 0; e < 4; ++e) {
        int row = lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
        u32 sum = u32(d[e]);
        for (int k = 0; k < 32; ++k) {
            u32 x = all[row % 8 * 4 + k % 16 / 4].a[row / 8 + k / 16 * 2], y = all[column * 4 + k % 16 / 4].b[k / 16];
            sum += u32(i32(E(x >> 8 * (k & 3))) * i32(E(y >> 8 * (k & 3))));
        }
        d[e] = i32(sum);
    }
}
#else
template <class E> TW_DEVICE void mma_16x8x32(i32 (&d)[4], const Fragment& a, u32 b0, u32 b1) {
    if (Same<E, i8>::value)
        asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                     : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b0), "r"(b1));
    else
        asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                     : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b0), "r"(b1));
}
#endif

// acc[rows, columns] += Σ_k a · b, where k is the inner axis of both: ldmatrix moves pairs of bytes.
template <class Rows, class Columns, class K, class E, class T, class Rs, class As, class Bs>
TW_DEVICE void dot_bytes(Tile<T, Rs>& acc, const Shared<E, As>& a, const Shared<E, Bs>& b) {
    typedef typename Rows::spread S;
    typedef typename Columns::spread C;
    const int lane = threadIdx.x % 32, q = lane / 8, l = lane % 8;
    const int row0 = S::base(threadIdx.x & ~31u), column0 = C::base(threadIdx.x & ~31u);
    TW_UNROLL for (int k = 0; k < K::block; k += 32) {
        Fragment fa[Rows::registers / 2];
        TW_UNROLL for (int m = 0; m < Rows::registers / 2; ++m)
            fa[m] = load_matrices<false>(&a.at(row0 + S::offset(2 * m) + q % 2 * 8 + l, k + q / 2 * 16));
        TW_UNROLL for (int n = 0; n < Columns::registers / 4; ++n) {
            Fragment fb = load_matrices<false>(&b.at(column0 + C::offset(4 * n) + C::offset(2) * (q / 2) + l, k + q % 2 * 16));
            TW_UNROLL for (int m = 0; m < Rows::registers / 2; ++m) {
                TW_UNROLL for (int half = 0; half < 2; ++half) {
                    i32 d[4];
                    TW_UNROLL for (int e = 0; e < 4; ++e)
                        d[e] = i32(acc[Rs::template pair<Rows>(2 * m + e / 2, 4 * n + 2 * half + e % 2)]);
                    mma_16x8x32<E>(d, fa[m], fb.x[2 * half], fb.x[2 * half + 1]);
                    TW_UNROLL for (int e = 0; e < 4; ++e)
                        acc[Rs::template pair<Rows>(2 * m + e / 2, 4 * n + 2 * half + e % 2)] = T(d[e]);
                }
            }
        }
    }
}
#endif
