use super::{Group, Part};
use crate::error::Result;
use byteorder::{ByteOrder, LittleEndian};
use std::{mem, ops::Range, sync::Arc};

/// Exchanges the fields that processes have computed. Its buffers are reused: after the first exchange of a size, nothing is
/// allocated.
#[derive(Debug)]
pub(crate) struct Exchange {
    group: Arc<dyn Group>,
    sent: Vec<u8>,
    to: Vec<Range<usize>>,
    received: Vec<u8>,
    from: Vec<Range<usize>>,
}

impl Exchange {
    pub(crate) fn new(group: Arc<dyn Group>) -> Self {
        Self { group, sent: vec![], to: vec![], received: vec![], from: vec![] }
    }

    pub(crate) fn part(&self) -> Part {
        Part::of(&*self.group)
    }

    /// Brings this process's fields to all others, and theirs to this one. `fields` visits the fields of a rank in a fixed
    /// order.
    pub(crate) fn run(
        &mut self,
        label: &'static str,
        mut fields: impl FnMut(usize, &mut Wire),
    ) -> Result<()> {
        let Part { rank: own, size } = self.part();
        let count = measured(|wire| fields(own, wire));
        fields(own, &mut Wire::Write(prefix(&mut self.sent, count)));
        self.to.clear();
        self.to.extend((0..size).map(|rank| 0..if rank == own { 0 } else { count }));
        self.deliver(label, fields)
    }

    /// As [`run`](Self::run), with other fields for each receiver: `fields` visits those that go from a rank to another.
    pub(crate) fn run_each(
        &mut self,
        label: &'static str,
        mut fields: impl FnMut(usize, usize, &mut Wire),
    ) -> Result<()> {
        let Part { rank: own, size } = self.part();
        self.to.clear();
        let others =
            (0..size).map(|rank| if rank == own { 0 } else { measured(|wire| fields(own, rank, wire)) });
        consecutive(others, &mut self.to);
        let sent = prefix(&mut self.sent, end(&self.to));
        for (rank, range) in self.to.iter().enumerate().filter(|(rank, _)| *rank != own) {
            fields(own, rank, &mut Wire::Write(&mut sent[range.clone()]));
        }
        self.deliver(label, |rank, wire| fields(rank, own, wire))
    }

    /// Sends the messages, and reads the fields of the other ranks from what they sent.
    fn deliver(&mut self, label: &'static str, mut fields: impl FnMut(usize, &mut Wire)) -> Result<()> {
        let Part { rank: own, size } = self.part();
        self.from.clear();
        let counts = (0..size).map(|rank| if rank == own { 0 } else { measured(|wire| fields(rank, wire)) });
        consecutive(counts, &mut self.from);
        let received = prefix(&mut self.received, end(&self.from));
        let sent = self.to.iter().map(|range| range.end).max().unwrap_or(0);
        self.group.exchange(label, &self.sent[..sent], &self.to, received, &self.from)?;
        for (rank, range) in self.from.iter().enumerate().filter(|(rank, _)| *rank != own) {
            fields(rank, &mut Wire::Read(&received[range.clone()]));
        }
        Ok(())
    }

    /// Gives every process the first one's fields.
    pub(crate) fn of_first(&mut self, label: &'static str, mut fields: impl FnMut(&mut Wire)) -> Result<()> {
        self.run(label, |rank, wire| {
            if rank == 0 {
                fields(wire);
            }
        })
    }
}

/// The bytes of fields.
fn measured(fields: impl FnOnce(&mut Wire)) -> usize {
    let mut wire = Wire::Measure(0);
    fields(&mut wire);
    match wire {
        Wire::Measure(count) => count,
        _ => unreachable!("fields do not change the direction"),
    }
}

/// The first bytes of a buffer, which grows if it has fewer and never shrinks: what it has from an earlier exchange is
/// overwritten, so there is no need to clear it.
fn prefix(buffer: &mut Vec<u8>, count: usize) -> &mut [u8] {
    if buffer.len() < count {
        buffer.resize(count, 0);
    }
    &mut buffer[..count]
}

/// The end of consecutive ranges.
pub(super) fn end(ranges: &[Range<usize>]) -> usize {
    ranges.last().map_or(0, |range| range.end)
}

/// Ranges of these lengths, one after the other.
pub(super) fn consecutive(lengths: impl Iterator<Item = usize>, ranges: &mut Vec<Range<usize>>) {
    for length in lengths {
        let start = ranges.last().map_or(0, |range: &Range<usize>| range.end);
        ranges.push(start..start + length);
    }
}

/// One direction of an exchange. Fields that are visited once give the size of a message, write it and read it.
#[derive(Debug)]
pub(crate) enum Wire<'a> {
    /// Counts bytes.
    Measure(usize),
    /// Copies fields to what is left of a message.
    Write(&'a mut [u8]),
    /// Copies what is left of a message to fields.
    Read(&'a [u8]),
}

impl Wire<'_> {
    pub(crate) fn f32s(&mut self, values: &mut [f32]) {
        self.bytes(
            size_of_val(values),
            values,
            |values, bytes| LittleEndian::write_f32_into(values, bytes),
            LittleEndian::read_f32_into,
        );
    }

    pub(crate) fn f64s(&mut self, values: &mut [f64]) {
        self.bytes(
            size_of_val(values),
            values,
            |values, bytes| LittleEndian::write_f64_into(values, bytes),
            LittleEndian::read_f64_into,
        );
    }

    pub(crate) fn flags<const N: usize>(&mut self, flags: [&mut bool; N]) {
        self.bytes(
            N,
            flags,
            |flags, bytes| bytes.iter_mut().zip(flags).for_each(|(byte, flag)| *byte = u8::from(*flag)),
            |bytes, flags| bytes.iter().zip(flags).for_each(|(byte, flag)| *flag = *byte != 0),
        );
    }

    fn bytes<T>(
        &mut self,
        count: usize,
        field: T,
        write: impl FnOnce(T, &mut [u8]),
        read: impl FnOnce(&[u8], T),
    ) {
        match self {
            Self::Measure(sum) => *sum += count,
            Self::Write(rest) => {
                let (bytes, after) = mem::take(rest).split_at_mut(count);
                *rest = after;
                write(field, bytes);
            }
            Self::Read(rest) => {
                let (bytes, after) = rest.split_at(count);
                *rest = after;
                read(bytes, field);
            }
        }
    }
}
