//! A link's end: how it is made, what both directions share, and how it ends.

use std::cell::Cell;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::descriptor::Descriptor;
use super::frame::{Frame, Nonsense};
use super::receive::Inward;
use super::segment::{self, Segment};
use super::send::Outward;
use super::sleep::Sleeper;
use super::stats::{Counters, Stats};
use super::wire::{Fault, Way, Wire};
use crate::error::{Failure, Result, Status};
use crate::observe::{self, Level, Origin};
use crate::platform::socket;
use crate::sync::turn::Turn;
use crate::sync::wait::Ended;
use crate::sync::{Deadline, Lock};

/// How frames are to travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In shared memory, or if the system refuses that, in the socket.
    Auto,
    /// In shared memory.
    Shared,
    /// In the socket.
    Socket,
}

/// How a pair is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How frames travel.
    pub transport: Transport,
    /// Bytes of each ring, rounded up to a power of two of whole pages.
    pub ring: usize,
    /// The longest frame.
    pub max: u64,
    /// How many bytes a sender that waits takes in for later receivers, about.
    pub backlog: usize,
    /// Both ends promise to leave what is in the rings alone.
    pub trusted: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { transport: Transport::Auto, ring: 4 << 20, max: 1 << 30, backlog: 64 << 20, trusted: false }
    }
}

/// The first packet of a link, from who made the pair to who adopts. In the memory of the same kind of machine, so in its order.
#[repr(C)]
#[derive(Clone, Copy)]
struct Hello {
    magic: [u8; 8],
    version: u64,
    /// 0: no shared memory.
    ring: u64,
    max: u64,
    backlog: u64,
    trusted: u64,
}

const MAGIC: [u8; 8] = *b"WeftLink";
/// Of all that both ends have to agree on.
const VERSION: u64 = 1;

const OPEN: u32 = 0;

/// How long a call waits. The clock is looked at when it has to.
pub struct Patience<'a> {
    deadline: Cell<Result<Deadline, i64>>,
    begins: Option<&'a dyn Fn()>,
}

impl<'a> Patience<'a> {
    /// The C API's form of a timeout.
    #[inline(always)]
    pub fn new(timeout_ns: i64) -> Self {
        Patience { deadline: Cell::new(Err(timeout_ns)), begins: None }
    }

    /// The same; `begins` is called once, before the first wait.
    #[inline(always)]
    pub fn telling(timeout_ns: i64, begins: &'a dyn Fn()) -> Self {
        Patience { begins: Some(begins), ..Self::new(timeout_ns) }
    }

    /// When it ends, counted from the first time that this is asked for: when there is something to be waited for.
    pub fn deadline(&self) -> Deadline {
        let deadline = match self.deadline.get() {
            Ok(deadline) => return deadline,
            Err(timeout_ns) => Deadline::after(timeout_ns),
        };
        self.deadline.set(Ok(deadline));
        self.begins.iter().for_each(|begins| begins());
        deadline
    }
}

/// One end of a link.
pub struct Link {
    pub(super) wire: Wire,
    pub(super) options: Options,
    /// OPEN, or what every call answers from now on: a status.
    ended: AtomicU32,
    closing: AtomicBool,
    pub(super) outward: Turn<Outward>,
    pub(super) inward: Turn<Inward>,
    pub(super) sleepers: [Sleeper; 2],
    pub(super) counters: Counters,
    pub(super) descriptor: Lock<Option<Descriptor>>,
    pub(super) is_watched: AtomicBool,
    /// A frame is looked at. Changed by whoever has the turn to receive.
    pub(super) is_viewed: AtomicBool,
}

fn os(what: &str, error: &std::io::Error) -> Failure {
    Failure::with(Status::Os, format!("{what}: {error}"))
}

#[cold]
fn log_fallback(error: &std::io::Error) {
    let origin = Origin { worker: -1, runtime: c"", task: c"" };
    observe::log(
        Level::Warn,
        origin,
        format_args!("a link goes through its socket alone, for want of shared memory: {error}"),
    );
}

