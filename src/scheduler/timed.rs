//! Timers whose time to come queues a task.
//!
//! The task is part of the timer: expiring allocates nothing. It is pushed into a lane under the lock of the process' timers,
//! and a runtime that ends closes its group of timers under that lock first: so what has expired is queued before the end, and
//! nothing expires after it. A timer's task is never queued twice at once and never runs beside itself. [`word`] decides
//! who calls the job's `over`, which comes once, after everything else.

pub mod word;

#[cfg(not(weft_loom))]
pub use live::{Job, Timed};

#[cfg(not(weft_loom))]
mod live;
