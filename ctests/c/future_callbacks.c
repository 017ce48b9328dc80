/* What settled futures tell: callbacks on the thread that settles, tags in a channel, a file descriptor. */
#include "support.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct pair {
    weft_promise *promise;
    weft_future *future;
};

static struct pair pair_new(void)
{
    struct pair pair = {NULL, NULL};
    OK(weft_promise_new(&pair.promise, &pair.future));
    return pair;
}

static void pair_end(struct pair pair)
{
    weft_promise_release(pair.promise);
    weft_future_release(pair.future);
}

/* ---- callbacks */

struct told {
    atomic_int calls;
    weft_future *future;
    int32_t state;
    pthread_t thread;
};

static void note(weft_future *future, void *arg)
{
    struct told *told = arg;
    told->future = future;
    told->state = weft_future_state(future);
    told->thread = pthread_self();
    told->calls++;
}

static void resolve_elsewhere(void *arg)
{
    OK(weft_promise_resolve(arg, NULL, NULL, NULL));
}

TEST(told_on_the_thread_that_settles)
{
    struct pair pair = pair_new();
    struct told told = {0};
    struct drops drops = {0};
    struct thread thread;
    weft_watch *watch = NULL;
    OK(weft_future_on_settled(pair.future, note, &told, drop_count, &drops, &watch));
    REQUIRE(watch != NULL);
    CHECK_INT(told.calls, 0);
    thread_start(&thread, resolve_elsewhere, pair.promise);
    thread_join(&thread);
    CHECK_INT(told.calls, 1);
    CHECK(told.future == pair.future);
    CHECK_INT(told.state, WEFT_FUTURE_READY);
    CHECK(!pthread_equal(told.thread, pthread_self()));
    CHECK_REFUSED(weft_watch_off(watch), WEFT_BUSY, "has run");
    CHECK_INT(drops.count, 0);
    weft_watch_release(watch);
    pair_end(pair);
}

TEST(told_at_once_when_settled_already)
{
    struct told told = {0};
    weft_future *future = NULL;
    OK(weft_future_failed(WEFT_CANCELLED, "enough", &future));
    OK(weft_future_on_settled(future, note, &told, NULL, NULL, NULL));
    CHECK_INT(told.calls, 1);
    CHECK_INT(told.state, WEFT_FUTURE_CANCELLED);
    CHECK(pthread_equal(told.thread, pthread_self()));
    weft_future_release(future);
}

TEST(taken_back)
{
    struct pair pair = pair_new();
    struct told told = {0};
    struct drops drops = {0};
    weft_watch *watch = NULL;
    OK(weft_future_on_settled(pair.future, note, &told, drop_count, &drops, &watch));
    OK(weft_watch_off(watch));
    CHECK_INT(drops.count, 1);
    CHECK(drops.last == &told);
    CHECK_REFUSED(weft_watch_off(watch), WEFT_BUSY, "taken back");
    OK(weft_promise_resolve(pair.promise, NULL, NULL, NULL));
    CHECK_INT(told.calls, 0);
    CHECK_INT(drops.count, 1);
    weft_watch_release(watch);
    pair_end(pair);
}

/* A watch that is released takes nothing back, and one that is kept keeps no value. */
TEST(watches_and_values_live_apart)
{
    struct pair pair = pair_new();
    struct told told = {0};
    struct drops drops = {0};
    weft_watch *watch = NULL;
    OK(weft_future_on_settled(pair.future, note, &told, NULL, NULL, &watch));
    CHECK(weft_watch_retain(watch) == watch);
    weft_watch_release(watch);
    OK(weft_future_on_settled(pair.future, note, &told, NULL, NULL, NULL));
    OK(weft_promise_resolve(pair.promise, &drops, drop_count, &drops));
    CHECK_INT(told.calls, 2);
    pair_end(pair);
    CHECK_INT(drops.count, 1);
    CHECK_STATUS(weft_watch_off(watch), WEFT_BUSY);
    weft_watch_release(watch);
}

/* The callback has a reference: the future can be released before it is settled. */
TEST(a_callback_keeps_its_future)
{
    struct pair pair = pair_new();
    struct told told = {0};
    void *value = NULL;
    OK(weft_future_on_settled(pair.future, note, &told, NULL, NULL, NULL));
    CHECK_REFUSED(weft_future_take(pair.future, 0, &value), WEFT_BUSY, "references");
    weft_future_release(pair.future);
    OK(weft_promise_resolve(pair.promise, NULL, NULL, NULL));
    CHECK_INT(told.calls, 1);
    weft_promise_release(pair.promise);
}

