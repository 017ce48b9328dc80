//! Records that wait to be pulled: a bounded queue with any number of pullers, who wait by the one waiting protocol.
//!
//! Each record that comes wakes one puller. A puller that finds it gone (another came first) waits again, so no record lies
//! there while all pullers sleep: who takes a record without having waited leaves the one it woke nothing but a look.

use std::collections::VecDeque;
use std::ptr;

use crate::sync::wait::{Ended, WaitList, WaitNode, Waiter};
use crate::sync::{Deadline, Lock};

/// A queue of records.
pub struct Kept<T> {
    state: Lock<State<T>>,
    capacity: usize,
}

struct State<T> {
    records: VecDeque<T>,
    lost: u64,
    ended: bool,
    pullers: WaitList,
}

/// What a puller gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Pulled<T> {
    /// The oldest record.
    Record(T),
    /// There is none, and so many have been lost since this was said last.
    Lost(u64),
    /// There is none, and none will come.
    Ended,
    /// None has come; this is how the wait ended.
    Nothing(Ended),
}

/// The outcome of a puller's wait.
const LOOK: u32 = 0;

impl<T> Kept<T> {
    /// An empty queue for so many records.
    pub fn new(capacity: usize) -> Self {
        let state = State { records: VecDeque::new(), lost: 0, ended: false, pullers: WaitList::new() };
        Kept { state: Lock::new(state), capacity }
    }

    /// Queues a record, or gives it back after the end. `stamp` is called in the order of the records. When the queue is full,
    /// the record is lost, and counted.
    pub fn put(&self, mut record: T, stamp: impl FnOnce(&mut T)) -> Result<(), T> {
        let puller = {
            let mut state = self.state.lock();
            if state.ended {
                return Err(record);
            }
            if state.records.len() >= self.capacity {
                state.lost += 1;
                return Ok(());
            }
            stamp(&mut record);
            state.records.push_back(record);
            state.pullers.claim_first()
        };
        if let Some(puller) = puller {
            puller.finish(LOOK);
        }
        Ok(())
    }

    /// No records come any more. Those there are can still be pulled.
    pub fn end(&self) {
        let pullers = {
            let mut state = self.state.lock();
            state.ended = true;
            state.pullers.claim_all()
        };
        pullers.finish(LOOK);
    }

    /// Takes the oldest record, waits for one until the deadline.
    pub fn pull(&self, deadline: Deadline) -> Pulled<T> {
        loop {
            let waiter = Waiter::new();
            let mut node = WaitNode::new(&waiter, ptr::null_mut());
            {
                let mut state = self.state.lock();
                if let Some(record) = state.records.pop_front() {
                    return Pulled::Record(record);
                }
                match std::mem::take(&mut state.lost) {
                    0 if state.ended => return Pulled::Ended,
                    0 if deadline == Deadline::Now => return Pulled::Nothing(Ended::TimedOut),
                    0 => {}
                    lost => return Pulled::Lost(lost),
                }
                // SAFETY: this frame stays until the wait was fired, or until the node is unlinked below.
                unsafe { state.pullers.push(&mut node) };
            }
            let ended = waiter.wait(deadline);
            if ended == Ended::Fired(LOOK) {
                continue;
            }
            // SAFETY: the node was pushed to this list above.
            unsafe { self.state.lock().pullers.unlink(&mut node) };
            return Pulled::Nothing(ended);
        }
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use loom::sync::Arc;

    /// Two pullers and two records: each record reaches one of them, and the end reaches both.
    #[test]
    fn loom_kept_each_record_is_pulled_once() {
        model(2, || {
            let kept = Arc::new(Kept::new(2));
            let pullers: Vec<_> = (0..2)
                .map(|_| {
                    let kept = kept.clone();
                    loom::thread::spawn(move || {
                        let mut seen = Vec::new();
                        while let Pulled::Record(record) = kept.pull(Deadline::Never) {
                            seen.push(record);
                        }
                        seen
                    })
                })
                .collect();
            assert_eq!(kept.put(1, |_| {}), Ok(()));
            assert_eq!(kept.put(2, |_| {}), Ok(()));
            kept.end();
            assert_eq!(kept.put(3, |_| {}), Err(3));
            let mut all: Vec<_> = pullers.into_iter().flat_map(|puller| puller.join().unwrap()).collect();
            all.sort_unstable();
            assert_eq!(all, [1, 2]);
        });
    }

    /// A puller that gives up while a record comes leaves it to the other.
    #[test]
    fn loom_kept_a_record_outlives_an_impatient_puller() {
        model(3, || {
            let kept = Arc::new(Kept::new(1));
            let [impatient, patient] = [Deadline::At(0), Deadline::Never].map(|deadline| {
                let kept = kept.clone();
                loom::thread::spawn(move || kept.pull(deadline))
            });
            assert_eq!(kept.put(7, |_| {}), Ok(()));
            match impatient.join().unwrap() {
                Pulled::Nothing(Ended::TimedOut) => assert_eq!(patient.join().unwrap(), Pulled::Record(7)),
                first => {
                    assert_eq!(first, Pulled::Record(7));
                    kept.end();
                    assert_eq!(patient.join().unwrap(), Pulled::Ended);
                }
            }
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn records_beyond_the_capacity_are_counted() {
        let kept = Kept::new(2);
        assert_eq!(kept.pull(Deadline::Now), Pulled::Nothing(Ended::TimedOut));
        for record in 0..5 {
            assert_eq!(kept.put(record, |record| *record += 10), Ok(()));
        }
        assert_eq!([kept.pull(Deadline::Never), kept.pull(Deadline::Never)], [Pulled::Record(10), Pulled::Record(11)]);
        assert_eq!(kept.put(5, |_| {}), Ok(()));
        assert_eq!(kept.pull(Deadline::Never), Pulled::Record(5));
        assert_eq!(
            [kept.pull(Deadline::Never), kept.pull(Deadline::Now)],
            [Pulled::Lost(3), Pulled::Nothing(Ended::TimedOut)]
        );
        assert_eq!(kept.pull(Deadline::At(1)), Pulled::Nothing(Ended::TimedOut));
        assert_eq!(kept.put(6, |_| {}), Ok(()));
        kept.end();
        assert_eq!(kept.put(7, |_| {}), Err(7));
        assert_eq!([kept.pull(Deadline::Never), kept.pull(Deadline::Never)], [Pulled::Record(6), Pulled::Ended]);
    }
}
