//! The two ways that pieces travel: rings in shared memory with a socket beside them, or the socket alone.
//!
//! Beside the rings the socket carries nothing but single bytes that end a sleep, and the fact that the peer lives: its end
//! is closed when it dies, however it dies. Packets stay apart, so a piece goes whole or not at all.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::frame::{HEADER, Header, Nonsense};
use super::ring::{Consumer, Garbage, Lane, Memory, Producer};
use super::segment::Segment;
use crate::error::{Failure, Result, Status};
use crate::platform::socket;
use crate::time::reactor::{self, FdWatch, Interest};

/// Bytes of a piece, its header not counted, where that is larger than a frame.
const PIECE: usize = 64 << 10;
/// No packet is longer where there is no ring, header and announced length counted.
const PACKET: usize = 32 << 10;

/// Packets of this length the system has room for, however little that is.
const SHORTEST: usize = 1024;

/// How far ahead memory is fetched that will be written.
const AHEAD: usize = 256;

/// What a byte in the socket says.
const WAKE: u8 = b'w';

/// The peer is there.
const THERE: u32 = 0;

/// How pieces travel.
pub enum Way {
    /// In rings.
    Shared(Segment),
    /// In packets.
    Socket,
}

/// One end.
pub struct Wire {
    way: Way,
    socket: OwnedFd,
    /// The longest packet that is sent, header counted.
    packet: usize,
    /// THERE, or why it is gone: a status.
    gone: Arc<AtomicU32>,
    /// The reactor's, by which those learn of the end that do not wait for anything.
    _watch: FdWatch,
}

/// What belongs to whoever sends.
#[derive(Default)]
pub struct Out {
    producer: Producer,
}

/// What belongs to whoever receives.
#[derive(Default)]
pub struct In {
    consumer: Consumer,
    /// A packet, where there is no ring, and how long it is; 0: none.
    packet: Vec<u8>,
    len: usize,
}

/// A piece where it was found. The peer may be writing to it.
pub struct Piece {
    /// Copied, and its length checked.
    pub header: Header,
    /// As many bytes as the header says.
    pub data: *const u8,
}

/// What is wrong with the other end, or with this one.
pub enum Fault {
    /// It has sent what cannot be.
    Nonsense(Nonsense),
    /// The system has refused.
    Failed(Failure),
}

impl From<Garbage> for Fault {
    fn from(_: Garbage) -> Self {
        Fault::Nonsense("an index that cannot be")
    }
}

/// One ring, as one end sees it.
struct Half<'a> {
    lane: &'a Lane,
    base: ptr::NonNull<u8>,
    capacity: usize,
    wire: &'a Wire,
}

impl Memory for Half<'_> {
    fn lane(&self) -> &Lane {
        self.lane
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    #[inline(always)]
    fn write(&self, at: usize, bytes: &[u8]) {
        debug_assert!(at < self.capacity && bytes.len() <= self.capacity);
        // SAFETY: mapped for twice the capacity. The peer may write there, too, which makes nonsense of it and nothing else.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.as_ptr().add(at), bytes.len()) };
    }

    #[inline(always)]
    fn read(&self, at: usize, bytes: &mut [u8]) {
        debug_assert!(at < self.capacity && bytes.len() <= self.capacity);
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(self.base.as_ptr().add(at), bytes.as_mut_ptr(), bytes.len()) };
    }

    #[inline(always)]
    fn prepare(&self, at: usize) {
        for line in [0, 64] {
            crate::platform::prefetch_to_write(self.base.as_ptr().wrapping_add(at + AHEAD + line));
        }
    }

    #[cold]
    fn wake(&self) {
        self.wire.wake();
    }
}

impl Wire {
    /// An end with this socket, which comes last: on failure it has not been taken.
    pub fn new(way: Way, fd: RawFd, socket: impl FnOnce() -> Result<OwnedFd>) -> Result<Self> {
        let gone = Arc::new(AtomicU32::new(THERE));
        let noted = gone.clone();
        // That the other end is gone is always told.
        let nothing = Interest { readable: false, writable: false };
        let watch = reactor::watch(fd, nothing, Box::new(move |_| note(&noted, Status::Died)))?;
        // The system refuses packets that are longer than all its room, which it may be short of; a few are to fit in.
        let packet = PACKET.min(socket::room(fd) / 4).max(SHORTEST);
        Ok(Wire { way, socket: socket()?, packet, gone, _watch: watch })
    }

