//! What a machine looks like: its CPUs, cores and NUMA nodes, by hwloc, or by a description of a machine that
//! is not there, for tests.

use std::sync::atomic::{AtomicBool, Ordering};

use hwlocality::Topology as Hwloc;
use hwlocality::cpu::binding::CpuBindingFlags;
use hwlocality::cpu::cpuset::CpuSet;
use hwlocality::object::types::ObjectType;

use crate::error::{Failure, Result, Status};
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

/// A machine, as far as this process may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Logical CPUs.
    pub cpus: u32,
    /// Cores with at least one of them.
    pub cores: u32,
    /// NUMA nodes with at least one of them.
    pub nodes: u32,
}

impl Topology {
    /// This machine: what the cgroup and this thread's affinity mask leave of it.
    pub fn detect() -> Result<Topology> {
        with_hwloc(|| {
            let hwloc = Hwloc::new().map_err(|error| unavailable(&error))?;
            // Without a binding to read, what the cgroup allows is the best answer.
            let bound = hwloc.cpu_binding(CpuBindingFlags::THREAD).ok();
            Ok(Self::count(&hwloc, bound.as_ref()))
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
            Ok(Self::count(&hwloc, None))
        })
    }

    fn count(hwloc: &Hwloc, bound: Option<&CpuSet>) -> Topology {
        let usable = match bound {
            Some(bound) => hwloc.allowed_cpuset() & bound,
            None => hwloc.allowed_cpuset().clone_target(),
        };
        let count = |kind| {
            let objects = hwloc.objects_with_type(kind);
            let with_cpus = objects.filter(|object| object.cpuset().is_some_and(|set| usable.intersects(set)));
            with_cpus.count().max(1) as u32
        };
        Topology { cpus: count(ObjectType::PU), cores: count(ObjectType::Core), nodes: count(ObjectType::NUMANode) }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_that_are_not_there() {
        let machine = Topology::from_string("numa:4 core:16 pu:1").unwrap();
        assert_eq!(machine, Topology { cpus: 64, cores: 64, nodes: 4 });
        let machine = Topology::from_string("numa:1 core:2 pu:2").unwrap();
        assert_eq!(machine, Topology { cpus: 4, cores: 2, nodes: 1 });
        assert!(Topology::from_string("no machine").is_err_and(|failure| failure.is(Status::Invalid)));
        assert!(Topology::from_string("").is_err());
        assert!(Topology::from_string("core:100 pu:100").is_err_and(|failure| failure.is(Status::Invalid)));
        assert!(Topology::from_string("pu:99999999999999999999999").is_err());
    }

    #[test]
    fn this_machine_has_something() {
        let machine = Topology::detect().unwrap();
        assert!(machine.cpus >= machine.cores && machine.cores >= 1 && machine.nodes >= 1);
        assert!(machine.cpus <= crate::platform::online_cpus());
    }
}
