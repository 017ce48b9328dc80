//! How an end's threads sleep: in the kernel, for the socket and for an event descriptor, until one of them has something.
//!
//! At most two threads sleep here, the one whose turn it is to send and the one whose turn it is to receive; others wait
//! for their turn ([`crate::sync::turn`]). Each of the two has an event descriptor, which nobody else clears. What ends a wait here,
//! in this process, signals it: a token, a shutdown, an interrupt ([`crate::sync::outside`]), a close. What the peer does is a
//! byte in the socket, which both see; so whoever takes bytes out of it signals the other, if that sleeps. The
//! death of the peer is the end of the socket.
//!
//! Nothing that ends a sleep from here goes through memory that the peer can write, so the peer can keep nobody asleep
//! beyond a deadline, a token or an interrupt. A peer that wakes without end keeps nobody here either: after each sleep the
//! deadline is looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use super::link::{Link, failure};
use crate::error::Result;
use crate::platform::eventfd::EventFd;
use crate::platform::futex::Woken;
use crate::platform::socket;
use crate::sync::wait::{Ended, ITSELF, Waiter};
use crate::sync::{Deadline, outside, park, spin};

/// Whoever has the turn to send.
pub const SENDER: usize = 0;
/// Whoever has the turn to receive.
pub const RECEIVER: usize = 1;

struct Signal(EventFd);

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.0.signal();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.signal();
    }
}

/// One of the two.
pub struct Sleeper {
    signal: Arc<Signal>,
    is_asleep: AtomicBool,
}

impl Sleeper {
    pub(super) fn new() -> std::io::Result<Sleeper> {
        Ok(Sleeper { signal: Arc::new(Signal(EventFd::new()?)), is_asleep: AtomicBool::new(false) })
    }

    pub(super) fn is_asleep(&self) -> bool {
        self.is_asleep.load(Ordering::SeqCst)
    }

    /// Ends its sleep, or the next one.
    pub(super) fn call(&self) {
        self.signal.0.signal();
    }
}

impl Link {
    /// Sleeps as one of the two. `body` tells the peer that this end sleeps, looks again, and then waits for something at the
    /// socket by the function that it gets, if there is nothing. A node of its own it unlinks; that it was fired is not told.
    pub(super) fn sleep_as(
        &self,
        who: usize,
        deadline: Deadline,
        body: impl FnOnce(&Waiter, &dyn Fn(i16) -> Result<Woken>) -> Result<Woken>,
    ) -> Result<()> {
        let sleeper = &self.sleepers[who];
        let (slept, fired) = outside::sleep(Waker::from(sleeper.signal.clone()), |waiter| {
            // SeqCst, as its reader's: it comes before the word that tells the peer, and so before a byte of the peer's that
            // another thread takes out.
            sleeper.is_asleep.store(true, Ordering::SeqCst);
            let slept = body(waiter, &|events| self.doze(who, events, deadline));
            sleeper.is_asleep.store(false, Ordering::Relaxed);
            slept
        });
        if let Some((ITSELF, ended)) = fired {
            return Err(failure(ended, deadline, ""));
        }
        if slept.transpose()? == Some(Woken::Interrupted) && park::interruptible() {
            return Err(failure(Ended::Interrupted, deadline, ""));
        }
        Ok(())
    }

    fn doze(&self, who: usize, events: i16, deadline: Deadline) -> Result<Woken> {
        let until = match deadline {
            Deadline::Never => None,
            Deadline::At(at) => Some(at),
            Deadline::Now => Some(0),
        };
        let event = &self.sleepers[who].signal.0;
        let mut wishes = [socket::wish(self.wire.fd(), events), socket::wish(event.number(), socket::READABLE)];
        let woken = socket::wait(&mut wishes, until);
        if wishes[1].revents != 0 {
            event.clear();
        }
        if wishes[0].revents & socket::GONE != 0 {
            self.wire.note_gone();
        }
        if wishes[0].revents & socket::READABLE != 0 && self.wire.segment().is_some() {
            self.take_bytes(who)?;
        }
        Ok(woken)
    }

    /// Takes out of the socket what has woken this one; the other may have been meant.
    pub(super) fn take_bytes(&self, who: usize) -> Result<()> {
        if self.wire.drain().map_err(|fault| self.fault(fault))? {
            let other = &self.sleepers[1 - who];
            if other.is_asleep() {
                other.call();
            }
            if who == SENDER {
                self.descriptor_might_be_ready();
            }
        }
        Ok(())
    }
}

/// Looks for a while: the first microseconds without asking whether somebody else wants the CPU, which costs as much as the
/// whole way there and back.
pub fn spin(ready: impl Fn() -> bool) -> bool {
    const LOOKS: u32 = 100;
    // A signal that arrives meanwhile would go unnoticed.
    if park::interruptible() {
        return ready();
    }
    for _ in 0..LOOKS {
        if ready() {
            return true;
        }
        std::hint::spin_loop();
    }
    spin::until(ready)
}
