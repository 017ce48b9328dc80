//! More threads at once, and fewer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::scheduler::task::Call;
use crate::scheduler::{Mode, Options, Runtime, Worker};
use crate::sync::{Deadline, Gate};

#[test]
fn sizes_are_checked() {
    let runtime = Runtime::new(Options { workers: 1, max_threads: 3, ..Options::default() }).unwrap();
    for workers in [0, 4, 4097, u32::MAX] {
        assert!(runtime.resize(workers).is_err_and(|failure| failure.is(Status::Invalid)));
    }
    assert_eq!((runtime.workers(), runtime.stats().workers), (1, 1));
    runtime.resize(3).unwrap();
    assert_eq!((runtime.workers(), runtime.stats().workers), (3, 3));
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert!(runtime.resize(2).is_err_and(|failure| failure.is(Status::Shutdown)));
}

/// Tasks that can only end when all of them run at once, and do not block.
#[test]
fn a_raised_number_runs_what_is_queued() {
    let runtime = Runtime::new(Options { workers: 1, ..Options::default() }).unwrap();
    let running = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let running = running.clone();
        let task = Call(move |_: &Worker| {
            running.fetch_add(1, Ordering::SeqCst);
            while running.load(Ordering::SeqCst) < 3 {
                std::thread::yield_now();
            }
        });
        runtime.spawn(task).unwrap();
    }
    runtime.resize(3).unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(runtime.stats().executed, 3);
}

/// The same with a half of a join, which nobody had asked for.
#[test]
fn a_raised_number_asks_for_halves() {
    let runtime = Runtime::new(Options { workers: 1, ..Options::default() }).unwrap();
    let met = AtomicUsize::new(0);
    let joined = runtime.run(|worker| {
        let meet = || {
            met.fetch_add(1, Ordering::SeqCst);
            while met.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
                worker.yield_now();
            }
        };
        let first = |worker: &Worker| {
            worker.core().resize(2).unwrap();
            meet();
        };
        crate::parallel::join(worker, first, |_: &Worker| {
            met.fetch_add(1, Ordering::SeqCst);
        })
    });
    assert!(joined.is_ok());
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

/// Threads that are too many end, those that are asleep included, and from then on tasks run one after the other.
#[test]
fn a_lowered_number_holds() {
    let stopped = Arc::new((AtomicUsize::new(0), Gate::default()));
    let count = stopped.clone();
    let options = Options {
        workers: 3,
        max_threads: 3,
        keep_alive_ns: 1,
        on_stop: Some(Arc::new(move |_: &Worker| {
            if count.0.fetch_add(1, Ordering::SeqCst) == 1 {
                count.1.open();
            }
        })),
        ..Options::default()
    };
    let runtime = Runtime::new(options).unwrap();
    let meeting = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let meeting = meeting.clone();
        let task = Call(move |_: &Worker| {
            meeting.fetch_add(1, Ordering::SeqCst);
            while meeting.load(Ordering::SeqCst) < 3 {
                std::thread::yield_now();
            }
        });
        runtime.spawn(task).unwrap();
    }
    while meeting.load(Ordering::SeqCst) < 3 {
        std::thread::yield_now();
    }
    // All three are there; by now they finish, search, or sleep.
    runtime.resize(1).unwrap();
    stopped.1.wait(Deadline::Never);
    let inside = Arc::new(AtomicUsize::new(0));
    for _ in 0..200 {
        let inside = inside.clone();
        let task = Call(move |_: &Worker| {
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            std::thread::yield_now();
            inside.fetch_sub(1, Ordering::SeqCst);
        });
        runtime.spawn(task).unwrap();
    }
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    let stats = runtime.stats();
    assert_eq!((stats.executed, stats.panicked, stats.threads_peak), (203, 0, 3));
}

#[test]
fn sizes_change_during_a_storm() {
    const TASKS: usize = 2000;
    let runtime = Runtime::new(Options { workers: 2, max_threads: 8, keep_alive_ns: 1, ..Options::default() }).unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for n in 0..TASKS {
                    let ran = ran.clone();
                    let task = Call(move |worker: &Worker| {
                        let child = ran.clone();
                        let child = Call(move |_: &Worker| {
                            child.fetch_add(1, Ordering::Relaxed);
                        });
                        worker.core().spawn(child).unwrap();
                        if n % 100 == 0 {
                            // Refused once the end has begun.
                            let _ = worker.core().resize(1 + n as u32 % 7);
                        }
                        ran.fetch_add(1, Ordering::Relaxed);
                    });
                    runtime.spawn(task).unwrap();
                }
            });
        }
        scope.spawn(|| {
            for n in 0..200 {
                runtime.resize(1 + n * 5 % 8).unwrap();
                std::thread::yield_now();
            }
        });
    });
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 2 * 2 * TASKS);
    let stats = runtime.stats();
    assert_eq!((stats.spawned, stats.executed, stats.panicked, stats.threads), (8000, 8000, 0, 0));
    assert!(stats.threads_peak <= 8);
}
