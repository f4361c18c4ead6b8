//! Every flag of every example with nonsensical values: the documented exit code, a one-line error, no panic.

use super::{program, text};
use autoencoder::{data::idx, ndarray::Array3};
use ndarray_npy::write_npy;
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{RngSeed, TestRunner},
};
use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::{self, File},
    path::Path,
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

/// Far longer than any run takes.
const PATIENCE: Duration = Duration::from_secs(240);

/// Text that is neither a number nor a choice nor a list.
const JUNK: [&str; 12] =
    ["", " ", "x", "1..2", "--", "-", "0x10", "１", "💩", "a\nb", "1e", "99999999999999999999999999999999x"];

/// The kind of value that a flag accepts, which decides which values are hostile.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// At least 1.
    Count,
    /// At least 1; more than there are rows is fine.
    BatchSize,
    Width,
    Widths,
    Threads,
    Jobs,
    Seed,
    Seeds,
    /// At least 0.
    Real,
    Reals,
    /// In [0, 1).
    Rate,
    /// Above 0.
    Positive,
    /// In (0, 1).
    Share,
    Shape,
    Choice,
    /// The data set may be missing.
    Dataset,
    Switch,
    Path,
    Images,
}

impl Kind {
    /// Returns values that must be refused with code 2, and values that may have any outcome except a panic.
    fn hostile(self) -> (Vec<&'static str>, Vec<&'static str>) {
        const NO_COUNTS: [&str; 6] = ["0", "-1", "1.5", "nan", "inf", "18446744073709551616"];
        const NO_REALS: [&str; 6] = ["-1", "-1e-30", "nan", "inf", "-inf", "1e999"];
        let (special, odd): (&[&[&str]], &[&str]) = match self {
            Self::Count => (&[&NO_COUNTS], &["1", "2", "+1", "0002"]),
            Self::BatchSize => (&[&NO_COUNTS], &["1", "7", "18446744073709551615"]),
            Self::Width => (&[&NO_COUNTS, &["18446744073709551615", "1000000000000000"]], &["1", "3"]),
            Self::Widths => (
                &[&NO_COUNTS, &["18446744073709551615", "4,0", "4,,4", ",", "4,", "99999999999,99999999999"]],
                &["1", "3,2,1,2", "5,5"],
            ),
            Self::Threads => (&[&NO_COUNTS, &["1025", "18446744073709551615"]], &["1", "3"]),
            Self::Jobs => (&[&NO_COUNTS], &["1", "1000000", "18446744073709551615"]),
            Self::Seed => (&[&["-1", "1.5", "nan", "18446744073709551616"]], &["0", "18446744073709551615"]),
            Self::Seeds => (
                &[&["-1", "1.5", "nan", "18446744073709551616", "0,,1", ","]],
                &["7,7", "18446744073709551615"],
            ),
            Self::Real => (&[&NO_REALS], &["0", "-0", "1e-45", "1e-30", "1e30", "3.4e38"]),
            Self::Reals => {
                (&[&NO_REALS, &["0.1,,0.2", "0.1,nan", ","]], &["0", "-0", "0.5,0.5", "1e-45,1", "3.4e38"])
            }
            Self::Rate => (&[&NO_REALS, &["1", "2", "1e30"]], &["0", "-0", "1e-45", "0.99999"]),
            Self::Positive => (&[&NO_REALS, &["0", "-0", "1e-60"]], &["1e-45", "1e10", "1e30", "3.4e38"]),
            Self::Share => (&[&NO_REALS, &["0", "1", "1.5", "1e30"]], &["1e-300", "0.5", "0.99"]),
            Self::Shape => (
                &[&["24", "4x", "x5", "-4x5", "4x5x1", "4X5", "4 x 5", "99999999999999999999x1"]],
                &["4x5", "5x4", "0x0", "20x1", "18446744073709551615x2", "1x1"],
            ),
            Self::Choice => (&[&["MSE", "0", "nothing"]], &[]),
            Self::Dataset => (&[&["MNIST", "0", "nothing"]], &["mnist", "fashion-mnist", "digits"]),
            Self::Switch => (&[&["true", "0"]], &[]),
            Self::Path => return (vec![""], vec!["not UTF-8", "long"].into_iter().chain(PATHS).collect()),
            Self::Images => {
                return (vec![""], vec!["not UTF-8", "long"].into_iter().chain(PATHS).chain(FILES).collect());
            }
        };
        (JUNK.iter().chain(special.iter().copied().flatten()).copied().collect(), odd.to_vec())
    }
}

const PATHS: [&str; 9] =
    [".", " ", "file", "file/below", "/dev/null", "/dev/null/below", "new/and/deep", "💩", "a\nb"];

const FILES: [&str; 8] = [
    "good.idx",
    "nan.npy",
    "constant.npy",
    "one.npy",
    "pixel.npy",
    "truncated.npy",
    "empty.npy",
    "/proc/self/mem",
];

