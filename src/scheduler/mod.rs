//! Where work runs.
//!
//! A [`Runtime`] keeps `workers` threads busy. Tasks spawned by a task go to its thread's own deque (newest
//! first); tasks from outside go to an [`outbox`] of their thread's, tasks with a priority or a node to the [`lanes`]
//! (both oldest first); a thread that finds nothing there steals from the others, nearest first
//! ([`victims`]). Halves of joins are on a stack of their own ([`region`]).
//!
//! A task is its own queue entry ([`node`]), in a block that goes round ([`blocks`]) or in the caller's memory, where one
//! word tells whether it is queued ([`claim`]).
//!
//! Tasks that wait for something before they are queued are held (`held`); poll tasks come back whenever they are woken
//! (`polled`, [`wakes`]).
//!
//! [`idle`] decides who sleeps and who is woken. A thread that blocks inside a task passes its turn on: the
//! runtime owns more threads than run at once, up to `max_threads`, and starts or wakes one when there is
//! something to run and a turn is free. Spare threads leave after `keep_alive`. How many run at once can be changed
//! ([`resize`]). A runtime can also do without threads of its own: those of the program come as [`guests`]. Timers queue
//! tasks when their time has come ([`timed`]), and descriptors when they are ready (`ready`).

pub mod blocks;
pub mod claim;
pub mod holding;
pub mod idle;
pub mod lanes;
pub mod node;
pub mod outbox;
pub mod region;
pub mod stall;
pub mod timed;
pub mod wakes;

#[cfg(not(weft_loom))]
mod default;
#[cfg(not(weft_loom))]
mod faults;
#[cfg(not(weft_loom))]
pub mod frame;
#[cfg(not(weft_loom))]
mod guests;
#[cfg(not(weft_loom))]
mod held;
#[cfg(not(weft_loom))]
mod home;
#[cfg(not(weft_loom))]
mod locals;
#[cfg(not(weft_loom))]
mod options;
#[cfg(not(weft_loom))]
mod placement;
#[cfg(not(weft_loom))]
pub mod places;
#[cfg(not(weft_loom))]
mod polled;
#[cfg(not(weft_loom))]
mod ready;
#[cfg(not(weft_loom))]
mod resize;
#[cfg(not(weft_loom))]
mod runtime;
#[cfg(not(weft_loom))]
mod seat;
#[cfg(not(weft_loom))]
mod stats;
#[cfg(not(weft_loom))]
mod submitter;
#[cfg(not(weft_loom))]
pub mod task;
#[cfg(not(weft_loom))]
pub mod victims;
#[cfg(not(weft_loom))]
mod worker;

#[cfg(not(weft_loom))]
pub use {
    claim::Refusal,
    default::{configure_default, default_runtime, shutdown_default},
    guests::Run,
    held::Held,
    lanes::{LaneStats, Priority},
    locals::{Key, Local},
    options::{Kind, MAX_WORKERS, Options, WorkerHook},
    placement::allowed,
    places::Policy,
    polled::{First, Poll, Polled},
    ready::{OnReady, Readied},
    runtime::{Core, RUNTIME_TAG},
    runtime::{Mode, NotSubmitted, Place, Runtime},
    stall::watcher::{Stall, StallHook},
    stats::{Stats, WorkerStats, mean, share},
    task::{Owner, Slot, Work},
    timed::{Job, Timed},
    worker::{Worker, watch_waits},
};

#[cfg(all(test, not(weft_loom)))]
mod tests;
