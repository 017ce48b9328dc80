/* weft_select_poll: poll tasks that wait for several things at once. */
#include "support.h"

#include <stdlib.h>

/* A task that receives from two channels until both are closed. */
struct merge {
    weft_channel *channels[2];
    weft_select_case cases[2];
    uint64_t in, sum;
    size_t open, polls;
};

static weft_status merge(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    struct merge *merge = state;
    size_t fired;
    weft_status status;
    (void)worker;
    merge->polls++;
    while (merge->open > 0) {
        if ((status = weft_select_poll(merge->cases, merge->open, waker, &fired)) != WEFT_OK)
            return status;
        if (merge->cases[fired].status == WEFT_OK)
            merge->sum += merge->in;
        else
            merge->cases[fired] = merge->cases[--merge->open];
    }
    *result = (void *)(uintptr_t)merge->sum;
    return WEFT_OK;
}

static void begin(struct merge *it, size_t capacity)
{
    *it = (struct merge){.open = 2};
    for (int i = 0; i < 2; i++) {
        it->channels[i] = channel_new(8, capacity);
        it->cases[i] = (weft_select_case){.op = WEFT_SELECT_RECV, .handle = it->channels[i], .elem = &it->in};
    }
}

static void feed(size_t index, void *arg)
{
    struct merge *it = arg;
    unsigned n = under_a_tool() ? 200 : 5000;
    for (uint64_t i = 1; i <= n; i++)
        OK(weft_channel_send(it->channels[index], &i, WEFT_FOREVER));
    weft_channel_close(it->channels[index]);
}

TEST(a_poll_task_merges_channels)
{
    size_t capacities[] = {0, 1, 5, WEFT_UNBOUNDED};
    weft_runtime *runtime = runtime_new(1);
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        struct merge it;
        weft_future *future;
        void *sum;
        uint64_t n = under_a_tool() ? 200 : 5000;
        begin(&it, capacities[i]);
        OK(weft_spawn_poll(runtime, merge, &it, NULL, &future));
        threads_together(2, feed, &it);
        OK(weft_future_get(future, WEFT_FOREVER, &sum));
        CHECK_INT((uintptr_t)sum, n * (n + 1));
        weft_future_release(future);
        for (int c = 0; c < 2; c++)
            weft_channel_release(it.channels[c]);
    }
    runtime_end(runtime);
}

/* Two tasks on one worker that offer each other both directions of a rendezvous. */
struct partner {
    weft_channel *send, *receive;
    weft_select_case cases[2];
    uint64_t out, in;
    unsigned rounds, sent, received;
};

static weft_status dance(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    struct partner *partner = state;
    size_t fired;
    weft_status status;
    (void)worker, (void)result;
    while (partner->rounds > 0) {
        partner->cases[0].op = WEFT_SELECT_SEND;
        partner->cases[0].handle = partner->send;
        partner->cases[0].elem = &partner->out;
        partner->cases[1].op = WEFT_SELECT_RECV;
        partner->cases[1].handle = partner->receive;
        partner->cases[1].elem = &partner->in;
        if ((status = weft_select_poll(partner->cases, 2, waker, &fired)) != WEFT_OK)
            return status;
        partner->rounds--;
        if (fired == 0)
            partner->sent++;
        else
            partner->received++;
    }
    return WEFT_OK;
}

TEST(poll_tasks_meet_at_a_rendezvous)
{
    weft_runtime *runtime = runtime_new(1);
    weft_channel *one = channel_new(8, 0), *two = channel_new(8, 0);
    struct partner partners[2] = {{.send = one, .receive = two, .rounds = 1000}, {.send = two, .receive = one, .rounds = 1000}};
    weft_future *futures[2];
    for (int i = 0; i < 2; i++)
        OK(weft_spawn_poll(runtime, dance, &partners[i], NULL, &futures[i]));
    for (int i = 0; i < 2; i++) {
        OK(weft_future_wait(futures[i], WEFT_FOREVER));
        weft_future_release(futures[i]);
    }
    CHECK_INT(partners[0].sent, partners[1].received);
    CHECK_INT(partners[1].sent, partners[0].received);
    runtime_end(runtime);
    weft_channel_release(one);
    weft_channel_release(two);
}

