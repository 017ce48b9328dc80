//! The first words of everything that a C program holds a pointer to.

/// Tells what kind of object a pointer leads to, and in which process it was made.
#[repr(C)]
#[derive(Debug)]
pub struct Header {
    /// The kind; a number unlikely to stand in other memory.
    pub tag: u32,
    /// The process epoch (see `platform::fork`) at creation.
    pub epoch: u32,
}

impl Header {
    /// A header for an object made now.
    pub fn new(tag: u32) -> Self {
        Header { tag, epoch: crate::platform::fork::epoch() }
    }
}
