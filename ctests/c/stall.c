/* Stalls: more tasks wait than there may be threads, and what would let them go on has yet to come. That is told at once, and
 * whoever is told can bring it.
 */
#include "support.h"

#include <string.h>

struct stalled {
    weft_channel *channel;
    size_t tasks;
    struct tally told, done;
    atomic_int calls;
    weft_stall first;
    char message[256];
    bool sends;
};

static void receive(weft_worker *worker, void *arg)
{
    struct stalled *stalled = arg;
    uint64_t element;
    (void)worker;
    OK(weft_channel_recv(stalled->channel, &element, WEFT_FOREVER));
    tally_add(&stalled->done, 1);
}

static void send_all(struct stalled *stalled)
{
    for (uint64_t i = 0; i < stalled->tasks; i++)
        OK(weft_channel_send(stalled->channel, &i, WEFT_FOREVER));
}

static void note_stall(const weft_stall *stall, void *arg)
{
    struct stalled *stalled = arg;
    CHECK(weft_worker_current() == NULL);
    CHECK(stall->size >= sizeof *stall);
    CHECK(runtime_stats(stall->runtime).stalls >= stall->number);
    /* Others follow while the elements come one by one. */
    if (atomic_fetch_add(&stalled->calls, 1) > 0)
        return;
    stalled->first = *stall;
    strncpy(stalled->message, stall->message, sizeof stalled->message - 1);
    tally_add(&stalled->told, 1);
    if (stalled->sends)
        send_all(stalled);
}

static weft_runtime *runtime_with_ceiling(int32_t max_threads, weft_stall_fn on_stall, void *arg)
{
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = 2;
    options.max_threads = max_threads;
    options.on_stall = on_stall;
    options.hook_arg = arg;
    OK(weft_runtime_new(&options, &runtime));
    return runtime;
}

static void many_receivers(size_t tasks, int32_t max_threads, bool sent_by_the_callback)
{
    struct stalled stalled = {.channel = channel_new(8, 100), .tasks = tasks, .told = TALLY_INIT, .done = TALLY_INIT,
                              .sends = sent_by_the_callback};
    weft_runtime *runtime = runtime_with_ceiling(max_threads, note_stall, &stalled);
    int32_t most = max_threads == 0 ? 256 : max_threads;
    for (size_t i = 0; i < tasks; i++)
        OK(weft_spawn(runtime, receive, &stalled));
    if (!sent_by_the_callback) {
        /* Nobody else will let them go on, and they say so without being asked. */
        tally_wait(&stalled.told, 1);
        CHECK_INT(tally_count(&stalled.done), 0);
        CHECK_INT(runtime_stats(runtime).blocked, most);
        send_all(&stalled);
    }
    tally_wait(&stalled.done, tasks);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK_INT(stats.executed, tasks);
    CHECK_INT(stats.threads_peak, most);
    CHECK(stats.stalls >= 1 && stats.ceiling_hits >= stats.stalls);
    CHECK(stalled.calls >= 1 && (uint64_t)stalled.calls <= stats.stalls);
    CHECK_INT(stalled.first.number, 1);
    CHECK_INT(stalled.first.threads, most);
    CHECK_INT(stalled.first.blocked, most);
    CHECK_INT(stalled.first.max_threads, most);
    CHECK(stalled.first.queued >= 1 && stalled.first.queued <= tasks - (size_t)most);
    CHECK_HAS(stalled.message, "max_threads");
    weft_runtime_release(runtime);
    weft_channel_release(stalled.channel);
}

TEST(ten_thousand_receivers_before_their_sender) { many_receivers(under_a_tool() ? 500 : 10000, under_a_tool() ? 20 : 0, false); }
TEST(the_callback_sends_what_they_wait_for) { many_receivers(under_a_tool() ? 500 : 10000, under_a_tool() ? 20 : 0, true); }
TEST(two_threads_and_a_thousand_receivers) { many_receivers(under_a_tool() ? 100 : 1000, 2, true); }

