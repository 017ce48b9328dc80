//! Threads that fail, and threads that the system refuses.

use std::sync::Barrier;

use super::super::faults::Point;
use super::*;
use crate::sync::Lock;

/// A runtime whose hooks count how many threads have begun and ended.
fn hooked(workers: u32, max_threads: u32) -> (Runtime, Arc<[AtomicUsize; 2]>) {
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let hook = |which: usize| -> WorkerHook {
        let counts = counts.clone();
        Arc::new(move |_| _ = counts[which].fetch_add(1, Ordering::Relaxed))
    };
    let options =
        Options { workers, max_threads, on_start: Some(hook(0)), on_stop: Some(hook(1)), ..Options::default() };
    (Runtime::new(options).unwrap(), counts)
}

/// Tasks that spawn on their own thread and fork; returns how many have run.
fn family(runtime: &Core, parents: usize, ran: &Arc<AtomicUsize>) {
    for _ in 0..parents {
        let ran = ran.clone();
        spawn(runtime, move |worker| {
            let pinned = worker.core().place(Priority::Normal, None, true).unwrap();
            for place in [Place::default(), Place::default(), pinned] {
                let ran = ran.clone();
                worker.core().spawn_at(Call(move |_: &Worker| _ = ran.fetch_add(1, Ordering::Relaxed)), place).unwrap();
            }
            crate::parallel::join(worker, |_| (), |_| ());
            ran.fetch_add(1, Ordering::Relaxed);
        });
    }
}

#[test]
fn a_thread_that_fails_is_replaced_on_its_seat() {
    const FAILURES: u32 = 20;
    for point in [Point::Busy, Point::Searching, Point::Resting] {
        for refused in [0, 7] {
            let (runtime, hooks) = hooked(2, 2);
            let ran = Arc::new(AtomicUsize::new(0));
            runtime.faults.fail(point, FAILURES);
            runtime.faults.refuse_threads(refused);
            family(&runtime, 200, &ran);
            runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
            assert_eq!(ran.load(Ordering::Relaxed), 800, "{point:?}");
            let (stats, failed) = (runtime.stats(), u64::from(FAILURES - runtime.faults.due(point)));
            assert_eq!((stats.executed, stats.spawned, stats.replaced), (800, 800, failed), "{point:?}");
            assert_eq!((stats.threads, stats.spares_started, stats.panicked), (0, 0, 0), "{point:?}");
            let seats = (0..).map_while(|index| runtime.worker_stats(index)).count();
            assert!(seats <= 2 && stats.threads_peak <= 2);
            // Each failure ends one life and begins another. A seat whose first thread was refused has had none.
            let [begun, ended] = [0, 1].map(|which| hooks[which].load(Ordering::Relaxed));
            assert_eq!(begun, ended, "{point:?}");
            assert!((1..=seats).contains(&(begun - failed as usize)), "{point:?}");
            assert!(point != Point::Busy || failed == u64::from(FAILURES));
        }
    }
}

#[test]
fn what_a_failing_thread_had_queued_is_run() {
    let runtime = runtime(1, 1);
    let order = Arc::new(Lock::new(Vec::new()));
    let noted = order.clone();
    let note = |number: usize| {
        let order = order.clone();
        move |worker: &Worker| order.lock().push((worker.index(), number))
    };
    let numbers: Vec<_> = (0..100).map(note).collect();
    spawn(&runtime, move |worker| {
        numbers.into_iter().for_each(|task| spawn(worker.core(), task));
        // This task is the last that the thread runs.
        worker.core().faults.fail(Point::Busy, 1);
    });
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    let mut ran = std::mem::take(&mut *noted.lock());
    ran.sort_unstable();
    assert_eq!(ran, (0..100).map(|number| (0, number)).collect::<Vec<_>>());
    assert_eq!(runtime.stats().replaced, 1);
}

#[test]
fn failing_threads_do_not_keep_a_runtime_from_ending() {
    for round in 0..60 {
        let (runtime, _) = hooked(1 + round % 3, 0);
        let point = [Point::Busy, Point::Searching, Point::Resting][round as usize % 3];
        runtime.faults.fail(point, 3);
        let gate = Arc::new(Gate::default());
        let hold = gate.clone();
        spawn(&runtime, move |_| _ = hold.wait(Deadline::Never));
        spawn(&runtime, move |_| gate.open());
        let mode = if round % 2 == 0 { Mode::Drain } else { Mode::Discard };
        runtime.shutdown(mode, Deadline::Never).unwrap();
        assert_eq!((runtime.stats().executed, runtime.stats().threads), (2, 0));
    }
}

