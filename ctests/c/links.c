#include "links.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

weft_link_options link_options(int32_t transport, size_t ring_size)
{
    weft_link_options options;
    OK(weft_link_options_init(&options, sizeof options));
    options.transport = transport;
    options.ring_size = ring_size;
    return options;
}

struct ends ends_with(const weft_link_options *options)
{
    struct ends ends;
    int32_t fd = -1;
    OK(weft_link_pair(options, &ends.near, &fd));
    OK(weft_link_adopt(fd, &ends.far));
    return ends;
}

struct ends ends_new(int32_t transport, size_t ring_size)
{
    weft_link_options options = link_options(transport, ring_size);
    return ends_with(&options);
}

void ends_release(struct ends *ends)
{
    weft_link_release(ends->near);
    weft_link_release(ends->far);
}

static unsigned char expected(uint64_t id, size_t len, size_t i)
{
    return (unsigned char)(id * 7 + len + i * 13);
}

weft_status frame_send(weft_link *link, uint64_t id, size_t len, int64_t timeout_ns)
{
    unsigned char *data = malloc(len + 1);
    REQUIRE(data != NULL);
    for (size_t i = 0; i < len; i++)
        data[i] = expected(id, len, i);
    weft_status status = weft_link_send(link, WEFT_FRAME_USER, 77, id, data, len, timeout_ns);
    free(data);
    return status;
}

weft_status frame_recv(weft_link *link, uint64_t *id, size_t *len, int64_t timeout_ns)
{
    weft_frame frame;
    weft_status status = weft_link_recv(link, timeout_ns, &frame);
    if (status != WEFT_OK)
        return status;
    const unsigned char *data = frame.data;
    size_t wrong = 0;
    for (size_t i = 0; i < frame.len; i++)
        wrong += data[i] != expected(frame.id, frame.len, i);
    CHECK_INT(wrong, 0);
    CHECK(frame.kind == WEFT_FRAME_USER && frame.flags == 77);
    CHECK(weft_bytes_data(frame.bytes) == frame.data && weft_bytes_len(frame.bytes) == frame.len);
    weft_bytes_release(frame.bytes);
    *id = frame.id;
    *len = frame.len;
    return WEFT_OK;
}

weft_status frames_echo(weft_link *link)
{
    weft_frame frame;
    weft_status status;
    while ((status = weft_link_recv(link, WEFT_FOREVER, &frame)) == WEFT_OK) {
        status = weft_link_send(link, frame.kind, frame.flags, frame.id, frame.data, frame.len, WEFT_FOREVER);
        weft_bytes_release(frame.bytes);
        if (status != WEFT_OK)
            break;
    }
    return status;
}

size_t link_fill(weft_link *link, size_t len)
{
    size_t sent = 0;
    while (frame_send(link, sent, len, 0) == WEFT_OK)
        sent++;
    return sent;
}

weft_link_stats link_stats(weft_link *link)
{
    weft_link_stats stats = {.size = sizeof stats};
    OK(weft_link_stats_get(link, &stats));
    return stats;
}

void link_wait_for_sender(weft_link *link)
{
    while (link_stats(link).send_waits == 0)
        sched_yield();
}

void link_wait_for_receiver(weft_link *link)
{
    while (link_stats(link).receive_waits == 0)
        sched_yield();
}

size_t descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    REQUIRE(directory != NULL);
    size_t count = 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}
