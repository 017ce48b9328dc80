/* Contexts that run in a copy of this process: replies of any size, ends of any kind, and nothing left behind. */
#include "contexts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static weft_context *fork_new(void)
{
    return context_new(WEFT_CONTEXT_FORK, "copy");
}

/* ---- replies */

static weft_status pattern(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    size_t n;
    (void)arg;
    if (len != sizeof n)
        return WEFT_INVALID;
    memcpy(&n, data, sizeof n);
    unsigned char *bytes = malloc(n + 1);
    if (bytes == NULL)
        return WEFT_NOMEM;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 4096);
    weft_status status = weft_bytes_new(bytes, n, reply);
    free(bytes);
    return status;
}

static bool is_pattern(const weft_bytes *reply, size_t n)
{
    const unsigned char *bytes = weft_bytes_data(reply);
    size_t i = 0;
    while (i < n && bytes[i] == (unsigned char)(i * 31 + i / 4096))
        i++;
    return i == n && weft_bytes_len(reply) == n;
}

TEST(replies_of_any_size_come_back)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 65535, 65536, 65537, 1 << 20, (1 << 20) + 1, 40 << 20};
    size_t last = under_a_tool() ? 9 : 10;
    for (size_t i = 0; i < last; i++) {
        weft_context *context = fork_new();
        weft_bytes *reply = NULL;
        OK(weft_context_execute(context, pattern, NULL, NULL, NULL, &sizes[i], sizeof sizes[i]));
        OK(weft_context_wait(context, WEFT_FOREVER, &reply));
        weft_context_release(context);
        CHECK(is_pattern(reply, sizes[i]));
        weft_bytes_release(reply);
    }
}

static weft_status write_here(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    int *number = arg;
    (void)data, (void)len;
    *number += 1;
    return weft_bytes_new(number, sizeof *number, reply);
}

TEST(the_child_has_a_copy)
{
    weft_context *context = fork_new();
    weft_bytes *reply = NULL;
    int number = 41;
    OK(weft_context_execute(context, write_here, &number, NULL, NULL, NULL, 0));
    number = 7;
    OK(weft_context_wait(context, WEFT_FOREVER, &reply));
    CHECK_INT(*(const int *)weft_bytes_data(reply), 42);
    CHECK_INT(number, 7);
    weft_bytes_release(reply);
    weft_context_release(context);
}

/* ---- ends */

enum { BY_EXIT, BY_QUICK_EXIT, BY_KILL, BY_ABORT, BY_SEGV, ENDS };

static weft_status end(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    int how = *(const int *)data;
    (void)len, (void)reply, (void)arg;
    signal(SIGABRT, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    switch (how) {
    case BY_EXIT: exit(3);
    case BY_QUICK_EXIT: _exit(0);
    case BY_KILL: raise(SIGKILL); break;
    case BY_ABORT: abort();
    default: raise(SIGSEGV);
    }
    return WEFT_OK;
}

static void ends_with(int how, const char *text)
{
    weft_context *context = fork_new();
    OK(weft_context_execute(context, end, NULL, NULL, NULL, &how, sizeof how));
    CHECK_REFUSED(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_DIED, text);
    CHECK_INT(weft_error_status(weft_context_error(context)), WEFT_DIED);
    CHECK_HAS(weft_error_origin(weft_context_error(context)), "process ");
    CHECK_INT(children_left(), 0);
    weft_context_release(context);
}

/* Of its own: exit runs what this program has registered, in the child, too. */
CHILD_WITHOUT_LEAK_CHECK(children_that_end)
{
    ends_with(BY_QUICK_EXIT, "exited with status 0 before");
    ends_with(BY_KILL, "signal 9");
    ends_with(BY_ABORT, "signal 6");
    ends_with(BY_SEGV, "signal 11");
    ends_with(BY_EXIT, "exited with status ");
}

TEST(a_child_that_ends_says_how) { child_succeeds("children_that_end"); }

static weft_status ignore_term(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    int *ready = arg;
    (void)data, (void)len, (void)reply;
    signal(SIGTERM, SIG_IGN);
    if (write(ready[1], "x", 1) != 1)
        return WEFT_OS;
    for (;;)
        pause();
}

static weft_status stop_oneself(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    int *ready = arg;
    (void)data, (void)len, (void)reply;
    if (write(ready[1], "x", 1) != 1)
        return WEFT_OS;
    raise(SIGSTOP);
    return WEFT_OK;
}

TEST(what_does_not_heed_a_request_is_killed)
{
    static const weft_handler_fn functions[] = {ignore_term, stop_oneself};
    for (int i = 0; i < 4; i++) {
        int ready[2];
        char byte;
        weft_context *context = fork_new();
        REQUIRE(pipe(ready) == 0);
        OK(weft_context_execute(context, functions[i % 2], ready, NULL, NULL, NULL, 0));
        REQUIRE(read(ready[0], &byte, 1) == 1);
        OK(weft_context_terminate(context, i / 2 ? 1000000 : 0));
        CHECK_REFUSED(weft_context_wait(context, 0, NULL), WEFT_CANCELLED, "signal ");
        CHECK_INT(children_left(), 0);
        weft_context_release(context);
        close(ready[0]), close(ready[1]);
    }
}

static atomic_int terms;

static void on_term(int signal)
{
    (void)signal;
    atomic_fetch_add(&terms, 1);
}

static weft_status wait_for_signals(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)data, (void)len, (void)reply, (void)arg;
    while (pause() < 0)
        ;
    return WEFT_OK;
}

