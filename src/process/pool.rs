//! A pool as its callers see it: calls, their ends by time or request, sizes, and its own end.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::attendant;
use super::birth::{Birth, Listed, Nursery};
use super::call::{self, Sent, Stop};
use super::dispatch::{Books, Dispatch, Fallen};
use super::options::Options;
use super::poke::Poke;
use super::wire;
use crate::error::{Error, Failure, Result, Status};
use crate::ipc::{Head, Patience};
use crate::memory::Bytes;
use crate::platform::child::Child;
use crate::platform::clock::now_ns;
use crate::sync::interrupt::Thread;
use crate::sync::wait::Ended;
use crate::sync::{Deadline, Gate, Lock};
use crate::time::{self, Timer};

/// Who gets the outcome of a call.
pub trait Answer: Send + 'static {
    /// The outcome. Called once, under no lock; it must not block, since others wait behind it.
    fn answer(self, outcome: Result<Bytes, Error>);
}

/// A call of a pool's.
pub type Call<A> = call::Call<A, Bytes>;

/// Why a worker is killed that may have begun a call whose time is over.
pub(super) const OVERRUN: &str = "a call had taken longer than it may";

/// How a worker has ended.
#[derive(Clone, Debug)]
pub(super) struct Death {
    pub status: Status,
    /// What happened.
    pub text: String,
    /// To whom.
    pub origin: String,
}

/// A seat, as others see its thread.
pub(super) struct Seat {
    pub index: usize,
    poke: Poke,
    /// The worker has ended.
    pub ended: AtomicBool,
    /// By when the worker has to have taken up what it was given and has not begun before its time was over; i64::MAX: nothing.
    pub overdue: AtomicI64,
}

impl Seat {
    fn new(index: usize) -> Arc<Seat> {
        let (ended, overdue) = (AtomicBool::new(false), AtomicI64::new(i64::MAX));
        Arc::new(Seat { index, poke: Poke::default(), ended, overdue })
    }

    /// The calling thread is the seat's.
    pub fn sit_down(&self) {
        self.poke.sit_down(Thread::current());
    }

    /// There is something to look at besides the link.
    pub fn poke(&self) {
        self.poke.poke();
    }

    /// Whether there has been, since the last time.
    pub fn was_poked(&self) -> bool {
        self.poke.take()
    }
}

/// What a pool knows of a seat besides its calls.
pub(super) struct Post {
    pub seat: Arc<Seat>,
    pub worker: Option<Arc<Child>>,
    /// Why the pool itself has killed it.
    pub killed: Option<String>,
    /// Of the worker before.
    pub death: Option<Death>,
    /// What it has said last of itself.
    pub said: wire::Stats,
}

/// What a pool has come to so far.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stats {
    /// Workers that there should be, and that take calls.
    pub workers: usize,
    /// See above.
    pub ready: usize,
    /// Calls that wait, and that workers have.
    pub waiting: usize,
    /// See above.
    pub outstanding: usize,
    /// Calls that were accepted.
    pub calls: u64,
    /// Calls that were answered with a result.
    pub succeeded: u64,
    /// Calls whose handler has failed.
    pub failed: u64,
    /// Calls that have lost their worker.
    pub died: u64,
    /// Calls that were not answered in time.
    pub timed_out: u64,
    /// Calls that were asked to stop before they had begun.
    pub cancelled: u64,
    /// Calls that have failed because of the end of the pool.
    pub closed: u64,
    /// Calls for which there was no memory, or that were too large.
    pub refused: u64,
    /// How often a call was sent again.
    pub again: u64,
    /// Answers that came when the call was over.
    pub late: u64,
    /// Workers that were made, that have died without having been told to leave, and that were replaced in good order.
    pub born: u64,
    /// See above.
    pub deaths: u64,
    /// See above.
    pub recycled: u64,
    /// Bytes that the workers occupied when they said so last.
    pub resident: u64,
}

pub(super) struct State<A: Answer> {
    pub books: Books<A, Bytes, Arc<Listed>>,
    /// One for each desk.
    pub posts: Vec<Post>,
    /// Threads of seats that there are.
    pub alive: usize,
    pub wanted: usize,
    /// Nothing is accepted any more.
    pub closing: bool,
    /// What is left is to end.
    pub aborting: bool,
    pub stats: Stats,
}

