//! Who sleeps, who searches, who is woken: one packed word.
//!
//! The word counts four kinds of threads, 14 bits each (so 16,383 threads at most):
//!
//! - *active*: has a turn; runs a task or looks for one. At most `limit` of them are woken on purpose; there
//!   may be more for a moment, when blocked threads go on, or when the limit has been lowered.
//! - *searching*: active threads that have run dry and look for work elsewhere.
//! - *idle*: asleep, waiting for a token.
//! - *alive*: all of them, those blocked inside a task included.
//!
//! Whoever makes work available calls [`Idle::notify`]: it wakes or starts at most one thread, and none while
//! another searches; a searcher that finds something passes the notification on, so a burst wakes threads
//! one by one, each on behalf of work that is there. Two rules keep wake-ups from being lost:
//!
//! 1. Work is made visible first, then (after a SeqCst fence) the word is read. A thread that gives its turn up
//!    changes the word first, then (after a SeqCst fence) looks for work once more. One of the two sees the other.
//! 2. The thread that notifies on someone's behalf moves a thread from idle to active *and* searching in one step,
//!    so that a second notifier sees it and need not wake another.
//!
//! The scheme is that of the Go and Tokio schedulers, with turns that a blocked thread gives back.
//!
//! A runtime without threads of its own starts none: guests come ([`Idle::enter`]) and go ([`Idle::depart`]), each on a seat of
//! its own, so there are never more than `limit`. One who comes looks for work first; one who goes has given a turn up, and
//! looks afterwards.

use crate::platform::this_cpu;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::sync::tokens::Tokens;
use crate::sync::wait::Ended;
use crate::sync::{Deadline, Semaphore};

/// Threads that one runtime can have.
pub const MAX_THREADS: u32 = (1 << BITS) - 1;

const BITS: u32 = 14;
const ACTIVE: u64 = 1;
const SEARCHING: u64 = 1 << BITS;
const IDLE: u64 = 1 << (2 * BITS);
const ALIVE: u64 = 1 << (3 * BITS);
/// Set once the runtime is over: nobody is woken for work any more, everybody is dismissed.
const DISMISSED: u64 = 1 << (4 * BITS);

/// A snapshot of the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Threads with a turn.
    pub active: u32,
    /// Active threads without a task.
    pub searching: u32,
    /// Sleeping threads.
    pub idle: u32,
    /// All threads.
    pub alive: u32,
    /// Whether the runtime is over.
    pub dismissed: bool,
}

impl Counts {
    fn of(word: u64) -> Self {
        let field = |unit: u64| (word / unit) as u32 & MAX_THREADS;
        Counts {
            active: field(ACTIVE),
            searching: field(SEARCHING),
            idle: field(IDLE),
            alive: field(ALIVE),
            dismissed: word & DISMISSED != 0,
        }
    }

    /// Whether no thread runs a task or is blocked in one.
    pub fn at_rest(self) -> bool {
        self.idle == self.alive
    }
}

/// What a notifier has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notified {
    /// Nothing: somebody searches, or all turns are taken.
    Nobody,
    /// A sleeping thread has been woken.
    Woke,
    /// The caller must start a thread, already counted as alive, active and searching, or take it back with
    /// [`Idle::start_failed`].
    MustStart,
    /// A turn is free and nobody sleeps, but there are `max` threads already.
    Ceiling,
}

/// Why [`Idle::sleep`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// Woken: this thread is active and searching.
    Woken,
    /// Asleep for too long, and there are more threads than turns: this thread has no turn and must leave.
    Surplus,
}

/// Why [`Idle::enter`] lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// All seats are taken.
    Full,
    /// The runtime is over.
    Over,
}

/// The packed word and the tokens its sleepers wait for.
pub struct Idle {
    word: AtomicU64,
    tokens: Tokens,
    /// The same for guests.
    beds: Semaphore,
    /// Surplus threads on their way out; `alive` still counts them.
    leaving: AtomicU32,
    limit: AtomicU32,
    max: u32,
    /// Whether threads are started, or come by themselves.
    starts: bool,
    /// The CPU of whoever woke a thread last. A hint, which no model needs.
    woken_from: std::sync::atomic::AtomicI32,
}

impl Idle {
    /// A word for a runtime that runs `limit` threads at once and owns `max` at most.
    pub fn new(limit: u32, max: u32) -> Self {
        let limit = AtomicU32::new(limit);
        let beds = Semaphore::default();
        Idle {
            word: AtomicU64::new(0),
            tokens: Tokens::new(),
            beds,
            leaving: AtomicU32::new(0),
            limit,
            max,
            starts: true,
            woken_from: Default::default(),
        }
    }

