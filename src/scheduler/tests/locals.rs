//! What is kept for each worker.

use std::ffi::c_void;
use std::ptr;

use super::*;
use crate::sync::Lock;

/// A value that notes where it is dropped.
struct Noted(usize, Arc<Lock<Vec<usize>>>);

impl Local for Noted {
    fn value(&self) -> *mut c_void {
        ptr::without_provenance_mut(self.0)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.1.lock().push(self.0);
    }
}

#[test]
fn keys_are_numbers_that_have_been_given() {
    let (a, b) = (Key::new(), Key::new());
    assert!(a < b);
    assert_eq!((Key::from_number(a.number()), Key::from_number(b.number())), (Some(a), Some(b)));
    assert_eq!((Key::from_number(0), Key::from_number(u64::MAX)), (None, None));
}

#[test]
fn a_value_stays_until_it_is_replaced_or_its_thread_ends() {
    let dropped: Arc<Lock<Vec<usize>>> = Arc::default();
    let keys = [(); 5].map(|()| Key::new());
    let runtime = runtime(1, 1);
    let set = |worker: &Worker, key: usize, number: usize| {
        let value = Noted(number, dropped.clone());
        worker.set_local(keys[key], || Some(Box::new(value))).unwrap();
    };
    runtime
        .run(|worker| {
            // In an order that is not that of the keys.
            [2, 0, 4, 1].iter().for_each(|&key| set(worker, key, key + 10));
            assert_eq!(worker.local(keys[1]).addr(), 11);
            assert!(worker.local(keys[3]).is_null());
            worker.set_local(keys[3], || None).unwrap();
        })
        .unwrap();
    // The next task on the thread finds them.
    let found = runtime.run(|worker| {
        set(worker, 2, 22);
        worker.set_local(keys[1], || None).unwrap();
        keys.map(|key| worker.local(key).addr())
    });
    assert_eq!((found, std::mem::take(&mut *dropped.lock())), (Ok([10, 0, 22, 0, 14]), vec![12, 11]));
    runtime.run(|worker| set(worker, 3, 13)).unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(*dropped.lock(), [14, 13, 22, 10]);
}

#[test]
fn workers_do_not_share_their_values() {
    let (runtime, key) = (runtime(2, 2), Key::new());
    let both = Arc::new(std::sync::Barrier::new(2));
    let dropped: Arc<Lock<Vec<usize>>> = Arc::default();
    for _ in 0..2 {
        let (both, dropped) = (both.clone(), dropped.clone());
        spawn(&runtime, move |worker| {
            // Each keeps its thread until the other has begun.
            both.wait();
            assert!(worker.local(key).is_null());
            worker.set_local(key, || Some(Box::new(Noted(worker.index(), dropped)))).unwrap();
            both.wait();
            assert_eq!(worker.local(key).addr(), worker.index());
        });
    }
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    dropped.lock().sort_unstable();
    assert_eq!((&*dropped.lock(), runtime.stats().panicked), (&vec![0, 1], 0));
}

/// A drop that fails, one that uses the values, and one that sets a value when its thread ends.
#[test]
fn drops_may_do_what_they_like() {
    struct Odd(Key, Arc<Lock<Vec<Option<i32>>>>);
    impl Local for Odd {
        fn value(&self) -> *mut c_void {
            ptr::null_mut()
        }
    }
    impl Drop for Odd {
        fn drop(&mut self) {
            let worker = Worker::current().unwrap();
            let set = worker.set_local(self.0, || None);
            self.1.lock().push(set.err().map(|failure| failure.status));
            std::panic::resume_unwind(Box::new("contained"));
        }
    }
    let (outcomes, key, other) = (Arc::default(), Key::new(), Key::new());
    let runtime = runtime(1, 1);
    runtime
        .run(|worker| {
            for _ in 0..2 {
                let odd = Odd(other, Arc::clone(&outcomes));
                worker.set_local(key, || Some(Box::new(odd))).unwrap();
            }
        })
        .unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(*outcomes.lock(), [None, Some(Status::Shutdown as i32)]);
    assert_eq!(runtime.stats().panicked, 2);
}
