//! What a worker runs: it receives calls, has the handler answer them, one after the other on one thread, and leaves when it is told to
//! or when the pool has gone.
//!
//! A request to stop is looked for when the handler asks ([`Service::is_stopped`]), and, if more than one call may be on its way, before
//! each. What is found meanwhile waits here.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::Arc;

use super::wire::{self, FD_VARIABLE, Failed, Log, PARENT_VARIABLE, Stats};
use crate::error::{Failure, Result, Status};
use crate::ipc::{Frame, Head, Link, Patience};
use crate::memory::Bytes;
use crate::observe::{self, Level, Outlet};
use crate::platform::child::{die_with_parent, own_resident};
use crate::platform::clock::now_ns;
use crate::platform::fork;

/// How often a worker tells how it is, if it is asked anything.
const TELL_NS: i64 = 1_000_000_000;

const WITHDRAWN: &str = "cancelled before the worker had begun it";

/// The way to the pool, and what has come by it and has not been run.
pub struct Service {
    link: Arc<Link>,
    waiting: RefCell<VecDeque<Frame>>,
    /// The call that runs; 0: none.
    current: Cell<u64>,
    attempt: Cell<u32>,
    stopped: Cell<bool>,
    /// The end of what comes.
    gone: RefCell<Option<Failure>>,
    stats: Cell<Stats>,
    told_ns: Cell<i64>,
    /// The log goes to the pool.
    logs: Cell<bool>,
    /// All is said.
    left: Cell<bool>,
}

thread_local! {
    static HERE: Cell<*const Service> = const { Cell::new(std::ptr::null()) };
}

/// What serves on this thread, while its handler runs.
pub fn with_current<R>(look: impl FnOnce(&Service) -> R) -> Option<R> {
    // SAFETY: set for the time of a handler's call, by `run`, whose service outlives it.
    unsafe { HERE.get().as_ref() }.map(look)
}

/// What the environment says of the descriptor, where the pool has started a program.
pub fn from_environment() -> Result<RawFd> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<i32>().ok());
    let Some(fd) = number(FD_VARIABLE) else {
        let text = format!("fd: no pool has started this process: {FD_VARIABLE} is not set");
        return Err(Failure::with(Status::Invalid, text));
    };
    match number(PARENT_VARIABLE) {
        Some(parent) if !die_with_parent(parent) => Err(Failure::new(Status::Died, "the process of the pool has died")),
        _ => Ok(fd),
    }
}

/// Serves until the pool says that it is enough, or has gone: then the failure that says so.
pub fn serve(link: Link, handler: &mut dyn FnMut(&[u8]) -> Result<Bytes, Failed>) -> Result<()> {
    let service = Service::new(link)?;
    loop {
        let Some(bytes) = service.next(&Patience::new(i64::MAX))? else { return Ok(()) };
        HERE.set(&service);
        let epoch = fork::epoch();
        let outcome = handler(bytes.as_slice());
        if fork::epoch() != epoch {
            // What comes next is for the worker to say, which has this link, too.
            fork::refuse_to_return();
        }
        HERE.set(std::ptr::null());
        if let Err(failure) = service.answer_current(&outcome, &Patience::new(i64::MAX)) {
            service.end();
            return Err(failure);
        }
    }
}

impl Service {
    /// One that is ready for calls.
    pub fn new(link: Link) -> Result<Service> {
        let service = Service {
            link: Arc::new(link),
            waiting: RefCell::default(),
            current: Cell::new(0),
            attempt: Cell::new(0),
            stopped: Cell::new(false),
            gone: RefCell::new(None),
            stats: Cell::default(),
            told_ns: Cell::new(now_ns()),
            logs: Cell::new(false),
            left: Cell::new(false),
        };
        service.send(wire::HEARTBEAT, 0, &[], &Patience::new(i64::MAX))?;
        Ok(service)
    }

    fn send(&self, kind: u32, id: u64, data: &[u8], patience: &Patience<'_>) -> Result<()> {
        self.link.send(Head { kind, flags: 0, id }, data, patience)
    }

    /// The next call, to be answered before the next but one is asked for. None: that was all. Of the failures, the pool's end is one
    /// for good; an interrupted wait loses nothing.
    pub fn next(&self, patience: &Patience<'_>) -> Result<Option<Bytes>> {
        loop {
            let next = self.waiting.borrow_mut().pop_front();
            let frame = match next {
                Some(frame) => frame,
                None => {
                    let gone = self.gone.borrow().clone();
                    match gone.map_or_else(|| self.link.receive(patience), Err) {
                        Ok(frame) => frame,
                        Err(failure) => return self.over(failure),
                    }
                }
            };
            match frame.head.kind {
                wire::REQUEST if self.begin(&frame, patience)? => return Ok(Some(frame.bytes)),
                wire::HEARTBEAT => self.logs.set(forward_log(&self.link, frame.head.flags as i32)),
                wire::SHUTDOWN => {
                    return self.over(Failure::new(Status::Closed, "the pool has told the worker to leave"));
                }
                _ => {}
            }
        }
    }

