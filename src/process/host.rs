//! Workers that a host forks without being called for it: it takes a birth up, forks by its own means, and says what came of it.
//!
//! Virtual machines want no frames of other languages below the code that runs in the child, and between theirs.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::birth::{Birth, Newborn, Stillbirth, Wish};
use super::pool::{Answer, Pool};
use crate::error::{Failure, Result, Status};
use crate::ipc::{self, Link};
use crate::platform::child::Child;
use crate::sync::{Deadline, Lock};

/// A birth that has been taken up. Dropped unfinished it has failed.
pub struct Begun {
    fd: RawFd,
    open: Lock<Option<Open>>,
}

struct Open {
    wish: Arc<Wish>,
    near: Link,
    far: OwnedFd,
}

impl<A: Answer> Pool<A> {
    /// Takes up the birth of a worker, when one is due.
    pub fn begin_birth(&self, deadline: Deadline) -> Result<Begun> {
        if !matches!(self.birth, Birth::Fork { .. }) {
            return Err(Failure::new(Status::Unsupported, "the pool's workers are not forked by the host"));
        }
        let wish = self.nursery.next(deadline)?;
        match ipc::pair(self.options.link) {
            Ok((near, far)) => Ok(Begun { fd: far.as_raw_fd(), open: Lock::new(Some(Open { wish, near, far })) }),
            Err(failure) => {
                wish.come_true(Err(failure.clone().into()));
                Err(failure)
            }
        }
    }
}

impl Begun {
    /// Where the worker serves.
    pub fn fd(&self) -> RawFd {
        self.fd
    }

    /// The process that will serve there, or why there is none.
    pub fn end(&self, pid: Result<i32>) -> Result<()> {
        let Some(Open { wish, near, far }) = self.open.lock().take() else {
            return Err(Failure::new(Status::Busy, "the birth has ended"));
        };
        // The worker's is its own copy: with this one open its end would not show.
        drop(far);
        let child = pid.and_then(|pid| {
            Child::of(pid).map_err(|error| Failure::with(Status::Os, format!("process {pid} is no child: {error}")))
        });
        match child {
            Ok(child) => {
                wish.come_true(Ok(Newborn { link: near, child }));
                Ok(())
            }
            Err(failure) => {
                wish.come_true(Err(Stillbirth::from(failure.clone())));
                Err(failure)
            }
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let _ = self.end(Err(Failure::new(Status::Failed, "the host has forked no worker")));
    }
}
