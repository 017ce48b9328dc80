/* Channels with someone waiting in them: calls that may not block meet the waiting partner, or leave it what it waits for, elements pass by every way there is, and a
 * wait that gave up leaves nothing behind.
 *
 * Certainty about who waits comes from a runtime with one worker: the second task runs only while the first waits.
 */
#include "support.h"

#include <sched.h>

struct scene {
    weft_channel *channel;
    weft_task_fn second;
    uint64_t element;
    weft_status status;
    int64_t timeout_ns;
};

static void receive_first(weft_worker *worker, void *arg)
{
    struct scene *scene = arg;
    OK(weft_spawn(weft_worker_runtime(worker), scene->second, scene));
    scene->status = weft_channel_recv(scene->channel, &scene->element, scene->timeout_ns);
}

static void send_first(weft_worker *worker, void *arg)
{
    struct scene *scene = arg;
    uint64_t element = 30;
    OK(weft_spawn(weft_worker_runtime(worker), scene->second, scene));
    scene->status = weft_channel_send(scene->channel, &element, scene->timeout_ns);
    CHECK_INT(element, 30);
}

/* Plays `first` and, while it waits, `second`; then whatever the test looks at is in the scene. */
static struct scene play(weft_channel *channel, weft_task_fn first, weft_task_fn second, int64_t timeout_ns)
{
    struct scene scene = {channel, second, 99, WEFT_OK, timeout_ns};
    weft_runtime *runtime = runtime_new(1);
    OK(weft_spawn(runtime, first, &scene));
    runtime_end(runtime);
    return scene;
}

static void try_to_send(weft_worker *worker, void *arg)
{
    struct scene *scene = arg;
    uint64_t element = 41;
    (void)worker;
    CHECK_INT(weft_channel_len(scene->channel), 0);
    CHECK_STATUS(weft_channel_send(scene->channel, &element, 0), WEFT_OK);
    /* Up to a capacity of 1 it is in the receiver's hands already; else the receiver is told to come for it. */
    if (weft_channel_capacity(scene->channel) <= 1)
        CHECK_INT(weft_channel_len(scene->channel), 0);
}

TEST(a_send_that_may_not_block_meets_a_waiting_receiver)
{
    static const size_t capacities[] = {0, 1, 1000, WEFT_UNBOUNDED};
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        weft_channel *channel = channel_new(8, capacities[c]);
        struct scene scene = play(channel, receive_first, try_to_send, WEFT_FOREVER);
        CHECK_STATUS(scene.status, WEFT_OK);
        CHECK_INT(scene.element, 41);
        weft_channel_release(channel);
    }
}

/* The channel holds 0, 1, ... up to its capacity, and the waiting sender's 30 comes after them. */
static void try_to_receive(weft_worker *worker, void *arg)
{
    struct scene *scene = arg;
    size_t capacity = weft_channel_capacity(scene->channel);
    uint64_t element = 99;
    (void)worker;
    for (uint64_t i = 0; i < capacity; i++) {
        CHECK_STATUS(weft_channel_recv(scene->channel, &element, 0), WEFT_OK);
        CHECK_INT(element, i);
    }
    /* Up to a capacity of 1 the waiting element has moved up; else its sender has been told that there is room. */
    CHECK_STATUS(weft_channel_recv(scene->channel, &element, capacity <= 1 ? 0 : WEFT_FOREVER), WEFT_OK);
    CHECK_INT(element, 30);
    CHECK_STATUS(weft_channel_recv(scene->channel, &element, 0), WEFT_WOULD_BLOCK);
}

static weft_channel *full_channel(size_t capacity)
{
    weft_channel *channel = channel_new(8, capacity);
    for (uint64_t i = 0; i < capacity; i++)
        OK(weft_channel_send(channel, &i, 0));
    return channel;
}

TEST(a_receive_that_may_not_block_meets_a_waiting_sender)
{
    for (size_t capacity = 0; capacity < 4; capacity++) {
        weft_channel *channel = full_channel(capacity);
        struct scene scene = play(channel, send_first, try_to_receive, WEFT_FOREVER);
        CHECK_STATUS(scene.status, WEFT_OK);
        weft_channel_release(channel);
    }
}

/* What is not in the channel yet does not overtake what waits: the new element is refused, or comes after. */
static void send_after_the_waiting_one(weft_worker *worker, void *arg)
{
    struct scene *scene = arg;
    uint64_t late = 50, element = 99;
    (void)worker;
    CHECK_STATUS(weft_channel_send(scene->channel, &late, 0), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_channel_recv(scene->channel, &element, 0), WEFT_OK);
    CHECK_INT(element, 0);
    CHECK_STATUS(weft_channel_send(scene->channel, &late, 0), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_channel_recv(scene->channel, &element, 0), WEFT_OK);
    CHECK_INT(element, 30);
    CHECK_STATUS(weft_channel_send(scene->channel, &late, 0), WEFT_OK);
}

