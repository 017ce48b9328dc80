//! Finding work, from what is the thread's own to what is farthest away.

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use crossbeam_deque::Steal;

use super::super::lanes::{self, Priority};
use super::super::places::Places;
use super::super::task::{Header, Task};
use super::{Awaited, TaskPtr, Unit, Worker};
use crate::sync::spin;

/// How many tasks a worker takes before it looks past the one whose turn it is. So tasks that keep spawning tasks starve nobody,
/// urgent ones included: each of the eight kinds below gets one pick in 488 of every worker at least.
const FAIRNESS: u32 = 61;

/// What gets a pick now and then, whatever else there is.
const TURNS: u32 = 8;

/// Sweeps over the others before a thread lies down, and the pauses between them: some ten microseconds. A thread whose waits
/// pay makes up to three times as many, which is about what going to sleep and being woken costs.
pub(super) const SWEEPS: u32 = 8;
const PATIENT_SWEEPS: u32 = 24;
/// As many if whoever has the work may be waiting for this CPU.
const FEW_SWEEPS: u32 = 1;
const PAUSES: u32 = 32;

impl Worker {
    /// Work that is this thread's own, or anybody's.
    pub(super) fn find_near(&self) -> Option<Unit> {
        let ticks = self.ticks.get().wrapping_add(1);
        self.ticks.set(ticks);
        let fair = if ticks.is_multiple_of(FAIRNESS) { self.take_in_turn(ticks / FAIRNESS) } else { None };
        fair.or_else(|| self.take_urgent())
            .or_else(|| self.take_own())
            .or_else(|| self.take_pinned())
            .or_else(|| self.take_share())
    }

    /// What would otherwise have to wait for the end of what comes before it.
    #[cold]
    fn take_in_turn(&self, turn: u32) -> Option<Unit> {
        // Each time round another node's lanes come first.
        let node = (turn / TURNS) as usize % self.core().lanes.nodes();
        match turn % TURNS {
            0 => self.take_share(),
            1 => self.take_oldest(),
            2 => self.take_pinned(),
            3 => self.take_left_behind(),
            4 => self.take_one(Priority::Low, node),
            5 => self.take_one(Priority::Normal, node),
            6 => self.take_one(Priority::High, node),
            _ => self.take_one(Priority::Critical, node),
        }
    }

    /// CRITICAL or HIGH work.
    fn take_urgent(&self) -> Option<Unit> {
        if !self.core().lanes.has_urgent() {
            return None;
        }
        let home = self.home();
        self.take_one(Priority::Critical, home).or_else(|| self.take_one(Priority::High, home))
    }

    pub(super) fn take_one(&self, priority: Priority, node: usize) -> Option<Unit> {
        let mut share = [None];
        self.take_from_lanes(priority, node, 1, &mut share);
        let node = share[0]?;
        self.priority.set(priority);
        // SAFETY: the lanes hand each task out once.
        Some(Unit::Task(unsafe { Task::from_raw(node) }))
    }

    /// From the lanes of the node `first`, else from the nearest that have some.
    fn take_from_lanes(
        &self,
        priority: Priority,
        first: usize,
        sharers: usize,
        share: &mut [Option<NonNull<Header>>],
    ) -> usize {
        let lanes = &self.core().lanes;
        // Most runtimes have no places; then there is nothing to look up.
        if lanes.nodes() == 1 {
            return lanes.take(priority, [0], sharers, share);
        }
        let places = self.stand.places();
        let others = places.lanes(self.index, lanes.nodes()).filter(|&node| node != first);
        lanes.take(priority, std::iter::once(first).chain(others), sharers, share)
    }