/// A new link: its near end, and the descriptor that its far end is adopted from.
pub fn pair(options: Options) -> Result<(Link, OwnedFd)> {
    let Some(ring) = segment::ring_size(options.ring) else {
        return Err(Failure::new(Status::Invalid, "options->ring_size: more than any memory"));
    };
    let [near, far] = socket::pair().map_err(|error| os("no sockets for the link", &error))?;
    let shared = match options.transport {
        Transport::Socket => None,
        Transport::Shared => Some(Segment::create(ring).map_err(|error| os("no shared memory for the link", &error))?),
        Transport::Auto => Segment::create(ring).inspect_err(log_fallback).ok(),
    };
    let (segment, memory) = shared.unzip();
    let hello = Hello {
        magic: MAGIC,
        version: VERSION,
        ring: segment.as_ref().map_or(0, |segment: &Segment| segment.ring() as u64),
        max: options.max,
        backlog: options.backlog as u64,
        trusted: options.trusted.into(),
    };
    // SAFETY: numbers without gaps.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const hello).cast::<u8>(), size_of::<Hello>()) };
    socket::send(&near, &[IoSlice::new(bytes)], memory.as_ref())
        .map_err(|error| os("cannot begin the link", &error))?;
    let near = Link::new(segment, options, |way| Wire::new(way, near.as_raw_fd(), || Ok(near)))?;
    Ok((near, far))
}

impl Link {
    /// `wire` comes last: after it nothing fails.
    fn new(segment: Option<Segment>, options: Options, wire: impl FnOnce(Way) -> Result<Wire>) -> Result<Link> {
        let sleeper = || Sleeper::new().map_err(|error| os("no descriptor for the link", &error));
        let sleepers = [sleeper()?, sleeper()?];
        Ok(Link {
            wire: wire(segment.map_or(Way::Socket, Way::Shared))?,
            options,
            ended: AtomicU32::new(OPEN),
            closing: AtomicBool::new(false),
            outward: Turn::new(Outward::default()),
            inward: Turn::new(Inward::new(options.max)),
            sleepers,
            counters: Counters::default(),
            descriptor: Lock::default(),
            is_watched: AtomicBool::new(false),
            is_viewed: AtomicBool::new(false),
        })
    }

    /// The far end of a link, from the descriptor that `pair` gave. It is taken over; on failure it is still the caller's, of no
    /// use any more.
    ///
    /// # Safety
    /// Whatever the number stands for is the caller's to give.
    pub unsafe fn adopt(fd: RawFd) -> Result<Link> {
        if fd < 0 || !socket::is_one(fd) {
            return Err(Failure::new(Status::Invalid, "fd is not the far end of a link"));
        }
        let mut hello = Hello { magic: [0; 8], version: 0, ring: 0, max: 0, backlog: 0, trusted: 0 };
        // SAFETY: numbers without gaps, of which any are good.
        let bytes = unsafe { std::slice::from_raw_parts_mut((&raw mut hello).cast::<u8>(), size_of::<Hello>()) };
        let packet = socket::receive(fd, bytes, true)
            .map_err(|_| Failure::new(Status::Invalid, "fd is not the far end of a link, or was adopted before"))?;
        if packet.len != size_of::<Hello>() || hello.magic != MAGIC {
            return Err(Failure::new(Status::Protocol, "what is at the other end is no link"));
        }
        if hello.version != VERSION {
            return Err(Failure::new(Status::Protocol, "the link is of another version of Weft"));
        }
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let segment = match (hello.ring, packet.passed) {
            (0, None) => None,
            (ring @ 1.., Some(memory)) => match Segment::adopt(&memory, size(ring)) {
                Ok(Some(segment)) => Some(segment),
                Ok(None) => return Err(Failure::new(Status::Protocol, "the link's memory is not what it should be")),
                Err(error) => return Err(os("cannot map the link's memory", &error)),
            },
            (0, Some(_)) => return Err(Failure::new(Status::Protocol, "memory for a link that uses none")),
            // The system leaves out what there is no number for.
            (_, None) => return Err(Failure::new(Status::Os, "no descriptor for the link's memory")),
        };
        let transport = if segment.is_some() { Transport::Shared } else { Transport::Socket };
        let (backlog, trusted) = (size(hello.backlog), hello.trusted != 0);
        let options = Options { transport, ring: size(hello.ring), max: hello.max, backlog, trusted };
        Link::new(segment, options, |way| {
            // SAFETY: promised by the caller, and a socket.
            let taken = || unsafe { socket::take_over(fd) }.map_err(|error| os("cannot take over fd", &error));
            Wire::new(way, fd, taken)
        })
    }

