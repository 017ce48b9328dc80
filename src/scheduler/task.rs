//! Queued work: a node that is its own queue link, in a block of the runtime's or in memory of the caller's.
//!
//! A [`Task`] owns one node. The node begins with a header (link and functions), so queues carry thin
//! pointers and know nothing of what is in them. Small work sits in blocks of 64 bytes that go round (see
//! [`super::blocks`]); larger work comes from the allocator. A [`Slot`] is the node inside a caller-owned task.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;

use super::blocks::{self, Block};
use super::claim::{Claim, Refusal};
use super::node::{self, Node};
use super::worker::Worker;
use crate::platform::fork;

/// Something to be run once, on a worker.
pub trait Work: Send {
    /// Runs it. Does not unwind: whatever of the user's it calls, it calls within [`Worker::protect`].
    fn run(self, worker: &Worker);

    /// Whether it may be dropped instead of run when the runtime is shut down and discards what is queued.
    /// Work that may not is run in any case.
    fn droppable(&self) -> bool {
        false
    }

    /// Whether it is to be dropped instead of run because it has been cancelled.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// Drops it unrun. False if there was nothing left to be dropped, because somebody else has run it.
    fn discard(self) -> bool
    where
        Self: Sized,
    {
        true
    }

    /// Whether it is the queue's share of what is at the address `what`.
    fn stands_for(&self, what: usize) -> bool {
        let _ = what;
        false
    }

    /// Called instead of anything else when the runtime does not take the work. Dropped by default.
    fn refused(self)
    where
        Self: Sized,
    {
    }
}

/// A closure as work.
pub struct Call<F>(pub F);

impl<F: FnOnce(&Worker) + Send> Work for Call<F> {
    fn run(self, worker: &Worker) {
        // A panic has been logged; nobody else is interested.
        let _ = worker.protect(&"a task", || (self.0)(worker));
    }
}

/// The beginning of every node.
pub type Header = Node<&'static Table>;
/// A queue of tasks.
pub type Queue = node::Queue<&'static Table>;

/// What can be done with a node.
pub struct Table {
    run: unsafe fn(NonNull<Header>, &Worker) -> bool,
    droppable: unsafe fn(NonNull<Header>) -> bool,
    refuse: unsafe fn(NonNull<Header>),
    discard: unsafe fn(NonNull<Header>) -> bool,
    stands_for: unsafe fn(NonNull<Header>, usize) -> bool,
}

/// Work with its header.
#[repr(C)]
struct Carrier<W> {
    header: Header,
    work: W,
}

impl<W: Work> Carrier<W> {
    /// Whether a block is large enough.
    const FITS: bool = size_of::<Self>() <= blocks::LAYOUT.size() && align_of::<Self>() <= blocks::LAYOUT.align();

    fn new(work: W) -> Self {
        let table = &Table {
            run: run::<W>,
            droppable: droppable::<W>,
            refuse: refuse::<W>,
            discard: discard::<W>,
            stands_for: stands_for::<W>,
        };
        Carrier { header: Header::new(table), work }
    }
}

/// A piece of work, owned. Dropping it drops the work unrun.
pub struct Task(NonNull<Header>);

// SAFETY: a node holds work, which is Send, and is owned by one task at a time.
unsafe impl Send for Task {}

impl Task {
    /// Whether work of this type goes into a block.
    pub fn fits_block<W: Work>() -> bool {
        Carrier::<W>::FITS
    }

    /// A task for `work` in a block, which it must fit.
    pub fn in_block<W: Work>(work: W, block: Block) -> Task {
        const { assert!(blocks::LAYOUT.size() >= size_of::<Header>()) };
        assert!(Carrier::<W>::FITS);
        let node = block.into_raw().cast::<Carrier<W>>();
        // SAFETY: a block is large enough and aligned, as asserted.
        unsafe { node.write(Carrier::new(work)) };
        Task(node.cast())
    }

