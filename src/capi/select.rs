//! Select.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::task::Waker;

use super::args::{self, invalid, may_create, place};
use super::boundary::{boundary, boundary_value};
use super::channel::attend;
use super::future::{Cell, get_future};
use super::handle::{Handle, Pin};
use super::types::{weft_status, weft_waker};
use crate::channel::{self, Channel, Direction, Fast};
use crate::error::{Failure, Result, Status};
use crate::sync::Deadline;
use crate::sync::cancel::Token;
use crate::sync::select::{self, Event, Hit, Meeting, Met, Pending, Verdict};
use crate::sync::wait::{Ended, WaitNode};
use crate::time::{self, Alarm};

/// One case of a select. What an op does not mention is not looked at.
#[repr(C)]
pub struct weft_select_case {
    /// One of the WEFT_SELECT_ constants.
    pub op: i32,
    /// Set when this case has fired: WEFT_OK; of a channel also WEFT_CLOSED, or WEFT_NOMEM (unbounded). Else left
    /// alone.
    pub status: weft_status,
    /// The channel, future or token.
    pub handle: *mut c_void,
    /// The element to be sent, or the place for the one that is received.
    pub elem: *mut c_void,
    /// A point in time, on the clock of weft_now.
    pub arg: i64,
    /// weft_select_poll keeps its registration here: NULL before the first call. weft_select does not look at it.
    pub reserved: [*mut c_void; 2],
}

/// weft_select_case.op: send *elem into the channel `handle`. Closed, it fires with WEFT_CLOSED, and the element is
/// still the caller's.
pub const WEFT_SELECT_SEND: i32 = 1;
/// weft_select_case.op: receive into *elem from the channel `handle`. Closed and empty, it fires with WEFT_CLOSED, and
/// *elem is as it was.
pub const WEFT_SELECT_RECV: i32 = 2;
/// weft_select_case.op: the future `handle` is settled, whatever the outcome. A weft_async that has not begun gets the
/// priority of the task that selects, but is not run in its place, as weft_future_wait does.
pub const WEFT_SELECT_FUTURE: i32 = 3;
/// weft_select_case.op: the cancel token `handle` is triggered.
pub const WEFT_SELECT_CANCEL: i32 = 4;
/// weft_select_case.op: weft_now() has reached `arg`. INT64_MAX: never.
pub const WEFT_SELECT_TIMER: i32 = 5;

/// A case that has been checked.
#[derive(Clone, Copy)]
enum Case<'a> {
    Channel(channel::select::Case<'a>),
    Future(&'a Cell),
    Token(&'a Token),
    Timer(Alarm),
}

/// Calls a method of the event that a case is.
macro_rules! event {
    ($case:expr, $event:ident => $call:expr) => {
        match $case {
            Case::Channel($event) => $call,
            Case::Future($event) => $call,
            Case::Token($event) => $call,
            Case::Timer($event) => $call,
        }
    };
}

// SAFETY: as of the events.
unsafe impl Event for Case<'_> {
    fn attempt(&self) -> Option<Verdict> {
        event!(self, event => event.attempt())
    }

    fn might(&self) -> bool {
        event!(self, event => event.might())
    }

    fn meeting(&self) -> Option<&dyn Meeting> {
        event!(self, event => event.meeting())
    }

    unsafe fn meet(&self) -> Option<Met> {
        // SAFETY: promised by the caller; the same below.
        event!(self, event => unsafe { event.meet() })
    }

    fn met(&self, met: Met) -> Verdict {
        event!(self, event => event.met(met))
    }

    unsafe fn watch(&self, node: *mut WaitNode) -> bool {
        // SAFETY: as above.
        event!(self, event => unsafe { Event::watch(event, node) })
    }

    fn watched(&self) {
        event!(self, event => event.watched());
    }

    unsafe fn let_go(&self, node: *mut WaitNode) {
        // SAFETY: as above.
        event!(self, event => unsafe { Event::let_go(event, node) });
    }

    fn verdict(&self, outcome: u32) -> Option<Verdict> {
        event!(self, event => event.verdict(outcome))
    }

    fn pass_on(&self) {
        event!(self, event => event.pass_on());
    }

    fn deadline(&self) -> Deadline {
        event!(self, event => event.deadline())
    }
}

/// As many cases are kept on the stack.
const FEW: usize = 8;

/// Writes into `place` what a case stands for.
///
/// # Safety
/// Handles and elements as for the functions that do the same without a select, good for 'a. Polled: the case stays in its
/// place until the select has ended.
#[inline(always)]
unsafe fn check<'a>(
    index: usize,
    case: *mut weft_select_case,
    polled: bool,
    place: &mut MaybeUninit<Case<'a>>,
) -> Result<()> {
    // SAFETY: promised by the caller.
    unsafe {
        let handle = (*case).handle;
        let case = match (*case).op {
            op @ (WEFT_SELECT_SEND | WEFT_SELECT_RECV) => {
                let direction = if op == WEFT_SELECT_SEND { Direction::Send } else { Direction::Receive };
                match Handle::<Channel>::peek(handle.cast()) {
                    Some(channel) if !(*case).elem.is_null() => {
                        Case::Channel(channel.case(direction, (*case).elem.cast()))
                    }
                    _ => return Err(wrong_channel(index, case)),
                }
            }
            WEFT_SELECT_FUTURE => Case::Future(get_future(handle.cast(), &name(index, "handle"))?),
            WEFT_SELECT_CANCEL => Case::Token(Handle::get(handle.cast(), &name(index, "handle"))?),
            WEFT_SELECT_TIMER if polled => {
                may_create()?;
                time::prepare()?;
                Case::Timer(Alarm::polled((*case).arg, (&raw mut (*case).reserved[1]).cast()))
            }
            WEFT_SELECT_TIMER => Case::Timer(Alarm::of_thread((*case).arg)),
            op => return Err(invalid(format!("{}: {op} is none", name(index, "op")))),
        };
        place.write(case);
    }
    Ok(())
}

