//! Where work from outside waits: a queue for each thread that submits.
//!
//! An [`Outbox`] has one producer, the thread that owns it, and any number of consumers, who take batches under a lock that
//! they only try. The producer writes its entry and a count: no read-modify-write, no lock and, as long as it is *light*,
//! no fence. Order is first in, first out for each thread, and arbitrary across threads. A thread that ends leaves its outbox,
//! with what is in it, to the next that comes; there are as many outboxes as there have been threads at once.
//!
//! **Nothing is left behind.** The producer publishes its entry (P) and then reads the sleep word (see [`super::idle`], rule 1);
//! whoever gives a turn up changes the word and then looks at the outboxes. Between the two accesses of each side there has
//! to be a fence. A producer that pushes a lot marks its outbox light and leaves its fences out; whoever looks must then
//! run a barrier on all threads ([`asymmetric::heavy`]) before. [`Outboxes::cool`] does that: it takes the mark off every
//! outbox that has it, runs one barrier for all of them, and then the caller looks. The cost is bounded: an outbox earns its
//! mark by [`EARNED`] pushes with fences.
//!
//! - The producer reads the mark after P (and reads it as set): if the barrier reaches it before P, it would have seen the
//!   mark taken off, so the barrier came after P, and the look sees P.
//! - The looker finds no mark, because it is not set yet: the producer has a fence behind the setting, the looker one before
//!   its look at the mark, and the one that missed the other's write comes first. So everything that the producer pushes
//!   under this mark is followed by a read of the word that sees the looker's change.
//! - The looker finds no mark because another looker has just taken it off: that one has its barrier and its own look still
//!   before it, and notifies if it sees something. If it reads the sleep word before our change, its barrier came before our
//!   fence, and we see P ourselves.
//!
//! **The end is exact.** [`Outboxes::close`] sets a flag, runs the barrier, and only then does the runtime's phase change.
//! The producer reads the flag after P, with the same fence in between. If it reads an open flag, every look that follows
//! the change of the phase sees P: the task is accepted, and runs. If it reads a closed one, it takes the lock and withdraws
//! what it pushed, unless a consumer was faster: then that one is at work, and looks again before it rests, so the task (and
//! what was pushed together with it) is accepted after all.

use std::alloc::{Layout, alloc};
use std::array;
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::blocks::{Block, Cache, Depot};
use super::node::{Node, Queue};
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, UnsafeCell, fence};
use crate::sync::{Lock, asymmetric};

/// Entries of a segment: a power of two, for every push and take divides by it.
const SEGMENT: usize = if cfg!(weft_loom) { 2 } else { 512 };

/// Empty segments that consumers leave for the owner at most.
const SPARES: usize = if cfg!(weft_loom) { 1 } else { 16 };

/// Pushes with a fence by which an outbox earns its mark. A barrier costs about as much as that many fences.
pub const EARNED: u32 = if cfg!(weft_loom) { 1 } else { 64 };

type Entry<T> = Option<NonNull<Node<T>>>;

struct Segment<T> {
    next: AtomicPtr<Segment<T>>,
    entries: [UnsafeCell<Entry<T>>; SEGMENT],
}

impl<T> Segment<T> {
    /// A new one, unless there is no memory.
    fn allocate() -> Option<NonNull<Self>> {
        // SAFETY: the layout has a size.
        let segment = NonNull::new(unsafe { alloc(Layout::new::<Self>()) }.cast::<Self>())?;
        let entries = array::from_fn(|_| UnsafeCell::new(None));
        // SAFETY: freshly allocated for it; the layout is that of a Box, which frees it.
        unsafe { segment.write(Segment { next: AtomicPtr::new(ptr::null_mut()), entries }) };
        Some(segment)
    }
}

/// What only the owner touches.
struct Owner<T> {
    /// Where the last entry is, or the first will be.
    tail: NonNull<Segment<T>>,
    /// Pushes with a fence since the mark was last set.
    cold: u32,
    blocks: Cache,
    /// Empty segments that consumers have left, linked.
    spares: *mut Segment<T>,
}