/// Creates the files for [`FILES`] and [`PATHS`].
fn write_files(folder: &Path) {
    let at = |name: &str| folder.join(name);
    fs::write(at("file"), [7; 100]).unwrap();
    idx::save_array(at("good.idx"), &[30, 4, 5], &[9; 600], idx::Encoding::Plain).unwrap();
    let npy = |name: &str, shape, value: f32| write_npy(at(name), &Array3::from_elem(shape, value)).unwrap();
    npy("nan.npy", (30, 4, 5), f32::NAN);
    npy("constant.npy", (30, 4, 5), 0.5);
    npy("one.npy", (1, 4, 5), 0.5);
    npy("pixel.npy", (30, 1, 1), 0.5);
    npy("empty.npy", (0, 4, 5), 0.5);
    let whole = fs::read(at("constant.npy")).unwrap();
    fs::write(at("truncated.npy"), &whole[..whole.len() - 7]).unwrap();
}

/// Returns the argument for a value.
fn argument(value: &str) -> OsString {
    match value {
        "long" => "a".repeat(5_000).into(),
        #[cfg(unix)]
        "not UTF-8" => std::os::unix::ffi::OsStringExt::from_vec(vec![b'a', 0xff, 0xfe]),
        value => value.into(),
    }
}

/// A flag, its value, and whether it must be refused.
#[derive(Debug, Clone, Copy)]
struct Draw {
    flag: &'static str,
    value: &'static str,
    refused: bool,
}

fn draw(flags: &'static [(&'static str, Kind)]) -> impl Strategy<Value = Draw> {
    (select(flags), prop::bool::weighted(0.4)).prop_flat_map(|((flag, kind), refused)| {
        let (values, odd) = kind.hostile();
        let refused = refused || odd.is_empty();
        select(if refused { values } else { odd }).prop_map(move |value| Draw { flag, value, refused })
    })
}

/// Runs a program with these arguments, and fails if it does not end by itself.
fn run(name: &str, arguments: &[OsString], folder: &Path) -> Output {
    let file = |name: &str| File::create(folder.join(name)).unwrap();
    let mut command = Command::new(program(name));
    command.args(arguments).env_remove("AUTOENCODER_DATA").current_dir(folder.join("cwd"));
    let mut child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{name} {arguments:?} does not end");
        }
        thread::sleep(Duration::from_millis(2));
    };
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    Output { status, stdout: read("stdout"), stderr: read("stderr") }
}

/// Runs a program with small, valid flags, some of which are replaced.
fn check(name: &str, base: &str, draws: &[Draw]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("cwd")).unwrap();
    write_files(&folder.path().join("cwd"));
    let base: Vec<_> = base.split_whitespace().collect();
    let sound = base.chunks(2).map(|pair| (pair[0], argument(pair[1])));
    let mut flags: HashMap<&str, OsString> = sound.collect();
    flags.extend(draws.iter().map(|draw| (draw.flag, argument(draw.value))));
    let joined =
        |(flag, value): (&str, OsString)| [OsStr::new(flag), OsStr::new("="), &value].into_iter().collect();
    let arguments: Vec<OsString> = flags.into_iter().map(joined).collect();

    let output = run(name, &arguments, folder.path());
    let (said, code) = (text(&output.stderr), output.status.code());
    let all = format!("{name} {arguments:?} ended with {code:?}: {said}");
    prop_assert!(!said.contains("panicked") && matches!(code, Some(0..=2)), "{}", all);
    let refused = draws.iter().filter(|draw| draw.refused).count();
    prop_assert!(refused == 0 || code != Some(0), "{}", all);
    prop_assert!(refused < draws.len() || code == Some(2), "{}", all);
    // Each failed run of a sweep has a line, followed by the error of the whole command.
    let lines: Vec<_> = said.lines().filter(|line| !line.starts_with("warning: ")).collect();
    match code {
        Some(0) => prop_assert!(lines.is_empty(), "{}", all),
        Some(1) => prop_assert!(lines.last().is_some_and(|line| line.starts_with("error: ")), "{}", all),
        _ => prop_assert!(lines.len() == 1, "{}", all),
    }
    let errors = lines.iter().filter(|line| line.starts_with("error: ")).count();
    prop_assert_eq!(errors, usize::from(code != Some(0)), "{}", all);
    Ok(())
}

/// One to three flags at once, the same in every run.
fn hostile(name: &str, cases: u32, base: &str, flags: &'static [(&'static str, Kind)]) {
    let rng_seed = RngSeed::Fixed(1);
    let config = ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() };
    let draws = prop::collection::vec(draw(flags), 1..4).prop_map(|mut draws| {
        draws.sort_by_key(|draw| draw.flag);
        draws.dedup_by_key(|draw| draw.flag);
        draws
    });
    TestRunner::new(config).run(&draws, |draws| check(name, base, &draws)).unwrap();
}

