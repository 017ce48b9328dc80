//! Every history of a breaker up to a length, with small numbers and a clock that is set by hand, against a model that
//! is too simple to be wrong: lists, plain numbers, one thread.
//!
//! A step is a call that asks, a result of any kind of a call that is out (of this generation or of an earlier one; one
//! whose result never comes hangs), a tick of the clock, a wait, or somebody who forces a state. After each step
//! breaker and model must agree in everything that can be asked, and P1 to P4 must hold:
//!
//! - P1: in a half-open generation no more probes are let through than allowed, those that were given back aside.
//! - P2: a result of an earlier generation changes nothing but counters.
//! - P3: it goes from half-open to closed only when enough probes of that generation went well.
//! - P4: if everything that is out hangs for ever, it can still recover.

use std::collections::HashSet;
use std::sync::Arc;

use super::policy::MIN_TIME_NS;
use super::*;
use crate::time::now::ByHand;

/// A unit of the word that holds the end of a generation: so times are exact.
const TICK: i64 = 1 << 16;
const OPEN_WAIT: i64 = 20 * TICK;
const PROBE_WAIT: i64 = 10 * TICK;

fn policy() -> Policy {
    Policy {
        extent: Extent::Calls(3),
        minimum_calls: 2,
        failure_rate: Some(0.5),
        slow: None,
        consecutive: 0,
        probes: 2,
        probes_to_close: 2,
        open_wait_ns: OPEN_WAIT,
        open_wait_max_ns: 3 * OPEN_WAIT,
        backoff: 2.0,
        jitter: 0.0,
        seed: 0,
        probe_wait_ns: PROBE_WAIT,
        abandoned: Outcome::Fail,
    }
}

/// The model, and what is out.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Model {
    now: i64,
    state: State,
    generation: u32,
    /// Of this generation, while it is watched: when, failed, slow.
    results: Vec<(i64, bool, bool)>,
    /// Of this generation, while it is half-open.
    issued: u32,
    ok: u32,
    bad: u32,
    attempt: u32,
    until: i64,
    out: Vec<Permit>,
}

impl Model {
    fn begin(&mut self, state: State, policy: &Policy) {
        self.generation += 1;
        self.results.clear();
        (self.issued, self.ok, self.bad) = (0, 0, 0);
        self.attempt = match (self.state, state) {
            (State::HalfOpen, State::Open) => self.attempt + 1,
            (State::Open | State::HalfOpen, State::HalfOpen) => self.attempt,
            _ => 0,
        };
        self.state = state;
        self.until = match state {
            State::Open => self.now + policy.open_wait_max_ns.min(policy.open_wait_ns << self.attempt),
            State::HalfOpen => self.now + policy.probe_wait_ns,
            _ => 0,
        };
    }

    fn forced(&mut self, state: State, policy: &Policy) {
        self.begin(state, policy);
        if state == State::Open {
            (self.attempt, self.until) = (0, self.now + policy.open_wait_ns);
        }
    }

    fn acquire(&mut self, policy: &Policy) -> Option<Permit> {
        match self.state {
            State::ForcedOpen => return None,
            State::Open if self.now < self.until => return None,
            State::HalfOpen if self.issued == policy.probes && self.now < self.until => return None,
            State::HalfOpen if self.issued < policy.probes => {
                self.issued += 1;
                self.until = self.until.max(self.now + policy.probe_wait_ns);
            }
            State::Open | State::HalfOpen => {
                self.begin(State::HalfOpen, policy);
                self.issued = 1;
            }
            _ => {}
        }
        let start_ns = if policy.slow.is_some() { self.now } else { 0 };
        Some(Permit { generation: self.generation, start_ns })
    }

    fn record(&mut self, permit: Permit, outcome: Outcome, policy: &Policy) {
        let outcome = if outcome == Outcome::Abandoned { policy.abandoned } else { outcome };
        let slow = policy.slow.is_some_and(|(ns, _)| self.now - permit.start_ns >= ns);
        let failed = outcome == Outcome::Fail;
        match (self.state, outcome) {
            _ if permit.generation != self.generation => {}
            (State::HalfOpen, Outcome::Ignore) => self.issued -= 1,
            (State::HalfOpen, _) => {
                if failed || slow {
                    self.bad += 1
                } else {
                    self.ok += 1
                }
                if self.ok == policy.probes_to_close {
                    self.begin(State::Closed, policy);
                } else if self.bad + policy.probes_to_close > policy.probes {
                    self.begin(State::Open, policy);
                }
            }
            (State::Closed | State::MetricsOnly, Outcome::Ok | Outcome::Fail) => {
                self.results.push((self.now, failed, slow));
                let (failures, slow_ones) = self.tallies(policy);
                let is_too_much = |share: Option<f64>, tally: Tally| {
                    let minimum = match policy.extent {
                        Extent::Calls(calls) => calls.min(policy.minimum_calls),
                        Extent::Time(_) => policy.minimum_calls,
                    };
                    tally.total >= u64::from(minimum)
                        && share.is_some_and(|share| tally.marked as f64 >= share * tally.total as f64)
                };
                let opens = failed && is_too_much(policy.failure_rate, failures)
                    || slow && is_too_much(policy.slow.map(|(_, rate)| rate), slow_ones)
                    || failed && policy.consecutive > 0 && self.streak() >= policy.consecutive as usize;
                if opens && self.state == State::Closed {
                    self.begin(State::Open, policy);
                }
            }
            _ => {}
        }
    }

