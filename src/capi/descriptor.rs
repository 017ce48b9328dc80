//! What is told of file descriptors.

use std::ffi::{c_int, c_void};

use super::args::{self, callback, invalid};
use super::boundary::boundary;
use super::handle::Handle;
use super::runtime::as_opaque;
use super::task::Function;
use super::types::{weft_drop_fn, weft_runtime, weft_status, weft_watch, weft_worker};
use super::watch::Watched;
use crate::panics;
use crate::scheduler::{OnReady, Worker, frame};
use crate::sync::cancel::Token;
use crate::time::reactor::{Interest, Ready};

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

/// Told of a file descriptor, on a worker. `events` is a sum of WEFT_FD_ constants.
pub type weft_fd_fn =
    Option<unsafe extern "C-unwind" fn(worker: *mut weft_worker, fd: c_int, events: i32, arg: *mut c_void)>;

/// A callback that is told of a descriptor.
pub(super) struct Told {
    function: unsafe extern "C-unwind" fn(*mut weft_worker, c_int, i32, *mut c_void),
    fd: c_int,
    arg: *mut c_void,
    drop: weft_drop_fn,
    ctx: *mut c_void,
}

// SAFETY: whoever gives the callback promises that it and its drop may run on any worker.
unsafe impl Send for Told {}
// SAFETY: as above; one of them is called, once.
unsafe impl Sync for Told {}

impl OnReady for Told {
    fn ready(&self, worker: &Worker, token: Option<&Token>, ready: Ready) {
        let events = [
            (ready.readable, WEFT_FD_READABLE),
            (ready.writable, WEFT_FD_WRITABLE),
            (ready.hung_up, WEFT_FD_HUNG_UP),
            (ready.failed, WEFT_FD_FAILED),
        ];
        let events = events.iter().filter(|(is, _)| *is).map(|(_, event)| event).sum();
        let title = Function { named: false, address: self.function as *const c_void };
        worker.within(worker.task_context(None, token.cloned()), || {
            // SAFETY: given for this call, which happens once. A panic has been logged; nobody else is interested.
            let _ = worker.protect(&title, || unsafe { (self.function)(as_opaque(worker), self.fd, events, self.arg) });
        });
    }

    fn dropped(&self) {
        if let Some(drop) = self.drop {
            // SAFETY: given for this call, which happens once, instead of the callback.
            panics::contain("the drop callback of a watch", || unsafe { drop(self.ctx, self.arg) });
        }
    }
}

/// Has fn(worker, fd, events, arg) run once, on a worker of the runtime, when the descriptor is ready for one of `events`
/// (a sum of WEFT_FD_ constants; 0: none), has been hung up or has failed: as a task that is queued then, at once if it
/// is already. `events` are those of that moment: what other threads have read meanwhile is not there any more. The
/// callback can register the next one. So a program's sockets, pipes, pidfds and the like are waited for by the one
/// thread that serves its timers, too; it is started by the first use, runs none of the callbacks, and sleeps until
/// something is ready or due.
///
/// The watch has a duplicate of the descriptor, so the same one can be watched several times, and closing it, or using
/// its number for something else, takes nothing back and confuses nothing. But what it leads to (the connection, the end
/// of a pipe) stays open until the callback is queued or taken back: take it back before closing. A forked child
/// inherits the duplicates and keeps them until it executes another program; it is told nothing.
///
/// *out is for weft_watch_off, which takes the callback back as long as it has not begun, also if it waits in a queue;
/// it is written before the callback is called. NULL out: none. drop(ctx, arg) is called instead of fn when fn will
/// never be called, on the thread that has it so: who takes it back, or shuts down; may be NULL. The task carries the cancel token of whoever made the watch; triggered, the token takes
/// the watch back, and the drop runs on a worker. A shutdown of either kind takes the runtime's watches back and waits
/// for none; what was ready by then is a queued task, which runs or, by a discarding one, is dropped. At the exit of the
/// process the default runtime's end like that; those of others are neither called nor dropped.
///
/// On failure nothing is called. WEFT_INVALID: fd is not open, or an event is none. WEFT_UNSUPPORTED: what fd leads to
/// is always ready (a regular file, a directory). WEFT_OS: no descriptors are left, or that thread cannot be started.
/// WEFT_SHUTDOWN: the runtime is ending. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_fd_watch(
    runtime: *mut weft_runtime,
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
        // SAFETY: a handle by contract.
        let core = unsafe { args::runtime(runtime)? };
        let interest = Interest { readable: events & WEFT_FD_READABLE != 0, writable: events & WEFT_FD_WRITABLE != 0 };
        let told = Told { function, fd, arg, drop, ctx };
        core.when_ready(fd, interest, frame::token(), told, |watch| {
            if !out.is_null() {
                // SAFETY: writable by contract.
                unsafe { *out = Handle::create(Watched::Descriptor(watch)) };
            }
        })
    })
}
