//! Which CPU each thread of a runtime is bound to, and how that changes when the CPUs do.
//!
//! A runtime has one current [`Map`]; every worker keeps a reference to the one it has settled by, so that a sweep over its
//! neighbours takes no lock and nobody has to be waited for before an old map goes. A refresh makes a new map and raises the
//! version; workers compare versions before each task, and settle anew. A thread that may not run on its CPU
//! (any more) runs on all of the map's instead: that is logged once, and counted.
//!
//! Machines that are described and not there give an order of theft, and bind nobody.
//!
//! A thread begins with the affinity mask of the one that started it: whoever had work for it, on whatever CPU that one is bound
//! to. So a thread that is not bound goes where the runtime's maker could run, if it is not there already.

use std::cell::{Cell, Ref, RefCell};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

use super::places::{Places, Policy};
use super::victims::Victims;
use super::worker::Worker;
use crate::error::{Failure, Result, Status};
use crate::platform::affinity::Mask;
use crate::sync::Lock;
use crate::topology::Topology;

/// A runtime's placement.
pub struct Placement {
    policy: Policy,
    workers: AtomicU32,
    /// Raised by each change of the map.
    version: AtomicU32,
    map: Lock<Arc<Map>>,
    /// The machine that the map is of, where threads have places. Held by a refresh from its look to its end, so that none
    /// puts an older look in place of a newer one.
    machine: Lock<Option<Topology>>,
    /// Where threads that are not bound, or cannot be, run, if that is known.
    home: Lock<Option<Arc<Mask>>>,
    /// Times a thread was refused its CPU.
    refused: AtomicU64,
    told: AtomicBool,
}

/// Where everybody belongs.
pub struct Map {
    version: u32,
    places: Places,
    /// The CPUs that threads without one of their own run on; None: nobody is bound.
    all: Option<Mask>,
}

impl Map {
    fn new(machine: Option<&Topology>, policy: Policy, workers: u32) -> Map {
        let (places, all) = match machine {
            Some(machine) if policy != Policy::None => {
                let all = machine.is_here.then(|| machine.cpus.iter().map(|cpu| cpu.os).collect());
                (Places::on(machine, policy, workers), all)
            }
            _ => (Places::nowhere(), None),
        };
        Map { version: 0, places, all }
    }
}

impl Placement {
    /// The placement of a runtime of so many workers on a machine; None: this one. The calling thread makes the runtime.
    pub fn new(policy: Policy, machine: Option<Topology>, workers: u32) -> Result<Placement> {
        let home = allowed();
        let machine = match machine {
            None if policy != Policy::None => Some(Topology::detect(home.as_ref())?),
            machine => machine,
        };
        Ok(Placement {
            policy,
            workers: AtomicU32::new(workers),
            version: AtomicU32::new(0),
            map: Lock::new(Arc::new(Map::new(machine.as_ref(), policy, workers))),
            machine: Lock::new(machine.filter(|_| policy != Policy::None)),
            home: Lock::new(home.map(Arc::new)),
            refused: AtomicU64::new(0),
            told: AtomicBool::new(false),
        })
    }

    /// How many NUMA nodes workers are placed on; 1 when they have no places.
    pub fn nodes(&self) -> usize {
        self.map().places.nodes().max(1) as usize
    }

    /// A seat's view of it.
    pub fn stand(&self, seat: usize) -> Stand {
        let map = self.map();
        Stand { seat, version: Cell::new(map.version), map: RefCell::new(map) }
    }

    /// Has the calling thread run where those run that are not bound, else on whatever the system allows. A mask that is
    /// right already is not set again: the system takes a mask that was set as a wish, and keeps to it when it could give
    /// more CPUs.
    pub fn go_home(&self) {
        let home = self.home.lock().clone();
        if let Some(home) = home
            && Mask::current().is_ok_and(|mask| mask != *home)
        {
            // Refused when none of it is left.
            let _ = home.apply().or_else(|_| Mask::full().apply());
        }
    }

    fn map(&self) -> Arc<Map> {
        self.map.lock().clone()
    }

    /// Times a thread was refused its CPU.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The NUMA node of a seat.
    pub fn node_of(&self, seat: usize) -> u32 {
        self.map().places.node_of(seat)
    }

    /// Looks at this machine's CPUs again and has every worker settle by what it finds. Where nobody is bound, only threads that
    /// start from now on do.
    pub fn refresh(&self) -> Result<()> {
        let mut known = self.machine.lock();
        // A bound thread's own mask says only where it was put.
        let is_bound = Worker::current().is_some_and(|worker| worker.is_bound());
        self.refresh_within(&mut known, if is_bound { Mask::of_process() } else { Mask::current() })
    }

