//! A descriptor for event loops: readable when there is something to be received, or to be told.
//!
//! It is an epoll set of two: an event descriptor, which is signalled while this end knows of something, and the socket, in
//! which the peer leaves a byte when it has sent something to an end that has said that it sleeps. An end with a descriptor says that
//! whenever it has nothing left.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;

use super::link::Link;
use super::receive::Inward;
use super::sleep::RECEIVER;
use crate::error::{Failure, Result, Status};
use crate::platform::eventfd::EventFd;
use crate::platform::readiness;
use crate::sync::Lock;

/// The descriptor.
pub struct Descriptor {
    event: EventFd,
    is_set: Lock<bool>,
    set: OwnedFd,
}

impl Descriptor {
    pub(super) fn set(&self, is_set: bool) {
        let mut was = self.is_set.lock();
        if is_set != *was {
            if is_set {
                self.event.signal()
            } else {
                self.event.clear()
            }
            *was = is_set;
        }
    }
}

impl Link {
    /// The descriptor, which lives as long as this end. Made when it is first asked for; that may wait for whoever receives.
    pub fn descriptor(&self) -> Result<RawFd> {
        if let Some(descriptor) = &*self.descriptor.lock() {
            return Ok(descriptor.set.as_raw_fd());
        }
        let refused = |error| Failure::with(Status::Os, format!("no descriptor for the link: {error}"));
        let event = EventFd::new().map_err(refused)?;
        let set = readiness::of_any(&[event.number(), self.wire.fd()]).map_err(refused)?;
        event.signal();
        let made = Descriptor { event, is_set: Lock::new(true), set };
        let number = self.descriptor.lock().get_or_insert(made).set.as_raw_fd();
        // Release: who sees it finds the descriptor. Until somebody has received, it is readable.
        self.is_watched.store(true, Ordering::Release);
        if let Some(mut turn) = self.inward.try_take() {
            self.update_descriptor(&mut turn);
        }
        Ok(number)
    }

    #[cold]
    pub(super) fn update_descriptor(&self, inward: &mut Inward) {
        let set = |is_set| self.descriptor.lock().iter().for_each(|descriptor| descriptor.set(is_set));
        if self.might_receive(inward) {
            return set(true);
        }
        set(false);
        self.wire.want_data(&inward.wire, true);
        // A byte that was for what has been received by now.
        let faulty = self.wire.segment().is_some() && self.take_bytes(RECEIVER).is_err();
        if faulty || self.might_receive(inward) {
            set(true);
        }
    }

    /// Somebody else took out of the socket what may have been for this.
    pub(super) fn descriptor_might_be_ready(&self) {
        if self.is_watched.load(Ordering::Acquire) {
            self.descriptor.lock().iter().for_each(|descriptor| descriptor.set(true));
        }
    }
}
