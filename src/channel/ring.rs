//! Where the elements of a bounded channel lie: one piece of memory, used round and round.

use std::alloc::Layout;

use super::memory::Memory;
use super::queue::{Run, Store};
use crate::error::Result;

/// Memory for as many elements as the channel holds.
pub struct Ring {
    _memory: Memory,
}

impl Ring {
    /// A ring, and the run with which both sides begin.
    pub fn new(element: Layout, capacity: usize) -> Result<(Ring, Run)> {
        let memory = Memory::new(element, capacity)?;
        let run = Run { base: memory.at(0), at: 0, end: capacity, ..Run::EMPTY };
        Ok((Ring { _memory: memory }, run))
    }
}

impl Store for Ring {
    const WRAPS: bool = true;

    fn next_to_fill(&self, run: &mut Run) -> Result<()> {
        run.at = 0;
        Ok(())
    }

    fn next_to_drain(&self, run: &mut Run) {
        run.at = 0;
    }

    fn free(&mut self, _: &mut Run) {}
}
