//! The two sides of a contestant. The other process does what orders say that come on its standard input: so many messages of
//! that length, one way or to and fro; it ends with them.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use weft_peers::c_abi;

use crate::ends::{End, Kind, LONGEST, leave_open};

/// What becomes of messages.
#[derive(Clone, Copy, PartialEq)]
enum Work {
    /// They are counted; then what was counted comes back.
    OneWay = 0,
    /// Each is answered by one of the same length.
    Trips = 1,
    /// As trips, and all bytes are looked at.
    Whole = 2,
}

/// What a one-way order is answered by: how many messages, how many bytes.
const COUNTED: usize = 16;

/// Keeps this thread, and whom it starts, on a CPU until the value goes, if WEFT_BENCH_PIN is set. Libraries that have threads of their
/// own have them there too.
pub struct Pinned(Option<libc::cpu_set_t>);

impl Pinned {
    pub fn to(cpu: usize) -> Self {
        Pinned(std::env::var_os("WEFT_BENCH_PIN").map(|_| {
            // SAFETY: sets of CPUs, for which all zeros are good, and this thread.
            unsafe {
                let (mut before, mut cpus): (libc::cpu_set_t, libc::cpu_set_t) = std::mem::zeroed();
                libc::CPU_SET(cpu, &mut cpus);
                assert_eq!(libc::sched_getaffinity(0, size_of_val(&before), &mut before), 0);
                assert_eq!(libc::sched_setaffinity(0, size_of_val(&cpus), &cpus), 0, "this needs CPU {cpu}");
                before
            }
        }))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // SAFETY: a set of CPUs and this thread.
            assert_eq!(unsafe { libc::sched_setaffinity(0, size_of_val(before), before) }, 0);
        }
    }
}

/// An end whose messages, all of one length, are numbered, at their beginning and at their end.
struct Numbered {
    end: Box<dyn End>,
    sent: u64,
    received: u64,
    bytes: Vec<u8>,
}

impl Numbered {
    fn new(end: Box<dyn End>) -> Self {
        Numbered { end, sent: 0, received: 0, bytes: (0..LONGEST).map(pattern).collect() }
    }

    fn send(&mut self, len: usize) {
        self.sent += 1;
        self.bytes[..8].copy_from_slice(&self.sent.to_le_bytes());
        self.bytes[len - 8..len].copy_from_slice(&self.sent.to_le_bytes());
        self.end.send(&self.bytes[..len]);
    }

    /// How many bytes have come.
    fn receive(&mut self, len: usize, whole: bool) -> u64 {
        self.received += 1;
        let number = self.received.to_le_bytes();
        let mut bytes = 0;
        self.end.receive(len, &mut |message| {
            bytes += message.len();
            assert_eq!(message.len(), len, "a message of another length");
            assert!(message[..8] == number && message[len - 8..] == number, "another message, or half of it");
            let middle = &message[8..len - 8];
            assert!(!whole || (8..).zip(middle).all(|(at, byte)| *byte == pattern(at)), "a message has changed");
        });
        bytes as u64
    }
}

fn pattern(at: usize) -> u8 {
    (at * 31 % 251) as u8
}

/// The other process: what `Near::start` has started.
pub fn obey(mut arguments: impl Iterator<Item = String>) {
    let mut next = || arguments.next().expect("an argument");
    c_abi::load(&next());
    let parent = next().parse().expect("a process");
    let kind = Kind { name: next(), how: next(), longest: next().parse().expect("a length") };
    let given: Vec<_> = arguments.map(|fd| fd.parse().expect("a descriptor")).collect();
    let _pinned = Pinned::to(1);
    // It does not outlive who asked for it, also where it waits for a message.
    // SAFETY: takes numbers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }, 0);
    let mut end = Numbered::new(kind.second(parent, &given));
    let (mut orders, mut out) = (std::io::stdin().lock(), std::io::stdout().lock());
    out.write_all(b"!").and_then(|()| out.flush()).expect("somebody waits for that");
    let mut order = [0; 24];
    while orders.read_exact(&mut order).is_ok() {
        let [count, len, work] =
            [0, 8, 16].map(|at| u64::from_le_bytes(order[at..at + 8].try_into().expect("8 bytes")));
        let (len, back, whole) = (len as usize, work != Work::OneWay as u64, work == Work::Whole as u64);
        let mut bytes = 0;
        for _ in 0..count {
            bytes += end.receive(len, whole);
            if back {
                end.send(len);
            }
        }
        if !back {
            let mut counted = [0; COUNTED];
            counted[..8].copy_from_slice(&count.to_le_bytes());
            counted[8..].copy_from_slice(&bytes.to_le_bytes());
            end.end.send(&counted);
        }
    }
}

