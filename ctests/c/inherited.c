/* See inherited.h. */
#include "inherited.h"

#include <stdlib.h>
#include <string.h>

static const int64_t timeouts[] = {WEFT_FOREVER, 0, 1000};

static weft_status wait_in_a_select(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    struct poller *poller = state;
    size_t fired = 9;
    (void)worker;
    (void)result;
    if (poller->waker == NULL)
        poller->waker = weft_waker_clone(waker);
    if (atomic_load(&poller->stop) == 0) {
        CHECK_STATUS(weft_select_poll(poller->cases, poller->n, waker, &fired), WEFT_WOULD_BLOCK);
        gate_open(&poller->waits);
        return WEFT_WOULD_BLOCK;
    }
    CHECK_STATUS(weft_select_poll_end(poller->cases, poller->n, &fired), WEFT_WOULD_BLOCK);
    return WEFT_OK;
}

void settled(weft_future *future, void *arg)
{
    (void)future;
    atomic_fetch_add((atomic_int *)arg, 1);
}

struct inherited *everything(void)
{
    static const struct poller fresh = {.waits = GATE_INIT};
    struct inherited *all = calloc(1, sizeof *all);
    weft_promise *promise = NULL;
    uint64_t element = 1;
    REQUIRE(all != NULL);
    all->runtime = runtime_new(2);
    all->channel = channel_new(8, 4);
    all->empty = channel_new(8, 1);
    all->tags = channel_new(8, WEFT_UNBOUNDED);
    OK(weft_channel_ends(NULL, &all->sender, &all->receiver));
    OK(weft_channel_send(all->channel, &element, 0));
    OK(weft_promise_new(&all->promise, &all->future));
    OK(weft_promise_new(&promise, &all->failed));
    OK(weft_promise_reject(promise, WEFT_FAILED, "as arranged", NULL));
    weft_promise_release(promise);
    OK(weft_future_all(&all->failed, 1, &all->of_failed));
    all->error = weft_future_error(all->of_failed);
    CHECK_STR(weft_error_text(weft_error_cause(all->error)), "as arranged");
    OK(weft_future_all(&all->future, 1, &all->all));
    OK(weft_future_race(&all->future, 1, &all->race));
    OK(weft_future_delay(WEFT_FOREVER, &all->later));
    OK(weft_cancel_token_new(NULL, &all->token));
    all->thread = weft_thread_self();
    REQUIRE(all->thread != NULL);
    OK(weft_future_on_settled(all->future, settled, &all->settled, drop_count, &all->drops, &all->watch));
    all->ends = pipe_new();
    all->told = (struct told)TOLD_INIT;
    all->fd_watch = watch_new(all->ends.one, READS, &all->told, &all->drops);
    for (int i = 0; i < 2; i++) {
        struct poller *poller = &all->pollers[i];
        *poller = fresh;
        poller->n = (size_t)i + 1;
        poller->cases[0] = (weft_select_case){.op = WEFT_SELECT_TIMER, .arg = weft_deadline(INT64_C(3600000000000))};
        poller->cases[1] = (weft_select_case){.op = WEFT_SELECT_RECV, .handle = all->empty, .elem = &poller->element};
        OK(weft_spawn_poll(all->runtime, wait_in_a_select, poller, NULL, &all->polled[i]));
        gate_wait(&poller->waits);
    }
    return all;
}

void still_work(struct inherited *all)
{
    void *value = NULL;
    uint64_t element = 0;
    CHECK(!weft_promise_cancelled(all->promise));
    CHECK_INT(weft_future_state(all->later), WEFT_FUTURE_PENDING);
    CHECK_INT(atomic_load(&all->settled), 0);
    CHECK_INT(all->drops.count, 0);
    OK(weft_promise_resolve(all->promise, all, NULL, NULL));
    OK(weft_future_get(all->race, WEFT_FOREVER, &value));
    CHECK(value == all);
    OK(weft_future_wait(all->all, WEFT_FOREVER));
    CHECK_INT(atomic_load(&all->settled), 1);
    write_byte(all->ends.other);
    tally_wait(&all->told.calls, 1);
    CHECK_INT(weft_channel_len(all->channel), 1);
    OK(weft_channel_recv(all->channel, &element, 0));
    CHECK_INT(element, 1);
    CHECK_INT(weft_channel_len(all->tags), 0);
    OK(weft_channel_send(weft_sender_channel(all->sender), &all, 0));
    OK(weft_channel_recv(weft_receiver_channel(all->receiver), &value, 0));
    CHECK(value == all);
    CHECK_STATUS(weft_channel_recv(all->empty, &element, 1), WEFT_TIMEOUT);
    for (int i = 0; i < 2; i++) {
        atomic_store(&all->pollers[i].stop, 1);
        weft_waker_wake(all->pollers[i].waker);
        OK(weft_future_wait(all->polled[i], WEFT_FOREVER));
    }
}

