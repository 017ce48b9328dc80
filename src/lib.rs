//! Weft: one concurrency runtime behind one C ABI.
//!
//! The crate is a house of rooms; a room uses only rooms below it:
//!
//! ```text
//! capi/                            the C ABI: conversion and nothing else
//! context/                         where something runs: inline, thread, task, fork, isolated; pools of such
//! process/                         pools of worker processes
//! ipc/                             links: frames between processes
//! parallel/   channel/  future/    join and loops; queues with two ends; results
//! breaker/                         whether to call at all
//! scheduler/                       workers, queues, sleeping
//! time/       observe/             the clock, timers, the reactor; logs (others emit into it)
//! sync/                            the waiting protocol, locks, the model-checking facade
//! memory/     topology/            handles and bytes; what this machine looks like
//! platform/                        the only room with raw system calls
//! error, panics                    statuses and failures; containing callbacks; known to all
//! ```
//!
//! C programs meet the crate as `include/weft/weft.h`, which is generated from `capi`. Built with
//! `--cfg weft_loom`, only the rooms that hold waiting or lock-free protocols are compiled, on top
//! of loom's atomics, together with their models.

#![cfg_attr(weft_loom, allow(missing_docs, dead_code, clippy::undocumented_unsafe_blocks))]

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("Weft supports Linux on x86-64 and aarch64; src/platform is the room to port");

#[cfg(not(panic = "unwind"))]
compile_error!("Weft isolates panics by unwinding: build it with panic = \"unwind\"");

pub mod breaker;
pub mod channel;
pub mod context;
pub mod error;
pub mod future;
pub mod ipc;
pub mod memory;
pub mod panics;
pub mod platform;
pub mod process;
pub mod sync;
pub mod time;

#[cfg(not(weft_loom))]
pub mod capi;
pub mod observe;
#[cfg(not(weft_loom))]
pub mod parallel;
pub mod scheduler;
#[cfg(not(weft_loom))]
pub mod topology;
