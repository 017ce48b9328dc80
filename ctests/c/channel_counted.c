/* Counted ends: the last release of either closes, what nobody can receive any more is dropped, and a drop may use the channel. */
#include "support.h"

static const size_t capacities[] = {0, 1, 2, 1000, WEFT_UNBOUNDED};
enum { CAPACITIES = sizeof capacities / sizeof capacities[0] };

struct ends {
    weft_sender *sender;
    weft_receiver *receiver;
    weft_channel *channel;
};

static struct ends ends_new(size_t capacity, bool single, weft_drop_fn drop, void *ctx)
{
    struct ends ends = {NULL, NULL, NULL};
    weft_channel_options options;
    OK(weft_channel_options_init(&options, sizeof options));
    options.elem_size = 8;
    options.capacity = capacity;
    options.single_producer = options.single_consumer = single ? WEFT_ON : WEFT_OFF;
    options.drop = drop;
    options.drop_ctx = ctx;
    OK(weft_channel_ends(&options, &ends.sender, &ends.receiver));
    ends.channel = weft_sender_channel(ends.sender);
    CHECK(ends.channel != NULL && ends.channel == weft_receiver_channel(ends.receiver));
    return ends;
}

struct dropped {
    int count;
    uint64_t sum;
    weft_channel *channel;
};

/* Uses the channel that it is called for. */
static void drop_and_look(void *ctx, void *value)
{
    struct dropped *dropped = ctx;
    dropped->count++;
    dropped->sum += *(uint64_t *)value;
    if (dropped->channel != NULL) {
        uint64_t element = 1000;
        CHECK(weft_channel_is_closed(dropped->channel));
        CHECK_STATUS(weft_channel_send(dropped->channel, &element, WEFT_FOREVER), WEFT_CLOSED);
        CHECK_STATUS(weft_channel_recv(dropped->channel, &element, WEFT_FOREVER), WEFT_CLOSED);
        CHECK_INT(element, 1000);
        (void)weft_channel_len(dropped->channel);
        weft_channel_close(dropped->channel);
        weft_channel_release(weft_channel_retain(dropped->channel));
    }
}

TEST(the_last_sender_closes_and_what_is_queued_is_received)
{
    for (size_t c = 0; c < CAPACITIES; c++) {
        for (int single = 0; single < 2; single++) {
            struct dropped dropped = {0, 0, NULL};
            struct ends ends = ends_new(capacities[c], single, drop_and_look, &dropped);
            uint64_t fit = capacities[c] < 2 ? capacities[c] : 2, element;
            for (uint64_t i = 0; i < fit; i++)
                OK(weft_channel_send(ends.channel, &i, 0));
            CHECK(weft_sender_retain(ends.sender) == ends.sender);
            weft_sender_release(ends.sender);
            CHECK(!weft_channel_is_closed(ends.channel));
            weft_sender_release(ends.sender);
            CHECK(weft_channel_is_closed(weft_receiver_channel(ends.receiver)));
            for (uint64_t i = 0; i < fit; i++) {
                OK(weft_channel_recv(ends.channel, &element, WEFT_FOREVER));
                CHECK_INT(element, i);
            }
            CHECK_STATUS(weft_channel_recv(ends.channel, &element, WEFT_FOREVER), WEFT_CLOSED);
            CHECK_INT(dropped.count, 0);
            weft_receiver_release(ends.receiver);
            CHECK_INT(dropped.count, 0);
        }
    }
}

