//! Circuit breakers.

use std::ffi::{c_char, c_void};

use super::args::{self, callback, invalid, may_create, place};
use super::boundary::{boundary, boundary_value, call_back};
use super::handle::{Handle, Noun};
use super::message;
use super::runtime::as_opaque;
use super::status::WEFT_REJECTED;
use super::types::{weft_breaker, weft_call_fn, weft_status};
use crate::breaker::policy::{Extent, Outcome, Policy};
use crate::breaker::word::State;
use crate::breaker::{self, Permit, Recorded};
use crate::error::{Failure, Result, Status};
use crate::panics;
use crate::scheduler::Worker;
use crate::time::Now;
use crate::time::now::System;

/// weft_breaker_get_state: calls are let through, and their results are watched.
pub const WEFT_BREAKER_CLOSED: i32 = 0;
/// weft_breaker_get_state: calls are rejected, for a time.
pub const WEFT_BREAKER_OPEN: i32 = 1;
/// weft_breaker_get_state: some calls, the probes, are let through; their results decide.
pub const WEFT_BREAKER_HALF_OPEN: i32 = 2;
/// weft_breaker_get_state: calls are rejected until weft_breaker_force says otherwise.
pub const WEFT_BREAKER_FORCED_OPEN: i32 = 3;
/// weft_breaker_get_state: calls are let through, and results only counted.
pub const WEFT_BREAKER_DISABLED: i32 = 4;
/// weft_breaker_get_state: calls are let through; windows are kept, but it does not open.
pub const WEFT_BREAKER_METRICS_ONLY: i32 = 5;

/// The call went well.
pub const WEFT_OUTCOME_OK: i32 = 0;
/// The call failed.
pub const WEFT_OUTCOME_FAIL: i32 = 1;
/// The call says nothing about what was called: it had a wrong argument, say. A probe is given back.
pub const WEFT_OUTCOME_IGNORE: i32 = 2;
/// Nobody knows how the call ended: it was cancelled, or whoever made it is gone. Counts as the options say.
pub const WEFT_OUTCOME_ABANDONED: i32 = 3;

macro_rules! numbers {
    ($($name:ident == $number:expr;)*) => { const _: () = { $(assert!($name == $number as i32);)* }; };
}
numbers! {
    WEFT_BREAKER_CLOSED == State::Closed; WEFT_BREAKER_OPEN == State::Open; WEFT_BREAKER_HALF_OPEN == State::HalfOpen;
    WEFT_BREAKER_FORCED_OPEN == State::ForcedOpen; WEFT_BREAKER_DISABLED == State::Disabled;
    WEFT_BREAKER_METRICS_ONLY == State::MetricsOnly; WEFT_OUTCOME_OK == Outcome::Ok;
    WEFT_OUTCOME_FAIL == Outcome::Fail; WEFT_OUTCOME_IGNORE == Outcome::Ignore;
    WEFT_OUTCOME_ABANDONED == Outcome::Abandoned;
}

/// Says what a status of weft_breaker_call counts as: a WEFT_OUTCOME_ constant; any other number is WEFT_OUTCOME_FAIL.
/// Called on the thread of the call, with no lock held.
pub type weft_outcome_fn = Option<unsafe extern "C-unwind" fn(status: weft_status, arg: *mut c_void) -> i32>;

