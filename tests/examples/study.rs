//! Small versions of the study's experiments: their files are parsed back and checked for consistency.

use super::{example, fail, number, picture, points, rows, succeed, text};
use autoencoder::{Autoencoder, data::digits};
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet},
    fs,
};

const TINY: &str = "--dataset digits --limit 200 --epochs 2 --batch-size 32";

#[test]
fn architectures_writes_its_tables_and_pictures_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let flags = format!("{TINY} --seeds 0,1 --hidden 24,12 --hidden 16 --codes 4,8 --jobs 2 --resume");
    let said = succeed("architectures", &flags, folder.path());
    let (runs, history) = (rows(file("runs.csv")), rows(file("history.csv")));
    assert_eq!((runs.len(), history.len()), (8, 16));
    assert_eq!((&runs[0]["depth"][..], &runs[0]["widths"][..]), ("3", "784-24-12-4-12-24-784"));
    assert_eq!((&runs[0]["initialization"][..], &runs[0]["penalty"][..]), ("he", "none"));
    assert_eq!(&runs[0]["schedule"][..], "constant");
    assert!(runs.iter().all(|run| number(run, "test_psnr_pooled_db") > 3.0));
    for run in &runs {
        assert!((number(run, "test_psnr_pooled_db") + 10.0 * number(run, "test_mse").log10()).abs() < 1e-9);
        let last = history.iter().rfind(|epoch| epoch["run"] == run["run"]).unwrap();
        assert_eq!((&last["epoch"][..], &last["validation_mse"]), ("2", &run["test_mse"]));
        assert_eq!((&last["mse"], &last["validation_ssim"]), (&run["train_mse"], &run["test_ssim"]));
    }
    // Errors: two labeled curves of two epochs. PSNR: two architectures at two codes. Dashed curves have no markers.
    for (chart, expected) in [("3-layers-error", 4), ("2-layers-error", 4), ("psnr", 4)] {
        assert_eq!(points(file(&format!("digits-{chart}.svg"))), expected, "{chart}");
    }
    assert_eq!(picture(file("digits-reconstructions.png")), (10 * 57 + 1, 5 * 57 + 1));
    assert!(fs::read_to_string(file("tables.md")).unwrap().contains("| 2 layers per side | 8 "));
    let pca = rows(file("pca.csv"));
    assert_eq!(pca.iter().map(|row| &row["components"]).collect::<Vec<_>>(), ["4", "8"]);
    assert!(pca.iter().all(|row| (10.0..100.0).contains(&number(row, "variance_kept_percent"))));
    assert!(said.contains("run 8/8") || said.contains("run 7/8"), "{said}");

    // Nothing is trained again, and the tables are the same.
    let said = succeed("architectures", &flags, folder.path());
    assert!(!said.contains("run 1/8"), "{said}");
    assert_eq!((rows(file("runs.csv")), rows(file("history.csv"))), (runs, history));
}

#[test]
fn regularization_compares_like_with_like() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let flags = format!("{TINY} --hidden 24 --codes 4,8 --lasso 0.001 --dropout 0.3 --lambdas 0,0.001,0.1");
    succeed("regularization", &flags, folder.path());
    let runs = rows(file("runs.csv"));
    // Two codes with each of three regularizers, and the one lambda that is not among them.
    assert_eq!(runs.len(), 7);
    let count = |penalty: &str| runs.iter().filter(|run| run["penalty"] == penalty).count();
    assert_eq!((count("none"), count("lasso"), count("dropout")), (2, 3, 2));
    assert!(runs.iter().all(|run| (run["dropout"] == "0.3") == (run["penalty"] == "dropout")));
    // A strong Lasso makes more weights small.
    let sparsity = |lasso: &str| {
        let run =
            runs.iter().find(|run| run["lasso"] == lasso && run["code"] == "8" && run["dropout"] == "0");
        number(run.unwrap(), "sparsity")
    };
    assert!(sparsity("0") < sparsity("0.001") && sparsity("0.001") < sparsity("0.1"));
    // Three regularizers on the same axes, and two strengths of the Lasso.
    for (chart, expected) in [("regularizers-2-layers-error", 6), ("lambda-psnr", 2), ("lambda-sparsity", 2)]
    {
        assert_eq!(points(file(&format!("digits-{chart}.svg"))), expected, "{chart}");
    }
    assert_eq!(picture(file("digits-best.png")), (10 * 57 + 1, 4 * 57 + 1));
    let tables = fs::read_to_string(file("tables.md")).unwrap();
    for question in ["Do Lasso or Dropout improve", "Is Lasso better than Dropout?", "How sparse does Lasso"]
    {
        assert_eq!(tables.matches(question).count(), 1, "{tables}");
    }
}

