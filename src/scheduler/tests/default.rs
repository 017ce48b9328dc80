//! The default runtime: one at a time, and a next one after each end. There is one in a process, so these tests take turns.

use std::ptr;
use std::thread;

use super::*;
use crate::error::Result;

static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn is(result: Result<()>, status: Status) -> bool {
    result.is_err_and(|failure| failure.is(status))
}

/// Leaves nothing of a test's to the next one.
struct Turn(#[allow(dead_code)] std::sync::LockResult<std::sync::MutexGuard<'static, ()>>);

impl Turn {
    fn with(options: Options) -> Turn {
        let turn = Turn(TURN.lock());
        shutdown_default(Mode::Drain, Deadline::Never).unwrap();
        configure_default(options).unwrap();
        turn
    }
}

#[test]
fn one_comes_after_the_other() {
    let _turn = Turn::with(Options { name: Some("mine".into()), workers: 2, ..Options::default() });
    assert!(is(configure_default(Options { workers: MAX_WORKERS + 1, ..Options::default() }), Status::Invalid));
    let first = default_runtime().unwrap();
    assert!(ptr::eq(first, default_runtime().unwrap()));
    assert!(is(configure_default(Options::default()), Status::Busy));
    assert_eq!((first.name(), first.workers(), first.run(|_| 7)), (c"mine", 2, Ok(7)));
    shutdown_default(Mode::Drain, Deadline::Never).unwrap();
    // Who has missed the end meets a runtime that takes nothing, not freed memory.
    assert!(is(first.run(|_| ()), Status::Shutdown) && is(first.spawn(Call(|_: &Worker| ())), Status::Shutdown));
    assert_eq!((first.shutdown(Mode::Drain, Deadline::Now), first.stats().threads), (Ok(()), 0));
    // The options stay until there are others.
    let second = default_runtime().unwrap();
    assert!(!ptr::eq(first, second) && second.name() == c"mine");
    assert_eq!(second.run(|_| 8), Ok(8));
    shutdown_default(Mode::Discard, Deadline::Never).unwrap();
    shutdown_default(Mode::Drain, Deadline::Now).unwrap();
    configure_default(Options { name: Some("other".into()), ..Options::default() }).unwrap();
    assert_eq!(default_runtime().unwrap().name(), c"other");
    assert_eq!((first.stats().executed, second.stats().executed), (1, 1));
    shutdown_default(Mode::Drain, Deadline::Never).unwrap();
}

#[test]
fn its_own_task_may_begin_the_end() {
    let _turn = Turn::with(Options::default());
    let first = default_runtime().unwrap();
    let second = first
        .run(|_| {
            assert!(is(shutdown_default(Mode::Drain, Deadline::Never), Status::Deadlock));
            assert!(ptr::eq(first, default_runtime().unwrap()));
            assert!(is(shutdown_default(Mode::Drain, Deadline::Now), Status::WouldBlock));
            // The old one runs this task still; who needs a runtime gets the next.
            let second = default_runtime().unwrap();
            assert!(first.spawn(Call(|_: &Worker| ())).is_ok());
            second
        })
        .unwrap();
    assert!(!ptr::eq(first, second));
    assert_eq!(second.run(|_| 7), Ok(7));
    shutdown_default(Mode::Drain, Deadline::Never).unwrap();
    first.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!((first.stats().executed, second.stats().executed), (2, 1));
}

#[test]
fn it_can_be_of_another_kind() {
    let _turn = Turn::with(Options { kind: Kind::Single, ..Options::default() });
    let ran = Arc::new(AtomicUsize::new(0));
    for round in 1..=3 {
        let (core, count) = (default_runtime().unwrap(), ran.clone());
        spawn(core, move |_| _ = count.fetch_add(1, Ordering::Relaxed));
        assert_eq!((core.kind(), ran.load(Ordering::Relaxed)), (Kind::Single, round - 1));
        core.run_here(Run::UntilIdle).unwrap();
        assert_eq!(ran.load(Ordering::Relaxed), round);
        shutdown_default(Mode::Drain, Deadline::Never).unwrap();
        assert!(is(core.run_here(Run::UntilIdle), Status::Shutdown));
    }
}

/// Uses that race with ends: each runs its task, or is told that there was no runtime for it.
#[test]
fn uses_race_with_ends() {
    const USES: usize = 200;
    let _turn = Turn::with(Options { workers: 2, ..Options::default() });
    let ran = AtomicUsize::new(0);
    let uses = || {
        let try_one = |_: &usize| match default_runtime().unwrap().run(|_| ran.fetch_add(1, Ordering::Relaxed)) {
            Ok(_) => true,
            Err(failure) => {
                assert!(failure.is(Status::Shutdown), "{failure:?}");
                false
            }
        };
        (0..USES).filter(try_one).count()
    };
    let told = thread::scope(|scope| {
        let users = [(); 2].map(|()| scope.spawn(uses));
        for round in 0..20 {
            let mode = if round % 2 == 0 { Mode::Drain } else { Mode::Discard };
            default_runtime().unwrap();
            shutdown_default(mode, Deadline::Never).unwrap();
        }
        users.map(|user| user.join().unwrap())
    });
    shutdown_default(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(told.iter().sum::<usize>(), ran.into_inner());
}
