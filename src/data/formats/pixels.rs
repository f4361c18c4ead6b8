//! Numbers as gray levels.

use super::{
    layout::Layout,
    numbers::{Element, Kind},
};
use crate::error::{Error, Result};

/// Half the distance between two gray levels. Interpolation and rounding leave floats that far outside [0, 1].
const TOLERANCE: f64 = 0.5 / 255.0;

/// Converts the elements of an array to gray levels, in the same order. Notices say what was changed.
///
/// Bytes are levels. Of `uint16`, 65,535 is white; `true` is white; floats are in [0, 1], or within half a level of it. Other
/// integers are levels if all are in 0 to 255.
pub(super) fn levels(
    name: &str,
    element: Element,
    bytes: Vec<u8>,
    layout: &Layout,
    notices: &mut Vec<String>,
) -> Result<Vec<u8>> {
    if element.is_byte() {
        return Ok(bytes);
    }
    let elements = || bytes.chunks_exact(element.size);
    if element.kind == Kind::Float {
        let mut outside = 0_usize;
        let level = |(index, bytes)| {
            let value = element.float(bytes);
            if !(-TOLERANCE..=1.0 + TOLERANCE).contains(&value) {
                let numbers = elements().map(|bytes| element.float(bytes));
                let found = format!("{value} at {}; {}", layout.position(index), remedy(numbers));
                return Err(Error::format(name, "pixel", "a number in [0, 1]", found));
            }
            outside += usize::from(!(0.0..=1.0).contains(&value));
            Ok((value as f32 * 255.0).round() as u8)
        };
        let levels = elements().enumerate().map(level).collect::<Result<_>>()?;
        if outside > 0 {
            notices.push(format!("{name}: {outside} pixels slightly outside [0, 1] were clamped"));
        }
        return Ok(levels);
    }
    match (element.kind, element.size) {
        (Kind::Bool, _) => {
            Ok(elements().map(|b| if element.integer(b) == 0 { 0 } else { u8::MAX }).collect())
        }
        (Kind::Unsigned, 2) => {
            notices.push(format!("{name}: 16-bit pixels were rounded to 8 bits; 65535 is white"));
            Ok(elements().map(|bytes| ((element.integer(bytes) + 128) / 257) as u8).collect())
        }
        _ => {
            notices.push(format!("{name}: {} pixels are taken as gray levels from 0 to 255", element.name()));
            let level = |(index, bytes)| {
                let value = element.integer(bytes);
                u8::try_from(value).map_err(|_| {
                    let found = format!("{value} at {}", layout.position(index));
                    Error::format(name, "pixel", "an integer from 0 to 255", found)
                })
            };
            elements().enumerate().map(level).collect()
        }
    }
}

/// Says how numbers that are no pixels become pixels.
fn remedy(numbers: impl Iterator<Item = f64>) -> &'static str {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for number in numbers {
        if !number.is_finite() {
            return "replace non-finite values first";
        }
        low = low.min(number);
        high = high.max(number);
    }
    if low >= 0.0 && high <= 255.0 {
        "divide by 255 or save as uint8"
    } else if low >= -1.0 && high <= 1.0 {
        "convert values in [-1, 1] by (x + 1) / 2"
    } else {
        "rescale the values first, or clip them if the range is right"
    }
}
