use autoencoder::{Error, Result, group::Group};
use mpi::{
    datatype::PartitionMut,
    topology::SimpleCommunicator,
    traits::{Communicator, CommunicatorCollectives},
};
use std::{
    collections::BTreeMap,
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
    /// Bytes from all ranks together.
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
    /// [`Error::Shape`] if the bytes of all ranks together are 2 GiB or more, which MPI cannot count. Every rank then fails.
    fn all_gather(&self, label: &'static str, own: &[u8], counts: &[usize], all: &mut [u8]) -> Result<()> {
        let start = Instant::now();
        if i32::try_from(all.len()).is_err() {
            return Err(Error::Shape {
                what: "bytes of an exchange",
                expected: format!("at most {} for MPI; use a smaller batch or model", i32::MAX),
                found: all.len().to_string(),
            });
        }
        if all.is_empty() {
            return Ok(());
        }
        // The address of an empty slice may be any number, even that of MPI_IN_PLACE.
        let own = if own.is_empty() { &[0][..0] } else { own };
        // Everything fits into an `i32`, as `all` does.
        let counts: Vec<_> = counts.iter().map(|&count| count as i32).collect();
        let after = |end: &mut i32, count: &i32| {
            let start = *end;
            *end += count;
            Some(start)
        };
        let starts: Vec<_> = counts.iter().scan(0, after).collect();
        SimpleCommunicator::world()
            .all_gather_varcount_into(own, &mut PartitionMut::new(all, counts, starts));
        let mut traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = traffic.entry(label).or_default();
        entry.exchanges += 1;
        entry.bytes += all.len() as u64;
        entry.time += start.elapsed();
        Ok(())
    }
}
