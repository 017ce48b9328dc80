/* Workers that do not keep to the rules: each costs the calls it had, and the pool goes on. */
#include "processes.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The way to the pool, as a worker that does by itself what weft_serve does. */
static weft_link *link_to_pool(void)
{
    weft_link *link = NULL;
    alarm(0);
    const char *number = getenv("WEFT_LINK_FD");
    REQUIRE(number != NULL);
    OK(weft_link_adopt(atoi(number), &link));
    OK(weft_link_send(link, WEFT_FRAME_HEARTBEAT, 0, 0, NULL, 0, WEFT_FOREVER));
    return link;
}

/* The next call; 0: there is none any more. */
static uint64_t next_call(weft_link *link, char *what)
{
    weft_frame frame;
    while (weft_link_recv(link, WEFT_FOREVER, &frame) == WEFT_OK) {
        bool is_call = frame.kind == WEFT_FRAME_REQUEST, is_end = frame.kind == WEFT_FRAME_SHUTDOWN;
        uint64_t id = frame.id;
        *what = frame.len > 0 ? *(const char *)frame.data : 0;
        weft_bytes_release(frame.bytes);
        if (is_end)
            break;
        if (is_call)
            return id;
    }
    return 0;
}

CHILD_WITHOUT_LEAK_CHECK(writes_nonsense)
{
    weft_link *link = link_to_pool();
    static const unsigned char garbage[64] = {0xff, 0xff, 0xff, 0xff, 0, 1, 2, 3};
    char what;
    for (uint64_t id; (id = next_call(link, &what)) != 0;) {
        switch (what) {
        case '0': /* an answer to a call that is not there */
            OK(weft_link_send(link, WEFT_FRAME_REPLY, 0, id + 1000000, "x", 1, WEFT_FOREVER));
            break;
        case '1': /* two answers */
            OK(weft_link_send(link, WEFT_FRAME_REPLY, 0, id, "x", 1, WEFT_FOREVER));
            OK(weft_link_send(link, WEFT_FRAME_REPLY, 0, id, "x", 1, WEFT_FOREVER));
            break;
        case '2': /* failures that cannot be */
            OK(weft_link_send(link, WEFT_FRAME_ERROR, 0, id, garbage, sizeof garbage, WEFT_FOREVER));
            break;
        case '3':
            OK(weft_link_send(link, WEFT_FRAME_ERROR, 0, id, NULL, 0, WEFT_FOREVER));
            break;
        case '4':
            OK(weft_link_send(link, WEFT_FRAME_STATS, 0, 0, garbage, 23, WEFT_FOREVER));
            break;
        case '5':
            OK(weft_link_send(link, WEFT_FRAME_LOG, 0, 0, garbage, sizeof garbage, WEFT_FOREVER));
            break;
        case '6': /* it has begun what it does not have */
            OK(weft_link_send(link, WEFT_FRAME_HEARTBEAT, 0, id + 1, NULL, 0, WEFT_FOREVER));
            break;
        case '7': /* what only pools send */
            OK(weft_link_send(link, WEFT_FRAME_SHUTDOWN, 0, 0, NULL, 0, WEFT_FOREVER));
            break;
        case '8':
            OK(weft_link_send(link, WEFT_FRAME_USER + 5, 0, id, "x", 1, WEFT_FOREVER));
            break;
        default:
            OK(weft_link_send(link, WEFT_FRAME_REPLY, 0, id, "good", 4, WEFT_FOREVER));
        }
    }
    weft_link_release(link);
}

