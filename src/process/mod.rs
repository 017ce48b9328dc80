//! Pools of worker processes: calls that cost a worker cost nothing else.
//!
//! ```text
//! caller -> dispatch -> link ~~~~> serve -> handler
//!   ^          ^ (who waits)              |
//! future <- attendant <- link <~~~~~~~~~~~/
//!              | birth, death, backoff
//! ```
//!
//! Each seat of a [`pool::Pool`] has an [`attendant`]: a thread that stays as long as the seat, makes the seat's worker, receives from
//! its link, settles what it answers, learns of its death, reaps it, sees to the calls it had, and makes the next. Workers are children
//! of that thread, which outlives them, so that they can be made to die with it. Callers send themselves, from their own threads;
//! [`dispatch`] says to whom, and [`call`] whose a call is while that is going on.
//!
//! **A worker that dies costs the call it had begun.** Others that were in its window are sent to another one. With a window of one,
//! a call that was sent counts as begun; with more, the worker tells when it begins each. What had begun fails with WEFT_DIED, or is tried
//! again if its caller has said that this may be.
//!
//! **Each call is answered once**, by its reply, its worker's death, its timeout, or a request to stop, whoever comes first. Ids are
//! never used twice; an answer that comes late is counted and dropped, and one that nobody asked for ends the worker.
//!
//! [`serve`] is the other end: what a worker runs.

pub mod call;
pub mod poke;

#[cfg(not(weft_loom))]
pub mod attendant;
#[cfg(not(weft_loom))]
pub mod birth;
#[cfg(not(weft_loom))]
pub mod dispatch;
#[cfg(not(weft_loom))]
pub mod host;
#[cfg(not(weft_loom))]
pub mod options;
#[cfg(not(weft_loom))]
pub mod pool;
#[cfg(not(weft_loom))]
mod rest;
#[cfg(not(weft_loom))]
pub mod restarts;
#[cfg(not(weft_loom))]
pub mod serve;
#[cfg(not(weft_loom))]
pub mod wire;

#[cfg(not(weft_loom))]
pub use options::Options;
#[cfg(not(weft_loom))]
pub use pool::{Answer, Pool};
