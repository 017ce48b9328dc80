/* Channels on one thread: options, order, capacity, closing, elements of every size, drops of what is never received. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

static weft_channel_options defaults(void)
{
    weft_channel_options options;
    OK(weft_channel_options_init(&options, sizeof options));
    return options;
}

TEST(init_fills_in_the_defaults)
{
    weft_channel_options options;
    weft_channel *channel = NULL;
    memset(&options, 0xff, sizeof options);
    OK(weft_channel_options_init(&options, sizeof options));
    CHECK_INT(options.size, sizeof options);
    CHECK_INT(options.elem_size, 0);
    CHECK_INT(options.elem_align, 0);
    CHECK_INT(options.capacity, 1000);
    CHECK(options.single_producer == WEFT_DEFAULT && options.single_consumer == WEFT_DEFAULT);
    CHECK(options.drop == NULL && options.drop_ctx == NULL && options.name == NULL);

    OK(weft_channel_new(NULL, &channel));
    CHECK_INT(weft_channel_capacity(channel), 1000);
    CHECK_INT(weft_channel_len(channel), 0);
    CHECK(!weft_channel_is_closed(channel));
    weft_channel_release(channel);
}

/* Elements are pointers unless told. */
TEST(elements_are_pointers_by_default)
{
    weft_channel *channel = NULL;
    void *sent = &channel, *got[2] = {NULL, SENTINEL};
    OK(weft_channel_new(NULL, &channel));
    OK(weft_channel_send(channel, &sent, 0));
    OK(weft_channel_recv(channel, &got[0], 0));
    CHECK(got[0] == &channel && got[1] == SENTINEL);
    weft_channel_release(channel);
}

TEST(order_is_kept)
{
    static const size_t capacities[] = {1, 2, 3, 64, 1000, WEFT_UNBOUNDED};
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        weft_channel *channel = channel_new(8, capacities[c]);
        uint64_t next_in = 0, next_out = 0;
        struct random random = {c + 1};
        CHECK_INT(weft_channel_capacity(channel), capacities[c]);
        /* In and out by turns, so that a ring goes round many times and is full and empty now and then. */
        while (next_out < 20000) {
            uint64_t burst = random_below(&random, 3000);
            for (uint64_t i = 0; i < burst && next_in < 20000; i++) {
                weft_status status = weft_channel_send(channel, &next_in, 0);
                if (status != WEFT_OK) {
                    CHECK_STATUS(status, WEFT_WOULD_BLOCK);
                    CHECK_INT(next_in - next_out, capacities[c]);
                    break;
                }
                next_in++;
            }
            CHECK_INT(weft_channel_len(channel), next_in - next_out);
            burst = random_below(&random, 3000);
            for (uint64_t i = 0; i < burst; i++) {
                uint64_t element = UINT64_MAX;
                weft_status status = weft_channel_recv(channel, &element, 0);
                if (status != WEFT_OK) {
                    CHECK_STATUS(status, WEFT_WOULD_BLOCK);
                    CHECK_INT(element, UINT64_MAX);
                    CHECK_INT(next_in, next_out);
                    break;
                }
                CHECK_INT(element, next_out);
                next_out++;
            }
        }
        weft_channel_release(channel);
    }
}

TEST(full)
{
    weft_channel *channel = channel_new(8, 2);
    uint64_t element = 1;
    OK(weft_channel_send(channel, &element, WEFT_FOREVER));
    OK(weft_channel_send(channel, &element, 1));
    CHECK_STATUS(weft_channel_send(channel, &element, 0), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_channel_send(channel, &element, -100), WEFT_WOULD_BLOCK);
    int64_t deadline = weft_deadline(10000000);
    CHECK_STATUS(weft_channel_send(channel, &element, 10000000), WEFT_TIMEOUT);
    CHECK(weft_now() >= deadline);
    CHECK_INT(weft_channel_len(channel), 2);
    weft_channel_release(channel);
}

TEST(empty)
{
    static const size_t capacities[] = {0, 1, 1000, WEFT_UNBOUNDED};
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        weft_channel *channel = channel_new(8, capacities[c]);
        uint64_t element = 77;
        CHECK_STATUS(weft_channel_recv(channel, &element, 0), WEFT_WOULD_BLOCK);
        CHECK_STATUS(weft_channel_recv(channel, &element, INT64_MIN), WEFT_WOULD_BLOCK);
        int64_t deadline = weft_deadline(3000000);
        CHECK_STATUS(weft_channel_recv(channel, &element, 3000000), WEFT_TIMEOUT);
        CHECK(weft_now() >= deadline);
        CHECK_INT(element, 77);
        weft_channel_release(channel);
    }
}

TEST(a_rendezvous_holds_nothing)
{
    weft_channel *channel = channel_new(8, 0);
    uint64_t element = 5;
    CHECK_INT(weft_channel_capacity(channel), 0);
    CHECK_STATUS(weft_channel_send(channel, &element, 0), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_channel_send(channel, &element, 1000000), WEFT_TIMEOUT);
    CHECK_INT(weft_channel_len(channel), 0);
    CHECK_STATUS(weft_channel_recv(channel, &element, 0), WEFT_WOULD_BLOCK);
    weft_channel_release(channel);
}

