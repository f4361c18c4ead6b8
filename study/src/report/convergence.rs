//! How steeply the training error still falls, and the warning about models that are not trained out.

use super::section::{grouped, mean};
use crate::sweep::Record;

/// With fewer training images than this, numbers are not to be cited.
const FEW_IMAGES: usize = 10_000;
/// A training error that falls by more than this fraction in the last epoch falls steeply.
const STEEP: f64 = 0.1;

/// Returns the fraction by which the training error fell in the last epoch; `None` for a single epoch.
pub fn last_fall(record: &Record) -> Option<f64> {
    match record.history.epochs.as_slice() {
        [.., before, last] => Some(1.0 - last.mse / before.mse),
        _ => None,
    }
}

/// Returns a sentence that explains a poor result, if the training error of these models still falls steeply.
pub fn untrained<'r>(records: impl IntoIterator<Item = &'r Record>) -> Option<String> {
    let fall = mean(records.into_iter().map(|record| last_fall(record).unwrap_or(1.0)))?;
    (fall > STEEP).then(|| match fall {
        1.0 => " The models are not trained out after one epoch.".to_owned(),
        _ => format!(
            " The models are not trained out: their training error still fell by {:.0}% in the last epoch.",
            100.0 * fall
        ),
    })
}

/// Returns a warning if the models are not trained out, with the reasons. `images` has the number of training images of each
/// data set.
pub fn warning(images: &[(String, usize)], records: &[Record]) -> Option<String> {
    let few = images.iter().filter(|(_, count)| *count < FEW_IMAGES);
    let mut reasons: Vec<String> = few
        .map(|(name, count)| {
            format!("{name} has {} training images, fewer than {}.", grouped(*count), grouped(FEW_IMAGES))
        })
        .collect();
    // One epoch says nothing about the fall, so it counts as steep.
    let steep = records.iter().filter(|record| last_fall(record).is_none_or(|fall| fall > STEEP)).count();
    if steep > 0 {
        reasons.push(format!(
            "In {steep} of {} runs, the training error still fell by more than {}% in the last epoch.",
            records.len(),
            100.0 * STEEP
        ));
    }
    (!reasons.is_empty()).then(|| {
        format!("These models are not trained out; do not cite these numbers. {}", reasons.join(" "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(errors: &[f64]) -> Record {
        let quality = r#"{"mse":1.0,"psnr_mean_db":1.0,"psnr_pooled_db":1.0}"#;
        let epoch = |(index, mse): (usize, &f64)| {
            format!(
                r#"{{"epoch":{},"loss":1.0,"data_loss":1.0,"mse":{mse},"psnr_db":1.0,"images_per_second":1.0,"seconds":1.0}}"#,
                index + 1
            )
        };
        let epochs: Vec<_> = errors.iter().enumerate().map(epoch).collect();
        let run = crate::sweep::Run { dataset: "digits".to_owned(), code: 1, ..Default::default() };
        let json = format!(
            r#"{{"run":{},"data":["",""],"widths":[],"history":{{"epochs":[{}]}},"test":{{"output":{quality},"input":{quality}}},
            "test_ssim":null,"epoch_ssim":[],"sparsity":0.0,"seconds":1.0}}"#,
            serde_json::to_string(&run).unwrap(),
            epochs.join(",")
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_poor_result_has_a_reason_only_if_training_was_short() {
        assert_eq!(untrained(&[record(&[0.02, 0.019])]), None);
        assert_eq!(untrained(&[]), None);
        assert!(untrained(&[record(&[0.02, 0.01])]).unwrap().contains("fell by 50% in the last epoch"));
        assert!(untrained(&[record(&[0.02])]).unwrap().contains("after one epoch"));
    }

    #[test]
    fn a_steep_end_or_few_images_warn() {
        let many = [("MNIST".to_owned(), 60_000)];
        let flat = record(&[0.02, 0.0184]);
        assert!((last_fall(&flat).unwrap() - 0.08).abs() < 1e-9);
        assert_eq!(warning(&many, std::slice::from_ref(&flat)), None);
        let text = warning(&many, &[flat.clone(), record(&[0.02, 0.017]), record(&[0.02])]).unwrap();
        assert!(text.starts_with("These models are not trained out; do not cite"), "{text}");
        assert!(
            text.ends_with(
                "In 2 of 3 runs, the training error still fell by more than 10% in the last epoch."
            ),
            "{text}"
        );
        let text = warning(&[("Drawn digits".to_owned(), 1_000)], &[flat]).unwrap();
        assert!(text.ends_with("Drawn digits has 1,000 training images, fewer than 10,000."), "{text}");
    }
}
