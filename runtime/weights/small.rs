//! 8-bit floats to f32, exactly.

/// A float of 8 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Small {
    signed: bool,
    mantissa: u32,
    bias: i32,
    special: Special,
}

/// Which patterns are no numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Special {
    /// The largest exponent: infinity, else NaN.
    Ieee,
    /// All ones but the sign: NaN. No infinities.
    AllOnes,
    /// Negative zero: NaN. No infinities.
    NegativeZero,
}

impl Small {
    pub(crate) const E4M3: Small = Small { signed: true, mantissa: 3, bias: 7, special: Special::AllOnes };
    pub(crate) const E5M2: Small = Small { signed: true, mantissa: 2, bias: 15, special: Special::Ieee };
    pub(crate) const E8M0: Small = Small { signed: false, mantissa: 0, bias: 127, special: Special::AllOnes };
    pub(crate) const E4M3FNUZ: Small =
        Small { signed: true, mantissa: 3, bias: 8, special: Special::NegativeZero };
    pub(crate) const E5M2FNUZ: Small =
        Small { signed: true, mantissa: 2, bias: 16, special: Special::NegativeZero };
}

/// The value of one byte.
pub(crate) fn decode(small: Small, byte: u8) -> f32 {
    let magnitude = if small.signed { byte & 0x7f } else { byte };
    let all_ones = if small.signed { 0x7f } else { 0xff };
    let fraction = u32::from(magnitude) & ((1 << small.mantissa) - 1);
    let exponent = i32::from(magnitude >> small.mantissa);
    let largest = i32::from(all_ones >> small.mantissa);
    let sign = if small.signed && byte & 0x80 != 0 { -1.0f64 } else { 1.0 };
    match small.special {
        Special::AllOnes if magnitude == all_ones => return f32::NAN,
        Special::NegativeZero if byte == 0x80 => return f32::NAN,
        Special::Ieee if exponent == largest && fraction != 0 => return f32::NAN,
        Special::Ieee if exponent == largest => return (sign * f64::INFINITY) as f32,
        Special::Ieee | Special::AllOnes | Special::NegativeZero => {}
    }
    // A scale without a mantissa has no zero and no subnormals.
    let subnormal = exponent == 0 && small.mantissa > 0;
    let significand = if subnormal { fraction } else { fraction + (1 << small.mantissa) };
    let power = exponent.max(i32::from(small.mantissa > 0)) - small.bias - small.mantissa as i32;
    // Exact in f64 (|power| < 150), and every result is an f32.
    (sign * f64::from(significand) * 2f64.powi(power)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_patterns_decode_to_their_values() {
        let cases = [
            (Small::E4M3, 0x7e, 448.0),
            (Small::E4M3, 0x01, 2f64.powi(-9)),
            (Small::E4M3, 0x38, 1.0),
            (Small::E4M3, 0xb8, -1.0),
            (Small::E5M2, 0x7b, 57344.0),
            (Small::E5M2, 0x01, 2f64.powi(-16)),
            (Small::E5M2, 0xfc, f64::NEG_INFINITY),
            (Small::E8M0, 127, 1.0),
            (Small::E8M0, 0, 2f64.powi(-127)),
            (Small::E8M0, 254, 2f64.powi(127)),
            (Small::E4M3FNUZ, 0x7f, 240.0),
            (Small::E5M2FNUZ, 0x7f, 57344.0),
            (Small::E4M3FNUZ, 0x00, 0.0),
        ];
        for (small, byte, value) in cases {
            assert_eq!(f64::from(decode(small, byte)), value, "{small:?} {byte:#x}");
        }
    }

    #[test]
    fn patterns_that_are_no_numbers_decode_to_nan() {
        let cases = [
            (Small::E4M3, 0x7f),
            (Small::E4M3, 0xff),
            (Small::E5M2, 0x7d),
            (Small::E8M0, 0xff),
            (Small::E4M3FNUZ, 0x80),
            (Small::E5M2FNUZ, 0x80),
        ];
        for (small, byte) in cases {
            assert!(decode(small, byte).is_nan(), "{small:?} {byte:#x}");
        }
    }
}
