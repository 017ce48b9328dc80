//! What a thread carries into its waits.
//!
//! The hook is told before the thread parks and after it goes on, and says what may end the wait early. The scheduler
//! installs one on its workers, to pass a blocked worker's turn to another thread; this room knows no more of it than
//! function pointers.
//! Both thread-locals are plain words without destructors: they may be used at any point of a thread's life.

use std::cell::Cell;
use std::ptr::NonNull;

use super::cancel::Source;
use super::waits;

/// What ends a thread's waits. They live at least as long as what the thread runs at the moment.
pub type Sources = [Option<NonNull<Source>>; 2];

/// What is called around a park.
#[derive(Clone, Copy)]
pub struct Hook {
    /// Called on the thread that is about to park.
    pub before: fn(),
    /// Called on the same thread when it goes on.
    pub after: fn(),
    /// Called between the two: what may end the wait.
    pub sources: fn() -> Sources,
}

thread_local! {
    static HOOK: Cell<Option<Hook>> = const { Cell::new(None) };
    static INTERRUPTIBLE: Cell<bool> = const { Cell::new(false) };
}

/// Installs this thread's hook, or none. Returns the one before.
pub fn set_hook(hook: Option<Hook>) -> Option<Hook> {
    HOOK.replace(hook)
}

/// Whether this thread has a hook.
pub fn has_hook() -> bool {
    HOOK.get().is_some()
}

/// Whether a signal handler ends this thread's waits. Returns the setting before.
pub fn set_interruptible(on: bool) -> bool {
    INTERRUPTIBLE.replace(on)
}

/// Whether a signal handler ends this thread's waits.
pub fn interruptible() -> bool {
    INTERRUPTIBLE.get()
}

/// What ends this thread's waits early.
pub fn sources() -> Sources {
    HOOK.get().map_or([None; 2], |hook| (hook.sources)())
}

/// Runs `park` between the two calls of this thread's hook. What the thread has said it waits for is known meanwhile ([`waits`]).
pub fn around<R>(park: impl FnOnce() -> R) -> R {
    let Some(hook) = HOOK.get() else { return waits::around(park) };
    (hook.before)();
    let result = waits::around(park);
    (hook.after)();
    result
}
