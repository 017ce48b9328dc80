/* Closing while others wait, on threads and in tasks: everyone is woken, blocked senders keep their element.
 *
 * In tasks the waiting is certain: on a runtime with one worker, the task that closes runs only when all others wait.
 */
#include "support.h"

#include <stdlib.h>

enum { WAITERS = 20 };

struct hall {
    weft_channel *channel;
    struct drops drops;
    atomic_int started, closed, ok;
    bool senders;
    int64_t timeout_ns;
    size_t prefilled;
};

static struct hall hall_new(size_t capacity, bool senders, int64_t timeout_ns)
{
    weft_channel_options options;
    struct hall hall = {.senders = senders, .timeout_ns = timeout_ns};
    OK(weft_channel_options_init(&options, sizeof options));
    options.elem_size = 8;
    options.capacity = capacity;
    OK(weft_channel_new(&options, &hall.channel));
    /* A channel that senders wait for is full. */
    for (uint64_t i = 0; senders && i < capacity; i++) {
        OK(weft_channel_send(hall.channel, &i, 0));
        hall.prefilled++;
    }
    return hall;
}

static void close_hall(weft_worker *worker, void *arg)
{
    struct hall *hall = arg;
    CHECK_INT(runtime_stats(weft_worker_runtime(worker)).blocked, WAITERS);
    weft_channel_close(hall->channel);
}

static void wait_in_hall(struct hall *hall)
{
    uint64_t element = 4711;
    weft_status status = hall->senders ? weft_channel_send(hall->channel, &element, hall->timeout_ns)
                                       : weft_channel_recv(hall->channel, &element, hall->timeout_ns);
    CHECK_INT(element, 4711);
    CHECK_STATUS(status, WEFT_CLOSED);
    atomic_fetch_add(status == WEFT_CLOSED ? &hall->closed : &hall->ok, 1);
}

static void wait_in_task(weft_worker *worker, void *arg)
{
    struct hall *hall = arg;
    if (atomic_fetch_add(&hall->started, 1) + 1 == WAITERS)
        OK(weft_spawn(weft_worker_runtime(worker), close_hall, hall));
    wait_in_hall(hall);
}

static void close_wakes_tasks(size_t capacity, bool senders, int64_t timeout_ns)
{
    struct hall hall = hall_new(capacity, senders, timeout_ns);
    weft_runtime *runtime = runtime_new(1);
    uint64_t element;
    for (int i = 0; i < WAITERS; i++)
        OK(weft_spawn(runtime, wait_in_task, &hall));
    runtime_end(runtime);
    CHECK_INT(hall.closed, WAITERS);
    for (size_t i = 0; i < hall.prefilled; i++) {
        OK(weft_channel_recv(hall.channel, &element, 0));
        CHECK_INT(element, i);
    }
    CHECK_STATUS(weft_channel_recv(hall.channel, &element, 0), WEFT_CLOSED);
    weft_channel_release(hall.channel);
}

#define AN_HOUR ((int64_t)3600 * 1000000000)

TEST(close_wakes_receiving_tasks)
{
    static const size_t capacities[] = {0, 1, 1000, WEFT_UNBOUNDED};
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        close_wakes_tasks(capacities[c], false, WEFT_FOREVER);
        close_wakes_tasks(capacities[c], false, AN_HOUR);
    }
}

TEST(close_wakes_sending_tasks_which_keep_their_element)
{
    static const size_t capacities[] = {0, 1, 3};
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        close_wakes_tasks(capacities[c], true, WEFT_FOREVER);
        close_wakes_tasks(capacities[c], true, AN_HOUR);
    }
}

static void wait_on_thread(size_t index, void *arg)
{
    struct hall *hall = arg;
    if (index == 0)
        weft_channel_close(hall->channel);
    else
        wait_in_hall(hall);
}

/* On plain threads the close comes before, while and after the others begin to wait. */
TEST(close_wakes_threads)
{
    static const size_t capacities[] = {0, 1, WEFT_UNBOUNDED};
    int rounds = under_a_tool() ? 20 : 100;
    for (int round = 0; round < rounds; round++) {
        for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
            struct hall hall = hall_new(capacities[c], capacities[c] != WEFT_UNBOUNDED && round % 2 == 0, round % 3 == 0 ? AN_HOUR : WEFT_FOREVER);
            threads_together(5, wait_on_thread, &hall);
            CHECK_INT(hall.closed, 4);
            weft_channel_release(hall.channel);
        }
    }
}

/* ---- elements in flight when the channel closes: each is received, or dropped at the end, or still its sender's */

struct flight {
    weft_channel *channel;
    atomic_uint_fast64_t sent, kept, received;
    atomic_int sent_n, kept_n, received_n;
    uint64_t dropped;
    int dropped_n;
    size_t closes_after;
};

static void drop_in_flight(void *ctx, void *value)
{
    struct flight *flight = ctx;
    flight->dropped += *(uint64_t *)value;
    flight->dropped_n++;
}

static void fly(size_t index, void *arg)
{
    struct flight *flight = arg;
    struct random random = {index};
    for (uint64_t i = 1;; i++) {
        uint64_t element = index * 1000000 + i;
        int64_t timeout = random_below(&random, 3) == 0 ? 1000 : WEFT_FOREVER;
        weft_status status;
        if (index % 2 == 0) {
            status = weft_channel_send(flight->channel, &element, timeout);
            if (status == WEFT_OK) {
                atomic_fetch_add(&flight->sent, element);
                if ((size_t)atomic_fetch_add(&flight->sent_n, 1) == flight->closes_after)
                    weft_channel_close(flight->channel);
            } else {
                CHECK_INT(element, index * 1000000 + i);
                atomic_fetch_add(&flight->kept, element);
                atomic_fetch_add(&flight->kept_n, 1);
            }
        } else {
            status = weft_channel_recv(flight->channel, &element, timeout);
            if (status == WEFT_OK) {
                atomic_fetch_add(&flight->received, element);
                /* The last of them leaves the rest to be dropped. */
                if ((size_t)atomic_fetch_add(&flight->received_n, 1) == flight->closes_after + 2)
                    break;
            }
        }
        if (status == WEFT_CLOSED)
            break;
        CHECK(status == WEFT_OK || (status == WEFT_TIMEOUT && timeout == 1000));
    }
}

TEST(nothing_is_lost_or_doubled_by_a_close)
{
    static const size_t capacities[] = {0, 1, 7, 1000, WEFT_UNBOUNDED};
    int rounds = under_a_tool() ? 5 : 40;
    for (int round = 0; round < rounds; round++) {
        for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
            struct flight flight = {.closes_after = 200 + (size_t)round};
            weft_channel_options options;
            OK(weft_channel_options_init(&options, sizeof options));
            options.elem_size = 8;
            options.capacity = capacities[c];
            options.drop = drop_in_flight;
            options.drop_ctx = &flight;
            OK(weft_channel_new(&options, &flight.channel));
            threads_together(6, fly, &flight);
            weft_channel_release(flight.channel);
            CHECK_INT(flight.received_n + flight.dropped_n, flight.sent_n);
            CHECK_INT(flight.received + flight.dropped, flight.sent);
        }
    }
}
