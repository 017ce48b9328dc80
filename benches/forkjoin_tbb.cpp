// The lines of forkjoin.c for oneTBB: tbb::task_group, and loops beside weft_for and weft_reduce.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include <tbb/blocked_range.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_reduce.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <weft/weft.hpp>

namespace {

constexpr int runs = 9, depth = 20, regions = 2000;

long fib(int n) {
    if (n < 2) return n;
    long b = 0;
    tbb::task_group group;
    group.run([&] { b = fib(n - 2); });
    const long a = fib(n - 1);
    group.wait();
    return a + b;
}

struct node {
    std::unique_ptr<node> left, right;
    long value = 1;
};

std::unique_ptr<node> grow(int d) {
    auto result = std::make_unique<node>();
    if (d) result->left = grow(d - 1), result->right = grow(d - 1);
    return result;
}

long sum(const node *n) {
    if (!n->left) return n->value;
    long right = 0;
    tbb::task_group group;
    group.run([&] { right = sum(n->right.get()); });
    const long left = sum(n->left.get());
    group.wait();
    return left + right + n->value;
}

double now() { return double(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count()); }

void spin(double ns) {
    const double until = now() + ns;
    while (now() < until) {}
}

template <class F>
double median(F &&run) {
    double ns[runs];
    run();
    for (double &one : ns) {
        const double begin = now();
        run();
        one = now() - begin;
    }
    std::sort(ns, ns + runs);
    return ns[runs / 2];
}

} // namespace

int main() {
    const auto root = grow(depth);
    constexpr std::size_t items = 1 << 22;
    std::vector<float> in(items, 1.5f), out(items);
    for (const int workers : {1, 2}) {
        const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, std::size_t(workers));
        tbb::task_arena arena(workers);
        arena.execute([&] {
            std::printf("oneTBB  workers %d  fib %.2f", workers, median([] { if (fib(27) != 196418) std::abort(); }) / (317811 - 1));
            std::printf("  tree %.2f", median([&] { if (sum(root.get()) != (2 << depth) - 1) std::abort(); }) / ((2 << depth) - 1));
            for (const double ns : {1e4, 5e4}) {
                if (workers == 1) break;
                std::printf("  halves of %.0f us %.2f", ns / 1e3, median([&] {
                    for (int i = 0; i < regions; i++) {
                        tbb::task_group group;
                        group.run([=] { spin(ns); });
                        spin(ns);
                        group.wait();
                    }
                }) / regions / ns);
            }
            std::printf("\n");
        });
        // Loops over 4 Mi floats: light (memory) and heavier (arithmetic) bodies, and a sum.
        const weft::runtime runtime(workers);
        const auto light = [&](std::size_t from, std::size_t to) {
            for (std::size_t i = from; i < to; i++) out[i] = in[i] * 2.0f + 1.0f;
        };
        const auto heavy = [&](std::size_t from, std::size_t to) {
            for (std::size_t i = from; i < to; i++) {
                float x = in[i];
                for (int k = 0; k < 64; k++) x = x * 0.999f + 0.001f;
                out[i] = x;
            }
        };
        const auto tbb_loop = [&](auto &body) {
            return median([&] { arena.execute([&] { tbb::parallel_for(tbb::blocked_range<std::size_t>(0, items), [&](const auto &r) { body(r.begin(), r.end()); }); }); });
        };
        const auto weft_loop = [&](auto &body) {
            return median([&] { runtime.run([&] { weft::parallel_for_ranges(0, items, body); }); });
        };
        const double tbb_light = tbb_loop(light), weft_light = weft_loop(light), tbb_heavy = tbb_loop(heavy), weft_heavy = weft_loop(heavy);
        double total = 0;
        const double tbb_sum = median([&] {
            arena.execute([&] {
                total = tbb::parallel_reduce(tbb::blocked_range<std::size_t>(0, items), 0.0,
                    [&](const auto &r, double acc) { for (std::size_t i = r.begin(); i != r.end(); i++) acc += in[i]; return acc; },
                    [](double a, double b) { return a + b; });
            });
            if (total != 1.5 * items) std::abort();
        });
        const double weft_sum = median([&] {
            total = runtime.run([&] {
                return weft::reduce_ranges(0, items, 0.0,
                    [&](double &acc, std::size_t from, std::size_t to) { for (std::size_t i = from; i != to; i++) acc += in[i]; },
                    [](double &into, double from) { into += from; });
            });
            if (total != 1.5 * items) std::abort();
        });
        std::printf("loops of 4 Mi  workers %d  weft / oneTBB: light %.0f / %.0f us (%.2f)  heavy %.0f / %.0f us (%.2f)  sum %.0f / %.0f us (%.2f)\n",
                    workers, weft_light / 1e3, tbb_light / 1e3, weft_light / tbb_light, weft_heavy / 1e3, tbb_heavy / 1e3,
                    weft_heavy / tbb_heavy, weft_sum / 1e3, tbb_sum / 1e3, weft_sum / tbb_sum);
    }
    return 0;
}
