//! A runtime: its threads, its queues, its end.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use std::thread;

use super::blocks::Depot;
use super::claim::Refusal;
use super::faults::Faults;
use super::frame;
use super::held::AllHeld;
use super::idle::{Idle, Notified};
use super::lanes::{Address, Lanes, Priority};
use super::options::{Kind, Options, Resolved};
use super::outbox::{NotPushed, Outbox, Outboxes};
use super::placement::{Placement, Stand};
use super::seat::Seats;
use super::stall::watcher::Stalls;
use super::stats::{Stats, WorkerStats};
use super::submitter;
use super::task::{Owner, Queue, Slot, Table, Task, Work};
use super::worker::{Worker, watch_waits};
use crate::error::{Failure, Result, Status};
use crate::memory::Header;
use crate::observe::{self, Level, Origin};
use crate::panics;
use crate::platform::clock::now_ns;
use crate::platform::fork;
use crate::platform::signals::Blocked;
use crate::platform::thread::Thread;
use crate::sync::cancel::{SHUTDOWN, Token};
use crate::sync::futex::Futex;
use crate::sync::wait::{Ended, Waiter};
use crate::sync::waits::{self, Runner};
use crate::sync::{Bell, Deadline, Gate, Lock};
use crate::time::{self, Group};

/// How to end a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Run everything that is queued, and what that spawns.
    Drain,
    /// Drop queued work that may be dropped; run the rest.
    Discard,
}

/// How far a runtime's life has got. Phases only go up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Phase {
    Open,
    Drain,
    Discard,
}

/// Tells runtimes from other handles.
pub const RUNTIME_TAG: u32 = u32::from_le_bytes(*b"Wrun");

/// Where a task goes, checked for one runtime. By default: to the worker's own deque, or from outside to the common lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    priority: Priority,
    node: Option<usize>,
    pinned: bool,
}

impl Place {
    /// The lane, seen from a node.
    pub(super) fn lane(self, home: usize) -> Address {
        Address { node: self.node.unwrap_or(home), priority: self.priority }
    }

    /// Whether it may go to a worker's own deque.
    pub(super) fn is_anywhere(self) -> bool {
        self.priority == Priority::Normal && self.node.is_none()
    }

    /// Whether thieves leave it alone.
    pub fn is_pinned(self) -> bool {
        self.pinned
    }
}

/// The node that work from outside goes to when it names none.
const OUTSIDE: usize = 0;

/// Why [`Core::submit`] took nothing.
#[derive(Debug, PartialEq)]
pub enum NotSubmitted {
    /// The task with this index is not free.
    Refused(usize, Refusal),
    /// The runtime takes no more.
    Failed(Failure),
}

pub(super) const ENDING: Failure = Failure::new(Status::Shutdown, "the runtime is shutting down");
const NO_MEMORY: Failure = Failure::new(Status::NoMemory, "no memory for a task");

/// Work for which there is no memory.
fn no_memory<W: Work>(work: W) -> Failure {
    work.refused();
    NO_MEMORY
}

/// Gives tasks back that are not taken.
fn refuse(mut chain: Queue, why: Failure) -> Failure {
    while let Some(node) = chain.pop() {
        // SAFETY: a task that the chain owned.
        unsafe { Task::from_raw(node) }.refuse();
    }
    why
}

/// What the handles of a runtime and its threads share. C programs see it as `weft_runtime`.
#[repr(C)]
pub struct Core {
    header: Header,
    /// References that users hold. The memory lives longer: each thread holds a reference to it, too.
    handles: AtomicUsize,
    pub(super) options: Resolved,
    pub(super) idle: Idle,
    pub(super) lanes: Lanes<&'static Table>,
    pub(super) depot: Depot,
    pub(super) outboxes: Outboxes<&'static Table>,
    /// Tells runtimes apart where they leave traces that outlive them.
    id: u64,
    pub(super) held: AllHeld,
    pub(super) timers: Group,
    pub(super) seats: Seats,
    pub(super) placement: Placement,
    pub(super) phase: AtomicU32,
    /// Open when the last thread has gone.
    pub(super) gone: Gate,
    /// For those who wait for the end of a runtime without threads, see `guests`.
    pub(super) bell: Bell,
    /// Held by a resize.
    pub(super) resizing: Lock<()>,
    threads: Lock<Vec<Thread>>,
    /// What threads begin with, whoever starts them: the signals that the runtime's maker left to others.
    signals: Blocked,
    threads_peak: AtomicU32,
    pub(super) stalls: Stalls,
    spares_started: AtomicU64,
    spares_retired: AtomicU64,
    start_failures: AtomicU64,
    /// Since the last thread that could be started.
    refusal_told: AtomicBool,
    pub(super) faults: Faults,
}

