//! Threads of this process as the processes of a group.

use autoencoder::{Result, group::Group};
use std::{
    ops::Range,
    panic::{self, AssertUnwindSafe},
    process,
    sync::{Arc, Barrier, Mutex},
    thread,
};

#[derive(Debug)]
struct Process {
    rank: usize,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    barrier: Barrier,
    /// From each process, to each.
    messages: Mutex<Vec<Vec<Vec<u8>>>>,
}

impl Group for Process {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.shared.messages.lock().unwrap().len()
    }

    fn exchange(
        &self,
        _: &'static str,
        sent: &[u8],
        to: &[Range<usize>],
        received: &mut [u8],
        from: &[Range<usize>],
    ) -> Result<()> {
        assert!(to[self.rank].is_empty() && from[self.rank].is_empty());
        assert_eq!(from.last().unwrap().end, received.len());
        let messages = to.iter().map(|range| sent[range.clone()].to_vec()).collect();
        self.shared.messages.lock().unwrap()[self.rank] = messages;
        self.shared.barrier.wait();
        let messages = self.shared.messages.lock().unwrap().clone();
        for (range, messages) in from.iter().zip(messages) {
            received[range.clone()].copy_from_slice(&messages[self.rank]);
        }
        // Nobody may send the next message before everyone has read this one.
        self.shared.barrier.wait();
        Ok(())
    }
}

/// Runs a program in `count` processes and returns what each of them returns.
pub fn in_processes<T: Send>(count: usize, program: impl Fn(Arc<dyn Group>) -> T + Sync) -> Vec<T> {
    let messages = Mutex::new(vec![vec![]; count]);
    let shared = Arc::new(Shared { barrier: Barrier::new(count), messages });
    thread::scope(|scope| {
        let start = |rank| {
            let (shared, program) = (shared.clone(), &program);
            scope.spawn(move || {
                let process = Arc::new(Process { rank, shared });
                let result = panic::catch_unwind(AssertUnwindSafe(|| program(process)));
                // The others would wait for it forever.
                result.unwrap_or_else(|_| process::exit(101))
            })
        };
        let threads: Vec<_> = (0..count).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
