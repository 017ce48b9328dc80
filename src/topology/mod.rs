//! What a machine looks like: its CPUs, what they share, and how far its NUMA nodes are apart, by hwloc, or by a
//! description of a machine that is not there, for tests ([`described`]). What is read is copied into a table; nobody else
//! meets hwloc.
//!
//! How many CPUs a process can keep busy is another question, with a cheap answer: [`usable_cpus`].

mod cgroup;
mod described;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use hwlocality::Topology as Hwloc;
use hwlocality::object::TopologyObject as Object;
use hwlocality::object::distance::DistancesKind;
use hwlocality::object::types::ObjectType;

use crate::error::{Failure, Result, Status};
use crate::platform;
use crate::platform::affinity::Mask;
use crate::platform::fork;
use crate::sync::lock::RawLock;

/// Held around every use of hwloc, and by fork(): hwloc has locks of its own, which a child must not inherit held.
static IN_USE: RawLock = RawLock::new();

fn with_hwloc<R>(f: impl FnOnce() -> R) -> R {
    static WATCHED: fork::Once = fork::Once::new();
    WATCHED.call(watch_forks);
    IN_USE.lock();
    let result = f();
    // SAFETY: locked above. `f` does not unwind: hwloc's bindings return errors.
    unsafe { IN_USE.unlock() };
    result
}

/// Has every fork() from now on hold [`IN_USE`]. May be called again.
fn watch_forks() {
    /// The thread that holds the lock for a fork; 0: none.
    static FORKING: AtomicUsize = AtomicUsize::new(0);
    /// The handlers that have begun and not ended, on that thread.
    static HANDLERS: AtomicUsize = AtomicUsize::new(0);
    fn me() -> usize {
        // SAFETY: pthread_self has no requirements. It is the same in the child.
        unsafe { libc::pthread_self() as usize }
    }
    // Of handlers that are registered several times, the first locks, the last unlocks. Relaxed: FORKING is this thread's only
    // if this thread has stored it, and HANDLERS belongs to the thread in FORKING.
    extern "C" fn before_fork() {
        if FORKING.load(Ordering::Relaxed) != me() {
            IN_USE.lock();
            FORKING.store(me(), Ordering::Relaxed);
        }
        HANDLERS.store(HANDLERS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
    extern "C" fn after_fork() {
        let left = HANDLERS.load(Ordering::Relaxed) - 1;
        HANDLERS.store(left, Ordering::Relaxed);
        if left == 0 {
            FORKING.store(0, Ordering::Relaxed);
            // SAFETY: locked before the fork by the thread that forked, which is this one, or its copy in the child.
            unsafe { IN_USE.unlock() };
        }
    }
    // SAFETY: the handlers are functions of this library, which is never unloaded.
    unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork)) };
}

/// A logical CPU that may be used, and what it shares with others. Groups are numbered from 0 in the order in which the
/// machine lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// The system's number for it.
    pub os: u32,
    /// Its core.
    pub core: u32,
    /// Its rank among the usable CPUs of its core, from 0.
    pub sibling: u32,
    /// The CPUs that share its L2 cache; its core, where hwloc knows no L2.
    pub l2: u32,
    /// The CPUs of its node that share its L3 cache; those of its L2, where hwloc knows no L3.
    pub l3: u32,
    /// Its NUMA node.
    pub node: u32,
}

/// A machine, as far as this process may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Its logical CPUs.
    pub cpus: Vec<Cpu>,
    /// Cores with at least one of them.
    pub cores: u32,
    /// NUMA nodes with at least one of them.
    pub nodes: u32,
    /// Whether it is the machine that this process runs on.
    pub is_here: bool,
    distances: Distances,
}

/// How far nodes are apart, in hwloc's measure.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Distances {
    /// Row by row.
    Matrix(Vec<u32>),
    /// A tree that is the same everywhere: at each step from its root down, so many nodes are together.
    Steps(Vec<u32>),
}

/// The distance of a node from itself.
const LOCAL: u32 = 10;

