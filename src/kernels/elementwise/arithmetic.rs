//! Additions, products, and the ranges of values.

use super::math::is_finite;

dispatched! {
    /// Computes `dst = bytes / 255`.
    pub fn unit_from_bytes(dst: &mut [f32], bytes: &[u8]) {
        assert_eq!(dst.len(), bytes.len());
        for (d, &b) in dst.iter_mut().zip(bytes) {
            *d = f32::from(b) / 255.0;
        }
    }

    /// Computes `dst += src`.
    pub fn add(dst: &mut [f32], src: &[f32]) {
        assert_eq!(dst.len(), src.len());
        for (d, s) in dst.iter_mut().zip(src) {
            *d += s;
        }
    }

    /// Computes `dst += factor * src`.
    pub fn add_scaled(dst: &mut [f32], factor: f32, src: &[f32]) {
        assert_eq!(dst.len(), src.len());
        for (d, s) in dst.iter_mut().zip(src) {
            *d += factor * s;
        }
    }

    /// Computes `dst *= src`.
    pub fn multiply(dst: &mut [f32], src: &[f32]) {
        assert_eq!(dst.len(), src.len());
        for (d, s) in dst.iter_mut().zip(src) {
            *d *= s;
        }
    }

    /// Computes `values *= factor`.
    pub fn scale(values: &mut [f32], factor: f32) {
        for x in values {
            *x *= factor;
        }
    }

    /// Clamps every value to [0, 1].
    pub fn clamp_unit(values: &mut [f32]) {
        for x in values {
            *x = x.clamp(0.0, 1.0);
        }
    }

    /// Returns whether every value is finite.
    pub fn are_finite(values: &[f32]) -> bool {
        let mut finite = true;
        for &x in values {
            finite &= is_finite(x);
        }
        finite
    }

    /// Returns whether every value is at least `low` and at most `high`.
    pub fn are_between(values: &[f32], low: f32, high: f32) -> bool {
        let mut inside = true;
        for &x in values {
            inside &= (low..=high).contains(&x);
        }
        inside
    }
}
