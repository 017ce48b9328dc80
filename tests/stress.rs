//! Everything at once, with exact counts: tasks that spawn, submit themselves, join, loop, block on channels and settle
//! promises, on several runtimes that end in both ways. Without libtest, whose own synchronisation ThreadSanitizer cannot see into.
//!
//! `stress [SEED [ROUNDS]]`: sizes follow from the seed. Each round has a seed of its own, which is printed when it fails, so that
//! it can be run again alone. With WEFT_STRESS_SECONDS in the environment (`make soak`), rounds go on for so long.

use std::alloc::Layout;
use std::io::Write;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use weft::channel::ends::Sender;
use weft::channel::{self, Capacity, Channel};
use weft::error::{Result, Status};
use weft::future::{self, Callback, Future, Lend, Promise, Rule, Winner, combine};
use weft::parallel::{LoopOptions, for_each, join};
use weft::platform::clock::now_ns;
use weft::scheduler::task::Call;
use weft::scheduler::{
    Core, First, Mode, Options, Owner, Place, Policy, Poll, Polled, Priority, Runtime, Slot, Work, Worker,
};
use weft::sync::Deadline;
use weft::topology::Topology;

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let mut seed = arguments.next().unwrap_or_else(|| now_ns() as u64);
    let rounds = arguments.next().unwrap_or(30);
    let seconds = std::env::var("WEFT_STRESS_SECONDS").ok().and_then(|seconds| seconds.parse::<i64>().ok());
    let until = seconds.map(|seconds| now_ns().saturating_add(seconds.saturating_mul(1_000_000_000)));
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        eprintln!("stress: to run this round again: stress {} 1", SEED.load(Ordering::Relaxed));
        before(info);
    }));
    println!(
        "stress: seed {seed}, {}",
        seconds.map_or(format!("{rounds} rounds"), |seconds| format!("{seconds} seconds"))
    );
    let mut passed = 0;
    while until.map_or(passed < rounds, |until| now_ns() < until) {
        if until.is_some() {
            // The last one says what hung, if something did.
            print!("\rround {passed}, seed {seed:<20}");
            std::io::stdout().flush().expect("standard output");
        }
        SEED.store(seed, Ordering::Relaxed);
        round(&mut Random::new(seed));
        seed = Random::new(seed).next();
        passed += 1;
    }
    println!("{}{passed} passed, 0 failed", if until.is_some() { "\n" } else { "" });
}

/// That of the round that runs.
static SEED: AtomicU64 = AtomicU64::new(0);