/// A counted handle to a runtime. When the last one goes, the runtime is shut down as by [`Mode::Discard`], without
/// waiting.
pub struct Runtime(Arc<Core>);

impl Runtime {
    /// Starts a runtime: with one thread, the others start when there is work for them; or with none, by its kind.
    pub fn new(options: Options) -> Result<Runtime> {
        let mut options = options.resolve()?;
        panics::backtrace::watch();
        // The deques' garbage collector is made by whoever needs it first, and others wait for that.
        fork::complete_before(|| _ = crossbeam_epoch::default_collector());
        watch_waits();
        let placement = Placement::new(options.placement, options.topology.take(), options.workers)?;
        let core = Arc::new(Core {
            header: Header::new(RUNTIME_TAG),
            handles: AtomicUsize::new(1),
            idle: match options.kind.has_guests() {
                true => Idle::hosted(options.workers),
                false => Idle::new(options.workers, options.max_threads),
            },
            lanes: Lanes::new(placement.nodes()),
            depot: Depot::default(),
            outboxes: Outboxes::default(),
            held: AllHeld::default(),
            timers: Group::default(),
            signals: Blocked::current(),
            id: submitter::new_id(),
            seats: Seats::new(options.max_threads),
            placement,
            phase: AtomicU32::new(Phase::Open as u32),
            gone: Gate::default(),
            bell: Bell::default(),
            resizing: Lock::default(),
            threads: Lock::default(),
            threads_peak: AtomicU32::new(0),
            stalls: Stalls::new(options.on_stall.take()),
            spares_started: AtomicU64::new(0),
            spares_retired: AtomicU64::new(0),
            start_failures: AtomicU64::new(0),
            refusal_told: AtomicBool::new(false),
            faults: Faults::default(),
            options,
        });
        let start = || match core.kind().has_guests() {
            true => core.start_watcher(),
            false => {
                core.idle.start_first();
                core.start_watcher().and_then(|()| core.start_thread())
            }
        };
        start().map_err(|error| {
            core.stalls.end();
            Failure::with(Status::Os, format!("cannot start a worker thread: {error}"))
        })?;
        Ok(Runtime(core))
    }

    /// The handle as a pointer; gives up this reference.
    pub fn into_raw(self) -> *const Core {
        Arc::as_ptr(&ManuallyDrop::new(self).0)
    }

    /// One reference back from a pointer.
    ///
    /// # Safety
    /// `core` stands for a reference that came from `into_raw` or `retain` and is given up here.
    pub unsafe fn from_raw(core: *const Core) -> Runtime {
        // SAFETY: each handle reference owns one strong count.
        Runtime(unsafe { Arc::from_raw(core) })
    }
}

impl Deref for Runtime {
    type Target = Core;
    fn deref(&self) -> &Core {
        &self.0
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // AcqRel: what other handles' users did comes before the shutdown that the last of them begins.
        if self.0.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.begin_shutdown(Mode::Discard);
            self.0.finish_alone();
        }
    }
}

impl Core {
    /// One more reference for the user.
    pub fn retain(&self) -> Runtime {
        self.handles.fetch_add(1, Ordering::Relaxed);
        Runtime(self.share())
    }

    /// Whether no user has a handle any more.
    pub(super) fn is_abandoned(&self) -> bool {
        // Acquire pairs with the Release of the last to go: the end has begun.
        self.handles.load(Ordering::Acquire) == 0
    }

    /// One more reference to the memory, which outlives the handles.
    pub fn share(&self) -> Arc<Core> {
        // SAFETY: a Core lives in an Arc only, and `self` is alive.
        unsafe {
            Arc::increment_strong_count(self);
            Arc::from_raw(self)
        }
    }

    /// Threads that run at once.
    pub fn workers(&self) -> u32 {
        self.idle.limit()
    }

    /// Whose threads run its tasks; never [`Kind::Auto`].
    pub fn kind(&self) -> Kind {
        self.options.kind
    }