impl Topology {
    /// This machine: what the cgroup and a mask leave of it; without a mask to go by, what the cgroup does.
    pub fn detect(mask: Option<&Mask>) -> Result<Topology> {
        with_hwloc(|| {
            let hwloc = Hwloc::new().map_err(|error| unavailable(&error))?;
            // hwloc's environment variables can put another machine in place of this one. Masks speak of this one.
            let is_here = hwloc.is_this_system();
            let machine = Self::read(&hwloc, mask.filter(|_| is_here), is_here);
            if machine.cpus.is_empty() {
                return Err(unavailable(&"no CPU is allowed"));
            }
            Ok(machine)
        })
    }

    /// A machine described by its levels, such as "numa:4 core:16 pu:1".
    pub fn from_string(text: &str) -> Result<Topology> {
        described::machine(text)
    }

    /// What hwloc makes of a description.
    #[cfg(test)]
    fn by_hwloc(text: &str) -> Topology {
        with_hwloc(|| {
            let hwloc = Hwloc::builder().from_synthetic(text).unwrap().build().unwrap();
            Self::read(&hwloc, None, false)
        })
    }

    fn read(hwloc: &Hwloc, mask: Option<&Mask>, is_here: bool) -> Topology {
        let allowed = hwloc.allowed_cpuset();
        let usable = |pu: &&Object| {
            let os = pu.os_index().map(|os| os as u32);
            pu.cpuset().is_some_and(|set| allowed.includes(set))
                && os.is_some_and(|os| mask.is_none_or(|mask| mask.contains(os)))
        };
        let (mut cores, mut l2s, mut l3s, mut nodes) = <(Groups, Groups, Groups, Groups)>::default();
        // Memory hangs beside the tree of CPUs. Of several memories at the same CPUs, the first is the usual one.
        let mut home_of = HashMap::new();
        for node in hwloc.objects_with_type(ObjectType::NUMANode) {
            for cpu in node.cpuset().iter().flat_map(|set| set.iter_set()) {
                home_of.entry(usize::from(cpu)).or_insert(node);
            }
        }
        let mut siblings = Vec::new();
        let mut cpus = Vec::new();
        let mut homes = Vec::new();
        for pu in hwloc.objects_with_type(ObjectType::PU).filter(usable) {
            let os = pu.os_index().unwrap_or_default();
            let home = home_of.get(&os).copied();
            let index = |kind| pu.first_ancestor_with_type(kind).map(Object::logical_index);
            let node = nodes.number((0, home.map_or(0, Object::logical_index)));
            let core = cores.number(index(ObjectType::Core).map_or((1, pu.logical_index()), |core| (0, core)));
            let l2 = index(ObjectType::L2Cache).map_or((1, core as usize), |cache| (0, cache));
            let l3 = index(ObjectType::L3Cache).map_or((1 + l2.0, l2.1), |cache| (0, cache));
            if node as usize == homes.len() {
                homes.push(home);
            }
            siblings.resize(cores.0.len(), 0);
            let sibling = siblings[core as usize];
            siblings[core as usize] += 1;
            cpus.push(Cpu {
                os: os as u32,
                core,
                sibling,
                l2: l2s.number(l2),
                // A cache that spans nodes is one group in each: what is near in memory comes first.
                l3: l3s.number((l3.0 + 3 * node as usize, l3.1)),
                node,
            });
        }
        let distances = Distances::Matrix(distances(hwloc, &homes));
        Topology { cpus, cores: cores.0.len() as u32, nodes: nodes.0.len() as u32, is_here, distances }
    }

    /// How far two nodes are from each other, in hwloc's measure: 10 is a node from itself.
    pub fn distance(&self, from: u32, to: u32) -> u32 {
        match &self.distances {
            Distances::Matrix(rows) => rows[(from * self.nodes + to) as usize],
            Distances::Steps(_) if from == to => LOCAL,
            Distances::Steps(nodes) => {
                LOCAL * (2 + nodes.iter().filter(|&nodes| from / nodes != to / nodes).count() as u32)
            }
        }
    }
}

/// Keys in the order of their first appearance.
#[derive(Default)]
struct Groups(HashMap<(usize, usize), u32>);

impl Groups {
    fn number(&mut self, key: (usize, usize)) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(key).or_insert(next)
    }
}

