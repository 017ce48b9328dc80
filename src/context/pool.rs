//! A pool of contexts: how many run at once is bounded, where they run or at the door.
//!
//! The bound is on *runs*: a context takes a permit when it is executed, or before, when it is acquired strictly, and gives it
//! back when its run is over. So any number of contexts may be had at once, and those that are executed beyond the limit wait for
//! others to end, in the order of [`super::permits`]. The pool knows its contexts weakly: to wait for all of them, and to end
//! all. Those that have nothing left of a run (INLINE) are used again when they are put back.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use super::context::{Context, Options};
use super::here;
use super::kind::{FORK, INLINE, ISOLATED, Kind, PROCESS, Places, REGISTERED, TASK, THREAD};
use super::permits::Permits;
use crate::error::{Failure, Result, Status, c_string};
use crate::scheduler::{Priority, frame};
use crate::sync::cancel::Token;
use crate::sync::{Deadline, Lock};

/// How many of a kind run at once, where nothing is said.
pub fn default_max(kind: i32) -> u32 {
    match kind {
        INLINE => 1,
        FORK | PROCESS => 2,
        ISOLATED => 4,
        _ => {
            debug_assert!(kind == THREAD || kind == TASK || kind >= REGISTERED);
            5
        }
    }
}

/// A pool.
pub struct Pool {
    asked: i32,
    exact: bool,
    places: Places,
    options: Options,
    permits: Permits,
    closed: AtomicBool,
    members: Lock<Members>,
    numbers: AtomicU64,
    counts: Counts,
}

#[derive(Default)]
struct Members {
    /// Those that are out, by number.
    out: BTreeMap<u64, Weak<Context>>,
    /// Those to be used again.
    idle: Vec<Arc<Context>>,
}

#[derive(Default)]
struct Counts {
    acquired: AtomicU64,
    reused: AtomicU64,
    executed: AtomicU64,
    failed: AtomicU64,
}

/// What a pool has done so far.
#[derive(Clone, Copy)]
pub struct Stats {
    /// The limit.
    pub max: u32,
    /// Permits that are taken.
    pub active: u32,
    /// The most that were at once.
    pub peak: u32,
    /// Who waits for one.
    pub waiting: u32,
    /// Contexts that are out.
    pub out: u64,
    /// Contexts given out so far.
    pub acquired: u64,
    /// Those of them that had been used before.
    pub reused: u64,
    /// Runs that are over.
    pub executed: u64,
    /// Those of them that failed.
    pub failed: u64,
}

/// How a context is acquired.
pub struct Wish {
    /// Its name; None: one that the pool makes.
    pub name: Option<CString>,
    /// The permit is taken now.
    pub strict: bool,
    /// The order of those that wait for a permit.
    pub priority: Priority,
    /// How long an execute waits for one: as in the C API.
    pub timeout_ns: i64,
}

/// A context's place in its pool.
pub struct Membership {
    pool: Arc<Pool>,
    number: u64,
    /// A permit that was taken before the execute.
    reserved: AtomicBool,
    /// As of the last acquire.
    priority: AtomicUsize,
    timeout_ns: AtomicI64,
}

impl Membership {
    /// The pool.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Takes a permit for a run. The token ends the wait, too. Whether it had one already.
    pub(super) fn enter(&self, token: &Token) -> Result<bool> {
        // Relaxed: the permit carries nothing.
        if self.reserved.swap(false, Ordering::Relaxed) {
            return Ok(true);
        }
        let (priority, timeout_ns) = (self.priority.load(Ordering::Relaxed), self.timeout_ns.load(Ordering::Relaxed));
        let taken = match self.pool.take(priority, Deadline::Now) {
            Err(failure) if failure.is(Status::WouldBlock) && timeout_ns > 0 => {
                let both = Token::new([Some(token), frame::token().as_ref()]);
                let deadline = Deadline::after(timeout_ns);
                frame::under(both, || self.pool.take(priority, deadline))
            }
            other => other,
        };
        taken.map(|()| false)
    }

    /// There is no run after all: what `enter` did is undone.
    pub(super) fn turn_back(&self, had_one: bool) {
        if had_one {
            self.reserved.store(true, Ordering::Relaxed);
        } else {
            self.leave();
        }
    }

    /// Gives it back.
    pub(super) fn leave(&self) {
        self.pool.permits.give();
    }

    /// A run is over.
    pub(super) fn is_over(&self, well: bool) {
        self.pool.counts.executed.fetch_add(1, Ordering::Relaxed);
        self.pool.counts.failed.fetch_add(u64::from(!well), Ordering::Relaxed);
    }

    fn give_back_reserved(&self) {
        if self.reserved.swap(false, Ordering::Relaxed) {
            self.leave();
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.give_back_reserved();
        self.pool.members.lock().out.remove(&self.number);
    }
}

impl Pool {
    /// A pool of this kind. `max` 0: what is usual for the kind.
    pub fn new(asked: i32, exact: bool, places: Places, options: Options, max: u32) -> Result<Arc<Self>> {
        let kind = Kind::find(asked, exact, &places)?.number();
        let max = if max == 0 { default_max(kind) } else { max };
        Ok(Arc::new(Pool {
            asked,
            exact,
            places,
            options,
            permits: Permits::new(max),
            closed: AtomicBool::new(false),
            members: Lock::default(),
            numbers: AtomicU64::new(0),
            counts: Counts::default(),
        }))
    }

