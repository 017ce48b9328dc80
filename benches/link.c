/* A link between two processes beside a pair of pipes and a pair of sockets: round trips and one way, frames of 64 bytes to 1 MiB. They
 * take turns, round by round, and medians are printed; round trips also after idling. Then how long it takes to learn that the other
 * process was killed. WEFT_BENCH_PIN=1 gives each side a CPU of its own; WEFT_BENCH_QUICK=1 only looks whether it all runs. */
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weft/weft.h>

enum { ROUNDS = 7, SIZES = 4, CONTESTANTS = 5, DEATHS = 100, LARGEST = 1 << 20 };

static const size_t sizes[SIZES] = {64, 4 << 10, 64 << 10, 1 << 20};
static char buffer[LARGEST];
static int quick;

static void fail(const char *what)
{
    fprintf(stderr, "link: %s\n", what);
    exit(1);
}

static void check(weft_status status)
{
    if (status != WEFT_OK)
        fail(weft_error_message());
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- contestants: each sends and receives a message, at either end */

struct contestant {
    const char *name;
    weft_link *link;
    int in, out;
    int in_place;
};

static void pipe_all(int fd, size_t len, int writes)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = writes ? write(fd, buffer + at, len - at) : read(fd, buffer + at, len - at);
        if (n <= 0)
            fail("the pipe is broken");
        at += (size_t)n;
    }
}

static void put(struct contestant *one, size_t len)
{
    if (one->link)
        check(weft_link_send(one->link, WEFT_FRAME_USER, 0, 0, buffer, len, WEFT_FOREVER));
    else
        pipe_all(one->out, len, 1);
}

static void get(struct contestant *one, size_t len)
{
    weft_frame frame;
    if (!one->link) {
        pipe_all(one->in, len, 0);
    } else if (one->in_place) {
        check(weft_link_peek(one->link, WEFT_FOREVER, &frame));
        check(weft_link_consume(one->link));
    } else {
        check(weft_link_recv(one->link, WEFT_FOREVER, &frame));
        if (frame.len != len)
            fail("a frame of another length");
        weft_bytes_release(frame.bytes);
    }
}

/* What the other process does: an order says how many messages, of which size, and whether they are to come back. */
struct order {
    uint64_t count, len, back;
};

static void obey(struct contestant *one, int orders)
{
    struct order order;
    while (read(orders, &order, sizeof order) == sizeof order) {
        for (uint64_t i = 0; i < order.count; i++) {
            get(one, order.len);
            if (order.back)
                put(one, order.len);
        }
        if (!order.back)
            put(one, 1);
    }
    _exit(0);
}

/* Instead of a transport: no link, but one of these. */
enum { PIPES = -1, SOCKETS = -2 };

static void pin(int cpu)
{
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    if (getenv("WEFT_BENCH_PIN") && sched_setaffinity(0, sizeof cpus, &cpus))
        fail("cannot pin");
}

/* The child makes its end anew: of what its parent has it can use nothing. */
static struct contestant start(const char *name, int32_t transport, int in_place, int *orders)
{
    int there[2], back[2], order[2];
    int32_t far_fd = -1;
    weft_link *near = NULL;
    if (pipe(order))
        fail("no pipes");
    if (transport == SOCKETS) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
            fail("no sockets");
        there[1] = back[0] = ends[0];
        there[0] = back[1] = ends[1];
    } else if (pipe(there) || pipe(back)) {
        fail("no pipes");
    }
    if (transport >= 0) {
        weft_link_options options;
        check(weft_link_options_init(&options, sizeof options));
        options.transport = transport;
        options.trusted = in_place ? WEFT_ON : WEFT_OFF;
        check(weft_link_pair(&options, &near, &far_fd));
    }
    pid_t child = fork();
    if (child < 0)
        fail("cannot fork");
    if (child == 0) {
        pin(1);
        struct contestant far = {name, NULL, there[0], back[1], in_place};
        close(order[1]);
        if (transport >= 0) {
            check(weft_after_fork());
            check(weft_link_adopt(far_fd, &far.link));
        }
        obey(&far, order[0]);
    }
    if (transport >= 0)
        close(far_fd);
    close(order[0]);
    *orders = order[1];
    return (struct contestant){name, near, back[0], there[1], in_place};
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

enum { TRIPS = 2000 };

