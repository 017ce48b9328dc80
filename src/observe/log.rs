//! The log: silent until it gets an outlet, which is a sink or a queue to pull from.
//!
//! A record is made only if its level is wanted (one load otherwise), queued, and handed to the sink by the sink's own
//! thread, so that no sink ever runs on a worker or under a lock of ours. Setting another outlet (or none) first
//! delivers what is queued to the old sink and ends its thread: after that the old sink never runs again. What is queued to
//! be pulled can still be pulled when the log is silent again.

use std::ffi::{CStr, CString};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use super::drain::{Drain, Draining, Item, QUEUE};
use super::kept::{Kept, Pulled};
use crate::error::{Failure, Result, Status, c_string};
use crate::platform::{self, clock::now_ns, fork::ForkCell};
use crate::sync::{Deadline, Lock};

/// How much a record matters. A sink gets its level and those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// Something failed and nobody else will be told.
    Error = 1,
    /// Something is wrong, and work goes on.
    Warn = 2,
    /// Worth knowing.
    Info = 3,
    /// Worth knowing when looking for a fault.
    Debug = 4,
}

/// One entry of the log.
pub struct Record {
    /// How much it matters.
    pub level: Level,
    /// When, in nanoseconds on CLOCK_MONOTONIC.
    pub time_ns: i64,
    /// The worker's index, or -1 outside.
    pub worker: i32,
    /// The runtime's name, or empty.
    pub runtime: CString,
    /// The task's name, or empty.
    pub task: CString,
    /// What happened.
    pub message: CString,
}

/// What records are handed to.
pub type Sink = Box<dyn Fn(&Record) + Send>;

/// Where records go.
pub enum Outlet {
    /// Nowhere.
    Silence,
    /// To a sink, from this level on.
    Sink(Sink, Level),
    /// To whoever calls [`next`], from this level on.
    Queue(Level),
}

/// The level that is wanted; 0 when there is no sink. A word of its own, so that silence costs one load.
static LEVEL: AtomicI32 = AtomicI32::new(0);
static LOG: ForkCell<Lock<Log>> = ForkCell::new();

#[derive(Default)]
struct Log {
    drain: Option<Draining<Record>>,
    /// The queue to pull from, also when nothing comes any more.
    kept: Option<Arc<Kept<Record>>>,
    /// Whether that is the outlet.
    keeps: bool,
    exit_hook: bool,
}

impl Log {
    fn outlet(&self) -> Option<Current> {
        let drain = self.drain.as_ref().map(|draining| Current::Drain(draining.drain.clone()));
        drain.or_else(|| self.kept.clone().filter(|_| self.keeps).map(Current::Kept))
    }
}

/// The outlet that takes records now.
enum Current {
    Drain(Arc<Drain<Record>>),
    Kept(Arc<Kept<Record>>),
}

impl Current {
    /// Queues a record, or gives it back after the end. It gets its time there, so that records are in its order.
    fn put(&self, record: Record) -> std::result::Result<(), Record> {
        let stamp = |record: &mut Record| record.time_ns = now_ns();
        match self {
            Current::Drain(drain) => drain.put(record, stamp),
            Current::Kept(kept) => kept.put(record, stamp),
        }
    }
}

/// The level that is wanted, as a number; 0: none.
pub fn level() -> i32 {
    // Relaxed: as in `log`.
    LEVEL.load(Ordering::Relaxed)
}

/// Where a record comes from.
#[derive(Clone, Copy)]
pub struct Origin<'a> {
    /// The worker's index, or -1.
    pub worker: i32,
    /// The runtime's name, or empty.
    pub runtime: &'a CStr,
    /// The task's name, or empty.
    pub task: &'a CStr,
}

