//! A worker thread: finding work, running it, resting.

use std::cell::Cell;
use std::ffi::CStr;
use std::fmt::{self, Display};
use std::ptr::NonNull;
use std::sync::Arc;

use crossbeam_deque::{Steal, Worker as Deque};

use super::idle::Slept;
use super::inbox;
use super::runtime::{Core, Phase};
use super::seat::Seat;
use super::stats::Counters;
use super::task::{Header as TaskHeader, Task};
use crate::memory::Header;
use crate::observe::{self, Level, Origin};
use crate::panics;
use crate::platform::fork;
use crate::sync::park;

/// A task in a deque.
pub struct TaskPtr(NonNull<TaskHeader>);
// SAFETY: a task is Send; the pointer owns it.
unsafe impl Send for TaskPtr {}

/// A half of a join in a deque; it lives in the frame of the join, which waits for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JobPtr(NonNull<JobHeader>);
// SAFETY: the half's closure and result are Send (see parallel::join), and its frame waits for it.
unsafe impl Send for JobPtr {}

/// The beginning of a half.
pub struct JobHeader {
    /// Runs the half on the thread that stole it, and reports to the frame that waits.
    pub run: unsafe fn(NonNull<JobHeader>, &Worker),
}

/// What a worker runs.
enum Unit {
    Task(Task),
    Job(JobPtr),
}

/// How a thread's life ends.
enum Exit {
    Dismissed,
    Surplus,
}

/// The owner's side of a seat; what tasks get to know their thread by. C programs see it as `weft_worker`.
#[repr(C)]
pub struct Worker {
    header: Header,
    /// The runtime. It owns the seat, and the running thread holds a reference to it.
    core: *const Core,
    index: usize,
    tasks: Deque<TaskPtr>,
    jobs: Deque<JobPtr>,
    random: Cell<u64>,
    ticks: Cell<u32>,
    task_name: Cell<Option<NonNull<CStr>>>,
}

// SAFETY: a Worker moves between threads only while its seat is free; then nobody uses it, and no task runs that
// `task_name` could point into. `core` leads to the runtime that owns the seat, which is Sync.
unsafe impl Send for Worker {}

thread_local! {
    static CURRENT: Cell<*const Worker> = const { Cell::new(std::ptr::null()) };
}

/// Tells pointers to workers from pointers to other things.
pub const WORKER_TAG: u32 = u32::from_le_bytes(*b"Wwrk");

/// How many tasks a worker takes before it looks past its newest: in turn into the inbox and at its own oldest, so that
/// tasks that keep spawning tasks starve nobody.
const FAIRNESS: u32 = 61;

/// Sweeps over the others before a thread lies down, and the pauses between them: some ten microseconds.
const SWEEPS: u32 = 8;
const PAUSES: u32 = 32;

impl Worker {
    pub(super) fn furnish(core: *const Core, index: usize) -> Seat {
        let (tasks, jobs) = (Deque::new_lifo(), Deque::new_lifo());
        Seat {
            tasks: tasks.stealer(),
            jobs: jobs.stealer(),
            counters: Counters::default(),
            vacant: crate::sync::Lock::new(Some(Box::new(Worker {
                header: Header::new(WORKER_TAG),
                core,
                index,
                tasks,
                jobs,
                // Any odd start will do; neighbours differ.
                random: Cell::new((index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
                ticks: Cell::new(0),
                task_name: Cell::new(None),
            }))),
        }
    }

    /// The worker whose thread this is. In a forked child there is none, not even on the thread that forked.
    pub fn current<'a>() -> Option<&'a Worker> {
        // SAFETY: set by `live` for as long as the worker is on its thread, and callers are on that thread.
        // The lifetime is theirs to keep within the callback they run in.
        unsafe { CURRENT.get().as_ref() }.filter(|worker| worker.header.epoch == fork::epoch())
    }

    /// The runtime it works for.
    pub fn core(&self) -> &Core {
        // SAFETY: the thread that runs this worker holds a reference to the runtime.
        unsafe { &*self.core }
    }

    /// Its seat's number, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    fn counters(&self) -> &Counters {
        &self.core().seats.get(self.index).expect("a worker has a seat").counters
    }

    /// The name of the task it runs, if the task has one.
    pub fn task_name(&self) -> Option<&CStr> {
        // SAFETY: `named` keeps the name alive for as long as it is set.
        self.task_name.get().map(|name| unsafe { name.as_ref() })
    }

    /// Where a failure on this worker happened, for people.
    pub fn origin(&self) -> String {
        match self.task_name() {
            Some(name) => format!("task {}, worker {}", name.to_string_lossy(), self.index),
            None => format!("unnamed task, worker {}", self.index),
        }
    }

    fn log_origin(&self) -> Origin<'_> {
        Origin { worker: self.index as i32, runtime: self.core().name(), task: self.task_name().unwrap_or_default() }
    }

