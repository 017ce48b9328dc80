/* nng's pair over a Unix socket: a peer of Weft's links. */
#include <nng/nng.h>
#include <nng/protocol/pair1/pair.h>
#include <stdio.h>
#include <stdlib.h>

#include "links.h"

struct end {
    nng_socket socket;
    size_t longest;
};

static void check(int error, const char *what)
{
    if (error) {
        fprintf(stderr, "nng: %s: %s\n", what, nng_strerror(error));
        exit(1);
    }
}

void *peer_open(const char *name, int first, size_t longest, size_t room)
{
    enum { MOST = 8192 };
    char address[200];
    struct end *end = malloc(sizeof *end);
    if (!end)
        exit(1);
    end->longest = longest;
    check(nng_pair1_open(&end->socket), "open");
    check(nng_socket_set_size(end->socket, NNG_OPT_RECVMAXSZ, 0), "size");
    check(nng_socket_set_int(end->socket, NNG_OPT_SENDBUF, (int)(room < MOST ? room : MOST)), "room");
    check(nng_socket_set_int(end->socket, NNG_OPT_RECVBUF, (int)(room < MOST ? room : MOST)), "room");
    snprintf(address, sizeof address, "abstract://%s", name);
    if (first)
        check(nng_listen(end->socket, address, NULL, 0), "listen");
    else
        check(nng_dial(end->socket, address, NULL, 0), "dial");
    return end;
}

void peer_send(void *end, const void *data, size_t len)
{
    check(nng_send(((struct end *)end)->socket, (void *)data, len, 0), "send");
}

size_t peer_recv(void *end, void *into)
{
    size_t len = ((struct end *)end)->longest;
    check(nng_recv(((struct end *)end)->socket, into, &len, 0), "receive");
    return len;
}

void peer_close(void *end)
{
    check(nng_close(((struct end *)end)->socket), "close");
    free(end);
}
