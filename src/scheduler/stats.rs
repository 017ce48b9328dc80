//! What a runtime has done.
//!
//! Counters are words that only their thread writes, in the thread's own cache lines; a reader adds them up. Time is
//! measured where a thread goes from one kind of time to another, never for each task: a clock costs as much as a short task.

use std::sync::atomic::{AtomicU64, Ordering};

use super::lanes::LaneStats;
use crate::platform::clock::now_ns;

/// A counter with one writer.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one. Only the owning thread calls this, so a load and a store suffice.
    pub fn add_one(&self) {
        // Release pairs with the Acquire in `get`: who sees a task counted as run finds it counted as spawned afterwards.
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Time spent in one way, in nanoseconds, with one writer. One word, so that a reader never sees half of a change: twice the
/// time, or, while the watch runs, twice the moment at which it would have begun had it never stopped, plus one.
#[derive(Default)]
pub struct Stopwatch(AtomicU64);

impl Stopwatch {
    /// Starts a watch that stands. Only the owning thread calls this.
    pub fn start(&self, now: u64) {
        let time = self.0.load(Ordering::Relaxed) >> 1;
        self.0.store(now.wrapping_sub(time) << 1 | 1, Ordering::Relaxed);
    }

    /// Stops a watch that runs. Only the owning thread calls this.
    pub fn stop(&self, now: u64) {
        self.0.store(self.shows(|| now) << 1, Ordering::Relaxed);
    }

    /// What the watch shows. While it runs, a reader may be ahead of the owner, who has read its clock and not stopped the
    /// watch yet: then the next look shows that moment less.
    fn shows(&self, now: impl FnOnce() -> u64) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        if word & 1 == 0 { word >> 1 } else { now().saturating_sub(word >> 1) }
    }

    fn get(&self) -> u64 {
        self.shows(|| now_ns() as u64)
    }
}

/// How a thread spends its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// There is no thread.
    Nothing,
    /// Runs tasks.
    Busy,
    /// Looks for one, or sleeps.
    Idle,
    /// Waits inside a task.
    Blocked,
}

impl Counters {
    /// The thread goes from one way of spending its time to another.
    pub fn turn(&self, from: Doing, to: Doing) {
        let now = now_ns() as u64;
        if let Some(watch) = self.watch(from) {
            watch.stop(now);
        }
        if let Some(watch) = self.watch(to) {
            watch.start(now);
        }
    }

    fn watch(&self, doing: Doing) -> Option<&Stopwatch> {
        match doing {
            Doing::Nothing => None,
            Doing::Busy => Some(&self.busy_ns),
            Doing::Idle => Some(&self.idle_ns),
            Doing::Blocked => Some(&self.blocked_ns),
        }
    }
}

/// What share of `part + rest` is `part`; 0 when both are.
pub fn share(part: u64, rest: u64) -> f64 {
    mean(part, part as f64 + rest as f64)
}

