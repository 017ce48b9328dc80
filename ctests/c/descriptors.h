/* What the tests of descriptors share: pairs of ends, and callbacks that note what they are told. */
#ifndef WEFT_CTESTS_DESCRIPTORS_H
#define WEFT_CTESTS_DESCRIPTORS_H

#include "support.h"

#define READS WEFT_FD_READABLE
#define WRITES WEFT_FD_WRITABLE

struct ends {
    int one, other;
};

/* one: the reading end. */
struct ends pipe_new(void);
struct ends sockets_new(void);
void close_fd(int fd);
void close_both(struct ends ends);
void write_byte(int fd);

struct told {
    struct tally calls;
    int fd;
    int32_t events;
    pthread_t thread;
};

#define TOLD_INIT {.calls = TALLY_INIT, .fd = -1}

/* Notes it in a struct told. */
void note(weft_worker *worker, int fd, int32_t events, void *arg);
/* A watch that notes; its drop counts. */
weft_watch *watch_new(int fd, int32_t events, struct told *told, struct drops *drops);
/* What is told of a descriptor that is ready. */
int32_t events_of(int fd, int32_t events);
/* Returns when everything is queued that was ready before. */
void let_tell(void);

#endif
