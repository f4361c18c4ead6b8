//! Starts ranks.

use libtest_mimic::Failed;
use std::{
    env,
    ffi::OsStr,
    io::Read,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A job that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// A job that has ended.
#[derive(Debug)]
pub struct Finished {
    code: Option<i32>,
    pub stderr: String,
    pub time: Duration,
}

impl Finished {
    pub fn succeeded(&self) -> Result<(), Failed> {
        match self.code {
            Some(0) => Ok(()),
            code => Err(format!("exit code {code:?}: {}", self.stderr).into()),
        }
    }

    /// Checks that the job failed with a message on standard error.
    pub fn failed_with(&self, message: &str) -> Result<(), Failed> {
        if self.code != Some(0) && self.stderr.contains(message) {
            return Ok(());
        }
        Err(format!("expected {message:?}, exit code {:?}: {}", self.code, self.stderr).into())
    }
}

/// Runs this test program on several ranks, with arguments and environment variables.
pub fn mpirun(ranks: usize, arguments: &[&str], variables: &[(&str, &OsStr)]) -> Result<Finished, Failed> {
    let start = Instant::now();
    let mut command = Command::new("mpirun");
    // There may be more ranks than cores. Open MPI runs as root, as in containers, only if both variables are set.
    command.args(["--oversubscribe", "-n", &ranks.to_string()]);
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.arg(env::current_exe()?).args(arguments).envs(variables.iter().copied());
    let mut job = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut stderr = job.stderr.take().ok_or("no standard error")?;
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let status = loop {
        if let Some(status) = job.try_wait()? {
            break status;
        }
        if start.elapsed() > LIMIT {
            job.kill()?;
            job.wait()?;
            return Err(format!("still running after {LIMIT:?}").into());
        }
        thread::sleep(Duration::from_millis(20));
    };
    let stderr = reader.join().map_err(|_| "the reader panicked")??;
    Ok(Finished { code: status.code(), stderr, time: start.elapsed() })
}
