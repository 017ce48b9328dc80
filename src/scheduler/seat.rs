//! Where a worker thread sits: what others may see of it, and what it leaves behind for the next one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use crossbeam_deque::Stealer;

use super::home::Home;
use super::stats::Counters;
use super::worker::{TaskPtr, Worker};
use crate::sync::Lock;
use crate::sync::cancel::Source;

/// One worker thread's place. It outlives the thread; tasks left in its deques stay reachable.
pub struct Seat {
    pub tasks: Stealer<TaskPtr>,
    pub region: Home,
    pub counters: Counters,
    /// The CPU that the thread is bound to, by the system's number; -1: none.
    pub bound: AtomicI32,
    /// What the thread waits for inside a task, an `Awaited`.
    pub awaited: AtomicU32,
    /// Ends the waits of the thread's tasks when the runtime discards what it has.
    pub stop: Source,
    /// The owner's side, while no thread sits here.
    pub vacant: Lock<Option<Box<Worker>>>,
}

impl Seat {
    /// Whether there is something to steal.
    pub fn has_work(&self) -> bool {
        !self.tasks.is_empty() || self.region.has_shared()
    }
}

/// All seats of a runtime: a table that only grows, up to the most threads there can be. Reading it takes no lock.
pub struct Seats {
    table: Box<[AtomicPtr<Seat>]>,
    taken_ever: AtomicUsize,
    free: Lock<BinaryHeap<Reverse<usize>>>,
}

impl Seats {
    pub fn new(max: u32) -> Self {
        Seats {
            table: (0..max).map(|_| AtomicPtr::new(ptr::null_mut())).collect(),
            taken_ever: AtomicUsize::new(0),
            free: Lock::default(),
        }
    }

    /// The seats that have ever been taken.
    pub fn iter(&self) -> impl Iterator<Item = &Seat> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// How many seats have ever been taken.
    pub fn len(&self) -> usize {
        // Relaxed: a seat that is not seen yet is seen when its first work is announced (rule 1 of `idle`).
        self.taken_ever.load(Ordering::Relaxed)
    }

    /// The seat at `index`, if it has been taken before.
    pub fn get(&self, index: usize) -> Option<&Seat> {
        // Acquire pairs with the Release in `take`. SAFETY: seats are freed only with the table.
        unsafe { self.table.get(index)?.load(Ordering::Acquire).as_ref() }
    }

    /// Reserves a free seat, the one with the lowest number, for the first have CPUs of their own; `furnish` makes one that was
    /// never used, or fails.
    pub fn take(&self, furnish: impl FnOnce(usize) -> Option<Seat>) -> Option<usize> {
        let mut free = self.free.lock();
        if let Some(Reverse(index)) = free.pop() {
            return Some(index);
        }
        let index = self.len();
        let seat = Box::into_raw(Box::new(furnish(index)?));
        self.table[index].store(seat, Ordering::Release);
        self.taken_ever.store(index + 1, Ordering::Release);
        Some(index)
    }

    /// The owner's side of a reserved seat.
    pub fn sit_down(&self, index: usize) -> Box<Worker> {
        let seat = self.get(index).expect("the seat was reserved");
        seat.vacant.lock().take().expect("a reserved seat is vacant")
    }

    /// Leaves a seat to the next.
    pub fn vacate(&self, worker: Box<Worker>) {
        let index = worker.index();
        self.stand_up(worker);
        self.give_back(index);
    }

    /// Leaves a seat; it stays reserved.
    pub fn stand_up(&self, worker: Box<Worker>) {
        let seat = self.get(worker.index()).expect("the seat was reserved");
        *seat.vacant.lock() = Some(worker);
    }

    /// Gives a vacant seat back.
    pub fn give_back(&self, index: usize) {
        self.free.lock().push(Reverse(index));
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        for seat in &mut self.table {
            let seat = *seat.get_mut();
            if !seat.is_null() {
                // SAFETY: made by Box::into_raw in `take`; nobody else holds the table.
                drop(unsafe { Box::from_raw(seat) });
            }
        }
    }
}
