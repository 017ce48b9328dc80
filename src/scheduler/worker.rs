//! A worker thread: running work, blocking, resting. How it finds work is in `find`, how it comes and goes in `life`, what the
//! threads of others do on its seat in `guest`.

mod find;
mod guest;
mod life;
mod succession;

use guest::Visitor;
pub(super) use guest::{Goal, Left, Stay};

use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::fmt::{self, Display};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crossbeam_deque::Worker as Deque;

use super::blocks::{Block, Cache};
use super::faults::Point;
use super::frame::{self, Context, Frame};
use super::home::Home;
use super::idle::Slept;
use super::lanes::Priority;
use super::locals::Locals;
use super::placement::Stand;
use super::region::{self, Half, Host, Region, Slot, Stolen, Synced};
use super::runtime::{Core, Phase, Place};
use super::seat::Seat;
use super::stats::{Counters, Doing};
use super::task::{Header as TaskHeader, Queue, Task, Work};
use crate::error::Failure;
use crate::observe::{self, Level, Origin};
use crate::panics;
use crate::platform::{self, fork, local, thread::stack_pointer};
use crate::sync::cancel::{SHUTDOWN, Source, Token};
use crate::sync::mutex::{self, Held};
use crate::sync::park::{self, Sources};
use crate::sync::waits::{self, Above, Party, Who};

/// A task in a deque.
pub struct TaskPtr(NonNull<TaskHeader>);
// SAFETY: a task is Send; the pointer owns it.
unsafe impl Send for TaskPtr {}

/// What a worker runs.
enum Unit {
    Task(Task),
    Half(Stolen),
}

/// What a blocked thread waits for, as far as one can tell.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Awaited {
    Nothing,
    Tasks,
    Halves,
}

/// How a thread's life ends.
enum Exit {
    Dismissed,
    Surplus,
    /// Its loop has failed; it has a turn still.
    Failed,
}

/// What a thread is counted as between tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Busy,
    Searching,
    /// Without a turn.
    Resting,
}

/// The owner's side of a seat; what tasks get to know their thread by. C programs see it as a `weft_worker *`, a position
/// in its region.
pub struct Worker {
    /// The process it was made in.
    epoch: u32,
    /// The runtime. It owns the seat, and the running thread holds a reference to it.
    core: *const Core,
    index: usize,
    tasks: Deque<TaskPtr>,
    /// The seat's region, which lives as long as the runtime.
    region: *const Region,
    stand: Stand,
    doing: Cell<Doing>,
    standing: Cell<Standing>,
    /// Whether the last thread on this seat has failed, and its turn is the next one's.
    inherits: Cell<bool>,
    /// Tasks that are not to be stolen, oldest first. Nobody else sees them; before this thread blocks, or gives up its turn
    /// for another reason, they go to a lane.
    pinned: Cell<Queue>,
    /// Set while the stop hook runs: what is pinned now would not be taken any more.
    leaving: Cell<bool>,
    /// Free blocks for tasks.
    blocks: Cache,
    random: Cell<u64>,
    ticks: Cell<u32>,
    /// Whether the common lane was asked for a share before the outboxes the last time.
    lane_first: Cell<bool>,
    /// The outbox whose turn it is.
    next_outbox: Cell<usize>,
    /// The task it runs; the ones that wait for it further out on the same stack.
    pub(super) frame: Cell<*const Frame>,
    /// The frame in which the innermost callback began; that callback may not leave it.
    pub(super) floor: Cell<*const Frame>,
    /// The mutexes that what it runs holds.
    pub(super) held: Held,
    /// The priority of the task that it runs, or is about to.
    priority: Cell<Priority>,
    /// The region's head at the last spawn.
    spawned_at: Cell<*mut Slot>,
    /// How often a search looks everywhere.
    sweeps: Cell<u32>,
    /// Whoever woke this thread had its CPU, and wants it back when there is nothing to do.
    crowded: Cell<bool>,
    /// How many `begin_blocking` have not met their end.
    blocking: Cell<u32>,
    /// Where the thread's stack begins, nearly, and how much of it may be used for running waited-for tasks in place.
    stack: Cell<usize>,
    stack_share: Cell<usize>,
    /// What its thread's users keep here.
    pub(super) locals: Locals,
    /// The worker of another runtime in whose task this one's thread is a guest; null: none.
    outer: Cell<*const Worker>,
    visitor: Cell<Visitor>,
}

