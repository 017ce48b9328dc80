//! Stalls: work is queued, and every thread that could run it is blocked inside a task.
//!
//! A stall is told once. It lasts until a blocked thread goes on: nothing else can make a change, because nothing else runs.
//! Who may have brought one about (the last thread that blocked, or whoever queued work after it) calls
//! [`Episode::begin`] after that; a thread that goes on calls [`Episode::end`] when it has taken a turn. The word counts: it
//! is odd while a stall is being told or has been told. Both sides have a fence between what they did to the turns and
//! their look at the word, or the other way round, so a stall that begins while another is being taken back is not missed.
//!
//! What is told, and to whom, is in [`watcher`]; C programs get it on a thread that has nothing else to do, so that they may
//! do there what lets the tasks go on.

#[cfg(not(weft_loom))]
pub mod watcher;

use crate::sync::atomic::{AtomicU32, Ordering, fence};

/// Whether a stall is on.
#[derive(Default)]
pub struct Episode(AtomicU32);

impl Episode {
    /// True if `is_stalled` and this is the first to find out: the caller tells it. What the caller did to the turns, or to
    /// the queues, and a SeqCst fence come before.
    #[must_use]
    pub fn begin(&self, is_stalled: impl Fn() -> bool) -> bool {
        // Relaxed, all of them: the fences order the word against the turns.
        loop {
            let word = self.0.load(Ordering::Relaxed);
            if word & 1 == 1 {
                return false;
            }
            let on = word.wrapping_add(1);
            if self.0.compare_exchange(word, on, Ordering::Relaxed, Ordering::Relaxed).is_err() {
                continue;
            }
            fence(Ordering::SeqCst);
            if is_stalled() {
                if self.0.load(Ordering::Relaxed) == on {
                    return true;
                }
                // Somebody went on, and blocked again: this is another stall, and perhaps theirs to tell.
                continue;
            }
            // Somebody goes on. Who blocked in the meantime has left it to us.
            let _ = self.0.compare_exchange(on, on.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            if !is_stalled() {
                return false;
            }
        }
    }

    /// A blocked thread goes on and has taken a turn.
    pub fn end(&self) {
        // Pairs with the fences in `begin`: either that sees the turn, or this sees the word.
        fence(Ordering::SeqCst);
        let word = self.0.load(Ordering::Relaxed);
        if word & 1 == 1 {
            // If it has changed, others have ended this one, and the next cannot have begun while this thread has a turn.
            let _ = self.0.compare_exchange(word, word.wrapping_add(1), Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use loom::sync::Arc;

    /// Threads with turns, all of them blocked at first, and that told.
    struct Turns {
        active: AtomicU32,
        episode: Episode,
        told: AtomicU32,
    }

    impl Turns {
        fn blocked() -> Arc<Self> {
            let episode = Episode(AtomicU32::new(1));
            Arc::new(Turns { active: AtomicU32::new(0), episode, told: AtomicU32::new(0) })
        }

        fn tell(&self) {
            if self.episode.begin(|| self.active.load(Ordering::Relaxed) == 0) {
                self.told.fetch_add(1, Ordering::Relaxed);
            }
        }

        fn go_on_and_block(&self) {
            self.active.fetch_add(1, Ordering::SeqCst);
            self.episode.end();
            if self.active.fetch_sub(1, Ordering::SeqCst) == 1 {
                fence(Ordering::SeqCst);
                self.tell();
            }
        }

        fn queue_work(&self) {
            fence(Ordering::SeqCst);
            if self.active.load(Ordering::Relaxed) == 0 {
                self.tell();
            }
        }

        /// A stall is on at the end; it has been told.
        fn told(&self) -> u32 {
            assert_eq!(self.episode.0.load(Ordering::SeqCst) & 1, 1);
            self.told.load(Ordering::SeqCst)
        }
    }

    /// One thread goes on and blocks again while others queue work: the second stall is told, once.
    #[test]
    fn loom_stall_is_told_once() {
        model(3, || {
            let turns = Turns::blocked();
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let turns = turns.clone();
                    loom::thread::spawn(move || turns.queue_work())
                })
                .collect();
            turns.go_on_and_block();
            others.into_iter().for_each(|other| other.join().unwrap());
            assert_eq!(turns.told(), 1);
        });
    }

    /// Two threads go on and block again: one stall, or one after the other.
    #[test]
    fn loom_stall_is_not_missed() {
        model(3, || {
            let turns = Turns::blocked();
            let others: Vec<_> = (0..2)
                .map(|which| {
                    let turns = turns.clone();
                    loom::thread::spawn(move || if which == 0 { turns.go_on_and_block() } else { turns.queue_work() })
                })
                .collect();
            turns.go_on_and_block();
            others.into_iter().for_each(|other| other.join().unwrap());
            assert!((1..=2).contains(&turns.told()));
        });
    }
}
