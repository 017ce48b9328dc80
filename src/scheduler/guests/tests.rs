//! Runtimes that only the test's own threads work for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use super::*;
use crate::scheduler::task::{Call, Work};
use crate::scheduler::{Mode, Options, Place, Priority, Runtime};
use crate::sync::{Gate, Lock};

fn runtime(kind: Kind, workers: u32) -> Runtime {
    Runtime::new(Options { kind, workers, ..Options::default() }).unwrap()
}

fn spawn(core: &Core, f: impl FnOnce(&Worker) + Send + 'static) {
    core.spawn(Call(f)).unwrap();
}

fn is(result: Result<()>, status: Status) -> bool {
    result.is_err_and(|failure| failure.is(status))
}

/// Work that is run or dropped, and counts which.
struct Counted {
    droppable: bool,
    counts: Arc<[AtomicUsize; 2]>,
}

impl Work for Counted {
    fn run(self, _: &Worker) {
        self.counts[0].fetch_add(1, Ordering::Relaxed);
    }
    fn droppable(&self) -> bool {
        self.droppable
    }
    fn refused(self) {}
}

struct Dropping(Option<Counted>);

impl Work for Dropping {
    fn run(mut self, worker: &Worker) {
        self.0.take().unwrap().run(worker);
    }
    fn droppable(&self) -> bool {
        self.0.as_ref().unwrap().droppable
    }
    fn refused(mut self) {
        self.0 = None;
    }
}

