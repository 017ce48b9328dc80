//! The queues that all workers share: one lane per NUMA node and priority, each first in, first out.
//!
//! Work with a priority or a node waits here, wherever it comes from, and work from threads that can have no outbox.
//! Each lane has a short lock of its own. The lock is what makes shutdown exact: once a lane is closed, no work from
//! outside can slip in behind the last look at it. (Work from the runtime's own threads still may; they have a turn as long
//! as they run, and the runtime does not end before they have given it up.)
//!
//! One word counts what is urgent (HIGH and CRITICAL) in all lanes. Workers read it before they take from their own
//! deque, so urgent work overtakes everything that is queued; it is written only when urgent work comes or goes. The count
//! goes up before a push and down after a take, so it is never too low.

use std::ptr::NonNull;

use super::node::{Node, Queue};
use crate::platform::clock::now_ns;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Priority {
    /// When there is nothing else, and now and then in between.
    Low = -1,
    /// Most work.
    #[default]
    Normal = 0,
    /// Before normal work.
    High = 1,
    /// Before everything.
    Critical = 2,
}

impl Priority {
    /// All of them, from the lowest.
    pub const ALL: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];

    /// The priority with this number.
    pub fn from_number(number: i32) -> Option<Priority> {
        Priority::ALL.into_iter().find(|&priority| priority as i32 == number)
    }

    fn is_urgent(self) -> bool {
        self > Priority::Normal
    }

    fn index(self) -> usize {
        (self as i32 + 1) as usize
    }
}

/// Which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The NUMA node's number.
    pub node: usize,
    /// The priority.
    pub priority: Priority,
}

/// How much waits, or has waited, at one priority: of several nodes' lanes, the sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneStats {
    /// Tasks in the lanes now.
    pub queued: u64,
    /// The most there have been.
    pub peak: u64,
    /// Tasks taken out so far.
    pub taken: u64,
    /// How long they waited, all together, and how long those that still wait have, in nanoseconds.
    pub waited_ns: u64,
}

/// Tasks in a share at most: as many as keep the locks out of the way, and few enough to be shared out.
pub const BATCH: usize = 32;

/// A node taken out of the lanes.
type Taken<T> = NonNull<Node<T>>;

/// On a cache line of its own (and its neighbour, which processors fetch along).
#[repr(align(128))]
struct Lane<T> {
    state: Lock<State<T>>,
    /// A copy of the queue's length, to look at without the lock.
    len: AtomicUsize,
}

struct State<T> {
    queue: Queue<T>,
    /// The longest the queue has been.
    peak: usize,
    /// Accepted from outside.
    accepted: u64,
    /// Taken out.
    taken: u64,
    /// The queue's length, summed up over time until `noted`, which is how long all tasks together have waited (Little's law).
    /// So no task needs to know when it came.
    waited_ns: u128,
    noted: i64,
    closed: bool,
}

impl<T> State<T> {
    /// Comes before each change of the queue's length.
    fn note(&mut self) {
        let now = now_ns();
        // Another thread's clock may have been read later, and its change come first.
        let passed = now.saturating_sub(self.noted).max(0);
        self.waited_ns += self.queue.len() as u128 * passed as u128;
        self.noted += passed;
    }
}

impl<T> Lane<T> {
    fn new() -> Self {
        let queue = Queue::default();
        let state = State { queue, peak: 0, accepted: 0, taken: 0, waited_ns: 0, noted: now_ns(), closed: false };
        Lane { state: Lock::new(state), len: AtomicUsize::new(0) }
    }

    fn set_len(&self, state: &mut State<T>) {
        state.peak = state.peak.max(state.queue.len());
        // Relaxed: ordered by the fences of `idle` (rule 1 there).
        self.len.store(state.queue.len(), Ordering::Relaxed);
    }

    fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    /// Takes up to `share.len()` of the oldest, a fair share for one of `sharers`.
    fn take(&self, sharers: usize, share: &mut [Option<Taken<T>>]) -> usize {
        if self.is_empty() {
            return 0;
        }
        let mut state = self.state.lock();
        state.note();
        let count = state.queue.len().div_ceil(sharers).min(share.len());
        state.taken += count as u64;
        share[..count].fill_with(|| state.queue.pop());
        self.set_len(&mut state);
        count
    }
}

/// All lanes of a runtime.
pub struct Lanes<T> {
    urgent: Urgent,
    /// Node by node.
    lanes: Box<[Lane<T>]>,
}

#[repr(align(128))]
struct Urgent(AtomicUsize);

impl<T> Lanes<T> {
    /// Empty lanes for a machine with this many NUMA nodes.
    pub fn new(nodes: usize) -> Self {
        let lanes = (0..nodes * Priority::ALL.len()).map(|_| Lane::new()).collect();
        Lanes { urgent: Urgent(AtomicUsize::new(0)), lanes }
    }

    /// NUMA nodes that have lanes.
    pub fn nodes(&self) -> usize {
        self.lanes.len() / Priority::ALL.len()
    }

    fn lane(&self, address: Address) -> &Lane<T> {
        &self.lanes[address.node * Priority::ALL.len() + address.priority.index()]
    }