    /// The name given to the runtime.
    pub fn name(&self) -> &std::ffi::CStr {
        &self.options.name
    }

    fn is_own(&self, worker: &Worker) -> bool {
        std::ptr::eq(worker.core(), self)
    }

    /// The calling thread's worker, if it is one of this runtime's.
    fn own_worker(&self) -> Option<&Worker> {
        Worker::current().filter(|worker| self.is_own(worker))
    }

    /// A place for tasks: with a priority, on a NUMA node, `pinned` to the worker that spawns. A pinned task has no other
    /// wishes.
    pub fn place(&self, priority: Priority, node: Option<usize>, pinned: bool) -> Result<Place> {
        if let Some(node) = node.filter(|&node| node >= self.lanes.nodes()) {
            return Err(Failure::with(Status::Invalid, format!("node: there is no node {node}")));
        }
        let place = Place { priority, node, pinned };
        if pinned && !place.is_anywhere() {
            return Err(Failure::new(
                Status::Invalid,
                "hints: a task that is not stealable has the normal priority and no node",
            ));
        }
        Ok(place)
    }

    /// Queues work at the default place.
    pub fn spawn<W: Work>(&self, work: W) -> Result<()> {
        self.spawn_at(work, Place::default())
    }

    /// Queues work. On failure (the runtime takes no more, or there is no memory) `Work::refused` has been called.
    pub fn spawn_at<W: Work>(&self, work: W, place: Place) -> Result<()> {
        match self.own_worker() {
            Some(worker) if self.takes_no_more(worker) => {
                work.refused();
                Err(ENDING)
            }
            Some(worker) => {
                if worker.queue(worker.new_task(work).map_err(no_memory)?, place) {
                    self.notify();
                }
                Ok(())
            }
            None => self.spawn_from_outside(work, place),
        }
    }

    fn spawn_from_outside<W: Work>(&self, work: W, place: Place) -> Result<()> {
        submitter::with_own(self.id, &self.outboxes, |outbox| {
            let block = match outbox {
                // SAFETY: this thread's.
                Some(outbox) if Task::fits_block::<W>() => unsafe { outbox.take_block(&self.depot) },
                _ => None,
            };
            let task = match block {
                Some(block) => Task::in_block(work, block),
                None => Task::new(work).map_err(no_memory)?,
            };
            self.queue_from_outside(outbox, task.into_queue(), place)
        })
    }

    /// Queues tasks from outside: in the thread's outbox if it has one and they may go anywhere, else in a lane.
    fn queue_from_outside(&self, outbox: Option<&Outbox<&'static Table>>, chain: Queue, place: Place) -> Result<()> {
        match outbox.filter(|_| place.is_anywhere()) {
            Some(outbox) => {
                // SAFETY: this thread's.
                match unsafe { outbox.push(chain, self.outboxes.closed()) } {
                    Ok(()) => {}
                    Err(NotPushed::Closed(chain)) => return Err(refuse(chain, ENDING)),
                    Err(NotPushed::NoMemory(chain)) => return Err(refuse(chain, NO_MEMORY)),
                }
                // The push has the fence of rule 1.
                self.act_on(self.idle.notify_ordered(), false);
            }
            None => {
                let refused = self.lanes.push_from_outside(place.lane(OUTSIDE), chain);
                refused.map_err(|chain| refuse(chain, ENDING))?;
                self.notify();
            }
        }
        Ok(())
    }

    /// Queues caller-owned tasks, all of them or none. The error says which one is not free, and why.
    ///
    /// # Safety
    /// As for [`Slot::claim`], for each of them.
    pub unsafe fn submit<O: Owner>(
        &self,
        slots: impl Iterator<Item = NonNull<Slot>>,
    ) -> std::result::Result<(), NotSubmitted> {
        let mut chain = Queue::default();
        for (index, slot) in slots.enumerate() {
            // SAFETY: promised by the caller.
            match unsafe { Slot::claim::<O>(slot) } {
                Ok(task) => chain.append(task.into_queue()),
                Err(refusal) => {
                    refuse(chain, ENDING);
                    return Err(NotSubmitted::Refused(index, refusal));
                }
            }
        }
        if chain.is_empty() {
            return Ok(());
        }
        match self.own_worker() {
            Some(worker) if self.takes_no_more(worker) => return Err(NotSubmitted::Failed(refuse(chain, ENDING))),
            Some(worker) => {
                while let Some(node) = chain.pop() {
                    // SAFETY: claimed above, taken back once. What is still in the chain stays claimed.
                    worker.queue(unsafe { Task::from_raw(node) }, Place::default());
                }
                self.notify();
            }
            None => submitter::with_own(self.id, &self.outboxes, |outbox| {
                self.queue_from_outside(outbox, chain, Place::default()).map_err(NotSubmitted::Failed)
            })?,
        }
        Ok(())
    }

