// Element types and their arithmetic: total, and the same on every target.
// Compiled by NVRTC (CUDA), clang (HIP) and, with TW_EMULATED, g++ (tests on the CPU). No headers.

#if defined(TW_EMULATED)
#define TW_SHARED(name) unsigned char* name = simt::shared_memory()
#elif defined(__HIP__)
#define TW_SHARED(name) extern __attribute__((shared)) unsigned char name[]
#else
#define TW_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]
#endif
#if defined(TW_EMULATED) || defined(__HIP__)
#define TW_COPY __builtin_memcpy
#else
#define TW_COPY memcpy
#endif
#define TW_DEVICE __device__ __forceinline__
#define TW_UNROLL _Pragma("unroll")
#define TW_PRAGMA(words) _Pragma(#words)
#define TW_UNROLL_BY(n) TW_PRAGMA(unroll n)
#define TW_ROLLED _Pragma("unroll 1")

typedef float f32;
typedef double f64;
typedef signed char i8;
typedef unsigned char u8;
typedef short i16;
typedef unsigned short u16;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

// IEEE half, stored as its bits.
struct f16 {
    u16 bits;
};
// bfloat16, stored as its bits.
struct bf16 {
    u16 bits;
};
// Floats of 8 bits, stored as their bits: 4 of exponent and 3 of mantissa, or 5 and 2.
struct f8e4m3 {
    u8 bits;
};
struct f8e5m2 {
    u8 bits;
};

// Whether two types are one.
template <class A, class B> struct Same { static constexpr bool value = false; };
template <class A> struct Same<A, A> { static constexpr bool value = true; };
// Whether a type has 8 bits and is a float; whether it is shorter than f32, which it computes in.
template <class T> struct IsEighth { static constexpr bool value = Same<T, f8e4m3>::value || Same<T, f8e5m2>::value; };
template <class T> struct IsShort { static constexpr bool value = Same<T, f16>::value || Same<T, bf16>::value || IsEighth<T>::value; };

// The bits of a float, and back.
TW_DEVICE u32 bits_of(f32 x) {
    u32 bits;
    TW_COPY(&bits, &x, 4);
    return bits;
}
TW_DEVICE f32 from_bits(u32 bits) {
    f32 x;
    TW_COPY(&x, &bits, 4);
    return x;
}
TW_DEVICE u64 bits_of(f64 x) {
    u64 bits;
    TW_COPY(&bits, &x, 8);
    return bits;
}
TW_DEVICE f64 from_bits(u64 bits) {
    f64 x;
    TW_COPY(&x, &bits, 8);
    return x;
}

// --- Floats shorter than f32 ---

TW_DEVICE f32 widen(bf16 x) {
    return from_bits(u32(x.bits) << 16);
}

