//! How threads wait for each other.
//!
//! Everything that can block goes through [`wait::Waiter`]: one wait has one claim word, and whoever
//! wants to end the wait (the one who fires it, a timeout, a signal) must win that word first. A thread
//! that is about to park tells the [`park::Hook`] its scheduler installed, so the layer itself knows no
//! scheduler. [`lock::Lock`] guards short critical sections, [`tokens::Tokens`] counts wake-ups for idle
//! workers and [`semaphore::Semaphore`] for idle guests, [`bell::Bell`] has threads look again.
//!
//! [`mutex::Mutex`] is the program's; [`waits`] knows who waits for whom, and finds rings.
//!
//! [`asymmetric`] moves a fence from those who pass often to those who pass rarely;
//! [`slip`] keeps two sides of a queue out of each other's cache.
//!
//! [`atomic`] is the facade that lets loom check the very code that ships.

pub mod asymmetric;
pub mod atomic;
pub mod bell;
pub mod cancel;
pub mod deadline;
pub mod futex;
pub mod gate;
pub mod interrupt;
pub mod lock;
pub mod mutex;
pub mod outside;
pub mod park;
pub mod select;
pub mod semaphore;
pub mod slip;
pub mod spin;
pub mod tokens;
pub mod turn;
pub mod wait;
pub mod waits;

pub use bell::Bell;
pub use deadline::Deadline;
pub use gate::Gate;
pub use lock::Lock;
pub use semaphore::Semaphore;

/// Runs a model with a bound on the preemptions in one execution. Faults of protocols like these show with two or three;
/// without a bound three threads take hours.
#[cfg(all(test, weft_loom))]
pub(crate) fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}