/// xorshift64, for sizes.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Seeds that are close do not stay so.
        Random((seed ^ seed >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Another, for another thread.
    fn split(&mut self) -> Self {
        Random::new(self.next())
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

/// One to three runtimes at the same time.
fn round(random: &mut Random) {
    let others: Vec<_> = (0..random.below(3))
        .map(|_| {
            let mut random = random.split();
            std::thread::spawn(move || one_runtime(&mut random))
        })
        .collect();
    one_runtime(random);
    others.into_iter().for_each(|other| other.join().expect("no runtime failed"));
}

fn one_runtime(random: &mut Random) {
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
            let mut random = random.split();
            std::thread::spawn(move || {
                tasks(&runtime, &mut random);
                channels(&runtime, &mut random);
                futures(&runtime, &mut random);
                combined(&runtime, &mut random);
                polled(&runtime, &mut random);
                forks(&runtime, &mut random);
                submissions(&runtime, &mut random);
            })
        })
        .collect();
    submitters.into_iter().for_each(|submitter| submitter.join().expect("no submitter failed"));
    runtime.shutdown(Mode::Drain, Deadline::Never).expect("drained");
    let stats = runtime.stats();
    assert_eq!(stats.spawned, stats.executed);
    assert_eq!((stats.threads, stats.panicked, stats.discarded), (0, 0, 0));
    assert_eq!((stats.queued, stats.replaced), (0, 0));
    discards(random);
}

/// Tasks that spawn tasks; each is counted once.
fn tasks(runtime: &Runtime, random: &mut Random) {
    let (roots, children) = (random.below(200), random.below(5));
    let (sender, receiver) = pair(Capacity::Unbounded);
    for _ in 0..roots {
        let (sender, mut random) = (sender.clone(), random.split());
        spawn_anywhere(runtime, &mut random.split(), move |worker| {
            for _ in 0..children {
                let sender = sender.clone();
                let child = move |_: &Worker| send(&sender, 1, Deadline::Never).expect("open");
                spawn_anywhere(worker.core(), &mut random, child);
            }
            match random.below(8) {
                0 => {
                    // As around a call that blocks and is not Weft's.
                    worker.begin_blocking();
                    std::thread::yield_now();
                    assert!(worker.end_blocking());
                }
                1 => worker.yield_now(),
                _ => {}
            }
            send(&sender, 1, Deadline::Never).expect("open");
        });
    }
    let total: u64 = (0..roots * (children + 1)).map(|_| receive(&receiver, Deadline::Never).expect("open")).sum();
    assert_eq!(total, roots * (children + 1));
    assert_eq!(receiver.len(), 0);
}

/// Tasks that only look, again and again, would keep all turns for themselves, and never meet what they look for.
fn calmer(patience: i64) -> i64 {
    (patience * 2).min(1_000_000_000)
}

/// Producers and consumers with impatient ends, one element or several at a time; the sum arrives. The producers' last end closes.
fn channels(runtime: &Runtime, random: &mut Random) {
    let capacity = match random.below(5) {
        0 => Capacity::Bounded(0),
        1 => Capacity::Bounded(1),
        2 => Capacity::Bounded(3),
        3 => Capacity::Bounded(64),
        _ => Capacity::Unbounded,
    };
    let (producers, consumers, each) = (1 + random.below(3), 1 + random.below(3), 1 + random.below(300));
    let patience = 1 + random.below(20_000) as i64;
    let single = random.below(2) == 0;
    let options = channel::Options {
        single_producer: single && producers == 1,
        single_consumer: single && consumers == 1,
        ..channel::Options::default()
    };
    let receiver = Arc::new(Channel::new(Layout::new::<u64>(), capacity, options).expect("memory"));
    let sender = Arc::new(Sender(receiver.clone()));
    let received = Arc::new(AtomicU64::new(0));
    let (done, finished) = pair(Capacity::Unbounded);
    for _ in 0..consumers {
        let (receiver, received, done) = (receiver.clone(), received.clone(), done.clone());
        let most = 1 + random.below(20) as usize;
        spawn(runtime, move |_| {
            let (mut patience, mut elements) = (patience, [0u64; 20]);
            loop {
                // SAFETY: places for u64s.
                match unsafe {
                    receiver.receive_batch(elements.as_mut_ptr().cast(), most, Deadline::after(patience), || ())
                } {
                    Ok(count) => {
                        assert!(count > 0 && count <= most);
                        received.fetch_add(elements[..count].iter().sum(), Ordering::Relaxed);
                    }
                    Err(failure) if failure.is(Status::Closed) => break,
                    Err(failure) => {
                        assert!(failure.is(Status::Timeout));
                        patience = calmer(patience);
                    }
                }
            }
            send(&done, 1, Deadline::Never).expect("open");
        });
    }
    for _ in 0..producers {
        let (sender, most) = (sender.clone(), 1 + random.below(20));
        spawn(runtime, move |_| {
            let (mut patience, mut next) = (patience, 1);
            while next <= each {
                let elements: Vec<u64> = (next..=each.min(next + most - 1)).collect();
                // SAFETY: u64s, as many as there are.
                let (sent, result) = unsafe {
                    sender.0.send_batch(elements.as_ptr().cast(), elements.len(), Deadline::after(patience), || ())
                };
                next += sent as u64;
                if result.is_err() {
                    patience = calmer(patience);
                }
            }
        });
    }
    drop(sender);
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

/// What can be combined.
#[derive(Debug, PartialEq)]
struct Number(u64);

impl Lend for Number {
    fn lend(&self) -> Self {
        Number(self.0)
    }

    fn nothing() -> Self {
        Number(0)
    }
}

/// Futures that tasks settle while they are combined, and while callbacks are taken back.
fn combined(runtime: &Runtime, random: &mut Random) {
    for _ in 0..random.below(20) {
        let count = 1 + random.below(6);
        let (promises, sources): (Vec<_>, Vec<_>) = (0..count).map(|_| future::channel::<Number>()).unzip();
        let told = Channel::new(Layout::new::<u64>(), Capacity::Unbounded, channel::Options::default());
        let told = Arc::new(told.expect("memory"));
        let tell = |source: &Future<Number>| {
            let told = told.clone();
            let callback = Callback::new(source, move || send(&told, 0, Deadline::Now).expect("room"));
            callback.arm(source);
            callback
        };
        let callbacks: Vec<_> = sources.iter().map(tell).collect();
        for (value, promise) in (1..).zip(promises) {
            spawn_anywhere(runtime, random, move |_| assert!(promise.settle(Ok(Number(value))).is_ok()));
        }
        let all = combine(Rule::All, sources.clone().into());
        let race = combine(Rule::Race, sources.clone().into());
        let any = combine(Rule::Any, [race.clone(), all.clone()].into());
        let back = callbacks.iter().filter(|callback| random.below(2) == 0 && callback.off().is_some()).count() as u64;
        assert_eq!(all.get(Deadline::Never), Ok(&Number(0)));
        let Some(Winner::Index(winner)) = race.wait(Deadline::Never).ok().and_then(|()| race.origin()?.winner()) else {
            panic!("a race has a winner");
        };
        assert_eq!(race.get(Deadline::Now), Ok(&Number(winner as u64 + 1)));
        assert!(any.get(Deadline::Never).is_ok());
        // Whoever settles a source may be on the way to the callback still, when others have seen it settled.
        for _ in back..count {
            receive(&told, Deadline::Never).expect("open");
        }
        assert!(told.is_empty(), "callbacks that were taken back are not called");
        drop((any, race, all));
        assert!(sources.iter().all(|source| source.is_sole()), "what was released keeps nothing");
    }
}

/// Counts down, a call for each, woken by itself or by another task.
struct Steps {
    left: u64,
    calls: u64,
    done: Promise<u64>,
}

impl Poll for Steps {
    fn poll(&mut self, worker: &Worker, waker: Waker) -> bool {
        self.calls += 1;
        if self.left == 0 {
            assert!(self.done.settle(Ok(self.calls)).is_ok());
            return true;
        }
        self.left -= 1;
        match self.left % 3 {
            0 => waker.wake(),
            _ => spawn(worker.core(), move |_| waker.wake()),
        }
        false
    }

    fn droppable(&self) -> bool {
        false
    }

    fn is_cancelled(&self) -> bool {
        false
    }

    fn refused(self) {}
}

/// Poll tasks, each called as often as it was woken.
fn polled(runtime: &Runtime, random: &mut Random) {
    let start = |steps: u64| {
        let (done, future) = future::channel();
        let steps = Steps { left: steps, calls: 0, done };
        let task = Polled::accept(runtime, steps, Place::default()).expect("an open runtime takes work");
        runtime.spawn(First(task)).expect("an open runtime takes work");
        future
    };
    let tasks: Vec<_> = (0..random.below(20)).map(|_| random.below(50)).map(|steps| (steps, start(steps))).collect();
    for (steps, future) in tasks {
        assert_eq!(future.get(Deadline::Never), Ok(&(steps + 1)));
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

/// A task in memory of its owner's, which submits itself again some times.
#[repr(C)]
struct Owned {
    slot: Slot,
    left: AtomicU64,
    done: Arc<Channel>,
}

impl Owner for Owned {
    unsafe fn inherit(_: NonNull<Slot>) {}

    unsafe fn disinherit(_: NonNull<Slot>) {}

    unsafe fn run(slot: NonNull<Slot>, worker: &Worker) {
        // SAFETY: the slot is the first member of an Owned, which stays until it has said that it is done.
        unsafe {
            let owned = slot.cast::<Owned>().as_ref();
            let (left, done) = (owned.left.fetch_sub(1, Ordering::Relaxed), owned.done.clone());
            Slot::release(slot);
            match left {
                0 => send(&done, 1, Deadline::Never).expect("open"),
                _ => worker.core().submit::<Owned>([slot].into_iter()).expect("an open runtime takes work"),
            }
        }
    }
}

fn submissions(runtime: &Runtime, random: &mut Random) {
    let (done, finished) = pair(Capacity::Unbounded);
    let (count, again) = (random.below(100), random.below(20));
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let left = AtomicU64::new(random.below(again + 1));
            Box::new(Owned { slot: Slot::new::<Owned>(), left, done: done.clone() })
        })
        .collect();
    for batch in tasks.chunks(1 + random.below(10) as usize) {
        let slots = batch.iter().map(|task| NonNull::from(&**task).cast::<Slot>());
        // SAFETY: each is an Owned, submitted once, and kept until all are done.
        unsafe { runtime.submit::<Owned>(slots) }.expect("an open runtime takes work");
    }
    (0..count).for_each(|_| _ = receive(&finished, Deadline::Never).expect("open"));
}

/// What became of tasks that may be dropped.
#[derive(Default)]
struct Fates {
    ran: AtomicU64,
    dropped: AtomicU64,
}

/// Spawns others when it runs, as long as it may.
struct Mortal {
    depth: u64,
    /// None once it has run.
    fates: Option<Arc<Fates>>,
    accepted: Arc<AtomicU64>,
}

impl Mortal {
    fn spawn(core: &Core, depth: u64, fates: &Arc<Fates>, accepted: &Arc<AtomicU64>) {
        let mortal = Mortal { depth, fates: Some(fates.clone()), accepted: accepted.clone() };
        if core.spawn(mortal).is_ok() {
            accepted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Work for Mortal {
    fn run(mut self, worker: &Worker) {
        let fates = self.fates.take().expect("run once");
        fates.ran.fetch_add(1, Ordering::Relaxed);
        (0..self.depth).for_each(|_| Mortal::spawn(worker.core(), self.depth - 1, &fates, &self.accepted));
    }

    fn droppable(&self) -> bool {
        true
    }

    fn refused(mut self) {
        self.fates = None;
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        if let Some(fates) = &self.fates {
            fates.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A runtime that ends while others still submit to it: what it has taken is run or dropped.
fn discards(random: &mut Random) {
    let options = Options { workers: 1 + random.below(3) as u32, ..Options::default() };
    let runtime = Runtime::new(options).expect("threads");
    let (fates, accepted) = (Arc::new(Fates::default()), Arc::new(AtomicU64::new(0)));
    let submitters: Vec<_> = (0..1 + random.below(3))
        .map(|_| {
            let (runtime, fates, accepted) = (runtime.retain(), fates.clone(), accepted.clone());
            let (count, depth) = (random.below(300), random.below(4));
            std::thread::spawn(move || (0..count).for_each(|_| Mortal::spawn(&runtime, depth, &fates, &accepted)))
        })
        .collect();
    let mode = if random.below(3) == 0 { Mode::Drain } else { Mode::Discard };
    if random.below(2) == 0 {
        runtime.run(|_| {}).expect("open, but for this thread's doing");
    }
    let _ = runtime.shutdown(mode, Deadline::Now);
    submitters.into_iter().for_each(|submitter| submitter.join().expect("no submitter failed"));
    runtime.shutdown(mode, Deadline::Never).expect("ended");
    let stats = runtime.stats();
    let [ran, dropped, accepted] = [&fates.ran, &fates.dropped, &accepted].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(ran + dropped, accepted);
    // The task that was waited for is none of them.
    assert!((0..=1).contains(&(stats.executed - ran)));
    assert_eq!((stats.discarded, stats.executed + stats.discarded, stats.threads), (dropped, stats.spawned, 0));
}

fn pair(capacity: Capacity) -> (Arc<Channel>, Arc<Channel>) {
    let channel = Arc::new(Channel::new(Layout::new::<u64>(), capacity, channel::Options::default()).expect("memory"));
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