    /// How frames travel: not Auto.
    pub fn transport(&self) -> Transport {
        if self.wire.segment().is_some() { Transport::Shared } else { Transport::Socket }
    }

    /// The number of this end's socket, which is the link's: for children that are forked, and are not to keep it open.
    pub fn socket(&self) -> RawFd {
        self.wire.fd()
    }

    /// What has passed so far.
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Ends it: whoever waits in a call is sent home, and the peer is told. Frames that the peer has not yet received it may receive.
    pub fn close(&self) {
        if self.closing.swap(true, Ordering::AcqRel) {
            return;
        }
        let _ = self.ended.compare_exchange(OPEN, Status::Closed as u32, Ordering::AcqRel, Ordering::Relaxed);
        self.wire.close();
        self.look_again();
    }

    /// Has whoever sleeps see that it is over.
    fn look_again(&self) {
        self.sleepers.iter().for_each(Sleeper::call);
        if let Some(descriptor) = &*self.descriptor.lock() {
            descriptor.set(true);
        }
    }

    /// Whether calls may go on.
    #[inline(always)]
    pub(super) fn check(&self) -> Result<()> {
        match self.ended.load(Ordering::Acquire) {
            OPEN => Ok(()),
            ended => Err(over(ended)),
        }
    }

    /// Whether calls on this end have nothing to wait for.
    pub(super) fn is_over(&self) -> bool {
        self.ended.load(Ordering::Acquire) != OPEN || self.wire.gone().is_some()
    }

    /// What to tell of a fault. Nonsense ends the link.
    #[cold]
    pub(super) fn fault(&self, fault: Fault) -> Failure {
        match fault {
            Fault::Failed(failure) => failure,
            Fault::Nonsense(nonsense) => self.nonsense(nonsense),
        }
    }

    /// The peer has sent what cannot be: nothing it sends is believed from now on.
    #[cold]
    pub(super) fn nonsense(&self, nonsense: Nonsense) -> Failure {
        let protocol = Status::Protocol as u32;
        if self.ended.compare_exchange(OPEN, protocol, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.look_again();
        }
        Failure::with(Status::Protocol, format!("the peer has sent nonsense: {nonsense}"))
    }
}

#[cold]
fn over(ended: u32) -> Failure {
    if ended == Status::Protocol as u32 {
        return Failure::new(Status::Protocol, "the peer has sent nonsense before");
    }
    Failure::new(Status::Closed, "the link is closed")
}

/// What to tell when the peer is gone.
#[cold]
pub(super) fn gone(status: Status) -> Failure {
    match status {
        Status::Closed => Failure::new(status, "the peer has closed the link"),
        _ => Failure::new(status, "the peer has died"),
    }
}

/// What to tell when a wait for one's turn, or for the peer, has not come to it.
#[cold]
pub(super) fn failure(ended: Ended, deadline: Deadline, what: &'static str) -> Failure {
    ended.failure().unwrap_or_else(|| match deadline {
        Deadline::Now => Failure::new(Status::WouldBlock, what),
        _ => Failure::new(Status::Timeout, what),
    })
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
impl Link {
    /// Goes without a word.
    pub fn die(self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

impl Frame {
    pub(super) fn cost(&self) -> usize {
        size_of::<Frame>() + self.bytes.as_slice().len()
    }
}
