/* Misuse of select. See misuse.h. */
#include "misuse.h"

/* Each way in which one case of two can be wrong. */
static void wrong_cases(weft_status (*select)(weft_select_case *, size_t, size_t *), struct zoo *zoo)
{
    static const struct {
        int32_t op;
        int right;
    } ops[] = {{WEFT_SELECT_SEND, CHANNEL}, {WEFT_SELECT_RECV, CHANNEL}, {WEFT_SELECT_FUTURE, FUTURE}, {WEFT_SELECT_CANCEL, TOKEN}};
    uint64_t elem = 7;
    size_t fired = 9;
    weft_select_case cases[2] = {{.op = WEFT_SELECT_TIMER, .arg = 0}, {.op = 0}};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        cases[1] = (weft_select_case){.op = ops[i].op, .elem = &elem};
        CHECK_INVALID(select(cases, 2, &fired), "cases[1].handle is NULL");
        FOR_WRONG(zoo, ops[i].right, h) {
            cases[1].handle = h;
            CHECK_INVALID(select(cases, 2, &fired), "cases[1].handle");
        }
    }
    cases[1] = (weft_select_case){.op = WEFT_SELECT_RECV, .handle = zoo->channel};
    CHECK_INVALID(select(cases, 2, &fired), "cases[1].elem is NULL");
    cases[1].op = WEFT_SELECT_SEND;
    CHECK_INVALID(select(cases, 2, &fired), "cases[1].elem is NULL");
    static const int32_t none[] = {0, -1, WEFT_SELECT_TIMER + 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        cases[1] = (weft_select_case){.op = none[i], .handle = zoo->channel, .elem = &elem};
        CHECK_INVALID(select(cases, 2, &fired), "cases[1].op");
    }
    CHECK_INVALID(select(NULL, 2, &fired), "cases is NULL");
    CHECK_INVALID(select(NULL, 0, &fired), "cases");
    CHECK_INVALID(select(cases, 0, &fired), "n");
    CHECK_INVALID(select(cases, SIZE_MAX, &fired), "cases");
    CHECK_INVALID(select(cases, 1, NULL), "fired is NULL");
    CHECK_INT(fired, 9);
    CHECK_INT(elem, 7);
}

static weft_status selecting(weft_select_case *cases, size_t n, size_t *fired)
{
    return weft_select(cases, n, WEFT_FOREVER, fired);
}

MISUSE(weft_select)
{
    struct zoo *zoo = zoo_new();
    size_t fired = 9;
    weft_select_case never = {.op = WEFT_SELECT_TIMER, .arg = INT64_MAX};
    wrong_cases(selecting, zoo);
    CHECK_STATUS(weft_select(&never, 1, INT64_MIN, &fired), WEFT_WOULD_BLOCK);
    CHECK_INT(fired, 9);
    zoo_end(zoo);
}

/* What polls needs a waker: a task's. */
static const weft_waker *waker;

static weft_status polling(weft_select_case *cases, size_t n, size_t *fired)
{
    return weft_select_poll(cases, n, waker, fired);
}

static weft_status ending(weft_select_case *cases, size_t n, size_t *fired)
{
    return weft_select_poll_end(cases, n, fired);
}

static weft_status misuse_of_polls(weft_worker *worker, void *state, const weft_waker *own, void **result)
{
    struct zoo *zoo = state;
    size_t fired = 9;
    uint64_t elem = 7;
    weft_select_case timer = {.op = WEFT_SELECT_TIMER, .arg = 0};
    weft_select_case cases[2] = {{.op = WEFT_SELECT_TIMER, .arg = INT64_MAX}, {.op = WEFT_SELECT_TIMER, .arg = INT64_MAX}};
    (void)worker, (void)result, (void)elem;
    waker = own;
    wrong_cases(polling, zoo);
    wrong_cases(ending, zoo);
    CHECK_INVALID(weft_select_poll(&timer, 1, NULL, &fired), "waker");
    FOR_WRONG(zoo, NO_NOUN, h)
        CHECK_INVALID(weft_select_poll(&timer, 1, h, &fired), "waker");
    /* An end without a beginning, and a poll with another number of cases. */
    CHECK_STATUS(weft_select_poll_end(cases, 2, &fired), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_select_poll(cases, 2, own, &fired), WEFT_WOULD_BLOCK);
    CHECK_INVALID(weft_select_poll(cases, 1, own, &fired), "n");
    CHECK_INVALID(weft_select_poll_end(cases, 1, &fired), "n");
    CHECK_STATUS(weft_select_poll_end(cases, 2, &fired), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_select_poll_end(cases, 2, &fired), WEFT_WOULD_BLOCK);
    CHECK_INT(fired, 9);
    return WEFT_OK;
}

static void with_waker(void)
{
    struct zoo *zoo = zoo_new();
    weft_runtime *runtime = runtime_new(1);
    weft_future *future;
    OK(weft_spawn_poll(runtime, misuse_of_polls, zoo, NULL, &future));
    OK(weft_future_wait(future, WEFT_FOREVER));
    weft_future_release(future);
    runtime_end(runtime);
    zoo_end(zoo);
}

MISUSE(weft_select_poll) { with_waker(); }
MISUSE(weft_select_poll_end) { with_waker(); }

MISUSE(weft_channel_fd)
{
    struct zoo *zoo = zoo_new();
    int fd = -7;
    CHECK_INVALID(weft_channel_fd(NULL, WEFT_SELECT_RECV, &fd), "channel");
    CHECK_INVALID(weft_channel_fd(zoo->channel, WEFT_SELECT_RECV, NULL), "fd");
    CHECK_INVALID(weft_channel_fd(zoo->channel, 0, &fd), "direction");
    CHECK_INVALID(weft_channel_fd(zoo->channel, WEFT_SELECT_FUTURE, &fd), "direction");
    FOR_WRONG(zoo, CHANNEL, h)
        CHECK_INVALID(weft_channel_fd(h, WEFT_SELECT_RECV, &fd), "channel");
    CHECK_INT(fd, -7);
    zoo_end(zoo);
}
