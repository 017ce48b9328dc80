//! Descriptors for event loops: readable as long as an operation would not have to wait.
//!
//! A descriptor is made when it is first asked for, and kept right by an observer of every operation: under its lock it
//! looks at the channel and signals or clears what has changed. Whoever changes the channel looks at it afterwards, so the
//! last look is at the last state.

use std::sync::Arc;

use super::{Channel, Direction};
use crate::error::{Failure, Result, Status};
use crate::platform::eventfd::EventFd;
use crate::sync::Lock;

/// A channel's descriptors, by direction.
pub type Descriptors = Lock<[Option<Arc<Descriptor>>; 2]>;

/// One of them.
pub struct Descriptor {
    event: EventFd,
    is_readable: Lock<bool>,
}

impl Descriptor {
    fn update(&self, channel: &Channel, direction: Direction) {
        let mut is_readable = self.is_readable.lock();
        let might = channel.might(direction);
        if might != *is_readable {
            if might {
                self.event.signal()
            } else {
                self.event.clear()
            }
            *is_readable = might;
        }
    }
}

impl Channel {
    /// The descriptor for this direction, which lives as long as the channel, and from now on stays in its place.
    pub fn descriptor(&self, direction: Direction) -> Result<i32> {
        struct Address(*const Channel);
        // SAFETY: channels are shared between threads.
        unsafe impl Send for Address {}
        // SAFETY: as above.
        unsafe impl Sync for Address {}

        let mut descriptors = self.descriptors.lock();
        if let Some(descriptor) = &descriptors[direction as usize] {
            return Ok(descriptor.event.number());
        }
        let event = EventFd::new()
            .map_err(|error| Failure::with(Status::Os, format!("no descriptor for the channel: {error}")))?;
        let descriptor = Arc::new(Descriptor { event, is_readable: Lock::new(false) });
        descriptors[direction as usize] = Some(descriptor.clone());
        let (number, address, observed) = (descriptor.event.number(), Address(self), descriptor.clone());
        self.observe(
            direction,
            Box::new(move || {
                let address = &address;
                // SAFETY: who operates on the channel holds it, and its place is the same since it was asked for a descriptor.
                observed.update(unsafe { &*address.0 }, direction);
            }),
        );
        descriptor.update(self, direction);
        Ok(number)
    }
}
