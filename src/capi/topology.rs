//! What a machine looks like.

use std::ffi::c_char;

use super::args::{self, invalid, may_create, place, text};
use super::boundary::{boundary, boundary_value};
use super::handle::{Handle, Noun};
use super::types::{weft_status, weft_topology};
use crate::scheduler::{self, MAX_WORKERS};
use crate::topology::{self, Load, Topology};

/// A logical CPU and what it shares with others. Cores, caches and nodes are numbered from 0, each kind for itself.
#[repr(C)]
pub struct weft_topology_cpu {
    /// Set by the caller: sizeof(weft_topology_cpu).
    pub size: usize,
    /// The system's number for it.
    pub os: u32,
    /// Its core.
    pub core: u32,
    /// Its rank among the usable CPUs of its core: 0 for the first, 1 for an SMT sibling.
    pub sibling: u32,
    /// Its L2 cache; its core where no L2 is known.
    pub l2: u32,
    /// Its L3 cache, or the part of it in its node; its L2 where no L3 is known.
    pub l3: u32,
    /// Its NUMA node.
    pub node: u32,
}

/// Work that computes.
pub const WEFT_LOAD_CPU: i32 = 0;
/// Work that waits.
pub const WEFT_LOAD_IO: i32 = 1;
/// Work that does both.
pub const WEFT_LOAD_MIXED: i32 = 2;

impl Noun for Topology {
    type Opaque = weft_topology;
    const TAG: u32 = u32::from_le_bytes(*b"Wtop");
    const NAME: &'static str = "topology";
}

/// This machine, as far as the calling thread may use it: what the cgroup and its affinity mask leave, or on a thread
/// that its runtime has bound, what they leave to that runtime. Takes milliseconds. WEFT_OS: the system does not tell.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_topology_new(out: *mut *mut weft_topology) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        may_create()?;
        let topology = Topology::detect(scheduler::allowed().as_ref())?;
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(topology) };
        Ok(())
    })
}

/// A machine that is not there, for tests, by its levels from the largest part to the CPUs: "numa:4 core:16 pu:1" has
/// 64 cores on 4 nodes. A level is a type, a colon, and how many of these each part of the level before has: decimal
/// digits, not beginning with 0. Levels have blanks (' ') between them. The types, in upper or lower case: pack (or
/// package, socket), die, l5 to l1 (also l3cache and so on), core, pu, in this order and each once at most; numa (or
/// numanode, node) once before l2; group anywhere before core. pu, the logical CPU, comes last and is always there.
/// hwloc reads the same as its synthetic form; what else that can say is not understood. WEFT_INVALID: it is no such
/// text, or there are more than 4096 CPUs or 32 levels.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_topology_from_string(
    synthetic: *const c_char,
    out: *mut *mut weft_topology,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        // SAFETY: a C string by contract.
        let synthetic = unsafe { text(synthetic, "synthetic")? };
        may_create()?;
        let topology = Topology::from_string(synthetic)?;
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(topology) };
        Ok(())
    })
}

fn read(topology: *const weft_topology, number: impl FnOnce(&Topology) -> u32) -> u32 {
    // SAFETY: a handle by contract.
    boundary_value(0, || Ok(number(unsafe { Handle::<Topology>::get(topology, "topology")? })))
}

/// Its logical CPUs; 0 on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_topology_cpus(topology: *const weft_topology) -> u32 {
    read(topology, |topology| topology.cpus.len() as u32)
}

/// Its cores; 0 on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_topology_cores(topology: *const weft_topology) -> u32 {
    read(topology, |topology| topology.cores)
}

/// Its NUMA nodes; 0 on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_topology_nodes(topology: *const weft_topology) -> u32 {
    read(topology, |topology| topology.nodes)
}

/// What is known of the CPU at `index`, from 0 up to weft_topology_cpus() - 1. Set out->size first. WEFT_INVALID: there
/// is no such CPU.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_topology_cpu_get(
    topology: *const weft_topology,
    index: u32,
    out: *mut weft_topology_cpu,
) -> weft_status {
    boundary(|| {
        // SAFETY: a struct by contract.
        let out = unsafe { args::result_struct(out, "out")? };
        // SAFETY: a handle by contract.
        let topology = unsafe { Handle::<Topology>::get(topology, "topology")? };
        let cpu =
            topology.cpus.get(index as usize).ok_or_else(|| invalid(format!("index: there is no CPU {index}")))?;
        let topology::Cpu { os, core, sibling, l2, l3, node } = *cpu;
        // SAFETY: at least this version's size, as checked.
        unsafe { *out = weft_topology_cpu { size: (*out).size, os, core, sibling, l2, l3, node } };
        Ok(())
    })
}

/// How far the memory of node `to` is from the CPUs of node `from`: 10 for the same node, more for others, 20 being
/// twice as slow where the system tells distances; else nodes are the farther the less of the machine holds both. 0 on
/// a bad handle or node.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_topology_distance(topology: *const weft_topology, from: u32, to: u32) -> u32 {
    boundary_value(0, || {
        // SAFETY: a handle by contract.
        let topology = unsafe { Handle::<Topology>::get(topology, "topology")? };
        for (node, name) in [(from, "from"), (to, "to")] {
            if node >= topology.nodes {
                return Err(invalid(format!("{name}: there is no node {node}")));
            }
        }
        Ok(topology.distance(from, to))
    })
}

/// How many workers suit a kind of work here: for WEFT_LOAD_CPU the CPUs that the calling thread may keep busy (its
/// affinity mask, or on a thread that its runtime has bound, the CPUs of that runtime; or what the CPU quotas of the
/// thread's control groups amount to, rounded up, if that is less), for WEFT_LOAD_IO twice as many, for WEFT_LOAD_MIXED
/// one and a half times, rounded up. At least 1, at most 4096, the most a runtime can have. Asks the system each time.
/// -1 for any other load.
#[unsafe(no_mangle)]
pub extern "C" fn weft_optimal_worker_count(load: i32) -> i32 {
    boundary_value(-1, || {
        let load = match load {
            WEFT_LOAD_CPU => Load::Cpu,
            WEFT_LOAD_IO => Load::Io,
            WEFT_LOAD_MIXED => Load::Mixed,
            _ => return Err(invalid(format!("load: {load} is none"))),
        };
        Ok(topology::optimal_workers(load, topology::usable_cpus(scheduler::allowed().as_ref())).min(MAX_WORKERS)
            as i32)
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_topology_retain(topology: *mut weft_topology) -> *mut weft_topology {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Topology>::retain(topology) }
}

/// One reference less. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_topology_release(topology: *mut weft_topology) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Topology>::release(topology) }
}
