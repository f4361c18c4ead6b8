//! The conclusions of the study that this one repeats, beside those of this one.

use super::Flags;
use crate::{
    experiments::{
        denoising::BEST_LINEAR,
        regularization::{HELP, RIVALS},
    },
    report::{Answer, Block, Section},
};

/// Questions of this study, and what the original says.
const CLAIMS: [(&str, Option<&str>); 3] =
    [(RIVALS, Some("Yes: it preferred Lasso.")), (HELP, None), (BEST_LINEAR, None)];

/// Returns the section. Its table names data sets if there are several.
pub(super) fn section(flags: &Flags, several: bool, sections: &[Section]) -> Section {
    let mut original = Section::new("What the original study found, what we found, why they differ");
    original.text(
        "This study repeats a course project, \"Deep Autoencoders for MNIST and FMNIST: Analysis and Denoising\". It \
         preferred Lasso regularization to Dropout, and reported the quality of denoising as PSNR.",
    );
    let mut rows = Vec::new();
    for (question, claim) in CLAIMS {
        let answers = sections.iter().flat_map(Section::answers);
        for answer in answers.filter(|answer| answer.question == question) {
            rows.push(row(answer, claim, several));
        }
    }
    let caption = "Verdicts of both studies; the sizes are in the answers. A dash: the original has no claim that we know of";
    original.table(caption, &[], &["question", "original", "here", "agreement"], rows);
    original.text(
        "Possible reasons for differences. This repository does not record the settings of the original.",
    );
    original.blocks.push(Block::List(reasons(flags)));
    original
}

fn row(answer: &Answer, claim: Option<&str>, several: bool) -> Vec<String> {
    let verdict = answer.text.split_inclusive(". ").next().unwrap_or_default().trim_end();
    let here = if several { format!("{}: {verdict}", answer.dataset) } else { verdict.to_owned() };
    let agreement = if claim.is_some() { agreement(verdict) } else { "-" };
    vec![answer.question.clone(), claim.unwrap_or("-").to_owned(), here, agreement.to_owned()]
}

/// Compares a verdict with a claim of the original that says "yes".
fn agreement(verdict: &str) -> &'static str {
    match verdict {
        "Yes." => "agrees",
        "No." => "contradicts",
        "No clear difference." => "not confirmed",
        _ => "agrees in part",
    }
}

fn reasons(flags: &Flags) -> Vec<String> {
    let study = &flags.study;
    let measured = if flags.thorough {
        "Initialization, loss and more epochs have sections below (measured here)."
    } else {
        "These runs do not vary them (not measured here); `--thorough` does."
    };
    vec![
        "The comparison (measured here). This study also trains without a regularizer: Lasso can be better than Dropout and \
         still not help. Denoised images are compared with those of the best linear denoiser, because a PSNR alone does not \
         show whether a network was needed."
            .to_owned(),
        format!(
            "Initialization, loss and training time; here {:?}, {} and {} epochs. {measured} In the runs of `docs/results` in \
             the repository, on MNIST with a code of 100, He initialization gains 2.3 to 4.7 dB over PyTorch's default, binary \
             cross-entropy up to 1.3 dB over MSE, and 30 epochs 1.2 to 1.7 dB over 10. Neither regularizer gains anything \
             there.",
            study.init,
            format!("{:?}", study.loss).to_uppercase(),
            study.epochs()
        ),
        "The PSNR (measured here: a table under \"Depth and code width\" has both kinds). Pooled over all pixels it can be \
         more than 1 dB lower than averaged over images."
            .to_owned(),
        "The noise (not measured here). Noise that is clamped to [0, 1] is weaker than noise that is not.".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_verdicts_without_their_sentences() {
        let answer = Answer {
            question: RIVALS.to_owned(),
            dataset: "MNIST".to_owned(),
            text: "No clear difference. Lasso leads to the same PSNR.".to_owned(),
        };
        let claim = Some("Yes.");
        assert_eq!(row(&answer, claim, false)[2..], ["No clear difference.", "not confirmed"]);
        assert_eq!(row(&answer, None, true)[1..], ["-", "MNIST: No clear difference.", "-"]);
        let all = ["Yes.", "No.", "Partly.", "It depends."].map(agreement);
        assert_eq!(all, ["agrees", "contradicts", "agrees in part", "agrees in part"]);
    }
}
