use super::*;

fn call() -> (&'static Party, Runner) {
    let (party, runner): (&'static Party, _) =
        (Box::leak(Box::new(Party::new())), Runner::new(&Kind { end: "a call", can_be_stopped: false }));
    runner.begin(party);
    (party, runner)
}

/// How long the ring is that the wait closes; 0: it closes none.
fn begin(party: &'static Party, runner: &Runner) -> usize {
    let awaited = place_of(runner);
    // SAFETY: the runner outlives the wait.
    unsafe { party.begin(Wait { awaited, stops: None, who: Who::default(), told: false }) }.map_or(0, |ring| ring.len())
}

#[test]
fn each_ring_is_told_once() {
    let [a, b, c] = [call(), call(), call()];
    let tail = call();
    assert_eq!(begin(a.0, &b.1), 0);
    assert_eq!(begin(b.0, &a.1), 2);
    // A chain that runs into a ring is none.
    assert_eq!(begin(tail.0, &a.1), 0);
    b.0.end();
    // What the first waits for goes to another, who closes a ring that has an old wait in it.
    b.1.begin(c.0);
    assert_eq!(begin(c.0, &a.1), 2);
    [a.0, c.0, tail.0].into_iter().for_each(Party::end);
}

#[test]
fn a_ring_of_many() {
    let calls: Vec<_> = (0..100).map(|_| call()).collect();
    let next = |index: usize| &calls[(index + 1) % calls.len()].1;
    let told: Vec<_> = (0..calls.len()).map(|index| begin(calls[index].0, next(index))).collect();
    assert!(told[..99].iter().all(|&length| length == 0));
    assert_eq!(told[99], 100);
    calls.iter().for_each(|call| call.0.end());
}

#[test]
fn a_thread_that_has_what_it_waited_for_waits_no_more() {
    let [a, b] = [call(), call()];
    assert_eq!(begin(a.0, &b.1), 0);
    // Handed over, and not woken yet.
    b.1.begin(a.0);
    assert_eq!(begin(b.0, &a.1), 0);
    assert!(a.0.next().is_none());
    [a.0, b.0].into_iter().for_each(Party::end);
}
