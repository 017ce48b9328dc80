/* Elements of all sizes and alignments: copied whole, placed as asked, from any address. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

/* A pattern that depends on the element's number and on the byte's place. */
static void fill(unsigned char *element, size_t size, uint64_t number)
{
    struct random random = {number * 2654435761u};
    for (size_t i = 0; i < size; i++)
        element[i] = (unsigned char)random_next(&random);
}

static bool filled(const unsigned char *element, size_t size, uint64_t number)
{
    struct random random = {number * 2654435761u};
    for (size_t i = 0; i < size; i++)
        if (element[i] != (unsigned char)random_next(&random))
            return false;
    return true;
}

struct ledger {
    size_t elem_size, elem_align;
    atomic_int dropped, misplaced, spoilt;
    uint64_t next;
};

static void check_dropped(void *ctx, void *value)
{
    struct ledger *ledger = ctx;
    if ((uintptr_t)value % ledger->elem_align != 0)
        atomic_fetch_add(&ledger->misplaced, 1);
    if (!filled(value, ledger->elem_size, ledger->next++))
        atomic_fetch_add(&ledger->spoilt, 1);
    atomic_fetch_add(&ledger->dropped, 1);
}

static void elements(size_t size, size_t align, size_t expected_align, size_t capacity)
{
    enum { N = 40 };
    struct ledger ledger = {size, expected_align, 0, 0, 0, 10};
    weft_channel_options options;
    weft_channel *channel = NULL;
    /* One byte off any alignment, and one guard byte behind: memory comes from wherever the caller likes. */
    unsigned char *in = malloc(size + 2), *out = malloc(size + 2);
    REQUIRE(in != NULL && out != NULL);
    OK(weft_channel_options_init(&options, sizeof options));
    options.elem_size = size;
    options.elem_align = align;
    options.capacity = capacity;
    options.drop = check_dropped;
    options.drop_ctx = &ledger;
    OK(weft_channel_new(&options, &channel));
    for (uint64_t i = 0; i < N; i++) {
        fill(in + 1, size, i);
        OK(weft_channel_send(channel, in + 1, 0));
        memset(in, 0, size + 2);
    }
    for (uint64_t i = 0; i < 10; i++) {
        memset(out, 0xa5, size + 2);
        OK(weft_channel_recv(channel, out + 1, 0));
        CHECK(filled(out + 1, size, i));
        CHECK(out[0] == 0xa5 && out[size + 1] == 0xa5);
    }
    weft_channel_release(channel);
    CHECK_INT(ledger.dropped, N - 10);
    CHECK_INT(ledger.misplaced, 0);
    CHECK_INT(ledger.spoilt, 0);
    free(in);
    free(out);
}

TEST(sizes_with_their_own_alignment)
{
    static const size_t sizes[][2] = {{1, 1}, {2, 2}, {3, 1}, {4, 4}, {7, 1}, {8, 8}, {12, 4}, {16, 16}, {24, 8}, {32, 16}, {48, 16}, {64, 16}, {4096, 16}, {100000, 16}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        elements(sizes[i][0], 0, sizes[i][1], 40);
        elements(sizes[i][0], 0, sizes[i][1], WEFT_UNBOUNDED);
    }
}

TEST(sizes_with_an_alignment_asked_for)
{
    static const size_t sizes[][2] = {{8, 1}, {24, 8}, {64, 64}, {128, 64}, {4096, 4096}, {8192, 4096}, {4096, 1}, {96, 32}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        elements(sizes[i][0], sizes[i][1], sizes[i][1], 40);
        elements(sizes[i][0], sizes[i][1], sizes[i][1], WEFT_UNBOUNDED);
    }
}

struct hand_over {
    weft_channel *channel;
    size_t size;
    uint64_t n;
};

static void receive_in_order(void *arg)
{
    struct hand_over *h = arg;
    unsigned char *element = malloc(h->size);
    uint64_t wrong = 0;
    REQUIRE(element != NULL);
    for (uint64_t i = 0; i < h->n; i++) {
        OK(weft_channel_recv(h->channel, element, WEFT_FOREVER));
        wrong += !filled(element, h->size, i);
    }
    CHECK_INT(wrong, 0);
    free(element);
}

/* Through every way an element can take: a slot, and a waiting receiver's or sender's own memory. */
TEST(elements_arrive_whole_between_threads)
{
    static const size_t sizes[] = {1, 8, 16, 24, 32, 64, 4096};
    static const size_t capacities[] = {0, 1, 1000, WEFT_UNBOUNDED};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
            struct hand_over h = {channel_new(sizes[s], capacities[c]), sizes[s], under_a_tool() ? 50 : 500};
            struct thread receiver;
            unsigned char *element = malloc(sizes[s]);
            REQUIRE(element != NULL);
            thread_start(&receiver, receive_in_order, &h);
            for (uint64_t i = 0; i < h.n; i++) {
                fill(element, sizes[s], i);
                OK(weft_channel_send(h.channel, element, WEFT_FOREVER));
            }
            thread_join(&receiver);
            free(element);
            weft_channel_release(h.channel);
        }
    }
}
