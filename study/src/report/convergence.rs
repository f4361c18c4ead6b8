//! How steeply the training error still falls, what follows from it, and the warning about models that had not converged.

use super::{
    section::{grouped, mean},
    verdict::listed,
};
use crate::sweep::Record;

/// With fewer training images than this, numbers are not to be cited.
const FEW_IMAGES: usize = 10_000;
/// A training error that falls by more than this fraction in the last epoch falls steeply.
const STEEP: f64 = 0.1;
/// A training error that falls by at most this fraction in the last epoch has converged.
const SLOW: f64 = 0.01;
/// One training error falls clearly more steeply than another if it falls by this factor more.
const CLEARLY_MORE: f64 = 1.5;

/// Returns the fraction by which the training error fell in the last epoch; `None` for a single epoch.
pub fn last_fall(record: &Record) -> Option<f64> {
    match record.history.epochs.as_slice() {
        [.., before, last] => Some(1.0 - last.mse / before.mse),
        _ => None,
    }
}

/// Returns a sentence about a poor result, if the training error of these models still falls steeply.
pub fn untrained<'r>(records: impl IntoIterator<Item = &'r Record>) -> Option<String> {
    let fall = mean(records.into_iter().map(|record| last_fall(record).unwrap_or(1.0)))?;
    (fall > STEEP).then(|| match fall {
        1.0 => " Training had not converged after one epoch.".to_owned(),
        _ => format!(
            " Training had not converged: the training error still fell by {:.0}% in the last epoch.",
            100.0 * fall
        ),
    })
}

/// Returns why deep models may have a higher training error than shallow ones, from the mean falls of both in the last epoch.
/// They had not converged only if their error fell clearly more steeply than that of the shallow ones.
pub fn slower(deep: Option<f64>, shallow: Option<f64>, shallow_name: &str) -> String {
    let unknown = "so the cause may be the optimization or too little training; these runs cannot tell";
    let (Some(deep), Some(shallow)) = (deep, shallow) else {
        return format!(" All had a single epoch, {unknown}.");
    };
    let falls = format!("fell by {:.1}%, that of {shallow_name} by {:.1}%", 100.0 * deep, 100.0 * shallow);
    if deep > SLOW && deep > CLEARLY_MORE * shallow {
        format!(" Their training had not converged: in the last epoch, their training error still {falls}.")
    } else {
        format!(" In the last epoch, their training error {falls}, {unknown}.")
    }
}

/// The models of one experiment, for a warning.
pub struct Group {
    /// Such as "anomaly models".
    pub name: &'static str,
    pub records: Vec<Record>,
}

/// Settings of a study that a warning may advise to change.
pub struct Extent {
    pub epochs: usize,
    pub seeds: usize,
}

/// Why the numbers of a report are not to be cited.
#[derive(Debug, PartialEq)]
pub struct Warning {
    pub verdict: String,
    pub reasons: Vec<String>,
    /// The runs to make for numbers that can be cited.
    pub remedy: String,
}

impl Warning {
    /// Returns the warning as one paragraph.
    pub fn text(&self) -> String {
        format!("{} {} {}", self.verdict, self.reasons.join(" "), self.remedy)
    }
}

