/* Misuse of what hosts have that are not called for workers and calls. See misuse.h. */
#include "misuse.h"

#include <unistd.h>

/* No handle of the zoo's is a birth or a server: all are wrong. */
#define FOR_ALL(zoo, h) FOR_WRONG(zoo, NOUNS, h)

static weft_process_birth *birth_new(weft_process_pool *pool)
{
    weft_process_birth *birth = NULL;
    OK(weft_process_birth_begin(pool, WEFT_FOREVER, &birth));
    return birth;
}

MISUSE(weft_process_no_fork)
{
    CHECK_INT(weft_process_no_fork(-1, NULL), -1);
    CHECK_HAS(weft_error_message(), "weft_process_birth_begin");
}

MISUSE(weft_process_birth_begin)
{
    struct zoo *zoo = zoo_new();
    weft_process_birth *birth = SENTINEL;
    CHECK_INVALID(weft_process_birth_begin(NULL, 0, &birth), "pool");
    CHECK_INVALID(weft_process_birth_begin(zoo->processes, WEFT_FOREVER, NULL), "out");
    FOR_WRONG(zoo, PROCESSES, h)
        CHECK_INVALID(weft_process_birth_begin(h, 0, &birth), "pool");
    CHECK(birth == SENTINEL);
    zoo_end(zoo);
}

MISUSE(weft_process_birth_fd)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_process_birth_fd(NULL), -1, "birth");
    FOR_ALL(zoo, h)
        CHECK_NEUTRAL(weft_process_birth_fd(h), -1, "birth");
    zoo_end(zoo);
}

MISUSE(weft_process_birth_end)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_process_birth_end(NULL, 1), "birth");
    FOR_ALL(zoo, h)
        CHECK_INVALID(weft_process_birth_end(h, 1), "birth");
    weft_process_birth *birth = birth_new(zoo->processes);
    /* Process 1 is nobody's child. */
    CHECK_REFUSED(weft_process_birth_end(birth, 1), WEFT_OS, "no child");
    CHECK_REFUSED(weft_process_birth_end(birth, 1), WEFT_BUSY, "ended");
    weft_process_birth_release(birth);
    birth = birth_new(zoo->processes);
    CHECK_REFUSED(weft_process_birth_end(birth, -5), WEFT_FAILED, "could not fork");
    weft_process_birth_release(birth);
    zoo_end(zoo);
}

MISUSE(weft_process_birth_release)
{
    struct zoo *zoo = zoo_new();
    weft_process_birth_release(NULL);
    FOR_ALL(zoo, h)
        COMPLAINS(weft_process_birth_release(h), "process birth");
    zoo_end(zoo);
}

MISUSE(weft_process_pool_close)
{
    struct zoo *zoo = zoo_new();
    COMPLAINS(weft_process_pool_close(NULL), "pool");
    FOR_WRONG(zoo, PROCESSES, h)
        COMPLAINS(weft_process_pool_close(h), "pool");
    weft_process_pool_close(zoo->processes);
    weft_process_pool_close(zoo->processes);
    zoo_end(zoo);
}

MISUSE(weft_server_new)
{
    weft_server *server = SENTINEL;
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    CHECK_INVALID(weft_server_new(-1, NULL), "out");
    CHECK_INVALID(weft_server_new(-1, &server), "fd");
    CHECK_INVALID(weft_server_new(-2, &server), "fd");
    CHECK_INVALID(weft_server_new(INT32_MAX, &server), "fd");
    CHECK_INVALID(weft_server_new(ends[0], &server), "fd");
    CHECK(server == SENTINEL && close(ends[0]) == 0 && close(ends[1]) == 0);
}

/* A server at a link of the test's own. */
static weft_server *server_new(weft_link **link)
{
    weft_server *server = NULL;
    int32_t fd = -1;
    OK(weft_link_pair(NULL, link, &fd));
    OK(weft_server_new(fd, &server));
    return server;
}

