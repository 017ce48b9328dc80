//! A queue with two sides, for the two flavours that hold elements: [`super::ring`] and [`super::list`].
//!
//! It is a queue of one producer and one consumer, with a [`Door`] on each side that lets them in one by one. Each side has its own index
//! (how many elements have passed it), which the other reads, and remembers the other's as it last saw it, so that it
//! reads the other's cache line only when the queue seems full (or empty). Slots hold nothing but elements.
//!
//! **Waiting.** Who finds nothing to do queues a node ([`Queue::watch`]): under a third lock it is appended to the list of its direction, and
//! WAITERS is raised on the *other* side's door; then comes a barrier ([`Door::barrier`]), and one more look at the queue. Who
//! passes the other door moves its index and then reads the flags, with the light end of that barrier in between. So
//! either it sees WAITERS, or the look sees the element.
//!
//! Those who wait are told, not served: who is fired tries again. Only one thread is told at a time, since it takes a while to get
//! up and many elements may pass meanwhile: until it has tried, TOLD stands in the place of WAITERS, and operations
//! need not look after anything. What is no thread (a poll task) may be called much later or never, and no thread is to wait for
//! that: telling it raises nothing, and the first thread is told besides. Who was told passes that on when it has tried
//! ([`Queue::pass_on`]): it takes TOLD away, and if there are others (QUEUED), it does for them what they do when they
//! come: tells the next one if there is something to be done, or raises WAITERS and looks once more. Both flags are in one word, so either who
//! comes sees TOLD gone and raises WAITERS itself, or who passes on sees QUEUED. A wait that was told is never taken for one that
//! timed out ([`crate::sync::wait`]), so nobody who gives up swallows what it was told.
//!
//! **The end is exact.** Closing bars the producers' door: when that has returned nobody pushes any more, and only then is the
//! queue *ended*. Consumers report the end if they see that and then no element.

use std::alloc::Layout;
use std::ptr;

use super::direction::{Attempt, Direction};
use super::door::{Door, Entered, OBSERVED, QUEUED, TOLD, WAITERS};
use super::list::Block;
use super::memory::copy;
use super::observers::{Observer, Observers};
use crate::error::{Failure, Result, Status};
use crate::platform::clock::now_ns;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering, UnsafeCell};
use crate::sync::slip::Slip;
use crate::sync::wait::{Ended, WaitList, WaitNode, Waiter};
use crate::sync::{Deadline, Lock, park, spin};

/// Outcome of a wait: one of those who wait is to try, and to pass it on.
pub const TRY: u32 = 0;
/// Outcome of a wait: the queue has ended, which all are told.
pub const ENDED: u32 = 1;

/// Fewer elements than this between two parks were not worth the first.
const FEW: usize = 16;
/// As many are.
const ENOUGH: usize = 64;

/// Places for elements in a row, as one side goes through them.
#[derive(Clone, Copy)]
pub struct Run {
    /// Where they begin.
    pub base: *mut u8,
    /// The next.
    pub at: usize,
    /// How many there are.
    pub end: usize,
    /// The list's block that they are in.
    pub block: *mut Block,
}

impl Run {
    /// No places.
    pub const EMPTY: Run = Run { base: ptr::null_mut(), at: 0, end: 0, block: ptr::null_mut() };
}

/// Where elements lie. Each side calls its own function, inside its door.
pub trait Store {
    /// A run that has ended begins again.
    const WRAPS: bool;

    /// The producers' run has ended: sets the next.
    fn next_to_fill(&self, run: &mut Run) -> Result<()>;

    /// The consumers' run has ended, and there is an element: sets the next.
    fn next_to_drain(&self, run: &mut Run);

    /// Frees what is left from the consumers' run on, when nobody uses it any more.
    fn free(&mut self, run: &mut Run);
}

/// What an operation came to that does not wait for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fast {
    /// Done.
    Done,
    /// Done; [`Queue::attend`] is to be called.
    Attend,
    /// Nothing was done: there is more to it. Who leaves it at that has to call [`Queue::clear_up`].
    No,
}

/// What belongs to who is inside.
struct Inside {
    run: Run,
    /// The other side's index, as last seen.
    other: usize,
    slip: Slip,
}

