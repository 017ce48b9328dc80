/* weft_select: one case of several, chosen fairly, done once; selects that face each other, themselves, and whatever ends waits. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static weft_select_case sending(weft_channel *channel, uint64_t *elem)
{
    return (weft_select_case){.op = WEFT_SELECT_SEND, .handle = channel, .elem = elem, .status = -7};
}

static weft_select_case receiving(weft_channel *channel, uint64_t *elem)
{
    return (weft_select_case){.op = WEFT_SELECT_RECV, .handle = channel, .elem = elem, .status = -7};
}

static void send(weft_channel *channel, uint64_t elem)
{
    OK(weft_channel_send(channel, &elem, WEFT_FOREVER));
}

/* ---- what is ready */

TEST(the_case_that_is_ready_is_done)
{
    weft_channel *channels[3] = {channel_new(8, 4), channel_new(8, 0), channel_new(8, WEFT_UNBOUNDED)};
    uint64_t elems[3] = {7, 7, 7};
    weft_select_case cases[3];
    size_t fired = 9;
    for (int i = 0; i < 3; i++)
        cases[i] = receiving(channels[i], &elems[i]);
    for (int ready = 0; ready < 3; ready += 2) {
        send(channels[ready], 40 + ready);
        OK(weft_select(cases, 3, WEFT_FOREVER, &fired));
        CHECK_INT(fired, ready);
        CHECK_INT(elems[ready], 40 + ready);
        CHECK_INT(cases[ready].status, WEFT_OK);
        CHECK_INT(weft_channel_len(channels[ready]), 0);
    }
    CHECK_INT(elems[1], 7);
    CHECK_INT(cases[1].status, -7);
    for (int i = 0; i < 3; i++)
        weft_channel_release(channels[i]);
}

TEST(a_send_is_a_case)
{
    weft_channel *full = channel_new(8, 1), *free_one = channel_new(8, 2);
    uint64_t one = 1, two = 2, got = 0;
    weft_select_case cases[2] = {sending(full, &one), sending(free_one, &two)};
    size_t fired = 9;
    send(full, 0);
    OK(weft_select(cases, 2, WEFT_FOREVER, &fired));
    CHECK_INT(fired, 1);
    OK(weft_channel_recv(free_one, &got, 0));
    CHECK_INT(got, 2);
    weft_channel_release(full);
    weft_channel_release(free_one);
}

TEST(a_closed_channel_fires_and_says_so)
{
    weft_channel *channel = channel_new(8, 1), *meeting = channel_new(8, 0);
    uint64_t elem = 7;
    size_t fired = 9;
    send(channel, 3);
    weft_channel_close(channel);
    weft_channel_close(meeting);
    weft_select_case receive = receiving(channel, &elem), offer = sending(channel, &elem), meet = receiving(meeting, &elem);
    OK(weft_select(&receive, 1, WEFT_FOREVER, &fired));
    CHECK_INT(receive.status, WEFT_OK);
    CHECK_INT(elem, 3);
    OK(weft_select(&receive, 1, WEFT_FOREVER, &fired));
    CHECK_INT(receive.status, WEFT_CLOSED);
    OK(weft_select(&offer, 1, 0, &fired));
    CHECK_INT(offer.status, WEFT_CLOSED);
    OK(weft_select(&meet, 1, 0, &fired));
    CHECK_INT(meet.status, WEFT_CLOSED);
    CHECK_INT(fired, 0);
    CHECK_INT(elem, 3);
    weft_channel_release(channel);
    weft_channel_release(meeting);
}

