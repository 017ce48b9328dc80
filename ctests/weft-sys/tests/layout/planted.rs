//! Mistakes planted in copies of the header: each must be found, and named. Without these tests a comparison that
//! compares nothing would pass as well.

use std::fs;
use std::path::Path;

use crate::facts::differences;
use crate::{bindgen_header, header, rust_side};

/// The header without comments, one declaration, field, brace or preprocessor line to a line.
struct Planted {
    lines: Vec<String>,
    /// The text of join.h, which weft.h includes.
    join: String,
}

impl Planted {
    fn copy() -> Self {
        let text = fs::read_to_string(env!("WEFT_HEADER")).expect("the header can be read");
        let mut lines = Vec::new();
        let mut open = String::new();
        for line in without_comments(&text).lines() {
            if line.trim_start().starts_with('#') {
                lines.push(line.trim().to_owned());
                continue;
            }
            for word in line.split_whitespace() {
                open.push_str(if open.is_empty() { "" } else { " " });
                open.push_str(word);
                if word.ends_with([';', '{', '}']) {
                    lines.push(std::mem::take(&mut open));
                }
            }
        }
        assert!(open.is_empty(), "the header ends in the middle of a declaration: {open}");
        let join = Path::new(env!("WEFT_HEADER")).with_file_name("join.h");
        Planted { lines, join: fs::read_to_string(join).expect("join.h can be read") }
    }

    fn position(&self, what: &str, is: impl Fn(&str) -> bool) -> usize {
        self.lines.iter().position(|line| is(line)).unwrap_or_else(|| panic!("the header has no {what}"))
    }

    /// The line of a field.
    fn field(&mut self, structure: &str, name: &str) -> &mut String {
        let start = self.position(structure, |line| line.ends_with(&format!("struct {structure} {{")));
        let fits = |line: &String| line.trim_end_matches(';').rsplit([' ', '*']).next() == Some(name);
        let field = self.lines[start + 1..].iter().take_while(|line| !line.starts_with('}')).position(fits);
        &mut self.lines[start + 1 + field.unwrap_or_else(|| panic!("{structure} has no {name}"))]
    }

    /// The line of a function or of a callback type.
    fn declaration(&mut self, name: &str) -> &mut String {
        let function = format!("{name}(");
        let callback = format!("(*{name})");
        let line = self.position(name, |line| line.contains(&function) || line.contains(&callback));
        &mut self.lines[line]
    }

    /// The line of a constant.
    fn constant(&mut self, name: &str) -> &mut String {
        let line = self.position(name, |line| line.split_whitespace().nth(1) == Some(name));
        &mut self.lines[line]
    }

    /// The differences to Rust, after `edit`.
    fn differences(name: &str, edit: impl FnOnce(&mut Planted)) -> Vec<String> {
        let mut planted = Planted::copy();
        edit(&mut planted);
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&directory).expect("a directory for the copy");
        let path = directory.join("weft.h");
        fs::write(&path, planted.lines.join("\n") + "\n").expect("the copy can be written");
        fs::write(directory.join("join.h"), planted.join).expect("the copy can be written");
        differences(&header::header_side(&bindgen_header::bindings(&path, &directory)), &rust_side())
    }
}

fn without_comments(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("/*") {
        code.push_str(&rest[..start]);
        code.push(' ');
        rest = rest[start..].split_once("*/").expect("a comment that ends").1;
    }
    assert!(!(code.clone() + rest).contains("//"), "the header has a // comment, which C90 compilers do not know");
    code + rest
}

fn swap(text: &mut String, from: &str, to: &str) {
    assert_eq!(text.matches(from).count(), 1, "no single `{from}` in `{text}`");
    *text = text.replace(from, to);
}

/// A test that makes one edit and expects exactly these differences, each given by how it begins.
macro_rules! planted {
    ($($(#[$meta:meta])* $name:ident($header:ident) $edit:block finds $expected:expr;)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            let found = Planted::differences(stringify!($name), |$header| $edit);
            let expected: &[&str] = &$expected;
            assert!(found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| f.starts_with(e)),
                    "expected {expected:#?}\nfound {found:#?}");
        }
    )*};
}

