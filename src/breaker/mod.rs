//! Circuit breakers: whether to call at all.
//!
//! Calls to something that fails are let through no more, for a time; then a few are, whose results decide. A call asks
//! for a permit ([`Breaker::acquire`]) and says with it how it ended ([`Breaker::record`]). It needs no runtime and no
//! thread: states change when somebody asks or records.
//!
//! [`word`] is the state as a value, [`switch`] changes it and decides who is let through. [`window`] holds the latest
//! results, [`policy`] the rules, [`listeners`] those who are told. Here they are put together.
//!
//! Four properties are tested over all short histories (`space`): in a half-open generation no more probes are let
//! through than allowed; a result of an earlier generation changes nothing but counters; it closes only when enough
//! probes of this generation went well; and it can recover whatever hangs, because probes that take too long make room
//! for others.

pub mod listeners;
pub mod policy;
pub mod switch;
pub mod window;
pub mod word;

#[cfg(all(test, weft_loom))]
mod models;
#[cfg(all(test, not(weft_loom)))]
mod space;
#[cfg(all(test, not(weft_loom)))]
mod tests;

use std::sync::Arc;

use crate::error::{Failure, Result, Status};
use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::time::Now;
use crate::time::now::System;
use listeners::{Event, Listener, Listeners};
use policy::{Extent, Outcome, Policy};
use switch::{Change, Entry, Probe, Switch};
use window::{Tally, Window};
use word::{State, Word, ahead};

/// What a call was let through with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Permit {
    /// The generation that it counts for.
    pub generation: u32,
    /// When it began, if that matters.
    pub start_ns: i64,
}

/// How far [`Breaker::record_ok`] got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Nothing was done.
    No,
    /// Nothing was done, because another thread was in the way.
    Again,
    /// It is in the window, at this place; [`Breaker::record_rest`] is left.
    In(u64),
    /// All was done.
    Done,
}

/// What a breaker has seen so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// The state and its generation.
    pub word: Word,
    /// How often it has been half-open in vain since it was closed.
    pub attempt: u32,
    /// Calls that ended well.
    pub ok: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that say nothing.
    pub ignored: u64,
    /// Calls of the first two kinds that were slow.
    pub slow: u64,
    /// Calls that were not let through.
    pub rejected: u64,
    /// Results that came after their generation, of any kind.
    pub late: u64,
    /// Results that nobody knows; each is also counted as what it counts as.
    pub abandoned: u64,
    /// How often it opened by itself.
    pub opened: u64,
    /// The window.
    pub window: Tally,
    /// Slow calls in the window.
    pub window_slow: u64,
    /// Failures in a row.
    pub consecutive: u64,
}

/// What is counted beside the windows.
#[derive(Default)]
#[repr(align(128))]
struct Counters {
    /// Outside of windows.
    ok: AtomicU64,
    /// Of those that the window counted.
    window_failed: AtomicU64,
    failed: AtomicU64,
    ignored: AtomicU64,
    slow: AtomicU64,
    rejected: AtomicU64,
    late: AtomicU64,
    abandoned: AtomicU64,
    opened: AtomicU64,
}

/// A circuit breaker.
pub struct Breaker<T: Now = System> {
    switch: Switch,
    /// A call's duration matters.
    is_timed: bool,
    clock: T,
    policy: Policy,
    failures: Window,
    slow: Option<Window>,
    streak: Streak,
    counters: Counters,
    listeners: Arc<Listeners>,
}

impl<T: Now> Breaker<T> {
    /// A closed breaker.
    pub fn new(policy: Policy, clock: T) -> Result<Self> {
        policy.check()?;
        let now_ns = clock.precise_ns();
        Ok(Breaker {
            switch: Switch::new(now_ns),
            is_timed: policy.slow.is_some(),
            failures: Window::new(policy.extent, now_ns),
            slow: policy.slow.map(|_| Window::new(policy.extent, now_ns)),
            clock,
            policy,
            streak: Streak::default(),
            counters: Counters::default(),
            listeners: Arc::default(),
        })
    }

