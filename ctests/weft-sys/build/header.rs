//! What bindgen makes of a weft.h. Also compiled into the tests, which give it headers with planted mistakes.

use std::path::Path;

/// The Rust text of everything `header` declares for Weft. `scratch` is a directory for bindgen's own files: evaluating
/// macros such as INT64_MAX takes it a precompiled header.
pub fn bindings(header: &Path, scratch: &Path) -> String {
    bindgen::Builder::default()
        .header(header.to_str().expect("the header's path is UTF-8"))
        .clang_arg("-DWEFT_NO_INLINE")
        .allowlist_item("(weft|WEFT)_.*")
        .clang_macro_fallback()
        .clang_macro_fallback_build_dir(scratch)
        .layout_tests(true)
        .generate()
        .unwrap_or_else(|error| panic!("bindgen on {}: {error}", header.display()))
        .to_string()
}
