//! Memory for queued work: blocks of one size that go round instead of back to the allocator.
//!
//! A task's block is taken where it is spawned and given back where it runs, which is often another thread. So each
//! [`Cache`] (one per worker, one per outbox) holds up to two batches of free blocks, and passes
//! whole batches through the runtime's [`Depot`]: its lock is taken once per batch, not per task. This is Bonwick's
//! magazine layer ("Magazines and Vmem", 2001). All bounds are on free blocks: what is too many goes back to the
//! allocator.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::Cell;
use std::ptr::{self, NonNull};

use crate::sync::Lock;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// What every block can hold. Aligned as malloc does it.
pub const LAYOUT: Layout = match Layout::from_size_align(64, 16) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// Blocks that move together.
const BATCH: usize = 64;
/// Batches that a depot keeps: four megabytes, blocks for 65,536 tasks.
const MAX_BATCHES: usize = 1024;

/// What a free block begins with.
struct Free {
    next: *mut Free,
    next_batch: *mut Free,
}

/// A free block, owned.
pub struct Block(NonNull<Free>);

impl Block {
    /// From the allocator, unless it has none.
    pub fn allocate() -> Option<Block> {
        // SAFETY: the layout has a size.
        NonNull::new(unsafe { alloc(LAYOUT) }.cast()).map(Block)
    }

    /// Gives up ownership, and lets the caller write what it likes.
    pub fn into_raw(self) -> NonNull<u8> {
        self.0.cast()
    }

    /// Takes ownership back.
    ///
    /// # Safety
    /// `block` came from `into_raw`, is taken back once, and nobody uses what is in it.
    pub unsafe fn from_raw(block: NonNull<u8>) -> Block {
        Block(block.cast())
    }

    /// Back to the allocator.
    pub fn free(self) {
        // SAFETY: allocated with this layout, and owned.
        unsafe { dealloc(self.0.as_ptr().cast(), LAYOUT) };
    }
}

/// Frees a chain of blocks.
///
/// # Safety
/// The chain is owned.
unsafe fn free_chain(mut chain: *mut Free) {
    while let Some(block) = NonNull::new(chain) {
        // SAFETY: promised by the caller; read before the block goes.
        chain = unsafe { block.as_ref() }.next;
        Block(block).free();
    }
}

/// The free blocks of one owner. Not to be shared: whoever has it is alone with it.
pub struct Cache {
    blocks: Cell<*mut Free>,
    len: Cell<usize>,
    /// A full batch, or null.
    reserve: Cell<*mut Free>,
}

// SAFETY: the blocks are owned, and nothing points to the thread.
unsafe impl Send for Cache {}

impl Default for Cache {
    fn default() -> Self {
        Cache { blocks: Cell::new(ptr::null_mut()), len: Cell::new(0), reserve: Cell::new(ptr::null_mut()) }
    }
}

impl Cache {
    /// A free block, if there is one here or in the depot.
    pub fn take(&self, depot: &Depot) -> Option<Block> {
        if self.len.get() == 0 {
            let mut batch = self.reserve.replace(ptr::null_mut());
            if batch.is_null() {
                batch = depot.take();
            }
            if !batch.is_null() {
                self.blocks.set(batch);
                self.len.set(BATCH);
            }
        }
        let block = NonNull::new(self.blocks.get())?;
        // SAFETY: a free block of ours.
        self.blocks.set(unsafe { block.as_ref() }.next);
        self.len.set(self.len.get() - 1);
        Some(Block(block))
    }

