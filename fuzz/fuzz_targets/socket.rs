//! A link's end without shared memory, whose peer sends what packets it likes.

#![no_main]

mod enemy;

libfuzzer_sys::fuzz_target!(|input: &[u8]| enemy::attack(weft::ipc::Transport::Socket, input));