void forget(struct inherited *all)
{
    weft_channel_release(all->channel);
    weft_channel_release(all->empty);
    weft_channel_release(all->tags);
    weft_sender_release(all->sender);
    weft_receiver_release(all->receiver);
    weft_promise_release(all->promise);
    weft_future *futures[] = {all->future, all->failed, all->of_failed, all->all, all->race, all->later, all->polled[0], all->polled[1]};
    for (size_t i = 0; i < sizeof futures / sizeof *futures; i++)
        weft_future_release(futures[i]);
    weft_cancel_token_release(all->token);
    weft_thread_release(all->thread);
    weft_watch_release(all->watch);
    weft_watch_release(all->fd_watch);
    for (int i = 0; i < 2; i++)
        weft_waker_release(all->pollers[i].waker);
    close_both(all->ends);
}

void end_all(struct inherited *all)
{
    forget(all);
    runtime_end(all->runtime);
    free(all);
}

/* ---- what is inherited */

static void inherited_channels(struct inherited *all)
{
    uint64_t elements[2] = {7, 7};
    size_t count = 9, senders = 9;
    int32_t fd = -9;
    for (int i = 0; i < 3; i++) {
        CHECK_FORKED(weft_channel_send(all->channel, elements, timeouts[i]));
        CHECK_FORKED(weft_channel_recv(all->channel, elements, timeouts[i]));
        count = 9;
        CHECK_FORKED(weft_channel_send_batch(all->channel, elements, 2, timeouts[i], &count));
        CHECK_INT(count, 0);
        count = 9;
        CHECK_FORKED(weft_channel_recv_batch(all->channel, elements, 2, timeouts[i], &count));
        CHECK_INT(count, 0);
        CHECK_FORKED(weft_channel_recv_batch(all->channel, NULL, 0, timeouts[i], &count));
    }
    CHECK_FORKED(weft_channel_fd(all->channel, WEFT_SELECT_RECV, &fd));
    CHECK_FORKED(weft_channel_fd(all->channel, WEFT_SELECT_SEND, &fd));
    CHECK_FORKED(weft_channel_waiting(all->channel, &senders, NULL));
    CHECK_NULL(weft_sender_channel(all->sender), "fork");
    CHECK_NULL(weft_sender_retain(all->sender), "fork");
    CHECK_NULL(weft_receiver_channel(all->receiver), "fork");
    CHECK_NULL(weft_receiver_retain(all->receiver), "fork");
    CHECK(elements[0] == 7 && elements[1] == 7 && senders == 9 && fd == -9);
}

static void never_settled(weft_future *future, void *arg)
{
    (void)future;
    (void)arg;
    CHECK(!"a callback of the parent's, or one that was refused");
}

static weft_status never_then(weft_worker *worker, void *value, void *arg, void **result)
{
    (void)worker;
    (void)value;
    (void)arg;
    (void)result;
    CHECK(!"a then that was refused");
    return WEFT_OK;
}

static weft_status never_poll(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    (void)waker;
    return never_then(worker, NULL, state, result);
}

