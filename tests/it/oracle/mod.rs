//! Compares the engine with a slow f64 reference, which is checked by central differences, and with PyTorch.

mod engine;
mod golden;
mod optimizers;
mod reference;
mod self_check;
