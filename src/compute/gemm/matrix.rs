/// The element in row `i`, column `j` is at `at + i * row + j * col`.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    pub at: *mut f32,
    pub row: isize,
    pub col: isize,
}

impl Matrix {
    pub(super) const NONE: Self = Self { at: std::ptr::null_mut(), row: 0, col: 0 };

    pub(super) fn new(at: *mut f32, strides: &[isize]) -> Self {
        Self { at, row: strides[0], col: strides[1] }
    }

    /// The part that starts at row `i`, column `j`.
    ///
    /// # Safety
    /// The element must be in bounds.
    #[inline(always)]
    pub(super) unsafe fn from(self, i: usize, j: usize) -> Self {
        // SAFETY: the caller's promise.
        let at = unsafe { self.at.offset(i as isize * self.row + j as isize * self.col) };
        Self { at, ..self }
    }

    pub(super) fn t(self) -> Self {
        Self { at: self.at, row: self.col, col: self.row }
    }
}