fn name(index: usize, part: &str) -> String {
    format!("cases[{index}].{part}")
}

/// What is wrong with a channel's case.
///
/// # Safety
/// As for `check`.
#[cold]
unsafe fn wrong_channel(index: usize, case: *const weft_select_case) -> Failure {
    // SAFETY: promised by the caller.
    let channel = unsafe { Handle::<Channel>::get((*case).handle.cast(), &name(index, "handle")) };
    channel.err().unwrap_or_else(|| args::is_null(&name(index, "elem")))
}

/// Checks all cases, and has `f` look at them.
///
/// # Safety
/// As for `check`.
#[inline]
unsafe fn with_cases<R>(
    cases: *mut weft_select_case,
    n: usize,
    polled: bool,
    f: impl FnOnce(&[Case]) -> Result<R>,
) -> Result<R> {
    // SAFETY: promised by the caller.
    unsafe { args::array(cases, n, "cases")? };
    if n == 0 {
        return Err(invalid("n: there are no cases".into()));
    }
    let (mut few, mut many) = ([const { MaybeUninit::uninit() }; FEW], Vec::new());
    let events = match n {
        0..=FEW => &mut few[..n],
        _ => {
            many.resize_with(n, MaybeUninit::uninit);
            &mut many[..]
        }
    };
    for (index, place) in events.iter_mut().enumerate() {
        // SAFETY: promised by the caller, within the array.
        unsafe { check(index, cases.add(index), polled, place)? };
    }
    // SAFETY: all have been written. They are Copy: nothing is to be dropped.
    f(unsafe { std::slice::from_raw_parts(events.as_ptr().cast(), n) })
}

/// Does one of the cases, each that is ready as likely as the others, if they are few and all of channels.
///
/// # Safety
/// As for weft_select.
#[inline(always)]
unsafe fn at_once(cases: *mut weft_select_case, n: usize) -> Option<Hit> {
    if cases.is_null() || !cases.is_aligned() || n.wrapping_sub(1) >= FEW {
        return None;
    }
    // SAFETY: promised by the caller.
    let channel = |index: usize| unsafe {
        let case = &*cases.add(index);
        if !matches!(case.op, WEFT_SELECT_SEND | WEFT_SELECT_RECV) || case.elem.is_null() {
            return None;
        }
        Handle::<Channel>::peek(case.handle.cast())
    };
    // A case that is wrong leaves all undone.
    if !(0..n).all(|index| channel(index).is_some()) {
        return None;
    }
    let mut untried = (1_u32 << n) - 1;
    for left in (1..=n).rev() {
        let nth = select::random_below(left);
        let index = (0..nth).fold(untried, |untried, _| untried & (untried - 1)).trailing_zeros() as usize;
        untried &= !(1 << index);
        // SAFETY: within the array; a handle and an element as promised by the caller.
        let verdict = unsafe {
            let (case, channel) = (&*cases.add(index), channel(index)?);
            let direction = if case.op == WEFT_SELECT_SEND { Direction::Send } else { Direction::Receive };
            pass(channel, direction, case.elem.cast())
        };
        if let Some(verdict) = verdict {
            return Some((index, verdict));
        }
    }
    None
}

