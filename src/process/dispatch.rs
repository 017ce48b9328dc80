//! Who gets the next call: the books of a pool, which its lock guards.
//!
//! Each seat has a desk, with what its worker has been given and has not answered. A call goes to the desk with the fewest; when
//! all have as many as the window allows, it waits in line, and whoever frees room sends the first. Nothing here waits, sends or
//! looks at a clock.

use std::collections::VecDeque;
use std::sync::Arc;

use super::call::Call;

/// A call that a worker has.
pub struct Entry<A, R> {
    /// The call.
    pub call: Arc<Call<A, R>>,
    /// The worker has said that it has begun.
    pub begun: bool,
}

/// What a seat's worker has. `L` is the way to it.
pub struct Desk<A, R, L> {
    /// The worker's link, from when it is ready until it is gone.
    pub link: Option<L>,
    /// Whether it is there for calls; what else keeps it from getting them is told by `takes`.
    pub open: bool,
    /// What it has not answered, in the order in which it was given.
    pub outstanding: VecDeque<Entry<A, R>>,
    /// Of those, the ones that the seat's own thread has to send, for want of room.
    pub unsent: Vec<Arc<Call<A, R>>>,
    /// Requests to stop that it has to send.
    pub stops: Vec<u64>,
    /// Calls that this worker has been given, and has answered.
    pub given: u64,
    /// See above.
    pub answered: u64,
    /// This worker is to leave when it has answered what it has, though it has not been given all that it may.
    pub retired: bool,
    /// Why there will be no further worker.
    pub down: Option<String>,
    /// Somebody sits there.
    pub taken: bool,
    /// The seat is to go.
    pub leaving: bool,
}

impl<A, R, L> Default for Desk<A, R, L> {
    fn default() -> Self {
        Desk {
            link: None,
            open: false,
            outstanding: VecDeque::new(),
            unsent: Vec::new(),
            stops: Vec::new(),
            given: 0,
            answered: 0,
            retired: false,
            down: None,
            taken: false,
            leaving: false,
        }
    }
}

/// The books.
pub struct Books<A, R, L> {
    /// One for each seat.
    pub desks: Vec<Desk<A, R, L>>,
    /// Calls that wait for room. Some may be over.
    line: VecDeque<Arc<Call<A, R>>>,
    /// How many of them are over.
    stale: usize,
    /// How many calls a worker has at most.
    pub window: usize,
    /// How many calls a worker gets in its life.
    pub most_calls: u64,
}

/// A call that is to be sent.
pub struct Dispatch<A, R, L> {
    /// Whose worker gets it.
    pub seat: usize,
    /// By this way.
    pub link: L,
    /// The call.
    pub call: Arc<Call<A, R>>,
}

/// What becomes of the calls of a worker that has died.
pub struct Fallen<A, R> {
    /// They wait again.
    pub again: usize,
    /// They had begun, and are not to be tried again.
    pub lost: Vec<Arc<Call<A, R>>>,
    /// They were to stop, and have.
    pub stopped: Vec<Arc<Call<A, R>>>,
}

