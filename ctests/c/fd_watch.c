/* Callbacks of file descriptors: what they are told, once; taking them back; what becomes of numbers that are closed and given
 * again; forks and the exit of the process. */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define READS WEFT_FD_READABLE
#define WRITES WEFT_FD_WRITABLE

struct ends {
    int one, other;
};

/* one: the reading end. */
static struct ends pipe_new(void)
{
    int fds[2];
    REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
    return (struct ends){fds[0], fds[1]};
}

static struct ends sockets_new(void)
{
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    return (struct ends){fds[0], fds[1]};
}

static void close_fd(int fd)
{
    REQUIRE(close(fd) == 0);
}

static void close_both(struct ends ends)
{
    close_fd(ends.one);
    close_fd(ends.other);
}

static void write_byte(int fd)
{
    REQUIRE(write(fd, "x", 1) == 1);
}

static void read_byte(int fd)
{
    char byte;
    REQUIRE(read(fd, &byte, 1) == 1);
}

struct told {
    struct tally calls;
    int fd;
    int32_t events;
    pthread_t thread;
};

#define TOLD_INIT {.calls = TALLY_INIT, .fd = -1}

static void note(int fd, int32_t events, void *arg)
{
    struct told *told = arg;
    told->fd = fd;
    told->events = events;
    told->thread = pthread_self();
    tally_add(&told->calls, 1);
}

static weft_watch *watch_new(int fd, int32_t events, struct told *told, struct drops *drops)
{
    weft_watch *watch = NULL;
    OK(weft_fd_watch(fd, events, note, told, drop_count, drops, &watch));
    REQUIRE(watch != NULL);
    return watch;
}

/* What is told of a descriptor that is ready. */
static int32_t events_of(int fd, int32_t events)
{
    struct told told = TOLD_INIT;
    struct drops drops = {0};
    weft_watch *watch = watch_new(fd, events, &told, &drops);
    tally_wait(&told.calls, 1);
    CHECK_INT(told.fd, fd);
    CHECK_REFUSED(weft_watch_off(watch), WEFT_BUSY, "has run");
    CHECK_INT(drops.count, 0);
    CHECK(!pthread_equal(told.thread, pthread_self()));
    weft_watch_release(watch);
    return told.events;
}

/* Returns when everything has been told that was ready before: twice, as the first may share its turn with what comes later. */
static void let_tell(void)
{
    struct ends ends = pipe_new();
    close_fd(ends.other);
    for (int i = 0; i < 2; i++)
        CHECK_INT(events_of(ends.one, READS), WEFT_FD_HUNG_UP);
    close_fd(ends.one);
}

/* ---- what is told */

TEST(readable_once)
{
    struct ends ends = pipe_new();
    struct told told = TOLD_INIT;
    struct drops drops = {0};
    weft_watch *watch = watch_new(ends.one, READS, &told, &drops);
    let_tell();
    CHECK_INT(tally_count(&told.calls), 0);
    write_byte(ends.other);
    tally_wait(&told.calls, 1);
    CHECK_INT(told.events, WEFT_FD_READABLE);
    CHECK_INT(told.fd, ends.one);
    write_byte(ends.other);
    let_tell();
    CHECK_INT(tally_count(&told.calls), 1);
    weft_watch_release(watch);
    close_both(ends);
    CHECK_INT(drops.count, 0);
}

TEST(at_once_when_ready_already)
{
    struct ends ends = sockets_new();
    CHECK_INT(events_of(ends.one, WRITES), WEFT_FD_WRITABLE);
    CHECK_INT(events_of(ends.one, READS | WRITES), WEFT_FD_WRITABLE);
    write_byte(ends.other);
    CHECK_INT(events_of(ends.one, READS | WRITES), WEFT_FD_READABLE | WEFT_FD_WRITABLE);
    CHECK_INT(events_of(ends.one, READS), WEFT_FD_READABLE);
    close_both(ends);
}

TEST(writable_when_there_is_room_again)
{
    struct ends ends = pipe_new();
    char bytes[4096] = {0};
    struct told told = TOLD_INIT;
    struct drops drops = {0};
    REQUIRE(fcntl(ends.other, F_SETFL, O_NONBLOCK) == 0 && fcntl(ends.one, F_SETFL, O_NONBLOCK) == 0);
    while (write(ends.other, bytes, sizeof bytes) > 0)
        continue;
    weft_watch *watch = watch_new(ends.other, WRITES, &told, &drops);
    let_tell();
    CHECK_INT(tally_count(&told.calls), 0);
    while (read(ends.one, bytes, sizeof bytes) > 0)
        continue;
    tally_wait(&told.calls, 1);
    CHECK_INT(told.events, WEFT_FD_WRITABLE);
    weft_watch_release(watch);
    close_both(ends);
}

