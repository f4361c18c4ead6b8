//! Sweeps of several processes. Here, threads act as the processes.

#[path = "../../tests/common/processes.rs"]
mod processes;

use autoencoder::{
    Error, Result,
    data::{ImageSet, Noise, digits},
    group::Group,
    train::{TrainConfig, TrainEvent},
};
use autoencoder_study::sweep::{Next, Outcome, Rows, Run, Sweep, WorkQueue};
use std::{
    fs,
    ops::{ControlFlow, Range},
    path::Path,
    sync::{Arc, Barrier, Condvar, Mutex},
    time::Duration,
};

const PROCESSES: usize = 3;

/// A process of several.
#[derive(Debug)]
struct Process {
    group: Arc<dyn Group>,
    shared: Arc<Shared>,
}

/// The memory of all processes.
#[derive(Debug)]
struct Shared {
    barrier: Barrier,
    taken: Mutex<usize>,
}

impl Group for Process {
    fn rank(&self) -> usize {
        self.group.rank()
    }

    fn size(&self) -> usize {
        self.group.size()
    }

    fn exchange(
        &self,
        label: &'static str,
        sent: &[u8],
        to: &[Range<usize>],
        received: &mut [u8],
        from: &[Range<usize>],
    ) -> Result<()> {
        self.group.exchange(label, sent, to, received, from)
    }
}

impl WorkQueue for Process {
    fn hand_out(&self, count: usize, work: &mut dyn FnMut(&Next)) -> Result<()> {
        let take = |numbers: usize| {
            let mut taken = self.shared.taken.lock().unwrap();
            let number = *taken;
            *taken = (number + numbers).min(count);
            (number < count).then_some(number)
        };
        work(&|| take(1));
        take(count);
        self.shared.barrier.wait();
        *self.shared.taken.lock().unwrap() = 0;
        self.shared.barrier.wait();
        Ok(())
    }
}

/// Runs a program in every process and returns the results in order of rank.
fn in_processes<T: Send>(program: impl Fn(Arc<Process>) -> T + Sync) -> Vec<T> {
    let shared = Arc::new(Shared { barrier: Barrier::new(PROCESSES), taken: Mutex::default() });
    processes::in_processes(PROCESSES, |group| program(Arc::new(Process { group, shared: shared.clone() })))
}

fn images() -> (ImageSet, ImageSet) {
    (digits::generate(100, 1).unwrap(), digits::generate(30, 2).unwrap())
}

/// Seven runs, of which the second has an invalid setting, the third no data set, and the fourth diverges.
fn grid() -> Vec<Run> {
    let train = || TrainConfig::new().epochs(2).batch_size(32);
    let run =
        |code, train| Run { dataset: "digits".to_owned(), hidden: vec![24], code, train, ..Run::default() };
    vec![
        run(4, train()),
        run(0, train()),
        Run { dataset: "unknown".to_owned(), ..run(4, train()) },
        run(4, train().learning_rate(1e30)),
        run(5, train()),
        run(4, train().seed(1)),
        run(6, train().noise(Noise::gaussian(0.2).unwrap())),
    ]
}

/// Runs of one epoch with different seeds.
fn short_runs(count: u64) -> Vec<Run> {
    let run = |seed| Run {
        dataset: "digits".to_owned(),
        train: TrainConfig::new().epochs(1).seed(seed),
        ..Run::default()
    };
    (0..count).map(run).collect()
}

fn goes_on(_: usize, _: TrainEvent) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Sweeps the grid.
fn swept(
    sweep: Sweep,
    callback: impl FnMut(usize, TrainEvent) -> ControlFlow<()> + Send,
) -> Result<Vec<Outcome>> {
    let (train, test) = images();
    let find = |name: &str| match name {
        "digits" => Ok(Rows::images(&train, &test)),
        _ => Err(Error::NotFound { dataset: "unknown", looked: vec![] }),
    };
    sweep.run(&grid(), find, callback)
}

/// Returns everything in the outcomes that does not depend on the time.
fn numbers(outcomes: &[Outcome]) -> Vec<String> {
    let of = |outcome: &Outcome| {
        let record = outcome.record.as_ref().map_err(|error| match error {
            Error::Rank { reason, .. } => reason.clone(),
            error => error.to_string(),
        });
        let record = record.map(|record| {
            let losses: Vec<_> =
                record.history.epochs.iter().map(|epoch| (epoch.loss, epoch.validation)).collect();
            (&record.run, &record.data, losses, record.test, record.test_ssim, record.sparsity)
        });
        format!("{} {record:?}", outcome.run.id())
    };
    outcomes.iter().map(of).collect()
}

fn models(folder: &Path) -> Vec<Vec<u8>> {
    let path = |run: &Run| folder.join(run.id()).with_extension("safetensors");
    grid().iter().filter_map(|run| fs::read(path(run)).ok()).collect()
}

