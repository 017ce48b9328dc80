/* Weft inside a program that has an event loop of its own: one epoll waits for a socket, a future and a channel.
 *
 * Both descriptors of Weft are level-triggered and are never read: the future's is readable from when it is settled, the
 * channel's as long as there is something to be received, or it is closed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weft/weft.h>

static void check(weft_status status)
{
    if (status == WEFT_OK)
        return;
    fprintf(stderr, "event_loop: %s: %s\n", weft_status_name(status), weft_error_message());
    exit(1);
}

static void require(int result, const char *what)
{
    if (result >= 0)
        return;
    perror(what);
    exit(1);
}

/* Two tasks: one computes, one reports its progress through a channel. */
static weft_status add_up(weft_worker *worker, void *arg, void **result)
{
    uintptr_t sum = 0;
    (void)worker, (void)arg;
    for (uintptr_t i = 1; i <= 1000; i++)
        sum += i;
    *result = (void *)sum;
    return WEFT_OK;
}

static void report(weft_worker *worker, void *arg)
{
    weft_channel *channel = arg;
    (void)worker;
    for (uint64_t step = 1; step <= 3; step++)
        weft_channel_send(channel, &step, WEFT_FOREVER);
    weft_channel_close(channel);
    weft_channel_release(channel);
}

/* Somebody at the other end of a socket. */
static void answer(weft_worker *worker, void *arg)
{
    int fd = (int)(intptr_t)arg;
    (void)worker;
    if (write(fd, "hello", 5) != 5)
        perror("write");
    close(fd);
}

static void add(int epoll, int fd, uint32_t what)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = what}};
    require(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

int main(void)
{
    enum { SOCKET, FUTURE, CHANNEL };
    weft_future *future;
    weft_channel *channel;
    weft_channel_options options;
    int sockets[2], future_fd, channel_fd, open = 3, epoll = epoll_create1(EPOLL_CLOEXEC);
    size_t received = 0;
    require(epoll, "epoll_create1");
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), "socketpair");
    check(weft_channel_options_init(&options, sizeof options));
    options.elem_size = sizeof(uint64_t);
    check(weft_channel_new(&options, &channel));
    check(weft_async(NULL, add_up, NULL, NULL, &future));
    check(weft_spawn(NULL, report, weft_channel_retain(channel)));
    check(weft_spawn(NULL, answer, (void *)(intptr_t)sockets[1]));
    check(weft_future_fd(future, &future_fd));
    check(weft_channel_fd(channel, WEFT_SELECT_RECV, &channel_fd));
    add(epoll, sockets[0], SOCKET);
    add(epoll, future_fd, FUTURE);
    add(epoll, channel_fd, CHANNEL);

    while (open > 0) {
        struct epoll_event event;
        char text[64];
        ssize_t length;
        void *sum;
        uint64_t step;
        weft_status status;
        require(epoll_wait(epoll, &event, 1, -1), "epoll_wait");
        switch (event.data.u32) {
        case SOCKET:
            require((int)(length = read(sockets[0], text, sizeof text)), "read");
            received += (size_t)length;
            if (length == 0) {
                printf("socket: %zu bytes\n", received);
                require(epoll_ctl(epoll, EPOLL_CTL_DEL, sockets[0], NULL), "epoll_ctl");
                open--;
            }
            break;
        case FUTURE:
            check(weft_future_get(future, 0, &sum));
            printf("future: %lu\n", (unsigned long)(uintptr_t)sum);
            require(epoll_ctl(epoll, EPOLL_CTL_DEL, future_fd, NULL), "epoll_ctl");
            open--;
            break;
        case CHANNEL:
            if ((status = weft_channel_recv(channel, &step, 0)) == WEFT_OK) {
                printf("channel: step %llu\n", (unsigned long long)step);
            } else if (status == WEFT_CLOSED) {
                printf("channel: closed\n");
                require(epoll_ctl(epoll, EPOLL_CTL_DEL, channel_fd, NULL), "epoll_ctl");
                open--;
            }
            break;
        }
    }
    close(sockets[0]);
    close(epoll);
    weft_channel_release(channel);
    weft_future_release(future);
    return 0;
}
