//! Waiting for the first of several things: one wait with a node in each of their queues.
//!
//! What can be waited for is an [`Event`]; this room knows nothing more of it. There are two kinds:
//!
//! - *Those that tell* (a queue with something in it, a settled future): who is fired tries again. So registering takes
//!   nothing, and events are registered with one after the other, each looked at once more when the node is in.
//! - *Meetings* (a rendezvous): who fires the wait completes the case. Two selects that face each other must not each wait to be
//!   found by the other, and neither may complete two cases. So the meetings' locks are taken together, in the order of their
//!   addresses; all are tried, and only if none completes is this wait queued, on all of them, before the locks are freed. A
//!   wait that is not queued yet cannot be fired, so who tries has no claim of its own to defend, and a select never
//!   meets itself. Go's `selectgo` does the same with all its channels.
//!
//! Meetings come first: while they are tried the wait is queued nowhere.
//!
//! Ready cases are tried in a random order, so none is starved by its neighbours.

#[cfg(not(weft_loom))]
use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::deadline::Deadline;
use super::wait::{Claimed, Ended, ITSELF, WaitNode, Waiter};
use super::{park, spin};
use crate::platform::fork;

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was done.
    Done,
    /// It cannot be done any more: what it is about is closed.
    Closed,
    /// It failed, with this status.
    Failed(i32),
}

/// Something that a select can wait for.
///
/// # Safety
/// When `let_go` has returned, the event does not touch the node any more.
pub unsafe trait Event {
    /// Does it, if that needs no waiting; None: it does.
    fn attempt(&self) -> Option<Verdict>;

    /// Whether an attempt might come to something, as far as that is seen at a glance.
    fn might(&self) -> bool {
        false
    }

    /// Its lock, if it is a meeting.
    fn meeting(&self) -> Option<&dyn Meeting> {
        None
    }

    /// Does a meeting, with one who waits at the other end if need be; None: it has to wait.
    ///
    /// # Safety
    /// It is a meeting, and the calling thread holds its lock, and calls `met` with the result when it has freed all locks.
    unsafe fn meet(&self) -> Option<Met> {
        None
    }

    /// Tells the other side. How this side's case ended.
    fn met(&self, met: Met) -> Verdict {
        met.verdict
    }

    /// Queues a node. True: an attempt might succeed now, and nobody might tell. Called with a meeting's lock held.
    ///
    /// # Safety
    /// The node and its waiter stay in place until `let_go`.
    unsafe fn watch(&self, node: *mut WaitNode) -> bool;

    /// A meeting's node has been queued, and the lock is free again.
    fn watched(&self) {}

    /// Takes a node out, if it is still in. Takes a meeting's lock.
    ///
    /// # Safety
    /// It was given to this event, or to none, and is live.
    unsafe fn let_go(&self, node: *mut WaitNode);

    /// What it means that the node was fired with this outcome; None: the case is to be tried.
    fn verdict(&self, outcome: u32) -> Option<Verdict>;

    /// One who was told has tried the case, or will not: if there is more, the next is to be told.
    fn pass_on(&self) {}

    /// When the wait for it ends by itself.
    fn deadline(&self) -> Deadline {
        Deadline::Never
    }
}

/// What was done in a meeting, and who is to be told when the locks are free.
pub struct Met {
    /// How this side's case ended.
    pub verdict: Verdict,
    /// The other side, and the outcome of its wait.
    pub other: Option<(Claimed, u32)>,
    /// Somebody besides wants to know.
    pub observed: bool,
}

/// The lock of a meeting. Its address is its place in the order of locks.
pub trait Meeting {
    /// Takes it.
    fn lock(&self);

    /// Frees it.
    ///
    /// # Safety
    /// The calling thread holds it.
    unsafe fn unlock(&self);
}

/// A case that has been done.
pub type Hit = (usize, Verdict);

