//! Ends of connections between two processes: what is Weft's, the kernel's and a library's.

use std::ffi::{CString, c_char, c_void};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr::null_mut;

use weft_peers::c_abi::{DIED, FOREVER, Frame, Object, check, link_pair, weft};

/// The longest message.
pub const LONGEST: usize = 1 << 20;

/// One end.
pub trait End {
    /// Sends a message.
    fn send(&mut self, data: &[u8]);
    /// Waits for the next message, of that length, and looks at it.
    fn receive(&mut self, len: usize, look: &mut dyn FnMut(&[u8]));
    /// Waits until it is told that the other process is gone; whether it is told that at all.
    fn told_of_death(&mut self) -> bool {
        false
    }
}

/// What both processes need to know.
#[derive(Clone)]
pub struct Kind {
    /// For the table, and to tell the ends of one contestant from others.
    pub name: String,
    /// `link`, `in-place`, `socket-link`, `pipe`, `socket`, `iceoryx2`, `iceoryx2-event`, or a library.
    pub how: String,
    /// The longest message of this contest.
    pub longest: usize,
}

impl Kind {
    /// How many messages may wait where that has to be said: 4 MiB of them, as in a link.
    pub fn room(&self) -> usize {
        (4 * LONGEST / self.longest).min(4096)
    }

    /// The end of this process, and the descriptors that the other one gets.
    pub fn first(&self) -> (Box<dyn End>, Vec<OwnedFd>) {
        let link = |transport, trusted| -> (Box<dyn End>, _) {
            let (link, far) = link_pair(transport, trusted);
            // SAFETY: the pair gave it to us.
            (Box::new(Link { link, in_place: trusted }), vec![unsafe { OwnedFd::from_raw_fd(far) }])
        };
        match self.how.as_str() {
            "link" => link("WEFT_LINK_SHARED", false),
            "in-place" => link("WEFT_LINK_SHARED", true),
            "socket-link" => link("WEFT_LINK_SOCKET", false),
            "pipe" => {
                let ((far_in, out), (input, far_out)) = (pipe(), pipe());
                (Box::new(Stream::new(input, out)), vec![far_in.into(), far_out.into()])
            }
            "socket" => {
                let (near, far) = UnixStream::pair().expect("sockets");
                let near = OwnedFd::from(near);
                let input = near.try_clone().expect("a descriptor");
                (Box::new(Stream::new(input.into(), near.into())), vec![far.into()])
            }
            _ => (self.named(&name(std::process::id(), &self.name), true), Vec::new()),
        }
    }

    /// The end of the process that has `parent`.
    pub fn second(&self, parent: u32, given: &[RawFd]) -> Box<dyn End> {
        // SAFETY: the parent left them open for us.
        let file = |i: usize| unsafe { File::from_raw_fd(given[i]) };
        match self.how.as_str() {
            "link" | "in-place" | "socket-link" => {
                let mut link = null_mut();
                // SAFETY: a descriptor that is the link's from now on, and a place for the handle.
                check(unsafe { weft().link_adopt.expect("links")(file(0).into_raw_fd(), &mut link) });
                Box::new(Link { link, in_place: self.how == "in-place" })
            }
            "pipe" => Box::new(Stream::new(file(0), file(1))),
            "socket" => {
                let socket = file(0);
                Box::new(Stream::new(socket.try_clone().expect("a descriptor"), socket))
            }
            _ => self.named(&name(parent, &self.name), false),
        }
    }

    fn named(&self, name: &str, first: bool) -> Box<dyn End> {
        match self.how.as_str() {
            "iceoryx2" => Box::new(crate::iceoryx::Iceoryx::new(name, first, self, false)),
            "iceoryx2-event" => Box::new(crate::iceoryx::Iceoryx::new(name, first, self, true)),
            library => Box::new(Library::open(library, name, first, self)),
        }
    }
}

fn name(parent: u32, name: &str) -> String {
    format!("weft-links-{parent}-{}", name.replace(' ', "-"))
}

fn pipe() -> (File, File) {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors, which are ours then.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]))
    }
}

// ---- Weft

/// WEFT_FRAME_USER
const USER: u32 = 256;

struct Link {
    link: Object,
    in_place: bool,
}

impl End for Link {
    fn send(&mut self, data: &[u8]) {
        let send = weft().link_send.expect("links");
        // SAFETY: a link and bytes.
        check(unsafe { send(self.link, USER, 0, 0, data.as_ptr().cast(), data.len(), FOREVER) });
    }

