/* Promises and futures: settled once, read by many, taken by one, dropped once. */
#include "support.h"

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
    REQUIRE(pair.promise != NULL && pair.future != NULL);
    return pair;
}

static void pair_end(struct pair pair)
{
    weft_promise_release(pair.promise);
    weft_future_release(pair.future);
}

TEST(pending)
{
    struct pair pair = pair_new();
    void *value = SENTINEL;
    CHECK_INT(weft_future_state(pair.future), WEFT_FUTURE_PENDING);
    CHECK(weft_future_error(pair.future) == NULL);
    CHECK_STATUS(weft_future_wait(pair.future, 0), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_future_wait(pair.future, -1), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_future_wait(pair.future, INT64_MIN), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_future_wait(pair.future, 1), WEFT_TIMEOUT);
    CHECK_STATUS(weft_future_get(pair.future, 0, &value), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_future_get(pair.future, 1000000, &value), WEFT_TIMEOUT);
    CHECK_STATUS(weft_future_take(pair.future, 0, &value), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_future_take(pair.future, 1000000, &value), WEFT_TIMEOUT);
    CHECK(value == SENTINEL);
    pair_end(pair);
}

TEST(a_timeout_is_not_early)
{
    struct pair pair = pair_new();
    int64_t deadline = weft_deadline(20000000);
    CHECK_STATUS(weft_future_wait(pair.future, 20000000), WEFT_TIMEOUT);
    CHECK(weft_now() >= deadline);
    pair_end(pair);
}

TEST(resolved)
{
    struct pair pair = pair_new();
    struct drops drops = {0};
    void *value = NULL;
    OK(weft_promise_resolve(pair.promise, &drops, drop_count, &drops));
    CHECK_INT(weft_future_state(pair.future), WEFT_FUTURE_READY);
    CHECK(weft_future_error(pair.future) == NULL);
    OK(weft_future_wait(pair.future, 0));
    OK(weft_future_wait(pair.future, WEFT_FOREVER));
    for (int i = 0; i < 3; i++) {
        value = NULL;
        OK(weft_future_get(pair.future, i == 0 ? 0 : WEFT_FOREVER, &value));
        CHECK(value == &drops);
    }
    CHECK_INT(drops.count, 0);
    weft_promise_release(pair.promise);
    CHECK_INT(drops.count, 0);
    weft_future_release(pair.future);
    CHECK_INT(drops.count, 1);
    CHECK(drops.last == &drops);
}

TEST(null_is_a_value)
{
    struct pair pair = pair_new();
    void *value = SENTINEL;
    OK(weft_promise_resolve(pair.promise, NULL, NULL, NULL));
    OK(weft_future_get(pair.future, 0, &value));
    CHECK(value == NULL);
    value = SENTINEL;
    OK(weft_future_take(pair.future, 0, &value));
    CHECK(value == NULL);
    pair_end(pair);
}

/* A drop is called for NULL as for any value: whoever gave it knows what NULL means. */
TEST(a_drop_of_null)
{
    struct pair pair = pair_new();
    struct drops drops = {0};
    OK(weft_promise_resolve(pair.promise, NULL, drop_count, &drops));
    pair_end(pair);
    CHECK_INT(drops.count, 1);
    CHECK(drops.last == NULL);
}

TEST(taken)
{
    struct pair pair = pair_new();
    struct drops drops = {0};
    void *value = NULL;
    OK(weft_promise_resolve(pair.promise, &drops, drop_count, &drops));
    OK(weft_future_take(pair.future, 0, &value));
    CHECK(value == &drops);
    CHECK_INT(weft_future_state(pair.future), WEFT_FUTURE_READY);
    value = SENTINEL;
    CHECK_REFUSED(weft_future_take(pair.future, 0, &value), WEFT_BUSY, "taken");
    CHECK_REFUSED(weft_future_get(pair.future, 0, &value), WEFT_BUSY, "taken");
    CHECK(value == SENTINEL);
    OK(weft_future_wait(pair.future, 0));
    pair_end(pair);
    CHECK_INT(drops.count, 0);
}

