//! A ring of bytes with one producer and one consumer, in memory that two processes share.
//!
//! Each side has its own index (bytes that have passed), which it keeps in memory of its own and only ever *writes* to the
//! shared [`Lane`]; from there it reads the other's, once, and checks it before it believes anything: an index that goes back, or
//! further than the ring is long, is [`Garbage`]. The other's index is remembered, so that its cache line is read only when
//! the ring seems full (or empty). A consumer close behind a producer would still read it for each block; it lets the producer
//! get ahead instead ([`crate::sync::slip`]).
//!
//! The producer tells of each block that it has written. The consumer tells of room when an eighth of the ring has been
//! read, and before it says that there is nothing: so whoever waits for room gets it as long as somebody reads.
//!
//! The memory behind a block is fetched for the next one ([`Memory::prepare`]): the consumer has had it, a lap ago, and the
//! producer would wait for its lines when it tells.
//!
//! **Sleeping.** Who finds nothing to do says so in a word of the lane (`data_wanted`, `room_wanted`), fences, and looks
//! once more. The other side writes its index, fences, and reads that word: one of them sees the other. Only then does telling
//! cost a call ([`Memory::wake`]); how one sleeps and is woken is not the ring's business, but a wake-up that comes before the
//! sleep must end it.

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sync::slip::Slip;

/// What the two sides of a ring share besides the bytes: each word on a cache line (two, as they are fetched in pairs) of
/// its own. All zeros at first.
#[repr(C)]
#[derive(Default)]
pub struct Lane {
    head: Line<AtomicU64>,
    tail: Line<AtomicU64>,
    /// The consumer sleeps, or is about to.
    data_wanted: Line<AtomicU32>,
    /// The producer sleeps, or is about to.
    room_wanted: Line<AtomicU32>,
}

/// A value on cache lines of its own.
#[repr(C, align(128))]
#[derive(Default)]
pub struct Line<T>(pub T);

/// Where a ring is.
pub trait Memory {
    /// The shared words.
    fn lane(&self) -> &Lane;

    /// Bytes of the ring, a power of two and at least 8.
    fn capacity(&self) -> usize;

    /// Copies bytes to this place of the ring, and around its end.
    fn write(&self, at: usize, bytes: &[u8]);

    /// Copies bytes from this place of the ring, and around its end.
    fn read(&self, at: usize, bytes: &mut [u8]);

    /// What is at this place of the ring, and around its end, will be written soon.
    fn prepare(&self, at: usize);

    /// Ends the other side's sleep, or the next one.
    fn wake(&self);
}

/// The other side has written an index that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbage;

/// Blocks begin at multiples of this.
pub const ALIGN: usize = 8;

/// What a block of so many bytes takes.
pub fn padded(len: usize) -> usize {
    len.next_multiple_of(ALIGN)
}

/// Asks for the other side to be woken if it is on its way to sleep.
fn tell<M: Memory>(memory: &M, wanted: &AtomicU32) {
    // Between the index, written before, and the word: pairs with the fence in `want`.
    fence(Ordering::SeqCst);
    // The exchange only if it is worth it; it makes one call of several.
    if wanted.load(Ordering::Relaxed) != 0 && wanted.swap(0, Ordering::Relaxed) != 0 {
        memory.wake();
    }
}