static void inherited_futures(struct inherited *all)
{
    struct drops drops = {0};
    weft_future *out = SENTINEL;
    weft_watch *watch = SENTINEL;
    size_t index = 9;
    int fd = -9;
    CHECK_FORKED(weft_future_then(all->future, NULL, never_then, NULL, NULL, &out));
    CHECK_FORKED(weft_future_then(all->future, all->runtime, never_then, NULL, NULL, &out));
    CHECK_FORKED(weft_future_all(&all->future, 1, &out));
    CHECK_FORKED(weft_future_any(&all->future, 1, &out));
    CHECK_FORKED(weft_future_race(&all->future, 1, &out));
    CHECK_FORKED(weft_future_winner(all->race, &index));
    for (int i = 0; i < 3; i++) {
        CHECK_FORKED(weft_future_wait(all->all, timeouts[i]));
        CHECK_FORKED(weft_future_timeout(all->future, timeouts[i], &out));
    }
    CHECK_FORKED(weft_future_notify(all->future, all->tags, 7));
    CHECK_FORKED(weft_future_fd(all->future, &fd));
    CHECK_FORKED(weft_future_on_settled(all->failed, never_settled, NULL, drop_count, &drops, &watch));
    CHECK_FORKED(weft_watch_off(all->watch));
    CHECK_NULL(weft_watch_retain(all->watch), "fork");
    CHECK_FORKED(weft_watch_off(all->fd_watch));
    harness_forget_message();
    weft_future_cancel(all->future);
    CHECK_HAS(weft_error_message(), "fork");
    weft_future_cancel(all->later);
    CHECK_NEUTRAL(weft_promise_cancelled(all->promise), false, "fork");
    CHECK_NULL(weft_error_cause(all->error), "fork");
    CHECK_INT(weft_error_status(all->error), WEFT_INVALID);
    CHECK_FORKED(weft_spawn_poll(all->runtime, never_poll, NULL, NULL, &out));
    CHECK_NULL(weft_waker_clone(all->pollers[0].waker), "fork");
    harness_forget_message();
    weft_waker_wake(all->pollers[0].waker);
    CHECK_HAS(weft_error_message(), "fork");
    CHECK_FORKED(weft_thread_interrupt(all->thread));
    CHECK_NULL(weft_thread_retain(all->thread), "fork");
    CHECK(out == SENTINEL && watch == SENTINEL && index == 9 && fd == -9);
    CHECK_INT(drops.count, 0);
}

static void inherited_selects(struct inherited *all)
{
    uint64_t element = 7;
    weft_select_case cases[] = {
        {.op = WEFT_SELECT_RECV, .handle = all->channel, .elem = &element},
        {.op = WEFT_SELECT_SEND, .handle = all->channel, .elem = &element},
        {.op = WEFT_SELECT_FUTURE, .handle = all->failed},
        {.op = WEFT_SELECT_CANCEL, .handle = all->token},
    };
    size_t fired = 9;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cases[i].status = 77;
        for (int t = 0; t < 3; t++)
            CHECK_FORKED(weft_select(&cases[i], 1, timeouts[t], &fired));
        CHECK_FORKED(weft_select_poll(&cases[i], 1, all->pollers[0].waker, &fired));
        CHECK_FORKED(weft_select_poll_end(&cases[i], 1, &fired));
        CHECK_INT(cases[i].status, 77);
    }
    /* A wait that the parent has begun: with a case that no handle belongs to, and with one of the parent's. */
    for (int i = 0; i < 2; i++) {
        struct poller *poller = &all->pollers[i];
        CHECK_FORKED(weft_select_poll(poller->cases, poller->n, poller->waker, &fired));
        CHECK_FORKED(weft_select_poll_end(poller->cases, poller->n, &fired));
    }
    CHECK_INT(element, 7);
    CHECK_INT(fired, 9);
}

void inherited_answer_forked(struct inherited *all)
{
    inherited_channels(all);
    inherited_futures(all);
    inherited_selects(all);
}

void new_things_are_refused(void)
{
    weft_sender *sender = SENTINEL;
    weft_receiver *receiver = SENTINEL;
    weft_future *out = SENTINEL;
    weft_watch *watch = SENTINEL;
    struct ends ends = pipe_new();
    weft_select_case timer = {.op = WEFT_SELECT_TIMER, .arg = INT64_MAX};
    size_t fired = 9;
    CHECK_FORKED(weft_channel_ends(NULL, &sender, &receiver));
    CHECK_FORKED(weft_future_ready(NULL, NULL, NULL, &out));
    CHECK_FORKED(weft_future_failed(WEFT_FAILED, NULL, &out));
    CHECK_FORKED(weft_future_all(NULL, 0, &out));
    CHECK_FORKED(weft_future_delay(0, &out));
    CHECK_FORKED(weft_future_delay(WEFT_FOREVER, &out));
    CHECK_FORKED(weft_spawn_poll(NULL, never_poll, NULL, NULL, &out));
    CHECK_FORKED(weft_fd_watch(NULL, ends.one, READS, note, NULL, NULL, NULL, &watch));
    CHECK_FORKED(weft_select_poll_end(&timer, 1, &fired));
    CHECK_NULL(weft_thread_self(), "fork");
    CHECK(sender == SENTINEL && receiver == SENTINEL && out == SENTINEL && watch == SENTINEL && fired == 9);
    close_both(ends);
}

