//! Where a channel's elements lie: a ring of fixed size for a bounded channel, a chain of blocks for an unbounded one.
//!
//! Both are used under the channel's lock. Elements are raw bytes of one layout.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::VecDeque;
use std::ptr::NonNull;

use super::{Capacity, copy_element};
use crate::error::{Failure, Result, Status};

/// Memory for a number of elements in a row.
struct Block {
    memory: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a block owns its memory; the elements in it may move between threads, as the channel's user promised.
unsafe impl Send for Block {}

impl Block {
    fn new(element: Layout, count: usize) -> Result<Block> {
        let no_memory = || Failure::with(Status::NoMemory, format!("no memory for {count} elements"));
        let size = element.size().checked_mul(count).ok_or_else(no_memory)?.max(1);
        let layout = Layout::from_size_align(size, element.align()).map_err(|_| no_memory())?;
        // SAFETY: the size is not zero.
        let memory = NonNull::new(unsafe { alloc(layout) }).ok_or_else(no_memory)?;
        Ok(Block { memory, layout })
    }

    fn at(&self, index: usize, size: usize) -> *mut u8 {
        // SAFETY: callers stay within the block's count.
        unsafe { self.memory.as_ptr().add(index * size) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

/// A queue of elements.
pub struct Storage {
    size: usize,
    len: usize,
    /// The oldest element's index in its block.
    head: usize,
    kind: Kind,
}

enum Kind {
    Ring { block: Block, slots: usize },
    Chain { element: Layout, per_block: usize, blocks: VecDeque<Block>, spare: Option<Block> },
}

/// Bytes in a block of the chain, about, and elements at least and at most.
const BLOCK_BYTES: usize = 4096;
const BLOCK_ELEMENTS: (usize, usize) = (1, 256);

impl Storage {
    pub fn new(element: Layout, capacity: Capacity) -> Result<Storage> {
        let kind = match capacity {
            Capacity::Bounded(slots) => Kind::Ring { block: Block::new(element, slots)?, slots },
            Capacity::Unbounded => Kind::Chain {
                element,
                per_block: (BLOCK_BYTES / element.size().max(1)).clamp(BLOCK_ELEMENTS.0, BLOCK_ELEMENTS.1),
                blocks: VecDeque::new(),
                spare: None,
            },
        };
        Ok(Storage { size: element.size(), len: 0, head: 0, kind })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Appends a copy of the element. A ring has room by the caller's knowledge; a chain may need memory.
    ///
    /// # Safety
    /// `element` is readable and has the storage's layout; a ring is not full.
    pub unsafe fn push(&mut self, element: *const u8) -> Result<()> {
        let place = match &mut self.kind {
            Kind::Ring { block, slots } => {
                let end = self.head + self.len;
                block.at(if end < *slots { end } else { end - *slots }, self.size)
            }
            Kind::Chain { element, per_block, blocks, spare } => {
                let end = self.head + self.len;
                if end == blocks.len() * *per_block {
                    blocks.try_reserve(1).map_err(|_| Failure::new(Status::NoMemory, "no memory for another block"))?;
                    let block = match spare.take() {
                        Some(block) => block,
                        None => Block::new(*element, *per_block)?,
                    };
                    blocks.push_back(block);
                }
                blocks[end / *per_block].at(end % *per_block, self.size)
            }
        };
        // SAFETY: the place is free and within its block; the caller's element has the layout.
        unsafe { copy_element(self.size, element, place) };
        self.len += 1;
        Ok(())
    }

    /// Moves the oldest element out; false when there is none.
    ///
    /// # Safety
    /// `element` is writable and has the storage's layout.
    pub unsafe fn pop(&mut self, element: *mut u8) -> bool {
        let Some(front) = self.front() else { return false };
        // SAFETY: the front is initialised; the caller's place has the layout.
        unsafe { copy_element(self.size, front, element) };
        self.skip_front();
        true
    }

    /// The oldest element's place.
    pub fn front(&self) -> Option<*mut u8> {
        if self.len == 0 {
            return None;
        }
        Some(match &self.kind {
            Kind::Ring { block, .. } => block.at(self.head, self.size),
            Kind::Chain { blocks, .. } => blocks[0].at(self.head, self.size),
        })
    }

    /// Forgets the oldest element. There is one.
    pub fn skip_front(&mut self) {
        self.head += 1;
        self.len -= 1;
        match &mut self.kind {
            Kind::Ring { slots, .. } => {
                if self.head == *slots {
                    self.head = 0;
                }
            }
            Kind::Chain { per_block, blocks, spare, .. } => {
                if self.head == *per_block {
                    self.head = 0;
                    *spare = blocks.pop_front();
                }
            }
        }
    }
}