/// What a breaker is made with. Fill in with weft_breaker_options_init, then change what matters.
#[repr(C)]
pub struct weft_breaker_options {
    /// sizeof(weft_breaker_options).
    pub size: usize,
    /// For messages; NULL: none. Copied.
    pub name: *const c_char,
    /// Rates are of so many calls, the last ones; 1 to 65536. init sets 100. Not looked at when window_ns is set.
    pub window: u32,
    /// With less results than this in the window (or less than it holds, if that is fewer), rates say nothing. init
    /// sets 20.
    pub minimum_calls: u32,
    /// Not 0: rates are of the calls of the last so many nanoseconds, to the next tenth; at least 10,000,000. init sets
    /// 0.
    pub window_ns: i64,
    /// It opens when this share of the window has failed, above 0 and up to 1; 0: whatever the share. init sets 0.5.
    pub failure_rate: f64,
    /// A call that takes this long is slow, whatever its outcome, and a slow probe counts as failed; WEFT_FOREVER: none
    /// is, and calls are not timed. init sets WEFT_FOREVER.
    pub slow_ns: i64,
    /// It opens when this share of the window was slow, above 0 and up to 1. init sets 1.
    pub slow_rate: f64,
    /// It opens after so many failures in a row; 0: whatever the number. init sets 5.
    pub consecutive: u32,
    /// How many calls are let through half-open, until their results decide; 1 to 1023. init sets 1.
    pub probes: u32,
    /// It closes when so many of them went well, and opens again when so many cannot any more; 0: all. init sets 0.
    pub probes_to_close: u32,
    /// What WEFT_OUTCOME_ABANDONED counts as: WEFT_OUTCOME_OK, _FAIL or _IGNORE. init sets WEFT_OUTCOME_IGNORE.
    pub abandoned: i32,
    /// How long it is open the first time. init sets 60 s. WEFT_FOREVER: until weft_breaker_force.
    pub open_wait_ns: i64,
    /// How long at most; less than open_wait_ns is as much as that. init sets 600 s.
    pub open_wait_max_ns: i64,
    /// So many times longer after each time that the probes failed, 1 to 1,000,000. init sets 2.
    pub backoff: f64,
    /// Up to this share of a wait, 0 to 1, is left out by chance, so that many breakers do not come back at once. init
    /// sets 0.1.
    pub jitter: f64,
    /// When all probes are out and the last one has been for so long, they are taken for hanging: their results count
    /// no more, and others are let through. Above 0 and less than WEFT_FOREVER. init sets 60 s.
    pub probe_wait_ns: i64,
    /// What the status of weft_breaker_call counts as. NULL: WEFT_OK is WEFT_OUTCOME_OK; WEFT_CANCELLED,
    /// WEFT_INTERRUPTED and WEFT_SHUTDOWN are WEFT_OUTCOME_ABANDONED; others are WEFT_OUTCOME_FAIL.
    pub outcome: weft_outcome_fn,
    /// Handed to `outcome`; there as long as the breaker is.
    pub outcome_arg: *mut c_void,
}

const SECOND: i64 = 1_000_000_000;

impl args::SizePrefixed for weft_breaker_options {
    fn defaults() -> Self {
        weft_breaker_options {
            size: size_of::<Self>(),
            name: std::ptr::null(),
            window: 100,
            minimum_calls: 20,
            window_ns: 0,
            failure_rate: 0.5,
            slow_ns: i64::MAX,
            slow_rate: 1.0,
            consecutive: 5,
            probes: 1,
            probes_to_close: 0,
            abandoned: WEFT_OUTCOME_IGNORE,
            open_wait_ns: 60 * SECOND,
            open_wait_max_ns: 600 * SECOND,
            backoff: 2.0,
            jitter: 0.1,
            probe_wait_ns: 60 * SECOND,
            outcome: None,
            outcome_arg: std::ptr::null_mut(),
        }
    }
}

/// A call that was let through: the caller's to keep, and to hand to weft_breaker_record once. Any thread may do that;
/// of copies, one is recorded.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct weft_permit {
    /// Weft's. The first is 0 once it has been recorded.
    pub word: [u64; 2],
}

type OutcomeFn = unsafe extern "C-unwind" fn(weft_status, *mut c_void) -> i32;

/// What the handle leads to.
pub struct Breaker {
    pub(super) switch: breaker::Breaker<System>,
    /// Tells its permits from others'.
    stamp: u32,
    /// What is said of a call that is turned away, if there is a name to say; else empty.
    is_open: String,
    outcome: Option<OutcomeFn>,
    outcome_arg: *mut c_void,
}

// SAFETY: whoever makes a breaker promises that its predicate may be called with its argument on any thread.
unsafe impl Send for Breaker {}
// SAFETY: as above.
unsafe impl Sync for Breaker {}

impl Noun for Breaker {
    type Opaque = weft_breaker;
    const TAG: u32 = u32::from_le_bytes(*b"Wbrk");
    const NAME: &'static str = "breaker";
}

impl Breaker {
    #[inline(always)]
    fn seal(&self, permit: Permit) -> weft_permit {
        // Not 0, whatever the stamp and the generation.
        let word = u64::from(self.stamp) << 32 | u64::from(permit.generation) << 1 | 1;
        weft_permit { word: [word, permit.start_ns as u64] }
    }

    /// Whether the permit is one of this breaker's, and not recorded.
    #[inline(always)]
    fn knows(&self, permit: &weft_permit) -> bool {
        permit.word[0] >> 32 == u64::from(self.stamp) && permit.word[0] & 1 == 1
    }

