//! What running work is part of: its task's name, priority and cancel token.
//!
//! Frames are linked from the innermost outwards. A worker pushes one for each task, and for each half that it took, which
//! gets what its owner's frame had; a task can push another to go by another token for a while, or by none, and so can
//! threads that are not ours. What is spawned inherits the token.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr::{self, NonNull};

use super::lanes::Priority;
use super::worker::Worker;
use crate::error::{Failure, Result, Status};
use crate::platform::fork;
use crate::sync::cancel::Token;
use crate::sync::mutex::Holder;
use crate::sync::park::{self, Sources};
use crate::sync::waits;

/// What work takes over from the work it is part of.
#[derive(Clone, Default)]
pub struct Context {
    /// The task's name, alive as long as the task is.
    pub name: Option<NonNull<CStr>>,
    /// What it may be cancelled by.
    pub token: Option<Token>,
    /// Where the task was queued.
    pub priority: Priority,
    /// Whether the end of its runtime leaves its waits alone.
    pub shielded: bool,
}

/// A context on a thread.
pub struct Frame {
    /// What is run.
    pub context: Context,
    /// The number of the first slot of the thread's region that is this frame's.
    pub base: usize,
    /// Around it.
    pub outer: *const Frame,
    /// Whether it is a box that [`enter`] made, and [`leave`] frees.
    pub entered: bool,
}

thread_local! {
    /// The innermost frame of a thread that is not ours, and the process it was entered in. Plain words: they may be used at
    /// any point of a thread's life.
    static OUTSIDE: (Cell<*const Frame>, Cell<u32>) = const { (Cell::new(ptr::null()), Cell::new(0)) };
}

/// The place of this thread's innermost frame.
fn with_innermost<R>(f: impl FnOnce(&Cell<*const Frame>) -> R) -> R {
    match Worker::current() {
        Some(worker) => f(&worker.frame),
        None => OUTSIDE.with(|(frame, epoch)| {
            // A forked child goes by nothing that its parent went by: that token's locks may be held by threads it has not.
            if epoch.replace(fork::epoch()) != fork::epoch() {
                frame.set(ptr::null());
            }
            f(frame)
        }),
    }
}

/// The frame that the innermost callback of this thread's worker may not leave.
fn floor() -> *const Frame {
    Worker::current().map_or(ptr::null(), |worker| worker.floor.get())
}

/// The number of the next free slot of this thread's region.
fn head() -> usize {
    Worker::current().map_or(0, |worker| worker.region().index(worker.region().head()))
}

/// The context of what this thread runs.
pub fn current() -> Option<&'static Context> {
    // SAFETY: frames are in place while they are linked; callers are within the innermost.
    with_innermost(|frame| unsafe { frame.get().as_ref() }).map(|frame| &frame.context)
}

/// The token that what is spawned here inherits.
#[inline]
pub fn token() -> Option<Token> {
    current()?.token.clone()
}

/// Who locks a mutex here: this thread, and the task or half that it runs innermost.
#[inline]
pub fn holder() -> Holder {
    let Some(worker) = Worker::current() else {
        let party = waits::current();
        return Holder { party, held: &party.held, level: 0 };
    };
    let mut frame = worker.frame.get();
    // SAFETY: frames are in place while they are linked.
    while let Some(entered) = unsafe { frame.as_ref() }
        && entered.entered
    {
        frame = entered.outer;
    }
    let level = if frame.is_null() { ptr::from_ref(worker).addr() } else { frame.addr() };
    Holder { party: worker.party(), held: &worker.held, level }
}

/// What ends the waits of a thread that is not ours.
fn outside_sources() -> Sources {
    [current().and_then(|context| context.token.as_ref()).map(|token| NonNull::from(token.source())), None]
}

/// From here on this thread goes by another token, or with None by nothing that it went by before, a discarding shutdown
/// included; until [`leave`].
pub fn enter(token: Option<Token>) {
    // Also in a forked child, where the hook of a worker that is not here any more may be left.
    if Worker::current().is_none() {
        park::set_hook(Some(park::Hook { before: || {}, after: || {}, sources: outside_sources }));
    }
    with_innermost(|innermost| {
        let outer = innermost.get();
        // SAFETY: in place while it is linked.
        let context = unsafe { outer.as_ref() }.map(|frame| frame.context.clone()).unwrap_or_default();
        let context = Context { shielded: context.shielded || token.is_none(), token, ..context };
        innermost.set(Box::into_raw(Box::new(Frame { context, base: head(), outer, entered: true })));
    });
}

/// Ends what the last [`enter`] with the same argument began.
pub fn leave(token: Option<&Token>) -> Result<()> {
    with_innermost(|innermost| {
        // SAFETY: in place while it is linked.
        let frame = unsafe { innermost.get().as_ref() }.filter(|frame| {
            frame.entered
                && !ptr::eq(*frame, floor())
                && match (&frame.context.token, token) {
                    (Some(entered), Some(token)) => entered.is(token),
                    (None, None) => true,
                    _ => false,
                }
        });
        let Some(frame) = frame else {
            return Err(Failure::new(Status::Invalid, "this is not what the thread has entered last"));
        };
        if head() > frame.base {
            return Err(Failure::new(Status::Busy, "there are forks without a sync since it was entered"));
        }
        // SAFETY: entered, and innermost.
        unsafe { pop(innermost) };
        Ok(())
    })
}

/// Runs `body` by this token. What it has entered and not left is left when it returns.
pub fn under<R>(token: Token, body: impl FnOnce() -> R) -> R {
    struct Leave(*const Frame, *const Frame);
    impl Drop for Leave {
        fn drop(&mut self) {
            with_innermost(|innermost| {
                while innermost.get() != self.0 && !innermost.get().is_null() {
                    // SAFETY: all that is further in was entered by the body. In a forked child there is nothing.
                    unsafe { pop(innermost) };
                }
                innermost.set(self.1);
            });
        }
    }
    if Worker::current().is_none() {
        park::set_hook(Some(park::Hook { before: || {}, after: || {}, sources: outside_sources }));
    }
    let outer = with_innermost(Cell::get);
    // SAFETY: in place while it is linked.
    let context = unsafe { outer.as_ref() }.map(|frame| frame.context.clone()).unwrap_or_default();
    let context = Context { token: Some(token), ..context };
    let frame = Frame { context, base: head(), outer, entered: false };
    let _leave = Leave(&frame, outer);
    with_innermost(|innermost| innermost.set(&frame));
    body()
}

/// Frees the innermost frame.
///
/// # Safety
/// It was entered.
pub(super) unsafe fn pop(innermost: &Cell<*const Frame>) {
    // SAFETY: made by Box::into_raw in `enter`, unlinked here. Halves that inherit from it have ended, as `leave` and
    // `Worker::protect` see to.
    let frame = unsafe { Box::from_raw(innermost.get().cast_mut()) };
    innermost.set(frame.outer);
}
