//! Looking at a frame where it lies, for peers that are trusted not to write there.

use std::sync::atomic::Ordering;

use super::frame::{Frame, Frames, Head, Header, is_kind};
use super::link::{Link, Patience};
use crate::error::{Failure, Result, Status};

/// What is being looked at.
pub enum Viewed {
    /// A frame in the ring.
    There(Header),
    /// A frame that had been taken out of it, in one piece or several.
    Here(Frame),
}

/// A frame that stays where it is until it is consumed.
pub struct View {
    /// What is said of it.
    pub head: Head,
    /// What it carries.
    pub data: *const u8,
    /// How many bytes that are.
    pub len: usize,
}

impl Link {
    /// The next frame, waiting for one; it stays until [`Link::consume`].
    pub fn peek(&self, patience: &Patience<'_>) -> Result<View> {
        if !self.options.trusted {
            return Err(Failure::new(Status::Unsupported, "the link was not made with options->trusted"));
        }
        let mut turn = self.turn_to_receive(patience)?;
        let inward = &mut *turn;
        if inward.viewed.is_some() {
            return Err(Failure::new(Status::Busy, "a frame has been looked at and not consumed"));
        }
        let viewed = loop {
            self.check()?;
            if let Some(frame) = inward.pop() {
                break Viewed::Here(frame);
            }
            let whole = |header: &Header| {
                header.control == 0 && is_kind(header.head.kind) && u64::from(header.len) <= self.options.max
            };
            match self.wire.next(&mut inward.wire).map_err(|fault| self.fault(fault))? {
                // Out of a socket it is copied: in its place there is room for one packet, and behind it may be what ends the link.
                Some(piece) if self.wire.segment().is_some() && whole(&piece.header) && inward.assembly.is_empty() => {
                    let header = piece.header;
                    inward.viewed = Some(Viewed::There(header));
                    self.is_viewed.store(true, Ordering::Release);
                    return Ok(View { head: header.head, data: piece.data, len: header.len as usize });
                }
                _ => match self.pull(inward, &Frames)? {
                    Some(frame) => break Viewed::Here(frame),
                    None => self.wait_for_data(inward, patience)?,
                },
            }
        };
        self.is_viewed.store(true, Ordering::Release);
        let Viewed::Here(frame) = inward.viewed.insert(viewed) else { unreachable!("made above") };
        let bytes = frame.bytes.as_slice();
        Ok(View { head: frame.head, data: bytes.as_ptr(), len: bytes.len() })
    }

    /// Takes away what was looked at.
    pub fn consume(&self) -> Result<()> {
        const NONE: Failure = Failure::new(Status::Invalid, "no frame has been looked at");
        // Without the turn, which a receiver may have for long; while a frame is looked at nobody has.
        if !self.is_viewed.load(Ordering::Acquire) {
            return Err(NONE);
        }
        let mut turn = self.turn_to_receive(&Patience::new(i64::MAX))?;
        let inward = &mut *turn;
        match inward.viewed.take() {
            None => return Err(NONE),
            Some(Viewed::Here(frame)) => drop(frame),
            Some(Viewed::There(header)) => {
                self.wire.done(&mut inward.wire, header);
                self.counters.received.frame(header.len as usize);
            }
        }
        self.is_viewed.store(false, Ordering::Release);
        self.keep_descriptor(inward);
        Ok(())
    }
}
