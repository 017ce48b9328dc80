//! Tasks that are queued when a descriptor is ready.
//!
//! One is a timer whose time never comes by itself: a descriptor that is ready has it expire. So what a timer's task goes
//! through (the runtime's end, its token, being taken back while it is queued) is decided here as it is there, by the same
//! word, and the reactor's thread queues it and runs none of it.

use std::mem;
use std::os::fd::RawFd;

use super::runtime::{Core, ENDING};
use super::timed::{Job, Timed};
use super::worker::Worker;
use crate::error::Result;
use crate::sync::Lock;
use crate::sync::cancel::Token;
use crate::time::reactor::{FdWatch, Interest, Ready, watch_and};

/// What is done when a descriptor is ready.
pub trait OnReady: Send + Sync + 'static {
    /// It is. Once. Does not unwind: whatever of the user's it calls, it calls within [`Worker::protect`].
    fn ready(&self, worker: &Worker, token: Option<&Token>, ready: Ready);

    /// `ready` will never be called: once, on whatever thread has brought that about. Does not unwind.
    fn dropped(&self);
}

/// A handle to such a task. Dropped, it leaves the task to come.
pub struct Readied<R: OnReady>(Timed<Body<R>>);

struct Body<R> {
    state: Lock<State>,
    on: R,
}

enum State {
    /// No watch yet; whether it is over already.
    Arming {
        over: bool,
    },
    Armed(FdWatch),
    Ready(Ready),
    /// It has begun, or never will.
    Over,
}

impl Core {
    /// Has `on` told on a worker when the descriptor is ready for what is asked, hung up or failed, for what goes by `token`.
    /// `then` has the handle before that; it runs under a lock: it is short, and uses no watch. On failure nothing of `on`
    /// has been called, nor `then`.
    pub fn when_ready<R: OnReady>(
        &self,
        fd: RawFd,
        interest: Interest,
        token: Option<Token>,
        on: R,
        then: impl FnOnce(Readied<R>),
    ) -> Result<()> {
        let body = Body { state: Lock::new(State::Arming { over: false }), on };
        let timed = self.untold_timer(i64::MAX, 0, token, body)?;
        let reactors = timed.clone();
        let call = Box::new(move |ready| {
            if reactors.job().is_ready(ready) {
                reactors.expire();
            }
        });
        let armed =
            watch_and(fd, interest, call, |watch| timed.job().armed(watch).map(|()| then(Readied(timed.clone()))));
        match armed {
            Ok(Ok(())) => {
                // Not before: what a token ends needs its watch.
                timed.heed();
                Ok(())
            }
            Ok(Err(watch)) => {
                watch.off();
                Err(ENDING)
            }
            Err(failure) => {
                timed.stop();
                Err(failure)
            }
        }
    }
}

impl<R: OnReady> Body<R> {
    /// It has a watch, which cannot tell yet. Gives it back if it is over already: its runtime ends.
    fn armed(&self, watch: FdWatch) -> std::result::Result<(), FdWatch> {
        let mut state = self.state.lock();
        if matches!(*state, State::Arming { over: true }) {
            return Err(watch);
        }
        *state = State::Armed(watch);
        Ok(())
    }

    /// Notes what the watch tells; false: too late.
    fn is_ready(&self, ready: Ready) -> bool {
        let mut state = self.state.lock();
        if !matches!(*state, State::Armed(_)) {
            return false;
        }
        // The watch is this call's: there is nothing to be taken back.
        if let State::Armed(watch) = mem::replace(&mut *state, State::Ready(ready)) {
            watch.leave();
        }
        true
    }
}

impl<R: OnReady> Job for Body<R> {
    fn run(&self, worker: &Worker, token: Option<&Token>) {
        let state = mem::replace(&mut *self.state.lock(), State::Over);
        let State::Ready(ready) = state else { unreachable!("it expires when it is ready") };
        self.on.ready(worker, token, ready);
    }

    fn over(&self) {
        let was = {
            let mut state = self.state.lock();
            if let State::Arming { over } = &mut *state {
                *over = true;
                return;
            }
            mem::replace(&mut *state, State::Over)
        };
        match was {
            State::Over => return,
            State::Armed(watch) => {
                watch.take_back();
                // A call that is too late comes to nothing: it is not waited for.
                watch.leave();
            }
            _ => {}
        }
        self.on.dropped();
    }
}

impl<R: OnReady> Readied<R> {
    /// Sees to it that it is not told: true, and it has been dropped here. False: it is being told, has been, or was taken
    /// back before.
    pub fn take_back(&self) -> bool {
        self.0.end()
    }
}
