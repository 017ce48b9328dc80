//! Loops over index ranges.
//!
//! A range is cut in halves down to the chunks in which the body gets it; the right half is offered to other threads while
//! this one goes through the left. Offers are [private](crate::scheduler::region) until somebody asks, so the cutting costs
//! nanoseconds, and whoever asks gets the largest half there is. Without a fixed grain, chunks grow until one
//! takes [`CHUNK_NS`].
//!
//! A reduction without a fixed grain goes on with the same accumulator as long as nobody took the right half. With a
//! fixed grain it makes an accumulator for every chunk and combines the same neighbours in the same order on any number of
//! workers.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::join::{join, offer};
use crate::error::{Failure, Result, Status};
use crate::platform::clock::now_ns;
use crate::scheduler::Worker;
use crate::scheduler::frame::Context;
use crate::sync::cancel::Token;
use crate::sync::{Deadline, Lock};

/// What a failure of a body does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Ends the loop.
    #[default]
    Stop,
    /// Has what failed or was not reached run again, in order, on one thread.
    RedoSerially,
    /// Has everything run again, in order, on one thread.
    RedoAllSerially,
}

/// How to run a loop.
#[derive(Clone, Copy)]
pub struct LoopOptions<'a> {
    /// Indices per call at most; 0: as many as take some ten microseconds.
    pub grain: usize,
    /// Ranges up to this length are not split.
    pub serial_below: usize,
    /// When to stop, between two calls.
    pub deadline: Deadline,
    /// What a failure does.
    pub on_failure: OnFailure,
    /// What ends it, besides what ends the task that it is part of; its bodies go by both.
    pub cancel: Option<&'a Token>,
}

impl Default for LoopOptions<'_> {
    fn default() -> Self {
        LoopOptions { grain: 0, serial_below: 0, deadline: Deadline::Never, on_failure: OnFailure::Stop, cancel: None }
    }
}

/// Runs a loop within the context that its bodies get: the task's, and with the options' token, if there is one.
fn within<R>(worker: &Worker, options: LoopOptions<'_>, run: impl FnOnce(Limits) -> R) -> R {
    let context = worker.context().cloned().unwrap_or_default();
    let Some(cancel) = options.cancel else {
        return run(Limits { deadline: options.deadline, token: context.token });
    };
    let token = Some(match &context.token {
        Some(outer) => Token::new([Some(outer), Some(cancel)]),
        None => cancel.clone(),
    });
    let limits = Limits { deadline: options.deadline, token: token.clone() };
    worker.within(Context { token, ..context }, || run(limits))
}

/// What ends a loop before it is through.
struct Limits {
    deadline: Deadline,
    token: Option<Token>,
}

impl Limits {
    /// Why the loop is to end now.
    fn exceeded(&self) -> Option<Failure> {
        let late =
            || self.deadline.has_passed().then(|| Failure::new(Status::Timeout, "the loop was not through in time"));
        self.token.as_ref().and_then(Token::failure).or_else(late)
    }
}

/// What became of a loop's indices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Indices in ranges that went well.
    pub done: usize,
    /// Indices in ranges that failed.
    pub failed: usize,
    /// Indices that were run again, whatever came of it.
    pub redone: usize,
    /// Whether anything was run again.
    pub fell_back: bool,
}

/// What a chunk should take: enough to make the look around it cheap, little enough to answer quickly.
const CHUNK_NS: i64 = 10_000;

/// The first failure of a loop, which stops what has not begun.
#[derive(Default)]
struct Outcome {
    stopped: AtomicBool,
    exceeded: AtomicBool,
    failure: OnceLock<Failure>,
}

impl Outcome {
    fn stopped(&self) -> bool {
        // Relaxed: seeing it late only costs a chunk's work.
        self.stopped.load(Ordering::Relaxed)
    }

    /// Ends the loop if it is to end. Whether it ends.
    fn stops(&self, limits: &Limits) -> bool {
        if !self.stopped()
            && let Some(failure) = limits.exceeded()
        {
            self.exceeded.store(true, Ordering::Relaxed);
            self.fail(failure);
        }
        self.stopped()
    }

    fn fail(&self, failure: Failure) {
        // The first one stays.
        let _ = self.failure.set(failure);
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// A callback's result; a panic is a failure.
    fn call<T>(&self, worker: &Worker, what: &str, body: impl FnOnce() -> Result<T>) -> Option<T> {
        let result = worker.protect(&what, body);
        let result =
            result.unwrap_or_else(|message| Err(Failure::with(Status::Panic, format!("{what} panicked: {message}"))));
        result.map_err(|failure| self.fail(failure)).ok()
    }
}

/// How many indices the next chunk has, as one thread has found out on its way.
struct Pace {
    fixed: bool,
    chunk: usize,
    /// Indices that went well, to be counted once for many chunks.
    done: usize,
}

impl Pace {
    fn new(grain: usize) -> Self {
        Pace { fixed: grain > 0, chunk: grain.max(1), done: 0 }
    }

