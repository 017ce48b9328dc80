//! What both sides of the ABI are reduced to before they are compared: names, numbers and types in one spelling.

use std::any::type_name;
use std::collections::BTreeMap;

use crate::types::Types;

/// One side of the ABI.
#[derive(Default)]
pub struct Facts {
    pub structs: BTreeMap<String, Struct>,
    /// Name to type, such as "fn(*mut weft_future, i64) -> i32".
    pub functions: BTreeMap<String, String>,
    /// Name to value modulo 2^64, so that SIZE_MAX is the same number however it is spelt.
    pub constants: BTreeMap<String, u64>,
}

#[derive(Default)]
pub struct Struct {
    pub size: usize,
    pub align: usize,
    pub fields: BTreeMap<String, Field>,
}

#[derive(Default, PartialEq, Eq)]
pub struct Field {
    pub offset: usize,
    pub kind: String,
}

/// The Rust side: generated code calls these with the items themselves.
impl Facts {
    pub fn function<F>(&mut self, name: &str, _: F) {
        self.functions.insert(name.to_owned(), Types::default().spell_text(type_name::<F>()));
    }

    pub fn constant(&mut self, name: &str, value: i128) {
        self.constants.insert(name.to_owned(), value as u64);
    }

    pub fn structure<T>(&mut self, fields: Vec<(&str, usize, &str)>) {
        let field = |(name, offset, kind): (&str, usize, &str)| {
            (field_name(name), Field { offset, kind: Types::default().spell_text(kind) })
        };
        self.structs.insert(
            Types::default().spell_text(type_name::<T>()),
            Struct { size: size_of::<T>(), align: align_of::<T>(), fields: fields.into_iter().map(field).collect() },
        );
    }
}

/// A field's name as C has it: the sources write r#fn for what is a keyword in Rust, and bindgen writes fn_.
pub fn field_name(name: &str) -> String {
    name.strip_prefix("r#").or_else(|| name.strip_suffix('_')).unwrap_or(name).to_owned()
}

/// Describes a struct of `weft::capi`. The pattern makes the compiler see to it that the fields are all of them.
macro_rules! rust_struct {
    ($facts:ident, $this:path, $($field:ident),*) => {{
        type This = $this;
        #[allow(dead_code)]
        fn complete(it: &This) { let This { $($field: _),* } = it; }
        $facts.structure::<This>(vec![$((
            stringify!($field), std::mem::offset_of!(This, $field), $crate::facts::kind(|it: &This| &it.$field),
        )),*]);
    }};
}
pub(crate) use rust_struct;

/// The name of the type of the field that `_field` picks.
pub fn kind<T, F>(_field: fn(&T) -> &F) -> &'static str {
    type_name::<F>()
}

/// Every difference, in words; empty when the sides agree.
pub fn differences(header: &Facts, rust: &Facts) -> Vec<String> {
    let mut found = Vec::new();
    each(&header.functions, &rust.functions, "function ", &mut found, |name, header, rust, found| {
        if header != rust {
            found.push(format!("function {name}: {header} in the header, {rust} in Rust"));
        }
    });
    each(&header.constants, &rust.constants, "constant ", &mut found, |name, header, rust, found| {
        if header != rust {
            found.push(format!("constant {name}: {header} in the header, {rust} in Rust"));
        }
    });
    each(&header.structs, &rust.structs, "struct ", &mut found, |name, header, rust, found| {
        if (header.size, header.align) != (rust.size, rust.align) {
            found.push(format!(
                "struct {name}: size {} align {} in the header, size {} align {} in Rust",
                header.size, header.align, rust.size, rust.align
            ));
        }
        each(&header.fields, &rust.fields, &format!("field {name}."), found, |field, header, rust, found| {
            if header != rust {
                found.push(format!(
                    "field {name}.{field}: {} at {} in the header, {} at {} in Rust",
                    header.kind, header.offset, rust.kind, rust.offset
                ));
            }
        });
    });
    found
}

/// Calls `compare` for what both have; what only one has is a difference.
fn each<T>(
    header: &BTreeMap<String, T>,
    rust: &BTreeMap<String, T>,
    what: &str,
    found: &mut Vec<String>,
    compare: impl Fn(&str, &T, &T, &mut Vec<String>),
) {
    for (name, in_header) in header {
        match rust.get(name) {
            Some(in_rust) => compare(name, in_header, in_rust, found),
            None => found.push(format!("{what}{name}: only in the header")),
        }
    }
    for name in rust.keys().filter(|name| !header.contains_key(*name)) {
        found.push(format!("{what}{name}: only in Rust"));
    }
}