/* Whatever the program does with SIGTERM, and though the thread that forks does not take it. */
CHILD(has_a_handler_for_sigterm)
{
    sigset_t set;
    signal(SIGTERM, on_term);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    weft_context *context = fork_new();
    OK(weft_context_execute(context, wait_for_signals, NULL, NULL, NULL, NULL, 0));
    OK(weft_context_terminate(context, WEFT_FOREVER));
    CHECK_REFUSED(weft_context_wait(context, 0, NULL), WEFT_CANCELLED, "signal 15");
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    CHECK_INT(terms, 0);
    raise(SIGTERM);
    CHECK_INT(terms, 1);
    weft_context_release(context);
}

TEST(a_request_ends_the_child_whatever_the_program_does_with_it) { child_succeeds("has_a_handler_for_sigterm"); }

/* ---- whose children are whose */

TEST(children_of_the_program_are_left_alone)
{
    pid_t own = fork();
    REQUIRE(own >= 0);
    if (own == 0)
        _exit(7);
    for (int i = 0; i < 10; i++) {
        weft_context *context = fork_new();
        execute_text(context, echo, "reaped");
        check_reply(context, "reaped");
        weft_context_release(context);
    }
    int status = 0;
    CHECK_INT(children_left(), 1);
    CHECK_INT(waitpid(own, &status, 0), own);
    CHECK_INT(WEXITSTATUS(status), 7);
}

CHILD_WITHOUT_LEAK_CHECK(ignores_its_children)
{
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 10; i++) {
        int how = BY_KILL;
        weft_context *context = fork_new(), *dies = fork_new();
        execute_text(context, echo, "all the same");
        OK(weft_context_execute(dies, end, NULL, NULL, NULL, &how, sizeof how));
        check_reply(context, "all the same");
        CHECK_REFUSED(weft_context_wait(dies, WEFT_FOREVER, NULL), WEFT_DIED, "process ");
        weft_context_release(context);
        weft_context_release(dies);
    }
}

TEST(replies_come_though_somebody_else_reaps) { child_succeeds("ignores_its_children"); }

/* ---- what the child may do */

struct inherited {
    weft_bytes *bytes;
    weft_context *context;
    weft_runtime *runtime;
};

static weft_status use_inherited(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    struct inherited *all = arg;
    weft_context *own = NULL;
    weft_status status = WEFT_OK;
    weft_context_stats stats = {.size = sizeof stats};
    (void)data, (void)len;
    if (weft_context_stats_get(all->context, &stats) != WEFT_FORKED || weft_context_error(all->context) != NULL ||
        weft_context_name(all->context)[0] != '\0' || weft_context_kind_asked(all->context) != -1 ||
        weft_context_retain(all->context) != NULL)
        return weft_error_set(WEFT_FAILED, "something inherited is not WEFT_FORKED");
    weft_context_release(all->context);
    if (weft_bytes_len(all->bytes) != 0 || weft_context_wait(all->context, WEFT_FOREVER, NULL) != WEFT_FORKED ||
        weft_context_is_alive(all->context) || weft_context_kind(all->context) != -1 ||
        weft_context_execute(all->context, echo, NULL, NULL, NULL, NULL, 0) != WEFT_FORKED ||
        weft_context_terminate(all->context, 0) != WEFT_FORKED || weft_runtime_workers(all->runtime) != -1)
        return weft_error_set(WEFT_FAILED, "something inherited is not WEFT_FORKED");
    /* Objects of its own work; also a fork. */
    if ((status = weft_context_new(NULL, WEFT_CONTEXT_FORK, NULL, &own)) != WEFT_OK ||
        (status = weft_context_execute(own, echo, NULL, NULL, NULL, "grandchild", 10)) != WEFT_OK)
        return status;
    status = weft_context_wait(own, WEFT_FOREVER, reply);
    weft_context_release(own);
    return status;
}

