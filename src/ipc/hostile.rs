//! Peers that do what no peer should: they write garbage into the shared memory, or into the socket, before, after and while
//! this end works. Whatever they do, each call here ends with a status, and once it is WEFT_PROTOCOL it stays that. The
//! seeds are fixed; with WEFT_FUZZ_SECONDS the test goes on with others for so long.

use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::frame::{HEADER, Header, MORE, REST, WITHDRAWN};
use super::property::{Random, Seed};
use super::segment::Segment;
use super::tests::{both, head};
use super::*;
use crate::error::{Failure, Status};
use crate::platform::socket;

/// The far end, in the hands of somebody else.
struct Enemy {
    socket: OwnedFd,
    /// Its view of the memory.
    segment: Option<Segment>,
}

fn against(options: Options) -> (Link, Enemy) {
    let (near, socket) = pair(options).unwrap();
    let mut hello = [0; 100];
    let packet = socket::receive(std::os::fd::AsRawFd::as_raw_fd(&socket), &mut hello, true).unwrap();
    let segment = packet.passed.map(|fd| {
        let ring = near.wire.segment().unwrap().ring();
        Segment::adopt(&fd, ring).unwrap().unwrap()
    });
    (near, Enemy { socket, segment })
}

impl Enemy {
    fn packet(&self, bytes: &[u8]) {
        let _ = socket::send(&self.socket, &[IoSlice::new(bytes)], None);
    }

    /// A word of the shared page.
    fn word(&self, index: u64) -> &AtomicU64 {
        let segment = self.segment.as_ref().unwrap();
        let base = NonNull::from(segment.half(true).0).cast::<AtomicU64>();
        // SAFETY: the two lanes and the flags of closing are in a row; side 1's lane is the second.
        unsafe { base.sub(size_of::<ring::Lane>() / 8).add(index as usize % 160).as_ref() }
    }

    fn head(&self) -> &AtomicU64 {
        self.word(size_of::<ring::Lane>() as u64 / 8)
    }

    /// Its ring.
    fn place(&self, at: u64) -> *mut u8 {
        let segment = self.segment.as_ref().unwrap();
        // SAFETY: inside the mapping.
        unsafe { segment.half(true).1.add(at as usize % segment.ring()).as_ptr() }
    }

    /// Writes a block as a peer would.
    fn block(&self, bytes: &[u8]) {
        let at = self.head().load(Ordering::Relaxed);
        // SAFETY: mapped twice, and less than the ring.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.place(at), bytes.len()) };
        self.head().store(at.wrapping_add(ring::padded(bytes.len()) as u64), Ordering::Release);
        self.packet(b"w");
    }

    fn send(&self, bytes: &[u8]) {
        if self.segment.is_some() { self.block(bytes) } else { self.packet(bytes) }
    }

    fn piece(&self, len: u32, control: u32, data: &[u8]) {
        let header = Header { len, control, head: head(1) };
        self.send(&[&header.to_bytes()[..], data].concat());
    }
}

fn receive(link: &Link, timeout_ns: i64) -> Result<Frame, Failure> {
    link.receive(&Patience::new(timeout_ns))
}

/// WEFT_PROTOCOL, from every call, for ever.
fn is_protocol(link: &Link) {
    let failure = receive(link, i64::MAX).unwrap_err();
    assert!(failure.is(Status::Protocol), "{failure:?}");
    for timeout in [0, i64::MAX] {
        assert!(receive(link, timeout).unwrap_err().is(Status::Protocol));
        assert!(link.send(head(1), &[1], &Patience::new(timeout)).unwrap_err().is(Status::Protocol));
    }
    assert!(link.descriptor().is_ok());
}

