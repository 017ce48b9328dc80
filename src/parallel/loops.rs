//! Loops over index ranges: split in halves by `join` down to the grain, run in parallel, end together.
//!
//! The splitting depends on the range and the grain alone, never on who runs what, so a reduction with a
//! fixed grain combines the same neighbours in the same order on any number of workers.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::join::join;
use crate::error::{Failure, Result, Status};
use crate::scheduler::Worker;

/// What became of a loop's indices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Indices in ranges that went well.
    pub done: usize,
    /// Indices in ranges that failed.
    pub failed: usize,
}

/// Ranges per worker that a loop without a grain is split into: enough to even out unequal ranges.
const RANGES_PER_WORKER: usize = 8;

fn choose_grain(len: usize, grain: usize, workers: u32) -> usize {
    match grain {
        0 => len.div_ceil(RANGES_PER_WORKER * workers as usize).max(1),
        grain => grain,
    }
}

/// The first failure of a loop, which stops what has not begun.
#[derive(Default)]
struct Outcome {
    stopped: AtomicBool,
    failure: OnceLock<Failure>,
}

impl Outcome {
    fn stopped(&self) -> bool {
        // Relaxed: seeing it late only costs a range's work.
        self.stopped.load(Ordering::Relaxed)
    }

    fn fail(&self, failure: Failure) {
        // The first one stays.
        let _ = self.failure.set(failure);
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn note<R>(&self, what: &str, result: std::result::Result<R, String>) -> Option<R> {
        result.map_err(|message| self.fail(Failure::with(Status::Panic, format!("{what} panicked: {message}")))).ok()
    }

    fn into_result(self) -> Result<()> {
        self.failure.into_inner().map_or(Ok(()), Err)
    }
}

/// Calls `body` on consecutive ranges of at most `grain` indices (0: chosen here) that cover `range`. The first failure
/// stops the ranges that have not begun, and is returned.
pub fn for_each(
    worker: &Worker,
    range: Range<usize>,
    grain: usize,
    body: &(dyn Fn(&Worker, Range<usize>) -> Result<()> + Sync),
) -> (Report, Result<()>) {
    struct Loop<'a> {
        grain: usize,
        body: &'a (dyn Fn(&Worker, Range<usize>) -> Result<()> + Sync),
        done: AtomicUsize,
        failed: AtomicUsize,
        outcome: Outcome,
    }
    fn split(worker: &Worker, this: &Loop<'_>, range: Range<usize>) {
        if this.outcome.stopped() || range.is_empty() {
            return;
        }
        if range.len() > this.grain {
            let (left, right) = halves(range);
            let (left, right) = join(worker, |w| split(w, this, left), |w| split(w, this, right));
            this.outcome.note("a loop", left);
            this.outcome.note("a loop", right);
            return;
        }
        let result = worker.protect(&"the body of a loop", || (this.body)(worker, range.clone()));
        match this.outcome.note("the body of a loop", result) {
            Some(Ok(())) => {
                this.done.fetch_add(range.len(), Ordering::Relaxed);
                return;
            }
            Some(Err(failure)) => this.outcome.fail(failure),
            None => {}
        }
        this.failed.fetch_add(range.len(), Ordering::Relaxed);
    }
    let this = Loop {
        grain: choose_grain(range.len(), grain, worker.core().workers()),
        body,
        done: AtomicUsize::new(0),
        failed: AtomicUsize::new(0),
        outcome: Outcome::default(),
    };
    split(worker, &this, range);
    // The joins ordered all counting before this.
    let report = Report { done: this.done.into_inner(), failed: this.failed.into_inner() };
    (report, this.outcome.into_result())
}

fn halves(range: Range<usize>) -> (Range<usize>, Range<usize>) {
    let middle = range.start + range.len() / 2;
    (range.start..middle, middle..range.end)
}

/// How to fold a range into accumulators and those into each other.
pub trait Fold: Sync {
    /// An accumulator. Dropped when a failure strands it.
    type Acc: Send;
    /// An accumulator with nothing in it.
    fn identity(&self) -> Result<Self::Acc>;
    /// Adds a range of indices.
    fn fold(&self, worker: &Worker, range: Range<usize>, acc: &mut Self::Acc) -> Result<()>;
    /// Adds what is to the right; it is used up.
    fn combine(&self, worker: &Worker, left: &mut Self::Acc, right: Self::Acc) -> Result<()>;
}

/// Folds `range` in parallel, keeping its order: only neighbours are combined, left with right.
pub fn fold<F: Fold>(worker: &Worker, range: Range<usize>, grain: usize, folding: &F) -> Result<F::Acc> {
    struct Folder<'a, F> {
        grain: usize,
        folding: &'a F,
        outcome: Outcome,
    }
    fn split<F: Fold>(worker: &Worker, this: &Folder<'_, F>, range: Range<usize>) -> Option<F::Acc> {
        const WHAT: &str = "the body of a reduction";
        if this.outcome.stopped() {
            return None;
        }
        let folding = this.folding;
        if range.len() > this.grain {
            let (left, right) = halves(range);
            let (left, right) = join(worker, |w| split(w, this, left), |w| split(w, this, right));
            let (left, right) = (this.outcome.note(WHAT, left), this.outcome.note(WHAT, right));
            let (mut left, right) = (left.flatten()?, right.flatten()?);
            let result = worker.protect(&WHAT, || folding.combine(worker, &mut left, right));
            return this.outcome.keep(this.outcome.note(WHAT, result)?, left);
        }
        let mut acc = folding.identity().map_err(|failure| this.outcome.fail(failure)).ok()?;
        let result = worker.protect(&WHAT, || folding.fold(worker, range, &mut acc));
        this.outcome.keep(this.outcome.note(WHAT, result)?, acc)
    }
    let this = Folder {
        grain: choose_grain(range.len(), grain, worker.core().workers()),
        folding,
        outcome: Outcome::default(),
    };
    let acc = split(worker, &this, range);
    this.outcome.into_result()?;
    acc.ok_or(Failure::new(Status::Failed, "the reduction has no result"))
}

impl Outcome {
    fn keep<T>(&self, result: Result<()>, value: T) -> Option<T> {
        result.map_err(|failure| self.fail(failure)).ok().map(|()| value)
    }
}