    /// Keeps a free block, here or in the depot.
    pub fn give(&self, block: Block, depot: &Depot) {
        if self.len.get() == BATCH {
            if !self.reserve.get().is_null() && depot.is_full() {
                // While it is in the processor's cache.
                return block.free();
            }
            let full = self.reserve.replace(self.blocks.replace(ptr::null_mut()));
            self.len.set(0);
            if !full.is_null() {
                depot.give(full);
            }
        }
        let block = block.0.as_ptr();
        // SAFETY: the block is free and owned, and large enough.
        unsafe { block.write(Free { next: self.blocks.get(), next_batch: ptr::null_mut() }) };
        self.blocks.set(block);
        self.len.set(self.len.get() + 1);
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // SAFETY: both chains are owned.
        unsafe {
            free_chain(self.blocks.get());
            free_chain(self.reserve.get());
        }
    }
}

/// Where caches exchange full batches.
pub struct Depot {
    batches: Lock<Stack>,
    /// A copy of their number: an empty depot is not worth its lock.
    len: AtomicUsize,
}

struct Stack {
    top: *mut Free,
    len: usize,
}

// SAFETY: the blocks are owned.
unsafe impl Send for Stack {}

impl Default for Depot {
    fn default() -> Self {
        Depot { batches: Lock::new(Stack { top: ptr::null_mut(), len: 0 }), len: AtomicUsize::new(0) }
    }
}

impl Depot {
    fn is_full(&self) -> bool {
        // Relaxed: a hint; `give` decides.
        self.len.load(Ordering::Relaxed) >= MAX_BATCHES
    }

    fn take(&self) -> *mut Free {
        // Relaxed: a hint; the lock orders what matters.
        if self.len.load(Ordering::Relaxed) == 0 {
            return ptr::null_mut();
        }
        let mut stack = self.batches.lock();
        let batch = stack.top;
        if !batch.is_null() {
            // SAFETY: the first block of a batch of ours.
            stack.top = unsafe { (*batch).next_batch };
            stack.len -= 1;
            self.len.store(stack.len, Ordering::Relaxed);
        }
        batch
    }

    fn give(&self, batch: *mut Free) {
        let mut stack = self.batches.lock();
        if stack.len < MAX_BATCHES {
            // SAFETY: the first block of a batch that the caller owned.
            unsafe { (*batch).next_batch = stack.top };
            stack.top = batch;
            stack.len += 1;
            self.len.store(stack.len, Ordering::Relaxed);
            return;
        }
        drop(stack);
        // SAFETY: the caller owned it.
        unsafe { free_chain(batch) };
    }
}

impl Depot {
    /// Gives all blocks back to the allocator.
    pub fn clear(&self) {
        let mut batch = {
            let mut stack = self.batches.lock();
            stack.len = 0;
            self.len.store(0, Ordering::Relaxed);
            std::mem::replace(&mut stack.top, ptr::null_mut())
        };
        while !batch.is_null() {
            // SAFETY: owned batches; the link is read before its block goes.
            unsafe {
                let next = (*batch).next_batch;
                free_chain(batch);
                batch = next;
            }
        }
    }
}

impl Drop for Depot {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn blocks(count: usize) -> Vec<Block> {
        (0..count).map(|_| Block::allocate().expect("memory")).collect()
    }

    #[test]
    fn blocks_travel_from_cache_to_cache() {
        let depot = Depot::default();
        let (giver, taker) = (Cache::default(), Cache::default());
        assert!(taker.take(&depot).is_none());
        let given: HashSet<_> = blocks(5 * BATCH)
            .into_iter()
            .map(|block| {
                let address = block.0;
                giver.give(block, &depot);
                address
            })
            .collect();
        let mut taken = HashSet::new();
        for cache in [&taker, &giver] {
            while let Some(block) = cache.take(&depot) {
                assert!(taken.insert(block.0), "a block is handed out once");
                block.free();
            }
        }
        assert_eq!(given, taken);
    }

    #[test]
    fn a_depot_keeps_no_more_than_its_bound() {
        let depot = Depot::default();
        let cache = Cache::default();
        blocks((MAX_BATCHES + 5) * BATCH).into_iter().for_each(|block| cache.give(block, &depot));
        assert_eq!(depot.len.load(Ordering::Relaxed), MAX_BATCHES);
    }
}
