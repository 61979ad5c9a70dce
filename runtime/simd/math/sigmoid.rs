//! The logistic function and what is made of it.

use super::erf::{Steps, near_gate};
use super::exp::exp_parts;
use super::{all, flip, polynomial, sign};
use crate::simd::{Floats, Masks, Simd, Vector};

/// `tanh(x) = x + x³ P(x²)` for `|x| < 0.625`.
const TANH: [f32; 6] = [-0.3333333, 0.1333322, -0.053947847, 0.021704456, -0.008182723, 0.0021450375];
/// `2 √(2/π)` and 0.044715 times that, each a sum of two f32.
const GELU: [[f32; 2]; 2] = [[1.595_769_2, -4.534_068e-8], [0.071_354_814, 2.398_832_3e-9]];

/// `sigmoid(z(-k/2 - s)) = Σ s^d PIECES[d][k]` for `|s| <= 1/4`, `z(x) = 2 √(2/π) (x + 0.044715 x³)`.
const PIECES: [[f32; 8]; 9] = [
    [0.5, 0.308572, 0.15880801, 0.06695228, 0.022701154, 0.0060337065, 0.0012124641, 0.00017605648],
    [
        -0.3989423,
        -0.35188377,
        -0.2417721,
        -0.12977539,
        -0.054400206,
        -0.017594114,
        -0.0042655435,
        -0.0007424858,
    ],
    [1.7948038e-08, 0.088257715, 0.12069834, 0.09668995, 0.05416876, 0.022286719, 0.0067164507, 0.0014334894],
    [
        0.06682056,
        0.04388483,
        -0.00041057102,
        -0.026723389,
        -0.026606584,
        -0.015454744,
        -0.0061100535,
        -0.0016558586,
    ],
    [
        -1.7238136e-06,
        -0.020344561,
        -0.020030035,
        -0.005755952,
        0.004306191,
        0.0057445117,
        0.0033994676,
        0.0012464165,
    ],
    [
        -0.010230972,
        -0.0045560044,
        0.004271162,
        0.0056988928,
        0.0020962043,
        -0.00055066193,
        -0.0010553511,
        -0.0006132853,
    ],
    [
        4.729061e-05,
        -0.00030634782,
        0.0024046744,
        -0.00040523388,
        -0.0013676601,
        -0.00048018238,
        5.5654702e-05,
        0.00017466508,
    ],
    [
        0.001477377,
        0.00036631367,
        -0.00068476715,
        -0.00035083134,
        0.00016401321,
        0.000240327,
        8.728649e-05,
        -8.023653e-06,
    ],
    [
        -0.0003923707,
        0.024518326,
        -0.0033007732,
        -0.0025195824,
        0.0009147477,
        -4.4914683e-05,
        1.8322778e-05,
        -1.0376127e-05,
    ],
];

/// `sigmoid(-k - s) = Σ s^d SILU[d][k]` for `|s| <= 1/2`.
const SILU: [[f32; 8]; 9] = [
    [0.5, 0.26894143, 0.11920292, 0.047425874, 0.01798621, 0.006692851, 0.0024726233, 0.0009110512],
    [-0.25, -0.19661194, -0.10499358, -0.04517666, -0.017662706, -0.0066480567, -0.0024665094, -0.0009102212],
    [
        5.5113287e-09,
        0.045428313,
        0.039981388,
        0.020445766,
        0.008513662,
        0.0032795318,
        0.0012271511,
        0.00045428236,
    ],
    [
        0.020833252,
        0.0058878358,
        -0.0064753806,
        -0.005488537,
        -0.0026318214,
        -0.0010638125,
        -0.00040499965,
        -0.00015087477,
    ],
    [
        -1.3175641e-07,
        -0.0051382356,
        -0.00086789706,
        0.00078045623,
        0.00055918866,
        0.00025152118,
        9.9301935e-05,
        3.7428716e-05,
    ],
    [
        -0.002081649,
        0.00042298486,
        0.00072444277,
        4.173646e-05,
        -7.465772e-05,
        -4.4648838e-05,
        -1.9059666e-05,
        -7.3804777e-06,
    ],
    [
        9.0145215e-07,
        0.00035237143,
        -0.00013804375,
        -5.7123834e-05,
        7.388249e-07,
        5.4667717e-06,
        2.5720599e-06,
        1.2702416e-06,
    ],
    [
        0.00020019783,
        -0.00010236589,
        -1.2459331e-05,
        1.504849e-05,
        2.5072668e-06,
        -2.9161927e-07,
        -3.175574e-07,
        -1.5720369e-07,
    ],
    [
        -1.8669534e-06,
        5.6483772e-05,
        -3.5779847e-06,
        1.1323398e-06,
        7.747824e-08,
        1.9520535e-07,
        6.1396224e-07,
        -1.1820297e-07,
    ],
];

