//! Futures made of several: all, any, race.
//!
//! A [`Combined`] watches its sources. Whoever brings the decisive one takes the promise, settles it, and takes the
//! other watches back, so that a source that goes on for long does not collect what was made of it. Watches are set one
//! after the other while those set already may decide; who comes second, the decision or the end of the setting, takes
//! them back.

use std::ptr;
use std::sync::Arc;

use super::cell::{Cell, Future, Promise, channel, settled};
use super::deferred::Deferred;
use super::line::Job;
use super::origin::{Origin, Winner};
use super::watch::{Watch, Whose};
use crate::error::{Error, Failure, Status};
use crate::sync::Lock;
use crate::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// When a combined future is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// With the last success, or the first failure.
    All,
    /// With the first success, or the last failure.
    Any,
    /// With the first.
    Race,
}

/// What futures can be combined of.
pub trait Lend: Sized + Send + Sync + 'static {
    /// The same value, owned by `self`.
    fn lend(&self) -> Self;

    /// No value.
    fn nothing() -> Self;
}

/// A combined future's origin.
pub struct Combined<T> {
    rule: Rule,
    /// Until nobody can ask for the value any more.
    sources: Lock<Box<[Future<T>]>>,
    entries: Box<[Entry<T>]>,
    promise: Deferred<Promise<T>>,
    /// Sources that have not been settled as the rule hopes for.
    left: AtomicUsize,
    /// NOBODY until it is settled.
    winner: AtomicUsize,
    stage: AtomicU32,
    /// How many of the entries have been armed. Written before ARMED.
    armed: AtomicUsize,
    /// What decides when the time has come; stopped by its drop.
    timer: Lock<Option<Timer>>,
}

/// A timer of any kind.
type Timer = Box<dyn Send>;

#[repr(C)]
struct Entry<T> {
    watch: Watch,
    combined: *const Combined<T>,
}

// SAFETY: the pointer leads to what the entry is part of.
unsafe impl<T: Send + Sync> Send for Entry<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Entry<T> {}

const NOBODY: usize = usize::MAX;
/// Bits of the stage.
const ARMED: u32 = 1;
const DECIDED: u32 = 2;

/// A future that these decide. Any and race of none are never settled: not for the caller to ask for.
pub fn combine<T: Lend>(rule: Rule, sources: Box<[Future<T>]>) -> Future<T> {
    match sources.is_empty() {
        true => settled(Ok(T::nothing())),
        false => new(rule, sources).0,
    }
}

fn new<T: Lend>(rule: Rule, sources: Box<[Future<T>]>) -> (Future<T>, Arc<Combined<T>>) {
    let (promise, future) = channel();
    let combined = Arc::new_cyclic(|combined| Combined {
        rule,
        entries: sources
            .iter()
            .map(|_| Entry { watch: Watch::new(Combined::<T>::run), combined: combined.as_ptr() })
            .collect(),
        promise: Deferred::new(promise),
        left: AtomicUsize::new(sources.len()),
        winner: AtomicUsize::new(NOBODY),
        stage: AtomicU32::new(0),
        armed: AtomicUsize::new(0),
        timer: Lock::new(None),
        sources: Lock::new(sources.clone()),
    });
    let future = future.with_origin(combined.clone());
    combined.clone().arm(&sources);
    (future, combined)
}

impl<T: Lend> Combined<T> {
    fn arm(self: Arc<Self>, sources: &[Future<T>]) {
        let mut armed = 0;
        for (index, source) in sources.iter().enumerate() {
            if self.stage.load(Ordering::Relaxed) & DECIDED != 0 {
                break;
            }
            armed = index + 1;
            // `run` takes this reference back, or who takes the watch back.
            let this = Arc::into_raw(self.clone());
            // SAFETY: the entry is part of `self`, which the reference keeps in place.
            unsafe {
                if !Watch::arm(&raw const (*this).entries[index].watch, source, Whose::Ours) {
                    Arc::from_raw(this).arrived(index);
                }
            }
        }
        // Relaxed: published by the exchange.
        self.armed.store(armed, Ordering::Relaxed);
        self.reach(ARMED);
    }