/// One side, on cache lines of its own.
#[repr(C, align(128))]
struct Side {
    door: Door,
    /// Bytes of an element.
    size: usize,
    /// Elements that the queue holds at most.
    capacity: usize,
    /// How many elements have passed. Written inside the door.
    index: AtomicUsize,
    inside: UnsafeCell<Inside>,
    /// The index when somebody parked here last.
    parked_at: AtomicUsize,
}

impl Side {
    fn new(size: usize, capacity: usize, single: bool, run: Run) -> Self {
        let inside = UnsafeCell::new(Inside { run, other: 0, slip: Slip::new(capacity) });
        Side {
            door: Door::new(single),
            size,
            capacity,
            index: AtomicUsize::new(0),
            inside,
            parked_at: AtomicUsize::new(0),
        }
    }
}

#[derive(Default)]
struct Waits {
    senders: WaitList,
    receivers: WaitList,
}

impl Waits {
    fn of(&mut self, direction: Direction) -> &mut WaitList {
        match direction {
            Direction::Send => &mut self.senders,
            Direction::Receive => &mut self.receivers,
        }
    }
}

/// The queue.
#[repr(C)]
pub struct Queue<S: Store> {
    producer: Side,
    consumer: Side,
    store: S,
    /// Closed, and no push is under way.
    ended: AtomicBool,
    waits: Lock<Waits>,
    observers: Observers,
    #[cfg(weft_loom)]
    traces: super::trace::Traces,
}

// SAFETY: what is inside a door belongs to who is in; elements may move between threads, as the channel's user promised.
unsafe impl<S: Store + Send> Send for Queue<S> {}
// SAFETY: as above.
unsafe impl<S: Store + Sync> Sync for Queue<S> {}

impl<S: Store> Queue<S> {
    /// An empty queue. `single`: of producers, of consumers, there is one.
    pub fn new(element: Layout, capacity: usize, single: [bool; 2], (store, run): (S, Run)) -> Self {
        Queue {
            producer: Side::new(element.size(), capacity, single[0], run),
            consumer: Side::new(element.size(), capacity, single[1], run),
            store,
            ended: AtomicBool::new(false),
            waits: Lock::new(Waits::default()),
            observers: Observers::default(),
            #[cfg(weft_loom)]
            traces: super::trace::Traces::new(capacity),
        }
    }