TEST(nonsense_ends_the_worker_that_writes_it)
{
    weft_process_pool_options options = pool_options_of("writes_nonsense", 1);
    options.restart_limit = UINT32_MAX;
    weft_process_pool *pool = pool_with(&options);
    for (char what = '0'; what <= '8'; what++) {
        weft_future *future = ask(pool, what);
        if (what == '1')
            answers(future, "x", 1);
        else
            fails(future, WEFT_PROTOCOL, "sent nonsense");
        /* The second answer may be taken for a death with the next call in hand. */
        weft_future *next = call_with(pool, "?", 1, 0, 2);
        answers(next, "good", 4);
    }
    weft_process_pool_stats stats = pool_stats(pool);
    CHECK(stats.deaths == 9 && stats.died == 8);
    pool_end(pool);
    no_children();
}

CHILD_WITHOUT_LEAK_CHECK(scribbles)
{
    weft_link *link = link_to_pool();
    char what;
    while (next_call(link, &what) != 0) {
        /* The memory of the link, wherever it is mapped. */
        FILE *maps = fopen("/proc/self/maps", "r");
        char line[512];
        REQUIRE(maps != NULL);
        while (fgets(line, sizeof line, maps) != NULL) {
            unsigned long begin, end;
            if (strstr(line, "weft-link") != NULL && sscanf(line, "%lx-%lx", &begin, &end) == 2)
                for (unsigned long at = begin; at < end && at < begin + 65536; at++)
                    *(volatile unsigned char *)at = (unsigned char)(at * 31 + 7);
        }
        fclose(maps);
        kill(getpid(), SIGKILL);
    }
}

TEST(scribbling_in_shared_memory_costs_the_scribblers_call)
{
    weft_process_pool_options options = pool_options_of("scribbles", 2);
    options.restart_limit = UINT32_MAX;
    weft_process_pool *pool = pool_with(&options);
    for (int i = 0; i < 6; i++) {
        weft_future *future = ask(pool, 'x');
        void *value;
        weft_status status = weft_future_get(future, WEFT_FOREVER, &value);
        CHECK(status == WEFT_PROTOCOL || status == WEFT_DIED);
        weft_future_release(future);
    }
    pool_end(pool);
    no_children();
}

/* One that never reads: calls larger than the link stay in their senders' hands. */
CHILD_WITHOUT_LEAK_CHECK(never_reads)
{
    link_to_pool();
    for (;;)
        pause();
}

TEST(a_worker_that_never_reads_hangs_nobody)
{
    weft_process_pool_options options = pool_options_of("never_reads", 2);
    options.call_timeout_ns = 20000000;
    options.restart_limit = UINT32_MAX;
    options.grace_ns = 10000000;
    weft_process_pool *pool = pool_with(&options);
    size_t len = 6 << 20;
    char *data = calloc(1, len);
    weft_future *futures[6];
    REQUIRE(data != NULL);
    for (int i = 0; i < 6; i++)
        futures[i] = call(pool, data, i % 2 ? len : 10);
    for (int i = 0; i < 6; i++)
        fails(futures[i], WEFT_TIMEOUT, "not answered in time");
    free(data);
    pool_end(pool);
    no_children();
}

/* One that closes its link and lives on. */
CHILD_WITHOUT_LEAK_CHECK(closes_its_link)
{
    weft_link *link = link_to_pool();
    char what;
    next_call(link, &what);
    weft_link_release(link);
    for (;;)
        pause();
}

TEST(a_worker_that_closes_its_link_is_killed)
{
    weft_process_pool_options options = pool_options_of("closes_its_link", 1);
    options.restart_limit = UINT32_MAX;
    weft_process_pool *pool = pool_with(&options);
    for (int i = 0; i < 3; i++)
        fails(ask(pool, 'x'), WEFT_DIED, "closed its link during a call");
    options.grace_ns = 10000000;
    pool_end(pool);
    no_children();
}

/* One whose child keeps its socket, until the pipe of keep_pipe is closed here: its end shows all the same. */
enum { KEEP_FD = 103 };

static int keep_pipe(void)
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    REQUIRE(dup2(ends[0], KEEP_FD) == KEEP_FD);
    close(ends[0]);
    REQUIRE(fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0);
    return ends[1];
}

static void keep_end(int end)
{
    close(end);
    close(KEEP_FD);
}

