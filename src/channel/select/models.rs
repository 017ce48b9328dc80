//! Models of selects on channels: meetings of selects, and selects that are told, against timeouts, closes and each other.

use std::alloc::Layout;
use std::task::{Wake, Waker};

use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

use super::*;
use crate::channel::{Capacity, Options};
use crate::sync::asymmetric::modelled::set_available;
use crate::sync::select::{Pending, select};
use crate::sync::wait::Ended;
use crate::sync::{Deadline, model};

type Channels = Arc<[Channel; 2]>;

fn channels(capacities: [usize; 2]) -> Channels {
    let new = |capacity| Channel::new(Layout::new::<u64>(), Capacity::Bounded(capacity), Options::default()).unwrap();
    Arc::new(capacities.map(new))
}

/// Offers `out` on one channel and asks for an element on another: what it got, or None if it sent.
fn exchange(send: &Channel, receive: &Channel, mut out: u64, deadline: Deadline) -> Result<Option<u64>, Ended> {
    let mut got = 0u64;
    let events = unsafe {
        [send.case(Direction::Send, (&raw mut out).cast()), receive.case(Direction::Receive, (&raw mut got).cast())]
    };
    let hit = select(&events, deadline);
    let (case, verdict) = hit?;
    assert_eq!(verdict, Verdict::Done);
    Ok((case == 1).then_some(got))
}

fn spawn<R: 'static>(channels: &Channels, f: impl FnOnce(&[Channel; 2]) -> R + 'static) -> JoinHandle<R> {
    let channels = channels.clone();
    thread::spawn(move || f(&channels))
}

fn nobody_waits(channels: &[Channel; 2]) {
    for direction in [Direction::Send, Direction::Receive] {
        assert!(channels.iter().all(|channel| channel.waiting(direction) == 0));
    }
}

/// Two selects that offer each other both directions on two rendezvous meet, once.
#[test]
fn loom_select_faces_a_select() {
    model(3, || {
        let channels = channels([0, 0]);
        let other = spawn(&channels, |[one, two]| exchange(two, one, 2, Deadline::Never).unwrap());
        let mine = exchange(&channels[0], &channels[1], 1, Deadline::Never).unwrap();
        match (mine, other.join().unwrap()) {
            (None, Some(1)) | (Some(2), None) => {}
            both => panic!("{both:?}"),
        }
        nobody_waits(&channels);
    });
}

/// The same on one channel, where each could meet itself.
#[test]
fn loom_select_meets_another_and_not_itself() {
    model(3, || {
        let channels = channels([0, 0]);
        let other = spawn(&channels, |[one, _]| exchange(one, one, 2, Deadline::Never).unwrap());
        let mine = exchange(&channels[0], &channels[0], 1, Deadline::Never).unwrap();
        match (mine, other.join().unwrap()) {
            (None, Some(1)) | (Some(2), None) => {}
            both => panic!("{both:?}"),
        }
        nobody_waits(&channels);
    });
}

/// Two selects that give up at once: both have met, or neither has.
#[test]
fn loom_select_times_out_against_a_select() {
    model(3, || {
        let channels = channels([0, 0]);
        let other = spawn(&channels, |[one, two]| exchange(two, one, 2, Deadline::At(0)));
        let mine = exchange(&channels[0], &channels[1], 1, Deadline::At(0));
        match (mine, other.join().unwrap()) {
            (Ok(None), Ok(Some(1))) | (Ok(Some(2)), Ok(None)) => {}
            (Err(Ended::TimedOut), Err(Ended::TimedOut)) => {}
            both => panic!("{both:?}"),
        }
        nobody_waits(&channels);
    });
}

