// Coroutines as poll tasks: what co_await gives and throws, nesting, requests to stop, and what is destroyed when.
#include "check.hpp"

// The other dialects compile this, too; a compiler without coroutines has nothing to test.
#ifdef __cpp_impl_coroutine

#include "counted.hpp"

#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct co_theme {};
using captured = counted<co_theme>;

weft::co<int> twice(weft::future<int> number) { co_return 2 * co_await number; }
weft::co<int> sum(weft::future<int> left, weft::future<int> right) {
    co_return co_await twice(std::move(left)) + co_await twice(std::move(right));
}
weft::co<> wait_for(weft::future<void> end, captured) { co_await end; }

} // namespace

TEST(futures_are_awaited) {
    weft::promise<int> left, right;
    const weft::future<int> result = weft::start(sum(left.get_future(), right.get_future()));
    CHECK(!result.settled());
    right.set_value(1);
    left.set_value(20);
    CHECK_EQ(result.get(), 42);
    // A temporary one gives a copy.
    const auto copy = [](weft::future<std::string> text) -> weft::co<std::string> { co_return co_await std::move(text) + "!"; };
    CHECK_EQ(weft::start(copy(weft::async([] { return std::string("done"); }))).get(), "done!");
}

TEST(on_a_runtime_without_threads) {
    weft::runtime_options options;
    options.kind = WEFT_KIND_SINGLE;
    const weft::runtime runtime(options);
    weft::promise<int> promise;
    const weft::future<int> result = weft::start(runtime, twice(promise.get_future()));
    runtime.run_here();
    CHECK(!result.settled());
    promise.set_value(4);
    runtime.run_here();
    CHECK(result.settled());
    CHECK_EQ(result.get(), 8);
}

TEST(many_wait_on_few_threads) {
    constexpr int count = 1000;
    const weft::runtime runtime(1);
    weft::promise<int> promise;
    const weft::future<int> number = promise.get_future();
    std::vector<weft::future<int>> results;
    for (int i = 0; i < count; ++i) results.push_back(weft::start(runtime, twice(number)));
    promise.set_value(3);
    for (const auto &result : results) CHECK_EQ(result.get(), 6);
    CHECK_EQ(runtime.stats().threads_peak, 1u);
}

TEST(exceptions_pass_through) {
    const auto fails = [](int depth, auto self) -> weft::co<std::unique_ptr<int>> {
        if (depth == 0) throw std::out_of_range("as arranged");
        std::unique_ptr<int> inner;
        try {
            inner = co_await self(depth - 1, self);
        } catch (const std::out_of_range &) {
            if (depth == 3) throw;
        }
        if (!inner) throw std::out_of_range("again");
        co_return inner;
    };
    CHECK_THROWS_SAYING(std::out_of_range, "again", weft::start(fails(3, fails)).get());
    const auto of_a_future = [](weft::future<int> failed) -> weft::co<std::string> {
        try {
            co_await failed;
        } catch (const std::runtime_error &caught) {
            co_return caught.what();
        }
        co_return "nothing";
    };
    CHECK_EQ(weft::start(of_a_future(weft::async([]() -> int { throw std::runtime_error("in a task"); }))).get(), "in a task");
}

TEST(until_waits_for_anything) {
    std::promise<weft::waker> waits;
    std::atomic<int> number{0};
    const auto waiting = [&]() -> weft::co<int> {
        bool told = false;
        co_return co_await weft::until([&](const weft::waker &waker) -> std::optional<int> {
            if (!told) waits.set_value(waker);
            told = true;
            return number == 0 ? std::nullopt : std::optional<int>(number.load());
        });
    };
    const weft::future<int> result = weft::start(waiting());
    const weft::waker waker = waits.get_future().get();
    waker.wake(); // for nothing
    number = 7;
    waker.wake();
    CHECK_EQ(result.get(), 7);
    const auto throwing = []() -> weft::co<> {
        co_await weft::until([](const weft::waker &) -> bool { throw std::out_of_range("in until"); });
    };
    CHECK_THROWS_SAYING(std::out_of_range, "in until", weft::start(throwing()).get());
}

TEST(a_request_to_stop_ends_a_wait) {
    weft::promise<void> never;
    const weft::future<void> result = weft::start(wait_for(never.get_future(), captured(1)));
    result.cancel();
    CHECK_STATUS(WEFT_CANCELLED, result.get());
    CHECK_EQ(captured::alive.load(), 0);
    // Also one that comes before the wait.
    weft::promise<void> go;
    std::promise<void> here;
    const auto late = [&](weft::future<void> end) -> weft::co<> {
        here.set_value();
        while (!weft_cancelled(nullptr)) co_await weft::until([](const weft::waker &waker) { return waker.wake(), weft_cancelled(nullptr); });
        co_await end;
    };
    const weft::future<void> second = weft::start(late(go.get_future()));
    here.get_future().wait();
    second.cancel();
    CHECK_STATUS(WEFT_CANCELLED, second.get());
}

TEST(dropped_it_is_destroyed) {
    weft::promise<void> never;
    const weft::future<void> end = never.get_future();
    { // not started
        const auto unused = wait_for(end, captured(1));
        CHECK_EQ(captured::alive.load(), 1);
    }
    CHECK_EQ(captured::alive.load(), 0);
    weft::runtime_options options;
    options.kind = WEFT_KIND_SINGLE;
    const weft::runtime runtime(options);
    const auto outer = [](weft::future<void> last) -> weft::co<> { co_await wait_for(last, captured(2)); };
    const weft::future<void> result = weft::start(runtime, outer(end));
    runtime.run_here();
    CHECK(captured::alive.load() > 0);
    runtime.shutdown(weft::shutdown_mode::discard);
    CHECK_EQ(captured::alive.load(), 0);
    CHECK_STATUS(WEFT_BROKEN, result.get());
    auto moved = wait_for(end, captured(3));
    const auto taken = std::move(moved);
    CHECK_STATUS(WEFT_INVALID, weft::start(std::move(moved)));
}

TEST(children_that_end_at_once_use_no_stack) {
    constexpr int many = 200'000;
    const auto one = [](int value) -> weft::co<int> { co_return value; };
    const auto all = [&]() -> weft::co<int> {
        int sum = 0;
        for (int i = 0; i < many; i++) sum += co_await one(1);
        co_return sum;
    };
    CHECK_EQ(weft::start(all()).get(), many);
}

#endif
