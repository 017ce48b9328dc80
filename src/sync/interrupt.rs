//! Interrupts: any thread ends the current or the next wait of another, once.
//!
//! A thread that has been asked for by [`Thread::current`] has a place where its waits are queued beside what they wait for. An
//! interrupt claims the wait that is there, or is left for the next one. A wait that was fired by something else leaves it, too.

use std::cell::Cell;
#[cfg(not(weft_loom))]
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use super::Lock;
use super::cancel::SHUTDOWN;
use super::wait::{WaitList, WaitNode, Waiter};
use crate::platform::fork;
#[cfg(not(weft_loom))]
use crate::platform::thread::{self, EndKey};

/// The outcome of waits that were interrupted.
pub const INTERRUPTED: u32 = SHUTDOWN + 1;

/// A thread as others know it.
pub struct Thread {
    /// The process it was made in: after a fork others of its parent's threads may have its lock.
    epoch: u32,
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    /// Whether the next wait is interrupted.
    pending: bool,
    /// How many have come.
    count: u64,
    waits: WaitList,
}

#[cfg(not(weft_loom))]
thread_local! {
    /// A box, which `end` frees. (A pointer into the count's allocation would look like a leak when the program exits.)
    static CURRENT: Cell<*const Arc<Thread>> = const { Cell::new(ptr::null()) };
}
#[cfg(weft_loom)]
loom::thread_local! {
    static CURRENT: Cell<*const Arc<Thread>> = Cell::new(ptr::null());
}

/// The calling thread, if it has been asked for. Good as long as the thread runs what it runs now.
#[inline]
pub fn this_thread<'a>() -> Option<&'a Arc<Thread>> {
    // SAFETY: the box is there until the thread ends.
    CURRENT.with(|current| unsafe { current.get().as_ref() }).filter(|thread| thread.epoch == fork::epoch())
}

impl Thread {
    fn new() -> Arc<Thread> {
        Arc::new(Thread { epoch: fork::epoch(), state: Lock::default() })
    }

    /// The calling thread. A thread that is ending gets one that nobody waits by.
    #[cfg(not(weft_loom))]
    pub fn current() -> Arc<Thread> {
        static KEY: EndKey = EndKey::new();
        if let Some(thread) = this_thread() {
            return thread.clone();
        }
        let thread = Self::new();
        let own = Box::into_raw(Box::new(thread.clone()));
        // SAFETY: the only call with this key; `end` frees the box.
        match unsafe { KEY.at_end(end, own.cast()) } {
            true => CURRENT.set(own),
            // SAFETY: made above.
            false => drop(unsafe { Box::from_raw(own) }),
        }
        thread
    }

    /// Ends the thread's wait, or else the next one that would have to wait.
    pub fn interrupt(&self) {
        let claimed = {
            let mut state = self.state.lock();
            let claimed = state.waits.claim_first();
            state.pending |= claimed.is_none();
            state.count += 1;
            claimed
        };
        if let Some(claimed) = claimed {
            claimed.finish(INTERRUPTED);
        }
    }

    /// How many interrupts have come; None: one of them is to end the next wait.
    pub(super) fn interrupts(&self) -> Option<u64> {
        let state = self.state.lock();
        (!state.pending).then_some(state.count)
    }

    /// Lets an interrupt end a wait of this thread's; true if one has come already, and has ended it.
    ///
    /// # Safety
    /// As for [`WaitList::push`], with `node` a node of `waiter`; [`Thread::let_go`] unlinks it.
    pub(super) unsafe fn watch(&self, waiter: &Waiter, node: *mut WaitNode) -> bool {
        let mut state = self.state.lock();
        if state.pending && waiter.give_up() {
            state.pending = false;
            return true;
        }
        // SAFETY: promised by the caller.
        unsafe { state.waits.push(node) };
        false
    }

    /// The wait is over.
    ///
    /// # Safety
    /// As for [`WaitList::unlink`].
    pub(super) unsafe fn let_go(&self, node: *mut WaitNode) {
        // SAFETY: promised by the caller.
        unsafe { self.state.lock().waits.unlink(node) }
    }
}

/// The thread ends.
#[cfg(not(weft_loom))]
extern "C" fn end(thread: *mut c_void) {
    thread::ends();
    CURRENT.set(ptr::null());
    // SAFETY: the box that was given to `at_end`, once.
    drop(unsafe { Box::from_raw(thread.cast::<Arc<Thread>>()) });
}

/// The calling thread in a model; the result outlives what it does.
#[cfg(all(test, weft_loom))]
pub(crate) fn carried() -> Box<Arc<Thread>> {
    let thread = Box::new(Thread::new());
    CURRENT.with(|current| current.set(&raw const *thread));
    thread
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::wait::Ended;
    use crate::sync::{Deadline, Gate, model};

    /// Makes the calling thread one that can be interrupted; `thread` outlives what it does.
    fn carry(thread: &Arc<Thread>) {
        CURRENT.with(|current| current.set(ptr::from_ref(thread)));
    }

    /// An interrupt, the opening of what is waited for and the wait: one of them ends it, and the interrupt ends one wait.
    #[test]
    fn loom_interrupt_against_open() {
        model(3, || {
            let shared = Arc::new((Gate::default(), Thread::new()));
            let interrupter = {
                let shared = shared.clone();
                loom::thread::spawn(move || shared.1.interrupt())
            };
            let opener = {
                let shared = shared.clone();
                loom::thread::spawn(move || shared.0.open())
            };
            carry(&shared.1);
            let first = shared.0.wait(Deadline::Never);
            assert!(matches!(first, Ended::Fired(0) | Ended::Interrupted), "{first:?}");
            interrupter.join().unwrap();
            // The next wait is interrupted if the first was not.
            let second =
                Gate::default().wait(if first == Ended::Interrupted { Deadline::At(0) } else { Deadline::Never });
            assert_eq!(second == Ended::Interrupted, first != Ended::Interrupted);
            opener.join().unwrap();
        });
    }

    /// Two interrupts end two waits, or one that has not begun.
    #[test]
    fn loom_interrupt_twice() {
        model(3, || {
            let thread = Thread::new();
            let interrupter = {
                let thread = thread.clone();
                loom::thread::spawn(move || {
                    thread.interrupt();
                    thread.interrupt();
                })
            };
            carry(&thread);
            assert_eq!(Waiter::new().wait(Deadline::Never), Ended::Interrupted);
            interrupter.join().unwrap();
            let pending = thread.state.lock().pending;
            let second = Waiter::new().wait(Deadline::At(0));
            assert_eq!(second, if pending { Ended::Interrupted } else { Ended::TimedOut });
            assert!(thread.state.lock().waits.is_empty());
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;
    use crate::sync::wait::Ended;
    use crate::sync::{Deadline, Gate};

    #[test]
    fn an_interrupt_ends_one_wait_that_would_have_to_wait() {
        let thread = Thread::current();
        assert!(Arc::ptr_eq(&thread, &Thread::current()));
        thread.interrupt();
        let open = Gate::default();
        open.open();
        assert_eq!(open.wait(Deadline::Never), Ended::Fired(0), "nothing to wait for");
        assert_eq!(Gate::default().wait(Deadline::Never), Ended::Interrupted);
        assert_eq!(Gate::default().wait(Deadline::At(1)), Ended::TimedOut);
    }

    #[test]
    fn a_thread_may_be_interrupted_after_its_end() {
        let thread = std::thread::spawn(Thread::current).join().unwrap();
        thread.interrupt();
        assert_eq!(Arc::strong_count(&thread), 1);
    }
}
