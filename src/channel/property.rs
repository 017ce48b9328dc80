//! The channel against what it promises, under random mixes of everything: several producers and consumers, single elements and
//! batches, patience of every length, requests to stop, interrupts, a close in the middle, ends that go. A failure
//! prints its seed; `seed` runs it again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::ends::{Receiver, Sender};
use super::*;
use crate::sync::interrupt::Thread;

struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// Says which seed it was if the test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with the seed {}", self.0);
        }
    }
}

const CAPACITIES: [Capacity; 7] = [
    Capacity::Bounded(0),
    Capacity::Bounded(1),
    Capacity::Bounded(2),
    Capacity::Bounded(3),
    Capacity::Bounded(17),
    Capacity::Bounded(500),
    Capacity::Unbounded,
];

/// An element: who sent it, and which of its sender's it is.
type Element = [u64; 2];

fn deadline(random: &mut Random) -> Deadline {
    match random.below(4) {
        0 => Deadline::Now,
        1 => Deadline::after(random.below(30_000) as i64),
        2 => Deadline::after(random.below(1_000_000) as i64),
        _ => Deadline::Never,
    }
}

/// One thread against a queue that is simple enough to be right: every answer is the same.
#[test]
fn one_thread_sees_a_simple_queue() {
    for seed in 1..=40 {
        let _seed = Seed(seed);
        let mut random = Random::new(seed);
        let capacity = CAPACITIES[random.below(7) as usize];
        let limit = match capacity {
            Capacity::Bounded(limit) => limit,
            Capacity::Unbounded => usize::MAX,
        };
        let options = Options {
            single_producer: random.below(2) == 0,
            single_consumer: random.below(2) == 0,
            ..Options::default()
        };
        let channel = Channel::new(Layout::new::<u64>(), capacity, options).unwrap();
        let (mut queue, mut next, mut closed) = (VecDeque::new(), 0u64, false);
        for _ in 0..3000 {
            let count = random.below(40) as usize;
            match random.below(2000) {
                0 => {
                    channel.close();
                    closed = true;
                }
                1..1000 => {
                    let elements: Vec<u64> = (next..).take(count).collect();
                    let room = if closed { 0 } else { count.min(limit - queue.len()) };
                    // SAFETY: u64s, as many as there are.
                    let (sent, result) =
                        unsafe { channel.send_batch(elements.as_ptr().cast(), count, Deadline::Now, || ()) };
                    assert_eq!(sent, room);
                    match result {
                        Ok(()) => assert_eq!(sent, count),
                        Err(failure) => {
                            assert!(sent < count);
                            assert!(failure.is(if closed { Status::Closed } else { Status::WouldBlock }));
                        }
                    }
                    queue.extend(&elements[..sent]);
                    next += sent as u64;
                }
                _ => {
                    let mut elements = vec![u64::MAX; count];
                    // SAFETY: as above.
                    let result =
                        unsafe { channel.receive_batch(elements.as_mut_ptr().cast(), count, Deadline::Now, || ()) };
                    let there = count.min(queue.len());
                    match result {
                        Ok(received) => assert_eq!(received, there),
                        Err(failure) => {
                            assert!(there == 0 && count > 0);
                            assert!(failure.is(if closed { Status::Closed } else { Status::WouldBlock }));
                        }
                    }
                    assert!(elements[..there].iter().copied().eq(queue.drain(..there)));
                    assert!(elements[there..].iter().all(|&untouched| untouched == u64::MAX));
                }
            }
            assert_eq!((channel.len(), channel.is_closed()), (queue.len(), closed));
        }
    }
}

struct Market {
    channel: Channel,
    producing: AtomicUsize,
    /// How many elements each producer got in, and how many of each were received or discarded.
    sent: Mutex<Vec<u64>>,
    out: Arc<Mutex<Vec<Element>>>,
    /// A close comes after so many sends; 0: when all producers are done.
    closes_after: u64,
    sends: AtomicU64,
    over: AtomicBool,
}

fn produce(market: &Market, producer: u64, mut random: Random) {
    let each = 50 + random.below(400);
    let mut next = 0;
    'all: while next < each {
        let count = if random.below(2) == 0 { 1 } else { 1 + random.below(30) };
        let elements: Vec<Element> = (next..(next + count).min(each)).map(|number| [producer, number]).collect();
        // SAFETY: elements of the channel's, as many as there are.
        let (sent, result) = unsafe {
            market.channel.send_batch(elements.as_ptr().cast(), elements.len(), deadline(&mut random), || ())
        };
        next += sent as u64;
        let before = market.sends.fetch_add(sent as u64, Ordering::Relaxed);
        if market.closes_after > 0 && before + sent as u64 >= market.closes_after {
            market.channel.close();
        }
        match result {
            Ok(()) => assert_eq!(sent, elements.len()),
            Err(failure) => {
                assert!(sent < elements.len());
                if failure.is(Status::Closed) {
                    assert!(market.channel.is_closed());
                    break 'all;
                }
                let known = [Status::Timeout, Status::WouldBlock, Status::Interrupted];
                assert!(known.iter().any(|&status| failure.is(status)), "{failure:?}");
            }
        }
    }
    market.sent.lock().unwrap()[producer as usize] = next;
    if market.producing.fetch_sub(1, Ordering::AcqRel) == 1 {
        market.channel.close();
    }
}

