//! Everything at once, with exact counts: tasks that spawn, join, loop, block on channels and settle promises, on
//! several runtimes. Without libtest, whose own synchronisation ThreadSanitizer cannot see into.
//!
//! `stress [SEED [ROUNDS]]`; the seed is printed, so that a failure can be run again.

use std::alloc::Layout;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weft::channel::{Capacity, Channel};
use weft::error::{Result, Status};
use weft::future;
use weft::parallel::{LoopOptions, for_each, join};
use weft::scheduler::task::Call;
use weft::scheduler::{Core, Mode, Options, Policy, Priority, Runtime, Worker};
use weft::sync::Deadline;
use weft::topology::Topology;

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let seed = arguments.next().unwrap_or_else(|| weft::platform::clock::now_ns() as u64);
    let rounds = arguments.next().unwrap_or(30);
    println!("stress: seed {seed}, {rounds} rounds");
    let mut random = Random(seed | 1);
    for _ in 0..rounds {
        round(&mut random);
    }
    println!("{rounds} passed, 0 failed");
}

/// xorshift64, for sizes.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn spawn(core: &Core, f: impl FnOnce(&Worker) + Send + 'static) {
    core.spawn(Call(f)).expect("an open runtime takes work");
}

/// With a random priority and place.
fn spawn_anywhere(core: &Core, random: &mut Random, f: impl FnOnce(&Worker) + Send + 'static) {
    let (priority, node, pinned) = match random.below(6) {
        0 => (Priority::Normal, None, true),
        1 => (Priority::Normal, Some(0), false),
        n => (Priority::ALL[n as usize - 2], None, false),
    };
    let place = core.place(priority, node, pinned).expect("a place there is");
    core.spawn_at(Call(f), place).expect("an open runtime takes work");
}

fn round(random: &mut Random) {
    let workers = 1 + random.below(4) as u32;
    let keep_alive_ns = 1 + random.below(1_000_000) as i64;
    let placement = [Policy::None, Policy::Compact, Policy::Scatter][random.below(3) as usize];
    // Its nodes and caches decide who steals from whom; nobody is bound on a machine that is not there.
    let topology = Topology::from_string("numa:2 l3:2 core:1 pu:1").ok();
    let options = Options { workers, keep_alive_ns, placement, topology, ..Options::default() };
    let runtime = Runtime::new(options).expect("threads");
    let submitters: Vec<_> = (0..1 + random.below(3))
        .map(|_| {
            let runtime = runtime.retain();
            let mut random = Random(random.below(u64::MAX) | 1);
            std::thread::spawn(move || {
                tasks(&runtime, &mut random);
                channels(&runtime, &mut random);
                futures(&runtime, &mut random);
                forks(&runtime, &mut random);
            })
        })
        .collect();
    submitters.into_iter().for_each(|submitter| submitter.join().expect("no submitter failed"));
    runtime.shutdown(Mode::Drain, Deadline::Never).expect("drained");
    let stats = runtime.stats();
    assert_eq!(stats.spawned, stats.executed);
    assert_eq!((stats.threads, stats.panicked, stats.discarded), (0, 0, 0));
}

/// Tasks that spawn tasks; each is counted once.
fn tasks(runtime: &Runtime, random: &mut Random) {
    let (roots, children) = (random.below(200), random.below(5));
    let (sender, receiver) = pair(Capacity::Unbounded);
    for _ in 0..roots {
        let (sender, mut random) = (sender.clone(), Random(random.below(u64::MAX) | 1));
        spawn_anywhere(runtime, &mut Random(random.below(u64::MAX) | 1), move |worker| {
            for _ in 0..children {
                let sender = sender.clone();
                let child = move |_: &Worker| send(&sender, 1, Deadline::Never).expect("open");
                spawn_anywhere(worker.core(), &mut random, child);
            }
            send(&sender, 1, Deadline::Never).expect("open");
        });
    }
    let total: u64 = (0..roots * (children + 1)).map(|_| receive(&receiver, Deadline::Never).expect("open")).sum();
    assert_eq!(total, roots * (children + 1));
    assert_eq!(receiver.len(), 0);
}