    fn streak(&self) -> usize {
        self.results.iter().rev().take_while(|&&(_, failed, _)| failed).count()
    }

    fn tallies(&self, policy: &Policy) -> (Tally, Tally) {
        let in_window: Vec<_> = match policy.extent {
            Extent::Calls(calls) => self.results.iter().rev().take(calls as usize).collect(),
            Extent::Time(ns) => {
                let tenth = |at: i64| at / (ns / 10);
                self.results.iter().filter(|(at, ..)| tenth(self.now) - tenth(*at) < 10).collect()
            }
        };
        let total = in_window.len() as u64;
        let marked =
            |mark: fn(&(i64, bool, bool)) -> bool| in_window.iter().filter(|result| mark(result)).count() as u64;
        (Tally { total, marked: marked(|result| result.1) }, Tally { total, marked: marked(|result| result.2) })
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire,
    Record(usize, Outcome),
    Advance(i64),
    Force(State),
}

/// A breaker that can be put back into what it was.
struct Bench {
    breaker: Breaker<Arc<ByHand>>,
    clock: Arc<ByHand>,
}

impl Bench {
    fn cells(&self) -> Vec<&AtomicU64> {
        let breaker = &self.breaker;
        let windows = std::iter::once(&breaker.failures).chain(&breaker.slow);
        let cells = breaker.switch.cells().into_iter().chain(windows.flat_map(Window::cells));
        cells.chain([&breaker.streak.0]).collect()
    }

    fn image(&self) -> Vec<u64> {
        self.cells().iter().map(|cell| cell.load(Ordering::Relaxed)).collect()
    }

    fn restore(&mut self, image: &[u64], now: i64) {
        self.cells().iter().zip(image).for_each(|(cell, &value)| cell.store(value, Ordering::Relaxed));
        self.clock.advance(now - self.clock.precise_ns());
        // Nobody listens; what was told of another history is forgotten.
        self.breaker.listeners = Arc::default();
    }

    fn step(&self, step: Step, model: &mut Model) {
        let policy = &self.breaker.policy;
        let (state, generation, ok) = (model.state, model.generation, model.ok);
        match step {
            Step::Acquire => {
                let expected = model.acquire(policy);
                let permit = match self.breaker.turns_away() {
                    true => None,
                    false => self.breaker.pass().or_else(|| self.breaker.acquire()),
                };
                assert_eq!(permit, expected);
                model.out.extend(permit);
            }
            Step::Record(which, outcome) => {
                let permit = model.out.remove(which);
                let (image, late) = (self.image(), self.breaker.stats().late);
                model.record(permit, outcome, policy);
                self.breaker.record_as_c(permit, outcome);
                if permit.generation != generation {
                    assert_eq!(self.image(), image, "P2");
                    assert_eq!(self.breaker.stats().late, late + 1);
                }
                if state == State::HalfOpen && self.breaker.state() == State::Closed {
                    assert_eq!((permit.generation, outcome), (generation, Outcome::Ok), "P3");
                    assert!(ok + 1 >= policy.probes_to_close, "P3");
                }
            }
            Step::Advance(ns) => {
                model.now += ns;
                self.clock.advance(ns);
            }
            Step::Force(state) => {
                model.forced(state, policy);
                self.breaker.force(state);
            }
        }
    }

    fn compare(&self, model: &Model) {
        let policy = &self.breaker.policy;
        let stats = self.breaker.stats();
        assert_eq!((stats.word.state(), stats.word.generation()), (model.state, model.generation));
        let is_trial = matches!(model.state, State::Open | State::HalfOpen);
        assert_eq!(stats.attempt, if is_trial { model.attempt } else { 0 });
        let mut left = (model.until - model.now).max(0);
        if model.state == State::HalfOpen {
            let (issued, ok, bad) = (stats.word.issued(), stats.word.ok(), stats.word.bad());
            assert_eq!((issued, ok, bad), (model.issued, model.ok, model.bad));
            let out = model.out.iter().filter(|permit| permit.generation == model.generation).count() as u32;
            assert!(out + model.ok + model.bad <= policy.probes, "P1");
            assert_eq!(out + model.ok + model.bad, model.issued);
            left = if issued < policy.probes { 0 } else { left };
        }
        let expected = match model.state {
            State::ForcedOpen => i64::MAX,
            State::Open | State::HalfOpen => left,
            _ => 0,
        };
        assert_eq!(self.breaker.retry_after_ns(), expected);
        let (failures, slow) = model.tallies(policy);
        assert_eq!(
            (stats.window, stats.consecutive),
            (failures, if model.results.is_empty() { 0 } else { model.streak() as u64 })
        );
        assert_eq!(stats.window_slow, if policy.slow.is_some() { slow.marked } else { 0 });
    }