#[test]
fn lengths_and_kinds_that_cannot_be() {
    for options in both() {
        let attacks: [fn(&Enemy); 9] = [
            |enemy| enemy.piece(u32::MAX, 0, &[0; 8]),
            |enemy| enemy.piece(9, 0, &[]),
            |enemy| enemy.piece(4096, 0, &[0; 8]),
            |enemy| enemy.piece(8, 77, &[0; 8]),
            |enemy| enemy.piece(8, REST, &[0; 8]),
            |enemy| enemy.piece(0, REST | WITHDRAWN, &[]),
            |enemy| enemy.piece(8, MORE, &u64::MAX.to_ne_bytes()),
            |enemy| enemy.send(&Header { len: 0, control: 0, head: Head { kind: 9, flags: 0, id: 0 } }.to_bytes()),
            |enemy| enemy.send(&[1; HEADER - 1 - 7]),
        ];
        for attack in attacks {
            let (link, enemy) = against(options);
            enemy.piece(3, 0, &[1, 2, 3]);
            assert_eq!(receive(&link, i64::MAX).unwrap().bytes.as_slice(), [1, 2, 3]);
            attack(&enemy);
            is_protocol(&link);
        }
    }
}

#[test]
fn indices_that_cannot_be() {
    let [options, _] = both();
    for index in [1, 23, 4097, 1 << 40, u64::MAX, u64::MAX - 4096] {
        let (link, enemy) = against(options);
        enemy.head().store(index, Ordering::Release);
        is_protocol(&link);
    }
    for index in [1 << 20, 1 << 40, u64::MAX] {
        let (link, enemy) = against(options);
        // The index of what it has read, of a ring in which there is nothing.
        enemy.word(16).store(index, Ordering::Release);
        let failure = (0..100).find_map(|_| link.send(head(1), &[0; 900], &Patience::new(0)).err()).unwrap();
        assert!(failure.is(Status::Protocol), "{failure:?}");
        is_protocol(&link);
    }
}

/// Something else in the socket than bytes that wake, while somebody sleeps.
#[test]
fn packets_that_are_not_of_the_link() {
    let [shared, alone] = both();
    for packet in [&b"x"[..], b"ww", &[0; 5000]] {
        let (link, enemy) = against(shared);
        enemy.packet(packet);
        assert!(receive(&link, i64::MAX).unwrap_err().is(Status::Protocol));
    }
    for packet in [&b"x"[..], &[7; 24], &[0; 40_000], &[0; 60_000]] {
        let (link, enemy) = against(alone);
        enemy.packet(packet);
        is_protocol(&link);
    }
}

/// A descriptor that comes unasked for is not kept.
#[test]
fn descriptors_that_nobody_asked_for() {
    for options in both() {
        let (link, enemy) = against(options);
        let (pipe, write) = std::io::pipe().unwrap();
        socket::send(&enemy.socket, &[IoSlice::new(b"w")], Some(&OwnedFd::from(write))).unwrap();
        let failure = receive(&link, 1_000_000).unwrap_err();
        let status = if enemy.segment.is_some() { Status::Timeout } else { Status::Protocol };
        assert!(failure.is(status), "{failure:?}");
        // The only other end of the pipe was in that packet.
        assert_eq!(std::io::Read::read(&mut { pipe }, &mut [0; 1]).unwrap(), 0);
    }
}

/// A peer that wakes without end, and sends nothing, keeps nobody beyond the deadline.
#[test]
fn wakes_without_end() {
    let [options, _] = both();
    let (link, enemy) = against(options);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                enemy.packet(b"w");
            }
        });
        let failure = receive(&link, 3_000_000).unwrap_err();
        over.store(true, Ordering::Relaxed);
        assert!(failure.is(Status::Timeout), "{failure:?}");
    });
}

