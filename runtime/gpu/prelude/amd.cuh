// Matrix cores of AMD's GPUs: MFMA (CDNA, 64 lanes) and WMMA (RDNA 3 and 4, 32 lanes), 16 × 16 × 16.
//
// The instruction's rows are the columns of our product, so that a thread's accumulators lie side by side
// along memory; an operand's fragment is then the transposed accumulator's, as on NVIDIA's. Floats of 8 bits
// become f16 on their way to registers: CDNA 3 has instructions for them, but for other formats.

#if defined(TW_AMD) && TW_MATRIX

// Halves of an operand a lane holds, and accumulators.
#if TW_AMD < 0x1000
constexpr int lane_halves = 4, lane_results = 4;
template <class S> constexpr bool is_columns() { return starts_with<S>(R, R, 4, 5) && rest_is_free<S>(4); }
#elif TW_AMD < 0x1200
constexpr int lane_halves = 16, lane_results = 8;
template <class S> constexpr bool is_columns() { return starts_with<S>(4, R, R, R) && rest_is_free<S>(4); }
#else
constexpr int lane_halves = 8, lane_results = 8;
template <class S> constexpr bool is_columns() { return starts_with<S>(R, R, R, 4) && rest_is_free<S>(4); }
#endif
// What the instruction multiplies.
template <class E> struct Core { typedef E type; };
template <> struct Core<f8e4m3> { typedef f16 type; };
template <> struct Core<f8e5m2> { typedef f16 type; };
template <class S> constexpr bool is_rows() { return starts_with<S>(0, 1, 2, 3) && rest_is_free<S>(4); }
// RDNA 3 wants all 16 positions in every lane, and accumulators are not like that.
template <class S> constexpr bool is_contracted() { return lane_halves < 16 && is_columns<S>() && all_registers<S>(4); }

struct Fragment {
    u16 x[lane_halves];
};

// Of 16 rows or columns from `free` on and 16 contracted positions from `k` on: lane % 16 counts the first.
template <bool Inner, class E, class As> TW_DEVICE Fragment load_fragment(const Shared<E, As>& s, int free, int k) {
    const int lane = threadIdx.x % TW_WARP, f = free + lane % 16, first = k + (lane_halves < 16 ? lane / 16 * lane_halves : 0);
    Fragment fragment;
    if constexpr (IsEighth<E>::value) {
        TW_UNROLL for (int j = 0; j < lane_halves; j += 4) {
            u32 bytes, halves[2];
            if constexpr (Inner && Shared<E, As>::pieces >= 1) TW_COPY(&bytes, &s.at(f, first + j), 4);
            else {
                E four[4];
                TW_UNROLL for (int i = 0; i < 4; ++i) four[i] = Inner ? s.at(f, first + j + i) : s.at(first + j + i, f);
                TW_COPY(&bytes, four, 4);
            }
            halves_of<E>(bytes, halves[0], halves[1]);
            TW_COPY(fragment.x + j, halves, 8);
        }
    } else if constexpr (Inner && Shared<E, As>::pieces >= 2) {
        constexpr int width = smaller(lane_halves, 8);
        TW_UNROLL for (int j = 0; j < lane_halves; j += width) {
            Word<2 * width> word = *reinterpret_cast<const Word<2 * width>*>(&s.at(f, first + j));
            TW_COPY(fragment.x + j, &word, 2 * width);
        }
    } else {
        TW_UNROLL for (int j = 0; j < lane_halves; ++j) fragment.x[j] = Inner ? s.at(f, first + j).bits : s.at(first + j, f).bits;
    }
    return fragment;
}