/// A contestant with its other process.
pub struct Near {
    pub name: String,
    end: Numbered,
    child: Child,
    orders: Option<ChildStdin>,
    /// The other process may end from now on.
    ending: Arc<AtomicBool>,
}

impl Near {
    /// Returns when the other end is there.
    pub fn start(library: &str, kind: &Kind) -> Self {
        let (end, fds) = kind.first();
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--far", library, &std::process::id().to_string(), &kind.name, &kind.how]);
        command.arg(kind.longest.to_string()).args(fds.iter().map(|fd| fd.as_raw_fd().to_string()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: what runs after fork calls fcntl only.
        unsafe { command.pre_exec(leave_open(&fds)) };
        let mut child = command.spawn().expect("a process");
        let (orders, mut out) = (child.stdin.take(), child.stdout.take().expect("a pipe"));
        out.read_exact(&mut [0]).unwrap_or_else(|_| panic!("{}: the other end does not open", kind.name));
        // Most peers would wait for ever for a process that has failed.
        let (ending, name) = (Arc::new(AtomicBool::new(false)), kind.name.clone());
        let expected = ending.clone();
        std::thread::spawn(move || {
            let _ = out.read(&mut [0]);
            if !expected.load(Ordering::Acquire) {
                eprintln!("{name}: the other process has failed");
                std::process::exit(1);
            }
        });
        Near { name: kind.name.clone(), end: Numbered::new(end), child, orders, ending }
    }

    fn order(&mut self, count: usize, len: usize, work: Work) -> &mut Numbered {
        let order = [count as u64, len as u64, work as u64].map(u64::to_le_bytes).concat();
        self.orders.as_mut().expect("open until the end").write_all(&order).expect("the other process is there");
        &mut self.end
    }

    /// A few round trips of which all bytes are compared.
    pub fn compare(&mut self, len: usize) {
        let end = self.order(3, len, Work::Whole);
        for _ in 0..3 {
            end.send(len);
            end.receive(len, true);
        }
    }

    /// Nanoseconds of each of so many round trips, each after that long without.
    pub fn trips(&mut self, count: usize, len: usize, idle: Duration) -> Vec<u64> {
        let end = self.order(count, len, Work::Trips);
        let mut trip = || {
            if !idle.is_zero() {
                std::thread::sleep(idle);
            }
            let begin = Instant::now();
            end.send(len);
            end.receive(len, false);
            begin.elapsed().as_nanos() as u64
        };
        (0..count).map(|_| trip()).collect()
    }

    /// Nanoseconds of a message, so many one after the other.
    pub fn one_way(&mut self, count: usize, len: usize) -> f64 {
        let end = self.order(count, len, Work::OneWay);
        let begin = Instant::now();
        for _ in 0..count {
            end.send(len);
        }
        end.end.receive(COUNTED, &mut |counted| {
            let bytes = (count * len) as u64;
            assert_eq!(counted, [count as u64, bytes].map(u64::to_le_bytes).concat(), "messages are lost");
        });
        begin.elapsed().as_nanos() as f64 / count as f64
    }

    /// Nanoseconds from SIGKILL to word of it; `None` if none comes.
    pub fn death(mut self) -> Option<u64> {
        self.ending.store(true, Ordering::Release);
        let begin = Instant::now();
        self.child.kill().expect("a process of ours");
        let told = self.end.end.told_of_death();
        told.then(|| begin.elapsed().as_nanos() as u64)
    }

    /// Lets the other process end, which must not have failed.
    pub fn finish(mut self) {
        self.ending.store(true, Ordering::Release);
        self.orders = None;
        assert!(self.child.wait().expect("a child").success(), "{}: the other process has failed", self.name);
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        self.orders = None;
        // A child that is done already is none to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
