//! Fork-join and loops: work that splits itself and always ends together.

mod join;
mod loops;

#[cfg(test)]
use join::STOLEN_HALF_PANICKED;
pub use join::{join, join_callbacks, sync};
pub use loops::{Body, Fold, LoopOptions, OnFailure, Report, fold, for_each, optimal_grain};

#[cfg(test)]
mod tests;
