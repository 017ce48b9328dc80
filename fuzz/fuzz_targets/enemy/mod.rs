//! The far end of a link in the hands of the input: a row of steps, some of them the enemy's, some of the end that is attacked.
//! Whatever it does, each call ends with a status that can be, and once that is WEFT_PROTOCOL it stays so. Memory
//! that is not the link's ends the process: the rings are mapped between others' addresses, and the assertions of the
//! code are on.

use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use weft::error::{Failure, Status};
use weft::ipc::frame::Header;
use weft::ipc::ring::{Lane, padded};
use weft::ipc::segment::{Segment, ring_size};
use weft::ipc::{Head, Link, Options, Patience, Transport, pair};
use weft::platform::socket;

/// Words of both lanes and the flags of closing, which are in a row.
const WORDS: usize = (2 * size_of::<Lane>() + 256) / 8;

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    fn number(&mut self, bytes: usize) -> u64 {
        self.bytes(bytes).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

struct Enemy {
    socket: OwnedFd,
    segment: Option<Segment>,
}

impl Enemy {
    fn packet(&self, bytes: &[u8]) {
        let _ = socket::send(&self.socket, &[IoSlice::new(bytes)], None);
    }

    fn word(&self, index: usize) -> Option<&AtomicU64> {
        let segment = self.segment.as_ref()?;
        let own = NonNull::from(segment.half(true).0).cast::<AtomicU64>();
        // SAFETY: side 1's lane is the second of two that are in a row, with flags behind it.
        Some(unsafe { own.sub(size_of::<Lane>() / 8).add(index % WORDS).as_ref() })
    }

    /// A packet, or a block as a peer would write it.
    fn send(&self, bytes: &[u8]) {
        let (Some(segment), Some(head)) = (&self.segment, self.word(size_of::<Lane>() / 8)) else {
            return self.packet(bytes);
        };
        let at = head.load(Ordering::Relaxed);
        let bytes = &bytes[..bytes.len().min(segment.ring())];
        // SAFETY: mapped for twice the ring.
        unsafe {
            let place = segment.half(true).1.add(at as usize % segment.ring());
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), place.as_ptr(), bytes.len());
        }
        head.store(at.wrapping_add(padded(bytes.len()) as u64), Ordering::Release);
    }
}

fn against(options: Options) -> (Link, Enemy) {
    let (link, socket) = pair(options).unwrap();
    let mut hello = [0; 100];
    let packet = socket::receive(socket.as_raw_fd(), &mut hello, true).unwrap();
    let ring = ring_size(options.ring).unwrap();
    let segment = packet.passed.map(|memory| Segment::adopt(&memory, ring).unwrap().unwrap());
    (link, Enemy { socket, segment })
}

/// Follows what the calls come to.
#[derive(Default)]
struct Judge {
    protocol: bool,
}

impl Judge {
    fn hears<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        const KNOWN: [Status; 6] =
            [Status::WouldBlock, Status::Protocol, Status::Closed, Status::Died, Status::Busy, Status::TooLarge];
        match result {
            Ok(value) => {
                assert!(!self.protocol, "believed again");
                Some(value)
            }
            Err(failure) => {
                assert!(KNOWN.iter().any(|&status| failure.is(status)), "{failure:?}");
                // What the caller does wrong is told before.
                let others = [Status::Busy, Status::TooLarge].iter().any(|&status| failure.is(status));
                assert!(!self.protocol || others || failure.is(Status::Protocol), "{failure:?}");
                self.protocol |= failure.is(Status::Protocol);
                None
            }
        }
    }
}

/// Looks at each byte.
fn read(bytes: &[u8]) {
    std::hint::black_box(bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
}

pub fn attack(transport: Transport, input: &[u8]) {
    let mut input = Input(input);
    let trusted = input.number(1) % 2 == 1;
    let options = Options { transport, ring: 1, max: 1 << 16, backlog: 1 << 16, trusted };
    let (link, enemy) = against(options);
    let (mut judge, now) = (Judge::default(), Patience::new(0));
    let mut viewed = false;
    while !input.0.is_empty() {
        match input.number(1) % 8 {
            0 => {
                let control = [0, 1, 2, 3, 6, 8, 7, 16][input.number(1) as usize % 8];
                let head = Head { kind: 256 - (input.number(1) as u32 & 3), flags: 1, id: input.number(1) & 1 };
                let said = input.number(2) as u32;
                let len = input.number(2) as usize;
                let header = Header { len: if said & 1 == 0 { len as u32 } else { said }, control, head };
                let mut piece = header.to_bytes().to_vec();
                piece.extend_from_slice(&input.number(2).to_ne_bytes()[..len.min(8)]);
                piece.resize(24 + len % 5000, 7);
                enemy.send(&piece);
            }
            1 => {
                let len = input.number(1) as usize;
                enemy.send(input.bytes(len));
            }
            2 => {
                let (index, value) = (input.number(1) as usize, input.number(8));
                if let Some(word) = enemy.word(index) {
                    word.store(value, Ordering::Release);
                }
            }
            3 | 4 => {
                if let Some(frame) = judge.hears(link.receive(&now)) {
                    assert!(!viewed);
                    read(frame.bytes.as_slice());
                }
            }
            5 => {
                let data = vec![1; input.number(2) as usize];
                judge.hears(link.send(Head { kind: 300, flags: 0, id: 0 }, &data, &now));
            }
            6 if trusted && !viewed => {
                if let Some(view) = judge.hears(link.peek(&now)) {
                    // SAFETY: good until it is consumed.
                    read(unsafe { std::slice::from_raw_parts(view.data, view.len) });
                    viewed = true;
                }
            }
            6 if viewed => {
                link.consume().unwrap();
                viewed = false;
            }
            6 => assert!(link.descriptor().is_ok()),
            _ => {
                let len = input.number(1) as usize % 64;
                enemy.packet(if len == 0 { b"w" } else { input.bytes(len) });
            }
        }
    }
    if viewed {
        link.consume().unwrap();
    }
    // What is still there, as far as an index can say that there is something: less than the smallest blocks that fit in.
    for _ in 0..10_000 {
        match judge.hears(link.receive(&now)) {
            Some(frame) => read(frame.bytes.as_slice()),
            None => break,
        }
    }
}