#[test]
fn every_process_returns_what_one_alone_returns() {
    let [alone, shared] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let expected = numbers(&swept(Sweep::new(alone.path()), goes_on).unwrap());
    for jobs in [1, 2] {
        let all = in_processes(|process| {
            let mut heard = Vec::new();
            let sweep = Sweep::new(shared.path()).jobs(jobs).queue(process.clone());
            let outcomes = swept(sweep, |number, event| {
                heard.extend(matches!(event, TrainEvent::Epoch { .. }).then_some(number));
                ControlFlow::Continue(())
            });
            (outcomes.unwrap(), heard)
        });
        let mut heard: Vec<_> = all.iter().flat_map(|(_, heard)| heard.clone()).collect();
        heard.sort_unstable();
        assert_eq!(heard, [0, 0, 4, 4, 5, 5, 6, 6], "each run is trained once, for two epochs");
        for (outcomes, _) in &all {
            assert_eq!(numbers(outcomes), expected, "{jobs} jobs");
        }
        // Seconds and speeds, too, are those of the process that trained the run.
        for number in [0, 4, 5, 6] {
            let record = |rank: usize| all[rank].0[number].record.as_ref().unwrap();
            assert!((1..PROCESSES).all(|rank| record(rank) == record(0)));
        }
        assert_eq!(models(shared.path()).len(), 4);
        assert!(models(shared.path()) == models(alone.path()), "{jobs} jobs");
        assert_eq!(fs::read_dir(shared.path()).unwrap().count(), 8, "no other files");
    }
    let all = in_processes(|process| {
        let mut epochs = 0;
        let sweep = Sweep::new(shared.path()).resume(true).queue(process);
        let outcomes = swept(sweep, |_, event| {
            epochs += usize::from(matches!(event, TrainEvent::Epoch { .. }));
            ControlFlow::Continue(())
        });
        (outcomes.unwrap(), epochs)
    });
    for (outcomes, epochs) in all {
        assert_eq!((outcomes.iter().filter(|outcome| outcome.resumed).count(), epochs), (4, 0));
        assert_eq!(numbers(&outcomes), expected);
    }
}

#[test]
fn a_failed_run_is_an_error_of_its_rank_everywhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let all = in_processes(|process| swept(Sweep::new(folder.path()).queue(process), goes_on).unwrap());
    for number in [1, 2, 3] {
        let error = |rank: usize| all[rank][number].record.as_ref().unwrap_err();
        let other = |rank: &usize| matches!(error(*rank), Error::Rank { .. });
        let own: Vec<_> = (0..PROCESSES).filter(|rank| !other(rank)).collect();
        assert_eq!(own.len(), 1, "run {number}");
        for rank in (0..PROCESSES).filter(other) {
            assert_eq!(error(rank).to_string(), format!("rank {}: {}", own[0], error(own[0])));
        }
    }
}

/// The first process does not finish its first run before the others have trained all the rest.
#[test]
fn a_slow_process_does_not_hold_up_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (train, test) = images();
    let runs = short_runs(7);
    let progress = Mutex::new((false, 0));
    let changed = Condvar::new();
    let wait_until = |holds: &dyn Fn(&(bool, usize)) -> bool| {
        let lock = progress.lock().unwrap();
        let limit = Duration::from_secs(60);
        assert!(!changed.wait_timeout_while(lock, limit, |progress| !holds(progress)).unwrap().1.timed_out());
    };
    let counts = in_processes(|process| {
        let rank = process.rank();
        let mut count = 0;
        let sweep = Sweep::new(folder.path()).queue(process);
        let find = |_: &str| Ok(Rows::images(&train, &test));
        let outcomes = sweep.run(&runs, find, |_, event| {
            if let TrainEvent::Epoch { .. } = event {
                count += 1;
                if rank == 0 {
                    progress.lock().unwrap().0 = true;
                    changed.notify_all();
                    wait_until(&|progress| progress.1 == 6);
                } else {
                    wait_until(&|progress| progress.0);
                    progress.lock().unwrap().1 += 1;
                    changed.notify_all();
                }
            }
            ControlFlow::Continue(())
        });
        assert_eq!(outcomes.unwrap().len(), 7);
        count
    });
    assert_eq!((counts[0], counts.iter().sum::<usize>()), (1, 7));
}

#[test]
fn a_break_in_one_process_ends_the_sweep_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let (train, test) = images();
    let runs = short_runs(1_000);
    let all = in_processes(|process| {
        let rank = process.rank();
        let find = |_: &str| Ok(Rows::images(&train, &test));
        Sweep::new(folder.path()).queue(process).run(&runs, find, |_, _| match rank {
            1 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    });
    let counts: Vec<_> = all.into_iter().map(|outcomes| outcomes.unwrap().len()).collect();
    assert!(counts[0] < 1_000 && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

/// Processes that would wait for each other forever, or not find each other's models, fail at once.
#[test]
fn processes_that_differ_are_an_error_before_the_first_run() {
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (train, test) = images();
    let fewer = train.clone().head(50).unwrap();
    let errors = |case: &str| {
        let results = in_processes(|process| {
            let is_last = process.rank() == 2;
            let picked = |differs: &str| is_last && case == differs;
            let place = if picked("folder") { other.path() } else { folder.path() };
            let place = if picked("file") { place.join("file/runs") } else { place.to_owned() };
            let images = if picked("data") { &fewer } else { &train };
            let mut runs = vec![grid().remove(0), grid().remove(4)];
            if picked("runs") {
                runs.swap(0, 1);
            }
            runs.truncate(if picked("count") { 1 } else { 2 });
            Sweep::new(place).queue(process).run(
                &runs,
                |_| Ok(Rows::images(images, &test)),
                |_, _| panic!("a run is trained"),
            )
        });
        results.into_iter().map(|result| result.unwrap_err()).collect::<Vec<_>>()
    };
    fs::write(folder.path().join("file"), []).unwrap();
    for (case, expected) in [
        ("runs", "run 1, code: rank 0 has 4, rank 2 has 5"),
        ("count", "number of runs: rank 0 has 2, rank 2 has 1"),
        ("data", "training rows of digits"),
        ("folder", "rank 2 has none; the folder must be on a file system that all processes share"),
    ] {
        for error in errors(case) {
            assert!(matches!(error, Error::Disagreement { rank: 2, .. }), "{case}: {error}");
            assert!(error.to_string().contains(expected), "{case}: {error}");
        }
    }
    let errors = errors("file");
    assert!(matches!(errors[2], Error::Io { .. }), "{}", errors[2]);
    assert!(matches!(errors[0], Error::Rank { rank: 2, .. }), "{}", errors[0]);
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
}