    /// Runs `f` on a worker and waits for it: at once and here when this thread is one of the runtime's own.
    /// The error's message is the panic's.
    pub fn run<R: Send>(&self, f: impl FnOnce(&Worker) -> R + Send) -> Result<R> {
        const WHAT: &str = "a task that is waited for";
        const RUN: waits::Kind = waits::Kind { end: "the end of a run", can_be_stopped: false };
        let panicked = |message| Failure::with(Status::Panic, message);
        if let Some(worker) = self.own_worker() {
            return worker.protect(&WHAT, || f(worker)).map_err(panicked);
        }
        let f = match self.kind().has_guests() {
            true => match self.run_as_guest(&WHAT, frame::token(), f) {
                Ok(result) => return result.map_err(panicked),
                Err(_) if self.kind() == Kind::Single && Worker::is_here_for(self) => {
                    return Err(Failure::new(Status::Deadlock, "the runtime's only thread would wait for itself"));
                }
                Err(f) => f,
            },
            false => f,
        };
        struct Frame<F, R> {
            f: Option<F>,
            result: Option<std::result::Result<R, String>>,
            token: Option<Token>,
            waiter: Waiter,
            runner: Runner,
        }
        struct Run<F, R>(*mut Frame<F, R>);
        // SAFETY: F and R are Send, and the frame waits for the task.
        unsafe impl<F: Send, R: Send> Send for Run<F, R> {}
        impl<F: FnOnce(&Worker) -> R + Send, R: Send> Work for Run<F, R> {
            fn run(self, worker: &Worker) {
                // SAFETY: the frame stays until its wait is finished, which is the last thing done here. Nobody
                // else claims or gives up this wait.
                unsafe {
                    let frame = self.0;
                    let f = (*frame).f.take();
                    let context = worker.task_context(None, (*frame).token.take());
                    let run = |f: F| worker.within(context, || worker.protect(&WHAT, || f(worker)));
                    (*frame).runner.begin(worker.party());
                    (*frame).result = f.map(run);
                    (*frame).runner.end();
                    (*frame).waiter.claim();
                    Waiter::finish(&raw const (*frame).waiter, 0, 0);
                }
                if worker.core().kind().has_guests() {
                    worker.core().bell.ring();
                }
            }
        }
        let (token, waiter, runner) = (frame::token(), Waiter::new(), Runner::new(&RUN));
        let mut frame = Frame { f: Some(f), result: None, token, waiter, runner };
        let frame = &raw mut frame;
        self.spawn(Run(frame))?;
        // SAFETY: the frame is alive, and what the worker does with it comes before the wait's end.
        unsafe {
            if self.kind().has_guests() {
                self.help_until(|| (*frame).waiter.fired().is_some());
            }
            let wait = || (*frame).waiter.wait_until_fired();
            waits::awaiting(Some(&(*frame).runner), Deadline::Never, wait);
            (*frame).result.take().expect("the task ran").map_err(panicked)
        }
    }

