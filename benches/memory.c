/* What small objects cost: bytes of the allocator's, a thousand of each. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <weft/weft.h>

enum { COUNT = 1000 };

static void check(weft_status status)
{
    if (status != WEFT_OK) {
        fprintf(stderr, "memory: %s\n", weft_error_message());
        exit(1);
    }
}

/* For each, of what has been allocated since the last call. */
static double each(void)
{
    static size_t last;
    size_t now = mallinfo2().uordblks, grown = now - last;
    last = now;
    return (double)grown / COUNT;
}

int main(void)
{
    static weft_channel *channels[COUNT];
    static weft_promise *promises[COUNT];
    static weft_future *futures[COUNT];
    weft_channel_options options;
    uint64_t elem = 1;
    double channel, element, future;
    check(weft_channel_options_init(&options, sizeof options));
    options.elem_size = sizeof elem;
    options.capacity = WEFT_UNBOUNDED;
    each();
    for (int i = 0; i < COUNT; i++)
        check(weft_channel_new(&options, &channels[i]));
    channel = each();
    for (int i = 0; i < COUNT; i++)
        check(weft_channel_send(channels[i], &elem, 0));
    element = each();
    for (int i = 0; i < COUNT; i++)
        check(weft_promise_new(&promises[i], &futures[i]));
    future = each();
    printf("an empty unbounded channel: %.0f bytes, with its first element of 8 bytes %.0f\n", channel, channel + element);
    printf("a promise and its future: %.0f bytes\n", future);
    for (int i = 0; i < COUNT; i++) {
        weft_channel_release(channels[i]);
        weft_promise_release(promises[i]);
        weft_future_release(futures[i]);
    }
    return 0;
}
