/* What a forked child may do with the things of its parent that wait, and are waited for: every function answers at once, with
 * WEFT_FORKED or the neutral value that its comment names, though other threads of the parent held and waited for them; and
 * with things of its own everything works after weft_after_fork. See fork.c for the rest.
 */
#include "inherited.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void live_in_the_child(void *arg)
{
    struct inherited *all = arg;
    for (int turn = 0; turn < 2; turn++) {
        inherited_answer_forked(all);
        if (turn == 0)
            new_things_are_refused();
        OK(weft_after_fork());
        own_things_work();
        mixed_answer_forked(all);
    }
    CHECK_INT(atomic_load(&all->settled), 0);
    CHECK_INT(tally_count(&all->told.calls), 0);
    CHECK_INT(all->drops.count, 0);
    forget(all);
}

CHILD_WITHOUT_LEAK_CHECK(waits_are_inherited)
{
    struct inherited *all = everything();
    in_forked_child(live_in_the_child, all);
    still_work(all);
    end_all(all);
}

TEST(what_waits_answers_forked) { child_succeeds("waits_are_inherited"); }

/* ---- a fork inside a poll task, whose waker the child inherits while it is called */

static void in_a_forked_poll(void *arg)
{
    const weft_waker *waker = arg;
    CHECK_NULL(weft_waker_clone(waker), "fork");
    CHECK_NULL(weft_thread_self(), "fork");
    OK(weft_after_fork());
    CHECK_NULL(weft_waker_clone(waker), "fork");
    own_things_work();
}

static weft_status fork_in_a_poll(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    (void)worker;
    (void)state;
    (void)result;
    in_forked_child(in_a_forked_poll, (void *)(uintptr_t)waker);
    return WEFT_OK;
}

CHILD_WITHOUT_LEAK_CHECK(forks_in_a_poll_task)
{
    weft_runtime *runtime = runtime_new(2);
    weft_future *future = NULL;
    OK(weft_spawn_poll(runtime, fork_in_a_poll, NULL, NULL, &future));
    OK(weft_future_wait(future, WEFT_FOREVER));
    weft_future_release(future);
    runtime_end(runtime);
}

TEST(a_fork_inside_a_poll_task) { child_succeeds("forks_in_a_poll_task"); }

static weft_status fork_in_a_call(weft_worker *worker, void *arg, void **result)
{
    int status = 0;
    pid_t pid = fork();
    (void)worker;
    (void)arg;
    (void)result;
    REQUIRE(pid >= 0);
    if (pid == 0)
        return WEFT_OK;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 70);
    return WEFT_OK;
}

/* The only thread runs the call where it waits for it. */
static void wait_for_a_fork(weft_worker *worker, void *arg)
{
    pid_t here = getpid();
    weft_future *future = NULL;
    (void)arg;
    OK(weft_async(weft_worker_runtime(worker), fork_in_a_call, NULL, NULL, &future));
    weft_status status = weft_future_wait(future, WEFT_FOREVER);
    if (getpid() != here)
        _exit(71);
    OK(status);
    weft_future_release(future);
}

CHILD_WITHOUT_LEAK_CHECK(returns_to_who_waits_twice)
{
    weft_runtime *runtime = runtime_new(1);
    OK(weft_run(runtime, wait_for_a_fork, NULL));
    runtime_end(runtime);
}

TEST(a_child_does_not_return_to_who_waits) { child_succeeds("returns_to_who_waits_twice"); }

/* ---- a fork inside a callback of a future, with others of the parent's behind it */

static void in_a_forked_callback(void *arg)
{
    (void)arg;
    OK(weft_after_fork());
    own_things_work();
}

static void fork_here(weft_future *future, void *arg)
{
    (void)future;
    in_forked_child(in_a_forked_callback, NULL);
    atomic_fetch_add((atomic_int *)arg, 1);
}

CHILD_WITHOUT_LEAK_CHECK(forks_in_a_callback)
{
    weft_promise *promise = NULL;
    weft_future *future = NULL;
    atomic_int told = 0;
    OK(weft_promise_new(&promise, &future));
    OK(weft_future_on_settled(future, fork_here, &told, NULL, NULL, NULL));
    OK(weft_future_on_settled(future, settled, &told, NULL, NULL, NULL));
    OK(weft_promise_resolve(promise, NULL, NULL, NULL));
    CHECK_INT(told, 2);
    weft_promise_release(promise);
    weft_future_release(future);
}

TEST(a_fork_inside_a_callback) { child_succeeds("forks_in_a_callback"); }

struct twice {
    pid_t pid;
    atomic_int told;
};

