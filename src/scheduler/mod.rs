//! Where work runs.
//!
//! A [`Runtime`] keeps `workers` threads busy. Tasks spawned by a task go to its thread's own deque (newest
//! first); tasks from outside go to the [`inbox`] (oldest first); a thread that has neither steals from the
//! others, nearest first ([`victims`]). Halves of joins sit in a deque of their own, so that a join only ever finds
//! its own half there.
//!
//! [`idle`] decides who sleeps and who is woken. A thread that blocks inside a task passes its turn on: the
//! runtime owns more threads than run at once, up to `max_threads`, and starts or wakes one when there is
//! something to run and a turn is free. Spare threads leave after `keep_alive`.

pub mod idle;
pub mod region;

#[cfg(not(weft_loom))]
mod default;
#[cfg(not(weft_loom))]
mod inbox;
#[cfg(not(weft_loom))]
mod options;
#[cfg(not(weft_loom))]
mod placement;
#[cfg(not(weft_loom))]
pub mod places;
#[cfg(not(weft_loom))]
mod runtime;
#[cfg(not(weft_loom))]
mod seat;
#[cfg(not(weft_loom))]
mod stats;
#[cfg(not(weft_loom))]
pub mod task;
#[cfg(not(weft_loom))]
pub mod victims;
#[cfg(not(weft_loom))]
mod worker;

#[cfg(not(weft_loom))]
pub use {
    default::{configure_default, default_runtime, shutdown_default},
    options::{MAX_WORKERS, Options, WorkerHook},
    places::Policy,
    runtime::{Core, RUNTIME_TAG},
    runtime::{Mode, Runtime},
    stats::{Stats, WorkerStats, mean, share},
    task::Work,
    worker::Worker,
};

#[cfg(all(test, not(weft_loom)))]
mod tests;