/// From here on the other side wakes whoever sleeps. To be followed by a look at the ring.
fn want(wanted: &AtomicU32) {
    wanted.store(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
}

/// The side that writes.
#[derive(Default)]
pub struct Producer {
    head: u64,
    seen_tail: u64,
}

impl Producer {
    /// Whether a block of so many bytes fits in now.
    #[inline(always)]
    pub fn fits(&mut self, memory: &impl Memory, len: usize) -> Result<bool, Garbage> {
        let capacity = memory.capacity() as u64;
        let needed = padded(len) as u64;
        if capacity - (self.head - self.seen_tail) >= needed {
            return Ok(true);
        }
        // Acquire pairs with the consumer's Release: what is overwritten now has been read.
        let tail = memory.lane().tail.0.load(Ordering::Acquire);
        if tail < self.seen_tail || tail > self.head {
            return Err(Garbage);
        }
        self.seen_tail = tail;
        Ok(capacity - (self.head - tail) >= needed)
    }

    /// Writes a block that consists of two parts, as a whole, and tells the consumer.
    #[inline(always)]
    pub fn put(&mut self, memory: &impl Memory, first: &[u8], second: &[u8]) -> Result<bool, Garbage> {
        let len = first.len() + second.len();
        if !self.fits(memory, len)? {
            return Ok(false);
        }
        let mask = memory.capacity() - 1;
        let at = self.head as usize;
        memory.write(at & mask, first);
        memory.write((at + first.len()) & mask, second);
        self.head += padded(len) as u64;
        let lane = memory.lane();
        // Release: the bytes come with it.
        lane.head.0.store(self.head, Ordering::Release);
        memory.prepare(self.head as usize & mask);
        tell(memory, &lane.data_wanted.0);
        Ok(true)
    }

    /// The consumer wakes this side when there is more room. Look before you sleep.
    pub fn want_room(&self, memory: &impl Memory) {
        want(&memory.lane().room_wanted.0);
    }

    /// Never mind.
    pub fn want_none(&self, memory: &impl Memory) {
        memory.lane().room_wanted.0.store(0, Ordering::Relaxed);
    }
}

/// The side that reads.
#[derive(Default)]
pub struct Consumer {
    tail: u64,
    told_tail: u64,
    seen_head: u64,
    /// What the last block took.
    last: usize,
    slip: Slip,
}

impl Consumer {
    /// How many bytes there are to be read.
    #[inline(always)]
    pub fn available(&mut self, memory: &impl Memory) -> Result<usize, Garbage> {
        if self.seen_head == self.tail {
            let capacity = memory.capacity();
            let load = || {
                // Acquire pairs with the producer's Release: the bytes are there.
                let head = memory.lane().head.0.load(Ordering::Acquire);
                if head < self.tail || head - self.tail > capacity as u64 {
                    Err(Garbage)
                } else {
                    Ok((head - self.tail) as usize)
                }
            };
            let there = self.slip.look_at_bytes(self.last.max(ALIGN), capacity, load)?;
            if there == 0 {
                self.tell_tail(memory);
            }
            self.seen_head = self.tail + there as u64;
        }
        Ok((self.seen_head - self.tail) as usize)
    }

    /// Where the first of them is.
    #[inline(always)]
    pub fn place(&self, memory: &impl Memory) -> usize {
        self.tail as usize & (memory.capacity() - 1)
    }

    /// Gives a block of so many bytes back, which were available.
    #[inline(always)]
    pub fn advance(&mut self, memory: &impl Memory, len: usize) {
        // Rounded up it is still available, if the producer pads; if not, the next look says that this is garbage.
        self.last = padded(len);
        self.tail = (self.tail + self.last as u64).min(self.seen_head);
        if self.tail - self.told_tail >= memory.capacity() as u64 / 8 {
            self.tell_tail(memory);
        }
    }

    #[inline(always)]
    fn tell_tail(&mut self, memory: &impl Memory) {
        if self.told_tail != self.tail {
            self.told_tail = self.tail;
            let lane = memory.lane();
            // Release: what has been read may be overwritten.
            lane.tail.0.store(self.tail, Ordering::Release);
            tell(memory, &lane.room_wanted.0);
        }
    }

    /// The producer wakes this side when there is something. Look before you sleep.
    pub fn want_data(&self, memory: &impl Memory) {
        want(&memory.lane().data_wanted.0);
    }

    /// Never mind.
    pub fn want_none(&self, memory: &impl Memory) {
        memory.lane().data_wanted.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::atomic::UnsafeCell;
    use crate::sync::futex::Futex;
    use crate::sync::model;
    use loom::sync::Arc;

    const CAPACITY: usize = 8;

    /// A ring whose bytes loom watches, and a call that ends a sleep (of either side's: each looks again) as a byte in a socket does.
    struct Model {
        lane: Lane,
        bytes: [UnsafeCell<u8>; CAPACITY],
        calls: [Futex; 2],
    }

    unsafe impl Sync for Model {}
    unsafe impl Send for Model {}

    /// One side of it.
    struct Side(Arc<Model>, usize);

    impl Side {
        fn sleep(&self) {
            // What was written before a byte that is taken out is seen, as sockets have it.
            let call = &self.0.calls[self.1];
            while call.load(Ordering::Relaxed) == 0 {
                call.wait(0, None);
            }
            call.swap(0, Ordering::AcqRel);
        }
    }

    impl Memory for Side {
        fn lane(&self) -> &Lane {
            &self.0.lane
        }
        fn capacity(&self) -> usize {
            CAPACITY
        }
        fn write(&self, at: usize, bytes: &[u8]) {
            for (i, byte) in bytes.iter().enumerate() {
                self.0.bytes[(at + i) % CAPACITY].with_mut(|place| unsafe { *place = *byte });
            }
        }
        fn read(&self, at: usize, bytes: &mut [u8]) {
            for (i, byte) in bytes.iter_mut().enumerate() {
                *byte = self.0.bytes[(at + i) % CAPACITY].with(|place| unsafe { *place });
            }
        }
        fn prepare(&self, _: usize) {}
        fn wake(&self) {
            let call = &self.0.calls[1 - self.1];
            call.store(1, Ordering::Release);
            call.wake(1);
        }
    }

    fn sides() -> [Side; 2] {
        let model = Arc::new(Model {
            lane: Lane::default(),
            bytes: std::array::from_fn(|_| UnsafeCell::new(0)),
            calls: [Futex::new(0), Futex::new(0)],
        });
        [Side(model.clone(), 0), Side(model, 1)]
    }

    fn send(side: &Side, producer: &mut Producer, value: u8) {
        while !producer.put(side, &[value], &[value + 100]).unwrap() {
            producer.want_room(side);
            if !producer.fits(side, 2).unwrap() {
                side.sleep();
            }
        }
    }

    fn receive(side: &Side, consumer: &mut Consumer) -> u8 {
        loop {
            let available = consumer.available(side).unwrap();
            if available > 0 {
                assert!(available.is_multiple_of(ALIGN));
                let mut bytes = [0; 2];
                side.read(consumer.place(side), &mut bytes);
                assert_eq!(bytes[1], bytes[0] + 100);
                consumer.advance(side, 2);
                return bytes[0];
            }
            consumer.want_data(side);
            if consumer.available(side).unwrap() == 0 {
                side.sleep();
            }
        }
    }

    /// Blocks come whole and in their order, and no sleeper is left, with room for one block and two to be sent: for more, loom does
    /// not keep apart what was stored in a word.
    #[test]
    fn loom_ring_wakes_and_keeps_order() {
        model(3, || {
            let [near, far] = sides();
            let producer = loom::thread::spawn(move || {
                let mut producer = Producer::default();
                (1..=2).for_each(|value| send(&near, &mut producer, value));
            });
            let mut consumer = Consumer::default();
            (1..=2).for_each(|value| assert_eq!(receive(&far, &mut consumer), value));
            producer.join().unwrap();
            assert_eq!(consumer.available(&far), Ok(0));
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    struct Plain(Lane, std::cell::RefCell<[u8; 64]>);

    impl Memory for Plain {
        fn lane(&self) -> &Lane {
            &self.0
        }
        fn capacity(&self) -> usize {
            64
        }
        fn write(&self, at: usize, bytes: &[u8]) {
            bytes.iter().enumerate().for_each(|(i, byte)| self.1.borrow_mut()[(at + i) % 64] = *byte);
        }
        fn read(&self, at: usize, bytes: &mut [u8]) {
            bytes.iter_mut().enumerate().for_each(|(i, byte)| *byte = self.1.borrow()[(at + i) % 64]);
        }
        fn prepare(&self, _: usize) {}
        fn wake(&self) {}
    }

    fn plain() -> Plain {
        Plain(Lane::default(), [0; 64].into())
    }

    #[test]
    fn full_empty_and_around_the_end() {
        let (ring, mut producer, mut consumer) = (plain(), Producer::default(), Consumer::default());
        for round in 0..100u8 {
            assert_eq!(consumer.available(&ring), Ok(0));
            assert_eq!(producer.put(&ring, &[round; 3], &[7; 20]), Ok(true));
            assert_eq!(producer.put(&ring, &[round; 40], &[]), Ok(true));
            assert_eq!(producer.put(&ring, &[1], &[]), Ok(false));
            for len in [23, 40] {
                let mut bytes = vec![0; len];
                ring.read(consumer.place(&ring), &mut bytes);
                assert_eq!((bytes[0], bytes[2]), (round, round));
                assert_eq!(bytes[len - 1], if len == 23 { 7 } else { round });
                assert!(consumer.available(&ring).unwrap() >= len);
                consumer.advance(&ring, len);
            }
        }
    }

    #[test]
    fn indices_that_cannot_be_are_garbage() {
        for tail in [u64::MAX, 33, 1 << 63] {
            let (ring, mut producer) = (plain(), Producer::default());
            assert_eq!(producer.put(&ring, &[0; 32], &[]), Ok(true));
            ring.0.tail.0.store(tail, Ordering::Relaxed);
            assert_eq!(producer.put(&ring, &[0; 40], &[]), Err(Garbage));
        }
        let (ring, mut producer) = (plain(), Producer::default());
        (0..2).for_each(|_| assert_eq!(producer.put(&ring, &[0; 32], &[]), Ok(true)));
        ring.0.tail.0.store(16, Ordering::Relaxed);
        assert_eq!(producer.put(&ring, &[0; 16], &[]), Ok(true));
        ring.0.tail.0.store(8, Ordering::Relaxed);
        assert_eq!(producer.put(&ring, &[0; 16], &[]), Err(Garbage));
        for head in [65, u64::MAX] {
            let (ring, mut consumer) = (plain(), Consumer::default());
            ring.0.head.0.store(head, Ordering::Relaxed);
            assert_eq!(consumer.available(&ring), Err(Garbage));
        }
        let (ring, mut consumer) = (plain(), Consumer::default());
        ring.0.head.0.store(8, Ordering::Relaxed);
        assert_eq!(consumer.available(&ring), Ok(8));
        consumer.advance(&ring, 8);
        ring.0.head.0.store(0, Ordering::Relaxed);
        assert_eq!(consumer.available(&ring), Err(Garbage));
    }
}
