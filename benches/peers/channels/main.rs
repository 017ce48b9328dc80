//! Weft's channels beside their peers: `channels LIBWEFT.SO [PROGRAM...]`.
//!
//! The peers that are crates run here. The others have programs that do the same work when told to by a line on their
//! standard input (`benches/channels_moodycamel.cpp`, `benches/channels.go`), so that they take their turns with the
//! rest.

mod peers;
mod program;
mod weft;
mod work;

use weft_peers::c_abi;
use weft_peers::contest::{self, Contestant};

use program::Program;
use work::{Kind, Peer, Work};

fn works() -> Vec<Work> {
    const UNBOUNDED: Option<usize> = None;
    let mut works = Vec::new();
    for bytes in [8, 64] {
        for threads in [1, 4] {
            for capacity in [Some(0), Some(1), Some(1024), UNBOUNDED] {
                works.push(Work { kind: Kind::Stream, bytes, producers: threads, consumers: threads, capacity });
            }
        }
    }
    for threads in [1, 4] {
        for capacity in [Some(1024), UNBOUNDED] {
            works.push(Work { kind: Kind::Batch, bytes: 8, producers: threads, consumers: threads, capacity });
        }
    }
    works.push(Work { kind: Kind::Trips, bytes: 8, producers: 1, consumers: 1, capacity: Some(1) });
    works.push(Work { kind: Kind::Select, bytes: 8, producers: 4, consumers: 1, capacity: Some(1024) });
    works
}

fn rust<P: Peer>(work: Work) -> Contestant<'static> {
    Contestant::new(P::NAME, move |messages| work.run::<P>(messages))
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let library = arguments.next().expect("usage: channels LIBWEFT.SO [PROGRAM...]");
    c_abi::load(&library);
    // What its users are told to do on virtual machines.
    crossfire::detect_backoff_cfg();
    let programs: Vec<Program> = arguments.map(|path| Program::start(&path)).collect();
    contest::head("messages (round trips)");
    for work in works() {
        let mut contestants = vec![
            rust::<weft::Shared>(work),
            rust::<weft::Single>(work),
            rust::<peers::Crossbeam>(work),
            rust::<peers::Kanal>(work),
            rust::<peers::Crossfire>(work),
            rust::<peers::CrossfireList>(work),
            rust::<peers::CrossfireSingle>(work),
            rust::<peers::CrossfireSingleList>(work),
            rust::<peers::Flume>(work),
            rust::<peers::Std>(work),
            rust::<peers::StdUnbounded>(work),
            rust::<peers::Rtrb>(work),
        ];
        contestants.extend(programs.iter().flat_map(|program| program.contestants(work)));
        contest::contest(&work.to_string(), work.most(), contestants);
    }
}
