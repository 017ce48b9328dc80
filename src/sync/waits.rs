//! Who waits for whom, so that a ring of waits is told.
//!
//! A thread runs one thing at a time, and nothing further out on its stack goes on before that does. So the nodes are threads
//! ([`Party`]), each waits for one thing at most, and that thing is in the hands of one thread at most: following a chain finds
//! every ring, and no search for components is needed. Edges are known for what one thread alone can bring about: a
//! mutex (who holds it), the result of a call (who runs it), the half of a join (who took it). Whoever else may settle or send is
//! not known; such a wait has no edge.
//!
//! An edge is written by the thread that is about to park, under its party's lock, and taken back under it before what is waited for
//! can go: who holds the lock may look at the wait. What the wait is for ([`Awaited`]) is asked at each look, as a mutex goes
//! from hand to hand while others wait. Having written its edge, a thread follows the chain, one lock at a time. Of the threads of
//! a ring the one that writes its edge last sees all others, so no ring is missed. If the chain leads back, all its
//! parties are locked together, in the order of their addresses, and asked once more: none can leave its wait meanwhile, so
//! what is found then was there at one instant. Each wait remembers that it has been told, and a ring whose waits all have is
//! not told again.
//!
//! Waits that end by themselves have no edge: those with a deadline, and those of threads that signals interrupt. One that has been
//! cancelled or interrupted has none from that moment on, even while its thread has yet to wake up.
//!
//! Parties are never freed, but go to other threads: so they may be looked at at any time.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicU64};

use super::atomic::{AtomicPtr, Ordering};
use super::cancel::Source;
use super::interrupt;
use super::lock::Guard;
#[cfg(not(weft_loom))]
use super::mutex;
use super::mutex::Held;
use super::park::{self, Sources};
use super::{Deadline, Lock};
use crate::error::c_string;
use crate::platform::fork;

/// Something that one thread at most can bring about.
pub trait Awaited: Sync {
    /// The thread that has it in hand now, if it is known.
    fn by(&self) -> Option<&'static Party>;

    /// What it is, for people.
    fn describe(&self) -> String;

    /// Whether requests to stop and interrupts end the wait, too.
    fn can_be_stopped(&self) -> bool {
        true
    }
}

/// What a thread runs, for people. The pointers are good while the thread waits; null: none.
#[derive(Clone, Copy)]
pub struct Who {
    /// The task's name.
    pub task: *const CStr,
    /// The runtime's name.
    pub runtime: *const CStr,
    /// The worker's index, or -1.
    pub worker: i32,
}

impl Default for Who {
    fn default() -> Self {
        let none = ptr::from_ref(c"");
        Who { task: none, runtime: none, worker: -1 }
    }
}

/// A thread that waits, or is waited for.
#[repr(align(64))]
pub struct Party {
    /// The process it was made in.
    epoch: u32,
    /// What the system calls the thread.
    thread: AtomicI32,
    wait: Lock<Option<Wait>>,
    /// What the thread holds outside tasks.
    pub held: Held,
}

// SAFETY: `held` is used by the party's thread alone.
unsafe impl Sync for Party {}

struct Wait {
    awaited: NonNull<dyn Awaited>,
    /// None: nothing but what it waits for ends it.
    stops: Option<Stops>,
    who: Who,
    told: bool,
}

// SAFETY: what the pointers lead to is Sync, and in place while the wait is registered.
unsafe impl Send for Wait {}