    fn unseal(&self, permit: &weft_permit) -> Result<Permit> {
        match permit.word {
            _ if self.knows(permit) => {
                Ok(Permit { generation: generation_of(permit), start_ns: permit.word[1] as i64 })
            }
            [0, _] => Err(invalid("permit: it has been recorded, or was never acquired".into())),
            _ => Err(invalid("permit: it is not one of this breaker's".into())),
        }
    }

    /// Leaves the message of a call that was turned away.
    #[inline(always)]
    fn say_open(&self) {
        match self.is_open.as_str() {
            "" => message::set_fixed(c"the breaker is open"),
            text => message::set(text),
        }
    }

    /// The same, and when to ask again.
    fn rejected(&self) -> Failure {
        let after = match self.switch.retry_after_ns() {
            i64::MAX => String::new(),
            ns => format!("; again in {:.3} s", ns as f64 / SECOND as f64),
        };
        let text = if self.is_open.is_empty() { "the breaker is open" } else { &self.is_open };
        Failure::with(Status::Rejected, format!("{text}{after}"))
    }

    /// What a status counts as.
    fn outcome(&self, status: weft_status) -> Outcome {
        if let Some(function) = self.outcome {
            // SAFETY: as promised by whoever made the breaker. If it panics, the call has failed.
            let number = panics::catch(&"the predicate of a breaker", || unsafe { function(status, self.outcome_arg) });
            return number.ok().and_then(Outcome::from_number).unwrap_or(Outcome::Fail);
        }
        match Status::from_number(status) {
            Some(Status::Ok) => Outcome::Ok,
            Some(Status::Cancelled | Status::Interrupted | Status::Shutdown) => Outcome::Abandoned,
            _ => Outcome::Fail,
        }
    }
}

#[inline(always)]
fn generation_of(permit: &weft_permit) -> u32 {
    permit.word[0] as u32 >> 1
}

fn policy(options: &weft_breaker_options) -> Result<Policy> {
    let share = |rate: f64| (rate != 0.0).then_some(rate);
    let abandoned = Outcome::from_number(options.abandoned)
        .ok_or_else(|| invalid(format!("options->abandoned: {} is no outcome", options.abandoned)))?;
    Ok(Policy {
        extent: match options.window_ns {
            0 => Extent::Calls(options.window),
            ns => Extent::Time(ns),
        },
        minimum_calls: options.minimum_calls,
        failure_rate: share(options.failure_rate),
        slow: (options.slow_ns != i64::MAX).then_some((options.slow_ns, options.slow_rate)),
        consecutive: options.consecutive,
        probes: options.probes,
        probes_to_close: if options.probes_to_close == 0 { options.probes } else { options.probes_to_close },
        open_wait_ns: options.open_wait_ns,
        // Negative, it stays what it is, for the check.
        open_wait_max_ns: match options.open_wait_max_ns {
            ns if ns < 0 => ns,
            ns => ns.max(options.open_wait_ns),
        },
        backoff: options.backoff,
        jitter: options.jitter,
        // Another one for each breaker and each start of the program.
        seed: System.precise_ns() as u64 ^ u64::from(breaker::serial()) << 48,
        probe_wait_ns: options.probe_wait_ns,
        abandoned,
    })
}

/// Fills in the defaults. `size` is sizeof *options as the caller knows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_options_init(options: *mut weft_breaker_options, size: usize) -> weft_status {
    // SAFETY: writable for `size` bytes by contract.
    boundary(|| unsafe { args::init(options, size) })
}

/// A circuit breaker, closed. It needs no runtime and has no thread: states change when somebody asks or records. NULL
/// options: the defaults. WEFT_INVALID names the member that makes no sense. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_new(
    options: *const weft_breaker_options,
    out: *mut *mut weft_breaker,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        // SAFETY: options by contract.
        let options = unsafe { args::options(options)? };
        may_create()?;
        let switch = breaker::Breaker::new(policy(&options)?, System)
            .map_err(|failure| invalid(format!("options->{}", failure.message)))?;
        // SAFETY: a C string by contract.
        let name = unsafe { args::name(options.name) };
        let is_open = name.map_or(String::new(), |name| format!("the breaker {} is open", name.to_string_lossy()));
        let (outcome, outcome_arg) = (options.outcome, options.outcome_arg);
        let breaker = Breaker { switch, stamp: breaker::serial(), is_open, outcome, outcome_arg };
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(breaker) };
        Ok(())
    })
}

pub(super) unsafe fn get<'a>(breaker: *const weft_breaker) -> Result<&'a Breaker> {
    // SAFETY: the caller's contract.
    unsafe { Handle::get(breaker, "breaker") }
}