TEST(close_drains)
{
    static const size_t capacities[] = {3, 1000, WEFT_UNBOUNDED};
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        weft_channel *channel = channel_new(8, capacities[c]);
        uint64_t element;
        for (element = 0; element < 3; element++)
            OK(weft_channel_send(channel, &element, 0));
        CHECK(!weft_channel_is_closed(channel));
        weft_channel_close(channel);
        weft_channel_close(channel);
        CHECK(weft_channel_is_closed(channel));
        CHECK_REFUSED(weft_channel_send(channel, &element, 0), WEFT_CLOSED, "closed");
        CHECK_STATUS(weft_channel_send(channel, &element, WEFT_FOREVER), WEFT_CLOSED);
        CHECK_INT(weft_channel_len(channel), 3);
        for (uint64_t expected = 0; expected < 3; expected++) {
            OK(weft_channel_recv(channel, &element, expected == 0 ? 0 : WEFT_FOREVER));
            CHECK_INT(element, expected);
        }
        element = 99;
        CHECK_REFUSED(weft_channel_recv(channel, &element, WEFT_FOREVER), WEFT_CLOSED, "closed");
        CHECK_STATUS(weft_channel_recv(channel, &element, 0), WEFT_CLOSED);
        CHECK_INT(element, 99);
        weft_channel_release(channel);
    }
}

TEST(a_closed_rendezvous)
{
    weft_channel *channel = channel_new(8, 0);
    uint64_t element = 99;
    weft_channel_close(channel);
    CHECK_STATUS(weft_channel_send(channel, &element, WEFT_FOREVER), WEFT_CLOSED);
    CHECK_STATUS(weft_channel_recv(channel, &element, WEFT_FOREVER), WEFT_CLOSED);
    CHECK_INT(element, 99);
    weft_channel_release(channel);
}

TEST(references)
{
    weft_channel *channel = channel_new(8, 1);
    uint64_t element = 3;
    CHECK(weft_channel_retain(channel) == channel);
    weft_channel_release(channel);
    OK(weft_channel_send(channel, &element, 0));
    OK(weft_channel_recv(channel, &element, 0));
    weft_channel_release(channel);
}

/* ---- options that are refused */

static void refused(const weft_channel_options *options, const char *field)
{
    weft_channel *channel = SENTINEL;
    CHECK_INVALID(weft_channel_new(options, &channel), field);
    CHECK(channel == SENTINEL);
}

TEST(alignments_that_are_none)
{
    static const size_t aligns[] = {3, 6, 12, 4095, 8192, SIZE_MAX, SIZE_MAX / 2 + 1};
    weft_channel_options options = defaults();
    options.elem_size = 4096;
    for (size_t i = 0; i < sizeof aligns / sizeof aligns[0]; i++) {
        options.elem_align = aligns[i];
        refused(&options, "elem_align");
    }
}

TEST(flags_that_are_none)
{
    static const int32_t flags[] = {-1, 3, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        weft_channel_options options = defaults();
        options.single_producer = flags[i];
        refused(&options, "single_producer");
        options = defaults();
        options.single_consumer = flags[i];
        refused(&options, "single_consumer");
    }
}

/* Refused one way or the other, before anything is allocated or touched. */
TEST(absurd_sizes)
{
    static const size_t sizes[][2] = {
        {SIZE_MAX, 1},
        {SIZE_MAX, 0},
        {SIZE_MAX - 7, 1000},
        {SIZE_MAX / 2 + 1, 2},
        {SIZE_MAX / 1000 + 1, 1000},
        {8, SIZE_MAX - 1},
        {8, SIZE_MAX / 8},
        {8, SIZE_MAX / 8 + 1},
        {16, (size_t)1 << 60},
        {1, SIZE_MAX - 1},
        {4096, (size_t)1 << 52},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        weft_channel_options options = defaults();
        weft_channel *channel = SENTINEL;
        options.elem_size = sizes[i][0];
        options.capacity = sizes[i][1];
        weft_status status = weft_channel_new(&options, &channel);
        CHECK(status == WEFT_INVALID || status == WEFT_NOMEM || status == WEFT_TOO_LARGE);
        CHECK(channel == SENTINEL);
    }
}

/* An unbounded channel asks for memory when it is sent to. */
TEST(elements_beyond_all_memory)
{
    weft_channel_options options = defaults();
    weft_channel *channel = SENTINEL;
    unsigned char never_read = 1;
    options.elem_size = (size_t)1 << 62;
    options.capacity = WEFT_UNBOUNDED;
    weft_status status = weft_channel_new(&options, &channel);
    CHECK(status == WEFT_OK || status == WEFT_NOMEM || status == WEFT_INVALID || status == WEFT_TOO_LARGE);
    if (status == WEFT_OK) {
        CHECK_STATUS(weft_channel_send(channel, &never_read, 0), WEFT_NOMEM);
        CHECK_INT(weft_channel_len(channel), 0);
        weft_channel_release(channel);
    }
}