/// What consumers touch, under the lock.
struct Taker<T> {
    /// Where the last entry that was taken is, or the first is.
    head: NonNull<Segment<T>>,
    taken: usize,
    /// Segments left since the owner last fetched them.
    left: usize,
}

#[repr(align(128))]
struct Line<T>(T);

/// One thread's queue. What the owner writes, what consumers write and what lookers read are on lines of their own.
#[repr(C)]
pub struct Outbox<T> {
    owner: Line<UnsafeCell<Owner<T>>>,
    /// Entries pushed so far. The owner writes it.
    pushed: AtomicUsize,
    /// Those that were not withdrawn. The owner writes it, after `pushed`.
    accepted: AtomicUsize,
    /// The mark.
    light: AtomicBool,
    /// Whether a thread owns it.
    owned: AtomicBool,
    /// The outbox made before this one.
    next: AtomicPtr<Outbox<T>>,
    taker: Line<Lock<Taker<T>>>,
    /// A copy of `taken`, to look at without the lock.
    taken: AtomicUsize,
    /// Empty segments for the owner, linked.
    spares: AtomicPtr<Segment<T>>,
}

// SAFETY: the owner's side is used by the thread that set `owned`, the takers' under a lock; what is queued may go to any
// thread (see `Queue::push`).
unsafe impl<T> Send for Outbox<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Outbox<T> {}

/// Why a push did nothing; the work comes back.
pub enum NotPushed<T> {
    /// The outboxes are closed.
    Closed(Queue<T>),
    /// No memory for a segment.
    NoMemory(Queue<T>),
}

impl<T> Outbox<T> {
    /// An outbox with an owner.
    fn new() -> Option<Self> {
        let first = Segment::allocate()?;
        Some(Outbox {
            owner: Line(UnsafeCell::new(Owner {
                tail: first,
                cold: 0,
                blocks: Cache::default(),
                spares: ptr::null_mut(),
            })),
            pushed: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            light: AtomicBool::new(false),
            owned: AtomicBool::new(true),
            taker: Line(Lock::new(Taker { head: first, taken: 0, left: 0 })),
            taken: AtomicUsize::new(0),
            spares: AtomicPtr::new(ptr::null_mut()),
            next: AtomicPtr::new(ptr::null_mut()),
        })
    }

    /// A free block for a task.
    ///
    /// # Safety
    /// The calling thread owns the outbox.
    pub unsafe fn take_block(&self, depot: &Depot) -> Option<Block> {
        // SAFETY: the owner's alone.
        self.owner.0.with(|owner| unsafe { (*owner).blocks.take(depot) })
    }

    /// Appends work. On success the caller reads the sleep word next; the fence that has to be between is here.
    ///
    /// # Safety
    /// The calling thread owns the outbox.
    pub unsafe fn push(&self, chain: Queue<T>, closed: &AtomicBool) -> Result<(), NotPushed<T>> {
        // SAFETY: the owner's alone.
        self.owner.0.with_mut(|owner| self.push_owned(unsafe { &mut *owner }, chain, closed))
    }

    fn push_owned(&self, owner: &mut Owner<T>, mut chain: Queue<T>, closed: &AtomicBool) -> Result<(), NotPushed<T>> {
        // Relaxed: only the owner writes it.
        let start = self.pushed.load(Ordering::Relaxed);
        let end = start + chain.len();
        if !self.reserve(owner, start, end) {
            return Err(NotPushed::NoMemory(chain));
        }
        let mut tail = owner.tail;
        for at in start..end {
            tail = segment_of(tail, at);
            let node = chain.pop();
            // SAFETY: the segment is this queue's, and no consumer looks at an entry that has not been counted.
            unsafe { tail.as_ref() }.entries[at % SEGMENT].with_mut(|entry| unsafe { *entry = node });
        }
        // Release pairs with the Acquire in `take`: entries and links are seen before the count.
        self.pushed.store(end, Ordering::Release);
        asymmetric::light();
        // Relaxed, both: the fences order them, see the module's comment.
        if !self.light.load(Ordering::Relaxed) {
            fence(Ordering::SeqCst);
            owner.cold += 1;
            if owner.cold >= EARNED {
                owner.cold = 0;
                if asymmetric::is_available() {
                    self.light.store(true, Ordering::Relaxed);
                    fence(Ordering::SeqCst);
                }
            }
        }
        if closed.load(Ordering::Relaxed) {
            self.withdraw(owner.tail, start, end).map_err(NotPushed::Closed)?;
        }
        // Relaxed: a statistic.
        self.accepted.store(end, Ordering::Relaxed);
        owner.tail = tail;
        Ok(())
    }

