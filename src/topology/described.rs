//! Machines that are not there, from a line of text: "numa:4 core:16 pu:1".
//!
//! The form is the plain part of hwloc's synthetic one, and the tests compare what both make of it. hwloc itself is not asked:
//! it reads numbers and types in more ways than it says (octal, hexadecimal, signs, no type at all), ends the process over
//! some of them, and takes seconds for a few thousand CPUs, under a lock that every fork() waits for. A regular tree needs no
//! more than divisions: an object of a level holds as many CPUs as the counts behind it multiply to.

use super::{Cpu, Distances, Topology};
use crate::error::{Failure, Result, Status};

/// CPUs that a described machine may have: as many as a runtime may have workers.
const MAX_CPUS: u32 = 4096;
/// More levels than there are types, by some groups.
const MAX_LEVELS: usize = 32;

/// What a level consists of, in the order in which levels may follow each other; NUMA nodes and groups go in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Group,
    Numa,
    Package,
    Die,
    L5,
    L4,
    L3,
    L2,
    L1,
    Core,
    Pu,
}

impl Kind {
    fn named(name: &str) -> Option<Kind> {
        let name = name.to_ascii_lowercase();
        Some(match name.as_str() {
            "group" => Kind::Group,
            "numa" | "numanode" | "node" => Kind::Numa,
            "pack" | "package" | "socket" => Kind::Package,
            "die" => Kind::Die,
            "core" => Kind::Core,
            "pu" => Kind::Pu,
            _ => match name.strip_suffix("cache").unwrap_or(&name) {
                "l5" => Kind::L5,
                "l4" => Kind::L4,
                "l3" => Kind::L3,
                "l2" => Kind::L2,
                "l1" => Kind::L1,
                _ => return None,
            },
        })
    }

    /// Whether a level of this kind may come after the others.
    fn may_follow(self, outer: &[Level]) -> bool {
        let innermost = outer.iter().map(|level| level.kind).max();
        match self {
            Kind::Group => innermost < Some(Kind::Core),
            // Nodes have caches and cores of their own; only the L3 may span them.
            Kind::Numa => innermost < Some(Kind::L2) && outer.iter().all(|level| level.kind != Kind::Numa),
            kind => innermost < Some(kind),
        }
    }
}

struct Level {
    kind: Kind,
    /// Of these in each of the level before.
    count: u32,
    /// CPUs in each.
    width: u32,
}

/// The machine that a text describes.
pub fn machine(text: &str) -> Result<Topology> {
    let levels = levels(text)?;
    let cpus: u32 = levels.iter().map(|level| level.count).product();
    let width = |kind| levels.iter().find(|level| level.kind == kind).map(|level| level.width);
    let core = width(Kind::Core).unwrap_or(1);
    let l2 = width(Kind::L2).unwrap_or(core);
    let node = width(Kind::Numa).unwrap_or(cpus);
    // A cache that spans nodes is one group in each, as on real machines.
    let l3 = width(Kind::L3).unwrap_or(l2).min(node);
    let cpu = |os| Cpu { os, core: os / core, sibling: os % core, l2: os / l2, l3: os / l3, node: os / node };
    // Levels of one have no neighbours, and so are no step.
    let steps = levels.iter().filter(|level| level.count > 1 && level.width >= node).map(|level| level.width / node);
    Ok(Topology {
        cpus: (0..cpus).map(cpu).collect(),
        cores: cpus / core,
        nodes: cpus / node,
        is_here: false,
        distances: Distances::Steps(steps.collect()),
    })
}