// SAFETY: a Worker moves between threads only while its seat is free; then nobody uses it, and no task runs whose frame
// `frame` could point into. `core` leads to the runtime that owns the seat and the region; both are Sync.
unsafe impl Send for Worker {}

impl Worker {
    /// A seat, or None when there is no memory.
    pub(super) fn furnish(core: &Core, index: usize) -> Option<Seat> {
        let tasks = Deque::new_lifo();
        let region = Home::new()?;
        Some(Seat {
            tasks: tasks.stealer(),
            counters: Counters::default(),
            bound: AtomicI32::new(-1),
            awaited: AtomicU32::new(Awaited::Nothing as u32),
            stop: Source::default(),
            vacant: crate::sync::Lock::new(Some(Box::new(Worker {
                epoch: fork::epoch(),
                core,
                index,
                tasks,
                region: &raw const *region,
                stand: core.placement.stand(index),
                doing: Cell::new(Doing::Nothing),
                standing: Cell::new(Standing::Searching),
                inherits: Cell::new(false),
                pinned: Cell::default(),
                leaving: Cell::new(false),
                blocks: Cache::default(),
                // Any odd start will do; neighbours differ.
                random: Cell::new((index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
                ticks: Cell::new(0),
                lane_first: Cell::new(false),
                next_outbox: Cell::new(0),
                frame: Cell::new(ptr::null()),
                floor: Cell::new(ptr::null()),
                held: Cell::new(ptr::null()),
                priority: Cell::default(),
                spawned_at: Cell::new(ptr::null_mut()),
                sweeps: Cell::new(find::SWEEPS),
                crowded: Cell::new(false),
                blocking: Cell::new(0),
                stack: Cell::new(0),
                stack_share: Cell::new(0),
                locals: Locals::default(),
                outer: Cell::new(ptr::null()),
                visitor: Cell::default(),
            }))),
            region,
        })
    }

    /// The worker whose thread this is. In a forked child there is none, not even on the thread that forked.
    pub fn current<'a>() -> Option<&'a Worker> {
        Self::of_thread().filter(|worker| !worker.is_inherited())
    }

    fn of_thread<'a>() -> Option<&'a Worker> {
        let region = ptr::with_exposed_provenance::<Region>(local::get());
        // SAFETY: set by `live` for as long as the worker is on its thread, and callers are on that thread. The lifetime is
        // theirs to keep within the callback they run in.
        unsafe { Some(&*ptr::with_exposed_provenance::<Worker>(region.as_ref()?.worker.load(Ordering::Relaxed))) }
    }

    /// The worker whose thread this is, if `position` is in its region; also in a forked child.
    #[inline]
    pub fn at<'a>(position: *const Slot) -> Option<&'a Worker> {
        if position.addr() & !(region::SIZE - 1) == local::get() { Self::of_thread() } else { None }
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

    fn seat(&self) -> &Seat {
        self.core().seats.get(self.index).expect("a worker has a seat")
    }

    fn counters(&self) -> &Counters {
        &self.seat().counters
    }

    /// Whether it runs its stop hook, or what comes after that.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    /// The worker of another runtime, in whose task this thread is a guest.
    fn outer(&self) -> Option<&Worker> {
        // SAFETY: that task is in the call that this one's thread runs in.
        unsafe { self.outer.get().as_ref() }
    }

    /// Whether the calling thread works for `core`, on whatever level.
    pub(super) fn is_here_for(core: &Core) -> bool {
        std::iter::successors(Worker::current(), |worker| worker.outer()).any(|worker| ptr::eq(worker.core(), core))
    }

    /// Whether its thread is bound to a CPU.
    pub fn is_bound(&self) -> bool {
        self.seat().bound.load(Ordering::Relaxed) >= 0
    }

    /// The thread's stack of join halves.
    pub fn region(&self) -> &Region {
        // SAFETY: the runtime owns it, see `core`.
        unsafe { &*self.region }
    }

    /// Who its thread is to those who wait for it.
    #[inline]
    pub fn party(&self) -> &'static Party {
        let place = &self.region().party;
        // Relaxed: this thread wrote it.
        // SAFETY: parties are never freed.
        unsafe { place.load(Ordering::Relaxed).as_ref() }.unwrap_or_else(|| {
            let party = waits::current();
            // Release pairs with the Acquire of who follows a chain of waits.
            place.store(ptr::from_ref(party).cast_mut(), Ordering::Release);
            party
        })
    }

    /// Whether this process is a child that was forked inside a task.
    pub fn is_inherited(&self) -> bool {
        self.epoch != fork::epoch()
    }

    /// The name of the task it runs, if the task has one.
    pub fn task_name(&self) -> Option<&CStr> {
        // SAFETY: `within` keeps the name alive for as long as the frame is set.
        self.context()?.name.map(|name| unsafe { name.as_ref() })
    }

    /// What it runs, as far as that is known.
    pub fn context(&self) -> Option<&Context> {
        // SAFETY: frames are in place while they are linked here.
        unsafe { self.frame.get().as_ref() }.map(|frame| &frame.context)
    }

    /// The context of a task that it is about to run: with the priority that the task was queued with, or that of the task
    /// which waits for it.
    pub fn task_context(&self, name: Option<&CStr>, token: Option<Token>) -> Context {
        let priority = self.context().map_or(self.priority.get(), |waiting| waiting.priority);
        Context { name: name.map(NonNull::from), token, priority, shielded: false }
    }

    /// Whether what it runs has been asked to stop: by its token, or because the runtime discards what it has.
    pub fn is_cancelled(&self) -> bool {
        match self.context() {
            Some(Context { token: Some(token), .. }) if token.is_triggered() => true,
            Some(context) if context.shielded => false,
            _ => self.core().phase() == Phase::Discard,
        }
    }

    /// What may end a wait that begins now.
    fn sources(&self) -> Sources {
        let context = self.context();
        let token = context.and_then(|context| context.token.as_ref()).map(|token| NonNull::from(token.source()));
        if context.is_some_and(|context| context.shielded) {
            return [token, None];
        }
        let stop = &self.seat().stop;
        // A seat that was taken after the end had begun may have been missed by it. One that was taken before was not, or the
        // phase is seen here: `block` has a fence, and so has the end between the phase and the look at the seats.
        if self.core().phase() == Phase::Discard {
            stop.fire(SHUTDOWN, None);
        }
        [token, Some(NonNull::from(stop))]
    }

    /// Where a failure on this worker happened, for people.
    pub fn origin(&self) -> String {
        match self.task_name() {
            Some(name) => format!("task {}, worker {}", name.to_string_lossy(), self.index),
            None => format!("unnamed task, worker {}", self.index),
        }
    }

    /// A parallel operation goes on serially, and says why.
    pub fn log_fallback(&self, failure: &Failure) {
        observe::log(
            Level::Warn,
            self.log_origin(),
            format_args!("a loop failed and is run again serially: {}", failure.message),
        );
    }

    fn log_origin(&self) -> Origin<'_> {
        Origin { worker: self.index as i32, runtime: self.core().name(), task: self.task_name().unwrap_or_default() }
    }

    /// Runs `body` in this context.
    pub fn within<R>(&self, context: Context, body: impl FnOnce() -> R) -> R {
        struct Pop<'a>(&'a Cell<*const Frame>, *const Frame);
        impl Drop for Pop<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let (base, outer) = (self.region().index(self.region().head()), self.frame.get());
        let frame = Frame { context, base, outer, entered: false };
        let _pop = Pop(&self.frame, outer);
        self.frame.set(&frame);
        body()
    }

