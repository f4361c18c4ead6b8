//! Verdicts: rules that turn differences between models into one plain sentence.
//!
//! A difference counts if its mean over seeds exceeds the range of the seeds (the highest minus the lowest difference)
//! and [`VISIBLE_DB`].
//! One seed has no range. Then a difference counts if it exceeds [`ONE_SEED_DB`].

/// The smallest difference in dB that counts with one seed. The PSNR of equal models has a range of 0.1 to 0.5 dB over three
/// seeds on MNIST.
pub const ONE_SEED_DB: f64 = 0.5;

/// The smallest difference in dB that counts with several seeds, however well they agree: nobody sees a smaller one.
pub const VISIBLE_DB: f64 = 0.05;

/// The answer to a question about two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first is better in at least one setting and worse in none.
    Better,
    /// The first is worse in at least one setting and better in none.
    Worse,
    /// No difference counts.
    Tie,
    /// Better in some settings, worse in others.
    Mixed,
}

impl Verdict {
    fn of(wins: usize, losses: usize) -> Self {
        match (wins, losses) {
            (0, 0) => Self::Tie,
            (_, 0) => Self::Better,
            (0, _) => Self::Worse,
            _ => Self::Mixed,
        }
    }
}

/// One setting in which both models ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Name of the setting, such as the width of the code.
    pub name: String,
    /// First minus second, one value per seed; positive if the first is better.
    pub differences: Vec<f64>,
}

impl Case {
    pub fn new(name: impl Into<String>, differences: impl IntoIterator<Item = f64>) -> Self {
        Self { name: name.into(), differences: differences.into_iter().collect() }
    }

    fn mean(&self) -> f64 {
        self.differences.iter().sum::<f64>() / self.differences.len() as f64
    }

    fn range(&self) -> (f64, f64) {
        let extreme =
            |of: fn(f64, f64) -> f64| self.differences.iter().copied().reduce(of).unwrap_or(f64::NAN);
        (extreme(f64::min), extreme(f64::max))
    }

    /// Returns the verdict on this setting alone.
    pub fn verdict(&self) -> Verdict {
        let (low, high) = self.range();
        let threshold = if self.differences.len() > 1 { (high - low).max(VISIBLE_DB) } else { ONE_SEED_DB };
        let counts = self.mean().abs() > threshold;
        Verdict::of(usize::from(counts && self.mean() > 0.0), usize::from(counts && self.mean() < 0.0))
    }
}

/// Two models in several settings, and the words for a sentence about them.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The first, such as "five layers per side".
    pub subject: String,
    /// Its verbs in a win, such as "reconstruct better than three", in a loss, and in a tie.
    pub verbs: [String; 3],
    /// Words before the names of settings, for all, one and several: "at every code width", "at the code width", "at the code
    /// widths".
    pub settings: [&'static str; 3],
    /// Differences of PSNR in dB.
    pub cases: Vec<Case>,
}

