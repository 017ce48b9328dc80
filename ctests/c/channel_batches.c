/* Many elements at a time: what a batch does when it fits, when it has to wait, when it cannot go on; and one side told that it is alone. */
#include "support.h"

#include <stdlib.h>

static const size_t capacities[] = {0, 1, 2, 3, 7, 64, 1000, WEFT_UNBOUNDED};
enum { CAPACITIES = sizeof capacities / sizeof capacities[0] };

static weft_channel *channel_of(size_t elem_size, size_t capacity, int32_t producers, int32_t consumers)
{
    weft_channel_options options;
    weft_channel *channel = NULL;
    OK(weft_channel_options_init(&options, sizeof options));
    options.elem_size = elem_size;
    options.capacity = capacity;
    options.single_producer = producers;
    options.single_consumer = consumers;
    OK(weft_channel_new(&options, &channel));
    return channel;
}

TEST(what_fits_is_sent_and_the_rest_is_not)
{
    for (size_t c = 0; c < CAPACITIES; c++) {
        weft_channel *channel = channel_of(8, capacities[c], WEFT_OFF, WEFT_OFF);
        uint64_t in[5] = {1, 2, 3, 4, 5}, out[6] = {0};
        size_t sent = 99, received = 99, fit = capacities[c] < 5 ? capacities[c] : 5;
        CHECK_STATUS(weft_channel_send_batch(channel, in, 5, 0, &sent), fit == 5 ? WEFT_OK : WEFT_WOULD_BLOCK);
        CHECK_INT(sent, fit);
        CHECK_INT(weft_channel_len(channel), fit);
        sent = 99;
        if (fit < 5) {
            CHECK_STATUS(weft_channel_send_batch(channel, in, 1, 1000, &sent), WEFT_TIMEOUT);
            CHECK_INT(sent, 0);
        }
        CHECK_STATUS(weft_channel_recv_batch(channel, out, 6, 0, &received), fit > 0 ? WEFT_OK : WEFT_WOULD_BLOCK);
        CHECK_INT(received, fit);
        for (uint64_t i = 0; i < fit; i++)
            CHECK_INT(out[i], i + 1);
        CHECK_INT(out[fit], 0);
        received = 99;
        CHECK_STATUS(weft_channel_recv_batch(channel, out, 6, 1000, &received), WEFT_TIMEOUT);
        CHECK_INT(received, 0);
        weft_channel_release(channel);
    }
}

TEST(batches_of_none)
{
    for (size_t c = 0; c < CAPACITIES; c++) {
        weft_channel *channel = channel_of(8, capacities[c], WEFT_ON, WEFT_ON);
        size_t count = 99;
        OK(weft_channel_send_batch(channel, NULL, 0, WEFT_FOREVER, &count));
        CHECK_INT(count, 0);
        count = 99;
        OK(weft_channel_recv_batch(channel, NULL, 0, WEFT_FOREVER, &count));
        CHECK_INT(count, 0);
        weft_channel_release(channel);
    }
}

TEST(a_batch_that_meets_the_end)
{
    for (size_t c = 0; c < CAPACITIES; c++) {
        weft_channel *channel = channel_of(8, capacities[c], WEFT_OFF, WEFT_OFF);
        uint64_t in[3] = {1, 2, 3}, out[3] = {0};
        size_t count = 99, fit = capacities[c] < 2 ? capacities[c] : 2;
        if (fit > 0)
            OK(weft_channel_send_batch(channel, in, fit, 0, &count));
        weft_channel_close(channel);
        CHECK_STATUS(weft_channel_send_batch(channel, in, 3, WEFT_FOREVER, &count), WEFT_CLOSED);
        CHECK_INT(count, 0);
        if (fit > 0) {
            OK(weft_channel_recv_batch(channel, out, 3, WEFT_FOREVER, &count));
            CHECK_INT(count, fit);
        }
        count = 99;
        CHECK_STATUS(weft_channel_recv_batch(channel, out, 3, WEFT_FOREVER, &count), WEFT_CLOSED);
        CHECK_INT(count, 0);
        weft_channel_release(channel);
    }
}

/* In and out by turns of random length, of elements of many sizes: rings wrap within batches, lists go on to the next block. */
TEST(batches_of_all_lengths)
{
    static const size_t sizes[] = {1, 8, 16, 24, 4096};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t c = 1; c < CAPACITIES; c++) {
            enum { MOST = 20 };
            size_t size = sizes[s], total = under_a_tool() ? 500 : 5000, next_in = 0, next_out = 0;
            unsigned char *elements = malloc(MOST * size);
            struct random random = {s * 100 + c + 1};
            weft_channel *channel = channel_of(size, capacities[c], s % 2 == 0 ? WEFT_ON : WEFT_OFF, c % 2 == 0 ? WEFT_ON : WEFT_OFF);
            REQUIRE(elements != NULL);
            while (next_out < total) {
                size_t count = 99, n = random_below(&random, MOST + 1);
                for (size_t i = 0; i < n * size; i++)
                    elements[i] = (unsigned char)(next_in + i / size);
                weft_status status = weft_channel_send_batch(channel, elements, n, 0, &count);
                REQUIRE(count <= n);
                CHECK_STATUS(status, count == n ? WEFT_OK : WEFT_WOULD_BLOCK);
                next_in += count;
                n = random_below(&random, MOST + 1);
                status = weft_channel_recv_batch(channel, elements, n, 0, &count);
                CHECK_INT(count, n < next_in - next_out ? n : next_in - next_out);
                CHECK_STATUS(status, n == 0 || count > 0 ? WEFT_OK : WEFT_WOULD_BLOCK);
                size_t wrong = 0;
                for (size_t i = 0; i < count * size; i++)
                    wrong += elements[i] != (unsigned char)(next_out + i / size);
                CHECK_INT(wrong, 0);
                next_out += count;
                CHECK_INT(weft_channel_len(channel), next_in - next_out);
            }
            free(elements);
            weft_channel_release(channel);
        }
    }
}

