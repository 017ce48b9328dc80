//! Channels.

use std::alloc::Layout;
use std::ffi::{c_char, c_void};

use super::args::{self, invalid, may_create, place, pointer};
use super::boundary::{boundary, boundary_value};
use super::handle::{Handle, Noun};
use super::types::{weft_channel, weft_drop_fn, weft_status};
use crate::channel::{Capacity, Channel, Discard};
use crate::error::Result;
use crate::panics;
use crate::sync::Deadline;

/// What a channel is made with. Fill in with weft_channel_options_init, then change what matters.
#[repr(C)]
pub struct weft_channel_options {
    /// sizeof(weft_channel_options).
    pub size: usize,
    /// Bytes of an element; 0: sizeof(void *).
    pub elem_size: usize,
    /// Alignment of an element, a power of two up to 4096 that divides elem_size; 0: the largest that does, up to 16.
    pub elem_align: usize,
    /// Elements it holds; 0: none, each send waits for its receiver (rendezvous); WEFT_UNBOUNDED: as many as there is
    /// memory for. init sets 1000.
    pub capacity: usize,
    /// drop(drop_ctx, pointer to the element) is called for each element that is never received, at the last release;
    /// NULL: nothing.
    pub drop: weft_drop_fn,
    /// Handed to drop.
    pub drop_ctx: *mut c_void,
    /// For people; NULL: none. Copied.
    pub name: *const c_char,
}

/// Capacity by default.
const CAPACITY: usize = 1000;
const MAX_ALIGN: usize = 4096;
const DEFAULT_ALIGN: usize = 16;

impl args::SizePrefixed for weft_channel_options {
    fn defaults() -> Self {
        weft_channel_options {
            size: size_of::<Self>(),
            elem_size: 0,
            elem_align: 0,
            capacity: CAPACITY,
            drop: None,
            drop_ctx: std::ptr::null_mut(),
            name: std::ptr::null(),
        }
    }
}

impl Noun for Channel {
    type Opaque = weft_channel;
    const TAG: u32 = u32::from_le_bytes(*b"Wcha");
    const NAME: &'static str = "channel";
}

/// Fills in the defaults. `size` is sizeof *options as the caller knows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_options_init(options: *mut weft_channel_options, size: usize) -> weft_status {
    // SAFETY: writable for `size` bytes by contract.
    boundary(|| unsafe { args::init(options, size) })
}

fn layout(size: usize, align: usize) -> Result<Layout> {
    let size = if size == 0 { size_of::<*mut c_void>() } else { size };
    let align = if align == 0 { (1 << size.trailing_zeros()).min(DEFAULT_ALIGN) } else { align };
    if !align.is_power_of_two() || align > MAX_ALIGN || !size.is_multiple_of(align) {
        return Err(invalid(format!(
            "options->elem_align: {align} is not a power of two up to {MAX_ALIGN} that divides elem_size"
        )));
    }
    Layout::from_size_align(size, align)
        .map_err(|_| invalid(format!("options->elem_size: {size} is more than any memory")))
}

struct DropCallback {
    function: unsafe extern "C-unwind" fn(*mut c_void, *mut c_void),
    ctx: *mut c_void,
}

// SAFETY: whoever gives a drop promises that it may run on any thread.
unsafe impl Send for DropCallback {}
// SAFETY: as above.
unsafe impl Sync for DropCallback {}

impl DropCallback {
    fn call(&self, element: *mut u8) {
        // SAFETY: as promised; the element is the channel's until this returns.
        panics::contain("the drop callback of an element", || unsafe { (self.function)(self.ctx, element.cast()) });
    }
}

/// A channel. NULL options: pointers, up to 1000. The handle is both ends. WEFT_NOMEM: no memory for the capacity.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_new(
    options: *const weft_channel_options,
    out: *mut *mut weft_channel,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        // SAFETY: options by contract.
        let options = unsafe { args::options(options)? };
        may_create()?;
        let layout = layout(options.elem_size, options.elem_align)?;
        let capacity = match options.capacity {
            usize::MAX => Capacity::Unbounded,
            capacity => Capacity::Bounded(capacity),
        };
        let discard = options.drop.map(|function| {
            let callback = DropCallback { function, ctx: options.drop_ctx };
            Box::new(move |element: *mut u8| callback.call(element)) as Discard
        });
        let channel = Channel::new(layout, capacity, discard)?;
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(channel) };
        Ok(())
    })
}

