//! Numbers as gray levels, and arrays of them as images.

use super::layout::Layout;
use crate::{
    data::ImageSet,
    error::{Error, Result},
    files::numbers::{Element, Kind, number},
};

/// Half the distance between two gray levels. Interpolation and rounding leave floats that far outside [0, 1].
const TOLERANCE: f64 = 0.5 / 255.0;

/// Images whose brightest pixel is darker than this level of 255 probably have another white.
const DIM: f64 = 100.0;

const REVERSED: &str = "are the elements in reversed byte order?";

/// Makes images of the elements of an array with dimensions `dims`. Errors call the array `file`.
pub(super) fn images(
    file: &str,
    name: &str,
    dims: &[usize],
    layout: &Layout,
    element: Element,
    bytes: Vec<u8>,
) -> Result<ImageSet> {
    if bytes.is_empty() {
        return Err(Error::format(file, "shape", "images of at least 1 pixel", format!("{dims:?}")));
    }
    let mut notices: Vec<_> = layout.notice(file, dims).into_iter().collect();
    let pixels = layout.arrange(levels(file, element, bytes, layout, &mut notices)?);
    let images = ImageSet::with_channels(name.to_owned(), layout.shape, layout.channels, pixels)?;
    Ok(images.with_notices(notices))
}

/// Converts the elements of an array to gray levels, in the same order. Notices say what was changed.
///
/// Bytes are levels. Of `uint16`, 65,535 is white; `true` is white; floats are in [0, 1], or within half a level of it. Other
/// integers are levels if all are in 0 to 255.
fn levels(
    file: &str,
    element: Element,
    bytes: Vec<u8>,
    layout: &Layout,
    notices: &mut Vec<String>,
) -> Result<Vec<u8>> {
    if element.is_byte() {
        return Ok(bytes);
    }
    let elements = || bytes.chunks_exact(element.size);
    let wrong = |index: usize, bytes: &[u8], remedy: &str| {
        let found = format!("{} at {}{remedy}", element.text(bytes), layout.position(index));
        let expected = if element.is_integer() { "an integer from 0 to 255" } else { "a number in [0, 1]" };
        Err(Error::format(file, "pixel", expected, found))
    };
    match (element.kind, element.size) {
        (Kind::Float | Kind::Brain, _) => {
            let (mut outside, mut largest) = (0_usize, 0.0_f64);
            let level = |(index, bytes)| {
                let value = element.float(bytes);
                if !(-TOLERANCE..=1.0 + TOLERANCE).contains(&value) {
                    let remedy = if reversed_float(element, bytes) {
                        REVERSED.to_owned()
                    } else {
                        remedy(elements().map(|bytes| element.float(bytes)))
                    };
                    return wrong(index, bytes, &format!("; {remedy}"));
                }
                outside += usize::from(!(0.0..=1.0).contains(&value));
                largest = largest.max(value.abs());
                Ok((value as f32 * 255.0).round() as u8)
            };
            let levels = elements().enumerate().map(level).collect::<Result<_>>()?;
            // A 1 in reversed byte order is a subnormal number, which would be black.
            if element.size > 2 && largest > 0.0 && largest < f32::MIN_POSITIVE.into() {
                let found = format!("none beyond {largest:e}; {REVERSED}");
                return Err(Error::format(file, "pixels", "numbers in [0, 1]", found));
            }
            if outside > 0 {
                notices.push(format!("{file}: {outside} pixels slightly outside [0, 1] were clamped"));
            }
            Ok(levels)
        }
        (Kind::Bool, _) => {
            Ok(elements().map(|b| if element.integer(b) == 0 { 0 } else { u8::MAX }).collect())
        }
        (Kind::Unsigned, 2) => {
            notices.push(format!("{file}: 16-bit pixels were rounded to 8 bits; 65535 is white"));
            let largest = elements().map(|bytes| element.integer(bytes)).max().unwrap_or(0);
            notices.extend(too_dark(file, largest));
            Ok(elements().map(|bytes| ((element.integer(bytes) + 128) / 257) as u8).collect())
        }
        (Kind::Unsigned | Kind::Signed, size) => {
            notices.push(format!("{file}: {} pixels are taken as gray levels from 0 to 255", element.name()));
            let level = |(index, bytes)| {
                let value = element.integer(bytes);
                let remedy = match value {
                    _ if reversed_integer(element, bytes) => format!("; {REVERSED}"),
                    ..0 if size == 1 => "; save as uint8".to_owned(),
                    256.. => {
                        let largest = elements().map(|bytes| element.integer(bytes)).max().unwrap_or(value);
                        format!("; the largest value is {largest}: scale to 0 to 255 first")
                    }
                    _ => String::new(),
                };
                u8::try_from(value).or_else(|_| wrong(index, bytes, &remedy))
            };
            elements().enumerate().map(level).collect()
        }
    }
}

/// The notice for images of 16 bits whose largest pixel is below half of white.
fn too_dark(file: &str, largest: i128) -> Option<String> {
    let remedy = match largest {
        1..=255 => "these seem to be levels of 8 bits; save them as uint8 first".to_owned(),
        256..=32_767 => format!("if that should be white, multiply by {} first", 65_535 / largest),
        _ => return None,
    };
    Some(format!("{file}: the largest of the 16-bit pixels is {largest}, so the images are dark; {remedy}"))
}

/// Returns whether an invalid integer is a level, or a label, in the other byte order.
pub(super) fn reversed_integer(element: Element, bytes: &[u8]) -> bool {
    element.size > 1 && (0..=255).contains(&element.reversed().integer(bytes))
}

/// Returns whether an invalid float is probably a pixel in the other byte order.
fn reversed_float(element: Element, bytes: &[u8]) -> bool {
    let reversed = element.reversed().float(bytes);
    element.size > 2 && element.float(bytes).abs() > 1e6 && (1e-3..=1.0).contains(&reversed)
}

/// Says how numbers that are no pixels become pixels.
fn remedy(numbers: impl Iterator<Item = f64>) -> String {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for number in numbers {
        if !number.is_finite() {
            return "replace non-finite values first".to_owned();
        }
        low = low.min(number);
        high = high.max(number);
    }
    // Resampling with negative lobes, such as bicubic, overshoots by less than that.
    let remedy = if low >= -0.25 && high <= 1.25 {
        "clip the values to [0, 1] first, as with numpy.clip"
    } else if low >= 0.0 && (DIM..=255.0).contains(&high) {
        "divide by 255 or save as uint8"
    } else if low >= 0.0 {
        return format!("the largest value is {}: divide by it", number(high));
    } else if low >= -1.0 && high <= 1.0 {
        "convert values in [-1, 1] by (x + 1) / 2"
    } else {
        "rescale the values first, or clip them if the range is right"
    };
    remedy.to_owned()
}
