//! Where a worker thread's join halves are: a [`Region`], which may outlive its runtime.
//!
//! The default runtime is never freed, as a use that races with its end may hold on to it. All that such a use looks at in a
//! region is whether halves are shared there, a hint. So the regions of a default runtime that has ended go to the next
//! runtime that needs some: who looks late sees the region of another thread, but never freed memory. Without that, each restart
//! of the default runtime would cost 64 KiB of address space for every thread it had.

use std::ops::Deref;
use std::ptr::NonNull;

use super::region::Region;
use crate::platform::fork::ForkCell;
use crate::sync::Lock;

/// A region for a seat.
pub struct Home {
    region: NonNull<Region>,
    /// Somebody may look at it at any time: it is passed on, and never freed.
    stays: bool,
}

// SAFETY: it stands for the region, which is both.
unsafe impl Send for Home {}
// SAFETY: as above.
unsafe impl Sync for Home {}

/// Regions that wait for another seat. They are as their last threads left them, which is as a seat's next thread finds
/// its region anyway.
static SPARE: ForkCell<Lock<Vec<Spare>>> = ForkCell::new();

struct Spare(NonNull<Region>);
// SAFETY: a region is Send.
unsafe impl Send for Spare {}

impl Home {
    /// A region that has been passed on, else a new one; None when there is no memory.
    pub fn new() -> Option<Home> {
        if let Some(Spare(region)) = SPARE.get().lock().pop() {
            return Some(Home { region, stays: true });
        }
        Region::new().map(|region| Home { region: NonNull::from(Box::leak(region)), stays: false })
    }

    /// Gives the region to the next seat that needs one.
    ///
    /// # Safety
    /// Called once. No thread owns the region from now on through this seat, and the seat is never dropped.
    pub unsafe fn pass_on(&self) {
        SPARE.get().lock().push(Spare(self.region));
    }
}

impl Deref for Home {
    type Target = Region;
    fn deref(&self) -> &Region {
        // SAFETY: it is freed in `drop` alone, if at all.
        unsafe { self.region.as_ref() }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.stays {
            SPARE.get().lock().push(Spare(self.region));
        } else {
            // SAFETY: leaked by `new`; nobody has it but the seat, which goes.
            drop(unsafe { Box::from_raw(self.region.as_ptr()) });
        }
    }
}
