// acc += Σ_k a · b: on matrix cores where layouts and types are theirs, else by threads.

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

// For any layout and element type.
template <class K, class T, class Rs, class E1, class As, class E2, class Bs>
TW_DEVICE void dot_plain(Tile<T, Rs>& acc, const Shared<E1, As>& a, const Shared<E2, Bs>& b) {
    TW_ROLLED for (int k = 0; k < K::block; ++k) {
        each(Rs, i) {
            int ar = 0, ac = 0, br = 0, bc = 0;
            Pick<Rs, K>::place(As(), i, k, ar, ac);
            Pick<Rs, K>::place(Bs(), i, k, br, bc);
            acc[i] = multiply_add(cast<T>(a.at(ar, ac)), cast<T>(b.at(br, bc)), acc[i]);
        }
    }
}

// Positions k to k + n of one row (or column) of an operand.
template <bool Inner, int N, class T, class E, class As>
TW_DEVICE void strip(T (&to)[N], const Shared<E, As>& s, int free, int k) {
    if constexpr (Inner && N * int(sizeof(E)) == 16 && Shared<E, As>::pieces >= 2) {
        Pack<E, N> pack;
        pack.load(&s.at(free, k));
        TW_UNROLL for (int j = 0; j < N; ++j) to[j] = cast<T>(pack.at[j]);
    } else {
        TW_UNROLL for (int j = 0; j < N; ++j) to[j] = cast<T>(Inner ? s.at(free, k + j) : s.at(k + j, free));
    }
}

// A product of matrices by threads: each reads its rows and columns once for several positions k.
template <class Rows, class Columns, class K, class T, class Rs, class E1, class As, class E2, class Bs>
TW_DEVICE void dot_threads(Tile<T, Rs>& acc, const Shared<E1, As>& a, const Shared<E2, Bs>& b) {
    typedef typename Rows::spread S;
    typedef typename Columns::spread C;
    constexpr int lines = (Rows::registers + Columns::registers) * int(sizeof(T)) / 4;
    constexpr int step = lines <= 16 && sizeof(E1) == 4 ? 4 : lines <= 32 ? 2 : 1;
    const int row = S::base(threadIdx.x), column = C::base(threadIdx.x);
    TW_ROLLED for (int k = 0; k < K::block; k += step) {
        T x[Rows::registers][step], y[Columns::registers][step];
        TW_UNROLL for (int r = 0; r < Rows::registers; ++r) strip<As::last == K::id>(x[r], a, row + S::offset(r), k);
        TW_UNROLL for (int c = 0; c < Columns::registers; ++c) strip<Bs::last == K::id>(y[c], b, column + C::offset(c), k);
        TW_UNROLL for (int j = 0; j < step; ++j)
            TW_UNROLL for (int r = 0; r < Rows::registers; ++r)
                TW_UNROLL for (int c = 0; c < Columns::registers; ++c) {
                    T& sum = acc[Rs::template pair<Rows>(r, c)];
                    sum = multiply_add(x[r][j], y[c][j], sum);
                }
    }
}

// Whether matrix cores take these types and blocks.
template <class K, class T, class E1, class E2> constexpr bool is_for_cores() {
#if TW_MATRIX
#if defined(TW_AMD)
    constexpr bool takes = IsHalf<E1>::value || IsEighth<E1>::value;
#else
    constexpr bool takes = IsHalf<E1>::value;
#endif
    return takes && Same<E1, E2>::value && Same<T, f32>::value && K::block % 16 == 0;
#else
    return false;
#endif
}

// A left operand that was computed: it stays in registers where the layouts allow, else it goes to `shared`.
template <class Rows, class Columns, class T, class E2, class E, class As, class Ts, class Inner, class... Outer>
TW_DEVICE auto hold(const Shared<E, As>& shared, const Tile<E, Ts>& tile, const Inner& in, const Outer&... out) {
#if TW_MATRIX
    if constexpr (is_for_cores<Inner, T, E, E2>() && IsHalf<E>::value && sizeof...(Outer) == 1) {
        if constexpr (is_rows<typename Rows::spread>() && is_columns<typename Columns::spread>() && is_contracted<typename Inner::spread>())
            return InRegisters<E, Ts, Inner>{tile, in};
        else {
            put(shared, tile, in, out...);
            return shared;
        }
    } else
#endif
    {
        put(shared, tile, in, out...);
        return shared;
    }
}

#if TW_MATRIX
template <class Rows, class Columns, class K, class T, class Rs, class E, class Ts, class E2, class Bs>
TW_DEVICE void dot(Tile<T, Rs>& acc, const InRegisters<E, Ts, K>& a, const Shared<E2, Bs>& b) {
#if TW_CUDA == 90
    if constexpr (takes_wgmma<Rows, Columns, K, E, Bs>()) return dot_wgmma<Rows, Columns, K, E>(acc, a, b);
    else
#endif
        dot_mma<Rows, Columns, K, E>(acc, a, b);
}
#endif

template <class Rows, class Columns, class K, class T, class Rs, class E1, class As, class E2, class Bs>
TW_DEVICE void dot(Tile<T, Rs>& acc, const Shared<E1, As>& a, const Shared<E2, Bs>& b) {
#if TW_MATRIX
    if constexpr (is_for_cores<K, T, E1, E2>()) {
        if constexpr (is_rows<typename Rows::spread>() && is_columns<typename Columns::spread>()) {
#if TW_CUDA == 90
            if constexpr (takes_wgmma<Rows, Columns, K, E1, Bs>() && takes_wgmma_left<Rows, K, E1, As>())
                return dot_wgmma<Rows, Columns, K, E1>(acc, a, b);
            else
#endif
                return dot_mma<Rows, Columns, K, E1>(acc, a, b);
        } else if constexpr (is_rows<typename Columns::spread>() && is_columns<typename Rows::spread>()) {
            return dot_mma<Columns, Rows, K, E1>(acc, b, a);
        } else
            dot_threads<Rows, Columns, K>(acc, a, b);
    } else
#endif
#if TW_TF32
    if constexpr (Same<E1, f32>::value && Same<E2, f32>::value && Same<T, f32>::value && K::block % 8 == 0) {
        if constexpr (is_rows<typename Rows::spread>() && is_columns<typename Columns::spread>())
            dot_tf32<Rows, Columns, K>(acc, a, b);
        else if constexpr (is_rows<typename Columns::spread>() && is_columns<typename Rows::spread>())
            dot_tf32<Columns, Rows, K>(acc, b, a);
        else
            dot_threads<Rows, Columns, K>(acc, a, b);
    } else
#endif
#if defined(TW_CUDA)
    if constexpr (IsByte<E1>::value && Same<E1, E2>::value && Same<T, typename ByteSum<E1>::type>::value && K::block % 32 == 0) {
        if constexpr (is_rows<typename Rows::spread>() && is_columns<typename Columns::spread>()) {
#if TW_CUDA == 90
            if constexpr (takes_wgmma<Rows, Columns, K, E1, Bs>() && takes_wgmma_left<Rows, K, E1, As>())
                return dot_wgmma<Rows, Columns, K, E1>(acc, a, b);
            else
#endif
                dot_bytes<Rows, Columns, K, E1>(acc, a, b);
        } else if constexpr (is_rows<typename Columns::spread>() && is_columns<typename Rows::spread>())
            dot_bytes<Columns, Rows, K, E1>(acc, b, a);
        else
            dot_threads<Rows, Columns, K>(acc, a, b);
    } else
#endif
        dot_threads<Rows, Columns, K>(acc, a, b);
}
