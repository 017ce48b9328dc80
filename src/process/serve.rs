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

/// How often a worker tells how it is, if it is asked anything.
const TELL_NS: i64 = 1_000_000_000;

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
    };
    service.send(wire::HEARTBEAT, 0, &[])?;
    let served = service.serve(handler);
    if service.logs.get() {
        // What was logged so far goes out before the link does.
        let _ = observe::set_outlet(Outlet::Silence);
    }
    service.tell();
    served
}

impl Service {
    fn send(&self, kind: u32, id: u64, data: &[u8]) -> Result<()> {
        self.link.send(Head { kind, flags: 0, id }, data, &Patience::new(i64::MAX))
    }

    fn serve(&self, handler: &mut dyn FnMut(&[u8]) -> Result<Bytes, Failed>) -> Result<()> {
        loop {
            let next = self.waiting.borrow_mut().pop_front();
            let frame = match next {
                Some(frame) => frame,
                None => match self.gone.take() {
                    Some(gone) => return over(gone),
                    None => match self.link.receive(&Patience::new(i64::MAX)) {
                        Ok(frame) => frame,
                        Err(failure) => return over(failure),
                    },
                },
            };
            match frame.head.kind {
                wire::REQUEST => self.run(frame, handler)?,
                wire::HEARTBEAT => self.logs.set(forward_log(&self.link, frame.head.flags as i32)),
                wire::SHUTDOWN => return Ok(()),
                _ => {}
            }
        }
    }

    fn run(&self, Frame { head, bytes }: Frame, handler: &mut dyn FnMut(&[u8]) -> Result<Bytes, Failed>) -> Result<()> {
        self.current.set(head.id);
        self.attempt.set(head.flags & !wire::TELL);
        self.stopped.set(false);
        let outcome = if head.flags & wire::TELL != 0 && self.is_stopped() {
            let message = "cancelled before the worker had begun it".into();
            Err(Failed { status: Status::Cancelled as i32, message, ..Failed::default() })
        } else {
            if head.flags & wire::TELL != 0 {
                self.send(wire::HEARTBEAT, head.id, &[])?;
            }
            HERE.set(self);
            let outcome = handler(bytes.as_slice());
            HERE.set(std::ptr::null());
            let mut stats = self.stats.get();
            stats.calls += 1;
            stats.failed += u64::from(outcome.is_err());
            self.stats.set(stats);
            outcome
        };
        self.current.set(0);
        self.answer(head.id, outcome)?;
        let now = now_ns();
        if now.saturating_sub(self.told_ns.get()) >= TELL_NS {
            self.told_ns.set(now);
            self.tell();
        }
        Ok(())
    }

    fn answer(&self, id: u64, outcome: Result<Bytes, Failed>) -> Result<()> {
        let refused = match outcome {
            Ok(bytes) => match self.send(wire::REPLY, id, bytes.as_slice()) {
                Err(failure) if failure.is(Status::TooLarge) => failure,
                sent => return sent,
            },
            Err(failed) => match self.send(wire::ERROR, id, &failed.to_bytes()) {
                Err(failure) if failure.is(Status::TooLarge) => failure,
                sent => return sent,
            },
        };
        let message = format!("the answer: {}", refused.message);
        self.send(wire::ERROR, id, &Failed { status: refused.status, message, ..Failed::default() }.to_bytes())
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
            let before = waiting.len();
            waiting.retain(|frame| !is_it(frame));
            waiting.len() < before
        };
        if withdrawn {
            let message = "cancelled before the worker had begun it".into();
            let failed = Failed { status: Status::Cancelled as i32, message, ..Failed::default() };
            let _ = self.send(wire::ERROR, id, &failed.to_bytes());
        }
    }

    /// The how manieth attempt the call that runs is.
    pub fn attempt(&self) -> u32 {
        self.attempt.get()
    }
}

fn over(failure: Failure) -> Result<()> {
    // An orderly end of the pool's process is as good as a word.
    if failure.is(Status::Closed) { Ok(()) } else { Err(failure) }
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
