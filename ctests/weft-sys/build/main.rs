//! Makes the two sides that `tests/layout` compares, each from its own source and by itself, so that nobody keeps a
//! list up to date: `bindings.rs` is what bindgen makes of the header, `rust_sources.rs` describes what the Rust sources
//! of the C ABI define.
//!
//! The header is `weft/weft.h` in `WEFT_INCLUDE_DIR`; CTest names the installed tree there. Without the variable it
//! is the header in the source tree, for a `cargo test` by hand.

mod header;
mod sources;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(variable("OUT_DIR"));
    println!("cargo::rerun-if-env-changed=WEFT_INCLUDE_DIR");
    println!("cargo::rerun-if-changed=build");

    let include = env::var_os("WEFT_INCLUDE_DIR").map_or_else(|| manifest.join("../../include"), PathBuf::from);
    let path = include.join("weft/weft.h");
    println!("cargo::rerun-if-changed={}", path.display());
    println!("cargo::rustc-env=WEFT_HEADER={}", path.display());
    write(&out.join("bindings.rs"), &header::bindings(&path, &out));

    let capi = manifest.join("../../src/capi");
    println!("cargo::rerun-if-changed={}", capi.display());
    write(&out.join("rust_sources.rs"), &sources::describe(&capi));
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
