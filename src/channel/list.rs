//! Where the elements of an unbounded channel lie: a chain of blocks. The producers' side appends a block when its last one is
//! full, the consumers' side leaves its first one when that is empty. One empty block waits for its next use, so a queue that
//! stays short allocates nothing. The first block is made for the first element and is small: an empty channel
//! has none.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr;

use super::queue::{Run, Store};
use crate::error::{Failure, Result, Status};
use crate::sync::atomic::{AtomicPtr, Ordering};

/// Bytes of a block, about, and elements at least and at most.
const BLOCK_BYTES: usize = 16 << 10;
const BLOCK_ELEMENTS: (usize, usize) = if cfg!(weft_loom) { (2, 2) } else { (1, 256) };
/// Elements of the first block at most.
const FIRST: usize = if cfg!(weft_loom) { 1 } else { 16 };

/// What stands before a block's elements.
pub struct Block {
    next: AtomicPtr<Block>,
    count: usize,
}

impl Block {
    /// The layout of a block of `count` elements, and where they begin.
    fn layout(element: Layout, count: usize) -> Option<(Layout, usize)> {
        let elements = Layout::from_size_align(element.size().checked_mul(count)?, element.align()).ok()?;
        let (layout, offset) = Layout::new::<Block>().extend(elements).ok()?;
        Some((layout.pad_to_align(), offset))
    }

    fn new(element: Layout, count: usize) -> Result<*mut Block> {
        const NO_MEMORY: Failure = Failure::new(Status::NoMemory, "no memory for another block of elements");
        let (layout, _) = Block::layout(element, count).ok_or(NO_MEMORY)?;
        // SAFETY: the layout has a size: the header's.
        let block = unsafe { alloc(layout) }.cast::<Block>();
        if block.is_null() {
            return Err(NO_MEMORY);
        }
        // SAFETY: freshly allocated, of the block's layout.
        unsafe { block.write(Block { next: AtomicPtr::new(ptr::null_mut()), count }) };
        Ok(block)
    }

    /// # Safety
    /// It was made by `new` for the same element's layout, or is NULL, and nobody uses it any more.
    unsafe fn free(block: *mut Block, element: Layout) {
        if block.is_null() {
            return;
        }
        // SAFETY: promised by the caller; its layout could be computed before.
        unsafe {
            let (layout, _) = Block::layout(element, (*block).count).expect("the layout it was allocated with");
            ptr::drop_in_place(block);
            dealloc(block.cast(), layout);
        }
    }
}

/// A chain of blocks.
pub struct List {
    element: Layout,
    /// The first block ever, for the consumers' side, which comes later.
    first: AtomicPtr<Block>,
    /// An empty block.
    spare: AtomicPtr<Block>,
}

impl List {
    /// An empty chain.
    pub fn new(element: Layout) -> List {
        List { element, first: AtomicPtr::new(ptr::null_mut()), spare: AtomicPtr::new(ptr::null_mut()) }
    }

    fn run(&self, block: *mut Block) -> Run {
        // SAFETY: a block of this chain, whose layout could be computed when it was made.
        unsafe {
            let count = (*block).count;
            let (_, offset) = Block::layout(self.element, count).expect("the layout it was allocated with");
            Run { base: block.cast::<u8>().add(offset), at: 0, end: count, block }
        }
    }

    /// The place that leads to the block after `block`.
    fn link(&self, block: *mut Block) -> &AtomicPtr<Block> {
        // SAFETY: blocks are freed only when both sides are past them.
        unsafe { block.as_ref() }.map_or(&self.first, |block| &block.next)
    }
}

impl Store for List {
    const WRAPS: bool = false;

    fn next_to_fill(&self, run: &mut Run) -> Result<()> {
        // Acquire pairs with the Release in `next_to_drain`: what was read from it was read before.
        let mut block = self.spare.swap(ptr::null_mut(), Ordering::Acquire);
        if block.is_null() {
            let most = (BLOCK_BYTES / self.element.size().max(1)).clamp(BLOCK_ELEMENTS.0, BLOCK_ELEMENTS.1);
            block = Block::new(self.element, if run.block.is_null() { most.min(FIRST) } else { most })?;
        }
        // Relaxed: an index that is published later releases both.
        // SAFETY: ours.
        unsafe { (*block).next.store(ptr::null_mut(), Ordering::Relaxed) };
        self.link(run.block).store(block, Ordering::Relaxed);
        *run = self.run(block);
        Ok(())
    }

    fn next_to_drain(&self, run: &mut Run) {
        let left = run.block;
        // Relaxed: there is an element, so the index that told of it has told of the block, too.
        *run = self.run(self.link(left).load(Ordering::Relaxed));
        if !left.is_null() {
            // Release: we are done with it. Acquire: whoever left the other one is, too.
            let other = self.spare.swap(left, Ordering::AcqRel);
            // SAFETY: both sides were past it.
            unsafe { Block::free(other, self.element) };
        }
    }

    fn free(&mut self, run: &mut Run) {
        let mut block = if run.block.is_null() { self.first.load(Ordering::Relaxed) } else { run.block };
        while !block.is_null() {
            // SAFETY: nobody else has the chain any more.
            unsafe {
                let next = (*block).next.load(Ordering::Relaxed);
                Block::free(block, self.element);
                block = next;
            }
        }
        // SAFETY: as above.
        unsafe { Block::free(self.spare.load(Ordering::Relaxed), self.element) };
    }
}
