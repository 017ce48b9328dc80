//! Tokens and shields: what goes by them, where they end, and what happens to those who leave in the wrong order.

use std::ffi::c_void;
use std::ptr;
use std::thread;

use super::*;
use crate::error::Result;
use crate::sync::Lock;
use crate::sync::cancel::Token;

fn token() -> Token {
    Token::new([None, None])
}

fn triggered() -> Token {
    let token = token();
    token.trigger(c"enough");
    token
}

fn is(result: Result<()>, status: Status) -> bool {
    result.is_err_and(|failure| failure.is(status))
}

/// A wait for nothing, whose time has come before it begins.
fn late_wait() -> Ended {
    Gate::default().wait(Deadline::At(1))
}

fn goes_by(token: Option<&Token>) -> bool {
    match (frame::token(), token) {
        (Some(current), Some(token)) => current.is(token),
        (None, None) => true,
        _ => false,
    }
}

/// The same on all threads. The caller goes by `before`.
fn enter_and_leave(before: Option<&Token>) {
    let (a, b) = (token(), token());
    assert!(goes_by(before));
    frame::enter(Some(a.clone()));
    frame::enter(Some(b.clone()));
    assert!(goes_by(Some(&b)));
    // Whoever leaves in the wrong order has left nothing.
    assert!(is(frame::leave(Some(&a)), Status::Invalid));
    assert!(is(frame::leave(None), Status::Invalid));
    assert!(goes_by(Some(&b)));
    frame::enter(None);
    assert!(goes_by(None) && frame::current().unwrap().shielded);
    assert!(is(frame::leave(Some(&b)), Status::Invalid));
    frame::enter(Some(a.clone()));
    assert!(goes_by(Some(&a)) && frame::current().unwrap().shielded);
    frame::leave(Some(&a)).unwrap();
    assert!(goes_by(None) && frame::current().unwrap().shielded);
    frame::leave(None).unwrap();
    frame::leave(Some(&b)).unwrap();
    frame::leave(Some(&a)).unwrap();
    assert!(goes_by(before));
    // What was there before this was not entered.
    for never_entered in [Some(&a), before, None] {
        assert!(is(frame::leave(never_entered), Status::Invalid));
    }
    assert!(goes_by(before));
}

/// What is done on a thread of its own, whose traces end with it.
fn outside<R: Send>(body: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(body).join().unwrap())
}

