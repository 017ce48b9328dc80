//! Weft's links and process pools beside their peers: `links LIBWEFT.SO [LIBRARY...]`.
//!
//! For each length of messages each contestant has a process at its other end, which is this program again. They take
//! turns, round by round. Round trips are timed one by one, one way by the whole; what arrives is counted, and each message
//! has its number at its beginning and its end. The peers that are libraries for C come as modules that do for them what
//! benches/links.h says. WEFT_BENCH_PIN=1 gives each of the two processes a CPU of its own.

mod calls;
mod ends;
mod far;
mod iceoryx;
mod table;

use weft_peers::c_abi;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next().expect("usage: links LIBWEFT.SO [LIBRARY...]");
    if first == "--far" {
        return far::obey(arguments);
    }
    if first == "--serve" {
        return calls::serve(&arguments.next().expect("a library"));
    }
    c_abi::load(&first);
    // A peer that hangs is not waited for for ever.
    // SAFETY: an alarm without a handler ends the process.
    unsafe { libc::alarm(300) };
    table::all(&first, &arguments.collect::<Vec<_>>());
    table::deaths(&first);
    calls::all(&first);
}
