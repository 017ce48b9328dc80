use std::fs::File;
use std::io::{PipeReader, Read, Write, pipe};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use super::*;
use crate::sync::Gate;

const READ: Interest = Interest { readable: true, writable: false };
const WRITE: Interest = Interest { readable: false, writable: true };
const NOTHING: Interest = Interest { readable: false, writable: false };

fn send(to: &Sender<Ready>) -> Call {
    let to = to.clone();
    Box::new(move |ready| to.send(ready).unwrap())
}

fn watching(fd: &impl AsRawFd, interest: Interest) -> (FdWatch, Receiver<Ready>) {
    let (sender, receiver) = channel();
    (watch(fd.as_raw_fd(), interest, send(&sender)).unwrap(), receiver)
}

fn told(fd: &impl AsRawFd, interest: Interest) -> Ready {
    let (watch, receiver) = watching(fd, interest);
    let ready = receiver.recv().unwrap();
    // Once.
    assert!(!watch.off() && receiver.recv().is_err());
    ready
}

/// Returns when the reactor has told of everything that was ready when it was called.
fn let_tell() {
    let (reader, writer) = pipe().unwrap();
    drop(writer);
    assert!(told(&reader, READ).hung_up);
    // Once more: what was told in the same go as the first.
    assert!(told(&reader, READ).hung_up);
}

#[test]
fn told_of_what_was_asked_for() {
    let (mut one, other) = UnixStream::pair().unwrap();
    let none = Ready::default();
    let (reads, receiver) = watching(&other, READ);
    assert_eq!(told(&other, WRITE), Ready { writable: true, ..none });
    let_tell();
    assert!(receiver.try_recv().is_err());
    one.write_all(b"x").unwrap();
    assert_eq!(receiver.recv(), Ok(Ready { readable: true, ..none }));
    assert!(!reads.off());
    assert_eq!(
        told(&other, Interest { readable: true, writable: true }),
        Ready { readable: true, writable: true, ..none }
    );
}

#[test]
fn told_of_the_end_in_any_case() {
    let (one, other) = UnixStream::pair().unwrap();
    let (_nothing, receiver) = watching(&other, NOTHING);
    let_tell();
    assert!(receiver.try_recv().is_err());
    one.shutdown(Shutdown::Write).unwrap();
    let none = Ready::default();
    assert_eq!(receiver.recv(), Ok(Ready { hung_up: true, ..none }));
    // Half of the end is none for a writer.
    assert_eq!(told(&other, WRITE), Ready { writable: true, ..none });
    drop(one);
    assert_eq!(told(&other, WRITE), Ready { writable: true, hung_up: true, ..none });
    assert_eq!(told(&other, READ), Ready { readable: true, hung_up: true, ..none });
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    assert_eq!(told(&writer, NOTHING), Ready { failed: true, ..none });
}

#[test]
fn what_is_taken_back_is_not_called_and_goes_at_once() {
    let (reader, mut writer) = pipe().unwrap();
    let owned = Arc::new(());
    for dropped in [false, true] {
        let inside = owned.clone();
        let call = Box::new(move |_| {
            drop(inside);
            panic!("it was taken back");
        });
        let watch = watch(reader.as_raw_fd(), READ, call).unwrap();
        assert_eq!(Arc::strong_count(&owned), 2);
        if dropped {
            drop(watch);
        } else {
            assert!(watch.off() && !watch.off() && !watch.take_back());
        }
        assert_eq!(Arc::strong_count(&owned), 1);
    }
    writer.write_all(b"x").unwrap();
    assert!(told(&reader, READ).readable);
}

#[test]
fn one_that_is_left_is_called() {
    let (reader, mut writer) = pipe().unwrap();
    let (watch, receiver) = watching(&reader, READ);
    watch.leave();
    writer.write_all(b"x").unwrap();
    assert!(receiver.recv().unwrap().readable);
}

#[test]
fn who_is_too_late_waits_for_the_return() {
    let (reader, writer) = pipe().unwrap();
    let (inside, go_on, owned) =
        (Arc::new(Gate::default()), Arc::new(Gate::default()), Arc::new(AtomicBool::new(false)));
    let call = {
        let (inside, go_on, owned) = (inside.clone(), go_on.clone(), owned.clone());
        move |_| {
            inside.open();
            go_on.wait(Deadline::Never);
            owned.store(true, Ordering::Relaxed);
        }
    };
    let watch = watch(reader.as_raw_fd(), READ, Box::new(call)).unwrap();
    drop(writer);
    inside.wait(Deadline::Never);
    assert!(!watch.take_back());
    thread::scope(|scope| {
        let late = scope.spawn(|| {
            let off = watch.off();
            (off, owned.load(Ordering::Relaxed))
        });
        go_on.open();
        assert_eq!(late.join().unwrap(), (false, true));
    });
    assert_eq!(Arc::strong_count(&owned), 1);
}

