//! Weft's futures beside their peers: `futures LIBWEFT.SO`. What is measured is a round trip, one after the other: a
//! task with a result is started and its result waited for; and links that are chained to a result that is there.

use std::ffi::c_void;
use std::hint::black_box;
use std::ptr::{null, null_mut};
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;
use weft_peers::c_abi::{self, FOREVER, OK, Object, Status, check};
use weft_peers::contest::{self, Contestant, Measure, cpu_time, measured, since};

/// Links of a chain.
const LINKS: u64 = 256;

/// What the tasks return.
fn answer() -> u64 {
    black_box(42)
}

unsafe extern "C" fn weft_answer(_: Object, _: *mut c_void, result: *mut *mut c_void) -> Status {
    // SAFETY: a place for the result, says the header.
    unsafe { *result = answer() as *mut c_void };
    OK
}

unsafe extern "C" fn weft_link(_: Object, _: Object, _: *mut c_void, result: *mut *mut c_void) -> Status {
    // SAFETY: as above.
    unsafe { *result = answer() as *mut c_void };
    OK
}

fn weft_start(runtime: Object) -> Object {
    let mut future = null_mut();
    // SAFETY: a runtime, no options, a place for the handle.
    check(unsafe { (c_abi::weft().run_async)(runtime, weft_answer, null_mut(), null(), &mut future) });
    future
}

fn weft_finish(future: Object) {
    let mut value = null_mut();
    // SAFETY: a future that is ours, for the last time.
    unsafe {
        check((c_abi::weft().future_get)(future, FOREVER, &mut value));
        (c_abi::weft().future_release)(future);
    }
    assert_eq!(value as u64, 42);
}

/// What a task is told to measure, and the answer.
struct Inside<'a> {
    runtime: Object,
    work: &'a dyn Fn(Object),
    measure: Measure,
}

unsafe extern "C" fn weft_inside(_: Object, arg: *mut c_void) {
    // SAFETY: from weft_run below, which waits.
    let inside = unsafe { &mut *arg.cast::<Inside>() };
    inside.measure = measured(|| (inside.work)(inside.runtime)).0;
}

/// Measures in a task of the runtime.
fn weft_in_task(runtime: Object, work: &dyn Fn(Object)) -> Measure {
    let mut inside = Inside { runtime, work, measure: Measure::default() };
    // SAFETY: a runtime, and what weft_inside takes.
    check(unsafe { (c_abi::weft().run)(runtime, weft_inside, (&raw mut inside).cast()) });
    inside.measure
}

fn weft_trips(runtime: Object, trips: u64) {
    (0..trips).for_each(|_| weft_finish(weft_start(runtime)));
}

/// Chains of links, each made while the ones before it may still run.
fn weft_links(runtime: Object, links: u64) -> Option<()> {
    let then = c_abi::then()?;
    for _ in 0..links / LINKS {
        let mut last = weft_start(runtime);
        // SAFETY: a future that is ours; waiting does not use it up.
        check(unsafe { (c_abi::weft().future_get)(last, FOREVER, &mut null_mut()) });
        for _ in 0..LINKS {
            let mut next = null_mut();
            // SAFETY: a future, a runtime, a link without an argument, no options, a place for the handle; the link
            // keeps what it needs of its source.
            unsafe {
                check(then(last, runtime, weft_link, null_mut(), null(), &mut next));
                (c_abi::weft().future_release)(last);
            }
            last = next;
        }
        weft_finish(last);
    }
    Some(())
}

async fn tokio_trips(trips: u64) {
    for _ in 0..trips {
        assert_eq!(tokio::spawn(async { answer() }).await.expect("no panic"), 42);
    }
}

async fn tokio_oneshots(trips: u64) {
    for _ in 0..trips {
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move { sender.send(answer()) });
        assert_eq!(receiver.await.expect("no panic"), 42);
    }
}