impl Comparison {
    /// Returns the verdict over all settings.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(self.cases(Verdict::Better).len(), self.cases(Verdict::Worse).len())
    }

    /// Returns the sentence without the verdict, and without the period at its end. `None` if there are no cases.
    fn clause(&self) -> Option<String> {
        if self.cases.iter().all(|case| case.differences.is_empty()) {
            return None;
        }
        let [wins, losses] = [Verdict::Better, Verdict::Worse].map(|verdict| self.cases(verdict));
        Some(match self.verdict() {
            Verdict::Better => self.one_sided(&self.verbs[0], &wins),
            Verdict::Worse => self.one_sided(&self.verbs[1], &losses),
            Verdict::Mixed => format!(
                "{} {} {}, by {}, but {} {}, by {}",
                self.subject,
                self.verbs[0],
                self.place(&wins),
                self.size(&wins),
                self.verbs[1],
                self.place(&losses),
                self.size(&losses)
            ),
            Verdict::Tie => {
                let largest = self.cases.iter().map(|case| case.mean().abs()).fold(0.0, f64::max);
                format!(
                    "{} {}: the difference is at most {largest:.2} dB, {}",
                    self.subject,
                    self.verbs[2],
                    self.bound(largest)
                )
            }
        })
    }

    /// Returns whether the first is better in some settings, and as good in others.
    fn is_partial(&self) -> bool {
        self.verdict() == Verdict::Better && self.cases(Verdict::Better).len() < self.cases.len()
    }

    fn one_sided(&self, verb: &str, counted: &[&Case]) -> String {
        let others = self.cases.iter().filter(|case| case.verdict() == Verdict::Tie);
        let largest = others.map(|case| case.mean().abs()).fold(0.0, f64::max);
        let rest = match self.cases.len() - counted.len() {
            0 => String::new(),
            _ if self.seeds() < 2 && largest > VISIBLE_DB => {
                format!("; elsewhere the difference is at most {largest:.2} dB, {}", self.bound(largest))
            }
            _ => "; elsewhere there is no clear difference".to_owned(),
        };
        match self.cases.as_slice() {
            [_] => format!("{} {verb}, by {}", self.subject, self.size(counted)),
            _ => format!("{} {verb} {}, by {}{rest}", self.subject, self.place(counted), self.size(counted)),
        }
    }

    /// Returns whether the clause names a difference that only several seeds can settle.
    fn is_unsettled(&self) -> bool {
        let is_visible = |case: &&Case| case.mean().abs() > VISIBLE_DB;
        self.seeds() == 1
            && self.verdict() != Verdict::Mixed
            && self.cases(Verdict::Tie).iter().any(is_visible)
    }

    fn cases(&self, verdict: Verdict) -> Vec<&Case> {
        self.cases.iter().filter(|case| case.verdict() == verdict).collect()
    }

    /// Says in which settings: "at every code width", "at the code widths 15 and 30".
    fn place(&self, counted: &[&Case]) -> String {
        let names: Vec<&str> = counted.iter().map(|case| case.name.as_str()).collect();
        match names.as_slice() {
            names if names.len() == self.cases.len() => self.settings[0].to_owned(),
            [name] => format!("{} {name}", self.settings[1]),
            names => format!("{} {}", self.settings[2], listed(names)),
        }
    }

    /// Says how large: the range over the settings, or over the seeds of a single setting.
    fn size(&self, counted: &[&Case]) -> String {
        let seeds = counted.iter().map(|case| case.differences.len()).max().unwrap_or(1);
        if let [case] = counted {
            let (low, high) = case.range();
            let mean = format!("{:.2} dB", case.mean().abs());
            return match seeds {
                1 => mean,
                _ => format!("{mean} ({} over {seeds} seeds)", span(low, high)),
            };
        }
        let means: Vec<f64> = counted.iter().map(|case| case.mean().abs()).collect();
        let [low, high] =
            [f64::min as fn(f64, f64) -> f64, f64::max].map(|of| means.iter().copied().reduce(of));
        let range = format!("{} dB", span(low.unwrap_or(f64::NAN), high.unwrap_or(f64::NAN)));
        if seeds > 1 { format!("{range} (means over {seeds} seeds)") } else { range }
    }

    /// Returns the largest number of seeds of a setting.
    fn seeds(&self) -> usize {
        self.cases.iter().map(|case| case.differences.len()).max().unwrap_or(0)
    }

    /// Says why a difference does not count.
    fn bound(&self, largest: f64) -> String {
        match self.seeds() {
            _ if largest <= VISIBLE_DB => "too small to count".to_owned(),
            0 | 1 => format!("within the spread of seeds (up to {ONE_SEED_DB} dB)"),
            seeds => format!("within the range of the {seeds} seeds"),
        }
    }
}

/// Answers "is the first better?" for several pairs of models: the verdict, then one sentence per pair. `None` if there are no
/// cases.
pub fn answer(comparisons: &[Comparison]) -> Option<String> {
    let compared: Vec<_> =
        comparisons.iter().filter_map(|one| Some((one.verdict(), one.clause()?))).collect();
    let partly = comparisons.iter().any(Comparison::is_partial);
    let any = |wanted| compared.iter().any(|(verdict, _)| *verdict == wanted);
    let opening = match (any(Verdict::Better), any(Verdict::Worse), any(Verdict::Tie)) {
        _ if compared.is_empty() => return None,
        _ if any(Verdict::Mixed) => "It depends.",
        (true, true, _) => "It depends.",
        (true, false, tie) if tie || partly => "Partly.",
        (true, false, _) => "Yes.",
        (false, true, _) => "No.",
        (false, false, _) => "No clear difference.",
    };
    let sentences = compared.iter().map(|(_, clause)| format!(" {}.", capitalized(clause)));
    let advice = if comparisons.iter().any(Comparison::is_unsettled) {
        " To settle what is within the spread of seeds, run several, such as `--seeds 0,1,2`."
    } else {
        ""
    };
    Some(opening.to_owned() + &sentences.collect::<String>() + advice)
}

/// Formats a range of sizes without signs, the smaller first.
fn span(low: f64, high: f64) -> String {
    let (low, high) = (low.abs().min(high.abs()), low.abs().max(high.abs()));
    match (format!("{low:.2}"), format!("{high:.2}")) {
        (low, high) if low == high => low,
        (low, high) => format!("{low} to {high}"),
    }
}

