/* What the misuse tests share: one entry per function of the header, and handles of every kind to put where they do not belong.
 *
 * MISUSE(weft_x) { ... } is the entry of weft_x. misuse.c fails when the header declares a function without an entry.
 */
#ifndef WEFT_CTESTS_MISUSE_H
#define WEFT_CTESTS_MISUSE_H

#include "support.h"

#define MISUSE(function)                                                        \
    _Static_assert(sizeof(&function) > 0, "an entry is of a function there is"); \
    HARNESS_CASE(HARNESS_MISUSE, misuse_, function)

/* A void function that must complain about the argument `part`. */
#define COMPLAINS(call, part)                         \
    do {                                              \
        harness_forget_message();                     \
        (call);                                       \
        CHECK_HAS(weft_error_message(), (part));      \
    } while (0)

enum noun { BYTES, TOPOLOGY, RUNTIME, PROMISE, FUTURE, CHANNEL, SENDER, RECEIVER, TOKEN, TIMER, THREAD, MUTEX, BREAKER, LINK, PROCESSES, CONTEXT, CONTEXT_POOL, WORKER, NO_NOUN, NOUNS };

/* A live handle of each kind, a worker that is alive while the zoo is, and memory that is no handle at all. */
struct zoo {
    void *handle[NOUNS];
    weft_bytes *bytes;
    weft_topology *topology;
    weft_runtime *runtime;
    weft_promise *promise;
    weft_future *future;
    weft_channel *channel;
    weft_sender *sender;
    weft_receiver *receiver;
    weft_cancel_token *token;
    weft_timer *timer;
    weft_thread *thread;
    weft_mutex *mutex;
    weft_breaker *breaker;
    weft_link *link;
    int32_t link_far_fd;
    weft_process_pool *processes;
    weft_context *context;
    weft_context_pool *context_pool;
    weft_worker *worker;
    gate worker_lent, worker_back;
};

struct zoo *zoo_new(void);
/* Also checks that all handles still work: misuse must not have harmed them. */
void zoo_end(struct zoo *zoo);

/* For each handle `h` that is not `right`. */
#define FOR_WRONG(zoo, right, h)                                       \
    for (int wrong_ = 0; wrong_ < NOUNS; wrong_++)                     \
        for (void *h = wrong_ == (right) ? NULL : (zoo)->handle[wrong_]; h != NULL; h = NULL)

/* Counts its calls through arg; as a task, a call, a range and so on none of which may ever run. */
void never_task(weft_worker *worker, void *arg);
weft_status never_call(weft_worker *worker, void *arg, void **result);
weft_status never_map(weft_worker *worker, const void *in, void *out, void *arg);
weft_status never_range(weft_worker *worker, size_t begin, size_t end, void *arg);
weft_status never_fold(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg);
weft_status never_combine(weft_worker *worker, void *into, void *from, void *arg);
void never_drop(void *ctx, void *value);

#endif
