//! A call: its answer, which goes to the first who asks for it, and the word that says who has it.
//!
//! ```text
//! WAITING --dispatched--> SENDING --sent--> SENT --answered--> OVER
//!    ^                       \--the worker has died--> ORPHANED
//!    \---- not begun, or to be tried again ----/
//! ```
//!
//! A call is sent by whoever has found room for it, under no lock. So a worker may die, or a caller change his mind, while it is being
//! sent. The word settles who goes on: a sender that comes to find its call orphaned does what would have been done at the death,
//! knowing whether the call had gone out; a request to stop that comes meanwhile is passed on by the sender, behind the call. The
//! answer is claimed apart ([`Deferred`]): by the reply, the death, the timeout or the request to stop, whoever is first.

use crate::future::Deferred;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicU32, Ordering};

const WAITING: u32 = 0;
const SENDING: u32 = 1;
const SENT: u32 = 2;
const ORPHANED: u32 = 3;
const OVER: u32 = 4;
/// A bit: it has been asked to stop.
const STOP: u32 = 8;
/// A bit: it may have begun before its worker died.
const BEGUN: u32 = 16;

/// Out of the line, in it, in it though it is over. Changed under the lock of the books.
const OUT: u32 = 0;
const IN: u32 = 1;
const STALE: u32 = 2;

/// What a sender finds when its call has gone out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing is left to do.
    Done,
    /// It has been asked to stop meanwhile: the sender tells the worker.
    Stop,
    /// Its worker has died meanwhile: the sender sees to what becomes of it, which may have `begun`.
    Orphaned {
        /// See above.
        begun: bool,
    },
}

/// What becomes of a request to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It has not been sent, and will not be.
    Withdrawn,
    /// The worker has it, and is to be told.
    Tell,
    /// Somebody else sees to it, or it is over.
    Noted,
}

/// What keeps a call from being forgotten: what watches the clock and a token for it, until it is answered.
pub type Keeps = Vec<Box<dyn Send + Sync>>;

/// A call.
pub struct Call<A, R> {
    /// Of this call alone, in this pool and for ever.
    pub id: u64,
    /// How often it may be begun.
    pub most_attempts: u32,
    word: AtomicU32,
    attempts: AtomicU32,
    line: AtomicU32,
    answer: Deferred<A>,
    /// What is sent, if it is kept.
    pub request: Lock<Option<R>>,
    /// Until it is answered.
    pub keeps: Lock<Option<Keeps>>,
}

impl<A, R> Call<A, R> {
    /// A call that waits.
    pub fn new(id: u64, most_attempts: u32, answer: A) -> Self {
        Call {
            id,
            most_attempts,
            word: AtomicU32::new(WAITING),
            attempts: AtomicU32::new(0),
            line: AtomicU32::new(OUT),
            answer: Deferred::new(answer),
            request: Lock::new(None),
            keeps: Lock::new(Some(Vec::new())),
        }
    }

    /// The right to answer it, once.
    pub fn take(&self) -> Option<A> {
        let answer = self.answer.take()?;
        self.word.fetch_or(OVER, Ordering::AcqRel);
        Some(answer)
    }

    /// Whether somebody has answered it, or is about to.
    pub fn is_over(&self) -> bool {
        !self.answer.is_there()
    }

    /// Lets go of what watched over it, and of what was to be sent. What is kept from here on is let go of at once.
    pub fn let_go(&self) {
        let kept = (self.keeps.lock().take(), self.request.lock().take());
        drop(kept);
    }

    /// Keeps this until it is answered.
    pub fn keep(&self, what: Box<dyn Send + Sync>) {
        let late = match &mut *self.keeps.lock() {
            Some(keeps) => {
                keeps.push(what);
                None
            }
            None => Some(what),
        };
        drop(late);
    }

    /// It comes into the line, or out of it: whether it was counted as over there.
    pub(super) fn set_in_line(&self, is_in: bool) -> bool {
        let was = self.line.load(Ordering::Relaxed);
        self.line.store(if is_in { IN } else { OUT }, Ordering::Relaxed);
        was == STALE
    }

    /// Whether it is in the line, counted as over.
    pub(super) fn is_stale(&self) -> bool {
        self.line.load(Ordering::Relaxed) == STALE
    }

    /// It is over, and to be counted if it is in the line.
    pub(super) fn set_stale(&self) -> bool {
        let is_in = self.line.load(Ordering::Relaxed) == IN;
        if is_in {
            self.line.store(STALE, Ordering::Relaxed);
        }
        is_in
    }

    /// It is about to be sent; false: it is over.
    pub fn begin_sending(&self) -> bool {
        let begun = self.word.compare_exchange(WAITING, SENDING, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if begun {
            // Relaxed: the word goes from one who writes this to the next.
            self.attempts.fetch_add(1, Ordering::Relaxed);
        }
        begun
    }

    /// How often it has been sent.
    pub fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// It has gone out.
    pub fn sent(&self) -> Sent {
        // AcqRel: who asked it to stop, and who found it orphaned, comes before; what was sent, before who asks from here on.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let (next, found) = match word {
                SENDING => (SENT, Sent::Done),
                word if word == SENDING | STOP => (SENT | STOP, Sent::Stop),
                word if word & !(STOP | BEGUN) == ORPHANED => return Sent::Orphaned { begun: word & BEGUN != 0 },
                // Answered while it was being sent.
                _ => return Sent::Done,
            };
            match self.word.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return found,
                Err(now) => word = now,
            }
        }
    }

    /// Its worker has died, and may have `begun` it; false: its sender sees to what becomes of it.
    pub fn fall(&self, begun: bool) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & !STOP == SENDING {
            let fallen = ORPHANED | word & STOP | if begun { BEGUN } else { 0 };
            match self.word.compare_exchange_weak(word, fallen, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return false,
                Err(now) => word = now,
            }
        }
        true
    }

    /// It waits again, by whoever sees to it, who keeps others from sending it meanwhile; what went before counts as an attempt if it
    /// has `begun`. False: it is over, or has been asked to stop.
    pub fn wait_again(&self, begun: bool) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & (OVER | STOP) == 0 {
            match self.word.compare_exchange_weak(word, WAITING, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => {
                    self.attempts.fetch_sub(u32::from(!begun), Ordering::Relaxed);
                    return true;
                }
                Err(now) => word = now,
            }
        }
        false
    }

    /// Whether it has been asked to stop.
    pub fn is_to_stop(&self) -> bool {
        self.word.load(Ordering::Acquire) & STOP != 0
    }

    /// Asks it to stop.
    pub fn stop(&self) -> Stop {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & (OVER | STOP) != 0 {
                return Stop::Noted;
            }
            match self.word.compare_exchange_weak(word, word | STOP, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(WAITING) => return Stop::Withdrawn,
                Ok(SENT) => return Stop::Tell,
                Ok(_) => return Stop::Noted,
                Err(now) => word = now,
            }
        }
    }
}

#[cfg(all(test, weft_loom))]
mod models;
