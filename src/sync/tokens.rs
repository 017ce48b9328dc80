//! A counting semaphore on one futex: wake-ups for idle workers.
//!
//! Each posted token wakes one sleeper and is taken by exactly one, whichever comes first; a token posted
//! before anyone sleeps waits for its taker.

use super::atomic::Ordering;
use super::futex::{Futex, Woken};

/// Tokens to be taken.
pub struct Tokens {
    count: Futex,
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokens {
    /// No tokens.
    pub fn new() -> Self {
        Tokens { count: Futex::new(0) }
    }

    /// Adds `n` tokens.
    pub fn post(&self, n: u32) {
        // Release pairs with the Acquire in try_take: what was done before the post is seen after the take.
        self.count.fetch_add(n, Ordering::Release);
        self.count.wake(n);
    }

    /// Takes a token if there is one.
    pub fn try_take(&self) -> bool {
        let mut count = self.count.load(Ordering::Relaxed);
        while count > 0 {
            match self.count.compare_exchange_weak(count, count - 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => count = now,
            }
        }
        false
    }

    /// Waits for a token and takes it; false when the deadline passed first.
    pub fn take(&self, deadline: Option<i64>) -> bool {
        loop {
            if self.try_take() {
                return true;
            }
            if self.count.wait(0, deadline) == Woken::TimedOut {
                return self.try_take();
            }
        }
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use loom::sync::Arc;

    #[test]
    fn loom_every_token_reaches_one_taker() {
        model(3, || {
            let tokens = Arc::new(Tokens::new());
            let taker = {
                let tokens = tokens.clone();
                loom::thread::spawn(move || assert!(tokens.take(None)))
            };
            let poster = {
                let tokens = tokens.clone();
                loom::thread::spawn(move || tokens.post(1))
            };
            tokens.post(1);
            assert!(tokens.take(None));
            taker.join().unwrap();
            poster.join().unwrap();
            assert!(!tokens.try_take());
        });
    }

    #[test]
    fn loom_a_token_carries_what_came_before_it() {
        model(3, || {
            let shared = Arc::new((Tokens::new(), loom::cell::UnsafeCell::new(0)));
            let poster = {
                let shared = shared.clone();
                loom::thread::spawn(move || {
                    shared.1.with_mut(|value| unsafe { *value = 7 });
                    shared.0.post(1);
                })
            };
            assert!(shared.0.take(None));
            assert_eq!(shared.1.with(|value| unsafe { *value }), 7);
            poster.join().unwrap();
        });
    }
}
