//! Channels.

use std::alloc::Layout;
use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::ops::Deref;

use super::args::{self, invalid, may_create, place, pointer};
use super::boundary::{boundary, boundary_value};
use super::handle::{Handle, Noun, Pin};
use super::select::{WEFT_SELECT_RECV, WEFT_SELECT_SEND};
use super::types::{WEFT_DEFAULT, weft_channel, weft_drop_fn, weft_receiver, weft_sender, weft_status};
use crate::channel::ends::{Receiver, Sender};
use crate::channel::{Capacity, Channel, Direction, Discard, Fast, Options};
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
    /// A WEFT_ON, _OFF or _DEFAULT (off). On: no two threads send at once (one after the other may), and sending takes
    /// no lock. Two at once is undefined; a build with debug assertions answers WEFT_BUSY and logs it. No effect on
    /// capacities 0 and 1.
    pub single_producer: i32,
    /// The same for receiving.
    pub single_consumer: i32,
    /// drop(drop_ctx, pointer to the element) is called for each element that is never received: at the last release,
    /// or when the last weft_receiver goes. It may call back into the channel, as long as that is there. NULL: nothing.
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
            single_producer: WEFT_DEFAULT,
            single_consumer: WEFT_DEFAULT,
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

    fn abandoned(&self) {
        self.close();
    }
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

unsafe fn create(options: *const weft_channel_options) -> Result<Channel> {
    // SAFETY: options by contract.
    let options = unsafe { args::options(options)? };
    may_create()?;
    let layout = layout(options.elem_size, options.elem_align)?;
    let capacity = match options.capacity {
        usize::MAX => Capacity::Unbounded,
        capacity => Capacity::Bounded(capacity),
    };
    let single_producer = args::flag(options.single_producer, false, "single_producer")?;
    let single_consumer = args::flag(options.single_consumer, false, "single_consumer")?;
    let discard = options.drop.map(|function| {
        let callback = DropCallback { function, ctx: options.drop_ctx };
        Box::new(move |element: *mut u8| callback.call(element)) as Discard
    });
    Channel::new(layout, capacity, Options { discard, single_producer, single_consumer })
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
        let channel = unsafe { create(options)? };
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(channel) };
        Ok(())
    })
}

unsafe fn get<'a>(channel: *const weft_channel) -> Result<&'a Channel> {
    // SAFETY: the caller's contract.
    unsafe { Handle::get(channel, "channel") }
}

/// Keeps the channel in place from here on, in a call that waits: whoever releases it last meanwhile closes it.
///
/// # Safety
/// `channel` is a live handle.
unsafe fn keep(pin: &mut Option<Pin<Channel>>, channel: *const weft_channel) {
    // SAFETY: promised by the caller.
    pin.get_or_insert_with(|| unsafe { Handle::pin(channel) });
}

/// A channel that takes elements of this type without ever being full, with a reference.
pub(super) struct Sink<T>(*mut weft_channel, PhantomData<T>);

// SAFETY: a counted reference to a channel, which any thread may send into.
unsafe impl<T: Send> Send for Sink<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Sink<T> {}

impl<T: Copy> Sink<T> {
    /// # Safety
    /// `channel` is NULL or a handle.
    pub(super) unsafe fn new(channel: *mut weft_channel) -> Result<Self> {
        // SAFETY: promised by the caller.
        let object = unsafe { get(channel)? };
        if object.capacity() != Capacity::Unbounded || object.elem_size() != size_of::<T>() {
            let size = size_of::<T>();
            return Err(invalid(format!("channel: it is not an unbounded one with elements of {size} bytes")));
        }
        if object.has_single_producer() {
            return Err(invalid("channel: it has a single producer, and any thread may send here".into()));
        }
        // SAFETY: as above.
        Ok(Sink(unsafe { Handle::<Channel>::retain(channel) }, PhantomData))
    }

    /// Dropped if the channel is closed; there is always room otherwise.
    pub(super) fn send(&self, elem: T) {
        // SAFETY: a reference of ours; elements have this size.
        let _ = unsafe { get(self.0).and_then(|channel| channel.send((&raw const elem).cast(), Deadline::Now)) };
    }
}

