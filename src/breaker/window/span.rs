//! A window of the last while: ten buckets, each a tenth of it, that are used in turn.
//!
//! ```text
//! epoch 24 | total 20 | marked 20
//! ```
//!
//! An epoch is the number of the tenth, and eleven for each generation. So epochs only grow, and no bucket of one
//! generation is among the last ten of the next.

use super::Tally;
use crate::sync::atomic::{AtomicU64, Ordering};

const BUCKETS: u64 = 10;
const COUNTS: u64 = (1 << 20) - 1;
const TOTAL: u32 = 20;
const EPOCH: u32 = 40;
const EPOCHS: u64 = 1 << 24;
/// A bucket is a later one's if it is so much ahead at most; further ahead it has been left alone for a whole round of
/// epochs.
const LATER: u64 = 1 << 10;

/// The window.
#[repr(align(128))]
pub struct Span {
    buckets: [AtomicU64; BUCKETS as usize],
    bucket_ns: i64,
    /// Results that the buckets do not count any more.
    before: AtomicU64,
}

impl Span {
    /// Of so many nanoseconds, at least ten.
    pub fn new(ns: i64, now_ns: i64) -> Self {
        let bucket_ns = ns / BUCKETS as i64;
        // Long past, whatever the time.
        let past = (epoch(0, now_ns, bucket_ns) + EPOCHS / 2) % EPOCHS;
        Span { buckets: std::array::from_fn(|_| AtomicU64::new(past << EPOCH)), bucket_ns, before: AtomicU64::new(0) }
    }

    /// See [`super::Window::add`].
    pub fn add(&self, generation: u32, now_ns: i64, marked: bool) -> bool {
        self.put(generation, now_ns, marked, None).is_ok()
    }

    /// The same. Err: the bucket looks like a later one's, by this. `stale`: what looks so is a round of epochs old.
    pub fn put(&self, generation: u32, now_ns: i64, marked: bool, stale: Option<u64>) -> Result<(), u64> {
        let epoch = epoch(generation, now_ns, self.bucket_ns);
        let bucket = &self.buckets[(epoch % BUCKETS) as usize];
        let mut word = bucket.load(Ordering::Relaxed);
        loop {
            let (its, total, already) = parts(word);
            // What goes on, and how many results are not counted here any more.
            let (kept, gone) = if its == epoch % EPOCHS {
                // A full one goes on with half of both counts: the share stays.
                if total == COUNTS { ((total / 2, already / 2), total - total / 2) } else { ((total, already), 0) }
            } else if its.wrapping_sub(epoch) % EPOCHS < LATER && stale != Some(word) {
                return Err(word);
            } else {
                ((0, 0), total)
            };
            let next = (epoch % EPOCHS) << EPOCH | (kept.0 + 1) << TOTAL | (kept.1 + u64::from(marked));
            // Relaxed: numbers that stand for themselves. Who marks has a fence of his own.
            match bucket.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    if gone > 0 {
                        self.before.fetch_add(gone, Ordering::Relaxed);
                    }
                    return Ok(());
                }
                Err(now) => word = now,
            }
        }
    }

    /// See [`super::Window::tally`].
    pub fn tally(&self, generation: u32, now_ns: i64) -> Tally {
        let epoch = epoch(generation, now_ns, self.bucket_ns);
        let mut tally = Tally::default();
        for bucket in &self.buckets {
            let (its, total, marked) = parts(bucket.load(Ordering::Relaxed));
            if epoch.wrapping_sub(its) % EPOCHS < BUCKETS {
                tally.total += total;
                tally.marked += marked;
            }
        }
        tally
    }

    /// See [`super::Window::cells`].
    #[cfg(all(test, not(weft_loom)))]
    pub fn cells(&self) -> Vec<&AtomicU64> {
        self.buckets.iter().collect()
    }

    /// See [`super::Window::counted`].
    pub fn counted(&self) -> u64 {
        let held: u64 = self.buckets.iter().map(|bucket| parts(bucket.load(Ordering::Relaxed)).1).sum();
        self.before.load(Ordering::Relaxed) + held
    }
}

/// Epoch, total, marked.
fn parts(word: u64) -> (u64, u64, u64) {
    (word >> EPOCH, (word >> TOTAL) & COUNTS, word & COUNTS)
}

/// Not taken round yet: a bucket's place goes by the whole number.
fn epoch(generation: u32, now_ns: i64, bucket_ns: i64) -> u64 {
    (now_ns / bucket_ns) as u64 + (BUCKETS + 1) * u64::from(generation)
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn results_leave_with_their_tenth() {
        let now = 1000 * SECOND;
        let window = Span::new(10 * SECOND, now);
        assert_eq!(window.tally(0, now), Tally::default());
        for second in 0..10 {
            assert!(window.add(0, now + second * SECOND, second < 3));
        }
        let at = |second: i64| window.tally(0, now + second * SECOND);
        assert_eq!(at(9), Tally { total: 10, marked: 3 });
        assert_eq!(at(10), Tally { total: 9, marked: 2 });
        assert_eq!(at(12), Tally { total: 7, marked: 0 });
        assert_eq!(at(30), Tally::default());
        assert!(window.add(0, now + 30 * SECOND, true));
        assert_eq!(at(30), Tally { total: 1, marked: 1 });
        assert_eq!(window.counted(), 11);
    }

    #[test]
    fn a_generation_begins_empty_and_what_is_late_changes_nothing() {
        let now = 77 * SECOND;
        let window = Span::new(SECOND, now);
        (0..20).for_each(|tenth| assert!(window.add(1, now + tenth * SECOND / 10, true)));
        let now = now + 2 * SECOND;
        assert_eq!(window.tally(2, now), Tally::default());
        assert_eq!(window.tally(3, now - SECOND), Tally::default());
        (0..10).for_each(|tenth| assert!(window.add(2, now + tenth * SECOND / 10, false)));
        (0..10).for_each(|tenth| {
            window.add(1, now + tenth * SECOND / 10, true);
        });
        assert_eq!(window.tally(2, now + SECOND * 9 / 10), Tally { total: 10, marked: 0 });
    }

    #[test]
    fn a_full_bucket_keeps_its_share() {
        let window = Span::new(SECOND, 0);
        let calls = COUNTS * 3;
        (0..calls).for_each(|call| assert!(window.add(0, 5, call % 4 == 0)));
        let tally = window.tally(0, 5);
        assert!((tally.marked as f64 / tally.total as f64 - 0.25).abs() < 0.001, "{tally:?}");
        assert_eq!(window.counted(), calls);
    }

    #[test]
    fn a_window_that_was_left_alone_for_long_is_used_again() {
        let window = Span::new(SECOND, 0);
        for years in 1..=100 {
            let now = years * 365 * 86_400 * SECOND / 3;
            assert!(window.add(0, now, true));
            assert!(window.tally(0, now).total >= 1);
        }
    }
}
