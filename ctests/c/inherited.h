/* What the tests of forks share: things of every kind that wait and are waited for, what a child may do with those of its
 * parent, and with its own.
 */
#ifndef WEFT_CTESTS_INHERITED_H
#define WEFT_CTESTS_INHERITED_H

#include "descriptors.h"

#define CHECK_FORKED(call) CHECK_REFUSED(call, WEFT_FORKED, "fork")

/* A poll task that waits in a select, and keeps its waker. */
struct poller {
    weft_select_case cases[2];
    size_t n;
    uint64_t element;
    weft_waker *waker;
    atomic_int stop;
    gate waits;
};

struct inherited {
    weft_runtime *runtime;
    weft_channel *channel, *empty, *tags;
    weft_sender *sender;
    weft_receiver *receiver;
    weft_promise *promise;
    weft_future *future, *failed, *of_failed, *all, *race, *later, *polled[2];
    const weft_error *error;
    weft_cancel_token *token;
    weft_thread *thread;
    weft_watch *watch, *fd_watch;
    struct ends ends;
    struct told told;
    struct drops drops;
    atomic_int settled;
    struct poller pollers[2];
};

/* Counts its calls in an atomic_int. */
void settled(weft_future *future, void *arg);

struct inherited *everything(void);
/* Whatever a child did: the parent's are as they were. Settles and ends what waits. */
void still_work(struct inherited *all);
void forget(struct inherited *all);
/* forget, and the end of the runtime. */
void end_all(struct inherited *all);

/* Every function answers at once, with WEFT_FORKED or its neutral value. */
void inherited_answer_forked(struct inherited *all);
/* One's own beside what is inherited. */
void mixed_answer_forked(struct inherited *all);
/* Also those that no handle belongs to. */
void new_things_are_refused(void);
/* After weft_after_fork. */
void own_things_work(void);

#endif
