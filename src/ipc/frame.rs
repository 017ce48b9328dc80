//! What goes over a link: frames, in one piece or several.
//!
//! A piece is a header of 24 bytes and its bytes. A frame that is too long for one piece announces its length, in 8 more bytes
//! of its first piece; others may not come in between. A sender that has to give up in the middle withdraws what it has sent.
//! [`Assembly`] puts frames together and trusts nothing: lengths are those of the pieces that came, what was announced is only
//! compared, and memory is taken as bytes arrive.

use crate::error::{Failure, Result, Status};
use crate::memory::Bytes;

/// Bytes of a piece's header.
pub const HEADER: usize = 24;
/// Bytes of the announced length behind the header of a first piece of several.
pub const LENGTH: usize = 8;

/// More pieces of the frame follow.
pub const MORE: u32 = 1;
/// It is not the first.
pub const REST: u32 = 2;
/// The frame will not be completed.
pub const WITHDRAWN: u32 = 4;
/// The sender has closed; only where there is no shared memory to say so.
pub const GOODBYE: u32 = 8;

/// Kinds from here on are the program's.
pub const USER: u32 = 256;
/// Kinds that have a meaning are 1 to this.
pub const LAST_KIND: u32 = 8;

/// How much memory is taken for a frame before its bytes have come.
const RESERVE: usize = 64 << 20;

/// Whether frames may be of this kind.
pub fn is_kind(kind: u32) -> bool {
    (1..=LAST_KIND).contains(&kind) || kind >= USER
}

/// What is said of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// What it means.
    pub kind: u32,
    /// The program's.
    pub flags: u32,
    /// The program's: which call it belongs to, say.
    pub id: u64,
}

/// A frame.
#[derive(Debug)]
pub struct Frame {
    /// What is said of it.
    pub head: Head,
    /// What it carries.
    pub bytes: Bytes,
}

/// A piece's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes that follow it.
    pub len: u32,
    /// MORE, REST and so on.
    pub control: u32,
    /// The frame's.
    pub head: Head,
}

impl Header {
    /// As it is sent.
    #[inline(always)]
    pub fn to_bytes(self) -> [u8; HEADER] {
        let word = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let words = [word(self.len, self.control), word(self.head.kind, self.head.flags), self.head.id];
        // SAFETY: both are 24 bytes without gaps.
        unsafe { std::mem::transmute::<[u64; 3], [u8; HEADER]>(words) }
    }

    /// The inverse. Anything may be in it.
    #[inline(always)]
    pub fn from_bytes(bytes: [u8; HEADER]) -> Header {
        // SAFETY: as above.
        let words = unsafe { std::mem::transmute::<[u8; HEADER], [u64; 3]>(bytes) };
        let high = |word: u64| (word >> 32) as u32;
        let head = Head { kind: words[1] as u32, flags: high(words[1]), id: words[2] };
        Header { len: words[0] as u32, control: high(words[0]), head }
    }
}

/// What is wrong with what the peer has sent.
pub type Nonsense = &'static str;

/// Takes frames. Most are in one piece, and copied from where that lies to where they will stay, without a stop in between.
pub trait Sink {
    /// A frame that was taken.
    type Taken;

    /// Copies a frame that others may be writing to; None when there is no memory for it.
    ///
    /// # Safety
    /// `data` leads to `len` readable bytes.
    unsafe fn copy(&self, head: Head, data: *const u8, len: usize) -> Option<Self::Taken>;

    /// Takes a frame that has been copied before.
    fn own(&self, frame: Frame) -> Self::Taken;
}

/// Takes them as they are.
pub struct Frames;

impl Sink for Frames {
    type Taken = Frame;

    #[inline(always)]
    unsafe fn copy(&self, head: Head, data: *const u8, len: usize) -> Option<Frame> {
        // SAFETY: promised by the caller.
        unsafe { Bytes::copy_from(data, len) }.map(|bytes| Frame { head, bytes })
    }

    fn own(&self, frame: Frame) -> Frame {
        frame
    }
}

/// What a piece came to.
pub enum Step<T = Frame> {
    /// A frame is complete; and its bytes.
    Frame(T, usize),
    /// More pieces are needed.
    Pending,
    /// The peer has closed.
    Goodbye,
}

/// A frame that is not complete.
struct Partial {
    head: Head,
    announced: u64,
    bytes: Vec<u8>,
}

