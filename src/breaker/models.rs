//! Models of the switch, the windows and the listeners with two threads and more: the code that ships.

use std::sync::Mutex;

use super::policy::Extent;
use super::*;
use crate::sync::model;
use crate::time::now::ByHand;
use loom::sync::Arc;

type Clock = std::sync::Arc<ByHand>;

/// About; a unit of the word that holds the end of a generation, so that times are exact.
const SECOND: i64 = 1 << 30;

fn policy() -> Policy {
    Policy {
        extent: Extent::Calls(2),
        minimum_calls: 1,
        failure_rate: None,
        slow: None,
        consecutive: 0,
        probes: 1,
        probes_to_close: 1,
        open_wait_ns: SECOND,
        open_wait_max_ns: SECOND,
        backoff: 1.0,
        jitter: 0.0,
        seed: 0,
        probe_wait_ns: SECOND,
        abandoned: Outcome::Fail,
    }
}

fn breaker(policy: Policy) -> (Arc<Breaker<Clock>>, Clock) {
    let clock = std::sync::Arc::new(ByHand::at(SECOND));
    (Arc::new(Breaker::new(policy, clock.clone()).unwrap()), clock)
}

fn spawn<R: 'static>(
    breaker: &Arc<Breaker<Clock>>,
    f: impl FnOnce(&Breaker<Clock>) -> R + 'static,
) -> loom::thread::JoinHandle<R> {
    let breaker = breaker.clone();
    loom::thread::spawn(move || f(&breaker))
}

/// Asks as C programs do.
fn ask(breaker: &Breaker<Clock>) -> Option<Permit> {
    match breaker.turns_away() {
        true => None,
        false => breaker.pass().or_else(|| breaker.acquire()),
    }
}

#[test]
fn loom_breaker_one_of_many_is_the_probe() {
    model(3, || {
        let (breaker, clock) = breaker(policy());
        breaker.force(State::Open);
        clock.advance(SECOND);
        let others = [spawn(&breaker, ask), spawn(&breaker, ask)];
        let mut through = usize::from(ask(&breaker).is_some());
        for other in others {
            through += usize::from(other.join().unwrap().is_some());
        }
        assert_eq!(through, 1);
        assert_eq!((breaker.state(), breaker.stats().rejected), (State::HalfOpen, 2));
        assert_eq!(breaker.retry_after_ns(), SECOND);
    });
}

#[test]
fn loom_breaker_failures_in_a_row_open_it_once() {
    model(3, || {
        let (breaker, _clock) = breaker(Policy { consecutive: 2, ..policy() });
        let fail = |breaker: &Breaker<Clock>| breaker.record_as_c(Permit { generation: 0, start_ns: 0 }, Outcome::Fail);
        let other = spawn(&breaker, fail);
        fail(&breaker);
        other.join().unwrap();
        let stats = breaker.stats();
        assert_eq!((stats.word.state(), stats.word.generation(), stats.opened), (State::Open, 1, 1));
        assert_eq!((stats.failed, stats.ok, stats.late), (2, 0, 0));
    });
}

/// Two failures in one window of two: whoever is second sees both, though they mark at the same time.
#[test]
fn loom_breaker_no_failure_is_overlooked() {
    model(3, || {
        let (breaker, _clock) =
            breaker(Policy { extent: Extent::Calls(2), minimum_calls: 2, failure_rate: Some(1.0), ..policy() });
        let fail = |breaker: &Breaker<Clock>| breaker.record_as_c(Permit { generation: 0, start_ns: 0 }, Outcome::Fail);
        let other = spawn(&breaker, fail);
        fail(&breaker);
        other.join().unwrap();
        assert_eq!((breaker.state(), breaker.stats().opened), (State::Open, 1));
    });
}

/// The same over two words: buckets of a window of time. The clock stands between them for one and after them for the
/// other.
#[test]
fn loom_breaker_no_failure_is_overlooked_in_another_bucket() {
    model(3, || {
        let (breaker, clock) = breaker(Policy {
            extent: Extent::Time(10 * SECOND),
            minimum_calls: 2,
            failure_rate: Some(1.0),
            ..policy()
        });
        let fail = |breaker: &Breaker<Clock>| breaker.record_as_c(Permit { generation: 0, start_ns: 0 }, Outcome::Fail);
        let other = spawn(&breaker, fail);
        clock.advance(SECOND);
        fail(&breaker);
        other.join().unwrap();
        assert_eq!((breaker.state(), breaker.stats().opened), (State::Open, 1));
    });
}

/// P2: a failure of an earlier generation, recorded while the next one begins, leaves no trace there.
fn late(extent: Extent) {
    let (breaker, clock) = breaker(Policy { extent, consecutive: 1, failure_rate: Some(0.1), ..policy() });
    let other = spawn(&breaker, |breaker| breaker.record_as_c(Permit { generation: 0, start_ns: 0 }, Outcome::Fail));
    clock.advance(SECOND);
    breaker.force(State::Closed);
    let permit = ask(&breaker);
    if let Some(permit) = permit {
        breaker.record_as_c(permit, Outcome::Ok);
    }
    other.join().unwrap();
    let stats = breaker.stats();
    // Before, it opens the first generation, and the force begins a third. After, it is late.
    assert_eq!(stats.word.state(), State::Closed);
    assert_eq!((stats.window, stats.consecutive), (Tally { total: 1, marked: 0 }, 0));
    assert_eq!(u64::from(stats.word.generation()), 1 + stats.opened);
}

