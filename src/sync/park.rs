//! What a thread carries into its waits.
//!
//! The hook is told before the thread parks and after it goes on. The scheduler installs one on its workers, to
//! pass a blocked worker's turn to another thread; this room knows no more of it than two function pointers.
//! Both thread-locals are plain words without destructors: they may be used at any point of a thread's life.

use std::cell::Cell;

/// Two functions around a park.
#[derive(Clone, Copy)]
pub struct Hook {
    /// Handed to both functions.
    pub data: *const (),
    /// Called on the thread that is about to park.
    pub before: unsafe fn(*const ()),
    /// Called on the same thread when it goes on.
    pub after: unsafe fn(*const ()),
}

thread_local! {
    static HOOK: Cell<Option<Hook>> = const { Cell::new(None) };
    static INTERRUPTIBLE: Cell<bool> = const { Cell::new(false) };
}

/// Installs this thread's hook and returns the one before.
///
/// # Safety
/// Until it is replaced, both functions may be called with `data` at any time on this thread.
pub unsafe fn set_hook(hook: Option<Hook>) -> Option<Hook> {
    HOOK.replace(hook)
}

/// Whether a signal handler ends this thread's waits. Returns the setting before.
pub fn set_interruptible(on: bool) -> bool {
    INTERRUPTIBLE.replace(on)
}

/// Whether a signal handler ends this thread's waits.
pub fn interruptible() -> bool {
    INTERRUPTIBLE.get()
}

/// Runs `park` between the two calls of this thread's hook.
pub fn around<R>(park: impl FnOnce() -> R) -> R {
    let Some(hook) = HOOK.get() else { return park() };
    // SAFETY: whoever installed the hook promised that it may be called now.
    unsafe { (hook.before)(hook.data) };
    let result = park();
    // SAFETY: as above; park() does not change the hook.
    unsafe { (hook.after)(hook.data) };
    result
}
