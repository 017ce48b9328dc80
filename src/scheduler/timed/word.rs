//! What a timer's task is doing: one word, and one exchange for each event.
//!
//! The one exchange after which the task can never run again sets OVER, and whoever made it sees to the rest and then says so
//! ([`Word::gone`]).

use crate::sync::atomic::{AtomicU32, Ordering};

/// It is in a queue.
const QUEUED: u32 = 1;
/// It runs.
const RUNNING: u32 = 2;
/// It is to run once more when it has run.
const AGAIN: u32 = 4;
/// It expires no more.
const DISARMED: u32 = 8;
/// Nobody begins it any more.
const STOPPED: u32 = 16;
/// It will never run again.
const OVER: u32 = 32;
/// What follows that has been done.
const GONE: u32 = 64;

/// The word.
#[derive(Default)]
pub struct Word(AtomicU32);

/// What an event has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The caller puts it into a queue.
    pub queue: bool,
    /// The caller begins it.
    pub begin: bool,
    /// The caller has ended it, for good, and sees to what follows.
    pub over: bool,
    /// It runs, or another sees to what follows its end.
    pub busy: bool,
}

fn stopped(word: u32) -> u32 {
    (word | STOPPED) & !AGAIN
}

impl Word {
    fn change(&self, f: impl Fn(u32) -> u32) -> Outcome {
        let next = |word| {
            let word = f(word);
            let ends = word & DISARMED != 0 && word & RUNNING == 0 && (word & QUEUED == 0 || word & STOPPED != 0);
            Some(if ends { word | OVER } else { word })
        };
        self.exchange(next)
    }

