//! When things happen: a clock that can be injected, and timers.
//!
//! [`wheel::Wheel`] is the data structure: it is told the time and gives what has expired. [`timers::Timers`] puts it
//! behind a lock, so that any thread arms and stops; what expires is called by whoever turns it. In a process that is one
//! thread ([`driver`]), started on first use, which sleeps in the kernel until something is due. It wakes, triggers and
//! queues; code of the user's never runs on it. In tests it is the test, with a clock that is set by hand.
//!
//! Waits with a timeout do not come here: a sleep in the kernel has a deadline of its own.

#[cfg(not(weft_loom))]
mod alarm;
pub mod clock;
#[cfg(not(weft_loom))]
pub mod driver;
pub mod entry;
pub mod timers;
pub mod wheel;

#[cfg(not(weft_loom))]
pub use alarm::Alarm;
#[cfg(not(weft_loom))]
pub use driver::{Timer, prepare};
pub use entry::{Action, Entry};
pub use timers::Group;
