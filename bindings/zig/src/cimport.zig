//! A module "c" for compilers that have `@cImport` (Zig 0.15): no separate translation step.

pub const c = @cImport({
    @cDefine("WEFT_NO_INLINE", {});
    @cInclude("weft/weft.h");
});
