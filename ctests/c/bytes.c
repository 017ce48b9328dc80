/* Byte buffers with a reference count: copies, adopted memory, one drop at the last release. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

TEST(new_copies)
{
    char text[] = "warp and weft";
    weft_bytes *bytes = NULL;
    OK(weft_bytes_new(text, sizeof text, &bytes));
    memset(text, 'x', sizeof text);
    CHECK_INT(weft_bytes_len(bytes), sizeof text);
    CHECK(weft_bytes_data(bytes) != text);
    CHECK_STR(weft_bytes_data(bytes), "warp and weft");
    weft_bytes_release(bytes);
}

TEST(empty_bytes)
{
    weft_bytes *bytes = NULL;
    OK(weft_bytes_new(NULL, 0, &bytes));
    REQUIRE(bytes != NULL);
    CHECK_INT(weft_bytes_len(bytes), 0);
    weft_bytes_release(bytes);

    OK(weft_bytes_new("", 0, &bytes));
    CHECK_INT(weft_bytes_len(bytes), 0);
    weft_bytes_release(bytes);
}

TEST(large_bytes)
{
    size_t len = 3u << 20;
    unsigned char *data = malloc(len);
    weft_bytes *bytes = NULL;
    REQUIRE(data != NULL);
    for (size_t i = 0; i < len; i++)
        data[i] = (unsigned char)(i * 31);
    OK(weft_bytes_new(data, len, &bytes));
    CHECK(memcmp(weft_bytes_data(bytes), data, len) == 0);
    weft_bytes_release(bytes);
    free(data);
}

TEST(adopt_drops_once_at_the_last_release)
{
    struct drops drops = {0};
    char *data = malloc(100);
    weft_bytes *bytes = NULL;
    REQUIRE(data != NULL);
    OK(weft_bytes_adopt(data, 100, drop_free, &drops, &bytes));
    CHECK(weft_bytes_data(bytes) == data);
    CHECK_INT(weft_bytes_len(bytes), 100);
    CHECK(weft_bytes_retain(bytes) == bytes);
    weft_bytes_release(bytes);
    CHECK_INT(drops.count, 0);
    weft_bytes_release(bytes);
    CHECK_INT(drops.count, 1);
    CHECK(drops.last == data);
}

/* Memory that nobody has to give back, such as a constant. */
TEST(adopt_without_a_drop)
{
    static char text[] = "constant";
    weft_bytes *bytes = NULL;
    OK(weft_bytes_adopt(text, sizeof text, NULL, NULL, &bytes));
    CHECK(weft_bytes_data(bytes) == text);
    weft_bytes_release(bytes);
    CHECK_STR(text, "constant");
}

TEST(adopt_of_nothing)
{
    struct drops drops = {0};
    weft_bytes *bytes = NULL;
    OK(weft_bytes_adopt(NULL, 0, drop_count, &drops, &bytes));
    CHECK_INT(weft_bytes_len(bytes), 0);
    weft_bytes_release(bytes);
    CHECK_INT(drops.count, 1);
    CHECK(drops.last == NULL);
}

TEST(a_refused_adopt_consumes_nothing)
{
    struct drops drops = {0};
    weft_bytes *bytes = SENTINEL;
    char data[4];
    CHECK_INVALID(weft_bytes_adopt(NULL, 4, drop_count, &drops, &bytes), "data");
    CHECK(bytes == SENTINEL);
    CHECK_INVALID(weft_bytes_adopt(data, 4, drop_count, &drops, NULL), "out");
    CHECK_INT(drops.count, 0);
}

static void retain_and_release(size_t index, void *arg)
{
    (void)index;
    for (int i = 0; i < 2000; i++) {
        weft_bytes *mine = weft_bytes_retain(arg);
        CHECK_INT(weft_bytes_len(mine), 8);
        weft_bytes_release(mine);
    }
    weft_bytes_release(arg);
}

TEST(references_from_many_threads)
{
    enum { THREADS = 4 };
    struct drops drops = {0};
    weft_bytes *bytes = NULL;
    OK(weft_bytes_adopt(calloc(1, 8), 8, drop_free, &drops, &bytes));
    for (int i = 1; i < THREADS; i++)
        weft_bytes_retain(bytes);
    threads_together(THREADS, retain_and_release, bytes);
    CHECK_INT(drops.count, 1);
}
