/* Three stages joined by channels: one task makes numbers, four test them, one counts the primes.
 *
 * The channels hold 1000 each, so a fast stage waits for a slow one instead of filling the memory. Nobody announces the end:
 * each task holds the ends of the channels it uses, and when the last task of a stage has let go of its end, the
 * channel is closed and the next stage finishes what is left in it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <weft/weft.h>

#define TESTERS 4

/* What a stage's task works with. */
struct job {
    weft_receiver *in; /* NULL: the first stage */
    weft_sender *out;  /* NULL: the last */
    uint64_t limit;    /* of the first */
    uint64_t primes;   /* of the last */
};

static void finish(struct job *job)
{
    weft_receiver_release(job->in);
    weft_sender_release(job->out);
}

static weft_status make_numbers(weft_worker *worker, void *arg, void **result)
{
    struct job *job = arg;
    weft_channel *out = weft_sender_channel(job->out);
    weft_status status = WEFT_OK;
    (void)worker, (void)result;
    for (uint64_t number = 2; number < job->limit && status == WEFT_OK; number++)
        status = weft_channel_send(out, &number, WEFT_FOREVER);
    finish(job);
    /* WEFT_CLOSED: nobody wants any more. */
    return status == WEFT_CLOSED ? WEFT_OK : status;
}

static int is_prime(uint64_t number)
{
    for (uint64_t factor = 2; factor * factor <= number; factor++)
        if (number % factor == 0)
            return 0;
    return 1;
}

static weft_status test_numbers(weft_worker *worker, void *arg, void **result)
{
    struct job *job = arg;
    weft_channel *in = weft_receiver_channel(job->in), *out = weft_sender_channel(job->out);
    weft_status status;
    uint64_t number;
    (void)worker, (void)result;
    while ((status = weft_channel_recv(in, &number, WEFT_FOREVER)) == WEFT_OK)
        if (is_prime(number) && (status = weft_channel_send(out, &number, WEFT_FOREVER)) != WEFT_OK)
            break;
    finish(job);
    return status == WEFT_CLOSED ? WEFT_OK : status;
}

static weft_status count_primes(weft_worker *worker, void *arg, void **result)
{
    struct job *job = arg;
    weft_channel *in = weft_receiver_channel(job->in);
    weft_status status;
    uint64_t primes[64];
    size_t received;
    (void)worker, (void)result;
    while ((status = weft_channel_recv_batch(in, primes, 64, WEFT_FOREVER, &received)) == WEFT_OK)
        job->primes += received;
    finish(job);
    return status == WEFT_CLOSED ? WEFT_OK : status;
}

static void check(weft_status status)
{
    if (status == WEFT_OK)
        return;
    fprintf(stderr, "stages: %s: %s\n", weft_status_name(status), weft_error_message());
    exit(1);
}

int main(int argc, char **argv)
{
    struct job maker = {0}, testers[TESTERS] = {{0}}, counter = {0};
    weft_channel_options options;
    weft_future *stages[TESTERS + 2], *all;
    size_t n = 0;
    maker.limit = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    check(weft_channel_options_init(&options, sizeof options));
    options.elem_size = sizeof(uint64_t);
    options.capacity = 1000;
    check(weft_channel_ends(&options, &maker.out, &testers[0].in));
    check(weft_channel_ends(&options, &testers[0].out, &counter.in));
    for (int i = 1; i < TESTERS; i++) {
        testers[i].in = weft_receiver_retain(testers[0].in);
        testers[i].out = weft_sender_retain(testers[0].out);
    }
    check(weft_async(NULL, make_numbers, &maker, NULL, &stages[n++]));
    for (int i = 0; i < TESTERS; i++)
        check(weft_async(NULL, test_numbers, &testers[i], NULL, &stages[n++]));
    check(weft_async(NULL, count_primes, &counter, NULL, &stages[n++]));
    check(weft_future_all(stages, n, &all));
    check(weft_future_get(all, WEFT_FOREVER, &(void *){NULL}));
    printf("%llu primes below %llu\n", (unsigned long long)counter.primes, (unsigned long long)maker.limit);
    weft_future_release(all);
    while (n > 0)
        weft_future_release(stages[--n]);
    return 0;
}