    /// For a thread that takes over.
    fn handed_on(&self) -> Self {
        Pace { fixed: self.fixed, chunk: self.chunk, done: 0 }
    }

    /// Runs a chunk and learns from the time it takes.
    fn run<T>(&mut self, chunk: impl FnOnce() -> T) -> T {
        if self.fixed {
            return chunk();
        }
        let begin = now_ns();
        let result = chunk();
        match now_ns() - begin {
            ns if ns < CHUNK_NS / 2 => self.chunk = self.chunk.saturating_mul(2),
            ns if ns > CHUNK_NS * 2 => self.chunk = (self.chunk / 2).max(1),
            _ => {}
        }
        result
    }
}

/// The body of a loop.
pub type Body<'a> = &'a (dyn Fn(&Worker, Range<usize>) -> Result<()> + Sync);

struct Loop<'a> {
    options: LoopOptions<'a>,
    limits: Limits,
    body: Body<'a>,
    done: AtomicUsize,
    failed: AtomicUsize,
    outcome: Outcome,
    /// What failed or was not reached, for a second try.
    left: Lock<Vec<Range<usize>>>,
}

const BODY: &str = "the body of a loop";

impl Loop<'_> {
    /// Goes through a range that nobody else has, and counts.
    fn run(&self, worker: &Worker, range: Range<usize>, mut pace: Pace) {
        self.split(worker, range, &mut pace);
        // The joins order all counting before the report.
        self.done.fetch_add(pace.done, Ordering::Relaxed);
    }

    fn split(&self, worker: &Worker, mut range: Range<usize>, pace: &mut Pace) {
        while range.len() > pace.chunk.max(self.options.serial_below) && !self.outcome.stopped() {
            let (left, right) = halves(range);
            let handed_on = pace.handed_on();
            let go_on = |worker: &Worker| self.run(worker, right.clone(), handed_on.handed_on());
            if let ((), Some(())) = offer(worker, |worker| self.split(worker, left, pace), &go_on) {
                return;
            }
            range = right;
        }
        while !range.is_empty() && !self.stopped() {
            let chunk = range.start..range.start + pace.chunk.min(range.len());
            range.start = chunk.end;
            match pace.run(|| self.outcome.call(worker, BODY, || (self.body)(worker, chunk.clone()))) {
                Some(()) => pace.done += chunk.len(),
                None => {
                    self.failed.fetch_add(chunk.len(), Ordering::Relaxed);
                    self.leave(chunk);
                }
            }
        }
        self.leave(range);
    }

    fn stopped(&self) -> bool {
        self.outcome.stops(&self.limits)
    }

    fn leave(&self, range: Range<usize>) {
        if !range.is_empty() && self.options.on_failure == OnFailure::RedoSerially {
            self.left.lock().push(range);
        }
    }
}

/// Calls `body` on consecutive ranges that cover `range`. The first failure stops what has not begun, and is returned unless
/// the options have it repaired.
pub fn for_each(
    worker: &Worker,
    range: Range<usize>,
    options: LoopOptions<'_>,
    body: Body<'_>,
) -> (Report, Result<()>) {
    within(worker, options, |limits| for_each_within(worker, range, options, limits, body))
}

fn for_each_within(
    worker: &Worker,
    range: Range<usize>,
    options: LoopOptions<'_>,
    limits: Limits,
    body: Body<'_>,
) -> (Report, Result<()>) {
    let this = Loop {
        options,
        limits,
        body,
        done: AtomicUsize::new(0),
        failed: AtomicUsize::new(0),
        outcome: Outcome::default(),
        left: Lock::new(Vec::new()),
    };
    this.run(worker, range.clone(), Pace::new(options.grain));
    let Loop { done, failed, outcome, left, limits, .. } = this;
    let mut report = Report { done: done.into_inner(), failed: failed.into_inner(), ..Report::default() };
    let Some(failure) = outcome.failure.into_inner() else { return (report, Ok(())) };
    let mut left = match options.on_failure {
        _ if outcome.exceeded.into_inner() => return (report, Err(failure)),
        OnFailure::Stop => return (report, Err(failure)),
        OnFailure::RedoSerially => std::mem::take(&mut *left.lock()),
        OnFailure::RedoAllSerially => vec![range],
    };
    let all = options.on_failure == OnFailure::RedoAllSerially;
    left.sort_unstable_by_key(|range| range.start);
    worker.log_fallback(&failure);
    let result = redo(worker, left, all, options.grain, &limits, body, &mut report);
    (report, result)
}

