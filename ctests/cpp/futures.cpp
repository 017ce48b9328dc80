// Futures and promises: values, exceptions and every way a result can fail to come, with many of each in flight.
#include "check.hpp"
#include "counted.hpp"

#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace {

/// An exception whose identity can be recognised at the other end.
struct odd_number : std::domain_error {
    explicit odd_number(int which) : std::domain_error("odd number " + std::to_string(which)), number(which) {}
    int number;
};

int half(int number) {
    if (number % 2 != 0) throw odd_number(number);
    return number / 2;
}

} // namespace

TEST(value_by_copy_and_by_move) {
    weft::future<std::string> text = weft::async([] { return std::string(1000, 'x'); }, "text");
    const weft::future<std::string> again = text;
    CHECK_EQ(text.get().size(), 1000u);
    CHECK(&text.get() == &again.get());
    CHECK_STATUS(WEFT_BUSY, text.take()); // not while `again` could still look at it
    CHECK_EQ(again.get().size(), 1000u);

    CHECK_EQ(*weft::async([] { return std::make_unique<int>(7); }).get(), 7);
    weft::async([] {}).get();
}

TEST(take_leaves_an_empty_handle) {
    weft::future<int> number = weft::async([] { return 3; });
    CHECK_EQ(number.take(), 3);
    CHECK(!number);
    CHECK_STATUS(WEFT_INVALID, number.get());
    CHECK_STATUS(WEFT_INVALID, number.wait());
    CHECK_STATUS(WEFT_INVALID, number.settled());
}

TEST(thousands_with_exact_sum) {
    constexpr int count = 10000;
    std::vector<weft::future<long>> futures;
    futures.reserve(count);
    for (int i = 0; i < count; ++i) {
        futures.push_back(weft::async([i] { return static_cast<long>(i) * i; }));
    }
    long sum = 0, expected = 0;
    for (int i = 0; i < count; ++i) {
        sum += futures[static_cast<std::size_t>(i)].take();
        expected += static_cast<long>(i) * i;
    }
    CHECK_EQ(sum, expected);
}

TEST(exceptions_keep_type_and_content) {
    std::vector<weft::future<int>> futures;
    for (int i = 0; i < 2000; ++i) {
        futures.push_back(weft::async([i] { return half(i); }));
    }
    int halves = 0, odd = 0;
    for (int i = 0; i < 2000; ++i) {
        weft::future<int> &one = futures[static_cast<std::size_t>(i)];
        try {
            CHECK_EQ(one.get() * 2, i);
            ++halves;
        } catch (const odd_number &caught) {
            CHECK_EQ(caught.number, i);
            CHECK(one.failed());
            ++odd;
        }
    }
    CHECK_EQ(halves, 1000);
    CHECK_EQ(odd, 1000);
}

TEST(exception_comes_from_every_getter) {
    weft::future<int> later = weft::async([] { return half(5); });
    const weft::future<int> copy = later;
    CHECK_THROWS_SAYING(odd_number, "odd number 5", later.get());
    CHECK_THROWS(odd_number, copy.get());
    CHECK_THROWS(odd_number, later.take());
    CHECK_THROWS(odd_number, copy.get());
    CHECK_THROWS(int, weft::async([] { throw 5; }).get());
    later.wait(); // settled is settled: waiting does not throw
    CHECK(later.settled());
}

TEST(exceptions_look_sensible_from_c) {
    struct {
        weft::future<int> future;
        weft_status status;
        const char *text;
    } const failures[] = {
        {weft::async([]() -> int { return half(9); }), WEFT_FAILED, "odd number 9"},
        {weft::async([]() -> int { throw weft::error(WEFT_NOT_FOUND, "no such key"); }), WEFT_NOT_FOUND, "no such key"},
        {weft::async([]() -> int { throw std::bad_alloc(); }), WEFT_NOMEM, nullptr},
        {weft::async([]() -> int { throw 'c'; }), WEFT_FAILED, "an exception that is no std::exception"},
    };
    for (const auto &one : failures) {
        void *value = nullptr;
        CHECK_EQ(weft_future_get(one.future.native(), WEFT_FOREVER, &value), one.status);
        const weft_error *failure = weft_future_error(one.future.native());
        CHECK_EQ(weft_error_status(failure), one.status);
        if (one.text) CHECK_EQ(std::string(weft_error_text(failure)), one.text);
    }
}

