/* Links: frames of every kind and size, both ways, over both transports; looking without a copy; the descriptor; what is left over. */
#include "links.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void echo(void *arg)
{
    CHECK_STATUS(frames_echo(arg), WEFT_CLOSED);
}

static void there_and_back(weft_link *link, uint64_t id, size_t len)
{
    uint64_t got_id;
    size_t got_len;
    OK(frame_send(link, id, len, WEFT_FOREVER));
    OK(frame_recv(link, &got_id, &got_len, WEFT_FOREVER));
    CHECK(got_id == id && got_len == len);
}

TEST(frames_of_every_size)
{
    FOR_TRANSPORTS(transport) {
        struct ends ends = ends_new(transport, 0);
        struct thread thread;
        thread_start(&thread, echo, ends.far);
        size_t huge = under_a_tool() ? (size_t)6 << 20 : (size_t)64 << 20;
        for (size_t len = 0; len < 200; len++)
            there_and_back(ends.near, len, len);
        for (size_t len = 256; len <= huge; len *= 4)
            there_and_back(ends.near, UINT64_MAX - len, len + 1);
        weft_link_close(ends.near);
        thread_join(&thread);
        ends_release(&ends);
    }
}

TEST(what_a_frame_says)
{
    static const uint32_t kinds[] = {
        WEFT_FRAME_REQUEST, WEFT_FRAME_REPLY, WEFT_FRAME_ERROR, WEFT_FRAME_CANCEL, WEFT_FRAME_HEARTBEAT,
        WEFT_FRAME_STATS, WEFT_FRAME_LOG, WEFT_FRAME_SHUTDOWN, WEFT_FRAME_USER, UINT32_MAX,
    };
    FOR_TRANSPORTS(transport) {
        struct ends ends = ends_new(transport, 1);
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            weft_frame frame;
            OK(weft_link_send(ends.far, kinds[i], UINT32_MAX - 5, UINT64_MAX - i, "weft", 5, 0));
            OK(weft_link_recv(ends.near, WEFT_FOREVER, &frame));
            CHECK(frame.kind == kinds[i] && frame.flags == UINT32_MAX - 5 && frame.id == UINT64_MAX - i);
            CHECK_INT(frame.len, 5);
            CHECK_STR(frame.data, "weft");
            CHECK_INT((uintptr_t)frame.data % 8, 0);
            weft_bytes_release(frame.bytes);
        }
        ends_release(&ends);
    }
}

TEST(frames_outlive_the_link)
{
    struct ends ends = ends_new(WEFT_LINK_AUTO, 0);
    weft_frame frame;
    OK(weft_link_send(ends.near, WEFT_FRAME_USER, 0, 0, "thread", 7, 0));
    OK(weft_link_recv(ends.far, 0, &frame));
    ends_release(&ends);
    CHECK_STR(frame.data, "thread");
    weft_bytes_release(frame.bytes);
}

TEST(a_frame_longer_than_the_limit)
{
    weft_link_options options = link_options(WEFT_LINK_AUTO, 0);
    options.max_frame = 100;
    struct ends ends = ends_with(&options);
    uint64_t id;
    size_t len;
    OK(frame_send(ends.near, 1, 100, 0));
    CHECK_REFUSED(frame_send(ends.near, 1, 101, 0), WEFT_TOO_LARGE, "100");
    CHECK_REFUSED(frame_send(ends.far, 1, 101, 0), WEFT_TOO_LARGE, "100");
    OK(frame_recv(ends.far, &id, &len, 0));
    CHECK_INT(len, 100);
    ends_release(&ends);
}

/* ---- both ends send more than fits, and nobody receives before */

enum { MANY = 40 };

static void send_then_receive(size_t index, void *arg)
{
    struct ends *ends = arg;
    weft_link *link = index == 0 ? ends->near : ends->far;
    for (uint64_t i = 0; i < MANY; i++)
        OK(frame_send(link, i, 20000, WEFT_FOREVER));
    for (uint64_t i = 0; i < MANY; i++) {
        uint64_t id;
        size_t len;
        OK(frame_recv(link, &id, &len, WEFT_FOREVER));
        CHECK(id == i && len == 20000);
    }
}

TEST(both_full)
{
    FOR_TRANSPORTS(transport) {
        struct ends ends = ends_new(transport, 1);
        threads_together(2, send_then_receive, &ends);
        ends_release(&ends);
    }
}

/* ---- without a copy */

