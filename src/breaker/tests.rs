//! Rules and times, in virtual time. Histories are in `space`.

use std::sync::Arc;

use super::policy::MIN_TIME_NS;
use super::*;
use crate::sync::Lock;
use crate::time::now::ByHand;

const SECOND: i64 = 1_000_000_000;

fn policy() -> Policy {
    Policy {
        extent: Extent::Calls(10),
        minimum_calls: 10,
        failure_rate: Some(0.5),
        slow: None,
        consecutive: 0,
        probes: 1,
        probes_to_close: 1,
        open_wait_ns: SECOND,
        open_wait_max_ns: 100 * SECOND,
        backoff: 3.0,
        jitter: 0.0,
        seed: 7,
        probe_wait_ns: SECOND,
        abandoned: Outcome::Ignore,
    }
}

fn breaker(policy: Policy) -> (Breaker<Arc<ByHand>>, Arc<ByHand>) {
    let clock = Arc::new(ByHand::at(1000 * SECOND));
    (Breaker::new(policy, clock.clone()).unwrap(), clock)
}

fn pass(breaker: &Breaker<Arc<ByHand>>, outcome: Outcome) {
    let permit = breaker.acquire().expect("it is let through");
    breaker.record(permit, outcome).unwrap();
}

#[test]
fn waits_grow_up_to_the_largest_and_begin_anew() {
    let (breaker, clock) = breaker(policy());
    breaker.force(State::Open);
    for (attempt, seconds) in [1, 3, 9, 27, 81, 100, 100].into_iter().enumerate() {
        assert_eq!(breaker.stats().attempt, attempt as u32);
        let wait = breaker.retry_after_ns();
        assert!((seconds * SECOND..seconds * SECOND + (1 << 16)).contains(&wait), "{attempt}: {wait}");
        clock.advance(wait - 1);
        assert_eq!(breaker.acquire(), None);
        clock.advance(1);
        assert_eq!((breaker.retry_after_ns(), breaker.state()), (0, State::Open), "asking changes nothing");
        pass(&breaker, Outcome::Fail);
    }
    clock.advance(breaker.retry_after_ns());
    pass(&breaker, Outcome::Ok);
    assert_eq!((breaker.state(), breaker.stats().attempt), (State::Closed, 0));
    breaker.force(State::Open);
    assert!(breaker.retry_after_ns() < 2 * SECOND);
}

#[test]
fn attempts_are_counted_to_an_end() {
    let (breaker, clock) = breaker(policy());
    breaker.force(State::Open);
    for _ in 0..300 {
        clock.advance(101 * SECOND);
        pass(&breaker, Outcome::Fail);
    }
    assert_eq!((breaker.stats().attempt, breaker.stats().opened), (word::MAX_ATTEMPT, 300));
    assert!(breaker.retry_after_ns() <= 101 * SECOND);
}

/// A backoff to the power of the attempts may be more than a number can be.
#[test]
fn no_wait_grows_beyond_what_it_may() {
    let rules = Policy { backoff: 1e6, open_wait_max_ns: 100 * SECOND, ..policy() };
    for attempt in [0, 51, 52, word::MAX_ATTEMPT] {
        assert_eq!(Policy { open_wait_ns: 0, ..rules.clone() }.open_wait_ns(attempt, 1), 0, "attempt {attempt}");
        let most = if attempt == 0 { SECOND } else { 100 * SECOND };
        assert_eq!(rules.open_wait_ns(attempt, 1), most, "attempt {attempt}");
        let for_ever = Policy { open_wait_max_ns: i64::MAX, ..rules.clone() };
        assert_eq!(for_ever.open_wait_ns(attempt, 1), if attempt == 0 { SECOND } else { i64::MAX });
    }
}

#[test]
fn jitter_is_another_share_each_time_and_never_longer() {
    let rules = Policy { jitter: 0.4, backoff: 1.0, ..policy() };
    let waits: Vec<_> = (0..1000).map(|generation| rules.open_wait_ns(0, generation)).collect();
    assert!(waits.iter().all(|&wait| (SECOND * 6 / 10..=SECOND).contains(&wait)));
    let mean = waits.iter().sum::<i64>() / 1000;
    assert!((SECOND * 78 / 100..SECOND * 82 / 100).contains(&mean), "{mean}");
    assert!(waits.windows(2).all(|two| two[0] != two[1]));
    let other = Policy { seed: 8, ..rules.clone() };
    assert!((0..1000).all(|generation| rules.open_wait_ns(0, generation) != other.open_wait_ns(0, generation)));
    assert_eq!(rules.open_wait_ns(0, 5), rules.clone().open_wait_ns(0, 5), "whoever asks");
    let for_ever = Policy { open_wait_ns: i64::MAX, open_wait_max_ns: i64::MAX, ..rules };
    assert_eq!(for_ever.open_wait_ns(3, 3), i64::MAX);
}

