// Mathematical functions: within 2 units of the last place on f32 unless said otherwise.

#if defined(__HIP__)
// No device library is linked: range reduction and polynomials of our own over the hardware's exp2 and log2.
TW_DEVICE f32 fused(f32 a, f32 b, f32 c) { return __builtin_fmaf(a, b, c); }
TW_DEVICE f32 floor_of(f32 x) { return __builtin_floorf(x); }
TW_DEVICE f32 ceil_of(f32 x) { return __builtin_ceilf(x); }
TW_DEVICE f32 round_of(f32 x) { return __builtin_rintf(x); }
TW_DEVICE f32 trunc_of(f32 x) { return __builtin_truncf(x); }
TW_DEVICE f32 abs_of(f32 x) { return __builtin_fabsf(x); }
TW_DEVICE f32 sqrt_of(f32 x) { return __builtin_sqrtf(x); }
TW_DEVICE f64 fused(f64 a, f64 b, f64 c) { return __builtin_fma(a, b, c); }
TW_DEVICE f64 floor_of(f64 x) { return __builtin_floor(x); }
TW_DEVICE f64 ceil_of(f64 x) { return __builtin_ceil(x); }
TW_DEVICE f64 round_of(f64 x) { return __builtin_rint(x); }
TW_DEVICE f64 trunc_of(f64 x) { return __builtin_trunc(x); }
TW_DEVICE f64 abs_of(f64 x) { return __builtin_fabs(x); }
TW_DEVICE f64 sqrt_of(f64 x) { return __builtin_sqrt(x); }
#else
TW_DEVICE f32 fused(f32 a, f32 b, f32 c) { return fmaf(a, b, c); }
TW_DEVICE f32 floor_of(f32 x) { return floorf(x); }
TW_DEVICE f32 ceil_of(f32 x) { return ceilf(x); }
TW_DEVICE f32 round_of(f32 x) { return rintf(x); }
TW_DEVICE f32 trunc_of(f32 x) { return truncf(x); }
TW_DEVICE f32 abs_of(f32 x) { return fabsf(x); }
TW_DEVICE f32 sqrt_of(f32 x) { return sqrtf(x); }
TW_DEVICE f64 fused(f64 a, f64 b, f64 c) { return fma(a, b, c); }
TW_DEVICE f64 floor_of(f64 x) { return floor(x); }
TW_DEVICE f64 ceil_of(f64 x) { return ceil(x); }
TW_DEVICE f64 round_of(f64 x) { return rint(x); }
TW_DEVICE f64 trunc_of(f64 x) { return trunc(x); }
TW_DEVICE f64 abs_of(f64 x) { return fabs(x); }
TW_DEVICE f64 sqrt_of(f64 x) { return sqrt(x); }
#endif
template <class T> TW_DEVICE T abs_of(T x) { return x < T(0) ? neg(x) : x; }