unsafe fn get<'a>(channel: *const weft_channel) -> Result<&'a Channel> {
    // SAFETY: the caller's contract.
    unsafe { Handle::get(channel, "channel") }
}

/// A channel that takes tags without ever being full, with a reference.
pub(super) struct Tags(*mut weft_channel);

// SAFETY: a counted reference to a channel.
unsafe impl Send for Tags {}

impl Tags {
    /// # Safety
    /// `channel` is NULL or a handle.
    pub(super) unsafe fn new(channel: *mut weft_channel) -> Result<Self> {
        // SAFETY: promised by the caller.
        let object = unsafe { get(channel)? };
        if object.capacity() != Capacity::Unbounded || object.layout().size() != size_of::<u64>() {
            return Err(invalid("channel: it is not an unbounded one with elements of 8 bytes".into()));
        }
        // SAFETY: as above.
        Ok(Tags(unsafe { Handle::<Channel>::retain(channel) }))
    }

    /// Dropped if the channel is closed; there is always room otherwise.
    pub(super) fn send(&self, tag: u64) {
        // SAFETY: a reference of ours; elements have 8 bytes.
        let _ = unsafe { get(self.0).and_then(|channel| channel.send((&raw const tag).cast(), Deadline::Now)) };
    }
}

impl Drop for Tags {
    fn drop(&mut self) {
        // SAFETY: the reference that `new` took.
        unsafe { Handle::<Channel>::release(self.0) };
    }
}

/// Copies *elem into the channel, waiting for room (at a rendezvous: for a receiver). Elements of one producer are received
/// in their order. Blocks; inside a task the thread's turn passes to another. Any thread. On any failure the element is
/// still the caller's: WEFT_CLOSED after weft_channel_close, WEFT_TIMEOUT, WEFT_WOULD_BLOCK, WEFT_INTERRUPTED,
/// WEFT_CANCELLED (the caller, see Cancellation), WEFT_SHUTDOWN (its runtime discards what it has), WEFT_NOMEM
/// (unbounded only).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_send(
    channel: *mut weft_channel,
    elem: *const c_void,
    timeout_ns: i64,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle and an element of the channel's size by contract.
        unsafe { get(channel)?.send(pointer(elem, "elem")?.cast(), Deadline::after(timeout_ns)) }
    })
}

/// Copies the oldest element out into *elem, waiting for one. Blocks as weft_channel_send does. Any thread. WEFT_CLOSED once
/// the channel is closed and everything has been received. On any failure *elem is as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_recv(
    channel: *mut weft_channel,
    elem: *mut c_void,
    timeout_ns: i64,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle and a place of the channel's element size by contract.
        unsafe { get(channel)?.receive(place(elem, "elem")?.cast(), Deadline::after(timeout_ns)) }
    })
}

/// Refuses what is sent from now on. Waiting senders get WEFT_CLOSED and keep their element; what is in the channel can still
/// be received, then receivers get WEFT_CLOSED. Again: nothing. Any thread, never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_close(channel: *mut weft_channel) {
    boundary_value((), || {
        // SAFETY: a handle by contract.
        unsafe { get(channel)? }.close();
        Ok(())
    });
}

/// Whether it has been closed; true on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_is_closed(channel: *const weft_channel) -> bool {
    // SAFETY: a handle by contract.
    boundary_value(true, || Ok(unsafe { get(channel)? }.is_closed()))
}

/// Elements in it at the moment; 0 on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_len(channel: *const weft_channel) -> usize {
    // SAFETY: a handle by contract.
    boundary_value(0, || Ok(unsafe { get(channel)? }.len()))
}

/// Elements it holds at most: WEFT_UNBOUNDED, or the number given; 0 on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_capacity(channel: *const weft_channel) -> usize {
    boundary_value(0, || {
        // SAFETY: a handle by contract.
        Ok(match unsafe { get(channel)? }.capacity() {
            Capacity::Bounded(capacity) => capacity,
            Capacity::Unbounded => usize::MAX,
        })
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_retain(channel: *mut weft_channel) -> *mut weft_channel {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Channel>::retain(channel) }
}

/// One reference less. The last one drops what was never received. Whoever waits on the channel must hold a reference.
/// Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_release(channel: *mut weft_channel) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Channel>::release(channel) }
}