    /// Runs a callback. A panic becomes its message, and is counted and logged. Halves that it forked and did not sync
    /// are dropped, or waited for where another thread has them; tokens that it entered are left.
    pub fn protect<R>(&self, what: &dyn Display, body: impl FnOnce() -> R) -> Result<R, String> {
        let (base, blocking, frame) = (self.region().head(), self.blocking.get(), self.frame.get());
        let held = self.held.get();
        let title = Title { task: self.task_name(), what };
        let floor = self.floor.replace(frame);
        let result = panics::catch(&title, body);
        self.floor.set(floor);
        if self.region().head() != base || self.blocking.get() > blocking || self.frame.get() != frame {
            self.abandon(base);
            while self.frame.get() != frame {
                // SAFETY: all that is further in was entered by the body: whatever else is pushed is popped by who did.
                unsafe { frame::pop(&self.frame) };
            }
            while self.blocking.get() > blocking {
                self.end_blocking_all();
            }
            if result.is_ok() {
                let what = "ended between a fork and its sync, the beginning and the end of blocking or of a shield, or \
                            entering and leaving a token";
                observe::log(Level::Error, self.log_origin(), format_args!("{title} {what}"));
            }
        }
        if !ptr::eq(self.held.get(), held) {
            for name in mutex::unlock_until(&self.held, held) {
                let what = "ended while it held a mutex, which has been unlocked:";
                let name = name.to_string_lossy();
                observe::log(Level::Error, self.log_origin(), format_args!("{title} {what} '{name}'"));
            }
        }
        if let Err(message) = &result {
            self.counters().panicked.add_one();
            observe::log(Level::Error, self.log_origin(), format_args!("{title} panicked: {message}"));
        }
        result
    }

