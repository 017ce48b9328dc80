/*
 * The words that one thread has counted. A table is split by hash into shards, each an open-addressing hash table of its own, so that the
 * merge can take all threads' shards number 5 together, beside all shards number 6. Letters lie in an arena of large blocks:
 * a word that was met before costs no allocation, and a new one rarely does.
 *
 * The key of a word is made while its letters are folded, five bits for each. Up to twelve letters fit, so for nearly all words the
 * key is the word, and neither hashing nor comparing looks at the letters again. The key of a longer word wraps around.
 */
#include "corpus.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 16, BLOCK = 64 << 10 };

/* The lower-case letter for each byte that is a letter, else 0: one load tells the class and folds. */
static const unsigned char letter[256] = {
    ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i',
    ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r',
    ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z',
    ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i',
    ['j'] = 'j', ['k'] = 'k', ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r',
    ['s'] = 's', ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',
};

bool is_letter(unsigned char byte)
{
    return letter[byte] != 0;
}

struct arena {              /* a list of blocks, the one in use first */
    struct arena *older;
    size_t used, capacity;
    char bytes[];
};

static char *arena_copy(struct arena **arena, const unsigned char *letters, size_t length)
{
    if (!*arena || (*arena)->capacity - (*arena)->used < length) {
        size_t capacity = length > BLOCK ? length : BLOCK;
        struct arena *block = malloc(sizeof *block + capacity);
        if (!block)
            return NULL;
        *block = (struct arena){.older = *arena, .capacity = capacity};
        *arena = block;
    }
    char *copy = (*arena)->bytes + (*arena)->used;
    (*arena)->used += length;
    return memcpy(copy, letters, length);
}

static uint64_t key_with(uint64_t key, unsigned char folded)
{
    return (key << 5 | key >> 59) ^ (folded & 31);      /* rotates: a = 1 ... z = 26 */
}

/* The highest bits choose the shard, the lowest ones the slot. */
static uint64_t hash_of(uint64_t key)
{
    uint64_t product = key * 0x9E3779B97F4A7C15u;       /* 2^64 / golden ratio: its high bits depend on all bits of the key */
    return product ^ product >> 32;
}

static struct shard *shard_of(struct table *table, uint64_t hash)
{
    return &table->shards[hash / (UINT64_MAX / SHARDS + 1)];
}

/* The word's slot, or the empty one where it belongs. */
static inline struct word *find(const struct shard *shard, uint64_t hash, uint64_t key, const void *letters, size_t length)
{
    size_t mask = shard->capacity - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        struct word *slot = &shard->slots[at];
        if (slot->count == 0)
            return slot;
        if (slot->key == key && slot->length == length && (length <= KEY_LETTERS || memcmp(slot->letters, letters, length) == 0))
            return slot;
    }
}

static bool shard_grow(struct shard *shard)
{
    struct shard larger = {.capacity = shard->capacity ? shard->capacity * 2 : FIRST_CAPACITY, .used = shard->used};
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    size_t mask = larger.capacity - 1;
    for (size_t i = 0; i < shard->capacity; i++) {
        const struct word *word = &shard->slots[i];
        if (word->count == 0)
            continue;
        size_t at = hash_of(word->key) & mask;      /* all words differ: the first empty slot will do */
        while (larger.slots[at].count)
            at = (at + 1) & mask;
        larger.slots[at] = *word;
    }
    free(shard->slots);
    *shard = larger;
    return true;
}

static bool shard_has_room(struct shard *shard)
{
    return shard->used < shard->capacity / 4 * 3 || shard_grow(shard);
}

weft_status shard_add(struct shard *shard, const struct word *word)
{
    if (!shard_has_room(shard))
        return weft_error_set(WEFT_NOMEM, "out of memory for words");
    struct word *slot = find(shard, hash_of(word->key), word->key, word->letters, word->length);
    if (slot->count) {
        slot->count += word->count;
    } else {
        *slot = *word;
        shard->used++;
    }
    return WEFT_OK;
}

/* Counts a word whose key is known. */
static inline weft_status add(struct table *table, uint64_t key, const unsigned char *letters, size_t length, uint64_t count)
{
    uint64_t hash = hash_of(key);
    struct shard *shard = shard_of(table, hash);
    if (!shard_has_room(shard))
        return weft_error_set(WEFT_NOMEM, "out of memory for words");
    struct word *slot = find(shard, hash, key, letters, length);
    if (slot->count == 0) {
        const char *copy = arena_copy(&table->arena, letters, length);
        if (!copy)
            return weft_error_set(WEFT_NOMEM, "out of memory for words");
        *slot = (struct word){.key = key, .letters = copy, .length = length};
        shard->used++;
    }
    slot->count += count;
    return WEFT_OK;
}

weft_status table_add(struct table *table, const unsigned char *letters, size_t length, uint64_t count)
{
    uint64_t key = 0;
    for (size_t i = 0; i < length; i++) {
        if (letters[i] < 'a' || letters[i] > 'z')
            return weft_error_set(WEFT_PROTOCOL, "a word of something else than letters");
        key = key_with(key, letters[i]);
    }
    return add(table, key, letters, length, count);
}

weft_status table_count(struct table *table, unsigned char *text, size_t length)
{
    const unsigned char *end = text + length;
    for (unsigned char *at = text;;) {
        while (at < end && !letter[*at])
            at++;
        if (at == end)
            return WEFT_OK;

        unsigned char *begin = at;
        uint64_t key = 0;
        for (unsigned char folded; (folded = letter[*at]) != 0; at++) {     /* ends at the latest at the last byte */
            *at = folded;
            key = key_with(key, folded);
        }

        weft_status status = add(table, key, begin, (size_t)(at - begin), 1);
        if (status != WEFT_OK)
            return status;
    }
}

void table_free(struct table *table)
{
    for (int i = 0; i < SHARDS; i++)
        free(table->shards[i].slots);
    while (table->arena) {
        struct arena *older = table->arena->older;
        free(table->arena);
        table->arena = older;
    }
}