TEST(futures_tokens_and_times_are_cases)
{
    weft_promise *promise;
    weft_future *future;
    weft_cancel_token *token;
    size_t fired = 9;
    OK(weft_promise_new(&promise, &future));
    OK(weft_cancel_token_new(NULL, &token));
    weft_select_case cases[3] = {{.op = WEFT_SELECT_FUTURE, .handle = future},
                                 {.op = WEFT_SELECT_CANCEL, .handle = token},
                                 {.op = WEFT_SELECT_TIMER, .arg = INT64_MAX}};
    CHECK_STATUS(weft_select(cases, 3, 0, &fired), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_select(cases, 3, 1000, &fired), WEFT_TIMEOUT);
    cases[2].arg = weft_now() + 1000000;
    OK(weft_select(cases, 3, WEFT_FOREVER, &fired));
    CHECK_INT(fired, 2);
    CHECK(weft_now() >= cases[2].arg);
    cases[2].arg = INT64_MAX;
    OK(weft_promise_reject(promise, WEFT_FAILED, NULL, NULL));
    OK(weft_select(cases, 3, WEFT_FOREVER, &fired));
    CHECK_INT(fired, 0);
    CHECK_INT(cases[0].status, WEFT_OK);
    OK(weft_cancel_token_trigger(token, NULL));
    OK(weft_select(cases + 1, 2, WEFT_FOREVER, &fired));
    CHECK_INT(fired, 0);
    cases[2].arg = INT64_MIN;
    OK(weft_select(cases + 2, 1, 0, &fired));
    weft_promise_release(promise);
    weft_future_release(future);
    weft_cancel_token_release(token);
}

TEST(each_ready_case_gets_its_turn)
{
    enum { CASES = 40, ROUNDS = 4000 };
    weft_channel *channels[CASES];
    weft_select_case cases[CASES];
    uint64_t elem;
    int hits[CASES] = {0};
    for (int i = 0; i < CASES; i++) {
        channels[i] = channel_new(8, 4);
        cases[i] = receiving(channels[i], &elem);
        if (i % 10 == 0)
            send(channels[i], i);
    }
    for (int round = 0; round < ROUNDS; round++) {
        size_t fired = CASES;
        OK(weft_select(cases, CASES, WEFT_FOREVER, &fired));
        REQUIRE(fired < CASES && fired % 10 == 0 && elem == fired);
        hits[fired]++;
        send(channels[fired], fired);
    }
    /* Expected are a thousand each, with a deviation of 27. */
    for (int i = 0; i < CASES; i += 10)
        CHECK(hits[i] > ROUNDS / 8 && hits[i] < ROUNDS / 2);
    for (int i = 0; i < CASES; i++)
        weft_channel_release(channels[i]);
}

static void send_filled(weft_channel *channel, int what)
{
    unsigned char elem[24];
    memset(elem, what, sizeof elem);
    OK(weft_channel_send(channel, elem, WEFT_FOREVER));
}

static void receive_one(void *channel)
{
    unsigned char elem[24];
    OK(weft_channel_recv(channel, elem, WEFT_FOREVER));
}