#[test]
fn what_was_entered_last_is_left_first() {
    outside(|| enter_and_leave(None));
    let runtime = runtime(1, 1);
    runtime.run(|_| enter_and_leave(None)).unwrap();
    let own = token();
    runtime
        .run(|worker| {
            worker.within(worker.task_context(Some(c"named"), Some(own.clone())), || {
                enter_and_leave(Some(&own));
                // The name stays whatever is entered.
                frame::enter(None);
                assert_eq!((worker.task_name(), &*worker.origin()), (Some(c"named"), "task named, worker 0"));
                frame::leave(None).unwrap();
            })
        })
        .unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

/// A thread's waits end by what it has entered, and by nothing else.
fn waits_end() {
    let (quiet, enough) = (token(), triggered());
    assert_eq!(late_wait(), Ended::TimedOut);
    frame::enter(Some(quiet.clone()));
    assert_eq!(late_wait(), Ended::TimedOut);
    frame::enter(Some(enough.clone()));
    assert_eq!((late_wait(), Gate::default().wait(Deadline::Never)), (Ended::Cancelled, Ended::Cancelled));
    frame::enter(None);
    assert_eq!(late_wait(), Ended::TimedOut);
    frame::leave(None).unwrap();
    assert_eq!(late_wait(), Ended::Cancelled);
    frame::leave(Some(&enough)).unwrap();
    assert_eq!(late_wait(), Ended::TimedOut);
    // During a wait, or before it: both are the same to who waits.
    thread::scope(|scope| {
        scope.spawn(|| quiet.trigger(c"now"));
        assert_eq!(Gate::default().wait(Deadline::Never), Ended::Cancelled);
    });
    frame::leave(Some(&quiet)).unwrap();
    assert_eq!(late_wait(), Ended::TimedOut);
}

#[test]
fn waits_go_by_what_was_entered() {
    outside(waits_end);
    let runtime = runtime(1, 0);
    runtime.run(|_| waits_end()).unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

#[test]
fn a_shield_keeps_a_shutdown_out() {
    let runtime = runtime(1, 1);
    runtime
        .run(|worker| {
            let enough = triggered();
            frame::enter(Some(enough.clone()));
            assert!(worker.is_cancelled());
            frame::leave(Some(&enough)).unwrap();
            assert!(!worker.is_cancelled());
            assert!(is(worker.core().shutdown(Mode::Discard, Deadline::Now), Status::WouldBlock));
            assert_eq!((worker.is_cancelled(), late_wait()), (true, Ended::Shutdown));
            frame::enter(None);
            assert_eq!((worker.is_cancelled(), late_wait()), (false, Ended::TimedOut));
            frame::leave(None).unwrap();
            assert_eq!((worker.is_cancelled(), late_wait()), (true, Ended::Shutdown));
        })
        .unwrap();
    runtime.shutdown(Mode::Discard, Deadline::Never).unwrap();
}

#[test]
fn runs_inherit() {
    let (runtime, own) = (runtime(1, 1), token());
    outside(|| {
        frame::enter(Some(own.clone()));
        assert_eq!(runtime.run(|_| goes_by(Some(&own))), Ok(true));
        frame::enter(None);
        // A shield is for the waits of who has put it up, not for what runs elsewhere meanwhile.
        assert_eq!(runtime.run(|worker| goes_by(None) && !worker.context().unwrap().shielded), Ok(true));
        frame::leave(None).unwrap();
        frame::leave(Some(&own)).unwrap();
        assert_eq!(runtime.run(|_| goes_by(None)), Ok(true));
    });
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

/// A thread that blocks in one half leaves the other to the next thread, which takes over what the first went by at the fork.
#[test]
fn halves_inherit() {
    let own = token();
    for before in [None, Some(&own)] {
        for within in [None, Some(None), Some(Some(token()))] {
            // A half is shared when it is forked, if somebody has asked, or else when its owner blocks.
            let runtime = runtime(1, 0);
            let both = runtime.run(|worker| {
                frame::enter(before.cloned());
                let (taken, here) = (Gate::default(), thread::current().id());
                let first = |_: &Worker| {
                    within.iter().for_each(|token| frame::enter(token.clone()));
                    taken.wait(Deadline::Never);
                    within.iter().for_each(|token| frame::leave(token.as_ref()).unwrap());
                };
                let second = |_: &Worker| {
                    let inherits = goes_by(before) && frame::current().unwrap().shielded == before.is_none();
                    taken.open();
                    (inherits, thread::current().id() == here)
                };
                let ((), second) = crate::parallel::join(worker, first, second);
                frame::leave(before).unwrap();
                second
            });
            assert_eq!(both, Ok((true, false)));
            runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
        }
    }
}

#[test]
fn nobody_leaves_between_a_fork_and_its_sync() {
    unsafe extern "C-unwind" fn half(_: *mut region::Slot, _: *mut c_void) {}
    let runtime = runtime(1, 1);
    runtime
        .run(|worker| {
            let own = token();
            frame::enter(Some(own.clone()));
            // SAFETY: the half needs no argument, and is synced below.
            let position = unsafe { worker.fork(half, ptr::null_mut()) };
            assert!(is(frame::leave(Some(&own)), Status::Busy) && goes_by(Some(&own)));
            // Entered and left within the fork: that is in order.
            frame::enter(None);
            frame::leave(None).unwrap();
            assert!(matches!(worker.sync(position), region::Synced::Mine));
            frame::leave(Some(&own)).unwrap();
        })
        .unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

/// A task that ends without leaving what it has entered, one way or the other: the next one on its thread is not part of it.
#[test]
fn tasks_that_do_not_leave_are_told_and_undone() {
    let _turn = LOG.lock();
    let told = Arc::new(Lock::new(Vec::new()));
    let noted = told.clone();
    let sink = move |record: &observe::Record| {
        if record.runtime == *c"leaving" {
            noted.lock().push(record.message.to_string_lossy().into_owned());
        }
    };
    observe::set_outlet(observe::Outlet::Sink(Box::new(sink), observe::Level::Warn)).unwrap();
    let options = Options { name: Some("leaving".into()), workers: 1, max_threads: 1, ..Options::default() };
    let runtime = Runtime::new(options).unwrap();
    for fails in [false, true] {
        let forget = |worker: &Worker| {
            frame::enter(Some(triggered()));
            frame::enter(None);
            frame::enter(Some(token()));
            worker.begin_blocking();
            worker.begin_blocking();
            if fails {
                std::panic::resume_unwind(Box::new("contained"));
            }
        };
        let ended = runtime.run(|worker| {
            let context = worker.task_context(Some(c"stubborn"), None);
            worker.within(context, || worker.protect(&"a callback", || forget(worker)))
        });
        assert_eq!(ended.unwrap().is_err(), fails);
        // Neither what it went by nor how often it was blocked is left.
        let clean = runtime.run(|worker| goes_by(None) && !worker.is_cancelled() && !worker.end_blocking());
        assert_eq!(clean, Ok(true));
    }
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    observe::set_outlet(observe::Outlet::Silence).unwrap();
    let told = std::mem::take(&mut *told.lock());
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|message| message.starts_with("task 'stubborn', a callback ")), "{told:?}");
    assert!(told[0].ends_with("entering and leaving a token") && told[1].ends_with("panicked: contained"), "{told:?}");
}