    fn refresh_within(&self, known: &mut Option<Topology>, mask: io::Result<Mask>) -> Result<()> {
        let mask = mask.map_err(|error| {
            Failure::with(Status::Os, format!("the system does not tell the affinity mask: {error}"))
        })?;
        if self.map().all.is_none() {
            *self.home.lock() = Some(Arc::new(mask));
            return Ok(());
        }
        let machine = Topology::detect(Some(&mask))?;
        *self.home.lock() = Some(Arc::new(mask));
        self.settle_by(&machine);
        *known = Some(machine);
        Ok(())
    }

    /// Gives places to so many workers.
    pub fn resize(&self, workers: u32) {
        let known = self.machine.lock();
        self.workers.store(workers, Ordering::Relaxed);
        if let Some(machine) = &*known {
            self.settle_by(machine);
        }
    }

    /// Every worker settles anew. The caller holds the machine's lock, which also guards `workers`.
    fn settle_by(&self, machine: &Topology) {
        let mut map = Map::new(Some(machine), self.policy, self.workers.load(Ordering::Relaxed));
        let mut current = self.map.lock();
        map.version = current.version.wrapping_add(1);
        let version = map.version;
        *current = Arc::new(map);
        // Under the lock, so that it never is ahead of the map.
        self.version.store(version, Ordering::Relaxed);
    }
}

/// The CPUs meant for the calling thread: those of its affinity mask; on a thread that Weft has bound, and whose mask is
/// nobody's wish, those of its runtime. None: the system does not tell.
pub fn allowed() -> Option<Mask> {
    let worker = Worker::current().filter(|worker| worker.is_bound());
    match worker.and_then(|worker| worker.core().placement.map().all.clone()) {
        Some(all) => Some(all),
        None => Mask::current().ok(),
    }
}

/// What a worker knows of the placement: the map that it has settled by.
pub struct Stand {
    seat: usize,
    /// The map's, to be compared before each task.
    version: Cell<u32>,
    map: RefCell<Arc<Map>>,
}

impl Stand {
    /// Whether there has been a refresh that this worker has not followed.
    pub fn is_stale(&self, placement: &Placement) -> bool {
        // Relaxed: who sees another version takes the lock for its map.
        self.version.get() != placement.version.load(Ordering::Relaxed)
    }

    /// Goes where the current map says; `bound` is told the CPU, or -1. Called on the worker's own thread. Returns why the
    /// thread is not where it should be, when that is to be logged.
    pub fn settle(&self, placement: &Placement, bound: &AtomicI32) -> Option<(u32, io::Error)> {
        let map = placement.map();
        let cpu = map.places.cpu_of(self.seat);
        let mut refused = None;
        let mut now = -1;
        if let Some(all) = &map.all {
            match Mask::single(cpu).apply() {
                Ok(()) => now = cpu as i32,
                Err(error) => {
                    // The CPU is no longer ours: back to all that are, or were.
                    if all.apply().is_err() {
                        placement.go_home();
                    }
                    placement.refused.fetch_add(1, Ordering::Relaxed);
                    refused = Some((cpu, error)).filter(|_| !placement.told.swap(true, Ordering::Relaxed));
                }
            }
        }
        // Relaxed: others read it for statistics.
        bound.store(now, Ordering::Relaxed);
        self.version.set(map.version);
        self.map.replace(map);
        refused
    }