#if defined(__HIP__)
// 2^n for n within -252 ..= 254, in two factors so that nothing overflows early.
TW_DEVICE f32 scaled(f32 x, i32 n) {
    i32 half = n >> 1;
    return x * from_bits(u32(half + 127) << 23) * from_bits(u32(n - half + 127) << 23);
}
// Cody and Waite's reduction and a polynomial for exp(r) = 1 + r + r² P(r).
TW_DEVICE f32 exp_of(f32 x) {
    if (x != x) return x;
    f32 c = x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x;
    f32 n = round_of(c * 1.44269504f);
    f32 r = fused(n, 1.904654323e-9f, fused(n, -0.693147182f, c));
    f32 p = fused(fused(fused(fused(0.0013935758f, r, 0.008369089f), r, 0.041666456f), r, 0.16666517f), r, 0.5f);
    return scaled(fused(p, r * r, r) + 1.0f, i32(n));
}
TW_DEVICE f32 exp2_of(f32 x) {
    if (x != x) return x;
    f32 c = x < -151.0f ? -151.0f : x > 129.0f ? 129.0f : x;
    f32 n = round_of(c), r = c - n;
    f32 p = fused(fused(fused(fused(fused(0.00015456358f, r, 0.0013391478f), r, 0.009618077f), r, 0.055503584f), r,
                        0.2402265f), r, 0.6931472f);
    return scaled(fused(p, r, 1.0f), i32(n));
}
// x = m 2^e with m within [sqrt(1/2), sqrt(2)); only for finite x > 0.
TW_DEVICE f32 mantissa_of(f32 x, i32& e) {
    e = 0;
    if (x < 1.17549435e-38f) {
        x *= 16777216.0f;
        e = -24;
    }
    u32 bits = bits_of(x);
    i32 shift = i32(bits - 0x3f3504f3u) >> 23;
    e += shift;
    return from_bits(bits - (u32(shift) << 23));
}
// f64 series: the functions below call it where f32 would lose digits. atanh series of (m - 1)/(m + 1).
TW_DEVICE f64 ln_wide(f32 x) {
    i32 e;
    f64 m = mantissa_of(x, e), s = (m - 1.0) / (m + 1.0), z = s * s;
    f64 p = 1.0 / 15;
    for (int k = 13; k >= 1; k -= 2) p = fused(p, z, 1.0 / k);
    return fused(2.0 * s, p, e * 0.69314718055994530942);
}
TW_DEVICE f32 ln_of(f32 x) {
    if (x != x || x < 0.0f) return from_bits(0x7fc00000u);
    if (x == 0.0f) return from_bits(0xff800000u);
    if (bits_of(x) == 0x7f800000u) return x;
    return f32(ln_wide(x));
}
TW_DEVICE f32 log2_of(f32 x) {
    if (x != x || x < 0.0f) return from_bits(0x7fc00000u);
    if (x == 0.0f) return from_bits(0xff800000u);
    if (bits_of(x) == 0x7f800000u) return x;
    return f32(ln_wide(x) * 1.44269504088896340736);
}
TW_DEVICE f64 exp_wide(f64 x) {
    if (x != x) return x;
    if (x > 709.9) return from_bits(0x7ff0000000000000ull);
    if (x < -745.2) return 0.0;
    f64 n = round_of(x * 1.44269504088896340736);
    f64 r = fused(n, -1.90821492927058770002e-10, fused(n, -6.93147180369123816490e-01, x)), p = 1.0;
    for (int k = 13; k >= 1; --k) p = fused(p * r, 1.0 / k, 1.0);
    i32 whole = i32(n), half = whole >> 1;
    return p * from_bits(u64(half + 1023) << 52) * from_bits(u64(whole - half + 1023) << 52);
}
TW_DEVICE f64 exp_of(f64 x) { return exp_wide(x); }
TW_DEVICE f64 exp2_of(f64 x) { return exp_wide(x * 0.69314718055994530942); }
TW_DEVICE f64 ln_of(f64 x) {
    if (x != x || x < 0.0) return from_bits(0x7ff8000000000000ull);
    if (x == 0.0) return from_bits(0xfff0000000000000ull);
    if (bits_of(x) == 0x7ff0000000000000ull) return x;
    i32 e = 0;
    if (x < 2.2250738585072014e-308) {
        x *= 18014398509481984.0;
        e = -54;
    }
    u64 bits = bits_of(x);
    i32 shift = i32(i64(bits - 0x3fe6a09e667f3bcdull) >> 52);
    e += shift;
    f64 m = from_bits(bits - (u64(i64(shift)) << 52)), s = (m - 1.0) / (m + 1.0), z = s * s, p = 1.0 / 23;
    for (int k = 21; k >= 1; k -= 2) p = fused(p, z, 1.0 / k);
    return fused(2.0 * s, p, e * 0.69314718055994530942);
}
TW_DEVICE f64 log2_of(f64 x) { return ln_of(x) * 1.44269504088896340736; }
// erfc(x) = exp(-x²) times a continued fraction for x >= 2; a series for erf below.
TW_DEVICE f64 erf_of(f64 x) {
    f64 a = abs_of(x), y;
    if (a < 2.5) {
        f64 z = a * a, term = a;
        y = a;
        for (int k = 1; k < 60; ++k) {
            term *= 2.0 * z / (2 * k + 1);
            y += term;
        }
        y *= 1.12837916709551257390 * exp_wide(-z);
    } else {
        f64 f = a;
        for (int k = 60; k >= 1; --k) f = a + 0.5 * k / f;
        y = 1.0 - exp_wide(-a * a) * 0.56418958354775628695 / f;
    }
    return x < 0.0 ? -y : y;
}
TW_DEVICE f64 tail_of(f64 t) {  // Phi(-t), t >= 0
    f64 a = t * 0.70710678118654752440;
    if (a < 2.5) return 0.5 * (1.0 - erf_of(a));
    f64 f = a;
    for (int k = 60; k >= 1; --k) f = a + 0.5 * k / f;
    return 0.5 * exp_wide(-a * a) * 0.56418958354775628695 / f;
}
TW_DEVICE f32 erf_of(f32 x) { return f32(erf_of(f64(x))); }
TW_DEVICE f64 tanh_of(f64 x) {
    f64 a = abs_of(x), y;
    if (a < 0.25) {
        f64 z = a * a;
        y = a * (1.0 + z * (-1.0 / 3 + z * (2.0 / 15 + z * (-17.0 / 315 + z * (62.0 / 2835 + z * (-1382.0 / 155925 + z * (21844.0 / 6081075)))))));
    } else {
        f64 e = exp_wide(-2.0 * a);
        y = (1.0 - e) / (1.0 + e);
    }
    return x < 0.0 ? -y : y;
}
TW_DEVICE f32 tanh_of(f32 x) { return f32(tanh_of(f64(x))); }
// Reduction by pi/2 in f64 (two parts), then Taylor: exact enough for |x| < 1e9.
TW_DEVICE f64 sine(f64 x, int quarter) {
    if (x - x != 0.0) return x - x;
    f64 n = round_of(x * 0.63661977236758134308);
    f64 r = fused(n, -6.12323399573676603587e-17, fused(n, -1.57079632679489655800, x));
    i32 q = i32(i64(n) & 3) + quarter;
    f64 z = r * r, y;
    if (q & 1) {
        y = 1.0;
        for (int k = 20; k >= 2; k -= 2) y = fused(y * z, -1.0 / (k * (k - 1)), 1.0);
    } else {
        y = 1.0;
        for (int k = 21; k >= 3; k -= 2) y = fused(y * z, -1.0 / (k * (k - 1)), 1.0);
        y *= r;
    }
    return q & 2 ? -y : y;
}
TW_DEVICE f64 sin_of(f64 x) { return sine(x, 0); }
TW_DEVICE f64 cos_of(f64 x) { return sine(x, 1); }
TW_DEVICE f32 sin_of(f32 x) { return f32(sine(x, 0)); }
TW_DEVICE f32 cos_of(f32 x) { return f32(sine(x, 1)); }
TW_DEVICE f64 pow_positive(f64 x, f64 y) { return exp_wide(y * ln_of(x)); }
TW_DEVICE f64 pow_of(f64 x, f64 y) {
    if (y == 0.0 || x == 1.0) return 1.0;
    if (x != x || y != y) return x + y;
    bool whole = round_of(y) == y, odd = whole && abs_of(y) < 9007199254740992.0 && (i64(y) & 1);
    f64 a = abs_of(x), r;
    if (a == 0.0) r = y > 0.0 ? 0.0 : from_bits(0x7ff0000000000000ull);
    else if (x < 0.0 && !whole && bits_of(a) != 0x7ff0000000000000ull) return from_bits(0x7ff8000000000000ull);
    else if (a == 1.0) r = 1.0;
    else r = pow_positive(a, y);
    return (bits_of(x) >> 63) && odd ? -r : r;
}
TW_DEVICE f32 pow_of(f32 x, f32 y) { return f32(pow_of(f64(x), f64(y))); }
TW_DEVICE f32 gelu_of(f32 x) {
    if (bits_of(x) == 0xff800000u) return -0.0f;
    f64 t = abs_of(f64(x)), part = t * tail_of(t);
    if (bits_of(x) == 0x7f800000u) return x;
    return x < 0.0f ? f32(-part) : f32(f64(x) - part);
}
#else
TW_DEVICE f32 exp_of(f32 x) { return expf(x); }
TW_DEVICE f32 exp2_of(f32 x) { return exp2f(x); }
TW_DEVICE f32 ln_of(f32 x) { return logf(x); }
TW_DEVICE f32 log2_of(f32 x) { return log2f(x); }
TW_DEVICE f32 sin_of(f32 x) { return sinf(x); }
TW_DEVICE f32 cos_of(f32 x) { return cosf(x); }
TW_DEVICE f32 tanh_of(f32 x) { return tanhf(x); }
TW_DEVICE f32 erf_of(f32 x) { return erff(x); }
TW_DEVICE f32 pow_of(f32 x, f32 y) { return powf(x, y); }
TW_DEVICE f64 exp_of(f64 x) { return exp(x); }
TW_DEVICE f64 exp2_of(f64 x) { return exp2(x); }
TW_DEVICE f64 ln_of(f64 x) { return log(x); }
TW_DEVICE f64 log2_of(f64 x) { return log2(x); }
TW_DEVICE f64 sin_of(f64 x) { return sin(x); }
TW_DEVICE f64 cos_of(f64 x) { return cos(x); }
TW_DEVICE f64 tanh_of(f64 x) { return tanh(x); }
TW_DEVICE f64 erf_of(f64 x) { return erf(x); }
TW_DEVICE f64 pow_of(f64 x, f64 y) { return pow(x, y); }
// x/2 erfc(-x/√2): the tail keeps its digits, and the limit is −0.
TW_DEVICE f32 gelu_of(f32 x) {
    if (x < -14.5f) return -0.0f;
    if (x >= -1.0f) return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    // erfcf(a) of a rounded argument: the rounding error of a shifts it by -2a, relatively.
    f32 a = -x * 0.70710678f, low = fused(-x, 0.70710678f, -a) - x * 1.21016175e-8f;
    return 0.5f * x * fused(erfcf(a), -2.0f * a * low, erfcf(a));
}
#endif

