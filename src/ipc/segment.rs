//! The memory of a link: a page of shared words and two rings, each mapped twice in a row, so that what is in a ring
//! is never in two parts.
//!
//! ```text
//! file:   | words | ring 0 | ring 1 |
//! memory: | words | ring 0 | ring 0 | ring 1 | ring 1 |
//! ```
//!
//! The file is sealed: it can neither shrink nor grow, so nothing that the peer does to it makes an access here fail. Whoever
//! adopts it looks at the seals and the size first.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::ring::{Lane, Line};
use crate::platform::shared::{self, Mapping};

/// The shared words. Zeros at first.
#[repr(C)]
struct Words {
    lanes: [Lane; 2],
    /// Each side's: it has closed.
    closed: [Line<AtomicU32>; 2],
}

const _: () = assert!(size_of::<Words>() <= 4096);

/// The rings of this size that fit into addresses.
const MAX_RING: usize = 1 << 40;

/// One side's view.
pub struct Segment {
    mapping: Mapping,
    page: usize,
    ring: usize,
    /// Which side's: 0 or 1.
    side: usize,
}

/// The size of rings of at least so many bytes: a power of two, and whole pages.
pub fn ring_size(at_least: usize) -> Option<usize> {
    (at_least <= MAX_RING).then(|| at_least.max(shared::page_size()).next_power_of_two())
}

impl Segment {
    /// A new one, as its first side sees it, and the file for the second.
    pub fn create(ring: usize) -> io::Result<(Segment, OwnedFd)> {
        let fd = shared::create(shared::page_size() + 2 * ring)?;
        Ok((Self::map(&fd, ring, 0)?, fd))
    }

    /// Of a file that somebody else has made, as the second side sees it; None: it is not one.
    pub fn adopt(fd: &OwnedFd, ring: usize) -> io::Result<Option<Segment>> {
        if ring_size(ring) != Some(ring) || !shared::is_sealed(fd, shared::page_size() + 2 * ring) {
            return Ok(None);
        }
        Self::map(fd, ring, 1).map(Some)
    }

    fn map(fd: &OwnedFd, ring: usize, side: usize) -> io::Result<Segment> {
        let page = shared::page_size();
        let rings = [page, page, page + ring, page + ring].map(|offset| (offset, ring));
        let parts = [(0, page), rings[0], rings[1], rings[2], rings[3]];
        Ok(Segment { mapping: Mapping::of(fd.as_raw_fd(), &parts)?, page, ring, side })
    }

    fn words(&self) -> &Words {
        // SAFETY: mapped, on a page's start, and large enough; it consists of atomics, and the peer may do what it likes to them.
        unsafe { self.mapping.base().cast().as_ref() }
    }

    /// Bytes of each ring.
    pub fn ring(&self) -> usize {
        self.ring
    }

    /// The ring that this side writes to (or reads from): its words and its memory, which goes on for twice its size.
    pub fn half(&self, out: bool) -> (&Lane, NonNull<u8>) {
        let which = if out { self.side } else { 1 - self.side };
        // SAFETY: inside the mapping.
        (&self.words().lanes[which], unsafe { self.mapping.base().add(self.page + which * 2 * self.ring) })
    }

    /// Says that this side has closed.
    pub fn close(&self) {
        // Release pairs with the Acquire in `is_peer_closed`: what was sent before is seen.
        self.words().closed[self.side].0.store(1, Ordering::Release);
    }

    /// Whether the other side has.
    pub fn is_peer_closed(&self) -> bool {
        self.words().closed[1 - self.side].0.load(Ordering::Acquire) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_mapped_twice_and_crosswise() {
        let ring = ring_size(1).unwrap();
        let (near, fd) = Segment::create(ring).unwrap();
        let far = Segment::adopt(&fd, ring).unwrap().unwrap();
        let ((_, write), (_, read)) = (near.half(true), far.half(false));
        // SAFETY: inside the mappings.
        unsafe {
            write.add(ring - 1).cast::<[u8; 2]>().write([5, 6]);
            assert_eq!(read.add(ring - 1).cast::<[u8; 2]>().read(), [5, 6]);
            assert_eq!((read.read(), read.add(ring).read()), (6, 6));
            assert_eq!(far.half(true).1.read(), 0);
        }
        assert!(!near.is_peer_closed() && !far.is_peer_closed());
        far.close();
        assert!(near.is_peer_closed() && !far.is_peer_closed());
    }

    #[test]
    fn a_file_that_can_change_its_size_is_not_adopted() {
        let ring = ring_size(1).unwrap();
        let (_near, fd) = Segment::create(ring).unwrap();
        assert!(Segment::adopt(&fd, 2 * ring).unwrap().is_none());
        assert!(Segment::adopt(&fd, ring - 1).unwrap().is_none());
        assert!(Segment::adopt(&fd, usize::MAX).unwrap().is_none());
        assert_eq!(ring_size(usize::MAX), None);
        let path = std::env::current_exe().unwrap();
        let other = OwnedFd::from(std::fs::File::open(path).unwrap());
        assert!(Segment::adopt(&other, ring).unwrap().is_none());
        // SAFETY: a C string; the descriptor is nobody else's.
        let unsealed = unsafe {
            use std::os::fd::FromRawFd;
            OwnedFd::from_raw_fd(libc::memfd_create(c"test".as_ptr(), libc::MFD_ALLOW_SEALING))
        };
        let file = std::fs::File::from(unsealed.try_clone().unwrap());
        file.set_len((shared::page_size() + 2 * ring) as u64).unwrap();
        assert!(Segment::adopt(&unsealed, ring).unwrap().is_none());
    }

    #[test]
    fn its_size_is_for_ever() {
        let (_near, fd) = Segment::create(ring_size(1).unwrap()).unwrap();
        let file = std::fs::File::from(fd);
        assert!(file.set_len(0).is_err());
        assert!(file.set_len(1 << 30).is_err());
    }
}
