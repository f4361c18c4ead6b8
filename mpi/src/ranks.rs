use autoencoder::{Error, Result, group::Group};
use mpi::{
    datatype::{Partition, PartitionMut},
    topology::SimpleCommunicator,
    traits::{Communicator, CommunicatorCollectives},
};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The ranks of an MPI program, as a group that trains one model.
#[derive(Debug)]
pub struct Ranks {
    rank: usize,
    size: usize,
    traffic: Mutex<BTreeMap<&'static str, Traffic>>,
}

/// The exchanges of one kind.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Traffic {
    /// Number of exchanges.
    pub exchanges: u64,
    /// Bytes that this rank received.
    pub bytes: u64,
    /// Time that this rank spent in them, waiting for other ranks included.
    pub time: Duration,
}

impl Ranks {
    /// To be called after MPI is initialized.
    pub(crate) fn new() -> Self {
        let world = SimpleCommunicator::world();
        Self { rank: world.rank() as usize, size: world.size() as usize, traffic: Mutex::default() }
    }

    /// Returns what was exchanged so far: `rows` and `weights` in every step, and everything else by name.
    pub fn traffic(&self) -> BTreeMap<&'static str, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Group for Ranks {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    /// # Errors
    /// [`Error::Shape`] if a process sends or receives 2 GiB or more at once, which MPI cannot count.
    fn exchange(
        &self,
        label: &'static str,
        sent: &[u8],
        to: &[Range<usize>],
        received: &mut [u8],
        from: &[Range<usize>],
    ) -> Result<()> {
        let start = Instant::now();
        let bytes = sent.len().max(received.len());
        if i32::try_from(bytes).is_err() {
            return Err(Error::Shape {
                what: "bytes of an exchange",
                expected: format!("at most {} for MPI; use a smaller batch or model", i32::MAX),
                found: bytes.to_string(),
            });
        }
        let count = received.len() as u64;
        let (counts, starts) = counts_and_starts(to);
        // The address of an empty slice may be any number, even that of MPI_IN_PLACE.
        let mut nothing = [0];
        let sent = Partition::new(if sent.is_empty() { &[0][..] } else { sent }, counts, starts);
        let (counts, starts) = counts_and_starts(from);
        let received = if received.is_empty() { &mut nothing } else { received };
        let mut received = PartitionMut::new(received, counts, starts);
        SimpleCommunicator::world().all_to_all_varcount_into(&sent, &mut received);
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = traffic.entry(label).or_default();
        entry.exchanges += 1;
        entry.bytes += count;
        entry.time += start.elapsed();
        Ok(())
    }
}

/// Ranges as MPI wants them, whose numbers fit into an `i32`.
fn counts_and_starts(ranges: &[Range<usize>]) -> (Vec<i32>, Vec<i32>) {
    ranges.iter().map(|range| (range.len() as i32, range.start as i32)).unzip()
}