    pub(super) fn phase(&self) -> Phase {
        // Relaxed: a hint on hot paths; the lanes' locks and the fences around `idle` make the end exact.
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Open,
            1 => Phase::Drain,
            _ => Phase::Discard,
        }
    }

    /// Whether nobody has begun to shut it down.
    pub fn is_open(&self) -> bool {
        self.phase() == Phase::Open
    }

    /// Ends the runtime; returns when all its threads have gone, or at the deadline (the end then goes on by itself).
    pub fn shutdown(&self, mode: Mode, deadline: Deadline) -> Result<()> {
        if Worker::is_here_for(self) && deadline != Deadline::Now {
            return Err(Failure::new(
                Status::Deadlock,
                "a task cannot wait for the end of its own runtime; use a timeout of 0",
            ));
        }
        self.begin_shutdown(mode);
        let late = match deadline {
            Deadline::Now => Failure::new(Status::WouldBlock, "the runtime's threads have not ended yet"),
            _ => Failure::new(Status::Timeout, "the runtime's threads have not ended yet"),
        };
        if self.kind().has_guests() {
            return self.finish(deadline, late);
        }
        match self.gone.wait(deadline) {
            Ended::Fired(_) => {}
            Ended::TimedOut => return Err(late),
            ended => return ended.failure().map_or(Ok(()), Err),
        }
        let join = |thread: Thread| match deadline {
            Deadline::Now => thread.try_join(),
            Deadline::At(at) => thread.join(Some(at)),
            Deadline::Never => thread.join(None),
        };
        loop {
            // Outside the lock: a thread that is about to end may run destructors of the user's, which may come here, too.
            let threads = std::mem::take(&mut *self.threads.lock());
            if threads.is_empty() {
                return Ok(());
            }
            let mut running: Vec<_> = threads.into_iter().filter_map(|thread| join(thread).err()).collect();
            if !running.is_empty() {
                self.threads.lock().append(&mut running);
                return Err(late);
            }
            // One that failed may have noted its successor only now.
        }
    }

    fn begin_shutdown(&self, mode: Mode) {
        // First, so that what has expired is queued by the time that anybody looks for the end.
        time::driver::close(&self.timers);
        self.lanes.close();
        self.outboxes.close();
        let phase = match mode {
            Mode::Drain => Phase::Drain,
            Mode::Discard => Phase::Discard,
        };
        self.phase.fetch_max(phase as u32, Ordering::SeqCst);
        // Rule 1 of `idle`: the phase is set, now look whether everybody sleeps already; they look the other way round.
        fence(Ordering::SeqCst);
        if self.discards() {
            self.seats.iter().for_each(|seat| seat.stop.fire(SHUTDOWN, None));
            self.held.release_droppable();
        }
        self.look_again();
    }

    /// Whether what is queued is dropped if it may be.
    pub fn discards(&self) -> bool {
        self.phase() == Phase::Discard
    }

    /// Whether work that is not queued yet can still be accepted.
    pub(super) fn may_hold(&self) -> Result<()> {
        let ending = self.own_worker().map_or(!self.is_open(), |worker| self.takes_no_more(worker));
        if ending { Err(ENDING) } else { Ok(()) }
    }

    /// A task for work that is to be held, or why there is none; then `Work::refused` has been called.
    pub(super) fn held_task<W: Work>(&self, work: W) -> Result<Task> {
        Task::new(work).map_err(no_memory)
    }

    /// Puts a task that was accepted before into a lane. The caller notifies.
    pub(super) fn accept(&self, task: Task, place: Place) {
        self.lanes.push_accepted(place.lane(OUTSIDE), task.into_queue());
    }

    /// Queues a task that was accepted before.
    pub(super) fn queue_held(&self, task: Task, place: Place) {
        match self.own_worker() {
            Some(worker) => _ = worker.queue(task, place),
            None => self.accept(task, place),
        }
        self.notify();
    }

    /// Queues a task that has run and comes back, behind all others of its kind: one that wakes itself is not to keep its
    /// thread to itself. Fresh ones go where others go.
    pub(super) fn queue_again(&self, task: Task, place: Place, fresh: bool) {
        match self.own_worker() {
            Some(worker) if !fresh => worker.queue_behind(task, place),
            _ => return self.queue_held(task, place),
        }
        self.notify();
    }

    /// Whether work from the runtime's own threads is refused: after a discard has begun, and at the very end, when only
    /// the workers' stop hooks still run.
    fn takes_no_more(&self, worker: &Worker) -> bool {
        match self.phase() {
            Phase::Open => false,
            // The stop hook of a guest runs before the very end, which its spawning could put off for ever.
            Phase::Drain => self.idle.is_dismissed() || self.kind().has_guests() && worker.is_leaving(),
            Phase::Discard => true,
        }
    }

    /// Whether there is something to take. The caller has given a turn up, or stands for one who has.
    pub(super) fn has_work(&self) -> bool {
        self.outboxes.cool();
        !self.outboxes.is_empty() || !self.lanes.is_empty() || self.seats.iter().any(|seat| seat.has_work())
    }

    /// Work has been made visible.
    pub(super) fn notify(&self) {
        self.act_on(self.idle.notify(), false);
    }

    fn act_on(&self, notified: Notified, patient: bool) {
        match notified {
            Notified::Nobody | Notified::Woke => {}
            Notified::MustStart => self.start_spare(patient),
            Notified::Ceiling => self.tell_ceiling(),
        }
    }

    /// A searcher found something: somebody must look for work that came meanwhile.
    pub(super) fn notify_if_work(&self) {
        if self.has_work() {
            self.notify();
        }
    }

    /// A thread is about to block: its turn goes to another, if there is something to run.
    pub(super) fn pass_turn(&self) {
        self.idle.block();
        if self.has_work() {
            self.act_on(self.idle.notify(), true);
        }
    }

    /// A thread could run more: all others are to share what they fork. Comes after the thread has given up its turn, see
    /// `Region::answer`.
    pub(super) fn ask_all(&self) {
        self.seats.iter().for_each(|seat| seat.region.ask());
    }

    /// What a thread does after it has given up its turn for good.
    pub(super) fn look_again(&self) {
        // Read before the look, which then sees all that was accepted before the end began: looked at first, the lanes might
        // fill up before the phase changes. Acquire pairs with the change in `begin_shutdown`.
        // What is held is looked at before the queues, into which it comes without a gap.
        let ending = self.phase.load(Ordering::Acquire) != Phase::Open as u32 && self.held.count.is_empty();
        if self.has_work() {
            self.notify();
        } else if ending && self.idle.dismiss() {
            self.end();
        }
    }

    /// The last thread has gone.
    pub(super) fn end(&self) {
        self.stalls.end();
        self.gone.open();
        self.bell.ring();
    }

    pub(super) fn keep_alive_deadline(&self) -> Option<i64> {
        now_ns().checked_add(self.options.keep_alive_ns)
    }

    /// Starts a thread that `idle` has counted already. When the system refuses, and nobody else is awake or can be woken
    /// who would get to the work in time, it tries again: at once, and if `patient`, with pauses that double.
    #[cold]
    fn start_spare(&self, patient: bool) {
        const TRIES: u32 = 10;
        const FIRST_PAUSE_NS: i64 = 1_000_000;
        for attempt in 0..TRIES {
            let Err(error) = self.start_thread() else { return };
            self.tell_refused(&error);
            let counts = self.idle.start_failed();
            if counts.active > 0 {
                // They will get to the work, and notify again if they block before that.
                return;
            }
            if !self.has_work() {
                // This thread was counted alive for a moment, which may have kept the others from ending.
                self.look_again();
                return;
            }
            if counts.idle == 0 && patient {
                // Nobody wakes this; it is the pause.
                Futex::new(0).wait(0, Some(now_ns() + (FIRST_PAUSE_NS << attempt)));
            }
            match self.idle.notify() {
                Notified::MustStart => {}
                Notified::Ceiling => return self.tell_ceiling(),
                Notified::Nobody | Notified::Woke => return,
            }
        }
        self.idle.start_failed();
        self.tell_stall();
    }

    /// The system has refused a thread. Told once until it gives one again; the next notify tries.
    pub(super) fn tell_refused(&self, error: &std::io::Error) {
        self.start_failures.fetch_add(1, Ordering::Relaxed);
        if !self.refusal_told.swap(true, Ordering::Relaxed) {
            self.warn(format_args!("cannot start a worker thread, work goes on with those there are: {error}"));
        }
    }

    pub(super) fn warn(&self, message: fmt::Arguments<'_>) {
        observe::log(Level::Warn, Origin { worker: -1, runtime: self.name(), task: c"" }, message);
    }

    /// Starts a thread that `idle` has counted already.
    fn start_thread(&self) -> std::io::Result<()> {
        let index = self.seats.take(|index| Worker::furnish(self, index)).ok_or(std::io::ErrorKind::OutOfMemory)?;
        self.start_on(index).inspect_err(|_| self.seats.give_back(index))
    }

    /// Starts a thread on a reserved seat.
    pub(super) fn start_on(&self, index: usize) -> std::io::Result<()> {
        self.faults.at_start()?;
        let core = self.share();
        // The kernel keeps 15 bytes of a name; the number matters more than the end of a long prefix.
        let number = format!("-{index}");
        let prefix = self.options.name.to_string_lossy();
        let keep = prefix.floor_char_boundary(15usize.saturating_sub(number.len()));
        let thread = thread::Builder::new()
            .name(format!("{}{number}", &prefix[..keep]))
            .stack_size(self.options.stack_size)
            .spawn(move || {
                // Relaxed: a hint.
                core.refusal_told.store(false, Ordering::Relaxed);
                core.signals.apply();
                core.seats.sit_down(index).live(core);
            })?;
        self.note_threads(self.idle.counts().alive);
        self.keep_thread(thread);
        Ok(())
    }

    /// Starts the thread of the stall hook, if there is one.
    fn start_watcher(&self) -> std::io::Result<()> {
        if self.stalls.wants_thread() {
            let core = self.share();
            let watch = thread::Builder::new().name("weft-stall".into()).spawn(move || core.stalls.watch(&core))?;
            self.keep_thread(watch);
        }
        Ok(())
    }

    fn keep_thread(&self, thread: thread::JoinHandle<()>) {
        // Those that have ended meanwhile are joined on the way; nobody waits for them.
        let mut threads = std::mem::take(&mut *self.threads.lock());
        threads = threads.into_iter().filter_map(|thread| thread.try_join().err()).collect();
        threads.push(Thread::new(thread));
        self.threads.lock().append(&mut threads);
    }

    pub(super) fn note_threads(&self, alive: u32) {
        // Relaxed: statistics.
        self.threads_peak.fetch_max(alive, Ordering::Relaxed);
    }

    /// Reads again which CPUs this machine leaves to the calling thread, and has threads that are bound move there: each
    /// before its next task.
    pub fn refresh_topology(&self) -> Result<()> {
        self.placement.refresh()
    }

    /// Where a worker's thread belongs now.
    pub(super) fn settle(&self, stand: &Stand, bound: &AtomicI32) {
        if let Some((cpu, error)) = stand.settle(&self.placement, bound) {
            self.warn(format_args!("cannot bind a worker thread to CPU {cpu}, it runs on any: {error}"));
        }
    }

    /// Tasks that wait, wherever but pinned to a thread.
    pub(super) fn queued(&self) -> u64 {
        let own: usize = self.seats.iter().map(|seat| seat.tasks.len()).sum();
        let lanes: u64 = self.lanes.stats().iter().map(|lane| lane.queued).sum();
        lanes + (own + self.outboxes.queued()) as u64
    }

    /// A snapshot of the statistics. Numbers of different threads are not from exactly the same moment.
    pub fn stats(&self) -> Stats {
        let counts = self.idle.counts();
        let mut stats = Stats {
            workers: self.workers(),
            threads: counts.alive,
            threads_peak: self.threads_peak.load(Ordering::Relaxed).max(counts.alive),
            active: counts.active,
            idle: counts.idle,
            blocked: counts.alive.saturating_sub(counts.active + counts.idle),
            ceiling_hits: self.stalls.ceiling_hits(),
            stalls: self.stalls.count(),
            spares_started: self.spares_started.load(Ordering::Relaxed),
            spares_retired: self.spares_retired.load(Ordering::Relaxed),
            start_failures: self.start_failures.load(Ordering::Relaxed),
            pin_failures: self.placement.refused(),
            queued: self.queued(),
            lanes: self.lanes.stats(),
            ..Stats::default()
        };
        self.seats.iter().for_each(|seat| stats.add(&seat.counters));
        // Once more, after all that was run: a snapshot never shows more done than begun.
        let spawned: u64 = self.seats.iter().map(|seat| seat.counters.spawned.get()).sum();
        stats.spawned = spawned + self.lanes.accepted() + self.outboxes.accepted();
        stats
    }

    /// A snapshot of one worker's statistics; None: there has never been a worker of this number.
    pub fn worker_stats(&self, index: usize) -> Option<WorkerStats> {
        let seat = self.seats.get(index)?;
        Some(WorkerStats::of(&seat.counters, seat.bound.load(Ordering::Relaxed), self.placement.node_of(index)))
    }

    /// A thread begins on this seat. A spare one if all the workers' seats were taken: the lowest free seat is.
    pub(super) fn count_started(&self, index: usize) {
        if index >= self.workers() as usize {
            self.spares_started.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A surplus thread has left.
    pub(super) fn count_retired(&self) {
        self.spares_retired.fetch_add(1, Ordering::Relaxed);
    }
}