TEST(what_is_inherited_is_told_and_new_objects_work)
{
    struct inherited all = {.context = fork_new(), .runtime = runtime_new(2)};
    OK(weft_bytes_new("x", 1, &all.bytes));
    OK(weft_context_execute(all.context, use_inherited, &all, NULL, NULL, NULL, 0));
    check_reply(all.context, "grandchild");
    weft_bytes_release(all.bytes);
    runtime_end(all.runtime);
    weft_context_release(all.context);
}

static weft_status give_inherited(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)data, (void)len;
    *reply = arg;
    return WEFT_OK;
}

TEST(a_reply_that_is_inherited_is_refused)
{
    weft_context *context = fork_new();
    weft_bytes *bytes = NULL;
    OK(weft_bytes_new("x", 1, &bytes));
    OK(weft_context_execute(context, give_inherited, bytes, NULL, NULL, NULL, 0));
    CHECK_REFUSED(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_FORKED, "reply");
    weft_bytes_release(bytes);
    weft_context_release(context);
}

/* ---- children that are not to be trusted: the file of the reply, found by its name */

static int reply_file(void)
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

static weft_status write_nonsense(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    int fd = reply_file();
    (void)reply, (void)arg;
    if (fd < 0 || pwrite(fd, data, len, 0) != (ssize_t)len)
        return WEFT_OS;
    _exit(0);
}

TEST(nonsense_instead_of_a_reply_is_told)
{
    struct head {
        char magic[8];
        int64_t status, began;
        uint64_t len, backtrace, payload, reserved[2];
    } heads[] = {
        {.magic = "Wresult1", .len = 1},
        {.magic = "Wresult1", .len = UINT64_MAX},
        {.magic = "Wresult1", .len = UINT64_MAX - 63},
        {.magic = "Wresult1", .len = 8, .backtrace = UINT64_MAX - 7},
        {.magic = "Wresult1", .status = INT64_MAX},
        {.magic = "Wresult1", .status = 60, .payload = UINT64_MAX - 63},
        {.magic = "Wresult1", .status = 60, .len = 1},
        {.magic = "Wresult1", .status = 60, .len = (uint64_t)1 << 40},
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct head head;
        memcpy(&head, &heads[i], sizeof head);
        memcpy(head.magic, "Wresult1", 8);
        weft_context *context = fork_new();
        OK(weft_context_execute(context, write_nonsense, NULL, NULL, NULL, &head, sizeof head));
        CHECK_STATUS(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_PROTOCOL);
        weft_context_release(context);
    }
    weft_context *context = fork_new();
    OK(weft_context_execute(context, write_nonsense, NULL, NULL, NULL, "Wresult", 7));
    CHECK_REFUSED(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_DIED, "status 0");
    weft_context_release(context);
}

enum { LARGE = 1 << 20 };

static weft_status leave_a_writer(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    int *pipes = arg, fd = reply_file();
    size_t size = LARGE;
    (void)data, (void)len;
    if (fd < 0 || ftruncate(fd, LARGE + 4096) != 0)
        return WEFT_OS;
    char *shared = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED || ftruncate(fd, 0) != 0)
        return WEFT_OS;
    pid_t writer = fork();
    if (writer < 0)
        return WEFT_OS;
    if (writer == 0) {
        char byte;
        close(pipes[1]);
        while (read(pipes[0], &byte, 1) == 1) {
            memset(shared, 0x5e, LARGE);
            if (write(pipes[3], "x", 1) != 1)
                break;
        }
        _exit(0);
    }
    return pattern(&size, sizeof size, reply, NULL);
}