    /// Sees to it that there are segments for all entries from `start` to `end`.
    fn reserve(&self, owner: &mut Owner<T>, start: usize, end: usize) -> bool {
        let mut tail = owner.tail;
        for _ in (start..end).filter(|&at| begins_segment(at)) {
            // SAFETY: a segment of this queue. Relaxed: only the owner writes links.
            let link = unsafe { &tail.as_ref().next };
            let mut next = NonNull::new(link.load(Ordering::Relaxed));
            if next.is_none() {
                next = self.spare(owner).or_else(Segment::allocate);
                let Some(fresh) = next else { return false };
                // SAFETY: the owner's until it is linked.
                unsafe { fresh.as_ref() }.next.store(ptr::null_mut(), Ordering::Relaxed);
                link.store(fresh.as_ptr(), Ordering::Release);
            }
            let Some(next) = next else { return false };
            tail = next;
        }
        true
    }

    /// Takes back what was pushed last, unless a consumer has begun to take it.
    fn withdraw(&self, mut tail: NonNull<Segment<T>>, start: usize, end: usize) -> Result<(), Queue<T>> {
        let taker = self.taker.0.lock();
        if taker.taken > start {
            return Ok(());
        }
        let mut chain = Queue::default();
        for at in start..end {
            tail = segment_of(tail, at);
            // SAFETY: entries that nobody takes while we hold the lock, and that are not counted afterwards; each is a node
            // that was given to this queue.
            unsafe {
                let node = tail.as_ref().entries[at % SEGMENT].with_mut(|entry| (*entry).take());
                chain.push(node.expect("a counted entry"));
            }
        }
        self.pushed.store(start, Ordering::Release);
        Err(chain)
    }

    /// Takes up to `share.len()` of the oldest, a fair share for one of `sharers`; none if another consumer is at it.
    fn take(&self, sharers: usize, share: &mut [Entry<T>]) -> usize {
        if self.is_empty() {
            return 0;
        }
        let Some(mut taker) = self.taker.0.try_lock() else { return 0 };
        // Acquire pairs with the Release in `push`.
        let waiting = self.pushed.load(Ordering::Acquire) - taker.taken;
        let count = waiting.div_ceil(sharers).min(share.len());
        for place in &mut share[..count] {
            let head = segment_of(taker.head, taker.taken);
            if head != taker.head {
                let empty = std::mem::replace(&mut taker.head, head);
                self.recycle(&mut taker, empty);
            }
            // SAFETY: a counted entry of this queue, which the lock gives to us alone.
            *place =
                unsafe { head.as_ref() }.entries[taker.taken % SEGMENT].with_mut(|entry| unsafe { (*entry).take() });
            taker.taken += 1;
        }
        // Relaxed: a hint for those who only look; too old a value shows work that is gone.
        self.taken.store(taker.taken, Ordering::Relaxed);
        count
    }

    /// Leaves an empty segment to the owner. Called under the takers' lock.
    fn recycle(&self, taker: &mut Taker<T>, segment: NonNull<Segment<T>>) {
        let mut spares = self.spares.load(Ordering::Relaxed);
        loop {
            taker.left = if spares.is_null() { 0 } else { taker.left };
            if taker.left >= SPARES {
                // SAFETY: a segment that nobody uses any more, allocated with the layout of a Box.
                return drop(unsafe { Box::from_raw(segment.as_ptr()) });
            }
            // SAFETY: as above; ours until it is left.
            unsafe { segment.as_ref() }.next.store(spares, Ordering::Relaxed);
            // Release pairs with the Acquire in `spare`. The owner takes all or nothing, so a segment does not come back while we
            // look.
            match self.spares.compare_exchange(spares, segment.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => spares = now,
            }
        }
        taker.left += 1;
    }