#[test]
fn rates_are_met_exactly() {
    for calls in 1..=100 {
        let rules = Policy { extent: Extent::Calls(100), minimum_calls: 1, ..policy() };
        for failed in 1..=calls {
            let rate = failed as f64 / calls as f64;
            assert!(rules.is_too_much(rate, failed, calls));
            assert!(!rules.is_too_much(rate, failed - 1, calls));
        }
    }
    let rules = Policy { minimum_calls: 20, ..policy() };
    assert!(!rules.is_too_much(0.01, 9, 9) && rules.is_too_much(0.07, 7, 100));
    assert!(rules.is_too_much(1.0, 10, 10), "the window holds no more");
    assert!(!rules.is_too_much(1.0, 0, 0));
}

/// Probes come one by one, each long after the one before: none of them hangs.
#[test]
fn little_traffic_closes_it_too() {
    let (breaker, clock) = breaker(Policy { probes: 5, probes_to_close: 5, ..policy() });
    breaker.force(State::HalfOpen);
    for _ in 0..5 {
        clock.advance(10 * SECOND);
        pass(&breaker, Outcome::Ok);
    }
    assert_eq!((breaker.state(), breaker.stats().word.generation()), (State::Closed, 2));
}

#[test]
fn a_probe_has_its_time_from_when_it_was_let_through() {
    let (breaker, clock) = breaker(Policy { probes: 2, probes_to_close: 2, ..policy() });
    breaker.force(State::HalfOpen);
    pass(&breaker, Outcome::Ok);
    clock.advance(10 * SECOND);
    let last = breaker.acquire().unwrap();
    assert_eq!(breaker.acquire(), None, "it is out for no time");
    clock.advance(SECOND - 1);
    assert_eq!(breaker.acquire(), None);
    breaker.record(last, Outcome::Ok).unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn as_many_probes_as_the_word_holds() {
    let most = word::MAX_PROBES;
    let (breaker, _clock) = breaker(Policy { probes: most, probes_to_close: most, ..policy() });
    breaker.force(State::HalfOpen);
    let permits: Vec<_> = (0..most).map(|_| breaker.acquire().unwrap()).collect();
    assert_eq!(breaker.acquire(), None);
    for (n, permit) in permits.into_iter().enumerate() {
        assert_eq!(breaker.state(), State::HalfOpen, "{n}");
        breaker.record(permit, Outcome::Ok).unwrap();
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_window_of_time_opens_it_and_forgets() {
    let (breaker, clock) =
        breaker(Policy { extent: Extent::Time(10 * SECOND), minimum_calls: 4, failure_rate: Some(0.75), ..policy() });
    for outcome in [Outcome::Fail, Outcome::Fail, Outcome::Ok] {
        pass(&breaker, outcome);
        clock.advance(4 * SECOND);
    }
    pass(&breaker, Outcome::Fail); // the first is gone
    assert_eq!((breaker.state(), breaker.stats().window), (State::Closed, Tally { total: 3, marked: 2 }));
    pass(&breaker, Outcome::Fail);
    assert_eq!((breaker.state(), breaker.stats().opened), (State::Open, 1));
    assert_eq!((breaker.stats().ok, breaker.stats().failed), (1, 4));
}

/// A clock whose coarse side is behind, as the system's is.
struct Behind(Arc<ByHand>);

impl Now for Behind {
    fn precise_ns(&self) -> i64 {
        self.0.precise_ns()
    }

    fn coarse_ns(&self) -> i64 {
        self.0.precise_ns() - 4_000_000
    }
}

/// A window of ten epochs may be left alone for nearly all epochs that there are: the next ones would be the earlier ones.
#[test]
fn a_window_of_time_counts_after_any_pause() {
    let rules = Policy { extent: Extent::Time(MIN_TIME_NS), failure_rate: None, consecutive: 100, ..policy() };
    let epochs = 1 << 24;
    for pause in [epochs - 1100, epochs - 1000, epochs - 500, epochs - 16, epochs - 6, epochs, epochs + 4] {
        let (breaker, clock) = breaker(Policy { slow: Some((SECOND, 1.0)), ..rules.clone() });
        pass(&breaker, Outcome::Fail);
        clock.advance(pause * MIN_TIME_NS / 10);
        pass(&breaker, Outcome::Fail);
        let stats = breaker.stats();
        assert_eq!((stats.failed, stats.late, stats.consecutive), (2, 0, 2), "{pause}");
        assert!(stats.window.total >= 1, "{pause}");
    }
}

/// A clock that says one thing after the other, and then the last one.
struct Script(Lock<Vec<i64>>);

impl Now for Script {
    fn precise_ns(&self) -> i64 {
        self.coarse_ns()
    }

    fn coarse_ns(&self) -> i64 {
        let mut left = self.0.lock();
        if left.len() > 1 { left.remove(0) } else { left[0] }
    }
}

/// A thread reads the clock and stands still for as long as a window lasts, while another one counts.
#[test]
fn a_result_of_this_generation_is_never_late() {
    let rules = Policy { extent: Extent::Time(MIN_TIME_NS), minimum_calls: 2, failure_rate: Some(1.0), ..policy() };
    let (early, now) = (1000 * SECOND, 1000 * SECOND + MIN_TIME_NS);
    // Its start; the other's result; ours.
    let clock = Script(Lock::new(vec![early, now, now, early, now]));
    let breaker = Breaker::new(rules, clock).unwrap();
    for _ in 0..2 {
        let permit = breaker.pass().unwrap();
        breaker.record(permit, Outcome::Fail).unwrap();
    }
    let stats = breaker.stats();
    assert_eq!((stats.failed, stats.late, stats.word.state()), (2, 0, State::Open));
}

#[test]
fn what_was_counted_by_the_precise_clock_is_seen() {
    let rules = Policy { extent: Extent::Time(MIN_TIME_NS), slow: Some((SECOND, 1.0)), ..policy() };
    let breaker = Breaker::new(rules, Behind(Arc::new(ByHand::at(1000 * SECOND)))).unwrap();
    let permit = breaker.acquire().unwrap();
    breaker.record(permit, Outcome::Ok).unwrap();
    assert_eq!(breaker.stats().window, Tally { total: 1, marked: 0 });
}

/// What an earlier generation has left of failures costs the calls of this one nothing.
#[test]
fn calls_that_go_well_are_done_at_once_also_after_it_was_open() {
    let (breaker, _clock) = breaker(Policy { consecutive: 40, failure_rate: None, ..policy() });
    (0..40).for_each(|_| pass(&breaker, Outcome::Fail));
    assert_eq!(breaker.state(), State::Open);
    breaker.force(State::Closed);
    pass(&breaker, Outcome::Ok); // the window begins anew
    let generation = breaker.stats().word.generation();
    assert!((0..100).all(|_| breaker.record_ok(generation) == Recorded::Done));
    assert_eq!(breaker.stats().window, Tally { total: 10, marked: 0 });
    pass(&breaker, Outcome::Fail);
    assert!(matches!(breaker.record_ok(generation), Recorded::In(_)), "a row is to be ended");
}

#[test]
fn slow_calls_are_told_by_their_own_time() {
    let (breaker, clock) = breaker(Policy { slow: Some((SECOND, 0.5)), minimum_calls: 4, ..policy() });
    for slow in [false, true, false] {
        let permit = breaker.acquire().unwrap();
        clock.advance(if slow { SECOND } else { SECOND - 1 });
        breaker.record(permit, Outcome::Ok).unwrap();
    }
    let ignored = breaker.acquire().unwrap();
    let last = breaker.acquire().unwrap();
    clock.advance(5 * SECOND);
    breaker.record(ignored, Outcome::Ignore).unwrap();
    assert_eq!((breaker.stats().slow, breaker.stats().window_slow), (1, 1));
    breaker.record(last, Outcome::Ok).unwrap();
    assert_eq!((breaker.state(), breaker.stats().slow), (State::Open, 2));
}

#[test]
fn listeners_are_told_of_what_comes_after_them() {
    let (breaker, clock) = breaker(Policy { consecutive: 1, ..policy() });
    let told = Arc::new(Lock::new(Vec::new()));
    breaker.force(State::Disabled);
    breaker.force(State::Closed);
    let log = told.clone();
    breaker.on_change(Box::new(move |event| log.lock().push((event.change.from, event.change.to, event.at_ns))));
    pass(&breaker, Outcome::Fail);
    clock.advance(2 * SECOND);
    let now = clock.precise_ns();
    let hangs = breaker.acquire().unwrap();
    clock.advance(2 * SECOND);
    pass(&breaker, Outcome::Ok);
    breaker.record(hangs, Outcome::Fail).unwrap();
    use State::*;
    let changes = [
        (Closed, Open, now - 2 * SECOND),
        (Open, HalfOpen, now),
        (HalfOpen, HalfOpen, now + 2 * SECOND),
        (HalfOpen, Closed, now + 2 * SECOND),
    ];
    assert_eq!(*told.lock(), changes);
    drop(breaker);
    assert_eq!(Arc::strong_count(&told), 1, "the listener went with it");
}

#[test]
fn rules_that_could_never_work_are_refused() {
    let refused = |policy: Policy| Breaker::new(policy, Arc::new(ByHand::at(0))).err().map(|failure| failure.message);
    assert_eq!(refused(policy()), None);
    for (rules, part) in [
        (Policy { extent: Extent::Calls(0), ..policy() }, "window"),
        (Policy { extent: Extent::Time(MIN_TIME_NS - 1), ..policy() }, "window_ns"),
        (Policy { failure_rate: Some(f64::NAN), ..policy() }, "failure_rate"),
        (Policy { slow: Some((5, 0.0)), ..policy() }, "slow_rate"),
        (Policy { probes: 0, ..policy() }, "probes"),
        (Policy { probes_to_close: 2, ..policy() }, "probes_to_close"),
        (Policy { open_wait_max_ns: 5, ..policy() }, "open_wait_ns"),
        (Policy { backoff: 0.9, ..policy() }, "backoff"),
        (Policy { jitter: 1.1, ..policy() }, "jitter"),
        (Policy { probe_wait_ns: i64::MAX, ..policy() }, "probe_wait_ns"),
        (Policy { abandoned: Outcome::Abandoned, ..policy() }, "abandoned"),
    ] {
        assert!(refused(rules).is_some_and(|message| message.starts_with(part)), "{part}");
    }
}
