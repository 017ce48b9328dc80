/* Native functions for the Ruby tests to run on workers: they succeed, fail, count, and wait until the test lets them
 * go on by writing to a pipe. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>
#include <weft/weft.h>

weft_status fixture_square(weft_worker *worker, void *arg, void **result);
weft_status fixture_fail(weft_worker *worker, void *arg, void **result);
weft_status fixture_status(weft_worker *worker, void *arg, void **result);
weft_status fixture_on_worker(weft_worker *worker, void *arg, void **result);
weft_status fixture_read(weft_worker *worker, void *arg, void **result);
void fixture_count(weft_worker *worker, void *arg);

/* Squares the number at arg in place and gives arg back. */
weft_status fixture_square(weft_worker *worker, void *arg, void **result)
{
    int64_t *number = arg;
    (void)worker;
    *number *= *number;
    *result = number;
    return WEFT_OK;
}

weft_status fixture_fail(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    (void)arg;
    (void)result;
    return weft_error_set(WEFT_FAILED, "this function always fails");
}

/* Returns the status at arg. */
weft_status fixture_status(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    (void)result;
    return *(const int32_t *)arg;
}

/* Whether the worker handed in is the one that runs here: 1 or 0. */
weft_status fixture_on_worker(weft_worker *worker, void *arg, void **result)
{
    (void)arg;
    *result = (void *)(uintptr_t)(worker != NULL && weft_worker_current() == worker);
    return WEFT_OK;
}

/* Waits for a byte from the file descriptor at arg, adds it to the number behind it and gives it back. */
weft_status fixture_read(weft_worker *worker, void *arg, void **result)
{
    int64_t *memory = arg;
    unsigned char byte;
    ssize_t got;
    (void)worker;
    do {
        /* Ruby's pipes do not block. */
        struct pollfd pipe = {.fd = (int)memory[0], .events = POLLIN, .revents = 0};
        got = poll(&pipe, 1, -1) < 0 ? -1 : read((int)memory[0], &byte, 1);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    if (got != 1)
        return weft_error_set(WEFT_OS, "the pipe has no byte");
    memory[1] += byte;
    *result = (void *)(uintptr_t)byte;
    return WEFT_OK;
}

/* Adds one to the number at arg, from any thread. */
void fixture_count(weft_worker *worker, void *arg)
{
    (void)worker;
    __atomic_fetch_add((int64_t *)arg, 1, __ATOMIC_RELAXED);
}