#[test]
fn loom_breaker_what_is_late_leaves_no_trace() {
    model(3, || late(Extent::Calls(2)));
    model(3, || late(Extent::Time(10 * SECOND)));
}

/// P3: of two probes that both have to go well, one does not, while the other does.
#[test]
fn loom_breaker_probes_decide_together() {
    for (second, state) in
        [(Outcome::Ok, State::Closed), (Outcome::Fail, State::Open), (Outcome::Ignore, State::HalfOpen)]
    {
        model(3, move || {
            let (breaker, _clock) = breaker(Policy { probes: 2, probes_to_close: 2, ..policy() });
            breaker.force(State::HalfOpen);
            let (one, two) = (ask(&breaker).unwrap(), ask(&breaker).unwrap());
            assert_eq!(ask(&breaker), None);
            let other = spawn(&breaker, move |breaker| breaker.record_as_c(one, Outcome::Ok));
            breaker.record_as_c(two, second);
            other.join().unwrap();
            assert_eq!(breaker.state(), state);
            let freed = if second == Outcome::Ignore { 1 } else { 2 };
            assert_eq!(breaker.stats().word.generation(), if freed == 1 { 1 } else { 2 });
        });
    }
}

/// P1: a probe is given back while others ask.
#[test]
fn loom_breaker_a_place_is_taken_once() {
    model(3, || {
        let (breaker, _clock) = breaker(policy());
        breaker.force(State::HalfOpen);
        let probe = ask(&breaker).unwrap();
        let others = [spawn(&breaker, ask), spawn(&breaker, ask)];
        breaker.record_as_c(probe, Outcome::Ignore);
        let mut through = 0;
        for other in others {
            through += usize::from(other.join().unwrap().is_some());
        }
        assert!(through <= 1);
        assert_eq!(breaker.stats().word.issued(), through as u32);
    });
}

/// P4 against P2: the time of a probe that hangs is over while its result comes.
#[test]
fn loom_breaker_a_probe_is_counted_or_given_up() {
    model(3, || {
        let (breaker, clock) = breaker(policy());
        breaker.force(State::HalfOpen);
        let hangs = ask(&breaker).unwrap();
        clock.advance(2 * SECOND);
        let other = spawn(&breaker, move |breaker| breaker.record_as_c(hangs, Outcome::Ok));
        let permit = ask(&breaker);
        other.join().unwrap();
        let stats = breaker.stats();
        match permit {
            // It was in time, and this is a call like any other; or the next generation's probe, which decides.
            Some(permit) if stats.late == 0 => assert_eq!((stats.word.state(), permit.generation), (State::Closed, 2)),
            Some(permit) => assert_eq!((stats.word.state(), permit.generation), (State::HalfOpen, 2)),
            None => panic!("nobody was let through"),
        }
    });
}

/// A wait begins when it opens, whoever sets its end; and nobody takes the one before for it.
#[test]
fn loom_breaker_nobody_goes_by_an_end_that_is_over() {
    model(3, || {
        let (breaker, clock) = breaker(Policy { consecutive: 1, ..policy() });
        breaker.force(State::Open);
        clock.advance(SECOND);
        let probe = ask(&breaker).unwrap();
        let other = spawn(&breaker, ask);
        breaker.record_as_c(probe, Outcome::Fail);
        assert_eq!(other.join().unwrap(), None, "it is half-open without room, or open again");
        assert_eq!((breaker.state(), breaker.stats().attempt), (State::Open, 1));
        assert_eq!(breaker.retry_after_ns(), SECOND);
    });
}

#[test]
fn loom_breaker_changes_are_told_once_in_their_order() {
    model(3, || {
        let (breaker, _clock) = breaker(policy());
        let told = std::sync::Arc::new(Mutex::new(Vec::new()));
        let log = told.clone();
        breaker.on_change(Box::new(move |event| log.lock().unwrap().push(event.change.generation)));
        let other = spawn(&breaker, |breaker| breaker.force(State::Disabled));
        breaker.force(State::ForcedOpen);
        other.join().unwrap();
        assert_eq!(*told.lock().unwrap(), [1, 2]);
    });
}

/// A listener that is taken out is not told afterwards, and dropped once.
#[test]
fn loom_breaker_a_listener_that_is_gone_is_not_told() {
    model(3, || {
        let (breaker, _clock) = breaker(policy());
        let told = std::sync::Arc::new(Mutex::new(0));
        let log = told.clone();
        let (listeners, id) = breaker.on_change(Box::new(move |_| *log.lock().unwrap() += 1));
        let other = spawn(&breaker, |breaker| breaker.force(State::Disabled));
        if listeners.remove(id) {
            let before = *told.lock().unwrap();
            assert_eq!(std::sync::Arc::strong_count(&told), 1, "it has been dropped");
            other.join().unwrap();
            assert_eq!(*told.lock().unwrap(), before);
        } else {
            other.join().unwrap();
        }
        assert_eq!(std::sync::Arc::strong_count(&told), 1);
    });
}