struct self {
    weft_watch *watch;
    weft_status off;
};

static void off_myself(weft_future *future, void *arg)
{
    struct self *self = arg;
    (void)future;
    self->off = weft_watch_off(self->watch);
}

TEST(a_callback_knows_its_watch)
{
    struct pair pair = pair_new();
    struct self before = {NULL, WEFT_OK}, after = {NULL, WEFT_OK};
    OK(weft_future_on_settled(pair.future, off_myself, &before, NULL, NULL, &before.watch));
    OK(weft_promise_resolve(pair.promise, NULL, NULL, NULL));
    CHECK_INT(before.off, WEFT_BUSY);
    OK(weft_future_on_settled(pair.future, off_myself, &after, NULL, NULL, &after.watch));
    CHECK_INT(after.off, WEFT_BUSY);
    weft_watch_release(before.watch);
    weft_watch_release(after.watch);
    pair_end(pair);
}

/* ---- everything may be called from within */

struct within {
    weft_promise *next;
    weft_future *other;
    weft_channel *channel;
    int order[4];
    int told;
};

static void last_of_within(weft_future *future, void *arg)
{
    struct within *within = arg;
    (void)future;
    within->order[within->told++] = 2;
}

static void within(weft_future *future, void *arg)
{
    struct within *within = arg;
    struct drops drops = {0};
    weft_watch *watch = NULL;
    weft_future *made = NULL;
    void *value = NULL;
    size_t index = 9;
    int fd = -1;
    within->order[within->told++] = 1;
    /* Told after this one. */
    OK(weft_future_on_settled(future, last_of_within, within, NULL, NULL, NULL));
    OK(weft_promise_resolve(within->next, NULL, NULL, NULL));
    CHECK_INT(within->told, 1);
    OK(weft_future_wait(future, WEFT_FOREVER));
    OK(weft_future_get(future, 0, &value));
    CHECK_STATUS(weft_future_take(future, 0, &value), WEFT_BUSY);
    weft_future_release(weft_future_retain(future));
    weft_future_cancel(future);
    OK(weft_future_on_settled(within->other, last_of_within, within, drop_count, &drops, &watch));
    OK(weft_watch_off(watch));
    CHECK_INT(drops.count, 1);
    weft_watch_release(watch);
    OK(weft_future_notify(future, within->channel, 7));
    OK(weft_future_fd(future, &fd));
    OK(weft_future_race(&future, 1, &made));
    OK(weft_future_winner(made, &index));
    CHECK_INT(index, 0);
    weft_future_release(made);
}

TEST(everything_from_within_a_callback)
{
    struct pair first = pair_new(), second = pair_new(), other = pair_new();
    struct within w = {.next = second.promise, .other = other.future, .channel = channel_new(8, WEFT_UNBOUNDED)};
    OK(weft_future_on_settled(first.future, within, &w, NULL, NULL, NULL));
    OK(weft_future_on_settled(second.future, last_of_within, &w, NULL, NULL, NULL));
    OK(weft_promise_resolve(first.promise, NULL, NULL, NULL));
    CHECK_INT(w.told, 3);
    CHECK(w.order[0] == 1 && w.order[1] == 2 && w.order[2] == 2);
    CHECK_INT(weft_channel_len(w.channel), 1);
    weft_channel_release(w.channel);
    pair_end(first);
    pair_end(second);
    pair_end(other);
}

/* ---- a chain of any length: callbacks that settle the next future, and values that are futures */

struct link {
    weft_promise *promise;
    struct link *next;
};

static void pass_on(weft_future *future, void *arg)
{
    struct link *link = arg;
    (void)future;
    OK(weft_promise_resolve(link->promise, NULL, NULL, NULL));
}

static void release_future(void *ctx, void *value)
{
    (void)ctx;
    weft_future_release(value);
}

TEST(a_long_chain_of_callbacks)
{
    size_t length = under_a_tool() ? 20000 : 1000000;
    struct link *links = calloc(length, sizeof *links);
    struct pair first = pair_new();
    weft_future *last = weft_future_retain(first.future);
    REQUIRE(links != NULL);
    for (size_t i = 0; i < length; i++) {
        weft_future *next = NULL;
        OK(weft_promise_new(&links[i].promise, &next));
        OK(weft_future_on_settled(last, pass_on, &links[i], NULL, NULL, NULL));
        weft_future_release(last);
        last = next;
    }
    OK(weft_promise_resolve(first.promise, NULL, NULL, NULL));
    OK(weft_future_wait(last, 0));
    weft_future_release(last);
    for (size_t i = 0; i < length; i++)
        weft_promise_release(links[i].promise);
    free(links);
    pair_end(first);
}