TEST(many_threads_wait_for_one_result) {
    weft::promise<std::vector<int>> promise;
    auto future = promise.get_future();
    std::vector<weft::future<long>> sums;
    for (int i = 0; i < 64; ++i) {
        sums.push_back(weft::async([later = future] {
            return std::accumulate(later.get().begin(), later.get().end(), 0L);
        }));
    }
    std::vector<int> numbers(1000);
    std::iota(numbers.begin(), numbers.end(), 1);
    promise.set_value(std::move(numbers));
    for (auto &sum : sums) CHECK_EQ(sum.take(), 500500L);
}

TEST(tasks_wait_for_tasks_on_one_worker) {
    // Each link waits for the one before it; one worker must not be what they all wait for.
    const weft::runtime runtime(1);
    weft::future<long> link = runtime.async([] { return 0L; });
    for (int i = 1; i <= 200; ++i) {
        link = runtime.async([before = std::move(link), i] { return before.get() + i; });
    }
    CHECK_EQ(link.get(), 20100L);
    runtime.shutdown();
}

TEST(promise_settles_once) {
    weft::promise<std::string> promise;
    auto future = promise.get_future();
    CHECK(!future.settled());
    CHECK(!future.failed());
    CHECK(!future.wait_for(std::chrono::seconds(0)));
    CHECK(!future.wait_for(std::chrono::duration<double, std::micro>(0.5)));
    promise.set_value(3u, 'z');
    CHECK(future.settled());
    CHECK(future.wait_for(weft::forever));
    CHECK_EQ(future.get(), "zzz");
    CHECK_STATUS(WEFT_BUSY, promise.set_value("again"));
    CHECK_STATUS(WEFT_BUSY, promise.set_error(WEFT_FAILED, "again"));
    CHECK_STATUS(WEFT_BUSY, promise.set_exception(std::make_exception_ptr(odd_number(1))));
    CHECK_EQ(future.take(), "zzz");

    weft::promise<void> done;
    auto nothing = done.get_future();
    done.set_value();
    nothing.get();
    nothing.take();
    CHECK(!nothing);
}

TEST(promise_carries_exceptions) {
    weft::promise<int> promise;
    auto future = promise.get_future();
    CHECK_STATUS(WEFT_INVALID, promise.set_exception(nullptr));
    CHECK(!future.settled());
    promise.set_exception(std::make_exception_ptr(odd_number(77)));
    CHECK_THROWS_SAYING(odd_number, "odd number 77", future.get());
    const weft::future<int> copy = future;
    CHECK_THROWS(odd_number, copy.get());
    CHECK_EQ(std::string(weft_error_text(weft_future_error(future.native()))), "odd number 77");

    weft::promise<void> second;
    auto refused = second.get_future();
    second.set_error(WEFT_REJECTED, "not today");
    CHECK_THROWS_SAYING(weft::error, "not today", refused.get());
    CHECK_STATUS(WEFT_REJECTED, refused.get());
}

TEST(foreign_payload_is_not_taken_for_an_exception) {
    // As long as a carried exception, and full of addresses that are none.
    const std::vector<unsigned char> junk(sizeof(weft::detail::carried_exception), 0xff);
    weft_bytes *payload = nullptr;
    CHECK_EQ(weft_bytes_new(junk.data(), junk.size(), &payload), WEFT_OK);
    weft::promise<int> promise;
    auto future = promise.get_future();
    CHECK_EQ(weft_promise_reject(promise.native(), WEFT_PROTOCOL, "from C", payload), WEFT_OK);
    weft_bytes_release(payload);
    CHECK_THROWS_SAYING(weft::error, "from C", future.get());
    CHECK_STATUS(WEFT_PROTOCOL, future.get());
}