/// `x · sigmoid(z + low)`, where `low` is a correction below the last digit of `z`.
#[inline(always)]
fn gated<S: Simd>(x: S::F32, z: S::F32, low: Option<S::F32>) -> S::F32 {
    let one = all::<S>(1.0);
    let (s, n) = exp_parts::<S>(S::clamp(z.abs(), 0.0, 130.0).neg());
    // exp(-|z + low|) = exp(-|z|) (1 - low sign(z))
    let s = match low {
        Some(low) => {
            let low = flip::<S>(low, sign::<S>(z));
            s.sub(low.mul_add(s, low))
        }
        None => s,
    };
    // z >= 0: x / (1 + w); z < 0: x w / (1 + w); w = exp(-|z|) = (1 + s) 2^n, scaled last
    // In the sum smaller w are nothing, and never subnormal, which would cost a hundred cycles.
    let w = S::scale(s.add(one), S::clamp(n, -64.0, 0.0));
    let d = w.add(one);
    let d_low = one.sub(d).add(w);
    let inverse = one.div(d);
    // 1 / (d + d_low) = inverse (1 + r)
    let r = d_low.neg().mul_add(inverse, d.neg().mul_add(inverse, one));
    let negative = z.lt(all::<S>(0.0));
    let r = S::F32::select(negative, s.mul_add(r, s.add(r)), r);
    let q = x.mul(inverse);
    // What is too small for a subnormal becomes a zero here: cheaper than by scaling.
    let q = S::F32::select(z.lt(all::<S>(-109.0)), q.mul(all::<S>(0.0)), q);
    S::scale(q.mul_add(r, q), S::F32::select(negative, n, all::<S>(0.0)))
}

/// `y`, but ∞ where `x` is.
#[inline(always)]
fn keep_infinity<S: Simd>(x: S::F32, y: S::F32) -> S::F32 {
    S::F32::select(x.eq(all::<S>(f32::INFINITY)), x, y)
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub fn sigmoid<S: Simd>(x: S::F32) -> S::F32 {
    gated::<S>(all::<S>(1.0), x, None)
}

/// `x · sigmoid(x)`; the limit −0 at −∞.
#[inline(always)]
pub fn silu<S: Simd>(x: S::F32) -> S::F32 {
    let near = x.abs().lt(all::<S>(7.5));
    let y = near_gate::<S>(x, &SILU, Steps::Ones);
    if near.all() {
        return y;
    }
    let far = keep_infinity::<S>(x, gated::<S>(S::clamp(x, -130.0, f32::INFINITY), x, None));
    S::F32::select(near, y, far)
}

/// `x · sigmoid(2 √(2/π) (x + 0.044715 x³))`; the limit −0 at −∞.
#[inline(always)]
pub fn gelu_tanh<S: Simd>(x: S::F32) -> S::F32 {
    let near = x.abs().lt(all::<S>(3.75));
    let y = near_gate::<S>(x, &PIECES, Steps::Halves);
    if near.all() { y } else { S::F32::select(near, y, far_gelu_tanh::<S>(x)) }
}

/// `gelu_tanh` of any number, through the exponential function.
#[inline(always)]
fn far_gelu_tanh<S: Simd>(x: S::F32) -> S::F32 {
    let t = S::clamp(x, -15.0, 15.0);
    // One by one: a call to `map` on an array would not be inlined into the vector loop.
    let (a, a_low) = (all::<S>(GELU[0][0]), all::<S>(GELU[0][1]));
    let (b, b_low) = (all::<S>(GELU[1][0]), all::<S>(GELU[1][1]));
    // z = t (a + b t²), with the rounding errors of each step in *_low
    let square = t.mul(t);
    let square_low = t.mul_add(t, square.neg());
    let p = b.mul(square);
    let p_low = b.mul_add(square_low, b_low.mul_add(square, b.mul_add(square, p.neg())));
    let c = a.add(p);
    let p_in_c = c.sub(a);
    let c_low = a.sub(c.sub(p_in_c)).add(p.sub(p_in_c)).add(p_low).add(a_low);
    let z = t.mul(c);
    let z_low = c_low.mul_add(t, t.mul_add(c, z.neg()));
    keep_infinity::<S>(x, gated::<S>(S::clamp(x, -15.0, f32::INFINITY), z, Some(z_low)))
}

/// The hyperbolic tangent.
#[inline(always)]
pub fn tanh<S: Simd>(x: S::F32) -> S::F32 {
    let one = all::<S>(1.0);
    let a = S::clamp(x.abs(), 0.0, 10.0);
    let z = a.mul(a);
    let near = polynomial(z, TANH).mul(z).mul_add(x, x);
    // tanh(a) = 1 - 2 w / (1 + w), w = exp(-2a)
    let (s, n) = exp_parts::<S>(a.mul(all::<S>(-2.0)));
    let w = S::scale(s.add(one), n);
    let far = one.sub(w.add(w).div(w.add(one)));
    S::F32::select(a.lt(all::<S>(0.625)), near, flip::<S>(far, sign::<S>(x)))
}
