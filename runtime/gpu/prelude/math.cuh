// Mathematical functions: within 2 units of the last place on f32 unless said otherwise.

#if !defined(__HIP__) && !defined(TW_AMD)
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

#if !defined(__HIP__) && !defined(TW_AMD)
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
TW_DEVICE f64 gelu_of(f64 x) {
    f64 y = x < -50.0 ? 50.0 : x > 50.0 ? -50.0 : -x, a = y * 0.70710678118654752440;
    f64 low = fused(y, 0.70710678118654752440, -a) - y * 4.833646656726457e-17;
    // As above, with erfc's own slope.
    f64 tail = 0.5 * (erfc(a) - 1.12837916709551257390 * exp(-a * a) * low);
    return x < -50.0 ? -0.0 : x * tail;
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
template <class T> TW_DEVICE T silu_of(T x) {
    // Where exp(x) has no digits left, x times it has.
    if (x < T(sizeof(T) == 4 ? -87.0 : -708.0)) {
        T half = exp_of(x * T(0.5));
        return x == Limits<T>::lowest() ? T(-0.0) : x * half * half;
    }
    return weighted(x, sigmoid_of(x));
}
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
template <class T> TW_DEVICE T remainder_of(T a, T b) { return remainder(a, b); }
#if !defined(__HIP__) && !defined(TW_AMD)
TW_DEVICE f32 remainder_of(f32 a, f32 b) { return fmodf(a, b); }
TW_DEVICE f64 remainder_of(f64 a, f64 b) { return fmod(a, b); }
#endif
