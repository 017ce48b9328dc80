use super::*;
use crate::sync::model;
use loom::sync::Arc;

struct Shared {
    mutex: Mutex,
    /// Guarded by the mutex.
    count: UnsafeCell<u32>,
}

// SAFETY: guarded.
unsafe impl Sync for Shared {}

fn shared() -> Arc<Shared> {
    Arc::new(Shared { mutex: Mutex::new(c""), count: UnsafeCell::new(0) })
}

fn holder() -> Holder {
    let party: &Party = Box::leak(Box::new(Party::new()));
    Holder { party, held: &party.held, level: 1 }
}

/// Locks it, if the deadline does not pass first, and counts; whether it did.
fn count(shared: &Shared, deadline: Deadline) -> bool {
    let holder = holder();
    if shared.mutex.lock(holder, || deadline).is_err() {
        return false;
    }
    shared.count.with_mut(|count| unsafe { *count += 1 });
    shared.mutex.unlock(holder).unwrap();
    assert!(holder.held.get().is_null());
    true
}

fn check(shared: Arc<Shared>, counted: u32) {
    assert!(count(&shared, Deadline::Now), "it is free in the end");
    assert_eq!(shared.count.with(|count| unsafe { *count }), counted + 1);
    let waiting = shared.mutex.body().waiting.lock();
    assert!(waiting.is_empty());
}

fn contend(preemptions: usize, deadlines: &'static [Deadline]) {
    model(preemptions, || {
        let shared = shared();
        let others: Vec<_> = deadlines
            .iter()
            .map(|&deadline| {
                let shared = shared.clone();
                loom::thread::spawn(move || count(&shared, deadline))
            })
            .collect();
        let mut counted = u32::from(count(&shared, Deadline::Never));
        counted += others.into_iter().map(|other| u32::from(other.join().unwrap())).sum::<u32>();
        check(shared, counted);
    });
}

/// Two who contend both get it.
#[test]
fn loom_mutex_excludes_and_wakes() {
    contend(3, &[Deadline::Never]);
}

/// Three, so that one may be passed over and gets it handed over.
#[test]
fn loom_mutex_hands_over() {
    contend(2, &[Deadline::Never, Deadline::Never]);
}

/// A waiter gives up while it may be being woken or handed the mutex: that is not lost, the others get it.
#[test]
fn loom_mutex_survives_who_gives_up() {
    contend(2, &[Deadline::At(0), Deadline::Never]);
}

/// The last handle goes while the holder ends: the memory goes once.
#[test]
fn loom_mutex_is_freed_once() {
    model(3, || {
        let mutex = Mutex::new(c"");
        let (holder, body) = (holder(), mutex.body() as *const Body as usize);
        mutex.lock(holder, || Deadline::Never).unwrap();
        let other = loom::thread::spawn(move || drop(mutex));
        assert_eq!(holder.held.get() as usize, body);
        assert_eq!(unlock_until(holder.held, ptr::null()).len(), 1);
        other.join().unwrap();
    });
}