    /// An empty segment that consumers have left.
    fn spare(&self, owner: &mut Owner<T>) -> Option<NonNull<Segment<T>>> {
        if owner.spares.is_null() {
            owner.spares = self.spares.swap(ptr::null_mut(), Ordering::Acquire);
        }
        let spare = NonNull::new(owner.spares)?;
        // SAFETY: left by consumers, who are done with it.
        owner.spares = unsafe { spare.as_ref() }.next.load(Ordering::Relaxed);
        Some(spare)
    }

    /// Whether there is nothing to take.
    fn is_empty(&self) -> bool {
        // Relaxed: ordered by the fences of `cool`, see the module's comment.
        self.pushed.load(Ordering::Relaxed) == self.taken.load(Ordering::Relaxed)
    }

    /// The thread that owned it has ended, or wants no more of it.
    ///
    /// # Safety
    /// The calling thread owned it, and does not use it any more.
    pub unsafe fn leave(&self) {
        // Release pairs with the Acquire in `adopt`.
        self.owned.store(false, Ordering::Release);
    }

    fn adopt(&self) -> bool {
        // The load first: most are owned, and their lines are best left alone.
        !self.owned.load(Ordering::Relaxed)
            && self.owned.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

/// Whether the entry `at` is the first of a segment that is linked to another.
fn begins_segment(at: usize) -> bool {
    at > 0 && at.is_multiple_of(SEGMENT)
}

/// The segment of the entry `at`, from that of the entry before.
fn segment_of<T>(before: NonNull<Segment<T>>, at: usize) -> NonNull<Segment<T>> {
    if !begins_segment(at) {
        return before;
    }
    // SAFETY: a segment of the queue. Acquire pairs with the Release in `reserve`.
    NonNull::new(unsafe { before.as_ref() }.next.load(Ordering::Acquire)).expect("linked before it is used")
}

impl<T> Drop for Outbox<T> {
    fn drop(&mut self) {
        let head = self.taker.0.lock().head.as_ptr();
        // SAFETY: nobody owns it any more.
        let fetched = self.owner.0.with(|owner| unsafe { (*owner).spares });
        for mut segment in [head, self.spares.load(Ordering::Relaxed), fetched] {
            while !segment.is_null() {
                // SAFETY: chains of segments, which nobody else uses any more; each segment is in one.
                let freed = unsafe { Box::from_raw(segment) };
                segment = freed.next.load(Ordering::Relaxed);
            }
        }
    }
}

/// All outboxes of a runtime.
pub struct Outboxes<T> {
    /// The one made last. Outboxes stay until the runtime goes.
    last: AtomicPtr<Outbox<T>>,
    len: AtomicUsize,
    closed: AtomicBool,
}

impl<T> Default for Outboxes<T> {
    fn default() -> Self {
        let last = AtomicPtr::new(ptr::null_mut());
        Outboxes { last, len: AtomicUsize::new(0), closed: AtomicBool::new(false) }
    }
}

impl<T> Outboxes<T> {
    fn iter(&self) -> impl Iterator<Item = &Outbox<T>> {
        // Acquire pairs with the Release in `adopt`. An outbox that is not seen yet is seen when its first work is announced:
        // it is new, so its owner has a fence between.
        let mut next = self.last.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            // SAFETY: outboxes stay until the runtime goes.
            let outbox = unsafe { next.as_ref() }?;
            next = outbox.next.load(Ordering::Relaxed);
            Some(outbox)
        })
    }

