//! Models of the channel: elements neither lost nor doubled, whoever waits, gives up or closes.

use super::hand_off::SERVED;
use super::queue::TRY;
use super::*;
use crate::sync::asymmetric::modelled::set_available;
use crate::sync::model;
use crate::sync::wait::Waiter;
use loom::sync::Arc;
use std::ptr;

const SHARED: [bool; 2] = [false; 2];
const SINGLE: [bool; 2] = [true; 2];

fn channel_of(capacity: Capacity, [single_producer, single_consumer]: [bool; 2]) -> Arc<Channel> {
    let options = Options { discard: None, single_producer, single_consumer };
    Arc::new(Channel::new(Layout::new::<u64>(), capacity, options).unwrap())
}

fn channel(capacity: Capacity) -> Arc<Channel> {
    channel_of(capacity, SHARED)
}

/// As the C ABI does it: the fast way first.
fn send(channel: &Channel, value: u64, deadline: Deadline) -> Result<()> {
    let element = (&raw const value).cast();
    match unsafe { channel.fast_send::<true>(element) } {
        Fast::Done => Ok(()),
        Fast::Attend => {
            channel.attend(Direction::Send);
            Ok(())
        }
        Fast::No => unsafe { channel.send(element, deadline) },
    }
}

fn receive(channel: &Channel, deadline: Deadline) -> Result<u64> {
    let mut value = 0u64;
    let element = (&raw mut value).cast();
    match unsafe { channel.fast_receive::<true>(element) } {
        Fast::Done => Ok(value),
        Fast::Attend => {
            channel.attend(Direction::Receive);
            Ok(value)
        }
        Fast::No => unsafe { channel.receive(element, deadline) }.map(|()| value),
    }
}

fn spawn<R: 'static>(channel: &Arc<Channel>, f: impl FnOnce(&Channel) -> R + 'static) -> loom::thread::JoinHandle<R> {
    let channel = channel.clone();
    loom::thread::spawn(move || f(&channel))
}

/// On systems with the barrier, and without.
fn on_both_systems(preemptions: usize, f: impl Fn() + Send + Sync + Clone + 'static) {
    for available in [true, false] {
        set_available(available);
        model(preemptions, f.clone());
    }
    set_available(true);
}

fn nobody_waits(channel: &Channel) -> bool {
    match &channel.flavour {
        Flavour::Ring(queue) => queue.nobody_waits(),
        Flavour::List(queue) => queue.nobody_waits(),
        Flavour::HandOff(hand_off) => hand_off.nobody_waits(),
    }
}

/// The two flavours that tell.
const QUEUES: [Capacity; 2] = [Capacity::Bounded(2), Capacity::Unbounded];

#[test]
fn loom_queue_passes_elements_in_order() {
    for capacity in QUEUES {
        for single in [SHARED, SINGLE] {
            model(1, move || {
                let channel = channel_of(capacity, single);
                let sender = spawn(&channel, |channel| {
                    (1..=3).for_each(|i| send(channel, i, Deadline::Never).unwrap());
                });
                (1..=3).for_each(|i| assert_eq!(receive(&channel, Deadline::Never), Ok(i)));
                sender.join().unwrap();
                assert!(nobody_waits(&channel));
            });
        }
    }
}

/// A waiter (step by step) that gives up against a sender. If it was told, there is an element, for it or for the next.
#[test]
fn loom_queue_timeout_against_send() {
    for capacity in QUEUES {
        for single in [SHARED, SINGLE] {
            on_both_systems(3, move || {
                let channel = channel_of(capacity, single);
                let sender = spawn(&channel, |channel| send(channel, 7, Deadline::Never).unwrap());
                let waiter = Waiter::new();
                let mut node = WaitNode::new(&waiter, ptr::null_mut());
                let ready = unsafe { channel.watch(Direction::Receive, &mut node) };
                let gave_up = waiter.give_up();
                if gave_up {
                    unsafe { channel.let_go(Direction::Receive, &mut node) };
                } else {
                    assert_eq!(waiter.wait(Deadline::Never), Ended::Fired(TRY));
                }
                if ready || !gave_up {
                    assert_eq!(receive(&channel, Deadline::Now), Ok(7));
                }
                if !gave_up {
                    channel.pass_on(Direction::Receive);
                }
                sender.join().unwrap();
                assert_eq!(receive(&channel, Deadline::Now).is_ok(), !ready && gave_up);
                assert!(nobody_waits(&channel));
            });
        }
    }
}

