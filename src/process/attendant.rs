//! The thread of a seat: makes a worker, looks after it while it lives, sees to what it leaves, and makes the next.
//!
//! It sleeps in the receive of the link, and in nothing else for long. What is not a frame (a call that is overdue, a worker that
//! has ended although somebody else keeps its socket open, the end of the pool) pokes it: see [`super::poke`].

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::{ptr, thread};

use super::birth::{self, Birth, Listed, Newborn, Stillbirth, Wish};
use super::pool::{self, Answer, Death, Pool, Seat, State};
use super::rest::Rest;
use super::restarts::{Next, Restarts};
use super::wire::{self, Failed, Log};
use crate::error::{Failure, Result, Status};
use crate::ipc::frame::Nonsense;
use crate::ipc::{Frame, Head, Patience};
use crate::memory::Bytes;
use crate::observe::{self, Level, Origin};
use crate::platform::child::{Child, End, signal_name};
use crate::platform::clock::now_ns;
use crate::platform::signals::Blocked;
use crate::sync::Deadline;
use crate::sync::wait::Waiter;
use crate::time::reactor::{self, Interest};

/// How often the memory of a worker that is at work is looked at, if there is a limit.
const LOOK_NS: i64 = 20_000_000;

/// What a worker has done whose link is at its end though nobody has seen it die.
const CLOSED: &str = "closed its link";

