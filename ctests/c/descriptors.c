/* See descriptors.h. */
#include "descriptors.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

struct ends pipe_new(void)
{
    int fds[2];
    REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
    return (struct ends){fds[0], fds[1]};
}

struct ends sockets_new(void)
{
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    return (struct ends){fds[0], fds[1]};
}

void close_fd(int fd)
{
    REQUIRE(close(fd) == 0);
}

void close_both(struct ends ends)
{
    close_fd(ends.one);
    close_fd(ends.other);
}

void write_byte(int fd)
{
    REQUIRE(write(fd, "x", 1) == 1);
}

void note(weft_worker *worker, int fd, int32_t events, void *arg)
{
    struct told *told = arg;
    CHECK(worker != NULL && weft_worker_current() == worker);
    told->fd = fd;
    told->events = events;
    told->thread = pthread_self();
    tally_add(&told->calls, 1);
}

weft_watch *watch_new(int fd, int32_t events, struct told *told, struct drops *drops)
{
    weft_watch *watch = NULL;
    OK(weft_fd_watch(NULL, fd, events, note, told, drop_count, drops, &watch));
    REQUIRE(watch != NULL);
    return watch;
}

int32_t events_of(int fd, int32_t events)
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

void let_tell(void)
{
    struct ends ends = pipe_new();
    close_fd(ends.other);
    /* Twice: the first may share its turn of the thread with what comes later. */
    for (int i = 0; i < 2; i++)
        CHECK_INT(events_of(ends.one, READS), WEFT_FD_HUNG_UP);
    close_fd(ends.one);
}
