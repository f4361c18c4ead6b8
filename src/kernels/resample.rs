//! Images under affine maps, with bilinear interpolation.
//!
//! Coordinates are integers, in units of 2^-24 pixels. So a source coordinate along a row of pixels is an exact sum, the
//! columns whose neighbors are all inside follow from a division, and every CPU computes the same bits.

use std::ops::Range;

const FRACTION_BITS: u32 = 24;
const PIXEL: i64 = 1 << FRACTION_BITS;
/// The largest width and height of an image. With maps that enlarge distances up to 1,000 times, no coordinate overflows.
pub const MAX_SIDE: usize = 1 << 16;

/// A point or a direction in an image.
#[derive(Debug, Clone, Copy)]
struct Point {
    x: i64,
    y: i64,
}

impl Point {
    fn from_pixels([x, y]: [f64; 2]) -> Self {
        let units = |pixels: f64| (pixels * PIXEL as f64).round() as i64;
        Self { x: units(x), y: units(y) }
    }

    /// The point `count` steps from here.
    fn after(self, count: usize, step: Self) -> Self {
        Self { x: self.x + count as i64 * step.x, y: self.y + count as i64 * step.y }
    }
}

/// An affine map from the pixels of the result to points in the source.
#[derive(Debug, Clone, Copy)]
pub struct AffineMap {
    /// The source of the pixel in row 0 and column 0.
    origin: Point,
    /// The change from one column to the next.
    column: Point,
    /// The change from one row to the next.
    row: Point,
}

impl AffineMap {
    /// Creates a map from points `[x, y]`, in pixels: the source of the first pixel, and the change of the source from one
    /// column, and from one row, to the next.
    pub fn new(origin: [f64; 2], column: [f64; 2], row: [f64; 2]) -> Self {
        let [origin, column, row] = [origin, column, row].map(Point::from_pixels);
        Self { origin, column, row }
    }
}

/// Draws an image `[height, width, C]` whose pixels come from points of `image`, which has the same shape. A value between
/// pixels is interpolated from its four neighbors, and is 0 outside.
///
/// # Panics
/// If the lengths differ from `height * width * C`, or a side is above [`MAX_SIDE`].
pub fn resample<const C: usize>(
    out: &mut [f32],
    image: &[f32],
    (height, width): (usize, usize),
    map: &AffineMap,
) {
    let len = height * width * C;
    assert_eq!((out.len(), image.len()), (len, len));
    assert!(height.max(width) <= MAX_SIDE);
    for (row, out) in out.chunks_exact_mut(width * C).enumerate() {
        let start = map.origin.after(row, map.row);
        let inner = inner_columns(start, map.column, (height, width));
        for column in (0..inner.start).chain(inner.end..width) {
            let source = start.after(column, map.column);
            let pixel = edge_pixel::<C>(image, (height, width), source);
            out[column * C..(column + 1) * C].copy_from_slice(&pixel);
        }
        let mut source = start.after(inner.start, map.column);
        for pixel in out[inner.start * C..inner.end * C].chunks_exact_mut(C) {
            let offset =
                ((source.y >> FRACTION_BITS) as usize * width + (source.x >> FRACTION_BITS) as usize) * C;
            // One check of the bounds for all four neighbors.
            let near = &image[offset..offset + (width + 2) * C];
            let (right, down) = (fraction(source.x), fraction(source.y));
            for channel in 0..C {
                let above = between(near[channel], near[C + channel], right);
                let below = between(near[width * C + channel], near[(width + 1) * C + channel], right);
                pixel[channel] = between(above, below, down);
            }
            source = source.after(1, map.column);
        }
    }
}

/// The value at a fraction of the way from `a` to `b`. It is inside of [0, 1] or [-1, 1] if both are.
#[inline(always)]
fn between(a: f32, b: f32, fraction: f32) -> f32 {
    a + fraction * (b - a)
}

/// The part of a coordinate after the point. Exact, because it has as many bits as an `f32`.
#[inline(always)]
fn fraction(coordinate: i64) -> f32 {
    (coordinate & (PIXEL - 1)) as i32 as f32 * (1.0 / PIXEL as f32)
}

/// A pixel some of whose neighbors may be outside.
fn edge_pixel<const C: usize>(image: &[f32], (height, width): (usize, usize), source: Point) -> [f32; C] {
    let (left, top) = (source.x >> FRACTION_BITS, source.y >> FRACTION_BITS);
    if left < -1 || left >= width as i64 || top < -1 || top >= height as i64 {
        return [0.0; C];
    }
    let (right, down) = (fraction(source.x), fraction(source.y));
    std::array::from_fn(|channel| {
        let at = |x: i64, y: i64| {
            let is_inside = (0..width as i64).contains(&x) && (0..height as i64).contains(&y);
            if is_inside { image[(y as usize * width + x as usize) * C + channel] } else { 0.0 }
        };
        let above = between(at(left, top), at(left + 1, top), right);
        let below = between(at(left, top + 1), at(left + 1, top + 1), right);
        between(above, below, down)
    })
}

/// The columns of a row whose sources have all four neighbors inside.
fn inner_columns(start: Point, step: Point, (height, width): (usize, usize)) -> Range<usize> {
    let last = |side: usize| (side as i64 - 1) * PIXEL;
    let by_x = columns_below(start.x, step.x, last(width), width);
    let by_y = columns_below(start.y, step.y, last(height), width);
    let range = by_x.start.max(by_y.start)..by_x.end.min(by_y.end);
    if range.is_empty() { 0..0 } else { range }
}

/// The columns, of `count`, whose coordinate `start + column * step` is at least 0 and less than `end`. They are neighbors.
fn columns_below(start: i64, step: i64, end: i64, count: usize) -> Range<usize> {
    let inside = 0..end;
    // Most rows of a mild map are inside or outside as a whole.
    let ends_inside = [0, count as i64 - 1].map(|column| inside.contains(&(start + column * step)));
    if ends_inside == [true, true] {
        return 0..count;
    }
    // Columns before the coordinate passes a limit from one side, and before it passes it from the other.
    let before = |distance: i64| (-(-distance).div_euclid(step.abs())).clamp(0, count as i64) as usize;
    match step {
        0 => 0..0,
        1.. => before(-start)..before(end - start),
        // The coordinate falls: it is below `end` after start - end + 1, and at least 0 up to `start`.
        _ => before(start - end + 1)..before(start + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_inside() {
        for start in -20..20 {
            for step in -7..=7 {
                for end in 0..12 {
                    let inside = |column: &usize| (0..end).contains(&(start + *column as i64 * step));
                    let expected: Vec<_> = (0..9).filter(inside).collect();
                    let found = columns_below(start, step, end, 9);
                    assert!(found.clone().eq(expected), "{start} {step} {end}: {found:?}");
                }
            }
        }
    }
}
