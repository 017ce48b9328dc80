/* Misuse of every function: NULL, a handle of another kind, garbage, absurd sizes. Nothing crashes, nothing is consumed, no
 * out-parameter is written, and the message names the argument.
 *
 * The entries are in misuse_*.c. The test here reads the header itself and compares its functions with the entries, so that a new
 * function cannot be forgotten.
 */
#include "misuse.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the zoo */

static void lend_worker(weft_worker *worker, void *arg)
{
    struct zoo *zoo = arg;
    zoo->worker = worker;
    gate_open(&zoo->worker_lent);
    gate_wait(&zoo->worker_back);
}

static _Alignas(64) unsigned char no_handle[512];

static int32_t never_fork(int32_t fd, void *arg)
{
    (void)fd;
    (void)arg;
    CHECK(!"a worker was forked that nobody has asked for");
    return -1;
}

/* A pool whose only worker waits for somebody to fork it. */
static weft_process_pool *never_forked(void)
{
    weft_process_pool_options options;
    weft_process_pool *pool = NULL;
    OK(weft_process_pool_options_init(&options, sizeof options));
    options.fork_fn = never_fork;
    options.workers = 1;
    OK(weft_process_pool_new(&options, &pool));
    return pool;
}

struct zoo *zoo_new(void)
{
    static const struct zoo empty = {.worker_lent = GATE_INIT, .worker_back = GATE_INIT};
    struct zoo *zoo = malloc(sizeof *zoo);
    REQUIRE(zoo != NULL);
    *zoo = empty;
    OK(weft_bytes_new("bytes", 5, &zoo->bytes));
    OK(weft_topology_from_string("core:2 pu:1", &zoo->topology));
    zoo->runtime = runtime_new(2);
    OK(weft_promise_new(&zoo->promise, &zoo->future));
    zoo->channel = channel_new(8, 2);
    OK(weft_channel_ends(NULL, &zoo->sender, &zoo->receiver));
    OK(weft_cancel_token_new(NULL, &zoo->token));
    OK(weft_timer_after(zoo->runtime, WEFT_FOREVER, 0, never_task, NULL, NULL, NULL, &zoo->timer));
    zoo->thread = weft_thread_self();
    REQUIRE(zoo->thread != NULL);
    OK(weft_mutex_new("zoo", &zoo->mutex));
    OK(weft_breaker_new(NULL, &zoo->breaker));
    OK(weft_link_pair(NULL, &zoo->link, &zoo->link_far_fd));
    zoo->processes = never_forked();
    OK(weft_context_new(NULL, WEFT_CONTEXT_THREAD, NULL, &zoo->context));
    OK(weft_context_pool_new(NULL, WEFT_CONTEXT_THREAD, 2, NULL, &zoo->context_pool));
    OK(weft_spawn(zoo->runtime, lend_worker, zoo));
    gate_wait(&zoo->worker_lent);
    zoo->handle[BYTES] = zoo->bytes;
    zoo->handle[TOPOLOGY] = zoo->topology;
    zoo->handle[RUNTIME] = zoo->runtime;
    zoo->handle[PROMISE] = zoo->promise;
    zoo->handle[FUTURE] = zoo->future;
    zoo->handle[CHANNEL] = zoo->channel;
    zoo->handle[SENDER] = zoo->sender;
    zoo->handle[RECEIVER] = zoo->receiver;
    zoo->handle[TOKEN] = zoo->token;
    zoo->handle[TIMER] = zoo->timer;
    zoo->handle[THREAD] = zoo->thread;
    zoo->handle[MUTEX] = zoo->mutex;
    zoo->handle[BREAKER] = zoo->breaker;
    zoo->handle[LINK] = zoo->link;
    zoo->handle[PROCESSES] = zoo->processes;
    zoo->handle[CONTEXT] = zoo->context;
    zoo->handle[CONTEXT_POOL] = zoo->context_pool;
    zoo->handle[WORKER] = zoo->worker;
    zoo->handle[NO_NOUN] = no_handle;
    return zoo;
}

static weft_status nothing_to_reply(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)data, (void)len, (void)reply, (void)arg;
    return WEFT_OK;
}

