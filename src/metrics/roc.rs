use crate::error::{Error, Result};

/// The receiver operating characteristic: how well a score separates anomalies from normal rows, over all thresholds
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
    /// Computes the curve of `scores`, which are higher for anomalies. Rows with equal scores pass a threshold together.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is not one flag per score, or there are no anomalies or only anomalies; [`Error::Data`] if a
    /// score is NaN.
    pub fn from_scores(scores: &[f64], anomalous: &[bool]) -> Result<Self> {
        if scores.len() != anomalous.len() {
            return Err(Error::shape("flags of anomalies", scores.len(), anomalous.len()));
        }
        if let Some(row) = scores.iter().position(|score| score.is_nan()) {
            return Err(Error::data("score", "a number", format_args!("NaN at index {row}")));
        }
        let positives = anomalous.iter().filter(|&&flag| flag).count();
        let negatives = scores.len() - positives;
        if positives == 0 || negatives == 0 {
            return Err(Error::shape(
                "(anomalies, normal rows)",
                format_args!("at least 1 each"),
                (positives, negatives),
            ));
        }
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut points = vec![(0.0, 0.0)];
        let mut hits = 0;
        let mut alarms = 0;
        for same in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
            let found = same.iter().filter(|&&index| anomalous[index]).count();
            hits += found;
            alarms += same.len() - found;
            points.push((alarms as f64 / negatives as f64, hits as f64 / positives as f64));
        }
        Ok(Self { points })
    }

    /// Returns the points (false positive rate, true positive rate) from (0, 0) to (1, 1), one per threshold.
    pub fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// Returns the area under the curve (AUROC): the probability that a random anomaly has a higher score than a random
    /// normal row, where ties count half.
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
    fn scores_without_a_curve_are_errors() {
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
        /// The area is the fraction of pairs that the score puts in the right order.
        #[test]
        fn the_area_counts_pairs(rows in prop::collection::vec((0..8u8, any::<bool>()), 2..60)) {
            let (scores, flags): (Vec<f64>, Vec<bool>) = rows.iter().map(|&(s, flag)| (f64::from(s), flag)).unzip();
            let side = |wanted: bool| rows.iter().filter(move |row| row.1 == wanted).map(|row| row.0);
            let pairs: Vec<f64> = side(true)
                .flat_map(|a| side(false).map(move |b| if a == b { 0.5 } else { f64::from(u8::from(a > b)) }))
                .collect();
            prop_assume!(!pairs.is_empty());
            let fraction = pairs.iter().sum::<f64>() / pairs.len() as f64;
            assert_abs_diff_eq!(Roc::from_scores(&scores, &flags).unwrap().area(), fraction, epsilon = 1e-12);
        }
    }
}