/// Waits until one of the cases can be done, and does it. Fails by the deadline ([`Deadline::Now`]: without waiting), or by
/// whatever else ends a wait. There is at least one.
pub fn select<E: Event>(events: &[E], deadline: Deadline) -> Result<Hit, Ended> {
    let mut told = None;
    // Not by who has to be queued to be found, nor where a signal would go unnoticed.
    let mut look_around = !park::interruptible() && events.iter().all(|event| event.meeting().is_none());
    loop {
        if let Some(hit) = attempt(events, told.take()) {
            return Ok(hit);
        }
        if deadline.has_passed() {
            return Err(Ended::TimedOut);
        }
        // Once: then whatever else ends a wait is looked at.
        if look_around && spin::until(|| events.iter().any(Event::might)) {
            look_around = false;
            continue;
        }
        let waiter = Waiter::new();
        let mut nodes = nodes(&waiter, events.len());
        // SAFETY: waiter and nodes stay in this frame until they are let go.
        match unsafe { register(events, &waiter, &mut nodes) } {
            Registered::Met(hit) => return Ok(hit),
            Registered::Ready => continue,
            Registered::Queued => {}
        }
        let until = events.iter().map(Event::deadline).fold(deadline, Deadline::earlier);
        let ended = waiter.wait(until);
        // SAFETY: as above.
        unsafe { let_go(events, &mut nodes) };
        match (waiter.fired(), ended) {
            (Some((case, outcome)), _) if case != ITSELF => match events[case].verdict(outcome) {
                Some(verdict) => return Ok((case, verdict)),
                None => told = Some(case),
            },
            (_, Ended::TimedOut) => {}
            (_, ended) => return Err(ended),
        }
    }
}

/// A select of something that is no thread: a registration that stays until the select has ended. Empty: there is none. Whoever
/// drops one that is not empty leaks it.
#[derive(Default)]
pub struct Pending(Option<NonNull<Queued>>);

// SAFETY: the registration is the pending's own.
unsafe impl Send for Pending {}

/// A registration.
pub struct Queued {
    /// The process it is of.
    epoch: u32,
    waiter: Waiter,
    nodes: Vec<WaitNode>,
    waker: Waker,
}

