use super::{matrix::Matrix, terms::Term};

/// `dst (+)=` the sum of some terms, of at least one row, column, term and step. The `unsafe` functions that compute it need
/// the matrices in bounds for `m`, `n` and the terms' `k`, `dst` apart from the others, and a CPU with the vector's
/// instructions; so do those that they call.
pub(super) struct Product<'a> {
    pub m: usize,
    pub n: usize,
    pub dst: Matrix,
    pub terms: &'a [Term],
    pub add: bool,
    /// Whether it is the transpose of what was asked for: then rows of `dst` need not be contiguous, nor those of any
    /// `rhs`; otherwise those of `dst` are, and of a dense product those of every `rhs`.
    pub turned: bool,
}
