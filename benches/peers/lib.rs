//! What the benchmarks of channels, futures, breakers and links share: Weft as a C program sees it, and the contests with its peers.

#[cfg(any(feature = "channels", feature = "breakers", feature = "links"))]
pub mod c_abi;
#[cfg(any(feature = "channels", feature = "breakers", feature = "links"))]
pub mod contest;