/* All that is no channel, one after the other. */
struct others {
    weft_future *future;
    weft_cancel_token *token;
    weft_select_case cases[3];
    size_t left;
    unsigned seen;
};

static weft_status watch_others(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    struct others *others = state;
    size_t fired;
    weft_status status;
    (void)worker, (void)result;
    while (others->left > 0) {
        if ((status = weft_select_poll(others->cases, others->left, waker, &fired)) != WEFT_OK)
            return status;
        if (others->cases[fired].op == WEFT_SELECT_TIMER)
            CHECK(weft_now() >= others->cases[fired].arg);
        others->seen |= 1u << others->cases[fired].op;
        others->cases[fired] = others->cases[--others->left];
    }
    return WEFT_OK;
}

TEST(futures_tokens_and_times)
{
    weft_runtime *runtime = runtime_new(1);
    struct others others = {.left = 3};
    weft_promise *promise;
    weft_future *future;
    OK(weft_promise_new(&promise, &others.future));
    OK(weft_cancel_token_new(NULL, &others.token));
    others.cases[0] = (weft_select_case){.op = WEFT_SELECT_FUTURE, .handle = others.future};
    others.cases[1] = (weft_select_case){.op = WEFT_SELECT_CANCEL, .handle = others.token};
    others.cases[2] = (weft_select_case){.op = WEFT_SELECT_TIMER, .arg = weft_now() + 2000000};
    OK(weft_spawn_poll(runtime, watch_others, &others, NULL, &future));
    OK(weft_promise_resolve(promise, NULL, NULL, NULL));
    OK(weft_cancel_token_trigger(others.token, NULL));
    OK(weft_future_wait(future, WEFT_FOREVER));
    CHECK_INT(others.seen, 1u << WEFT_SELECT_FUTURE | 1u << WEFT_SELECT_CANCEL | 1u << WEFT_SELECT_TIMER);
    weft_promise_release(promise);
    weft_future_release(others.future);
    weft_future_release(future);
    weft_cancel_token_release(others.token);
    runtime_end(runtime);
}

/* A task that begins a select and ends it: the element is the caller's again, or has been taken. */
struct ended {
    weft_channel *channel;
    weft_select_case offer;
    uint64_t out;
    atomic_int sent;
    gate waits;
};

static weft_status offer_and_end(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    struct ended *ended = state;
    size_t fired = 9;
    weft_status status;
    (void)worker, (void)result;
    ended->offer = (weft_select_case){.op = WEFT_SELECT_SEND, .handle = ended->channel, .elem = &ended->out};
    CHECK_STATUS(weft_select_poll(&ended->offer, 1, waker, &fired), WEFT_WOULD_BLOCK);
    gate_open(&ended->waits);
    status = weft_select_poll_end(&ended->offer, 1, &fired);
    if (status == WEFT_OK)
        atomic_store(&ended->sent, 1);
    else
        CHECK_STATUS(status, WEFT_WOULD_BLOCK);
    return WEFT_OK;
}

TEST(an_ended_select_has_sent_or_not)
{
    weft_runtime *runtime = runtime_new(1);
    for (int round = 0; round < (under_a_tool() ? 20 : 500); round++) {
        struct ended ended = {.channel = channel_new(8, 0), .out = 5, .waits = GATE_INIT};
        weft_future *future;
        uint64_t in = 0;
        OK(weft_spawn_poll(runtime, offer_and_end, &ended, NULL, &future));
        gate_wait(&ended.waits);
        weft_status got = weft_channel_recv(ended.channel, &in, 0);
        OK(weft_future_wait(future, WEFT_FOREVER));
        CHECK_INT(got == WEFT_OK, atomic_load(&ended.sent));
        CHECK_INT(in, got == WEFT_OK ? 5 : 0);
        weft_future_release(future);
        weft_channel_release(ended.channel);
    }
    runtime_end(runtime);
}