TEST(a_long_chain_of_values)
{
    size_t length = under_a_tool() ? 20000 : 1000000;
    weft_future *last = NULL;
    OK(weft_future_ready(NULL, NULL, NULL, &last));
    for (size_t i = 0; i < length; i++)
        OK(weft_future_ready(last, release_future, NULL, &last));
    weft_future_release(last);
}

/* ---- taking back against settling */

struct race {
    struct pair pairs[100];
    weft_watch *watches[100];
    struct told told[100];
    struct drops drops[100];
    weft_status off[100];
};

static void settle_or_off(size_t index, void *arg)
{
    struct race *race = arg;
    for (int i = 0; i < 100; i++) {
        if (index == 0)
            OK(weft_promise_resolve(race->pairs[i].promise, NULL, NULL, NULL));
        else
            race->off[i] = weft_watch_off(race->watches[i]);
    }
}

TEST(taken_back_while_settled)
{
    int rounds = under_a_tool() ? 3 : 30;
    for (int round = 0; round < rounds; round++) {
        struct race *race = calloc(1, sizeof *race);
        REQUIRE(race != NULL);
        for (int i = 0; i < 100; i++) {
            race->pairs[i] = pair_new();
            OK(weft_future_on_settled(race->pairs[i].future, note, &race->told[i], drop_count, &race->drops[i],
                                      &race->watches[i]));
        }
        threads_together(2, settle_or_off, race);
        for (int i = 0; i < 100; i++) {
            bool off = race->off[i] == WEFT_OK;
            CHECK(off || race->off[i] == WEFT_BUSY);
            CHECK_INT(race->told[i].calls, !off);
            CHECK_INT(race->drops[i].count, off);
            weft_watch_release(race->watches[i]);
            pair_end(race->pairs[i]);
        }
        free(race);
    }
}

/* ---- one channel for any number of futures */

TEST(tags_of_settled_futures)
{
    struct pair pairs[3];
    uint64_t tag = 0;
    weft_channel *channel = channel_new(8, WEFT_UNBOUNDED);
    for (int i = 0; i < 3; i++) {
        pairs[i] = pair_new();
        OK(weft_future_notify(pairs[i].future, channel, (uint64_t)i));
    }
    OK(weft_promise_reject(pairs[1].promise, WEFT_FAILED, NULL, NULL));
    weft_promise_release(pairs[2].promise);
    OK(weft_channel_recv(channel, &tag, 0));
    CHECK_INT(tag, 1);
    OK(weft_channel_recv(channel, &tag, 0));
    CHECK_INT(tag, 2);
    CHECK_STATUS(weft_channel_recv(channel, &tag, 0), WEFT_WOULD_BLOCK);
    OK(weft_future_notify(pairs[1].future, channel, UINT64_MAX));
    OK(weft_channel_recv(channel, &tag, 0));
    CHECK(tag == UINT64_MAX);
    /* Closed, and released by everybody else: the tag goes nowhere. */
    weft_channel_close(channel);
    weft_channel_release(channel);
    OK(weft_promise_resolve(pairs[0].promise, NULL, NULL, NULL));
    pair_end(pairs[0]);
    pair_end(pairs[1]);
    weft_future_release(pairs[2].future);
}

/* ---- a file descriptor */

static bool readable(int fd)
{
    struct pollfd poll_fd = {fd, POLLIN, 0};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN) != 0;
}

TEST(a_descriptor_is_readable_once_settled)
{
    struct pair pair = pair_new();
    struct thread thread;
    struct pollfd poll_fd = {-1, POLLIN, 0};
    int again = -1;
    OK(weft_future_fd(pair.future, &poll_fd.fd));
    OK(weft_future_fd(pair.future, &again));
    CHECK_INT(again, poll_fd.fd);
    CHECK(!readable(again));
    thread_start(&thread, resolve_elsewhere, pair.promise);
    CHECK_INT(poll(&poll_fd, 1, -1), 1);
    OK(weft_future_wait(pair.future, 0));
    CHECK(readable(again) && readable(again));
    thread_join(&thread);
    pair_end(pair);
    CHECK_INT(poll(&poll_fd, 1, 0), 1);
    CHECK((poll_fd.revents & POLLNVAL) != 0);
}