TEST(nobody_overtakes_a_waiting_sender)
{
    weft_channel *channel = full_channel(1);
    struct scene scene = play(channel, send_first, send_after_the_waiting_one, WEFT_FOREVER);
    CHECK_STATUS(scene.status, WEFT_OK);
    CHECK_INT(weft_channel_len(channel), 1);
    weft_channel_release(channel);
}

/* ---- waits that give up */

static void nothing(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
}

TEST(a_receiver_that_gave_up_is_met_by_nobody)
{
    weft_channel *channel = channel_new(8, 0);
    uint64_t element = 7;
    struct scene scene = play(channel, receive_first, nothing, 2000000);
    CHECK_STATUS(scene.status, WEFT_TIMEOUT);
    CHECK_INT(scene.element, 99);
    CHECK_STATUS(weft_channel_send(channel, &element, 0), WEFT_WOULD_BLOCK);
    weft_channel_release(channel);
}

TEST(a_sender_that_gave_up_leaves_no_element)
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        weft_channel *channel = full_channel(capacity);
        uint64_t element = 99;
        struct scene scene = play(channel, send_first, nothing, 2000000);
        CHECK_STATUS(scene.status, WEFT_TIMEOUT);
        CHECK_INT(weft_channel_len(channel), capacity);
        for (uint64_t i = 0; i < capacity; i++) {
            OK(weft_channel_recv(channel, &element, 0));
            CHECK_INT(element, i);
        }
        CHECK_STATUS(weft_channel_recv(channel, &element, 0), WEFT_WOULD_BLOCK);
        weft_channel_release(channel);
    }
}

/* ---- patience that ends just then: the timeout of one side races with the other side's call, again and again */

struct race {
    weft_channel *channel;
    uint64_t n;
    atomic_uint_fast64_t sent, received, sum_sent, sum_received;
};

static void trade_with_little_patience(size_t index, void *arg)
{
    struct race *race = arg;
    struct random random = {index};
    for (uint64_t i = 1; i <= race->n; i++) {
        uint64_t element = i;
        int64_t timeout = 1 + (int64_t)random_below(&random, 30000);
        weft_status status = index == 0 ? weft_channel_send(race->channel, &element, timeout)
                                        : weft_channel_recv(race->channel, &element, timeout);
        CHECK(status == WEFT_OK || status == WEFT_TIMEOUT);
        if (status == WEFT_OK) {
            atomic_fetch_add(index == 0 ? &race->sent : &race->received, 1);
            atomic_fetch_add(index == 0 ? &race->sum_sent : &race->sum_received, element);
        } else {
            CHECK_INT(element, i);
        }
    }
}

TEST(timeouts_race_with_partners)
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        struct race race = {.channel = channel_new(8, capacity), .n = under_a_tool() ? 500 : 5000};
        uint64_t element;
        threads_together(2, trade_with_little_patience, &race);
        while (weft_channel_recv(race.channel, &element, 0) == WEFT_OK) {
            race.received++;
            race.sum_received += element;
        }
        CHECK_INT(race.sent, race.received);
        CHECK_INT(race.sum_sent, race.sum_received);
        weft_channel_release(race.channel);
    }
}

/* ---- the last release while others wait */

struct left_alone {
    weft_channel *channel;
    bool sends, selects;
    uint64_t elem;
    weft_status status;
};

static void wait_without_a_reference(void *arg)
{
    struct left_alone *it = arg;
    if (it->selects) {
        weft_select_case cases[2] = {{.op = it->sends ? WEFT_SELECT_SEND : WEFT_SELECT_RECV, .handle = it->channel, .elem = &it->elem},
                                     {.op = WEFT_SELECT_TIMER, .arg = INT64_MAX}};
        size_t fired = 9;
        CHECK_STATUS(weft_select(cases, 2, WEFT_FOREVER, &fired), WEFT_OK);
        CHECK_INT(fired, 0);
        it->status = cases[0].status;
    } else {
        it->status = it->sends ? weft_channel_send(it->channel, &it->elem, WEFT_FOREVER)
                               : weft_channel_recv(it->channel, &it->elem, WEFT_FOREVER);
    }
}

TEST(the_last_release_sends_those_home_who_wait)
{
    for (int kind = 0; kind < 12; kind++) {
        struct left_alone waits[2];
        struct thread threads[2];
        size_t capacity = (size_t)(kind % 3), senders = 0, receivers = 0;
        weft_channel *channel = channel_new(8, capacity);
        bool sends = kind / 3 % 2, selects = kind / 6;
        for (uint64_t elem = 0; sends && elem < capacity; elem++)
            OK(weft_channel_send(channel, &elem, 0));
        for (int i = 0; i < 2; i++) {
            waits[i] = (struct left_alone){.channel = channel, .sends = sends, .selects = selects, .elem = 7};
            thread_start(&threads[i], wait_without_a_reference, &waits[i]);
        }
        while (senders + receivers < 2) {
            sched_yield();
            OK(weft_channel_waiting(channel, &senders, &receivers));
        }
        weft_channel_release(channel);
        for (int i = 0; i < 2; i++) {
            thread_join(&threads[i]);
            CHECK_INT(waits[i].status, WEFT_CLOSED);
            CHECK_INT(waits[i].elem, 7);
        }
    }
}
