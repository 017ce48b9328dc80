//! Settling against waits, calls, and the ends of both.

use super::*;
use crate::future::Callback;
use crate::sync::model;

#[test]
fn loom_future_settle_against_wait() {
    loom::model(|| {
        let (promise, future) = channel::<u32>();
        let waiter = loom::thread::spawn(move || {
            assert_eq!(future.get(Deadline::Never), Ok(&7));
            // SAFETY: the reference above is gone.
            assert_eq!(unsafe { future.take(Deadline::Never) }, Ok(7));
        });
        assert!(promise.settle(Ok(7)).is_ok());
        drop(promise);
        waiter.join().unwrap();
    });
}

#[test]
fn loom_future_is_settled_once() {
    loom::model(|| {
        let (promise, future) = channel::<u32>();
        let promise = Arc::new(promise);
        let other = {
            let promise = promise.clone();
            loom::thread::spawn(move || promise.settle(Ok(1)).is_ok())
        };
        let mine = promise.settle(Ok(2)).is_ok();
        let theirs = other.join().unwrap();
        assert!(mine != theirs);
        assert_eq!(future.get(Deadline::Now), Ok(&if mine { 2 } else { 1 }));
    });
}

/// Taking a call back against settling: it is made, or what would have been told comes back, once.
#[test]
fn loom_future_off_against_settle() {
    model(3, || {
        let calls = loom::sync::Arc::new(AtomicU32::new(0));
        let (promise, future) = channel::<u32>();
        let count = calls.clone();
        let callback = Callback::new(&future, move || _ = count.fetch_add(1, Ordering::Relaxed));
        let settler = loom::thread::spawn(move || drop(promise));
        callback.arm(&future);
        let back = callback.off().is_some();
        drop((callback, future));
        settler.join().unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), !back as u32);
        assert_eq!(loom::sync::Arc::strong_count(&calls), 1, "what was told is gone");
    });
}
