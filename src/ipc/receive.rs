//! Receiving: whole frames, from those that a sender has taken in, then from the wire.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use super::frame::{Assembly, Frame, Frames, HEADER, Refusal, Sink, Step};
use super::link::{Link, Patience, failure, gone};
use super::sleep::{RECEIVER, SENDER, spin};
use super::view::Viewed;
use super::wire::In;
use crate::error::{Failure, Result, Status};
use crate::platform::futex::Woken;
use crate::platform::socket;
use crate::sync::Deadline;
use crate::sync::turn::InTurn;

/// So many pieces without a frame, and whoever reads them looks at what would end its call: a peer can send them without end.
const PIECES: u32 = 4096;

/// More than a socket holds.
const SOCKET: usize = 4 << 20;

pub(super) const EMPTY: &str = "nothing has come over the link";

/// What belongs to whoever receives.
pub struct Inward {
    pub(super) wire: In,
    pub(super) assembly: Assembly,
    /// What senders have taken in, and what it costs.
    taken_in: VecDeque<Frame>,
    cost: usize,
    /// Pieces have come for long without making a frame, and more are there.
    pub(super) goes_on: bool,
    /// A frame that somebody looks at.
    pub(super) viewed: Option<Viewed>,
}

impl Inward {
    pub(super) fn new(max: u64) -> Self {
        let assembly = Assembly::new(max);
        Inward { wire: In::default(), assembly, taken_in: VecDeque::new(), cost: 0, goes_on: false, viewed: None }
    }

    pub(super) fn pop(&mut self) -> Option<Frame> {
        let frame = self.taken_in.pop_front()?;
        self.cost -= frame.cost();
        Some(frame)
    }
}

/// What taking in came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// All that there was; the peer tells of more.
    All,
    /// Pieces, and more of them are there.
    Pieces,
    /// As much as is taken in, or the last.
    Enough,
}

impl Link {
    /// The next frame, waiting for one. What the peer had sent before it went is received before that is told.
    #[inline(always)]
    pub fn receive(&self, patience: &Patience<'_>) -> Result<Frame> {
        self.receive_to(&Frames, patience)
    }

    /// The same, to somewhere else.
    #[inline(always)]
    pub fn receive_to<S: Sink>(&self, sink: &S, patience: &Patience<'_>) -> Result<S::Taken> {
        let mut turn = self.turn_to_receive(patience)?;
        let result = self.receive_in_turn(&mut turn, sink, patience);
        self.keep_descriptor(&mut turn);
        result
    }

