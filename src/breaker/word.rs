//! The breaker's state as one value of 64 bits, which changes hands by one exchange:
//!
//! ```text
//! generation 31 | issued 10 | ok 10 | bad 10 | state 3
//! ```
//!
//! issued, ok and bad are the probes of this generation while it is half-open: let through and not given back, and how
//! they ended. While it is open their place holds the attempt, by which the wait grows.

/// Whether calls are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum State {
    /// All are, and results are watched.
    Closed = 0,
    /// None is, for a time.
    Open = 1,
    /// A few are, whose results decide.
    HalfOpen = 2,
    /// None is, until told otherwise.
    ForcedOpen = 3,
    /// All are, and nothing is watched.
    Disabled = 4,
    /// All are; results are watched and change nothing.
    MetricsOnly = 5,
}

impl State {
    /// The state with this number.
    pub fn from_number(number: i32) -> Option<State> {
        use State::*;
        [Closed, Open, HalfOpen, ForcedOpen, Disabled, MetricsOnly].into_iter().find(|&state| state as i32 == number)
    }

    /// All calls are let through.
    #[inline]
    pub fn is_free(self) -> bool {
        matches!(self, State::Closed | State::Disabled | State::MetricsOnly)
    }
}

/// Probes at most: what a count of the word holds.
pub const MAX_PROBES: u32 = COUNT as u32;

const COUNT: u64 = (1 << 10) - 1;
const STATE: u64 = 7;
const BAD: u32 = 3;
const OK: u32 = 13;
const ISSUED: u32 = 23;
const GENERATION: u32 = 33;
/// Generations go round.
const GENERATIONS: u32 = 1 << 31;

/// The generation after this one.
pub fn following(generation: u32) -> u32 {
    (generation + 1) % GENERATIONS
}

/// How many generations the first is ahead of the second; of what is further apart than half a round, nothing is known.
pub fn ahead(first: u32, second: u32) -> Option<u32> {
    let by = first.wrapping_sub(second) % GENERATIONS;
    (by > 0 && by < GENERATIONS / 2).then_some(by)
}

/// The value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(pub u64);

impl Word {
    /// A generation that begins.
    #[inline]
    pub fn new(generation: u32, state: State) -> Self {
        Word(u64::from(generation) << GENERATION | state as u64)
    }

    /// The next generation begins.
    pub fn next(self, state: State) -> Self {
        Word::new(following(self.generation()), state)
    }

    /// It is to be open, for the time that this attempt has to wait.
    pub fn next_open(self, attempt: u32) -> Self {
        Word(self.next(State::Open).0 | u64::from(attempt) << BAD)
    }

    /// Which generation it is.
    #[inline]
    pub fn generation(self) -> u32 {
        (self.0 >> GENERATION) as u32
    }

    /// What state it is in.
    #[inline]
    pub fn state(self) -> State {
        match self.0 & STATE {
            0 => State::Closed,
            1 => State::Open,
            2 => State::HalfOpen,
            3 => State::ForcedOpen,
            4 => State::Disabled,
            _ => State::MetricsOnly,
        }
    }

    /// Half-open: probes that were let through and have not been given back.
    pub fn issued(self) -> u32 {
        (self.0 >> ISSUED & COUNT) as u32
    }

    /// Half-open: probes that went well.
    pub fn ok(self) -> u32 {
        (self.0 >> OK & COUNT) as u32
    }

    /// Half-open: probes that did not.
    pub fn bad(self) -> u32 {
        (self.0 >> BAD & COUNT) as u32
    }

    /// Open: how often it has been half-open in vain before.
    pub fn attempt(self) -> u32 {
        (self.0 >> BAD) as u32 & (COUNT as u32)
    }

    /// One more probe is let through. There is room for it.
    pub fn issue(self) -> Self {
        Word(self.0 + (1 << ISSUED))
    }

    /// A probe is given back.
    pub fn give_back(self) -> Self {
        Word(self.0 - (1 << ISSUED))
    }

    /// A probe has ended.
    pub fn conclude(self, well: bool) -> Self {
        Word(self.0 + (1 << if well { OK } else { BAD }))
    }
}

/// Until when the generation's state lasts unless something else ends it:
///
/// ```text
/// tag 12 | attempt 8 | time 44
/// ```
///
/// The tag is the end of the generation that it is of; the time is in units of 2^16 ns, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until(pub u64);

const UNIT: u32 = 16;
const TIME: u64 = (1 << 44) - 1;
const ATTEMPT: u32 = 44;
const TAG: u32 = 52;
/// Attempts at most; they count no further.
pub const MAX_ATTEMPT: u32 = 255;

impl Until {
    /// That of a generation.
    pub fn new(generation: u32, attempt: u32, at_ns: i64) -> Self {
        let units = (at_ns.max(0) as u64).div_ceil(1 << UNIT).min(TIME);
        Until(u64::from(generation % (1 << 12)) << TAG | u64::from(attempt.min(MAX_ATTEMPT)) << ATTEMPT | units)
    }

    /// Whether it is this generation's.
    #[inline]
    pub fn is_of(self, generation: u32) -> bool {
        self.0 >> TAG == u64::from(generation % (1 << 12))
    }

    /// How often it has been half-open in vain since it was closed.
    pub fn attempt(self) -> u32 {
        (self.0 >> ATTEMPT) as u32 & MAX_ATTEMPT
    }

    /// The point in time.
    #[inline]
    pub fn ns(self) -> i64 {
        match self.0 & TIME {
            TIME => i64::MAX,
            units => (units << UNIT) as i64,
        }
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_parts_do_not_touch() {
        let mut word = Word::new(GENERATIONS - 2, State::HalfOpen);
        for _ in 0..MAX_PROBES {
            word = word.issue();
        }
        for _ in 0..MAX_PROBES {
            word = word.conclude(true).conclude(false);
        }
        assert_eq!((word.issued(), word.ok(), word.bad()), (MAX_PROBES, MAX_PROBES, MAX_PROBES));
        assert_eq!((word.generation(), word.state()), (GENERATIONS - 2, State::HalfOpen));
        let open = word.next_open(MAX_ATTEMPT);
        assert_eq!((open.generation(), open.state(), open.attempt()), (GENERATIONS - 1, State::Open, MAX_ATTEMPT));
        assert_eq!(open.next(State::MetricsOnly), Word::new(0, State::MetricsOnly), "generations go round");
        assert_eq!(ahead(0, GENERATIONS - 1), Some(1));
        assert_eq!(ahead(GENERATIONS - 1, 0), None);
        assert_eq!(ahead(5, 5), None);
        assert!((0..6).all(|n| State::from_number(n).is_some_and(|state| Word::new(7, state).state() == state)));
        assert_eq!((State::from_number(-1), State::from_number(6)), (None, None));
    }

    #[test]
    fn times_are_rounded_up_and_end_in_for_ever() {
        let until = Until::new(4097, 300, 1);
        assert!(until.is_of(1) && !until.is_of(2));
        assert_eq!((until.attempt(), until.ns()), (MAX_ATTEMPT, 1 << UNIT));
        assert_eq!(Until::new(0, 0, i64::MAX).ns(), i64::MAX);
        assert_eq!(Until::new(0, 0, -5).ns(), 0);
        assert_eq!(Until::new(0, 0, 7 << UNIT).ns(), 7 << UNIT);
    }
}