async fn tokio_links(links: u64) {
    for _ in 0..links / LINKS {
        let mut last = tokio::spawn(async { answer() });
        while !last.is_finished() {
            tokio::task::yield_now().await;
        }
        for _ in 0..LINKS {
            let source = last;
            last = tokio::spawn(async move {
                source.await.expect("no panic");
                answer()
            });
        }
        assert_eq!(last.await.expect("no panic"), 42);
    }
}

/// Measures in a task of the runtime.
fn in_tokio(runtime: &tokio::runtime::Runtime, work: impl Future<Output = ()> + Send + 'static) -> Measure {
    runtime
        .block_on(runtime.spawn(async move {
            let (begin, cpu) = (Instant::now(), cpu_time());
            work.await;
            since(begin, cpu)
        }))
        .expect("no panic")
}

fn rayon_start(spawn: impl FnOnce(Box<dyn FnOnce() + Send>)) -> mpsc::Receiver<u64> {
    let (sender, receiver) = mpsc::sync_channel(1);
    spawn(Box::new(move || sender.send(answer()).expect("somebody waits")));
    receiver
}

/// A worker of rayon's that waits runs what there is meanwhile: with one worker nobody else would.
fn rayon_finish_inside(receiver: &mpsc::Receiver<u64>) {
    loop {
        match receiver.try_recv() {
            Ok(value) => break assert_eq!(value, 42),
            Err(TryRecvError::Disconnected) => panic!("no answer"),
            Err(TryRecvError::Empty) => {
                if rayon::yield_now() != Some(rayon::Yield::Executed) {
                    thread::yield_now();
                }
            }
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(library), None) = (arguments.next(), arguments.next()) else { panic!("usage: futures LIBWEFT.SO") };
    c_abi::load(&library);
    contest::head("round trips (links)");
    for workers in 1..=2 {
        let weft = c_abi::Runtime::new(workers);
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(workers as usize).build().expect("threads");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(workers as usize).build().expect("threads");
        let title = |what: &str| format!("{what}, {workers} worker{}", if workers > 1 { "s" } else { "" });

        let contestants = vec![
            Contestant::new("weft", |trips| Some(measured(|| weft_trips(weft.0, trips)).0)),
            Contestant::new("tokio-spawn", |trips| Some(measured(|| tokio.block_on(tokio_trips(trips))).0)),
            Contestant::new("tokio-oneshot", |trips| Some(measured(|| tokio.block_on(tokio_oneshots(trips))).0)),
            Contestant::new("rayon-channel", |trips| {
                let trip = |_| assert_eq!(rayon_start(|job| pool.spawn(job)).recv(), Ok(42));
                Some(measured(|| (0..trips).for_each(trip)).0)
            }),
        ];
        contest::contest(&title("round trip from outside"), 1 << 18, contestants);

        let contestants = vec![
            Contestant::new("weft", |trips| Some(weft_in_task(weft.0, &|runtime| weft_trips(runtime, trips)))),
            Contestant::new("tokio-spawn", |trips| Some(in_tokio(&tokio, tokio_trips(trips)))),
            Contestant::new("tokio-oneshot", |trips| Some(in_tokio(&tokio, tokio_oneshots(trips)))),
            Contestant::new("rayon-channel", |trips| {
                let trip = |_| rayon_finish_inside(&rayon_start(rayon::spawn));
                Some(pool.install(|| measured(|| (0..trips).for_each(trip)).0))
            }),
        ];
        contest::contest(&title("round trip from a task"), 1 << 18, contestants);

        let contestants = vec![
            Contestant::new("weft", |links| {
                c_abi::then()?;
                Some(weft_in_task(weft.0, &|runtime| weft_links(runtime, links).expect("it is there")))
            }),
            Contestant::new("tokio-spawn", |links| Some(in_tokio(&tokio, tokio_links(links)))),
        ];
        contest::contest(&title("then, per link"), 1 << 18, contestants);
    }
}