    #[inline(always)]
    pub(super) fn turn_to_receive(&self, patience: &Patience<'_>) -> Result<InTurn<'_, Inward>> {
        match self.inward.take(|| patience.deadline()) {
            Ok(turn) => Ok(turn),
            Err(ended) => Err(failure(ended, patience.deadline(), "another thread is receiving")),
        }
    }

    #[inline(always)]
    fn receive_in_turn<S: Sink>(&self, inward: &mut Inward, sink: &S, patience: &Patience<'_>) -> Result<S::Taken> {
        if inward.viewed.is_some() {
            return Err(Failure::new(Status::Busy, "a frame has been looked at and not consumed"));
        }
        loop {
            self.check()?;
            if let Some(frame) = inward.pop() {
                return Ok(sink.own(frame));
            }
            match self.pull(inward, sink)? {
                Some(taken) => return Ok(taken),
                None => self.wait_for_data(inward, patience)?,
            }
        }
    }

    /// How many bytes of frames there may be at most of what has been sent by now, each with its header and not more of its data than
    /// this: of a peer that has ended, and whose socket somebody else goes on with, no more need be received.
    pub fn most_left(&self) -> (usize, usize) {
        let ring = self.wire.segment().map_or(SOCKET, |segment| segment.ring());
        let taken_in = self.inward.take(|| Deadline::Never).map_or(0, |turn| turn.cost);
        // The ring, the frame whose beginning has left it, and one that the caller may just have received.
        (3 * (ring + HEADER) + taken_in, ring)
    }

    /// The next frame from the wire, if it is there; or pieces of it, and `goes_on` if that was not all.
    #[inline(always)]
    pub(super) fn pull<S: Sink>(&self, inward: &mut Inward, sink: &S) -> Result<Option<S::Taken>> {
        let mut pieces = 0;
        loop {
            // Before the look: what it had sent is seen by that.
            let peer = self.wire.gone();
            let piece = match self.wire.next(&mut inward.wire) {
                Ok(Some(piece)) => piece,
                Ok(None) => return peer.map_or(Ok(None), |status| Err(gone(status))),
                Err(fault) => return Err(self.fault(fault)),
            };
            // SAFETY: the wire gives as many bytes as the header says.
            let step = match unsafe { inward.assembly.take(piece.header, piece.data, sink) } {
                Ok(step) => step,
                Err(Refusal::Nonsense(nonsense)) => return Err(self.nonsense(nonsense)),
                Err(Refusal::Failed(failure)) => return Err(failure),
            };
            self.wire.done(&mut inward.wire, piece.header);
            match step {
                Step::Frame(taken, len) => {
                    self.counters.received.frame(len);
                    return Ok(Some(taken));
                }
                Step::Pending => {}
                Step::Goodbye => self.wire.note_goodbye(),
            }
            pieces += 1;
            if pieces == PIECES {
                inward.goes_on = true;
                return Ok(None);
            }
        }
    }

    /// Takes in what has come, on behalf of those who will receive, and has the peer tell of more.
    #[cold]
    pub(super) fn take_in(&self, inward: &mut Inward) -> Result<Taken> {
        if matches!(inward.viewed, Some(Viewed::There(_))) {
            return Ok(Taken::Enough);
        }
        let mut taken = Taken::All;
        for wanted in [false, true] {
            if wanted {
                self.wire.want_data(&inward.wire, true);
            }
            loop {
                taken = if inward.cost < self.options.backlog { Taken::All } else { Taken::Enough };
                if taken == Taken::Enough {
                    break;
                }
                match self.pull(inward, &Frames) {
                    Ok(Some(frame)) => {
                        inward.cost += frame.cost();
                        inward.taken_in.push_back(frame);
                    }
                    Ok(None) => break,
                    Err(failure) if failure.is(Status::Protocol) => return Err(failure),
                    // Whoever receives is told of it. A sender has other ways to learn that the peer is gone.
                    Err(_) => {
                        taken = Taken::Enough;
                        break;
                    }
                }
            }
        }
        self.keep_descriptor(inward);
        let goes_on = std::mem::take(&mut inward.goes_on);
        Ok(if goes_on && taken == Taken::All { Taken::Pieces } else { taken })
    }

    /// Whether something is there to be received, or to be told.
    pub(super) fn might_receive(&self, inward: &mut Inward) -> bool {
        self.is_over() || !inward.taken_in.is_empty() || !matches!(self.wire.next(&mut inward.wire), Ok(None))
    }

    /// Returns when there may be a frame, or nothing more to wait for.
    #[cold]
    pub(super) fn wait_for_data(&self, inward: &mut Inward, patience: &Patience<'_>) -> Result<()> {
        let deadline = patience.deadline();
        if std::mem::take(&mut inward.goes_on) {
            self.sleep_as(RECEIVER, deadline, |_, _| Ok(Woken::Maybe))?;
            return match deadline {
                Deadline::Now => Err(Failure::new(Status::WouldBlock, EMPTY)),
                _ if deadline.has_passed() => Err(Failure::new(Status::Timeout, EMPTY)),
                _ => Ok(()),
            };
        }
        if deadline == Deadline::Now {
            self.wire.look_for_peer();
            return match self.might_receive(inward) {
                true => Ok(()),
                false => Err(Failure::new(Status::WouldBlock, EMPTY)),
            };
        }
        let inward = RefCell::new(inward);
        let might = || self.might_receive(&mut inward.borrow_mut());
        if self.wire.segment().is_some() && spin(might) {
            return Ok(());
        }
        self.counters.received.wait();
        self.sleep_as(RECEIVER, deadline, |_, doze| {
            self.wire.want_data(&inward.borrow().wire, true);
            if might() { Ok(Woken::Maybe) } else { doze(socket::READABLE) }
        })?;
        // A sender that sleeps, and has taken in what there was before this one's turn, waits for that, too. It fell asleep with
        // the turn, so this one sees it: SeqCst is `is_asleep`'s everywhere.
        if !self.sleepers[SENDER].is_asleep() {
            self.wire.want_data(&inward.borrow().wire, false);
        }
        match deadline.has_passed() && !might() {
            true => Err(Failure::new(Status::Timeout, EMPTY)),
            false => Ok(()),
        }
    }

    /// Has the descriptor say whether there is something, if there is a descriptor.
    #[inline(always)]
    pub(super) fn keep_descriptor(&self, inward: &mut Inward) {
        if self.is_watched.load(Ordering::Acquire) {
            self.update_descriptor(inward);
        }
    }
}