TEST(the_end_is_told_whatever_was_asked)
{
    static const int32_t asked[] = {0, READS, WRITES, READS | WRITES, WEFT_FD_HUNG_UP | WEFT_FD_FAILED};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        bool reads = (asked[i] & READS) != 0, writes = (asked[i] & WRITES) != 0;
        struct ends ends = sockets_new();
        struct told told = TOLD_INIT;
        struct drops drops = {0};
        weft_watch *watch = NULL;
        if (!writes)
            watch = watch_new(ends.one, asked[i], &told, &drops);
        close_fd(ends.other);
        if (writes)
            watch = watch_new(ends.one, asked[i], &told, &drops);
        tally_wait(&told.calls, 1);
        CHECK_INT(told.events,
                  WEFT_FD_HUNG_UP | (reads ? WEFT_FD_READABLE : 0) | (writes ? WEFT_FD_WRITABLE : 0));
        weft_watch_release(watch);
        close_fd(ends.one);

        ends = pipe_new();
        write_byte(ends.other);
        close_fd(ends.other);
        CHECK_INT(events_of(ends.one, asked[i]), WEFT_FD_HUNG_UP | (reads ? WEFT_FD_READABLE : 0));
        close_fd(ends.one);

        ends = pipe_new();
        close_fd(ends.one);
        CHECK_INT(events_of(ends.other, asked[i]), WEFT_FD_FAILED | (writes ? WEFT_FD_WRITABLE : 0));
        close_fd(ends.other);
    }
}

/* Who only writes is not told, over and over, that the other end has said all it had to. */
TEST(half_an_end)
{
    struct ends ends = sockets_new();
    REQUIRE(shutdown(ends.other, SHUT_WR) == 0);
    CHECK_INT(events_of(ends.one, WRITES), WEFT_FD_WRITABLE);
    CHECK_INT(events_of(ends.one, READS), WEFT_FD_READABLE | WEFT_FD_HUNG_UP);
    CHECK_INT(events_of(ends.one, 0), WEFT_FD_HUNG_UP);
    close_both(ends);
}

CHILD_WITHOUT_LEAK_CHECK(awaits_the_end_of_a_process)
{
    struct ends ends = pipe_new();
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        char byte;
        close(ends.other);
        _exit(read(ends.one, &byte, 1) == 1 ? 7 : 1);
    }
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd >= 0) {
        struct told told = TOLD_INIT;
        struct drops drops = {0};
        weft_watch *watch = watch_new(pidfd, READS, &told, &drops);
        let_tell();
        CHECK_INT(tally_count(&told.calls), 0);
        write_byte(ends.other);
        tally_wait(&told.calls, 1);
        CHECK((told.events & WEFT_FD_READABLE) != 0);
        weft_watch_release(watch);
        close_fd(pidfd);
    } else {
        /* A tool that does not know the call. */
        REQUIRE(errno == ENOSYS);
        write_byte(ends.other);
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    close_both(ends);
}

/* A process whose end is awaited without a signal. */
TEST(the_end_of_a_process) { child_succeeds("awaits_the_end_of_a_process"); }

/* ---- taking back */

TEST(taken_back)
{
    struct ends ends = pipe_new();
    struct told told = TOLD_INIT;
    struct drops drops = {0};
    weft_watch *watch = watch_new(ends.one, READS, &told, &drops), *silent = NULL;
    OK(weft_fd_watch(ends.one, READS, note, &told, NULL, NULL, &silent));
    OK(weft_watch_off(watch));
    CHECK_INT(drops.count, 1);
    CHECK(drops.last == &told);
    CHECK_REFUSED(weft_watch_off(watch), WEFT_BUSY, "taken back");
    OK(weft_watch_off(silent));
    write_byte(ends.other);
    CHECK_INT(events_of(ends.one, READS), WEFT_FD_READABLE);
    let_tell();
    CHECK_INT(tally_count(&told.calls), 0);
    CHECK_INT(drops.count, 1);
    weft_watch_release(watch);
    weft_watch_release(silent);
    close_both(ends);
}

struct held {
    weft_watch *watch;
    gate inside, go_on, over;
};

static void hold(int fd, int32_t events, void *arg)
{
    struct held *held = arg;
    (void)fd;
    (void)events;
    CHECK_STATUS(weft_watch_off(held->watch), WEFT_BUSY);
    gate_open(&held->inside);
    gate_wait(&held->go_on);
    gate_open(&held->over);
}