    /// Whether the call is to be run. A failure leaves it in line.
    fn begin(&self, frame: &Frame, patience: &Patience<'_>) -> Result<bool> {
        let Head { id, flags, .. } = frame.head;
        self.current.set(id);
        self.attempt.set(flags & !wire::TELL);
        self.stopped.set(false);
        if flags & wire::TELL == 0 {
            return Ok(true);
        }
        let told = if self.is_stopped() {
            let failed = Failed { status: Status::Cancelled as i32, message: WITHDRAWN.into(), ..Failed::default() };
            self.answer(id, &Err(failed), patience).map(|()| false)
        } else {
            self.send(wire::HEARTBEAT, id, &[], patience).map(|()| true)
        };
        if !matches!(told, Ok(true)) {
            self.current.set(0);
        }
        if told.is_err() {
            self.waiting.borrow_mut().push_front(Frame { head: frame.head, bytes: frame.bytes.clone() });
        }
        told
    }

    /// Answers the call that runs. Interrupted, it has not.
    pub fn answer_current(&self, outcome: &Result<Bytes, Failed>, patience: &Patience<'_>) -> Result<()> {
        self.answer(self.current.get(), outcome, patience)?;
        self.current.set(0);
        let mut stats = self.stats.get();
        stats.calls += 1;
        stats.failed += u64::from(outcome.is_err());
        self.stats.set(stats);
        let now = now_ns();
        if now.saturating_sub(self.told_ns.get()) >= TELL_NS {
            self.told_ns.set(now);
            self.tell();
        }
        Ok(())
    }

    /// Whether a call runs.
    pub fn is_at_work(&self) -> bool {
        self.current.get() != 0
    }

    /// The pool wants no more, or a failure.
    fn over(&self, failure: Failure) -> Result<Option<Bytes>> {
        let is_final = [Status::Closed, Status::Died, Status::Protocol].iter().any(|&status| failure.is(status));
        if !is_final {
            return Err(failure);
        }
        *self.gone.borrow_mut() = Some(failure.clone());
        self.end();
        // An orderly end of the pool's process is as good as a word.
        if failure.is(Status::Closed) { Ok(None) } else { Err(failure) }
    }

    /// Says what there is left to say.
    fn end(&self) {
        if self.left.replace(true) {
            return;
        }
        if self.logs.replace(false) {
            // What was logged so far goes out before the link does.
            let _ = observe::set_outlet(Outlet::Silence);
        }
        self.tell();
    }

    fn answer(&self, id: u64, outcome: &Result<Bytes, Failed>, patience: &Patience<'_>) -> Result<()> {
        let sent = match outcome {
            Ok(bytes) => self.send(wire::REPLY, id, bytes.as_slice(), patience),
            Err(failed) => self.send(wire::ERROR, id, &failed.to_bytes(), patience),
        };
        let refused = match sent {
            Err(failure) if failure.is(Status::TooLarge) => failure,
            sent => return sent,
        };
        let message = format!("the answer: {}", refused.message);
        let failed = Failed { status: refused.status, message, ..Failed::default() };
        self.send(wire::ERROR, id, &failed.to_bytes(), patience)
    }

    /// How this process is, for whoever counts.
    fn tell(&self) {
        let resident = own_resident().unwrap_or(0) as u64;
        let stats = Stats { resident, ..self.stats.get() };
        let head = Head { kind: wire::STATS, flags: 0, id: 0 };
        let _ = self.link.send(head, &stats.to_bytes(), &Patience::new(0));
    }

    /// Whether the call that runs is not wanted any more, or nobody is there to want it. Takes in what has come.
    pub fn is_stopped(&self) -> bool {
        while self.gone.borrow().is_none() {
            match self.link.receive(&Patience::new(0)) {
                Ok(frame) if frame.head.kind == wire::CANCEL => self.withdraw(frame.head.id),
                Ok(frame) => self.waiting.borrow_mut().push_back(frame),
                Err(failure) if failure.is(Status::WouldBlock) => break,
                Err(failure) => *self.gone.borrow_mut() = Some(failure),
            }
        }
        self.stopped.get() || self.gone.borrow().is_some()
    }

    fn withdraw(&self, id: u64) {
        if self.current.get() == id {
            self.stopped.set(true);
            return;
        }
        let is_it = |frame: &Frame| frame.head.kind == wire::REQUEST && frame.head.id == id;
        let withdrawn = {
            let mut waiting = self.waiting.borrow_mut();
            waiting.iter().position(is_it).and_then(|at| waiting.remove(at))
        };
        if let Some(frame) = withdrawn {
            let failed = Failed { status: Status::Cancelled as i32, message: WITHDRAWN.into(), ..Failed::default() };
            if self.send(wire::ERROR, id, &failed.to_bytes(), &Patience::new(i64::MAX)).is_err() {
                // Somebody has to answer it.
                self.waiting.borrow_mut().push_back(frame);
            }
        }
    }

    /// The how manieth attempt the call that runs is.
    pub fn attempt(&self) -> u32 {
        self.attempt.get()
    }
}

/// Has this process' log go to the pool's, from this level on; 0: nobody wants it. Whether it does.
fn forward_log(link: &Arc<Link>, level: i32) -> bool {
    let level = match level {
        1 => Level::Error,
        2 => Level::Warn,
        3 => Level::Info,
        4 => Level::Debug,
        _ => return false,
    };
    let link = Arc::downgrade(link);
    let sink = move |record: &observe::Record| {
        let Some(link) = link.upgrade() else { return };
        let texts = [&record.runtime, &record.task, &record.message].map(|text| text.to_string_lossy().into_owned());
        let log = Log { level: record.level as i32, worker: record.worker, texts };
        let head = Head { kind: wire::LOG, flags: 0, id: 0 };
        let _ = link.send(head, &log.to_bytes(), &Patience::new(i64::MAX));
    };
    observe::set_outlet(Outlet::Sink(Box::new(sink), level)).is_ok()
}