    /// P4, from here: nothing that is out ever comes back.
    fn recovers(&mut self, image: &[u64], model: &Model) {
        if !matches!(model.state, State::Open | State::HalfOpen) {
            return;
        }
        let policy = self.breaker.policy.clone();
        self.clock.advance(policy.open_wait_max_ns.max(policy.probe_wait_ns));
        // In a generation that has a bad result already, it may take another one.
        for _ in 0..2 * policy.probes {
            if self.breaker.state() == State::Closed {
                break;
            }
            let permit = self.breaker.acquire().or_else(|| {
                self.clock.advance(policy.probe_wait_ns);
                self.breaker.acquire()
            });
            self.breaker.record(permit.expect("P4: nothing is let through"), Outcome::Ok).unwrap();
        }
        assert_eq!(self.breaker.state(), State::Closed, "P4");
        self.restore(image, model.now);
    }
}

/// Walks through all histories of this many steps; how many different ones of their ends there are.
fn explore(policy: Policy, depth: usize, forced: &[State]) -> usize {
    let start = 1000 * TICK;
    // Longer than it is open, and than a window of time.
    let long = OPEN_WAIT.max(if let Extent::Time(_) = policy.extent { 160 * TICK } else { 0 });
    let clock = Arc::new(ByHand::at(start));
    let mut bench = Bench { breaker: Breaker::new(policy, clock.clone()).unwrap(), clock };
    let model = Model {
        now: start,
        state: State::Closed,
        generation: 0,
        results: Vec::new(),
        issued: 0,
        ok: 0,
        bad: 0,
        attempt: 0,
        until: 0,
        out: Vec::new(),
    };
    let mut seen = HashSet::from([(bench.image(), model.clone())]);
    let mut ends = vec![(bench.image(), model)];
    for _ in 0..depth {
        let mut next = Vec::new();
        for (image, model) in ends {
            let out = model.out.len();
            let outcomes = [Outcome::Ok, Outcome::Fail, Outcome::Ignore, Outcome::Abandoned];
            let records = (0..out).flat_map(|which| outcomes.map(|outcome| Step::Record(which, outcome)));
            let times = [TICK, PROBE_WAIT, long].map(Step::Advance);
            // Four calls that are out are enough: of two generations, as many as there are probes.
            let asks = (out < 4).then_some(Step::Acquire);
            let forces = forced.iter().map(|&state| Step::Force(state));
            for step in asks.into_iter().chain(records).chain(times).chain(forces) {
                bench.restore(&image, model.now);
                let mut model = model.clone();
                bench.step(step, &mut model);
                // The order of those that are out does not matter.
                model.out.sort_by_key(|permit| (permit.generation, permit.start_ns));
                bench.compare(&model);
                let image = bench.image();
                if seen.insert((image.clone(), model.clone())) {
                    bench.recovers(&image, &model);
                    next.push((image, model));
                }
            }
        }
        ends = next;
    }
    println!("{} histories end differently", seen.len());
    seen.len()
}

const AUTOMATIC: &[State] = &[State::Closed, State::Open];
const ALL: &[State] =
    &[State::Closed, State::Open, State::HalfOpen, State::ForcedOpen, State::Disabled, State::MetricsOnly];

#[test]
fn all_histories_of_a_window_of_calls() {
    assert!(explore(policy(), 7, ALL) > 10_000);
    assert!(explore(Policy { probes_to_close: 1, ..policy() }, 9, &[]) > 1000);
}

#[test]
fn all_histories_of_failures_in_a_row() {
    let rules = Policy { failure_rate: None, consecutive: 2, probes: 1, probes_to_close: 1, ..policy() };
    assert!(explore(rules.clone(), 8, AUTOMATIC) > 10_000);
    assert!(explore(Policy { abandoned: Outcome::Ignore, probes: 3, probes_to_close: 2, ..rules }, 6, ALL) > 10_000);
}

#[test]
fn all_histories_of_a_window_of_time_with_slow_calls() {
    let extent = Extent::Time(MIN_TIME_NS);
    let rules = Policy { extent, slow: Some((PROBE_WAIT, 0.5)), ..policy() };
    assert!(explore(rules, 7, AUTOMATIC) > 10_000);
}
