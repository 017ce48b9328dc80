/*
 * Reads the files of one batch into chunks and sends these to be counted. A chunk holds whole words only, so that each can be
 * counted by itself: files in it are parted by a newline, and a file that does not fit is cut after its last byte that is no
 * letter; its next chunk is read again from there (pread keeps no position, so going back costs nothing).
 *
 * Files change while they are read. What counts is the size a file has when it is opened: bytes that arrive later are left out,
 * so that reading ends even if somebody keeps writing, and a file that ends early is taken as far as it goes. Mapping files
 * into memory would be no faster here, and a file that shrinks under a mapping kills the process.
 *
 * A reader holds at most one chunk, and takes no second one while it does: chunks always come free again.
 */
#include "corpus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reader {
    struct job *job;
    struct table *table;        /* this thread's */
    struct chunk *chunk;        /* NULL until there is something to read */
};

struct file {
    const char *path;
    int fd;
    off_t size, at;             /* when opened; how much of it is read */
    bool in_long_word;          /* past MAX_WORD letters: skipping to the word's end */
};

/* An empty one. While there is none it counts full ones: that makes some, and is work that has to be done anyway. */
static bool take_chunk(struct reader *reader)
{
    struct job *job = reader->job;
    weft_status status;
    do
        status = weft_channel_recv(job->spare, &reader->chunk, 0);
    while (status == WEFT_WOULD_BLOCK && count_next(job, reader->table));
    if (status == WEFT_WOULD_BLOCK)     /* others have them all in hand */
        status = weft_channel_recv(job->spare, &reader->chunk, WEFT_FOREVER);
    if (status != WEFT_OK && status != WEFT_CLOSED)
        job_fail(job, status, "take a chunk");
    return status == WEFT_OK;
}

static void send_chunk(struct reader *reader)
{
    struct chunk *chunk = reader->chunk;
    reader->chunk = NULL;
    count_later(reader->job, chunk);
}

/* A chunk with so much room, and a byte more for the newline that ends a file. */
static bool have_room(struct reader *reader, size_t room)
{
    if (reader->chunk && reader->chunk->capacity - reader->chunk->length > room)
        return true;
    if (reader->chunk)
        send_chunk(reader);
    return take_chunk(reader);
}

static bool grow(struct reader *reader)
{
    size_t capacity = reader->chunk->capacity * 2;
    if (capacity > MAX_WORD)
        capacity = MAX_WORD + 2;        /* the byte that shows that the word is longer, and the newline that ends a file */
    unsigned char *text = realloc(reader->chunk->text, capacity);
    if (!text) {
        job_fail(reader->job, weft_error_set(WEFT_NOMEM, "out of memory"), "read a long word");
        return false;
    }
    reader->chunk->text = text;
    reader->chunk->capacity = capacity;
    return true;
}

/* Where the last word of the chunk begins, if the chunk ends within a word. */
static size_t whole_words(const struct chunk *chunk)
{
    size_t end = chunk->length;
    while (end > 0 && is_letter(chunk->text[end - 1]))
        end--;
    return end;
}

/* The chunk is full and the file goes on. */
static bool next_chunk(struct reader *reader, struct file *file)
{
    struct chunk *chunk = reader->chunk;
    size_t whole = whole_words(chunk);
    if (whole > 0) {
        file->at -= (off_t)(chunk->length - whole);
        chunk->length = whole;
        return have_room(reader, CHUNK - 1);
    }
    if (chunk->length <= MAX_WORD)
        return grow(reader);
    job_problem(reader->job, LONG_WORDS, file->path, 0);
    chunk->length = 0;
    file->in_long_word = true;
    return true;
}

/* Drops the rest of a word that is too long from the new bytes at the end of the chunk, which hold nothing else. */
static void skip_long_word(struct file *file, struct chunk *chunk)
{
    size_t letters = 0;
    while (letters < chunk->length && is_letter(chunk->text[letters]))
        letters++;
    chunk->length -= letters;
    memmove(chunk->text, chunk->text + letters, chunk->length);
    file->in_long_word = chunk->length == 0;
}

/* Appends up to `most` bytes of the file to the chunk: how many, 0 at its end, -1 on an error. */
static ssize_t append(struct file *file, struct chunk *chunk, size_t most)
{
    ssize_t length;
    do
        length = pread(file->fd, chunk->text + chunk->length, most, file->at);
    while (length < 0 && errno == EINTR);
    if (length > 0) {
        chunk->length += (size_t)length;
        file->at += length;
    }
    return length;
}

