// Reductions along an axis: in registers, between the threads of a warp, between warps.

#if defined(TW_EMULATED)
// Whether this thread wrote to shared memory since its last fence, for this turn of a ring or for later ones,
// and whether it met the others before the fence.
struct Unfenced {
    bool value, later, met;
};
#endif

// Waits for all threads of the program.
TW_DEVICE void sync_program() {
#if defined(TW_EMULATED)
    Unfenced& unfenced = simt::thread_state<Unfenced>();
    unfenced.met = unfenced.value;
#endif
#if !TW_PRODUCERS
    __syncthreads();
#elif defined(TW_EMULATED)
    simt::barrier(1, TW_THREADS);
#else
    asm volatile("bar.sync 1, %0;" ::"n"(TW_THREADS) : "memory");
#endif
}

// Before the next program may write to shared memory what this one reads.
TW_DEVICE void end_program() {
#if TW_PERSISTENT
    sync_program();
#endif
}

[[maybe_unused]] constexpr int warp_bits = TW_WARP == 64 ? 6 : 5;

// v of the thread whose lane differs in the bits of `mask`.
template <class T> TW_DEVICE T other_lane(T v, int mask) {
    union Words {
        T whole;
        u32 part[(sizeof(T) + 3) / 4];
        TW_DEVICE Words() {}
    } words;
    TW_UNROLL for (int i = 0; i < int((sizeof(T) + 3) / 4); ++i) words.part[i] = 0;
    TW_COPY(&words, &v, sizeof(T));
    TW_UNROLL for (int i = 0; i < int((sizeof(T) + 3) / 4); ++i) {
#if defined(__HIP__)
        words.part[i] = __builtin_amdgcn_ds_bpermute(((threadIdx.x ^ mask) & (TW_WARP - 1)) << 2, words.part[i]);
#else
        words.part[i] = __shfl_xor_sync(0xffffffffu, words.part[i], mask);
#endif
    }
    T w;
    TW_COPY(&w, &words, sizeof(T));
    return w;
}

// v of the thread whose number differs in bit `at`.
template <class T> TW_DEVICE T other_thread(T v, int at, T* shared) {
    if (at < warp_bits) return other_lane(v, 1 << at);
    sync_program();
    shared[threadIdx.x] = v;
    sync_program();
    return shared[threadIdx.x ^ (1u << at)];
}

// Folds `tile` along axis A with `combine`, which is associative; `scratch` is shared memory for one T a
// thread. Elements beyond the axis' end are `identity`. Every thread gets the result.
// Ordered: lower positions stay on the left; else registers go first, which is faster.
template <bool Ordered, class A, class As, class To, class E, class T, class Combine>
TW_DEVICE void reduce(Tile<T, To>& result, const Tile<E, As>& tile, const A& axis, T identity, unsigned char* scratch,
                      Combine combine) {
    typedef typename A::spread S;
    T* shared = reinterpret_cast<T*>(scratch);
    each(To, i) {
        T part[A::registers];
        TW_UNROLL for (int r = 0; r < A::registers; ++r)
            part[r] = axis.has(r) ? cast<T>(tile[As::template join<A, To>(i, r)]) : identity;
        int n = A::registers;
        if (!Ordered) {
            TW_UNROLL for (int r = 1; r < A::registers; ++r) part[0] = combine(part[0], part[r]);
            n = 1;
        }
        TW_UNROLL for (int bit = 0; bit < S::bits; ++bit) {
            const int at = S::table[bit];
            if (at == R && Ordered) {
                // The lowest register bit that is left.
                n /= 2;
                TW_UNROLL for (int r = 0; r < A::registers / 2; ++r)
                    if (r < n) part[r] = combine(part[2 * r], part[2 * r + 1]);
            }
            if (at != R) {
                TW_UNROLL for (int r = 0; r < A::registers; ++r) {
                    if (r < n) {
                        T other = other_thread(part[r], at, shared);
                        part[r] = threadIdx.x >> at & 1u ? combine(other, part[r]) : combine(part[r], other);
                    }
                }
            }
        }
        result[i] = part[0];
    }
    // The next one may use the same scratch memory.
    if (S::threads >> warp_bits) sync_program();
}

// An element and where it is, for argmax and argmin.
template <class T> struct Found {
    T value;
    int index;
};
// The greater, of equals the lower index; NaN is greatest.
template <class T> TW_DEVICE Found<T> greater(Found<T> a, Found<T> b) {
    auto x = wide(a.value), y = wide(b.value);
    if (a.index < 0 || b.index < 0) return a.index < 0 ? b : a;
    if (x != x || y != y) return (x != x) && (y == y || a.index < b.index) ? a : b;
    if (x == y) return a.index < b.index ? a : b;
    return x > y ? a : b;
}
// The smaller, of equals the lower index; NaN is smallest.
template <class T> TW_DEVICE Found<T> smaller_of(Found<T> a, Found<T> b) {
    auto x = wide(a.value), y = wide(b.value);
    if (a.index < 0 || b.index < 0) return a.index < 0 ? b : a;
    if (x != x || y != y) return (x != x) && (y == y || a.index < b.index) ? a : b;
    if (x == y) return a.index < b.index ? a : b;
    return x < y ? a : b;
}
