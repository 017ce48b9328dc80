//! A peer that is a program of its own. It begins by a line with the names of its contestants. Then each line it gets,
//!
//! ```text
//! NAME KIND BYTES PRODUCERS CONSUMERS CAPACITY MESSAGES
//! ```
//!
//! (KIND: stream, batch, trips or select; CAPACITY: -1 for none) is answered by `NS CPU_NS P50 P99`, or by `-` if it
//! has nothing of this kind. It ends with its input, and uses no CPU while it waits for it.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use weft_peers::contest::{Contestant, Measure};

use crate::work::{Kind, Work};

pub struct Program {
    names: Vec<String>,
    talk: RefCell<Talk>,
}

struct Talk {
    path: String,
    child: Child,
    /// `None` at the end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Talk {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a pipe");
        assert!(line.ends_with('\n'), "{} has ended", self.path);
        line
    }

    fn ask(&mut self, name: &str, work: Work, messages: u64) -> Option<Measure> {
        let kind = match work.kind {
            Kind::Stream => "stream",
            Kind::Batch => "batch",
            Kind::Trips => "trips",
            Kind::Select => "select",
        };
        let Work { bytes, producers, consumers, .. } = work;
        let capacity = work.capacity.map_or(-1, |capacity| capacity as i64);
        let input = self.input.as_mut().expect("only drop takes it");
        writeln!(input, "{name} {kind} {bytes} {producers} {consumers} {capacity} {messages}").expect("it listens");
        let line = self.line();
        if line.trim() == "-" {
            return None;
        }
        let numbers: Option<Vec<u64>> = line.split_whitespace().map(|word| word.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[ns, cpu_ns, p50, p99]) => Some(Measure { ns, cpu_ns, p50, p99 }),
            _ => panic!("{} says {line:?}", self.path),
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.input.take());
        if let Err(error) = self.child.wait() {
            eprintln!("{}: {error}", self.path);
        }
    }
}

impl Program {
    pub fn start(path: &str) -> Self {
        let mut command = Command::new(path);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().expect("a pipe")));
        let mut talk = Talk { path: path.into(), child, input, output };
        let names = talk.line().split_whitespace().map(String::from).collect();
        Program { names, talk: RefCell::new(talk) }
    }

    pub fn contestants(&self, work: Work) -> impl Iterator<Item = Contestant<'_>> {
        let ask = move |name| Contestant::new(name, move |messages| self.talk.borrow_mut().ask(name, work, messages));
        self.names.iter().map(move |name| ask(name.as_str()))
    }
}