/// A queue that tells and a rendezvous that meets, both at once: one case is done, and the other's element stays.
#[test]
fn loom_select_of_both_kinds() {
    model(3, || {
        let channels = channels([2, 0]);
        let teller = spawn(&channels, |[queue, _]| {
            let mut element = 1u64;
            assert_eq!(unsafe { queue.attempt(Direction::Send, (&raw mut element).cast()) }, Attempt::Done);
        });
        let closer = spawn(&channels, |[_, meeting]| meeting.close());
        let mut got = 0u64;
        let events = [0, 1].map(|which| unsafe { channels[which].case(Direction::Receive, (&raw mut got).cast()) });
        match select(&events, Deadline::Never) {
            Ok((0, Verdict::Done)) => assert_eq!(got, 1),
            Ok((1, Verdict::Closed)) => assert_eq!(got, 0),
            other => panic!("{other:?}"),
        }
        teller.join().unwrap();
        closer.join().unwrap();
        assert_eq!(channels[0].len(), usize::from(got == 0));
        nobody_waits(&channels);
    });
}

/// A select is told of an element that another takes first: it is told of the next one again.
#[test]
fn loom_select_told_too_late() {
    model(2, || {
        let channels = channels([2, 2]);
        let thief = spawn(&channels, |[queue, _]| {
            let mut stolen = 0u64;
            unsafe { queue.attempt(Direction::Receive, (&raw mut stolen).cast()) == Attempt::Done }
        });
        let sender = spawn(&channels, |[queue, _]| {
            for _ in 0..2 {
                assert!(unsafe { queue.send((&raw const SEVEN).cast(), Deadline::Never) }.is_ok());
            }
        });
        let mut got = 0u64;
        let events = [0, 1].map(|which| unsafe { channels[which].case(Direction::Receive, (&raw mut got).cast()) });
        assert_eq!(select(&events, Deadline::Never), Ok((0, Verdict::Done)));
        sender.join().unwrap();
        let stolen = thief.join().unwrap();
        assert_eq!((got, channels[0].len()), (7, usize::from(!stolen)));
        nobody_waits(&channels);
    });
}

/// A select that comes to nothing by the fast way, against a close that waits until it is out.
#[test]
fn loom_select_leaves_no_close_asleep() {
    for available in [true, false] {
        set_available(available);
        model(3, || {
            let options = Options { single_producer: true, ..Options::default() };
            let full = Channel::new(Layout::new::<u64>(), Capacity::Bounded(2), options).unwrap();
            for _ in 0..2 {
                assert!(unsafe { full.send((&raw const SEVEN).cast(), Deadline::Now) }.is_ok());
            }
            let full = Arc::new(full);
            let closer = {
                let full = full.clone();
                thread::spawn(move || full.close())
            };
            let mut element = 7u64;
            let events = [unsafe { full.case(Direction::Send, (&raw mut element).cast()) }];
            match select(&events, Deadline::Never) {
                Ok((0, Verdict::Closed)) => {}
                other => panic!("{other:?}"),
            }
            closer.join().unwrap();
        });
    }
    set_available(true);
}

struct Ignore;

impl Wake for Ignore {
    fn wake(self: std::sync::Arc<Self>) {}
}

/// A select that is polled and then forgotten, against a sender that gives up: both agree on whether they have met.
#[test]
fn loom_select_forgotten_against_send() {
    model(3, || {
        let channels = channels([0, 0]);
        let sender = spawn(&channels, |[meeting, _]| unsafe {
            meeting.send((&raw const SEVEN).cast(), Deadline::At(0)).is_ok()
        });
        let mut got = 0u64;
        let events = [unsafe { channels[0].case(Direction::Receive, (&raw mut got).cast()) }];
        let waker = Waker::from(std::sync::Arc::new(Ignore));
        let mut pending = Pending::default();
        let met = unsafe { pending.poll(&events, &waker).or_else(|| pending.forget(&events)) };
        assert_eq!(sender.join().unwrap(), met == Some((0, Verdict::Done)));
        assert_eq!(got, if met.is_some() { 7 } else { 0 });
        nobody_waits(&channels);
    });
}

static SEVEN: u64 = 7;