fn consume(market: &Market, mut random: Random) {
    let mut all: Vec<Element> = Vec::new();
    loop {
        let mut elements = [[u64::MAX; 2]; 31];
        let most = if random.below(2) == 0 { 1 } else { 1 + random.below(30) as usize };
        // SAFETY: places for elements of the channel's.
        match unsafe { market.channel.receive_batch(elements.as_mut_ptr().cast(), most, deadline(&mut random), || ()) }
        {
            Ok(received) => {
                assert!(received > 0 && received <= most);
                all.extend_from_slice(&elements[..received]);
                assert_eq!(elements[received], [u64::MAX; 2]);
            }
            Err(failure) if failure.is(Status::Closed) => break,
            Err(failure) => {
                let known = [Status::Timeout, Status::WouldBlock, Status::Interrupted];
                assert!(known.iter().any(|&status| failure.is(status)), "{failure:?}");
            }
        }
    }
    // One consumer sees each producer's elements in their order.
    for producer in 0..4 {
        let numbers: Vec<u64> = all.iter().filter(|element| element[0] == producer).map(|element| element[1]).collect();
        assert!(numbers.is_sorted_by(|one, other| one < other));
    }
    market.out.lock().unwrap().extend(all);
}

fn market(seed: u64) {
    let _seed = Seed(seed);
    let mut random = Random::new(seed);
    let (producers, consumers) = (1 + random.below(4), 1 + random.below(4));
    let out = Arc::new(Mutex::new(Vec::new()));
    let discarded = out.clone();
    let discard: Discard = Box::new(move |element| {
        // SAFETY: an element of the channel's.
        discarded.lock().unwrap().push(unsafe { element.cast::<Element>().read() });
    });
    let options = Options {
        discard: Some(discard),
        single_producer: producers == 1 && random.below(2) == 0,
        single_consumer: consumers == 1 && random.below(2) == 0,
    };
    let capacity = CAPACITIES[random.below(7) as usize];
    let market = Market {
        channel: Channel::new(Layout::new::<Element>(), capacity, options).unwrap(),
        producing: AtomicUsize::new(producers as usize),
        sent: Mutex::new(vec![0; producers as usize]),
        out,
        closes_after: if random.below(2) == 0 { 0 } else { 1 + random.below(300) },
        sends: AtomicU64::new(0),
        over: AtomicBool::new(false),
    };
    let threads: Mutex<Vec<Arc<Thread>>> = Mutex::default();
    std::thread::scope(|scope| {
        let (market, threads) = (&market, &threads);
        let mut all = Vec::new();
        for index in 0..producers + consumers {
            let random = Random::new(seed * 100 + index);
            all.push(scope.spawn(move || {
                threads.lock().unwrap().push(Thread::current());
                if index < producers { produce(market, index, random) } else { consume(market, random) }
            }));
        }
        // Somebody interrupts them now and then.
        let meddler = scope.spawn(move || {
            let mut random = Random::new(seed + 77);
            while !market.over.load(Ordering::Acquire) {
                let thread = {
                    let threads = threads.lock().unwrap();
                    (!threads.is_empty()).then(|| threads[random.below(threads.len() as u64) as usize].clone())
                };
                thread.into_iter().for_each(|thread| thread.interrupt());
                std::thread::yield_now();
            }
        });
        let ended: Vec<_> = all.into_iter().map(|thread| thread.join()).collect();
        market.over.store(true, Ordering::Release);
        meddler.join().unwrap();
        assert!(ended.iter().all(Result::is_ok));
    });
    assert_eq!([Direction::Send, Direction::Receive].map(|direction| market.channel.waiting(direction)), [0; 2]);
    let Market { channel, sent, out, .. } = market;
    drop(channel);
    // Every element that is in came out once, to a consumer or to the discard.
    let mut came = std::mem::take(&mut *out.lock().unwrap());
    came.sort_unstable();
    let went: Vec<Element> = (0..)
        .zip(sent.into_inner().unwrap())
        .flat_map(|(producer, sent)| (0..sent).map(move |number| [producer, number]))
        .collect();
    assert!(came == went, "{} came of {}", came.len(), went.len());
}

#[test]
fn many_threads_lose_and_double_nothing() {
    (1..=60).for_each(market);
}

/// The last receiver goes while producers send: what they got in and nobody received is discarded.
#[test]
fn ends_that_go_while_others_send() {
    for seed in 1..=40 {
        let _seed = Seed(seed);
        let mut random = Random::new(seed);
        let (inside, quota) = (Arc::new(AtomicU64::new(0)), random.below(300));
        let taken = inside.clone();
        let discard: Discard = Box::new(move |_| {
            taken.fetch_sub(1, Ordering::Relaxed);
        });
        let capacity = CAPACITIES[random.below(7) as usize];
        let options = Options { discard: Some(discard), ..Options::default() };
        let channel = Arc::new(Channel::new(Layout::new::<u64>(), capacity, options).unwrap());
        let (sender, receiver) = (Arc::new(Sender(channel.clone())), Receiver(channel.clone()));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (sender, inside) = (sender.clone(), inside.clone());
                scope.spawn(move || {
                    for element in 0..2000u64 {
                        inside.fetch_add(1, Ordering::Relaxed);
                        // SAFETY: a u64.
                        if unsafe { sender.0.send((&raw const element).cast(), Deadline::Never) }.is_err() {
                            inside.fetch_sub(1, Ordering::Relaxed);
                            break;
                        }
                    }
                });
            }
            drop(sender);
            let inside = inside.clone();
            scope.spawn(move || {
                for _ in 0..quota {
                    let mut element = 0u64;
                    // SAFETY: a u64's place.
                    unsafe { receiver.0.receive((&raw mut element).cast(), Deadline::Never) }.unwrap();
                    inside.fetch_sub(1, Ordering::Relaxed);
                }
            });
        });
        // Before the channel itself has gone.
        assert_eq!((inside.load(Ordering::Relaxed), channel.len(), channel.is_closed()), (0, 0, true));
    }
}