impl<T> Drop for Sink<T> {
    fn drop(&mut self) {
        // SAFETY: the reference that `new` took.
        unsafe { Handle::<Channel>::release(self.0) };
    }
}

/// Copies *elem into the channel, waiting for room (at a rendezvous: for a receiver). Elements of one producer are
/// received in their order. Blocks; inside a task the thread's turn passes to another. Any thread. On any failure the
/// element is still the caller's: WEFT_CLOSED after weft_channel_close, WEFT_TIMEOUT, WEFT_WOULD_BLOCK,
/// WEFT_INTERRUPTED, WEFT_CANCELLED (the caller, see Cancellation), WEFT_SHUTDOWN (its runtime discards what it has),
/// WEFT_NOMEM (unbounded only).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_send(
    channel: *mut weft_channel,
    elem: *const c_void,
    timeout_ns: i64,
) -> weft_status {
    // A leaf: whatever takes longer is a tail call, which it can be to a function that does not unwind, hence theirs is
    // the C ABI.
    // SAFETY: a handle and an element of the channel's size by contract.
    match unsafe { Handle::<Channel>::peek(channel) } {
        // SAFETY: as above.
        Some(open) if !elem.is_null() => match unsafe { open.fast_send::<true>(elem.cast()) } {
            Fast::Done => 0,
            Fast::Attend => sent(open),
            // SAFETY: as above.
            Fast::No => unsafe { send(channel, elem, timeout_ns) },
        },
        // SAFETY: as above.
        _ => unsafe { send(channel, elem, timeout_ns) },
    }
}

#[cold]
#[inline(never)]
extern "C" fn sent(channel: &Channel) -> weft_status {
    attend(channel, Direction::Send)
}

#[cold]
#[inline(never)]
extern "C" fn received(channel: &Channel) -> weft_status {
    attend(channel, Direction::Receive)
}

/// The element has passed, whatever comes of this.
pub(super) fn attend(channel: &Channel, direction: Direction) -> weft_status {
    boundary_value((), || {
        channel.attend(direction);
        Ok(())
    });
    // Hidden from the compiler, which would make a call with a constant behind it of what is to be a tail call.
    std::hint::black_box(0)
}

#[cold]
#[inline(never)]
unsafe extern "C" fn send(channel: *mut weft_channel, elem: *const c_void, timeout_ns: i64) -> weft_status {
    // SAFETY: as for weft_channel_send.
    boundary(|| unsafe {
        let (object, elem) = (get(channel)?, pointer(elem, "elem")?.cast());
        match object.fast_send_larger(elem) {
            Fast::Done => Ok(()),
            Fast::Attend => {
                object.attend(Direction::Send);
                Ok(())
            }
            Fast::No => {
                let mut pin = None;
                object.send_batch(elem, 1, Deadline::after(timeout_ns), || keep(&mut pin, channel)).1
            }
        }
    })
}

/// Copies the oldest element out into *elem, waiting for one. Blocks as weft_channel_send does. Any thread. WEFT_CLOSED
/// once the channel is closed and everything has been received. On any failure *elem is as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_recv(
    channel: *mut weft_channel,
    elem: *mut c_void,
    timeout_ns: i64,
) -> weft_status {
    // SAFETY: a handle and a place of the channel's element size by contract.
    match unsafe { Handle::<Channel>::peek(channel) } {
        // SAFETY: as above.
        Some(open) if !elem.is_null() => match unsafe { open.fast_receive::<true>(elem.cast()) } {
            Fast::Done => 0,
            Fast::Attend => received(open),
            // SAFETY: as above.
            Fast::No => unsafe { receive(channel, elem, timeout_ns) },
        },
        // SAFETY: as above.
        _ => unsafe { receive(channel, elem, timeout_ns) },
    }
}

#[cold]
#[inline(never)]
unsafe extern "C" fn receive(channel: *mut weft_channel, elem: *mut c_void, timeout_ns: i64) -> weft_status {
    // SAFETY: as for weft_channel_recv.
    boundary(|| unsafe {
        let (object, elem) = (get(channel)?, place(elem, "elem")?.cast());
        match object.fast_receive_larger(elem) {
            Fast::Done => Ok(()),
            Fast::Attend => {
                object.attend(Direction::Receive);
                Ok(())
            }
            Fast::No => {
                let mut pin = None;
                object.receive_batch(elem, 1, Deadline::after(timeout_ns), || keep(&mut pin, channel)).map(|_| ())
            }
        }
    })
}