/// Where it is, without its lifetime: whoever keeps this sees to it that it stays.
fn place_of<'a>(awaited: &'a (dyn Awaited + 'a)) -> NonNull<dyn Awaited> {
    // SAFETY: changes nothing but the lifetime, and a NonNull promises none.
    unsafe { std::mem::transmute::<NonNull<dyn Awaited + 'a>, NonNull<dyn Awaited>>(NonNull::from(awaited)) }
}

/// What else may end a wait.
struct Stops {
    sources: Sources,
    thread: Option<(NonNull<interrupt::Thread>, u64)>,
}

impl Stops {
    /// Those of the calling thread; None: something has ended its next wait already.
    fn here() -> Option<Stops> {
        let thread = match interrupt::this_thread() {
            Some(thread) => Some((NonNull::from(&**thread), thread.interrupts()?)),
            None => None,
        };
        Some(Stops { sources: park::sources(), thread })
    }

    fn is_over(&self) -> bool {
        // SAFETY: a hook's sources, and the thread, stay during the wait.
        let fired = |source: &NonNull<Source>| unsafe { source.as_ref() }.fired().is_some();
        // SAFETY: as above.
        let interrupted =
            |&(thread, at): &(NonNull<interrupt::Thread>, u64)| unsafe { thread.as_ref() }.interrupts() != Some(at);
        self.sources.iter().flatten().any(fired) || self.thread.as_ref().is_some_and(interrupted)
    }
}

/// One wait of a ring.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// The task's name, or empty.
    pub task: CString,
    /// The runtime's name, or empty.
    pub runtime: CString,
    /// The worker's index, or -1.
    pub worker: i32,
    /// What the system calls the thread.
    pub thread: i32,
    /// What it waits for, which the next one has.
    pub awaited: CString,
}

/// Something to tell the program.
pub enum Finding {
    /// These wait for each other, each for the next, the last for the first.
    Ring(Vec<Link>),
    /// A thread has ended while it held the mutex of this name; it has been unlocked.
    LeftLocked(CString),
}

/// What the rooms above know.
pub struct Above {
    /// What the calling thread runs.
    pub who: fn() -> Who,
    /// Where findings go. Called on any thread, which holds no lock of Weft's.
    pub report: fn(Finding),
}

static ABOVE: std::sync::atomic::AtomicPtr<Above> = std::sync::atomic::AtomicPtr::new(ptr::null_mut());
static RINGS: AtomicU64 = AtomicU64::new(0);

/// From here on the rooms above are asked and told.
pub fn report_to(above: &'static Above) {
    // Release pairs with the Acquire in `above`.
    ABOVE.store(ptr::from_ref(above).cast_mut(), Ordering::Release);
}

fn above() -> Option<&'static Above> {
    // SAFETY: null, or stored by `report_to`.
    unsafe { ABOVE.load(Ordering::Acquire).as_ref() }
}

/// How many rings there have been.
pub fn rings() -> u64 {
    RINGS.load(Ordering::Relaxed)
}

/// A forked child begins to count.
pub fn after_fork() {
    RINGS.store(0, Ordering::Relaxed);
}

fn report(finding: Finding) {
    if let Some(above) = above() {
        (above.report)(finding);
    }
}

impl Party {
    pub(super) fn new() -> Party {
        Party { epoch: fork::epoch(), thread: AtomicI32::new(0), wait: Lock::default(), held: Cell::new(ptr::null()) }
    }

    /// Writes the edge and follows the chain; the ring that it closes, if it does.
    ///
    /// # Safety
    /// What `wait` points to stays until `end`.
    unsafe fn begin(&'static self, wait: Wait) -> Option<Vec<Link>> {
        *self.wait.lock() = Some(wait);
        // Brent's: a chain that runs into a ring without this thread ends, too. That ring is its own threads' to tell.
        let (mut mark, mut steps, mut limit) = (self, 0u64, 1u64);
        let mut at = self.next()?;
        while !ptr::eq(at, self) {
            if ptr::eq(at, mark) {
                return None;
            }
            steps += 1;
            if steps == limit {
                (mark, limit) = (at, 2 * limit);
            }
            at = at.next()?;
        }
        self.confirm()
    }

    fn end(&self) {
        *self.wait.lock() = None;
    }