/* Cases whose channels are not equally quick to be done: none comes second to another. */
TEST(whatever_is_ready_gets_its_turn)
{
    enum { KINDS = 8, ROUNDS = 400 };
    weft_channel *channels[KINDS] = {channel_new(8, 4), channel_new(8, 4), channel_new(24, 4), channel_new(8, 1),
        channel_new(8, WEFT_UNBOUNDED), channel_new(64, 4), channel_new(8, 4), channel_new(8, 0)};
    unsigned char elems[KINDS][64];
    enum { OWNED_BY_ANOTHER = 6, CLOSED = 7 };
    send_filled(channels[OWNED_BY_ANOTHER], 1);
    struct thread thread;
    thread_start(&thread, receive_one, channels[OWNED_BY_ANOTHER]);
    thread_join(&thread);
    weft_channel_close(channels[CLOSED]);
    for (int first = 0; first < KINDS; first++)
        for (int second = 0; second < KINDS; second++) {
            if (first == second)
                continue;
            int which[2] = {first, second}, hits[2] = {0};
            weft_select_case cases[2];
            for (int i = 0; i < 2; i++) {
                cases[i] = (weft_select_case){.op = WEFT_SELECT_RECV, .handle = channels[which[i]], .elem = elems[i]};
                unsigned char elem[64] = {0};
                if (which[i] != CLOSED)
                    OK(weft_channel_send(channels[which[i]], elem, WEFT_FOREVER));
            }
            for (int round = 0; round < ROUNDS; round++) {
                size_t fired = 9;
                unsigned char elem[64] = {0};
                OK(weft_select(cases, 2, WEFT_FOREVER, &fired));
                REQUIRE(fired < 2);
                hits[fired]++;
                CHECK_STATUS(cases[fired].status, which[fired] == CLOSED ? WEFT_CLOSED : WEFT_OK);
                if (which[fired] != CLOSED)
                    OK(weft_channel_send(channels[which[fired]], elem, WEFT_FOREVER));
            }
            /* Expected is a half, with a deviation of 10. */
            if (hits[0] < ROUNDS / 4 || hits[1] < ROUNDS / 4)
                fprintf(stderr, "%d and %d: %d and %d\n", first, second, hits[0], hits[1]);
            CHECK(hits[0] >= ROUNDS / 4 && hits[1] >= ROUNDS / 4);
            for (int i = 0; i < 2; i++) {
                unsigned char elem[64];
                if (which[i] != CLOSED)
                    OK(weft_channel_recv(channels[which[i]], elem, WEFT_FOREVER));
            }
        }
    for (int i = 0; i < KINDS; i++)
        weft_channel_release(channels[i]);
}

/* ---- waiting */

static void select_in_a_thread(void *arg)
{
    weft_select_case *cases = arg;
    size_t fired = 9;
    OK(weft_select(cases, 2, WEFT_FOREVER, &fired));
    CHECK_INT(fired, 1);
}

TEST(a_waiting_select_is_woken_by_any_of_its_cases)
{
    for (size_t capacity = 0; capacity < 3; capacity++) {
        weft_channel *quiet = channel_new(8, capacity), *busy = channel_new(8, capacity);
        uint64_t elem = 0;
        weft_select_case cases[2] = {receiving(quiet, &elem), receiving(busy, &elem)};
        struct thread thread;
        thread_start(&thread, select_in_a_thread, cases);
        send(busy, 5);
        thread_join(&thread);
        CHECK_INT(elem, 5);
        weft_channel_release(quiet);
        weft_channel_release(busy);
    }
}

TEST(a_select_never_meets_itself)
{
    for (size_t capacity = 0; capacity < 2; capacity++) {
        weft_channel *channel = channel_new(8, capacity);
        uint64_t out = 1, in = 7;
        weft_select_case cases[4] = {receiving(channel, &in), sending(channel, &out), receiving(channel, &in), sending(channel, &out)};
        size_t fired = 9;
        if (capacity == 0) {
            CHECK_STATUS(weft_select(cases, 4, 0, &fired), WEFT_WOULD_BLOCK);
            CHECK_STATUS(weft_select(cases, 4, 100000, &fired), WEFT_TIMEOUT);
            CHECK_INT(in, 7);
        } else {
            OK(weft_select(cases, 4, 0, &fired));
            CHECK(fired == 1 || fired == 3);
            OK(weft_select(cases, 4, 0, &fired));
            CHECK(fired == 0 || fired == 2);
            CHECK_INT(in, 1);
        }
        weft_channel_release(channel);
    }
}

/* Two threads that offer each other both directions on two rendezvous. */
enum { MEETINGS = 20000 };

struct facing {
    weft_channel *channels[2];
    uint64_t sent[2], received[2];
};

static void face(size_t index, void *arg)
{
    struct facing *facing = arg;
    unsigned n = under_a_tool() ? MEETINGS / 20 : MEETINGS;
    for (unsigned round = 1; round <= n; round++) {
        uint64_t out = round, in = 0;
        weft_select_case cases[2] = {sending(facing->channels[index], &out), receiving(facing->channels[1 - index], &in)};
        size_t fired = 9;
        OK(weft_select(cases, 2, WEFT_FOREVER, &fired));
        if (fired == 0)
            facing->sent[index] += out;
        else if (CHECK_INT(fired, 1) && CHECK_INT(in, round))
            facing->received[index] += in;
    }
}

