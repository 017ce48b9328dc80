//! The channel against a simple queue, and its edges.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::*;
use crate::sync::select::{Pending, Verdict};

fn send(channel: &Channel, value: u64, deadline: Deadline) -> Result<()> {
    // SAFETY: the channels of these tests carry u64s.
    unsafe { channel.send((&raw const value).cast(), deadline) }
}

fn receive(channel: &Channel, deadline: Deadline) -> Result<u64> {
    let mut value = 0u64;
    // SAFETY: as in send.
    unsafe { channel.receive((&raw mut value).cast(), deadline) }.map(|()| value)
}

#[test]
fn behaves_like_a_simple_queue() {
    for capacity in [Capacity::Bounded(1), Capacity::Bounded(3), Capacity::Bounded(64), Capacity::Unbounded] {
        let channel = Channel::new(Layout::new::<u64>(), capacity, Options::default()).unwrap();
        let mut queue = VecDeque::new();
        let mut random = 0x2545_F491_4F6C_DD1Du64;
        for i in 0..20_000u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Runs of sends and runs of receives, so that rings wrap and chains grow and shrink.
            if (random >> 20) % 1000 < if (i / 700) % 2 == 0 { 700 } else { 300 } {
                let full = matches!(capacity, Capacity::Bounded(limit) if queue.len() == limit);
                assert_eq!(send(&channel, i, Deadline::Now).is_ok(), !full);
                if !full {
                    queue.push_back(i);
                }
            } else {
                assert_eq!(receive(&channel, Deadline::Now).ok(), queue.pop_front());
            }
            assert_eq!(channel.len(), queue.len());
        }
    }
}

#[test]
fn what_is_never_received_is_discarded_once() {
    for capacity in [Capacity::Bounded(600), Capacity::Unbounded] {
        let discarded = Arc::new(AtomicUsize::new(0));
        let discard = {
            let discarded = discarded.clone();
            Box::new(move |element: *mut u8| {
                // SAFETY: the channel hands out its own u64s.
                discarded.fetch_add(unsafe { element.cast::<u64>().read() } as usize, Ordering::Relaxed);
            })
        };
        let channel =
            Channel::new(Layout::new::<u64>(), capacity, Options { discard: Some(discard), ..Options::default() })
                .unwrap();
        (1..=600).for_each(|i| send(&channel, i, Deadline::Now).unwrap());
        (1..=300).for_each(|i| assert_eq!(receive(&channel, Deadline::Now), Ok(i)));
        channel.close();
        assert!(send(&channel, 1, Deadline::Never).is_err_and(|failure| failure.is(Status::Closed)));
        drop(channel);
        assert_eq!(discarded.load(Ordering::Relaxed), (301..=600usize).sum::<usize>());
    }
}

#[test]
fn timeouts_leave_nothing_behind() {
    let channel = Channel::new(Layout::new::<u64>(), Capacity::Bounded(0), Options::default()).unwrap();
    assert!(send(&channel, 1, Deadline::At(1)).is_err_and(|failure| failure.is(Status::Timeout)));
    assert!(receive(&channel, Deadline::At(1)).is_err_and(|failure| failure.is(Status::Timeout)));
    assert!(send(&channel, 1, Deadline::Now).is_err_and(|failure| failure.is(Status::WouldBlock)));
    assert_eq!([Direction::Send, Direction::Receive].map(|direction| channel.waiting(direction)), [0, 0]);
}

#[test]
fn absurd_sizes_are_refused() {
    let huge = Layout::from_size_align(1 << 40, 8).unwrap();
    for capacity in [usize::MAX - 1, 1 << 40, usize::MAX >> 3] {
        let refused = Channel::new(huge, Capacity::Bounded(capacity), Options::default());
        assert!(refused.is_err_and(|failure| failure.is(Status::NoMemory)));
    }
}

/// Two threads on a side that is for one: the second is told, and the first goes on.
#[test]
#[cfg(debug_assertions)]
fn a_single_side_tells_the_second_thread() {
    let options = || Options { single_producer: true, single_consumer: true, ..Options::default() };
    let channel = Channel::new(Layout::new::<u64>(), Capacity::Bounded(4), options()).unwrap();
    let Flavour::Ring(queue) = &channel.flavour else { panic!("four are a ring") };
    send(&channel, 1, Deadline::Now).unwrap();
    for direction in [Direction::Send, Direction::Receive] {
        assert!(queue.hold_door(direction));
    }
    let mut element = 0u64;
    let place = (&raw mut element).cast::<u8>();
    // SAFETY: a u64's place.
    unsafe {
        assert_eq!((channel.fast_send::<true>(place), channel.fast_receive::<true>(place)), (Fast::No, Fast::No));
    }
    assert!(send(&channel, 2, Deadline::Never).is_err_and(|failure| failure.is(Status::Busy)));
    assert!(receive(&channel, Deadline::Never).is_err_and(|failure| failure.is(Status::Busy)));
    assert_eq!((channel.len(), element), (1, 0));
}