#[test]
fn off_and_again_from_within() {
    struct Turns {
        reader: PipeReader,
        current: [OnceLock<FdWatch>; 3],
        over: Gate,
    }
    fn turn(turns: &Arc<Turns>, number: usize) {
        if number == turns.current.len() {
            return turns.over.open();
        }
        let next = turns.clone();
        let call = Box::new(move |ready: Ready| {
            assert!(ready.hung_up && is_here());
            // Before it is known outside it may run.
            assert!(next.current[number].get().is_none_or(|watch| !watch.off()));
            turn(&next, number + 1);
        });
        let watch = watch(turns.reader.as_raw_fd(), READ, call).unwrap();
        assert!(turns.current[number].set(watch).is_ok());
    }
    let (reader, writer) = pipe().unwrap();
    drop(writer);
    let turns = Arc::new(Turns { reader, current: Default::default(), over: Gate::default() });
    turn(&turns, 0);
    turns.over.wait(Deadline::Never);
}

#[test]
fn one_number_many_watches_many_meanings() {
    let (reader, mut writer) = pipe().unwrap();
    let (first, first_told) = watching(&reader, READ);
    let (_second, second_told) = watching(&reader, READ);
    // Closed while it is watched, and the number given to something else, which is ready and gets hung up.
    let number = reader.as_raw_fd();
    drop(reader);
    let (mut other, mut other_writer) = pipe().unwrap();
    // The number itself, unless another test has got it meanwhile.
    // SAFETY: takes numbers.
    let reused = unsafe { libc::fcntl(other.as_raw_fd(), libc::F_DUPFD_CLOEXEC, number) };
    assert!(reused >= number);
    other_writer.write_all(b"other").unwrap();
    let_tell();
    assert!(first_told.try_recv().is_err() && second_told.try_recv().is_err());
    assert!(first.off());
    writer.write_all(b"x").unwrap();
    assert!(second_told.recv().unwrap().readable && first_told.recv().is_err());
    let mut text = [0; 5];
    other.read_exact(&mut text).unwrap();
    // SAFETY: made above, and nobody else's.
    unsafe { libc::close(reused) };
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let refused = |fd| watch(fd, READ, Box::new(|_| panic!("it was refused"))).map(drop).unwrap_err();
    assert!(refused(-1).is(Status::Invalid) && refused(i32::MAX).is(Status::Invalid));
    let directory = File::open("/").unwrap();
    assert!(refused(directory.as_raw_fd()).is(Status::Unsupported));
}

#[test]
fn a_panic_stays_its_own() {
    let (reader, writer) = pipe().unwrap();
    drop(writer);
    let call = Box::new(|_| std::panic::resume_unwind(Box::new("as arranged")));
    watch(reader.as_raw_fd(), READ, call).unwrap().leave();
    let_tell();
}

/// Every watch is told once or taken back, whoever does what when; and timers go on.
#[test]
fn a_storm_of_watches_loses_none() {
    const THREADS: usize = 3;
    const EACH: usize = 500;
    let calls = AtomicUsize::new(0);
    let calls: &'static AtomicUsize = Box::leak(Box::new(calls));
    let off: usize = thread::scope(|scope| {
        let work = |seed: usize| {
            let mut off = 0;
            for number in 0..EACH {
                let (mut one, other) = UnixStream::pair().unwrap();
                let call = || -> Call { Box::new(|_| _ = calls.fetch_add(1, Ordering::Relaxed)) };
                let first = watch(other.as_raw_fd(), READ, call()).unwrap();
                let second = watch(other.as_raw_fd(), READ, call()).unwrap();
                match (number + seed) % 3 {
                    0 => drop(other),
                    1 => one.write_all(b"x").unwrap(),
                    _ => {}
                }
                off += usize::from(first.off());
                drop(one);
                off += usize::from(second.off());
            }
            off
        };
        let threads: Vec<_> = (0..THREADS).map(|seed| scope.spawn(move || work(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(calls.load(Ordering::Relaxed) + off, 2 * THREADS * EACH);
}
