/* A small program that uses what is installed: tasks send the squares of 1 to 1000 over a channel, a task with a result
 * adds them up, and main compares the future's value with the formula. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <weft/weft.h>

enum { NUMBERS = 1000, SENDERS = 4 };

static void require(weft_status status, const char *what)
{
    if (status != WEFT_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, weft_status_name(status), weft_error_message());
        exit(1);
    }
}

struct sender {
    weft_channel *squares;
    uint64_t first;
};

/* Every SENDERS-th number from `first` on. */
static void send_squares(weft_worker *worker, void *arg)
{
    const struct sender *sender = arg;
    (void)worker;
    for (uint64_t number = sender->first; number <= NUMBERS; number += SENDERS) {
        uint64_t square = number * number;
        require(weft_channel_send(sender->squares, &square, WEFT_FOREVER), "send");
    }
}

static weft_status add_up(weft_worker *worker, void *arg, void **result)
{
    weft_channel *squares = arg;
    static uint64_t sum;
    (void)worker;
    for (int received = 0; received < NUMBERS; received++) {
        uint64_t square;
        weft_status status = weft_channel_recv(squares, &square, WEFT_FOREVER);
        if (status != WEFT_OK)
            return status;
        sum += square;
    }
    *result = &sum;
    return WEFT_OK;
}

int main(void)
{
    weft_runtime *runtime;
    require(weft_runtime_new(NULL, &runtime), "runtime");

    weft_channel_options options;
    require(weft_channel_options_init(&options, sizeof options), "channel options");
    options.elem_size = sizeof(uint64_t);
    options.capacity = 16;
    weft_channel *squares;
    require(weft_channel_new(&options, &squares), "channel");

    weft_future *sum;
    require(weft_async(runtime, add_up, squares, NULL, &sum), "async");
    struct sender senders[SENDERS];
    for (uint64_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){squares, i + 1};
        require(weft_spawn(runtime, send_squares, &senders[i]), "spawn");
    }

    void *value;
    require(weft_future_get(sum, WEFT_FOREVER, &value), "get");
    const uint64_t expected = (uint64_t)NUMBERS * (NUMBERS + 1) * (2 * NUMBERS + 1) / 6;
    const uint64_t found = *(uint64_t *)value;
    printf("the sum of %d squares is %" PRIu64 "\n", NUMBERS, found);

    weft_future_release(sum);
    weft_channel_release(squares);
    require(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER), "shutdown");
    weft_runtime_release(runtime);
    return found == expected ? 0 : 1;
}
