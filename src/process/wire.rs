//! What is in the frames between a pool and its workers. Numbers are in the order of the machine, which both are on.
//!
//! | kind | from the pool | from the worker |
//! |---|---|---|
//! | REQUEST | a call: flags are the attempt, and [`TELL`] | |
//! | REPLY, ERROR | | its answer |
//! | CANCEL | it is not wanted any more | |
//! | HEARTBEAT | of id 0: flags are the level of the log | of id 0: it is ready; else: this call has begun |
//! | STATS | | [`Stats`] |
//! | LOG | | [`Log`] |
//! | SHUTDOWN | it is to leave | |
//!
//! A worker is not trusted: what it sends is checked to the last byte.

use crate::error::{Error, Status, c_string};
use crate::ipc::frame::Nonsense;
use crate::memory::Bytes;

/// A call.
pub const REQUEST: u32 = 1;
/// Its result.
pub const REPLY: u32 = 2;
/// Its failure.
pub const ERROR: u32 = 3;
/// It is not wanted any more.
pub const CANCEL: u32 = 4;
/// See above.
pub const HEARTBEAT: u32 = 5;
/// What a worker has done.
pub const STATS: u32 = 6;
/// A record of a worker's log.
pub const LOG: u32 = 7;
/// It is to leave.
pub const SHUTDOWN: u32 = 8;

/// A flag of requests: the worker tells when it begins, since others may be waiting in line.
pub const TELL: u32 = 1 << 31;

/// The variable with the number of a worker's descriptor.
pub const FD_VARIABLE: &str = "WEFT_LINK_FD";
/// The variable with the number of the process that has started it.
pub const PARENT_VARIABLE: &str = "WEFT_POOL_PID";

/// A failure on its way.
#[derive(Default, Debug)]
pub struct Failed {
    /// Not OK.
    pub status: i32,
    /// What happened.
    pub message: String,
    /// Where.
    pub backtrace: String,
    /// What the handler has attached.
    pub payload: Option<Bytes>,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.number().map(u32::from_ne_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.number().map(i32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.number().map(u64::from_ne_bytes)
    }

    fn text(&mut self, len: u32) -> Option<String> {
        Some(String::from_utf8_lossy(self.bytes(len as usize)?).into_owned())
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// No text of a failure is longer.
const TEXT: usize = 1 << 20;

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT)]
}

impl Failed {
    /// As it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let payload = self.payload.as_ref().map(Bytes::as_slice);
        let (message, backtrace) = (cut(&self.message), cut(&self.backtrace));
        let mut bytes = Vec::new();
        bytes.extend(self.status.to_ne_bytes());
        bytes.extend(u32::from(payload.is_some()).to_ne_bytes());
        bytes.extend((message.len() as u32).to_ne_bytes());
        bytes.extend((backtrace.len() as u32).to_ne_bytes());
        bytes.extend(message.as_bytes());
        bytes.extend(backtrace.as_bytes());
        bytes.extend(payload.unwrap_or_default());
        bytes
    }

    /// The inverse; anything may be in it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Failed, Nonsense> {
        let mut reader = Reader(bytes);
        let mut read = || {
            let (status, has_payload) = (reader.i32()?, reader.u32()?);
            let (message, backtrace) = (reader.u32()?, reader.u32()?);
            let (message, backtrace) = (reader.text(message)?, reader.text(backtrace)?);
            let payload = match has_payload {
                0 => reader.end().map(|()| None)?,
                1 => Some(Bytes::copy(reader.0)?),
                _ => return None,
            };
            Some(Failed { status, message, backtrace, payload })
        };
        read().filter(|failed| failed.status != Status::Ok as i32).ok_or("a failure that cannot be")
    }

    /// As it is kept with a future.
    pub fn into_error(self, origin: &str) -> Error {
        let mut error = Error::new(self.status, &self.message, origin);
        error.backtrace = c_string(&self.backtrace);
        error.payload = self.payload;
        error
    }
}

/// What a worker has done.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Calls that its handler has run.
    pub calls: u64,
    /// Of them, those that failed.
    pub failed: u64,
    /// Bytes of memory it occupies.
    pub resident: u64,
}