impl<A: Answer> State<A> {
    /// Whether no worker will ever come, and why.
    fn hopeless(&self) -> Option<&str> {
        let mut seats = self.books.desks.iter().filter(|desk| desk.taken && !desk.leaving);
        let first = seats.next()?.down.as_deref()?;
        seats.all(|desk| desk.down.is_some()).then_some(first)
    }

    /// Kills a seat's worker, if there is one and nobody has yet. From now on it gets no calls.
    pub fn kill(&mut self, seat: usize, why: String) {
        let post = &mut self.posts[seat];
        if let Some(worker) = &post.worker
            && post.killed.is_none()
        {
            post.killed = Some(why);
            worker.signal(libc::SIGKILL);
            self.books.desks[seat].open = false;
        }
    }

    /// What becomes of a call that has lost its worker while it was being sent; None: the pool has ended meanwhile, and nobody looks
    /// into the line any more.
    fn fall(&mut self, call: &Arc<Call<A>>, begun: bool) -> Option<Fallen<A, Bytes>> {
        if self.aborting || (self.closing && self.alive == 0) {
            return None;
        }
        let mut fallen = Fallen::default();
        self.books.fallen(call.clone(), begun, &mut fallen);
        self.stats.again += fallen.again as u64;
        Some(fallen)
    }

    fn admit(&self) -> Result<()> {
        if self.closing {
            return Err(Failure::new(Status::Closed, "the pool has been told to end"));
        }
        match self.hopeless() {
            Some(why) => Err(Failure::with(Status::Died, format!("the pool has no workers: {why}"))),
            None => Ok(()),
        }
    }
}

/// Workers, and who wants something of them.
pub struct Pool<A: Answer> {
    pub(super) options: Options,
    pub(super) birth: Birth,
    pub(super) nursery: Nursery,
    pub(super) state: Lock<State<A>>,
    /// Calls whose time is over. A seat sees to them: what they tell may be code of the user's, which the thread of the timers
    /// does not run.
    due: Lock<Vec<Arc<Call<A>>>>,
    pub(super) ended: Gate,
    next_id: AtomicU64,
}

fn error(status: Status, text: &str, origin: &str) -> Error {
    Error::new(status as i32, text, origin)
}

impl<A: Answer> Pool<A> {
    /// A pool, whose workers are on their way.
    pub fn new(options: Options, birth: Birth) -> Result<Arc<Pool<A>>> {
        time::prepare()?;
        let workers = options.workers;
        let pool = Arc::new(Pool {
            state: Lock::new(State {
                books: Books::new(options.window, options.most_calls),
                posts: Vec::new(),
                alive: 0,
                wanted: 0,
                closing: false,
                aborting: false,
                stats: Stats::default(),
            }),
            options,
            birth,
            nursery: Nursery::default(),
            due: Lock::new(Vec::new()),
            ended: Gate::default(),
            next_id: AtomicU64::new(1),
        });
        pool.resize(workers).inspect_err(|_| pool.abandon())?;
        Ok(pool)
    }

    /// How it was made.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// A call that is not made yet.
    pub fn prepare(&self, most_attempts: Option<u32>, answer: A) -> Arc<Call<A>> {
        // Relaxed: a number that nobody else gets.
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        Arc::new(Call::new(id, most_attempts.unwrap_or(self.options.most_attempts), answer))
    }

    /// Makes a call. On failure it has not been made, and is not answered.
    pub fn call(self: &Arc<Self>, call: &Arc<Call<A>>, data: &[u8], timeout_ns: Option<i64>) -> Result<()> {
        let made = self.accept(call, data, timeout_ns.unwrap_or(self.options.timeout_ns));
        if made.is_err() {
            let is_over = call.take().is_none();
            call.let_go();
            if is_over {
                // Its time, or a request to stop, came first: it has been answered, and counted.
                self.state.lock().stats.calls += 1;
                return Ok(());
            }
        }
        made
    }