/* ---- what is one's own */

static weft_status select_in_a_task(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    struct poller *poller = state;
    size_t fired = 9;
    (void)worker;
    weft_status status = weft_select_poll(poller->cases, poller->n, waker, &fired);
    if (status != WEFT_OK) {
        gate_open(&poller->waits);
        return status;
    }
    CHECK_INT(fired, 1);
    *result = poller;
    return WEFT_OK;
}

static weft_status pass_on(weft_worker *worker, void *value, void *arg, void **result)
{
    (void)worker;
    (void)arg;
    *result = value;
    return WEFT_OK;
}

static void interrupt_after(void *arg)
{
    OK(weft_thread_interrupt(arg));
}

static void own_channels(void)
{
    weft_sender *sender = NULL;
    weft_receiver *receiver = NULL;
    void *elements[3] = {&sender, &receiver, elements}, *got[3] = {NULL, NULL, NULL};
    size_t count = 0, waiting = 9;
    int32_t fd = -1;
    OK(weft_channel_ends(NULL, &sender, &receiver));
    weft_channel *channel = weft_sender_channel(sender);
    OK(weft_channel_fd(channel, WEFT_SELECT_RECV, &fd));
    OK(weft_channel_send_batch(channel, elements, 3, WEFT_FOREVER, &count));
    CHECK_INT(count, 3);
    CHECK_INT(events_of(fd, READS), WEFT_FD_READABLE);
    OK(weft_channel_recv_batch(channel, got, 3, WEFT_FOREVER, &count));
    CHECK(count == 3 && memcmp(elements, got, sizeof got) == 0);
    OK(weft_channel_waiting(channel, &waiting, NULL));
    CHECK_INT(waiting, 0);
    weft_sender_release(sender);
    CHECK_STATUS(weft_channel_recv(weft_receiver_channel(receiver), got, WEFT_FOREVER), WEFT_CLOSED);
    weft_receiver_release(receiver);
}

static void own_futures(weft_runtime *runtime)
{
    weft_promise *promise = NULL;
    weft_future *future = NULL, *then = NULL, *all = NULL, *race = NULL, *timeout = NULL, *delay = NULL, *failed = NULL, *any = NULL;
    weft_channel *tags = channel_new(8, WEFT_UNBOUNDED);
    struct drops drops = {0};
    atomic_int told = 0;
    weft_watch *watch = NULL;
    void *value = NULL;
    uint64_t tag = 0;
    size_t winner = 9;
    int fd = -1;
    OK(weft_promise_new(&promise, &future));
    OK(weft_future_then(future, runtime, pass_on, NULL, NULL, &then));
    OK(weft_future_all((weft_future *[]){future, then}, 2, &all));
    OK(weft_future_timeout(then, WEFT_FOREVER, &timeout));
    OK(weft_future_failed(WEFT_FAILED, "as arranged", &failed));
    OK(weft_future_any((weft_future *[]){failed, timeout}, 2, &any));
    OK(weft_future_delay(WEFT_FOREVER, &delay));
    OK(weft_future_race((weft_future *[]){delay, future}, 2, &race));
    OK(weft_future_notify(all, tags, 7));
    OK(weft_future_fd(all, &fd));
    OK(weft_future_on_settled(all, settled, &told, drop_count, &drops, NULL));
    OK(weft_future_on_settled(all, settled, &told, drop_count, &drops, &watch));
    OK(weft_watch_off(watch));
    weft_watch_release(watch);
    OK(weft_promise_resolve(promise, &drops, NULL, NULL));
    OK(weft_future_wait(any, WEFT_FOREVER));
    OK(weft_channel_recv(tags, &tag, WEFT_FOREVER));
    CHECK_INT(tag, 7);
    CHECK_INT(events_of(fd, READS), WEFT_FD_READABLE);
    OK(weft_future_winner(race, &winner));
    CHECK_INT(winner, 1);
    OK(weft_future_get(any, WEFT_FOREVER, &value));
    CHECK(value == &drops);
    OK(weft_future_winner(any, &winner));
    CHECK_INT(winner, 1);
    weft_future_cancel(delay);
    CHECK_INT(weft_future_state(delay), WEFT_FUTURE_CANCELLED);
    weft_future_release(delay);
    OK(weft_future_delay(1, &delay));
    OK(weft_future_wait(delay, WEFT_FOREVER));
    CHECK_INT(drops.count, 1);
    weft_future *futures[] = {future, then, all, race, timeout, delay, failed, any};
    for (size_t i = 0; i < sizeof futures / sizeof *futures; i++)
        weft_future_release(futures[i]);
    weft_promise_release(promise);
    weft_channel_release(tags);
    CHECK_INT(told, 1);
}

