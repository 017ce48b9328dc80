// join and run: a parallel quicksort, results of every kind, and what becomes of exceptions.
#include "check.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace {

template <class It>
void quicksort(weft::worker on, It first, It last) {
    if (last - first < 512) return std::sort(first, last);
    const auto pivot = std::max(std::min(first[0], last[-1]), std::min(std::max(first[0], last[-1]), first[(last - first) / 2]));
    const It middle = std::partition(first, last, [&](const auto &x) { return x < pivot; });
    const It end = std::partition(middle, last, [&](const auto &x) { return !(pivot < x); });
    weft::join(on, [&](weft::worker w) { quicksort(w, first, middle); }, [&](weft::worker w) { quicksort(w, end, last); });
}

std::uint64_t fibonacci(unsigned n) {
    if (n < 2) return n;
    const auto [a, b] = weft::join([n] { return fibonacci(n - 1); }, [n] { return fibonacci(n - 2); });
    return a + b;
}

} // namespace

TEST(quicksort_of_a_million) {
    for (const int workers : {1, 2, 4}) {
        const weft::runtime runtime(workers);
        std::mt19937 random(12345);
        std::vector<std::uint32_t> numbers(1000000);
        for (auto &number : numbers) number = random() % 500000; // many twice
        std::vector<std::uint32_t> expected = numbers;
        std::sort(expected.begin(), expected.end());
        runtime.run([&](weft::worker on) { quicksort(on, numbers.begin(), numbers.end()); });
        CHECK(numbers == expected);
        runtime.shutdown();
    }
}

TEST(quicksort_of_strings) {
    std::mt19937 random(54321);
    std::vector<std::string> texts(50000);
    for (auto &text : texts) text = std::to_string(random()) + " and more than fits in place";
    std::vector<std::string> expected = texts;
    std::sort(expected.begin(), expected.end());
    weft::run([&](weft::worker on) { quicksort(on, texts.begin(), texts.end()); });
    CHECK(texts == expected);
}

TEST(results_of_a_deep_tree) { CHECK_EQ(fibonacci(20), 6765u); }

TEST(result_types) {
    const auto [number, text] = weft::join([] { return 1; }, [] { return std::string("two"); });
    CHECK_EQ(number, 1);
    CHECK_EQ(text, "two");
    auto [box, nothing] = weft::join([] { return std::make_unique<int>(3); }, [] {});
    CHECK_EQ(*box, 3);
    CHECK(nothing == weft::unit{});
    const auto none = [] {};
    static_assert(std::is_void_v<decltype(weft::join(none, none))>);
}

TEST(join_from_anywhere) {
    CHECK(!weft::worker::current());
    std::vector<int> on_workers(2);
    weft::join([&](weft::worker on) { on_workers[0] = on.index() >= 0; }, [&](weft::worker on) { on_workers[1] = on.index() >= 0; });
    CHECK_EQ(on_workers[0] + on_workers[1], 2);
    const weft::runtime runtime(2);
    const auto [here, there] = runtime.join([](weft::worker on) { return on.runtime().native(); }, [] { return weft::worker::current().runtime().native(); });
    CHECK(here == runtime.native());
    CHECK(there == runtime.native());
    // Outside a task there is no worker to name.
    bool ran = false;
    CHECK_STATUS(WEFT_INVALID, weft::join(weft::worker(), [&] { ran = true; }, [&] { ran = true; }));
    CHECK(!ran);
    runtime.shutdown();
}

TEST(both_halves_end_before_an_exception_goes_on) {
    for (int round = 0; round < 200; ++round) {
        std::atomic<int> ended{0};
        const auto count = [&] { ended.fetch_add(1); };
        CHECK_THROWS_SAYING(std::runtime_error, "a", weft::join([&]() -> int { count(); throw std::runtime_error("a"); }, [&] { count(); }));
        CHECK_EQ(ended.exchange(0), 2);
        CHECK_THROWS_SAYING(std::logic_error, "b", weft::join([&] { count(); }, [&] { count(); throw std::logic_error("b"); }));
        CHECK_EQ(ended.exchange(0), 2);
        // a's exception goes before b's, whichever was thrown first.
        CHECK_THROWS_SAYING(std::runtime_error, "a", weft::join([&] { count(); throw std::runtime_error("a"); }, [&] { count(); throw std::logic_error("b"); }));
        CHECK_EQ(ended.exchange(0), 2);
    }
}

