//! The rules: when it opens, how long it stays open, what the probes have to show.

use super::word::{MAX_PROBES, State, Until, Word};
use crate::error::{Failure, Result, Status};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Outcome {
    /// Well.
    Ok = 0,
    /// Badly.
    Fail = 1,
    /// In a way that says nothing.
    Ignore = 2,
    /// Nobody knows: who called is gone. Counts as the options say.
    Abandoned = 3,
}

impl Outcome {
    /// The outcome with this number.
    pub fn from_number(number: i32) -> Option<Outcome> {
        use Outcome::*;
        [Ok, Fail, Ignore, Abandoned].into_iter().find(|&outcome| outcome as i32 == number)
    }
}

/// What results are looked at together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Those of so many calls.
    Calls(u32),
    /// Those of so many nanoseconds.
    Time(i64),
}

/// The rules of one breaker.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What the rates are of.
    pub extent: Extent,
    /// With less calls than this, or than the window holds if that is less, rates say nothing.
    pub minimum_calls: u32,
    /// The share of failures that opens it.
    pub failure_rate: Option<f64>,
    /// A call that takes so long is slow, and the share of those that opens it.
    pub slow: Option<(i64, f64)>,
    /// So many failures in a row open it; 0: no number does.
    pub consecutive: u32,
    /// How many probes are let through.
    pub probes: u32,
    /// How many of them have to go well.
    pub probes_to_close: u32,
    /// How long it is open the first time.
    pub open_wait_ns: i64,
    /// How long at most.
    pub open_wait_max_ns: i64,
    /// How many times longer after each time that the probes failed.
    pub backoff: f64,
    /// How much of a wait is left to chance, from 0 to 1.
    pub jitter: f64,
    /// Where chance comes from.
    pub seed: u64,
    /// How long probes may take until others are let through in their place.
    pub probe_wait_ns: i64,
    /// What a call counts as that nobody knows the end of.
    pub abandoned: Outcome,
}

/// Calls at most that a window holds.
pub const MAX_CALLS: u32 = 1 << 16;
/// The shortest window of time: its tenth is about what the coarse clock can tell.
pub const MIN_TIME_NS: i64 = 10_000_000;

impl Policy {
    /// Nothing that could never work.
    pub fn check(&self) -> Result<()> {
        let invalid = |message: String| Err(Failure::with(Status::Invalid, message));
        let share = |share: f64| share > 0.0 && share <= 1.0;
        match self.extent {
            Extent::Calls(calls) if calls == 0 || calls > MAX_CALLS => {
                return invalid(format!("window: {calls} is not from 1 to {MAX_CALLS}"));
            }
            Extent::Time(ns) if ns < MIN_TIME_NS => {
                return invalid(format!("window_ns: {ns} is less than {MIN_TIME_NS}"));
            }
            _ => {}
        }
        if let Some(rate) = self.failure_rate
            && !share(rate)
        {
            return invalid(format!("failure_rate: {rate} is not from 0 to 1"));
        }
        if let Some((ns, rate)) = self.slow {
            if ns < 0 {
                return invalid(format!("slow_ns: {ns} is negative"));
            }
            if !share(rate) {
                return invalid(format!("slow_rate: {rate} is not above 0 and up to 1"));
            }
        }
        if self.probes == 0 || self.probes > MAX_PROBES {
            return invalid(format!("probes: {} is not from 1 to {MAX_PROBES}", self.probes));
        }
        if self.probes_to_close == 0 || self.probes_to_close > self.probes {
            return invalid(format!("probes_to_close: {} is not from 1 to probes", self.probes_to_close));
        }
        if self.open_wait_ns < 0 || self.open_wait_max_ns < self.open_wait_ns {
            return invalid("open_wait_ns, open_wait_max_ns: negative, or the first is more than the other".into());
        }
        if !(1.0..=1e6).contains(&self.backoff) {
            return invalid(format!("backoff: {} is not from 1 to 1000000", self.backoff));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return invalid(format!("jitter: {} is not from 0 to 1", self.jitter));
        }
        if self.probe_wait_ns <= 0 || self.probe_wait_ns == i64::MAX {
            return invalid("probe_wait_ns: probes that hang would be waited for for ever, or not at all".into());
        }
        match self.abandoned {
            Outcome::Abandoned => invalid("abandoned: it is WEFT_OUTCOME_OK, _FAIL or _IGNORE".into()),
            _ => Ok(()),
        }
    }

    /// How long it is open after this many attempts to close it: min(base * backoff^attempt, max), and up to a share of
    /// `jitter` less, so that those who lost the same service do not come back together.
    pub fn open_wait_ns(&self, attempt: u32, generation: u32) -> i64 {
        // Neither grows: nothing times infinity would be no number.
        if self.open_wait_ns == i64::MAX || self.open_wait_ns == 0 {
            return self.open_wait_ns;
        }
        let nominal = self.open_wait_ns as f64 * self.backoff.powi(attempt as i32);
        let wait = nominal.min(self.open_wait_max_ns as f64) * (1.0 - self.jitter * chance(self.seed, generation));
        // As long as the largest, if that is for ever.
        if wait >= i64::MAX as f64 { i64::MAX } else { wait as i64 }
    }

    /// Until when a generation lasts that begins now.
    pub fn until(&self, word: Word, attempt: u32, now_ns: i64) -> Until {
        let wait = match word.state() {
            State::Open => self.open_wait_ns(attempt, word.generation()),
            State::HalfOpen => self.probe_wait_ns,
            _ => 0,
        };
        // None at all: over on the coarse clock as well, which is behind.
        let at_ns = if wait == 0 { 0 } else { now_ns.saturating_add(wait) };
        Until::new(word.generation(), attempt, at_ns)
    }

    /// Whether so many of so many are reason to open.
    pub fn is_too_much(&self, rate: f64, marked: u64, total: u64) -> bool {
        let minimum = match self.extent {
            Extent::Calls(calls) => self.minimum_calls.min(calls),
            Extent::Time(_) => self.minimum_calls,
        };
        // A quotient: both are what is nearest to the decimal fraction, where a product would be above or below.
        total > 0 && total >= u64::from(minimum) && marked as f64 / total as f64 >= rate
    }

    /// Whether the probes have shown enough to close it; false: to open it.
    pub fn verdict(&self, word: Word) -> Option<bool> {
        match () {
            () if word.ok() >= self.probes_to_close => Some(true),
            // As many as have to go well cannot any more.
            () if word.bad() > self.probes - self.probes_to_close => Some(false),
            () => None,
        }
    }
}

/// A number from 0 to below 1 that is another one for each generation, and the same one for whoever asks: splitmix64.
fn chance(seed: u64, generation: u32) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(u64::from(generation) + 1));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ z >> 31) as f64 / 2f64.powi(64)
}