#if defined(TW_EMULATED)
// d[column of the lane's results][row lane % 16] += Σ_k a · b.
struct MatrixOperands {
    Fragment a, b;
};
template <class E> TW_DEVICE void multiply_16(f32 (&d)[lane_results], const Fragment& a, const Fragment& b) {
    auto all = simt::gather(MatrixOperands{a, b});
    int lane = simt::lane(), j = lane % 16;
    for (int r = 0; r < lane_results; ++r) {
        int i = lane_halves == 16 ? 2 * r + lane / 16 : lane / 16 * lane_results + r;
        f32 sum = d[r];
        for (int k = 0; k < 16; ++k) {
            int group = lane_halves == 16 ? 0 : k / lane_halves, at = k % lane_halves;
            sum += widen(E{all[16 * group + i].a.x[at]}) * widen(E{all[16 * group + j].b.x[at]});
        }
        d[r] = sum;
    }
}
#else
typedef __attribute__((ext_vector_type(lane_halves))) short Shorts;
typedef __attribute__((ext_vector_type(lane_halves))) _Float16 Halves;
typedef __attribute__((ext_vector_type(lane_results))) float Results;
template <class V> TW_DEVICE V vector_of(const Fragment& f) {
    V v;
    TW_COPY(&v, f.x, sizeof v);
    return v;
}
template <class E> TW_DEVICE void multiply_16(f32 (&d)[lane_results], const Fragment& a, const Fragment& b) {
    Results c;
    TW_UNROLL for (int r = 0; r < lane_results; ++r) c[r] = d[r];
#if TW_AMD < 0x1000
    if constexpr (IsHalf<E>::is_bf16) c = __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(vector_of<Shorts>(a), vector_of<Shorts>(b), c, 0, 0, 0);
    else c = __builtin_amdgcn_mfma_f32_16x16x16f16(vector_of<Halves>(a), vector_of<Halves>(b), c, 0, 0, 0);
#elif TW_AMD < 0x1200
    if constexpr (IsHalf<E>::is_bf16) c = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(vector_of<Shorts>(a), vector_of<Shorts>(b), c);
    else c = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(vector_of<Halves>(a), vector_of<Halves>(b), c);
#else
    if constexpr (IsHalf<E>::is_bf16) c = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32_gfx12(vector_of<Shorts>(a), vector_of<Shorts>(b), c);
    else c = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(vector_of<Halves>(a), vector_of<Halves>(b), c);
#endif
    TW_UNROLL for (int r = 0; r < lane_results; ++r) d[r] = c[r];
}
#endif

// The left operand: from shared memory, or from accumulators of a product before.
template <class Rows, class K, class E, class As>
TW_DEVICE Fragment left_fragment(const Shared<E, As>& a, int m, int k16) {
    typedef typename Rows::spread S;
    return load_fragment<As::last == K::id>(a, S::base(threadIdx.x & ~(TW_WARP - 1u)) + S::offset(m), 16 * k16);
}
template <class Rows, class K, class E, class Ts>
TW_DEVICE Fragment left_fragment(const InRegisters<E, Ts, K>& a, int m, int k16) {
    Fragment f;
    TW_UNROLL for (int j = 0; j < lane_halves; ++j) {
        int at = k16 * lane_halves + j;
        f.x[j] = (a.axis.has(at) ? a.tile[Ts::template pair<Rows>(m, at)] : E{}).bits;
    }
    return f;
}

// acc[rows, columns] += Σ_k a · b. b has the axes columns and k in either order.
template <class Rows, class Columns, class K, class E, class Rs, class Left, class Bs>
TW_DEVICE void dot_mma(Tile<f32, Rs>& acc, const Left& a, const Shared<E, Bs>& b) {
    typedef typename Columns::spread C;
    const int column0 = C::base(threadIdx.x & ~(TW_WARP - 1u));
    TW_UNROLL for (int k16 = 0; k16 < K::block / 16; ++k16) {
        Fragment fa[Rows::registers];
        TW_UNROLL for (int m = 0; m < Rows::registers; ++m) fa[m] = left_fragment<Rows, K>(a, m, k16);
        TW_UNROLL for (int n = 0; n < Columns::registers / lane_results; ++n) {
            Fragment fb = load_fragment<Bs::last == K::id>(b, column0 + C::offset(n * lane_results), 16 * k16);
            TW_UNROLL for (int m = 0; m < Rows::registers; ++m) {
                f32 d[lane_results];
                TW_UNROLL for (int r = 0; r < lane_results; ++r) d[r] = acc[Rs::template pair<Rows>(m, n * lane_results + r)];
                multiply_16<typename Core<E>::type>(d, fb, fa[m]);
                TW_UNROLL for (int r = 0; r < lane_results; ++r) acc[Rs::template pair<Rows>(m, n * lane_results + r)] = d[r];
            }
        }
    }
}
#endif