/* Microseconds of one round trip: the median and the 99th of a hundred. */
static void round_trips(struct contestant *one, int orders, size_t len, double idle_s, double *p50, double *p99)
{
    static double times[TRIPS];
    size_t trips = quick ? 3 : idle_s > 0 ? 30 : len >= 1 << 20 ? 100 : TRIPS;
    struct order order = {trips, len, 1};
    if (write(orders, &order, sizeof order) != sizeof order)
        fail("the other process is gone");
    for (size_t i = 0; i < trips; i++) {
        if (idle_s > 0)
            usleep((useconds_t)(idle_s * 1e6));
        double begin = now();
        put(one, len);
        get(one, len);
        times[i] = (now() - begin) * 1e6;
    }
    *p50 = middle(times, trips);
    *p99 = times[trips * 99 / 100];
}

/* Messages per second, one way. */
static double one_way(struct contestant *one, int orders, size_t len)
{
    uint64_t bytes = quick ? 1 << 16 : one->link ? 1 << 28 : 1 << 27, count = bytes / (len < 1024 ? 256 : len) + 1;
    struct order order = {count, len, 0};
    if (write(orders, &order, sizeof order) != sizeof order)
        fail("the other process is gone");
    double begin = now();
    for (uint64_t i = 0; i < count; i++)
        put(one, len);
    get(one, 1);
    return (double)count / (now() - begin);
}

/* Microseconds from SIGKILL to WEFT_DIED in a thread that waits. */
static void deaths(void)
{
    static double times[DEATHS];
    size_t n = quick ? 1 : DEATHS;
    for (size_t i = 0; i < n; i++) {
        weft_link *near, *far;
        weft_frame frame;
        int32_t far_fd;
        check(weft_link_pair(NULL, &near, &far_fd));
        pid_t child = fork();
        if (child < 0)
            fail("cannot fork");
        if (child == 0) {
            check(weft_after_fork());
            check(weft_link_adopt(far_fd, &far));
            check(weft_link_send(far, WEFT_FRAME_USER, 0, 0, NULL, 0, WEFT_FOREVER));
            for (;;)
                pause();
        }
        close(far_fd);
        check(weft_link_recv(near, WEFT_FOREVER, &frame));
        weft_bytes_release(frame.bytes);
        double begin = now();
        kill(child, SIGKILL);
        if (weft_link_recv(near, WEFT_FOREVER, &frame) != WEFT_DIED)
            fail("the death was not told");
        times[i] = (now() - begin) * 1e6;
        weft_link_release(near);
        waitpid(child, NULL, 0);
    }
    double p50 = middle(times, n);
    printf("from SIGKILL to WEFT_DIED, us, p50/p99: %.0f / %.0f\n", p50, times[n * 99 / 100]);
}

int main(void)
{
    int orders[CONTESTANTS];
    struct contestant all[CONTESTANTS];
    quick = getenv("WEFT_BENCH_QUICK") != NULL;
    pin(0);
    all[0] = start("link", WEFT_LINK_SHARED, 0, &orders[0]);
    all[1] = start("link, looked at in place", WEFT_LINK_SHARED, 1, &orders[1]);
    all[2] = start("link over its socket", WEFT_LINK_SOCKET, 0, &orders[2]);
    all[3] = start("pipe pair", PIPES, 0, &orders[3]);
    all[4] = start("socketpair stream", SOCKETS, 0, &orders[4]);
    printf("%-26s %8s %18s %14s %12s %10s\n", "", "bytes", "round trip p50/p99", "after idling", "one way M/s", "GB/s");
    for (int s = 0; s < SIZES; s++) {
        static double p50[CONTESTANTS][ROUNDS], p99[CONTESTANTS][ROUNDS], idle[CONTESTANTS][ROUNDS], rate[CONTESTANTS][ROUNDS];
        double unused;
        int rounds = quick ? 1 : ROUNDS;
        for (int r = 0; r < rounds; r++)
            for (int c = 0; c < CONTESTANTS; c++) {
                round_trips(&all[c], orders[c], sizes[s], 0, &p50[c][r], &p99[c][r]);
                round_trips(&all[c], orders[c], sizes[s], 0.001, &idle[c][r], &unused);
                rate[c][r] = one_way(&all[c], orders[c], sizes[s]);
            }
        for (int c = 0; c < CONTESTANTS; c++) {
            double per_s = middle(rate[c], (size_t)rounds);
            printf("%-26s %8zu %8.2f /%8.2f %14.1f %12.3f %10.2f\n", all[c].name, sizes[s], middle(p50[c], (size_t)rounds),
                   middle(p99[c], (size_t)rounds), middle(idle[c], (size_t)rounds), per_s * 1e-6,
                   per_s * (double)sizes[s] * 1e-9);
        }
    }
    for (int c = 0; c < CONTESTANTS; c++)
        close(orders[c]);
    while (wait(NULL) > 0)
        ;
    for (int c = 0; c < CONTESTANTS; c++)
        weft_link_release(all[c].link);
    deaths();
    return 0;
}