    /// An outbox that is now the calling thread's: one that another has left, or a new one. None: no memory.
    pub fn adopt(&self) -> Option<Arc<Outbox<T>>> {
        if let Some(left) = self.iter().find(|outbox| outbox.adopt()) {
            // SAFETY: made by Arc::into_raw below; the list's reference lives as long as the list.
            return Some(unsafe {
                Arc::increment_strong_count(left);
                Arc::from_raw(left)
            });
        }
        let outbox = Arc::new(Outbox::new()?);
        let new = Arc::into_raw(outbox.clone()).cast_mut();
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            outbox.next.store(last, Ordering::Relaxed);
            // Release pairs with the Acquire in `iter`.
            match self.last.compare_exchange_weak(last, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => last = now,
            }
        }
        // Relaxed: a hint for `take`.
        self.len.fetch_add(1, Ordering::Relaxed);
        Some(outbox)
    }

    /// The flag that ends pushing.
    pub fn closed(&self) -> &AtomicBool {
        &self.closed
    }

    /// Takes a share of one outbox's oldest work, of the first from `next` on that has some; `next` is the one after it then.
    pub fn take(&self, next: &Cell<usize>, sharers: usize, share: &mut [Entry<T>]) -> usize {
        let len = self.len.load(Ordering::Relaxed);
        if len == 0 {
            return 0;
        }
        let first = next.get() % len;
        let (later, earlier) = (self.iter().enumerate().skip(first), self.iter().enumerate().take(first));
        for (index, outbox) in later.chain(earlier) {
            let count = outbox.take(sharers, share);
            if count > 0 {
                next.set(index + 1);
                return count;
            }
        }
        0
    }

    /// The caller has given a turn up, with a fence, and will look: sees to it that the look misses nothing.
    pub fn cool(&self) {
        let mut any = false;
        for outbox in self.iter() {
            // Relaxed: the fences before and after, see the module's comment.
            if outbox.light.load(Ordering::Relaxed) {
                outbox.light.store(false, Ordering::Relaxed);
                any = true;
            }
        }
        if any {
            asymmetric::heavy();
        }
    }

    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.iter().all(Outbox::is_empty)
    }

    /// Refuses what comes from now on. What was accepted can be seen afterwards, by all who know that this has returned.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.cool();
    }

    /// How much has been accepted so far, at least as much as has been taken. Never falls.
    pub fn accepted(&self) -> u64 {
        // What is taken is accepted, even if its producer has not said so yet.
        let accepted = |outbox: &Outbox<T>| {
            outbox.accepted.load(Ordering::Relaxed).max(outbox.taken.load(Ordering::Relaxed)) as u64
        };
        self.iter().map(accepted).sum()
    }

    /// How much waits.
    pub fn queued(&self) -> usize {
        let queued = |outbox: &Outbox<T>| {
            let taken = outbox.taken.load(Ordering::Relaxed);
            outbox.pushed.load(Ordering::Relaxed).saturating_sub(taken)
        };
        self.iter().map(queued).sum()
    }
}

impl<T> Drop for Outboxes<T> {
    fn drop(&mut self) {
        let mut next = self.last.load(Ordering::Relaxed);
        while !next.is_null() {
            // SAFETY: the list's own reference, made by Arc::into_raw; the link is read before it is given up.
            unsafe {
                let outbox = Arc::from_raw(next);
                next = outbox.next.load(Ordering::Relaxed);
            }
        }
    }
}