/// The distances between nodes: what the system says, else by how far down the tree two nodes have an ancestor in common.
fn distances(hwloc: &Hwloc, nodes: &[Option<&Object>]) -> Vec<u32> {
    let kind = DistancesKind::FROM_OS | DistancesKind::FROM_USER | DistancesKind::MEANS_LATENCY;
    let known = hwloc.distances_with_type(Some(kind), ObjectType::NUMANode).unwrap_or_default();
    let matrix = known.first();
    let in_matrix: Vec<_> = nodes.iter().map(|&node| matrix?.object_idx(node?)).collect();
    let told = |from: usize, to: usize| {
        let (matrix, from, to) = (matrix?, in_matrix[from]?, in_matrix[to]?);
        let distance = *matrix.distances().get(from * matrix.num_objects() + to)?;
        Some(distance.min(u32::MAX.into()) as u32)
    };
    // The ancestors of each node, from the root down. The last holds the node's CPUs; nodes that share it are neighbours.
    let path = |node: &Option<&Object>| -> Vec<u64> {
        let mut path: Vec<_> =
            node.iter().flat_map(|node| node.ancestors()).map(Object::global_persistent_index).collect();
        path.reverse();
        path
    };
    let paths: Vec<_> = nodes.iter().map(path).collect();
    let guessed = |from: usize, to: usize| {
        let common = paths[from].iter().zip(&paths[to]).take_while(|(one, other)| one == other).count();
        LOCAL * (2 + (paths[from].len() - common) as u32)
    };
    let pairs = (0..nodes.len()).flat_map(|from| (0..nodes.len()).map(move |to| (from, to)));
    let distance = |from, to| if from == to { LOCAL } else { told(from, to).unwrap_or_else(|| guessed(from, to)) };
    pairs.map(|(from, to)| distance(from, to)).collect()
}

fn unavailable(error: &dyn std::fmt::Display) -> Failure {
    Failure::with(Status::Os, format!("hwloc cannot tell the topology: {error}"))
}

/// The CPUs a thread with this mask (None: it is not known) can keep busy: the mask's, or as many as the CPU quota of its
/// cgroup amounts to if that is less; at least 1. The quota is the calling thread's.
pub fn usable_cpus(mask: Option<&Mask>) -> u32 {
    usable_within(Path::new("/"), mask.map_or_else(platform::online_cpus, Mask::count))
}

fn usable_within(root: &Path, allowed: u32) -> u32 {
    allowed.min(cgroup::quota(root).unwrap_or(u32::MAX)).max(1)
}

/// What work mostly does, for [`optimal_workers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Computes.
    Cpu,
    /// Waits.
    Io,
    /// Both.
    Mixed,
}