    /// Ends the forks from `base` on, which a callback has left behind.
    #[cold]
    pub fn abandon(&self, base: *mut Slot) {
        while self.region().head() > base {
            self.region().sync(self.region().head().wrapping_sub(1), self);
        }
    }

    /// This thread is about to block inside a task: its turn goes to another, if there is something to run, and what it has
    /// forked can be taken. Nests.
    pub fn begin_blocking(&self) {
        let depth = self.blocking.get();
        self.blocking.set(depth + 1);
        self.region().share_all(self);
        if depth == 0 && !self.leaving.get() {
            self.counters().blocks.add_one();
            self.turn_to(Doing::Blocked);
            self.unpin();
            // Relaxed: a hint.
            self.seat().awaited.store(self.newest() as u32, Ordering::Relaxed);
            let core = self.core();
            core.pass_turn();
            if core.idle.is_hungry() {
                // Nothing was there to run, but somebody may have forked what nobody had asked for.
                core.ask_all();
            }
        }
    }

    /// What this thread has made for others last: most likely what it is about to wait for.
    fn newest(&self) -> Awaited {
        if self.spawned_at.get() == self.region().head() { Awaited::Tasks } else { Awaited::Halves }
    }

    /// This thread goes on, at once. False if it was not blocked.
    pub fn end_blocking(&self) -> bool {
        let Some(depth) = self.blocking.get().checked_sub(1) else { return false };
        self.blocking.set(depth);
        if depth == 0 {
            self.go_on();
        }
        true
    }

    /// `begin_blocking` for a callback, on all levels on which this thread works.
    pub fn begin_blocking_all(&self) {
        std::iter::successors(Some(self), |worker| worker.outer()).for_each(Worker::begin_blocking);
    }

    /// `end_blocking` for a callback. False if it has not begun.
    pub fn end_blocking_all(&self) -> bool {
        let ended = self.end_blocking();
        if ended && let Some(outer) = self.outer() {
            outer.end_blocking_all();
        }
        ended
    }

