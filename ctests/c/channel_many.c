/* Many producers, many consumers, random patience: the exact multiset arrives, and each consumer sees each producer in order. */
#include "support.h"

#include <stdlib.h>

enum { MAX_PRODUCERS = 8 };

struct market {
    weft_channel *channel;
    size_t producers, consumers;
    uint64_t per_producer;
    bool impatient;
    uint64_t seed;
    atomic_size_t producers_left;
    atomic_uchar *seen;          /* producers * per_producer */
};

struct element {
    uint64_t producer, number;
};

static int64_t patience(struct market *market, struct random *random)
{
    if (!market->impatient)
        return WEFT_FOREVER;
    switch (random_below(random, 4)) {
    case 0:
        return 0;
    case 1:
        return (int64_t)random_below(random, 20000);
    case 2:
        return (int64_t)random_below(random, 2000000);
    default:
        return WEFT_FOREVER;
    }
}

static void produce(struct market *market, size_t index)
{
    struct random random = {market->seed + index};
    for (uint64_t number = 0; number < market->per_producer; number++) {
        struct element element = {index, number};
        for (;;) {
            weft_status status = weft_channel_send(market->channel, &element, patience(market, &random));
            CHECK(element.producer == index && element.number == number);
            if (status == WEFT_OK)
                break;
            CHECK(status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK);
        }
    }
    if (atomic_fetch_sub(&market->producers_left, 1) == 1)
        weft_channel_close(market->channel);
}

static void consume(struct market *market, size_t index)
{
    struct random random = {market->seed + 100 + index};
    uint64_t next[MAX_PRODUCERS] = {0};
    for (;;) {
        struct element element = {99, 99};
        weft_status status = weft_channel_recv(market->channel, &element, patience(market, &random));
        if (status == WEFT_CLOSED)
            break;
        if (status != WEFT_OK) {
            CHECK(status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK);
            CHECK(element.producer == 99 && element.number == 99);
            continue;
        }
        REQUIRE(element.producer < market->producers && element.number < market->per_producer);
        /* One consumer sees one producer's elements in order, with gaps where others took some. */
        CHECK(element.number >= next[element.producer]);
        next[element.producer] = element.number + 1;
        atomic_fetch_add(&market->seen[element.producer * market->per_producer + element.number], 1);
    }
}

static void trade(size_t index, void *arg)
{
    struct market *market = arg;
    if (index < market->producers)
        produce(market, index);
    else
        consume(market, index - market->producers);
}

struct trader {
    struct market *market;
    size_t index;
};

static void trade_in_task(weft_worker *worker, void *arg)
{
    struct trader *trader = arg;
    (void)worker;
    trade(trader->index, trader->market);
}

static void run_market(size_t capacity, size_t producers, size_t consumers, bool impatient, int32_t workers)
{
    uint64_t per_producer = under_a_tool() ? 200 : capacity == 0 ? 1000 : 4000;
    struct market market = {
        .channel = channel_new(sizeof(struct element), capacity),
        .producers = producers,
        .consumers = consumers,
        .per_producer = per_producer,
        .impatient = impatient,
        .seed = capacity * 31 + producers * 7 + consumers,
        .producers_left = producers,
        .seen = calloc(producers * per_producer, 1),
    };
    uint64_t wrong = 0;
    REQUIRE(market.seen != NULL);
    if (workers == 0) {
        threads_together(producers + consumers, trade, &market);
    } else {
        weft_runtime *runtime = runtime_new(workers);
        struct trader traders[2 * MAX_PRODUCERS];
        for (size_t i = 0; i < producers + consumers; i++) {
            traders[i] = (struct trader){&market, i};
            OK(weft_spawn(runtime, trade_in_task, &traders[i]));
        }
        runtime_end(runtime);
    }
    for (uint64_t i = 0; i < producers * per_producer; i++)
        wrong += market.seen[i] != 1;
    CHECK_INT(wrong, 0);
    CHECK_INT(weft_channel_len(market.channel), 0);
    free(market.seen);
    weft_channel_release(market.channel);
}