/// Puts frames together.
pub struct Assembly {
    partial: Option<Partial>,
    /// No frame is longer.
    max: u64,
}

/// Why a piece is not taken.
pub enum Refusal {
    /// It cannot be right.
    Nonsense(Nonsense),
    /// Something is wrong here.
    Failed(Failure),
}

impl From<Nonsense> for Refusal {
    fn from(nonsense: Nonsense) -> Self {
        Refusal::Nonsense(nonsense)
    }
}

fn no_memory(len: u64) -> Refusal {
    Refusal::Failed(Failure::with(Status::NoMemory, format!("no memory for a frame of {len} bytes")))
}

impl Assembly {
    /// Of frames up to this length.
    pub fn new(max: u64) -> Self {
        Assembly { partial: None, max }
    }

    /// Whether no frame has been begun.
    pub fn is_empty(&self) -> bool {
        self.partial.is_none()
    }

    /// Takes a piece. After a failure for want of memory it may be taken again.
    ///
    /// # Safety
    /// `data` leads to `header.len` readable bytes, which others may be writing to.
    #[inline(always)]
    pub unsafe fn take<S: Sink>(
        &mut self,
        header: Header,
        data: *const u8,
        sink: &S,
    ) -> Result<Step<S::Taken>, Refusal> {
        if header.control == 0 && self.partial.is_none() {
            if !is_kind(header.head.kind) {
                return Err("a frame of no kind".into());
            }
            if u64::from(header.len) > self.max {
                return Err("a frame longer than the limit".into());
            }
            // SAFETY: promised by the caller.
            let taken = unsafe { sink.copy(header.head, data, header.len as usize) };
            let taken = taken.ok_or_else(|| no_memory(header.len.into()))?;
            return Ok(Step::Frame(taken, header.len as usize));
        }
        // SAFETY: promised by the caller.
        Ok(match unsafe { self.take_part(header, data)? } {
            Step::Frame(frame, len) => Step::Frame(sink.own(frame), len),
            Step::Pending => Step::Pending,
            Step::Goodbye => Step::Goodbye,
        })
    }

    /// # Safety
    /// As for `take`.
    #[cold]
    unsafe fn take_part(&mut self, header: Header, data: *const u8) -> Result<Step, Refusal> {
        let len = header.len as usize;
        match (header.control, &mut self.partial) {
            (MORE, None) => {
                let mut announced = [0; LENGTH];
                if len < LENGTH || !is_kind(header.head.kind) {
                    return Err("a frame that begins with nothing".into());
                }
                // SAFETY: promised by the caller; long enough.
                unsafe { std::ptr::copy_nonoverlapping(data, announced.as_mut_ptr(), LENGTH) };
                let announced = u64::from_ne_bytes(announced);
                if announced > self.max {
                    return Err("a frame longer than the limit".into());
                }
                let mut bytes = Vec::new();
                let reserve = usize::try_from(announced).unwrap_or(usize::MAX).min(RESERVE);
                bytes.try_reserve_exact(reserve).map_err(|_| no_memory(announced))?;
                let mut partial = Partial { head: header.head, announced, bytes };
                // SAFETY: as above.
                unsafe { partial.append(data.add(LENGTH), len - LENGTH)? };
                self.partial = Some(partial);
                Ok(Step::Pending)
            }
            (control, Some(partial)) if control & !MORE == REST && partial.head == header.head => {
                // SAFETY: promised by the caller.
                unsafe { partial.append(data, len)? };
                if control & MORE != 0 {
                    return Ok(Step::Pending);
                }
                if partial.bytes.len() as u64 != partial.announced {
                    return Err("a frame shorter than announced".into());
                }
                let partial = self.partial.take().expect("it is there");
                let len = partial.bytes.len();
                Ok(Step::Frame(Frame { head: partial.head, bytes: Bytes::from_vec(partial.bytes) }, len))
            }
            (control, Some(_)) if control == REST | WITHDRAWN && len == 0 => {
                self.partial = None;
                Ok(Step::Pending)
            }
            (GOODBYE, _) if len == 0 => Ok(Step::Goodbye),
            _ => Err("a piece that belongs to no frame".into()),
        }
    }
}

