//! Links.

use std::cell::OnceCell;
use std::ffi::c_void;
use std::os::fd::IntoRawFd;

use super::args::{self, invalid, may_create, place, pointer};
use super::boundary::{boundary, boundary_value};
use super::handle::{Handle, Noun};
use super::types::{WEFT_DEFAULT, weft_bytes, weft_link, weft_status};
use crate::error::Result;
use crate::ipc::{self, Frame, Head, Link, Options, Patience, Sink, Transport};
use crate::memory::Bytes;

/// Frames travel in shared memory, and if the system refuses that, over the socket, with a warning in the log.
pub const WEFT_LINK_AUTO: i32 = 0;
/// Frames travel in shared memory.
pub const WEFT_LINK_SHARED: i32 = 1;
/// Frames travel over a socket: more system calls, no shared memory.
pub const WEFT_LINK_SOCKET: i32 = 2;

/// A call. What a kind means is up to who sends and who receives; Weft's own processes use them as they are called.
pub const WEFT_FRAME_REQUEST: u32 = 1;
/// The answer to a call.
pub const WEFT_FRAME_REPLY: u32 = 2;
/// The failure of a call.
pub const WEFT_FRAME_ERROR: u32 = 3;
/// A call is not wanted any more.
pub const WEFT_FRAME_CANCEL: u32 = 4;
/// A sign of life.
pub const WEFT_FRAME_HEARTBEAT: u32 = 5;
/// Statistics.
pub const WEFT_FRAME_STATS: u32 = 6;
/// A log record.
pub const WEFT_FRAME_LOG: u32 = 7;
/// The peer is to finish.
pub const WEFT_FRAME_SHUTDOWN: u32 = 8;
/// This and everything above are the program's.
pub const WEFT_FRAME_USER: u32 = 256;

/// What a link is made with, both ends of it. Fill in with weft_link_options_init, then change what matters.
#[repr(C)]
pub struct weft_link_options {
    /// sizeof(weft_link_options).
    pub size: usize,
    /// A WEFT_LINK_ constant.
    pub transport: i32,
    /// A WEFT_ON, _OFF or _DEFAULT (off). On: both ends promise to leave the shared memory alone, so that frames may be
    /// looked at where they are (weft_link_peek). A peer that breaks the promise changes what is being looked at.
    pub trusted: i32,
    /// Bytes of shared memory for each direction, rounded up to a power of two; 0: 4 MiB. Larger frames pass through it
    /// in pieces. Memory is taken as it is used.
    pub ring_size: usize,
    /// The longest frame, in bytes; 0: 1 GiB; SIZE_MAX: no limit. A longer one is refused here with WEFT_TOO_LARGE, and
    /// one that a peer sends all the same is WEFT_PROTOCOL.
    pub max_frame: usize,
    /// Bytes of frames that an end keeps which have come while it waited to send, and which nobody has received yet;
    /// 0: 64 MiB. It takes one more when there are less. Beyond that it waits without taking any.
    pub backlog: usize,
}

impl args::SizePrefixed for weft_link_options {
    fn defaults() -> Self {
        weft_link_options {
            size: size_of::<Self>(),
            transport: WEFT_LINK_AUTO,
            trusted: WEFT_DEFAULT,
            ring_size: 0,
            max_frame: 0,
            backlog: 0,
        }
    }
}

/// A frame that has come.
#[repr(C)]
pub struct weft_frame {
    /// A WEFT_FRAME_ constant, or a number of the program's.
    pub kind: u32,
    /// The sender's.
    pub flags: u32,
    /// The sender's.
    pub id: u64,
    /// What it carries, aligned to 8 bytes; good as long as `bytes`.
    pub data: *const c_void,
    /// How many bytes that are.
    pub len: usize,
    /// What `data` is in, with one reference, which the receiver gives back by weft_bytes_release. NULL from
    /// weft_link_peek.
    pub bytes: *mut weft_bytes,
}

