//! Calls of pools of two workers, one after the other. Peers are programs of other languages, which begin by a line with the names
//! of their contestants; then each line they get, `NAME BYTES CALLS`, is answered by `P50 P99`, in nanoseconds.

use std::cell::RefCell;
use std::ffi::{CString, c_void};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use weft_peers::c_abi::{self, FOREVER, Object, Status, check, weft};
use weft_peers::contest::{percentiles, quick};

use crate::ends::Kind;
use crate::far::Near;
use crate::table::median;

const LEN: usize = 64;

struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    names: Vec<String>,
}

impl Program {
    /// `None`: the interpreter is not there.
    fn start(interpreter: &str, option: &str, script: &str) -> Option<Self> {
        let mut command = Command::new(interpreter);
        command.args([option, script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                println!("{interpreter}: {error}");
                return None;
            }
        };
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let mut program = Program { child, input, output: BufReader::new(output), names: Vec::new() };
        program.names = program.line().split_whitespace().map(String::from).collect();
        Some(program)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a pipe");
        assert!(line.ends_with('\n'), "a program has ended");
        line
    }

    fn ask(&mut self, name: &str, calls: usize) -> [u64; 2] {
        writeln!(self.input, "{name} {LEN} {calls}").expect("it listens");
        let line = self.line();
        let numbers: Vec<u64> = line.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        numbers.try_into().expect("two numbers")
    }

    fn finish(mut self) {
        drop(self.input);
        assert!(self.child.wait().expect("a child").success(), "a program has failed");
    }
}

// ---- Weft's

unsafe extern "C" fn echo(data: *const c_void, len: usize, reply: *mut Object, _arg: *mut c_void) -> Status {
    // SAFETY: a call's bytes, and the place for an answer.
    unsafe { weft().bytes_new.expect("bytes")(data, len, reply) }
}

/// What a worker process does.
pub fn serve(library: &str) {
    c_abi::load(library);
    // SAFETY: the handler keeps to its type, and uses no argument.
    check(unsafe { weft().serve.expect("pools")(-1, echo, null_mut()) });
}

struct Pool(Object);

impl Pool {
    fn new(library: &str) -> Self {
        let path = std::env::current_exe().expect("this program");
        let arguments = [path.to_str().expect("UTF-8"), "--serve", library];
        let arguments = arguments.map(|argument| CString::new(argument).expect("no NUL"));
        let mut argv: Vec<_> = arguments.iter().map(|argument| argument.as_ptr()).collect();
        argv.push(null());
        Pool(c_abi::process_pool(2, &argv))
    }

    fn call(&self, data: &[u8]) {
        let (mut future, mut answer) = (null_mut(), null_mut());
        // SAFETY: a pool, bytes and places; the answer is bytes that are good as long as the future.
        unsafe {
            let call = weft().process_pool_call.expect("pools");
            check(call(self.0, data.as_ptr().cast(), data.len(), null(), &mut future));
            check((weft().future_get)(future, FOREVER, &mut answer));
            let bytes = weft().bytes_data.expect("bytes")(answer).cast::<u8>();
            let len = weft().bytes_len.expect("bytes")(answer);
            assert_eq!(std::slice::from_raw_parts(bytes, len), data, "another answer");
            (weft().future_release)(future);
        }
    }

    fn calls(&self, count: usize) -> [u64; 2] {
        let mut data = [0; LEN];
        let mut took: Vec<u64> = (0..count as u64)
            .map(|number| {
                data[..8].copy_from_slice(&number.to_le_bytes());
                let begin = Instant::now();
                self.call(&data);
                begin.elapsed().as_nanos() as u64
            })
            .collect();
        percentiles(&mut took).into()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        unsafe {
            check(weft().process_pool_drain.expect("pools")(self.0, FOREVER));
            weft().process_pool_release.expect("pools")(self.0);
        }
    }
}

// ---- the contest

/// Median and 99th percentile of so many calls, in nanoseconds.
type Calls<'a> = Box<dyn FnMut(usize) -> [u64; 2] + 'a>;

pub fn all(library: &str) {
    let pool = Pool::new(library);
    let kind = Kind { name: "pipe pair, no pool".into(), how: "pipe".into(), longest: LEN };
    let mut pipes = Near::start(library, &kind);
    let programs = [("python3", "-c", include_str!("../../pools.py")), ("ruby", "-e", include_str!("../../pools.rb"))];
    let programs: Vec<RefCell<Program>> = programs
        .into_iter()
        .filter_map(|(interpreter, option, script)| Program::start(interpreter, option, script).map(RefCell::new))
        .collect();
    let mut field: Vec<(String, Calls)> = vec![
        ("weft".into(), Box::new(|count| pool.calls(count))),
        (kind.name, Box::new(|count| percentiles(&mut pipes.trips(count, LEN, Duration::ZERO)).into())),
    ];
    for program in &programs {
        for name in program.borrow().names.clone() {
            field.push((name.clone(), Box::new(move |count| program.borrow_mut().ask(&name, count))));
        }
    }
    println!("us of a call of {LEN} bytes, 2 workers, one call after the other, p50 and p99:\n");
    println!("{:>8} {:<22} {:>9} {:>9} {:>8}", "", "who", "p50", "p99", "it/weft");
    let enough = if quick() { 20_000_000 } else { 100_000_000 };
    let mut rounds: Vec<_> = field
        .into_iter()
        .map(|(name, mut calls)| {
            let count = (enough / calls(200)[0] as usize).clamp(200, 20_000);
            (name, calls, count, Vec::new(), Vec::new())
        })
        .collect();
    for _ in 0..if quick() { 3 } else { 7 } {
        for (_, calls, count, p50, p99) in &mut rounds {
            let [middle, high] = calls(*count);
            p50.push(middle as f64);
            p99.push(high as f64);
        }
    }
    let first = median(&rounds[0].3);
    for (name, _, _, p50, p99) in &rounds {
        let (p50, p99) = (median(p50), median(p99));
        println!("{:>8} {name:<22} {:>9.2} {:>9.2} {:>8.2}", "", p50 / 1e3, p99 / 1e3, p50 / first);
    }
    drop(rounds);
    pipes.finish();
    programs.into_iter().for_each(|program| program.into_inner().finish());
}
