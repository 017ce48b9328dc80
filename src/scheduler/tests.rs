//! The runtime through its Rust face: everything runs exactly once, whoever blocks, panics or shuts down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::task::{Call, Work};
use super::*;
use crate::error::Status;
use crate::observe;
use crate::sync::wait::Ended;
use crate::sync::{Deadline, Gate};

mod default;
mod edges;
mod failure;
mod frames;
mod in_place;
mod lanes;
mod locals;

/// The log has one sink in a process: tests that set it take turns.
static LOG: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn runtime(workers: u32, max_threads: u32) -> Runtime {
    Runtime::new(Options { workers, max_threads, ..Options::default() }).unwrap()
}

fn spawn(runtime: &Core, f: impl FnOnce(&Worker) + Send + 'static) {
    runtime.spawn(Call(f)).unwrap();
}

#[test]
fn every_task_runs_once_and_a_drain_waits_for_all() {
    let runtime = runtime(2, 0);
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..1000 {
        let ran = ran.clone();
        spawn(&runtime, move |worker| {
            ran.fetch_add(1, Ordering::Relaxed);
            for _ in 0..3 {
                let ran = ran.clone();
                spawn(worker.core(), move |_| {
                    ran.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
    }
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 4000);
    let stats = runtime.stats();
    assert_eq!((stats.spawned, stats.executed, stats.threads), (4000, 4000, 0));
    let refused = runtime.spawn(Call(|_: &Worker| {}));
    assert!(refused.is_err_and(|failure| failure.is(Status::Shutdown)));
}

#[test]
fn blocked_tasks_pass_their_turn_on() {
    const TASKS: usize = 50;
    let runtime = runtime(1, 0);
    let gate = Arc::new(Gate::default());
    for _ in 0..TASKS {
        let gate = gate.clone();
        spawn(&runtime, move |_| {
            gate.wait(Deadline::Never);
        });
    }
    let opener = gate.clone();
    spawn(&runtime, move |_| opener.open());
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    let stats = runtime.stats();
    assert_eq!(stats.executed as usize, TASKS + 1);
    assert_eq!(stats.ceiling_hits, 0);
}

#[test]
fn the_ceiling_is_counted_and_lifts() {
    let _turn = LOG.lock();
    let told = Arc::new(Gate::default());
    let tell = told.clone();
    let sink = move |record: &observe::Record| {
        // Other tests' runtimes meet their ceilings at the same time.
        if record.runtime == *c"ceiling" && record.message.to_string_lossy().contains("max_threads") {
            tell.open();
        }
    };
    observe::set_outlet(observe::Outlet::Sink(Box::new(sink), observe::Level::Warn)).unwrap();
    let options = Options { name: Some("ceiling".into()), workers: 1, max_threads: 2, ..Options::default() };
    let runtime = Runtime::new(options).unwrap();
    let gate = Arc::new(Gate::default());
    let (blocked, waiting) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    for announce in [blocked.clone(), waiting.clone()] {
        let gate = gate.clone();
        spawn(&runtime, move |_| {
            announce.open();
            gate.wait(Deadline::Never);
        });
    }
    blocked.wait(Deadline::Never);
    waiting.wait(Deadline::Never);
    // Both threads block now or are about to. Work that comes meets the ceiling at the latest when they have.
    let ran = Arc::new(Gate::default());
    let last = ran.clone();
    spawn(&runtime, move |_| last.open());
    told.wait(Deadline::Never);
    observe::set_outlet(observe::Outlet::Silence).unwrap();
    assert!(!ran.is_open());
    gate.open();
    ran.wait(Deadline::Never);
    assert!(runtime.stats().ceiling_hits > 0);
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(runtime.stats().threads_peak, 2);
}

#[test]
fn panics_stay_in_their_task() {
    let runtime = runtime(2, 0);
    for _ in 0..100 {
        spawn(&runtime, |_| std::panic::resume_unwind(Box::new("contained")));
    }
    assert_eq!(runtime.run(|_| 7), Ok(7));
    let failed = runtime.run(|_| -> i32 { std::panic::resume_unwind(Box::new("told")) });
    assert!(failed.is_err_and(|failure| failure.is(Status::Panic) && failure.message == "told"));
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!((runtime.stats().panicked, runtime.stats().executed), (101, 102));
}

#[test]
fn discard_drops_what_may_be_dropped() {
    struct Droppable(Arc<AtomicUsize>, Arc<AtomicUsize>);
    impl Work for Droppable {
        fn run(self, _: &Worker) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
        fn droppable(&self) -> bool {
            true
        }
    }
    impl Drop for Droppable {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let runtime = runtime(1, 1);
    let (dropped, ran) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (began, hold) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    let begin = began.clone();
    spawn(&runtime, move |_| {
        begin.open();
        assert_eq!(hold.wait(Deadline::Never), Ended::Shutdown);
    });
    began.wait(Deadline::Never);
    for _ in 0..10 {
        runtime.spawn(Droppable(dropped.clone(), ran.clone())).unwrap();
        let ran = ran.clone();
        spawn(&runtime, move |_| {
            ran.fetch_add(100, Ordering::Relaxed);
        });
    }
    // Wakes the one that holds the thread.
    runtime.shutdown(Mode::Discard, Deadline::Never).unwrap();
    assert_eq!(dropped.load(Ordering::Relaxed), 10);
    assert_eq!(ran.load(Ordering::Relaxed), 1000);
    assert_eq!(runtime.stats().discarded, 10);
}

#[test]
fn the_last_release_lets_work_finish() {
    let gate = Arc::new(Gate::default());
    let opener = gate.clone();
    let runtime = runtime(2, 0);
    spawn(&runtime, move |_| opener.open());
    drop(runtime);
    gate.wait(Deadline::Never);
}

#[test]
fn a_task_cannot_wait_for_its_own_runtime() {
    let runtime = runtime(1, 0);
    let refused = runtime.run(|worker| worker.core().shutdown(Mode::Drain, Deadline::Never)).unwrap();
    assert!(refused.is_err_and(|failure| failure.is(Status::Deadlock)));
    let begun = runtime.run(|worker| worker.core().shutdown(Mode::Drain, Deadline::Now)).unwrap();
    assert!(begun.is_err_and(|failure| failure.is(Status::WouldBlock)));
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

#[test]
fn surplus_threads_leave() {
    let left = Arc::new(Gate::default());
    let leave = left.clone();
    let on_stop: WorkerHook = Arc::new(move |_| leave.open());
    let options = Options { workers: 1, keep_alive_ns: 1, on_stop: Some(on_stop), ..Options::default() };
    let runtime = Runtime::new(options).unwrap();
    let gate = Arc::new(Gate::default());
    for _ in 0..4 {
        let gate = gate.clone();
        spawn(&runtime, move |_| {
            gate.wait(Deadline::Never);
        });
    }
    let opener = gate.clone();
    spawn(&runtime, move |_| opener.open());
    // Nobody has asked the runtime to end, so a thread that stops does so because it is one too many.
    left.wait(Deadline::Never);
    assert!(runtime.stats().threads_peak > 1);
    assert_eq!(runtime.run(|_| 1), Ok(1));
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

#[test]
fn tasks_that_respawn_themselves_starve_nobody() {
    fn again(worker: &Worker, until: Arc<Gate>) {
        if !until.is_open() {
            spawn(worker.core(), move |worker| again(worker, until));
        }
    }
    let runtime = runtime(1, 1);
    let (began, hold) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    let (begin, wait) = (began.clone(), hold.clone());
    spawn(&runtime, move |_| {
        begin.open();
        wait.wait(Deadline::Never);
    });
    began.wait(Deadline::Never);
    // Both are taken from the lane in one share: the respawner first.
    let set = Arc::new(Gate::default());
    let (until, setter) = (set.clone(), set.clone());
    spawn(&runtime, move |worker| again(worker, until));
    spawn(&runtime, move |_| setter.open());
    hold.open();
    set.wait(Deadline::Never);
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

#[test]
fn workers_add_up_to_their_runtime() {
    let runtime = runtime(2, 0);
    let gate = Arc::new(Gate::default());
    for _ in 0..10 {
        let gate = gate.clone();
        spawn(&runtime, move |worker| {
            spawn(worker.core(), |_| {});
            gate.wait(Deadline::Never);
        });
    }
    let opener = gate.clone();
    spawn(&runtime, move |_| opener.open());
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    let stats = runtime.stats();
    let workers: Vec<_> = (0..).map_while(|index| runtime.worker_stats(index)).collect();
    assert!(workers.iter().all(|worker| (worker.cpu, worker.node) == (-1, 0)));
    let sum = |number: fn(&WorkerStats) -> u64| workers.iter().map(number).sum::<u64>();
    assert_eq!((sum(|worker| worker.executed), sum(|worker| worker.spawned)), (21, 10));
    assert_eq!((stats.executed, stats.spawned), (21, 21));
    assert_eq!(sum(|worker| worker.blocks), stats.blocks);
    assert_eq!((stats.spares_started > 0, stats.spares_retired), (stats.threads_peak > 2, 0));
    // Nobody works any more: the clocks stand.
    assert_eq!(
        (sum(|worker| worker.busy_ns), sum(|worker| worker.idle_ns), sum(|worker| worker.blocked_ns)),
        (stats.busy_ns, stats.idle_ns, stats.blocked_ns)
    );
    assert!(stats.busy_ns > 0 && stats.idle_ns > 0);
    assert_eq!(stats.blocked_ns > 0, stats.blocks > 0);
    assert_eq!(runtime.stats(), stats);
    assert!(runtime.worker_stats(usize::MAX).is_none());
}

#[test]
fn time_goes_where_it_is_spent() {
    let runtime = runtime(1, 1);
    let spin = |until: &dyn Fn() -> bool| {
        while !until() {
            std::hint::spin_loop();
        }
    };
    // A task sees its own time pass, busy or blocked, and none of it is idle.
    let busy = |worker: &Worker| worker.core().worker_stats(worker.index()).unwrap();
    runtime
        .run(|worker| {
            let before = busy(worker);
            spin(&|| busy(worker).busy_ns > before.busy_ns);
            let (idle, blocked) = (busy(worker).idle_ns, busy(worker).blocked_ns);
            while busy(worker).blocked_ns == blocked {
                // A wait that ends while it still spins is not a block.
                Gate::default().wait(Deadline::after(1_000_000));
            }
            assert_eq!(busy(worker).idle_ns, idle);
        })
        .unwrap();
    let idle = runtime.stats().idle_ns;
    spin(&|| runtime.stats().idle_ns > idle);
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

#[test]
fn thefts_between_nodes_are_counted() {
    let steal = |machine| {
        let options = Options {
            workers: 2,
            placement: Policy::Compact,
            topology: Some(crate::topology::Topology::from_string(machine).unwrap()),
            ..Options::default()
        };
        let runtime = Runtime::new(options).unwrap();
        // The first task keeps its thread until the second has run, on another thread. The waits are spins, which pass no turn.
        let stolen = Arc::new(Gate::default());
        let open = stolen.clone();
        spawn(&runtime, move |worker| {
            spawn(worker.core(), move |_| open.open());
            while !stolen.is_open() {
                std::hint::spin_loop();
            }
        });
        runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
        let stats = runtime.stats();
        assert!(stats.steals >= 1);
        (stats.steals, stats.remote_steals)
    };
    let (steals, remote) = steal("numa:2 core:1 pu:1");
    assert_eq!(remote, steals);
    let (_, remote) = steal("numa:1 core:2 pu:1");
    assert_eq!(remote, 0);
}

#[test]
fn the_last_thread_stays_while_others_leave() {
    let leaving: WorkerHook = Arc::new(|worker| {
        // A stop hook may use the runtime: it has no turn to hold on to.
        let ran = Arc::new(Gate::default());
        let open = ran.clone();
        if worker.core().spawn(Call(move |_: &Worker| open.open())).is_ok() {
            ran.wait(Deadline::Never);
        }
    });
    for _ in 0..50 {
        let options = Options { workers: 1, keep_alive_ns: 1, on_stop: Some(leaving.clone()), ..Options::default() };
        let runtime = Runtime::new(options).unwrap();
        let gate = Arc::new(Gate::default());
        for _ in 0..3 {
            let gate = gate.clone();
            spawn(&runtime, move |_| {
                gate.wait(Deadline::Never);
            });
        }
        spawn(&runtime, move |_| gate.open());
        runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
        assert_eq!(runtime.stats().threads, 0);
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let check = |options: Options| Runtime::new(options).err().map(|failure| failure.status);
    let invalid = Some(Status::Invalid as i32);
    assert_eq!(check(Options { workers: 4097, ..Options::default() }), invalid);
    assert_eq!(check(Options { max_threads: 16384, ..Options::default() }), invalid);
    assert_eq!(check(Options { workers: 4, max_threads: 3, ..Options::default() }), invalid);
    assert_eq!(check(Options { stack_size: 1, ..Options::default() }), invalid);
    assert_eq!(check(Options { keep_alive_ns: -1, ..Options::default() }), invalid);
}

/// A runtime with one worker, which a task holds until `release`; what is spawned meanwhile waits in the lanes.
struct Held {
    runtime: Runtime,
    gate: Arc<std::sync::Barrier>,
}

impl Held {
    fn new() -> Self {
        let runtime = runtime(1, 1);
        let gate = Arc::new(std::sync::Barrier::new(2));
        let hold = gate.clone();
        // A wait that the scheduler does not see, twice: the task has begun, and the task may end.
        spawn(&runtime, move |_| {
            hold.wait();
            hold.wait();
        });
        gate.wait();
        Held { runtime, gate }
    }

    fn spawn_at(&self, priority: Priority, f: impl FnOnce(&Worker) + Send + 'static) {
        self.runtime.spawn_at(Call(f), self.runtime.place(priority, None, false).unwrap()).unwrap();
    }

    fn release(self) {
        self.gate.wait();
        self.runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    }
}

type Order = Arc<crate::sync::Lock<Vec<u32>>>;

fn note(order: &Order, number: u32) -> impl FnOnce(&Worker) + Send + use<> {
    let order = order.clone();
    move |_: &Worker| order.lock().push(number)
}

#[test]
fn higher_priorities_overtake_what_is_queued() {
    use Priority::*;
    let (held, order) = (Held::new(), Order::default());
    let (inside, from_inside) = (order.clone(), order.clone());
    held.spawn_at(Normal, move |worker| {
        // The local ones come first among equals, newest first; the urgent one overtakes them.
        spawn(worker.core(), note(&inside, 2));
        spawn(worker.core(), note(&inside, 1));
        let high = worker.core().place(High, None, false).unwrap();
        worker.core().spawn_at(Call(note(&inside, 0)), high).unwrap();
    });
    for (priority, number) in [(Low, 40), (Normal, 30), (Low, 41), (High, 20), (Normal, 31), (Critical, 10), (High, 21)]
    {
        held.spawn_at(priority, note(&order, number));
    }
    let stats = held.runtime.stats();
    assert_eq!(stats.queued, 8);
    // NORMAL work from outside is in the thread's outbox.
    assert_eq!(stats.lanes.map(|lane| lane.queued), [2, 0, 2, 1]);
    held.release();
    assert_eq!(*from_inside.lock(), [10, 20, 21, 0, 1, 2, 30, 31, 40, 41]);
}

/// Under an endless load of one priority, the others still get their turn, within the documented number of picks.
#[test]
fn no_priority_is_starved() {
    fn again(worker: &Worker, load: Priority, picks: u32, done: Arc<AtomicUsize>) {
        if done.load(Ordering::Relaxed) > 0 {
            return;
        }
        assert!(picks <= 488, "{load:?} tasks starve the others");
        let place = worker.core().place(load, None, false).unwrap();
        worker.core().spawn_at(Call(move |w: &Worker| again(w, load, picks + 1, done)), place).unwrap();
    }
    for (load, starving) in [
        (Priority::Normal, Priority::Low),
        (Priority::High, Priority::Normal),
        (Priority::High, Priority::Low),
        (Priority::Critical, Priority::High),
        (Priority::Critical, Priority::Low),
    ] {
        let held = Held::new();
        let done = Arc::new(AtomicUsize::new(0));
        let (until, did) = (done.clone(), done.clone());
        held.spawn_at(load, move |worker| again(worker, load, 0, until));
        held.spawn_at(starving, move |_| {
            did.fetch_add(1, Ordering::Relaxed);
        });
        let runtime = held.runtime.retain();
        held.release();
        assert_eq!((done.load(Ordering::Relaxed), runtime.stats().panicked), (1, 0), "{load:?} against {starving:?}");
    }
}

#[test]
fn pinned_tasks_stay_on_their_thread() {
    let runtime = runtime(2, 0);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    runtime
        .run(move |worker| {
            let core = worker.core();
            let pinned = core.place(Priority::Normal, None, true).unwrap();
            let here = worker.index();
            for _ in 0..100 {
                let count = counted.clone();
                let stay = move |worker: &Worker| {
                    count.fetch_add(usize::from(worker.index() == here), Ordering::Relaxed);
                };
                core.spawn_at(Call(stay), pinned).unwrap();
            }
            // Not blocked in a way that the scheduler sees, so nobody else may take them.
            assert_eq!(core.stats().queued, 0);
        })
        .unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 100);
}

#[test]
fn a_thread_that_blocks_lets_its_pinned_tasks_go() {
    let runtime = runtime(1, 0);
    runtime
        .run(|worker| {
            let gate = Arc::new(Gate::default());
            let open = gate.clone();
            let pinned = worker.core().place(Priority::Normal, None, true).unwrap();
            worker.core().spawn_at(Call(move |_: &Worker| open.open()), pinned).unwrap();
            gate.wait(Deadline::Never);
        })
        .unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(runtime.stats().executed, 2);
}

#[test]
fn pinned_tasks_run_in_order_on_their_thread() {
    let (held, order) = (Held::new(), Order::default());
    let log = order.clone();
    held.spawn_at(Priority::Normal, move |worker| {
        let pinned = worker.core().place(Priority::Normal, None, true).unwrap();
        for number in 1..=3 {
            worker.core().spawn_at(Call(note(&log, number)), pinned).unwrap();
        }
        spawn(worker.core(), note(&log, 0));
    });
    held.release();
    assert_eq!(*order.lock(), [0, 1, 2, 3]);
}

#[test]
fn a_stop_hook_may_pin_and_wait() {
    let on_stop: WorkerHook = Arc::new(|worker| {
        let gate = Arc::new(Gate::default());
        let open = gate.clone();
        let pinned = worker.core().place(Priority::Normal, None, true).unwrap();
        if worker.core().spawn_at(Call(move |_: &Worker| open.open()), pinned).is_ok() {
            gate.wait(Deadline::Never);
        }
    });
    let options = Options { workers: 1, keep_alive_ns: 1, on_stop: Some(on_stop), ..Options::default() };
    let runtime = Runtime::new(options).unwrap();
    let gate = Arc::new(Gate::default());
    for _ in 0..3 {
        let gate = gate.clone();
        spawn(&runtime, move |_| {
            gate.wait(Deadline::Never);
        });
    }
    spawn(&runtime, move |_| gate.open());
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(runtime.stats().executed, runtime.stats().spawned);
}

#[test]
fn places_that_are_none_are_refused() {
    let runtime = runtime(1, 1);
    let refused = |place: crate::error::Result<Place>| place.is_err_and(|failure| failure.is(Status::Invalid));
    assert!(refused(runtime.place(Priority::Normal, Some(1), false)));
    assert!(refused(runtime.place(Priority::Normal, Some(usize::MAX), false)));
    assert!(refused(runtime.place(Priority::High, None, true)));
    assert!(refused(runtime.place(Priority::Normal, Some(0), true)));
    assert!(runtime.place(Priority::Critical, Some(0), false).is_ok());
}

#[test]
fn there_are_lanes_for_each_node() {
    let machine = crate::topology::Topology::from_string("numa:4 core:2 pu:1").unwrap();
    let options = Options { workers: 8, placement: Policy::Scatter, topology: Some(machine), ..Options::default() };
    let runtime = Runtime::new(options).unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    for round in 0..100 {
        for (node, priority) in (0..4).flat_map(|node| Priority::ALL.map(|priority| (node, priority))) {
            let ran = ran.clone();
            let place = runtime.place(priority, Some(node), false).unwrap();
            let count = move |worker: &Worker| {
                ran.fetch_add(1, Ordering::Relaxed);
                if round % 10 == 0 {
                    let place = worker.core().place(priority, Some(3 - node), false).unwrap();
                    worker
                        .core()
                        .spawn_at(Call(move |_: &Worker| _ = ran.fetch_add(1, Ordering::Relaxed)), place)
                        .unwrap();
                }
            };
            runtime.spawn_at(Call(count), place).unwrap();
        }
    }
    assert!(runtime.place(Priority::Normal, Some(4), false).is_err_and(|failure| failure.is(Status::Invalid)));
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 1760);
}
