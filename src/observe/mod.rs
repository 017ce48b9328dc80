//! What happened: the log, and deadlocks. Other rooms emit into it, and it knows none of them.

#[cfg(not(weft_loom))]
pub mod deadlock;
#[cfg(not(weft_loom))]
mod drain;
mod kept;
#[cfg(not(weft_loom))]
mod log;

#[cfg(not(weft_loom))]
pub use log::{Level, Origin, Outlet, Record, Sink, level, log, next, set_outlet};

/// In a forked child nobody is told of anything yet.
#[cfg(not(weft_loom))]
pub fn after_fork() {
    log::after_fork();
    deadlock::after_fork();
}