/// Sends n elements that lie in a row, in their order, waiting for room until all are in: WEFT_OK. On any failure (as
/// of weft_channel_send) the first *sent are in, and the others are still the caller's. *sent is written in any case,
/// unless it is NULL (WEFT_INVALID). Elements of others may come in between. Those who receive are woken once for what
/// goes in at once. n = 0: WEFT_OK, and elems may be NULL. Blocks. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_send_batch(
    channel: *mut weft_channel,
    elems: *const c_void,
    n: usize,
    timeout_ns: i64,
    sent: *mut usize,
) -> weft_status {
    boundary(|| {
        let sent = place(sent, "sent")?;
        // SAFETY: writable by contract.
        unsafe { *sent = 0 };
        // SAFETY: a handle by contract.
        let object = unsafe { get(channel)? };
        let elems = batch(object, elems.cast_mut(), n, "elems", "n")?;
        let mut pin = None;
        // SAFETY: n elements by contract; a handle; writable.
        unsafe {
            let (count, result) = object.send_batch(elems, n, Deadline::after(timeout_ns), || keep(&mut pin, channel));
            *sent = count;
            result
        }
    })
}

/// Receives up to max elements into elems, in a row: waits until there is one, and takes what is there then. WEFT_OK:
/// *received elements, at least one (none if max is 0; elems may be NULL then). On any failure, as of
/// weft_channel_recv, there are none, *received is 0 and elems is as it was. *received is written in any case, unless
/// it is NULL (WEFT_INVALID). Blocks. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_recv_batch(
    channel: *mut weft_channel,
    elems: *mut c_void,
    max: usize,
    timeout_ns: i64,
    received: *mut usize,
) -> weft_status {
    boundary(|| {
        let received = place(received, "received")?;
        // SAFETY: writable by contract.
        unsafe { *received = 0 };
        // SAFETY: a handle by contract.
        let object = unsafe { get(channel)? };
        let elems = batch(object, elems, max, "elems", "max")?;
        let mut pin = None;
        // SAFETY: max places by contract; a handle; *received is writable.
        unsafe {
            *received = object.receive_batch(elems, max, Deadline::after(timeout_ns), || keep(&mut pin, channel))?;
        }
        Ok(())
    })
}

/// Elements in a row; NULL if there are none.
fn batch(channel: &Channel, elems: *mut c_void, n: usize, name: &str, count: &str) -> Result<*mut u8> {
    if n == 0 {
        return Ok(std::ptr::null_mut());
    }
    if n > isize::MAX as usize / channel.elem_size().max(1) {
        return Err(invalid(format!("{count}: {n} elements are more than memory can hold")));
    }
    Ok(place(elems, name)?.cast())
}

/// A descriptor for event loops, readable as long as a receive (direction WEFT_SELECT_RECV) or a send
/// (WEFT_SELECT_SEND) would not have to wait, and after the close; level-triggered. It is the channel's: neither read,
/// written nor closed by the program, the same at each call, and good until the last release. Be ready to find that
/// another thread was faster: use timeout 0. Who watches a descriptor does not count as waiting: at a rendezvous
/// somebody has to wait in a call. From the first call on each operation costs more. WEFT_OS: no descriptor left. Never
/// blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_fd(channel: *mut weft_channel, direction: i32, fd: *mut i32) -> weft_status {
    boundary(|| {
        let fd = place(fd, "fd")?;
        let direction = match direction {
            WEFT_SELECT_SEND => Direction::Send,
            WEFT_SELECT_RECV => Direction::Receive,
            other => return Err(invalid(format!("direction: {other} is none"))),
        };
        // SAFETY: a handle by contract; writable by contract.
        unsafe { *fd = get(channel)?.descriptor(direction)? };
        Ok(())
    })
}

