//! Fork-join and loops: work that splits itself and always ends together.

mod join;
mod loops;

pub use join::{STOLEN_HALF_PANICKED, join};
pub use loops::{Body, Fold, LoopOptions, OnFailure, Report, fold, for_each, optimal_grain};

#[cfg(test)]
mod tests;
