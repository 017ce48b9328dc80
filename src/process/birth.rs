//! How workers come into the world: as programs that are executed, or forked by the host.
//!
//! A host that forks by itself does so on the thread that makes the child, and virtual machines let nobody call them from threads
//! that they do not know. So a seat's thread leaves its wish in the [`Nursery`], and a thread of the host's, in a call for that, takes
//! it up. A wish that has been taken up is waited for, whatever happens meanwhile; one that has not can be withdrawn.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ffi::CString;
use std::ops::Deref;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::{io, ptr};

use super::wire::{FD_VARIABLE, PARENT_VARIABLE};
use crate::error::{Failure, Result, Status};
use crate::ipc::{self, Link};
use crate::platform::child::{self, Child, Program};
use crate::platform::fork::{self, ForkCell};
use crate::sync::{Bell, Deadline, Lock};

/// Forks the process: the child serves at the descriptor and ends, the parent returns the child's number.
pub type Fork = Box<dyn Fn(RawFd) -> Result<i32> + Send + Sync>;

/// Where workers come from.
pub enum Birth {
    /// A program is executed.
    Program(Program),
    /// The host forks: on a thread that comes for it, or `anywhere`.
    Fork {
        /// How.
        fork: Fork,
        /// On the thread of the seat, too.
        anywhere: bool,
    },
}

/// A worker that nobody has spoken to yet.
pub struct Newborn {
    /// The way to it.
    pub link: Listed,
    /// The process.
    pub child: Child,
}

/// Why there is no worker.
#[derive(Clone, Debug)]
pub struct Stillbirth {
    /// What happened.
    pub text: String,
    /// Another attempt will do no better.
    pub is_final: bool,
}

impl From<Failure> for Stillbirth {
    fn from(failure: Failure) -> Self {
        Stillbirth { text: failure.message.into_owned(), is_final: false }
    }
}

/// Has a worker made by a program.
pub fn execute(program: &Program, link: ipc::Options) -> Result<Newborn, Stillbirth> {
    let (near, far) = Listed::pair(link)?;
    let mut program = program.clone();
    let variable = |name: &str, number: i32| CString::new(format!("{name}={number}")).unwrap_or_default();
    program.env.push(variable(FD_VARIABLE, far.as_raw_fd()));
    program.env.push(variable(PARENT_VARIABLE, child::own_pid()));
    match program.start(&far) {
        Ok(child) => Ok(Newborn { link: near, child }),
        Err(error) => Err(Stillbirth {
            text: format!("cannot start {}: {error}", program.file.to_string_lossy()),
            is_final: is_final(&error),
        }),
    }
}

fn is_final(error: &io::Error) -> bool {
    let never = [libc::ENOENT, libc::EACCES, libc::ENOEXEC, libc::ENOTDIR, libc::EISDIR, libc::EPERM, libc::E2BIG];
    error.raw_os_error().is_some_and(|number| never.contains(&number))
}

/// The sockets of this process' ends of links to workers. A child that is forked has them, too, and as long as it does, workers
/// (itself among them) do not see this process die.
static NEAR_ENDS: ForkCell<Lock<Vec<RawFd>>> = ForkCell::new();

/// What a forked child has of its parent.
pub(super) struct Inherited {
    parent: i32,
    sockets: Vec<RawFd>,
}

impl Inherited {
    /// By a child that is forked now.
    pub(super) fn now() -> Self {
        Inherited { parent: child::own_pid(), sockets: NEAR_ENDS.get().lock().clone() }
    }

    /// In the child.
    pub(super) fn begin(&self) -> bool {
        self.sockets.iter().for_each(|&socket| child::close(socket));
        child::die_with_parent(self.parent)
    }
}

thread_local! {
    /// While a child is being forked here: what it is to close.
    static TO_CLOSE: Cell<*const Inherited> = const { Cell::new(ptr::null()) };
}

/// In a forked child, before it serves: lets go of what its parent's pools have open, and ends with the thread that has forked it.
/// False: that has ended.
pub fn begin_in_child() -> bool {
    // SAFETY: set by `fork` on this thread, whose frame is still there: it is where this child was forked.
    unsafe { TO_CLOSE.replace(ptr::null()).as_ref() }.is_none_or(Inherited::begin)
}

