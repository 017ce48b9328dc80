//! The Rust side of the comparison: finds what `src/capi` exports to C, by syntax, and writes a function that asks the
//! compiler about each of these items. So the names come from the sources, and sizes, offsets and types from the compiler.

use std::fmt::Write;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};

use syn::{Attribute, Fields, Item, Visibility};

/// Rust text of `fn rust_sources() -> Facts` for everything under `directory`.
pub fn describe(directory: &Path) -> String {
    let mut body = String::new();
    for file in rust_files(directory) {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let module = module_path(file.strip_prefix(directory).expect("a file below the directory"));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for item in &parsed.items {
            describe_item(item, &module, &mut body);
        }
    }
    format!("fn rust_sources() -> Facts {{\n    let mut facts = Facts::default();\n{body}    facts\n}}\n")
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// `weft::capi::future` for `future.rs`.
fn module_path(file: &Path) -> String {
    let parts = file.with_extension("");
    let parts = parts.iter().map(|part| part.to_str().expect("module names are UTF-8")).filter(|part| *part != "mod");
    iter::once("weft::capi").chain(parts).collect::<Vec<_>>().join("::")
}

fn describe_item(item: &Item, module: &str, body: &mut String) {
    match item {
        Item::Fn(function) if is_exported(&function.attrs) => {
            let name = &function.sig.ident;
            let abi = function.sig.abi.as_ref().and_then(|abi| abi.name.as_ref());
            let abi = abi.unwrap_or_else(|| panic!("{name} is exported, but not extern \"C\"")).value();
            let parameters = vec!["_"; function.sig.inputs.len()].join(", ");
            writeln!(
                body,
                "    facts.function({:?}, {module}::{name} as unsafe extern {abi:?} fn({parameters}) -> _);",
                name.to_string()
            )
        }
        // Others with a C layout are the crate's own.
        Item::Struct(item) if has(&item.attrs, "repr", "C") && item.ident.to_string().starts_with("weft_") => {
            let name = &item.ident;
            let Fields::Named(fields) = &item.fields else { return };
            let fields: Vec<_> = fields.named.iter().filter_map(|field| field.ident.as_ref()).collect();
            writeln!(
                body,
                "    rust_struct!(facts, {module}::{name}, {fields});",
                fields = fields.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            )
        }
        Item::Const(constant) if is_public(&constant.vis) && constant.ident.to_string().starts_with("WEFT_") => {
            let name = &constant.ident;
            writeln!(body, "    facts.constant({:?}, {module}::{name} as i128);", name.to_string())
        }
        _ => Ok(()),
    }
    .expect("writing to a string");
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_exported(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("no_mangle")) || has(attributes, "unsafe", "no_mangle")
}

/// Is there an attribute such as #[outer(inner)] among them?
fn has(attributes: &[Attribute], outer: &str, inner: &str) -> bool {
    attributes.iter().any(|attribute| {
        let mut found = false;
        attribute.path().is_ident(outer)
            && attribute
                .parse_nested_meta(|meta| {
                    found |= meta.path.is_ident(inner);
                    Ok(())
                })
                .is_ok()
            && found
    })
}
