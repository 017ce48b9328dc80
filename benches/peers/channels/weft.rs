//! Weft, called as a C program calls it, with blocking waits.

use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::null_mut;
use std::sync::Arc;

use weft_peers::c_abi::{self, CLOSED, FOREVER, Object, SelectCase, UNBOUNDED, check};

use crate::work::{BATCH, Ends, Message, Peer};

/// A channel for any number of threads.
pub type Shared = Weft<false>;
/// The same, told that there is one producer and one consumer.
pub type Single = Weft<true>;

pub struct Weft<const SINGLE: bool>;

/// A reference to the channel, and the function that is called all the time.
pub struct End<F, T> {
    call: F,
    channel: Object,
    /// The senders' only: the last one closes, as there are no counted ends in what is measured.
    open: Option<Arc<()>>,
    of: PhantomData<T>,
}

// SAFETY: handles may be used from any thread; T is a number.
unsafe impl<F: Send, T> Send for End<F, T> {}

impl<F, T> End<F, T> {
    fn new(call: F, channel: Object, open: Option<Arc<()>>) -> Self {
        // SAFETY: a handle; the new reference is this end's.
        let channel = unsafe { (c_abi::weft().channel_retain)(channel) };
        End { call, channel, open, of: PhantomData }
    }
}

impl<F, T> Drop for End<F, T> {
    fn drop(&mut self) {
        // SAFETY: the handle that `new` got.
        unsafe {
            if self.open.take().is_some_and(|open| Arc::into_inner(open).is_some()) {
                (c_abi::weft().channel_close)(self.channel);
            }
            (c_abi::weft().channel_release)(self.channel);
        }
    }
}

type SendFn = unsafe extern "C" fn(Object, *const c_void, i64) -> i32;
type ReceiveFn = unsafe extern "C" fn(Object, *mut c_void, i64) -> i32;

// In all of this, SAFETY: the channel is open as long as its end, and carries `T`s.
impl<const SINGLE: bool> Peer for Weft<SINGLE> {
    const NAME: &'static str = if SINGLE { "weft-single" } else { "weft" };
    type Sender<T: Message> = End<SendFn, T>;
    type Receiver<T: Message> = End<ReceiveFn, T>;

    fn channel<T: Message>(
        capacity: Option<usize>,
        producers: usize,
        consumers: usize,
    ) -> Option<Ends<Self::Sender<T>, Self::Receiver<T>>> {
        if SINGLE && (producers, consumers) != (1, 1) {
            return None;
        }
        let channel = c_abi::new_channel(size_of::<T>(), capacity.unwrap_or(UNBOUNDED), SINGLE)?;
        let open = Arc::new(());
        let functions = c_abi::weft();
        let sender = |_| End::new(functions.channel_send, channel, Some(open.clone()));
        let senders = (0..producers).map(sender).collect();
        let receivers = (0..consumers).map(|_| End::new(functions.channel_recv, channel, None)).collect();
        // SAFETY: the ends have references of their own.
        unsafe { (functions.channel_release)(channel) };
        Some((senders, receivers))
    }

    #[inline]
    fn send<T: Message>(sender: &mut Self::Sender<T>, message: T) {
        // SAFETY: see above.
        check(unsafe { (sender.call)(sender.channel, (&raw const message).cast(), FOREVER) });
    }

    #[inline]
    fn receive<T: Message>(receiver: &mut Self::Receiver<T>) -> T {
        let mut message = T::new(0);
        // SAFETY: see above.
        check(unsafe { (receiver.call)(receiver.channel, (&raw mut message).cast(), FOREVER) });
        message
    }

    fn batches() -> bool {
        c_abi::weft().channel_send_batch.is_some() && c_abi::weft().channel_recv_batch.is_some()
    }

    fn send_batch<T: Message>(sender: &mut Self::Sender<T>, messages: &[T]) {
        let call = c_abi::weft().channel_send_batch.expect("batches() says so");
        let mut sent = 0;
        // SAFETY: see above.
        check(unsafe { call(sender.channel, messages.as_ptr().cast(), messages.len(), FOREVER, &mut sent) });
        assert_eq!(sent, messages.len());
    }

    fn receive_batch<T: Message>(receiver: &mut Self::Receiver<T>, into: &mut Vec<T>) {
        let call = c_abi::weft().channel_recv_batch.expect("batches() says so");
        let mut received = 0;
        into.reserve(BATCH);
        // SAFETY: see above; there is room for the batch in the empty vector, and what is counted was written.
        unsafe {
            match call(receiver.channel, into.as_mut_ptr().cast(), BATCH, FOREVER, &mut received) {
                CLOSED => {}
                status => check(status),
            }
            into.set_len(received);
        }
    }

    fn select<T: Message>(receivers: &mut [Self::Receiver<T>], messages: u64) -> Option<u64> {
        let (select, op) = (c_abi::weft().select?, c_abi::constant("WEFT_SELECT_RECV")?);
        let mut message = T::new(0);
        let elem: *mut T = &mut message;
        let case = |receiver: &Self::Receiver<T>| SelectCase {
            op,
            status: 0,
            handle: receiver.channel,
            elem: elem.cast(),
            arg: 0,
            reserved: [null_mut(); 2],
        };
        let mut cases: Vec<_> = receivers.iter().map(case).collect();
        let mut sum = 0u64;
        for _ in 0..messages {
            let mut fired = 0;
            // SAFETY: see above; only the case that fired wrote the message, which nobody else uses.
            unsafe {
                check(select(cases.as_mut_ptr(), cases.len(), FOREVER, &mut fired));
                check(cases[fired].status);
                sum = sum.wrapping_add((*elem).sum());
            }
        }
        Some(sum)
    }
}
