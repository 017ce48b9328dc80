/*
 * Finds the files. One task walks all trees, depth first with a stack of its own, and keeps one directory open at a time.
 * Symbolic links are followed; every file and directory is known by (device, inode) and taken once, however many names lead
 * to it, which also ends every loop. What is neither file nor directory is never opened: opening a FIFO would block, and
 * opening a device may do anything.
 *
 * Files leave in batches of no more than fits one chunk, because a task should be worth its start: most files are far smaller
 * than a chunk; a larger one is a batch of its own. Each batch costs the walk a credit; readers give credits back by channel, and without any the walk waits. That
 * bounds the tasks that exist and their memory. The thread that waits passes its turn to another, so that one worker is enough.
 */
#include "corpus.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct identity { dev_t device; ino_t inode; bool taken; };

struct identities {         /* a hash set */
    struct identity *slots;
    size_t capacity, used;
};

struct directory {
    struct directory *next;             /* on the stack, later in the list of those that were opened */
    const struct directory *parent;     /* NULL for an argument */
    struct identity self;
    char path[];
};

struct walk {
    struct job *job;
    struct identities seen;
    struct directory *stack, *opened;   /* opened ones stay: their descendants look for loops through `parent` */
    struct batch *batch;
    int credit;                         /* batches that may be handed out before the next wait */
    int handed_out;
};

static struct identity *identity_slot(const struct identities *set, struct identity id)
{
    size_t mask = set->capacity - 1;
    size_t at = (size_t)((id.inode ^ id.device << 32) * 0x9E3779B97F4A7C15u >> 20) & mask;
    while (set->slots[at].taken && !(set->slots[at].inode == id.inode && set->slots[at].device == id.device))
        at = (at + 1) & mask;
    return &set->slots[at];
}

/* True when it was not in the set. A failure fails the job and says that it was. */
static bool identity_add(struct walk *walk, struct identity id)
{
    struct identities *set = &walk->seen;
    if (set->used >= set->capacity / 4 * 3) {
        struct identities larger = {.capacity = set->capacity ? set->capacity * 2 : 1024, .used = set->used};
        larger.slots = calloc(larger.capacity, sizeof *larger.slots);
        if (!larger.slots) {
            job_fail(walk->job, weft_error_set(WEFT_NOMEM, "out of memory"), "walk");
            return false;
        }
        for (size_t i = 0; i < set->capacity; i++)
            if (set->slots[i].taken)
                *identity_slot(&larger, set->slots[i]) = set->slots[i];
        free(set->slots);
        *set = larger;
    }
    struct identity *slot = identity_slot(set, id);
    if (slot->taken)
        return false;
    *slot = id;
    set->used++;
    return true;
}

void batch_free(struct batch *batch)
{
    free(batch->paths);
    free(batch);
}

/* Gives the batch to a task of its own, as soon as there is credit for it. */
static void hand_out(struct walk *walk)
{
    struct job *job = walk->job;
    struct batch *batch = walk->batch;
    walk->batch = NULL;
    if (!batch)
        return;
    if (walk->credit == 0) {
        weft_status status = weft_channel_recv(job->credits, &walk->credit, WEFT_FOREVER);
        if (status != WEFT_OK) {
            job_fail(job, status, "wait for readers");
            batch_free(batch);
            return;
        }
    }
    if (!job_spawn(job, read_batch, batch, "read")) {
        batch_free(batch);
        return;
    }
    walk->credit--;
    walk->handed_out++;
    int reads = walk->handed_out - atomic_load(&job->reads_ended);
    if (reads > job->peak_reads)
        job->peak_reads = reads;
}

static bool batch_add(struct batch *batch, const char *path, off_t size)
{
    size_t length = strlen(path) + 1;
    if (batch->paths_capacity - batch->paths_length < length) {
        size_t capacity = batch->paths_capacity * 2 + length + 1024;
        char *paths = realloc(batch->paths, capacity);
        if (!paths)
            return false;
        batch->paths = paths;
        batch->paths_capacity = capacity;
    }
    memcpy(batch->paths + batch->paths_length, path, length);
    batch->file[batch->files].path = batch->paths_length;
    batch->file[batch->files].size = size;
    batch->paths_length += length;
    batch->files++;
    batch->bytes += size + 1;       /* with the newline that ends it in a chunk */
    return true;
}

