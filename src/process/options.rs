//! What a pool is made with.

use super::restarts::Policy;
use crate::ipc;

/// See the C API for what each means.
#[derive(Clone, Debug)]
pub struct Options {
    /// For threads, logs and errors.
    pub name: String,
    /// How many workers.
    pub workers: usize,
    /// How many calls a worker is given at a time.
    pub window: usize,
    /// How many calls may wait.
    pub queue: usize,
    /// How long a call may take, if it does not say.
    pub timeout_ns: i64,
    /// How often a call may be begun, if it does not say.
    pub most_attempts: u32,
    /// Calls in the life of a worker.
    pub most_calls: u64,
    /// Bytes of memory that a worker may occupy.
    pub most_resident: usize,
    /// How workers that have died are replaced.
    pub restarts: Policy,
    /// How long a worker may take until it serves.
    pub start_ns: i64,
    /// How long a worker may take to leave before it is made to, and again before it is killed.
    pub grace_ns: i64,
    /// Of the links to workers.
    pub link: ipc::Options,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            name: "pool".into(),
            workers: 1,
            window: 1,
            queue: usize::MAX,
            timeout_ns: i64::MAX,
            most_attempts: 1,
            most_calls: u64::MAX,
            most_resident: usize::MAX,
            restarts: Policy { limit: 10, window_ns: 60_000_000_000, pause_ns: 10_000_000, most_ns: 5_000_000_000 },
            start_ns: 60_000_000_000,
            grace_ns: 2_000_000_000,
            link: ipc::Options::default(),
        }
    }
}
