/* weft_channel_fd: readable when and only when an operation would not wait. */
#include "support.h"

#include <poll.h>

static bool readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int ready = poll(&poll_fd, 1, 0);
    REQUIRE(ready >= 0);
    return ready == 1;
}

static int fd_of(weft_channel *channel, int32_t direction)
{
    int fd = -1, again = -2;
    OK(weft_channel_fd(channel, direction, &fd));
    OK(weft_channel_fd(channel, direction, &again));
    CHECK_INT(fd, again);
    return fd;
}

/* Of the largest element in here. */
enum { ROOM = 64 };

static void send(weft_channel *channel, uint64_t elem)
{
    uint64_t room[ROOM / sizeof elem] = {elem};
    OK(weft_channel_send(channel, room, WEFT_FOREVER));
}

static void recv(weft_channel *channel)
{
    uint64_t room[ROOM / sizeof(uint64_t)];
    OK(weft_channel_recv(channel, room, WEFT_FOREVER));
}

static void it_follows(size_t elem_size)
{
    for (size_t capacity = 1; capacity < 4; capacity++) {
        weft_channel *channel = channel_new(elem_size, capacity);
        int in = fd_of(channel, WEFT_SELECT_SEND), out = fd_of(channel, WEFT_SELECT_RECV);
        CHECK(in != out);
        for (int round = 0; round < 3; round++) {
            for (size_t len = 0; len < capacity; len++) {
                CHECK(readable(in));
                CHECK(readable(out) == (len > 0));
                send(channel, len);
            }
            CHECK(!readable(in));
            for (size_t len = capacity; len > 0; len--) {
                CHECK(readable(out));
                CHECK(readable(in) == (len < capacity));
                recv(channel);
            }
            CHECK(!readable(out));
        }
        weft_channel_close(channel);
        CHECK(readable(in) && readable(out));
        weft_channel_release(channel);
    }
}

/* Each size has a way of its own to a queue and out of it. */
TEST(it_follows_the_channel)
{
    it_follows(8);
    it_follows(16);
    it_follows(24);
    it_follows(64);
}

TEST(it_is_right_from_the_beginning)
{
    weft_channel *channel = channel_new(8, WEFT_UNBOUNDED);
    send(channel, 1);
    int out = fd_of(channel, WEFT_SELECT_RECV);
    CHECK(readable(out));
    recv(channel);
    CHECK(!readable(out));
    CHECK(readable(fd_of(channel, WEFT_SELECT_SEND)));
    uint64_t elems[5] = {1, 2, 3, 4, 5};
    size_t passed;
    OK(weft_channel_send_batch(channel, elems, 5, WEFT_FOREVER, &passed));
    CHECK(readable(out));
    OK(weft_channel_recv_batch(channel, elems, 5, WEFT_FOREVER, &passed));
    CHECK_INT(passed, 5);
    CHECK(!readable(out));
    weft_channel_close(channel);
    CHECK(readable(out));
    weft_channel_release(channel);
}

static void send_one(void *arg)
{
    send(arg, 1);
}

TEST(at_a_rendezvous_it_says_who_waits)
{
    weft_channel *channel = channel_new(8, 0);
    int in = fd_of(channel, WEFT_SELECT_SEND), out = fd_of(channel, WEFT_SELECT_RECV);
    struct pollfd waits = {.fd = out, .events = POLLIN};
    struct thread thread;
    uint64_t elem;
    CHECK(!readable(in) && !readable(out));
    thread_start(&thread, send_one, channel);
    REQUIRE(poll(&waits, 1, -1) == 1);
    OK(weft_channel_recv(channel, &elem, 0));
    thread_join(&thread);
    CHECK(!readable(in) && !readable(out));
    /* Who gives up does not wait any more. */
    CHECK_STATUS(weft_channel_send(channel, &elem, 1), WEFT_TIMEOUT);
    weft_select_case offer = {.op = WEFT_SELECT_SEND, .handle = channel, .elem = &elem};
    size_t fired;
    CHECK_STATUS(weft_select(&offer, 1, 1, &fired), WEFT_TIMEOUT);
    CHECK(!readable(in) && !readable(out));
    weft_channel_release(channel);
}

/* A receiver that waits by descriptor only, against several senders. */
enum { SENDERS = 3 };

static void send_many(size_t index, void *arg)
{
    unsigned n = under_a_tool() ? 200 : 5000;
    for (unsigned i = 0; i < n; i++)
        send(arg, index);
}

static void all_send(void *arg)
{
    threads_together(SENDERS, send_many, arg);
    weft_channel_close(arg);
}

static void by_descriptor_alone(size_t capacity)
{
    weft_channel *channel = channel_new(8, capacity);
    struct pollfd out = {.fd = fd_of(channel, WEFT_SELECT_RECV), .events = POLLIN};
    struct thread thread;
    unsigned received = 0;
    weft_status status;
    thread_start(&thread, all_send, channel);
    do {
        uint64_t elem;
        REQUIRE(poll(&out, 1, -1) == 1);
        while ((status = weft_channel_recv(channel, &elem, 0)) == WEFT_OK)
            received++;
    } while (status == WEFT_WOULD_BLOCK);
    CHECK_STATUS(status, WEFT_CLOSED);
    thread_join(&thread);
    CHECK_INT(received, SENDERS * (under_a_tool() ? 200 : 5000));
    weft_channel_release(channel);
}

TEST(a_loop_needs_nothing_else)
{
    by_descriptor_alone(0);
    by_descriptor_alone(1);
    by_descriptor_alone(7);
    by_descriptor_alone(WEFT_UNBOUNDED);
}
