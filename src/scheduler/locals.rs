//! Values that belong to a worker thread: what a host language keeps for each of its threads, say.
//!
//! A key is a number that is never given twice, so it needs no table and cannot dangle. Each worker keeps its own values, in
//! the order of their keys; only its thread sees them.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

use super::worker::Worker;
use crate::error::{Failure, Result, Status};

/// Names a value on every worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u64);

/// The last key given; there is no key 0.
static LAST: AtomicU64 = AtomicU64::new(0);

impl Key {
    /// A key that nobody else has.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Key {
        Key(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// The key as a number.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The key of this number, if it has been given.
    pub fn from_number(number: u64) -> Option<Key> {
        // Relaxed: who was told a key by another thread synchronised with it, and so sees at least that count.
        (number != 0 && number <= LAST.load(Ordering::Relaxed)).then_some(Key(number))
    }
}

/// A value, which its drop takes back.
pub trait Local {
    /// What is kept, as users see it.
    fn value(&self) -> *mut std::ffi::c_void;
}

/// One worker's values.
#[derive(Default)]
pub(super) struct Locals {
    values: RefCell<Vec<(Key, Box<dyn Local>)>>,
    ended: Cell<bool>,
}

impl Locals {
    fn get(&self, key: Key) -> Option<*mut std::ffi::c_void> {
        let values = self.values.borrow();
        let at = values.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(values[at].1.value())
    }

    /// Puts a value in, or takes one out. What was there comes back, to be dropped when nothing is borrowed any more: a drop
    /// may come here.
    fn put(&self, key: Key, value: Option<Box<dyn Local>>) -> Option<Box<dyn Local>> {
        let mut values = self.values.borrow_mut();
        match (values.binary_search_by_key(&key, |(key, _)| *key), value) {
            (Ok(at), Some(value)) => Some(std::mem::replace(&mut values[at].1, value)),
            (Ok(at), None) => Some(values.remove(at).1),
            (Err(at), Some(value)) => {
                values.insert(at, (key, value));
                None
            }
            (Err(_), None) => None,
        }
    }

    /// Drops all values, the newest key's first. None are taken meanwhile.
    pub fn end(&self, worker: &Worker) {
        self.ended.set(true);
        loop {
            let last = self.values.borrow_mut().pop();
            let Some((_, value)) = last else { break };
            let _ = worker.protect(&WHAT, || drop(value));
        }
        self.ended.set(false);
    }
}

const WHAT: &str = "a worker local's drop";

impl Worker {
    /// The value of this worker's under `key`; null when there is none.
    pub fn local(&self, key: Key) -> *mut std::ffi::c_void {
        self.locals.get(key).unwrap_or(std::ptr::null_mut())
    }

    /// Sets this worker's value under `key`; None removes it. The one before is dropped. On failure none was made.
    pub fn set_local(&self, key: Key, value: impl FnOnce() -> Option<Box<dyn Local>>) -> Result<()> {
        if self.locals.ended.get() {
            return Err(Failure::new(Status::Shutdown, "the worker's thread is ending, and its values with it"));
        }
        if let Some(before) = self.locals.put(key, value()) {
            let _ = self.protect(&WHAT, || drop(before));
        }
        Ok(())
    }
}
