//! The cell that a promise and its future share.
//!
//! One allocation holds everything: the counted ends (C programs have their addresses as `weft_promise` and `weft_future`), the
//! queue of those who wait, the outcome, and what the future came from. Each end that has a reference, and each call that is
//! still to be made, holds the memory.

use std::mem::{ManuallyDrop, offset_of};
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use super::line::{self, Job};
use super::origin::Origin;
use crate::error::{Error, Failure, Result, Status};
use crate::memory::Header;
#[cfg(not(weft_loom))]
use crate::platform::eventfd::EventFd;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, UnsafeCell};
use crate::sync::select::{Event, Verdict};
use crate::sync::wait::{Ended, WaitList, WaitNode, Waiter};
use crate::sync::waits::{self, Awaited};
use crate::sync::{Deadline, Lock};

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
    /// Settled with the error that it was cancelled.
    Cancelled = 3,
}

/// Tells promises from other handles.
pub const PROMISE_TAG: u32 = u32::from_le_bytes(*b"Wpro");
/// Tells futures from other handles.
pub const FUTURE_TAG: u32 = u32::from_le_bytes(*b"Wfut");

/// Nobody has begun to settle.
const OPEN: u32 = 0;
/// Somebody is writing the outcome.
const SETTLING: u32 = 1;
const READY: u32 = 2;
const FAILED: u32 = 3;
/// Ready, and the value has been moved out.
const TAKEN: u32 = 4;
/// Failed with [`Status::Cancelled`].
const CANCELLED: u32 = 5;

/// The outcome of every wait for a future.
const SETTLED: u32 = 0;

/// An end of the cell. C programs have a pointer to it.
#[repr(C)]
struct End {
    header: core::cell::UnsafeCell<Header>,
    references: AtomicUsize,
}

impl End {
    fn new(tag: u32) -> Self {
        End { header: Header::new(tag).into(), references: AtomicUsize::new(1) }
    }

    fn retain(&self) {
        // Relaxed: a reference comes from a reference.
        self.references.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether that was the last one.
    fn release(&self) -> bool {
        // AcqRel: every holder's use comes before what the last one does.
        let last = self.references.fetch_sub(1, Ordering::AcqRel) == 1;
        if last {
            // A later use of the dangling pointer is likelier to be noticed.
            // SAFETY: no holder is left who could read it.
            unsafe { (*self.header.get()).tag = 0 };
        }
        last
    }
}

/// What a settled cell holds; the state tells which.
union Outcome<T> {
    nothing: (),
    value: ManuallyDrop<T>,
    error: ManuallyDrop<Arc<Error>>,
}

/// What promise and future share.
#[repr(C)]
pub struct Cell<T> {
    // First: its place becomes a job when the cell is freed.
    promise: End,
    future: End,
    state: AtomicU32,
    /// What keeps the memory.
    holds: AtomicU32,
    /// The descriptor that is readable once this is settled, written under the lock of `waits`; NO_FD: none was asked for.
    fd: AtomicU32,
    /// Whether somebody has asked the producer to stop.
    cancelled: AtomicBool,
    waits: Lock<WaitList>,
    outcome: UnsafeCell<Outcome<T>>,
    /// Set before there is a second reference to the future.
    origin: UnsafeCell<Option<Arc<dyn Origin<T>>>>,
}

const NO_FD: u32 = u32::MAX;

// SAFETY: the outcome is written by the one thread that moved the state from OPEN to SETTLING, and read or taken only
// after the state says that it is there; `&T` and `T` reach other threads, hence both bounds.
unsafe impl<T: Send + Sync> Sync for Cell<T> {}

// SAFETY: the list is behind the cell's lock.
unsafe impl<T> Event for &Cell<T> {
    fn attempt(&self) -> Option<Verdict> {
        (self.state() != State::Pending).then_some(Verdict::Done)
    }

    unsafe fn watch(&self, node: *mut WaitNode) -> bool {
        if let Some(origin) = self.origin() {
            origin.clone().hurry();
        }
        // SAFETY: promised by the caller.
        unsafe { !Cell::watch(self, node) }
    }