/// Refuses what is sent from now on. Waiting senders get WEFT_CLOSED and keep their element; what is in the channel can
/// still be received, then receivers get WEFT_CLOSED. Again: nothing. Any thread, never blocks.
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

/// How many wait to send and to receive at the moment (each NULL: not asked): a hint, for a channel is never still. Any
/// thread. WEFT_INVALID: a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_waiting(
    channel: *const weft_channel,
    senders: *mut usize,
    receivers: *mut usize,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let channel = unsafe { get(channel)? };
        for (place, direction) in [(senders, Direction::Send), (receivers, Direction::Receive)] {
            if !place.is_null() {
                // SAFETY: writable by contract.
                unsafe { *place = channel.waiting(direction) };
            }
        }
        Ok(())
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_retain(channel: *mut weft_channel) -> *mut weft_channel {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Channel>::retain(channel) }
}

/// One reference less. The last one drops what was never received. Those who wait in a call on the channel meanwhile,
/// without a reference of their own, get WEFT_CLOSED. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_release(channel: *mut weft_channel) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Channel>::release(channel) }
}

/// A reference to a channel's handle.
pub struct Held(*mut weft_channel);

// SAFETY: channels may be used from any thread.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

impl Deref for Held {
    type Target = Channel;
    fn deref(&self) -> &Channel {
        // SAFETY: a reference of our own to a channel of this process: ends of another are not let in.
        unsafe { Handle::<Channel>::peek(self.0) }.expect("a live channel")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: our reference, once.
        unsafe { Handle::<Channel>::release(self.0) }
    }
}

impl Noun for Sender<Held> {
    type Opaque = weft_sender;
    const TAG: u32 = u32::from_le_bytes(*b"Wsnd");
    const NAME: &'static str = "sender";
}

impl Noun for Receiver<Held> {
    type Opaque = weft_receiver;
    const TAG: u32 = u32::from_le_bytes(*b"Wrcv");
    const NAME: &'static str = "receiver";
}

/// A channel with counted ends, one reference to each. The last release of either end closes it. What is queued can
/// still be received when the last sender has gone; when the last receiver goes it is dropped at once. NULL options and
/// WEFT_NOMEM as for weft_channel_new.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_channel_ends(
    options: *const weft_channel_options,
    sender: *mut *mut weft_sender,
    receiver: *mut *mut weft_receiver,
) -> weft_status {
    boundary(|| {
        let sender = place(sender, "sender")?;
        let receiver = place(receiver, "receiver")?;
        // SAFETY: options by contract.
        let channel = Handle::create(unsafe { create(options)? });
        // SAFETY: writable by contract; the channel has two references, one for each end.
        unsafe {
            Handle::<Channel>::retain(channel);
            *sender = Handle::create(Sender(Held(channel)));
            *receiver = Handle::create(Receiver(Held(channel)));
        }
        Ok(())
    })
}

/// The channel that an end belongs to, for all that channels can do: borrowed, good while the end is held. NULL on a
/// bad handle. Whoever keeps it longer takes a reference (weft_channel_retain); such references count for no end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_sender_channel(sender: *const weft_sender) -> *mut weft_channel {
    // SAFETY: a handle by contract.
    boundary_value(std::ptr::null_mut(), || Ok(unsafe { Handle::<Sender<Held>>::get(sender, "sender")? }.0.0))
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_sender_retain(sender: *mut weft_sender) -> *mut weft_sender {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Sender<Held>>::retain(sender) }
}

/// One reference less. The last one closes the channel. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_sender_release(sender: *mut weft_sender) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Sender<Held>>::release(sender) }
}

/// As weft_sender_channel.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_receiver_channel(receiver: *const weft_receiver) -> *mut weft_channel {
    // SAFETY: a handle by contract.
    boundary_value(std::ptr::null_mut(), || Ok(unsafe { Handle::<Receiver<Held>>::get(receiver, "receiver")? }.0.0))
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_receiver_retain(receiver: *mut weft_receiver) -> *mut weft_receiver {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Receiver<Held>>::retain(receiver) }
}

/// One reference less. The last one closes the channel and drops what is queued, on this thread. Blocks no longer than
/// those drops take.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_receiver_release(receiver: *mut weft_receiver) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Receiver<Held>>::release(receiver) }
}
