//! The cell that a promise and its future share.

use std::sync::Arc;

use super::deferred::Begin;
use crate::error::{Error, Failure, Result, Status};
use crate::sync::atomic::{AtomicU32, Ordering, UnsafeCell};
use crate::sync::wait::Ended;
use crate::sync::{Deadline, Gate};

/// How far a future has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum State {
    /// Not settled.
    Pending = 0,
    /// Settled with a value, which may have been taken.
    Ready = 1,
    /// Settled with an error.
    Failed = 2,
}

/// Nobody has begun to settle.
const OPEN: u32 = 0;
/// Somebody is writing the outcome.
const SETTLING: u32 = 1;
const READY: u32 = 2;
const FAILED: u32 = 3;
/// Ready, and the value has been moved out.
const TAKEN: u32 = 4;

struct Cell<T> {
    state: AtomicU32,
    outcome: UnsafeCell<Option<std::result::Result<T, Error>>>,
    settled: Gate,
}

// SAFETY: the outcome is written by the one thread that moved the state from OPEN to SETTLING, and read or taken only
// after the state says that it is there; `&T` and `T` reach other threads, hence both bounds.
unsafe impl<T: Send + Sync> Sync for Cell<T> {}

/// The end that settles. Dropped unsettled, it fails its future with `Broken`.
pub struct Promise<T>(Arc<Cell<T>>);

/// The end that waits.
pub struct Future<T> {
    cell: Arc<Cell<T>>,
    /// The work that settles it, if a waiting thread may begin that itself.
    work: Option<Arc<dyn Begin>>,
}

/// A promise and its future.
pub fn channel<T>() -> (Promise<T>, Future<T>) {
    let cell = Arc::new(Cell { state: AtomicU32::new(OPEN), outcome: UnsafeCell::new(None), settled: Gate::default() });
    (Promise(cell.clone()), Future { cell, work: None })
}

impl<T> Promise<T> {
    /// Settles the future; gives the outcome back if that has been done already.
    pub fn settle(
        &self,
        outcome: std::result::Result<T, Error>,
    ) -> std::result::Result<(), std::result::Result<T, Error>> {
        let cell = &*self.0;
        // Relaxed: the exchange only picks the one who writes; the outcome is published below.
        if cell.state.compare_exchange(OPEN, SETTLING, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Err(outcome);
        }
        let state = if outcome.is_ok() { READY } else { FAILED };
        // SAFETY: this thread won the exchange, and nobody reads before the store below.
        cell.outcome.with_mut(|place| unsafe { *place = Some(outcome) });
        // Release pairs with the Acquire in `state`.
        cell.state.store(state, Ordering::Release);
        cell.settled.open();
        Ok(())
    }

    /// Whether somebody has settled it, or is about to have.
    pub fn is_settled(&self) -> bool {
        self.0.state.load(Ordering::Relaxed) != OPEN
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if !self.is_settled() {
            let _ = self.settle(Err(Error::new(
                Status::Broken as i32,
                "the promise was released without having been settled",
                "promise",
            )));
        }
    }
}

impl<T> Future<T> {
    /// The same future; who waits for it without a deadline may begin this work.
    pub fn with_work(self, work: Arc<dyn Begin>) -> Self {
        Future { work: Some(work), ..self }
    }

    /// How far it has got.
    pub fn state(&self) -> State {
        // Acquire pairs with the Release in `settle`: who sees it settled sees the outcome.
        match self.cell.state.load(Ordering::Acquire) {
            OPEN | SETTLING => State::Pending,
            FAILED => State::Failed,
            _ => State::Ready,
        }
    }

    /// Calls `callback` once it is settled: here and now, or on the thread that settles it. It does not unwind.
    pub fn when_settled(&self, callback: impl FnOnce() + Send + 'static) {
        self.cell.settled.when_open(Box::new(callback));
    }

    /// Waits until it is settled, whatever the outcome.
    pub fn wait(&self, deadline: Deadline) -> Result<()> {
        if self.state() != State::Pending {
            return Ok(());
        }
        if let Some(work) = &self.work
            && deadline != Deadline::Now
        {
            if deadline == Deadline::Never {
                work.begin_here();
            }
            work.clone().hurry();
        }
        match self.cell.settled.wait(deadline) {
            Ended::Fired(_) => Ok(()),
            Ended::TimedOut if deadline == Deadline::Now => {
                Err(Failure::new(Status::WouldBlock, "the future is pending"))
            }
            Ended::TimedOut => Err(Failure::new(Status::Timeout, "the future is still pending")),
            ended => ended.failure().map_or(Ok(()), Err),
        }
    }