TEST(looking_and_consuming)
{
    FOR_TRANSPORTS(transport) {
        weft_link_options options = link_options(transport, 65536);
        options.trusted = WEFT_ON;
        struct ends ends = ends_with(&options);
        weft_frame frame;
        CHECK_STATUS(weft_link_peek(ends.far, 0, &frame), WEFT_WOULD_BLOCK);
        CHECK_STATUS(weft_link_peek(ends.far, 1, &frame), WEFT_TIMEOUT);
        CHECK_INVALID(weft_link_consume(ends.far), "looked at");
        for (uint64_t id = 0; id < 100; id++) {
            char text[3000];
            memset(text, 'a' + (int)(id % 26), sizeof text);
            OK(weft_link_send(ends.near, WEFT_FRAME_LOG, 3, id, text, sizeof text, WEFT_FOREVER));
            OK(weft_link_peek(ends.far, WEFT_FOREVER, &frame));
            CHECK(frame.kind == WEFT_FRAME_LOG && frame.flags == 3 && frame.id == id && frame.bytes == NULL);
            CHECK(frame.len == sizeof text && memcmp(frame.data, text, sizeof text) == 0);
            CHECK_STATUS(weft_link_peek(ends.far, 0, &frame), WEFT_BUSY);
            CHECK_STATUS(weft_link_recv(ends.far, 0, &frame), WEFT_BUSY);
            OK(weft_link_consume(ends.far));
        }
        CHECK_INT(link_stats(ends.far).received_frames, 100);
        ends_release(&ends);
    }
    struct ends ends = ends_new(WEFT_LINK_AUTO, 0);
    weft_frame frame;
    CHECK_STATUS(weft_link_peek(ends.near, 0, &frame), WEFT_UNSUPPORTED);
    ends_release(&ends);
}

/* ---- the descriptor */

static bool readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    REQUIRE(poll(&poll_fd, 1, 0) >= 0);
    return poll_fd.revents != 0;
}

static void send_many(void *arg)
{
    for (uint64_t id = 0; id < 2000; id++)
        OK(frame_send(arg, id, id % 50, WEFT_FOREVER));
    weft_link_close(arg);
}

TEST(a_loop_needs_only_the_descriptor)
{
    FOR_TRANSPORTS(transport) {
        struct ends ends = ends_new(transport, 1);
        struct pollfd poll_fd = {.fd = -1, .events = POLLIN};
        struct thread thread;
        uint64_t next = 0, id;
        size_t len;
        weft_status status;
        OK(weft_link_fd(ends.far, &poll_fd.fd));
        CHECK_STATUS(frame_recv(ends.far, &id, &len, 0), WEFT_WOULD_BLOCK);
        CHECK(!readable(poll_fd.fd));
        thread_start(&thread, send_many, ends.near);
        do {
            REQUIRE(poll(&poll_fd, 1, -1) == 1);
            while ((status = frame_recv(ends.far, &id, &len, 0)) == WEFT_OK) {
                CHECK_INT(id, next);
                next++;
            }
        } while (status == WEFT_WOULD_BLOCK);
        CHECK_STATUS(status, WEFT_CLOSED);
        CHECK_INT(next, 2000);
        CHECK(readable(poll_fd.fd));
        thread_join(&thread);
        ends_release(&ends);
    }
}

/* ---- the account */

TEST(statistics)
{
    FOR_TRANSPORTS(transport) {
        struct ends ends = ends_new(transport, 0);
        uint64_t id;
        size_t len;
        for (size_t i = 0; i < 5; i++) {
            OK(frame_send(ends.near, i, i * 100, 0));
            OK(frame_recv(ends.far, &id, &len, 0));
        }
        weft_link_stats near = link_stats(ends.near), far = link_stats(ends.far);
        CHECK_INT(near.transport, transport);
        CHECK_INT(far.transport, transport);
        CHECK(near.sent_frames == 5 && near.sent_bytes == 1000 && near.received_frames == 0);
        CHECK(far.received_frames == 5 && far.received_bytes == 1000 && far.sent_frames == 0);
        CHECK(far.send_waits == 0 && far.receive_waits == 0);
        CHECK_STATUS(frame_recv(ends.far, &id, &len, 1), WEFT_TIMEOUT);
        CHECK_INT(link_stats(ends.far).receive_waits, 1);
        ends_release(&ends);
    }
}

TEST(no_descriptor_is_left_or_inherited)
{
    enum { LOOKED_AT = 256 };
    bool was_open[LOOKED_AT];
    size_t before = descriptors();
    for (int open = 0; open < LOOKED_AT; open++)
        was_open[open] = fcntl(open, F_GETFD) >= 0;
    FOR_TRANSPORTS(transport) {
        for (int i = 0; i < 20; i++) {
            struct ends ends = ends_new(transport, 1);
            int fd = -1;
            uint64_t id;
            size_t len;
            OK(weft_link_fd(ends.far, &fd));
            OK(frame_send(ends.near, 1, 100, 0));
            OK(frame_recv(ends.far, &id, &len, 0));
            CHECK_STATUS(frame_recv(ends.near, &id, &len, 1), WEFT_TIMEOUT);
            for (int open = 0; open < LOOKED_AT; open++) {
                int flags = fcntl(open, F_GETFD);
                CHECK(was_open[open] || flags < 0 || (flags & FD_CLOEXEC) != 0);
            }
            ends_release(&ends);
        }
    }
    CHECK_INT(descriptors(), before);
    int32_t fd = -1;
    weft_link *near, *far;
    OK(weft_link_pair(NULL, &near, &fd));
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(fd, F_SETFD, 0) == 0);
    OK(weft_link_adopt(fd, &far));
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    weft_link_release(near);
    weft_link_release(far);
    CHECK_INT(descriptors(), before);
}

