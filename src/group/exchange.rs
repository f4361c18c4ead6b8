use super::{Group, Part};
use crate::error::Result;
use byteorder::{ByteOrder, LittleEndian};
use std::{mem, sync::Arc};

/// Exchanges the fields that processes have computed. Its buffers are reused: after the first exchange of a size, nothing is
/// allocated.
#[derive(Debug)]
pub(crate) struct Exchange {
    group: Arc<dyn Group>,
    own: Vec<u8>,
    counts: Vec<usize>,
    all: Vec<u8>,
}

impl Exchange {
    pub(crate) fn new(group: Arc<dyn Group>) -> Self {
        Self { group, own: vec![], counts: vec![], all: vec![] }
    }

    pub(crate) fn part(&self) -> Part {
        Part::of(&*self.group)
    }

    /// Brings every process's fields to all others. `fields` visits the fields of a rank in a fixed order.
    pub(crate) fn run(
        &mut self,
        label: &'static str,
        mut fields: impl FnMut(usize, &mut Wire),
    ) -> Result<()> {
        let (rank, size) = (self.group.rank(), self.group.size());
        self.counts.clear();
        for rank in 0..size {
            let mut measured = Wire::Measure(0);
            fields(rank, &mut measured);
            let Wire::Measure(count) = measured else { unreachable!("fields do not change the direction") };
            self.counts.push(count);
        }
        self.own.resize(self.counts[rank], 0);
        self.all.resize(self.counts.iter().sum(), 0);
        fields(rank, &mut Wire::Write(&mut self.own));
        self.group.all_gather(label, &self.own, &self.counts, &mut self.all)?;
        let mut rest = &self.all[..];
        for (other, &count) in self.counts.iter().enumerate() {
            let received = rest.split_off(..count).unwrap_or_default();
            if other != rank {
                fields(other, &mut Wire::Read(received));
            }
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
