//! The installed header and the Rust side of the ABI say the same: size, alignment, every field's offset and type of
//! every public struct, the value of every constant, the signature of every function. Both sides are found, not listed
//! (see `build/main.rs`), so what one of them lacks is a difference as well. `planted` proves that differences are seen.

#[path = "../../build/header.rs"]
mod bindgen_header;
mod facts;
mod header;
mod planted;
mod types;

use facts::{Facts, differences, rust_struct};

include!(concat!(env!("OUT_DIR"), "/rust_sources.rs"));

/// What the sources export, and the two constants that the header spells with C's own limits.
fn rust_side() -> Facts {
    let mut facts = rust_sources();
    facts.constant("WEFT_FOREVER", i64::MAX.into());
    facts.constant("WEFT_UNBOUNDED", usize::MAX as i128);
    facts
}

/// What bindgen made of the installed header.
const BINDINGS: &str = include_str!(concat!(env!("OUT_DIR"), "/bindings.rs"));

#[test]
fn header_and_rust_agree() {
    let header = header::header_side(BINDINGS);
    let rust = rust_side();
    assert!(!header.structs.is_empty() && !header.functions.is_empty() && !header.constants.is_empty());
    let found = differences(&header, &rust);
    assert!(found.is_empty(), "the header and Rust differ:\n  {}", found.join("\n  "));
    println!(
        "{} structs, {} functions, {} constants agree",
        header.structs.len(),
        header.functions.len(),
        header.constants.len()
    );
}
