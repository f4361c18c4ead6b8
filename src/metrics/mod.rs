//! Metrics, all computed in f64: how similar images are (mean squared error, PSNR, SSIM), how well a model reconstructs a
//! data set, and how well a score separates anomalies.
//!
//! PSNR is `10 log10(range^2 / MSE)` in dB, for a data range that the caller states: 1 for pixels in [0, 1]. The mean of the
//! images' PSNRs and the PSNR of the pooled error differ by up to several dB, and studies report either, so both have a
//! name here. Identical images have an infinite PSNR, which counts as [`PSNR_CAP_DB`] in the mean over images.

mod evaluate;
pub(crate) mod nonfinite;
mod quality;
mod roc;
mod ssim;

pub(crate) use evaluate::evaluate_with_loss;
pub use evaluate::{Evaluation, evaluate};
pub use quality::{ImageQuality, PSNR_CAP_DB, psnr_db};
pub use roc::Roc;
pub use ssim::{ssim, ssim_mean};