TEST(sizes_of_the_options)
{
    struct {
        weft_channel_options options;
        unsigned char later[16];
    } larger;
    weft_channel *channel = NULL;
    weft_channel_options options = defaults();
    options.size = 0;
    refused(&options, "size");
    options.size = sizeof options - 1;
    refused(&options, "size");
    options.size = SIZE_MAX;
    refused(&options, "size");

    memset(&larger, 0xff, sizeof larger);
    OK(weft_channel_options_init(&larger.options, sizeof larger));
    CHECK_INT(larger.options.size, sizeof larger);
    OK(weft_channel_new(&larger.options, &channel));
    weft_channel_release(channel);
    larger.later[15] = 0x80;
    refused(&larger.options, "options");
}

TEST(names_are_copied_and_may_be_anything)
{
    static const char *const names[] = {"", "jobs", "\xff\xfe", "%s %n"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[32];
        weft_channel_options options = defaults();
        weft_channel *channel = NULL;
        strcpy(name, names[i]);
        options.name = name;
        OK(weft_channel_new(&options, &channel));
        memset(name, '?', sizeof name);
        weft_channel_close(channel);
        weft_channel_release(channel);
    }
}

/* ---- what is never received */

struct dropped {
    int count;
    uint64_t sum;
};

static void drop_element(void *ctx, void *value)
{
    struct dropped *dropped = ctx;
    uint64_t *element = value;
    dropped->count++;
    dropped->sum += *element;
}

TEST(what_is_never_received_is_dropped_at_the_last_release)
{
    static const size_t capacities[] = {5, 8, 1000, WEFT_UNBOUNDED};
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        struct dropped dropped = {0, 0};
        weft_channel_options options = defaults();
        weft_channel *channel = NULL;
        uint64_t element;
        options.elem_size = 8;
        options.capacity = capacities[c];
        options.drop = drop_element;
        options.drop_ctx = &dropped;
        OK(weft_channel_new(&options, &channel));
        /* Go round a small ring first, so that what is left wraps. */
        for (element = 0; element < 3; element++)
            OK(weft_channel_send(channel, &element, 0));
        for (int i = 0; i < 3; i++)
            OK(weft_channel_recv(channel, &element, 0));
        for (element = 1; element <= 5; element++)
            OK(weft_channel_send(channel, &element, 0));
        OK(weft_channel_recv(channel, &element, 0));
        weft_channel_retain(channel);
        if (c % 2 == 0)
            weft_channel_close(channel);
        weft_channel_release(channel);
        CHECK_INT(dropped.count, 0);
        weft_channel_release(channel);
        CHECK_INT(dropped.count, 4);
        CHECK_INT(dropped.sum, 2 + 3 + 4 + 5);
    }
}

TEST(what_is_refused_is_not_dropped)
{
    struct dropped dropped = {0, 0};
    weft_channel_options options = defaults();
    weft_channel *channel = NULL;
    uint64_t element = 1;
    options.elem_size = 8;
    options.capacity = 1;
    options.drop = drop_element;
    options.drop_ctx = &dropped;
    OK(weft_channel_new(&options, &channel));
    OK(weft_channel_send(channel, &element, 0));
    CHECK_STATUS(weft_channel_send(channel, &element, 0), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_channel_send(channel, &element, 1000), WEFT_TIMEOUT);
    OK(weft_channel_recv(channel, &element, 0));
    weft_channel_close(channel);
    CHECK_STATUS(weft_channel_send(channel, &element, 0), WEFT_CLOSED);
    weft_channel_release(channel);
    CHECK_INT(dropped.count, 0);
}

TEST(a_long_queue_is_dropped_whole)
{
    struct dropped dropped = {0, 0};
    weft_channel_options options = defaults();
    weft_channel *channel = NULL;
    options.elem_size = 8;
    options.capacity = WEFT_UNBOUNDED;
    options.drop = drop_element;
    options.drop_ctx = &dropped;
    OK(weft_channel_new(&options, &channel));
    for (uint64_t i = 0; i < 100000; i++)
        OK(weft_channel_send(channel, &i, 0));
    CHECK_INT(weft_channel_len(channel), 100000);
    weft_channel_release(channel);
    CHECK_INT(dropped.count, 100000);
    CHECK_INT(dropped.sum, (uint64_t)100000 * 99999 / 2);
}

/* ---- channels in channels: a drop may call the library */

static void release_channel(void *ctx, void *value)
{
    (*(int *)ctx)++;
    weft_channel_release(*(weft_channel **)value);
}

TEST(channels_in_channels)
{
    int dropped = 0;
    weft_channel_options options = defaults();
    weft_channel *inner = NULL, *outer = NULL;
    options.drop = release_channel;
    options.drop_ctx = &dropped;
    OK(weft_channel_new(&options, &inner));
    for (int i = 0; i < 50; i++) {
        OK(weft_channel_new(&options, &outer));
        OK(weft_channel_send(outer, &inner, 0));
        inner = outer;
    }
    weft_channel_release(outer);
    CHECK_INT(dropped, 50);
}
