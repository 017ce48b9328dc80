//! When things happen: a clock that can be injected, timers, and descriptors that get ready.
//!
//! [`wheel::Wheel`] is the data structure: it is told the time and gives what has expired. [`timers::Timers`] puts it
//! behind a lock, so that any thread arms and stops; what expires is called by whoever turns it. In a process that is one
//! thread ([`reactor`]), started on first use, which sleeps in the kernel until something is due. Timers wake, trigger and
//! queue; code of the user's never runs in them. In tests it is the test, with a clock that is set by hand.
//!
//! The same thread sleeps for descriptors, of the program and of rooms above: [`watches::Watches`] has what is called when
//! they are ready. Rooms above queue what the program wants to be called.
//!
//! [`now::Now`] is the clock of those who only look at it.
//!
//! Waits with a timeout do not come here: a sleep in the kernel has a deadline of its own.

#[cfg(not(weft_loom))]
mod alarm;
pub mod clock;
#[cfg(not(weft_loom))]
pub mod driver;
pub mod entry;
pub mod now;
#[cfg(not(weft_loom))]
pub mod reactor;
pub mod timers;
pub mod watches;
pub mod wheel;

#[cfg(not(weft_loom))]
pub use alarm::Alarm;
#[cfg(not(weft_loom))]
pub use driver::{Timer, prepare};
pub use entry::{Action, Entry};
pub use now::Now;
pub use timers::Group;
