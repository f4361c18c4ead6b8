//! The program `study` over three ranks: one report, the numbers of one rank, and a killed job that resumes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};
use tempfile::TempDir;

const FLAGS: &str = "--dataset digits --limit 60 --hidden 16 --codes 2,4 --threads 1 --jobs 2 --epochs";
/// Number of runs with these flags.
const RUNS: usize = 20;
/// Longer than any of these jobs needs, also on a busy computer.
const LIMIT: Duration = Duration::from_secs(120);

/// A job whose ranks share a folder for results and one for temporary files.
struct Job {
    folder: TempDir,
}

impl Job {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        Self { folder }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn start(&self, ranks: usize, flags: &str) -> Child {
        let mut command = Command::new("mpirun");
        command
            .args(["--oversubscribe", "--bind-to", "none", "-n", &ranks.to_string()])
            .arg(env!("CARGO_BIN_EXE_study"))
            .args(flags.split(' '))
            .arg("--out")
            .arg(self.out())
            .env("TMPDIR", self.folder.path().join("tmp"))
            // Containers run tests as root, which Open MPI refuses otherwise.
            .envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("mpirun of Open MPI is on the path")
    }

    fn run(&self, ranks: usize, flags: &str) -> Output {
        let mut child = self.start(ranks, flags);
        wait(|| child.try_wait().unwrap().is_some(), || format!("{flags} hangs"));
        child.wait_with_output().unwrap()
    }

    fn succeed(&self, ranks: usize, flags: &str) -> String {
        let output = self.run(ranks, flags);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Returns the finished records with the time when each was written.
    fn records(&self) -> BTreeMap<PathBuf, SystemTime> {
        let Ok(files) = fs::read_dir(self.out().join("runs")) else { return BTreeMap::new() };
        let paths = files.map(|file| file.unwrap().path());
        let written = |path: PathBuf| {
            let time = fs::metadata(&path).ok()?.modified().ok()?;
            Some((path, time))
        };
        paths.filter(|path| path.extension().is_some_and(|name| name == "json")).filter_map(written).collect()
    }

    /// Returns the table of runs without what depends on time.
    fn numbers(&self) -> Vec<BTreeMap<String, String>> {
        let mut rows = csv::Reader::from_path(self.out().join("report/runs.csv")).unwrap();
        let rows = rows.deserialize().map(|row| {
            let mut row: BTreeMap<String, String> = row.unwrap();
            assert!(row.remove("seconds").is_some() && row.remove("images_per_second").is_some());
            row
        });
        rows.collect()
    }

    fn has_temporary_folders(&self) -> bool {
        let is_scratch = |name: &str| name.starts_with(".tmp");
        names(&self.folder.path().join("tmp")).iter().any(|name| is_scratch(name))
    }
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn wait(mut until: impl FnMut() -> bool, failure: impl Fn() -> String) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < LIMIT, "{}", failure());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ranks_share_the_runs_and_write_one_report_with_the_same_numbers() {
    let [alone, shared] = [Job::new(), Job::new()];
    alone.succeed(1, &format!("{FLAGS} 2"));
    let said = shared.succeed(3, &format!("{FLAGS} 2"));
    assert_eq!(said.matches("the report is").count(), 1, "{said}");
    assert_eq!(said.matches("anomaly:").count(), 1, "{said}");
    assert!(said.starts_with("3 processes train;"), "{said}");
    assert!(said.matches("test PSNR").count() < RUNS, "other ranks train, too:\n{said}");
    assert_eq!(alone.numbers().len(), RUNS);
    assert!(shared.numbers() == alone.numbers());
    for experiment in ["architectures", "regularization", "denoising", "latent_space", "anomaly", "report"] {
        let files = |job: &Job| {
            let mut names = names(&job.out().join(experiment));
            names.sort();
            names
        };
        assert_eq!(files(&shared), files(&alone), "{experiment}");
    }
    assert!(fs::read_to_string(shared.out().join("report/tables.md")).unwrap().contains("mpirun -n 3 study"));
    assert_eq!(shared.records().len(), RUNS);
    assert!(!shared.has_temporary_folders());
}

#[test]
fn a_killed_job_resumes_with_the_same_numbers() {
    let [whole, killed] = [Job::new(), Job::new()];
    let flags = format!("{FLAGS} 40 --quiet");
    assert_eq!(whole.succeed(3, &flags), "");
    let mut child = killed.start(3, &flags);
    wait(|| killed.records().len() >= 3, || "no records".to_owned());
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert!(!child.wait().unwrap().success());
    let finished = killed.records();
    assert!((3..RUNS).contains(&finished.len()) && !killed.out().join("report").exists(), "{finished:?}");
    assert_eq!(killed.succeed(3, &format!("{flags} --resume")), "");
    let all = killed.records();
    assert!(finished.iter().all(|(path, time)| all[path] == *time), "a finished run was trained again");
    assert_eq!(all.len(), RUNS);
    assert!(killed.numbers() == whole.numbers());
}

#[test]
fn flags_that_are_wrong_and_help_are_answered_once() {
    let job = Job::new();
    let help = job.succeed(3, "--help");
    assert_eq!(help.matches("--resume").count(), 1, "{help}");
    for (flags, code, expected) in [
        ("--bogus", 2, "error: unexpected argument"),
        ("--dataset digits --epochs 0", 2, "error: epochs = 0: expected"),
        ("--dataset mnist --data-dir /missing", 1, "error: /missing: "),
        ("--dataset digits --limit 60 --hidden 16 --codes 2 --epochs 1 --learning-rate 1e30", 1, "error: "),
    ] {
        let output = job.run(3, flags);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flags}: {said}");
        assert_eq!(said.matches("error: ").count(), 1, "{flags}: {said}");
        assert!(said.contains(expected), "{flags}: {said}");
    }
}
