//! The engine's numbers against a slow f64 reference, which is checked by central differences, and against PyTorch.

mod engine;
mod golden;
mod optimizers;
mod reference;
mod self_check;
