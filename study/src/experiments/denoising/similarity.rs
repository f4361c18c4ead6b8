//! The structural similarity of the model's images in comparison with those of the linear denoiser.

use crate::report::{
    Spread,
    verdict::{Case, listed},
};

/// The smallest difference in SSIM that counts.
const VISIBLE: f64 = 0.01;

/// Says at which strengths the model has the higher SSIM, from its differences to the linear denoiser. A difference counts if
/// its mean exceeds [`VISIBLE`] and its range over the seeds. `settings` are as in
/// [`Comparison`](crate::report::verdict::Comparison). `None` without SSIM.
pub(super) fn sentence(cases: &[Case], settings: [&str; 3]) -> Option<String> {
    let spread =
        |case: &Case| Spread::of(case.differences.iter().copied()).filter(|one| one.mean.is_finite());
    let spreads: Vec<(&str, Spread)> =
        cases.iter().filter_map(|case| Some((case.name.as_str(), spread(case)?))).collect();
    if spreads.is_empty() {
        return None;
    }
    let side = |sign: f64| -> Option<String> {
        let counts = |one: &Spread| sign * one.mean > VISIBLE.max(one.high - one.low);
        let names: Vec<&str> = spreads.iter().filter(|one| counts(&one.1)).map(|one| one.0).collect();
        let sizes = Spread::of(spreads.iter().filter(|one| counts(&one.1)).map(|one| sign * one.1.mean))?;
        let place = match names.as_slice() {
            names if names.len() == spreads.len() => settings[0].to_owned(),
            [name] => format!("{} {name}", settings[1]),
            names => format!("{} {}", settings[2], listed(names)),
        };
        let [low, high] = [sizes.low, sizes.high].map(|size| format!("{size:.2}"));
        let size = if low == high { low } else { format!("{low} to {high}") };
        Some(format!("{place}, by {size}"))
    };
    Some(match [side(1.0), side(-1.0)] {
        [None, None] => " In SSIM, the model and the linear denoiser do not clearly differ.".to_owned(),
        [Some(better), None] => format!(" The model's images have a higher SSIM {better}."),
        [None, Some(worse)] => format!(" The model's images have a lower SSIM {worse}."),
        [Some(better), Some(worse)] => {
            format!(" The model's images have a higher SSIM {better}, but a lower one {worse}.")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(cases: &[(&str, &[f64])]) -> Option<String> {
        let cases: Vec<_> =
            cases.iter().map(|(name, values)| Case::new(*name, values.iter().copied())).collect();
        sentence(&cases, ["at every variance", "at the variance", "at the variances"])
    }

    #[test]
    fn the_sentence_names_where_the_similarity_is_higher() {
        assert_eq!(
            says(&[("0.1", &[0.02]), ("1", &[0.1])]).unwrap(),
            " The model's images have a higher SSIM at every variance, by 0.02 to 0.10."
        );
        assert_eq!(
            says(&[("0.1", &[-0.02]), ("0.5", &[0.001]), ("1", &[0.1])]).unwrap(),
            " The model's images have a higher SSIM at the variance 1, by 0.10, but a lower one at the variance 0.1, by 0.02."
        );
        assert_eq!(
            says(&[("0.1", &[-0.02]), ("0.5", &[-0.03]), ("1", &[0.009])]).unwrap(),
            " The model's images have a lower SSIM at the variances 0.1 and 0.5, by 0.02 to 0.03."
        );
    }

    /// The mean of 0.02 is within the range of 0.04 of the two seeds.
    #[test]
    fn small_differences_do_not_count() {
        let none = " In SSIM, the model and the linear denoiser do not clearly differ.";
        assert_eq!(says(&[("0.1", &[0.0, 0.04])]).as_deref(), Some(none));
        assert_eq!(says(&[("0.1", &[0.009])]).as_deref(), Some(none));
        assert_eq!(says(&[("0.1", &[f64::NAN])]), None);
        assert_eq!(says(&[]), None);
    }
}
