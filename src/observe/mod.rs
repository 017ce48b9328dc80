//! What happened. For now, the log: other rooms emit into it, and it knows none of them.

mod log;

pub use log::{Level, Origin, Record, Sink, after_fork, log, set_sink};
