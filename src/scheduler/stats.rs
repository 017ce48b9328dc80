//! What a runtime has done.
//!
//! Counters are words that only their thread writes, in the thread's own cache lines; a reader adds them up.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter with one writer.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one. Only the owning thread calls this, so a load and a store suffice.
    pub fn add_one(&self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One thread's counters.
        #[derive(Default)]
        #[repr(align(128))]
        pub struct Counters { $($(#[$doc])* pub $name: Counter,)* }

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
            /// Threads the system refused.
            pub start_failures: u64,
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
    spawned,
    /// Tasks run to the end, panicked ones included.
    executed,
    /// Tasks dropped unrun by a shutdown.
    discarded,
    /// Callbacks that ended in a panic.
    panicked,
    /// Times halves of joins were shared because another thread had asked, or because their owner blocked.
    shared,
    /// Tasks taken from the thread's own queue.
    local_hits,
    /// Tasks and halves taken from other threads, one for each theft.
    steals,
    /// Of these, from threads on another NUMA node.
    remote_steals,
    /// Sweeps over all other threads that found nothing.
    failed_steals,
    /// Times a worker went to sleep idle.
    parks,
    /// Times a sleeping worker was woken.
    wakes,
    /// Times a thread waited inside a task and passed its turn on.
    blocks,
}