/// Logs a message, if anyone wants messages of this level.
pub fn log(level: Level, origin: Origin<'_>, message: fmt::Arguments<'_>) {
    // Relaxed: a record around a change of the sink may go either way.
    if (level as i32) > LEVEL.load(Ordering::Relaxed) {
        return;
    }
    let mut record = Record {
        level,
        time_ns: 0,
        worker: origin.worker,
        runtime: origin.runtime.to_owned(),
        task: origin.task.to_owned(),
        message: c_string(&message.to_string()),
    };
    while let Some(outlet) = {
        let log = LOG.get().lock();
        log.outlet()
    } {
        match outlet.put(record) {
            Ok(()) => break,
            // Replaced meanwhile: the record is the next one's.
            Err(refused) => record = refused,
        }
    }
}

/// Sets where records go. What was logged before goes to the sink before. When this returns, that sink is gone (called
/// from within it, it goes when it returns).
pub fn set_outlet(outlet: Outlet) -> Result<()> {
    replace(outlet, None)
}

/// [`set_outlet`], which waits for the old sink until `deadline` at most.
fn replace(outlet: Outlet, deadline: Option<i64>) -> Result<()> {
    let (mut keeps, mut drain, mut level) = (false, None, 0);
    match outlet {
        Outlet::Silence => {}
        Outlet::Queue(from) => (keeps, level) = (true, from as i32),
        Outlet::Sink(sink, from) => {
            level = from as i32;
            drain = Some(Drain::start("weft-log", "the log callback", move |item| match item {
                Item::Record(record) => sink(record),
                Item::Lost(count) => sink(&lost(*count, "the log callback is too slow")),
            })?);
        }
    }
    let is_sink = drain.is_some();
    let (old, ended) = {
        let mut log = LOG.get().lock();
        log.exit_hook = log.exit_hook || platform::at_exit(flush_at_exit);
        // Under the lock, so that the level is that of the outlet set last.
        LEVEL.store(level, Ordering::Relaxed);
        let ended = if log.keeps && !keeps { log.kept.clone() } else { None };
        if is_sink {
            log.kept = None;
        } else if keeps && !log.keeps {
            log.kept = Some(Arc::new(Kept::new(QUEUE)));
        }
        log.keeps = keeps;
        (std::mem::replace(&mut log.drain, drain), ended)
    };
    if let Some(kept) = ended {
        kept.end();
    }
    if let Some(old) = old {
        old.end(deadline);
    }
    Ok(())
}

/// The oldest record of those that are kept to be pulled; waits for one until the deadline.
pub fn next(deadline: Deadline) -> Result<Record> {
    let kept = {
        let log = LOG.get().lock();
        match (&log.drain, &log.kept) {
            (Some(_), _) => return Err(Failure::new(Status::Busy, "the log goes to a callback")),
            (None, None) => return Err(Failure::new(Status::Closed, "the log is not kept; weft_log_set begins to")),
            (None, Some(kept)) => kept.clone(),
        }
    };
    match kept.pull(deadline) {
        Pulled::Record(record) => Ok(record),
        Pulled::Lost(count) => Ok(lost(count, "they were pulled too slowly")),
        Pulled::Ended => Err(Failure::new(Status::Closed, "the log is not kept any more")),
        Pulled::Nothing(ended) => Err(ended.failure().unwrap_or(match deadline {
            Deadline::Now => Failure::new(Status::WouldBlock, "the log is empty"),
            _ => Failure::new(Status::Timeout, "the log is still empty"),
        })),
    }
}

/// Records have been lost.
fn lost(count: u64, why: &str) -> Record {
    Record {
        level: Level::Warn,
        time_ns: now_ns(),
        worker: -1,
        runtime: CString::default(),
        task: CString::default(),
        message: c_string(&format!("{count} records were lost: {why}")),
    }
}

/// The log of a forked child starts silent.
pub fn after_fork() {
    LEVEL.store(0, Ordering::Relaxed);
}

/// How long the exit of the process waits for the sink.
const EXIT_WAIT_NS: i64 = 1_000_000_000;

extern "C" fn flush_at_exit() {
    if platform::fork::admitted() {
        let _ = replace(Outlet::Silence, Some(now_ns() + EXIT_WAIT_NS));
    }
}
