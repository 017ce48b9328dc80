//! Where one thread gets its jobs from, until it is closed: what has been put in before that is taken out.

use std::collections::VecDeque;

use crate::sync::{Lock, Semaphore};

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// A queue with one who takes.
pub struct Mailbox<T> {
    state: Lock<State<T>>,
    /// One for each item, and one for the end.
    ready: Semaphore,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Mailbox { state: Lock::new(State { items: VecDeque::new(), closed: false }), ready: Semaphore::default() }
    }
}

impl<T> Mailbox<T> {
    /// Puts an item in; gives it back if nobody would take it any more.
    pub fn put(&self, item: T) -> Result<(), T> {
        {
            let mut state = self.state.lock();
            if state.closed {
                return Err(item);
            }
            state.items.push_back(item);
        }
        self.ready.post();
        Ok(())
    }

    /// Waits for an item; None: it is closed, and empty.
    pub fn take(&self) -> Option<T> {
        self.ready.take_coming();
        let mut state = self.state.lock();
        debug_assert!(state.closed || !state.items.is_empty());
        state.items.pop_front()
    }

    /// Nothing can be put in any more.
    pub fn close(&self) {
        let closed = std::mem::replace(&mut self.state.lock().closed, true);
        if !closed {
            self.ready.post();
        }
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use loom::sync::Arc;

    /// What was put in is taken out, and what was not is given back, however the end comes; and the taker ends.
    #[test]
    fn loom_context_mailbox_loses_nothing_at_its_end() {
        model(3, || {
            let mailbox = Arc::new(Mailbox::default());
            let taker = {
                let mailbox = mailbox.clone();
                loom::thread::spawn(move || std::iter::from_fn(|| mailbox.take()).collect::<Vec<u32>>())
            };
            let closer = {
                let mailbox = mailbox.clone();
                loom::thread::spawn(move || mailbox.close())
            };
            let put: Vec<u32> = [1, 2].into_iter().filter(|&item| mailbox.put(item).is_ok()).collect();
            closer.join().unwrap();
            assert_eq!(taker.join().unwrap(), put);
            assert_eq!(mailbox.put(3), Err(3));
        });
    }
}
