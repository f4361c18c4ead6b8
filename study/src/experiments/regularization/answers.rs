//! The answers about regularizers.

use super::{
    super::{
        curves::{paired, psnr},
        lab::{Set, chosen},
        short,
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
/// A test PSNR that is further below the training PSNR, in dB, means overfitting.
const OVERFITTING: f64 = 0.5;

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
        let helps = others.iter().any(|comparison| comparison.verdict() == Verdict::Better);
        if let Some(text) = verdict::answer(&others) {
            let reason = if helps { String::new() } else { self.reason(set, records) };
            section.answer(HELP, set.title(), text + &reason);
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
            "{opening} With Lasso at {}, {lasso:.0}% of the encoder's weights are near 0, and {plain:.0}% without it.",
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

    /// Says how much there is to regularize: the gap between training and test images without a regularizer.
    fn reason(&self, set: &Set, records: &[Record]) -> String {
        let plain = chosen(records, set, |run| Regularizer::of(run) == Regularizer::None);
        let gap = |record: &Record| Some(record.history.epochs.last()?.psnr_db - psnr(record));
        let Some(gap) = Spread::of(plain.filter_map(gap)) else { return String::new() };
        match gap.high {
            ..0.005 => " There is no overfitting to prevent: without a regularizer, the test PSNR is not below the training \
                        PSNR."
                .to_owned(),
            ..OVERFITTING => format!(
                " There is little overfitting to prevent: without a regularizer, the test PSNR is at most {:.2} dB below \
                 the training PSNR.",
                gap.high
            ),
            _ => format!(
                " Without a regularizer, the test PSNR is {:.1} dB below the training PSNR on average, so the models \
                 overfit, but these regularizers cost more than they gain.",
                gap.mean
            ),
        }
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