    fn go_on(&self) {
        if self.leaving.get() {
            return;
        }
        self.seat().awaited.store(Awaited::Nothing as u32, Ordering::Relaxed);
        self.core().idle.unblock();
        self.core().stalls.episode.end();
        self.turn_to(Doing::Busy);
    }

    /// Lets others have what this thread has forked, if they asked, and its CPU.
    pub fn yield_now(&self) {
        if self.region().is_asked() {
            self.answer();
        }
        platform::yield_now();
    }

    /// Whether this thread may run, on top of what it is in, a queued task that it would have to wait for: one of its own
    /// runtime's, which a shutdown does not drop, while three quarters of the stack are left.
    pub fn may_run_in_place(&self, runtime: *const Core, droppable: bool) -> bool {
        let used = self.stack.get().abs_diff(stack_pointer());
        ptr::eq(self.core, runtime)
            && used < self.stack_share.get()
            && !(droppable && self.core().phase() == Phase::Discard)
    }

    /// Runs it. What is pinned to this thread could wait long for its end, and goes to a lane. Its
    /// share of a queue, which is told by the task's address, is left behind with nothing to do.
    pub fn run_in_place(&self, what: usize, task: impl FnOnce()) {
        let interruptible = park::set_interruptible(false);
        if self.unpin() {
            self.core().notify();
        }
        self.with_turn(|| {
            task();
            if self.is_inherited() {
                fork::refuse_to_return();
            }
            self.clear_newest(what);
        });
        park::set_interruptible(interruptible);
    }

    /// Takes what stands for `what` off this thread's own queue if it came last, as it did if it was spawned and waited for
    /// at once: a task that does that again and again would fill the queue.
    fn clear_newest(&self, what: usize) {
        if let Some(TaskPtr(node)) = self.tasks.pop() {
            // SAFETY: the deque hands each task out once.
            let task = unsafe { Task::from_raw(node) };
            if !task.stands_for(what) {
                self.tasks.push(TaskPtr(task.into_raw()));
                // It was out of everybody's sight for a moment.
                return self.core().notify();
            }
            match task.run(self) {
                true => self.counters().executed.add_one(),
                false => self.counters().discarded.add_one(),
            }
        }
    }

    /// Runs something on top of what may have given this thread's turn up.
    fn with_turn(&self, run: impl FnOnce()) {
        let depth = self.blocking.replace(0);
        if depth > 0 {
            self.go_on();
        }
        run();
        if depth > 0 {
            self.begin_blocking();
            self.blocking.set(depth);
        }
    }

    /// Offers a half to the other threads.
    ///
    /// # Safety
    /// As for [`Region::fork`].
    pub unsafe fn fork(&self, half: Half, arg: *mut c_void) -> *mut Slot {
        // SAFETY: promised by the caller.
        unsafe { self.region().fork(half, arg, self) }
    }

    /// Ends the half forked last.
    pub fn sync(&self, position: *mut Slot) -> Synced {
        self.region().sync(position, self)
    }

    /// Somebody has asked for work: shares what there is to share.
    pub fn answer(&self) {
        let region = self.region();
        region.answer(region.index(region.head()), self);
    }

    /// Runs a half that this thread has taken; `ended` comes before its owner is told.
    fn run_half(&self, stolen: Stolen, ended: impl FnOnce(&Stolen)) {
        let region = self.region();
        let (life, outer) = region.begin_life();
        stolen.sign(region, life);
        // SAFETY: the frame's task waits until the half is finished. A null one is that of work without a context.
        let context = unsafe { stolen.frame.as_ref() }.map(|frame| frame.context.clone()).unwrap_or_default();
        let result = self.within(context, || {
            // SAFETY: as promised by whoever forked it.
            self.protect(&"half of a join", || unsafe { (stolen.half)(region.head(), stolen.arg) })
        });
        if self.is_inherited() {
            fork::refuse_to_return();
        }
        region.end_life(outer);
        ended(&stolen);
        stolen.finish(result.is_err());
    }