    unsafe fn let_go(&self, node: *mut WaitNode) {
        // SAFETY: promised by the caller.
        unsafe { Cell::let_go(self, node) }
    }

    fn verdict(&self, _outcome: u32) -> Option<Verdict> {
        Some(Verdict::Done)
    }
}

/// The end that settles. When the last is dropped unsettled, the future fails with `Broken`.
pub struct Promise<T>(NonNull<Cell<T>>);

/// The end that waits. Clones are the same future.
pub struct Future<T>(NonNull<Cell<T>>);

/// The memory of a cell, whatever becomes of its ends.
pub struct Hold<T>(NonNull<Cell<T>>);

// SAFETY: counted references to a cell, see there.
unsafe impl<T: Send + Sync> Send for Promise<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Promise<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for Future<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Future<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for Hold<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Hold<T> {}

/// A promise and its future.
pub fn channel<T>() -> (Promise<T>, Future<T>) {
    let cell = NonNull::from(Box::leak(Box::new(Cell {
        promise: End::new(PROMISE_TAG),
        future: End::new(FUTURE_TAG),
        state: AtomicU32::new(OPEN),
        holds: AtomicU32::new(2),
        fd: AtomicU32::new(NO_FD),
        cancelled: AtomicBool::new(false),
        waits: Lock::default(),
        outcome: UnsafeCell::new(Outcome { nothing: () }),
        origin: UnsafeCell::new(None),
    })));
    (Promise(cell), Future(cell))
}

/// A future that is settled already.
pub fn settled<T>(outcome: std::result::Result<T, Error>) -> Future<T> {
    let (promise, future) = channel();
    let _ = promise.settle(outcome);
    future
}

macro_rules! derefs {
    ($($name:ident),*) => {
        $(impl<T> Deref for $name<T> {
            type Target = Cell<T>;
            fn deref(&self) -> &Cell<T> {
                // SAFETY: live as long as somebody holds it.
                unsafe { self.0.as_ref() }
            }
        })*
    };
}
derefs!(Promise, Future, Hold);

impl<T> Promise<T> {
    /// The end's address, as [`Cell::of_promise`] takes it; gives up this reference.
    pub fn into_raw(self) -> NonNull<()> {
        let cell = ManuallyDrop::new(self).0;
        // SAFETY: a part of a live cell.
        unsafe { NonNull::new_unchecked(&raw mut (*cell.as_ptr()).promise).cast() }
    }
}

impl<T> Future<T> {
    /// The end's address, as [`Cell::of_future`] takes it; gives up this reference.
    pub fn into_raw(self) -> NonNull<()> {
        let cell = ManuallyDrop::new(self).0;
        // SAFETY: a part of a live cell.
        unsafe { NonNull::new_unchecked(&raw mut (*cell.as_ptr()).future).cast() }
    }

    /// The same future, with what it comes from. There is no other reference to it.
    pub fn with_origin(self, origin: Arc<dyn Origin<T>>) -> Self {
        assert!(self.is_sole());
        // SAFETY: others get at the origin only through a future, and this is the only one.
        self.origin.with_mut(|place| unsafe { *place = Some(origin) });
        self
    }
}

impl<T> Clone for Future<T> {
    fn clone(&self) -> Self {
        self.future.retain();
        Future(self.0)
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if self.promise.release() {
            if !self.is_settled() {
                let text = "the promise was released without having been settled";
                let _ = self.settle(Err(Error::new(Status::Broken as i32, text, "promise")));
            }
            drop(Hold(self.0));
        }
    }
}

impl<T> Drop for Future<T> {
    fn drop(&mut self) {
        if self.future.release() {
            // SAFETY: nobody has the end any more, so its place is free. Its hold keeps the cell.
            unsafe { put_off((&raw mut (*self.0.as_ptr()).future).cast(), released::<T>) };
        }
    }
}

impl<T> Drop for Hold<T> {
    fn drop(&mut self) {
        // AcqRel: every holder's use comes before the end.
        if self.holds.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: nobody holds the cell any more. Its first end is over, so the place is free.
            unsafe { put_off(self.0.as_ptr().cast(), free::<T>) };
        }
    }
}

