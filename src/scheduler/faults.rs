//! Faults on demand, for the crate's own tests: what no test can bring about from outside, such as a worker thread that
//! fails between tasks. In every other build this is nothing.

use std::io;

/// Where a worker's loop can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// After a task.
    Busy,
    /// While it looks for one.
    Searching,
    /// When it has lain down.
    Resting,
}

#[cfg(not(test))]
#[derive(Default)]
pub struct Faults {}

#[cfg(not(test))]
impl Faults {
    #[inline(always)]
    pub fn at(&self, _: Point) {}

    #[inline(always)]
    pub fn at_start(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub use armed::Faults;

#[cfg(test)]
mod armed {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// How many faults are to come.
    #[derive(Default)]
    pub struct Faults {
        failures: [AtomicU32; 3],
        refusals: AtomicU32,
    }

    fn is_due(faults: &AtomicU32) -> bool {
        faults.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    impl Faults {
        /// The next `count` times that a worker passes there, its loop fails.
        pub fn fail(&self, point: Point, count: u32) {
            self.failures[point as usize].store(count, Ordering::Relaxed);
        }

        /// The next `count` threads are refused.
        pub fn refuse_threads(&self, count: u32) {
            self.refusals.store(count, Ordering::Relaxed);
        }

        /// Faults at this point that are still to come.
        pub fn due(&self, point: Point) -> u32 {
            self.failures[point as usize].load(Ordering::Relaxed)
        }

        pub fn at(&self, point: Point) {
            if is_due(&self.failures[point as usize]) {
                std::panic::resume_unwind(Box::new("a fault of a test's"));
            }
        }

        pub fn at_start(&self) -> io::Result<()> {
            if is_due(&self.refusals) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        }
    }
}
