//! Parallel loops in which a task goes to the same worker step after step.

use crate::kernels::buffers::LINE;
use rayon::prelude::*;
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

/// Multiply-adds that outweigh the cost of scheduling a task, a few microseconds.
const MIN_OPERATIONS: usize = 1_000_000;
/// Elements copied or passed through an activation in the same time.
const MIN_ELEMENTS: usize = 10_000;
/// The most tasks of one stage of the rows phase.
const MAX_TASKS: usize = 64;

/// Columns that are shared out together: whole cache lines, so that no two workers write to one, and as many as fill the
/// registers of the dense product.
const PANEL: usize = 2 * LINE;

/// The workers that share a loop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crew {
    workers: usize,
}

impl Crew {
    /// The calling thread alone.
    pub(super) const ALONE: Self = Self { workers: 1 };

    /// The workers of the pool that it is called in.
    pub(super) fn of_pool() -> Self {
        Self { workers: rayon::current_num_threads() }
    }

    /// At most one worker for each [`MIN_OPERATIONS`] multiply-adds.
    pub(super) fn for_operations(self, operations: usize) -> Self {
        Self { workers: self.workers.min(operations / MIN_OPERATIONS).max(1) }
    }

    /// At most one worker for each [`MIN_ELEMENTS`] elements.
    pub(super) fn for_elements(self, elements: usize) -> Self {
        Self { workers: self.workers.min(elements / MIN_ELEMENTS).max(1) }
    }

    /// Rows of each task where `rows` are shared out.
    pub(super) fn rows_each(self, rows: usize) -> usize {
        rows.div_ceil(self.workers.min(MAX_TASKS)).max(1)
    }

    /// Columns of each task where `columns` are shared out: a multiple of [`PANEL`].
    pub(super) fn columns_each(self, columns: usize) -> usize {
        columns.div_ceil(PANEL).div_ceil(self.workers.min(MAX_TASKS)).max(1) * PANEL
    }

    /// Runs up to 64 tasks.
    pub(super) fn for_each<T: Send>(
        self,
        mut tasks: impl ExactSizeIterator<Item = T>,
        run: impl Fn(T) + Sync,
    ) {
        if self.workers == 1 || tasks.len() <= 1 {
            return tasks.for_each(run);
        }
        let count = tasks.len();
        debug_assert!(count <= MAX_TASKS, "{count} tasks");
        let slots: [Slot<T>; MAX_TASKS] = std::array::from_fn(|index| Slot {
            owner: self.owner(index, count),
            task: Mutex::new(tasks.next()),
        });
        self.run_slots(&slots[..count], run);
    }

    /// Runs the task of every slot. A worker first takes those that it owns, which it had in the steps before, so that
    /// their data are in its caches. Then it takes tasks that their owners have not started.
    pub(super) fn run_slots<T: Send>(self, slots: &[Slot<T>], run: impl Fn(T) + Sync) {
        let left = AtomicUsize::new(slots.len());
        let work = |_| {
            let worker = rayon::current_thread_index().unwrap_or(0) % self.workers;
            let own = slots.iter().filter(|slot| slot.owner == worker);
            let others = slots.iter().filter(|slot| slot.owner != worker);
            for slot in own.chain(others) {
                if left.load(Ordering::Relaxed) == 0 {
                    return;
                }
                if let Some(task) = slot.take() {
                    left.fetch_sub(1, Ordering::Relaxed);
                    run(task);
                }
            }
        };
        match self.workers.min(slots.len()) {
            0 | 1 => work(0),
            workers => (0..workers).into_par_iter().with_max_len(1).for_each(work),
        }
    }

    /// The worker who owns the `index`th of `count` tasks.
    pub(super) fn owner(self, index: usize, count: usize) -> usize {
        index * self.workers / count
    }
}

/// A task until somebody takes it.
#[derive(Debug)]
pub(super) struct Slot<T> {
    owner: usize,
    task: Mutex<Option<T>>,
}

impl<T> Slot<T> {
    pub(super) fn new(owner: usize, task: T) -> Self {
        Self { owner, task: Mutex::new(Some(task)) }
    }

    fn take(&self) -> Option<T> {
        // Nobody panics with the lock held, and nobody waits for it for long.
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_on_any_number_of_threads() {
        for threads in [1, 2, 3, 16] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                for count in [0, 1, 2, 3, 17, MAX_TASKS] {
                    let mut runs = vec![0; count];
                    Crew::of_pool().for_each(runs.iter_mut(), |run| *run += 1);
                    assert_eq!(runs, vec![1; count], "{threads} threads");
                    let crew = Crew::of_pool();
                    let slot = |(index, run)| Slot::new(crew.owner(index, count), run);
                    let slots: Vec<_> = runs.iter_mut().enumerate().map(slot).collect();
                    crew.run_slots(&slots, |run| *run += 1);
                    drop(slots);
                    assert_eq!(runs, vec![2; count], "{threads} threads");
                }
            });
        }
    }

    #[test]
    fn shares_cover_all_rows_and_columns_in_few_tasks() {
        for workers in [1, 2, 5, 16, 200] {
            let crew = Crew { workers };
            for len in [1, 15, 16, 17, 100, 784, 5000] {
                let (rows, columns) = (crew.rows_each(len), crew.columns_each(len));
                assert!(len.div_ceil(rows) <= workers.min(MAX_TASKS));
                assert!(len.div_ceil(columns) <= workers.min(MAX_TASKS) && columns.is_multiple_of(PANEL));
            }
            assert_eq!(crew.for_operations(0).workers, 1);
            assert_eq!(crew.for_operations(usize::MAX).workers, workers);
        }
    }
}