/// What has passed over a link so far.
#[repr(C)]
pub struct weft_link_stats {
    /// Set by the caller: sizeof(weft_link_stats).
    pub size: usize,
    /// How frames travel: WEFT_LINK_SHARED or WEFT_LINK_SOCKET.
    pub transport: i32,
    /// Not used.
    pub reserved: i32,
    /// Frames sent by this end.
    pub sent_frames: u64,
    /// Bytes in them.
    pub sent_bytes: u64,
    /// How often a thread has slept to send.
    pub send_waits: u64,
    /// Frames that have come, those that nobody has received yet included as far as this end has taken them in.
    pub received_frames: u64,
    /// Bytes in them.
    pub received_bytes: u64,
    /// How often a thread has slept to receive.
    pub receive_waits: u64,
}

impl Noun for Link {
    type Opaque = weft_link;
    const TAG: u32 = u32::from_le_bytes(*b"Wlnk");
    const NAME: &'static str = "link";

    fn abandoned(&self) {
        self.close();
    }
}

/// Fills in the defaults. `size` is sizeof *options as the caller knows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_link_options_init(options: *mut weft_link_options, size: usize) -> weft_status {
    // SAFETY: writable for `size` bytes by contract.
    boundary(|| unsafe { args::init(options, size) })
}

impl weft_link_options {
    fn read(&self) -> Result<Options> {
        let defaults = Options::default();
        let or = |value: usize, default: usize| if value == 0 { default } else { value };
        let transport = match self.transport {
            WEFT_LINK_AUTO => Transport::Auto,
            WEFT_LINK_SHARED => Transport::Shared,
            WEFT_LINK_SOCKET => Transport::Socket,
            other => return Err(invalid(format!("options->transport: {other} is none"))),
        };
        Ok(Options {
            transport,
            ring: or(self.ring_size, defaults.ring),
            max: or(self.max_frame, defaults.max as usize) as u64,
            backlog: or(self.backlog, defaults.backlog),
            trusted: args::flag(self.trusted, defaults.trusted, "trusted")?,
        })
    }
}

/// A link: frames both ways between this process and another, in order, none lost and none twice. NULL options: none.
/// *near_end is this process' end. *far_fd is for the other process, which makes its end of it by weft_link_adopt; until
/// then what is sent waits there. It is the caller's, closed on exec: to hand it to a program that is started, clear
/// FD_CLOEXEC in the child after fork (fcntl), or have posix_spawn duplicate it (posix_spawn_file_actions_adddup2); or
/// pass it over a socket. Then close it here: as long as any process has it open, the death of the peer goes
/// unnoticed. The same is true of a child that was forked while a link was open and has not executed a program: it has
/// a copy. WEFT_OS: no memory, descriptors or mappings for it (each end has four descriptors). Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_link_pair(
    options: *const weft_link_options,
    near_end: *mut *mut weft_link,
    far_fd: *mut i32,
) -> weft_status {
    boundary(|| {
        let (near_end, far_fd) = (place(near_end, "near_end")?, place(far_fd, "far_fd")?);
        // SAFETY: options by contract.
        let options = unsafe { args::options(options)? }.read()?;
        may_create()?;
        let (near, far) = ipc::pair(options)?;
        // SAFETY: writable by contract.
        unsafe {
            *near_end = Handle::create(near);
            *far_fd = far.into_raw_fd();
        }
        Ok(())
    })
}

/// The other end of a link, from what weft_link_pair gave as far_fd, once. The descriptor belongs to the link from now
/// on, and is closed on exec. Options are those of the pair, `trusted` included: who adopts trusts if who made the pair
/// says so. On failure the descriptor is still the caller's, but cannot be adopted any more. WEFT_INVALID: it is not
/// one. WEFT_PROTOCOL: who made it does not keep to the rules, or has another version of Weft. WEFT_OS. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_link_adopt(fd: i32, out: *mut *mut weft_link) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        may_create()?;
        // SAFETY: the descriptor is the caller's to give, by contract; `out` is writable by contract.
        unsafe { *out = Handle::create(Link::adopt(fd)?) };
        Ok(())
    })
}

