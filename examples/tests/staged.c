/*
 * Stands between corpus and the system in the program corpus_staged, whose other sources call the functions below instead of open,
 * pread and so on (the build renames them). It makes what tests cannot time from outside happen exactly when corpus is at the
 * point in question. Which act is played is the beginning of a file's name, up to the first dash:
 *
 *   vanish-    is removed when corpus is about to open it
 *   fifo-      is replaced by a FIFO then
 *   leased-    another process holds a lease: an open that must not wait fails
 *   hold-      corpus stops before it opens the file: it writes a line to the descriptor with the number $STAGED_AT, and waits for a
 *              byte from $STAGED_GO
 *   shrink-    loses all bytes that were not read yet when corpus asks for those after its first 8 KiB
 *   grow-      gets another word at its end at that moment
 *   broken-    cannot be read further than that
 *   signal-    every second call is interrupted by a signal
 *
 * And if $STAGED_STARVE is a number, the allocation with that number fails.
 */
#undef open
#undef pread
#undef malloc
#undef calloc
#undef realloc
#undef strdup

#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int staged_open(const char *path, int flags, ...);
ssize_t staged_pread(int fd, void *buffer, size_t length, off_t offset);
void *staged_malloc(size_t size);
void *staged_calloc(size_t count, size_t size);
void *staged_realloc(void *memory, size_t size);
char *staged_strdup(const char *string);

enum { FILES = 1024, FIRST = 8 << 10 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { char path[PATH_MAX]; bool interrupted, grown; } file_of[FILES];    /* by descriptor */

static void require(bool good, const char *what)
{
    if (!good) {
        perror(what);
        abort();
    }
}

static bool plays(const char *path, const char *act)
{
    const char *slash = strrchr(path, '/');
    return strncmp(slash ? slash + 1 : path, act, strlen(act)) == 0;
}

static int descriptor(const char *variable)
{
    const char *number = getenv(variable);
    require(number != NULL, variable);
    return atoi(number);
}

static void hold(void)
{
    char go;
    require(write(descriptor("STAGED_AT"), "held\n", 5) == 5, "STAGED_AT");
    ssize_t length;
    do
        length = read(descriptor("STAGED_GO"), &go, 1);
    while (length < 0 && errno == EINTR);
    require(length == 1, "STAGED_GO");
}

int staged_open(const char *path, int flags, ...)
{
    if (plays(path, "hold-"))
        hold();
    if (plays(path, "vanish-") || plays(path, "fifo-"))
        require(unlink(path) == 0, path);
    if (plays(path, "fifo-"))
        require(mkfifo(path, 0600) == 0, path);
    if (plays(path, "leased-") && flags & O_NONBLOCK) {
        errno = EWOULDBLOCK;
        return -1;
    }
    int fd = open(path, flags);
    if (fd >= 0) {
        require(fd < FILES && strlen(path) < PATH_MAX, path);
        pthread_mutex_lock(&lock);
        strcpy(file_of[fd].path, path);
        file_of[fd].interrupted = file_of[fd].grown = false;
        pthread_mutex_unlock(&lock);
    }
    return fd;
}

ssize_t staged_pread(int fd, void *buffer, size_t length, off_t offset)
{
    char path[PATH_MAX];
    require(fd >= 0 && fd < FILES, "descriptor");
    pthread_mutex_lock(&lock);
    strcpy(path, file_of[fd].path);
    bool interrupt = plays(path, "signal-") && (file_of[fd].interrupted = !file_of[fd].interrupted);
    bool grow = plays(path, "grow-") && offset >= FIRST && !file_of[fd].grown && (file_of[fd].grown = true);
    pthread_mutex_unlock(&lock);

    if (interrupt || (plays(path, "broken-") && offset >= FIRST)) {
        errno = interrupt ? EINTR : EIO;
        return -1;
    }
    if (plays(path, "shrink-") && offset >= FIRST)
        require(truncate(path, offset) == 0, path);
    if (grow) {
        int end = open(path, O_WRONLY | O_APPEND);
        require(end >= 0 && write(end, " toolate\n", 9) == 9 && close(end) == 0, path);
    }
    return pread(fd, buffer, length, offset);
}

/* True when it is the turn of this allocation to fail. */
static bool starve(void)
{
    static atomic_long allocations;
    const char *number = getenv("STAGED_STARVE");
    if (!number || atomic_fetch_add(&allocations, 1) + 1 != atol(number))
        return false;
    errno = ENOMEM;
    return true;
}

void *staged_malloc(size_t size)
{
    return starve() ? NULL : malloc(size);
}

void *staged_calloc(size_t count, size_t size)
{
    return starve() ? NULL : calloc(count, size);
}

void *staged_realloc(void *memory, size_t size)
{
    return starve() ? NULL : realloc(memory, size);
}

char *staged_strdup(const char *string)
{
    return starve() ? NULL : strdup(string);
}