/* ---- scarcity */

CHILD(has_few_descriptors)
{
    struct rlimit limit;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    /* Whoever started this may have left some open among those that are counted. */
    for (int fd = 3; fd < 100; fd++)
        close(fd);
    /* What the first link makes once for the process. */
    struct ends first = ends_new(WEFT_LINK_AUTO, 1);
    ends_release(&first);
    size_t before = descriptors();
    int lowest = dup(2), pairs = 0, adopted = 0;
    close(lowest);
    for (int more = 0; more < 20; more++) {
        weft_link *near = NULL, *far = NULL;
        int32_t fd = -1;
        limit.rlim_cur = (rlim_t)(lowest + more);
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        weft_status status = weft_link_pair(NULL, &near, &fd);
        if (status != WEFT_OK)
            CHECK_STATUS(status, WEFT_OS);
        if (status == WEFT_OK) {
            pairs++;
            status = weft_link_adopt(fd, &far);
            if (status != WEFT_OK)
                CHECK_STATUS(status, WEFT_OS);
            if (status == WEFT_OK)
                adopted++;
            else
                CHECK(close(fd) == 0);
            weft_link_release(near);
            weft_link_release(far);
        }
        limit.rlim_cur = limit.rlim_max;
        REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        CHECK_INT(descriptors(), before);
    }
    CHECK(adopted > 0 && pairs >= adopted && pairs < 20);
}

CHILD(has_few_addresses)
{
    struct ends small = ends_new(WEFT_LINK_SHARED, 1);
    weft_link_options options = link_options(WEFT_LINK_SHARED, (size_t)1 << 34);
    weft_link *link = NULL;
    int32_t fd = -1;
    size_t before = descriptors();
    struct rlimit limit = {(rlim_t)1 << 34, (rlim_t)1 << 34};
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
    CHECK_STATUS(weft_link_pair(&options, &link, &fd), WEFT_OS);
    CHECK_INT(descriptors(), before);
    /* It falls back on the socket, and says so. */
    weft_log_record record = {.size = sizeof record};
    options.transport = WEFT_LINK_AUTO;
    OK(weft_log_set(NULL, NULL, WEFT_LOG_WARN));
    struct ends ends = ends_with(&options);
    OK(weft_log_next(&record, 0));
    CHECK_HAS(record.message, "socket");
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
    CHECK_INT(link_stats(ends.near).transport, WEFT_LINK_SOCKET);
    CHECK_INT(link_stats(ends.far).transport, WEFT_LINK_SOCKET);
    OK(frame_send(ends.near, 1, 100, 0));
    ends_release(&ends);
    ends_release(&small);
}

TEST(scarcity)
{
    child_succeeds("has_few_descriptors");
    /* The sanitizers need more addresses than that, and valgrind counts its own. */
    if (!under_a_tool())
        child_succeeds("has_few_addresses");
}

static void use_inherited(void *arg)
{
    struct ends *ends = arg;
    weft_frame frame;
    int32_t fd;
    CHECK_STATUS(frame_send(ends->near, 1, 1, 0), WEFT_FORKED);
    CHECK_STATUS(weft_link_recv(ends->near, 0, &frame), WEFT_FORKED);
    CHECK_STATUS(weft_link_fd(ends->near, &fd), WEFT_FORKED);
    weft_link_close(ends->near);
    weft_link_release(ends->near);
    weft_link *link;
    CHECK_STATUS(weft_link_pair(NULL, &link, &fd), WEFT_FORKED);
    OK(weft_after_fork());
    OK(weft_link_pair(NULL, &link, &fd));
    weft_link_release(link);
    close(fd);
}

CHILD_WITHOUT_LEAK_CHECK(forks_with_a_link)
{
    FOR_TRANSPORTS(transport) {
        struct ends ends = ends_new(transport, 0);
        uint64_t id;
        size_t len;
        in_forked_child(use_inherited, &ends);
        OK(frame_send(ends.far, 1, 1, 0));
        OK(frame_recv(ends.near, &id, &len, 0));
        ends_release(&ends);
    }
}

TEST(in_a_forked_child)
{
    child_succeeds("forks_with_a_link");
}