unsafe fn get<'a>(link: *const weft_link) -> Result<&'a Link> {
    // SAFETY: the caller's contract.
    unsafe { Handle::get(link, "link") }
}

/// Sends a frame: a copy of `len` bytes at `data` (which may be NULL if there are none), with `kind`, a WEFT_FRAME_
/// constant or a number from WEFT_FRAME_USER on, and `flags` and `id` of the caller's. Waits for room. WEFT_OK: it is
/// on its way, and comes after what was sent before it; not that the peer has received it. A frame that is larger than
/// what the link holds is sent in pieces, while the peer receives them; with a timeout of 0 or less that is
/// WEFT_WOULD_BLOCK. Of several threads one sends at a time. While a thread waits here it takes in what the peer sends,
/// up to options->backlog, if nobody receives meanwhile; so two ends that send to each other get on. On any failure the
/// peer does not get the frame: WEFT_CLOSED (either end was closed), WEFT_DIED (the peer has no end any more),
/// WEFT_PROTOCOL (it has sent nonsense; for ever after), WEFT_TIMEOUT, WEFT_WOULD_BLOCK, WEFT_INTERRUPTED,
/// WEFT_CANCELLED, WEFT_SHUTDOWN, WEFT_TOO_LARGE, WEFT_OS. Blocks; inside a task the thread's turn passes to another. Any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_link_send(
    link: *mut weft_link,
    kind: u32,
    flags: u32,
    id: u64,
    data: *const c_void,
    len: usize,
    timeout_ns: i64,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let object = unsafe { get(link)? };
        if !ipc::frame::is_kind(kind) {
            return Err(invalid(format!("kind: {kind} is none, and not the program's")));
        }
        let data = match len {
            0 => &[],
            _ if len > isize::MAX as usize => return Err(invalid(format!("len: {len} is more than any memory"))),
            // SAFETY: readable by contract.
            _ => unsafe { std::slice::from_raw_parts(pointer(data, "data")?.cast(), len) },
        };
        let pin = OnceCell::new();
        // SAFETY: a handle; whoever releases it last while this waits closes it.
        let begins = || drop(pin.set(unsafe { Handle::<Link>::pin(link) }));
        object.send(Head { kind, flags, id }, data, &Patience::telling(timeout_ns, &begins))
    })
}

/// A place for a frame, writable by contract.
struct Out(*mut weft_frame);

impl Out {
    #[inline(always)]
    fn write(&self, head: Head, bytes: Bytes) {
        let (data, len) = (bytes.as_slice().as_ptr().cast(), bytes.as_slice().len());
        let bytes = super::bytes::own(bytes);
        // SAFETY: the place is writable.
        unsafe { self.0.write(weft_frame { kind: head.kind, flags: head.flags, id: head.id, data, len, bytes }) };
    }
}

impl Sink for Out {
    type Taken = ();

    #[inline(always)]
    unsafe fn copy(&self, head: Head, data: *const u8, len: usize) -> Option<()> {
        // SAFETY: promised by the caller.
        let bytes = unsafe { Bytes::copy_from(data, len) }?;
        self.write(head, bytes);
        Some(())
    }

    fn own(&self, frame: Frame) {
        self.write(frame.head, frame.bytes);
    }
}

/// The next frame, in *out, with bytes of its own: a copy that the peer cannot change. Waits for one. Whatever the peer
/// had sent before it closed or died is received first; then WEFT_CLOSED or WEFT_DIED. WEFT_PROTOCOL: the peer has sent
/// nonsense, and nothing from it is received any more. WEFT_NOMEM: no memory for the frame, which is still there. Other
/// failures as for weft_link_send; *out is as it was. Of several threads one receives at a time. Blocks; inside a task
/// the thread's turn passes to another. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_link_recv(link: *mut weft_link, timeout_ns: i64, out: *mut weft_frame) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let (object, out) = unsafe { (get(link)?, place(out, "out")?) };
        let pin = OnceCell::new();
        // SAFETY: as in weft_link_send.
        let begins = || drop(pin.set(unsafe { Handle::<Link>::pin(link) }));
        object.receive_to(&Out(out), &Patience::telling(timeout_ns, &begins))
    })
}

