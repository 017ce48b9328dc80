//! Backtraces of panics, when RUST_BACKTRACE (or RUST_LIB_BACKTRACE) asks for them, for failures that are kept.
//!
//! Who catches a panic comes too late: the frames have gone. So a panic hook captures them, on worker threads, before the
//! hook that was there prints what it always does. It leaves them with the panic's message in a word of the thread's,
//! without resolving a symbol, and whoever keeps the failure takes them from there. A panic without a hook's call
//! (resume_unwind) has none; that of another is told by its message.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::panic::{self, PanicHookInfo};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::platform::local;

struct Last {
    message: String,
    backtrace: Backtrace,
}

thread_local! {
    /// Of the last panic on this thread. A plain word: no destructor on a path that any thread may take; workers free it.
    static LAST: Cell<*mut Last> = const { Cell::new(ptr::null_mut()) };
}

/// Begins to capture, if the environment asks for it. A program that sets a panic hook of its own later, and does not call the
/// one before, gets no backtraces.
pub fn watch() {
    // Not a Once: nobody may wait here for a thread that a fork has left behind.
    static WATCHING: AtomicBool = AtomicBool::new(false);
    if WATCHING.load(Ordering::Relaxed) || std::thread::panicking() || WATCHING.swap(true, Ordering::Relaxed) {
        return;
    }
    // std decides, once, by reading the environment.
    if Backtrace::capture().status() == BacktraceStatus::Captured {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            keep(info);
            before(info);
        }));
    }
}

fn keep(info: &PanicHookInfo<'_>) {
    // Other threads have nobody who would take it, or free it.
    if local::get() != 0 {
        let message = super::text(info.payload()).unwrap_or_default().to_owned();
        set(Box::into_raw(Box::new(Last { message, backtrace: Backtrace::capture() })));
    }
}

fn set(last: *mut Last) -> Option<Box<Last>> {
    let before = LAST.replace(last);
    // SAFETY: made by Box::into_raw in `keep`, and taken out of this thread's only place for it.
    (!before.is_null()).then(|| unsafe { Box::from_raw(before) })
}

/// The backtrace of the panic with this message that this thread has caught last, as text, if there is one.
pub fn take(message: &str) -> Option<String> {
    let last = set(ptr::null_mut())?;
    (last.message == message).then(|| last.backtrace.to_string())
}

/// The thread ends.
pub fn forget() {
    set(ptr::null_mut());
}
