//! A thread that hands records to a callback of the program's, one after the other, so that no callback runs on a worker or under a
//! lock of Weft's.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::error::{Failure, Result, Status};
use crate::panics;
use crate::platform::thread::Thread;
use crate::sync::Lock;
use crate::sync::tokens::Tokens;

/// Records that may wait. Beyond that they are counted.
pub const QUEUE: usize = 4096;

thread_local! {
    /// The drain whose thread this is. A plain word: no destructor on a path that any thread may take.
    static DRAINING: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

/// What the callback gets.
pub enum Item<T> {
    /// A record.
    Record(T),
    /// So many have been lost before the next one.
    Lost(u64),
}

/// A queue with a thread that empties it.
pub struct Drain<T> {
    queue: Lock<Queue<T>>,
    /// One token for each time the queue stops being empty, and one for the end.
    filled: Tokens,
    /// Set by a callback that ended its own drain: it is not called again, not even for what is queued.
    silenced: AtomicBool,
}

struct Queue<T> {
    records: VecDeque<T>,
    lost: u64,
    ended: bool,
}

/// A drain's thread.
pub struct Draining<T> {
    /// Where records go in.
    pub drain: Arc<Drain<T>>,
    thread: Thread,
}

impl<T: Send + 'static> Drain<T> {
    /// Starts a thread of this name that calls `sink` with each record. `what` is the callback, for messages.
    pub fn start(name: &str, what: &'static str, sink: impl Fn(&Item<T>) + Send + 'static) -> Result<Draining<T>> {
        let queue = Queue { records: VecDeque::new(), lost: 0, ended: false };
        let drain = Drain { queue: Lock::new(queue), filled: Tokens::default(), silenced: AtomicBool::new(false) };
        let drain = Arc::new(drain);
        let its = drain.clone();
        match thread::Builder::new().name(name.into()).spawn(move || its.run(what, &sink)) {
            Ok(thread) => Ok(Draining { drain, thread: Thread::new(thread) }),
            Err(error) => Err(Failure::with(Status::Os, format!("cannot start the thread of {what}: {error}"))),
        }
    }

    /// Queues a record, or gives it back after the end. `stamp` is called in the order of the records.
    pub fn put(&self, mut record: T, stamp: impl FnOnce(&mut T)) -> std::result::Result<(), T> {
        let mut queue = self.queue.lock();
        if queue.ended {
            return Err(record);
        }
        if queue.records.len() >= QUEUE {
            queue.lost += 1;
            return Ok(());
        }
        stamp(&mut record);
        queue.records.push_back(record);
        if queue.records.len() == 1 {
            drop(queue);
            self.filled.post(1);
        }
        Ok(())
    }

    fn run(&self, what: &str, sink: &impl Fn(&Item<T>)) {
        DRAINING.set(ptr::from_ref(self).cast());
        let deliver = |item: Item<T>| {
            // Relaxed: only this thread sets it, from within the sink.
            if !self.silenced.load(Ordering::Relaxed) {
                panics::contain(what, || sink(&item));
            }
        };
        loop {
            self.filled.take();
            let (records, lost, ended) = {
                let mut queue = self.queue.lock();
                (std::mem::take(&mut queue.records), std::mem::take(&mut queue.lost), queue.ended)
            };
            records.into_iter().for_each(|record| deliver(Item::Record(record)));
            if lost > 0 {
                deliver(Item::Lost(lost));
            }
            if ended {
                return;
            }
        }
    }
}

impl<T> Draining<T> {
    /// Delivers what is queued and ends the thread; waits for it until `deadline` at most (None: for ever). When this returns in time,
    /// the callback never runs again; called from within it, when it returns.
    pub fn end(self, deadline: Option<i64>) {
        if ptr::eq(DRAINING.get(), Arc::as_ptr(&self.drain).cast()) {
            self.drain.silenced.store(true, Ordering::Relaxed);
        }
        self.drain.queue.lock().ended = true;
        self.drain.filled.post(1);
        // One that is stuck in its callback goes on alone.
        let _ = self.thread.join(deadline);
    }
}
