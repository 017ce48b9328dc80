//! How many tasks are accepted and not queued yet, so that a runtime that ends waits for them.
//!
//! Who accepts one counts it first and then looks whether the runtime ends; who ends a runtime says so first and then looks
//! at the count. With a fence between on both sides one sees the other. Who puts the task into a queue takes it off the count
//! afterwards: whoever sees nothing counted, and then nothing queued, has missed nothing.

use crate::sync::atomic::{AtomicUsize, Ordering, fence};

/// The count.
#[derive(Default)]
pub struct Holding(AtomicUsize);

impl Holding {
    /// One more. The caller looks whether the runtime ends next.
    pub fn begin(&self) {
        // Relaxed: the fence pairs with the one of whoever ends the runtime.
        self.0.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// One less: it is queued, or was not accepted. The caller looks whether the runtime ends next; if so, somebody may
    /// have waited for this.
    pub fn end(&self) {
        // Release pairs with the Acquire in `is_empty`: the queue is seen after the count.
        self.0.fetch_sub(1, Ordering::Release);
        fence(Ordering::SeqCst);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::atomic::AtomicBool;
    use crate::sync::model;
    use loom::sync::Arc;

    #[derive(Default)]
    struct Runtime {
        ends: AtomicBool,
        over: AtomicBool,
        holding: Holding,
        queued: AtomicUsize,
        taken: AtomicUsize,
    }

    impl Runtime {
        /// `Core::look_again` in small.
        fn look_again(&self) {
            let ending = self.ends.load(Ordering::Acquire) && self.holding.is_empty();
            if self.queued.load(Ordering::Relaxed) > 0 {
                if self.queued.swap(0, Ordering::Relaxed) > 0 {
                    self.taken.fetch_add(1, Ordering::Relaxed);
                }
            } else if ending {
                self.over.store(true, Ordering::Relaxed);
            }
        }
    }

    /// A runtime that ends while a task is accepted, held and queued: the task is taken, or was refused, and the runtime is
    /// over, once.
    #[test]
    fn loom_holding_the_end_waits() {
        model(3, || {
            let runtime = Arc::new(Runtime::default());
            let end = {
                let runtime = runtime.clone();
                loom::thread::spawn(move || {
                    runtime.ends.store(true, Ordering::SeqCst);
                    fence(Ordering::SeqCst);
                    runtime.look_again();
                })
            };
            runtime.holding.begin();
            let accepted = !runtime.ends.load(Ordering::Relaxed);
            if accepted {
                assert!(!runtime.over.load(Ordering::Relaxed));
                runtime.queued.store(1, Ordering::Relaxed);
                runtime.look_again();
            }
            runtime.holding.end();
            if runtime.ends.load(Ordering::Relaxed) {
                runtime.look_again();
            }
            end.join().unwrap();
            assert_eq!(runtime.taken.load(Ordering::Relaxed), accepted as usize);
            assert!(runtime.over.load(Ordering::Relaxed));
        });
    }
}
