/* Hello, Weft: pi from its slowest series, on every CPU this process may use. */
#include <stdio.h>
#include <weft/weft.h>

static weft_status add_terms(weft_worker *worker, size_t begin, size_t end, void *sum, void *arg)
{
    (void)worker, (void)arg;
    for (size_t k = begin; k < end; k++)
        *(double *)sum += (k % 2 ? -4.0 : 4.0) / (2.0 * (double)k + 1.0);
    return WEFT_OK;
}

static weft_status add_sums(weft_worker *worker, void *into, void *from, void *arg)
{
    (void)worker, (void)arg;
    *(double *)into += *(double *)from;
    return WEFT_OK;
}

int main(void)
{
    double zero = 0, pi;
    if (weft_reduce(NULL, 0, 100000000, sizeof pi, &zero, add_terms, add_sums, NULL, NULL, &pi) != WEFT_OK)
        return fprintf(stderr, "hello: %s\n", weft_error_message()), 1;
    return printf("pi is about %.7f\n", pi) < 0;
}
