/* Callbacks of file descriptors: what they are told, once; taking them back; what becomes of numbers that are closed and given
 * again; hundreds at once.
 */
#include "descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void read_byte(int fd)
{
    char byte;
    REQUIRE(read(fd, &byte, 1) == 1);
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
    OK(weft_fd_watch(NULL, ends.one, READS, note, &told, NULL, NULL, &silent));
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

static void hold(weft_worker *worker, int fd, int32_t events, void *arg)
{
    struct held *held = arg;
    (void)worker, (void)fd;
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
    OK(weft_fd_watch(NULL, ends.one, READS, hold, &held, drop_count, &drops, &held.watch));
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
        OK(weft_fd_watch(NULL, ends.one, WRITES, hold, &held, NULL, NULL, &held.watch));
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
    OK(weft_fd_watch(NULL, ends.one, READS, note, &told, NULL, NULL, NULL));
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

static void read_on(weft_worker *worker, int fd, int32_t events, void *arg)
{
    struct reader *reader = arg;
    char buffer[16];
    (void)worker, (void)events;
    ssize_t got = read(fd, buffer, sizeof buffer);
    REQUIRE(got >= 0);
    reader->bytes += (uint64_t)got;
    if (got == 0)
        gate_open(&reader->end);
    else
        OK(weft_fd_watch(NULL, fd, READS, read_on, reader, NULL, NULL, NULL));
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
        OK(weft_fd_watch(NULL, ends[i].one, READS, read_on, &readers[i], NULL, NULL, NULL));
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
        CHECK_INVALID(weft_fd_watch(NULL, closed[i], READS, note, &told, drop_count, &drops, &watch), "fd");
    CHECK_REFUSED(weft_fd_watch(NULL, directory, READS, note, &told, drop_count, &drops, &watch), WEFT_UNSUPPORTED, "regular");
    CHECK_REFUSED(weft_fd_watch(NULL, file, READS, note, &told, drop_count, &drops, &watch), WEFT_UNSUPPORTED, "regular");
    /* Open, but for naming only. */
    int name = open("/", O_PATH | O_CLOEXEC);
    REQUIRE(name >= 0);
    CHECK_REFUSED(weft_fd_watch(NULL, name, READS, note, &told, drop_count, &drops, &watch), WEFT_OS, "watched");
    close_fd(name);
    close_fd(file);
    close_fd(directory);
    CHECK_INVALID(weft_fd_watch(NULL, file, READS, note, &told, drop_count, &drops, &watch), "fd");
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
    CHECK_REFUSED(weft_fd_watch(NULL, ends.one, READS, note, &told, drop_count, &drops, &watch), WEFT_OS, "fd");
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

static void expire(weft_worker *worker, void *arg)
{
    (void)worker;
    gate_open(arg);
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
        gate expired = GATE_INIT;
        weft_timer *timer = NULL;
        OK(weft_timer_after(runtime, 0, 0, expire, &expired, NULL, NULL, &timer));
        gate_wait(&expired);
        weft_timer_release(timer);
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
