//! The switch: the state word, and until when it lasts. Everything that decides whether a call is let through.
//!
//! Each change of state is one exchange of the word and begins a new generation, so a result that comes late is told by
//! its permit's. The second word has the end of the generation. It is set after the first has changed, by whoever comes
//! first ([`Switch::until`]), so nobody waits for somebody who does not go on; and no generation ends before its second
//! word is set, so that is of this generation or of the one before, whose attempt goes on.

use super::policy::Policy;
use super::word::{State, Until, Word};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::time::Now;

/// Both words, in a line that only changes of state write.
#[repr(align(128))]
pub struct Switch {
    word: AtomicU64,
    until: AtomicU64,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// The one that begins.
    pub generation: u32,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is let through, in this generation.
    Through(u32),
    /// It is not.
    Rejected,
}

/// What becomes of a probe's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It counts.
    Counted(Option<Change>),
    /// Its generation is over.
    Late,
    /// As many results have come as probes are out: it is another's, or came before.
    TooMany,
}

impl Switch {
    /// Closed.
    pub fn new(now_ns: i64) -> Self {
        let (word, until) = (Word::new(0, State::Closed), Until::new(0, 0, now_ns));
        Switch { word: AtomicU64::new(word.0), until: AtomicU64::new(until.0) }
    }

    /// The word now. Acquire pairs with the exchange that made it: what came before a generation has been done.
    #[inline(always)]
    pub fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    /// Whether this generation lasts, seen from behind everything that was seen before: had a later one left a trace of
    /// any ordering that this thread has read, this would not be the word any more. An exchange of nothing, AcqRel: were
    /// it before the one that begins the later generation, all that came before it could not have read what came of that.
    pub fn is_still(&self, generation: u32) -> bool {
        Word(self.word.fetch_add(0, Ordering::AcqRel)).generation() == generation
    }

    /// Whether a call is certainly rejected: it is open, or all probes are out, and will be for a while.
    #[inline(always)]
    pub fn is_shut(&self, word: Word, policy: &Policy, clock: &impl Now) -> bool {
        let lasts = match word.state() {
            State::ForcedOpen => return true,
            State::Open => true,
            State::HalfOpen => word.issued() >= policy.probes,
            _ => false,
        };
        lasts && {
            let until = Until(self.until.load(Ordering::Acquire));
            until.is_of(word.generation()) && clock.coarse_ns() < until.ns()
        }
    }

    /// Lets a call through, or not. Of those that find the time over, one begins the next generation.
    pub fn admit(&self, policy: &Policy, clock: &impl Now) -> (Entry, Option<Change>) {
        loop {
            let word = self.word();
            if word.state().is_free() {
                return (Entry::Through(word.generation()), None);
            }
            if word.state() == State::ForcedOpen {
                return (Entry::Rejected, None);
            }
            let Some(until) = self.until(word, policy, clock) else { continue };
            let has_room = word.state() == State::HalfOpen && word.issued() < policy.probes;
            if has_room {
                // Before the probe is out: it has all of its time. At worst one that is not let through extends the
                // others'.
                self.extend(until, word, clock.precise_ns().saturating_add(policy.probe_wait_ns));
                if self.exchange(word, word.issue()) {
                    return (Entry::Through(word.generation()), None);
                }
            } else if clock.coarse_ns() < until.ns() {
                return (Entry::Rejected, None);
            } else {
                // The wait is over; or the probes hang, and this generation's results will come too late.
                let next = word.next(State::HalfOpen).issue();
                if let Some(change) = self.change(word, next, policy, clock) {
                    return (Entry::Through(next.generation()), Some(change));
                }
            }
        }
    }

    /// A probe of this generation has ended; None: it is given back.
    pub fn conclude(&self, generation: u32, well: Option<bool>, policy: &Policy, clock: &impl Now) -> Probe {
        loop {
            let word = self.word();
            if word.generation() != generation {
                return Probe::Late;
            }
            if word.state() != State::HalfOpen || word.ok() + word.bad() >= word.issued() {
                return Probe::TooMany;
            }
            let next = well.map_or_else(|| word.give_back(), |well| word.conclude(well));
            let Some(verdict) = policy.verdict(next) else {
                if self.exchange(word, next) {
                    return Probe::Counted(None);
                }
                continue;
            };
            let Some(until) = self.until(word, policy, clock) else { continue };
            let decided = match verdict {
                true => word.next(State::Closed),
                false => word.next_open((until.attempt() + 1).min(super::word::MAX_ATTEMPT)),
            };
            if let Some(change) = self.change(word, decided, policy, clock) {
                return Probe::Counted(Some(change));
            }
        }
    }

