//! The header's side: reads bindgen's output. Sizes, alignments and offsets are those the C compiler found; bindgen
//! writes them into its layout assertions.

use syn::{Expr, ExprLit, FnArg, ForeignItem, Item, Lit, Stmt};

use crate::facts::{Facts, Field, field_name};
use crate::types::Types;

/// The facts in what bindgen made of a header.
pub fn header_side(bindings: &str) -> Facts {
    let file = syn::parse_file(bindings).expect("bindgen writes Rust");
    let mut types = Types::default();
    for item in &file.items {
        if let Item::Type(alias) = item {
            types.aliases.insert(alias.ident.to_string(), (*alias.ty).clone());
        }
    }

    let mut facts = Facts::default();
    for item in &file.items {
        match item {
            Item::Struct(item) => {
                let fields = item
                    .fields
                    .iter()
                    .filter_map(|field| Some((field_name(&field.ident.as_ref()?.to_string()), &field.ty)));
                let fields: Vec<_> = fields.collect();
                // This is how bindgen writes a type that the header only names: an opaque handle, without a layout.
                if fields.iter().any(|(name, _)| name == "_unused") {
                    continue;
                }
                let fields = fields.into_iter();
                let fields = fields.map(|(name, kind)| (name, Field { offset: usize::MAX, kind: types.spell(kind) }));
                facts.structs.entry(item.ident.to_string()).or_default().fields = fields.collect();
            }
            Item::ForeignMod(block) => block.items.iter().for_each(|item| {
                let ForeignItem::Fn(function) = item else { panic!("a variable in the header: {item:?}") };
                let inputs = function.sig.inputs.iter().map(|input| match input {
                    FnArg::Typed(input) => types.spell(&input.ty),
                    FnArg::Receiver(_) => panic!("self in a C function"),
                });
                let kind = types.function(&inputs.collect::<Vec<_>>(), &function.sig.output);
                facts.functions.insert(function.sig.ident.to_string(), kind);
            }),
            Item::Const(item) if item.ident == "_" => layout(&item.expr, &mut facts),
            Item::Const(item) => {
                facts.constants.insert(item.ident.to_string(), integer(&item.expr) as u64);
            }
            Item::Type(_) => {}
            // A union or an enum would be part of the ABI, too: whoever adds one teaches the comparison about it.
            other => panic!("the comparison does not know this kind of item: {other:?}"),
        }
    }
    facts
}

/// Reads `["Size of weft_x"][size_of::<weft_x>() - 8usize];` and its siblings.
fn layout(assertions: &Expr, facts: &mut Facts) {
    let Expr::Block(block) = assertions else { panic!("layout assertions that are no block") };
    for statement in &block.block.stmts {
        let Stmt::Expr(Expr::Index(assertion), _) = statement else { panic!("not an assertion: {statement:?}") };
        let (Expr::Array(text), Expr::Binary(difference)) = (&*assertion.expr, &*assertion.index) else {
            panic!("not an assertion: {assertion:?}")
        };
        let Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) = text.elems.first() else {
            panic!("an assertion without a text")
        };
        let text = text.value();
        let number = usize::try_from(integer(&difference.right)).expect("a size");
        if let Some(name) = text.strip_prefix("Size of ") {
            facts.structs.entry(name.to_owned()).or_default().size = number;
        } else if let Some(name) = text.strip_prefix("Alignment of ") {
            facts.structs.entry(name.to_owned()).or_default().align = number;
        } else if let Some(path) = text.strip_prefix("Offset of field: ") {
            let (name, field) = path.split_once("::").expect("struct::field");
            let fields = &mut facts.structs.entry(name.to_owned()).or_default().fields;
            fields.get_mut(&field_name(field)).unwrap_or_else(|| panic!("an offset of no field: {text}")).offset =
                number;
        } else {
            panic!("an unknown assertion: {text}");
        }
    }
}

fn integer(value: &Expr) -> i128 {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().expect("a number"),
        Expr::Unary(negative) => -integer(&negative.expr),
        other => panic!("not a number: {other:?}"),
    }
}
