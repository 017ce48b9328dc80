/* Misuse of the functions about batches, hints and counted ends of channels. See misuse.h. */
#include "misuse.h"

MISUSE(weft_channel_send_batch)
{
    struct zoo *zoo = zoo_new();
    uint64_t elements[2] = {7, 8};
    size_t sent = 77;
    CHECK_INVALID(weft_channel_send_batch(zoo->channel, elements, 2, WEFT_FOREVER, NULL), "sent");
    CHECK_INVALID(weft_channel_send_batch(NULL, elements, 2, WEFT_FOREVER, &sent), "channel");
    CHECK_INT(sent, 0);
    sent = 77;
    CHECK_INVALID(weft_channel_send_batch(zoo->channel, NULL, 2, WEFT_FOREVER, &sent), "elems");
    CHECK_INT(sent, 0);
    CHECK_INVALID(weft_channel_send_batch(zoo->channel, elements, SIZE_MAX, WEFT_FOREVER, &sent), "n");
    CHECK_INVALID(weft_channel_send_batch(zoo->channel, elements, SIZE_MAX / 8, WEFT_FOREVER, &sent), "n");
    FOR_WRONG(zoo, CHANNEL, h)
        CHECK_INVALID(weft_channel_send_batch(h, elements, 2, WEFT_FOREVER, &sent), "channel");
    zoo_end(zoo);
}

MISUSE(weft_channel_recv_batch)
{
    struct zoo *zoo = zoo_new();
    uint64_t elements[2] = {7, 8};
    size_t received = 77;
    CHECK_INVALID(weft_channel_recv_batch(zoo->channel, elements, 2, WEFT_FOREVER, NULL), "received");
    CHECK_INVALID(weft_channel_recv_batch(NULL, elements, 2, WEFT_FOREVER, &received), "channel");
    CHECK_INT(received, 0);
    received = 77;
    CHECK_INVALID(weft_channel_recv_batch(zoo->channel, NULL, 2, WEFT_FOREVER, &received), "elems");
    CHECK_INT(received, 0);
    CHECK_INVALID(weft_channel_recv_batch(zoo->channel, elements, SIZE_MAX, WEFT_FOREVER, &received), "max");
    CHECK_INVALID(weft_channel_recv_batch(zoo->channel, elements, SIZE_MAX / 8, WEFT_FOREVER, &received), "max");
    FOR_WRONG(zoo, CHANNEL, h)
        CHECK_INVALID(weft_channel_recv_batch(h, elements, 2, WEFT_FOREVER, &received), "channel");
    CHECK(elements[0] == 7 && elements[1] == 8);
    zoo_end(zoo);
}

MISUSE(weft_channel_waiting)
{
    struct zoo *zoo = zoo_new();
    size_t senders = 77, receivers = 77;
    CHECK_INVALID(weft_channel_waiting(NULL, &senders, &receivers), "channel");
    FOR_WRONG(zoo, CHANNEL, h)
        CHECK_INVALID(weft_channel_waiting(h, &senders, &receivers), "channel");
    CHECK(senders == 77 && receivers == 77);
    OK(weft_channel_waiting(zoo->channel, NULL, NULL));
    OK(weft_channel_waiting(zoo->channel, &senders, NULL));
    OK(weft_channel_waiting(zoo->channel, NULL, &receivers));
    CHECK(senders == 0 && receivers == 0);
    zoo_end(zoo);
}

/* ---- counted ends */

MISUSE(weft_channel_ends)
{
    weft_sender *sender = SENTINEL;
    weft_receiver *receiver = SENTINEL;
    weft_channel_options options;
    OK(weft_channel_options_init(&options, sizeof options));
    CHECK_INVALID(weft_channel_ends(NULL, NULL, &receiver), "sender");
    CHECK_INVALID(weft_channel_ends(NULL, &sender, NULL), "receiver");
    options.elem_align = 3;
    CHECK_INVALID(weft_channel_ends(&options, &sender, &receiver), "elem_align");
    CHECK(sender == SENTINEL && receiver == SENTINEL);
}

MISUSE(weft_sender_channel)
{
    struct zoo *zoo = zoo_new();
    CHECK_NULL(weft_sender_channel(NULL), "sender");
    FOR_WRONG(zoo, SENDER, h)
        CHECK_NULL(weft_sender_channel(h), "sender");
    zoo_end(zoo);
}

MISUSE(weft_receiver_channel)
{
    struct zoo *zoo = zoo_new();
    CHECK_NULL(weft_receiver_channel(NULL), "receiver");
    FOR_WRONG(zoo, RECEIVER, h)
        CHECK_NULL(weft_receiver_channel(h), "receiver");
    zoo_end(zoo);
}

MISUSE(weft_sender_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_sender_retain(NULL) == NULL);
    FOR_WRONG(zoo, SENDER, h)
        CHECK_NULL(weft_sender_retain(h), "sender");
    zoo_end(zoo);
}

MISUSE(weft_receiver_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_receiver_retain(NULL) == NULL);
    FOR_WRONG(zoo, RECEIVER, h)
        CHECK_NULL(weft_receiver_retain(h), "receiver");
    zoo_end(zoo);
}

MISUSE(weft_sender_release)
{
    struct zoo *zoo = zoo_new();
    weft_sender_release(NULL);
    FOR_WRONG(zoo, SENDER, h)
        COMPLAINS(weft_sender_release(h), "sender");
    zoo_end(zoo);
}

MISUSE(weft_receiver_release)
{
    struct zoo *zoo = zoo_new();
    weft_receiver_release(NULL);
    FOR_WRONG(zoo, RECEIVER, h)
        COMPLAINS(weft_receiver_release(h), "receiver");
    zoo_end(zoo);
}