    /// Takes the watches back when both have been reached.
    fn reach(self: &Arc<Self>, stage: u32) {
        // AcqRel: the second to come sees how many have been armed, and their watches.
        let before = self.stage.fetch_or(stage, Ordering::AcqRel);
        if before | stage != ARMED | DECIDED || before & stage != 0 {
            return;
        }
        let armed = self.armed.load(Ordering::Relaxed);
        let sources = self.sources.lock();
        for (entry, source) in self.entries[..armed].iter().zip(sources.iter()) {
            // SAFETY: armed for this source. Nobody will run it then, so its reference is ours; this is not the last.
            unsafe {
                if Watch::off(&raw const entry.watch, source) {
                    Arc::decrement_strong_count(Arc::as_ptr(self));
                }
            }
        }
    }

    unsafe fn run(job: *const Job) {
        let entry = job.cast::<Entry<T>>();
        // SAFETY: the job is that of an entry, whose reference this is.
        unsafe {
            let this = Arc::from_raw((*entry).combined);
            let index = entry.offset_from_unsigned(this.entries.as_ptr());
            this.arrived(index);
        }
    }

    /// This source is settled.
    fn arrived(self: Arc<Self>, index: usize) {
        let outcome = {
            let sources = self.sources.lock();
            // Nobody asks for it any more: it has been decided.
            let Some(source) = sources.get(index) else { return };
            // AcqRel: the last one sees what the others did.
            let last = || self.left.fetch_sub(1, Ordering::AcqRel) == 1;
            let failed = source.error().is_some();
            match self.rule {
                Rule::All if !failed && !last() => return,
                Rule::All if !failed => (NOBODY, Ok(T::nothing())),
                Rule::Any if failed && !last() => return,
                _ => (index, outcome_of(source)),
            }
        };
        self.decide(outcome);
    }

    /// Settles the future; false: somebody else does.
    fn decide(self: &Arc<Self>, (winner, outcome): (usize, std::result::Result<T, Error>)) -> bool {
        let Some(promise) = self.promise.take() else { return false };
        // Relaxed: published with the outcome.
        self.winner.store(winner, Ordering::Relaxed);
        // Before the outcome is there: then the sources are let go by whoever releases the future last.
        self.reach(DECIDED);
        let timer = self.timer.lock().take();
        drop(timer);
        promise.settle(outcome).is_ok()
    }
}

/// The outcome of another future's, which keeps this one.
pub fn outcome_of<T: Lend>(source: &Cell<T>) -> std::result::Result<T, Error> {
    match source.outcome() {
        Some(Ok(value)) => Ok(value.lend()),
        Some(Err(error)) => Err(Error::passed_on(error)),
        None => {
            let taken = Failure::new(Status::Busy, "the value has been taken already");
            Err(Error::new(taken.status, &taken.message, "a combined future"))
        }
    }
}

impl<T: Lend> Origin<T> for Combined<T> {
    fn cancel(self: Arc<Self>, more: &mut Vec<Future<T>>) {
        self.decide((NOBODY, Err(cancelled("the future was cancelled"))));
        // Whoever else holds a source goes on waiting for it. One may be here several times.
        let sources = self.sources.lock();
        let mut sorted: Vec<_> = sources.iter().collect();
        sorted.sort_unstable_by_key(|source| ptr::from_ref(&***source).addr());
        let same = sorted.chunk_by(|one, next| ptr::eq(&***one, &***next));
        more.extend(same.filter(|same| same[0].has_references(same.len())).map(|same| same[0].clone()));
    }

    fn let_go(&self) {
        let sources = std::mem::take(&mut *self.sources.lock());
        // Not under the lock.
        drop(sources);
    }

    /// Neither the promise in here nor a watch or a timer keeps it any longer.
    fn forsake(self: Arc<Self>) {
        if self.decide((NOBODY, Err(cancelled("the future was released")))) {
            self.let_go();
        }
    }

    fn winner(&self) -> Option<Winner> {
        Some(match self.winner.load(Ordering::Relaxed) {
            NOBODY => Winner::Nobody,
            index => Winner::Index(index),
        })
    }

    fn lends(&self) -> bool {
        self.rule != Rule::All
    }
}

/// The error of a future that was cancelled before anything of its own began.
pub fn cancelled(text: &str) -> Error {
    Error::new(Status::Cancelled as i32, text, "weft_future_cancel")
}

#[cfg(not(weft_loom))]
pub mod timed;

#[cfg(all(test, weft_loom))]
mod models;
#[cfg(all(test, not(weft_loom)))]
mod tests;