    fn take(self: &Arc<Self>, priority: usize, deadline: Deadline) -> Result<()> {
        // Certain: those that have all the permits go on only when this thread does.
        if deadline != Deadline::Now && here::permits_of(Arc::as_ptr(self).cast()) >= self.permits.max() as usize {
            return Err(Failure::new(
                Status::Deadlock,
                "every place in the pool is that of a function which waits for this one",
            ));
        }
        self.permits.take(priority, deadline)
    }

    /// A context. Waits for a permit if it is to have one at once.
    pub fn acquire(self: &Arc<Self>, wish: Wish) -> Result<Arc<Context>> {
        let priority = Priority::ALL.iter().position(|&one| one == wish.priority).unwrap_or(1);
        if self.closed.load(Ordering::Relaxed) {
            return Err(Failure::new(Status::Closed, "the pool is closed"));
        }
        if wish.strict {
            self.take(priority, Deadline::after(wish.timeout_ns))?;
        }
        let context = match self.idle() {
            Some(idle) => {
                let member = idle.membership().expect("it comes from a pool");
                member.reserved.store(wish.strict, Ordering::Relaxed);
                member.priority.store(priority, Ordering::Relaxed);
                member.timeout_ns.store(wish.timeout_ns, Ordering::Relaxed);
                self.counts.reused.fetch_add(1, Ordering::Relaxed);
                idle
            }
            None => self.fresh(wish, priority)?,
        };
        self.counts.acquired.fetch_add(1, Ordering::Relaxed);
        let number = context.membership().map_or(0, |member| member.number);
        self.members.lock().out.insert(number, Arc::downgrade(&context));
        Ok(context)
    }

    fn idle(&self) -> Option<Arc<Context>> {
        self.members.lock().idle.pop()
    }

    fn fresh(self: &Arc<Self>, wish: Wish, priority: usize) -> Result<Arc<Context>> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        // From here on it gives the permit back.
        let member = Membership {
            pool: self.clone(),
            number,
            reserved: AtomicBool::new(wish.strict),
            priority: AtomicUsize::new(priority),
            timeout_ns: AtomicI64::new(wish.timeout_ns),
        };
        let name = wish.name.unwrap_or_else(|| {
            let own = self.options.name.to_string_lossy();
            c_string(&format!("{}-{number}", if own.is_empty() { "context" } else { &own }))
        });
        let kind = Kind::find(self.asked, self.exact, &self.places)?;
        let options = Options { name, priority: wish.priority, ..self.options.clone() };
        Ok(Context::new(self.asked, kind, options, Some(member)))
    }

    /// Takes a context back, which does not run. It may be given out again.
    pub fn put(self: &Arc<Self>, context: &Arc<Context>) -> Result<()> {
        let member = context.membership().filter(|member| Arc::ptr_eq(&member.pool, self));
        let member = member.ok_or(Failure::new(Status::Invalid, "context is not of this pool"))?;
        if !context.forget_run() {
            return Err(Failure::new(Status::Busy, "the context is being executed"));
        }
        member.give_back_reserved();
        let keep = matches!(context.kind(), Kind::Inline) && !context.is_terminated();
        let mut members = self.members.lock();
        // Twice is once.
        let was_out = members.out.remove(&member.number).is_some();
        // Relaxed: `close` sets it before it takes the lock.
        if keep && was_out && !self.closed.load(Ordering::Relaxed) && members.idle.len() < self.permits.max() as usize {
            members.idle.push(context.clone());
        }
        Ok(())
    }

    /// The contexts that are out.
    fn all(&self) -> Vec<Arc<Context>> {
        self.members.lock().out.values().filter_map(Weak::upgrade).collect()
    }

    /// Waits until all that have been executed are over; tells of each, and goes on whatever came of it. Fails only if the wait
    /// itself is ended; those that are not over by the deadline are told of like others.
    pub fn wait_all(&self, deadline: Deadline, mut tell: impl FnMut(Arc<Context>, Result<()>)) -> Result<()> {
        for context in self.all().into_iter().filter(|context| context.was_executed()) {
            let over = match context.wait_until_over(deadline) {
                // What came of it is no matter of the wait's: it may be Interrupted, too.
                Ok(()) => context.wait(Deadline::Now).map(drop),
                Err(failure) if is_of_waiter(&failure) => return Err(failure),
                Err(failure) => Err(failure),
            };
            tell(context, over);
        }
        Ok(())
    }

    /// Asks all to stop, and kills by the deadline what can be killed; tells of each, and goes on whatever came of it.
    pub fn terminate_all(&self, grace: Deadline, mut tell: impl FnMut(Arc<Context>, Result<()>)) -> Result<()> {
        let all = self.all();
        all.iter().for_each(|context| drop(context.ask_to_stop()));
        for context in all {
            match context.finish_off(grace) {
                Err(failure) if is_of_waiter(&failure) => return Err(failure),
                over => tell(context, over),
            }
        }
        Ok(())
    }

    /// Nobody gets a context any more, nor a place; who waits is sent home. What runs goes on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.permits.close();
        let idle = std::mem::take(&mut self.members.lock().idle);
        drop(idle);
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        let usage = self.permits.usage();
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Stats {
            max: self.permits.max(),
            active: usage.taken,
            peak: usage.peak,
            waiting: usage.waiting,
            out: self.members.lock().out.len() as u64,
            acquired: of(&self.counts.acquired),
            reused: of(&self.counts.reused),
            executed: of(&self.counts.executed),
            failed: of(&self.counts.failed),
        }
    }
}

/// Whether it says that whoever waits was asked to stop, rather than anything of what it waited for.
fn is_of_waiter(failure: &Failure) -> bool {
    [Status::Interrupted, Status::Cancelled, Status::Shutdown].iter().any(|&status| failure.is(status))
}