CHILD_WITHOUT_LEAK_CHECK(leaves_its_socket_to_a_child)
{
    int keep = dup(atoi(getenv("WEFT_LINK_FD")));
    weft_link *link = link_to_pool();
    char what;
    if (next_call(link, &what) == 0)
        return;
    REQUIRE(keep >= 0);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0)
        _exit(read(KEEP_FD, &what, 1) == 0 ? 0 : 1);
    kill(getpid(), SIGKILL);
}

TEST(a_death_shows_although_somebody_has_the_socket)
{
    int end = keep_pipe();
    weft_process_pool_options options = pool_options_of("leaves_its_socket_to_a_child", 1);
    weft_process_pool *pool = pool_with(&options);
    fails(ask(pool, 'x'), WEFT_DIED, "signal 9");
    pool_end(pool);
    keep_end(end);
}

/* One whose child has the whole link, and writes to it without end. */
CHILD_WITHOUT_LEAK_CHECK(leaves_its_link_to_a_child)
{
    alarm(0);
    int fd = atoi(getenv("WEFT_LINK_FD")), ends[2];
    char byte = 1;
    REQUIRE(pipe(ends) == 0);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid > 0) {
        /* It writes by now, and does not stop. */
        close(ends[1]);
        REQUIRE(read(ends[0], &byte, 1) == 1);
        kill(getpid(), SIGKILL);
    }
    weft_link *link = NULL;
    OK(weft_after_fork());
    OK(weft_link_adopt(fd, &link));
    char what;
    OK(weft_link_send(link, WEFT_FRAME_HEARTBEAT, 0, 0, NULL, 0, WEFT_FOREVER));
    if (next_call(link, &what) != 0)
        REQUIRE(write(ends[1], &byte, 1) == 1);
    while (weft_link_send(link, WEFT_FRAME_HEARTBEAT, 0, 0, NULL, 0, WEFT_FOREVER) == WEFT_OK)
        ;
    weft_link_release(link);
}

TEST(a_death_shows_although_somebody_writes_without_end)
{
    weft_process_pool_options options = pool_options_of("leaves_its_link_to_a_child", 1);
    options.restart_limit = 0;
    weft_process_pool *pool = pool_with(&options);
    fails(ask(pool, 'x'), WEFT_DIED, "signal 9");
    pool_end(pool);
}

/* A handler that forks: its child has the link, too, and does not get to answer. */
static weft_status forks_and_returns(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)arg;
    pid_t self = getpid(), pid = len > 0 && *(const char *)data == 'f' ? fork() : self;
    REQUIRE(pid >= 0);
    if (pid > 0 && pid != self) {
        int status = 0;
        REQUIRE(waitpid(pid, &status, 0) == pid);
        return weft_bytes_new(&status, sizeof status, reply);
    }
    return weft_bytes_new(data, len, reply);
}

CHILD_WITHOUT_LEAK_CHECK(forks_in_its_handler)
{
    alarm(0);
    CHECK_STATUS(weft_serve(-1, forks_and_returns, NULL), WEFT_OK);
}

TEST(a_handlers_child_does_not_answer)
{
    weft_process_pool_options options = pool_options_of("forks_in_its_handler", 1);
    weft_process_pool *pool = pool_with(&options);
    for (int i = 0; i < 3; i++) {
        void *bytes = NULL;
        weft_future *future = ask(pool, 'f');
        if (CHECK_STATUS(weft_future_get(future, WEFT_FOREVER, &bytes), WEFT_OK)) {
            int status;
            REQUIRE(weft_bytes_len(bytes) == sizeof status);
            memcpy(&status, weft_bytes_data(bytes), sizeof status);
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 70);
        }
        weft_future_release(future);
        answers(ask(pool, 'x'), "x", 1);
    }
    CHECK_INT(pool_stats(pool).deaths, 0);
    pool_end(pool);
}