TEST(last_promise_gone_breaks_the_future) {
    weft::future<int> future;
    {
        weft::promise<int> promise;
        auto later = promise.get_future();
        weft::promise<int> copy = promise;
        CHECK_STATUS(WEFT_BUSY, copy.get_future());
        promise = weft::promise<int>();
        CHECK(!later.settled());
        future = later;
    }
    CHECK_STATUS(WEFT_BROKEN, future.get());
    weft::promise<int> promise;
    const weft::promise<int> moved = std::move(promise);
    CHECK(!promise && moved);
    CHECK_STATUS(WEFT_INVALID, promise.set_value(1));
    CHECK_STATUS(WEFT_BUSY, promise.get_future());
}

TEST(racing_promises_have_one_winner) {
    for (int round = 0; round < 200; ++round) {
        weft::promise<int> promise;
        auto future = promise.get_future();
        std::vector<weft::future<int>> racers;
        for (int i = 1; i <= 8; ++i) {
            racers.push_back(weft::async([mine = promise, i] {
                try {
                    mine.set_value(i);
                    return i;
                } catch (const weft::error &lost) {
                    CHECK_EQ(lost.status(), WEFT_BUSY);
                    return 0;
                }
            }));
        }
        int winner = 0;
        for (auto &one : racers) winner += one.get();
        CHECK_EQ(future.get(), winner); // were there two, their sum would be no racer's number or not the value
        CHECK(winner >= 1 && winner <= 8);
    }
}

namespace {
struct values_theme {};
struct callables_theme {};
} // namespace

TEST(values_are_destroyed_exactly_once) {
    using value = counted<values_theme>;
    {
        std::vector<weft::future<value>> kept;
        for (int i = 0; i < 500; ++i) {
            weft::future<value> one = weft::async([i] { return value(i); });
            if (i % 3 == 0) CHECK_EQ(one.take().number(), i);
            else if (i % 3 == 1) kept.push_back(std::move(one));
            else one.wait(); // dropped with its value inside
        }
        weft::promise<value> promise;
        auto future = promise.get_future();
        promise.set_value(1);
        CHECK_STATUS(WEFT_BUSY, promise.set_value(2));
        for (auto &one : kept) CHECK(one.get().number() % 3 == 1);
    }
    CHECK_EQ(value::alive.load(), 0);
    CHECK(value::made.load() >= 501);
}

TEST(callable_is_gone_before_its_result_is_seen) {
    using captured = counted<callables_theme>;
    for (int i = 0; i < 1000; ++i) {
        weft::future<int> fine = weft::async([kept = captured(i)] { return static_cast<int>(kept.number()); });
        CHECK_EQ(fine.get(), i);
        CHECK_EQ(captured::alive.load(), 0);
        weft::future<void> failed = weft::async([kept = captured(i)] { throw odd_number(static_cast<int>(kept.number())); });
        CHECK_THROWS(odd_number, failed.get());
        CHECK_EQ(captured::alive.load(), 0);
    }
}

TEST(move_only_callables) {
    auto owned = std::make_unique<int>(41);
    CHECK_EQ(weft::async([owned = std::move(owned)] { return *owned + 1; }).get(), 42);
    CHECK_EQ(weft::async([](weft::worker on) { return on.native() == weft_worker_current(); }).get(), true);
}

TEST(threads_make_and_take_futures) {
    std::vector<std::thread> threads;
    std::atomic<long> sum{0};
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&sum, t] {
            for (int i = 0; i < 1000; ++i) sum += weft::async([t, i] { return t * 1000 + i; }).get();
        });
    }
    for (auto &thread : threads) thread.join();
    CHECK_EQ(sum.load(), 3999L * 4000 / 2);
}