thread_local! {
    /// The pool that the thread is of.
    static SEAT_OF: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

/// Whether this is a thread of the pool's, which cannot wait for its end.
pub(super) fn is_of<A: Answer>(pool: &Pool<A>) -> bool {
    SEAT_OF.get() == ptr::from_ref(pool).cast()
}

/// Starts the thread of a seat.
pub(super) fn start<A: Answer>(pool: &Arc<Pool<A>>, seat: Arc<Seat>) -> Result<()> {
    let pool = pool.clone();
    let name: String = format!("{}-{}", pool.options.name, seat.index).chars().take(15).collect();
    // A thread begins with the mask of who starts it. The host's signals are for the host's threads.
    let blocked = Blocked::current();
    Blocked::all().apply();
    let started = thread::Builder::new().name(name).spawn(move || Attendant { pool, seat, ready: false }.run());
    blocked.apply();
    match started {
        Ok(_detached) => Ok(()),
        Err(error) => Err(Failure::with(Status::Os, format!("no thread for a worker: {error}"))),
    }
}

struct Attendant<A: Answer> {
    pool: Arc<Pool<A>>,
    seat: Arc<Seat>,
    /// The worker serves.
    ready: bool,
}

/// Why a worker is not listened to any more.
enum Over {
    /// It is to leave: the pool ends, or the seat goes, or it has done its share.
    Leaves,
    /// What is left is to end now.
    Aborted,
    /// It is gone, or will be.
    Gone(Status, String),
}

/// What has become of a worker.
struct Life {
    in_order: bool,
    had_answered: bool,
    text: String,
}

impl<A: Answer> Attendant<A> {
    fn run(mut self) {
        self.seat.sit_down();
        SEAT_OF.set(Arc::as_ptr(&self.pool).cast());
        let mut restarts = Restarts::default();
        let mut at = Some(0);
        loop {
            self.look();
            if let Some(last) = self.leave() {
                return self.end(last);
            }
            let Some(time) = at.filter(|_| !self.is_down()).or_else(|| self.revived(&mut restarts)) else {
                Waiter::new().wait(Deadline::Never);
                continue;
            };
            if time > now_ns() {
                at = Some(time);
                Waiter::new().wait(Deadline::At(time));
                continue;
            }
            let (had_answered, text, is_final) = match self.birth() {
                None => continue,
                Some(Ok(newborn)) => match self.attend(newborn) {
                    Life { in_order: true, .. } => {
                        at = Some(0);
                        continue;
                    }
                    Life { had_answered, text, .. } => (had_answered, text, false),
                },
                Some(Err(Stillbirth { text, is_final })) => (false, text, is_final),
            };
            at = match restarts.died(&self.pool.options.restarts, now_ns(), had_answered) {
                Next::At(time) if !is_final => Some(time),
                _ => {
                    self.give_up(text);
                    None
                }
            };
        }
    }

    /// Sees to what the seat was poked for.
    fn look(&self) -> bool {
        let poked = self.seat.was_poked();
        if poked {
            self.pool.expire();
        }
        poked
    }

    /// Whether the seat goes. While calls wait it does not, unless they are to end.
    fn is_to_leave(&self, state: &State<A>) -> bool {
        let desk = &state.books.desks[self.seat.index];
        let is_empty = state.books.waiting() == 0;
        state.aborting || (state.closing && (is_empty || desk.down.is_some())) || desk.leaving
    }

    /// Leaves the seat, if it goes: whether as the last of a pool that ends. From then on somebody else may be put there.
    fn leave(&self) -> Option<bool> {
        let mut state = self.pool.state.lock();
        if !self.is_to_leave(&state) {
            return None;
        }
        state.books.desks[self.seat.index].taken = false;
        state.alive -= 1;
        Some(state.closing && state.alive == 0)
    }

    fn is_down(&self) -> bool {
        self.pool.state.lock().books.desks[self.seat.index].down.is_some()
    }

    /// Another chance.
    fn revived(&self, restarts: &mut Restarts) -> Option<i64> {
        (!self.is_down()).then(|| {
            *restarts = Restarts::default();
            0
        })
    }

    fn give_up(&self, text: String) {
        self.log(Level::Error, format_args!("no further worker is started: {text}"));
        self.pool.state.lock().books.desks[self.seat.index].down = Some(text);
        self.pool.fail_if_hopeless();
    }

    fn end(&self, last: bool) {
        // The line may have become empty since others were told of the end, and they have nothing that would have them look.
        self.pool.poke_all();
        // Whoever was told of a call that is overdue was told before.
        self.pool.expire();
        if last {
            self.pool.fail_rest();
            self.pool.all_gone();
        }
    }

    /// A worker; None: the seat has been told something else meanwhile.
    fn birth(&self) -> Option<Result<Newborn, Stillbirth>> {
        let link = self.pool.options.link;
        match &self.pool.birth {
            Birth::Program(program) => Some(birth::execute(program, link)),
            Birth::Fork { fork, anywhere: true } => Some(birth::fork(fork, link)),
            Birth::Fork { anywhere: false, .. } => self.wish(),
        }
    }

    /// Waits for somebody who forks a worker.
    fn wish(&self) -> Option<Result<Newborn, Stillbirth>> {
        let seat = self.seat.clone();
        let wish = Wish::new(Box::new(move || seat.poke()));
        self.pool.nursery.ask(&wish);
        loop {
            if let Some(born) = wish.take() {
                return Some(born);
            }
            self.look();
            let leaves = self.is_to_leave(&self.pool.state.lock());
            if leaves && self.pool.nursery.withdraw(&wish) {
                return None;
            }
            if let Some(born) = wish.take() {
                return Some(born);
            }
            Waiter::new().wait(Deadline::Never);
        }
    }

    /// The whole life of a worker.
    fn attend(&mut self, Newborn { link, child }: Newborn) -> Life {
        let (link, child, index) = (Arc::new(link), Arc::new(child), self.seat.index);
        self.seat.ended.store(false, Ordering::Relaxed);
        self.seat.overdue.store(i64::MAX, Ordering::Relaxed);
        self.ready = false;
        {
            let mut state = self.pool.state.lock();
            state.stats.born += 1;
            let post = &mut state.posts[index];
            (post.worker, post.killed) = (Some(child.clone()), None);
        }
        let seat = self.seat.clone();
        let ended = move |_| {
            seat.ended.store(true, Ordering::Release);
            seat.poke();
        };
        // Without it the end shows in the link alone.
        let watch = reactor::watch(child.fd(), Interest { readable: true, writable: false }, Box::new(ended)).ok();
        let setup = Head { kind: wire::HEARTBEAT, flags: observe::level() as u32, id: 0 };
        let _ = link.send(setup, &[], &Patience::new(0));
        let over = self.listen(&link, &child);
        let (had_answered, given) = {
            let mut state = self.pool.state.lock();
            let desk = &mut state.books.desks[index];
            desk.open = false;
            (desk.answered > 0, desk.outstanding.len())
        };
        // A worker that says only now that it serves gets nothing.
        self.ready = true;
        let (in_order, gone) = match over {
            Over::Leaves => {
                self.see_off(&link, &child, false);
                (true, None)
            }
            Over::Aborted => {
                self.see_off(&link, &child, true);
                (true, None)
            }
            Over::Gone(status, text) => {
                child.signal(libc::SIGKILL);
                (false, Some((status, text)))
            }
        };
        let end = child.reap();
        drop(watch);
        let death = self.death(&child, end, gone, given);
        let (fallen, ends) = {
            let mut state = self.pool.state.lock();
            let fallen = state.books.worker_gone(index);
            state.stats.again += fallen.again as u64;
            state.stats.deaths += u64::from(!in_order);
            state.stats.recycled += u64::from(in_order);
            let post = &mut state.posts[index];
            (post.worker, post.death) = (None, Some(death.clone()));
            (fallen, state.closing)
        };
        if !in_order {
            self.log(Level::Warn, format_args!("{}", death.text));
        }
        if in_order && ends {
            // What it had was to end with it.
            let all = fallen.lost.iter().chain(&fallen.stopped);
            all.for_each(|call| self.pool.fail(call, |stats| &mut stats.closed, pool::ended));
        } else {
            self.pool.see_to(fallen, Some(&death));
        }
        self.pool.pump();
        Life { in_order, had_answered, text: death.text }
    }

    /// Receives until there is nothing more to receive, or the worker is to go.
    fn listen(&mut self, link: &Arc<Listed>, child: &Child) -> Over {
        let (begun_ns, mut rest) = (now_ns(), None);
        loop {
            if (self.look() || !self.ready)
                && let Some(over) = self.orders(link, child)
            {
                return over;
            }
            self.check_overdue();
            let wait = self.patience(begun_ns);
            let ended = self.seat.ended.load(Ordering::Acquire);
            match link.receive(&Patience::new(if ended { 0 } else { wait })) {
                Ok(frame) if ended && !rest.get_or_insert_with(|| Rest::of(link)).has(&frame) => {
                    return Over::Gone(Status::Died, String::new());
                }
                Ok(frame) => match self.take(link, child, frame) {
                    Ok(true) => {}
                    Ok(false) => {
                        if let Some(over) = self.is_done() {
                            return over;
                        }
                    }
                    Err(nonsense) => return Over::Gone(Status::Protocol, format!("sent nonsense: {nonsense}")),
                },
                Err(failure) if failure.is(Status::Interrupted) => {}
                Err(failure) if failure.is(Status::WouldBlock) && ended => {
                    return Over::Gone(Status::Died, String::new());
                }
                Err(failure) if failure.is(Status::Timeout) || failure.is(Status::WouldBlock) => {
                    if !self.ready && begun_ns.saturating_add(self.pool.options.start_ns) <= now_ns() {
                        return Over::Gone(Status::Died, "was killed: it did not begin to serve in time".into());
                    }
                    self.weigh(child);
                }
                Err(failure) if failure.is(Status::Protocol) => {
                    return Over::Gone(Status::Protocol, format!("sent nonsense: {}", failure.message));
                }
                Err(failure) if failure.is(Status::NoMemory) => {
                    return Over::Gone(Status::NoMemory, "was killed: no memory for its answer".into());
                }
                // It lives, or has just ended: how, tells which (see `death`).
                Err(failure) if failure.is(Status::Closed) => return Over::Gone(Status::Died, CLOSED.into()),
                Err(_) => return Over::Gone(Status::Died, String::new()),
            }
        }
    }

    /// How long to wait for the next frame.
    fn patience(&self, begun_ns: i64) -> i64 {
        if !self.ready {
            return begun_ns.saturating_add(self.pool.options.start_ns).saturating_sub(now_ns()).max(1);
        }
        let is_limited = self.pool.options.most_resident != usize::MAX;
        let at_work = || !self.pool.state.lock().books.desks[self.seat.index].outstanding.is_empty();
        let look = if is_limited && at_work() { LOOK_NS } else { i64::MAX };
        // Relaxed: see where it is set.
        match self.seat.overdue.load(Ordering::Relaxed) {
            i64::MAX => look,
            overdue => overdue.saturating_sub(now_ns()).max(1).min(look),
        }
    }

    /// Kills a worker that has calls whose time is over, and is at no other: it takes nothing up.
    fn check_overdue(&self) {
        let overdue = &self.seat.overdue;
        let by = overdue.load(Ordering::Relaxed);
        if by == i64::MAX || by > now_ns() {
            return;
        }
        let mut state = self.pool.state.lock();
        let next = match state.books.overdue(self.seat.index) {
            (false, _) => i64::MAX,
            (true, true) => now_ns().saturating_add(self.pool.options.grace_ns),
            (true, false) => {
                state.kill(self.seat.index, "it had not taken up a call in time".into());
                i64::MAX
            }
        };
        overdue.store(next, Ordering::Relaxed);
    }

    /// Kills a worker that occupies more memory than it may.
    fn weigh(&self, child: &Child) {
        let most = self.pool.options.most_resident;
        let resident = if most == usize::MAX { None } else { child.resident() };
        if let Some(resident) = resident.filter(|&resident| resident > most) {
            self.pool.state.lock().kill(self.seat.index, too_large(resident, most));
        }
    }

    /// What the seat was poked for, as far as it concerns the worker.
    fn orders(&self, link: &Arc<Listed>, child: &Child) -> Option<Over> {
        let index = self.seat.index;
        let mut pause = LOOK_NS;
        loop {
            let (unsent, stop) = {
                let mut state = self.pool.state.lock();
                if state.aborting {
                    return Some(Over::Aborted);
                }
                if let Some(over) = self.leaves(&mut state) {
                    return Some(over);
                }
                let desk = &state.books.desks[index];
                (desk.unsent.first().cloned(), desk.stops.first().copied())
            };
            // A worker that has ended reads nothing, although somebody else may keep its link open.
            if self.seat.ended.load(Ordering::Acquire) {
                return None;
            }
            let wait = self.patience_to_send(pause);
            let sent = match (stop, &unsent) {
                (Some(id), _) => link.send(Head { kind: wire::CANCEL, flags: 0, id }, &[], &Patience::new(wait)),
                (None, None) => return None,
                (None, Some(call)) => {
                    let request = call.request.lock().clone();
                    let Some(request) = request.filter(|_| !call.is_over()) else {
                        self.pool.withdrawn(index, call);
                        self.pool.pump();
                        continue;
                    };
                    self.pool.send(link, call, request.as_slice(), wait)
                }
            };
            if let Err(failure) = &sent
                && (failure.is(Status::Interrupted) || failure.is(Status::Timeout))
            {
                if failure.is(Status::Timeout) {
                    pause = pause.saturating_mul(2);
                }
                self.look();
                self.check_overdue();
                self.weigh(child);
                continue;
            }
            pause = LOOK_NS;
            if let Some(id) = stop {
                self.pool.state.lock().books.desks[index].stops.retain(|&one| one != id);
            } else if let Some(call) = &unsent {
                self.pool.state.lock().books.desks[index].unsent.retain(|one| !Arc::ptr_eq(one, call));
                let is_out = match sent {
                    Ok(()) => self.pool.has_gone_out(index, link, call),
                    Err(failure) => self.pool.not_sent(index, link, call, failure),
                };
                if !is_out {
                    self.pool.pump();
                }
            }
        }
    }

    /// How long to send, until something else is to be looked at. A call of which a part has gone out is sent again from its beginning
    /// after that, so each pause is longer than the one before: in the end it goes out.
    fn patience_to_send(&self, pause: i64) -> i64 {
        let look = if self.pool.options.most_resident != usize::MAX { pause } else { i64::MAX };
        // Relaxed: see where it is set.
        match self.seat.overdue.load(Ordering::Relaxed) {
            i64::MAX => look,
            overdue => overdue.saturating_sub(now_ns()).max(pause).min(look),
        }
    }

    /// A frame from the worker; false: it has answered or begun to serve, and may have done its share.
    fn take(&mut self, link: &Arc<Listed>, child: &Child, Frame { head, bytes }: Frame) -> Result<bool, Nonsense> {
        match head.kind {
            wire::REPLY => self.answered(child, head.id, Ok(bytes)).map(|()| false),
            wire::ERROR => {
                let failed = Failed::from_bytes(bytes.as_slice())?;
                self.answered(child, head.id, Err(failed)).map(|()| false)
            }
            wire::HEARTBEAT if head.id == 0 => {
                self.begin_service(link);
                // By now there may be nothing left for it: others have taken what it was made for, and the pool ends.
                Ok(false)
            }
            wire::HEARTBEAT => {
                let mut state = self.pool.state.lock();
                match state.books.begun(self.seat.index, head.id) {
                    Some(call) if call.is_over() => state.kill(self.seat.index, pool::OVERRUN.into()),
                    Some(_) => {}
                    None => return Err("it has begun a call that it does not have"),
                }
                Ok(true)
            }
            wire::STATS => {
                self.pool.state.lock().posts[self.seat.index].said = wire::Stats::from_bytes(bytes.as_slice())?;
                Ok(true)
            }
            wire::LOG => self.pass_on(&Log::from_bytes(bytes.as_slice())?).map(|()| true),
            _ => Err("a frame of a kind that workers do not send"),
        }
    }

    fn begin_service(&mut self, link: &Arc<Listed>) {
        if !std::mem::replace(&mut self.ready, true) {
            {
                let mut state = self.pool.state.lock();
                let desk = &mut state.books.desks[self.seat.index];
                (desk.link, desk.open) = (Some(link.clone()), true);
            }
            self.pool.pump();
        }
    }

    fn answered(&self, child: &Child, id: u64, outcome: Result<Bytes, Failed>) -> Result<(), Nonsense> {
        let most = self.pool.options.most_resident;
        let too_large = most != usize::MAX && child.resident().is_some_and(|resident| resident > most);
        let (entry, next) = {
            let mut state = self.pool.state.lock();
            let desk = &mut state.books.desks[self.seat.index];
            desk.retired |= too_large;
            let Some(entry) = state.books.answered(self.seat.index, id) else {
                return Err("an answer to a call that it does not have");
            };
            let is_over = entry.call.is_over();
            let stats = &mut state.stats;
            match &outcome {
                _ if is_over => stats.late += 1,
                Ok(_) => stats.succeeded += 1,
                Err(_) => stats.failed += 1,
            }
            (entry, state.books.give_first())
        };
        // The worker goes on while we do.
        if let Some(next) = next {
            self.pool.deliver(next, None);
        }
        if let Some(answer) = entry.call.take() {
            entry.call.let_go();
            answer.answer(outcome.map_err(|failed| failed.into_error(&self.origin())));
        }
        Ok(())
    }

    fn origin(&self) -> String {
        let pid = self.pool.state.lock().posts[self.seat.index].worker.as_ref().map_or(0, |worker| worker.pid());
        format!("process {pid}")
    }

    /// Whether the worker has done its share, now that it has answered.
    fn is_done(&self) -> Option<Over> {
        self.leaves(&mut self.pool.state.lock())
    }

    /// Whether the worker leaves: from then on it gets nothing.
    fn leaves(&self, state: &mut State<A>) -> Option<Over> {
        let ends = state.closing && state.books.waiting() == 0;
        let leaves = state.books.is_free(self.seat.index, ends);
        state.books.desks[self.seat.index].open &= !leaves;
        leaves.then_some(Over::Leaves)
    }

    fn pass_on(&self, log: &Log) -> Result<(), Nonsense> {
        let level = match log.level {
            1 => Level::Error,
            2 => Level::Warn,
            3 => Level::Info,
            _ => Level::Debug,
        };
        let [runtime, task, message] = &log.texts;
        let (runtime, task) = (crate::error::c_string(runtime), crate::error::c_string(task));
        let origin = Origin { worker: log.worker, runtime: &runtime, task: &task };
        observe::log(level, origin, format_args!("{}: {message}", self.origin().replacen("process", "pid", 1)));
        Ok(())
    }

    /// Has the worker leave, and makes it if it does not. Returns when it has ended, or is about to.
    fn see_off(&mut self, link: &Arc<Listed>, child: &Child, abort: bool) {
        let grace = self.pool.options.grace_ns;
        let mut next = libc::SIGTERM;
        let (mut until, mut talks) = (if abort { 0 } else { now_ns().saturating_add(grace) }, true);
        // What was withdrawn may fill the link, until the worker comes to read it.
        let shutdown = Head { kind: wire::SHUTDOWN, flags: 0, id: 0 };
        while let Err(failure) = link.send(shutdown, &[], &Patience::new(until.saturating_sub(now_ns()).max(0)))
            && failure.is(Status::Interrupted)
            && !self.seat.ended.load(Ordering::Acquire)
        {
            if self.look() && self.pool.state.lock().aborting {
                until = 0;
            }
        }
        while !self.seat.ended.load(Ordering::Acquire) && !child.has_ended() {
            if now_ns() >= until {
                child.signal(next);
                if next == libc::SIGKILL {
                    return;
                }
                (next, until) = (libc::SIGKILL, now_ns().saturating_add(grace));
                continue;
            }
            if self.look() && self.pool.state.lock().aborting && next == libc::SIGTERM {
                until = 0;
                continue;
            }
            if !talks {
                Waiter::new().wait(Deadline::At(until));
                continue;
            }
            match link.receive(&Patience::new(until.saturating_sub(now_ns()).max(1))) {
                Ok(frame) => talks = self.take(link, child, frame).is_ok(),
                Err(failure) => talks = failure.is(Status::Interrupted) || failure.is(Status::Timeout),
            }
        }
        // What it had said before it left.
        let mut rest = Rest::of(link);
        while talks
            && let Ok(frame) = link.receive(&Patience::new(0))
            && rest.has(&frame)
        {
            talks = self.take(link, child, frame).is_ok();
        }
    }

    /// How a worker has ended, in words.
    fn death(&self, child: &Child, end: End, gone: Option<(Status, String)>, had: usize) -> Death {
        let pid = child.pid();
        let killed = self.pool.state.lock().posts[self.seat.index].killed.take();
        let (status, ours) = match (gone, killed) {
            (_, Some(why)) => (Status::Died, format!("was killed by the pool: {why}")),
            // What the pool has done to it because it had closed its link is no news; an end of its own is.
            (Some((status, text)), None) if text == CLOSED && end != End::Signalled(libc::SIGKILL) => {
                (status, String::new())
            }
            (Some((status, text)), None) => (status, text),
            (None, None) => (Status::Died, String::new()),
        };
        let (what, mark) = match end {
            End::Exited(code) => (format!("exited with status {code}"), format!("status {code}")),
            End::Signalled(signal) => {
                (format!("was killed by signal {signal} ({})", signal_name(signal)), format!("signal {signal}"))
            }
            End::Unknown => ("has ended, and the program has reaped it".to_owned(), "reaped by the program".to_owned()),
        };
        let what = if ours.is_empty() { what } else { ours };
        let had = if had > 0 { " during a call" } else { "" };
        Death { status, text: format!("process {pid} {what}{had}"), origin: format!("process {pid}, {mark}") }
    }

    fn log(&self, level: Level, message: std::fmt::Arguments<'_>) {
        let origin = Origin { worker: -1, runtime: c"", task: c"" };
        observe::log(level, origin, format_args!("process pool {}: {message}", self.pool.options.name));
    }
}

fn too_large(resident: usize, most: usize) -> String {
    format!("it occupied {} MiB, more than the {} MiB it may (max_rss)", resident >> 20, most >> 20)
}
