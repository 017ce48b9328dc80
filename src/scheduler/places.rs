//! Where the seats of a runtime are on a machine, and what is near to what.
//!
//! A *place* is a CPU that a seat stands for. The first `workers` seats have places of their own, as long as there are
//! CPUs; all others (spare threads, more workers than CPUs) have the place of their number modulo the number of places. The
//! [`Policy`] says in which order CPUs become places.
//!
//! Places are kept in one array sorted by node, L3 and L2 cache, so that the neighbours of a place at each level of the machine
//! are a range of that array, each inside the next: the table grows with the places, not with their square.
//! [`Victims`](super::victims::Victims) walks through these ranges.

use std::ops::Range;

use crate::topology::{Cpu, Topology};

/// In which order the CPUs of a machine are given to seats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// None: threads run where the system puts them, and all are equally near.
    #[default]
    None,
    /// Side by side: the cores of a cache and a node before those of the next.
    Compact,
    /// Far apart: over all nodes and caches in turn.
    Scatter,
}

/// The places of a runtime's seats.
#[derive(Debug)]
pub struct Places {
    /// By place.
    spots: Box<[Spot]>,
    /// All places, sorted by node, L3 and L2.
    near: Box<[u32]>,
    /// By node: its range of `near`.
    nodes: Box<[Range<usize>]>,
    /// For each node a row of all nodes, itself first, then from the nearest; with their distances.
    by_distance: Box<[(u32, u32)]>,
    node_numbers: Box<[u32]>,
}

#[derive(Debug)]
struct Spot {
    /// The system's number of the CPU.
    cpu: u32,
    node: u32,
    /// The place itself, and those that share its L2 and L3 cache: ranges of `near`.
    own: Range<usize>,
    l2: Range<usize>,
    l3: Range<usize>,
}

impl Places {
    /// One place for all: nothing is nearer than anything else.
    pub fn nowhere() -> Places {
        let cpu = Cpu { os: 0, core: 0, sibling: 0, l2: 0, l3: 0, node: 0 };
        Self::of(&[cpu], 1, |_, _| 0)
    }

    /// Places for `workers` seats on a machine.
    pub fn on(machine: &Topology, policy: Policy, workers: u32) -> Places {
        if policy == Policy::None || machine.cpus.is_empty() {
            return Self::nowhere();
        }
        let mut cpus = in_order(&machine.cpus, policy);
        cpus.truncate(workers.max(1) as usize);
        Self::of(&cpus, machine.nodes, |from, to| machine.distance(from, to))
    }

    fn of(cpus: &[Cpu], nodes: u32, distance: impl Fn(u32, u32) -> u32) -> Places {
        let mut near: Vec<u32> = (0..cpus.len() as u32).collect();
        let groups = |place: u32| {
            let cpu = &cpus[place as usize];
            (cpu.node, cpu.l3, cpu.l2)
        };
        near.sort_by_key(|&place| (groups(place), place));
        let range = |below: &dyn Fn(u32) -> bool, among: &dyn Fn(u32) -> bool| {
            let start = near.partition_point(|&place| below(place));
            start..start + near[start..].partition_point(|&place| among(place))
        };
        let spots = (0..cpus.len() as u32).map(|place| {
            let (node, l3, l2) = groups(place);
            let of = |other: u32| groups(other);
            Spot {
                cpu: cpus[place as usize].os,
                node,
                own: range(&|other| (of(other), other) < ((node, l3, l2), place), &|other| other == place),
                l2: range(&|other| of(other) < (node, l3, l2), &|other| of(other) == (node, l3, l2)),
                l3: range(&|other| (of(other).0, of(other).1) < (node, l3), &|other| {
                    (of(other).0, of(other).1) == (node, l3)
                }),
            }
        });
        let spots = spots.collect();
        let ranges = (0..nodes).map(|node| range(&|other| groups(other).0 < node, &|other| groups(other).0 == node));
        let ranges = ranges.collect();
        let mut by_distance = Vec::with_capacity((nodes * nodes) as usize);
        for from in 0..nodes {
            let mut row: Vec<_> = (0..nodes).map(|to| (to, distance(from, to))).collect();
            // Whatever a machine claims, nothing is nearer than home.
            row.sort_by_key(|&(to, distance)| (to != from, distance, to));
            by_distance.extend(row);
        }
        let node_numbers = by_distance.iter().map(|&(node, _)| node).collect();
        let near = near.into_boxed_slice();
        Places { spots, near, nodes: ranges, by_distance: by_distance.into(), node_numbers }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.spots.len()
    }

