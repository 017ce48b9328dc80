//! A window of the last n calls: a ring of marks, and one word that says how many calls there were.
//!
//! Each call gets a place by adding one to that word. Places are bits, 32 to a word beside the generation; the ring has
//! a power of two of them. A call that is not marked touches no bit unless the one that leaves the window with it was
//! set.

use super::Tally;
use crate::breaker::word::ahead;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Bits of a word that are places; above them is the generation.
const PLACES: u64 = 32;

/// Bits of the count; above them is the generation.
const COUNT: u32 = 33;
const COUNTS: u64 = 1 << COUNT;

/// The window.
pub struct Calls {
    length: u64,
    /// generation 31 | calls 33. In a line of its own: each call writes it.
    at: Line,
    marks: Box<[AtomicU64]>,
    /// Calls that `at` does not count any more.
    before: AtomicU64,
}

#[repr(align(128))]
struct Line(AtomicU64);

impl Calls {
    /// Of so many calls, at least one.
    pub fn new(length: u32) -> Self {
        let words = u64::from(length).next_power_of_two().max(PLACES) / PLACES;
        Calls {
            length: length.into(),
            at: Line(AtomicU64::new(0)),
            marks: (0..words).map(|_| AtomicU64::new(0)).collect(),
            before: AtomicU64::new(0),
        }
    }

    /// See [`super::Window::add`].
    pub fn add(&self, generation: u32, marked: bool) -> bool {
        let Some(count) = self.take_place(generation) else { return false };
        // What leaves first: it may be the place that is taken.
        self.end(generation, count);
        if marked {
            self.mark(generation, count);
        }
        true
    }

    /// The first half of counting a result that is not marked: the place that was taken. Err(true): somebody was in the
    /// way. Err(false): it takes more than this.
    #[inline(always)]
    pub fn try_begin(&self, generation: u32) -> Result<u64, bool> {
        let at = self.at.0.load(Ordering::Relaxed);
        if (at >> COUNT) as u32 != generation || at % COUNTS + 1 == COUNTS {
            return Err(false);
        }
        // Relaxed, as below.
        match self.at.0.compare_exchange(at, at + 1, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(at % COUNTS),
            Err(_) => Err(true),
        }
    }

    /// Whether there is a second half: a mark leaves the window with that place.
    #[inline(always)]
    pub fn has_to_end(&self, generation: u32, place: u64) -> bool {
        place >= self.length && {
            let (word, bit) = self.place(place - self.length);
            let marks = word.load(Ordering::Relaxed);
            marks & bit != 0 && (marks >> PLACES) as u32 == generation
        }
    }

    /// The second half.
    pub fn end(&self, generation: u32, place: u64) {
        if place >= self.length {
            self.clear(generation, place - self.length);
        }
    }

