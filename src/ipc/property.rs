//! A link against what it promises, under random mixes of sizes, patience, threads and ends. A failure prints its seed. The model is
//! a queue for each direction: what was sent, in its order, and nothing else.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::tests::{ends, head};
use super::*;
use crate::error::Status;

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// Says which seed it was if the test fails.
pub struct Seed(pub u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with the seed {}", self.0);
        }
    }
}

fn options(random: &mut Random) -> Options {
    let transport = if random.below(2) == 0 { Transport::Shared } else { Transport::Socket };
    let trusted = random.below(2) == 0;
    Options { transport, ring: 4096 << random.below(4), trusted, ..Options::default() }
}

fn size(random: &mut Random) -> usize {
    let limit = [10, 100, 2000, 10_000, 100_000][random.below(5) as usize];
    random.below(limit) as usize
}

/// Bytes that differ from frame to frame, and repeat after a prime number of them.
fn data(id: u64, len: usize) -> Vec<u8> {
    let mut data: Vec<u8> = (0..len.min(251)).map(|i| (id * 7 + i as u64 * 13) as u8).collect();
    while data.len() < len {
        data.extend_from_within(..data.len().min(len - data.len()));
    }
    data
}

/// One thread, which never waits, sees two queues.
#[test]
fn one_thread_sees_two_queues() {
    for seed in 1..=40 {
        let _seed = Seed(seed);
        let mut random = Random::new(seed);
        let options = options(&mut random);
        let links = ends(options);
        let mut queues = [VecDeque::new(), VecDeque::new()];
        let mut next = 0;
        for _ in 0..300 {
            let side = random.below(2) as usize;
            let (link, queue) = (&links[side], &mut queues[side]);
            if random.below(2) == 0 {
                let len = size(&mut random);
                match link.send(head(next), &data(next, len), &Patience::new(0)) {
                    Ok(()) => queue.push_back((next, len)),
                    Err(failure) => assert!(failure.is(Status::WouldBlock) && (len > 900 || !queue.is_empty())),
                }
                next += 1;
                continue;
            }
            let (link, queue) = (&links[1 - side], &mut queues[side]);
            if options.trusted && random.below(2) == 0 {
                match (link.peek(&Patience::new(0)), queue.pop_front()) {
                    (Ok(view), Some((id, len))) => {
                        // SAFETY: good until it is consumed.
                        let bytes = unsafe { std::slice::from_raw_parts(view.data, view.len) };
                        assert!(view.head == head(id) && bytes == data(id, len));
                        link.consume().unwrap();
                    }
                    (Err(failure), None) => assert!(failure.is(Status::WouldBlock)),
                    (view, expected) => panic!("{expected:?}, {:?}", view.map(|view| view.head)),
                }
                continue;
            }
            match (link.receive(&Patience::new(0)), queue.pop_front()) {
                (Ok(frame), Some((id, len))) => {
                    assert!(frame.head == head(id) && frame.bytes.as_slice() == data(id, len));
                }
                (Err(failure), None) => assert!(failure.is(Status::WouldBlock)),
                (frame, expected) => panic!("{expected:?}, {frame:?}"),
            }
        }
    }
}

/// Several threads on both ends, some of which give up now and then: what was sent comes once, each sender's in its order, and what
/// was given up does not come.
#[test]
fn many_threads_lose_and_double_nothing() {
    for seed in 1..=20 {
        let _seed = Seed(seed);
        let mut random = Random::new(seed);
        let links = ends(options(&mut random));
        let (senders, receivers) = (1 + random.below(3), 1 + random.below(3));
        let sent: [Mutex<Vec<u64>>; 2] = Default::default();
        let got: [Mutex<Vec<u64>>; 2] = Default::default();
        std::thread::scope(|scope| {
            for side in 0..2 {
                let (link, other) = (&links[side], &links[1 - side]);
                let (sent, got) = (&sent[side], &got[side]);
                let all: Vec<_> = (0..senders)
                    .map(|sender| {
                        let mut random = Random::new(seed * 100 + sender * 2 + side as u64);
                        scope.spawn(move || {
                            for id in (0..60).map(|id| sender * 1000 + id) {
                                let patience = [0, 20_000, 300_000, i64::MAX][random.below(4) as usize];
                                let len = size(&mut random);
                                match link.send(head(id), &data(id, len), &Patience::new(patience)) {
                                    Ok(()) => sent.lock().unwrap().push(id),
                                    Err(failure) => assert!(
                                        patience < i64::MAX
                                            && (failure.is(Status::Timeout) || failure.is(Status::WouldBlock))
                                    ),
                                }
                            }
                        })
                    })
                    .collect();
                for _ in 0..receivers {
                    let mut random = Random::new(seed * 77 + side as u64);
                    scope.spawn(move || {
                        let mut own = Vec::new();
                        loop {
                            let patience = [0, 20_000, i64::MAX][random.below(3) as usize];
                            match other.receive(&Patience::new(patience)) {
                                // The last word, once for each receiver.
                                Ok(frame) if frame.head.kind == 1 => break,
                                Ok(frame) => {
                                    let id = frame.head.id;
                                    assert!(frame.bytes.as_slice() == data(id, frame.bytes.as_slice().len()));
                                    own.push(id);
                                }
                                Err(failure) => {
                                    assert!(failure.is(Status::Timeout) || failure.is(Status::WouldBlock));
                                }
                            }
                        }
                        for sender in 0..senders {
                            assert!(own.iter().filter(|&id| id / 1000 == sender).is_sorted());
                        }
                        got.lock().unwrap().extend(own);
                    });
                }
                scope.spawn(move || {
                    all.into_iter().for_each(|sender| sender.join().unwrap());
                    let last = Head { kind: 1, flags: 0, id: 0 };
                    (0..receivers).for_each(|_| link.send(last, &[], &Patience::new(i64::MAX)).unwrap());
                });
            }
        });
        for side in 0..2 {
            let sorted = |ids: &Mutex<Vec<u64>>| {
                let mut ids = ids.lock().unwrap().clone();
                ids.sort_unstable();
                ids
            };
            assert_eq!(sorted(&sent[side]), sorted(&got[side]));
        }
    }
}