    #[inline(always)]
    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Send => &self.producer,
            Direction::Receive => &self.consumer,
        }
    }

    fn door(&self, direction: Direction) -> &Door {
        &self.side(direction).door
    }

    /// Bytes of an element, as the side of `direction` has them at hand.
    #[inline(always)]
    pub fn size_at(&self, direction: Direction) -> usize {
        self.side(direction).size
    }

    /// How many elements it holds now.
    pub(super) fn len(&self) -> usize {
        // The consumers' index first: the producers' is never behind it then.
        let taken = self.consumer.index.load(Ordering::Acquire);
        self.producer.index.load(Ordering::Acquire).wrapping_sub(taken).min(self.producer.capacity)
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        // Acquire pairs with `close`: what was sent before is seen.
        self.ended.load(Ordering::Acquire)
    }

    /// How many wait, roughly.
    pub fn waiting(&self, direction: Direction) -> usize {
        self.waits.lock().of(direction).len()
    }

    /// Pushes one element if nothing is in the way, and never waits.
    ///
    /// # Safety
    /// `element` is readable; the queue's elements have the size of a `T`.
    #[inline(always)]
    pub unsafe fn fast_push<T: Copy>(&self, element: *const T) -> Fast {
        let side = &self.producer;
        if !side.door.try_enter() {
            return Fast::No;
        }
        // Relaxed: written inside only.
        let index = side.index.load(Ordering::Relaxed);
        // SAFETY: we are inside; as promised by the caller.
        let pushed = unsafe { self.push_one(side.inside.get_mut().deref(), index, element) };
        if pushed {
            #[cfg(weft_loom)]
            self.traces.written(index);
            // Release: the element comes with it.
            side.index.store(index.wrapping_add(1), Ordering::Release);
        }
        Self::fast_end(side, pushed)
    }

    /// Takes the oldest element out if nothing is in the way, and never waits.
    ///
    /// # Safety
    /// `element` is writable; the queue's elements have the size of a `T`.
    #[inline(always)]
    pub unsafe fn fast_pop<T: Copy>(&self, element: *mut T) -> Fast {
        let side = &self.consumer;
        if !side.door.try_enter() {
            return Fast::No;
        }
        // Relaxed: written inside only.
        let index = side.index.load(Ordering::Relaxed);
        // SAFETY: we are inside; as promised by the caller.
        let popped = unsafe { self.pop_one(side.inside.get_mut().deref(), index, element) };
        if popped {
            // Release: the place has been read.
            side.index.store(index.wrapping_add(1), Ordering::Release);
        }
        Self::fast_end(side, popped)
    }

    /// False: there is no room, or reason to wait for more.
    #[inline(always)]
    unsafe fn push_one<T: Copy>(&self, inside: &mut Inside, index: usize, element: *const T) -> bool {
        let Inside { run, other, slip } = inside;
        let capacity = self.producer.capacity;
        if index.wrapping_sub(*other) >= capacity {
            // Acquire pairs with the consumers' Release: the slots have been read.
            let seen = self.consumer.index.load(Ordering::Acquire);
            if index.wrapping_sub(seen) >= capacity || !slip.lets_pass(seen.wrapping_sub(*other)) {
                return false;
            }
            *other = seen;
        }
        if run.at == run.end {
            if !S::WRAPS {
                return false;
            }
            run.at = 0;
        }
        // SAFETY: a free place of the queue's; the caller's element has its size.
        unsafe { run.base.add(run.at * size_of::<T>()).cast::<T>().write_unaligned(element.read_unaligned()) };
        run.at += 1;
        true
    }

    /// False: there is no element, or reason to wait for more.
    #[inline(always)]
    unsafe fn pop_one<T: Copy>(&self, inside: &mut Inside, index: usize, element: *mut T) -> bool {
        let Inside { run, other, slip } = inside;
        if index == *other {
            // Acquire pairs with the producers' Release: the elements come with it.
            let seen = self.producer.index.load(Ordering::Acquire);
            if index == seen || !slip.lets_pass(seen.wrapping_sub(*other)) {
                return false;
            }
            *other = seen;
        }
        if run.at == run.end {
            if !S::WRAPS {
                return false;
            }
            run.at = 0;
        }
        #[cfg(weft_loom)]
        self.traces.read(index);
        // SAFETY: an element's place of the queue's; the caller's has its size.
        unsafe { element.write_unaligned(run.base.add(run.at * size_of::<T>()).cast::<T>().read_unaligned()) };
        run.at += 1;
        true
    }

    #[inline(always)]
    fn fast_end(side: &Side, done: bool) -> Fast {
        match (side.door.leave() == 0, done) {
            (true, true) => Fast::Done,
            (false, true) => Fast::Attend,
            // What wants attention will be looked at by whoever goes on with this.
            (_, false) => Fast::No,
        }
    }

    /// Pushes up to `count` elements without waiting. How many were, and what keeps the others out; Done if nothing does.
    ///
    /// # Safety
    /// `elements` is readable for as many of the queue's layout (any alignment).
    pub unsafe fn push(&self, elements: *const u8, count: usize) -> (usize, Attempt) {
        let side = &self.producer;
        match side.door.enter() {
            Entered::In => {}
            Entered::Barred => return (0, Attempt::Closed),
            Entered::Misused => return (0, Attempt::Failed(misused(Direction::Send))),
        }
        // Relaxed: written inside only.
        let index = side.index.load(Ordering::Relaxed);
        let (done, failure) = side.inside.with_mut(|inside| {
            // SAFETY: we are inside.
            let Inside { run, other, slip } = unsafe { &mut *inside };
            if side.capacity - index.wrapping_sub(*other) < count {
                // Acquire pairs with the consumers' Release: the slots have been read.
                slip.look(other, || self.consumer.index.load(Ordering::Acquire));
            }
            let room = count.min(side.capacity - index.wrapping_sub(*other));
            let mut done = 0;
            while done < room {
                if run.at == run.end
                    && let Err(failure) = self.store.next_to_fill(run)
                {
                    return (done, Some(failure));
                }
                let step = (room - done).min(run.end - run.at);
                #[cfg(weft_loom)]
                (0..step).for_each(|i| self.traces.written(index + done + i));
                // SAFETY: free places of the queue's; the caller's elements have its size.
                unsafe {
                    let to = run.base.add(run.at * side.size);
                    copy(side.size, elements.add(done * side.size), to, step);
                }
                run.at += step;
                done += step;
            }
            (done, None)
        });
        if done > 0 {
            // Release: the elements come with it.
            side.index.store(index.wrapping_add(done), Ordering::Release);
        }
        if side.door.leave() != 0 {
            self.attend(Direction::Send);
        }
        (done, if done == count { Attempt::Done } else { failure.map_or(Attempt::WouldBlock, Attempt::Failed) })
    }

    /// Takes up to `count` elements out without waiting. How many, and if none, why.
    ///
    /// # Safety
    /// `elements` is writable for as many of the queue's layout (any alignment).
    pub unsafe fn pop(&self, elements: *mut u8, count: usize) -> (usize, Attempt) {
        let side = &self.consumer;
        match side.door.enter() {
            Entered::In => {}
            Entered::Barred => return (0, Attempt::Closed),
            Entered::Misused => return (0, Attempt::Failed(misused(Direction::Receive))),
        }
        // Relaxed: written inside only.
        let index = side.index.load(Ordering::Relaxed);
        let (done, ended) = side.inside.with_mut(|inside| {
            // SAFETY: we are inside.
            let Inside { run, other, slip } = unsafe { &mut *inside };
            // Before the producers' index: what was sent before the end is seen behind it.
            let ended = self.is_closed();
            if other.wrapping_sub(index) < count {
                // Acquire pairs with the producers' Release: the elements come with it.
                slip.look(other, || self.producer.index.load(Ordering::Acquire));
            }
            let there = count.min(other.wrapping_sub(index));
            let mut done = 0;
            while done < there {
                if run.at == run.end {
                    self.store.next_to_drain(run);
                }
                let step = (there - done).min(run.end - run.at);
                #[cfg(weft_loom)]
                (0..step).for_each(|i| self.traces.read(index + done + i));
                // SAFETY: elements' places of the queue's; the caller's have its size.
                unsafe {
                    let from = run.base.add(run.at * side.size);
                    copy(side.size, from, elements.add(done * side.size), step);
                }
                run.at += step;
                done += step;
            }
            (done, ended)
        });
        if done > 0 {
            // Release: the places have been read.
            side.index.store(index.wrapping_add(done), Ordering::Release);
        }
        if side.door.leave() != 0 {
            self.attend(Direction::Receive);
        }
        let attempt = match (done, ended) {
            (0, true) => Attempt::Closed,
            (0, false) => Attempt::WouldBlock,
            _ => Attempt::Done,
        };
        (done, attempt)
    }

    /// What an operation of `direction` has to look after when it has left: those who wait at the other side, and observers.
    #[cold]
    pub fn attend(&self, direction: Direction) {
        let flags = self.door(direction).attend();
        if flags & WAITERS != 0 && self.might(direction.opposite()) {
            self.tell(direction.opposite());
        }
        if flags & OBSERVED != 0 {
            self.observers.tell();
        }
    }

    /// What an attempt that came to nothing by the fast way leaves undone: somebody may sleep who found it inside.
    pub fn clear_up(&self, direction: Direction) {
        self.door(direction).clear_up();
    }

    /// Whether an attempt might come to something now.
    pub fn might(&self, direction: Direction) -> bool {
        let done = match direction {
            Direction::Send => self.len() < self.producer.capacity,
            Direction::Receive => self.len() > 0,
        };
        done || self.is_closed()
    }

    /// How many attempts might come to something now, roughly; one at least.
    fn chances(&self, direction: Direction) -> usize {
        let len = self.len();
        match direction {
            Direction::Send => self.producer.capacity - len,
            Direction::Receive => len,
        }
        .max(1)
    }

    /// Has one thread of those who wait for `direction` try, unless one has been told already. What is no thread does not
    /// count: of those before it, one is told for each element besides.
    fn tell(&self, direction: Direction) {
        let door = self.door(direction.opposite());
        let mut chances = self.chances(direction);
        loop {
            let told = {
                let mut waits = self.waits.lock();
                if door.flags() & TOLD != 0 {
                    return;
                }
                let list = waits.of(direction);
                let told = if chances > 0 { list.claim_first() } else { list.claim_first_thread() };
                if told.as_ref().is_some_and(|told| told.is_thread) {
                    door.raise(TOLD);
                    door.clear(WAITERS);
                }
                if list.is_empty() {
                    door.clear(WAITERS | QUEUED);
                }
                told
            };
            let Some(told) = told else { return };
            let is_thread = told.is_thread;
            told.finish(TRY);
            if is_thread {
                return;
            }
            chances -= 1;
        }
    }

    /// Whoever was told has tried, or will not: the next is told if there is something to be done.
    pub fn pass_on(&self, direction: Direction) {
        if self.door(direction.opposite()).clear(TOLD) & QUEUED != 0 && (self.might(direction) || self.ask(direction)) {
            self.tell(direction);
        }
    }

    /// Has operations tell those who wait for `direction`, if nobody has been told; whether an attempt might come to something
    /// already.
    fn ask(&self, direction: Direction) -> bool {
        let door = self.door(direction.opposite());
        {
            let mut waits = self.waits.lock();
            if waits.of(direction).is_empty() || door.flags() & TOLD != 0 {
                return false;
            }
            door.raise(WAITERS);
        }
        door.barrier();
        self.might(direction)
    }

    /// Queues a wait. True: an attempt might come to something, and nobody might tell.
    ///
    /// # Safety
    /// The node and its waiter stay in place until the wait was fired and has ended, or [`Queue::let_go`].
    pub unsafe fn watch(&self, direction: Direction, node: *mut WaitNode) -> bool {
        let door = self.door(direction.opposite());
        {
            let mut waits = self.waits.lock();
            // SAFETY: promised by the caller.
            unsafe { waits.of(direction).push(node) };
            if door.raise(QUEUED) & TOLD != 0 {
                // Whoever was told will ask for this one, too.
                return false;
            }
            door.raise(WAITERS);
        }
        door.barrier();
        self.might(direction)
    }

    /// Takes a wait's node out, if it is still in. If the wait was fired with [`TRY`] and is not followed by an attempt, that has
    /// to be passed on.
    ///
    /// # Safety
    /// The node was given to `watch` of this direction, or to none, and is live.
    pub unsafe fn let_go(&self, direction: Direction, node: *mut WaitNode) {
        let mut waits = self.waits.lock();
        let list = waits.of(direction);
        // SAFETY: promised by the caller.
        unsafe { list.unlink(node) };
        if list.is_empty() {
            self.door(direction.opposite()).clear(WAITERS | QUEUED);
        }
    }

    /// Looks for a while whether an attempt might come to something. Where there is room for little there is soon more: who fills
    /// each place as it gets free would be in the consumers' way at every step.
    fn look_around(&self, direction: Direction) -> bool {
        let enough = match direction {
            Direction::Send => ENOUGH.min(self.producer.capacity / 4),
            Direction::Receive => 1,
        };
        spin::until(|| self.might(direction) && self.chances(direction) >= enough || self.is_closed())
            || self.might(direction)
    }

    /// Who has come to little since the last park is not to be woken for as little again: it takes turns on its CPU with others
    /// until there is more to be done, or somebody wants the CPU for long. Whether an attempt might come to something then.
    fn take_turns(&self, direction: Direction, began_ns: i64) -> bool {
        let side = self.side(direction);
        // Relaxed: a hint.
        let index = side.index.load(Ordering::Relaxed);
        if index.wrapping_sub(side.parked_at.swap(index, Ordering::Relaxed)) >= FEW {
            return false;
        }
        let enough = ENOUGH.min(self.producer.capacity / 4);
        spin::take_turns(began_ns, || self.chances(direction) >= enough || self.is_closed());
        self.might(direction)
    }

    /// Waits until an attempt might come to something. True: this wait was told, and passes that on when it has tried.
    pub fn wait(&self, direction: Direction, deadline: Deadline) -> Result<bool, Ended> {
        // A signal that arrives during a spin would go unnoticed.
        if !park::interruptible() {
            let began_ns = now_ns();
            if self.look_around(direction) || self.take_turns(direction, began_ns) {
                return Ok(false);
            }
        }
        let waiter = Waiter::new();
        let mut node = WaitNode::new(&waiter, ptr::null_mut());
        // SAFETY: node and waiter stay in this frame until the wait was fired or the node was let go.
        let ended = match unsafe { self.watch(direction, &mut node) } {
            true if waiter.give_up() => None,
            _ => Some(waiter.wait(deadline)),
        };
        if let Some(Ended::Fired(_)) = ended {
            return Ok(true);
        }
        // SAFETY: as above.
        unsafe { self.let_go(direction, &mut node) };
        ended.map_or(Ok(false), Err)
    }

    /// Refuses what is pushed from now on, and tells all who wait.
    pub fn close(&self) {
        if self.is_closed() {
            return;
        }
        self.producer.door.bar();
        // Release pairs with `is_closed`.
        self.ended.store(true, Ordering::Release);
        let (senders, receivers) = {
            let mut waits = self.waits.lock();
            self.producer.door.clear(WAITERS | QUEUED);
            self.consumer.door.clear(WAITERS | QUEUED);
            (waits.senders.claim_all(), waits.receivers.claim_all())
        };
        senders.finish(ENDED);
        receivers.finish(ENDED);
        self.observers.tell();
    }

    /// Closes, and gives every element that is left to `discard`: nobody receives any more.
    pub fn abandon(&self, discard: &dyn Fn(*mut u8)) {
        self.close();
        self.consumer.door.bar();
        // Both sides are barred: the consumers' is ours, without a lock.
        self.discard_rest(discard);
        self.observers.tell();
    }

    /// For who has both sides to itself.
    fn discard_rest(&self, discard: &dyn Fn(*mut u8)) {
        let side = &self.consumer;
        loop {
            let index = side.index.load(Ordering::Relaxed);
            if index == self.producer.index.load(Ordering::Acquire) {
                return;
            }
            let place = side.inside.with_mut(|inside| {
                // SAFETY: ours, as promised.
                let run = unsafe { &mut (*inside).run };
                if run.at == run.end {
                    self.store.next_to_drain(run);
                }
                run.at += 1;
                // SAFETY: an element's place of the queue's.
                unsafe { run.base.add((run.at - 1) * side.size) }
            });
            side.index.store(index.wrapping_add(1), Ordering::Release);
            // Nobody pushes any more, so the place stays as it is.
            discard(place);
        }
    }

    /// Frees the queue's memory when what is left has been discarded. For its owner, once.
    pub fn end(&mut self, discard: Option<&dyn Fn(*mut u8)>) {
        if let Some(discard) = discard {
            self.discard_rest(discard);
        }
        // SAFETY: nobody else has the queue any more.
        self.consumer.inside.with_mut(|inside| self.store.free(unsafe { &mut (*inside).run }));
    }

    /// Has `observer` told of each operation of either direction from now on, and of the end.
    pub fn observe(&self, direction: Direction, observer: Observer) -> bool {
        if !self.observers.add(direction, observer) {
            return false;
        }
        for direction in [Direction::Send, Direction::Receive] {
            self.door(direction).raise(OBSERVED);
        }
        // What was done before is seen by the observer's first look, what is done afterwards tells it.
        self.producer.door.barrier();
        self.consumer.door.barrier();
        true
    }

    #[cfg(all(test, weft_loom))]
    pub fn nobody_waits(&self) -> bool {
        let idle = |door: &Door| door.flags() & (WAITERS | TOLD | QUEUED) == 0;
        [Direction::Send, Direction::Receive].iter().all(|&direction| self.waiting(direction) == 0)
            && idle(&self.producer.door)
            && idle(&self.consumer.door)
    }

    /// Stands for a thread that is in the middle of an operation.
    #[cfg(all(test, not(weft_loom)))]
    pub(super) fn hold_door(&self, direction: Direction) -> bool {
        self.door(direction).enter() == Entered::In
    }
}

#[cold]
fn misused(direction: Direction) -> Failure {
    let side = match direction {
        Direction::Send => "single producer",
        Direction::Receive => "single consumer",
    };
    let message = format!("two threads at once on the side of a channel that has a {side}");
    #[cfg(not(weft_loom))]
    {
        use crate::observe::{Level, Origin, log};
        log(Level::Error, Origin { worker: -1, runtime: c"", task: c"" }, format_args!("{message}"));
    }
    Failure::with(Status::Busy, message)
}