/// # Safety
/// As for the functions that it calls.
#[inline]
unsafe fn pass(channel: &Channel, direction: Direction, elem: *mut u8) -> Option<Verdict> {
    // SAFETY: promised by the caller.
    let fast = unsafe {
        match direction {
            Direction::Send => channel.fast_send::<false>(elem),
            Direction::Receive => channel.fast_receive::<false>(elem),
        }
    };
    match fast {
        Fast::Done => Some(Verdict::Done),
        Fast::Attend => {
            attend(channel, direction);
            Some(Verdict::Done)
        }
        // SAFETY: as above.
        Fast::No => unsafe { pass_slowly(channel, direction, elem) },
    }
}

/// What cannot be done by the fast way may be ready all the same (another's side, a rendezvous, an end): it is not to come second to
/// what can.
///
/// # Safety
/// As for `pass`.
#[cold]
#[inline(never)]
unsafe fn pass_slowly(channel: &Channel, direction: Direction, elem: *mut u8) -> Option<Verdict> {
    // SAFETY: promised by the caller.
    boundary_value(None, || Ok(unsafe { channel.case(direction, elem).attempt() }))
}

/// Keeps the channels in place through a wait.
///
/// # Safety
/// `cases` leads to n cases that have been checked.
unsafe fn pins(cases: *const weft_select_case, n: usize) -> Vec<Pin<Channel>> {
    // SAFETY: promised by the caller.
    let cases = unsafe { std::slice::from_raw_parts(cases, n) };
    let channels = cases.iter().filter(|case| matches!(case.op, WEFT_SELECT_SEND | WEFT_SELECT_RECV));
    // SAFETY: as above.
    channels.map(|case| unsafe { Handle::pin(case.handle.cast()) }).collect()
}

/// Writes down what has fired.
///
/// # Safety
/// `cases` leads to the cases, `fired` to a place.
unsafe fn report(cases: *mut weft_select_case, fired: *mut usize, (index, verdict): Hit) {
    let status = match verdict {
        Verdict::Done => Status::Ok as weft_status,
        Verdict::Closed => Status::Closed as weft_status,
        Verdict::Failed(status) => status,
    };
    // SAFETY: promised by the caller.
    unsafe {
        (*cases.add(index)).status = status;
        *fired = index;
    }
}

const BEGUN_BY_PARENT: Failure =
    Failure::new(Status::Forked, "cases: the select that has begun belongs to the parent of this forked process");
const NONE_READY: Failure = Failure::new(Status::WouldBlock, "no case is ready");

/// Waits until one of the n cases can be done, does it, and writes its index into *fired and how it ended into its
/// status. Exactly one is done; of several that are ready, one at random. A channel may be in several cases, in both
/// directions: a select never meets itself. Whoever selects holds a reference to each handle until it returns. Selects
/// that face each other at a rendezvous meet. The array is the caller's; a loop may use it again and again. Blocks as
/// weft_channel_recv does. Any thread. On failure no case was done and all elements are the caller's: WEFT_WOULD_BLOCK,
/// WEFT_TIMEOUT, WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_SHUTDOWN; WEFT_INVALID: n is 0, or a case is wrong, which the
/// message names. A thread that waits for a token as a case and goes by the same token may get either. The protocol
/// with rendezvous is that of Go's select: their locks in the order of addresses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_select(
    cases: *mut weft_select_case,
    n: usize,
    timeout_ns: i64,
    fired: *mut usize,
) -> weft_status {
    if !fired.is_null() && fired.is_aligned() {
        // SAFETY: cases and a place by contract.
        unsafe {
            if let Some(hit) = at_once(cases, n) {
                report(cases, fired, hit);
                return Status::Ok as weft_status;
            }
        }
    }
    // SAFETY: as above.
    unsafe { select_slowly(cases, n, timeout_ns, fired) }
}

