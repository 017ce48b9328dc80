// Futures that are made of others, requests to cancel, callbacks, and descriptors.
#include "check.hpp"
#include "counted.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <poll.h>

using namespace std::chrono_literals;

TEST(then_goes_on_with_the_value) {
    const auto six = weft::async([] { return 6; });
    const auto text = six.then([](const int &number) { return number * 7; }).then([](weft::worker on, int answer) {
        CHECK(on.index() >= 0);
        return std::to_string(answer);
    });
    CHECK_EQ(text.get(), "42");
    CHECK_EQ(six.get(), 6);
    bool ran = false;
    text.then([&](const std::string &) { ran = true; }, "last").get();
    CHECK(ran);
    const auto nothing = weft::async([] {}).then([] { return 1; });
    CHECK_EQ(nothing.get(), 1);
    const weft::runtime runtime(1);
    CHECK(runtime.then(six, [](int) { return weft::worker::current().runtime().native(); }).get() == runtime.native());
    CHECK_STATUS(WEFT_INVALID, weft::future<int>().then([](int) {}));
    runtime.shutdown();
    CHECK_STATUS(WEFT_SHUTDOWN, runtime.then(six, [](int) {}));
}

namespace {

struct then_theme {};

struct own_failure : std::runtime_error {
    using std::runtime_error::runtime_error;
    int number = 0;
};

[[noreturn]] int fail_with(int number) {
    own_failure failure("number " + std::to_string(number));
    failure.number = number;
    throw failure;
}

/// What the future throws must be the very exception.
template <class T>
int thrown_number(const weft::future<T> &future) {
    try {
        future.get();
    } catch (const own_failure &failure) {
        return failure.number;
    }
    return 0;
}

} // namespace

TEST(failures_pass_through_as_they_were) {
    using captured = counted<then_theme>;
    const auto broken = weft::async([] { return fail_with(7); });
    {
        const auto last = broken.then([mine = captured(1)](int) { CHECK(!"run"); return 1; }).then([mine = captured(2)](int) { return 2; });
        CHECK_EQ(thrown_number(last), 7);
        CHECK(last.failed());
        CHECK_EQ(captured::alive.load(), 0);
    }
    CHECK_EQ(thrown_number(weft::async([] { return 1; }).then([](int) { return fail_with(8); }).then([](int) {})), 8);
    // From a promise, whose exception travels in C.
    weft::promise<int> promise;
    const auto later = promise.get_future().then([](int) {}).then([] {});
    promise.set_exception(std::make_exception_ptr(own_failure("promised")));
    CHECK_THROWS_SAYING(own_failure, "promised", later.get());
    weft::promise<int> plain;
    const auto status = plain.get_future().then([](int) {});
    plain.set_error(WEFT_NOT_FOUND, "no such thing");
    CHECK_STATUS(WEFT_NOT_FOUND, status.get());
}

TEST(all) {
    std::vector<weft::promise<int>> promises(3);
    std::vector<weft::future<int>> futures;
    for (auto &promise : promises) futures.push_back(promise.get_future());
    const auto word = weft::async([] { return std::string("word"); });
    const auto every = weft::all(futures);
    const auto both = weft::all(futures[0], word);
    for (int i = 0; i < 3; ++i) {
        CHECK(!every.settled());
        promises[static_cast<std::size_t>(i)].set_value(i);
    }
    every.get();
    both.get();
    weft::all(futures).get();
    weft::all(std::vector<weft::future<int>>()).get();
    CHECK_EQ(every.then([&] { return futures[1].get() + futures[2].get(); }).get(), 3);
    CHECK(!weft::winner(every));

    const auto fails = weft::async([] { return fail_with(3); });
    weft::promise<int> never;
    const auto pending = never.get_future();
    const auto failed = weft::all(pending, fails);
    CHECK_EQ(thrown_number(failed), 3);
    CHECK(weft::winner(failed) == std::size_t{1});
    CHECK_EQ(thrown_number(weft::all(failed, pending).then([] {})), 3);
    CHECK_STATUS(WEFT_INVALID, weft::winner(pending));
}

TEST(any_and_race) {
    std::vector<weft::promise<std::string>> promises(3);
    std::vector<weft::future<std::string>> futures;
    for (auto &promise : promises) futures.push_back(promise.get_future());
    const auto first = weft::race(futures);
    const auto success = weft::any(futures);
    CHECK(!weft::winner(success));
    promises[2].set_exception(std::make_exception_ptr(own_failure("number two")));
    CHECK_THROWS_SAYING(own_failure, "number two", first.get());
    CHECK(weft::winner(first) == std::size_t{2});
    CHECK(!success.settled());
    promises[1].set_value("one");
    CHECK_EQ(success.get(), "one");
    CHECK(&success.get() == &futures[1].get()); // it is the winner's
    CHECK(weft::winner(success) == std::size_t{1});
    CHECK_EQ(weft::any(futures).get(), "one"); // of a temporary a copy
    CHECK_STATUS(WEFT_BUSY, weft::any(futures).take());
    promises[0].set_value("zero");
    CHECK_EQ(weft::race(futures).then([](const std::string &text) { return text.size(); }).get(), weft::race(futures).get().size());

    std::vector<weft::future<int>> broken;
    for (int i = 1; i <= 3; ++i) broken.push_back(weft::async([i] { return fail_with(i); }));
    const int last = thrown_number(weft::any(broken));
    CHECK(last >= 1 && last <= 3);
    CHECK_STATUS(WEFT_INVALID, weft::any(std::vector<weft::future<int>>()));
    CHECK_STATUS(WEFT_INVALID, weft::race(std::vector<weft::future<int>>()));
}

