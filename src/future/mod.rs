//! A result that is not there yet: a promise settles it, a future waits for it.
//!
//! Both share one [cell]. It is settled once; from then on it does not change, so readers need no lock. The value
//! belongs to the future and is dropped with it, unless it was taken out. Threads, poll tasks and [calls](watch) wait
//! in one queue of the cell's; calls, and the ends of futures that are made of others, are made one after the other
//! ([line]), so chains may be of any length. An [origin] is who is to settle a future: a task, or other futures
//! ([combined]).

mod cell;
mod combined;
mod deferred;
mod line;
mod origin;
mod watch;

pub use cell::{Cell, FUTURE_TAG, Future, PROMISE_TAG, Promise, State, channel, settled};
#[cfg(not(weft_loom))]
pub use combined::timed::{delay, timeout};
pub use combined::{Lend, Rule, cancelled, combine, outcome_of};
pub use deferred::Deferred;
pub use origin::{Origin, Winner};
pub use watch::{Callback, OnSettled};
