//! Round trips and one way, for each length.

use std::path::Path;
use std::time::Duration;

use weft_peers::contest::{percentiles, quick};

use crate::ends::{Kind, LONGEST};
use crate::far::{Near, Pinned};

const LENGTHS: [usize; 4] = [64, 4 << 10, 64 << 10, LONGEST];
const IDLE: Duration = Duration::from_millis(1);

fn kinds(libraries: &[String], longest: usize) -> Vec<Kind> {
    let kind = |name: &str, how: &str| Kind { name: name.into(), how: how.into(), longest };
    let mut kinds = vec![
        kind("weft", "link"),
        kind("weft in place", "in-place"),
        kind("weft over its socket", "socket-link"),
        kind("pipe pair", "pipe"),
        kind("socketpair", "socket"),
        kind("iceoryx2 polling", "iceoryx2"),
        kind("iceoryx2 events", "iceoryx2-event"),
    ];
    for library in libraries {
        let stem = Path::new(library).file_stem().expect("a name").to_string_lossy();
        kinds.push(kind(stem.trim_start_matches("lib").trim_start_matches("links_"), library));
    }
    kinds
}

/// What a contestant has done, a value a round.
struct Field {
    near: Near,
    trips: usize,
    messages: usize,
    p50: Vec<f64>,
    p99: Vec<f64>,
    idle: Vec<f64>,
    message_ns: Vec<f64>,
}

impl Field {
    /// Finds out how much it can do in a round.
    fn new(mut near: Near, len: usize) -> Self {
        let (ns, fewest) = if quick() { (10e6, 20) } else { (50e6, 100) };
        near.compare(len);
        let trip = near.trips(20, len, Duration::ZERO).iter().sum::<u64>() as f64 / 20.0;
        let trips = ((ns / trip) as usize).clamp(fewest, 5000);
        let mut messages = 16;
        let mut took = near.one_way(messages, len);
        while took * messages as f64 * 4.0 < ns {
            messages *= 4;
            took = near.one_way(messages, len);
        }
        let messages = messages.max((ns / took) as usize);
        Field { near, trips, messages, p50: vec![], p99: vec![], idle: vec![], message_ns: vec![] }
    }

    fn round(&mut self, len: usize) {
        let (p50, p99) = percentiles(&mut self.near.trips(self.trips, len, Duration::ZERO));
        self.p50.push(p50 as f64);
        self.p99.push(p99 as f64);
        self.message_ns.push(self.near.one_way(self.messages, len));
        if len == LENGTHS[0] {
            self.idle.push(percentiles(&mut self.near.trips(if quick() { 10 } else { 30 }, len, IDLE)).0 as f64);
        }
    }
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

pub fn all(weft: &str, libraries: &[String]) {
    let _pinned = Pinned::to(0);
    println!(
        "us of a round trip, p50 and p99, and p50 after {IDLE:?} without; GB and million messages a second one way."
    );
    println!(
        "Medians of rounds; it/weft: round trip, as a multiple of Weft's; weft/it: Weft's rate, as one of this line's.\n"
    );
    println!(
        "{:>8} {:<22} {:>9} {:>9} {:>8} {:>9} {:>9} {:>9} {:>8}",
        "bytes", "who", "p50", "p99", "it/weft", "idle p50", "GB/s", "M/s", "weft/it"
    );
    for len in LENGTHS {
        let mut field: Vec<Field> =
            kinds(libraries, len).iter().map(|kind| Field::new(Near::start(weft, kind), len)).collect();
        for _ in 0..if quick() { 3 } else { 5 } {
            field.iter_mut().for_each(|one| one.round(len));
        }
        let first = (median(&field[0].p50), median(&field[0].message_ns));
        for one in field {
            let (p50, ns) = (median(&one.p50), median(&one.message_ns));
            print!("{len:>8} {:<22} {:>9.2} {:>9.2}", one.near.name, p50 / 1e3, median(&one.p99) / 1e3);
            let idle = if one.idle.is_empty() { "-".into() } else { format!("{:.1}", median(&one.idle) / 1e3) };
            print!(" {:>8.2} {idle:>9}", p50 / first.0);
            println!(" {:>9.2} {:>9.3} {:>8.2}", len as f64 / ns, 1e3 / ns, ns / first.1);
            one.near.finish();
        }
        println!();
    }
}

/// How long it takes to learn that the other process was killed.
pub fn deaths(weft: &str) {
    println!("us from SIGKILL to word of it, p50 and p99:\n");
    let kinds: Vec<_> = kinds(&[], 64).into_iter().filter(|kind| !kind.how.starts_with("iceoryx2")).collect();
    let mut took = vec![Vec::new(); kinds.len()];
    for _ in 0..if quick() { 20 } else { 200 } {
        for (kind, took) in kinds.iter().zip(&mut took) {
            let mut near = Near::start(weft, kind);
            near.compare(64);
            took.push(near.death().expect("it is told"));
        }
    }
    for (kind, took) in kinds.iter().zip(&mut took) {
        let (p50, p99) = percentiles(took);
        println!("{:>8} {:<22} {:>9.1} {:>9.1}", "", kind.name, p50 as f64 / 1e3, p99 as f64 / 1e3);
    }
    println!();
}
