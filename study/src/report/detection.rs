//! Rules that compare detectors with chance.

/// A detector compared with chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detection {
    /// Above chance, with an AUROC of at least [`WELL`].
    Well,
    /// Above chance, with a lower AUROC.
    Weakly,
    Chance,
    Below,
}

/// The smallest AUROC of a good detector.
pub const WELL: f64 = 0.8;

/// Returns the standard error of an AUROC that detects nothing, from the numbers of images of both kinds. (Mann and
/// Whitney, 1947: the variance of U under equal distributions.)
pub fn chance_error(anomalous: usize, normal: usize) -> f64 {
    let (a, b) = (anomalous as f64, normal as f64);
    ((a + b + 1.0) / (12.0 * a * b)).sqrt()
}

/// Compares an AUROC with chance: within two standard errors of 0.5 it is no better.
pub fn detection(area: f64, chance_error: f64) -> Detection {
    match area - 0.5 {
        difference if difference > 2.0 * chance_error && area >= WELL => Detection::Well,
        difference if difference > 2.0 * chance_error => Detection::Weakly,
        difference if difference < -2.0 * chance_error => Detection::Below,
        _ => Detection::Chance,
    }
}

/// The false positive rate at which a curve is compared with the diagonal.
pub const LOW_RATE: f64 = 0.1;

/// Returns whether a curve of (false positive rate, true positive rate) is below the diagonal at [`LOW_RATE`], by more than two
/// standard errors of a detector that detects nothing.
pub fn misses_at_low_rates(curve: &[(f64, f64)], anomalous: usize, normal: usize) -> bool {
    let after = curve.iter().position(|point| point.0 > LOW_RATE).unwrap_or(curve.len());
    let Some((&(x, y), next)) = curve[..after].last().zip(curve.get(after)) else { return false };
    let hits = y + (next.1 - y) * (LOW_RATE - x) / (next.0 - x);
    let variance = LOW_RATE * (1.0 - LOW_RATE) * (1.0 / anomalous as f64 + 1.0 / normal as f64);
    hits < LOW_RATE - 2.0 * variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With 100 and 900 images the standard error is 0.0304, so 0.56 is chance and 0.57 is not.
    #[test]
    fn an_area_near_a_half_is_no_better_than_chance() {
        let error = chance_error(100, 900);
        assert!((error - (1001.0_f64 / 1_080_000.0).sqrt()).abs() < 1e-12);
        let found = [0.3, 0.44, 0.56, 0.57, 0.79, 0.8].map(|area| detection(area, error));
        use Detection::{Below, Chance, Weakly, Well};
        assert_eq!(found, [Below, Chance, Chance, Weakly, Weakly, Well]);
        // A high area of few images is chance, too.
        assert_eq!(detection(0.85, 0.2), Chance);
    }
    /// With 100 and 900 images, the rate of hits at 10% has a standard error of 0.0316, so 3.6% is too low and 3.8% is not.
    #[test]
    fn a_curve_below_the_diagonal_misses_at_low_rates() {
        let curve = |hits: f64| vec![(0.0, 0.0), (0.05, hits), (0.15, hits), (1.0, 1.0)];
        assert!(misses_at_low_rates(&curve(0.036), 100, 900));
        assert!(!misses_at_low_rates(&curve(0.038), 100, 900));
        assert!(!misses_at_low_rates(&curve(0.0), 10, 90));
        // Between two points, the curve is a line: (0, 0) to (1, 1) is the diagonal.
        assert!(!misses_at_low_rates(&[(0.0, 0.0), (1.0, 1.0)], 100_000, 900_000));
        assert!(!misses_at_low_rates(&[], 100, 900));
    }
}
