//! The number of worker threads.

use super::{complain, is_quiet};
use autoencoder::{Error, TrainConfig};
use std::env;

/// Maximum number of threads, for `--threads` and for the environment.
const MAX_THREADS: usize = 1024;

/// Sets the number of worker threads, by default one per core or that of `RAYON_NUM_THREADS`, and returns it.
pub fn set_threads(threads: Option<usize>) -> Result<usize, Error> {
    if let Some(threads) = threads {
        TrainConfig::new().threads(threads).check()?;
    }
    let threads = threads.or_else(|| {
        let (variable, threads) = threads_in_environment(|name| env::var(name).ok())?;
        if threads > MAX_THREADS && !is_quiet() {
            complain(&format!("{variable} = {threads}: using {MAX_THREADS} threads, the maximum"));
        }
        Some(threads.min(MAX_THREADS))
    });
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
    builder
        .build_global()
        .map_err(|error| Error::Threads { threads: threads.unwrap_or(0), reason: error.to_string() })?;
    Ok(rayon::current_num_threads())
}

/// The variable that sets the number of threads, and the number. These are the variables that rayon reads, in its order; 0
/// means one thread per core.
fn threads_in_environment(value: impl Fn(&str) -> Option<String>) -> Option<(&'static str, usize)> {
    let variables = ["RAYON_NUM_THREADS", "RAYON_RS_NUM_CPUS"];
    variables.into_iter().find_map(|name| Some((name, value(name)?.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_is_that_of_the_flag() {
        assert!(TrainConfig::new().threads(MAX_THREADS).check().is_ok());
        assert!(TrainConfig::new().threads(MAX_THREADS + 1).check().is_err());
    }

    #[test]
    fn the_environment_is_read_as_rayon_reads_it() {
        for (first, second, expected) in [
            (Some("100000"), None, Some(("RAYON_NUM_THREADS", 100_000))),
            (Some("many"), Some("3"), Some(("RAYON_RS_NUM_CPUS", 3))),
            (Some("0"), Some("3"), Some(("RAYON_NUM_THREADS", 0))),
            (Some("-1"), None, None),
            (None, None, None),
        ] {
            let value = |name: &str| if name == "RAYON_NUM_THREADS" { first } else { second };
            assert_eq!(threads_in_environment(|name| value(name).map(str::to_owned)), expected);
        }
    }
}
