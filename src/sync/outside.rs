//! Waits of threads that sleep elsewhere: in a system call that waits for descriptors, say.
//!
//! The thread tells what can wake it from there (a [`Waker`]). During the sleep a [`Waiter`] with that waker stands where
//! a thread's wait would: with what asks the thread to stop, with whoever interrupts it, and wherever the sleeper queues it
//! besides. Who ends the wait fires it like any other, and the waker brings the thread back.

use std::ptr;
use std::task::Waker;

use super::cancel::{CANCELLED, SHUTDOWN};
use super::interrupt::{self, INTERRUPTED};
use super::park;
use super::wait::{Ended, ITSELF, WaitNode, Waiter};

/// Sleeps by `sleep`, which returns as soon as it can once the waker was called, and before that whenever it likes; it unlinks what
/// it has queued of the waiter. What it came to, unless the wait was over before; and what has fired the wait, if anything
/// has, with the case of the node.
pub fn sleep<R>(waker: Waker, sleep: impl FnOnce(&Waiter) -> R) -> (Option<R>, Option<(usize, Ended)>) {
    let waiter = Waiter::with_waker(waker);
    let mut nodes = [0, 1].map(|_| WaitNode::of_case(&waiter, ITSELF, ptr::null_mut()));
    let mut own = WaitNode::of_case(&waiter, ITSELF, ptr::null_mut());
    let (mut sources, mut thread, mut before) = ([None; 2], None, None);
    let slept = park::around(|| {
        (sources, thread) = (park::sources(), interrupt::this_thread());
        for (source, node) in sources.iter().zip(&mut nodes) {
            // SAFETY: a hook's sources stay while the thread is in this call; the node stays in this frame until it is
            // unlinked below.
            if let Some(Err(outcome)) = source.map(|source| unsafe { source.as_ref().watch(node) }) {
                before = Some(outcome);
            }
        }
        if before.is_none() {
            // SAFETY: as above.
            before = thread.and_then(|thread| unsafe { thread.watch(&waiter, &mut own) }.then_some(INTERRUPTED));
        }
        before.is_none().then(|| sleep(&waiter))
    });
    // Whoever has won the wait finishes it, and until then these frames stay. An interrupt that was there before has given it up.
    let over = before == Some(INTERRUPTED) || waiter.give_up();
    if !over {
        waiter.wait_until_fired();
    }
    for (source, node) in sources.iter().zip(&mut nodes) {
        if let Some(source) = source {
            // SAFETY: as above; the node was given to this source, or to none.
            unsafe { source.as_ref().let_go(node) };
        }
    }
    if let Some(thread) = thread {
        // SAFETY: as above.
        unsafe { thread.let_go(&mut own) };
    }
    let fired = waiter.fired().or(before.map(|outcome| (ITSELF, outcome)));
    (slept, fired.map(|(case, outcome)| (case, by(case, outcome))))
}

fn by(case: usize, outcome: u32) -> Ended {
    match (case, outcome) {
        (ITSELF, CANCELLED) => Ended::Cancelled,
        (ITSELF, SHUTDOWN) => Ended::Shutdown,
        (ITSELF, INTERRUPTED) => Ended::Interrupted,
        (_, outcome) => Ended::Fired(outcome),
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::atomic::Ordering;
    use crate::sync::cancel::{Source, Token};
    use crate::sync::futex::Futex;
    use crate::sync::{Deadline, model, park};
    use std::cell::Cell;
    use std::ptr::NonNull;
    use std::sync::Arc;
    use std::task::Wake;

    loom::thread_local! {
        static TOKEN: Cell<Option<NonNull<Source>>> = Cell::new(None);
    }

    /// Where the thread sleeps: a descriptor, say.
    struct Elsewhere(Futex);

    impl Wake for Elsewhere {
        fn wake(self: Arc<Self>) {
            self.0.store(1, Ordering::Release);
            self.0.wake(1);
        }
    }

    fn sleep_there(there: &Arc<Elsewhere>) -> (Option<()>, Option<(usize, Ended)>) {
        sleep(there.clone().into(), |_| {
            while there.0.load(Ordering::Acquire) == 0 {
                there.0.wait(0, None);
            }
        })
    }

    /// A token ends the sleep, whenever it comes; and what else ends it leaves nothing behind for the token to touch.
    #[test]
    fn loom_outside_token_against_what_is_waited_for() {
        for also in [false, true] {
            model(3, move || {
                let there = Arc::new(Elsewhere(Futex::new(0)));
                let token = Token::new([None, None]);
                let trigger = {
                    let token = token.clone();
                    loom::thread::spawn(move || token.trigger(c"enough"))
                };
                let other = also.then(|| {
                    let there = there.clone();
                    loom::thread::spawn(move || there.wake())
                });
                TOKEN.with(|place| place.set(Some(NonNull::from(token.source()))));
                let sources = || [TOKEN.with(|place| place.get()), None];
                park::set_hook(Some(park::Hook { before: || {}, after: || {}, sources }));
                match sleep_there(&there) {
                    (_, Some(fired)) => assert_eq!(fired, (ITSELF, Ended::Cancelled)),
                    (slept, None) => assert!(also && slept.is_some()),
                }
                trigger.join().unwrap();
                other.into_iter().for_each(|other| other.join().unwrap());
                assert_eq!(Waiter::new().wait(Deadline::Never), Ended::Cancelled);
            });
        }
    }
}
