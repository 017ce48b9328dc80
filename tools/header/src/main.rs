//! Writes `include/weft/weft.h` from the sources of the C ABI, or with `--verify` tells whether the committed
//! one is what they give (exit status 2 when it is stale).
//!
//! cbindgen groups what it writes by kind (constants, then types, then functions). A reader wants it by noun.
//! So cbindgen runs once for each file of `src/capi`, and the results become the header's sections.

use std::path::Path;
use std::process::ExitCode;

use cbindgen::{Config, DocumentationStyle, ExportConfig, Language, Style};

/// The files of src/capi in the header's order, with the sections' titles. Later sections use what earlier ones define.
const SECTIONS: &[(&str, &str)] = &[
    ("types", "Types"),
    ("status", "Status, errors, version"),
    ("process", "Time, threads, processes"),
    ("log", "Log"),
    ("bytes", "Bytes"),
    ("topology", "Topology"),
    ("kinds", "Kinds and sizes of runtimes"),
    ("runtime", "Runtime"),
    ("local", "Values of worker threads"),
    ("cancel", "Cancellation"),
    ("mutex", "Locks"),
    ("deadlock", "Deadlocks"),
    ("task", "Tasks"),
    ("submit", "Tasks in memory of the caller's"),
    ("call", "Tasks with results"),
    ("timer", "Timers"),
    ("join", "Fork-join"),
    ("loops", "Loops"),
    ("future", "Futures and promises"),
    ("watch", "What is told of settled futures"),
    ("descriptor", "What is told of file descriptors"),
    ("combine", "Futures made of others"),
    ("poll", "Poll tasks"),
    ("channel", "Channels"),
    ("select", "Select"),
    ("breaker", "Circuit breakers"),
    ("breaker_watch", "What breakers tell"),
    ("link", "Links between processes"),
    ("serve", "What worker processes run"),
    ("process_pool", "Pools of worker processes"),
    ("process_host", "Process pools for hosts that are not called"),
    ("context", "Contexts: where something runs"),
    ("context_kind", "Kinds of contexts of the program's"),
    ("context_pool", "Pools of contexts"),
];

/// The types that src/capi/types.rs defines for the other files; cbindgen leaves out what a file itself does not use.
const TYPES: &[&str] = &[
    "weft_status",
    "weft_bytes",
    "weft_error",
    "weft_thread",
    "weft_topology",
    "weft_runtime",
    "weft_worker",
    "weft_cancel_token",
    "weft_timer",
    "weft_mutex",
    "weft_promise",
    "weft_future",
    "weft_watch",
    "weft_waker",
    "weft_channel",
    "weft_sender",
    "weft_receiver",
    "weft_breaker",
    "weft_link",
    "weft_process_pool",
    "weft_process_birth",
    "weft_server",
    "weft_context",
    "weft_context_job",
    "weft_context_pool",
    "weft_task_fn",
    "weft_call_fn",
    "weft_drop_fn",
];

const BEGIN: &str = include_str!("begin.h");
const END: &str = include_str!("end.h");

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("include/weft/weft.h");
    let header = match generate(&root.join("src/capi")) {
        Ok(header) => header,
        Err(error) => {
            eprintln!("weft-header: {error}");
            return ExitCode::FAILURE;
        }
    };
    match std::env::args().nth(1).as_deref() {
        Some("--verify") if std::fs::read_to_string(&path).is_ok_and(|committed| committed == header) => {
            ExitCode::SUCCESS
        }
        Some("--verify") => {
            eprintln!("weft-header: {} is stale; run: cargo run -p weft-header", path.display());
            ExitCode::from(2)
        }
        None => match std::fs::write(&path, header) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("weft-header: {}: {error}", path.display());
                ExitCode::FAILURE
            }
        },
        Some(other) => {
            eprintln!("weft-header: unknown argument {other}; usage: weft-header [--verify]");
            ExitCode::FAILURE
        }
    }
}

fn generate(capi: &Path) -> Result<String, String> {
    let mut header = BEGIN.to_owned();
    for &(file, title) in SECTIONS {
        let path = capi.join(file).with_extension("rs");
        let section = cbindgen::Builder::new()
            .with_config(config(if file == "types" { TYPES } else { &[] }))
            .with_src(&path)
            .generate()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let mut text = Vec::new();
        section.write(&mut text);
        let text = String::from_utf8(text).map_err(|error| format!("{}: {error}", path.display()))?;
        let rule = "-".repeat(112 - title.len());
        header.push_str(&format!("\n/* {title} {rule} */\n\n{}\n", compact(text.trim())));
    }
    header.push_str(END);
    Ok(header)
}

/// Puts comments of one line on one line, and takes the blank line after a constant away.
fn compact(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut result = String::new();
    let mut i = 0;
    while i < lines.len() {
        let indent = &lines[i][..lines[i].len() - lines[i].trim_start().len()];
        if lines[i].trim() == "/*" && lines.get(i + 2).is_some_and(|line| line.trim() == "*/") {
            result.push_str(&format!("{indent}/* {} */\n", lines[i + 1].trim()));
            i += 3;
            continue;
        }
        let after_constant = i > 0 && lines[i - 1].starts_with("#define");
        let before_constant = lines[i..].iter().take(5).any(|line| line.starts_with("#define"));
        if !(lines[i].is_empty() && after_constant && before_constant) {
            result.push_str(lines[i]);
            result.push('\n');
        }
        i += 1;
    }
    result.trim_end().to_owned()
}

fn config(include: &[&str]) -> Config {
    Config {
        language: Language::C,
        style: Style::Both,
        no_includes: true,
        documentation_style: DocumentationStyle::C,
        line_length: 120,
        cpp_compat: false,
        usize_is_size_t: true,
        export: ExportConfig { include: include.iter().map(ToString::to_string).collect(), ..ExportConfig::default() },
        ..Config::default()
    }
}
