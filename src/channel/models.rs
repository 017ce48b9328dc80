//! Models of the channel: elements neither lost nor doubled, whoever waits, gives up or closes.

use super::*;
use crate::sync::model;
use loom::sync::Arc;

fn channel(capacity: Capacity) -> Arc<Channel> {
    Arc::new(Channel::new(Layout::new::<u64>(), capacity, None).unwrap())
}

fn send(channel: &Channel, value: u64, deadline: Deadline) -> Result<()> {
    unsafe { channel.send((&raw const value).cast(), deadline) }
}

fn receive(channel: &Channel, deadline: Deadline) -> Result<u64> {
    let mut value = 0u64;
    unsafe { channel.receive((&raw mut value).cast(), deadline) }.map(|()| value)
}

#[test]
fn loom_channel_rendezvous_hands_over() {
    loom::model(|| {
        let channel = channel(Capacity::Bounded(0));
        let sender = {
            let channel = channel.clone();
            loom::thread::spawn(move || send(&channel, 7, Deadline::Never).unwrap())
        };
        assert_eq!(receive(&channel, Deadline::Never), Ok(7));
        sender.join().unwrap();
    });
}

#[test]
fn loom_channel_of_one_keeps_the_order() {
    model(3, || {
        let channel = channel(Capacity::Bounded(1));
        let sender = {
            let channel = channel.clone();
            loom::thread::spawn(move || (1..=3).for_each(|i| send(&channel, i, Deadline::Never).unwrap()))
        };
        (1..=3).for_each(|i| assert_eq!(receive(&channel, Deadline::Never), Ok(i)));
        sender.join().unwrap();
    });
}

/// A receiver that gives up (its wait modelled step by step) against a sender: the element is in exactly one place.
#[test]
fn loom_channel_timeout_against_send() {
    loom::model(|| {
        let channel = channel(Capacity::Bounded(1));
        let waiter = Waiter::new();
        let mut value = 0u64;
        let mut node = WaitNode::new(&waiter, (&raw mut value).cast());
        unsafe { channel.state.lock().receivers.push(&mut node) };
        let sender = {
            let channel = channel.clone();
            loom::thread::spawn(move || send(&channel, 7, Deadline::Never).unwrap())
        };
        if waiter.give_up() {
            unsafe { channel.state.lock().receivers.unlink(&mut node) };
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
fn loom_channel_close_wakes_both_ends() {
    model(3, || {
        let channel = channel(Capacity::Bounded(1));
        let receiver = {
            let channel = channel.clone();
            loom::thread::spawn(move || {
                let mut got = 0;
                while let Ok(value) = receive(&channel, Deadline::Never) {
                    got += value;
                }
                got
            })
        };
        let closer = {
            let channel = channel.clone();
            loom::thread::spawn(move || channel.close())
        };
        let sent = send(&channel, 5, Deadline::Never).is_ok();
        closer.join().unwrap();
        assert_eq!(receiver.join().unwrap(), if sent { 5 } else { 0 });
    });
}
