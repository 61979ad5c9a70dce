"""Derives the polynomial coefficients in this folder. Needs mpmath.

Each polynomial interpolates at Chebyshev nodes, weighted so that the relative error of the result is
level, and its coefficients are rounded to f32 from the lowest up, the rest fitted again each time, so
that later coefficients make up for the rounding of earlier ones.
"""
import struct
import mpmath as mp

mp.mp.dps = 60


def f32(x):
    return mp.mpf(struct.unpack("f", struct.pack("f", float(x)))[0])


def f64(x):
    return mp.mpf(float(x))


def fit(f, weight, lo, hi, degree, rounded=f32, fixed=()):
    """Coefficients c of sum c_i x^i ~ f, least squares of weight(x) * error at many Chebyshev nodes."""
    n = 4 * degree + 20
    nodes = [(lo + hi) / 2 + (hi - lo) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    rows = [(x, f(x), weight(x)) for x in nodes]
    done = [mp.mpf(c) for c in fixed]
    while len(done) <= degree:
        rest = range(len(done), degree + 1)
        a = mp.matrix(n, len(rest))
        b = mp.matrix(n, 1)
        for i, (x, y, w) in enumerate(rows):
            b[i] = w * (y - sum(c * x**k for k, c in enumerate(done)))
            for j, k in enumerate(rest):
                a[i, j] = w * x**k
        done.append(rounded(mp.lu_solve(a, b)[0]))
    dense = [lo + (hi - lo) * i / 400 for i in range(401)]
    error = max(abs(weight(x) * (sum(c * x**k for k, c in enumerate(done)) - f(x))) for x in dense)
    return done, error


def show(name, result):
    coefficients, error = result
    print(f"{name}: weighted error 2^{float(mp.log(error, 2)):.1f}")
    for c in coefficients:
        print(f"    {float(c)!r},")


def near(f, x):
    """f near a removable singularity at 0."""
    return f(x if abs(x) > mp.mpf(10) ** -20 else mp.mpf(10) ** -20)


half = mp.mpf(1) / 2
ln2 = mp.log(2)
# exp(r) = 1 + r + r^2 P(r)
show("exp", fit(lambda r: near(lambda r: (mp.exp(r) - 1 - r) / r**2, r), lambda r: r**2 + mp.mpf(1e-9), -ln2 / 2, ln2 / 2, 4))
# exp(r) = 1 + r + r^2 P(r), of a sixteenth of a power of two
show("exp near", fit(lambda r: near(lambda r: (mp.exp(r) - 1 - r) / r**2, r), lambda r: r**2 + mp.mpf(1e-9), -ln2 / 32, ln2 / 32, 1))
# 2^(k/16)
print("powers", ", ".join(repr(float(f32(mp.mpf(2) ** (mp.mpf(k) / 16)))) for k in range(16)))
# 2^r = 1 + r P(r)
show("exp2", fit(lambda r: near(lambda r: (2**r - 1) / r, r), lambda r: abs(r) + mp.mpf(1e-3), -half, half, 5))
# ln(1 + f) = f + f^2 P(f)
lo, hi = mp.sqrt(half) - 1, mp.sqrt(2) - 1
show("ln", fit(lambda f: near(lambda f: (mp.log(1 + f) - f) / f**2, f), lambda f: abs(f) + mp.mpf(1e-3), lo, hi, 8))
# log2(1 + f) = f (c + lo + f P(f)), c = log2(e) rounded to f32
c = f32(1 / ln2)
print("log2 c", float(c), "lo", float(f32(1 / ln2 - c)))
show("log2", fit(lambda f: near(lambda f: (mp.log(1 + f) / ln2 - f / ln2) / f**2, f), lambda f: abs(f) + mp.mpf(1e-3), lo, hi, 8))
# sin(r) = r + r^3 P(r^2), cos(r) = 1 - r^2/2 + r^4 P(r^2)
q = (mp.pi / 4 + mp.mpf(1e-4)) ** 2
show("sin", fit(lambda z: near(lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, z), lambda z: z + mp.mpf(1e-4), mp.mpf(0), q, 3))
show("cos", fit(lambda z: near(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, z), lambda z: z**2 + mp.mpf(1e-4), mp.mpf(0), q, 3))
# tanh(x) = x + x^3 P(x^2) for |x| < 0.625
show("tanh", fit(lambda z: near(lambda z: (mp.tanh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, z), lambda z: z + mp.mpf(1e-4), mp.mpf(0), mp.mpf(0.63) ** 2, 5))
# erf(x) = x + x P(x^2) for |x| < 1
show("erf", fit(lambda z: near(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, z), lambda z: mp.mpf(1), mp.mpf(0), mp.mpf(1), 7))
# erfc(x) = exp(-P(x)) for 1 <= x <= 4
show("erfc", fit(lambda x: -mp.log(mp.erfc(x)), lambda x: mp.erfc(x), mp.mpf(1), mp.mpf(4), 8))


# t Phi(-t) = exp(-t^2/2) P(1/t^2), the tail of the normal distribution
def tail(u):
    return mp.exp(1 / u / 2) * mp.erfc(1 / mp.sqrt(2 * u)) / 2 / mp.sqrt(u)


show("tail", fit(tail, lambda u: 1 / tail(u), 1 / mp.mpf("14.51") ** 2, 1 / mp.mpf("3.74") ** 2, 6))


def show_pieces(name, f, width=half):
    """f(k width + s) = P_k(s) for |s| <= width/2; printed by degree, one entry for each k."""
    pieces = [fit(lambda s: f(k * width + s), lambda s: 1 / f(k * width + s), -width / 2, width / 2, 8) for k in range(8)]
    print(f"{name}: weighted error 2^{float(mp.log(max(error for _, error in pieces), 2)):.1f}")
    for degree in range(9):
        print(f"    [{', '.join(repr(float(c[degree])) for c, _ in pieces)}],")


# Phi(-t), and sigmoid(-z(t)) of gelu_tanh
show_pieces("erf pieces", lambda t: mp.erfc(t / mp.sqrt(2)) / 2)
show_pieces("tanh pieces", lambda t: 1 / (1 + mp.exp(2 * mp.sqrt(2 / mp.pi) * (t + mp.mpf("0.044715") * t**3))))
# sigmoid(-t)
show_pieces("silu pieces", lambda t: 1 / (1 + mp.exp(t)), mp.mpf(1))
# log2(m) = s P(s^2), s = (m - 1)/(m + 1), in f64
s = (mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)
show("pow log2", fit(lambda z: near(lambda z: mp.log((1 + mp.sqrt(z)) / (1 - mp.sqrt(z)), 2) / mp.sqrt(z), z), lambda z: mp.mpf(1), mp.mpf(0), s * s, 6, f64))
show("pow exp2", fit(lambda r: mp.mpf(2) ** r, lambda r: mp.mpf(1), -half, half, 7, f64))
