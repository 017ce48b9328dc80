//! Changing how many threads run at once, while they run.
//!
//! The number is the limit of `idle`. Raised, it is a turn given up: whoever raised it looks for work and wakes or starts a
//! thread for it, which brings the next, as after any other find. Lowered, threads that are too many step back at their next
//! task boundary, and end when they have slept for `keep_alive`. Seats stay, so nothing in them is lost.

use super::options::{Kind, MAX_WORKERS};
use super::runtime::{Core, ENDING};
use crate::error::{Failure, Result, Status};

impl Core {
    /// Lets so many threads run at once.
    pub fn resize(&self, workers: u32) -> Result<()> {
        if self.kind() != Kind::Multi {
            return Err(Failure::new(Status::Unsupported, "only a runtime with threads of its own can be resized"));
        }
        if workers == 0 || workers > MAX_WORKERS {
            return Err(Failure::new(Status::Invalid, "workers: from 1 to 4096"));
        }
        if workers > self.options.max_threads {
            return Err(Failure::with(
                Status::Invalid,
                format!("workers: more than max_threads, {}", self.options.max_threads),
            ));
        }
        // Under the lock, so that places and limit are those of the same call.
        let _alone = self.resizing.lock();
        if !self.is_open() {
            return Err(ENDING);
        }
        self.placement.resize(workers);
        self.idle.set_limit(workers);
        if self.idle.is_hungry() {
            // As a thread that lies down: what is forked from now on is shared.
            self.ask_all();
        }
        self.look_again();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