    /// The places of all seats.
    pub fn places(&self) -> Ref<'_, Places> {
        Ref::map(self.map.borrow(), |map| &map.places)
    }

    /// A sweep over the other seats.
    pub fn victims<'a>(&self, places: &'a Places, seats: usize, random: u64) -> Victims<'a> {
        Victims::new(places, self.seat, seats, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::{Mode, Options, Runtime, WorkerHook};
    use crate::sync::Deadline;

    fn where_am_i(worker: &Worker) -> (Mask, bool) {
        (Mask::current().unwrap(), worker.is_bound())
    }

    /// Where each of the threads runs, as its start hook sees it. Each start hook starts the next thread.
    fn starts(placement: Policy, topology: Option<Topology>, workers: u32) -> (Vec<(Mask, bool)>, u64) {
        let seen = Arc::new(Lock::new(vec![None; workers as usize]));
        let all = Arc::new(crate::sync::Gate::default());
        let (note, done) = (seen.clone(), all.clone());
        let on_start: WorkerHook = Arc::new(move |worker| {
            let mut seen = note.lock();
            // More threads than that may start, as all of them block.
            if let Some(place) = seen.get_mut(worker.index()) {
                *place = Some(where_am_i(worker));
            }
            let whole = seen.iter().all(Option::is_some);
            drop(seen);
            if whole {
                done.open();
            } else {
                // This thread is busy from now on, and so the next one has to start.
                worker.core().spawn(crate::scheduler::task::Call(|_: &Worker| {})).unwrap();
                done.wait(Deadline::Never);
            }
        });
        let options = Options { workers, placement, topology, on_start: Some(on_start), ..Options::default() };
        let runtime = Runtime::new(options).unwrap();
        all.wait(Deadline::Never);
        runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
        let refused = runtime.placement.refused();
        (seen.lock().iter().cloned().map(Option::unwrap).collect(), refused)
    }

    #[test]
    fn threads_are_bound_to_their_places() {
        let machine = Topology::detect(allowed().as_ref()).unwrap();
        let workers = machine.cpus.len().min(8) as u32;
        for policy in [Policy::Compact, Policy::Scatter] {
            for topology in [None, Some(machine.clone())] {
                // One spare more than there are workers' places.
                let (seen, refused) = starts(policy, topology, workers + 1);
                let places = Places::on(&machine, policy, workers + 1);
                for (seat, (mask, bound)) in seen.iter().enumerate() {
                    assert_eq!((mask, *bound), (&Mask::single(places.cpu_of(seat)), true));
                }
                assert_eq!(refused, 0);
            }
        }
    }

    #[test]
    fn nobody_is_bound_without_a_policy_or_a_machine() {
        let all = Mask::current().unwrap();
        let big = || Topology::from_string("numa:4 l3:1 core:16 pu:1").unwrap();
        for (policy, topology) in [(Policy::None, None), (Policy::None, Some(big())), (Policy::Compact, Some(big()))] {
            let (seen, refused) = starts(policy, topology, 3);
            assert_eq!((seen, refused), (vec![(all.clone(), false); 3], 0));
        }
    }

    /// On a thread of its own that runs on one CPU alone, one that this test's thread may use.
    fn on_one_cpu<R: Send>(f: impl FnOnce(Mask) -> R + Send) -> R {
        std::thread::scope(|scope| {
            let run = || {
                let all = Mask::current().unwrap();
                let one = Mask::single((0..).find(|&cpu| all.contains(cpu)).unwrap());
                one.apply().unwrap();
                f(one)
            };
            scope.spawn(run).join().unwrap()
        })
    }

    /// The mask of the second thread of a runtime, which `start` (spawns the task given) starts: the first is busy.
    fn second_thread(runtime: &Runtime, start: impl FnOnce(&(dyn Fn() + Sync))) -> Mask {
        use crate::scheduler::task::Call;
        let gates = Arc::new([crate::sync::Gate::default(), crate::sync::Gate::default()]);
        let busy = Arc::new(std::sync::Barrier::new(2));
        let (first, at) = (gates.clone(), busy.clone());
        runtime
            .spawn(Call(move |_: &Worker| {
                first[0].open();
                // No wait that the runtime knows: the thread keeps its turn.
                at.wait();
            }))
            .unwrap();
        gates[0].wait(Deadline::Never);
        let seen = Arc::new(Lock::new(None));
        start(&|| {
            let (seen, gates) = (seen.clone(), gates.clone());
            let look = move |worker: &Worker| {
                *seen.lock() = Some((Mask::current().unwrap(), worker.index()));
                gates[1].open();
            };
            runtime.spawn(Call(look)).unwrap();
        });
        gates[1].wait(Deadline::Never);
        busy.wait();
        let (mask, index) = seen.lock().take().unwrap();
        assert_eq!(index, 1);
        mask
    }

    fn two_workers(placement: Policy) -> Runtime {
        Runtime::new(Options { workers: 2, placement, ..Options::default() }).unwrap()
    }

    #[test]
    fn who_starts_a_thread_does_not_matter() {
        let all = Mask::current().unwrap();
        let runtime = two_workers(Policy::None);
        let seen = second_thread(&runtime, |spawn| on_one_cpu(|_| spawn()));
        assert_eq!(seen, all);
        runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
        // Nor if it is a task that is bound.
        let (bound, runtime) = (two_workers(Policy::Compact), two_workers(Policy::None));
        let seen = second_thread(&runtime, |spawn| {
            bound.run(|worker| (assert!(worker.is_bound()), spawn())).unwrap();
        });
        assert_eq!(seen, all);
        for runtime in [runtime, bound] {
            runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
        }
    }

    #[test]
    fn who_makes_a_runtime_says_where() {
        let (one, runtime) = on_one_cpu(|one| (one, two_workers(Policy::None)));
        assert_eq!(second_thread(&runtime, |spawn| spawn()), one);
        runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    }

    #[test]
    fn being_bound_is_nobodys_wish() {
        let all = Mask::current().unwrap();
        let cpus = crate::topology::usable_cpus(Some(&all));
        let bound = two_workers(Policy::Compact);
        let made = bound.run(|_| {
            let unbound = Runtime::new(Options::default()).unwrap();
            let compact = Options { placement: Policy::Compact, ..Options::default() };
            (unbound, Runtime::new(compact).unwrap(), two_workers(Policy::None), allowed().unwrap())
        });
        let (unbound, compact, two, told) = made.unwrap();
        assert_eq!((unbound.workers(), compact.workers(), &told), (cpus, cpus, &all));
        assert_eq!(compact.placement.map().all, Some(all.clone()));
        assert_eq!(second_thread(&two, |spawn| spawn()), all);
        for runtime in [unbound, compact, two, bound] {
            runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
        }
    }

    #[test]
    fn a_refresh_sends_later_threads_elsewhere() {
        let runtime = two_workers(Policy::None);
        let one = on_one_cpu(|one| runtime.refresh_topology().map(|()| one)).unwrap();
        assert_eq!(second_thread(&runtime, |spawn| spawn()), one);
        runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    }

    #[test]
    fn a_refresh_without_a_mask_changes_nothing() {
        for policy in [Policy::None, Policy::Compact] {
            let placement = on_one_cpu(|_| Placement::new(policy, None, 2)).unwrap();
            let (stand, all, home) = (placement.stand(1), placement.map().all.clone(), placement.home.lock().clone());
            let refused = placement.refresh_within(&mut None, Err(io::ErrorKind::PermissionDenied.into()));
            assert!(refused.is_err_and(|failure| failure.is(Status::Os)));
            assert!(!stand.is_stale(&placement));
            assert_eq!((&placement.map().all, &*placement.home.lock()), (&all, &home));
        }
    }

    #[test]
    fn a_cpu_that_is_gone() {
        let mut machine = Topology::detect(allowed().as_ref()).unwrap();
        // Below the kernel's own limit, and on no machine that runs tests.
        machine.cpus[0].os = 8191;
        let all: Mask = machine.cpus.iter().map(|cpu| cpu.os).filter(|&os| os != 8191).collect();
        let all = if all.count() == 0 { Mask::current().unwrap() } else { all };
        let (seen, refused) = starts(Policy::Compact, Some(machine), 1);
        assert_eq!((seen, refused), (vec![(all, false)], 1));
    }

    #[test]
    fn a_refresh_moves_bound_threads() {
        let machine = Topology::detect(allowed().as_ref()).unwrap();
        let options = Options { workers: 1, max_threads: 1, placement: Policy::Compact, ..Options::default() };
        let runtime = Runtime::new(options).unwrap();
        assert_eq!(runtime.run(where_am_i), Ok((Mask::single(machine.cpus[0].os), true)));
        for cpu in machine.cpus.iter().rev() {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    Mask::single(cpu.os).apply().unwrap();
                    runtime.refresh_topology().unwrap();
                });
            });
            assert_eq!(runtime.run(where_am_i), Ok((Mask::single(cpu.os), true)));
        }
        // From a bound thread: what the process's first thread may use, which is everything here.
        runtime.run(|worker| worker.core().refresh_topology()).unwrap().unwrap();
        assert_eq!(runtime.run(where_am_i), Ok((Mask::single(machine.cpus[0].os), true)));
        assert_eq!(runtime.placement.refused(), 0);
        runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    }

    #[test]
    fn a_resize_gives_new_places() {
        let big = Topology::from_string("numa:4 l3:1 core:16 pu:1").unwrap();
        let placement = Placement::new(Policy::Scatter, Some(big), 2).unwrap();
        let (stand, bound) = (placement.stand(0), AtomicI32::new(-1));
        assert_eq!((stand.places().count(), placement.nodes()), (2, 4));
        placement.resize(64);
        assert!(stand.is_stale(&placement));
        assert!(stand.settle(&placement, &bound).is_none());
        assert_eq!((stand.places().count(), placement.nodes(), stand.is_stale(&placement)), (64, 4, false));
        let unplaced = Placement::new(Policy::None, None, 2).unwrap();
        let stand = unplaced.stand(0);
        unplaced.resize(64);
        assert!(!stand.is_stale(&unplaced));
    }

    #[test]
    fn a_refresh_where_nobody_is_bound() {
        let big = Topology::from_string("numa:4 l3:1 core:16 pu:1").unwrap();
        let placement = Placement::new(Policy::Compact, Some(big), 64).unwrap();
        let stand = placement.stand(17);
        placement.refresh().unwrap();
        assert!(!stand.is_stale(&placement));
        assert_eq!((stand.places().count(), stand.places().node_of(17)), (64, 1));
        assert_eq!(stand.victims(&stand.places(), 64, 1).count(), 63);
    }
}
