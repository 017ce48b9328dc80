//! One word of each thread's, read in two instructions.
//!
//! A `thread_local!` of a shared library costs a call at each access, which is as much as a whole join. This word is in the
//! block of thread-local storage that the system lays out when it loads the library (the initial-exec model), where rustc
//! has no stable way to put one. Loaders keep room for a few such words of libraries that come late (glibc: over a
//! kilobyte).

use std::arch::{asm, global_asm};

global_asm!(
    ".pushsection .tbss.thread_word_of_weft,\"awT\",%nobits",
    ".p2align 3",
    ".globl thread_word_of_weft",
    ".hidden thread_word_of_weft",
    ".type thread_word_of_weft, %object",
    ".size thread_word_of_weft, 8",
    "thread_word_of_weft:",
    ".zero 8",
    ".popsection",
);

/// The word's address on this thread.
#[inline]
fn place() -> *mut usize {
    let place: *mut usize;
    // SAFETY: reads the thread pointer and a constant of the loaded library, nothing else.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            "mov {place}, qword ptr fs:0",
            "add {place}, qword ptr [rip + thread_word_of_weft@GOTTPOFF]",
            place = out(reg) place,
            options(pure, readonly, nostack),
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            "adrp {place}, :gottprel:thread_word_of_weft",
            "ldr {place}, [{place}, :gottprel_lo12:thread_word_of_weft]",
            "mrs {pointer}, tpidr_el0",
            "add {place}, {place}, {pointer}",
            place = out(reg) place,
            pointer = out(reg) _,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    place
}

/// The calling thread's word; 0 on a new thread.
#[inline]
pub fn get() -> usize {
    // SAFETY: a word that only this thread uses, for as long as the thread is.
    unsafe { place().read() }
}

/// Changes the calling thread's word.
#[inline]
pub fn set(word: usize) {
    // SAFETY: as in `get`.
    unsafe { place().write(word) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_thread_has_its_own() {
        super::set(5);
        std::thread::spawn(|| {
            assert_eq!(super::get(), 0);
            super::set(6);
            assert_eq!(super::get(), 6);
        })
        .join()
        .unwrap();
        assert_eq!(super::get(), 5);
        super::set(0);
    }
}
