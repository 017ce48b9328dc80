/* Forks that cannot be: what is refused has not begun, and what cannot be handed over is told. */
#include "contexts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- no descriptors */

struct call {
    int began[2];
    /* Of the argument, in this process. */
    int drops;
    char *owned;
};

static weft_status begin(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    struct call *call = arg;
    if (write(call->began[1], call->owned, 1) != 1)
        return WEFT_OS;
    return weft_bytes_new(data, len, reply);
}

static void let_go(void *ctx, void *arg)
{
    struct call *call = arg;
    (void)ctx;
    call->drops++;
    free(call->owned);
}

/* Whether there was room for it. */
static bool executes_with(rlim_t descriptors, size_t open)
{
    struct call call = {.owned = strdup("x")};
    struct rlimit before, little;
    char byte;
    weft_context *context = context_new(WEFT_CONTEXT_FORK, "little");
    REQUIRE(pipe(call.began) == 0 && fcntl(call.began[0], F_SETFL, O_NONBLOCK) == 0);
    getrlimit(RLIMIT_NOFILE, &before);
    little = before;
    little.rlim_cur = descriptors;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &little) == 0);
    weft_status status = weft_context_execute(context, begin, &call, let_go, NULL, "little", 6);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
    if (status == WEFT_OK) {
        CHECK_INT(call.drops, 1);
        check_reply(context, "little");
        CHECK_INT(read(call.began[0], &byte, 1), 1);
    } else {
        weft_context_stats stats = {.size = sizeof stats};
        CHECK_INT(status, WEFT_OS);
        /* Nobody is left who might still begin. */
        CHECK_INT(children_left(), 0);
        CHECK(read(call.began[0], &byte, 1) == -1 && errno == EAGAIN);
        CHECK_INT(call.drops, 0);
        CHECK_STATUS(weft_context_wait(context, 0, NULL), WEFT_INVALID);
        OK(weft_context_stats_get(context, &stats));
        CHECK_INT(stats.executed, 0);
        /* All is as before: it can be executed, with the same argument. */
        OK(weft_context_execute(context, begin, &call, let_go, NULL, "again", 5));
        check_reply(context, "again");
        CHECK_INT(call.drops, 1);
    }
    weft_context_release(context);
    CHECK_INT(children_left(), 0);
    close(call.began[0]), close(call.began[1]);
    CHECK_INT(descriptors_open(), open);
    return status == WEFT_OK;
}

/* The first that can be had beside the two ends of a pipe. */
static rlim_t first_free_descriptor(void)
{
    int ends[2], next = -1;
    REQUIRE(pipe(ends) == 0 && (next = dup(ends[0])) >= 0);
    close(ends[0]), close(ends[1]), close(next);
    return (rlim_t)next;
}

CHILD_WITHOUT_LEAK_CHECK(has_few_descriptors)
{
    weft_context *context = context_new(WEFT_CONTEXT_FORK, "before");
    execute_text(context, echo, "before");
    check_reply(context, "before");
    weft_context_release(context);
    size_t open = descriptors_open();
    for (int again = 0; again < (under_a_tool() ? 2 : 10); again++) {
        rlim_t limit = first_free_descriptor(), most = limit + 64;
        int refused = 0;
        /* Each limit lets at most one more be had than the one before: each that is needed has been the one that was missing. */
        while (limit < most && !executes_with(limit, open)) {
            refused++;
            limit++;
        }
        CHECK(limit < most);
        /* The file of the reply, the child's own, and what its end is watched by. */
        CHECK(refused >= 3);
    }
}

TEST(without_descriptors_nothing_is_begun) { child_succeeds("has_few_descriptors"); }

/* ---- a parent that dies between its fork and all that there has to be before the child may begin */

static void die(void) { raise(SIGKILL); }

static weft_status tell(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)data, (void)len, (void)reply;
    return write(*(int *)arg, "x", 1) == 1 ? WEFT_OK : WEFT_OS;
}

CHILD_WITHOUT_LEAK_CHECK(has_a_child_that_dies_when_it_has_forked)
{
    int ends[2], status = 0;
    char byte;
    REQUIRE(pipe(ends) == 0);
    pid_t parent = fork();
    REQUIRE(parent >= 0);
    if (parent == 0) {
        OK(weft_after_fork());
        REQUIRE(pthread_atfork(NULL, die, NULL) == 0);
        weft_context *context = context_new(WEFT_CONTEXT_FORK, "orphan");
        (void)weft_context_execute(context, tell, &ends[1], NULL, NULL, NULL, 0);
        _exit(1);
    }
    close(ends[1]);
    /* The orphan has the last of the other ends: it has gone, and called nothing. */
    CHECK_INT(read(ends[0], &byte, 1), 0);
    CHECK_INT(waitpid(parent, &status, 0), parent);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ends[0]);
}

TEST(an_orphan_does_not_wait_to_begin) { child_succeeds("has_a_child_that_dies_when_it_has_forked"); }

/* ---- children that close what is not theirs */

static int result_file(void)
{
    for (int fd = 3; fd < 1000; fd++) {
        char path[64], name[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, name, sizeof name - 1);
        if (n > 0 && strstr(name, "weft-result") != NULL)
            return fd;
    }
    return -1;
}

static weft_status close_all(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)arg;
    for (int fd = 0; fd < 1000; fd++)
        close(fd);
    return weft_bytes_new(data, len, reply);
}

static weft_status put_another_file_there(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    int fd = result_file();
    if (fd < 0 || dup2(*(int *)arg, fd) != fd)
        return WEFT_OS;
    return len == 0 ? weft_error_set(WEFT_FAILED, "and fails") : weft_bytes_new(data, len, reply);
}

/* Such a child is not said to have ended before its function had returned. */
CHILD_WITHOUT_LEAK_CHECK(close_what_is_not_theirs)
{
    struct stat facts;
    FILE *file = tmpfile();
    REQUIRE(file != NULL);
    int number = fileno(file);
    static const weft_handler_fn functions[] = {close_all, put_another_file_there, put_another_file_there};
    for (size_t i = 0; i < 3; i++) {
        weft_context *context = context_new(WEFT_CONTEXT_FORK, "closes");
        OK(weft_context_execute(context, functions[i], &number, NULL, NULL, "reply", i == 2 ? 0 : 5));
        CHECK_REFUSED(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_DIED, "cannot be handed over");
        CHECK_INT(children_left(), 0);
        weft_context_release(context);
        /* What has come to have the number is left alone. */
        CHECK(fstat(number, &facts) == 0 && facts.st_size == 0);
    }
    fclose(file);
}

TEST(a_reply_that_cannot_be_handed_over_is_told) { child_succeeds("close_what_is_not_theirs"); }