#[test]
fn denoising_measures_each_model_at_each_strength() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let flags = format!("{TINY} --hidden 24 --code 8 --strengths 0.1,0.5");
    succeed("denoising", &flags, folder.path());
    let runs = rows(file("runs.csv"));
    let column = |name: &str| runs.iter().map(|run| run[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("noise_variance"), ["0.1", "0.5", ""]);
    assert_eq!(column("noise"), ["gaussian 0.1", "gaussian 0.5", "gaussian 0.1 or gaussian 0.5"]);
    assert_eq!(column("clamped"), ["false"; 3]);
    let tables = fs::read_to_string(file("tables.md")).unwrap();
    let cells = |start: &str| -> Vec<Vec<f64>> {
        let lines = tables.lines().filter(|line| line.starts_with(start));
        lines.map(|line| line.split('|').filter_map(|cell| cell.trim().parse().ok()).collect()).collect()
    };
    // Variance, then noisy, linear, the model for it and the model for all in dB, then SSIM; the second row is of the other table.
    let [figures, across] = &cells("| 0.5 ")[..] else { panic!("{tables}") };
    assert_eq!((figures.len(), across.len()), (9, 3));
    assert!((figures[1] - 3.01).abs() < 0.05 && figures[2] > figures[1] + 5.0, "{figures:?}");
    assert_eq!(figures[3], across[2]);
    let found = number(&runs[1], "test_psnr_pooled_db");
    assert!((figures[3] - found).abs() < 0.006, "{} {found}", figures[3]);
    for (chart, expected) in
        [("psnr-by-epoch", 6), ("ssim-by-epoch", 6), ("psnr-by-strength", 6), ("ssim-by-strength", 6)]
    {
        assert_eq!(points(file(&format!("digits-{chart}.svg"))), expected, "{chart}");
    }
    // The files have the same numbers.
    let of = |name: &str, pass: &dyn Fn(&HashMap<String, String>) -> bool| {
        let found: Vec<f64> = rows(file(name))
            .iter()
            .filter(|row| pass(row))
            .map(|row| number(row, "test_psnr_pooled_db"))
            .collect();
        found
    };
    let methods = of("denoising.csv", &|row| row["strength"] == "0.5");
    assert_eq!(of("denoising.csv", &|row| row["strength"] == "0.1").len(), 4);
    assert_eq!(of("denoising.csv", &|row| row["method"] == "model for one variance").len(), 2);
    assert!(methods.len() == 4 && methods.iter().zip(&figures[1..]).all(|(a, b)| (a - b).abs() < 0.006));
    let all = of("cross_variance.csv", &|row| row["trained_on"] == "all");
    assert!(all.len() == 2 && (all[1] - figures[4]).abs() < 0.006, "{all:?} {figures:?}");
    for strength in ["0.1", "0.5"] {
        assert_eq!(picture(file(&format!("digits-denoised-{strength}.png"))), (10 * 57 + 1, 4 * 57 + 1));
    }

    for noise in ["salt-and-pepper", "masking"] {
        succeed("denoising", &format!("{flags} --noise {noise} --clamped"), folder.path());
        let runs = rows(file("runs.csv"));
        assert!(runs.iter().all(|run| run["clamped"] == "true" && run["noise_variance"].is_empty()));
        assert_eq!(runs[1]["noise"], format!("{noise} 0.5"));
        // There is neither a linear curve nor a linear row.
        assert_eq!(points(file("digits-psnr-by-strength.svg")), 4);
        assert_eq!(picture(file("digits-denoised-0.5.png")), (10 * 57 + 1, 3 * 57 + 1));
    }
}

