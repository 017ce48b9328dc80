//! Links: frames between two processes, in order, both ways.
//!
//! ```text
//! send -> turn -> frame -> pieces -> wire: ring  ~~~~~~~>  wire -> pieces -> frame -> turn -> receive
//!                                          socket (a byte for who sleeps; the end of the peer)
//! ```
//!
//! [`link::Link`] is one end. Threads that send take turns, and so do those that receive ([`crate::sync::turn`]), so each ring has
//! one producer and one consumer ([`ring`]). While both ends are busy nothing but memory is touched: two indices, and a
//! word that says whether the other side sleeps. Who finds nothing to do spins a little and then sleeps in poll(2) on
//! the socket, which is also where its wake-up comes from and where the death of the peer shows ([`sleep`]). Not on a futex: a
//! thread sleeps on one at a time, and the one that the peer wakes would be in memory that the peer writes; a token, an
//! interrupt or a close in this process would have to come in by the same door, which a hostile peer could hold shut. A
//! descriptor more in the same call costs nothing, and the peer's death wakes the sleeper itself. Those who find room, and do not
//! sleep, learn of it from the reactor.
//!
//! **The peer is not trusted.** Each index, length and kind is read from shared memory once, into memory of this process, and
//! checked there; bytes are copied out before anybody looks at them. What cannot be is WEFT_PROTOCOL, from then on. The memory
//! cannot shrink ([`segment`]). A frame that claims to be long gets memory as its bytes come ([`frame`]).
//!
//! **Nothing is lost, nothing hangs.** Who learns that the peer is gone looks at the ring once more, afterwards. A sender that
//! waits takes in what the peer sends ([`send`]), so that two of them do not wait for each other.

pub mod ring;

#[cfg(not(weft_loom))]
mod descriptor;
#[cfg(not(weft_loom))]
pub mod frame;
#[cfg(not(weft_loom))]
pub mod link;
#[cfg(not(weft_loom))]
pub mod receive;
#[cfg(not(weft_loom))]
pub mod segment;
#[cfg(not(weft_loom))]
pub mod send;
#[cfg(not(weft_loom))]
pub mod sleep;
#[cfg(not(weft_loom))]
pub mod stats;
#[cfg(not(weft_loom))]
mod view;
#[cfg(not(weft_loom))]
mod wire;

#[cfg(not(weft_loom))]
pub use frame::{Frame, Head, Sink};
#[cfg(not(weft_loom))]
pub use link::{Link, Options, Patience, Transport, pair};

#[cfg(all(test, not(weft_loom)))]
mod hostile;
#[cfg(all(test, not(weft_loom)))]
mod property;
#[cfg(all(test, not(weft_loom)))]
mod tests;
