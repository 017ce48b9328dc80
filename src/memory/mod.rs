//! What handles and bytes are made of.

mod bytes;
mod header;

pub use bytes::Bytes;
pub use header::Header;
