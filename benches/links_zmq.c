/* ZeroMQ's pair over a Unix socket: a peer of Weft's links. */
#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#include "links.h"

struct end {
    void *context, *socket;
    size_t longest;
};

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "ZeroMQ: %s: %s\n", what, zmq_strerror(zmq_errno()));
        exit(1);
    }
}

void *peer_open(const char *name, int first, size_t longest, size_t room)
{
    char address[200];
    int most = (int)room;
    struct end *end = malloc(sizeof *end);
    if (!end)
        exit(1);
    end->longest = longest;
    end->context = zmq_ctx_new();
    check(end->context != NULL, "context");
    end->socket = zmq_socket(end->context, ZMQ_PAIR);
    check(end->socket != NULL, "socket");
    check(!zmq_setsockopt(end->socket, ZMQ_SNDHWM, &most, sizeof most), "room");
    check(!zmq_setsockopt(end->socket, ZMQ_RCVHWM, &most, sizeof most), "room");
    snprintf(address, sizeof address, "ipc://@%s", name);
    check(!(first ? zmq_bind(end->socket, address) : zmq_connect(end->socket, address)), address);
    return end;
}

void peer_send(void *end, const void *data, size_t len)
{
    check(zmq_send(((struct end *)end)->socket, data, len, 0) == (int)len, "send");
}

size_t peer_recv(void *end, void *into)
{
    int len = zmq_recv(((struct end *)end)->socket, into, ((struct end *)end)->longest, 0);
    check(len >= 0, "receive");
    return (size_t)len;
}

void peer_close(void *end)
{
    struct end *self = end;
    check(!zmq_close(self->socket), "close");
    check(!zmq_ctx_term(self->context), "end");
    free(self);
}
