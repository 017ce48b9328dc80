/* Misuse of the functions of links. See misuse.h. */
#include "misuse.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

MISUSE(weft_link_options_init)
{
    weft_link_options options;
    memset(&options, 0x5e, sizeof options);
    CHECK_INVALID(weft_link_options_init(NULL, sizeof options), "options");
    CHECK_INVALID(weft_link_options_init(&options, sizeof options - 1), "size");
    CHECK_INVALID(weft_link_options_init(&options, SIZE_MAX), "size");
}

MISUSE(weft_link_pair)
{
    weft_link_options options;
    weft_link *link = SENTINEL;
    int32_t fd = 77;
    CHECK_INVALID(weft_link_pair(NULL, NULL, &fd), "near_end");
    CHECK_INVALID(weft_link_pair(NULL, &link, NULL), "far_fd");
    OK(weft_link_options_init(&options, sizeof options));
    options.transport = 3;
    CHECK_INVALID(weft_link_pair(&options, &link, &fd), "transport");
    options.transport = -1;
    CHECK_INVALID(weft_link_pair(&options, &link, &fd), "transport");
    options.transport = WEFT_LINK_AUTO;
    options.trusted = 9;
    CHECK_INVALID(weft_link_pair(&options, &link, &fd), "trusted");
    options.trusted = WEFT_DEFAULT;
    options.ring_size = SIZE_MAX;
    CHECK_INVALID(weft_link_pair(&options, &link, &fd), "ring_size");
    options.ring_size = 0;
    options.size = 3;
    CHECK_INVALID(weft_link_pair(&options, &link, &fd), "size");
    CHECK(link == SENTINEL && fd == 77);
}

MISUSE(weft_link_adopt)
{
    weft_link *link = SENTINEL;
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    CHECK_INVALID(weft_link_adopt(-1, &link), "fd");
    CHECK_INVALID(weft_link_adopt(INT32_MAX, &link), "fd");
    CHECK_INVALID(weft_link_adopt(ends[0], &link), "fd");
    CHECK_INVALID(weft_link_adopt(ends[0], NULL), "out");
    CHECK(link == SENTINEL);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);

    weft_link *near = NULL, *far = NULL;
    int32_t fd = -1;
    OK(weft_link_pair(NULL, &near, &fd));
    int again = dup(fd);
    OK(weft_link_adopt(fd, &far));
    CHECK_INVALID(weft_link_adopt(again, &link), "adopted before");
    CHECK(link == SENTINEL);
    CHECK(close(again) == 0);
    weft_link_release(near);
    weft_link_release(far);
}

MISUSE(weft_link_send)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_link_send(NULL, WEFT_FRAME_USER, 0, 0, "x", 1, WEFT_FOREVER), "link");
    CHECK_INVALID(weft_link_send(zoo->link, WEFT_FRAME_USER, 0, 0, NULL, 1, WEFT_FOREVER), "data");
    CHECK_INVALID(weft_link_send(zoo->link, WEFT_FRAME_USER, 0, 0, "x", SIZE_MAX, WEFT_FOREVER), "len");
    CHECK_INVALID(weft_link_send(zoo->link, 0, 0, 0, "x", 1, WEFT_FOREVER), "kind");
    CHECK_INVALID(weft_link_send(zoo->link, WEFT_FRAME_SHUTDOWN + 1, 0, 0, "x", 1, WEFT_FOREVER), "kind");
    CHECK_INVALID(weft_link_send(zoo->link, WEFT_FRAME_USER - 1, 0, 0, "x", 1, WEFT_FOREVER), "kind");
    FOR_WRONG(zoo, LINK, h)
        CHECK_INVALID(weft_link_send(h, WEFT_FRAME_USER, 0, 0, "x", 1, WEFT_FOREVER), "link");
    zoo_end(zoo);
}

MISUSE(weft_link_recv)
{
    struct zoo *zoo = zoo_new();
    weft_frame frame = {.kind = 77};
    CHECK_INVALID(weft_link_recv(NULL, WEFT_FOREVER, &frame), "link");
    CHECK_INVALID(weft_link_recv(zoo->link, WEFT_FOREVER, NULL), "out");
    FOR_WRONG(zoo, LINK, h)
        CHECK_INVALID(weft_link_recv(h, WEFT_FOREVER, &frame), "link");
    CHECK_INT(frame.kind, 77);
    zoo_end(zoo);
}

MISUSE(weft_link_peek)
{
    struct zoo *zoo = zoo_new();
    weft_frame frame = {.kind = 77};
    CHECK_INVALID(weft_link_peek(NULL, WEFT_FOREVER, &frame), "link");
    CHECK_INVALID(weft_link_peek(zoo->link, WEFT_FOREVER, NULL), "out");
    CHECK_REFUSED(weft_link_peek(zoo->link, WEFT_FOREVER, &frame), WEFT_UNSUPPORTED, "trusted");
    FOR_WRONG(zoo, LINK, h)
        CHECK_INVALID(weft_link_peek(h, WEFT_FOREVER, &frame), "link");
    CHECK_INT(frame.kind, 77);
    zoo_end(zoo);
}

MISUSE(weft_link_consume)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_link_consume(NULL), "link");
    CHECK_INVALID(weft_link_consume(zoo->link), "looked at");
    FOR_WRONG(zoo, LINK, h)
        CHECK_INVALID(weft_link_consume(h), "link");
    zoo_end(zoo);
}

MISUSE(weft_link_fd)
{
    struct zoo *zoo = zoo_new();
    int32_t fd = 77;
    CHECK_INVALID(weft_link_fd(NULL, &fd), "link");
    CHECK_INVALID(weft_link_fd(zoo->link, NULL), "fd");
    FOR_WRONG(zoo, LINK, h)
        CHECK_INVALID(weft_link_fd(h, &fd), "link");
    CHECK_INT(fd, 77);
    zoo_end(zoo);
}

MISUSE(weft_link_stats_get)
{
    struct zoo *zoo = zoo_new();
    weft_link_stats stats = {.size = sizeof stats, .sent_frames = 77};
    CHECK_INVALID(weft_link_stats_get(NULL, &stats), "link");
    CHECK_INVALID(weft_link_stats_get(zoo->link, NULL), "out");
    FOR_WRONG(zoo, LINK, h)
        CHECK_INVALID(weft_link_stats_get(h, &stats), "link");
    stats.size = 3;
    CHECK_INVALID(weft_link_stats_get(zoo->link, &stats), "size");
    CHECK_INT(stats.sent_frames, 77);
    zoo_end(zoo);
}

MISUSE(weft_link_close)
{
    struct zoo *zoo = zoo_new();
    COMPLAINS(weft_link_close(NULL), "link");
    FOR_WRONG(zoo, LINK, h)
        COMPLAINS(weft_link_close(h), "link");
    zoo_end(zoo);
}

MISUSE(weft_link_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_link_retain(NULL) == NULL);
    FOR_WRONG(zoo, LINK, h)
        CHECK_NULL(weft_link_retain(h), "link");
    zoo_end(zoo);
}

MISUSE(weft_link_release)
{
    struct zoo *zoo = zoo_new();
    weft_link_release(NULL);
    FOR_WRONG(zoo, LINK, h)
        COMPLAINS(weft_link_release(h), "link");
    zoo_end(zoo);
}
