//! A mutex for the program: its holder is known, waits for it end like all others.
//!
//! The word holds the address of the [`Party`] whose thread holds it, and whether somebody waits. Locking and unlocking without others
//! is one exchange each. Who has to wait queues under a lock of the mutex's own and says so in the word; then whoever unlocks takes
//! that lock, too, and claims a waiter. The first time a waiter is woken while the mutex is free, and whoever comes first gets
//! it: a thread that runs gets on with its work, where handing over would make each of them wait for a wake-up. Until it
//! has tried, nobody else is woken. A waiter that finds it taken again is the next to get it, handed over: each is passed over
//! by those who come while it wakes up, and not again. Go's mutex is much like this, but tells by time who has waited too long.
//!
//! The claim word decides between a hand-over and whatever else ends the wait: a waiter that was claimed holds the mutex when it
//! wakes up, and one that gave up is not found.
//!
//! A thread lists what it holds. Within a thread *levels* tell tasks apart that run on top of each other: a task unlocks what it has
//! locked itself.

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::ptr::{self, NonNull};

use super::atomic::{AtomicUsize, Ordering, UnsafeCell, fence};
use super::wait::{Ended, WaitList, WaitNode, Waiter};
use super::waits::{self, Awaited, Party};
use super::{Deadline, Lock};
use crate::error::{Failure, Result, Status};

/// Who locks: the thread, and what of it.
#[derive(Clone, Copy)]
pub struct Holder {
    /// The thread's.
    pub party: &'static Party,
    /// What it holds.
    pub held: &'static Held,
    /// Which of the tasks on its stack.
    pub level: usize,
}

/// The mutexes that a thread holds, or one of the workers that it is, the latest first. Its own.
pub type Held = Cell<*const Body>;

impl Holder {
    fn word(self) -> usize {
        ptr::from_ref(self.party).expose_provenance()
    }
}

/// The word of a mutex that nobody holds and nobody waits for.
const FREE: usize = 0;
/// Somebody is in a list, or was.
const WAITERS: usize = 1;
/// A waiter has been woken to try, and has not yet: nobody else needs to be woken.
const WOKEN: usize = 2;
/// The last handle has gone.
const ABANDONED: usize = 4;
const FLAGS: usize = WAITERS | WOKEN | ABANDONED;

const _: () = assert!(align_of::<Party>() > FLAGS);

/// Outcomes of a wait.
const HANDED: u32 = 0;
const TRY: u32 = 1;

/// A mutex. Dropped while it is held, it goes when its holder gives it up.
pub struct Mutex(NonNull<Body>);

// SAFETY: stands for the body, which is Sync, and may be freed on any thread.
unsafe impl Send for Mutex {}
// SAFETY: as above.
unsafe impl Sync for Mutex {}

/// What a [`Mutex`] stands for.
pub struct Body {
    /// The holder's party, and flags.
    word: AtomicUsize,
    /// The holder's.
    own: UnsafeCell<Own>,
    waiting: Lock<Waiting>,
    name: CString,
}

struct Own {
    level: usize,
    /// What its thread locked before.
    next: *const Body,
}

#[derive(Default)]
struct Waiting {
    passed_over: WaitList,
    new: WaitList,
}

// SAFETY: `own` is used by the thread that the word names.
unsafe impl Sync for Body {}
// SAFETY: as above.
unsafe impl Send for Body {}

impl Mutex {
    /// A free mutex; the name is for messages.
    pub fn new(name: &CStr) -> Mutex {
        let body = Body {
            word: AtomicUsize::new(FREE),
            own: UnsafeCell::new(Own { level: 0, next: ptr::null() }),
            waiting: Lock::default(),
            name: name.to_owned(),
        };
        Mutex(NonNull::from(Box::leak(Box::new(body))))
    }

    fn body(&self) -> &Body {
        // SAFETY: freed by `drop`, or after it.
        unsafe { self.0.as_ref() }
    }

