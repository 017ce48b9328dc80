//! A link's end that reads from rings which its peer writes to as it likes: indices, headers, bytes.

#![no_main]

mod enemy;

libfuzzer_sys::fuzz_target!(|input: &[u8]| enemy::attack(weft::ipc::Transport::Shared, input));