TEST(only_the_sole_reference_takes)
{
    struct pair pair = pair_new();
    struct drops drops = {0};
    void *value = SENTINEL;
    CHECK(weft_future_retain(pair.future) == pair.future);
    CHECK_REFUSED(weft_future_take(pair.future, 0, &value), WEFT_BUSY, "references");
    OK(weft_promise_resolve(pair.promise, &drops, drop_count, &drops));
    CHECK_REFUSED(weft_future_take(pair.future, WEFT_FOREVER, &value), WEFT_BUSY, "references");
    CHECK(value == SENTINEL);
    weft_future_release(pair.future);
    OK(weft_future_take(pair.future, 0, &value));
    CHECK(value == &drops);
    pair_end(pair);
    CHECK_INT(drops.count, 0);
}

TEST(settled_once)
{
    struct pair pair = pair_new();
    struct drops first = {0}, second = {0};
    void *value = NULL;
    OK(weft_promise_resolve(pair.promise, &first, drop_count, &first));
    CHECK_REFUSED(weft_promise_resolve(pair.promise, &second, drop_count, &second), WEFT_BUSY, "settled");
    CHECK_REFUSED(weft_promise_reject(pair.promise, WEFT_FAILED, "too late", NULL), WEFT_BUSY, "settled");
    CHECK_INT(second.count, 0);
    OK(weft_future_get(pair.future, 0, &value));
    CHECK(value == &first);
    pair_end(pair);
    CHECK_INT(first.count, 1);
    CHECK_INT(second.count, 0);

    pair = pair_new();
    OK(weft_promise_reject(pair.promise, WEFT_FAILED, "first", NULL));
    CHECK_REFUSED(weft_promise_reject(pair.promise, WEFT_TIMEOUT, "second", NULL), WEFT_BUSY, "settled");
    CHECK_REFUSED(weft_promise_resolve(pair.promise, &second, drop_count, &second), WEFT_BUSY, "settled");
    CHECK_STR(weft_error_text(weft_future_error(pair.future)), "first");
    pair_end(pair);
    CHECK_INT(second.count, 0);
}

TEST(settled_after_the_future_has_gone)
{
    struct pair pair = pair_new();
    struct drops drops = {0};
    weft_future_release(pair.future);
    OK(weft_promise_resolve(pair.promise, &drops, drop_count, &drops));
    CHECK_STATUS(weft_promise_resolve(pair.promise, &drops, drop_count, &drops), WEFT_BUSY);
    weft_promise_release(pair.promise);
    CHECK_INT(drops.count, 1);
}

/* ---- failures */

TEST(rejected)
{
    struct pair pair = pair_new();
    struct drops drops = {0};
    char message[] = "no such picture";
    weft_bytes *payload = NULL;
    void *value = SENTINEL;
    size_t len = 0;
    OK(weft_bytes_adopt(strdup("serialised exception"), 20, drop_free, &drops, &payload));
    OK(weft_promise_reject(pair.promise, WEFT_NOT_FOUND, message, payload));
    memset(message, '?', sizeof message);
    weft_bytes_release(payload);
    CHECK_INT(drops.count, 0);

    CHECK_INT(weft_future_state(pair.future), WEFT_FUTURE_FAILED);
    OK(weft_future_wait(pair.future, 0));
    CHECK_REFUSED(weft_future_get(pair.future, 0, &value), WEFT_NOT_FOUND, "no such picture");
    CHECK_REFUSED(weft_future_take(pair.future, 0, &value), WEFT_NOT_FOUND, "no such picture");
    CHECK(value == SENTINEL);
    const weft_error *error = weft_future_error(pair.future);
    REQUIRE(error != NULL);
    CHECK_STATUS(weft_error_status(error), WEFT_NOT_FOUND);
    CHECK_STR(weft_error_text(error), "no such picture");
    CHECK_STR(weft_error_origin(error), "promise");
    const char *data = weft_error_payload(error, &len);
    REQUIRE(data != NULL && len == 20);
    CHECK(memcmp(data, "serialised exception", 20) == 0);
    CHECK(weft_error_payload(error, NULL) == data);

    weft_promise_release(pair.promise);
    CHECK_STR(weft_error_text(error), "no such picture");
    CHECK_INT(drops.count, 0);
    weft_future_release(pair.future);
    CHECK_INT(drops.count, 1);
}

