/* See contexts.h. */
#include "contexts.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

const int32_t context_kinds[5] = {WEFT_CONTEXT_INLINE, WEFT_CONTEXT_THREAD, WEFT_CONTEXT_TASK, WEFT_CONTEXT_FORK,
                                  WEFT_CONTEXT_ISOLATED};

bool context_kind_is_here(int32_t kind)
{
    return kind != WEFT_CONTEXT_FORK || !under_valgrind();
}

weft_context *context_new(int32_t kind, const char *name)
{
    weft_context_options options;
    weft_context *context = NULL;
    OK(weft_context_options_init(&options, sizeof options));
    options.name = name;
    options.exact = WEFT_ON;
    OK(weft_context_new(NULL, kind, &options, &context));
    CHECK_INT(weft_context_kind(context), kind);
    return context;
}

void *context_arg(weft_context *context, void *arg)
{
    return weft_context_kind(context) == WEFT_CONTEXT_ISOLATED ? NULL : arg;
}

weft_status echo(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)arg;
    return weft_bytes_new(data, len, reply);
}

weft_status tell_where(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    struct where where = {getpid(), (pid_t)syscall(SYS_gettid)};
    (void)data, (void)len, (void)arg;
    return weft_bytes_new(&where, sizeof where, reply);
}

struct where where_of(weft_context *context)
{
    struct where where = {0, 0};
    weft_bytes *reply = NULL;
    OK(weft_context_wait(context, WEFT_FOREVER, &reply));
    REQUIRE(weft_bytes_len(reply) == sizeof where);
    memcpy(&where, weft_bytes_data(reply), sizeof where);
    weft_bytes_release(reply);
    return where;
}

weft_status fail(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    weft_status status = WEFT_FAILED;
    (void)reply, (void)arg;
    if (len == sizeof status)
        memcpy(&status, data, sizeof status);
    return weft_error_set(status, "as arranged");
}

weft_status wait_to_be_stopped(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    weft_channel *channel = channel_new(8, 1);
    uint64_t element;
    (void)data, (void)len, (void)reply;
    if (arg != NULL)
        gate_open(arg);
    weft_status status = weft_channel_recv(channel, &element, WEFT_FOREVER);
    weft_channel_release(channel);
    return status;
}

void check_reply(weft_context *context, const char *text)
{
    weft_bytes *reply = NULL;
    if (!CHECK_STATUS(weft_context_wait(context, WEFT_FOREVER, &reply), WEFT_OK))
        return;
    CHECK_INT(weft_bytes_len(reply), strlen(text));
    CHECK(weft_bytes_len(reply) != strlen(text) || memcmp(weft_bytes_data(reply), text, strlen(text)) == 0);
    weft_bytes_release(reply);
}

void execute_text(weft_context *context, weft_handler_fn function, const char *text)
{
    OK(weft_context_execute(context, function, NULL, NULL, NULL, text, strlen(text)));
}

static size_t entries(const char *directory)
{
    DIR *dir = opendir(directory);
    size_t n = 0;
    REQUIRE(dir != NULL);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

size_t descriptors_open(void)
{
    return entries("/proc/self/fd");
}

/* Of a tool's, a symbolizer say, that it has started for itself: it runs another program. */
static bool is_a_tools(const char *pid)
{
    char path[300], exe[2][1024] = {"", ""};
    snprintf(path, sizeof path, "/proc/%s/exe", pid);
    return readlink(path, exe[0], sizeof exe[0] - 1) > 0 && readlink("/proc/self/exe", exe[1], sizeof exe[1] - 1) > 0 &&
           strcmp(exe[0], exe[1]) != 0;
}

size_t children_left(void)
{
    size_t n = 0;
    DIR *dir = opendir("/proc/self/task");
    REQUIRE(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[300], word[64];
        snprintf(path, sizeof path, "/proc/self/task/%s/children", entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (file == NULL)
            continue;
        while (fscanf(file, "%63s", word) == 1)
            n += !is_a_tools(word);
        fclose(file);
    }
    closedir(dir);
    return n;
}