static const size_t shapes[][2] = {{1, 1}, {1, 4}, {4, 1}, {4, 4}};

static void all_shapes(size_t capacity)
{
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        run_market(capacity, shapes[s][0], shapes[s][1], false, 0);
        run_market(capacity, shapes[s][0], shapes[s][1], true, 0);
        run_market(capacity, shapes[s][0], shapes[s][1], false, 1);
        run_market(capacity, shapes[s][0], shapes[s][1], true, 2);
    }
}

TEST(rendezvous) { all_shapes(0); }
TEST(capacity_1) { all_shapes(1); }
TEST(capacity_2) { all_shapes(2); }
TEST(capacity_1000) { all_shapes(1000); }
TEST(unbounded) { all_shapes(WEFT_UNBOUNDED); }

/* ---- ping-pong: each side waits for the other at every step */

struct table {
    weft_channel *there, *back;
    uint64_t n;
};

static void return_balls(weft_worker *worker, void *arg)
{
    struct table *table = arg;
    uint64_t ball;
    (void)worker;
    for (uint64_t i = 0; i < table->n; i++) {
        OK(weft_channel_recv(table->there, &ball, WEFT_FOREVER));
        ball++;
        OK(weft_channel_send(table->back, &ball, WEFT_FOREVER));
    }
}

TEST(ping_pong_between_a_thread_and_a_task)
{
    static const size_t capacities[] = {0, 1, WEFT_UNBOUNDED};
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        struct table table = {channel_new(8, capacities[c]), channel_new(8, capacities[c]), under_a_tool() ? 200 : 3000};
        weft_runtime *runtime = runtime_new(1);
        uint64_t ball = 0;
        OK(weft_spawn(runtime, return_balls, &table));
        for (uint64_t i = 0; i < table.n; i++) {
            OK(weft_channel_send(table.there, &ball, WEFT_FOREVER));
            OK(weft_channel_recv(table.back, &ball, WEFT_FOREVER));
            CHECK_INT(ball, i + 1);
        }
        runtime_end(runtime);
        weft_channel_release(table.there);
        weft_channel_release(table.back);
    }
}

/* ---- a ring of tasks that pass one token on: more waiting tasks than workers by far */

struct station {
    weft_channel *in, *out;
    uint64_t rounds;
};

static void pass_on(weft_worker *worker, void *arg)
{
    struct station *station = arg;
    uint64_t token;
    (void)worker;
    for (uint64_t i = 0; i < station->rounds; i++) {
        OK(weft_channel_recv(station->in, &token, WEFT_FOREVER));
        token++;
        OK(weft_channel_send(station->out, &token, WEFT_FOREVER));
    }
}

TEST(a_ring_of_tasks)
{
    enum { STATIONS = 40 };
    struct station stations[STATIONS];
    weft_channel *channels[STATIONS + 1];
    uint64_t rounds = under_a_tool() ? 5 : 50, token = 0;
    weft_runtime *runtime = runtime_new(2);
    for (int i = 0; i <= STATIONS; i++)
        channels[i] = channel_new(8, (size_t)(i % 2));
    for (int i = 0; i < STATIONS; i++) {
        stations[i] = (struct station){channels[i], channels[i + 1], rounds};
        OK(weft_spawn(runtime, pass_on, &stations[i]));
    }
    for (uint64_t round = 0; round < rounds; round++) {
        OK(weft_channel_send(channels[0], &token, WEFT_FOREVER));
        OK(weft_channel_recv(channels[STATIONS], &token, WEFT_FOREVER));
    }
    CHECK_INT(token, rounds * STATIONS);
    runtime_end(runtime);
    for (int i = 0; i <= STATIONS; i++)
        weft_channel_release(channels[i]);
}