    /// A task for `work` in memory from the allocator, or the work back when there is none.
    pub fn new<W: Work>(work: W) -> Result<Task, W> {
        if Carrier::<W>::FITS {
            return match Block::allocate() {
                Some(block) => Ok(Task::in_block(work, block)),
                None => Err(work),
            };
        }
        // SAFETY: the layout has a size: the header is not empty.
        let node = unsafe { alloc(Layout::new::<Carrier<W>>()) }.cast::<Carrier<W>>();
        let Some(node) = NonNull::new(node) else { return Err(work) };
        // SAFETY: freshly allocated for a Carrier<W>.
        unsafe { node.write(Carrier::new(work)) };
        Ok(Task(node.cast()))
    }

    /// Runs the work, or drops it if it has been cancelled; whether it has run. The node is free, or its owner's again, before
    /// the work begins.
    pub fn run(self, worker: &Worker) -> bool {
        let node = self.into_raw();
        // SAFETY: the node is ours, and its table fits it.
        unsafe { (node.as_ref().info.run)(node, worker) }
    }

    /// Whether the work may be dropped unrun.
    pub fn droppable(&self) -> bool {
        // SAFETY: the node is ours, and its table fits it.
        unsafe { (self.0.as_ref().info.droppable)(self.0) }
    }

    /// Whether it is the queue's share of what is at the address `what`.
    pub fn stands_for(&self, what: usize) -> bool {
        // SAFETY: the node is ours, and its table fits it.
        unsafe { (self.0.as_ref().info.stands_for)(self.0, what) }
    }

    /// Drops the work unrun; false if somebody else has run it.
    pub fn discard(self) -> bool {
        let node = self.into_raw();
        // SAFETY: the node is ours, and its table fits it.
        unsafe { (node.as_ref().info.discard)(node) }
    }

    /// Tells the work that it was not taken.
    pub fn refuse(self) {
        let node = self.into_raw();
        // SAFETY: the node is ours, and its table fits it.
        unsafe { (node.as_ref().info.refuse)(node) }
    }

    /// Gives up ownership.
    pub fn into_raw(self) -> NonNull<Header> {
        let node = self.0;
        std::mem::forget(self);
        node
    }

    /// Takes ownership back.
    ///
    /// # Safety
    /// `node` came from `into_raw` and is taken back once.
    pub unsafe fn from_raw(node: NonNull<Header>) -> Task {
        Task(node)
    }

    /// A queue of this task alone.
    pub fn into_queue(self) -> Queue {
        let mut queue = Queue::default();
        // SAFETY: an owned node, in no queue.
        unsafe { queue.push(self.into_raw()) };
        queue
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // SAFETY: the node is ours, and its table fits it.
        unsafe { (self.0.as_ref().info.discard)(self.0) };
    }
}

/// Moves the work out and frees the node, to the worker's blocks if there is one.
///
/// # Safety
/// `node` is an owned Carrier<W>.
unsafe fn open<W: Work>(node: NonNull<Header>, worker: Option<&Worker>) -> W {
    let node = node.cast::<Carrier<W>>();
    // SAFETY: the node is initialised and owned; it is not used again.
    unsafe {
        let Carrier { work, .. } = node.read();
        match worker {
            _ if !Carrier::<W>::FITS => dealloc(node.as_ptr().cast(), Layout::new::<Carrier<W>>()),
            Some(worker) => worker.keep_block(Block::from_raw(node.cast())),
            None => Block::from_raw(node.cast()).free(),
        }
        work
    }
}

unsafe fn run<W: Work>(node: NonNull<Header>, worker: &Worker) -> bool {
    // SAFETY: called through the table of a Carrier<W> that the caller owns.
    let work = unsafe { open::<W>(node, Some(worker)) };
    if work.is_cancelled() {
        return !work.discard();
    }
    work.run(worker);
    true
}

unsafe fn droppable<W: Work>(node: NonNull<Header>) -> bool {
    // SAFETY: called through the table of a live Carrier<W>.
    unsafe { &node.cast::<Carrier<W>>().as_ref().work }.droppable()
}

unsafe fn stands_for<W: Work>(node: NonNull<Header>, what: usize) -> bool {
    // SAFETY: called through the table of a live Carrier<W>.
    unsafe { &node.cast::<Carrier<W>>().as_ref().work }.stands_for(what)
}

unsafe fn refuse<W: Work>(node: NonNull<Header>) {
    // SAFETY: called through the table of a Carrier<W> that the caller owns.
    unsafe { open::<W>(node, None) }.refused();
}

