//! The crates. Each does what its documentation recommends; those that cannot wait (rtrb) yield.

use std::sync::mpsc;
use std::thread;

use crossfire::select::Select;
use crossfire::{MRx, MTx, Rx, Tx, mpmc, spsc};

use crate::work::{BATCH, Ends, Message, Peer};

fn clones<E: Clone>(end: E, count: usize) -> Vec<E> {
    vec![end; count]
}

pub struct Crossbeam;

impl Peer for Crossbeam {
    const NAME: &'static str = "crossbeam";
    type Sender<T: Message> = crossbeam_channel::Sender<T>;
    type Receiver<T: Message> = crossbeam_channel::Receiver<T>;

    fn channel<T: Message>(
        capacity: Option<usize>,
        producers: usize,
        consumers: usize,
    ) -> Option<Ends<Self::Sender<T>, Self::Receiver<T>>> {
        let (sender, receiver) = capacity.map_or_else(crossbeam_channel::unbounded, crossbeam_channel::bounded);
        Some((clones(sender, producers), clones(receiver, consumers)))
    }

    fn send<T: Message>(sender: &mut Self::Sender<T>, message: T) {
        sender.send(message).expect("open");
    }

    fn receive<T: Message>(receiver: &mut Self::Receiver<T>) -> T {
        receiver.recv().expect("open")
    }

    fn select<T: Message>(receivers: &mut [Self::Receiver<T>], messages: u64) -> Option<u64> {
        let mut select = crossbeam_channel::Select::new();
        for receiver in &*receivers {
            select.recv(receiver);
        }
        let mut receive = || {
            let operation = select.select();
            let receiver = &receivers[operation.index()];
            operation.recv(receiver).expect("open").sum()
        };
        Some((0..messages).fold(0, |sum, _| sum.wrapping_add(receive())))
    }
}

pub struct Kanal;

impl Peer for Kanal {
    const NAME: &'static str = "kanal";
    type Sender<T: Message> = kanal::Sender<T>;
    type Receiver<T: Message> = kanal::Receiver<T>;

    fn channel<T: Message>(
        capacity: Option<usize>,
        producers: usize,
        consumers: usize,
    ) -> Option<Ends<Self::Sender<T>, Self::Receiver<T>>> {
        let (sender, receiver) = capacity.map_or_else(kanal::unbounded, kanal::bounded);
        Some((clones(sender, producers), clones(receiver, consumers)))
    }

    fn send<T: Message>(sender: &mut Self::Sender<T>, message: T) {
        sender.send(message).expect("open");
    }

    fn receive<T: Message>(receiver: &mut Self::Receiver<T>) -> T {
        receiver.recv().expect("open")
    }

    fn batches() -> bool {
        true
    }

    /// It has no batches to send, and receives all there is.
    fn receive_batch<T: Message>(receiver: &mut Self::Receiver<T>, into: &mut Vec<T>) {
        if let Ok(0) = receiver.drain_into(into) {
            into.extend(receiver.recv());
        }
    }
}