    /// Its memory, if it has any.
    pub fn segment(&self) -> Option<&Segment> {
        match &self.way {
            Way::Shared(segment) => Some(segment),
            Way::Socket => None,
        }
    }

    /// The socket's number.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// The longest piece, its header not counted. `whole`: frames are to be whole in the peer's memory as far as they can be.
    pub fn piece(&self, whole: bool) -> usize {
        match &self.way {
            Way::Shared(segment) if whole => segment.ring() / 2 - HEADER,
            Way::Shared(segment) => PIECE.min(segment.ring() / 4),
            Way::Socket => self.packet - HEADER,
        }
    }

    fn half<'a>(&'a self, segment: &'a Segment, out: bool) -> Half<'a> {
        let (lane, base) = segment.half(out);
        Half { lane, base, capacity: segment.ring(), wire: self }
    }

    /// Sends a piece if there is room: its beginning, with the header, and the rest.
    #[inline(always)]
    pub fn put(&self, out: &mut Out, first: &[u8], rest: &[u8]) -> Result<bool, Fault> {
        match &self.way {
            Way::Shared(segment) => Ok(out.producer.put(&self.half(segment, true), first, rest)?),
            Way::Socket => self.send(&[IoSlice::new(first), IoSlice::new(rest)]),
        }
    }

    /// Whether so many bytes would fit now, piece headers included.
    pub fn fits(&self, out: &mut Out, len: usize) -> Result<bool, Fault> {
        match &self.way {
            Way::Shared(segment) => Ok(len <= segment.ring() && out.producer.fits(&self.half(segment, true), len)?),
            Way::Socket => {
                let mut wishes = [socket::wish(self.fd(), socket::WRITABLE)];
                socket::wait(&mut wishes, Some(0));
                Ok(wishes[0].revents & socket::WRITABLE != 0)
            }
        }
    }

    /// The peer tells of room from now on. Look before you sleep.
    pub fn want_room(&self, out: &Out, wanted: bool) {
        if let Way::Shared(segment) = &self.way {
            let half = self.half(segment, true);
            if wanted { out.producer.want_room(&half) } else { out.producer.want_none(&half) }
        }
    }

    /// The peer tells of pieces from now on. Look before you sleep.
    pub fn want_data(&self, inward: &In, wanted: bool) {
        if let Way::Shared(segment) = &self.way {
            let half = self.half(segment, false);
            if wanted { inward.consumer.want_data(&half) } else { inward.consumer.want_none(&half) }
        }
    }

    /// The next piece, if there is one. It stays until `done`.
    #[inline(always)]
    pub fn next(&self, inward: &mut In) -> Result<Option<Piece>, Fault> {
        match &self.way {
            Way::Shared(segment) => {
                let half = self.half(segment, false);
                let available = inward.consumer.available(&half)?;
                if available < HEADER {
                    return if available == 0 { Ok(None) } else { Err(Fault::Nonsense("a piece without a header")) };
                }
                let place = inward.consumer.place(&half);
                let mut header = [0; HEADER];
                half.read(place, &mut header);
                let header = Header::from_bytes(header);
                if header.len as usize > available - HEADER {
                    return Err(Fault::Nonsense("a piece longer than what was sent"));
                }
                // SAFETY: inside the ring, which is mapped twice.
                Ok(Some(Piece { header, data: unsafe { half.base.as_ptr().add(place + HEADER) } }))
            }
            Way::Socket => self.next_packet(inward),
        }
    }

    /// Gives a piece back.
    #[inline(always)]
    pub fn done(&self, inward: &mut In, header: Header) {
        match &self.way {
            Way::Shared(segment) => {
                inward.consumer.advance(&self.half(segment, false), HEADER + header.len as usize);
            }
            Way::Socket => inward.len = 0,
        }
    }

    fn next_packet(&self, inward: &mut In) -> Result<Option<Piece>, Fault> {
        if inward.len == 0 {
            inward.packet.resize(PACKET, 0);
            match self.receive(&mut inward.packet)? {
                None => return Ok(None),
                Some(len) if len > PACKET => return Err(Fault::Nonsense("a packet longer than packets are")),
                Some(len) => inward.len = len,
            }
        }
        let Some(header) = inward.packet[..inward.len].first_chunk() else {
            return Err(Fault::Nonsense("a packet without a header"));
        };
        let header = Header::from_bytes(*header);
        if header.len as usize != inward.len - HEADER {
            return Err(Fault::Nonsense("a packet of another length than it says"));
        }
        Ok(Some(Piece { header, data: inward.packet[HEADER..].as_ptr() }))
    }

