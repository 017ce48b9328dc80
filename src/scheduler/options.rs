//! What a runtime is made with, checked.

use std::ffi::CString;
use std::sync::Arc;

use super::idle::MAX_THREADS;
use super::placement::allowed;
use super::places::Policy;
use super::stall::watcher::StallHook;
use super::worker::Worker;
use crate::error::{Failure, Result, Status};
use crate::topology::{self, Topology};

/// Called on each worker thread, first or last.
pub type WorkerHook = Arc<dyn Fn(&Worker) + Send + Sync>;

/// Whose threads run a runtime's tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Its own.
    #[default]
    Multi,
    /// One thread of the program's at a time, while it is in a call that says so.
    Single,
    /// Threads of the program's that are lent.
    Hosted,
    /// Single where there is no more than one thread to run, else multi.
    Auto,
}

impl Kind {
    /// Whether the runtime has no threads of its own.
    pub fn has_guests(self) -> bool {
        matches!(self, Kind::Single | Kind::Hosted)
    }
}

/// How to make a runtime. Zero means the default.
#[derive(Clone, Default)]
pub struct Options {
    /// Whose threads run its tasks.
    pub kind: Kind,
    /// Thread-name prefix; None: "weft".
    pub name: Option<String>,
    /// Threads that run at once; 0: the CPUs the calling thread may use.
    pub workers: u32,
    /// Threads in all, blocked ones included; 0: 256, or `workers` if that is more.
    pub max_threads: u32,
    /// Bytes; 0: 2 MiB.
    pub stack_size: usize,
    /// Whether and how threads are bound to CPUs.
    pub placement: Policy,
    /// The machine they are bound on, and counted by; None: this one.
    pub topology: Option<Topology>,
    /// How long a spare thread stays, in nanoseconds; 0: one second; `i64::MAX`: for ever.
    pub keep_alive_ns: i64,
    /// Called on each worker thread before its first task.
    pub on_start: Option<WorkerHook>,
    /// Called on each worker thread after its last task.
    pub on_stop: Option<WorkerHook>,
    /// Called on a thread of its own when a stall begins.
    pub on_stall: Option<StallHook>,
}

/// Options with every default filled in.
pub(super) struct Resolved {
    /// Never `Auto`.
    pub kind: Kind,
    pub name: CString,
    pub workers: u32,
    pub max_threads: u32,
    pub stack_size: usize,
    pub keep_alive_ns: i64,
    pub placement: Policy,
    /// Taken out when the placement is made.
    pub topology: Option<Topology>,
    pub on_start: Option<WorkerHook>,
    pub on_stop: Option<WorkerHook>,
    /// Taken out when the runtime is made.
    pub on_stall: Option<StallHook>,
}

/// Threads that may run at once.
pub const MAX_WORKERS: u32 = 4096;
const MIN_STACK: usize = 64 << 10;
const DEFAULT_STACK: usize = 2 << 20;
const DEFAULT_MAX_THREADS: u32 = 256;
const DEFAULT_KEEP_ALIVE_NS: i64 = 1_000_000_000;

impl Options {
    /// Checks the options without making anything.
    pub fn check(&self) -> Result<()> {
        self.clone().resolve().map(drop)
    }

    pub(super) fn resolve(self) -> Result<Resolved> {
        let invalid = |message: &'static str| Err(Failure::new(Status::Invalid, message));
        if self.workers > MAX_WORKERS {
            return invalid("workers: at most 4096");
        }
        if self.max_threads > MAX_THREADS {
            return invalid("max_threads: at most 16383");
        }
        let workers = match (self.workers, &self.topology) {
            (0, _) if self.kind == Kind::Single => 1,
            (0, Some(topology)) => (topology.cpus.len() as u32).clamp(1, MAX_WORKERS),
            (0, None) => topology::usable_cpus(allowed().as_ref()).clamp(1, MAX_WORKERS),
            (workers, _) => workers,
        };
        let is_single = self.kind == Kind::Auto && (workers == 1 || self.max_threads == 1);
        let kind = match self.kind {
            Kind::Auto if is_single => Kind::Single,
            Kind::Auto => Kind::Multi,
            kind => kind,
        };
        // Of what is for a runtime with threads, one that chooses for itself to have none keeps nothing.
        let (workers, max_threads, placement) = match (kind, self.max_threads) {
            (Kind::Single, _) if is_single => (1, 1, Policy::None),
            (Kind::Single, _) if workers > 1 => return invalid("workers: a runtime of kind SINGLE has one"),
            (Kind::Single | Kind::Hosted, max) if max != 0 && max != workers => {
                return invalid("max_threads: a runtime without threads of its own has as many as workers");
            }
            (Kind::Single | Kind::Hosted, _) if self.placement != Policy::None => {
                return invalid("placement: only a runtime's own threads are bound");
            }
            (Kind::Single | Kind::Hosted, _) => (workers, workers, Policy::None),
            (_, 0) => (workers, DEFAULT_MAX_THREADS.max(workers), self.placement),
            (_, max) if max < workers => return invalid("max_threads: below workers"),
            (_, max) => (workers, max, self.placement),
        };
        let stack_size = match self.stack_size {
            0 => DEFAULT_STACK,
            size if size < MIN_STACK => return invalid("stack_size: below 64 KiB"),
            size if size > isize::MAX as usize => return invalid("stack_size: more than the address space"),
            size => size,
        };
        let keep_alive_ns = match self.keep_alive_ns {
            0 => DEFAULT_KEEP_ALIVE_NS,
            ns if ns < 0 => return invalid("keep_alive_ns: negative"),
            ns => ns,
        };
        Ok(Resolved {
            kind,
            name: crate::error::c_string(self.name.as_deref().unwrap_or("weft")),
            workers,
            max_threads,
            stack_size,
            keep_alive_ns,
            placement,
            topology: self.topology,
            on_start: self.on_start,
            on_stop: self.on_stop,
            on_stall: self.on_stall,
        })
    }
}