void zoo_end(struct zoo *zoo)
{
    uint64_t element = 9;
    CHECK_INT(weft_bytes_len(zoo->bytes), 5);
    CHECK_INT(weft_topology_cpus(zoo->topology), 2);
    CHECK_INT(weft_runtime_workers(zoo->runtime), 2);
    CHECK_INT(weft_future_state(zoo->future), WEFT_FUTURE_PENDING);
    OK(weft_promise_resolve(zoo->promise, NULL, NULL, NULL));
    OK(weft_future_wait(zoo->future, 0));
    CHECK_INT(weft_channel_len(zoo->channel), 0);
    OK(weft_channel_send(zoo->channel, &element, 0));
    OK(weft_channel_recv(zoo->channel, &element, 0));
    gate_open(&zoo->worker_back);
    runtime_end(zoo->runtime);
    weft_bytes_release(zoo->bytes);
    weft_topology_release(zoo->topology);
    weft_promise_release(zoo->promise);
    weft_future_release(zoo->future);
    weft_channel_release(zoo->channel);
    CHECK(!weft_channel_is_closed(weft_sender_channel(zoo->sender)));
    CHECK(weft_sender_channel(zoo->sender) == weft_receiver_channel(zoo->receiver));
    weft_sender_release(zoo->sender);
    weft_receiver_release(zoo->receiver);
    CHECK(!weft_cancel_token_triggered(zoo->token));
    weft_cancel_token_release(zoo->token);
    OK(weft_timer_stop(zoo->timer));
    weft_timer_release(zoo->timer);
    weft_thread_release(zoo->thread);
    OK(weft_mutex_lock(zoo->mutex, 0));
    OK(weft_mutex_unlock(zoo->mutex));
    weft_mutex_release(zoo->mutex);
    CHECK_INT(weft_breaker_get_state(zoo->breaker), WEFT_BREAKER_CLOSED);
    weft_breaker_release(zoo->breaker);
    OK(weft_link_send(zoo->link, WEFT_FRAME_USER, 0, 1, NULL, 0, 0));
    weft_link_release(zoo->link);
    close(zoo->link_far_fd);
    weft_process_pool_stats stats = {.size = sizeof stats};
    OK(weft_process_pool_stats_get(zoo->processes, &stats));
    CHECK(stats.workers == 1 && stats.calls == 0 && stats.born == 0);
    OK(weft_process_pool_drain(zoo->processes, WEFT_FOREVER));
    weft_process_pool_release(zoo->processes);
    CHECK(!weft_context_is_alive(zoo->context));
    OK(weft_context_execute(zoo->context, nothing_to_reply, NULL, NULL, NULL, NULL, 0));
    OK(weft_context_wait(zoo->context, WEFT_FOREVER, NULL));
    weft_context_release(zoo->context);
    weft_context *pooled = NULL;
    OK(weft_context_pool_acquire(zoo->context_pool, NULL, &pooled));
    OK(weft_context_pool_put(zoo->context_pool, pooled));
    weft_context_pool_release(zoo->context_pool);
    free(zoo);
}

void never_task(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
    CHECK(!"a task ran that was refused");
}

weft_status never_call(weft_worker *worker, void *arg, void **result)
{
    never_task(worker, arg);
    *result = NULL;
    return WEFT_OK;
}

weft_status never_map(weft_worker *worker, const void *in, void *out, void *arg)
{
    (void)in;
    (void)out;
    return never_range(worker, 0, 0, arg);
}

weft_status never_range(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    (void)begin;
    (void)end;
    never_task(worker, arg);
    return WEFT_OK;
}

weft_status never_fold(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    (void)acc;
    return never_range(worker, begin, end, arg);
}

weft_status never_combine(weft_worker *worker, void *into, void *from, void *arg)
{
    (void)into;
    (void)from;
    never_task(worker, arg);
    return WEFT_OK;
}

void never_drop(void *ctx, void *value)
{
    (void)ctx;
    (void)value;
    CHECK(!"a drop ran for what was refused");
}

/* ---- the header's functions */

