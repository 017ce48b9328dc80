//! What is asked of a channel, and what an attempt at it comes to.

use crate::error::Failure;

/// One of the two operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// An element goes in.
    Send,
    /// An element comes out.
    Receive,
}

impl Direction {
    /// The other one.
    pub fn opposite(self) -> Direction {
        match self {
            Direction::Send => Direction::Receive,
            Direction::Receive => Direction::Send,
        }
    }
}

/// What an attempt that may not wait came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempt {
    /// The element has passed.
    Done,
    /// It would have to wait.
    WouldBlock,
    /// The channel is closed, and nothing is left to receive.
    Closed,
    /// Nothing has passed.
    Failed(Failure),
}