    fn receive(&mut self, _len: usize, look: &mut dyn FnMut(&[u8])) {
        let mut frame = Frame::default();
        // SAFETY: a frame's data is good until it is consumed, or until its bytes are released.
        unsafe {
            let receive = if self.in_place { weft().link_peek } else { weft().link_recv };
            check(receive.expect("links")(self.link, FOREVER, &mut frame));
            look(std::slice::from_raw_parts(frame.data.cast(), frame.len));
            if self.in_place {
                check(weft().link_consume.expect("links")(self.link));
            } else {
                weft().bytes_release.expect("bytes")(frame.bytes);
            }
        }
    }

    fn told_of_death(&mut self) -> bool {
        // SAFETY: a link and a place for a frame, of which there is none.
        unsafe { weft().link_recv.expect("links")(self.link, FOREVER, &mut Frame::default()) == DIED }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        unsafe { weft().link_release.expect("links")(self.link) };
    }
}

// ---- pipes and sockets, which know no messages: the length is known

struct Stream {
    input: File,
    out: File,
    buffer: Vec<u8>,
}

impl Stream {
    fn new(input: File, out: File) -> Self {
        Stream { input, out, buffer: vec![0; LONGEST] }
    }
}

impl End for Stream {
    fn send(&mut self, data: &[u8]) {
        self.out.write_all(data).expect("somebody reads");
    }

    fn receive(&mut self, len: usize, look: &mut dyn FnMut(&[u8])) {
        self.input.read_exact(&mut self.buffer[..len]).expect("somebody writes");
        look(&self.buffer[..len]);
    }

    fn told_of_death(&mut self) -> bool {
        self.input.read(&mut [0]).expect("an end") == 0
    }
}

// ---- libraries

type Open = unsafe extern "C" fn(*const c_char, i32, usize, usize) -> *mut c_void;
type Send = unsafe extern "C" fn(*mut c_void, *const c_void, usize);
type Receive = unsafe extern "C" fn(*mut c_void, *mut c_void) -> usize;
type Close = unsafe extern "C" fn(*mut c_void);

struct Library {
    end: *mut c_void,
    send: Send,
    receive: Receive,
    close: Close,
    buffer: Vec<u8>,
}

impl Library {
    fn open(path: &str, name: &str, first: bool, kind: &Kind) -> Self {
        let library = CString::new(path).expect("no NUL in a path");
        let name = CString::new(name).expect("no NUL in a name");
        // SAFETY: the module has these functions, with the types of benches/links.h.
        unsafe {
            let library = libc::dlopen(library.as_ptr(), libc::RTLD_NOW);
            assert!(!library.is_null(), "{path} cannot be loaded");
            let symbol = |name: &std::ffi::CStr| {
                let found = libc::dlsym(library, name.as_ptr());
                assert!(!found.is_null(), "{path} has no {name:?}");
                found
            };
            let open: Open = std::mem::transmute(symbol(c"peer_open"));
            Library {
                end: open(name.as_ptr(), first.into(), kind.longest, kind.room()),
                send: std::mem::transmute::<*mut c_void, Send>(symbol(c"peer_send")),
                receive: std::mem::transmute::<*mut c_void, Receive>(symbol(c"peer_recv")),
                close: std::mem::transmute::<*mut c_void, Close>(symbol(c"peer_close")),
                buffer: vec![0; kind.longest],
            }
        }
    }
}

impl End for Library {
    fn send(&mut self, data: &[u8]) {
        // SAFETY: an end of this library and bytes.
        unsafe { (self.send)(self.end, data.as_ptr().cast(), data.len()) };
    }

    fn receive(&mut self, _len: usize, look: &mut dyn FnMut(&[u8])) {
        // SAFETY: an end of this library and the room that it was told of.
        let len = unsafe { (self.receive)(self.end, self.buffer.as_mut_ptr().cast()) };
        look(&self.buffer[..len]);
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: nobody uses it any more.
        unsafe { (self.close)(self.end) };
    }
}

/// Lets the descriptors live on in the program that a child executes.
pub fn leave_open(fds: &[OwnedFd]) -> impl FnMut() -> std::io::Result<()> + 'static {
    let fds: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    move || {
        for fd in &fds {
            // SAFETY: descriptors of ours; fcntl may be called after fork.
            if unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) } != 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    }
}