unsafe fn discard<W: Work>(node: NonNull<Header>) -> bool {
    // SAFETY: called through the table of a Carrier<W> that the caller owns.
    unsafe { open::<W>(node, None) }.discard()
}

/// The part of a caller-owned task that is the runtime's.
#[repr(C)]
pub struct Slot {
    header: Header,
    claim: Claim,
}

/// What a slot is part of.
pub trait Owner {
    /// Runs the task: copies what it needs of it, calls [`Slot::release`], and touches the task no more.
    ///
    /// # Safety
    /// The slot was submitted as part of a `Self`, and is the caller's to release.
    unsafe fn run(slot: NonNull<Slot>, worker: &Worker);

    /// The slot has been claimed; what the task inherits is kept with it.
    ///
    /// # Safety
    /// The slot is part of a `Self`, and the caller's.
    unsafe fn inherit(slot: NonNull<Slot>);

    /// The task is not run: gives up what it has inherited.
    ///
    /// # Safety
    /// As for `inherit`, which has been called.
    unsafe fn disinherit(slot: NonNull<Slot>);

    /// Whether the task may be dropped instead of run when its runtime discards what is queued.
    ///
    /// # Safety
    /// As for `inherit`.
    unsafe fn droppable(slot: NonNull<Slot>) -> bool {
        let _ = slot;
        false
    }

    /// The task is dropped instead of run, and the slot released.
    ///
    /// # Safety
    /// As for `disinherit`.
    unsafe fn discard(slot: NonNull<Slot>) {
        // SAFETY: promised by the caller.
        unsafe {
            Self::disinherit(slot);
            Slot::release(slot);
        }
    }
}

impl Slot {
    /// A slot that is free.
    pub fn new<O: Owner>() -> Self {
        Slot { header: Header::new(Self::table::<O>()), claim: Claim::default() }
    }

    fn table<O: Owner>() -> &'static Table {
        unsafe fn run_owned<O: Owner>(node: NonNull<Header>, worker: &Worker) -> bool {
            // SAFETY: called through the table of a slot that the caller has claimed. The header comes first.
            unsafe { O::run(node.cast(), worker) }
            true
        }
        unsafe fn droppable<O: Owner>(node: NonNull<Header>) -> bool {
            // SAFETY: called through the table of a slot that the caller has claimed.
            unsafe { O::droppable(node.cast()) }
        }
        unsafe fn refused<O: Owner>(node: NonNull<Header>) {
            // SAFETY: called through the table of a slot that the caller has claimed.
            unsafe { let_go::<O>(node) };
        }
        unsafe fn let_go<O: Owner>(node: NonNull<Header>) -> bool {
            // SAFETY: called through the table of a slot that the caller has claimed.
            unsafe { O::discard(node.cast()) };
            true
        }
        unsafe fn stands_for(_: NonNull<Header>, _: usize) -> bool {
            false
        }
        &Table {
            run: run_owned::<O>,
            droppable: droppable::<O>,
            refuse: refused::<O>,
            discard: let_go::<O>,
            stands_for,
        }
    }

    /// Makes a task of it, which owns the slot until it is released.
    ///
    /// # Safety
    /// The slot is part of an `O`, and stays in place until it is released. Any memory of its size may be looked at:
    /// what was never a slot is told, short of bad luck.
    pub unsafe fn claim<O: Owner>(slot: NonNull<Slot>) -> Result<Task, Refusal> {
        // SAFETY: the word is live memory, promised by the caller, and shared as an atomic only.
        unsafe { &(*slot.as_ptr()).claim }.claim(fork::epoch())?;
        // SAFETY: claimed, so it is ours alone. The header is written anew: what the owner's memory says is not relied on.
        unsafe {
            (&raw mut (*slot.as_ptr()).header).write(Header::new(Self::table::<O>()));
            O::inherit(slot);
        }
        Ok(Task(slot.cast()))
    }

    /// The owner may submit the task again, or free it.
    ///
    /// # Safety
    /// The caller has the slot, and gives it up here.
    pub unsafe fn release(slot: NonNull<Slot>) {
        // SAFETY: live until the word is written, the last access.
        unsafe { &(*slot.as_ptr()).claim }.release();
    }
}
