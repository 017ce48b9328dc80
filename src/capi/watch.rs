//! What is told of settled futures: callbacks, channels, file descriptors.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use super::args::{callback, may_create, place};
use super::boundary::boundary;
use super::future::{Cell, Value, get_future};
use super::handle::{Handle, Noun};
use super::types::{weft_channel, weft_drop_fn, weft_future, weft_status, weft_watch};
use super::{channel, descriptor};
use crate::breaker::listeners::Listeners;
use crate::error::{Failure, Status};
use crate::future::{Callback, Future, OnSettled};
use crate::panics;
use crate::scheduler::Readied;

/// Told of a settled future. Runs on whatever thread settles it: it does not block.
pub type weft_settled_fn = Option<unsafe extern "C-unwind" fn(future: *mut weft_future, arg: *mut c_void)>;

/// A callback that is told, and what to do if it is not.
pub(super) struct Told {
    function: unsafe extern "C-unwind" fn(*mut weft_future, *mut c_void),
    arg: *mut c_void,
    drop: weft_drop_fn,
    ctx: *mut c_void,
    /// For the callback.
    future: Future<Value>,
}

// SAFETY: whoever gives the callback promises that it may run on any thread.
unsafe impl Send for Told {}

impl OnSettled<Value> for Told {
    fn settled(self, _: &Cell) {
        let handle = self.future.into_raw().as_ptr().cast::<weft_future>();
        // SAFETY: given for this call, which happens once.
        panics::contain("a callback of a future", || unsafe { (self.function)(handle, self.arg) });
        // SAFETY: the reference that was given up above.
        drop(unsafe { Cell::of_future(std::ptr::NonNull::new_unchecked(handle.cast())).future(false) });
    }
}

impl Told {
    /// It has been taken back.
    fn dropped(self) {
        if let Some(drop) = self.drop {
            // SAFETY: given for this call, which happens instead of the callback.
            panics::contain("the drop callback of a watch", || unsafe { drop(self.ctx, self.arg) });
        }
    }
}

/// A callback that can be taken back.
pub(super) enum Watched {
    Future(Arc<Callback<Value, Told>>),
    Descriptor(Readied<descriptor::Told>),
    /// By its number.
    Breaker(Arc<Listeners>, u64),
}

impl Watched {
    /// True: it will not run, and has been dropped.
    fn off(&self) -> bool {
        match self {
            Watched::Future(callback) => callback.off().map(|told| told.dropped()).is_some(),
            Watched::Descriptor(watch) => watch.take_back(),
            // A listener's drop is its own end.
            Watched::Breaker(listeners, id) => listeners.remove(*id),
        }
    }
}

impl Noun for Watched {
    type Opaque = weft_watch;
    const TAG: u32 = u32::from_le_bytes(*b"Wwat");
    const NAME: &'static str = "watch";
}

/// Calls fn(future, arg) once when the future is settled, whatever the outcome: on the thread that settles it, or here
/// and now if it is settled already. On each thread these callbacks come one after the other, in the order in which
/// their futures were settled: what a callback settles or registers is told after it. No lock of Weft's is held; it
/// must not block, since others wait behind it. The future has a reference until the callback has returned. *out is for
/// weft_watch_off; it is written before the callback is called. NULL out: none. drop(ctx, arg) is called instead of fn
/// by weft_watch_off; may be NULL. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_on_settled(
    future: *mut weft_future,
    r#fn: weft_settled_fn,
    arg: *mut c_void,
    drop: weft_drop_fn,
    ctx: *mut c_void,
    out: *mut *mut weft_watch,
) -> weft_status {
    boundary(|| {
        let function = callback(r#fn, "fn")?;
        // SAFETY: a handle by contract, so the caller has a reference.
        let (cell, future) = unsafe {
            let cell = get_future(future, "future")?;
            (cell, cell.future(true))
        };
        let watch = Callback::new(cell, Told { function, arg, drop, ctx, future });
        if !out.is_null() {
            // SAFETY: writable by contract.
            unsafe { *out = Handle::create(Watched::Future(watch.clone())) };
        }
        watch.arm(cell);
        Ok(())
    })
}

/// Takes a callback back, of a future, of a file descriptor or of a breaker. WEFT_OK: it will not run (again), and its
/// drop has. WEFT_BUSY: it runs or has run, or was taken back already; a breaker's that runs will not run again, and its
/// drop follows. Never blocks; any thread, also from within the callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_watch_off(watch: *mut weft_watch) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        match unsafe { Handle::<Watched>::get(watch, "watch")? }.off() {
            true => Ok(()),
            false => Err(Failure::new(Status::Busy, "the callback runs, has run, or was taken back")),
        }
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_watch_retain(watch: *mut weft_watch) -> *mut weft_watch {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Watched>::retain(watch) }
}

/// One reference less. The callback stays. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_watch_release(watch: *mut weft_watch) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Watched>::release(watch) }
}

/// Sends `tag`, a uint64_t, into the channel when the future is settled, whatever the outcome; at once if it is
/// already. So one thread, or one file descriptor, waits for any number of futures. The channel is unbounded, its
/// elements have 8 bytes, and any thread may send (no single_producer), else WEFT_INVALID: nobody who settles a future
/// ever waits. Once it is closed the tag is dropped. It has a reference until then. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_notify(
    future: *mut weft_future,
    channel: *mut weft_channel,
    tag: u64,
) -> weft_status {
    boundary(|| {
        // SAFETY: handles by contract.
        let (future, sender) = unsafe { (get_future(future, "future")?, channel::Sink::<u64>::new(channel)?) };
        Callback::new(future, move || sender.send(tag)).arm(future);
        Ok(())
    })
}

/// A file descriptor that is readable once the future is settled, for event loops. It is the future's: only to be
/// waited for, not read, and not closed; it is closed with the future's end. The same one each time. WEFT_OS: there is
/// none to be had. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_fd(future: *mut weft_future, fd: *mut c_int) -> weft_status {
    boundary(|| {
        let place = place(fd, "fd")?;
        may_create()?;
        // SAFETY: a handle by contract; writable by contract.
        unsafe { *place = get_future(future, "future")?.fd()? };
        Ok(())
    })
}