    /// Locks it, or waits for it. Asks for the deadline only if it is held.
    #[inline]
    pub fn lock(&self, holder: Holder, deadline: impl FnOnce() -> Deadline) -> Result<()> {
        let body = self.body();
        // AcqRel: pairs with the Release of who unlocked it, and with the Acquire of `by`, which finds the party whole.
        if body.word.compare_exchange(FREE, holder.word(), Ordering::AcqRel, Ordering::Relaxed).is_err() {
            body.lock_contended(holder, deadline())?;
        }
        body.note(holder);
        Ok(())
    }

    /// Unlocks what this holder has locked.
    #[inline]
    pub fn unlock(&self, holder: Holder) -> Result<()> {
        let body = self.body();
        // Relaxed: if it says that this thread holds it, this thread wrote that, or has seen that it was handed over.
        if body.word.load(Ordering::Relaxed) & !FLAGS != holder.word() {
            return Err(Failure::new(Status::Busy, "the mutex is not locked by who unlocks it"));
        }
        // SAFETY: this thread's.
        if body.own.with(|own| unsafe { (*own).level }) != holder.level {
            return Err(Failure::new(Status::Busy, "the mutex is locked by another task, further out on this stack"));
        }
        body.forget(holder.held);
        body.unlock();
        Ok(())
    }
}