MISUSE(weft_server_next)
{
    struct zoo *zoo = zoo_new();
    weft_link *link = NULL;
    weft_server *server = server_new(&link);
    weft_bytes *call = SENTINEL;
    CHECK_INVALID(weft_server_next(NULL, 0, &call), "server");
    CHECK_INVALID(weft_server_next(server, 0, NULL), "call");
    CHECK_STATUS(weft_server_next(server, 0, &call), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_server_next(server, 1000, &call), WEFT_TIMEOUT);
    FOR_ALL(zoo, h)
        CHECK_INVALID(weft_server_next(h, 0, &call), "server");
    CHECK(call == SENTINEL);
    OK(weft_link_send(link, WEFT_FRAME_REQUEST, 1, 5, "x", 1, WEFT_FOREVER));
    OK(weft_server_next(server, WEFT_FOREVER, &call));
    weft_bytes_release(call);
    CHECK_REFUSED(weft_server_next(server, WEFT_FOREVER, &call), WEFT_BUSY, "not answered");
    OK(weft_server_reply(server, NULL, 0, WEFT_FOREVER));
    weft_link_release(link);
    CHECK(weft_server_next(server, WEFT_FOREVER, &call) != WEFT_OK);
    CHECK(weft_server_next(server, WEFT_FOREVER, &call) != WEFT_OK);
    weft_server_release(server);
    zoo_end(zoo);
}

MISUSE(weft_server_reply)
{
    struct zoo *zoo = zoo_new();
    weft_link *link = NULL;
    weft_server *server = server_new(&link);
    CHECK_INVALID(weft_server_reply(NULL, "x", 1, 0), "server");
    CHECK_INVALID(weft_server_reply(server, NULL, 1, 0), "data");
    CHECK_INVALID(weft_server_reply(server, "x", SIZE_MAX, 0), "data");
    CHECK_INVALID(weft_server_reply(server, "x", 1, 0), "no call");
    FOR_ALL(zoo, h)
        CHECK_INVALID(weft_server_reply(h, "x", 1, 0), "server");
    weft_server_release(server);
    weft_link_release(link);
    zoo_end(zoo);
}

MISUSE(weft_server_fail)
{
    struct zoo *zoo = zoo_new();
    weft_link *link = NULL;
    weft_server *server = server_new(&link);
    CHECK_INVALID(weft_server_fail(NULL, 60, "no", NULL, NULL, 0), "server");
    CHECK_INVALID(weft_server_fail(server, WEFT_OK, "no", NULL, NULL, 0), "status");
    CHECK_INVALID(weft_server_fail(server, 60, "no", NULL, NULL, 0), "no call");
    FOR_ALL(zoo, h)
        CHECK_INVALID(weft_server_fail(h, 60, NULL, NULL, NULL, 0), "server");
    FOR_WRONG(zoo, BYTES, h)
        CHECK_INVALID(weft_server_fail(server, 60, NULL, NULL, h, 0), "payload");
    weft_server_release(server);
    weft_link_release(link);
    zoo_end(zoo);
}

MISUSE(weft_server_cancelled)
{
    struct zoo *zoo = zoo_new();
    weft_link *link = NULL;
    weft_server *server = server_new(&link);
    CHECK_NEUTRAL(weft_server_cancelled(NULL), false, "server");
    CHECK(!weft_server_cancelled(server));
    FOR_ALL(zoo, h)
        CHECK_NEUTRAL(weft_server_cancelled(h), false, "server");
    weft_server_release(server);
    weft_link_release(link);
    zoo_end(zoo);
}

MISUSE(weft_server_attempt)
{
    struct zoo *zoo = zoo_new();
    weft_link *link = NULL;
    weft_server *server = server_new(&link);
    CHECK_NEUTRAL(weft_server_attempt(NULL), 0, "server");
    CHECK_INT(weft_server_attempt(server), 0);
    FOR_ALL(zoo, h)
        CHECK_NEUTRAL(weft_server_attempt(h), 0, "server");
    weft_server_release(server);
    weft_link_release(link);
    zoo_end(zoo);
}

MISUSE(weft_server_release)
{
    struct zoo *zoo = zoo_new();
    weft_server_release(NULL);
    FOR_ALL(zoo, h)
        COMPLAINS(weft_server_release(h), "server");
    zoo_end(zoo);
}
