//! The answers about regularizers.

use super::{
    super::{
        curves::{OVERFITTING, gap, paired, psnr},
        lab::{Set, chosen},
        short, sorted,
    },
    HELP, RIVALS, Regularization, Regularizer, with,
};
use crate::{
    report::{
        Section, Spread, mean,
        verdict::{self, Case, Comparison, Verdict},
    },
    sweep::Record,
};

const SPARSE: &str = "How sparse does Lasso make the weights?";

impl Regularization {
    pub(super) fn answers(&self, set: &Set, records: &[Record], section: &mut Section) {
        let regularizers = self.regularizers();
        let against = |first: Regularizer, second: Regularizer| Comparison {
            subject: first.words(),
            verbs: verbs(second),
            settings: ["with every model", "with", "with"],
            cases: self.cases(set, records, first, second),
        };
        let others: Vec<_> =
            regularizers.iter().skip(1).map(|&regularizer| against(regularizer, Regularizer::None)).collect();
        if let Some(text) = verdict::answer(&others) {
            let verdicts: Vec<_> = others.iter().map(Comparison::verdict).collect();
            let plain = chosen(records, set, |run| Regularizer::of(run) == Regularizer::None);
            let reason =
                Spread::of(plain.filter_map(gap)).map(|gap| reason(&verdicts, gap)).unwrap_or_default();
            section.answer(HELP, set.title(), text + &self.scope() + &reason);
        }
        if let Some(text) = self.sparsity(set, records).filter(|_| self.lasso > 0.0) {
            section.answer(SPARSE, set.title(), text);
        }
        if let [_, lasso, dropout] = regularizers[..]
            && let Some(text) = verdict::answer(&[against(lasso, dropout)])
        {
            section.answer(RIVALS, set.title(), text);
        }
    }

    /// Says how sparse the Lasso makes the encoder's weights.
    fn sparsity(&self, set: &Set, records: &[Record]) -> Option<String> {
        let of = |wanted: Regularizer| {
            let same = chosen(records, set, move |run| Regularizer::of(run) == wanted);
            mean(same.map(|record| 100.0 * record.sparsity))
        };
        let (lasso, plain) = (of(Regularizer::lasso(self.lasso))?, of(Regularizer::None)?);
        let opening = match lasso {
            90.0.. => "Very sparse.",
            50.0.. => "More than half of them become 0.",
            _ => "Not sparse.",
        };
        Some(format!(
            "{opening} With Lasso at {}, {lasso:.0}% of the encoder's weights are near 0; without the Lasso, {plain:.0}%.",
            short(self.lasso)
        ))
    }

    fn cases(&self, set: &Set, records: &[Record], first: Regularizer, second: Regularizer) -> Vec<Case> {
        let mut cases = Vec::new();
        for hidden in self.grid.architectures() {
            for code in self.grid.codes() {
                let [first, second] =
                    [first, second].map(|regularizer| with(records, set, &hidden, code, regularizer));
                let name = match self.grid.codes().len() {
                    1 => self.grid.words(&hidden),
                    _ => format!("{} (code {code})", self.grid.words(&hidden)),
                };
                cases.push(Case::new(name, paired(&first, &second, psnr)));
            }
        }
        cases.retain(|case| !case.differences.is_empty());
        cases
    }

    /// Says for which strengths and models the answer holds.
    fn scope(&self) -> String {
        let models = match self.grid.architectures().len() * self.grid.codes().len() {
            1 => "one model".to_owned(),
            count => format!("{count} models"),
        };
        let strengths = match sorted(&self.lambdas).len() {
            0 | 1 => "other strengths were not tried",
            _ => "a table below has other strengths of the Lasso for one of them",
        };
        format!(" This holds for these strengths and {models}; {strengths}.")
    }
}

/// Says how much there is to regularize, if no regularizer helps: the gap between training and test images without one.
fn reason(verdicts: &[Verdict], gap: Spread) -> String {
    if verdicts.iter().any(|verdict| matches!(verdict, Verdict::Better | Verdict::Mixed)) {
        return String::new();
    }
    let effect = if verdicts.iter().all(|&verdict| verdict == Verdict::Worse) {
        "cost more than they save"
    } else {
        "make no clear difference, or cost more than they save"
    };
    match gap.high {
        ..0.005 => " There is no overfitting to prevent: without a regularizer, the test PSNR is not below the training PSNR."
            .to_owned(),
        ..OVERFITTING => format!(
            " There is little overfitting to prevent: without a regularizer, the test PSNR is at most {:.2} dB below the \
             training PSNR.",
            gap.high
        ),
        _ => format!(
            " Without a regularizer, the test PSNR is {:.1} dB below the training PSNR on average, so there is some \
             overfitting, but these regularizers {effect}.",
            gap.mean
        ),
    }
}

/// Returns what a regularizer does in comparison with another: in a win, in a loss, in a tie.
fn verbs(other: Regularizer) -> [String; 3] {
    match other {
        Regularizer::None => {
            ["raises", "lowers", "does not change"].map(|verb| format!("{verb} the test PSNR"))
        }
        _ => ["a higher test PSNR than", "a lower test PSNR than", "the same test PSNR as"]
            .map(|how| format!("leads to {how} {}", other.words())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_says_how_much_overfitting_there_is() {
        let says =
            |verdicts: &[Verdict], mean: f64, high: f64| reason(verdicts, Spread { mean, low: mean, high });
        use Verdict::{Better, Mixed, Tie, Worse};
        assert_eq!(
            says(&[Worse, Worse], 1.23, 1.5),
            " Without a regularizer, the test PSNR is 1.2 dB below the training PSNR on average, so there is some overfitting, \
             but these regularizers cost more than they save."
        );
        assert!(
            says(&[Worse, Tie], 1.0, 1.0).ends_with("make no clear difference, or cost more than they save.")
        );
        assert!(says(&[Worse], 0.1, 0.2).contains("little overfitting to prevent"));
        assert!(says(&[Worse], -0.1, 0.0).contains("no overfitting to prevent"));
        assert_eq!(says(&[Worse, Better], 1.0, 1.0), "");
        assert_eq!(says(&[Mixed, Worse], 1.0, 1.0), "");
    }
}
