use super::{Table, cells::excerpt};
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
        if let Some(index) = self.lone_fraction() {
            let value = self.rows.iter().nth(index).copied().unwrap_or_default();
            let found = format!("{value} at {}; round it first", layout.position(index));
            return Err(Error::format(
                &self.name,
                "pixel",
                "an integer from 0 to 255, as nearly all are",
                found,
            ));
        }
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

    /// The first of the few fractions in a table of gray levels, which is more likely a mistake than all the others.
    fn lone_fraction(&self) -> Option<usize> {
        const FEW: usize = 20;
        let (low, high) =
            self.rows.iter().fold((0.0_f32, 0.0_f32), |(low, high), &x| (x.min(low), x.max(high)));
        let fractions = self.rows.iter().filter(|number| number.fract() != 0.0).count();
        let few = low >= 0.0 && (2.0..=255.0).contains(&high) && fractions * FEW < self.rows.len();
        self.rows.iter().position(|number| number.fract() != 0.0).filter(|_| few)
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
        let found = format!("{columns}; {}", self.odd_column());
        Some(Error::format(&self.name, "number of columns", pixels, found))
    }

    /// Says which column is probably not one of pixels.
    fn odd_column(&self) -> String {
        const LABELS: [&str; 6] = ["y", "class", "target", "labels", "digit", "category"];
        const NUMBERS: [&str; 4] = ["unnamed: 0", "id", "index", "imageid"];
        let named = |known: &[&str]| {
            self.columns.iter().position(|name| known.contains(&name.trim().to_ascii_lowercase().as_str()))
        };
        if let Some(index) = named(&LABELS) {
            let name = excerpt(&self.columns[index]);
            return format!(
                "column {} (`{name}`) looks like labels; call it `label` in the header",
                index + 1
            );
        }
        if let Some(index) = named(&NUMBERS) {
            let name = excerpt(&self.columns[index]);
            return format!("column {} (`{name}`) looks like row numbers; remove it", index + 1);
        }
        let first = || self.rows.column(0).into_iter().copied();
        if self.rows.nrows() > 1 && (0..=u32::MAX).zip(first()).all(|(row, number)| number == row as f32) {
            return "the first column looks like row numbers; remove it".to_owned();
        }
        let last = self.rows.column(self.rows.ncols() - 1);
        let remedy = if self.columns.is_empty() {
            "give the table a first line with names, and call that column `label`"
        } else {
            "call that column `label` in the header"
        };
        if looks_like_labels(first()) {
            format!("the first column looks like labels; {remedy}")
        } else if looks_like_labels(last.into_iter().copied()) {
            format!("the last column looks like labels; {remedy}")
        } else {
            format!("is one of them the label? Then {remedy}")
        }
    }
}

/// Returns whether numbers are a few different bytes, and not all equal as pixels of a margin are.
fn looks_like_labels(numbers: impl Iterator<Item = f32> + Clone) -> bool {
    const MOST_CLASSES: usize = 64;
    let mut seen = [false; 256];
    for number in numbers {
        if number.fract() != 0.0 || !(0.0..=255.0).contains(&number) {
            return false;
        }
        seen[usize::from(number as u8)] = true;
    }
    (2..=MOST_CLASSES).contains(&seen.into_iter().filter(|&seen| seen).count())
}

/// A label as a byte. Some programs write integers as `7.0`.
fn byte(label: &str) -> Option<u8> {
    let number: f32 = label.parse().ok()?;
    (number.fract() == 0.0 && (0.0..=255.0).contains(&number)).then_some(number as u8)
}
