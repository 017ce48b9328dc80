//! Builds the module "weft" and runs its tests; with Zig 0.15 and 0.17.
//!
//!     zig build test -Dinclude=<directory of weft/weft.h> -Dlib=<directory of libweft.so>
//!
//! Both directories may be left out where the system has Weft. As a dependency:
//!
//!     const weft = b.dependency("weft", .{ .target = target, .optimize = optimize, .include = "...", .lib = "..." });
//!     exe.root_module.addImport("weft", weft.module("weft"));

const std = @import("std");

pub fn build(b: *std.Build) void {
    const target = b.standardTargetOptions(.{});
    const optimize = b.standardOptimizeOption(.{});
    const include = b.option([]const u8, "include", "Directory that has weft/weft.h (default: the system's)");
    const lib = b.option([]const u8, "lib", "Directory that has libweft.so (default: the system's)");

    const header = b.addTranslateC(.{ .root_source_file = b.path("src/c.h"), .target = target, .optimize = optimize, .link_libc = true });
    if (include) |directory| header.addIncludePath(.{ .cwd_relative = directory });

    const weft = b.addModule("weft", .{ .root_source_file = b.path("src/weft.zig"), .target = target, .optimize = optimize, .link_libc = true });
    weft.addImport("c", header.createModule());
    if (lib) |directory| {
        weft.addLibraryPath(.{ .cwd_relative = directory });
        weft.addRPath(.{ .cwd_relative = directory });
    }
    // Not through pkg-config: the directories given are the ones that count.
    weft.linkSystemLibrary("weft", .{ .use_pkg_config = .no });

    const all = b.createModule(.{ .root_source_file = b.path("test/all.zig"), .target = target, .optimize = optimize });
    all.addImport("weft", weft);
    const tests = b.addRunArtifact(b.addTest(.{ .root_module = all }));
    b.step("test", "Run the tests").dependOn(&tests.step);
}