    fn accept(self: &Arc<Self>, call: &Arc<Call<A>>, data: &[u8], timeout_ns: i64) -> Result<()> {
        if data.len() as u64 > self.options.link.max {
            let text = format!("the call is longer than {} bytes", self.options.link.max);
            return Err(Failure::with(Status::TooLarge, text));
        }
        {
            let mut state = self.state.lock();
            state.admit()?;
            if call.is_to_stop() {
                state.stats.calls += 1;
                drop(state);
                self.fail(call, |stats| &mut stats.cancelled, cancelled);
                return Ok(());
            }
        }
        if timeout_ns != i64::MAX {
            self.watch_time(call, timeout_ns)?;
        }
        let mut kept = self.options.window > 1 || call.most_attempts > 1;
        if kept {
            keep(call, data)?;
        }
        loop {
            let dispatch = {
                let mut state = self.state.lock();
                state.admit()?;
                let dispatch = state.books.give(call);
                if dispatch.is_none() && !call.is_over() {
                    if !kept {
                        drop(state);
                        keep(call, data)?;
                        kept = true;
                        continue;
                    }
                    if state.books.waiting() >= self.options.queue {
                        return Err(Failure::new(Status::Rejected, "as many calls wait as may"));
                    }
                    state.books.queue(call.clone());
                }
                state.stats.calls += 1;
                dispatch
            };
            if let Some(dispatch) = dispatch {
                self.deliver(dispatch, Some(data));
            }
            return Ok(());
        }
    }

    fn watch_time(self: &Arc<Self>, call: &Arc<Call<A>>, timeout_ns: i64) -> Result<()> {
        let (pool, weak) = (Arc::downgrade(self), Arc::downgrade(call));
        let due = move || {
            let both = pool.upgrade().zip(Weak::upgrade(&weak));
            both.iter().for_each(|(pool, call)| pool.is_due(call));
        };
        let at = now_ns().saturating_add(timeout_ns.max(0));
        call.keep(Box::new(Timer::at(at, due)?));
        Ok(())
    }

    /// Ends a call as if its time were over: a worker that may have begun it is killed.
    pub fn is_due(&self, call: &Arc<Call<A>>) {
        self.due.lock().push(call.clone());
        let somebody = {
            let state = self.state.lock();
            let seat = state.books.desks.iter().position(|desk| desk.taken);
            seat.map(|seat| state.posts[seat].seat.clone())
        };
        // Nobody is there any more when all calls have been answered. Who is about to go looks once more.
        somebody.iter().for_each(|seat| seat.poke());
    }

    /// Sends a call to the worker that it has been given to, without waiting. `data` is what it carries; None: it is kept.
    pub(super) fn deliver(&self, dispatch: Dispatch<A, Bytes, Arc<Listed>>, data: Option<&[u8]>) {
        if !self.hand_over(dispatch, data) {
            self.pump();
        }
    }

    /// False: it has not gone out, or has lost its worker meanwhile. Then there may be something to send again.
    fn hand_over(&self, Dispatch { seat, link, call }: Dispatch<A, Bytes, Arc<Listed>>, data: Option<&[u8]>) -> bool {
        let kept = if data.is_none() { call.request.lock().clone() } else { None };
        let Some(data) = data.or(kept.as_ref().map(Bytes::as_slice)) else {
            self.withdrawn(seat, &call);
            return false;
        };
        let is_out = match self.send(&link, &call, data, 0) {
            Ok(()) => self.has_gone_out(seat, &link, &call),
            Err(failure) => {
                // It goes by somebody else's hand, or into the line: from here on it carries its own data.
                let lacks = call.request.lock().is_none();
                match if lacks { keep(&call, data) } else { Ok(()) } {
                    Ok(()) if failure.is(Status::WouldBlock) => self.leave_to_seat(seat, &link, &call),
                    Ok(()) => self.not_sent(seat, &link, &call, failure),
                    Err(failure) => self.not_sent(seat, &link, &call, failure),
                }
            }
        };
        if self.options.most_resident != usize::MAX {
            // From now on it looks at the worker's memory.
            self.poke(seat);
        }
        is_out
    }

    /// A call that was to be sent is over, and what it carried has gone.
    pub(super) fn withdrawn(&self, seat: usize, call: &Arc<Call<A>>) {
        debug_assert!(call.is_over(), "a call that is not over has lost what it carries");
        self.state.lock().books.take_back(seat, call);
        self.poke(seat);
    }

