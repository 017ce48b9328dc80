//! Sending. A frame that fits into a piece goes whole; a longer one in pieces, so that the peer reads its beginning while its
//! end is written.
//!
//! A sender that waits for room does what a receiver would if there is none: it takes frames in, for those who come to receive. So
//! two ends that send to each other get on, even if nobody receives; up to the backlog, that is.

use std::cell::RefCell;
use std::ptr;

use super::frame::{HEADER, Head, Header, LENGTH, MORE, REST, WITHDRAWN};
use super::link::{Link, Patience, failure, gone};
use super::receive::Taken;
use super::ring::ALIGN;
use super::sleep::{SENDER, spin};
use super::wire::Out;
use crate::error::{Failure, Result, Status};
use crate::platform::futex::Woken;
use crate::platform::socket;
use crate::sync::Deadline;
use crate::sync::wait::WaitNode;

/// Its node in the queue of those who wait for the turn to receive.
const TAKE_IN: usize = 0;

const FULL: &str = "the link is full";

/// What belongs to whoever sends.
#[derive(Default)]
pub struct Outward {
    out: Out,
    /// A frame was given up in the middle, and the peer has to be told before the next.
    withdrawn: Option<Head>,
}

impl Link {
    /// Sends a frame, waiting for room. On failure the peer does not get it.
    #[inline(always)]
    pub fn send(&self, head: Head, data: &[u8], patience: &Patience<'_>) -> Result<()> {
        if data.len() as u64 > self.options.max {
            let text = format!("the frame is longer than {} bytes", self.options.max);
            return Err(Failure::with(Status::TooLarge, text));
        }
        let mut turn = match self.outward.take(|| patience.deadline()) {
            Ok(turn) => turn,
            Err(ended) => return Err(failure(ended, patience.deadline(), "another thread is sending")),
        };
        self.check()?;
        let outward = &mut *turn;
        if outward.withdrawn.is_some() {
            self.withdraw(outward, patience)?;
        }
        if data.len() <= self.wire.piece(self.options.trusted) {
            let header = Header { len: data.len() as u32, control: 0, head };
            self.put(&mut outward.out, &header.to_bytes(), data, patience)?;
        } else {
            self.send_in_pieces(outward, head, data, patience)?;
        }
        self.counters.sent.frame(data.len());
        Ok(())
    }

    #[cold]
    fn send_in_pieces(&self, outward: &mut Outward, head: Head, data: &[u8], patience: &Patience<'_>) -> Result<()> {
        let most = self.wire.piece(false);
        let pieces = data.len() / (most - LENGTH) + 1;
        let whole = data.len() + LENGTH + pieces * (HEADER + ALIGN);
        if patience.deadline() == Deadline::Now && !self.fits(&mut outward.out, whole)? {
            return self.wait_for_room(&mut outward.out, whole, patience);
        }
        let (mut first, mut rest) = ([0; HEADER + LENGTH], data);
        first[HEADER..].copy_from_slice(&(data.len() as u64).to_ne_bytes());
        let (mut prefix, mut control) = (LENGTH, 0);
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(rest.len().min(most - prefix));
            let more = if others.is_empty() { 0 } else { MORE };
            let header = Header { len: (prefix + piece.len()) as u32, control: control | more, head };
            first[..HEADER].copy_from_slice(&header.to_bytes());
            if let Err(failure) = self.put(&mut outward.out, &first[..HEADER + prefix], piece, patience) {
                if control != 0 {
                    outward.withdrawn = Some(head);
                    // At once if there is room, else before the next frame.
                    let _ = self.withdraw(outward, &Patience::new(0));
                }
                return Err(failure);
            }
            (rest, prefix, control) = (others, 0, REST);
        }
        Ok(())
    }

    #[cold]
    fn withdraw(&self, outward: &mut Outward, patience: &Patience<'_>) -> Result<()> {
        if let Some(head) = outward.withdrawn {
            let header = Header { len: 0, control: REST | WITHDRAWN, head };
            self.put(&mut outward.out, &header.to_bytes(), &[], patience)?;
            outward.withdrawn = None;
        }
        Ok(())
    }

    #[inline(always)]
    fn put(&self, out: &mut Out, first: &[u8], rest: &[u8], patience: &Patience<'_>) -> Result<()> {
        loop {
            if let Some(status) = self.wire.gone() {
                return Err(self.gone_while_sending(status));
            }
            match self.wire.put(out, first, rest) {
                Ok(true) => return Ok(()),
                Ok(false) => self.wait_for_room(out, first.len() + rest.len(), patience)?,
                Err(fault) => return Err(self.fault(fault)),
            }
        }
    }

    /// Where there is no shared memory, a peer that has closed says so in its last packet, behind what it has sent.
    #[cold]
    fn gone_while_sending(&self, status: Status) -> Failure {
        if self.wire.segment().is_none()
            && let Some(mut turn) = self.inward.try_take()
            && let Err(failure) = self.take_in(&mut turn)
        {
            return failure;
        }
        gone(self.wire.gone().unwrap_or(status))
    }

    fn fits(&self, out: &mut Out, len: usize) -> Result<bool> {
        self.wire.fits(out, len).map_err(|fault| self.fault(fault))
    }

    /// Returns when there may be room, or nothing more to wait for.
    #[cold]
    fn wait_for_room(&self, out: &mut Out, len: usize, patience: &Patience<'_>) -> Result<()> {
        let deadline = patience.deadline();
        if deadline == Deadline::Now {
            self.wire.look_for_peer();
            return Err(match self.wire.gone() {
                Some(status) => self.gone_while_sending(status),
                None => Failure::new(Status::WouldBlock, FULL),
            });
        }
        let out = RefCell::new(out);
        let might = || self.is_over() || !matches!(self.wire.fits(&mut out.borrow_mut(), len), Ok(false));
        if self.wire.segment().is_some() && spin(might) {
            return self.check();
        }
        self.counters.sent.wait();
        let slept = self.sleep_as(SENDER, deadline, |waiter, doze| {
            let mut node = WaitNode::of_case(waiter, TAKE_IN, ptr::null_mut());
            // SAFETY: the node stays in this frame until it is unlinked below.
            let turn = unsafe { self.inward.take_or_queue(&mut node) };
            let queued = turn.is_none();
            let taken_in = turn.map_or(Ok(Taken::Enough), |mut turn| self.take_in(&mut turn));
            self.wire.want_room(&out.borrow(), true);
            let slept = taken_in.and_then(|taken| match self.is_over() || self.fits(&mut out.borrow_mut(), len)? {
                true => Ok(Woken::Maybe),
                false if taken == Taken::Pieces => Ok(Woken::Maybe),
                false => doze(match self.wire.segment() {
                    Some(_) => socket::READABLE,
                    None if taken == Taken::All => socket::READABLE | socket::WRITABLE,
                    None => socket::WRITABLE,
                }),
            });
            if queued {
                // SAFETY: as above.
                unsafe { self.inward.let_go(&mut node) };
            }
            slept
        });
        self.wire.want_room(&out.borrow(), false);
        // It may have been this one's turn to take frames in. If it still has to, it comes back for that.
        self.inward.pass_on();
        slept?;
        self.check()?;
        match deadline.has_passed() && !might() {
            true => Err(Failure::new(Status::Timeout, FULL)),
            false => Ok(()),
        }
    }
}