    /// A word for a runtime with so many seats for guests.
    pub fn hosted(seats: u32) -> Self {
        Idle { starts: false, ..Idle::new(seats, seats) }
    }

    /// How many threads run at once.
    pub fn limit(&self) -> u32 {
        // Relaxed: where it decides whether work is left behind, the caller has a fence (rule 1, and `set_limit`).
        self.limit.load(Ordering::Relaxed)
    }

    /// Changes how many threads run at once. The caller must then look for work, and notify if there is some: a raised limit
    /// is a turn given up. Active threads that are too many step back at their next task boundary; those that sleep learn
    /// whether they are now too many.
    pub fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Ordering::Relaxed);
        self.gave_up_turn();
        self.tokens.stir();
    }

    /// A snapshot.
    pub fn counts(&self) -> Counts {
        Counts::of(self.word.load(Ordering::SeqCst))
    }

    /// Applies `change` to the word until it holds; None stops. Returns the counts after the change, or the ones that
    /// stopped it. The exchange is SeqCst so that it and the fences order the word against the queues (rule 1).
    fn update(&self, change: impl Fn(u64, Counts) -> Option<u64>) -> Result<Counts, Counts> {
        let mut word = self.word.load(Ordering::SeqCst);
        loop {
            let Some(new) = change(word, Counts::of(word)) else { return Err(Counts::of(word)) };
            match self.word.compare_exchange_weak(word, new, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Ok(Counts::of(new)),
                Err(now) => word = now,
            }
        }
    }

    fn add(&self, units: u64) -> Counts {
        Counts::of(self.word.fetch_add(units, Ordering::SeqCst) + units)
    }

    fn subtract(&self, units: u64) -> Counts {
        Counts::of(self.word.fetch_sub(units, Ordering::SeqCst) - units)
    }

    /// Work has been made visible: sees to it that somebody looks for it.
    pub fn notify(&self) -> Notified {
        // Rule 1: pairs with the fence in `gave_up_turn`.
        fence(Ordering::SeqCst);
        self.notify_ordered()
    }

    /// `notify` for callers who have the fence of rule 1 behind them.
    pub fn notify_ordered(&self) -> Notified {
        // Relaxed is enough after the fence, and this load is all that a notify costs in a busy runtime.
        let counts = Counts::of(self.word.load(Ordering::Relaxed));
        if self.nobody_needed(counts) { Notified::Nobody } else { self.notify_slow() }
    }

    /// Whether some thread could run more than it has: it searches, or a turn is free.
    pub fn is_hungry(&self) -> bool {
        // Relaxed: a hint; where more is needed, the caller has a fence.
        let counts = Counts::of(self.word.load(Ordering::Relaxed));
        // A guest who is yet to come will ask.
        counts.searching > 0 || (counts.active < self.limit() && (self.starts || counts.idle > 0))
    }

    /// Whether some thread is blocked inside a task.
    pub fn has_blocked(&self) -> bool {
        // Relaxed: a hint.
        let counts = Counts::of(self.word.load(Ordering::Relaxed));
        counts.alive > counts.active + counts.idle
    }

    fn nobody_needed(&self, counts: Counts) -> bool {
        counts.searching > 0 || counts.active >= self.limit() || counts.dismissed
    }

    #[cold]
    fn notify_slow(&self) -> Notified {
        let wake = |word, counts: Counts| {
            (!self.nobody_needed(counts) && counts.idle > 0).then(|| word - IDLE + ACTIVE + SEARCHING)
        };
        let start = |word, counts: Counts| {
            (self.starts && !self.nobody_needed(counts) && counts.idle == 0 && counts.alive < self.max)
                .then(|| word + ALIVE + ACTIVE + SEARCHING)
        };
        loop {
            if self.update(wake).is_ok() {
                self.wake(1);
                return Notified::Woke;
            }
            let Err(counts) = self.update(start) else { return Notified::MustStart };
            if self.nobody_needed(counts) {
                return Notified::Nobody;
            }
            if counts.idle == 0 {
                // A free seat is for the guest who comes next, and looks.
                return if counts.alive < self.max { Notified::Nobody } else { Notified::Ceiling };
            }
        }
    }

    /// Counts the first thread, which is started whether or not there is work. Goes on as for [`Notified::MustStart`].
    pub fn start_first(&self) {
        self.add(ALIVE + ACTIVE + SEARCHING);
    }

    /// Takes back a thread that could not be started. The caller must notify again when there is work: others may
    /// have kept quiet because this one was to search.
    pub fn start_failed(&self) -> Counts {
        self.subtract(ALIVE + ACTIVE + SEARCHING)
    }

    /// A thread has run dry and looks for work elsewhere.
    pub fn begin_search(&self) {
        self.add(SEARCHING);
    }

    /// A searcher has found something. True for the last one, which must notify: work that arrived while it
    /// searched has woken nobody.
    #[must_use]
    pub fn end_search(&self) -> bool {
        let last = self.subtract(SEARCHING).searching == 0;
        // Rule 1: like a turn given up, searching less comes before the look at the queues.
        self.gave_up_turn();
        last
    }

    /// A searcher that found nothing gives its turn up to go to sleep. The caller must then look for work once more
    /// (and notify if there is some), and call [`Idle::sleep`].
    pub fn lie_down(&self) {
        // One addition for all three fields: a half-way state would be acted upon. IDLE outweighs what is taken.
        self.add(IDLE - SEARCHING - ACTIVE);
        self.gave_up_turn();
    }

    /// At a task boundary: whether there are more active threads than turns.
    pub fn is_crowded(&self) -> bool {
        // Relaxed: a hint; `step_back` decides.
        Counts::of(self.word.load(Ordering::Relaxed)).active > self.limit()
    }

    /// Gives up the turn of an active thread if there are more than `limit`; then it must look and sleep as after
    /// [`Idle::lie_down`].
    #[must_use]
    pub fn step_back(&self) -> bool {
        let stepped = self.update(|word, counts| (counts.active > self.limit()).then(|| word - ACTIVE + IDLE));
        self.gave_up_turn();
        stepped.is_ok()
    }

    /// An active thread is about to block inside its task. The caller must then look for work, and notify if there
    /// is some.
    pub fn block(&self) {
        self.subtract(ACTIVE);
        self.gave_up_turn();
    }

    /// A blocked thread goes on, at once, even when all turns are taken.
    pub fn unblock(&self) {
        self.add(ACTIVE);
    }

    fn gave_up_turn(&self) {
        // Rule 1: pairs with the fence in `notify`.
        fence(Ordering::SeqCst);
    }

    /// Sleeps until woken. A thread that is one too many leaves when the deadline of `keep_alive` has passed.
    pub fn sleep(&self, keep_alive: impl Fn() -> Option<i64>) -> Slept {
        let mut deadline = None;
        let too_many =
            || (self.counts().alive > self.limit()).then(|| *deadline.get_or_insert_with(&keep_alive)).flatten();
        if self.tokens.take_until(too_many) {
            return Slept::Woken;
        }
        // Announced first, so that of several that time out together no more leave than are too many.
        let leaving = self.leaving.fetch_add(1, Ordering::SeqCst) + 1;
        // A notifier takes a thread off the idle count before it posts the token. So taking ourselves off means that there
        // is a token for everyone who still sleeps; failing to means that we stay, and a token comes for us in time.
        let left = self.update(|word, counts| {
            (counts.idle > 0 && counts.alive >= self.limit() + leaving && !counts.dismissed).then(|| word - IDLE)
        });
        if left.is_ok() {
            return Slept::Surplus;
        }
        self.leaving.fetch_sub(1, Ordering::SeqCst);
        self.tokens.take();
        Slept::Woken
    }

    /// A guest comes in, active and searching. The caller must look for work, as one who was woken.
    pub fn enter(&self) -> Result<Counts, Refused> {
        let seated = |word, counts: Counts| {
            (counts.alive < self.max && !counts.dismissed).then(|| word + ALIVE + ACTIVE + SEARCHING)
        };
        self.update(seated).map_err(|counts| if counts.dismissed { Refused::Over } else { Refused::Full })
    }

    /// A guest with a turn that does not search goes. The caller must then look for work, and notify if there is some.
    pub fn depart(&self) {
        self.subtract(ALIVE + ACTIVE);
        self.gave_up_turn();
    }

    /// Sleeps until woken (`Fired`): then this guest is active and searching, or everybody is dismissed. Or until something else
    /// ends the wait: then it is active, and does not search.
    pub fn sleep_as_guest(&self, deadline: Deadline) -> Ended {
        let ended = self.beds.take(deadline);
        if matches!(ended, Ended::Fired(_)) {
            return ended;
        }
        // As in `sleep`: whoever cannot get up by itself has been chosen, and a permit comes for it.
        let up = self.update(|word, counts| (counts.idle > 0 && !counts.dismissed).then(|| word - IDLE + ACTIVE));
        if up.is_ok() {
            return ended;
        }
        self.beds.take_coming();
        Ended::Fired(0)
    }

    /// Whether the calling thread, which has just been woken, shares its CPU with whoever did that.
    pub fn woken_from_here(&self) -> bool {
        // Relaxed: a hint.
        self.woken_from.load(Ordering::Relaxed) == this_cpu()
    }

    fn wake(&self, sleepers: u32) {
        self.woken_from.store(this_cpu(), Ordering::Relaxed);
        match self.starts {
            true => self.tokens.post(sleepers),
            false => (0..sleepers).for_each(|_| self.beds.post()),
        }
    }

    /// A thread that has given its turn up and cannot sleep takes one again, whether or not one is free: it is active
    /// and searching. True if the runtime is over instead; then it ends as if it had slept.
    #[must_use]
    pub fn get_up(&self) -> bool {
        // As in `sleep`: who is not idle any more, or is dismissed, has a token coming.
        let up = self
            .update(|word, counts| (counts.idle > 0 && !counts.dismissed).then(|| word - IDLE + ACTIVE + SEARCHING));
        if up.is_err() {
            self.tokens.take();
        }
        self.is_dismissed()
    }

    /// A thread that left its sleep as surplus ends; it takes no part any more.
    pub fn leave(&self) {
        self.subtract(ALIVE);
        self.leaving.fetch_sub(1, Ordering::SeqCst);
        self.gave_up_turn();
    }

    /// Wakes every sleeper for good if the runtime is at rest. The caller has made sure that nothing can arrive.
    /// A late notifier (its task has long been run) finds the mark and leaves the sleepers alone. True if there is nobody
    /// to wake, and so no last thread to come.
    #[must_use]
    pub fn dismiss(&self) -> bool {
        let marked = self.update(|word, counts| (counts.at_rest() && !counts.dismissed).then_some(word | DISMISSED));
        let Ok(counts) = marked else { return false };
        self.wake(counts.idle);
        counts.alive == 0
    }

    /// Whether the runtime is over.
    pub fn is_dismissed(&self) -> bool {
        self.counts().dismissed
    }

    /// A dismissed thread ends. True for the last one.
    #[must_use]
    pub fn dismissed(&self) -> bool {
        self.subtract(ALIVE + IDLE).alive == 0
    }
}

