//! Tasks that wait: each runs once, or is dropped once, however its runtime ends.

use std::sync::Barrier;
use std::thread;

use super::*;
use crate::error::Status;
use crate::scheduler::task::Call;
use crate::scheduler::{Mode, Options, Priority, Runtime, Worker};
use crate::sync::Deadline;

fn runtime(workers: u32) -> Runtime {
    Runtime::new(Options { workers, ..Options::default() }).unwrap()
}

fn is(result: Result<()>, status: Status) -> bool {
    result.is_err_and(|failure| failure.is(status))
}

/// How often work was run, refused and dropped.
#[derive(Default)]
struct Fates([AtomicUsize; 3]);

impl Fates {
    fn note(&self, which: usize) {
        self.0[which].fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> [usize; 3] {
        [0, 1, 2].map(|which| self.0[which].load(Ordering::Relaxed))
    }
}

/// Work that notes what becomes of it.
struct Noting {
    fates: Arc<Fates>,
    droppable: bool,
}

impl Work for Noting {
    fn run(self, _: &Worker) {
        self.fates.note(0);
    }
    fn droppable(&self) -> bool {
        self.droppable
    }
    fn refused(self) {
        self.fates.note(1);
    }
    fn discard(self) -> bool {
        self.fates.note(2);
        true
    }
}

fn hold(core: &Core, fates: &Arc<Fates>, droppable: bool, missing: usize) -> Result<Arc<Held>> {
    core.hold(Noting { fates: fates.clone(), droppable }, Place::default(), missing)
}

#[test]
fn the_last_arrival_queues_the_task() {
    let runtime = runtime(1);
    let arrivals: [Arc<AtomicUsize>; 3] = Default::default();
    let (seen, work) = (Arc::new(AtomicUsize::new(0)), arrivals.clone());
    let sum = seen.clone();
    // All that came before an arrival comes before the task.
    let add = move |_: &Worker| {
        sum.store(work.iter().map(|arrival| arrival.load(Ordering::Relaxed)).sum(), Ordering::Relaxed);
    };
    let held = runtime.hold(Call(add), Place::default(), 3).unwrap();
    for (arrival, worth) in arrivals.into_iter().zip([1, 10, 100]) {
        assert_eq!((runtime.stats().spawned, seen.load(Ordering::Relaxed)), (0, 0));
        let held = held.clone();
        thread::spawn(move || {
            arrival.store(worth, Ordering::Relaxed);
            held.arrived();
        })
        .join()
        .unwrap();
    }
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!((seen.load(Ordering::Relaxed), runtime.stats().spawned, runtime.stats().executed), (111, 1, 1));
}

/// What arrives while the only worker is busy, on another thread or on its own.
fn order_of(arrive: impl FnOnce(Vec<Arc<Held>>) + Send + 'static, on_worker: bool) -> Vec<usize> {
    let runtime = Runtime::new(Options { workers: 1, max_threads: 1, ..Options::default() }).unwrap();
    let order = Arc::new(Lock::new(Vec::new()));
    let priorities = [Priority::Normal, Priority::Low, Priority::Normal, Priority::High];
    let hold = |(number, priority)| {
        let order = order.clone();
        let place = runtime.place(priority, None, false).unwrap();
        runtime.hold(Call(move |_: &Worker| order.lock().push(number)), place, 1).unwrap()
    };
    let held = priorities.into_iter().enumerate().map(hold).collect();
    // Waits that the scheduler does not see: the task has begun, and the task may end.
    let busy = Arc::new(Barrier::new(2));
    let (here, there) = if on_worker { (None, Some(arrive)) } else { (Some(arrive), None) };
    let (mut held, gate) = (Some(held), busy.clone());
    let on_worker = there.map(|arrive| (arrive, held.take().unwrap()));
    let task = Call(move |_: &Worker| {
        gate.wait();
        if let Some((arrive, held)) = on_worker {
            arrive(held);
        }
        gate.wait();
    });
    runtime.spawn(task).unwrap();
    busy.wait();
    if let Some(arrive) = here {
        arrive(held.take().unwrap());
    }
    busy.wait();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    std::mem::take(&mut *order.lock())
}

#[test]
fn arrivals_give_the_order() {
    let arrive = |held: Vec<Arc<Held>>| [1, 2, 0, 3].iter().for_each(|&number| held[number].arrived());
    // From outside the oldest comes first, on the worker the newest, as for spawns; priorities count in both.
    assert_eq!(order_of(arrive, false), [3, 2, 0, 1]);
    assert_eq!(order_of(arrive, true), [3, 0, 2, 1]);
}

#[test]
fn a_drain_waits_for_all_that_is_held() {
    let (runtime, fates) = (runtime(2), Arc::new(Fates::default()));
    let held = [true, false].map(|droppable| hold(&runtime, &fates, droppable, 1).unwrap());
    assert!(is(runtime.shutdown(Mode::Drain, Deadline::At(1)), Status::Timeout));
    // Accepted before the end: neither dropped nor run before its time.
    assert_eq!((fates.get(), runtime.gone.is_open()), ([0, 0, 0], false));
    held[1].arrived();
    assert!(is(runtime.shutdown(Mode::Drain, Deadline::At(1)), Status::Timeout));
    held[0].arrived();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!((fates.get(), runtime.stats().executed), ([2, 0, 0], 2));
}

#[test]
fn a_discard_drops_at_once_what_may_be_dropped() {
    let (runtime, kept, dropped) = (runtime(1), Arc::new(Fates::default()), Arc::new(Fates::default()));
    let may_not = hold(&runtime, &kept, false, 1).unwrap();
    let may = hold(&runtime, &dropped, true, 2).unwrap();
    assert!(is(runtime.shutdown(Mode::Discard, Deadline::At(1)), Status::Timeout));
    // Nobody has arrived, and nobody need: it is in a queue already.
    assert!(may.task.lock().is_none() && may_not.task.lock().is_some());
    assert!(!runtime.gone.is_open());
    may.arrived();
    may_not.arrived();
    runtime.shutdown(Mode::Discard, Deadline::Never).unwrap();
    // The last arrival comes when the runtime is over, and finds nothing.
    may.arrived();
    assert_eq!((kept.get(), dropped.get()), ([1, 0, 0], [0, 0, 1]));
    assert_eq!((runtime.stats().executed, runtime.stats().discarded), (1, 1));
}

#[test]
fn an_ending_runtime_holds_for_its_own_tasks_alone() {
    for (mode, accepts) in [(Mode::Drain, true), (Mode::Discard, false)] {
        let (runtime, fates) = (runtime(1), Arc::new(Fates::default()));
        let held = runtime
            .run(|worker| {
                assert!(is(worker.core().shutdown(mode, Deadline::Now), Status::WouldBlock));
                hold(worker.core(), &fates, true, 1)
            })
            .unwrap();
        let outside = hold(&runtime, &fates, true, 1);
        assert!(outside.is_err_and(|failure| failure.is(Status::Shutdown)));
        match held {
            Ok(held) => held.arrived(),
            Err(failure) => assert!(failure.is(Status::Shutdown) && !accepts),
        }
        runtime.shutdown(mode, Deadline::Never).unwrap();
        assert_eq!(fates.get(), if accepts { [1, 1, 0] } else { [0, 2, 0] }, "{mode:?}");
    }
}

#[test]
fn the_last_release_waits_for_what_is_held() {
    let (runtime, fates) = (runtime(1), Arc::new(Fates::default()));
    let held = hold(&runtime, &fates, false, 1).unwrap();
    let core = runtime.share();
    drop(runtime);
    assert!(!core.gone.is_open());
    held.arrived();
    core.gone.wait(Deadline::Never);
    assert_eq!(fates.get(), [1, 0, 0]);
}

/// Who holds, who arrives and who ends the runtime at the same time: each task has one fate, and the end comes.
#[test]
fn everybody_at_once() {
    const ROUNDS: usize = 100;
    for round in 0..ROUNDS {
        let mode = if round % 2 == 0 { Mode::Drain } else { Mode::Discard };
        let (runtime, fates) = (runtime(2), Arc::new(Fates::default()));
        let early = [true, false].map(|droppable| hold(&runtime, &fates, droppable, 2).unwrap());
        let all = Barrier::new(3);
        let late = thread::scope(|scope| {
            scope.spawn(|| {
                all.wait();
                runtime.shutdown(mode, Deadline::Never).unwrap();
            });
            scope.spawn(|| {
                all.wait();
                early.iter().for_each(|held| held.arrived());
            });
            all.wait();
            early.iter().for_each(|held| held.arrived());
            let late = [true, false].map(|droppable| hold(&runtime, &fates, droppable, 1));
            late.iter().flatten().for_each(|held| held.arrived());
            late.map(|held| held.is_err())
        });
        let refused = late.iter().filter(|&&refused| refused).count();
        let [ran, noted, dropped] = fates.get();
        assert_eq!((ran + dropped, noted), (4 - refused, refused), "{mode:?}");
        assert!(dropped == 0 || mode == Mode::Discard && dropped <= 2);
        let stats = runtime.stats();
        assert_eq!((stats.executed, stats.discarded, stats.threads), (ran as u64, dropped as u64, 0));
    }
}

#[test]
fn those_that_have_gone_leave_no_trace() {
    let (runtime, fates) = (runtime(1), Arc::new(Fates::default()));
    let kept = hold(&runtime, &fates, true, 1).unwrap();
    for _ in 0..1000 {
        hold(&runtime, &fates, false, 1).unwrap().arrived();
    }
    {
        let all = runtime.held.all.lock();
        assert!(all.capacity() <= 16, "{} for one", all.capacity());
        assert!(all.iter().any(|held| Weak::as_ptr(held).cast::<()>() == Arc::as_ptr(&kept).cast()));
    }
    runtime.shutdown(Mode::Discard, Deadline::Never).unwrap();
    assert_eq!(fates.get(), [1000, 0, 1]);
}