    /// A task for `work`, or the work back when there is no memory.
    pub(super) fn new_task<W: Work>(&self, work: W) -> Result<Task, W> {
        let block = if Task::fits_block::<W>() { self.blocks.take(&self.core().depot) } else { None };
        match block {
            Some(block) => Ok(Task::in_block(work, block)),
            None => Task::new(work),
        }
    }

    /// Keeps a task's block for the next one.
    pub(super) fn keep_block(&self, block: Block) {
        self.blocks.give(block, &self.core().depot);
    }

    /// Queues a task. True if others can see it; then the caller notifies.
    pub(super) fn queue(&self, task: Task, place: Place) -> bool {
        self.counters().spawned.add_one();
        // Nothing is pinned to a thread that has no turn: it would not get to it.
        if place.is_pinned() && !self.leaving.get() && self.blocking.get() == 0 {
            let mut pinned = self.pinned.take();
            pinned.append(task.into_queue());
            self.pinned.set(pinned);
            return false;
        }
        match place.is_anywhere() {
            true => {
                self.spawned_at.set(self.region().head());
                self.tasks.push(TaskPtr(task.into_raw()));
            }
            false => self.core().lanes.push(place.lane(self.home()), task.into_queue()),
        }
        true
    }

    /// Queues a task, not as the newest of this thread's. The caller notifies.
    pub(super) fn queue_behind(&self, task: Task, place: Place) {
        self.counters().spawned.add_one();
        self.core().lanes.push(place.lane(self.home()), task.into_queue());
    }

    /// Lets everybody see what was pinned to this thread; whether there was something. The caller has its turn still, and looks
    /// for work after it has given it up.
    fn unpin(&self) -> bool {
        let pinned = self.pinned.take();
        let any = !pinned.is_empty();
        if any {
            self.core().lanes.push(Place::default().lane(self.home()), pinned);
        }
        any
    }

    /// The NUMA node whose lanes come first. There are lanes for the nodes that the runtime began with.
    fn home(&self) -> usize {
        let nodes = self.core().lanes.nodes();
        // Most runtimes have no places; then there is nothing to look up.
        if nodes == 1 { 0 } else { (self.stand.places().node_of(self.index) as usize).min(nodes - 1) }
    }

    fn work(&self) -> Exit {
        let idle = &self.core().idle;
        loop {
            let mut unit = self.find_near();
            if unit.is_none() {
                self.begin_search();
                self.core().faults.at(Point::Searching);
                unit = self.search();
            }
            match unit {
                Some(unit) => {
                    self.leave_search();
                    if self.stand.is_stale(&self.core().placement) {
                        self.core().settle(&self.stand, &self.seat().bound);
                    }
                    self.share_hunger(&unit);
                    self.run(unit);
                    self.core().faults.at(Point::Busy);
                    if !idle.is_crowded() {
                        continue;
                    }
                    self.unpin();
                    if !idle.step_back() {
                        continue;
                    }
                }
                None => idle.lie_down(),
            }
            self.standing.set(Standing::Resting);
            self.core().faults.at(Point::Resting);
            if let Some(exit) = self.rest() {
                return exit;
            }
            self.standing.set(Standing::Searching);
        }
    }

    /// From here on the thread's time is spent in another way. One look at the clock.
    fn turn_to(&self, doing: Doing) {
        let before = self.doing.replace(doing);
        if before != doing {
            self.counters().turn(before, doing);
        }
    }

    /// This thread has run dry, if it has not already.
    fn begin_search(&self) {
        if self.standing.get() == Standing::Busy {
            self.turn_to(Doing::Idle);
            self.core().idle.begin_search();
            self.standing.set(Standing::Searching);
        }
    }

    /// This thread has something to run.
    #[inline]
    pub(super) fn leave_search(&self) {
        if self.standing.get() == Standing::Searching {
            self.end_search();
        }
    }