/// Two receivers wait, one element after the other comes: each wakes up for one, the second because the first passes it on.
#[test]
fn loom_queue_wake_up_is_passed_on() {
    for capacity in QUEUES {
        on_both_systems(2, move || {
            let channel = channel(capacity);
            let receivers = [0, 1].map(|_| spawn(&channel, |channel| receive(channel, Deadline::Never).unwrap()));
            send(&channel, 1, Deadline::Never).unwrap();
            send(&channel, 2, Deadline::Never).unwrap();
            let got: u64 = receivers.map(|receiver| receiver.join().unwrap()).iter().sum();
            assert_eq!(got, 3);
            assert!(nobody_waits(&channel));
        });
    }
}

/// Who was told and does not want it (a select that ended otherwise) passes it on to the other.
#[test]
fn loom_queue_unused_wake_up_is_passed_on() {
    for capacity in QUEUES {
        on_both_systems(2, move || {
            let channel = channel(capacity);
            let waiter = Waiter::new();
            let mut node = WaitNode::new(&waiter, ptr::null_mut());
            assert!(!unsafe { channel.watch(Direction::Receive, &mut node) });
            let receiver = spawn(&channel, |channel| receive(channel, Deadline::Never).unwrap());
            send(&channel, 1, Deadline::Never).unwrap();
            if waiter.give_up() {
                unsafe { channel.let_go(Direction::Receive, &mut node) };
            } else {
                assert_eq!(waiter.wait(Deadline::Never), Ended::Fired(TRY));
                channel.pass_on(Direction::Receive);
            }
            assert_eq!(receiver.join().unwrap(), 1);
            assert!(nobody_waits(&channel));
        });
    }
}

/// A batch is one call for two receivers, and a full ring is freed by a batch for two senders.
#[test]
fn loom_queue_batch_wakes_all_it_is_for() {
    on_both_systems(2, move || {
        let channel = channel(Capacity::Bounded(2));
        let receivers = [0, 1].map(|_| spawn(&channel, |channel| receive(channel, Deadline::Never).unwrap()));
        let elements = [1u64, 2];
        let sent = unsafe { channel.send_batch(elements.as_ptr().cast(), 2, Deadline::Never, || ()) };
        assert_eq!(sent, (2, Ok(())));
        assert_eq!(receivers.map(|receiver| receiver.join().unwrap()).iter().sum::<u64>(), 3);
        assert!(nobody_waits(&channel));
    });
}