    fn exchange(&self, next: impl Fn(u32) -> Option<u32>) -> Outcome {
        // AcqRel: one run comes before the next, on whatever thread, and all of them before the end.
        let (Ok(old) | Err(old)) = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, &next);
        let new = next(old).unwrap_or(old);
        let gained = new & !old;
        Outcome {
            queue: gained & QUEUED != 0,
            begin: gained & RUNNING != 0,
            over: gained & OVER != 0,
            busy: new & RUNNING != 0 || old & (OVER | GONE) == OVER,
        }
    }

    /// Its time has come, for the last time or not. Under the lock of the timers, armed.
    pub fn expire(&self, last: bool) -> Outcome {
        let last = if last { DISARMED } else { 0 };
        self.change(|word| match word {
            _ if word & QUEUED != 0 => word | last,
            _ if word & RUNNING != 0 => word | AGAIN | last,
            _ => word | QUEUED | last,
        })
    }

    /// It is not armed any more, and no queued task is begun.
    pub fn stop(&self) -> Outcome {
        self.change(|word| stopped(word) | DISARMED)
    }

    /// It is not armed any more. What is queued may run.
    pub fn disarm(&self) -> Outcome {
        self.change(|word| word | DISARMED)
    }

    /// It is cancelled; `disarmed` by the caller, under the lock of the timers. Its end is left to a worker, never to the caller:
    /// if it is neither queued nor running, it is queued for that.
    pub fn cancel(&self, disarmed: bool) -> Outcome {
        let next = |word: u32| match stopped(word) {
            // Whoever has taken it out of the wheel goes on from here.
            word if !disarmed => Some(word),
            word if word & (QUEUED | RUNNING | OVER) == 0 => Some(word | DISARMED | QUEUED),
            word => Some(word | DISARMED),
        };
        self.exchange(next)
    }

    /// It has been taken from the queue.
    pub fn begin(&self) -> Outcome {
        self.change(|word| match word & !QUEUED {
            word if word & STOPPED != 0 => word,
            word => word | RUNNING,
        })
    }

    /// It has been taken from the queue, and is dropped.
    pub fn discard(&self) -> Outcome {
        self.change(|word| stopped(word & !QUEUED))
    }

    /// What follows its end has been done.
    pub fn gone(&self) {
        // Release pairs with the Acquire in `exchange`.
        self.0.fetch_or(GONE, Ordering::Release);
    }

    /// It has run.
    pub fn end(&self) -> Outcome {
        self.change(|word| match word & !RUNNING {
            word if word & AGAIN != 0 => (word & !AGAIN) | QUEUED,
            word => word,
        })
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::{Lock, model};
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;

    /// A timer without a clock: armed, as the wheel knows it; a queue, as a count; what runs, in a cell.
    #[derive(Default)]
    struct Timer {
        word: Word,
        armed: Lock<bool>,
        queued: AtomicUsize,
        body: UnsafeCell<u32>,
        over: AtomicUsize,
    }

    // The word decides who touches the cell; loom watches it.
    unsafe impl Send for Timer {}
    unsafe impl Sync for Timer {}

    impl Timer {
        fn armed() -> Arc<Self> {
            Arc::new(Timer { armed: Lock::new(true), ..Timer::default() })
        }

        fn follow(&self, outcome: Outcome) {
            if outcome.queue {
                assert_eq!(self.queued.fetch_add(1, Ordering::Relaxed), 0, "queued twice");
            }
            if outcome.over {
                // It races with a run, if one may still come or go on.
                self.body.with_mut(|body| unsafe { *body += 1000 });
                self.over.fetch_add(1, Ordering::Relaxed);
                self.word.gone();
            }
        }

        fn expire(&self, last: bool) {
            let mut armed = self.armed.lock();
            if *armed {
                *armed = !last;
                self.follow(self.word.expire(last));
            }
        }

        fn stop(&self) -> bool {
            *self.armed.lock() = false;
            let outcome = self.word.stop();
            self.follow(outcome);
            outcome.busy
        }

        fn close(&self) {
            if std::mem::take(&mut *self.armed.lock()) {
                self.follow(self.word.disarm());
            }
        }

        fn cancel(&self) {
            let mut armed = self.armed.lock();
            let disarmed = std::mem::take(&mut *armed);
            let outcome = self.word.cancel(disarmed);
            assert!(!outcome.over, "that is for workers");
            self.follow(outcome);
        }

        /// What a worker does.
        fn work(&self) {
            while self.queued.swap(0, Ordering::Relaxed) > 0 {
                let begun = self.word.begin();
                self.follow(begun);
                if begun.begin {
                    self.body.with_mut(|body| unsafe { *body += 1 });
                    self.follow(self.word.end());
                }
            }
        }
    }

    fn with(timer: &Arc<Timer>, f: impl FnOnce(&Timer) + Send + 'static) -> loom::thread::JoinHandle<()> {
        let timer = timer.clone();
        loom::thread::spawn(move || f(&timer))
    }

    /// A one-shot timer is stopped, closed or cancelled while it expires and its task runs: over, once, after its run.
    fn against(other: fn(&Timer)) {
        model(3, move || {
            let timer = Timer::armed();
            let others = [
                with(&timer, |timer| {
                    timer.expire(true);
                    timer.work();
                }),
                with(&timer, other),
            ];
            others.into_iter().for_each(|other| other.join().unwrap());
            timer.work();
            assert_eq!(timer.over.load(Ordering::Relaxed), 1);
            assert!([1000, 1001].contains(&timer.body.with(|body| unsafe { *body })));
        });
    }

    #[test]
    fn loom_timed_stop_against_expiry() {
        against(|timer| {
            if !timer.stop() {
                assert_eq!(timer.over.load(Ordering::Relaxed), 1, "nothing runs after a stop that is not busy");
            }
        });
    }

    #[test]
    fn loom_timed_close_against_expiry() {
        against(Timer::close);
    }

    #[test]
    fn loom_timed_cancel_against_expiry() {
        against(Timer::cancel);
    }

    /// Two who end it, and a worker.
    #[test]
    fn loom_timed_stop_against_cancel() {
        model(3, || {
            let timer = Timer::armed();
            timer.expire(false);
            let others = [with(&timer, Timer::work), with(&timer, Timer::cancel)];
            timer.stop();
            others.into_iter().for_each(|other| other.join().unwrap());
            timer.work();
            assert_eq!(timer.over.load(Ordering::Relaxed), 1);
        });
    }

    /// A periodic timer expires while its task runs and while it is queued, on two workers: never twice at once.
    #[test]
    fn loom_timed_never_beside_itself() {
        model(3, || {
            let timer = Timer::armed();
            timer.expire(false);
            let others = [with(&timer, Timer::work), with(&timer, Timer::work)];
            timer.expire(false);
            timer.expire(false);
            others.into_iter().for_each(|other| other.join().unwrap());
            timer.work();
            let runs = timer.body.with(|body| unsafe { *body });
            assert!((1..=3).contains(&runs));
            assert!(!timer.stop());
            assert_eq!(timer.over.load(Ordering::Relaxed), 1);
        });
    }
}
