//! What the benchmarks of channels, futures and breakers share: Weft as a C program sees it, and the contests with its peers.

#[cfg(any(feature = "channels", feature = "breakers"))]
pub mod c_abi;
#[cfg(any(feature = "channels", feature = "breakers"))]
pub mod contest;
