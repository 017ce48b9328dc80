//! What a machine looks like.

use std::ffi::c_char;

use super::args::{may_create, place, text};
use super::boundary::{boundary, boundary_value};
use super::handle::{Handle, Noun};
use super::types::{weft_status, weft_topology};
use crate::topology::Topology;

impl Noun for Topology {
    type Opaque = weft_topology;
    const TAG: u32 = u32::from_le_bytes(*b"Wtop");
    const NAME: &'static str = "topology";
}

/// This machine, as far as this process may use it (cgroup, and the calling thread's affinity mask). Takes milliseconds.
/// WEFT_OS: the system does not tell.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_topology_new(out: *mut *mut weft_topology) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        may_create()?;
        let topology = Topology::detect()?;
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(topology) };
        Ok(())
    })
}

/// A machine that is not there, in hwloc's synthetic form, for tests: "numa:4 core:16 pu:1" has 64 cores on 4 nodes.
/// WEFT_INVALID: hwloc does not accept it, or it has more than 4096 CPUs.
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
    read(topology, |topology| topology.cpus)
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