impl Pending {
    /// What there is, as a pointer.
    pub fn into_raw(self) -> *mut Queued {
        self.0.map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    /// The inverse.
    ///
    /// # Safety
    /// `queued` came from `into_raw`, and is given up.
    pub unsafe fn from_raw(queued: *mut Queued) -> Self {
        Pending(NonNull::new(queued))
    }

    /// Whether it is of the process that this one was forked from, where others may have been about to end it: then it is left
    /// alone.
    pub fn is_inherited(&self) -> bool {
        // SAFETY: a registration is alive until it is taken back.
        self.0.is_some_and(|queued| unsafe { queued.as_ref() }.epoch != fork::epoch())
    }

    /// How many cases the select has that has begun.
    pub fn cases(&self) -> Option<usize> {
        // SAFETY: a registration of ours is alive until it is taken back.
        self.0.map(|queued| unsafe { queued.as_ref() }.nodes.len())
    }

    /// Does one of the cases, or has the waker called when it is worth while to ask again.
    ///
    /// # Safety
    /// The events are the same each time, and what they point to stays until a case has been done or [`Pending::forget`] has
    /// been called: a meeting may happen at any time.
    pub unsafe fn poll<E: Event>(&mut self, events: &[E], waker: &Waker) -> Option<Hit> {
        // SAFETY: a registration of ours is alive until it is taken back.
        let queued = self.0.map(|queued| unsafe { queued.as_ref() });
        if queued.is_some_and(|queued| queued.waiter.fired().is_none() && queued.waker.will_wake(waker)) {
            return None;
        }
        let mut told = match self.take_back(events) {
            Some((case, Some(verdict))) => return Some((case, verdict)),
            Some((case, None)) => Some(case),
            None => None,
        };
        loop {
            if let Some(hit) = attempt(events, told.take()) {
                return Some(hit);
            }
            let waiter = Waiter::with_waker(waker.clone());
            let queued = Box::into_raw(Box::new(Queued {
                epoch: fork::epoch(),
                waiter,
                nodes: Vec::new(),
                waker: waker.clone(),
            }));
            // SAFETY: made above. It stays in its place until it is taken back, or freed here when nobody knows of it.
            let registered = unsafe {
                (*queued).nodes = nodes(&(*queued).waiter, events.len());
                register(events, &(*queued).waiter, &mut (*queued).nodes)
            };
            if let Registered::Queued = registered {
                self.0 = NonNull::new(queued);
                return None;
            }
            // SAFETY: as above.
            drop(unsafe { Box::from_raw(queued) });
            if let Registered::Met(hit) = registered {
                return Some(hit);
            }
        }
    }

    /// Ends the select without a case; the one that a meeting has done already, if so.
    ///
    /// # Safety
    /// As for [`Pending::poll`].
    pub unsafe fn forget<E: Event>(&mut self, events: &[E]) -> Option<Hit> {
        let (case, verdict) = self.take_back(events)?;
        if verdict.is_none() {
            // Told of what it does not take: that is for another.
            events[case].pass_on();
        }
        Some((case, verdict?))
    }

    /// Ends the registration; the case that was fired, if one was.
    fn take_back<E: Event>(&mut self, events: &[E]) -> Option<(usize, Option<Verdict>)> {
        let queued = self.0.take()?.as_ptr();
        // SAFETY: ours, made by Box::into_raw, and freed here, when nobody knows of it any more.
        unsafe {
            if !(*queued).waiter.give_up() {
                // Claimed: DONE is a few instructions away.
                (*queued).waiter.wait_until_fired();
            }
            let_go(events, &mut (*queued).nodes);
            let (case, outcome) = Box::from_raw(queued).waiter.fired()?;
            Some((case, events[case].verdict(outcome)))
        }
    }
}

enum Registered {
    Met(Hit),
    /// Something might be done; nothing is queued.
    Ready,
    Queued,
}

fn nodes(waiter: &Waiter, cases: usize) -> Vec<WaitNode> {
    (0..cases).map(|case| WaitNode::of_case(waiter, case, ptr::null_mut())).collect()
}

/// Tries the case that was told of, and then all, in a random order.
fn attempt<E: Event>(events: &[E], told: Option<usize>) -> Option<Hit> {
    if let Some(case) = told {
        let verdict = events[case].attempt();
        // Also if another was faster: as long as it is not passed on, nobody else is told.
        events[case].pass_on();
        if let Some(verdict) = verdict {
            return Some((case, verdict));
        }
    }
    in_random_order(events.len(), |case| Some((case, events[case].attempt()?)))
}

/// Queues the wait with all events, or with none.
///
/// # Safety
/// The nodes are the waiter's, one for each event; both stay in place until they are let go.
unsafe fn register<E: Event>(events: &[E], waiter: &Waiter, nodes: &mut [WaitNode]) -> Registered {
    // SAFETY: promised by the caller.
    if let Some(hit) = unsafe { register_meetings(events, nodes) } {
        return Registered::Met(hit);
    }
    for (event, node) in events.iter().zip(nodes.iter_mut()) {
        // SAFETY: promised by the caller.
        if event.meeting().is_none() && unsafe { event.watch(node) } {
            if !waiter.give_up() {
                // Fired already.
                break;
            }
            // SAFETY: promised by the caller.
            unsafe { let_go(events, nodes) };
            return Registered::Ready;
        }
    }
    Registered::Queued
}

/// Tries all meetings, and queues the wait with all of them if none can be done.
///
/// # Safety
/// As for [`register`].
unsafe fn register_meetings<E: Event>(events: &[E], nodes: &mut [WaitNode]) -> Option<Hit> {
    let mut meetings: Vec<&dyn Meeting> = events.iter().filter_map(Event::meeting).collect();
    if meetings.is_empty() {
        return None;
    }
    meetings.sort_unstable_by_key(|&meeting| ptr::from_ref(meeting).addr());
    meetings.dedup_by_key(|meeting| ptr::from_ref(*meeting).addr());
    meetings.iter().for_each(|meeting| meeting.lock());
    let met = in_random_order(events.len(), |case| {
        events[case].meeting()?;
        // SAFETY: locked above; told below.
        Some((case, unsafe { events[case].meet()? }))
    });
    if met.is_none() {
        for (event, node) in events.iter().zip(nodes).filter(|(event, _)| event.meeting().is_some()) {
            // SAFETY: promised by the caller.
            unsafe { event.watch(node) };
        }
    }
    // SAFETY: locked above.
    meetings.iter().for_each(|meeting| unsafe { meeting.unlock() });
    match met {
        Some((case, met)) => Some((case, events[case].met(met))),
        None => {
            events.iter().filter(|event| event.meeting().is_some()).for_each(Event::watched);
            None
        }
    }
}

/// # Safety
/// The nodes were given to these events, or to none.
unsafe fn let_go<E: Event>(events: &[E], nodes: &mut [WaitNode]) {
    for (event, node) in events.iter().zip(nodes) {
        // SAFETY: promised by the caller.
        unsafe { event.let_go(node) };
    }
}

/// Calls `f` with 0..n in a random order until it finds something.
fn in_random_order<R>(n: usize, mut f: impl FnMut(usize) -> Option<R>) -> Option<R> {
    const FEW: usize = 16;
    let (mut few, mut many) = ([0; FEW], Vec::new());
    let order = match n {
        0..=FEW => &mut few[..n],
        _ => {
            many.resize(n, 0);
            &mut many[..]
        }
    };
    order.iter_mut().enumerate().for_each(|(index, place)| *place = index);
    // Fisher and Yates, one step at a time.
    for done in 0..n {
        order.swap(done, done + random_below(n - done));
        let found = f(order[done]);
        if found.is_some() {
            return found;
        }
    }
    None
}

/// One of 0..bound, each as likely as the others.
#[cfg(not(weft_loom))]
pub fn random_below(bound: usize) -> usize {
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    // Weyl's sequence through a multiplication: more than enough for a choice. Threads differ by where their state is.
    let state = STATE.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
    STATE.set(state);
    let start = STATE.with(|state| ptr::from_ref(state).addr()) as u64;
    let mixed = (state ^ start).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    ((u128::from(mixed ^ mixed >> 32) * bound as u128) >> 64) as usize
}

/// Models look at one order: what is ready when is theirs to vary.
#[cfg(weft_loom)]
pub fn random_below(_bound: usize) -> usize {
    0
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;
    use crate::sync::Lock;
    use crate::sync::wait::WaitList;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    /// A count of permits that tells who waits.
    #[derive(Default)]
    struct Permits(Lock<(u32, WaitList)>);

    impl Permits {
        fn add(&self) {
            let claimed = {
                let mut state = self.0.lock();
                state.0 += 1;
                state.1.claim_first()
            };
            claimed.into_iter().for_each(|claimed| claimed.finish(0));
        }

        fn is_watched(&self) -> bool {
            !self.0.lock().1.is_empty()
        }
    }

    // SAFETY: the list is behind the lock.
    unsafe impl Event for &Permits {
        fn attempt(&self) -> Option<Verdict> {
            let mut state = self.0.lock();
            state.0 = state.0.checked_sub(1)?;
            Some(Verdict::Done)
        }

        unsafe fn watch(&self, node: *mut WaitNode) -> bool {
            let mut state = self.0.lock();
            // SAFETY: promised by the caller.
            unsafe { state.1.push(node) };
            state.0 > 0
        }

        unsafe fn let_go(&self, node: *mut WaitNode) {
            // SAFETY: promised by the caller.
            unsafe { self.0.lock().1.unlink(node) };
        }

        fn verdict(&self, _outcome: u32) -> Option<Verdict> {
            None
        }

        fn pass_on(&self) {
            let claimed = {
                let mut state = self.0.lock();
                if state.0 > 0 { state.1.claim_first() } else { None }
            };
            claimed.into_iter().for_each(|claimed| claimed.finish(0));
        }
    }

    #[derive(Default)]
    struct Calls(AtomicU32);
    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn all_that_is_ready_gets_its_turn() {
        let permits: Vec<Permits> = (0..20).map(|_| Permits::default()).collect();
        let ready = [3, 4, 5, 19];
        let events: Vec<&Permits> = permits.iter().collect();
        let mut hits = [0; 20];
        for _ in 0..4000 {
            ready.iter().for_each(|&ready: &usize| permits[ready].0.lock().0 = 1);
            hits[select(&events, Deadline::Now).unwrap().0] += 1;
        }
        for (case, hits) in hits.into_iter().enumerate() {
            // Expected 1000 of each, with a deviation of 27.
            assert!(if ready.contains(&case) { (700..1300).contains(&hits) } else { hits == 0 }, "{case}: {hits}");
        }
        assert_eq!(select(&events[..3], Deadline::Now), Err(Ended::TimedOut));
        assert_eq!(select(&events[..3], Deadline::At(1)), Err(Ended::TimedOut));
    }

    #[test]
    fn a_poll_wakes_and_leaves_nothing() {
        let permits = [(); 3].map(|()| Permits::default());
        let events = permits.each_ref();
        let calls = Arc::new(Calls::default());
        let (waker, other) = (Waker::from(calls.clone()), Waker::from(Arc::new(Calls::default())));
        let mut pending = Pending::default();
        // SAFETY: the events stay.
        unsafe {
            assert_eq!(pending.poll(&events, &waker), None);
            assert_eq!(pending.poll(&events, &other), None, "another waker takes the place of the first");
            assert_eq!(pending.poll(&events, &waker), None);
            permits[1].add();
            permits[2].add();
            assert_eq!(calls.0.load(Ordering::Relaxed), 1);
            assert_eq!(pending.poll(&events, &waker), Some((1, Verdict::Done)));
            assert!(permits.iter().all(|permits| !permits.is_watched()));
            assert_eq!(pending.poll(&events, &waker), Some((2, Verdict::Done)));
            // Told, and then forgotten: the permit stays for another who waits.
            assert_eq!(pending.poll(&events, &waker), None);
            let mut second = Pending::default();
            assert_eq!(second.poll(&events, &waker), None);
            permits[0].add();
            assert_eq!(calls.0.load(Ordering::Relaxed), 2);
            assert_eq!(pending.forget(&events), None);
            assert_eq!(calls.0.load(Ordering::Relaxed), 3);
            assert_eq!(second.poll(&events, &waker), Some((0, Verdict::Done)));
            assert!(permits.iter().all(|permits| !permits.is_watched()));
            assert!(pending.0.is_none() && second.0.is_none());
        }
    }
}