    fn end_search(&self) {
        self.turn_to(Doing::Busy);
        let last = self.core().idle.end_search();
        self.standing.set(Standing::Busy);
        if last {
            // What arrived while we searched has woken nobody.
            self.core().notify_if_work();
        }
    }

    /// This thread is about to run something. If others could run more, they are to get a share of what it forks, and of
    /// what is left where it took this from.
    fn share_hunger(&self, unit: &Unit) {
        if !self.core().idle.is_hungry() {
            return;
        }
        self.region().ask();
        if let Unit::Half(stolen) = unit
            && stolen.last
        {
            stolen.ask_again();
        }
    }

    /// Sleeps, having given the turn up. Returns active and searching, or with the reason to end.
    fn rest(&self) -> Option<Exit> {
        let core = self.core();
        self.turn_to(Doing::Idle);
        // Having given the turn up before: an owner that clears its `limit` looks whether anybody is hungry afterwards.
        core.ask_all();
        core.look_again();
        self.counters().parks.add_one();
        match core.idle.sleep(|| core.keep_alive_deadline()) {
            Slept::Surplus => Some(Exit::Surplus),
            Slept::Woken if core.idle.is_dismissed() => Some(Exit::Dismissed),
            Slept::Woken => {
                self.crowded.set(core.idle.woken_from_here());
                self.counters().wakes.add_one();
                None
            }
        }
    }

    // Into the loops that call it, where it shares what they have looked up.
    #[inline(always)]
    fn run(&self, unit: Unit) {
        match unit {
            Unit::Half(stolen) => self.run_half(stolen, |stolen| {
                if self.tasks.is_empty() {
                    stolen.ask_for_more();
                }
            }),
            Unit::Task(task) if self.core().phase() == Phase::Discard && task.droppable() => {
                match self.protect(&"dropping a task", || task.discard()) {
                    Ok(false) => self.counters().executed.add_one(),
                    _ => self.counters().discarded.add_one(),
                }
            }
            Unit::Task(task) => match task.run(self) {
                true => self.counters().executed.add_one(),
                false => self.counters().discarded.add_one(),
            },
        }
        self.priority.set(Priority::Normal);
        // What a task asked for its own waits is not meant for the next one.
        park::set_interruptible(false);
        if self.is_inherited() {
            fork::refuse_to_return();
        }
    }
}

impl Host for Worker {
    fn must_wait(&self) {
        if self.is_inherited() {
            fork::refuse_to_wait();
        }
    }

    fn hungry(&self) -> bool {
        self.core().idle.is_hungry()
    }

    fn notify(&self) {
        // In a forked child there is nobody to notify.
        if !self.is_inherited() {
            self.counters().shared.add_one();
            self.core().notify();
        }
    }

    fn frame_of(&self, index: usize) -> *const Frame {
        let mut frame = self.frame.get();
        // SAFETY: frames are in place while they are linked here.
        while let Some(task) = unsafe { frame.as_ref() } {
            if task.base <= index {
                break;
            }
            frame = task.outer;
        }
        frame
    }

    fn run(&self, stolen: Stolen) {
        self.with_turn(|| self.run_half(stolen, |_| {}));
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

/// The hook of this thread's waits. All the workers that it is give their turns up.
fn before_park() {
    std::iter::successors(Worker::current(), |worker| worker.outer()).for_each(Worker::begin_blocking);
}

fn sources() -> Sources {
    Worker::current().map_or([None; 2], Worker::sources)
}

/// What this thread runs, for those who wait for it.
fn who() -> Who {
    let Some(worker) = Worker::current() else { return Who::default() };
    let task = worker.task_name().unwrap_or_default();
    Who { task, runtime: worker.core().name(), worker: worker.index as i32 }
}

/// Has deadlocks told.
pub fn watch_waits() {
    static ABOVE: Above = Above { who, report: observe::deadlock::report };
    waits::report_to(&ABOVE);
}

fn after_park() {
    std::iter::successors(Worker::current(), |worker| worker.outer()).for_each(|worker| {
        worker.end_blocking();
    });
}
