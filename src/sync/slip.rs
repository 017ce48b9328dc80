//! Keeps the two sides of a queue apart.
//!
//! Of two threads at the same pace, one close behind the other, each takes from the other's cache the line that the other is
//! about to use next: the one with the index, and the one with the elements. That costs several transfers an element,
//! many times what passing it takes. Some hundreds of elements apart, the two share nothing for as long. So a side that looks
//! at the other's index and finds that the other has got on a little waits a moment. (Temporal slipping: Giacomoni, Moseley,
//! Vachharajani, "FastForward for Efficient Pipeline Parallelism", PPoPP 2008.)
//!
//! That pays in a stream and nowhere else. So nobody waits who finds one element alone, unless he has found one each time he
//! looked, several times in a row; and each wait in which the other side stood still makes the next one rarer.

/// Being this far from the other side is far enough.
const FAR: usize = 256;
/// How long the wait is: half a microsecond to three.
const PAUSES: u32 = 50;
/// In that time a stream brings this many elements.
const STREAM: usize = 8;
/// Looks that find one element, in a row, which are a stream as well.
const ONES: u32 = 4;
/// After how many occasions a wait is tried again at the latest.
const RARELY: u32 = 127;

/// What one side has seen of the other.
#[derive(Default)]
pub struct Slip {
    /// Less than this is close. 0: the queue is too short to be far apart in.
    close: u32,
    /// Looks in a row that found one element.
    ones: u32,
    /// Occasions to let pass.
    skip: u32,
    /// As many were let pass the last time.
    skipped: u32,
}

impl Slip {
    /// For a queue that holds so many.
    pub fn new(capacity: usize) -> Slip {
        Slip { close: Self::close(capacity), ones: 0, skip: 0, skipped: 0 }
    }

    /// How many elements apart is close in a queue that holds so many.
    fn close(capacity: usize) -> u32 {
        let close = FAR.min(capacity / 4);
        if close < 2 * STREAM { 0 } else { close as u32 }
    }

    /// The same for a queue whose elements take `bytes` of its `capacity`, this time. `load`: how many bytes there are.
    #[inline(always)]
    pub fn look_at_bytes<E>(
        &mut self,
        bytes: usize,
        capacity: usize,
        load: impl Fn() -> Result<usize, E>,
    ) -> Result<usize, E> {
        let elements = |loaded: usize| loaded.div_ceil(bytes);
        let seen = load()?;
        let passed = elements(seen);
        self.close = Self::close(capacity / bytes);
        if !self.lets_pass(passed) {
            pause();
            let now = load()?;
            self.learn(elements(now.saturating_sub(seen)));
            return Ok(now);
        }
        Ok(seen)
    }

    /// Has `other` become what `load` says of the other side's index, after a wait if that is worth it.
    pub fn look(&mut self, other: &mut usize, load: impl Fn() -> usize) {
        let seen = load();
        let passed = seen.wrapping_sub(*other);
        *other = seen;
        if !self.lets_pass(passed) {
            pause();
            *other = load();
            self.learn(other.wrapping_sub(seen));
        }
    }

    /// Whether this is no occasion to wait: the other side has got on by so much. If it is one, [`Slip::look`] is to follow.
    #[inline(always)]
    pub fn lets_pass(&mut self, passed: usize) -> bool {
        if passed >= self.close as usize {
            return true;
        }
        let ones = if passed == 1 { self.ones.saturating_add(1) } else { 0 };
        if passed > 1 || ones >= ONES {
            if self.skip == 0 {
                return false;
            }
            self.skip -= 1;
        }
        self.ones = ones;
        true
    }

    fn learn(&mut self, came: usize) {
        self.skipped = if came < STREAM { (2 * self.skipped + 1).min(RARELY) } else { 0 };
        self.skip = self.skipped;
    }
}

fn pause() {
    for _ in 0..PAUSES {
        std::hint::spin_loop();
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// How often each look waits, if the other side gets on by `first` before the look and by `more` during the wait.
    fn waits(slip: &mut Slip, looks: usize, first: usize, more: usize) -> usize {
        let (mut other, mut waits) = (0, 0);
        for _ in 0..looks {
            let (calls, before) = (Cell::new(0), other);
            slip.look(&mut other, || {
                calls.set(calls.get() + 1);
                before + if calls.get() == 1 { first } else { first + more }
            });
            waits += calls.get() - 1;
            assert_eq!(other, before + if calls.get() == 1 { first } else { first + more });
        }
        waits
    }

    #[test]
    fn a_close_stream_is_waited_for() {
        assert_eq!(waits(&mut Slip::new(1024), 100, 5, 60), 100);
        assert_eq!(waits(&mut Slip::new(usize::MAX), 100, 255, 8), 100);
        assert_eq!(waits(&mut Slip::new(1024), 100, 256, 60), 0);
        assert_eq!(waits(&mut Slip::new(512), 100, 128, 60), 0);
    }

    #[test]
    fn one_element_at_a_time_is_not() {
        let mut slip = Slip::new(1024);
        for _ in 0..100 {
            assert_eq!(waits(&mut slip, 1, 1, 60) + waits(&mut slip, 1, 0, 60), 0);
        }
        assert_eq!(waits(&mut slip, 100, 1, 60), 97);
    }

    #[test]
    fn in_vain_ever_more_rarely() {
        let mut slip = Slip::new(1024);
        assert_eq!(waits(&mut slip, 255, 2, 0), 8);
        assert_eq!(waits(&mut slip, 128 * 10, 2, 7), 10);
        // A stream is noticed at the next try.
        assert_eq!(waits(&mut slip, 128 + 99, 2, 8), 100);
    }

    /// Blocks of 88 bytes: a stream of them, and one at a time with nothing in between.
    #[test]
    fn bytes_count_as_blocks_of_the_last_size() {
        for (first, waits) in [(5 * 88, 100), (300 * 88, 0), (88, 97), (0, 0)] {
            let (mut slip, mut seen) = (Slip::default(), 0);
            for _ in 0..100 {
                let calls = Cell::new(0);
                let load = || {
                    calls.set(calls.get() + 1);
                    Ok::<_, ()>(if calls.get() == 1 { first } else { first + 60 * 88 })
                };
                assert_eq!(
                    slip.look_at_bytes(88, 1 << 20, load),
                    Ok(if calls.get() == 1 { first } else { first + 5280 })
                );
                seen += calls.get() - 1;
            }
            assert_eq!(seen, waits);
        }
        // Too few of them fit in to be far apart.
        assert_eq!(Slip::default().look_at_bytes(4096, 1 << 14, || Err(())), Err(()));
        assert_eq!(Slip::default().look_at_bytes(88, 4096, || Ok::<_, ()>(440)), Ok(440));
    }

    #[test]
    fn short_queues_are_never_far_apart() {
        for capacity in [2, 16, 63] {
            assert_eq!(waits(&mut Slip::new(capacity), 100, capacity / 2, 1), 0);
        }
    }
}
