//! What a worker that has ended may have left in its link. A descendant of the worker's that has the link may go on without end, and what
//! it sends is not waited for: no more is received than there can have been.

use crate::ipc::frame::HEADER;
use crate::ipc::{Frame, Link};

/// How much of it is still to come, at most.
pub struct Rest {
    bytes: usize,
    /// No more of a frame's data counts than this.
    most: usize,
}

impl Rest {
    /// Of a worker that has ended by now.
    pub fn of(link: &Link) -> Rest {
        let (bytes, most) = link.most_left();
        Rest { bytes, most }
    }

    /// Whether a frame may be of it.
    pub fn has(&mut self, frame: &Frame) -> bool {
        self.takes(frame.bytes.as_slice().len())
    }

    fn takes(&mut self, len: usize) -> bool {
        let bytes = HEADER + len.min(self.most);
        let has = bytes <= self.bytes;
        self.bytes = self.bytes.saturating_sub(bytes);
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_without_end_come_to_one() {
        let mut rest = Rest { bytes: 10 * HEADER, most: 100 };
        assert_eq!((0..20).take_while(|_| rest.takes(0)).count(), 10);
        assert!(!rest.takes(0));
    }

    #[test]
    fn what_does_not_fit_in_any_more_is_not_of_it() {
        let mut rest = Rest { bytes: 2 * HEADER + 150, most: 100 };
        assert!(rest.takes(1_000_000));
        assert!(!rest.takes(51));
        assert!(!rest.takes(0));
    }
}