#[test]
fn latent_space_draws_codes_walks_directions_and_neighbors() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    succeed("latent_space", &format!("{TINY} --hidden 24 --code 6"), folder.path());
    // One dot per image.
    assert_eq!(points(file("digits-codes.svg")), 200);
    assert_eq!(picture(file("digits-walks.png")), (10 * 57 + 1, 5 * 57 + 1));
    assert_eq!(picture(file("digits-directions.png")), (7 * 57 + 1, 6 * 57 + 1));
    assert_eq!(picture(file("digits-neighbors.png")), (10 * 57 + 1, 10 * 57 + 1));
    let variances = rows(file("code_variance.csv"));
    assert!(variances.len() == 6 && (number(&variances[5], "cumulative_fraction") - 1.0).abs() < 1e-9);
    let codes = rows(file("codes.csv"));
    assert!(codes.len() == 200 && codes.iter().all(|row| number(row, "first").is_finite()));
    let drawn = digits::generate(200, 2).unwrap();
    assert!((0..200).all(|row| codes[row]["class"] == drawn.labels().unwrap()[row].to_string()));
    let neighbors = rows(file("neighbors.csv"));
    assert!(neighbors.iter().all(|row| row["queries"] == "200" && number(row, "same_label") <= 200.0));
    assert_eq!(neighbors.iter().map(|row| &row["nearest_by"]).collect::<Vec<_>>(), ["code", "pixels"]);
    // A code of width 1 has one direction, and fewer images than neighbors are fine.
    succeed("latent_space", &format!("{TINY} --hidden 24 --code 1"), folder.path());
    let few = "--dataset digits --limit 3 --epochs 1 --hidden 8 --code 2";
    succeed("latent_space", few, folder.path());
}

#[test]
fn anomaly_leaves_out_each_class() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    succeed("anomaly", &format!("{TINY} --hidden 24 --code 6"), folder.path());
    let runs = rows(file("runs.csv"));
    let names: HashSet<_> = runs.iter().map(|run| run["dataset"].clone()).collect();
    assert_eq!((runs.len(), names.len()), (10, 10));
    assert!(names.contains("digits without 7"));
    let tables = fs::read_to_string(file("tables.md")).unwrap();
    let areas: Vec<f64> = (0..10)
        .map(|class| {
            let line = tables.lines().find(|line| line.starts_with(&format!("| {class} "))).unwrap();
            line.split('|').nth(2).unwrap().trim().parse().unwrap()
        })
        .collect();
    // Count pairs by hand, using the stored model.
    let digits = digits::generate(200, 2).unwrap();
    let run = runs.iter().find(|run| run["dataset"] == "digits without 3").unwrap();
    let model = Autoencoder::load(file("runs").join(&run["run"]).with_extension("safetensors")).unwrap();
    let scores = model.reconstruction_errors(&digits).unwrap();
    let side = |anomalous: bool| {
        scores.iter().zip(digits.labels().unwrap()).filter(move |s| (*s.1 == 3) == anomalous)
    };
    let right = side(true).map(|a| side(false).filter(|b| a.0 > b.0).count()).sum::<usize>();
    assert!((areas[3] - right as f64 / (20.0 * 180.0)).abs() < 0.001, "{areas:?} {right}");
    let mean: f64 = tables.split("mean AUROC is ").nth(1).unwrap()[..4].parse().unwrap();
    assert!((mean - areas.iter().sum::<f64>() / 10.0).abs() < 0.006, "{tables}");
    let file_areas = rows(file("auroc.csv"));
    let of_three = file_areas.iter().find(|row| row["unseen"] == "3").unwrap();
    assert!(file_areas.len() == 10 && (number(of_three, "auroc") - areas[3]).abs() < 0.0006, "{of_three:?}");
    let curve: Vec<_> = rows(file("roc.csv"))
        .iter()
        .filter(|row| row["unseen"] == "3")
        .map(|row| ["false_positive_rate", "true_positive_rate"].map(|name| number(row, name)))
        .collect();
    assert_eq!((curve[0], curve[curve.len() - 1]), ([0.0; 2], [1.0; 2]));
    let area: f64 =
        curve.windows(2).map(|pair| (pair[1][0] - pair[0][0]) * (pair[0][1] + pair[1][1]) / 2.0).sum();
    assert!((area - areas[3]).abs() < 0.01, "{area} {areas:?}");
    assert!(fs::read_to_string(file("digits-roc.svg")).unwrap().contains("true positive rate"));
}