#[test]
fn loom_queue_batch_frees_a_full_ring() {
    model(1, move || {
        let channel = channel(Capacity::Bounded(2));
        (1..=2).for_each(|i| send(&channel, i, Deadline::Now).unwrap());
        let senders = [3, 4].map(|i| spawn(&channel, move |channel| send(channel, i, Deadline::Never).unwrap()));
        let mut got = [0u64; 4];
        let mut n = 0;
        while n < 4 {
            n += unsafe { channel.receive_batch((&raw mut got[n]).cast(), 4 - n, Deadline::Never, || ()) }.unwrap();
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert_eq!(got.iter().sum::<u64>(), 10);
        assert!(nobody_waits(&channel));
    });
}

/// A close between them: what was sent is received, and the end is told after it, to the waiting, too.
#[test]
fn loom_queue_close_is_exact() {
    for capacity in QUEUES {
        for single in [SHARED, SINGLE] {
            on_both_systems(1, move || {
                let channel = channel_of(capacity, single);
                let sender = spawn(&channel, |channel| send(channel, 5, Deadline::Never).is_ok());
                let closer = spawn(&channel, Channel::close);
                let mut got = 0;
                while let Ok(value) = receive(&channel, Deadline::Never) {
                    got += value;
                }
                let sent = sender.join().unwrap();
                closer.join().unwrap();
                assert_eq!(got, if sent { 5 } else { 0 });
                assert!(receive(&channel, Deadline::Now).is_err_and(|failure| failure.is(Status::Closed)));
            });
        }
    }
}

/// Who is told of the end has missed nothing that goes in behind its back.
#[test]
fn loom_queue_nothing_comes_after_the_end() {
    for capacity in QUEUES {
        for single in [SHARED, SINGLE] {
            model(2, move || {
                let channel = channel_of(capacity, single);
                let sender = spawn(&channel, |channel| send(channel, 5, Deadline::Now).is_ok());
                let closer = spawn(&channel, Channel::close);
                let got = receive(&channel, Deadline::Now);
                closer.join().unwrap();
                if got.is_err_and(|failure| failure.is(Status::Closed)) {
                    assert!(!sender.join().unwrap());
                }
            });
        }
    }
}

/// What was sent before the end is there when the close has returned, and nothing comes after it.
#[test]
fn loom_queue_close_and_drain() {
    for capacity in QUEUES {
        for single in [SHARED, SINGLE] {
            on_both_systems(3, move || {
                let channel = channel_of(capacity, single);
                let sender = spawn(&channel, |channel| send(channel, 5, Deadline::Never).is_ok());
                channel.close();
                let got = receive(&channel, Deadline::Never).is_ok();
                assert!(receive(&channel, Deadline::Now).is_err_and(|failure| failure.is(Status::Closed)));
                assert_eq!(got, sender.join().unwrap());
            });
        }
    }
}

/// A sender that waits for room against a close: the element is the sender's.
#[test]
fn loom_queue_close_wakes_a_sender() {
    on_both_systems(2, move || {
        let channel = channel(Capacity::Bounded(2));
        (1..=2).for_each(|i| send(&channel, i, Deadline::Now).unwrap());
        let sender = spawn(&channel, |channel| send(channel, 3, Deadline::Never));
        channel.close();
        assert!(sender.join().unwrap().is_err_and(|failure| failure.is(Status::Closed)));
        assert_eq!(channel.len(), 2);
    });
}

/// Nobody receives any more, while somebody sends: what has been sent is discarded, and nothing else.
#[test]
fn loom_queue_abandoned() {
    for capacity in QUEUES {
        for single in [SHARED, SINGLE] {
            on_both_systems(2, move || {
                let discarded = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
                let count = discarded.clone();
                let discard: Discard = Box::new(move |element| {
                    count.fetch_add(unsafe { element.cast::<u64>().read() }, std::sync::atomic::Ordering::Relaxed);
                });
                let options =
                    Options { discard: Some(discard), single_producer: single[0], single_consumer: single[1] };
                let channel = Arc::new(Channel::new(Layout::new::<u64>(), capacity, options).unwrap());
                let sender = spawn(&channel, |channel| {
                    (1..=2).filter(|&i| send(channel, i, Deadline::Never).is_ok()).sum::<u64>()
                });
                channel.abandon();
                let sent = sender.join().unwrap();
                assert_eq!(discarded.load(std::sync::atomic::Ordering::Relaxed), sent);
                assert!(receive(&channel, Deadline::Now).is_err_and(|failure| failure.is(Status::Closed)));
            });
        }
    }
}

#[test]
fn loom_hand_off_rendezvous() {
    loom::model(|| {
        let channel = channel(Capacity::Bounded(0));
        let sender = spawn(&channel, |channel| send(channel, 7, Deadline::Never).unwrap());
        assert_eq!(receive(&channel, Deadline::Never), Ok(7));
        sender.join().unwrap();
    });
}

#[test]
fn loom_hand_off_of_one_keeps_the_order() {
    model(3, || {
        let channel = channel(Capacity::Bounded(1));
        let sender = spawn(&channel, |channel| (1..=3).for_each(|i| send(channel, i, Deadline::Never).unwrap()));
        (1..=3).for_each(|i| assert_eq!(receive(&channel, Deadline::Never), Ok(i)));
        sender.join().unwrap();
    });
}

/// A receiver that gives up (its wait modelled step by step) against a sender: the element is in exactly one place.
#[test]
fn loom_hand_off_timeout_against_send() {
    loom::model(|| {
        let channel = channel(Capacity::Bounded(1));
        let hand_off = channel.hand_off().unwrap();
        let waiter = Waiter::new();
        let mut value = 0u64;
        let mut node = WaitNode::new(&waiter, (&raw mut value).cast());
        unsafe { hand_off.lock().push(Direction::Receive, &mut node) };
        let sender = spawn(&channel, |channel| send(channel, 7, Deadline::Never).unwrap());
        if waiter.give_up() {
            unsafe { channel.let_go(Direction::Receive, &mut node) };
            sender.join().unwrap();
            assert_eq!(value, 0);
            assert_eq!(receive(&channel, Deadline::Now), Ok(7));
        } else {
            assert_eq!(waiter.wait(Deadline::Never), Ended::Fired(SERVED));
            assert_eq!(value, 7);
            sender.join().unwrap();
            assert_eq!(channel.len(), 0);
        }
    });
}

#[test]
fn loom_hand_off_close_wakes_both_ends() {
    model(3, || {
        let channel = channel(Capacity::Bounded(1));
        let receiver = spawn(&channel, |channel| {
            let mut got = 0;
            while let Ok(value) = receive(channel, Deadline::Never) {
                got += value;
            }
            got
        });
        let closer = spawn(&channel, Channel::close);
        let sent = send(&channel, 5, Deadline::Never).is_ok();
        closer.join().unwrap();
        assert_eq!(receiver.join().unwrap(), if sent { 5 } else { 0 });
    });
}
