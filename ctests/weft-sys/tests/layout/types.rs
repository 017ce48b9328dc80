//! One spelling for types, whether bindgen, a source file or the compiler wrote them down: `*const c_char` and
//! `*const i8`, `Option<unsafe extern "C-unwind" fn(..)>` and the name of a typedef for it become the same text.

use std::any::type_name;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_long, c_uint, c_ulong};

use syn::{Expr, ExprLit, GenericArgument, Lit, PathArguments, ReturnType, Type};

/// The type aliases of one side; the compiler's own names have none left.
#[derive(Default)]
pub struct Types {
    pub aliases: BTreeMap<String, Type>,
}

impl Types {
    pub fn spell_text(&self, text: &str) -> String {
        self.spell(&syn::parse_str(text).unwrap_or_else(|error| panic!("not a type: {text}: {error}")))
    }

    pub fn spell(&self, kind: &Type) -> String {
        match kind {
            Type::Ptr(pointer) if pointer.mutability.is_some() => format!("*mut {}", self.spell(&pointer.elem)),
            Type::Ptr(pointer) => format!("*const {}", self.spell(&pointer.elem)),
            // A reference is a pointer that the Rust side promises to be valid; C sees the pointer.
            Type::Reference(reference) if reference.mutability.is_some() => {
                format!("*mut {}", self.spell(&reference.elem))
            }
            Type::Reference(reference) => format!("*const {}", self.spell(&reference.elem)),
            Type::BareFn(function) => {
                let inputs: Vec<_> = function.inputs.iter().map(|input| self.spell(&input.ty)).collect();
                self.function(&inputs, &function.output)
            }
            Type::Tuple(tuple) if tuple.elems.is_empty() => "void".to_owned(),
            Type::Array(array) => {
                let Expr::Lit(ExprLit { lit: Lit::Int(length), .. }) = &array.len else {
                    panic!("an array whose length is no number: {array:?}")
                };
                format!("[{}; {}]", self.spell(&array.elem), length.base10_digits())
            }
            Type::Path(path) => self.named(path.path.segments.last().expect("a path has a segment")),
            other => panic!("a type with no counterpart in C: {other:?}"),
        }
    }

    /// A function's type from its parameters' types in their one spelling.
    pub fn function(&self, inputs: &[String], output: &ReturnType) -> String {
        let output = match output {
            ReturnType::Default => "void".to_owned(),
            ReturnType::Type(_, kind) => self.spell(kind),
        };
        format!("fn({}) -> {output}", inputs.join(", "))
    }

    fn named(&self, segment: &syn::PathSegment) -> String {
        let name = segment.ident.to_string();
        match name.as_str() {
            // A pointer that may be NULL is written as an Option on the Rust side.
            "Option" => return self.spell(argument(&segment.arguments)),
            "NonNull" => return format!("*mut {}", self.spell(argument(&segment.arguments))),
            "c_void" => "void",
            "c_char" => type_name::<c_char>(),
            "c_int" => type_name::<c_int>(),
            "c_uint" => type_name::<c_uint>(),
            "c_long" => type_name::<c_long>(),
            "c_ulong" => type_name::<c_ulong>(),
            _ => return self.aliases.get(&name).map_or(name, |kind| self.spell(kind)),
        }
        .to_owned()
    }
}

fn argument(arguments: &PathArguments) -> &Type {
    if let PathArguments::AngleBracketed(arguments) = arguments
        && let Some(GenericArgument::Type(kind)) = arguments.args.first()
    {
        return kind;
    }
    panic!("Option or NonNull without an argument")
}