/// Producers and consumers with impatient ends; the sum arrives.
fn channels(runtime: &Runtime, random: &mut Random) {
    let capacity = match random.below(4) {
        0 => Capacity::Bounded(0),
        1 => Capacity::Bounded(1),
        2 => Capacity::Bounded(64),
        _ => Capacity::Unbounded,
    };
    let (producers, consumers, each) = (1 + random.below(3), 1 + random.below(3), 1 + random.below(300));
    let patience = 1 + random.below(20_000) as i64;
    let (sender, receiver) = pair(capacity);
    let producing = Arc::new(AtomicU64::new(producers));
    let received = Arc::new(AtomicU64::new(0));
    let (done, finished) = pair(Capacity::Unbounded);
    for _ in 0..consumers {
        let (receiver, received, done) = (receiver.clone(), received.clone(), done.clone());
        spawn(runtime, move |_| {
            loop {
                match receive(&receiver, Deadline::after(patience)) {
                    Ok(value) => {
                        received.fetch_add(value, Ordering::Relaxed);
                    }
                    Err(failure) if failure.is(Status::Closed) => break,
                    Err(failure) => assert!(failure.is(Status::Timeout)),
                }
            }
            send(&done, 1, Deadline::Never).expect("open");
        });
    }
    for _ in 0..producers {
        let (sender, producing) = (sender.clone(), producing.clone());
        spawn(runtime, move |_| {
            for value in 1..=each {
                while send(&sender, value, Deadline::after(patience)).is_err() {}
            }
            if producing.fetch_sub(1, Ordering::AcqRel) == 1 {
                sender.close();
            }
        });
    }
    for _ in 0..consumers {
        receive(&finished, Deadline::Never).expect("open");
    }
    assert_eq!(received.load(Ordering::Relaxed), producers * each * (each + 1) / 2);
}

/// Promises settled by tasks, waited for by several threads.
fn futures(runtime: &Runtime, random: &mut Random) {
    let (all, waiting): (Vec<_>, Vec<_>) = (0..random.below(100)).map(|i| (i, future::channel::<u64>())).unzip();
    let mut futures = Vec::new();
    for (i, (promise, future)) in all.iter().zip(waiting) {
        let (i, future) = (*i, Arc::new(future));
        let waiter = future.clone();
        spawn(runtime, move |_| assert_eq!(waiter.get(Deadline::Never), Ok(&(i * i))));
        spawn(runtime, move |_| assert!(promise.settle(Ok(i * i)).is_ok()));
        futures.push(future);
    }
    for (i, future) in futures.iter().enumerate() {
        assert_eq!(future.get(Deadline::Never), Ok(&((i * i) as u64)));
    }
}

/// Joins and loops inside each other, from outside and from within.
fn forks(runtime: &Runtime, random: &mut Random) {
    fn tree(worker: &Worker, depth: u64) -> u64 {
        match depth {
            0 => 1,
            _ => {
                let (a, b) = join(worker, |w| tree(w, depth - 1), |w| tree(w, depth - 1));
                a + b
            }
        }
    }
    let (depth, len, grain) = (random.below(10), random.below(1000) as usize, random.below(50) as usize);
    let (leaves, visited) = runtime
        .run(|worker| {
            let visited = AtomicU64::new(0);
            let body = |worker: &Worker, range: std::ops::Range<usize>| -> Result<()> {
                visited.fetch_add(range.len() as u64 * tree(worker, 2), Ordering::Relaxed);
                Ok(())
            };
            let (report, result) = for_each(worker, 0..len, LoopOptions { grain, ..LoopOptions::default() }, &body);
            assert!(result.is_ok() && report.done == len);
            (tree(worker, depth), visited.into_inner())
        })
        .expect("no panic");
    assert_eq!((leaves, visited), (1 << depth, len as u64 * 4));
}

fn pair(capacity: Capacity) -> (Arc<Channel>, Arc<Channel>) {
    let channel = Arc::new(Channel::new(Layout::new::<u64>(), capacity, None).expect("memory"));
    (channel.clone(), channel)
}

fn send(channel: &Channel, value: u64, deadline: Deadline) -> Result<()> {
    // SAFETY: every channel here carries u64s.
    unsafe { channel.send((&raw const value).cast(), deadline) }
}

fn receive(channel: &Channel, deadline: Deadline) -> Result<u64> {
    let mut value = 0u64;
    // SAFETY: as in send.
    unsafe { channel.receive((&raw mut value).cast(), deadline) }.map(|()| value)
}
