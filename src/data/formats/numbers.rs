//! Numbers of the types that array files have.

/// The type of the elements of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Unsigned,
    Signed,
    Float,
}

/// The type, size and byte order of the elements of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    pub kind: Kind,
    /// Bytes: 1, 2, 4 or 8, and for floats at least 2.
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
        self.kind != Kind::Float
    }

    /// Returns the name that NumPy gives the type.
    pub fn name(self) -> String {
        match self.kind {
            Kind::Bool => "bool".to_owned(),
            Kind::Unsigned => format!("uint{}", 8 * self.size),
            Kind::Signed => format!("int{}", 8 * self.size),
            Kind::Float => format!("float{}", 8 * self.size),
        }
    }

    /// Decodes the bytes of one float.
    pub fn float(self, bytes: &[u8]) -> f64 {
        let bits = self.bits(bytes);
        match self.size {
            2 => half(bits as u16),
            4 => f32::from_bits(bits as u32).into(),
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
            Kind::Unsigned | Kind::Float => bits.into(),
        }
    }

    /// Decodes the bytes of one element. Integers beyond 2^53 are rounded.
    pub fn number(self, bytes: &[u8]) -> f64 {
        if self.is_integer() { self.integer(bytes) as f64 } else { self.float(bytes) }
    }

    fn bits(self, bytes: &[u8]) -> u64 {
        let join = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
    }
}

/// The value of a float of 16 bits (IEEE 754 binary16).
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    let magnitude = match i32::from(bits >> 10 & 0x1f) {
        0 => fraction * 2_f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1.0 + fraction) * 2_f64.powi(exponent - 15),
    };
    sign * magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_have_the_values_of_numpy() {
        for (bits, expected) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x0400, 6.103_515_625e-5),
            (0x3555, 0.333_251_953_125),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(half(bits), expected, "{bits:x}");
        }
        assert!(half(0x7e00).is_nan());
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
