//! Cache-line-aligned buffers, so that vector loads do not straddle two lines.

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, s};

/// The number of `f32` in a cache line.
pub(crate) const LINE: usize = 16;

/// Returns a zeroed, cache-line-aligned array. Cloning it does not preserve the alignment.
pub fn aligned_zeros(len: usize) -> Array1<f32> {
    let zeros = Array1::<f32>::zeros(len + LINE - 1);
    // `align_offset` may return `usize::MAX`; clamp it to stay in bounds.
    let start = zeros.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE - 1);
    zeros.slice_move(s![start..start + len])
}

/// Returns a zeroed matrix `[rows, columns]` without gaps, whose first element starts a cache line.
fn aligned_matrix(shape: (usize, usize)) -> Array2<f32> {
    aligned_zeros(shape.0 * shape.1).into_shape_with_order(shape).expect("as many elements as the shape")
}

/// Returns a copy in standard layout, whose first element starts a cache line.
pub fn aligned_copy(matrix: ArrayView2<f32>) -> Array2<f32> {
    let mut copy = aligned_matrix(matrix.dim());
    copy.assign(&matrix);
    copy
}

/// A matrix whose number of rows varies up to a capacity. Every row starts a cache line, and rows are an odd number of
/// lines apart.
///
/// Layers are often 256 or 512 wide. Rows that are a power of two apart share few sets of the first-level cache, so a
/// product that goes down a column would evict its own operands.
#[derive(Debug)]
pub struct Buffer {
    lines: Array2<f32>,
    width: usize,
}

impl Buffer {
    /// Returns a zeroed buffer with room for `capacity` rows of `width` elements.
    pub fn new(capacity: usize, width: usize) -> Self {
        Self { lines: aligned_matrix((capacity, Self::row_stride(width))), width }
    }

    /// Returns the number of elements from one row of `width` elements to the next.
    pub(crate) fn row_stride(width: usize) -> usize {
        (width.div_ceil(LINE) | 1) * LINE
    }

    /// Returns the number of rows that fit.
    pub(crate) fn capacity(&self) -> usize {
        self.lines.nrows()
    }

    /// Grows the buffer to at least this size. Its contents are not preserved.
    pub(crate) fn grow(&mut self, capacity: usize, width: usize) {
        if capacity > self.capacity() || width > self.width {
            *self = Self::new(capacity.max(self.capacity()), width.max(self.width));
        }
    }

    /// Returns the first rows, `[rows, width]`.
    pub fn view(&self, rows: usize) -> ArrayView2<'_, f32> {
        self.lines.slice(s![..rows, ..self.width])
    }

    /// Returns the first rows for writing, `[rows, width]`.
    pub fn view_mut(&mut self, rows: usize) -> ArrayViewMut2<'_, f32> {
        self.lines.slice_mut(s![..rows, ..self.width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::rows_mut;

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
            buffer.grow(capacity, width);
            assert_eq!(buffer.view(capacity).nrows(), capacity);
        }
        assert_eq!(buffer.view(4).dim(), (4, 9));
        let matrix = Array2::from_shape_fn((5, 3), |(i, j)| (3 * i + j) as f32);
        for view in [matrix.view(), matrix.t()] {
            let copy = aligned_copy(view);
            assert!((copy.as_ptr() as usize).is_multiple_of(64) && copy.is_standard_layout());
            assert_eq!(copy, view);
        }
    }
}