/// Returns a warning if there were few images or models had not converged. `images` has the number of training images of each
/// data set.
pub fn warning(images: &[(String, usize)], groups: &[Group], extent: &Extent) -> Option<Warning> {
    let few = images.iter().filter(|(_, count)| *count < FEW_IMAGES);
    let mut reasons: Vec<String> = few
        .map(|(name, count)| {
            format!("{name}: {} training images are fewer than {}.", grouped(*count), grouped(FEW_IMAGES))
        })
        .collect();
    let are_few = !reasons.is_empty();
    let count = |test: fn(&Record) -> bool| -> Vec<String> {
        let found = groups.iter().map(|group| (group, group.records.iter().filter(|r| test(r)).count()));
        found
            .filter(|(_, count)| *count > 0)
            .map(|(group, count)| format!("{count} of {} {}", group.records.len(), group.name))
            .collect()
    };
    let listed = |names: &[String]| listed(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let steep = count(|record| last_fall(record).is_some_and(|fall| fall > STEEP));
    if !steep.is_empty() {
        reasons.push(format!(
            "The training error still fell by more than {}% in the last epoch: {}.",
            100.0 * STEEP,
            listed(&steep)
        ));
    }
    // One epoch says nothing about the fall, so it counts as steep.
    let single = count(|record| last_fall(record).is_none());
    if !single.is_empty() {
        reasons.push(format!("Training had a single epoch: {}.", listed(&single)));
    }
    let verdict = match (are_few, !steep.is_empty() || !single.is_empty()) {
        (false, false) => return None,
        (true, true) => "There were few images, and training had not converged; do not cite these numbers.",
        (true, false) => "There were few images; do not cite these numbers.",
        (false, true) => "Training had not converged; do not cite these numbers.",
    };
    let mut remedy = if are_few {
        "For numbers to cite, use all images (no `--limit`) and the default number of epochs (no `--epochs`)"
            .to_owned()
    } else {
        format!("For numbers to cite, train longer, such as `--epochs {}`", 2 * extent.epochs)
    };
    if extent.seeds == 1 {
        remedy += ", with several seeds, such as `--seeds 0,1,2`";
    }
    Some(Warning { verdict: verdict.to_owned(), reasons, remedy: remedy + "." })
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
        assert!(untrained(&[record(&[0.02])]).unwrap().contains("not converged after one epoch"));
    }

    /// Deep models have not converged only if their error falls by half more than that of shallow ones, and by more than 1%.
    #[test]
    fn deep_models_had_not_converged_only_if_their_error_fell_clearly_more() {
        let says = |deep, shallow| slower(Some(deep), Some(shallow), "three layers");
        assert_eq!(
            says(0.08, 0.05),
            " Their training had not converged: in the last epoch, their training error still fell by 8.0%, that of three \
             layers by 5.0%."
        );
        assert_eq!(
            says(0.06, 0.05),
            " In the last epoch, their training error fell by 6.0%, that of three layers by 5.0%, so the cause may be the \
             optimization or too little training; these runs cannot tell."
        );
        assert!(says(0.009, 0.001).contains("these runs cannot tell"));
        assert!(slower(None, None, "three layers").contains("a single epoch, so the cause may be"));
    }

    #[test]
    fn a_steep_end_or_few_images_warn() {
        let many = [("MNIST".to_owned(), 60_000)];
        let extent = Extent { epochs: 10, seeds: 1 };
        let models = |name, records: &[Record]| Group { name, records: records.to_vec() };
        let flat = record(&[0.02, 0.0184]);
        assert!((last_fall(&flat).unwrap() - 0.08).abs() < 1e-9);
        assert_eq!(warning(&many, &[models("models", std::slice::from_ref(&flat))], &extent), None);

        let (steep, single) = (record(&[0.02, 0.017]), record(&[0.02]));
        let groups = [
            models("deep models", &[flat.clone(), steep.clone()]),
            models("anomaly models", &[steep, single]),
        ];
        let found = warning(&many, &groups, &extent).unwrap();
        assert_eq!(found.verdict, "Training had not converged; do not cite these numbers.");
        assert_eq!(
            found.reasons,
            [
                "The training error still fell by more than 10% in the last epoch: 1 of 2 deep models and 1 of 2 anomaly \
                 models.",
                "Training had a single epoch: 1 of 2 anomaly models."
            ]
        );
        assert_eq!(
            found.remedy,
            "For numbers to cite, train longer, such as `--epochs 20`, with several seeds, such as `--seeds 0,1,2`."
        );

        let few = [("Drawn digits".to_owned(), 1_000)];
        let text =
            warning(&few, &[models("models", &[flat])], &Extent { epochs: 10, seeds: 3 }).unwrap().text();
        assert_eq!(
            text,
            "There were few images; do not cite these numbers. Drawn digits: 1,000 training images are fewer than 10,000. For \
             numbers to cite, use all images (no `--limit`) and the default number of epochs (no `--epochs`)."
        );
        assert!(
            warning(&few, &groups, &extent)
                .unwrap()
                .verdict
                .starts_with("There were few images, and training")
        );
    }
}