    fn expect_urgent(&self, priority: Priority, count: usize) {
        if priority.is_urgent() {
            // Relaxed: a hint about what to take first; that nothing is left behind is the lanes' own lengths' business.
            self.urgent.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn urgent_gone(&self, priority: Priority, count: usize) {
        if priority.is_urgent() && count > 0 {
            self.urgent.0.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// Appends work of the runtime's own threads.
    pub fn push(&self, address: Address, chain: Queue<T>) {
        self.expect_urgent(address.priority, chain.len());
        let lane = self.lane(address);
        let mut state = lane.state.lock();
        state.note();
        state.queue.append(chain);
        lane.set_len(&mut state);
    }

    /// Appends work from outside that was accepted before the lanes were closed.
    pub fn push_accepted(&self, address: Address, chain: Queue<T>) {
        self.lane(address).state.lock().accepted += chain.len() as u64;
        self.push(address, chain);
    }

    /// Appends work from outside, or gives it back when the lanes are closed.
    pub fn push_from_outside(&self, address: Address, chain: Queue<T>) -> Result<(), Queue<T>> {
        let count = chain.len();
        self.expect_urgent(address.priority, count);
        let lane = self.lane(address);
        let mut state = lane.state.lock();
        if state.closed {
            self.urgent_gone(address.priority, count);
            return Err(chain);
        }
        state.note();
        state.queue.append(chain);
        state.accepted += count as u64;
        lane.set_len(&mut state);
        Ok(())
    }

    /// Takes the oldest work of this priority, a fair share for one of `sharers` as far as `share` has room, all from one
    /// lane: that of the first of `nodes` that has some. Returns how many.
    pub fn take(
        &self,
        priority: Priority,
        nodes: impl IntoIterator<Item = usize>,
        sharers: usize,
        share: &mut [Option<Taken<T>>],
    ) -> usize {
        for node in nodes {
            let count = self.lane(Address { node, priority }).take(sharers, share);
            if count > 0 {
                self.urgent_gone(priority, count);
                return count;
            }
        }
        0
    }

    /// Whether there may be HIGH or CRITICAL work.
    pub fn has_urgent(&self) -> bool {
        self.urgent.0.load(Ordering::Relaxed) != 0
    }

    /// Whether there is nothing to take. Ordered by the fences of `idle` (rule 1 there).
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(Lane::is_empty)
    }

    /// Refuses what comes from outside from now on. What was accepted before can be seen in the lanes afterwards.
    pub fn close(&self) {
        self.lanes.iter().for_each(|lane| lane.state.lock().closed = true);
    }

    /// How much has been accepted from outside so far.
    pub fn accepted(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.state.lock().accepted).sum()
    }

    /// How much waits at each priority, in the order of [`Priority::ALL`].
    pub fn stats(&self) -> [LaneStats; 4] {
        let mut all = [LaneStats::default(); 4];
        for (index, lane) in self.lanes.iter().enumerate() {
            let stats = &mut all[index % Priority::ALL.len()];
            let mut state = lane.state.lock();
            state.note();
            stats.queued += state.queue.len() as u64;
            stats.peak += state.peak as u64;
            stats.taken += state.taken;
            stats.waited_ns = stats.waited_ns.saturating_add(u64::try_from(state.waited_ns).unwrap_or(u64::MAX));
        }
        all
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use loom::sync::Arc;

    fn make(number: u32) -> Queue<u32> {
        let mut chain = Queue::default();
        unsafe { chain.push(NonNull::from(Box::leak(Box::new(Node::new(number))))) };
        chain
    }

    fn free(node: Taken<u32>) -> u32 {
        unsafe { Box::from_raw(node.as_ptr()) }.info
    }

    fn take(lanes: &Lanes<u32>, priority: Priority) -> Option<u32> {
        let mut share = [None];
        lanes.take(priority, [0], 1, &mut share);
        share[0].map(free)
    }

    const HIGH: Address = Address { node: 0, priority: Priority::High };
    const LOW: Address = Address { node: 0, priority: Priority::Low };

    /// Work from outside races with the close: accepted work is there for the last look, refused work comes back.
    #[test]
    fn loom_lanes_nothing_slips_in_behind_a_close() {
        model(3, || {
            let lanes = Arc::new(Lanes::new(1));
            let submitter = {
                let lanes = lanes.clone();
                loom::thread::spawn(move || {
                    let accept = |address, number| match lanes.push_from_outside(address, make(number)) {
                        Ok(()) => 1,
                        Err(mut chain) => free(chain.pop().unwrap()) * 0,
                    };
                    accept(HIGH, 1) + accept(LOW, 2)
                })
            };
            lanes.close();
            let mut seen = 0;
            while !lanes.is_empty() {
                seen += [Priority::High, Priority::Low].into_iter().filter_map(|at| take(&lanes, at)).count() as u32;
            }
            assert_eq!(submitter.join().unwrap(), seen);
            assert!(!lanes.has_urgent() && lanes.is_empty());
        });
    }

    /// Two takers and a pusher: each task is taken once, in order for each taker, and the urgent word covers what is there.
    #[test]
    fn loom_lanes_each_task_is_taken_once() {
        model(3, || {
            let lanes = Arc::new(Lanes::new(1));
            let takers: Vec<_> = (0..2)
                .map(|_| {
                    let lanes = lanes.clone();
                    loom::thread::spawn(move || {
                        let taken = take(&lanes, Priority::High);
                        [taken, taken.and_then(|_| take(&lanes, Priority::High))]
                    })
                })
                .collect();
            lanes.push(HIGH, make(1));
            lanes.push(HIGH, make(2));
            let mut all = Vec::new();
            for taker in takers {
                let taken: Vec<_> = taker.join().unwrap().into_iter().flatten().collect();
                assert!(taken.is_sorted());
                all.extend(taken);
            }
            assert_eq!(lanes.has_urgent(), all.len() < 2);
            while let Some(left) = take(&lanes, Priority::High) {
                all.push(left);
            }
            all.sort_unstable();
            assert_eq!(all, [1, 2]);
            assert!(!lanes.has_urgent());
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    /// Nodes with numbers, on the heap.
    fn chain(numbers: impl IntoIterator<Item = u32>) -> Queue<u32> {
        let mut chain = Queue::default();
        for number in numbers {
            // SAFETY: a fresh node, freed by `take`.
            unsafe { chain.push(NonNull::from(Box::leak(Box::new(Node::new(number))))) };
        }
        chain
    }

    fn take(lanes: &Lanes<u32>, priority: Priority, home: usize, sharers: usize) -> Vec<u32> {
        let mut share = [None; BATCH];
        let count = lanes.take(priority, (home..lanes.nodes()).chain(0..home), sharers, &mut share);
        // SAFETY: nodes from `chain`, taken once.
        let free = |node: Taken<u32>| unsafe { Box::from_raw(node.as_ptr()) }.info;
        share[..count].iter().map(|node| free(node.expect("as many as counted"))).collect()
    }

    #[test]
    fn shares_are_fair_and_in_order() {
        let lanes = Lanes::new(1);
        let at = Address { node: 0, priority: Priority::Normal };
        lanes.push(at, chain(0..100));
        assert_eq!(take(&lanes, Priority::Normal, 0, 10), (0..10).collect::<Vec<_>>());
        assert_eq!(take(&lanes, Priority::Normal, 0, 1), (10..42).collect::<Vec<_>>());
        let stats = lanes.stats()[1];
        assert_eq!((stats.queued, stats.peak, stats.taken), (58, 100, 42));
        while !take(&lanes, Priority::Normal, 0, 1).is_empty() {}
        assert!(lanes.is_empty() && lanes.accepted() == 0);
    }

    #[test]
    fn waits_add_up() {
        let lanes = Lanes::new(1);
        let at = Address { node: 0, priority: Priority::Low };
        let waited = || lanes.stats()[0].waited_ns;
        let pass = |ns: i64| {
            let until = now_ns() + ns;
            while now_ns() < until {
                std::hint::spin_loop();
            }
        };
        pass(1000);
        assert_eq!((waited(), lanes.stats()[0].taken), (0, 0));
        let begin = now_ns();
        lanes.push(at, chain(0..3));
        pass(10_000);
        let (seen, longest) = (waited(), now_ns() - begin);
        assert!((30_000..=3 * longest as u64).contains(&seen), "{seen} ns in {longest}");
        assert_eq!(take(&lanes, Priority::Low, 0, 3).len(), 1);
        pass(10_000);
        assert!(waited() >= seen + 20_000);
        assert_eq!(take(&lanes, Priority::Low, 0, 1).len(), 2);
        let (all, longest) = (waited(), now_ns() - begin);
        assert!(all <= 3 * longest as u64);
        // Nobody waits any more.
        pass(1000);
        assert_eq!((waited(), lanes.stats()[0].taken), (all, 3));
    }

    #[test]
    fn the_own_node_comes_first() {
        let lanes = Lanes::new(3);
        for node in 0..3 {
            lanes.push(Address { node, priority: Priority::Critical }, chain([node as u32]));
        }
        assert!(lanes.has_urgent());
        let order: Vec<_> = (0..3).flat_map(|_| take(&lanes, Priority::Critical, 1, 1)).collect();
        assert_eq!(order, [1, 2, 0]);
        assert!(!lanes.has_urgent() && lanes.is_empty());
    }

    #[test]
    fn closed_lanes_take_from_inside_only() {
        let lanes = Lanes::new(1);
        let at = Address { node: 0, priority: Priority::High };
        assert!(lanes.push_from_outside(at, chain([1])).is_ok());
        lanes.close();
        let refused = lanes.push_from_outside(at, chain([2])).expect_err("closed");
        lanes.push(at, refused);
        assert_eq!([take(&lanes, Priority::High, 0, 2), take(&lanes, Priority::High, 0, 2)], [[1], [2]]);
        assert_eq!((lanes.accepted(), lanes.has_urgent()), (1, false));
    }

    #[test]
    fn priorities_have_numbers() {
        for priority in Priority::ALL {
            assert_eq!(Priority::from_number(priority as i32), Some(priority));
        }
        assert_eq!([-2, 3, i32::MIN, i32::MAX].map(Priority::from_number), [None; 4]);
    }
}
