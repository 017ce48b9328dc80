/* What callbacks of file descriptors leave behind: in a forked child, and at the exit of the process. */
#include "descriptors.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- forks */

struct inherited {
    struct ends ends;
    weft_watch *watch;
    struct told told;
    struct drops drops;
};

static void with_an_inherited_watch(void *arg)
{
    struct inherited *inherited = arg;
    struct told told = TOLD_INIT;
    struct drops drops = {0};
    struct ends own = pipe_new();
    weft_watch *watch = SENTINEL;
    CHECK_REFUSED(weft_watch_off(inherited->watch), WEFT_FORKED, "watch");
    CHECK_NULL(weft_watch_retain(inherited->watch), "fork");
    weft_watch_release(inherited->watch);
    CHECK_REFUSED(weft_fd_watch(NULL, own.one, READS, note, &told, drop_count, &drops, &watch), WEFT_FORKED, "weft_after_fork");
    CHECK(watch == SENTINEL);
    OK(weft_after_fork());
    watch = watch_new(own.one, READS, &told, &drops);
    write_byte(own.other);
    tally_wait(&told.calls, 1);
    CHECK_INT(told.events, WEFT_FD_READABLE);
    weft_watch_release(watch);
    /* The inherited end is ready, to the parent, and to a watch of this process'; nothing here calls for the parent's. */
    write_byte(inherited->ends.other);
    CHECK_INT(events_of(inherited->ends.one, READS), WEFT_FD_READABLE);
    let_tell();
    CHECK_INT(tally_count(&inherited->told.calls), 0);
    CHECK_STATUS(weft_watch_off(inherited->watch), WEFT_FORKED);
    CHECK_INT(inherited->drops.count, 0);
    close_both(own);
}

CHILD_WITHOUT_LEAK_CHECK(watches_are_inherited)
{
    struct inherited inherited = {.ends = sockets_new(), .told = TOLD_INIT};
    inherited.watch = watch_new(inherited.ends.one, READS, &inherited.told, &inherited.drops);
    let_tell();
    in_forked_child(with_an_inherited_watch, &inherited);
    /* The child has taken nothing away. */
    tally_wait(&inherited.told.calls, 1);
    CHECK_INT(inherited.told.events, WEFT_FD_READABLE);
    CHECK_REFUSED(weft_watch_off(inherited.watch), WEFT_BUSY, "has run");
    weft_watch_release(inherited.watch);
    close_both(inherited.ends);
}

TEST(a_forked_child_has_watches_of_its_own) { child_succeeds("watches_are_inherited"); }

static void in_a_forked_callback(void *arg)
{
    (void)arg;
    OK(weft_after_fork());
    let_tell();
}

static void fork_here(weft_worker *worker, int fd, int32_t events, void *arg)
{
    (void)worker, (void)fd;
    (void)events;
    in_forked_child(in_a_forked_callback, NULL);
    gate_open(arg);
}

CHILD_WITHOUT_LEAK_CHECK(forks_in_a_callback)
{
    struct ends ends = sockets_new();
    gate over = GATE_INIT;
    OK(weft_fd_watch(NULL, ends.one, WRITES, fork_here, &over, NULL, NULL, NULL));
    gate_wait(&over);
    let_tell();
    close_both(ends);
}

TEST(a_fork_inside_a_callback) { child_succeeds("forks_in_a_callback"); }

static void fork_and_return(weft_worker *worker, int fd, int32_t events, void *arg)
{
    int status = 0;
    (void)worker, (void)fd;
    (void)events;
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0)
        return;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 70);
    gate_open(arg);
}

/* What would come next in the child is its parent's work: it is ended, with a message. */
CHILD_WITHOUT_LEAK_CHECK(returns_from_a_callback_twice)
{
    struct ends ends = sockets_new();
    gate over = GATE_INIT;
    OK(weft_fd_watch(NULL, ends.one, WRITES, fork_and_return, &over, NULL, NULL, NULL));
    gate_wait(&over);
    close_both(ends);
}

TEST(a_child_does_not_return_from_a_callback)
{
    struct child child = child_run("returns_from_a_callback_twice");
    CHECK(WIFEXITED(child.status) && WEXITSTATUS(child.status) == 0);
    CHECK_HAS(child.output, "must not return");
}

/* Not under AddressSanitizer, for the reason that fork.c gives. */
#ifndef __SANITIZE_ADDRESS__
static void keep_watching(void *arg)
{
    struct ends ends = sockets_new();
    struct told told = TOLD_INIT;
    struct drops drops = {0};
    while (atomic_load((atomic_int *)arg) == 0) {
        weft_watch *watch = watch_new(ends.one, READS, &told, &drops);
        CHECK_INT(events_of(ends.one, WRITES), WEFT_FD_WRITABLE);
        OK(weft_watch_off(watch));
        weft_watch_release(watch);
    }
    close_both(ends);
}

CHILD_WITHOUT_LEAK_CHECK(forks_while_watches_come_and_go)
{
    atomic_int stop = 0;
    struct thread thread;
    thread_start(&thread, keep_watching, &stop);
    for (int i = 0; i < (under_a_tool() ? 5 : 30); i++)
        in_forked_child(in_a_forked_callback, NULL);
    atomic_store(&stop, 1);
    thread_join(&thread);
}

TEST(forks_under_load) { child_succeeds("forks_while_watches_come_and_go"); }
#endif

/* ---- exit */

static struct told never = TOLD_INIT;

/* Runs after Weft has ended its calls. */
static void too_late(void)
{
    weft_watch *watch = SENTINEL;
    int fds[2];
    if (pipe(fds) == 0)
        CHECK_STATUS(weft_fd_watch(NULL, fds[0], READS, note, &never, NULL, NULL, &watch), WEFT_SHUTDOWN);
    CHECK(watch == SENTINEL && tally_count(&never.calls) == 0);
    if (harness_failures() != 0)
        _exit(1);
}

CHILD_WITHOUT_LEAK_CHECK(exits_with_live_watches)
{
    REQUIRE(atexit(too_late) == 0);
    for (int i = 0; i < 100; i++)
        OK(weft_fd_watch(NULL, pipe_new().one, READS, note, &never, NULL, NULL, NULL));
    let_tell();
}

TEST(a_process_ends_with_live_watches) { child_succeeds("exits_with_live_watches"); }

static void leave(weft_worker *worker, int fd, int32_t events, void *arg)
{
    (void)worker, (void)fd;
    (void)events;
    (void)arg;
    exit(harness_failures() == 0 ? 0 : 1);
}

CHILD_WITHOUT_LEAK_CHECK(exits_in_a_callback)
{
    gate never_opens = GATE_INIT;
    REQUIRE(atexit(too_late) == 0);
    OK(weft_fd_watch(NULL, sockets_new().one, WRITES, leave, NULL, NULL, NULL, NULL));
    gate_wait(&never_opens);
}

TEST(an_exit_from_within_a_callback) { child_succeeds("exits_in_a_callback"); }
