//! What is told of file descriptors.

use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;

use super::args::{callback, invalid, may_create};
use super::boundary::boundary;
use super::handle::Handle;
use super::types::{weft_drop_fn, weft_status, weft_watch};
use super::watch::{TakenBack, Watched};
use crate::panics;
use crate::time::reactor::{FdWatch, Interest, Ready, watch_and};

/// An event of a file descriptor: a read would not block, because there is something, or the end.
pub const WEFT_FD_READABLE: i32 = 1;
/// An event of a file descriptor: a write would not block.
pub const WEFT_FD_WRITABLE: i32 = 2;
/// An event of a file descriptor: the other end has gone; or, unless only WEFT_FD_WRITABLE was asked for, it will write
/// no more. Told whether asked for or not.
pub const WEFT_FD_HUNG_UP: i32 = 4;
/// An event of a file descriptor: an error is to be fetched, or nobody is left to read from the pipe. Told whether asked
/// for or not.
pub const WEFT_FD_FAILED: i32 = 8;

const EVENTS: i32 = WEFT_FD_READABLE | WEFT_FD_WRITABLE | WEFT_FD_HUNG_UP | WEFT_FD_FAILED;

/// Told of a file descriptor. `events` is a sum of WEFT_FD_ constants. Runs on a thread that timers and other watches
/// share: it is short and does not block.
pub type weft_fd_fn = Option<unsafe extern "C-unwind" fn(fd: c_int, events: i32, arg: *mut c_void)>;

/// A callback that is told of a descriptor.
struct Told {
    function: unsafe extern "C-unwind" fn(c_int, i32, *mut c_void),
    fd: c_int,
    arg: *mut c_void,
}

// SAFETY: whoever gives the callback promises that it may run on any thread.
unsafe impl Send for Told {}

impl Told {
    fn ready(self, ready: Ready) {
        let events = [
            (ready.readable, WEFT_FD_READABLE),
            (ready.writable, WEFT_FD_WRITABLE),
            (ready.hung_up, WEFT_FD_HUNG_UP),
            (ready.failed, WEFT_FD_FAILED),
        ];
        let events = events.iter().filter(|(is, _)| *is).map(|(_, event)| event).sum();
        // SAFETY: given for this call, which happens once.
        panics::contain("a callback of a file descriptor", || unsafe { (self.function)(self.fd, events, self.arg) });
    }
}

/// A callback that can be taken back.
pub(super) struct Watch {
    /// Not dropped with the handle, which the callback outlives.
    watch: ManuallyDrop<FdWatch>,
    drop: weft_drop_fn,
    ctx: *mut c_void,
    arg: *mut c_void,
}

impl Watch {
    pub(super) fn off(&self) -> Option<TakenBack> {
        self.watch.take_back().then_some(TakenBack { drop: self.drop, ctx: self.ctx, arg: self.arg })
    }
}

/// Calls fn(fd, events, arg) once when the descriptor is ready for one of `events` (a sum of WEFT_FD_ constants; 0: none),
/// has been hung up or has failed; at once if it is already. The callback can register the next one. So a program's
/// sockets, pipes, pidfds and the like are waited for by the one thread that serves its timers, too; it is started by
/// the first use, and sleeps until something is ready or due. Callbacks run on that thread, one after the other, under
/// no lock of Weft's: a callback is short and does not block, since timers and other callbacks wait behind it. Longer
/// work it spawns.
///
/// The watch has a duplicate of the descriptor, so the same one can be watched several times, and closing it, or using
/// its number for something else, takes nothing back and confuses nothing. But what it leads to (the connection, the end
/// of a pipe) stays open until the callback is called or taken back: take it back before closing. A forked child
/// inherits the duplicates and keeps them until it executes another program; it is told nothing.
///
/// *out is for weft_watch_off; it is written before the callback is called. NULL out: none. drop(ctx, arg) is called
/// instead of fn by weft_watch_off; may be NULL. At the exit of the process what is still awaited is neither called nor
/// dropped, and a callback that runs is waited for, a second at most. On failure nothing is called. WEFT_INVALID: fd is
/// not open, or an event is none. WEFT_UNSUPPORTED: what fd leads to is always ready (a regular file, a directory).
/// WEFT_OS: no descriptors are left, or that thread cannot be started. WEFT_SHUTDOWN: the process is exiting. Never
/// blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_fd_watch(
    fd: c_int,
    events: i32,
    r#fn: weft_fd_fn,
    arg: *mut c_void,
    drop: weft_drop_fn,
    ctx: *mut c_void,
    out: *mut *mut weft_watch,
) -> weft_status {
    boundary(|| {
        let function = callback(r#fn, "fn")?;
        if events & !EVENTS != 0 {
            return Err(invalid(format!("events: {events:#x} has bits that are no WEFT_FD_ constant")));
        }
        may_create()?;
        let interest = Interest { readable: events & WEFT_FD_READABLE != 0, writable: events & WEFT_FD_WRITABLE != 0 };
        let told = Told { function, fd, arg };
        watch_and(fd, interest, Box::new(move |ready| told.ready(ready)), |watch| {
            if out.is_null() {
                return watch.leave();
            }
            let watch = Watch { watch: ManuallyDrop::new(watch), drop, ctx, arg };
            // SAFETY: writable by contract.
            unsafe { *out = Handle::create(Watched::Descriptor(watch)) };
        })
    })
}
