use super::IdxArray;
use crate::{
    data::formats::pixels::reversed_integer,
    error::{Error, Result},
};

/// Columns of QMNIST's labels: the class, then the writer, the page and so on.
const QMNIST_COLUMNS: usize = 8;

impl IdxArray {
    /// Returns the labels in an array of bytes or integers from 0 to 255.
    ///
    /// The array is `[labels]`, with or without further dimensions of 1, or QMNIST's `[labels, 8]` of integers, whose first
    /// column is the class.
    ///
    /// ```
    /// use autoencoder::data::idx;
    /// let labels = idx::read_array(&[0, 0, 0x0b, 1, 0, 0, 0, 2, 0, 7, 0, 9][..], "of 16 bits")?;
    /// assert_eq!(labels.labels()?, [7, 9]);
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Format`] if the dimensions are others, or a value is not a label; the error names the label's index.
    pub fn labels(&self) -> Result<Vec<u8>> {
        let columns = match self.shape.get(1..).unwrap_or_default() {
            [QMNIST_COLUMNS] if self.element.is_integer() && self.element.size == 4 => QMNIST_COLUMNS,
            ones if !self.shape.is_empty() && ones.iter().all(|&side| side == 1) => 1,
            _ => {
                let expected = "(labels), or QMNIST's integers (labels, 8)";
                let images = self.shape.len() == 3;
                let remedy = if images { "; is it a file of images?" } else { "" };
                let found = format!("{:?}{remedy}", self.shape);
                return Err(Error::format(&self.name, "shape", expected, found));
            }
        };
        let classes = self.bytes.chunks_exact(self.element.size).step_by(columns);
        let label = |(index, bytes)| {
            let value = self.element.number(bytes);
            let sound = value.fract() == 0.0 && (0.0..=255.0).contains(&value);
            sound.then_some(value as u8).ok_or_else(|| {
                let reversed = self.element.is_integer() && reversed_integer(self.element, bytes);
                let remedy = if reversed { "; are the elements in reversed byte order?" } else { "" };
                let found = format!("{} at label {index}{remedy}", self.element.text(bytes));
                Error::format(&self.name, "label", "an integer from 0 to 255", found)
            })
        };
        classes.enumerate().map(label).collect()
    }
}
