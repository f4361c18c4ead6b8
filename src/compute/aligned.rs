//! Memory that starts at a cache line, so that fewer vectors of the kernels lie across two: none of a row that starts
//! a line.

use super::rows;
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, s};

/// Elements of a cache line.
pub(crate) const LINE: usize = 16;

/// Zeros, of which the first starts a cache line. A clone of them need not.
pub(crate) fn zeros(len: usize) -> Array1<f32> {
    let zeros = Array1::<f32>::zeros(len + LINE - 1);
    // At most so many, whatever `align_offset` may say.
    let start = zeros.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE - 1);
    zeros.slice_move(s![start..start + len])
}

/// Zeros `[rows, columns]` without gaps, of which the first starts a cache line.
fn zeros2(shape: (usize, usize)) -> Array2<f32> {
    zeros(shape.0 * shape.1).into_shape_with_order(shape).expect("as many elements as the shape")
}

/// A copy in standard layout, of which the first element starts a cache line.
pub(crate) fn copy(matrix: ArrayView2<f32>) -> Array2<f32> {
    let mut copy = zeros2(matrix.dim());
    copy.assign(&matrix);
    copy
}

/// A matrix of up to so many rows, each of which starts a cache line and may be followed by unused elements.
///
/// Layers are often 256 or 512 wide. Rows that lie a power of two apart share few sets of the first cache, and a
/// product that goes down a column would evict its own operands: a row takes an odd number of lines.
#[derive(Debug)]
pub(crate) struct Buffer {
    lines: Array2<f32>,
    width: usize,
}

impl Buffer {
    pub(crate) fn new(capacity: usize, width: usize) -> Self {
        Self { lines: zeros2((capacity, Self::elements_of_a_row(width))), width }
    }

    /// What a row of so many elements takes.
    pub(crate) fn elements_of_a_row(width: usize) -> usize {
        (width.div_ceil(LINE) | 1) * LINE
    }

    pub(crate) fn capacity(&self) -> usize {
        self.lines.nrows()
    }

    /// Makes it as large as that, unless it is. What it held may be lost.
    pub(crate) fn make_room(&mut self, capacity: usize, width: usize) {
        if capacity > self.capacity() || width > self.width {
            *self = Self::new(capacity.max(self.capacity()), width.max(self.width));
        }
    }

    /// The first rows, `[rows, width]`.
    pub(crate) fn view(&self, rows: usize) -> ArrayView2<'_, f32> {
        self.lines.slice(s![..rows, ..self.width])
    }

    /// The first rows to be changed, `[rows, width]`.
    pub(crate) fn view_mut(&mut self, rows: usize) -> ArrayViewMut2<'_, f32> {
        self.lines.slice_mut(s![..rows, ..self.width])
    }

    /// The first rows as slices.
    pub(crate) fn rows(&self, count: usize) -> impl Iterator<Item = &[f32]> {
        rows(self.view(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::rows_mut;

    #[test]
    fn every_row_starts_a_line_of_its_own() {
        for width in [1, 15, 16, 17, 100, 256, 512, 784] {
            let mut buffer = Buffer::new(3, width);
            assert_eq!((buffer.capacity(), buffer.view(2).dim()), (3, (2, width)));
            let starts: Vec<_> = rows_mut(buffer.view_mut(3)).map(|row| row.as_ptr() as usize).collect();
            assert!(starts.iter().all(|start| start.is_multiple_of(64)), "{starts:?}");
            let lines = (starts[1] - starts[0]) / 64;
            assert!(lines % 2 == 1 && lines * LINE >= width, "{lines} lines for {width} elements");
        }
        let mut buffer = Buffer::new(0, 0);
        for (capacity, width) in [(0, 0), (2, 5), (1, 9), (4, 1)] {
            buffer.make_room(capacity, width);
            assert_eq!(buffer.view(capacity).nrows(), capacity);
        }
        assert_eq!(buffer.view(4).dim(), (4, 9));
        let matrix = Array2::from_shape_fn((5, 3), |(i, j)| (3 * i + j) as f32);
        for view in [matrix.view(), matrix.t()] {
            let copy = copy(view);
            assert!((copy.as_ptr() as usize).is_multiple_of(64) && copy.is_standard_layout());
            assert_eq!(copy, view);
        }
    }
}
