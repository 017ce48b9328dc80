/* Misuse of the functions about channels. See misuse.h. */
#include "misuse.h"

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
