//! Runs of a sweep for the ranks: each asks rank 0 for the next one.

use crate::{
    Ranks,
    program::{POLL, arrive},
};
use autoencoder::{Result, group::Group};
use autoencoder_study::sweep::{Next, WorkQueue};
use mpi::{
    Tag,
    topology::SimpleCommunicator,
    traits::{Communicator, CommunicatorCollectives, Destination, Source},
};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

/// Tag of a request, which is empty.
const ASK: Tag = 1;
/// Tag of an answer: a number, or [`NONE_LEFT`].
const ANSWER: Tag = 2;
const NONE_LEFT: u64 = u64::MAX;

/// Rank 0 has a thread that answers the others, while it trains, too.
///
/// Only one thread of a rank may use MPI at a time. On rank 0 that is the one that answers. On the other ranks, the jobs take
/// turns. `work` must not use the group.
impl WorkQueue for Ranks {
    fn hand_out(&self, count: usize, work: &mut dyn FnMut(&Next)) -> Result<()> {
        if self.rank() == 0 {
            answer(self.size() - 1, count, work);
        } else {
            ask(work);
        }
        // An early request of the next sweep must not be answered with a run of this one.
        arrive(SimpleCommunicator::world().immediate_barrier());
        Ok(())
    }
}

/// Works on rank 0 and gives numbers to `others`, until each was told that none is left.
fn answer(others: usize, count: usize, work: &mut dyn FnMut(&Next)) {
    let taken = AtomicUsize::new(0);
    let next = || Some(taken.fetch_add(1, Relaxed)).filter(|&number| number < count);
    thread::scope(|scope| {
        scope.spawn(|| {
            let world = SimpleCommunicator::world();
            let mut waiting = others;
            while waiting > 0 {
                match world.any_process().immediate_matched_probe_with_tag(ASK) {
                    None => thread::sleep(POLL),
                    Some((message, status)) => {
                        message.matched_receive_into(&mut [0_u8; 0]);
                        let number = next();
                        let answer = number.map_or(NONE_LEFT, |number| number as u64);
                        world.process_at_rank(status.source_rank()).send_with_tag(&answer, ANSWER);
                        waiting -= usize::from(number.is_none());
                    }
                }
            }
        });
        // If `work` panics, the others still finish their runs in flight, and then the scope ends.
        let _rest = Exhaust { taken: &taken, count };
        work(&next);
    });
}

/// Leaves no number when `work` has ended.
struct Exhaust<'a> {
    taken: &'a AtomicUsize,
    count: usize,
}

impl Drop for Exhaust<'_> {
    fn drop(&mut self) {
        self.taken.store(self.count, Relaxed);
    }
}

/// Works on another rank with numbers from rank 0.
fn ask(work: &mut dyn FnMut(&Next)) {
    let is_over = Mutex::new(false);
    let next = || {
        // The lock is held until the answer comes, so that no two threads use MPI at the same time.
        let mut is_over = is_over.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_over {
            return None;
        }
        let world = SimpleCommunicator::world();
        let first = world.process_at_rank(0);
        first.send_with_tag(&[0_u8; 0], ASK);
        let answer: u64 = loop {
            match first.immediate_matched_probe_with_tag(ANSWER) {
                None => thread::sleep(POLL),
                Some((message, _)) => break message.matched_receive().0,
            }
        };
        *is_over = answer == NONE_LEFT;
        (!*is_over).then_some(answer as usize)
    };
    work(&next);
    // After an early end of `work`, this takes all numbers that are left. Rank 0 waits for the last request.
    while next().is_some() {}
}