    /// Who has in hand what this thread waits for.
    fn next(&self) -> Option<&'static Party> {
        self.next_of(&self.wait.lock())
    }

    fn next_of(&self, wait: &Option<Wait>) -> Option<&'static Party> {
        let wait = wait.as_ref().filter(|wait| !wait.stops.as_ref().is_some_and(Stops::is_over))?;
        // SAFETY: registered, and the caller has the lock. One that has itself in hand what it waited for has got it.
        unsafe { wait.awaited.as_ref() }.by().filter(|next| !ptr::eq(*next, self))
    }

    #[cold]
    fn confirm(&'static self) -> Option<Vec<Link>> {
        let mut ring = vec![self];
        let mut at = self.next()?;
        while !ptr::eq(at, self) {
            if ring.iter().any(|&party| ptr::eq(party, at)) {
                return None;
            }
            ring.push(at);
            at = at.next()?;
        }
        let mut order: Vec<usize> = (0..ring.len()).collect();
        order.sort_unstable_by_key(|&index| ptr::from_ref(ring[index]).addr());
        let mut waits: Vec<Option<Guard<'static, Option<Wait>>>> = ring.iter().map(|_| None).collect();
        order.iter().for_each(|&index| waits[index] = Some(ring[index].wait.lock()));
        let mut waits: Vec<_> = waits.into_iter().flatten().collect();
        let is_ring = ring.iter().zip(&waits).enumerate().all(|(index, (party, wait))| {
            let next = ring[(index + 1) % ring.len()];
            party.next_of(wait).is_some_and(|found| ptr::eq(found, next))
        });
        let mut waits: Vec<&mut Wait> = waits.iter_mut().filter_map(|wait| wait.as_mut()).collect();
        if !is_ring || waits.iter().all(|wait| wait.told) {
            return None;
        }
        waits.iter_mut().for_each(|wait| wait.told = true);
        RINGS.fetch_add(1, Ordering::Relaxed);
        let link = |(party, wait): (&&Party, &mut &mut Wait)| {
            // SAFETY: good while the thread waits, and it cannot leave its wait while its lock is held.
            let (task, runtime, awaited) =
                unsafe { (&*wait.who.task, &*wait.who.runtime, c_string(&wait.awaited.as_ref().describe())) };
            let thread = party.thread.load(Ordering::Relaxed);
            Link { task: task.into(), runtime: runtime.into(), worker: wait.who.worker, thread, awaited }
        };
        Some(ring.iter().zip(&mut waits).map(link).collect())
    }
}

/// Who runs something, for those who wait for its end.
pub struct Runner {
    party: AtomicPtr<Party>,
    kind: &'static Kind,
}

/// What is run.
pub struct Kind {
    /// What its end is for people.
    pub end: &'static str,
    /// Whether requests to stop end the waits for it.
    pub can_be_stopped: bool,
}

impl Runner {
    /// Nobody runs it yet.
    pub fn new(kind: &'static Kind) -> Self {
        Runner { party: AtomicPtr::new(ptr::null_mut()), kind }
    }

    /// The party runs it from here on.
    pub fn begin(&self, party: &'static Party) {
        // Release pairs with the Acquire in `by`: the party is seen whole.
        self.party.store(ptr::from_ref(party).cast_mut(), Ordering::Release);
    }

    /// It has been run. Comes before those who wait are told: an edge to who goes on would be no edge.
    pub fn end(&self) {
        self.party.store(ptr::null_mut(), Ordering::Release);
    }

    /// Whether the calling thread runs it.
    #[cfg(not(weft_loom))]
    pub fn is_here(&self) -> bool {
        self.by().is_some_and(|party| existing().is_some_and(|own| ptr::eq(own, party)))
    }
}

impl Awaited for Runner {
    fn by(&self) -> Option<&'static Party> {
        // SAFETY: parties are never freed.
        unsafe { self.party.load(Ordering::Acquire).as_ref() }
    }

    fn describe(&self) -> String {
        self.kind.end.into()
    }

    fn can_be_stopped(&self) -> bool {
        self.kind.can_be_stopped
    }
}

#[cfg(not(weft_loom))]
pub(super) use here::around;
#[cfg(not(weft_loom))]
pub use here::{awaiting, current, existing};