#[test]
fn quickstart() {
    hostile(
        "quickstart",
        30,
        "--dataset digits --limit 20 --epochs 1 --hidden 8 --code 4 --out out",
        &[
            ("--dataset", Kind::Dataset),
            ("--data-dir", Kind::Path),
            ("--hidden", Kind::Widths),
            ("--code", Kind::Width),
            ("--noise-variance", Kind::Real),
            ("--epochs", Kind::Count),
            ("--batch-size", Kind::BatchSize),
            ("--learning-rate", Kind::Positive),
            ("--loss", Kind::Choice),
            ("--init", Kind::Choice),
            ("--dropout", Kind::Rate),
            ("--lasso", Kind::Real),
            ("--seed", Kind::Seed),
            ("--threads", Kind::Threads),
            ("--limit", Kind::Count),
            ("--checkpoint-every", Kind::Count),
            ("--resume", Kind::Switch),
            ("--out", Kind::Path),
            ("--quiet", Kind::Switch),
            ("--bogus", Kind::Choice),
        ],
    );
}

#[test]
fn throughput() {
    hostile(
        "throughput",
        25,
        "--dataset digits --limit 100 --epochs 1 --hidden 4 --code 2 --batch-size 1000",
        &[
            ("--dataset", Kind::Dataset),
            ("--data-dir", Kind::Path),
            ("--hidden", Kind::Widths),
            ("--code", Kind::Width),
            ("--limit", Kind::Count),
            ("--threads", Kind::Threads),
            ("--epochs", Kind::Count),
            ("--noise-variance", Kind::Real),
            ("--dropout", Kind::Rate),
        ],
    );
}

#[test]
fn draw_digits() {
    hostile(
        "draw_digits",
        60,
        "--count 11 --out out",
        &[("--count", Kind::Width), ("--seed", Kind::Seed), ("--out", Kind::Path)],
    );
}

#[test]
fn custom_data() {
    hostile(
        "custom_data",
        250,
        "--images good.idx --epochs 1 --hidden 8 --code 2 --out out",
        &[
            ("--images", Kind::Images),
            ("--shape", Kind::Shape),
            ("--test-share", Kind::Share),
            ("--noise-variance", Kind::Real),
            ("--salt-and-pepper", Kind::Real),
            ("--masking", Kind::Real),
            ("--learning-rate", Kind::Real),
            ("--dropout", Kind::Rate),
            ("--lasso", Kind::Real),
            ("--checkpoint-every", Kind::Count),
            ("--resume", Kind::Switch),
            ("--gray", Kind::Switch),
            ("--targets", Kind::Images),
            ("--labels", Kind::Images),
            ("--hidden", Kind::Widths),
            ("--code", Kind::Width),
            ("--epochs", Kind::Count),
            ("--batch-size", Kind::BatchSize),
            ("--seed", Kind::Seed),
            ("--threads", Kind::Threads),
            ("--out", Kind::Path),
        ],
    );
}

const STUDY: &str = "--dataset digits --limit 20 --epochs 1 --batch-size 32 --hidden 8 --out out";

/// The common flags of all experiments, and those of one experiment.
macro_rules! experiment {
    ($name:ident, $cases:literal, $base:literal, [$($own:tt)*]) => {
        #[test]
        fn $name() {
            const FLAGS: &[(&str, Kind)] = &[
                ("--dataset", Kind::Dataset),
                ("--data-dir", Kind::Path),
                ("--epochs", Kind::Count),
                ("--batch-size", Kind::BatchSize),
                ("--learning-rate", Kind::Positive),
                ("--loss", Kind::Choice),
                ("--init", Kind::Choice),
                ("--seeds", Kind::Seeds),
                ("--threads", Kind::Threads),
                ("--jobs", Kind::Jobs),
                ("--limit", Kind::Count),
                ("--resume", Kind::Switch),
                ("--out", Kind::Path),
                ("--hidden", Kind::Widths),
                $($own)*
            ];
            hostile(stringify!($name), $cases, &format!("{STUDY} {}", $base), FLAGS);
        }
    };
}

experiment!(architectures, 40, "--codes 2,4", [("--codes", Kind::Widths)]);
experiment!(
    regularization,
    40,
    "--codes 2 --lambdas 0,1e-5",
    [
        ("--codes", Kind::Widths),
        ("--lasso", Kind::Real),
        ("--dropout", Kind::Rate),
        ("--lambdas", Kind::Reals)
    ]
);
experiment!(
    denoising,
    40,
    "--code 2 --strengths 0.1,0.5",
    [
        ("--code", Kind::Width),
        ("--noise", Kind::Choice),
        ("--strengths", Kind::Reals),
        ("--clamped", Kind::Switch),
    ]
);
experiment!(latent_space, 40, "--code 2", [("--code", Kind::Width)]);
experiment!(anomaly, 40, "--code 2", [("--code", Kind::Width)]);
experiment!(
    study,
    30,
    "--codes 2",
    [
        ("--codes", Kind::Widths),
        ("--lasso", Kind::Real),
        ("--dropout", Kind::Rate),
        ("--thorough", Kind::Switch),
    ]
);

/// Folder names may be invalid UTF-8, or contain a newline.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_of_any_name_will_do() {
    for value in ["not UTF-8", "a\nb"] {
        let out = [Draw { flag: "--out", value, refused: false }];
        check("study", &format!("{STUDY} --codes 2"), &out).unwrap();
        let images = [Draw { flag: "--images", value, refused: false }];
        check("custom_data", "--out out", &images).unwrap();
    }
}