/// A link whose end here is in the list, from before there is somebody at its other end.
pub struct Listed(Link);

impl Listed {
    pub(super) fn pair(options: ipc::Options) -> Result<(Listed, OwnedFd)> {
        let (near, far) = ipc::pair(options)?;
        NEAR_ENDS.get().lock().push(near.socket());
        Ok((Listed(near), far))
    }
}

impl Deref for Listed {
    type Target = Link;
    fn deref(&self) -> &Link {
        &self.0
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        NEAR_ENDS.get().lock().retain(|&socket| socket != self.0.socket());
    }
}

/// Has the host fork a worker, on this thread, with which it ends. Of what other threads have open the child closes what is in the list; what
/// comes into the list meanwhile, and the duplicates that the reactor has, it keeps.
pub fn fork(fork: &Fork, link: ipc::Options) -> Result<Newborn, Stillbirth> {
    let (near, far) = Listed::pair(link)?;
    let epoch = fork::epoch();
    let inherited = Inherited::now();
    TO_CLOSE.set(&raw const inherited);
    let pid = fork(far.as_raw_fd());
    if fork::epoch() != epoch {
        fork::refuse_to_return();
    }
    TO_CLOSE.set(ptr::null());
    let child = Child::of(pid?).map_err(|error| {
        Failure::with(Status::Os, format!("the process that the fork function returned is no child: {error}"))
    })?;
    Ok(Newborn { link: near, child })
}

/// A wish for a worker.
pub struct Wish {
    born: Lock<Option<Result<Newborn, Stillbirth>>>,
    /// Tells who wishes.
    tell: Box<dyn Fn() + Send + Sync>,
}

impl Wish {
    /// A wish of one who is told so when it has come true, or not.
    pub fn new(tell: Box<dyn Fn() + Send + Sync>) -> Arc<Wish> {
        Arc::new(Wish { born: Lock::new(None), tell })
    }

    /// What has become of it, once.
    pub fn take(&self) -> Option<Result<Newborn, Stillbirth>> {
        self.born.lock().take()
    }

    /// What has become of it.
    pub fn come_true(&self, born: Result<Newborn, Stillbirth>) {
        *self.born.lock() = Some(born);
        (self.tell)();
    }
}

/// Wishes that nobody has taken up.
#[derive(Default)]
pub struct Nursery {
    wishes: Lock<(VecDeque<Arc<Wish>>, bool)>,
    bell: Bell,
}

impl Nursery {
    /// Leaves a wish.
    pub fn ask(&self, wish: &Arc<Wish>) {
        self.wishes.lock().0.push_back(wish.clone());
        self.bell.ring();
    }

    /// Takes it back; false: somebody has taken it up.
    pub fn withdraw(&self, wish: &Arc<Wish>) -> bool {
        let wishes = &mut self.wishes.lock().0;
        let before = wishes.len();
        wishes.retain(|one| !Arc::ptr_eq(one, wish));
        wishes.len() < before
    }

    /// There will be no more wishes.
    pub fn close(&self) {
        self.wishes.lock().1 = true;
        self.bell.ring();
    }

    /// A wish that is taken up; waits for one.
    pub fn next(&self, deadline: Deadline) -> Result<Arc<Wish>> {
        loop {
            let heard = self.bell.listen();
            {
                let mut wishes = self.wishes.lock();
                if let Some(wish) = wishes.0.pop_front() {
                    return Ok(wish);
                }
                if wishes.1 {
                    return Err(Failure::new(Status::Closed, "the pool needs no more workers"));
                }
            }
            let ended = self.bell.wait(heard, deadline);
            if let Some(failure) = ended.failure() {
                return Err(failure);
            }
            if ended == crate::sync::wait::Ended::TimedOut {
                return Err(match deadline {
                    Deadline::Now => Failure::new(Status::WouldBlock, "no worker is due"),
                    _ => Failure::new(Status::Timeout, "no worker is due"),
                });
            }
        }
    }
}