TEST(selects_that_face_each_other_meet)
{
    struct facing facing = {.channels = {channel_new(8, 0), channel_new(8, 0)}};
    threads_together(2, face, &facing);
    CHECK_INT(facing.sent[0], facing.received[1]);
    CHECK_INT(facing.sent[1], facing.received[0]);
    for (int i = 0; i < 2; i++)
        weft_channel_release(facing.channels[i]);
}

/* Threads that both send and receive on the same channels, some with deadlines; at the end all that was sent has been received. */
enum { CROWD = 4, CHANNELS = 3 };

struct crowd {
    weft_channel *channels[CHANNELS];
    _Atomic uint64_t sent, received, sent_sum, received_sum;
    atomic_int busy;
};

static void mingle(size_t index, void *arg)
{
    struct crowd *crowd = arg;
    struct random random = {index + 1};
    unsigned n = under_a_tool() ? 300 : 5000;
    for (unsigned round = 0; round < n; round++) {
        uint64_t out[CHANNELS], in = 0;
        weft_select_case cases[2 * CHANNELS];
        size_t fired = 99;
        for (int i = 0; i < CHANNELS; i++) {
            out[i] = random_next(&random) >> 8;
            cases[2 * i] = sending(crowd->channels[i], &out[i]);
            cases[2 * i + 1] = receiving(crowd->channels[i], &in);
        }
        weft_status status = weft_select(cases, 2 * CHANNELS, (int64_t)random_below(&random, 200000), &fired);
        if (status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK) {
            CHECK_INT(in, 0);
            continue;
        }
        CHECK_STATUS(status, WEFT_OK);
        if (fired % 2 == 0) {
            atomic_fetch_add(&crowd->sent, 1);
            atomic_fetch_add(&crowd->sent_sum, out[fired / 2]);
        } else {
            atomic_fetch_add(&crowd->received, 1);
            atomic_fetch_add(&crowd->received_sum, in);
        }
    }
}

static void crowd_on(size_t capacity)
{
    struct crowd crowd = {.busy = CROWD};
    uint64_t elem;
    for (int i = 0; i < CHANNELS; i++)
        crowd.channels[i] = channel_new(8, capacity);
    threads_together(CROWD, mingle, &crowd);
    for (int i = 0; i < CHANNELS; i++) {
        while (weft_channel_recv(crowd.channels[i], &elem, 0) == WEFT_OK) {
            atomic_fetch_add(&crowd.received, 1);
            atomic_fetch_add(&crowd.received_sum, elem);
        }
        weft_channel_release(crowd.channels[i]);
    }
    CHECK(crowd.sent > 0);
    CHECK_INT(crowd.sent, crowd.received);
    CHECK_INT(crowd.sent_sum, crowd.received_sum);
}

TEST(a_crowd_loses_and_doubles_nothing)
{
    crowd_on(0);
    crowd_on(1);
    crowd_on(2);
    crowd_on(WEFT_UNBOUNDED);
}

/* ---- what ends the wait as a whole */

struct cancelled {
    weft_cancel_token *token;
    weft_channel *channel;
    uint64_t kept;
};

static void select_cancelled(weft_worker *worker, void *arg)
{
    struct cancelled *cancelled = arg;
    weft_select_case cases[2] = {sending(cancelled->channel, &cancelled->kept), {.op = WEFT_SELECT_TIMER, .arg = INT64_MAX}};
    size_t fired = 9;
    (void)worker;
    OK(weft_cancel_token_enter(cancelled->token));
    CHECK_STATUS(weft_select(cases, 2, WEFT_FOREVER, &fired), WEFT_CANCELLED);
    CHECK_INT(fired, 9);
    /* The token that ends the wait can be a case as well: which of both is seen first is open. */
    cases[1] = (weft_select_case){.op = WEFT_SELECT_CANCEL, .handle = cancelled->token};
    OK(weft_select(cases, 2, WEFT_FOREVER, &fired));
    CHECK_INT(fired, 1);
    OK(weft_cancel_token_leave(cancelled->token));
}

