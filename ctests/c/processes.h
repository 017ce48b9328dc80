/* What tests of process pools share: a worker, which is this program again, and calls of it. */
#ifndef WEFT_CTESTS_PROCESSES_H
#define WEFT_CTESTS_PROCESSES_H

#include "support.h"

/* What the worker does is the first byte of the call. */
enum {
    ECHO = 'e',       /* answers with what it got */
    PID = 'i',        /* answers with its pid_t */
    FAIL = 'f',       /* fails with status 77, a message, a backtrace and what it got as payload */
    RAISE = 'r',      /* fails with WEFT_FAILED and no message */
    KILLED = 'k',     /* kills itself with SIGKILL */
    ABORTS = 'a',     /* aborts */
    EXITS = 'x',      /* exits with status 3 */
    STOPPED = 's',    /* stops itself with SIGSTOP */
    GROWS = 'm',      /* occupies the number of MiB in the second byte, and waits for ever */
    GROWN = 'g',      /* the same, but answers */
    WAITS = 'w',      /* says so on the pipe of begin_pipe, and waits for ever */
    STOPS = 'c',      /* says so, and waits until it is not wanted any more */
    ATTEMPT = 'n',    /* kills itself until it is attempt number (second byte); answers with the number of the attempt */
};

/* Options of a pool whose workers are this program's child `pool_worker`. The strings are static. */
weft_process_pool_options pool_options(uint32_t workers);
/* The same, another child. */
weft_process_pool_options pool_options_of(const char *child, uint32_t workers);
weft_process_pool *pool_new(uint32_t workers);
weft_process_pool *pool_with(const weft_process_pool_options *options);
/* Drains and releases: everything has been answered, every process reaped. */
void pool_end(weft_process_pool *pool);
weft_process_pool_stats pool_stats(weft_process_pool *pool);

weft_future *call(weft_process_pool *pool, const void *data, size_t len);
weft_future *call_with(weft_process_pool *pool, const void *data, size_t len, int64_t timeout_ns, uint32_t attempts);
/* A call of one byte. */
weft_future *ask(weft_process_pool *pool, char what);
/* Waits, checks that the answer is these bytes, and releases. */
void answers(weft_future *future, const void *data, size_t len);
/* Waits, checks that it has failed with this status and a text that has `part`, and releases. */
void fails(weft_future *future, weft_status status, const char *part);
/* The pid of a worker. */
pid_t pid_of(weft_process_pool *pool);

/* A pipe that workers write to when they begin to wait: made before the pool. */
void begin_pipe(void);
/* Waits for n workers to say so. */
void begun(size_t n);

/* Waits until the pool's numbers are so. */
#define POOL_UNTIL(pool, stats, condition)                             \
    for (weft_process_pool_stats stats = pool_stats(pool); !(condition); stats = pool_stats(pool)) \
        usleep(200)

/* How many descriptors and children this process has. */
size_t descriptors_open(void);
/* Has no child, dead or alive. */
void no_children(void);

/* The worker's handler, for other ways to make workers. */
weft_status pool_handler(const void *data, size_t len, weft_bytes **reply, void *arg);

#endif