/// Has a part of the end of a cell done, not further in than where the end of another is done.
///
/// # Safety
/// `place` is that of an [`End`] that nobody uses any more; what `run` asks for.
unsafe fn put_off(place: *mut Job, run: unsafe fn(*const Job)) {
    const { assert!(size_of::<Job>() <= size_of::<End>() && align_of::<Job>() <= align_of::<End>()) };
    // SAFETY: promised by the caller.
    unsafe {
        place.write(Job::new(run));
        line::end(place);
    }
}

/// # Safety
/// `job` is in place of the future's end, whose hold goes with it.
unsafe fn released<T>(job: *const Job) {
    // SAFETY: promised by the caller.
    let hold =
        Hold(unsafe { NonNull::new_unchecked(job.cast_mut()).byte_sub(offset_of!(Cell<T>, future)).cast::<Cell<T>>() });
    let Some(origin) = hold.origin() else { return };
    origin.released();
    if hold.state() != State::Pending {
        origin.let_go();
    } else if hold.waits.lock().is_empty() {
        // Who would wait from here on would need a reference.
        origin.clone().forsake();
    }
}

/// # Safety
/// `job` was a cell that nobody holds.
unsafe fn free<T>(job: *const Job) {
    // SAFETY: promised by the caller; made by Box.
    drop(unsafe { Box::from_raw(job.cast_mut().cast::<Cell<T>>()) });
}

impl<T> Drop for Cell<T> {
    fn drop(&mut self) {
        let state = self.state.load(Ordering::Relaxed);
        // SAFETY: the state says what is there, and nobody else is.
        self.outcome.with_mut(|outcome| unsafe {
            match state {
                READY => ManuallyDrop::drop(&mut (*outcome).value),
                FAILED | CANCELLED => ManuallyDrop::drop(&mut (*outcome).error),
                _ => {}
            }
        });
        #[cfg(not(weft_loom))]
        drop(self.take_fd());
    }
}

impl<T> Cell<T> {
    /// The cell around a future's end.
    ///
    /// # Safety
    /// `end` came from [`Future::into_raw`], and has a reference as long as the result is used.
    pub unsafe fn of_future<'a>(end: NonNull<()>) -> &'a Cell<T> {
        // SAFETY: promised by the caller.
        unsafe { end.byte_sub(offset_of!(Self, future)).cast().as_ref() }
    }

    /// The cell around a promise's end.
    ///
    /// # Safety
    /// `end` came from [`Promise::into_raw`], and has a reference as long as the result is used.
    pub unsafe fn of_promise<'a>(end: NonNull<()>) -> &'a Cell<T> {
        // SAFETY: promised by the caller.
        unsafe { end.byte_sub(offset_of!(Self, promise)).cast().as_ref() }
    }

    /// One more reference to the promise, or one that is given back.
    ///
    /// # Safety
    /// The caller has a reference to the promise, which is given up unless `more`.
    pub unsafe fn promise(&self, more: bool) -> Promise<T> {
        if more {
            self.promise.retain();
        }
        Promise(NonNull::from(self))
    }

    /// One more reference to the future, or one that is given back.
    ///
    /// # Safety
    /// The caller has a reference to the future, which is given up unless `more`.
    pub unsafe fn future(&self, more: bool) -> Future<T> {
        if more {
            self.future.retain();
        }
        Future(NonNull::from(self))
    }

    /// Keeps the memory.
    pub fn hold(&self) -> Hold<T> {
        self.holds.fetch_add(1, Ordering::Relaxed);
        Hold(NonNull::from(self))
    }

    /// Whether there is one reference to the future.
    pub fn is_sole(&self) -> bool {
        self.has_references(1)
    }

    /// Whether there are so many references to the future.
    pub fn has_references(&self, n: usize) -> bool {
        // Acquire: what former holders did comes before.
        self.future.references.load(Ordering::Acquire) == n
    }

