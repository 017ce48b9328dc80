//! What happened. For now, the log: other rooms emit into it, and it knows none of them.

mod kept;
#[cfg(not(weft_loom))]
mod log;

#[cfg(not(weft_loom))]
pub use log::{Level, Origin, Outlet, Record, Sink, after_fork, log, next, set_outlet};
