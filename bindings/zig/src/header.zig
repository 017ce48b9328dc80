//! The declarations of weft.h, whichever way the build provides them: translated to a module of their own, or, in cimport.zig, inside
//! a declaration `c`, because `@cImport` yields a type and not a file.

const module = @import("c");

pub const c = if (@hasDecl(module, "c")) module.c else module;
