//! The process-wide default runtime: started on first use, shut down at exit.

use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::options::Options;
use super::runtime::{Core, Mode, Runtime};
use super::worker::Worker;
use crate::error::{Failure, Result, Status};
use crate::platform::{self, fork::ForkCell};
use crate::sync::{Deadline, Lock, park};

#[derive(Default)]
struct Default {
    /// What uses of the default runtime read, without a lock.
    current: AtomicPtr<Core>,
    state: Lock<State>,
    /// The process is ending: no new runtime is started.
    exiting: AtomicBool,
}

#[derive(Default)]
struct State {
    options: Options,
    exit_hook: bool,
    /// Default runtimes whose threads have not ended yet, as far as is known.
    runtimes: Vec<Runtime>,
    /// What is left of those that have ended. They are never freed, so that a use that races with a shutdown
    /// meets a runtime that refuses work instead of freed memory.
    husks: Vec<Runtime>,
}

impl State {
    /// Frees what runtimes that have ended had for their threads: no late use looks at that.
    fn strip(&mut self) {
        // Guests come and go as they like: what they sit on stays.
        let is_over = |runtime: &mut Runtime| runtime.gone.is_open() && !runtime.kind().has_guests();
        for runtime in self.runtimes.extract_if(.., is_over) {
            for seat in runtime.seats.iter() {
                drop(seat.vacant.lock().take());
                // SAFETY: the threads have gone, and none is started any more. A husk is never dropped, nor stripped again.
                unsafe { seat.region.pass_on() };
            }
            runtime.depot.clear();
            self.husks.push(runtime);
        }
    }
}

static DEFAULT: ForkCell<Default> = ForkCell::new();

/// How long the exit of the process waits for tasks of the default runtime that are running.
const EXIT_WAIT_NS: i64 = 1_000_000_000;

impl Default {
    /// The runtime, unless there is none or somebody (a task of its own, perhaps) has begun to shut it down.
    fn running(&self) -> Option<&'static Core> {
        // Acquire pairs with the Release in `default_runtime`. SAFETY: runtimes in `state` are never freed.
        unsafe { self.current.load(Ordering::Acquire).as_ref() }.filter(|core| core.is_open())
    }
}

/// The default runtime, started if there is none.
pub fn default_runtime() -> Result<&'static Core> {
    let default = DEFAULT.get();
    if let Some(core) = default.running() {
        return Ok(core);
    }
    let mut state = default.state.lock();
    if let Some(core) = default.running() {
        return Ok(core);
    }
    if default.exiting.load(Ordering::Relaxed) {
        return Err(Failure::new(Status::Shutdown, "the process is ending"));
    }
    state.strip();
    let runtime = Runtime::new(state.options.clone())?;
    state.exit_hook = state.exit_hook || platform::at_exit(stop_at_exit);
    let core: *const Core = &*runtime;
    state.runtimes.push(runtime);
    default.current.store(core.cast_mut(), Ordering::Release);
    // SAFETY: kept in `state` for ever.
    Ok(unsafe { &*core })
}

/// Sets the options of the default runtime; Busy while it runs.
pub fn configure_default(options: Options) -> Result<()> {
    options.check()?;
    let default = DEFAULT.get();
    let mut state = default.state.lock();
    if default.running().is_some() {
        return Err(Failure::new(Status::Busy, "the default runtime is running already"));
    }
    state.options = options;
    Ok(())
}

/// Shuts the default runtime down, or waits for the end of the last one. The next use starts a new one.
pub fn shutdown_default(mode: Mode, deadline: Deadline) -> Result<()> {
    let default = DEFAULT.get();
    // SAFETY: runtimes in `state` are never freed.
    if let Some(core) = unsafe { default.current.load(Ordering::Acquire).as_ref() } {
        core.shutdown(mode, deadline)?;
        default.state.lock().strip();
    }
    Ok(())
}

extern "C" fn stop_at_exit() {
    if !platform::fork::admitted() {
        return;
    }
    let default = DEFAULT.get();
    let core = {
        // Under the lock that a start holds, so that none is missed.
        let _state = default.state.lock();
        default.exiting.store(true, Ordering::Relaxed);
        // SAFETY: runtimes in `state` are never freed.
        unsafe { default.current.load(Ordering::Acquire).as_ref() }
    };
    let Some(core) = core else { return };
    // A task that calls exit() cannot wait for its own runtime.
    let own = Worker::current().is_some_and(|worker| std::ptr::eq(worker.core(), core));
    park::set_interruptible(false);
    let _ = core.shutdown(Mode::Discard, Deadline::after(if own { 0 } else { EXIT_WAIT_NS }));
}