    /// Runs `body`, which does not unwind, as part of a task of this name.
    pub fn named<R>(&self, name: Option<&CStr>, body: impl FnOnce() -> R) -> R {
        let outer = self.task_name.replace(name.map(NonNull::from));
        let result = body();
        self.task_name.set(outer);
        result
    }

    /// Runs a callback. A panic becomes its message, and is counted and logged.
    pub fn protect<R>(&self, what: &dyn Display, body: impl FnOnce() -> R) -> Result<R, String> {
        let title = Title { task: self.task_name(), what };
        let result = panics::catch(&title, body);
        if let Err(message) = &result {
            self.counters().panicked.add_one();
            observe::log(Level::Error, self.log_origin(), format_args!("{title} panicked: {message}"));
        }
        result
    }

    /// Queues a task on this thread; the caller notifies.
    pub(super) fn spawn(&self, task: Task) {
        self.counters().spawned.add_one();
        self.tasks.push(TaskPtr(task.into_raw()));
    }

    /// Offers a half of a join to the other threads.
    ///
    /// # Safety
    /// The half stays in place until `take_back` returned true for it or its `run` has reported.
    pub unsafe fn offer(&self, job: NonNull<JobHeader>) {
        self.counters().joins.add_one();
        self.jobs.push(JobPtr(job));
        self.core().notify();
    }

    /// Takes the half offered last back; false when it was stolen.
    pub fn take_back(&self, job: NonNull<JobHeader>) -> bool {
        let Some(popped) = self.jobs.pop() else { return false };
        // Joins nest, and this deque holds nothing else, so what is left below a stolen half was stolen before it.
        assert!(popped == JobPtr(job), "joins end in the reverse order of their beginnings");
        self.counters().local_hits.add_one();
        true
    }

    /// The life of a thread on this seat, which arrives active and searching.
    pub(super) fn live(self: Box<Self>, core: Arc<Core>) {
        let worker = &*self;
        CURRENT.set(worker);
        park::set_hook(Some(park::Hook { before: before_park, after: after_park }));
        if let Some(on_start) = &core.options.on_start {
            // The start hook counts as a task: it may block, and then nobody may think that this thread searches.
            worker.end_search();
            let _ = worker.protect(&"a worker's start hook", || on_start(worker));
            core.idle.begin_search();
        }
        let exit = worker.work();
        // The thread has given its turn up, so there is none to pass on any more.
        park::set_hook(None);
        if let Some(on_stop) = &core.options.on_stop {
            let _ = worker.protect(&"a worker's stop hook", || on_stop(worker));
        }
        CURRENT.set(std::ptr::null());
        let index = self.index;
        core.seats.stand_up(index, self);
        core.seats.give_back(index);
        match exit {
            Exit::Dismissed => {
                if core.idle.dismissed() {
                    core.gone.open();
                }
            }
            Exit::Surplus => {
                core.idle.leave();
                core.look_again();
            }
        }
    }

    fn work(&self) -> Exit {
        let idle = &self.core().idle;
        let mut searching = true;
        loop {
            let mut unit = self.find_near();
            if unit.is_none() {
                if !searching {
                    idle.begin_search();
                    searching = true;
                }
                unit = self.search();
            }
            match unit {
                Some(unit) => {
                    if searching {
                        searching = false;
                        self.end_search();
                    }
                    self.run(unit);
                    if !idle.is_crowded() || !idle.step_back() {
                        continue;
                    }
                }
                None => idle.lie_down(),
            }
            if let Some(exit) = self.rest() {
                return exit;
            }
            searching = true;
        }
    }

    fn end_search(&self) {
        if self.core().idle.end_search() {
            // What arrived while we searched has woken nobody.
            self.core().notify_if_work();
        }
    }

    /// Sleeps, having given the turn up. Returns active and searching, or with the reason to end.
    fn rest(&self) -> Option<Exit> {
        let core = self.core();
        core.look_again();
        self.counters().parks.add_one();
        match core.idle.sleep(|| core.keep_alive_deadline()) {
            Slept::Surplus => Some(Exit::Surplus),
            Slept::Woken if core.idle.is_dismissed() => Some(Exit::Dismissed),
            Slept::Woken => {
                self.counters().wakes.add_one();
                None
            }
        }
    }

