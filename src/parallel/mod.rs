//! Fork-join and loops: work that splits itself and always ends together.

mod join;
mod loops;

pub use join::join;
pub use loops::{Fold, Report, fold, for_each};

#[cfg(test)]
mod tests;