/* What the child leaves behind may write to the file for ever: the reply does not change. */
TEST(a_reply_does_not_change)
{
    int pipes[4];
    char byte;
    weft_context *context = fork_new();
    weft_bytes *reply = NULL;
    REQUIRE(pipe(pipes) == 0 && pipe(pipes + 2) == 0);
    OK(weft_context_execute(context, leave_a_writer, pipes, NULL, NULL, NULL, 0));
    OK(weft_context_wait(context, WEFT_FOREVER, &reply));
    CHECK(is_pattern(reply, LARGE));
    REQUIRE(write(pipes[1], "x", 1) == 1 && read(pipes[2], &byte, 1) == 1);
    CHECK(is_pattern(reply, LARGE));
    weft_bytes_release(reply);
    weft_context_release(context);
    for (int i = 0; i < 4; i++)
        close(pipes[i]);
}

/* ---- nothing is left */

static void some_of_each(void)
{
    weft_context *contexts[12];
    for (int i = 0; i < 12; i++) {
        int how = BY_KILL;
        size_t size = 200000;
        contexts[i] = fork_new();
        if (i % 4 == 0)
            OK(weft_context_execute(contexts[i], end, NULL, NULL, NULL, &how, sizeof how));
        else if (i % 4 == 1)
            OK(weft_context_execute(contexts[i], pattern, NULL, NULL, NULL, &size, sizeof size));
        else
            OK(weft_context_execute(contexts[i], i % 4 == 2 ? fail : wait_for_signals, NULL, NULL, NULL, NULL, 0));
    }
    for (int i = 0; i < 12; i++) {
        if (i % 4 == 3)
            OK(weft_context_terminate(contexts[i], 0));
        weft_status status = weft_context_wait(contexts[i], WEFT_FOREVER, NULL);
        CHECK_INT(status, i % 4 == 0 ? WEFT_DIED : i % 4 == 1 ? WEFT_OK : i % 4 == 2 ? WEFT_FAILED : WEFT_CANCELLED);
        weft_context_release(contexts[i]);
    }
}

/* The reactor closes what it had of a child before it tells. */
TEST(no_descriptor_and_no_zombie_is_left)
{
    some_of_each();
    size_t before = descriptors_open();
    for (int i = 0; i < (under_a_tool() ? 3 : 20); i++)
        some_of_each();
    CHECK_INT(descriptors_open(), before);
    CHECK_INT(children_left(), 0);
}

static void execute_some(size_t index, void *arg)
{
    (void)arg;
    for (int i = 0; i < (under_a_tool() ? 3 : 20); i++) {
        weft_context *context = fork_new();
        size_t size = index * 40000;
        weft_bytes *reply = NULL;
        OK(weft_context_execute(context, pattern, NULL, NULL, NULL, &size, sizeof size));
        OK(weft_context_wait(context, WEFT_FOREVER, &reply));
        CHECK(is_pattern(reply, size));
        weft_bytes_release(reply);
        weft_context_release(context);
    }
}

TEST(threads_fork_at_the_same_time)
{
    threads_together(4, execute_some, NULL);
    CHECK_INT(children_left(), 0);
}

static void execute_in_a_task(weft_worker *worker, void *arg)
{
    (void)worker;
    execute_some(*(size_t *)arg, NULL);
}

TEST(a_task_forks)
{
    size_t index = 1;
    OK(weft_run(NULL, execute_in_a_task, &index));
}

/* A run that nobody has a handle of any more: its child is reaped all the same. */
TEST(a_release_leaves_no_zombie)
{
    int ends[2];
    char byte;
    REQUIRE(pipe(ends) == 0);
    weft_context *context = fork_new();
    OK(weft_context_execute(context, wait_for_signals, NULL, NULL, NULL, NULL, 0));
    weft_context *stopped = weft_context_retain(context);
    weft_context_release(context);
    OK(weft_context_terminate(stopped, 0));
    weft_context_release(stopped);
    context = fork_new();
    OK(weft_context_execute(context, echo, NULL, NULL, NULL, NULL, 0));
    weft_context_release(context);
    /* The child had the only other end; the reactor reaps before it tells of what ends later. */
    close(ends[1]);
    CHECK_INT(read(ends[0], &byte, 1), 0);
    close(ends[0]);
    for (int i = 0; i < 1000 && children_left() > 0; i++) {
        weft_context *later = fork_new();
        execute_text(later, echo, "later");
        check_reply(later, "later");
        weft_context_release(later);
    }
    CHECK_INT(children_left(), 0);
}
