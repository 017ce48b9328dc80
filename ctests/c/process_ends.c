/* Process pools: sizes, limits, and how they end. */
#include "processes.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(a_pool_that_has_never_been_used_ends)
{
    for (int i = 0; i < 10; i++)
        pool_end(pool_new(3));
    for (int i = 0; i < 10; i++)
        weft_process_pool_release(pool_new(3));
}

TEST(draining_finishes_what_there_is)
{
    weft_process_pool *pool = pool_new(2);
    weft_future *futures[50], *none = SENTINEL;
    for (int i = 0; i < 50; i++)
        futures[i] = call(pool, "ehello", 6);
    OK(weft_process_pool_drain(pool, WEFT_FOREVER));
    for (int i = 0; i < 50; i++)
        CHECK_INT(weft_future_state(futures[i]), WEFT_FUTURE_READY), answers(futures[i], "ehello", 6);
    CHECK_STATUS(weft_process_pool_call(pool, "e", 1, NULL, &none), WEFT_CLOSED);
    CHECK_STATUS(weft_process_pool_resize(pool, 2), WEFT_CLOSED);
    CHECK(none == SENTINEL);
    OK(weft_process_pool_drain(pool, 0));
    pool_end(pool);
    no_children();
}

TEST(what_is_open_when_the_time_is_over_fails)
{
    begin_pipe();
    weft_process_pool *pool = pool_new(1);
    weft_future *first = ask(pool, WAITS), *second = call(pool, "ebehind", 7);
    begun(1);
    CHECK_STATUS(weft_process_pool_drain(pool, 10000000), WEFT_TIMEOUT);
    fails(first, WEFT_SHUTDOWN, "ended");
    fails(second, WEFT_SHUTDOWN, "ended");
    CHECK_INT(pool_stats(pool).closed, 2);
    pool_end(pool);
    no_children();
}

/* Neither SIGTERM nor a word reaches a worker that is stopped. */
TEST(a_worker_that_does_not_leave_is_killed)
{
    weft_process_pool_options options = pool_options(1);
    options.grace_ns = 20000000;
    weft_process_pool *pool = pool_with(&options);
    pid_t pid = pid_of(pool);
    CHECK(kill(pid, SIGSTOP) == 0);
    pool_end(pool);
    no_children();
}

TEST(release_ends_what_is_open)
{
    begin_pipe();
    weft_process_pool *pool = pool_new(2);
    weft_future *first = ask(pool, WAITS), *second = ask(pool, WAITS), *third = call(pool, "ebehind", 7);
    begun(2);
    weft_process_pool_release(pool);
    fails(first, WEFT_SHUTDOWN, "ended");
    fails(second, WEFT_SHUTDOWN, "ended");
    fails(third, WEFT_SHUTDOWN, "ended");
}

static void drain(void *pool)
{
    CHECK_STATUS(weft_process_pool_drain(pool, WEFT_FOREVER), WEFT_OK);
}

/* Many callers, workers that die, and then the end: each call has one outcome. */
struct storm {
    weft_process_pool *pool;
    atomic_int made, answered, died, closed;
};

static void storm(size_t index, void *arg)
{
    struct storm *storm = arg;
    for (int i = 0; i < 400; i++) {
        weft_future *future = NULL;
        char what = (i + (int)index) % 37 == 0 ? KILLED : ECHO;
        weft_status status = weft_process_pool_call(storm->pool, &what, 1, NULL, &future);
        if (status == WEFT_CLOSED)
            break;
        OK(status);
        storm->made++;
        void *value;
        status = weft_future_get(future, WEFT_FOREVER, &value);
        storm->answered += status == WEFT_OK;
        storm->died += status == WEFT_DIED;
        storm->closed += status == WEFT_SHUTDOWN;
        weft_future_release(future);
        if (storm->made == 60 && weft_process_pool_drain(storm->pool, 0) == WEFT_OK)
            break;
    }
}

TEST(draining_in_a_storm)
{
    for (int round = 0; round < (under_a_tool() ? 1 : 5); round++) {
        struct storm all = {.pool = pool_new(2)};
        threads_together(4, storm, &all);
        CHECK_INT(all.made, all.answered + all.died + all.closed);
        pool_end(all.pool);
        no_children();
    }
}