    /// Sends a call.
    pub(super) fn send(&self, link: &Listed, call: &Call<A>, data: &[u8], timeout_ns: i64) -> Result<()> {
        let tell = if self.options.window > 1 { wire::TELL } else { 0 };
        let flags = call.attempts().min(wire::TELL - 1) | tell;
        link.send(Head { kind: wire::REQUEST, flags, id: call.id }, data, &Patience::new(timeout_ns))
    }

    /// The link has no room. The thread of the seat waits for it.
    fn leave_to_seat(&self, seat: usize, link: &Arc<Listed>, call: &Arc<Call<A>>) -> bool {
        let left = {
            let mut state = self.state.lock();
            let desk = &mut state.books.desks[seat];
            let is_there = desk.outstanding.iter().any(|entry| Arc::ptr_eq(&entry.call, call));
            if is_there {
                desk.unsent.push(call.clone());
            }
            is_there
        };
        match left {
            true => self.poke(seat),
            // The worker has died, and the call has been left to us.
            false => return self.not_sent(seat, link, call, Failure::new(Status::Died, "")),
        }
        true
    }

    /// A call has gone out; what has come up meanwhile is seen to. False: it has lost its worker.
    pub(super) fn has_gone_out(&self, seat: usize, link: &Arc<Listed>, call: &Arc<Call<A>>) -> bool {
        match call.sent() {
            Sent::Done => {}
            Sent::Stop => self.tell_to_stop(seat, link, call.id),
            Sent::Orphaned { begun } => {
                self.fallen(seat, call, begun);
                return false;
            }
        }
        true
    }

    /// A call has not gone out, and will not, by this way. There is room for another: the caller pumps. Always false.
    pub(super) fn not_sent(&self, seat: usize, link: &Arc<Listed>, call: &Arc<Call<A>>, failure: Failure) -> bool {
        let is_its_own = failure.is(Status::TooLarge) || failure.is(Status::NoMemory);
        if is_its_own {
            let why = || Error::new(failure.status, &failure.message, "process pool");
            self.fail(call, |stats| &mut stats.refused, why);
            self.state.lock().books.take_back(seat, call);
        } else {
            let fallen = {
                let mut state = self.state.lock();
                state.books.take_back(seat, call);
                let desk = &mut state.books.desks[seat];
                if desk.link.as_ref().is_some_and(|there| Arc::ptr_eq(there, link)) {
                    desk.open = false;
                }
                state.fall(call, false)
            };
            self.settle_fallen(seat, call, fallen);
        }
        // It may go, now that it has one call less.
        self.poke(seat);
        false
    }

    /// A call whose worker has died while it was being sent.
    fn fallen(&self, seat: usize, call: &Arc<Call<A>>, begun: bool) {
        let fallen = self.state.lock().fall(call, begun);
        self.settle_fallen(seat, call, fallen);
    }

    fn settle_fallen(&self, seat: usize, call: &Arc<Call<A>>, fallen: Option<Fallen<A, Bytes>>) {
        match fallen {
            None => self.fail(call, |stats| &mut stats.closed, ended),
            Some(fallen) => {
                let death = self.state.lock().posts[seat].death.clone();
                self.see_to(fallen, death.as_ref());
            }
        }
    }

