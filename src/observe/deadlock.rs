//! Telling deadlocks: in a count, in the log, and to the program.
//!
//! They are told for the whole process, because a ring of waits may go through several runtimes and threads of none.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};

use super::drain::{Drain, Draining, Item};
use super::log::{self, Level, Origin};
use crate::error::{Result, c_string};
use crate::platform::{self, clock::now_ns, fork::ForkCell};
use crate::sync::Lock;
use crate::sync::waits::{self, Finding, Link};

/// A deadlock, as it was when it was found.
#[derive(Debug)]
pub struct Deadlock {
    /// The how-manieth of this process, or a later one's.
    pub number: u64,
    /// Who waits for whom: each for the next, the last for the first.
    pub ring: Vec<Link>,
    /// The same for people.
    pub message: CString,
}

/// Called with each deadlock.
pub type Hook = Box<dyn Fn(&Deadlock) + Send>;

#[derive(Default)]
struct Watch {
    drain: Option<Draining<Deadlock>>,
    exit_hook: bool,
}

static WATCH: ForkCell<Lock<Watch>> = ForkCell::new();
/// Whether a deadlock ends the process.
static ABORTS: AtomicBool = AtomicBool::new(false);

/// How long the exit of the process waits for the hook.
const EXIT_WAIT_NS: i64 = 1_000_000_000;

/// Sets what is called with each deadlock, and whether one ends the process. The hook before gets what was found before; when this
/// returns it is gone (called from within it, it goes when it returns).
pub fn watch(hook: Option<Hook>, aborts: bool) -> Result<()> {
    let drain = hook.map(|hook| {
        Drain::start("weft-deadlock", "the deadlock callback", move |item| match item {
            Item::Record(deadlock) => hook(deadlock),
            // The numbers tell.
            Item::Lost(_) => {}
        })
    });
    replace(drain.transpose()?, aborts, None);
    Ok(())
}

fn replace(drain: Option<Draining<Deadlock>>, aborts: bool, deadline: Option<i64>) {
    let old = {
        let mut watch = WATCH.get().lock();
        watch.exit_hook = watch.exit_hook || platform::at_exit(end_at_exit);
        // Under the lock, so that it goes with the hook that was set last.
        ABORTS.store(aborts, Ordering::Relaxed);
        std::mem::replace(&mut watch.drain, drain)
    };
    old.into_iter().for_each(|old| old.end(deadline));
}

/// A forked child begins without a hook.
pub fn after_fork() {
    ABORTS.store(false, Ordering::Relaxed);
    waits::after_fork();
}

extern "C" fn end_at_exit() {
    if platform::fork::admitted() {
        replace(None, false, Some(now_ns() + EXIT_WAIT_NS));
    }
}

/// Deadlocks so far.
pub fn count() -> u64 {
    waits::rings()
}

/// Tells what was found among the waits. On any thread, which holds no lock.
pub fn report(finding: Finding) {
    let ring = match finding {
        Finding::Ring(ring) => ring,
        Finding::LeftLocked(name) => {
            let nowhere = Origin { worker: -1, runtime: c"", task: c"" };
            let message = format_args!(
                "a thread ended while it held a mutex, which has been unlocked: '{}'",
                name.to_string_lossy()
            );
            return log::log(Level::Error, nowhere, message);
        }
    };
    let message = describe(&ring);
    if ABORTS.load(Ordering::Relaxed) {
        eprintln!("weft: {message}");
        std::process::abort();
    }
    if let Some(first) = ring.first() {
        let origin = Origin { worker: first.worker, runtime: &first.runtime, task: &first.task };
        log::log(Level::Error, origin, format_args!("{message}"));
    }
    let deadlock = Deadlock { number: count(), ring, message: c_string(&message) };
    let drain = WATCH.get().lock().drain.as_ref().map(|draining| draining.drain.clone());
    if let Some(drain) = drain {
        // One that is being replaced tells no more; what comes then is the next one's, if there is one.
        if let Err(deadlock) = drain.put(deadlock, |_| {})
            && let Some(next) = WATCH.get().lock().drain.as_ref()
        {
            let _ = next.drain.put(deadlock, |_| {});
        }
    }
}

/// `task 'a' (worker 0 of runtime 'r', thread 123) waits for mutex 'm', which is up to task 'b'; ...`
fn describe(ring: &[Link]) -> String {
    let nexts = ring.iter().skip(1).chain(ring.first());
    let links: Vec<String> = ring
        .iter()
        .zip(nexts)
        .map(|(link, next)| {
            let awaited = link.awaited.to_string_lossy();
            format!("{} ({}) waits for {awaited}, which is up to {}", name(link), place(link), name(next))
        })
        .collect();
    format!("deadlock: {}", links.join("; "))
}

fn name(link: &Link) -> String {
    match (link.worker, link.task.is_empty()) {
        (-1, _) => format!("thread {}", link.thread),
        (worker, true) => format!("the unnamed task of worker {worker}"),
        (_, false) => format!("task '{}'", link.task.to_string_lossy()),
    }
}

fn place(link: &Link) -> String {
    match (link.worker, link.runtime.is_empty()) {
        (-1, _) => "of the program".into(),
        (worker, true) => format!("worker {worker}, thread {}", link.thread),
        (worker, false) => {
            format!("worker {worker} of runtime '{}', thread {}", link.runtime.to_string_lossy(), link.thread)
        }
    }
}