TEST(a_pool_grows_and_shrinks)
{
    begin_pipe();
    weft_process_pool *pool = pool_new(1);
    weft_future *busy[3];
    busy[0] = ask(pool, STOPS);
    begun(1);
    OK(weft_process_pool_resize(pool, 3));
    busy[1] = ask(pool, STOPS), busy[2] = ask(pool, STOPS);
    begun(2);
    /* One of them has to go, when it has finished. */
    OK(weft_process_pool_resize(pool, 1));
    CHECK_INT(pool_stats(pool).workers, 1);
    for (int i = 0; i < 3; i++) {
        weft_future_cancel(busy[i]);
        fails(busy[i], WEFT_CANCELLED, "it has stopped");
    }
    POOL_UNTIL(pool, stats, stats.left == 2);
    CHECK_INT(pool_stats(pool).ready, 1);
    OK(weft_process_pool_resize(pool, 2));
    POOL_UNTIL(pool, stats, stats.ready == 2);
    for (int i = 0; i < 20; i++)
        answers(call(pool, "ehello", 6), "ehello", 6);
    for (uint32_t i = 0; i < 50; i++)
        OK(weft_process_pool_resize(pool, 1 + i % 4));
    answers(call(pool, "ehello", 6), "ehello", 6);
    pool_end(pool);
    no_children();
}

TEST(workers_are_replaced_after_so_many_calls)
{
    for (uint32_t window = 1; window <= 4; window += 3) {
        weft_process_pool_options options = pool_options(1);
        options.window = window;
        options.max_calls = 5;
        weft_process_pool *pool = pool_with(&options);
        weft_future *futures[20];
        for (int i = 0; i < 20; i++)
            futures[i] = call(pool, "ehello", 6);
        for (int i = 0; i < 20; i++)
            answers(futures[i], "ehello", 6);
        pid_t last = 0;
        for (int i = 0; i < 10; i++) {
            pid_t pid = pid_of(pool);
            CHECK(i % 5 == 0 ? pid != last : pid == last);
            last = pid;
        }
        weft_process_pool_stats stats = pool_stats(pool);
        CHECK(stats.deaths == 0 && stats.succeeded == 30);
        pool_end(pool);
        no_children();
    }
}

TEST(a_worker_that_grows_too_large_is_killed_at_work)
{
    if (under_a_tool())
        return; /* Its own memory is more than ours. */
    weft_process_pool_options options = pool_options(1);
    options.max_rss = 64 << 20;
    weft_process_pool *pool = pool_with(&options);
    char grows[2] = {GROWS, 100};
    weft_future *future = call(pool, grows, 2);
    fails(future, WEFT_DIED, "more than the 64 MiB it may (max_rss)");
    answers(call(pool, "ehello", 6), "ehello", 6);
    /* One that does so and has answered costs nothing. */
    pid_t pid = pid_of(pool);
    grows[0] = GROWN;
    weft_future_release(call(pool, grows, 2));
    CHECK(pid_of(pool) != pid);
    pool_end(pool);
    no_children();
}

TEST(as_many_calls_wait_as_may)
{
    begin_pipe();
    weft_process_pool_options options = pool_options(1);
    options.max_waiting = 2;
    weft_process_pool *pool = pool_with(&options);
    weft_future *busy = ask(pool, STOPS), *waiting[2], *none = SENTINEL;
    begun(1);
    waiting[0] = call(pool, "e", 1), waiting[1] = call(pool, "e", 1);
    CHECK_STATUS(weft_process_pool_call(pool, "e", 1, NULL, &none), WEFT_REJECTED);
    CHECK(none == SENTINEL);
    weft_future_cancel(waiting[0]);
    fails(waiting[0], WEFT_CANCELLED, "before");
    waiting[0] = call(pool, "e", 1);
    weft_future_cancel(busy);
    fails(busy, WEFT_CANCELLED, "it has stopped");
    answers(waiting[0], "e", 1);
    answers(waiting[1], "e", 1);
    pool_end(pool);
}

