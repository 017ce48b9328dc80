//! What there is to do, the same for all that are written in Rust. `benches/channels_moodycamel.cpp` and
//! `benches/channels.go` say the same in their languages.

use std::fmt::{self, Display, Formatter};
use std::time::Instant;

use weft_peers::contest::{Measure, Part, percentiles, together};

/// Messages of a batch.
pub const BATCH: usize = 64;

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// Each producer sends its share, each consumer receives its share.
    Stream,
    /// The same by up to [`BATCH`] messages at once, until the producers are done.
    Batch,
    /// Round trips through two channels, timed one by one.
    Trips,
    /// One consumer, a channel for each producer.
    Select,
}

#[derive(Clone, Copy)]
pub struct Work {
    pub kind: Kind,
    pub bytes: usize,
    pub producers: usize,
    pub consumers: usize,
    /// `None`: no limit.
    pub capacity: Option<usize>,
}

impl Display for Work {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let capacity = match self.capacity {
            Some(0) => "rendezvous".into(),
            Some(capacity) => format!("capacity {capacity}"),
            None => "unbounded".into(),
        };
        let kind = match self.kind {
            Kind::Stream => "",
            Kind::Batch => "batches, ",
            Kind::Trips => "ping-pong, ",
            Kind::Select => "select, ",
        };
        f.pad(&format!("{kind}{} B, {}x{}, {capacity}", self.bytes, self.producers, self.consumers))
    }
}

/// A message: words, all the same.
pub trait Message: Copy + Send + 'static {
    fn new(number: u64) -> Self;
    /// Reads all of it.
    fn sum(&self) -> u64;
}

impl<const WORDS: usize> Message for [u64; WORDS] {
    fn new(number: u64) -> Self {
        [number; WORDS]
    }

    fn sum(&self) -> u64 {
        self.iter().fold(0, |sum, word| sum.wrapping_add(*word))
    }
}

/// The ends of a channel, one for each thread.
pub type Ends<S, R> = (Vec<S>, Vec<R>);

/// A kind of channel.
pub trait Peer {
    const NAME: &'static str;
    type Sender<T: Message>: Send;
    type Receiver<T: Message>: Send;

    /// `None` if there is no such channel. A sender that goes has sent everything.
    fn channel<T: Message>(
        capacity: Option<usize>,
        producers: usize,
        consumers: usize,
    ) -> Option<Ends<Self::Sender<T>, Self::Receiver<T>>>;
    fn send<T: Message>(sender: &mut Self::Sender<T>, message: T);
    fn receive<T: Message>(receiver: &mut Self::Receiver<T>) -> T;

    /// Whether it has functions for at least one side of batches.
    fn batches() -> bool {
        false
    }
    fn send_batch<T: Message>(sender: &mut Self::Sender<T>, messages: &[T]) {
        messages.iter().for_each(|message| Self::send(sender, *message));
    }
    /// Receives at least one into the empty vector, or none when the producers are done and nothing is left.
    fn receive_batch<T: Message>(_: &mut Self::Receiver<T>, _into: &mut Vec<T>) {
        unreachable!("batches() says no")
    }

    /// Receives that many messages, whichever come first, and adds them up; `None` if it has no select.
    fn select<T: Message>(_: &mut [Self::Receiver<T>], _messages: u64) -> Option<u64> {
        None
    }
}

impl Work {
    /// Messages of a round, at most.
    pub fn most(&self) -> u64 {
        match (self.kind, self.capacity) {
            (Kind::Trips, _) => 1 << 16,
            (_, Some(0 | 1)) => 1 << 18,
            _ => 1 << 20,
        }
    }

    /// One round; `None` if the peer does not do this.
    pub fn run<P: Peer>(self, messages: u64) -> Option<Measure> {
        match self.bytes {
            8 => self.with::<P, [u64; 1]>(messages),
            64 => self.with::<P, [u64; 8]>(messages),
            other => unreachable!("messages of {other} bytes"),
        }
    }

    fn with<P: Peer, T: Message>(self, messages: u64) -> Option<Measure> {
        match self.kind {
            Kind::Stream => self.stream::<P, T>(messages),
            Kind::Batch => self.batch::<P, T>(messages),
            Kind::Trips => self.trips::<P, T>(messages),
            Kind::Select => self.select::<P, T>(messages),
        }
    }