/// A failed run is reported and skipped, the others finish, and the command fails.
#[test]
fn a_run_that_fails_is_reported_and_the_sweep_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let flags = format!("{TINY} --hidden 24 --codes 4 --lasso 1e38 --lambdas 0 --out {out}");
    let output = example("regularization", &flags.split(' ').collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(1));
    let said: Vec<_> = text(&output.stderr).lines().collect();
    assert!(
        said[0].contains("Lasso 1e38")
            && said[0].contains("layer 0 is not finite in epoch 1, batch 1, although"),
        "{said:?}"
    );
    assert_eq!(said[1..], ["error: 1 of the runs failed and are missing from the results"]);
    let runs = rows(folder.path().join("runs.csv"));
    assert_eq!(runs.iter().map(|run| &run["penalty"]).collect::<Vec<_>>(), ["none", "dropout"]);
    assert_eq!(picture(folder.path().join("digits-best.png")).1, 3 * 57 + 1);
    // If all runs fail, the first error is the error of the command.
    let all = format!("{TINY} --hidden 24 --codes 4,8 --learning-rate 1e30 --out {out}");
    fail("architectures", &all.split(' ').collect::<Vec<_>>(), 1);
}

/// Lists keep their order without duplicates; architectures of equal depth are labeled by their widths.
#[test]
fn lists_are_sorted_and_twins_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let flags = format!("{TINY} --seeds 1,1 --hidden 16 --hidden 8 --hidden 16 --codes 8,4,8");
    let said = succeed("architectures", &flags, folder.path());
    let runs = rows(file("runs.csv"));
    let models: Vec<_> = runs.iter().map(|run| &run["widths"][4..8]).collect();
    assert_eq!(models, ["16-4", "16-8", "8-4-", "8-8-"]);
    for name in ["digits-hidden-16-error.svg", "digits-hidden-8-error.svg"] {
        assert_eq!(points(file(name)), 4);
    }
    assert!(
        said.contains("Do models with hidden layers 8 reconstruct better than models with hidden layers 16?")
    );
}

/// The sentence agrees with the table, whatever the order of the strengths.
#[test]
fn answers_agree_with_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let flags = format!("{TINY} --hidden 16 --code 4 --strengths 0.5,0.1");
    let said = succeed("denoising", &flags, folder.path());
    let cells = |strength: &str| -> Vec<f64> {
        let row = said.lines().find(|line| line.starts_with(&format!("| {strength} "))).unwrap();
        row.split('|').filter_map(|cell| cell.trim().parse().ok()).collect()
    };
    // These tiny models lose against the linear denoiser at both variances.
    let answer = said.lines().find(|line| line.starts_with("Does an autoencoder remove more noise")).unwrap();
    let mut losses = ["0.1", "0.5"].map(|strength| cells(strength)[2] - cells(strength)[3]);
    losses.sort_by(f64::total_cmp);
    let range = answer.split("at every noise variance, by ").nth(1).unwrap().split(" dB").next().unwrap();
    let found: Vec<f64> = range.split(" to ").map(|size| size.parse().unwrap()).collect();
    assert!(answer.contains("No. A model for one variance removes less noise"), "{answer}");
    assert!(
        found.iter().zip(losses).all(|(found, loss)| (found - loss).abs() < 0.011),
        "{answer} {losses:?}"
    );
}

