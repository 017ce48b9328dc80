//! What most programs never come to: large tasks, tasks in use, runs in runs, ends that take too long.

use std::ptr::NonNull;
use std::sync::Barrier;

use super::super::runtime::NotSubmitted;
use super::*;

#[test]
fn large_tasks_are_run_and_dropped() {
    let runtime = runtime(1, 1);
    let held = Arc::new(Barrier::new(2));
    let hold = held.clone();
    spawn(&runtime, move |_| {
        hold.wait();
        hold.wait();
    });
    held.wait();
    let alive = Arc::new(());
    let ran = Arc::new(AtomicUsize::new(0));
    for number in 0..10usize {
        let (alive, ran, large) = (alive.clone(), ran.clone(), [number; 100]);
        spawn(&runtime, move |_| {
            let _alive = alive;
            ran.fetch_add(large.iter().sum(), Ordering::Relaxed);
        });
    }
    assert_eq!(Arc::strong_count(&alive), 11);
    held.wait();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!((ran.load(Ordering::Relaxed), Arc::strong_count(&alive)), (4500, 1));
}

#[test]
fn owned_tasks_are_taken_whole_or_not_at_all() {
    struct Counted;
    static RAN: AtomicUsize = AtomicUsize::new(0);
    impl Owner for Counted {
        unsafe fn inherit(_: NonNull<Slot>) {}

        unsafe fn disinherit(_: NonNull<Slot>) {}

        unsafe fn run(slot: NonNull<Slot>, _: &Worker) {
            // SAFETY: claimed, and not used any more here.
            unsafe { Slot::release(slot) };
            RAN.fetch_add(1, Ordering::Relaxed);
        }
    }
    let held = Held::new();
    let slots: Vec<_> = (0..3).map(|_| Slot::new::<Counted>()).collect();
    let [a, b, c] = [0, 1, 2].map(|index| NonNull::from(&slots[index]));
    // SAFETY: slots that stay until the runtime has ended.
    let submit = |slots: &[NonNull<Slot>]| unsafe { held.runtime.submit::<Counted>(slots.iter().copied()) };
    assert_eq!(submit(&[]), Ok(()));
    assert_eq!(submit(&[b]), Ok(()));
    // The first was claimed before the second turned out to be queued; it is free again.
    assert!(matches!(submit(&[a, b, c]), Err(NotSubmitted::Refused(1, _))));
    assert_eq!(submit(&[c, a]), Ok(()));
    let runtime = held.runtime.retain();
    held.release();
    assert_eq!((RAN.load(Ordering::Relaxed), runtime.stats().executed), (3, 4));
    // SAFETY: as above.
    let late = unsafe { runtime.submit::<Counted>([a].into_iter()) };
    assert!(matches!(late, Err(NotSubmitted::Failed(failure)) if failure.is(Status::Shutdown)));
}

#[test]
fn a_run_in_a_run_is_a_call() {
    let runtime = runtime(1, 1);
    let inner = runtime.run(|worker| {
        let index = worker.index();
        worker.core().run(|worker| worker.index() == index)
    });
    assert_eq!(inner, Ok(Ok(true)));
    let failed = runtime.run(|worker| worker.core().run(|_| -> i32 { std::panic::resume_unwind(Box::new("inner")) }));
    assert!(failed.unwrap().is_err_and(|failure| failure.is(Status::Panic)));
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!((runtime.stats().executed, runtime.workers()), (2, 1));
}

#[test]
fn an_end_that_takes_too_long_goes_on() {
    let held = Held::new();
    let late = held.runtime.shutdown(Mode::Drain, Deadline::At(1));
    assert!(late.is_err_and(|failure| failure.is(Status::Timeout)));
    assert!(held.runtime.spawn(Call(|_: &Worker| {})).is_err());
    let runtime = held.runtime.retain();
    held.release();
    assert_eq!(runtime.stats().threads, 0);
    runtime.shutdown(Mode::Drain, Deadline::after(1)).unwrap();
}