TW_DEVICE f32 recip_of(f32 x) { return 1.0f / x; }
TW_DEVICE f64 recip_of(f64 x) { return 1.0 / x; }
TW_DEVICE f32 rsqrt_of(f32 x) { return f32(1.0 / sqrt_of(f64(x))); }
TW_DEVICE f64 rsqrt_of(f64 x) { return 1.0 / sqrt_of(x); }
template <class T> TW_DEVICE T relu_of(T x) { return x < T(0) ? T(0) : x; }
template <class T> TW_DEVICE T exp_sub(T x, T peak) {
    return peak == Limits<T>::lowest() ? T(0) : exp_of(x - peak);
}
// Through the exponential that cannot overflow.
template <class T> TW_DEVICE T sigmoid_of(T x) {
    T e = exp_of(-abs_of(x));
    return x < T(0) ? e / (T(1) + e) : T(1) / (T(1) + e);
}
template <class T> TW_DEVICE T weighted(T x, T weight) {
    return x == Limits<T>::lowest() ? T(-0.0) : x * weight;
}
template <class T> TW_DEVICE T silu_of(T x) { return weighted(x, sigmoid_of(x)); }
// sigmoid(2 √(2/π) (x + 0.044715 x³)), the argument in two floats: exp would magnify its rounding error.
TW_DEVICE f32 gelu_tanh_of(f32 x) {
    if (abs_of(x) > 20.0f || x != x) return x < 0.0f ? -0.0f : x;
    const f32 c = 1.5957692f, c_low = -4.534068e-8f, a = 0.071354814f, a_low = 2.39883e-9f;
    f32 q = x * x, q_low = fused(x, x, -q);
    f32 m = a * q, m_low = fused(a, q, -m) + fused(a, q_low, a_low * q);
    f32 v = c + m, back = v - c, v_low = (c - (v - back)) + (m - back) + m_low + c_low;
    f32 u = x * v, u_low = fused(x, v, -u) + x * v_low;
    f32 e = exp_of(u < 0.0f ? u : -u);
    e = fused(e, u < 0.0f ? u_low : -u_low, e);
    return u < 0.0f ? x * e / (1.0f + e) : x / (1.0f + e);
}
TW_DEVICE f64 gelu_tanh_of(f64 x) {
    return weighted(x, sigmoid_of(1.59576912160573071176 * (x + 0.044715 * x * x * x)));
}
TW_DEVICE f64 gelu_of(f64 x) {
#if defined(__HIP__)
    f64 t = abs_of(x), part = t * tail_of(t);
    if (bits_of(x) == 0xfff0000000000000ull) return -0.0;
    if (bits_of(x) == 0x7ff0000000000000ull) return x;
    return x < 0.0 ? -part : x - part;
#else
    return weighted(x, 0.5 * erfc(-x * 0.70710678118654752440));
#endif
}
template <class T> TW_DEVICE T remainder_of(T a, T b) { return remainder(a, b); }
#if defined(__HIP__)
TW_DEVICE f64 remainder_of(f64 a, f64 b) {
    if (a - a != 0.0 || b != b || b == 0.0) return from_bits(0x7ff8000000000000ull);
    f64 x = abs_of(a), y = abs_of(b);
    if (y - y != 0.0) return a;
    while (x >= y) {
        i64 gap = i64(bits_of(x) >> 52) - i64(bits_of(y) >> 52);
        f64 step = from_bits(bits_of(y) + (u64(gap) << 52));
        if (step > x) step = from_bits(bits_of(step) - (1ull << 52));
        x -= step;
    }
    return a < 0.0 ? -x : x;
}
TW_DEVICE f32 remainder_of(f32 a, f32 b) { return f32(remainder_of(f64(a), f64(b))); }
#else
TW_DEVICE f32 remainder_of(f32 a, f32 b) { return fmodf(a, b); }
TW_DEVICE f64 remainder_of(f64 a, f64 b) { return fmod(a, b); }
#endif