TEST(nothing_is_left_open)
{
    begin_pipe();
    /* What the library keeps for ever is made by the first. */
    pool_end(pool_new(1));
    size_t before = descriptors_open();
    for (int i = 0; i < 5; i++) {
        weft_process_pool *pool = pool_new(3);
        fails(ask(pool, KILLED), WEFT_DIED, "signal 9");
        answers(call(pool, "ehello", 6), "ehello", 6);
        pool_end(pool);
    }
    CHECK_INT(descriptors_open(), before);
    no_children();
}

TEST(pools_do_not_meet)
{
    weft_process_pool *pools[2] = {pool_new(1), pool_new(1)};
    pid_t mine = pid_of(pools[0]), other = pid_of(pools[1]);
    CHECK(mine != other);
    fails(ask(pools[0], KILLED), WEFT_DIED, "signal 9");
    CHECK(pid_of(pools[0]) != mine);
    CHECK_INT(pid_of(pools[1]), other);
    struct thread thread;
    thread_start(&thread, drain, pools[0]);
    answers(call(pools[1], "ehello", 6), "ehello", 6);
    thread_join(&thread);
    answers(call(pools[1], "ehello", 6), "ehello", 6);
    pool_end(pools[0]);
    pool_end(pools[1]);
}

/* The process of a pool dies: its workers do not outlive it. */
CHILD_WITHOUT_LEAK_CHECK(has_a_pool_and_dies)
{
    begin_pipe();
    weft_process_pool *pool = pool_new(2);
    pid_t pids[2];
    weft_future *busy = call(pool, "i", 1);
    void *value;
    OK(weft_future_get(busy, WEFT_FOREVER, &value));
    memcpy(pids, weft_bytes_data(value), sizeof *pids);
    weft_future_release(ask(pool, WAITS));
    weft_future_release(ask(pool, WAITS));
    begun(2);
    /* The test has the reading end of this pipe, and the workers the other one, as long as they live. */
    kill(getpid(), SIGKILL);
}

TEST(workers_die_with_the_pools_process)
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t pid = child_start("has_a_pool_and_dies", -1);
    int status = child_end(pid);
    close(ends[1]);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    char byte;
    CHECK(read(ends[0], &byte, 1) == 0);
    close(ends[0]);
}

static void drain_in_callback(weft_future *future, void *arg)
{
    (void)future;
    CHECK_STATUS(weft_process_pool_drain(arg, WEFT_FOREVER), WEFT_DEADLOCK);
}

TEST(a_callback_cannot_wait_for_its_own_thread)
{
    begin_pipe();
    weft_process_pool *pool = pool_new(1);
    weft_future *future = ask(pool, STOPS);
    begun(1);
    OK(weft_future_on_settled(future, drain_in_callback, pool, NULL, NULL, NULL));
    weft_future_cancel(future);
    fails(future, WEFT_CANCELLED, "it has stopped");
    pool_end(pool);
}

static void use_inherited(void *arg)
{
    weft_process_pool *pool = arg;
    weft_future *future = SENTINEL;
    weft_process_pool_stats stats = {.size = sizeof stats};
    CHECK_STATUS(weft_process_pool_call(pool, "e", 1, NULL, &future), WEFT_FORKED);
    CHECK_STATUS(weft_process_pool_drain(pool, WEFT_FOREVER), WEFT_FORKED);
    CHECK_STATUS(weft_process_pool_resize(pool, 2), WEFT_FORKED);
    CHECK_STATUS(weft_process_pool_stats_get(pool, &stats), WEFT_FORKED);
    weft_process_pool_release(pool);
    OK(weft_after_fork());
    pool_end(pool_new(1));
    /* What the parent's attendants had on their stacks is lost here, which is no leak. */
    fflush(NULL);
    _exit(harness_failures() == 0 ? 0 : 1);
}

TEST(a_forked_child_has_no_pool)
{
    weft_process_pool *pool = pool_new(1);
    answers(call(pool, "ehello", 6), "ehello", 6);
    in_forked_child(use_inherited, pool);
    answers(call(pool, "ehello", 6), "ehello", 6);
    pool_end(pool);
}
