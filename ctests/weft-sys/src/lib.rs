//! The declarations of the installed `weft.h` as bindgen reads them. Compiling them is a test already: bindgen adds
//! assertions that each struct has the C compiler's size, alignment and offsets in Rust, too. The comparison with the
//! Rust side of the ABI is in `tests/layout`.

#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals, missing_docs)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