#[test]
fn failures_are_logged() {
    let _turn = LOG.lock();
    let records = Arc::new(Lock::new(Vec::new()));
    let noted = records.clone();
    let sink = move |record: &observe::Record| {
        if record.runtime == *c"failing" {
            noted.lock().push((record.level, record.worker, record.message.clone()));
        }
    };
    observe::set_outlet(observe::Outlet::Sink(Box::new(sink), observe::Level::Warn)).unwrap();
    let options = Options { name: Some("failing".into()), workers: 1, max_threads: 1, ..Options::default() };
    let runtime = Runtime::new(options).unwrap();
    // Refused in two episodes: a thread starts in between.
    for refused in [3, 2] {
        runtime.faults.refuse_threads(refused);
        runtime.faults.fail(Point::Busy, refused + 1);
        for _ in 0..=refused {
            assert_eq!(runtime.run(|_| 7), Ok(7));
        }
        while runtime.faults.due(Point::Busy) > 0 {
            runtime.run(|_| ()).unwrap();
        }
        // Run by the thread that was started after the last failure.
        runtime.run(|_| ()).unwrap();
    }
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    observe::set_outlet(observe::Outlet::Silence).unwrap();
    assert_eq!((runtime.stats().replaced, runtime.stats().start_failures), (7, 5));
    let (failures, refusals): (Vec<_>, Vec<_>) =
        records.lock().drain(..).partition(|(level, ..)| *level == observe::Level::Error);
    assert_eq!((failures.len(), refusals.len()), (7, 2));
    for (_, worker, message) in failures {
        assert_eq!(worker, 0);
        assert!(message.to_string_lossy().contains("a fault of a test's"), "{message:?}");
    }
    assert!(refusals.iter().all(|(.., message)| message.to_string_lossy().starts_with("cannot start")));
}

#[test]
fn a_refused_thread_is_tried_again() {
    let runtime = runtime(2, 2);
    let (held, gate) = (Arc::new(Barrier::new(2)), Arc::new(Gate::default()));
    // Two waits that the scheduler does not see: the task has begun; it may end.
    let hold = held.clone();
    spawn(&runtime, move |_| {
        hold.wait();
        hold.wait();
    });
    held.wait();
    // The first thread runs a task and is not idle, so work asks for the second.
    runtime.faults.refuse_threads(3);
    for refused in 1..=3 {
        spawn(&runtime, |_| ());
        assert_eq!((runtime.stats().start_failures, runtime.stats().threads), (refused, 1));
    }
    let open = gate.clone();
    spawn(&runtime, move |_| open.open());
    gate.wait(Deadline::Never);
    assert_eq!(runtime.stats().start_failures, 3);
    held.wait();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!((runtime.stats().executed, runtime.stats().threads_peak), (5, 2));
}

/// Tasks that wait for a gate on a runtime with a ceiling, until a stall's callback opens it.
#[test]
fn stalls_are_told_once_each() {
    const MAX: u32 = 4;
    const TASKS: usize = 100;
    type Round = Arc<(Gate, Lock<Vec<Stall>>)>;
    let rounds: Arc<Vec<Round>> = Arc::new((0..3).map(|_| Round::default()).collect());
    let all = rounds.clone();
    let told = Arc::new(AtomicUsize::new(0));
    let on_stall: StallHook = Arc::new(move |core, stall| {
        assert!(Worker::current().is_none());
        let (gate, seen) = &*all[told.fetch_add(1, Ordering::Relaxed)];
        // Nothing goes on, so it stays one stall, whatever is queued.
        for _ in 0..10 {
            core.spawn(Call(|_: &Worker| {})).unwrap();
        }
        assert_eq!(core.stats().stalls, stall.number);
        seen.lock().push(stall.clone());
        gate.open();
    });
    let options = Options { workers: 2, max_threads: MAX, on_stall: Some(on_stall), ..Options::default() };
    let runtime = Runtime::new(options).unwrap();
    for round in rounds.iter() {
        let ran = Arc::new(AtomicUsize::new(0));
        let done = Arc::new(Gate::default());
        for _ in 0..TASKS {
            let (round, ran, done) = (round.clone(), ran.clone(), done.clone());
            spawn(&runtime, move |_| {
                round.0.wait(Deadline::Never);
                if ran.fetch_add(1, Ordering::Relaxed) + 1 == TASKS {
                    done.open();
                }
            });
        }
        done.wait(Deadline::Never);
    }
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    let stats = runtime.stats();
    assert_eq!((stats.executed, stats.stalls, stats.threads_peak), (3 * (TASKS as u64 + 10), 3, MAX));
    assert!(stats.ceiling_hits >= 3);
    for (round, number) in rounds.iter().zip(1..) {
        let seen = round.1.lock();
        assert_eq!(seen.len(), 1);
        let stall = &seen[0];
        assert_eq!((stall.number, stall.threads, stall.blocked, stall.max_threads), (number, MAX, MAX, MAX));
        // Not all may have been spawned when the threads were blocked.
        assert!((1..=TASKS as u64).contains(&stall.queued));
        assert!(stall.message.to_string_lossy().contains("max_threads is 4"), "{:?}", stall.message);
    }
}

