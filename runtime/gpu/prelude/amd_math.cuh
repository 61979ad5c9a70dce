// AMD's mathematical functions: no device library is linked, so range reduction and polynomials of our own,
// within 1 unit of the last place on f32 and 4 on f64 (gelu 7).

#if defined(__HIP__) || defined(TW_AMD)
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

TW_DEVICE f64 not_a_number() { return from_bits(0x7ff8000000000000ull); }
TW_DEVICE f64 infinity() { return from_bits(0x7ff0000000000000ull); }

// --- Exponentials ---

// 2^n for n within -252 ..= 254, in two factors so that nothing overflows early.
TW_DEVICE f32 scaled(f32 x, i32 n) {
    i32 half = n >> 1;
    return x * from_bits(u32(half + 127) << 23) * from_bits(u32(n - half + 127) << 23);
}
// For n within -2044 ..= 2046.
TW_DEVICE f64 scaled(f64 x, i32 n) {
    i32 half = n >> 1;
    return x * from_bits(u64(half + 1023) << 52) * from_bits(u64(n - half + 1023) << 52);
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
// exp(r) - 1 for |r| < 0.8: Taylor.
TW_DEVICE f64 exp_less_one(f64 r) {
    f64 p = 1.0;
    for (int k = 19; k >= 2; --k) p = fused(p * r, 1.0 / k, 1.0);
    return p * r;
}
// exp(x + low), low being far smaller than x.
TW_DEVICE f64 exp_of(f64 x, f64 low) {
    if (x != x) return x;
    if (x > 709.9) return infinity();
    if (x < -745.2) return 0.0;
    f64 n = round_of(x * 1.44269504088896340736);
    f64 r = fused(n, -1.90821492927058770002e-10, fused(n, -6.93147180369123816490e-01, x));
    return scaled(1.0 + exp_less_one(r + low), i32(n));
}
TW_DEVICE f64 exp_of(f64 x) { return exp_of(x, 0.0); }
TW_DEVICE f64 exp2_of(f64 x) {
    if (x != x) return x;
    if (x > 1024.5) return infinity();
    if (x < -1075.5) return 0.0;
    f64 n = round_of(x);
    return scaled(1.0 + exp_less_one((x - n) * 0.69314718055994530942), i32(n));
}
// exp(-x²): the rounding error of x² would be magnified by it.
TW_DEVICE f64 bell(f64 x) {
    f64 z = x * x;
    return exp_of(-z, z < 800.0 ? -fused(x, x, -z) : 0.0);
}

// --- Logarithms ---

// ln(x) as a sum of two, for finite x > 0: x = m 2^e with m within [sqrt(1/2), sqrt(2)), and the series of
// atanh((m - 1)/(m + 1)).
TW_DEVICE f64 ln_of(f64 x, f64& low) {
    i32 e = 0;
    if (x < 2.2250738585072014e-308) {
        x *= 18014398509481984.0;
        e = -54;
    }
    u64 bits = bits_of(x);
    i32 shift = i32(i64(bits - 0x3fe6a09e667f3bcdull) >> 52);
    e += shift;
    f64 m = from_bits(bits - (u64(i64(shift)) << 52)), over = m - 1.0, under = m + 1.0, s = over / under;
    f64 s_low = (fused(-s, under, over) - s * (m - (under - 1.0))) / under;
    f64 z = s * s, z_low = fused(s, s, -z) + 2.0 * s * s_low, p = 1.0 / 25;
    for (int k = 23; k >= 5; k -= 2) p = fused(p, z, 1.0 / k);
    // s + s (z/3 + z² p)
    f64 third = z * (1.0 / 3), third_low = fused(-3.0, third, z) * (1.0 / 3) + z_low * (1.0 / 3) + z * z * p;
    f64 term = s * third, term_low = fused(s, third, -term) + s * third_low + s_low * third;
    // Largest first: e ln 2, whose upper part is exact, s, the series.
    f64 big = e * 6.93147180369123816490e-01, first = big + 2.0 * s;
    f64 first_low = e != 0 ? 2.0 * s - (first - big) : 0.0;
    f64 sum = first + 2.0 * term, sum_low = 2.0 * term - (sum - first);
    low = sum_low + (first_low + (2.0 * (s_low + term_low) + e * 1.90821492927058770002e-10));
    return sum;
}
TW_DEVICE bool has_ln(f64 x) { return x > 0.0 && x < infinity(); }
TW_DEVICE f64 ln_of_no_number(f64 x) { return x == 0.0 ? -infinity() : x > 0.0 ? x : not_a_number(); }
TW_DEVICE f64 ln_of(f64 x) {
    if (!has_ln(x)) return ln_of_no_number(x);
    f64 low, high = ln_of(x, low);
    return high + low;
}
TW_DEVICE f64 log2_of(f64 x) {
    if (!has_ln(x)) return ln_of_no_number(x);
    f64 low, high = ln_of(x, low), log2_e = 1.44269504088896340736, y = high * log2_e;
    return y + (fused(high, log2_e, -y) + low * log2_e + high * 2.0355273740931033e-17);
}
// Enough for f32: the same series, shorter.
TW_DEVICE f64 ln_short(f32 x) {
    if (!has_ln(x)) return ln_of_no_number(x);
    u64 bits = bits_of(f64(x));
    i32 e = i32(i64(bits - 0x3fe6a09e667f3bcdull) >> 52);
    f64 m = from_bits(bits - (u64(i64(e)) << 52)), s = (m - 1.0) / (m + 1.0), z = s * s, p = 1.0 / 13;
    for (int k = 11; k >= 1; k -= 2) p = fused(p, z, 1.0 / k);
    return fused(2.0 * s, p, e * 0.69314718055994530942);
}
TW_DEVICE f32 ln_of(f32 x) { return f32(ln_short(x)); }
TW_DEVICE f32 log2_of(f32 x) { return f32(ln_short(x) * 1.44269504088896340736); }

// Wide: as exact as f64.
template <bool Wide> TW_DEVICE f64 power(f64 x, f64 y) {
    if (y == 0.0 || x == 1.0) return 1.0;
    if (x != x || y != y) return x + y;
    bool whole = round_of(y) == y, odd = whole && abs_of(y) < 9007199254740992.0 && (i64(y) & 1);
    f64 a = abs_of(x), r;
    if (a == 0.0 || a == infinity()) r = (a == 0.0) == (y > 0.0) ? 0.0 : infinity();
    else if (x < 0.0 && !whole) return not_a_number();
    else if (a == 1.0) r = 1.0;
    else if (!Wide) r = exp_of(y * ln_short(f32(a)));
    else {
        f64 low, high = ln_of(a, low), product = y * high;
        r = exp_of(product, abs_of(product) < 800.0 ? fused(y, high, -product) + y * low : 0.0);
    }
    return (bits_of(x) >> 63) && odd ? -r : r;
}
TW_DEVICE f64 pow_of(f64 x, f64 y) { return power<true>(x, y); }
TW_DEVICE f32 pow_of(f32 x, f32 y) { return f32(power<false>(x, y)); }

// --- The normal distribution ---

// exp(a²) erfc(a) for a >= 0: a polynomial in (a - 3.75)/(a + 3.75), after Shepherd and Laframboise, "Chebyshev
// approximation of (1 + 2x) exp(x²) erfc x", 1981.
__device__ const f64 erfc_terms[] = {
    1.2375126308378275, -0.14024059858554697, 0.0035854154854644293, 0.0822767384901452,
    -0.10880393014174886, 0.09230432116037748, -0.05869339858963677, 0.028362277418956406,
    -0.009746579558029276, 0.0017556258528952954, 0.0002937136655913448, -0.0002901540805408417,
    5.164909889268241e-05, 2.238423915508223e-05, -1.1444146237700524e-05, -9.73559896736775e-07,
    1.751637648849062e-06, -5.7218230603224086e-08, -2.5866850716155884e-07, 2.3263508708859124e-08,
    3.8675334242222354e-08, -3.744210080962018e-09, -5.1739902140113095e-09, 3.1114333809799254e-10,
    4.2514714447963895e-10};
TW_DEVICE f64 erfc_over_bell(f64 a) {
    f64 t = (a - 3.75) / (a + 3.75), p = erfc_terms[24];
    for (int k = 23; k >= 0; --k) p = fused(p, t, erfc_terms[k]);
    return p / fused(2.0, a, 1.0);
}
TW_DEVICE f64 erf_of(f64 x) {
    if (x != x) return x;
    f64 a = abs_of(x), y;
    if (a < 1.0) {
        f64 z = a * a, sum = 1.0;
        for (int k = 26; k >= 1; --k) sum = fused(sum, z * (2.0 / (2 * k + 1)), 1.0);
        y = a * sum * 1.12837916709551257390 * bell(a);
    } else {
        y = a < 6.0 ? 1.0 - bell(a) * erfc_over_bell(a) : 1.0;
    }
    return x < 0.0 ? -y : y;
}
TW_DEVICE f32 erf_of(f32 x) { return f32(erf_of(f64(x))); }
// x times the probability of less than x.
TW_DEVICE f64 gelu_of(f64 x) {
    if (x != x) return x;
    // The probability of more than t: exp(-t²/2) in two parts, for it would magnify the rounding error of t².
    f64 t = abs_of(x) < 40.0 ? abs_of(x) : 40.0, z = t * t;
    f64 tail = 0.5 * exp_of(-0.5 * z, -0.5 * fused(t, t, -z)) * erfc_over_bell(t * 0.70710678118654752440);
    return x < 0.0 ? -t * tail : x - t * tail;
}
TW_DEVICE f32 gelu_of(f32 x) { return f32(gelu_of(f64(x))); }
TW_DEVICE f64 tanh_of(f64 x) {
    f64 a = abs_of(x), y;
    if (a < 0.35) {
        f64 e = exp_less_one(2.0 * a);
        y = e / (2.0 + e);
    } else {
        f64 e = exp_of(-2.0 * a);
        y = (1.0 - e) / (1.0 + e);
    }
    return x < 0.0 ? -y : y == y ? y : x;
}
TW_DEVICE f32 tanh_of(f32 x) { return f32(tanh_of(f64(x))); }

// --- Sine and cosine ---

// The bits of 2/π behind 64 zeros.
__device__ const u64 two_over_pi[] = {
    0x0000000000000000ull, 0xa2f9836e4e441529ull, 0xfc2757d1f534ddc0ull, 0xdb6295993c439041ull,
    0xfe5163abdebbc561ull, 0xb7246e3a424dd2e0ull, 0x06492eea09d1921cull, 0xfe1deb1cb129a73eull,
    0xe88235f52ebb4484ull, 0xe99c7026b45f7e41ull, 0x3991d639835339f4ull, 0x9c845f8bbdf9283bull,
    0x1ff897ffde05980full, 0xef2f118b5a0a6d1full, 0x6d367ecf27cb09b7ull, 0x4f463f669e5fea2dull,
    0x7527bac7ebe5f17bull, 0x3d0739f78a5292eaull, 0x6bfb5fb11f8d5d08ull, 0x56033046fc7b6babull,
    0xf0cfbc209af4361dull};

// x = q π/2 + r with |r| <= π/4, for any finite x: gives r, and q modulo 4.
TW_DEVICE f64 quadrant(f64 x, i32& q) {
    f64 a = abs_of(x);
    if (a < 1073741824.0) {
        // Cody and Waite: π/2 in two parts.
        f64 n = round_of(x * 0.63661977236758134308);
        q = i32(i64(n) & 3);
        return fused(n, -6.12323399573676603587e-17, fused(n, -1.57079632679489655800, x));
    }
    // Payne and Hanek: a = m 2^e, times those bits of 2/π that are worth less than 4 and more than 2^-137.
    typedef unsigned __int128 u128;
    u64 bits = bits_of(a), m = (bits & 0xfffffffffffffull) | 1ull << 52;
    i32 from = i32(bits >> 52) - 1075 - 2 + 64, word = from >> 6, shift = from & 63;
    u64 part[3];
    for (int i = 0; i < 3; ++i) {
        u64 high = two_over_pi[word + i], low = two_over_pi[word + i + 1];
        part[i] = shift ? high << shift | low >> (64 - shift) : high;
    }
    u128 low = u128(m) * part[2], middle = u128(m) * part[1] + u64(low >> 64);
    u64 top = m * part[0] + u64(middle >> 64);
    q = i32(top >> 62);
    // What is behind the binary point, and rounded to the nearest.
    u64 rest = u64(middle), first = top << 2 | rest >> 62, second = rest << 2 | u64(low) >> 62;
    bool is_over = first >> 63;
    if (is_over) {
        second = 0 - second;
        first = ~first + (second == 0);
        q = (q + 1) & 3;
    }
    i32 zeros = first ? __builtin_clzll(first) : 63;
    u64 digits = zeros ? first << zeros | second >> (64 - zeros) : first;
    f64 r = f64(digits) * 1.57079632679489661923 * from_bits(u64(1023 - 64 - zeros) << 52);
    if (is_over) r = -r;
    if (x < 0.0) q = -q & 3;
    return x < 0.0 ? -r : r;
}
TW_DEVICE f64 sine(f64 x, i32 quarter) {
    if (x - x != 0.0) return x - x;
    i32 q;
    f64 r = quadrant(x, q), z = r * r, y = 1.0;
    q += quarter;
    if (q & 1) {
        for (int k = 20; k >= 2; k -= 2) y = fused(y * z, -1.0 / (k * (k - 1)), 1.0);
    } else {
        for (int k = 21; k >= 3; k -= 2) y = fused(y * z, -1.0 / (k * (k - 1)), 1.0);
        y *= r;
    }
    return q & 2 ? -y : y;
}
TW_DEVICE f64 sin_of(f64 x) { return sine(x, 0); }
TW_DEVICE f64 cos_of(f64 x) { return sine(x, 1); }
TW_DEVICE f32 sin_of(f32 x) { return f32(sine(x, 0)); }
TW_DEVICE f32 cos_of(f32 x) { return f32(sine(x, 1)); }

// --- Remainder ---

TW_DEVICE f64 remainder_of(f64 a, f64 b) {
    if (a - a != 0.0 || b != b || b == 0.0) return not_a_number();
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
#endif
