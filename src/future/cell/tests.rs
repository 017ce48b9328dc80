use super::*;
use crate::future::{Callback, OnSettled};
use std::sync::Mutex;

#[test]
fn a_value_is_dropped_once_wherever_it_is() {
    struct Counted<'a>(&'a std::sync::atomic::AtomicU32);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = std::sync::atomic::AtomicU32::new(0);
    let (promise, future) = channel();
    assert!(promise.settle(Ok(Counted(&drops))).is_ok());
    assert!(promise.settle(Ok(Counted(&drops))).is_err());
    assert_eq!(drops.load(Ordering::Relaxed), 1, "the refused value came back and was dropped");
    drop(promise);
    drop(future);
    assert_eq!(drops.load(Ordering::Relaxed), 2);

    let (promise, future) = channel();
    assert!(promise.settle(Ok(Counted(&drops))).is_ok());
    // SAFETY: no reference to the value exists.
    let taken = unsafe { future.take(Deadline::Now) };
    // SAFETY: as above.
    assert!(unsafe { future.take(Deadline::Now) }.is_err_and(|failure| failure.is(Status::Busy)));
    drop((promise, future));
    assert_eq!(drops.load(Ordering::Relaxed), 2);
    drop(taken);
    assert_eq!(drops.load(Ordering::Relaxed), 3);
}

#[test]
fn a_dropped_promise_breaks() {
    let (promise, future) = channel::<()>();
    assert!(future.wait(Deadline::Now).is_err_and(|failure| failure.is(Status::WouldBlock)));
    drop(promise);
    assert!(future.get(Deadline::Never).is_err_and(|failure| failure.is(Status::Broken)));
    assert_eq!(future.state(), State::Failed);
}

#[test]
fn only_the_sole_holder_takes() {
    let future = settled(Ok(5));
    let other = future.clone();
    // SAFETY: no reference to the value exists.
    assert!(unsafe { future.take(Deadline::Now) }.is_err_and(|failure| failure.is(Status::Busy)));
    drop(other);
    // SAFETY: as above.
    assert_eq!(unsafe { future.take(Deadline::Now) }, Ok(5));
}

/// Callbacks that settle the next future, and futures that keep the one before: a long chain needs no deep stack.
#[test]
fn chains_of_any_length() {
    const LENGTH: usize = 1_000_000;
    // A future of a future of a future: values that are futures, freed from the last one on.
    struct Link(Option<Future<Link>>);
    let mut last = settled(Ok(Link(None)));
    for _ in 0..LENGTH {
        last = settled(Ok(Link(Some(last))));
    }
    assert!(last.get(Deadline::Now).unwrap().0.is_some());
    drop(last);

    struct Then(Promise<u32>);
    impl OnSettled<u32> for Then {
        fn settled(self, source: &Cell<u32>) {
            let _ = self.0.settle(Ok(source.get(Deadline::Now).unwrap() + 1));
        }
    }
    let (first, mut future) = channel();
    for _ in 0..LENGTH {
        let (promise, next) = channel();
        Callback::new(&future, Then(promise)).arm(&future);
        future = next;
    }
    assert!(first.settle(Ok(0)).is_ok());
    assert_eq!(future.get(Deadline::Now), Ok(&(LENGTH as u32)));
}

#[test]
fn calls_come_in_order_and_after_the_one_that_settles() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let (first, second) = (channel::<()>(), channel::<()>());
    let note = |number| {
        let order = order.clone();
        move || order.lock().unwrap().push(number)
    };
    Callback::new(&second.1, note(2)).arm(&second.1);
    let (promise, noted) = (second.0, note(0));
    let settle = move || {
        assert!(promise.settle(Ok(())).is_ok());
        noted();
    };
    Callback::new(&first.1, settle).arm(&first.1);
    Callback::new(&first.1, note(1)).arm(&first.1);
    assert!(first.0.settle(Ok(())).is_ok());
    Callback::new(&first.1, note(3)).arm(&first.1);
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
}

#[test]
fn what_was_taken_back_is_not_told() {
    let told = Arc::new(());
    let (promise, future) = channel::<()>();
    let callbacks = [0, 1, 2].map(|_| {
        let told = told.clone();
        let callback = Callback::new(&future, move || drop(told));
        callback.arm(&future);
        callback
    });
    assert!(callbacks[1].off().is_some());
    assert!(callbacks[1].off().is_none());
    assert_eq!(Arc::strong_count(&told), 3);
    drop(promise);
    assert_eq!(Arc::strong_count(&told), 1);
    assert!(callbacks.iter().all(|callback| callback.off().is_none() && Arc::strong_count(callback) == 1));
}

#[test]
fn a_descriptor_tells_and_is_the_cells() {
    let (promise, future) = channel::<()>();
    let fd = future.fd().unwrap();
    assert_eq!(future.fd().unwrap(), fd);
    let is_readable = |fd| {
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 && poll.revents & libc::POLLIN != 0 }
    };
    assert!(!is_readable(fd));
    drop(promise);
    assert!(is_readable(fd) && is_readable(fd));
    let late = settled(Ok(()));
    assert!(is_readable(late.fd().unwrap()));
}