#[test]
fn a_stall_callback_may_fail_and_end_its_runtime() {
    let gate = Arc::new(Gate::default());
    let open = gate.clone();
    let on_stall: StallHook = Arc::new(move |core, _| {
        open.open();
        core.shutdown(Mode::Drain, Deadline::Never).unwrap();
        std::panic::resume_unwind(Box::new("contained"));
    });
    let options = Options { workers: 1, max_threads: 1, on_stall: Some(on_stall), ..Options::default() };
    let runtime = Runtime::new(options).unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let counted = ran.clone();
    spawn(&runtime, move |worker| {
        spawn(worker.core(), move |_| _ = counted.fetch_add(1, Ordering::Relaxed));
        gate.wait(Deadline::Never);
    });
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!((ran.load(Ordering::Relaxed), runtime.stats().executed), (1, 2));
}

/// A task that waits for what its runtime has no thread for: the thread is tried for again and again while nobody else is awake.
#[test]
fn a_blocked_thread_waits_for_the_system_to_give_a_thread() {
    let runtime = runtime(1, 4);
    runtime
        .run(|worker| {
            let gate = Arc::new(Gate::default());
            let open = gate.clone();
            worker.core().faults.refuse_threads(4);
            spawn(worker.core(), move |_| open.open());
            gate.wait(Deadline::Never);
        })
        .unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    let stats = runtime.stats();
    assert_eq!((stats.executed, stats.start_failures, stats.stalls, stats.threads_peak), (2, 4, 0, 2));
}

/// Who submits from outside does not wait for the system: the work stays queued, which is a stall, and the next submission tries
/// again.
#[test]
fn refused_threads_can_be_a_stall() {
    let told = Arc::new(AtomicUsize::new(0));
    let tell = told.clone();
    let on_stall: StallHook = Arc::new(move |_, stall| {
        assert_eq!((stall.threads, stall.blocked, stall.max_threads, stall.queued), (1, 1, 4, 1));
        tell.fetch_add(1, Ordering::Relaxed);
    });
    let options = Options { workers: 1, max_threads: 4, on_stall: Some(on_stall), ..Options::default() };
    let runtime = Runtime::new(options).unwrap();
    let (held, gate) = (Arc::new(Barrier::new(2)), Arc::new(Gate::default()));
    let hold = held.clone();
    spawn(&runtime, move |worker| {
        worker.begin_blocking();
        // From here on this thread does not look for others.
        hold.wait();
        hold.wait();
        worker.end_blocking();
    });
    held.wait();
    runtime.faults.refuse_threads(1000);
    spawn(&runtime, |_| ());
    assert_eq!((runtime.stats().start_failures, runtime.stats().stalls), (10, 1));
    runtime.faults.refuse_threads(0);
    let open = gate.clone();
    spawn(&runtime, move |_| open.open());
    gate.wait(Deadline::Never);
    held.wait();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!((runtime.stats().executed, runtime.stats().stalls), (3, 1));
    assert_eq!((told.load(Ordering::Relaxed), runtime.stats().ceiling_hits), (1, 0));
}

#[test]
fn a_first_thread_that_is_refused_fails_the_runtime() {
    let on_stall: StallHook = Arc::new(|_, _| unreachable!("there are no tasks"));
    // Too large for any address space, and no matter of the fault mechanism.
    let options = Options { stack_size: 1 << 60, on_stall: Some(on_stall), ..Options::default() };
    assert!(Runtime::new(options).is_err_and(|failure| failure.is(Status::Os)));
}