/* ---- nobody is told of what is no stall */

static void never_told(const weft_stall *stall, void *arg)
{
    (void)stall;
    (void)arg;
    CHECK(!"told of a stall");
}

struct pair {
    weft_channel *channel;
    gate waits;
};

static void wait_without_work(weft_worker *worker, void *arg)
{
    struct pair *pair = arg;
    uint64_t element;
    (void)worker;
    gate_open(&pair->waits);
    OK(weft_channel_recv(pair->channel, &element, WEFT_FOREVER));
}

TEST(blocked_threads_without_queued_work_are_no_stall)
{
    struct pair pair = {channel_new(8, 0), GATE_INIT};
    weft_runtime *runtime = runtime_with_ceiling(2, never_told, NULL);
    uint64_t element = 1;
    OK(weft_spawn(runtime, wait_without_work, &pair));
    OK(weft_spawn(runtime, wait_without_work, &pair));
    tally_wait(&pair.waits, 2);
    OK(weft_channel_send(pair.channel, &element, WEFT_FOREVER));
    OK(weft_channel_send(pair.channel, &element, WEFT_FOREVER));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(runtime_stats(runtime).stalls, 0);
    weft_runtime_release(runtime);
    weft_channel_release(pair.channel);
}

/* ---- the callback may do what it likes */

static void end_the_runtime(const weft_stall *stall, void *arg)
{
    struct stalled *stalled = arg;
    weft_channel_close(stalled->channel);
    OK(weft_runtime_shutdown(stall->runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    tally_add(&stalled->told, 1);
}

static void receive_or_not(weft_worker *worker, void *arg)
{
    struct stalled *stalled = arg;
    uint64_t element;
    (void)worker;
    CHECK_STATUS(weft_channel_recv(stalled->channel, &element, WEFT_FOREVER), WEFT_CLOSED);
    tally_add(&stalled->done, 1);
}

static void crowd_in(weft_worker *worker, void *arg)
{
    for (int i = 0; i < 10; i++)
        OK(weft_spawn(weft_worker_runtime(worker), receive_or_not, arg));
}

TEST(the_callback_may_close_and_shut_down)
{
    struct stalled stalled = {.channel = channel_new(8, 1), .told = TALLY_INIT, .done = TALLY_INIT};
    weft_runtime *runtime = runtime_with_ceiling(3, end_the_runtime, &stalled);
    OK(weft_spawn(runtime, crowd_in, &stalled));
    tally_wait(&stalled.told, 1);
    CHECK_INT(tally_count(&stalled.done), 10);
    CHECK_INT(runtime_stats(runtime).threads, 0);
    runtime_end(runtime);
    weft_channel_release(stalled.channel);
}

/* A runtime that is released while its callback runs ends when that returns. */
static void release_inside(const weft_stall *stall, void *arg)
{
    struct stalled *stalled = arg;
    weft_runtime *mine = weft_runtime_retain(stall->runtime);
    CHECK(mine == stall->runtime);
    tally_add(&stalled->told, 1);
    weft_channel_close(stalled->channel);
    tally_wait(&stalled->done, 10);
    weft_runtime_release(mine);
    tally_add(&stalled->told, 1);
}

/* Nobody waits for the end of such a runtime, so its threads may outlive the test: a child of its own. */
CHILD_WITHOUT_LEAK_CHECK(releases_inside)
{
    struct stalled stalled = {.channel = channel_new(8, 1), .told = TALLY_INIT, .done = TALLY_INIT};
    weft_runtime *runtime = runtime_with_ceiling(3, release_inside, &stalled);
    OK(weft_spawn(runtime, crowd_in, &stalled));
    tally_wait(&stalled.told, 1);
    weft_runtime_release(runtime);
    tally_wait(&stalled.told, 2);
    weft_channel_release(stalled.channel);
}

TEST(the_last_release_may_be_the_callbacks) { child_succeeds("releases_inside"); }