    /// What becomes of calls that have lost their worker. Some may wait again: the caller pumps.
    pub(super) fn see_to(&self, fallen: Fallen<A, Bytes>, death: Option<&Death>) {
        for call in fallen.lost {
            let attempts = call.attempts();
            self.fail(
                &call,
                |stats| &mut stats.died,
                || {
                    let (status, text, origin) = match death {
                        Some(Death { status, text, origin }) => (*status, text.as_str(), origin.as_str()),
                        None => (Status::Died, "the worker has died", "process pool"),
                    };
                    match attempts {
                        0 | 1 => error(status, text, origin),
                        n => error(status, &format!("{text} (attempt {n})"), origin),
                    }
                },
            );
        }
        for call in fallen.stopped {
            self.fail(&call, |stats| &mut stats.cancelled, cancelled);
        }
        if fallen.again > 0 {
            self.fail_if_hopeless();
        }
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn pump(&self) {
        loop {
            let next = self.state.lock().books.give_first();
            match next {
                Some(dispatch) => self.hand_over(dispatch, None),
                None => return,
            };
        }
    }

    /// Fails what waits if no worker will come for it.
    pub(super) fn fail_if_hopeless(&self) {
        let (calls, why) = {
            let mut state = self.state.lock();
            let Some(why) = state.hopeless().map(str::to_owned) else { return };
            (state.books.give_up_waiting(), why)
        };
        let text = format!("the pool has no workers: {why}");
        for call in calls {
            self.fail(&call, |stats| &mut stats.died, || error(Status::Died, &text, "process pool"));
        }
    }

    /// Fails what waits, as the pool has ended.
    pub(super) fn fail_rest(&self) {
        let calls = self.state.lock().books.give_up_waiting();
        calls.iter().for_each(|call| self.fail(call, |stats| &mut stats.closed, ended));
    }

    /// Fails a call, if nobody has answered it; counted before anybody knows.
    pub(super) fn fail(&self, call: &Call<A>, count: fn(&mut Stats) -> &mut u64, why: impl FnOnce() -> Error) {
        let Some(answer) = call.take() else { return };
        {
            let mut state = self.state.lock();
            state.books.is_stale(call);
            *count(&mut state.stats) += 1;
        }
        call.let_go();
        answer.answer(Err(why()));
    }

    fn poke(&self, seat: usize) {
        let seat = self.state.lock().posts[seat].seat.clone();
        seat.poke();
    }

    pub(super) fn poke_all(&self) {
        let seats: Vec<_> = self.state.lock().posts.iter().map(|post| post.seat.clone()).collect();
        seats.iter().for_each(|seat| seat.poke());
    }

    /// Asks a call to stop: at once if no worker has it; else the worker is told, and its answer counts.
    pub fn stop(&self, call: &Arc<Call<A>>) {
        match call.stop() {
            Stop::Noted => {}
            Stop::Withdrawn => self.fail(call, |stats| &mut stats.cancelled, cancelled),
            Stop::Tell => {
                let holder = {
                    let state = self.state.lock();
                    let holder = state.books.holder(call.id);
                    holder.and_then(|(seat, _)| Some((seat, state.books.desks[seat].link.clone()?)))
                };
                if let Some((seat, link)) = holder {
                    self.tell_to_stop(seat, &link, call.id);
                }
            }
        }
    }

    fn tell_to_stop(&self, seat: usize, link: &Arc<Listed>, id: u64) {
        let told = link.send(Head { kind: wire::CANCEL, flags: 0, id }, &[], &Patience::new(0));
        if told.is_err_and(|failure| failure.is(Status::WouldBlock)) {
            let is_there = {
                let mut state = self.state.lock();
                let desk = &mut state.books.desks[seat];
                let is_there = desk.link.as_ref().is_some_and(|there| Arc::ptr_eq(there, link));
                if is_there {
                    desk.stops.push(id);
                }
                is_there
            };
            if is_there {
                self.poke(seat);
            }
        }
    }

    /// Answers the calls whose time is over. A worker that may have begun one is killed.
    pub(super) fn expire(&self) {
        let due = std::mem::take(&mut *self.due.lock());
        for call in due {
            let Some(answer) = call.take() else { continue };
            let tell = {
                let mut state = self.state.lock();
                state.stats.timed_out += 1;
                state.books.is_stale(&call);
                match state.books.holder(call.id) {
                    Some((seat, true)) => {
                        state.kill(seat, OVERRUN.into());
                        None
                    }
                    Some((seat, false)) => {
                        // It says that it has begun, and is killed, or that it will not; or it is stuck.
                        let by = now_ns().saturating_add(self.options.grace_ns);
                        let overdue = &state.posts[seat].seat.overdue;
                        // Relaxed: the poke below brings it.
                        let _ = overdue.compare_exchange(i64::MAX, by, Ordering::Relaxed, Ordering::Relaxed);
                        state.books.desks[seat].link.clone().map(|link| (seat, link))
                    }
                    None => None,
                }
            };
            if let Some((seat, link)) = tell {
                self.tell_to_stop(seat, &link, call.id);
                self.poke(seat);
            }
            call.let_go();
            answer.answer(Err(error(Status::Timeout, "the call was not answered in time", "process pool")));
        }
    }

    /// Changes how many workers there are. Seats that had been given up get another chance.
    pub fn resize(self: &Arc<Self>, workers: usize) -> Result<()> {
        let mut started = Ok(());
        {
            let mut state = self.state.lock();
            if state.closing {
                return Err(Failure::new(Status::Closed, "the pool has been told to end"));
            }
            state.wanted = workers;
            for desk in state.books.desks.iter_mut().filter(|desk| desk.taken) {
                desk.down = None;
            }
            let mut have = 0;
            for index in 0.. {
                if index >= workers && index >= state.posts.len() {
                    break;
                }
                if index == state.posts.len() {
                    state.books.desks.push(Default::default());
                    let seat = Seat::new(index);
                    let said = wire::Stats::default();
                    state.posts.push(Post { seat, worker: None, killed: None, death: None, said });
                }
                let desk = &mut state.books.desks[index];
                desk.leaving = have >= workers;
                if desk.leaving {
                    continue;
                }
                have += 1;
                if !desk.taken {
                    desk.taken = true;
                    state.alive += 1;
                    started = attendant::start(self, state.posts[index].seat.clone());
                    if started.is_err() {
                        state.books.desks[index].taken = false;
                        state.alive -= 1;
                        state.wanted = have - 1;
                        break;
                    }
                }
            }
        }
        self.poke_all();
        // Seats that were to leave may stay.
        self.pump();
        started
    }

    /// Has a thread of the host's fork a worker, when one is due.
    pub fn tend(&self, deadline: Deadline) -> Result<()> {
        let Birth::Fork { fork, .. } = &self.birth else {
            return Err(Failure::new(Status::Unsupported, "the pool's workers are not forked by the host"));
        };
        let wish = self.nursery.next(deadline)?;
        let born = super::birth::fork(fork, self.options.link);
        let failed = born.as_ref().err().map(|still| still.text.clone());
        wish.come_true(born);
        failed.map_or(Ok(()), |text| Err(Failure::with(Status::Failed, text)))
    }

    /// Accepts nothing any more, has workers finish what there is until the deadline, and then ends what is left. Returns when all
    /// workers have gone.
    pub fn drain(&self, deadline: Deadline) -> Result<()> {
        if attendant::is_of(self) {
            let text = "a callback of a call cannot wait for the end of the pool that calls it back";
            return Err(Failure::new(Status::Deadlock, text));
        }
        self.close(false);
        match self.ended.wait(deadline) {
            Ended::Fired(_) => return Ok(()),
            Ended::TimedOut => {}
            ended => return ended.failure().map_or(Ok(()), Err),
        }
        self.close(true);
        match self.ended.wait(Deadline::Never).failure() {
            Some(failure) => Err(failure),
            None => Err(Failure::new(
                if deadline == Deadline::Now { Status::WouldBlock } else { Status::Timeout },
                "the time was over before all workers had gone",
            )),
        }
    }

    /// Ends it, and waits for nothing.
    pub fn abandon(&self) {
        self.close(true);
    }

    fn close(&self, abort: bool) {
        let nobody = {
            let mut state = self.state.lock();
            state.closing = true;
            state.aborting |= abort;
            state.alive == 0
        };
        if nobody {
            self.all_gone();
        }
        self.poke_all();
    }

    /// The last worker has gone. Until then there may be a need for more: calls are finished.
    pub(super) fn all_gone(&self) {
        self.nursery.close();
        self.ended.open();
    }

    /// What has come of it so far.
    pub fn stats(&self) -> Stats {
        let state = self.state.lock();
        Stats {
            workers: state.wanted,
            ready: state.books.desks.iter().filter(|desk| desk.link.is_some()).count(),
            waiting: state.books.waiting(),
            outstanding: state.books.outstanding(),
            resident: state.posts.iter().map(|post| post.said.resident).sum(),
            ..state.stats
        }
    }
}

fn keep<A: Answer>(call: &Call<A>, data: &[u8]) -> Result<()> {
    let copy = Bytes::copy(data).ok_or(Failure::new(Status::NoMemory, "no memory for a copy of the call"))?;
    *call.request.lock() = Some(copy);
    Ok(())
}

pub(super) fn cancelled() -> Error {
    error(Status::Cancelled, "cancelled before a worker had begun it", "process pool")
}

pub(super) fn ended() -> Error {
    error(Status::Shutdown, "the pool has ended", "process pool")
}
