//! The link that makes a task its own queue entry.
//!
//! Queues carry pointers to [`Node`]s and know nothing of what is around them: a block of the runtime's, or memory of
//! the caller's. A node is in one queue at a time, and belongs to that queue as long as it is in it.

use std::ptr::NonNull;

use crate::sync::atomic::UnsafeCell;

/// A node's place; in queues, of a node that is theirs.
type Link<T> = NonNull<Node<T>>;

/// The beginning of everything that can be queued.
pub struct Node<T> {
    /// The node behind this one. Belongs to the queue. In a cell that models can watch: two queues with one node race here.
    next: UnsafeCell<Option<Link<T>>>,
    /// What is known of the thing that begins here.
    pub info: T,
}

impl<T> Node<T> {
    /// A node in no queue.
    pub fn new(info: T) -> Self {
        Node { next: UnsafeCell::new(None), info }
    }
}

/// First in, first out, linked through the nodes. It owns nothing: whoever drops it sees to it that it is empty.
pub struct Queue<T> {
    ends: Option<(Link<T>, Link<T>)>,
    len: usize,
}

// SAFETY: what is queued may be handed to another thread (see `Queue::push`).
unsafe impl<T> Send for Queue<T> {}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { ends: None, len: 0 }
    }
}

impl<T> Queue<T> {
    /// Appends a node.
    ///
    /// # Safety
    /// The node is live until it is popped, is in no queue, nobody else touches it meanwhile, and any thread may have it.
    pub unsafe fn push(&mut self, node: NonNull<Node<T>>) {
        // SAFETY: promised by the caller.
        unsafe { node.as_ref() }.next.with_mut(|next| unsafe { *next = None });
        self.append(Queue { ends: Some((node, node)), len: 1 });
    }

    /// Appends all of another queue, in its order.
    pub fn append(&mut self, other: Queue<T>) {
        let Some((first, last)) = other.ends else { return };
        self.ends = match self.ends {
            Some((head, tail)) => {
                // SAFETY: the tail is a live node of this queue.
                unsafe { tail.as_ref() }.next.with_mut(|next| unsafe { *next = Some(first) });
                Some((head, last))
            }
            None => Some((first, last)),
        };
        self.len += other.len;
    }

    /// Takes the oldest node.
    pub fn pop(&mut self) -> Option<NonNull<Node<T>>> {
        let (head, tail) = self.ends?;
        // SAFETY: the head is a live node of this queue.
        let next = unsafe { head.as_ref() }.next.with_mut(|next| unsafe { (*next).take() });
        self.ends = next.map(|next| (next, tail));
        self.len -= 1;
        Some(head)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