impl Stats {
    /// As it is sent.
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (place, number) in bytes.chunks_exact_mut(8).zip([self.calls, self.failed, self.resident]) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        bytes
    }

    /// The inverse.
    pub fn from_bytes(bytes: &[u8]) -> Result<Stats, Nonsense> {
        let mut reader = Reader(bytes);
        let mut read = || {
            let stats = Stats { calls: reader.u64()?, failed: reader.u64()?, resident: reader.u64()? };
            reader.end().map(|()| stats)
        };
        read().ok_or("statistics that cannot be")
    }
}

/// A record of a worker's log.
#[derive(Debug, PartialEq, Eq)]
pub struct Log {
    /// How much it matters, 1 to 4.
    pub level: i32,
    /// The index of a thread of the worker's runtime, or -1.
    pub worker: i32,
    /// The names of that runtime and of the task, and what happened.
    pub texts: [String; 3],
}

impl Log {
    /// As it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.level.to_ne_bytes());
        bytes.extend(self.worker.to_ne_bytes());
        for text in &self.texts {
            bytes.extend((cut(text).len() as u32).to_ne_bytes());
        }
        self.texts.iter().for_each(|text| bytes.extend(cut(text).as_bytes()));
        bytes
    }

    /// The inverse.
    pub fn from_bytes(bytes: &[u8]) -> Result<Log, Nonsense> {
        let mut reader = Reader(bytes);
        let mut read = || {
            let (level, worker) = (reader.i32()?, reader.i32()?);
            let lengths = [reader.u32()?, reader.u32()?, reader.u32()?];
            let [a, b, c] = lengths.map(|len| reader.text(len));
            reader.end()?;
            Some(Log { level, worker, texts: [a?, b?, c?] })
        };
        read().filter(|log| (1..=4).contains(&log.level)).ok_or("a record of a log that cannot be")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_come_back_as_they_were() {
        for payload in [None, Some(&b""[..]), Some(&[7; 300])] {
            let payload = payload.map(|bytes| Bytes::copy(bytes).unwrap());
            let failed = Failed { status: 77, message: "no".into(), backtrace: "here\nthere".into(), payload };
            let back = Failed::from_bytes(&failed.to_bytes()).unwrap();
            let slice = |failed: &Failed| failed.payload.as_ref().map(|bytes| bytes.as_slice().to_vec());
            assert_eq!((back.status, &*back.message, &*back.backtrace), (77, "no", "here\nthere"));
            assert_eq!(slice(&back), slice(&failed));
        }
    }

    #[test]
    fn what_is_cut_or_longer_is_nonsense() {
        let failed = Failed { status: 60, message: "message".into(), backtrace: "b".into(), payload: None }.to_bytes();
        let log = Log { level: 2, worker: -1, texts: ["r".into(), String::new(), "what".into()] };
        assert_eq!(Log::from_bytes(&log.to_bytes()).unwrap(), log);
        let stats = Stats { calls: 1, failed: 2, resident: 3 };
        assert_eq!(Stats::from_bytes(&stats.to_bytes()).unwrap(), stats);
        for len in 0..failed.len() {
            assert!(Failed::from_bytes(&failed[..len]).is_err());
        }
        for len in 0..log.to_bytes().len() {
            assert!(Log::from_bytes(&log.to_bytes()[..len]).is_err());
        }
        assert!(Stats::from_bytes(&stats.to_bytes()[1..]).is_err());
        let longer = |bytes: &[u8]| [bytes, b"x"].concat();
        assert!(Failed::from_bytes(&longer(&failed)).is_err());
        assert!(Log::from_bytes(&longer(&log.to_bytes())).is_err());
        assert!(Stats::from_bytes(&longer(&stats.to_bytes())).is_err());
        assert!(Failed::from_bytes(&[0; 16]).is_err());
        assert!(Failed::from_bytes(&[0xff; 64]).is_err());
        assert!(Log::from_bytes(&[0xff; 64]).is_err());
    }
}