static void own_waits(weft_runtime *runtime)
{
    struct poller poller = {.n = 2, .waits = GATE_INIT};
    weft_channel *channel = channel_new(8, 1);
    weft_thread *self = weft_thread_self();
    weft_future *future = NULL;
    struct thread thread;
    size_t fired = 9;
    uint64_t element = 5;
    void *value = NULL;
    poller.cases[0] = (weft_select_case){.op = WEFT_SELECT_TIMER, .arg = weft_deadline(INT64_C(3600000000000))};
    poller.cases[1] = (weft_select_case){.op = WEFT_SELECT_RECV, .handle = channel, .elem = &poller.element};
    OK(weft_spawn_poll(runtime, select_in_a_task, &poller, NULL, &future));
    gate_wait(&poller.waits);
    OK(weft_channel_send(channel, &element, WEFT_FOREVER));
    OK(weft_future_get(future, WEFT_FOREVER, &value));
    CHECK(value == &poller && poller.element == 5);
    weft_future_release(future);
    REQUIRE(self != NULL);
    thread_start(&thread, interrupt_after, self);
    CHECK_STATUS(weft_select(&poller.cases[1], 1, WEFT_FOREVER, &fired), WEFT_INTERRUPTED);
    thread_join(&thread);
    poller.cases[0].arg = weft_deadline(1000);
    OK(weft_select(poller.cases, 2, WEFT_FOREVER, &fired));
    CHECK_INT(fired, 0);
    weft_thread_release(self);
    weft_channel_release(channel);
}

void own_things_work(void)
{
    weft_runtime *runtime = runtime_new(2);
    own_channels();
    own_futures(runtime);
    own_waits(runtime);
    let_tell();
    runtime_end(runtime);
    OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
}

static void mixed(struct inherited *all)
{
    weft_channel *tags = channel_new(8, WEFT_UNBOUNDED);
    weft_future *future = NULL, *out = SENTINEL;
    uint64_t element = 7;
    size_t fired = 9;
    OK(weft_future_ready(NULL, NULL, NULL, &future));
    weft_select_case cases[] = {
        {.op = WEFT_SELECT_FUTURE, .handle = future},
        {.op = WEFT_SELECT_RECV, .handle = all->channel, .elem = &element},
    };
    CHECK_REFUSED(weft_select(cases, 2, WEFT_FOREVER, &fired), WEFT_FORKED, "cases[1]");
    CHECK_FORKED(weft_future_all((weft_future *[]){future, all->future}, 2, &out));
    CHECK_FORKED(weft_future_then(future, all->runtime, never_then, NULL, NULL, &out));
    CHECK_FORKED(weft_future_notify(all->failed, tags, 1));
    CHECK_FORKED(weft_future_notify(future, all->tags, 1));
    CHECK_INT(weft_channel_len(tags), 0);
    CHECK(out == SENTINEL && fired == 9 && element == 7);
    weft_future_release(future);
    weft_channel_release(tags);
}

/* A wait that the parent has begun, asked for by a task of the child's. */
static weft_status ask_for_inherited(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    struct inherited *all = state;
    size_t fired = 9;
    (void)worker;
    (void)result;
    for (int i = 0; i < 2; i++) {
        CHECK_FORKED(weft_select_poll(all->pollers[i].cases, all->pollers[i].n, waker, &fired));
        CHECK_FORKED(weft_select_poll_end(all->pollers[i].cases, all->pollers[i].n, &fired));
    }
    CHECK_INT(fired, 9);
    return WEFT_OK;
}

static void selects_of_the_parent(struct inherited *all)
{
    weft_runtime *runtime = runtime_new(1);
    weft_future *future = NULL;
    OK(weft_spawn_poll(runtime, ask_for_inherited, all, NULL, &future));
    OK(weft_future_wait(future, WEFT_FOREVER));
    weft_future_release(future);
    runtime_end(runtime);
}

void mixed_answer_forked(struct inherited *all)
{
    mixed(all);
    selects_of_the_parent(all);
}