    /// Settles the future; gives the outcome back if that has been done already. Calls what is to be told.
    pub fn settle(
        &self,
        outcome: std::result::Result<T, Error>,
    ) -> std::result::Result<(), std::result::Result<T, Error>> {
        // Relaxed: the exchange only picks the one who writes; the outcome is published below.
        if self.state.compare_exchange(OPEN, SETTLING, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Err(outcome);
        }
        let state = match &outcome {
            Ok(_) => READY,
            Err(error) if error.status == Status::Cancelled as i32 => CANCELLED,
            Err(_) => FAILED,
        };
        let outcome = match outcome {
            Ok(value) => Outcome { value: ManuallyDrop::new(value) },
            Err(error) => Outcome { error: ManuallyDrop::new(Arc::new(error)) },
        };
        // SAFETY: this thread won the exchange, and nobody reads before the store below.
        self.outcome.with_mut(|place| unsafe { *place = outcome });
        let waits = {
            let mut waits = self.waits.lock();
            // Release pairs with the Acquire in `state`.
            self.state.store(state, Ordering::Release);
            #[cfg(not(weft_loom))]
            if let Some(fd) = self.eventfd() {
                // Before anybody is told, who might give up what keeps the descriptor.
                fd.signal();
            }
            waits.claim_all()
        };
        // All threads go on before the first callback is called.
        line::calling(|| waits.finish(SETTLED));
        Ok(())
    }

    /// Whether somebody has settled it, or is about to have.
    pub fn is_settled(&self) -> bool {
        self.state.load(Ordering::Relaxed) != OPEN
    }

    /// How far it has got.
    pub fn state(&self) -> State {
        // Acquire pairs with the Release in `settle`: who sees it settled sees the outcome.
        match self.state.load(Ordering::Acquire) {
            OPEN | SETTLING => State::Pending,
            FAILED => State::Failed,
            CANCELLED => State::Cancelled,
            _ => State::Ready,
        }
    }

    /// Queues a wait; false if it is settled, and nobody will be told.
    ///
    /// # Safety
    /// As for [`WaitList::push`]; [`Cell::let_go`] unlinks the node.
    pub unsafe fn watch(&self, node: *mut WaitNode) -> bool {
        let mut waits = self.waits.lock();
        if self.state() != State::Pending {
            return false;
        }
        // SAFETY: promised by the caller.
        unsafe { waits.push(node) };
        true
    }

    /// Takes a wait out of the queue, if it is still in.
    ///
    /// # Safety
    /// As for [`WaitList::unlink`].
    pub unsafe fn let_go(&self, node: *mut WaitNode) {
        // SAFETY: promised by the caller.
        unsafe { self.waits.lock().unlink(node) }
    }