// To nearest even; NaN stays NaN.
TW_DEVICE bf16 narrow_bf16(f32 x) {
    u32 bits = bits_of(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return bf16{u16(bits >> 16 | 0x40u)};
    return bf16{u16((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

TW_DEVICE f32 widen(f16 x) {
#if defined(TW_EMULATED) || defined(__HIP__)
    u32 sign = u32(x.bits & 0x8000u) << 16, rest = x.bits & 0x7fffu;
    if (rest >= 0x7c00u) return from_bits(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    // Scaled through a float whose exponent is 112 too small: subnormals come out right.
    f32 scaled = from_bits(rest << 13) * from_bits(u32(254 - 15) << 23);
    return from_bits(sign | bits_of(scaled));
#else
    f32 y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
#endif
}

// To nearest even; beyond the range infinity.
TW_DEVICE f16 narrow_f16(f32 x) {
#if defined(TW_EMULATED) || defined(__HIP__)
    u32 bits = bits_of(x), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return f16{u16(sign | 0x7e00u)};
    if (rest >= 0x477ff000u) return f16{u16(sign | 0x7c00u)};
    if (rest < 0x38800000u) {
        // A subnormal: adding 1/2 puts its last bit where the float's is.
        u32 small = bits_of(from_bits(rest) + 0.5f) - 0x3f000000u;
        return f16{u16(sign | small)};
    }
    u32 rounded = rest + 0xfffu + (rest >> 13 & 1u);
    return f16{u16(sign | (rounded - 0x38000000u) >> 13)};
#else
    u16 y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y) : "f"(x));
    return f16{y};
#endif
}

// Floats of 8 bits. Infinity, Nan: the first bits that are one; beyond 0x7f there is none.
template <int Mantissa, int Bias, u32 Infinity, u32 Nan> TW_DEVICE f32 widen_eighth(u8 bits) {
    u32 sign = u32(bits & 0x80u) << 24, rest = bits & 0x7fu;
    if (rest >= Nan) return from_bits(0x7fc00000u);
    if (rest >= Infinity) return from_bits(sign | 0x7f800000u);
    // Multiples of the last bit below the first normal number.
    if (rest >> Mantissa == 0) return from_bits(sign | bits_of(f32(rest) * from_bits(u32(128 - Bias - Mantissa) << 23)));
    return from_bits(sign | ((rest << (23 - Mantissa)) + (u32(127 - Bias) << 23)));
}
// To nearest even; a number larger than the largest becomes that. NaN stays NaN.
template <int Mantissa, int Bias, u32 Largest> TW_DEVICE u8 narrow_eighth(f32 x) {
    u32 bits = bits_of(x), sign = bits >> 24 & 0x80u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return 0x7f;
    // Only f8e5m2 has infinities.
    if (Mantissa == 2 && rest == 0x7f800000u) return u8(sign | 0x7c);
    if (rest > Largest) rest = Largest;
    if (rest < u32(128 - Bias) << 23) {
        // The sum's last bit is the last bit of the smallest numbers.
        u32 magic = u32(151 - Bias - Mantissa) << 23;
        return u8(sign | (bits_of(from_bits(rest) + from_bits(magic)) - magic));
    }
    u32 rounded = rest + (1u << (22 - Mantissa)) - 1u + (rest >> (23 - Mantissa) & 1u);
    return u8(sign | ((rounded >> (23 - Mantissa)) - (u32(127 - Bias) << Mantissa)));
}
#if defined(TW_EMULATED) || defined(__HIP__) || TW_CUDA < 89
TW_DEVICE f32 widen(f8e4m3 x) { return widen_eighth<3, 7, 0x80, 0x7f>(x.bits); }
TW_DEVICE f32 widen(f8e5m2 x) { return widen_eighth<2, 15, 0x7c, 0x7d>(x.bits); }
TW_DEVICE f8e4m3 narrow_f8e4m3(f32 x) { return f8e4m3{narrow_eighth<3, 7, 0x43e00000u>(x)}; }
TW_DEVICE f8e5m2 narrow_f8e5m2(f32 x) { return f8e5m2{narrow_eighth<2, 15, 0x47600000u>(x)}; }
#else
TW_DEVICE f32 widen(f8e4m3 x) {
    u32 halves;
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"(u16(x.bits)));
    return widen(f16{u16(halves)});
}
TW_DEVICE f32 widen(f8e5m2 x) { return widen(f16{u16(u16(x.bits) << 8)}); }
TW_DEVICE f8e4m3 narrow_f8e4m3(f32 x) {
    u16 pair;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(x));
    return f8e4m3{u8(pair)};
}
TW_DEVICE f8e5m2 narrow_f8e5m2(f32 x) {
    u16 pair;
    asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(x));
    // Infinities stay, numbers stay finite.
    u32 size = bits_of(x) & 0x7fffffffu;
    return f8e5m2{size == 0x7f800000u ? u8((pair & 0x80) | 0x7c) : u8(pair)};
}
#endif

// An f32 rounded to a shorter float.
template <class To> struct Narrow;
template <> struct Narrow<f16> {
    static TW_DEVICE f16 of(f32 x) { return narrow_f16(x); }
};
template <> struct Narrow<bf16> {
    static TW_DEVICE bf16 of(f32 x) { return narrow_bf16(x); }
};
template <> struct Narrow<f8e4m3> {
    static TW_DEVICE f8e4m3 of(f32 x) { return narrow_f8e4m3(x); }
};
template <> struct Narrow<f8e5m2> {
    static TW_DEVICE f8e5m2 of(f32 x) { return narrow_f8e5m2(x); }
};

// f64 to f32 such that rounding again to fewer bits is as if from f64: to odd.
TW_DEVICE f32 round_to_odd(f64 x) {
    f32 near = f32(x);
    // An infinity or NaN less itself is NaN. What only f32 has no room for becomes its largest number.
    if (f64(near) == x || x - x != 0.0) return near;
    u32 bits = bits_of(near);
    if (bits & 1u) return near;
    // Towards x in size, which is one step in the bits; 0 takes the sign of x.
    f64 size = x < 0.0 ? -x : x, near_size = near < 0.0f ? -f64(near) : f64(near);
    bits |= x < 0.0 ? 0x80000000u : 0u;
    return from_bits(near_size > size ? bits - 1u : bits + 1u);
}

// --- Integers: they wrap; x / 0 and x % 0 are 0; shift amounts are masked ---

template <class T> struct Unsigned {
    typedef T type;
};
template <> struct Unsigned<i8> {
    typedef u32 type;
};
template <> struct Unsigned<i16> {
    typedef u32 type;
};
template <> struct Unsigned<u8> {
    typedef u32 type;
};
template <> struct Unsigned<u16> {
    typedef u32 type;
};
template <> struct Unsigned<i32> {
    typedef u32 type;
};
template <> struct Unsigned<i64> {
    typedef u64 type;
};

template <class T> TW_DEVICE T add(T a, T b) {
    typedef typename Unsigned<T>::type U;
    return T(U(a) + U(b));
}
template <class T> TW_DEVICE T sub(T a, T b) {
    typedef typename Unsigned<T>::type U;
    return T(U(a) - U(b));
}
template <class T> TW_DEVICE T mul(T a, T b) {
    typedef typename Unsigned<T>::type U;
    return T(U(a) * U(b));
}
template <class T> TW_DEVICE T neg(T a) {
    typedef typename Unsigned<T>::type U;
    return T(U(0) - U(a));
}
template <class T> TW_DEVICE T quotient(T a, T b) {
    if (b == 0) return 0;
    if (b == T(-1)) return T(-1) < T(0) ? neg(a) : T(a / b);
    return a / b;
}
template <class T> TW_DEVICE T remainder(T a, T b) {
    if (b == 0 || (T(-1) < T(0) && b == T(-1))) return 0;
    return a % b;
}
template <class T> TW_DEVICE T shl(T a, T b) {
    typedef typename Unsigned<T>::type U;
    return T(U(a) << (U(b) & U(8 * sizeof(T) - 1)));
}
template <class T> TW_DEVICE T shr(T a, T b) {
    return T(a >> (b & T(8 * sizeof(T) - 1)));
}
TW_DEVICE f32 add(f32 a, f32 b) { return a + b; }
TW_DEVICE f64 add(f64 a, f64 b) { return a + b; }
TW_DEVICE f32 mul(f32 a, f32 b) { return a * b; }
TW_DEVICE f64 mul(f64 a, f64 b) { return a * b; }
TW_DEVICE bool add(bool a, bool b) { return a || b; }
TW_DEVICE bool mul(bool a, bool b) { return a && b; }

// --- Largest and smallest: NaN wins ---

template <class T> TW_DEVICE T max_of(T a, T b) {
    if constexpr (IsShort<T>::value) return widen(a) != widen(a) || widen(a) > widen(b) ? a : b;
    else return a < b ? b : a;
}
template <class T> TW_DEVICE T min_of(T a, T b) {
    if constexpr (IsShort<T>::value) return widen(a) != widen(a) || widen(a) < widen(b) ? a : b;
    else return b < a ? b : a;
}
TW_DEVICE f32 max_of(f32 a, f32 b) { return a != a || a > b ? a : b; }
TW_DEVICE f32 min_of(f32 a, f32 b) { return a != a || a < b ? a : b; }
TW_DEVICE f64 max_of(f64 a, f64 b) { return a != a || a > b ? a : b; }
TW_DEVICE f64 min_of(f64 a, f64 b) { return a != a || a < b ? a : b; }

// --- Comparisons of shorter floats go through f32 ---

template <class T> TW_DEVICE auto wide(T x) {
    if constexpr (IsShort<T>::value) return widen(x);
    else return x;
}

// --- Conversions: to nearest even, float to integer saturates and NaN is 0 ---

template <class To, class From> struct Cast {
    static TW_DEVICE To of(From x) { return To(x); }
};
// From float to an integer of at most 64 bits.
template <class To, class From> TW_DEVICE To saturate(From x, From low, From above, To lowest, To highest) {
    if (x != x) return 0;
    if (x < low) return lowest;
    if (x >= above) return highest;
    return To(x);
}
#define TW_SATURATE(To, low, above, lowest, highest) \
    template <> struct Cast<To, f32> { \
        static TW_DEVICE To of(f32 x) { return saturate<To, f32>(x, low, above, lowest, highest); } \
    }; \
    template <> struct Cast<To, f64> { \
        static TW_DEVICE To of(f64 x) { return saturate<To, f64>(x, low, above, lowest, highest); } \
    };
TW_SATURATE(i8, -128, 128, -128, 127)
TW_SATURATE(u8, 0, 256, 0, 255)
TW_SATURATE(i16, -32768, 32768, -32768, 32767)
TW_SATURATE(u16, 0, 65536, 0, 65535)
TW_SATURATE(i32, -2147483648.0f, 2147483648.0f, -2147483647 - 1, 2147483647)
TW_SATURATE(u32, 0, 4294967296.0f, 0, 4294967295u)
TW_SATURATE(i64, -9223372036854775808.0f, 9223372036854775808.0f, -9223372036854775807ll - 1, 9223372036854775807ll)
template <> struct Cast<bool, f32> {
    static TW_DEVICE bool of(f32 x) { return x != 0; }
};
template <> struct Cast<bool, f64> {
    static TW_DEVICE bool of(f64 x) { return x != 0; }
};
// Into a shorter float everything goes through an f32 that was rounded to odd where f32 is too short.
template <class From> struct ToFloat {
    static TW_DEVICE f32 of(From x) { return f32(x); }
};
template <> struct ToFloat<f64> {
    static TW_DEVICE f32 of(f64 x) { return round_to_odd(x); }
};
template <> struct ToFloat<i32> {
    static TW_DEVICE f32 of(i32 x) { return round_to_odd(f64(x)); }
};
template <> struct ToFloat<u32> {
    static TW_DEVICE f32 of(u32 x) { return round_to_odd(f64(x)); }
};
template <> struct ToFloat<i64> {
    static TW_DEVICE f32 of(i64 x) {
        // The low half only says whether there is more below.
        u64 size = x < 0 ? u64(0) - u64(x) : u64(x);
        if (size >> 52) size = size >> 12 << 12 | u64((size & 0xfff) != 0) << 12;
        f32 y = round_to_odd(f64(size));
        return x < 0 ? -y : y;
    }
};
template <class To, class From> TW_DEVICE To cast(From x) {
    if constexpr (Same<To, From>::value) return x;
    else if constexpr (IsShort<From>::value) return cast<To>(widen(x));
    else if constexpr (IsShort<To>::value) return Narrow<To>::of(ToFloat<From>::of(x));
    else return Cast<To, From>::of(x);
}

// --- Lowest and highest values: identities of max and min ---

template <class T> struct Limits {
    static constexpr T lowest() { return T(-1) < T(0) ? T(T(1) << (8 * sizeof(T) - 1)) : T(0); }
    static constexpr T highest() { return T(~lowest()); }
};
template <> struct Limits<bool> {
    static TW_DEVICE bool lowest() { return false; }
    static TW_DEVICE bool highest() { return true; }
};
template <> struct Limits<f32> {
    static TW_DEVICE f32 lowest() { return from_bits(0xff800000u); }
    static TW_DEVICE f32 highest() { return from_bits(0x7f800000u); }
};
template <> struct Limits<f64> {
    static TW_DEVICE f64 lowest() { return from_bits(0xfff0000000000000ull); }
    static TW_DEVICE f64 highest() { return from_bits(0x7ff0000000000000ull); }
};
template <> struct Limits<f16> {
    static TW_DEVICE f16 lowest() { return f16{0xfc00}; }
    static TW_DEVICE f16 highest() { return f16{0x7c00}; }
};
template <> struct Limits<bf16> {
    static TW_DEVICE bf16 lowest() { return bf16{0xff80}; }
    static TW_DEVICE bf16 highest() { return bf16{0x7f80}; }
};
template <> struct Limits<f8e4m3> {
    static TW_DEVICE f8e4m3 lowest() { return f8e4m3{0xfe}; }
    static TW_DEVICE f8e4m3 highest() { return f8e4m3{0x7e}; }
};
template <> struct Limits<f8e5m2> {
    static TW_DEVICE f8e5m2 lowest() { return f8e5m2{0xfc}; }
    static TW_DEVICE f8e5m2 highest() { return f8e5m2{0x7c}; }
};