/// Asks whether to call. WEFT_OK: call, and hand *permit to weft_breaker_record with what came of it. WEFT_REJECTED: do
/// not; weft_breaker_retry_after says when to ask again. Closed, disabled and metrics only, all calls are let through;
/// open none until its time is over, then as many probes as the options say. Never blocks; any thread, in tasks and
/// outside.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_acquire(breaker: *mut weft_breaker, permit: *mut weft_permit) -> weft_status {
    // A leaf: whatever takes longer is a tail call, see weft_channel_send.
    // SAFETY: a handle by contract.
    match unsafe { Handle::<Breaker>::peek(breaker) } {
        Some(object) if !permit.is_null() => match object.switch.pass() {
            Some(passed) => {
                // SAFETY: writable by contract.
                unsafe { *permit = object.seal(passed) };
                0
            }
            // SAFETY: as above.
            None => unsafe { acquire_otherwise(object, breaker, permit) },
        },
        // SAFETY: as above.
        _ => unsafe { acquire(breaker, permit) },
    }
}

/// It is not closed, or calls are timed.
#[inline(never)]
unsafe extern "C" fn acquire_otherwise(
    object: &Breaker,
    breaker: *mut weft_breaker,
    permit: *mut weft_permit,
) -> weft_status {
    if let Some(passed) = object.switch.pass_timed() {
        // SAFETY: as for weft_breaker_acquire.
        unsafe { *permit = object.seal(passed) };
        return 0;
    }
    if object.switch.turns_away() {
        object.say_open();
        return WEFT_REJECTED;
    }
    // SAFETY: as above.
    unsafe { acquire(breaker, permit) }
}

#[cold]
#[inline(never)]
unsafe extern "C" fn acquire(breaker: *mut weft_breaker, permit: *mut weft_permit) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let object = unsafe { get(breaker)? };
        let permit = place(permit, "permit")?;
        // SAFETY: a live handle: a listener may release it.
        let _pin = unsafe { Handle::<Breaker>::pin(breaker) };
        let acquired = object.switch.acquire().ok_or_else(|| object.rejected())?;
        // SAFETY: writable by contract.
        unsafe { *permit = object.seal(acquired) };
        Ok(())
    })
}

/// Says how a call ended: a WEFT_OUTCOME_ constant. A permit is recorded once, which *permit remembers: a second time
/// is WEFT_INVALID, as is a permit of another breaker. When the state has changed since the permit was acquired, the
/// result only counts as late. A change that it brings about is told to listeners before this returns, unless another
/// thread is telling them. Never blocks; any thread, but no two at once with the same permit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_record(
    breaker: *mut weft_breaker,
    permit: *mut weft_permit,
    outcome: i32,
) -> weft_status {
    // SAFETY: a handle by contract.
    if let Some(object) = unsafe { Handle::<Breaker>::peek(breaker) }
        && outcome == WEFT_OUTCOME_OK
        // SAFETY: NULL or the caller's permit by contract.
        && let Some(place) = unsafe { permit.as_mut() }
        && object.knows(place)
    {
        let generation = generation_of(place);
        match object.switch.record_ok(generation) {
            Recorded::No => {}
            Recorded::Done => {
                place.word[0] = 0;
                return 0;
            }
            Recorded::In(at) => {
                place.word[0] = 0;
                return record_rest(object, generation, at);
            }
            // SAFETY: as above.
            Recorded::Again => return unsafe { record_again(object, breaker, permit) },
        }
    }
    // SAFETY: as above.
    unsafe { record(breaker, permit, outcome) }
}

/// A success, while others record theirs.
#[inline(never)]
unsafe extern "C" fn record_again(
    object: &Breaker,
    breaker: *mut weft_breaker,
    permit: *mut weft_permit,
) -> weft_status {
    // SAFETY: as for weft_breaker_record, which has seen that it is one.
    let place = unsafe { &mut *permit };
    let generation = generation_of(place);
    loop {
        match object.switch.record_ok(generation) {
            Recorded::Again => {}
            // SAFETY: as above.
            Recorded::No => return unsafe { record(breaker, permit, WEFT_OUTCOME_OK) },
            Recorded::Done => {
                place.word[0] = 0;
                return 0;
            }
            Recorded::In(at) => {
                place.word[0] = 0;
                return record_rest(object, generation, at);
            }
        }
    }
}

#[cold]
#[inline(never)]
extern "C" fn record_rest(object: &Breaker, generation: u32, place: u64) -> weft_status {
    boundary_value((), || {
        object.switch.record_rest(generation, place);
        Ok(())
    });
    0
}