impl Drop for Dropping {
    fn drop(&mut self) {
        if let Some(counted) = &self.0 {
            counted.counts[1].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Ten tasks, every other of which may be dropped.
fn spawn_ten(core: &Core) -> Arc<[AtomicUsize; 2]> {
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    for n in 0..10 {
        let counted = Counted { droppable: n % 2 == 0, counts: counts.clone() };
        core.spawn(Dropping(Some(counted))).unwrap();
    }
    counts
}

fn ran_and_dropped(counts: &[AtomicUsize; 2]) -> (usize, usize) {
    (counts[0].load(Ordering::Relaxed), counts[1].load(Ordering::Relaxed))
}

/// The order in which tasks of all kinds run: enough of them for every turn of `find` to come.
fn order(pin: bool, run: impl Fn(&Core)) -> Vec<u32> {
    let runtime = runtime(Kind::Single, 0);
    let order = Arc::new(Lock::new(Vec::new()));
    for n in 0..500 {
        let (note, priority) = (order.clone(), Priority::ALL[n as usize % 4]);
        let task = Call(move |worker: &Worker| {
            note.lock().push(n);
            for child in 0..n % 5 {
                let note = note.clone();
                let pinned = worker.core().place(Priority::Normal, None, pin && child % 2 == 0).unwrap();
                let work = Call(move |_: &Worker| note.lock().push(1000 * (child + 1) + n));
                worker.core().spawn_at(work, pinned).unwrap();
            }
        });
        let place = if n % 3 == 0 { Place::default() } else { runtime.place(priority, None, false).unwrap() };
        runtime.spawn_at(task, place).unwrap();
        if n % 100 == 50 {
            run(&runtime);
        }
    }
    run(&runtime);
    let order = std::mem::take(&mut *order.lock());
    assert_eq!(order.len(), 500 + 1000);
    order
}

#[test]
fn a_single_runtime_has_one_order() {
    let at_once = |pin| order(pin, |core| core.run_here(Run::UntilIdle).unwrap());
    let by_steps = |pin| {
        order(pin, |core| {
            while core.run_here(Run::OneStep).is_ok() {}
            assert!(is(core.run_here(Run::OneStep), Status::WouldBlock));
        })
    };
    assert!(at_once(true) == at_once(true));
    assert!(by_steps(true) == by_steps(true));
    // Who leaves lets go of what was pinned to it, so with such tasks each step changes the order.
    assert!(at_once(false) == by_steps(false));
}

#[test]
fn one_thread_at_a_time() {
    let runtime = runtime(Kind::Single, 1);
    let inner = runtime.retain();
    spawn(&runtime, move |_| {
        assert!(is(inner.run_here(Run::OneStep), Status::Busy));
        thread::scope(|scope| {
            scope.spawn(|| assert!(is(inner.run_here(Run::UntilIdle), Status::Busy)));
        });
        // What is waited for here goes on in place; what only queues does not.
        assert_eq!(inner.run(|worker| worker.index()), Ok(0));
    });
    assert_eq!(runtime.stats().executed, 0);
    runtime.run_here(Run::UntilIdle).unwrap();
    let stats = runtime.stats();
    assert_eq!((stats.executed, stats.panicked, stats.threads, stats.threads_peak), (1, 0, 0, 1));
    assert!(is(runtime.lend(Deadline::Now), Status::Unsupported));
    assert!(is(runtime.resize(2), Status::Unsupported));
    runtime.shutdown(Mode::Drain, Deadline::Now).unwrap();
    assert!(is(runtime.run_here(Run::UntilIdle), Status::Shutdown));
}

#[test]
fn a_thread_runs_until_shutdown() {
    let runtime = runtime(Kind::Single, 0);
    let runner = {
        let runtime = runtime.retain();
        thread::spawn(move || {
            runtime.run_here(Run::UntilShutdown).unwrap();
            thread::current().id()
        })
    };
    let seen: Arc<Lock<Vec<ThreadId>>> = Arc::default();
    for _ in 0..50 {
        let (note, done) = (seen.clone(), Arc::new(Gate::default()));
        let tell = done.clone();
        spawn(&runtime, move |_| {
            note.lock().push(thread::current().id());
            tell.open();
        });
        // The runner may be asleep by now, or about to be, or not there yet.
        done.wait(Deadline::Never);
    }
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(*seen.lock(), vec![runner.join().unwrap(); 50]);
}

#[test]
fn who_shuts_down_does_what_is_left() {
    for kind in [Kind::Single, Kind::Hosted] {
        for (mode, expected) in [(Mode::Drain, (10, 0)), (Mode::Discard, (5, 5))] {
            let runtime = runtime(kind, 0);
            let counts = spawn_ten(&runtime);
            assert!(is(runtime.shutdown(mode, Deadline::Now), Status::WouldBlock));
            assert_eq!(ran_and_dropped(&counts), (0, 0));
            assert!(is(runtime.shutdown(mode, Deadline::At(1)), Status::Timeout));
            assert_eq!(ran_and_dropped(&counts), (0, 0));
            assert!(runtime.spawn(Call(|_: &Worker| {})).is_err_and(|failure| failure.is(Status::Shutdown)));
            assert!(runtime.run(|_| ()).is_err_and(|failure| failure.is(Status::Shutdown)));
            runtime.shutdown(mode, Deadline::Never).unwrap();
            assert_eq!(ran_and_dropped(&counts), expected);
            runtime.shutdown(mode, Deadline::Now).unwrap();
        }
    }
}

#[test]
fn an_end_that_has_begun_is_run_by_whoever_comes() {
    let runtime = runtime(Kind::Single, 0);
    let counts = spawn_ten(&runtime);
    assert!(is(runtime.shutdown(Mode::Drain, Deadline::Now), Status::WouldBlock));
    // One step, asked for during the end, is all of them.
    runtime.run_here(Run::OneStep).unwrap();
    assert_eq!(ran_and_dropped(&counts), (10, 0));
    runtime.shutdown(Mode::Drain, Deadline::Now).unwrap();
}

#[test]
fn the_last_release_does_what_is_left() {
    for kind in [Kind::Single, Kind::Hosted] {
        let runtime = runtime(kind, 0);
        let counts = spawn_ten(&runtime);
        drop(runtime);
        assert_eq!(ran_and_dropped(&counts), (5, 5));
    }
}

/// A task that waits for something keeps a draining runtime from ending, and then runs where somebody waits for the end; or,
/// when nobody can any more, on the thread that lets it go.
#[test]
fn held_tasks_are_run_by_who_waits_for_the_end() {
    let hold = |runtime: &Runtime, ran: &Arc<Lock<Option<ThreadId>>>| {
        let note = ran.clone();
        let work = Call(move |_: &Worker| *note.lock() = Some(thread::current().id()));
        runtime.hold(work, Place::default(), 1).unwrap()
    };
    let (ran, runtime) = (Arc::default(), runtime(Kind::Hosted, 1));
    let held = hold(&runtime, &ran);
    assert!(is(runtime.lend(Deadline::Now), Status::WouldBlock));
    assert!(is(runtime.shutdown(Mode::Drain, Deadline::At(1)), Status::Timeout));
    let releaser = thread::spawn(move || held.arrived());
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    releaser.join().unwrap();
    assert_eq!(ran.lock().take(), Some(thread::current().id()));

    let runtime = self::runtime(Kind::Single, 1);
    let (held, core) = (hold(&runtime, &ran), runtime.share());
    drop(runtime);
    assert!(ran.lock().is_none() && !core.gone.is_open());
    held.arrived();
    assert_eq!(ran.lock().take(), Some(thread::current().id()));
    assert!(core.gone.is_open());
}

#[test]
fn a_task_releases_its_runtime() {
    let runtime = runtime(Kind::Single, 0);
    let core = runtime.share();
    let counts = Arc::new(Lock::new(None));
    let note = counts.clone();
    let own = Lock::new(Some(runtime));
    let task = Call(move |worker: &Worker| {
        *note.lock() = Some(spawn_ten(worker.core()));
        drop(own.lock().take());
    });
    core.spawn(task).unwrap();
    core.run_here(Run::OneStep).unwrap();
    assert_eq!(ran_and_dropped(counts.lock().as_ref().unwrap()), (5, 5));
    assert!(core.gone.is_open());
}

#[test]
fn waiting_calls_take_a_free_seat() {
    for kind in [Kind::Single, Kind::Hosted] {
        let runtime = runtime(kind, 0);
        let here = thread::current().id();
        assert_eq!(runtime.run(|_| thread::current().id()), Ok(here));
        let failed = runtime.run(|_| -> i32 { std::panic::resume_unwind(Box::new("told")) });
        assert!(failed.is_err_and(|failure| failure.is(Status::Panic) && failure.message == "told"));
        assert_eq!(runtime.stats().threads, 0);
    }
    // And wait for whoever has it where there is none.
    let single = runtime(Kind::Single, 0);
    let (begun, inner) = (Arc::new(Gate::default()), single.retain());
    let asker = {
        let begun = begun.clone();
        thread::spawn(move || {
            begun.wait(Deadline::Never);
            inner.run(|_| thread::current().id()).unwrap()
        })
    };
    let queued = single.retain();
    spawn(&single, move |_| {
        begun.open();
        while queued.stats().queued == 0 {
            thread::yield_now();
        }
    });
    single.run_here(Run::UntilIdle).unwrap();
    assert_eq!(asker.join().unwrap(), thread::current().id());
}

#[test]
fn a_guest_in_another_runtimes_task_passes_that_turn_on() {
    let outer = Runtime::new(Options { workers: 1, max_threads: 2, ..Options::default() }).unwrap();
    let inner = runtime(Kind::Single, 0);
    let (running, blocked) = (inner.retain(), Arc::new(Gate::default()));
    spawn(&outer, move |worker| {
        running.run_here(Run::UntilShutdown).unwrap();
        assert!(std::ptr::eq(Worker::current().unwrap(), worker));
    });
    // These have no turn but the one that the guest gives up: while it sleeps, and while it waits in a task.
    let (core, gate) = (inner.retain(), blocked.clone());
    spawn(&outer, move |_| {
        let waits = gate.clone();
        spawn(&core, move |worker| {
            assert!(worker.core().kind() == Kind::Single);
            waits.wait(Deadline::Never);
        });
        let done = core.retain();
        spawn(Worker::current().unwrap().core(), move |_| {
            gate.open();
            done.shutdown(Mode::Drain, Deadline::Never).unwrap();
        });
    });
    outer.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!((outer.stats().executed, outer.stats().panicked), (3, 0));
    assert_eq!((inner.stats().executed, inner.stats().panicked), (1, 0));
}

/// The sleep of a guest is a wait of whatever it was before: of a task, which is asked to stop; of a thread with a token.
#[test]
fn a_guests_sleep_ends_like_other_waits() {
    let outer = Runtime::new(Options { workers: 1, ..Options::default() }).unwrap();
    let inner = runtime(Kind::Single, 0);
    let (begun, run) = (Arc::new(Gate::default()), inner.retain());
    let tell = begun.clone();
    spawn(&outer, move |_| {
        tell.open();
        assert!(is(run.run_here(Run::UntilShutdown), Status::Shutdown));
    });
    begun.wait(Deadline::Never);
    outer.shutdown(Mode::Discard, Deadline::Never).unwrap();
    assert_eq!((outer.stats().executed, outer.stats().panicked, inner.stats().threads), (1, 0, 0));

    let token = Token::new([None, None]);
    let trigger = token.clone();
    crate::scheduler::frame::enter(Some(token.clone()));
    spawn(&inner, move |_| trigger.trigger(c"enough"));
    let left = inner.run_here(Run::UntilShutdown);
    crate::scheduler::frame::leave(Some(&token)).unwrap();
    assert!(left.is_err_and(|failure| failure.is(Status::Cancelled) && failure.message.contains("enough")));
}

#[test]
fn a_nested_guest_cannot_wait_for_its_own_runtimes_end() {
    let outer = Runtime::new(Options::default()).unwrap();
    let inner = runtime(Kind::Single, 0);
    let handle = outer.retain();
    spawn(&inner, move |_| assert!(is(handle.shutdown(Mode::Drain, Deadline::Never), Status::Deadlock)));
    let run = inner.retain();
    outer.run(move |_| run.run_here(Run::UntilIdle)).unwrap().unwrap();
    assert_eq!((inner.stats().executed, inner.stats().panicked), (1, 0));
    outer.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

#[test]
fn seats_are_for_as_many_as_there_are() {
    let runtime = runtime(Kind::Hosted, 2);
    let gate = Arc::new(Gate::default());
    let inside: Vec<_> = (0..2)
        .map(|_| {
            let (gate, begun) = (gate.clone(), Arc::new(Gate::default()));
            let tell = begun.clone();
            spawn(&runtime, move |worker| {
                assert!(is(worker.core().lend(Deadline::Now), Status::Busy));
                tell.open();
                gate.wait(Deadline::Never);
            });
            let lender = runtime.retain();
            let lender = thread::spawn(move || lender.lend(Deadline::Never));
            begun.wait(Deadline::Never);
            lender
        })
        .collect();
    assert!(is(runtime.lend(Deadline::Never), Status::Busy));
    assert!(is(runtime.shutdown(Mode::Drain, Deadline::At(1)), Status::Timeout));
    gate.open();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    inside.into_iter().for_each(|lender| lender.join().unwrap().unwrap());
    assert!(is(runtime.lend(Deadline::Never), Status::Shutdown));
    let stats = runtime.stats();
    assert_eq!((stats.executed, stats.panicked, stats.threads, stats.threads_peak), (2, 0, 0, 2));
}

/// Work in the queue of someone who has left is taken by another who has a seat already.
#[test]
fn what_a_guest_leaves_is_stolen() {
    let runtime = runtime(Kind::Hosted, 2);
    let (begun, gate) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    let (tell, wait) = (begun.clone(), gate.clone());
    spawn(&runtime, move |_| {
        tell.open();
        wait.wait(Deadline::Never);
    });
    let other = runtime.retain();
    let other = thread::spawn(move || other.lend(Deadline::Now));
    begun.wait(Deadline::Never);
    let counts = Arc::new(Lock::new(None));
    let note = counts.clone();
    spawn(&runtime, move |worker| *note.lock() = Some(spawn_ten(worker.core())));
    assert_eq!(runtime.visit(&Stay { goal: Goal::Step, ..PATIENT }), Ok(Left::Stepped));
    gate.open();
    assert!(is(other.join().unwrap(), Status::WouldBlock));
    assert_eq!(ran_and_dropped(counts.lock().as_ref().unwrap()), (10, 0));
    assert!(runtime.stats().steals > 0);
}

#[test]
fn hooks_are_called_for_each_stay() {
    let calls = Arc::new(Lock::new(Vec::new()));
    let note = |what: &'static str| -> crate::scheduler::WorkerHook {
        let calls = calls.clone();
        Arc::new(move |worker: &Worker| {
            let mut calls = calls.lock();
            // What a stop hook spawns at the end is refused, or the end would never come.
            let refused = worker.core().spawn(Call(|_: &Worker| {})).is_err();
            calls.push((what, worker.index(), refused));
            drop(calls);
            // Hooks may block.
            worker.begin_blocking();
        })
    };
    let options = Options {
        kind: Kind::Single,
        on_start: Some(note("start")),
        on_stop: Some(note("stop")),
        ..Options::default()
    };
    let runtime = Runtime::new(options).unwrap();
    runtime.run_here(Run::UntilIdle).unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    let expected = [("start", 0, false), ("stop", 0, false), ("start", 0, false), ("stop", 0, true)];
    assert_eq!(*calls.lock(), expected);
    assert_eq!((runtime.stats().executed, runtime.stats().threads), (3, 0));
}

/// Threads that come and go, others that submit, and an end in between: all that was accepted has run.
#[test]
fn guests_come_and_go() {
    const TASKS: usize = 300;
    let runtime = runtime(Kind::Hosted, 2);
    let ran = Arc::new(AtomicUsize::new(0));
    let accepted = AtomicUsize::new(0);
    thread::scope(|scope| {
        for lender in 0..3 {
            let runtime = &*runtime;
            scope.spawn(move || {
                loop {
                    let deadline = [Deadline::Now, Deadline::after(1), Deadline::after(50_000)][lender];
                    let result = runtime.lend(deadline);
                    if result.is_ok() || is(result, Status::Shutdown) {
                        break;
                    }
                    thread::yield_now();
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..TASKS {
                    let ran = ran.clone();
                    let task = Call(move |worker: &Worker| {
                        let child = ran.clone();
                        let spawned = worker.core().spawn(Call(move |_: &Worker| {
                            child.fetch_add(1, Ordering::Relaxed);
                        }));
                        assert!(spawned.is_ok());
                        ran.fetch_add(1, Ordering::Relaxed);
                    });
                    if runtime.spawn(task).is_ok() {
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        while ran.load(Ordering::Relaxed) < TASKS {
            thread::yield_now();
        }
        runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    });
    assert_eq!(ran.load(Ordering::Relaxed), 2 * accepted.load(Ordering::Relaxed));
    let stats = runtime.stats();
    assert_eq!((stats.spawned, stats.panicked, stats.threads), (stats.executed, 0, 0));
}

#[test]
fn kinds_and_their_options() {
    let resolved = |options: Options| options.resolve().map(|resolved| (resolved.kind, resolved.workers));
    let kind = |kind, workers, max_threads| Options { kind, workers, max_threads, ..Options::default() };
    assert_eq!(resolved(kind(Kind::Single, 0, 0)), Ok((Kind::Single, 1)));
    assert_eq!(resolved(kind(Kind::Hosted, 3, 3)), Ok((Kind::Hosted, 3)));
    assert_eq!(resolved(kind(Kind::Auto, 1, 0)), Ok((Kind::Single, 1)));
    assert_eq!(resolved(kind(Kind::Auto, 4, 1)), Ok((Kind::Single, 1)));
    assert_eq!(resolved(kind(Kind::Auto, 4, 0)), Ok((Kind::Multi, 4)));
    let machine = |text| Some(crate::topology::Topology::from_string(text).unwrap());
    let on = |text| Options { kind: Kind::Auto, topology: machine(text), ..Options::default() };
    assert_eq!(resolved(on("pu:1")), Ok((Kind::Single, 1)));
    assert_eq!(resolved(on("core:8 pu:1")), Ok((Kind::Multi, 8)));
    let wrong = [kind(Kind::Single, 2, 0), kind(Kind::Single, 1, 2), kind(Kind::Hosted, 2, 3), kind(Kind::Auto, 4, 2)];
    for options in wrong {
        assert!(resolved(options).is_err_and(|failure| failure.is(Status::Invalid)));
    }
    let bound = Options { placement: crate::scheduler::Policy::Compact, ..kind(Kind::Hosted, 1, 0) };
    assert!(resolved(bound).is_err_and(|failure| failure.is(Status::Invalid)));
}