/// In a model threads share what is a thread's own here.
#[cfg(weft_loom)]
pub fn awaiting<R>(_awaited: Option<&dyn Awaited>, _deadline: Deadline, wait: impl FnOnce() -> R) -> R {
    wait()
}

#[cfg(weft_loom)]
pub(super) fn around<R>(park: impl FnOnce() -> R) -> R {
    park()
}

/// What belongs to the calling thread.
#[cfg(not(weft_loom))]
mod here {
    use super::*;
    use crate::platform::fork::ForkCell;
    use crate::platform::thread::{self, EndKey};
    use std::ffi::c_void;

    thread_local! {
        static CURRENT: Cell<*const Party> = const { Cell::new(ptr::null()) };
        static AWAITED: Cell<Option<NonNull<dyn Awaited>>> = const { Cell::new(None) };
    }

    static KEY: EndKey = EndKey::new();
    /// Those that no thread has.
    static FREE: ForkCell<Lock<Vec<&'static Party>>> = ForkCell::new();

    /// The calling thread's, if it has one.
    pub fn existing() -> Option<&'static Party> {
        // SAFETY: parties are never freed.
        unsafe { CURRENT.get().as_ref() }.filter(|party| party.epoch == fork::epoch())
    }

    /// The calling thread's.
    #[inline]
    pub fn current() -> &'static Party {
        existing().unwrap_or_else(come)
    }

    #[cold]
    fn come() -> &'static Party {
        let free = FREE.get().lock().pop();
        let party = free.unwrap_or_else(|| Box::leak(Box::new(Party::new())));
        party.thread.store(thread::id(), Ordering::Relaxed);
        CURRENT.set(party);
        // SAFETY: the only call with this key. Where the system has no key left, the party stays with a thread that has ended.
        unsafe { KEY.at_end(end, ptr::from_ref(party).cast_mut().cast()) };
        party
    }

    /// The thread ends.
    extern "C" fn end(party: *mut c_void) {
        thread::ends();
        CURRENT.set(ptr::null());
        // SAFETY: parties are never freed.
        let party = unsafe { &*party.cast_const().cast::<Party>() };
        if party.epoch == fork::epoch() {
            mutex::unlock_until(&party.held, ptr::null())
                .into_iter()
                .for_each(|name| report(Finding::LeftLocked(name)));
            FREE.get().lock().push(party);
        }
    }

    /// Runs `wait`, which parks for this if at all, until the deadline. None: nobody knows who can bring it about.
    pub fn awaiting<R>(awaited: Option<&dyn Awaited>, deadline: Deadline, wait: impl FnOnce() -> R) -> R {
        let lasts = |awaited: &&dyn Awaited| !(awaited.can_be_stopped() && park::interruptible());
        let Some(awaited) = awaited.filter(lasts).filter(|_| deadline == Deadline::Never) else { return wait() };
        // Forgotten before this returns.
        let outer = AWAITED.replace(Some(place_of(awaited)));
        let result = wait();
        AWAITED.set(outer);
        result
    }

    /// Runs `park`, with an edge to what the thread has said it waits for.
    pub fn around<R>(park: impl FnOnce() -> R) -> R {
        let Some(awaited) = AWAITED.take() else { return park() };
        if thread::is_ending() {
            // Nobody waits for it.
            return park();
        }
        // SAFETY: in place until `awaiting` returns.
        let stops = match unsafe { awaited.as_ref() }.can_be_stopped() {
            true => match Stops::here() {
                Some(stops) => Some(stops),
                // It ends at once.
                None => return park(),
            },
            false => None,
        };
        let (party, who) = (current(), above().map_or_else(Who::default, |above| (above.who)()));
        // SAFETY: everything is in place until this thread goes on, after `end`.
        let ring = unsafe { party.begin(Wait { awaited, stops, who, told: false }) };
        ring.into_iter().for_each(|ring| report(Finding::Ring(ring)));
        let result = park();
        party.end();
        result
    }
}

#[cfg(all(test, weft_loom))]
mod models;

#[cfg(all(test, not(weft_loom)))]
mod tests;
