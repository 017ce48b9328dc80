/* What the tests of links share: both ends of a link in one process, and frames whose bytes tell whether they are whole. */
#ifndef WEFT_CTESTS_LINKS_H
#define WEFT_CTESTS_LINKS_H

#include "support.h"

/* Both transports. */
#define FOR_TRANSPORTS(transport) \
    for (int32_t transport = WEFT_LINK_SHARED; transport <= WEFT_LINK_SOCKET; transport++)

/* With a ring of this size (0: the default). */
weft_link_options link_options(int32_t transport, size_t ring_size);

struct ends {
    weft_link *near, *far;
};

struct ends ends_new(int32_t transport, size_t ring_size);
struct ends ends_with(const weft_link_options *options);
void ends_release(struct ends *ends);

/* A frame of the kind WEFT_FRAME_USER whose bytes follow from `id`. */
weft_status frame_send(weft_link *link, uint64_t id, size_t len, int64_t timeout_ns);
/* Receives one and checks that it is such a frame, whole: its id and length. */
weft_status frame_recv(weft_link *link, uint64_t *id, size_t *len, int64_t timeout_ns);
/* Receives frames and sends them back until the peer is gone; what told so. */
weft_status frames_echo(weft_link *link);

/* Sends frames of `len` bytes until there is no more room at all; how many. */
size_t link_fill(weft_link *link, size_t len);
/* Waits until a thread sleeps there to send, or to receive. */
void link_wait_for_sender(weft_link *link);
void link_wait_for_receiver(weft_link *link);
weft_link_stats link_stats(weft_link *link);

/* Open descriptors of this process. */
size_t descriptors(void);

#endif
