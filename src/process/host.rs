//! Workers that a host forks without being called for it: it takes a birth up, forks by its own means, and says what
//! came of it.
//!
//! Virtual machines want no frames of other languages below the code that runs in the child, and between theirs.

use std::cell::RefCell;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::birth::{self, Birth, Inherited, Listed, Newborn, Stillbirth, Wish};
use super::pool::{Answer, Pool};
use crate::error::{Failure, Result, Status};
use crate::platform::child::Child;
use crate::platform::fork;
use crate::sync::{Deadline, Lock};

thread_local! {
    /// In which process, and for a worker at which descriptor, this thread is about to fork; and what it had open when
    /// it said so.
    static ABOUT: RefCell<Option<(u32, RawFd, Inherited)>> = const { RefCell::new(None) };
}

/// In a forked child, before it serves at `fd`: see [`birth::begin_in_child`].
pub fn begin_in_child(fd: RawFd) -> bool {
    let is_here = |(epoch, at, _): &mut (u32, RawFd, Inherited)| *epoch != fork::epoch() && *at == fd;
    match ABOUT.with_borrow_mut(|about| about.take_if(is_here)) {
        Some((_, _, inherited)) => inherited.begin(),
        None => birth::begin_in_child(),
    }
}

/// A birth that has been taken up. Dropped unfinished it has failed.
pub struct Begun {
    fd: RawFd,
    open: Lock<Option<Open>>,
}

struct Open {
    wish: Arc<Wish>,
    near: Listed,
    far: OwnedFd,
}

impl<A: Answer> Pool<A> {
    /// Takes up the birth of a worker, when one is due.
    pub fn begin_birth(&self, deadline: Deadline) -> Result<Begun> {
        if !matches!(self.birth, Birth::Fork { .. }) {
            return Err(Failure::new(Status::Unsupported, "the pool's workers are not forked by the host"));
        }
        let wish = self.nursery.next(deadline)?;
        match Listed::pair(self.options.link) {
            Ok((near, far)) => Ok(Begun { fd: far.as_raw_fd(), open: Lock::new(Some(Open { wish, near, far })) }),
            Err(failure) => {
                wish.come_true(Err(failure.clone().into()));
                Err(failure)
            }
        }
    }
}

impl Begun {
    /// Where the worker serves: asked by the thread that is about to fork it.
    pub fn fd(&self) -> RawFd {
        if self.open.lock().is_some() {
            ABOUT.set(Some((fork::epoch(), self.fd, Inherited::now())));
        }
        self.fd
    }

    /// The process that will serve there, or why there is none.
    pub fn end(&self, pid: Result<i32>) -> Result<()> {
        let Some(Open { wish, near, far }) = self.open.lock().take() else {
            return Err(Failure::new(Status::Busy, "the birth has ended"));
        };
        ABOUT.set(None);
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