TEST(too_late_while_it_runs)
{
    struct ends ends = pipe_new();
    struct held held = {NULL, GATE_INIT, GATE_INIT, GATE_INIT};
    struct drops drops = {0};
    OK(weft_fd_watch(ends.one, READS, hold, &held, drop_count, &drops, &held.watch));
    write_byte(ends.other);
    gate_wait(&held.inside);
    CHECK_REFUSED(weft_watch_off(held.watch), WEFT_BUSY, "runs");
    gate_open(&held.go_on);
    gate_wait(&held.over);
    CHECK_INT(drops.count, 0);
    weft_watch_release(held.watch);
    close_both(ends);
}

/* *out is written before the callback is called, also for what is ready at once. */
TEST(a_callback_knows_its_watch)
{
    struct ends ends = sockets_new();
    for (int i = 0; i < 100; i++) {
        struct held held = {NULL, GATE_INIT, {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 1}, GATE_INIT};
        OK(weft_fd_watch(ends.one, WRITES, hold, &held, NULL, NULL, &held.watch));
        gate_wait(&held.over);
        weft_watch_release(held.watch);
    }
    close_both(ends);
}

TEST(a_callback_does_not_need_its_watch)
{
    struct ends ends = pipe_new();
    struct told told = TOLD_INIT;
    struct drops drops = {0};
    weft_watch_release(watch_new(ends.one, READS, &told, &drops));
    OK(weft_fd_watch(ends.one, READS, note, &told, NULL, NULL, NULL));
    write_byte(ends.other);
    tally_wait(&told.calls, 2);
    CHECK_INT(drops.count, 0);
    close_both(ends);
}

/* ---- again from within */

struct reader {
    int fd;
    uint64_t bytes;
    gate end;
};

static void read_on(int fd, int32_t events, void *arg)
{
    struct reader *reader = arg;
    char buffer[16];
    (void)events;
    ssize_t got = read(fd, buffer, sizeof buffer);
    REQUIRE(got >= 0);
    reader->bytes += (uint64_t)got;
    if (got == 0)
        gate_open(&reader->end);
    else
        OK(weft_fd_watch(fd, READS, read_on, reader, NULL, NULL, NULL));
}

TEST(a_stream_to_its_end)
{
    enum { STREAMS = 8 };
    int length = under_a_tool() ? 500 : 5000;
    struct ends ends[STREAMS];
    struct reader readers[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        ends[i] = sockets_new();
        readers[i] = (struct reader){ends[i].one, 0, GATE_INIT};
        OK(weft_fd_watch(ends[i].one, READS, read_on, &readers[i], NULL, NULL, NULL));
    }
    for (int n = 0; n < length; n++)
        for (int i = 0; i < STREAMS; i++)
            write_byte(ends[i].other);
    for (int i = 0; i < STREAMS; i++) {
        close_fd(ends[i].other);
        gate_wait(&readers[i].end);
        CHECK_INT(readers[i].bytes, length);
        close_fd(ends[i].one);
    }
}

/* ---- numbers */

TEST(one_descriptor_two_watches)
{
    struct ends ends = sockets_new();
    struct told first = TOLD_INIT, second = TOLD_INIT, third = TOLD_INIT;
    struct drops drops = {0};
    weft_watch *one = watch_new(ends.one, READS, &first, &drops), *two = watch_new(ends.one, READS, &second, &drops);
    weft_watch *three = watch_new(ends.one, READS, &third, &drops);
    CHECK_INT(events_of(ends.one, WRITES), WEFT_FD_WRITABLE);
    OK(weft_watch_off(two));
    write_byte(ends.other);
    tally_wait(&first.calls, 1);
    tally_wait(&third.calls, 1);
    CHECK_INT(first.events, WEFT_FD_READABLE);
    CHECK_INT(third.events, WEFT_FD_READABLE);
    let_tell();
    CHECK_INT(tally_count(&second.calls), 0);
    weft_watch_release(one);
    weft_watch_release(two);
    weft_watch_release(three);
    close_both(ends);
}