TEST(cancelling) {
    const weft::runtime runtime(1);
    const weft::channel<int> empty(1);
    std::promise<void> begun;
    const auto waits = runtime.async([&] {
        begun.set_value();
        return empty.recv().value();
    });
    const auto queued = runtime.async([] { return 1; }, weft::after(waits));
    begun.get_future().wait();
    queued.cancel();
    CHECK_STATUS(WEFT_CANCELLED, queued.get());
    CHECK(queued.cancelled() && queued.failed());
    CHECK(!waits.settled());
    waits.cancel();
    CHECK_STATUS(WEFT_CANCELLED, waits.get());

    weft::promise<int> promise;
    const auto promised = promise.get_future();
    CHECK(!promise.cancelled());
    promised.cancel();
    CHECK(promise.cancelled() && !promised.settled());
    promise.set_error(WEFT_CANCELLED, "as you wish");
    CHECK(promised.cancelled());
    CHECK_THROWS_SAYING(weft::error, "as you wish", promised.get());
    CHECK_STATUS(WEFT_INVALID, weft::future<int>().cancel());
    runtime.shutdown();
}

namespace {
struct told_theme {};
std::atomic<int> unhandled_told{0};
} // namespace

TEST(callbacks) {
    using captured = counted<told_theme>;
    weft::promise<int> promise;
    const auto future = promise.get_future();
    std::string order;
    const auto first = future.on_settled([&order, mine = captured(1)] { order += "first "; });
    const auto taken_back = future.on_settled([mine = captured(2)] { CHECK(!"told"); });
    future.on_settled([&order, future, mine = captured(3)] { order += "second " + std::to_string(future.get()); });
    CHECK(taken_back.off());
    CHECK(!taken_back.off());
    CHECK_EQ(captured::alive.load(), 2);
    promise.set_value(5);
    CHECK_EQ(order, "first second 5");
    CHECK_EQ(captured::alive.load(), 0);
    CHECK(!first.off());
    bool now = false;
    future.on_settled([&] { now = true; });
    CHECK(now);
    CHECK_STATUS(WEFT_INVALID, weft::watch().off());
    weft::set_unhandled_handler([](const char *, std::exception_ptr) { ++unhandled_told; });
    future.on_settled([] { throw own_failure("in a callback"); });
    weft::set_unhandled_handler(nullptr);
    CHECK_EQ(unhandled_told.load(), 1);
}

TEST(completions_and_descriptors) {
    const weft::channel<std::uint64_t> completions(weft::unbounded);
    std::vector<weft::promise<int>> promises(3);
    std::vector<weft::future<int>> futures;
    for (std::uint64_t i = 0; i < 3; ++i) {
        futures.push_back(promises[i].get_future());
        futures[i].notify(completions, 100 + i);
    }
    pollfd readable{futures[1].fd(), POLLIN, 0};
    CHECK_EQ(poll(&readable, 1, 0), 0);
    promises[2].set_value(2);
    promises[1].set_error(WEFT_FAILED, "no matter");
    CHECK_EQ(poll(&readable, 1, -1), 1);
    CHECK_EQ(completions.recv().value(), 102u);
    CHECK_EQ(completions.recv().value(), 101u);
    CHECK_EQ(futures[1].fd(), readable.fd);
    CHECK_STATUS(WEFT_INVALID, futures[0].notify(weft::channel<std::uint64_t>(4), 1));
}

TEST(timeouts_and_delays) {
    weft::promise<std::string> promise;
    const auto future = promise.get_future();
    const std::int64_t begin = weft_now();
    const auto late = future.timeout(2ms);
    CHECK_STATUS(WEFT_TIMEOUT, late.get());
    CHECK(weft_now() >= begin + 2000000);
    CHECK(!future.settled());
    const auto unlimited = future.timeout(weft::forever);
    promise.set_value("there");
    CHECK_EQ(unlimited.get(), "there");
    CHECK_EQ(future.timeout(0s).get(), "there");
    CHECK_EQ(thrown_number(weft::async([] { return fail_with(4); }).timeout(1h)), 4);
    weft::delay(1ms).then([&] { CHECK(weft_now() >= begin + 1000000); }).get();
    const auto never = weft::delay(weft::forever);
    never.cancel();
    CHECK_STATUS(WEFT_CANCELLED, never.get());
}
