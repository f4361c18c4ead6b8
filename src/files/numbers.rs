//! Numbers of the types that files of arrays and tensors have.

/// The type of the elements of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    #[cfg_attr(
        not(any(feature = "csv", feature = "npy")),
        allow(dead_code, reason = "readers behind features")
    )]
    Bool,
    Unsigned,
    Signed,
    Float,
    /// The upper half of a float of 32 bits, `bfloat16`.
    Brain,
}

/// The type, size and byte order of the elements of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element {
    pub kind: Kind,
    /// Bytes: 1, 2, 4 or 8; for floats at least 2.
    pub size: usize,
    pub big_endian: bool,
}

impl Element {
    /// Returns whether elements are bytes without a sign.
    pub fn is_byte(self) -> bool {
        self.kind == Kind::Unsigned && self.size == 1
    }

    /// Returns whether elements are integers or truth values.
    pub fn is_integer(self) -> bool {
        matches!(self.kind, Kind::Bool | Kind::Unsigned | Kind::Signed)
    }

    /// Returns the name that NumPy gives the type.
    pub fn name(self) -> String {
        match self.kind {
            Kind::Bool => "bool".to_owned(),
            Kind::Unsigned => format!("uint{}", 8 * self.size),
            Kind::Signed => format!("int{}", 8 * self.size),
            Kind::Float => format!("float{}", 8 * self.size),
            Kind::Brain => "bfloat16".to_owned(),
        }
    }

    /// Returns the same type in the other byte order.
    pub fn reversed(self) -> Self {
        Self { big_endian: !self.big_endian, ..self }
    }

    /// Decodes the bytes of one float.
    pub fn float(self, bytes: &[u8]) -> f64 {
        let bits = self.bits(bytes);
        match (self.kind, self.size) {
            (Kind::Brain, _) => f32::from_bits((bits as u32) << 16).into(),
            (_, 2) => half(bits as u16).into(),
            (_, 4) => f32::from_bits(bits as u32).into(),
            _ => f64::from_bits(bits),
        }
    }

    /// Decodes the bytes of one integer.
    pub fn integer(self, bytes: &[u8]) -> i128 {
        let bits = self.bits(bytes);
        match self.kind {
            Kind::Bool => (bits != 0).into(),
            Kind::Signed => {
                let unused = 64 - 8 * self.size;
                ((bits << unused) as i64 >> unused).into()
            }
            Kind::Unsigned | Kind::Float | Kind::Brain => bits.into(),
        }
    }

    /// Decodes the bytes of one element. Integers beyond 2^53 are rounded.
    pub fn number(self, bytes: &[u8]) -> f64 {
        if self.is_integer() { self.integer(bytes) as f64 } else { self.float(bytes) }
    }

    /// Formats an element with the digits that its type needs.
    pub fn text(self, bytes: &[u8]) -> String {
        match self.kind {
            Kind::Float | Kind::Brain if self.size == 8 => number(self.float(bytes)),
            Kind::Float | Kind::Brain => {
                let value = self.float(bytes) as f32;
                if is_plain(value.into()) { value.to_string() } else { format!("{value:e}") }
            }
            Kind::Bool | Kind::Unsigned | Kind::Signed => self.integer(bytes).to_string(),
        }
    }

    fn bits(self, bytes: &[u8]) -> u64 {
        let join = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    }
}

/// Formats a float, with an exponent where there would be many digits before or behind the point.
pub(crate) fn number(value: f64) -> String {
    if is_plain(value) { value.to_string() } else { format!("{value:e}") }
}

fn is_plain(value: f64) -> bool {
    !value.is_finite() || value == 0.0 || (1e-5..1e16).contains(&value.abs())
}

/// The value of a float of 16 bits (IEEE 754 binary16), exactly.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10 & 0x1f);
    let fraction = u32::from(bits & 0x3ff);
    let magnitude = match exponent {
        // Subnormal numbers are multiples of 2^-24.
        0 => (fraction as f32 / 16_777_216.0).to_bits(),
        0x1f => 0x7f80_0000 | fraction << 13,
        // The bias of f32's exponent is larger by 112.
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_of_16_bits_are_decoded_exactly() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3555, 0.333_251_95),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:#06x}");
        }
        assert_eq!(half(0x8000).to_bits(), (-0.0_f32).to_bits());
        assert!(half(0x7e00).is_nan());
        // Consecutive bits are consecutive values.
        assert!((0..0x7c00).all(|bits| half(bits) < half(bits + 1)));
        let brain = Element { kind: Kind::Brain, size: 2, big_endian: true };
        assert_eq!(
            [0x3f80_u16, 0xc049, 0x7f7f].map(|bits| brain.float(&bits.to_be_bytes())),
            [1.0, -3.140_625, f64::from(3.389_531_4e38_f32)]
        );
    }

    #[test]
    fn extreme_numbers_have_an_exponent() {
        for (value, expected) in [
            (1e300, "1e300"),
            (-2.5e-300, "-2.5e-300"),
            (16.0, "16"),
            (f64::NAN, "NaN"),
            (0.0, "0"),
            (0.1, "0.1"),
        ] {
            assert_eq!(number(value), expected);
            let double = Element { kind: Kind::Float, size: 8, big_endian: false };
            assert_eq!(double.text(&value.to_le_bytes()), expected);
        }
        let single = Element { kind: Kind::Float, size: 4, big_endian: false };
        assert_eq!([0.1_f32, 1e30].map(|value| single.text(&value.to_le_bytes())), ["0.1", "1e30"]);
    }

    #[test]
    fn integers_keep_sign_and_order() {
        let element = |kind, size, big_endian| Element { kind, size, big_endian };
        assert_eq!(element(Kind::Signed, 2, true).integer(&[0xff, 0xfe]), -2);
        assert_eq!(element(Kind::Signed, 2, false).integer(&[0xff, 0xfe]), -257);
        assert_eq!(element(Kind::Unsigned, 2, true).integer(&[0xff, 0xfe]), 65_534);
        assert_eq!(element(Kind::Signed, 8, false).integer(&i64::MIN.to_le_bytes()), i64::MIN.into());
        assert_eq!(element(Kind::Unsigned, 8, true).integer(&u64::MAX.to_be_bytes()), u64::MAX.into());
        assert_eq!(element(Kind::Bool, 1, false).integer(&[7]), 1);
        assert_eq!(element(Kind::Float, 8, true).float(&(-0.1_f64).to_be_bytes()), -0.1);
    }
}