#[inline(never)]
unsafe extern "C" fn record(breaker: *mut weft_breaker, permit: *mut weft_permit, outcome: i32) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let object = unsafe { get(breaker)? };
        let permit = place(permit, "permit")?;
        let outcome =
            Outcome::from_number(outcome).ok_or_else(|| invalid(format!("outcome: {outcome} is no outcome")))?;
        // SAFETY: the caller's permit by contract.
        let unsealed = object.unseal(unsafe { &*permit })?;
        let change = object.switch.settle(unsealed, outcome)?;
        // SAFETY: the caller's permit by contract. Used up before anybody is told.
        unsafe { (*permit).word[0] = 0 };
        if change.is_some() {
            // SAFETY: a live handle: a listener may release it.
            let _pin = unsafe { Handle::<Breaker>::pin(breaker) };
            object.switch.tell(change);
        }
        Ok(())
    })
}

/// Acquires, calls fn(worker, arg, result) on this thread, and records its status, see weft_breaker_options.outcome.
/// WEFT_OK and *result, or what fn returned, with its message. WEFT_REJECTED: the breaker is open, and fn was not
/// called. WEFT_PANIC: fn is Rust and panicked. `worker` is the calling task's, outside tasks NULL. NULL result: of no
/// interest. Blocks if fn does. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_call(
    breaker: *mut weft_breaker,
    r#fn: weft_call_fn,
    arg: *mut c_void,
    result: *mut *mut c_void,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let object = unsafe { get(breaker)? };
        let function = callback(r#fn, "fn")?;
        // SAFETY: a live handle.
        let _pin = unsafe { Handle::<Breaker>::pin(breaker) };
        let permit = object.switch.acquire().ok_or_else(|| object.rejected())?;
        let mut value = std::ptr::null_mut();
        let called = panics::catch(&"a call through a breaker", || {
            let worker = Worker::current().map_or(std::ptr::null_mut(), as_opaque);
            // SAFETY: given for this call.
            call_back(|| unsafe { function(worker, arg, &mut value) })
        })
        .unwrap_or_else(|panic| Err(Failure::with(Status::Panic, panic)));
        let status = called.as_ref().map_or_else(|failure| failure.status, |()| Status::Ok as weft_status);
        let outcome = object.outcome(status);
        // In a child that was forked inside, the breaker is its parent's.
        // SAFETY: in place, and still a handle.
        if unsafe { get(breaker) }.is_ok() {
            // It is this breaker's, and recorded once.
            let _ = object.switch.record(permit, outcome);
        }
        called?;
        if !result.is_null() {
            // SAFETY: writable by contract.
            unsafe { *result = value };
        }
        Ok(())
    })
}

/// The state: a WEFT_BREAKER_ constant. Asking changes nothing: when it has been open for its time, it stays
/// WEFT_BREAKER_OPEN until somebody acquires. -1 on a bad handle. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_get_state(breaker: *const weft_breaker) -> i32 {
    // SAFETY: a handle by contract.
    boundary_value(-1, || Ok(unsafe { get(breaker)? }.switch.state() as i32))
}

/// For how many nanoseconds calls will be rejected, if nothing happens before. 0: they are let through. WEFT_FOREVER:
/// nobody knows. To within the system's tick of some milliseconds. Changes nothing. 0 on a bad handle. Never blocks;
/// any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_retry_after(breaker: *const weft_breaker) -> i64 {
    // SAFETY: a handle by contract.
    boundary_value(0, || Ok(unsafe { get(breaker)? }.switch.retry_after_ns()))
}

/// Puts it into a state, a WEFT_BREAKER_ constant, whatever it was: windows are empty then, and no probe is out. From
/// WEFT_BREAKER_CLOSED, _OPEN (for the time of the first) and _HALF_OPEN it goes on by itself; in the others it stays
/// until the next call of this. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_force(breaker: *mut weft_breaker, state: i32) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let object = unsafe { get(breaker)? };
        let state = State::from_number(state).ok_or_else(|| invalid(format!("state: {state} is no state")))?;
        // SAFETY: a live handle: a listener may release it.
        let _pin = unsafe { Handle::<Breaker>::pin(breaker) };
        object.switch.force(state);
        Ok(())
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_retain(breaker: *mut weft_breaker) -> *mut weft_breaker {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Breaker>::retain(breaker) }
}

/// One reference less. Permits do not count: those that are out when the last one goes cannot be recorded any more.
/// Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_breaker_release(breaker: *mut weft_breaker) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Breaker>::release(breaker) }
}