TEST(the_last_receiver_closes_and_what_is_queued_is_dropped_at_once)
{
    for (size_t c = 0; c < CAPACITIES; c++) {
        for (int single = 0; single < 2; single++) {
            struct dropped dropped = {0, 0, NULL};
            struct ends ends = ends_new(capacities[c], single, drop_and_look, &dropped);
            uint64_t fit = capacities[c] < 1000 ? capacities[c] : 1000, element = 5;
            dropped.channel = ends.channel;
            /* Not from the beginning of the ring or block. */
            if (fit > 0) {
                OK(weft_channel_send(ends.channel, &element, 0));
                OK(weft_channel_recv(ends.channel, &element, 0));
            }
            for (uint64_t i = 1; i <= fit; i++)
                OK(weft_channel_send(ends.channel, &i, 0));
            CHECK(weft_receiver_retain(ends.receiver) == ends.receiver);
            weft_receiver_release(ends.receiver);
            CHECK(!weft_channel_is_closed(ends.channel));
            CHECK_INT(dropped.count, 0);
            weft_receiver_release(ends.receiver);
            CHECK_INT(dropped.count, fit);
            CHECK_INT(dropped.sum, fit * (fit + 1) / 2);
            CHECK(weft_channel_is_closed(ends.channel));
            CHECK_INT(weft_channel_len(ends.channel), 0);
            CHECK_STATUS(weft_channel_send(ends.channel, &element, WEFT_FOREVER), WEFT_CLOSED);
            CHECK_STATUS(weft_channel_recv(ends.channel, &element, WEFT_FOREVER), WEFT_CLOSED);
            weft_sender_release(ends.sender);
            CHECK_INT(dropped.count, fit);
        }
    }
}

/* References to the channel itself keep it, and keep no end open. */
TEST(references_to_the_channel_count_for_no_end)
{
    struct dropped dropped = {0, 0, NULL};
    struct ends ends = ends_new(4, false, drop_and_look, &dropped);
    uint64_t element = 7;
    weft_channel_retain(ends.channel);
    OK(weft_channel_send(ends.channel, &element, 0));
    weft_sender_release(ends.sender);
    CHECK(weft_channel_is_closed(ends.channel));
    weft_receiver_release(ends.receiver);
    CHECK_INT(dropped.count, 1);
    CHECK_STATUS(weft_channel_recv(ends.channel, &element, 0), WEFT_CLOSED);
    weft_channel_release(ends.channel);
    CHECK_INT(dropped.count, 1);
}

TEST(ends_may_go_in_any_order_without_anything_sent)
{
    for (size_t c = 0; c < CAPACITIES; c++) {
        struct ends ends = ends_new(capacities[c], c % 2 == 0, NULL, NULL);
        weft_receiver_release(ends.receiver);
        weft_sender_release(ends.sender);
        ends = ends_new(capacities[c], c % 2 == 0, NULL, NULL);
        weft_sender_release(ends.sender);
        weft_receiver_release(ends.receiver);
    }
}

/* ---- ends that threads hold: everything sent is received or dropped, and everyone learns of the end */

struct flow {
    struct ends ends;
    atomic_uint_fast64_t sent, received;
    struct dropped dropped;
    uint64_t quota;
    size_t senders;
};

static void hold_an_end(size_t index, void *arg)
{
    struct flow *flow = arg;
    uint64_t element;
    if (index < flow->senders) {
        for (element = 1;; element++) {
            weft_status status = weft_channel_send(flow->ends.channel, &element, WEFT_FOREVER);
            if (status != WEFT_OK) {
                CHECK_STATUS(status, WEFT_CLOSED);
                break;
            }
            atomic_fetch_add(&flow->sent, element);
            if (element == 10 * flow->quota)
                break;
        }
        weft_sender_release(flow->ends.sender);
    } else {
        for (uint64_t i = 0; i < flow->quota; i++) {
            weft_status status = weft_channel_recv(flow->ends.channel, &element, WEFT_FOREVER);
            if (status != WEFT_OK) {
                CHECK_STATUS(status, WEFT_CLOSED);
                break;
            }
            atomic_fetch_add(&flow->received, element);
        }
        weft_receiver_release(flow->ends.receiver);
    }
}

TEST(the_last_end_of_several_threads)
{
    int rounds = under_a_tool() ? 3 : 30;
    for (int round = 0; round < rounds; round++) {
        for (size_t c = 0; c < CAPACITIES; c++) {
            struct flow flow = {.quota = 100 + (uint64_t)round, .senders = 1 + (size_t)round % 3};
            size_t receivers = 1 + (size_t)round % 2;
            bool single = flow.senders == 1 && receivers == 1;
            flow.ends = ends_new(capacities[c], single, drop_and_look, &flow.dropped);
            for (size_t i = 1; i < flow.senders; i++)
                weft_sender_retain(flow.ends.sender);
            for (size_t i = 1; i < receivers; i++)
                weft_receiver_retain(flow.ends.receiver);
            threads_together(flow.senders + receivers, hold_an_end, &flow);
            CHECK_INT(flow.received + flow.dropped.sum, flow.sent);
        }
    }
}