    fn stream<P: Peer, T: Message>(self, messages: u64) -> Option<Measure> {
        let (senders, receivers) = P::channel::<T>(self.capacity, self.producers, self.consumers)?;
        let (share, part) = (messages / self.producers as u64, messages / self.consumers as u64);
        let send = |mut sender| Box::new(move || produce::<P, T>(&mut sender, share)) as Part;
        let receive = |mut receiver: P::Receiver<T>| {
            let all = move || (0..part).fold(0u64, |sum, _| sum.wrapping_add(P::receive(&mut receiver).sum()));
            Box::new(all) as Part
        };
        Some(run::<T>(senders.into_iter().map(send).chain(receivers.into_iter().map(receive)), self.producers, share))
    }

    fn batch<P: Peer, T: Message>(self, messages: u64) -> Option<Measure> {
        if !P::batches() {
            return None;
        }
        let (senders, receivers) = P::channel::<T>(self.capacity, self.producers, self.consumers)?;
        let share = messages / self.producers as u64;
        let send = |mut sender: P::Sender<T>| {
            Box::new(move || {
                let mut batch = [T::new(0); BATCH];
                for first in (0..share).step_by(BATCH) {
                    (first..).zip(&mut batch).for_each(|(number, message)| *message = T::new(number));
                    P::send_batch(&mut sender, &batch);
                }
                0u64
            }) as Part
        };
        let receive = |mut receiver: P::Receiver<T>| {
            Box::new(move || {
                let (mut sum, mut into) = (0u64, Vec::with_capacity(BATCH));
                loop {
                    P::receive_batch(&mut receiver, &mut into);
                    if into.is_empty() {
                        return sum;
                    }
                    sum = into.drain(..).fold(sum, |sum, message| sum.wrapping_add(message.sum()));
                }
            }) as Part
        };
        Some(run::<T>(senders.into_iter().map(send).chain(receivers.into_iter().map(receive)), self.producers, share))
    }

    fn trips<P: Peer, T: Message>(self, trips: u64) -> Option<Measure> {
        let (mut there, mut at_there) = P::channel::<T>(self.capacity, 1, 1)?;
        let (mut back, mut at_back) = P::channel::<T>(self.capacity, 1, 1)?;
        let mut samples = vec![0u64; trips as usize];
        let timed: Part = Box::new(|| {
            let mut last = Instant::now();
            for (number, sample) in (0..).zip(&mut samples) {
                P::send(&mut there[0], T::new(number));
                assert_eq!(P::receive(&mut at_back[0]).sum(), T::new(number).sum());
                let now = Instant::now();
                *sample = (now - last).as_nanos() as u64;
                last = now;
            }
            0
        });
        let echo: Part = Box::new(|| {
            for _ in 0..trips {
                let message = P::receive(&mut at_there[0]);
                P::send(&mut back[0], message);
            }
            0
        });
        let (mut measure, _) = together(vec![timed, echo]);
        (measure.p50, measure.p99) = percentiles(&mut samples);
        Some(measure)
    }

    fn select<P: Peer, T: Message>(self, messages: u64) -> Option<Measure> {
        let share = messages / self.producers as u64;
        let mut ends = Vec::new();
        for _ in 0..self.producers {
            ends.push(P::channel::<T>(self.capacity, 1, 1)?);
        }
        let (mut senders, receivers): Ends<_, _> = ends.into_iter().unzip();
        let mut receivers: Vec<_> = receivers.into_iter().flatten().collect();
        P::select::<T>(&mut receivers, 0)?;
        // The senders stay: a channel whose sender has gone is ready, which is not what is measured.
        let send = |sender| Box::new(move || produce::<P, T>(sender, share)) as Part;
        let receive = || P::select(&mut receivers, messages).expect("it did it before");
        let parts = senders.iter_mut().flatten().map(send).chain([Box::new(receive) as Part]);
        Some(run::<T>(parts, self.producers, share))
    }
}

fn produce<P: Peer, T: Message>(sender: &mut P::Sender<T>, share: u64) -> u64 {
    (0..share).for_each(|number| P::send(sender, T::new(number)));
    0
}

/// Runs the threads and looks whether the sum is right.
fn run<'a, T: Message>(parts: impl Iterator<Item = Part<'a>>, producers: usize, share: u64) -> Measure {
    let (measure, sum) = together(parts.collect());
    let of_one = (0..share).fold(0u64, |sum, number| sum.wrapping_add(T::new(number).sum()));
    assert_eq!(sum, of_one.wrapping_mul(producers as u64), "each message once");
    measure
}