/// The levels, from the outermost to the CPUs.
fn levels(text: &str) -> Result<Vec<Level>> {
    let invalid = |why: String| Failure::with(Status::Invalid, format!("synthetic: {why}"));
    let too_many = || invalid(format!("more than {MAX_CPUS} CPUs"));
    let mut levels = Vec::new();
    let mut cpus = 1;
    for item in text.split(' ').filter(|item| !item.is_empty()) {
        let unread =
            || invalid(format!("{item:?} is not a level such as core:16: a type, a colon, a decimal count from 1"));
        let (name, digits) = item.split_once(':').ok_or_else(unread)?;
        // A leading zero would make it an octal number elsewhere.
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) || digits.is_empty() || digits.starts_with('0') {
            return Err(unread());
        }
        const TYPES: &str = "group, pack, die, numa, l5 to l1, core, pu";
        let kind = Kind::named(name).ok_or_else(|| invalid(format!("{name:?} is not a type of level ({TYPES})")))?;
        if !kind.may_follow(&levels) {
            return Err(invalid(format!("a level {item:?} cannot be where it is")));
        }
        if levels.len() == MAX_LEVELS {
            return Err(invalid(format!("more than {MAX_LEVELS} levels")));
        }
        // Digits alone, so what does not fit is too much.
        let count: u32 = digits.parse().map_err(|_| too_many())?;
        cpus = count.checked_mul(cpus).filter(|&cpus| cpus <= MAX_CPUS).ok_or_else(too_many)?;
        levels.push(Level { kind, count, width: 0 });
    }
    if levels.last().is_none_or(|level| level.kind != Kind::Pu) {
        return Err(invalid("the last level is not pu".into()));
    }
    let mut width = 1;
    for level in levels.iter_mut().rev() {
        level.width = width;
        width *= level.count;
    }
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_hwloc_reads_them() {
        for text in [
            "pu:1",
            "pu:3",
            "PU:2",
            "core:2 pu:2",
            "numa:1 core:2 pu:2",
            "numa:4 core:16 pu:1",
            "numa:4 l3:1 core:16 pu:1",
            "numa:2 l3:2 l2:2 core:2 pu:2",
            "l3:1 numa:2 core:2 pu:1",
            "l3:2 numa:2 l2:2 core:2 pu:1",
            "pack:2 numa:2 core:4 pu:1",
            "Package:2 Die:2 NUMANode:2 L3Cache:1 L2:2 L1Cache:1 Core:1 PU:2",
            "socket:2 l4:3 node:2 pu:1",
            "group:2 group:3 group:2 numa:2 l5:1 group:2 pu:1",
            " numa:2   group:2 l2:3 pu:1  ",
            "numa:2 pack:2 core:2 pu:2",
        ] {
            let (ours, hwlocs) = (machine(text).unwrap(), Topology::by_hwloc(text));
            assert_eq!(ours.cpus, hwlocs.cpus, "{text}");
            assert_eq!((ours.cores, ours.nodes, ours.is_here), (hwlocs.cores, hwlocs.nodes, false), "{text}");
            for from in 0..ours.nodes {
                for to in 0..ours.nodes {
                    assert_eq!(ours.distance(from, to), hwlocs.distance(from, to), "{text}, {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn levels_of_one_are_no_step() {
        let machine = machine("pack:2 die:1 numa:2 core:1 pu:1").unwrap();
        assert_eq!([0, 1, 2, 3].map(|to| machine.distance(0, to)), [10, 30, 40, 40]);
    }

    #[test]
    fn the_limit_counts_all_there_is() {
        assert_eq!(machine("numa:8 core:256 pu:2").unwrap().cpus.len(), 4096);
        assert_eq!(machine("numa:4096 pu:1").unwrap().distance(0, 4095), 30);
        for text in [
            "pu:4097",
            "core:100 pu:100",
            "core:65536 pu:65536",
            "group:4096 core:4096 pu:4096 ",
            "pu:99999999999999999999999",
            "pu:18446744073709551617",
            "pu:4294967297",
        ] {
            assert!(machine(text).is_err_and(|failure| failure.message.contains("4096 CPUs")), "{text}");
        }
        let groups = |count| machine(&("group:1 ".repeat(count) + "pu:2"));
        assert_eq!(groups(MAX_LEVELS - 1).unwrap().cpus.len(), 2);
        assert!(groups(MAX_LEVELS).is_err());
    }

    #[test]
    fn what_hwloc_reads_in_its_own_way() {
        for text in [
            "100 100",
            "2",
            "pu:0x20",
            "pu:0X2",
            "pu:010",
            "pu:+2",
            "pu:-2",
            "pu: 2",
            "pu :2",
            "pu:2.",
            "pu:2,",
            "pu:1e3",
            "pu:\t2",
            "\tpu:2",
            "pu:2\n",
            "pu:2\u{a0}",
            "pu:٢",
            ":2",
            ":",
            "pu",
            "pu:",
            "pu:0",
            "0:pu",
            "",
            " ",
            "core:2:3",
            "(memory=1GB) pu:2",
            "numa:2(memory=1GB) pu:2",
            "l2:2(size=1MB) pu:2",
            "pu:2(indexes=4000000000,1)",
            "core:2 [numa] pu:2",
            "[numa]",
            "pu:2]",
            "memcache:2 pu:2",
            "misc:2 pu:2",
            "bridge:2 pu:2",
            "os:2 pu:2",
            "machine:2 pu:2",
            "l6:2 pu:2",
            "l0:2 pu:2",
            "l2d:2 pu:2",
            "cache:2 pu:2",
            "cachecache:2 pu:2",
            "group2:2 pu:2",
            "banana:3",
            "no machine",
        ] {
            let refused = machine(text).map(|_| text).unwrap_err();
            assert!(refused.is(Status::Invalid) && refused.message.starts_with("synthetic: "), "{text:?}: {refused:?}");
        }
    }

    #[test]
    fn levels_that_cannot_be() {
        for text in [
            "core:2",
            "numa:4 core:2",
            "pu:4 core:2",
            "pu:2 pu:2",
            "core:2 core:2 pu:1",
            "numa:2 numa:2 pu:1",
            "core:2 pack:2 pu:1",
            "l2:2 l3:2 pu:1",
            "core:2 l2:2 pu:1",
            "core:2 numa:2 pu:1",
            "l2:2 numa:2 pu:1",
            "die:2 pack:2 pu:2",
            "core:2 group:2 pu:1",
            "pu:2 group:2",
        ] {
            assert!(machine(text).is_err_and(|failure| failure.is(Status::Invalid)), "{text:?}");
        }
    }
}
