//! What the benchmarks of channels and futures share: Weft as a C program sees it, and the contests with its peers.

#[cfg(feature = "channels")]
pub mod c_abi;
#[cfg(feature = "channels")]
pub mod contest;