/// A peer that sends pieces without end, and never a frame, keeps nobody beyond the deadline, nor beyond a close.
#[test]
fn pieces_without_end() {
    let [options, _] = both();
    for ring in [1, 4 << 20] {
        let (link, enemy) = against(Options { ring, ..options });
        let ring = link.wire.segment().unwrap().ring() as u64;
        let piece = |at, control, data: u64| {
            let bytes = [&Header { len: 8, control, head: head(1) }.to_bytes()[..], &data.to_ne_bytes()].concat();
            // SAFETY: inside the ring, which consists of such pieces.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), enemy.place(at), bytes.len()) };
        };
        (0..ring).step_by(32).for_each(|at| piece(at, REST | MORE, 0));
        piece(0, MORE, 1 << 30);
        let (written, tail) = (enemy.head(), enemy.word((size_of::<ring::Lane>() + 128) as u64 / 8));
        written.store(ring, Ordering::Release);
        assert!(receive(&link, 0).unwrap_err().is(Status::WouldBlock));
        // Not all of a large ring at once.
        assert!(ring < 1 << 20 || tail.load(Ordering::Relaxed) < ring);
        let over = AtomicBool::new(false);
        let failures = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let read = tail.load(Ordering::Acquire);
                    if read > 0 && written.load(Ordering::Relaxed) == ring {
                        piece(0, REST | MORE, 0);
                    }
                    // What was read is there to be read again.
                    written.store(read + ring, Ordering::Release);
                }
            });
            let received = receive(&link, 3_000_000).err();
            let sent = link.send(head(1), &vec![0; 5 << 20], &Patience::new(3_000_000)).err();
            over.store(true, Ordering::Relaxed);
            [received, sent]
        });
        for failure in failures {
            let failure = failure.unwrap();
            assert!(failure.is(Status::Timeout), "{failure:?}");
        }
    }
}

/// One garbled session: this end sends and receives without patience, the other writes what it likes.
fn session(seed: u64) {
    let _seed = Seed(seed);
    let mut random = Random::new(seed);
    let options = Options { max: 1 << 20, trusted: seed.is_multiple_of(5), ..both()[random.below(2) as usize] };
    let (link, enemy) = against(options);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (enemy, over) = (&enemy, &over);
        let mut random = Random::new(seed + 1000);
        scope.spawn(move || {
            let mut steps = 0;
            while steps < 300 || !over.load(Ordering::Relaxed) {
                steps += 1;
                let shared = enemy.segment.is_some();
                let value = [random.below(64), random.below(5000), random.below(u64::MAX >> 11), u64::MAX]
                    [random.below(4) as usize];
                match random.below(if steps < 200 { 60 } else { 6 }) {
                    0 if shared => enemy.word(random.below(160)).store(value, Ordering::Relaxed),
                    1 if shared => {
                        enemy.head().fetch_add(random.below(300) * 8, Ordering::Relaxed);
                    }
                    2 if shared => {
                        // SAFETY: inside the mapping.
                        unsafe { enemy.place(random.below(1 << 20)).write(value as u8) };
                    }
                    3 => enemy.packet(&vec![value as u8; random.below(3000) as usize]),
                    4 => enemy.packet(b"w"),
                    5 => enemy.piece(random.below(2000) as u32, random.below(20) as u32, &[value as u8; 600]),
                    control => {
                        let len = random.below(600) as usize;
                        enemy.piece(len as u32, if control < 10 { MORE } else { 0 }, &vec![2; len]);
                    }
                }
            }
        });
        let mut random = Random::new(seed + 2000);
        let mut protocol = false;
        for _ in 0..400 {
            let patience = Patience::new([0, 10_000][random.below(2) as usize]);
            let status = match random.below(3) {
                0 => link.send(head(1), &vec![1; random.below(20_000) as usize], &patience).err(),
                1 if options.trusted => link
                    .peek(&patience)
                    .and_then(|view| {
                        // SAFETY: what is looked at is mapped, whoever writes there.
                        (0..view.len).for_each(|i| unsafe {
                            std::hint::black_box(view.data.add(i).read_volatile());
                        });
                        link.consume()
                    })
                    .err(),
                _ => receive(&link, 0).err(),
            };
            if let Some(failure) = status {
                let known =
                    [Status::WouldBlock, Status::Timeout, Status::Protocol, Status::Closed, Status::Died, Status::Busy];
                assert!(known.iter().any(|&status| failure.is(status)), "{failure:?}");
                assert!(!protocol || failure.is(Status::Protocol));
                protocol = failure.is(Status::Protocol);
            } else {
                assert!(!protocol, "believed again");
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn garbage_from_fixed_seeds() {
    (1..=60).for_each(session);
    let seconds = std::env::var("WEFT_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    let end = Instant::now() + Duration::from_secs(seconds);
    (61..).take_while(|_| Instant::now() < end).for_each(session);
}
