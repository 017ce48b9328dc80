/* What runs inside weft_breaker: listeners that come and go while others bring about changes, and callbacks that fork. */
#include "support.h"

#include <sys/wait.h>
#include <unistd.h>

static weft_breaker_options defaults(void)
{
    weft_breaker_options options;
    OK(weft_breaker_options_init(&options, sizeof options));
    return options;
}

static weft_breaker *breaker_new(const weft_breaker_options *options)
{
    weft_breaker *breaker = NULL;
    OK(weft_breaker_new(options, &breaker));
    REQUIRE(breaker != NULL);
    return breaker;
}

/* ---- listeners among threads */

struct listener {
    struct hive *hive;
    atomic_bool running, gone;
    uint64_t last;
};

struct hive {
    weft_breaker *breaker;
    atomic_uint_fast64_t told, added, dropped, wrong, forced;
};

static void hum(const weft_breaker_event *event, void *arg)
{
    struct listener *listener = arg;
    struct hive *hive = listener->hive;
    if (listener->gone || listener->running || event->generation <= listener->last)
        hive->wrong++;
    listener->running = true;
    listener->last = event->generation;
    hive->told++;
    if (event->generation % 16 == 0 && hive->forced++ < 50)
        OK(weft_breaker_force(hive->breaker, WEFT_BREAKER_HALF_OPEN)); /* told after this one */
    listener->running = false;
}

static void hum_ends(void *ctx, void *arg)
{
    struct listener *listener = arg;
    if (ctx != listener->hive || listener->running || listener->gone)
        listener->hive->wrong++;
    listener->gone = true;
    listener->hive->dropped++;
}

#define BEES 4
#define FLIGHTS 200

static struct listener listeners[BEES][FLIGHTS];

static void come_and_go(size_t index, void *arg)
{
    struct hive *hive = arg;
    for (int i = 0; i < FLIGHTS; i++) {
        struct listener *listener = &listeners[index][i];
        weft_watch *watch = NULL;
        weft_permit permit;
        *listener = (struct listener){.hive = hive};
        OK(weft_breaker_on_change(hive->breaker, hum, listener, hum_ends, hive, i % 3 == 0 ? NULL : &watch));
        hive->added++;
        if (weft_breaker_acquire(hive->breaker, &permit) == WEFT_OK)
            OK(weft_breaker_record(hive->breaker, &permit, i % 2 ? WEFT_OUTCOME_FAIL : WEFT_OUTCOME_OK));
        OK(weft_breaker_force(hive->breaker, i % 6));
        weft_breaker_stats stats = {.size = sizeof stats};
        OK(weft_breaker_stats_get(hive->breaker, &stats));
        if (watch) {
            weft_status status = weft_watch_off(watch);
            CHECK(status == WEFT_OK || status == WEFT_BUSY);
            if (status == WEFT_OK)
                CHECK(listener->gone);
            CHECK_STATUS(weft_watch_off(watch), WEFT_BUSY);
            weft_watch_release(watch);
        }
    }
}

TEST(listeners_come_and_go_among_threads)
{
    weft_breaker_options options = defaults();
    options.consecutive = 1;
    options.probes = 2;
    struct hive hive = {.breaker = breaker_new(&options)};
    threads_together(BEES, come_and_go, &hive);
    CHECK(hive.told > 0);
    weft_breaker_release(hive.breaker);
    CHECK_INT(hive.added, BEES * FLIGHTS);
    CHECK_INT(hive.dropped, BEES * FLIGHTS);
    CHECK_INT(hive.wrong, 0);
}

/* ---- forks */

struct split {
    weft_breaker *breaker;
    atomic_int told;
    pid_t child;
};

static void fork_in_listener(const weft_breaker_event *event, void *arg)
{
    struct split *split = arg;
    (void)event;
    if (split->told++ == 0)
        REQUIRE((split->child = fork()) >= 0);
}

static void told_after(const weft_breaker_event *event, void *arg)
{
    struct split *split = arg;
    (void)event;
    split->told++;
}

static weft_status busy(weft_worker *worker, void *arg, void **result)
{
    (void)worker, (void)arg, (void)result;
    return WEFT_BUSY;
}

static int32_t fork_in_predicate(weft_status status, void *arg)
{
    struct split *split = arg;
    (void)status;
    REQUIRE((split->child = fork()) >= 0);
    return WEFT_OUTCOME_FAIL;
}

static void child_is_well(pid_t child)
{
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What comes after the callback in which a child was forked is the parent's: it may hold locks. */
CHILD_WITHOUT_LEAK_CHECK(callbacks_fork)
{
    struct split first = {.breaker = breaker_new(NULL)}, second = {.breaker = first.breaker};
    OK(weft_breaker_on_change(first.breaker, fork_in_listener, &first, NULL, NULL, NULL));
    OK(weft_breaker_on_change(first.breaker, told_after, &second, NULL, NULL, NULL));
    OK(weft_breaker_force(first.breaker, WEFT_BREAKER_DISABLED));
    if (first.child == 0)
        _exit(second.told != 0 || weft_breaker_get_state(first.breaker) != -1);
    child_is_well(first.child);
    CHECK_INT(second.told, 1);
    OK(weft_breaker_force(first.breaker, WEFT_BREAKER_CLOSED));
    CHECK_INT(second.told, 2);
    weft_breaker_release(first.breaker);

    weft_breaker_options options = defaults();
    options.outcome = fork_in_predicate;
    options.outcome_arg = &first;
    options.consecutive = 1;
    second = (struct split){.breaker = breaker_new(&options)};
    OK(weft_breaker_on_change(second.breaker, told_after, &second, NULL, NULL, NULL));
    CHECK_STATUS(weft_breaker_call(second.breaker, busy, NULL, NULL), WEFT_BUSY);
    if (first.child == 0)
        _exit(second.told != 0);
    child_is_well(first.child);
    CHECK_INT(second.told, 1);
    CHECK_INT(weft_breaker_get_state(second.breaker), WEFT_BREAKER_OPEN);
    weft_breaker_release(second.breaker);
}

TEST(a_child_that_was_forked_in_a_callback_goes_on_alone)
{
    child_succeeds("callbacks_fork");
}
