//! A result that is not there yet: a promise settles it, a future waits for it.
//!
//! Both share one cell. It is settled once; from then on it does not change, so readers need no lock. The
//! value belongs to the future and is dropped with it, unless it was taken out.

mod cell;
mod deferred;

pub use cell::{Future, Promise, State, channel};
pub use deferred::{Begin, Deferred};