static void add_file(struct walk *walk, const char *path, off_t size)
{
    if (walk->batch && walk->batch->bytes + size >= CHUNK)
        hand_out(walk);
    if (!walk->batch) {
        walk->batch = calloc(1, sizeof *walk->batch);
        if (walk->batch)
            walk->batch->job = walk->job;
    }
    if (!walk->batch || !batch_add(walk->batch, path, size))
        job_fail(walk->job, weft_error_set(WEFT_NOMEM, "out of memory"), "walk");
    else if (walk->batch->files == BATCH_FILES)
        hand_out(walk);
}

static void add_directory(struct walk *walk, const char *path, const struct directory *parent, struct identity self)
{
    for (const struct directory *above = parent; above; above = above->parent)
        if (above->self.inode == self.inode && above->self.device == self.device) {
            job_count(walk->job, LINK_LOOPS);
            return;
        }
    if (!identity_add(walk, self)) {
        job_count(walk->job, REPEATED);
        return;
    }
    size_t length = strlen(path) + 1;
    struct directory *directory = malloc(sizeof *directory + length);
    if (!directory) {
        job_fail(walk->job, weft_error_set(WEFT_NOMEM, "out of memory"), "walk");
        return;
    }
    *directory = (struct directory){.next = walk->stack, .parent = parent, .self = self};
    memcpy(directory->path, path, length);
    walk->stack = directory;
}

/* stat failed for an entry: does its name lead nowhere, in a circle, or is it gone? */
static void add_unknown(struct walk *walk, int directory_fd, const char *name, const char *path, int error)
{
    struct stat link;
    if (fstatat(directory_fd, name, &link, AT_SYMLINK_NOFOLLOW) != 0)
        job_problem(walk->job, errno == ENOENT ? VANISHED : UNREADABLE, path, errno);
    else if (error == ELOOP)
        job_problem(walk->job, LINK_LOOPS, path, error);
    else if (S_ISLNK(link.st_mode) && (error == ENOENT || error == ENOTDIR))
        job_problem(walk->job, BROKEN_LINKS, path, error);
    else
        job_problem(walk->job, UNREADABLE, path, error);
}

static void visit(struct walk *walk, int directory_fd, const char *name, const char *path, const struct directory *parent)
{
    struct stat found;
    if (fstatat(directory_fd, name, &found, 0) != 0) {
        add_unknown(walk, directory_fd, name, path, errno);
        return;
    }
    struct identity self = {found.st_dev, found.st_ino, true};
    if (S_ISDIR(found.st_mode))
        add_directory(walk, path, parent, self);
    else if (!S_ISREG(found.st_mode))
        job_count(walk->job, SPECIAL);
    else if (identity_add(walk, self))
        add_file(walk, path, found.st_size);
    else
        job_count(walk->job, REPEATED);
}

static void visit_entries(struct walk *walk, const struct directory *directory)
{
    DIR *stream = opendir(directory->path);
    if (!stream) {
        job_problem(walk->job, errno == ENOENT ? VANISHED : UNREADABLE_DIRECTORIES, directory->path, errno);
        return;
    }
    size_t prefix = strlen(directory->path);
    char *path = NULL;
    size_t capacity = 0;
    const char *slash = directory->path[prefix - 1] == '/' ? "" : "/";
    while (!job_stopping(walk->job)) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (!entry) {
            if (errno)
                job_problem(walk->job, UNREADABLE_DIRECTORIES, directory->path, errno);
            else
                job_count(walk->job, DIRECTORIES);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        size_t length = prefix + 1 + strlen(entry->d_name) + 1;
        if (length > capacity) {
            free(path);
            path = malloc(capacity = length * 2);
            if (!path) {
                job_fail(walk->job, weft_error_set(WEFT_NOMEM, "out of memory"), "walk");
                break;
            }
        }
        snprintf(path, capacity, "%s%s%s", directory->path, slash, entry->d_name);
        visit(walk, dirfd(stream), entry->d_name, path, directory);
    }
    free(path);
    closedir(stream);
}

static void directories_free(struct directory *list)
{
    while (list) {
        struct directory *next = list->next;
        free(list);
        list = next;
    }
}

void walk(struct job *job)
{
    struct walk walk = {.job = job, .credit = job->max_reads};
    for (size_t i = 0; i < job->root_count && !job_stopping(job); i++) {
        visit(&walk, AT_FDCWD, job->roots[i], job->roots[i], NULL);
        while (walk.stack && !job_stopping(job)) {
            struct directory *directory = walk.stack;
            walk.stack = directory->next;
            directory->next = walk.opened;
            walk.opened = directory;
            visit_entries(&walk, directory);
        }
    }
    if (!job_stopping(job))
        hand_out(&walk);
    else if (walk.batch)
        batch_free(walk.batch);
    directories_free(walk.stack);
    directories_free(walk.opened);
    free(walk.seen.slots);
}