    fn send(&self, parts: &[IoSlice<'_>]) -> Result<bool, Fault> {
        loop {
            let Err(error) = socket::send(&self.socket, parts, None) else { return Ok(true) };
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) => return Ok(false),
                Some(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN) => {
                    self.note_gone();
                    return Ok(false);
                }
                _ => return Err(refused("send", error)),
            }
        }
    }

    /// How long the next packet is, which is cut if it is too long; None: there is none, or the peer is gone.
    fn receive(&self, bytes: &mut [u8]) -> Result<Option<usize>, Fault> {
        loop {
            match socket::receive(self.fd(), bytes, false) {
                Ok(packet) if packet.len > 0 => return Ok(Some(packet.len)),
                Ok(_) => {
                    self.note_gone();
                    return Ok(None);
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) => return Ok(None),
                    // The peer has left what we sent unread. Told once; what it had sent comes next.
                    Some(libc::ECONNRESET) => self.note_gone(),
                    _ => return Err(refused("receive", error)),
                },
            }
        }
    }

    /// Has the peer look again, whether it sleeps or not.
    pub fn wake(&self) {
        // Without room there are bytes enough to wake it. A failure shows when there is something to be waited for.
        let _ = self.send(&[IoSlice::new(&[WAKE])]);
    }

    /// Takes what has woken this end out of the socket beside the rings; whether there was anything.
    pub fn drain(&self) -> Result<bool, Fault> {
        let (mut bytes, mut any) = ([0; 8], false);
        // A peer that goes on and on would keep us here.
        for _ in 0..64 {
            match self.receive(&mut bytes)? {
                Some(1) if bytes[0] == WAKE => any = true,
                Some(_) => return Err(Fault::Nonsense("something else than a byte to wake")),
                None => break,
            }
        }
        Ok(any)
    }

    /// The peer has no end of the socket any more, or has said goodbye.
    pub fn note_gone(&self) {
        let said = self.segment().is_some_and(Segment::is_peer_closed);
        let status = if said { Status::Closed } else { Status::Died };
        note(&self.gone, status);
    }

    /// The peer has said that it goes.
    pub fn note_goodbye(&self) {
        self.gone.store(Status::Closed as u32, Ordering::Release);
    }

    /// Looks whether the peer is still there, at the cost of a system call.
    pub fn look_for_peer(&self) {
        let mut wishes = [socket::wish(self.fd(), 0)];
        socket::wait(&mut wishes, Some(0));
        if wishes[0].revents & socket::GONE != 0 {
            self.note_gone();
        }
    }

    /// Whether the peer is gone, and how. What it had sent may still be there.
    #[inline(always)]
    pub fn gone(&self) -> Option<Status> {
        // A peer that has closed may live on.
        if let Way::Shared(segment) = &self.way
            && segment.is_peer_closed()
        {
            return Some(Status::Closed);
        }
        match self.gone.load(Ordering::Acquire) {
            THERE => None,
            status => Status::from_number(status as i32),
        }
    }

    /// Says goodbye as well as it can without waiting.
    pub fn close(&self) {
        match &self.way {
            Way::Shared(segment) => {
                segment.close();
                self.wake();
            }
            Way::Socket => {
                let goodbye = Header { control: super::frame::GOODBYE, ..Header::from_bytes([0; HEADER]) };
                let said = || matches!(self.send(&[IoSlice::new(&goodbye.to_bytes())]), Ok(true));
                if !said() {
                    // Full. The peer may be waiting for more behind what there is, and this end may stay open for long.
                    socket::grow(&self.socket);
                    if !said() {
                        socket::end_sending(&self.socket);
                    }
                }
            }
        }
    }
}

/// The first that says so is believed.
fn note(gone: &AtomicU32, status: Status) {
    // Release pairs with the Acquire in `Wire::gone`: what it had sent is there.
    let _ = gone.compare_exchange(THERE, status as u32, Ordering::Release, Ordering::Relaxed);
}

fn refused(what: &str, error: io::Error) -> Fault {
    Fault::Failed(Failure::with(Status::Os, format!("cannot {what} over the link's socket: {error}")))
}
