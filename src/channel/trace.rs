//! For models: slots that loom watches in the place of the memory that it cannot see.

use crate::sync::atomic::UnsafeCell;

/// A slot for each place of a ring; for the first places of a list.
pub struct Traces(Vec<UnsafeCell<usize>>);

impl Traces {
    pub fn new(capacity: usize) -> Self {
        Traces((0..capacity.min(8)).map(|_| UnsafeCell::new(0)).collect())
    }

    pub fn written(&self, index: usize) {
        self.0[index % self.0.len()].with_mut(|slot| unsafe { *slot = index });
    }

    pub fn read(&self, index: usize) {
        self.0[index % self.0.len()].with(|slot| assert_eq!(unsafe { *slot }, index));
    }
}