    fn run(&self, unit: Unit) {
        match unit {
            // SAFETY: a half taken from a deque is run once; its frame waits for it.
            Unit::Job(job) => unsafe { (job.0.as_ref().run)(job.0, self) },
            Unit::Task(task) if self.core().phase() == Phase::Discard && task.droppable() => {
                self.counters().discarded.add_one();
                let _ = self.protect(&"dropping a task", || drop(task));
            }
            Unit::Task(task) => {
                let _ = self.protect(&"a task", || task.run(self));
                self.counters().executed.add_one();
            }
        }
        // What a task asked for its own waits is not meant for the next one.
        park::set_interruptible(false);
        if self.header.epoch != fork::epoch() {
            fork::refuse_to_return();
        }
    }

    /// Work that is this thread's own, or anybody's.
    fn find_near(&self) -> Option<Unit> {
        let ticks = self.ticks.get().wrapping_add(1);
        self.ticks.set(ticks);
        let fair = match ticks % (2 * FAIRNESS) {
            0 => self.take_from_inbox(),
            FAIRNESS => self.take_oldest(),
            _ => None,
        };
        fair.or_else(|| self.take_own()).or_else(|| self.take_from_inbox())
    }

    fn take_own(&self) -> Option<Unit> {
        let TaskPtr(node) = self.tasks.pop()?;
        self.counters().local_hits.add_one();
        // SAFETY: the deque hands each task out once.
        Some(Unit::Task(unsafe { Task::from_raw(node) }))
    }

    fn take_oldest(&self) -> Option<Unit> {
        let seat = self.core().seats.get(self.index)?;
        let TaskPtr(node) = seat.tasks.steal().success()?;
        self.counters().local_hits.add_one();
        // SAFETY: the deque hands each task out once.
        Some(Unit::Task(unsafe { Task::from_raw(node) }))
    }

    /// Takes a share of the inbox: the oldest to run now, the others into the own deque, where the oldest of them is
    /// taken next and thieves take the newest.
    fn take_from_inbox(&self) -> Option<Unit> {
        let core = self.core();
        let mut share = [const { None }; inbox::BATCH];
        let count = core.inbox.take_share(core.options.workers as usize, &mut share);
        let (first, others) = share[..count].split_first_mut()?;
        for task in others.iter_mut().rev().filter_map(Option::take) {
            self.tasks.push(TaskPtr(task.into_raw()));
        }
        if count > 1 {
            // They were out of everybody's sight for a moment.
            core.notify();
        }
        first.take().map(Unit::Task)
    }

    /// Looks for work everywhere, a bounded number of times.
    fn search(&self) -> Option<Unit> {
        for sweep in 0..SWEEPS {
            if let Some(unit) = self.take_from_inbox().or_else(|| self.steal()) {
                return Some(unit);
            }
            for _ in 0..PAUSES * sweep {
                std::hint::spin_loop();
            }
        }
        None
    }

    /// One sweep over all other seats, from a random start: halves of joins first, for somebody waits for them.
    fn steal(&self) -> Option<Unit> {
        let seats = &self.core().seats;
        let count = seats.len();
        let start = self.next_random() as usize % count;
        let mut retry = true;
        while std::mem::take(&mut retry) {
            for index in (start..count).chain(0..start).filter(|&index| index != self.index) {
                let Some(victim) = seats.get(index) else { continue };
                match victim.jobs.steal() {
                    Steal::Success(job) => return Some(self.stolen(Unit::Job(job))),
                    Steal::Retry => retry = true,
                    Steal::Empty => {}
                }
                match victim.tasks.steal_batch_and_pop(&self.tasks) {
                    Steal::Success(TaskPtr(node)) => {
                        // SAFETY: the deques hand each task out once.
                        return Some(self.stolen(Unit::Task(unsafe { Task::from_raw(node) })));
                    }
                    Steal::Retry => retry = true,
                    Steal::Empty => {}
                }
            }
        }
        self.counters().failed_steals.add_one();
        None
    }

    fn stolen(&self, unit: Unit) -> Unit {
        self.counters().steals.add_one();
        unit
    }

    /// Marsaglia's xorshift64.
    fn next_random(&self) -> u64 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        x
    }
}

/// What a callback is called in messages: what it is, and the task it belongs to.
struct Title<'a> {
    task: Option<&'a CStr>,
    what: &'a dyn Display,
}

impl Display for Title<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(task) = self.task {
            write!(f, "task '{}', ", task.to_string_lossy())?;
        }
        write!(f, "{}", self.what)
    }
}

/// This thread is about to block inside a task: its turn goes to another, if there is something to run.
fn before_park() {
    let Some(worker) = Worker::current() else { return };
    worker.counters().blocks.add_one();
    worker.core().pass_turn();
}

/// This thread goes on, at once.
fn after_park() {
    if let Some(worker) = Worker::current() {
        worker.core().idle.unblock();
    }
}
