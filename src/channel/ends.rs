//! Counted ends of a channel. Each is shared by those who hold it; what is here happens when the last one lets it go.

use std::ops::Deref;

use super::Channel;

/// The end that sends. When it goes, the channel closes: what is queued can still be received.
pub struct Sender<C: Deref<Target = Channel>>(pub C);

/// The end that receives. When it goes, the channel closes and what is queued is discarded, for nobody can receive it.
pub struct Receiver<C: Deref<Target = Channel>>(pub C);

impl<C: Deref<Target = Channel>> Drop for Sender<C> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<C: Deref<Target = Channel>> Drop for Receiver<C> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
