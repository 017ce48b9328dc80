//! This process' reactor: one thread that sleeps until a timer is due or a descriptor is ready.
//!
//! It is started on first use and stays: it sleeps in the kernel, in one epoll set with a timerfd, and costs nothing until
//! then. It takes no signals. Timers of this crate and watches of descriptors run no code of the user's on it: they wake,
//! trigger and queue, and are short.
//!
//! A watch has a duplicate of its descriptor. An epoll set knows what it watches by number and by what the number leads to,
//! and lets it go only when nothing leads there any more: a number that the program has closed, and that the system has given
//! to something else, could neither be told apart nor be taken out. A number of its own cannot be reused, and one descriptor
//! can be watched any number of times. Its price: what is watched stays open until the watch has been told or taken back.
//!
//! A forked child has a reactor of its own, and none of its parent's timers and watches; the parent's descriptors, and the
//! duplicates, stay open there, unused, until it executes another program.

use std::cell::Cell;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::thread;

use super::clock::Monotonic;
use super::driver::Live;
use super::timers::Timers;
use super::watches::{NOBODY, Watches};
use crate::error::{Failure, Result, Status};
use crate::observe::{self, Level, Origin};
use crate::platform::epoll::{self, Epoll, Events};
use crate::platform::fork::{self, ForkCell};
use crate::platform::signals::Blocked;
use crate::sync::{Deadline, Lock, park};
use crate::{panics, platform};

pub use crate::platform::epoll::{Interest, Ready};

/// What the thread has.
pub(super) struct Reactor {
    pub timers: Live,
    watches: Watches<Watched>,
    epoll: Epoll,
}

/// What is called when a descriptor is ready.
pub type Call = Box<dyn FnOnce(Ready) + Send>;

/// A descriptor in the set, and what is called.
struct Watched {
    member: Member,
    call: Call,
}

/// A descriptor in the set.
struct Member {
    fd: OwnedFd,
    epoll: &'static Epoll,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.epoll.remove(self.fd.as_fd());
    }
}

#[derive(Default)]
struct Process {
    /// Null until the thread has been started.
    reactor: AtomicPtr<Reactor>,
    starting: Lock<()>,
    exit_hook: AtomicBool,
}

static PROCESS: ForkCell<Process> = ForkCell::new();

/// The key of the timers' alarm: that of no watch.
const ALARM: u64 = NOBODY;

/// How long the exit of the process waits for a call that is running.
const EXIT_WAIT_NS: i64 = 1_000_000_000;

thread_local! {
    /// On the reactor's thread one more than the epoch of its process, else 0: in a child that a call has forked, the thread
    /// is the reactor's no more.
    static HERE: Cell<u32> = const { Cell::new(0) };
}

/// This process' reactor, if it has been started.
pub(super) fn started() -> Option<&'static Reactor> {
    // Acquire pairs with the Release in `start`. SAFETY: what is there stays for ever.
    unsafe { PROCESS.get().reactor.load(Ordering::Acquire).as_ref() }
}

/// This process' reactor, with its thread. What the system refused once is tried again by the next call.
pub(super) fn get() -> Result<&'static Reactor> {
    match started() {
        Some(reactor) => Ok(reactor),
        None => start(PROCESS.get())
            .map_err(|error| Failure::with(Status::Os, format!("cannot start the thread of the timers: {error}"))),
    }
}

