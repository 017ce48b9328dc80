//! What breakers tell: changes of state, statistics.

use std::ffi::c_void;

use super::args::{self, callback};
use super::boundary::boundary;
use super::breaker::{Breaker, get};
use super::channel::Sink;
use super::handle::Handle;
use super::types::{weft_breaker, weft_channel, weft_drop_fn, weft_status, weft_watch};
use super::watch::Watched;
use crate::breaker::listeners::{Event, Listener};
use crate::breaker::word::State;
use crate::panics;

/// A change of state.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct weft_breaker_event {
    /// The state that has ended: a WEFT_BREAKER_ constant.
    pub from: i32,
    /// The state that began then. The same one: probes that hang were given up, or it was forced.
    pub to: i32,
    /// When, on the clock of weft_now.
    pub time_ns: i64,
    /// Numbers the changes, from 1; after 2^31 - 1 comes 0.
    pub generation: u64,
}

/// Told of a change. Runs on whatever thread brought it about or told the one before: it does not block.
pub type weft_breaker_event_fn =
    Option<unsafe extern "C-unwind" fn(event: *const weft_breaker_event, arg: *mut c_void)>;

/// What a breaker has seen so far.
#[repr(C)]
pub struct weft_breaker_stats {
    /// Set by the caller: sizeof(weft_breaker_stats).
    pub size: usize,
    /// A WEFT_BREAKER_ constant.
    pub state: i32,
    /// How often it has been half-open in vain since it was closed, up to 255; the wait grows with it.
    pub attempt: u32,
    /// Numbers the changes of state; see weft_breaker_event.
    pub generation: u64,
    /// Calls that went well.
    pub ok: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that were recorded as WEFT_OUTCOME_IGNORE.
    pub ignored: u64,
    /// Those of `ok` and `failed` that were slow.
    pub slow: u64,
    /// Calls that were not let through.
    pub rejected: u64,
    /// Calls whose results came when the state had changed since; in none of `ok`, `failed` and `ignored`.
    pub late: u64,
    /// Calls that were recorded as WEFT_OUTCOME_ABANDONED; also counted as what that counts as.
    pub abandoned: u64,
    /// How often it opened by itself.
    pub opened: u64,
    /// Results in the window now.
    pub window_calls: u64,
    /// Failures among them.
    pub window_failed: u64,
    /// Slow calls among them.
    pub window_slow: u64,
    /// Failures in a row now.
    pub consecutive: u64,
    /// Half-open: probes that were let through and not given back. Else 0.
    pub probes: u64,
}

/// A listener, and what to do when it is told no more.
struct Told {
    function: unsafe extern "C-unwind" fn(*const weft_breaker_event, *mut c_void),
    arg: *mut c_void,
    drop: weft_drop_fn,
    ctx: *mut c_void,
}

// SAFETY: whoever gives a listener promises that it may be called on any thread.
unsafe impl Send for Told {}
// SAFETY: as above; it is not called twice at once.
unsafe impl Sync for Told {}

impl From<&Event> for weft_breaker_event {
    fn from(event: &Event) -> Self {
        weft_breaker_event {
            from: event.change.from as i32,
            to: event.change.to as i32,
            time_ns: event.at_ns,
            generation: event.change.generation.into(),
        }
    }
}

impl Told {
    fn tell(&self, event: &Event) {
        let event = event.into();
        // SAFETY: given for this.
        panics::contain("a listener of a breaker", || unsafe { (self.function)(&event, self.arg) });
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: given for this call, which happens once, after all others.
            panics::contain("the drop callback of a listener", || unsafe { drop(self.ctx, self.arg) });
        }
    }
}

/// Calls fn(event, arg) for each change of state from now on: one after the other in their order, each once, with no
/// lock held, on a thread that brought one about. A listener may use the breaker, and force it: that change is told
/// after this one. *out is for weft_watch_off, which says WEFT_OK: fn will not be called again, and drop(ctx, arg) has
/// been; or WEFT_BUSY: fn runs right now, perhaps around this call, and the drop follows it, or it was taken back
/// before. NULL out: none. Without that, the drop is called when the breaker ends. drop may be NULL. Never blocks; any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_on_change(
    breaker: *mut weft_breaker,
    r#fn: weft_breaker_event_fn,
    arg: *mut c_void,
    drop: weft_drop_fn,
    ctx: *mut c_void,
    out: *mut *mut weft_watch,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let object = unsafe { get(breaker)? };
        let function = callback(r#fn, "fn")?;
        let told = Told { function, arg, drop, ctx };
        // SAFETY: writable by contract.
        unsafe { listen(object, Box::new(move |event| told.tell(event)), out) };
        Ok(())
    })
}

/// # Safety
/// `out` is NULL or writable.
unsafe fn listen(breaker: &Breaker, listener: Listener, out: *mut *mut weft_watch) {
    let (listeners, id) = breaker.switch.on_change(listener);
    if !out.is_null() {
        // SAFETY: promised by the caller.
        unsafe { *out = Handle::create(Watched::Breaker(listeners, id)) };
    }
}

/// Sends a weft_breaker_event into the channel for each change of state from now on, in their order: for languages whose
/// code must not be called by any thread, and for event loops (weft_channel_fd). The channel is unbounded, its elements
/// have sizeof(weft_breaker_event), and any thread may send (no single_producer), else WEFT_INVALID: nobody who changes
/// the state ever waits. Once it is closed events are dropped. It has a reference until the breaker ends, or until
/// weft_watch_off with *out, which is as for weft_breaker_on_change. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_notify(
    breaker: *mut weft_breaker,
    channel: *mut weft_channel,
    out: *mut *mut weft_watch,
) -> weft_status {
    boundary(|| {
        // SAFETY: handles by contract; writable by contract.
        unsafe {
            let object = get(breaker)?;
            let sink = Sink::<weft_breaker_event>::new(channel)?;
            listen(object, Box::new(move |event| sink.send(event.into())), out);
        }
        Ok(())
    })
}

/// What it has seen so far. Set out->size first. Numbers are not from exactly the same moment. Changes nothing. Never
/// blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_stats_get(
    breaker: *mut weft_breaker,
    out: *mut weft_breaker_stats,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let stats = unsafe { get(breaker)? }.switch.stats();
        // SAFETY: a struct by contract.
        let out = unsafe { args::result_struct(out, "out")? };
        let word = stats.word;
        // SAFETY: at least this version's size, as checked.
        unsafe {
            let size = (*out).size;
            *out = weft_breaker_stats {
                size,
                state: word.state() as i32,
                attempt: stats.attempt,
                generation: word.generation().into(),
                ok: stats.ok,
                failed: stats.failed,
                ignored: stats.ignored,
                slow: stats.slow,
                rejected: stats.rejected,
                late: stats.late,
                abandoned: stats.abandoned,
                opened: stats.opened,
                window_calls: stats.window.total,
                window_failed: stats.window.marked,
                window_slow: stats.window_slow,
                consecutive: stats.consecutive,
                probes: if word.state() == State::HalfOpen { word.issued().into() } else { 0 },
            };
        }
        Ok(())
    })
}