    /// A seat's place.
    pub fn place_of(&self, seat: usize) -> usize {
        seat % self.spots.len()
    }

    fn spot(&self, seat: usize) -> &Spot {
        &self.spots[self.place_of(seat)]
    }

    /// The CPU of a seat, by the system's number.
    pub fn cpu_of(&self, seat: usize) -> u32 {
        self.spot(seat).cpu
    }

    /// The NUMA node of a seat.
    pub fn node_of(&self, seat: usize) -> u32 {
        self.spot(seat).node
    }

    /// How many NUMA nodes there are.
    pub fn nodes(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// All NUMA nodes in the order in which a seat is to look at them: its own, then from the nearest.
    pub fn nodes_by_distance(&self, seat: usize) -> &[u32] {
        let node = self.node_of(seat) as usize;
        &self.node_numbers[node * self.nodes.len()..][..self.nodes.len()]
    }

    /// The nodes in whose lanes a seat looks, in its order, where there are lanes for the first `count` nodes: a machine whose CPUs
    /// have changed may have more nodes by now, or fewer.
    pub fn lanes(&self, seat: usize, count: usize) -> impl Iterator<Item = usize> {
        let known = self.nodes_by_distance(seat).iter().map(|&node| node as usize);
        known.filter(move |&node| node < count).chain(self.nodes() as usize..count)
    }

    /// The same with distances.
    pub(super) fn distances(&self, seat: usize) -> &[(u32, u32)] {
        let node = self.node_of(seat) as usize;
        &self.by_distance[node * self.nodes.len()..][..self.nodes.len()]
    }

    /// The place at a position of the sorted array.
    pub(super) fn at(&self, position: usize) -> usize {
        self.near[position] as usize
    }

    /// The positions of a node's places.
    pub(super) fn node(&self, node: u32) -> Range<usize> {
        self.nodes[node as usize].clone()
    }

    /// The positions around a seat, each range inside the next: its place, its L2 cache, its L3 cache, its node.
    pub(super) fn around(&self, seat: usize) -> [Range<usize>; 4] {
        let Spot { own, l2, l3, node, .. } = self.spot(seat);
        [own.clone(), l2.clone(), l3.clone(), self.node(*node)]
    }
}

/// The CPUs in the order of a policy. Either way the first CPU of every core comes before the second of any.
fn in_order(cpus: &[Cpu], policy: Policy) -> Vec<Cpu> {
    let mut cpus = cpus.to_vec();
    cpus.sort_by_key(|cpu| (cpu.sibling, cpu.node, cpu.l3, cpu.l2, cpu.core));
    if policy == Policy::Scatter {
        // The how-manieth its L3 is in its node, its L2 in its L3, its core in its L2.
        let caches = rank(&cpus, |cpu| cpu.node, |cpu| cpu.l3);
        let small_caches = rank(&cpus, |cpu| cpu.l3, |cpu| cpu.l2);
        let cores = rank(&cpus, |cpu| cpu.l2, |cpu| cpu.core);
        let key = |i: usize| (cpus[i].sibling, cores[i], small_caches[i], caches[i], cpus[i].node);
        let mut order: Vec<usize> = (0..cpus.len()).collect();
        order.sort_by_key(|&i| key(i));
        cpus = order.into_iter().map(|i| cpus[i]).collect();
    }
    cpus
}

/// For each CPU, the rank of its inner group among those of its outer group.
fn rank(cpus: &[Cpu], outer: impl Fn(&Cpu) -> u32, inner: impl Fn(&Cpu) -> u32) -> Vec<usize> {
    let mut pairs: Vec<_> = cpus.iter().map(|cpu| (outer(cpu), inner(cpu))).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let rank = |cpu: &Cpu| {
        let first = pairs.partition_point(|&(group, _)| group < outer(cpu));
        pairs.partition_point(|&pair| pair < (outer(cpu), inner(cpu))) - first
    };
    cpus.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(machine: &str, policy: Policy, workers: u32) -> Vec<u32> {
        let places = Places::on(&Topology::from_string(machine).unwrap(), policy, workers);
        (0..places.count()).map(|seat| places.cpu_of(seat)).collect()
    }

    #[test]
    fn compact_fills_one_node_after_the_other() {
        let machine = "numa:2 l3:2 core:2 pu:2";
        assert_eq!(cpus(machine, Policy::Compact, 16), [0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15]);
        assert_eq!(cpus(machine, Policy::Compact, 3), [0, 2, 4]);
        assert_eq!(cpus(machine, Policy::Compact, 99).len(), 16);
    }

    #[test]
    fn scatter_spreads_over_nodes_then_caches() {
        let machine = "numa:2 l3:2 core:2 pu:2";
        // Node 0 and 1, then their second L3s, then the second cores; siblings last.
        assert_eq!(cpus(machine, Policy::Scatter, 16), [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15]);
        assert_eq!(cpus("numa:2 l3:1 l2:2 core:2 pu:1", Policy::Scatter, 8), [0, 4, 2, 6, 1, 5, 3, 7]);
    }

    #[test]
    fn scatter_on_the_big_machine() {
        let order = cpus("numa:4 l3:1 core:16 pu:1", Policy::Scatter, 64);
        for (seat, cpu) in order.iter().enumerate() {
            assert_eq!(*cpu as usize, seat % 4 * 16 + seat / 4);
        }
    }

    #[test]
    fn spares_share_places() {
        let machine = Topology::from_string("numa:2 core:2 pu:1").unwrap();
        let places = Places::on(&machine, Policy::Scatter, 4);
        for seat in 0..100 {
            assert_eq!(places.cpu_of(seat), places.cpu_of(seat % 4));
            assert_eq!(places.node_of(seat), (seat % 2) as u32);
            let node = places.node_of(seat);
            assert_eq!(places.nodes_by_distance(seat), [node, 1 - node]);
        }
    }

    #[test]
    fn nodes_from_the_nearest() {
        let machine = Topology::from_string("pack:2 numa:2 core:2 pu:1").unwrap();
        let places = Places::on(&machine, Policy::Compact, 8);
        let looks = |seat| places.nodes_by_distance(seat).to_vec();
        assert_eq!([looks(0), looks(2), looks(4), looks(6)], [[0, 1, 2, 3], [1, 0, 2, 3], [2, 3, 0, 1], [3, 2, 0, 1]]);
    }

    #[test]
    fn every_lane_is_looked_into() {
        let machine = Topology::from_string("pack:2 numa:2 core:2 pu:1").unwrap();
        let places = Places::on(&machine, Policy::Compact, 8);
        let lanes = |seat, count| places.lanes(seat, count).collect::<Vec<_>>();
        assert_eq!(lanes(4, 4), [2, 3, 0, 1]);
        assert_eq!(lanes(4, 6), [2, 3, 0, 1, 4, 5]);
        assert_eq!(lanes(4, 3), [2, 0, 1]);
        assert_eq!(lanes(6, 1), [0]);
    }

    #[test]
    fn lanes_on_the_big_machine() {
        let machine = Topology::from_string("numa:4 l3:1 core:16 pu:1").unwrap();
        for policy in [Policy::Compact, Policy::Scatter] {
            let places = Places::on(&machine, policy, 64);
            for seat in 0..64 {
                let node = if policy == Policy::Compact { seat / 16 } else { seat % 4 } as u32;
                let looks = places.nodes_by_distance(seat);
                assert_eq!((places.node_of(seat), looks[0], looks.len()), (node, node, 4));
                let mut all = looks.to_vec();
                all.sort_unstable();
                assert_eq!(all, [0, 1, 2, 3]);
            }
        }
    }

    #[test]
    fn without_placement_there_is_one_place() {
        let machine = Topology::from_string("numa:2 core:2 pu:1").unwrap();
        for places in [Places::on(&machine, Policy::None, 4), Places::nowhere()] {
            assert_eq!((places.count(), places.nodes()), (1, 1));
            assert_eq!((places.place_of(7), places.node_of(7)), (0, 0));
            assert_eq!(places.nodes_by_distance(7), [0]);
        }
    }
}