static size_t smaller(off_t a, size_t b)
{
    return (uintmax_t)a < b ? (size_t)a : b;
}

enum end { WHOLE, EARLY, ERROR, STOPPED, IS_BINARY };

/* From the file's beginning to its end, as far as there is one. */
static enum end read_text(struct reader *reader, struct file *file)
{
    off_t probe = (off_t)smaller(file->size, PROBE);
    if (job_stopping(reader->job) || !have_room(reader, (size_t)probe))
        return STOPPED;
    struct chunk *chunk = reader->chunk;
    size_t begin = chunk->length;
    while (file->at < probe) {
        ssize_t length = append(file, chunk, (size_t)(probe - file->at));
        if (length <= 0)
            return length ? ERROR : EARLY;
        if (memchr(chunk->text + chunk->length - length, 0, (size_t)length)) {
            chunk->length = begin;
            return IS_BINARY;
        }
    }
    while (file->at < file->size) {
        if (job_stopping(reader->job))
            return STOPPED;
        chunk = reader->chunk;
        size_t room = chunk->capacity - 1 - chunk->length;
        if (room == 0) {
            if (!next_chunk(reader, file))
                return STOPPED;
            continue;
        }
        ssize_t length = append(file, chunk, smaller(file->size - file->at, room));
        if (length <= 0)
            return length ? ERROR : EARLY;
        if (file->in_long_word)
            skip_long_word(file, chunk);
    }
    return WHOLE;
}

/* The size the walk saw tells whether the file has changed before it was opened. */
static void read_file(struct reader *reader, const char *path, off_t found_size)
{
    struct job *job = reader->job;
    struct file file = {.path = path};
    /* Should the name belong to something else by now: O_NONBLOCK keeps a FIFO from blocking, O_NOCTTY a terminal from
     * becoming ours. A file that is leased to another process, which is being told to give it up, answers with an error. */
    const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY;
    file.fd = open(path, flags | O_NONBLOCK);
    if (file.fd < 0 && errno == EWOULDBLOCK)
        file.fd = open(path, flags);
    if (file.fd < 0) {
        job_problem(job, errno == ENOENT ? VANISHED : UNREADABLE, path, errno);
        return;
    }
    struct stat opened;
    if (fstat(file.fd, &opened) != 0) {
        job_problem(job, UNREADABLE, path, errno);
    } else if (!S_ISREG(opened.st_mode)) {
        job_count(job, SPECIAL);
    } else {
        file.size = opened.st_size;
        enum end end = read_text(reader, &file);
        int error = errno;
        struct stat closing;
        bool grew = end == WHOLE && (opened.st_size > found_size || (fstat(file.fd, &closing) == 0 && closing.st_size > opened.st_size));

        if (end != IS_BINARY)
            atomic_fetch_add(&job->bytes, (uint64_t)file.at);
        if (end == IS_BINARY)
            job_count(job, BINARY);
        else if (end == ERROR)
            job_problem(job, UNREADABLE, path, error);
        else if (end != STOPPED)
            job_count(job, FILES);
        if (end == EARLY || (end == WHOLE && opened.st_size < found_size))
            job_count(job, SHRANK);
        if (grew)
            job_count(job, GREW);
        if (end == WHOLE && file.size == 0)
            job_count(job, EMPTY);

        struct chunk *chunk = reader->chunk;
        if (chunk && end == STOPPED)
            chunk->length = whole_words(chunk);
        else if (chunk && end != IS_BINARY)
            chunk->text[chunk->length++] = '\n';
    }
    close(file.fd);
}

/* Whoever ends a lump of reads gives the walk credit for as many. */
static void end_read(struct job *job)
{
    int lump = job->max_reads / 2;
    if ((atomic_fetch_add(&job->reads_ended, 1) + 1) % lump == 0) {
        weft_status status = weft_channel_send(job->credits, &lump, WEFT_FOREVER);
        if (status != WEFT_OK)
            job_fail(job, status, "give credit");
    }
}

void read_batch(weft_worker *worker, void *arg)
{
    struct batch *batch = arg;
    struct job *job = batch->job;
    struct reader reader = {.job = job, .table = job_table(job, worker)};
    for (size_t i = 0; i < batch->files && !job_stopping(job); i++)
        read_file(&reader, batch->paths + batch->file[i].path, batch->file[i].size);
    if (reader.chunk)
        send_chunk(&reader);
    batch_free(batch);
    end_read(job);
    job_task_ended(job);
}
