/*
 * Weft: one concurrency runtime behind one C ABI.
 *
 * This file is generated from the Rust sources; edit those. License: MIT OR Apache-2.0.
 *
 * Rules that hold for every function
 *
 *   Handles      Opaque, reference counted, usable from any thread. weft_X_new gives one reference, weft_X_retain adds one,
 *                weft_X_release drops one (NULL is a no-op). The last release never blocks (but for runtimes without threads:
 *                see weft_runtime_release). A tag tells a handle of a wrong kind (WEFT_INVALID);
 *                using a handle after its last release is undefined, like free(). That includes calls that have not returned: who
 *                calls has a reference that lasts until then. Only waits are safe from it, where weft_X_release says so.
 *   Status       Functions that can fail return a weft_status. Results come through out-parameters, last in the list, which are
 *                written on WEFT_OK only. weft_error_message() explains this thread's last failure. Functions that
 *                return something else return the neutral value that their comment names, and set the message.
 *   NULL         A handle or a required pointer that is NULL gives WEFT_INVALID, with a message that names the argument.
 *   Consumption  On any status but WEFT_OK nothing was consumed: arguments, values and elements are still the caller's, no drop
 *                has run.
 *   Time         timeout_ns, on CLOCK_MONOTONIC. WEFT_FOREVER blocks without limit; 0 or less never blocks
 *                (WEFT_WOULD_BLOCK); anything else blocks at most that long (WEFT_TIMEOUT).
 *   Options      A struct whose first member is its size. weft_X_options_init(&options, sizeof options) fills in the defaults; NULL
 *                instead of a struct means the defaults. A struct of a later version is accepted as long as the members that this
 *                version does not know are zero; else WEFT_INVALID.
 *   Runtime      NULL means the calling task's runtime, outside any task the process-wide default runtime.
 *   Blocking     Each comment says whether a function can block. Blocking inside a task is fine: another thread
 *                takes over (not in runtimes without threads: see WEFT_KIND_SINGLE). Around calls that Weft does not
 *                know, see weft_blocking_begin.
 *   Callbacks    A function, an argument, and where it matters a drop: the callback runs exactly once, or its drop does. They
 *                run on worker threads unless their comment says otherwise, never under a lock of Weft's, and must not unwind
 *                or longjmp out. A Rust panic is caught nevertheless (WEFT_PANIC); a C++ exception that gets out ends
 *                the process, with a message that names the task. weft.hpp carries exceptions across.
 *   Fork         In a child of fork() every inherited handle answers WEFT_FORKED for ever; its release leaks it, quietly. New objects
 *                can be made after weft_after_fork().
 */
#ifndef WEFT_H
#define WEFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* timeout_ns: no limit. */
#define WEFT_FOREVER INT64_MAX
/* weft_channel_options.capacity: no limit. */
#define WEFT_UNBOUNDED SIZE_MAX

#ifdef __cplusplus
extern "C" {
#endif
