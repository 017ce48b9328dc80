/* Misuse of the functions about promises, futures and channels. See misuse.h. */
#include "misuse.h"

#include <string.h>

/* ---- promises */

MISUSE(weft_promise_new)
{
    weft_promise *promise = SENTINEL;
    weft_future *future = SENTINEL;
    CHECK_INVALID(weft_promise_new(NULL, &future), "promise");
    CHECK_INVALID(weft_promise_new(&promise, NULL), "future");
    CHECK(promise == SENTINEL && future == SENTINEL);
}

MISUSE(weft_promise_resolve)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_promise_resolve(NULL, zoo, never_drop, NULL), "promise");
    FOR_WRONG(zoo, PROMISE, h)
        CHECK_INVALID(weft_promise_resolve(h, zoo, never_drop, NULL), "promise");
    zoo_end(zoo);
}

MISUSE(weft_promise_reject)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_promise_reject(NULL, WEFT_FAILED, "no", NULL), "promise");
    CHECK_INVALID(weft_promise_reject(NULL, WEFT_FAILED, "no", zoo->bytes), "promise");
    FOR_WRONG(zoo, PROMISE, h)
        CHECK_INVALID(weft_promise_reject(h, WEFT_FAILED, "no", NULL), "promise");
    FOR_WRONG(zoo, BYTES, h)
        CHECK_INVALID(weft_promise_reject(zoo->promise, WEFT_FAILED, "no", h), "payload");
    CHECK_INVALID(weft_promise_reject(zoo->promise, WEFT_OK, "no", zoo->bytes), "status");
    zoo_end(zoo);
}

MISUSE(weft_promise_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_promise_retain(NULL) == NULL);
    FOR_WRONG(zoo, PROMISE, h)
        CHECK_NULL(weft_promise_retain(h), "promise");
    zoo_end(zoo);
}

MISUSE(weft_promise_release)
{
    struct zoo *zoo = zoo_new();
    weft_promise_release(NULL);
    FOR_WRONG(zoo, PROMISE, h)
        COMPLAINS(weft_promise_release(h), "promise");
    zoo_end(zoo);
}

/* ---- futures */

MISUSE(weft_future_wait)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_future_wait(NULL, WEFT_FOREVER), "future");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_INVALID(weft_future_wait(h, WEFT_FOREVER), "future");
    zoo_end(zoo);
}

static void wrong_value(weft_status (*get)(weft_future *, int64_t, void **))
{
    struct zoo *zoo = zoo_new();
    void *value = SENTINEL;
    CHECK_INVALID(get(NULL, WEFT_FOREVER, &value), "future");
    CHECK_INVALID(get(zoo->future, WEFT_FOREVER, NULL), "value");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_INVALID(get(h, WEFT_FOREVER, &value), "future");
    CHECK(value == SENTINEL);
    zoo_end(zoo);
}

MISUSE(weft_future_get) { wrong_value(weft_future_get); }
MISUSE(weft_future_take) { wrong_value(weft_future_take); }

MISUSE(weft_future_state)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_future_state(NULL), -1, "future");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_NEUTRAL(weft_future_state(h), -1, "future");
    zoo_end(zoo);
}

MISUSE(weft_future_error)
{
    struct zoo *zoo = zoo_new();
    CHECK_NULL(weft_future_error(NULL), "future");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_NULL(weft_future_error(h), "future");
    zoo_end(zoo);
}

MISUSE(weft_future_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_future_retain(NULL) == NULL);
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_NULL(weft_future_retain(h), "future");
    zoo_end(zoo);
}

MISUSE(weft_future_release)
{
    struct zoo *zoo = zoo_new();
    weft_future_release(NULL);
    FOR_WRONG(zoo, FUTURE, h)
        COMPLAINS(weft_future_release(h), "future");
    zoo_end(zoo);
}

/* ---- channels; sizes and alignments that are refused: channels.c */

MISUSE(weft_channel_new)
{
    weft_channel_options options;
    OK(weft_channel_options_init(&options, sizeof options));
    CHECK_INVALID(weft_channel_new(NULL, NULL), "out");
    CHECK_INVALID(weft_channel_new(&options, NULL), "out");
}

MISUSE(weft_channel_send)
{
    struct zoo *zoo = zoo_new();
    uint64_t element = 7;
    CHECK_INVALID(weft_channel_send(NULL, &element, WEFT_FOREVER), "channel");
    CHECK_INVALID(weft_channel_send(zoo->channel, NULL, WEFT_FOREVER), "elem");
    FOR_WRONG(zoo, CHANNEL, h)
        CHECK_INVALID(weft_channel_send(h, &element, WEFT_FOREVER), "channel");
    zoo_end(zoo);
}

MISUSE(weft_channel_recv)
{
    struct zoo *zoo = zoo_new();
    uint64_t element = 7;
    CHECK_INVALID(weft_channel_recv(NULL, &element, WEFT_FOREVER), "channel");
    CHECK_INVALID(weft_channel_recv(zoo->channel, NULL, WEFT_FOREVER), "elem");
    FOR_WRONG(zoo, CHANNEL, h)
        CHECK_INVALID(weft_channel_recv(h, &element, WEFT_FOREVER), "channel");
    CHECK_INT(element, 7);
    zoo_end(zoo);
}

MISUSE(weft_channel_close)
{
    struct zoo *zoo = zoo_new();
    COMPLAINS(weft_channel_close(NULL), "channel");
    FOR_WRONG(zoo, CHANNEL, h)
        COMPLAINS(weft_channel_close(h), "channel");
    CHECK(!weft_channel_is_closed(zoo->channel));
    zoo_end(zoo);
}

/* Closed is the neutral answer: whoever loops until then ends. */
MISUSE(weft_channel_is_closed)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_channel_is_closed(NULL), true, "channel");
    FOR_WRONG(zoo, CHANNEL, h)
        CHECK_NEUTRAL(weft_channel_is_closed(h), true, "channel");
    zoo_end(zoo);
}

static void wrong_count(size_t (*count)(const weft_channel *))
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(count(NULL), 0, "channel");
    FOR_WRONG(zoo, CHANNEL, h)
        CHECK_NEUTRAL(count(h), 0, "channel");
    zoo_end(zoo);
}

MISUSE(weft_channel_len) { wrong_count(weft_channel_len); }
MISUSE(weft_channel_capacity) { wrong_count(weft_channel_capacity); }

MISUSE(weft_channel_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_channel_retain(NULL) == NULL);
    FOR_WRONG(zoo, CHANNEL, h)
        CHECK_NULL(weft_channel_retain(h), "channel");
    zoo_end(zoo);
}

MISUSE(weft_channel_release)
{
    struct zoo *zoo = zoo_new();
    weft_channel_release(NULL);
    FOR_WRONG(zoo, CHANNEL, h)
        COMPLAINS(weft_channel_release(h), "channel");
    zoo_end(zoo);
}
