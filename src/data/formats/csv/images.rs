use super::Table;
use crate::{
    data::{
        ImageSet,
        formats::{layout::Layout, pixels},
    },
    error::{Error, Result},
    files::numbers::{Element, Kind},
};

impl Table {
    /// Makes a set of images of `shape` (height, width), one per row: gray levels row by row, or in color with red, green
    /// and blue for each pixel.
    ///
    /// Integers from 0 to 255 are gray levels. In a table of numbers in [0, 1], black is 0 and white is 1. Labels become
    /// those of the set if all are integers from 0 to 255. What was converted is in [`ImageSet::notices`].
    ///
    /// ```
    /// use autoencoder::data::csv::{self, CsvOptions};
    /// let kaggle = "label,pixel0,pixel1,pixel2,pixel3\n7,0,51,102,255\n9,1,2,3,4\n";
    /// let images = csv::read(kaggle.as_bytes(), "train.csv", &CsvOptions::default())?.images("train", (2, 2))?;
    /// assert_eq!((images.pixels(), images.labels()), (&[0, 51, 102, 255, 1, 2, 3, 4][..], Some(&[7, 9][..])));
    /// # Ok::<(), autoencoder::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Format`] if the number of columns is not that of such images, or the numbers are neither gray levels nor in
    /// [0, 1]; the error names image, row and column.
    pub fn images(&self, name: &str, shape: (usize, usize)) -> Result<ImageSet> {
        let dims = self.rows.shape();
        let layout = Layout::new(&self.name, dims, Some(shape));
        let layout = layout.map_err(|error| self.forgotten_label(shape).unwrap_or(error))?;
        let (element, bytes) = self.elements();
        let mut images = pixels::images(&self.name, name, dims, &layout, element, bytes)?;
        let mut notices = images.notices().to_vec();
        if element.kind == Kind::Bool {
            notices.push(format!("{}: all numbers are 0 or 1; 1 is taken as white", self.name));
        }
        if let Some(labels) = &self.labels {
            let bytes: Option<Vec<u8>> = labels.iter().map(|label| byte(label)).collect();
            match bytes {
                Some(bytes) => images = images.with_labels(bytes)?,
                None => notices.push(format!(
                    "{}: the images have no labels, as those of the table are no integers from 0 to 255",
                    self.name
                )),
            }
        }
        Ok(images.with_notices(notices))
    }

    /// The elements of an array of the type that the numbers suggest.
    fn elements(&self) -> (Element, Vec<u8>) {
        let numbers = || self.rows.iter().copied();
        let of = |kind, size| Element { kind, size, big_endian: false };
        if numbers().any(|number| number.fract() != 0.0) {
            return (of(Kind::Float, 4), numbers().flat_map(f32::to_le_bytes).collect());
        }
        let (low, high) = numbers().fold((0.0, 0.0), |(low, high), x| (x.min(low), x.max(high)));
        if low < 0.0 || high > 255.0 {
            return (of(Kind::Signed, 8), numbers().flat_map(|x| (x as i64).to_le_bytes()).collect());
        }
        // Images whose brightest pixel has level 1 of 255 would be black.
        let kind = if high == 1.0 { Kind::Bool } else { Kind::Unsigned };
        (of(kind, 1), numbers().map(|number| number as u8).collect())
    }

    /// The error for rows with one more number than pixels.
    fn forgotten_label(&self, shape: (usize, usize)) -> Option<Error> {
        let pixels = shape.0.checked_mul(shape.1)?;
        let columns = self.rows.ncols();
        if self.labels.is_some() || pixels.checked_add(1) != Some(columns) {
            return None;
        }
        let found = format!("{columns}; is one of them the label? then name its column");
        Some(Error::format(&self.name, "number of columns", pixels, found))
    }
}

/// A label as a byte. Some programs write integers as `7.0`.
fn byte(label: &str) -> Option<u8> {
    let number: f32 = label.parse().ok()?;
    (number.fract() == 0.0 && (0.0..=255.0).contains(&number)).then_some(number as u8)
}
