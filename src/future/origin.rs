//! What a future came from: who is to settle it, and what it keeps.

use std::sync::Arc;

use super::cell::Future;
use crate::sync::waits::Runner;

/// What stands behind a future. It lives as long as the future.
pub trait Origin<T>: Send + Sync {
    /// Runs the work here, if that may be, or leaves it to others. A waiting thread calls it before it sleeps without a
    /// deadline.
    fn begin_here(&self) {}

    /// Has others begin it as soon as they would begin what waits for it.
    fn hurry(self: Arc<Self>) {}

    /// Who runs it, for those who wait.
    fn runner(&self) -> Option<&Runner> {
        None
    }

    /// Somebody has asked it to stop, for the first time. What it is made of and is to be asked as well goes to `more`.
    fn cancel(self: Arc<Self>, more: &mut Vec<Future<T>>);

    /// The last reference to the future has gone: nobody asks it to stop any more.
    fn released(&self) {}

    /// The last reference to the future has gone, and it was settled: what it kept for its users can go. They may go on with that
    /// at once, whoever else still has a hand on this.
    fn let_go(&self) {}

    /// The last reference to the future has gone, which was not settled, and nothing is told of it: nobody will ever know what becomes
    /// of it.
    fn forsake(self: Arc<Self>) {}

    /// Which of the futures it is made of has settled it; None: it is not made of several.
    fn winner(&self) -> Option<Winner> {
        None
    }

    /// How often what is behind it has been begun, if it may be begun again; else 0.
    fn attempts(&self) -> u32 {
        0
    }

    /// Whether the value belongs to another future, which this one keeps.
    fn lends(&self) -> bool {
        false
    }
}

/// Which of several futures was decisive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Winner {
    /// This one.
    Index(usize),
    /// None of them alone.
    Nobody,
}
