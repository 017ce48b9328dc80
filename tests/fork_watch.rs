//! Watches of descriptors across a fork: the parent's are dead in the child, whoever holds them there. A program of its own: what
//! its other threads did would matter to the child.

use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::os::fd::AsRawFd;
use std::panic::catch_unwind;
use std::sync::mpsc::{Receiver, channel};

use weft::platform::fork;
use weft::time::reactor::{FdWatch, Interest, Ready, watch};

const READ: Interest = Interest { readable: true, writable: false };

struct Watched {
    reader: PipeReader,
    writer: PipeWriter,
    watch: FdWatch,
    told: Receiver<Ready>,
}

fn watched() -> Watched {
    let (reader, writer) = pipe().unwrap();
    let (sender, told) = channel();
    let watch = watch(reader.as_raw_fd(), READ, Box::new(move |ready| sender.send(ready).unwrap())).unwrap();
    Watched { reader, writer, watch, told }
}

/// One that is told, one that is taken back.
fn works() {
    let mut told = watched();
    let back = watched();
    told.writer.write_all(b"x").unwrap();
    assert!(told.told.recv().unwrap().readable);
    assert!(!told.watch.off());
    assert!(back.watch.off());
    assert!(back.told.recv().is_err());
}

#[test]
fn a_childs_watches_are_its_own() {
    fork::watch();
    works();
    let mut parent = watched();
    // SAFETY: the child runs what is below, and leaves.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let life = move || {
            fork::admit();
            assert!(!parent.watch.off() && !parent.watch.take_back());
            works();
            // Ready, for whoever looks: it is not told of here.
            let Watched { reader, mut writer, watch: own, told } = parent;
            writer.write_all(b"x").unwrap();
            drop(own);
            works();
            assert!(told.try_recv().is_err());
            drop(reader);
        };
        let failed = catch_unwind(std::panic::AssertUnwindSafe(life)).is_err();
        // SAFETY: ends the child.
        unsafe { libc::_exit(failed.into()) };
    }
    let mut status = -1;
    // SAFETY: waits for the child.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    // What the child has written was for both; it has taken nothing away.
    assert!(parent.told.recv().unwrap().readable);
    assert!(!parent.watch.off());
    parent.writer.write_all(b"x").unwrap();
    works();
}
