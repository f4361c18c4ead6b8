//! Threads of this process as the processes of a group.

use autoencoder::{Result, group::Group};
use std::{
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
    messages: Mutex<Vec<Vec<u8>>>,
}

impl Group for Process {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.shared.messages.lock().unwrap().len()
    }

    fn all_gather(&self, _: &'static str, own: &[u8], counts: &[usize], all: &mut [u8]) -> Result<()> {
        assert_eq!((own.len(), all.len()), (counts[self.rank], counts.iter().sum()));
        self.shared.messages.lock().unwrap()[self.rank] = own.to_vec();
        self.shared.barrier.wait();
        let messages = self.shared.messages.lock().unwrap().clone();
        assert!(messages.iter().map(Vec::len).eq(counts.iter().copied()), "{counts:?}");
        all.copy_from_slice(&messages.concat());
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