    /// How many calls of the generation came before. None: it is over.
    fn take_place(&self, generation: u32) -> Option<u64> {
        let mut at = self.at.0.load(Ordering::Relaxed);
        loop {
            let (its, count) = ((at >> COUNT) as u32, at % COUNTS);
            if its != generation {
                at = self.begin(generation, at)?;
                continue;
            }
            // Past the end it goes on in the middle: at the same place, as full as it was.
            let next = if count + 1 == COUNTS { COUNTS / 2 } else { count + 1 };
            // Relaxed: a number, which stands for itself. Who marks a place has a fence of his own.
            match self.at.0.compare_exchange_weak(at, at - count + next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) if next < count => {
                    self.before.fetch_add(count + 1 - next, Ordering::Relaxed);
                    return Some(count);
                }
                Ok(_) => return Some(count),
                Err(now) => at = now,
            }
        }
    }

    /// The window becomes this generation's, or is already; what its word is now. None: it is a later one's.
    #[cold]
    fn begin(&self, generation: u32, at: u64) -> Option<u64> {
        ahead(generation, (at >> COUNT) as u32)?;
        let fresh = u64::from(generation) << COUNT;
        match self.at.0.compare_exchange(at, fresh, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                self.before.fetch_add(at % COUNTS, Ordering::Relaxed);
                Some(fresh)
            }
            Err(now) => Some(now),
        }
    }

    /// The word and the bit of a place. Both go round: there is a power of two of words.
    #[inline(always)]
    fn place(&self, count: u64) -> (&AtomicU64, u64) {
        let word = (count / PLACES) as usize & (self.marks.len() - 1);
        (&self.marks[word], 1 << (count % PLACES))
    }

    fn clear(&self, generation: u32, count: u64) {
        let (word, bit) = self.place(count);
        let mut marks = word.load(Ordering::Relaxed);
        // Those of another generation are as good as clear.
        while marks & bit != 0 && (marks >> PLACES) as u32 == generation {
            match word.compare_exchange_weak(marks, marks & !bit, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => marks = now,
            }
        }
    }

    #[cold]
    fn mark(&self, generation: u32, count: u64) {
        let (word, bit) = self.place(count);
        let mut marks = word.load(Ordering::Relaxed);
        loop {
            let its = (marks >> PLACES) as u32;
            let next = match its == generation {
                true => marks | bit,
                false if ahead(its, generation).is_some() => return,
                false => u64::from(generation) << PLACES | bit,
            };
            match word.compare_exchange_weak(marks, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => marks = now,
            }
        }
    }

    /// See [`super::Window::tally`].
    pub fn tally(&self, generation: u32) -> Tally {
        let at = self.at.0.load(Ordering::Relaxed);
        if (at >> COUNT) as u32 != generation {
            return Tally::default();
        }
        let mut marked = 0;
        for word in &self.marks {
            let marks = word.load(Ordering::Relaxed);
            if (marks >> PLACES) as u32 == generation {
                marked += u64::from((marks as u32).count_ones());
            }
        }
        let total = (at % COUNTS).min(self.length);
        // Those who mark at this moment may have taken their places and not cleared others yet.
        Tally { total, marked: marked.min(total) }
    }

    /// See [`super::Window::cells`].
    #[cfg(all(test, not(weft_loom)))]
    pub fn cells(&self) -> Vec<&AtomicU64> {
        std::iter::once(&self.at.0).chain(&self.marks).collect()
    }

    /// See [`super::Window::counted`].
    pub fn counted(&self) -> u64 {
        self.before.load(Ordering::Relaxed) + self.at.0.load(Ordering::Relaxed) % COUNTS
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn it_counts_exactly_the_last_calls() {
        for length in [1, 2, 3, 31, 32, 33, 64, 100, 257] {
            let (window, mut seen, mut random) = (Calls::new(length), Vec::new(), 1u64);
            for _ in 0..1000 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let marked = random >> 62 == 0;
                assert!(window.add(0, marked));
                seen.push(marked);
                let last = &seen[seen.len().saturating_sub(length as usize)..];
                let marked = last.iter().filter(|&&marked| marked).count() as u64;
                assert_eq!(window.tally(0), Tally { total: last.len() as u64, marked }, "length {length}");
            }
            assert_eq!(window.counted(), 1000);
        }
    }

    #[test]
    fn a_generation_begins_empty_and_what_is_late_changes_nothing() {
        let window = Calls::new(40);
        (0..80).for_each(|_| assert!(window.add(3, true)));
        assert!(window.add(5, false), "a later one begins");
        assert_eq!(window.tally(5), Tally { total: 1, marked: 0 });
        assert!(!window.add(3, true), "what is late");
        assert_eq!(window.tally(5), Tally { total: 1, marked: 0 });
        assert_eq!(window.tally(3), Tally::default());
        assert!(window.add(5, true));
        assert_eq!(window.tally(5), Tally { total: 2, marked: 1 });
        assert_eq!(window.counted(), 82);
    }

    #[test]
    fn the_count_goes_round_and_the_window_stays_full() {
        let window = Calls::new(3);
        // As if there had been that many.
        window.at.0.store(COUNTS - 6, Ordering::Relaxed);
        (0..3).for_each(|_| assert!(window.add(0, true)));
        for marked in [true, false, true, false, false, true] {
            assert!(window.add(0, marked));
            assert_eq!(window.tally(0).total, 3);
        }
        assert_eq!(window.tally(0).marked, 1);
        assert_eq!(window.counted(), COUNTS + 3);
    }
}