TEST(rejected_without_words)
{
    struct pair pair = pair_new();
    size_t len = 5;
    OK(weft_promise_reject(pair.promise, WEFT_TIMEOUT, NULL, NULL));
    const weft_error *error = weft_future_error(pair.future);
    CHECK_STR(weft_error_text(error), "timeout");
    CHECK(weft_error_payload(error, &len) == NULL);
    CHECK_INT(len, 0);
    CHECK_REFUSED(weft_future_get(pair.future, 0, &(void *){NULL}), WEFT_TIMEOUT, "timeout");
    pair_end(pair);
}

TEST(rejected_with_a_number_of_ones_own)
{
    static const weft_status numbers[] = {-1, 1234, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct pair pair = pair_new();
        void *value = SENTINEL;
        OK(weft_promise_reject(pair.promise, numbers[i], "own", NULL));
        CHECK_STATUS(weft_future_get(pair.future, 0, &value), numbers[i]);
        CHECK_STATUS(weft_error_status(weft_future_error(pair.future)), numbers[i]);
        pair_end(pair);
    }
}

TEST(ok_is_no_failure)
{
    struct pair pair = pair_new();
    CHECK_INVALID(weft_promise_reject(pair.promise, WEFT_OK, "fine", NULL), "status");
    CHECK_INT(weft_future_state(pair.future), WEFT_FUTURE_PENDING);
    OK(weft_promise_resolve(pair.promise, NULL, NULL, NULL));
    pair_end(pair);
}

TEST(broken)
{
    struct pair pair = pair_new();
    void *value = SENTINEL;
    CHECK(weft_promise_retain(pair.promise) == pair.promise);
    weft_promise_release(pair.promise);
    CHECK_INT(weft_future_state(pair.future), WEFT_FUTURE_PENDING);
    weft_promise_release(pair.promise);
    CHECK_INT(weft_future_state(pair.future), WEFT_FUTURE_FAILED);
    CHECK_REFUSED(weft_future_get(pair.future, WEFT_FOREVER, &value), WEFT_BROKEN, "promise");
    CHECK(value == SENTINEL);
    CHECK_STATUS(weft_error_status(weft_future_error(pair.future)), WEFT_BROKEN);
    CHECK_STR(weft_error_origin(weft_future_error(pair.future)), "promise");
    weft_future_release(pair.future);
}

/* ---- several threads */

struct audience {
    struct pair pair;
    atomic_int seen;
    gate begun;
    void *value;
};

static void watch(size_t index, void *arg)
{
    struct audience *audience = arg;
    void *value = NULL;
    if (index == 0) {
        OK(weft_promise_resolve(audience->pair.promise, audience->value, NULL, NULL));
        return;
    }
    if (index % 2 == 0)
        OK(weft_future_wait(audience->pair.future, WEFT_FOREVER));
    OK(weft_future_get(audience->pair.future, WEFT_FOREVER, &value));
    CHECK(value == audience->value);
    /* What was written before the promise was settled is seen after the wait. */
    CHECK_INT(*(int *)value, 42);
    atomic_fetch_add(&audience->seen, 1);
}

TEST(everyone_who_waits_is_woken)
{
    for (int round = 0; round < 200; round++) {
        int answer = 0;
        struct audience audience = {.pair = pair_new(), .value = &answer};
        answer = 42;
        threads_together(5, watch, &audience);
        CHECK_INT(audience.seen, 4);
        pair_end(audience.pair);
    }
}

struct rivals {
    struct pair pair;
    atomic_int winners;
    struct drops drops;
};

static void settle(size_t index, void *arg)
{
    struct rivals *rivals = arg;
    weft_status status = index % 2 == 0 ? weft_promise_resolve(rivals->pair.promise, rivals, drop_count, &rivals->drops)
                                        : weft_promise_reject(rivals->pair.promise, WEFT_FAILED, "reject won", NULL);
    CHECK(status == WEFT_OK || status == WEFT_BUSY);
    if (status == WEFT_OK)
        atomic_fetch_add(&rivals->winners, 1);
}