static void trigger_soon(weft_worker *worker, void *arg)
{
    (void)worker;
    OK(weft_cancel_token_trigger(arg, "enough"));
}

TEST(a_cancelled_select_keeps_its_element)
{
    weft_runtime *runtime = runtime_new(1);
    struct cancelled cancelled = {.channel = channel_new(8, 0), .kept = 11};
    OK(weft_cancel_token_new(NULL, &cancelled.token));
    OK(weft_spawn(runtime, select_cancelled, &cancelled));
    OK(weft_spawn(runtime, trigger_soon, cancelled.token));
    runtime_end(runtime);
    CHECK_INT(cancelled.kept, 11);
    weft_cancel_token_release(cancelled.token);
    weft_channel_release(cancelled.channel);
}

TEST(an_interrupted_select_returns)
{
    weft_thread *self = weft_thread_self();
    weft_channel *channel = channel_new(8, 0);
    uint64_t elem = 7;
    weft_select_case receive = receiving(channel, &elem);
    size_t fired = 9;
    OK(weft_thread_interrupt(self));
    CHECK_STATUS(weft_select(&receive, 1, WEFT_FOREVER, &fired), WEFT_INTERRUPTED);
    CHECK_STATUS(weft_select(&receive, 1, 1, &fired), WEFT_TIMEOUT);
    CHECK_INT(fired, 9);
    weft_thread_release(self);
    weft_channel_release(channel);
}

/* ---- many producers, many consumers, a close */

struct flow {
    weft_channel *channels[CHANNELS];
    _Atomic uint64_t sent, received;
};

static void produce(size_t index, void *arg)
{
    struct flow *flow = arg;
    unsigned n = under_a_tool() ? 500 : 20000;
    for (uint64_t i = 1; i <= n; i++) {
        uint64_t out = i;
        weft_select_case cases[CHANNELS];
        size_t fired;
        for (int c = 0; c < CHANNELS; c++)
            cases[c] = sending(flow->channels[c], &out);
        OK(weft_select(cases, CHANNELS, WEFT_FOREVER, &fired));
        atomic_fetch_add(&flow->sent, out);
    }
    (void)index;
}

static void consume(void *arg)
{
    struct flow *flow = arg;
    weft_select_case cases[CHANNELS];
    uint64_t in;
    size_t open = CHANNELS, fired;
    for (int c = 0; c < CHANNELS; c++)
        cases[c] = receiving(flow->channels[c], &in);
    while (open > 0) {
        OK(weft_select(cases, open, WEFT_FOREVER, &fired));
        if (cases[fired].status == WEFT_OK)
            atomic_fetch_add(&flow->received, in);
        else if (CHECK_INT(cases[fired].status, WEFT_CLOSED))
            cases[fired] = cases[--open];
        else
            break;
    }
}

TEST(all_that_producers_select_consumers_select)
{
    size_t capacities[CHANNELS] = {0, 3, WEFT_UNBOUNDED};
    struct flow flow = {.sent = 0};
    struct thread consumers[2];
    for (int c = 0; c < CHANNELS; c++)
        flow.channels[c] = channel_new(8, capacities[c]);
    for (int i = 0; i < 2; i++)
        thread_start(&consumers[i], consume, &flow);
    threads_together(2, produce, &flow);
    for (int c = 0; c < CHANNELS; c++)
        weft_channel_close(flow.channels[c]);
    for (int i = 0; i < 2; i++)
        thread_join(&consumers[i]);
    CHECK_INT(flow.sent, flow.received);
    for (int c = 0; c < CHANNELS; c++)
        weft_channel_release(flow.channels[c]);
}
