use super::*;
use crate::sync::{Gate, model};
use loom::sync::Arc;

fn party() -> &'static Party {
    Box::leak(Box::new(Party::new()))
}

/// Begins the wait of a thread for what another runs; how many rings that closed.
fn begin(party: &'static Party, runner: &Runner) -> usize {
    let awaited = place_of(runner);
    // SAFETY: the runner outlives the wait.
    unsafe { party.begin(Wait { awaited, stops: None, who: Who::default(), told: false }) }.into_iter().count()
}

/// So many calls, each run by its own thread.
fn running(n: usize) -> Arc<Vec<(&'static Party, Runner)>> {
    let calls = (0..n).map(|_| (party(), Runner::new(&Kind { end: "a call", can_be_stopped: false })));
    let calls = Arc::new(calls.collect::<Vec<_>>());
    calls.iter().for_each(|(party, runner)| runner.begin(party));
    calls
}

/// Threads that close a ring at once: it is told once.
fn ring(n: usize) {
    let calls = running(n);
    let others: Vec<_> = (1..n)
        .map(|index| {
            let calls = calls.clone();
            loom::thread::spawn(move || begin(calls[index].0, &calls[(index + 1) % n].1))
        })
        .collect();
    let mut told = begin(calls[0].0, &calls[1].1);
    told += others.into_iter().map(|other| other.join().unwrap()).sum::<usize>();
    assert_eq!(told, 1);
}

#[test]
fn loom_waits_two_close_a_ring_at_once() {
    model(3, || ring(2));
}

#[test]
fn loom_waits_three_close_a_ring_at_once() {
    model(2, || ring(3));
}

/// What a thread waits for ends, and then who ended it waits for that thread, which has yet to wake up: no ring.
#[test]
fn loom_waits_an_edge_that_goes_is_no_ring() {
    model(3, || {
        let shared = Arc::new((running(2), Gate::default()));
        let other = {
            let shared = shared.clone();
            loom::thread::spawn(move || {
                let (calls, gate) = &*shared;
                let told = begin(calls[0].0, &calls[1].1);
                gate.wait(Deadline::Never);
                calls[0].0.end();
                calls[0].1.end();
                told
            })
        };
        let (calls, gate) = &*shared;
        calls[1].1.end();
        gate.open();
        assert_eq!(begin(calls[1].0, &calls[0].1), 0);
        calls[1].0.end();
        assert_eq!(other.join().unwrap(), 0);
    });
}