#[cfg(all(test, weft_loom))]
mod models;

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn notify_wakes_starts_or_meets_the_ceiling() {
        let idle = Idle::new(2, 2);
        assert_eq!(idle.notify(), Notified::MustStart);
        assert_eq!(idle.notify(), Notified::Nobody, "one searches already");
        assert!(idle.end_search());
        assert_eq!(idle.notify(), Notified::MustStart);
        assert!(idle.end_search());
        assert_eq!(idle.notify(), Notified::Nobody, "all turns are taken");
        idle.block();
        assert_eq!(idle.notify(), Notified::Ceiling);
        idle.unblock();
        idle.begin_search();
        idle.lie_down();
        assert_eq!(idle.notify(), Notified::Woke);
        assert_eq!(idle.sleep(|| None), Slept::Woken);
    }

    #[test]
    fn a_thread_that_cannot_start_is_taken_back() {
        let idle = Idle::new(1, 1);
        assert_eq!(idle.notify(), Notified::MustStart);
        assert_eq!(idle.start_failed(), Counts::of(0));
        assert_eq!(idle.notify(), Notified::MustStart);
    }

    #[test]
    fn a_surplus_thread_leaves_and_a_needed_one_stays() {
        let idle = Idle::new(1, 2);
        idle.start_first();
        assert!(idle.end_search());
        idle.block();
        assert_eq!(idle.notify(), Notified::MustStart);
        assert!(idle.end_search());
        idle.unblock();
        assert!(idle.is_crowded());
        assert!(idle.step_back());
        assert!(!idle.step_back());
        assert_eq!(idle.sleep(|| Some(0)), Slept::Surplus);
        assert_eq!(idle.counts().active, 1, "a thread that leaves has no turn");
        idle.leave();
        assert_eq!(idle.counts(), Counts { active: 1, searching: 0, idle: 0, alive: 1, dismissed: false });
    }
}