    /// Opens it if it is closed, in this generation. None: it is not any more.
    pub fn trip(&self, generation: u32, policy: &Policy, clock: &impl Now) -> Option<Change> {
        let word = Word::new(generation, State::Closed);
        while self.word() == word {
            if self.until(word, policy, clock).is_some()
                && let Some(change) = self.change(word, word.next_open(0), policy, clock)
            {
                return Some(change);
            }
        }
        None
    }

    /// Begins a generation in this state, whatever it was.
    pub fn force(&self, state: State, policy: &Policy, clock: &impl Now) -> Change {
        loop {
            let word = self.word();
            if self.until(word, policy, clock).is_some()
                && let Some(change) = self.change(word, word.next(state), policy, clock)
            {
                return change;
            }
        }
    }

    /// How long calls will be rejected, if nothing happens before: 0: they are let through; i64::MAX: it is not known.
    pub fn retry_after_ns(&self, policy: &Policy, clock: &impl Now) -> i64 {
        let word = self.word();
        let until = Until(self.until.load(Ordering::Acquire));
        let left = || until.ns().saturating_sub(clock.coarse_ns()).max(0);
        match word.state() {
            State::ForcedOpen => i64::MAX,
            State::Open if until.is_of(word.generation()) && until.ns() < i64::MAX => left(),
            State::Open => policy.open_wait_ns(word.attempt(), word.generation()),
            State::HalfOpen if word.issued() < policy.probes => 0,
            State::HalfOpen if until.is_of(word.generation()) => left(),
            State::HalfOpen => policy.probe_wait_ns,
            _ => 0,
        }
    }

    /// How often it has been half-open in vain since it was closed.
    pub fn attempt(&self) -> u32 {
        match self.word().state() {
            State::Open | State::HalfOpen => Until(self.until.load(Ordering::Acquire)).attempt(),
            _ => 0,
        }
    }

    /// All that decides what it does.
    #[cfg(all(test, not(weft_loom)))]
    pub fn cells(&self) -> [&AtomicU64; 2] {
        [&self.word, &self.until]
    }

    /// The end of the word's generation, set here if nobody has set it yet. None: that generation is over.
    fn until(&self, word: Word, policy: &Policy, clock: &impl Now) -> Option<Until> {
        // Acquire pairs with the exchange below. It is no older than that of the generation before: whoever began this
        // one had seen that, and we have seen the word that came of it.
        let before = Until(self.until.load(Ordering::Acquire));
        if before.is_of(word.generation()) {
            return Some(before);
        }
        // What is neither of this generation nor of the one before is of a later one.
        if !before.is_of(word.generation().wrapping_sub(1)) {
            return None;
        }
        let attempt = match word.state() {
            State::Open => word.attempt(),
            State::HalfOpen => before.attempt(),
            _ => 0,
        };
        let until = policy.until(word, attempt, clock.precise_ns());
        match self.until.compare_exchange(before.0, until.0, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Some(until),
            Err(now) => Some(Until(now)).filter(|now| now.is_of(word.generation())),
        }
    }

    /// Has the generation last longer.
    fn extend(&self, mut until: Until, word: Word, at_ns: i64) {
        let longer = Until::new(word.generation(), until.attempt(), at_ns);
        while until.is_of(word.generation()) && until.ns() < longer.ns() {
            match self.until.compare_exchange(until.0, longer.0, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => until = Until(now),
            }
        }
    }

    /// Begins the next generation, if the word is still this one, whose end is known.
    fn change(&self, word: Word, next: Word, policy: &Policy, clock: &impl Now) -> Option<Change> {
        self.exchange(word, next).then(|| {
            self.until(next, policy, clock);
            Change { from: word.state(), to: next.state(), generation: next.generation() }
        })
    }

    fn exchange(&self, word: Word, next: Word) -> bool {
        // AcqRel: it comes after what made the word what it was, and whoever sees it comes after both.
        self.word.compare_exchange(word.0, next.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}
