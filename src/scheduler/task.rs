//! Queued work: a heap node that is its own queue link.
//!
//! A [`Task`] owns one node. The node begins with a header (link and functions), so queues carry thin
//! pointers and know nothing of what is in them.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;

use super::worker::Worker;

/// Something to be run once, on a worker.
pub trait Work: Send {
    /// Runs it.
    fn run(self, worker: &Worker);

    /// Whether it may be dropped instead of run when the runtime is shut down and discards what is queued.
    /// Work that may not is run in any case.
    fn droppable(&self) -> bool {
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
        (self.0)(worker);
    }
}

/// The beginning of every node.
pub struct Header {
    next: Option<NonNull<Header>>,
    table: &'static Table,
}

struct Table {
    run: unsafe fn(NonNull<Header>, &Worker),
    droppable: unsafe fn(NonNull<Header>) -> bool,
    refuse: unsafe fn(NonNull<Header>),
    drop: unsafe fn(NonNull<Header>),
}

#[repr(C)]
struct Node<W> {
    header: Header,
    work: W,
}

/// A piece of work, owned. Dropping it drops the work unrun.
pub struct Task(NonNull<Header>);

// SAFETY: a node holds work, which is Send, and is owned by one task at a time.
unsafe impl Send for Task {}

impl Task {
    /// A task for `work`, or the work back when there is no memory.
    pub fn new<W: Work>(work: W) -> Result<Task, W> {
        let layout = Layout::new::<Node<W>>();
        // SAFETY: the layout has a size: the header is not empty.
        let node = unsafe { alloc(layout) }.cast::<Node<W>>();
        let Some(node) = NonNull::new(node) else { return Err(work) };
        let header = Header {
            next: None,
            table: &Table { run: run::<W>, droppable: droppable::<W>, refuse: refuse::<W>, drop: drop_node::<W> },
        };
        // SAFETY: freshly allocated for a Node<W>.
        unsafe { node.write(Node { header, work }) };
        Ok(Task(node.cast()))
    }

    /// Runs the work and frees the node before the work begins.
    pub fn run(self, worker: &Worker) {
        let node = self.into_raw();
        // SAFETY: the node is ours, and its table fits it.
        unsafe { (node.as_ref().table.run)(node, worker) }
    }

    /// Whether the work may be dropped unrun.
    pub fn droppable(&self) -> bool {
        // SAFETY: the node is ours, and its table fits it.
        unsafe { (self.0.as_ref().table.droppable)(self.0) }
    }

    /// Tells the work that it was not taken.
    pub fn refuse(self) {
        let node = self.into_raw();
        // SAFETY: the node is ours, and its table fits it.
        unsafe { (node.as_ref().table.refuse)(node) }
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
}

impl Drop for Task {
    fn drop(&mut self) {
        // SAFETY: the node is ours, and its table fits it.
        unsafe { (self.0.as_ref().table.drop)(self.0) }
    }
}

/// Moves the work out and frees the node.
///
/// # Safety
/// `node` is an owned Node<W>.
unsafe fn open<W>(node: NonNull<Header>) -> W {
    let node = node.cast::<Node<W>>();
    // SAFETY: the node is initialised and owned; it is not used again.
    unsafe {
        let Node { work, .. } = node.read();
        dealloc(node.as_ptr().cast(), Layout::new::<Node<W>>());
        work
    }
}

unsafe fn run<W: Work>(node: NonNull<Header>, worker: &Worker) {
    // SAFETY: called through the table of a Node<W> that the caller owns.
    unsafe { open::<W>(node) }.run(worker);
}

unsafe fn droppable<W: Work>(node: NonNull<Header>) -> bool {
    // SAFETY: called through the table of a live Node<W>.
    unsafe { &node.cast::<Node<W>>().as_ref().work }.droppable()
}

unsafe fn refuse<W: Work>(node: NonNull<Header>) {
    // SAFETY: called through the table of a Node<W> that the caller owns.
    unsafe { open::<W>(node) }.refused();
}

unsafe fn drop_node<W: Work>(node: NonNull<Header>) {
    // SAFETY: called through the table of a Node<W> that the caller owns.
    drop(unsafe { open::<W>(node) });
}

/// A first-in, first-out queue of tasks, linked through their nodes.
#[derive(Default)]
pub struct TaskQueue {
    head: Option<NonNull<Header>>,
    tail: Option<NonNull<Header>>,
}

// SAFETY: the queue owns its nodes.
unsafe impl Send for TaskQueue {}

impl TaskQueue {
    /// Appends a task.
    pub fn push(&mut self, task: Task) {
        let node = task.into_raw();
        match self.tail.replace(node) {
            // SAFETY: the tail is a node that the queue owns.
            Some(mut tail) => unsafe { tail.as_mut().next = Some(node) },
            None => self.head = Some(node),
        }
    }

    /// Takes the oldest task.
    pub fn pop(&mut self) -> Option<Task> {
        let mut node = self.head?;
        // SAFETY: the head is a node that the queue owns.
        self.head = unsafe { node.as_mut().next.take() };
        if self.head.is_none() {
            self.tail = None;
        }
        // SAFETY: unlinked above, so it is taken back once.
        Some(unsafe { Task::from_raw(node) })
    }
}

impl Drop for TaskQueue {
    fn drop(&mut self) {
        while let Some(task) = self.pop() {
            drop(task);
        }
    }
}