macro_rules! crossfire {
    ($(#[$doc:meta])* $peer:ident, $name:literal, $sender:ty, $receiver:ty,
     |$capacity:ident, $threads:ident| $channel:expr) => {
        $(#[$doc])*
        pub struct $peer;

        impl Peer for $peer {
            const NAME: &'static str = $name;
            type Sender<T: Message> = $sender;
            type Receiver<T: Message> = $receiver;

            fn channel<T: Message>(
                $capacity: Option<usize>,
                producers: usize,
                consumers: usize,
            ) -> Option<Ends<Self::Sender<T>, Self::Receiver<T>>> {
                let $threads = (producers, consumers);
                $channel
            }

            fn send<T: Message>(sender: &mut Self::Sender<T>, message: T) {
                sender.send(message).expect("open");
            }

            fn receive<T: Message>(receiver: &mut Self::Receiver<T>) -> T {
                receiver.recv().expect("open")
            }

            fn select<T: Message>(receivers: &mut [Self::Receiver<T>], messages: u64) -> Option<u64> {
                let mut select = Select::new();
                for receiver in &*receivers {
                    select.add(receiver);
                }
                let mut receive = || {
                    let result = select.select().expect("open");
                    let receiver = receivers.iter().find(|receiver| result.is_from(*receiver)).expect("one of them");
                    receiver.read_select(result).expect("open").sum()
                };
                Some((0..messages).fold(0, |sum, _| sum.wrapping_add(receive())))
            }
        }
    };
}

/// `None` for a rendezvous, too, which crossfire has not (it makes a capacity of 1 of it).
fn room(capacity: Option<usize>) -> Option<usize> {
    capacity.filter(|capacity| *capacity > 0)
}

crossfire!(
    /// For any number of threads.
    Crossfire, "crossfire", MTx<mpmc::Array<T>>, MRx<mpmc::Array<T>>, |capacity, threads| {
        let (sender, receiver) = mpmc::bounded_blocking(room(capacity)?);
        Some((clones(sender, threads.0), clones(receiver, threads.1)))
    }
);
crossfire!(CrossfireList, "crossfire", MTx<mpmc::List<T>>, MRx<mpmc::List<T>>, |capacity, threads| {
    let (sender, receiver) = capacity.is_none().then(mpmc::unbounded_blocking)?;
    Some((clones(sender, threads.0), clones(receiver, threads.1)))
});
crossfire!(
    /// For one producer and one consumer.
    CrossfireSingle, "crossfire-spsc", Tx<spsc::Array<T>>, Rx<spsc::Array<T>>, |capacity, threads| {
        let (sender, receiver) = spsc::bounded_blocking(room(capacity).filter(|_| threads == (1, 1))?);
        Some((vec![sender], vec![receiver]))
    }
);
crossfire!(CrossfireSingleList, "crossfire-spsc", Tx<spsc::List<T>>, Rx<spsc::List<T>>, |capacity, threads| {
    let (sender, receiver) = (capacity.is_none() && threads == (1, 1)).then(spsc::unbounded_blocking)?;
    Some((vec![sender], vec![receiver]))
});

pub struct Flume;

impl Peer for Flume {
    const NAME: &'static str = "flume";
    type Sender<T: Message> = flume::Sender<T>;
    type Receiver<T: Message> = flume::Receiver<T>;

    fn channel<T: Message>(
        capacity: Option<usize>,
        producers: usize,
        consumers: usize,
    ) -> Option<Ends<Self::Sender<T>, Self::Receiver<T>>> {
        let (sender, receiver) = capacity.map_or_else(flume::unbounded, flume::bounded);
        Some((clones(sender, producers), clones(receiver, consumers)))
    }

    fn send<T: Message>(sender: &mut Self::Sender<T>, message: T) {
        sender.send(message).expect("open");
    }

    fn receive<T: Message>(receiver: &mut Self::Receiver<T>) -> T {
        receiver.recv().expect("open")
    }

    fn batches() -> bool {
        true
    }

    /// As kanal.
    fn receive_batch<T: Message>(receiver: &mut Self::Receiver<T>, into: &mut Vec<T>) {
        into.extend(receiver.drain());
        if into.is_empty() {
            into.extend(receiver.recv());
        }
    }

    fn select<T: Message>(receivers: &mut [Self::Receiver<T>], messages: u64) -> Option<u64> {
        // A selector is used up by its wait.
        let receive = || {
            let mut selector = flume::Selector::new();
            for receiver in &*receivers {
                selector = selector.recv(receiver, |message| message);
            }
            selector.wait().expect("open").sum()
        };
        Some((0..messages).fold(0, |sum, _| sum.wrapping_add(receive())))
    }
}

macro_rules! std_mpsc {
    ($peer:ident, $sender:ident, |$capacity:ident| $channel:expr) => {
        /// The standard library's, for one consumer.
        pub struct $peer;

        impl Peer for $peer {
            const NAME: &'static str = "std";
            type Sender<T: Message> = mpsc::$sender<T>;
            type Receiver<T: Message> = mpsc::Receiver<T>;

            fn channel<T: Message>(
                $capacity: Option<usize>,
                producers: usize,
                consumers: usize,
            ) -> Option<Ends<Self::Sender<T>, Self::Receiver<T>>> {
                let (sender, receiver) = $channel;
                (consumers == 1).then(|| (clones(sender, producers), vec![receiver]))
            }

            fn send<T: Message>(sender: &mut Self::Sender<T>, message: T) {
                sender.send(message).expect("open");
            }

            fn receive<T: Message>(receiver: &mut Self::Receiver<T>) -> T {
                receiver.recv().expect("open")
            }
        }
    };
}

std_mpsc!(Std, SyncSender, |capacity| mpsc::sync_channel(capacity?));
std_mpsc!(StdUnbounded, Sender, |capacity| if capacity.is_some() { return None } else { mpsc::channel() });

/// A ring for one producer and one consumer, who yield when it is full or empty.
pub struct Rtrb;

impl Peer for Rtrb {
    const NAME: &'static str = "rtrb-yield";
    type Sender<T: Message> = rtrb::Producer<T>;
    type Receiver<T: Message> = rtrb::Consumer<T>;

    fn channel<T: Message>(
        capacity: Option<usize>,
        producers: usize,
        consumers: usize,
    ) -> Option<Ends<Self::Sender<T>, Self::Receiver<T>>> {
        let capacity = room(capacity).filter(|_| (producers, consumers) == (1, 1))?;
        let (sender, receiver) = rtrb::RingBuffer::new(capacity);
        Some((vec![sender], vec![receiver]))
    }

    fn send<T: Message>(sender: &mut Self::Sender<T>, message: T) {
        while sender.push(message).is_err() {
            thread::yield_now();
        }
    }

    fn receive<T: Message>(receiver: &mut Self::Receiver<T>) -> T {
        loop {
            match receiver.pop() {
                Ok(message) => return message,
                Err(_) => thread::yield_now(),
            }
        }
    }

    fn batches() -> bool {
        true
    }

    fn send_batch<T: Message>(sender: &mut Self::Sender<T>, messages: &[T]) {
        let (_, mut rest) = sender.push_partial_slice(messages);
        while !rest.is_empty() {
            thread::yield_now();
            rest = sender.push_partial_slice(rest).1;
        }
    }

    fn receive_batch<T: Message>(receiver: &mut Self::Receiver<T>, into: &mut Vec<T>) {
        into.resize(BATCH, T::new(0));
        let received = loop {
            // Whether the producer has gone, before the last look.
            let over = receiver.is_abandoned();
            match receiver.pop_partial_slice(into).0.len() {
                0 if !over => thread::yield_now(),
                received => break received,
            }
        };
        into.truncate(received);
    }
}
