use crate::error::{Error, Result};

/// How well a score tells anomalies from the rest, over all thresholds: the receiver operating characteristic
/// (Fawcett 2006, <https://doi.org/10.1016/j.patrec.2005.10.010>).
///
/// ```
/// use autoencoder::metrics::Roc;
/// let roc = Roc::from_scores(&[0.1, 0.2, 0.3, 0.4], &[false, true, false, true])?;
/// assert_eq!(roc.area(), 0.75);
/// # Ok::<(), autoencoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Roc {
    points: Vec<(f64, f64)>,
}

impl Roc {
    /// The curve of scores, where a higher one speaks for an anomaly. Equal scores pass a threshold together.
    ///
    /// # Errors
    /// If there are not as many flags as scores, a score is not a number, or one of the two classes is empty.
    pub fn from_scores(scores: &[f64], anomalous: &[bool]) -> Result<Self> {
        if scores.len() != anomalous.len() {
            return Err(Error::shape("flags of anomalies", scores.len(), anomalous.len()));
        }
        if scores.iter().any(|score| score.is_nan()) {
            return Err(Error::setting("score", f64::NAN, "a number"));
        }
        let positives = anomalous.iter().filter(|&&flag| flag).count();
        let negatives = scores.len() - positives;
        if positives == 0 || negatives == 0 {
            let found = format!("{positives} and {negatives}");
            return Err(Error::shape("anomalies and others", "at least 1 of each", found));
        }
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let (mut points, mut hits, mut alarms) = (vec![(0.0, 0.0)], 0, 0);
        for same in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
            let found = same.iter().filter(|&&index| anomalous[index]).count();
            hits += found;
            alarms += same.len() - found;
            points.push((alarms as f64 / negatives as f64, hits as f64 / positives as f64));
        }
        Ok(Self { points })
    }

    /// Points (false positive rate, true positive rate) from (0, 0) to (1, 1), one for each threshold.
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// The area under the curve (AUROC): the probability that an anomaly has a higher score than another row, where
    /// a tie counts half.
    pub fn area(&self) -> f64 {
        self.points.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use proptest::prelude::*;

    #[test]
    fn a_curve_by_hand() {
        let roc = Roc::from_scores(&[3.0, 1.0, 2.0, 2.0, 0.0], &[true, false, true, false, false]).unwrap();
        let third = 1.0 / 3.0;
        assert_eq!(roc.points(), [(0.0, 0.0), (0.0, 0.5), (third, 1.0), (2.0 * third, 1.0), (1.0, 1.0)]);
        assert_abs_diff_eq!(roc.area(), 5.5 / 6.0, epsilon = 1e-15);
    }

    #[test]
    fn what_has_no_curve_is_an_error() {
        assert!(Roc::from_scores(&[1.0, 2.0], &[true]).is_err());
        assert!(Roc::from_scores(&[1.0, 2.0], &[true, true]).is_err());
        assert!(Roc::from_scores(&[1.0, 2.0], &[false, false]).is_err());
        assert!(Roc::from_scores(&[1.0, f64::NAN], &[true, false]).is_err());
        assert!(Roc::from_scores(&[], &[]).is_err());
        assert_eq!(
            Roc::from_scores(&[f64::INFINITY, f64::NEG_INFINITY], &[true, false]).unwrap().area(),
            1.0
        );
    }

    proptest! {
        /// The area is the share of pairs that the score puts in the right order.
        #[test]
        fn the_area_counts_pairs(rows in prop::collection::vec((0..8u8, any::<bool>()), 2..60)) {
            let (scores, flags): (Vec<f64>, Vec<bool>) = rows.iter().map(|&(s, flag)| (f64::from(s), flag)).unzip();
            let side = |wanted: bool| rows.iter().filter(move |row| row.1 == wanted).map(|row| row.0);
            let pairs: Vec<f64> = side(true)
                .flat_map(|a| side(false).map(move |b| if a == b { 0.5 } else { f64::from(u8::from(a > b)) }))
                .collect();
            prop_assume!(!pairs.is_empty());
            let share = pairs.iter().sum::<f64>() / pairs.len() as f64;
            assert_abs_diff_eq!(Roc::from_scores(&scores, &flags).unwrap().area(), share, epsilon = 1e-12);
        }
    }
}
