//! Bounded spinning before a thread parks.
//!
//! Waking a halted CPU costs tens of microseconds on a virtual machine, so a short wait is better spent
//! awake, but only while nobody else wants this CPU. The policy: look a few times; yield once; if the yield came back late,
//! others are waiting for the CPU, so do not spin; if it came back at once, pause ever longer between looks,
//! about as long as a halt and a wake-up cost, and then give up.

/// Pauses in all: about 20 to 40 microseconds.
#[cfg(not(weft_loom))]
const BUDGET: u32 = 1000;

/// Pauses between two tries at most.
#[cfg(not(weft_loom))]
const LONGEST: u32 = 256;

/// What is done at once is not worth the system call.
#[cfg(not(weft_loom))]
const AT_ONCE: [u32; 8] = [2, 3, 4, 6, 8, 10, 12, 16];

/// A yield that took longer than this let somebody else run.
#[cfg(not(weft_loom))]
const LATE_NS: i64 = 2_000;

/// Who uses a CPU for longer than this uses it for itself, and does not fill queues for others.
#[cfg(not(weft_loom))]
const LONG_NS: i64 = 100_000;

/// How often a CPU is given up to others while they use it.
#[cfg(not(weft_loom))]
const TURNS: u32 = 16;

#[cfg(not(weft_loom))]
fn pause(times: u32) {
    for _ in 0..times {
        std::hint::spin_loop();
    }
}

/// Yields once, and tells whether somebody else ran meanwhile, or could run only now.
#[cfg(not(weft_loom))]
pub fn cpu_is_wanted() -> bool {
    use crate::platform::{clock::now_ns, online_cpus, yield_now};
    let before = now_ns();
    yield_now();
    now_ns() - before > LATE_NS || online_cpus() == 1
}

/// Waits a little for `ready`; returns what it said last.
#[cfg(not(weft_loom))]
pub fn until(ready: impl Fn() -> bool) -> bool {
    if ready() {
        return true;
    }
    for pauses in AT_ONCE {
        pause(pauses);
        if ready() {
            return true;
        }
    }
    let wanted = cpu_is_wanted();
    if ready() {
        return true;
    }
    if wanted {
        return false;
    }
    let (mut pauses, mut spent) = (4, 0);
    while spent < BUDGET {
        pause(pauses);
        if ready() {
            return true;
        }
        spent += pauses;
        pauses = (pauses * 2).min(64);
    }
    false
}

/// Tries again and again for what another thread has at the moment, and will want again: each try takes its cache line from that
/// thread, so the pauses between them get longer until it gets on undisturbed. Whether `try_it` came to something.
#[cfg(not(weft_loom))]
pub fn back_off(try_it: impl Fn() -> bool) -> bool {
    let mut pauses = 8;
    while pauses <= LONGEST {
        pause(pauses);
        if try_it() {
            return true;
        }
        pauses *= 2;
    }
    if !cpu_is_wanted() {
        for _ in 0..BUDGET / LONGEST {
            if try_it() {
                return true;
            }
            pause(LONGEST);
        }
    }
    try_it()
}

/// Lets others use this CPU for some turns, or until `ready`, or until one of them has used it for long, be it since `began_ns`, when
/// this wait began: the next one may do so, too, while who sleeps is got up at once.
#[cfg(not(weft_loom))]
pub fn take_turns(began_ns: i64, ready: impl Fn() -> bool) {
    use crate::platform::{clock::now_ns, yield_now};
    let mut before = began_ns;
    for _ in 0..TURNS {
        let now = now_ns();
        if now - before > LONG_NS {
            return;
        }
        before = now;
        yield_now();
        if ready() {
            return;
        }
    }
}

/// Under loom a spin is a single look: the model explores what happens when it fails and when it does not.
#[cfg(weft_loom)]
pub fn until(ready: impl Fn() -> bool) -> bool {
    ready()
}

/// As above.
#[cfg(weft_loom)]
pub fn back_off(try_it: impl Fn() -> bool) -> bool {
    try_it()
}

/// Under loom, no turn.
#[cfg(weft_loom)]
pub fn take_turns(_: i64, _: impl Fn() -> bool) {}