TEST(one_of_many_settles)
{
    for (int round = 0; round < 200; round++) {
        struct rivals rivals = {.pair = pair_new()};
        threads_together(4, settle, &rivals);
        CHECK_INT(rivals.winners, 1);
        bool ready = weft_future_state(rivals.pair.future) == WEFT_FUTURE_READY;
        pair_end(rivals.pair);
        CHECK_INT(rivals.drops.count, ready ? 1 : 0);
    }
}

static void wait_with_any_patience(size_t index, void *arg)
{
    static const int64_t patience[] = {0, 1, 10000, 1000000, WEFT_FOREVER};
    struct audience *audience = arg;
    if (index == 0) {
        weft_promise_release(audience->pair.promise);
        return;
    }
    for (int i = 0; i < 50; i++) {
        int64_t timeout = patience[(index + (size_t)i) % 5];
        weft_status status = weft_future_wait(audience->pair.future, timeout);
        CHECK(status == WEFT_OK || (status == WEFT_TIMEOUT && timeout > 0 && timeout < WEFT_FOREVER) ||
              (status == WEFT_WOULD_BLOCK && timeout == 0));
        if (status == WEFT_OK)
            CHECK_INT(weft_future_state(audience->pair.future), WEFT_FUTURE_FAILED);
    }
}

/* Waits that time out while the promise breaks: nobody misses it, nobody hangs, no frame is written after it has gone. */
TEST(timeouts_meet_the_end)
{
    for (int round = 0; round < 100; round++) {
        struct audience audience = {.pair = pair_new()};
        threads_together(5, wait_with_any_patience, &audience);
        weft_future_release(audience.pair.future);
    }
}

static void hold_and_release(size_t index, void *arg)
{
    struct audience *audience = arg;
    (void)index;
    for (int i = 0; i < 500; i++) {
        weft_future *mine = weft_future_retain(audience->pair.future);
        CHECK_INT(weft_future_state(mine), WEFT_FUTURE_READY);
        weft_future_release(mine);
    }
    weft_future_release(audience->pair.future);
}

TEST(the_last_of_many_references_drops)
{
    struct drops drops = {0};
    struct audience audience = {.pair = pair_new()};
    OK(weft_promise_resolve(audience.pair.promise, malloc(16), drop_free, &drops));
    weft_promise_release(audience.pair.promise);
    for (int i = 0; i < 3; i++)
        weft_future_retain(audience.pair.future);
    threads_together(4, hold_and_release, &audience);
    CHECK_INT(drops.count, 1);
}

struct takers {
    struct audience audience;
    atomic_int taken;
};

static void take_or_release(size_t index, void *arg)
{
    struct takers *takers = arg;
    void *value = SENTINEL;
    (void)index;
    weft_status status = weft_future_take(takers->audience.pair.future, 0, &value);
    CHECK(status == WEFT_OK || status == WEFT_BUSY);
    if (status == WEFT_OK) {
        atomic_fetch_add(&takers->taken, 1);
        free(value);
    } else {
        CHECK(value == SENTINEL);
    }
    weft_future_release(takers->audience.pair.future);
}

/* Everyone has a reference and tries to take: the value is the last one's, or nobody's and dropped; never two people's. */
TEST(many_try_to_take)
{
    for (int round = 0; round < 300; round++) {
        struct drops drops = {0};
        struct takers takers = {.audience.pair = pair_new()};
        OK(weft_promise_resolve(takers.audience.pair.promise, malloc(8), drop_free, &drops));
        weft_promise_release(takers.audience.pair.promise);
        for (int i = 0; i < 2; i++)
            weft_future_retain(takers.audience.pair.future);
        threads_together(3, take_or_release, &takers);
        CHECK_INT(takers.taken + drops.count, 1);
    }
}

/* ---- a drop may call the library */

static void release_other(void *ctx, void *value)
{
    atomic_fetch_add((atomic_int *)ctx, 1);
    if (value != NULL)
        weft_future_release(value);
}

TEST(futures_in_futures)
{
    enum { DEPTH = 100 };
    atomic_int dropped = 0;
    weft_future *inner = NULL;
    for (int i = 0; i < DEPTH; i++) {
        struct pair pair = pair_new();
        OK(weft_promise_resolve(pair.promise, inner, release_other, &dropped));
        weft_promise_release(pair.promise);
        inner = pair.future;
    }
    weft_future_release(inner);
    CHECK_INT(dropped, DEPTH);
}