/// `total` for each of `count`; 0 when there are none.
pub fn mean(total: u64, count: f64) -> f64 {
    if count > 0.0 { total as f64 / count } else { 0.0 }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $kind:ident,)*) => {
        /// One thread's counters.
        #[derive(Default)]
        #[repr(align(128))]
        pub struct Counters { $($(#[$doc])* pub $name: $kind,)* }

        /// A snapshot of one worker.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct WorkerStats {
            /// The CPU that its thread is bound to, by the system's number; -1: none.
            pub cpu: i32,
            /// Its NUMA node, where threads have places.
            pub node: u32,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl WorkerStats {
            pub(super) fn of(counters: &Counters, cpu: i32, node: u32) -> Self {
                WorkerStats { cpu, node, $($name: counters.$name.get(),)* }
            }
        }

        /// A snapshot of a runtime.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            /// Threads that run at once.
            pub workers: u32,
            /// Threads there are.
            pub threads: u32,
            /// The most there have been.
            pub threads_peak: u32,
            /// Threads with a turn.
            pub active: u32,
            /// Threads asleep.
            pub idle: u32,
            /// Threads that wait inside a task.
            pub blocked: u32,
            /// Times `max_threads` kept work from starting.
            pub ceiling_hits: u64,
            /// Times work was queued and every thread blocked, with none to be had.
            pub stalls: u64,
            /// Threads started beyond `workers`, because others were blocked.
            pub spares_started: u64,
            /// Threads that left because they were too many for too long.
            pub spares_retired: u64,
            /// Threads the system refused.
            pub start_failures: u64,
            /// Times the system refused a thread its CPU.
            pub pin_failures: u64,
            /// Tasks that wait, wherever but pinned to a thread.
            pub queued: u64,
            /// The lanes, in the order of `Priority::ALL`.
            pub lanes: [LaneStats; 4],
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Stats {
            pub(super) fn add(&mut self, counters: &Counters) {
                $(self.$name += counters.$name.get();)*
            }
        }
    };
}

counters! {
    /// Tasks accepted.
    spawned: Counter,
    /// Tasks run to the end, panicked ones included.
    executed: Counter,
    /// Tasks dropped unrun by a shutdown.
    discarded: Counter,
    /// Callbacks that ended in a panic.
    panicked: Counter,
    /// Threads that failed between tasks and were replaced.
    replaced: Counter,
    /// Times halves of joins were shared because another thread had asked, or because their owner blocked.
    shared: Counter,
    /// Tasks taken from the thread's own queue.
    local_hits: Counter,
    /// Tasks and halves taken from other threads, one for each theft.
    steals: Counter,
    /// Of these, from threads on another NUMA node.
    remote_steals: Counter,
    /// Sweeps over all other threads that found nothing.
    failed_steals: Counter,
    /// Times a worker went to sleep idle.
    parks: Counter,
    /// Times a sleeping worker was woken.
    wakes: Counter,
    /// Times a thread waited inside a task and passed its turn on.
    blocks: Counter,
    /// Nanoseconds spent with tasks, without those blocked in one.
    busy_ns: Stopwatch,
    /// Nanoseconds spent looking for work, or asleep.
    idle_ns: Stopwatch,
    /// Nanoseconds spent waiting inside a task.
    blocked_ns: Stopwatch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopwatch_adds_up_and_can_be_read_while_it_runs() {
        let watch = Stopwatch::default();
        let at = |now| watch.shows(|| now);
        assert_eq!(at(5), 0);
        watch.start(100);
        assert_eq!((at(100), at(130), at(99)), (0, 30, 0));
        watch.stop(150);
        assert_eq!(at(1000), 50);
        watch.start(1000);
        assert_eq!(at(1001), 51);
        watch.stop(1010);
        assert_eq!(at(0), 60);
    }

    #[test]
    fn time_goes_to_one_account_at_a_time() {
        let counters = Counters::default();
        counters.turn(Doing::Nothing, Doing::Idle);
        counters.turn(Doing::Idle, Doing::Busy);
        assert!(counters.idle_ns.0.load(Ordering::Relaxed) & 1 == 0);
        assert!(counters.busy_ns.0.load(Ordering::Relaxed) & 1 == 1);
        counters.turn(Doing::Busy, Doing::Blocked);
        counters.turn(Doing::Blocked, Doing::Nothing);
        let stats = WorkerStats::of(&counters, -1, 0);
        assert_eq!(stats, WorkerStats::of(&counters, -1, 0), "nothing runs any more");
    }

    #[test]
    fn derived_values_are_numbers() {
        assert_eq!([share(0, 0), share(3, 1), share(0, 7), share(7, 0)], [0.0, 0.75, 0.0, 1.0]);
        assert_eq!(share(u64::MAX, u64::MAX), 0.5);
        assert_eq!([mean(0, 0.0), mean(9, 0.0), mean(9, 2.0)], [0.0, 0.0, 4.5]);
    }
}