static void fork_and_return(weft_future *future, void *arg)
{
    struct twice *twice = arg;
    (void)future;
    twice->pid = fork();
    REQUIRE(twice->pid >= 0);
}

/* A child that returns from the callback goes on behind the call that settled; what else that was to tell is its parent's. */
CHILD_WITHOUT_LEAK_CHECK(returns_from_a_callback_twice)
{
    weft_promise *promise = NULL;
    weft_future *future = NULL, *own = NULL;
    struct twice twice = {-1, 0};
    OK(weft_promise_new(&promise, &future));
    OK(weft_future_on_settled(future, fork_and_return, &twice, NULL, NULL, NULL));
    OK(weft_future_on_settled(future, settled, &twice.told, NULL, NULL, NULL));
    CHECK_STATUS(weft_promise_resolve(promise, NULL, NULL, NULL), WEFT_OK);
    if (twice.pid == 0) {
        CHECK_INT(twice.told, 0);
        CHECK_FORKED(weft_future_wait(future, WEFT_FOREVER));
        OK(weft_after_fork());
        OK(weft_future_ready(NULL, NULL, NULL, &own));
        OK(weft_future_on_settled(own, settled, &twice.told, NULL, NULL, NULL));
        CHECK_INT(twice.told, 1);
        own_things_work();
        weft_future_release(own);
        _exit(harness_failures() == 0 ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(twice.pid, &status, 0) == twice.pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_INT(twice.told, 1);
    weft_promise_release(promise);
    weft_future_release(future);
}

TEST(a_child_that_returns_from_a_callback) { child_succeeds("returns_from_a_callback_twice"); }

/* ---- forks while others wait and are woken. Not under AddressSanitizer, for the reason that fork.c gives. */
#ifndef __SANITIZE_ADDRESS__

struct load {
    struct inherited *all;
    weft_channel *busy;
    atomic_int stop;
};

static void keep_selecting(void *arg)
{
    struct load *load = arg;
    uint64_t element = 1;
    size_t fired, count;
    weft_select_case cases[] = {
        {.op = WEFT_SELECT_RECV, .handle = load->busy, .elem = &element},
        {.op = WEFT_SELECT_SEND, .handle = load->busy, .elem = &element},
        {.op = WEFT_SELECT_FUTURE, .handle = load->all->future},
    };
    while (atomic_load(&load->stop) == 0) {
        weft_select(cases, 3, 1000, &fired);
        weft_channel_send_batch(load->busy, &element, 1, 0, &count);
        weft_thread_interrupt(load->all->thread);
    }
}

static void keep_settling(void *arg)
{
    struct load *load = arg;
    while (atomic_load(&load->stop) == 0) {
        weft_future *future = NULL, *timeout = NULL;
        weft_promise *promise = NULL;
        atomic_int told = 0;
        struct told ready = TOLD_INIT;
        struct drops drops = {0};
        OK(weft_promise_new(&promise, &future));
        OK(weft_future_timeout(future, INT64_C(3600000000000), &timeout));
        OK(weft_future_on_settled(timeout, settled, &told, NULL, NULL, NULL));
        weft_watch *watch = watch_new(load->all->ends.one, READS, &ready, &drops);
        OK(weft_promise_resolve(promise, NULL, NULL, NULL));
        OK(weft_future_wait(timeout, WEFT_FOREVER));
        OK(weft_watch_off(watch));
        CHECK_INT(drops.count, 1);
        weft_watch_release(watch);
        weft_waker_wake(load->all->pollers[0].waker);
        weft_promise_release(promise);
        weft_future_release(future);
        weft_future_release(timeout);
    }
}

static void short_life(void *arg)
{
    struct load *load = arg;
    inherited_answer_forked(load->all);
    OK(weft_after_fork());
    own_things_work();
    mixed_answer_forked(load->all);
    forget(load->all);
}

CHILD_WITHOUT_LEAK_CHECK(forks_under_load)
{
    struct load load = {everything(), channel_new(8, 1), 0};
    struct thread threads[3];
    thread_start(&threads[0], keep_selecting, &load);
    thread_start(&threads[1], keep_selecting, &load);
    thread_start(&threads[2], keep_settling, &load);
    for (int i = 0; i < (under_a_tool() ? 5 : 30); i++)
        in_forked_child(short_life, &load);
    atomic_store(&load.stop, 1);
    for (int i = 0; i < 3; i++)
        thread_join(&threads[i]);
    /* An interrupt may be left. */
    weft_sleep(1);
    weft_channel_release(load.busy);
    still_work(load.all);
    end_all(load.all);
}

TEST(forks_while_others_wait) { child_succeeds("forks_under_load"); }
#endif