impl Drop for Mutex {
    fn drop(&mut self) {
        // AcqRel: what the last holder did comes before the end of the memory, or this before what the holder does then.
        if self.body().word.fetch_or(ABANDONED, Ordering::AcqRel) & !FLAGS == 0 {
            // SAFETY: no handle is left, nobody holds it, and who waits would have a handle.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

impl Body {
    fn is_held_by(&self, holder: Holder) -> bool {
        self.word.load(Ordering::Relaxed) & !FLAGS == holder.word()
    }

    #[cold]
    fn lock_contended(&self, holder: Holder, deadline: Deadline) -> Result<()> {
        if self.is_held_by(holder) {
            // SAFETY: this thread's.
            let same = self.own.with(|own| unsafe { (*own).level }) == holder.level;
            return Err(Failure::new(
                Status::Deadlock,
                match same {
                    true => "the mutex is locked by who locks it",
                    false => "the mutex is locked by a task that cannot go on before this one has ended",
                },
            ));
        }
        if self.take(holder) {
            return Ok(());
        }
        if deadline == Deadline::Now {
            return Err(Failure::new(Status::WouldBlock, "the mutex is locked"));
        }
        // Once woken in vain, it has been passed over.
        let mut woken = false;
        loop {
            let waiter = Waiter::new();
            let mut node = WaitNode::new(&waiter, ptr::from_ref(holder.party).cast_mut().cast());
            {
                let mut waiting = self.waiting.lock();
                if self.take_or_mark(holder, woken) {
                    return Ok(());
                }
                // SAFETY: this frame stays until the wait was fired, or until the node is unlinked below.
                unsafe { waiting.list(woken).push(&mut node) };
            }
            match waits::awaiting(Some(self), deadline, || waiter.wait(deadline)) {
                Ended::Fired(HANDED) => return Ok(()),
                Ended::Fired(_) => woken = true,
                ended => {
                    // SAFETY: pushed to this list above.
                    unsafe { self.waiting.lock().list(woken).unlink(&mut node) };
                    let timeout = || Failure::new(Status::Timeout, "the mutex is still locked");
                    return Err(ended.failure().unwrap_or_else(timeout));
                }
            }
        }
    }

    /// Takes it if it is free.
    fn take(&self, holder: Holder) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & !FLAGS == 0 {
            // AcqRel, as in `lock`.
            match self.word.compare_exchange_weak(word, word | holder.word(), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Takes it if it is free, else says that somebody waits. With the lists' lock held: who unlocks it after that finds the waiter.
    fn take_or_mark(&self, holder: Holder, woken: bool) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let (free, kept) = (word & !FLAGS == 0, if woken { word & !WOKEN } else { word });
            let next = kept | if free { holder.word() } else { WAITERS };
            // AcqRel, as in `lock`.
            match self.word.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return free,
                Err(now) => word = now,
            }
        }
    }

    /// The thread holds it from here on.
    #[inline]
    fn note(&self, holder: Holder) {
        let next = holder.held.replace(self);
        // SAFETY: this thread's.
        self.own.with_mut(|own| unsafe { *own = Own { level: holder.level, next } });
    }

    /// Takes it out of what the thread holds.
    #[inline]
    fn forget(&self, held: &Held) {
        // SAFETY: what is in the list is held by this thread, and there until it is not.
        let next_of = |body: *const Body| unsafe { (*body).own.with(|own| (*own).next) };
        let next = next_of(self);
        if ptr::eq(held.get(), self) {
            return held.set(next);
        }
        let mut at = held.get();
        while !ptr::eq(next_of(at), self) {
            at = next_of(at);
        }
        // SAFETY: as above.
        unsafe { (*at).own.with_mut(|own| (*own).next = next) };
    }

    /// The calling thread, which holds it, does not any more. True: no handle is left, and the body is the caller's.
    #[inline]
    fn unlock(&self) -> bool {
        loop {
            let word = self.word.load(Ordering::Relaxed);
            if word & (WAITERS | WOKEN) == WAITERS {
                if self.pass_on() {
                    return false;
                }
                continue;
            }
            let left = word & (WAITERS | WOKEN);
            // Release pairs with the Acquire of who locks it next. The last access: others may free it from here on.
            if self.word.compare_exchange(word, left, Ordering::Release, Ordering::Relaxed).is_ok() {
                return word & ABANDONED != 0;
            }
        }
    }

    /// Hands it over, or frees it and wakes somebody. False: nobody waits, and it is held as before.
    #[cold]
    fn pass_on(&self) -> bool {
        let (claimed, outcome) = {
            let mut waiting = self.waiting.lock();
            let Some((claimed, outcome)) = waiting.claim() else {
                self.word.fetch_and(!WAITERS, Ordering::Relaxed);
                return false;
            };
            let holder = if outcome == HANDED { claimed.slot.expose_provenance() } else { WOKEN };
            let flag = if waiting.is_empty() { 0 } else { WAITERS };
            // Release pairs with the Acquire of who locks it next, and of `by`. What is claimed keeps the mutex in place.
            self.word.store(holder | flag, Ordering::Release);
            (claimed, outcome)
        };
        claimed.finish(outcome);
        true
    }
}

impl Waiting {
    fn list(&mut self, passed_over: bool) -> &mut WaitList {
        if passed_over { &mut self.passed_over } else { &mut self.new }
    }

    fn is_empty(&self) -> bool {
        self.passed_over.is_empty() && self.new.is_empty()
    }

    /// The next waiter and what it is told.
    fn claim(&mut self) -> Option<(super::wait::Claimed, u32)> {
        let first = self.passed_over.claim_first().map(|claimed| (claimed, HANDED));
        first.or_else(|| self.new.claim_first().map(|claimed| (claimed, TRY)))
    }
}

impl Awaited for Body {
    fn by(&self) -> Option<&'static Party> {
        // Acquire, so that a party is seen whole.
        let party = self.word.load(Ordering::Acquire) & !FLAGS;
        // SAFETY: parties are never freed.
        unsafe { ptr::with_exposed_provenance::<Party>(party).as_ref() }
    }

    fn describe(&self) -> String {
        match self.name.is_empty() {
            true => format!("a mutex ({:p})", self),
            false => format!("mutex '{}'", self.name.to_string_lossy()),
        }
    }
}

/// Unlocks what the calling thread, whose list this is, has locked since the latest was `until`. The mutexes' names.
#[cold]
pub fn unlock_until(held: &Held, until: *const Body) -> Vec<CString> {
    let mut names = Vec::new();
    while !ptr::eq(held.get(), until) {
        let Some(body) = NonNull::new(held.get().cast_mut()) else { break };
        // SAFETY: in the list, so held by this thread, and there. Freed if nobody has a handle any more.
        unsafe {
            names.push(body.as_ref().name.clone());
            body.as_ref().forget(held);
            if body.as_ref().unlock() {
                // Pairs with the Release of who dropped the last handle.
                fence(Ordering::Acquire);
                drop(Box::from_raw(body.as_ptr()));
            }
        }
    }
    names
}

#[cfg(all(test, weft_loom))]
mod models;

#[cfg(all(test, not(weft_loom)))]
mod tests;
