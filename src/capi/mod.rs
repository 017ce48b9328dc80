//! The C ABI: one file per noun, and in each function a panic boundary, argument checks, one call into the
//! crate. No logic.
//!
//! `include/weft/weft.h` is made from these files, in the order of `SECTIONS` in `tools/header`; the doc
//! comments here are its comments, so they are written for C readers.
// The names are C's. The contract of every function is in its comment and in the rules at the top of the header.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

mod args;
mod boundary;
mod handle;
mod message;

pub mod breaker;
pub mod breaker_watch;
pub mod bytes;
pub mod call;
pub mod cancel;
pub mod channel;
pub mod combine;
pub mod context;
pub mod context_kind;
pub mod context_pool;
mod context_process;
pub mod deadlock;
pub mod descriptor;
pub mod fork;
pub mod future;
pub mod join;
pub mod kinds;
pub mod link;
pub mod local;
pub mod log;
pub mod loops;
pub mod mutex;
pub mod poll;
pub mod process;
pub mod process_host;
pub mod process_pool;
pub mod runtime;
pub mod select;
pub mod serve;
pub mod status;
pub mod submit;
pub mod task;
pub mod timer;
pub mod topology;
pub mod types;
pub mod watch;