/// # Safety
/// As for weft_select.
#[cold]
#[inline(never)]
unsafe extern "C" fn select_slowly(
    cases: *mut weft_select_case,
    n: usize,
    timeout_ns: i64,
    fired: *mut usize,
) -> weft_status {
    boundary(|| {
        let fired = place(fired, "fired")?;
        let deadline = Deadline::after(timeout_ns);
        // SAFETY: cases by contract.
        let hit = unsafe {
            with_cases(cases, n, false, |events| {
                let mut hit = select::select(events, Deadline::Now);
                if hit.is_err() && deadline != Deadline::Now {
                    let _pins = pins(cases, n);
                    hit = select::select(events, deadline);
                }
                hit.map_err(|ended| match ended {
                    Ended::TimedOut if deadline == Deadline::Now => NONE_READY,
                    ended => {
                        ended.failure().unwrap_or_else(|| Failure::new(Status::Timeout, "no case became ready in time"))
                    }
                })
            })?
        };
        // SAFETY: by contract.
        unsafe { report(cases, fired, hit) };
        Ok(())
    })
}

/// weft_select for poll tasks: never blocks. WEFT_WOULD_BLOCK: the waker is woken when it is worth while to call this
/// again, with the same cases. Until it returns WEFT_OK, or weft_select_poll_end has returned that or WEFT_WOULD_BLOCK,
/// the cases, their elements and a reference to each handle stay in place, for a case may be done at any time; they are
/// not touched otherwise. NULL in `reserved` of all cases before the first call. A task that is woken and not called
/// keeps nothing from threads that wait for the same, but may from other poll tasks. WEFT_INVALID: as weft_select; n is
/// not the same; a select that has begun goes on. WEFT_OS: no thread for timers. WEFT_FORKED: also when a parent's task
/// has begun it; NULL in `reserved` lets the child begin another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_select_poll(
    cases: *mut weft_select_case,
    n: usize,
    waker: *const weft_waker,
    fired: *mut usize,
) -> weft_status {
    boundary(|| {
        let fired = place(fired, "fired")?;
        // SAFETY: cases and a handle by contract.
        let hit = unsafe {
            let waker = Handle::<Waker>::get(waker, "waker")?;
            with_pending(cases, n, |pending, events| pending.poll(events, waker))?
        };
        // SAFETY: by contract.
        unsafe { report(cases, fired, hit.ok_or(NONE_READY)?) };
        Ok(())
    })
}

/// Ends a weft_select_poll that has returned WEFT_WOULD_BLOCK: from here on cases and elements are the caller's again.
/// WEFT_OK: a case has been done meanwhile, *fired. WEFT_WOULD_BLOCK: none has. Never blocks; on the thread that would
/// have polled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_select_poll_end(
    cases: *mut weft_select_case,
    n: usize,
    fired: *mut usize,
) -> weft_status {
    boundary(|| {
        let fired = place(fired, "fired")?;
        // SAFETY: cases by contract.
        let hit = unsafe { with_pending(cases, n, |pending, events| pending.forget(events))? };
        // SAFETY: by contract.
        unsafe { report(cases, fired, hit.ok_or(NONE_READY)?) };
        Ok(())
    })
}

/// Takes the registration from the first case, and leaves it there again.
///
/// # Safety
/// As for `check`, polled.
unsafe fn with_pending<R>(
    cases: *mut weft_select_case,
    n: usize,
    f: impl FnOnce(&mut Pending, &[Case]) -> R,
) -> Result<R> {
    // SAFETY: promised by the caller. What is in the first case's place was put there below.
    unsafe {
        with_cases(cases, n, true, |events| {
            let place = &raw mut (*cases).reserved[0];
            // Not left there meanwhile: a child that is forked now would find what is about to be freed.
            let mut pending = Pending::from_raw(place.replace(ptr::null_mut()).cast());
            let result = match pending.cases() {
                _ if pending.is_inherited() => Err(BEGUN_BY_PARENT),
                Some(cases) if cases != n => Err(invalid(format!("n: the select that has begun has {cases} cases"))),
                _ => Ok(f(&mut pending, events)),
            };
            *place = pending.into_raw().cast();
            result
        })
    }
}