#[cold]
fn start(process: &'static Process) -> io::Result<&'static Reactor> {
    let _starting = process.starting.lock();
    // SAFETY: as above.
    if let Some(reactor) = unsafe { process.reactor.load(Ordering::Relaxed).as_ref() } {
        return Ok(reactor);
    }
    let (clock, epoll) = (Monotonic::new()?, Epoll::new()?);
    epoll.add(clock.alarm(), Interest { readable: true, writable: false }, ALARM)?;
    let reactor = Box::into_raw(Box::new(Reactor { timers: Timers::new(clock), watches: Watches::default(), epoll }));
    // SAFETY: never freed once the thread has been started.
    let live: &'static Reactor = unsafe { &*reactor };
    // A thread begins with the mask of who starts it.
    let blocked = Blocked::current();
    Blocked::all().apply();
    let thread = thread::Builder::new().name("weft-timer".into()).spawn(move || live.run());
    blocked.apply();
    match thread {
        Ok(_detached) => {
            process.reactor.store(reactor, Ordering::Release);
            Ok(live)
        }
        Err(error) => {
            // SAFETY: made above, and known to nobody.
            drop(unsafe { Box::from_raw(reactor) });
            Err(error)
        }
    }
}

/// Whether this is the reactor's thread.
fn is_here() -> bool {
    HERE.get() == fork::epoch() + 1
}

impl Reactor {
    fn run(&self) {
        HERE.set(fork::epoch() + 1);
        let mut events = Events::default();
        while let Ok(told) = self.epoll.wait(&mut events) {
            // First, since calls may take their time.
            if told.clone().any(|(key, _)| key == ALARM) {
                self.timers.turn();
            }
            for (key, ready) in told.filter(|&(key, _)| key != ALARM) {
                self.watches.ready(key, |watched| watched.tell(ready));
            }
        }
        let origin = Origin { worker: -1, runtime: c"", task: c"" };
        observe::log(
            Level::Error,
            origin,
            format_args!(
                "timers do not expire any more, nor are descriptors watched: the program has closed descriptors that are \
                 not its own"
            ),
        );
    }
}

impl Watched {
    fn tell(self, ready: Ready) {
        let Watched { member, call } = self;
        drop(member);
        panics::contain("a call for a descriptor", || call(ready));
    }
}

/// A call for a descriptor that may still come. Dropped, it is taken back, as by [`FdWatch::off`].
pub struct FdWatch {
    reactor: &'static Reactor,
    key: u64,
}

/// Has `call` called once, on the reactor's thread and under no lock, when the descriptor is ready for what is asked, hung up
/// or failed; at once if it is. It must be short, and does not block: this process' timers and other watches wait behind it.
/// It may arm watches and take them back. A panic of its own is contained.
///
/// The descriptor is the caller's, and may be closed, though what it leads to stays open until the watch is over.
/// `Unsupported`: it can be neither ready nor not (a regular file, a directory). `Invalid`: it is not open.
pub fn watch(fd: RawFd, interest: Interest, call: Call) -> Result<FdWatch> {
    watch_and(fd, interest, call, |watch| watch)
}

/// The same; `then` has the watch before the call can be made. It runs under a lock: it is short, and uses no watch.
pub fn watch_and<R>(fd: RawFd, interest: Interest, call: Call, then: impl FnOnce(FdWatch) -> R) -> Result<R> {
    let own = epoll::duplicate(fd).map_err(|error| match error.raw_os_error() {
        Some(libc::EBADF) => Failure::with(Status::Invalid, format!("fd: {fd} is not open")),
        _ => refused(fd, error),
    })?;
    let reactor = get()?;
    stop_at_exit();
    let watched = Watched { member: Member { fd: own, epoll: &reactor.epoll }, call };
    let add = |key, watched: &Watched| {
        let added = reactor.epoll.add_once(watched.member.fd.as_fd(), interest, key);
        added.map_err(|error| refused(fd, error))
    };
    reactor.watches.arm(watched, add, |key| then(FdWatch { reactor, key }))
}

fn refused(fd: RawFd, error: io::Error) -> Failure {
    match error.raw_os_error() {
        Some(libc::EPERM) => {
            Failure::with(Status::Unsupported, format!("fd: {fd} is never waited for: a regular file or the like"))
        }
        _ => Failure::with(Status::Os, format!("fd: {fd} cannot be watched: {error}")),
    }
}

impl FdWatch {
    /// Takes the call back: true; it has been dropped, and will never be made. False: it has been made, or was taken back
    /// before. If it runs right now, returns when it has returned and what it owned is gone; at once if called from within it. False in a forked child, where it will not be made either.
    pub fn off(&self) -> bool {
        self.reactor.watches.off(self.key, !is_here())
    }

    /// The same, and does not wait.
    pub fn take_back(&self) -> bool {
        self.reactor.watches.take_back(self.key).is_some()
    }

    /// Leaves the call to come.
    pub fn leave(self) {
        _ = ManuallyDrop::new(self);
    }
}

impl Drop for FdWatch {
    fn drop(&mut self) {
        self.off();
    }
}

/// Sees to it that no call is made while static objects are destroyed.
fn stop_at_exit() {
    extern "C" fn stop() {
        if !fork::admitted() {
            return;
        }
        let Some(reactor) = started() else { return };
        // A call that calls exit() cannot wait for its own end.
        let deadline = if is_here() { Deadline::Now } else { Deadline::after(EXIT_WAIT_NS) };
        park::set_interruptible(false);
        reactor.watches.close(deadline);
    }
    let process = PROCESS.get();
    // Relaxed: two hooks would do as well as one.
    if !process.exit_hook.load(Ordering::Relaxed) && platform::at_exit(stop) {
        process.exit_hook.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