/// Joins names with commas and "and".
pub fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Makes the first letter a capital.
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(cases: &[(&str, &[f64])]) -> Comparison {
        Comparison {
            subject: "five layers".to_owned(),
            verbs: ["better than", "worse than", "as well as"].map(|how| format!("reconstruct {how} three")),
            settings: ["at every code width", "at the code width", "at the code widths"],
            cases: cases.iter().map(|(name, values)| Case::new(*name, values.iter().copied())).collect(),
        }
    }

    fn says(cases: &[(&str, &[f64])], expected: &str) {
        assert_eq!(answer(&[compared(cases)]).as_deref(), Some(expected));
    }

    #[test]
    fn a_clear_win_and_a_clear_loss_name_size_and_range() {
        says(
            &[("15", &[0.6]), ("30", &[2.1])],
            "Yes. Five layers reconstruct better than three at every code width, by 0.60 to 2.10 dB.",
        );
        says(
            &[("15", &[-0.6]), ("30", &[-2.1])],
            "No. Five layers reconstruct worse than three at every code width, by 0.60 to 2.10 dB.",
        );
        says(
            &[("100", &[-0.53, -0.67])],
            "No. Five layers reconstruct worse than three, by 0.60 dB (0.53 to 0.67 over 2 seeds).",
        );
        says(
            &[("15", &[1.0, 1.2]), ("30", &[2.0, 2.2])],
            "Yes. Five layers reconstruct better than three at every code width, by 1.10 to 2.10 dB (means over 2 seeds).",
        );
    }

    /// The mean of 0.1 is smaller than the range of 0.2; with the range of 0.05 it counts.
    #[test]
    fn a_difference_within_the_seeds_is_a_tie() {
        says(
            &[("15", &[0.0, 0.2])],
            "No clear difference. Five layers reconstruct as well as three: the difference is at most 0.10 dB, within the \
             range of the 2 seeds.",
        );
        assert_eq!(compared(&[("15", &[0.08, 0.13])]).verdict(), Verdict::Better);
        says(
            &[("15", &[0.031, 0.032])],
            "No clear difference. Five layers reconstruct as well as three: the difference is at most 0.03 dB, too small to \
             count.",
        );
    }

    #[test]
    fn one_seed_needs_the_documented_difference() {
        says(
            &[("15", &[0.15]), ("30", &[-0.49])],
            "No clear difference. Five layers reconstruct as well as three: the difference is at most 0.49 dB, within the \
             spread of seeds (up to 0.5 dB). To settle what is within the spread of seeds, run several, such as `--seeds \
             0,1,2`.",
        );
        says(
            &[("15", &[0.04])],
            "No clear difference. Five layers reconstruct as well as three: the difference is at most 0.04 dB, too small to \
             count.",
        );
        says(
            &[("15", &[1.0]), ("30", &[0.3])],
            "Partly. Five layers reconstruct better than three at the code width 15, by 1.00 dB; elsewhere the difference is \
             at most 0.30 dB, within the spread of seeds (up to 0.5 dB). To settle what is within the spread of seeds, run \
             several, such as `--seeds 0,1,2`.",
        );
        assert_eq!(compared(&[("15", &[0.51])]).verdict(), Verdict::Better);
        assert_eq!(compared(&[("15", &[f64::NAN])]).verdict(), Verdict::Tie);
    }

    #[test]
    fn mixed_and_partial_results_name_the_settings() {
        says(
            &[("15", &[1.0]), ("30", &[0.6]), ("50", &[0.0]), ("100", &[-2.0])],
            "It depends. Five layers reconstruct better than three at the code widths 15 and 30, by 0.60 to 1.00 dB, but \
             reconstruct worse than three at the code width 100, by 2.00 dB.",
        );
        says(
            &[("15", &[1.0]), ("30", &[0.0])],
            "Partly. Five layers reconstruct better than three at the code width 15, by 1.00 dB; elsewhere there is no clear \
             difference.",
        );
        let pair = [compared(&[("15", &[1.0])]), compared(&[("15", &[-1.0])])];
        assert_eq!(
            answer(&pair).as_deref(),
            Some(
                "It depends. Five layers reconstruct better than three, by 1.00 dB. Five layers reconstruct worse than \
                 three, by 1.00 dB."
            )
        );
        let opening = |gains: [f64; 2]| {
            answer(&gains.map(|gain| compared(&[("15", &[gain])])))
                .unwrap()
                .split(". ")
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            [[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [0.0, -1.0], [-1.0, -1.0]].map(opening),
            ["Yes", "Partly", "No clear difference", "No", "No"]
        );
        assert_eq!(answer(&[compared(&[])]), None);
    }
}