fn redo(
    worker: &Worker,
    left: Vec<Range<usize>>,
    all: bool,
    grain: usize,
    limits: &Limits,
    body: Body<'_>,
    report: &mut Report,
) -> Result<()> {
    let outcome = Outcome::default();
    for mut range in left {
        let mut pace = Pace::new(grain);
        while !range.is_empty() {
            if let Some(failure) = limits.exceeded() {
                return Err(failure);
            }
            if !report.fell_back {
                report.fell_back = true;
                report.failed = 0;
                report.done = if all { 0 } else { report.done };
            }
            let chunk = range.start..range.start + pace.chunk.min(range.len());
            range.start = chunk.end;
            report.redone += chunk.len();
            if pace.run(|| outcome.call(worker, BODY, || body(worker, chunk.clone()))).is_none() {
                report.failed += chunk.len();
                return outcome.failure.into_inner().map_or(Ok(()), Err);
            }
            report.done += chunk.len();
        }
    }
    Ok(())
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

struct Folder<'a, F> {
    options: LoopOptions<'a>,
    limits: Limits,
    folding: &'a F,
    outcome: Outcome,
}

impl<F: Fold> Folder<'_, F> {
    const WHAT: &'static str = "the body of a reduction";

    fn stopped(&self) -> bool {
        self.outcome.stops(&self.limits)
    }

    /// Splits evenly down to the grain.
    fn split(&self, worker: &Worker, range: Range<usize>) -> Option<F::Acc> {
        if self.stopped() {
            return None;
        }
        if range.len() <= self.options.grain.max(self.options.serial_below) {
            let acc = self.outcome.call(worker, Self::WHAT, || self.folding.identity())?;
            return self.fold_serially(worker, range, acc, &mut Pace::new(self.options.grain));
        }
        let (left, right) = halves(range);
        let (left, right) = join(worker, |worker| self.split(worker, left), |worker| self.split(worker, right));
        self.combine(worker, left?, right?)
    }

    /// Adds a range to an accumulator; what another thread takes gets one of its own.
    fn run(&self, worker: &Worker, mut range: Range<usize>, acc: F::Acc, pace: &mut Pace) -> Option<F::Acc> {
        let mut acc = acc;
        while range.len() > pace.chunk.max(self.options.serial_below) && !self.outcome.stopped() {
            let (left, right) = halves(range);
            let handed_on = pace.handed_on();
            let go_on = |worker: &Worker| self.begin(worker, right.clone(), handed_on.handed_on());
            let (left, taken) = offer(worker, |worker| self.run(worker, left, acc, pace), &go_on);
            acc = left?;
            if let Some(right) = taken {
                return self.combine(worker, acc, right?);
            }
            range = right;
        }
        self.fold_serially(worker, range, acc, pace)
    }

    fn fold_serially(
        &self,
        worker: &Worker,
        mut range: Range<usize>,
        mut acc: F::Acc,
        pace: &mut Pace,
    ) -> Option<F::Acc> {
        while !range.is_empty() {
            if self.stopped() {
                return None;
            }
            let chunk = range.start..range.start + pace.chunk.min(range.len());
            range.start = chunk.end;
            pace.run(|| self.outcome.call(worker, Self::WHAT, || self.folding.fold(worker, chunk, &mut acc)))?;
        }
        Some(acc)
    }

    fn begin(&self, worker: &Worker, range: Range<usize>, mut pace: Pace) -> Option<F::Acc> {
        let acc = self.outcome.call(worker, Self::WHAT, || self.folding.identity())?;
        self.run(worker, range, acc, &mut pace)
    }

    fn combine(&self, worker: &Worker, mut left: F::Acc, right: F::Acc) -> Option<F::Acc> {
        self.outcome.call(worker, Self::WHAT, || self.folding.combine(worker, &mut left, right))?;
        Some(left)
    }
}

/// Folds `range` in parallel, keeping its order: only neighbours are combined, left with right.
pub fn fold<F: Fold>(worker: &Worker, range: Range<usize>, options: LoopOptions<'_>, folding: &F) -> Result<F::Acc> {
    let (acc, outcome) = within(worker, options, |limits| {
        let this = Folder { options, limits, folding, outcome: Outcome::default() };
        let acc = if options.grain == 0 { this.begin(worker, range, Pace::new(0)) } else { this.split(worker, range) };
        (acc, this.outcome)
    });
    match outcome.failure.into_inner() {
        Some(failure) => Err(failure),
        None => acc.ok_or(Failure::new(Status::Failed, "the reduction has no result")),
    }
}

/// A grain for `len` items of about `item_ns` nanoseconds each on `workers` threads: [`CHUNK_NS`] per call, but at least
/// eight calls for each worker as far as there are items.
pub fn optimal_grain(len: usize, workers: usize, item_ns: f64) -> usize {
    const CALLS_PER_WORKER: usize = 8;
    let even = len.div_ceil(workers.max(1).saturating_mul(CALLS_PER_WORKER)).max(1);
    // An unknown or senseless cost leaves the even split.
    if !(item_ns.is_finite() && item_ns > 0.0) {
        return even;
    }
    // `as` saturates.
    even.min((CHUNK_NS as f64 / item_ns).ceil() as usize).max(1)
}