static char *read_header(void)
{
    FILE *file = fopen(WEFT_TEST_HEADER, "r");
    REQUIRE(file != NULL);
    REQUIRE(fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    REQUIRE(size > 0);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    REQUIRE(text != NULL && fread(text, 1, (size_t)size, file) == (size_t)size);
    text[size] = '\0';
    fclose(file);
    return text;
}

/* Blanks out everything from `from` to `to`, which are replaced by spaces as well. */
static char *blank(char *from, char *to)
{
    for (char *c = from; c < to; c++)
        if (*c != '\n')
            *c = ' ';
    return to;
}

static void blank_comments_and_directives(char *text)
{
    bool line_start = true;
    for (char *c = text; *c != '\0';) {
        if (strncmp(c, "/*", 2) == 0) {
            char *end = strstr(c + 2, "*/");
            REQUIRE(end != NULL);
            c = blank(c, end + 2);
        } else if (strncmp(c, "//", 2) == 0) {
            c = blank(c, c + strcspn(c, "\n"));
        } else if (line_start && *c == '#') {
            size_t length = strcspn(c, "\n");
            while (length > 0 && c[length - 1] == '\\' && c[length] == '\n')
                length += 1 + strcspn(c + length + 1, "\n");
            c = blank(c, c + length);
        } else {
            if (*c == '\n')
                line_start = true;
            else if (!isspace((unsigned char)*c))
                line_start = false;
            c++;
        }
    }
}

/* The name before the first parenthesis of a declaration, if it declares a function. */
static bool function_name(const char *declaration, size_t length, char *name, size_t name_size)
{
    size_t begin = 0, paren, end;
    while (begin < length && isspace((unsigned char)declaration[begin]))
        begin++;
    if (length - begin > 7 && strncmp(declaration + begin, "typedef", 7) == 0)
        return false;
    for (paren = begin; paren < length && declaration[paren] != '('; paren++)
        continue;
    if (paren == length)
        return false;
    for (end = paren; end > begin && isspace((unsigned char)declaration[end - 1]); end--)
        continue;
    for (begin = end; begin > 0 && (isalnum((unsigned char)declaration[begin - 1]) || declaration[begin - 1] == '_'); begin--)
        continue;
    REQUIRE(end > begin && end - begin < name_size);
    memcpy(name, declaration + begin, end - begin);
    name[end - begin] = '\0';
    return true;
}

/* Calls `each` with the name of every function that the header declares; answers how many there are. */
static int header_functions(void (*each)(const char *name))
{
    char *text = read_header();
    int depth = 0, functions = 0;
    blank_comments_and_directives(text);
    char *linkage = strstr(text, "extern \"C\"");
    if (linkage != NULL)
        blank(linkage, strchr(linkage, '{') + 1);
    char *begin = text;
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '{')
            depth++;
        else if (*c == '}' && depth > 0)
            depth--;
        else if (*c == '}')
            begin = c + 1;
        else if (*c == ';' && depth == 0) {
            char name[128];
            if (function_name(begin, (size_t)(c - begin), name, sizeof name)) {
                functions++;
                each(name);
            }
            begin = c + 1;
        }
    }
    free(text);
    return functions;
}

static bool has_entry(const char *function)
{
    for (const struct harness_case *c = harness_cases(HARNESS_MISUSE); c != NULL; c = c->next)
        if (strcmp(c->name, function) == 0)
            return true;
    return false;
}

static void needs_an_entry(const char *function)
{
    CHECK(strncmp(function, "weft_", 5) == 0);
    if (has_entry(function))
        return;
    fprintf(stderr, "%s has no entry in misuse_*.c\n", function);
    CHECK(!"every function of the header has an entry");
}

/* An entry for what is no function of the header any more does not compile, so the numbers must be equal. */
TEST(every_function_of_the_header_has_an_entry)
{
    int entries = 0;
    for (const struct harness_case *c = harness_cases(HARNESS_MISUSE); c != NULL; c = c->next)
        entries++;
    int functions = header_functions(needs_an_entry);
    CHECK(functions > 50);
    CHECK_INT(entries, functions);
}