/// The next frame as it lies in shared memory, without a copy, good until weft_link_consume; a frame that came in
/// pieces is put together first, and one that came over a socket is a copy. out->bytes is NULL. For one thread at a
/// time: until the frame is consumed, further calls of this and of weft_link_recv are WEFT_BUSY. WEFT_UNSUPPORTED: the
/// link was not made with options->trusted. Otherwise as weft_link_recv.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_link_peek(link: *mut weft_link, timeout_ns: i64, out: *mut weft_frame) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let (object, out) = unsafe { (get(link)?, place(out, "out")?) };
        let pin = OnceCell::new();
        // SAFETY: as in weft_link_send.
        let begins = || drop(pin.set(unsafe { Handle::<Link>::pin(link) }));
        let view = object.peek(&Patience::telling(timeout_ns, &begins))?;
        let (head, data, bytes) = (view.head, view.data.cast(), std::ptr::null_mut());
        // SAFETY: writable by contract.
        unsafe {
            out.write(weft_frame { kind: head.kind, flags: head.flags, id: head.id, data, len: view.len, bytes })
        };
        Ok(())
    })
}

/// Takes away the frame that weft_link_peek has shown, which must not be looked at any more. WEFT_INVALID: there is
/// none. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_link_consume(link: *mut weft_link) -> weft_status {
    // SAFETY: a handle by contract.
    boundary(|| unsafe { get(link)? }.consume())
}

/// A descriptor for event loops, readable as long as a receive would not have to wait, and when there will be nothing
/// more; level-triggered. It is the link's: neither read, written nor closed by the program, the same at each call, and
/// good until the last release. Be ready to find nothing: use timeout 0. From the first call on receiving costs more.
/// WEFT_OS: no descriptor left. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_link_fd(link: *mut weft_link, fd: *mut i32) -> weft_status {
    boundary(|| {
        let fd = place(fd, "fd")?;
        // SAFETY: a handle by contract; writable by contract.
        unsafe { *fd = get(link)?.descriptor()? };
        Ok(())
    })
}

/// What has passed so far, in *out, whose size the caller has set. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_link_stats_get(link: *mut weft_link, out: *mut weft_link_stats) -> weft_status {
    boundary(|| {
        // SAFETY: a handle and a place by contract.
        let (object, out) = unsafe { (get(link)?, args::result_struct(out, "out")?) };
        let stats = object.stats();
        let transport = if object.transport() == Transport::Shared { WEFT_LINK_SHARED } else { WEFT_LINK_SOCKET };
        // SAFETY: writable for its size by contract.
        unsafe {
            let size = out.cast::<usize>().read_unaligned();
            out.write_unaligned(weft_link_stats {
                size,
                transport,
                reserved: 0,
                sent_frames: stats.sent.frames,
                sent_bytes: stats.sent.bytes,
                send_waits: stats.sent.waits,
                received_frames: stats.received.frames,
                received_bytes: stats.received.bytes,
                receive_waits: stats.received.waits,
            });
        }
        Ok(())
    })
}

/// Ends the link at this end: calls that wait here, and later ones, are WEFT_CLOSED. The peer receives what was sent
/// before, then WEFT_CLOSED too (where there is no shared memory, and the link is full and cannot grow, WEFT_DIED
/// instead: there is no room for the word). Again: nothing. Any thread, never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_link_close(link: *mut weft_link) {
    boundary_value((), || {
        // SAFETY: a handle by contract.
        unsafe { get(link)? }.close();
        Ok(())
    });
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_link_retain(link: *mut weft_link) -> *mut weft_link {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Link>::retain(link) }
}

/// One reference less. The last one closes the link and frees it; calls that wait there end with WEFT_CLOSED. Frames
/// that have been received stay. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_link_release(link: *mut weft_link) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Link>::release(link) }
}
