//! Who is told of changes: in their order, each once, outside of all locks.
//!
//! A change is put in line by its generation. One thread at a time tells, whoever has put in the change that is next;
//! others leave theirs to it, and so does a listener that brings about the next one. Changes have no gaps, so one that
//! was put in early waits for its predecessor, whose thread is on its way here.

use std::collections::VecDeque;
use std::sync::Arc;

use super::switch::Change;
use super::word::{ahead, following};
use crate::platform::fork;
use crate::sync::Lock;

/// A change, and when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What became what.
    pub change: Change,
    /// When, on the precise clock.
    pub at_ns: i64,
}

/// Who is told. Dropped when it will be told no more; does not unwind.
pub type Listener = Box<dyn Fn(&Event) + Send + Sync>;

/// The line and the listeners.
pub struct Listeners(Lock<Line>);

struct Line {
    /// In the order of their generations.
    events: VecDeque<Event>,
    /// The generation that is told next.
    next: u32,
    telling: bool,
    /// In the order in which they came.
    listeners: Vec<Entry>,
    last_id: u64,
    /// Who is being told.
    told: u64,
}

struct Entry {
    id: u64,
    /// It came in this generation: what begins after it is told.
    since: u32,
    listener: Arc<Listener>,
}

impl Default for Listeners {
    fn default() -> Self {
        let (events, listeners) = (VecDeque::new(), Vec::new());
        Listeners(Lock::new(Line { events, next: 1, telling: false, listeners, last_id: 0, told: 0 }))
    }
}

impl Listeners {
    /// Has the listener told of what comes after this generation. Its number.
    pub fn add(&self, since: u32, listener: Listener) -> u64 {
        let mut line = self.0.lock();
        line.last_id += 1;
        let id = line.last_id;
        line.listeners.push(Entry { id, since, listener: Arc::new(listener) });
        id
    }

    /// Tells it no more. True: it is gone, and dropped. False: it is being told, and is dropped after that; or it is
    /// gone already.
    pub fn remove(&self, id: u64) -> bool {
        let mut line = self.0.lock();
        let Some(at) = line.listeners.iter().position(|entry| entry.id == id) else { return false };
        let entry = line.listeners.remove(at);
        let idle = line.told != id;
        drop(line);
        // Here, or by the one who tells it.
        drop(entry);
        idle
    }

    /// Tells nobody any more.
    pub fn clear(&self) {
        let gone = std::mem::take(&mut self.0.lock().listeners);
        drop(gone);
    }

    /// Tells the listeners, unless another thread does, or this one further out.
    pub fn tell(&self, event: Event) {
        let mut line = self.0.lock();
        let at = line.events.partition_point(|other| ahead(event.change.generation, other.change.generation).is_some());
        line.events.insert(at, event);
        if line.telling {
            return;
        }
        line.telling = true;
        while let Some(&event) = line.events.front()
            && event.change.generation == line.next
        {
            line.events.pop_front();
            line.next = following(line.next);
            let mut last = 0;
            // Looked for again each time: whoever is taken out meanwhile is not told.
            while let Some((id, listener)) = line.after(last, &event) {
                (last, line.told) = (id, id);
                drop(line);
                let epoch = fork::epoch();
                listener(&event);
                // In a child that was forked in there the rest is the parent's, and so may be the lock.
                if fork::epoch() != epoch {
                    return std::mem::forget(listener);
                }
                line = self.0.lock();
                line.told = 0;
                // If it was taken out, this is its end, which may be code of the user's, too.
                if !line.listeners.iter().any(|entry| entry.id == id) {
                    drop(line);
                    drop(listener);
                    if fork::epoch() != epoch {
                        return;
                    }
                    line = self.0.lock();
                }
            }
        }
        line.telling = false;
    }
}

impl Line {
    /// The next listener that is to know of this.
    fn after(&self, last: u64, event: &Event) -> Option<(u64, Arc<Listener>)> {
        let is_next = |entry: &&Entry| entry.id > last && ahead(event.change.generation, entry.since).is_some();
        self.listeners.iter().find(is_next).map(|entry| (entry.id, entry.listener.clone()))
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;
    use crate::breaker::word::State;

    fn event(generation: u32) -> Event {
        Event { change: Change { from: State::Closed, to: State::Open, generation }, at_ns: 0 }
    }

    type Told = Arc<Lock<Vec<(u32, u32)>>>;

    fn listener(told: &Told, name: u32) -> Listener {
        let told = told.clone();
        Box::new(move |event| told.lock().push((name, event.change.generation)))
    }

    #[test]
    fn changes_are_told_in_their_order_whoever_comes_first() {
        let (listeners, told) = (Listeners::default(), Told::default());
        listeners.add(0, listener(&told, 1));
        listeners.add(1, listener(&told, 2));
        listeners.tell(event(3));
        listeners.tell(event(2));
        assert!(told.lock().is_empty(), "the first is on its way");
        listeners.tell(event(1));
        assert_eq!(*told.lock(), [(1, 1), (1, 2), (2, 2), (1, 3), (2, 3)]);
    }

    #[test]
    fn a_listener_may_bring_about_the_next_change_and_take_itself_out() {
        let (listeners, told) = (Arc::new(Listeners::default()), Told::default());
        let (inner, log) = (Arc::downgrade(&listeners), listener(&told, 1));
        listeners.add(
            0,
            Box::new(move |event| {
                log(event);
                let listeners = inner.upgrade().unwrap();
                if event.change.generation == 1 {
                    listeners.tell(self::event(2));
                } else {
                    assert!(!listeners.remove(1), "it is being told");
                }
            }),
        );
        listeners.add(0, listener(&told, 2));
        listeners.tell(event(1));
        assert_eq!(*told.lock(), [(1, 1), (2, 1), (1, 2), (2, 2)]);
        listeners.tell(event(3));
        assert_eq!(*told.lock().last().unwrap(), (2, 3));
        assert!(!listeners.remove(1), "it is gone");
        assert_eq!(Arc::strong_count(&told), 2, "and has been dropped");
        assert!(listeners.remove(2));
        assert_eq!(Arc::strong_count(&told), 1);
    }

    #[test]
    fn generations_go_round() {
        let (listeners, told) = (Listeners::default(), Told::default());
        let last = (1 << 31) - 1;
        listeners.0.lock().next = last;
        listeners.add(last - 1, listener(&told, 1));
        listeners.tell(event(0));
        listeners.tell(event(last));
        assert_eq!(*told.lock(), [(1, last), (1, 0)]);
    }
}
