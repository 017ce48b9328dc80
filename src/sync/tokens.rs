//! A counting semaphore on one futex: wake-ups for idle workers.
//!
//! Each posted token wakes one sleeper and is taken by exactly one, whichever comes first; a token posted
//! before anyone sleeps waits for its taker. The word's upper half counts the times that all sleepers were stirred, to
//! think again how long they want to sleep.

use super::atomic::Ordering;
use super::futex::{Futex, Woken};

/// Tokens to be taken.
pub struct Tokens {
    /// {stirs: 16, tokens: 16}
    word: Futex,
}

const STIR: u32 = 1 << 16;

fn tokens(word: u32) -> u32 {
    word % STIR
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokens {
    /// No tokens.
    pub fn new() -> Self {
        Tokens { word: Futex::new(0) }
    }

    /// Adds `n` tokens; there are never as many as 2^16.
    pub fn post(&self, n: u32) {
        // Release pairs with the Acquire in try_take: what was done before the post is seen after the take.
        self.word.fetch_add(n, Ordering::Release);
        self.word.wake(n);
    }

    /// Has every sleeper ask for its deadline again. What the caller did before is seen by then.
    pub fn stir(&self) {
        // Release pairs with the Acquire load in `take_until`. The upper half may wrap: nobody is asleep for so long a moment.
        self.word.fetch_add(STIR, Ordering::Release);
        self.word.wake(i32::MAX as u32);
    }

    /// Takes a token if there is one.
    pub fn try_take(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while tokens(word) > 0 {
            match self.word.compare_exchange_weak(word, word - 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Waits for a token and takes it.
    pub fn take(&self) {
        while !self.take_until(|| None) {}
    }

    /// Waits for a token and takes it; false when the deadline passed first, which is asked for before each sleep.
    pub fn take_until(&self, mut deadline: impl FnMut() -> Option<i64>) -> bool {
        loop {
            // Before the deadline is asked for: a stir that comes later changes the word, and there is no sleep.
            let word = self.word.load(Ordering::Acquire);
            if self.try_take() {
                return true;
            }
            if tokens(word) == 0 && self.word.wait(word, deadline()) == Woken::TimedOut {
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
                loom::thread::spawn(move || tokens.take())
            };
            let poster = {
                let tokens = tokens.clone();
                loom::thread::spawn(move || tokens.post(1))
            };
            tokens.post(1);
            tokens.take();
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
            shared.0.take();
            assert_eq!(shared.1.with(|value| unsafe { *value }), 7);
            poster.join().unwrap();
        });
    }

    /// A sleeper that is stirred, at whatever moment, learns what came before the stir.
    #[test]
    fn loom_a_stirred_sleeper_asks_again() {
        use crate::sync::atomic::AtomicU32;
        model(3, || {
            let shared = Arc::new((Tokens::new(), AtomicU32::new(0)));
            let sleeper = {
                let shared = shared.clone();
                // In a model a deadline of 0 has passed, and none never does.
                loom::thread::spawn(move || {
                    shared.0.take_until(|| (shared.1.load(Ordering::Relaxed) == 1).then_some(0))
                })
            };
            shared.1.store(1, Ordering::Relaxed);
            shared.0.stir();
            assert!(!sleeper.join().unwrap());
        });
    }
}
