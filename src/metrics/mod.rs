//! How close two sets of images are (mean squared error, PSNR and SSIM), and how well a score finds anomalies, in f64.
//!
//! PSNR is `10 log10(range^2 / MSE)` in dB, where the data range is stated by the caller: 1 for pixels in [0, 1].
//! The mean of the images' PSNRs and the PSNR of the pooled error are two figures that differ by up to some dB;
//! studies report either, so both have a name here. Identical images have a PSNR of +inf.

mod quality;
mod roc;
mod ssim;

pub use quality::{ImageQuality, decibels, psnr_db};
pub use roc::Roc;
pub use ssim::{ssim, ssim_mean};
