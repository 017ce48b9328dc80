/* What a forked child may do with what it inherited: nothing, politely; and what it may do after weft_after_fork: everything.
 *
 * Each case is a program of its own that makes objects, forks, and waits for its child; the child counts its own checks.
 */
#include "support.h"

struct inherited {
    weft_runtime *runtime;
    weft_channel *channel;
    weft_promise *promise;
    weft_future *future;
    weft_future *failed;
    weft_bytes *bytes;
    weft_topology *topology;
};

static void nothing(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
}

static void count(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static weft_status one(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    *result = arg;
    return WEFT_OK;
}

static weft_status no_range(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    (void)worker;
    (void)begin;
    (void)end;
    (void)arg;
    return WEFT_OK;
}

static weft_status no_fold(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    (void)acc;
    return no_range(worker, begin, end, arg);
}

static weft_status no_combine(weft_worker *worker, void *into, void *from, void *arg)
{
    (void)worker;
    (void)into;
    (void)from;
    (void)arg;
    return WEFT_OK;
}

static void log_nothing(const weft_log_record *record, void *arg)
{
    (void)record;
    (void)arg;
}

static struct inherited everything(void)
{
    struct inherited all = {.runtime = runtime_new(2), .channel = channel_new(8, 4)};
    weft_promise *promise = NULL;
    uint64_t element = 1;
    OK(weft_promise_new(&all.promise, &all.future));
    OK(weft_promise_new(&promise, &all.failed));
    OK(weft_promise_reject(promise, WEFT_FAILED, "as arranged", NULL));
    weft_promise_release(promise);
    OK(weft_bytes_new("bytes", 5, &all.bytes));
    OK(weft_topology_from_string("core:2 pu:1", &all.topology));
    OK(weft_channel_send(all.channel, &element, 0));
    OK(weft_run(all.runtime, nothing, NULL));
    return all;
}

static void forget(struct inherited *all)
{
    weft_channel_release(all->channel);
    weft_promise_release(all->promise);
    weft_future_release(all->future);
    weft_future_release(all->failed);
    weft_bytes_release(all->bytes);
    weft_topology_release(all->topology);
}

#define CHECK_FORKED(call) CHECK_REFUSED(call, WEFT_FORKED, "fork")

static void inherited_statuses(struct inherited *all)
{
    weft_runtime_stats stats = {.size = sizeof stats};
    weft_future *future = SENTINEL;
    void *value = SENTINEL;
    uint64_t element = 7, zero = 0, out = 9;

    CHECK_FORKED(weft_runtime_shutdown(all->runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_FORKED(weft_runtime_stats_get(all->runtime, &stats));
    weft_worker_stats worker_stats = {.size = sizeof worker_stats};
    CHECK_FORKED(weft_runtime_worker_stats_get(all->runtime, 0, &worker_stats));
    CHECK_INT(worker_stats.executed, 0);
    CHECK_FORKED(weft_topology_refresh(all->runtime));
    CHECK_FORKED(weft_runtime_run(all->runtime, WEFT_RUN_UNTIL_IDLE));
    CHECK_FORKED(weft_runtime_lend(all->runtime, WEFT_FOREVER));
    CHECK_FORKED(weft_runtime_resize(all->runtime, 1));
    CHECK_FORKED(weft_spawn(all->runtime, nothing, NULL));
    CHECK_FORKED(weft_spawn_with(all->runtime, nothing, NULL, NULL));
    CHECK_FORKED(weft_async(all->runtime, one, NULL, NULL, &future));
    CHECK_FORKED(weft_run(all->runtime, nothing, NULL));
    CHECK_FORKED(weft_for(all->runtime, 0, 10, no_range, NULL, NULL, NULL));
    CHECK_FORKED(weft_reduce(all->runtime, 0, 10, 8, &zero, no_fold, no_combine, NULL, NULL, &out));
    CHECK_FORKED(weft_promise_resolve(all->promise, NULL, NULL, NULL));
    CHECK_FORKED(weft_promise_reject(all->promise, WEFT_FAILED, NULL, NULL));
    CHECK_FORKED(weft_future_wait(all->future, WEFT_FOREVER));
    CHECK_FORKED(weft_future_get(all->future, WEFT_FOREVER, &value));
    CHECK_FORKED(weft_future_take(all->future, WEFT_FOREVER, &value));
    CHECK_FORKED(weft_future_get(all->failed, 0, &value));
    CHECK_FORKED(weft_channel_send(all->channel, &element, WEFT_FOREVER));
    CHECK_FORKED(weft_channel_recv(all->channel, &element, WEFT_FOREVER));
    CHECK(future == SENTINEL && value == SENTINEL);
    CHECK_INT(element, 7);
    CHECK_INT(out, 9);
    CHECK_INT(stats.spawned, 0);
}

static void inherited_values(struct inherited *all)
{
    CHECK_NEUTRAL(weft_runtime_workers(all->runtime), -1, "fork");
    CHECK_NEUTRAL(weft_runtime_kind(all->runtime), -1, "fork");
    CHECK_NULL(weft_runtime_retain(all->runtime), "fork");
    CHECK_NEUTRAL(weft_future_state(all->future), -1, "fork");
    CHECK_NULL(weft_future_error(all->failed), "fork");
    CHECK_NULL(weft_future_retain(all->future), "fork");
    CHECK_NULL(weft_promise_retain(all->promise), "fork");
    CHECK_NEUTRAL(weft_channel_len(all->channel), 0, "fork");
    CHECK_NEUTRAL(weft_channel_capacity(all->channel), 0, "fork");
    CHECK_NEUTRAL(weft_channel_is_closed(all->channel), true, "fork");
    CHECK_NULL(weft_channel_retain(all->channel), "fork");
    weft_channel_close(all->channel);
    CHECK_NULL(weft_bytes_data(all->bytes), "fork");
    CHECK_NEUTRAL(weft_bytes_len(all->bytes), 0, "fork");
    CHECK_NULL(weft_bytes_retain(all->bytes), "fork");
    CHECK_NEUTRAL(weft_topology_cpus(all->topology), 0, "fork");
    CHECK_NEUTRAL(weft_topology_cores(all->topology), 0, "fork");
    CHECK_NEUTRAL(weft_topology_nodes(all->topology), 0, "fork");
    weft_topology_cpu cpu = {.size = sizeof cpu};
    CHECK_FORKED(weft_topology_cpu_get(all->topology, 0, &cpu));
    CHECK_NEUTRAL(weft_topology_distance(all->topology, 0, 0), 0, "fork");
    CHECK_NULL(weft_topology_retain(all->topology), "fork");
}

static void new_objects_are_refused(void)
{
    weft_runtime *runtime = SENTINEL;
    weft_channel *channel = SENTINEL;
    weft_promise *promise = SENTINEL;
    weft_future *future = SENTINEL;
    weft_bytes *bytes = SENTINEL;
    weft_topology *topology = SENTINEL;
    CHECK_FORKED(weft_runtime_new(NULL, &runtime));
    CHECK_FORKED(weft_runtime_configure_default(NULL));
    CHECK_FORKED(weft_spawn(NULL, nothing, NULL));
    CHECK_FORKED(weft_async(NULL, one, NULL, NULL, &future));
    CHECK_FORKED(weft_run(NULL, nothing, NULL));
    CHECK_FORKED(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, 0));
    CHECK_NEUTRAL(weft_runtime_workers(NULL), -1, "fork");
    CHECK_FORKED(weft_channel_new(NULL, &channel));
    CHECK_FORKED(weft_promise_new(&promise, &future));
    CHECK_FORKED(weft_bytes_new("x", 1, &bytes));
    CHECK_FORKED(weft_bytes_adopt(&bytes, 1, NULL, NULL, &bytes));
    CHECK_FORKED(weft_topology_new(&topology));
    CHECK_FORKED(weft_topology_from_string("core:1 pu:1", &topology));
    CHECK_FORKED(weft_log_set(log_nothing, NULL, WEFT_LOG_WARN));
    weft_log_record record = {.size = sizeof record};
    CHECK_FORKED(weft_log_next(&record, WEFT_FOREVER));
    CHECK(runtime == SENTINEL && channel == SENTINEL && promise == SENTINEL && future == SENTINEL);
    CHECK(bytes == SENTINEL && topology == SENTINEL);
}

static void new_objects_work(void)
{
    atomic_int ran = 0;
    uint64_t element = 5, got = 0;
    struct inherited all = everything();
    weft_future *future = NULL;
    void *value = NULL;
    OK(weft_async(all.runtime, one, &ran, NULL, &future));
    OK(weft_future_take(future, WEFT_FOREVER, &value));
    CHECK(value == &ran);
    weft_future_release(future);
    OK(weft_channel_send(all.channel, &element, 0));
    OK(weft_channel_recv(all.channel, &got, 0));
    CHECK_INT(got, 1);
    for (int i = 0; i < 100; i++)
        OK(weft_spawn(all.runtime, count, &ran));
    runtime_end(all.runtime);
    OK(weft_run(NULL, count, &ran));
    CHECK_INT(ran, 101);
    forget(&all);
}

static void live_in_the_child(void *arg)
{
    struct inherited *all = arg;
    inherited_statuses(all);
    inherited_values(all);
    new_objects_are_refused();
    CHECK_STATUS(weft_after_fork(), WEFT_OK);
    CHECK_STATUS(weft_after_fork(), WEFT_OK);
    new_objects_work();
    /* For ever: also now that new objects are made, in the places of none of the old. */
    inherited_statuses(all);
    inherited_values(all);
    forget(all);
    weft_runtime_release(all->runtime);
    OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
}

static void parent_is_unharmed(struct inherited *all)
{
    void *value = NULL;
    uint64_t element = 0;
    atomic_int ran = 0;
    OK(weft_run(all->runtime, count, &ran));
    CHECK_INT(ran, 1);
    CHECK_INT(weft_channel_len(all->channel), 1);
    OK(weft_channel_recv(all->channel, &element, 0));
    CHECK_INT(element, 1);
    OK(weft_promise_resolve(all->promise, all, NULL, NULL));
    OK(weft_future_get(all->future, 0, &value));
    CHECK(value == all);
    CHECK_INT(weft_bytes_len(all->bytes), 5);
    CHECK_INT(weft_topology_cpus(all->topology), 2);
    forget(all);
    runtime_end(all->runtime);
}

CHILD_WITHOUT_LEAK_CHECK(inherited_handles)
{
    struct inherited all = everything();
    in_forked_child(live_in_the_child, &all);
    parent_is_unharmed(&all);
}

TEST(inherited_handles_answer_forked) { child_succeeds("inherited_handles"); }

/* ---- a child that does nothing with the library, and one that only leaves */

static void do_nothing(void *arg)
{
    (void)arg;
}

CHILD_WITHOUT_LEAK_CHECK(default_runtime_running)
{
    atomic_int ran = 0;
    OK(weft_run(NULL, count, &ran));
    in_forked_child(do_nothing, NULL);
    OK(weft_run(NULL, count, &ran));
    CHECK_INT(ran, 2);
}

/* The exit hook of the parent's default runtime runs in the child, where its threads do not exist. */
TEST(a_child_that_just_exits) { child_succeeds("default_runtime_running"); }

/* ---- the parent never used the library before the fork: nothing was inherited */

static void use_the_library(void *arg)
{
    (void)arg;
    OK(weft_after_fork());
    new_objects_work();
    OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
}

CHILD_WITHOUT_LEAK_CHECK(fork_before_first_use)
{
    in_forked_child(use_the_library, NULL);
    new_objects_work();
}

TEST(a_fork_before_the_first_use) { child_succeeds("fork_before_first_use"); }

/* ---- children of children */

static void grandchild(void *arg)
{
    struct inherited *all = arg;
    CHECK_FORKED(weft_channel_recv(all[0].channel, &(uint64_t){0}, 0));
    CHECK_FORKED(weft_channel_recv(all[1].channel, &(uint64_t){0}, 0));
    new_objects_are_refused();
    OK(weft_after_fork());
    new_objects_work();
    CHECK_FORKED(weft_channel_recv(all[0].channel, &(uint64_t){0}, 0));
    CHECK_FORKED(weft_channel_recv(all[1].channel, &(uint64_t){0}, 0));
}

static void fork_again(void *arg)
{
    struct inherited *all = arg;
    OK(weft_after_fork());
    all[1] = everything();
    in_forked_child(grandchild, all);
    parent_is_unharmed(&all[1]);
}

CHILD_WITHOUT_LEAK_CHECK(generations)
{
    struct inherited all[2] = {everything()};
    in_forked_child(fork_again, all);
    parent_is_unharmed(&all[0]);
}

TEST(children_of_children) { child_succeeds("generations"); }

/* ---- forks while the library is at work: whatever lock is held just then, the child must not meet it
 *
 * Not under AddressSanitizer: its own child does meet one, that of the quarantine of freed memory (Drain in
 * sanitizer_quarantine.h), which it does not take before a fork. One child in some hundreds waits for it when its threads end.
 */
#ifndef __SANITIZE_ADDRESS__

struct work {
    weft_runtime *runtime;
    weft_channel *channel;
    atomic_int stop;
};

static void keep_spawning(weft_worker *worker, void *arg)
{
    struct work *work = arg;
    uint64_t element = 1;
    weft_channel_send(work->channel, &element, 0);
    if (!atomic_load(&work->stop))
        OK(weft_spawn(weft_worker_runtime(worker), keep_spawning, work));
}

static void keep_allocating(void *arg)
{
    struct work *work = arg;
    while (!atomic_load(&work->stop)) {
        weft_channel *channel = channel_new(8, WEFT_UNBOUNDED);
        uint64_t element = 1;
        OK(weft_channel_send(channel, &element, 0));
        weft_channel_recv(work->channel, &element, 0);
        weft_channel_release(channel);
    }
}

static void short_life(void *arg)
{
    struct work *work = arg;
    CHECK_FORKED(weft_spawn(work->runtime, nothing, NULL));
    weft_runtime_release(work->runtime);
    weft_channel_release(work->channel);
    OK(weft_after_fork());
    new_objects_work();
}

CHILD_WITHOUT_LEAK_CHECK(forks_under_load)
{
    struct work work = {runtime_new(2), channel_new(8, 100), 0};
    struct thread thread;
    for (int i = 0; i < 4; i++)
        OK(weft_spawn(work.runtime, keep_spawning, &work));
    thread_start(&thread, keep_allocating, &work);
    for (int i = 0; i < (under_a_tool() ? 10 : 30); i++)
        in_forked_child(short_life, &work);
    atomic_store(&work.stop, 1);
    thread_join(&thread);
    runtime_end(work.runtime);
    weft_channel_release(work.channel);
}

TEST(forks_while_everything_works) { child_succeeds("forks_under_load"); }
#endif

/* ---- a fork from inside a task: the child's only thread was a worker, and is none any more */

struct forked_task {
    weft_runtime *runtime;
    weft_worker *worker;
};

/* A child goes by no token of its parent's, and by those that it enters. */
static void tokens_work(void)
{
    weft_cancel_token *token = NULL;
    weft_channel *channel = channel_new(8, 1);
    uint64_t element = 0;
    CHECK(!weft_cancelled(NULL));
    CHECK_STATUS(weft_channel_recv(channel, &element, 1), WEFT_TIMEOUT);
    OK(weft_cancel_token_new(NULL, &token));
    OK(weft_cancel_token_enter(token));
    OK(weft_cancel_token_trigger(token, NULL));
    CHECK_STATUS(weft_channel_recv(channel, &element, WEFT_FOREVER), WEFT_CANCELLED);
    OK(weft_cancel_token_leave(token));
    CHECK_STATUS(weft_channel_recv(channel, &element, 1), WEFT_TIMEOUT);
    weft_cancel_token_release(token);
    weft_channel_release(channel);
}

static void with_tokens(void *arg)
{
    CHECK_FORKED(weft_cancel_token_leave(arg));
    OK(weft_after_fork());
    tokens_work();
}

CHILD_WITHOUT_LEAK_CHECK(fork_with_a_token)
{
    weft_cancel_token *token = NULL;
    OK(weft_cancel_token_new(NULL, &token));
    OK(weft_cancel_token_enter(token));
    OK(weft_cancel_token_trigger(token, "the parent's"));
    in_forked_child(with_tokens, token);
    CHECK(weft_cancelled(NULL));
    OK(weft_cancel_token_leave(token));
    weft_cancel_token_release(token);
}

TEST(a_child_goes_by_no_token_of_its_parents) { child_succeeds("fork_with_a_token"); }

static void in_a_forked_task(void *arg)
{
    struct forked_task *task = arg;
    for (int i = 0; i < 2; i++) {
        CHECK(weft_worker_current() == NULL);
        CHECK_FORKED(weft_spawn(task->runtime, nothing, NULL));
        CHECK_FORKED(weft_join(task->worker, nothing, NULL, nothing, NULL));
        CHECK_INVALID(weft_join(NULL, nothing, NULL, nothing, NULL), "worker");
        CHECK_NULL(weft_worker_runtime(task->worker), "fork");
        CHECK_NEUTRAL(weft_worker_index(task->worker), -1, "fork");
        OK(weft_after_fork());
    }
    new_objects_work();
    tokens_work();
    OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
}

static void fork_here(weft_worker *worker, void *arg)
{
    struct forked_task task = {arg, worker};
    CHECK(weft_worker_runtime(worker) == arg);
    in_forked_child(in_a_forked_task, &task);
}

CHILD_WITHOUT_LEAK_CHECK(fork_in_a_task)
{
    weft_runtime *runtime = runtime_new(2);
    OK(weft_run(runtime, fork_here, runtime));
    runtime_end(runtime);
}

TEST(a_fork_inside_a_task) { child_succeeds("fork_in_a_task"); }

/* ---- the log: a child's is silent and can be set */

static void count_records(const weft_log_record *record, void *arg)
{
    (void)record;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void set_log_in_child(void *arg)
{
    OK(weft_after_fork());
    OK(weft_log_set(count_records, arg, WEFT_LOG_DEBUG));
    new_objects_work();
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
}

CHILD_WITHOUT_LEAK_CHECK(log_and_fork)
{
    atomic_int records = 0;
    OK(weft_log_set(count_records, &records, WEFT_LOG_DEBUG));
    struct inherited all = everything();
    in_forked_child(set_log_in_child, &records);
    in_forked_child(do_nothing, NULL);
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
    parent_is_unharmed(&all);
}

TEST(the_log_across_a_fork) { child_succeeds("log_and_fork"); }