/* A number that is closed while it is watched, and given to something else: each watch is told of what its number led to. */
TEST(a_number_that_is_used_again)
{
    struct ends old = pipe_new(), other = pipe_new();
    struct told of_old = TOLD_INIT, of_other = TOLD_INIT;
    struct drops drops = {0};
    weft_watch *watch = watch_new(old.one, READS, &of_old, &drops);
    int number = old.one;
    REQUIRE(dup3(other.one, number, O_CLOEXEC) == number);
    weft_watch *again = watch_new(number, READS, &of_other, &drops);
    write_byte(other.other);
    tally_wait(&of_other.calls, 1);
    let_tell();
    CHECK_INT(tally_count(&of_old.calls), 0);
    read_byte(number);
    /* The watch keeps the old pipe's reading end: this is no broken pipe. */
    write_byte(old.other);
    tally_wait(&of_old.calls, 1);
    CHECK_INT(of_old.events, WEFT_FD_READABLE);
    CHECK_INT(of_other.events, WEFT_FD_READABLE);
    CHECK_INT(tally_count(&of_other.calls), 1);
    weft_watch_release(watch);
    weft_watch_release(again);
    close_fd(number);
    close_fd(old.other);
    close_both(other);
}

/* What is closed while it is watched stays open until the watch is taken back. */
TEST(closed_while_watched)
{
    struct ends ends = sockets_new();
    struct told told = TOLD_INIT, end = TOLD_INIT;
    struct drops drops = {0};
    weft_watch *watch = watch_new(ends.one, READS, &told, &drops), *other = watch_new(ends.other, READS, &end, &drops);
    close_fd(ends.one);
    let_tell();
    CHECK_INT(tally_count(&told.calls) + tally_count(&end.calls), 0);
    OK(weft_watch_off(watch));
    tally_wait(&end.calls, 1);
    CHECK_INT(end.events, WEFT_FD_READABLE | WEFT_FD_HUNG_UP);
    CHECK_INT(drops.count, 1);
    weft_watch_release(watch);
    weft_watch_release(other);
    close_fd(ends.other);
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *fds = opendir("/proc/self/fd");
    REQUIRE(fds != NULL);
    while (readdir(fds) != NULL)
        count++;
    closedir(fds);
    return count;
}

TEST(no_descriptor_is_left_behind)
{
    struct ends ends = sockets_new();
    struct told told = TOLD_INIT;
    struct drops drops = {0};
    let_tell();
    int before = open_descriptors();
    for (int i = 0; i < 100; i++) {
        weft_watch *watch = watch_new(ends.one, READS, &told, &drops);
        CHECK_INT(open_descriptors(), before + 1);
        OK(weft_watch_off(watch));
        weft_watch_release(watch);
        CHECK_INT(events_of(ends.one, WRITES), WEFT_FD_WRITABLE);
    }
    CHECK_INT(open_descriptors(), before);
    CHECK_INT(drops.count, 100);
    close_both(ends);
}

/* ---- refused */

TEST(what_cannot_be_watched)
{
    struct told told = TOLD_INIT;
    struct drops drops = {0};
    weft_watch *watch = SENTINEL;
    int directory = open("/", O_RDONLY | O_CLOEXEC), file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    REQUIRE(directory >= 0 && file >= 0);
    static const int closed[] = {-1, -100, 1 << 30};
    for (int i = 0; i < 3; i++)
        CHECK_INVALID(weft_fd_watch(closed[i], READS, note, &told, drop_count, &drops, &watch), "fd");
    CHECK_REFUSED(weft_fd_watch(directory, READS, note, &told, drop_count, &drops, &watch), WEFT_UNSUPPORTED, "regular");
    CHECK_REFUSED(weft_fd_watch(file, READS, note, &told, drop_count, &drops, &watch), WEFT_UNSUPPORTED, "regular");
    close_fd(file);
    close_fd(directory);
    CHECK_INVALID(weft_fd_watch(file, READS, note, &told, drop_count, &drops, &watch), "fd");
    let_tell();
    CHECK(watch == SENTINEL);
    CHECK_INT(tally_count(&told.calls), 0);
    CHECK_INT(drops.count, 0);
}

CHILD(no_descriptors_are_left)
{
    struct ends ends = pipe_new();
    struct told told = TOLD_INIT;
    struct drops drops = {0};
    struct rlimit limit, none;
    int taken[64], count = 0;
    weft_watch *watch = SENTINEL;
    let_tell();
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    none.rlim_cur = sizeof taken / sizeof *taken;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
    while ((taken[count] = dup(ends.one)) >= 0)
        count++;
    CHECK_REFUSED(weft_fd_watch(ends.one, READS, note, &told, drop_count, &drops, &watch), WEFT_OS, "fd");
    CHECK(watch == SENTINEL);
    while (count > 0)
        close_fd(taken[--count]);
    watch = watch_new(ends.one, READS, &told, &drops);
    OK(weft_watch_off(watch));
    CHECK_INT(drops.count, 1);
    weft_watch_release(watch);
    close_both(ends);
}

