//! What a machine looks like: its CPUs, what they share, and how far its NUMA nodes are apart, by hwloc, or by a
//! description of a machine that is not there, for tests. What is read is copied into a table; nobody else meets hwloc.
//!
//! How many CPUs a process can keep busy is another question, with a cheap answer: [`usable_cpus`].

mod cgroup;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use hwlocality::Topology as Hwloc;
use hwlocality::object::TopologyObject as Object;
use hwlocality::object::distance::DistancesKind;
use hwlocality::object::types::ObjectType;

use crate::error::{Failure, Result, Status};
use crate::platform;
use crate::platform::affinity::Mask;
use crate::sync::lock::RawLock;

/// Held around every use of hwloc, and by fork(): hwloc has locks of its own, which a child must not inherit held.
static IN_USE: RawLock = RawLock::new();

fn with_hwloc<R>(f: impl FnOnce() -> R) -> R {
    extern "C" fn before_fork() {
        IN_USE.lock();
    }
    extern "C" fn after_fork() {
        // SAFETY: locked before the fork by the thread that forked, which is this one, or its copy in the child.
        unsafe { IN_USE.unlock() };
    }
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: the handlers are functions of this library, which is never unloaded.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork)) };
    }
    IN_USE.lock();
    let result = f();
    // SAFETY: locked above. `f` does not unwind: hwloc's bindings return errors.
    unsafe { IN_USE.unlock() };
    result
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
    /// Row by row.
    distances: Vec<u32>,
}

impl Topology {
    /// This machine: what the cgroup and this thread's affinity mask leave of it.
    pub fn detect() -> Result<Topology> {
        // Without a mask to read, what the cgroup allows is the best answer.
        Self::detect_within(Mask::current().ok().as_ref())
    }

    /// This machine: what the cgroup and a mask leave of it.
    pub fn detect_within(mask: Option<&Mask>) -> Result<Topology> {
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

    /// A machine described in hwloc's synthetic form, such as "numa:4 core:16 pu:1".
    pub fn from_string(synthetic: &str) -> Result<Topology> {
        if described_cpus(synthetic) > MAX_CPUS {
            return Err(Failure::with(Status::Invalid, format!("synthetic: more than {MAX_CPUS} CPUs")));
        }
        let refused = || Failure::with(Status::Invalid, format!("synthetic: hwloc does not accept {synthetic:?}"));
        with_hwloc(|| {
            let builder = Hwloc::builder().from_synthetic(synthetic).map_err(|_| refused())?;
            let hwloc = builder.build().map_err(|error| unavailable(&error))?;
            Ok(Self::read(&hwloc, None, false))
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
        let distances = distances(hwloc, &homes);
        Topology { cpus, cores: cores.0.len() as u32, nodes: nodes.0.len() as u32, is_here, distances }
    }

    /// How far two nodes are from each other, in hwloc's measure: 10 is a node from itself.
    pub fn distance(&self, from: u32, to: u32) -> u32 {
        self.distances[(from * self.nodes + to) as usize]
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
    const LOCAL: u32 = 10;
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

/// CPUs that a described machine may have: as many as a runtime may have workers. hwloc takes minutes over a hundred
/// thousand.
const MAX_CPUS: u64 = 4096;

/// The product of the counts in a description, each behind the colon of its level.
fn described_cpus(synthetic: &str) -> u64 {
    let counts = synthetic.split(':').skip(1).map(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits == 0 { 1 } else { rest[..digits].parse().unwrap_or(u64::MAX) }
    });
    counts.fold(1, u64::saturating_mul)
}

fn unavailable(error: &dyn std::fmt::Display) -> Failure {
    Failure::with(Status::Os, format!("hwloc cannot tell the topology: {error}"))
}

/// The CPUs the calling thread can keep busy: those of its affinity mask, or as many as its cgroup's CPU quota amounts to
/// if that is less; at least 1.
pub fn usable_cpus() -> u32 {
    usable_within(Path::new("/"), Mask::current().map_or_else(|_| platform::online_cpus(), |mask| mask.count()))
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
        assert!(Topology::from_string("no machine").is_err_and(|failure| failure.is(Status::Invalid)));
        assert!(Topology::from_string("").is_err());
        assert!(Topology::from_string("core:100 pu:100").is_err_and(|failure| failure.is(Status::Invalid)));
        assert!(Topology::from_string("pu:99999999999999999999999").is_err());
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
        let machine = Topology::detect().unwrap();
        let cpus = machine.cpus.len() as u32;
        assert!(machine.is_here);
        assert!(cpus >= machine.cores && machine.cores >= 1 && machine.nodes >= 1);
        assert!(cpus <= platform::online_cpus());
        let mask = Mask::current().unwrap();
        assert!(machine.cpus.iter().all(|cpu| mask.contains(cpu.os)));
        assert_eq!(machine.distance(0, 0), 10);
    }

    #[test]
    fn a_mask_leaves_less() {
        let all = Topology::detect().unwrap();
        let last = all.cpus.last().unwrap().os;
        let one = Topology::detect_within(Some(&Mask::single(last))).unwrap();
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
        assert!((1..=platform::online_cpus()).contains(&usable_cpus()));
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