/// An observer is told of every operation, of the end, and by no lock of the channel's: it looks at the channel.
#[test]
fn observers_are_told_of_everything() {
    for capacity in [Capacity::Bounded(1), Capacity::Bounded(2), Capacity::Unbounded] {
        let channel = Arc::new(Channel::new(Layout::new::<u64>(), capacity, Options::default()).unwrap());
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let observer = || -> Observer {
            let (seen, channel) = (seen.clone(), Arc::downgrade(&channel));
            Box::new(move || {
                let channel = channel.upgrade().unwrap();
                seen.lock().unwrap().push((channel.len(), channel.is_closed()));
            })
        };
        assert!(channel.observe(Direction::Receive, observer()));
        assert!(!channel.observe(Direction::Receive, observer()));
        let mut element = 7u64;
        let place = (&raw mut element).cast::<u8>();
        // SAFETY: a u64's place. The fast way first, as the C ABI does it.
        unsafe {
            if channel.fast_send::<true>(place) != Fast::No {
                channel.attend(Direction::Send);
            } else {
                channel.send(place, Deadline::Now).unwrap();
            }
            if channel.fast_receive::<true>(place) != Fast::No {
                channel.attend(Direction::Receive);
            } else {
                channel.receive(place, Deadline::Now).unwrap();
            }
        }
        channel.close();
        assert_eq!(*seen.lock().unwrap(), [(1, false), (0, false), (0, true)]);
    }
}

#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A select whose element another took first is told of the next one.
#[test]
fn a_select_that_came_too_late_is_told_again() {
    for capacity in [Capacity::Bounded(2), Capacity::Unbounded] {
        let channel = Channel::new(Layout::new::<u64>(), capacity, Options::default()).unwrap();
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(calls.clone());
        let mut got = 0u64;
        // SAFETY: the element stays until the select has ended, which it has below.
        let events = [unsafe { channel.case(Direction::Receive, (&raw mut got).cast()) }];
        let mut pending = Pending::default();
        for round in 1..=3 {
            // SAFETY: as above.
            assert_eq!(unsafe { pending.poll(&events, &waker) }, None);
            send(&channel, round, Deadline::Now).unwrap();
            assert_eq!(calls.0.load(Ordering::Relaxed), round as usize);
            assert_eq!(receive(&channel, Deadline::Now), Ok(round));
        }
        // SAFETY: as above.
        assert_eq!(unsafe { pending.forget(&events) }, None);
        assert_eq!(channel.waiting(Direction::Receive), 0);
    }
}

/// A select that is told and not polled, for whatever reason, keeps nothing from threads that wait behind it.
#[test]
fn a_select_that_is_not_polled_stops_nobody() {
    static ELEMENTS: [u64; 2] = [1, 2];
    for (elements, at_once) in [(1, true), (2, true), (2, false)] {
        let channel = Channel::new(Layout::new::<u64>(), Capacity::Bounded(4), Options::default()).unwrap();
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(calls.clone());
        let mut got = 0u64;
        // SAFETY: the element stays until the select has ended, which it has below.
        let events = [unsafe { channel.case(Direction::Receive, (&raw mut got).cast()) }];
        let mut pending = Pending::default();
        // SAFETY: as above.
        assert_eq!(unsafe { pending.poll(&events, &waker) }, None);
        std::thread::scope(|scope| {
            let behind = scope.spawn(|| receive(&channel, Deadline::after(10_000_000_000)));
            while channel.waiting(Direction::Receive) < 2 {
                std::thread::yield_now();
            }
            if at_once {
                // SAFETY: as many elements, or one more.
                let sent = unsafe { channel.send_batch((&raw const ELEMENTS).cast(), elements, Deadline::Now, || ()) };
                assert_eq!(sent, (elements, Ok(())));
            } else {
                ELEMENTS.iter().for_each(|&element| send(&channel, element, Deadline::Now).unwrap());
            }
            assert_eq!(behind.join().unwrap(), Ok(1));
        });
        assert_eq!(calls.0.load(Ordering::Relaxed), 1);
        // SAFETY: as above.
        let hit = unsafe { pending.poll(&events, &waker).or_else(|| pending.forget(&events)) };
        assert_eq!(hit, (elements == 2).then_some((0, Verdict::Done)));
        assert_eq!(got, if elements == 2 { 2 } else { 0 });
    }
}