/* ---- batches longer than the channel, from thread to thread */

struct line {
    weft_channel *channel;
    size_t producers, consumers;
    uint64_t per_producer;
    atomic_size_t producing;
    atomic_uint_fast64_t received, sum;
};

struct element {
    uint64_t producer, number;
};

enum { LONGEST = 50, MAX_PRODUCERS = 3 };

static int64_t patience(struct random *random)
{
    return random_below(random, 3) == 0 ? (int64_t)random_below(random, 50000) : WEFT_FOREVER;
}

static void send_batches(struct line *line, size_t index)
{
    struct random random = {index + 1};
    struct element elements[LONGEST];
    for (uint64_t next = 0; next < line->per_producer;) {
        size_t n = 1 + random_below(&random, LONGEST), sent = 99;
        if (n > line->per_producer - next)
            n = line->per_producer - next;
        for (size_t i = 0; i < n; i++)
            elements[i] = (struct element){index, next + i};
        weft_status status = weft_channel_send_batch(line->channel, elements, n, patience(&random), &sent);
        REQUIRE(sent <= n);
        CHECK(sent == n ? status == WEFT_OK : status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK);
        next += sent;
    }
    if (atomic_fetch_sub(&line->producing, 1) == 1)
        weft_channel_close(line->channel);
}

static void receive_batches(struct line *line, size_t index)
{
    struct random random = {index + 1000};
    struct element elements[LONGEST];
    uint64_t next[MAX_PRODUCERS] = {0};
    for (;;) {
        size_t max = 1 + random_below(&random, LONGEST), received = 99;
        weft_status status = weft_channel_recv_batch(line->channel, elements, max, patience(&random), &received);
        REQUIRE(received <= max);
        CHECK((received > 0) == (status == WEFT_OK));
        if (status == WEFT_CLOSED)
            break;
        CHECK(status == WEFT_OK || status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK);
        for (size_t i = 0; i < received; i++) {
            REQUIRE(elements[i].producer < line->producers);
            CHECK(elements[i].number >= next[elements[i].producer]);
            next[elements[i].producer] = elements[i].number + 1;
            atomic_fetch_add(&line->sum, elements[i].number);
        }
        atomic_fetch_add(&line->received, received);
    }
}

static void work_at_line(size_t index, void *arg)
{
    struct line *line = arg;
    if (index < line->producers)
        send_batches(line, index);
    else
        receive_batches(line, index);
}

TEST(batches_from_thread_to_thread)
{
    static const size_t shapes[][2] = {{1, 1}, {1, 3}, {3, 1}, {3, 3}};
    for (size_t c = 0; c < CAPACITIES; c++) {
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            uint64_t n = under_a_tool() ? 200 : 3000;
            struct line line = {.producers = shapes[s][0], .consumers = shapes[s][1], .per_producer = n, .producing = shapes[s][0]};
            line.channel = channel_of(sizeof(struct element), capacities[c], line.producers == 1 ? WEFT_ON : WEFT_OFF,
                                      line.consumers == 1 ? WEFT_ON : WEFT_OFF);
            threads_together(line.producers + line.consumers, work_at_line, &line);
            CHECK_INT(line.received, line.producers * n);
            CHECK_INT(line.sum, line.producers * (n * (n - 1) / 2));
            CHECK_INT(weft_channel_len(line.channel), 0);
            weft_channel_release(line.channel);
        }
    }
}

/* ---- one batch for several who wait */

enum { RECEIVERS = 5 };

struct crowd {
    weft_channel *channel;
    atomic_int started;
    atomic_uint_fast64_t sum;
};

static void feed_all(weft_worker *worker, void *arg)
{
    struct crowd *crowd = arg;
    uint64_t elements[RECEIVERS] = {1, 2, 3, 4, 5};
    size_t sent = 0, senders = 99, receivers = 99;
    (void)worker;
    OK(weft_channel_waiting(crowd->channel, &senders, &receivers));
    CHECK_INT(senders, 0);
    CHECK_INT(receivers, RECEIVERS);
    OK(weft_channel_send_batch(crowd->channel, elements, RECEIVERS, WEFT_FOREVER, &sent));
    CHECK_INT(sent, RECEIVERS);
}

static void receive_one(weft_worker *worker, void *arg)
{
    struct crowd *crowd = arg;
    uint64_t element = 0;
    if (atomic_fetch_add(&crowd->started, 1) + 1 == RECEIVERS)
        OK(weft_spawn(weft_worker_runtime(worker), feed_all, crowd));
    OK(weft_channel_recv(crowd->channel, &element, WEFT_FOREVER));
    atomic_fetch_add(&crowd->sum, element);
}

/* On one worker the batch comes when all wait. */
TEST(a_batch_reaches_all_who_wait)
{
    for (size_t c = 0; c < CAPACITIES; c++) {
        struct crowd crowd = {.channel = channel_of(8, capacities[c], WEFT_OFF, WEFT_OFF)};
        weft_runtime *runtime = runtime_new(1);
        size_t senders = 99, receivers = 99;
        for (int i = 0; i < RECEIVERS; i++)
            OK(weft_spawn(runtime, receive_one, &crowd));
        runtime_end(runtime);
        CHECK_INT(crowd.sum, 15);
        OK(weft_channel_waiting(crowd.channel, &senders, &receivers));
        CHECK(senders == 0 && receivers == 0);
        weft_channel_release(crowd.channel);
    }
}
