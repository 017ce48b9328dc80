//! The kinds that the program has registered.

use std::sync::Arc;

use super::kind::{Executor, FORK, NAMES, REGISTERED};
use crate::error::{Failure, Result, Status};
use crate::platform::fork::ForkCell;
use crate::sync::Lock;

/// A registered kind that may not be there at the moment.
pub trait Registration: Send + Sync {
    /// Who takes its jobs.
    fn executor(self: Arc<Self>) -> Arc<dyn Executor>;

    /// Its name.
    fn name(&self) -> &str;

    /// Why there is none at the moment, if so.
    fn probe(&self) -> Result<()>;
}

#[derive(Default)]
struct Kinds {
    /// By number; None: taken back.
    all: Vec<Option<Arc<dyn Registration>>>,
    /// Kinds whose fallback has been logged.
    told: Vec<i32>,
}

static KINDS: ForkCell<Lock<Kinds>> = ForkCell::new();

/// Registers a kind, which gets its number.
pub fn register(name: &str, make: impl FnOnce(i32) -> Arc<dyn Registration>) -> Result<i32> {
    let mut kinds = KINDS.get().lock();
    let taken = NAMES.iter().any(|(_, other)| *other == name);
    if taken || kinds.all.iter().flatten().any(|other| other.name() == name) {
        return Err(Failure::with(Status::Busy, format!("name: there is a kind {name} already")));
    }
    let number = i32::try_from(kinds.all.len()).ok().and_then(|index| index.checked_add(REGISTERED));
    let number = number.ok_or(Failure::new(Status::TooLarge, "there are too many kinds of contexts"))?;
    kinds.all.push(Some(make(number)));
    Ok(number)
}

fn place(kinds: &mut Kinds, number: i32) -> Option<&mut Option<Arc<dyn Registration>>> {
    kinds.all.get_mut(usize::try_from(number.checked_sub(REGISTERED)?).ok()?)
}

fn unknown(number: i32) -> Failure {
    Failure::with(Status::Invalid, format!("kind: {number} is none"))
}

/// Takes a kind back. Contexts of it stay as they are.
pub fn unregister(number: i32) -> Result<()> {
    let gone = {
        let mut kinds = KINDS.get().lock();
        place(&mut kinds, number).and_then(Option::take).ok_or_else(|| unknown(number))?
    };
    // Not under the lock: its end is the program's.
    drop(gone);
    Ok(())
}

/// Who takes the jobs of a kind, and why it does not at the moment, if so.
pub fn find(number: i32) -> Result<(Arc<dyn Executor>, Option<Failure>)> {
    let found = place(&mut KINDS.get().lock(), number).and_then(|place| place.clone());
    let kind = found.ok_or_else(|| unknown(number))?;
    // Not under the lock.
    let missing = kind.probe().err();
    Ok((kind.executor(), missing))
}

/// The number of the kind with this name.
pub fn number_of(name: &str) -> Option<i32> {
    if let Some((number, _)) = NAMES.iter().find(|(_, other)| *other == name) {
        return Some(*number);
    }
    let kinds = KINDS.get().lock();
    let index = kinds.all.iter().position(|kind| kind.as_ref().is_some_and(|kind| kind.name() == name))?;
    i32::try_from(index).ok().map(|index| index + REGISTERED)
}

/// Whether nobody has been told yet that another kind takes the place of this one.
pub(super) fn is_first_fallback(number: i32) -> bool {
    debug_assert!(number == FORK || number >= REGISTERED);
    let mut kinds = KINDS.get().lock();
    let first = !kinds.told.contains(&number);
    if first {
        kinds.told.push(number);
    }
    first
}
