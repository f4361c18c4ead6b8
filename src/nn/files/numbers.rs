//! The floats of tensors, of any width.

use safetensors::Dtype;

/// Decodes little-endian floats and rounds them to f32. Returns `None` for other types.
pub(super) fn floats(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    Some(match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|&element| f32::from_le_bytes(element)).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|&element| f64::from_le_bytes(element) as f32).collect(),
        Dtype::F16 => {
            bytes.as_chunks().0.iter().map(|&element| from_f16(u16::from_le_bytes(element))).collect()
        }
        Dtype::BF16 => {
            bytes.as_chunks().0.iter().map(|&element| from_bf16(u16::from_le_bytes(element))).collect()
        }
        _ => return None,
    })
}

/// An element before rounding, for errors.
pub(super) fn exact(dtype: Dtype, bytes: &[u8], index: usize) -> f64 {
    if dtype == Dtype::F64 {
        return bytes.as_chunks().0.get(index).map_or(f64::NAN, |&element| f64::from_le_bytes(element));
    }
    floats(dtype, bytes).and_then(|values| values.get(index).copied()).unwrap_or(f32::NAN).into()
}

/// The value of an IEEE 754 half-precision float, exactly.
fn from_f16(bits: u16) -> f32 {
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

/// The value of a bfloat16, the upper half of an f32.
fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_decoded_exactly() {
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
            assert_eq!(from_f16(bits), value, "{bits:#06x}");
        }
        assert_eq!(from_f16(0x8000).to_bits(), (-0.0_f32).to_bits());
        assert!(from_f16(0x7e00).is_nan());
        // Consecutive bits are consecutive values.
        assert!((0..0x7c00).all(|bits| from_f16(bits) < from_f16(bits + 1)));
        assert_eq!(
            [from_bf16(0x3f80), from_bf16(0xc049), from_bf16(0x7f7f)],
            [1.0, -3.140_625, 3.389_531_4e38]
        );
    }
}
