//! Has a thread look at something, whatever it waits for.
//!
//! A poke is a mark and an interrupt. The thread takes the mark before each of its waits, and looks if it was there. The interrupt alone
//! would not do: it ends one wait, which may be one of somebody else's code that the thread has called meanwhile. The mark alone would
//! not end a wait.

use std::sync::Arc;

use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::interrupt::Thread;

/// What others poke.
#[derive(Default)]
pub struct Poke {
    mark: AtomicBool,
    thread: Lock<Option<Arc<Thread>>>,
}

impl Poke {
    /// It is this thread that looks. Pokes before that are found by its first look.
    pub fn sit_down(&self, thread: Arc<Thread>) {
        *self.thread.lock() = Some(thread);
    }

    /// Has the thread look.
    pub fn poke(&self) {
        // Release pairs with the Acquire in `take`. Before the lock: a thread that sits down after this has been through it finds the
        // mark, and one that is there already is interrupted after it was set.
        self.mark.store(true, Ordering::Release);
        let thread = self.thread.lock().clone();
        thread.iter().for_each(|thread| thread.interrupt());
    }

    /// Whether it was poked since the last time. Called before each wait.
    pub fn take(&self) -> bool {
        // The load first: it is false nearly always.
        self.mark.load(Ordering::Relaxed) && self.mark.swap(false, Ordering::AcqRel)
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::interrupt::carried;
    use crate::sync::wait::Waiter;
    use crate::sync::{Deadline, model};
    use loom::sync::Arc as Shared;

    /// Whatever the thread waits for in between, it gets to see what it was poked for.
    #[test]
    fn loom_poke_is_never_missed() {
        for strays in [false, true] {
            model(3, move || {
                let shared = Shared::new((Poke::default(), AtomicBool::new(false)));
                let other = {
                    let shared = shared.clone();
                    loom::thread::spawn(move || {
                        shared.1.store(true, Ordering::Relaxed);
                        shared.0.poke();
                    })
                };
                let thread = carried();
                shared.0.sit_down((*thread).clone());
                loop {
                    if shared.0.take() && shared.1.load(Ordering::Relaxed) {
                        break;
                    }
                    if strays {
                        // Code of somebody else's, which may take the interrupt.
                        Waiter::new().wait(Deadline::At(0));
                        if shared.0.take() && shared.1.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                    Waiter::new().wait(Deadline::Never);
                }
                other.join().unwrap();
            });
        }
    }
}