    /// Waits for the value, which stays here.
    pub fn get(&self, deadline: Deadline) -> Result<&T> {
        self.wait(deadline)?;
        match self.outcome() {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(failure_of(error)),
            None => Err(ALREADY_TAKEN),
        }
    }

    /// Waits for the value and moves it out.
    ///
    /// # Safety
    /// No reference that `get` returned is used any more.
    pub unsafe fn take(&self, deadline: Deadline) -> Result<T> {
        self.wait(deadline)?;
        if let Some(Err(error)) = self.outcome() {
            return Err(failure_of(error));
        }
        // Acquire: the outcome is there. The exchange picks one taker.
        if self.cell.state.compare_exchange(READY, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(ALREADY_TAKEN);
        }
        // SAFETY: this thread won the exchange; readers see TAKEN and stay away, earlier ones are over by contract.
        match self.cell.outcome.with_mut(|place| unsafe { (*place).take() }) {
            Some(Ok(value)) => Ok(value),
            _ => Err(ALREADY_TAKEN),
        }
    }

    /// The error it failed with.
    pub fn error(&self) -> Option<&Error> {
        self.outcome()?.as_ref().err()
    }

    fn outcome(&self) -> Option<&std::result::Result<T, Error>> {
        match self.cell.state.load(Ordering::Acquire) {
            // SAFETY: written before the state was, and not changed since but by `take`, whose caller promised that
            // nobody uses what this returns.
            READY | FAILED => self.cell.outcome.with(|place| unsafe { (*place).as_ref() }),
            _ => None,
        }
    }
}

const ALREADY_TAKEN: Failure = Failure::new(Status::Busy, "the future's value has been taken already");

fn failure_of(error: &Error) -> Failure {
    Failure { status: error.status, message: error.text.to_string_lossy().into_owned().into() }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;

    #[test]
    fn loom_future_settle_against_wait() {
        loom::model(|| {
            let (promise, future) = channel::<u32>();
            let waiter = loom::thread::spawn(move || {
                assert_eq!(future.get(Deadline::Never), Ok(&7));
                // SAFETY: the reference above is gone.
                assert_eq!(unsafe { future.take(Deadline::Never) }, Ok(7));
            });
            assert!(promise.settle(Ok(7)).is_ok());
            waiter.join().unwrap();
        });
    }

    #[test]
    fn loom_future_is_settled_once() {
        loom::model(|| {
            let (promise, future) = channel::<u32>();
            let promise = Arc::new(promise);
            let other = {
                let promise = promise.clone();
                loom::thread::spawn(move || promise.settle(Ok(1)).is_ok())
            };
            let mine = promise.settle(Ok(2)).is_ok();
            let theirs = other.join().unwrap();
            assert!(mine != theirs);
            assert_eq!(future.get(Deadline::Now), Ok(&if mine { 2 } else { 1 }));
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_dropped_once_wherever_it_is() {
        struct Counted<'a>(&'a std::sync::atomic::AtomicU32);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let drops = std::sync::atomic::AtomicU32::new(0);
        let (promise, future) = channel();
        assert!(promise.settle(Ok(Counted(&drops))).is_ok());
        assert!(promise.settle(Ok(Counted(&drops))).is_err());
        assert_eq!(drops.load(Ordering::Relaxed), 1, "the refused value came back and was dropped");
        drop(promise);
        drop(future);
        assert_eq!(drops.load(Ordering::Relaxed), 2);

        let (promise, future) = channel();
        assert!(promise.settle(Ok(Counted(&drops))).is_ok());
        // SAFETY: no reference to the value exists.
        let taken = unsafe { future.take(Deadline::Now) };
        // SAFETY: as above.
        assert!(unsafe { future.take(Deadline::Now) }.is_err_and(|failure| failure.is(Status::Busy)));
        drop((promise, future));
        assert_eq!(drops.load(Ordering::Relaxed), 2);
        drop(taken);
        assert_eq!(drops.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_dropped_promise_breaks() {
        let (promise, future) = channel::<()>();
        assert!(future.wait(Deadline::Now).is_err_and(|failure| failure.is(Status::WouldBlock)));
        drop(promise);
        assert!(future.get(Deadline::Never).is_err_and(|failure| failure.is(Status::Broken)));
        assert_eq!(future.state(), State::Failed);
    }
}