    fn take_pinned(&self) -> Option<Unit> {
        let mut pinned = self.pinned.take();
        let node = pinned.pop();
        self.pinned.set(pinned);
        let node = node?;
        self.counters().local_hits.add_one();
        // SAFETY: the queue hands each task out once.
        Some(Unit::Task(unsafe { Task::from_raw(node) }))
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

    /// Takes a share of an outbox or a lane, in turn: the oldest to run now, the others into the own deque, where the oldest of
    /// them is taken next and thieves take the newest.
    fn take_share(&self) -> Option<Unit> {
        let core = self.core();
        let mut share = [None; lanes::BATCH];
        let sharers = core.workers() as usize;
        let home = self.home();
        let from_lane = |share: &mut [_; lanes::BATCH]| self.take_from_lanes(Priority::Normal, home, sharers, share);
        // Whose turn it is is not told by the number of the pick, which runs in step with the length of the shares.
        let lane_first = !self.lane_first.replace(!self.lane_first.get());
        let mut count = if lane_first { from_lane(&mut share) } else { 0 };
        if count == 0 {
            count = core.outboxes.take(&self.next_outbox, sharers, &mut share);
        }
        if count == 0 {
            count = from_lane(&mut share);
        }
        let (&first, others) = share[..count].split_first()?;
        for node in others.iter().rev().copied().flatten() {
            self.tasks.push(TaskPtr(node));
        }
        if count > 1 {
            // They were out of everybody's sight for a moment.
            core.notify();
        }
        // SAFETY: the lanes hand each task out once.
        first.map(|node| Unit::Task(unsafe { Task::from_raw(node) }))
    }

    /// Looks for work everywhere, a bounded number of times. LOW comes when there is nothing else.
    pub(super) fn search(&self) -> Option<Unit> {
        let sweeps = if self.crowded.get() { FEW_SWEEPS } else { self.sweeps.get() };
        for sweep in 0..sweeps {
            let found = self.take_urgent().or_else(|| self.take_share()).or_else(|| self.steal());
            if let Some(unit) = found.or_else(|| self.take_one(Priority::Low, self.home())) {
                if sweep >= SWEEPS / 2 {
                    self.sweeps.set((sweeps * 2).min(PATIENT_SWEEPS));
                }
                return Some(unit);
            }
            // Whoever else wants this CPU may be the one that has the work.
            if sweep == SWEEPS && spin::cpu_is_wanted() {
                break;
            }
            for _ in 0..PAUSES * sweep.min(SWEEPS) {
                std::hint::spin_loop();
            }
        }
        if !self.crowded.get() {
            self.sweeps.set((sweeps / 2).max(SWEEPS));
        }
        None
    }

    /// One sweep over all other seats, from the nearest: halves of joins first, for somebody waits for them.
    fn steal(&self) -> Option<Unit> {
        let seats = &self.core().seats;
        let places = self.stand.places();
        if let Some(unit) = self.steal_awaited(&places) {
            return Some(unit);
        }
        let mut retry = true;
        while std::mem::take(&mut retry) {
            for index in self.stand.victims(&places, seats.len(), self.next_random()) {
                let Some(victim) = seats.get(index) else { continue };
                match victim.region.steal() {
                    Some(stolen) => return Some(self.stolen(Unit::Half(stolen), &places, index)),
                    None => victim.region.ask(),
                }
                match victim.tasks.steal_batch_and_pop(&self.tasks) {
                    Steal::Success(TaskPtr(node)) => {
                        // SAFETY: the deques hand each task out once.
                        return Some(self.stolen(Unit::Task(unsafe { Task::from_raw(node) }), &places, index));
                    }
                    Steal::Retry => retry = true,
                    Steal::Empty => {}
                }
            }
        }
        self.counters().failed_steals.add_one();
        None
    }

    /// A sweep over the other threads, without disturbing them: what a thread has left there that is blocked, or has been sent
    /// to sleep because there were too many awake.
    fn take_left_behind(&self) -> Option<Unit> {
        let seats = &self.core().seats;
        let places = self.stand.places();
        for index in self.stand.victims(&places, seats.len(), self.next_random()) {
            let Some(victim) = seats.get(index) else { continue };
            if let Some(stolen) = victim.region.steal() {
                return Some(self.stolen(Unit::Half(stolen), &places, index));
            }
            if let Steal::Success(TaskPtr(node)) = victim.tasks.steal() {
                // SAFETY: the deques hand each task out once.
                return Some(self.stolen(Unit::Task(unsafe { Task::from_raw(node) }), &places, index));
            }
        }
        None
    }

    /// A sweep for what blocked threads wait for. A thread that takes something else may block as well, and so on up to the last
    /// one, while what would let them all go on is in the queues.
    fn steal_awaited(&self, places: &Places) -> Option<Unit> {
        let core = self.core();
        if !core.idle.has_blocked() {
            return None;
        }
        for index in self.stand.victims(places, core.seats.len(), self.next_random()) {
            let Some(victim) = core.seats.get(index) else { continue };
            let awaited = victim.awaited.load(Ordering::Relaxed);
            if awaited == Awaited::Tasks as u32 {
                if let Steal::Success(TaskPtr(node)) = victim.tasks.steal() {
                    // SAFETY: the deques hand each task out once.
                    return Some(self.stolen(Unit::Task(unsafe { Task::from_raw(node) }), places, index));
                }
            } else if awaited == Awaited::Halves as u32
                && let Some(stolen) = victim.region.steal()
            {
                return Some(self.stolen(Unit::Half(stolen), places, index));
            }
        }
        None
    }

    fn stolen(&self, unit: Unit, places: &Places, victim: usize) -> Unit {
        self.counters().steals.add_one();
        if places.node_of(victim) != places.node_of(self.index) {
            self.counters().remote_steals.add_one();
        }
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
