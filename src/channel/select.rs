//! A channel's operation as a case of a select.

use super::hand_off::{CLOSED, HandOff};
use super::{Attempt, Channel, Direction, Fast};
use crate::sync::select::{Event, Meeting, Met, Verdict};
use crate::sync::wait::WaitNode;

/// One operation on one channel.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    channel: &'a Channel,
    direction: Direction,
    element: *mut u8,
}

impl Channel {
    /// The operation, for a select.
    ///
    /// # Safety
    /// As long as the case is used, `element` is a place of the channel's layout, to be read or written.
    pub unsafe fn case(&self, direction: Direction, element: *mut u8) -> Case<'_> {
        Case { channel: self, direction, element }
    }
}

fn verdict(attempt: &Attempt) -> Option<Verdict> {
    match attempt {
        Attempt::Done => Some(Verdict::Done),
        Attempt::WouldBlock => None,
        Attempt::Closed => Some(Verdict::Closed),
        Attempt::Failed(failure) => Some(Verdict::Failed(failure.status)),
    }
}

// SAFETY: the channel's lists are behind its locks, which `let_go` takes.
unsafe impl Event for Case<'_> {
    fn attempt(&self) -> Option<Verdict> {
        // SAFETY: promised to `case`.
        let fast = unsafe {
            match self.direction {
                Direction::Send => self.channel.fast_send::<false>(self.element),
                Direction::Receive => self.channel.fast_receive::<false>(self.element),
            }
        };
        match fast {
            Fast::Done => return Some(Verdict::Done),
            Fast::Attend => {
                self.channel.attend(self.direction);
                return Some(Verdict::Done);
            }
            Fast::No if !self.channel.might(self.direction) => {
                self.channel.clear_up(self.direction);
                return None;
            }
            Fast::No => {}
        }
        // SAFETY: as above.
        verdict(&unsafe { self.channel.attempt(self.direction, self.element) })
    }

    fn might(&self) -> bool {
        self.channel.might(self.direction)
    }

    fn meeting(&self) -> Option<&dyn Meeting> {
        self.channel.hand_off().map(|hand_off| hand_off as &dyn Meeting)
    }

    unsafe fn meet(&self) -> Option<Met> {
        // SAFETY: the lock is held; the element as promised to `case`.
        let (attempt, other, observed) =
            unsafe { self.channel.hand_off()?.held(|held| held.attempt(self.direction, self.element)) };
        Some(Met { verdict: verdict(&attempt)?, other, observed })
    }

    fn met(&self, Met { verdict, other, observed }: Met) -> Verdict {
        if let Some(hand_off) = self.channel.hand_off() {
            hand_off.finish(observed, other);
        }
        verdict
    }

    unsafe fn watch(&self, node: *mut WaitNode) -> bool {
        // SAFETY: promised by the caller.
        unsafe {
            (*node).slot = self.element;
            match self.channel.hand_off() {
                Some(hand_off) => hand_off.held(|held| held.push(self.direction, node)),
                None => return self.channel.watch(self.direction, node),
            }
        }
        false
    }

    fn watched(&self) {
        self.channel.hand_off().into_iter().for_each(HandOff::changed);
    }

    unsafe fn let_go(&self, node: *mut WaitNode) {
        // SAFETY: promised by the caller.
        unsafe { self.channel.let_go(self.direction, node) }
        self.watched();
    }

    fn verdict(&self, outcome: u32) -> Option<Verdict> {
        match (self.channel.hand_off(), outcome) {
            (Some(_), CLOSED) => Some(Verdict::Closed),
            (Some(_), _) => Some(Verdict::Done),
            (None, _) => None,
        }
    }

    fn pass_on(&self) {
        self.channel.pass_on(self.direction);
    }
}

impl Meeting for HandOff {
    fn lock(&self) {
        std::mem::forget(HandOff::lock(self));
    }

    unsafe fn unlock(&self) {
        // SAFETY: promised by the caller.
        unsafe { self.free() };
    }
}

#[cfg(all(test, weft_loom))]
mod models;