impl Partial {
    /// # Safety
    /// As for [`Assembly::take`].
    unsafe fn append(&mut self, data: *const u8, len: usize) -> Result<(), Refusal> {
        let now = self.bytes.len();
        if (now + len) as u64 > self.announced {
            return Err("a frame longer than announced".into());
        }
        self.bytes.try_reserve(len).map_err(|_| no_memory(self.announced))?;
        // SAFETY: promised by the caller; there is room.
        unsafe {
            std::ptr::copy_nonoverlapping(data, self.bytes.as_mut_ptr().add(now), len);
            self.bytes.set_len(now + len);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { kind: USER, flags: 3, id: 1 << 40 };

    fn take(assembly: &mut Assembly, control: u32, head: Head, data: &[u8]) -> Result<Step, Nonsense> {
        let header = Header { len: data.len() as u32, control, head };
        assert_eq!(Header::from_bytes(header.to_bytes()), header);
        // SAFETY: the slice.
        unsafe { assembly.take(header, data.as_ptr(), &Frames) }.map_err(|refusal| match refusal {
            Refusal::Nonsense(nonsense) => nonsense,
            Refusal::Failed(failure) => panic!("{failure:?}"),
        })
    }

    #[test]
    fn pieces_make_a_frame() {
        let mut assembly = Assembly::new(100);
        let first = [10u64.to_ne_bytes().as_slice(), &[1; 4]].concat();
        for _ in 0..2 {
            assert!(matches!(take(&mut assembly, MORE, HEAD, &first), Ok(Step::Pending)));
            assert!(matches!(take(&mut assembly, REST | MORE, HEAD, &[2; 3]), Ok(Step::Pending)));
            let Ok(Step::Frame(frame, _)) = take(&mut assembly, REST, HEAD, &[3; 3]) else { panic!("complete") };
            assert_eq!((frame.head, frame.bytes.as_slice()), (HEAD, &[1, 1, 1, 1, 2, 2, 2, 3, 3, 3][..]));
            assert!(matches!(take(&mut assembly, MORE, HEAD, &first), Ok(Step::Pending)));
            assert!(matches!(take(&mut assembly, REST | WITHDRAWN, HEAD, &[]), Ok(Step::Pending)));
        }
    }

    #[test]
    fn nonsense_is_told() {
        let long = |len: u64| [len.to_ne_bytes().as_slice(), &[1; 4]].concat();
        let other = Head { id: 2, ..HEAD };
        type Piece<'a> = (u32, Head, &'a [u8]);
        let cases: &[(&[Piece], Nonsense)] = &[
            (&[(0, Head { kind: 0, ..HEAD }, &[])], "a frame of no kind"),
            (&[(0, Head { kind: LAST_KIND + 1, ..HEAD }, &[])], "a frame of no kind"),
            (&[(0, HEAD, &[0; 101])], "a frame longer than the limit"),
            (&[(MORE, HEAD, &[0; 7])], "a frame that begins with nothing"),
            (&[(MORE, HEAD, &long(101))], "a frame longer than the limit"),
            (&[(MORE, HEAD, &long(u64::MAX))], "a frame longer than the limit"),
            (&[(MORE, HEAD, &long(3))], "a frame longer than announced"),
            (&[(MORE, HEAD, &long(5)), (REST | MORE, HEAD, &[0; 2])], "a frame longer than announced"),
            (&[(MORE, HEAD, &long(5)), (REST, HEAD, &[])], "a frame shorter than announced"),
            (&[(MORE, HEAD, &long(5)), (REST, other, &[0])], "a piece that belongs to no frame"),
            (&[(MORE, HEAD, &long(5)), (0, HEAD, &[0])], "a piece that belongs to no frame"),
            (&[(MORE, HEAD, &long(5)), (MORE, HEAD, &long(5))], "a piece that belongs to no frame"),
            (&[(REST, HEAD, &[])], "a piece that belongs to no frame"),
            (&[(REST | WITHDRAWN, HEAD, &[])], "a piece that belongs to no frame"),
            (&[(GOODBYE, HEAD, &[1])], "a piece that belongs to no frame"),
            (&[(16, HEAD, &[])], "a piece that belongs to no frame"),
            (&[(u32::MAX, HEAD, &[])], "a piece that belongs to no frame"),
        ];
        for (pieces, nonsense) in cases {
            let mut assembly = Assembly::new(100);
            let (last, before) = pieces.split_last().unwrap();
            for &(control, head, data) in before {
                assert!(matches!(take(&mut assembly, control, head, data), Ok(Step::Pending)));
            }
            assert_eq!(take(&mut assembly, last.0, last.1, last.2).err(), Some(*nonsense));
        }
    }
}
