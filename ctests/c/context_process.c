/* Contexts whose runs are calls of a pool of processes. The pool has tests of its own. */
#include "processes.h"

#include <string.h>

static weft_context *context_of(weft_process_pool *pool)
{
    weft_context_options options;
    weft_context *context = NULL;
    OK(weft_context_options_init(&options, sizeof options));
    options.name = "elsewhere";
    options.process_pool = pool;
    OK(weft_context_new(NULL, WEFT_CONTEXT_PROCESS, &options, &context));
    CHECK_INT(weft_context_kind(context), WEFT_CONTEXT_PROCESS);
    return context;
}

static void execute(weft_context *context, const char *text)
{
    OK(weft_context_execute(context, NULL, NULL, NULL, NULL, text, strlen(text)));
}

TEST(a_worker_answers_again_and_again)
{
    weft_process_pool *pool = pool_new(1);
    weft_context *context = context_of(pool);
    for (int i = 0; i < 100; i++) {
        weft_bytes *reply = NULL;
        execute(context, "echo");
        OK(weft_context_wait(context, WEFT_FOREVER, &reply));
        CHECK(weft_bytes_len(reply) == 4 && memcmp(weft_bytes_data(reply), "echo", 4) == 0);
        weft_bytes_release(reply);
    }
    weft_context_release(context);
    pool_end(pool);
}

TEST(failures_and_deaths_come_out_at_the_wait)
{
    weft_process_pool *pool = pool_new(1);
    weft_context *context = context_of(pool);
    size_t len = 0;
    execute(context, "fails");
    CHECK_REFUSED(weft_context_wait(context, WEFT_FOREVER, NULL), 77, "does not like");
    const weft_error *error = weft_context_error(context);
    CHECK_HAS(weft_error_origin(error), "process ");
    CHECK_STR(weft_error_backtrace(error), "here\nthere");
    CHECK(memcmp(weft_error_payload(error, &len), "fails", 5) == 0 && len == 5);
    execute(context, "k");
    CHECK_REFUSED(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_DIED, "signal 9");
    execute(context, "e");
    OK(weft_context_wait(context, WEFT_FOREVER, NULL));
    weft_context_release(context);
    pool_end(pool);
}

/* What looks whether it is wanted ends by itself; what does not, with its worker. */
TEST(a_run_is_stopped_or_its_worker_killed)
{
    begin_pipe();
    weft_process_pool *pool = pool_new(1);
    weft_context *heeds = context_of(pool), *does_not = context_of(pool), *after = context_of(pool);
    execute(heeds, "c");
    begun(1);
    OK(weft_context_terminate(heeds, WEFT_FOREVER));
    CHECK_STATUS(weft_context_wait(heeds, 0, NULL), WEFT_CANCELLED);
    execute(does_not, "w");
    begun(1);
    OK(weft_context_terminate(does_not, 1000));
    CHECK_REFUSED(weft_context_wait(does_not, 0, NULL), WEFT_CANCELLED, "killed");
    execute(after, "e");
    OK(weft_context_wait(after, WEFT_FOREVER, NULL));
    weft_context_release(heeds);
    weft_context_release(does_not);
    weft_context_release(after);
    pool_end(pool);
}

TEST(a_pool_of_contexts_of_a_pool_of_processes)
{
    weft_process_pool *processes = pool_new(2);
    weft_context_pool *pool = NULL;
    weft_context_options options;
    weft_context *contexts[20];
    OK(weft_context_options_init(&options, sizeof options));
    options.process_pool = processes;
    OK(weft_context_pool_new(NULL, WEFT_CONTEXT_PROCESS, 0, &options, &pool));
    for (int i = 0; i < 20; i++) {
        OK(weft_context_pool_acquire(pool, NULL, &contexts[i]));
        execute(contexts[i], i % 2 ? "fails" : "echo");
    }
    CHECK_REFUSED(weft_context_pool_wait_all(pool, WEFT_FOREVER, NULL, NULL), 77, "10 of 20");
    weft_context_pool_stats stats = {.size = sizeof stats};
    OK(weft_context_pool_stats_get(pool, &stats));
    CHECK(stats.max == 2 && stats.peak <= 2 && stats.failed == 10);
    for (int i = 0; i < 20; i++)
        weft_context_release(contexts[i]);
    weft_context_pool_release(pool);
    pool_end(processes);
}

static weft_status never(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)data, (void)len, (void)reply, (void)arg;
    CHECK(!"called here");
    return WEFT_OK;
}

TEST(what_is_missing_or_too_much)
{
    weft_process_pool *pool = pool_new(1);
    weft_context *context = context_of(pool), *none = SENTINEL;
    weft_context_options options;
    CHECK_INVALID(weft_context_new(NULL, WEFT_CONTEXT_PROCESS, NULL, &none), "process_pool");
    CHECK_INVALID(weft_context_execute(context, never, NULL, NULL, NULL, NULL, 0), "fn");
    OK(weft_context_options_init(&options, sizeof options));
    options.process_pool = (weft_process_pool *)context;
    CHECK_INVALID(weft_context_new(NULL, WEFT_CONTEXT_PROCESS, &options, &none), "pool");
    CHECK(none == SENTINEL);
    pool_end(pool);
    CHECK(weft_context_execute(context, NULL, NULL, NULL, NULL, "e", 1) != WEFT_OK);
    CHECK(!weft_context_is_alive(context));
    weft_context_release(context);
}
