/* What benches/peers' `links` calls in a library for each peer that is one: an end of a connection between two processes. A call that
 * fails says why and ends the process. */
#ifndef WEFT_BENCH_LINKS_H
#define WEFT_BENCH_LINKS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One end of the connection `name`: that of who opens it first, or the other, once that is open. Messages have at most `longest`
 * bytes; of these `room` are to wait. */
void *peer_open(const char *name, int first, size_t longest, size_t room);
void peer_send(void *end, const void *data, size_t len);
/* The next message, in `into`, which has `longest` bytes; its length. Waits. */
size_t peer_recv(void *end, void *into);
void peer_close(void *end);

#ifdef __cplusplus
}
#endif
#endif
