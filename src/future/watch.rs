//! Calls that futures make when they are settled.
//!
//! A [`Watch`] is a wait whose waker puts a call off to the thread's [line](super::line): no lock is held when it is
//! made, and callbacks that settle other futures do not recurse. A [`Callback`] is a watch that stands alone;
//! combinators have arrays of them.

use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::cell::{Cell, Hold};
use super::line::{self, Job};
use crate::sync::atomic::UnsafeCell;
use crate::sync::wait::{WaitNode, Waiter};

/// A wait that ends in a call.
#[repr(C)]
pub struct Watch {
    job: Job,
    /// Both are set up by `arm`, in place.
    waiter: UnsafeCell<Waiter>,
    node: UnsafeCell<WaitNode>,
}

// SAFETY: the wait is set up before others know of it; from then on the waiter's claim word says whose it is, and the
// list's lock guards the node.
unsafe impl Send for Watch {}
// SAFETY: as above.
unsafe impl Sync for Watch {}

/// Whose code a call runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The user's, perhaps.
    User,
    /// This room's alone.
    Ours,
}

/// The one who fires a watch holds no reference to it but this: the watch stays until its call.
static OURS: RawWakerVTable = RawWakerVTable::new(
    |_| panic!("a watch has one waker"),
    // SAFETY: `data` is a live watch that is in no line.
    |data| unsafe { line::call(data.cast()) },
    |_| panic!("a watch is woken once"),
    |_| {},
);
static USERS: RawWakerVTable = RawWakerVTable::new(
    |_| panic!("a watch has one waker"),
    // SAFETY: as above.
    |data| unsafe { line::call_user(data.cast()) },
    |_| panic!("a watch is woken once"),
    |_| {},
);

impl Watch {
    /// A watch of nothing. `run` is called with its address.
    pub fn new(run: unsafe fn(*const Job)) -> Self {
        let node = WaitNode::new(&Waiter::new(), ptr::null_mut());
        Watch { job: Job::new(run), waiter: UnsafeCell::new(Waiter::new()), node: UnsafeCell::new(node) }
    }

    /// Has the call made once the future is settled. False: it is settled; no call will be made.
    ///
    /// # Safety
    /// Nobody else uses the watch yet. It stays where it is until the call, or until `off` has said that there will be
    /// none; and until then somebody holds the future.
    pub unsafe fn arm<T>(this: *const Watch, future: &Cell<T>, whose: Whose) -> bool {
        // SAFETY: nobody else uses it, and it stays. The vtable's functions fit.
        let armed = unsafe {
            let vtable = if whose == Whose::User { &USERS } else { &OURS };
            let waker = Waker::from_raw(RawWaker::new(this.cast(), vtable));
            (*this).waiter.with_mut(|place| *place = Waiter::with_waker(waker));
            let node = WaitNode::new(waiter(this), ptr::null_mut());
            future.watch((*this).node.with_mut(|place| {
                *place = node;
                place
            }))
        };
        if !armed {
            // For `off`.
            // SAFETY: it stays.
            unsafe { waiter(this) }.give_up();
        }
        armed
    }

    /// There is to be no call; false: it is too late, or it was off already.
    ///
    /// # Safety
    /// It was armed, for this future or not at all.
    pub unsafe fn off<T>(this: *const Watch, future: &Cell<T>) -> bool {
        // SAFETY: promised by the caller.
        let gave_up = unsafe { waiter(this) }.give_up();
        if gave_up {
            // SAFETY: promised by the caller; nobody fires it any more.
            unsafe { Self::unlink(this, future) };
        }
        gave_up
    }

    /// # Safety
    /// It has been given up, and was armed for this future.
    unsafe fn unlink<T>(this: *const Watch, future: &Cell<T>) {
        // SAFETY: promised by the caller.
        unsafe { future.let_go((*this).node.with_mut(|node| node)) };
    }
}

/// # Safety
/// The watch is live for as long as the result is used.
unsafe fn waiter<'a>(watch: *const Watch) -> &'a Waiter {
    // SAFETY: promised by the caller; set up, and shared from then on.
    unsafe { (*watch).waiter.with(|waiter| &*waiter) }
}

/// What is told of a settled future. Does not unwind.
pub trait OnSettled<T>: Send {
    /// The future is settled.
    fn settled(self, future: &Cell<T>);
}

impl<T, F: FnOnce() + Send> OnSettled<T> for F {
    fn settled(self, _: &Cell<T>) {
        self();
    }
}

/// A call that one future makes.
#[repr(C)]
pub struct Callback<T, F> {
    watch: Watch,
    /// The future, and who is told: until the call, and whose it is then, or whoever has taken the call back.
    told: UnsafeCell<Option<(Hold<T>, F)>>,
}

// SAFETY: `told` goes to one thread, see above; a Hold is the future's memory.
unsafe impl<T: Send + Sync, F: Send> Send for Callback<T, F> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync, F: Send> Sync for Callback<T, F> {}

impl<T, F: OnSettled<T>> Callback<T, F> {
    /// A call that is made when `arm` has been called and the future is settled.
    pub fn new(future: &Cell<T>, told: F) -> Arc<Self> {
        Arc::new(Callback { watch: Watch::new(Self::run), told: UnsafeCell::new(Some((future.hold(), told))) })
    }

    /// Has the call made: here and now, or on the thread that settles the future; in either case after those that this
    /// thread has put off already. Once, with the future that it was made for.
    pub fn arm(self: &Arc<Self>, future: &Cell<T>) {
        let this = ManuallyDrop::new(self.clone());
        let watch = &raw const this.watch;
        // SAFETY: not armed before, so nobody else uses it; it holds the future, and the reference that was forgotten keeps it
        // in place until `run` or `off` takes it back.
        unsafe {
            if !Watch::arm(watch, future, Whose::User) {
                line::call_user(watch.cast());
            }
        }
    }

    /// Takes the call back; None: it is made, or has been made or taken back.
    pub fn off(self: &Arc<Self>) -> Option<F> {
        // SAFETY: armed, and the one who gave the wait up has what is told. The future is not looked at unless that
        // succeeds: it would be another's.
        unsafe {
            if !waiter(&raw const self.watch).give_up() {
                return None;
            }
            let (hold, told) = self.told.with_mut(|told| (*told).take())?;
            Watch::unlink(&raw const self.watch, &hold);
            Arc::decrement_strong_count(Arc::as_ptr(self));
            Some(told)
        }
    }

    unsafe fn run(job: *const Job) {
        // SAFETY: the reference that `arm` forgot; fired, so `told` is ours.
        let this = unsafe { Arc::from_raw(job.cast::<Self>()) };
        // SAFETY: as above.
        if let Some((hold, told)) = this.told.with_mut(|told| unsafe { (*told).take() }) {
            told.settled(&hold);
        }
    }
}