    /// The most common case of [`Breaker::acquire`]; None: it has to be asked.
    #[inline(always)]
    pub fn pass(&self) -> Option<Permit> {
        let word = self.switch.word();
        let passes = word.state().is_free() && !self.is_timed;
        passes.then(|| Permit { generation: word.generation(), start_ns: 0 })
    }

    /// The same where calls are timed.
    #[inline(always)]
    pub fn pass_timed(&self) -> Option<Permit> {
        let word = self.switch.word();
        word.state().is_free().then(|| self.permit(word.generation()))
    }

    /// Whether a call is certainly not let through, which then is counted.
    #[inline(always)]
    pub fn turns_away(&self) -> bool {
        let shut = self.switch.is_shut(self.switch.word(), &self.policy, &self.clock);
        if shut {
            self.counters.rejected.fetch_add(1, Ordering::Relaxed);
        }
        shut
    }

    /// Lets a call through, or not. Its result is to be recorded.
    pub fn acquire(&self) -> Option<Permit> {
        let (entry, change) = self.switch.admit(&self.policy, &self.clock);
        self.tell(change);
        match entry {
            Entry::Through(generation) => Some(self.permit(generation)),
            Entry::Rejected => {
                self.counters.rejected.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    #[inline(always)]
    fn permit(&self, generation: u32) -> Permit {
        Permit { generation, start_ns: if self.is_timed { self.clock.precise_ns() } else { 0 } }
    }

    /// The most common case of [`Breaker::record`]: a call that went well while it is closed.
    #[inline(always)]
    pub fn record_ok(&self, generation: u32) -> Recorded {
        let Window::Calls(calls) = &self.failures else { return Recorded::No };
        if self.is_timed || self.switch.word() != Word::new(generation, State::Closed) {
            return Recorded::No;
        }
        match calls.try_begin(generation) {
            Ok(place) if self.streak.is_none(generation) && !calls.has_to_end(generation, place) => Recorded::Done,
            Ok(place) => Recorded::In(place),
            Err(true) => Recorded::Again,
            Err(false) => Recorded::No,
        }
    }

    /// As C programs record.
    #[cfg(test)]
    fn record_as_c(&self, permit: Permit, outcome: Outcome) {
        let first = if outcome == Outcome::Ok { self.record_ok(permit.generation) } else { Recorded::No };
        match first {
            Recorded::Done => {}
            Recorded::In(place) => self.record_rest(permit.generation, place),
            Recorded::Again => self.record_as_c(permit, outcome),
            Recorded::No => self.record(permit, outcome).unwrap(),
        }
    }

    /// What is left of a result that has taken this place.
    pub fn record_rest(&self, generation: u32, place: u64) {
        if let Window::Calls(calls) = &self.failures {
            calls.end(generation, place);
        }
        self.streak.end(generation);
    }

    /// The time, as exact as the rules want it; 0 if they do not.
    fn now_ns(&self) -> i64 {
        match (self.is_timed, self.policy.extent) {
            (true, _) => self.clock.precise_ns(),
            (false, Extent::Time(_)) => self.clock.coarse_ns(),
            (false, Extent::Calls(_)) => 0,
        }
    }

    /// Says how a call ended, and tells what changes by that.
    pub fn record(&self, permit: Permit, outcome: Outcome) -> Result<()> {
        let change = self.settle(permit, outcome)?;
        self.tell(change);
        Ok(())
    }

    /// Says how a call ended. What changes by that is to be told.
    pub fn settle(&self, permit: Permit, outcome: Outcome) -> Result<Option<Change>> {
        // The time first: no result of a generation is later than the next one's.
        let now_ns = self.now_ns();
        let word = self.switch.word();
        let recorded = match outcome {
            Outcome::Abandoned => self.policy.abandoned,
            outcome => outcome,
        };
        let failed = recorded == Outcome::Fail;
        let counts = recorded != Outcome::Ignore;
        let is_slow = |(slow_ns, _)| now_ns.saturating_sub(permit.start_ns) >= slow_ns;
        let slow = counts && self.policy.slow.is_some_and(is_slow);
        let mut changed = None;
        if word.generation() != permit.generation {
            if ahead(permit.generation, word.generation()).is_some() {
                return Err(Failure::new(Status::Invalid, "permit: this breaker has not given it"));
            }
            self.late();
        } else if word.state() == State::HalfOpen {
            // A slow one shows that it has not recovered.
            let well = counts.then_some(!failed && !slow);
            match self.switch.conclude(permit.generation, well, &self.policy, &self.clock) {
                Probe::Counted(change) => {
                    self.count(recorded, slow);
                    changed = change;
                }
                Probe::Late => self.late(),
                Probe::TooMany => return Err(Failure::new(Status::Invalid, "permit: it has been recorded before")),
            }
        } else if !word.state().is_free() {
            return Err(Failure::new(Status::Invalid, "permit: this breaker has not given it"));
        } else if !counts || word.state() == State::Disabled {
            self.count(recorded, slow);
        } else {
            changed = self.watch(word, now_ns, failed, slow);
        }
        if outcome == Outcome::Abandoned {
            self.counters.abandoned.fetch_add(1, Ordering::Relaxed);
        }
        Ok(changed)
    }

    /// A result that the windows count.
    fn watch(&self, word: Word, now_ns: i64, failed: bool, slow: bool) -> Option<Change> {
        let generation = word.generation();
        if !self.add(&self.failures, generation, now_ns, failed) {
            self.late();
            return None;
        }
        if let Some(window) = &self.slow {
            self.add(window, generation, now_ns, slow);
        }
        if slow {
            self.counters.slow.fetch_add(1, Ordering::Relaxed);
        }
        let streak = if failed {
            self.counters.window_failed.fetch_add(1, Ordering::Relaxed);
            self.streak.go_on(generation)
        } else {
            self.streak.end(generation);
            0
        };
        if !(failed || slow) || word.state() != State::Closed {
            return None;
        }
        // Pairs with itself: of two who have marked different words, the one who comes second to this sees both marks.
        // And at a time when both are in the window, hence anew.
        fence(Ordering::SeqCst);
        let now_ns = self.now_ns();
        let too_many = self.policy.consecutive > 0 && streak >= u64::from(self.policy.consecutive);
        let too_much = |window: &Window, rate: f64| {
            let tally = window.tally(generation, now_ns);
            self.policy.is_too_much(rate, tally.marked, tally.total)
        };
        let opens = too_many
            || self.policy.failure_rate.is_some_and(|rate| failed && too_much(&self.failures, rate))
            || self
                .slow
                .as_ref()
                .zip(self.policy.slow)
                .is_some_and(|(window, (_, rate))| slow && too_much(window, rate));
        if opens { self.switch.trip(generation, &self.policy, &self.clock) } else { None }
    }

    /// Adds a result to a window. False: its generation is over.
    fn add(&self, window: &Window, generation: u32, now_ns: i64, marked: bool) -> bool {
        window.add(generation, now_ns, marked) || self.add_anew(window, generation, marked)
    }

    /// A window has taken a result for one of an earlier generation. It is not if only its time is over, because this
    /// thread stood still meanwhile, or if nobody has used that bucket for a whole round of epochs.
    #[cold]
    fn add_anew(&self, window: &Window, generation: u32, marked: bool) -> bool {
        let Window::Span(span) = window else { return false };
        let mut seen = None;
        loop {
            let now_ns = self.now_ns();
            // After `seen`: had a later generation put that there, it would be seen here.
            if !self.switch.is_still(generation) {
                return false;
            }
            match span.put(generation, now_ns, marked, seen) {
                Ok(()) => return true,
                Err(word) => seen = Some(word),
            }
        }
    }

    fn count(&self, outcome: Outcome, slow: bool) {
        let counter = match outcome {
            Outcome::Ok => &self.counters.ok,
            Outcome::Fail => &self.counters.failed,
            Outcome::Ignore | Outcome::Abandoned => &self.counters.ignored,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.counters.slow.fetch_add(slow.into(), Ordering::Relaxed);
    }

    #[cold]
    fn late(&self) {
        self.counters.late.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells the listeners of what [`Breaker::settle`] has changed.
    pub fn tell(&self, change: Option<Change>) {
        let Some(change) = change else { return };
        if change.to == State::Open {
            self.counters.opened.fetch_add(1, Ordering::Relaxed);
        }
        self.listeners.tell(Event { change, at_ns: self.clock.precise_ns() });
    }

    /// Puts it into a state. A new generation begins, also if it was in that state: windows are empty, no probe is out.
    pub fn force(&self, state: State) {
        let change = self.switch.force(state, &self.policy, &self.clock);
        self.listeners.tell(Event { change, at_ns: self.clock.precise_ns() });
    }

    /// The state. Changes nothing: when a wait is over, the next call begins the next state.
    pub fn state(&self) -> State {
        self.switch.word().state()
    }

    /// How long calls are rejected unless something happens before. 0: they are let through. i64::MAX: nobody knows.
    pub fn retry_after_ns(&self) -> i64 {
        self.switch.retry_after_ns(&self.policy, &self.clock)
    }

    /// Has the listener told of what comes after this. By its number it is taken out of the listeners.
    pub fn on_change(&self, listener: Listener) -> (Arc<Listeners>, u64) {
        (self.listeners.clone(), self.listeners.add(self.switch.word().generation(), listener))
    }

    /// Numbers of different moments.
    pub fn stats(&self) -> Stats {
        // On the clock that results are counted by: another would be behind them.
        let (word, now_ns) = (self.switch.word(), self.now_ns());
        let counter = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        // Failures first: they are a part of what is counted.
        let window_failed = counter(&counters.window_failed);
        Stats {
            word,
            attempt: self.switch.attempt(),
            ok: counter(&counters.ok) + self.failures.counted().saturating_sub(window_failed),
            failed: counter(&counters.failed) + window_failed,
            ignored: counter(&counters.ignored),
            slow: counter(&counters.slow),
            rejected: counter(&counters.rejected),
            late: counter(&counters.late),
            abandoned: counter(&counters.abandoned),
            opened: counter(&counters.opened),
            window: self.failures.tally(word.generation(), now_ns),
            window_slow: self.slow.as_ref().map_or(0, |window| window.tally(word.generation(), now_ns).marked),
            consecutive: self.streak.length(word.generation()),
        }
    }
}

impl<T: Now> Drop for Breaker<T> {
    fn drop(&mut self) {
        self.listeners.clear();
    }
}

/// A number that no other breaker of this process has, until 2^32 have been made; not 0.
#[cfg(not(weft_loom))]
pub fn serial() -> u32 {
    static LAST: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    // Relaxed: a number, which stands for itself.
    LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1).max(1)
}

/// Failures in a row: generation 32 | how many 32.
#[derive(Default)]
struct Streak(AtomicU64);

impl Streak {
    /// One more; how many there are.
    fn go_on(&self, generation: u32) -> u64 {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let next = match (word >> 32) as u32 {
                its if its == generation && word as u32 == u32::MAX => word,
                its if its == generation => word + 1,
                its if ahead(its, generation).is_some() => return 0,
                _ => u64::from(generation) << 32 | 1,
            };
            // Relaxed: each failure sees the number it makes, and nothing else goes by it.
            match self.0.compare_exchange_weak(word, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return next & u64::from(u32::MAX),
                Err(now) => word = now,
            }
        }
    }

    /// None in this generation. What an earlier one has left is nobody's.
    #[inline(always)]
    fn is_none(&self, generation: u32) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        word as u32 == 0 || (word >> 32) as u32 != generation
    }

    /// A call went well.
    fn end(&self, generation: u32) {
        let mut word = self.0.load(Ordering::Relaxed);
        while (word >> 32) as u32 == generation && word as u32 > 0 {
            let none = u64::from(generation) << 32;
            match self.0.compare_exchange_weak(word, none, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    fn length(&self, generation: u32) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        if (word >> 32) as u32 == generation { word & u64::from(u32::MAX) } else { 0 }
    }
}