namespace {

/// Joins down to the leaves; one of them throws its number.
void descend(weft::worker on, int from, int to, int bad, std::atomic<int> &leaves) {
    if (to - from == 1) {
        leaves.fetch_add(1);
        if (from == bad) throw std::out_of_range(std::to_string(bad));
        return;
    }
    const int middle = from + (to - from) / 2;
    weft::join(on, [&](weft::worker w) { descend(w, from, middle, bad, leaves); }, [&](weft::worker w) { descend(w, middle, to, bad, leaves); });
}

} // namespace

TEST(exception_climbs_through_many_joins) {
    for (const int bad : {0, 511, 1023}) {
        std::atomic<int> leaves{0};
        CHECK_THROWS_SAYING(std::out_of_range, std::to_string(bad), weft::run([&](weft::worker on) { descend(on, 0, 1024, bad, leaves); }));
        CHECK_EQ(leaves.load(), 1024);
    }
}

namespace {

std::uint64_t forked_fibonacci(weft::worker on, unsigned n) {
    if (n < 2) return n;
    weft::forked right(on, [n](weft::worker w) { return forked_fibonacci(w, n - 2); });
    const std::uint64_t left = forked_fibonacci(right.next(), n - 1);
    return left + right.sync();
}

/// Every hundredth leaf throws between a fork and its sync, another hundredth in the forked half.
int forked_leaves(weft::worker on, int from, int to) {
    if (to - from == 1) {
        if (from % 100 == 50) throw std::out_of_range("fifty");
        return 1;
    }
    const int middle = from + (to - from) / 2;
    weft::forked right(on, [=](weft::worker w) { return forked_leaves(w, middle, to); });
    int sum = 0;
    try {
        sum = forked_leaves(right.next(), from, middle);
    } catch (const std::out_of_range &) {
        if (middle % 2) throw; // leaves without a sync
    }
    return sum + right.sync();
}

} // namespace

TEST(forked_halves_come_back) {
    for (const int workers : {1, 2, 4}) {
        const weft::runtime runtime(workers);
        CHECK_EQ(runtime.run([](weft::worker on) { return forked_fibonacci(on, 22); }), 17711u);
        const bool same = runtime.run([](weft::worker on) {
            for (int i = 0; i < 50; ++i) {
                CHECK_THROWS_SAYING(std::out_of_range, "fifty", forked_leaves(on, 0, 1000));
                if (weft::worker::current().native() != on.native()) return false;
            }
            return true;
        });
        CHECK(same);
        // A result that is not used, and one that cannot be copied.
        runtime.run([](weft::worker on) {
            weft::forked nothing(on, [] {});
            weft::forked unused(nothing.next(), [] { return std::make_unique<int>(1); });
            weft::forked used(unused.next(), [] { return std::make_unique<int>(7); });
            CHECK_EQ(*used.sync(), 7);
        });
        // In the wrong order: refused, and nothing is lost.
        runtime.run([](weft::worker on) {
            weft::forked first(on, [] { return 1; });
            weft::forked second(first.next(), [] { return 2; });
            CHECK_STATUS(WEFT_INVALID, first.sync());
            CHECK_EQ(second.sync() + first.sync(), 3);
            CHECK_STATUS(WEFT_INVALID, first.sync());
        });
        runtime.shutdown();
    }
}

TEST(run_returns_and_throws_what_its_callable_does) {
    CHECK_EQ(weft::run([] { return 5; }), 5);
    CHECK_EQ(*weft::run([] { return std::make_unique<int>(6); }), 6);
    CHECK_THROWS_SAYING(std::runtime_error, "out of run", weft::run([] { throw std::runtime_error("out of run"); }));
    // Inside a task of the same runtime it runs right here.
    CHECK(weft::run([](weft::worker outer) { return weft::run([outer](weft::worker inner) { return inner.index() == outer.index(); }); }));
    const weft::runtime one(1), other(1);
    // From a task of another runtime it waits for one of the right runtime's workers.
    CHECK(one.run([&] { return other.run([] { return weft::worker::current().runtime().native(); }); }) == other.native());
    one.shutdown();
    other.shutdown();
    CHECK_STATUS(WEFT_SHUTDOWN, one.run([] {}));
}

TEST(callables_are_not_copied) {
    struct counter {
        int calls = 0;
        counter() = default;
        counter(const counter &) = delete;
        void operator()() { ++calls; }
    } a, b;
    weft::join(a, b);
    weft::run(a);
    CHECK_EQ(a.calls, 2);
    CHECK_EQ(b.calls, 1);
}