    /// Waits until it is settled, whatever the outcome.
    pub fn wait(&self, deadline: Deadline) -> Result<()> {
        if self.state() != State::Pending {
            return Ok(());
        }
        if deadline == Deadline::Now {
            return Err(PENDING);
        }
        let runner = self.origin().and_then(|origin| origin.runner());
        #[cfg(not(weft_loom))]
        if runner.is_some_and(|runner| runner.is_here()) {
            return Err(RUNS_HERE);
        }
        if let Some(origin) = self.origin() {
            if deadline == Deadline::Never {
                origin.begin_here();
            }
            origin.clone().hurry();
        }
        let waiter = Waiter::new();
        let mut node = WaitNode::new(&waiter, std::ptr::null_mut());
        let node = &raw mut node;
        // SAFETY: this frame stays until the wait was fired, or until the node is unlinked below.
        if !unsafe { self.watch(node) } {
            return Ok(());
        }
        let awaited = runner.map(|runner| runner as &dyn Awaited);
        let ended = waits::awaiting(awaited, deadline, || waiter.wait(deadline));
        if let Ended::Fired(_) = ended {
            return Ok(());
        }
        // SAFETY: the node was pushed to this list above.
        unsafe { self.let_go(node) };
        match ended {
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

    /// Waits for the value and moves it out, unless there are other references to the future.
    ///
    /// # Safety
    /// No reference that `get` returned is used any more.
    pub unsafe fn take(&self, deadline: Deadline) -> Result<T> {
        let check_sole = || match self.is_sole() {
            true => Ok(()),
            false => Err(Failure::new(Status::Busy, "there are other references to the future")),
        };
        check_sole()?;
        self.wait(deadline)?;
        // The wait may have been long.
        check_sole()?;
        if let Some(Err(error)) = self.outcome() {
            return Err(failure_of(error));
        }
        if self.origin().is_some_and(|origin| origin.lends()) {
            return Err(Failure::new(Status::Busy, "the future's value belongs to the one that it was made from"));
        }
        // Acquire: the outcome is there. The exchange picks one taker.
        if self.state.compare_exchange(READY, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(ALREADY_TAKEN);
        }
        // SAFETY: this thread won the exchange; readers see TAKEN and stay away, earlier ones are over by contract.
        Ok(self.outcome.with_mut(|place| unsafe { ManuallyDrop::take(&mut (*place).value) }))
    }

    /// The error it failed with.
    pub fn error(&self) -> Option<&Arc<Error>> {
        self.outcome()?.err()
    }

    /// The outcome, if it is there and has not been taken.
    pub fn outcome(&self) -> Option<std::result::Result<&T, &Arc<Error>>> {
        match self.state.load(Ordering::Acquire) {
            // SAFETY: written before the state was, and not changed since but by `take`, whose caller promised that
            // nobody uses what this returns.
            READY => Some(Ok(self.outcome.with(|place| unsafe { &*(*place).value }))),
            // SAFETY: as above.
            FAILED | CANCELLED => Some(Err(self.outcome.with(|place| unsafe { &*(*place).error }))),
            _ => None,
        }
    }

    /// What the future came from.
    pub fn origin(&self) -> Option<&Arc<dyn Origin<T>>> {
        // SAFETY: set before there was a second reference to the future.
        self.origin.with(|origin| unsafe { (*origin).as_ref() })
    }

    /// Asks whoever is to settle it to stop.
    pub fn cancel(&self) {
        let mut more = Vec::new();
        self.ask_to_stop(&mut more);
        // A loop: futures may be made of others in chains of any length.
        while let Some(future) = more.pop() {
            future.ask_to_stop(&mut more);
        }
    }

    fn ask_to_stop(&self, more: &mut Vec<Future<T>>) {
        if self.is_settled() || self.cancelled.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Some(origin) = self.origin() {
            origin.clone().cancel(more);
        }
    }

    /// Whether somebody has asked for that.
    pub fn is_cancelled(&self) -> bool {
        // Relaxed: a request, which carries nothing.
        self.cancelled.load(Ordering::Relaxed)
    }
}

#[cfg(not(weft_loom))]
impl<T> Cell<T> {
    /// A descriptor that is readable once this is settled. It is the cell's.
    pub fn fd(&self) -> Result<i32> {
        let waits = self.waits.lock();
        if let Some(fd) = self.eventfd() {
            return Ok(fd.number());
        }
        let fd = EventFd::new().map_err(|error| Failure::with(Status::Os, format!("no eventfd: {error}")))?;
        if self.state() != State::Pending {
            fd.signal();
        }
        let number = fd.number();
        // Relaxed: the lock guards it.
        self.fd.store(number as u32, Ordering::Relaxed);
        std::mem::forget(fd);
        drop(waits);
        Ok(number)
    }

    fn eventfd(&self) -> Option<ManuallyDrop<EventFd>> {
        match self.fd.load(Ordering::Relaxed) {
            NO_FD => None,
            // SAFETY: it is the cell's, which lives at least as long as this borrow.
            number => Some(ManuallyDrop::new(unsafe { EventFd::from_raw(number as i32) })),
        }
    }

    fn take_fd(&mut self) -> Option<EventFd> {
        self.eventfd().map(ManuallyDrop::into_inner)
    }
}

const PENDING: Failure = Failure::new(Status::WouldBlock, "the future is pending");
#[cfg(not(weft_loom))]
const RUNS_HERE: Failure =
    Failure::new(Status::Deadlock, "the future is that of the task which waits, or of one that waits for it");
const ALREADY_TAKEN: Failure = Failure::new(Status::Busy, "the future's value has been taken already");

fn failure_of(error: &Error) -> Failure {
    Failure { status: error.status, message: error.text.to_string_lossy().into_owned().into() }
}

#[cfg(all(test, weft_loom))]
mod models;
#[cfg(all(test, not(weft_loom)))]
mod tests;
