//! Where something runs: one interface to all the places there are.
//!
//! A [`context::Context`] has a function called with some bytes, and keeps what it gives or why it failed: on the thread that
//! executes, on one of its own, as a task, in a forked copy of the process, on a thread that shares nothing, or wherever a
//! [registered](registry) kind has it called ([`kind`]). [`life`] decides between what comes together: execute, terminate, the
//! end. Each [run](run) has a token by which it is asked to stop, and a future by which everybody waits, so waits end here as
//! they do everywhere.
//!
//! A forked child ([`fork`]) leaves its result in a file in memory, of whatever size; its end is noticed by the reactor, which
//! reaps it and nobody else. A [`pool::Pool`] bounds how many run at once, by [`permits`].

#[cfg(not(weft_loom))]
#[allow(clippy::module_inception)]
pub mod context;
#[cfg(not(weft_loom))]
pub mod fork;
#[cfg(not(weft_loom))]
mod here;
#[cfg(not(weft_loom))]
pub mod isolate;
#[cfg(not(weft_loom))]
pub mod kind;
pub mod life;
pub mod mailbox;
pub mod permits;
#[cfg(not(weft_loom))]
pub mod pool;
#[cfg(not(weft_loom))]
pub mod registry;
#[cfg(not(weft_loom))]
pub mod run;

#[cfg(all(test, not(weft_loom)))]
mod tests;