#[test]
fn study_puts_everything_into_one_report() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let flags = format!("{TINY} --hidden 24,16 --hidden 16 --codes 4,8 --resume");
    let said = succeed("study", &flags, folder.path());
    assert!(said.ends_with(&format!("the report is {}\n", file("report/index.html").display())), "{said}");
    let page = fs::read_to_string(file("report/index.html")).unwrap();
    let tables = fs::read_to_string(file("report/tables.md")).unwrap();
    for title in [
        "Answers",
        "What the original study found, what we found, why they differ",
        "Method",
        "Depth and code width",
        "Lasso and Dropout",
        "Denoising",
        "Latent space",
        "Anomalies",
        "How this report was made",
    ] {
        assert!(
            page.contains(&format!(">{title}</h2>")) && tables.contains(&format!("## {title}\n")),
            "{title}"
        );
    }
    // The page is self-contained, and has every cell of every table.
    assert_eq!(page.matches("<figure>").count(), page.matches("<svg ").count());
    assert_eq!(page.matches("role=\"img\"").count(), page.matches("<svg ").count());
    assert!(!page.contains("<script") && !page.contains("<link") && !page.contains("src="));
    // Other links are to files beside it.
    for link in page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let is_inside = link.starts_with('#') || link.starts_with("data:image/png");
        assert!(is_inside || file("report").join(link).is_file(), "{link}");
    }
    for name in fs::read_dir(file("report")).unwrap().map(|entry| entry.unwrap().file_name()) {
        let name = name.to_str().unwrap();
        assert!(
            name == "index.html" || page.contains(&format!("<li><a href=\"{name}\">{name}</a>: ")),
            "{name}"
        );
    }
    let ids: Vec<_> = page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids.len(), ids.iter().collect::<HashSet<_>>().len(), "{ids:?}");
    let lines = tables.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| --"));
    let cells: Vec<_> = lines.flat_map(|line| line.trim_matches('|').split('|').map(str::trim)).collect();
    assert_eq!(cells.len(), page.matches("</td>").count() + page.matches("</th>").count());
    for cell in cells {
        assert!(page.contains(&format!(">{cell}</t")), "{cell}");
    }
    assert!(page.contains("200 for training, 200 for tests") && page.contains("do not cite these numbers"));
    // Six sections ask ten questions; every answer is in the JSON, and so are the runs and the tables.
    let json: Value = serde_json::from_slice(&fs::read(file("report/study.json")).unwrap()).unwrap();
    let answers = json["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 10);
    for answer in answers {
        let [question, text] = ["question", "text"].map(|key| answer[key].as_str().unwrap());
        assert!(page.contains(&format!(">{question}</a>")) && tables.contains(text), "{answer}");
    }
    assert_eq!((json["runs"].as_array().unwrap().len(), rows(file("report/runs.csv")).len()), (24, 24));
    for name in ["pca", "denoising", "cross_variance", "neighbors", "code_variance", "codes", "auroc", "roc"]
    {
        let table = rows(file("report").join(name).with_extension("csv"));
        assert_eq!(json["tables"][name].as_array().unwrap().len(), table.len(), "{name}");
        assert!(!table.is_empty(), "{name}");
    }
    assert!(page.contains("--hidden 24,16 --hidden 16") && page.contains("rustc "));
    let command = json["provenance"]["command"].as_str().unwrap();
    assert!(command.contains("--hidden 24,16 --hidden 16"), "{command}");
    // Settings keep their digits.
    let study = fs::read_to_string(file("report/study.json")).unwrap();
    assert!(study.contains("\"learning_rate\": 0.001,") && !study.contains("0.10000000149"));
    // The only data set is not named before each answer.
    assert!(!page.contains("Drawn digits:</span>") && !tables.contains("reconstruction? Drawn digits:"));
    assert!(page.contains("200 for tests. The library draws these digits"), "{page}");

    let experiments = ["architectures", "regularization", "denoising", "latent_space", "anomaly"];
    let all = |name: &str| experiments.map(|experiment| rows(file(experiment).join(name)));
    let (runs, history) = (all("runs.csv"), all("history.csv"));
    assert_eq!(runs.each_ref().map(Vec::len), [4, 6, 6, 1, 10]);
    let said = succeed("study", &flags, folder.path());
    assert!(!said.contains("run 1/"), "{said}");
    assert_eq!((all("runs.csv"), all("history.csv")), (runs, history));
}

#[test]
fn bad_flags_of_experiments_get_one_line_and_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    for (name, flags) in [
        ("architectures", "--hidden x"),
        ("architectures", "--epochs 0"),
        ("architectures", "--dataset nothing"),
        ("architectures", "--seeds 0,,1"),
        ("architectures", "--jobs 0"),
        ("architectures", "--threads 0"),
        ("architectures", "--dataset digits --limit 0"),
        (
            "regularization",
            "--dataset digits --limit 10 --epochs 1 --codes 4 --lasso -1 --dropout 2 --hidden 0",
        ),
        ("denoising", "--dataset digits --limit 10 --strengths -1"),
        ("denoising", "--dataset digits --limit 10 --noise masking --strengths 1.5"),
        ("denoising", "--noise pink"),
        ("latent_space", "--dataset digits --limit 10 --code 0"),
        ("anomaly", "--dataset digits --limit 10 --code x"),
        ("study", "--learning-rate nan"),
    ] {
        let flags: Vec<_> = flags.split(' ').chain(["--out", out]).collect();
        fail(name, &flags, 2);
    }
    fail("anomaly", &["--dataset", "mnist", "--data-dir", "/nowhere", "--out", out], 1);
}
