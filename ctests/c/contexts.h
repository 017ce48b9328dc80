/* What the tests of contexts share: functions that contexts run, and making and executing in one line. */
#ifndef WEFT_CTESTS_CONTEXTS_H
#define WEFT_CTESTS_CONTEXTS_H

#include "support.h"

extern const int32_t context_kinds[5];
/* Whether there is such a kind: valgrind knows no pidfds, so there is no FORK under it. */
bool context_kind_is_here(int32_t kind);
/* For each kind that is here. */
#define FOR_KINDS(kind)                         \
    for (size_t kind_at_ = 0; kind_at_ < 5; kind_at_++) \
        for (int32_t kind = context_kinds[kind_at_], kind_once_ = context_kind_is_here(kind); kind_once_; kind_once_ = 0)

/* Of the default runtime, without options but the name. */
weft_context *context_new(int32_t kind, const char *name);
/* ISOLATED has no argument; then the functions below do without. */
void *context_arg(weft_context *context, void *arg);

/* Gives its message back. */
weft_status echo(const void *data, size_t len, weft_bytes **reply, void *arg);
/* Gives the number of the process and of the thread that it runs on. */
struct where {
    pid_t process, thread;
};
weft_status tell_where(const void *data, size_t len, weft_bytes **reply, void *arg);
struct where where_of(weft_context *context);
/* Fails with the status that is its message (a weft_status), and the text "as arranged". */
weft_status fail(const void *data, size_t len, weft_bytes **reply, void *arg);
/* Waits on a channel that never gets anything, until it is asked to stop; WEFT_CANCELLED then. A FORK sleeps until a signal comes. */
weft_status wait_to_be_stopped(const void *data, size_t len, weft_bytes **reply, void *arg);

/* The reply, which must come and be this text. */
void check_reply(weft_context *context, const char *text);
void execute_text(weft_context *context, weft_handler_fn function, const char *text);

/* Open descriptors of this process, with the one that counts them; children of this program, zombies included. */
size_t descriptors_open(void);
size_t children_left(void);

#endif