TEST(when_descriptors_run_out)
{
    /* Valgrind counts descriptors in its own way. */
    if (!under_valgrind())
        child_succeeds("no_descriptors_are_left");
}

/* ---- hundreds at once */

enum { WATCHES = 300 };

struct race {
    struct ends ends[WATCHES];
    weft_watch *watches[WATCHES];
    struct told told[WATCHES];
    struct drops drops[WATCHES];
    weft_status off[WATCHES];
};

static void wake_or_off(size_t index, void *arg)
{
    struct race *race = arg;
    for (int i = 0; i < WATCHES; i++) {
        if (index == 0)
            write_byte(race->ends[i].other);
        else
            race->off[i] = weft_watch_off(race->watches[i]);
    }
}

TEST(taken_back_while_ready)
{
    weft_runtime *runtime = runtime_new(2);
    for (int round = 0; round < (under_a_tool() ? 2 : 10); round++) {
        struct race *race = calloc(1, sizeof *race);
        REQUIRE(race != NULL);
        for (int i = 0; i < WATCHES; i++) {
            race->told[i] = (struct told)TOLD_INIT;
            race->ends[i] = sockets_new();
            race->watches[i] = watch_new(race->ends[i].one, READS, &race->told[i], &race->drops[i]);
        }
        threads_together(2, wake_or_off, race);
        /* Timers go on beside it. */
        OK(weft_sleep(1));
        for (int i = 0; i < WATCHES; i++) {
            bool off = race->off[i] == WEFT_OK;
            CHECK(off || race->off[i] == WEFT_BUSY);
            tally_wait(&race->told[i].calls, !off);
        }
        let_tell();
        for (int i = 0; i < WATCHES; i++) {
            bool off = race->off[i] == WEFT_OK;
            CHECK_INT(tally_count(&race->told[i].calls), !off);
            CHECK_INT(race->drops[i].count, off);
            weft_watch_release(race->watches[i]);
            close_both(race->ends[i]);
        }
        free(race);
    }
    runtime_end(runtime);
}

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
    CHECK_REFUSED(weft_fd_watch(own.one, READS, note, &told, drop_count, &drops, &watch), WEFT_FORKED, "weft_after_fork");
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

static void fork_here(int fd, int32_t events, void *arg)
{
    (void)fd;
    (void)events;
    in_forked_child(in_a_forked_callback, NULL);
    gate_open(arg);
}

CHILD_WITHOUT_LEAK_CHECK(forks_in_a_callback)
{
    struct ends ends = sockets_new();
    gate over = GATE_INIT;
    OK(weft_fd_watch(ends.one, WRITES, fork_here, &over, NULL, NULL, NULL));
    gate_wait(&over);
    let_tell();
    close_both(ends);
}

TEST(a_fork_inside_a_callback) { child_succeeds("forks_in_a_callback"); }

static void fork_and_return(int fd, int32_t events, void *arg)
{
    int status = 0;
    (void)fd;
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
    OK(weft_fd_watch(ends.one, WRITES, fork_and_return, &over, NULL, NULL, NULL));
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
        CHECK_REFUSED(weft_fd_watch(fds[0], READS, note, &never, NULL, NULL, &watch), WEFT_SHUTDOWN, "ending");
    CHECK(watch == SENTINEL && tally_count(&never.calls) == 0);
    if (harness_failures() != 0)
        _exit(1);
}

CHILD_WITHOUT_LEAK_CHECK(exits_with_live_watches)
{
    REQUIRE(atexit(too_late) == 0);
    for (int i = 0; i < 100; i++)
        OK(weft_fd_watch(pipe_new().one, READS, note, &never, NULL, NULL, NULL));
    let_tell();
}

TEST(a_process_ends_with_live_watches) { child_succeeds("exits_with_live_watches"); }

static void leave(int fd, int32_t events, void *arg)
{
    (void)fd;
    (void)events;
    (void)arg;
    exit(harness_failures() == 0 ? 0 : 1);
}

CHILD_WITHOUT_LEAK_CHECK(exits_in_a_callback)
{
    gate never_opens = GATE_INIT;
    REQUIRE(atexit(too_late) == 0);
    OK(weft_fd_watch(sockets_new().one, WRITES, leave, NULL, NULL, NULL, NULL));
    gate_wait(&never_opens);
}

TEST(an_exit_from_within_a_callback) { child_succeeds("exits_in_a_callback"); }
