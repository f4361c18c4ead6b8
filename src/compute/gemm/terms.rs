use super::{matrix::Matrix, way::Way};

/// The most steps of `k` taken with a tile in registers.
pub(super) const K_BLOCK: usize = 512;
/// The most terms summed with a tile in registers.
pub(super) const MAX_TERMS: usize = 8;

/// A product to be summed: `lhs` has `k` columns, `rhs` as many rows.
#[derive(Clone, Copy)]
pub(super) struct Term {
    pub k: usize,
    pub lhs: Matrix,
    pub rhs: Matrix,
}

impl Term {
    pub(super) const NONE: Self = Self { k: 0, lhs: Matrix::NONE, rhs: Matrix::NONE };

    /// The product of the transposed factors, which is the product's transpose.
    pub(super) fn t(self) -> Self {
        Self { k: self.k, lhs: self.rhs.t(), rhs: self.lhs.t() }
    }

    /// Some steps of `k`.
    ///
    /// # Safety
    /// The first must be in bounds.
    #[inline(always)]
    pub(super) unsafe fn steps(self, start: usize, k: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self { k, lhs: self.lhs.from(0, start), rhs: self.rhs.from(start, 0) } }
    }
}

/// Terms to be summed at once, all of them one way: a single one, or several with at most [`K_BLOCK`] steps in all.
pub(super) struct Terms {
    terms: [Term; MAX_TERMS],
    len: usize,
    way: Way,
}

impl Terms {
    pub(super) fn new() -> Self {
        Self { terms: [Term::NONE; MAX_TERMS], len: 0, way: Way { sparse: false, turned: false } }
    }

    pub(super) fn as_slice(&self) -> &[Term] {
        &self.terms[..self.len]
    }

    pub(super) fn way(&self) -> Way {
        self.way
    }

    /// Whether one more would keep to the limits.
    pub(super) fn have_room_for(&self, term: Term, way: Way) -> bool {
        let steps: usize = self.as_slice().iter().map(|term| term.k).sum();
        self.len == 0 || self.len < MAX_TERMS && steps + term.k <= K_BLOCK && self.way == way
    }

    pub(super) fn push(&mut self, term: Term, way: Way) {
        self.terms[self.len] = if way.turned { term.t() } else { term };
        self.len += 1;
        self.way = way;
    }
}