planted! {
    an_unchanged_copy(_header) {} finds [];

    swapped_fields(header) {
        swap(header.field("weft_loop_report", "done"), "done", "other");
        swap(header.field("weft_loop_report", "failed"), "failed", "done");
        swap(header.field("weft_loop_report", "other"), "other", "failed");
    } finds ["field weft_loop_report.done: usize at 16 in the header, usize at 8 in Rust",
             "field weft_loop_report.failed: usize at 8 in the header, usize at 16 in Rust"];

    a_wider_field(header) {
        swap(header.field("weft_spawn_options", "name"), "const char *name", "const char *name[2]");
    } finds ["struct weft_spawn_options: size 88 align 8", "field weft_spawn_options.after:",
             "field weft_spawn_options.after_len", "field weft_spawn_options.arg_drop",
             "field weft_spawn_options.cancel", "field weft_spawn_options.drop_ctx", "field weft_spawn_options.hints", "field weft_spawn_options.name: [",
             "field weft_spawn_options.node", "field weft_spawn_options.priority",
             "field weft_spawn_options.result_drop"];

    another_sign(header) { swap(header.field("weft_runtime_stats", "spawned"), "uint64_t", "int64_t"); }
    finds ["field weft_runtime_stats.spawned: i64 at"];

    another_constness(header) { swap(header.field("weft_spawn_options", "name"), "const char", "char"); }
    finds ["field weft_spawn_options.name: *mut"];

    one_field_too_many(header) { header.field("weft_loop_report", "fell_back").push_str(" size_t more;"); }
    finds ["struct weft_loop_report: size 56", "field weft_loop_report.more: only in the header"];

    one_field_too_few(header) { header.field("weft_loop_report", "fell_back").clear(); }
    finds ["struct weft_loop_report: size 40", "field weft_loop_report.fell_back: only in Rust"];

    another_parameter_type(header) { swap(header.declaration("weft_future_wait"), "int64_t", "int32_t"); }
    finds ["function weft_future_wait: fn(*mut weft_future, i32) -> i32 in the header"];

    one_parameter_too_few(header) { swap(header.declaration("weft_future_wait"), ", int64_t timeout_ns", ""); }
    finds ["function weft_future_wait: fn(*mut weft_future) -> i32 in the header"];

    another_handle(header) { swap(header.declaration("weft_future_wait"), "weft_future *", "weft_promise *"); }
    finds ["function weft_future_wait: fn(*mut weft_promise, i64) -> i32 in the header"];

    another_result(header) { swap(header.declaration("weft_channel_len"), "size_t", "int64_t"); }
    finds ["function weft_channel_len: fn(*const weft_channel) -> i64 in the header"];

    another_callback(header) { swap(header.declaration("weft_range_fn"), "size_t begin", "uint32_t begin"); }
    finds ["function weft_for: fn(*mut weft_runtime, usize, usize, fn(*mut weft_worker, u32, "];

    a_function_too_many(header) { header.declaration("weft_version").push_str(" uint32_t weft_another(void);"); }
    finds ["function weft_another: only in the header"];

    a_function_too_few(header) { header.declaration("weft_version").clear(); }
    finds ["function weft_version: only in Rust"];

    another_value(header) { *header.constant("WEFT_TIMEOUT") = "#define WEFT_TIMEOUT 9".to_owned(); }
    finds ["constant WEFT_TIMEOUT: 9 in the header, 2 in Rust"];

    a_constant_too_few(header) { header.constant("WEFT_FOREVER").clear(); }
    finds ["constant WEFT_FOREVER: only in Rust"];

    another_place_for_the_head(header) { swap(&mut header.join, "WEFT_REGION_HEAD 128", "WEFT_REGION_HEAD 64"); }
    finds ["constant WEFT_REGION_HEAD: 64 in the header, 128 in Rust"];

    another_size_of_a_half(header) { swap(&mut header.join, "void *reserved[2];", "void *reserved[1];"); }
    finds ["struct weft_half: size 24", "field weft_half.reserved: "];

    another_slow_path(header) { swap(&mut header.join, "bool weft_sync_shared_v1(", "bool weft_sync_shared_v2("); }
    finds ["function weft_sync_shared_v2: only in the header", "function weft_sync_shared_v1: only in Rust"];

    a_struct_too_many(header) {
        header.declaration("weft_version").push_str(" typedef struct weft_extra { int32_t more; } weft_extra;");
    } finds ["struct weft_extra: only in the header"];
}