/// How many workers `cpus` CPUs are good for.
pub fn optimal_workers(load: Load, cpus: u32) -> u32 {
    match load {
        Load::Cpu => cpus,
        Load::Io => cpus.saturating_mul(2),
        Load::Mixed => cpus.saturating_add(cpus.div_ceil(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(synthetic: &str) -> Topology {
        Topology::from_string(synthetic).unwrap()
    }

    fn counts(synthetic: &str) -> (usize, u32, u32) {
        let machine = machine(synthetic);
        assert!(!machine.is_here);
        (machine.cpus.len(), machine.cores, machine.nodes)
    }

    #[test]
    fn machines_that_are_not_there() {
        assert_eq!(counts("numa:4 core:16 pu:1"), (64, 64, 4));
        assert_eq!(counts("numa:1 core:2 pu:2"), (4, 2, 1));
        assert_eq!(counts("pu:3"), (3, 3, 1));
    }

    #[test]
    fn what_cpus_share() {
        let machine = machine("numa:2 l3:2 l2:2 core:2 pu:2");
        assert_eq!((machine.cpus.len(), machine.cores, machine.nodes), (32, 16, 2));
        for (index, cpu) in machine.cpus.iter().enumerate() {
            let index = index as u32;
            let expected =
                Cpu { os: index, core: index / 2, sibling: index % 2, l2: index / 4, l3: index / 8, node: index / 16 };
            assert_eq!(*cpu, expected);
        }
    }

    #[test]
    fn caches_that_are_not_known() {
        let machine = machine("numa:2 core:2 pu:2");
        for (index, cpu) in machine.cpus.iter().enumerate() {
            let core = index as u32 / 2;
            assert_eq!((cpu.core, cpu.l2, cpu.l3, cpu.node), (core, core, core, core / 2));
        }
    }

    #[test]
    fn a_cache_that_spans_nodes() {
        let machine = machine("l3:1 numa:2 core:2 pu:1");
        let groups: Vec<_> = machine.cpus.iter().map(|cpu| (cpu.l3, cpu.node)).collect();
        assert_eq!(groups, [(0, 0), (0, 0), (1, 1), (1, 1)]);
    }

    #[test]
    fn how_far_nodes_are_apart() {
        let flat = machine("numa:4 l3:1 core:16 pu:1");
        for from in 0..4 {
            for to in 0..4 {
                assert_eq!(flat.distance(from, to) == 10, from == to);
                assert_eq!(flat.distance(from, to), flat.distance(to, from));
                assert!(from == to || flat.distance(from, to) == flat.distance(0, 1));
            }
        }
        let packages = machine("pack:2 numa:2 core:4 pu:1");
        assert!(packages.distance(0, 1) > packages.distance(0, 0));
        assert!(packages.distance(0, 2) > packages.distance(0, 1));
        assert_eq!(packages.distance(0, 2), packages.distance(3, 1));
        assert_eq!(packages.distance(3, 2), packages.distance(0, 1));
    }

    #[test]
    fn this_machine_has_something() {
        let machine = Topology::detect(Mask::current().ok().as_ref()).unwrap();
        let cpus = machine.cpus.len() as u32;
        assert!(machine.is_here);
        assert!(cpus >= machine.cores && machine.cores >= 1 && machine.nodes >= 1);
        assert!(cpus <= platform::online_cpus());
        let mask = Mask::current().unwrap();
        assert!(machine.cpus.iter().all(|cpu| mask.contains(cpu.os)));
        assert_eq!(machine.distance(0, 0), 10);
    }

    #[test]
    fn forks_that_are_watched_more_than_once() {
        /// What `f` returns in a child; 255: something else ended the child.
        fn child(f: impl FnOnce() -> i32) -> i32 {
            let mut status = 0;
            // SAFETY: the child runs `f` alone and ends; `status` is a valid place.
            unsafe {
                match libc::fork() {
                    0 => {
                        libc::alarm(60);
                        libc::_exit(f())
                    }
                    child => assert_eq!(libc::waitpid(child, &mut status, 0), child),
                }
            }
            if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 255 }
        }
        let cpus = || Topology::by_hwloc("pu:3").cpus.len() as i32;
        assert_eq!(cpus(), 3);
        let twice = || {
            watch_forks();
            watch_forks();
            10 * child(cpus) + cpus()
        };
        assert_eq!(child(twice), 33);
    }

    #[test]
    fn a_mask_leaves_less() {
        let all = Topology::detect(Mask::current().ok().as_ref()).unwrap();
        let last = all.cpus.last().unwrap().os;
        let one = Topology::detect(Some(&Mask::single(last))).unwrap();
        assert_eq!((one.cpus.len(), one.cores, one.nodes), (1, 1, 1));
        assert_eq!(one.cpus[0], Cpu { os: last, core: 0, sibling: 0, l2: 0, l3: 0, node: 0 });
    }

    #[test]
    fn the_smaller_of_mask_and_quota() {
        let root = cgroup::tests::Root::new(&[
            ("proc/thread-self/cgroup", "0::/app\n"),
            ("proc/thread-self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
            ("sys/fs/cgroup/app/cpu.max", "250000 100000\n"),
        ]);
        assert_eq!(usable_within(&root.0, 8), 3);
        assert_eq!(usable_within(&root.0, 2), 2);
        assert_eq!(usable_within(&root.0, 0), 1);
        let none = cgroup::tests::Root::new(&[]);
        assert_eq!(usable_within(&none.0, 8), 8);
        assert!((1..=platform::online_cpus()).contains(&usable_cpus(Mask::current().ok().as_ref())));
    }

    #[test]
    fn workers_for_a_load() {
        let workers = |cpus| [Load::Cpu, Load::Io, Load::Mixed].map(|load| optimal_workers(load, cpus));
        assert_eq!(workers(1), [1, 2, 2]);
        assert_eq!(workers(3), [3, 6, 5]);
        assert_eq!(workers(64), [64, 128, 96]);
        assert_eq!(workers(u32::MAX), [u32::MAX; 3]);
    }
}
