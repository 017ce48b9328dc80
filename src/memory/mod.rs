//! What handles and bytes are made of.

mod bytes;
mod header;

pub use bytes::{BYTES_TAG, Bytes, COUNTED};
pub use header::Header;