impl<A, R, L: Clone> Books<A, R, L> {
    /// Nobody sits there yet.
    pub fn new(window: usize, most_calls: u64) -> Self {
        Books { desks: Vec::new(), line: VecDeque::new(), stale: 0, window, most_calls }
    }

    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        self.line.len() - self.stale
    }

    /// How many calls workers have.
    pub fn outstanding(&self) -> usize {
        self.desks.iter().map(|desk| desk.outstanding.len()).sum()
    }

    fn takes(&self, desk: &Desk<A, R, L>) -> bool {
        desk.open && !desk.leaving && !self.is_done(desk) && desk.outstanding.len() < self.window
    }

    fn is_done(&self, desk: &Desk<A, R, L>) -> bool {
        desk.retired || desk.given >= self.most_calls
    }

    /// Whether the seat's worker has nothing and gets nothing any more, be it that `nobody` does.
    pub fn is_free(&self, seat: usize, nobody: bool) -> bool {
        let desk = &self.desks[seat];
        (nobody || desk.leaving || self.is_done(desk)) && desk.outstanding.is_empty()
    }

    fn least(&self) -> Option<usize> {
        let mut best = None;
        for (seat, desk) in self.desks.iter().enumerate() {
            if self.takes(desk)
                && best.is_none_or(|best: usize| desk.outstanding.len() < self.desks[best].outstanding.len())
            {
                best = Some(seat);
            }
        }
        best
    }

    /// Gives a new call to a worker that has room; None: it has to wait, or is over.
    pub fn give(&mut self, call: &Arc<Call<A, R>>) -> Option<Dispatch<A, R, L>> {
        if self.waiting() > 0 {
            return None;
        }
        let seat = self.least()?;
        self.hand(seat, call.clone())
    }

    fn hand(&mut self, seat: usize, call: Arc<Call<A, R>>) -> Option<Dispatch<A, R, L>> {
        let desk = &mut self.desks[seat];
        let link = desk.link.clone()?;
        if !call.begin_sending() {
            return None;
        }
        desk.given += 1;
        desk.outstanding.push_back(Entry { call: call.clone(), begun: false });
        Some(Dispatch { seat, link, call })
    }

    /// A call waits.
    pub fn queue(&mut self, call: Arc<Call<A, R>>) {
        call.set_in_line(true);
        self.line.push_back(call);
    }

    /// A call has been answered, which may have been waiting. Those are taken out in bulk.
    pub fn is_stale(&mut self, call: &Call<A, R>) {
        if call.set_stale() {
            self.stale += 1;
        }
        if self.stale * 2 > self.line.len() + 16 {
            self.line.retain(|call| {
                let goes = call.is_stale();
                if goes {
                    call.set_in_line(false);
                }
                !goes
            });
            self.stale = 0;
        }
    }

    /// The first call that waits, if there is room.
    pub fn give_first(&mut self) -> Option<Dispatch<A, R, L>> {
        while let Some(seat) = self.least() {
            let call = self.line.pop_front()?;
            self.stale -= usize::from(call.set_in_line(false));
            let dispatch = self.hand(seat, call);
            if dispatch.is_some() {
                return dispatch;
            }
        }
        None
    }

    /// All that wait, because nobody will ever come for them.
    pub fn give_up_waiting(&mut self) -> Vec<Arc<Call<A, R>>> {
        self.stale = 0;
        self.line.iter().for_each(|call| {
            call.set_in_line(false);
        });
        std::mem::take(&mut self.line).into()
    }

    /// The worker has answered this call; None: it has no such call.
    pub fn answered(&mut self, seat: usize, id: u64) -> Option<Entry<A, R>> {
        let desk = &mut self.desks[seat];
        let index = desk.outstanding.iter().position(|entry| entry.call.id == id)?;
        desk.answered += 1;
        desk.outstanding.remove(index)
    }

    /// The worker has begun this call, which may be over by now; None: it has no such call.
    pub fn begun(&mut self, seat: usize, id: u64) -> Option<Arc<Call<A, R>>> {
        let entry = self.desks[seat].outstanding.iter_mut().find(|entry| entry.call.id == id)?;
        entry.begun = true;
        Some(entry.call.clone())
    }

    /// Whether the worker has calls that are over, and whether it is at another one.
    pub fn overdue(&self, seat: usize) -> (bool, bool) {
        let entries = &self.desks[seat].outstanding;
        let is_over = |entry: &Entry<A, R>| entry.call.is_over();
        (entries.iter().any(is_over), entries.iter().any(|entry| entry.begun && !is_over(entry)))
    }

    /// Who has this call, and whether it may have begun.
    pub fn holder(&self, id: u64) -> Option<(usize, bool)> {
        self.desks.iter().enumerate().find_map(|(seat, desk)| {
            let entry = desk.outstanding.iter().find(|entry| entry.call.id == id)?;
            Some((seat, entry.begun || self.window == 1))
        })
    }

    /// A call that has not gone out, as if it had never been given. There is room for another: whoever does this sends it, and has
    /// the seat look whether it goes.
    pub fn take_back(&mut self, seat: usize, call: &Arc<Call<A, R>>) {
        let desk = &mut self.desks[seat];
        desk.unsent.retain(|unsent| !Arc::ptr_eq(unsent, call));
        let before = desk.outstanding.len();
        desk.outstanding.retain(|entry| !Arc::ptr_eq(&entry.call, call));
        desk.given -= (before - desk.outstanding.len()) as u64;
    }

    /// A call has lost its worker; `begun` if it may have begun.
    pub fn fallen(&mut self, call: Arc<Call<A, R>>, begun: bool, into: &mut Fallen<A, R>) {
        if call.is_over() {
            return;
        }
        if begun && call.attempts() >= call.most_attempts {
            into.lost.push(call);
        } else if call.wait_again(begun) {
            // It has waited already.
            call.set_in_line(true);
            self.line.push_front(call);
            into.again += 1;
        } else {
            into.stopped.push(call);
        }
    }

    /// The worker is gone.
    pub fn worker_gone(&mut self, seat: usize) -> Fallen<A, R> {
        let mut fallen = Fallen::default();
        let window = self.window;
        let desk = &mut self.desks[seat];
        (desk.link, desk.open, desk.retired, desk.given, desk.answered) = (None, false, false, 0, 0);
        desk.stops.clear();
        let (unsent, outstanding) = (std::mem::take(&mut desk.unsent), std::mem::take(&mut desk.outstanding));
        // From behind, so that they wait in their old order.
        for Entry { call, begun } in outstanding.into_iter().rev() {
            let is_unsent = unsent.iter().any(|unsent| Arc::ptr_eq(unsent, &call));
            // Whoever sends it right now comes to find it fallen, and to `fallen` by itself.
            let begun = begun || window == 1;
            if is_unsent || call.fall(begun) {
                self.fallen(call, begun && !is_unsent, &mut fallen);
            }
        }
        fallen
    }
}

impl<A, R> Default for Fallen<A, R> {
    fn default() -> Self {
        Fallen { again: 0, lost: Vec::new(), stopped: Vec::new() }
    }
}

#[cfg(test)]
mod tests;