#[cfg(all(test, weft_loom))]
mod models;

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    /// Nodes with numbers, on the heap.
    fn chain(numbers: impl IntoIterator<Item = usize>) -> Queue<usize> {
        let mut chain = Queue::default();
        for number in numbers {
            // SAFETY: a fresh node, freed by `number_of`.
            unsafe { chain.push(NonNull::from(Box::leak(Box::new(Node::new(number))))) };
        }
        chain
    }

    fn number_of(node: NonNull<Node<usize>>) -> usize {
        // SAFETY: a node from `chain`, taken once.
        unsafe { Box::from_raw(node.as_ptr()) }.info
    }

    fn push(outboxes: &Outboxes<usize>, outbox: &Outbox<usize>, numbers: impl IntoIterator<Item = usize>) -> bool {
        // SAFETY: these tests push from the thread that adopted the outbox.
        match unsafe { outbox.push(chain(numbers), outboxes.closed()) } {
            Ok(()) => true,
            Err(NotPushed::Closed(mut chain) | NotPushed::NoMemory(mut chain)) => {
                while let Some(node) = chain.pop() {
                    number_of(node);
                }
                false
            }
        }
    }

    fn take(outboxes: &Outboxes<usize>, next: &Cell<usize>, sharers: usize) -> Vec<usize> {
        let mut share = [None; 32];
        let count = outboxes.take(next, sharers, &mut share);
        share[..count].iter().map(|node| number_of(node.expect("as many as counted"))).collect()
    }

    #[test]
    fn entries_come_in_order_across_segments() {
        let outboxes = Outboxes::default();
        let outbox = outboxes.adopt().unwrap();
        let (mut pushed, mut taken) = (0, 0);
        // More segments than are kept, filled and emptied twice, with pushes of one and of many.
        for _ in 0..2 {
            for len in [1, SEGMENT - 2, 1, SEGMENT, 3 * SEGMENT + 1, 1, 20 * SEGMENT] {
                assert!(push(&outboxes, &outbox, pushed..pushed + len));
                pushed += len;
            }
            assert_eq!(outboxes.queued(), pushed - taken);
            while !outboxes.is_empty() {
                for number in take(&outboxes, &Cell::new(0), 1) {
                    assert_eq!(number, taken);
                    taken += 1;
                }
            }
        }
        assert_eq!((taken, outboxes.accepted(), outboxes.queued()), (pushed, pushed as u64, 0));
    }

    #[test]
    fn shares_are_fair_and_outboxes_take_turns() {
        let outboxes = Outboxes::default();
        // Those between have nothing, which is nobody's turn.
        let all: Vec<_> = (0..5).map(|_| outboxes.adopt().unwrap()).collect();
        assert!(push(&outboxes, &all[0], 0..10) && push(&outboxes, &all[4], 100..110));
        let next = Cell::new(0);
        assert_eq!(take(&outboxes, &next, 5), [100, 101]);
        assert_eq!(take(&outboxes, &next, 5), [0, 1]);
        assert_eq!(take(&outboxes, &next, 4), [102, 103]);
        assert_eq!(take(&outboxes, &next, 1), (2..10).collect::<Vec<_>>());
        assert_eq!(take(&outboxes, &next, 1), (104..110).collect::<Vec<_>>());
        assert!(take(&outboxes, &next, 1).is_empty());
    }

    #[test]
    fn what_is_left_is_adopted() {
        let outboxes = Outboxes::default();
        let one = outboxes.adopt().unwrap();
        assert!(push(&outboxes, &one, 0..3));
        // SAFETY: adopted here, and not used as ours any more.
        unsafe { one.leave() };
        let (again, two) = (outboxes.adopt().unwrap(), outboxes.adopt().unwrap());
        assert!(Arc::ptr_eq(&one, &again) && !Arc::ptr_eq(&one, &two));
        assert!(push(&outboxes, &again, 3..5));
        assert_eq!(take(&outboxes, &Cell::new(1), 1), (0..5).collect::<Vec<_>>());
        drop(outboxes);
        assert_eq!(Arc::strong_count(&two), 1, "an outbox outlives its runtime while its thread keeps it");
    }

    #[test]
    fn a_closed_outbox_gives_everything_back() {
        let outboxes = Outboxes::default();
        let outbox = outboxes.adopt().unwrap();
        assert!(push(&outboxes, &outbox, 0..SEGMENT));
        outboxes.close();
        for len in [1, 2 * SEGMENT] {
            assert!(!push(&outboxes, &outbox, 0..len));
        }
        assert_eq!((outboxes.accepted(), outboxes.queued()), (SEGMENT as u64, SEGMENT));
        let mut taken = 0;
        while !outboxes.is_empty() {
            taken += take(&outboxes, &Cell::new(0), 1).len();
        }
        assert_eq!(taken, SEGMENT);
    }

    #[test]
    fn an_outbox_earns_its_mark_and_loses_it() {
        if !asymmetric::is_available() {
            return;
        }
        let outboxes = Outboxes::default();
        let outbox = outboxes.adopt().unwrap();
        for round in 0..3 {
            for pushes in 1..=EARNED {
                assert!(!outbox.light.load(Ordering::Relaxed), "round {round}, {pushes} pushes");
                assert!(push(&outboxes, &outbox, [0]));
            }
            assert!(outbox.light.load(Ordering::Relaxed));
            assert!(push(&outboxes, &outbox, [0]));
            outboxes.cool();
        }
        while !take(&outboxes, &Cell::new(0), 1).is_empty() {}
    }
}
